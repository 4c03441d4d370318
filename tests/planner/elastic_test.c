/* The elastic stepper against an oracle that writes the course of a job down in advance, and its rules one by one. */
#include "planner/elastic.h"

#include "tests/harness/harness.h"
#include "tests/planner/sample_profiles.h"

#include <errno.h>

#define STEPS_MAX (2 * EI_EXITS_MAX + 1)

static struct ei_plan_workspace ws;

static struct ei_elastic_config config_of(int32_t exits, struct ei_search search, bool is_mandatory)
{
    const struct ei_et_profile et = sample_et_profile(exits);
    float mean[EI_EXITS_MAX];
    for (int32_t i = 0; i < exits; i++) {
        mean[i] = 0.5F + 0.4F * (float)(i + 1) / (float)exits;
    }
    struct ei_elastic_config config;
    EI_EQ(ei_elastic_config_init(&config, &et, mean, exits, search, is_mandatory, NULL), 0);
    return config;
}

/* All steps of a job whose plan is `mask` and that is asked to stop right before step `stop_at` (-1 = never). */
static int32_t oracle(int32_t exits, uint64_t mask, bool is_mandatory, int32_t stop_at, struct ei_step *out)
{
    struct ei_step course[STEPS_MAX];
    int32_t planned = 0, length = 0;
    for (int32_t k = 0; k < exits && mask >> k != 0; k++) {
        course[planned++] = (struct ei_step){EI_STEP_CONV, k};
        if ((mask >> k & 1U) != 0) {
            course[planned++] = (struct ei_step){EI_STEP_BRANCH, k};
        }
    }
    if (stop_at >= 0 && stop_at < planned) {
        planned = stop_at;
    }
    int32_t answer = EI_EXIT_NONE;
    for (; length < planned; length++) {
        out[length] = course[length];
        answer = course[length].kind == EI_STEP_BRANCH ? course[length].idx : answer;
    }
    if (answer == EI_EXIT_NONE && is_mandatory) {
        answer = length > 0 ? out[length - 1].idx : 0;
        if (length == 0) {
            out[length++] = (struct ei_step){EI_STEP_CONV, 0};
        }
        out[length++] = (struct ei_step){EI_STEP_BRANCH, answer};
    }
    out[length++] = (struct ei_step){EI_STEP_FINISH, answer};
    return length;
}

static int report_done(struct ei_elastic *job, struct ei_step step, struct ei_step *out_next)
{
    return step.kind == EI_STEP_CONV ? ei_elastic_conv_done(job, step.idx, out_next)
                                     : ei_elastic_branch_done(job, step.idx, 0.5F, 0, out_next);
}

/* Run one job; the stop comes at the boundary before step stop_at, or in mid-step when is_in_flight. */
static void follow(int32_t exits, uint64_t mask, bool is_mandatory, int32_t stop_at, bool is_in_flight)
{
    static struct ei_elastic_config config;
    config = config_of(exits, (struct ei_search){.kind = EI_SEARCH_ALL}, is_mandatory);
    config.is_replan_by_caller = true; /* so the plan under test stays as it is */
    const struct ei_survival survival = ei_survival_uniform(0, 1000000);
    struct ei_elastic job;
    struct ei_step step, expected[STEPS_MAX];
    EI_REQUIRE(ei_elastic_begin(&job, &config, NULL, &survival, 0, &step) == 0);
    job.plan.mask = mask;
    step = ei_elastic_next(&job);
    const int32_t length = oracle(exits, mask, is_mandatory, stop_at >= 0 ? stop_at + is_in_flight : -1, expected);
    for (int32_t s = 0; s < length; s++) {
        if (s == stop_at && !is_in_flight) {
            step = ei_elastic_stop(&job, EI_STOP_PREEMPTED);
        }
        const bool is_same = step.kind == expected[s].kind && step.idx == expected[s].idx;
        EI_TRUEF(is_same,
                 "%d exits, plan %#" PRIx64 ", mandatory %d, stop %s step %d: step %d is (%d, %d), not (%d, %d)", exits,
                 mask, is_mandatory, is_in_flight ? "in" : "before", stop_at, s, (int)step.kind, step.idx,
                 (int)expected[s].kind, expected[s].idx);
        if (!is_same || step.kind == EI_STEP_FINISH) {
            return;
        }
        if (s == stop_at && is_in_flight) {
            ei_elastic_stop(&job, EI_STOP_PREEMPTED);
        }
        EI_REQUIRE(report_done(&job, step, &step) == 0);
    }
    EI_TRUEF(false, "the job went on after %d steps", length);
}

EI_TEST(elastic_follows_the_oracle_for_every_plan_and_stop)
{
    for (int32_t exits = 1; exits <= 6; exits++) {
        for (uint64_t mask = 0; mask < UINT64_C(1) << exits && ei_test_failures() < 10; mask++) {
            for (int32_t stop_at = -1; stop_at <= 2 * exits; stop_at++) {
                for (int variant = 0; variant < 4; variant++) {
                    follow(exits, mask, variant & 1, stop_at, variant >> 1);
                }
            }
        }
    }
}

EI_TEST(elastic_delivers_the_exit_published_last)
{
    const struct ei_elastic_config config = config_of(3, (struct ei_search){.kind = EI_SEARCH_ALL}, true);
    const struct ei_survival survival = ei_survival_uniform(0, 1000000);
    struct ei_elastic job;
    struct ei_step step;
    EI_REQUIRE(ei_elastic_begin(&job, &config, NULL, &survival, 0, &step) == 0);
    EI_EQ(job.planned_exit, 2);
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 0, 0.99F, 10, &step), 0);
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 1, 0.30F, 20, &step), 0); /* less sure, but later */
    step = ei_elastic_stop(&job, EI_STOP_DEADLINE);
    EI_EQ(step.kind, EI_STEP_FINISH);
    EI_EQ(step.idx, 1);
    EI_EQ(job.exits_mask, 3);
    ei_elastic_stop(&job, EI_STOP_CANCELLED);
    EI_EQ(job.stop_reason, EI_STOP_DEADLINE);
}

/* The plan aims deep; a stop before any answer leads to the nearest exit, not to the planned one. */
EI_TEST(elastic_mandatory_first_exit_is_the_nearest)
{
    const struct ei_elastic_config config =
        config_of(6, (struct ei_search){.kind = EI_SEARCH_STATIC, .share_pct = 1}, true);
    const struct ei_survival survival = ei_survival_uniform(0, 1000000);
    struct ei_elastic job;
    struct ei_step step;
    EI_REQUIRE(ei_elastic_begin(&job, &config, NULL, &survival, 0, &step) == 0);
    EI_EQ(job.plan.mask, 0x20);
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    EI_EQ(step.kind, EI_STEP_CONV);
    EI_EQ(step.idx, 2);
    step = ei_elastic_stop(&job, EI_STOP_PREEMPTED);
    EI_EQ(step.kind, EI_STEP_BRANCH);
    EI_EQ(step.idx, 1);
    EI_EQ(ei_elastic_next_exit_ns(&job), config.branch_bound_ns[1]);
    EI_EQ(ei_elastic_branch_done(&job, 1, 0.5F, 10, &step), 0);
    EI_EQ(step.kind, EI_STEP_FINISH);
    EI_EQ(step.idx, 1);
    EI_EQ(ei_elastic_next_exit_ns(&job), 0);
}

EI_TEST(elastic_predicts_the_time_of_the_next_answer)
{
    const struct ei_elastic_config config =
        config_of(6, (struct ei_search){.kind = EI_SEARCH_STATIC, .share_pct = 50}, false);
    const struct ei_survival survival = ei_survival_uniform(0, 1000000);
    struct ei_elastic job;
    struct ei_step step;
    EI_REQUIRE(ei_elastic_begin(&job, &config, NULL, &survival, 0, &step) == 0);
    EI_EQ(job.plan.mask, 0x2A); /* exits 1, 3, 5 */
    EI_EQ(ei_elastic_next_exit_ns(&job), config.conv_bound_ns[0] + config.conv_bound_ns[1] + config.branch_bound_ns[1]);
    EI_EQ(ei_elastic_step_ns(&job, step), config.conv_bound_ns[0]);
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(ei_elastic_next_exit_ns(&job), config.conv_bound_ns[1] + config.branch_bound_ns[1]);
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    EI_EQ(ei_elastic_next_exit_ns(&job), config.branch_bound_ns[1]);
    EI_EQ(ei_elastic_step_ns(&job, step), config.branch_bound_ns[1]);
    EI_EQ(ei_elastic_branch_done(&job, 1, 0.5F, 10, &step), 0);
    EI_EQ(ei_elastic_next_exit_ns(&job), config.conv_bound_ns[2] + config.conv_bound_ns[3] + config.branch_bound_ns[3]);
    step = ei_elastic_stop(&job, EI_STOP_LOAD_CAP);
    EI_EQ(ei_elastic_next_exit_ns(&job), 0);
    EI_EQ(ei_elastic_step_ns(&job, step), 0);
}

static void refuse_event(const struct ei_elastic *before, struct ei_elastic *job, int status)
{
    EI_EQ(status, -EINVAL);
    EI_TRUE(memcmp(before, job, sizeof *job) == 0);
}

EI_TEST(elastic_refuses_events_out_of_order)
{
    const struct ei_elastic_config config = config_of(3, (struct ei_search){.kind = EI_SEARCH_ALL}, true);
    const struct ei_survival survival = ei_survival_uniform(0, 1000000);
    static struct ei_elastic job, before;
    struct ei_step step;
    EI_REQUIRE(ei_elastic_begin(&job, &config, NULL, &survival, 0, &step) == 0);
    memcpy(&before, &job, sizeof job);
    refuse_event(&before, &job, ei_elastic_conv_done(&job, 1, &step));
    refuse_event(&before, &job, ei_elastic_conv_done(&job, -1, &step));
    refuse_event(&before, &job, ei_elastic_branch_done(&job, 0, 0.5F, 0, &step));
    refuse_event(&before, &job, ei_elastic_branch_done(&job, -1, 0.5F, 0, &step));
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    memcpy(&before, &job, sizeof job);
    refuse_event(&before, &job, ei_elastic_conv_done(&job, 0, &step));
    refuse_event(&before, &job, ei_elastic_branch_done(&job, 1, 0.5F, 0, &step));
    refuse_event(&before, &job, ei_elastic_branch_done(&job, 0, NAN, 0, &step));
    refuse_event(&before, &job, ei_elastic_branch_done(&job, 0, -0.1F, 0, &step));
    refuse_event(&before, &job, ei_elastic_branch_done(&job, 0, 1.1F, 0, &step));
    EI_EQ(ei_elastic_branch_done(&job, 0, 0.5F, 0, &step), 0);
    memcpy(&before, &job, sizeof job);
    refuse_event(&before, &job, ei_elastic_branch_done(&job, 0, 0.5F, 0, &step));
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    EI_EQ(ei_elastic_conv_done(&job, 2, &step), 0);
    memcpy(&before, &job, sizeof job);
    refuse_event(&before, &job, ei_elastic_conv_done(&job, 3, &step));
}

EI_TEST(elastic_begin_refuses_and_leaves_the_job)
{
    struct ei_elastic_config config = config_of(3, (struct ei_search){.kind = EI_SEARCH_EXACT}, true);
    const struct ei_survival survival = ei_survival_uniform(0, 1000000), backward = ei_survival_uniform(1, 0);
    struct ei_elastic job = {.convs_done = 77};
    struct ei_step step;
    EI_EQ(ei_elastic_begin(&job, &config, NULL, &survival, 0, &step), -EINVAL);
    EI_EQ(ei_elastic_begin(&job, &config, &ws, &survival, -1, &step), -EINVAL);
    EI_EQ(ei_elastic_begin(&job, &config, &ws, &backward, 0, &step), -EINVAL);
    config.exits = 65;
    EI_EQ(ei_elastic_begin(&job, &config, &ws, &survival, 0, &step), -EINVAL);
    EI_EQ(job.convs_done, 77);
}

/* A sure first answer makes the middle exit worthless; a poor one makes it worth computing. */
EI_TEST(elastic_replans_from_the_score)
{
    struct ei_et_profile et = sample_et_profile(3);
    for (int i = 0; i < 3; i++) {
        et.conv[i].p50_ns = 1000;
        et.branch[i].p50_ns = 100;
    }
    const float mean[3] = {0.5F, 0.8F, 0.9F};
    struct ei_elastic_config config;
    EI_EQ(ei_elastic_config_init(&config, &et, mean, 3, (struct ei_search){.kind = EI_SEARCH_EXACT}, true, NULL), 0);
    const struct ei_survival survival = ei_survival_uniform(0, 5000);
    struct ei_elastic job;
    struct ei_step step;
    EI_REQUIRE(ei_elastic_begin(&job, &config, &ws, &survival, 0, &step) == 0);
    EI_EQ(job.plan.mask, 7);
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 0, 0.799F, 1100, &step), 0);
    EI_EQ(job.replans, 1);
    EI_EQ(job.plan.mask, 4);
    EI_REQUIRE(ei_elastic_begin(&job, &config, &ws, &survival, 0, &step) == 0);
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 0, 0.2F, 1100, &step), 0);
    EI_EQ(job.plan.mask, 6);
    /* Sure beyond all later exits: done. */
    EI_REQUIRE(ei_elastic_begin(&job, &config, &ws, &survival, 0, &step) == 0);
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 0, 0.95F, 1100, &step), 0);
    EI_EQ(step.kind, EI_STEP_FINISH);
    EI_EQ(step.idx, 0);
    EI_EQ(job.planned_exit, 2);
}

EI_TEST(elastic_replans_when_the_caller_says)
{
    struct ei_elastic_config config = config_of(3, (struct ei_search){.kind = EI_SEARCH_EXACT}, true);
    config.is_replan_by_caller = true;
    const struct ei_survival survival = ei_survival_uniform(0, 10000);
    struct ei_elastic job;
    struct ei_step step;
    EI_REQUIRE(ei_elastic_begin(&job, &config, &ws, &survival, 0, &step) == 0);
    const uint64_t first = job.plan.mask;
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 0, 1.0F, 1300, &step), 0);
    EI_EQ(job.plan.mask, first);
    EI_EQ(step.kind, EI_STEP_CONV);
    step = ei_elastic_replan(&job, 1400);
    EI_EQ(job.plan.mask, 0);
    EI_EQ(step.kind, EI_STEP_FINISH);
}

/* A job that outlives its model keeps its plan; a later preemption shortens the plan of one that does not. */
EI_TEST(elastic_keeps_the_plan_beyond_the_horizon)
{
    const struct ei_elastic_config config = config_of(3, (struct ei_search){.kind = EI_SEARCH_EXACT}, true);
    const struct ei_survival survival = ei_survival_uniform(0, 5000);
    struct ei_elastic job;
    struct ei_step step;
    EI_REQUIRE(ei_elastic_begin(&job, &config, &ws, &survival, 0, &step) == 0);
    EI_EQ(job.plan.mask >> 2, 1);
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 0, 0.3F, 6000, &step), 0);
    EI_EQ(job.replans, 0);
    EI_EQ(job.plan.mask >> 2, 1);
    EI_EQ(step.kind, EI_STEP_CONV);
    /* 1000 ns are left: exit 1 (1100 + 310 ns away) is out of reach. */
    EI_EQ(ei_elastic_preempted(&job, 4000).kind, EI_STEP_FINISH);
    EI_EQ(job.preemptions, 1);
    EI_EQ(job.replans, 1);
    EI_EQ(job.plan.mask, 0);
}

static void predict_constant(const void *context, int32_t exits, const float *score, uint64_t run_mask,
                             int32_t first_exit, float *out_score)
{
    (void)score;
    (void)run_mask;
    for (int32_t i = first_exit; i < exits; i++) {
        out_score[i] = *(const float *)context;
    }
}

EI_TEST(elastic_asks_the_predictor)
{
    struct ei_elastic_config config = config_of(3, (struct ei_search){.kind = EI_SEARCH_EXACT}, true);
    float guess = 0.6F;
    config.predict = predict_constant;
    config.predict_context = &guess;
    const struct ei_survival survival = ei_survival_uniform(0, 10000);
    struct ei_elastic job;
    struct ei_step step;
    EI_REQUIRE(ei_elastic_begin(&job, &config, &ws, &survival, 0, &step) == 0);
    EI_EQ(job.plan.mask, 1); /* no exit is better than the first */
    guess = 0.9F;
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 0, 0.5F, 1300, &step), 0);
    EI_EQ(job.plan.mask, 2);
    /* A predictor gone wrong cannot break the plan. */
    guess = NAN;
    EI_EQ(ei_elastic_conv_done(&job, 1, &step), 0);
    EI_EQ(ei_elastic_branch_done(&job, 1, 0.5F, 2600, &step), 0);
    EI_EQ(job.plan.mask, 2);
    EI_EQ(step.kind, EI_STEP_FINISH);
}

/* Nor where nothing can stop the job, so that a plan may be kept without a search. */
EI_TEST(elastic_keeps_its_plan_when_guesses_are_no_numbers)
{
    struct ei_elastic_config config = config_of(3, (struct ei_search){.kind = EI_SEARCH_EXACT}, true);
    float guess = 0.6F;
    config.predict = predict_constant;
    config.predict_context = &guess;
    config.mean_score[2] = 0.99F;
    const struct ei_survival late = ei_survival_uniform(INT64_MAX / 8, INT64_MAX / 4);
    const struct ei_survival survival = {.kind = EI_SURVIVAL_PRODUCT, .u.product = {1, &late}};
    struct ei_elastic job;
    struct ei_step step;
    EI_REQUIRE(ei_elastic_begin(&job, &config, &ws, &survival, 0, &step) == 0);
    job.plan.mask = 5; /* of the first and the last exit */
    EI_EQ(ei_elastic_conv_done(&job, 0, &step), 0);
    guess = NAN;
    EI_EQ(ei_elastic_branch_done(&job, 0, 0.5F, 1300, &step), 0);
    EI_EQ(job.plan.mask, 5);
    EI_TRUE(step.kind == EI_STEP_CONV && step.idx == 1);
    guess = 0.9F;
    EI_EQ(ei_elastic_preempted(&job, 1400).kind, EI_STEP_CONV);
    EI_EQ(job.plan.mask, 5); /* the guesses are what they were */
}

EI_TEST(elastic_config_names_what_is_wrong)
{
    struct ei_et_profile et = sample_et_profile(3);
    const float mean[3] = {0.5F, 0.8F, 0.9F}, bad[3] = {0.5F, NAN, 0.9F};
    const struct ei_search exact = {.kind = EI_SEARCH_EXACT};
    struct ei_elastic_config config;
    struct einet_error err = {.code = 0};
    EI_EQ(ei_elastic_config_init(&config, &et, mean, 2, exact, true, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "mean_score");
    EI_EQ(ei_elastic_config_init(&config, &et, bad, 3, exact, true, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "mean_score[1]");
    EI_EQ(ei_elastic_config_init(&config, &et, mean, 3, (struct ei_search){.kind = EI_SEARCH_STATIC, .share_pct = 0},
                                 true, &err),
          EINET_E_USAGE);
    EI_CONTAINS(err.text, "share_pct");
    EI_EQ(
        ei_elastic_config_init(&config, &et, mean, 3, (struct ei_search){.kind = (enum ei_search_kind)99}, true, &err),
        EINET_E_USAGE);
    EI_CONTAINS(err.text, "search.kind");
    EI_EQ(ei_elastic_config_init(&config, &et, NULL, 0, exact, false, &err), 0);
    EI_NEAR(config.mean_score[0], 1.0 / 3, 1e-6);
    EI_NEAR(config.mean_score[2], 1, 0);
    EI_EQ(config.conv_ns[1], et.conv[1].p50_ns);
    EI_EQ(config.branch_bound_ns[1], et.branch[1].p99_ns);
    et.exits = 65;
    EI_EQ(ei_elastic_config_init(&config, &et, mean, 65, exact, true, &err), EINET_E_LIMIT);
    EI_CONTAINS(err.text, "exits");
}
