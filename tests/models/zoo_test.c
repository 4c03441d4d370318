/* Every network of the zoo: its numbers against the naive interpreter, block by block against the whole, gradients that
 * reach every parameter, and a training step that stops and resumes.
 */
#include "models/train.h"
#include "rt/random.h"
#include "stages/nn/exec.h"
#include "stages/nn/network.h"
#include "stages/nn/zoo.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"
#include "tests/stages/nn/reference.h"

#include <stdlib.h>
#include <unistd.h>

enum { PIXELS = 3 * 32 * 32, CLASSES = 10, LOGITS_MAX = EI_NETWORK_BLOCKS_MAX * CLASSES };

static void draw_input(uint64_t seed, float *out, int count)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, 1);
    for (int i = 0; i < count; i++) {
        out[i] = (float)ei_random_normal(&rng);
    }
}

static struct ei_network *open_random(struct fixture_weights *w, const char *zoo)
{
    char path[512];
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    struct fixture_metadata metadata = fixture_metadata_cifar;
    metadata.zoo = zoo;
    snprintf(path, sizeof path, "%s/%s.safetensors", ei_test_tmpdir(), zoo);
    fixture_draw_zoo(w, zoo, 3, CLASSES, 1);
    fixture_write(w, path, &metadata, -1);
    const struct ei_network_zoo_config config = {.zoo = zoo, .weights_path = path, .threads = 1};
    EI_TRUEF(ei_network_open_zoo(&config, &net, &err) == 0, "%s", err.text);
    unlink(path);
    return net;
}

/* Only the exits of the mask; the others stay untouched. */
static void run_blocks(struct ei_network *net, const float *input, uint64_t mask, float *out_logits)
{
    EI_EQ(ei_network_begin(net, input, 0, -1), 0);
    for (int32_t b = 0; b < ei_network_info(net)->exits; b++) {
        EI_EQ(ei_network_run_conv(net, b), 0);
        if ((mask >> b & 1) != 0) {
            EI_EQ(ei_network_run_branch(net, b, out_logits + (size_t)b * CLASSES), 0);
        }
    }
    ei_network_end(net);
}

/* Blocks against the monolithic pass, to the bit, whatever exits are left out; then against the reference when asked.
 */
static void check_forward(const char *zoo, bool with_reference)
{
    fixture_torch_or_skip();
    static struct fixture_weights w;
    struct ei_network *net = open_random(&w, zoo);
    EI_REQUIRE(net != NULL);
    EI_EQ(ei_network_thread_enter(net), 0);
    static float input[PIXELS], whole[LOGITS_MAX], part[LOGITS_MAX];
    draw_input(2, input, PIXELS);
    const int32_t exits = ei_network_info(net)->exits;
    EI_EQ(ei_network_run_monolithic(net, input, whole), 0);
    const uint64_t masks[] = {~UINT64_C(0), UINT64_C(0x5555555555555555), UINT64_C(1) << (exits - 1)};
    for (int m = 0; m < 3; m++) {
        run_blocks(net, input, masks[m], part);
        for (int32_t i = 0; i < exits * CLASSES; i++) {
            if ((masks[m] >> (i / CLASSES) & 1) != 0) {
                EI_TRUEF(part[i] == whole[i], "%s, exit %d: %g is not %g", zoo, i / CLASSES + 1, (double)part[i],
                         (double)whole[i]);
            }
        }
    }
    if (with_reference) {
        reference_forward(&w, input, part);
        for (int32_t i = 0; i < exits * CLASSES; i++) {
            EI_NEAR(whole[i], part[i], 1e-3 * fmax(1.0, fabs((double)part[i])));
        }
    }
    ei_network_destroy(net);
    fixture_free(&w);
}

/* The sum of all exits' losses has a gradient for every trainable parameter. */
static void check_backward(const char *zoo)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    static struct fixture_weights w;
    struct ei_exec *exec = NULL;
    struct ei_torch_tensor *loss = NULL, *term = NULL;
    static float input[2 * PIXELS];
    const int64_t labels[2] = {3, 7}, shape[4] = {2, 3, 32, 32};
    draw_input(4, input, 2 * PIXELS);
    fixture_draw_zoo(&w, zoo, 3, CLASSES, 3);
    EI_EQ(api->thread_enter(EI_TORCH_TRAINING, 1), 0);
    EI_REQUIRE(ei_exec_create(api, &w.program, &exec, NULL) == 0);
    for (int32_t i = 0; i < w.count; i++) {
        EI_EQ(ei_exec_param_set(exec, i, w.numbers[i], NULL), 0);
        if (w.params[i].trainable) {
            EI_EQ(api->requires_grad(ei_exec_param_tensor(exec, i)), 0);
        }
    }
    EI_EQ(api->tensor_create(&loss), 0);
    EI_EQ(api->tensor_create(&term), 0);
    EI_EQ(api->tensor_from_f32(ei_exec_slot(exec, 0), input, shape, 4), 0);
    for (int32_t b = 0; b < w.program.block_count; b++) {
        EI_EQ(ei_exec_run(exec, b, false, true), 0);
        EI_EQ(ei_exec_run(exec, b, true, true), 0);
        EI_EQ(api->cross_entropy(ei_exec_slot(exec, ei_exec_logits_slot(exec, b)), labels, 2, 0.0F, term), 0);
        EI_EQ(api->scaled_sum(loss, term, 1.0F, loss), 0);
    }
    EI_EQ(api->backward(loss), 0);
    for (int32_t i = 0; i < w.count; i++) {
        if (!w.params[i].trainable) {
            continue;
        }
        float *grad = malloc((size_t)w.params[i].count * sizeof *grad);
        EI_REQUIRE(grad != NULL);
        EI_TRUEF(api->grad_read_f32(ei_exec_param_tensor(exec, i), grad, w.params[i].count) == 0, "%s: %s has none",
                 zoo, w.params[i].name);
        double norm = 0.0;
        for (int64_t n = 0; n < w.params[i].count; n++) {
            norm += (double)grad[n] * (double)grad[n];
        }
        EI_TRUEF(norm > 0.0 && isfinite(norm), "%s: the gradient of %s is %g", zoo, w.params[i].name, norm);
        free(grad);
    }
    api->tensor_destroy(loss);
    api->tensor_destroy(term);
    ei_exec_destroy(exec);
    fixture_free(&w);
}

static volatile sig_atomic_t stop_now;

static void stop_after_first_step(void *context, const struct ei_train_progress *p)
{
    (void)context;
    stop_now = p->step == 1;
}

static long file_bytes(const char *path, unsigned char **out)
{
    FILE *in = fopen(path, "rb");
    if (!EI_TRUE(in != NULL)) {
        return 0;
    }
    fseek(in, 0, SEEK_END);
    const long size = ftell(in);
    rewind(in);
    *out = malloc((size_t)size);
    const bool is_read = *out != NULL && fread(*out, 1, (size_t)size, in) == (size_t)size;
    fclose(in);
    EI_TRUE(is_read);
    return is_read ? size : 0;
}

/* Two steps in one go, and with a stop between them: the same weights, to the bit. */
static void check_checkpoint(const char *zoo)
{
    fixture_torch_or_skip();
    struct ei_dataset *train = NULL, *test = NULL;
    EI_REQUIRE(ei_dataset_open_generated(1, EI_SPLIT_TRAIN, 4, &train, NULL) == 0);
    EI_REQUIRE(ei_dataset_open_generated(1, EI_SPLIT_TEST, 2, &test, NULL) == 0);
    char paths[2][512];
    unsigned char *bytes[2] = {NULL, NULL};
    long sizes[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s-%d.safetensors", ei_test_tmpdir(), zoo, i);
        struct ei_train_config config = {.zoo = zoo,
                                         .out_path = paths[i],
                                         .command = "einet train test",
                                         .optimizer = EI_TRAIN_SGD,
                                         .epochs = 1,
                                         .batch = 2,
                                         .threads = 1,
                                         .lr = 0.01F,
                                         .warmup_fraction = 0.2F,
                                         .momentum = 0.9F,
                                         .weight_decay = 0.0005F,
                                         .seed = 5,
                                         .stop = &stop_now,
                                         .on_progress = i == 1 ? stop_after_first_step : NULL};
        struct ei_train_result result = {0};
        struct einet_error err = {0};
        EI_TRUEF(ei_train_run(&config, train, test, &result, &err) == 0, "%s", err.text);
        EI_EQ(result.finished, i == 0);
        if (i == 1) {
            stop_now = 0;
            config.on_progress = NULL;
            config.resume = true;
            EI_TRUEF(ei_train_run(&config, train, test, &result, &err) == 0, "%s", err.text);
            EI_TRUE(result.finished);
        }
        EI_EQ(result.steps, 2);
        sizes[i] = file_bytes(paths[i], &bytes[i]);
    }
    EI_TRUE(sizes[0] > 100000 && sizes[0] == sizes[1]);
    EI_TRUE(sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], (size_t)sizes[0]) == 0);
    for (int i = 0; i < 2; i++) {
        free(bytes[i]);
        unlink(paths[i]);
    }
    ei_dataset_destroy(train);
    ei_dataset_destroy(test);
}

/* With the reference where its naive loops are fast enough. */
EI_TEST(b_alexnet_forward)
{
    check_forward("b-alexnet", true);
}

EI_TEST(b_alexnet_backward)
{
    check_backward("b-alexnet");
}

EI_TEST(b_alexnet_checkpoint)
{
    check_checkpoint("b-alexnet");
}

EI_TEST(flexvgg_16_forward)
{
    check_forward("flexvgg-16", false);
}

EI_TEST(flexvgg_16_backward)
{
    check_backward("flexvgg-16");
}

EI_TEST(flexvgg_16_checkpoint)
{
    check_checkpoint("flexvgg-16");
}

EI_TEST(vgg_16_forward)
{
    check_forward("vgg-16", true);
}

EI_TEST(vgg_16_backward)
{
    check_backward("vgg-16");
}

EI_TEST(vgg_16_checkpoint)
{
    check_checkpoint("vgg-16");
}

EI_TEST(resnet_50_forward)
{
    check_forward("resnet-50", true);
}

EI_TEST(resnet_50_backward)
{
    check_backward("resnet-50");
}

EI_TEST(resnet_50_checkpoint)
{
    check_checkpoint("resnet-50");
}

EI_TEST(msdnet_21_forward)
{
    check_forward("msdnet-21", true);
}

EI_TEST(msdnet_21_backward)
{
    check_backward("msdnet-21");
}

EI_TEST(msdnet_21_checkpoint)
{
    check_checkpoint("msdnet-21");
}

EI_TEST(msdnet_40_forward)
{
    check_forward("msdnet-40", false);
}

EI_TEST(msdnet_40_backward)
{
    check_backward("msdnet-40");
}

EI_TEST(msdnet_40_checkpoint)
{
    check_checkpoint("msdnet-40");
}

EI_TEST(msdnet_21_light_forward)
{
    check_forward("msdnet-21-light", true);
}

EI_TEST(msdnet_21_light_backward)
{
    check_backward("msdnet-21-light");
}

EI_TEST(resnet_50_classic_forward)
{
    check_forward("resnet-50-classic", false);
}

EI_TEST(resnet_50_classic_backward)
{
    check_backward("resnet-50-classic");
}

/* The classic network is the trunk and the last exit of the multi-exit one: same parameters, same answer. */
EI_TEST(classic_answers_like_the_last_exit)
{
    static struct ei_program multi, classic;
    const char *const names[] = {"b-alexnet", "vgg-16", "resnet-50", "msdnet-21"};
    for (int n = 0; n < 4; n++) {
        char name[64];
        snprintf(name, sizeof name, "%s" EI_ZOO_CLASSIC_SUFFIX, names[n]);
        EI_EQ(ei_zoo_program(names[n], 3, 10, &multi, NULL), 0);
        EI_EQ(ei_zoo_program(name, 3, 10, &classic, NULL), 0);
        EI_STREQ(classic.name, name);
        EI_EQ(classic.block_count, 1);
        struct ei_program_cost trunk, branches;
        ei_program_cost(&multi, &trunk, &branches);
        const struct ei_program_cost last = ei_program_part_cost(&multi, multi.block_count - 1, true);
        EI_EQ(ei_program_part_cost(&classic, 0, false).params, trunk.params);
        EI_EQ(ei_program_part_cost(&classic, 0, false).macs, trunk.macs);
        EI_EQ(ei_program_part_cost(&classic, 0, true).params, last.params);
    }
}

EI_MAIN()
