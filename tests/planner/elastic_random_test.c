/* Random jobs: random networks, scores, delays, preemptions, stops and predictors, with every rule checked on the way.
 */
#include "planner/elastic.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

struct guess_context {
    struct ei_random *rng;
};

static void predict_random(const void *context, int32_t exits, const float *score, uint64_t run_mask,
                           int32_t first_exit, float *out_score)
{
    const struct guess_context *guess = context;
    (void)score;
    EI_TRUE(first_exit >= 64 || run_mask >> first_exit == 0);
    for (int32_t i = first_exit; i < exits; i++) {
        out_score[i] = (float)ei_random_unit(guess->rng);
    }
}

static void draw_config(struct ei_random *rng, struct ei_elastic_config *config)
{
    static const struct ei_search searches[] = {{.kind = EI_SEARCH_EXACT},
                                                {.kind = EI_SEARCH_EXACT},
                                                {.kind = EI_SEARCH_ALL},
                                                {.kind = EI_SEARCH_STATIC, .share_pct = 25},
                                                {.kind = EI_SEARCH_STATIC, .share_pct = 50}};
    memset(config, 0, sizeof *config);
    config->exits = 1 + (int32_t)ei_random_below(rng, ei_random_below(rng, 4) == 0 ? EI_EXITS_MAX : 8);
    for (int32_t i = 0; i < config->exits; i++) {
        config->conv_ns[i] = (int64_t)ei_random_below(rng, 1000);
        config->branch_ns[i] = (int64_t)ei_random_below(rng, 500);
        config->conv_bound_ns[i] = config->conv_ns[i] + (int64_t)ei_random_below(rng, 100);
        config->branch_bound_ns[i] = config->branch_ns[i] + (int64_t)ei_random_below(rng, 100);
        config->mean_score[i] = (float)ei_random_unit(rng);
    }
    config->search = searches[ei_random_below(rng, 5)];
    config->is_first_exit_mandatory = ei_random_below(rng, 2) == 0;
    config->is_replan_by_caller = ei_random_below(rng, 3) == 0;
}

/* What the test knows of a job by itself. */
struct witness {
    int32_t convs, steps, steps_after_stop, last_branch;
    uint64_t branches;
    bool is_stopped, had_answer_at_stop;
    int64_t promised_ns, spent_ns; /* until the next branch, as told and as counted */
};

/* Checks a step that is going to run, and counts it. */
static void run_step(const struct ei_elastic *job, struct ei_step step, struct witness *w)
{
    const int32_t n = job->config->exits;
    w->spent_ns += ei_elastic_step_ns(job, step);
    w->steps++;
    w->steps_after_stop += w->is_stopped;
    if (step.kind == EI_STEP_CONV) {
        EI_EQ(step.idx, w->convs);
        EI_TRUE(step.idx < n);
        w->convs++;
        return;
    }
    EI_EQ(step.idx, w->convs - 1);
    EI_TRUE((w->branches >> step.idx & 1U) == 0);
    EI_TRUE((job->plan.mask >> step.idx & 1U) != 0 || (job->config->is_first_exit_mandatory && w->branches == 0));
    EI_EQ(w->spent_ns, w->promised_ns);
    w->branches |= UINT64_C(1) << step.idx;
    w->last_branch = step.idx;
}

/* The look-up plan of the stepper is as good as a plan searched from scratch. */
static void check_plan(const struct ei_elastic *job, int64_t elapsed_ns)
{
    static struct ei_plan_workspace own_ws;
    if (!(ei_survival_at(&job->survival, elapsed_ns) > 0)) {
        return;
    }
    struct ei_plan plan;
    const struct ei_plan_problem p = {
        .exits = job->config->exits,
        .conv_ns = job->config->conv_ns,
        .branch_ns = job->config->branch_ns,
        .score = job->guess,
        .survival = job->survival,
        .convs_done = job->convs_done,
        .first_exit = job->convs_done,
        .elapsed_ns = elapsed_ns,
        .held_score = (double)job->score[job->delivered_exit],
    };
    EI_EQ(ei_plan_search(&p, job->config->search, &own_ws, &plan), 0);
    EI_NEAR(job->plan.expectation, plan.expectation, 1e-9);
    EI_EQ(job->plan.mask, plan.mask);
}

static void random_stop(struct ei_random *rng, struct ei_elastic *job, struct witness *w, struct ei_step *step)
{
    if (ei_random_below(rng, 12) != 0) {
        return;
    }
    *step = ei_elastic_stop(job, (enum ei_stop_reason)(1 + ei_random_below(rng, 4)));
    w->had_answer_at_stop = w->is_stopped ? w->had_answer_at_stop : w->branches != 0;
    w->is_stopped = true;
}

static void random_job(uint64_t seed)
{
    static struct ei_plan_workspace ws;
    struct ei_random rng;
    struct ei_elastic_config config;
    struct ei_elastic job;
    struct ei_step step, next;
    struct witness w = {.last_branch = EI_EXIT_NONE};
    ei_random_init(&rng, seed, 2);
    draw_config(&rng, &config);
    const struct guess_context guess = {&rng};
    if (ei_random_below(&rng, 3) == 0) {
        config.predict = predict_random;
        config.predict_context = &guess;
    }
    const struct ei_survival survival =
        ei_survival_uniform(0, (int64_t)ei_random_below(&rng, 1500U * (uint64_t)config.exits));
    int64_t now_ns = 0;
    EI_REQUIRE(ei_elastic_begin(&job, &config, &ws, &survival, now_ns, &step) == 0);
    while (ei_test_failures() == 0 && w.steps <= 2 * EI_EXITS_MAX) {
        if (ei_random_below(&rng, 10) == 0) {
            now_ns += (int64_t)ei_random_below(&rng, 2000);
            step = ei_elastic_preempted(&job, now_ns);
        }
        random_stop(&rng, &job, &w, &step);
        next = ei_elastic_next(&job);
        EI_TRUE(next.kind == step.kind && next.idx == step.idx);
        if (w.steps == 0 || w.spent_ns == 0 || ei_elastic_next_exit_ns(&job) != w.promised_ns - w.spent_ns) {
            w.promised_ns = ei_elastic_next_exit_ns(&job); /* a new plan is a new promise */
            w.spent_ns = 0;
        }
        if (step.kind == EI_STEP_FINISH) {
            break;
        }
        run_step(&job, step, &w);
        now_ns += (int64_t)ei_random_below(&rng, 1200);
        if (ei_random_below(&rng, 20) == 0) { /* while the block runs; its step is not to be replaced */
            random_stop(&rng, &job, &w, &next);
        }
        if (step.kind == EI_STEP_CONV) {
            EI_EQ(ei_elastic_conv_done(&job, step.idx, &step), 0);
            continue;
        }
        w.spent_ns = 0;
        EI_EQ(ei_elastic_branch_done(&job, step.idx, (float)ei_random_unit(&rng), now_ns, &step), 0);
        if (config.is_replan_by_caller) {
            step = ei_elastic_replan(&job, now_ns);
        }
        if (!w.is_stopped) {
            check_plan(&job, now_ns);
        }
    }
    EI_EQ(step.kind, EI_STEP_FINISH);
    EI_EQ(step.idx, w.last_branch);
    EI_EQ(job.exits_mask, w.branches);
    EI_EQ(ei_elastic_next_exit_ns(&job), 0);
    EI_TRUE(!config.is_first_exit_mandatory || w.branches != 0);
    /* After a stop: nothing when answered or not mandatory (but for a block in flight), else one conv part and its
     * branch at most. */
    EI_TRUE(w.steps_after_stop <= (w.had_answer_at_stop || !config.is_first_exit_mandatory ? 0 : 2));
    EI_TRUEF(ei_test_failures() == 0, "seed %" PRIu64, seed);
}

EI_TEST(elastic_random_jobs_keep_every_rule)
{
    for (uint64_t seed = 1; seed <= 60000 && ei_test_failures() == 0; seed++) {
        random_job(seed);
    }
}
