/* The inference compiled for one vector width each, so that a test can compare them: clones cannot be named. */
#ifndef TESTS_PLANNER_PREDICTOR_WIDTHS_H
#define TESTS_PLANNER_PREDICTOR_WIDTHS_H

#include "planner/predictor.h"

#define WIDTHS 3

/* As ei_predictor_predict. */
typedef void (*predict_fn)(const void *predictor, int32_t exits, const float *score, uint64_t run_mask,
                           int32_t first_exit, float *out_score);

/* Fill in what this processor can run; returns how many. */
int predictor_widths(predict_fn out[WIDTHS], const char *out_name[WIDTHS]);

#endif
