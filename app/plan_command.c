/* einet plan: which exits to compute, for one problem or for a stream of them (docs/plan.md). */
#include "app/commands.h"
#include "command/options.h"
#include "app/plan_explain.h"
#include "app/plan_json.h"
#include "app/plan_lines.h"
#include "rt/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEARCH_CALLS_MAX 5
#define SEARCH_REPEAT_LIMIT_NS EI_NS_PER_MS /* no further call of a search that took so long altogether */

struct arguments {
    bool is_batch, is_explained, is_json;
    const char *path; /* NULL = standard input */
};

#define FIELD(field) EINET_FIELD(struct arguments, field)

static const struct einet_option rows[] = {
    {.name = "batch",
     FIELD(is_batch),
     .help = "one problem a line, one answer a line, each as soon as its line is read; a bad line gets an error object "
             "in place of an answer and the next line is read"},
    {.name = "explain",
     FIELD(is_explained),
     .help = "say for a person why each exit is taken or skipped, with a drawing"},
    {.name = "json", FIELD(is_json), .help = "answers are JSON always; this is taken so that all commands take it"},
};

static const struct einet_usage usage = {
    .command = "plan",
    .head =
        "usage: einet plan [--batch | --explain] [FILE]\n"
        "\n"
        "Choose the exits of a multi-exit network that a job should compute, given block times, expected scores and\n"
        "what is known of the time at which it will be stopped. FILE holds one problem as a JSON object; without "
        "FILE\n"
        "or with -, standard input does. Answers "
        "{\"plan\":[..],\"expectation\":x,\"exact\":b,\"search_ns\":t}.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 all planned, 1 usage, 2 a bad file or at least one bad line, 5 anything else\n"
            "\n"
            "example: echo '{\"conv_ns\":[100,200],\"branch_ns\":[10,20],\"score\":[0.5,0.9],\"exit_time\":\n"
            "         {\"kind\":\"uniform\",\"horizon_ns\":600}}' | einet plan\n",
    .operands_max = 1,
    .too_many = "one FILE is read, not also ",
};

/* Everything that a problem needs, allocated once: the memory of a batch does not grow. */
struct planner {
    struct ei_plan_lines lines;
    struct ei_plan_request request;
    struct ei_plan_refusal refusal;
    struct ei_plan_workspace workspace;
    struct ei_plan plan;
    int64_t search_ns;
};

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *out)
{
    struct einet_arguments given;
    const int status = einet_options_read(&usage, argc, argv, out, &given);
    if (status >= 0) {
        return status;
    }
    if (out->is_explained && (out->is_batch || out->is_json)) {
        return einet_options_refuse(&usage, "--explain is for one problem and for a person, so without --%s",
                                    out->is_batch ? "batch" : "json");
    }
    if (given.operand_count > 0 && strcmp(given.operands[0], "-") != 0) {
        out->path = given.operands[0];
    }
    return -1;
}

/* Search and measure the shortest of a few calls. Returns false with a refusal. */
static bool search(struct planner *p)
{
    const struct ei_mono begin = ei_mono_now();
    p->search_ns = INT64_MAX;
    for (int call = 0; call < SEARCH_CALLS_MAX; call++) {
        const struct ei_mono before = ei_mono_now();
        const int status = ei_plan_search(&p->request.problem, p->request.search, &p->workspace, &p->plan);
        const struct ei_mono after = ei_mono_now();
        if (status != 0) {
            return ei_plan_refuse(&p->refusal, "", "must be one that the search can solve (%s)",
                                  einet_error_text(status));
        }
        const int64_t call_ns = ei_mono_diff_ns(after, before);
        p->search_ns = call_ns < p->search_ns ? call_ns : p->search_ns;
        if (ei_mono_diff_ns(after, begin) >= SEARCH_REPEAT_LIMIT_NS) {
            break;
        }
    }
    return true;
}

/* Plan what the reader handed over. Returns false with a refusal. */
static bool plan_line(struct planner *p, enum ei_plan_line kind)
{
    if (kind == EI_PLAN_LINE_TOO_LONG) {
        return ei_plan_refuse(&p->refusal, "", "must have at most %zu bytes", EI_PLAN_LINE_MAX);
    }
    return ei_plan_request_read(p->lines.text, p->lines.length, &p->request, &p->refusal) && search(p);
}

static int report_read_failure(const struct arguments *arguments)
{
    struct einet_error err = {0};
    const int code = -errno;
    einet_error_set_at(&err, code, arguments->path ? arguments->path : "-", 0, 0, "cannot be read: %s",
                       einet_error_text(code));
    return einet_report_error("plan", &err);
}

static int plan_batch(struct planner *p, const struct arguments *arguments)
{
    int status = EINET_EXIT_OK;
    for (;;) {
        const enum ei_plan_line kind = ei_plan_lines_next(&p->lines);
        if (kind == EI_PLAN_LINE_END) {
            return status;
        }
        if (kind == EI_PLAN_LINE_FAILED) {
            return report_read_failure(arguments);
        }
        if (plan_line(p, kind)) {
            ei_plan_answer_write(&p->request, &p->plan, p->search_ns, stdout);
        } else {
            ei_plan_refusal_write(p->lines.line, &p->refusal, stdout);
            status = EINET_EXIT_BAD_FILE;
        }
        if (fflush(stdout) != 0) {
            return status; /* nobody listens any more: reported with the status of the stream */
        }
    }
}

static int plan_one(struct planner *p, const struct arguments *arguments)
{
    p->lines.is_whole_file = true;
    const enum ei_plan_line kind = ei_plan_lines_next(&p->lines);
    if (kind == EI_PLAN_LINE_FAILED) {
        return report_read_failure(arguments);
    }
    if (!plan_line(p, kind)) {
        struct einet_error err = {0};
        einet_error_set_at(&err, EINET_E_FILE, arguments->path ? arguments->path : "-", p->refusal.line,
                           p->refusal.column, "%s", p->refusal.message);
        return einet_report_error("plan", &err);
    }
    if (arguments->is_explained) {
        ei_plan_explain(&p->request, &p->plan, p->search_ns, stdout);
    } else {
        ei_plan_answer_write(&p->request, &p->plan, p->search_ns, stdout);
    }
    return EINET_EXIT_OK;
}

int einet_plan_command(int argc, char **argv)
{
    struct arguments arguments = {.path = NULL};
    int status = parse_arguments(argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    struct planner *p = calloc(1, sizeof *p);
    if (!p) {
        fputs("einet plan: no memory\n", stderr);
        return EINET_EXIT_FAULT;
    }
    p->lines.fd = arguments.path ? open(arguments.path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (p->lines.fd < 0) {
        status = report_read_failure(&arguments);
    } else {
        status = arguments.is_batch ? plan_batch(p, &arguments) : plan_one(p, &arguments);
    }
    if (arguments.path && p->lines.fd >= 0) {
        close(p->lines.fd);
    }
    free(p);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "einet plan: the answers cannot be written: %s\n", strerror(errno));
        return EINET_EXIT_FAULT;
    }
    return status;
}
