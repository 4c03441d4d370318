/* Explicit priority inheritance, as the kernel reports it. Needs SCHED_FIFO but for the first case. */
#include "tests/harness/harness.h"
#include "tests/rt/fifo.h"

#include "rt/handoff.h"
#include "rt/random.h"
#include "rt/thread.h"
#include <stdlib.h>
#include <unistd.h>

static int kernel_priority(pid_t tid)
{
    struct ei_thread_state state = {0};
    EI_EQ(ei_thread_read(tid, &state), 0);
    return state.priority;
}

EI_TEST(boost_of_an_ordinary_thread_changes_nothing)
{
    struct ei_boost boost;
    struct ei_thread_state state;
    ei_boost_init_self(&boost);
    if (boost.base_priority != 0) {
        ei_test_skip("this process itself runs under SCHED_FIFO");
    }
    EI_EQ(ei_thread_boost(&boost, 50), 0);
    EI_EQ(ei_thread_unboost(&boost), 0);
    EI_EQ(ei_thread_read(0, &state), 0);
    EI_EQ(state.policy, EI_THREAD_OTHER);
}

static void boost_self(void *arg)
{
    struct ei_boost boost;
    (void)arg;
    EI_EQ(ei_thread_become_fifo(10, NULL), 0);
    ei_boost_init_self(&boost);
    EI_EQ(boost.base_priority, 10);
    EI_EQ(ei_thread_boost(&boost, 40), 0);
    EI_EQ(kernel_priority(0), 40);
    EI_EQ(ei_thread_boost(&boost, 30), 0); /* never lowers */
    EI_EQ(kernel_priority(0), 40);
    EI_EQ(ei_thread_boost(&boost, 45), 0);
    EI_EQ(kernel_priority(0), 45);
    EI_EQ(ei_thread_unboost(&boost), 0);
    EI_EQ(kernel_priority(0), 10);
    EI_EQ(ei_thread_unboost(&boost), 0);
    EI_EQ(kernel_priority(0), 10);
    EI_TRUE(ei_thread_boost(&boost, 100) < 0); /* refused: nothing changed */
    EI_EQ(kernel_priority(0), 10);
    EI_EQ(atomic_load(&boost.priority), 10);
}

EI_TEST(boost_raises_and_unboost_returns)
{
    fifo_or_skip(45);
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "boosted"};
    EI_REQUIRE(ei_thread_create(&thread, &attr, boost_self, NULL, NULL) == 0);
    ei_thread_join(&thread);
}

static void be_rebased(void *arg)
{
    struct ei_boost boost;
    (void)arg;
    EI_EQ(ei_boost_rebase_self(&(struct ei_boost){0}, 12), 0); /* not FIFO: nothing happens */
    EI_EQ(ei_thread_become_fifo(10, NULL), 0);
    ei_boost_init_self(&boost);
    EI_EQ(ei_boost_rebase_self(&boost, 12), 0);
    EI_EQ(kernel_priority(0), 12);
    EI_EQ(ei_boost_rebase(&boost, 14), 0);
    EI_EQ(kernel_priority(0), 14);
    EI_EQ(ei_thread_boost(&boost, 40), 0);
    EI_EQ(ei_boost_rebase(&boost, 20), 0); /* what was lent stays */
    EI_EQ(kernel_priority(0), 40);
    EI_EQ(ei_thread_unboost(&boost), 0);
    EI_EQ(kernel_priority(0), 20);
    EI_EQ(ei_thread_demote(ei_thread_self_tid(), &boost), 0);
    EI_EQ(ei_boost_rebase(&boost, 30), 0);
    EI_EQ(ei_boost_rebase_self(&boost, 30), 0);
    EI_EQ(kernel_priority(0), 0);
}

EI_TEST(boost_has_another_base_priority)
{
    fifo_or_skip(45);
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "rebased"};
    EI_REQUIRE(ei_thread_create(&thread, &attr, be_rebased, NULL, NULL) == 0);
    ei_thread_join(&thread);
}

static void be_demoted(void *arg)
{
    struct ei_boost boost;
    struct ei_thread_state state;
    (void)arg;
    EI_EQ(ei_thread_become_fifo(10, NULL), 0);
    ei_boost_init_self(&boost);
    EI_EQ(ei_thread_boost(&boost, 40), 0);
    EI_EQ(ei_thread_demote(ei_thread_self_tid(), &boost), 0);
    EI_EQ(ei_thread_read(0, &state), 0);
    EI_EQ(state.policy, EI_THREAD_OTHER);
    EI_EQ(ei_thread_boost(&boost, 45), 0);
    EI_EQ(kernel_priority(0), 0);
    EI_EQ(ei_thread_unboost(&boost), 0); /* back to 10 it would be */
    EI_EQ(ei_thread_read(0, &state), 0);
    EI_EQ(state.policy, EI_THREAD_OTHER);
}

EI_TEST(boost_ends_with_a_demotion)
{
    fifo_or_skip(45);
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "demoted"};
    EI_REQUIRE(ei_thread_create(&thread, &attr, be_demoted, NULL, NULL) == 0);
    ei_thread_join(&thread);
}

/* The order of the hand-off on one CPU, all of it decided by priorities:
 *
 *   low holds; high asks, boosts low to 40, sleeps; middle (30) becomes ready and must not run before low's block ends;
 *   low releases; high runs; middle runs; low goes on. */
struct play {
    struct ei_handoff_guard guard;
    struct ei_waiter high_waiter, middle_waiter;
    struct ei_boost low_boost;
    atomic_bool is_asked;
    char log[8];
    atomic_int length;
};

static void note(struct play *play, char what)
{
    play->log[atomic_fetch_add(&play->length, 1)] = what;
}

static void play_high(void *arg)
{
    struct play *play = arg;
    ei_handoff_guard_lock(&play->guard);
    ei_waiter_prepare(&play->high_waiter);
    ei_thread_boost(&play->low_boost, 40);
    atomic_store(&play->is_asked, true);
    ei_handoff_guard_unlock(&play->guard);
    ei_waiter_wait(&play->high_waiter, EI_MONO_NEVER);
    EI_EQ(kernel_priority(play->low_boost.tid), 40); /* it has not kept this thread waiting with its step down */
    note(play, 'H');
}

static void play_middle(void *arg)
{
    struct play *play = arg;
    ei_waiter_wait(&play->middle_waiter, EI_MONO_NEVER);
    note(play, 'M');
}

static void play_low(void *arg)
{
    struct play *play = arg;
    struct ei_thread high, middle;
    const struct ei_cpuset cpu = first_allowed_cpu();
    struct ei_thread_attr attr = {.name = "high", .policy = EI_THREAD_FIFO, .priority = 40, .cpus = cpu};
    EI_EQ(ei_thread_become_fifo(20, NULL), 0);
    ei_boost_init_self(&play->low_boost);
    ei_waiter_init(&play->high_waiter);
    ei_waiter_init(&play->middle_waiter);
    ei_waiter_prepare(&play->middle_waiter);
    EI_REQUIRE(ei_thread_create(&high, &attr, play_high, play, NULL) == 0);
    attr.name = "middle";
    attr.priority = 30;
    EI_REQUIRE(ei_thread_create(&middle, &attr, play_middle, play, NULL) == 0);
    /* Both outrank this thread on its CPU, so they sleep by now, unless the boost lets this one run first. */
    while (!atomic_load(&play->is_asked)) {
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), EI_NS_PER_MS));
    }
    EI_EQ(kernel_priority(0), 40);
    ei_mono_sleep_until(ei_mono_add(ei_mono_now(), 5 * EI_NS_PER_MS));
    ei_waiter_grant(&play->middle_waiter);
    note(play, 'l'); /* the rest of the block */
    ei_handoff_guard_lock(&play->guard);
    EI_EQ(ei_handoff_release(&play->guard, &play->high_waiter, &play->low_boost), 0);
    note(play, 'L');
    EI_EQ(kernel_priority(0), 20);
    ei_thread_join(&high);
    ei_thread_join(&middle);
}

EI_TEST(handoff_runs_high_before_middle_before_low)
{
    fifo_or_skip(40);
    static struct play play;
    struct ei_thread low;
    const struct ei_thread_attr attr = {.name = "low", .cpus = first_allowed_cpu()};
    EI_REQUIRE(ei_handoff_guard_init(&play.guard, NULL) == 0);
    EI_REQUIRE(ei_thread_create(&low, &attr, play_low, &play, NULL) == 0);
    ei_thread_join(&low);
    EI_STREQ(play.log, "lHML");
    ei_handoff_guard_fini(&play.guard);
}

/* Threads on all CPUs yield a lane to each other and queue again before they step down. Whenever one holds the guard
 * and the lane, its kernel priority must be exactly what the lane's waiters gave it. */
#define SEATS 4
#define ROUNDS 10000

struct seat {
    struct lane *lane;
    struct ei_waiter waiter;
    struct ei_boost boost;
    int own;
    bool is_waiting;
};

struct lane {
    struct ei_handoff_guard guard;
    struct seat seats[SEATS];
    int holder; /* -1 = free */
    atomic_int wrong;
};

static int base_of(int seat)
{
    return 10 + seat;
}

static int take_next(struct lane *lane)
{
    for (int i = SEATS - 1; i >= 0; i--) {
        if (lane->seats[i].is_waiting) {
            lane->seats[i].is_waiting = false;
            return i;
        }
    }
    return -1;
}

static void use_lane(void *arg)
{
    struct seat *seat = arg;
    struct lane *lane = seat->lane;
    struct ei_random rng;
    ei_random_init(&rng, 9, (uint64_t)seat->own);
    EI_EQ(ei_thread_become_fifo(base_of(seat->own), NULL), 0);
    ei_boost_init_self(&seat->boost);
    for (int i = 0; i < ROUNDS; i++) {
        ei_handoff_guard_lock(&lane->guard);
        bool is_mine = lane->holder < 0;
        if (is_mine) {
            lane->holder = seat->own;
        } else {
            seat->is_waiting = true;
            ei_waiter_prepare(&seat->waiter);
            ei_thread_boost(&lane->seats[lane->holder].boost, base_of(seat->own));
        }
        ei_handoff_guard_unlock(&lane->guard);
        for (int blocks = 1 + (int)ei_random_below(&rng, 3); blocks > 0; blocks--) {
            if (!is_mine) {
                ei_waiter_wait(&seat->waiter, EI_MONO_NEVER);
            }
            if (ei_random_below(&rng, 8) == 0) {
                ei_mono_sleep_until(ei_mono_add(ei_mono_now(), 20 * EI_NS_PER_US));
            }
            ei_handoff_guard_lock(&lane->guard);
            const int wanted = atomic_load(&seat->boost.priority);
            if (kernel_priority(0) != wanted || lane->holder != seat->own) {
                atomic_fetch_add(&lane->wrong, 1);
            }
            const int next = take_next(lane);
            is_mine = blocks > 1 && next < 0;
            if (blocks > 1 && next >= 0) { /* yield: queue again before stepping down */
                seat->is_waiting = true;
                ei_waiter_prepare(&seat->waiter);
            }
            if (is_mine) {
                ei_handoff_guard_unlock(&lane->guard);
                continue;
            }
            lane->holder = next;
            if (next >= 0) {
                for (int k = SEATS - 1; k >= 0; k--) {
                    if (lane->seats[k].is_waiting) {
                        ei_thread_boost(&lane->seats[next].boost, base_of(k));
                        break;
                    }
                }
            }
            ei_handoff_release(&lane->guard, next >= 0 ? &lane->seats[next].waiter : NULL, &seat->boost);
        }
    }
    if (kernel_priority(0) != base_of(seat->own)) {
        atomic_fetch_add(&lane->wrong, 1);
    }
}

EI_TEST(boosts_survive_yield_and_requeue)
{
    fifo_or_skip(base_of(SEATS));
    static struct lane lane;
    struct ei_thread threads[SEATS];
    const struct ei_thread_attr attr = {.name = "seat"};
    EI_REQUIRE(ei_handoff_guard_init(&lane.guard, NULL) == 0);
    lane.holder = -1;
    for (int i = 0; i < SEATS; i++) {
        lane.seats[i].lane = &lane;
        lane.seats[i].own = i;
        ei_waiter_init(&lane.seats[i].waiter);
    }
    for (int i = 0; i < SEATS; i++) {
        EI_REQUIRE(ei_thread_create(&threads[i], &attr, use_lane, &lane.seats[i], NULL) == 0);
    }
    for (int i = 0; i < SEATS; i++) {
        ei_thread_join(&threads[i]);
    }
    EI_EQ(atomic_load(&lane.wrong), 0);
    EI_EQ(lane.holder, -1);
    ei_handoff_guard_fini(&lane.guard);
}
