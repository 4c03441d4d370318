/* The guard's own test: clean sections pass, and each kind of violation is caught, attributed, and caught only inside.
 */
#include "tests/harness/harness.h"

#include "rt/handoff.h"
#include "rt/section.h"
#include "rt/thread.h"
#include "tests/realtime/guard.h"
#include "tests/realtime/guard_internal.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void install(void)
{
    const int rc = ei_guard_install();
    EI_TRUE(rc == 0 || rc == -EALREADY); /* all cases in one process */
    /* Where it is permitted, so that a machine that pages code out does not blame a section for it. Present pages only:
     * one case needs a fresh one that faults. */
    (void)mlockall(MCL_CURRENT);
}

static void install_or_skip(enum ei_guard_kind kind)
{
    install();
    if (!ei_guard_can_watch(kind)) {
        ei_test_skip("%s", ei_guard_why_not(kind));
    }
}

static struct ei_guard_report report_of(void (*section)(void *), void *arg)
{
    struct ei_guard_report report;
    ei_guard_reset();
    ei_rt_section_enter();
    section(arg);
    ei_rt_section_leave();
    ei_guard_violations(&report);
    return report;
}

static void expect_only(const struct ei_guard_report *report, enum ei_guard_kind kind, uint64_t count)
{
    for (int i = 0; i < EI_GUARD_KINDS; i++) {
        if (!EI_TRUEF(report->violations[i].count == (i == (int)kind ? count : 0), "kind %d: %" PRIu64 " violations", i,
                      report->violations[i].count)) {
            ei_guard_print(report, stderr);
        }
    }
}

#define NO_KIND EI_GUARD_KINDS

struct tools {
    struct ei_handoff_guard guard;
    struct ei_waiter waiter;
    pthread_mutex_t plain;
    void *block;
    volatile char *page;
    long result;
};

static struct tools tools;

/* What a job does: clock, sleep, guard, waiter, wake-up, priority. */
static void clean_work(void *arg)
{
    struct tools *t = arg;
    ei_mono_sleep_until(ei_mono_add(ei_mono_now(), 200 * EI_NS_PER_US));
    ei_handoff_guard_lock(&t->guard);
    ei_waiter_prepare(&t->waiter);
    ei_handoff_guard_unlock(&t->guard);
    t->result = ei_waiter_wait(&t->waiter, ei_mono_add(ei_mono_now(), 100 * EI_NS_PER_US));
    const struct sched_param param = {0};
    sched_setscheduler(0, SCHED_OTHER, &param);
    (void)ei_waiter_cancel(&t->waiter);
}

static void tools_init(void)
{
    EI_EQ(ei_handoff_guard_init(&tools.guard, NULL), 0);
    ei_waiter_init(&tools.waiter);
    pthread_mutex_init(&tools.plain, NULL);
    clean_work(&tools); /* its code pages are in memory from here on */
}

EI_TEST(clean_section_passes)
{
    install();
    tools_init();
    for (int i = 0; i < 20; i++) {
        const struct ei_guard_report report = report_of(clean_work, &tools);
        EI_EQ(tools.result, -ETIMEDOUT); /* the calls were made and their results came back */
        EI_EQ(report.sections, 1);
        EI_EQ(report.unwatched, 0);
        expect_only(&report, NO_KIND, 0);
        if (ei_guard_can_watch(EI_GUARD_SYSCALL)) {
            EI_TRUE(report.allowed_calls >= 3); /* sleep, futex, setscheduler: the watch was on */
        }
    }
}

static void do_malloc(void *arg)
{
    ((struct tools *)arg)->block = malloc(123);
}

EI_TEST(malloc_is_caught)
{
    install_or_skip(EI_GUARD_ALLOCATION);
    free(malloc(123)); /* the heap exists: no page fault and no brk beside the call itself */
    const struct ei_guard_report report = report_of(do_malloc, &tools);
    expect_only(&report, EI_GUARD_ALLOCATION, 1);
    EI_STREQ(report.violations[EI_GUARD_ALLOCATION].what, "malloc");
    EI_EQ(report.violations[EI_GUARD_ALLOCATION].detail, 123);
    EI_TRUE(report.violations[EI_GUARD_ALLOCATION].frame_count > 1);
    free(tools.block);
}

static void do_free(void *arg)
{
    free(((struct tools *)arg)->block);
}

EI_TEST(free_is_caught)
{
    install_or_skip(EI_GUARD_ALLOCATION);
    tools.block = malloc(50);
    const struct ei_guard_report report = report_of(do_free, &tools);
    expect_only(&report, EI_GUARD_ALLOCATION, 1);
    EI_STREQ(report.violations[EI_GUARD_ALLOCATION].what, "free");
}

static void do_all_allocations(void *arg)
{
    struct tools *t = arg;
    void *volatile blocks[4]; /* volatile, or the compiler leaves pairs out */
    void *aligned = NULL;
    blocks[0] = calloc(3, 7);
    blocks[1] = realloc(NULL, 64);
    blocks[2] = aligned_alloc(64, 128);
    t->result = posix_memalign(&aligned, 64, 64);
    blocks[3] = aligned;
    for (int i = 0; i < 4; i++) {
        free(blocks[i]);
    }
}

EI_TEST(every_way_to_allocate_is_caught)
{
    install_or_skip(EI_GUARD_ALLOCATION);
    do_all_allocations(&tools);
    const struct ei_guard_report report = report_of(do_all_allocations, &tools);
    EI_EQ(tools.result, 0);
    /* four allocations, four frees; ThreadSanitizer's hooks do not hear of aligned_alloc and posix_memalign */
    EI_EQ(report.violations[EI_GUARD_ALLOCATION].count, GUARD_TSAN ? 6 : 8);
}

static void do_plain_lock(void *arg)
{
    pthread_mutex_lock(&((struct tools *)arg)->plain);
    pthread_mutex_unlock(&((struct tools *)arg)->plain);
}

EI_TEST(mutex_without_inheritance_is_caught)
{
    install_or_skip(EI_GUARD_LOCK);
    tools_init();
    do_plain_lock(&tools);
    const struct ei_guard_report report = report_of(do_plain_lock, &tools);
    expect_only(&report, EI_GUARD_LOCK, 1);
    EI_STREQ(report.violations[EI_GUARD_LOCK].what, "pthread_mutex_lock");
}

static void do_rwlock(void *arg)
{
    pthread_rwlock_rdlock(arg);
    pthread_rwlock_unlock(arg);
}

EI_TEST(rwlock_is_caught)
{
    install_or_skip(EI_GUARD_LOCK);
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    do_rwlock(&lock);
    const struct ei_guard_report report = report_of(do_rwlock, &lock);
    expect_only(&report, EI_GUARD_LOCK, 1);
}

static void do_plain_futex(void *arg)
{
    static unsigned word = 1;
    ((struct tools *)arg)->result = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL); /* returns at once */
}

/* What a lock without inheritance does when it has to wait, taken by any function of any library. */
EI_TEST(futex_of_a_plain_lock_is_caught)
{
    install_or_skip(EI_GUARD_SYSCALL);
    const struct ei_guard_report report = report_of(do_plain_futex, &tools);
    expect_only(&report, EI_GUARD_LOCK, 1);
    EI_STREQ(report.violations[EI_GUARD_LOCK].what, "futex");
    EI_EQ(tools.result, -1);
}

static void do_getpid(void *arg)
{
    ((struct tools *)arg)->result = syscall(SYS_getpid);
}

EI_TEST(foreign_system_call_is_caught_and_still_made)
{
    install_or_skip(EI_GUARD_SYSCALL);
    const struct ei_guard_report report = report_of(do_getpid, &tools);
    expect_only(&report, EI_GUARD_SYSCALL, 1);
    EI_EQ(report.violations[EI_GUARD_SYSCALL].detail, SYS_getpid);
    EI_EQ(report.violations[EI_GUARD_SYSCALL].thread, ei_thread_self_tid());
    EI_TRUE(report.violations[EI_GUARD_SYSCALL].frame_count > 2);
    EI_EQ(tools.result, getpid());
}

static void do_failing_write(void *arg)
{
    struct tools *t = arg;
    t->result = write(-1, "x", 1);
    t->result = t->result == -1 ? errno : 0;
}

EI_TEST(errors_and_arguments_of_watched_calls_are_kept)
{
    install_or_skip(EI_GUARD_SYSCALL);
    struct ei_guard_report report = report_of(do_failing_write, &tools);
    EI_EQ(tools.result, EBADF);
    expect_only(&report, EI_GUARD_SYSCALL, 1);
    EI_EQ(report.violations[EI_GUARD_SYSCALL].detail, SYS_write);
}

static void touch_page(void *arg)
{
    *((struct tools *)arg)->page = 1;
}

EI_TEST(page_fault_is_caught)
{
    install_or_skip(EI_GUARD_FAULT);
    char *fresh = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EI_REQUIRE(fresh != MAP_FAILED);
    tools.page = fresh;
    touch_page(&tools);
    struct ei_guard_report report = report_of(touch_page, &tools);
    expect_only(&report, NO_KIND, 0);
    tools.page = fresh + 4096;
    report = report_of(touch_page, &tools);
    expect_only(&report, EI_GUARD_FAULT, 1);
    munmap(fresh, 8192);
}

static void submit_everything(void *arg)
{
    struct tools *t = arg;
    ei_rt_submit_enter();
    free(malloc(77));
    do_plain_lock(t);
    do_getpid(t);
    touch_page(t);
    ei_rt_submit_leave();
}

EI_TEST(submit_sections_and_outside_are_free)
{
    install();
    tools_init();
    char *fresh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EI_REQUIRE(fresh != MAP_FAILED);
    tools.page = fresh;
    const struct ei_guard_report report = report_of(submit_everything, &tools);
    expect_only(&report, NO_KIND, 0);
    EI_EQ(report.submits, 1);
    /* outside */
    ei_guard_reset();
    do_getpid(&tools);
    free(malloc(99));
    struct ei_guard_report after;
    ei_guard_violations(&after);
    EI_EQ(ei_guard_total(&after), 0);
    munmap(fresh, 4096);
}

static void submit_then_getpid(void *arg)
{
    ei_rt_submit_enter();
    ei_rt_submit_leave();
    do_getpid(arg);
}

EI_TEST(watch_is_on_again_after_a_submit_section)
{
    install_or_skip(EI_GUARD_SYSCALL);
    const struct ei_guard_report report = report_of(submit_then_getpid, &tools);
    expect_only(&report, EI_GUARD_SYSCALL, 1);
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

struct sleeper {
    atomic_int ready;
    atomic_int stop;
    long pid;
};

static void sleep_in_section(void *arg)
{
    struct sleeper *sleeper = arg;
    ei_rt_section_enter();
    atomic_store(&sleeper->ready, 1);
    for (int i = 0; !atomic_load(&sleeper->stop); i++) {
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), 300 * EI_NS_PER_US));
        /* Awake about as long as asleep, so that some signals arrive between system calls. */
        for (const struct ei_mono until = ei_mono_add(ei_mono_now(), 300 * EI_NS_PER_US);
             ei_mono_before(ei_mono_now(), until);) {
        }
    }
    sleeper->pid = syscall(SYS_getpid);
    ei_rt_section_leave();
}

/* Signals arrive in the middle of a section, asleep and awake: their handlers' return is a system call of its own. */
EI_TEST(section_survives_signals_and_stays_watched)
{
    install_or_skip(EI_GUARD_SYSCALL);
    static struct sleeper sleeper;
    struct ei_guard_report report;
    ei_guard_reset();
    struct ei_thread thread;
    const struct sigaction action = {.sa_handler = on_signal};
    const struct ei_thread_attr attr = {.name = "sleeper"};
    EI_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    EI_REQUIRE(ei_thread_create(&thread, &attr, sleep_in_section, &sleeper, NULL) == 0);
    while (!atomic_load(&sleeper.ready)) {
        sched_yield();
    }
    for (int i = 0; i < 300; i++) {
        pthread_kill(thread.handle, SIGUSR1);
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), 150 * EI_NS_PER_US));
    }
    atomic_store(&sleeper.stop, 1);
    ei_thread_join(&thread);
    ei_guard_violations(&report);
    EI_TRUE(signals > 100);
    EI_EQ(report.violations[EI_GUARD_SYSCALL].count, 1); /* the getpid at the end, and nothing else */
    EI_EQ(report.violations[EI_GUARD_SYSCALL].detail, SYS_getpid);
    EI_EQ(sleeper.pid, getpid());
}

#define WORKERS 8

static void work_and_misbehave(void *arg)
{
    for (int i = 0; i < 100; i++) {
        ei_rt_section_enter();
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), 10 * EI_NS_PER_US));
        if (i == 50) {
            syscall(SYS_getpid);
        }
        ei_rt_section_leave();
    }
    (void)arg;
}

EI_TEST(threads_are_watched_each_for_itself)
{
    install_or_skip(EI_GUARD_SYSCALL);
    struct ei_thread workers[WORKERS];
    struct ei_guard_report report;
    ei_guard_reset();
    const struct ei_thread_attr attr = {.name = "worker"};
    for (int i = 0; i < WORKERS; i++) {
        EI_REQUIRE(ei_thread_create(&workers[i], &attr, work_and_misbehave, NULL, NULL) == 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        ei_thread_join(&workers[i]);
    }
    ei_guard_violations(&report);
    EI_EQ(report.sections, WORKERS * 100);
    EI_EQ(report.violations[EI_GUARD_SYSCALL].count, WORKERS);
    EI_TRUE(report.allowed_calls >= WORKERS * 100);
    EI_EQ(report.unwatched, 0);
}

EI_TEST(report_names_what_and_where)
{
    install_or_skip(EI_GUARD_SYSCALL);
    char text[8192] = {0};
    const struct ei_guard_report report = report_of(do_getpid, &tools);
    FILE *out = fmemopen(text, sizeof text - 1, "w");
    EI_REQUIRE(out != NULL);
    ei_guard_print(&report, out);
    fclose(out);
    EI_CONTAINS(text, "system calls 1");
    EI_CONTAINS(text, "number 39");
    EI_CONTAINS(text, "test_guard+0x"); /* the place, for addr2line */
    if (system("addr2line --version >/dev/null 2>&1") == 0) {
        EI_CONTAINS(text, "ei_test_main"); /* a caller that is not exported, by name */
    }
}

EI_MAIN()
