/* See collector.h: create, destroy, counts so far. What a record changes is in collector_add.c, the end in finish.c. */
#include "metrics/collector_state.h"
#include "metrics/run_json.h"
#include "metrics/stages_csv.h"

#include "rt/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* summary.json, summary.txt, latency.hlog and run.json of a task take some 10 KiB; what is changed in a run (4096 lines
 * at most) and the text of its workload the rest. */
#define RESERVE_BYTES ((size_t)1 << 20)
#define RESERVE_TASK_BYTES ((size_t)32 << 10)

const int64_t ei_metrics_bounds_ns[EI_METRICS_BOUNDS] = {
    50000,    100000,   250000,   500000,    1000000,   2500000,   5000000,    10000000,   16666667,
    25000000, 33333333, 50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 10000000000};

static json_t *degraded_json(const struct ei_metrics_run *run)
{
    json_t *array = json_array();
    int rc = array == NULL ? -1 : 0;
    for (int32_t i = 0; i < run->degraded_count; i++) {
        json_t *object = json_object();
        rc |= json_object_set_new(object, "reason", ei_json_text(run->degraded[i].reason));
        rc |= json_object_set_new(object, "fix", ei_json_text(run->degraded[i].fix));
        rc |= json_array_append_new(array, object);
    }
    if (rc != 0) {
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *machine_json(const struct ei_metrics_machine *machine)
{
    json_t *object = json_object();
    int rc = object == NULL ? -1 : 0;
    rc |= json_object_set_new(object, "hostname", ei_json_text(machine->hostname));
    rc |= json_object_set_new(object, "cpu_model", ei_json_text(machine->cpu_model));
    rc |= json_object_set_new(object, "cpus", json_integer(machine->cpus));
    rc |= json_object_set_new(object, "kernel", ei_json_text(machine->kernel));
    rc |= json_object_set_new(object, "libtorch", ei_json_text(machine->libtorch));
    for (int32_t i = 0; i < machine->more_count; i++) {
        rc |= json_object_set_new(object, machine->more[i].key, ei_json_text(machine->more[i].value));
    }
    if (rc != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static int check_task(const struct ei_metrics_task *task, struct einet_error *err)
{
    const struct ei_metrics_slo *slo = &task->slo;
    if (task->name == NULL || task->exits < 0 || task->exits > EI_METRICS_EXITS_MAX) {
        return einet_error_set(err, -EINVAL, "metrics need a task name and 0..%d exits", EI_METRICS_EXITS_MAX);
    }
    if (slo->mk_k < 0 || slo->mk_k > EI_METRICS_MK_MAX || slo->mk_m < 0 || (slo->mk_k > 0 && slo->mk_m >= slo->mk_k)) {
        return einet_error_set(err, -EINVAL, "task %s: mk needs 0 <= m < k <= %d", task->name, EI_METRICS_MK_MAX);
    }
    if (task->stage_count < 0 || task->stage_count > EI_METRICS_STAGES_MAX) {
        return einet_error_set(err, -EINVAL, "task %s: metrics take 0..%d stages", task->name, EI_METRICS_STAGES_MAX);
    }
    return 0;
}

/* What is said of its stages, and room for their records. */
static int init_stages(struct ei_metrics_task_state *state, const struct ei_metrics_task *task)
{
    state->stages = calloc((size_t)task->stage_count + 1, sizeof *state->stages);
    state->stage_sums = calloc((size_t)task->stage_count + 1, sizeof *state->stage_sums);
    int rc = state->stages != NULL && state->stage_sums != NULL ? 0 : -ENOMEM;
    for (int32_t i = 0; rc == 0 && i < task->stage_count; i++) {
        rc = ei_stages_csv_stage_init(&state->stages[i], i, task->stages[i].name, task->stages[i].is_network);
        state->stage_sums[i] =
            (struct ei_stage_sum){.name = strdup(task->stages[i].name), .is_network = task->stages[i].is_network};
        rc = state->stage_sums[i].name != NULL ? rc : -ENOMEM;
    }
    return rc == 0
               ? ei_held_stages_init(&state->held, task->slots > 0 ? task->slots : 1, task->stage_count, task->exits)
               : rc;
}

static int init_task(struct ei_metrics_task_state *state, const struct ei_metrics_task *task, int32_t n)
{
    state->spec = *task;
    state->spec.name = strdup(task->name);
    state->spec.stages = NULL;
    if (init_stages(state, task) != 0) {
        return -ENOMEM;
    }
    state->preempted_by = calloc((size_t)n, sizeof *state->preempted_by);
    if (state->spec.name == NULL || state->preempted_by == NULL ||
        ei_outcome_sequence_init(&state->sequence, EI_METRICS_REORDER_MAX, task->slo.mk_k) != 0) {
        return -ENOMEM;
    }
    ei_histogram_init(&state->response);
    ei_histogram_init(&state->tardiness);
    ei_histogram_init(&state->earliness);
    ei_histogram_init(&state->jitter);
    ei_histogram_init(&state->start_latency);
    ei_histogram_init(&state->lane_wait);
    ei_histogram_init(&state->blocking);
    ei_histogram_init(&state->switching);
    return 0;
}

/* A histogram for each CPU of the tasks: there a probe may run. */
static int init_noise(struct ei_collector *collector, const struct ei_cpuset *cpus)
{
    collector->cpu_noise = calloc((size_t)ei_cpuset_count(cpus) + 1, sizeof *collector->cpu_noise);
    if (collector->cpu_noise == NULL) {
        return -ENOMEM;
    }
    for (int cpu = ei_cpuset_next(cpus, 0); cpu >= 0; cpu = ei_cpuset_next(cpus, cpu + 1)) {
        struct ei_cpu_noise *noise = &collector->cpu_noise[collector->cpu_noise_count++];
        noise->cpu = cpu;
        ei_histogram_init(&noise->lateness);
    }
    return 0;
}

static int init_tasks(struct ei_collector *collector, const struct ei_metrics_task *tasks, int32_t n)
{
    struct ei_cpuset cpus = {0};
    int32_t slots_max = 1;
    collector->tasks = ei_memory_table((size_t)n, sizeof *collector->tasks);
    if (collector->tasks == NULL) {
        return -ENOMEM;
    }
    collector->task_count = n;
    for (int32_t i = 0; i < n; i++) {
        for (size_t word = 0; word < sizeof cpus.bits / sizeof cpus.bits[0]; word++) {
            cpus.bits[word] |= tasks[i].cpus.bits[word];
        }
        slots_max = tasks[i].slots > slots_max ? tasks[i].slots : slots_max;
        if (init_task(&collector->tasks[i], &tasks[i], n) != 0) {
            return -ENOMEM;
        }
    }
    if (collector->has_activities &&
        ei_activity_history_init(&collector->activities, n, slots_max, EI_METRICS_ACTIVITIES_KEPT) != 0) {
        return -ENOMEM;
    }
    if (collector->has_hlog && init_noise(collector, &cpus) != 0) {
        return -ENOMEM;
    }
    return ei_gap_history_init(&collector->gaps, &cpus, EI_METRICS_GAPS_KEPT);
}

/* Everything of the collector that is memory; the caller destroys it on failure. */
static int init_memory(struct ei_collector *collector, const struct ei_metrics_run *run,
                       const struct ei_metrics_task *tasks, int32_t n, const char *out_dir)
{
    collector->name = strdup(run->name);
    collector->version = strdup(run->version);
    collector->seed = run->seed;
    collector->t0_ns = run->t0_ns;
    collector->planned_ns = run->duration_ns;
    collector->warmup_ns = run->warmup_ns;
    collector->has_activities = run->has_activities;
    collector->is_probe_outranked = run->is_probe_outranked;
    collector->has_hlog = run->has_hlog && out_dir != NULL;
    collector->started_s = run->started_s;
    collector->machine = machine_json(&run->machine);
    collector->degraded = degraded_json(run);
    collector->out_dir = out_dir != NULL ? strdup(out_dir) : NULL;
    collector->expected = calloc((size_t)n, sizeof *collector->expected);
    collector->slos = calloc((size_t)n * EI_METRICS_SLO_KINDS, sizeof *collector->slos);
    ei_histogram_init(&collector->lateness);
    collector->lanes = calloc((size_t)run->lane_count + 1, sizeof *collector->lanes);
    bool has_lanes = collector->lanes != NULL && ei_stages_csv_lane_init(&collector->no_lane, NULL) == 0;
    for (int32_t i = 0; has_lanes && i < run->lane_count; i++) {
        struct ei_metrics_lane *lane = &collector->lanes[collector->lane_count++];
        lane->name = strdup(run->lanes[i]);
        has_lanes = lane->name != NULL && ei_stages_csv_lane_init(&lane->piece, run->lanes[i]) == 0;
    }
    if (!has_lanes) {
        return -ENOMEM;
    }
    if (collector->name == NULL || collector->version == NULL || collector->machine == NULL ||
        collector->degraded == NULL || collector->expected == NULL || collector->slos == NULL ||
        (out_dir != NULL && collector->out_dir == NULL)) {
        return -ENOMEM;
    }
    return init_tasks(collector, tasks, n);
}

/* Its head is written at once, the lines by a thread of their own when the run is a live one. */
static int open_lines(const struct ei_collector *collector, const struct ei_metrics_run *run, struct ei_line_file *file,
                      const char *name, const char *head, struct einet_error *err)
{
    struct ei_csv_line line;
    int rc = ei_line_file_open(file, collector->out_dir, name, err);
    for (int32_t i = 0; rc == 0 && i < run->degraded_count; i++) {
        ei_csv_degraded(&line, &run->degraded[i]);
        rc = ei_line_file_head(file, line.text, line.length, err);
    }
    if (rc == 0 && run->is_probe_outranked && head == ei_jobs_csv_head) { /* the file with columns about gaps */
        ei_csv_outranked(&line);
        rc = ei_line_file_head(file, line.text, line.length, err);
    }
    if (rc == 0) {
        rc = ei_line_file_head(file, head, strlen(head), err);
    }
    return rc == 0 && run->has_writers ? ei_line_file_queue(file, &run->writer_cpus, err) : rc;
}

/* Lines of jobs.csv may fill the disk; the figures and run.json come after them and are written all the same. */
static int reserve_room(struct ei_collector *collector, struct einet_error *err)
{
    const size_t bytes = RESERVE_BYTES + (size_t)collector->task_count * RESERVE_TASK_BYTES;
    return ei_output_file_reserve(&collector->reserve, collector->out_dir, "reserve", bytes, err);
}

static int open_files(struct ei_collector *collector, const struct ei_metrics_run *run, bool jobs_csv,
                      struct einet_error *err)
{
    if (collector->out_dir == NULL) {
        return 0;
    }
    int rc = ei_output_folder_create(collector->out_dir, err);
    if (rc == 0 && run->has_writers) {
        rc = reserve_room(collector, err);
    }
    if (rc == 0 && jobs_csv) {
        rc = open_lines(collector, run, &collector->jobs_csv, "jobs.csv", ei_jobs_csv_head, err);
        collector->has_jobs_csv = rc == 0;
    }
    if (rc == 0 && run->has_stages_csv) {
        rc = open_lines(collector, run, &collector->stages_csv, "stages.csv", ei_stages_csv_head, err);
        collector->has_stages_csv = rc == 0;
        collector->has_stage_sums = rc == 0 && run->has_writers;
    }
    return rc;
}

int ei_collector_create(const struct ei_metrics_run *run, const struct ei_metrics_task *tasks, int32_t n,
                        const char *out_dir, bool jobs_csv, struct ei_collector **out_collector,
                        struct einet_error *err)
{
    if (run->name == NULL || run->version == NULL || n < 1 || n > EI_METRICS_TASKS_MAX) {
        return einet_error_set(err, -EINVAL, "metrics need a run name, a version and 1..%d tasks",
                               EI_METRICS_TASKS_MAX);
    }
    for (int32_t i = 0; i < n; i++) {
        const int rc = check_task(&tasks[i], err);
        if (rc != 0) {
            return rc;
        }
    }
    struct ei_collector *collector = calloc(1, sizeof *collector);
    if (collector == NULL || init_memory(collector, run, tasks, n, out_dir) != 0) {
        ei_collector_destroy(collector);
        return einet_error_set(err, -ENOMEM, "out of memory for the figures of %d tasks", n);
    }
    const int rc = open_files(collector, run, jobs_csv, err);
    if (rc != 0) {
        ei_collector_destroy(collector);
        return rc;
    }
    *out_collector = collector;
    return 0;
}

void ei_collector_set_t0(struct ei_collector *collector, int64_t t0_ns)
{
    collector->t0_ns = t0_ns;
}

void ei_collector_set_trace(struct ei_collector *collector, struct ei_trace *trace)
{
    collector->trace = trace;
    if (json_array_size(collector->degraded) > 0) {
        ei_trace_mark_degraded(trace);
    }
}

void ei_collector_work(struct ei_collector *collector)
{
    if (collector->trace != NULL) {
        ei_trace_work(collector->trace);
    }
}

void ei_collector_destroy(struct ei_collector *collector)
{
    if (collector == NULL) {
        return;
    }
    ei_line_file_discard(&collector->jobs_csv);
    ei_line_file_discard(&collector->stages_csv);
    ei_output_file_discard(&collector->reserve);
    ei_trace_destroy(collector->trace);
    for (int32_t i = 0; i < collector->task_count; i++) {
        struct ei_metrics_task_state *task = &collector->tasks[i];
        free((char *)task->spec.name);
        for (int32_t k = 0; task->stages != NULL && k < task->spec.stage_count; k++) {
            ei_stages_csv_stage_fini(&task->stages[k]);
        }
        free(task->stages);
        for (int32_t k = 0; task->stage_sums != NULL && k < task->spec.stage_count; k++) {
            free(task->stage_sums[k].name);
        }
        free(task->stage_sums);
        ei_held_stages_fini(&task->held);
        free(task->preempted_by);
        ei_outcome_sequence_fini(&task->sequence);
    }
    for (int32_t i = 0; i < collector->lane_count; i++) {
        free(collector->lanes[i].name);
        ei_csv_piece_fini(&collector->lanes[i].piece);
    }
    free(collector->lanes);
    ei_csv_piece_fini(&collector->no_lane);
    free(collector->cpu_noise);
    free(collector->tasks);
    ei_gap_history_fini(&collector->gaps);
    ei_activity_history_fini(&collector->activities);
    json_decref(collector->machine);
    json_decref(collector->degraded);
    json_decref(collector->changes);
    free(collector->name);
    free(collector->version);
    free(collector->out_dir);
    free(collector->expected);
    free(collector->loads);
    free(collector->lane_busy_ns);
    free(collector->slos);
    free(collector);
}

struct ei_metrics_progress ei_collector_progress(const struct ei_collector *collector, int32_t task_idx)
{
    const struct ei_metrics_task_state *task = &collector->tasks[task_idx];
    return (struct ei_metrics_progress){.released = task->completed + task->aborted,
                                        .completed = task->completed,
                                        .aborted = task->aborted,
                                        .skipped = task->skipped,
                                        .dropped = task->dropped,
                                        .misses = task->misses,
                                        .preemptions = task->preemptions,
                                        .answered = task->answered,
                                        .last_response_ns = task->last_response_ns};
}

int64_t ei_collector_released(const struct ei_collector *collector)
{
    int64_t released = 0;
    for (int32_t i = 0; i < collector->task_count; i++) {
        released += collector->tasks[i].completed + collector->tasks[i].aborted;
    }
    return released;
}

int64_t ei_collector_noise_max_ns(const struct ei_collector *collector)
{
    return ei_histogram_max_ns(&collector->lateness);
}

bool ei_collector_is_identity_ok(const struct ei_collector *collector)
{
    for (int32_t i = 0; i < collector->task_count; i++) {
        if (ei_metrics_seen(&collector->tasks[i]) != collector->expected[i]) {
            return false;
        }
    }
    return true;
}
