/* A long non-increasing polyline as the few knots of a table: shared by the sources of survival functions. */
#ifndef PLANNER_SURVIVAL_THIN_H
#define PLANNER_SURVIVAL_THIN_H

#include "planner/survival.h"

/* Fill out (kind KNOTS) with points of the polyline, its first and last included; two points at the same time are a
 * jump. Starting from the two ends, the point at which the line between its neighbours errs most is added until at most
 * max_count knots are in use or no point is further than 1e-13 from its line, so a polyline that fits is kept as it is.
 * count >= 1; t_ns: [count], not decreasing, within +- INT64_MAX / 4; survival: [count], 0..1, not increasing;
 * max_count: 2 .. EI_SURVIVAL_KNOTS_MAX. O(count * max_count) at worst, O(count * log(max_count)) for what curves
 * evenly. Real-time safe, pure. */
EINET_RT void ei_survival_thin(int32_t count, const int64_t *t_ns, const double *survival, int32_t max_count,
                               struct ei_survival_table *out);

#endif
