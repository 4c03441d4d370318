/* Blocks on a device that are longer than max_blocking: what a job does between their pieces, in virtual time, and what
 * bounds and checks make of them.
 */
#include "engine/analyze.h"
#include "tests/engine/virtual_play.h"
#include "tests/harness/harness.h"

#include <string.h>

#define US INT64_C(1000)

/* One task on a GPU whose conv part of 6 ms is cut, and one above it that comes at 2.5 ms for 1 ms. */
#define NETWORKS                                                                                                       \
    "lanes: { gpu: { kind: cuda }, acc: { cpus: \"1\" } }\nmodels:\n"                                                  \
    "  slow: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.5 }, { conv: 6ms, branch: 4ms, score: 0.9 }"    \
    " ] } }\n"                                                                                                         \
    "  one: { emulate: { blocks: [ { conv: 6ms, branch: 4ms, score: 0.9 } ] } }\n"                                     \
    "  fast: { emulate: { blocks: [ { conv: 1ms, score: 0.9 } ] } }\nplanner: { search: all }\n"
#define TEXT(model, rules, offset)                                                                                     \
    "version: 1\nname: t\nrun: { duration: 10ms, start_delay: 0s }\n" NETWORKS "tasks:\n"                              \
    "  - { name: low, arrival: { model: periodic, period: 40ms }, priority: 10, cpus: \"1\", " rules ",\n"             \
    "      stages: [ { name: n, kind: nn, model: " model ", lane: gpu } ] }\n"                                         \
    "  - { name: high, arrival: { model: periodic, period: 40ms, offset: " offset " }, priority: 20, cpus: \"0\",\n"   \
    "      stages: [ { name: n, kind: nn, model: fast, lane: gpu } ] }\n"

EI_TEST(a_newcomer_waits_for_a_piece_and_the_job_resumes_with_the_next)
{
    /* Conv part 2 is on the device from 2 to 8 ms, whole or in pieces of 1.5 ms. */
    EI_TRUE(play(TEXT("slow", "on_preempt: resume, on_deadline: finish", "2500us"), 0));
    EI_EQ(job_of(1, 0)->finish_ns, 9 * MS);
    EI_EQ(job_of(0, 0)->finish_ns, 13 * MS);
    EI_TRUE(play(TEXT("slow", "on_preempt: resume, on_deadline: finish, max_blocking: 1500us", "2500us"), 0));
    EI_EQ(job_of(1, 0)->finish_ns, 3500 * US + 1 * MS);
    EI_EQ(job_of(0, 0)->finish_ns, 13 * MS); /* nothing of it is done again */
    EI_EQ(job_of(0, 0)->preemptions, 1);
    EI_EQ(job_of(0, 0)->lane_busy_ns, 12 * MS);
    EI_EQ(job_of(0, 0)->exits_mask, 3);
    EI_EQ(seen.preemptions[0].block_end_ns, 3500 * US);
}

EI_TEST(a_job_with_an_answer_may_end_between_pieces)
{
    EI_TRUE(play(TEXT("slow", "on_preempt: exit, max_blocking: 1500us", "2500us"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 3500 * US);
    EI_EQ(job_of(0, 0)->exits_mask, 1);
    EI_EQ(job_of(0, 0)->cause, EI_CAUSE_PREEMPTED);
    EI_EQ(job_of(1, 0)->finish_ns, 4500 * US);
}

/* Its only exit needs the rest of the conv part: it comes back for that. */
EI_TEST(a_job_that_owes_an_answer_comes_back_for_the_rest_of_the_part)
{
    EI_TRUE(play(TEXT("one", "on_preempt: exit, max_blocking: 2ms", "2500us"), 0));
    EI_EQ(job_of(1, 0)->finish_ns, 5 * MS);
    EI_EQ(job_of(0, 0)->finish_ns, 11 * MS);
    EI_EQ(job_of(0, 0)->exits_mask, 1);
    EI_EQ(job_of(0, 0)->preemptions, 1);
    EI_TRUE(play(
        TEXT("one", "on_preempt: exit, max_blocking: 2ms, planner: { search: all, first_exit: optional }", "2500us"),
        0));
    EI_EQ(job_of(0, 0)->finish_ns, 4 * MS);
    EI_EQ(job_of(0, 0)->exits_mask, 0);
}

EI_TEST(a_restart_loses_the_pieces_that_were_done)
{
    /* Cut at 4 ms, two pieces into the conv part; back at 5 ms, 10 ms from the beginning. */
    EI_TRUE(play(
        TEXT("one", "on_preempt: restart, max_preemptions: 3, on_deadline: finish, max_blocking: 2ms", "2500us"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 15 * MS);
    EI_EQ(job_of(0, 0)->lane_busy_ns, 14 * MS);
    /* In the branch, whose pieces are lost, too. */
    EI_TRUE(play(
        TEXT("one", "on_preempt: restart, max_preemptions: 3, on_deadline: finish, max_blocking: 2ms", "6500us"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 9 * MS + 10 * MS);
}

/* The next answer is as far away as what is left of the part, and not as all of it. */
EI_TEST(what_is_left_of_a_part_counts_against_the_deadline)
{
    /* At 3.5, 5 and 6.5 ms conv part 2 and its branch still take 8.5, 7 and 5.5 ms: due at 12 ms and 20 us. */
    EI_TRUE(play(TEXT("slow", "deadline: 12030us, max_blocking: 1500us", "30ms"), 0));
    EI_EQ(job_of(0, 0)->exits_mask, 3);
    EI_EQ(job_of(0, 0)->finish_ns, 12 * MS);
    /* One that is late already ends at the next piece. */
    EI_TRUE(play(TEXT("one", "deadline: 3ms, on_deadline: abort, max_blocking: 2ms", "30ms"), 0));
    EI_EQ(job_of(0, 0)->finish_ns, 4 * MS);
    EI_EQ(job_of(0, 0)->outcome, EI_JOB_ABORTED);
}

EI_TEST(nobody_cuts_a_network_that_keeps_its_lane)
{
    EI_TRUE(play(TEXT("slow", "on_preempt: none, on_deadline: finish, max_blocking: 1500us", "2500us"), 0));
    EI_EQ(job_of(1, 0)->finish_ns, 13 * MS);
}

/* ---- bounds ---- */

static int64_t longest_block_ns(const char *text)
{
    struct ei_workload *wl = NULL;
    struct ei_analysis *analysis = NULL;
    struct ei_diagnostics diag;
    const struct ei_analysis_options options = {.quantile = EI_TIME_P99, .ops_ns = EI_NONE_NS};
    int rc = ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag);
    rc = rc == 0 ? ei_analyze(wl, &options, &analysis, &diag) : rc;
    EI_TRUEF(rc == 0, "%s", diag.count > 0 ? diag.items[0].text : "");
    const int64_t ns = rc == 0 ? analysis->lanes[0].longest_block_ns : -1;
    ei_analysis_destroy(analysis);
    ei_workload_destroy(wl);
    ei_diagnostics_fini(&diag);
    return ns;
}

EI_TEST(the_blocking_term_is_that_of_a_piece)
{
    EI_EQ(longest_block_ns(TEXT("slow", "on_preempt: resume", "0ms")), 6 * MS);
    EI_EQ(longest_block_ns(TEXT("slow", "on_preempt: resume, max_blocking: 1500us", "0ms")), 1500 * US);
    EI_EQ(longest_block_ns(TEXT("slow", "on_preempt: none, max_blocking: 1500us", "0ms")), 12 * MS);
}

EI_TEST(a_piece_may_be_in_the_queue_behind_another)
{
    char text[4096];
    const char *const plain = TEXT("slow", "on_preempt: resume, max_blocking: 1500us", "0ms");
    const char *const lane = strstr(plain, "kind: cuda");
    snprintf(text, sizeof text, "%.*skind: cuda, depth: 2%s", (int)(lane - plain), plain, lane + strlen("kind: cuda"));
    EI_EQ(longest_block_ns(text), 3000 * US);
}

EI_MAIN()
