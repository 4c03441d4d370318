/* Conversions between float32 and the two 16-bit formats of weight files. Pure, any thread. */
#ifndef STAGES_NN_FLOAT16_H
#define STAGES_NN_FLOAT16_H

#include <stdint.h>

/* IEEE 754 binary16, round to nearest even; too large becomes infinity, NaN stays NaN. */
uint16_t ei_float16_from_f32(float value);
float ei_float16_to_f32(uint16_t half);

/* bfloat16: the upper half of a float32. */
float ei_bfloat16_to_f32(uint16_t half);

#endif
