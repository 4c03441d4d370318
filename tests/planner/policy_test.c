/* The policy of a uniform exit time against the search: at every state and time, its next exit is one of a best plan.
 */
#include "planner/policy.h"

#include "tests/harness/harness.h"
#include "tests/planner/random_problem.h"

#include <errno.h>

#define GAP_MAX 1e-9

/* J of following the policy from exit `exit_idx`, done at t_ns, to its end, every answer scoring as expected. */
static double follow(const struct ei_plan_policy *policy, const struct instance *in, int32_t exit_idx, int64_t t_ns)
{
    double held = (double)in->score[exit_idx], value = held;
    for (;;) {
        const int32_t next = ei_plan_policy_next(policy, exit_idx, t_ns);
        if (next == EI_EXIT_NONE) {
            return value;
        }
        for (int32_t i = exit_idx + 1; i <= next; i++) {
            t_ns += in->conv_ns[i];
        }
        t_ns += in->branch_ns[next];
        value += ((double)in->score[next] - held) * oracle_survival(&in->problem.survival, t_ns);
        held = (double)in->score[next];
        exit_idx = next;
    }
}

EI_TEST(policy_is_a_best_plan_from_every_state_and_time)
{
    static struct ei_plan_workspace ws, fresh;
    static struct ei_plan_policy policy;
    int64_t states = 0;
    for (uint64_t seed = 71000000; seed < 71004000 && ei_test_failures() < 10; seed++) {
        struct ei_random rng;
        struct instance in;
        ei_random_init(&rng, seed, 1);
        instance_draw(&rng, 1 + (int32_t)ei_random_below(&rng, 24), true, UNIFORM, &in);
        in.problem.survival = ei_survival_uniform(-(int64_t)ei_random_below(&rng, 9),
                                                  1 + (int64_t)ei_random_below(&rng, 2 * (uint64_t)in.total_ns + 1));
        in.problem.held_score = 0;
        in.problem.is_branch_atomic = false;
        EI_REQUIRE(ei_plan_policy_build(&in.problem, &ws, &policy) == 0);
        for (int32_t k = 0; k < 8; k++) {
            const int32_t done = (int32_t)ei_random_below(&rng, (uint64_t)in.problem.exits);
            struct ei_plan_problem p = in.problem;
            p.convs_done = p.first_exit = done + 1;
            p.elapsed_ns = (int64_t)ei_random_below(&rng, 2 * (uint64_t)in.total_ns + 2);
            p.held_score = (double)in.score[done];
            struct ei_plan plan;
            EI_REQUIRE(ei_plan_search(&p, (struct ei_search){.kind = EI_SEARCH_EXACT}, &fresh, &plan) == 0);
            const double scale = ei_survival_at(&p.survival, p.elapsed_ns);
            const double followed = follow(&policy, &in, done, p.elapsed_ns);
            EI_TRUEF(plan.expectation - followed <= GAP_MAX || scale == 0,
                     "seed %" PRIu64 ", after exit %d at %" PRId64 " ns: policy %.12g, search %.12g", seed, done,
                     p.elapsed_ns, followed, plan.expectation);
            states++;
        }
    }
    EI_TRUE(states > 30000);
}

EI_TEST(policy_by_hand)
{
    /* From exit 0 (score .5), exit 1 takes 10 ns more and scores .6, exit 2 takes 100 ns and scores .9; branch 1 costs
     * 5 of these. Straight to exit 2 pays when .9 (left - 95) > .1 (left - 10) + ... : the search decides, the policy
     * must switch from none to exit 1 to exit 2 as more time is left. */
    const int64_t conv_ns[3] = {10, 5, 85}, branch_ns[3] = {0, 5, 10};
    const float score[3] = {0.5F, 0.6F, 0.9F};
    const struct ei_plan_problem p = {.exits = 3,
                                      .conv_ns = conv_ns,
                                      .branch_ns = branch_ns,
                                      .score = score,
                                      .survival = ei_survival_uniform(0, 1000)};
    static struct ei_plan_workspace ws;
    static struct ei_plan_policy policy;
    EI_EQ(ei_plan_policy_build(&p, &ws, &policy), 0);
    EI_EQ(ei_plan_policy_next(&policy, 0, 995), EI_EXIT_NONE); /* 5 ns left: nothing can be ready */
    EI_EQ(ei_plan_policy_next(&policy, 0, 950), 1);            /* 50 ns left: exit 1 can, exit 2 not */
    EI_EQ(ei_plan_policy_next(&policy, 0, 10), 1); /* .1 * 90 gained by exit 1 first, .4 * 5 lost by its branch */
    EI_EQ(ei_plan_policy_next(&policy, 1, 20), 2);
    EI_EQ(ei_plan_policy_next(&policy, 2, 110), EI_EXIT_NONE);
    EI_EQ(ei_plan_policy_next(&policy, 2, 5000), EI_EXIT_NONE);
    EI_EQ(ei_plan_policy_next(&policy, 3, 0), EI_EXIT_NONE);
    EI_EQ(ei_plan_policy_next(&policy, -1, 0), EI_EXIT_NONE);
}

EI_TEST(policy_refuses_other_exit_times)
{
    const int64_t ns[1] = {10};
    const float score[1] = {0.5F};
    static struct ei_plan_workspace ws;
    static struct ei_plan_policy policy;
    struct ei_plan_problem p = {
        .exits = 1, .conv_ns = ns, .branch_ns = ns, .score = score, .survival = ei_survival_exponential(1)};
    EI_EQ(ei_plan_policy_build(&p, &ws, &policy), -ENOTSUP);
    p.survival = ei_survival_uniform(5, 10); /* not begun yet */
    EI_EQ(ei_plan_policy_build(&p, &ws, &policy), -ENOTSUP);
    p.survival = ei_survival_uniform(0, 10);
    p.exits = 65;
    EI_EQ(ei_plan_policy_build(&p, &ws, &policy), -EINVAL);
}
