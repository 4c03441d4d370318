/* A mark on the calling thread that does not outlive a switch to another: see thread_clock.h.
 *
 * It is the descriptor of a restartable sequence that is never run. The kernel looks at it when it comes back to a
 * thread that was switched away from; since the thread is not in that sequence, it clears the pointer. Others who use
 * sequences (allocators) put theirs in its place, which reads as "does not stand".
 */
#ifndef RT_THREAD_MARK_H
#define RT_THREAD_MARK_H

#include <einet/attributes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__has_include)
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif
#endif

#if defined(RSEQ_SIG) && UINTPTR_MAX == UINT64_MAX
/* thread_mark.c. */
extern const struct rseq_cs ei_thread_mark __attribute__((visibility("hidden")));
extern atomic_bool ei_thread_mark_works;

static inline volatile uint64_t *ei_thread_mark_place(void)
{
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    return (volatile uint64_t *)(void *)&area->rseq_cs;
}

static inline bool ei_thread_mark_is_possible(void)
{
    return atomic_load_explicit(&ei_thread_mark_works, memory_order_relaxed);
}

static inline void ei_thread_mark_set(void)
{
    if (ei_thread_mark_is_possible()) {
        *ei_thread_mark_place() = (uintptr_t)&ei_thread_mark;
        atomic_signal_fence(memory_order_seq_cst);
    }
}

/* No switch since it was set. */
static inline bool ei_thread_mark_stands(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    return ei_thread_mark_is_possible() && *ei_thread_mark_place() == (uintptr_t)&ei_thread_mark;
}
#else
static inline bool ei_thread_mark_is_possible(void)
{
    return false;
}

static inline void ei_thread_mark_set(void)
{
}

static inline bool ei_thread_mark_stands(void)
{
    return false;
}
#endif

#endif
