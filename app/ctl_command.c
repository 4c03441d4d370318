/* einet ctl: one request to a service, over its control socket, and its reply for people or as it came. */
#include "app/commands.h"
#include "app/control_socket.h"
#include "app/options.h"

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
    bool is_json;
};

static const struct {
    const char *name;
    bool wants_task;
} commands[] = {
    {"list", false}, {"answer", true}, {"release", true}, {"drain", false}, {"stop", false},
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
        "       einet ctl [--socket PATH] [--json] drain | stop\n\n"
        "Ask a service (einet serve). list: its tasks and their figures. answer: the answer that a task has published\n"
        "last, also while its job goes on. release: the next job of a task with arrival external. drain: no new "
        "releases,\n"
        "what was released runs, then the service ends. stop: jobs end at their next block boundary.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, or the service refused, 5 no service there\n\n"
            "example: einet ctl --socket /run/einet/control answer camera\n",
    .operands_min = 1,
    .operands_max = 2,
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
        if (!commands[i].wants_task && given->operand_count > 1) {
            return einet_options_refuse(&usage, "an argument too many: %s", given->operands[1]);
        }
        out->task = commands[i].wants_task ? given->operands[1] : NULL;
        return out->tag != NULL && strcmp(out->command, "release") != 0
                   ? einet_options_refuse(&usage, "--tag belongs to release")
                   : -1;
    }
    return einet_options_refuse(&usage, "there is no command %s", out->command);
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
    printf("%-20s %-8s %4s %9s %9s %7s %7s %7s %9s\n", "task", "class", "prio", "deadl. ms", "jobs", "late", "skipped",
           "dropped", "p99 ms");
    json_array_foreach(json_object_get(reply, "tasks"), i, task)
    {
        printf("%-20s %-8s %4lld", text_of(task, "task"), text_of(task, "class"), number_of(task, "priority"));
        print_duration(task, "deadline_ns");
        printf(" %9lld %7lld %7lld %7lld", number_of(task, "completed") + number_of(task, "aborted"),
               number_of(task, "misses"), number_of(task, "skipped"), number_of(task, "dropped"));
        print_duration(task, "p99_response_ns");
        putchar('\n');
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
    } else if (strcmp(arguments->command, "answer") == 0) {
        print_answer(reply);
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
