/* Another run has the images from one instant on: the ends on the network stay, the run behind them changes. See
 * bridge.h and einet_dds_prepare. */
#include "adapters/dds/bridge.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define NAP_NS 100000 /* between two looks whether a call into a run is over */

/* Nobody calls the run that is no longer to be called. It has not long to wait: such calls do not block. */
static void await_callers(const struct einet_dds *dds)
{
    while (atomic_load(&dds->releasing) > 0) {
        (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
}

static struct ei_dds_feed *other_feed(struct einet_dds *dds)
{
    return &dds->feeds[1 - atomic_load(&dds->feed)];
}

/* What of a task is other than its ends on the network; NULL = nothing. */
static const char *difference(const struct einet_dds *dds, const struct ei_dds_task *task,
                              const struct einet_task_info *info, const char *head)
{
    const bool has_topic = info->topic[0] != '\0';
    return strcmp(info->topic, task->topic) != 0                  ? "has another topic now"
           : has_topic && info->message != (int32_t)task->message ? "has messages of another kind now"
           : has_topic && (info->width_px != task->wanted.width_px || info->height_px != task->wanted.height_px ||
                           info->channels != task->wanted.channels)
               ? "has images of another shape now"
           : strcmp(head, dds->tasks[task->head].name) != 0 ? "has another task at the head of its chain now"
           : strcmp(info->classification_topic, task->classification_topic) != 0 ||
                   strcmp(info->status_topic, task->status_topic) != 0 ||
                   strcmp(info->partial_topic, task->partial_topic) != 0
               ? "has other outputs now"
               : NULL;
}

static int32_t find_slot(const struct einet_dds *dds, const char *name)
{
    int32_t slot = 0;
    while (slot < dds->task_count && strcmp(dds->tasks[slot].name, name) != 0) {
        slot++;
    }
    return slot;
}

static int take_promises(struct einet_dds *dds, const struct einet_workload *workload, struct einet_error *err)
{
    struct ei_dds_promise *promises = other_feed(dds)->promises;
    for (int32_t slot = 0; slot < dds->task_count; slot++) {
        promises[slot].task_idx = -1;
    }
    for (int32_t i = 0; i < einet_workload_task_count(workload); i++) {
        struct einet_task_info info, head = {.size_bytes = sizeof head};
        if (!ei_dds_is_ours(workload, i, &info)) {
            continue;
        }
        const int32_t slot = find_slot(dds, info.name);
        (void)einet_workload_task_info(workload, info.chain_head_idx, &head);
        const char *what =
            slot < dds->task_count ? difference(dds, &dds->tasks[slot], &info, head.name) : "is new behind a topic";
        if (what != NULL) {
            return einet_error_set(err, EINET_E_MISMATCH,
                                   "task '%s' %s, which cannot change while images come: restart the service",
                                   info.name, what);
        }
        promises[slot] = (struct ei_dds_promise){i, info.deadline_ns, info.least_interval_ns};
    }
    for (int32_t slot = 0; slot < dds->task_count; slot++) {
        if (promises[slot].task_idx < 0) {
            return einet_error_set(err, EINET_E_MISMATCH,
                                   "task '%s' is behind no topic any more, which cannot change while images come: "
                                   "restart the service",
                                   dds->tasks[slot].name);
        }
    }
    return 0;
}

int einet_dds_prepare(struct einet_dds *dds, const struct einet_workload *workload,
                      const struct einet_callbacks **out_callbacks, struct einet_error *err)
{
    if (dds->run == NULL) {
        return einet_error_set(err, -EINVAL, "the bridge has no run yet that another could take over from");
    }
    if (atomic_load(&dds->is_successor_expected)) {
        return einet_error_set(err, -EBUSY, "a run is to take over already");
    }
    if (dds->pool != NULL) {
        return einet_error_set(err, EINET_E_USAGE,
                               "priorities, deadlines and searches of a node of a pool change while it runs, but "
                               "another run cannot take over: restart the service, others answer meanwhile");
    }
    const int rc = take_promises(dds, workload, err);
    if (rc == 0) {
        *out_callbacks = &other_feed(dds)->callbacks;
    }
    return rc;
}

void einet_dds_expect(struct einet_dds *dds, struct einet_run *run)
{
    if (run != NULL) {
        other_feed(dds)->run = run;
    }
    atomic_store(&dds->is_successor_expected, run != NULL);
    if (run == NULL) {
        await_callers(dds);
    }
}

void einet_dds_taken_over(struct einet_dds *dds)
{
    const int feed = 1 - atomic_load(&dds->feed);
    const struct ei_dds_promise *promises = dds->feeds[feed].promises;
    pthread_mutex_lock(&dds->health_lock);
    for (int32_t slot = 0; slot < dds->task_count; slot++) {
        struct ei_dds_task *task = &dds->tasks[slot];
        atomic_store(&task->task_idx, promises[slot].task_idx);
        atomic_store(&task->deadline_ns, promises[slot].deadline_ns);
        ei_dds_health_promise(&task->health, promises[slot].deadline_ns, promises[slot].least_interval_ns);
    }
    dds->run = dds->feeds[feed].run;
    pthread_mutex_unlock(&dds->health_lock);
    atomic_store(&dds->feed, feed); /* before the next: who finds nobody expected finds the new feed */
    atomic_store(&dds->is_successor_expected, false);
    await_callers(dds);
}
