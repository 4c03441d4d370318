/* Replanning of the elastic stepper: elsewhere while a conv part runs, never for a fixed plan, with planning scores. */
#include "planner/elastic.h"

#include "tests/harness/harness.h"
#include "tests/planner/sample_profiles.h"

static struct ei_plan_workspace ws, other_ws;

/* Conv parts of 1000 ns, branches of 100 ns, mean scores .5 .8 .9. */
static struct ei_elastic_config three_exits(enum ei_search_kind kind)
{
    struct ei_et_profile et = sample_et_profile(3);
    for (int i = 0; i < 3; i++) {
        et.conv[i].p50_ns = 1000;
        et.branch[i].p50_ns = 100;
    }
    const float mean[3] = {0.5F, 0.8F, 0.9F};
    struct ei_elastic_config config;
    EI_EQ(ei_elastic_config_init(&config, &et, mean, 3, (struct ei_search){.kind = kind}, true, NULL), 0);
    return config;
}

/* A job whose first answer is in; its plan is still the one made for a guess of 0.5. */
static void after_first_exit(struct ei_elastic *job, const struct ei_elastic_config *config, float confidence)
{
    const struct ei_survival survival = ei_survival_uniform(0, 5000);
    struct ei_step step;
    EI_EQ(ei_elastic_begin(job, config, &ws, &survival, 0, &step), 0);
    EI_EQ(ei_elastic_conv_done(job, 0, &step), 0);
    EI_EQ(ei_elastic_branch_done(job, 0, confidence, 1100, &step), 0);
}

EI_TEST(elastic_adopts_what_a_fork_planned)
{
    struct ei_elastic_config config = three_exits(EI_SEARCH_EXACT);
    config.is_replan_by_caller = true;
    struct ei_elastic job, fork;
    struct ei_step step;
    after_first_exit(&job, &config, 0.799F);
    EI_EQ(job.plan.mask, 7);
    ei_elastic_fork(&job, &other_ws, &fork);
    (void)ei_elastic_replan(&fork, 1100);
    EI_EQ(fork.plan.mask, 4); /* as in elastic_replans_from_the_score */
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    EI_EQ(step.kind, EI_STEP_BRANCH); /* of the plan it had */
    EI_TRUE(ei_elastic_adopt(&job, &fork));
    EI_EQ(job.replans, 1);
    step = ei_elastic_next(&job);
    EI_EQ(step.kind, EI_STEP_CONV);
    EI_EQ(step.idx, 2);
}

EI_TEST(elastic_refuses_a_fork_of_another_state)
{
    struct ei_elastic_config config = three_exits(EI_SEARCH_EXACT);
    config.is_replan_by_caller = true;
    struct ei_elastic job, fork;
    struct ei_step step;
    after_first_exit(&job, &config, 0.799F);
    ei_elastic_fork(&job, &other_ws, &fork);
    (void)ei_elastic_replan(&fork, 1100);
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 1, 0.7F, 2200, &step), 0);
    const uint64_t before = job.plan.mask;
    EI_TRUE(!ei_elastic_adopt(&job, &fork)); /* it knows nothing of the second answer */
    EI_EQ(job.plan.mask, before);
    EI_EQ(job.replans, 0);
    after_first_exit(&job, &config, 0.799F);
    ei_elastic_fork(&job, &other_ws, &fork);
    (void)ei_elastic_replan(&fork, 1100);
    (void)ei_elastic_stop(&job, EI_STOP_PREEMPTED);
    EI_TRUE(!ei_elastic_adopt(&job, &fork));
}

/* After an adopted plan the tables of the job's own workspace are out of date: a look-up there would plan with the
 * guesses of before. */
EI_TEST(elastic_searches_anew_after_an_adopted_plan)
{
    struct ei_elastic_config config = three_exits(EI_SEARCH_EXACT);
    config.is_replan_by_caller = true;
    struct ei_elastic job, fork;
    after_first_exit(&job, &config, 0.6F);
    ei_elastic_fork(&job, &other_ws, &fork);
    fork.guess[1] = 0.61F; /* as a predictor would say: not worth its branch */
    fork.guess[2] = 0.99F;
    (void)ei_elastic_replan(&fork, 1100);
    EI_EQ(fork.plan.mask, 4);
    EI_TRUE(ei_elastic_adopt(&job, &fork));
    (void)ei_elastic_preempted(&job, 1200);
    EI_EQ(job.plan.mask, 4);
}

EI_TEST(elastic_restarts_behind_the_exits_that_were_delivered)
{
    const struct ei_elastic_config config = three_exits(EI_SEARCH_ALL);
    struct ei_elastic job;
    struct ei_step step;
    after_first_exit(&job, &config, 0.6F);
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    step = ei_elastic_restarted(&job, 2500);
    EI_EQ(job.preemptions, 1);
    EI_EQ(step.kind, EI_STEP_CONV);
    EI_EQ(step.idx, 0);
    const int64_t until_ns = ei_elastic_next_exit_ns(&job);
    EI_EQ(until_ns, config.conv_bound_ns[0] + config.conv_bound_ns[1] + config.branch_bound_ns[1]);
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(step.kind, EI_STEP_CONV); /* exit 0 is published */
    EI_EQ(step.idx, 1);
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    EI_EQ(step.kind, EI_STEP_BRANCH);
    EI_EQ(ei_elastic_branch_done(&job, 1, 0.7F, 4000, &step), 0);
    EI_EQ(job.exits_mask, 3);
}

EI_TEST(elastic_never_replans_a_plan_from_statistics)
{
    const struct ei_elastic_config config = three_exits(EI_SEARCH_STATISTICS);
    struct ei_elastic job;
    after_first_exit(&job, &config, 0.99F);
    EI_EQ(job.plan.mask, 7);
    EI_EQ(job.replans, 0);
    (void)ei_elastic_preempted(&job, 3900);
    EI_EQ(job.plan.mask, 7);
}

EI_TEST(elastic_holds_a_confident_answer)
{
    struct ei_elastic_config config = three_exits(EI_SEARCH_CONFIDENCE);
    config.search.confidence = 0.85;
    struct ei_elastic job;
    after_first_exit(&job, &config, 0.9F);
    EI_EQ(ei_elastic_next(&job).kind, EI_STEP_FINISH);
    after_first_exit(&job, &config, 0.7F);
    EI_EQ(ei_elastic_next(&job).kind, EI_STEP_CONV);
    struct ei_step step;
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    EI_EQ(step.kind, EI_STEP_BRANCH);
    EI_EQ(ei_elastic_branch_done(&job, 1, 0.86F, 6000, &step), 0); /* beyond the horizon, too */
    EI_EQ(step.kind, EI_STEP_FINISH);
    EI_EQ(step.idx, 1);
}

static float halve(const void *context, int32_t exit_idx, float confidence)
{
    (void)context;
    (void)exit_idx;
    return confidence / 2;
}

EI_TEST(elastic_plans_with_planning_scores)
{
    struct ei_elastic_config config = three_exits(EI_SEARCH_EXACT);
    struct ei_elastic job;
    after_first_exit(&job, &config, 0.95F);
    EI_EQ(job.plan.mask, 0); /* sure beyond all later exits */
    config.score_of = halve;
    after_first_exit(&job, &config, 0.95F);
    EI_NEAR(job.score[0], 0.475F, 1e-6);
    EI_TRUE(job.plan.mask != 0); /* that sureness is worth half */
}
