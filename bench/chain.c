/* What it costs a chain to go over three machines: a network, a planner with an actuator, and another actuator, each in
 * a network namespace of its own, joined by veth pairs, beside the same four tasks in one run. Both ways are taken in
 * turns, each first in every other round. Prints for each task the time from the stamp of the image to its finish, how
 * many jobs missed the deadline that counts from there, and what the way over the machines adds.
 *
 * usage: bench_chain [ROUNDS [IMAGES [PERIOD_MS [PRIORITY]]]]     default 4 500 10 88
 *
 * As root. PRIORITY: of the threads that carry messages and of the camera, 0 = SCHED_OTHER. Exit status 1: an image
 * that the network's machine took did not end in exactly one status of each task, or a deadline was not flagged as its
 * times say.
 */
#include "tests/adapters/chain_play.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 20

enum { ONE_RUN, MACHINES, WAYS };

static struct chain_play play; /* large */

/* By way and task. */
static struct way {
    int64_t ns[CHAIN_IMAGES_MAX];
    int32_t count, missed, wrong;
} ways[WAYS][CHAIN_TASKS];

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void count_image(struct way *way, const struct chain_status *status, int32_t taken, int64_t made_ns)
{
    const bool has_run = status->count > 0 && status->outcome == 0;
    way->wrong += status->count != taken || (has_run && status->is_met != (status->finish_ns <= status->deadline_ns));
    if (has_run && way->count < CHAIN_IMAGES_MAX) {
        way->ns[way->count++] = status->finish_ns - made_ns;
    }
    way->missed += status->count > 0 && !status->is_met;
}

static bool take_way(int way, int32_t images, int64_t period_ns)
{
    if (!chain_play_start(&play, way == ONE_RUN ? chain_play_one : chain_play_quick) ||
        !chain_play_roll(&play, images, period_ns) || !chain_play_end(&play)) {
        fprintf(stderr, "bench_chain: the machines do not run, do not hear each other, or leave images unanswered\n");
        return false;
    }
    for (int32_t i = play.first; i < play.sent; i++) {
        for (int task = 0; task < CHAIN_TASKS; task++) {
            count_image(&ways[way][task], &play.heard[task].status[i], play.heard[CHAIN_SEE].status[i].count == 1,
                        play.made_ns[i]);
        }
    }
    return true;
}

static double at_ms(const struct way *way, int permille)
{
    return way->count > 0 ? (double)way->ns[(int64_t)(way->count - 1) * permille / 1000] / 1e6 : 0;
}

/* Returns what was wrong in all. */
static int print_ways(void)
{
    static const char *const names[WAYS] = {"one run", "machines"};
    int wrong = 0;
    for (int task = 0; task < CHAIN_TASKS; task++) {
        for (int way = 0; way < WAYS; way++) {
            struct way *of = &ways[way][task];
            qsort(of->ns, (size_t)of->count, sizeof of->ns[0], compare);
            wrong += of->wrong;
            fprintf(stdout, "%-4s %-8s %6d jobs, stamp to finish p50 %.2f p90 %.2f p99 %.2f max %.2f ms; %d missed%s\n",
                    play.heard[task].task, names[way], of->count, at_ms(of, 500), at_ms(of, 900), at_ms(of, 990),
                    at_ms(of, 1000), of->missed, of->wrong > 0 ? "; WRONG" : "");
        }
    }
    fprintf(stdout, "over the machines: %+.2f ms at p50, %+.2f ms at p99\n",
            at_ms(&ways[MACHINES][CHAIN_HAND], 500) - at_ms(&ways[ONE_RUN][CHAIN_HAND], 500),
            at_ms(&ways[MACHINES][CHAIN_HAND], 990) - at_ms(&ways[ONE_RUN][CHAIN_HAND], 990));
    return wrong;
}

static int number(int argc, char **argv, int idx, int otherwise, int least, int most)
{
    const long value = argc > idx ? strtol(argv[idx], NULL, 10) : otherwise;
    return value < least ? least : value > most ? most : (int)value;
}

int main(int argc, char **argv)
{
    const int rounds = number(argc, argv, 1, 4, 1, ROUNDS_MAX), priority = number(argc, argv, 4, 88, 0, 98);
    /* the numbers of all images, those of the beginnings as well, have their places */
    const int images = number(argc, argv, 2, 500, 1, CHAIN_IMAGES_MAX / (2 * rounds) - 300);
    const int64_t period_ns = number(argc, argv, 3, 10, 1, 1000) * INT64_C(1000000);
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    (void)snprintf(play.folder, sizeof play.folder, "/tmp/bench-chain-XXXXXX");
    if (mkdtemp(play.folder) == NULL || length <= 0) {
        perror("bench_chain");
        return 1;
    }
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    play.is_apart = true;
    play.priority = machine_is_allowed(priority) ? priority : 0;
    (void)snprintf(play.binary, sizeof play.binary, "%.280s/einet-dds", path);
    const char *missing = chain_play_open(&play);
    bool is_good = missing == NULL;
    if (missing != NULL) {
        fprintf(stderr, "bench_chain: not here: %s\n", missing);
    }
    for (int round = 0; is_good && round < rounds; round++) {
        is_good = take_way(round % 2 == 0 ? ONE_RUN : MACHINES, images, period_ns) &&
                  take_way(round % 2 == 0 ? MACHINES : ONE_RUN, images, period_ns);
    }
    is_good = is_good && print_ways() == 0;
    chain_play_close(&play);
    (void)rmdir(play.folder);
    return is_good ? 0 : 1;
}
