/* Survival functions learnt from past jobs: the Kaplan-Meier estimator with forgetting, in bounded memory.
 *
 * A job that was stopped at t is an event at t; one that ended by itself at t is censored there: its stop would have
 * come later. With d_k events and n_k jobs at risk in bin k,  S(end of bin k) = prod_{j <= k} (1 - d_j / n_j).
 * Old jobs lose weight by a factor per job, so that the estimate follows a schedule that changes. Also the maximum
 * likelihood estimate of a constant rate under the same censoring. Owner: the job's thread; real-time safe.
 *
 * What censoring cannot show: jobs that plan to end early never see how often a later time is reached, so a late part
 * that was unlucky in its few first jobs would never be planned, and never be corrected. Two remedies, either is
 * enough:
 *   - give the stop although the job ended before it. A caller that learns of the preemptor's arrival afterwards adds
 *     that time as an event; nothing is censored then.
 *   - let a share of the jobs run on, such as every 16th with the plan of all exits.
 */
#ifndef PLANNER_SURVIVAL_EMPIRICAL_H
#define PLANNER_SURVIVAL_EMPIRICAL_H

#include "planner/survival.h"

#include <einet/error.h>
#include <stdbool.h>

#define EI_EMPIRICAL_BINS 256

struct ei_empirical {
    int64_t bin_ns; /* bin k: k * bin_ns < t <= (k + 1) * bin_ns, an event at 0 is in the first; times beyond the last
                     * are censored at its end */
    double forgetting; /* weight that a job keeps per later job, 0 < forgetting <= 1 */
    double survivor; /* an imagined job that was never stopped, never forgotten, in units of the newest job; 1. Without
                      * it one early stop would leave S = 0 behind it: nothing would be planned, nothing be learnt.
                      * 0 gives the textbook's estimate */
    double unit;     /* weight of the next job; grows instead of shrinking all others */
    double jobs;     /* sum of weights in units of the newest job */
    double event[EI_EMPIRICAL_BINS], at_risk_until[EI_EMPIRICAL_BINS]; /* weights per bin: stopped; last seen, stopped
                                                                        * or censored */
    double time_at_risk_s, events;                                     /* sums behind the rate, weighted likewise */
};

/* horizon_ns: what plans can last; rounded up to a multiple of EI_EMPIRICAL_BINS. memory_jobs: number of jobs after
 * which a job's weight has fallen to 1/e; 0 = never forget. Returns 0 or -EINVAL (horizon_ns < 1 or memory_jobs < 0).
 */
int ei_empirical_init(struct ei_empirical *e, int64_t horizon_ns, int32_t memory_jobs);

/* Add a job that was stopped (is_censored false) or ended by itself (true) at t_ns of its clock; earlier than 0 counts
 * as 0. O(1), but O(bins) when the weights are rescaled, every 346 * memory_jobs jobs. */
EINET_RT void ei_empirical_add(struct ei_empirical *e, int64_t t_ns, bool is_censored);

/* The estimate as at most EI_SURVIVAL_KNOTS_MAX knots, those of the bins' ends that describe it best; linear within a
 * bin. Before any event S is 1 everywhere. The tail behind the last job at risk keeps the last value, which makes the
 * planner curious about times that no job has reached. About 5 us. */
EINET_RT void ei_empirical_survival(const struct ei_empirical *e, struct ei_survival_table *out);

/* Stops per second by censored maximum likelihood: events / total time at risk; 0 before any time has passed. */
EINET_RT double ei_empirical_rate_per_s(const struct ei_empirical *e);

/* ---- from a file ---- */

#define EI_TRACE_JOBS_MAX 1000000

/* Read recorded stop times: a text file, one job a line, a time with unit ("12.5ms", "800us", "1s", "90ns"; whole ns)
 * and then optionally the word "censored"; empty lines and what follows '#' are skipped. All jobs weigh the same, the
 * estimate is the textbook's. With at most EI_SURVIVAL_KNOTS_MAX different stop times the table is exact, of kind
 * STEPS; with more it is of kind KNOTS, the points that describe the estimate best. Cold: allocates. *out is untouched
 * on error. Returns 0; EINET_E_FILE (malformed, or no job: file, line and column named); EINET_E_LIMIT (more jobs than
 * EI_TRACE_JOBS_MAX); -errno; -ENOMEM. */
int ei_survival_read_trace(const char *path, struct ei_survival_table *out, struct einet_error *err);

#endif
