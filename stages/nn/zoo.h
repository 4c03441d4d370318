/* The networks that come with EINet-RT, as programs. They live here because both the live engine (which runs weights)
 * and models/ (which trains them) need them.
 */
#ifndef STAGES_NN_ZOO_H
#define STAGES_NN_ZOO_H

#include "stages/nn/program.h"

/* Fill *out with a network of the zoo for 32x32 inputs with `channels` (1 or 3) and `classes` (2 .. 1024).
 *
 *   b-alexnet   3 exits, BranchyNet's CIFAR-10 AlexNet (Teerapittayanon, McDanel, Kung, ICPR 2016)
 *
 * Returns 0 or EINET_E_USAGE (unknown name, which the error lists; bad channels or classes). Thread: any. */
int ei_zoo_program(const char *name, int32_t channels, int32_t classes, struct ei_program *out,
                   struct einet_error *err);

/* Name idx of the zoo, NULL behind the last. */
const char *ei_zoo_name(int32_t idx);

#endif
