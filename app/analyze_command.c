/* einet analyze: response-time bounds of a workload file. */
#include "app/commands.h"
#include "command/options.h"
#include "engine/analyze.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS_MAX 1024

struct arguments {
    const char *file;
    struct ei_analysis_options options;
    bool is_json;
};

#define POLICIES                                                                                                       \
    [EI_ANALYSIS_FIXED_PRIORITY] = "fixed_priority", [EI_ANALYSIS_RATE_MONOTONIC] = "rate_monotonic",                  \
    [EI_ANALYSIS_DEADLINE_MONOTONIC] = "deadline_monotonic", [EI_ANALYSIS_AUDSLEY] = "audsley",                        \
    [EI_ANALYSIS_EDF] = "edf"
static const char *const policies[] = {POLICIES};

#define FIELD(field) EINET_FIELD(struct arguments, field)

static const struct einet_option rows[] = {
    {.name = "policy",
     .argument = "P",
     FIELD(options.policy),
     .words = {POLICIES},
     .help = "fixed_priority (default: as the file says, also when it says edf), rate_monotonic, deadline_monotonic, "
             "audsley (search for an order that holds), edf (lanes by absolute deadline, CPUs deadline monotonic)"},
    {.name = "times",
     .argument = "Q",
     FIELD(options.quantile),
     .words = {[EI_TIME_P99] = "p99", [EI_TIME_MAX] = "max"},
     .help = "quantile of measured and emulated times: p99 (default) or max; emulated ones have p99 only"},
    {.name = "ops-time",
     .argument = "D",
     FIELD(options.ops_ns),
     .expected = "a time with a unit, such as 200us",
     .help = "time of a stage of operations that has no budget, such as 200us"},
    {.name = "cpus",
     .argument = "N",
     FIELD(options.cpus),
     .low = 1,
     .high = CPUS_MAX,
     .help = "CPUs of the machine (default: as many as the file names, at least 2)"},
    {.name = "json", FIELD(is_json), .help = "print the result as JSON"},
};

static const struct einet_usage usage = {
    .command = "analyze",
    .head =
        "usage: einet analyze FILE [--policy P] [--times p99|max] [--ops-time D] [--cpus N] [--json]\n\n"
        "Bound the response time of every task of a workload file (einet-workload(5)) before it runs: blocking by "
        "lower\n"
        "blocks, interference, jitter, lane waits. For a multi-exit network also the bound of its first exit, and how "
        "many\n"
        "exits to expect. Then load per CPU and lane against the cap, and how far each task is from its limit. "
        "Execution\n"
        "times come from `work: {spin}`, budgets, `emulate`, or the profile beside a model's weights. docs/analysis.md "
        "has\n"
        "the model and its sources.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot =
        "exit status: 0 every deadline is guaranteed, 1 usage, 2 bad file or times missing, 4 some deadline is not, "
        "5 fault\n\n"
        "example: einet analyze configs/exit-times.yaml\n",
    .operands_min = 1,
    .operands_max = 1,
    .too_few = "which workload file?",
    .too_many = "one workload file only, not also ",
};

/* ---- JSON ---- */

static json_t *bound_json(int64_t ns)
{
    return ns >= 0 ? json_integer(ns) : json_null();
}

static json_t *share_json(int64_t ppm)
{
    return json_real((double)ppm / 1e6);
}

static json_t *task_json(const struct ei_analysis_task *task)
{
    json_t *out = json_object();
    json_object_set_new(out, "name", json_string(task->spec->name));
    json_object_set_new(out, "response_bound_ns", bound_json(task->response_ns));
    json_object_set_new(out, "deadline_ns", bound_json(task->spec->deadline_ns));
    json_object_set_new(out, "schedulable", task->is_bounded ? json_boolean(task->is_schedulable) : json_null());
    json_object_set_new(out, "mandatory_bound_ns", bound_json(task->mandatory_ns));
    json_object_set_new(out, "guaranteed", task->is_bounded ? json_boolean(task->is_guaranteed) : json_null());
    json_object_set_new(out, "blocking_ns", json_integer(task->blocking_ns));
    json_object_set_new(out, "wcet_ns", json_integer(task->wcet_ns));
    json_object_set_new(out, "times", json_string(task->times));
    json_object_set_new(out, "exits", json_integer(task->exits));
    json_object_set_new(out, "guaranteed_exits", json_integer(task->guaranteed_exits));
    json_object_set_new(out, "expected_exits", json_real(task->expected_exits));
    json_object_set_new(out, "largest_scale",
                        task->largest_scale_ppm >= 0 ? share_json(task->largest_scale_ppm) : json_null());
    json_object_set_new(out, "smallest_deadline_ns", bound_json(task->smallest_deadline_ns));
    return out;
}

static json_t *cpus_json(const struct ei_analysis_cpus *cpus)
{
    char list[256];
    json_t *out = json_object();
    ei_cpuset_format(&cpus->cpus, list, sizeof list);
    json_object_set_new(out, "cpus", json_string(list));
    json_object_set_new(out, "utilisation", share_json(cpus->used_ppm));
    json_object_set_new(out, "mandatory_utilisation", share_json(cpus->mandatory_ppm));
    json_object_set_new(out, "cap", share_json(cpus->cap_ppm));
    json_object_set_new(out, "below_cap", json_boolean(cpus->is_below_cap));
    return out;
}

static json_t *lane_json(const struct ei_analysis_lane *lane)
{
    json_t *out = json_object();
    json_object_set_new(out, "name", json_string(lane->spec->name));
    json_object_set_new(out, "utilisation", share_json(lane->used_ppm));
    json_object_set_new(out, "mandatory_utilisation", share_json(lane->mandatory_ppm));
    json_object_set_new(out, "cap", share_json(lane->cap_ppm));
    json_object_set_new(out, "longest_block_ns", json_integer(lane->longest_block_ns));
    json_object_set_new(out, "below_cap", json_boolean(lane->is_below_cap));
    return out;
}

static int print_json(const struct ei_analysis *analysis)
{
    json_t *root = json_object(), *tasks = json_array(), *cpus = json_array(), *lanes = json_array();
    for (int32_t i = 0; i < analysis->task_count; i++) {
        json_array_append_new(tasks, task_json(&analysis->tasks[i]));
    }
    for (int32_t i = 0; i < analysis->cpus_count; i++) {
        json_array_append_new(cpus, cpus_json(&analysis->cpus[i]));
    }
    for (int32_t i = 0; i < analysis->lane_count; i++) {
        json_array_append_new(lanes, lane_json(&analysis->lanes[i]));
    }
    json_object_set_new(root, "schema", json_integer(1));
    json_object_set_new(root, "policy", json_string(policies[analysis->policy]));
    json_object_set_new(root, "times", json_string(analysis->quantile == EI_TIME_MAX ? "max" : "p99"));
    json_object_set_new(root, "guaranteed", json_boolean(analysis->is_guaranteed));
    json_object_set_new(root, "tasks", tasks);
    json_object_set_new(root, "cpus", cpus);
    json_object_set_new(root, "lanes", lanes);
    const int rc = json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
    return rc;
}

/* ---- the table ---- */

static const char *in_ms(int64_t ns, char out_text[32])
{
    if (ns < 0) {
        return "none";
    }
    snprintf(out_text, 32, "%.3f", (double)ns / 1e6);
    return out_text;
}

static const char *verdict(const struct ei_analysis_task *task)
{
    if (!task->is_bounded) {
        return "not real-time";
    }
    if (task->spec->deadline_ns == EI_NONE_NS) {
        return "no deadline";
    }
    return task->is_schedulable ? "ok" : task->is_guaranteed ? "answers" : "MAY MISS";
}

static void print_task(const struct ei_analysis_task *task)
{
    char response[32], deadline[32], mandatory[32], blocking[32], wcet[32], exits[48] = "-", scale[32] = "-";
    if (!task->is_bounded) {
        printf("%-16s %9s %9s %9s %9s %9s  %-15s %7s  %s\n", task->spec->name, "-", "-", "-", "-", "-", "-", "-",
               verdict(task));
        return;
    }
    if (task->exits > 0) {
        snprintf(exits, sizeof exits, "%d/%.2f of %d", task->guaranteed_exits, task->expected_exits, task->exits);
    }
    if (task->largest_scale_ppm >= 0) {
        const bool is_cut = task->largest_scale_ppm >= EI_ANALYSIS_SCALE_MAX_PPM;
        snprintf(scale, sizeof scale, "%s%.2f", is_cut ? ">" : "", (double)task->largest_scale_ppm / 1e6);
    }
    printf("%-16s %9s %9s %9s %9s %9s  %-15s %7s  %s\n", task->spec->name, in_ms(task->wcet_ns, wcet),
           in_ms(task->blocking_ns, blocking), in_ms(task->mandatory_ns, mandatory), in_ms(task->response_ns, response),
           in_ms(task->spec->deadline_ns, deadline), exits, scale, verdict(task));
}

static void print_loads(const struct ei_analysis *analysis)
{
    char list[256], block[32];
    for (int32_t i = 0; i < analysis->cpus_count; i++) {
        const struct ei_analysis_cpus *cpus = &analysis->cpus[i];
        const bool is_group = ei_cpuset_count(&cpus->cpus) > 1;
        ei_cpuset_format(&cpus->cpus, list, sizeof list);
        printf("%s %s: load %.3f, mandatory %.3f, cap %.3f%s%s\n", is_group ? "CPUs" : "CPU", list,
               (double)cpus->used_ppm / 1e6, (double)cpus->mandatory_ppm / 1e6, (double)cpus->cap_ppm / 1e6,
               cpus->is_below_cap                    ? ""
               : cpus->mandatory_ppm > cpus->cap_ppm ? ", OVER"
                                                     : ", elastic tasks leave early",
               is_group ? " (bounded as one CPU: pin tasks for lower bounds)" : "");
    }
    for (int32_t i = 0; i < analysis->lane_count; i++) {
        const struct ei_analysis_lane *lane = &analysis->lanes[i];
        printf("lane %s: load %.3f, mandatory %.3f, cap %.3f, longest block %s ms%s\n", lane->spec->name,
               (double)lane->used_ppm / 1e6, (double)lane->mandatory_ppm / 1e6, (double)lane->cap_ppm / 1e6,
               in_ms(lane->longest_block_ns, block),
               lane->is_below_cap                    ? ""
               : lane->mandatory_ppm > lane->cap_ppm ? ", OVER"
                                                     : ", elastic tasks leave early");
    }
}

static void print_table(const struct ei_analysis *analysis)
{
    char text[256], bound[32];
    printf("%-16s %9s %9s %9s %9s %9s  %-15s %7s  %s\n", "task  [ms]", "WCET", "blocked", "1st exit", "response",
           "deadline", "exits sure/mean", "WCET x", "verdict");
    for (int32_t i = 0; i < analysis->task_count; i++) {
        print_task(&analysis->tasks[i]);
    }
    print_loads(analysis);
    for (int32_t i = 0; i < analysis->task_count; i++) {
        const struct ei_analysis_task *task = &analysis->tasks[i];
        ei_analysis_explain(analysis, i, text, sizeof text);
        if (text[0] != '\0') {
            printf("%s\n", text);
        } else if (task->is_bounded && task->spec->deadline_ns != EI_NONE_NS && task->smallest_deadline_ns >= 0 &&
                   task->smallest_deadline_ns < task->spec->deadline_ns) {
            printf("the deadline of '%s' could be %s ms\n", task->spec->name, in_ms(task->smallest_deadline_ns, bound));
        }
    }
    printf("%s; policy %s, times at %s:", analysis->is_guaranteed ? "every deadline is guaranteed" : "NOT guaranteed",
           policies[analysis->policy], analysis->quantile == EI_TIME_MAX ? "max" : "p99");
    for (int32_t i = 0; i < analysis->task_count; i++) {
        if (analysis->tasks[i].times[0] != '\0') {
            printf(" %s (%s)", analysis->tasks[i].spec->name, analysis->tasks[i].times);
        }
    }
    putchar('\n');
}

int einet_analyze_command(int argc, char **argv)
{
    struct arguments arguments = {.options = {.quantile = EI_TIME_P99, .ops_ns = EI_NONE_NS, .has_sensitivity = true}};
    struct einet_arguments given;
    const int read = einet_options_read(&usage, argc, argv, &arguments, &given);
    if (read >= 0) {
        return read;
    }
    arguments.file = given.operands[0];
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct ei_analysis *analysis = NULL;
    int rc = ei_workload_load(arguments.file, &wl, &diag);
    if (rc == 0) {
        rc = ei_analyze(wl, &arguments.options, &analysis, &diag);
        ei_diagnostics_sort(&diag);
    }
    if (rc == -ENOMEM) {
        fprintf(stderr, "einet analyze: no memory for %s\n", arguments.file);
        ei_workload_destroy(wl);
        return EINET_EXIT_FAULT;
    }
    ei_diagnostics_print(&diag, stderr);
    ei_diagnostics_fini(&diag);
    int status = EINET_EXIT_BAD_FILE;
    if (rc == 0) {
        status = analysis->is_guaranteed ? EINET_EXIT_OK : EINET_EXIT_SLO;
        if (!arguments.is_json) {
            print_table(analysis);
        } else if (print_json(analysis) < 0) {
            status = EINET_EXIT_FAULT;
        }
    }
    ei_analysis_destroy(analysis);
    ei_workload_destroy(wl);
    return status;
}
