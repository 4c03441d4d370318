/* einet ctl: one request to a service, over its control socket, and its reply for people or as it came. */
#include "app/commands.h"
#include "command/control_socket.h"
#include "command/options.h"
#include "workloads/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_PATH "/run/einet/control"
#define REPLY_MAX_BYTES ((size_t)1024 * 1024)
#define PATIENCE_S 10

struct ctl_arguments {
    const char *socket, *command, *task;
    const char *tag; /* NULL = none */
    char **changes;  /* the words of set; NULL = another command */
    int change_count;
    bool is_json;
};

static const struct {
    const char *name;
    bool wants_task;
} commands[] = {
    {"list", false},  {"answer", true}, {"release", true}, {"set", true},     {"pause", true},
    {"resume", true}, {"drain", false}, {"stop", false},   {"reload", false},
};

static int take_tag(void *request, const char *value, struct einet_error *err)
{
    (void)err;
    ((struct ctl_arguments *)request)->tag = value;
    return value[0] != '\0' && strspn(value, "0123456789") == strlen(value) && strlen(value) <= 18 ? 0 : -EINVAL;
}

#define FIELD(field) EINET_FIELD(struct ctl_arguments, field)

static const struct einet_option rows[] = {
    {.name = "socket",
     .argument = "PATH",
     FIELD(socket),
     .help = "where the service listens (default: $EINET_SOCKET, else " DEFAULT_PATH ")"},
    {.name = "tag",
     .argument = "N",
     .take = take_tag,
     .expected = "a whole number of at most 18 digits",
     .help = "a number that comes back with the answers of the job"},
    {.name = "json", FIELD(is_json), .help = "print the reply as it came, one JSON object"},
};

static const struct einet_usage usage = {
    .command = "ctl",
    .head =
        "usage: einet ctl [--socket PATH] [--json] list\n"
        "       einet ctl [--socket PATH] [--json] answer TASK\n"
        "       einet ctl [--socket PATH] [--json] release TASK [--tag N]\n"
        "       einet ctl [--socket PATH] [--json] set TASK [priority=N] [deadline=D] [exits=E]\n"
        "       einet ctl [--socket PATH] [--json] pause | resume TASK\n"
        "       einet ctl [--socket PATH] [--json] reload | drain | stop\n\n"
        "Ask a service (einet serve, einet-dds). list: its tasks and their figures. answer: the answer that a task has published\n"
        "last, also while its job goes on. release: the next job of a task with arrival external. set: priority "
        "(1..98),\n"
        "deadline (with a unit, or none) and exits of a task, from its next job on; exits: numbers from 1, as 1,4,6, or "
        "a\n"
        "search of the planner, as exact, all or static:50. pause: no releases of the task until resume. reload: the\n"
        "service reads its file again: priorities, deadlines and searches change while tasks go on, for anything else "
        "a\n"
        "new run takes over. drain: no new releases, what was released runs, then the service ends. stop: jobs end at\n"
        "their next block boundary.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, or the service refused, 5 no service there\n\n"
            "example: einet ctl --socket /run/einet/control set camera priority=70 deadline=5ms exits=1,4\n",
    .operands_min = 1,
    .operands_max = 8,
    .too_few = "which command?",
    .too_many = "an argument too many: ",
};

/* Returns -1 to go on, else the exit status. */
static int take_words(const struct einet_arguments *given, struct ctl_arguments *out)
{
    out->command = given->operands[0];
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, out->command) != 0) {
            continue;
        }
        if (commands[i].wants_task && given->operand_count == 1) {
            return einet_options_refuse(&usage, "which task? It follows %s", out->command);
        }
        const int words = 1 + commands[i].wants_task;
        out->task = commands[i].wants_task ? given->operands[1] : NULL;
        if (strcmp(out->command, "set") == 0) {
            out->changes = &given->operands[words];
            out->change_count = given->operand_count - words;
            if (out->change_count == 0) {
                return einet_options_refuse(&usage, "set what? priority=N, deadline=D or exits=E follow the task");
            }
        } else if (given->operand_count > words) {
            return einet_options_refuse(&usage, "an argument too many: %s", given->operands[words]);
        }
        return out->tag != NULL && strcmp(out->command, "release") != 0
                   ? einet_options_refuse(&usage, "--tag belongs to release")
                   : -1;
    }
    return einet_options_refuse(&usage, "there is no command %s", out->command);
}

/* ---- set ---- */

/* "1,4,6", from 1 as people count, as a list from 0; NULL = it is none. */
static json_t *exit_list(const char *text)
{
    json_t *list = json_array();
    const char *at = text;
    for (;;) {
        char *end = NULL;
        const long number = at[0] >= '0' && at[0] <= '9' ? strtol(at, &end, 10) : 0;
        if (number < 1 || number > 64 || (*end != ',' && *end != '\0')) {
            json_decref(list);
            return NULL;
        }
        (void)json_array_append_new(list, json_integer((json_int_t)number - 1));
        if (*end == '\0') {
            return list;
        }
        at = end + 1;
    }
}

/* One word of set into the request. Returns 0, or the exit status of a word that is none. */
static int take_change(json_t *request, const char *word)
{
    const char *value = strchr(word, '=');
    const size_t length = value != NULL ? (size_t)(value - word) : 0;
    char *end = NULL;
    if (length == strlen("priority") && strncmp(word, "priority", length) == 0) {
        const long priority = value[1] >= '0' && value[1] <= '9' ? strtol(value + 1, &end, 10) : 0;
        if (priority < 1 || priority > 98 || *end != '\0') {
            return einet_options_refuse(&usage, "priority wants a number from 1 to 98, not %s", value + 1);
        }
        (void)json_object_set_new(request, "priority", json_integer((json_int_t)priority));
        return 0;
    }
    if (length == strlen("deadline") && strncmp(word, "deadline", length) == 0) {
        int64_t deadline_ns = 0;
        const bool is_none = strcmp(value + 1, "none") == 0;
        if (!is_none && (ei_duration_parse(value + 1, &deadline_ns) < 0 || deadline_ns <= 0)) {
            return einet_options_refuse(&usage, "deadline wants a time with a unit, such as 5ms, or none, not %s", value + 1);
        }
        (void)json_object_set_new(request, "deadline_ns", is_none ? json_null() : json_integer(deadline_ns));
        return 0;
    }
    if (length == strlen("exits") && strncmp(word, "exits", length) == 0) {
        const bool is_list = value[1] >= '0' && value[1] <= '9';
        json_t *exits = is_list ? exit_list(value + 1) : json_string(value + 1);
        if (exits == NULL || value[1] == '\0') {
            json_decref(exits);
            return einet_options_refuse(
                &usage, "exits wants numbers from 1 to 64, such as 1,4,6, or a search, such as exact, not %s", value + 1);
        }
        (void)json_object_set_new(request, is_list ? "exits" : "search", exits);
        return 0;
    }
    return einet_options_refuse(&usage, "set knows priority=N, deadline=D and exits=E, not %s", word);
}

/* ---- talking ---- */

static int no_service(const char *path)
{
    fprintf(stderr,
            "einet ctl: cannot ask the service at %s: %s; is it running (einet serve), and is this its --socket?\n",
            path, errno == EAGAIN ? "it does not reply" : strerror(errno));
    return EINET_EXIT_FAULT;
}

/* Send the line and read one. Returns the reply, owned, or NULL with errno. */
static char *talk(const char *path, const char *line)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char *reply = malloc(REPLY_MAX_BYTES);
    size_t bytes = 0;
    bool is_complete = false;
    if (fd >= 0 && reply != NULL && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        (void)send(fd, line, strlen(line), MSG_NOSIGNAL); /* a service that refuses us may have said why already */
        while (!is_complete && bytes < REPLY_MAX_BYTES - 1) {
            const ssize_t got = recv(fd, reply + bytes, REPLY_MAX_BYTES - 1 - bytes, 0);
            if (got <= 0) {
                errno = got == 0 ? ECONNRESET : errno;
                break;
            }
            bytes += (size_t)got;
            is_complete = reply[bytes - 1] == '\n';
        }
    }
    const int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (!is_complete) {
        free(reply);
        errno = why;
        return NULL;
    }
    reply[bytes] = '\0';
    return reply;
}

/* ---- showing ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "?";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_duration(const json_t *object, const char *key)
{
    const double ms = (double)number_of(object, key) / 1e6;
    if (ms > 0) {
        printf(" %9.3f", ms);
    } else {
        printf(" %9s", "-");
    }
}

static void print_list(const json_t *reply)
{
    size_t i;
    json_t *task;
    printf("%s: %s, %.0f s, %lld connections refused\n", text_of(reply, "name"), text_of(reply, "state"),
           (double)number_of(reply, "uptime_ns") / 1e9, number_of(reply, "refused_connections"));
    const json_t *degraded = json_object_get(reply, "degraded");
    if (json_is_object(degraded)) {
        printf("DEGRADED: %s", text_of(degraded, "first"));
        printf(number_of(degraded, "reasons") > 1 ? "  and %lld more\n" : "\n", number_of(degraded, "reasons") - 1);
    }
    printf("%-20s %-8s %4s %9s %9s %7s %7s %7s %9s\n", "task", "class", "prio", "deadl. ms", "jobs", "late", "skipped",
           "dropped", "p99 ms");
    json_array_foreach(json_object_get(reply, "tasks"), i, task)
    {
        printf("%-20s %-8s %4lld", text_of(task, "task"), text_of(task, "class"), number_of(task, "priority"));
        print_duration(task, "deadline_ns");
        printf(" %9lld %7lld %7lld %7lld", number_of(task, "completed") + number_of(task, "aborted"),
               number_of(task, "misses"), number_of(task, "skipped"), number_of(task, "dropped"));
        print_duration(task, "p99_response_ns");
        printf("%s\n", json_is_true(json_object_get(task, "paused")) ? "  paused" : "");
    }
}

static void print_answer(const json_t *reply)
{
    const json_t *answer = json_object_get(reply, "answer");
    if (!json_is_object(answer)) {
        printf("%s: no answer yet\n", text_of(reply, "task"));
        return;
    }
    printf("%s: class %lld with %.3f, job %lld, exit %lld of %lld%s, %.3f ms ago\n", text_of(reply, "task"),
           number_of(answer, "label"), json_real_value(json_object_get(answer, "confidence")), number_of(answer, "job"),
           number_of(answer, "exit") + 1, number_of(answer, "exits"),
           json_is_true(json_object_get(answer, "final")) ? "" : " so far", (double)number_of(answer, "age_ns") / 1e6);
}

/* Of a change that was made all the same. */
static void print_warnings(const json_t *warnings)
{
    size_t i;
    json_t *warning;
    json_array_foreach(warnings, i, warning)
    {
        fprintf(stderr, "einet ctl: done, but admission warns: %s\n", json_string_value(warning));
    }
}

static int show(const struct ctl_arguments *arguments, const char *path, const char *text)
{
    json_error_t why;
    json_t *reply = json_loads(text, 0, &why);
    if (!json_is_object(reply)) {
        fprintf(stderr, "einet ctl: what listens at %s is no einet serve: %s\n", path, why.text);
        json_decref(reply);
        return EINET_EXIT_FAULT;
    }
    const bool is_ok = json_is_true(json_object_get(reply, "ok"));
    if (arguments->is_json) {
        fputs(text, stdout);
    } else if (!is_ok) {
        fprintf(stderr, "einet ctl: %s\n", text_of(reply, "error"));
    } else if (strcmp(arguments->command, "list") == 0) {
        print_list(reply);
    } else if (strcmp(arguments->command, "reload") == 0) {
        if (json_is_true(json_object_get(reply, "takes_over"))) {
            puts("another run is prepared and takes over; the log tells when");
        } else {
            printf("%lld tasks changed\n", number_of(reply, "changed"));
        }
    } else if (strcmp(arguments->command, "answer") == 0) {
        print_answer(reply);
    }
    if (!arguments->is_json) {
        print_warnings(json_object_get(reply, "warnings"));
    }
    json_decref(reply);
    return is_ok ? EINET_EXIT_OK : EINET_EXIT_USAGE;
}

int einet_ctl_command(int argc, char **argv)
{
    struct ctl_arguments arguments = {.socket = getenv("EINET_SOCKET")};
    struct einet_arguments given;
    int status = einet_options_read(&usage, argc, argv, &arguments, &given);
    status = status < 0 ? take_words(&given, &arguments) : status;
    if (status >= 0) {
        return status;
    }
    const char *path = arguments.socket != NULL && arguments.socket[0] != '\0' ? arguments.socket : DEFAULT_PATH;
    json_t *request = json_pack("{s:s}", "command", arguments.command);
    if (arguments.task != NULL) {
        (void)json_object_set_new(request, "task", json_string(arguments.task));
    }
    if (arguments.tag != NULL) {
        (void)json_object_set_new(request, "tag", json_integer((json_int_t)strtoll(arguments.tag, NULL, 10)));
    }
    for (int i = 0; i < arguments.change_count; i++) {
        status = take_change(request, arguments.changes[i]);
        if (status != 0) {
            json_decref(request);
            return status;
        }
    }
    char *text = json_dumps(request, JSON_COMPACT);
    char line[EINET_CONTROL_LINE_MAX_BYTES];
    json_decref(request);
    if (text == NULL || strlen(text) + 2 > sizeof line) {
        free(text);
        return einet_options_refuse(&usage, "the name of a task is too long, or is no UTF-8");
    }
    snprintf(line, sizeof line, "%s\n", text);
    free(text);
    char *reply = talk(path, line);
    if (reply == NULL) {
        return no_service(path);
    }
    status = show(&arguments, path, reply);
    free(reply);
    return status;
}
