/* A pool on the network: nodes that are killed and stopped, one that gives its load away. What is checked is what must
 * hold however slow the machine is; the times are printed, and bench_pool counts them. */
#include "tests/adapters/pool_stage.h"
#include "tests/harness/harness.h"

#include "ros2.h"
#include <einet/dds.h>
#include <einet/einet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define LIMIT_NS (20000 * MS)
#define BLOWS 3

static struct pool_play play; /* large */

static bool open_play(const char *text_a, const char *text_b, const char *const *tasks, bool is_apart)
{
    play = (struct pool_play){.is_apart = is_apart, .texts = {text_a, text_b}, .hanging = play.hanging};
    return pool_stage_set(&play, tasks) && EI_TRUE(pool_play_start(&play, 1)) && EI_TRUE(pool_play_start(&play, 0)) &&
           EI_TRUE(pool_play_roll(&play));
}

/* Nothing twice, nothing backwards, each answer with its status. */
static void expect_order(void)
{
    for (int32_t i = 0; i < play.task_count; i++) {
        const struct pool_heard *heard = &play.heard[i];
        struct einet_dds_egress_figures figures;
        EI_TRUEF(heard->frames > 0, "nothing was heard of %s", heard->task);
        EI_EQ(heard->repeated, 0);
        EI_EQ(heard->backward, 0);
        EI_TRUE(pool_play_figures(&play, heard->task, &figures));
        EI_EQ(figures.taken, figures.passed + figures.repeated + figures.backward + figures.failed);
        EI_EQ(figures.failed, 0);
        EI_TRUEF(heard->answers - heard->answered >= 0 && heard->answers - heard->answered <= 1,
                 "%s: %lld classifications for %lld statuses with an answer", heard->task, (long long)heard->answers,
                 (long long)heard->answered);
    }
}

/* Strike node a, wait for b, and print what was between them. */
static void strike(int signal, int blow)
{
    const int64_t noise_ns = atomic_load(&play.noise_ns);
    int32_t frames = 0;
    (void)pool_play_gap(&play, 0, &frames);
    EI_EQ(kill(play.nodes[0].pid, signal), 0);
    if (!EI_TRUEF(pool_play_await(&play, "eye", 1, LIMIT_NS), "nobody took over")) {
        return;
    }
    pool_play_nap_ms(50); /* the last of the egress's frames is on its way */
    const int64_t gap_ns = pool_play_gap(&play, 0, &frames);
    const int64_t taken_ns = atomic_load(&play.noise_ns) - noise_ns;
    fprintf(stdout, "%s %d: %.1f ms, %d images on, %.1f ms of the machine\n", strsignal(signal), blow,
            (double)gap_ns / 1e6, frames, (double)taken_ns / 1e6);
    /* lease + 2 periods; where the machine took time from the camera, it took it from the nodes as well */
    const int64_t most = (play.lease_ns + 2 * play.period_ns + 2 * taken_ns) / play.period_ns + 1;
    EI_TRUEF(frames <= most, "the next frame that was answered came %d images on, at most %lld were to pass", frames,
             (long long)most);
}

static void strike_all(bool is_apart)
{
    static const char *const tasks[] = {"eye", NULL};
    EI_REQUIRE(open_play(pool_play_one, pool_play_one, tasks, is_apart));
    for (int i = 0; i < BLOWS; i++) {
        EI_TRUEF(pool_play_await(&play, "eye", 0, LIMIT_NS), "the first in rank was not heard");
        strike(SIGKILL, i);
        machine_kill(&play.nodes[0]);
        EI_REQUIRE(pool_play_start(&play, 0));
    }
    for (int i = 0; i < BLOWS; i++) {
        EI_TRUEF(pool_play_await(&play, "eye", 0, LIMIT_NS), "the first in rank was not heard");
        strike(SIGSTOP, i);
        EI_EQ(kill(play.nodes[0].pid, SIGCONT), 0);
    }
    EI_TRUEF(pool_play_await(&play, "eye", 0, LIMIT_NS), "the first in rank was not heard");
    pool_play_nap_ms(100);
    expect_order();
    pool_play_close(&play);
}

EI_TEST(dds_pool_takes_over_on_one_machine)
{
    strike_all(false);
}

EI_TEST(dds_pool_takes_over_between_machines)
{
    strike_all(true);
}

/* Whether what the pool shows has that in it; within the time. */
static bool is_shown(const char *what)
{
    static char out[20000];
    char command[200];
    bool is_it = false;
    (void)snprintf(command, sizeof command, "top --pool play --domain %d --once", play.domain);
    for (int tries = 0; tries < 5 && !is_it; tries++) {
        pool_stage_run("einet-dds", command, out, sizeof out);
        is_it = strstr(out, what) != NULL;
    }
    return is_it;
}

/* A process that lives, asserts and goes its rounds, but whose jobs do not end. All of tasks are of one chain, in
 * which the last hangs: all of it is heard of the other node then, and when that is gone what still can be is heard of
 * the first. */
static void hang(const char *text, const char *const *tasks, const char *task)
{
    static char hanging[300];
    (void)snprintf(hanging, sizeof hanging, "%s/hanging_node", ei_test_build_dir());
    play.hanging = hanging;
    EI_REQUIRE(open_play(text, text, tasks, false));
    EI_TRUEF(pool_play_await(&play, task, 0, LIMIT_NS), "the first in rank was not heard");
    EI_TRUEF(pool_play_await(&play, task, 1, LIMIT_NS), "nobody took over");
    EI_EQ(kill(play.nodes[0].pid, 0), 0);
    EI_TRUEF(is_shown("hanging"), "it does not say so"); /* and not a moment of the machine's before */
    for (int i = 0; tasks[i] != NULL; i++) {
        EI_TRUEF(pool_play_await(&play, tasks[i], 1, LIMIT_NS), "nobody took %s over", tasks[i]);
    }
    pool_play_nap_ms(500);
    struct einet_dds_egress_figures figures;
    for (int i = 0; tasks[i] != NULL; i++) {
        EI_TRUE(pool_play_figures(&play, tasks[i], &figures));
        EI_STREQ(figures.node, "b");
    }
    expect_order();
    if (strcmp(tasks[0], task) != 0) {
        machine_kill(&play.nodes[1]);
        EI_TRUEF(pool_play_await(&play, tasks[0], 0, LIMIT_NS), "what is before it in the chain is silent");
    }
    pool_play_close(&play);
}

EI_TEST(dds_pool_a_node_that_hangs_is_left)
{
    static const char *const tasks[] = {"eye", NULL};
    hang(pool_play_law, tasks, "eye");
}

/* Its jobs are released by those of another task. */
EI_TEST(dds_pool_a_node_that_hangs_behind_another_task_is_left)
{
    static const char *const tasks[] = {"eye", "behind", NULL};
    hang(pool_play_law_behind, tasks, "behind");
}

/* ---- names ---- */

/* What was heard where the workload says: frames by the number in their stamp. */
static struct {
    int64_t answers, statuses, partials;
    int32_t last_answer, last_status;
    int64_t last_partial; /* of frame and exit */
    bool is_ordered;
    bool has_answer[POOL_PLAY_FRAMES_MAX], has_status[POOL_PLAY_FRAMES_MAX];
    uint8_t exits[POOL_PLAY_FRAMES_MAX]; /* of its partial answers, a bit each */
} named;

static int32_t number_of(const builtin_interfaces_msg_dds__Time_ *stamp)
{
    return (stamp->sec - 1700000000) * 1000 + (int32_t)(stamp->nanosec / 1000000);
}

static void take_status(const einet_msgs_msg_dds__InferenceStatus_ *status, bool is_partial)
{
    const int32_t number = number_of(&status->stamp);
    const int64_t partial = (int64_t)number * 100 + status->exit_idx;
    if (is_partial) {
        named.is_ordered = named.is_ordered && partial > named.last_partial && status->outcome == 5;
        named.last_partial = partial;
        named.exits[number] |= (uint8_t)(1U << (unsigned)status->exit_idx);
        named.partials++;
    } else {
        named.is_ordered = named.is_ordered && number > named.last_status && status->outcome == 0;
        named.last_status = number;
        named.has_status[number] = true;
        named.statuses++;
    }
}

static void take_named(const dds_entity_t readers[3])
{
    void *sample = NULL;
    dds_sample_info_t info;
    for (int i = 0; i < 3; i++) {
        while (dds_take(readers[i], &sample, &info, 1, 1) == 1) {
            if (info.valid_data && i == 0) {
                const int32_t number = number_of(&((const vision_msgs_msg_dds__Classification_ *)sample)->header.stamp);
                named.is_ordered = named.is_ordered && number > named.last_answer;
                named.last_answer = number;
                named.has_answer[number] = true;
                named.answers++;
            } else if (info.valid_data) {
                take_status(sample, i == 2);
            }
            (void)dds_return_loan(readers[i], &sample, 1);
            sample = NULL;
        }
    }
}

/* Where the workload says, and nowhere else, also when another node takes over: each frame with an answer, a status
 * and one partial answer of each exit. */
EI_TEST(dds_pool_outputs_are_where_the_workload_says)
{
    static const char *const tasks[] = {"eye", NULL};
    EI_REQUIRE(open_play(pool_play_named, pool_play_named, tasks, false));
    const dds_entity_t readers[3] = {
        pool_play_reader(&play, &vision_msgs_msg_dds__Classification__desc, "rt/scene"),
        pool_play_reader(&play, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/state"),
        pool_play_reader(&play, &einet_msgs_msg_dds__InferenceStatus__desc, "rt/seen"),
    };
    named.is_ordered = true;
    EI_TRUE(pool_play_await(&play, "eye", 0, LIMIT_NS));
    for (int i = 0; i < 200; i++) {
        if (i == 100) {
            machine_kill(&play.nodes[0]);
        }
        pool_play_nap_ms(10);
        take_named(readers);
    }
    EI_TRUEF(pool_play_await(&play, "eye", 1, LIMIT_NS), "nobody took over");
    pool_play_nap_ms(100);
    take_named(readers);
    EI_EQ(play.heard[0].frames, 0); /* of the topics that are called by the task */
    EI_EQ(play.heard[0].answers, 0);
    EI_TRUEF(named.statuses > 50 && named.answers > 50 && named.partials > 100,
             "%lld statuses, %lld answers, %lld partials", (long long)named.statuses, (long long)named.answers,
             (long long)named.partials);
    EI_TRUE(named.is_ordered);
    int torn = 0;
    for (int32_t i = 0; i < POOL_PLAY_FRAMES_MAX; i++) {
        torn += named.has_status[i] && (!named.has_answer[i] || named.exits[i] != 3);
    }
    EI_TRUEF(torn <= 1, "%d frames without an answer or an exit", torn); /* the first whose status was read */
    struct einet_dds_egress_figures figures;
    EI_TRUE(pool_play_figures(&play, "eye", &figures));
    EI_TRUE(figures.partials >= named.partials);
    pool_play_close(&play);
}

/* The one that hangs has no end of any job to tell of, not even that others were thrown out. */
EI_TEST(dds_pool_a_node_that_hangs_behind_another_task_without_a_queue_is_left)
{
    static const char *const tasks[] = {"eye", "behind", NULL};
    hang(pool_play_law_behind_unqueued, tasks, "behind");
}

/* One that is paused is no trouble of the tasks before it, though it has no jobs that end. */
EI_TEST(dds_pool_a_node_with_a_paused_task_keeps_the_rest_of_the_chain)
{
    static const char *const tasks[] = {"eye", "behind", NULL};
    static char hanging[300];
    struct einet_dds_egress_figures figures;
    (void)snprintf(hanging, sizeof hanging, "%s/hanging_node", ei_test_build_dir());
    play.hanging = hanging;
    EI_EQ(setenv("PAUSING", "1", 1), 0);
    EI_REQUIRE(open_play(pool_play_law_behind, pool_play_law_behind, tasks, false));
    EI_TRUEF(pool_play_await(&play, "eye", 0, LIMIT_NS), "the first in rank was not heard");
    EI_TRUEF(pool_play_await(&play, "behind", 0, LIMIT_NS), "the first in rank was not heard");
    EI_TRUE(pool_play_figures(&play, "eye", &figures));
    const int64_t switches = figures.switches;
    EI_TRUEF(pool_play_await(&play, "behind", 1, LIMIT_NS), "nobody answers for the task that is paused");
    pool_play_nap_ms(500);
    EI_TRUE(pool_play_figures(&play, "eye", &figures));
    EI_STREQ(figures.node, "a");
    EI_EQ(figures.switches, switches);
    expect_order();
    pool_play_close(&play);
}

/* ---- load ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

static void skip_without_a_machine_for_load(void)
{
    if (HAS_SANITIZER) {
        ei_test_skip("a sanitized node has more to do than its workload says");
    }
    if (!machine_is_allowed(POOL_STAGE_PRIORITY)) {
        ei_test_skip("not here: real-time threads");
    }
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        ei_test_skip("not here: a CPU for each of two nodes");
    }
}

EI_TEST(dds_pool_gives_its_lowest_task_away_under_load)
{
    static const char *const tasks[] = {"high", "low", NULL};
    struct einet_dds_egress_figures high, low;
    int32_t frames = 0;
    skip_without_a_machine_for_load();
    EI_REQUIRE(open_play(pool_play_too_much, pool_play_bearable, tasks, true));
    EI_TRUEF(pool_play_await(&play, "high", 0, LIMIT_NS), "the first in rank was not heard");
    EI_TRUEF(pool_play_await(&play, "low", 0, LIMIT_NS), "the first in rank was not heard");
    (void)pool_play_gap(&play, 1, &frames);
    EI_TRUEF(pool_play_await(&play, "low", 1, LIMIT_NS), "the task of lowest priority stayed");
    pool_play_nap_ms(50);
    (void)pool_play_gap(&play, 1, &frames);
    fprintf(stdout, "handed over: %d images on\n", frames);
    EI_TRUEF(frames <= 2 + (int32_t)(2 * atomic_load(&play.noise_ns) / play.period_ns),
             "%d images passed until the other was heard", frames);
    pool_play_nap_ms(2000);
    EI_TRUE(pool_play_figures(&play, "high", &high) && pool_play_figures(&play, "low", &low));
    EI_STREQ(high.node, "a");
    EI_STREQ(low.node, "b");
    const int64_t noise_ns = atomic_load(&play.noise_ns);
    fprintf(stdout, "high: %lld of %lld late, %.1f ms of the machine\n", (long long)play.heard[0].late,
            (long long)play.heard[0].frames, (double)noise_ns / 1e6);
    EI_TRUE(play.heard[0].late * 10 <= play.heard[0].frames); /* none on a machine of its own: bench_pool */
    expect_order();
    pool_play_close(&play);
}

/* ---- the commands ---- */

static void run(const char *arguments, char *out, size_t size)
{
    pool_stage_run("einet-dds", arguments, out, size);
}

/* A task behind one that was given away has no images any more: the other node is heard of it, too. */
EI_TEST(dds_pool_gives_a_chain_away_as_one)
{
    static const char *const tasks[] = {"high", "low", "behind", NULL};
    static char out[20000];
    char command[200];
    struct einet_dds_egress_figures behind;
    skip_without_a_machine_for_load();
    EI_REQUIRE(open_play(pool_play_too_much_chain, pool_play_bearable_chain, tasks, true));
    EI_TRUEF(pool_play_await(&play, "behind", 0, LIMIT_NS), "the first in rank was not heard");
    EI_TRUEF(pool_play_await(&play, "low", 1, LIMIT_NS), "the chain of lowest priority stayed");
    EI_TRUEF(pool_play_await(&play, "behind", 1, LIMIT_NS), "what is behind it stayed");
    pool_play_nap_ms(1500); /* by now it rests, for 5 s */
    (void)snprintf(command, sizeof command, "top --pool play --domain %d --once --json", play.domain);
    run(command, out, sizeof out);
    const char *first = strstr(out, "\"duty\":\"resting\"");
    EI_TRUEF(first != NULL && strstr(first + 1, "\"duty\":\"resting\"") != NULL, "not both of them rest: %s", out);
    EI_TRUE(pool_play_figures(&play, "behind", &behind));
    const int64_t passed = behind.passed;
    pool_play_nap_ms(1000);
    EI_TRUE(pool_play_figures(&play, "behind", &behind));
    EI_STREQ(behind.node, "b");
    EI_TRUEF(behind.passed > passed, "it fell silent");
    pool_play_close(&play);
}

EI_TEST(dds_pool_is_shown_and_left)
{
    static const char *const tasks[] = {"eye", NULL};
    static char out[20000];
    char command[200];
    int32_t frames = 0;
    EI_REQUIRE(open_play(pool_play_one, pool_play_one, tasks, false));
    EI_TRUE(pool_play_await(&play, "eye", 0, LIMIT_NS));
    (void)snprintf(command, sizeof command, "top --pool play --domain %d --once", play.domain);
    run(command, out, sizeof out);
    EI_CONTAINS(out, "pool play: 2 nodes");
    EI_CONTAINS(out, "* eye");
    (void)snprintf(command, sizeof command, "top --pool play --domain %d --once --json", play.domain);
    run(command, out, sizeof out);
    EI_CONTAINS(out, "\"node\":\"a\",\"rank\":60,\"state\":\"running\"");
    EI_CONTAINS(out, "\"duty\":\"serving\",\"heard\":true");
    EI_CONTAINS(out, "\"heard\":false");
    pool_stage_run("einet", command, out, sizeof out);
    EI_CONTAINS(out, "{\"pool\":\"play\",\"nodes\":[{\"node\":\"a\"");
    (void)snprintf(command, sizeof command, "top --pool other --domain %d --once", play.domain);
    run(command, out, sizeof out);
    EI_CONTAINS(out, "no node of pool other");
    /* one that goes by itself does not wait for its lease to end */
    (void)pool_play_gap(&play, 0, &frames);
    EI_EQ(machine_end(&play.nodes[0], NULL, 0), 0);
    EI_TRUE(pool_play_await(&play, "eye", 1, LIMIT_NS));
    pool_play_nap_ms(50);
    const int64_t gap_ns = pool_play_gap(&play, 0, &frames);
    fprintf(stdout, "left: %.1f ms, %d images on\n", (double)gap_ns / 1e6, frames);
    EI_TRUEF(frames <= 2 + 2 * atomic_load(&play.noise_ns) / play.period_ns, "%d images passed", frames);
    expect_order();
    pool_play_close(&play);
}

/* einet itself has no DDS in it: it hands over, or says what is missing. */
EI_TEST(dds_pool_of_einet_serve_is_einet_dds)
{
    static char out[20000];
    char command[900];
    pool_stage_run("einet", "serve --pool p* --config nowhere.yaml", out, sizeof out);
    EI_CONTAINS(out, "einet-dds: ");
    EI_CONTAINS(out, "nowhere.yaml");
    pool_stage_run("einet", "serve --config nowhere.yaml --pool p --rank 101", out, sizeof out);
    EI_CONTAINS(out, "einet-dds: --rank wants a number from 0 to 100, not '101'");
    pool_stage_run("einet", "top --pool", out, sizeof out);
    EI_CONTAINS(out, "einet-dds");
    (void)snprintf(command, sizeof command,
                   "cp %s/einet %s/einet && PATH=/nowhere %s/einet serve --config a.yaml --pool p 2>&1",
                   ei_test_build_dir(), ei_test_tmpdir(), ei_test_tmpdir());
    FILE *in = popen(command, "r");
    EI_REQUIRE(in != NULL);
    out[fread(out, 1, sizeof out - 1, in)] = '\0';
    EI_EQ(WEXITSTATUS(pclose(in)), 5);
    EI_CONTAINS(out, "einet serve: --pool wants einet-dds");
    EI_CONTAINS(out, "cyclonedds-dev");
}

static void nothing(void)
{
}

EI_TEST(dds_pool_that_cannot_be_is_refused_with_a_reason)
{
    struct einet_error err = {0};
    struct einet_workload *workload = NULL, *long_named = NULL;
    struct einet_dds *dds = NULL;
    struct einet_dds_egress *egress = NULL;
    struct einet_dds_pool pool = {.size_bytes = sizeof pool, .name = "p*", .node = "a"};
    struct einet_dds_options options = {.size_bytes = sizeof options, .pool = &pool};
    struct einet_dds_egress_options side = {.size_bytes = sizeof side, .pool = "a b"};
    side.domain = options.domain = 20 + (int32_t)(getpid() % 180);
    EI_REQUIRE(einet_workload_parse(pool_play_one, strlen(pool_play_one), NULL, &workload, &err) == 0);
    char text[4096], topic[200] = "/";
    memset(topic + 1, 'a', sizeof topic - 2);
    topic[sizeof topic - 1] = '\0';
    const char *named_at = strstr(pool_play_named, "/seen");
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(named_at - pool_play_named), pool_play_named, topic,
                   named_at + strlen("/seen"));
    EI_REQUIRE(einet_workload_parse(text, strlen(text), NULL, &long_named, &err) == 0);
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "'p*' cannot name a pool");
    pool = (struct einet_dds_pool){.size_bytes = sizeof pool, .name = "p"};
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "cannot name a node");
    pool = (struct einet_dds_pool){.size_bytes = sizeof pool, .name = "p", .node = "a", .rank = 101};
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "0..100");
    pool = (struct einet_dds_pool){.size_bytes = sizeof pool, .name = "p", .node = "a", .lease_ns = MS};
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "20ms..10s");
    pool = (struct einet_dds_pool){.size_bytes = sizeof pool, .name = "p", .node = "a"};
    EI_EQ(einet_dds_create(long_named, &options, &dds, &err), EINET_E_LIMIT);
    EI_CONTAINS(err.text, "task 'eye' has its output at '/aaaa");
    pool.size_bytes = 0;
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), -EINVAL);
    pool.size_bytes = sizeof pool + 8;
    EI_EQ(einet_dds_create(workload, &options, &dds, &err), -E2BIG);
    EI_TRUE(dds == NULL);
    EI_EQ(einet_dds_egress_create(&side, &egress, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "'a b' cannot name a pool");
    side.pool = "p";
    side.lease_ns = MS;
    EI_EQ(einet_dds_egress_create(&side, &egress, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "20ms..10s");
    side.lease_ns = 0;
    side.on_fence = nothing;
    EI_EQ(einet_dds_egress_create(&side, &egress, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "fence_signal is 0: give one of SIGRTMIN..SIGRTMAX");
    EI_EQ(einet_dds_egress_create(NULL, &egress, &err), -EINVAL);
    EI_TRUE(egress == NULL);
    einet_workload_destroy(workload);
    einet_workload_destroy(long_named);
}

EI_MAIN()
