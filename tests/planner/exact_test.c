/* The exact search against brute force, and properties of what it finds. Seeds are fixed and named on failure. */
#include "planner/search.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#define GAP_MAX 1e-9

/* One random problem with its arrays. */
struct instance {
    struct ei_plan_problem problem;
    int64_t conv_ns[EI_EXITS_MAX], branch_ns[EI_EXITS_MAX];
    float score[EI_EXITS_MAX];
    int64_t total_ns;
};

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

static struct ei_survival draw_survival(struct ei_random *rng, int64_t total_ns)
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

static void draw_position(struct ei_random *rng, struct instance *in)
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

static void draw(struct ei_random *rng, int32_t n, bool is_fresh, struct instance *in)
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
        .survival = draw_survival(rng, in->total_ns),
        .held_score = ei_random_below(rng, 4) == 0 ? (double)(float)ei_random_unit(rng) : 0,
    };
    if (!is_fresh) {
        draw_position(rng, in);
    }
}

/* P(T >= t) from first principles, apart from planner/survival_rt.c. */
static double oracle_survival(const struct ei_survival *s, int64_t t_ns)
{
    const int64_t b = s->u.uniform.begin_ns, e = s->u.uniform.end_ns;
    if (t_ns <= b) {
        return 1;
    }
    return t_ns > e ? 0 : (double)(e - t_ns) / (double)(e - b);
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
    const int64_t ready_ns = t_ns + p->branch_ns[i];
    const double score = (double)p->score[i];
    const double with =
        brute_force(p, i + 1, ready_ns, score, value + (score - held) * oracle_survival(&p->survival, ready_ns));
    return with > without ? with : without;
}

static double brute_force_best(const struct ei_plan_problem *p)
{
    return brute_force(p, 0, p->elapsed_ns, p->held_score, p->held_score);
}

static double oracle_expectation(const struct ei_plan_problem *p, const struct ei_plan *plan)
{
    double held = p->held_score, value = p->held_score;
    for (int32_t k = 0; k < plan->count; k++) {
        int64_t t_ns = p->elapsed_ns;
        for (int32_t i = p->convs_done; i <= plan->exits[k]; i++) {
            t_ns += p->conv_ns[i];
        }
        for (int32_t b = 0; b <= k; b++) {
            t_ns += p->branch_ns[plan->exits[b]];
        }
        value += ((double)p->score[plan->exits[k]] - held) * oracle_survival(&p->survival, t_ns);
        held = (double)p->score[plan->exits[k]];
    }
    return value;
}

static double max_gap;
static int64_t beaten, instances;

static void compare(const struct instance *in, struct ei_plan_workspace *ws, uint64_t seed)
{
    const struct ei_plan_problem *p = &in->problem;
    struct ei_plan plan;
    const int status = ei_plan_search(p, (struct ei_search){.kind = EI_SEARCH_EXACT}, ws, &plan);
    if (!EI_TRUEF(status == 0, "seed %" PRIu64 ": search returned %d", seed, status)) {
        return;
    }
    const double best = brute_force_best(p), gap = fabs(best - plan.expectation);
    max_gap = gap > max_gap ? gap : max_gap;
    beaten += gap > GAP_MAX;
    instances++;
    EI_TRUEF(gap <= GAP_MAX, "seed %" PRIu64 ", n = %d: exact %.12g, brute force %.12g", seed, p->exits,
             plan.expectation, best);
    const double own = oracle_expectation(p, &plan);
    EI_TRUEF(fabs(own - plan.expectation) <= 1e-12, "seed %" PRIu64 ": evaluator %.15g, oracle %.15g", seed,
             plan.expectation, own);
    double held = p->held_score;
    for (int32_t k = 0; k < plan.count; k++) {
        const double score = (double)p->score[plan.exits[k]];
        EI_TRUEF(score > held, "seed %" PRIu64 ": exit %d of the plan is no record", seed, plan.exits[k]);
        held = score;
    }
}

static void compare_many(uint64_t first_seed, int32_t count, int32_t n_min, int32_t n_max)
{
    static struct ei_plan_workspace ws;
    for (uint64_t seed = first_seed; seed < first_seed + (uint64_t)count && ei_test_failures() < 10; seed++) {
        struct ei_random rng;
        struct instance in;
        ei_random_init(&rng, seed, 1);
        const int32_t n = n_min + (int32_t)ei_random_below(&rng, (uint64_t)(n_max - n_min) + 1);
        draw(&rng, n, ei_random_below(&rng, 2) == 0, &in);
        compare(&in, &ws, seed);
    }
    printf("%" PRId64 " instances, %" PRId64 " beaten, largest gap %.3g\n", instances, beaten, max_gap);
}

EI_TEST(exact_equals_brute_force_small)
{
    compare_many(1000000, 150000, 1, 10);
}

EI_TEST(exact_equals_brute_force_medium)
{
    compare_many(2000000, 4000, 11, 14);
}

EI_TEST(exact_equals_brute_force_sixteen)
{
    compare_many(3000000, 300, 15, 16);
}

/* All horizons around one network, to the ns: where S leaves its linear part. */
EI_TEST(exact_at_every_horizon)
{
    static struct ei_plan_workspace ws;
    struct instance in = {.conv_ns = {3, 0, 4, 2, 5}, .branch_ns = {2, 6, 0, 3, 1}, .total_ns = 26};
    const float scores[5] = {0.6F, 0.9F, 0.55F, 0.8F, 0.95F};
    memcpy(in.score, scores, sizeof scores);
    for (int64_t begin_ns = -3; begin_ns <= 30; begin_ns++) {
        for (int64_t end_ns = begin_ns; end_ns <= 40; end_ns++) {
            for (int64_t elapsed_ns = 0; elapsed_ns <= 30; elapsed_ns += 5) {
                in.problem = (struct ei_plan_problem){.exits = 5,
                                                      .conv_ns = in.conv_ns,
                                                      .branch_ns = in.branch_ns,
                                                      .score = in.score,
                                                      .survival = ei_survival_uniform(begin_ns, end_ns),
                                                      .elapsed_ns = elapsed_ns};
                compare(&in, &ws, (uint64_t)(begin_ns * 100 + end_ns));
            }
        }
    }
}

/* No flip of one or two exits improves a plan that is too long for brute force. */
EI_TEST(exact_is_locally_best_with_64_exits)
{
    static struct ei_plan_workspace ws;
    for (uint64_t seed = 4000000; seed < 4000200 && ei_test_failures() < 10; seed++) {
        struct ei_random rng;
        struct instance in;
        struct ei_plan plan;
        ei_random_init(&rng, seed, 1);
        draw(&rng, EI_EXITS_MAX, ei_random_below(&rng, 2) == 0, &in);
        EI_REQUIRE(ei_plan_search(&in.problem, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan) == 0);
        double best = plan.expectation;
        for (int32_t a = 0; a < EI_EXITS_MAX; a++) {
            for (int32_t b = a; b < EI_EXITS_MAX; b++) {
                const double j = ei_plan_expectation(&in.problem, plan.mask ^ (UINT64_C(1) << a | UINT64_C(1) << b));
                best = j > best ? j : best;
            }
        }
        EI_TRUEF(best - plan.expectation <= GAP_MAX, "seed %" PRIu64 ": %.12g can be improved to %.12g", seed,
                 plan.expectation, best);
    }
}

/* A resume from any later state, score, time and survival function equals a new search. */
EI_TEST(exact_resume_equals_a_new_search)
{
    static struct ei_plan_workspace ws, fresh_ws;
    const struct ei_search exact = {.kind = EI_SEARCH_EXACT};
    for (uint64_t seed = 5000000; seed < 5020000 && ei_test_failures() < 10; seed++) {
        struct ei_random rng;
        struct instance in;
        struct ei_plan plan, again;
        ei_random_init(&rng, seed, 1);
        draw(&rng, 1 + (int32_t)ei_random_below(&rng, 24), true, &in);
        EI_REQUIRE(ei_plan_search(&in.problem, exact, &ws, &plan) == 0);
        for (int r = 0; r < 3; r++) {
            draw_position(&rng, &in);
            in.problem.survival = draw_survival(&rng, in.total_ns);
            EI_REQUIRE(ei_plan_resume(&in.problem, &ws, &plan) == 0);
            EI_REQUIRE(ei_plan_search(&in.problem, exact, &fresh_ws, &again) == 0);
            EI_TRUEF(plan.mask == again.mask, "seed %" PRIu64 ": resume %#" PRIx64 ", search %#" PRIx64, seed,
                     plan.mask, again.mask);
        }
    }
}

/* After exit i of the plan came out as expected, the rest of the plan is the best plan. */
EI_TEST(exact_plan_stays_best_along_its_way)
{
    static struct ei_plan_workspace ws;
    for (uint64_t seed = 6000000; seed < 6010000 && ei_test_failures() < 10; seed++) {
        struct ei_random rng;
        struct instance in;
        struct ei_plan plan, rest;
        ei_random_init(&rng, seed, 1);
        draw(&rng, 1 + (int32_t)ei_random_below(&rng, 24), true, &in);
        EI_REQUIRE(ei_plan_search(&in.problem, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan) == 0);
        struct ei_plan_problem p = in.problem;
        for (int32_t k = 0; k < plan.count; k++) {
            const int32_t exit = plan.exits[k];
            for (int32_t i = p.convs_done; i <= exit; i++) {
                p.elapsed_ns += in.conv_ns[i];
            }
            p.elapsed_ns += in.branch_ns[exit];
            p.convs_done = p.first_exit = exit + 1;
            p.held_score = (double)in.score[exit];
            EI_REQUIRE(ei_plan_resume(&p, &ws, &rest) == 0);
            const double kept = ei_plan_expectation(&p, plan.mask);
            EI_TRUEF(fabs(kept - rest.expectation) <= GAP_MAX, "seed %" PRIu64 ": kept %.12g, replanned %.12g", seed,
                     kept, rest.expectation);
        }
    }
}

EI_TEST(exact_skips_what_does_not_pay)
{
    static struct ei_plan_workspace ws;
    const int64_t conv_ns[3] = {100, 100, 100}, branch_ns[3] = {10, 100, 10};
    const float score[3] = {0.8F, 0.81F, 0.95F};
    struct ei_plan_problem p = {.exits = 3,
                                .conv_ns = conv_ns,
                                .branch_ns = branch_ns,
                                .score = score,
                                .survival = ei_survival_uniform(0, 420)};
    struct ei_plan plan;
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan), 0);
    EI_EQ(plan.mask, 0x5);
    p.survival = ei_survival_uniform(0, 105); /* forced before anything can be ready */
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan), 0);
    EI_EQ(plan.mask, 0);
    p.survival = ei_survival_uniform(300, 330); /* certain not to come early: go straight for the best */
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan), 0);
    EI_EQ(plan.mask, 0x5);
    p.survival = ei_survival_uniform(310, 310);
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan), 0);
    EI_EQ(plan.mask, 0x4);
}
