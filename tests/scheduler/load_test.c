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

EI_TEST(load_counts_what_was_used_without_being_active)
{
    struct ei_load load;
    ei_load_init(&load, 0);
    ei_load_enter(&load, 10 * MS);
    ei_load_leave(&load, 12 * MS);
    ei_load_add(&load, 15 * MS, 1 * MS);
    EI_EQ(ei_load_used_ns(&load, 500 * MS), 3 * MS);
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

EI_TEST(load_keeps_the_reserve_free_after_an_idle_stretch)
{
    struct ei_load load;
    ei_load_init(&load, 0);
    ei_load_enter(&load, 150 * MS);
    ei_load_leave(&load, 1000 * MS); /* 850 of the last 1000 ms, and nothing of it leaves for 150 ms */
    EI_TRUE(!ei_load_would_crowd(&load, 1000 * MS, 20 * MS, 0.9, 0.94));
    load.reserve = (struct ei_load_reserve){.burst_ns = 30 * MS, .rate = 0.5};
    EI_TRUE(!ei_load_would_pass(&load, 1000 * MS, 20 * MS, 0.9));
    EI_TRUE(ei_load_would_crowd(&load, 1000 * MS, 20 * MS, 0.9, 0.94));
    EI_TRUE(!ei_load_would_crowd(&load, 1000 * MS, 20 * MS, 0.9, 1));
    load.reserve = (struct ei_load_reserve){.burst_ns = 5 * MS, .rate = 0.1}; /* 870 + 5 + 15 + 1 */
    EI_TRUE(!ei_load_would_crowd(&load, 1000 * MS, 20 * MS, 0.9, 0.94));
    EI_TRUE(ei_load_would_crowd(&load, 1000 * MS, 51 * MS, 0.9, 0.94));
}

/* One CPU in steps of 0.1 ms: work that cannot wait, saved up to its burst and let loose at random moments, and before
 * all else; work that can be left out, in pieces, whenever it is allowed. Returns the highest load. */
static int64_t play_greedy(struct ei_random *rng, struct ei_load_reserve asked, struct ei_load_reserve kept)
{
    const int64_t step_ns = MS / 10;
    struct ei_load load;
    int64_t saved_ns = asked.burst_ns, owed_ns = 0, extra_ns = 0, highest_ns = 0;
    bool is_busy = false;
    ei_load_init(&load, 0);
    load.reserve = kept;
    for (int64_t now_ns = 0; now_ns < 6000 * MS; now_ns += step_ns) {
        saved_ns += (int64_t)(asked.rate * (double)step_ns);
        saved_ns = saved_ns < asked.burst_ns ? saved_ns : asked.burst_ns;
        if (ei_random_below(rng, 40) == 0 || owed_ns > 0) {
            owed_ns += saved_ns;
            saved_ns = 0;
        }
        if (owed_ns < step_ns && extra_ns < step_ns) {
            const int64_t piece_ns = (1 + (int64_t)ei_random_below(rng, 80)) * step_ns;
            extra_ns += ei_load_would_crowd(&load, now_ns, piece_ns, 0.9, 0.94) ? 0 : piece_ns;
        }
        const bool was_busy = is_busy;
        is_busy = owed_ns >= step_ns || extra_ns >= step_ns;
        if (is_busy != was_busy) {
            (is_busy ? ei_load_enter : ei_load_leave)(&load, now_ns);
        }
        *(owed_ns >= step_ns ? &owed_ns : &extra_ns) -= is_busy ? step_ns : 0;
        const int64_t used_ns = ei_load_used_ns(&load, now_ns);
        highest_ns = used_ns > highest_ns ? used_ns : highest_ns;
    }
    return highest_ns;
}

EI_TEST(load_never_passes_the_hard_cap_while_the_reserve_is_kept)
{
    const uint64_t seed = 12;
    struct ei_random rng;
    int passed = 0;
    ei_random_init(&rng, seed, 0);
    for (int i = 0; i < 60; i++) {
        const struct ei_load_reserve asked = {.burst_ns = (1 + (int64_t)ei_random_below(&rng, 40)) * MS,
                                              .rate = 0.8 * ei_random_unit(&rng)};
        const int64_t with_ns = play_greedy(&rng, asked, asked);
        EI_TRUEF(with_ns <= 940 * MS, "%lld ns used with burst %lld ns, rate %f", (long long)with_ns,
                 (long long)asked.burst_ns, asked.rate);
        passed += play_greedy(&rng, asked, (struct ei_load_reserve){0}) > 940 * MS;
    }
    printf("load: seed %llu, without a reserve %d of 60 pass the hard cap\n", (unsigned long long)seed, passed);
    EI_TRUE(passed > 10);
}
