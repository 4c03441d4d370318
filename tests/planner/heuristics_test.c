/* The searches that are not exact: what each must hold to, and by how much they may lose. */
#include "planner/search.h"

#include "tests/harness/harness.h"
#include "tests/planner/random_problem.h"

#include <errno.h>

static struct ei_plan_workspace ws;

static double found(const struct ei_plan_problem *p, struct ei_search search)
{
    struct ei_plan plan = {0};
    EI_EQ(ei_plan_search(p, search, &ws, &plan), 0);
    EI_TRUE(fabs(plan.expectation - ei_plan_expectation(p, plan.mask)) <= 1e-12);
    EI_EQ(plan.mask & ((UINT64_C(1) << p->first_exit) - 1), 0);
    EI_EQ(plan.count, __builtin_popcountll(plan.mask));
    return plan.expectation;
}

EI_TEST(heuristics_are_between_nothing_and_the_best)
{
    for (uint64_t seed = 81000000; seed < 81004000 && ei_test_failures() < 10; seed++) {
        struct ei_random rng;
        struct instance in;
        ei_random_init(&rng, seed, 1);
        instance_draw(&rng, 1 + (int32_t)ei_random_below(&rng, 10), ei_random_below(&rng, 2) == 0,
                      (enum family)(seed % FAMILIES), &in);
        const double best = oracle_best(&in.problem), nothing = in.problem.held_score;
        const double greedy = found(&in.problem, (struct ei_search){.kind = EI_SEARCH_GREEDY});
        const double none = found(&in.problem, (struct ei_search){.kind = EI_SEARCH_HYBRID, .depth = 0});
        const double hybrid = found(&in.problem, (struct ei_search){.kind = EI_SEARCH_HYBRID, .depth = 3});
        const double full = found(&in.problem, (struct ei_search){.kind = EI_SEARCH_HYBRID, .depth = 12});
        const double random = found(&in.problem, (struct ei_search){.kind = EI_SEARCH_RANDOM, .draws = 20, .seed = 3});
        EI_TRUEF(greedy == none, "seed %" PRIu64 ": greedy is hybrid of depth 0", seed);
        EI_TRUEF(greedy >= nothing && random >= nothing, "seed %" PRIu64, seed);
        EI_TRUEF(greedy <= best + 1e-9 && random <= best + 1e-9 && hybrid <= best + 1e-9, "seed %" PRIu64, seed);
        EI_TRUEF(fabs(full - best) <= 1e-9, "seed %" PRIu64 ": all masks enumerated, but %.12g < %.12g", seed, full,
                 best);
    }
}

EI_TEST(heuristics_hybrid_is_nearer_the_best_than_greedy)
{
    double greedy_gap = 0, hybrid_gap = 0;
    for (uint64_t seed = 82000000; seed < 82002000; seed++) {
        struct ei_random rng;
        struct instance in;
        ei_random_init(&rng, seed, 1);
        instance_draw(&rng, 14, true, UNIFORM, &in);
        const double best = found(&in.problem, (struct ei_search){.kind = EI_SEARCH_EXACT});
        greedy_gap += best - found(&in.problem, (struct ei_search){.kind = EI_SEARCH_GREEDY});
        hybrid_gap += best - found(&in.problem, (struct ei_search){.kind = EI_SEARCH_HYBRID, .depth = 6});
    }
    EI_TRUE(greedy_gap > 0);
    EI_TRUE(hybrid_gap < greedy_gap);
}

/* A case where adding the best exit first is a trap: exit 1 looks best alone, but exits 0 and 2 together are better. */
EI_TEST(heuristics_greedy_can_be_trapped_and_exact_is_not)
{
    const int64_t conv_ns[3] = {10, 10, 10}, branch_ns[3] = {0, 30, 0};
    const float score[3] = {0.5F, 0.85F, 0.9F};
    const struct ei_plan_problem p = {.exits = 3,
                                      .conv_ns = conv_ns,
                                      .branch_ns = branch_ns,
                                      .score = score,
                                      .survival = ei_survival_uniform(0, 100)};
    struct ei_plan plan;
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan), 0);
    EI_EQ(plan.mask, 0x5);
    EI_TRUE(plan.is_exact);
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_GREEDY}, &ws, &plan), 0);
    EI_TRUE(!plan.is_exact);
}

EI_TEST(heuristics_random_repeats_with_its_seed)
{
    struct ei_random rng;
    struct instance in;
    ei_random_init(&rng, 5, 1);
    instance_draw(&rng, 40, true, UNIFORM, &in);
    in.problem.survival = ei_survival_uniform(0, in.total_ns + 1);
    const struct ei_search once = {.kind = EI_SEARCH_RANDOM, .draws = 5, .seed = 1};
    struct ei_plan a = {0}, b = {0}, c = {0};
    EI_EQ(ei_plan_search(&in.problem, once, NULL, &a), 0);
    EI_EQ(ei_plan_search(&in.problem, once, NULL, &b), 0);
    EI_EQ(a.mask, b.mask);
    EI_EQ(ei_plan_search(&in.problem, (struct ei_search){.kind = EI_SEARCH_RANDOM, .draws = 500, .seed = 1}, NULL, &c),
          0);
    EI_TRUE(c.expectation >= a.expectation);
}

EI_TEST(heuristics_confidence_holds_the_first_confident_answer)
{
    const int64_t ns[4] = {10, 10, 10, 10};
    const float score[4] = {0.5F, 0.8F, 0.95F, 0.99F};
    struct ei_plan_problem p = {
        .exits = 4, .conv_ns = ns, .branch_ns = ns, .score = score, .survival = ei_survival_uniform(0, 100)};
    struct ei_search search = {.kind = EI_SEARCH_CONFIDENCE, .confidence = 0.9};
    struct ei_plan plan;
    EI_EQ(ei_plan_search(&p, search, NULL, &plan), 0);
    EI_EQ(plan.mask, 0x7);
    search.confidence = 1;
    EI_EQ(ei_plan_search(&p, search, NULL, &plan), 0);
    EI_EQ(plan.mask, 0xF);
    p.convs_done = p.first_exit = 2; /* exit 1 came out more confident than expected */
    p.held_score = 0.93;
    search.confidence = 0.9;
    EI_EQ(ei_plan_search(&p, search, NULL, &plan), 0);
    EI_EQ(plan.mask, 0);
    p.held_score = 0.85;
    EI_EQ(ei_plan_search(&p, search, NULL, &plan), 0);
    EI_EQ(plan.mask, 0x4);
}

EI_TEST(heuristics_oracle_needs_a_single_stop)
{
    const int64_t ns[3] = {10, 10, 10};
    const float score[3] = {0.5F, 0.8F, 0.95F};
    struct ei_plan_problem p = {
        .exits = 3, .conv_ns = ns, .branch_ns = ns, .score = score, .survival = ei_survival_uniform(0, 100)};
    const struct ei_search oracle = {.kind = EI_SEARCH_ORACLE};
    struct ei_plan plan;
    EI_EQ(ei_plan_search(&p, oracle, &ws, &plan), -ENOTSUP);
    p.survival = ei_survival_uniform(35, 35);
    EI_EQ(ei_plan_search(&p, oracle, &ws, &plan), 0);
    EI_EQ(plan.mask, 0x2);
    EI_EQ(ei_plan_search(&p, oracle, NULL, &plan), -EINVAL);
}

EI_TEST(heuristics_parameters_are_checked)
{
    const int64_t ns[1] = {10};
    const float score[1] = {0.5F};
    const struct ei_plan_problem p = {
        .exits = 1, .conv_ns = ns, .branch_ns = ns, .score = score, .survival = ei_survival_uniform(0, 100)};
    static const struct {
        struct ei_search search;
        const char *field;
    } bad[] = {
        {{.kind = EI_SEARCH_STATIC, .share_pct = 0}, "search.share_pct"},
        {{.kind = EI_SEARCH_STATIC, .share_pct = 101}, "search.share_pct"},
        {{.kind = EI_SEARCH_HYBRID, .depth = -1}, "search.depth"},
        {{.kind = EI_SEARCH_HYBRID, .depth = 13}, "search.depth"},
        {{.kind = EI_SEARCH_RANDOM, .draws = 0}, "search.draws"},
        {{.kind = EI_SEARCH_RANDOM, .draws = 1000001}, "search.draws"},
        {{.kind = EI_SEARCH_CONFIDENCE, .confidence = -0.1}, "search.confidence"},
        {{.kind = EI_SEARCH_CONFIDENCE, .confidence = NAN}, "search.confidence"},
        {{.kind = (enum ei_search_kind)99}, "search.kind"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ei_plan plan;
        EI_EQ(ei_plan_search(&p, bad[i].search, &ws, &plan), -EINVAL);
        const struct ei_fault fault = ei_search_fault(bad[i].search);
        EI_REQUIRE(fault.field != NULL);
        EI_STREQ(fault.field, bad[i].field);
    }
}
