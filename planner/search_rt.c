/* Plans: the problem's check, the accuracy expectation, and the dispatch of the searches. Pure, real-time safe. */
#include "planner/search.h"

#include "planner/search_kinds.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

static struct ei_fault arrays_fault(const struct ei_plan_problem *problem)
{
    for (int32_t i = 0; i < problem->exits; i++) {
        if (problem->conv_ns[i] < 0 || problem->conv_ns[i] > EI_PROFILE_TIME_NS_MAX) {
            return (struct ei_fault){"conv_ns", "must be within 0..1000 s", i};
        }
        if (problem->branch_ns[i] < 0 || problem->branch_ns[i] > EI_PROFILE_TIME_NS_MAX) {
            return (struct ei_fault){"branch_ns", "must be within 0..1000 s", i};
        }
        if (i >= problem->first_exit && !isfinite(problem->score[i])) {
            return (struct ei_fault){"score", "must be a finite number", i};
        }
    }
    return (struct ei_fault){NULL, NULL, -1};
}

EINET_RT struct ei_fault ei_plan_problem_fault(const struct ei_plan_problem *problem)
{
    if (problem->exits < 1 || problem->exits > EI_EXITS_MAX) {
        return (struct ei_fault){"exits", "must be within 1..64", -1};
    }
    if (!problem->conv_ns || !problem->branch_ns || !problem->score) {
        const char *field = !problem->conv_ns ? "conv_ns" : !problem->branch_ns ? "branch_ns" : "score";
        return (struct ei_fault){field, "must not be NULL", -1};
    }
    const struct ei_fault survival_fault = ei_survival_fault(&problem->survival);
    if (survival_fault.field) {
        return survival_fault;
    }
    if (problem->convs_done < 0 || problem->convs_done > problem->exits) {
        return (struct ei_fault){"convs_done", "must be within 0..exits", -1};
    }
    if (problem->first_exit < 0 || problem->first_exit > problem->exits) {
        return (struct ei_fault){"first_exit", "must be within 0..exits", -1};
    }
    if (problem->first_exit < problem->convs_done - 1) {
        return (struct ei_fault){"first_exit", "must not lie before the last computed conv part", -1};
    }
    if (problem->elapsed_ns < 0 || problem->elapsed_ns > INT64_MAX / 4) {
        return (struct ei_fault){"elapsed_ns", "must be within 0..INT64_MAX / 4", -1};
    }
    if (!isfinite(problem->held_score)) {
        return (struct ei_fault){"held_score", "must be a finite number", -1};
    }
    return arrays_fault(problem);
}

EINET_RT struct ei_fault ei_search_fault(struct ei_search search)
{
    const struct ei_fault none = {NULL, NULL, -1};
    switch (search.kind) {
    case EI_SEARCH_STATIC:
        return search.share_pct >= 1 && search.share_pct <= 100
                   ? none
                   : (struct ei_fault){"search.share_pct", "must be within 1..100", -1};
    case EI_SEARCH_HYBRID:
        return search.depth >= 0 && search.depth <= EI_SEARCH_DEPTH_MAX
                   ? none
                   : (struct ei_fault){"search.depth", "must be within 0..12", -1};
    case EI_SEARCH_RANDOM:
        return search.draws >= 1 && search.draws <= EI_SEARCH_DRAWS_MAX
                   ? none
                   : (struct ei_fault){"search.draws", "must be within 1..1000000", -1};
    case EI_SEARCH_CONFIDENCE:
        return search.confidence >= 0 && search.confidence <= 1
                   ? none
                   : (struct ei_fault){"search.confidence", "must be within 0..1", -1};
    case EI_SEARCH_FIXED:
        return search.exits != 0 ? none : (struct ei_fault){"search.exits", "must name at least one exit", -1};
    case EI_SEARCH_ALL:
    case EI_SEARCH_EXACT:
    case EI_SEARCH_GREEDY:
    case EI_SEARCH_STATISTICS:
    case EI_SEARCH_ORACLE:
        return none;
    }
    return (struct ei_fault){"search.kind", "is none that the planner knows", -1};
}

static bool has_single_stop(const struct ei_survival *survival)
{
    return survival->kind == EI_SURVIVAL_UNIFORM && survival->u.uniform.begin_ns == survival->u.uniform.end_ns;
}

/* ---- the expectation ---- */

/* First block whose conv part or branch is still to be passed: a conv part that is done already (of the block whose
 * branch is undecided) costs nothing any more. */
static int32_t first_block(const struct ei_plan_problem *problem)
{
    return problem->convs_done < problem->first_exit ? problem->convs_done : problem->first_exit;
}

EINET_RT double ei_plan_expectation(const struct ei_plan_problem *problem, uint64_t mask)
{
    double held = problem->held_score, expectation = problem->held_score;
    int64_t t_ns = problem->elapsed_ns;
    mask &= ei_undecided_mask(problem);
    for (int32_t i = first_block(problem); i < problem->exits; i++) {
        t_ns += i >= problem->convs_done ? problem->conv_ns[i] : 0;
        if ((mask >> i & 1U) != 0) {
            const int64_t begun_ns = t_ns;
            t_ns += problem->branch_ns[i];
            const double score = (double)problem->score[i];
            expectation +=
                (score - held) * ei_survival_at(&problem->survival, problem->is_branch_atomic ? begun_ns : t_ns);
            held = score;
        }
    }
    return expectation;
}

EINET_RT void ei_plan_course_init(struct ei_plan_course *course, const struct ei_plan_problem *problem)
{
    int64_t t_ns = 0;
    course->first = problem->first_exit;
    course->exits = problem->exits;
    for (int32_t i = first_block(problem); i < problem->exits; i++) {
        t_ns += i >= problem->convs_done ? problem->conv_ns[i] : 0;
        course->ready_ns[i] = problem->is_branch_atomic ? t_ns : t_ns + problem->branch_ns[i];
        course->leave_ns[i] = course->ready_ns[i] - problem->branch_ns[i];
    }
}

/* ---- the searches ---- */

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

static void list_exits(struct ei_plan *plan)
{
    plan->count = 0;
    for (uint64_t rest = plan->mask; rest != 0; rest &= rest - 1) {
        plan->exits[plan->count++] = (int8_t)__builtin_ctzll(rest);
    }
}

static void fill_plan(const struct ei_plan_problem *problem, uint64_t mask, struct ei_plan *out)
{
    out->mask = mask;
    out->is_exact = false;
    out->expectation = ei_plan_expectation(problem, mask);
    list_exits(out);
}

/* The plan without the exits of mask that add nothing: no record score, or never ready in time. J does not fall, since
 * what follows is ready earlier and the held score is nowhere lower. */
static void fill_without_useless(const struct ei_plan_problem *problem, uint64_t mask, struct ei_plan *out)
{
    double held = problem->held_score, expectation = problem->held_score;
    int64_t t_ns = problem->elapsed_ns;
    uint64_t kept = 0;
    for (int32_t i = first_block(problem); i < problem->exits && mask >> i != 0; i++) {
        t_ns += i >= problem->convs_done ? problem->conv_ns[i] : 0;
        const double score = (double)problem->score[i];
        if ((mask >> i & 1U) == 0 || score <= held) {
            continue;
        }
        const double survival =
            ei_survival_at(&problem->survival, problem->is_branch_atomic ? t_ns : t_ns + problem->branch_ns[i]);
        if (survival > 0) {
            kept |= UINT64_C(1) << i;
            t_ns += problem->branch_ns[i];
            expectation += (score - held) * survival;
            held = score;
        }
    }
    out->mask = kept;
    out->expectation = expectation;
    list_exits(out);
}

EINET_RT bool ei_plan_holds(const struct ei_plan_problem *problem, uint64_t mask, struct ei_plan *out)
{
    double held = problem->held_score, highest = problem->held_score;
    int64_t t_ns = problem->elapsed_ns, counts_ns = problem->elapsed_ns;
    uint64_t kept = 0;
    mask &= ei_undecided_mask(problem);
    for (int32_t i = first_block(problem); i < problem->exits; i++) {
        const double score = i >= problem->first_exit ? (double)problem->score[i] : held;
        if (!isfinite(score)) {
            return false;
        }
        t_ns += i >= problem->convs_done ? problem->conv_ns[i] : 0;
        highest = score > highest ? score : highest;
        if ((mask >> i & 1U) != 0 && score > held) {
            kept |= UINT64_C(1) << i;
            counts_ns = problem->is_branch_atomic ? t_ns : t_ns + problem->branch_ns[i];
            t_ns += problem->branch_ns[i];
            held = score;
        }
    }
    /* S does not increase: what is 1 at the last exit was 1 at those before. */
    if (!(held >= highest) || (kept != 0 && ei_survival_at(&problem->survival, counts_ns) < 1)) {
        return false;
    }
    *out = (struct ei_plan){.mask = kept, .expectation = held, .is_exact = true};
    list_exits(out);
    return true;
}

EINET_RT void ei_plan_workspace_init(struct ei_plan_workspace *ws)
{
    ws->exits = 0;
    ws->first = 0;
    ws->tag = 0;
}

/* The exact plan of a checked problem; with tables that already stand for its times and scores when has_tables. */
static void plan_exactly(const struct ei_plan_problem *problem, struct ei_plan_workspace *ws, bool has_tables,
                         struct ei_plan *out)
{
    uint64_t mask;
    bool is_exact = true;
    if (problem->survival.kind == EI_SURVIVAL_UNIFORM) {
        if (!has_tables) {
            ei_plan_uniform_fill(problem, ws);
        }
        mask = ei_plan_uniform_best(problem, ws);
    } else if (problem->survival.kind == EI_SURVIVAL_EXPONENTIAL) {
        mask = ei_plan_exponential_best(problem);
        if (!has_tables) { /* what the tables held was of another search */
            ei_plan_workspace_init(ws);
        }
    } else {
        mask = ei_plan_labels_best(problem, has_tables, ws, &is_exact);
    }
    fill_without_useless(problem, mask, out);
    out->is_exact = is_exact;
}

EINET_RT int ei_plan_search(const struct ei_plan_problem *problem, struct ei_search search,
                            struct ei_plan_workspace *ws, struct ei_plan *out)
{
    if (ei_search_fault(search).field || ei_plan_problem_fault(problem).field) {
        return -EINVAL;
    }
    uint64_t mask = 0;
    switch (search.kind) {
    case EI_SEARCH_ALL:
        mask = ei_undecided_mask(problem);
        break;
    case EI_SEARCH_STATIC:
        mask = ei_plan_static_mask(problem->exits, search.share_pct) & ei_undecided_mask(problem);
        break;
    case EI_SEARCH_FIXED:
        mask = search.exits & ei_undecided_mask(problem);
        break;
    case EI_SEARCH_HYBRID:
        mask = ei_plan_hybrid_best(problem, search.depth);
        break;
    case EI_SEARCH_GREEDY:
        mask = ei_plan_hybrid_best(problem, 0);
        break;
    case EI_SEARCH_RANDOM:
        mask = ei_plan_random_best(problem, search.draws, search.seed);
        break;
    case EI_SEARCH_CONFIDENCE:
        mask = ei_plan_confidence_mask(problem, search.confidence);
        break;
    case EI_SEARCH_ORACLE:
        if (!has_single_stop(&problem->survival)) {
            return -ENOTSUP;
        }
        if (!ws) {
            return -EINVAL;
        }
        plan_exactly(problem, ws, false, out);
        return 0;
    case EI_SEARCH_EXACT:
    case EI_SEARCH_STATISTICS:
        if (!ws) {
            return -EINVAL;
        }
        plan_exactly(problem, ws, false, out);
        return 0;
    }
    fill_plan(problem, mask, out);
    return 0;
}

EINET_RT int ei_plan_resume(const struct ei_plan_problem *problem, struct ei_plan_workspace *ws, struct ei_plan *out)
{
    if (ei_plan_problem_fault(problem).field || !ws) {
        return -EINVAL;
    }
    const bool has_tables = ws->exits == problem->exits && problem->first_exit >= ws->first &&
                            ws->is_branch_atomic == problem->is_branch_atomic;
    if (!has_tables && problem->survival.kind != EI_SURVIVAL_EXPONENTIAL) {
        return -EINVAL;
    }
    plan_exactly(problem, ws, has_tables, out);
    return 0;
}
