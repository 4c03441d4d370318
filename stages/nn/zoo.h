/* The networks that come with EINet-RT, as programs. They live here because both the live engine (which runs weights)
 * and models/ (which trains them) need them. Each is written down in stages/nn/zoo/.
 */
#ifndef STAGES_NN_ZOO_H
#define STAGES_NN_ZOO_H

#include "stages/nn/program.h"

#define EI_ZOO_CLASSIC_SUFFIX "-classic"

/* Fill *out with a network of the zoo for 32x32 inputs with `channels` (1 or 3) and `classes` (2 .. 1024).
 *
 *   b-alexnet         3 exits, BranchyNet's CIFAR-10 AlexNet (Teerapittayanon, McDanel, Kung, ICPR 2016)
 *   flexvgg-16        5 exits, VGG-16 cut at its pools (Fang et al., FlexDNN, SEC 2020)
 *   vgg-16           14 exits, VGG-16 cut after every convolution
 *   resnet-50         6 exits (He et al., CVPR 2016)
 *   msdnet-21        21 exits, MSDNet of 24 layers (Huang et al., ICLR 2018)
 *   msdnet-40        40 exits, MSDNet of 40 layers
 *   msdnet-21-light, msdnet-40-light   the same trunks with exits of a third of the cost
 *
 * and, of each, NAME-classic: the single-exit network of all conv parts and the last exit.
 *
 * Returns 0 or EINET_E_USAGE (unknown name, which the error lists; bad channels or classes). Thread: any. */
int ei_zoo_program(const char *name, int32_t channels, int32_t classes, struct ei_program *out,
                   struct einet_error *err);

/* Name idx of the zoo without the classic counterparts, NULL behind the last. */
const char *ei_zoo_name(int32_t idx);

#endif
