/* The life of a bridge. See einet/dds.h and bridge.h. */
#include "adapters/dds/bridge.h"
#include "adapters/dds/pool/member.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES ((size_t)1024 * 1024)

/* ---- callbacks ---- */

static int32_t slot_of(const struct einet_dds *dds, int32_t task_idx)
{
    int32_t slot = 0;
    while (slot < dds->task_count && dds->tasks[slot].task_idx != task_idx) {
        slot++;
    }
    return slot;
}

/* The same in the run of a feed. */
static int32_t slot_in(const struct ei_dds_feed *feed, int32_t task_idx)
{
    int32_t slot = 0;
    while (slot < feed->dds->task_count && feed->promises[slot].task_idx != task_idx) {
        slot++;
    }
    return slot;
}

static void on_result(void *context, const struct einet_result *result)
{
    const struct ei_dds_feed *feed = context;
    struct einet_dds *dds = feed->dds;
    const struct ei_dds_record record = {
        .slot = slot_in(feed, result->task_idx), .kind = EI_DDS_RESULT, .result = *result};
    if (dds->pool != NULL) {
        ei_pool_note(dds->pool, result);
    }
    if (record.slot < dds->task_count) {
        ei_dds_write_record(dds, &record);
    }
    if (dds->next.on_result != NULL) {
        dds->next.on_result(dds->next.context, result);
    }
}

static void on_miss(void *context, const struct einet_result *result)
{
    const struct einet_dds *dds = ((const struct ei_dds_feed *)context)->dds;
    dds->next.on_miss(dds->next.context, result);
}

static void on_preempt(void *context, const struct einet_preemption *preemption)
{
    const struct einet_dds *dds = ((const struct ei_dds_feed *)context)->dds;
    dds->next.on_preempt(dds->next.context, preemption);
}

static void on_answer(void *context, const struct einet_answer *answer)
{
    const struct ei_dds_feed *feed = context;
    struct einet_dds *dds = feed->dds;
    const struct ei_dds_record record = {.slot = slot_in(feed, answer->task_idx),
                                         .kind = EI_DDS_PARTIAL,
                                         .result = {.task_idx = answer->task_idx, .answer = *answer}};
    if (record.slot < dds->task_count && dds->tasks[record.slot].partial_topic[0] != '\0') {
        ei_dds_write_record(dds, &record);
    }
    if (dds->next.on_answer != NULL) {
        dds->next.on_answer(dds->next.context, answer);
    }
}

const struct einet_callbacks *einet_dds_callbacks(struct einet_dds *dds)
{
    return &dds->feeds[0].callbacks;
}

/* ---- creating ---- */

int ei_dds_check_place(int32_t domain, int32_t priority, struct einet_error *err)
{
    if (domain < 0 || domain > EINET_DDS_DOMAIN_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "domain is %d: give 0..%d", domain, EINET_DDS_DOMAIN_MAX);
    }
    return priority >= 0 && priority <= 98
               ? 0
               : einet_error_set(err, EINET_E_USAGE, "priority is %d: give 0 or 1..98", priority);
}

static int take_options(struct einet_dds *dds, const struct einet_dds_options *options, struct einet_error *err)
{
    if (options == NULL) {
        return 0;
    }
    if (options->size_bytes > sizeof *options) {
        return einet_error_set(err, -E2BIG, "options of a newer einet than this library: install that one");
    }
    if (options->size_bytes != sizeof *options ||
        (options->callbacks != NULL && options->callbacks->size_bytes != sizeof dds->next)) {
        return einet_error_set(err, -EINVAL,
                               "options or callbacks without their size: set size_bytes to sizeof the struct");
    }
    const int rc = ei_dds_check_place(options->domain, options->priority, err);
    if (rc < 0) {
        return rc;
    }
    dds->options = *options;
    dds->options.config = NULL;
    dds->options.callbacks = NULL;
    dds->options.pool = NULL;
    if (options->callbacks != NULL) {
        dds->next = *options->callbacks;
    }
    return 0;
}

bool ei_dds_is_ours(const struct einet_workload *workload, int32_t task_idx, struct einet_task_info *out_info)
{
    struct einet_task_info head = {.size_bytes = sizeof head};
    out_info->size_bytes = sizeof *out_info;
    return einet_workload_task_info(workload, task_idx, out_info) == 0 &&
           einet_workload_task_info(workload, out_info->chain_head_idx, &head) == 0 && head.topic[0] != '\0';
}

/* The workload may go before the bridge, when another run has taken over. */
static int keep_texts(struct ei_dds_task *task, const struct einet_task_info *info)
{
    const char *const from[] = {info->name, info->topic, info->classification_topic, info->status_topic,
                                info->partial_topic};
    const char **const to[] = {&task->name, &task->topic, &task->classification_topic, &task->status_topic,
                               &task->partial_topic};
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        bytes += strlen(from[i]) + 1;
    }
    char *at = task->texts = malloc(bytes);
    for (size_t i = 0; at != NULL && i < sizeof from / sizeof from[0]; i++) {
        *to[i] = at;
        at = stpcpy(at, from[i]) + 1;
    }
    return at != NULL ? 0 : -ENOMEM;
}

static int take_task(struct einet_dds *dds, struct ei_dds_task *task, int32_t task_idx,
                     const struct einet_task_info *info, struct einet_error *err)
{
    task->dds = dds;
    atomic_init(&task->task_idx, task_idx);
    if (keep_texts(task, info) < 0) {
        return einet_error_set(err, -ENOMEM, "no memory for the names of task '%s'", info->name);
    }
    atomic_init(&task->deadline_ns, info->deadline_ns);
    task->message = (enum einet_message)info->message;
    task->head = info->chain_head_idx; /* in the workload, until all slots are known */
    ei_dds_health_init(&task->health, info->deadline_ns, info->least_interval_ns);
    if (info->topic[0] == '\0') {
        return 0;
    }
    const int rc = ei_dds_type_hash(ei_dds_type_of(task->message)->name, task->type_hash);
    if (rc == 0 && ei_dds_is_follower(task)) {
        return 0;
    }
    task->wanted = (struct ei_dds_wanted){info->width_px, info->height_px, info->channels};
    task->scratch = malloc((size_t)info->width_px * (size_t)info->height_px * (size_t)info->channels);
    return rc == 0 && task->scratch != NULL
               ? 0
               : einet_error_set(err, -ENOMEM, "no memory for the pictures of task '%s'", info->name);
}

static int take_tasks(struct einet_dds *dds, const struct einet_workload *workload, struct einet_error *err)
{
    const int32_t count = einet_workload_task_count(workload);
    dds->tasks = calloc((size_t)count + 1, sizeof *dds->tasks);
    for (int i = 0; i < 2; i++) {
        dds->feeds[i] =
            (struct ei_dds_feed){.dds = dds, .promises = calloc((size_t)count + 1, sizeof *dds->feeds[i].promises)};
    }
    if (dds->tasks == NULL || dds->feeds[0].promises == NULL || dds->feeds[1].promises == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the tasks");
    }
    for (int32_t i = 0; i < count; i++) {
        struct einet_task_info info;
        if (ei_dds_is_ours(workload, i, &info)) {
            dds->feeds[0].promises[dds->task_count] =
                (struct ei_dds_promise){i, info.deadline_ns, info.least_interval_ns};
            const int rc = take_task(dds, &dds->tasks[dds->task_count++], i, &info, err);
            if (rc < 0) {
                return rc;
            }
        }
    }
    for (int32_t slot = 0; slot < dds->task_count; slot++) {
        dds->tasks[slot].head = slot_of(dds, dds->tasks[slot].head);
    }
    if (dds->task_count == 0) {
        return einet_error_set(err, EINET_E_USAGE, "no task of workload '%s' has input: { kind: topic, ... }",
                               einet_workload_name(workload));
    }
    dds->diagnoses = ei_dds_make_diagnoses(dds);
    return dds->diagnoses != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for the diagnostics");
}

static bool wants_partial(const struct einet_dds *dds)
{
    bool is_wanted = false;
    for (int32_t slot = 0; slot < dds->task_count; slot++) {
        is_wanted = is_wanted || dds->tasks[slot].partial_topic[0] != '\0';
    }
    return is_wanted;
}

static int make_ring(struct einet_dds *dds, struct einet_error *err)
{
    const size_t bytes = ei_mpsc_ring_storage_bytes(EI_DDS_RING_RECORDS, sizeof(struct ei_dds_record));
    dds->storage = calloc(1, bytes);
    if (dds->storage == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the results");
    }
    ei_bell_init(&dds->bell);
    return ei_mpsc_ring_init(&dds->ring, EI_DDS_RING_RECORDS, sizeof(struct ei_dds_record), dds->storage, bytes);
}

int einet_dds_create(struct einet_workload *workload, const struct einet_dds_options *options,
                     struct einet_dds **out_dds, struct einet_error *err)
{
    struct einet_dds *dds = calloc(1, sizeof *dds);
    if (dds == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the bridge");
    }
    pthread_mutex_init(&dds->health_lock, NULL);
    int rc = take_options(dds, options, err);
    rc = rc < 0 ? rc : take_tasks(dds, workload, err);
    rc = rc < 0 ? rc : make_ring(dds, err);
    if (rc == 0 && options != NULL && options->pool != NULL) {
        rc = ei_pool_create(dds, workload, options->pool, &dds->pool, err);
    }
    rc = rc < 0 ? rc : ei_dds_open_entities(dds, options != NULL ? options->config : NULL, err);
    if (rc < 0) {
        einet_dds_destroy(dds);
        return rc;
    }
    for (int i = 0; i < 2; i++) {
        dds->feeds[i].callbacks =
            (struct einet_callbacks){.size_bytes = sizeof dds->feeds[i].callbacks,
                                     .context = &dds->feeds[i],
                                     .on_result = on_result,
                                     .on_miss = dds->next.on_miss != NULL ? on_miss : NULL,
                                     .on_preempt = dds->next.on_preempt != NULL ? on_preempt : NULL,
                                     .on_answer = wants_partial(dds) || dds->next.on_answer != NULL ? on_answer : NULL};
    }
    *out_dds = dds;
    return 0;
}

/* ---- its threads ---- */

int ei_dds_start_thread(int32_t priority, const char *name, ei_thread_fn body, void *arg, struct ei_thread *thread,
                        bool *has_thread, struct einet_error *err)
{
    const struct ei_thread_attr attr = {
        .name = name,
        .policy = priority > 0 ? EI_THREAD_FIFO : EI_THREAD_OTHER,
        .priority = priority,
        .stack_bytes = STACK_BYTES,
    };
    sigset_t all, kept;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &kept);
    const int rc = ei_thread_create(thread, &attr, body, arg, err);
    (void)pthread_sigmask(SIG_SETMASK, &kept, NULL);
    *has_thread = rc == 0;
    return rc;
}

int einet_dds_start(struct einet_dds *dds, struct einet_run *run, struct einet_error *err)
{
    if (dds->run != NULL) {
        return einet_error_set(err, -EALREADY, "the bridge was started before: create another one");
    }
    dds->run = dds->feeds[0].run = run;
    int rc =
        ei_dds_start_thread(dds->options.priority, "dds_out", ei_dds_write_results, dds, &dds->out, &dds->has_out, err);
    rc = rc == 0 && dds->pool != NULL ? ei_pool_start(dds->pool, err) : rc;
    if (rc < 0) {
        return rc;
    }
    atomic_store(&dds->is_taking, true);
    for (int32_t i = 0; i < dds->task_count; i++) {
        if (dds->tasks[i].reader > 0) {
            ei_dds_take_messages(dds->tasks[i].reader, &dds->tasks[i]); /* what came before */
        }
    }
    return 0;
}

void einet_dds_stop(struct einet_dds *dds)
{
    pthread_mutex_lock(&dds->health_lock); /* dds_out looks at the run under it, while images are taken */
    atomic_store(&dds->is_taking, false);
    pthread_mutex_unlock(&dds->health_lock);
    for (int32_t i = 0; i < dds->task_count; i++) {
        if (dds->tasks[i].reader > 0) {
            (void)dds_set_listener(dds->tasks[i].reader, NULL); /* waits for one that is being called */
        }
    }
    if (dds->pool != NULL) {
        ei_pool_leave(dds->pool);
    }
}

void einet_dds_destroy(struct einet_dds *dds)
{
    if (dds == NULL) {
        return;
    }
    einet_dds_stop(dds);
    if (dds->pool != NULL) {
        ei_pool_stop(dds->pool);
    }
    if (dds->has_out) {
        atomic_store(&dds->is_out_ending, true);
        ei_bell_ring(&dds->bell);
        (void)ei_thread_join(&dds->out);
    }
    ei_dds_close_entities(dds);
    ei_pool_destroy(dds->pool);
    for (int32_t i = 0; i < dds->task_count; i++) {
        free(dds->tasks[i].scratch);
        free(dds->tasks[i].texts);
    }
    free(dds->tasks);
    free(dds->feeds[0].promises);
    free(dds->feeds[1].promises);
    ei_dds_free_diagnoses(dds->diagnoses);
    pthread_mutex_destroy(&dds->health_lock);
    free(dds->storage);
    free(dds);
}

/* ---- looking ---- */

int einet_dds_figures(const struct einet_dds *dds, int32_t task_idx, struct einet_dds_figures *out_figures)
{
    const int32_t slot = slot_of(dds, task_idx);
    const size_t asked_bytes = out_figures->size_bytes;
    if (slot == dds->task_count || asked_bytes < sizeof out_figures->size_bytes) {
        return -EINVAL;
    }
    const struct ei_dds_task *task = &dds->tasks[slot];
    const struct einet_dds_figures figures = {
        .size_bytes = asked_bytes,
        .received = atomic_load(&task->received),
        .refused = atomic_load(&task->refused),
        .turned_away = atomic_load(&task->turned_away),
        .left = atomic_load(&task->left),
        .released = atomic_load(&task->released),
        .restamped = atomic_load(&task->restamped),
        .classifications = atomic_load(&task->classified),
        .statuses = atomic_load(&task->reported),
        .failed_writes = atomic_load(&task->failed_writes),
        .lost = atomic_load(&dds->lost),
        .partials = atomic_load(&task->partial_count),
        .undecodable = atomic_load(&dds->undecodable),
        .skipped = atomic_load(&task->skipped),
    };
    const size_t known_bytes = asked_bytes < sizeof figures ? asked_bytes : sizeof figures;
    memset(out_figures, 0, asked_bytes); /* what a newer program asks for, and we do not know */
    memcpy(out_figures, &figures, known_bytes);
    return 0;
}

const char *einet_dds_refusal(const struct einet_dds *dds, int32_t task_idx)
{
    const int32_t slot = slot_of(dds, task_idx);
    const enum ei_dds_fault fault =
        slot < dds->task_count ? (enum ei_dds_fault)atomic_load(&dds->tasks[slot].last_fault) : EI_DDS_FAULT_NONE;
    return fault != EI_DDS_FAULT_NONE ? ei_dds_fault_text(fault) : "";
}
