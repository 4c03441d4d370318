/* Kaplan-Meier with forgetting over a fixed number of bins. Pure values, real-time safe. */
#include "planner/survival_empirical.h"

#include "planner/survival_thin.h"
#include <errno.h>
#include <math.h>

#define HORIZON_MAX_NS (INT64_MAX / 4)

/* Weights grow until this power of two and are then divided by it, which is exact; what falls below its inverse has
 * been forgotten. */
#define UNIT_MAX 0x1p500

int ei_empirical_init(struct ei_empirical *e, int64_t horizon_ns, int32_t memory_jobs)
{
    if (horizon_ns < 1 || memory_jobs < 0) {
        return -EINVAL;
    }
    const int64_t bounded_ns = horizon_ns < HORIZON_MAX_NS ? horizon_ns : HORIZON_MAX_NS;
    *e = (struct ei_empirical){.bin_ns = (bounded_ns - 1) / EI_EMPIRICAL_BINS + 1,
                               .forgetting = memory_jobs > 0 ? exp(-1.0 / memory_jobs) : 1,
                               .survivor = 1,
                               .unit = 1};
    return 0;
}

static double scaled_down(double weight)
{
    const double scaled = weight * (1 / UNIT_MAX);
    return scaled < 1 / UNIT_MAX ? 0 : scaled;
}

static void rescale(struct ei_empirical *e)
{
    for (int32_t k = 0; k < EI_EMPIRICAL_BINS; k++) {
        e->event[k] = scaled_down(e->event[k]);
        e->at_risk_until[k] = scaled_down(e->at_risk_until[k]);
    }
    e->time_at_risk_s = scaled_down(e->time_at_risk_s);
    e->events = scaled_down(e->events);
    e->unit *= 1 / UNIT_MAX;
}

EINET_RT void ei_empirical_add(struct ei_empirical *e, int64_t t_ns, bool is_censored)
{
    const int64_t end_ns = e->bin_ns * EI_EMPIRICAL_BINS;
    if (e->unit >= UNIT_MAX) {
        rescale(e);
    }
    if (t_ns > end_ns) {
        t_ns = end_ns;
        is_censored = true;
    } else if (t_ns < 0) {
        t_ns = 0;
    }
    const int64_t bin = t_ns > 0 ? (t_ns - 1) / e->bin_ns : 0;
    if (!is_censored) {
        e->event[bin] += e->unit;
        e->events += e->unit;
    }
    if (t_ns > 0 || !is_censored) { /* a job that ended at 0 was never at risk */
        e->at_risk_until[bin] += e->unit;
    }
    e->time_at_risk_s += e->unit * ((double)t_ns * 1e-9);
    e->jobs = e->jobs * e->forgetting + 1;
    e->unit /= e->forgetting;
}

EINET_RT void ei_empirical_survival(const struct ei_empirical *e, struct ei_survival_table *out)
{
    double at_risk[EI_EMPIRICAL_BINS]; /* those seen in bin k or later */
    double sum = e->survivor * e->unit * e->forgetting;
    for (int32_t k = EI_EMPIRICAL_BINS - 1; k >= 0; k--) {
        sum += e->at_risk_until[k];
        at_risk[k] = sum;
    }
    int64_t t_ns[EI_EMPIRICAL_BINS + 1] = {0};
    double survival[EI_EMPIRICAL_BINS + 1] = {1};
    int32_t points = 1;
    for (; points <= EI_EMPIRICAL_BINS && at_risk[points - 1] > 0; points++) {
        const double stopped = e->event[points - 1] / at_risk[points - 1]; /* <= 1: at_risk holds the same summand */
        t_ns[points] = points * e->bin_ns;
        survival[points] = stopped < 1 ? survival[points - 1] * (1 - stopped) : 0;
    }
    while (points > 1 && survival[points - 1] >= survival[points - 2]) {
        points--; /* a level tail needs no knot */
    }
    ei_survival_thin(points, t_ns, survival, EI_SURVIVAL_KNOTS_MAX, out);
}

EINET_RT double ei_empirical_rate_per_s(const struct ei_empirical *e)
{
    return e->time_at_risk_s > 0 ? e->events / e->time_at_risk_s : 0;
}
