/* Spec -> objects. Everything that a job will touch exists, and is prefaulted, before its thread starts. */
#include "engine/change.h"
#include "engine/run_state.h"

#include "rt/memory.h"

#include <errno.h>
#include <string.h>

_Static_assert(EI_OVERLAP_MAX <= EI_JOB_SLOTS_MAX, "every job in flight has a slot");
_Static_assert(EI_STAGES_MAX <= EI_PIPELINE_STAGES_MAX, "every stage has its order");

static bool is_same_input(const struct ei_input_spec *a, const struct ei_input_spec *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0 && a->split == b->split &&
           strcmp(a->root, b->root) == 0 && strcmp(a->dir, b->dir) == 0 && a->seed == b->seed && a->count == b->count;
}

static int open_input(const struct ei_input_spec *spec, struct ei_dataset **out, struct einet_error *err)
{
    switch (spec->kind) {
    case EI_SPEC_INPUT_DATASET:
        return ei_dataset_open(spec->name, spec->split, spec->root[0] != '\0' ? spec->root : NULL, out, err);
    case EI_SPEC_INPUT_IMAGES:
        return ei_dataset_open_images(spec->dir, out, err);
    case EI_SPEC_INPUT_GENERATED:
        return ei_dataset_open_generated(spec->seed, spec->split, spec->count, out, err);
    case EI_SPEC_INPUT_NONE:
    case EI_SPEC_INPUT_CALLER:
    case EI_SPEC_INPUT_TOPIC:
        break;
    }
    return 0;
}

/* Tasks with the same input share it: it is immutable. */
static int build_input(struct ei_live_task *task, struct einet_error *err)
{
    struct ei_run *run = task->run;
    const struct ei_input_spec *spec = &task->spec->input;
    if (spec->kind == EI_SPEC_INPUT_TOPIC && run->tap == NULL) {
        return einet_error_set_at(err, EINET_E_USAGE, run->wl->file, spec->place.line, spec->place.column,
                                  "%s of task '%s' come from topic %s: run the file with einet-dds, which takes "
                                  "them from there, or give the task another input",
                                  ei_input_is_result(spec) ? "releases" : "pictures", task->spec->name, spec->topic);
    }
    if (spec->kind == EI_SPEC_INPUT_CALLER && run->tap == NULL) {
        return einet_error_set_at(err, EINET_E_USAGE, run->wl->file, spec->place.line, spec->place.column,
                                  "pictures of task '%s' come from a program that embeds the run (input: caller): "
                                  "write such a program, or give the task another input",
                                  task->spec->name);
    }
    if (spec->kind == EI_SPEC_INPUT_NONE || spec->kind == EI_SPEC_INPUT_TOPIC || ei_input_is_handed_in(spec)) {
        return 0;
    }
    struct ei_run_input *input = NULL;
    for (int32_t i = 0; i < run->input_count && input == NULL; i++) {
        input = is_same_input(run->inputs[i].spec, spec) ? &run->inputs[i] : NULL;
    }
    if (input == NULL) {
        input = &run->inputs[run->input_count];
        const int rc = open_input(spec, &input->dataset, err);
        if (rc < 0) {
            return rc;
        }
        input->spec = spec;
        run->input_count++;
    }
    task->dataset = input->dataset;
    if (spec->is_loop) {
        return 0;
    }
    const int64_t length_ns = run->wl->run.warmup_ns + run->duration_ns;
    const int32_t head = ei_workload_chain_head(run->wl, task->idx);
    const int64_t releases = ei_arrival_expected(&run->wl->tasks[head].arrival, run->wl->run.seed, head, 0, length_ns);
    const int32_t count = ei_dataset_info(task->dataset)->count;
    if (releases > count) {
        return einet_error_set_at(err, EINET_E_FILE, run->wl->file, spec->place.line, spec->place.column,
                                  "task '%s' releases %s%lld jobs but its input has %d samples: set loop: true or "
                                  "shorten the run",
                                  task->spec->name,
                                  run->wl->tasks[head].arrival.model == EI_ARRIVAL_EXTERNAL ? "up to " : "",
                                  (long long)releases, (int)count);
    }
    return 0;
}

static bool to_pre_op(const struct ei_op_spec *op, struct ei_pre_config *config)
{
    enum ei_pre_op pre;
    if (op->kind == EI_SPEC_OP_DECODE) {
        pre = EI_PRE_DECODE;
    } else if (op->kind == EI_SPEC_OP_RESIZE) {
        pre = EI_PRE_RESIZE;
        config->width_px = op->width_px;
        config->height_px = op->height_px;
    } else if (op->kind == EI_SPEC_OP_NORMALIZE) {
        pre = EI_PRE_NORMALIZE;
    } else {
        return false;
    }
    if (config->op_count < EI_PRE_OPS_MAX) {
        config->ops[config->op_count++] = pre;
    }
    return true;
}

/* The operations of all stages before the network make one pipeline; the last of those stages runs it. */
static int build_pre(struct ei_live_task *task, struct einet_error *err)
{
    struct ei_pre_config config = {0};
    task->pre_stage_idx = EI_NONE_IDX;
    if (task->nn.net != NULL) {
        const struct ei_network_info *info = ei_network_info(task->nn.net);
        config.width_px = info->width_px;
        config.height_px = info->height_px;
        config.channels = info->channels;
        memcpy(config.mean, info->norm_mean, sizeof config.mean);
        memcpy(config.std, info->norm_std, sizeof config.std);
    }
    for (int32_t i = 0; i < task->spec->stage_count && i != task->spec->nn_stage_idx; i++) {
        for (int32_t k = 0; k < task->spec->stages[i].op_count; k++) {
            if (to_pre_op(&task->spec->stages[i].ops[k], &config)) {
                task->pre_stage_idx = i;
            }
        }
    }
    const bool has_frames = ei_input_is_handed_in(&task->spec->input);
    if (task->pre_stage_idx == EI_NONE_IDX || task->nn.net == NULL || (task->dataset == NULL && !has_frames)) {
        task->pre_stage_idx = EI_NONE_IDX;
        return 0;
    }
    config.input_width_max_px = has_frames ? task->spec->input.width_px : ei_dataset_info(task->dataset)->width_px;
    config.input_height_max_px = has_frames ? task->spec->input.height_px : ei_dataset_info(task->dataset)->height_px;
    const struct ei_network_info *info = ei_network_info(task->nn.net);
    if (config.width_px != info->width_px || config.height_px != info->height_px) {
        const struct ei_place at = task->spec->stages[task->pre_stage_idx].place;
        return einet_error_set_at(err, EINET_E_MISMATCH, task->run->wl->file, at.line, at.column,
                                  "task '%s' resizes to %dx%d but its network takes %dx%d: write resize: %dx%d",
                                  task->spec->name, config.width_px, config.height_px, info->width_px, info->height_px,
                                  info->width_px, info->height_px);
    }
    if (has_frames && !task->frames->is_resized &&
        (config.input_width_max_px != info->width_px || config.input_height_max_px != info->height_px)) {
        const struct ei_place at = task->spec->input.place;
        return einet_error_set_at(err, EINET_E_MISMATCH, task->run->wl->file, at.line, at.column,
                                  "task '%s' gets pictures of %dx%d but its network takes %dx%d: add op resize: %dx%d",
                                  task->spec->name, config.input_width_max_px, config.input_height_max_px,
                                  info->width_px, info->height_px, info->width_px, info->height_px);
    }
    return ei_pre_create(&config, &task->pre, err);
}

int ei_run_make_tasks(struct ei_run *run, struct einet_error *err)
{
    const struct ei_workload *wl = run->wl;
    run->tasks = ei_memory_table((size_t)wl->task_count, sizeof *run->tasks);
    for (int32_t i = 0; i < wl->task_count; i++) {
        run->slot_count += wl->tasks[i].overlap;
    }
    run->slots = ei_memory_table((size_t)run->slot_count, sizeof *run->slots);
    if (run->tasks == NULL || run->slots == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for %d tasks", wl->task_count);
    }
    struct ei_job_slot *slot = run->slots;
    for (int32_t i = 0; i < wl->task_count; i++) {
        struct ei_live_task *task = &run->tasks[i];
        task->spec = &wl->tasks[i];
        task->run = run;
        task->idx = i;
        task->rt.last_nominal_ns = INT64_MIN;
        task->answer = run->tap != NULL ? &run->tap->answers[i] : &task->own_answer;
        ei_answer_init(task->answer);
        task->own_stages = run->tap != NULL ? run->tap->stages[i] : NULL;
        task->own_network =
            run->tap != NULL && run->tap->networks[i].config.run_block != NULL ? &run->tap->networks[i] : NULL;
        const bool has_frames =
            run->tap != NULL && run->tap->frames[i].count > 0 && !run->tap->frames[i].is_result; /* pictures */
        task->frames = has_frames ? &run->tap->frames[i] : NULL;
        task->slots = slot;
        task->slot_count = wl->tasks[i].overlap;
        for (int32_t k = 0; k < task->spec->stage_count; k++) {
            task->stage_names[k] = (struct ei_metrics_stage){
                .name = task->spec->stages[k].name, .is_network = task->spec->stages[k].kind == EI_SPEC_STAGE_NN};
        }
        ei_external_init(task);
        ei_settings_init(task);
        for (int32_t k = 0; k < task->slot_count; k++, slot++) {
            slot->task = task;
            slot->idx = (int32_t)(slot - run->slots);
            slot->cpu = EI_CPU_LOAD_NONE;
            slot->log_job_idx = -1;
            ei_watch_slot_init(slot);
        }
    }
    ei_chains_link(run);
    return 0;
}

/* Task options of the file as the scheduler's own. */
int ei_task_build_releases(struct ei_live_task *task, struct einet_error *err)
{
    const struct ei_late_spec *late = &task->spec->late_release;
    static const enum ei_late_policy policies[] = {
        [EI_SPEC_LATE_SKIP] = EI_LATE_SKIP,
        [EI_SPEC_LATE_DROP_OLDEST] = EI_LATE_DROP_OLDEST,
        [EI_SPEC_LATE_DROP_NEWEST] = EI_LATE_DROP_NEWEST,
    };
    const int rc = ei_release_init(&task->rt.releases, policies[late->policy], late->queue, task->slot_count);
    if (rc < 0) {
        return einet_error_set(err, rc, "task '%s': a queue of %d is not possible", task->spec->name, late->queue);
    }
    ei_pipeline_init(&task->pipeline, task->spec->stage_count);
    ei_arrival_init(&task->rt.arrival, &task->spec->arrival, task->run->wl->run.seed, task->idx);
    return 0;
}

/* A stage with operations on pictures or files is known by its budget alone; its author may know better in any case. */
int64_t ei_task_cpu_profile_ns(const struct ei_task_spec *spec)
{
    const int64_t class_op_ns = 20 * EI_NS_PER_US;
    int64_t sum_ns = 0;
    for (int32_t i = 0; i < spec->stage_count; i++) {
        const struct ei_stage_spec *stage = &spec->stages[i];
        bool is_known = true;
        int64_t stage_ns = stage->spin_ns != EI_NONE_NS ? stage->spin_ns : 0;
        for (int32_t k = 0; k < stage->op_count; k++) {
            const enum ei_spec_op_kind kind = stage->ops[k].kind;
            stage_ns += class_op_ns;
            is_known = is_known && (kind == EI_SPEC_OP_SOFTMAX || kind == EI_SPEC_OP_ARGMAX || kind == EI_SPEC_OP_TOP5);
        }
        if (stage->kind == EI_SPEC_STAGE_CPU && !is_known && stage->budget_ns == EI_NONE_NS) {
            return -1;
        }
        sum_ns += is_known ? stage_ns : stage->budget_ns;
    }
    return sum_ns;
}

/* Releases that pauses kept from the task, its own and those of the tasks before it in its chain. */
static int64_t unexpected_so_far(const struct ei_live_task *task)
{
    const struct ei_workload *wl = task->run->wl;
    int32_t i = task->idx;
    int64_t sum = task->run->tasks[i].changes.unexpected;
    while (wl->tasks[i].arrival.model == EI_ARRIVAL_AFTER) {
        i = wl->tasks[i].arrival.after_idx;
        sum += task->run->tasks[i].changes.unexpected;
    }
    return sum;
}

int64_t ei_task_expected(const struct ei_live_task *task, int64_t length_ns)
{
    const struct ei_workload *wl = task->run->wl;
    const int32_t head = ei_workload_chain_head(wl, task->idx);
    /* A signal sets the end a moment ahead. When the housekeeper was held up right then, a task may have gone on. */
    const int64_t last_ns = task->run->tasks[head].rt.last_nominal_ns;
    const int64_t until_ns = last_ns > length_ns ? last_ns : length_ns;
    const int64_t unexpected = unexpected_so_far(task);
    if (wl->tasks[head].arrival.model == EI_ARRIVAL_EXTERNAL) {
        return until_ns < wl->run.warmup_ns ? 0 : ei_external_expected(&task->run->tasks[head].external) - unexpected;
    }
    return until_ns < wl->run.warmup_ns
               ? 0
               : ei_arrival_expected(&wl->tasks[head].arrival, wl->run.seed, head, wl->run.warmup_ns, until_ns) -
                     unexpected;
}

/* Time of the stages behind the network: their spins, and a fixed allowance for softmax and top 5. */
int64_t ei_task_after_network_ns(const struct ei_task_spec *spec)
{
    const int64_t allowance_ns = 20 * EI_NS_PER_US;
    int64_t sum_ns = 0;
    for (int32_t i = spec->nn_stage_idx + 1; i < spec->stage_count; i++) {
        sum_ns += spec->stages[i].spin_ns != EI_NONE_NS ? spec->stages[i].spin_ns : 0;
    }
    return sum_ns + allowance_ns;
}

static int build_task(struct ei_live_task *task, struct einet_error *err)
{
    int rc = ei_slots_init(task, err);
    if (rc == 0) {
        rc = ei_task_build_releases(task, err);
        task->rt.has_next = rc == 0 && ei_arrival_next(&task->rt.arrival, &task->rt.next);
    }
    task->cpu_profile_ns = ei_task_cpu_profile_ns(task->spec);
    if (rc == 0) {
        rc = build_input(task, err);
    }
    if (rc == 0 && task->spec->nn_stage_idx != EI_NONE_IDX) {
        rc = ei_task_build_network(task, err);
        task->after_ns = ei_task_after_network_ns(task->spec);
    }
    if (rc == 0) {
        rc = build_pre(task, err);
    }
    return rc;
}

enum ei_lane_order ei_run_lane_order(const struct ei_workload *wl)
{
    return wl->scheduler.policy == EI_SPEC_POLICY_EDF ? EI_LANE_BY_DEADLINE : EI_LANE_BY_PRIORITY;
}

static int build_gates(struct ei_run *run, struct einet_error *err)
{
    for (int32_t i = 0; i < run->wl->lane_count; i++) {
        const int rc = ei_gate_init(&run->gates[i], ei_run_lane_order(run->wl), err);
        if (rc < 0) {
            return rc;
        }
        run->gate_count++;
    }
    return 0;
}

/* One probe per CPU on which a real-time task may run. */
static void build_probes(struct ei_run *run)
{
    struct ei_cpuset watched = {0};
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        if (run->wl->tasks[i].class_ != EI_SPEC_CLASS_OTHER) {
            for (int cpu = ei_cpuset_next(&run->tasks[i].cpus, 0); cpu >= 0;
                 cpu = ei_cpuset_next(&run->tasks[i].cpus, cpu + 1)) {
                ei_cpuset_add(&watched, cpu);
            }
        }
    }
    for (int cpu = ei_cpuset_next(&watched, 0); cpu >= 0; cpu = ei_cpuset_next(&watched, cpu + 1)) {
        if (run->probe_count == EI_PROBES_MAX) {
            run->unwatched_cpus++;
            continue;
        }
        struct ei_probe *probe = &run->probes[run->probe_count++];
        probe->cpu = cpu;
        probe->run = run;
    }
}

static int highest_cpu(const struct ei_cpuset *set)
{
    int highest = 0;
    for (int cpu = ei_cpuset_next(set, 0); cpu >= 0; cpu = ei_cpuset_next(set, cpu + 1)) {
        highest = cpu;
    }
    return highest;
}

int ei_run_build(struct ei_run *run, struct einet_error *err)
{
    int rc =
        ei_cpu_loads_init(&run->loads, highest_cpu(&run->machine.allowed_cpus) + 1, run->wl->platform.rt_load_cap, err);
    if (rc == 0) {
        run->loads.is_counting = run->privileges.results[EI_PRIVILEGE_FIFO].got;
        rc = build_gates(run, err);
    }
    for (int32_t i = 0; rc == 0 && i < run->wl->task_count; i++) {
        rc = build_task(&run->tasks[i], err);
    }
    build_probes(run);
    if (rc == 0) {
        rc = ei_run_place_storage(run, err);
    }
    if (rc == 0) {
        rc = ei_run_open_changes(run, err);
    }
    for (int32_t i = 0; rc == 0 && i < run->wl->task_count; i++) {
        rc = ei_task_open_logs(&run->tasks[i], err);
    }
    return rc;
}

void ei_run_demolish(struct ei_run *run)
{
    ei_run_close_changes(run);
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_live_task *task = &run->tasks[i];
        ei_task_demolish_planning(task);
        ei_network_destroy(task->nn.net);
        ei_network_destroy(task->nn.spare.net);
        ei_pre_destroy(task->pre);
        ei_task_close_logs(task);
        ei_slots_fini(task);
    }
    ei_arena_fini(&run->arena);
    for (int32_t i = 0; i < run->input_count; i++) {
        ei_dataset_destroy(run->inputs[i].dataset);
    }
    for (int32_t i = 0; i < run->gate_count; i++) {
        ei_gate_fini(&run->gates[i]);
    }
    if (run->loads.cpus != NULL) {
        ei_cpu_loads_fini(&run->loads);
    }
}
