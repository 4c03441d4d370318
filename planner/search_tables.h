/* Shared by search_rt.c and search_exact_rt.c: the silent check and the two halves of the exact search. Real-time safe.
 */
#ifndef PLANNER_SEARCH_TABLES_H
#define PLANNER_SEARCH_TABLES_H

#include "planner/search.h"

/* What is wrong with a problem. */
struct ei_plan_fault {
    const char *field; /* NULL: nothing */
    const char *rule;  /* what the field must be */
    int32_t element;   /* array index to blame, -1 = none */
};

EINET_RT struct ei_plan_fault ei_plan_problem_fault(const struct ei_plan_problem *problem);

/* Fill ws for the undecided exits of a checked problem. */
EINET_RT void ei_plan_tables_fill(const struct ei_plan_problem *problem, struct ei_plan_workspace *ws);

/* The mask of greatest J for a checked problem whose survival function is uniform, read from ws. */
EINET_RT uint64_t ei_plan_tables_best(const struct ei_plan_problem *problem, const struct ei_plan_workspace *ws);

#endif
