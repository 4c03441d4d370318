/* Kernels of the dnnl backend for 3x3 convolutions on small pictures, with weights that no cache holds: the times from
 * which its first choice was made, to be looked at again on other processors.
 *
 * usage: bench_kernels [--bf16] [PIXELS:IN:OUT...]      e.g. 4:512:512, a picture of 4x4, 512 channels to 512
 *
 * Of every kernel there are as many copies as fill the weights' budget, and they run in turns: copy 0 of each, copy 1
 * of each. Printed is the lower quartile of a kernel, its ratio to that of the first choice, and the bandwidth at which
 * its weights went by. One thread under SCHED_FIFO.
 */
#include "rt/clock.h"
#include "rt/pages.h"
#include "rt/thread.h"
#include "stages/dnnl/dnnl.h"
#include "stages/dnnl/loader.h"
#include "stages/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNELS_MAX 10
#define COPIES_MAX 64
#define ROUNDS 8
#define BUDGET_BYTES (64 << 20) /* of one kernel's copies: more than a share of a last-level cache */
#define PICTURE_BYTES (1 << 22)
#define PRIORITY 60

static const int pixels_default[] = {2, 3, 4, 5, 8};
static const char *const channels_default[] = {"128:128", "512:64", "256:256", "256:512", "512:512"};

/* One shape with its kernels. */
struct contest {
    const struct ei_dnnl_api *api;
    struct ei_dnnl_step *steps[KERNELS_MAX][COPIES_MAX];
    int32_t kernels, copies;
    int64_t ns[KERNELS_MAX][COPIES_MAX * ROUNDS];
    struct ei_pages weights;
};

static void *take(void *context, int64_t bytes)
{
    return ei_pages_take(context, bytes);
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* All copies of the kernel that `config` asks for. False = there is none. */
static bool add_kernel(struct contest *c, const struct ei_dnnl_step_config *config, void *in, void *out, void *scratch)
{
    for (int32_t i = 0; i < c->copies; i++) {
        if (c->api->step_create(config, &c->steps[c->kernels][i]) != 0) {
            return false;
        }
        (void)c->api->step_bind(c->steps[c->kernels][i], in, out, scratch);
    }
    c->kernels++;
    return true;
}

static void play(struct contest *c)
{
    for (int32_t round = -1; round < ROUNDS; round++) { /* the first warms up */
        const struct ei_mono round_start = ei_mono_now();
        for (int32_t i = 0; i < c->copies; i++) {
            for (int32_t k = 0; k < c->kernels; k++) {
                const int64_t start_ns = ei_mono_now().ns;
                (void)c->api->step_run(c->steps[k][i]);
                if (round >= 0) {
                    c->ns[k][round * c->copies + i] = ei_mono_now().ns - start_ns;
                }
            }
        }
        /* Linux lets real-time threads have 95 % of a second. */
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), ei_mono_diff_ns(ei_mono_now(), round_start) / 10));
    }
}

static void print(struct contest *c, const char *shape, double megabytes)
{
    double first_us = 0.0;
    for (int32_t k = 0; k < c->kernels; k++) {
        const size_t count = (size_t)(c->copies * ROUNDS);
        qsort(c->ns[k], count, sizeof c->ns[k][0], by_value);
        const double us = (double)c->ns[k][count / 4] / 1000.0;
        first_us = k == 0 ? us : first_us;
        printf("%-10s %5.2f MB  %-32s %8.1f us  %5.2f  %6.1f GB/s%s\n", shape, megabytes,
               c->api->step_kernel(c->steps[k][0]), us, us / first_us, megabytes / us * 1000.0,
               k == 0 ? "  first choice" : "");
    }
}

static int measure(const struct ei_dnnl_api *api, const char *shape, enum ei_dnnl_type type, char *memory)
{
    static struct contest c;
    int px, in_channels, out_channels;
    char rest;
    if (sscanf(shape, "%d:%d:%d%c", &px, &in_channels, &out_channels, &rest) != 3 || px < 1 || px > 32 ||
        in_channels < 1 || out_channels < 1 || in_channels > 1024 || out_channels > 1024) {
        fprintf(stderr, "bench_kernels: %s: PIXELS:IN:OUT with at most 32 and 1024\n", shape);
        return 1;
    }
    const int64_t numbers = (int64_t)in_channels * out_channels * 9,
                  bytes = numbers * (type == EI_DNNL_FLOAT32 ? 4 : 2);
    float *weight = calloc((size_t)numbers, sizeof *weight);
    if (weight == NULL) {
        return 5;
    }
    c = (struct contest){.api = api, .copies = (int32_t)(BUDGET_BYTES / bytes) + 1};
    c.copies = c.copies < COPIES_MAX ? c.copies : COPIES_MAX;
    const struct ei_dnnl_store store = {take, &c.weights};
    struct ei_dnnl_step_config config = {.kind = EI_DNNL_CONV,
                                         .in = {in_channels, px, px},
                                         .out = {out_channels, px, px},
                                         .type = type,
                                         .out_type = type,
                                         .kernel_px = 3,
                                         .stride_px = 1,
                                         .padding_px = 1,
                                         .weight = weight,
                                         .store = &store,
                                         .has_relu = 1};
    char *in = memory, *out = in + PICTURE_BYTES, *scratch = out + PICTURE_BYTES;
    for (; c.kernels < KERNELS_MAX && add_kernel(&c, &config, in, out, scratch); config.option++) {
    }
    if (c.kernels == 0) {
        fprintf(stderr, "bench_kernels: %s: oneDNN: %s\n", shape, api->error_text());
    }
    play(&c);
    print(&c, shape, (double)bytes / 1e6);
    for (int32_t k = 0; k < c.kernels; k++) {
        for (int32_t i = 0; i < c.copies; i++) {
            api->step_destroy(c.steps[k][i]);
        }
    }
    ei_pages_fini(&c.weights);
    free(weight);
    return c.kernels > 0 ? 0 : 5;
}

int main(int argc, char **argv)
{
    const struct ei_dnnl_api *api;
    struct einet_error err = {0};
    (void)ei_environment_apply(argv);
    const int first = argc > 1 && strcmp(argv[1], "--bf16") == 0 ? 2 : 1;
    struct ei_pages pages = {0};
    char *memory = ei_pages_take(&pages, 8 * PICTURE_BYTES); /* two pictures and the windows of one */
    if (ei_dnnl_load(&api, &err) != 0 || memory == NULL || api->thread_enter(1) != 0) {
        fprintf(stderr, "bench_kernels: %s\n", err.text);
        return 5;
    }
    if (ei_thread_become_fifo(PRIORITY, &err) < 0) {
        printf("without SCHED_FIFO: %s\n", err.text);
    }
    const enum ei_dnnl_type type = first == 2 ? EI_DNNL_BFLOAT16 : EI_DNNL_FLOAT32;
    int rc = 0;
    for (int i = first; rc == 0 && i < argc; i++) {
        rc = measure(api, argv[i], type, memory);
    }
    for (size_t i = 0; rc == 0 && first >= argc && i < 25; i++) {
        char shape[16];
        snprintf(shape, sizeof shape, "%d:%s", pixels_default[i % 5], channels_default[i / 5]);
        rc = measure(api, shape, type, memory);
    }
    ei_pages_fini(&pages);
    return rc;
}
