/* Training operations in NHWC order have their own kernels; NCHW goes through libtorch's. Both must agree. */
#include "rt/random.h"
#include "stages/torch/torch.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <stdlib.h>

enum { TENSORS = 8 };

struct outcome {
    float *y, *x_grad, *weight_grad, *bias_grad, *mean, *variance;
};

static float *numbers(int64_t count)
{
    float *out = calloc((size_t)count, sizeof *out);
    EI_TRUE(out != NULL);
    return out;
}

static void drop(struct outcome *o)
{
    float *const all[] = {o->y, o->x_grad, o->weight_grad, o->bias_grad, o->mean, o->variance};
    for (int i = 0; i < 6; i++) {
        free(all[i]);
    }
}

/* sum(w * y) as a loss: the gradient of y is then w, any numbers. Through a linear layer with one output a sample. */
static void backward_weighted(const struct ei_torch_api *api, struct ei_torch_tensor *y, int64_t samples,
                              int64_t features, struct ei_torch_tensor *flat, struct ei_torch_tensor *factor,
                              struct ei_torch_tensor *loss)
{
    struct ei_random rng;
    ei_random_init(&rng, 9, 9);
    const int64_t factor_shape[2] = {3, features}, labels[4] = {0, 2, 1, 0};
    float *const f = numbers(3 * features);
    for (int64_t i = 0; i < 3 * features; i++) {
        f[i] = (float)(0.3 * ei_random_normal(&rng));
    }
    EI_EQ(api->tensor_from_f32(factor, f, factor_shape, 2), 0);
    EI_EQ(api->flatten(y, flat), 0);
    EI_EQ(api->linear(flat, factor, NULL, flat), 0);
    EI_EQ(api->cross_entropy(flat, labels, samples, 0.0F, loss), 0);
    EI_EQ(api->backward(loss), 0);
    free(f);
}

static struct outcome normalize(const struct ei_torch_api *api, const int64_t shape[4], bool channels_last,
                                const float *x, const float *weight, const float *bias)
{
    struct ei_torch_tensor *t[TENSORS];
    const int64_t channels = shape[1], count = shape[0] * shape[1] * shape[2] * shape[3];
    struct outcome o = {numbers(count),    numbers(count),    numbers(channels),
                        numbers(channels), numbers(channels), numbers(channels)};
    for (int i = 0; i < TENSORS; i++) {
        EI_EQ(api->tensor_create(&t[i]), 0);
    }
    struct ei_torch_tensor *in = t[0], *w = t[1], *b = t[2], *mean = t[3], *variance = t[4], *y = t[5];
    EI_EQ(api->tensor_from_f32(in, x, shape, 4), 0);
    if (channels_last) {
        EI_EQ(api->tensor_channels_last(in), 0);
    }
    EI_EQ(api->tensor_from_f32(w, weight, &channels, 1), 0);
    EI_EQ(api->tensor_from_f32(b, bias, &channels, 1), 0);
    EI_EQ(api->tensor_from_f32(mean, bias, &channels, 1), 0);
    EI_EQ(api->tensor_from_f32(variance, weight, &channels, 1), 0);
    EI_EQ(api->requires_grad(in), 0);
    EI_EQ(api->requires_grad(w), 0);
    EI_EQ(api->requires_grad(b), 0);
    EI_EQ(api->batch_norm(in, w, b, mean, variance, 0.1F, 1e-5F, 1, y), 0);
    EI_EQ(api->tensor_read_f32(y, o.y, count), 0);
    backward_weighted(api, y, shape[0], count / shape[0], t[5], t[6], t[7]);
    EI_EQ(api->grad_read_f32(in, o.x_grad, count), 0);
    EI_EQ(api->grad_read_f32(w, o.weight_grad, channels), 0);
    EI_EQ(api->grad_read_f32(b, o.bias_grad, channels), 0);
    EI_EQ(api->tensor_read_f32(mean, o.mean, channels), 0);
    EI_EQ(api->tensor_read_f32(variance, o.variance, channels), 0);
    for (int i = 0; i < TENSORS; i++) {
        api->tensor_destroy(t[i]);
    }
    return o;
}

static void expect_close(const char *what, const float *a, const float *b, int64_t count, double tolerance)
{
    double largest = 0.0, scale = 1e-6;
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)a[i] - (double)b[i]));
        scale = fmax(scale, fabs((double)b[i]));
    }
    EI_TRUEF(largest <= tolerance * scale, "%s differs by %g of %g", what, largest, scale);
}

EI_TEST(batch_norm_agrees_with_libtorch)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    const int64_t shapes[][4] = {{4, 6, 32, 32}, {3, 24, 7, 5}, {2, 136, 8, 8},
                                 {2, 600, 2, 2}, {1, 5, 1, 3},  {4, 2, 3, 1}};
    for (int32_t threads = 1; threads <= 3; threads += 2) {
        EI_EQ(api->thread_enter(EI_TORCH_TRAINING, threads), 0);
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            const int64_t channels = shapes[s][1], count = shapes[s][0] * channels * shapes[s][2] * shapes[s][3];
            struct ei_random rng;
            ei_random_init(&rng, s, 3);
            float *x = numbers(count), *weight = numbers(channels), *bias = numbers(channels);
            for (int64_t i = 0; i < count; i++) { /* a mean far from zero must not cost digits */
                x[i] = (float)(100.0 + 3.0 * ei_random_normal(&rng));
            }
            for (int64_t i = 0; i < channels; i++) {
                weight[i] = (float)(1.0 + 0.2 * ei_random_normal(&rng));
                bias[i] = (float)ei_random_normal(&rng);
            }
            struct outcome ours = normalize(api, shapes[s], true, x, weight, bias);
            struct outcome theirs = normalize(api, shapes[s], false, x, weight, bias);
            expect_close("y", ours.y, theirs.y, count, 1e-4);
            expect_close("the gradient of x", ours.x_grad, theirs.x_grad, count, 1e-3);
            expect_close("the gradient of weight", ours.weight_grad, theirs.weight_grad, channels, 1e-3);
            expect_close("the gradient of bias", ours.bias_grad, theirs.bias_grad, channels, 1e-4);
            expect_close("the mean", ours.mean, theirs.mean, channels, 1e-5);
            expect_close("the variance", ours.variance, theirs.variance, channels, 1e-4);
            drop(&ours);
            drop(&theirs);
            free(x);
            free(weight);
            free(bias);
        }
    }
}

EI_TEST(concat_agrees_with_libtorch)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    EI_EQ(api->thread_enter(EI_TORCH_TRAINING, 1), 0);
    const int64_t shape_a[4] = {2, 5, 4, 3}, shape_b[4] = {2, 3, 4, 3}, count_a = 120, count_b = 72;
    float a[120], b[72], joined[2][192], a_grad[2][120], b_grad[2][72];
    for (int i = 0; i < 120; i++) {
        a[i] = (float)i;
    }
    for (int i = 0; i < 72; i++) {
        b[i] = (float)(1000 + i);
    }
    for (int is_last = 0; is_last < 2; is_last++) {
        struct ei_torch_tensor *t[6];
        for (int i = 0; i < 6; i++) {
            EI_EQ(api->tensor_create(&t[i]), 0);
        }
        EI_EQ(api->tensor_from_f32(t[0], a, shape_a, 4), 0);
        EI_EQ(api->tensor_from_f32(t[1], b, shape_b, 4), 0);
        for (int i = 0; i < 2 && is_last; i++) {
            EI_EQ(api->tensor_channels_last(t[i]), 0);
        }
        EI_EQ(api->requires_grad(t[0]), 0);
        EI_EQ(api->requires_grad(t[1]), 0);
        EI_EQ(api->concat(t[0], t[1], t[2]), 0);
        EI_EQ(api->tensor_read_f32(t[2], joined[is_last], count_a + count_b), 0);
        backward_weighted(api, t[2], 2, 96, t[3], t[4], t[5]);
        EI_EQ(api->grad_read_f32(t[0], a_grad[is_last], count_a), 0);
        EI_EQ(api->grad_read_f32(t[1], b_grad[is_last], count_b), 0);
        for (int i = 0; i < 6; i++) {
            api->tensor_destroy(t[i]);
        }
    }
    EI_EQ(joined[1][0], 0.0F);
    EI_EQ(joined[1][60], 1000.0F); /* behind the five channels of the first sample */
    expect_close("the joined tensor", joined[1], joined[0], 192, 0.0);
    expect_close("the gradient of the first", a_grad[1], a_grad[0], count_a, 1e-5);
    expect_close("the gradient of the second", b_grad[1], b_grad[0], count_b, 1e-5);
}

EI_MAIN()
