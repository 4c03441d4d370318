/* Bit-level conversions, so that results do not depend on the compiler's or the processor's half-precision support. */
#include "stages/nn/float16.h"

#include <string.h>

uint16_t ei_float16_from_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000U;
    const int32_t exponent = (int32_t)(bits >> 23 & 0xffU) - 127 + 15;
    uint32_t mantissa = bits & 0x7fffffU;
    if ((bits >> 23 & 0xffU) == 0xffU) {
        return (uint16_t)(sign | 0x7c00U | (mantissa != 0 ? 0x200U | mantissa >> 13 : 0U));
    }
    if (exponent >= 31) {
        return (uint16_t)(sign | 0x7c00U);
    }
    if (exponent < -10) {
        return (uint16_t)sign;
    }
    uint32_t shift = 13, half = (uint32_t)exponent << 10;
    if (exponent <= 0) { /* subnormal: the implicit one becomes part of the mantissa */
        mantissa |= 0x800000U;
        shift = (uint32_t)(14 - exponent);
        half = 0;
    }
    half |= mantissa >> shift;
    const uint32_t rest = mantissa & ((1U << shift) - 1U), tie = 1U << (shift - 1U);
    if (rest > tie || (rest == tie && (half & 1U) != 0)) {
        half++; /* a carry runs into the exponent, which is right up to infinity */
    }
    return (uint16_t)(sign | half);
}

float ei_float16_to_f32(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000U) << 16, mantissa = half & 0x3ffU;
    const uint32_t exponent = half >> 10 & 0x1fU;
    uint32_t bits;
    if (exponent == 31) {
        bits = sign | 0x7f800000U | mantissa << 13;
    } else if (exponent != 0) {
        bits = sign | (exponent + 127 - 15) << 23 | mantissa << 13;
    } else {
        const float value = (float)mantissa * 0x1p-24F;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

float ei_bfloat16_to_f32(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}
