/* Why a job took as long as it did: the split of its response into parts, the cause of a miss, and whether it needed
 * more processor time than its profile allows. Definitions: docs/causes.md. Pure but for the histories' cursors.
 */
#ifndef METRICS_CAUSES_H
#define METRICS_CAUSES_H

#include "metrics/activity.h"
#include "metrics/gaps.h"
#include "metrics/record.h"

/* The first EI_PARTS causes are the parts. */
enum ei_miss_cause {
    EI_MISS_MACHINE = EI_PARTS, /* mostly unexplained, and gaps of the machine cover at least half of that */
    EI_MISS_CAUSES,
    EI_MISS_NONE = EI_MISS_CAUSES
};

enum ei_over_profile {
    EI_PROFILE_KEPT,
    EI_PROFILE_VIOLATED, /* the job itself computed longer */
    EI_PROFILE_NOISE,    /* gaps of the machine make up for what was too much */
    EI_PROFILE_VERDICTS
};

/* Static names: "release_delay", ..., "machine"; "" for EI_MISS_NONE. "profile_violation", "machine_noise"; "" for
 * EI_PROFILE_KEPT. */
const char *ei_miss_cause_name(int cause);
const char *ei_over_profile_name(int verdict);

struct ei_job_split {
    int64_t part_ns[EI_PARTS];
    enum ei_over_profile over_profile;
};

/* Split the response of a job that ran. Without EI_JOB_SPLIT in its flags the parts are completed from the activities
 * of all tasks and the gaps of the job's CPUs. The parts are never negative and sum to finish - release. */
struct ei_job_split ei_job_split(const struct ei_job_record *job, const struct ei_activity_history *activities,
                                 struct ei_gap_history *gaps);

/* The cause of a job that missed its deadline or was given up at it; gap_ns: gaps within its response. */
int ei_job_miss_cause(const struct ei_job_record *job, const struct ei_job_split *split, int64_t gap_ns);

#endif
