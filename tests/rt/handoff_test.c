/* Waiters: no grant is lost, none is spurious. The boost of priorities is in boost_test.c. */
#include "tests/harness/harness.h"

#include "rt/handoff.h"
#include "rt/thread.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

EI_TEST(guard_inherits_priority)
{
    struct ei_handoff_guard guard;
    EI_REQUIRE(ei_handoff_guard_init(&guard, NULL) == 0);
#ifdef __GLIBC__
    EI_TRUE((guard.mutex.__data.__kind & 32) != 0); /* PTHREAD_MUTEX_PRIO_INHERIT_NP */
#endif
    ei_handoff_guard_lock(&guard);
    EI_EQ(pthread_mutex_trylock(&guard.mutex), EBUSY);
    ei_handoff_guard_unlock(&guard);
    EI_EQ(pthread_mutex_trylock(&guard.mutex), 0);
    pthread_mutex_unlock(&guard.mutex);
    ei_handoff_guard_fini(&guard);
}

EI_TEST(grant_before_the_wait_is_not_lost)
{
    struct ei_waiter waiter;
    ei_waiter_init(&waiter);
    for (int i = 0; i < 3; i++) {
        ei_waiter_prepare(&waiter);
        ei_waiter_grant(&waiter);
        EI_EQ(ei_waiter_wait(&waiter, EI_MONO_NEVER), 0);
        EI_EQ(atomic_load(&waiter.word), EI_WAITER_IDLE);
    }
}

EI_TEST(wait_times_out_and_cancel_tells_the_truth)
{
    struct ei_waiter waiter;
    ei_waiter_init(&waiter);
    ei_waiter_prepare(&waiter);
    const struct ei_mono until = ei_mono_add(ei_mono_now(), 2 * EI_NS_PER_MS);
    EI_EQ(ei_waiter_wait(&waiter, until), -ETIMEDOUT);
    EI_TRUE(!ei_mono_before(ei_mono_now(), until));
    EI_TRUE(!ei_waiter_cancel(&waiter));
    /* granted between the timeout and the guard */
    ei_waiter_prepare(&waiter);
    EI_EQ(ei_waiter_wait(&waiter, (struct ei_mono){1}), -ETIMEDOUT);
    ei_waiter_grant(&waiter);
    EI_TRUE(ei_waiter_cancel(&waiter));
    EI_EQ(atomic_load(&waiter.word), EI_WAITER_IDLE);
    /* waiting again after a timeout, without a new prepare */
    ei_waiter_prepare(&waiter);
    EI_EQ(ei_waiter_wait(&waiter, (struct ei_mono){1}), -ETIMEDOUT);
    ei_waiter_grant(&waiter);
    EI_EQ(ei_waiter_wait(&waiter, EI_MONO_NEVER), 0);
}

struct sleeper {
    struct ei_waiter waiter;
    atomic_bool is_back;
    atomic_bool may_return;
    bool was_spurious;
};

static void sleep_for_grant(void *arg)
{
    struct sleeper *sleeper = arg;
    ei_waiter_wait(&sleeper->waiter, EI_MONO_NEVER);
    sleeper->was_spurious = !atomic_load(&sleeper->may_return);
    atomic_store(&sleeper->is_back, true);
}

static void ignore_signal(int number)
{
    (void)number;
}

/* Neither stray wake-ups of the futex nor signals end the wait. */
EI_TEST(wait_returns_only_when_granted)
{
    static struct sleeper sleeper;
    struct ei_thread thread;
    const struct sigaction action = {.sa_handler = ignore_signal};
    const struct ei_thread_attr attr = {.name = "sleeper"};
    EI_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    ei_waiter_init(&sleeper.waiter);
    ei_waiter_prepare(&sleeper.waiter);
    EI_REQUIRE(ei_thread_create(&thread, &attr, sleep_for_grant, &sleeper, NULL) == 0);
    while (atomic_load(&sleeper.waiter.word) != EI_WAITER_SLEEPING) {
        sched_yield();
    }
    for (int i = 0; i < 50; i++) {
        syscall(SYS_futex, &sleeper.waiter.word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        pthread_kill(thread.handle, SIGUSR1);
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), 100 * EI_NS_PER_US));
    }
    EI_TRUE(!atomic_load(&sleeper.is_back));
    atomic_store(&sleeper.may_return, true);
    ei_waiter_grant(&sleeper.waiter);
    ei_thread_join(&thread);
    EI_TRUE(atomic_load(&sleeper.is_back) && !sleeper.was_spurious);
}

/* Two threads pass a token many times: every hand-off arrives, and what was written before it is seen after it. */
#define PASSES 20000

struct token {
    struct ei_handoff_guard guard;
    struct ei_waiter waiters[2];
    struct ei_boost boosts[2];
    int64_t value; /* plain on purpose: ThreadSanitizer checks that the hand-off orders it */
};

struct player {
    struct token *token;
    int own;
    bool is_out_of_turn;
};

static void play(void *arg)
{
    struct player *player = arg;
    struct token *token = player->token;
    ei_boost_init_self(&token->boosts[player->own]);
    for (int i = 0; i < PASSES; i++) {
        ei_waiter_wait(&token->waiters[player->own], EI_MONO_NEVER);
        player->is_out_of_turn |= token->value % 2 != player->own;
        token->value++;
        ei_handoff_guard_lock(&token->guard);
        ei_waiter_prepare(&token->waiters[player->own]);
        ei_handoff_release(&token->guard, &token->waiters[1 - player->own], &token->boosts[player->own]);
    }
}

EI_TEST(token_passes_without_loss)
{
    static struct token token;
    struct player players[2] = {{.token = &token, .own = 0}, {.token = &token, .own = 1}};
    struct ei_thread threads[2];
    const struct ei_thread_attr attr = {.name = "player"};
    EI_REQUIRE(ei_handoff_guard_init(&token.guard, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        ei_waiter_init(&token.waiters[i]);
        ei_waiter_prepare(&token.waiters[i]);
    }
    for (int i = 0; i < 2; i++) {
        EI_REQUIRE(ei_thread_create(&threads[i], &attr, play, &players[i], NULL) == 0);
    }
    ei_waiter_grant(&token.waiters[0]);
    ei_thread_join(&threads[0]);
    ei_thread_join(&threads[1]);
    EI_EQ(token.value, 2 * PASSES);
    EI_TRUE(!players[0].is_out_of_turn && !players[1].is_out_of_turn);
    ei_handoff_guard_fini(&token.guard);
}

struct timer {
    struct ei_handoff_guard guard;
    struct ei_waiter waiter;
    atomic_bool is_queued;
    atomic_bool is_over;
    int granted_by_giver;
};

static void give(void *arg)
{
    struct timer *timer = arg;
    while (!atomic_load(&timer->is_over)) {
        ei_handoff_guard_lock(&timer->guard);
        if (atomic_load(&timer->is_queued)) {
            atomic_store(&timer->is_queued, false);
            timer->granted_by_giver++;
            ei_waiter_grant(&timer->waiter);
        }
        ei_handoff_guard_unlock(&timer->guard);
        sched_yield();
    }
}

/* Timeouts that race with grants: each grant is seen exactly once, by the wait or by the cancel. */
EI_TEST(timeouts_and_grants_agree)
{
    static struct timer timer;
    struct ei_thread giver;
    const struct ei_thread_attr attr = {.name = "giver"};
    int granted = 0, timed_out = 0;
    EI_REQUIRE(ei_handoff_guard_init(&timer.guard, NULL) == 0);
    ei_waiter_init(&timer.waiter);
    EI_REQUIRE(ei_thread_create(&giver, &attr, give, &timer, NULL) == 0);
    for (int i = 0; i < 5000; i++) {
        ei_handoff_guard_lock(&timer.guard);
        ei_waiter_prepare(&timer.waiter);
        atomic_store(&timer.is_queued, true);
        ei_handoff_guard_unlock(&timer.guard);
        if (ei_waiter_wait(&timer.waiter, ei_mono_add(ei_mono_now(), (i % 40) * EI_NS_PER_US)) == 0) {
            granted++;
            continue;
        }
        ei_handoff_guard_lock(&timer.guard);
        atomic_store(&timer.is_queued, false);
        if (ei_waiter_cancel(&timer.waiter)) {
            granted++;
        } else {
            timed_out++;
        }
        ei_handoff_guard_unlock(&timer.guard);
    }
    atomic_store(&timer.is_over, true);
    ei_thread_join(&giver);
    EI_EQ(granted, timer.granted_by_giver);
    EI_EQ(granted + timed_out, 5000);
    ei_handoff_guard_fini(&timer.guard);
}
