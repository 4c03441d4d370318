/* Networks of the program's own: from the engine's calls to the interface's. See einet/network.h. */
#include "library/run.h"

#include "library/sized.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(EINET_EXITS_MAX == EI_NETWORK_BLOCKS_MAX && EINET_CLASSES_MAX == EI_NETWORK_CLASSES_MAX,
               "both know the same limits");

/* ---- calls of the engine; context: the struct ei_own_network ---- */

static int call_open(void *context)
{
    struct ei_own_network *own = context;
    return own->theirs.open(own->theirs.context, &own->instance);
}

static void call_close(void *context)
{
    const struct ei_own_network *own = context;
    own->theirs.close(own->instance);
}

static int call_begin(void *context, const float *input_chw)
{
    const struct ei_own_network *own = context;
    const struct ei_job_record *record = own->seat->record;
    struct einet_job job;
    if (record == NULL) {
        return own->theirs.begin(own->instance, NULL, input_chw);
    }
    ei_listener_describe_job(own->run, record, own->stage_idx, NULL, &job);
    return own->theirs.begin(own->instance, &job, input_chw);
}

static int call_block(void *context, int32_t block_idx)
{
    const struct ei_own_network *own = context;
    return own->theirs.run_block(own->instance, block_idx);
}

static int call_exit(void *context, int32_t exit_idx, float *out_scores, float *out_confidence)
{
    const struct ei_own_network *own = context;
    return own->theirs.run_exit(own->instance, exit_idx, out_scores, out_confidence);
}

static void call_end(void *context)
{
    const struct ei_own_network *own = context;
    own->theirs.end(own->instance);
}

/* ---- taking it ---- */

static struct ei_network_own_config config_of(struct ei_own_network *own)
{
    const struct einet_network *theirs = &own->theirs;
    struct ei_network_own_config config = {
        .name = theirs->name,
        .exits = theirs->exits,
        .classes = theirs->classes,
        .channels = theirs->channels,
        .height_px = theirs->height_px,
        .width_px = theirs->width_px,
        .mean_score = theirs->mean_score,
        .gives_probabilities = theirs->scores == EINET_SCORES_PROBABILITIES,
        .context = own,
        .open = theirs->open != NULL ? call_open : NULL,
        .close = theirs->close != NULL ? call_close : NULL,
        .begin = theirs->begin != NULL ? call_begin : NULL,
        .run_block = theirs->run_block != NULL ? call_block : NULL,
        .run_exit = theirs->run_exit != NULL ? call_exit : NULL,
        .end = theirs->end != NULL ? call_end : NULL,
    };
    memcpy(config.norm_mean, theirs->mean, sizeof config.norm_mean);
    memcpy(config.norm_std, theirs->std, sizeof config.norm_std);
    return config;
}

/* The nn stage that the network computes, all of whose lanes are CPUs. */
static int find_stage(const struct ei_workload *wl, const struct ei_task_spec *task,
                      const struct einet_network *network, const struct ei_stage_spec **out, struct einet_error *err)
{
    if (task->nn_stage_idx == EI_NONE_IDX) {
        return einet_error_set(err, EINET_E_USAGE,
                               "task '%s' has no network that one of the program could take the place of: give it a "
                               "stage { name: net, kind: nn, model: m, lane: l }",
                               task->name);
    }
    const struct ei_stage_spec *stage = &task->stages[task->nn_stage_idx];
    const struct ei_model_spec *model = &wl->models[stage->model_idx];
    if (model->kind != EI_SPEC_MODEL_EMULATE) {
        return einet_error_set(err, EINET_E_USAGE,
                               "model '%s' of task '%s' is a network of its own: write %s: { emulate: { blocks: [...] "
                               "} } with the times that the program's blocks and exits need",
                               model->name, task->name, model->name);
    }
    if (model->block_count != network->exits) {
        return einet_error_set(err, EINET_E_USAGE,
                               "the network for task '%s' has %d exits, model '%s' has %d blocks: give both as many",
                               task->name, network->exits, model->name, model->block_count);
    }
    if (wl->lanes[stage->lane_idx].kind != EI_SPEC_LANE_CPU) { /* no list has another */
        return einet_error_set(err, EINET_E_USAGE,
                               "a network of the program runs on lanes of kind cpu, and lane '%s' of task '%s' is "
                               "none: give it another lane",
                               wl->lanes[stage->lane_idx].name, task->name);
    }
    *out = stage;
    return 0;
}

static int check_scores(const struct einet_network *network, struct einet_error *err)
{
    return network->scores == EINET_SCORES_LOGITS || network->scores == EINET_SCORES_PROBABILITIES
               ? 0
               : einet_error_set(err, EINET_E_USAGE, "scores is %d: see enum einet_scores", network->scores);
}

static void free_own(struct ei_own_network *own)
{
    if (own != NULL) {
        free(own->name);
        free(own->mean_score);
        free(own);
    }
}

/* A copy that no longer borrows from the caller; NULL: no memory. theirs: checked. */
static struct ei_own_network *copy(const struct einet_network *theirs)
{
    struct ei_own_network *own = calloc(1, sizeof *own);
    const size_t score_bytes = (size_t)theirs->exits * sizeof *theirs->mean_score;
    if (own == NULL) {
        return NULL;
    }
    own->theirs = *theirs;
    own->instance = theirs->context;
    own->name = theirs->name != NULL ? strdup(theirs->name) : NULL;
    own->mean_score = theirs->mean_score != NULL ? malloc(score_bytes) : NULL;
    if ((theirs->name != NULL && own->name == NULL) || (theirs->mean_score != NULL && own->mean_score == NULL)) {
        free_own(own);
        return NULL;
    }
    if (theirs->mean_score != NULL) {
        memcpy(own->mean_score, theirs->mean_score, score_bytes);
    }
    own->theirs.name = own->name;
    own->theirs.mean_score = own->mean_score;
    return own;
}

static int take(const struct einet_network *network, struct einet_network *out, struct einet_error *err)
{
    const int rc = ei_sized_take(out, sizeof *out, network);
    if (rc < 0) {
        return einet_error_set(err, rc,
                               "a network without a size, or of a newer einet than this library: set size_bytes to "
                               "sizeof the struct");
    }
    return check_scores(out, err);
}

/* Before the run starts; a former one for the task goes. */
static int give(struct einet_run *run, int32_t task_idx, struct ei_own_network *own, struct einet_error *err)
{
    struct ei_own_network *former = own;
    int rc = 0;
    own->run = run;
    own->seat = &run->tap.networks[task_idx];
    pthread_mutex_lock(&run->lock);
    if (atomic_load(&run->phase) == EINET_RUN_CREATED) {
        former = run->networks[task_idx];
        run->networks[task_idx] = own;
        own->seat->config = config_of(own);
    } else {
        rc = einet_error_set(err, -EALREADY, "the run was started: give it its networks before");
    }
    pthread_mutex_unlock(&run->lock);
    free_own(former);
    return rc;
}

int einet_run_set_network(struct einet_run *run, int32_t task_idx, const struct einet_network *network,
                          struct einet_error *err)
{
    const struct ei_workload *wl = run->workload->spec;
    const struct ei_stage_spec *stage = NULL;
    struct ei_own_network asked = {0};
    struct einet_error why = {0};
    if (task_idx < 0 || task_idx >= wl->task_count) {
        return einet_error_set(err, EINET_E_USAGE, "the workload has no task %d", task_idx);
    }
    const struct ei_task_spec *task = &wl->tasks[task_idx];
    int rc = take(network, &asked.theirs, err);
    if (rc < 0) {
        return rc;
    }
    const struct ei_network_own_config config = config_of(&asked);
    if (ei_network_check_own(&config, &why) < 0) {
        return einet_error_set(err, EINET_E_USAGE, "task '%s': %s", task->name, why.text);
    }
    rc = find_stage(wl, task, &asked.theirs, &stage, err);
    if (rc < 0) {
        return rc;
    }
    struct ei_own_network *own = copy(&asked.theirs);
    if (own == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the network of task '%s'", task->name);
    }
    own->stage_idx = (int32_t)(stage - task->stages);
    return give(run, task_idx, own, err);
}

void ei_own_networks_free(struct einet_run *run)
{
    for (int32_t i = 0; i < EI_TASKS_MAX; i++) {
        free_own(run->networks[i]);
    }
}
