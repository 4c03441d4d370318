/* The policy as upper envelopes. Pure, real-time safe. */
#include "planner/policy.h"

#include "planner/search_kinds.h"

#include <errno.h>

/* s_L * left + A_{i,L} as a function of the time left, and the first exit on the way to L. */
struct line {
    double slope, offset;
    int32_t next;
};

/* First exit after i on the best way to L; search_uniform_rt.c's recurrence for one pair. */
static int32_t next_towards(const struct ei_plan_workspace *ws, int32_t i, int32_t last)
{
    const double weight = ws->score[last] > ws->score[i] ? ws->score[last] - ws->score[i] : 0;
    double best = 0;
    int32_t next = EI_EXIT_NONE;
    for (int32_t j = i + 1; j <= last; j++) {
        const double value = ws->loss[j][last] - weight * (ws->ready_ns[j] - ws->leave_ns[i]);
        if (next == EI_EXIT_NONE || value > best) {
            best = value;
            next = j;
        }
    }
    return next;
}

/* Time left from which the steeper line b is the better one. */
static double crossing_ns(const struct line *a, const struct line *b)
{
    return (a->offset - b->offset) / (b->slope - a->slope);
}

/* Append a line to an envelope whose slopes rise; lines that nowhere win are dropped. */
static void envelope_add(struct line *lines, int32_t *count, struct line added)
{
    if (*count > 0 && added.slope <= lines[*count - 1].slope) {
        return; /* no better score, and later */
    }
    while (*count > 1 &&
           crossing_ns(&lines[*count - 1], &added) <= crossing_ns(&lines[*count - 2], &lines[*count - 1])) {
        --*count;
    }
    if (*count == 1 && crossing_ns(&lines[0], &added) <= 0) {
        --*count;
    }
    lines[(*count)++] = added;
}

static void fill_state(const struct ei_plan_workspace *ws, int32_t i, struct ei_plan_policy_state *out)
{
    struct line lines[EI_EXITS_MAX];
    int32_t count = 0;
    envelope_add(lines, &count, (struct line){.slope = ws->score[i], .offset = 0, .next = EI_EXIT_NONE});
    /* By rising score; a few dozen at most, so by selection. */
    double at_score = ws->score[i];
    for (;;) {
        int32_t last = EI_EXIT_NONE;
        for (int32_t l = i + 1; l < ws->exits; l++) {
            const bool is_nearer = last == EI_EXIT_NONE || ws->score[l] < ws->score[last] ||
                                   (ws->score[l] == ws->score[last] && ws->loss[i][l] > ws->loss[i][last]);
            if (ws->score[l] > at_score && is_nearer) {
                last = l;
            }
        }
        if (last == EI_EXIT_NONE) {
            break;
        }
        at_score = ws->score[last];
        envelope_add(lines, &count, (struct line){.slope = at_score, .offset = ws->loss[i][last], .next = last});
    }
    out->pieces = count;
    for (int32_t k = 0; k < count; k++) {
        out->from_left_ns[k] = k == 0 ? 0 : crossing_ns(&lines[k - 1], &lines[k]);
        out->next[k] = (int8_t)(lines[k].next == EI_EXIT_NONE ? EI_EXIT_NONE : next_towards(ws, i, lines[k].next));
    }
}

EINET_RT int ei_plan_policy_build(const struct ei_plan_problem *problem, struct ei_plan_workspace *ws,
                                  struct ei_plan_policy *out)
{
    if (ei_plan_problem_fault(problem).field) {
        return -EINVAL;
    }
    if (problem->survival.kind != EI_SURVIVAL_UNIFORM || problem->is_branch_atomic ||
        problem->survival.u.uniform.begin_ns > problem->elapsed_ns ||
        problem->survival.u.uniform.begin_ns == problem->survival.u.uniform.end_ns) {
        return -ENOTSUP;
    }
    ei_plan_uniform_fill(problem, ws);
    out->exits = problem->exits;
    out->first = problem->first_exit;
    out->end_ns = problem->survival.u.uniform.end_ns;
    for (int32_t i = problem->first_exit; i < problem->exits; i++) {
        fill_state(ws, i, &out->after[i]);
    }
    return 0;
}

EINET_RT int32_t ei_plan_policy_next(const struct ei_plan_policy *policy, int32_t exit_idx, int64_t elapsed_ns)
{
    if (exit_idx < policy->first || exit_idx >= policy->exits) {
        return EI_EXIT_NONE;
    }
    const struct ei_plan_policy_state *state = &policy->after[exit_idx];
    const double left_ns = (double)policy->end_ns - (double)elapsed_ns;
    int32_t low = 0, high = state->pieces; /* the last piece that begins at or before left_ns */
    while (high - low > 1) {
        const int32_t middle = (low + high) / 2;
        if (state->from_left_ns[middle] <= left_ns) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return state->next[low];
}
