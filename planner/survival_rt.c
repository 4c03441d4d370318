/* Survival functions of the forced exit time. Pure, real-time safe. */
#include "planner/survival.h"

static double uniform_at(int64_t begin_ns, int64_t end_ns, int64_t t_ns)
{
    if (t_ns > end_ns) {
        return 0;
    }
    if (t_ns <= begin_ns || begin_ns == end_ns) {
        return 1;
    }
    /* In double, so that far-away bounds (a deadline of "never") cannot overflow. */
    return ((double)end_ns - (double)t_ns) / ((double)end_ns - (double)begin_ns);
}

EINET_RT double ei_survival_at(const struct ei_survival *survival, int64_t t_ns)
{
    switch (survival->kind) {
    case EI_SURVIVAL_UNIFORM:
        return uniform_at(survival->u.uniform.begin_ns, survival->u.uniform.end_ns, t_ns);
    }
    return 0;
}
