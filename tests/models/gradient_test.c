#include "rt/random.h"
#include "stages/nn/exec.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <stdlib.h>

/* Loss of a 4-sample batch through both the exits of block 1 and block 3; fills the gradients when asked. */
static float loss_of(const struct ei_torch_api *api, struct ei_exec *exec, const float *input, bool backward)
{
    const int64_t labels[4] = {3, 1, 4, 1}, shape[4] = {4, 3, 32, 32};
    struct ei_torch_tensor *loss = NULL, *term = NULL;
    float value = NAN;
    EI_EQ(api->tensor_create(&loss), 0);
    EI_EQ(api->tensor_create(&term), 0);
    EI_EQ(api->tensor_from_f32(ei_exec_slot(exec, 0), input, shape, 4), 0);
    for (int32_t b = 0; b < 3; b++) {
        EI_EQ(ei_exec_run(exec, b, false, false), 0);
        EI_EQ(ei_exec_run(exec, b, true, false), 0);
        EI_EQ(api->cross_entropy(ei_exec_slot(exec, ei_exec_logits_slot(exec, b)), labels, 4, 0.0F, term), 0);
        EI_EQ(api->scaled_sum(loss, term, 0.5F, loss), 0);
    }
    EI_EQ(api->scalar_read(loss, &value), 0);
    if (backward) {
        EI_EQ(api->backward(loss), 0);
    }
    api->tensor_destroy(loss);
    api->tensor_destroy(term);
    return value;
}

/* Directional derivative along the gradient of every parameter tensor, against central differences. */
EI_TEST(network_gradients_match_differences)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    EI_EQ(api->thread_enter(EI_TORCH_TRAINING, 1), 0);
    struct fixture_weights w;
    fixture_draw(&w, 3, 10, 5);
    struct ei_exec *exec = NULL;
    EI_REQUIRE(ei_exec_create(api, &w.program, &exec, NULL) == 0);
    static float input[4 * 3 * 32 * 32];
    struct ei_random rng;
    ei_random_init(&rng, 6, 0);
    for (size_t i = 0; i < sizeof input / sizeof input[0]; i++) {
        input[i] = (float)ei_random_normal(&rng);
    }
    for (int32_t i = 0; i < w.count; i++) {
        EI_EQ(ei_exec_param_set(exec, i, w.numbers[i], NULL), 0);
        EI_EQ(api->requires_grad(ei_exec_param_tensor(exec, i)), 0);
    }
    (void)loss_of(api, exec, input, true);
    for (int32_t i = 0; i < w.count; i++) {
        const int64_t count = w.params[i].count;
        float *grad = malloc((size_t)count * sizeof *grad), *moved = malloc((size_t)count * sizeof *moved);
        EI_REQUIRE(grad != NULL && moved != NULL);
        EI_EQ(api->grad_read_f32(ei_exec_param_tensor(exec, i), grad, count), 0);
        double norm = 0.0;
        for (int64_t n = 0; n < count; n++) {
            norm += (double)grad[n] * (double)grad[n];
        }
        norm = sqrt(norm);
        EI_TRUEF(norm > 1e-6, "%s has no gradient", w.params[i].name);
        const double step = 2e-3;
        float side[2];
        for (int s = 0; s < 2; s++) {
            for (int64_t n = 0; n < count; n++) {
                moved[n] = w.numbers[i][n] + (float)((s == 0 ? -step : step) * (double)grad[n] / norm);
            }
            EI_EQ(api->tensor_write_f32(ei_exec_param_tensor(exec, i), moved, count), 0);
            side[s] = loss_of(api, exec, input, false);
        }
        EI_EQ(api->tensor_write_f32(ei_exec_param_tensor(exec, i), w.numbers[i], count), 0);
        const double measured = ((double)side[1] - (double)side[0]) / (2.0 * step);
        EI_TRUEF(fabs(measured - norm) <= 0.03 * norm + 2e-3, "%s: gradient %g, differences %g", w.params[i].name, norm,
                 measured);
        free(grad);
        free(moved);
    }
    ei_exec_destroy(exec);
    fixture_free(&w);
}

/* The hand-written operation, in both memory orders, for powers other than the fast one and a wider window too. */
static void check_lrn(const struct ei_torch_api *api, const struct ei_torch_lrn *lrn, bool channels_last)
{
    enum { N = 2, C = 5, SIDE = 3, COUNT = N * C * SIDE * SIDE };
    const int64_t shape[4] = {N, C, SIDE, SIDE}, labels[N] = {7, 30};
    float x[COUNT], y[COUNT], grad[COUNT];
    struct ei_random rng;
    struct ei_torch_tensor *in = NULL, *out = NULL, *loss = NULL;
    ei_random_init(&rng, 9, 0);
    for (int i = 0; i < COUNT; i++) {
        x[i] = (float)(2.0 * ei_random_normal(&rng));
    }
    EI_EQ(api->tensor_create(&in), 0);
    EI_EQ(api->tensor_create(&out), 0);
    EI_EQ(api->tensor_create(&loss), 0);
    for (int i = -1; i < 2 * COUNT; i++) { /* -1: values and gradient; then one number up and down */
        static float value[2 * COUNT];
        float moved[COUNT];
        memcpy(moved, x, sizeof x);
        if (i >= 0) {
            moved[i / 2] += i % 2 == 0 ? -0.01F : 0.01F;
        }
        EI_EQ(api->tensor_from_f32(in, moved, shape, 4), 0);
        if (channels_last) {
            EI_EQ(api->tensor_channels_last(in), 0);
        }
        EI_EQ(api->requires_grad(in), 0);
        EI_EQ(api->lrn(in, lrn, out), 0);
        if (i < 0) {
            EI_EQ(api->tensor_read_f32(out, y, COUNT), 0);
        }
        EI_EQ(api->flatten(out, out), 0);
        EI_EQ(api->cross_entropy(out, labels, N, 0.0F, loss), 0);
        if (i < 0) {
            EI_EQ(api->backward(loss), 0);
            EI_EQ(api->grad_read_f32(in, grad, COUNT), 0);
        } else {
            EI_EQ(api->scalar_read(loss, &value[i]), 0);
        }
        if (i >= 0 && i % 2 == 1) {
            EI_NEAR(grad[i / 2], ((double)value[i] - (double)value[i - 1]) / 0.02, 2e-4);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        const int c = i / (SIDE * SIDE) % C;
        double sum = 0.0;
        for (int j = -lrn->size / 2; j <= lrn->size / 2; j++) {
            const double v = c + j < 0 || c + j >= C ? 0.0 : (double)x[i + j * SIDE * SIDE];
            sum += v * v;
        }
        EI_NEAR(y[i], (double)x[i] * pow((double)lrn->k + (double)lrn->alpha * sum, -(double)lrn->beta), 1e-5);
    }
    api->tensor_destroy(in);
    api->tensor_destroy(out);
    api->tensor_destroy(loss);
}

EI_TEST(lrn_is_right_both_ways)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    EI_EQ(api->thread_enter(EI_TORCH_TRAINING, 1), 0);
    const struct ei_torch_lrn configs[] = {
        {3, 0.3F, 0.75F, 2.0F}, {3, 0.1F, 0.5F, 1.0F}, {5, 0.2F, 0.75F, 1.0F}, {1, 0.2F, 0.75F, 1.0F}};
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        check_lrn(api, &configs[i], false);
        check_lrn(api, &configs[i], true);
    }
}

enum { GRADIENT_BATCH = 8, GRADIENT_INPUTS = GRADIENT_BATCH * 3 * 32 * 32 };

/* Gradients of a whole network, training mode, in one precision; those of parameter i at grads[i]. */
static void gradients_in(const struct ei_torch_api *api, const struct fixture_weights *w,
                         enum ei_torch_precision precision, const float *input, float **grads)
{
    const int64_t labels[GRADIENT_BATCH] = {0, 1, 2, 3, 4, 5, 6, 7}, shape[4] = {GRADIENT_BATCH, 3, 32, 32};
    struct ei_exec *exec = NULL;
    struct ei_torch_tensor *loss = NULL, *term = NULL;
    EI_REQUIRE(ei_exec_create(api, &w->program, &exec, NULL) == 0);
    for (int32_t i = 0; i < w->count; i++) {
        EI_EQ(ei_exec_param_set(exec, i, w->numbers[i], NULL), 0);
        if (w->params[i].trainable) {
            EI_EQ(api->requires_grad(ei_exec_param_tensor(exec, i)), 0);
        }
    }
    EI_EQ(api->tensor_create(&loss), 0);
    EI_EQ(api->tensor_create(&term), 0);
    EI_EQ(api->precision(precision), 0);
    EI_EQ(api->tensor_from_f32(ei_exec_slot(exec, 0), input, shape, 4), 0);
    EI_EQ(api->tensor_channels_last(ei_exec_slot(exec, 0)), 0);
    for (int32_t b = 0; b < w->program.block_count; b++) {
        EI_EQ(ei_exec_run(exec, b, false, true), 0);
        EI_EQ(ei_exec_run(exec, b, true, true), 0);
        EI_EQ(api->cross_entropy(ei_exec_slot(exec, ei_exec_logits_slot(exec, b)), labels, GRADIENT_BATCH, 0.0F, term),
              0);
        EI_EQ(api->scaled_sum(loss, term, 1.0F, loss), 0);
    }
    EI_TRUEF(api->backward(loss) == 0, "%s", api->error_text());
    EI_EQ(api->precision(EI_TORCH_FLOAT32), 0);
    for (int32_t i = 0; i < w->count; i++) {
        grads[i] = calloc((size_t)w->params[i].count, sizeof *grads[i]);
        EI_REQUIRE(grads[i] != NULL);
        if (w->params[i].trainable) {
            EI_EQ(api->grad_read_f32(ei_exec_param_tensor(exec, i), grads[i], w->params[i].count), 0);
        }
    }
    api->tensor_destroy(loss);
    api->tensor_destroy(term);
    ei_exec_destroy(exec);
}

/* bfloat16 keeps 8 bits: rounding adds up over layers, but each gradient must point the way of its float32 twin. */
static void check_bfloat16(const char *zoo, double cosine_min)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    static struct fixture_weights w;
    static float input[GRADIENT_INPUTS];
    struct ei_random rng;
    EI_EQ(api->thread_enter(EI_TORCH_TRAINING, 1), 0);
    EI_EQ(api->seed(1), 0);
    fixture_draw_zoo(&w, zoo, 3, 10, 5);
    ei_random_init(&rng, 6, 0);
    for (int i = 0; i < GRADIENT_INPUTS; i++) {
        input[i] = (float)ei_random_normal(&rng);
    }
    for (int32_t i = 0; i < w.program.op_count; i++) {
        w.program.ops[i].p = 0.0F; /* the two runs would drop other numbers */
    }
    float **grads[2] = {calloc((size_t)w.count, sizeof(float *)), calloc((size_t)w.count, sizeof(float *))};
    EI_REQUIRE(grads[0] != NULL && grads[1] != NULL);
    gradients_in(api, &w, EI_TORCH_FLOAT32, input, grads[0]);
    gradients_in(api, &w, EI_TORCH_BFLOAT16, input, grads[1]);
    double dot = 0.0, squares[2] = {0.0, 0.0};
    bool differs = false;
    for (int32_t i = 0; i < w.count; i++) {
        for (int64_t n = 0; n < w.params[i].count; n++) {
            const double a = (double)grads[0][i][n], b = (double)grads[1][i][n];
            dot += a * b;
            squares[0] += a * a;
            squares[1] += b * b;
            differs = differs || fabs(a - b) > 1e-4 * fabs(a);
        }
        free(grads[0][i]);
        free(grads[1][i]);
    }
    const double cosine = dot / sqrt(squares[0] * squares[1]), ratio = sqrt(squares[1] / squares[0]);
    EI_TRUEF(cosine >= cosine_min, "%s: cosine %g", zoo, cosine);
    EI_TRUEF(fabs(ratio - 1.0) < 0.1, "%s: length %g times", zoo, ratio);
    EI_TRUEF(differs, "%s: bfloat16 was not used", zoo);
    free(grads[0]);
    free(grads[1]);
    fixture_free(&w);
}

EI_TEST(bfloat16_gradients_point_the_same_way)
{
    check_bfloat16("b-alexnet", 0.98);
    check_bfloat16("flexvgg-16", 0.8); /* deep, batch norm over 2x2 pixels: PyTorch's autocast reaches 0.86 to 0.89 */
    check_bfloat16("msdnet-21-light", 0.9);
}

/* Sixteen bits, channels last, and what half precision cannot hold is the largest that it can. */
EI_TEST(half_numbers_survive_a_cache)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    const int64_t shape[4] = {1, 3, 1, 2};
    const float numbers[6] = {1.0F, 2.5F, -3.0F, 1e6F, 0.333251953125F, -0.001F};
    uint16_t half[6];
    float back[6];
    struct ei_torch_tensor *t = NULL;
    EI_EQ(api->tensor_create(&t), 0);
    for (int bfloat16 = 0; bfloat16 < 2; bfloat16++) {
        EI_EQ(api->precision(bfloat16 == 1 ? EI_TORCH_BFLOAT16 : EI_TORCH_FLOAT32), 0);
        EI_EQ(api->tensor_from_f32(t, numbers, shape, 4), 0);
        EI_EQ(api->tensor_read_half(t, half, 6), 0);
        EI_EQ(half[1], bfloat16 == 1 ? 0xC040 : 0xC200); /* -3: channel 1 of pixel 0 comes second */
        EI_EQ(api->tensor_from_half(t, half, shape, 4), 0);
        EI_EQ(api->tensor_read_f32(t, back, 6), 0);
        for (int i = 0; i < 6; i++) {
            const double bound = bfloat16 == 1 ? fabs((double)numbers[i]) / 256.0 : fabs((double)numbers[i]) / 2048.0;
            EI_NEAR(back[i], bfloat16 == 0 && i == 3 ? 65504.0 : (double)numbers[i], bound);
        }
        EI_EQ(api->tensor_read_half(t, half, 5), EINET_E_BACKEND);
    }
    EI_EQ(api->precision(EI_TORCH_FLOAT32), 0);
    api->tensor_destroy(t);
}

/* Errors cross the door as codes and texts. */
EI_TEST(shape_errors_are_told)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    EI_EQ(api->thread_enter(EI_TORCH_TRAINING, 1), 0);
    struct ei_torch_tensor *a = NULL, *b = NULL;
    const float numbers[6] = {0};
    float value;
    EI_EQ(api->tensor_create(&a), 0);
    EI_EQ(api->tensor_create(&b), 0);
    EI_EQ(api->relu(a, b), EINET_E_BACKEND); /* an empty slot */
    EI_TRUE(strlen(api->error_text()) > 0);
    EI_EQ(api->tensor_from_f32(a, numbers, (const int64_t[]){2, 3}, 2), 0);
    EI_STREQ(api->error_text(), "");
    EI_EQ(api->linear(a, a, NULL, b), 0);
    EI_EQ(api->tensor_from_f32(b, numbers, (const int64_t[]){2, 2}, 2), 0);
    EI_EQ(api->linear(a, b, NULL, b), EINET_E_BACKEND);
    EI_EQ(api->tensor_read_f32(a, &value, 1), EINET_E_BACKEND);
    EI_CONTAINS(api->error_text(), "reading 1 of 6");
    EI_EQ(api->scalar_read(a, &value), EINET_E_BACKEND);
    EI_EQ(api->thread_enter(EI_TORCH_INFERENCE, 0), EINET_E_BACKEND);
    api->tensor_destroy(a);
    api->tensor_destroy(b);
    api->tensor_destroy(NULL);
}

EI_MAIN()
