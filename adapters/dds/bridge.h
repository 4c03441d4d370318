/* Inside of the bridge.
 *
 *   CycloneDDS's receiving thread: take, check, convert --> einet_run_release_frame, _result --> a job thread
 *                     | what the run has no place for                                       |
 *                     v                                                                     v
 *   ring of many producers, bell --> dds_out: write --> CycloneDDS <-- write: the callback thread of the run
 *
 * The stamp of an image travels in the tag of its release, with the number of its frame_id, so nothing has to be kept
 * for a job that is under way. So does that of a result of another run, which is the stamp of its image: what is said
 * of images here holds for results as well. Entities and tables are made before the threads and freed after them.
 */
#ifndef ADAPTERS_DDS_BRIDGE_H
#define ADAPTERS_DDS_BRIDGE_H

#include "adapters/dds/cdr.h"
#include "adapters/dds/health.h"
#include "adapters/dds/pool/decide.h"
#include "adapters/dds/type_hash.h"
#include "rt/bell.h"
#include "rt/mpsc_ring.h"
#include "rt/thread.h"

#include "ros2.h"
#include <dds/dds.h>
#include <einet/dds.h>
#include <stdatomic.h>

#define EI_DDS_RING_RECORDS 4096
#define EI_DDS_FRAME_IDS_MAX 4 /* of one task: two bits of the tag */
#define EI_DDS_FRAME_ID_BYTES 256
#define EI_DDS_TOPIC_BYTES 320
#define EI_DDS_PUBLISHERS_MAX 16 /* of one topic that are remembered */

/* Whether the messages of a publisher are of the type that we know. */
struct ei_dds_publisher {
    dds_instance_handle_t handle; /* 0 = none */
    bool is_refused;
};

struct ei_dds_task {
    atomic_int task_idx;        /* in the workload of the run that has the images */
    enum einet_message message; /* that it takes */
    struct ei_dds_wanted wanted;
    const char *topic, *name; /* in texts, as other names; topic "" = behind one that has one */
    char *texts;              /* own */
    struct einet_dds *dds;
    dds_entity_t reader, classifications, statuses; /* 0 = none */
    atomic_uint calls; /* to take images that nobody has answered yet: whoever finds none before it takes them */
    uint8_t *scratch;  /* of who takes, as are the frame_ids; who writes reads those that are counted */
    char frame_ids[EI_DDS_FRAME_IDS_MAX][EI_DDS_FRAME_ID_BYTES];
    atomic_int frame_id_count;
    struct ei_pool_gate gate; /* of results; of who takes */
    atomic_int_least64_t received, refused, turned_away, left, released, restamped, skipped;
    atomic_int_least64_t classified, reported, failed_writes;
    atomic_int last_fault; /* enum ei_dds_fault */

    int32_t head; /* slot of the first task of its chain, which has the images; its own slot as a rule */
    /* From the stamp of the image, 0 = none; as it was a second ago at most, when it changes while the run goes on. */
    atomic_int_least64_t deadline_ns;
    const char *classification_topic, *status_topic, *partial_topic; /* "" = none */
    dds_entity_t partials;                                           /* 0 = none */
    atomic_int_least64_t partial_count;
    struct ei_dds_health health;                               /* under health_lock */
    char type_hash[EI_DDS_TYPE_HASH_MAX];                      /* of its messages */
    struct ei_dds_publisher publishers[EI_DDS_PUBLISHERS_MAX]; /* of who takes */
    int32_t next_publisher;                                    /* the one that is forgotten next */
};

enum ei_dds_record_kind {
    EI_DDS_RESULT,
    EI_DDS_TURNED_AWAY, /* an image that the run had no place for */
    EI_DDS_UPSTREAM,    /* one that already came to nothing in the run before this one */
    EI_DDS_PARTIAL
};

/* What dds_out has to say. */
struct ei_dds_record {
    int32_t slot; /* of tasks */
    int32_t kind; /* enum ei_dds_record_kind */
    /* of one that was not released: tag and task_idx alone; of a partial one these and the answer, with when it was
     * released */
    struct einet_result result;
};

/* What a workload says of the task of a slot. */
struct ei_dds_promise {
    int32_t task_idx;
    int64_t deadline_ns, least_interval_ns;
};

/* One of the runs: that which has the images, or the one that is to take over, or the one before, which drains. */
struct ei_dds_feed {
    struct einet_dds *dds;
    struct einet_run *run;
    struct ei_dds_promise *promises; /* [task_count] */
    struct einet_callbacks callbacks;
};

struct einet_dds {
    struct einet_dds_options options; /* without pointers */
    struct einet_callbacks next;
    struct ei_dds_feed feeds[2];
    atomic_int feed;                   /* that has the images */
    atomic_bool is_successor_expected; /* the other is to take over */
    atomic_int releasing;              /* calls into a run that are under way */
    int32_t task_count;
    struct ei_dds_task *tasks;
    dds_entity_t domain, participant;
    struct ei_mpsc_ring ring;
    void *storage;
    struct ei_bell bell;
    atomic_int_least64_t lost;
    struct einet_run *run; /* that has the images; changed under health_lock */
    struct ei_pool *pool;  /* NULL = none */
    struct ei_thread out;
    bool has_out;
    atomic_bool is_taking, is_out_ending;

    dds_entity_t diagnostics;
    struct ei_dds_diagnoses *diagnoses; /* of dds_out */
    int64_t next_look_ns;               /* of dds_out: when diagnostics are due at the latest */
    pthread_mutex_t health_lock;
    bool is_level_changed; /* under health_lock */
    atomic_int_least64_t undecodable;
};

/* Whether what a task takes are results of another run. */
static inline bool ei_dds_is_follower(const struct ei_dds_task *task)
{
    return task->message == EINET_MESSAGE_CLASSIFICATION || task->message == EINET_MESSAGE_STATUS;
}

/* The tag of an image: seconds, nanoseconds (30 bits), number of the frame_id (2 bits). */
static inline uint64_t ei_dds_tag(int32_t sec, uint32_t nanosec, int32_t frame_id)
{
    return (uint64_t)(uint32_t)sec << 32 | (uint64_t)nanosec << 2 | (uint64_t)frame_id;
}

/* ---- bridge.c ---- */

/* A thread that takes no signal: SCHED_FIFO at priority, or SCHED_OTHER when that is 0. Returns as ei_thread_create. */
int ei_dds_start_thread(int32_t priority, const char *name, ei_thread_fn body, void *arg, struct ei_thread *thread,
                        bool *has_thread, struct einet_error *err);

/* Whether there can be such a domain and threads of such a priority. Returns 0 or EINET_E_USAGE. */
int ei_dds_check_place(int32_t domain, int32_t priority, struct einet_error *err);

/* Whether the chain of a task begins with the images of a topic; *out_info is filled in either case. */
bool ei_dds_is_ours(const struct einet_workload *workload, int32_t task_idx, struct einet_task_info *out_info);

/* ---- entities.c ---- */

/* Domain, participant, readers, writers and conditions of all tasks. On error what was made stays for
 * ei_dds_close_entities. Returns 0, EINET_E_PRIVILEGE or EINET_E_BACKEND. */
int ei_dds_open_entities(struct einet_dds *dds, const char *config, struct einet_error *err);
void ei_dds_close_entities(struct einet_dds *dds);

/* What a message that a task takes is: of ROS 2, and of CycloneDDS. */
struct ei_dds_type {
    const char *name;
    const dds_topic_descriptor_t *descriptor;
};
const struct ei_dds_type *ei_dds_type_of(enum einet_message message);

/* A writer for ROS 2. Returns 0 or EINET_E_BACKEND. */
int ei_dds_open_writer(struct einet_dds *dds, const dds_topic_descriptor_t *type, const char *name, dds_entity_t *out,
                       struct einet_error *err);

/* The topic for what a task puts out: what is no letter or digit in its name becomes _. */
void ei_dds_print_output(const char *task_name, const char *what, char out[EI_DDS_TOPIC_BYTES]);

/* ---- threads.c ---- */

/* Whether CycloneDDS's threads have the policies that were asked for: those that carry data priority (0 = SCHED_OTHER),
 * those of the background SCHED_OTHER. Returns 0, EINET_E_BACKEND or -errno, with the thread in err. */
int ei_dds_check_threads(int32_t priority, struct einet_error *err);

/* ---- output.c: messages ---- */

/* What a classification points to. */
struct ei_dds_hypotheses {
    struct vision_msgs_msg_dds__ObjectHypothesis_ list[EINET_TOP_MAX];
    char classes[EINET_TOP_MAX][16];
};

void ei_dds_fill_classification(struct ei_dds_task *task, const struct einet_result *result,
                                struct ei_dds_hypotheses *hypotheses,
                                struct vision_msgs_msg_dds__Classification_ *out_message);
void ei_dds_fill_status(const struct ei_dds_record *record, struct einet_msgs_msg_dds__InferenceStatus_ *out_message);

/* ---- log.c ---- */

/* CycloneDDS's log is the bridge's from here on: a message that is none is counted, all else goes where it went before,
 * to standard error. Nothing while another bridge has it. */
void ei_dds_watch_log(struct einet_dds *dds);
void ei_dds_leave_log(struct einet_dds *dds);

/* ---- publishers.c ---- */

/* Whether what a publisher sends is of our type: one that announces another hash is not believed, one that announces
 * none is. Thread: who takes. */
bool ei_dds_is_trusted(struct ei_dds_task *task, dds_instance_handle_t publisher);

/* ---- diagnostics.c ---- */

/* NULL: no memory. */
struct ei_dds_diagnoses *ei_dds_make_diagnoses(const struct einet_dds *dds);
void ei_dds_free_diagnoses(struct ei_dds_diagnoses *diagnoses);

/* What became of a job, or of an image that the run had no place for. Thread: any but a job's. */
void ei_dds_note_result(struct ei_dds_task *task, const struct einet_result *result);
void ei_dds_note_turned_away(struct ei_dds_task *task);

/* Write diagnostics when they are due, or when a level has changed. Thread: dds_out. */
void ei_dds_diagnose(struct einet_dds *dds);

/* ---- input.c ---- */

/* Take what a task's reader has; nothing before the bridge was started and after it was stopped. A listener of the
 * reader: CycloneDDS calls it on the thread that has received, or on that of a writer in this process. Thread: any. */
void ei_dds_take_messages(dds_entity_t reader, void *task);

/* ---- output.c ---- */

/* The body of dds_out. */
void ei_dds_write_results(void *dds);
/* Write what became of one image. Thread: any but a job's, and but CycloneDDS's, which a full writer waits for. */
void ei_dds_write_record(struct einet_dds *dds, const struct ei_dds_record *record);
/* Hand a record to dds_out. Thread: any. */
void ei_dds_post(struct einet_dds *dds, const struct ei_dds_record *record);

#endif
