/* Figures over the sequence of a task's releases: the longest run of deadlines not met, the worst m of any k releases,
 * and the confidence interval of a ratio.
 *
 * Outcomes may arrive a little out of order (a queued job ends after a later one was dropped); a bounded window puts
 * them back in order. Thread: one owner; add() allocates nothing.
 */
#ifndef METRICS_OUTCOMES_H
#define METRICS_OUTCOMES_H

#include <stdint.h>

enum ei_outcome {
    EI_OUTCOME_UNKNOWN = 0, /* no record of this release (yet) */
    EI_OUTCOME_MET,
    EI_OUTCOME_EXPLAINED,   /* not met, and the machine's gaps explain it */
    EI_OUTCOME_UNEXPLAINED, /* not met */
    EI_OUTCOME_UNCOUNTED    /* warm-up: takes its place in the order but is no member of any window */
};

/* Number of misses among the last k, and the worst of that so far. A window that is not full yet counts too. */
struct ei_mk_window {
    uint8_t *ring; /* owned, k of them: 1 = missed */
    int32_t k, filled, head;
    int32_t missed;
    int32_t worst;
};

/* k >= 0; 0 makes a window that takes everything and says 0. Returns 0 or -ENOMEM. */
int ei_mk_window_init(struct ei_mk_window *window, int32_t k);
void ei_mk_window_fini(struct ei_mk_window *window);
void ei_mk_window_add(struct ei_mk_window *window, int is_missed);

struct ei_outcome_sequence {
    uint8_t *pending; /* owned, reorder_max of enum ei_outcome, by job_idx modulo reorder_max */
    int32_t reorder_max;
    int64_t next_idx; /* the release whose outcome is counted next */
    int64_t run, longest_run;
    struct ei_mk_window mk;             /* every deadline not met */
    struct ei_mk_window mk_unexplained; /* those that gaps do not explain */
};

/* reorder_max >= 1, mk_k >= 0. Returns 0 or -ENOMEM. */
int ei_outcome_sequence_init(struct ei_outcome_sequence *sequence, int32_t reorder_max, int32_t mk_k);
void ei_outcome_sequence_fini(struct ei_outcome_sequence *sequence);

/* The outcome of release job_idx (from 0). Releases that stay unknown (lost records) are passed over once they lie
 * reorder_max behind; an outcome that comes later than that is ignored. */
void ei_outcome_sequence_add(struct ei_outcome_sequence *sequence, int64_t job_idx, enum ei_outcome outcome);

/* Count what still waits for an earlier release. */
void ei_outcome_sequence_flush(struct ei_outcome_sequence *sequence);

/* Wilson's score interval of successes / n at 95 % (Wilson 1927, eq. 4; z = 1.959964). n >= 1. */
void ei_wilson95(int64_t successes, int64_t n, double *out_low, double *out_high);

#endif
