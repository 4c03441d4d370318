/* Accounting of releases: every nominal release ends in exactly one class, whatever the policy and the order. */
#include "scheduler/release.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <errno.h>

static struct ei_release release(int64_t k)
{
    return (struct ei_release){.job_idx = k, .nominal_ns = k * 1000};
}

EI_TEST(release_skip_skips_while_active)
{
    struct ei_release_state s;
    struct ei_release displaced, next;
    bool has = false;
    EI_EQ(ei_release_init(&s, EI_LATE_SKIP, 0, 1), 0);
    EI_EQ(ei_release_on_release(&s, release(0), &displaced, &has), EI_RELEASE_START);
    EI_EQ(ei_release_on_release(&s, release(1), &displaced, &has), EI_RELEASE_SKIPPED);
    EI_TRUE(!has);
    EI_TRUE(!ei_release_on_finish(&s, &next));
    EI_EQ(ei_release_on_release(&s, release(2), &displaced, &has), EI_RELEASE_START);
    EI_EQ(s.started, 2);
    EI_EQ(s.skipped, 1);
}

EI_TEST(release_drop_oldest_keeps_the_newest)
{
    struct ei_release_state s;
    struct ei_release displaced = {.job_idx = -1}, next = {.job_idx = -1};
    bool has = false;
    ei_release_init(&s, EI_LATE_DROP_OLDEST, 2, 1);
    for (int64_t k = 0; k < 3; k++) {
        ei_release_on_release(&s, release(k), &displaced, &has);
    }
    EI_TRUE(!has);
    EI_EQ(ei_release_on_release(&s, release(3), &displaced, &has), EI_RELEASE_QUEUED);
    EI_TRUE(has);
    EI_EQ(displaced.job_idx, 1);
    EI_TRUE(ei_release_on_finish(&s, &next));
    EI_EQ(next.job_idx, 2);
    EI_TRUE(ei_release_on_finish(&s, &next));
    EI_EQ(next.job_idx, 3);
    EI_TRUE(!ei_release_on_finish(&s, &next));
    EI_EQ(s.dropped, 1);
}

EI_TEST(release_drop_newest_keeps_the_oldest)
{
    struct ei_release_state s;
    struct ei_release displaced, next = {.job_idx = -1};
    bool has = false;
    ei_release_init(&s, EI_LATE_DROP_NEWEST, 1, 1);
    ei_release_on_release(&s, release(0), &displaced, &has);
    EI_EQ(ei_release_on_release(&s, release(1), &displaced, &has), EI_RELEASE_QUEUED);
    EI_EQ(ei_release_on_release(&s, release(2), &displaced, &has), EI_RELEASE_DROPPED);
    EI_TRUE(ei_release_on_finish(&s, &next));
    EI_EQ(next.job_idx, 1);
}

EI_TEST(release_queue_length_is_checked)
{
    struct ei_release_state s;
    EI_EQ(ei_release_init(&s, EI_LATE_DROP_OLDEST, 0, 1), -EINVAL);
    EI_EQ(ei_release_init(&s, EI_LATE_DROP_OLDEST, EI_RELEASE_QUEUE_MAX + 1, 1), -EINVAL);
    EI_EQ(ei_release_init(&s, EI_LATE_DROP_NEWEST, EI_RELEASE_QUEUE_MAX, 1), 0);
    EI_EQ(ei_release_init(&s, EI_LATE_SKIP, 0, 0), -EINVAL);
}

EI_TEST(release_late_when_as_many_jobs_are_in_flight_as_may_be)
{
    struct ei_release_state s;
    struct ei_release displaced, next;
    bool has = false;
    EI_EQ(ei_release_init(&s, EI_LATE_DROP_OLDEST, 1, 2), 0);
    EI_EQ(ei_release_on_release(&s, release(0), &displaced, &has), EI_RELEASE_START);
    EI_EQ(ei_release_on_release(&s, release(1), &displaced, &has), EI_RELEASE_START);
    EI_EQ(ei_release_on_release(&s, release(2), &displaced, &has), EI_RELEASE_QUEUED);
    EI_EQ(ei_release_on_release(&s, release(3), &displaced, &has), EI_RELEASE_QUEUED);
    EI_TRUE(has && displaced.job_idx == 2);
    EI_TRUE(ei_release_on_finish(&s, &next) && next.job_idx == 3);
    EI_EQ(s.active, 2);
    EI_TRUE(!ei_release_on_finish(&s, &next));
    EI_EQ(s.active, 1);
    EI_EQ(ei_release_on_release(&s, release(4), &displaced, &has), EI_RELEASE_START);
    EI_EQ(s.started, 4);
    EI_EQ(s.dropped, 1);
}

/* Random sequences: as many jobs as may be are in flight when one waits, never more; the identity holds after each
 * event, jobs start in release order, none starts twice. */
EI_TEST(release_identity_holds_in_random_runs)
{
    const uint64_t seed = 20231;
    struct ei_random rng;
    ei_random_init(&rng, seed, 0);
    for (int run = 0; run < 2000; run++) {
        struct ei_release_state s;
        const enum ei_late_policy policy = (enum ei_late_policy)ei_random_below(&rng, 3);
        const int32_t most = 1 + (int32_t)ei_random_below(&rng, 4);
        ei_release_init(&s, policy, 1 + (int32_t)ei_random_below(&rng, 5), most);
        int64_t k = 0, last_started = -1, displaced_count = 0;
        for (int event = 0; event < 200; event++) {
            struct ei_release displaced, next;
            bool has = false;
            if (s.active > 0 && ei_random_below(&rng, 3) == 0) {
                if (ei_release_on_finish(&s, &next)) {
                    EI_TRUEF(next.job_idx > last_started, "seed %d run %d: job %d after %d", (int)seed, run,
                             (int)next.job_idx, (int)last_started);
                    last_started = next.job_idx;
                }
            } else {
                if (ei_release_on_release(&s, release(k), &displaced, &has) == EI_RELEASE_START) {
                    last_started = k;
                }
                displaced_count += has;
                k++;
            }
            if (ei_release_total(&s) != k || s.active > most || (s.waiting > 0 && s.active < most)) {
                EI_EQ(ei_release_total(&s), k);
                EI_TRUEF(false, "seed %d run %d: %d active of %d, %d wait", (int)seed, run, (int)s.active, (int)most,
                         (int)s.waiting);
                return;
            }
        }
        struct ei_release dropped;
        while (ei_release_drop_waiting(&s, &dropped)) {
        }
        EI_EQ(s.started + s.skipped + s.dropped, k);
        EI_TRUE(policy == EI_LATE_DROP_OLDEST || displaced_count == 0);
    }
}

EI_TEST(release_absent_is_skipped_whatever_runs)
{
    struct ei_release_state s;
    struct ei_release displaced;
    bool has = false;
    ei_release_init(&s, EI_LATE_DROP_OLDEST, 1, 1);
    ei_release_absent(&s);
    ei_release_on_release(&s, release(1), &displaced, &has);
    ei_release_on_release(&s, release(2), &displaced, &has);
    ei_release_absent(&s);
    EI_EQ(s.skipped, 2);
    EI_EQ(s.waiting, 1);
    EI_EQ(ei_release_total(&s), 4);
}

EI_TEST(release_unstart_moves_a_job_to_dropped)
{
    struct ei_release_state s;
    struct ei_release displaced, next;
    bool has = false;
    ei_release_init(&s, EI_LATE_SKIP, 0, 1);
    ei_release_on_release(&s, release(0), &displaced, &has);
    ei_release_unstart(&s);
    EI_TRUE(!ei_release_on_finish(&s, &next));
    EI_EQ(s.started, 0);
    EI_EQ(s.dropped, 1);
    ei_release_refuse(&s);
    EI_EQ(s.dropped, 2);
    EI_EQ(ei_release_total(&s), 2);
}
