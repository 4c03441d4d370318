/* Plans: the problem's check, the accuracy expectation, and the dispatch of the searches. Pure, real-time safe. */
#include "planner/search.h"

#include "planner/search_tables.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

static struct ei_plan_fault arrays_fault(const struct ei_plan_problem *problem)
{
    for (int32_t i = 0; i < problem->exits; i++) {
        if (problem->conv_ns[i] < 0 || problem->conv_ns[i] > EI_PROFILE_TIME_NS_MAX) {
            return (struct ei_plan_fault){"conv_ns", "must be within 0..1000 s", i};
        }
        if (problem->branch_ns[i] < 0 || problem->branch_ns[i] > EI_PROFILE_TIME_NS_MAX) {
            return (struct ei_plan_fault){"branch_ns", "must be within 0..1000 s", i};
        }
        if (i >= problem->first_exit && !isfinite(problem->score[i])) {
            return (struct ei_plan_fault){"score", "must be a finite number", i};
        }
    }
    return (struct ei_plan_fault){NULL, NULL, -1};
}

EINET_RT struct ei_plan_fault ei_plan_problem_fault(const struct ei_plan_problem *problem)
{
    if (problem->exits < 1 || problem->exits > EI_EXITS_MAX) {
        return (struct ei_plan_fault){"exits", "must be within 1..64", -1};
    }
    if (!problem->conv_ns || !problem->branch_ns || !problem->score) {
        const char *field = !problem->conv_ns ? "conv_ns" : !problem->branch_ns ? "branch_ns" : "score";
        return (struct ei_plan_fault){field, "must not be NULL", -1};
    }
    if (problem->survival.kind != EI_SURVIVAL_UNIFORM) {
        return (struct ei_plan_fault){"survival.kind", "is none that the planner knows", -1};
    }
    if (problem->survival.u.uniform.begin_ns > problem->survival.u.uniform.end_ns) {
        return (struct ei_plan_fault){"survival.uniform.end_ns", "must not be before begin_ns", -1};
    }
    if (problem->convs_done < 0 || problem->convs_done > problem->exits) {
        return (struct ei_plan_fault){"convs_done", "must be within 0..exits", -1};
    }
    if (problem->first_exit < 0 || problem->first_exit > problem->exits) {
        return (struct ei_plan_fault){"first_exit", "must be within 0..exits", -1};
    }
    if (problem->first_exit < problem->convs_done - 1) {
        return (struct ei_plan_fault){"first_exit", "must not lie before the last computed conv part", -1};
    }
    if (problem->elapsed_ns < 0 || problem->elapsed_ns > INT64_MAX / 4) {
        return (struct ei_plan_fault){"elapsed_ns", "must be within 0..INT64_MAX / 4", -1};
    }
    if (!isfinite(problem->held_score)) {
        return (struct ei_plan_fault){"held_score", "must be a finite number", -1};
    }
    return arrays_fault(problem);
}

static uint64_t bits_below(int32_t count)
{
    return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

/* Exits that can still be computed. */
static uint64_t undecided_mask(const struct ei_plan_problem *problem)
{
    return bits_below(problem->exits) & ~bits_below(problem->first_exit);
}

EINET_RT double ei_plan_expectation(const struct ei_plan_problem *problem, uint64_t mask)
{
    double held = problem->held_score, expectation = problem->held_score;
    int64_t t_ns = problem->elapsed_ns;
    mask &= undecided_mask(problem);
    /* A conv part that is done already (of the block whose branch is undecided) costs nothing any more. */
    for (int32_t i = problem->convs_done < problem->first_exit ? problem->convs_done : problem->first_exit;
         i < problem->exits; i++) {
        t_ns += i >= problem->convs_done ? problem->conv_ns[i] : 0;
        if ((mask >> i & 1U) != 0) {
            t_ns += problem->branch_ns[i];
            const double score = (double)problem->score[i];
            expectation += (score - held) * ei_survival_at(&problem->survival, t_ns);
            held = score;
        }
    }
    return expectation;
}

EINET_RT uint64_t ei_plan_static_mask(int32_t exits, int32_t share_pct)
{
    if (exits < 1 || exits > EI_EXITS_MAX || share_pct < 1 || share_pct > 100) {
        return 0;
    }
    const int32_t count = (exits * share_pct + 99) / 100;
    uint64_t mask = 0;
    for (int32_t r = 1; r <= count; r++) {
        mask |= UINT64_C(1) << ((exits * r + count - 1) / count - 1);
    }
    return mask;
}

/* Drop exits that add nothing: no record score, or never ready in time. J does not fall, since what follows is ready
 * earlier and the held score is nowhere lower. */
static uint64_t without_useless(const struct ei_plan_problem *problem, uint64_t mask)
{
    double held = problem->held_score;
    int64_t t_ns = problem->elapsed_ns;
    uint64_t kept = 0;
    for (int32_t i = problem->convs_done < problem->first_exit ? problem->convs_done : problem->first_exit;
         i < problem->exits; i++) {
        t_ns += i >= problem->convs_done ? problem->conv_ns[i] : 0;
        const double score = (double)problem->score[i];
        if ((mask >> i & 1U) != 0 && score > held &&
            ei_survival_at(&problem->survival, t_ns + problem->branch_ns[i]) > 0) {
            kept |= UINT64_C(1) << i;
            t_ns += problem->branch_ns[i];
            held = score;
        }
    }
    return kept;
}

static void plan_fill(const struct ei_plan_problem *problem, uint64_t mask, struct ei_plan *out)
{
    out->mask = mask;
    out->count = 0;
    for (int32_t i = 0; i < problem->exits; i++) {
        if ((mask >> i & 1U) != 0) {
            out->exits[out->count++] = (int8_t)i;
        }
    }
    out->expectation = ei_plan_expectation(problem, mask);
}

EINET_RT void ei_plan_workspace_init(struct ei_plan_workspace *ws)
{
    ws->exits = 0;
    ws->first = 0;
}

/* The reading half of the exact search; the problem passed its check. */
static int plan_from_tables(const struct ei_plan_problem *problem, const struct ei_plan_workspace *ws,
                            struct ei_plan *out)
{
    if (problem->survival.kind != EI_SURVIVAL_UNIFORM) {
        return -ENOTSUP;
    }
    plan_fill(problem, without_useless(problem, ei_plan_tables_best(problem, ws)), out);
    return 0;
}

EINET_RT int ei_plan_search(const struct ei_plan_problem *problem, struct ei_search search,
                            struct ei_plan_workspace *ws, struct ei_plan *out)
{
    if (ei_plan_problem_fault(problem).field) {
        return -EINVAL;
    }
    switch (search.kind) {
    case EI_SEARCH_ALL:
        plan_fill(problem, undecided_mask(problem), out);
        return 0;
    case EI_SEARCH_STATIC:
        if (search.share_pct < 1 || search.share_pct > 100) {
            return -EINVAL;
        }
        plan_fill(problem, ei_plan_static_mask(problem->exits, search.share_pct) & undecided_mask(problem), out);
        return 0;
    case EI_SEARCH_EXACT:
        if (!ws) {
            return -EINVAL;
        }
        ei_plan_tables_fill(problem, ws);
        return plan_from_tables(problem, ws, out);
    }
    return -EINVAL;
}

EINET_RT int ei_plan_resume(const struct ei_plan_problem *problem, const struct ei_plan_workspace *ws,
                            struct ei_plan *out)
{
    if (ei_plan_problem_fault(problem).field || !ws || ws->exits != problem->exits || problem->first_exit < ws->first) {
        return -EINVAL;
    }
    return plan_from_tables(problem, ws, out);
}
