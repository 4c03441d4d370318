/* einet models against the table that the networks were designed by, and what einet profile refuses. Every expected
 * figure is written down here, none is computed by the code under test.
 */
#include "stages/nn/zoo.h"
#include "tests/harness/harness.h"
#include "tests/integration/command.h"
#include "tests/stages/nn/fixture.h"

#include <stdlib.h>
#include <unistd.h>

#define SHIPPED "models/pretrained/b-alexnet-generated"

static json_t *models_json(const char *const *args)
{
    json_error_t error;
    const struct finished *f = einet_run(args);
    EI_EQ(f->status, 0);
    json_t *root = json_loads(f->output, JSON_REJECT_DUPLICATES, &error);
    EI_TRUEF(root != NULL, "%s: %s", error.text, f->output);
    return root;
}

static json_t *network_of(json_t *root, const char *name)
{
    size_t i;
    json_t *network;
    json_array_foreach(json_object_get(root, "networks"), i, network)
    {
        if (strcmp(json_string_value(json_object_get(network, "name")), name) == 0) {
            return network;
        }
    }
    EI_TRUEF(false, "einet models does not list %s", name);
    return NULL;
}

static double figure(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    EI_TRUEF(json_is_integer(value), "%s is no whole number", key);
    return (double)json_integer_value(value);
}

/* Millions of parameters to three decimals, millions of multiply-accumulates to two, at 10 classes and 3 channels. */
static const struct {
    const char *name;
    int exits;
    double trunk_params, trunk_macs, branch_params, branch_macs;
} table[] = {
    {"b-alexnet", 3, 0.543, 28.25, 0.063, 2.22},         {"flexvgg-16", 5, 14.719, 313.20, 0.958, 11.02},
    {"vgg-16", 14, 14.719, 313.20, 3.385, 49.61},        {"resnet-50", 6, 23.500, 1297.81, 1.851, 106.36},
    {"msdnet-21", 21, 0.824, 79.40, 8.682, 101.18},      {"msdnet-40", 40, 1.821, 179.05, 21.426, 270.93},
    {"msdnet-21-light", 21, 0.824, 79.40, 2.790, 44.40}, {"msdnet-40-light", 40, 1.821, 179.05, 7.759, 123.67},
};

enum { TABLE_ROWS = sizeof table / sizeof table[0] };

EI_TEST(models_are_the_networks_of_the_design)
{
    json_t *root = models_json((const char *[]){"models", "--json", NULL});
    EI_EQ(json_array_size(json_object_get(root, "networks")), 2 * TABLE_ROWS);
    for (int i = 0; i < TABLE_ROWS; i++) {
        json_t *network = network_of(root, table[i].name);
        EI_REQUIRE(network != NULL);
        EI_EQ(figure(network, "exits"), table[i].exits);
        EI_NEAR(figure(network, "conv_params") / 1e6, table[i].trunk_params, 0.0005);
        EI_NEAR(figure(network, "conv_macs") / 1e6, table[i].trunk_macs, 0.005);
        EI_NEAR(figure(network, "branch_params") / 1e6, table[i].branch_params, 0.0005);
        EI_NEAR(figure(network, "branch_macs") / 1e6, table[i].branch_macs, 0.005);
        char name[64];
        snprintf(name, sizeof name, "%s-classic", table[i].name);
        json_t *classic = network_of(root, name);
        EI_REQUIRE(classic != NULL);
        EI_EQ(figure(classic, "exits"), 1);
        EI_EQ(figure(classic, "conv_params"), figure(network, "conv_params"));
        EI_EQ(figure(classic, "conv_macs"), figure(network, "conv_macs"));
    }
    json_decref(root);
}

/* Every exit ends in a linear layer from 128 features, but the last of the VGGs (512) and of the ResNet (2048), and the
 * first of B-AlexNet (512): 90 more classes are 90 * (features + 1) parameters each. */
EI_TEST(models_grow_with_the_classes)
{
    static const struct {
        const char *name;
        double more;
    } grown[] = {{"b-alexnet", 69390},  {"flexvgg-16", 92610}, {"vgg-16", 197100},
                 {"resnet-50", 242460}, {"msdnet-21", 243810}, {"msdnet-40", 464400}};
    json_t *ten = models_json((const char *[]){"models", "--json", NULL});
    json_t *hundred = models_json((const char *[]){"models", "--json", "--classes", "100", NULL});
    for (size_t i = 0; i < sizeof grown / sizeof grown[0]; i++) {
        json_t *a = network_of(ten, grown[i].name), *b = network_of(hundred, grown[i].name);
        EI_REQUIRE(a != NULL && b != NULL);
        EI_EQ(figure(b, "branch_params") - figure(a, "branch_params"), grown[i].more);
        EI_EQ(figure(b, "conv_params"), figure(a, "conv_params"));
    }
    json_decref(ten);
    json_decref(hundred);
}

/* One network block by block, by hand: MNIST's single channel takes 2 * 25 * 32 numbers from the first convolution. */
EI_TEST(models_show_one_network_block_by_block)
{
    static const double blocks[3][4] = {
        {3 * 25 * 32 + 32 + 32 * 25 * 64 + 64, 2400 * 1024.0 + 51200 * 256.0,
         64 * 9 * 32 + 32 + 32 * 9 * 32 + 32 + 512 * 10 + 10, (18432 + 9216) * 64 + 5120},
        {64 * 9 * 96 + 96, 55296 * 64, 96 * 9 * 32 + 32 + 128 * 10 + 10, 27648 * 16 + 1280},
        {96 * 9 * 96 + 96 + 96 * 9 * 64 + 64 + 1024 * 256 + 256 + 256 * 128 + 128,
         (82944 + 55296) * 64 + 262144 + 32768, 128 * 10 + 10, 1280},
    };
    static const char *const keys[4] = {"conv_params", "conv_macs", "branch_params", "branch_macs"};
    json_t *root = models_json((const char *[]){"models", "--json", "b-alexnet", NULL});
    json_t *network = network_of(root, "b-alexnet");
    EI_REQUIRE(network != NULL && json_array_size(json_object_get(network, "blocks")) == 3);
    for (size_t b = 0; b < 3; b++) {
        for (int k = 0; k < 4; k++) {
            EI_EQ(figure(json_array_get(json_object_get(network, "blocks"), b), keys[k]), blocks[b][k]);
        }
    }
    EI_EQ(figure(network, "half_precision_bytes"),
          2 * (figure(network, "conv_params") + figure(network, "branch_params"))); /* it has no batch norm */
    json_t *gray = models_json((const char *[]){"models", "--json", "--channels", "1", "b-alexnet", NULL});
    EI_EQ(figure(network, "conv_params") - figure(network_of(gray, "b-alexnet"), "conv_params"), 2 * 25 * 32);
    json_decref(gray);
    json_decref(root);
    const struct finished *f = einet_run((const char *[]){"models", "vgg-16", NULL});
    EI_EQ(f->status, 0);
    EI_CONTAINS(f->output, "14.719");
    EI_CONTAINS(f->output, "classes");
}

/* ---- shapes ---- */

static struct ei_shape shape_behind(const struct ei_op *op, const struct ei_shape *slots)
{
    struct ei_shape shape = slots[op->in_slot];
    if (op->kind == EI_OP_CONV2D) {
        shape.channels = op->out_channels;
        shape.height_px = shape.width_px = (shape.height_px + 2 * op->padding_px - op->kernel_px) / op->stride_px + 1;
    } else if (op->kind == EI_OP_MAX_POOL) {
        shape.height_px = shape.width_px = (shape.height_px + op->stride_px - 1) / op->stride_px;
    } else if (op->kind == EI_OP_CONCAT) {
        shape.channels += slots[op->in2_slot].channels;
    }
    return shape;
}

/* What the exit of each block reads. channels, sides: [exits]. */
static void check_shapes(const char *zoo, int32_t exits, const int32_t *channels, const int32_t *sides)
{
    static struct ei_program program;
    struct ei_shape slots[EI_PROGRAM_SLOTS_MAX] = {{3, 32, 32}};
    EI_EQ(ei_zoo_program(zoo, 3, 10, &program, NULL), 0);
    EI_REQUIRE(program.block_count == exits);
    for (int32_t b = 0; b < exits; b++) {
        const struct ei_program_part *conv = &program.blocks[b].conv;
        for (int32_t i = conv->first_op; i < conv->first_op + conv->op_count; i++) {
            const struct ei_shape shape = shape_behind(&program.ops[i], slots);
            slots[program.ops[i].out_slot] = shape;
        }
        const struct ei_shape *read = &slots[program.ops[program.blocks[b].branch.first_op].in_slot];
        EI_TRUEF(read->channels == channels[b] && read->height_px == sides[b],
                 "%s: exit %d reads %dx%dx%d, expected %dx%dx%d", zoo, b + 1, read->channels, read->height_px,
                 read->width_px, channels[b], sides[b], sides[b]);
    }
}

EI_TEST(models_have_the_shapes_of_the_design)
{
    check_shapes("vgg-16", 14, (const int32_t[]){64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512},
                 (const int32_t[]){32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2, 1, 1});
    check_shapes("flexvgg-16", 5, (const int32_t[]){64, 128, 256, 512, 512}, (const int32_t[]){16, 8, 4, 2, 1});
    check_shapes("resnet-50", 6, (const int32_t[]){64, 256, 512, 1024, 1024, 2048},
                 (const int32_t[]){32, 32, 16, 8, 8, 4});
    static const int32_t eight[40] = {8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8,
                                      8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8};
    /* Four times 16 + 6 a layer, halved (rounding down) behind layers 9 and 17. */
    check_shapes("msdnet-21", 21, (const int32_t[]){160, 184, 208, 232, 256, 140, 164, 188, 212, 236, 260,
                                                    284, 308, 164, 188, 212, 236, 260, 284, 308, 332},
                 eight);
    /* Behind layers 15 and 29. */
    check_shapes("msdnet-40", 40,
                 (const int32_t[]){88,  112, 136, 160, 184, 208, 232, 256, 280, 304, 328, 352, 376, 400,
                                   212, 236, 260, 284, 308, 332, 356, 380, 404, 428, 452, 476, 500, 524,
                                   272, 296, 320, 344, 368, 392, 416, 440, 464, 488, 512, 536},
                 eight);
}

/* ---- what is refused ---- */

static void expect_said(const struct finished *f, int status, const char *text)
{
    EI_TRUEF(f->status == status, "status %d, expected %d: %s", f->status, status, f->output);
    EI_CONTAINS(f->output, text);
}

EI_TEST(models_refuse_bad_arguments)
{
    expect_said(einet_run((const char *[]){"models", "alexnet", NULL}), 1, "known: b-alexnet");
    expect_said(einet_run((const char *[]){"models", "--classes", "1", NULL}), 1, "2 to 1024 classes");
    expect_said(einet_run((const char *[]){"models", "--classes", "ten", NULL}), 1, "--classes");
    expect_said(einet_run((const char *[]){"models", "--channels", "2", NULL}), 1, "1 or 3 channels");
    expect_said(einet_run((const char *[]){"models", "--exits", NULL}), 1, "einet help models");
    expect_said(einet_run((const char *[]){"models", "vgg-16", "resnet-50", NULL}), 1, "one NAME");
    expect_said(einet_run((const char *[]){"models", "--help", NULL}), 0, "--channels C");
}

static void require_libtorch(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/libeinet_torch.so", ei_test_build_dir());
    if (access(path, R_OK) != 0) {
        ei_test_skip("no libtorch plug-in in %s", ei_test_build_dir());
    }
}

static const struct finished *profile(const char *weights, const char *option, const char *value)
{
    return einet_run((const char *[]){"profile", "--weights", weights, "--dataset", "generated", "--out",
                                      in_tmpdir("p"), option, value, NULL});
}

/* Nothing was written. */
static void expect_refused(const struct finished *f, int status, const char *text)
{
    expect_said(f, status, text);
    EI_TRUE(access(in_tmpdir("p.et.csv"), F_OK) != 0);
    EI_TRUE(access(in_tmpdir("p.cs"), F_OK) != 0);
}

/* Random weights of another shape than the generated set. */
static const char *weights_of(int32_t channels, int32_t classes)
{
    static char path[512], channels_text[16], classes_text[16];
    static struct fixture_weights w;
    snprintf(path, sizeof path, "%s/w.safetensors", ei_test_tmpdir());
    snprintf(channels_text, sizeof channels_text, "%d", channels);
    snprintf(classes_text, sizeof classes_text, "%d", classes);
    struct fixture_metadata metadata = fixture_metadata_cifar;
    metadata.dataset = "generated";
    metadata.channels = channels_text;
    metadata.classes = classes_text;
    metadata.norm_mean = channels == 1 ? "0.5" : "0.5,0.5,0.5";
    metadata.norm_std = channels == 1 ? "0.5" : "0.5,0.5,0.5";
    fixture_draw(&w, channels, classes, 1);
    EI_EQ(fixture_write(&w, path, &metadata, -1), 0);
    fixture_free(&w);
    return path;
}

EI_TEST(profile_refuses_what_does_not_fit)
{
    require_libtorch();
    expect_refused(profile(weights_of(3, 100), "--only", "et"), 2,
                   "32x32x3 pictures in 10 classes, b-alexnet takes 32x32x3 in 100");
    expect_refused(profile(weights_of(1, 10), "--only", "et"), 2, "takes 32x32x1 in 10");
    const char *weights = SHIPPED ".safetensors";
    expect_refused(profile(weights, "--priority", "99"), 1, "--priority wants a number from 1 to 98, not '99'");
    expect_refused(profile(weights, "--priority", "0"), 1, "--priority");
    expect_refused(profile(weights, "--cpu", "1023"), 1, "CPU 1023 is none that this process may use; allowed: ");
    expect_refused(profile(weights, "--cpu", "-1"), 1, "--cpu");
    expect_refused(profile(weights, "--backend", "gpu"), 1, "--backend wants aten, dnnl, auto or cuda, not 'gpu'");
    expect_refused(profile(weights, "--device", "16"), 1, "--device wants a number from 0 to 15, not '16'");
    expect_refused(profile(weights, "--sms", "0"), 1, "--sms wants a number from 1 to 1024, not '0'");
    expect_refused(profile(weights, "--sms", "32"), 1, "--sms is of multiprocessors of a GPU: add --backend cuda");
    expect_refused(profile(weights, "--wait", "sleep"), 1, "--wait wants block, poll or spin, not 'sleep'");
    expect_refused(profile(weights, "--precision", "int8"), 1, "--precision");
    expect_refused(profile(weights, "--model", "vgg-16"), 2, "holds weights of b-alexnet, not of vgg-16");
    expect_refused(profile(weights, "--model", "b-alex"), 1, "unknown network");
    expect_refused(profile(weights, "--bundle", "somewhere"), 1, "--weights or --bundle");
    expect_refused(einet_run((const char *[]){"profile", "--bundle", in_tmpdir("none"), "--dataset", "generated",
                                              "--out", in_tmpdir("p"), NULL}),
                   2, "none");
}

EI_TEST(profile_print_refuses_damaged_files)
{
    char bytes[4096];
    FILE *whole = fopen(SHIPPED ".cs", "rb");
    EI_REQUIRE(whole != NULL);
    const size_t size = fread(bytes, 1, sizeof bytes, whole);
    fclose(whole);
    FILE *cut = fopen(in_tmpdir("cut.cs"), "wb");
    EI_REQUIRE(cut != NULL && size == sizeof bytes);
    fwrite(bytes, 1, size, cut);
    fclose(cut);
    expect_said(einet_run((const char *[]){"profile", "--print", in_tmpdir("cut.cs"), NULL}), 2, "truncated");
    const char *old = write_file("old.cs", "einet cs-profile 1\nnetwork: b-alexnet\n");
    expect_said(einet_run((const char *[]){"profile", "--print", old, NULL}), 2, "written by an older einet");
}

/* A user without privileges gets honest times, not an error; the file says what they were taken under. */
EI_TEST(profile_without_privileges_says_so)
{
    require_libtorch();
    EI_EQ(access(SHIPPED ".safetensors", R_OK), 0);
    const struct finished *f = einet_run_unprivileged(
        (const char *[]){"profile", "--weights", SHIPPED ".safetensors", "--dataset", "generated", "--only", "et",
                         "--runs", "5", "--priority", "50", "--out", in_tmpdir("p"), NULL});
    EI_TRUEF(f->status == 0, "%s", f->output);
    if (getuid() != 0 && strstr(f->output, "policy: other") == NULL) {
        ei_test_skip("this user may use SCHED_FIFO");
    }
    EI_CONTAINS(f->output, "policy: other");
    EI_CONTAINS(f->output, "SCHED_FIFO 50");
    /* Sanitizers let the lock pass without doing it. */
    const bool is_pageable = strstr(f->output, "memory not locked") != NULL;
    EI_TRUE(wait_for_text(in_tmpdir("p.et.csv"), "# policy: other\n# priority: 0\n", 1000));
    EI_TRUE(wait_for_text(in_tmpdir("p.et.csv"), is_pageable ? "# memory: pageable\n" : "# memory: locked\n", 1000));
}

/* A run whose CS-profile was measured with other weights does not start. */
EI_TEST(run_refuses_a_profile_of_other_weights)
{
    require_libtorch();
    const char *file =
        write_file("camera.yaml", "version: 1\nname: camera\nrun: { duration: 200ms, seed: 1 }\n"
                                  "lanes: { lane0: { kind: cpu, preempt: block } }\n"
                                  "models: { net: { zoo: b-alexnet, dataset: generated, weights: \"" SHIPPED
                                  ".safetensors\", profile: \"models/pretrained/b-alexnet-mnist.cs\" } }\n"
                                  "tasks:\n"
                                  "  - name: camera\n"
                                  "    arrival: { model: periodic, period: 20ms }\n"
                                  "    deadline: 20ms\n"
                                  "    priority: 50\n"
                                  "    input: { kind: generated, seed: 1, count: 20, split: test }\n"
                                  "    stages:\n"
                                  "      - { name: pre, kind: cpu, op: normalize }\n"
                                  "      - { name: net, kind: nn, model: net, lane: lane0 }\n"
                                  "outputs: { dir: out }\n");
    const struct finished *f = einet_run((const char *[]){"run", file, "--out", in_tmpdir("out"), "--quiet", NULL});
    expect_said(f, 2, "weights_sha256 is 42ea3bd61f54");
    EI_CONTAINS(f->output, "f8141a7be54c");
    EI_CONTAINS(f->output, "profile the network again");
}

EI_MAIN()
