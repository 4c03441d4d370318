/* A run takes over from another one of the same process. Nothing here asserts when a thread runs: what is checked is
 * that every nominal release of the tasks that both have is told once, by one of the two, in its place.
 */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESULTS_MAX 8192
#define CONTROL_PERIOD_NS INT64_C(5000000)

/* The control task stays; of the rest something differs in each text. */
#define CONTROL                                                                                                        \
    "  - { name: control, arrival: { model: periodic, period: 5ms, offset: 1ms }, deadline: 5ms, priority: 90,\n"      \
    "      late_release: { queue: 4, drop: oldest },\n"                                                                \
    "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n"
#define HEAD                                                                                                           \
    "version: 1\nname: handed\nrun: { start_delay: 1ms, seed: 1 }\nlanes: { cpu0: { kind: cpu } }\n"                   \
    "models:\n  m: { emulate: { blocks: [ { conv: 200us, branch: 20us, score: 0.5 } ] } }\n"                           \
    "  n: { emulate: { blocks: [ { conv: 300us, branch: 20us, score: 0.5 } ] } }\n"                                    \
    "tasks:\n"

static const char first_text[] =
    HEAD CONTROL "  - { name: camera, arrival: { model: external, min_interarrival: 20ms }, priority: 50,\n"
                 "      stages: [ { name: n, kind: nn, model: m, lane: cpu0 } ] }\n";
static const char second_text[] =
    HEAD "  - { name: camera, arrival: { model: external, min_interarrival: 20ms }, priority: 50,\n"
         "      stages: [ { name: n, kind: nn, model: n, lane: cpu0 } ] }\n"
         "  - { name: logger, arrival: { model: periodic, period: 50ms }, deadline: 50ms, class: other,\n"
         "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n" CONTROL;

/* One run and what its callbacks were told. */
struct told {
    struct einet_workload *workload;
    struct einet_run *run;
    int32_t control;
    struct einet_result results[RESULTS_MAX]; /* of the control task */
    atomic_int count, others;
};

static struct told told[3]; /* large */

static void on_result(void *context, const struct einet_result *result)
{
    struct told *t = context;
    const int n = atomic_load(&t->count);
    if (result->task_idx != t->control) {
        atomic_fetch_add(&t->others, 1);
    } else if (n < RESULTS_MAX) {
        t->results[n] = *result;
        atomic_store(&t->count, n + 1);
    }
}

static bool create(struct told *t, const char *text, struct einet_run *takes_over)
{
    struct einet_error err = {0};
    memset(t, 0, sizeof *t);
    const struct einet_callbacks callbacks = {.size_bytes = sizeof callbacks, .context = t, .on_result = on_result};
    const struct einet_run_options options = {.size_bytes = sizeof options,
                                              .duration_ns = EINET_UNTIL_STOPPED,
                                              .callbacks = &callbacks,
                                              .takes_over = takes_over};
    const bool is_ok =
        EI_TRUEF(einet_workload_parse(text, strlen(text), NULL, &t->workload, &err) == 0, "%s", err.text) &&
        EI_TRUEF(einet_run_create(t->workload, &options, &t->run, &err) == 0, "%s", err.text);
    t->control = is_ok ? einet_workload_find_task(t->workload, "control") : -1;
    return is_ok;
}

static bool start(struct told *t)
{
    struct einet_error err = {0};
    return EI_TRUEF(einet_run_start(t->run, &err) == 0, "%s", err.text);
}

static void finish(struct told *t)
{
    struct einet_end end = {.size_bytes = sizeof end};
    struct einet_error err = {0};
    EI_TRUEF(einet_run_wait(t->run, -1, &err) == 0, "%s", err.text);
    EI_EQ(einet_run_end(t->run, &end), 0);
    EI_TRUE(end.is_accounted && end.faulty_jobs == 0);
}

static void destroy(struct told *t)
{
    einet_run_destroy(t->run);
    einet_workload_destroy(t->workload);
}

static int compare(const void *a, const void *b)
{
    const struct einet_result *x = a, *y = b;
    return (x->release_ns > y->release_ns) - (x->release_ns < y->release_ns);
}

/* Releases of the control task by all the runs: one each period from the first to the last. */
static void check_control(int runs)
{
    static struct einet_result all[3 * RESULTS_MAX];
    int count = 0;
    for (int r = 0; r < runs; r++) {
        memcpy(&all[count], told[r].results, (size_t)told[r].count * sizeof all[0]);
        count += told[r].count;
        EI_TRUE(told[r].count > 5);
    }
    qsort(all, (size_t)count, sizeof all[0], compare);
    for (int i = 0; i < count; i++) {
        EI_EQ(all[i].release_ns - all[0].release_ns, i * CONTROL_PERIOD_NS);
        EI_TRUE(all[i].outcome != EINET_JOB_ABORTED && all[i].cause != EINET_CAUSE_CANCELLED);
    }
}

static void await_control(struct told *t, int count)
{
    while (atomic_load(&t->count) < count) {
        play_sleep_ms(2);
    }
}

EI_TEST(takeover_loses_no_release_of_a_periodic_task)
{
    EI_REQUIRE(create(&told[0], first_text, NULL) && start(&told[0]));
    await_control(&told[0], 10);
    EI_EQ(einet_run_release(told[0].run, 1, EINET_NOW, 1), 0);
    EI_REQUIRE(create(&told[1], second_text, told[0].run) && start(&told[1]));
    EI_EQ(einet_run_phase(told[1].run), EINET_RUN_RUNNING);
    EI_TRUE(einet_run_phase(told[0].run) >= EINET_RUN_ENDING);
    EI_EQ(einet_run_release(told[0].run, 1, EINET_NOW, 2), -ESHUTDOWN);
    EI_EQ(einet_run_release(told[1].run, 0, EINET_NOW, 2), 0);
    finish(&told[0]);
    await_control(&told[1], 10);
    /* And again, from the one that has taken over. */
    EI_REQUIRE(create(&told[2], first_text, told[1].run) && start(&told[2]));
    finish(&told[1]);
    await_control(&told[2], 10);
    EI_EQ(einet_run_drain(told[2].run), 0);
    finish(&told[2]);
    check_control(3);
    EI_EQ(told[0].others, 1);
    EI_TRUE(told[1].others > 1);
    for (int r = 0; r < 3; r++) {
        destroy(&told[r]);
    }
}

EI_TEST(takeover_that_fails_leaves_the_other_run_alone)
{
    static const char nowhere[] =
        "version: 1\nname: nowhere\ntasks:\n"
        "  - { name: control, arrival: { model: periodic, period: 5ms }, priority: 50, cpus: \"900\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n";
    struct einet_error err = {0};
    EI_REQUIRE(create(&told[0], first_text, NULL) && start(&told[0]));
    EI_REQUIRE(create(&told[1], nowhere, told[0].run));
    EI_TRUE(einet_run_start(told[1].run, &err) < 0 && err.text[0] != '\0');
    EI_EQ(einet_run_phase(told[0].run), EINET_RUN_RUNNING);
    destroy(&told[1]);
    EI_REQUIRE(create(&told[1], second_text, NULL)); /* without asking it */
    EI_EQ(einet_run_start(told[1].run, &err), -EBUSY);
    destroy(&told[1]);
    await_control(&told[0], told[0].count + 5);
    EI_EQ(einet_run_release(told[0].run, 1, EINET_NOW, 1), 0);
    EI_EQ(einet_run_drain(told[0].run), 0);
    finish(&told[0]);
    check_control(1);
    destroy(&told[0]);
}

/* There is nothing to take over any more: it starts as any run. */
EI_TEST(takeover_from_a_run_that_is_over_is_a_start)
{
    EI_REQUIRE(create(&told[0], first_text, NULL) && start(&told[0]));
    await_control(&told[0], 6);
    EI_EQ(einet_run_drain(told[0].run), 0);
    finish(&told[0]);
    EI_REQUIRE(create(&told[1], second_text, told[0].run) && start(&told[1]));
    await_control(&told[1], 6);
    EI_EQ(einet_run_drain(told[1].run), 0);
    finish(&told[1]);
    EI_EQ(told[1].results[0].job_idx, 0);
    destroy(&told[0]);
    destroy(&told[1]);
}

/* Segments of runs of this process, which einet top finds. */
static int count_boards(void)
{
    DIR *folder = opendir("/dev/shm");
    const struct dirent *entry;
    char prefix[32];
    int count = 0;
    snprintf(prefix, sizeof prefix, "einet-%d", (int)getpid());
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        const size_t length = strlen(prefix);
        const bool is_it = strncmp(entry->d_name, prefix, length) == 0;
        count += is_it && (entry->d_name[length] == '\0' || entry->d_name[length] == '-');
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

EI_TEST(takeover_leaves_a_board_to_be_seen)
{
    EI_REQUIRE(create(&told[0], first_text, NULL) && start(&told[0]));
    const int boards = count_boards();
    EI_REQUIRE(create(&told[1], second_text, told[0].run) && start(&told[1]));
    finish(&told[0]);
    destroy(&told[0]);
    EI_EQ(count_boards(), boards);
    EI_EQ(einet_run_drain(told[1].run), 0);
    finish(&told[1]);
    destroy(&told[1]);
    EI_EQ(count_boards(), 0);
    if (boards == 0) {
        ei_test_skip("no shared memory");
    }
}

/* ---- networks of the program ---- */

#define MEASURED_RUNS_MIN 24 /* of engine/timing.c; without measuring a block runs fewer times, to warm up */

static atomic_int blocks_run;

static int run_block(void *instance, int32_t block_idx)
{
    (void)instance;
    (void)block_idx;
    atomic_fetch_add(&blocks_run, 1);
    return 0;
}

static int run_exit(void *instance, int32_t exit_idx, float *out_scores, float *out_confidence)
{
    (void)instance;
    (void)exit_idx;
    (void)out_confidence;
    out_scores[0] = 1.0F;
    out_scores[1] = 0.0F;
    return 0;
}

static int set_network(struct told *t)
{
    const struct einet_network net = {
        .size_bytes = sizeof net, .exits = 1, .classes = 2, .run_block = run_block, .run_exit = run_exit};
    return einet_run_set_network(t->run, 1, &net, NULL);
}

/* How often its block runs until the run with it has started. */
static int blocks_of_start(struct told *t)
{
    EI_EQ(set_network(t), 0);
    atomic_store(&blocks_run, 0);
    EI_TRUE(start(t));
    return atomic_load(&blocks_run);
}

static int blocks_of_takeover(bool is_old_own)
{
    EI_TRUE(create(&told[0], first_text, NULL));
    EI_EQ(is_old_own ? set_network(&told[0]) : 0, 0);
    EI_TRUE(start(&told[0]) && create(&told[1], first_text, told[0].run));
    const int count = blocks_of_start(&told[1]);
    EI_EQ(einet_run_drain(told[1].run), 0);
    for (int r = 0; r < 2; r++) {
        finish(&told[r]);
        destroy(&told[r]);
    }
    return count;
}

/* Nobody knows what the functions of the program take but who measures them, in every run anew. */
EI_TEST(takeover_measures_a_network_of_the_program)
{
    EI_REQUIRE(create(&told[0], first_text, NULL));
    const int alone = blocks_of_start(&told[0]);
    EI_EQ(einet_run_drain(told[0].run), 0);
    finish(&told[0]);
    destroy(&told[0]);
    EI_TRUE(alone >= MEASURED_RUNS_MIN);
    EI_TRUE(blocks_of_takeover(false) >= MEASURED_RUNS_MIN);
    EI_TRUE(blocks_of_takeover(true) >= MEASURED_RUNS_MIN);
}

EI_MAIN()
