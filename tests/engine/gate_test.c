/* The gate of a lane with real threads on one CPU: its holder runs at the priority of the highest waiter, so that
 * nothing between the two can hold up the lane. Needs SCHED_FIFO.
 */
#include "engine/lane_gate_rt.h"
#include "rt/clock.h"
#include "rt/thread.h"
#include "rt/topology.h"
#include "tests/harness/harness.h"

#include <stdatomic.h>

enum { HOLDER = 20, SPINNER = 30, WAITER = 40 };

#define SPIN_MAX_NS (2 * EI_NS_PER_S) /* what ends the case when the holder is not boosted */

struct play {
    struct ei_lane_gate gate;
    struct ei_gate_seat low, high;
    struct ei_cpuset cpu;
    atomic_bool is_held, is_asked, is_released;
    bool is_spin_cut_short; /* the lane was passed on while the spinner ran */
    int priority_held, priority_after;
    bool is_granted_at_once, has_lane;
};

static int kernel_priority(void)
{
    struct ei_thread_state state = {0};
    EI_EQ(ei_thread_read(0, &state), 0);
    return state.priority;
}

static void nap_until(atomic_bool *flag)
{
    while (!atomic_load(flag)) {
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), EI_NS_PER_MS));
    }
}

static void hold(void *arg)
{
    struct play *play = arg;
    ei_boost_init_self(&play->low.boost);
    EI_TRUE(ei_gate_request(&play->gate, &play->low, 0, INT64_MAX, ei_mono_now().ns));
    atomic_store(&play->is_held, true);
    nap_until(&play->is_asked); /* the waiter has asked and the spinner spins when this thread gets its CPU again */
    play->priority_held = kernel_priority();
    EI_TRUE(ei_gate_is_higher_waiting(&play->gate));
    atomic_store(&play->is_released, true);
    EI_EQ(ei_gate_release(&play->gate, &play->low, ei_mono_now().ns, true), 1);
    play->priority_after = kernel_priority();
}

static void wait_for_lane(void *arg)
{
    struct play *play = arg;
    ei_boost_init_self(&play->high.boost);
    nap_until(&play->is_held);
    play->is_granted_at_once = ei_gate_request(&play->gate, &play->high, 7, INT64_MAX, ei_mono_now().ns);
    atomic_store(&play->is_asked, true);
    ei_gate_wait(&play->high);
    play->has_lane = true;
    EI_EQ(ei_gate_release(&play->gate, &play->high, ei_mono_now().ns, false), EI_LANE_NOBODY);
}

/* Above the holder, below the waiter: takes the CPU once the waiter sleeps. */
static void spin(void *arg)
{
    struct play *play = arg;
    nap_until(&play->is_asked);
    const int64_t begin_ns = ei_mono_now().ns;
    while (!atomic_load(&play->is_released) && ei_mono_now().ns - begin_ns < SPIN_MAX_NS) {
    }
    play->is_spin_cut_short = atomic_load(&play->is_released);
}

static bool create(struct ei_thread *thread, const char *name, int priority, ei_thread_fn fn, const struct play *where,
                   void *arg)
{
    struct einet_error err = {0};
    const struct ei_thread_attr attr = {
        .name = name, .policy = EI_THREAD_FIFO, .priority = priority, .cpus = where->cpu};
    const int rc = ei_thread_create(thread, &attr, fn, arg, &err);
    if (rc == EINET_E_PRIVILEGE) {
        ei_test_skip("%s", err.text);
    }
    return EI_TRUEF(rc == 0, "%s", err.text);
}

EI_TEST(gate_holder_inherits_from_the_waiter)
{
    static struct play play;
    struct ei_cpuset allowed;
    struct ei_thread holder, waiter, spinner;
    play = (struct play){0};
    EI_REQUIRE(ei_topology_allowed(&allowed, NULL) == 0);
    ei_cpuset_add(&play.cpu, ei_cpuset_next(&allowed, 0));
    EI_REQUIRE(ei_gate_init(&play.gate, EI_LANE_BY_PRIORITY, NULL) == 0);
    ei_gate_seat_init(&play.gate, &play.low, 0, HOLDER);
    ei_gate_seat_init(&play.gate, &play.high, 1, WAITER);
    EI_REQUIRE(create(&holder, "holder", HOLDER, hold, &play, &play));
    EI_REQUIRE(create(&spinner, "spinner", SPINNER, spin, &play, &play));
    EI_REQUIRE(create(&waiter, "waiter", WAITER, wait_for_lane, &play, &play));
    ei_thread_join(&holder);
    ei_thread_join(&waiter);
    ei_thread_join(&spinner);
    EI_TRUE(!play.is_granted_at_once);
    EI_EQ(play.priority_held, WAITER);
    EI_EQ(play.priority_after, HOLDER);
    EI_TRUE(play.has_lane);
    EI_TRUEF(play.is_spin_cut_short, "the spinner held up the lane");
    /* the grant names who lost the lane, for the preemption record */
    EI_EQ(play.high.victim_task_idx, 0);
    EI_EQ(play.high.victim_job_idx, 0);
    EI_TRUE(play.high.granted_ns >= play.high.request_ns);
    ei_gate_fini(&play.gate);
}

/* What onlookers see follows every change of hands, also when a clock was read a moment before another's. */
EI_TEST(gate_shows_holder_queue_and_time_held)
{
    static struct play play;
    play = (struct play){0};
    EI_REQUIRE(ei_gate_init(&play.gate, EI_LANE_BY_PRIORITY, NULL) == 0);
    ei_gate_seat_init(&play.gate, &play.low, 0, HOLDER);
    ei_gate_seat_init(&play.gate, &play.high, 1, WAITER);
    struct ei_gate_look look = ei_gate_look(&play.gate, 1000);
    EI_EQ(look.holder_idx, EI_LANE_NOBODY);
    EI_EQ(look.busy_ns, 0);
    EI_TRUE(ei_gate_request(&play.gate, &play.low, 0, INT64_MAX, 1000));
    look = ei_gate_look(&play.gate, 1250);
    EI_EQ(look.holder_idx, 0);
    EI_EQ(look.waiting, 0);
    EI_EQ(look.busy_ns, 250);
    EI_TRUE(!ei_gate_request(&play.gate, &play.high, 0, INT64_MAX, 1300));
    EI_EQ(ei_gate_look(&play.gate, 1300).waiting, 1);
    EI_EQ(ei_gate_yield(&play.gate, &play.low, 1400), 1); /* low queues again */
    look = ei_gate_look(&play.gate, 1400);
    EI_EQ(look.holder_idx, 1);
    EI_EQ(look.waiting, 1);
    EI_EQ(look.busy_ns, 400);
    EI_EQ(ei_gate_release(&play.gate, &play.high, 1500, false), 0);
    EI_EQ(ei_gate_look(&play.gate, 1600).busy_ns, 600);
    EI_EQ(ei_gate_release(&play.gate, &play.low, 1700, false), EI_LANE_NOBODY);
    look = ei_gate_look(&play.gate, 5000);
    EI_EQ(look.holder_idx, EI_LANE_NOBODY);
    EI_EQ(look.waiting, 0);
    EI_EQ(look.busy_ns, 700);
    EI_TRUE(ei_gate_request(&play.gate, &play.low, 1, INT64_MAX, 6000));
    EI_EQ(ei_gate_look(&play.gate, 5999).busy_ns, 699); /* looked a moment before */
    EI_EQ(ei_gate_release(&play.gate, &play.low, 6001, false), EI_LANE_NOBODY);
    EI_EQ(ei_gate_look(&play.gate, 9000).busy_ns, 701);
    ei_gate_fini(&play.gate);
}

/* ---- earliest deadline first ---- */

struct edf_play {
    struct ei_lane_gate gate;
    struct ei_gate_seat first, second, third; /* in the order of their deadlines */
    atomic_bool is_held, is_second_waiting, is_third_waiting;
    int priority_held, priority_granted, priority_after;
    bool is_preemptor_seen;
};

static void hold_first(void *arg)
{
    struct edf_play *play = arg;
    ei_boost_init_self(&play->first.boost);
    EI_TRUE(ei_gate_request(&play->gate, &play->first, 0, 100, ei_mono_now().ns));
    atomic_store(&play->is_held, true);
    nap_until(&play->is_second_waiting);
    ei_mono_sleep_until(ei_mono_add(ei_mono_now(), 20 * EI_NS_PER_MS));
    play->priority_held = kernel_priority();
    play->is_preemptor_seen = ei_gate_is_higher_waiting(&play->gate);
    EI_EQ(ei_gate_yield(&play->gate, &play->first, ei_mono_now().ns), EI_LANE_NOBODY);
    EI_EQ(ei_gate_release(&play->gate, &play->first, ei_mono_now().ns, false), 1);
}

static void wait_second(void *arg)
{
    struct edf_play *play = arg;
    ei_boost_init_self(&play->second.boost);
    nap_until(&play->is_third_waiting);
    EI_TRUE(!ei_gate_request(&play->gate, &play->second, 0, 200, ei_mono_now().ns));
    atomic_store(&play->is_second_waiting, true);
    ei_gate_wait(&play->second);
    play->priority_granted = kernel_priority();
    EI_EQ(ei_gate_release(&play->gate, &play->second, ei_mono_now().ns, false), 2);
    play->priority_after = kernel_priority();
}

static void wait_third(void *arg)
{
    struct edf_play *play = arg;
    ei_boost_init_self(&play->third.boost);
    nap_until(&play->is_held);
    EI_TRUE(!ei_gate_request(&play->gate, &play->third, 0, 300, ei_mono_now().ns));
    atomic_store(&play->is_third_waiting, true);
    ei_gate_wait(&play->third);
    EI_EQ(ei_gate_release(&play->gate, &play->third, ei_mono_now().ns, false), EI_LANE_NOBODY);
}

/* The last deadline has the highest priority: it waits behind the second, which runs as high as it meanwhile. */
EI_TEST(gate_by_deadline_boosts_whom_it_grants)
{
    static struct edf_play play;
    static struct play cpu_of;
    struct ei_cpuset allowed;
    struct ei_thread threads[3];
    play = (struct edf_play){0};
    cpu_of = (struct play){0};
    EI_REQUIRE(ei_topology_allowed(&allowed, NULL) == 0);
    ei_cpuset_add(&cpu_of.cpu, ei_cpuset_next(&allowed, 0));
    EI_REQUIRE(ei_gate_init(&play.gate, EI_LANE_BY_DEADLINE, NULL) == 0);
    ei_gate_seat_init(&play.gate, &play.first, 0, HOLDER);
    ei_gate_seat_init(&play.gate, &play.second, 1, SPINNER);
    ei_gate_seat_init(&play.gate, &play.third, 2, WAITER);
    EI_REQUIRE(create(&threads[0], "first", HOLDER, hold_first, &cpu_of, &play));
    EI_REQUIRE(create(&threads[1], "second", SPINNER, wait_second, &cpu_of, &play));
    EI_REQUIRE(create(&threads[2], "third", WAITER, wait_third, &cpu_of, &play));
    for (int i = 0; i < 3; i++) {
        ei_thread_join(&threads[i]);
    }
    EI_EQ(play.priority_held, WAITER);
    EI_TRUE(!play.is_preemptor_seen);
    EI_EQ(play.priority_granted, WAITER);
    EI_EQ(play.priority_after, SPINNER);
    ei_gate_fini(&play.gate);
}

/* Who leaves alone must see a waiter that came in the last moment, and that its priority was asked for. */
EI_TEST(gate_is_left_alone_only_when_nobody_waits)
{
    struct ei_lane_gate gate;
    struct ei_gate_seat low, high;
    EI_REQUIRE(ei_gate_init(&gate, EI_LANE_BY_PRIORITY, NULL) == 0);
    ei_gate_seat_init(&gate, &low, 0, 20);
    ei_gate_seat_init(&gate, &high, 1, 40);
    EI_TRUE(ei_gate_request(&gate, &low, 0, INT64_MAX, 1));
    EI_TRUE(ei_gate_release_alone(&gate, &low, 2));
    EI_EQ(ei_gate_look(&gate, 100).busy_ns, 1);
    EI_EQ(ei_gate_look(&gate, 100).holder_idx, EI_LANE_NOBODY);
    EI_TRUE(ei_gate_request(&gate, &low, 1, INT64_MAX, 12)); /* it was free */
    EI_TRUE(!ei_gate_request(&gate, &high, 0, INT64_MAX, 13));
    EI_TRUE(!ei_gate_release_alone(&gate, &low, 14));
    EI_TRUE(ei_gate_is_higher_waiting(&gate));
    EI_EQ(ei_gate_release(&gate, &low, 14, false), 1); /* it was still held */
    EI_TRUE(ei_gate_release_alone(&gate, &high, 15));
    EI_TRUE(ei_gate_request(&gate, &low, 2, INT64_MAX, 25));
    EI_EQ(ei_gate_look(&gate, 25).busy_ns, 4); /* 1 to 2 and 12 to 15 */
    atomic_store(&low.top_priority, 40);
    EI_TRUE(!ei_gate_release_alone(&gate, &low, 26)); /* the stretch that it ran at that has to be written down */
    EI_EQ(ei_gate_release(&gate, &low, 26, false), EI_LANE_NOBODY);
    EI_EQ(ei_gate_look(&gate, 100).busy_ns, 5);
    ei_gate_fini(&gate);
}

EI_MAIN()
