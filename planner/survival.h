/* When a job will be forced to stop: S(t) = P(T >= t), the probability that time t of the job's own clock is reached.
 *
 * A tagged value, so that planner and stepper take any kind through one type. The clock is the caller's choice (it
 * starts at the job's release or at its first block) and must be the one of elapsed_ns in planner/search.h. No kind
 * needs renormalising at a replan: dividing S by S(elapsed) scales every plan alike.
 */
#ifndef PLANNER_SURVIVAL_H
#define PLANNER_SURVIVAL_H

#include <einet/attributes.h>
#include <stdint.h>

enum ei_survival_kind {
    EI_SURVIVAL_UNIFORM /* T uniform in [begin, end]; begin = end: the stop comes exactly then */
};

struct ei_survival {
    enum ei_survival_kind kind;
    union {
        struct {
            int64_t begin_ns; /* S = 1 up to here; may be negative */
            int64_t end_ns;   /* S = 0 beyond; >= begin_ns */
        } uniform;
    } u;
};

/* T uniform in [begin_ns, end_ns]. The paper's case is (0, sum of all times); a deadline D is (0, D). Under the paper's
 * case the last exit of the full plan is ready at the end, where S = 0: a search then rather ends with an earlier exit.
 * Give the time at which the job must really end where it has slack. */
static inline struct ei_survival ei_survival_uniform(int64_t begin_ns, int64_t end_ns)
{
    return (struct ei_survival){.kind = EI_SURVIVAL_UNIFORM, .u.uniform = {begin_ns, end_ns}};
}

/* S(t_ns), 0..1, non-increasing. Real-time safe, pure. */
EINET_RT double ei_survival_at(const struct ei_survival *survival, int64_t t_ns);

#endif
