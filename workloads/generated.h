/* The generated image set: ten classes of sign-like shapes on 32x32 RGB, drawn from a seed, so that everything can be
 * trained, tested and shown without a download.
 *
 * The classes come in five pairs that differ in one global property (points of a star, sense of a spiral, closed or
 * open ring, what lies in what, sense of a hook), while colour, texture, pose, size, shear, occlusion, distractors,
 * blur and noise are drawn independently of the class. Later exits of a network are therefore worth more than early
 * ones.
 *
 * Sample (seed, split, idx) is a pure function of its arguments: integer random numbers and IEEE 754 double arithmetic
 * without contraction and without libm's sin and cos, so compilers, levels of optimisation and machines agree.
 */
#ifndef WORKLOADS_GENERATED_H
#define WORKLOADS_GENERATED_H

#include "workloads/dataset.h"
#include <stdint.h>

#define EI_GENERATED_CLASSES 10
#define EI_GENERATED_SIDE_PX 32
#define EI_GENERATED_SAMPLE_BYTES (3 * EI_GENERATED_SIDE_PX * EI_GENERATED_SIDE_PX)

/* The names of the classes, constants. */
extern const char *const ei_generated_class_names[EI_GENERATED_CLASSES];

/* The class of a sample, 0 .. 9. Every run of ten samples from a multiple of ten holds each class once, shuffled.
 * idx >= 0. Thread: any; does not allocate. */
EINET_RT int32_t ei_generated_label(uint64_t seed, enum ei_dataset_split split, int32_t idx);

/* Draw a sample into EI_GENERATED_SAMPLE_BYTES of EINET_PIXELS_CHW_U8. Thread: any; does not allocate; some 0.1 ms. */
EINET_RT void ei_generated_draw(uint64_t seed, enum ei_dataset_split split, int32_t idx, uint8_t *out_chw);

#endif
