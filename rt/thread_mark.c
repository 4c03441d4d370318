/* See thread_mark.h; the probe of thread_clock.h. */
#include "rt/thread_mark.h"

#include "rt/clock.h"
#include "rt/thread_clock.h"

#include <pthread.h>
#include <time.h>

#if defined(RSEQ_SIG) && UINTPTR_MAX == UINT64_MAX
#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

/* Code that nobody runs: the sequence, and where it would be aborted to, which the kernel wants to find behind the
 * signature. Fields of struct rseq_cs: version, flags, start_ip, post_commit_offset, abort_ip. */
__asm__(".pushsection .text\n"
        ".balign 4\n"
        ".long " TEXT(RSEQ_SIG) "\n"
                                "ei_thread_mark_abort: .long 0\n"
                                "ei_thread_mark_sequence: .long 0\n"
                                ".popsection\n"
                                ".pushsection .data.rel.ro,\"aw\"\n"
                                ".balign 32\n"
                                ".globl ei_thread_mark\n"
                                ".hidden ei_thread_mark\n"
                                "ei_thread_mark: .long 0, 0\n"
                                ".quad ei_thread_mark_sequence, 1, ei_thread_mark_abort\n"
                                ".popsection\n");

atomic_bool ei_thread_mark_works;

/* glibc registers struct rseq for every thread, unless it was told not to or the kernel has none. A kernel that does
 * not look at the mark after a system call that slept would leave sleeps unseen. */
static void probe(void)
{
    const struct timespec nap = {.tv_nsec = EI_NS_PER_MS};
    atomic_store(&ei_thread_mark_works, __rseq_size > 0);
    ei_thread_mark_set();
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    if (ei_thread_mark_stands()) {
        atomic_store(&ei_thread_mark_works, false);
    }
    *ei_thread_mark_place() = 0;
}

void ei_thread_clock_probe(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, probe);
}
#else
void ei_thread_clock_probe(void)
{
}
#endif

bool ei_thread_clock_is_marking(void)
{
    return ei_thread_mark_is_possible();
}
