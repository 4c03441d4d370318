/* Everything of the planner that a job thread may call, under the guard: no allocation, no lock, no system call. */
#include "planner/elastic.h"
#include "planner/policy.h"
#include "planner/survival_empirical.h"
#include "planner/survival_schedule.h"

#include "rt/random.h"
#include "rt/section.h"
#include "tests/harness/harness.h"
#include "tests/realtime/guard.h"

#include <errno.h>
#include <sys/mman.h>

#define EXITS 40

static const struct ei_search searches[] = {
    {.kind = EI_SEARCH_ALL},
    {.kind = EI_SEARCH_STATIC, .share_pct = 50},
    {.kind = EI_SEARCH_EXACT},
    {.kind = EI_SEARCH_HYBRID, .depth = 4},
    {.kind = EI_SEARCH_GREEDY},
    {.kind = EI_SEARCH_RANDOM, .draws = 100, .seed = 1},
    {.kind = EI_SEARCH_CONFIDENCE, .confidence = 0.9},
    {.kind = EI_SEARCH_STATISTICS},
};

/* All that the calls need, so that the section itself owns nothing. */
static struct {
    int64_t conv_ns[EXITS], branch_ns[EXITS];
    float score[EXITS], guess[EXITS];
    struct ei_survival_table table;
    struct ei_survival survivals[4];
    struct ei_survival factors[2];
    struct ei_plan_workspace ws;
    struct ei_plan_policy policy;
    struct ei_empirical empirical;
    struct ei_predictor predictor;
    struct ei_elastic_config config;
    struct ei_elastic job;
    uint64_t masks;
} w;

static void fill(void)
{
    struct ei_random rng;
    int64_t total_ns = 0;
    ei_random_init(&rng, 1, 0);
    w.predictor = (struct ei_predictor){.exits = EXITS, .hidden = 64};
    for (int32_t i = 0; i < EXITS; i++) {
        w.conv_ns[i] = 50000 + (int64_t)ei_random_below(&rng, 100000);
        w.branch_ns[i] = 10000 + (int64_t)ei_random_below(&rng, 100000);
        w.score[i] = (float)(0.3 + 0.6 * (i + 1) / EXITS);
        total_ns += w.conv_ns[i] + w.branch_ns[i];
        w.predictor.mean_score[i] = w.score[i];
        w.predictor.temperature[i] = 1.5F;
        for (int32_t h = 0; h < 64; h++) {
            w.predictor.w1[i][h] = (float)ei_random_normal(&rng) / 8;
            w.predictor.w2[i][h] = (float)ei_random_normal(&rng) / 8;
        }
    }
    const struct ei_interferer tasks[2] = {
        {.is_phase_known = true, .next_ns = total_ns / 3, .period_ns = total_ns, .jitter_ns = total_ns / 10},
        {.kind = EI_INTERFERER_SPORADIC, .period_ns = total_ns / 2, .mean_extra_ns = total_ns},
    };
    EI_EQ(ei_survival_from_schedule(tasks, 2, 0, total_ns, total_ns, &w.table), 0);
    w.survivals[0] = ei_survival_uniform(0, total_ns);
    w.survivals[1] = ei_survival_exponential(2e9 / (double)total_ns);
    w.survivals[2] = ei_survival_of_table(&w.table);
    w.factors[0] = w.survivals[2];
    w.factors[1] = w.survivals[0];
    w.survivals[3] = (struct ei_survival){.kind = EI_SURVIVAL_PRODUCT, .u.product = {2, w.factors}};
    EI_EQ(ei_empirical_init(&w.empirical, total_ns, 100), 0);
    w.config = (struct ei_elastic_config){.exits = EXITS, .search = {.kind = EI_SEARCH_EXACT}};
    for (int32_t i = 0; i < EXITS; i++) {
        w.config.conv_ns[i] = w.config.conv_bound_ns[i] = w.conv_ns[i];
        w.config.branch_ns[i] = w.config.branch_bound_ns[i] = w.branch_ns[i];
        w.config.mean_score[i] = w.score[i];
    }
    EI_EQ(ei_elastic_config_predict(&w.config, &w.predictor, NULL), 0);
}

static void run_searches(void)
{
    for (int s = 0; s < 4; s++) {
        struct ei_plan_problem problem = {.exits = EXITS,
                                          .conv_ns = w.conv_ns,
                                          .branch_ns = w.branch_ns,
                                          .score = w.score,
                                          .survival = w.survivals[s]};
        struct ei_plan plan = {0};
        for (size_t k = 0; k < sizeof searches / sizeof searches[0]; k++) {
            (void)ei_plan_search(&problem, searches[k], &w.ws, &plan);
            w.masks ^= plan.mask;
        }
        problem.convs_done = problem.first_exit = 3;
        problem.elapsed_ns = 500000;
        (void)ei_plan_resume(&problem, &w.ws, &plan);
        w.masks ^= plan.mask;
        if (s == 0 && ei_plan_policy_build(&problem, &w.ws, &w.policy) == 0) {
            w.masks += (uint64_t)ei_plan_policy_next(&w.policy, 5, 900000);
        }
    }
}

/* A whole elastic job with predictor, every answer as expected. */
static void run_job(void)
{
    struct ei_step step;
    int64_t t_ns = 0;
    if (ei_elastic_begin(&w.job, &w.config, &w.ws, &w.survivals[3], 0, &step) != 0) {
        return;
    }
    while (step.kind != EI_STEP_FINISH) {
        t_ns += ei_elastic_step_ns(&w.job, step);
        if (step.kind == EI_STEP_CONV) {
            (void)ei_elastic_conv_done(&w.job, step.idx, &step);
        } else {
            (void)ei_elastic_branch_done(&w.job, step.idx, w.score[step.idx], t_ns, &step);
        }
    }
    w.masks ^= w.job.exits_mask;
}

static void learn(void)
{
    struct ei_survival_table learnt;
    for (int32_t i = 0; i < 1000; i++) {
        ei_empirical_add(&w.empirical, (int64_t)i * 2500, i % 3 == 0);
    }
    ei_empirical_survival(&w.empirical, &learnt);
    const struct ei_interferer task = {.is_phase_known = true, .next_ns = 700000, .period_ns = 2000000};
    (void)ei_survival_from_schedule(&task, 1, 0, 3000000, 2500000, &learnt);
    w.masks += (uint64_t)learnt.count;
}

static void all(void)
{
    run_searches();
    run_job();
    learn();
}

EI_TEST(planner_allocates_nothing_and_calls_nobody)
{
    const int rc = ei_guard_install();
    EI_TRUE(rc == 0 || rc == -EALREADY);
    if (!ei_guard_can_watch(EI_GUARD_ALLOCATION)) {
        ei_test_skip("%s", ei_guard_why_not(EI_GUARD_ALLOCATION));
    }
    (void)mlockall(MCL_CURRENT);
    fill();
    all(); /* code and tables are in memory from here on */
    struct ei_guard_report report;
    ei_guard_reset();
    for (int i = 0; i < 20; i++) {
        ei_rt_section_enter();
        all();
        ei_rt_section_leave();
    }
    ei_guard_violations(&report);
    EI_EQ(report.sections, 20);
    EI_TRUE(w.masks != 0);
    for (int kind = 0; kind < EI_GUARD_KINDS; kind++) {
        if (kind != EI_GUARD_FAULT && !EI_TRUEF(report.violations[kind].count == 0, "kind %d", kind)) {
            ei_guard_print(&report, stderr);
        }
    }
}

EI_MAIN()
