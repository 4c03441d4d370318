/* The exact searches against brute force, and properties of what they find. Seeds are fixed and named on failure. */
#include "tests/harness/harness.h"
#include "tests/planner/random_problem.h"

#include <errno.h>

#define GAP_MAX 1e-9

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
    const double best = oracle_best(p), gap = fabs(best - plan.expectation);
    max_gap = gap > max_gap ? gap : max_gap;
    beaten += gap > GAP_MAX;
    instances++;
    EI_TRUEF(gap <= GAP_MAX, "seed %" PRIu64 ", n = %d: exact %.12g, brute force %.12g", seed, p->exits,
             plan.expectation, best);
    const double own = oracle_expectation(p, &plan);
    EI_TRUEF(plan.is_exact, "seed %" PRIu64 ": not proven", seed);
    EI_TRUEF(fabs(own - plan.expectation) <= 1e-12, "seed %" PRIu64 ": evaluator %.15g, oracle %.15g", seed,
             plan.expectation, own);
    double held = p->held_score;
    for (int32_t k = 0; k < plan.count; k++) {
        const double score = (double)p->score[plan.exits[k]];
        EI_TRUEF(score > held, "seed %" PRIu64 ": exit %d of the plan is no record", seed, plan.exits[k]);
        held = score;
    }
}

static void compare_many(enum family family, uint64_t first_seed, int32_t count, int32_t n_min, int32_t n_max)
{
    static struct ei_plan_workspace ws;
    for (uint64_t seed = first_seed; seed < first_seed + (uint64_t)count && ei_test_failures() < 10; seed++) {
        struct ei_random rng;
        struct instance in;
        ei_random_init(&rng, seed, 1);
        const int32_t n = n_min + (int32_t)ei_random_below(&rng, (uint64_t)(n_max - n_min) + 1);
        instance_draw(&rng, n, ei_random_below(&rng, 2) == 0, family, &in);
        compare(&in, &ws, seed);
    }
    printf("%" PRId64 " instances, %" PRId64 " beaten, largest gap %.3g\n", instances, beaten, max_gap);
}

EI_TEST(exact_uniform_equals_brute_force)
{
    compare_many(UNIFORM, 1000000, 150000, 1, 9);
    compare_many(UNIFORM, 2000000, 1500, 10, 14);
    compare_many(UNIFORM, 3000000, 60, 15, 16);
}

EI_TEST(exact_exponential_equals_brute_force)
{
    compare_many(EXPONENTIAL, 11000000, 110000, 1, 9);
    compare_many(EXPONENTIAL, 12000000, 1500, 10, 14);
    compare_many(EXPONENTIAL, 13000000, 60, 15, 16);
}

EI_TEST(exact_knots_equals_brute_force)
{
    compare_many(KNOTS, 21000000, 110000, 1, 9);
    compare_many(KNOTS, 22000000, 1500, 10, 14);
    compare_many(KNOTS, 23000000, 60, 15, 16);
}

EI_TEST(exact_steps_equals_brute_force)
{
    compare_many(STEPS, 31000000, 50000, 1, 9);
    compare_many(STEPS, 32000000, 1500, 10, 14);
    compare_many(STEPS, 33000000, 60, 15, 16);
}

EI_TEST(exact_product_equals_brute_force)
{
    compare_many(PRODUCT, 41000000, 50000, 1, 9);
    compare_many(PRODUCT, 42000000, 1500, 10, 14);
    compare_many(PRODUCT, 43000000, 60, 15, 16);
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
        instance_draw(&rng, EI_EXITS_MAX, ei_random_below(&rng, 2) == 0, (enum family)(seed % FAMILIES), &in);
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
        instance_draw(&rng, 1 + (int32_t)ei_random_below(&rng, 24), true, UNIFORM, &in);
        EI_REQUIRE(ei_plan_search(&in.problem, exact, &ws, &plan) == 0);
        for (int r = 0; r < 3; r++) {
            instance_draw_position(&rng, &in);
            instance_draw_survival(&rng, UNIFORM, &in);
            EI_REQUIRE(ei_plan_resume(&in.problem, &ws, &plan) == 0);
            EI_REQUIRE(ei_plan_search(&in.problem, exact, &fresh_ws, &again) == 0);
            EI_TRUEF(plan.mask == again.mask, "seed %" PRIu64 ": resume %#" PRIx64 ", search %#" PRIx64, seed,
                     plan.mask, again.mask);
        }
    }
}

/* Tables of another reading of the problem are no tables for it. */
EI_TEST(exact_resume_refuses_tables_of_another_kind)
{
    static struct ei_plan_workspace ws;
    struct ei_random rng;
    struct instance in;
    struct ei_plan plan;
    ei_random_init(&rng, 1, 1);
    instance_draw(&rng, 8, true, UNIFORM, &in);
    EI_REQUIRE(ei_plan_search(&in.problem, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan) == 0);
    EI_EQ(ei_plan_resume(&in.problem, &ws, &plan), 0);
    in.problem.is_branch_atomic = !in.problem.is_branch_atomic;
    EI_EQ(ei_plan_resume(&in.problem, &ws, &plan), -EINVAL);
    in.problem.survival = ei_survival_exponential(1); /* needs no tables */
    EI_EQ(ei_plan_resume(&in.problem, &ws, &plan), 0);
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
        instance_draw(&rng, 1 + (int32_t)ei_random_below(&rng, 24), true, UNIFORM, &in);
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

static double highest_score(const struct ei_plan_problem *p, uint64_t mask)
{
    double highest = p->held_score;
    for (int32_t i = p->first_exit; i < p->exits; i++) {
        highest = (mask >> i & 1U) != 0 && (double)p->score[i] > highest ? (double)p->score[i] : highest;
    }
    return highest;
}

/* Of any problem, and of those where nothing can stop the job. A plan is said to hold only if no other is better; where
 * nothing stops the job, whenever it has an exit of the highest score. */
EI_TEST(exact_plans_that_hold_are_best)
{
    int32_t held = 0, let_go = 0, found_otherwise = 0;
    static struct ei_plan_workspace ws;
    for (uint64_t seed = 7000000; seed < 7040000 && ei_test_failures() < 10; seed++) {
        struct ei_random rng;
        struct instance in;
        ei_random_init(&rng, seed, 1);
        const bool is_calm = ei_random_below(&rng, 2) == 0;
        instance_draw(&rng, 1 + (int32_t)ei_random_below(&rng, 9), ei_random_below(&rng, 2) == 0,
                      (enum family)(seed % FAMILIES), &in);
        const int64_t never_ns = in.problem.elapsed_ns + in.total_ns + 1;
        const struct ei_survival calm = ei_survival_uniform(never_ns, never_ns + 1);
        if (is_calm) {
            in.problem.survival = calm;
        }
        const uint64_t mask = ei_random_below(&rng, UINT64_C(1) << in.problem.exits);
        struct ei_plan plan = {.mask = UINT64_MAX}, other;
        const bool holds = ei_plan_holds(&in.problem, mask, &plan);
        held += holds;
        let_go += !holds;
        if (is_calm) {
            EI_TRUEF(holds == (highest_score(&in.problem, mask) >= highest_score(&in.problem, UINT64_MAX)),
                     "seed %" PRIu64 ": holds is %d", seed, holds);
        }
        if (!holds) {
            EI_TRUEF(plan.mask == UINT64_MAX, "seed %" PRIu64 ": a plan that does not hold was written", seed);
            continue;
        }
        EI_REQUIRE(ei_plan_search(&in.problem, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &other) == 0);
        found_otherwise += other.mask != plan.mask;
        const double best = oracle_best(&in.problem), own = oracle_expectation(&in.problem, &plan);
        EI_TRUEF(best - own <= GAP_MAX && fabs(own - plan.expectation) <= 1e-12,
                 "seed %" PRIu64 ": holds with %.12g, says %.12g, brute force %.12g", seed, own, plan.expectation,
                 best);
        EI_TRUEF(plan.is_exact && (plan.mask & ~mask) == 0, "seed %" PRIu64 ": exits beyond the mask", seed);
        double score = in.problem.held_score;
        for (int32_t k = 0; k < plan.count; k++) {
            EI_TRUEF((double)in.score[plan.exits[k]] > score, "seed %" PRIu64 ": exit %d adds nothing", seed,
                     plan.exits[k]);
            score = (double)in.score[plan.exits[k]];
        }
    }
    EI_IN(held, 4000, 36000);
    EI_IN(let_go, 4000, 36000);
    EI_IN(found_otherwise, 500, held);
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
