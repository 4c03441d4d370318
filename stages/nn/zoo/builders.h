/* One builder a network. Each gets a zeroed program whose name, classes and input are set, writes its blocks and sets
 * block_count (and trunk_slots where it is not 1). */
#ifndef STAGES_NN_ZOO_BUILDERS_H
#define STAGES_NN_ZOO_BUILDERS_H

#include "stages/nn/program.h"

void ei_zoo_build_b_alexnet(struct ei_program *out);
void ei_zoo_build_vgg16(struct ei_program *out);
void ei_zoo_build_flexvgg16(struct ei_program *out);
void ei_zoo_build_resnet50(struct ei_program *out);
void ei_zoo_build_msdnet21(struct ei_program *out);
void ei_zoo_build_msdnet40(struct ei_program *out);
void ei_zoo_build_msdnet21_light(struct ei_program *out);
void ei_zoo_build_msdnet40_light(struct ei_program *out);

#endif
