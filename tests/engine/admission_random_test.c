/* What admission promises, kept: random task sets of one CPU that the analysis guarantees are played on the virtual
 * engine, and no guarantee of any job may be broken.
 *
 *   load 0.9   every task that is sure of its deadline keeps it; every elastic job has its first answer in time
 *   load 1.5   the elastic tasks ask for what is not there: no miss above them, at least 95 % of their releases
 *              answered, and no job so long behind its deadline that a backlog could grow
 *
 * Both also with the networks on a device.
 *
 * EINET_TEST_JOBS=N plays at least N jobs of each load, EINET_TEST_SEED=S others.
 */
#include "engine/analyze.h"
#include "engine/virtual.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define JOBS 50000
#define SEED 38 /* in its first 50 000 jobs the reserve of the load cap (engine/load_reserve.h) is needed */
#define RIGID_MAX 3
#define ELASTIC_MAX 2
#define MODEL_MAX 2048
#define TASK_MAX 1024

struct drawn {
    int32_t rigid, count;
    char text[16384];
};

static int between(struct ei_random *rng, int low, int high)
{
    return low + (int)ei_random_below(rng, (uint64_t)(high - low + 1));
}

/* Shares that sum to `load`, each set of them as likely as any other (UUniFast; Bini, Buttazzo 2005). */
static void draw_shares(struct ei_random *rng, double load, int32_t count, double *out)
{
    for (int32_t i = 0; i < count - 1; i++) {
        const double rest = load * pow(ei_random_unit(rng), 1.0 / (double)(count - 1 - i));
        out[i] = load - rest;
        load = rest;
    }
    out[count - 1] = load;
}

/* A network of `blocks` blocks that takes about work_us, a fifth of it in branches. Returns what it takes. */
static int write_model(char *out, int32_t idx, int work_us, int blocks)
{
    int at = snprintf(out, MODEL_MAX, "  m%d: { emulate: { blocks: [ ", idx), sum_us = 0;
    for (int k = 0; k < blocks; k++) {
        const int conv_us = 1 + work_us * 4 / (5 * blocks), branch_us = 1 + work_us / (5 * blocks);
        at += snprintf(out + at, (size_t)(MODEL_MAX - at), "%s{ conv: %dus, branch: %dus, score: 0.%02d }",
                       k > 0 ? ", " : "", conv_us, branch_us, 40 + 3 * k);
        sum_us += conv_us + branch_us;
    }
    snprintf(out + at, (size_t)(MODEL_MAX - at), " ] } }\n");
    return sum_us;
}

static void write_rigid(struct ei_random *rng, int32_t idx, double share, char *out_model, char *out)
{
    const int period_us = 1000 * between(rng, 4, 40), work_us = 2 + (int)(share * period_us);
    out_model[0] = '\0';
    int at = snprintf(out, TASK_MAX,
                      "  - { name: t%d, priority: %d, arrival: { model: periodic, period: %dus, offset: %dus }, "
                      "deadline: %dus, ",
                      idx, 90 - idx, period_us, between(rng, 0, period_us), period_us * between(rng, 6, 10) / 10);
    if (between(rng, 0, 1) == 0) {
        snprintf(out + at, (size_t)(TASK_MAX - at), "stages: [ { name: law, kind: cpu, work: { spin: %dus } } ] }\n",
                 work_us);
        return;
    }
    (void)write_model(out_model, idx, work_us, between(rng, 1, 3));
    snprintf(out + at, (size_t)(TASK_MAX - at),
             "on_preempt: none, on_deadline: finish, stages: [ { name: n, kind: nn, model: m%d, lane: acc } ] }\n",
             idx);
}

static void write_elastic(struct ei_random *rng, int32_t idx, double share, char *out_model, char *out)
{
    static const char *const rules[] = {"exit", "resume", "elastic"};
    const int period_us = 1000 * between(rng, 10, 100);
    (void)write_model(out_model, idx, 8 + (int)(share * period_us), between(rng, 6, 12));
    snprintf(
        out, TASK_MAX,
        "  - { name: t%d, priority: %d, arrival: { model: periodic, period: %dus, offset: %dus }, on_preempt: %s, "
        "on_deadline: exit, late_release: { queue: 1, drop: oldest }, planner: { search: all, first_exit: mandatory "
        "}, stages: [ { name: n, kind: nn, model: m%d, lane: acc } ] }\n",
        idx, 50 - idx, period_us, between(rng, 0, period_us), rules[between(rng, 0, 2)], idx);
}

static void draw(struct ei_random *rng, double load, bool is_on_device, struct drawn *out)
{
    static char models[RIGID_MAX + ELASTIC_MAX][MODEL_MAX], tasks[RIGID_MAX + ELASTIC_MAX][TASK_MAX];
    double shares[RIGID_MAX + ELASTIC_MAX];
    const int32_t elastic = between(rng, 1, ELASTIC_MAX);
    const double rigid_load = 0.1 + 0.35 * ei_random_unit(rng);
    out->rigid = between(rng, 1, RIGID_MAX);
    out->count = out->rigid + elastic;
    draw_shares(rng, rigid_load, out->rigid, shares);
    draw_shares(rng, load - rigid_load, elastic, shares + out->rigid);
    for (int32_t i = 0; i < out->count; i++) {
        (i < out->rigid ? write_rigid : write_elastic)(rng, i, shares[i], models[i], tasks[i]);
    }
    int at = snprintf(out->text, sizeof out->text,
                      "version: 1\nname: drawn\nrun: { duration: 20s, seed: %d }\n"
                      "platform: { housekeeping_cpus: none }\n"
                      "lanes:\n  %s\nmodels:\n",
                      between(rng, 1, 1000),
                      is_on_device ? "acc: { kind: cuda, fallback: cpu }\n  cpu: { kind: cpu, cpus: \"0\" }"
                                   : "acc: { kind: cpu, cpus: \"0\", preempt: block }");
    for (int32_t i = 0; i < out->count; i++) {
        at += snprintf(out->text + at, sizeof out->text - (size_t)at, "%s", models[i]);
    }
    at += snprintf(out->text + at, sizeof out->text - (size_t)at, "tasks:\n");
    for (int32_t i = 0; i < out->count; i++) {
        at += snprintf(out->text + at, sizeof out->text - (size_t)at, "%s", tasks[i]);
    }
    EI_TRUE((size_t)at < sizeof out->text);
}

struct tally {
    int64_t sets, admitted, jobs, high_misses, broken, overdue, elastic_jobs, answered;
    double least_answered; /* of one elastic task */
};

struct watch {
    const struct ei_analysis *analysis;
    int32_t rigid;
    struct tally *tally;
    int64_t elastic_jobs[EI_TASKS_MAX], answered[EI_TASKS_MAX];
};

/* Was an answer there at the deadline? The record has the time of the last one. A job that has one begins no block
 * behind its deadline, so of several exits all but the last were in time. */
static bool has_answered_in_time(const struct ei_job_record *job)
{
    return (job->flags & EI_JOB_ANSWERED) != 0 &&
           (job->answer_ns <= job->deadline_ns || __builtin_popcountll(job->exits_mask) >= 2);
}

static void look(void *context, const struct ei_record *record)
{
    struct watch *watch = context;
    if (record->kind != EI_RECORD_JOB) {
        return;
    }
    const struct ei_job_record *job = &record->u.job;
    const struct ei_analysis_task *task = &watch->analysis->tasks[job->task_idx];
    const bool is_answered = has_answered_in_time(job);
    const bool is_kept = job->outcome == EI_JOB_COMPLETED && (job->flags & EI_JOB_MISSED) == 0;
    if (job->cause == EI_CAUSE_CANCELLED) {
        return;
    }
    watch->tally->jobs++;
    if (job->task_idx < watch->rigid) {
        watch->tally->high_misses += !is_kept;
        return;
    }
    watch->elastic_jobs[job->task_idx]++;
    watch->answered[job->task_idx] += is_answered;
    watch->tally->broken += task->is_schedulable ? !is_kept : !is_answered;
    watch->tally->overdue += job->finish_ns > 0 && job->finish_ns - job->deadline_ns > task->spec->deadline_ns;
}

static void note_answers(const struct watch *watch, const struct drawn *drawn, struct tally *tally)
{
    for (int32_t i = drawn->rigid; i < drawn->count; i++) {
        const double share = (double)watch->answered[i] / (double)watch->elastic_jobs[i];
        tally->elastic_jobs += watch->elastic_jobs[i];
        tally->answered += watch->answered[i];
        tally->least_answered = share < tally->least_answered ? share : tally->least_answered;
        EI_TRUEF(share >= 0.95, "task t%d: %.3f of the releases answered in\n%s", i, share, drawn->text);
    }
}

static void play(const struct drawn *drawn, struct tally *tally)
{
    const struct ei_analysis_options options = {.quantile = EI_TIME_P99, .ops_ns = EI_NONE_NS};
    struct ei_workload *wl = NULL;
    struct ei_analysis *analysis = NULL;
    struct ei_diagnostics diag;
    int rc = ei_workload_parse(drawn->text, strlen(drawn->text), "drawn.yaml", &wl, &diag);
    if (rc == 0) {
        rc = ei_analyze(wl, &options, &analysis, &diag);
    }
    EI_TRUEF(rc == 0, "%s\n%s", diag.count > 0 ? diag.items[0].text : "", drawn->text);
    tally->sets++;
    if (rc == 0 && analysis->is_guaranteed) {
        struct ei_live_result result = {0};
        struct watch watch = {.analysis = analysis, .rigid = drawn->rigid, .tally = tally};
        const struct ei_virtual_options run = {.on_record = look, .context = &watch};
        const struct tally before = *tally;
        EI_EQ(ei_virtual_run(wl, &run, &result, NULL), 0);
        EI_TRUE(result.is_identity_ok);
        EI_TRUEF(tally->high_misses == before.high_misses && tally->broken == before.broken &&
                     tally->overdue == before.overdue,
                 "%lld misses above, %lld promises broken, %lld jobs far behind in\n%s",
                 (long long)(tally->high_misses - before.high_misses), (long long)(tally->broken - before.broken),
                 (long long)(tally->overdue - before.overdue), drawn->text);
        tally->admitted++;
        note_answers(&watch, drawn, tally);
        ei_collector_destroy(result.collector);
    }
    ei_analysis_destroy(analysis);
    ei_workload_destroy(wl);
    ei_diagnostics_fini(&diag);
}

static void play_load(double load, double least_admitted, bool is_on_device)
{
    const char *wanted = getenv("EINET_TEST_JOBS"), *seeded = getenv("EINET_TEST_SEED");
    const uint64_t seed = seeded != NULL ? strtoull(seeded, NULL, 10) : SEED;
    const int64_t jobs = wanted != NULL ? strtoll(wanted, NULL, 10) : JOBS;
    static struct drawn drawn;
    struct ei_random rng;
    struct tally tally = {.least_answered = 1};
    ei_random_init(&rng, seed, (uint64_t)(100 * load));
    while (tally.jobs < jobs && tally.sets < jobs) {
        draw(&rng, load, is_on_device, &drawn);
        play(&drawn, &tally);
    }
    printf(
        "load %.1f%s: seed %llu, %lld jobs of %lld admitted sets (of %lld); misses above %lld, promises broken %lld; "
        "%.4f of elastic releases answered in time, %.4f of the worst task\n",
        load, is_on_device ? " on a device" : "", (unsigned long long)seed, (long long)tally.jobs,
        (long long)tally.admitted, (long long)tally.sets, (long long)tally.high_misses, (long long)tally.broken,
        (double)tally.answered / (double)tally.elastic_jobs, tally.least_answered);
    EI_TRUE(tally.jobs >= jobs);
    EI_TRUE((double)tally.admitted >= least_admitted * (double)tally.sets);
}

EI_TEST(admitted_sets_keep_every_promise_at_load_0_9)
{
    play_load(0.9, 0.3, false);
}

EI_TEST(admitted_sets_answer_in_overload_and_nothing_above_them_misses)
{
    play_load(1.5, 0.3, false);
}

/* Where the networks are on a device their CPUs have time left, and the device has no cap. */
EI_TEST(admitted_sets_keep_every_promise_on_a_device)
{
    play_load(0.9, 0.3, true);
    play_load(1.5, 0.3, true);
}
