/* Time of the plan searches per network size: medians over interleaved rounds, so that all meet the same noise.
 *
 * Prints a table to standard output. Usage: planner [rounds]; one thread, pin it with taskset for steady figures.
 */
#include "planner/search.h"

#include "rt/clock.h"
#include "rt/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_DEFAULT 2001
#define ROUNDS_MAX 100001
#define CALLS 16 /* per measurement, so that reading the clock does not count */

enum { SIZES = 6, SEARCHES = 5 };

static const int32_t sizes[SIZES] = {3, 5, 6, 14, 21, 40};
static const char *const names[SEARCHES] = {"all", "static(50)", "exact", "exact, late begin", "resume"};

struct network {
    int64_t conv_ns[EI_EXITS_MAX], branch_ns[EI_EXITS_MAX];
    float score[EI_EXITS_MAX];
    int64_t total_ns;
};

static void draw(struct ei_random *rng, int32_t exits, struct network *net)
{
    net->total_ns = 0;
    for (int32_t i = 0; i < exits; i++) {
        net->conv_ns[i] = 50000 + (int64_t)ei_random_below(rng, 100000);
        net->branch_ns[i] = 10000 + (int64_t)ei_random_below(rng, 100000);
        net->score[i] = (float)(0.4 + 0.5 * (i + 1) / exits + 0.1 * ei_random_unit(rng));
        net->total_ns += net->conv_ns[i] + net->branch_ns[i];
    }
}

/* The plans' masks are summed up, so that no call can be optimised away. */
static uint64_t run(int which, const struct network *net, int32_t exits, struct ei_plan_workspace *ws)
{
    static const struct ei_search searches[SEARCHES] = {
        {EI_SEARCH_ALL, 0}, {EI_SEARCH_STATIC, 50}, {EI_SEARCH_EXACT, 0}, {EI_SEARCH_EXACT, 0}, {EI_SEARCH_EXACT, 0}};
    struct ei_plan_problem problem = {
        .exits = exits,
        .conv_ns = net->conv_ns,
        .branch_ns = net->branch_ns,
        .score = net->score,
        .survival = ei_survival_uniform(which == 3 ? net->total_ns / 2 : 0, net->total_ns),
    };
    struct ei_plan plan = {.mask = 0};
    if (which == 4) { /* after the first exit, as at a replan without new predictions */
        problem.convs_done = problem.first_exit = 1;
        problem.elapsed_ns = net->conv_ns[0] + net->branch_ns[0];
        problem.held_score = 0.45;
        ei_plan_resume(&problem, ws, &plan);
    } else {
        ei_plan_search(&problem, searches[which], ws, &plan);
    }
    return plan.mask;
}

static int compare_ns(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    const long asked = argc > 1 ? strtol(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    if (asked < 1 || asked > ROUNDS_MAX) {
        fprintf(stderr, "usage: %s [rounds, 1..%d]\n", argv[0], ROUNDS_MAX);
        return 1;
    }
    const size_t rounds = (size_t)asked;
    double *samples = malloc(SEARCHES * SIZES * rounds * sizeof *samples); /* [search][size][round] */
    struct ei_plan_workspace *ws = calloc(1, sizeof *ws);
    if (!samples || !ws) {
        fprintf(stderr, "no memory for %zu rounds\n", rounds);
        free(samples);
        free(ws);
        return 1;
    }
    struct ei_random rng;
    ei_random_init(&rng, 1, 0);
    uint64_t sum = 0;
    for (size_t r = 0; r < rounds; r++) {
        for (int n = 0; n < SIZES; n++) {
            struct network net;
            draw(&rng, sizes[n], &net);
            for (int s = 0; s < SEARCHES; s++) {
                const struct ei_mono start = ei_mono_now();
                for (int c = 0; c < CALLS; c++) {
                    sum += run(s, &net, sizes[n], ws);
                }
                samples[((size_t)s * SIZES + (size_t)n) * rounds + r] =
                    (double)ei_mono_diff_ns(ei_mono_now(), start) / CALLS;
            }
        }
    }
    printf("median ns per call, %zu rounds of %d calls, seed 1 (check %" PRIu64 ")\n%-18s", rounds, CALLS, sum % 9973,
           "search");
    for (int n = 0; n < SIZES; n++) {
        printf("  n = %-4d", sizes[n]);
    }
    for (int s = 0; s < SEARCHES; s++) {
        printf("\n%-18s", names[s]);
        for (int n = 0; n < SIZES; n++) {
            double *column = samples + ((size_t)s * SIZES + (size_t)n) * rounds;
            qsort(column, rounds, sizeof *column, compare_ns);
            printf("  %8.0f", column[rounds / 2]);
        }
    }
    printf("\n");
    free(samples);
    free(ws);
    return 0;
}
