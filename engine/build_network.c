/* The network of a task: its instance, its place at the lane's gate, its boundary policy. */
#include "engine/run_state.h"

#include "planner/profile_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EMULATED_CLASSES 10
#define EMULATED_SIDE_PX 32

/* What the lane says of its device, for networks of this task. */
static struct ei_network_cuda_settings cuda_settings(const struct ei_live_task *task, const struct ei_lane_spec *lane)
{
    static const enum ei_cuda_wait waits[] = {
        [EI_SPEC_WAIT_BLOCK] = EI_CUDA_WAIT_BLOCK,
        [EI_SPEC_WAIT_POLL] = EI_CUDA_WAIT_POLL,
        [EI_SPEC_WAIT_SPIN] = EI_CUDA_WAIT_SPIN,
    };
    const int32_t priority = task->spec->priority;
    return (struct ei_network_cuda_settings){
        .device_idx = lane->device_idx,
        .priority = priority >= 1 ? priority : 1,
        .depth = lane->depth,
        .wait = waits[lane->wait.word],
        .poll_ns = (int64_t)lane->wait.number,
        .hang_ns = lane->hang_ns,
        .sms = lane->sms,
        .lane_idx = (int32_t)(lane - task->run->wl->lanes),
        .split_above_ns = ei_pieces_limit_ns(task->spec, lane),
        .is_input_on_device = task->spec->input.memory == EI_SPEC_MEMORY_DEVICE,
    };
}

static int open_emulated(const struct ei_live_task *task, const struct ei_model_spec *model,
                         const struct ei_lane_spec *lane, struct ei_network **out, struct einet_error *err)
{
    struct ei_network_emulate_config config = {
        .exits = model->block_count,
        .classes = EMULATED_CLASSES,
        .channels = 3,
        .height_px = EMULATED_SIDE_PX,
        .width_px = EMULATED_SIDE_PX,
        .seed = task->run->wl->run.seed + (uint64_t)task->idx,
        .is_on_cuda = lane->kind == EI_SPEC_LANE_CUDA,
        .cuda = lane->kind == EI_SPEC_LANE_CUDA ? cuda_settings(task, lane) : (struct ei_network_cuda_settings){0},
    };
    if (task->dataset != NULL) {
        const struct ei_dataset_info *data = ei_dataset_info(task->dataset);
        config.classes = data->classes >= 2 ? data->classes : EMULATED_CLASSES;
        config.channels = data->channels;
        config.height_px = data->height_px;
        config.width_px = data->width_px;
    }
    if (ei_input_is_handed_in(&task->spec->input) && !task->frames->is_resized) {
        config.channels = task->spec->input.channels;
        config.height_px = task->spec->input.height_px;
        config.width_px = task->spec->input.width_px;
    }
    for (int32_t i = 0; i < model->block_count; i++) {
        const struct ei_emulated_block *block = &model->blocks[i];
        config.conv_ns[i] = block->conv.median_ns;
        config.conv_p99_ns[i] = block->conv.p99_ns;
        config.branch_ns[i] = block->branch.median_ns;
        config.branch_p99_ns[i] = block->branch.p99_ns;
        config.score[i] = (float)block->score;
    }
    return ei_network_open_emulate(&config, out, err);
}

/* How sure its exits are, the file says where the program does not. */
static int open_own(const struct ei_live_task *task, const struct ei_model_spec *model, struct ei_network **out,
                    struct einet_error *err)
{
    struct ei_network_own_config config = task->own_network->config;
    float score[EI_EMULATED_BLOCKS_MAX];
    for (int32_t i = 0; i < model->block_count; i++) {
        score[i] = (float)model->blocks[i].score;
    }
    config.mean_score = config.mean_score != NULL ? config.mean_score : score;
    config.name = config.name != NULL ? config.name : model->name;
    struct einet_error why = {0};
    const int rc = ei_network_open_own(&config, out, &why);
    return rc < 0 ? einet_error_set(err, rc, "task '%s': %s", task->spec->name, why.text) : 0;
}

/* As the lane says; all lanes that a task may use say the same. */
static enum ei_network_backend_kind backend_of(const struct ei_lane_spec *lane)
{
    static const enum ei_network_backend_kind backends[] = {
        [EI_SPEC_BACKEND_AUTO] = EI_NETWORK_AUTO,
        [EI_SPEC_BACKEND_ATEN] = EI_NETWORK_ATEN,
        [EI_SPEC_BACKEND_DNNL] = EI_NETWORK_DNNL,
    };
    return lane->kind == EI_SPEC_LANE_CUDA ? EI_NETWORK_CUDA : backends[lane->backend];
}

/* Inside a block; of all lanes that a task may use, too. */
static int32_t threads_of(const struct ei_lane_spec *lane)
{
    return lane->threads > 1 ? lane->threads : 1;
}

static int open_zoo(const struct ei_live_task *task, const struct ei_model_spec *model, const struct ei_lane_spec *lane,
                    const struct ei_network_choice *choice, struct ei_network **out, struct einet_error *err)
{
    const struct ei_network_zoo_config config = {
        .zoo = model->zoo,
        .weights_path = model->weights,
        .dataset = model->dataset,
        .threads = threads_of(lane),
        .backend = backend_of(lane),
        .choice = choice,
        .cuda = cuda_settings(task, lane),
    };
    return ei_network_open_zoo(&config, out, err);
}

static int open_bundle(const struct ei_live_task *task, const struct ei_model_spec *model,
                       const struct ei_lane_spec *lane, const struct ei_network_choice *choice, struct ei_network **out,
                       struct einet_error *err)
{
    const struct ei_network_bundle_config config = {.dir = model->bundle,
                                                    .threads = threads_of(lane),
                                                    .backend = backend_of(lane),
                                                    .choice = choice,
                                                    .cuda = cuda_settings(task, lane)};
    return ei_network_open_bundle(&config, out, err);
}

static int open_kind(const struct ei_live_task *task, const struct ei_model_spec *model,
                     const struct ei_lane_spec *lane, const struct ei_network_choice *choice, struct ei_network **out,
                     struct einet_error *err)
{
    return model->kind == EI_SPEC_MODEL_ZOO ? open_zoo(task, model, lane, choice, out, err)
                                            : open_bundle(task, model, lane, choice, out, err);
}

/* With the kernels that a profile beside it chose, where they hold here. */
static int open_weights(struct ei_live_task *task, const struct ei_model_spec *model, const struct ei_lane_spec *lane,
                        struct ei_network **out, struct einet_error *err)
{
    const bool is_zoo = model->kind == EI_SPEC_MODEL_ZOO;
    char path[EI_SPEC_PATH_MAX + 16];
    struct ei_kernels kernels = {.list = NULL};
    struct einet_error refused = {0};
    if (backend_of(lane) == EI_NETWORK_AUTO || backend_of(lane) == EI_NETWORK_DNNL) {
        ei_model_file_beside(model, ".et.csv", path, sizeof path);
        ei_kernels_find(path, is_zoo ? model->zoo : NULL, threads_of(lane), &kernels);
    }
    int rc = EINET_E_MISMATCH;
    if (kernels.choice.kernel_count > 0) {
        rc = open_kind(task, model, lane, &kernels.choice, out, &refused);
        if (rc == EINET_E_MISMATCH) {
            snprintf(kernels.note, sizeof kernels.note, "kernels not taken: %.150s", refused.text);
        } else if (rc != 0 && err != NULL) {
            *err = refused;
        }
    }
    if (rc == EINET_E_MISMATCH) {
        rc = open_kind(task, model, lane, NULL, out, err);
    }
    snprintf(task->nn.kernels_note, sizeof task->nn.kernels_note, "%s", kernels.note);
    ei_kernels_fini(&kernels);
    return rc;
}

static int open_network(struct ei_live_task *task, const struct ei_lane_spec *lane, struct ei_network **out,
                        struct einet_error *err)
{
    const struct ei_model_spec *model = &task->run->wl->models[task->spec->stages[task->spec->nn_stage_idx].model_idx];
    switch (model->kind) {
    case EI_SPEC_MODEL_ZOO:
    case EI_SPEC_MODEL_BUNDLE:
        return open_weights(task, model, lane, out, err);
    case EI_SPEC_MODEL_EMULATE:
        return task->own_network != NULL ? open_own(task, model, out, err) : open_emulated(task, model, lane, out, err);
    }
    return -EINVAL;
}

/* The network on its lane, and on a device with a fallback there, too; when the device is not there, on that alone. */
static int open_networks(struct ei_live_task *task, struct einet_error *err)
{
    struct ei_task_network *nn = &task->nn;
    const struct ei_lane_spec *lanes = task->run->wl->lanes;
    const struct ei_lane_spec *lane = &lanes[nn->lane_idx];
    const bool has_spare = lane->kind == EI_SPEC_LANE_CUDA && lane->fallback_idx >= 0;
    struct einet_error why = {0};
    int rc = open_network(task, lane, &nn->net, &why);
    if (rc == EINET_E_BACKEND && has_spare) {
        snprintf(nn->not_on_lane, sizeof nn->not_on_lane, "%.300s", why.text);
        nn->lane_idx = lane->fallback_idx;
        return open_network(task, &lanes[nn->lane_idx], &nn->net, err);
    }
    if (rc == EINET_E_BACKEND && lane->kind == EI_SPEC_LANE_CUDA) {
        return einet_error_set_at(err, rc, task->run->wl->file, lane->place.line, lane->place.column,
                                  "lane '%s' cannot run task '%s': %.300s (or give the lane a fallback: cpu)",
                                  lane->name, task->spec->name, why.text);
    }
    if (rc < 0 && err != NULL) {
        *err = why;
    }
    if (rc == 0 && has_spare) {
        nn->spare.lane_idx = lane->fallback_idx;
        rc = open_network(task, &lanes[lane->fallback_idx], &nn->spare.net, err);
    }
    return rc;
}

void ei_model_file_beside(const struct ei_model_spec *model, const char *ending, char *out, size_t size_bytes)
{
    static const char weights_ending[] = ".safetensors";
    const char *path = model->kind == EI_SPEC_MODEL_BUNDLE ? model->bundle : model->weights;
    size_t stem = strlen(path);
    const size_t tail = strlen(weights_ending);
    if (model->kind == EI_SPEC_MODEL_ZOO && stem > tail && strcmp(path + stem - tail, weights_ending) == 0) {
        stem -= tail;
    }
    while (model->kind == EI_SPEC_MODEL_BUNDLE && stem > 1 && path[stem - 1] == '/') {
        stem--;
    }
    out[0] = '\0';
    if (model->kind != EI_SPEC_MODEL_EMULATE && stem > 0) {
        snprintf(out, size_bytes, "%.*s%s", (int)stem, path, ending);
    }
}

int ei_model_read_times(const struct ei_model_spec *model, const struct ei_lane_spec *lane, struct ei_et_profile *out,
                        struct einet_error *err)
{
    char path[EI_SPEC_PATH_MAX + EI_ET_ENDING_MAX], ending[EI_ET_ENDING_MAX];
    struct einet_error other;
    const bool is_cuda = lane->kind == EI_SPEC_LANE_CUDA;
    ei_et_profile_ending(is_cuda, lane->sms, ending);
    ei_model_file_beside(model, ending, path, sizeof path);
    const int rc = ei_et_profile_read(path, out, err);
    if (rc < 0) {
        return rc;
    }
    if (model->kind == EI_SPEC_MODEL_ZOO && strcmp(out->network, model->zoo) != 0) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0,
                                  "is of %.64s, the workload asks for %.64s: make profiles with einet profile",
                                  out->network, model->zoo);
    }
    if (ei_et_profile_match_lane(out, is_cuda, lane->sms, &other) != 0) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0,
                                  "%s ('%s'): make a profile there with einet profile", other.text, lane->name);
    }
    return 0;
}

static bool is_normalized(const struct ei_task_spec *spec)
{
    bool is = false;
    for (int32_t i = 0; i < spec->nn_stage_idx; i++) {
        for (int32_t k = 0; k < spec->stages[i].op_count; k++) {
            is |= spec->stages[i].ops[k].kind == EI_SPEC_OP_NORMALIZE;
        }
    }
    return is && spec->input.kind != EI_SPEC_INPUT_NONE;
}

/* The file could not know whether the network of the program wants pictures. */
static int check_own_input(const struct ei_live_task *task, const struct ei_stage_spec *stage, struct einet_error *err)
{
    const bool wants = task->own_network->config.channels > 0;
    if (wants == is_normalized(task->spec)) {
        return 0;
    }
    return einet_error_set_at(err, EINET_E_MISMATCH, task->run->wl->file, stage->place.line, stage->place.column,
                              wants ? "the network of the program for task '%s' takes pictures: give the task an input "
                                      "and a stage before it, { name: pre, kind: cpu, op: normalize }"
                                    : "the network of the program for task '%s' takes no pictures: say their shape in "
                                      "struct einet_network, or take op normalize out of the task",
                              task->spec->name);
}

/* No stage makes of them what the network takes. */
static int check_device_input(const struct ei_live_task *task, const struct ei_network_info *info,
                              struct einet_error *err)
{
    const struct ei_input_spec *input = &task->spec->input;
    if (input->width_px == info->width_px && input->height_px == info->height_px && input->channels == info->channels) {
        return 0;
    }
    return einet_error_set_at(err, EINET_E_MISMATCH, task->run->wl->file, input->place.line, input->place.column,
                              "task '%s' gets %d channels of %dx%d in memory of a device, its network takes %d of "
                              "%dx%d: give the input that shape",
                              task->spec->name, input->channels, input->width_px, input->height_px, info->channels,
                              info->width_px, info->height_px);
}

/* A network and an input belong together when every picture is of a class the network knows. */
static int check_input(const struct ei_live_task *task, const struct ei_stage_spec *stage, struct einet_error *err)
{
    const struct ei_network_info *info = ei_network_info(task->nn.net);
    if (task->own_network != NULL) {
        const int rc = check_own_input(task, stage, err);
        if (rc < 0) {
            return rc;
        }
    }
    if (task->spec->input.memory == EI_SPEC_MEMORY_DEVICE) {
        return check_device_input(task, info, err);
    }
    if (ei_input_is_handed_in(&task->spec->input)) {
        return 0;
    }
    if (task->dataset == NULL) {
        if (task->run->wl->models[stage->model_idx].kind == EI_SPEC_MODEL_EMULATE) {
            return 0;
        }
        return einet_error_set_at(err, EINET_E_FILE, task->run->wl->file, stage->place.line, stage->place.column,
                                  "task '%s' runs network '%s' but has no input: give it one, for instance "
                                  "input: {kind: generated}",
                                  task->spec->name, info->name);
    }
    const struct ei_dataset_info *data = ei_dataset_info(task->dataset);
    if (data->classes > 0 && data->classes != info->classes) {
        return einet_error_set_at(err, EINET_E_MISMATCH, task->run->wl->file, stage->place.line, stage->place.column,
                                  "task '%s': network '%s' knows %d classes, its input '%s' has %d: choose weights "
                                  "that were trained on it",
                                  task->spec->name, info->name, info->classes, data->name, data->classes);
    }
    return 0;
}

struct ei_boundary_policy ei_task_boundary_policy(const struct ei_task_spec *spec)
{
    static const enum ei_on_preempt on_preempt[] = {
        [EI_SPEC_ON_PREEMPT_EXIT] = EI_PREEMPT_EXIT,       [EI_SPEC_ON_PREEMPT_RESUME] = EI_PREEMPT_RESUME,
        [EI_SPEC_ON_PREEMPT_NONE] = EI_PREEMPT_NONE,       [EI_SPEC_ON_PREEMPT_ELASTIC] = EI_PREEMPT_ELASTIC,
        [EI_SPEC_ON_PREEMPT_RESTART] = EI_PREEMPT_RESTART,
    };
    static const enum ei_on_deadline on_deadline[] = {
        [EI_SPEC_ON_DEADLINE_EXIT] = EI_DEADLINE_EXIT,
        [EI_SPEC_ON_DEADLINE_FINISH] = EI_DEADLINE_FINISH,
        [EI_SPEC_ON_DEADLINE_ABORT] = EI_DEADLINE_ABORT,
    };
    static const enum ei_on_overrun on_overrun[] = {
        [EI_SPEC_ON_OVERRUN_FINISH] = EI_OVERRUN_FINISH,
        [EI_SPEC_ON_OVERRUN_EXIT] = EI_OVERRUN_EXIT,
        [EI_SPEC_ON_OVERRUN_ABORT] = EI_OVERRUN_ABORT,
    };
    return (struct ei_boundary_policy){
        .on_preempt = on_preempt[spec->on_preempt],
        .on_deadline = on_deadline[spec->on_deadline],
        .is_first_exit_mandatory = spec->planner.first_exit == EI_SPEC_FIRST_EXIT_MANDATORY,
        .max_preemptions = spec->max_preemptions,
        .max_blocking_ns = spec->max_blocking_ns == EI_NONE_NS ? 0 : spec->max_blocking_ns,
        .on_overrun = on_overrun[spec->on_overrun],
    };
}

void ei_task_take_seat(struct ei_live_task *task)
{
    const struct ei_stage_spec *stage = &task->spec->stages[task->spec->nn_stage_idx];
    const struct ei_lane_spec *lane = &task->run->wl->lanes[task->nn.lane_idx];
    struct ei_task_network *nn = &task->nn;
    for (int32_t i = 0; i <= stage->more_lane_count; i++) {
        nn->gates[i] = &task->run->gates[i == 0 ? nn->lane_idx : stage->more_lanes[i - 1]];
    }
    nn->gate_count = 1 + stage->more_lane_count;
    nn->gate = nn->gates[0];
    nn->is_gated = lane->preempt == EI_SPEC_LANE_PREEMPT_BLOCK;
    nn->is_off_cpu = ei_lane_is_off_cpu(lane);
    for (int32_t k = 0; k < task->slot_count; k++) {
        for (int32_t i = 0; i < nn->gate_count; i++) {
            ei_gate_seat_init(nn->gates[i], &task->slots[k].seat, task->idx, task->spec->priority);
        }
        if (nn->spare.net != NULL) {
            ei_gate_seat_init(&task->run->gates[nn->spare.lane_idx], &task->slots[k].seat, task->idx,
                              task->spec->priority);
        }
    }
}

int ei_task_build_network(struct ei_live_task *task, struct einet_error *err)
{
    const struct ei_stage_spec *stage = &task->spec->stages[task->spec->nn_stage_idx];
    task->nn.lane_idx = stage->lane_idx;
    int rc = open_networks(task, err);
    if (rc == 0) {
        rc = check_input(task, stage, err);
    }
    if (rc < 0) {
        return rc;
    }
    rc = ei_task_settle_threads(task, err);
    if (rc < 0) {
        return rc;
    }
    task->nn.policy = ei_task_boundary_policy(task->spec);
    ei_task_take_seat(task);
    return ei_task_build_planning(task, err);
}
