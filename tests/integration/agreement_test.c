/* The same file in real time and in virtual time: preemptions and exit mixes of each task agree.
 *
 * Tolerance: preemptions differ by at most 5 and a fifth, the share of each exit by at most 0.08. Not the same, since
 * in a live run the noise probe, wake-ups and switches make a block last up to a tenth longer than its emulated time,
 * so a preemptor meets jobs as much more often. Jobs in whose live response the probe saw a gap are left out on both
 * sides.
 */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <stdlib.h>
#include <string.h>

#define TASKS 4
#define RUNS_MAX 3 /* live ones: the machine may interfere without a gap that the probe sees, not three times */
#define JOBS_MAX 4096
#define EXITS 4 /* the last one: no answer */

static const char *const names[TASKS] = {"control", "obstacle", "camera", "scene"};

struct seen {
    bool is_there, is_noisy, is_run;
    int preemptions, exit;
};

struct engine {
    struct seen jobs[TASKS][JOBS_MAX];
};

struct figures {
    int jobs, preemptions, exits[EXITS];
};

static struct engine live, virtual_;

static void visit(const struct job_line *job, void *context)
{
    struct engine *engine = context;
    for (int t = 0; t < TASKS; t++) {
        if (strcmp(job->task, names[t]) == 0 && job->job_idx < JOBS_MAX) {
            engine->jobs[t][job->job_idx] = (struct seen){.is_there = true,
                                                          .is_noisy = job->gap_ns > 0,
                                                          .is_run = strcmp(job->outcome, "completed") == 0,
                                                          .preemptions = (int)job->preemptions,
                                                          .exit = job->exit_idx >= 0 ? (int)job->exit_idx : EXITS - 1};
        }
    }
}

static bool run(const char *command, const char *folder, struct engine *engine)
{
    char out[512];
    snprintf(out, sizeof out, "%s", in_tmpdir(folder));
    const struct finished *f =
        einet_run((const char *[]){command, "tests/integration/workloads/agree.yaml", "--out", out, NULL});
    EI_TRUEF(f->status == 0, "einet %s: status %d: %s", command, f->status, f->output);
    json_t *summary = f->status == 0 ? read_summary(out) : NULL;
    const bool is_degraded = json_array_size(json_object_get(summary, "degraded")) > 0;
    json_decref(summary);
    if (is_degraded) {
        ei_test_skip("without SCHED_FIFO the two are not the same");
    }
    return f->status == 0 && for_each_job(out, visit, engine) > 0;
}

static void add(struct figures *figures, const struct seen *job)
{
    figures->jobs++;
    figures->preemptions += job->preemptions;
    figures->exits[job->exit]++;
}

struct comparison {
    int noisy, compared, apart; /* apart: figures beyond the tolerance */
    struct figures live[TASKS], virtual_[TASKS];
};

/* Beyond the tolerance? Then say so; the last run's words stand when all runs disagree. */
static void count_apart(const struct figures *a, const struct figures *b, const char *name, struct comparison *c)
{
    printf("%-8s preemptions %d live, %d virtual; exits %d/%d/%d and %d/%d/%d\n", name, a->preemptions, b->preemptions,
           a->exits[0], a->exits[1], a->exits[2], b->exits[0], b->exits[1], b->exits[2]);
    c->apart += abs(a->preemptions - b->preemptions) > 5 + b->preemptions / 5;
    for (int e = 0; e < EXITS; e++) {
        c->apart += abs(a->exits[e] - b->exits[e]) * 100 > b->jobs * 8;
    }
}

static struct comparison compare(void)
{
    struct comparison c = {0};
    for (int t = 0; t < TASKS; t++) {
        for (int i = 0; i < JOBS_MAX; i++) {
            const struct seen *a = &live.jobs[t][i], *b = &virtual_.jobs[t][i];
            EI_TRUEF(a->is_there == b->is_there, "%s job %d is in one run only", names[t], i);
            c.noisy += a->is_there && a->is_noisy;
            if (a->is_run && b->is_run && !a->is_noisy) {
                add(&c.live[t], a);
                add(&c.virtual_[t], b);
                c.compared++;
            }
        }
        count_apart(&c.live[t], &c.virtual_[t], names[t], &c);
    }
    printf("%d jobs compared, %d left out for gaps of the machine\n", c.compared, c.noisy);
    return c;
}

EI_TEST(live_and_virtual_agree_on_preemptions_and_exits)
{
    struct comparison c = {.apart = 1};
    EI_REQUIRE(run("simulate", "virtual", &virtual_));
    for (int attempt = 0; attempt < RUNS_MAX && c.apart > 0; attempt++) {
        memset(&live, 0, sizeof live);
        EI_REQUIRE(run("run", "live", &live));
        c = compare();
    }
    if (c.noisy > c.compared / 4) {
        ei_test_skip("the machine is too noisy");
    }
    EI_TRUEF(c.apart == 0, "%d figures of live and virtual runs are apart", c.apart);
    /* it was worth comparing */
    EI_TRUE(c.virtual_[2].preemptions > 20 && c.virtual_[2].exits[0] > 10 && c.virtual_[2].exits[2] > 100);
    EI_TRUE(c.virtual_[3].preemptions > 5);
}

EI_MAIN()
