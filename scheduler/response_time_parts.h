/* What the files of the response-time analysis share; nobody else includes this. */
#ifndef SCHEDULER_RESPONSE_TIME_PARTS_H
#define SCHEDULER_RESPONSE_TIME_PARTS_H

#include "scheduler/response_time.h"

#define EI_RTA_INFINITE (INT64_MAX / 4) /* inside the analysis: no bound */

/* A question to the window analysis: when do legs from..to of task task_idx finish? */
struct ei_rta_query {
    int32_t task_idx;
    int32_t from, to;
    /* False: jobs may still wait for earlier jobs of the task, so those count in full; from is 0.
     * True: every job is known to finish before the next is ready. */
    bool is_alone;
    bool is_mandatory;           /* the job in question does its mandatory part only */
    int64_t arrival_ns;          /* latest arrival at leg from, after the nominal arrival; of any job */
    int64_t arrival_of_first_ns; /* the same of the job in question itself */
    int64_t best_arrival_ns;     /* earliest */
    /* At least 0: the window begins when the job in question is ready, with at most this much work of the task itself
     * still to do, and with work of others carried in at every resource. -1: the window begins as said in
     * response_time_window.c. */
    int64_t carried_ns;
};

struct ei_rta_window {
    int64_t finish_ns;   /* from the nominal arrival, or EI_RTA_INFINITE */
    int64_t own_ns;      /* from the earliest moment the job in question can have been ready */
    int64_t blocking_ns; /* of one job */
};

struct ei_rta_window ei_rta_window_bound(struct ei_rta *rta, const struct ei_rta_query *query);

/* Does task i keep its deadline when every other task is only known to keep its own? The answer does not depend on the
 * order among the higher-priority tasks, which is what Audsley's assignment needs. Overwrites what solve has found. */
bool ei_rta_holds_if_others_do(struct ei_rta *rta, int32_t i);

/* a + b and a * b for values >= 0, at most EI_RTA_INFINITE. */
int64_t ei_rta_add(int64_t a, int64_t b);
int64_t ei_rta_multiply(int64_t a, int64_t b);

#endif
