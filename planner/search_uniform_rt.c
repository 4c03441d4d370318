/* The exact search for a uniform exit time. Pure, real-time safe.
 *
 * With T uniform in [begin, end] the expectation is the area below the held score s(t) over that interval. Fix the last
 * exit L. Seen from "s_L all along", exit i loses max(0, s_L - s_i) for each ns until the next exit is ready, which
 * depends on i and the next exit only:
 *     A_{L,L} = 0,   A_{i,L} = max_{i < j <= L}  A_{j,L} - max(0, s_L - s_i) * (C_j + b_j - C_i)
 * Answer: max_L s_L * (end - now) + A_{now,L}. Why it is exact beyond `end` too, where S is not linear: for any path
 * the value never exceeds the true area (a score above s_L counts as s_L, time beyond `end` only adds losses), and it
 * is equal for a plan of rising scores that ends by `end`; some best plan is one. Time before `begin` costs nothing, so
 * one exit at most is worth computing that early: the search starts from it as well, with losses counted from `begin`.
 */
#include "planner/search_kinds.h"
#include "planner/vector.h"

#include <math.h>

/* Last exits are handled EI_LANES at a time; rows are padded to a multiple of it. */
static int32_t padded_count(int32_t exits)
{
    return (exits + EI_LANES - 1) / EI_LANES * EI_LANES;
}

static double max_of(double a, double b)
{
    return a > b ? a : b;
}

/* Where a path starts: now, or right after an exit that is ready before anything can be forced. */
struct start {
    int32_t exit; /* EI_EXIT_NONE: now */
    int32_t next; /* first exit that can follow */
    double score;
    double leave_ns; /* on the scale of ws->leave_ns */
    double at_ns;    /* on the survival function's clock */
};

/* One row of the recurrence for all last exits L: row[L] = max(row[L], max_{from <= j <= L} loss[j][L] - weight[L] *
 * dist[j]), where loss[j][L] is -infinity for L < j. The newest row, j = from, comes last, so that a row can begin
 * while the one before is being finished. */
EI_INLINE void relax_row(const struct ei_plan_workspace *ws, const double *dist_ns, int32_t from, double score,
                         double *row)
{
    const int32_t n = ws->exits;
    for (int32_t block = from / EI_LANES * EI_LANES; block < n; block += EI_LANES) {
        const int32_t end = block + EI_LANES < n ? block + EI_LANES : n;
        const ei_lanes zero = {0};
        ei_lanes weight = *(const ei_lanes *)&ws->score[block] - score;
        ei_lanes_max(&weight, &zero);
        ei_lanes best = *(const ei_lanes *)&row[block];
        for (int32_t j = end - 1; j >= from; j--) {
            const ei_lanes value = *(const ei_lanes *)&ws->loss[j][block] - weight * dist_ns[j];
            ei_lanes_max(&best, &value);
        }
        *(ei_lanes *)&row[block] = best;
    }
}

EINET_VECTOR_CLONES static void fill_tables(const struct ei_plan_problem *problem, struct ei_plan_workspace *ws)
{
    const int32_t n = problem->exits, first = problem->first_exit;
    const int32_t padded = padded_count(n);
    ws->exits = n;
    ws->first = first;
    ws->tag = 0;
    ws->is_branch_atomic = problem->is_branch_atomic;
    int64_t conv_end_ns = 0;
    for (int32_t i = 0; i < n; i++) {
        conv_end_ns += problem->conv_ns[i];
        const int64_t ready_ns = ws->is_branch_atomic ? conv_end_ns : conv_end_ns + problem->branch_ns[i];
        ws->conv_end_ns[i] = (double)conv_end_ns;
        ws->ready_ns[i] = (double)ready_ns;
        ws->leave_ns[i] = (double)(ready_ns - problem->branch_ns[i]);
        ws->score[i] = i < first ? 0 : (double)problem->score[i];
    }
    for (int32_t i = n; i < padded; i++) {
        ws->score[i] = 0;
    }
    for (int32_t i = n - 1; i >= first; i--) {
        double dist_ns[EI_EXITS_MAX];
        for (int32_t j = i + 1; j < n; j++) {
            dist_ns[j] = ws->ready_ns[j] - ws->leave_ns[i];
        }
        /* -infinity where the last exit lies before i or beyond n, so that no path ends there. */
        for (int32_t last = i / EI_LANES * EI_LANES; last < padded; last++) {
            ws->loss[i][last] = last == i ? 0 : -INFINITY;
        }
        relax_row(ws, dist_ns, i + 1, ws->score[i], ws->loss[i]);
    }
}

EINET_RT void ei_plan_uniform_fill(const struct ei_plan_problem *problem, struct ei_plan_workspace *ws)
{
    fill_tables(problem, ws);
}

/* Exit that follows `from` on the best path to `last`; dist_ns as in relax_row. */
static int32_t best_next(const struct ei_plan_workspace *ws, const double *dist_ns, int32_t from, int32_t last,
                         double score)
{
    const double weight = max_of(ws->score[last] - score, 0);
    double best = -INFINITY;
    int32_t next = last;
    for (int32_t j = from; j <= last; j++) {
        const double value = ws->loss[j][last] - weight * dist_ns[j];
        if (value > best) {
            best = value;
            next = j;
        }
    }
    return next;
}

/* Time that counts until each exit is ready after the start; before lo_ns nothing counts. */
static void start_distances(const struct ei_plan_workspace *ws, const struct start *start, double lo_ns,
                            double *out_dist_ns)
{
    for (int32_t j = start->next; j < ws->exits; j++) {
        out_dist_ns[j] = max_of(start->at_ns + (ws->ready_ns[j] - start->leave_ns) - lo_ns, 0);
    }
}

struct best_path {
    double value; /* area below the held score */
    int32_t last; /* EI_EXIT_NONE: compute nothing after the start */
    struct start start;
};

/* Try all paths from one start; left_ns = end - lo. */
EINET_VECTOR_CLONES static void try_start(const struct ei_plan_workspace *ws, const struct start *start, double lo_ns,
                                          double left_ns, struct best_path *best)
{
    if (start->score * left_ns > best->value) {
        *best = (struct best_path){start->score * left_ns, EI_EXIT_NONE, *start};
    }
    if (start->next >= ws->exits) {
        return;
    }
    double dist_ns[EI_EXITS_MAX];
    start_distances(ws, start, lo_ns, dist_ns);
    double loss[EI_EXITS_MAX];
    for (int32_t last = start->next / EI_LANES * EI_LANES; last < padded_count(ws->exits); last++) {
        loss[last] = -INFINITY;
    }
    relax_row(ws, dist_ns, start->next, start->score, loss);
    for (int32_t last = start->next; last < ws->exits; last++) {
        const double value = ws->score[last] * left_ns + loss[last];
        if (value > best->value) {
            *best = (struct best_path){value, last, *start};
        }
    }
}

static uint64_t walk(const struct ei_plan_workspace *ws, const struct best_path *best, double lo_ns)
{
    uint64_t mask = best->start.exit == EI_EXIT_NONE ? 0 : UINT64_C(1) << best->start.exit;
    if (best->last == EI_EXIT_NONE) {
        return mask;
    }
    double dist_ns[EI_EXITS_MAX];
    start_distances(ws, &best->start, lo_ns, dist_ns);
    int32_t at = best_next(ws, dist_ns, best->start.next, best->last, best->start.score);
    mask |= UINT64_C(1) << at;
    while (at != best->last) {
        for (int32_t j = at + 1; j <= best->last; j++) {
            dist_ns[j] = ws->ready_ns[j] - ws->leave_ns[at];
        }
        at = best_next(ws, dist_ns, at + 1, best->last, ws->score[at]);
        mask |= UINT64_C(1) << at;
    }
    return mask;
}

/* The stop comes exactly at end: only the answer held then counts, so one exit at most is worth computing. */
static uint64_t best_single(const struct ei_plan_workspace *ws, const struct start *now, double end_ns)
{
    double score = now->score;
    uint64_t mask = 0;
    for (int32_t i = now->next; i < ws->exits; i++) {
        if (ws->score[i] > score && now->at_ns + (ws->ready_ns[i] - now->leave_ns) <= end_ns) {
            score = ws->score[i];
            mask = UINT64_C(1) << i;
        }
    }
    return mask;
}

EINET_RT uint64_t ei_plan_uniform_best(const struct ei_plan_problem *problem, const struct ei_plan_workspace *ws)
{
    const double begin_ns = (double)problem->survival.u.uniform.begin_ns;
    const double end_ns = (double)problem->survival.u.uniform.end_ns;
    const struct start now = {.exit = EI_EXIT_NONE,
                              .next = problem->first_exit,
                              .score = problem->held_score,
                              .leave_ns = problem->convs_done > 0 ? ws->conv_end_ns[problem->convs_done - 1] : 0,
                              .at_ns = (double)problem->elapsed_ns};
    if (problem->survival.u.uniform.begin_ns == problem->survival.u.uniform.end_ns) {
        return best_single(ws, &now, end_ns);
    }
    const double lo_ns = max_of(begin_ns, now.at_ns);
    const double left_ns = end_ns - lo_ns;
    if (left_ns <= 0) {
        return 0;
    }
    struct best_path best = {now.score * left_ns, EI_EXIT_NONE, now};
    try_start(ws, &now, lo_ns, left_ns, &best);
    for (int32_t i = now.next; i < ws->exits && now.at_ns < begin_ns; i++) {
        const struct start early = {.exit = i,
                                    .next = i + 1,
                                    .score = ws->score[i],
                                    .leave_ns = ws->leave_ns[i],
                                    .at_ns = now.at_ns + (ws->ready_ns[i] - now.leave_ns)};
        if (early.at_ns <= begin_ns) {
            try_start(ws, &early, lo_ns, left_ns, &best);
        }
    }
    return walk(ws, &best, lo_ns);
}
