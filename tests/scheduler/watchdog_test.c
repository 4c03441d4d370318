/* The watchdog's looks: what is a runaway, what starves housekeeping, and what is neither. */
#include "scheduler/watchdog.h"

#include "tests/harness/harness.h"

#define MS INT64_C(1000000)

static struct ei_watch_look look_at(int64_t now_ns, int64_t job_idx, int64_t used_ns)
{
    return (struct ei_watch_look){
        .now_ns = now_ns, .job_idx = job_idx, .used_ns = used_ns, .limit_ns = 10 * MS, .beat_ns = now_ns};
}

static enum ei_watch_verdict take(struct ei_watch *watch, struct ei_watch_look look)
{
    return ei_watch_take(watch, &look);
}

EI_TEST(watch_counts_from_the_look_that_first_sees_the_job)
{
    struct ei_watch w;
    ei_watch_init(&w);
    EI_EQ((int)take(&w, look_at(10 * MS, 0, 500 * MS)), EI_WATCH_FINE); /* older jobs' time is not this one's */
    EI_EQ((int)take(&w, look_at(20 * MS, 0, 510 * MS)), EI_WATCH_FINE); /* the limit itself is allowed */
    EI_EQ((int)take(&w, look_at(30 * MS, 0, 510 * MS + 1)), EI_WATCH_RUNAWAY);
}

EI_TEST(watch_begins_anew_with_each_job)
{
    struct ei_watch w;
    ei_watch_init(&w);
    for (int64_t k = 0; k < 1000; k++) {
        if (take(&w, look_at(k * 10 * MS, k, k * 9 * MS)) != EI_WATCH_FINE) {
            EI_TRUEF(false, "job %d is no runaway", (int)k);
            return;
        }
    }
    EI_EQ((int)take(&w, look_at(11000 * MS, EI_WATCH_NO_JOB, 20000 * MS)), EI_WATCH_FINE);
    EI_EQ((int)take(&w, look_at(11010 * MS, 1000, 30000 * MS)), EI_WATCH_FINE);
}

EI_TEST(watch_finds_who_starves_housekeeping)
{
    struct ei_watch hog, calm;
    ei_watch_init(&hog);
    ei_watch_init(&calm);
    for (int64_t t = 0; t <= 1010; t += 10) {
        struct ei_watch_look a = look_at(t * MS, 7, t * MS), b = look_at(t * MS, 3, t * MS / 3);
        a.limit_ns = b.limit_ns = EI_WATCH_NO_LIMIT;
        a.beat_ns = b.beat_ns = 0;
        EI_EQ((int)take(&hog, a), t > 1000 ? EI_WATCH_STARVING : EI_WATCH_FINE);
        EI_EQ((int)take(&calm, b), EI_WATCH_FINE);
    }
    struct ei_watch_look alive = look_at(1020 * MS, 7, 1020 * MS);
    alive.limit_ns = EI_WATCH_NO_LIMIT;
    EI_EQ((int)take(&hog, alive), EI_WATCH_FINE);
}
