/* einet ctl: one request to a service, over its control socket, and its reply for people or as it came. */
#include "app/commands.h"
#include "app/control_socket.h"
#include "workloads/spec.h"

#include <errno.h>
#include <getopt.h>
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

static const char help[] =
    "usage: einet ctl [--socket PATH] [--json] list\n"
    "       einet ctl [--socket PATH] [--json] answer TASK\n"
    "       einet ctl [--socket PATH] [--json] release TASK [--tag N]\n"
    "       einet ctl [--socket PATH] [--json] set TASK [priority=N] [deadline=D] [exits=E]\n"
    "       einet ctl [--socket PATH] [--json] pause | resume TASK\n"
    "       einet ctl [--socket PATH] [--json] reload | drain | stop\n\n"
    "Ask a service (einet serve). list: its tasks and their figures. answer: the answer that a task has published "
    "last,\n"
    "also while its job goes on. release: the next job of a task with arrival external. set: priority (1..98), "
    "deadline\n"
    "(with a unit, or none) and exits of a task, from its next job on; exits: numbers from 1, as 1,4,6, or a search "
    "of\n"
    "the planner, as exact, all or static:50. pause: no releases of the task until resume. reload: the\n"
    "service reads its file again, and changes priorities, deadlines and searches of tasks that differ. drain: no new "
    "releases, "
    "what\n"
    "was released runs, then the service ends. stop: jobs end at their next block boundary.\n\n"
    "  --socket PATH  where the service listens (default: $EINET_SOCKET, else " DEFAULT_PATH ")\n"
    "  --tag N        a number that comes back with the answers of the job\n"
    "  --json         print the reply as it came, one JSON object\n\n"
    "exit status: 0 ok, 1 usage, or the service refused, 5 no service there\n\n"
    "example: einet ctl --socket /run/einet/control set camera priority=70 deadline=5ms exits=1,4\n";

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

static int usage_error(const char *text, const char *argument)
{
    fprintf(stderr, "einet ctl: %s%s; einet ctl --help\n", text, argument);
    return EINET_EXIT_USAGE;
}

static int take_words(int argc, char **argv, struct ctl_arguments *out)
{
    if (optind == argc) {
        return usage_error("which command?", "");
    }
    out->command = argv[optind++];
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, out->command) != 0) {
            continue;
        }
        if (commands[i].wants_task && optind == argc) {
            return usage_error("which task? It follows ", out->command);
        }
        out->task = commands[i].wants_task ? argv[optind++] : NULL;
        if (strcmp(out->command, "set") == 0) {
            out->changes = &argv[optind];
            out->change_count = argc - optind;
            optind = argc;
            if (out->change_count == 0) {
                return usage_error("set what? priority=N, deadline=D or exits=E follow the task", "");
            }
        }
        if (optind < argc) {
            return usage_error("an argument too many: ", argv[optind]);
        }
        return out->tag != NULL && strcmp(out->command, "release") != 0 ? usage_error("--tag belongs to release", "")
                                                                        : 0;
    }
    return usage_error("there is no command ", out->command);
}

/* Returns 0 to go on, else the exit status + 1 (so that 0 can mean "go on"). */
static int parse_arguments(int argc, char **argv, struct ctl_arguments *out)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"tag", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        switch (option) {
        case 's':
            out->socket = optarg;
            break;
        case 't':
            if (optarg[0] == '\0' || strspn(optarg, "0123456789") != strlen(optarg) || strlen(optarg) > 18) {
                return 1 + usage_error("--tag wants a whole number of at most 18 digits, not ", optarg);
            }
            out->tag = optarg;
            break;
        case 'j':
            out->is_json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 1 + EINET_EXIT_OK;
        case ':':
            return 1 + usage_error("missing value of ", argv[optind - 1]);
        default:
            return 1 + usage_error("unknown option ", argv[optind - 1]);
        }
    }
    const int status = take_words(argc, argv, out);
    return status != 0 ? 1 + status : 0;
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
            return usage_error("priority wants a number from 1 to 98, not ", value + 1);
        }
        (void)json_object_set_new(request, "priority", json_integer((json_int_t)priority));
        return 0;
    }
    if (length == strlen("deadline") && strncmp(word, "deadline", length) == 0) {
        int64_t deadline_ns = 0;
        const bool is_none = strcmp(value + 1, "none") == 0;
        if (!is_none && (ei_duration_parse(value + 1, &deadline_ns) < 0 || deadline_ns <= 0)) {
            return usage_error("deadline wants a time with a unit, such as 5ms, or none, not ", value + 1);
        }
        (void)json_object_set_new(request, "deadline_ns", is_none ? json_null() : json_integer(deadline_ns));
        return 0;
    }
    if (length == strlen("exits") && strncmp(word, "exits", length) == 0) {
        const bool is_list = value[1] >= '0' && value[1] <= '9';
        json_t *exits = is_list ? exit_list(value + 1) : json_string(value + 1);
        if (exits == NULL || value[1] == '\0') {
            json_decref(exits);
            return usage_error("exits wants numbers from 1 to 64, such as 1,4,6, or a search, such as exact, not ",
                               value + 1);
        }
        (void)json_object_set_new(request, is_list ? "exits" : "search", exits);
        return 0;
    }
    return usage_error("set knows priority=N, deadline=D and exits=E, not ", word);
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
    json_decref(reply);
    return is_ok ? EINET_EXIT_OK : EINET_EXIT_USAGE;
}

int einet_ctl_command(int argc, char **argv)
{
    struct ctl_arguments arguments = {.socket = getenv("EINET_SOCKET")};
    const int stop = parse_arguments(argc, argv, &arguments);
    if (stop != 0) {
        return stop - 1;
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
        const int status = take_change(request, arguments.changes[i]);
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
        return usage_error("the name of a task is too long, or is no UTF-8", "");
    }
    snprintf(line, sizeof line, "%s\n", text);
    free(text);
    char *reply = talk(path, line);
    if (reply == NULL) {
        return no_service(path);
    }
    const int status = show(&arguments, path, reply);
    free(reply);
    return status;
}
