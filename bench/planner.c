/* Time and optimality gap of the plan searches per network size.
 *
 * Times are medians over interleaved rounds, so that all searches meet the same noise. A gap is what a search's plan
 * loses to the exact one, in points of J (1/100), mean and worst over the rounds' random networks; exact plans have
 * none and say how often they were proven. Prints two tables to standard output. Usage: planner [rounds]; one thread,
 * pin it with taskset for steady figures.
 */
#include "planner/policy.h"
#include "planner/search.h"

#include "rt/clock.h"
#include "rt/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_DEFAULT 1001
#define ROUNDS_MAX 100001
#define CALLS 8 /* per measurement, so that reading the clock does not count */
#define KNOTS 32

enum exit_time { UNIFORM, EXPONENTIAL, TABLE, EXIT_TIMES };
enum how { SEARCH, RESUME, LOOK_UP };

struct row {
    const char *name;
    enum exit_time exit_time;
    enum how how;
    struct ei_search search;
};

static const struct row rows[] = {
    {"exact, uniform", UNIFORM, SEARCH, {.kind = EI_SEARCH_EXACT}},
    {"exact, exponential", EXPONENTIAL, SEARCH, {.kind = EI_SEARCH_EXACT}},
    {"exact, 32 knots", TABLE, SEARCH, {.kind = EI_SEARCH_EXACT}},
    {"resume, uniform", UNIFORM, RESUME, {.kind = EI_SEARCH_EXACT}},
    {"policy look-up", UNIFORM, LOOK_UP, {.kind = EI_SEARCH_EXACT}},
    {"hybrid:6", UNIFORM, SEARCH, {.kind = EI_SEARCH_HYBRID, .depth = 6}},
    {"greedy", UNIFORM, SEARCH, {.kind = EI_SEARCH_GREEDY}},
    {"random:64", UNIFORM, SEARCH, {.kind = EI_SEARCH_RANDOM, .draws = 64, .seed = 1}},
    {"random:1000", UNIFORM, SEARCH, {.kind = EI_SEARCH_RANDOM, .draws = 1000, .seed = 1}},
    {"static:25", UNIFORM, SEARCH, {.kind = EI_SEARCH_STATIC, .share_pct = 25}},
    {"static:50", UNIFORM, SEARCH, {.kind = EI_SEARCH_STATIC, .share_pct = 50}},
    {"confidence:0.9", UNIFORM, SEARCH, {.kind = EI_SEARCH_CONFIDENCE, .confidence = 0.9}},
    {"all", UNIFORM, SEARCH, {.kind = EI_SEARCH_ALL}},
};

#define ROWS ((int)(sizeof rows / sizeof rows[0]))

static const int32_t sizes[] = {3, 5, 6, 14, 21, 40};

#define SIZES ((int)(sizeof sizes / sizeof sizes[0]))

/* ---- random networks ---- */

struct network {
    int32_t exits;
    int64_t conv_ns[EI_EXITS_MAX], branch_ns[EI_EXITS_MAX], total_ns;
    float score[EI_EXITS_MAX];
    struct ei_survival_table table;
};

/* Scores that rise with the depth, noisily; branches about as costly as the trunk, where planning matters most. */
static void draw(struct ei_random *rng, int32_t exits, struct network *net)
{
    net->exits = exits;
    net->total_ns = 0;
    for (int32_t i = 0; i < exits; i++) {
        net->conv_ns[i] = 50000 + (int64_t)ei_random_below(rng, 100000);
        net->branch_ns[i] = 10000 + (int64_t)ei_random_below(rng, 100000);
        net->score[i] = (float)(0.4 + 0.5 * (i + 1) / exits + 0.1 * ei_random_unit(rng));
        net->total_ns += net->conv_ns[i] + net->branch_ns[i];
    }
    net->table = (struct ei_survival_table){.kind = EI_SURVIVAL_KNOTS, .count = KNOTS};
    double survival = 1;
    int64_t t_ns = 0;
    for (int32_t k = 0; k < KNOTS; k++) {
        net->table.t_ns[k] = t_ns;
        net->table.survival[k] = survival;
        t_ns += (int64_t)ei_random_below(rng, (uint64_t)(2 * net->total_ns / KNOTS));
        survival *= ei_random_below(rng, 4) == 0 ? 0.7 + 0.3 * ei_random_unit(rng) : 1;
    }
}

static struct ei_plan_problem problem_of(const struct network *net, enum exit_time exit_time)
{
    const struct ei_survival survivals[EXIT_TIMES] = {
        [UNIFORM] = ei_survival_uniform(0, net->total_ns),
        [EXPONENTIAL] = ei_survival_exponential(2e9 / (double)net->total_ns),
        [TABLE] = ei_survival_of_table(&net->table),
    };
    return (struct ei_plan_problem){
        .exits = net->exits,
        .conv_ns = net->conv_ns,
        .branch_ns = net->branch_ns,
        .score = net->score,
        .survival = survivals[exit_time],
    };
}

/* ---- one call ---- */

struct memory {
    struct ei_plan_workspace ws;
    struct ei_plan_policy policy;
};

/* Masks are summed up by the caller, so that no call can be optimised away. */
static uint64_t call(const struct row *row, const struct network *net, struct memory *memory, struct ei_plan *plan)
{
    struct ei_plan_problem problem = problem_of(net, row->exit_time);
    switch (row->how) {
    case SEARCH:
        (void)ei_plan_search(&problem, row->search, &memory->ws, plan);
        return plan->mask;
    case RESUME: /* after the first exit, as at a replan without new predictions */
        problem.convs_done = problem.first_exit = 1;
        problem.elapsed_ns = net->conv_ns[0] + net->branch_ns[0];
        problem.held_score = 0.45;
        (void)ei_plan_resume(&problem, &memory->ws, plan);
        return plan->mask;
    case LOOK_UP:
        return (uint64_t)ei_plan_policy_next(&memory->policy, 0, net->conv_ns[0] + net->branch_ns[0]);
    }
    return 0;
}

static double gap_points(const struct row *row, const struct network *net, struct memory *memory)
{
    const struct ei_plan_problem problem = problem_of(net, row->exit_time);
    struct ei_plan exact = {0}, plan = {0};
    (void)ei_plan_search(&problem, (struct ei_search){.kind = EI_SEARCH_EXACT}, &memory->ws, &exact);
    (void)ei_plan_search(&problem, row->search, &memory->ws, &plan);
    return 100 * (exact.expectation - plan.expectation);
}

/* ---- tables ---- */

struct cell {
    double *time_ns; /* [rounds] */
    double gap_sum, gap_worst;
};

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint64_t measure(struct ei_random *rng, size_t round, struct memory *memory, struct cell cells[ROWS][SIZES])
{
    uint64_t sum = 0;
    for (int n = 0; n < SIZES; n++) {
        struct network net;
        draw(rng, sizes[n], &net);
        const struct ei_plan_problem uniform = problem_of(&net, UNIFORM);
        struct ei_plan plan;
        (void)ei_plan_policy_build(&uniform, &memory->ws, &memory->policy);
        for (int r = 0; r < ROWS; r++) {
            /* Slow searches are called once; the clock's cost does not matter there. */
            const int calls = rows[r].search.kind == EI_SEARCH_HYBRID || rows[r].search.draws > 100 ? 1 : CALLS;
            const struct ei_mono start = ei_mono_now();
            for (int c = 0; c < calls; c++) {
                sum += call(&rows[r], &net, memory, &plan);
            }
            cells[r][n].time_ns[round] = (double)ei_mono_diff_ns(ei_mono_now(), start) / calls;
            if (rows[r].how == SEARCH) {
                const double gap = gap_points(&rows[r], &net, memory);
                cells[r][n].gap_sum += gap;
                cells[r][n].gap_worst = gap > cells[r][n].gap_worst ? gap : cells[r][n].gap_worst;
            }
        }
    }
    return sum;
}

static void print_head(const char *title)
{
    printf("%-20s", title);
    for (int n = 0; n < SIZES; n++) {
        printf("  n = %-9d", sizes[n]);
    }
    printf("\n");
}

static void print_tables(size_t rounds, struct cell cells[ROWS][SIZES])
{
    print_head("median time, us");
    for (int r = 0; r < ROWS; r++) {
        printf("%-20s", rows[r].name);
        for (int n = 0; n < SIZES; n++) {
            qsort(cells[r][n].time_ns, rounds, sizeof(double), compare);
            printf("  %-13.3f", cells[r][n].time_ns[rounds / 2] / 1000);
        }
        printf("\n");
    }
    printf("\n");
    print_head("gap, points of J");
    for (int r = 0; r < ROWS; r++) {
        if (rows[r].how != SEARCH) {
            continue;
        }
        printf("%-20s", rows[r].name);
        for (int n = 0; n < SIZES; n++) {
            printf("  %5.3f (%5.2f)", cells[r][n].gap_sum / (double)rounds, cells[r][n].gap_worst);
        }
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    const long asked = argc > 1 ? strtol(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    if (asked < 1 || asked > ROUNDS_MAX) {
        fprintf(stderr, "usage: %s [rounds, 1..%d]\n", argv[0], ROUNDS_MAX);
        return 1;
    }
    const size_t rounds = (size_t)asked;
    double *times = malloc((size_t)ROWS * (size_t)SIZES * rounds * sizeof *times);
    struct memory *memory = calloc(1, sizeof *memory);
    if (!times || !memory) {
        fprintf(stderr, "no memory for %zu rounds\n", rounds);
        free(times);
        free(memory);
        return 1;
    }
    static struct cell cells[sizeof rows / sizeof rows[0]][sizeof sizes / sizeof sizes[0]];
    for (int i = 0; i < ROWS * SIZES; i++) {
        cells[i / SIZES][i % SIZES].time_ns = times + (size_t)i * rounds;
    }
    struct ei_random rng;
    ei_random_init(&rng, 1, 0);
    uint64_t sum = 0;
    for (size_t round = 0; round < rounds; round++) {
        sum += measure(&rng, round, memory, cells);
    }
    printf("%zu random networks per size, seed 1 (check %" PRIu64 "); gap: mean (worst)\n"
           "the paper (EINet, ICDCS 2023, host of an RTX 3090): search 127.7 us, predictor 0.3 us\n\n",
           rounds, sum % 9973);
    print_tables(rounds, cells);
    free(times);
    free(memory);
    return 0;
}
