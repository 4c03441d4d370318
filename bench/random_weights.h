/* A weight file for a network of the zoo without training it: benchmarks time the same whatever the numbers are. */
#ifndef BENCH_RANDOM_WEIGHTS_H
#define BENCH_RANDOM_WEIGHTS_H

#include <einet/error.h>

/* Draw weights for [3, 32, 32] pictures and 10 classes, scaled so that signals neither fade nor explode, and write them
 * to path. Returns 0, EINET_E_USAGE (no such network), -ENOMEM or -errno. */
int ei_bench_random_weights(const char *zoo, const char *path, struct einet_error *err);

#endif
