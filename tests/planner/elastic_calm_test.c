/* The calm plan: a stepper that has one plans at every moment what a stepper without one plans, to the last bit, and
 * takes it only where nothing can stop the job.
 */
#include "planner/elastic.h"

#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/planner/sample_predictor.h"
#include "tests/planner/sample_profiles.h"

#include <errno.h>

#define JOBS 6000
#define CONFIGS 3

static struct ei_plan_workspace calm_ws, plain_ws;

static void draw_config(struct ei_random *rng, int32_t exits, struct ei_elastic_config *config)
{
    memset(config, 0, sizeof *config);
    config->exits = exits;
    for (int32_t i = 0; i < exits; i++) {
        config->conv_ns[i] = config->conv_bound_ns[i] = (int64_t)ei_random_below(rng, 1000000);
        config->branch_ns[i] = config->branch_bound_ns[i] = (int64_t)ei_random_below(rng, 500000);
        config->mean_score[i] = (float)ei_random_below(rng, 20) / 20; /* ties, too */
    }
    config->search.kind = ei_random_below(rng, 4) == 0 ? EI_SEARCH_STATISTICS : EI_SEARCH_EXACT;
    config->is_first_exit_mandatory = ei_random_below(rng, 2) == 0;
    config->is_branch_atomic = ei_random_below(rng, 2) == 0;
    config->no_output_score = ei_random_below(rng, 4) == 0 ? 0.3 : 0;
}

static int64_t length_of(const struct ei_elastic_config *config)
{
    int64_t length_ns = 0;
    for (int32_t i = 0; i < config->exits; i++) {
        length_ns += config->conv_ns[i] + config->branch_ns[i];
    }
    return length_ns;
}

/* What a job sees of its exit time: falls before the job can end, right then, or later. */
struct exit_time {
    struct ei_survival factors[2], survival;
    struct ei_survival_table table;
    int64_t elapsed_ns;
};

static void draw_exit_time(struct ei_random *rng, int64_t length_ns, struct exit_time *out)
{
    static const int64_t far_ns[] = {1, 1000000, INT64_C(1000000000000), INT64_C(1000000000000000)};
    out->elapsed_ns = (int64_t)ei_random_below(rng, (uint64_t)far_ns[ei_random_below(rng, 4)]);
    const int64_t end_ns = out->elapsed_ns + length_ns;
    const uint64_t kind = ei_random_below(rng, 4);
    const int64_t fall_ns = kind == 0   ? end_ns
                            : kind == 1 ? end_ns - 1 - (int64_t)ei_random_below(rng, (uint64_t)length_ns + 1)
                                        : end_ns + (int64_t)ei_random_below(rng, 1000000);
    out->table = (struct ei_survival_table){
        .kind = ei_random_below(rng, 2) == 0 ? EI_SURVIVAL_KNOTS : EI_SURVIVAL_STEPS,
        .count = 2,
        .t_ns = {fall_ns, fall_ns + 1 + (int64_t)ei_random_below(rng, 1000000)},
        .survival = {1, 0.2},
    };
    if (out->table.kind == EI_SURVIVAL_STEPS) {
        out->table.survival[0] = 0.5;
    }
    out->factors[0] = ei_survival_of_table(&out->table);
    out->factors[1] = ei_survival_uniform(fall_ns, fall_ns + (int64_t)ei_random_below(rng, 2000000));
    if (ei_random_below(rng, 2) == 0) {
        out->survival = out->factors[0];
    } else {
        out->survival = (struct ei_survival){.kind = EI_SURVIVAL_PRODUCT, .u.product = {2, out->factors}};
    }
}

static void check_same(const struct ei_elastic *a, const struct ei_elastic *b, struct ei_step x, struct ei_step y)
{
    EI_EQ(a->plan.mask, b->plan.mask);
    EI_EQ(a->plan.count, b->plan.count);
    EI_EQ(memcmp(a->plan.exits, b->plan.exits, (size_t)b->plan.count), 0);
    EI_EQ(memcmp(&a->plan.expectation, &b->plan.expectation, sizeof a->plan.expectation), 0);
    EI_EQ(a->plan.is_exact, b->plan.is_exact);
    EI_EQ(a->planned_exit, b->planned_exit);
    EI_EQ(a->replans, b->replans);
    EI_EQ(memcmp(a->guess, b->guess, (size_t)a->config->exits * sizeof a->guess[0]), 0);
    EI_TRUE(x.kind == y.kind && x.idx == y.idx);
}

/* One event of both jobs, the same. */
static struct ei_step next_event(struct ei_random *rng, struct ei_elastic *calm, struct ei_elastic *plain,
                                 struct ei_step step, int64_t *now_ns)
{
    struct ei_step x = step, y = step;
    *now_ns += (int64_t)ei_random_below(rng, 600000);
    const uint64_t kind = ei_random_below(rng, 12);
    if (kind < 2) {
        x = kind == 0 ? ei_elastic_preempted(calm, *now_ns) : ei_elastic_restarted(calm, *now_ns);
        y = kind == 0 ? ei_elastic_preempted(plain, *now_ns) : ei_elastic_restarted(plain, *now_ns);
    } else if (step.kind == EI_STEP_CONV) {
        EI_EQ(ei_elastic_conv_done(calm, step.idx, &x), 0);
        EI_EQ(ei_elastic_conv_done(plain, step.idx, &y), 0);
    } else {
        const float confidence = (float)ei_random_unit(rng);
        EI_EQ(ei_elastic_branch_done(calm, step.idx, confidence, *now_ns, &x), 0);
        EI_EQ(ei_elastic_branch_done(plain, step.idx, confidence, *now_ns, &y), 0);
    }
    check_same(calm, plain, x, y);
    return x;
}

/* Jobs of a few networks in turn on one workspace, as on a lane and its fallback; the others search each from scratch.
 */
static int32_t play(uint64_t seed, const struct ei_predictor *predictor)
{
    struct ei_random rng;
    struct ei_elastic_config calm_config[CONFIGS], plain_config[CONFIGS];
    int32_t calm_jobs = 0;
    ei_random_init(&rng, seed, 7);
    ei_plan_workspace_init(&calm_ws);
    for (int32_t c = 0; c < CONFIGS; c++) {
        draw_config(&rng, predictor != NULL ? predictor->exits : 1 + (int32_t)ei_random_below(&rng, 9),
                    &plain_config[c]);
        if (predictor != NULL) {
            EI_EQ(ei_elastic_config_predict(&plain_config[c], predictor, NULL), 0);
        }
        calm_config[c] = plain_config[c];
        EI_EQ(ei_elastic_config_settle(&calm_config[c], &calm_ws), 0);
        EI_TRUE(calm_config[c].calm.is_known);
    }
    for (int32_t n = 0; n < JOBS && ei_test_failures() == 0; n++) {
        const uint64_t c = ei_random_below(&rng, CONFIGS * 2) % CONFIGS;
        struct exit_time time;
        struct ei_elastic calm, plain;
        struct ei_step x, y;
        draw_exit_time(&rng, length_of(&plain_config[c]), &time);
        calm_jobs += ei_survival_at(&time.survival, time.elapsed_ns + length_of(&plain_config[c])) >= 1;
        ei_plan_workspace_init(&plain_ws);
        EI_EQ(ei_elastic_begin(&calm, &calm_config[c], &calm_ws, &time.survival, time.elapsed_ns, &x), 0);
        EI_EQ(ei_elastic_begin(&plain, &plain_config[c], &plain_ws, &time.survival, time.elapsed_ns, &y), 0);
        check_same(&calm, &plain, x, y);
        int64_t now_ns = time.elapsed_ns;
        for (int32_t i = 0; i < 40 && x.kind != EI_STEP_FINISH && ei_test_failures() == 0; i++) {
            x = next_event(&rng, &calm, &plain, x, &now_ns);
        }
    }
    return calm_jobs;
}

EI_TEST(elastic_plans_calmly_what_it_would_search)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        EI_IN(play(seed, NULL), JOBS / 3, JOBS - JOBS / 10);
    }
}

EI_TEST(elastic_plans_calmly_with_a_predictor)
{
    static struct ei_predictor predictor;
    struct ei_random rng;
    ei_random_init(&rng, 3, 1);
    predictor = sample_predictor(&rng, 5, 16);
    EI_IN(play(11, &predictor), JOBS / 3, JOBS - JOBS / 10);
}

/* With a predictor, where nothing can stop the job: the plan that a job holds stays while it has an exit of the highest
 * score, even where a search would take another way there, and no longer. */
EI_TEST(elastic_keeps_a_plan_that_nothing_can_beat)
{
    static struct ei_predictor predictor;
    struct ei_random rng;
    struct ei_elastic_config config;
    struct ei_elastic job;
    struct ei_step step;
    int32_t kept = 0, other_way = 0, replaced = 0;
    ei_random_init(&rng, 5, 1);
    predictor = sample_predictor(&rng, 9, 16);
    for (int32_t n = 0; n < JOBS && ei_test_failures() == 0; n++) {
        draw_config(&rng, 9, &config);
        config.search.kind = EI_SEARCH_EXACT;
        EI_EQ(ei_elastic_config_predict(&config, &predictor, NULL), 0);
        const struct ei_survival late = ei_survival_uniform(INT64_MAX / 8, INT64_MAX / 4);
        const struct ei_survival calm = {.kind = EI_SURVIVAL_PRODUCT, .u.product = {1, &late}};
        ei_plan_workspace_init(&calm_ws);
        EI_EQ(ei_elastic_begin(&job, &config, &calm_ws, &calm, 0, &step), 0);
        while (step.kind == EI_STEP_CONV) {
            EI_EQ(ei_elastic_conv_done(&job, step.idx, &step), 0);
        }
        if (step.kind == EI_STEP_FINISH) {
            continue;
        }
        const uint64_t rest = job.plan.mask & ~(UINT64_C(1) << step.idx);
        const int32_t replans = job.replans, done = step.idx;
        EI_EQ(ei_elastic_branch_done(&job, done, (float)ei_random_unit(&rng), 1000, &step), 0);
        EI_EQ(job.replans, replans + 1);
        const struct ei_plan_problem problem = {.exits = 9,
                                                .conv_ns = config.conv_ns,
                                                .branch_ns = config.branch_ns,
                                                .score = job.guess,
                                                .survival = calm,
                                                .convs_done = done + 1,
                                                .first_exit = done + 1,
                                                .elapsed_ns = 1000,
                                                .is_branch_atomic = config.is_branch_atomic,
                                                .held_score = (double)job.score[done]};
        struct ei_plan found;
        EI_EQ(ei_plan_search(&problem, config.search, &plain_ws, &found), 0);
        EI_EQ(found.expectation, job.plan.expectation);
        const bool is_part = (job.plan.mask & ~rest) == 0;
        kept += is_part && job.plan.mask != 0;
        other_way += is_part && job.plan.mask != found.mask;
        replaced += !is_part;
        EI_TRUE(is_part || job.plan.mask == found.mask);
    }
    EI_IN(kept, 100, JOBS);
    EI_IN(other_way, 20, kept);
    EI_IN(replaced, 100, JOBS);
}

/* Where the calm plan is not the plan: it must not be taken one ns too early, with another kind of exit time, before it
 * is known, or after the config was made anew. */
EI_TEST(elastic_takes_the_calm_plan_only_when_calm)
{
    struct ei_et_profile et = sample_et_profile(3);
    const float mean[3] = {0.5F, 0.8F, 0.9F};
    struct ei_elastic_config config;
    struct ei_elastic job;
    struct ei_step step;
    EI_EQ(ei_elastic_config_init(&config, &et, mean, 3, (struct ei_search){.kind = EI_SEARCH_EXACT}, true, NULL), 0);
    EI_TRUE(!config.calm.is_known);
    EI_EQ(ei_elastic_config_settle(&config, &calm_ws), 0);
    config.calm.plan.mask = 5; /* told apart from what a search finds */
    const int64_t end_ns = 77 + config.calm.length_ns;
    struct ei_survival fall = ei_survival_uniform(end_ns, end_ns);
    const struct ei_survival product = {.kind = EI_SURVIVAL_PRODUCT, .u.product = {1, &fall}};
    EI_EQ(ei_elastic_begin(&job, &config, &calm_ws, &product, 77, &step), 0);
    EI_EQ(job.plan.mask, 5);
    EI_EQ(ei_elastic_begin(&job, &config, &calm_ws, &product, 78, &step), 0);
    EI_TRUE(job.plan.mask != 5);
    EI_EQ(ei_elastic_begin(&job, &config, &calm_ws, &fall, 77, &step), 0); /* its search is another one */
    EI_TRUE(job.plan.mask != 5);
    EI_EQ(ei_elastic_begin(&job, &config, &calm_ws, &product, -1, &step), -EINVAL);
    EI_EQ(ei_elastic_begin(&job, &config, NULL, &product, 77, &step), -EINVAL);
    fall.u.uniform.begin_ns = end_ns + 1; /* no survival function: it ends before it begins */
    EI_EQ(ei_elastic_begin(&job, &config, &calm_ws, &product, 77, &step), -EINVAL);
    fall.u.uniform.begin_ns = end_ns;
    config.mean_score[2] = 0.7F;
    EI_EQ(ei_elastic_config_settle(&config, &calm_ws), 0);
    EI_EQ(ei_elastic_begin(&job, &config, &calm_ws, &product, 77, &step), 0);
    EI_EQ(job.planned_exit, 1);
}

EI_TEST(elastic_settles_exact_searches_only)
{
    struct ei_et_profile et = sample_et_profile(3);
    struct ei_elastic_config config;
    EI_EQ(ei_elastic_config_init(&config, &et, NULL, 0, (struct ei_search){.kind = EI_SEARCH_ALL}, true, NULL), 0);
    EI_EQ(ei_elastic_config_settle(&config, &calm_ws), 0);
    EI_TRUE(!config.calm.is_known);
    config.search.kind = EI_SEARCH_STATISTICS;
    EI_EQ(ei_elastic_config_settle(&config, NULL), -EINVAL);
    EI_TRUE(!config.calm.is_known);
    EI_EQ(ei_elastic_config_settle(&config, &calm_ws), 0);
    EI_TRUE(config.calm.is_known);
}
