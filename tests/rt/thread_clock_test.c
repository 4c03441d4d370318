/* The clock of a thread that knows whether it was switched away from. Where the kernel clears no marks every value is
 * its own, and cases that need a mark say so.
 */
#include "rt/clock.h"
#include "rt/thread_clock.h"
#include "tests/harness/harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define TRIES 2000 /* of something that a switch undoes */

static void spin_for(int64_t ns)
{
    const int64_t until_ns = ei_mono_now().ns + ns;
    while (ei_mono_now().ns < until_ns) {
    }
}

static void marks_or_skip(void)
{
    ei_thread_clock_probe();
    if (!ei_thread_clock_is_marking()) {
        ei_test_skip("this kernel clears no marks of threads that sleep, or glibc registers none (rseq)");
    }
}

/* All the time that passed, to the ns; and what the kernel says is no less but for what a hypervisor took. */
EI_TEST(thread_clock_counts_time_while_there_is_no_switch)
{
    int32_t guessed = 0;
    marks_or_skip();
    for (int i = 0; i < TRIES && guessed < 20; i++) {
        struct ei_thread_clock clock;
        int64_t longest_ns = INT64_MAX;
        const int64_t before_ns = ei_thread_clock_read(&clock), at_ns = clock.at_ns;
        EI_TRUE(!clock.is_guessed);
        spin_for(50000);
        const int64_t now_ns = ei_mono_now().ns, used_ns = ei_thread_clock_used(&clock, now_ns, &longest_ns);
        if (clock.is_guessed) {
            guessed++;
            EI_EQ(used_ns - before_ns, now_ns - at_ns);
            EI_EQ(ei_thread_clock_used(&clock, now_ns + 5, &longest_ns) - used_ns, 5);
        }
    }
    EI_EQ(guessed, 20);
}

/* A thread that sleeps uses nothing. */
EI_TEST(thread_clock_reads_the_kernels_after_a_sleep)
{
    ei_thread_clock_probe();
    for (int i = 0; i < 5; i++) {
        struct ei_thread_clock clock;
        int64_t longest_ns = INT64_MAX;
        const int64_t before_ns = ei_thread_clock_read(&clock), at_ns = clock.at_ns;
        ei_mono_sleep_until((struct ei_mono){at_ns + 20 * EI_NS_PER_MS});
        const int64_t now_ns = ei_mono_now().ns, used_ns = ei_thread_clock_used(&clock, now_ns, &longest_ns);
        EI_TRUE(!clock.is_guessed);
        EI_TRUE(used_ns >= before_ns);
        EI_TRUEF(used_ns - before_ns < now_ns - at_ns - 15 * EI_NS_PER_MS, "%lld ns used in a sleep of 20 ms",
                 (long long)(used_ns - before_ns));
    }
}

/* With ei_thread_clock_go the sleep is left out, and what comes behind it counts. */
EI_TEST(thread_clock_goes_on_after_a_sleep)
{
    int32_t guessed = 0;
    marks_or_skip();
    for (int i = 0; i < TRIES && guessed < 3; i++) {
        struct ei_thread_clock clock;
        int64_t longest_ns = INT64_MAX;
        const int64_t before_ns = ei_thread_clock_read(&clock);
        ei_mono_sleep_until((struct ei_mono){clock.at_ns + EI_NS_PER_MS});
        const int64_t awake_ns = ei_mono_now().ns;
        ei_thread_clock_go(&clock, awake_ns);
        const int64_t now_ns = ei_mono_now().ns, used_ns = ei_thread_clock_used(&clock, now_ns, &longest_ns);
        if (clock.is_guessed) {
            guessed++;
            EI_EQ(used_ns - before_ns, now_ns - awake_ns);
        }
    }
    EI_EQ(guessed, 3);
}

/* Longer than ever: only the kernel knows whether it was all the thread's. */
EI_TEST(thread_clock_guesses_no_stretch_longer_than_confirmed)
{
    struct ei_thread_clock clock;
    int64_t longest_ns = 0;
    marks_or_skip();
    for (int i = 0; i < TRIES && longest_ns == 0; i++) {
        (void)ei_thread_clock_read(&clock);
        spin_for(100000);
        (void)ei_thread_clock_used(&clock, ei_mono_now().ns, &longest_ns);
        EI_TRUE(!clock.is_guessed);
    }
    EI_TRUE(longest_ns >= 100000);
    const int64_t confirmed_ns = longest_ns;
    bool is_guessed = false;
    for (int i = 0; i < TRIES && !is_guessed; i++) {
        (void)ei_thread_clock_read(&clock);
        (void)ei_thread_clock_used(&clock, clock.at_ns + confirmed_ns, &longest_ns);
        is_guessed = clock.is_guessed;
    }
    EI_TRUE(is_guessed);
    EI_EQ(longest_ns, confirmed_ns);
    for (int i = 0; i < 20; i++) {
        (void)ei_thread_clock_read(&clock);
        /* Of a time to come the kernel says that less was used: no confirmation. */
        (void)ei_thread_clock_used(&clock, clock.at_ns + confirmed_ns + EI_NS_PER_S, &longest_ns);
        EI_TRUE(!clock.is_guessed);
    }
    EI_EQ(longest_ns, confirmed_ns);
}

/* ---- somebody else on the CPU ---- */

static atomic_bool is_over;

static void *use_the_cpu(void *unused)
{
    while (!atomic_load(&is_over)) {
    }
    return unused;
}

/* Pinned to one CPU with another thread that never rests, this one is switched away from before long, and what the
 * other one had is not counted. */
EI_TEST(thread_clock_sees_that_another_thread_ran)
{
    cpu_set_t before, one;
    pthread_t other;
    ei_thread_clock_probe();
    EI_EQ(pthread_getaffinity_np(pthread_self(), sizeof before, &before), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    EI_EQ(pthread_setaffinity_np(pthread_self(), sizeof one, &one), 0);
    atomic_store(&is_over, false);
    EI_EQ(pthread_create(&other, NULL, use_the_cpu, NULL), 0); /* inherits the CPU */
    struct ei_thread_clock clock;
    int64_t longest_ns = INT64_MAX, used_ns, now_ns;
    const int64_t before_ns = ei_thread_clock_read(&clock), at_ns = clock.at_ns;
    do { /* some slices of the scheduler's */
        now_ns = ei_mono_now().ns;
        used_ns = ei_thread_clock_used(&clock, now_ns, &longest_ns);
    } while (now_ns - at_ns < 200 * EI_NS_PER_MS);
    atomic_store(&is_over, true);
    (void)pthread_join(other, NULL);
    (void)pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    EI_TRUEF(used_ns - before_ns < (now_ns - at_ns) * 9 / 10, "%lld of %lld ns beside another thread",
             (long long)(used_ns - before_ns), (long long)(now_ns - at_ns));
}
