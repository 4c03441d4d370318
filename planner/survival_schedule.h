/* The survival function that the schedule itself implies: a job will be stopped when the first higher-priority job that
 * shares its lane or CPU comes, and at its deadline at the latest.
 *
 *     S(t) = prod_k (1 - F_k(t)) for t <= deadline, 0 beyond,     F_k(t) = P(task k comes before t)
 *
 * with F_k from period, phase, jitter and minimal inter-arrival of task k. Pure; real-time safe; any thread. All times
 * are on the clock of the planned job, ns; those in the past are negative or below now. Times further away than
 * INT64_MAX / 4 (73 years) count as that.
 */
#ifndef PLANNER_SURVIVAL_SCHEDULE_H
#define PLANNER_SURVIVAL_SCHEDULE_H

#include "planner/survival.h"

#include <stdbool.h>

#define EI_INTERFERERS_MAX 64

enum ei_interferer_kind {
    EI_INTERFERER_PERIODIC, /* a release every period, each late by a uniform jitter */
    EI_INTERFERER_SPORADIC  /* at least separation between releases, and an exponential time on top of it */
};

/* A higher-priority task as seen from the planned job.
 *
 * F_k before the condition on now, x = t - quiet_from, D = time between two releases, E(D) its mean:
 *   PERIODIC known    uniform in [next, next + jitter]
 *   PERIODIC unknown  forward recurrence time: density P(D > x) / E(D), D = period + difference of two jitters, so
 *                     uniform in [0, period - jitter] and then cubic until 1 at period + jitter
 *   SPORADIC known    next + an exponential time
 *   SPORADIC unknown  forward recurrence time of D = separation + an exponential time
 * A task that must have come by now but has not is overdue: it comes at once, S = 0 right after now. */
struct ei_interferer {
    enum ei_interferer_kind kind;
    bool is_phase_known;   /* next_ns means something; false: any phase is equally likely */
    int64_t next_ns;       /* PERIODIC: nominal time of the next release that has not come yet (its jitter included it
                            * may be overdue); SPORADIC: earliest time at which the next can come (last + separation) */
    int64_t quiet_from_ns; /* phase unknown: no release has come from this time until now, such as the planned job's
                            * first block; later than now counts as now */
    int64_t period_ns;     /* PERIODIC: > 0; SPORADIC: the separation, >= 0 */
    int64_t jitter_ns;     /* PERIODIC: 0 .. period; a release comes within [next, next + jitter]. SPORADIC: 0 */
    int64_t mean_extra_ns; /* SPORADIC: mean of the exponential time beyond the separation, >= 0; 0 = none, it comes at
                            * once. PERIODIC: 0 */
};

/* P(the task comes before t_ns | it has not come by now_ns); 0 for t_ns <= now_ns. The task must keep the rules. */
EINET_RT double ei_interferer_cdf(const struct ei_interferer *task, int64_t now_ns, int64_t t_ns);

/* Fill out with S on [now_ns, min(deadline_ns, horizon_ns)], conditioned on no task having come by now_ns. deadline_ns
 * = INT64_MAX: none. horizon_ns bounds what the planner will ask for (end of the longest plan); below now_ns counts as
 * now_ns.
 *
 * The table is of kind KNOTS: the first at now_ns with S = 1; one at every corner of every F_k; those between them
 * where lines err most, until they err by less than 0.001 or EI_SURVIVAL_KNOTS_MAX is reached. Where S falls to 0 at
 * once (deadline, a release without jitter, an overdue task), two knots stand at that time, the latter with 0; nothing
 * follows a knot with 0. Every knot lies on S, which never increases; between knots the table errs by less than 0.002
 * with up to 16 tasks, and by less than 0.01 with more, where only the corners that matter most may find a knot.
 *
 * 1 to 5 us for 4 tasks. Returns 0 or -EINVAL (a field breaks a rule above, count is not within 0..EI_INTERFERERS_MAX,
 * tasks is NULL with count > 0, deadline_ns < now_ns); out is then untouched. */
EINET_RT int ei_survival_from_schedule(const struct ei_interferer *tasks, int32_t count, int64_t now_ns,
                                       int64_t horizon_ns, int64_t deadline_ns, struct ei_survival_table *out);

#endif
