/* Convolutions of the dnnl plug-in, one at a time, against the definition: every kernel that oneDNN has for a shape,
 * and the product that im2col makes of a small one.
 */
#include "rt/random.h"
#include "stages/dnnl/dnnl.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 12
#define IM2COL "im2col+"

/* Numbers of one convolution, channels first. */
struct conv {
    struct ei_dnnl_step_config config;
    float *in, *weight, *bias, *before; /* before: what the sum is added to */
    double *expected;
};

static size_t count_of(const struct ei_dnnl_shape *shape)
{
    return (size_t)shape->channels * (size_t)shape->height_px * (size_t)shape->width_px;
}

static float *draw(struct ei_random *rng, size_t count)
{
    float *out = malloc(count * sizeof *out);
    if (out == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)ei_random_below(rng, 17) / 8.0F - 1.0F; /* the same in 16 bits */
    }
    return out;
}

/* One number of the result, from the definition. */
static double convolve(const struct conv *c, int32_t o, int32_t y, int32_t x)
{
    const struct ei_dnnl_step_config *k = &c->config;
    double sum = c->bias != NULL ? (double)c->bias[o] : 0.0;
    for (int32_t i = 0; i < k->in.channels; i++) {
        for (int32_t r = 0; r < k->kernel_px; r++) {
            for (int32_t s = 0; s < k->kernel_px; s++) {
                const int32_t row = y * k->stride_px - k->padding_px + r, col = x * k->stride_px - k->padding_px + s;
                if (row >= 0 && row < k->in.height_px && col >= 0 && col < k->in.width_px) {
                    sum += (double)c->in[((size_t)i * (size_t)k->in.height_px + (size_t)row) * (size_t)k->in.width_px +
                                         (size_t)col] *
                           (double)c->weight[(((size_t)o * (size_t)k->in.channels + (size_t)i) * (size_t)k->kernel_px +
                                              (size_t)r) *
                                                 (size_t)k->kernel_px +
                                             (size_t)s];
                }
            }
        }
    }
    return sum;
}

static void conv_init(struct conv *c, struct ei_random *rng, const struct ei_dnnl_step_config *config, bool has_bias)
{
    *c = (struct conv){.config = *config};
    const size_t taps = (size_t)config->kernel_px * (size_t)config->kernel_px;
    c->in = draw(rng, count_of(&config->in));
    c->weight = draw(rng, (size_t)config->out.channels * (size_t)config->in.channels * taps);
    c->bias = has_bias ? draw(rng, (size_t)config->out.channels) : NULL;
    c->before = draw(rng, count_of(&config->out));
    c->expected = malloc(count_of(&config->out) * sizeof *c->expected);
    EI_REQUIRE(c->expected != NULL);
    c->config.weight = c->weight;
    c->config.bias = c->bias;
    size_t n = 0;
    for (int32_t o = 0; o < config->out.channels; o++) {
        for (int32_t y = 0; y < config->out.height_px; y++) {
            for (int32_t x = 0; x < config->out.width_px; x++, n++) {
                const double sum = convolve(c, o, y, x) + (config->has_sum != 0 ? (double)c->before[n] : 0.0);
                c->expected[n] = config->has_relu != 0 && sum < 0.0 ? 0.0 : sum;
            }
        }
    }
}

static void conv_fini(struct conv *c)
{
    free(c->in);
    free(c->weight);
    free(c->bias);
    free(c->before);
    free(c->expected);
}

static void *memory_of(int64_t bytes)
{
    void *out = aligned_alloc(EI_DNNL_ALIGN_BYTES, ((size_t)bytes / EI_DNNL_ALIGN_BYTES + 1) * EI_DNNL_ALIGN_BYTES);
    if (out == NULL) {
        abort();
    }
    memset(out, 0x7f, (size_t)bytes); /* no number that a result could have by chance */
    return out;
}

/* Copy a picture from one layout to another. */
static void reorder(const struct ei_dnnl_api *api, const struct ei_dnnl_layout *from, void *in,
                    const struct ei_dnnl_layout *to, void *out)
{
    const struct ei_dnnl_step_config config = {.kind = EI_DNNL_REORDER, .in_layout = from, .out_layout = to};
    struct ei_dnnl_step *step;
    EI_REQUIRE(api->step_create(&config, &step) == 0);
    EI_EQ(api->step_bind(step, in, out, NULL), 0);
    EI_EQ(api->step_run(step), 0);
    api->step_destroy(step);
}

/* Largest distance from the definition, against the largest number of it. */
static double run(const struct ei_dnnl_api *api, const struct conv *c, struct ei_dnnl_step *step)
{
    const struct ei_dnnl_layout *in_layout = api->step_layout(step, EI_DNNL_IN);
    const struct ei_dnnl_layout *out_layout = api->step_layout(step, EI_DNNL_OUT);
    struct ei_dnnl_layout *plain_in = NULL, *plain_out = NULL;
    EI_TRUE(api->layout_create(&c->config.in, EI_DNNL_FLOAT32, 1, &plain_in) == 0);
    EI_TRUE(api->layout_create(&c->config.out, EI_DNNL_FLOAT32, 1, &plain_out) == 0);
    const size_t count = count_of(&c->config.out);
    void *in = memory_of(api->layout_bytes(in_layout)), *out = memory_of(api->layout_bytes(out_layout));
    void *scratch = memory_of(api->step_scratch_bytes(step));
    float *result = memory_of((int64_t)(count * sizeof *result));
    reorder(api, plain_in, c->in, in_layout, in);
    reorder(api, plain_out, c->before, out_layout, out);
    EI_EQ(api->step_bind(step, in, out, scratch), 0);
    EI_EQ(api->step_run(step), 0);
    reorder(api, out_layout, out, plain_out, result);
    double largest = 1.0, apart = 0.0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(c->expected[i]));
        apart = fmax(apart, fabs(c->expected[i] - (double)result[i]));
    }
    free(in);
    free(out);
    free(scratch);
    free(result);
    api->layout_destroy(plain_in);
    api->layout_destroy(plain_out);
    return apart / largest;
}

/* Every kernel that there is. Returns how many of them were products. */
static int32_t expect_all_near(const struct ei_dnnl_api *api, struct conv *c, double tolerance)
{
    int32_t products = 0;
    for (int32_t option = 0; option <= OPTIONS_MAX; option++) {
        struct ei_dnnl_step *step = NULL;
        c->config.option = option;
        const int rc = api->step_create(&c->config, &step);
        if (rc == EINET_E_MISMATCH && option > 0) {
            break;
        }
        if (rc != 0) {
            EI_TRUEF(rc == 0, "%s", api->error_text());
            break;
        }
        const char *name = api->step_kernel(step);
        const double apart = run(api, c, step);
        EI_TRUEF(apart <= tolerance, "%s is %g away: %d of %dx%d to %d of %dx%d, kernel %d, stride %d, padding %d",
                 name, apart, c->config.in.channels, c->config.in.height_px, c->config.in.width_px,
                 c->config.out.channels, c->config.out.height_px, c->config.out.width_px, c->config.kernel_px,
                 c->config.stride_px, c->config.padding_px);
        products += strncmp(name, IM2COL, sizeof IM2COL - 1) == 0;
        api->step_destroy(step);
    }
    return products;
}

static int32_t between(struct ei_random *rng, int32_t low, int32_t high)
{
    return low + (int32_t)ei_random_below(rng, (uint64_t)(high - low + 1));
}

static struct ei_dnnl_step_config draw_config(struct ei_random *rng, enum ei_dnnl_type type)
{
    const int32_t kernel = between(rng, 2, 5), stride = between(rng, 1, 3), padding = between(rng, 0, kernel / 2);
    const int32_t height = between(rng, kernel, 11), width = between(rng, kernel, 11);
    return (struct ei_dnnl_step_config){.kind = EI_DNNL_CONV,
                                        .in = {between(rng, 1, 40), height, width},
                                        .out = {between(rng, 1, 40), (height + 2 * padding - kernel) / stride + 1,
                                                (width + 2 * padding - kernel) / stride + 1},
                                        .type = type,
                                        .out_type = type,
                                        .kernel_px = kernel,
                                        .stride_px = stride,
                                        .padding_px = padding,
                                        .has_relu = between(rng, 0, 1)};
}

EI_TEST(every_kernel_convolves)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    struct ei_random rng;
    ei_random_init(&rng, 11, 0);
    EI_EQ(api->thread_enter(1), 0);
    int32_t products = 0;
    for (int32_t i = 0; i < 60; i++) {
        struct conv c;
        const struct ei_dnnl_step_config config = draw_config(&rng, EI_DNNL_FLOAT32);
        conv_init(&c, &rng, &config, i % 3 != 0);
        products += expect_all_near(api, &c, 1e-5);
        conv_fini(&c);
    }
    EI_TRUEF(products >= 40, "only %d products", products);
}

EI_TEST(every_kernel_convolves_in_16_bits)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    struct ei_random rng;
    ei_random_init(&rng, 12, 0);
    struct ei_dnnl_step *step;
    const struct ei_dnnl_step_config probe = draw_config(&rng, EI_DNNL_BFLOAT16);
    struct conv c;
    conv_init(&c, &rng, &probe, true);
    const int rc = api->step_create(&c.config, &step);
    conv_fini(&c);
    if (rc != 0) {
        ei_test_skip("no bfloat16 kernels on this processor");
    }
    api->step_destroy(step);
    for (int32_t i = 0; i < 20; i++) {
        const struct ei_dnnl_step_config config = draw_config(&rng, EI_DNNL_BFLOAT16);
        conv_init(&c, &rng, &config, true);
        (void)expect_all_near(api, &c, 1e-2);
        conv_fini(&c);
    }
}

/* The result is added to what lies there, in the layout that lies there; only with channels last it can be a product.
 */
EI_TEST(a_product_adds_to_channels_last)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    struct ei_random rng;
    ei_random_init(&rng, 13, 0);
    struct ei_dnnl_step_config config = {.kind = EI_DNNL_CONV,
                                         .in = {32, 4, 4},
                                         .out = {32, 4, 4},
                                         .kernel_px = 3,
                                         .stride_px = 1,
                                         .padding_px = 1,
                                         .has_relu = 1};
    struct conv c;
    conv_init(&c, &rng, &config, true);
    struct ei_dnnl_step *last = NULL;
    for (int32_t option = 1; last == NULL && api->step_create(&c.config, &last) == 0; option++) {
        if (strncmp(api->step_kernel(last), IM2COL, sizeof IM2COL - 1) != 0) {
            api->step_destroy(last);
            last = NULL;
            c.config.option = option;
        }
    }
    conv_fini(&c);
    EI_REQUIRE(last != NULL);
    config.has_sum = 1;
    config.out_layout = api->step_layout(last, EI_DNNL_OUT);
    conv_init(&c, &rng, &config, true);
    EI_TRUE(expect_all_near(api, &c, 1e-5) >= 1);
    conv_fini(&c);
    struct ei_dnnl_layout *first;
    EI_REQUIRE(api->layout_create(&config.out, EI_DNNL_FLOAT32, 1, &first) == 0);
    config.out_layout = first;
    conv_init(&c, &rng, &config, true);
    EI_EQ(expect_all_near(api, &c, 1e-5), 0);
    conv_fini(&c);
    api->layout_destroy(first);
    api->step_destroy(last);
}

/* What is taken unmeasured. No product is where its kernel is not oneDNN's blocked one, or with oneDNN 3, whose
 * convolutions are as fast there. */
EI_TEST(a_small_picture_of_many_channels_is_one_product)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    static const struct {
        int32_t px, in_channels, out_channels;
        bool is_product;
    } cases[] = {{4, 512, 512, true},  {2, 512, 512, true},  {4, 512, 64, true}, {1, 512, 512, false},
                 {5, 512, 512, false}, {4, 128, 128, false}, {32, 64, 64, false}};
    struct ei_random rng;
    ei_random_init(&rng, 14, 0);
    float *weight = draw(&rng, 512 * 512 * 9);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ei_dnnl_step_config config = {.kind = EI_DNNL_CONV,
                                             .in = {cases[i].in_channels, cases[i].px, cases[i].px},
                                             .out = {cases[i].out_channels, cases[i].px, cases[i].px},
                                             .kernel_px = 3,
                                             .stride_px = 1,
                                             .padding_px = 1,
                                             .weight = weight};
        struct ei_dnnl_step *step, *product;
        EI_REQUIRE(api->step_create(&config, &step) == 0);
        config.kernel = IM2COL "brgemm:avx512_core";
        const bool has_product = api->step_create(&config, &product) == 0;
        const bool is_product = strncmp(api->step_kernel(step), IM2COL, sizeof IM2COL - 1) == 0;
        EI_TRUEF(is_product == (cases[i].is_product && has_product && api->version[0] == '2'),
                 "%d to %d channels at %d px: %s", cases[i].in_channels, cases[i].out_channels, cases[i].px,
                 api->step_kernel(step));
        if (has_product) {
            api->step_destroy(product);
        }
        api->step_destroy(step);
    }
    free(weight);
}

EI_MAIN()
