/* The network of a task: its instance, its place at the lane's gate, its boundary policy. */
#include "engine/run_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EMULATED_CLASSES 10
#define EMULATED_SIDE_PX 32

static int open_emulated(struct ei_live_task *task, const struct ei_model_spec *model, struct einet_error *err)
{
    struct ei_network_emulate_config config = {
        .exits = model->block_count,
        .classes = EMULATED_CLASSES,
        .channels = 3,
        .height_px = EMULATED_SIDE_PX,
        .width_px = EMULATED_SIDE_PX,
        .seed = task->run->wl->run.seed + (uint64_t)task->idx,
    };
    if (task->dataset != NULL) {
        const struct ei_dataset_info *data = ei_dataset_info(task->dataset);
        config.classes = data->classes >= 2 ? data->classes : EMULATED_CLASSES;
        config.channels = data->channels;
        config.height_px = data->height_px;
        config.width_px = data->width_px;
    }
    for (int32_t i = 0; i < model->block_count; i++) {
        const struct ei_emulated_block *block = &model->blocks[i];
        config.conv_ns[i] = block->conv.median_ns;
        config.conv_p99_ns[i] = block->conv.p99_ns;
        config.branch_ns[i] = block->branch.median_ns;
        config.branch_p99_ns[i] = block->branch.p99_ns;
        config.score[i] = (float)block->score;
    }
    return ei_network_open_emulate(&config, &task->nn.net, err);
}

/* As the task's lane says; all lanes that a task may use say the same. */
static enum ei_network_backend_kind backend_of(const struct ei_live_task *task)
{
    static const enum ei_network_backend_kind backends[] = {
        [EI_SPEC_BACKEND_AUTO] = EI_NETWORK_AUTO,
        [EI_SPEC_BACKEND_ATEN] = EI_NETWORK_ATEN,
        [EI_SPEC_BACKEND_DNNL] = EI_NETWORK_DNNL,
    };
    const struct ei_stage_spec *stage = &task->spec->stages[task->spec->nn_stage_idx];
    return backends[task->run->wl->lanes[stage->lane_idx].backend];
}

/* Inside a block; of all lanes that a task may use, too. */
static int32_t threads_of(const struct ei_live_task *task)
{
    return task->run->wl->lanes[task->spec->stages[task->spec->nn_stage_idx].lane_idx].threads;
}

static int open_zoo(const struct ei_live_task *task, const struct ei_model_spec *model,
                    const struct ei_network_choice *choice, struct ei_network **out, struct einet_error *err)
{
    const struct ei_network_zoo_config config = {
        .zoo = model->zoo,
        .weights_path = model->weights,
        .dataset = model->dataset,
        .threads = threads_of(task),
        .backend = backend_of(task),
        .choice = choice,
    };
    return ei_network_open_zoo(&config, out, err);
}

static int open_bundle(const struct ei_live_task *task, const struct ei_model_spec *model,
                       const struct ei_network_choice *choice, struct ei_network **out, struct einet_error *err)
{
    const struct ei_network_bundle_config config = {
        .dir = model->bundle, .threads = threads_of(task), .backend = backend_of(task), .choice = choice};
    return ei_network_open_bundle(&config, out, err);
}

/* With the kernels that a profile beside it chose, where they hold here. */
static int open_weights(struct ei_live_task *task, const struct ei_model_spec *model, struct einet_error *err)
{
    const bool is_zoo = model->kind == EI_SPEC_MODEL_ZOO;
    char path[EI_SPEC_PATH_MAX + 16];
    struct ei_kernels kernels = {.list = NULL};
    struct einet_error refused = {0};
    if (backend_of(task) != EI_NETWORK_ATEN) {
        ei_model_file_beside(model, ".et.csv", path, sizeof path);
        ei_kernels_find(path, is_zoo ? model->zoo : NULL, threads_of(task), &kernels);
    }
    int rc = EINET_E_MISMATCH;
    if (kernels.choice.kernel_count > 0) {
        rc = is_zoo ? open_zoo(task, model, &kernels.choice, &task->nn.net, &refused)
                    : open_bundle(task, model, &kernels.choice, &task->nn.net, &refused);
        if (rc == EINET_E_MISMATCH) {
            snprintf(kernels.note, sizeof kernels.note, "kernels not taken: %.150s", refused.text);
        } else if (rc != 0 && err != NULL) {
            *err = refused;
        }
    }
    if (rc == EINET_E_MISMATCH) {
        rc = is_zoo ? open_zoo(task, model, NULL, &task->nn.net, err)
                    : open_bundle(task, model, NULL, &task->nn.net, err);
    }
    snprintf(task->nn.kernels_note, sizeof task->nn.kernels_note, "%s", kernels.note);
    ei_kernels_fini(&kernels);
    return rc;
}

static int open_network(struct ei_live_task *task, const struct ei_model_spec *model, struct einet_error *err)
{
    switch (model->kind) {
    case EI_SPEC_MODEL_ZOO:
    case EI_SPEC_MODEL_BUNDLE:
        return open_weights(task, model, err);
    case EI_SPEC_MODEL_EMULATE:
        return open_emulated(task, model, err);
    }
    return -EINVAL;
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

/* A network and an input belong together when every picture is of a class the network knows. */
static int check_input(const struct ei_live_task *task, const struct ei_stage_spec *stage, struct einet_error *err)
{
    const struct ei_network_info *info = ei_network_info(task->nn.net);
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
    struct ei_task_network *nn = &task->nn;
    for (int32_t i = 0; i <= stage->more_lane_count; i++) {
        nn->gates[i] = &task->run->gates[i == 0 ? stage->lane_idx : stage->more_lanes[i - 1]];
        for (int32_t k = 0; k < task->slot_count; k++) {
            ei_gate_seat_init(nn->gates[i], &task->slots[k].seat, task->idx, task->spec->priority);
        }
    }
    nn->gate_count = 1 + stage->more_lane_count;
    nn->gate = nn->gates[0];
    nn->is_gated = task->run->wl->lanes[stage->lane_idx].preempt == EI_SPEC_LANE_PREEMPT_BLOCK;
}

int ei_task_build_network(struct ei_live_task *task, struct einet_error *err)
{
    const struct ei_stage_spec *stage = &task->spec->stages[task->spec->nn_stage_idx];
    const struct ei_model_spec *model = &task->run->wl->models[stage->model_idx];
    int rc = open_network(task, model, err);
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
