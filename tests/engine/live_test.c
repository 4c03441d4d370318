/* Runs of the live engine in which something rare happens at a chosen moment. Wrapped by the linker (CMakeLists.txt):
 * the clock, the housekeeper's wait for signals, the measurement of a task's blocks, the reading of a sample,
 * rehearsals.
 */
#include "engine/live.h"
#include "engine/rehearsal_rt.h"
#include "engine/run_state.h"
#include "rt/clock.h"
#include "rt/topology.h"
#include "tests/engine/live_play.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define HELD_UP_NS (150 * EI_NS_PER_MS)

/* ---- what the linker puts in ---- */

static int signal_in_cycle; /* the housekeeper's cycle that gets SIGINT, 0 = none */
static int cycles;
static _Thread_local int held_up_after; /* the clock's next reading in this thread is old when it is used */
static atomic_int measurements;
static bool is_measuring_broken, is_sample_broken;
static bool is_housekeeper_stuck; /* until a thread is demoted */
static atomic_bool is_demoted;

int __real_clock_gettime(clockid_t clock, struct timespec *ts); /* NOLINT: the linker's names */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __real_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout); /* NOLINT */
int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout);
int __real_ei_task_measure(struct ei_job_slot *slot, struct einet_error *err); /* NOLINT */
int __wrap_ei_task_measure(struct ei_job_slot *slot, struct einet_error *err);
int __real_ei_dataset_sample(const struct ei_dataset *ds, int32_t idx, struct einet_image *image,
                             int32_t *label); /* NOLINT */
void __real_ei_spin(int64_t work_ns);         /* NOLINT */
void __wrap_ei_spin(int64_t work_ns);
int __wrap_ei_dataset_sample(const struct ei_dataset *ds, int32_t idx, struct einet_image *image, int32_t *label);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
    const int rc = __real_clock_gettime(clock, ts);
    if (held_up_after > 0 && --held_up_after == 0) {
        const struct timespec held_up = {.tv_nsec = HELD_UP_NS};
        nanosleep(&held_up, NULL);
    }
    return rc;
}

int __wrap_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
    const struct timespec nap = {.tv_nsec = 10 * EI_NS_PER_MS};
    for (int i = 0; is_housekeeper_stuck && !is_demoted && i < 400; i++) {
        nanosleep(&nap, NULL);
    }
    const int rc = __real_sigtimedwait(set, info, timeout);
    if (++cycles != signal_in_cycle) {
        return rc;
    }
    held_up_after = 1;
    return SIGINT;
}

int __wrap_ei_task_measure(struct ei_job_slot *slot, struct einet_error *err)
{
    atomic_fetch_add(&measurements, 1);
    if (is_measuring_broken) {
        const struct timespec others_queue_up = {.tv_nsec = HELD_UP_NS};
        nanosleep(&others_queue_up, NULL);
        return einet_error_set(err, EINET_E_BACKEND, "the measurement is broken");
    }
    return __real_ei_task_measure(slot, err);
}

int __wrap_ei_dataset_sample(const struct ei_dataset *ds, int32_t idx, struct einet_image *image, int32_t *label)
{
    return is_sample_broken && idx == 3 ? -EIO : __real_ei_dataset_sample(ds, idx, image, label);
}

/* What a rehearsal must leave as it was, in what others see. */
static int32_t rehearsals, rehearsals_seen, rehearsed_after;
static int32_t paused_after; /* so many rehearsals, the releases behind the last one are withheld; 0 = none is */

void __real_ei_rehearse(struct ei_job_slot *slot, int64_t release_ns); /* NOLINT */
void __wrap_ei_rehearse(struct ei_job_slot *slot, int64_t release_ns);

void __wrap_ei_rehearse(struct ei_job_slot *slot, int64_t release_ns)
{
    struct ei_live_task *task = slot->task;
    const struct ei_gate_look gate = ei_gate_look(&task->run->gates[0], 0);
    const uint64_t answers = atomic_load(&task->answer->sequence);
    const int64_t assumed = task->planning.exit_times.assumed.jobs;
    rehearsed_after += ei_mono_now().ns >= release_ns;
    if (rehearsals + 1 == paused_after) {
        atomic_store(&task->changes.paused_from_ns, release_ns + 1);
    }
    __real_ei_rehearse(slot, release_ns);
    const struct ei_gate_look after = ei_gate_look(&task->run->gates[0], 0);
    rehearsals++;
    rehearsals_seen += after.holder_idx != gate.holder_idx || after.busy_ns != gate.busy_ns ||
                       atomic_load(&task->answer->sequence) != answers ||
                       task->planning.exit_times.assumed.jobs != assumed || slot->is_under_way ||
                       atomic_load(&slot->watch.job_idx) != EI_WATCH_NO_JOB || slot->cpu != EI_CPU_LOAD_NONE;
}

/* A spin of this length runs away once: until it is no FIFO thread any more and spins of the other length have gone on
 * beside it, or for some seconds. */
#define RUNAWAY_NS INT64_C(777000)
#define BESIDE_NS INT64_C(55000)
#define RUNAWAY_MAX_NS (5 * EI_NS_PER_S)
#define BESIDE_WANTED 5

static atomic_bool is_runaway_due, is_running_away, was_fifo;
static atomic_int beside, fifo_after; /* fifo_after: later jobs of the runaway's task in a SCHED_FIFO thread */

static enum ei_thread_policy own_policy(void)
{
    struct ei_thread_state state = {0};
    EI_EQ(ei_thread_read(0, &state), 0);
    return state.policy;
}

static void run_away(void)
{
    const int64_t end_ns = ei_mono_now().ns + RUNAWAY_MAX_NS;
    was_fifo = own_policy() == EI_THREAD_FIFO;
    is_running_away = true;
    while (was_fifo && !(is_demoted && beside >= BESIDE_WANTED) && ei_mono_now().ns < end_ns) {
        __real_ei_spin(EI_NS_PER_MS);
        is_demoted = own_policy() == EI_THREAD_OTHER;
    }
    is_running_away = false;
}

void __wrap_ei_spin(int64_t work_ns)
{
    if (work_ns == RUNAWAY_NS && is_demoted) {
        fifo_after += own_policy() == EI_THREAD_FIFO;
    }
    if (work_ns == RUNAWAY_NS && atomic_exchange(&is_runaway_due, false)) {
        run_away();
    }
    if (work_ns == BESIDE_NS && is_running_away) {
        beside++;
    }
    __real_ei_spin(work_ns);
}

/* ---- runs ---- */

struct outcome {
    int rc;
    struct einet_error err;
    struct ei_live_result result;                /* without its collector */
    FILE *said, *messages;                       /* its table and JSON; what the run said meanwhile */
    int64_t releases;                            /* accounted, of all tasks */
    int64_t released[4], skipped[4], aborted[4]; /* of the first tasks */
    int64_t preemptions;
};

static struct ei_tap *tap; /* of the next runs; NULL = none */

static void run_text(const char *text, void (*on_ready)(void *context), void *context, struct outcome *out)
{
    struct ei_workload *wl;
    *out = (struct outcome){.messages = tmpfile()};
    const struct ei_live_options options = {
        .messages = out->messages, .on_ready = on_ready, .context = context, .tap = tap};
    out->rc = live_play(text, options, &wl, &out->result, &out->err);
    out->said = tmpfile();
    if (out->rc == 0 && out->said != NULL) {
        EI_EQ(ei_collector_print_table(out->result.collector, out->said, false), 0);
        EI_EQ(ei_collector_print_json(out->result.collector, out->said), 0);
        for (int32_t i = 0; i < wl->task_count; i++) {
            const struct ei_metrics_progress p = ei_collector_progress(out->result.collector, i);
            out->releases += p.released + p.skipped + p.dropped;
            out->preemptions += p.preemptions;
            if (i < 4) {
                out->released[i] = p.released;
                out->skipped[i] = p.skipped;
                out->aborted[i] = p.aborted;
            }
        }
        ei_collector_destroy(out->result.collector);
        out->result.collector = NULL;
    }
    ei_workload_destroy(wl);
}

#define TICK                                                                                                           \
    "tasks:\n"                                                                                                         \
    "  - { name: tick, arrival: { model: periodic, period: 5ms }, priority: 60, late_release: skip,\n"                 \
    "      stages: [ { name: work, kind: cpu, work: { spin: 100us } } ] }\n"                                           \
    "outputs: { dir: out }\n"

/* The housekeeper reads the clock for the new end and is then held up so long that the end is past when it is set:
 * tasks went on meanwhile, and their jobs belong to the run. */
EI_TEST(live_signal_while_the_housekeeper_is_held_up)
{
    struct outcome run;
    signal_in_cycle = 40;
    run_text("version: 1\nname: held\nrun: { duration: 60s, seed: 1 }\n" TICK, NULL, NULL, &run);
    EI_REQUIRE(run.rc == 0);
    EI_TRUE(run.result.is_ended_early);
    EI_TRUEF(run.result.is_identity_ok, "the jobs that went on are not accounted");
    EI_TRUEF(run.releases > HELD_UP_NS / (5 * EI_NS_PER_MS) / 2, "only %" PRId64 " releases", run.releases);
}

static void read_own_cpus(void *context)
{
    EI_EQ(ei_topology_read_self(context, NULL), 0);
}

EI_TEST(live_housekeeper_is_on_its_cpus_before_the_first_release)
{
    struct outcome run;
    struct ei_cpuset allowed, cpus = {0};
    char text[1024];
    EI_REQUIRE(ei_topology_allowed(&allowed, NULL) == 0);
    const int first = ei_cpuset_next(&allowed, 0);
    if (ei_cpuset_next(&allowed, first + 1) < 0) {
        ei_test_skip("this process has one CPU only");
    }
    snprintf(text, sizeof text,
             "version: 1\nname: bound\nrun: { duration: 50ms, seed: 1 }\n"
             "platform: { housekeeping_cpus: %d }\n" TICK,
             first);
    run_text(text, read_own_cpus, &cpus, &run);
    EI_REQUIRE(run.rc == 0);
    EI_EQ(ei_cpuset_next(&cpus, 0), first);
    EI_EQ(ei_cpuset_next(&cpus, first + 1), -1);
}

/* Three networks wait for their turn to be measured; the first one fails, so the others need not begin. */
EI_TEST(live_lost_start_measures_nothing_more)
{
    struct outcome run;
    is_measuring_broken = true;
    run_text("version: 1\nname: lost\nrun: { duration: 100ms, seed: 1 }\n"
             "lanes: { lane0: { kind: cpu, preempt: block } }\n"
             "models: { net: { emulate: { blocks: [ { conv: 100us, branch: 20us, score: 0.9 } ] } } }\n"
             "tasks:\n"
             "  - { name: one, arrival: { model: periodic, period: 20ms }, priority: 60,\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
             "  - { name: two, arrival: { model: periodic, period: 20ms }, priority: 50,\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
             "  - { name: three, arrival: { model: periodic, period: 20ms }, priority: 40,\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
             "outputs: { dir: out }\n",
             NULL, NULL, &run);
    EI_EQ(run.rc, EINET_E_BACKEND);
    EI_CONTAINS(run.err.text, "the measurement is broken");
    EI_EQ(atomic_load(&measurements), 1);
}

/* A network that begins again in the middle: the backend sees its blocks in order all the same. */
EI_TEST(live_preempted_jobs_start_again)
{
    struct outcome run;
    run_text("version: 1\nname: again\nrun: { duration: 400ms, seed: 1 }\n"
             "platform: { rt_load_cap: 1.0 }\n"
             "lanes: { lane0: { kind: cpu, preempt: block } }\n"
             "models:\n"
             "  slow: { emulate: { blocks: [ { conv: 3ms, branch: 20us, score: 0.5 },\n"
             "                               { conv: 3ms, branch: 20us, score: 0.9 } ] } }\n"
             "  fast: { emulate: { blocks: [ { conv: 100us, branch: 20us, score: 0.9 } ] } }\n"
             "planner: { search: all }\n"
             "tasks:\n"
             "  - { name: low, arrival: { model: periodic, period: 20ms }, priority: 50, on_preempt: restart,\n"
             "      max_preemptions: 2, on_deadline: finish, late_release: { queue: 40, drop: newest },\n"
             "      stages: [ { name: net, kind: nn, model: slow, lane: lane0 } ] }\n"
             "  - { name: high, arrival: { model: periodic, period: 7ms }, priority: 60,\n"
             "      stages: [ { name: net, kind: nn, model: fast, lane: lane0 } ] }\n"
             "outputs: { dir: out }\n",
             NULL, NULL, &run);
    EI_REQUIRE(run.rc == 0);
    EI_EQ(run.result.faulty_jobs, 0);
    EI_TRUE(run.result.is_identity_ok);
    EI_TRUEF(run.preemptions > 0, "no job was preempted");
}

/* The thread goes through each job before its release, and nobody else sees it. */
EI_TEST(live_rehearsals_show_nothing)
{
    static const struct {
        const char *lane, *planner, *task;
    } cases[] = {{"preempt: block", "search: all, replan: inline", "on_deadline: abort,"},
                 {"preempt: block", "search: exact, replan: inline", "on_preempt: resume,"},
                 {"preempt: block", "search: exact, replan: overlapped, exit_time: empirical", "priority: 60,"},
                 {"preempt: kernel", "search: exact, replan: inline, exit_time: uniform", "priority: 60,"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct outcome run;
        char text[2048];
        rehearsals = rehearsals_seen = rehearsed_after = 0;
        snprintf(text, sizeof text,
                 "version: 1\nname: rehearsed\nrun: { duration: 400ms, seed: 1 }\n"
                 "lanes: { lane0: { kind: cpu, %s } }\n"
                 "models: { net: { emulate: { blocks: [ { conv: 300us, branch: 20us, score: 0.5 },\n"
                 "    { conv: 300us, branch: 20us, score: 0.7 }, { conv: 300us, branch: 20us, score: 0.9 } ] } } }\n"
                 "planner: { %s }\n"
                 "tasks:\n"
                 "  - { name: one, arrival: { model: periodic, period: 10ms }, %s rehearse: 3ms,\n"
                 "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
                 "outputs: { dir: out }\n",
                 cases[i].lane, cases[i].planner, cases[i].task);
        run_text(text, NULL, NULL, &run);
        EI_TRUEF(run.rc == 0, "%s", run.err.text);
        EI_EQ(run.result.faulty_jobs, 0);
        EI_TRUE(run.result.is_identity_ok);
        EI_EQ(run.releases, 41);
        EI_TRUEF(rehearsals > 10 && rehearsals <= 42, "%d rehearsals", rehearsals);
        EI_EQ(rehearsals_seen, 0);
        EI_EQ(rehearsed_after, 0);
    }
}

static void init_tap(const char *text, struct ei_tap *out)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    EI_REQUIRE(ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag) == 0);
    EI_REQUIRE(ei_tap_init(out, wl, 0, NULL) == 0);
    ei_diagnostics_fini(&diag);
    ei_workload_destroy(wl);
}

/* Of a paused task no job will come, so its rehearsals would only delay others. */
EI_TEST(live_paused_task_does_not_rehearse)
{
    static struct ei_tap own_tap; /* large */
    static const char text[] =
        "version: 1\nname: paused\nrun: { duration: 400ms, seed: 1 }\n"
        "lanes: { lane0: { kind: cpu } }\n"
        "models: { net: { emulate: { blocks: [ { conv: 300us, branch: 20us, score: 0.5 } ] } } }\n"
        "tasks:\n"
        "  - { name: one, arrival: { model: periodic, period: 10ms }, priority: 60, rehearse: 3ms,\n"
        "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
        "outputs: { dir: out }\n";
    struct outcome run;
    init_tap(text, &own_tap);
    tap = &own_tap;
    rehearsals = 0;
    paused_after = 5;
    run_text(text, NULL, NULL, &run);
    tap = NULL;
    paused_after = 0;
    const int64_t withheld = atomic_load(&own_tap.settings[0].withheld);
    ei_tap_fini(&own_tap);
    EI_TRUEF(run.rc == 0, "%s", run.err.text);
    EI_TRUE(run.result.is_identity_ok);
    EI_EQ(run.releases + withheld, 41);
    EI_TRUEF(withheld > 1, "%" PRId64 " withheld", withheld);
    EI_EQ(rehearsals, 5);
}

/* Three tasks, two lanes: whoever finds none free queues for one of them. */
EI_TEST(live_jobs_share_lanes)
{
    struct outcome run;
    run_text("version: 1\nname: shared\nrun: { duration: 300ms, seed: 1 }\n"
             "platform: { rt_load_cap: 1.0 }\n"
             "lanes: { lane0: { kind: cpu }, lane1: { kind: cpu } }\n"
             "models: { net: { emulate: { blocks: [ { conv: 1ms, branch: 20us, score: 0.5 },\n"
             "                                      { conv: 1ms, branch: 20us, score: 0.9 } ] } } }\n"
             "planner: { search: all }\n"
             "scheduler: { policy: edf }\n"
             "tasks:\n"
             "  - { name: one, arrival: { model: periodic, period: 11ms }, on_preempt: elastic,\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: any } ] }\n"
             "  - { name: two, arrival: { model: periodic, period: 12ms }, on_preempt: resume,\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: [lane1, lane0] } ] }\n"
             "  - { name: three, arrival: { model: periodic, period: 13ms },\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
             "outputs: { dir: out }\n",
             NULL, NULL, &run);
    EI_REQUIRE(run.rc == 0);
    EI_EQ(run.result.faulty_jobs, 0);
    EI_TRUE(run.result.is_identity_ok);
    EI_TRUEF(run.releases > 60, "only %" PRId64 " releases", run.releases);
}

/* Nobody holds the lane; the tasks' own networks run one in the other. */
EI_TEST(live_kernel_lane_has_no_gate)
{
    struct outcome run;
    run_text("version: 1\nname: kernel\nrun: { duration: 300ms, seed: 1 }\n"
             "platform: { rt_load_cap: 1.0 }\n"
             "lanes: { lane0: { kind: cpu, preempt: kernel } }\n"
             "models: { net: { emulate: { blocks: [ { conv: 1ms, branch: 20us, score: 0.5 },\n"
             "                                      { conv: 1ms, branch: 20us, score: 0.9 } ] } } }\n"
             "planner: { search: all }\n"
             "tasks:\n"
             "  - { name: one, arrival: { model: periodic, period: 11ms }, priority: 60,\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
             "  - { name: two, arrival: { model: periodic, period: 7ms }, priority: 70,\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
             "outputs: { dir: out }\n",
             NULL, NULL, &run);
    EI_REQUIRE(run.rc == 0);
    EI_EQ(run.result.faulty_jobs, 0);
    EI_TRUE(run.result.is_identity_ok);
    EI_EQ(run.preemptions, 0);
    EI_TRUEF(run.releases > 50, "only %" PRId64 " releases", run.releases);
}

/* A chain through three threads, one of them SCHED_OTHER, ended by a signal in its midst: one record of each release in
 * each task. The sample that cannot be read aborts a job, and with it those behind it. */
EI_TEST(live_chain_accounts_every_release)
{
    struct outcome run;
    signal_in_cycle = 20;
    is_sample_broken = true;
    run_text("version: 1\nname: chain\nrun: { duration: 60s, seed: 1 }\n"
             "lanes: { lane0: { kind: cpu, preempt: block } }\n"
             "models: { net: { emulate: { blocks: [ { conv: 100us, branch: 20us, score: 0.9 } ] } } }\n"
             "tasks:\n"
             "  - { name: last, arrival: { model: after, task: net }, deadline: none, class: other,\n"
             "      stages: [ { name: work, kind: cpu, work: { spin: 50us } } ] }\n"
             "  - { name: net, arrival: { model: after, task: tick }, priority: 50,\n"
             "      late_release: { queue: 8, drop: newest },\n"
             "      input: { kind: generated, seed: 1, count: 50, split: test },\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
             "  - { name: tick, arrival: { model: periodic, period: 5ms }, priority: 60, late_release: skip,\n"
             "      stages: [ { name: work, kind: cpu, work: { spin: 100us } } ] }\n"
             "outputs: { dir: out }\n",
             NULL, NULL, &run);
    EI_REQUIRE(run.rc == 0);
    EI_TRUE(run.result.is_ended_early);
    EI_TRUEF(run.result.is_identity_ok, "a release of the chain is not accounted");
    EI_TRUEF(run.released[0] > 0 && run.released[1] > 0, "the chain never ran: %" PRId64 ", %" PRId64, run.released[1],
             run.released[0]);
    EI_TRUE(run.skipped[0] > 0);
}

/* Budgets are processor time and timeouts are time, in a live run too. */
EI_TEST(live_overruns_abort_and_are_counted)
{
    struct outcome run;
    run_text("version: 1\nname: overrun\nrun: { duration: 300ms, seed: 1 }\n"
             "tasks:\n"
             "  - { name: over, arrival: { model: periodic, period: 20ms }, priority: 60, on_overrun: abort,\n"
             "      stages: [ { name: work, kind: cpu, work: { spin: 2ms }, budget: 100us },\n"
             "                { name: more, kind: cpu, work: { spin: 1ms } } ] }\n"
             "  - { name: late, arrival: { model: periodic, period: 20ms }, priority: 61, on_overrun: abort,\n"
             "      stages: [ { name: work, kind: cpu, work: { spin: 2ms }, timeout: 100us } ] }\n"
             "  - { name: good, arrival: { model: periodic, period: 20ms }, deadline: none, priority: 62,\n"
             "      late_release: { queue: 64, drop: newest }, on_overrun: abort,\n"
             "      stages: [ { name: work, kind: cpu, work: { spin: 100us }, budget: 10s, timeout: 100s } ] }\n"
             "outputs: { dir: out }\n",
             NULL, NULL, &run);
    EI_REQUIRE(run.rc == 0);
    EI_TRUE(run.result.is_identity_ok);
    EI_TRUE(run.released[0] > 0 && run.aborted[0] == run.released[0]);
    EI_TRUE(run.released[1] > 0 && run.aborted[1] == run.released[1]);
    EI_TRUE(run.released[2] > 0 && run.aborted[2] == 0);
}

static void expect_said(FILE *file, const char *text)
{
    static char said[65536];
    EI_REQUIRE(file != NULL);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    EI_CONTAINS(said, text);
}

/* One task runs away on a CPU that it shares with a lower one, which could not run if it stayed in real time. */
static void run_runaway(const char *rest, const char *budget, struct outcome *run)
{
    struct ei_cpuset allowed;
    char text[2048];
    EI_REQUIRE(ei_topology_allowed(&allowed, NULL) == 0);
    const int cpu = ei_cpuset_next(&allowed, 0);
    snprintf(text, sizeof text,
             "version: 1\nname: runaway\nrun: { duration: 400ms, seed: 1 }\n"
             "platform: { watchdog: 4 }\n"
             "tasks:\n"
             "  - { name: wild, arrival: { model: periodic, period: 20ms }, priority: 50, cpus: \"%d\",%s\n"
             "      stages: [ { name: work, kind: cpu, work: { spin: 777us }%s } ] }\n"
             "  - { name: beside, arrival: { model: burst, count: 40, spacing: 10ms }, deadline: none, priority: 10,\n"
             "      cpus: \"%d\", late_release: { queue: 64, drop: newest },\n"
             "      stages: [ { name: work, kind: cpu, work: { spin: 55us }, budget: 10s } ] }\n"
             "outputs: { dir: out }\n",
             cpu, rest, budget, cpu);
    is_runaway_due = true;
    run_text(text, NULL, NULL, run);
    EI_REQUIRE(run->rc == 0);
    if (!was_fifo) {
        ei_test_skip("SCHED_FIFO is refused here: there is nothing to demote");
    }
}

EI_TEST(live_runaway_is_demoted_and_the_others_go_on)
{
    struct outcome run;
    run_runaway("", ", budget: 1ms", &run);
    EI_TRUEF(is_demoted, "the runaway stayed SCHED_FIFO");
    EI_TRUEF(beside >= BESIDE_WANTED, "%d jobs ran beside the runaway", (int)beside);
    EI_EQ(run.result.demoted_tasks, 1);
    EI_TRUE(run.result.is_identity_ok);
    EI_EQ(run.released[1], 40);
    EI_TRUEF(run.released[0] > 1, "the demoted task had no further job");
    expect_said(run.said, "DEGRADED: task 'wild' was demoted to SCHED_OTHER");
    expect_said(run.said, "\"why\": \"runaway\"");
    expect_said(run.messages, "einet run: task 'wild' was demoted to SCHED_OTHER");
}

EI_TEST(live_runaway_takes_all_threads_of_its_task_along)
{
    struct outcome run;
    run_runaway(" overlap: 3,", ", budget: 1ms", &run);
    EI_TRUEF(is_demoted, "the runaway stayed SCHED_FIFO");
    EI_EQ(run.result.demoted_tasks, 1);
    EI_TRUE(run.result.is_identity_ok);
    EI_TRUEF(run.released[0] > 3, "%d jobs of the demoted task", (int)run.released[0]);
    EI_EQ(fifo_after, 0);
}

/* Without a budget only the housekeeper's silence tells: here it is held up while the task has the CPU. */
EI_TEST(live_task_that_starves_the_housekeeper_is_demoted)
{
    struct outcome run;
    is_housekeeper_stuck = true;
    run_runaway("", "", &run);
    EI_TRUEF(is_demoted, "the runaway stayed SCHED_FIFO");
    EI_EQ(run.result.demoted_tasks, 1);
    EI_TRUE(run.result.is_identity_ok);
    expect_said(run.said, "it kept housekeeping from running");
    expect_said(run.said, "\"why\": \"starving\"");
}

/* A job without its sample is a fault of the run, not only of the job. */
EI_TEST(live_sample_that_cannot_be_read_is_a_fault)
{
    struct outcome run;
    is_sample_broken = true;
    run_text("version: 1\nname: unread\nrun: { duration: 200ms, seed: 1 }\n"
             "lanes: { lane0: { kind: cpu, preempt: block } }\n"
             "models: { net: { emulate: { blocks: [ { conv: 100us, branch: 20us, score: 0.9 } ] } } }\n"
             "tasks:\n"
             "  - { name: one, arrival: { model: periodic, period: 20ms }, priority: 60,\n"
             "      late_release: { queue: 8, drop: newest },\n"
             "      input: { kind: generated, seed: 1, count: 50, split: test },\n"
             "      stages: [ { name: net, kind: nn, model: net, lane: lane0 } ] }\n"
             "outputs: { dir: out }\n",
             NULL, NULL, &run);
    EI_REQUIRE(run.rc == 0);
    EI_EQ(run.result.faulty_jobs, 1);
    EI_CONTAINS(run.result.fault_text, "job 3");
    EI_TRUE(run.result.is_identity_ok);
}

EI_MAIN()
