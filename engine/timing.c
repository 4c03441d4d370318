/* Block times on this machine, measured at start: in sequence, on the job's own thread, CPU and priority. The planner
 * and the deadline tests use them, so a workload file carries no times that were true elsewhere.
 */
#include "engine/change.h"
#include "engine/handover.h"
#include "engine/run_state.h"

#include "planner/profile_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_UP_RUNS 5
#define MEASURED_RUNS 240
#define MEASURED_RUNS_MIN 24
#define MEASURED_MAX_NS (300 * EI_NS_PER_MS) /* of real-time load at start, per task */
#define REST_SHARE 3                         /* a third of that time is slept off, so that Linux does not throttle */

static int backend_fault(const struct ei_live_task *task, const struct ei_network *net, int rc, struct einet_error *err)
{
    return einet_error_set(err, rc, "task '%s': the network failed while it was warmed up: %s", task->spec->name,
                           ei_network_fault_text(net));
}

/* One inference with every exit, piece by piece. out_ns: of each in order, [EI_PIECES_MAX]; may be NULL. */
static int run_once(struct ei_job_slot *slot, struct ei_network *net, int64_t *out_ns)
{
    const int32_t parts = 2 * ei_network_info(net)->exits;
    int32_t count = 0;
    int rc = ei_network_begin(net, slot->input_chw, -1, -1);
    int64_t from_ns = ei_mono_now().ns;
    for (int32_t part = 0; rc == 0 && part < parts; part++) {
        const int32_t pieces = ei_network_piece_count(net, part / 2, part % 2 != 0);
        for (int32_t i = 0; rc == 0 && i < pieces; i++) {
            rc = ei_network_run_piece(net, part / 2, part % 2 != 0, i, slot->logits);
            const int64_t now_ns = ei_mono_now().ns;
            if (out_ns != NULL) {
                out_ns[count++] = now_ns - from_ns;
            }
            from_ns = now_ns;
        }
    }
    ei_network_end(net);
    return rc;
}

/* The first picture of the input, a black one where it is yet to come: weights and code are warm afterwards, and so is
 * preprocessing. */
static void load_first_sample(struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    struct einet_image image;
    if (task->pre != NULL && task->frames != NULL) {
        const struct ei_frames *frames = task->frames;
        image = (struct einet_image){
            .data = frames->frames[0].copy,
            .size_bytes = (size_t)frames->width_px * (size_t)frames->height_px * (size_t)frames->channels,
            .format = EINET_PIXELS_HWC_U8,
            .width_px = frames->width_px,
            .height_px = frames->height_px,
            .channels = frames->channels,
        };
        (void)ei_pre_run(task->pre, &image, slot->input_chw);
    } else if (task->pre != NULL && ei_dataset_sample(task->dataset, 0, &image, NULL) == 0) {
        (void)ei_pre_run(task->pre, &image, slot->input_chw);
    }
}

static int warm_up(struct ei_job_slot *slot, struct ei_network *net, struct einet_error *err)
{
    int rc = ei_network_thread_enter(net);
    for (int i = 0; rc == 0 && i < WARM_UP_RUNS; i++) {
        rc = run_once(slot, net, NULL);
    }
    return rc < 0 ? backend_fault(slot->task, net, rc, err) : 0;
}

int ei_task_warm_up(struct ei_job_slot *slot, struct einet_error *err)
{
    const struct ei_task_network *nn = &slot->task->nn;
    load_first_sample(slot);
    const int rc = warm_up(slot, nn->net, err);
    return rc == 0 && nn->spare.net != NULL ? warm_up(slot, nn->spare.net, err) : rc;
}

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t p99_of(int64_t *samples_ns, int count)
{
    qsort(samples_ns, (size_t)count, sizeof *samples_ns, compare_ns);
    return samples_ns[(count * 99 - 1) / 100];
}

/* The p99 is the lower one of the two halves of the measurement: a gap of the machine in one of them must not become a
 * property of the network, or no exit would ever seem reachable before a deadline. */
static struct ei_time_stats stats_of(int64_t *samples_ns, int count)
{
    const int half = count / 2;
    const int64_t first_ns = p99_of(samples_ns, half);
    const int64_t second_ns = p99_of(samples_ns + half, count - half);
    qsort(samples_ns, (size_t)count, sizeof *samples_ns, compare_ns);
    const int64_t p50_ns = samples_ns[count / 2];
    const int64_t p99_ns = first_ns < second_ns ? first_ns : second_ns;
    return (struct ei_time_stats){
        .p50_ns = p50_ns,
        .p99_ns = p99_ns > p50_ns ? p99_ns : p50_ns,
        .max_ns = samples_ns[count - 1],
    };
}

/* Mean scores of the data set: from the CS-profile (models.NAME.profile, else the file beside the weights), else as the
 * network says: the accuracies recorded at training, the scores of an emulated one; else unknown. Returns the count of
 * scores, 0 = unknown, or an error. */
static int mean_scores(const struct ei_live_task *task, float *out_score, struct einet_error *err)
{
    const struct ei_network_info *info = ei_network_info(task->nn.net);
    const struct ei_stage_spec *stage = &task->spec->stages[task->spec->nn_stage_idx];
    const struct ei_model_spec *model = &task->run->wl->models[stage->model_idx];
    char path[EI_SPEC_PATH_MAX + 16];
    ei_model_file_beside(model, ".cs", path, sizeof path);
    if (model->profile[0] != '\0' || access(path, R_OK) == 0) {
        struct ei_cs_profile cs = {0};
        int rc = ei_cs_profile_read(model->profile[0] != '\0' ? model->profile : path, &cs, err);
        if (rc == 0) {
            rc = ei_cs_profile_match(&cs, info->name, info->exits, info->weights_sha256, err);
            if (rc == 0) {
                memcpy(out_score, cs.mean_score, (size_t)cs.exits * sizeof *out_score);
            }
            ei_cs_profile_fini(&cs);
        }
        return rc < 0 ? rc : info->exits;
    }
    for (int32_t i = 0; i < info->exits; i++) {
        if (info->exit_accuracy[i] < 0.0F) {
            return 0;
        }
        out_score[i] = info->exit_accuracy[i];
    }
    return info->exits;
}

struct ei_search ei_task_search(const struct ei_workload *wl, int32_t task_idx)
{
    const struct ei_term asked = wl->tasks[task_idx].planner.search;
    switch ((enum ei_spec_search)asked.word) {
    case EI_SPEC_SEARCH_ALL:
        return (struct ei_search){.kind = EI_SEARCH_ALL};
    case EI_SPEC_SEARCH_STATIC:
        return (struct ei_search){.kind = EI_SEARCH_STATIC, .share_pct = (int32_t)asked.number};
    case EI_SPEC_SEARCH_HYBRID:
        return (struct ei_search){.kind = EI_SEARCH_HYBRID, .depth = (int32_t)asked.number};
    case EI_SPEC_SEARCH_GREEDY:
        return (struct ei_search){.kind = EI_SEARCH_GREEDY};
    case EI_SPEC_SEARCH_RANDOM:
        return (struct ei_search){.kind = EI_SEARCH_RANDOM, .draws = (int32_t)asked.number, .seed = wl->run.seed};
    case EI_SPEC_SEARCH_CONFIDENCE:
        return (struct ei_search){.kind = EI_SEARCH_CONFIDENCE, .confidence = asked.number};
    case EI_SPEC_SEARCH_STATISTICS:
        return (struct ei_search){.kind = EI_SEARCH_STATISTICS};
    case EI_SPEC_SEARCH_EXACT:
        break;
    }
    return (struct ei_search){.kind = EI_SEARCH_EXACT};
}

/* Of the samples of each piece: what the pieces and the parts that they make up take. */
static void take_times(int64_t (*piece_ns)[MEASURED_RUNS], int runs, struct ei_pieces *pieces, struct ei_et_profile *et)
{
    for (int32_t part = 0; part < 2 * et->exits; part++) {
        int64_t part_ns[MEASURED_RUNS] = {0};
        for (int32_t i = pieces->at[part]; i < pieces->at[part + 1]; i++) {
            for (int r = 0; r < runs; r++) {
                part_ns[r] += piece_ns[i][r];
            }
            pieces->time[i] = stats_of(piece_ns[i], runs);
        }
        *(part % 2 == 0 ? &et->conv[part / 2] : &et->branch[part / 2]) = stats_of(part_ns, runs);
    }
}

static int measure_blocks(struct ei_job_slot *slot, struct ei_network *net, int32_t lane_idx, struct ei_et_profile *et,
                          struct ei_pieces *pieces, struct einet_error *err)
{
    const struct ei_live_task *task = slot->task;
    const struct ei_lane_spec *lane = &task->run->wl->lanes[lane_idx];
    static int64_t piece_ns[EI_PIECES_MAX][MEASURED_RUNS]; /* one turn at a time */
    int64_t one_ns[EI_PIECES_MAX];
    const struct ei_network_info *info = ei_network_info(net);
    const int64_t begin_ns = ei_mono_now().ns;
    int runs = 0;
    const int listed = ei_pieces_list(net, pieces, err);
    if (listed < 0) {
        return listed;
    }
    while (runs < MEASURED_RUNS && (runs < MEASURED_RUNS_MIN || ei_mono_now().ns - begin_ns < MEASURED_MAX_NS)) {
        const int rc = run_once(slot, net, one_ns);
        if (rc < 0) {
            return backend_fault(task, net, rc, err);
        }
        for (int32_t i = 0; i < pieces->at[2 * info->exits]; i++) {
            piece_ns[i][runs] = one_ns[i];
        }
        runs++;
    }
    const int64_t end_ns = ei_mono_now().ns;
    ei_mono_sleep_until((struct ei_mono){end_ns + (end_ns - begin_ns) / REST_SHARE});
    *et = (struct ei_et_profile){.exits = info->exits,
                                 .threads = net == task->nn.net ? task->nn.threads : task->nn.spare.threads,
                                 .samples = runs,
                                 .mode = EI_ET_SEQUENTIAL};
    snprintf(et->network, sizeof et->network, "%s", info->name);
    snprintf(et->weights_sha256, sizeof et->weights_sha256, "%s", info->weights_sha256);
    snprintf(et->machine, sizeof et->machine, "%.100s", task->run->machine.cpu_model);
    if (lane->kind == EI_SPEC_LANE_CUDA) {
        ei_et_profile_set_device(et, lane->device_idx, lane->sms);
    } else {
        snprintf(et->lane, sizeof et->lane, "cpu");
    }
    take_times(piece_ns, runs, pieces, et);
    return 0;
}

/* On a device the parts were cut, but a layer cannot be. Its time there counts: a launch is not the layer's. */
static int check_layers(const struct ei_live_task *task, struct einet_error *err)
{
    const struct ei_task_spec *spec = task->spec;
    struct ei_network_layer layer;
    const int64_t ns = task->nn.net != NULL ? ei_network_uncut(task->nn.net, &layer) : 0;
    if (ns == 0) {
        return 0;
    }
    return einet_error_set_at(
        err, EINET_E_FILE, task->run->wl->file, spec->place.line, spec->place.column,
        "%s%s%s of block %d of task '%s' takes %lld us on its device, more than its max_blocking: "
        "blocks are split between layers, and a single layer cannot be, so give max_blocking at "
        "least %lldus or another network",
        layer.name, layer.name[0] != '\0' ? " of the " : "the ", layer.is_branch ? "branch" : "conv part",
        layer.block_idx + 1, spec->name, (long long)(ns / EI_NS_PER_US), (long long)(ns / EI_NS_PER_US + 1));
}

/* A block on a CPU cannot be split. Emulated ones were checked when the file was read, by its own times. Nothing is
 * asked of one that runs on its fallback because there is no device. */
static int check_blocking(const struct ei_live_task *task, struct einet_error *err)
{
    const struct ei_task_spec *spec = task->spec;
    if (task->run->wl->lanes[spec->stages[spec->nn_stage_idx].lane_idx].kind == EI_SPEC_LANE_CUDA) {
        return check_layers(task, err);
    }
    const struct ei_model_spec *model = &task->run->wl->models[spec->stages[spec->nn_stage_idx].model_idx];
    int64_t longest_ns = 0;
    for (int32_t k = 0; k < task->nn.et.exits; k++) {
        longest_ns = task->nn.et.conv[k].p50_ns > longest_ns ? task->nn.et.conv[k].p50_ns : longest_ns;
        longest_ns = task->nn.et.branch[k].p50_ns > longest_ns ? task->nn.et.branch[k].p50_ns : longest_ns;
    }
    const bool is_emulated = model->kind == EI_SPEC_MODEL_EMULATE && task->own_network == NULL;
    if (spec->max_blocking_ns == EI_NONE_NS || is_emulated || longest_ns <= spec->max_blocking_ns) {
        return 0;
    }
    return einet_error_set_at(err, EINET_E_FILE, task->run->wl->file, spec->place.line, spec->place.column,
                              "the longest block of task '%s' takes %lld us here, more than its max_blocking: a block "
                              "on a CPU cannot be split, so give it that time or another network",
                              spec->name, (long long)(longest_ns / EI_NS_PER_US));
}

int ei_task_configure_plan(struct ei_live_task *task, const float *score, int32_t score_count, struct einet_error *err)
{
    task->nn.first_answer_ns = task->nn.et.conv[0].p99_ns + task->nn.et.branch[0].p99_ns;
    ei_plan_workspace_init(&task->nn.ws);
    int rc = check_blocking(task, err);
    if (rc < 0) {
        return rc;
    }
    rc = ei_elastic_config_init(&task->nn.elastic, &task->nn.et, score_count > 0 ? score : NULL, score_count,
                                ei_task_search(task->run->wl, task->idx),
                                task->spec->planner.first_exit == EI_SPEC_FIRST_EXIT_MANDATORY, err);
    return rc == 0 ? ei_task_complete_planning(task, err) : rc;
}

int ei_task_measure(struct ei_job_slot *slot, struct einet_error *err)
{
    struct ei_live_task *task = slot->task;
    float score[EI_EXITS_MAX];
    struct ei_task_spare *spare = &task->nn.spare;
    static struct ei_pieces whole; /* a spare's parts are; one turn at a time */
    int rc = ei_handover_take_times(task)
                 ? 0
                 : measure_blocks(slot, task->nn.net, task->nn.lane_idx, &task->nn.et, &task->nn.pieces, err);
    if (rc == 0 && spare->net != NULL) {
        rc = measure_blocks(slot, spare->net, spare->lane_idx, &spare->et, &whole, err);
    }
    if (rc < 0) {
        return rc;
    }
    const int count = mean_scores(task, score, err);
    if (count < 0) {
        return count;
    }
    rc = ei_task_configure_plan(task, score, count, err);
    if (rc == 0) {
        ei_task_settle_replans(task);
        if (spare->net != NULL) {
            ei_task_configure_spare(task);
        }
    }
    return rc;
}
