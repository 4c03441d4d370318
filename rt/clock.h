/* Monotonic time. Absolute times are a struct and durations are int64 nanoseconds, so that the compiler keeps them
 * apart. CLOCK_MONOTONIC throughout; read through the vDSO, so reading it is no system call.
 */
#ifndef RT_CLOCK_H
#define RT_CLOCK_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define EI_NS_PER_US INT64_C(1000)
#define EI_NS_PER_MS INT64_C(1000000)
#define EI_NS_PER_S INT64_C(1000000000)

/* A point on CLOCK_MONOTONIC. */
struct ei_mono {
    int64_t ns;
};

#define EI_MONO_NEVER ((struct ei_mono){INT64_MAX})

static inline struct ei_mono ei_mono_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (struct ei_mono){(int64_t)ts.tv_sec * EI_NS_PER_S + ts.tv_nsec};
}

static inline struct ei_mono ei_mono_add(struct ei_mono t, int64_t delta_ns)
{
    return t.ns == INT64_MAX ? t : (struct ei_mono){t.ns + delta_ns};
}

/* later - earlier in ns. */
static inline int64_t ei_mono_diff_ns(struct ei_mono later, struct ei_mono earlier)
{
    return later.ns - earlier.ns;
}

static inline bool ei_mono_before(struct ei_mono a, struct ei_mono b)
{
    return a.ns < b.ns;
}

static inline struct timespec ei_mono_timespec(struct ei_mono t)
{
    return (struct timespec){.tv_sec = (time_t)(t.ns / EI_NS_PER_S), .tv_nsec = (long)(t.ns % EI_NS_PER_S)};
}

/* Processor time that the calling thread has used, in ns. A system call: some 300 ns. Real-time safe. */
EINET_RT int64_t ei_thread_used_ns(void);

/* Sleep until t (absolute, so the phase never drifts); returns at once when t has passed. Signals do not end it.
 * Thread: any. Real-time safe (sleep). */
EINET_RT void ei_mono_sleep_until(struct ei_mono t);

#endif
