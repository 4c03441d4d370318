/* Eight doubles at a time, for the exact searches: compilers make them the widest registers that the function is
 * compiled for (EINET_VECTOR_CLONES), or pairs. Element-wise operations only, so that every width gives the same bits.
 */
#ifndef PLANNER_VECTOR_H
#define PLANNER_VECTOR_H

#include <stdint.h>

#define EI_LANES 8

typedef double ei_lanes __attribute__((vector_size(64), aligned(8), may_alias));
typedef int64_t ei_lane_mask __attribute__((vector_size(64), aligned(8), may_alias));

#define EI_INLINE static inline __attribute__((always_inline))

/* a > b ? a : b, per element. By pointers: vectors as arguments would be passed differently per clone. */
EI_INLINE void ei_lanes_max(ei_lanes *a, const ei_lanes *b)
{
    const ei_lane_mask greater = *a > *b;
    *a = (ei_lanes)(((ei_lane_mask)*a & greater) | ((ei_lane_mask)*b & ~greater));
}

/* exp(*x) to about one unit in the last place, for |x| <= 700: x = k ln 2 + r, and a polynomial in r. */
EI_INLINE void ei_lanes_exp(ei_lanes *x)
{
    const double round_to_integer = 6755399441055744.0; /* 1.5 * 2^52: adding it leaves k in the low bits */
    const ei_lanes shifted = *x * 1.4426950408889634 + round_to_integer;
    const ei_lanes k = shifted - round_to_integer;
    const ei_lanes r = (*x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10; /* ln 2 in two parts */
    ei_lanes p = r * (1.0 / 6227020800) + 1.0 / 479001600; /* Taylor; |r| <= 0.347 */
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    *x = (ei_lanes)((ei_lane_mask)p + ((ei_lane_mask)shifted << 52)); /* times 2^k */
}

/* ---- floats ---- */

#define EI_LANES_F 16

typedef float ei_lanes_f __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ei_lane_mask_f __attribute__((vector_size(64), aligned(4), may_alias));

/* 1 / (1 + exp(-*x)) to about 1e-6; beyond |x| = 80 as at 80. */
EI_INLINE void ei_lanes_sigmoid(ei_lanes_f *x)
{
    const float round_to_integer = 12582912.0F; /* 1.5 * 2^23 */
    const ei_lane_mask_f above = *x > 80.0F, below = *x < -80.0F;
    const ei_lanes_f high = {80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80};
    ei_lanes_f y = (ei_lanes_f)(((ei_lane_mask_f)*x & ~(above | below)) | ((ei_lane_mask_f)high & above) |
                                ((ei_lane_mask_f)-high & below));
    y = -y;
    const ei_lanes_f shifted = y * 1.44269504F + round_to_integer;
    const ei_lanes_f k = shifted - round_to_integer;
    const ei_lanes_f r = (y - k * 0.693359375F) - k * -2.12194440e-4F;
    ei_lanes_f p = r * (1.0F / 5040) + 1.0F / 720;
    p = p * r + 1.0F / 120;
    p = p * r + 1.0F / 24;
    p = p * r + 1.0F / 6;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    p = (ei_lanes_f)((ei_lane_mask_f)p + ((ei_lane_mask_f)shifted << 23));
    *x = 1.0F / (1.0F + p);
}

/* ln(*x) to about 1e-7 of the larger of 1 and |ln(*x)|, for normal *x > 0: x = 2^k m, m within sqrt(1/2)..sqrt(2), and
 * the polynomial of Cephes in m - 1. */
EI_INLINE void ei_lanes_log(ei_lanes_f *x)
{
    const ei_lane_mask_f bits = (ei_lane_mask_f)*x;
    const ei_lane_mask_f exponent = (bits - 0x3F3504F3) >> 23; /* of x / sqrt(1/2) */
    const ei_lanes_f k = __builtin_convertvector(exponent, ei_lanes_f);
    const ei_lanes_f f = (ei_lanes_f)(bits - exponent * (1 << 23)) - 1.0F;
    const ei_lanes_f square = f * f;
    ei_lanes_f p = f * 7.0376836292e-2F - 1.1514610310e-1F;
    p = p * f + 1.1676998740e-1F;
    p = p * f - 1.2420140846e-1F;
    p = p * f + 1.4249322787e-1F;
    p = p * f - 1.6668057665e-1F;
    p = p * f + 2.0000714765e-1F;
    p = p * f - 2.4999993993e-1F;
    p = p * f + 3.3333331174e-1F;
    p = p * f * square + k * -2.12194440e-4F; /* ln 2 in two parts */
    *x = (f + (p - square * 0.5F)) + k * 0.693359375F;
}

#endif
