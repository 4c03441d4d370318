/* Polylines thinned to the knots of a table, greedily by the largest error (Douglas, Peucker 1973, with a limit on the
 * points instead of on the error). Pure, real-time safe. */
#include "planner/survival_thin.h"

#define ERROR_MIN 1e-13 /* what rounding alone can make; also ends the loop for lines that fit */

/* Two neighbours among the points kept, and the point between them that their line misses most. */
struct span {
    int32_t from, to, worst; /* indices of the polyline */
    double error;            /* at worst; 0 = none between them */
};

static struct span measure(const int64_t *t_ns, const double *survival, int32_t from, int32_t to)
{
    struct span span = {from, to, from, 0};
    const double width_ns = (double)(t_ns[to] - t_ns[from]);
    if (width_ns <= 0) {
        return span; /* a jump: what lies within it is at the same time */
    }
    const double slope = (survival[to] - survival[from]) / width_ns;
    for (int32_t i = from + 1; i < to; i++) {
        const double line = survival[from] + slope * (double)(t_ns[i] - t_ns[from]);
        const double error = line > survival[i] ? line - survival[i] : survival[i] - line;
        if (error > span.error) {
            span.error = error;
            span.worst = i;
        }
    }
    return span;
}

EINET_RT void ei_survival_thin(int32_t count, const int64_t *t_ns, const double *survival, int32_t max_count,
                               struct ei_survival_table *out)
{
    struct span spans[EI_SURVIVAL_KNOTS_MAX]; /* in order */
    int32_t used = count > 1 ? 1 : 0;
    if (used > 0) {
        spans[0] = measure(t_ns, survival, 0, count - 1);
    }
    while (used > 0 && used + 1 < max_count) {
        int32_t split = 0;
        for (int32_t i = 1; i < used; i++) {
            split = spans[i].error > spans[split].error ? i : split;
        }
        if (spans[split].error <= ERROR_MIN) {
            break;
        }
        const struct span old = spans[split];
        for (int32_t i = used; i > split; i--) {
            spans[i] = spans[i - 1];
        }
        spans[split] = measure(t_ns, survival, old.from, old.worst);
        spans[split + 1] = measure(t_ns, survival, old.worst, old.to);
        used++;
    }
    out->kind = EI_SURVIVAL_KNOTS;
    out->count = used + 1;
    for (int32_t i = 0; i <= used; i++) {
        const int32_t point = i < used ? spans[i].from : count - 1;
        out->t_ns[i] = t_ns[point];
        out->survival[i] = survival[point];
    }
}
