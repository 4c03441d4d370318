/* The life of a bridge. See einet/dds.h and bridge.h. */
#include "adapters/dds/bridge.h"
#include "adapters/dds/pool/member.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN_MAX 230
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

static void on_result(void *context, const struct einet_result *result)
{
    struct einet_dds *dds = context;
    const struct ei_dds_record record = {.slot = slot_of(dds, result->task_idx), .result = *result};
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
    const struct einet_dds *dds = context;
    dds->next.on_miss(dds->next.context, result);
}

static void on_preempt(void *context, const struct einet_preemption *preemption)
{
    const struct einet_dds *dds = context;
    dds->next.on_preempt(dds->next.context, preemption);
}

static void on_answer(void *context, const struct einet_answer *answer)
{
    const struct einet_dds *dds = context;
    dds->next.on_answer(dds->next.context, answer);
}

const struct einet_callbacks *einet_dds_callbacks(struct einet_dds *dds)
{
    return &dds->callbacks;
}

/* ---- creating ---- */

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
    if (options->domain < 0 || options->domain > DOMAIN_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "domain is %d: give 0..%d", options->domain, DOMAIN_MAX);
    }
    if (options->priority < 0 || options->priority > 98) {
        return einet_error_set(err, EINET_E_USAGE, "priority is %d: give 0 or 1..98", options->priority);
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

static int take_tasks(struct einet_dds *dds, const struct einet_workload *workload, struct einet_error *err)
{
    const int32_t count = einet_workload_task_count(workload);
    dds->tasks = calloc((size_t)count + 1, sizeof *dds->tasks);
    if (dds->tasks == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the tasks");
    }
    for (int32_t i = 0; i < count; i++) {
        struct einet_task_info info = {.size_bytes = sizeof info};
        if (einet_workload_task_info(workload, i, &info) < 0 || info.topic[0] == '\0') {
            continue;
        }
        struct ei_dds_task *task = &dds->tasks[dds->task_count++];
        task->dds = dds;
        task->task_idx = i;
        task->name = info.name;
        task->topic = info.topic;
        task->is_compressed = info.is_compressed != 0;
        task->wanted = (struct ei_dds_wanted){info.width_px, info.height_px, info.channels};
        task->scratch = malloc((size_t)info.width_px * (size_t)info.height_px * (size_t)info.channels);
        if (task->scratch == NULL) {
            return einet_error_set(err, -ENOMEM, "no memory for the pictures of task '%s'", info.name);
        }
    }
    return dds->task_count > 0
               ? 0
               : einet_error_set(err, EINET_E_USAGE, "no task of workload '%s' has input: { kind: topic, ... }",
                                 einet_workload_name(workload));
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
    dds->callbacks = (struct einet_callbacks){.size_bytes = sizeof dds->callbacks,
                                              .context = dds,
                                              .on_result = on_result,
                                              .on_miss = dds->next.on_miss != NULL ? on_miss : NULL,
                                              .on_preempt = dds->next.on_preempt != NULL ? on_preempt : NULL,
                                              .on_answer = dds->next.on_answer != NULL ? on_answer : NULL};
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
    dds->run = run;
    const int32_t priority = dds->options.priority;
    int rc = ei_dds_start_thread(priority, "dds_out", ei_dds_write_results, dds, &dds->out, &dds->has_out, err);
    rc = rc == 0 && dds->pool != NULL ? ei_pool_start(dds->pool, err) : rc;
    if (rc < 0) {
        return rc;
    }
    atomic_store(&dds->is_taking, true);
    for (int32_t i = 0; i < dds->task_count; i++) {
        ei_dds_take_images(dds->tasks[i].reader, &dds->tasks[i]); /* what came before */
    }
    return 0;
}

void einet_dds_stop(struct einet_dds *dds)
{
    atomic_store(&dds->is_taking, false);
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
    }
    free(dds->tasks);
    free(dds->storage);
    free(dds);
}

/* ---- looking ---- */

int einet_dds_figures(const struct einet_dds *dds, int32_t task_idx, struct einet_dds_figures *out_figures)
{
    const int32_t slot = slot_of(dds, task_idx);
    if (slot == dds->task_count || out_figures->size_bytes < sizeof *out_figures) {
        return -EINVAL;
    }
    const struct ei_dds_task *task = &dds->tasks[slot];
    *out_figures = (struct einet_dds_figures){
        .size_bytes = sizeof *out_figures,
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
    };
    return 0;
}

const char *einet_dds_refusal(const struct einet_dds *dds, int32_t task_idx)
{
    const int32_t slot = slot_of(dds, task_idx);
    const enum ei_dds_fault fault =
        slot < dds->task_count ? (enum ei_dds_fault)atomic_load(&dds->tasks[slot].last_fault) : EI_DDS_FAULT_NONE;
    return fault != EI_DDS_FAULT_NONE ? ei_dds_fault_text(fault) : "";
}
