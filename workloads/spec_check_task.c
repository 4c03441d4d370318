/* Checks of one task that need several of its fields, and its derived values. See spec_read.h. */
#include "workloads/spec_read.h"

#include "workloads/arrival.h"

#include <inttypes.h>
#include <string.h>

/* Node of stage i, or -1. */
static int32_t stage_node(const struct ei_spec_subject *s, int32_t stage_idx)
{
    const int32_t stages = ei_spec_subject_node(s, "stages", NULL);
    if (stages < 0 || ei_yaml_node(&s->rd->yaml, stages)->kind != EI_YAML_LIST) {
        return -1;
    }
    int32_t node = ei_yaml_node(&s->rd->yaml, stages)->first;
    for (int32_t i = 0; i < stage_idx && node >= 0; i++) {
        node = ei_yaml_node(&s->rd->yaml, node)->next;
    }
    return node;
}

/* ---- arrival, deadline, late releases ---- */

/* What exceeds min_interarrival needs a median below its mean to be lognormal, and no other distribution has one. */
static void check_median(struct ei_spec_subject *s)
{
    const struct ei_arrival_spec *a = &s->task->arrival;
    const int32_t node = ei_spec_subject_node(s, "arrival", "median");
    char text[EI_DURATION_TEXT_MAX], hint[EI_DIAGNOSTIC_TEXT_MAX];
    if ((int)a->dist != EI_ARRIVAL_LOGNORMAL) {
        if (a->median_ns != EI_NONE_NS && (int)a->dist != EI_SPEC_UNKNOWN) {
            ei_spec_error(s->rd, node, "write dist: lognormal, or remove it",
                          "the median of task '%s' belongs to dist lognormal", s->task->name);
        }
    } else if (a->median_ns == EI_NONE_NS) {
        ei_spec_error(s->rd, ei_spec_subject_node(s, "arrival", "dist"),
                      "add median: the median distance of two releases", "dist lognormal of task '%s' needs a median",
                      s->task->name);
    } else if (a->median_ns > 0 && a->min_interarrival_ns > 0 && a->mean_ns > 0 &&
               (a->median_ns <= a->min_interarrival_ns || a->median_ns > a->mean_ns)) {
        snprintf(hint, sizeof hint, "more than %s = min_interarrival, at most the mean",
                 ei_duration_format(a->min_interarrival_ns, text));
        ei_spec_error(s->rd, node, hint, "the median of task '%s' is not between min_interarrival and mean",
                      s->task->name);
    }
}

static void check_arrival(struct ei_spec_subject *s)
{
    struct ei_arrival_spec *a = &s->task->arrival;
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    char text[EI_DURATION_TEXT_MAX];
    if (ei_spec_subject_node(s, "arrival", "model") < 0) {
        return;
    }
    switch ((int)a->model) {
    case EI_ARRIVAL_PERIODIC:
        if (a->period_ns > 0 && a->jitter_ns >= a->period_ns) {
            snprintf(hint, sizeof hint, "less than %s", ei_duration_format(a->period_ns, text));
            ei_spec_error(s->rd, ei_spec_subject_node(s, "arrival", "jitter"), hint,
                          "the jitter of task '%s' reaches its period", s->task->name);
        }
        break;
    case EI_ARRIVAL_SPORADIC:
        if (a->min_interarrival_ns > 0 && a->mean_ns > 0 && a->mean_ns < a->min_interarrival_ns) {
            snprintf(hint, sizeof hint, "at least %s", ei_duration_format(a->min_interarrival_ns, text));
            ei_spec_error(s->rd, ei_spec_subject_node(s, "arrival", "mean"), hint,
                          "the mean of task '%s' is less than min_interarrival", s->task->name);
        } else {
            check_median(s);
        }
        break;
    case EI_ARRIVAL_BURST:
        if (a->period_ns > 0 && a->count > 0 && (a->count - 1) * a->spacing_ns >= a->period_ns) {
            snprintf(hint, sizeof hint, "(count - 1) * spacing must be less than period = %s",
                     ei_duration_format(a->period_ns, text));
            ei_spec_error(s->rd, ei_spec_subject_node(s, "arrival", "spacing"), hint,
                          "a burst of task '%s' reaches into the next one", s->task->name);
        }
        break;
    case EI_ARRIVAL_EXTERNAL: /* nobody knows better */
        a->mean_ns = a->min_interarrival_ns;
        break;
    case EI_ARRIVAL_APERIODIC:
        if (a->trace[0] != '\0') {
            ei_spec_read_trace(s->rd, a, ei_spec_subject_node(s, "arrival", "trace"));
        }
        break;
    default:
        break;
    }
}

int64_t ei_spec_interarrival_ns(const struct ei_arrival_spec *a)
{
    switch ((int)a->model) {
    case EI_ARRIVAL_PERIODIC:
        return a->period_ns;
    case EI_ARRIVAL_SPORADIC:
    case EI_ARRIVAL_EXTERNAL:
        return a->min_interarrival_ns;
    case EI_ARRIVAL_BURST:
        return a->period_ns > 0 ? a->period_ns : 0;
    default:
        return 0;
    }
}

static void check_deadline(struct ei_spec_subject *s)
{
    struct ei_task_spec *task = s->task;
    const struct ei_workload *wl = s->rd->wl;
    const int32_t head = ei_workload_chain_head(wl, (int32_t)(task - wl->tasks));
    const int64_t distance_ns = ei_spec_interarrival_ns(&wl->tasks[head].arrival);
    char text[EI_DURATION_TEXT_MAX];
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    const int32_t node = ei_spec_subject_node(s, "deadline", NULL);
    if (node < 0) {
        task->deadline_ns = distance_ns > 0 ? distance_ns : EI_NONE_NS;
        return;
    }
    /* The later tasks of a chain have less than the whole deadline: what comes in their way cannot be said here. */
    if (task->arrival.after_idx == EI_NONE_IDX && task->deadline_ns > distance_ns && distance_ns > 0 &&
        task->late_release.policy == EI_SPEC_LATE_SKIP && ei_spec_subject_node(s, "late_release", "queue") < 0 &&
        task->overlap == 1) {
        snprintf(hint, sizeof hint, "at most %s, or add late_release: { queue: 1, drop: oldest }, or overlap: 2",
                 ei_duration_format(distance_ns, text));
        ei_spec_error(s->rd, node, hint, "the deadline of task '%s' is longer than its period, which needs a queue",
                      task->name);
    }
}

/* ---- stages ---- */

static bool is_pre(enum ei_spec_op_kind kind)
{
    return kind == EI_SPEC_OP_DECODE || kind == EI_SPEC_OP_RESIZE || kind == EI_SPEC_OP_NORMALIZE;
}

static bool is_post(enum ei_spec_op_kind kind)
{
    return kind == EI_SPEC_OP_SOFTMAX || kind == EI_SPEC_OP_ARGMAX || kind == EI_SPEC_OP_TOP5;
}

static void check_stage_names(struct ei_spec_subject *s)
{
    for (int32_t i = 0; i < s->task->stage_count; i++) {
        for (int32_t j = 0; j < i; j++) {
            if (s->task->stages[i].name[0] != '\0' && strcmp(s->task->stages[i].name, s->task->stages[j].name) == 0) {
                ei_spec_error(s->rd, ei_spec_node(s->rd, stage_node(s, i), "name", NULL), NULL,
                              "task '%s' has two stages named '%s'", s->task->name, s->task->stages[i].name);
                break;
            }
        }
    }
}

/* A cpu stage: op or work, and the path of append_file. */
static void check_cpu_stage(struct ei_spec_subject *s, int32_t i)
{
    struct ei_stage_spec *stage = &s->task->stages[i];
    const int32_t node = stage_node(s, i);
    const int32_t op = ei_spec_node(s->rd, node, "op", NULL);
    const int32_t work = ei_spec_node(s->rd, node, "work", NULL);
    bool is_appending = false;
    for (int32_t k = 0; k < stage->op_count; k++) {
        is_appending |= stage->ops[k].kind == EI_SPEC_OP_APPEND_FILE;
    }
    if (op >= 0 && work >= 0) {
        ei_spec_error(s->rd, work, "split it into two stages", "stage '%s' of task '%s' has both op and work",
                      stage->name, s->task->name);
    } else if (op < 0 && (work < 0 || stage->spin_ns == EI_NONE_NS)) {
        ei_spec_error(s->rd, work >= 0 ? work : node, "write op: normalize or work: { spin: 300us }",
                      "stage '%s' of task '%s' has nothing to do", stage->name, s->task->name);
    }
    if (stage->path[0] != '\0' && !is_appending && (op < 0 || stage->op_count > 0)) {
        ei_spec_error(s->rd, ei_spec_node(s->rd, node, "path", NULL), NULL, "'path' belongs to op append_file");
    }
    if (is_appending && stage->path[0] == '\0') {
        snprintf(stage->path, sizeof stage->path, "%s.log", s->task->name);
    }
    if (stage->budget_ns > 0 && stage->spin_ns > stage->budget_ns) {
        ei_spec_warn(s->rd, ei_spec_node(s->rd, node, "budget", NULL), NULL,
                     "the work of stage '%s' of task '%s' exceeds its budget", stage->name, s->task->name);
    }
}

/* Node of op k of stage i: the entry of a list, or the one value. */
static int32_t op_node(const struct ei_spec_subject *s, int32_t stage_idx, int32_t op_idx)
{
    int32_t node = ei_spec_node(s->rd, stage_node(s, stage_idx), "op", NULL);
    if (node >= 0 && ei_yaml_node(&s->rd->yaml, node)->kind == EI_YAML_LIST) {
        node = ei_yaml_node(&s->rd->yaml, node)->first;
        for (int32_t k = 0; k < op_idx && node >= 0; k++) {
            node = ei_yaml_node(&s->rd->yaml, node)->next;
        }
    }
    return node;
}

/* Before the network: decode, resize, normalize, each at most once and in this order; after it the others. */
static void check_op_order(struct ei_spec_subject *s)
{
    const int32_t nn = s->task->nn_stage_idx;
    int32_t last_pre = -1;
    for (int32_t i = 0; i < s->task->stage_count; i++) {
        const struct ei_stage_spec *stage = &s->task->stages[i];
        for (int32_t k = 0; k < stage->op_count; k++) {
            const int32_t node = op_node(s, i, k);
            const enum ei_spec_op_kind kind = stage->ops[k].kind;
            const char *name = ei_op_name(kind);
            if (is_post(kind) && (nn < 0 || i < nn)) {
                ei_spec_error(s->rd, node, "put it into a stage after the one of kind nn",
                              "op '%s' needs the output of a network", name);
            } else if (is_pre(kind) && nn >= 0 && i > nn) {
                ei_spec_error(s->rd, node, "put it into a stage before the one of kind nn",
                              "op '%s' comes after the network that needs it", name);
            } else if (is_pre(kind) && (int32_t)kind <= last_pre) {
                ei_spec_error(s->rd, node, "the order is decode, resize, normalize, each once",
                              "op '%s' comes too late in task '%s'", name, s->task->name);
            } else if (is_pre(kind)) {
                last_pre = (int32_t)kind;
                if (ei_input_is_result(&s->task->input)) {
                    ei_spec_error(s->rd, node, "take it out, or write message: image with width and height",
                                  "op '%s' works on pictures, and the input of task '%s' brings results", name,
                                  s->task->name);
                } else if (s->task->input.kind == EI_SPEC_INPUT_NONE) {
                    ei_spec_error(s->rd, node, "add input: { kind: generated }", "op '%s' needs an input in task '%s'",
                                  name, s->task->name);
                }
            }
        }
    }
}

static void check_network(struct ei_spec_subject *s)
{
    struct ei_task_spec *task = s->task;
    const struct ei_stage_spec *stage = &task->stages[task->nn_stage_idx];
    const int32_t node = stage_node(s, task->nn_stage_idx);
    const struct ei_model_spec *model = stage->model_idx >= 0 ? &s->rd->wl->models[stage->model_idx] : NULL;
    if (task->class_ == EI_SPEC_CLASS_OTHER) {
        ei_spec_error(s->rd, ei_spec_subject_node(s, "class", NULL), "leave class out",
                      "task '%s' of class other has an nn stage", task->name);
    }
    const char *named = model == NULL || model->kind == EI_SPEC_MODEL_EMULATE ? ""
                        : model->kind == EI_SPEC_MODEL_ZOO                    ? model->zoo
                                                                              : model->bundle;
    if (named[0] == '\0') {
        return;
    }
    if (ei_input_is_result(&task->input)) {
        ei_spec_error(
            s->rd, node,
            "leave the network in the run that has the pictures; one that needs none, of a program, stands in "
            "the place of an emulate: { ... } model",
            "stage '%s' of task '%s' runs a network on pictures, and the input of the task brings results", stage->name,
            task->name);
        return;
    }
    if (task->input.kind == EI_SPEC_INPUT_NONE) {
        ei_spec_error(s->rd, node, "add input: { kind: generated } to the task",
                      "task '%s' runs a network but has no input", task->name);
        return;
    }
    if (!ei_task_has_op(task, EI_SPEC_OP_NORMALIZE) && task->input.memory == EI_SPEC_MEMORY_HOST) {
        ei_spec_error(s->rd, node, "add a stage before it: { name: pre, kind: cpu, op: normalize }",
                      "stage '%s' of task '%s' needs a normalized picture", stage->name, task->name);
    }
    if (task->input.kind == EI_SPEC_INPUT_IMAGES && !ei_task_has_op(task, EI_SPEC_OP_DECODE)) {
        ei_spec_error(s->rd, ei_spec_subject_node(s, "input", NULL), "add it: op: [decode, resize: 32x32, normalize]",
                      "pictures of a folder need op decode in task '%s'", task->name);
    }
    const char *input = task->input.kind == EI_SPEC_INPUT_GENERATED ? "generated" : task->input.name;
    if (input[0] != '\0' && model->dataset[0] != '\0' && strcmp(input, model->dataset) != 0) {
        ei_spec_warn(s->rd, ei_spec_subject_node(s, "input", NULL), NULL,
                     "model '%s' was trained on %s but task '%s' feeds it %s: its answers will mean nothing",
                     model->name, model->dataset, task->name, input);
    }
}

/* Without a network these decide nothing: they go back to their defaults, so that equal behaviour is equal data. */
static void warn_idle(struct ei_spec_subject *s)
{
    static const char *const idle[] = {"on_preempt", "max_preemptions", "max_blocking", "planner", "rehearse"};
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++) {
        if (ei_spec_subject_node(s, idle[i], NULL) >= 0) {
            ei_spec_warn(s->rd, ei_spec_subject_node(s, idle[i], NULL), NULL,
                         "'%s' has no effect: task '%s' has no nn stage", idle[i], s->task->name);
        }
    }
    s->task->on_preempt = EI_SPEC_ON_PREEMPT_EXIT;
    s->task->max_preemptions = 0;
    s->task->max_blocking_ns = s->task->rehearse_ns = EI_NONE_NS;
    s->task->planner = s->rd->wl->planner;
}

/* Where the kernel preempts nobody asks a job at its boundaries, and there is nothing to choose from. */
static void check_kernel_lane(struct ei_spec_subject *s)
{
    static const char *const idle[] = {"on_preempt", "max_preemptions", "max_blocking"};
    struct ei_task_spec *task = s->task;
    const struct ei_stage_spec *stage = &task->stages[task->nn_stage_idx];
    const struct ei_lane_spec *lanes = s->rd->wl->lanes;
    if (stage->lane_idx < 0) {
        return;
    }
    int32_t kernel_idx = lanes[stage->lane_idx].preempt == EI_SPEC_LANE_PREEMPT_KERNEL ? stage->lane_idx : EI_NONE_IDX;
    for (int32_t i = 0; i < stage->more_lane_count && kernel_idx < 0; i++) {
        const int32_t lane_idx = stage->more_lanes[i];
        kernel_idx = lanes[lane_idx].preempt == EI_SPEC_LANE_PREEMPT_KERNEL ? lane_idx : EI_NONE_IDX;
    }
    if (kernel_idx < 0) {
        return;
    }
    if (stage->more_lane_count > 0) {
        ei_spec_error(s->rd, ei_spec_node(s->rd, stage_node(s, task->nn_stage_idx), "lane", NULL),
                      "nobody ever waits for it: name it alone",
                      "lane '%s' of task '%s' has preempt: kernel and stands in a list", lanes[kernel_idx].name,
                      task->name);
        return;
    }
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++) {
        if (ei_spec_subject_node(s, idle[i], NULL) >= 0) {
            ei_spec_warn(s->rd, ei_spec_subject_node(s, idle[i], NULL), NULL,
                         "'%s' has no effect: lane '%s' of task '%s' has preempt: kernel", idle[i],
                         lanes[kernel_idx].name, task->name);
        }
    }
    task->on_preempt = EI_SPEC_ON_PREEMPT_NONE;
    task->max_preemptions = 0;
    task->max_blocking_ns = EI_NONE_NS;
}

/* A network is captured for one device. */
static void check_device_lane(struct ei_spec_subject *s)
{
    const struct ei_task_spec *task = s->task;
    if (task->nn_stage_idx < 0 || task->stages[task->nn_stage_idx].more_lane_count == 0) {
        return;
    }
    const struct ei_stage_spec *stage = &task->stages[task->nn_stage_idx];
    const struct ei_lane_spec *lanes = s->rd->wl->lanes;
    for (int32_t i = 0; i <= stage->more_lane_count; i++) {
        const struct ei_lane_spec *lane = &lanes[i == 0 ? stage->lane_idx : stage->more_lanes[i - 1]];
        if (lane->kind == EI_SPEC_LANE_CUDA) {
            ei_spec_error(s->rd, ei_spec_node(s->rd, stage_node(s, task->nn_stage_idx), "lane", NULL),
                          "name it alone: a network is prepared for one GPU; another lane may be its fallback",
                          "lane '%s' of task '%s' is of kind cuda and stands in a list", lane->name, task->name);
            return;
        }
    }
}

static bool is_on_device(const struct ei_spec_subject *s)
{
    const int32_t lane_idx = s->task->stages[s->task->nn_stage_idx].lane_idx;
    return lane_idx >= 0 && s->rd->wl->lanes[lane_idx].kind == EI_SPEC_LANE_CUDA;
}

/* An emulated network may be cut anywhere, but not into any number of pieces. */
static void check_pieces(struct ei_spec_subject *s, const struct ei_model_spec *model)
{
    const struct ei_task_spec *task = s->task;
    int64_t pieces = 0;
    if (model == NULL || model->kind != EI_SPEC_MODEL_EMULATE || task->max_blocking_ns <= 0 ||
        task->on_preempt == EI_SPEC_ON_PREEMPT_NONE) {
        return;
    }
    for (int32_t i = 0; i < 2 * model->block_count; i++) {
        const struct ei_emulated_time *time = i % 2 == 0 ? &model->blocks[i / 2].conv : &model->blocks[i / 2].branch;
        pieces += time->p99_ns > task->max_blocking_ns ? (time->p99_ns - 1) / task->max_blocking_ns + 1 : 1;
    }
    if (pieces > EI_SPEC_PIECES_MAX) {
        ei_spec_error(
            s->rd, ei_spec_subject_node(s, "max_blocking", NULL), "give it more time",
            "model '%s' would be split into %lld pieces by the max_blocking of task '%s', and %d are the most",
            model->name, (long long)pieces, task->name, EI_SPEC_PIECES_MAX);
    }
}

/* The blocks of an emulated network; those of a real one are measured when it starts. A device runs them in pieces. */
static void check_blocking(struct ei_spec_subject *s)
{
    const struct ei_task_spec *task = s->task;
    const int32_t model_idx = task->stages[task->nn_stage_idx].model_idx;
    const struct ei_model_spec *model = model_idx >= 0 ? &s->rd->wl->models[model_idx] : NULL;
    char text[EI_DURATION_TEXT_MAX];
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    if (is_on_device(s)) {
        check_pieces(s, model);
        return;
    }
    for (int32_t i = 0; model != NULL && model->kind == EI_SPEC_MODEL_EMULATE && i < model->block_count; i++) {
        const int64_t conv_ns = model->blocks[i].conv.p99_ns, branch_ns = model->blocks[i].branch.p99_ns;
        const int64_t longest_ns = conv_ns > branch_ns ? conv_ns : branch_ns;
        if (task->max_blocking_ns > 0 && longest_ns > task->max_blocking_ns) {
            snprintf(hint, sizeof hint, "a block on a CPU cannot be split: give at least %s",
                     ei_duration_format(longest_ns, text));
            ei_spec_error(s->rd, ei_spec_subject_node(s, "max_blocking", NULL), hint,
                          "block %d of model '%s' takes longer than the max_blocking of task '%s'", i + 1, model->name,
                          task->name);
            return;
        }
    }
}

static void warn_overlap(struct ei_spec_subject *s)
{
    if (s->task->overlap > 1 && s->task->stage_count == 1) {
        ei_spec_warn(s->rd, ei_spec_subject_node(s, "overlap", NULL),
                     "for jobs that wait use late_release: { queue: 1, drop: oldest }",
                     "nothing of task '%s' can overlap: it has one stage, which serves one job at a time",
                     s->task->name);
    }
}

/* Before a release that is known, and by a thread that has no job. */
static void check_rehearsal(struct ei_spec_subject *s)
{
    const struct ei_task_spec *task = s->task;
    const int32_t node = ei_spec_subject_node(s, "rehearse", NULL);
    const int64_t distance_ns = ei_arrival_least_distance_ns(&task->arrival);
    char text[EI_DURATION_TEXT_MAX], hint[EI_DIAGNOSTIC_TEXT_MAX];
    if (task->rehearse_ns == EI_NONE_NS) {
        return;
    }
    if (task->arrival.model == EI_ARRIVAL_AFTER || task->arrival.model == EI_ARRIVAL_EXTERNAL) {
        ei_spec_error(s->rd, node, "leave it out, or let the task be released by the clock",
                      "task '%s' cannot rehearse: nobody knows before when it is released", task->name);
    } else if (task->overlap > 1) {
        ei_spec_error(s->rd, node, "leave it out, or overlap",
                      "task '%s' cannot rehearse while a job of it is in flight", task->name);
    } else if (distance_ns > 0 && task->rehearse_ns >= distance_ns) {
        snprintf(hint, sizeof hint, "less than %s", ei_duration_format(distance_ns, text));
        ei_spec_error(s->rd, node, hint, "task '%s' would rehearse all the time from one release to the next",
                      task->name);
    }
}

/* Each return to the first block may be preempted again; only a deadline or a limit ends that. */
static void warn_restart(struct ei_spec_subject *s)
{
    const struct ei_task_spec *task = s->task;
    const bool has_end = task->deadline_ns != EI_NONE_NS && task->on_deadline != EI_SPEC_ON_DEADLINE_FINISH;
    if (task->on_preempt == EI_SPEC_ON_PREEMPT_RESTART && task->max_preemptions == 0 && !has_end) {
        ei_spec_warn(s->rd, ei_spec_subject_node(s, "on_preempt", NULL), "add max_preemptions: 3",
                     "a job of task '%s' may restart for ever: nothing ends it", task->name);
    }
}

/* Recorded exit times and the source that reads them belong together. Either may be inherited: a task that takes its
 * exit times from elsewhere has no use for the file's recording, so it does not keep the path. */
static void check_exit_times(struct ei_spec_subject *s)
{
    struct ei_planner_spec *planner = &s->task->planner;
    const bool is_trace = planner->exit_time.word == EI_SPEC_EXIT_TIME_TRACE;
    const int32_t own = ei_spec_subject_node(s, "planner", "exit_times");
    const int32_t node = ei_spec_subject_node(s, "planner", NULL);
    if (is_trace && planner->exit_times[0] == '\0' && own < 0) {
        ei_spec_error(s->rd, node >= 0 ? node : s->node, "add exit_times: FILE, one time with unit a line",
                      "exit_time: trace of task '%s' needs exit_times", s->task->name);
    } else if (!is_trace && own >= 0 && planner->exit_time.word != EI_SPEC_UNKNOWN) {
        ei_spec_error(s->rd, own, "write exit_time: trace, or remove it",
                      "'exit_times' of task '%s' belongs to exit_time: trace", s->task->name);
    } else if (!is_trace) {
        memset(planner->exit_times, 0, sizeof planner->exit_times);
    }
}

/* What to do when a limit is passed needs a limit, and an exit needs a network. */
static void warn_idle_overrun(struct ei_spec_subject *s)
{
    const int32_t node = ei_spec_subject_node(s, "on_overrun", NULL);
    bool has_limit = false;
    for (int32_t i = 0; i < s->task->stage_count; i++) {
        has_limit |= s->task->stages[i].budget_ns != EI_NONE_NS || s->task->stages[i].timeout_ns != EI_NONE_NS;
    }
    if (node >= 0 && !has_limit) {
        ei_spec_warn(s->rd, node, NULL, "'on_overrun' has no effect: no stage of task '%s' has a budget or timeout",
                     s->task->name);
    } else if (node >= 0 && s->task->on_overrun == EI_SPEC_ON_OVERRUN_EXIT && s->task->nn_stage_idx < 0) {
        ei_spec_warn(s->rd, node, NULL, "on_overrun: exit is like finish: task '%s' has no nn stage", s->task->name);
    }
}

static void check_stages(struct ei_spec_subject *s)
{
    struct ei_task_spec *task = s->task;
    bool is_complete = true;
    int64_t budgets_ns = 0;
    task->nn_stage_idx = EI_NONE_IDX;
    check_stage_names(s);
    for (int32_t i = 0; i < task->stage_count; i++) {
        struct ei_stage_spec *stage = &task->stages[i];
        budgets_ns += stage->budget_ns > 0 ? stage->budget_ns : 0;
        if ((int)stage->kind == EI_SPEC_STAGE_CPU) {
            check_cpu_stage(s, i);
        } else if ((int)stage->kind != EI_SPEC_STAGE_NN) {
            is_complete = false;
        } else if (task->nn_stage_idx >= 0) {
            ei_spec_error(s->rd, stage_node(s, i), "make it a task of its own",
                          "task '%s' has more than one nn stage, this version runs one", task->name);
        } else {
            task->nn_stage_idx = i;
        }
    }
    if (task->deadline_ns > 0 && budgets_ns > task->deadline_ns) {
        char sum[EI_DURATION_TEXT_MAX];
        char limit[EI_DURATION_TEXT_MAX];
        const int32_t node = ei_spec_subject_node(s, "deadline", NULL);
        ei_spec_error(s->rd, node >= 0 ? node : s->node, "shorten the budgets or lengthen the deadline",
                      "the budgets of task '%s' add up to %s, more than its deadline of %s", task->name,
                      ei_duration_format(budgets_ns, sum), ei_duration_format(task->deadline_ns, limit));
    }
    if (is_complete && task->stage_count > 0) {
        check_op_order(s);
    }
    ei_spec_check_input(s->rd, (int32_t)(s->task - s->rd->wl->tasks));
    warn_idle_overrun(s);
    if (task->nn_stage_idx >= 0) {
        check_network(s);
        check_exit_times(s);
        check_kernel_lane(s);
        check_blocking(s);
        warn_restart(s);
    } else if (is_complete && task->stage_count > 0) {
        warn_idle(s);
        if (ei_spec_subject_node(s, "input", NULL) >= 0 && !ei_input_is_result(&task->input) &&
            !ei_task_has_picture_op(task)) {
            ei_spec_warn(s->rd, ei_spec_subject_node(s, "input", NULL), NULL, "no stage of task '%s' reads its input",
                         task->name);
        }
    }
}

/* ---- cpus and objectives ---- */

static void check_cpus(struct ei_spec_subject *s)
{
    struct ei_task_spec *task = s->task;
    const int32_t node = ei_spec_subject_node(s, "cpus", NULL);
    if (node >= 0) {
        task->cpus_place = ei_yaml_node(&s->rd->yaml, node)->place;
    }
    if (task->nn_stage_idx < 0 || task->stages[task->nn_stage_idx].lane_idx < 0) {
        return;
    }
    const struct ei_stage_spec *stage = &task->stages[task->nn_stage_idx];
    const struct ei_lane_spec *lane = &s->rd->wl->lanes[stage->lane_idx];
    if (lane->kind == EI_SPEC_LANE_CUDA && lane->fallback_idx >= 0) { /* there its blocks may run */
        lane = &s->rd->wl->lanes[lane->fallback_idx];
    }
    for (int32_t i = 0; i < stage->more_lane_count; i++) {
        const struct ei_lane_spec *other = &s->rd->wl->lanes[stage->more_lanes[i]];
        if (!ei_cpuset_is_equal(&other->cpus, &lane->cpus)) {
            ei_spec_error(s->rd, ei_spec_node(s->rd, stage_node(s, task->nn_stage_idx), "lane", NULL),
                          "give both the CPUs of both: a job's thread does not move with its lane",
                          "lanes '%s' and '%s' of task '%s' have different cpus", lane->name, other->name, task->name);
        }
        if (other->backend != lane->backend) {
            ei_spec_error(s->rd, ei_spec_node(s->rd, stage_node(s, task->nn_stage_idx), "lane", NULL),
                          "give both the same: a network is prepared once",
                          "lanes '%s' and '%s' of task '%s' have different backends", lane->name, other->name,
                          task->name);
        }
        if (other->threads != lane->threads) {
            ei_spec_error(s->rd, ei_spec_node(s->rd, stage_node(s, task->nn_stage_idx), "lane", NULL),
                          "give both the same: a network is prepared once",
                          "lanes '%s' and '%s' of task '%s' have different threads", lane->name, other->name,
                          task->name);
        }
    }
    if (lane->threads > 1 && !ei_cpuset_is_empty(&task->cpus) && !ei_cpuset_is_equal(&task->cpus, &lane->cpus)) {
        ei_spec_error(s->rd, node, "leave cpus out: the lane's CPUs are those of its threads",
                      "task '%s' has cpus of its own, and its lane '%s' runs with %d threads", task->name, lane->name,
                      lane->threads);
    }
    if (ei_cpuset_is_empty(&task->cpus)) {
        task->cpus = lane->cpus;
    } else if (!ei_cpuset_is_empty(&lane->cpus) && !ei_cpuset_is_inside(&task->cpus, &lane->cpus)) {
        char cpus[128];
        char hint[EI_DIAGNOSTIC_TEXT_MAX];
        ei_cpuset_format(&lane->cpus, cpus, sizeof cpus);
        snprintf(hint, sizeof hint, "leave cpus out, or choose from \"%s\"", cpus);
        ei_spec_error(s->rd, node, hint, "the cpus of task '%s' are not all in its lane '%s'", task->name, lane->name);
    }
}

static void check_slo(struct ei_spec_subject *s)
{
    const struct ei_task_spec *task = s->task;
    const struct ei_slo_spec *slo = &task->slo;
    const bool has_deadline = task->deadline_ns != EI_NONE_NS;
    if (slo->max_miss_ratio >= 0 && !has_deadline) {
        ei_spec_error(s->rd, ei_spec_subject_node(s, "slo", "max_miss_ratio"), "give the task a deadline",
                      "task '%s' has no deadline that it could miss", task->name);
    }
    if (slo->mk_k > 0 && !has_deadline) {
        ei_spec_error(s->rd, ei_spec_subject_node(s, "slo", "mk"), "give the task a deadline",
                      "task '%s' has no deadline that it could miss", task->name);
    }
    if (slo->min_coverage >= 0 && task->nn_stage_idx < 0 && task->stage_count > 0) {
        ei_spec_error(s->rd, ei_spec_subject_node(s, "slo", "min_coverage"), NULL,
                      "min_coverage needs an nn stage, task '%s' has none", task->name);
    }
    if (slo->min_accuracy >= 0) {
        const int32_t node = ei_spec_subject_node(s, "slo", "min_accuracy");
        if (task->nn_stage_idx < 0 && task->stage_count > 0) {
            ei_spec_error(s->rd, node, NULL, "min_accuracy needs an nn stage, task '%s' has none", task->name);
        } else if (task->input.kind == EI_SPEC_INPUT_NONE || task->input.kind == EI_SPEC_INPUT_TOPIC ||
                   ei_input_is_handed_in(&task->input)) {
            ei_spec_error(s->rd, node, NULL, "min_accuracy needs an input with labels, task '%s' has none", task->name);
        }
    }
}

void ei_spec_check_task(struct ei_spec_reader *rd, int32_t task_idx)
{
    struct ei_spec_subject s = {.rd = rd, .task = &rd->wl->tasks[task_idx], .node = rd->task_nodes[task_idx]};
    if (ei_yaml_node(&rd->yaml, s.node)->kind != EI_YAML_MAP) {
        return;
    }
    check_arrival(&s);
    check_deadline(&s);
    warn_overlap(&s);
    check_stages(&s);
    check_rehearsal(&s);
    check_device_lane(&s);
    check_cpus(&s);
    check_slo(&s);
    ei_spec_check_deadline_class(s.rd, task_idx);
}
