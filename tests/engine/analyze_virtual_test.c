/* The bounds against the virtual engine, which shares the scheduler with live runs and nothing with the analysis:
 * random workloads of all arrivals, chains, overlaps, preemption rules, budgets, timeouts and CPU sets; no job takes
 * longer than its task's bound.
 *
 * EINET_TEST_SETS=N plays N workloads.
 */
#include "engine/analyze.h"
#include "engine/virtual.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Longest response / bound is at least TIGHT on average; of few sets the average scatters. */
#ifdef EINET_SANITIZED
#define SETS 100
#define TIGHT 0.4
#else
#define SETS 500
#define TIGHT 0.5
#endif
#define TEXT_MAX 8192
#define BLOCKS_MAX 5

struct text {
    char bytes[TEXT_MAX];
    size_t length;
};

static void put(struct text *text, const char *format, ...) EINET_PRINTF(2, 3);

static void put(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text->bytes + text->length, TEXT_MAX - text->length, format, args);
    va_end(args);
    text->length += n > 0 ? (size_t)n : 0;
    EI_TRUE(text->length < TEXT_MAX);
}

static int below(struct ei_random *rng, int n)
{
    return (int)ei_random_below(rng, (uint64_t)(n < 1 ? 1 : n));
}

static void put_arrival(struct text *text, struct ei_random *rng, int period_us)
{
    switch (below(rng, 4)) {
    case 0:
        put(text, "arrival: { model: periodic, period: %dus, offset: %dus }", period_us, below(rng, period_us));
        break;
    case 1:
        put(text, "arrival: { model: periodic, period: %dus, jitter: %dus }", period_us, below(rng, period_us / 3));
        break;
    case 2:
        put(text, "arrival: { model: sporadic, min_interarrival: %dus, mean: %dus }", period_us,
            period_us + 1 + below(rng, period_us / 2));
        break;
    default:
        put(text, "arrival: { model: burst, period: %dus, count: 3, spacing: %dus }, deadline: %dus", 3 * period_us,
            below(rng, period_us / 2), 3 * period_us);
        break;
    }
}

/* What the tasks of a workload have in common. */
struct draw {
    struct text tasks, models;
    struct ei_random *rng;
    int lanes, count;
    double share; /* of a CPU, for a task */
    const char *cpus;
    bool has_priority, has_chains, has_limits, has_overlap, has_devices;
    int first_priority, priority_step;
    int period_us[EI_TASKS_MAX];
};

/* A budget around what the stage takes, while there is room below the deadline, and a timeout of any length. */
static void put_limits(struct draw *d, int need_us, int *left_us)
{
    struct text *tasks = &d->tasks;
    const int budget_us = 1 + need_us / 2 + below(d->rng, 2 * need_us);
    const int timeout_us = 1 + below(d->rng, 6 * need_us);
    const bool has_budget = below(d->rng, 5) > 0, has_timeout = below(d->rng, 4) == 0;
    if (d->has_limits && has_budget && budget_us <= *left_us) {
        put(tasks, ", budget: %dus", budget_us);
        *left_us -= budget_us;
    }
    if (d->has_limits && has_timeout) {
        put(tasks, ", timeout: %dus", timeout_us);
    }
}

static void put_spin(struct draw *d, char name, int work_us, int *left_us)
{
    put(&d->tasks, "{ name: %c, kind: cpu, work: { spin: %dus }", name, work_us);
    put_limits(d, work_us, left_us);
    put(&d->tasks, " }");
}

/* Its blocks; returns the time of all of them. */
static int put_model(struct draw *d, int idx, int work_us)
{
    const int blocks = 1 + below(d->rng, BLOCKS_MAX);
    int sum_us = 0;
    put(&d->models, "  m%d: { emulate: { blocks: [ ", idx);
    for (int k = 0; k < blocks; k++) {
        const int conv_us = 1 + below(d->rng, 2 * work_us / (3 * blocks));
        const int branch_us = 1 + below(d->rng, work_us / (2 * blocks));
        put(&d->models, "%s{ conv: %dus, branch: %dus, score: 0.%d }", k > 0 ? ", " : "", conv_us, branch_us, 3 + k);
        sum_us += conv_us + branch_us;
    }
    put(&d->models, " ] } }\n");
    return sum_us;
}

#define FIRST_DEVICE 4 /* of lane_words below */

static void put_rules(struct draw *d, int lane, int work_us)
{
    static const char *const on_preempt[] = {"exit", "resume", "none", "elastic", "restart"};
    static const char *const on_deadline[] = {"exit", "finish", "abort"};
    const int preempt = below(d->rng, 5), deadline = below(d->rng, 3);
    const int most = preempt == 4 ? 1 + below(d->rng, 2) : below(d->rng, 3); /* without one, a restart has no bound */
    put(&d->tasks, ", on_preempt: %s, max_preemptions: %d, on_deadline: %s, planner: { search: all }",
        on_preempt[preempt], most, on_deadline[deadline]);
    if (lane >= FIRST_DEVICE && below(d->rng, 2) == 0) { /* longer blocks are cut; a lane has 512 pieces at most */
        put(&d->tasks, ", max_blocking: %dus", 1 + work_us / 64 + below(d->rng, work_us));
    } else if (lane > 0 && below(d->rng, 3) == 0) { /* no block is longer */
        put(&d->tasks, ", max_blocking: %dus", work_us);
    }
}

static void put_task(struct draw *d, int idx)
{
    static const char *const lane_words[] = {"kernel", "l0", "l1", "[l0, l1]", "g0", "g1"};
    static const char *const on_overrun[] = {"finish", "exit", "abort"};
    struct text *tasks = &d->tasks;
    struct ei_random *rng = d->rng;
    const bool is_after = d->has_chains && idx > 0 && below(rng, 2) == 0;
    const int before = below(rng, idx);
    const int period_us = is_after ? d->period_us[before] : 4000 + below(rng, 56000);
    const int work_us = 60 + (int)(d->share * (double)period_us * (0.3 + 1.4 * ei_random_unit(rng)));
    const bool is_cpu_alone = below(rng, 3) == 0, is_other = is_cpu_alone && d->has_chains && below(rng, 4) == 0;
    int left_us = period_us;
    d->period_us[idx] = period_us;
    put(tasks, "  - { name: t%d, late_release: %s, ", idx, below(rng, 2) == 0 ? "skip" : "{ queue: 4, drop: oldest }");
    if (d->has_overlap && below(rng, 2) == 0) {
        put(tasks, "overlap: %d, ", 2 + below(rng, 3));
    }
    if (is_other) {
        put(tasks, "class: other, ");
    } else if (d->has_priority) {
        put(tasks, "priority: %d, ", d->first_priority + d->priority_step * idx);
    }
    if (is_after) {
        put(tasks, "arrival: { model: after, task: t%d }", before);
    } else {
        put_arrival(tasks, rng, period_us);
    }
    if (is_cpu_alone) {
        put(tasks, ", cpus: \"%s\"", d->cpus);
    }
    if (d->has_limits) {
        put(tasks, ", on_overrun: %s", on_overrun[below(rng, 3)]);
    }
    if (is_cpu_alone) {
        put(tasks, ", stages: [ ");
        put_spin(d, 'a', work_us, &left_us);
        put(tasks, " ] }\n");
        return;
    }
    const int network_us = put_model(d, idx, work_us), on_cpu = below(rng, d->lanes > 1 ? 4 : 2);
    const int lane = d->has_devices && below(rng, 3) > 0 ? FIRST_DEVICE + (below(rng, 4) == 0) : on_cpu;
    put_rules(d, lane, work_us);
    put(tasks, ", stages: [ ");
    put_spin(d, 'a', 1 + work_us / 7, &left_us);
    put(tasks, ", { name: n, kind: nn, model: m%d, lane: %s", idx, lane_words[lane]);
    put_limits(d, network_us, &left_us);
    put(tasks, " }, ");
    put_spin(d, 'b', 1 + work_us / 20, &left_us);
    put(tasks, " ] }\n");
}

/* One of class deadline, whose runtime may be less than it takes. */
static void put_deadline_task(struct draw *d, int idx)
{
    const int period_us = 4000 + below(d->rng, 30000),
              deadline_us = period_us - below(d->rng, 2) * below(d->rng, period_us / 2);
    const int work_us = 100 + below(d->rng, period_us / 8), budget_us = work_us - work_us / 3 + below(d->rng, work_us);
    put(&d->tasks, "  - { name: d%d, class: deadline, deadline: %dus, late_release: %s, ", idx, deadline_us,
        below(d->rng, 2) == 0 ? "skip" : "{ queue: 3, drop: newest }");
    if (below(d->rng, 4) > 0) {
        put(&d->tasks, "arrival: { model: periodic, period: %dus, jitter: %dus }", period_us,
            below(d->rng, 3) == 0 ? below(d->rng, period_us / 2) : 0);
    } else {
        put(&d->tasks, "arrival: { model: sporadic, min_interarrival: %dus, mean: %dus }", period_us,
            period_us * 3 / 2);
    }
    put(&d->tasks, ", stages: [ { name: a, kind: cpu, work: { spin: %dus }, budget: %dus } ] }\n", work_us,
        budget_us < deadline_us ? budget_us : deadline_us);
}

/* Every other workload is of policy edf. */
static void draw_workload(struct ei_random *rng, struct text *out)
{
    static struct draw d;
    static const char *const policies[] = {"fixed_priority", "rate_monotonic", "deadline_monotonic", "edf"};
    const int policy = below(rng, 2) == 0 ? 3 : below(rng, 3);
    d = (struct draw){.rng = rng, .lanes = 1 + below(rng, 2), .count = 2 + below(rng, 4)};
    d.cpus = below(rng, 2) == 0 ? "1" : "1-2";
    d.share = (0.3 + 0.6 * ei_random_unit(rng)) / d.count;
    d.has_priority = policy == 0;
    d.has_chains = below(rng, 2) == 0;
    d.has_limits = below(rng, 3) == 0;
    d.has_overlap = below(rng, 4) == 0;
    d.has_devices = below(rng, 2) == 0;
    const bool is_upward = below(rng, 2) == 0;
    d.first_priority = is_upward ? 50 : 80;
    d.priority_step = is_upward ? 3 : -3;
    put(&d.models, "  spare: { emulate: { blocks: [ { conv: 1us, branch: 1us, score: 0.5 } ] } }\n");
    for (int i = 0; i < d.count; i++) {
        put_task(&d, i);
    }
    for (int i = below(rng, 3) == 0 ? 1 + below(rng, 3) : 0; i > 0; i--) {
        put_deadline_task(&d, i);
    }
    out->length = 0;
    put(out,
        "version: 1\nname: drawn\nrun: { duration: 3s, seed: %d }\nplatform: { rt_load_cap: 1, watchdog: %d }\n"
        "scheduler: { policy: %s }\nlanes:\n",
        1 + below(rng, 1000), below(rng, 4), policies[policy]);
    put(out, "  kernel: { kind: cpu, cpus: \"%s\", preempt: kernel }\n", d.cpus);
    for (int l = 0; l < d.lanes; l++) {
        put(out, "  l%d: { kind: cpu, cpus: \"%s\", preempt: block }\n", l, d.cpus);
    }
    put(out, "  g0: { kind: cuda, fallback: l0 }\n  g1: { kind: cuda, device: 1, wait: poll, depth: 2, fallback: l0 }\n");
    put(out, "models:\n%stasks:\n%s", d.models.bytes, d.tasks.bytes);
}

struct watch {
    const struct ei_analysis *analysis;
    int64_t worst_ns[EI_TASKS_MAX], jobs, over, shallow; /* shallow: fewer exits than are sure */
};

static void look(void *context, const struct ei_record *record)
{
    struct watch *watch = context;
    if (record->kind != EI_RECORD_JOB || record->u.job.finish_ns <= record->u.job.release_ns) {
        return;
    }
    const int32_t i = record->u.job.task_idx;
    const int64_t response_ns = record->u.job.finish_ns - record->u.job.release_ns;
    const int64_t bound_ns = watch->analysis->tasks[i].response_ns;
    watch->worst_ns[i] = response_ns > watch->worst_ns[i] ? response_ns : watch->worst_ns[i];
    watch->over += bound_ns >= 0 && response_ns > bound_ns;
    watch->jobs++;
    const uint8_t cause = record->u.job.cause; /* the load of a moment may pass the cap that the mean keeps */
    if (record->u.job.outcome == EI_JOB_COMPLETED && cause != EI_CAUSE_LOAD_CAP && cause != EI_CAUSE_CANCELLED) {
        const int32_t exits = __builtin_popcountll(record->u.job.exits_mask);
        watch->shallow += exits < watch->analysis->tasks[i].guaranteed_exits;
    }
}

struct tally {
    int64_t workloads, jobs, over, tasks, bounded, chained; /* chained: tasks behind others that have a bound */
    int64_t on_devices;
    int64_t of_deadline, below_deadline; /* bounded tasks of class deadline; bounded ones of class fifo below such */
    double tightness;
};

static bool is_on_device(const struct ei_workload *wl, int32_t task)
{
    const struct ei_task_spec *spec = &wl->tasks[task];
    return spec->nn_stage_idx >= 0 && wl->lanes[spec->stages[spec->nn_stage_idx].lane_idx].kind == EI_SPEC_LANE_CUDA;
}

/* tallies: of policy edf and of the others. */
static void play(struct ei_random *rng, int64_t number, struct tally *tallies)
{
    static struct text text;
    const struct ei_analysis_options options = {.quantile = EI_TIME_P99, .ops_ns = EI_NONE_NS};
    struct ei_workload *wl = NULL;
    struct ei_analysis *analysis = NULL;
    struct ei_diagnostics diag;
    struct ei_live_result result = {0};
    draw_workload(rng, &text);
    int rc = ei_workload_parse(text.bytes, text.length, "drawn.yaml", &wl, &diag);
    if (rc == 0) {
        rc = ei_analyze(wl, &options, &analysis, &diag);
    }
    EI_TRUEF(rc == 0, "workload %lld: %s\n%s", (long long)number, diag.count > 0 ? diag.items[0].text : "", text.bytes);
    if (rc == 0) {
        struct tally *tally = &tallies[wl->scheduler.policy == EI_SPEC_POLICY_EDF ? 0 : 1];
        struct watch watch = {.analysis = analysis};
        const struct ei_virtual_options run = {.on_record = look, .context = &watch};
        EI_EQ(ei_virtual_run(wl, &run, &result, NULL), 0);
        EI_TRUEF(watch.over == 0, "%lld jobs over their bounds in workload %lld:\n%s", (long long)watch.over,
                 (long long)number, text.bytes);
        EI_TRUEF(watch.shallow == 0, "%lld jobs without exits that are sure in workload %lld:\n%s",
                 (long long)watch.shallow, (long long)number, text.bytes);
        tally->workloads++;
        tally->over += watch.over;
        tally->jobs += watch.jobs;
        for (int32_t i = 0; i < analysis->task_count; i++) {
            const int64_t bound_ns = analysis->tasks[i].response_ns;
            tally->tasks++;
            if (bound_ns > 0) {
                tally->bounded++;
                tally->on_devices += is_on_device(wl, i);
                tally->chained += wl->tasks[i].arrival.model == EI_ARRIVAL_AFTER;
                tally->of_deadline += wl->tasks[i].class_ == EI_SPEC_CLASS_DEADLINE;
                tally->below_deadline += wl->tasks[i].class_ == EI_SPEC_CLASS_FIFO &&
                                         wl->tasks[wl->task_count - 1].class_ == EI_SPEC_CLASS_DEADLINE;
                tally->tightness += (double)watch.worst_ns[i] / (double)bound_ns;
            }
        }
    }
    ei_collector_destroy(result.collector);
    ei_analysis_destroy(analysis);
    ei_workload_destroy(wl);
    ei_diagnostics_fini(&diag);
}

EI_TEST(analyze_bounds_hold_in_virtual_time)
{
    const char *wanted = getenv("EINET_TEST_SETS");
    const int64_t sets = wanted != NULL ? strtoll(wanted, NULL, 10) : SETS;
    const uint64_t seed = 31;
    struct ei_random rng;
    struct tally tallies[2] = {{0}};
    ei_random_init(&rng, seed, 0);
    for (int64_t n = 0; n < sets; n++) {
        play(&rng, n, tallies);
    }
    for (int32_t k = 0; k < 2; k++) {
        const struct tally *tally = &tallies[k];
        printf(
            "virtual time, %s: seed %llu, %lld workloads, %lld jobs, %lld of %lld tasks bounded, %lld of them behind "
            "others, %lld jobs over; longest response / bound %.3f on average\n",
            k == 0 ? "edf" : "priorities", (unsigned long long)seed, (long long)tally->workloads,
            (long long)tally->jobs, (long long)tally->bounded, (long long)tally->tasks, (long long)tally->chained,
            (long long)tally->over, tally->tightness / (double)tally->bounded);
        EI_TRUE(tally->bounded > tally->tasks / 2);
        EI_IN(tally->tightness / (double)tally->bounded, TIGHT, 1.0);
    }
    EI_TRUEF(tallies[0].on_devices > sets / 4 && tallies[1].on_devices > sets / 4,
             "on devices %lld and %lld bounded tasks", (long long)tallies[0].on_devices,
             (long long)tallies[1].on_devices);
    EI_TRUEF(tallies[0].of_deadline + tallies[1].of_deadline > sets / 5 &&
                 tallies[0].below_deadline + tallies[1].below_deadline > sets / 5,
             "of class deadline %lld bounded tasks, below them %lld",
             (long long)(tallies[0].of_deadline + tallies[1].of_deadline),
             (long long)(tallies[0].below_deadline + tallies[1].below_deadline));
}
