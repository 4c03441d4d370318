/* Camera -> network -> planner, actuator -> another actuator, over three machines: each image that the network's
 * machine takes ends in exactly one status of every task, with its stamp, and all deadlines count from that. What is
 * checked is what must hold however slow the machine is; the times are printed, and bench_chain has more of them. */
#include "tests/adapters/chain_play.h"
#include "tests/adapters/pool_play.h"
#include "tests/harness/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define PRIORITY 88
#define IMAGES 200

static struct chain_play play; /* large */

static const int64_t quick_ns[CHAIN_TASKS] = {40 * MS, 45 * MS, 50 * MS, 60 * MS};
static const int64_t slow_ns[CHAIN_TASKS] = {1000 * MS, 45 * MS, 50 * MS, 20 * MS};

static bool open_play(bool is_apart, const char *const texts[CHAIN_MACHINES])
{
    play = (struct chain_play){.is_apart = is_apart, .priority = machine_is_allowed(PRIORITY) ? PRIORITY : 0};
    (void)snprintf(play.folder, sizeof play.folder, "%s", ei_test_tmpdir());
    (void)snprintf(play.binary, sizeof play.binary, "%s/einet-dds", ei_test_build_dir());
    const char *missing = chain_play_open(&play);
    if (missing != NULL) {
        chain_play_close(&play);
        if (is_apart) {
            ei_test_skip("not here: %s", missing);
        }
    }
    return EI_TRUEF(missing == NULL, "not here: %s", missing) &&
           EI_TRUEF(chain_play_start(&play, texts), "the machines do not run, or do not hear each other");
}

static const struct chain_status *status_of(int task, int32_t image)
{
    return &play.heard[task].status[image];
}

/* Of one job: its release is the stamp, its deadline counts from there, and its flag says what its times say. */
static void expect_from_the_stamp(int task, int32_t image, int64_t deadline_ns)
{
    const struct chain_status *status = status_of(task, image);
    EI_EQ(status->deadline_ns - status->release_ns, deadline_ns);
    EI_EQ(status->is_met, status->finish_ns <= status->deadline_ns);
    EI_TRUE(status->start_ns <= status->finish_ns);
    if (task > CHAIN_SEE &&
        EI_TRUEF(status_of(task - 1, image)->outcome == 0, "%s ran behind a job that did not", play.heard[task].task)) {
        EI_TRUE(status->start_ns >= status_of(task - 1, image)->finish_ns); /* machines of one clock here */
    }
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median distance of a task's releases from the stamps, on one clock; prints how long the way to its end was. */
static int64_t look_at_times(int task)
{
    static int64_t apart_ns[CHAIN_IMAGES_MAX], way_ns[CHAIN_IMAGES_MAX];
    size_t count = 0;
    for (int32_t i = play.first; i < play.sent; i++) {
        const struct chain_status *status = status_of(task, i);
        if (status->count > 0 && status->outcome == 0) {
            apart_ns[count] = llabs(status->release_ns - play.made_ns[i]);
            way_ns[count++] = status->finish_ns - play.made_ns[i];
        }
    }
    if (count == 0) {
        return INT64_MAX;
    }
    qsort(apart_ns, count, sizeof apart_ns[0], compare);
    qsort(way_ns, count, sizeof way_ns[0], compare);
    fprintf(stdout, "%s: %zu jobs, stamp to finish p50 %.2f p99 %.2f max %.2f ms; release and stamp %.1f us apart\n",
            play.heard[task].task, count, (double)way_ns[count / 2] / 1e6, (double)way_ns[count * 99 / 100] / 1e6,
            (double)way_ns[count - 1] / 1e6, (double)apart_ns[count / 2] / 1e3);
    return apart_ns[count / 2];
}

/* Returns how many images the first task spoke of. */
static int expect_one_status_each(const int64_t deadlines_ns[CHAIN_TASKS])
{
    int taken = 0;
    for (int32_t i = play.first; i < play.sent; i++) {
        const int32_t count = status_of(CHAIN_SEE, i)->count;
        bool has_run = true;
        taken += count;
        for (int task = 0; task < CHAIN_TASKS; task++) {
            const struct chain_status *status = status_of(task, i);
            EI_TRUEF(status->count == count && count <= 1, "image %d: %d statuses of see, %d of %s", i, count,
                     status->count, play.heard[task].task);
            if (count == 1 && status->outcome == 0) {
                expect_from_the_stamp(task, i, deadlines_ns[task]);
            }
            if (count == 1 && !has_run) { /* nothing runs behind what did not */
                EI_EQ(status->outcome, 2);
                EI_EQ(status->cause, 8);
                EI_EQ(status->is_met, false);
            }
            has_run = has_run && status->outcome == 0;
        }
    }
    for (int task = 0; task < CHAIN_TASKS; task++) {
        EI_EQ(play.heard[task].strange, 0);
        EI_TRUEF(look_at_times(task) < MS, "%s does not count from the stamp", play.heard[task].task);
    }
    return taken;
}

static void play_quick(bool is_apart)
{
    EI_REQUIRE(open_play(is_apart, chain_play_quick));
    EI_TRUEF(chain_play_roll(&play, IMAGES, 10 * MS), "some statuses never came");
    EI_TRUE(chain_play_end(&play));
    const int taken = expect_one_status_each(quick_ns);
    EI_TRUEF(taken > IMAGES / 2, "%d of %d images were taken", taken, IMAGES);
    for (int i = 0; i < CHAIN_MACHINES; i++) {
        fprintf(stdout, "%s", play.words[i]);
        EI_TRUEF(strstr(play.words[i], " 0 refused") != NULL, "%s", play.words[i]);
    }
    chain_play_close(&play);
}

EI_TEST(dds_chain_goes_on_between_machines)
{
    play_quick(true);
}

EI_TEST(dds_chain_goes_on_between_processes)
{
    play_quick(false);
}

/* The network takes longer than the last deadline allows: what comes too late is flagged on the machine of the last
 * task, although that itself needs little; what finds no place comes to nothing on all of them. */
EI_TEST(dds_chain_late_at_its_beginning_is_late_at_its_end)
{
    int late = 0, skipped = 0;
    EI_REQUIRE(open_play(true, chain_play_slow));
    EI_TRUEF(chain_play_roll(&play, 60, 20 * MS), "some statuses never came");
    EI_TRUE(chain_play_end(&play));
    (void)expect_one_status_each(slow_ns);
    for (int32_t i = play.first; i < play.sent; i++) {
        const struct chain_status *hand = status_of(CHAIN_HAND, i);
        late += hand->count == 1 && hand->outcome == 0 && !hand->is_met;
        skipped += hand->count == 1 && hand->outcome == 2 && hand->job_idx == -1;
        EI_TRUE(hand->count == 0 || !hand->is_met);
    }
    fprintf(stdout, "%d late, %d skipped\n", late, skipped);
    EI_TRUE(late > 5 && skipped > 5);
    chain_play_close(&play);
}

/* ---- behind a pool ---- */

static const char follower[] = "version: 1\nname: follower\nrun: { warmup: 0s, start_delay: 0s }\ntasks:\n"
                               "  - { name: plan, arrival: { model: external, min_interarrival: 1ms },\n"
                               "      deadline: 500ms, priority: 86, late_release: { queue: 32, drop: oldest },\n"
                               "      input: { kind: topic, topic: /einet/eye/status, message: status },\n"
                               "      stages: [ { name: law, kind: cpu, work: { spin: 50us } } ] }\n";

static struct pool_play pool; /* large */

/* The pool of both nodes, somebody without a pool beside it, and the camera. */
static void open_pool(const char *node_text, const char *other_text, const char *const *tasks,
                      struct machine_node *other)
{
    char file[300], domain[16];
    pool = (struct pool_play){.lease_ns = 100 * MS,
                              .period_ns = 20 * MS,
                              .priority = machine_is_allowed(PRIORITY) ? PRIORITY : 0,
                              .texts = {node_text, node_text}};
    (void)snprintf(pool.folder, sizeof pool.folder, "%s", ei_test_tmpdir());
    (void)snprintf(pool.binary, sizeof pool.binary, "%s/einet-dds", ei_test_build_dir());
    (void)snprintf(file, sizeof file, "%s/other.yaml", pool.folder);
    FILE *out = fopen(file, "w");
    EI_REQUIRE(out != NULL && fputs(other_text, out) >= 0 && fclose(out) == 0);
    const char *missing = pool_play_open(&pool, tasks);
    EI_TRUEF(missing == NULL, "not here: %s", missing);
    (void)snprintf(domain, sizeof domain, "%d", pool.domain);
    const char *const argv[] = {pool.binary, "--domain", domain, file, NULL};
    EI_REQUIRE(machine_start(other, 0, argv));
    EI_REQUIRE(pool_play_start(&pool, 1) && pool_play_start(&pool, 0) && pool_play_roll(&pool));
}

/* Kill the first node, wait until the second is heard, and then for the end of all that is under way. */
static void kill_first(const char *task)
{
    EI_TRUEF(pool_play_await(&pool, task, 0, 20000 * MS), "the first in rank was not heard");
    EI_EQ(kill(pool.nodes[0].pid, SIGKILL), 0);
    EI_TRUEF(pool_play_await(&pool, task, 1, 20000 * MS), "nobody took over");
    pool_play_nap_ms(300);
    atomic_store(&pool.is_ending, true); /* no further image */
    pool_play_nap_ms(500);
}

static void end_other(struct machine_node *other)
{
    char words[1000];
    EI_EQ(machine_end(other, words, sizeof words), 0);
    fprintf(stdout, "%s", words);
    EI_TRUEF(strstr(words, " 0 refused") != NULL, "%s", words);
}

/* Frames that the egress let through are each followed once, whoever of the pool answered them. */
EI_TEST(dds_chain_follows_a_pool)
{
    static const char *const tasks[] = {"eye", "plan", NULL};
    struct machine_node node = {0};
    open_pool(pool_play_one, follower, tasks, &node);
    for (int waited = 0; waited < 20000 && pool.heard[1].frames < 5; waited += 10) {
        pool_play_nap_ms(10); /* all know each other */
    }
    const int32_t first = pool.heard[1].last_frame;
    EI_TRUE(first > 0);
    kill_first("eye");
    int32_t frames = 0;
    for (int32_t i = first; i < POOL_PLAY_FRAMES_MAX; i++) {
        frames += pool.heard[0].is_known[i];
        EI_TRUEF(pool.heard[0].is_known[i] == pool.heard[1].is_known[i], "frame %d: eye %d, plan %d", i,
                 pool.heard[0].is_known[i], pool.heard[1].is_known[i]);
    }
    EI_TRUEF(frames > 5, "%d frames", frames);
    EI_EQ(pool.heard[0].repeated, 0);
    EI_EQ(pool.heard[1].repeated, 0);
    end_other(&node);
    pool_play_close(&pool);
}

/* And a pool may be what follows: both nodes take each result, one of them is heard. */
EI_TEST(dds_chain_is_followed_by_a_pool)
{
    static const char *const tasks[] = {"plan", "eye", NULL};
    struct machine_node node = {0};
    open_pool(follower, pool_play_one, tasks, &node);
    for (int waited = 0; waited < 20000 && pool.heard[0].frames < 5; waited += 10) {
        pool_play_nap_ms(10);
    }
    EI_TRUE(pool.heard[0].frames > 0);
    kill_first("plan");
    EI_EQ(pool.heard[0].repeated, 0);
    for (int32_t i = 0; i < POOL_PLAY_FRAMES_MAX; i++) {
        EI_TRUEF(pool.heard[0].is_known[i] <= pool.heard[1].is_known[i], "frame %d was followed and never seen", i);
    }
    end_other(&node);
    pool_play_close(&pool);
}

EI_MAIN()
