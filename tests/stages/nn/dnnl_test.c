/* The dnnl backend against the plain C reference, and against libtorch where it is there. */
#include "rt/random.h"
#include "rt/section.h"
#include "stages/nn/fuse.h"
#include "stages/nn/network.h"
#include "stages/nn/prepared.h"
#include "stages/nn/prepared_small.h"
#include "stages/nn/zoo.h"
#include "stages/nn/zoo/writer.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"
#include "tests/stages/nn/reference.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#define CLASSES 10

static float *draw(uint64_t seed, size_t count)
{
    struct ei_random rng;
    float *out = malloc(count * sizeof *out);
    ei_random_init(&rng, seed, 1);
    for (size_t i = 0; out != NULL && i < count; i++) {
        out[i] = (float)ei_random_normal(&rng);
    }
    EI_TRUE(out != NULL);
    return out;
}

static size_t pixels_of(const struct ei_program *program)
{
    return (size_t)program->input.channels * (size_t)program->input.height_px * (size_t)program->input.width_px;
}

/* Differences count against the largest logit of the exit. */
static void expect_near(const float *logits, const float *expected, int32_t exits, int32_t classes, double tolerance)
{
    for (int32_t e = 0; e < exits; e++) {
        double largest = 1e-3, apart = 0.0;
        for (int32_t c = 0; c < classes; c++) {
            const size_t i = (size_t)e * (size_t)classes + (size_t)c;
            largest = fmax(largest, fabs((double)expected[i]));
            apart = fmax(apart, fabs((double)logits[i] - (double)expected[i]));
        }
        EI_TRUEF(apart <= tolerance * largest, "exit %d is %g of %g away", e + 1, apart, largest);
    }
}

/* ---- programs without a file ---- */

static struct ei_prepared *prepare(const struct ei_dnnl_api *api, const struct fixture_weights *w,
                                   enum ei_dnnl_type type)
{
    struct einet_error err = {0};
    struct ei_prepared *net = NULL;
    const struct ei_prepared_config config = {
        .program = &w->program, .params = (const float *const *)w->numbers, .type = type};
    EI_TRUEF(ei_prepared_create(api, &config, &net, &err) == 0, "%s", err.text);
    EI_TRUE(net != NULL);
    return net;
}

static void begin(struct ei_prepared *net, const struct ei_program *program, const float *input)
{
    memcpy(ei_prepared_input(net), input, pixels_of(program) * sizeof *input);
}

static void take_branch(struct ei_prepared *net, const struct ei_program *program, int32_t b, float *out_logits)
{
    EI_EQ(ei_prepared_run(net, b, true), 0);
    memcpy(out_logits, ei_prepared_logits(net, b), (size_t)program->classes * sizeof *out_logits);
}

static void run_all(struct ei_prepared *net, const struct ei_program *program, const float *input, float *out_logits)
{
    begin(net, program, input);
    for (int32_t b = 0; b < program->block_count; b++) {
        EI_EQ(ei_prepared_run(net, b, false), 0);
        take_branch(net, program, b, out_logits + (size_t)b * (size_t)program->classes);
    }
}

static void expect_reference(const struct ei_dnnl_api *api, const struct fixture_weights *w, enum ei_dnnl_type type,
                             double tolerance)
{
    float logits[EI_PROGRAM_BLOCKS_MAX * CLASSES], expected[EI_PROGRAM_BLOCKS_MAX * CLASSES];
    struct ei_prepared *net = prepare(api, w, type);
    for (uint64_t seed = 1; seed <= 2; seed++) {
        float *input = draw(seed, pixels_of(&w->program));
        run_all(net, &w->program, input, logits);
        reference_forward(w, input, expected);
        expect_near(logits, expected, w->program.block_count, CLASSES, tolerance);
        free(input);
    }
    ei_prepared_destroy(net);
}

EI_TEST(every_operation_matches_the_c_reference)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    static struct fixture_weights w;
    fixture_draw_everything(&w);
    expect_reference(api, &w, EI_DNNL_FLOAT32, 1e-5);
    fixture_free(&w);
}

EI_TEST(b_alexnet_matches_the_c_reference)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    static struct fixture_weights w;
    fixture_draw(&w, 3, CLASSES, 3);
    expect_reference(api, &w, EI_DNNL_FLOAT32, 1e-5);
    fixture_free(&w);
}

/* Eight bits of mantissa: a wrong layout or a lost batch norm would be off by the size of the logits. */
EI_TEST(bfloat16_is_close)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    static struct fixture_weights w;
    fixture_draw_everything(&w);
    expect_reference(api, &w, EI_DNNL_BFLOAT16, 0.05);
    fixture_free(&w);
    fixture_draw(&w, 3, CLASSES, 3);
    expect_reference(api, &w, EI_DNNL_BFLOAT16, 0.05);
    fixture_free(&w);
}

/* Jobs that are cut anywhere, take any exits, some twice, one after the other in the same memory: each says exactly
 * what a job says that takes all. */
static void expect_any_course(const struct ei_dnnl_api *api, const struct fixture_weights *w, uint64_t seed)
{
    enum { INPUTS = 3, JOBS = 60 };
    const struct ei_program *p = &w->program;
    struct ei_prepared *net = prepare(api, w, EI_DNNL_FLOAT32);
    float *inputs[INPUTS], all[INPUTS][EI_PROGRAM_BLOCKS_MAX * CLASSES], said[CLASSES];
    struct ei_random rng;
    ei_random_init(&rng, seed, 2);
    for (int i = 0; i < INPUTS; i++) {
        inputs[i] = draw(seed + (uint64_t)i, pixels_of(p));
        run_all(net, p, inputs[i], all[i]);
    }
    for (int job = 0; job < JOBS; job++) {
        const int k = (int)ei_random_below(&rng, INPUTS);
        const int32_t blocks = 1 + (int32_t)ei_random_below(&rng, (uint32_t)p->block_count);
        begin(net, p, inputs[k]);
        for (int32_t b = 0; b < blocks; b++) {
            EI_EQ(ei_prepared_run(net, b, false), 0);
            for (uint32_t takes = (uint32_t)ei_random_below(&rng, 3); takes > 0; takes--) {
                take_branch(net, p, b, said);
                EI_TRUEF(memcmp(said, all[k] + (size_t)b * CLASSES, sizeof said) == 0, "job %d, exit %d differs", job,
                         b + 1);
            }
        }
    }
    for (int i = 0; i < INPUTS; i++) {
        free(inputs[i]);
    }
    ei_prepared_destroy(net);
}

EI_TEST(any_course_says_the_same)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    static struct fixture_weights w;
    fixture_draw_everything(&w);
    expect_any_course(api, &w, 1);
    fixture_free(&w);
    fixture_draw_zoo(&w, "msdnet-21-light", 3, CLASSES, 4);
    expect_any_course(api, &w, 2);
    fixture_free(&w);
    fixture_draw(&w, 3, CLASSES, 5);
    expect_any_course(api, &w, 3);
    fixture_free(&w);
}

/* Deep in vgg-16 512 channels of 4x4 and 2x2 pixels are ours, on one thread where the processor can. */
EI_TEST(small_pictures_of_many_channels_are_ours)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    const struct ei_small_conv deep = {.in_channels = 512,
                                       .in_height_px = 4,
                                       .in_width_px = 4,
                                       .out_channels = 512,
                                       .out_height_px = 4,
                                       .out_width_px = 4,
                                       .kernel_px = 3,
                                       .stride_px = 1,
                                       .padding_px = 1};
    static struct fixture_weights w;
    struct einet_error err = {0};
    char step[200];
    fixture_draw_zoo(&w, "vgg-16", 3, CLASSES, 3);
    struct ei_prepared_config config = {
        .program = &w.program, .params = (const float *const *)w.numbers, .type = EI_DNNL_FLOAT32};
    for (config.threads = 1; config.threads <= 2; config.threads++) {
        struct ei_prepared *net = NULL;
        int32_t ours = 0;
        EI_TRUEF(ei_prepared_create(api, &config, &net, &err) == 0, "%s", err.text);
        for (int32_t i = 0; net != NULL && ei_prepared_describe(net, i, step, sizeof step); i++) {
            ours += strstr(step, "own:small") != NULL;
        }
        EI_EQ(ours >= 6, config.threads == 1 && ei_small_conv_is_fit(&deep));
        ei_prepared_destroy(net);
    }
    fixture_free(&w);
}

/* Tuning tries one option for all layers: those that have none so many stay what they are without. */
EI_TEST(an_option_that_is_not_there_is_the_first_choice)
{
    const struct ei_dnnl_api *api = fixture_dnnl_or_skip();
    static struct fixture_weights w;
    struct einet_error err = {0};
    struct ei_prepared *first = NULL, *other = NULL;
    char step[200], same[200];
    fixture_draw_zoo(&w, "vgg-16", 3, CLASSES, 3);
    struct ei_prepared_config config = {
        .program = &w.program, .params = (const float *const *)w.numbers, .type = EI_DNNL_FLOAT32, .threads = 1};
    EI_REQUIRE(ei_prepared_create(api, &config, &first, &err) == 0);
    config.option = 50;
    EI_REQUIRE(ei_prepared_create(api, &config, &other, &err) == 0);
    int32_t count = 0;
    for (; ei_prepared_describe(first, count, step, sizeof step); count++) {
        EI_REQUIRE(ei_prepared_describe(other, count, same, sizeof same));
        EI_STREQ(same, step);
    }
    EI_TRUE(count > 0 && !ei_prepared_describe(other, count, same, sizeof same));
    ei_prepared_destroy(first);
    ei_prepared_destroy(other);
    fixture_free(&w);
}

/* ---- what is fused ---- */

static int32_t steps_of(const struct ei_fused *fused, const struct ei_program *p, enum ei_op_kind kind)
{
    int32_t count = 0;
    for (int32_t s = 0; s < fused->step_count; s++) {
        count += p->ops[fused->steps[s].op_idx].kind == kind;
    }
    return count;
}

EI_TEST(the_zoo_is_fused)
{
    static struct ei_program p;
    static struct ei_fused fused;
    struct einet_error err = {0};
    for (int32_t i = 0; ei_zoo_name(i) != NULL; i++) {
        EI_EQ(ei_zoo_program(ei_zoo_name(i), 3, CLASSES, &p, &err), 0);
        EI_TRUEF(ei_fuse(&p, &fused, &err) == 0, "%s", err.text);
        EI_EQ(steps_of(&fused, &p, EI_OP_BATCH_NORM), 0);
        EI_EQ(steps_of(&fused, &p, EI_OP_RELU), 0);
        EI_EQ(steps_of(&fused, &p, EI_OP_ADD), 0);
        for (int32_t s = 0; s < fused.step_count; s++) {
            const struct ei_fused_step *step = &fused.steps[s];
            const bool writes_on = step->has_sum || p.ops[step->op_idx].kind == EI_OP_CONCAT;
            EI_EQ(step->may_overwrite, writes_on);
        }
    }
}

EI_TEST(what_steps_cannot_say_is_named)
{
    static struct ei_program p;
    static struct ei_fused fused;
    struct einet_error err = {0};
    memset(&p, 0, sizeof p);
    snprintf(p.name, sizeof p.name, "odd");
    p.classes = CLASSES;
    p.trunk_slots = 1;
    p.block_count = 1;
    p.input = (struct ei_shape){3, 7, 7};
    struct ei_writer w = ei_writer_conv(&p, 0, 3, 7);
    ei_write_overlapping_max_pool(&w);
    w = ei_writer_branch(&p, 0, 3, 3);
    ei_write_flatten(&w);
    ei_write_linear(&w, CLASSES);
    EI_TRUEF(ei_fuse(&p, &fused, &err) == 0, "%s", err.text);
    p.input.height_px = p.input.width_px = 6; /* now the last window leaves the picture */
    EI_TRUEF(ei_fuse(&p, &fused, &err) == 0, "%s", err.text);
    p.ops[0].kind = EI_OP_AVG_POOL;
    EI_EQ(ei_fuse(&p, &fused, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "block1.conv.0 (avg_pool) of odd: its windows leave the picture");
    p.ops[0].kind = EI_OP_SCRIPT;
    p.ops[0].script_out = (struct ei_shape){3, 3, 3};
    EI_EQ(ei_fuse(&p, &fused, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "block1.conv.0 (script) of odd: it is a TorchScript part");
}

/* ---- networks of files ---- */

static struct ei_network *open_file(const char *path, const char *zoo, enum ei_network_backend_kind backend,
                                    enum ei_network_precision precision)
{
    struct einet_error err = {0};
    struct ei_network *net = NULL;
    const struct ei_network_zoo_config config = {
        .zoo = zoo, .weights_path = path, .threads = 1, .backend = backend, .precision = precision};
    EI_TRUEF(ei_network_open_zoo(&config, &net, &err) == 0, "%s %s", err.file, err.text);
    EI_TRUE(net != NULL && ei_network_thread_enter(net) == 0);
    return net;
}

static void run_network(struct ei_network *net, const float *input, float *out_logits)
{
    const struct ei_network_info *info = ei_network_info(net);
    EI_EQ(ei_network_begin(net, input, -1, -1), 0);
    for (int32_t b = 0; b < info->exits; b++) {
        EI_EQ(ei_network_run_conv(net, b), 0);
        EI_EQ(ei_network_run_branch(net, b, out_logits + (size_t)b * (size_t)info->classes), 0);
    }
    ei_network_end(net);
}

static void expect_same_on_both(const char *path, const char *zoo)
{
    struct ei_network *aten = open_file(path, zoo, EI_NETWORK_ATEN, EI_NETWORK_FLOAT32);
    struct ei_network *dnnl = open_file(path, zoo, EI_NETWORK_DNNL, EI_NETWORK_FLOAT32);
    const struct ei_network_info *info = ei_network_info(dnnl);
    EI_STREQ(info->backend, "dnnl");
    EI_STREQ(info->weights_sha256, ei_network_info(aten)->weights_sha256);
    const size_t count = (size_t)info->exits * (size_t)info->classes;
    float *input = draw(1, (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px);
    float *expected = calloc(count, sizeof *expected), *logits = calloc(count, sizeof *logits);
    EI_REQUIRE(expected != NULL && logits != NULL);
    run_network(aten, input, expected);
    run_network(dnnl, input, logits);
    expect_near(logits, expected, info->exits, info->classes, 1e-4);
    EI_EQ(ei_network_run_monolithic(dnnl, input, expected), 0);
    EI_TRUE(memcmp(logits, expected, count * sizeof *logits) == 0);
    free(input);
    free(expected);
    free(logits);
    ei_network_destroy(aten);
    ei_network_destroy(dnnl);
}

/* One of each family; bench_lanes prints the difference of any other. */
EI_TEST(the_zoo_matches_libtorch)
{
    static const char *const families[] = {"b-alexnet", "flexvgg-16", "resnet-50", "msdnet-21-light"};
    (void)fixture_dnnl_or_skip();
    fixture_torch_or_skip();
    char path[512];
    static struct fixture_weights w;
    snprintf(path, sizeof path, "%s/w.safetensors", ei_test_tmpdir());
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        struct fixture_metadata metadata = fixture_metadata_cifar;
        metadata.zoo = families[i];
        fixture_draw_zoo(&w, families[i], 3, CLASSES, 11);
        fixture_write(&w, path, &metadata, -1);
        fixture_free(&w);
        expect_same_on_both(path, families[i]);
        if (i == 0) {
            expect_same_on_both(path, "b-alexnet-classic"); /* on the weights of its multi-exit network */
        }
    }
}

EI_TEST(trained_networks_match_libtorch)
{
    (void)fixture_dnnl_or_skip();
    fixture_torch_or_skip();
    expect_same_on_both("models/pretrained/b-alexnet-cifar10.safetensors", "b-alexnet");
    expect_same_on_both("models/pretrained/b-alexnet-mnist.safetensors", "b-alexnet");
    expect_same_on_both("models/pretrained/msdnet-21-light-cifar10.safetensors", "msdnet-21-light");
}

struct runner {
    struct ei_network *net;
    float input[32 * 32], expected[30];
    int differences;
};

static void *run_many(void *context)
{
    struct runner *r = context;
    r->differences += ei_network_thread_enter(r->net) != 0;
    for (int i = 0; i < 100; i++) {
        float logits[30] = {0};
        run_network(r->net, r->input, logits);
        r->differences += memcmp(logits, r->expected, sizeof logits) != 0;
    }
    return NULL;
}

/* Prepared here, run there, two at once: oneDNN shares the kernels of equal layers. */
EI_TEST(networks_run_in_parallel)
{
    (void)fixture_dnnl_or_skip();
    static struct runner runners[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        struct runner *r = &runners[i];
        r->net = open_file("models/pretrained/b-alexnet-mnist.safetensors", "b-alexnet", EI_NETWORK_DNNL,
                           EI_NETWORK_FLOAT32);
        float *input = draw(20 + (uint64_t)i, sizeof r->input / sizeof *r->input);
        memcpy(r->input, input, sizeof r->input);
        free(input);
        run_network(r->net, r->input, r->expected);
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

static _Thread_local int submits;

static void on_section(enum ei_rt_section previous, enum ei_rt_section state)
{
    (void)previous;
    submits += state == EI_RT_SUBMIT;
}

EI_TEST(every_run_is_a_submit_section)
{
    (void)fixture_dnnl_or_skip();
    struct ei_network *net =
        open_file("models/pretrained/b-alexnet-mnist.safetensors", "b-alexnet", EI_NETWORK_DNNL, EI_NETWORK_FLOAT32);
    float input[32 * 32] = {0}, logits[30];
    ei_rt_section_on_change = on_section;
    ei_rt_section_enter();
    run_network(net, input, logits);
    EI_EQ(submits, 6); /* the input is copied by us */
    EI_EQ(ei_rt_section_state(), EI_RT_SECTION);
    ei_rt_section_leave();
    ei_rt_section_on_change = NULL;
    ei_network_destroy(net);
}

static long minor_faults(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

/* oneDNN allocates in every step and frees again: nothing is left behind, and no page is touched for the first time. */
EI_TEST(inferences_leave_nothing_behind)
{
    (void)fixture_dnnl_or_skip();
    struct ei_network *net =
        open_file("models/pretrained/b-alexnet-mnist.safetensors", "b-alexnet", EI_NETWORK_DNNL, EI_NETWORK_FLOAT32);
    static float input[32 * 32], logits[30];
    for (int i = 0; i < 20; i++) {
        run_network(net, input, logits);
    }
    const struct mallinfo2 before = mallinfo2();
    const long faults = minor_faults();
    for (int i = 0; i < 300; i++) {
        run_network(net, input, logits);
    }
    const struct mallinfo2 after = mallinfo2();
    EI_EQ(after.uordblks, before.uordblks);
    EI_EQ(after.arena + after.hblkhd, before.arena + before.hblkhd);
#ifndef EINET_SANITIZED
    EI_EQ(minor_faults(), faults);
#else
    (void)faults;
#endif
    ei_network_destroy(net);
}

/* ---- who computes ---- */

EI_TEST(a_missing_plug_in_is_named)
{
    struct einet_error err = {0};
    struct ei_network *net = NULL;
    EI_EQ(setenv("EINET_DNNL_PLUGIN", "/nowhere/libeinet_dnnl.so", 1), 0);
    struct ei_network_zoo_config config = {.zoo = "b-alexnet",
                                           .weights_path = "models/pretrained/b-alexnet-mnist.safetensors",
                                           .threads = 1,
                                           .backend = EI_NETWORK_DNNL};
    EI_EQ(ei_network_open_zoo(&config, &net, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "apt-get install libdnnl-dev");
    config.weights_path = "models/pretrained/nothing.safetensors";
    EI_EQ(ei_network_open_zoo(&config, &net, &err), EINET_E_FILE);
    fixture_torch_or_skip();
    net = open_file("models/pretrained/b-alexnet-mnist.safetensors", "b-alexnet", EI_NETWORK_AUTO, EI_NETWORK_FLOAT32);
    EI_STREQ(ei_network_info(net)->backend, "aten");
    EI_CONTAINS(ei_network_info(net)->backend_note, "the oneDNN plug-in is missing");
    ei_network_destroy(net);
}

EI_TEST(auto_needs_no_libtorch)
{
    (void)fixture_dnnl_or_skip();
    EI_EQ(setenv("EINET_TORCH_PLUGIN", "/nowhere/libeinet_torch.so", 1), 0);
    struct ei_network *net =
        open_file("models/pretrained/b-alexnet-mnist.safetensors", "b-alexnet", EI_NETWORK_AUTO, EI_NETWORK_FLOAT32);
    EI_STREQ(ei_network_info(net)->backend, "dnnl");
    EI_STREQ(ei_network_info(net)->backend_note, "");
    ei_network_destroy(net);
}

EI_MAIN()
