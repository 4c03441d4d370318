/* Shared by plan_evaluate*.c: the check of the inputs, and walks. Pure. */
#ifndef MODELS_PLAN_EVALUATE_PARTS_H
#define MODELS_PLAN_EVALUATE_PARTS_H

#include "models/plan_evaluate.h"

/* What ei_plan_evaluate refuses; returns as that does. */
int ei_plan_evaluate_check(const struct ei_plan_evaluate_config *config, struct einet_error *err);

/* The answers of one job that nothing stops: when, of which exit. */
struct ei_plan_walk {
    int32_t count;
    int64_t t_ns[EI_EXITS_MAX]; /* do not decrease */
    int8_t exit[EI_EXITS_MAX];
};

/* Drive the elastic stepper as the live engine does, on the config's planning times and a clock that nothing stops.
 * begun: a job that ei_elastic_begin has just started at 0, step: what that returned; the job is copied, so that the
 * first plan, which all samples share, is made once. ws: for the copy. confidence: [exits] of the sample. Returns 0, or
 * what the stepper returns. */
int ei_plan_walk_search(const struct ei_elastic *begun, struct ei_step step, struct ei_plan_workspace *ws,
                        const float *confidence, struct ei_plan_walk *out);

/* The same without skipping: as long as the stepper plans any further exit, the next one is computed. */
int ei_plan_walk_no_skip(const struct ei_elastic *begun, struct ei_plan_workspace *ws, const float *confidence,
                         struct ei_plan_walk *out);

/* What an oracle that knows T and the scores delivers, as a function of T: the greatest score that one exit alone can
 * have ready by T, if it is greater than that of no output. */
void ei_plan_walk_oracle(const struct ei_elastic_config *config, const float *confidence, struct ei_plan_walk *out);

/* The conv chain and the last branch only. */
void ei_plan_walk_last(const struct ei_et_profile *et, struct ei_plan_walk *out);

#endif
