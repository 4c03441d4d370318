/* The egress and the watch: the sides of a pool that run nothing themselves. See einet/pool.h. */
#include "adapters/dds/pool/decide.h"
#include "adapters/dds/pool/roster.h"

#include "pool/pool.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DOMAIN_MAX 230
#define TAKEN_AT_ONCE 10
#define ROUND_NS DDS_MSECS(100) /* at most, when nothing comes */

/* One side's view of the pool. */
struct view {
    struct einet_dds dds; /* a bridge without tasks: domain, participant and threads as every bridge has them */
    struct ei_pool_ends ends;
    struct ei_pool_roster roster;
    dds_entity_t state_reader;
};

struct einet_dds_watch {
    struct view view;
};

struct passage {
    dds_entity_t results, classifications, statuses;
    struct ei_pool_gate gate;
    struct einet_dds_egress_figures figures;
    int64_t incarnation, passed_ns; /* of the frame that passed last */
};

struct einet_dds_egress {
    struct view view;
    dds_entity_t waitset, is_stopping;
    pthread_mutex_t lock; /* of the figures and the count */
    struct passage passages[EINET_POOL_TASKS_MAX];
    int32_t count;
    struct ei_thread thread;
    bool has_thread;
    atomic_bool is_ending;
    atomic_int_least64_t beat_ns; /* of the thread's last round; 0 = none yet */
};

/* ---- the view ---- */

static int open_view(struct view *view, const struct einet_dds_egress_options *options, struct einet_error *err)
{
    if (options == NULL || options->size_bytes != sizeof *options) {
        return einet_error_set(err, options != NULL && options->size_bytes > sizeof *options ? -E2BIG : -EINVAL,
                               "options without their size: set size_bytes to sizeof the struct");
    }
    if (options->domain < 0 || options->domain > DOMAIN_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "domain is %d: give 0..%d", options->domain, DOMAIN_MAX);
    }
    if (options->priority < 0 || options->priority > 98) {
        return einet_error_set(err, EINET_E_USAGE, "priority is %d: give 0 or 1..98", options->priority);
    }
    view->dds.options.domain = options->domain;
    view->dds.options.priority = options->priority;
    const int rc = ei_dds_open_entities(&view->dds, options->config, err);
    if (rc < 0) {
        return rc;
    }
    const int opened = ei_pool_open_ends(view->dds.participant, options->pool, &view->ends, err);
    return opened < 0 ? opened
                      : ei_pool_open_state_reader(&view->ends, view->dds.participant, &view->state_reader, err);
}

int einet_dds_watch_create(const struct einet_dds_egress_options *options, struct einet_dds_watch **out_watch,
                           struct einet_error *err)
{
    struct einet_dds_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory to watch a pool");
    }
    const int rc = open_view(&watch->view, options, err);
    if (rc < 0) {
        einet_dds_watch_destroy(watch);
        return rc;
    }
    *out_watch = watch;
    return 0;
}

int32_t einet_dds_watch_nodes(struct einet_dds_watch *watch, struct einet_dds_node *out_nodes, int32_t max)
{
    struct ei_pool_roster *roster = &watch->view.roster;
    (void)ei_pool_roster_take(roster, watch->view.state_reader);
    memcpy(out_nodes, roster->nodes, (size_t)(roster->count < max ? roster->count : max) * sizeof *out_nodes);
    return roster->count;
}

void einet_dds_watch_destroy(struct einet_dds_watch *watch)
{
    if (watch != NULL) {
        ei_dds_close_entities(&watch->view.dds);
        free(watch);
    }
}

/* ---- the egress: passing on ---- */

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void note_passage(struct passage *passage, const einet_pool_Result *result)
{
    struct einet_dds_egress_figures *figures = &passage->figures;
    const int64_t at_ns = now_ns();
    const bool is_other = strcmp(figures->node, result->node) != 0 || passage->incarnation != result->incarnation;
    if (figures->node[0] != '\0' && is_other) {
        figures->switches++;
        figures->switch_gap_ns = at_ns - passage->passed_ns;
        if (figures->switch_gap_ns > figures->longest_switch_ns) {
            figures->longest_switch_ns = figures->switch_gap_ns;
        }
    }
    (void)snprintf(figures->node, sizeof figures->node, "%s", result->node);
    passage->incarnation = result->incarnation;
    passage->passed_ns = at_ns;
    figures->passed++;
    figures->answered += result->status.answered;
}

/* The classification goes first, as every bridge has it. */
static void pass_on(struct passage *passage, const einet_pool_Result *result)
{
    struct einet_dds_egress_figures *figures = &passage->figures;
    figures->taken++;
    switch (ei_pool_gate_pass(&passage->gate, result->status.stamp.sec, result->status.stamp.nanosec,
                              result->status.answered)) {
    case EI_POOL_REPEATED:
        figures->repeated++;
        return;
    case EI_POOL_BACKWARD:
        figures->backward++;
        return;
    case EI_POOL_PASS:
        break;
    }
    if ((result->status.answered && dds_write(passage->classifications, &result->classification) != DDS_RETCODE_OK) ||
        dds_write(passage->statuses, &result->status) != DDS_RETCODE_OK) {
        figures->failed++;
        return;
    }
    note_passage(passage, result);
}

static void take_results(struct einet_dds_egress *egress, struct passage *passage)
{
    void *samples[TAKEN_AT_ONCE] = {NULL};
    dds_sample_info_t infos[TAKEN_AT_ONCE];
    int32_t count = TAKEN_AT_ONCE;
    while (count == TAKEN_AT_ONCE) {
        samples[0] = NULL; /* lend them */
        count = dds_take(passage->results, samples, infos, TAKEN_AT_ONCE, TAKEN_AT_ONCE);
        for (int32_t i = 0; i < count; i++) {
            if (infos[i].valid_data) {
                (void)pthread_mutex_lock(&egress->lock);
                pass_on(passage, samples[i]);
                (void)pthread_mutex_unlock(&egress->lock);
            }
        }
        if (count > 0) {
            (void)dds_return_loan(passage->results, samples, count);
        }
    }
}

/* ---- the egress: tasks, as nodes name them ---- */

/* With its topic; <= 0: it was not made. */
static void close_end(dds_entity_t end)
{
    if (end > 0) {
        const dds_entity_t topic = dds_get_topic(end);
        (void)dds_delete(end);
        (void)dds_delete(topic);
    }
}

/* On error nothing of it stays, since it is tried again. */
static int open_passage(struct einet_dds_egress *egress, const char *task, struct einet_error *err)
{
    struct passage *passage = &egress->passages[egress->count];
    struct einet_dds *dds = &egress->view.dds;
    char name[EI_DDS_TOPIC_BYTES];
    *passage = (struct passage){.figures = {.size_bytes = sizeof passage->figures}};
    (void)snprintf(passage->figures.task, sizeof passage->figures.task, "%s", task);
    ei_dds_print_output(task, "classification", name);
    int rc = ei_dds_open_writer(dds, &vision_msgs_msg_dds__Classification__desc, name, &passage->classifications, err);
    ei_dds_print_output(task, "status", name);
    rc = rc < 0 ? rc
                : ei_dds_open_writer(dds, &einet_msgs_msg_dds__InferenceStatus__desc, name, &passage->statuses, err);
    rc = rc < 0 ? rc : ei_pool_open_result_reader(&egress->view.ends, dds->participant, task, &passage->results, err);
    if (rc == 0) {
        const dds_entity_t has_data = dds_create_readcondition(passage->results, DDS_ANY_STATE);
        (void)dds_waitset_attach(egress->waitset, has_data, 0);
        (void)pthread_mutex_lock(&egress->lock);
        egress->count++;
        (void)pthread_mutex_unlock(&egress->lock);
    } else {
        close_end(passage->classifications);
        close_end(passage->statuses);
        close_end(passage->results);
    }
    return rc;
}

static bool is_known(const struct einet_dds_egress *egress, const char *task)
{
    int32_t i = 0;
    while (i < egress->count && strcmp(egress->passages[i].figures.task, task) != 0) {
        i++;
    }
    return i < egress->count;
}

static void find_tasks(struct einet_dds_egress *egress)
{
    const struct ei_pool_roster *roster = &egress->view.roster;
    for (int32_t i = 0; i < roster->count; i++) {
        for (int32_t t = 0; t < roster->nodes[i].task_count; t++) {
            const char *task = roster->nodes[i].tasks[t].name;
            if (!is_known(egress, task) && egress->count < EINET_POOL_TASKS_MAX) {
                (void)open_passage(egress, task, NULL); /* tried again when a node speaks next */
            }
        }
    }
}

static void work(void *arg)
{
    struct einet_dds_egress *egress = arg;
    while (!atomic_load(&egress->is_ending)) {
        (void)dds_waitset_wait(egress->waitset, NULL, 0, ROUND_NS);
        for (int32_t i = 0; i < egress->count; i++) {
            take_results(egress, &egress->passages[i]);
        }
        if (ei_pool_roster_take(&egress->view.roster, egress->view.state_reader)) {
            find_tasks(egress);
        }
        atomic_store(&egress->beat_ns, now_ns());
    }
}

/* ---- the egress: its life ---- */

static int open_waitset(struct einet_dds_egress *egress, struct einet_error *err)
{
    const dds_entity_t participant = egress->view.dds.participant;
    egress->waitset = dds_create_waitset(participant);
    egress->is_stopping = dds_create_guardcondition(participant);
    const dds_entity_t has_state = dds_create_readcondition(egress->view.state_reader, DDS_ANY_STATE);
    return dds_waitset_attach(egress->waitset, egress->is_stopping, 0) < 0 ||
                   dds_waitset_attach(egress->waitset, has_state, 0) < 0
               ? einet_error_set(err, EINET_E_BACKEND, "CycloneDDS made no waitset for the egress")
               : 0;
}

int einet_dds_egress_create(const struct einet_dds_egress_options *options, struct einet_dds_egress **out_egress,
                            struct einet_error *err)
{
    struct einet_dds_egress *egress = calloc(1, sizeof *egress);
    if (egress == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the egress");
    }
    (void)pthread_mutex_init(&egress->lock, NULL);
    int rc = open_view(&egress->view, options, err);
    rc = rc < 0 ? rc : open_waitset(egress, err);
    rc = rc < 0 ? rc
                : ei_dds_start_thread(options->priority, "dds_egress", work, egress, &egress->thread,
                                      &egress->has_thread, err);
    if (rc < 0) {
        einet_dds_egress_destroy(egress);
        return rc;
    }
    *out_egress = egress;
    return 0;
}

int64_t einet_dds_egress_beat(const struct einet_dds_egress *egress)
{
    return atomic_load(&egress->beat_ns);
}

int32_t einet_dds_egress_task_count(struct einet_dds_egress *egress)
{
    (void)pthread_mutex_lock(&egress->lock);
    const int32_t count = egress->count;
    (void)pthread_mutex_unlock(&egress->lock);
    return count;
}

int einet_dds_egress_figures(struct einet_dds_egress *egress, int32_t task_idx,
                             struct einet_dds_egress_figures *out_figures)
{
    if (task_idx < 0 || task_idx >= einet_dds_egress_task_count(egress) ||
        out_figures->size_bytes < sizeof *out_figures) {
        return -EINVAL;
    }
    (void)pthread_mutex_lock(&egress->lock);
    *out_figures = egress->passages[task_idx].figures;
    (void)pthread_mutex_unlock(&egress->lock);
    return 0;
}

void einet_dds_egress_destroy(struct einet_dds_egress *egress)
{
    if (egress == NULL) {
        return;
    }
    if (egress->has_thread) {
        atomic_store(&egress->is_ending, true);
        (void)dds_set_guardcondition(egress->is_stopping, true);
        (void)ei_thread_join(&egress->thread);
    }
    ei_dds_close_entities(&egress->view.dds);
    (void)pthread_mutex_destroy(&egress->lock);
    free(egress);
}
