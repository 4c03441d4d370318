/* See roster.h. */
#include "adapters/dds/pool/roster.h"
#include "adapters/dds/pool/decide.h"

#include "pool/pool.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_RESULTS 10
#define DEPTH_KEPT EI_POOL_GATE_STAMPS /* by an egress that stands by, as they come */
#define TAKEN_AT_ONCE 16

static const char state_topic[] = "rt/einet/pool_state", claim_topic[] = "rt/einet/pool_egress";

static int fail(struct einet_error *err, dds_return_t rc, const char *what)
{
    return einet_error_set(err, EINET_E_BACKEND, "CycloneDDS made no %s: %s", what, dds_strretcode(-rc));
}

int ei_pool_open_ends(dds_entity_t participant, const char *pool, struct ei_pool_ends *ends, struct einet_error *err)
{
    const char *partitions[] = {pool};
    if (pool == NULL || !ei_pool_is_name(pool)) {
        return einet_error_set(err, EINET_E_USAGE,
                               "'%s' cannot name a pool: give 1..63 letters, digits, '_', '-' and '.'",
                               pool != NULL ? pool : "");
    }
    dds_qos_t *qos = dds_create_qos();
    dds_qset_partition(qos, 1, partitions);
    ends->publisher = dds_create_publisher(participant, qos, NULL);
    ends->subscriber = dds_create_subscriber(participant, qos, NULL);
    dds_delete_qos(qos);
    return ends->publisher < 0    ? fail(err, ends->publisher, "publisher")
           : ends->subscriber < 0 ? fail(err, ends->subscriber, "subscriber")
                                  : 0;
}

/* Liveliness is asserted by us, so that a node which hangs is as dead as one that was killed. */
static dds_qos_t *make_qos(const struct ei_pool_ends *ends, bool is_writer)
{
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_MSECS(100));
    if (is_writer) {
        dds_qset_liveliness(qos, DDS_LIVELINESS_MANUAL_BY_TOPIC, ends->lease_ns);
        dds_qset_writer_data_lifecycle(qos, false);
    }
    return qos;
}

static int open_end(const struct ei_pool_ends *ends, dds_entity_t participant, const dds_topic_descriptor_t *type,
                    const char *name, const dds_qos_t *qos, bool is_writer, dds_entity_t *out, struct einet_error *err)
{
    const dds_entity_t topic = dds_create_topic(participant, type, name, NULL, NULL);
    if (topic < 0) {
        return fail(err, topic, name);
    }
    *out = is_writer ? dds_create_writer(ends->publisher, topic, qos, NULL)
                     : dds_create_reader(ends->subscriber, topic, qos, NULL);
    if (*out < 0) {
        (void)dds_delete(topic);
        return fail(err, *out, name);
    }
    return 0;
}

/* Who stands by says nothing, but is to be seen. */
static void name_claimant(dds_qos_t *qos)
{
    char machine[EINET_POOL_NAME_MAX] = "", text[EINET_POOL_NAME_MAX + 16];
    (void)gethostname(machine, sizeof machine - 1);
    const int length = snprintf(text, sizeof text, "%d %s", (int)getpid(), machine);
    dds_qset_userdata(qos, text, (size_t)length);
}

/* What one says of oneself: the last word, for who comes later as well. */
static int open_word(const struct ei_pool_ends *ends, dds_entity_t participant, bool is_claim, bool is_writer,
                     dds_entity_t *out, struct einet_error *err)
{
    dds_qos_t *qos = make_qos(ends, is_writer);
    dds_qset_durability(qos, DDS_DURABILITY_TRANSIENT_LOCAL);
    dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, 1);
    if (is_claim) {
        dds_qset_ownership(qos, DDS_OWNERSHIP_EXCLUSIVE);
    }
    if (is_claim && is_writer) {
        name_claimant(qos);
    }
    const int rc = open_end(ends, participant, is_claim ? &einet_pool_Claim_desc : &einet_pool_RuntimeState_desc,
                            is_claim ? claim_topic : state_topic, qos, is_writer, out, err);
    dds_delete_qos(qos);
    return rc;
}

int ei_pool_open_state_reader(const struct ei_pool_ends *ends, dds_entity_t participant, dds_entity_t *out_reader,
                              struct einet_error *err)
{
    return open_word(ends, participant, false, false, out_reader, err);
}

int ei_pool_open_state_writer(const struct ei_pool_ends *ends, dds_entity_t participant, dds_entity_t *out_writer,
                              struct einet_error *err)
{
    return open_word(ends, participant, false, true, out_writer, err);
}

int ei_pool_open_claim_reader(const struct ei_pool_ends *ends, dds_entity_t participant, dds_entity_t *out_reader,
                              struct einet_error *err)
{
    return open_word(ends, participant, true, false, out_reader, err);
}

int ei_pool_open_claim_writer(const struct ei_pool_ends *ends, dds_entity_t participant, dds_entity_t *out_writer,
                              struct einet_error *err)
{
    return open_word(ends, participant, true, true, out_writer, err);
}

bool ei_pool_read_claimant(dds_entity_t reader, dds_instance_handle_t writer, struct einet_dds_egress_seen *out)
{
    dds_builtintopic_endpoint_t *end = dds_get_matched_publication_data(reader, writer);
    void *text = NULL;
    size_t length = 0;
    *out = (struct einet_dds_egress_seen){.machine = "?"};
    if (end == NULL) {
        return false;
    }
    if (end->qos != NULL && dds_qget_userdata(end->qos, &text, &length) && text != NULL) { /* a 0 follows */
        char machine[EINET_POOL_NAME_MAX] = "";
        const int fields = sscanf(text, "%9" SCNd32 " %63s", &out->process, machine);
        if (fields == 2 && ei_pool_is_name(machine)) { /* it ends on terminals */
            (void)snprintf(out->machine, sizeof out->machine, "%s", machine);
        }
    }
    dds_free(text);
    dds_builtintopic_free_endpoint(end);
    return true;
}

dds_instance_handle_t ei_pool_active_claimant(dds_entity_t reader)
{
    void *sample = NULL;
    dds_sample_info_t info;
    dds_instance_handle_t writer = 0;
    if (dds_read(reader, &sample, &info, 1, 1) == 1) {
        const einet_pool_Claim *claim = sample;
        if (info.instance_state == DDS_IST_ALIVE && info.valid_data && claim->is_active) {
            writer = info.publication_handle;
        }
        (void)dds_return_loan(reader, &sample, 1);
    }
    return writer;
}

bool ei_pool_set_strength(dds_entity_t writer, int32_t strength)
{
    dds_qos_t *qos = dds_create_qos();
    dds_qset_ownership_strength(qos, strength);
    const bool is_set = dds_set_qos(writer, qos) == DDS_RETCODE_OK;
    dds_delete_qos(qos);
    return is_set;
}

/* lifespan_ns 0: a reader. */
static int open_result(const struct ei_pool_ends *ends, dds_entity_t participant, const char *task, bool is_partial,
                       int64_t lifespan_ns, dds_entity_t *out, struct einet_error *err)
{
    char name[EI_DDS_TOPIC_BYTES];
    const bool is_writer = lifespan_ns > 0;
    ei_dds_print_output(task, is_partial ? "pool_partial" : "pool_result", name);
    dds_qos_t *qos = make_qos(ends, is_writer);
    dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, is_writer ? DEPTH_RESULTS : DEPTH_KEPT);
    dds_qset_ownership(qos, DDS_OWNERSHIP_EXCLUSIVE);
    if (is_writer) {
        dds_qset_lifespan(qos, lifespan_ns);
    }
    const int rc = open_end(ends, participant, is_partial ? &einet_pool_Partial_desc : &einet_pool_Result_desc, name,
                            qos, is_writer, out, err);
    dds_delete_qos(qos);
    return rc;
}

int ei_pool_open_result_reader(const struct ei_pool_ends *ends, dds_entity_t participant, const char *task,
                               dds_entity_t *out_reader, struct einet_error *err)
{
    return open_result(ends, participant, task, false, 0, out_reader, err);
}

int ei_pool_open_result_writer(const struct ei_pool_ends *ends, dds_entity_t participant, const char *task,
                               int64_t lifespan_ns, dds_entity_t *out_writer, struct einet_error *err)
{
    return open_result(ends, participant, task, false, lifespan_ns, out_writer, err);
}

int ei_pool_open_partial_reader(const struct ei_pool_ends *ends, dds_entity_t participant, const char *task,
                                dds_entity_t *out_reader, struct einet_error *err)
{
    return open_result(ends, participant, task, true, 0, out_reader, err);
}

int ei_pool_open_partial_writer(const struct ei_pool_ends *ends, dds_entity_t participant, const char *task,
                                int64_t lifespan_ns, dds_entity_t *out_writer, struct einet_error *err)
{
    return open_result(ends, participant, task, true, lifespan_ns, out_writer, err);
}

/* ---- the roster ---- */

static int32_t find(const struct ei_pool_roster *roster, const char *node)
{
    int32_t i = 0;
    while (i < roster->count && strcmp(roster->nodes[i].name, node) != 0) {
        i++;
    }
    return i;
}

static bool drop(struct ei_pool_roster *roster, const char *node)
{
    const int32_t at = find(roster, node);
    if (at == roster->count) {
        return false;
    }
    roster->count--;
    memmove(&roster->nodes[at], &roster->nodes[at + 1], (size_t)(roster->count - at) * sizeof roster->nodes[0]);
    return true;
}

static void read_node(struct einet_dds_node *node, const einet_pool_RuntimeState *state)
{
    *node = (struct einet_dds_node){.state = state->state,
                                    .rank = state->rank,
                                    .load_permille = state->load_permille,
                                    .incarnation = state->incarnation,
                                    .workload_hash = state->workload_hash};
    (void)snprintf(node->name, sizeof node->name, "%s", state->node);
    (void)snprintf(node->workload, sizeof node->workload, "%s", state->workload);
    for (uint32_t i = 0; i < state->tasks._length && i < EINET_POOL_TASKS_MAX; i++) {
        const einet_pool_TaskState *from = &state->tasks._buffer[i];
        struct einet_dds_node_task *to = &node->tasks[node->task_count++];
        *to = (struct einet_dds_node_task){.priority = from->priority,
                                           .duty = from->duty,
                                           .load_permille = from->load_permille,
                                           .strength = from->strength,
                                           .answered = from->answered,
                                           .late = from->late};
        (void)snprintf(to->name, sizeof to->name, "%s", from->name);
        (void)snprintf(to->classification_topic, sizeof to->classification_topic, "%s", from->classification_topic);
        (void)snprintf(to->status_topic, sizeof to->status_topic, "%s", from->status_topic);
        (void)snprintf(to->partial_topic, sizeof to->partial_topic, "%s", from->partial_topic);
    }
}

/* Names of others end in topics and on terminals. */
static bool has_names(const einet_pool_RuntimeState *state)
{
    bool is_good = ei_pool_is_name(state->node) && ei_pool_is_name(state->workload);
    for (uint32_t i = 0; is_good && i < state->tasks._length; i++) {
        const einet_pool_TaskState *task = &state->tasks._buffer[i];
        is_good = ei_pool_is_name(task->name) && ei_pool_is_topic(task->classification_topic) &&
                  ei_pool_is_topic(task->status_topic) && ei_pool_is_topic(task->partial_topic);
    }
    return is_good;
}

static bool put(struct ei_pool_roster *roster, const einet_pool_RuntimeState *state)
{
    if (!has_names(state)) {
        return false;
    }
    (void)drop(roster, state->node);
    if (roster->count == EINET_POOL_NODES_MAX) {
        return false;
    }
    int32_t at = 0;
    while (at < roster->count &&
           ei_pool_compare(roster->nodes[at].rank, roster->nodes[at].name, state->rank, state->node) < 0) {
        at++;
    }
    memmove(&roster->nodes[at + 1], &roster->nodes[at], (size_t)(roster->count - at) * sizeof roster->nodes[0]);
    roster->count++;
    read_node(&roster->nodes[at], state);
    return true;
}

bool ei_pool_roster_take(struct ei_pool_roster *roster, dds_entity_t reader)
{
    void *samples[TAKEN_AT_ONCE] = {NULL};
    dds_sample_info_t infos[TAKEN_AT_ONCE];
    bool is_changed = false;
    int32_t count = TAKEN_AT_ONCE;
    while (count == TAKEN_AT_ONCE) {
        samples[0] = NULL; /* lend them */
        count = dds_take(reader, samples, infos, TAKEN_AT_ONCE, TAKEN_AT_ONCE);
        for (int32_t i = 0; i < count; i++) {
            const einet_pool_RuntimeState *state = samples[i];
            const bool is_gone = infos[i].instance_state != DDS_IST_ALIVE; /* only the key is valid then */
            is_changed |= is_gone || !infos[i].valid_data ? is_gone && drop(roster, state->node) : put(roster, state);
        }
        if (count > 0) {
            (void)dds_return_loan(reader, samples, count);
        }
    }
    return is_changed;
}
