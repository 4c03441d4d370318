/* When a job will be forced to stop: S(t) = P(T >= t), the probability that time t of the job's own clock is reached.
 *
 * A tagged value, so that planner and stepper take any kind through one type. The clock is the caller's choice (it
 * starts at the job's release or at its first block) and must be the one of elapsed_ns in planner/search.h. No kind
 * needs renormalising at a replan: dividing S by S(elapsed) scales every plan alike. S is left-continuous: a stop that
 * comes exactly when an answer is ready finds it.
 */
#ifndef PLANNER_SURVIVAL_H
#define PLANNER_SURVIVAL_H

#include <einet/attributes.h>
#include <stdint.h>

#define EI_SURVIVAL_KNOTS_MAX 64
#define EI_SURVIVAL_FACTORS_MAX 8

enum ei_survival_kind {
    EI_SURVIVAL_UNIFORM,     /* T uniform in [begin, end]; begin = end: the stop comes exactly then */
    EI_SURVIVAL_EXPONENTIAL, /* T exponential from time 0: stops that come at a constant rate, with no memory */
    EI_SURVIVAL_KNOTS,       /* linear between knots */
    EI_SURVIVAL_STEPS,       /* constant between knots: only the knots' times can be stops */
    EI_SURVIVAL_PRODUCT      /* the first of several independent stops */
};

struct ei_survival {
    enum ei_survival_kind kind;
    union {
        struct {
            int64_t begin_ns; /* S = 1 up to here; may be negative */
            int64_t end_ns;   /* S = 0 beyond; >= begin_ns */
        } uniform;
        struct {
            double rate_per_s; /* >= 0, finite; S(t) = exp(-rate t) for t > 0, else 1 */
        } exponential;
        /* count 1 .. EI_SURVIVAL_KNOTS_MAX; t_ns does not decrease, survival is within 0..1 and does not increase; both
         * borrowed for as long as the value is used.
         * KNOTS: S = survival[0] up to t_ns[0], linear between knots, survival[count - 1] after the last; of two knots
         *        at the same time the first counts there, the second right after it (a jump).
         * STEPS: S = 1 up to and including t_ns[0], then survival[k] up to and including t_ns[k + 1]. */
        struct {
            int32_t count;
            const int64_t *t_ns;
            const double *survival;
        } knots;
        /* count 1 .. EI_SURVIVAL_FACTORS_MAX of any kind but PRODUCT; borrowed likewise. */
        struct {
            int32_t count;
            const struct ei_survival *factors;
        } product;
    } u;
};

/* T uniform in [begin_ns, end_ns]. The paper's case is (0, sum of all times); a deadline D is (0, D). Under the paper's
 * case the last exit of the full plan is ready at the end, where S = 0: a search then rather ends with an earlier exit.
 * Give the time at which the job must really end where it has slack. */
static inline struct ei_survival ei_survival_uniform(int64_t begin_ns, int64_t end_ns)
{
    return (struct ei_survival){.kind = EI_SURVIVAL_UNIFORM, .u.uniform = {begin_ns, end_ns}};
}

/* Stops at a constant rate from time 0 on. */
static inline struct ei_survival ei_survival_exponential(double rate_per_s)
{
    return (struct ei_survival){.kind = EI_SURVIVAL_EXPONENTIAL, .u.exponential = {rate_per_s}};
}

/* ---- tables: survival functions that own their knots ---- */

/* Knots as in struct ei_survival, owned; what the sources (planner/survival_*.h) fill. */
struct ei_survival_table {
    enum ei_survival_kind kind; /* KNOTS or STEPS */
    int32_t count;
    int64_t t_ns[EI_SURVIVAL_KNOTS_MAX];
    double survival[EI_SURVIVAL_KNOTS_MAX];
};

/* The table as a survival function that borrows it. */
static inline struct ei_survival ei_survival_of_table(const struct ei_survival_table *table)
{
    return (struct ei_survival){.kind = table->kind, .u.knots = {table->count, table->t_ns, table->survival}};
}

/* ---- any kind ---- */

/* S(t_ns), 0..1, non-increasing, of a function that passes its check. Real-time safe, pure. */
EINET_RT double ei_survival_at(const struct ei_survival *survival, int64_t t_ns);

/* What is wrong with a value. */
struct ei_fault {
    const char *field; /* NULL: nothing */
    const char *rule;  /* what the field must be */
    int32_t element;   /* array index to blame, -1 = none */
};

/* The first field that breaks a rule above, NaN included. Real-time safe, pure. */
EINET_RT struct ei_fault ei_survival_fault(const struct ei_survival *survival);

#endif
