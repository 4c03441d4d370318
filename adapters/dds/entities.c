/* What the bridge shows on the network: one participant with a reader and two writers for each task. See bridge.h.
 *
 * Domain and participant are made on a thread of their own under SCHED_OTHER, because CycloneDDS's threads inherit what
 * the configuration does not name: garbage collection and discovery must not be real-time threads by accident.
 */
#include "adapters/dds/bridge.h"
#include "adapters/dds/pool/member.h"

#include "ros2.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_BYTES 8192
#define DEPTH_PICTURES 5
#define DEPTH_RESULTS 10
#define OPENER_STACK_BYTES ((size_t)1024 * 1024)

/* A result that was lost is missed when the next heartbeat comes: after 5 ms, where CycloneDDS waits 100, and 20 at
 * least unless minsched says otherwise. Of a thread that is named twice CycloneDDS believes the first settings, of
 * other things the last: so what the bridge needs stands round what others want. With several receiving threads data
 * arrives on one whose name the configuration does not take, so there is one. */
static int print_config(const struct einet_dds *dds, const char *more, char out[CONFIG_BYTES], struct einet_error *err)
{
    char threads[512] = "";
    if (dds->options.priority > 0) {
        (void)snprintf(threads, sizeof threads,
                       "<Threads><Thread name=\"recv\"><Scheduling><Class>realtime</Class><Priority>%d</Priority>"
                       "</Scheduling></Thread><Thread name=\"tev\"><Scheduling><Class>realtime</Class><Priority>%d"
                       "</Priority></Scheduling></Thread></Threads>",
                       dds->options.priority, dds->options.priority);
    }
    const int length =
        snprintf(out, CONFIG_BYTES,
                 "<CycloneDDS><Domain id=\"any\"><Internal><HeartbeatInterval min=\"1 ms\" minsched=\"5 ms\">5 ms"
                 "</HeartbeatInterval><NackDelay>1 ms</NackDelay></Internal>%s</Domain></CycloneDDS>%s%s,"
                 "<CycloneDDS><Domain id=\"any\"><Internal><MultipleReceiveThreads>false</MultipleReceiveThreads>"
                 "</Internal></Domain></CycloneDDS>",
                 threads, more != NULL ? "," : "", more != NULL ? more : "");
    return length < CONFIG_BYTES ? 0
                                 : einet_error_set(err, EINET_E_USAGE,
                                                   "more settings of CycloneDDS than the %d bytes that they and the "
                                                   "bridge's have: put them into a file and give its name",
                                                   CONFIG_BYTES);
}

static int fail(struct einet_error *err, dds_return_t rc, const char *what)
{
    return einet_error_set(err, EINET_E_BACKEND, "CycloneDDS made no %s: %s", what, dds_strretcode(-rc));
}

static void announce_hash(dds_qos_t *qos, const dds_topic_descriptor_t *type)
{
    char hash[EI_DDS_TYPE_HASH_MAX], data[EI_DDS_TYPE_HASH_MAX + 16];
    if (ei_dds_type_hash_of_dds(type->m_typename, hash) == 0) {
        const int length = snprintf(data, sizeof data, "typehash=%s;", hash);
        dds_qset_userdata(qos, data, (size_t)length);
    }
}

static dds_qos_t *make_qos(const dds_topic_descriptor_t *type, dds_reliability_kind_t reliability, int32_t depth)
{
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, reliability, DDS_MSECS(100));
    dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, depth);
    dds_qset_writer_data_lifecycle(qos, false);
    announce_hash(qos, type);
    return qos;
}

/* A reader that calls listener, or, without one, a writer. */
static int make_endpoint(struct einet_dds *dds, const dds_topic_descriptor_t *type, const char *name,
                         const dds_listener_t *listener, dds_entity_t *out, struct einet_error *err)
{
    const bool is_reader = listener != NULL;
    const dds_entity_t topic = dds_create_topic(dds->participant, type, name, NULL, NULL);
    if (topic < 0) {
        return fail(err, topic, name);
    }
    const bool is_picture =
        type == &sensor_msgs_msg_dds__Image__desc || type == &sensor_msgs_msg_dds__CompressedImage__desc;
    dds_qos_t *qos = make_qos(type, is_picture ? DDS_RELIABILITY_BEST_EFFORT : DDS_RELIABILITY_RELIABLE,
                              is_picture ? DEPTH_PICTURES : DEPTH_RESULTS);
    *out = is_reader ? dds_create_reader(dds->participant, topic, qos, listener)
                     : dds_create_writer(dds->participant, topic, qos, NULL);
    dds_delete_qos(qos);
    if (*out < 0) {
        (void)dds_delete(topic);
        return fail(err, *out, name);
    }
    return 0;
}

int ei_dds_open_writer(struct einet_dds *dds, const dds_topic_descriptor_t *type, const char *name, dds_entity_t *out,
                       struct einet_error *err)
{
    return make_endpoint(dds, type, name, NULL, out, err);
}

void ei_dds_print_output(const char *task_name, const char *what, char out[EI_DDS_TOPIC_BYTES])
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s", task_name);
    for (char *at = name; *at != '\0'; at++) {
        *at = isalnum((unsigned char)*at) ? *at : '_';
    }
    (void)snprintf(out, EI_DDS_TOPIC_BYTES, "rt/einet/%s%s/%s", isdigit((unsigned char)name[0]) ? "_" : "", name, what);
}

/* topic "" = none. */
static int make_writer(struct einet_dds *dds, const dds_topic_descriptor_t *type, const char *topic, dds_entity_t *out,
                       struct einet_error *err)
{
    char name[EI_DDS_TOPIC_BYTES];
    (void)snprintf(name, sizeof name, "rt%s", topic);
    return topic[0] != '\0' ? make_endpoint(dds, type, name, NULL, out, err) : 0;
}

static int open_outputs(struct einet_dds *dds, struct ei_dds_task *task, struct einet_error *err)
{
    int rc = make_writer(dds, &vision_msgs_msg_dds__Classification__desc, task->classification_topic,
                         &task->classifications, err);
    rc = rc < 0
             ? rc
             : make_writer(dds, &einet_msgs_msg_dds__InferenceStatus__desc, task->status_topic, &task->statuses, err);
    return rc < 0 ? rc
                  : make_writer(dds, &einet_msgs_msg_dds__InferenceStatus__desc, task->partial_topic, &task->partials,
                                err);
}

const struct ei_dds_type *ei_dds_type_of(enum einet_message message)
{
    static const struct ei_dds_type image = {"sensor_msgs/msg/Image", &sensor_msgs_msg_dds__Image__desc},
                                    compressed = {"sensor_msgs/msg/CompressedImage",
                                                  &sensor_msgs_msg_dds__CompressedImage__desc},
                                    classification = {"vision_msgs/msg/Classification",
                                                      &vision_msgs_msg_dds__Classification__desc},
                                    status = {"einet_msgs/msg/InferenceStatus",
                                              &einet_msgs_msg_dds__InferenceStatus__desc};
    switch (message) {
    case EINET_MESSAGE_COMPRESSED_IMAGE:
        return &compressed;
    case EINET_MESSAGE_CLASSIFICATION:
        return &classification;
    case EINET_MESSAGE_STATUS:
        return &status;
    case EINET_MESSAGE_IMAGE:
        break;
    }
    return &image;
}

static int open_input(struct einet_dds *dds, struct ei_dds_task *task, struct einet_error *err)
{
    char name[EI_DDS_TOPIC_BYTES];
    (void)snprintf(name, sizeof name, "rt%s", task->topic);
    dds_listener_t *listener = dds_create_listener(task);
    dds_lset_data_available(listener, ei_dds_take_messages);
    const int rc = make_endpoint(dds, ei_dds_type_of(task->message)->descriptor, name, listener, &task->reader, err);
    dds_delete_listener(listener);
    return rc;
}

static int open_task(struct einet_dds *dds, struct ei_dds_task *task, struct einet_error *err)
{
    const int rc = dds->pool == NULL ? open_outputs(dds, task, err) : 0; /* else the egress of the pool writes them */
    return rc < 0 || task->topic[0] == '\0' ? rc : open_input(dds, task, err);
}

static int open_participant(struct einet_dds *dds, const char *more, struct einet_error *err)
{
    char config[CONFIG_BYTES];
    const int rc = print_config(dds, more, config, err);
    if (rc < 0) {
        return rc;
    }
    dds->domain = dds_create_domain((dds_domainid_t)dds->options.domain, config);
    if (dds->domain == DDS_RETCODE_PRECONDITION_NOT_MET) {
        return einet_error_set(err, EINET_E_USAGE, "domain %d is in use in this process: make the bridge before others",
                               dds->options.domain);
    }
    if (dds->domain < 0) {
        return einet_error_set(err, dds->options.priority > 0 ? EINET_E_PRIVILEGE : EINET_E_BACKEND,
                               "CycloneDDS made no domain %d with threads of priority %d: %s; its log says why",
                               dds->options.domain, dds->options.priority, dds_strretcode(-dds->domain));
    }
    dds_qos_t *qos = dds_create_qos();
    static const char data[] = "enclave=/;"; /* as ROS 2 announces it */
    dds_qset_userdata(qos, data, sizeof data - 1);
    dds->participant = dds_create_participant((dds_domainid_t)dds->options.domain, qos, NULL);
    dds_delete_qos(qos);
    return dds->participant < 0 ? fail(err, dds->participant, "participant") : 0;
}

static int open_all(struct einet_dds *dds, const char *more, struct einet_error *err)
{
    int rc = open_participant(dds, more, err);
    if (rc < 0) {
        return rc;
    }
    rc = dds->task_count > 0
             ? make_writer(dds, &diagnostic_msgs_msg_dds__DiagnosticArray__desc, "/diagnostics", &dds->diagnostics, err)
             : 0;
    for (int32_t i = 0; rc == 0 && i < dds->task_count; i++) {
        rc = open_task(dds, &dds->tasks[i], err);
    }
    rc = rc == 0 && dds->pool != NULL ? ei_pool_open(dds->pool, err) : rc;
    return rc < 0 ? rc : ei_dds_check_threads(dds->options.priority, err);
}

struct opening {
    struct einet_dds *dds;
    const char *config;
    struct einet_error err;
    int rc;
};

static void open_on_thread(void *arg)
{
    struct opening *opening = arg;
    opening->rc = open_all(opening->dds, opening->config, &opening->err);
}

int ei_dds_open_entities(struct einet_dds *dds, const char *config, struct einet_error *err)
{
    ei_dds_watch_log(dds);
    const struct ei_thread_attr attr = {.name = "dds_open", .stack_bytes = OPENER_STACK_BYTES};
    struct opening opening = {.dds = dds, .config = config};
    struct ei_thread thread;
    const int rc = ei_thread_create(&thread, &attr, open_on_thread, &opening, err);
    if (rc < 0) {
        return rc;
    }
    (void)ei_thread_join(&thread);
    if (opening.rc < 0 && err != NULL) {
        *err = opening.err;
    }
    return opening.rc;
}

void ei_dds_close_entities(struct einet_dds *dds)
{
    if (dds->participant > 0) {
        (void)dds_delete(dds->participant);
    }
    if (dds->domain > 0) {
        (void)dds_delete(dds->domain);
    }
    ei_dds_leave_log(dds);
}
