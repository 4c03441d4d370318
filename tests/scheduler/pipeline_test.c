#include "rt/random.h"
#include "scheduler/pipeline.h"
#include "tests/harness/harness.h"

EI_TEST(pipeline_serves_stages_in_the_order_of_the_jobs)
{
    struct ei_pipeline p;
    ei_pipeline_init(&p, 3);
    EI_EQ(ei_pipeline_join(&p), 0);
    EI_TRUE(ei_pipeline_enter(&p, 0, 0));
    EI_EQ(ei_pipeline_join(&p), 1);
    EI_TRUE(!ei_pipeline_enter(&p, 1, 0));
    EI_TRUE(ei_pipeline_pass(&p, 0, 0)); /* job 1 enters stage 0, job 0 stage 1 */
    EI_TRUE(ei_pipeline_enter(&p, 0, 1));
    EI_TRUE(!ei_pipeline_pass(&p, 1, 0));
    EI_TRUE(!ei_pipeline_enter(&p, 1, 1));
    EI_TRUE(ei_pipeline_pass(&p, 0, 1));
    EI_TRUE(ei_pipeline_enter(&p, 0, 2) && ei_pipeline_enter(&p, 0, 3));
    EI_TRUE(!ei_pipeline_leave(&p, 0)); /* job 1 is still in stage 1 and waits for nothing */
    EI_TRUE(!ei_pipeline_pass(&p, 1, 1));
    EI_TRUE(ei_pipeline_enter(&p, 1, 2) && ei_pipeline_enter(&p, 1, 3));
    EI_TRUE(!ei_pipeline_leave(&p, 1));
}

EI_TEST(pipeline_keeps_the_place_of_a_job_that_ends_early)
{
    struct ei_pipeline p;
    ei_pipeline_init(&p, 3);
    for (int64_t place = 0; place < 3; place++) {
        EI_EQ(ei_pipeline_join(&p), place);
        EI_TRUE(ei_pipeline_enter(&p, place, 0));
        EI_TRUE(!ei_pipeline_pass(&p, place, 0));
    }
    EI_TRUE(ei_pipeline_enter(&p, 0, 1));
    EI_TRUE(!ei_pipeline_enter(&p, 1, 3)); /* gives up */
    EI_TRUE(!ei_pipeline_enter(&p, 2, 1));
    EI_TRUE(!ei_pipeline_pass(&p, 0, 1)); /* job 1 has not passed it, so job 2 may not enter */
    EI_TRUE(ei_pipeline_enter(&p, 0, 2) && ei_pipeline_enter(&p, 0, 3));
    EI_TRUE(ei_pipeline_leave(&p, 0));
    EI_TRUE(ei_pipeline_leave(&p, 1)); /* now job 2 enters stage 1 */
    EI_TRUE(!ei_pipeline_pass(&p, 2, 1));
}

/* Where a job is, by the definition. */
struct job {
    int32_t past;  /* stages that it has passed */
    int32_t wants; /* stage, or the end */
    bool is_in, has_left;
};

static bool may_enter(const struct job *jobs, int64_t place, int32_t stage, int32_t stages)
{
    bool may = true;
    for (int64_t k = 0; k < place; k++) {
        may = may && (jobs[k].has_left || (stage < stages && jobs[k].past > stage));
    }
    return may;
}

/* Random jobs, of which some end early: each enters exactly when the definition lets it. */
EI_TEST(pipeline_agrees_with_the_definition_in_random_runs)
{
    enum { JOBS = 60 };
    struct ei_random rng;
    ei_random_init(&rng, 88, 0);
    for (int run = 0; run < 500; run++) {
        static struct job jobs[JOBS];
        struct ei_pipeline p;
        const int32_t stages = 1 + (int32_t)ei_random_below(&rng, 4);
        const int64_t most = 1 + (int64_t)ei_random_below(&rng, EI_PIPELINE_JOBS_MAX);
        int64_t joined = 0, left = 0;
        memset(jobs, 0, sizeof jobs);
        ei_pipeline_init(&p, stages);
        while (left < JOBS) {
            if (joined < JOBS && joined - left < most && ei_random_below(&rng, 3) == 0) {
                struct job *job = &jobs[joined];
                EI_EQ(ei_pipeline_join(&p), joined);
                job->is_in = ei_pipeline_enter(&p, joined, 0);
                EI_EQ(job->is_in, may_enter(jobs, joined, 0, stages));
                joined++;
                continue;
            }
            if (joined == left) {
                continue;
            }
            const int64_t place = left + (int64_t)ei_random_below(&rng, (uint64_t)(joined - left));
            struct job *job = &jobs[place], *next = &jobs[place + 1];
            bool lets_next = false;
            if (!job->is_in) {
                continue;
            }
            const bool had_next = place + 1 < joined && !next->is_in;
            if (job->wants == stages) {
                job->has_left = true;
                lets_next = ei_pipeline_leave(&p, place);
                left++;
            } else {
                const bool ends_early = ei_random_below(&rng, 8) == 0;
                if (job->wants + 1 < stages) { /* the last stage is passed by leaving */
                    job->past = job->wants + 1;
                    lets_next = ei_pipeline_pass(&p, place, job->wants);
                }
                job->wants = ends_early ? stages : job->wants + 1;
                job->is_in = false;
            }
            if (had_next) {
                EI_EQ(lets_next, may_enter(jobs, place + 1, next->wants, stages));
                next->is_in = lets_next;
            } else {
                EI_TRUE(!lets_next);
            }
            if (!job->has_left) {
                job->is_in = ei_pipeline_enter(&p, place, job->wants);
                EI_EQ(job->is_in, may_enter(jobs, place, job->wants, stages));
            }
        }
        if (ei_test_failures() > 0) {
            return;
        }
    }
}
