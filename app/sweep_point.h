/* One point of a sweep: its simulation, and its result as text. */
#ifndef APP_SWEEP_POINT_H
#define APP_SWEEP_POINT_H

#include "app/sweep.h"

/* Texts for free(): the lines of the point in sweep.csv (one a task) and its line in sweep.jsonl. */
struct einet_sweep_result {
    char *csv, *json;
};

/* The first line of sweep.csv, for free(); NULL when memory is out. */
char *einet_sweep_csv_head(const struct einet_sweep *sweep);

/* Read and check the workload of a point. Returns 0 or the exit status, having said what is wrong. */
int einet_sweep_load(const struct einet_sweep *sweep, int64_t point, struct ei_workload **out);

/* Simulate a point. Returns 0 or the exit status, having said what is wrong. */
int einet_sweep_simulate(const struct einet_sweep *sweep, int64_t point, struct einet_sweep_result *out);

#endif
