/* See bell.h. */
#include "rt/bell.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void ei_bell_init(struct ei_bell *bell)
{
    atomic_init(&bell->rings, 0);
    atomic_init(&bell->sleepers, 0);
}

unsigned ei_bell_count(struct ei_bell *bell)
{
    return atomic_load_explicit(&bell->rings, memory_order_acquire);
}

void ei_bell_ring(struct ei_bell *bell)
{
    /* Both sides write theirs and then read the other's, in one total order: either the sleeper sees the ring or the
     * ringer sees the sleeper. */
    atomic_fetch_add(&bell->rings, 1);
    if (atomic_load(&bell->sleepers) > 0) {
        (void)syscall(SYS_futex, &bell->rings, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL,
                      FUTEX_BITSET_MATCH_ANY);
    }
}

/* until NULL = for ever. */
static void wait_for_ring(struct ei_bell *bell, unsigned seen, const struct timespec *until)
{
    atomic_fetch_add(&bell->sleepers, 1);
    bool is_over = false;
    while (!is_over && atomic_load(&bell->rings) == seen) {
        is_over = syscall(SYS_futex, &bell->rings, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen, until, NULL,
                          FUTEX_BITSET_MATCH_ANY) < 0 &&
                  errno == ETIMEDOUT;
    }
    atomic_fetch_sub(&bell->sleepers, 1);
}

void ei_bell_wait(struct ei_bell *bell, unsigned seen)
{
    wait_for_ring(bell, seen, NULL);
}

void ei_bell_wait_until(struct ei_bell *bell, unsigned seen, int64_t until_ns)
{
    const struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = (long)(until_ns % 1000000000)};
    wait_for_ring(bell, seen, &until);
}
