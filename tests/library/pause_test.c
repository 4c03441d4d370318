/* What a pause of one task does to the others of its chain, through libeinet.so alone. Nothing here asserts when a
 * thread runs.
 */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#define RELEASES 12

/* A job of the first takes three times what lies between two releases, and what comes meanwhile is skipped. */
static const char text[] = "version: 1\nname: paused\nrun: { start_delay: 1ms }\ntasks:\n"
                           "  - { name: first, arrival: { model: external, min_interarrival: 5ms }, priority: 20,\n"
                           "      stages: [ { name: w, kind: cpu, work: { spin: 15ms } } ] }\n"
                           "  - { name: next, arrival: { model: after, task: first }, priority: 10,\n"
                           "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n";
enum { FIRST, NEXT };

static struct play play; /* large */

EI_TEST(paused_task_of_a_chain_hears_nothing_of_jobs_that_did_not_run)
{
    struct einet_settings settings = {.size_bytes = sizeof settings};
    play_init(&play, text);
    EI_REQUIRE(play_start(&play));
    EI_EQ(einet_run_pause(play.run, NEXT, NULL), 0);
    for (uint64_t tag = 1; tag <= RELEASES; tag++) {
        EI_EQ(einet_run_release(play.run, FIRST, EINET_NOW, tag), 0);
        play_sleep_ms(6);
    }
    while (play.results[FIRST] < RELEASES || play.results[NEXT] + settings.withheld < RELEASES) {
        play_sleep_ms(2);
        EI_EQ(einet_run_settings(play.run, NEXT, &settings), 0);
    }
    EI_TRUE(play.outcomes[EINET_JOB_SKIPPED] > 0);
    EI_EQ(play.results[NEXT], 0);
    EI_EQ(settings.withheld, RELEASES);
    EI_EQ(einet_run_drain(play.run), 0);
    (void)play_wait(&play);
    EI_EQ(play.results[NEXT], 0);
    play_done(&play);
}

EI_MAIN()
