/* How long a pool is silent when the node that is heard dies or hangs: two nodes in two network namespaces joined by a
 * veth pair, an image each period, and the egress; the first node is killed so many times, then stopped so many times.
 * Prints each gap between two frames at a listener of ROS 2, their distribution, and how many stayed within the lease
 * and two periods. Exit status 1: a stamp came twice, an answer went back, or nobody took over.
 *
 * With `load` the first node has 1.5 of its lane to do instead: how long its lowest task was silent when it was given
 * away, and how many deadlines the task of highest priority lost meanwhile and so many seconds after.
 *
 * With `egress` the egress is struck and not a node: one node, and an egress in each of the two namespaces.
 *
 * usage: bench_pool [KILLS [STOPS [LEASE_MS [PERIOD_MS [PRIORITY]]]]]     default 50 50 100 20 88
 *        bench_pool egress [KILLS [STOPS [LEASE_MS [PERIOD_MS [PRIORITY]]]]]
 *        bench_pool load [SECONDS]                                         default 20
 *
 * As root. PRIORITY: of the threads that carry messages, 0 = SCHED_OTHER.
 */
#include "tests/adapters/pool_play.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_NS INT64_C(20000000000)
#define BLOWS_MAX 1000
#define REST_MS 300
#define JOIN_MS 1500 /* for as long an egress looks round before it stands by */

static struct pool_play play; /* large */
static int active;            /* the egress that is struck next */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One blow to the egress that is active; as below. */
static double strike_egress(int signal)
{
    int32_t frames = 0;
    (void)pool_play_gap(&play, 0, &frames);
    (void)kill(play.egresses[active], signal);
    if (!pool_play_await_turn(&play, 1 - active, true, LIMIT_NS)) {
        return -1;
    }
    pool_play_nap_ms(REST_MS);
    const double gap_ms = (double)pool_play_gap(&play, 0, &frames) / 1e6;
    if (signal == SIGKILL) {
        pool_play_kill_egress(&play, active);
        if (!pool_play_start_egress(&play, active)) {
            return -1;
        }
        pool_play_nap_ms(JOIN_MS);
    }
    const bool is_good = signal == SIGKILL || pool_play_continue_egress(&play, active, LIMIT_NS / 4);
    active = 1 - active;
    return is_good ? gap_ms : -1;
}

/* One blow; the gap in ms, or a negative number: nobody took over. */
static double strike(int signal)
{
    if (play.has_egresses) {
        return strike_egress(signal);
    }
    int32_t frames = 0;
    (void)pool_play_gap(&play, 0, &frames);
    (void)kill(play.nodes[0].pid, signal);
    if (!pool_play_await(&play, "eye", 1, LIMIT_NS)) {
        return -1;
    }
    pool_play_nap_ms(REST_MS);
    const double gap_ms = (double)pool_play_gap(&play, 0, &frames) / 1e6;
    if (signal == SIGKILL) {
        machine_kill(&play.nodes[0]);
        if (!pool_play_start(&play, 0)) {
            return -1;
        }
    } else {
        (void)kill(play.nodes[0].pid, SIGCONT);
    }
    return pool_play_await(&play, "eye", 0, LIMIT_NS) ? gap_ms : -1;
}

static bool strike_all(const char *name, int signal, int blows)
{
    double gaps_ms[BLOWS_MAX];
    const double bound_ms = (double)(play.lease_ns + 2 * play.period_ns) / 1e6;
    int within = 0;
    for (int i = 0; i < blows; i++) {
        const int64_t noise_ns = atomic_load(&play.noise_ns);
        pool_play_nap_ms(REST_MS + i * 7 % 20); /* anywhere in a period */
        gaps_ms[i] = strike(signal);
        if (gaps_ms[i] < 0) {
            fprintf(stdout, "%s %d: nobody took over\n", name, i);
            return false;
        }
        within += gaps_ms[i] <= bound_ms;
        fprintf(stdout, "%s %d: %.1f ms, camera late %.1f ms\n", name, i, gaps_ms[i],
                (double)(atomic_load(&play.noise_ns) - noise_ns) / 1e6);
        fflush(stdout);
    }
    qsort(gaps_ms, (size_t)blows, sizeof gaps_ms[0], compare);
    fprintf(stdout, "%s: %d gaps, min %.1f p50 %.1f p90 %.1f p99 %.1f max %.1f ms; %d of %d (%.0f %%) within %.0f ms\n",
            name, blows, gaps_ms[0], gaps_ms[blows / 2], gaps_ms[blows * 9 / 10], gaps_ms[blows * 99 / 100],
            gaps_ms[blows - 1], within, blows, 100.0 * within / blows, bound_ms);
    return true;
}

static int number(int argc, char **argv, int idx, int otherwise, int most)
{
    const long value = argc > idx ? strtol(argv[idx], NULL, 10) : otherwise;
    return value < 0 ? 0 : value > most ? most : (int)value;
}

/* Open everything and wait until the first in rank is heard on a task. */
static bool begin(const char *text_a, const char *text_b, const char *const *tasks)
{
    const char *missing = NULL;
    play.texts[0] = text_a;
    play.texts[1] = text_b;
    missing = pool_play_open(&play, tasks);
    if (missing != NULL) {
        fprintf(stderr, "bench_pool: not here: %s\n", missing);
    }
    if (play.has_egresses) {
        const bool is_good = missing == NULL && pool_play_start(&play, 1) && pool_play_start_egress(&play, 0) &&
                             pool_play_roll(&play) && pool_play_await_turn(&play, 0, true, LIMIT_NS) &&
                             pool_play_await_frames(&play, 1, LIMIT_NS) && pool_play_start_egress(&play, 1);
        pool_play_nap_ms(JOIN_MS);
        return is_good;
    }
    return missing == NULL && pool_play_start(&play, 1) && pool_play_start(&play, 0) && pool_play_roll(&play) &&
           pool_play_await(&play, tasks[0], 0, LIMIT_NS);
}

/* What was heard; false when a stamp came twice or an answer went back. */
static bool judge(void)
{
    bool is_good = true;
    for (int32_t i = 0; i < play.task_count; i++) {
        const struct pool_heard *heard = &play.heard[i];
        fprintf(stdout, "%s: %lld images, %lld statuses, %lld answers, %lld late; %lld repeated, %lld backward\n",
                heard->task, (long long)atomic_load(&play.sent), (long long)heard->frames, (long long)heard->answers,
                (long long)heard->late, (long long)heard->repeated, (long long)heard->backward);
        is_good = is_good && heard->repeated == 0 && heard->backward == 0;
    }
    return is_good;
}

static bool take_blows(int kills, int stops)
{
    static const char *const tasks[] = {"eye", NULL};
    const bool is_good = begin(pool_play_one, pool_play_one, tasks) &&
                         (kills == 0 || strike_all("kill", SIGKILL, kills)) &&
                         (stops == 0 || strike_all("stop", SIGSTOP, stops));
    return judge() && is_good;
}

static bool take_load(int seconds)
{
    static const char *const tasks[] = {"high", "low", NULL};
    int32_t images = 0;
    bool is_good = begin(pool_play_too_much, pool_play_bearable, tasks) && pool_play_await(&play, "low", 0, LIMIT_NS);
    (void)pool_play_gap(&play, 1, &images);
    is_good = is_good && pool_play_await(&play, "low", 1, LIMIT_NS);
    pool_play_nap_ms(REST_MS);
    const double gap_ms = (double)pool_play_gap(&play, 1, &images) / 1e6;
    fprintf(stdout, "low: %s, %.1f ms and %d images between two frames at most\n",
            is_good ? "given away" : "not given away", gap_ms, images);
    pool_play_nap_ms(seconds * 1000);
    return judge() && is_good;
}

int main(int argc, char **argv)
{
    const bool is_load = argc > 1 && strcmp(argv[1], "load") == 0;
    play.has_egresses = argc > 1 && strcmp(argv[1], "egress") == 0;
    argc -= play.has_egresses;
    argv += play.has_egresses;
    const int priority = is_load ? 88 : number(argc, argv, 5, 88, 98);
    char folder[] = "/tmp/bench-pool-XXXXXX", file[300], path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (mkdtemp(folder) == NULL || length <= 0) {
        perror("bench_pool");
        return 1;
    }
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    play.is_apart = true;
    play.lease_ns = (is_load ? 100 : number(argc, argv, 3, 100, 10000)) * INT64_C(1000000);
    play.period_ns = (is_load ? 20 : number(argc, argv, 4, 20, 1000)) * INT64_C(1000000);
    play.priority = machine_is_allowed(priority) ? priority : 0;
    (void)snprintf(play.folder, sizeof play.folder, "%s", folder);
    (void)snprintf(play.binary, sizeof play.binary, "%.280s/einet-dds", path);
    const bool is_good = is_load
                             ? take_load(number(argc, argv, 2, 20, 1000))
                             : take_blows(number(argc, argv, 1, 50, BLOWS_MAX), number(argc, argv, 2, 50, BLOWS_MAX));
    pool_play_close(&play);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(file, sizeof file, "%s/node-%c.yaml", folder, "ab"[i]);
        (void)unlink(file);
        (void)snprintf(file, sizeof file, "%s/egress-%d", folder, i);
        (void)unlink(file);
    }
    (void)rmdir(folder);
    return is_good ? 0 : 1;
}
