/* Networks of the zoo on a real GPU against libtorch on the CPU, with the same random weights. */
#include "models/profile.h"
#include "planner/profile_file.h"
#include "rt/random.h"
#include "stages/cuda/loader.h"
#include "stages/nn/network.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <pthread.h>
#include <stdlib.h>

enum { PIXELS = 3 * 32 * 32, CLASSES = 10, LOGITS = EI_NETWORK_BLOCKS_MAX * CLASSES };

static const struct ei_network_cuda_settings base = {.device_idx = 0,
                                                     .priority = 50,
                                                     .depth = 1,
                                                     .wait = EI_CUDA_WAIT_BLOCK,
                                                     .poll_ns = 50000,
                                                     .hang_ns = INT64_C(5000000000),
                                                     .merge_below_ns = 1};

/* The plug-in first: it says so at once, where loading libtorch takes seconds. */
static void require_gpu(void)
{
    const struct ei_cuda_api *cuda = NULL;
    struct einet_error err = {0};
    int32_t count = 0;
    if (ei_cuda_load(&cuda, &err) != 0) {
        ei_test_skip("no GPU: %s", err.text);
    }
    if (cuda->device_count(&count) != 0) {
        ei_test_skip("no GPU: %s", cuda->error_text());
    }
    if (fixture_torch_or_skip()->cuda_device_count(&count) != 0) {
        ei_test_skip("no GPU for libtorch: %s", fixture_torch_or_skip()->error_text());
    }
}

static void draw_input(uint64_t seed, float *out)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, 1);
    for (int i = 0; i < PIXELS; i++) {
        out[i] = (float)ei_random_normal(&rng);
    }
}

/* Random weights of a network of the zoo, in a file of this case. */
static const char *write_weights_of(const char *zoo, const char *dataset)
{
    static char path[512];
    struct fixture_weights w;
    struct fixture_metadata metadata = fixture_metadata_cifar;
    metadata.zoo = zoo;
    metadata.dataset = dataset;
    snprintf(path, sizeof path, "%s/%s.safetensors", ei_test_tmpdir(), zoo);
    fixture_draw_zoo(&w, zoo, 3, CLASSES, 1);
    fixture_write(&w, path, &metadata, -1);
    fixture_free(&w);
    return path;
}

static const char *write_weights(const char *zoo)
{
    return write_weights_of(zoo, "cifar10");
}

static struct ei_network *open_network(const char *zoo, const char *path, enum ei_network_backend_kind backend,
                                       enum ei_network_precision precision,
                                       const struct ei_network_cuda_settings *settings)
{
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    const struct ei_network_zoo_config config = {
        .zoo = zoo, .weights_path = path, .threads = 1, .precision = precision, .backend = backend, .cuda = *settings};
    EI_TRUEF(ei_network_open_zoo(&config, &net, &err) == 0, "%s", err.text);
    EI_TRUE(net != NULL && ei_network_thread_enter(net) == 0);
    return net;
}

static int run_all(struct ei_network *net, const float *input, float *out_logits)
{
    int rc = ei_network_begin(net, input, 0, -1);
    for (int32_t b = 0; rc == 0 && b < ei_network_info(net)->exits; b++) {
        rc = ei_network_run_conv(net, b);
        rc = rc == 0 ? ei_network_run_branch(net, b, out_logits + b * CLASSES) : rc;
    }
    ei_network_end(net);
    return rc;
}

/* Largest difference of an exit's logits, relative to its largest logit. */
static double apart(const float *a, const float *b)
{
    double largest = 1e-30, worst = 0.0;
    for (int32_t c = 0; c < CLASSES; c++) {
        largest = fmax(largest, fabs((double)a[c]));
        worst = fmax(worst, fabs((double)a[c] - (double)b[c]));
    }
    return isfinite(worst) ? worst / largest : 1e9;
}

static void check_exits(const char *what, int32_t exits, const float *expected, const float *got, double tolerance)
{
    for (int32_t e = 0; e < exits; e++) {
        const double relative = apart(expected + e * CLASSES, got + e * CLASSES);
        EI_TRUEF(relative <= tolerance, "%s: exit %d differs by %.2e", what, e + 1, relative);
    }
}

/* The same network on both; takes them over. */
static void compare(struct ei_network *cpu, struct ei_network *gpu, double tolerance)
{
    float input[PIXELS], expected[LOGITS], got[LOGITS], whole[LOGITS];
    EI_REQUIRE(cpu != NULL && gpu != NULL);
    const struct ei_network_info *info = ei_network_info(gpu);
    EI_STREQ(info->backend, "cuda");
    for (uint64_t seed = 1; seed <= 3; seed++) {
        draw_input(seed, input);
        EI_EQ(ei_network_thread_enter(cpu), 0); /* opening the other one left the thread in float32 */
        EI_EQ(run_all(cpu, input, expected), 0);
        EI_TRUEF(run_all(gpu, input, got) == 0, "%s", ei_network_fault_text(gpu));
        check_exits(info->name, info->exits, expected, got, tolerance);
        EI_EQ(ei_network_run_monolithic(gpu, input, whole), 0);
        check_exits("monolithic", info->exits, got, whole, 1e-5);
    }
    ei_network_destroy(cpu);
    ei_network_destroy(gpu);
}

static void check_network(const char *zoo, enum ei_network_precision precision, double tolerance)
{
    require_gpu();
    const char *path = write_weights(zoo);
    struct ei_network *cpu = open_network(zoo, path, EI_NETWORK_ATEN, precision, &base);
    compare(cpu, open_network(zoo, path, EI_NETWORK_CUDA, precision, &base), tolerance);
}

static struct ei_network *open_bundle(const char *dir, enum ei_network_backend_kind backend)
{
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    const struct ei_network_bundle_config config = {.dir = dir, .threads = 1, .backend = backend, .cuda = base};
    EI_TRUEF(ei_network_open_bundle(&config, &net, &err) == 0, "%s", err.text);
    EI_TRUE(net != NULL && ei_network_thread_enter(net) == 0);
    return net;
}

EI_TEST(b_alexnet_equals_libtorch)
{
    check_network("b-alexnet", EI_NETWORK_FLOAT32, 1e-4);
}

EI_TEST(flexvgg_16_equals_libtorch)
{
    check_network("flexvgg-16", EI_NETWORK_FLOAT32, 1e-4);
}

EI_TEST(vgg_16_equals_libtorch)
{
    check_network("vgg-16", EI_NETWORK_FLOAT32, 1e-4);
}

EI_TEST(resnet_50_equals_libtorch)
{
    check_network("resnet-50", EI_NETWORK_FLOAT32, 1e-4);
}

EI_TEST(msdnet_21_equals_libtorch)
{
    check_network("msdnet-21", EI_NETWORK_FLOAT32, 1e-4);
}

EI_TEST(msdnet_40_equals_libtorch)
{
    check_network("msdnet-40", EI_NETWORK_FLOAT32, 1e-4);
}

EI_TEST(msdnet_40_light_equals_libtorch)
{
    check_network("msdnet-40-light", EI_NETWORK_FLOAT32, 1e-4);
}

/* Eight bits of mantissa, rounded in another order: the same network, not the same numbers. */
EI_TEST(b_alexnet_in_bfloat16_is_close)
{
    check_network("b-alexnet", EI_NETWORK_BFLOAT16, 5e-2);
}

EI_TEST(bundle_of_torchscript_equals_libtorch)
{
    char dir[512], command[700];
    require_gpu();
    const char *python = getenv("PYTHON");
    snprintf(dir, sizeof dir, "%s/bundle", ei_test_tmpdir());
    snprintf(command, sizeof command, "%.100s examples/bundle/make_bundle.py '%s'", python != NULL ? python : "python3",
             dir);
    if (system(command) != 0) {
        ei_test_skip("%s failed; it needs PyTorch", command);
    }
    struct ei_network *cpu = open_bundle(dir, EI_NETWORK_ATEN);
    compare(cpu, open_bundle(dir, EI_NETWORK_CUDA), 1e-4);
}

/* A job's answer is the former job's where it is read too early: two inputs, in turns. */
static void check_waits(enum ei_cuda_signal signal)
{
    float input[2][PIXELS], expected[2][LOGITS];
    require_gpu();
    const char *path = write_weights("vgg-16");
    struct ei_network *first = open_network("vgg-16", path, EI_NETWORK_CUDA, EI_NETWORK_FLOAT32, &base);
    EI_REQUIRE(first != NULL);
    for (uint64_t k = 0; k < 2; k++) {
        draw_input(k + 1, input[k]);
        EI_EQ(run_all(first, input[k], expected[k]), 0);
    }
    EI_TRUE(apart(expected[0], expected[1]) > 1e-2);
    for (int32_t i = 0; i < 12; i++) {
        float got[LOGITS];
        struct ei_network_cuda_settings settings = base;
        settings.wait = (enum ei_cuda_wait)(i % 3);
        settings.depth = 1 + i / 3 % 2;
        settings.merge_below_ns = i < 6 ? 1 : 1000000;
        settings.signal = signal;
        struct ei_network *net = open_network("vgg-16", path, EI_NETWORK_CUDA, EI_NETWORK_FLOAT32, &settings);
        EI_REQUIRE(net != NULL);
        for (int32_t job = 0; job < 100; job++) {
            EI_EQ(run_all(net, input[job % 2], got), 0);
            check_exits("vgg-16", 14, expected[job % 2], got, 1e-5);
        }
        ei_network_destroy(net);
    }
    ei_network_destroy(first);
}

EI_TEST(waits_depths_and_merging_change_nothing)
{
    check_waits(EI_CUDA_SIGNAL_COPY);
}

EI_TEST(words_that_are_written_change_nothing)
{
    check_waits(EI_CUDA_SIGNAL_WRITE);
}

/* A job is cut between blocks by another network's job, and goes on: its answer so far stays, the rest is right. */
EI_TEST(preempted_job_keeps_its_answer)
{
    float input[PIXELS], other_input[PIXELS], expected[LOGITS], other_expected[LOGITS], got[LOGITS];
    require_gpu();
    const char *path = write_weights("resnet-50");
    struct ei_network_cuda_settings urgent = base;
    urgent.priority = 90;
    struct ei_network *low = open_network("resnet-50", path, EI_NETWORK_CUDA, EI_NETWORK_FLOAT32, &base);
    path = write_weights("b-alexnet");
    struct ei_network *high = open_network("b-alexnet", path, EI_NETWORK_CUDA, EI_NETWORK_FLOAT32, &urgent);
    EI_REQUIRE(low != NULL && high != NULL);
    draw_input(1, input);
    draw_input(2, other_input);
    EI_EQ(run_all(low, input, expected), 0);
    EI_EQ(run_all(high, other_input, other_expected), 0);
    const int32_t exits = ei_network_info(low)->exits;
    for (int32_t cut = 0; cut < exits; cut++) {
        memset(got, 0, sizeof got);
        EI_EQ(ei_network_begin(low, input, 0, -1), 0);
        for (int32_t b = 0; b < exits; b++) {
            EI_EQ(ei_network_run_conv(low, b), 0);
            EI_EQ(ei_network_run_branch(low, b, got + b * CLASSES), 0);
            if (b == cut) {
                float other[LOGITS];
                EI_EQ(run_all(high, other_input, other), 0);
                check_exits("the other network", 3, other_expected, other, 1e-5);
                check_exits("an answer held", b + 1, expected, got, 1e-5);
            }
        }
        ei_network_end(low);
        check_exits("the job that was cut", exits, expected, got, 1e-5);
    }
    ei_network_destroy(low);
    ei_network_destroy(high);
}

/* Cut between all layers, with another network's job between every two pieces. */
static void check_pieces(const char *zoo)
{
    float input[PIXELS], other_input[PIXELS], expected[LOGITS], other_expected[LOGITS], got[LOGITS], other[LOGITS];
    const char *path = write_weights(zoo);
    struct ei_network_cuda_settings settings = base;
    settings.split_above_ns = 1;
    struct ei_network *whole = open_network(zoo, path, EI_NETWORK_CUDA, EI_NETWORK_FLOAT32, &base);
    struct ei_network *net = open_network(zoo, path, EI_NETWORK_CUDA, EI_NETWORK_FLOAT32, &settings);
    EI_REQUIRE(whole != NULL && net != NULL);
    draw_input(1, input);
    draw_input(2, other_input);
    EI_EQ(run_all(whole, input, expected), 0);
    EI_EQ(run_all(whole, other_input, other_expected), 0);
    const int32_t exits = ei_network_info(net)->exits;
    int32_t pieces = 0;
    EI_EQ(ei_network_begin(net, input, 0, -1), 0);
    for (int32_t part = 0; part < 2 * exits; part++) {
        const bool is_branch = part % 2 != 0;
        for (int32_t i = 0; i < ei_network_piece_count(net, part / 2, is_branch); i++, pieces++) {
            EI_TRUEF(ei_network_run_piece(net, part / 2, is_branch, i, got + part / 2 * CLASSES) == 0, "%s",
                     ei_network_fault_text(net));
            EI_EQ(run_all(whole, other_input, other), 0);
        }
    }
    ei_network_end(net);
    check_exits(zoo, exits, expected, got, 1e-5);
    check_exits("the other network", exits, other_expected, other, 1e-5);
    EI_TRUEF(pieces > 3 * exits, "%d pieces of %d exits", pieces, exits);
    struct ei_network_layer layer;
    EI_TRUE(ei_network_uncut(net, &layer) > 0 && layer.name[0] != '\0');
    ei_network_destroy(net);
    ei_network_destroy(whole);
}

EI_TEST(pieces_answer_as_whole_parts_do)
{
    require_gpu();
    check_pieces("vgg-16");
    check_pieces("resnet-50");
    check_pieces("msdnet-21");
}

/* Two lanes that each have some of the multiprocessors answer as on all of them. */
EI_TEST(multiprocessors_of_a_lane_change_no_answer)
{
    float input[PIXELS], expected[LOGITS], got[LOGITS];
    require_gpu();
    const char *path = write_weights("vgg-16");
    struct ei_network *all = open_network("vgg-16", path, EI_NETWORK_CUDA, EI_NETWORK_FLOAT32, &base);
    EI_REQUIRE(all != NULL);
    draw_input(1, input);
    EI_EQ(run_all(all, input, expected), 0);
    ei_network_destroy(all);
    for (int32_t lane = 0; lane < 2; lane++) {
        struct ei_network *net = NULL;
        struct einet_error err = {0};
        struct ei_network_zoo_config config = {
            .zoo = "vgg-16", .weights_path = path, .threads = 1, .backend = EI_NETWORK_CUDA, .cuda = base};
        config.cuda.sms = 16;
        config.cuda.lane_idx = lane;
        if (ei_network_open_zoo(&config, &net, &err) != 0) {
            ei_test_skip("%s", err.text);
        }
        EI_EQ(run_all(net, input, got), 0);
        check_exits("vgg-16 on 16 SMs", ei_network_info(net)->exits, expected, got, 1e-4);
        ei_network_destroy(net);
    }
}

struct task {
    struct ei_network *net;
    float input[2][PIXELS], expected[2][LOGITS]; /* jobs have one and the other in turns */
    int32_t exits, jobs, wrong, failed;
};

static void *run_task(void *context)
{
    struct task *t = context;
    for (int32_t job = 0; job < t->jobs; job++) {
        float got[LOGITS];
        const int rc = run_all(t->net, t->input[job % 2], got);
        t->failed += rc != 0;
        for (int32_t e = 0; rc == 0 && e < t->exits; e++) {
            t->wrong += apart(t->expected[job % 2] + e * CLASSES, got + e * CLASSES) > 1e-5;
        }
    }
    return NULL;
}

/* Networks that run at the same time share no memory of libtorch's: neither activations nor workspaces. */
EI_TEST(two_tasks_at_once_answer_right)
{
    static const char *const zoo[2] = {"vgg-16", "msdnet-21"};
    static struct task tasks[2];
    pthread_t threads[2];
    require_gpu();
    for (int32_t i = 0; i < 2; i++) {
        struct ei_network_cuda_settings settings = base;
        settings.priority = i == 0 ? 90 : 10;
        tasks[i].jobs = 200;
        tasks[i].net = open_network(zoo[i], write_weights(zoo[i]), EI_NETWORK_CUDA, EI_NETWORK_FLOAT32, &settings);
        EI_REQUIRE(tasks[i].net != NULL);
        tasks[i].exits = ei_network_info(tasks[i].net)->exits;
        for (int32_t k = 0; k < 2; k++) {
            draw_input((uint64_t)(2 * i + k) + 1, tasks[i].input[k]);
            EI_EQ(run_all(tasks[i].net, tasks[i].input[k], tasks[i].expected[k]), 0);
        }
    }
    for (int32_t i = 0; i < 2; i++) {
        EI_EQ(pthread_create(&threads[i], NULL, run_task, &tasks[i]), 0);
    }
    for (int32_t i = 0; i < 2; i++) {
        EI_EQ(pthread_join(threads[i], NULL), 0);
        EI_EQ(tasks[i].failed, 0);
        EI_EQ(tasks[i].wrong, 0);
    }
    for (int32_t i = 0; i < 2; i++) {
        ei_network_destroy(tasks[i].net);
    }
}

EI_TEST(profile_says_which_device_it_is_of)
{
    char prefix[512], path[600];
    static struct ei_et_profile et;
    struct einet_error err = {0};
    require_gpu();
    snprintf(prefix, sizeof prefix, "%s/p", ei_test_tmpdir());
    const struct ei_profile_job job = {.weights_path = write_weights_of("b-alexnet", "generated"),
                                       .backend = EI_NETWORK_CUDA,
                                       .dataset = "generated",
                                       .out_prefix = prefix,
                                       .et = {.runs = 50, .threads = 1, .priority = 50, .cpu = -1},
                                       .measure_et = true};
    EI_TRUEF(ei_profile_run(&job, NULL, &err) == 0, "%s", err.text);
    snprintf(path, sizeof path, "%s.cuda.et.csv", prefix);
    EI_TRUEF(ei_et_profile_read(path, &et, &err) == 0, "%s", err.text);
    EI_STREQ(et.lane, "cuda:0");
    EI_TRUE(strncmp(et.backend, "cuda, libtorch ", 15) == 0);
    for (int32_t b = 0; b < et.exits; b++) {
        EI_TRUE(et.conv[b].p50_ns > 0 && et.branch[b].p50_ns > 0);
    }
}

EI_MAIN()
