/* See virtual_network.h. Times are lognormal through the median and the 99th percentile of the profile. */
#include "engine/virtual_network.h"

#include "engine/virtual_state.h"

#include "planner/profile_file.h"
#include "stages/post/class_ops.h"

#include <stdio.h>
#include <string.h>

#define EMULATED_CLASSES 10

static const struct ei_model_spec *model_of(const struct ei_live_task *task)
{
    return &task->run->wl->models[task->spec->stages[task->spec->nn_stage_idx].model_idx];
}

/* With the block times known: on a device parts that are longer than max_blocking are cut. */
static int cut(struct ei_live_task *task, struct einet_error *err)
{
    const struct ei_lane_spec *lane = &task->run->wl->lanes[task->spec->stages[task->spec->nn_stage_idx].lane_idx];
    return ei_pieces_even(&task->nn.et, ei_pieces_limit_ns(task->spec, lane), &task->nn.pieces, err);
}

/* ---- emulated ---- */

static struct ei_time_stats stats_of(const struct ei_emulated_time *time)
{
    return (struct ei_time_stats){.p50_ns = time->median_ns, .p99_ns = time->p99_ns, .max_ns = time->p99_ns};
}

/* Samples and classes of an input, as far as they are known without opening it. */
static void describe_input(const struct ei_input_spec *input, int32_t *out_samples, int32_t *out_classes)
{
    *out_classes = EMULATED_CLASSES;
    switch (input->kind) {
    case EI_SPEC_INPUT_NONE:
    case EI_SPEC_INPUT_CALLER:
    case EI_SPEC_INPUT_TOPIC:
        *out_samples = 0;
        return;
    case EI_SPEC_INPUT_GENERATED:
        *out_samples = input->count;
        return;
    case EI_SPEC_INPUT_DATASET:
        *out_classes = strcmp(input->name, "cifar100") == 0 ? 100 : EMULATED_CLASSES;
        *out_samples = input->split == EI_SPLIT_TEST ? 10000 : (strcmp(input->name, "mnist") == 0 ? 60000 : 50000);
        return;
    case EI_SPEC_INPUT_IMAGES:
        *out_samples = INT32_MAX;
        return;
    }
}

static int build_emulated(struct ei_live_task *task, struct ei_virtual_network *network, struct einet_error *err)
{
    const struct ei_model_spec *model = model_of(task);
    struct ei_et_profile *et = &task->nn.et;
    float logits[EI_NETWORK_CLASSES_MAX];
    *et = (struct ei_et_profile){.exits = model->block_count, .threads = 1, .samples = 1};
    snprintf(et->network, sizeof et->network, "emulate");
    network->seed = task->run->wl->run.seed + (uint64_t)task->idx;
    describe_input(&task->spec->input, &network->samples, &network->classes);
    for (int32_t k = 0; k < model->block_count; k++) {
        const struct ei_emulated_sample right = {.draw = -1.0, .right_label = 0, .wrong_label = 0};
        int32_t top;
        et->conv[k] = stats_of(&model->blocks[k].conv);
        et->branch[k] = stats_of(&model->blocks[k].branch);
        network->score[k] = (float)model->blocks[k].score;
        ei_emulated_logits(&right, (double)network->score[k], network->classes, logits);
        (void)ei_class_top_softmax(logits, network->classes, 1, &top, &network->confidence[k]);
    }
    struct ei_network_info info = {.exits = model->block_count, .classes = network->classes};
    snprintf(info.name, sizeof info.name, "emulate");
    int rc = cut(task, err);
    if (rc == 0) {
        rc = ei_task_build_plan_sources(task, &info, err);
    }
    return rc == 0 ? ei_task_configure_plan(task, network->score, model->block_count, err) : rc;
}

/* ---- from profiles ---- */

static int build_profiled(struct ei_live_task *task, struct ei_virtual_network *network, struct einet_error *err)
{
    const struct ei_model_spec *model = model_of(task);
    const struct ei_stage_spec *stage = &task->spec->stages[task->spec->nn_stage_idx];
    char cs_path[EI_SPEC_PATH_MAX + 16];
    ei_model_file_beside(model, ".cs", cs_path, sizeof cs_path);
    int rc = ei_model_read_times(model, &task->run->wl->lanes[stage->lane_idx], &task->nn.et, err);
    if (rc == 0) {
        rc = ei_cs_profile_read(model->profile[0] != '\0' ? model->profile : cs_path, &network->cs, err);
    }
    if (rc == 0) {
        rc = ei_cs_profile_match(&network->cs, task->nn.et.network, task->nn.et.exits, task->nn.et.weights_sha256, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct ei_network_info info = {.exits = task->nn.et.exits, .classes = network->cs.classes};
    snprintf(info.name, sizeof info.name, "%.31s", task->nn.et.network);
    snprintf(info.weights_sha256, sizeof info.weights_sha256, "%s", task->nn.et.weights_sha256);
    network->seed = task->run->wl->run.seed + (uint64_t)task->idx;
    network->classes = network->cs.classes;
    rc = cut(task, err);
    if (rc == 0) {
        rc = ei_task_build_plan_sources(task, &info, err);
    }
    return rc == 0 ? ei_task_configure_plan(task, network->cs.mean_score, network->cs.exits, err) : rc;
}

int ei_virtual_network_build(struct ei_live_task *task, struct ei_virtual_network *network, struct einet_error *err)
{
    const int rc = model_of(task)->kind == EI_SPEC_MODEL_EMULATE ? build_emulated(task, network, err)
                                                                 : build_profiled(task, network, err);
    if (rc < 0) {
        return rc;
    }
    ei_random_init(&network->times, network->seed, UINT64_MAX);
    for (int32_t k = 0; k < task->nn.et.exits; k++) {
        network->conv_sigma[k] = ei_emulated_sigma(task->nn.et.conv[k].p50_ns, task->nn.et.conv[k].p99_ns);
        network->branch_sigma[k] = ei_emulated_sigma(task->nn.et.branch[k].p50_ns, task->nn.et.branch[k].p99_ns);
    }
    network->ahead = ei_virtual_device_has_queue(task) ? 1 : 0;
    task->nn.policy = ei_task_boundary_policy(task->spec);
    return 0;
}

void ei_virtual_network_fini(struct ei_virtual_network *network)
{
    ei_cs_profile_fini(&network->cs);
}

/* ---- during the run ---- */

void ei_virtual_network_restart(struct ei_virtual_network *network)
{
    network->drawn = 0;
}

void ei_virtual_network_begin(struct ei_job_slot *slot, struct ei_virtual_network *network)
{
    struct ei_job_record *record = &slot->record;
    ei_virtual_network_restart(network);
    if (network->cs.samples > 0) {
        record->sample_idx = (int32_t)(record->job_idx % network->cs.samples);
        record->label = network->cs.label[record->sample_idx];
        record->flags |= EI_JOB_LABELLED;
        return;
    }
    record->sample_idx = network->samples > 0 ? (int32_t)(record->job_idx % network->samples) : -1;
    network->sample = ei_emulated_sample_draw(network->seed, record->sample_idx, -1, network->classes);
    if (network->samples > 0) {
        record->label = network->sample.right_label;
        record->flags |= EI_JOB_LABELLED;
    }
}

int64_t ei_virtual_network_time_ns(const struct ei_live_task *task, struct ei_virtual_network *network,
                                   struct ei_step step, int32_t piece_idx)
{
    const struct ei_et_profile *et = &task->nn.et;
    const bool is_branch = step.kind == EI_STEP_BRANCH;
    if (is_branch && piece_idx == 0) {
        network->branch_ns =
            ei_emulated_time_ns(&network->times, et->branch[step.idx].p50_ns, network->branch_sigma[step.idx]);
    }
    for (; !is_branch && network->drawn < et->exits && network->drawn <= step.idx + network->ahead; network->drawn++) {
        const int32_t k = network->drawn;
        network->conv_ns[k] = ei_emulated_time_ns(&network->times, et->conv[k].p50_ns, network->conv_sigma[k]);
    }
    const int64_t part_ns = is_branch ? network->branch_ns : network->conv_ns[step.idx];
    return ei_emulated_piece_ns(part_ns, ei_task_piece_count(task, step), piece_idx);
}

struct ei_answer ei_virtual_network_answer(const struct ei_job_slot *slot, const struct ei_virtual_network *network,
                                           int32_t k, int64_t now_ns)
{
    struct ei_answer answer = {
        .job_idx = slot->record.job_idx,
        .published_ns = now_ns,
        .task_idx = slot->task->idx,
        .exit_idx = k,
        .exits_total = slot->task->nn.et.exits,
    };
    if (network->cs.samples > 0) {
        const int32_t sample = slot->record.sample_idx;
        answer.confidence = ei_cs_profile_score(&network->cs, sample, k);
        answer.label = network->cs.top_label[(size_t)sample * (size_t)network->cs.exits + (size_t)k];
    } else {
        const bool is_right = network->sample.draw < (double)network->score[k];
        answer.confidence = network->confidence[k];
        answer.label = is_right ? network->sample.right_label : network->sample.wrong_label;
    }
    return answer;
}
