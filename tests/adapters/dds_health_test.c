/* Levels of diagnostics, on a clock of their own. */
#include "adapters/dds/health.h"
#include "tests/harness/harness.h"

#include <string.h>

#define MS INT64_C(1000000)
#define LATE false

static struct ei_dds_health health;

static bool job(int64_t at_ns, bool is_met, int32_t cause)
{
    const struct einet_result result = {.flags = is_met ? EINET_RESULT_DEADLINE_MET : 0,
                                        .outcome = EINET_JOB_COMPLETED,
                                        .cause = cause,
                                        .release_ns = at_ns - 12 * MS,
                                        .start_ns = at_ns - 8 * MS,
                                        .finish_ns = at_ns - MS};
    ei_dds_health_job(&health, &result, at_ns);
    return ei_dds_health_look(&health, false, at_ns);
}

static void begin(void)
{
    ei_dds_health_init(&health, 33 * MS, 10 * MS);
    EI_EQ(health.level, EI_DDS_STALE);
    EI_TRUE(!ei_dds_health_look(&health, true, 1000 * MS));
}

EI_TEST(health_rises_at_once_and_falls_after_a_good_second)
{
    begin();
    EI_TRUE(job(1100 * MS, true, 0));
    EI_EQ(health.level, EI_DDS_OK);
    EI_TRUE(job(1200 * MS, LATE, 0));
    EI_EQ(health.level, EI_DDS_WARN);
    EI_TRUE(!job(1300 * MS, LATE, 0)); /* said already */
    EI_TRUE(!job(1400 * MS, true, 0));
    EI_TRUE(!ei_dds_health_look(&health, true, 2000 * MS)); /* there was one in that second */
    EI_TRUE(!job(2100 * MS, true, 0));
    EI_EQ(health.level, EI_DDS_WARN);
    EI_TRUE(ei_dds_health_look(&health, true, 3000 * MS));
    EI_EQ(health.level, EI_DDS_OK);
    EI_EQ(health.jobs, 5);
    EI_EQ(health.missed, 2);
}

EI_TEST(health_without_a_job_in_time_for_a_second_is_an_error)
{
    begin();
    (void)job(1100 * MS, true, 0);
    (void)job(1500 * MS, LATE, 0);
    (void)job(2100 * MS, LATE, 0);
    EI_EQ(health.level, EI_DDS_WARN);
    EI_TRUE(job(2101 * MS, LATE, 0));
    EI_EQ(health.level, EI_DDS_ERROR);
    EI_TRUE(!job(2200 * MS, true, 0));
    EI_TRUE(ei_dds_health_look(&health, true, 3000 * MS));
    EI_EQ(health.level, EI_DDS_WARN); /* one is in time again, some of the second were not */
    EI_TRUE(!ei_dds_health_look(&health, false, 3001 * MS));
    EI_TRUE(ei_dds_health_look(&health, true, 4000 * MS));
    EI_EQ(health.level, EI_DDS_OK);
}

/* Late from the first one on: the delay counts from there. */
EI_TEST(health_that_never_was_in_time_is_an_error)
{
    begin();
    EI_TRUE(job(1100 * MS, LATE, 0));
    EI_EQ(health.level, EI_DDS_WARN);
    EI_TRUE(job(2200 * MS, LATE, 0));
    EI_EQ(health.level, EI_DDS_ERROR);
}

EI_TEST(health_of_a_failed_stage_is_an_error)
{
    begin();
    EI_TRUE(job(1100 * MS, LATE, EINET_CAUSE_FAULT));
    EI_EQ(health.level, EI_DDS_ERROR);
    struct ei_dds_words words;
    ei_dds_health_say(&health, false, "", 1100 * MS, &words);
    EI_STREQ(words.message, "a stage failed");
}

EI_TEST(health_of_images_that_are_refused_or_turned_away_is_a_warning)
{
    begin();
    ei_dds_health_refused(&health, 2, 1100 * MS);
    EI_TRUE(ei_dds_health_look(&health, false, 1100 * MS));
    EI_EQ(health.level, EI_DDS_WARN);
    (void)ei_dds_health_look(&health, true, 2000 * MS);
    ei_dds_health_refused(&health, 2, 2500 * MS); /* no more than those */
    EI_TRUE(ei_dds_health_look(&health, true, 3000 * MS));
    EI_EQ(health.level, EI_DDS_OK);
    ei_dds_health_turned_away(&health, 3050 * MS);
    EI_TRUE(ei_dds_health_look(&health, false, 3050 * MS));
    EI_EQ(health.level, EI_DDS_WARN);
}

/* After two seconds, or ten of the distances at which images may come. */
EI_TEST(health_without_images_is_stale)
{
    begin();
    (void)job(1100 * MS, true, 0);
    EI_TRUE(!ei_dds_health_look(&health, true, 3100 * MS));
    EI_EQ(health.level, EI_DDS_OK);
    EI_TRUE(ei_dds_health_look(&health, true, 3101 * MS));
    EI_EQ(health.level, EI_DDS_STALE);
    EI_TRUE(job(3200 * MS, true, 0)); /* and back at once */
    EI_EQ(health.level, EI_DDS_OK);
    ei_dds_health_init(&health, 0, 1000 * MS);
    (void)job(1000 * MS, true, 0);
    EI_TRUE(!ei_dds_health_look(&health, true, 11000 * MS));
    EI_TRUE(ei_dds_health_look(&health, true, 11001 * MS));
}

/* A node of a pool that was overloaded: it rests, and its camera goes on. */
EI_TEST(health_of_images_that_are_left_to_others_is_well)
{
    struct ei_dds_words words;
    int64_t left = 0;
    begin();
    (void)job(1100 * MS, true, 0);
    for (int64_t at_ns = 2000 * MS; at_ns <= 9000 * MS; at_ns += 1000 * MS) {
        ei_dds_health_left(&health, left += 50, at_ns);
        EI_TRUE(!ei_dds_health_look(&health, true, at_ns));
        EI_EQ(health.level, EI_DDS_OK);
        ei_dds_health_say(&health, false, "", at_ns, &words);
        EI_STREQ(words.message, "OK, images are left to other nodes of the pool");
    }
    (void)job(9500 * MS, true, 0);
    EI_TRUE(!ei_dds_health_look(&health, true, 10000 * MS));
    ei_dds_health_say(&health, false, "", 10000 * MS, &words);
    EI_STREQ(words.message, "OK");                 /* it is back */
    ei_dds_health_left(&health, left, 11000 * MS); /* no more than those */
    EI_TRUE(ei_dds_health_look(&health, true, 11501 * MS));
    EI_EQ(health.level, EI_DDS_STALE);
}

EI_TEST(health_words_are_those_that_robots_know)
{
    static const char *const wanted[EI_DDS_WORDS][2] = {
        {"processing_time_ms", "7.000"},
        {"is_processing_time_ms_in_expected_range", "False"},
        {"consecutive_processing_delay_ms", "1100.000"},
        {"is_consecutive_processing_delay_in_range", "False"},
        {"pipeline_latency_ms", "11.000"},
        {"deadline_ms", "33.000"},
        {"jobs", "3"},
        {"missed", "2"},
        {"turned_away", "1"},
        {"refused", "4: no width or no height"},
        {"degraded", "no right to real time"},
    };
    struct ei_dds_words words;
    begin();
    ei_dds_health_say(&health, false, "", 1000 * MS, &words);
    EI_STREQ(words.message, "no image has come yet");
    EI_STREQ(words.values[1], "True");
    EI_STREQ(words.values[9], "0");
    EI_STREQ(words.values[10], "False");
    snprintf(health.degraded, sizeof health.degraded, "no right to real time");
    (void)job(1100 * MS, true, 0);
    ei_dds_health_turned_away(&health, 1100 * MS);
    ei_dds_health_refused(&health, 4, 1100 * MS);
    (void)job(1500 * MS, LATE, 0);
    ei_dds_health_say(&health, false, "", 1500 * MS, &words);
    EI_STREQ(words.message, "6 late, not run, turned away or refused; 2 jobs ended meanwhile");
    (void)job(2200 * MS, LATE, 0);
    ei_dds_health_say(&health, false, "no width or no height", 2200 * MS, &words);
    EI_STREQ(words.message, "no job in time for 1.1 s");
    for (int i = 0; i < EI_DDS_WORDS; i++) {
        EI_STREQ(words.keys[i], wanted[i][0]);
        EI_STREQ(words.values[i], wanted[i][1]);
    }
    (void)ei_dds_health_look(&health, true, 9700 * MS);
    ei_dds_health_say(&health, false, "", 9700 * MS, &words);
    EI_STREQ(words.message, "no image for 7.5 s");
}

/* Of a task that goes on with results of another run, who looks for a camera looks in the wrong place. */
EI_TEST(health_of_what_follows_speaks_of_results)
{
    struct ei_dds_words words;
    begin();
    ei_dds_health_say(&health, true, "", 1000 * MS, &words);
    EI_STREQ(words.message, "no result has come yet");
    (void)job(1100 * MS, true, 0);
    ei_dds_health_left(&health, 50, 2000 * MS);
    (void)ei_dds_health_look(&health, true, 2000 * MS);
    ei_dds_health_say(&health, true, "", 2000 * MS, &words);
    EI_STREQ(words.message, "OK, results are left to other nodes of the pool");
    (void)ei_dds_health_look(&health, true, 9500 * MS);
    ei_dds_health_say(&health, true, "", 9500 * MS, &words);
    EI_STREQ(words.message, "no result for 7.5 s");
}

EI_MAIN()
