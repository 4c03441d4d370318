/* The sliding real-time load against a nanosecond-exact sum over the last second. */
#include "scheduler/load.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#define MS INT64_C(1000000)

EI_TEST(load_counts_the_union_of_active_intervals)
{
    struct ei_load load;
    ei_load_init(&load, 0);
    ei_load_enter(&load, 10 * MS);
    ei_load_enter(&load, 12 * MS);
    ei_load_leave(&load, 15 * MS);
    ei_load_leave(&load, 20 * MS);
    EI_EQ(ei_load_used_ns(&load, 500 * MS), 10 * MS);
    EI_EQ(ei_load_used_ns(&load, 2000 * MS), 0);
}

EI_TEST(load_passes_the_cap_at_the_cap)
{
    struct ei_load load;
    ei_load_init(&load, 0);
    ei_load_enter(&load, 0);
    EI_TRUE(!ei_load_would_pass(&load, 890 * MS, 10 * MS, 0.9));
    EI_TRUE(ei_load_would_pass(&load, 890 * MS, 10 * MS + 1, 0.9));
    EI_TRUE(!ei_load_would_pass(&load, 890 * MS, 10 * MS + 1, 0.95));
}

EI_TEST(load_survives_long_gaps)
{
    struct ei_load load;
    ei_load_init(&load, 5 * MS);
    ei_load_enter(&load, 6 * MS);
    EI_IN(ei_load_used_ns(&load, 100000 * MS), 1000 * MS, 1010 * MS);
    ei_load_leave(&load, 100000 * MS);
    EI_EQ(ei_load_used_ns(&load, 900000 * MS), 0);
}

EI_TEST(load_covers_the_last_second_and_at_most_one_slot_more)
{
    const uint64_t seed = 5;
    struct ei_random rng;
    ei_random_init(&rng, seed, 0);
    enum { EVENTS = 4000 };
    static int64_t start[EVENTS], end[EVENTS];
    struct ei_load load;
    ei_load_init(&load, 0);
    int64_t now = 0;
    for (int i = 0; i < EVENTS; i++) {
        start[i] = now + (int64_t)ei_random_below(&rng, 8 * (uint64_t)MS);
        end[i] = start[i] + (int64_t)ei_random_below(&rng, 9 * (uint64_t)MS);
        ei_load_enter(&load, start[i]);
        ei_load_leave(&load, end[i]);
        now = end[i];
        int64_t exact = 0, with_slot = 0;
        for (int j = i; j >= 0 && end[j] > now - EI_LOAD_WINDOW_NS - EI_LOAD_SLOT_NS; j--) {
            const int64_t from = start[j] > now - EI_LOAD_WINDOW_NS ? start[j] : now - EI_LOAD_WINDOW_NS;
            exact += end[j] > from ? end[j] - from : 0;
            const int64_t wide = now - EI_LOAD_WINDOW_NS - EI_LOAD_SLOT_NS;
            with_slot += end[j] - (start[j] > wide ? start[j] : wide);
        }
        const int64_t used = ei_load_used_ns(&load, now);
        if (used < exact || used > with_slot) {
            EI_TRUEF(false, "seed %d event %d: used %lld outside [%lld, %lld]", (int)seed, i, (long long)used,
                     (long long)exact, (long long)with_slot);
            return;
        }
    }
    EI_TRUE(now > 10 * EI_LOAD_WINDOW_NS);
}
