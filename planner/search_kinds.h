/* Shared by search_*.c: each search as a function from a checked problem to a mask of undecided
 * exits. Real-time safe, pure.
 */
#ifndef PLANNER_SEARCH_KINDS_H
#define PLANNER_SEARCH_KINDS_H

#include "planner/search.h"

/* ---- the undecided exits as the searches see them ---- */

/* Times from now, [first..exits): exit j counts at ready_ns[j] when no other is computed before it, and at ready_ns[j]
 * - leave_ns[i] after exit i counted. */
struct ei_plan_course {
    int32_t first, exits;
    int64_t ready_ns[EI_EXITS_MAX]; /* C_j - C_now + b_j; without b_j when branches are atomic */
    int64_t leave_ns[EI_EXITS_MAX]; /* C_j - C_now; less b_j when branches are atomic */
};

EINET_RT void ei_plan_course_init(struct ei_plan_course *course, const struct ei_plan_problem *problem);

/* ---- exact ---- */

/* Uniform exit time: fill the tables for the undecided exits; read the best mask from tables that match. */
EINET_RT void ei_plan_uniform_fill(const struct ei_plan_problem *problem, struct ei_plan_workspace *ws);
EINET_RT uint64_t ei_plan_uniform_best(const struct ei_plan_problem *problem, const struct ei_plan_workspace *ws);

/* Exponential exit time. */
EINET_RT uint64_t ei_plan_exponential_best(const struct ei_plan_problem *problem);

/* Any exit time. Fills the tables as well unless they stand for the problem's times and scores already (has_tables).
 * *out_is_exact: the labels sufficed. */
EINET_RT uint64_t ei_plan_labels_best(const struct ei_plan_problem *problem, bool has_tables,
                                      struct ei_plan_workspace *ws, bool *out_is_exact);

/* ---- the others ---- */

EINET_RT uint64_t ei_plan_hybrid_best(const struct ei_plan_problem *problem, int32_t depth);
EINET_RT uint64_t ei_plan_random_best(const struct ei_plan_problem *problem, int32_t draws, uint64_t seed);
EINET_RT uint64_t ei_plan_confidence_mask(const struct ei_plan_problem *problem, double confidence);

#endif
