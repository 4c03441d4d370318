/* /diagnostics: each second, and at once when the level of a task has changed. See bridge.h. */
#include "adapters/dds/bridge.h"

#include "ros2.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES 96
#define HOST_BYTES 65

/* Kept, since a sequence lies in one piece. */
struct ei_dds_diagnosis {
    struct ei_dds_words words;
    diagnostic_msgs_msg_dds__KeyValue_ values[EI_DDS_WORDS];
    enum ei_dds_level level;
    char name[NAME_BYTES];
};

struct ei_dds_diagnoses {
    char host[HOST_BYTES];
    diagnostic_msgs_msg_dds__DiagnosticStatus_ *statuses; /* [task_count] */
    struct ei_dds_diagnosis each[];
};

struct ei_dds_diagnoses *ei_dds_make_diagnoses(const struct einet_dds *dds)
{
    const size_t count = (size_t)dds->task_count;
    struct ei_dds_diagnoses *all = calloc(1, sizeof *all + count * sizeof all->each[0]);
    if (all == NULL) {
        return NULL;
    }
    all->statuses = calloc(count, sizeof *all->statuses);
    if (all->statuses == NULL) {
        free(all);
        return NULL;
    }
    if (gethostname(all->host, sizeof all->host - 1) < 0) {
        all->host[0] = '\0';
    }
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(all->each[i].name, NAME_BYTES, "einet: %s", dds->tasks[i].name);
    }
    return all;
}

void ei_dds_free_diagnoses(struct ei_dds_diagnoses *diagnoses)
{
    if (diagnoses != NULL) {
        free(diagnoses->statuses);
        free(diagnoses);
    }
}

/* ---- what becomes of images ---- */

static int64_t monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The lock is held. Wakes dds_out when it has something to say. */
static void look_at(struct ei_dds_task *task, int64_t now_ns)
{
    if (ei_dds_health_look(&task->health, false, now_ns)) {
        task->dds->is_level_changed = true;
        ei_bell_ring(&task->dds->bell);
    }
}

void ei_dds_note_result(struct ei_dds_task *task, const struct einet_result *result)
{
    const int64_t now_ns = monotonic_ns();
    pthread_mutex_lock(&task->dds->health_lock);
    ei_dds_health_job(&task->health, result, now_ns);
    look_at(task, now_ns);
    pthread_mutex_unlock(&task->dds->health_lock);
}

void ei_dds_note_turned_away(struct ei_dds_task *task)
{
    const int64_t now_ns = monotonic_ns();
    pthread_mutex_lock(&task->dds->health_lock);
    ei_dds_health_turned_away(&task->health, now_ns);
    look_at(task, now_ns);
    pthread_mutex_unlock(&task->dds->health_lock);
}

/* ---- the message ---- */

/* What was changed while the run goes on; the lock is held. */
static void follow_deadline(struct ei_dds_task *task)
{
    struct einet_settings settings = {.size_bytes = sizeof settings};
    if (einet_run_settings(task->dds->run, task->task_idx, &settings) == 0) {
        const int64_t deadline_ns = settings.deadline_ns != EINET_NO_DEADLINE ? settings.deadline_ns : 0;
        atomic_store(&task->deadline_ns, deadline_ns);
        task->health.deadline_ns = deadline_ns;
    }
}

/* Of an image that was refused or left to others at the beginning of a chain none of its tasks gets anything. */
static bool judge(struct einet_dds *dds, bool is_due, int64_t now_ns)
{
    pthread_mutex_lock(&dds->health_lock);
    bool is_changed = dds->is_level_changed;
    for (int32_t slot = 0; slot < dds->task_count; slot++) {
        struct ei_dds_task *task = &dds->tasks[slot];
        if (is_due && atomic_load(&dds->is_taking)) { /* the run may be gone when nothing is taken any more */
            follow_deadline(task);
            (void)einet_run_degraded(dds->run, task->health.degraded, sizeof task->health.degraded);
        }
        ei_dds_health_refused(&task->health, atomic_load(&dds->tasks[task->head].refused), now_ns);
        ei_dds_health_left(&task->health, atomic_load(&dds->tasks[task->head].left), now_ns);
        is_changed = ei_dds_health_look(&task->health, is_due, now_ns) || is_changed;
    }
    for (int32_t slot = 0; (is_due || is_changed) && slot < dds->task_count; slot++) {
        const struct ei_dds_task *task = &dds->tasks[slot];
        struct ei_dds_diagnosis *each = &dds->diagnoses->each[slot];
        const struct ei_dds_task *head = &dds->tasks[task->head];
        ei_dds_health_say(&task->health, ei_dds_is_follower(head), einet_dds_refusal(dds, head->task_idx), now_ns,
                          &each->words);
        each->level = task->health.level;
    }
    dds->is_level_changed = false;
    pthread_mutex_unlock(&dds->health_lock);
    return is_due || is_changed;
}

/* The message borrows from each. */
static void describe(struct ei_dds_diagnoses *all, int32_t slot)
{
    struct ei_dds_diagnosis *each = &all->each[slot];
    for (int i = 0; i < EI_DDS_WORDS; i++) {
        each->values[i] = (diagnostic_msgs_msg_dds__KeyValue_){
            .key = (char *)(uintptr_t)each->words.keys[i], /* only read, by a type that cannot say so */
            .value = each->words.values[i],
        };
    }
    all->statuses[slot] = (diagnostic_msgs_msg_dds__DiagnosticStatus_){
        .level = (uint8_t)each->level,
        .name = each->name,
        .message = each->words.message,
        .hardware_id = all->host,
        .values = {._maximum = EI_DDS_WORDS, ._length = EI_DDS_WORDS, ._buffer = each->values},
    };
}

static void write_array(struct einet_dds *dds)
{
    static char no_frame[] = "";
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    for (int32_t slot = 0; slot < dds->task_count; slot++) {
        describe(dds->diagnoses, slot);
    }
    const diagnostic_msgs_msg_dds__DiagnosticArray_ message = {
        .header = {.stamp = {.sec = (int32_t)now.tv_sec, .nanosec = (uint32_t)now.tv_nsec}, .frame_id = no_frame},
        .status = {._maximum = (uint32_t)dds->task_count,
                   ._length = (uint32_t)dds->task_count,
                   ._buffer = dds->diagnoses->statuses},
    };
    (void)dds_write(dds->diagnostics, &message); /* the next one comes within a second */
}

void ei_dds_diagnose(struct einet_dds *dds)
{
    const int64_t now_ns = monotonic_ns();
    const bool is_due = now_ns >= dds->next_look_ns;
    if (is_due) {
        dds->next_look_ns = now_ns + EI_DDS_LOOK_NS;
    }
    if (judge(dds, is_due, now_ns)) {
        write_array(dds);
    }
}
