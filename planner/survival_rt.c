/* Survival functions of the forced exit time. Pure, real-time safe. */
#include "planner/survival.h"

#include <math.h>
#include <stddef.h>

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

/* Number of knots strictly before t_ns. */
static int32_t knots_before(int32_t count, const int64_t *knot_ns, int64_t t_ns)
{
    int32_t low = 0, high = count;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (knot_ns[middle] < t_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static double knots_at(int32_t count, const int64_t *knot_ns, const double *survival, int64_t t_ns)
{
    const int32_t k = knots_before(count, knot_ns, t_ns);
    if (k == 0) {
        return survival[0];
    }
    if (k == count) {
        return survival[count - 1];
    }
    const double width_ns = (double)knot_ns[k] - (double)knot_ns[k - 1]; /* > 0: knot k - 1 lies before t */
    const double share = ((double)t_ns - (double)knot_ns[k - 1]) / width_ns;
    return survival[k - 1] + (survival[k] - survival[k - 1]) * share;
}

static double steps_at(int32_t count, const int64_t *knot_ns, const double *survival, int64_t t_ns)
{
    const int32_t k = knots_before(count, knot_ns, t_ns);
    return k == 0 ? 1 : survival[k - 1];
}

static double exponential_at(double rate_per_s, int64_t t_ns)
{
    return t_ns > 0 ? exp(-rate_per_s * 1e-9 * (double)t_ns) : 1;
}

/* One kind that is no product. */
static double factor_at(const struct ei_survival *survival, int64_t t_ns)
{
    switch (survival->kind) {
    case EI_SURVIVAL_UNIFORM:
        return uniform_at(survival->u.uniform.begin_ns, survival->u.uniform.end_ns, t_ns);
    case EI_SURVIVAL_EXPONENTIAL:
        return exponential_at(survival->u.exponential.rate_per_s, t_ns);
    case EI_SURVIVAL_KNOTS:
        return knots_at(survival->u.knots.count, survival->u.knots.t_ns, survival->u.knots.survival, t_ns);
    case EI_SURVIVAL_STEPS:
        return steps_at(survival->u.knots.count, survival->u.knots.t_ns, survival->u.knots.survival, t_ns);
    case EI_SURVIVAL_PRODUCT:
        break;
    }
    return 0;
}

EINET_RT double ei_survival_at(const struct ei_survival *survival, int64_t t_ns)
{
    if (survival->kind != EI_SURVIVAL_PRODUCT) {
        return factor_at(survival, t_ns);
    }
    double product = 1;
    for (int32_t i = 0; i < survival->u.product.count; i++) {
        product *= factor_at(&survival->u.product.factors[i], t_ns);
    }
    return product;
}

/* ---- the check ---- */

#define NO_FAULT ((struct ei_fault){NULL, NULL, -1})

static struct ei_fault knots_fault(const struct ei_survival *s)
{
    const int32_t count = s->u.knots.count;
    if (count < 1 || count > EI_SURVIVAL_KNOTS_MAX) {
        return (struct ei_fault){"survival.knots", "must have 1..64 knots", -1};
    }
    if (!s->u.knots.t_ns || !s->u.knots.survival) {
        return (struct ei_fault){!s->u.knots.t_ns ? "survival.t_ns" : "survival.survival", "must not be NULL", -1};
    }
    for (int32_t i = 0; i < count; i++) {
        const double value = s->u.knots.survival[i];
        if (!(value >= 0 && value <= 1)) {
            return (struct ei_fault){"survival.survival", "must be within 0..1", i};
        }
        if (i > 0 && value > s->u.knots.survival[i - 1]) {
            return (struct ei_fault){"survival.survival", "must not increase", i};
        }
        if (i > 0 && s->u.knots.t_ns[i] < s->u.knots.t_ns[i - 1]) {
            return (struct ei_fault){"survival.t_ns", "must not decrease", i};
        }
    }
    return NO_FAULT;
}

static struct ei_fault factor_fault(const struct ei_survival *s)
{
    switch (s->kind) {
    case EI_SURVIVAL_UNIFORM:
        return s->u.uniform.begin_ns <= s->u.uniform.end_ns
                   ? NO_FAULT
                   : (struct ei_fault){"survival.uniform.end_ns", "must not be before begin_ns", -1};
    case EI_SURVIVAL_EXPONENTIAL:
        return s->u.exponential.rate_per_s >= 0 && isfinite(s->u.exponential.rate_per_s)
                   ? NO_FAULT
                   : (struct ei_fault){"survival.exponential.rate_per_s", "must be a finite number >= 0", -1};
    case EI_SURVIVAL_KNOTS:
    case EI_SURVIVAL_STEPS:
        return knots_fault(s);
    case EI_SURVIVAL_PRODUCT:
        return (struct ei_fault){"survival.product.factors", "must not hold products", -1};
    }
    return (struct ei_fault){"survival.kind", "is none that the planner knows", -1};
}

EINET_RT struct ei_fault ei_survival_fault(const struct ei_survival *survival)
{
    if (survival->kind != EI_SURVIVAL_PRODUCT) {
        return factor_fault(survival);
    }
    if (survival->u.product.count < 1 || survival->u.product.count > EI_SURVIVAL_FACTORS_MAX) {
        return (struct ei_fault){"survival.product.factors", "must be 1..8 functions", -1};
    }
    if (!survival->u.product.factors) {
        return (struct ei_fault){"survival.product.factors", "must not be NULL", -1};
    }
    for (int32_t i = 0; i < survival->u.product.count; i++) {
        const struct ei_fault fault = factor_fault(&survival->u.product.factors[i]);
        if (fault.field) {
            return fault;
        }
    }
    return NO_FAULT;
}
