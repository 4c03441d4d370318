/* The same file in real time and in virtual time: preemptions and exit mixes of each task agree.
 *
 * In a live run the noise probe, and in a sanitized build the build itself, make a block last longer than its emulated
 * time, so a preemptor meets jobs more often. How much longer is measured on the task that is never preempted, and the
 * virtual run computes with blocks that are as long. Tolerance: preemptions differ by at most 5 and a fifth, the share
 * of each exit by at most 0.05, for hand-offs and wake-ups. Jobs in whose live response the probe saw a gap are left
 * out on both sides.
 */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "tests/integration/workloads/agree.yaml"
#define TEXT_MAX_BYTES 8192
#define TASKS 4
#define STEADY 1   /* the task that is never preempted */
#define RUNS_MAX 3 /* live ones: the machine may interfere without a gap that the probe sees, not three times */
#define JOBS_MAX 4096
#define EXITS 4 /* the last one: no answer */

static const char *const names[TASKS] = {"control", "obstacle", "camera", "scene"};

struct seen {
    bool is_there, is_noisy, is_run;
    int preemptions, exit;
    int64_t busy_ns; /* of its lane */
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
                                                          .busy_ns = job->lane_busy_ns,
                                                          .exit = job->exit_idx >= 0 ? (int)job->exit_idx : EXITS - 1};
        }
    }
}

static bool run(const char *command, const char *file, struct engine *engine)
{
    char out[512];
    snprintf(out, sizeof out, "%s", in_tmpdir(command));
    memset(engine, 0, sizeof *engine);
    const struct finished *f = einet_run((const char *[]){command, file, "--out", out, NULL});
    EI_TRUEF(f->status == 0, "einet %s: status %d: %s", command, f->status, f->output);
    json_t *summary = f->status == 0 ? read_summary(out) : NULL;
    const bool is_degraded = json_array_size(json_object_get(summary, "degraded")) > 0;
    json_decref(summary);
    if (is_degraded) {
        ei_test_skip("without SCHED_FIFO the two are not the same");
    }
    return f->status == 0 && for_each_job(out, visit, engine) > 0;
}

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Median time of the block of the task that is never preempted. */
static int64_t steady_block_ns(const struct engine *engine)
{
    static int64_t busy_ns[JOBS_MAX];
    size_t count = 0;
    for (int i = 0; i < JOBS_MAX; i++) {
        const struct seen *job = &engine->jobs[STEADY][i];
        if (job->is_run && !job->is_noisy) {
            busy_ns[count++] = job->busy_ns;
        }
    }
    if (!EI_TRUE(count > 100)) {
        return 1;
    }
    qsort(busy_ns, count, sizeof busy_ns[0], compare_ns);
    return busy_ns[count / 2];
}

/* The workload with all execution times, the ones in microseconds on lines with conv or spin, times part/whole. Returns
 * the new file's path. */
static const char *stretch(int64_t part, int64_t whole)
{
    char text[TEXT_MAX_BYTES] = "", line[512];
    size_t used = 0;
    FILE *file = fopen(FILE_NAME, "re");
    if (!EI_TRUE(file != NULL)) {
        return FILE_NAME;
    }
    while (fgets(line, sizeof line, file) != NULL && used < sizeof text) {
        const bool is_time = strstr(line, "conv:") != NULL || strstr(line, "spin:") != NULL;
        for (const char *at = line; *at != '\0' && used < sizeof text;) {
            char *end = NULL;
            const int64_t us = is_time && *at >= '0' && *at <= '9' ? strtoll(at, &end, 10) : 0;
            if (end != NULL && strncmp(end, "us", 2) == 0) {
                used += (size_t)snprintf(text + used, sizeof text - used, "%" PRId64 "ns", us * 1000 * part / whole);
                at = end + 2;
            } else {
                text[used++] = *at++;
            }
        }
    }
    fclose(file);
    EI_TRUE(used < sizeof text);
    text[used < sizeof text ? used : sizeof text - 1] = '\0';
    return write_file("stretched.yaml", text);
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
        c->apart += abs(a->exits[e] - b->exits[e]) * 100 > b->jobs * 5;
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
    EI_REQUIRE(run("simulate", FILE_NAME, &virtual_));
    const int64_t block_ns = steady_block_ns(&virtual_);
    for (int attempt = 0; attempt < RUNS_MAX && c.apart > 0; attempt++) {
        EI_REQUIRE(run("run", FILE_NAME, &live));
        const int64_t live_block_ns = steady_block_ns(&live);
        printf("a block of %" PRId64 " ns lasts %" PRId64 " ns\n", block_ns, live_block_ns);
        EI_REQUIRE(run("simulate", stretch(live_block_ns, block_ns), &virtual_));
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
