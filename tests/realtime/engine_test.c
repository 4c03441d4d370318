/* The proof that the live engine keeps its real-time rules: whole runs in this process under the guard, with nothing
 * forbidden seen between the releases of jobs and their finish. And the proof of the proof: one violation put into the
 * middle of a run, of each kind in turn, is found; the same in a submit section is not.
 *
 * The linker wraps ei_spin (CMakeLists.txt), which jobs call: that is where violations are put in. The code that runs
 * is the engine's own.
 */
#include "engine/live.h"
#include "rt/clock.h"
#include "rt/memory.h"
#include "rt/section.h"
#include "stages/spin.h"
#include "tests/harness/harness.h"
#include "tests/realtime/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORKLOADS "tests/realtime/workloads/"
#define PAGE_BYTES 4096
#define KERNEL_KIB_MAX 1024 /* vvar, vdso and the like cannot be locked */

/* ---- violations on demand ---- */

enum deed { NO_DEED, DO_MALLOC, DO_PLAIN_LOCK, DO_GETPID, DO_TOUCH_PAGE };

static atomic_int deed_due; /* taken by the first job that comes along */
static bool is_deed_in_submit;
static atomic_int deeds_done;
static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static char *absent_page; /* forgotten by the kernel once more, right before the first release */

static void do_deed(int deed)
{
    void *volatile block;
    switch (deed) {
    case DO_MALLOC:
        block = malloc(123);
        free(block);
        break;
    case DO_PLAIN_LOCK:
        pthread_mutex_lock(&plain);
        pthread_mutex_unlock(&plain);
        break;
    case DO_GETPID:
        (void)syscall(SYS_getpid);
        break;
    case DO_TOUCH_PAGE:
        *(volatile char *)absent_page = 1;
        break;
    default:
        break;
    }
    atomic_fetch_add(&deeds_done, 1);
}

void __real_ei_spin(int64_t work_ns); /* NOLINT: the linker's names */
void __wrap_ei_spin(int64_t work_ns);

void __wrap_ei_spin(int64_t work_ns)
{
    __real_ei_spin(work_ns);
    if (ei_rt_section_state() != EI_RT_SECTION) {
        return; /* the engine measures its blocks before the run */
    }
    const int deed = atomic_exchange(&deed_due, NO_DEED);
    if (deed == NO_DEED) {
        return;
    }
    if (is_deed_in_submit) {
        ei_rt_submit_enter();
    }
    do_deed(deed);
    if (is_deed_in_submit) {
        ei_rt_submit_leave();
    }
}

/* ---- a run under the guard ---- */

struct guarded_run {
    struct ei_guard_report report;
    bool is_memory_locked;
    int64_t jobs, preemptions, dropped;
    int64_t deadline_exits; /* jobs that ended because of their deadline */
};

/* Read while the run holds its memory: whether all of it is locked, apart from what the kernel maps itself. */
static bool is_all_locked(void)
{
    char line[128];
    long all_kib = 0, locked_kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        (void)sscanf(line, "VmSize: %ld kB", &all_kib);
        (void)sscanf(line, "VmLck: %ld kB", &locked_kib);
    }
    if (status != NULL) {
        fclose(status);
    }
    printf("%ld of %ld KiB are locked\n", locked_kib, all_kib);
    return locked_kib > 0 && all_kib - locked_kib < KERNEL_KIB_MAX;
}

/* All job threads are ready, memory is locked, no job has been released. */
static void on_ready(void *context)
{
    struct guarded_run *run = context;
    run->is_memory_locked = is_all_locked();
    if (absent_page != NULL) {
        EI_EQ(munlock(absent_page, PAGE_BYTES), 0);
        EI_EQ(madvise(absent_page, PAGE_BYTES, MADV_DONTNEED), 0);
    }
    ei_guard_reset();
}

static int64_t count_cause(const char *out_dir, const char *cause)
{
    char path[sizeof((struct ei_live_result *)NULL)->out_dir + 16], line[1024], field[32];
    int64_t count = 0;
    snprintf(path, sizeof path, "%s/jobs.csv", out_dir);
    snprintf(field, sizeof field, ",completed,%s,", cause);
    FILE *jobs = fopen(path, "r");
    if (!EI_TRUEF(jobs != NULL, "cannot read %s", path)) {
        return 0;
    }
    while (fgets(line, sizeof line, jobs) != NULL) {
        count += strstr(line, field) != NULL;
    }
    fclose(jobs);
    return count;
}

/* A machine whose clock is no user-space one breaks the rules before any code of ours can. */
static void skip_without_user_clock(void)
{
    struct ei_guard_report report;
    ei_guard_reset();
    ei_rt_section_enter();
    (void)ei_mono_now();
    ei_rt_section_leave();
    ei_guard_violations(&report);
    if (report.violations[EI_GUARD_SYSCALL].count > 0) {
        ei_test_skip("reading the clock is a system call on this machine (see current_clocksource)");
    }
}

/* The guard first, as it must be there before any other thread. */
static void install(void)
{
    sigset_t signals;
    EI_EQ(ei_guard_install(), 0);
    skip_without_user_clock();
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
}

/* Run the workload as `einet run` does. Returns false, with a failed check, when there was no run. */
static bool run_guarded(const char *file, struct guarded_run *out)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct ei_live_result result;
    struct einet_error err = {0};
    const struct ei_live_options options = {
        .out_dir = ei_test_tmpdir(), .program = "test_realtime_engine", .on_ready = on_ready, .context = out};
    *out = (struct guarded_run){0};
    const int rc = ei_workload_load(file, &wl, &diag);
    if (rc < 0) {
        ei_diagnostics_print(&diag, stderr);
    }
    ei_diagnostics_fini(&diag);
    if (!EI_TRUEF(rc == 0, "%s is not a good workload", file)) {
        return false;
    }
    (void)ei_memory_tune_malloc();
    const int run_rc = ei_live_run(wl, &options, &result, &err);
    ei_guard_violations(&out->report);
    ei_guard_print(&out->report, stdout);
    if (EI_TRUEF(run_rc == 0, "the run failed: %s", err.text)) {
        EI_TRUE(result.is_identity_ok);
        EI_TRUEF(result.faulty_jobs == 0, "%d faulty jobs: %s", result.faulty_jobs, result.fault_text);
        for (int32_t i = 0; i < wl->task_count; i++) {
            const struct ei_metrics_progress p = ei_collector_progress(result.collector, i);
            out->jobs += p.released;
            out->preemptions += p.preemptions;
            out->dropped += p.dropped;
        }
        out->deadline_exits = count_cause(result.out_dir, "deadline");
        printf("%" PRId64 " jobs, %" PRId64 " preemptions, %" PRId64 " dropped, %" PRId64 " ended by their deadline\n",
               out->jobs, out->preemptions, out->dropped, out->deadline_exits);
        ei_collector_destroy(result.collector);
    }
    ei_workload_destroy(wl);
    return run_rc == 0;
}

/* Whether a kind was watched in this run at all. Pages that may not be locked may fault: nothing is claimed of them. */
static bool is_claimed(const struct guarded_run *run, enum ei_guard_kind kind)
{
    if (kind == EI_GUARD_FAULT && ei_guard_can_watch(kind) && !run->is_memory_locked) {
        printf("page faults: not judged, memory could not be locked (%" PRIu64 " seen)\n",
               run->report.violations[kind].count);
        return false;
    }
    return ei_guard_can_watch(kind);
}

/* Exactly `count` violations of `kind` and none of the others; EI_GUARD_KINDS and 0 for none at all. */
static void expect_only(const struct guarded_run *run, enum ei_guard_kind kind, uint64_t count)
{
    EI_EQ(run->report.unwatched, 0);
    for (int i = 0; i < EI_GUARD_KINDS; i++) {
        const struct ei_guard_violation *v = &run->report.violations[i];
        if (is_claimed(run, (enum ei_guard_kind)i)) {
            EI_TRUEF(v->count == (i == (int)kind ? count : 0), "%" PRIu64 " violations of kind %d, the first: %s %lld",
                     v->count, i, v->what, (long long)v->detail);
        }
    }
}

static void skip_unless_watched(void)
{
    for (int i = 0; i < EI_GUARD_KINDS; i++) {
        if (!ei_guard_can_watch((enum ei_guard_kind)i)) {
            printf("kind %d is not watched: %s\n", i, ei_guard_why_not((enum ei_guard_kind)i));
        }
    }
    if (!ei_guard_can_watch(EI_GUARD_ALLOCATION) && !ei_guard_can_watch(EI_GUARD_SYSCALL)) {
        ei_test_skip("neither allocations nor system calls can be watched: %s", ei_guard_why_not(EI_GUARD_ALLOCATION));
    }
}

/* ---- the proof ---- */

EI_TEST(engine_keeps_the_rules_with_emulated_networks)
{
    struct guarded_run run;
    install();
    skip_unless_watched();
    EI_REQUIRE(run_guarded(WORKLOADS "emulated.yaml", &run));
    expect_only(&run, EI_GUARD_KINDS, 0);
    /* the run was worth watching */
    EI_TRUEF(run.report.sections > 500, "only %" PRIu64 " sections", run.report.sections);
    EI_TRUEF(run.preemptions > 10, "only %" PRId64 " preemptions", run.preemptions);
    EI_TRUE(run.report.submits > 0);
    EI_TRUE(run.dropped > 0);
    EI_TRUE(run.deadline_exits > 0);
    if (ei_guard_can_watch(EI_GUARD_SYSCALL)) {
        EI_TRUE(run.report.allowed_calls > 0);
    }
}

EI_TEST(engine_keeps_the_rules_around_a_real_network)
{
    char plugin[512];
    struct guarded_run run;
    snprintf(plugin, sizeof plugin, "%s/libeinet_torch.so", ei_test_build_dir());
    if (access(plugin, R_OK) != 0) {
        ei_test_skip("no libtorch plug-in in this build");
    }
    if (access("models/pretrained/b-alexnet-generated.safetensors", R_OK) != 0) {
        ei_test_skip("no pretrained weights");
    }
    install();
    skip_unless_watched();
    EI_REQUIRE(run_guarded(WORKLOADS "network.yaml", &run));
    expect_only(&run, EI_GUARD_KINDS, 0);
    EI_TRUEF(run.report.sections > 500, "only %" PRIu64 " sections", run.report.sections);
    EI_TRUEF(run.preemptions > 0, "no preemption in %" PRId64 " jobs", run.jobs);
    EI_TRUEF(run.report.submits > 1000, "only %" PRIu64 " submit sections", run.report.submits);
}

/* ---- the proof can fail ---- */

static void prepare_deed(enum deed deed, enum ei_guard_kind kind, bool is_in_submit)
{
    install();
    if (!ei_guard_can_watch(kind)) {
        ei_test_skip("%s", ei_guard_why_not(kind));
    }
    if (deed == DO_TOUCH_PAGE) {
        absent_page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (absent_page == MAP_FAILED) {
            ei_test_skip("no memory for a page");
        }
    }
    is_deed_in_submit = is_in_submit;
    atomic_store(&deed_due, deed);
}

static void expect_caught(enum deed deed, enum ei_guard_kind kind, uint64_t count)
{
    struct guarded_run run;
    prepare_deed(deed, kind, false);
    EI_REQUIRE(run_guarded(WORKLOADS "short.yaml", &run));
    EI_EQ(atomic_load(&deeds_done), 1);
    if (kind == EI_GUARD_FAULT && !run.is_memory_locked) {
        EI_TRUE(run.report.violations[kind].count >= count);
        return;
    }
    expect_only(&run, kind, count);
}

EI_TEST(malloc_in_a_job_is_found)
{
    expect_caught(DO_MALLOC, EI_GUARD_ALLOCATION, 2); /* and its free */
}

EI_TEST(plain_lock_in_a_job_is_found)
{
    expect_caught(DO_PLAIN_LOCK, EI_GUARD_LOCK, 1);
}

EI_TEST(system_call_in_a_job_is_found)
{
    expect_caught(DO_GETPID, EI_GUARD_SYSCALL, 1);
}

EI_TEST(page_fault_in_a_job_is_found)
{
    expect_caught(DO_TOUCH_PAGE, EI_GUARD_FAULT, 1);
}

EI_TEST(submit_section_of_a_job_is_free)
{
    struct guarded_run run;
    prepare_deed(DO_GETPID, EI_GUARD_SYSCALL, true);
    EI_REQUIRE(run_guarded(WORKLOADS "short.yaml", &run));
    EI_EQ(atomic_load(&deeds_done), 1);
    EI_EQ(run.report.submits, 1);
    expect_only(&run, EI_GUARD_KINDS, 0);
}

EI_MAIN()
