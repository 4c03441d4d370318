/* See guard.h. The hook of rt/section.h, the counters and the report. */
#include "tests/realtime/guard.h"

#include "rt/section.h"
#include "rt/thread.h"
#include "tests/realtime/guard_internal.h"
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* State of one violation kind: the first one writes its particulars, everybody counts. */
struct tally {
    atomic_uint_least64_t count;
    atomic_int is_taken;   /* somebody writes or wrote the particulars */
    atomic_bool is_filled; /* they are complete */
    struct ei_guard_violation first;
};

static struct tally tallies[EI_GUARD_KINDS];
static atomic_uint_least64_t section_count, submit_count, unwatched_count;
atomic_uint_least64_t guard_allowed_count;

static struct guard_thread threads[GUARD_THREADS_MAX];
static uint8_t signal_stacks[GUARD_THREADS_MAX][GUARD_STACK_BYTES] __attribute__((aligned(4096)));
static atomic_int thread_count;

static _Thread_local struct guard_thread *self;
static _Thread_local bool is_in_guard;
static _Thread_local bool has_tried;

static bool is_installed;
static const char *why_not[EI_GUARD_KINDS] = {"not installed", "not installed", "not installed", "not installed"};

struct guard_thread *guard_self(void)
{
    return self;
}

bool guard_suspend(void)
{
    const bool previous = is_in_guard;
    is_in_guard = true;
    return previous;
}

void guard_resume(bool previous)
{
    is_in_guard = previous;
}

bool guard_is_watching(void)
{
    return is_installed && !is_in_guard && ei_rt_section_state() == EI_RT_SECTION;
}

void guard_violation(enum ei_guard_kind kind, const char *what, int64_t detail, uint64_t count)
{
    struct tally *tally = &tallies[kind];
    const bool previous = guard_suspend();
    atomic_fetch_add(&tally->count, count);
    if (atomic_exchange(&tally->is_taken, 1) == 0) {
        tally->first.what = what;
        tally->first.detail = detail;
        tally->first.thread = self != NULL ? self->tid : 0;
        tally->first.frame_count = kind == EI_GUARD_FAULT ? 0 : backtrace(tally->first.frames, EI_GUARD_FRAMES_MAX);
        atomic_store(&tally->is_filled, true);
    }
    guard_resume(previous);
}

/* Give the calling thread its slot. The guard is suspended. */
static void attach(void)
{
    has_tried = true;
    const int slot = atomic_fetch_add(&thread_count, 1);
    if (slot >= GUARD_THREADS_MAX) {
        return;
    }
    struct guard_thread *thread = &threads[slot];
    thread->tid = ei_thread_self_tid();
    thread->signal_stack = signal_stacks[slot];
    ei_memory_prefault_range(thread->signal_stack, GUARD_STACK_BYTES);
    if (why_not[EI_GUARD_SYSCALL][0] == '\0') {
        thread->is_dispatched = guard_syscalls_attach(thread);
    }
    self = thread;
}

static void begin_part(void)
{
    if (self == NULL && !has_tried) {
        attach();
    }
    if (self == NULL || !self->is_dispatched) {
        atomic_fetch_add(&unwatched_count, 1);
    }
    if (self != NULL) {
        ei_thread_usage_read(&self->usage_at_start);
        self->selector = self->is_dispatched; /* last: from here on the kernel asks us */
    }
}

static void end_part(void)
{
    if (self == NULL) {
        return;
    }
    self->selector = 0; /* first */
    struct ei_thread_usage now;
    ei_thread_usage_read(&now);
    const int64_t faults =
        now.minor_faults - self->usage_at_start.minor_faults + now.major_faults - self->usage_at_start.major_faults;
    if (faults > 0 && why_not[EI_GUARD_FAULT][0] == '\0') {
        guard_violation(EI_GUARD_FAULT, "page fault", faults, (uint64_t)faults);
    }
}

static void on_change(enum ei_rt_section previous, enum ei_rt_section state)
{
    const bool before = guard_suspend();
    if (previous == EI_RT_SECTION && state != EI_RT_SECTION) {
        end_part();
    }
    if (state == EI_RT_SECTION && previous != EI_RT_SECTION) {
        atomic_fetch_add(&section_count, previous == EI_RT_OUTSIDE);
        begin_part();
    }
    atomic_fetch_add(&submit_count, previous == EI_RT_SECTION && state == EI_RT_SUBMIT);
    guard_resume(before);
}

int ei_guard_install(void)
{
    void *frames[4];
    if (is_installed) {
        return -EALREADY;
    }
    (void)backtrace(frames, 4); /* its first call loads the unwinder, which allocates */
    why_not[EI_GUARD_ALLOCATION] = guard_interpose_install();
    why_not[EI_GUARD_LOCK] = guard_locks_why_not();
    why_not[EI_GUARD_SYSCALL] = guard_syscalls_install();
    why_not[EI_GUARD_FAULT] = GUARD_SANITIZER ? "the sanitizer's shadow memory faults by itself" : "";
    is_installed = true;
    ei_rt_section_on_change = on_change;
    /* Once around, with a violation, so that the guard's own code is in memory before anything is counted. */
    ei_rt_section_enter();
    ei_rt_submit_enter();
    ei_rt_submit_leave();
    (void)syscall(SYS_getpid);
    ei_rt_section_leave();
    ei_guard_reset();
    return 0;
}

bool ei_guard_can_watch(enum ei_guard_kind kind)
{
    return why_not[kind][0] == '\0';
}

const char *ei_guard_why_not(enum ei_guard_kind kind)
{
    return why_not[kind];
}

void ei_guard_violations(struct ei_guard_report *out_report)
{
    memset(out_report, 0, sizeof *out_report);
    for (int i = 0; i < EI_GUARD_KINDS; i++) {
        if (atomic_load(&tallies[i].is_filled)) {
            out_report->violations[i] = tallies[i].first;
        } else {
            out_report->violations[i].what = "";
        }
        out_report->violations[i].count = atomic_load(&tallies[i].count);
    }
    out_report->sections = atomic_load(&section_count);
    out_report->submits = atomic_load(&submit_count);
    out_report->allowed_calls = atomic_load(&guard_allowed_count);
    out_report->unwatched = ei_guard_can_watch(EI_GUARD_SYSCALL) ? atomic_load(&unwatched_count) : 0;
}

void ei_guard_reset(void)
{
    for (int i = 0; i < EI_GUARD_KINDS; i++) {
        atomic_store(&tallies[i].count, 0);
        atomic_store(&tallies[i].is_filled, false);
        atomic_store(&tallies[i].is_taken, 0);
        memset(&tallies[i].first, 0, sizeof tallies[i].first);
    }
    atomic_store(&section_count, 0);
    atomic_store(&submit_count, 0);
    atomic_store(&unwatched_count, 0);
    atomic_store(&guard_allowed_count, 0);
}

uint64_t ei_guard_total(const struct ei_guard_report *report)
{
    uint64_t total = 0;
    for (int i = 0; i < EI_GUARD_KINDS; i++) {
        total += report->violations[i].count;
    }
    return total;
}

/* One line per frame: function and place by addr2line where it is installed, module and offset otherwise. */
static void print_frame(void *frame, FILE *out)
{
    Dl_info info = {0};
    char command[512], line[512] = {0};
    if (dladdr(frame, &info) == 0 || info.dli_fname == NULL) {
        fprintf(out, "      %p\n", frame);
        return;
    }
    /* A return address may lie behind the function's last instruction, hence one less. */
    const ptrdiff_t offset = (const char *)frame - (const char *)info.dli_fbase - 1;
    const char *name = info.dli_sname != NULL ? info.dli_sname : "?";
    snprintf(command, sizeof command, "addr2line -s -f -p -e '%.380s' 0x%tx 2>/dev/null", info.dli_fname, offset);
    FILE *answer = popen(command, "r");
    const bool is_answered = answer != NULL && fgets(line, sizeof line, answer) != NULL && line[0] != '?';
    if (answer != NULL) {
        pclose(answer);
    }
    line[strcspn(line, "\n")] = '\0';
    fprintf(out, "      %s (%s+0x%tx)\n", is_answered ? line : name, info.dli_fname, offset);
}

void ei_guard_print(const struct ei_guard_report *report, FILE *out)
{
    static const char *const kinds[EI_GUARD_KINDS] = {"allocations", "locks", "system calls", "page faults"};
    static const char *const details[EI_GUARD_KINDS] = {"bytes", "kind or operation", "number", "in one section"};
    fprintf(out, "real-time guard: %llu sections, %llu submit sections, %llu allowed system calls\n",
            (unsigned long long)report->sections, (unsigned long long)report->submits,
            (unsigned long long)report->allowed_calls);
    if (report->unwatched > 0) {
        fprintf(out, "  %llu section parts ran without a watch on system calls\n",
                (unsigned long long)report->unwatched);
    }
    for (int i = 0; i < EI_GUARD_KINDS; i++) {
        const struct ei_guard_violation *v = &report->violations[i];
        if (!ei_guard_can_watch((enum ei_guard_kind)i)) {
            fprintf(out, "  %-12s not watched: %s\n", kinds[i], why_not[i]);
            continue;
        }
        fprintf(out, "  %-12s %llu\n", kinds[i], (unsigned long long)v->count);
        if (v->count > 0 && v->what[0] != '\0') {
            fprintf(out, "    first: %s, %s %lld, thread %d\n", v->what, details[i], (long long)v->detail, v->thread);
        }
        for (int k = 0; k < v->frame_count; k++) {
            print_frame(v->frames[k], out);
        }
    }
}
