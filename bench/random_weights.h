/* Weight files for benchmarks of networks whose trained weights are not at hand. */
#ifndef BENCH_RANDOM_WEIGHTS_H
#define BENCH_RANDOM_WEIGHTS_H

#include <stdbool.h>

/* Whether a name is one of the zoo's, or its classic. */
bool bench_is_of_zoo(const char *name);

/* Write random weights of a network of the zoo (ten classes, three channels), scaled so that signals neither fade nor
 * explode. Returns 0 or -1, which stderr explains. */
int bench_write_random_weights(const char *zoo, const char *path);

#endif
