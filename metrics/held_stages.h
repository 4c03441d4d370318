/* Stage and block records that wait for the record of their job, which alone knows its release and whether it ran.
 * Jobs of a task that run end in the order of their numbers, so what is older than a job that ended will never be asked
 * for: its job's record was lost. Memory is fixed at init. Thread: one owner.
 */
#ifndef METRICS_HELD_STAGES_H
#define METRICS_HELD_STAGES_H

#include "metrics/record.h"

/* Of one task. */
struct ei_held_stages {
    struct ei_record *records; /* owned, in the order in which they came */
    int32_t count, capacity;
    int64_t lost; /* records that did not fit, or whose job never came */
};

/* Room for `jobs` jobs in flight of `stages` stages and `exits` exits each, every block of which may run twice over.
 * Returns 0 or -ENOMEM. */
int ei_held_stages_init(struct ei_held_stages *held, int32_t jobs, int32_t stages, int32_t exits);
/* Accepts a zeroed struct. */
void ei_held_stages_fini(struct ei_held_stages *held);

/* Keep an EI_RECORD_STAGE or EI_RECORD_BLOCK, or count it as lost. */
void ei_held_stages_add(struct ei_held_stages *held, const struct ei_record *record);

/* The oldest record of job job_idx, from *index on (0 at first), which moves on; NULL = no more. */
const struct ei_record *ei_held_stages_next(const struct ei_held_stages *held, int64_t job_idx, int32_t *index);

/* Job job_idx has ended: forget its records, and count those of earlier jobs as lost. INT64_MAX: the run is over. */
void ei_held_stages_end(struct ei_held_stages *held, int64_t job_idx);

#endif
