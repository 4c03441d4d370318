/* The egress and the watch: the sides of a pool that run nothing themselves. See einet/pool.h. */
#include "adapters/dds/pool/claim.h"

#include "pool/pool.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TAKEN_AT_ONCE 16
#define CONFIG_BYTES 8000
#define LAST_WORDS_NS INT64_C(100000000)

/* One side's view of the pool. */
struct view {
    struct einet_dds dds; /* a bridge without tasks: domain, participant and threads as every bridge has them */
    struct ei_pool_ends ends;
    struct ei_pool_roster roster;
    dds_entity_t state_reader;
};

struct einet_dds_watch {
    struct view view;
    dds_entity_t claim_reader; /* of the egresses */
};

enum { CLASSIFICATIONS, STATUSES, PARTIALS, OUTPUTS };

/* A topic of ROS 2. */
struct output {
    char topic[EINET_POOL_TOPIC_MAX]; /* "" = none */
    dds_entity_t writer, seen;        /* seen: what other egresses write there, but for partial answers */
};

struct passage {
    dds_entity_t results, partials; /* of the nodes; partials: 0 = nobody wants them */
    struct output outputs[OUTPUTS];
    struct ei_pool_gate gate;
    struct einet_dds_egress_figures figures;
    int64_t incarnation, passed_ns; /* of the frame that passed last */
};

struct einet_dds_egress {
    struct view view;
    struct ei_pool_claim claim;
    dds_entity_t waitset, idle_waitset,
        is_stopping; /* idle: of one that stands by, and leaves results where they are */
    int32_t fence_signal;
    void (*on_fence)(void);
    bool has_written; /* since it stood by */
    atomic_bool is_active, is_lost;
    pthread_mutex_t lock; /* of the figures and the count */
    struct passage passages[EINET_POOL_TASKS_MAX];
    int32_t count;
    struct ei_thread thread;
    bool has_thread;
    atomic_bool is_ending;
    atomic_int_least64_t beat_ns; /* of the thread's last round; 0 = none yet */
};

/* ---- the view ---- */

/* A writer that is deleted is gone: CycloneDDS would go on for a second to send what readers have missed. And who
 * starts, or was away for so long that others have forgotten it, is found within the time for which it listens, also
 * when datagrams are lost: CycloneDDS says every eight seconds who it is. */
static const char settings[] =
    "<CycloneDDS><Domain id=\"any\"><Internal><WriterLingerDuration>0 s</WriterLingerDuration></Internal><Discovery>"
    "<SPDPInterval>200 ms</SPDPInterval></Discovery></Domain></CycloneDDS>";

static int open_view(struct view *view, const struct einet_dds_egress_options *options, struct einet_error *err)
{
    if (options == NULL || options->size_bytes != sizeof *options) {
        return einet_error_set(err, options != NULL && options->size_bytes > sizeof *options ? -E2BIG : -EINVAL,
                               "options without their size: set size_bytes to sizeof the struct");
    }
    const int place_rc = ei_dds_check_place(options->domain, options->priority, err);
    if (place_rc < 0) {
        return place_rc;
    }
    const int64_t lease_ns = options->lease_ns == 0 ? EINET_POOL_LEASE_DEFAULT_NS : options->lease_ns;
    if (lease_ns < EINET_POOL_LEASE_MIN_NS || lease_ns > EINET_POOL_LEASE_MAX_NS) {
        return einet_error_set(err, EINET_E_USAGE, "lease is %.3g ms: give 20ms..10s", (double)lease_ns / 1e6);
    }
    view->dds.options.domain = options->domain;
    view->dds.options.priority = options->priority;
    char config[CONFIG_BYTES];
    const bool has_more = options->config != NULL && options->config[0] != '\0';
    if (snprintf(config, sizeof config, "%s%s%s", has_more ? options->config : "", has_more ? "," : "", settings) >=
        CONFIG_BYTES) {
        return einet_error_set(err, EINET_E_USAGE,
                               "more settings of CycloneDDS than %d bytes: put them into a file and give its name",
                               CONFIG_BYTES);
    }
    const int rc = ei_dds_open_entities(&view->dds, config, err);
    if (rc < 0) {
        return rc;
    }
    const int opened = ei_pool_open_ends(view->dds.participant, options->pool, &view->ends, err);
    view->ends.lease_ns = lease_ns / 2; /* of the claim of an egress; the rest is to claim and to settle */
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
    int rc = open_view(&watch->view, options, err);
    rc = rc < 0 ? rc
                : ei_pool_open_claim_reader(&watch->view.ends, watch->view.dds.participant, &watch->claim_reader, err);
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

int32_t einet_dds_watch_egresses(struct einet_dds_watch *watch, struct einet_dds_egress_seen *out_egresses, int32_t max)
{
    dds_instance_handle_t writers[EINET_POOL_EGRESSES_MAX];
    const dds_instance_handle_t active = ei_pool_active_claimant(watch->claim_reader);
    const dds_return_t matched = dds_get_matched_publications(watch->claim_reader, writers, EINET_POOL_EGRESSES_MAX);
    int32_t count = 0;
    for (int32_t i = 0; i < matched && i < EINET_POOL_EGRESSES_MAX; i++) {
        struct einet_dds_egress_seen seen;
        if (!ei_pool_read_claimant(watch->claim_reader, writers[i], &seen)) {
            continue; /* it went meanwhile */
        }
        seen.is_active = writers[i] == active;
        if (count < max) {
            out_egresses[count] = seen;
        }
        count++;
    }
    return count;
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

/* What nobody wants is as good as written. */
static bool write_one(dds_entity_t writer, const void *message)
{
    return writer == 0 || dds_write(writer, message) == DDS_RETCODE_OK;
}

/* The classification goes first, as every bridge has it. */
static void pass_on(struct passage *passage, const einet_pool_Result *result)
{
    struct einet_dds_egress_figures *figures = &passage->figures;
    const enum ei_pool_pass pass = ei_pool_gate_pass(&passage->gate, result->status.stamp.sec,
                                                     result->status.stamp.nanosec, result->status.answered);
    figures->taken++;
    if (pass == EI_POOL_REPEATED || pass == EI_POOL_BACKWARD) {
        figures->repeated += pass == EI_POOL_REPEATED;
        figures->backward += pass == EI_POOL_BACKWARD;
        return;
    }
    const bool has_answer = result->status.answered && pass != EI_POOL_PASS_STATUS;
    if ((has_answer && !write_one(passage->outputs[CLASSIFICATIONS].writer, &result->classification)) ||
        !write_one(passage->outputs[STATUSES].writer, &result->status)) {
        figures->failed++;
        return;
    }
    note_passage(passage, result);
}

static void pass_partial_on(struct passage *passage, const einet_pool_Partial *partial)
{
    const einet_msgs_msg_dds__InferenceStatus_ *status = &partial->status;
    if (passage->outputs[PARTIALS].writer > 0 &&
        ei_pool_gate_pass_partial(&passage->gate, status->stamp.sec, status->stamp.nanosec, status->exit_idx,
                                  status->is_final) &&
        write_one(passage->outputs[PARTIALS].writer, status)) {
        passage->figures.partials++;
    }
}

/* Throw away what was read. */
static void drop_read(dds_entity_t reader)
{
    void *samples[TAKEN_AT_ONCE] = {NULL};
    dds_sample_info_t infos[TAKEN_AT_ONCE];
    const int32_t count = dds_take_mask(reader, samples, infos, TAKEN_AT_ONCE, TAKEN_AT_ONCE,
                                        DDS_READ_SAMPLE_STATE | DDS_ANY_VIEW_STATE | DDS_ANY_INSTANCE_STATE);
    if (count > 0) {
        (void)dds_return_loan(reader, samples, count);
    }
}

/* One at a time, and nothing after the turn has passed to another: what is not passed on stays for a later turn.
 * (CycloneDDS sets as many pointers as the largest number that was ever asked of the reader, whatever is asked now.) */
static void take_from(struct einet_dds_egress *egress, struct passage *passage, dds_entity_t reader)
{
    void *samples[TAKEN_AT_ONCE] = {NULL};
    dds_sample_info_t info;
    bool is_ours = true;
    while (is_ours && dds_read(reader, samples, &info, 1, 1) == 1) {
        is_ours = ei_pool_claim_begin(&egress->claim);
        if (is_ours && info.valid_data) {
            (void)pthread_mutex_lock(&egress->lock);
            if (reader == passage->partials) {
                pass_partial_on(passage, samples[0]);
            } else {
                pass_on(passage, samples[0]);
            }
            (void)pthread_mutex_unlock(&egress->lock);
            egress->has_written = true;
        }
        (void)dds_return_loan(reader, samples, 1);
        samples[0] = NULL;
        if (is_ours) {
            ei_pool_claim_end(&egress->claim);
            drop_read(reader);
        }
    }
}

/* Partial answers first: they came before. */
static void take_results(struct einet_dds_egress *egress, struct passage *passage)
{
    if (passage->partials > 0) {
        take_from(egress, passage, passage->partials);
    }
    take_from(egress, passage, passage->results);
}

/* ---- the egress: what another has passed on ---- */

static void note(struct passage *passage, int output, const void *sample)
{
    if (output == CLASSIFICATIONS) {
        const vision_msgs_msg_dds__Classification_ *answer = sample;
        ei_pool_gate_note_answer(&passage->gate, answer->header.stamp.sec, answer->header.stamp.nanosec);
    } else if (output == STATUSES) {
        const einet_msgs_msg_dds__InferenceStatus_ *status = sample;
        ei_pool_gate_note_status(&passage->gate, status->stamp.sec, status->stamp.nanosec);
    }
}

/* Take all that a reader has. output: what it is; OUTPUTS = nothing of interest. */
static void take_seen(struct passage *passage, dds_entity_t reader, int output)
{
    void *samples[TAKEN_AT_ONCE] = {NULL};
    dds_sample_info_t infos[TAKEN_AT_ONCE];
    int32_t count = TAKEN_AT_ONCE;
    while (count == TAKEN_AT_ONCE) {
        samples[0] = NULL; /* lend them */
        count = dds_take(reader, samples, infos, TAKEN_AT_ONCE, TAKEN_AT_ONCE);
        for (int32_t i = 0; i < count; i++) {
            if (infos[i].valid_data) {
                note(passage, output, samples[i]);
            }
        }
        if (count > 0) {
            (void)dds_return_loan(reader, samples, count);
        }
    }
}

/* Partial answers that came while another was active are of no use any more, and it may have passed them. */
static void note_seen(struct passage *passage)
{
    for (int i = 0; i < OUTPUTS; i++) {
        if (passage->outputs[i].seen > 0) {
            take_seen(passage, passage->outputs[i].seen, i);
        }
    }
    if (passage->partials > 0) {
        take_seen(passage, passage->partials, OUTPUTS);
    }
}

/* A reader of what other egresses write to the topic of a writer of ours. */
static int open_seen(const struct einet_dds *dds, dds_entity_t writer, dds_entity_t *out, struct einet_error *err)
{
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_MSECS(100));
    dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, EI_POOL_GATE_STAMPS);
    dds_qset_ignorelocal(qos, DDS_IGNORELOCAL_PARTICIPANT);
    *out = dds_create_reader(dds->participant, dds_get_topic(writer), qos, NULL);
    dds_delete_qos(qos);
    return *out > 0 ? 0 : einet_error_set(err, EINET_E_BACKEND, "CycloneDDS made no reader of an output");
}

/* Another has the turn: nothing that was written before is to be sent again to readers that ask for what they missed,
 * and would come behind what the other writes. */
static void renew(const struct einet_dds *dds, dds_entity_t *writer)
{
    const dds_entity_t topic = dds_get_topic(*writer);
    dds_qos_t *qos = dds_create_qos();
    if (dds_get_qos(*writer, qos) == DDS_RETCODE_OK) {
        (void)dds_delete(*writer);
        *writer = dds_create_writer(dds->participant, topic, qos, NULL);
    }
    dds_delete_qos(qos);
}

static void look_at_turn(struct einet_dds_egress *egress)
{
    const enum ei_pool_turn_state before = ei_pool_claim_look(&egress->claim);
    const bool is_active = egress->claim.turn.state == EI_POOL_ACTIVE;
    atomic_store(&egress->is_active, is_active);
    atomic_store(&egress->is_lost, egress->claim.turn.state == EI_POOL_LOST);
    if (before == EI_POOL_ACTIVE && is_active) {
        return;
    }
    const bool is_over = egress->has_written &&
                         (egress->claim.turn.state == EI_POOL_STANDING_BY || egress->claim.turn.state == EI_POOL_LOST);
    for (int32_t i = 0; i < egress->count; i++) {
        struct passage *passage = &egress->passages[i];
        for (int o = 0; is_over && o < OUTPUTS; o++) {
            if (passage->outputs[o].writer > 0) {
                renew(&egress->view.dds, &passage->outputs[o].writer);
            }
        }
        note_seen(passage);
    }
    egress->has_written = egress->has_written && !is_over;
}

/* ---- the egress: tasks, as nodes name them ---- */

/* With its topic and what is read of others on it; <= 0: it was not made. */
static void close_end(dds_entity_t end, dds_entity_t seen)
{
    if (seen > 0) {
        (void)dds_delete(seen);
    }
    if (end > 0) {
        const dds_entity_t topic = dds_get_topic(end);
        (void)dds_delete(end);
        (void)dds_delete(topic);
    }
}

static int open_output(struct einet_dds *dds, struct output *output, int kind, const char *topic,
                       struct einet_error *err)
{
    char name[EI_DDS_TOPIC_BYTES];
    if (strcmp(output->topic, topic) == 0) {
        return 0;
    }
    close_end(output->writer, output->seen);
    *output = (struct output){.topic = ""};
    if (topic[0] == '\0') {
        return 0;
    }
    (void)snprintf(name, sizeof name, "rt%s", topic);
    int rc = ei_dds_open_writer(dds,
                                kind == CLASSIFICATIONS ? &vision_msgs_msg_dds__Classification__desc
                                                        : &einet_msgs_msg_dds__InferenceStatus__desc,
                                name, &output->writer, err);
    rc = rc < 0 || kind == PARTIALS ? rc : open_seen(dds, output->writer, &output->seen, err);
    if (rc < 0) {
        close_end(output->writer, output->seen);
        *output = (struct output){.topic = ""};
        return rc;
    }
    (void)snprintf(output->topic, sizeof output->topic, "%s", topic);
    return 0;
}

static bool has_names(const struct passage *passage, const struct einet_dds_node_task *task)
{
    return strcmp(passage->outputs[CLASSIFICATIONS].topic, task->classification_topic) == 0 &&
           strcmp(passage->outputs[STATUSES].topic, task->status_topic) == 0 &&
           strcmp(passage->outputs[PARTIALS].topic, task->partial_topic) == 0;
}

static int attach(struct einet_dds_egress *egress, dds_entity_t reader, struct einet_error *err)
{
    const dds_entity_t has_data = dds_create_readcondition(reader, DDS_ANY_STATE);
    return dds_waitset_attach(egress->waitset, has_data, 0) == 0
               ? 0
               : einet_error_set(err, EINET_E_BACKEND, "CycloneDDS did not attach a reader");
}

/* What was made stays, and what is missing is tried again. */
static int open_ends(struct einet_dds_egress *egress, struct passage *passage, const struct einet_dds_node_task *task,
                     struct einet_error *err)
{
    struct einet_dds *dds = &egress->view.dds;
    const char *topics[OUTPUTS] = {task->classification_topic, task->status_topic, task->partial_topic};
    int rc = 0;
    if (passage->results <= 0) {
        rc = ei_pool_open_result_reader(&egress->view.ends, dds->participant, task->name, &passage->results, err);
        rc = rc < 0 ? rc : attach(egress, passage->results, err);
    }
    for (int i = 0; rc == 0 && i < OUTPUTS; i++) {
        rc = open_output(dds, &passage->outputs[i], i, topics[i], err);
    }
    if (rc == 0 && passage->partials <= 0 && task->partial_topic[0] != '\0') {
        rc = ei_pool_open_partial_reader(&egress->view.ends, dds->participant, task->name, &passage->partials, err);
        rc = rc < 0 ? rc : attach(egress, passage->partials, err);
    }
    return rc;
}

static struct passage *find_passage(struct einet_dds_egress *egress, const char *task)
{
    int32_t i = 0;
    while (i < egress->count && strcmp(egress->passages[i].figures.task, task) != 0) {
        i++;
    }
    return i < egress->count ? &egress->passages[i] : NULL;
}

static struct passage *add_passage(struct einet_dds_egress *egress, const char *task)
{
    struct passage *passage = &egress->passages[egress->count];
    if (egress->count == EINET_POOL_TASKS_MAX) {
        return NULL;
    }
    *passage = (struct passage){.figures = {.size_bytes = sizeof passage->figures}};
    (void)snprintf(passage->figures.task, sizeof passage->figures.task, "%s", task);
    (void)pthread_mutex_lock(&egress->lock);
    egress->count++;
    (void)pthread_mutex_unlock(&egress->lock);
    return passage;
}

/* Whether a node that lives wants the outputs of a task to be called as they are. */
static bool is_content(const struct einet_dds_egress *egress, const struct passage *passage)
{
    const struct ei_pool_roster *roster = &egress->view.roster;
    for (int32_t i = 0; i < roster->count; i++) {
        for (int32_t t = 0; t < roster->nodes[i].task_count; t++) {
            const struct einet_dds_node_task *task = &roster->nodes[i].tasks[t];
            if (strcmp(task->name, passage->figures.task) == 0 && has_names(passage, task)) {
                return true;
            }
        }
    }
    return false;
}

/* Names are those of the first in rank that is seen, and stay as long as anybody has them: a robot listens there. */
static void find_tasks(struct einet_dds_egress *egress)
{
    const struct ei_pool_roster *roster = &egress->view.roster;
    for (int32_t i = 0; i < roster->count; i++) {
        for (int32_t t = 0; t < roster->nodes[i].task_count; t++) {
            const struct einet_dds_node_task *task = &roster->nodes[i].tasks[t];
            struct passage *passage = find_passage(egress, task->name);
            const bool is_new = passage == NULL || passage->results <= 0;
            passage = passage != NULL ? passage : add_passage(egress, task->name);
            if (passage != NULL && (is_new || (!has_names(passage, task) && !is_content(egress, passage)))) {
                (void)open_ends(egress, passage, task, NULL); /* tried again when a node speaks next */
            }
        }
    }
}

static void work(void *arg)
{
    struct einet_dds_egress *egress = arg;
    struct ei_pool_claim *claim = &egress->claim;
    (void)ei_pool_claim_fence(claim, egress->fence_signal, egress->on_fence);
    while (!atomic_load(&egress->is_ending)) {
        const bool is_active = claim->turn.state == EI_POOL_ACTIVE;
        /* twice a round, so that a claim is never a whole one late */
        (void)dds_waitset_wait(is_active ? egress->waitset : egress->idle_waitset, NULL, 0,
                               claim->turn.lease_ns / EI_POOL_ROUNDS_PER_LEASE / 2);
        look_at_turn(egress);
        for (int32_t i = 0; claim->turn.state == EI_POOL_ACTIVE && i < egress->count; i++) {
            take_results(egress, &egress->passages[i]);
        }
        if (ei_pool_roster_take(&egress->view.roster, egress->view.state_reader)) {
            find_tasks(egress);
        }
        atomic_store(&egress->beat_ns, now_ns());
    }
    ei_pool_claim_leave(claim);
    ei_pool_claim_unfence(claim);
}

/* ---- the egress: its life ---- */

static int open_waitsets(struct einet_dds_egress *egress, struct einet_error *err)
{
    const dds_entity_t participant = egress->view.dds.participant;
    egress->waitset = dds_create_waitset(participant);
    egress->idle_waitset = dds_create_waitset(participant);
    egress->is_stopping = dds_create_guardcondition(participant);
    const dds_entity_t ends[] = {egress->is_stopping, egress->claim.condition,
                                 dds_create_readcondition(egress->view.state_reader, DDS_ANY_STATE)};
    bool is_good = true;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        is_good = is_good && dds_waitset_attach(egress->waitset, ends[i], 0) == 0 &&
                  dds_waitset_attach(egress->idle_waitset, ends[i], 0) == 0;
    }
    return is_good ? 0 : einet_error_set(err, EINET_E_BACKEND, "CycloneDDS made no waitset for the egress");
}

/* A signal that a program may have for itself. */
static int take_fence(struct einet_dds_egress *egress, const struct einet_dds_egress_options *options,
                      struct einet_error *err)
{
    egress->fence_signal = options->fence_signal;
    egress->on_fence = options->on_fence;
    return options->on_fence == NULL || (options->fence_signal >= SIGRTMIN && options->fence_signal <= SIGRTMAX)
               ? 0
               : einet_error_set(err, EINET_E_USAGE, "fence_signal is %d: give one of SIGRTMIN..SIGRTMAX",
                                 options->fence_signal);
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
    rc = rc < 0 ? rc : take_fence(egress, options, err);
    rc = rc < 0 ? rc : ei_pool_claim_open(&egress->claim, &egress->view.ends, egress->view.dds.participant, err);
    rc = rc < 0 ? rc : open_waitsets(egress, err);
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

int32_t einet_dds_egress_is_active(const struct einet_dds_egress *egress)
{
    return atomic_load(&egress->is_lost) ? -ESTALE : atomic_load(&egress->is_active);
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
    for (int32_t i = 0; i < egress->count; i++) {
        if (egress->passages[i].outputs[STATUSES].writer > 0) {
            (void)dds_wait_for_acks(egress->passages[i].outputs[STATUSES].writer, LAST_WORDS_NS);
        }
    }
    ei_dds_close_entities(&egress->view.dds);
    (void)pthread_mutex_destroy(&egress->lock);
    free(egress);
}
