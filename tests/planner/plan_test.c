/* Static plans, the expectation by hand, and refusal of broken problems. */
#include "planner/search.h"

#include "tests/harness/harness.h"

#include <errno.h>

static const int64_t conv_ns[4] = {100, 200, 300, 400};
static const int64_t branch_ns[4] = {10, 20, 30, 40};
static const float score[4] = {0.5F, 0.25F, 0.75F, 1.0F};

static struct ei_plan_problem problem_of_four(void)
{
    return (struct ei_plan_problem){.exits = 4,
                                    .conv_ns = conv_ns,
                                    .branch_ns = branch_ns,
                                    .score = score,
                                    .survival = ei_survival_uniform(0, 2000)};
}

EI_TEST(plan_static_masks_are_evenly_spaced)
{
    static const struct {
        int32_t exits, share_pct;
        uint64_t mask;
    } cases[] = {
        {1, 25, 0x1},
        {3, 25, 0x4},
        {3, 50, 0x6},
        {3, 100, 0x7},
        {4, 25, 0x8},
        {4, 50, 0xA},
        {5, 25, 0x14},
        {5, 50, 0x1A},
        {6, 50, 0x2A},
        {8, 25, 0x88},
        {8, 50, 0xAA},
        {64, 100, UINT64_MAX},
        {64, 25, UINT64_C(0x8888888888888888)},
        {64, 1, UINT64_C(1) << 63},
        {40, 5, UINT64_C(1) << 39 | UINT64_C(1) << 19},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const uint64_t mask = ei_plan_static_mask(cases[c].exits, cases[c].share_pct);
        EI_TRUEF(mask == cases[c].mask, "static(%d) of %d exits is %#" PRIx64 ", expected %#" PRIx64,
                 cases[c].share_pct, cases[c].exits, mask, cases[c].mask);
    }
    EI_EQ(ei_plan_static_mask(0, 50), 0);
    EI_EQ(ei_plan_static_mask(65, 50), 0);
    EI_EQ(ei_plan_static_mask(3, 0), 0);
    EI_EQ(ei_plan_static_mask(3, 101), 0);
}

EI_TEST(plan_static_masks_always_hold_the_last_exit_and_the_share)
{
    for (int32_t n = 1; n <= EI_EXITS_MAX; n++) {
        for (int32_t pct = 1; pct <= 100; pct++) {
            const uint64_t mask = ei_plan_static_mask(n, pct);
            const int32_t expected = (n * pct + 99) / 100;
            EI_TRUEF((mask >> (n - 1)) == 1 && __builtin_popcountll(mask) == expected,
                     "static(%d) of %d exits is %#" PRIx64, pct, n, mask);
        }
    }
}

EI_TEST(plan_expectation_by_hand)
{
    struct ei_plan_problem p = problem_of_four();
    /* Exit 0 at 110, exit 2 at 100+10+200+300+30 = 640, exit 3 at 640+400+40 = 1080. */
    EI_NEAR(ei_plan_expectation(&p, 0x1), 0.5 * (1 - 110.0 / 2000), 1e-15);
    EI_NEAR(ei_plan_expectation(&p, 0xD),
            0.5 * (1 - 110.0 / 2000) + 0.25 * (1 - 640.0 / 2000) + 0.25 * (1 - 1080.0 / 2000), 1e-15);
    EI_NEAR(ei_plan_expectation(&p, 0), 0, 0);
    p.held_score = 0.1;
    EI_NEAR(ei_plan_expectation(&p, 0x1), 0.1 + 0.4 * (1 - 110.0 / 2000), 1e-15);
    /* Conv part 1 is done, its branch undecided, 500 ns have passed: branch 1 at 520, exit 2 at 520 + 300 + 30. */
    p.convs_done = 2;
    p.first_exit = 1;
    p.elapsed_ns = 500;
    EI_NEAR(ei_plan_expectation(&p, 0x7), 0.1 + 0.15 * (1 - 520.0 / 2000) + 0.5 * (1 - 850.0 / 2000), 1e-7);
    EI_NEAR(ei_plan_expectation(&p, 0x7), ei_plan_expectation(&p, ~UINT64_C(0) & 0xFFFFFFFFFFFFFFF7), 0);
}

EI_TEST(plan_all_and_static_hold_undecided_exits_only)
{
    struct ei_plan_problem p = problem_of_four();
    struct ei_plan plan;
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_ALL}, NULL, &plan), 0);
    EI_EQ(plan.mask, 0xF);
    EI_EQ(plan.count, 4);
    EI_NEAR(plan.expectation, ei_plan_expectation(&p, 0xF), 0);
    p.convs_done = p.first_exit = 2;
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_ALL}, NULL, &plan), 0);
    EI_EQ(plan.mask, 0xC);
    EI_EQ(plan.exits[0], 2);
    EI_EQ(ei_plan_last_exit(&plan), 3);
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_STATIC, .share_pct = 50}, NULL, &plan), 0);
    EI_EQ(plan.mask, 0x8);
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_FIXED, .exits = 0xF5}, NULL, &plan), 0);
    EI_EQ(plan.mask, 0x4); /* neither what is behind the job nor what the network has not */
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_FIXED}, NULL, &plan), -EINVAL);
    p.convs_done = p.first_exit = 4;
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_ALL}, NULL, &plan), 0);
    EI_EQ(plan.mask, 0);
    EI_EQ(ei_plan_last_exit(&plan), EI_EXIT_NONE);
}

/* Check and searches refuse p; the check names the field. */
static void refuse(struct ei_plan_problem p, int code, const char *field)
{
    static struct ei_plan_workspace ws;
    struct einet_error err = {.code = 0};
    EI_EQ(ei_plan_problem_check(&p, &err), code);
    EI_EQ(err.code, code);
    EI_CONTAINS(err.text, field);
    struct ei_plan plan = {.count = 77};
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan), -EINVAL);
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_ALL}, &ws, &plan), -EINVAL);
    EI_EQ(plan.count, 77);
}

EI_TEST(plan_problem_check_names_scalar_fields)
{
    const struct ei_plan_problem good = problem_of_four();
    EI_EQ(ei_plan_problem_check(&good, NULL), 0);
    struct ei_plan_problem p = good;
    p.exits = 65;
    refuse(p, EINET_E_LIMIT, "exits");
    p.exits = 0;
    refuse(p, EINET_E_USAGE, "exits");
    p = good;
    p.survival = ei_survival_uniform(10, 9);
    refuse(p, EINET_E_USAGE, "survival.uniform.end_ns");
    p.survival.kind = (enum ei_survival_kind)99;
    refuse(p, EINET_E_USAGE, "survival.kind");
    p = good;
    p.convs_done = 5;
    refuse(p, EINET_E_USAGE, "convs_done");
    p.convs_done = -1;
    refuse(p, EINET_E_USAGE, "convs_done");
    p = good;
    p.first_exit = -1;
    refuse(p, EINET_E_USAGE, "first_exit");
    p.first_exit = 5;
    refuse(p, EINET_E_USAGE, "first_exit");
    p.first_exit = 1;
    p.convs_done = 3;
    refuse(p, EINET_E_USAGE, "first_exit");
    p = good;
    p.elapsed_ns = -1;
    refuse(p, EINET_E_USAGE, "elapsed_ns");
    p.elapsed_ns = INT64_MAX;
    refuse(p, EINET_E_USAGE, "elapsed_ns");
    p = good;
    p.held_score = NAN;
    refuse(p, EINET_E_USAGE, "held_score");
}

EI_TEST(plan_problem_check_names_array_elements)
{
    struct ei_plan_problem p = problem_of_four();
    int64_t times[4] = {1, 2, -3, 4};
    p.conv_ns = times;
    refuse(p, EINET_E_USAGE, "conv_ns[2]");
    p.conv_ns = conv_ns;
    p.branch_ns = times;
    refuse(p, EINET_E_USAGE, "branch_ns[2]");
    times[2] = INT64_MAX;
    refuse(p, EINET_E_USAGE, "branch_ns[2]");
    p.branch_ns = NULL;
    refuse(p, EINET_E_USAGE, "branch_ns");
    p.branch_ns = branch_ns;
    float bad[4] = {0.5F, NAN, 0.5F, 0.5F};
    p.score = bad;
    refuse(p, EINET_E_USAGE, "score[1]");
    bad[1] = INFINITY;
    refuse(p, EINET_E_USAGE, "score[1]");
    p.convs_done = p.first_exit = 2; /* decided exits are not looked at */
    EI_EQ(ei_plan_problem_check(&p, NULL), 0);
}

EI_TEST(plan_search_refuses_bad_settings)
{
    static struct ei_plan_workspace ws;
    const struct ei_plan_problem p = problem_of_four();
    struct ei_plan plan;
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_STATIC, .share_pct = 0}, &ws, &plan), -EINVAL);
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_STATIC, .share_pct = 101}, &ws, &plan), -EINVAL);
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_EXACT}, NULL, &plan), -EINVAL);
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = (enum ei_search_kind)99}, &ws, &plan), -EINVAL);
    ei_plan_workspace_init(&ws);
    EI_EQ(ei_plan_resume(&p, &ws, &plan), -EINVAL);
    EI_EQ(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan), 0);
    EI_EQ(ei_plan_resume(&p, &ws, &plan), 0);
    struct ei_plan_problem shorter = p;
    shorter.exits = 3;
    EI_EQ(ei_plan_resume(&shorter, &ws, &plan), -EINVAL);
    /* Tables that begin behind the exit asked for. */
    struct ei_plan_problem later = p;
    later.convs_done = later.first_exit = 2;
    EI_EQ(ei_plan_search(&later, (struct ei_search){.kind = EI_SEARCH_EXACT}, &ws, &plan), 0);
    EI_EQ(ei_plan_resume(&p, &ws, &plan), -EINVAL);
}
