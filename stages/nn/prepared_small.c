/* A matrix product of output pixels by output channels. A tile of 8 pixels by a panel of 32 channels stays in registers
 * while one tap's run of input channels goes by. A run of weights comes from memory for the first tile and from the
 * first cache for the others; the last tile fetches the next run.
 */
#include "stages/nn/prepared_small.h"

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ROWS 8      /* pixels of a tile */
#define RUN_MAX 128 /* input channels: 16 KiB of weights */

static int32_t taps_of(const struct ei_small_conv *conv)
{
    return conv->kernel_px * conv->kernel_px;
}

static int32_t pixels_of(const struct ei_small_conv *conv)
{
    return conv->out_height_px * conv->out_width_px;
}

static size_t weights_of(const struct ei_small_conv *conv)
{
    return (size_t)conv->out_channels * (size_t)conv->in_channels * (size_t)taps_of(conv);
}

bool ei_small_conv_is_fit(const struct ei_small_conv *conv)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && taps_of(conv) <= EI_SMALL_TAPS_MAX &&
           pixels_of(conv) <= EI_SMALL_PIXELS_MAX && conv->out_channels % EI_SMALL_PANEL == 0;
#else
    (void)conv;
    return false;
#endif
}

int64_t ei_small_conv_floats(const struct ei_small_conv *conv)
{
    return (int64_t)weights_of(conv) + conv->out_channels + conv->in_channels;
}

void ei_small_conv_pack(const struct ei_small_conv *conv, const float *weight, const float *bias, float *out)
{
    const size_t taps = (size_t)taps_of(conv), in_channels = (size_t)conv->in_channels;
    const size_t out_channels = (size_t)conv->out_channels;
    float *to = out;
    for (size_t panel = 0; panel < out_channels; panel += EI_SMALL_PANEL) {
        for (size_t tap = 0; tap < taps; tap++) {
            for (size_t i = 0; i < in_channels; i++) {
                for (size_t o = panel; o < panel + EI_SMALL_PANEL; o++) {
                    *to++ = weight[(o * in_channels + i) * taps + tap];
                }
            }
        }
    }
    for (size_t o = 0; o < out_channels; o++) {
        *to++ = bias != NULL ? bias[o] : 0.0F;
    }
    memset(to, 0, in_channels * sizeof *to);
}

#if defined(__x86_64__)

/* Where a tile's pixels are read and written. */
struct tile {
    const float *in[ROWS];
    float *out[ROWS];
};

/* Add one run of `run` input channels to the tile. next: of the weights that come after these; NULL = not now. */
__attribute__((target("avx512f"))) static void add_run(const struct tile *tile, const float *weights, int32_t run,
                                                       const float *next)
{
    __m512 sum[ROWS][2];
    for (int r = 0; r < ROWS; r++) {
        sum[r][0] = _mm512_loadu_ps(tile->out[r]);
        sum[r][1] = _mm512_loadu_ps(tile->out[r] + 16);
    }
    for (int32_t i = 0; i < run; i++, weights += EI_SMALL_PANEL) {
        const __m512 left = _mm512_loadu_ps(weights), right = _mm512_loadu_ps(weights + 16);
        if (next != NULL) {
            _mm_prefetch((const char *)(next + (size_t)i * EI_SMALL_PANEL), _MM_HINT_T0);
            _mm_prefetch((const char *)(next + (size_t)i * EI_SMALL_PANEL + 16), _MM_HINT_T0);
        }
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; r++) {
            const __m512 one = _mm512_set1_ps(tile->in[r][i]);
            sum[r][0] = _mm512_fmadd_ps(one, left, sum[r][0]);
            sum[r][1] = _mm512_fmadd_ps(one, right, sum[r][1]);
        }
    }
    for (int r = 0; r < ROWS; r++) {
        _mm512_storeu_ps(tile->out[r], sum[r][0]);
        _mm512_storeu_ps(tile->out[r] + 16, sum[r][1]);
    }
}

/* Where a tap meets each pixel of the result: a pixel of the picture, or zeros. */
static void find_pixels(const struct ei_small_conv *conv, const float *in, const float *zeros, int32_t tap,
                        const float **out)
{
    for (int32_t p = 0; p < pixels_of(conv); p++) {
        const int32_t y = p / conv->out_width_px * conv->stride_px + tap / conv->kernel_px - conv->padding_px;
        const int32_t x = p % conv->out_width_px * conv->stride_px + tap % conv->kernel_px - conv->padding_px;
        const bool is_inside = y >= 0 && y < conv->in_height_px && x >= 0 && x < conv->in_width_px;
        out[p] =
            is_inside ? in + ((size_t)y * (size_t)conv->in_width_px + (size_t)x) * (size_t)conv->in_channels : zeros;
    }
}

void ei_small_conv_run(const struct ei_small_conv *conv, const float *in, float *out)
{
    const float *from[EI_SMALL_TAPS_MAX][EI_SMALL_PIXELS_MAX];
    float nowhere[EI_SMALL_PANEL] = {0}; /* rows of the last tile that are no pixels */
    const int32_t taps = taps_of(conv), pixels = pixels_of(conv);
    const float *weights = conv->packed, *bias = weights + weights_of(conv), *zeros = bias + conv->out_channels;
    for (int32_t tap = 0; tap < taps; tap++) {
        find_pixels(conv, in, zeros, tap, from[tap]);
    }
    for (int32_t p = 0; p < pixels; p++) {
        memcpy(out + (size_t)p * (size_t)conv->out_channels, bias, (size_t)conv->out_channels * sizeof *out);
    }
    for (int32_t panel = 0; panel < conv->out_channels; panel += EI_SMALL_PANEL) {
        for (int32_t tap = 0; tap < taps; tap++) {
            for (int32_t i = 0; i < conv->in_channels; i += RUN_MAX) {
                const int32_t run = conv->in_channels - i < RUN_MAX ? conv->in_channels - i : RUN_MAX;
                const float *next = weights + (size_t)run * EI_SMALL_PANEL;
                for (int32_t first = 0; first < pixels; first += ROWS) {
                    struct tile tile;
                    for (int32_t r = 0; r < ROWS; r++) {
                        const bool is_pixel = first + r < pixels;
                        tile.in[r] = (is_pixel ? from[tap][first + r] : zeros) + i;
                        tile.out[r] =
                            is_pixel ? out + (size_t)(first + r) * (size_t)conv->out_channels + panel : nowhere;
                    }
                    add_run(&tile, weights, run, first + ROWS >= pixels ? next : NULL);
                }
                weights = next;
            }
        }
    }
    for (size_t n = 0; conv->has_relu && n < (size_t)pixels * (size_t)conv->out_channels; n++) {
        out[n] = out[n] < 0.0F ? 0.0F : out[n];
    }
}

#else

void ei_small_conv_run(const struct ei_small_conv *conv, const float *in, float *out)
{
    (void)conv; /* never fit */
    (void)in;
    (void)out;
}

#endif
