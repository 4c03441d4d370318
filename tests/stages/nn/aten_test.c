#include "rt/random.h"
#include "rt/section.h"
#include "stages/nn/network.h"
#include "stages/nn/safetensors.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"
#include "tests/stages/nn/reference.h"

#include <pthread.h>
#include <stdlib.h>

enum { PIXELS = 3 * 32 * 32, LOGITS = 30 };

static void draw_input(uint64_t seed, float *out, int count)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, 1);
    for (int i = 0; i < count; i++) {
        out[i] = (float)ei_random_normal(&rng);
    }
}

static struct ei_network *open_network(struct fixture_weights *w, const char *name, uint64_t seed)
{
    char path[512];
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    snprintf(path, sizeof path, "%s/%s", ei_test_tmpdir(), name);
    fixture_draw(w, 3, 10, seed);
    fixture_write(w, path, &fixture_metadata_cifar, -1);
    const struct ei_network_zoo_config config = {
        .zoo = "b-alexnet", .weights_path = path, .dataset = "cifar10", .classes = 10, .channels = 3, .threads = 1};
    EI_TRUEF(ei_network_open_zoo(&config, &net, &err) == 0, "%s", err.text);
    return net;
}

static void run_blocks(struct ei_network *net, const float *input, float *out_logits)
{
    EI_EQ(ei_network_begin(net, input, 0, -1), 0);
    for (int32_t b = 0; b < 3; b++) {
        EI_EQ(ei_network_run_conv(net, b), 0);
        EI_EQ(ei_network_run_branch(net, b, out_logits + b * 10), 0);
    }
    ei_network_end(net);
}

EI_TEST(blocks_match_the_c_reference)
{
    fixture_torch_or_skip();
    struct fixture_weights w;
    struct ei_network *net = open_network(&w, "w.safetensors", 1);
    EI_REQUIRE(net != NULL);
    EI_EQ(ei_network_thread_enter(net), 0);
    for (uint64_t seed = 0; seed < 3; seed++) {
        float input[PIXELS], logits[LOGITS], expected[LOGITS];
        draw_input(seed, input, PIXELS);
        run_blocks(net, input, logits);
        reference_forward(&w, input, expected);
        for (int i = 0; i < LOGITS; i++) {
            EI_NEAR(logits[i], expected[i], 2e-4 * fmax(1.0, fabs((double)expected[i])));
        }
    }
    fixture_free(&w);
    ei_network_destroy(net);
}

EI_TEST(blocks_equal_monolithic)
{
    fixture_torch_or_skip();
    struct fixture_weights w;
    struct ei_network *net = open_network(&w, "w.safetensors", 2);
    EI_REQUIRE(net != NULL);
    EI_EQ(ei_network_thread_enter(net), 0);
    float input[PIXELS], logits[LOGITS], whole[LOGITS];
    draw_input(5, input, PIXELS);
    run_blocks(net, input, logits);
    EI_EQ(ei_network_run_monolithic(net, input, whole), 0);
    for (int i = 0; i < LOGITS; i++) {
        EI_NEAR(logits[i], whole[i], 0.0);
    }
    fixture_free(&w);
    ei_network_destroy(net);
}

EI_TEST(left_out_branches_change_nothing)
{
    fixture_torch_or_skip();
    struct fixture_weights w;
    struct ei_network *net = open_network(&w, "w.safetensors", 3);
    EI_REQUIRE(net != NULL);
    EI_EQ(ei_network_thread_enter(net), 0);
    float input[PIXELS], other[PIXELS], all[LOGITS], last[10];
    draw_input(1, input, PIXELS);
    draw_input(2, other, PIXELS);
    run_blocks(net, input, all);
    EI_EQ(ei_network_begin(net, other, 0, -1), 0); /* a job that is cut after its first block */
    EI_EQ(ei_network_run_conv(net, 0), 0);
    EI_EQ(ei_network_begin(net, input, 0, -1), 0);
    memset(input, 0, sizeof input); /* the input was copied */
    EI_EQ(ei_network_run_conv(net, 0), 0);
    EI_EQ(ei_network_run_conv(net, 1), 0);
    EI_EQ(ei_network_run_conv(net, 2), 0);
    EI_EQ(ei_network_run_branch(net, 2, last), 0);
    for (int i = 0; i < 10; i++) {
        EI_NEAR(last[i], all[20 + i], 0.0);
    }
    fixture_free(&w);
    ei_network_destroy(net);
}

/* Counts this thread's entries into submit sections. */
static _Thread_local int submits;

static void on_section(enum ei_rt_section previous, enum ei_rt_section state)
{
    (void)previous;
    submits += state == EI_RT_SUBMIT;
}

EI_TEST(every_run_is_a_submit_section)
{
    fixture_torch_or_skip();
    struct fixture_weights w;
    struct ei_network *net = open_network(&w, "w.safetensors", 3);
    EI_REQUIRE(net != NULL);
    EI_EQ(ei_network_thread_enter(net), 0);
    float input[PIXELS] = {0}, logits[LOGITS];
    ei_rt_section_on_change = on_section;
    ei_rt_section_enter();
    run_blocks(net, input, logits);
    EI_EQ(submits, 8);
    EI_EQ(ei_rt_section_state(), EI_RT_SECTION);
    EI_EQ(ei_network_run_monolithic(net, input, logits), 0);
    EI_EQ(submits, 9);
    ei_rt_section_leave();
    ei_rt_section_on_change = NULL;
    fixture_free(&w);
    ei_network_destroy(net);
}

struct runner {
    struct ei_network *net;
    float input[PIXELS], expected[LOGITS];
    int differences;
};

static void *run_many(void *context)
{
    struct runner *r = context;
    r->differences += ei_network_thread_enter(r->net) != 0;
    for (int i = 0; i < 30; i++) {
        float logits[LOGITS] = {0};
        run_blocks(r->net, r->input, logits);
        for (int k = 0; k < LOGITS; k++) {
            r->differences += fabsf(logits[k] - r->expected[k]) > 0.0F;
        }
    }
    return NULL;
}

EI_TEST(networks_run_in_parallel)
{
    fixture_torch_or_skip();
    static struct runner runners[2];
    struct fixture_weights w;
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "w%d.safetensors", i);
        runners[i].net = open_network(&w, name, 10 + (uint64_t)i);
        EI_REQUIRE(runners[i].net != NULL);
        EI_EQ(ei_network_thread_enter(runners[i].net), 0);
        draw_input((uint64_t)i, runners[i].input, PIXELS);
        run_blocks(runners[i].net, runners[i].input, runners[i].expected);
        fixture_free(&w);
    }
    for (int i = 0; i < 2; i++) {
        EI_EQ(pthread_create(&threads[i], NULL, run_many, &runners[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        EI_EQ(runners[i].differences, 0);
        ei_network_destroy(runners[i].net);
    }
}

EI_TEST(facts_come_from_the_file)
{
    fixture_torch_or_skip();
    struct fixture_weights w;
    struct ei_network *net = open_network(&w, "w.safetensors", 4);
    EI_REQUIRE(net != NULL);
    const struct ei_network_info *info = ei_network_info(net);
    EI_STREQ(info->name, "b-alexnet");
    EI_STREQ(info->backend, "aten");
    EI_STREQ(info->dataset, "cifar10");
    EI_EQ(strlen(info->weights_sha256), 64);
    EI_EQ(info->exits, 3);
    EI_EQ(info->classes, 10);
    EI_EQ(info->width_px, 32);
    EI_NEAR(info->norm_mean[1], 0.4F, 0.0);
    EI_NEAR(info->norm_std[2], 0.3F, 0.0);
    EI_NEAR(info->exit_accuracy[0], -1.0, 0.0);
    EI_EQ(info->block[2].branch_params, 1290);
    fixture_free(&w);
    ei_network_destroy(net);
}

/* ---- weights that do not belong; these need no libtorch ---- */

static void expect_refused(const char *path, const struct ei_network_zoo_config *changes, int code, const char *text)
{
    struct ei_network_zoo_config config = *changes;
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    config.weights_path = path;
    EI_EQ(ei_network_open_zoo(&config, &net, &err), code);
    EI_TRUE(net == NULL);
    EI_CONTAINS(err.text, text);
    if (code != EINET_E_USAGE) {
        EI_STREQ(err.file, path);
    }
    ei_network_destroy(net);
}

EI_TEST(wrong_weights_are_named)
{
    const struct ei_network_zoo_config want = {.zoo = "b-alexnet", .threads = 1};
    struct ei_network_zoo_config other = want;
    struct fixture_weights w;
    char path[512];
    snprintf(path, sizeof path, "%s/wrong.safetensors", ei_test_tmpdir());
    expect_refused(path, &want, EINET_E_FILE, "No such file");
    fixture_draw(&w, 3, 10, 1);
    struct fixture_metadata m = fixture_metadata_cifar;
    fixture_write(&w, path, &m, -1);
    other.dataset = "mnist";
    expect_refused(path, &other, EINET_E_MISMATCH, "trained on cifar10, not on mnist");
    other = want;
    other.classes = 100;
    expect_refused(path, &other, EINET_E_MISMATCH, "has 10 classes, not 100");
    other = want;
    other.channels = 1;
    expect_refused(path, &other, EINET_E_MISMATCH, "takes 3 channels, not 1");
    other = want;
    other.zoo = "vgg-16";
    expect_refused(path, &other, EINET_E_MISMATCH, "weights of b-alexnet, not of vgg-16");
    other = want;
    other.threads = 0;
    expect_refused(path, &other, EINET_E_USAGE, "threads");
    m.zoo = "vgg-16";
    fixture_write(&w, path, &m, -1);
    expect_refused(path, &want, EINET_E_MISMATCH, "weights of vgg-16, not of b-alexnet");
    m.zoo = NULL;
    fixture_write(&w, path, &m, -1);
    expect_refused(path, &want, EINET_E_FILE, "no metadata");
    m = fixture_metadata_cifar;
    m.norm_std = "0.1,0";
    fixture_write(&w, path, &m, -1);
    expect_refused(path, &want, EINET_E_FILE, "norm_std");
    m.norm_std = "0.1,0,0.2";
    fixture_write(&w, path, &m, -1);
    expect_refused(path, &want, EINET_E_FILE, "must be positive");
    m = fixture_metadata_cifar;
    m.classes = "ten";
    fixture_write(&w, path, &m, -1);
    expect_refused(path, &want, EINET_E_FILE, "no metadata");
    fixture_free(&w);
}

EI_TEST(wrong_shapes_are_named)
{
    fixture_torch_or_skip();
    const struct ei_network_zoo_config want = {.zoo = "b-alexnet", .threads = 1};
    struct fixture_metadata m = fixture_metadata_cifar;
    struct fixture_weights w;
    char path[512];
    snprintf(path, sizeof path, "%s/wrong.safetensors", ei_test_tmpdir());
    fixture_draw(&w, 3, 10, 1);
    fixture_write(&w, path, &m, 3);
    expect_refused(path, &want, EINET_E_MISMATCH, "has no tensor block1.conv.4.bias");
    m.classes = "20";
    fixture_write(&w, path, &m, -1);
    expect_refused(path, &want, EINET_E_MISMATCH,
                   "block1.branch.9.weight has the shape 10x512, b-alexnet needs 20x512");
    m = fixture_metadata_cifar;
    snprintf(w.params[5].name, sizeof w.params[5].name, "block1.branch.3.bias");
    w.numbers[0][7] = INFINITY;
    fixture_write(&w, path, &m, -1);
    expect_refused(path, &want, EINET_E_FILE, "block1.conv.0.weight holds a value that is no number");
    w.numbers[0][7] = 0.0F;
    w.params[w.count] = w.params[0];
    snprintf(w.params[w.count].name, sizeof w.params[0].name, "block4.conv.0.weight");
    w.numbers[w.count++] = w.numbers[0];
    fixture_write(&w, path, &m, -1);
    expect_refused(path, &want, EINET_E_MISMATCH, "holds 27 tensors, b-alexnet has 26");
    w.count--;
    fixture_free(&w);
}

EI_MAIN()
