/* Monotonic time and absolute sleep. No case asserts how long anything took, only that it was not too short. */
#include "tests/harness/harness.h"

#include "rt/clock.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

EI_TEST(clock_arithmetic)
{
    const struct ei_mono t = {5 * EI_NS_PER_S + 7};
    EI_EQ(ei_mono_add(t, -8).ns, 5 * EI_NS_PER_S - 1);
    EI_EQ(ei_mono_add(EI_MONO_NEVER, 1).ns, INT64_MAX);
    EI_EQ(ei_mono_diff_ns(t, ei_mono_add(t, 3)), -3);
    EI_TRUE(ei_mono_before(t, ei_mono_add(t, 1)) && !ei_mono_before(t, t));
    EI_EQ(ei_mono_timespec(t).tv_sec, 5);
    EI_EQ(ei_mono_timespec(t).tv_nsec, 7);
}

EI_TEST(clock_never_runs_backwards)
{
    struct ei_mono last = ei_mono_now();
    for (int i = 0; i < 100000; i++) {
        const struct ei_mono now = ei_mono_now();
        if (ei_mono_before(now, last)) {
            EI_EQ(now.ns, last.ns);
        }
        last = now;
    }
    EI_TRUE(last.ns > 0);
}

EI_TEST(sleep_does_not_end_early)
{
    for (int i = 0; i < 20; i++) {
        const struct ei_mono until = ei_mono_add(ei_mono_now(), 300 * EI_NS_PER_US);
        ei_mono_sleep_until(until);
        EI_TRUE(!ei_mono_before(ei_mono_now(), until));
    }
    ei_mono_sleep_until((struct ei_mono){1}); /* long past: returns */
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

EI_TEST(sleep_outlasts_signals)
{
    const struct sigaction action = {.sa_handler = count_signal};
    const struct itimerval every_ms = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    EI_EQ(sigaction(SIGALRM, &action, NULL), 0);
    EI_EQ(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
    const struct ei_mono until = ei_mono_add(ei_mono_now(), 30 * EI_NS_PER_MS);
    ei_mono_sleep_until(until);
    EI_TRUE(!ei_mono_before(ei_mono_now(), until));
    EI_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    EI_TRUE(signals > 0);
}
