/* See member.h. */
#include "adapters/dds/pool/member.h"
#include "adapters/dds/pool/decide.h"
#include "adapters/dds/pool/roster.h"

#include "pool/pool.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define ROUNDS_PER_LEASE 4
#define TELL_NS INT64_C(100000000)
#define BEAT_NS INT64_C(40000000) /* of einet_run_beat */
#define PATIENCE_NS NS_PER_S      /* with a task that has no deadline */
#define SETTLED_RESULTS 2
#define RECOVERY_NS NS_PER_S /* for as long all jobs of a chain are to end before it is served again */
#define LOAD_SMOOTH 8        /* jobs over which the cost of a frame is averaged */
#define DEFAULT_LIFESPAN_NS NS_PER_S

/* Of each task of the workload. The callback thread counts, dds_pool reads. */
struct counted {
    struct einet_task_info info;
    int32_t slot; /* of the bridge's tasks, -1 = the node's own */
    atomic_int_least64_t jobs, late, cut, answered;
    atomic_int_least64_t cost_ns;     /* of the lane, for all exits of one job; smoothed */
    bool is_cost_known;               /* a job was computed to its last exit; of the callback thread */
    int64_t load_jobs, load_permille; /* of dds_pool: jobs when the load was last reckoned */
};

/* Of each task of the pool. */
struct shared {
    int32_t counted;                             /* index of it */
    dds_entity_t writer, partial_writer;         /* partial: 0 = none */
    atomic_bool is_resting;                      /* read by who takes images */
    atomic_bool is_stuck;                        /* its jobs do not come to an end; read by who writes */
    atomic_int_least64_t written, noted, ran;    /* results; jobs that ended in any way; that were run until then */
    int32_t strength;                            /* that the writer has */
    enum einet_dds_duty duty;                    /* that is in force */
    bool is_silent;                              /* no results are to come */
    int64_t written_at_change, others_at_change; /* results of ours and answers of other nodes, when the duty changed */
    struct ei_pool_pulse pulse;                  /* whether its jobs come to an end */
    int64_t hung_ns;                             /* when they were last seen not to; 0 = never */
};

struct ei_pool {
    struct einet_dds *dds;
    char name[EINET_POOL_NAME_MAX], node[EINET_POOL_NAME_MAX], workload[EINET_POOL_NAME_MAX];
    int32_t rank;
    int64_t lease_ns, incarnation;
    uint64_t hash;
    int32_t task_count;
    struct counted *tasks;
    struct shared *shared; /* by slot */
    struct ei_pool_ends ends;
    dds_entity_t state_writer, state_reader, waitset, is_waking;
    struct ei_pool_roster roster;
    struct ei_pool_shed shed;
    int64_t told_ns, loads_ns;
    int64_t ended, sign_ns; /* jobs of all tasks, and when their number last grew */
    bool is_news, is_told_leaving;
    struct ei_thread thread;
    bool has_thread;
    atomic_bool is_leaving, is_ending;
    pthread_mutex_t run_lock; /* who holds it and is not leaving may look at the run, which goes some time after that */
};

static int64_t now_of(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* ---- making it ---- */

/* FNV-1a. */
static void hash_bytes(uint64_t *hash, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *hash = (*hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    }
}

static void hash_task(uint64_t *hash, const struct einet_task_info *info)
{
    const int64_t numbers[] = {info->priority, info->deadline_ns, info->least_interval_ns, info->overlap, info->queue,
                               info->width_px, info->height_px,   info->channels,          info->message};
    hash_bytes(hash, info->name, strlen(info->name) + 1);
    const char *topics[] = {info->topic, info->classification_topic, info->status_topic, info->partial_topic};
    for (int i = 0; i < 4; i++) {
        hash_bytes(hash, topics[i], strlen(topics[i]) + 1);
    }
    hash_bytes(hash, numbers, sizeof numbers);
}

static int take_options(struct ei_pool *pool, const struct einet_dds_pool *options, struct einet_error *err)
{
    if (options->size_bytes != sizeof *options) {
        return einet_error_set(err, options->size_bytes > sizeof *options ? -E2BIG : -EINVAL,
                               "options of a pool without their size: set size_bytes to sizeof the struct");
    }
    const char *names[] = {options->name, options->node};
    for (int i = 0; i < 2; i++) {
        if (names[i] == NULL || !ei_pool_is_name(names[i])) {
            return einet_error_set(err, EINET_E_USAGE,
                                   "'%s' cannot name a %s: give 1..%d letters, digits, '_', '-' and '.'",
                                   names[i] != NULL ? names[i] : "", i == 0 ? "pool" : "node", EINET_POOL_NAME_MAX - 1);
        }
    }
    if (options->rank < 0 || options->rank > EINET_POOL_RANK_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "rank is %d: give 0..%d", options->rank, EINET_POOL_RANK_MAX);
    }
    pool->lease_ns = options->lease_ns == 0 ? EINET_POOL_LEASE_DEFAULT_NS : options->lease_ns;
    if (pool->lease_ns < EINET_POOL_LEASE_MIN_NS || pool->lease_ns > EINET_POOL_LEASE_MAX_NS) {
        return einet_error_set(err, EINET_E_USAGE, "lease is %.3g ms: give 20ms..10s", (double)pool->lease_ns / 1e6);
    }
    (void)snprintf(pool->name, sizeof pool->name, "%s", options->name);
    (void)snprintf(pool->node, sizeof pool->node, "%s", options->node);
    pool->rank = options->rank;
    pool->incarnation = now_of(CLOCK_REALTIME);
    return 0;
}

/* What is told of it has room for as much. */
static int check_names(const struct einet_task_info *info, struct einet_error *err)
{
    const char *topics[] = {info->classification_topic, info->status_topic, info->partial_topic};
    if (strlen(info->name) >= EINET_POOL_NAME_MAX) {
        return einet_error_set(err, EINET_E_LIMIT, "the name of task '%s' is longer than %d bytes, which a pool keeps",
                               info->name, EINET_POOL_NAME_MAX - 1);
    }
    for (int i = 0; i < 3; i++) {
        if (!ei_pool_is_topic(topics[i])) {
            return einet_error_set(
                err, EINET_E_LIMIT,
                "task '%s' has its output at '%s': in a pool give '/' and at most %d letters, digits, "
                "'_' and '/'",
                info->name, topics[i], EINET_POOL_TOPIC_MAX - 2);
        }
    }
    return 0;
}

static int take_tasks(struct ei_pool *pool, const struct einet_workload *workload, struct einet_error *err)
{
    const struct einet_dds *dds = pool->dds;
    pool->task_count = einet_workload_task_count(workload);
    if (pool->task_count > EINET_POOL_TASKS_MAX) {
        return einet_error_set(err, EINET_E_LIMIT, "%d tasks: a node of a pool has %d at most", pool->task_count,
                               EINET_POOL_TASKS_MAX);
    }
    pool->tasks = calloc((size_t)pool->task_count + 1, sizeof *pool->tasks);
    pool->shared = calloc((size_t)dds->task_count + 1, sizeof *pool->shared);
    if (pool->tasks == NULL || pool->shared == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the tasks");
    }
    (void)snprintf(pool->workload, sizeof pool->workload, "%s", einet_workload_name(workload));
    pool->hash = UINT64_C(0xcbf29ce484222325);
    for (int32_t i = 0; i < pool->task_count; i++) {
        pool->tasks[i].info.size_bytes = sizeof pool->tasks[i].info;
        pool->tasks[i].slot = -1;
        (void)einet_workload_task_info(workload, i, &pool->tasks[i].info);
        hash_task(&pool->hash, &pool->tasks[i].info);
    }
    for (int32_t slot = 0; slot < dds->task_count; slot++) {
        struct counted *task = &pool->tasks[dds->tasks[slot].task_idx];
        task->slot = slot;
        pool->shared[slot].counted = dds->tasks[slot].task_idx;
        const int rc = check_names(&task->info, err);
        if (rc < 0) {
            return rc;
        }
    }
    ei_pool_shed_init(&pool->shed, pool->task_count);
    return 0;
}

int ei_pool_create(struct einet_dds *dds, struct einet_workload *workload, const struct einet_dds_pool *options,
                   struct ei_pool **out_pool, struct einet_error *err)
{
    struct ei_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the pool");
    }
    pool->dds = dds;
    (void)pthread_mutex_init(&pool->run_lock, NULL);
    int rc = take_options(pool, options, err);
    rc = rc < 0 ? rc : take_tasks(pool, workload, err);
    if (rc < 0) {
        ei_pool_destroy(pool);
        return rc;
    }
    *out_pool = pool;
    return 0;
}

void ei_pool_destroy(struct ei_pool *pool)
{
    if (pool != NULL) {
        free(pool->tasks);
        free(pool->shared);
        (void)pthread_mutex_destroy(&pool->run_lock);
        free(pool);
    }
}

/* A result is of use until the deadline of its frame, and for as long as a takeover may last. */
static int64_t lifespan_of(const struct ei_pool *pool, const struct einet_task_info *info)
{
    return info->deadline_ns == 0               ? DEFAULT_LIFESPAN_NS
           : info->deadline_ns > pool->lease_ns ? info->deadline_ns
                                                : pool->lease_ns;
}

int ei_pool_open(struct ei_pool *pool, struct einet_error *err)
{
    const dds_entity_t participant = pool->dds->participant;
    int rc = ei_pool_open_ends(participant, pool->name, &pool->ends, err);
    pool->ends.lease_ns = pool->lease_ns;
    rc = rc < 0 ? rc : ei_pool_open_state_reader(&pool->ends, participant, &pool->state_reader, err);
    rc = rc < 0 ? rc : ei_pool_open_state_writer(&pool->ends, participant, &pool->state_writer, err);
    for (int32_t slot = 0; rc == 0 && slot < pool->dds->task_count; slot++) {
        const struct einet_task_info *info = &pool->tasks[pool->shared[slot].counted].info;
        struct shared *shared = &pool->shared[slot];
        const int64_t lifespan_ns = lifespan_of(pool, info);
        rc = ei_pool_open_result_writer(&pool->ends, participant, info->name, lifespan_ns, &shared->writer, err);
        if (rc == 0 && info->partial_topic[0] != '\0') {
            rc = ei_pool_open_partial_writer(&pool->ends, participant, info->name, lifespan_ns, &shared->partial_writer,
                                             err);
        }
    }
    if (rc < 0) {
        return rc;
    }
    pool->waitset = dds_create_waitset(participant);
    pool->is_waking = dds_create_guardcondition(participant);
    const dds_entity_t has_data = dds_create_readcondition(pool->state_reader, DDS_ANY_STATE);
    return dds_waitset_attach(pool->waitset, pool->is_waking, 0) < 0 ||
                   dds_waitset_attach(pool->waitset, has_data, 0) < 0
               ? einet_error_set(err, EINET_E_BACKEND, "CycloneDDS made no waitset for the pool")
               : 0;
}

/* ---- what the run says ---- */

static bool is_loss(const struct einet_result *result)
{
    return result->outcome != EINET_JOB_COMPLETED
               ? result->cause != EINET_CAUSE_CANCELLED && result->cause != EINET_CAUSE_UPSTREAM
               : (result->flags & EINET_RESULT_DEADLINE_MET) == 0;
}

/* What all exits of a job cost the lane. Until one was computed in full it is reckoned from those that were, the block
 * behind the last exit included: rather too little than too much. */
static void note_cost(struct counted *task, const struct einet_result *result)
{
    const int32_t exits = result->answer.exits_total;
    const bool is_full = exits == 0 || result->answer.exit_idx == exits - 1;
    if (result->lane_busy_ns <= 0 || (task->is_cost_known && !is_full)) {
        return;
    }
    const int64_t cost_ns =
        is_full ? result->lane_busy_ns : result->lane_busy_ns * exits / (result->answer.exit_idx + 2);
    const int64_t was_ns = is_full == task->is_cost_known ? atomic_load(&task->cost_ns) : 0;
    atomic_store(&task->cost_ns, was_ns == 0 ? cost_ns : was_ns + (cost_ns - was_ns) / LOAD_SMOOTH);
    task->is_cost_known = is_full;
}

void ei_pool_note(struct ei_pool *pool, const struct einet_result *result)
{
    struct counted *task = &pool->tasks[result->task_idx];
    const bool is_cut = result->outcome == EINET_JOB_COMPLETED &&
                        (result->cause == EINET_CAUSE_PREEMPTED || result->cause == EINET_CAUSE_DEADLINE ||
                         result->cause == EINET_CAUSE_LOAD_CAP);
    const bool is_lost = is_loss(result);
    note_cost(task, result);
    atomic_fetch_add(&task->jobs, 1);
    atomic_fetch_add(&task->late, is_lost);
    atomic_fetch_add(&task->cut, is_cut && !is_lost);
    atomic_fetch_add(&task->answered, (result->flags & EINET_RESULT_ANSWERED) != 0);
    if (task->slot >= 0) {
        const bool has_run = result->outcome == EINET_JOB_COMPLETED || result->outcome == EINET_JOB_ABORTED;
        atomic_fetch_add(&pool->shared[task->slot].noted, 1);
        atomic_fetch_add(&pool->shared[task->slot].ran, has_run);
    }
}

bool ei_pool_is_resting(const struct ei_pool *pool, int32_t slot)
{
    return atomic_load(&pool->shared[slot].is_resting);
}

void ei_pool_write(struct ei_pool *pool, const struct ei_dds_record *record)
{
    struct shared *shared = &pool->shared[record->slot];
    struct ei_dds_task *task = &pool->dds->tasks[record->slot];
    struct ei_dds_hypotheses hypotheses;
    einet_pool_Result message = {.incarnation = pool->incarnation};
    if (atomic_load(&shared->is_resting)) { /* of an image that came before: others answer it as well */
        return;
    }
    if (atomic_load(&shared->is_stuck)) { /* "dropped" would be a sign of life: let others speak */
        atomic_fetch_add(&task->failed_writes, 1);
        return;
    }
    (void)snprintf(message.node, sizeof message.node, "%s", pool->node);
    ei_dds_fill_classification(task, &record->result, &hypotheses, &message.classification);
    ei_dds_fill_status(record, &message.status);
    const bool is_written = dds_write(shared->writer, &message) == DDS_RETCODE_OK;
    atomic_fetch_add(&task->classified, is_written && message.status.answered);
    atomic_fetch_add(&task->reported, is_written);
    atomic_fetch_add(&task->failed_writes, !is_written);
    atomic_fetch_add(&shared->written, 1);
}

void ei_pool_write_partial(struct ei_pool *pool, int32_t slot, const einet_msgs_msg_dds__InferenceStatus_ *status)
{
    struct shared *shared = &pool->shared[slot];
    struct ei_dds_task *task = &pool->dds->tasks[slot];
    einet_pool_Partial message = {.incarnation = pool->incarnation, .status = *status};
    if (atomic_load(&shared->is_resting) || atomic_load(&shared->is_stuck)) {
        return;
    }
    (void)snprintf(message.node, sizeof message.node, "%s", pool->node);
    const bool is_written = dds_write(shared->partial_writer, &message) == DDS_RETCODE_OK;
    atomic_fetch_add(&task->partial_count, is_written);
    atomic_fetch_add(&task->failed_writes, !is_written);
}

/* ---- dds_pool: duties ---- */

static const struct einet_dds_node_task *task_of(const struct einet_dds_node *node, const char *name)
{
    for (int32_t i = 0; i < node->task_count; i++) {
        if (strcmp(node->tasks[i].name, name) == 0) {
            return &node->tasks[i];
        }
    }
    return NULL;
}

/* Whether another node serves the task; to yield it to one, that must not be overloaded itself. */
static bool is_replaced(const struct ei_pool *pool, const char *name, bool is_to_be)
{
    for (int32_t i = 0; i < pool->roster.count; i++) {
        const struct einet_dds_node *node = &pool->roster.nodes[i];
        const struct einet_dds_node_task *task = task_of(node, name);
        if (strcmp(node->name, pool->node) != 0 && task != NULL && task->duty == EINET_DUTY_SERVING &&
            (node->state == EINET_NODE_RUNNING || (!is_to_be && node->state == EINET_NODE_OVERLOADED))) {
            return true;
        }
    }
    return false;
}

/* Answers of the other nodes that serve the task. */
static int64_t answers_of_others(const struct ei_pool *pool, const char *name)
{
    int64_t answers = 0;
    for (int32_t i = 0; i < pool->roster.count; i++) {
        const struct einet_dds_node_task *task = task_of(&pool->roster.nodes[i], name);
        if (strcmp(pool->roster.nodes[i].name, pool->node) != 0 && task != NULL && task->duty == EINET_DUTY_SERVING) {
            answers += task->answered;
        }
    }
    return answers;
}

/* Whether others are seen to answer since we yielded, and readers had our lower strength to compare theirs with. */
static bool is_settled(const struct ei_pool *pool, const struct shared *shared, const char *name)
{
    return atomic_load(&shared->written) - shared->written_at_change >= SETTLED_RESULTS &&
           answers_of_others(pool, name) - shared->others_at_change >= SETTLED_RESULTS;
}

/* Nodes of our rank that come first. */
static int32_t place_of(const struct ei_pool *pool)
{
    int32_t place = 0;
    for (int32_t i = 0; i < pool->roster.count; i++) {
        const struct einet_dds_node *node = &pool->roster.nodes[i];
        place += node->rank == pool->rank && strcmp(node->name, pool->node) < 0;
    }
    return place;
}

static int64_t turned_away_of(const struct ei_pool *pool, const struct counted *task)
{
    return task->slot >= 0 ? atomic_load(&pool->dds->tasks[task->slot].turned_away) : 0;
}

static void look_at_tasks(struct ei_pool *pool, int64_t now_ns)
{
    struct ei_pool_look looks[EINET_POOL_TASKS_MAX];
    for (int32_t i = 0; i < pool->task_count; i++) {
        const struct counted *task = &pool->tasks[i];
        const struct shared *shared = task->slot >= 0 ? &pool->shared[task->slot] : NULL;
        const bool is_serving = pool->shed.tasks[i].duty == EINET_DUTY_SERVING;
        const int64_t turned_away = turned_away_of(pool, task);
        looks[i] = (struct ei_pool_look){
            .priority = task->info.priority,
            .head = task->slot >= 0 ? pool->shared[pool->dds->tasks[task->slot].head].counted : i,
            .load_permille = (int32_t)task->load_permille,
            .is_shared = shared != NULL,
            .is_replaced = shared != NULL && is_replaced(pool, task->info.name, is_serving),
            .is_settled = shared != NULL && is_settled(pool, shared, task->info.name),
            .jobs = atomic_load(&task->jobs) + turned_away,
            .late = atomic_load(&task->late) + turned_away,
            .cut = atomic_load(&task->cut),
        };
    }
    ei_pool_shed_step(&pool->shed, looks, now_ns);
}

/* Whether a job of the chain of a task does not end, or did not until lately. The tasks of a chain go together: what is
 * before one that hangs would be heard of this node, and what is behind the other's of the other one. */
static bool is_hanging(const struct ei_pool *pool, int32_t slot, int64_t now_ns)
{
    const struct ei_dds_task *tasks = pool->dds->tasks;
    bool is_it = false;
    for (int32_t i = 0; i < pool->dds->task_count; i++) {
        const int64_t hung_ns = pool->shared[i].hung_ns;
        is_it = is_it || (tasks[i].head == tasks[slot].head && hung_ns > 0 && now_ns - hung_ns < RECOVERY_NS);
    }
    return is_it;
}

/* Bring what the writers and the taking of images do to what was decided. */
static void enforce(struct ei_pool *pool, int64_t now_ns)
{
    const int32_t place = place_of(pool);
    const bool is_leaving = atomic_load(&pool->is_leaving);
    for (int32_t slot = 0; slot < pool->dds->task_count; slot++) {
        struct shared *shared = &pool->shared[slot];
        const struct counted *task = &pool->tasks[shared->counted];
        const enum einet_dds_duty duty = pool->shed.tasks[shared->counted].duty;
        const bool is_given = duty != EINET_DUTY_SERVING || is_leaving || is_hanging(pool, slot, now_ns);
        /* the load of a task that is given away stays as it was then */
        const int32_t strength = is_given && shared->strength < 0
                                     ? shared->strength
                                     : ei_pool_strength(pool->rank, (int32_t)task->load_permille, place, is_given);
        if (duty != shared->duty) {
            shared->duty = duty;
            shared->written_at_change = atomic_load(&shared->written);
            shared->others_at_change = answers_of_others(pool, task->info.name);
            pool->is_news = true;
            atomic_store(&shared->is_resting, duty == EINET_DUTY_RESTING);
        }
        if (strength != shared->strength && ei_pool_set_strength(shared->writer, strength) &&
            (shared->partial_writer == 0 || ei_pool_set_strength(shared->partial_writer, strength))) {
            shared->strength = strength;
            pool->is_news = true;
        }
        const bool is_silent = duty == EINET_DUTY_RESTING || is_leaving;
        if (is_silent && !shared->is_silent) { /* readers learn of a strength by what is written: nothing may be */
            const einet_pool_Result nothing = {.node = ""};
            (void)dds_unregister_instance(shared->writer, &nothing);
            if (shared->partial_writer > 0) {
                const einet_pool_Partial no_partial = {.node = ""};
                (void)dds_unregister_instance(shared->partial_writer, &no_partial);
            }
        }
        shared->is_silent = is_silent;
    }
}

static void reckon_loads(struct ei_pool *pool, int64_t now_ns)
{
    const int64_t span_ns = now_ns - pool->loads_ns;
    if (span_ns < EI_POOL_WINDOW_NS) {
        return;
    }
    for (int32_t i = 0; i < pool->task_count; i++) {
        struct counted *task = &pool->tasks[i];
        const int64_t left = task->slot >= 0 ? atomic_load(&pool->dds->tasks[task->slot].left) : 0;
        const int64_t jobs = atomic_load(&task->jobs) + turned_away_of(pool, task) + left;
        task->load_permille =
            pool->loads_ns == 0 ? 0 : (jobs - task->load_jobs) * atomic_load(&task->cost_ns) * 1000 / span_ns;
        task->load_jobs = jobs;
    }
    pool->loads_ns = now_ns;
}

/* ---- dds_pool: signs of life ---- */

/* Behind the first of a chain jobs are released by its images. */
static bool is_moving(struct ei_pool *pool, int32_t slot, int64_t now_ns)
{
    struct shared *shared = &pool->shared[slot];
    const struct ei_dds_task *tasks = pool->dds->tasks;
    const struct einet_task_info *info = &pool->tasks[shared->counted].info;
    struct ei_pool_counts counts = {.released = atomic_load(&tasks[tasks[slot].head].released)}; /* before the others */
    counts.noted = atomic_load(&shared->noted);
    counts.ran = atomic_load(&shared->ran);
    return ei_pool_is_moving(&shared->pulse, counts,
                             (info->deadline_ns > 0 ? info->deadline_ns : PATIENCE_NS) + pool->lease_ns, now_ns);
}

/* Nothing comes of one behind a task that is paused, and nothing is wrong with it. */
static bool is_paused(const struct ei_pool *pool, int32_t slot)
{
    const struct ei_dds_task *tasks = pool->dds->tasks;
    bool is_it = false;
    for (int32_t i = 0; i < pool->dds->task_count && !is_it; i++) {
        struct einet_settings settings = {.size_bytes = sizeof settings};
        is_it = tasks[i].head == tasks[slot].head &&
                einet_run_settings(pool->dds->run, tasks[i].task_idx, &settings) == 0 && settings.is_paused != 0;
    }
    return is_it;
}

/* Note a task of which jobs do not come to an end, but for a reason. */
static void note_stuck(struct ei_pool *pool, int32_t slot, int64_t now_ns)
{
    (void)pthread_mutex_lock(&pool->run_lock);
    if (!atomic_load(&pool->is_leaving) && !is_paused(pool, slot)) {
        pool->shared[slot].hung_ns = now_ns;
    }
    (void)pthread_mutex_unlock(&pool->run_lock);
}

static void tell(struct ei_pool *pool, int64_t now_ns)
{
    einet_pool_TaskState tasks[EINET_POOL_TASKS_MAX];
    const bool is_leaving = atomic_load(&pool->is_leaving);
    einet_pool_RuntimeState state = {
        .state = is_leaving                  ? EINET_NODE_LEAVING
                 : pool->shed.overloaded > 0 ? EINET_NODE_OVERLOADED
                                             : EINET_NODE_RUNNING,
        .rank = pool->rank,
        .incarnation = pool->incarnation,
        .workload_hash = pool->hash,
        .tasks = {._maximum = EINET_POOL_TASKS_MAX, ._length = (uint32_t)pool->dds->task_count, ._buffer = tasks},
    };
    (void)snprintf(state.node, sizeof state.node, "%s", pool->node);
    (void)snprintf(state.workload, sizeof state.workload, "%s", pool->workload);
    for (int32_t i = 0; i < pool->task_count; i++) {
        state.load_permille += (int32_t)pool->tasks[i].load_permille;
    }
    for (int32_t slot = 0; slot < pool->dds->task_count; slot++) {
        const struct shared *shared = &pool->shared[slot];
        const struct counted *task = &pool->tasks[shared->counted];
        tasks[slot] = (einet_pool_TaskState){
            .priority = task->info.priority,
            .duty = (uint8_t)(is_hanging(pool, slot, now_ns) ? EINET_DUTY_HANGING : shared->duty),
            .load_permille = (int32_t)task->load_permille,
            .strength = shared->strength,
            .answered = atomic_load(&task->answered),
            .late = atomic_load(&task->late)};
        (void)snprintf(tasks[slot].name, sizeof tasks[slot].name, "%s", task->info.name);
        (void)snprintf(tasks[slot].classification_topic, sizeof tasks[slot].classification_topic, "%s",
                       task->info.classification_topic);
        (void)snprintf(tasks[slot].status_topic, sizeof tasks[slot].status_topic, "%s", task->info.status_topic);
        (void)snprintf(tasks[slot].partial_topic, sizeof tasks[slot].partial_topic, "%s", task->info.partial_topic);
    }
    if (dds_write(pool->state_writer, &state) == DDS_RETCODE_OK) {
        pool->is_news = false;
        pool->is_told_leaving = is_leaving;
        pool->told_ns = now_ns;
    }
}

/* Whether the scheduler was seen to work: it went its rounds, or jobs ended, which it shows sooner under load. */
static bool is_alive(struct ei_pool *pool, int64_t now_ns)
{
    int64_t ended = 0;
    for (int32_t i = 0; i < pool->task_count; i++) {
        ended += atomic_load(&pool->tasks[i].jobs);
    }
    if (ended != pool->ended) {
        pool->ended = ended;
        pool->sign_ns = now_ns;
    }
    (void)pthread_mutex_lock(&pool->run_lock);
    const int64_t beat_ns = atomic_load(&pool->is_leaving) ? now_ns : einet_run_beat(pool->dds->run);
    (void)pthread_mutex_unlock(&pool->run_lock);
    return now_ns - (beat_ns > pool->sign_ns ? beat_ns : pool->sign_ns) <= pool->lease_ns + BEAT_NS;
}

/* Nothing is asserted that the scheduler does not show: its work for the node, ended jobs for each task. */
static void show_life(struct ei_pool *pool, int64_t now_ns)
{
    if (!is_alive(pool, now_ns)) {
        return;
    }
    const bool is_leaving = atomic_load(&pool->is_leaving);
    for (int32_t slot = 0; slot < pool->dds->task_count; slot++) {
        const bool is_stuck = !is_moving(pool, slot, now_ns);
        atomic_store(&pool->shared[slot].is_stuck, is_stuck);
        if (is_stuck) {
            note_stuck(pool, slot, now_ns);
        } else {
            (void)dds_assert_liveliness(pool->shared[slot].writer);
            if (pool->shared[slot].partial_writer > 0) {
                (void)dds_assert_liveliness(pool->shared[slot].partial_writer);
            }
        }
    }
    if (pool->is_news || is_leaving != pool->is_told_leaving || now_ns - pool->told_ns >= TELL_NS) {
        tell(pool, now_ns);
    } else {
        (void)dds_assert_liveliness(pool->state_writer);
    }
}

static void live(void *arg)
{
    struct ei_pool *pool = arg;
    while (!atomic_load(&pool->is_ending)) {
        bool is_woken = false;
        (void)dds_waitset_wait(pool->waitset, NULL, 0, pool->lease_ns / ROUNDS_PER_LEASE);
        (void)dds_take_guardcondition(pool->is_waking, &is_woken);
        (void)ei_pool_roster_take(&pool->roster, pool->state_reader);
        const int64_t now_ns = now_of(CLOCK_MONOTONIC);
        reckon_loads(pool, now_ns);
        look_at_tasks(pool, now_ns);
        enforce(pool, now_ns);
        show_life(pool, now_ns);
    }
}

int ei_pool_start(struct ei_pool *pool, struct einet_error *err)
{
    return ei_dds_start_thread(pool->dds->options.priority, "dds_pool", live, pool, &pool->thread, &pool->has_thread,
                               err);
}

void ei_pool_leave(struct ei_pool *pool)
{
    (void)pthread_mutex_lock(&pool->run_lock);
    const bool is_first = !atomic_exchange(&pool->is_leaving, true);
    (void)pthread_mutex_unlock(&pool->run_lock);
    if (pool->has_thread && is_first) {
        (void)dds_set_guardcondition(pool->is_waking, true);
    }
}

void ei_pool_stop(struct ei_pool *pool)
{
    if (pool->has_thread) {
        atomic_store(&pool->is_ending, true);
        (void)dds_set_guardcondition(pool->is_waking, true);
        (void)ei_thread_join(&pool->thread);
        pool->has_thread = false;
    }
}
