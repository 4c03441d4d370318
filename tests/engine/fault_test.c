/* Faults put into live runs, one kind a run: every other job of `victim` meets it, and its miss must be called by its
 * name. The linker wraps the start of a job, so that the fault knows which one it hits, and spinning and sleeping,
 * through which it strikes. Asserted is the name, never a time. A job is counted when the fault did strike it, which
 * the fault itself notes: where the machine holds up the task that shall be in the way, there is no fault to be named.
 * A job in whose response the noise probe saw gaps of more than half the fault is left out too: the machine did as
 * much.
 */
#include "engine/live.h"
#include "engine/run_state.h"
#include "metrics/causes.h"
#include "rt/clock.h"
#include "rt/section.h"
#include "stages/spin.h"
#include "tests/harness/harness.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAULT_NS (6 * EI_NS_PER_MS)         /* the victim's deadline is 3 ms */
#define HEAD_START_NS (1500 * EI_NS_PER_US) /* `low` is released so long before whoever waits for it */
#define BURST 8
#define JOBS_MAX 256
#define COLUMNS_MAX 64
#define INJECTIONS_MIN 40
#define RUNS_MAX 3 /* the machine may do worse than the fault without a gap that the probe sees; not three times */

enum fault { LATE_RELEASE, LONG_BLOCK, HIGH_BURST, OVERRUN, STOP };

static enum fault fault;
static _Atomic bool *struck; /* [JOBS_MAX] by the victim's job: the fault was in its way; shared with the child */
static _Thread_local const struct ei_live_task *task_here; /* whose job runs in this thread */
static _Thread_local int64_t job_here = -1, released_ns;
static _Thread_local bool is_fault_due;

void __real_ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns); /* NOLINT */
void __wrap_ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns);
void __real_ei_spin(int64_t work_ns); /* NOLINT: the linker's names */
void __wrap_ei_spin(int64_t work_ns);
void __real_ei_mono_sleep_until(struct ei_mono t); /* NOLINT */
void __wrap_ei_mono_sleep_until(struct ei_mono t);

static bool is_hit(int64_t job_idx)
{
    return job_idx % 2 == 1;
}

static void note_strike(int64_t victim_idx)
{
    if (victim_idx < JOBS_MAX) {
        atomic_store(&struck[victim_idx], true);
    }
}

static bool is_task(const char *name)
{
    return task_here != NULL && strcmp(task_here->spec->name, name) == 0;
}

void __wrap_ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns)
{
    task_here = slot->task;
    job_here = release.job_idx;
    released_ns = release.nominal_ns;
    if (fault == HIGH_BURST && is_task("high")) {
        note_strike(2 * (job_here / BURST) + 1);
    }
    is_fault_due = is_hit(job_here);
    __real_ei_job_run(slot, release, awake_ns);
    is_fault_due = false;
}

void __wrap_ei_spin(int64_t work_ns)
{
    const bool is_struck =
        is_fault_due &&
        (fault == LONG_BLOCK ? is_task("low") : (fault == OVERRUN || fault == STOP) && is_task("victim"));
    is_fault_due = is_fault_due && !is_struck; /* once a job */
    if (is_struck && (fault != LONG_BLOCK || ei_mono_now().ns < released_ns + HEAD_START_NS)) {
        note_strike(job_here);
    }
    if (is_struck && fault == STOP) {
        ei_rt_submit_enter();
        (void)raise(SIGSTOP); /* stops all threads, this one at once; the parent lets them go on */
        ei_rt_submit_leave();
    }
    __real_ei_spin(is_struck && fault != STOP ? work_ns + FAULT_NS : work_ns);
}

void __wrap_ei_mono_sleep_until(struct ei_mono t)
{
    __real_ei_mono_sleep_until(t);
    if (fault == LATE_RELEASE && is_task("victim") && is_hit(job_here + 1)) {
        note_strike(job_here + 1);
        __real_ei_mono_sleep_until(ei_mono_add(t, FAULT_NS));
    }
}

/* ---- the run, in a process of its own that can be stopped ---- */

static int run(const char *text, const char *out_dir)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    const struct ei_live_options options = {.out_dir = out_dir, .program = "test_engine_fault"};
    int rc = ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag);
    if (rc < 0) {
        ei_diagnostics_print(&diag, stderr);
    }
    ei_diagnostics_fini(&diag);
    if (rc == 0) {
        rc = ei_live_run(wl, &options, &result, &err);
        fprintf(stderr, "%s", err.text);
        ei_collector_destroy(result.collector);
    }
    ei_workload_destroy(wl);
    return rc == 0 && result.is_identity_ok ? 0 : 1;
}

/* Run it in a child; each time it stops, wait for as long as the fault shall last and let it go on. */
static bool run_in_child(const char *text, const char *out_dir)
{
    int status = 0;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(run(text, out_dir));
    }
    while (pid > 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
        __real_ei_mono_sleep_until(ei_mono_add(ei_mono_now(), FAULT_NS));
        (void)kill(pid, SIGCONT);
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- what jobs.csv says of the victim ---- */

struct tally {
    int hit, noisy, right, violations;
    bool is_degraded;
    char wrong[256]; /* the first line that is called otherwise */
};

static int split(char *line, char **out)
{
    int count = 0;
    line[strcspn(line, "\r\n")] = '\0';
    while (line != NULL && count < COLUMNS_MAX) {
        out[count++] = strsep(&line, ",");
    }
    return count;
}

static const char *cell(char *const *head, char *const *cells, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(head[i], name) == 0) {
            return cells[i];
        }
    }
    EI_TRUEF(false, "jobs.csv has no column '%s'", name);
    return "";
}

static void check_sum(char *const *head, char *const *cells, int count)
{
    int64_t sum_ns = 0;
    for (int i = 0; i < EI_PARTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_ns", ei_miss_cause_name(i));
        sum_ns += strtoll(cell(head, cells, count, name), NULL, 10);
    }
    EI_EQ(sum_ns, strtoll(cell(head, cells, count, "finish_ns"), NULL, 10));
}

static void count_job(char *const *head, char *const *cells, int count, const char *wanted, struct tally *tally)
{
    const int64_t gap_ns = strtoll(cell(head, cells, count, "gap_ns"), NULL, 10);
    const char *cause = cell(head, cells, count, "miss_cause");
    if (strcmp(cell(head, cells, count, "outcome"), "completed") != 0) {
        return;
    }
    check_sum(head, cells, count);
    const int64_t job_idx = strtoll(cell(head, cells, count, "job_idx"), NULL, 10);
    if (strcmp(cells[0], "victim") != 0 || job_idx >= JOBS_MAX || !atomic_load(&struck[job_idx])) {
        return;
    }
    tally->hit++;
    if (fault != STOP && gap_ns > FAULT_NS / 2) {
        tally->noisy++;
        return;
    }
    tally->violations += strcmp(cell(head, cells, count, "over_profile"), "profile_violation") == 0;
    if (strcmp(cause, wanted) == 0) {
        tally->right++;
    } else if (tally->wrong[0] == '\0') {
        size_t length = 0;
        for (int i = 0; i < count && length < sizeof tally->wrong; i++) {
            length += (size_t)snprintf(tally->wrong + length, sizeof tally->wrong - length, "%s,", cells[i]);
        }
    }
}

static struct tally read_jobs(const char *out_dir, const char *wanted)
{
    char path[600], head_line[2048] = "", line[2048];
    char *head[COLUMNS_MAX], *cells[COLUMNS_MAX];
    int count = 0;
    struct tally tally = {0};
    snprintf(path, sizeof path, "%s/jobs.csv", out_dir);
    FILE *file = fopen(path, "re");
    if (!EI_TRUEF(file != NULL, "cannot read %s", path)) {
        return tally;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#') {
            tally.is_degraded = true;
        } else if (count == 0) {
            memcpy(head_line, line, sizeof head_line);
            count = split(head_line, head);
        } else if (split(line, cells) == count) {
            count_job(head, cells, count, wanted, &tally);
        }
    }
    fclose(file);
    return tally;
}

static bool is_nearly_all(int part, const struct tally *t)
{
    return part * 100 >= (t->hit - t->noisy) * 99;
}

/* Run the tasks under the fault, again if the machine interfered, and compare what the jobs it hit are called. */
static void inject(enum fault kind, const char *wanted, const char *tasks)
{
    char text[2048], out_dir[512];
    fault = kind;
    struck = mmap(NULL, JOBS_MAX * sizeof *struck, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!EI_TRUE(struck != MAP_FAILED)) {
        return;
    }
    snprintf(text, sizeof text,
             "version: 1\nname: fault\nrun: { duration: 2s, warmup: 0s, seed: 1 }\n"
             "platform: { housekeeping_cpus: none }\n"
             "lanes: { acc: { kind: cpu, cpus: \"0\", preempt: block } }\n"
             "models: { net: { emulate: { blocks: [ { conv: 300us, score: 0.9 } ] } } }\n"
             "tasks:\n%s",
             tasks);
    snprintf(out_dir, sizeof out_dir, "%s/out", ei_test_tmpdir());
    struct tally t = {0};
    bool is_good = false;
    for (int attempt = 0; attempt < RUNS_MAX && !is_good; attempt++) {
        for (int i = 0; i < JOBS_MAX; i++) {
            atomic_store(&struck[i], false);
        }
        EI_TRUE(run_in_child(text, out_dir));
        t = read_jobs(out_dir, wanted);
        printf("%d jobs hit, %d of them left out for gaps of the machine, %d called %s\n", t.hit, t.noisy, t.right,
               wanted);
        if (t.is_degraded) {
            ei_test_skip("without SCHED_FIFO nobody knows who has the processor");
        }
        is_good = t.hit - t.noisy >= INJECTIONS_MIN && is_nearly_all(t.right, &t) &&
                  (kind != OVERRUN || is_nearly_all(t.violations, &t));
    }
    if (t.hit - t.noisy < INJECTIONS_MIN) {
        ei_test_skip("the machine is too noisy: %d of %d jobs are left", t.hit - t.noisy, t.hit);
    }
    (void)munmap(struck, JOBS_MAX * sizeof *struck);
    EI_TRUEF(is_good, "%d of %d are called %s, %d are over their profile; another: %s", t.right, t.hit - t.noisy,
             wanted, t.violations, t.wrong);
}

#define VICTIM                                                                                                         \
    "  - { name: victim, arrival: { model: periodic, period: 10ms, offset: 3ms }, deadline: 3ms, priority: 60,\n"      \
    "      cpus: \"0\", late_release: skip, stages: [ { name: w, kind: cpu, work: { spin: 500us } } ] }\n"

EI_TEST(late_release_is_called_release_delay)
{
    inject(LATE_RELEASE, "release_delay", VICTIM);
}

EI_TEST(long_block_of_a_lower_task_is_called_blocking)
{
    inject(LONG_BLOCK, "blocking",
           "  - { name: low, arrival: { model: periodic, period: 10ms, offset: 500us }, priority: 20,\n"
           "      late_release: skip, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
           "  - { name: victim, arrival: { model: periodic, period: 10ms, offset: 3ms }, deadline: 3ms,\n"
           "      priority: 60, late_release: skip, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n");
}

EI_TEST(lent_priority_is_called_blocking)
{
    inject(LONG_BLOCK, "blocking",
           "  - { name: low, arrival: { model: periodic, period: 10ms, offset: 500us }, priority: 20,\n"
           "      late_release: skip, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
           "  - { name: high, arrival: { model: periodic, period: 10ms, offset: 2ms }, priority: 80,\n"
           "      late_release: skip, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n" VICTIM);
}

EI_TEST(burst_of_a_higher_task_is_called_interference)
{
    inject(HIGH_BURST, "interference",
           "  - { name: high, arrival: { model: burst, period: 20ms, offset: 13ms, count: 8, spacing: 800us },\n"
           "      priority: 80, cpus: \"0\", late_release: { queue: 8, drop: oldest },\n"
           "      stages: [ { name: w, kind: cpu, work: { spin: 700us } } ] }\n" VICTIM);
}

EI_TEST(own_overrun_is_called_execution)
{
    inject(OVERRUN, "execution", VICTIM);
}

EI_TEST(stopped_process_is_called_machine)
{
    inject(STOP, "machine", VICTIM);
}

EI_MAIN()
