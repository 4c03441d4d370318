/* How long a pool is silent when the node that is heard dies or hangs: two nodes in two network namespaces joined by a
 * veth pair, an image each period, and the egress; the first node is killed so many times, then stopped so many times.
 * Prints each gap between two frames at a listener of ROS 2, their distribution, and how many stayed within the lease
 * and two periods. Exit status 1: a stamp came twice, an answer went back, or nobody took over.
 *
 * usage: bench_pool [KILLS [STOPS [LEASE_MS [PERIOD_MS [PRIORITY]]]]]     default 50 50 100 20 70; PRIORITY of the
 * threads that carry messages, 0 = SCHED_OTHER; as root
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

static const char text[] =
    "version: 1\nname: play\nrun: { warmup: 0s, start_delay: 0s }\nlanes: { acc: { kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 200us, branch: 20us, score: 0.5 },\n"
    "                                      { conv: 500us, branch: 20us, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: eye, arrival: { model: external, min_interarrival: 1ms }, deadline: 20ms, priority: 40,\n"
    "      late_release: { queue: 1, drop: oldest }, planner: { search: all },\n"
    "      input: { kind: topic, topic: /camera/image_raw, width: 32, height: 32 },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: net, lane: acc } ] }\n";

static struct pool_play play; /* large */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One blow; the gap in ms, or a negative number: nobody took over. */
static double strike(int signal)
{
    int32_t frames = 0;
    (void)pool_play_gap(&play, 0, &frames);
    (void)kill(play.nodes[0], signal);
    if (!pool_play_await(&play, "eye", 1, LIMIT_NS)) {
        return -1;
    }
    pool_play_nap_ms(REST_MS);
    const double gap_ms = (double)pool_play_gap(&play, 0, &frames) / 1e6;
    if (signal == SIGKILL) {
        pool_play_kill(&play, 0);
        if (!pool_play_start(&play, 0)) {
            return -1;
        }
    } else {
        (void)kill(play.nodes[0], SIGCONT);
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

int main(int argc, char **argv)
{
    static const char *const tasks[] = {"eye", NULL};
    const int kills = number(argc, argv, 1, 50, BLOWS_MAX), stops = number(argc, argv, 2, 50, BLOWS_MAX);
    const int priority = number(argc, argv, 5, 70, 98);
    char folder[] = "/tmp/bench-pool-XXXXXX", file[300], path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (mkdtemp(folder) == NULL || length <= 0) {
        perror("bench_pool");
        return 1;
    }
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    play.is_apart = true;
    play.lease_ns = number(argc, argv, 3, 100, 10000) * INT64_C(1000000);
    play.period_ns = number(argc, argv, 4, 20, 1000) * INT64_C(1000000);
    play.priority = pool_play_is_allowed(priority) ? priority : 0;
    play.texts[0] = play.texts[1] = text;
    (void)snprintf(play.folder, sizeof play.folder, "%s", folder);
    (void)snprintf(play.binary, sizeof play.binary, "%.280s/einet-dds", path);
    const char *missing = pool_play_open(&play, tasks);
    bool is_good = missing == NULL && pool_play_start(&play, 1) && pool_play_start(&play, 0) && pool_play_roll(&play) &&
                   pool_play_await(&play, "eye", 0, LIMIT_NS);
    if (missing != NULL) {
        fprintf(stderr, "bench_pool: not here: %s\n", missing);
    }
    is_good = is_good && (kills == 0 || strike_all("kill", SIGKILL, kills));
    is_good = is_good && (stops == 0 || strike_all("stop", SIGSTOP, stops));
    const struct pool_heard *heard = &play.heard[0];
    fprintf(stdout, "%lld images, %lld statuses, %lld answers; %lld repeated, %lld backward\n",
            (long long)atomic_load(&play.sent), (long long)heard->frames, (long long)heard->answers,
            (long long)heard->repeated, (long long)heard->backward);
    is_good = is_good && heard->repeated == 0 && heard->backward == 0;
    pool_play_close(&play);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(file, sizeof file, "%s/node-%c.yaml", folder, "ab"[i]);
        (void)unlink(file);
    }
    (void)rmdir(folder);
    return is_good ? 0 : 1;
}
