/* The whole policy for a uniform exit time: which exit to compute next after any exit, at any time, for fixed expected
 * scores. One backward pass fills it; afterwards a decision is a look-up.
 *
 * After exit i at time t the expectation of ending with exit L is linear in the time left:
 *     s_L * (end - t) + A_{i,L}     (planner/search_uniform_rt.c)
 * so the best L is a piecewise constant function of the time left, the upper envelope of these lines. The policy holds
 * for jobs whose answers score as expected; a score that differs is a new problem for ei_plan_search or ei_plan_resume.
 * Pure values, no allocation; immutable once filled, then any thread may look up.
 */
#ifndef PLANNER_POLICY_H
#define PLANNER_POLICY_H

#include "planner/search.h"

/* What to do after one exit, by the time left. */
struct ei_plan_policy_state {
    int32_t pieces;                    /* >= 1 */
    double from_left_ns[EI_EXITS_MAX]; /* piece k holds for from_left_ns[k] <= time left < from_left_ns[k + 1] */
    int8_t next[EI_EXITS_MAX];         /* EI_EXIT_NONE: compute nothing more */
};

/* 42 KiB. */
struct ei_plan_policy {
    int32_t exits, first;
    int64_t end_ns;                                  /* of the exit time */
    struct ei_plan_policy_state after[EI_EXITS_MAX]; /* [first..exits) after that exit */
};

/* Fill the policy for the undecided exits of a problem whose exit time is uniform and has begun by elapsed_ns; ws is
 * left as by EI_SEARCH_EXACT. Returns 0; -EINVAL (the problem fails its check); -ENOTSUP (another exit time, or
 * atomic branches, where the time of a state is not that of its answer).
 * Real-time safe, but O(n^3): while the lane works. */
EINET_RT int ei_plan_policy_build(const struct ei_plan_problem *problem, struct ei_plan_workspace *ws,
                                  struct ei_plan_policy *out);

/* The exit to compute next after exit exit_idx (first..exits-1), done at elapsed_ns on the exit time's clock;
 * EI_EXIT_NONE when nothing more is worth it. O(log n). */
EINET_RT int32_t ei_plan_policy_next(const struct ei_plan_policy *policy, int32_t exit_idx, int64_t elapsed_ns);

#endif
