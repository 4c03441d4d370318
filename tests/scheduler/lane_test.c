/* Lane arbitration against a naive oracle. */
#include "scheduler/lane.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

EI_TEST(lane_hands_over_to_the_highest_waiter)
{
    struct ei_lane lane;
    ei_lane_init(&lane, EI_LANE_BY_PRIORITY);
    EI_TRUE(ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 1, .priority = 50}));
    EI_TRUE(!ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 2, .priority = 40}));
    EI_TRUE(!ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 3, .priority = 70}));
    EI_TRUE(!ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 4, .priority = 70}));
    EI_EQ(ei_lane_effective_priority(&lane), 70);
    EI_EQ(ei_lane_yield(&lane), 3);
    EI_EQ(ei_lane_effective_priority(&lane), 70);
    EI_EQ(ei_lane_release(&lane), 4);
    EI_EQ(ei_lane_release(&lane), 1);
    EI_EQ(ei_lane_effective_priority(&lane), 50);
    EI_EQ(ei_lane_release(&lane), 2);
    EI_EQ(ei_lane_release(&lane), EI_LANE_NOBODY);
    EI_EQ(ei_lane_effective_priority(&lane), 0);
}

EI_TEST(lane_yield_keeps_the_lane_when_nobody_higher_waits)
{
    struct ei_lane lane;
    ei_lane_init(&lane, EI_LANE_BY_PRIORITY);
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 1, .priority = 50});
    EI_EQ(ei_lane_yield(&lane), 1);
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 2, .priority = 50});
    EI_EQ(ei_lane_yield(&lane), 1);
    EI_EQ(ei_lane_top_waiting(&lane), 50);
}

EI_TEST(lane_yielder_comes_back_before_its_own_priority)
{
    struct ei_lane lane;
    ei_lane_init(&lane, EI_LANE_BY_PRIORITY);
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 1, .priority = 50});
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 2, .priority = 50});
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 3, .priority = 60});
    EI_EQ(ei_lane_yield(&lane), 3);
    EI_EQ(ei_lane_release(&lane), 1);
}

EI_TEST(lane_cancel_removes_the_waiter_only)
{
    struct ei_lane lane;
    ei_lane_init(&lane, EI_LANE_BY_PRIORITY);
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 1, .priority = 50});
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 2, .priority = 60});
    EI_TRUE(!ei_lane_cancel(&lane, 1));
    EI_TRUE(ei_lane_cancel(&lane, 2));
    EI_EQ(ei_lane_release(&lane), EI_LANE_NOBODY);
}

EI_TEST(lane_by_deadline_ignores_priorities_but_inherits_them)
{
    struct ei_lane lane;
    ei_lane_init(&lane, EI_LANE_BY_DEADLINE);
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 1, .priority = 50, .deadline_ns = 100});
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 2, .priority = 60, .deadline_ns = 200});
    EI_TRUE(!ei_lane_is_preemptor_waiting(&lane));
    EI_EQ(ei_lane_yield(&lane), 1);
    EI_EQ(ei_lane_effective_priority(&lane), 60);
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 3, .priority = 40, .deadline_ns = 99});
    EI_TRUE(ei_lane_is_preemptor_waiting(&lane));
    EI_EQ(ei_lane_yield(&lane), 3);
    EI_EQ(ei_lane_effective_priority(&lane), 60); /* it keeps others waiting, and task 2 is the highest of them */
    EI_EQ(ei_lane_release(&lane), 1);
    EI_EQ(ei_lane_release(&lane), 2);
}

EI_TEST(lane_counts_who_goes_first)
{
    struct ei_lane lane;
    const struct ei_lane_claim middle = {.task_idx = 9, .priority = 50};
    ei_lane_init(&lane, EI_LANE_BY_PRIORITY);
    EI_EQ(ei_lane_ahead(&lane, middle), EI_LANE_IS_FREE);
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 1, .priority = 40});
    EI_EQ(ei_lane_ahead(&lane, middle), 0);
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 2, .priority = 50});
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 3, .priority = 60});
    ei_lane_request(&lane, (struct ei_lane_claim){.task_idx = 4, .priority = 49});
    EI_EQ(ei_lane_ahead(&lane, middle), 2);
    ei_lane_yield(&lane);
    EI_EQ(ei_lane_ahead(&lane, middle), 2);
    EI_EQ(ei_lane_ahead(&lane, (struct ei_lane_claim){.task_idx = 9, .priority = 60}), 1);
}

/* The oracle keeps requests unsorted with a stamp and searches for the best each time. */
struct naive {
    int32_t task[EI_LANE_CLAIMS_MAX], rank[EI_LANE_CLAIMS_MAX]; /* of the greatest rank goes first */
    int64_t stamp[EI_LANE_CLAIMS_MAX];
    int32_t count, holder, holder_rank;
    int64_t holder_stamp, clock;
};

static void naive_take_best(struct naive *n)
{
    int best = -1;
    for (int i = 0; i < n->count; i++) {
        if (best < 0 || n->rank[i] > n->rank[best] || (n->rank[i] == n->rank[best] && n->stamp[i] < n->stamp[best])) {
            best = i;
        }
    }
    n->holder = EI_LANE_NOBODY;
    n->holder_rank = 0;
    if (best >= 0) {
        n->holder = n->task[best];
        n->holder_rank = n->rank[best];
        n->holder_stamp = n->stamp[best];
        n->count--;
        n->task[best] = n->task[n->count];
        n->rank[best] = n->rank[n->count];
        n->stamp[best] = n->stamp[n->count];
    }
}

static void naive_add(struct naive *n, int32_t task, int32_t rank, int64_t stamp)
{
    n->task[n->count] = task;
    n->rank[n->count] = rank;
    n->stamp[n->count] = stamp;
    n->count++;
}

/* Priorities follow from the tasks in this test. */
static int32_t priority_of(int32_t task)
{
    return 10 + task / 3;
}

static int32_t naive_top(const struct naive *n)
{
    int32_t top = 0;
    for (int i = 0; i < n->count; i++) {
        top = priority_of(n->task[i]) > top ? priority_of(n->task[i]) : top;
    }
    return top;
}

static bool naive_is_before(const struct naive *n)
{
    bool is_before = false;
    for (int i = 0; i < n->count; i++) {
        is_before |= n->holder != EI_LANE_NOBODY && n->rank[i] > n->holder_rank;
    }
    return is_before;
}

static void compare_with_oracle(enum ei_lane_order order, uint64_t seed)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, 0);
    for (int run = 0; run < 500; run++) {
        struct ei_lane lane;
        struct naive oracle = {.holder = EI_LANE_NOBODY};
        bool has_claim[16] = {false};
        ei_lane_init(&lane, order);
        for (int event = 0; event < 300; event++) {
            const int32_t task = (int32_t)ei_random_below(&rng, 16);
            const int32_t priority = priority_of(task);
            const int32_t deadline_ns = (int32_t)ei_random_below(&rng, 8);
            const uint64_t kind = ei_random_below(&rng, 3);
            if (!has_claim[task]) {
                has_claim[task] = true;
                const bool granted = ei_lane_request(
                    &lane, (struct ei_lane_claim){.task_idx = task, .priority = priority, .deadline_ns = deadline_ns});
                EI_EQ(granted, oracle.holder == EI_LANE_NOBODY);
                naive_add(&oracle, task, order == EI_LANE_BY_DEADLINE ? -deadline_ns : priority, oracle.clock++);
                if (granted) {
                    naive_take_best(&oracle);
                }
            } else if (kind == 0 && oracle.holder != EI_LANE_NOBODY) {
                has_claim[oracle.holder] = false;
                ei_lane_release(&lane);
                naive_take_best(&oracle);
            } else if (kind == 1 && oracle.holder != EI_LANE_NOBODY) {
                ei_lane_yield(&lane);
                if (naive_is_before(&oracle)) {
                    naive_add(&oracle, oracle.holder, oracle.holder_rank, oracle.holder_stamp);
                    naive_take_best(&oracle);
                }
            }
            EI_EQ(ei_lane_is_preemptor_waiting(&lane), naive_is_before(&oracle));
            EI_EQ(ei_lane_top_waiting(&lane), naive_top(&oracle));
            if (lane.holder.task_idx != oracle.holder) {
                EI_TRUEF(false, "seed %d run %d event %d: holder %d, oracle %d", (int)seed, run, event,
                         lane.holder.task_idx, oracle.holder);
                return;
            }
        }
    }
}

EI_TEST(lane_equals_a_naive_oracle)
{
    compare_with_oracle(EI_LANE_BY_PRIORITY, 77);
    compare_with_oracle(EI_LANE_BY_DEADLINE, 78);
}
