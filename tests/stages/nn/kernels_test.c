/* Kernels of the dnnl backend that are not oneDNN's first choice: they say the same, a choice is the same every time,
 * and a wrong one is named.
 */
#include "rt/random.h"
#include "stages/nn/network.h"
#include "stages/nn/prepared.h"
#include "stages/nn/prepared_tune.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES 10
#define EXITS 3 /* of b-alexnet */
#define LOGITS (EXITS * CLASSES)
#define PIXELS (3 * 32 * 32)
#define OPTIONS 8

static struct fixture_weights weights;

static void draw_input(float *out)
{
    struct ei_random rng;
    ei_random_init(&rng, 5, 0);
    for (int32_t i = 0; i < PIXELS; i++) {
        out[i] = (float)ei_random_normal(&rng);
    }
}

static struct ei_prepared_config config_of(void)
{
    return (struct ei_prepared_config){
        .program = &weights.program, .params = (const float *const *)weights.numbers, .type = EI_DNNL_FLOAT32};
}

static struct ei_prepared *prepare(const struct ei_dnnl_api *api, const struct ei_prepared_config *config)
{
    struct einet_error err = {0};
    struct ei_prepared *net = NULL;
    EI_TRUEF(ei_prepared_create(api, config, &net, &err) == 0, "%s", err.text);
    return net;
}

static void infer(struct ei_prepared *net, float *logits)
{
    draw_input(ei_prepared_input(net));
    for (int32_t b = 0; b < EXITS; b++) {
        EI_EQ(ei_prepared_run(net, b, false), 0);
        EI_EQ(ei_prepared_run(net, b, true), 0);
        memcpy(logits + b * CLASSES, ei_prepared_logits(net, b), CLASSES * sizeof *logits);
    }
}

/* Of the largest logit of the exit. */
static double difference(const float *a, const float *b)
{
    double worst = 0.0;
    for (int32_t e = 0; e < EXITS; e++) {
        double largest = 1e-6, apart = 0.0;
        for (int32_t i = e * CLASSES; i < (e + 1) * CLASSES; i++) {
            largest = fmax(largest, fabs((double)a[i]));
            apart = fmax(apart, fabs((double)a[i] - (double)b[i]));
        }
        worst = fmax(worst, apart / largest);
    }
    return worst;
}

static int32_t count_chosen(const struct ei_prepared *net)
{
    int32_t count = 0;
    for (int32_t op = 0; op < weights.program.op_count; op++) {
        count += ei_prepared_kernel(net, op)[0] != '\0';
    }
    return count;
}

/* Every option up to the last; returns how many there were. Asked for by name, each says the same to the bit. */
static int32_t expect_options_near(const struct ei_dnnl_api *api, enum ei_prepared_allow allow, const float *expected,
                                   double tolerance)
{
    static char names[EI_PROGRAM_OPS_MAX][EI_PREPARED_KERNEL_MAX];
    float logits[LOGITS], again[LOGITS];
    static char before[EI_PROGRAM_OPS_MAX][EI_PREPARED_KERNEL_MAX];
    int32_t found = 0;
    memset(before, 0, sizeof before);
    for (int32_t option = 1; option <= OPTIONS; option++) {
        struct ei_prepared_config config = config_of();
        config.option = option;
        config.allow = allow;
        struct ei_prepared *net = prepare(api, &config);
        const int32_t chosen = count_chosen(net);
        found += chosen > 0;
        infer(net, logits);
        const double apart = difference(expected, logits);
        EI_TRUEF(apart <= tolerance, "option %d is %g away", option, apart);
        for (int32_t op = 0; op < weights.program.op_count; op++) {
            snprintf(names[op], sizeof names[op], "%s", ei_prepared_kernel(net, op));
            EI_TRUEF(names[op][0] == '\0' || strcmp(names[op], before[op]) != 0, "%s is an option twice", names[op]);
        }
        memcpy(before, names, sizeof before);
        ei_prepared_destroy(net);
        config = config_of();
        config.kernels = (const char(*)[EI_PREPARED_KERNEL_MAX])names;
        net = prepare(api, &config);
        infer(net, again);
        EI_EQ(count_chosen(net), chosen);
        EI_TRUE(memcmp(logits, again, sizeof logits) == 0);
        ei_prepared_destroy(net);
    }
    return found;
}

EI_TEST(every_kernel_says_the_same)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    float expected[LOGITS], logits[LOGITS];
    fixture_draw(&weights, 3, CLASSES, 3);
    struct ei_prepared_config config = config_of();
    struct ei_prepared *net = prepare(api, &config);
    EI_EQ(count_chosen(net), 0);
    infer(net, expected);
    ei_prepared_destroy(net);
    const int32_t exact = expect_options_near(api, EI_PREPARED_EXACT, expected, 1e-4);
    const int32_t with_winograd = expect_options_near(api, EI_PREPARED_WINOGRAD, expected, 1e-3);
    EI_TRUE(exact >= 1);
    EI_TRUE(with_winograd >= exact);
    config.option = EI_PREPARED_OPTION_BFLOAT16;
    net = prepare(api, &config);
    infer(net, logits);
    const double apart = difference(expected, logits);
    if (count_chosen(net) > 0) { /* a processor without 16-bit kernels stays with float32 */
        EI_TRUEF(apart > 1e-5 && apart < 0.1, "bfloat16 is %g away", apart);
    } else {
        EI_TRUE(apart == 0.0);
    }
    ei_prepared_destroy(net);
    fixture_free(&weights);
}

/* A single layer on 16 bits among those on 32: the way in and out is found. */
EI_TEST(one_layer_may_be_bfloat16)
{
    static char names[EI_PROGRAM_OPS_MAX][EI_PREPARED_KERNEL_MAX];
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    float expected[LOGITS], logits[LOGITS];
    fixture_draw(&weights, 3, CLASSES, 3);
    struct ei_prepared_config config = config_of();
    struct ei_prepared *net = prepare(api, &config);
    infer(net, expected);
    ei_prepared_destroy(net);
    config.kernels = (const char(*)[EI_PREPARED_KERNEL_MAX])names;
    int32_t tried = 0;
    for (int32_t op = 0; op < weights.program.op_count; op++) {
        const enum ei_op_kind kind = weights.program.ops[op].kind;
        struct einet_error err = {0};
        memset(names, 0, sizeof names);
        snprintf(names[op], sizeof names[op], "%s", EI_PREPARED_KERNEL_BFLOAT16);
        if ((kind != EI_OP_CONV2D && kind != EI_OP_LINEAR) || ei_prepared_create(api, &config, &net, &err) != 0) {
            continue; /* no 16-bit kernels here */
        }
        EI_EQ(count_chosen(net), 1);
        EI_STREQ(ei_prepared_kernel(net, op), EI_PREPARED_KERNEL_BFLOAT16);
        infer(net, logits);
        EI_TRUE(difference(expected, logits) < 0.1);
        ei_prepared_destroy(net);
        tried++;
    }
    fixture_free(&weights);
    if (tried == 0) {
        ei_test_skip("no bfloat16 kernels on this processor");
    }
}

static int open_with(const struct ei_network_choice *choice, const char *path, struct ei_network **out,
                     struct einet_error *err)
{
    const struct ei_network_zoo_config config = {
        .zoo = "b-alexnet", .weights_path = path, .threads = 1, .backend = EI_NETWORK_AUTO, .choice = choice};
    return ei_network_open_zoo(&config, out, err);
}

static void write_weights(char *path, size_t size_bytes)
{
    snprintf(path, size_bytes, "%s/w.safetensors", ei_test_tmpdir());
    fixture_draw(&weights, 3, CLASSES, 3);
    fixture_write(&weights, path, &fixture_metadata_cifar, -1);
    fixture_free(&weights);
}

/* What tuning chose, asked for by name, is the same network. */
EI_TEST(a_tuned_choice_can_be_repeated)
{
    static const enum ei_network_tune levels[] = {EI_NETWORK_TUNE_EXACT, EI_NETWORK_TUNE_WINOGRAD,
                                                  EI_NETWORK_TUNE_BFLOAT16};
    static const double tolerances[] = {1e-4, 1e-3, 0.1};
    (void)fixture_dnnl_or_skip();
    char path[512];
    float input[PIXELS], expected[LOGITS], tuned[LOGITS], repeated[LOGITS];
    struct einet_error err = {0};
    struct ei_network *net = NULL;
    write_weights(path, sizeof path);
    draw_input(input);
    EI_REQUIRE(open_with(NULL, path, &net, &err) == 0);
    EI_EQ(ei_network_kernels(net, NULL, 0), 0);
    EI_EQ(ei_network_run_monolithic(net, input, expected), 0);
    ei_network_destroy(net);
    for (int32_t i = 0; i < 3; i++) {
        static struct ei_network_kernel kernels[EI_PROGRAM_OPS_MAX], again[EI_PROGRAM_OPS_MAX];
        struct ei_network_choice choice = {.tune = levels[i]};
        char sha256[65];
        EI_REQUIRE(open_with(&choice, path, &net, &err) == 0);
        const int32_t count = ei_network_kernels(net, kernels, EI_PROGRAM_OPS_MAX);
        snprintf(sha256, sizeof sha256, "%s", ei_network_info(net)->weights_sha256);
        EI_EQ(ei_network_run_monolithic(net, input, tuned), 0);
        ei_network_destroy(net);
        EI_TRUE(difference(expected, tuned) <= tolerances[i]);
        choice = (struct ei_network_choice){.kernels = kernels, .kernel_count = count, .weights_sha256 = sha256};
        EI_REQUIRE(open_with(&choice, path, &net, &err) == 0);
        EI_EQ(ei_network_kernels(net, again, EI_PROGRAM_OPS_MAX), count);
        EI_TRUE(memcmp(kernels, again, (size_t)count * sizeof *again) == 0);
        EI_EQ(ei_network_run_monolithic(net, input, repeated), 0);
        EI_TRUE(memcmp(tuned, repeated, sizeof tuned) == 0);
        ei_network_destroy(net);
    }
}

/* oneDNN with first kernels that dawdle, and others that leave the bias out where they are to be wrong. */
static struct {
    const struct ei_dnnl_api *real;
    bool are_others_wrong;
    int32_t slow_count;
    const struct ei_dnnl_step *slow[4096];
} slowed;

static int create_slowed(const struct ei_dnnl_step_config *config, struct ei_dnnl_step **out)
{
    struct ei_dnnl_step_config asked = *config;
    const bool is_other = config->option > 0 || config->kernel != NULL;
    asked.bias = is_other && slowed.are_others_wrong ? NULL : config->bias;
    const int rc = slowed.real->step_create(&asked, out);
    if (rc == 0 && config->weight != NULL && !is_other && slowed.slow_count < 4096) {
        slowed.slow[slowed.slow_count++] = *out;
    }
    return rc;
}

static void destroy_slowed(struct ei_dnnl_step *step)
{
    for (int32_t i = 0; i < slowed.slow_count; i++) {
        slowed.slow[i] = slowed.slow[i] == step ? slowed.slow[--slowed.slow_count] : slowed.slow[i];
    }
    slowed.real->step_destroy(step);
}

static int run_slowed(const struct ei_dnnl_step *step)
{
    for (int32_t i = 0; i < slowed.slow_count; i++) {
        for (int32_t again = 0; slowed.slow[i] == step && again < 20; again++) {
            (void)slowed.real->step_run(step);
        }
    }
    return slowed.real->step_run(step);
}

static int32_t count_tuned(const struct ei_dnnl_api *api)
{
    static char kernels[EI_PROGRAM_OPS_MAX][EI_PREPARED_KERNEL_MAX];
    const struct ei_prepared_config config = config_of();
    struct einet_error err = {0};
    int32_t count = 0;
    EI_TRUEF(ei_prepared_tune(api, &config, kernels, &err) == 0, "%s", err.text);
    for (int32_t op = 0; op < weights.program.op_count; op++) {
        count += kernels[op][0] != '\0';
    }
    return count;
}

EI_TEST(a_fast_kernel_that_is_wrong_is_not_chosen)
{
    slowed.real = fixture_dnnl_or_skip();
    struct ei_dnnl_api api = *slowed.real;
    api.step_create = create_slowed;
    api.step_destroy = destroy_slowed;
    api.step_run = run_slowed;
    fixture_draw(&weights, 3, CLASSES, 3);
    EI_TRUE(count_tuned(&api) > 0);
    slowed.are_others_wrong = true;
    EI_EQ(count_tuned(&api), 0);
    fixture_free(&weights);
}

static void refuse(const struct ei_network_choice *choice, const char *path, const char *text)
{
    struct einet_error err = {0};
    struct ei_network *net = NULL;
    EI_EQ(open_with(choice, path, &net, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, text);
}

EI_TEST(a_wrong_choice_is_named)
{
    (void)fixture_dnnl_or_skip();
    char path[512];
    write_weights(path, sizeof path);
    const struct ei_network_kernel unknown = {.block_idx = 0, .op_idx = 0, .name = "jit:abacus"};
    const struct ei_network_kernel of_relu = {.block_idx = 0, .op_idx = 1, .name = "jit:avx2"};
    const struct ei_network_kernel behind = {.block_idx = 3, .op_idx = 0, .name = "jit:avx2"};
    refuse(&(struct ei_network_choice){.kernels = &unknown, .kernel_count = 1}, path, "block1.conv.0");
    refuse(&(struct ei_network_choice){.kernels = &unknown, .kernel_count = 1}, path, "jit:abacus");
    refuse(&(struct ei_network_choice){.kernels = &of_relu, .kernel_count = 1}, path, "block1.conv.1");
    refuse(&(struct ei_network_choice){.kernels = &behind, .kernel_count = 1}, path, "block4.conv.0");
    refuse(&(struct ei_network_choice){.weights_sha256 = "0123456789abcdef"}, path, "0123456789ab");
}

EI_MAIN()
