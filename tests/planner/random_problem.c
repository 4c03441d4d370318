/* Random plan problems and their oracles. */
#include "tests/planner/random_problem.h"

#include <math.h>

static int64_t draw_time_ns(struct ei_random *rng, int kind, int64_t scale_ns)
{
    switch (kind) {
    case 0: /* nothing costs anything */
        return 0;
    case 1: /* often zero */
        return ei_random_below(rng, 3) == 0 ? 0 : (int64_t)ei_random_below(rng, (uint64_t)scale_ns);
    case 2: /* a few distinct values, so that plans tie */
        return (int64_t)ei_random_below(rng, 3) * scale_ns;
    default:
        return 1 + (int64_t)ei_random_below(rng, (uint64_t)scale_ns);
    }
}

static void draw_scores(struct ei_random *rng, int32_t n, float *score)
{
    const uint64_t kind = ei_random_below(rng, 6);
    float at = 0;
    for (int32_t i = 0; i < n; i++) {
        switch (kind) {
        case 0: /* rising */
            at += (1 - at) * (float)ei_random_unit(rng) * 0.5F;
            break;
        case 1: /* falling */
            at = 1 - (float)(i + 1) / (float)(n + 1);
            break;
        case 2: /* all equal */
            at = 0.7F;
            break;
        case 3: /* a few distinct values */
            at = (float)ei_random_below(rng, 4) / 4;
            break;
        default:
            at = (float)ei_random_unit(rng);
        }
        score[i] = at;
    }
}

static struct ei_survival draw_uniform(struct ei_random *rng, int64_t total_ns)
{
    const uint64_t total = (uint64_t)total_ns + 2;
    const int64_t any_ns = (int64_t)ei_random_below(rng, total), wide_ns = (int64_t)ei_random_below(rng, 3 * total);
    switch (ei_random_below(rng, 8)) {
    case 0: /* the paper's */
        return ei_survival_uniform(0, total_ns);
    case 1: /* shorter */
    case 2:
        return ei_survival_uniform(0, any_ns);
    case 3: /* longer, even beyond all reach */
        return ei_survival_uniform(0, total_ns + wide_ns);
    case 4: /* certain time */
        return ei_survival_uniform(any_ns, any_ns);
    case 5: /* begun before the job */
        return ei_survival_uniform(-wide_ns, any_ns);
    default: /* not to begin before a while */
        return ei_survival_uniform(any_ns, any_ns + wide_ns);
    }
}

static struct ei_survival draw_exponential(struct ei_random *rng, int64_t total_ns)
{
    switch (ei_random_below(rng, 8)) {
    case 0: /* no stop ever */
        return ei_survival_exponential(0);
    case 1: /* nothing is ever reached, beyond the range of exp */
        return ei_survival_exponential(1e15 * ei_random_unit(rng));
    default:
        return ei_survival_exponential(1e9 / (double)(total_ns + 1) * ei_random_exponential(rng, 2));
    }
}

/* Knots at rising, sometimes equal times; values that fall, sometimes to 0, sometimes not at all. */
static struct ei_survival draw_table(struct ei_random *rng, enum ei_survival_kind kind, int64_t total_ns,
                                     struct ei_survival_table *table)
{
    const uint64_t many = ei_random_below(rng, 8) == 0 ? EI_SURVIVAL_KNOTS_MAX : 8;
    table->kind = kind;
    table->count = 1 + (int32_t)ei_random_below(rng, many);
    const uint64_t gap_ns = 1 + 2 * (uint64_t)total_ns / (uint64_t)table->count;
    int64_t t_ns = ei_random_below(rng, 3) == 0 ? -(int64_t)ei_random_below(rng, gap_ns) : 0;
    double survival = ei_random_below(rng, 8) == 0 ? ei_random_unit(rng) : 1;
    for (int32_t k = 0; k < table->count; k++) {
        table->t_ns[k] = t_ns;
        table->survival[k] = survival;
        t_ns += ei_random_below(rng, 4) == 0 ? 0 : (int64_t)ei_random_below(rng, gap_ns);
        survival *= ei_random_below(rng, 3) == 0 ? 1 : ei_random_unit(rng);
        survival = ei_random_below(rng, 16) == 0 ? 0 : survival;
    }
    return ei_survival_of_table(table);
}

void instance_draw_survival(struct ei_random *rng, enum family family, struct instance *in)
{
    switch (family) {
    case UNIFORM:
        in->problem.survival = draw_uniform(rng, in->total_ns);
        break;
    case EXPONENTIAL:
        in->problem.survival = draw_exponential(rng, in->total_ns);
        break;
    case KNOTS:
        in->problem.survival = draw_table(rng, EI_SURVIVAL_KNOTS, in->total_ns, &in->table[0]);
        break;
    case STEPS:
        in->problem.survival = draw_table(rng, EI_SURVIVAL_STEPS, in->total_ns, &in->table[0]);
        break;
    case PRODUCT:
        in->factor[0] = draw_table(rng, EI_SURVIVAL_KNOTS, in->total_ns, &in->table[0]);
        in->factor[1] = draw_table(rng, EI_SURVIVAL_STEPS, in->total_ns, &in->table[1]);
        in->factor[2] =
            ei_random_below(rng, 2) == 0 ? draw_exponential(rng, in->total_ns) : draw_uniform(rng, in->total_ns);
        in->problem.survival = (struct ei_survival){.kind = EI_SURVIVAL_PRODUCT,
                                                    .u.product = {1 + (int32_t)ei_random_below(rng, 3), in->factor}};
        break;
    case FAMILIES:
        break;
    }
}

void instance_draw_position(struct ei_random *rng, struct instance *in)
{
    struct ei_plan_problem *p = &in->problem;
    p->convs_done = (int32_t)ei_random_below(rng, (uint64_t)p->exits + 1);
    p->first_exit = p->convs_done;
    if (p->convs_done > 0 && ei_random_below(rng, 2) == 0) {
        p->first_exit--;
    } else if (p->first_exit < p->exits && ei_random_below(rng, 4) == 0) {
        p->first_exit++;
    }
    p->elapsed_ns = (int64_t)ei_random_below(rng, (uint64_t)in->total_ns + 2);
    p->held_score = (double)(float)ei_random_unit(rng);
}

void instance_draw(struct ei_random *rng, int32_t n, bool is_fresh, enum family family, struct instance *in)
{
    static const int64_t scales_ns[] = {3, 1000, 5000000};
    const int64_t scale_ns = scales_ns[ei_random_below(rng, 3)];
    const int conv_kind = (int)ei_random_below(rng, 6), branch_kind = (int)ei_random_below(rng, 6);
    in->total_ns = 0;
    for (int32_t i = 0; i < n; i++) {
        in->conv_ns[i] = draw_time_ns(rng, conv_kind, scale_ns);
        in->branch_ns[i] = draw_time_ns(rng, branch_kind, scale_ns);
        in->total_ns += in->conv_ns[i] + in->branch_ns[i];
    }
    draw_scores(rng, n, in->score);
    in->problem = (struct ei_plan_problem){
        .exits = n,
        .conv_ns = in->conv_ns,
        .branch_ns = in->branch_ns,
        .score = in->score,
        .is_branch_atomic = ei_random_below(rng, 3) == 0,
        .held_score = ei_random_below(rng, 4) == 0 ? (double)(float)ei_random_unit(rng) : 0,
    };
    instance_draw_survival(rng, family, in);
    if (!is_fresh) {
        instance_draw_position(rng, in);
    }
}

/* ---- the truth ---- */

/* The two knots around t by a walk, not by bisection as in planner/survival_rt.c. */
static double oracle_table(const struct ei_survival *s, int64_t t_ns)
{
    const int32_t count = s->u.knots.count;
    const int64_t *at_ns = s->u.knots.t_ns;
    const double *value = s->u.knots.survival;
    if (s->kind == EI_SURVIVAL_STEPS) {
        double held = 1;
        for (int32_t k = 0; k < count && at_ns[k] < t_ns; k++) {
            held = value[k];
        }
        return held;
    }
    if (t_ns <= at_ns[0]) {
        return value[0];
    }
    for (int32_t k = 1; k < count; k++) {
        if (t_ns <= at_ns[k]) {
            const double width = (double)(at_ns[k] - at_ns[k - 1]), left = (double)(at_ns[k] - t_ns);
            return value[k] + (value[k - 1] - value[k]) * left / width;
        }
    }
    return value[count - 1];
}

double oracle_survival(const struct ei_survival *s, int64_t t_ns)
{
    double product = 1;
    switch (s->kind) {
    case EI_SURVIVAL_UNIFORM: {
        const int64_t b = s->u.uniform.begin_ns, e = s->u.uniform.end_ns;
        if (t_ns <= b) {
            return 1;
        }
        return t_ns > e ? 0 : (double)(e - t_ns) / (double)(e - b);
    }
    case EI_SURVIVAL_EXPONENTIAL:
        return t_ns <= 0 ? 1 : 1 / exp(s->u.exponential.rate_per_s * ((double)t_ns / 1e9));
    case EI_SURVIVAL_KNOTS:
    case EI_SURVIVAL_STEPS:
        return oracle_table(s, t_ns);
    case EI_SURVIVAL_PRODUCT:
        for (int32_t i = 0; i < s->u.product.count; i++) {
            product *= oracle_survival(&s->u.product.factors[i], t_ns);
        }
        return product;
    }
    return NAN;
}

/* Best J over all completions of a partial plan; enumerates every mask. */
static double brute_force(const struct ei_plan_problem *p, int32_t i, int64_t t_ns, double held, double value)
{
    if (i == p->exits) {
        return value;
    }
    t_ns += i >= p->convs_done ? p->conv_ns[i] : 0;
    const double without = brute_force(p, i + 1, t_ns, held, value);
    if (i < p->first_exit) {
        return without;
    }
    const int64_t ready_ns = t_ns + p->branch_ns[i], counts_ns = p->is_branch_atomic ? t_ns : ready_ns;
    const double score = (double)p->score[i];
    const double with =
        brute_force(p, i + 1, ready_ns, score, value + (score - held) * oracle_survival(&p->survival, counts_ns));
    return with > without ? with : without;
}

double oracle_best(const struct ei_plan_problem *p)
{
    return brute_force(p, 0, p->elapsed_ns, p->held_score, p->held_score);
}

double oracle_expectation(const struct ei_plan_problem *p, const struct ei_plan *plan)
{
    double held = p->held_score, value = p->held_score;
    for (int32_t k = 0; k < plan->count; k++) {
        int64_t t_ns = p->elapsed_ns;
        for (int32_t i = p->convs_done; i <= plan->exits[k]; i++) {
            t_ns += p->conv_ns[i];
        }
        for (int32_t b = 0; b <= k; b++) {
            t_ns += b < k || !p->is_branch_atomic ? p->branch_ns[plan->exits[b]] : 0;
        }
        value += ((double)p->score[plan->exits[k]] - held) * oracle_survival(&p->survival, t_ns);
        held = (double)p->score[plan->exits[k]];
    }
    return value;
}
