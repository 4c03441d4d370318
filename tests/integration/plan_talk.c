/* See plan_talk.h. */
#include "tests/integration/plan_talk.h"

#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_LIMIT_MS 60000

bool talk_begin(struct talk *t, const char *option)
{
    char program[512];
    int to[2], from[2];
    snprintf(program, sizeof program, "%s/einet", ei_test_build_dir());
    *t = (struct talk){.pid = -1};
    signal(SIGPIPE, SIG_IGN); /* a command that died shows as EPIPE */
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) {
        return EI_TRUEF(false, "pipe2: %s", strerror(errno));
    }
    fflush(NULL);
    t->pid = fork();
    if (t->pid == 0) {
        if (dup2(to[0], STDIN_FILENO) < 0 || dup2(from[1], STDOUT_FILENO) < 0) {
            _exit(126);
        }
        signal(SIGPIPE, SIG_DFL);
        execl(program, "einet", "plan", option, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    t->to = to[1];
    t->from = from[0];
    return EI_TRUE(t->pid > 0);
}

bool talk_say(struct talk *t, const char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t sent = write(t->to, bytes, length);
        if (sent < 0 && errno != EINTR) {
            return EI_TRUEF(false, "write: %s", strerror(errno));
        }
        bytes += sent > 0 ? sent : 0;
        length -= sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

const char *talk_hear(struct talk *t)
{
    for (;;) {
        char *feed = memchr(t->pending, '\n', t->filled);
        if (feed != NULL) {
            const size_t length = (size_t)(feed - t->pending);
            memcpy(t->line, t->pending, length);
            t->line[length] = '\0';
            t->filled -= length + 1;
            memmove(t->pending, feed + 1, t->filled);
            return t->line;
        }
        struct pollfd fd = {.fd = t->from, .events = POLLIN};
        if (poll(&fd, 1, ANSWER_LIMIT_MS) <= 0) {
            EI_TRUEF(false, "no answer came");
            return NULL;
        }
        const ssize_t got = read(t->from, t->pending + t->filled, sizeof t->pending - t->filled);
        if (got <= 0) {
            EI_TRUEF(got == 0 && t->filled == 0, "the answers end within a line");
            return NULL;
        }
        t->filled += (size_t)got;
    }
}

int talk_end(struct talk *t, long *peak_kib)
{
    int status = 0;
    struct rusage usage;
    close(t->to);
    while (talk_hear(t) != NULL) {
        EI_TRUEF(false, "one answer too many: %s", t->line);
    }
    close(t->from);
    EI_TRUE(wait4(t->pid, &status, 0, &usage) == t->pid);
    if (peak_kib != NULL) {
        *peak_kib = usage.ru_maxrss;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *talk_ask(struct talk *t, const char *line)
{
    return talk_say(t, line, strlen(line)) && talk_say(t, "\n", 1) ? talk_hear(t) : NULL;
}

/* ---- reading answers ---- */

json_t *parsed(const char *answer)
{
    json_error_t error;
    json_t *root = answer != NULL ? json_loads(answer, JSON_REJECT_DUPLICATES, &error) : NULL;
    EI_TRUEF(json_is_object(root), "no JSON object: %s", answer != NULL ? answer : "(nothing)");
    return root;
}

static void plan_text(const json_t *root, char *out, size_t size)
{
    char *text = json_dumps(json_object_get(root, "plan"), JSON_COMPACT | JSON_ENCODE_ANY);
    snprintf(out, size, "%s", text != NULL ? text : "(no plan)");
    free(text);
}

double real_of(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    return EI_TRUEF(json_is_number(value), "%s is no number", key) ? json_number_value(value) : (double)NAN;
}

void check_answer(const char *answer, const char *plan, double expectation, bool is_exact)
{
    char text[512];
    json_t *root = parsed(answer);
    plan_text(root, text, sizeof text);
    EI_STREQ(text, plan);
    EI_NEAR(real_of(root, "expectation"), expectation, 1e-12);
    const json_t *exact = json_object_get(root, "exact"), *search_ns = json_object_get(root, "search_ns");
    EI_TRUEF(json_is_boolean(exact) && json_is_true(exact) == is_exact, "exact in %s", answer);
    EI_TRUEF(json_is_integer(search_ns) && json_integer_value(search_ns) >= 0, "search_ns in %s", answer);
    EI_EQ(json_object_size(root), 4);
    json_decref(root);
}

void check_refusal(const char *answer, int64_t line, const char *field, const char *said)
{
    json_t *root = parsed(answer), *error = json_object_get(root, "error");
    const char *named = json_string_value(json_object_get(error, "field"));
    const char *message = json_string_value(json_object_get(error, "message"));
    EI_EQ(json_integer_value(json_object_get(error, "line")), line);
    if (field == NULL) {
        EI_TRUEF(json_is_null(json_object_get(error, "field")), "a field in %s", answer);
    } else {
        EI_STREQ(named, field);
        EI_CONTAINS(message, field);
    }
    EI_CONTAINS(message, said);
    EI_EQ(json_object_size(root), 1);
    EI_EQ(json_object_size(error), 3);
    json_decref(root);
}
