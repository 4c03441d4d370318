/* The bell: a ring before the sleep counts, and none is lost between threads. */
#include "rt/bell.h"
#include "tests/harness/harness.h"

#include <pthread.h>
#include <time.h>

#define ROUNDS 20000

static struct ei_bell there, back;
static atomic_int work, answers;

EI_TEST(bell_rung_before_the_wait_does_not_sleep)
{
    ei_bell_init(&there);
    const unsigned seen = ei_bell_count(&there);
    ei_bell_ring(&there);
    ei_bell_wait(&there, seen);
    EI_TRUE(ei_bell_count(&there) != seen);
}

/* Returns at the time though nobody rings, and before it when somebody does. */
EI_TEST(bell_waits_no_longer_than_asked)
{
    struct timespec now;
    ei_bell_init(&there);
    ei_bell_wait_until(&there, ei_bell_count(&there), 1); /* long ago */
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, until_ns = now_ns + 2000000;
    ei_bell_wait_until(&there, ei_bell_count(&there), until_ns);
    clock_gettime(CLOCK_MONOTONIC, &now);
    EI_TRUE((int64_t)now.tv_sec * 1000000000 + now.tv_nsec >= until_ns);
    const unsigned seen = ei_bell_count(&there);
    ei_bell_ring(&there);
    ei_bell_wait_until(&there, seen, INT64_MAX);
    EI_TRUE(ei_bell_count(&there) != seen);
}

static void *answer(void *arg)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (;;) {
            const unsigned seen = ei_bell_count(&there);
            if (atomic_load(&work) > round) {
                break;
            }
            ei_bell_wait(&there, seen);
        }
        atomic_fetch_add(&answers, 1);
        ei_bell_ring(&back);
    }
    return arg;
}

/* A ring that is lost stops both threads for good. */
EI_TEST(bell_ping_pong_comes_to_its_end)
{
    pthread_t thread;
    ei_bell_init(&there);
    ei_bell_init(&back);
    EI_REQUIRE(pthread_create(&thread, NULL, answer, NULL) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        atomic_fetch_add(&work, 1);
        ei_bell_ring(&there);
        for (;;) {
            const unsigned seen = ei_bell_count(&back);
            if (atomic_load(&answers) > round) {
                break;
            }
            ei_bell_wait(&back, seen);
        }
    }
    pthread_join(thread, NULL);
    EI_EQ(atomic_load(&answers), ROUNDS);
}
