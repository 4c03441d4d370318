/* Fixed-size records that job and probe threads push into their own SPSC ring and the drain thread turns into files and
 * figures. All times are CLOCK_MONOTONIC ns, 0 = did not happen. Measured from the nominal release, never from when a
 * thread happened to wake.
 */
#ifndef METRICS_RECORD_H
#define METRICS_RECORD_H

#include <stdint.h>

enum ei_record_kind {
    EI_RECORD_JOB,        /* one per nominal release: what became of it */
    EI_RECORD_PREEMPTION, /* one per lane taken from a running job, pushed by the preemptor at its first block */
    EI_RECORD_GAP,        /* the noise probe woke late: time in which no task of ours held the CPU */
    EI_RECORD_ACTIVITY,   /* a stretch in which a job wanted the processor, pushed before its own record */
    EI_RECORD_STAGE,      /* a stage of a job is over, pushed before the job's own record */
    EI_RECORD_BLOCK       /* a network block is over, pushed before its stage's record */
};

/* Where the time from a job's nominal release to its finish went. The parts sum to the response exactly. */
enum ei_part {
    EI_PART_RELEASE_DELAY, /* released late, behind its predecessor or in a stage of it, or woken late */
    EI_PART_BLOCKING,      /* a job of lower priority held the processor or the lane */
    EI_PART_INTERFERENCE,  /* a job of higher or equal priority held the processor */
    EI_PART_EXECUTION,     /* it ran itself */
    EI_PART_LANE_QUEUE,    /* a job of higher or equal priority held the lane */
    EI_PART_THROTTLED,     /* class deadline: it had used up the runtime of its period */
    EI_PART_UNEXPLAINED,   /* none of these: the machine, as far as the noise probe saw a gap */
    EI_PARTS
};

enum ei_job_outcome {
    EI_JOB_COMPLETED, /* finished, with or without an answer */
    EI_JOB_ABORTED,   /* started, then given up without a result (on_deadline: abort, stage failure) */
    EI_JOB_SKIPPED,   /* its release found as many jobs in flight as may be (late_release: skip), or never came in its
                         chain */
    EI_JOB_DROPPED    /* queued and thrown out, by a full queue, the load cap or the end of the run */
};

/* Why a job ended when it did. */
enum ei_job_cause {
    EI_CAUSE_PLAN_DONE, /* all that was planned was computed */
    EI_CAUSE_PREEMPTED, /* on_preempt: exit */
    EI_CAUSE_DEADLINE,  /* on_deadline: exit or abort, or the next exit could not be reached in time */
    EI_CAUSE_LOAD_CAP,  /* the CPU's real-time load reached its cap */
    EI_CAUSE_CANCELLED, /* the run was ended by a signal */
    EI_CAUSE_LATE,      /* skipped: the previous job was still active */
    EI_CAUSE_QUEUE,     /* dropped: the queue was full */
    EI_CAUSE_FAULT,     /* a stage failed */
    EI_CAUSE_UPSTREAM,  /* skipped: the job before it in the chain brought no result */
    EI_CAUSE_OVERRUN    /* on_overrun: exit or abort, or the next exit did not fit into the budget */
};

enum {
    EI_JOB_WARMUP = 1 << 0,   /* logged, not counted */
    EI_JOB_MISSED = 1 << 1,   /* finished after its deadline */
    EI_JOB_ANSWERED = 1 << 2, /* an answer of this very job was published */
    EI_JOB_LABELLED = 1 << 3, /* label is known */
    EI_JOB_HAS_NN = 1 << 4,   /* the task has a network stage, so coverage and exits apply */
    EI_JOB_SPLIT = 1 << 5,    /* part_ns is complete; without it the collector finds the rest in activities and gaps */
    EI_JOB_OVERRUN = 1 << 6,  /* a stage went over its budget or timeout */
    EI_JOB_THROTTLED = 1 << 7 /* its thread used more than the runtime of its class since it woke */
};

struct ei_job_record {
    int32_t task_idx;
    uint32_t flags;       /* EI_JOB_* bits */
    int64_t job_idx;      /* number of the nominal release, from 0 */
    uint64_t tag;         /* of whoever released it from outside, also of the jobs behind it in a chain; 0 = none */
    int64_t release_ns;   /* a: nominal release */
    int64_t awake_ns;     /* w: thread awake */
    int64_t start_ns;     /* first stage starts */
    int64_t finish_ns;    /* f: result ready */
    int64_t deadline_ns;  /* d = a + D; INT64_MAX = none */
    int64_t answer_ns;    /* e: when the delivered answer was published */
    int64_t lane_wait_ns; /* sum of waits for a lane */
    int64_t lane_busy_ns; /* sum of block times */
    uint64_t exits_mask;  /* bit i: branch i was computed and its answer published */
    int32_t sample_idx;   /* of the task's input, -1 = none */
    int32_t label;        /* true class, -1 = unknown */
    int32_t top_label;    /* answered class, -1 = none */
    float confidence;     /* max softmax of the delivered exit */
    int16_t planned_exit; /* last exit of the first plan, -1 = no network */
    int16_t exit_idx;     /* delivered exit, -1 = none */
    int16_t preemptions;  /* times a higher job took the lane from this one */
    int16_t preempted_by; /* task index of the last one, -1 = none */
    int16_t replans;      /* plans made after the first one and used */
    int16_t late_replans; /* plans that came after the boundary they were meant for; the job kept its plan */
    int64_t ready_ns;     /* released, and the job before it over: from here on it could run */
    int64_t profiled_ns;  /* execution that its profile allows: spins, p99 of its blocks; 0 = unknown */
    int64_t part_ns[EI_PARTS];
    uint8_t outcome;     /* enum ei_job_outcome */
    uint8_t cause;       /* enum ei_job_cause */
    uint8_t slot;        /* of its task: which of its threads ran the job */
    uint8_t priority;    /* of the task, as it held for this job */
    int32_t frame;       /* the picture of the release, as the engine counts them; 0 = none */
    int32_t blocks_done; /* conv parts and branches that were computed, those of a restart again */
};

struct ei_preemption_record {
    int32_t victim_task_idx;
    int32_t preemptor_task_idx;
    int64_t victim_job_idx;
    int64_t preemptor_job_idx;
    int64_t request_ns;     /* the preemptor asked for the lane */
    int64_t block_end_ns;   /* the victim's block ended: request -> here is the blocking */
    int64_t first_block_ns; /* the preemptor's first block starts: block end -> here is the switch */
};

struct ei_gap_record {
    int32_t cpu;
    int32_t reserved;
    int64_t expected_ns; /* the probe's nominal wake-up */
    int64_t actual_ns;   /* when it ran */
};

struct ei_activity_record {
    int32_t task_idx;
    int32_t cpu;          /* -1 = unknown */
    int32_t priority;     /* of the task */
    int32_t top_priority; /* highest that its thread had meanwhile: above `priority` while a higher job waited for it */
    int32_t slot;         /* of its task: which of its threads this is */
    int32_t is_after_device; /* its block on a device was due to be over, and the thread did not go on yet: what others
                              * do not account for of this stretch is the device's time */
    int64_t job_idx;
    int64_t start_ns, end_ns; /* ready, or granted the lane; gave the processor up, or a lane */
    int64_t cpu_ns;           /* of processor time that it got */
};

struct ei_stage_record {
    int32_t task_idx;
    int32_t stage_idx; /* of the task, from 0 */
    int32_t cpu;       /* where it ended; -1 = unknown */
    int32_t reserved;
    int64_t job_idx;
    int64_t ready_ns; /* it could begin: the stage before it was over, or the job was ready */
    int64_t start_ns, end_ns;
    int64_t cpu_ns; /* of processor time that its thread got; -1 = unknown */
};

#define EI_BLOCK_UNANSWERED (-1.0F)

/* Where a device runs a part in pieces, each of them has a record. */
struct ei_block_record {
    int32_t task_idx;
    int32_t stage_idx;
    int32_t lane_idx;  /* of the workload; -1 = none */
    int32_t block_idx; /* conv part or branch, from 0: branch i gives exit i */
    int32_t is_branch; /* 0 = conv part, 1 = branch */
    float confidence;  /* of a branch's answer; 0 for a conv part; UNANSWERED: a piece that is not its branch's last */
    int64_t job_idx;
    int64_t start_ns, end_ns; /* given to the lane; over there. A branch's answer is out at end_ns */
};

struct ei_record {
    int64_t kind; /* enum ei_record_kind */
    union {
        struct ei_job_record job;
        struct ei_preemption_record preemption;
        struct ei_gap_record gap;
        struct ei_activity_record activity;
        struct ei_stage_record stage;
        struct ei_block_record block;
    } u;
};

/* Copy what a record of its kind says, and not all of the union: a job's is three times as long as the others, which
 * are by far the most. */
static inline void ei_record_copy(struct ei_record *to, const struct ei_record *from)
{
    to->kind = from->kind;
    switch (from->kind) {
    case EI_RECORD_PREEMPTION:
        to->u.preemption = from->u.preemption;
        break;
    case EI_RECORD_GAP:
        to->u.gap = from->u.gap;
        break;
    case EI_RECORD_ACTIVITY:
        to->u.activity = from->u.activity;
        break;
    case EI_RECORD_STAGE:
        to->u.stage = from->u.stage;
        break;
    case EI_RECORD_BLOCK:
        to->u.block = from->u.block;
        break;
    default:
        to->u = from->u;
        break;
    }
}

#endif
