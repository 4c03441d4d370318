#include "models/profile.h"
#include "models/train.h"
#include "planner/profile_file.h"
#include "rt/thread.h"
#include "stages/dnnl/loader.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define SHIPPED "models/pretrained/b-alexnet-generated.safetensors"

static struct ei_dataset *open_test_set(int32_t count)
{
    struct ei_dataset *dataset = NULL;
    EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TEST, count, &dataset, NULL), 0);
    return dataset;
}

static struct ei_network *open_emulated(void)
{
    const struct ei_network_emulate_config config = {.exits = 2,
                                                     .classes = 10,
                                                     .channels = 3,
                                                     .height_px = 32,
                                                     .width_px = 32,
                                                     .conv_ns = {200000, 400000},
                                                     .branch_ns = {0, 100000},
                                                     .score = {0.5F, 0.9F},
                                                     .seed = 1};
    struct ei_network *net = NULL;
    EI_EQ(ei_network_open_emulate(&config, &net, NULL), 0);
    return net;
}

/* The scores through the live backend give exactly the accuracy that training recorded in the weights. */
/* The emulated network again, its blocks on the fake CUDA device of this process. */
EI_TEST(times_on_a_device_say_so)
{
    char plugin[600];
    snprintf(plugin, sizeof plugin, "%s/libeinet_cuda_fake.so", ei_test_build_dir());
    if (access(plugin, R_OK) != 0) {
        ei_test_skip("%s was not built: no CUDA headers", plugin);
    }
    setenv("EINET_CUDA_PLUGIN", plugin, 1);
    setenv("EINET_FAKE_CUDA", "is_real_time=1", 1);
    struct ei_network_emulate_config emulate = {
        .exits = 2,
        .classes = 10,
        .channels = 3,
        .height_px = 32,
        .width_px = 32,
        .conv_ns = {200000, 400000},
        .branch_ns = {100000, 100000},
        .score = {0.5F, 0.9F},
        .is_on_cuda = true,
        .cuda = {.priority = 50, .depth = 1, .hang_ns = 20000000000, .sms = 48}};
    struct ei_profile_et_config config = {.runs = 5, .threads = 1, .cpu = -1, .sms = 48};
    struct ei_dataset *test = open_test_set(10);
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    static struct ei_et_profile et;
    EI_TRUEF(ei_network_open_emulate(&emulate, &net, &err) == 0, "%s", err.text);
    EI_REQUIRE(net != NULL);
    EI_TRUEF(ei_profile_measure_et(net, test, &config, NULL, &et, &err) == 0, "%s", err.text);
    EI_STREQ(et.lane, "cuda:0 sms:48");
    EI_STREQ(et.backend, "emulate on cuda, Fake device 0");
    EI_TRUE(et.conv[0].p50_ns >= 200000 && et.conv[1].p50_ns >= 400000 && et.branch[0].p50_ns >= 100000);
    config.mode = EI_ET_COLD;
    EI_EQ(ei_profile_measure_et(net, test, &config, NULL, &et, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "leave out --cold");
    ei_network_destroy(net);
    ei_dataset_destroy(test);
}

EI_TEST(scores_give_the_recorded_accuracy)
{
    fixture_torch_or_skip();
    struct ei_dataset *train = NULL, *test = open_test_set(400);
    EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TRAIN, 640, &train, NULL), 0);
    char path[512];
    snprintf(path, sizeof path, "%s/w.safetensors", ei_test_tmpdir());
    const struct ei_train_config config = {.zoo = "b-alexnet",
                                           .out_path = path,
                                           .epochs = 5,
                                           .batch = 64,
                                           .threads = 1,
                                           .lr = 0.001F,
                                           .warmup_fraction = 0.2F,
                                           .seed = 1};
    struct ei_train_result result;
    struct einet_error err = {0};
    EI_TRUEF(ei_train_run(&config, train, test, &result, &err) == 0, "%s", err.text);
    const struct ei_network_zoo_config open = {.zoo = "b-alexnet", .weights_path = path, .threads = 1};
    struct ei_network *net = NULL;
    EI_TRUEF(ei_network_open_zoo(&open, &net, &err) == 0, "%s", err.text);
    EI_REQUIRE(net != NULL);
    struct ei_cs_profile cs = {0};
    EI_TRUEF(ei_profile_measure_cs(net, test, NULL, &cs, &err) == 0, "%s", err.text);
    EI_EQ(cs.samples, 400);
    EI_EQ(cs.exits, 3);
    EI_STREQ(cs.network, "b-alexnet");
    EI_STREQ(cs.dataset, "generated");
    EI_STREQ(cs.split, "test");
    EI_EQ(ei_cs_profile_match(&cs, "b-alexnet", 3, ei_network_info(net)->weights_sha256, &err), 0);
    for (int b = 0; b < 3; b++) {
        EI_NEAR(cs.accuracy[b], ei_network_info(net)->exit_accuracy[b], 1e-7);
        EI_IN(cs.mean_score[b], 0.1, 1.0);
    }
    char prefix[512];
    snprintf(prefix, sizeof prefix, "%s/p.cs", ei_test_tmpdir());
    EI_TRUEF(ei_cs_profile_write(prefix, &cs, &err) == 0, "%s", err.text);
    FILE *out = tmpfile();
    EI_REQUIRE(out != NULL);
    EI_TRUEF(ei_profile_print(prefix, out, &err) == 0, "%s", err.text);
    EI_TRUE(ftell(out) > 50);
    fclose(out);
    ei_cs_profile_fini(&cs);
    ei_network_destroy(net);
    ei_dataset_destroy(train);
    ei_dataset_destroy(test);
}

static int notes;

static void on_note(void *context, const char *text)
{
    (void)context;
    EI_TRUE(strlen(text) > 20);
    notes++;
}

static void check_times(enum ei_et_mode mode, int32_t priority)
{
    const struct ei_profile_progress progress = {.note = on_note};
    const int32_t runs = mode == EI_ET_COLD ? 4 : 25; /* emptying caches takes its time */
    struct ei_dataset *test = open_test_set(10);
    struct ei_network *net = open_emulated();
    const struct ei_profile_et_config config = {
        .mode = mode, .runs = runs, .threads = 1, .priority = priority, .cpu = -1};
    struct einet_error err = {0};
    static struct ei_et_profile et;
    EI_TRUEF(ei_profile_measure_et(net, test, &config, &progress, &et, &err) == 0, "%s", err.text);
    EI_EQ(ei_et_profile_check(&et, &err), 0);
    EI_EQ(et.exits, 2);
    EI_EQ(et.samples, runs);
    EI_EQ(et.mode, mode);
    EI_TRUE(strlen(et.machine) > 10);
    EI_TRUE(strlen(et.kernel) > 5 && et.cpus[0] >= '0' && et.cpus[0] <= '9');
    EI_STREQ(et.backend, "emulate");
    EI_EQ(et.precision, EI_PROFILE_FLOAT32);
    /* What was recorded is what was got, and what was not got was said. */
    EI_EQ(et.policy == EI_ET_FIFO ? priority : 0, et.priority);
    EI_EQ(notes, priority == 0 ? 0 : (et.policy == EI_ET_OTHER) + (et.memory == EI_ET_PAGEABLE));
    struct ei_thread_state state;
    EI_EQ(ei_thread_read(0, &state), 0);
    EI_EQ(state.policy, EI_THREAD_OTHER); /* the caller stays what it was */
    /* An emulated part never takes less than its work. */
    EI_TRUE(et.conv[0].p50_ns >= 200000 && et.conv[1].p50_ns >= 400000 && et.branch[1].p50_ns >= 100000);
    EI_TRUE(et.conv[0].p50_ns <= et.conv[0].p99_ns && et.conv[0].p99_ns <= et.conv[0].max_ns);
    char path[512];
    snprintf(path, sizeof path, "%s/p.et.csv", ei_test_tmpdir());
    EI_TRUEF(ei_et_profile_write(path, &et, &err) == 0, "%s", err.text);
    static struct ei_et_profile back;
    EI_EQ(ei_et_profile_read(path, &back, &err), 0);
    EI_EQ(back.conv[1].p99_ns, et.conv[1].p99_ns);
    FILE *out = tmpfile();
    EI_REQUIRE(out != NULL);
    EI_EQ(ei_profile_print(path, out, &err), 0);
    fclose(out);
    ei_network_destroy(net);
    ei_dataset_destroy(test);
}

EI_TEST(times_in_sequence)
{
    check_times(EI_ET_SEQUENTIAL, 0);
}

EI_TEST(times_as_a_live_lane)
{
    check_times(EI_ET_SEQUENTIAL, 50);
}

EI_TEST(times_with_cold_caches)
{
    check_times(EI_ET_COLD, 0);
}

static struct ei_network *open_shipped(const char *zoo, enum ei_network_precision precision)
{
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    const struct ei_network_zoo_config config = {
        .zoo = zoo, .weights_path = SHIPPED, .threads = 1, .precision = precision};
    EI_TRUEF(ei_network_open_zoo(&config, &net, &err) == 0, "%s", err.text);
    return net;
}

static void scores_of(const char *zoo, enum ei_network_precision precision, const struct ei_dataset *dataset,
                      struct ei_cs_profile *out)
{
    struct einet_error err = {0};
    struct ei_network *net = open_shipped(zoo, precision);
    EI_REQUIRE(net != NULL);
    EI_TRUEF(ei_profile_measure_cs(net, dataset, NULL, out, &err) == 0, "%s", err.text);
    EI_EQ(out->precision, precision == EI_NETWORK_BFLOAT16 ? EI_PROFILE_BFLOAT16 : EI_PROFILE_FLOAT32);
    EI_EQ(ei_cs_profile_match(out, zoo, out->exits, ei_network_info(net)->weights_sha256, &err), 0);
    ei_network_destroy(net);
}

/* The single-exit network on the weights of its multi-exit one says, to the bit, what the last exit says; in bfloat16
 * it says nearly the same, but not the same. */
EI_TEST(classic_is_the_last_exit_and_bfloat16_is_close_to_it)
{
    enum { SAMPLES = 200 };
    fixture_torch_or_skip();
    struct ei_dataset *test = open_test_set(SAMPLES);
    struct ei_cs_profile multi = {0}, classic = {0}, narrow = {0};
    scores_of("b-alexnet", EI_NETWORK_FLOAT32, test, &multi);
    scores_of("b-alexnet-classic", EI_NETWORK_FLOAT32, test, &classic);
    scores_of("b-alexnet-classic", EI_NETWORK_BFLOAT16, test, &narrow);
    EI_REQUIRE(multi.exits == 3 && classic.exits == 1 && narrow.exits == 1);
    int same_label = 0, same_score = 0;
    double difference = 0.0;
    for (int s = 0; s < SAMPLES; s++) {
        EI_EQ(classic.confidence[s], multi.confidence[s * 3 + 2]);
        EI_EQ(classic.top_label[s], multi.top_label[s * 3 + 2]);
        same_label += narrow.top_label[s] == classic.top_label[s];
        same_score += narrow.confidence[s] == classic.confidence[s];
        difference += fabs((double)(ei_cs_profile_score(&narrow, s, 0) - ei_cs_profile_score(&classic, s, 0)));
    }
    EI_TRUEF(same_label >= SAMPLES * 97 / 100, "%d of %d answers are the same", same_label, SAMPLES);
    EI_TRUEF(same_score < SAMPLES / 2, "%d of %d confidences are the same to the bit", same_score, SAMPLES);
    EI_IN(difference / SAMPLES, 1e-5, 0.01);
    ei_cs_profile_fini(&multi);
    ei_cs_profile_fini(&classic);
    ei_cs_profile_fini(&narrow);
    ei_dataset_destroy(test);
}

/* A bfloat16 network and a float32 one in turn on one thread: entering sets the thread's precision anew. */
EI_TEST(precisions_do_not_mix)
{
    fixture_torch_or_skip();
    static float input[3 * 32 * 32];
    for (int i = 0; i < 3 * 32 * 32; i++) {
        input[i] = (float)(i % 17) / 8.0F - 1.0F;
    }
    struct ei_network *wide = open_shipped("b-alexnet-classic", EI_NETWORK_FLOAT32);
    struct ei_network *narrow = open_shipped("b-alexnet-classic", EI_NETWORK_BFLOAT16);
    float first[10], second[10], third[10];
    EI_REQUIRE(wide != NULL && narrow != NULL);
    EI_EQ(ei_network_thread_enter(wide), 0);
    EI_EQ(ei_network_run_monolithic(wide, input, first), 0);
    EI_EQ(ei_network_thread_enter(narrow), 0);
    EI_EQ(ei_network_run_monolithic(narrow, input, second), 0);
    EI_EQ(ei_network_thread_enter(wide), 0);
    EI_EQ(ei_network_run_monolithic(wide, input, third), 0);
    EI_TRUE(memcmp(first, third, sizeof first) == 0);
    EI_TRUE(memcmp(first, second, sizeof first) != 0);
    ei_network_destroy(wide);
    ei_network_destroy(narrow);
}

/* A profile says which libtorch and which precision its times are of. */
EI_TEST(times_name_library_and_precision)
{
    const struct ei_torch_api *api = fixture_torch_or_skip();
    struct ei_dataset *test = open_test_set(4);
    struct ei_network *net = open_shipped("b-alexnet-classic", EI_NETWORK_BFLOAT16);
    const struct ei_profile_et_config config = {.runs = 3, .threads = 1, .cpu = -1};
    struct einet_error err = {0};
    static struct ei_et_profile et;
    EI_REQUIRE(net != NULL);
    EI_TRUEF(ei_profile_measure_et(net, test, &config, NULL, &et, &err) == 0, "%s", err.text);
    EI_CONTAINS(et.backend, "aten, libtorch ");
    EI_CONTAINS(et.backend, api->version);
    EI_EQ(et.precision, EI_PROFILE_BFLOAT16);
    EI_STREQ(et.network, "b-alexnet-classic");
    EI_EQ(et.policy, EI_ET_OTHER);
    EI_EQ(et.memory, EI_ET_PAGEABLE);
    ei_network_destroy(net);
    ei_dataset_destroy(test);
}

/* Networks whose accuracy falls from level to level: the score of [level]. */
struct levels {
    float score[4];
    int32_t opened;
};

static int open_level(void *context, const struct ei_network_choice *choice, struct ei_network **out,
                      struct einet_error *err)
{
    struct levels *l = context;
    const float score = l->score[choice != NULL ? choice->tune : EI_NETWORK_TUNE_NONE];
    const struct ei_network_emulate_config config = {
        .exits = 2, .classes = 10, .channels = 3, .height_px = 32, .width_px = 32, .score = {0.9F, score}, .seed = 1};
    l->opened++;
    return ei_network_open_emulate(&config, out, err);
}

/* A level is kept where no exit loses more than 0.2 points; else the next lower one is tried. */
EI_TEST(kernels_that_cost_accuracy_are_not_kept)
{
    static const struct {
        float score[4];
        int32_t opened;
        float kept;
    } cases[] = {{{0.8F, 0.8F, 0.8F, 0.8F}, 2, 0.8F},  /* all the same: the first tried */
                 {{0.8F, 0.8F, 0.8F, 0.7F}, 3, 0.8F},  /* bf16 costs ten points */
                 {{0.8F, 0.8F, 0.6F, 0.7F}, 4, 0.8F},  /* winograd, too */
                 {{0.8F, 0.8F, 0.9F, 0.79F}, 3, 0.9F}, /* one point is too much; better is fine */
                 {{0.8F, 0.8F, 0.8F, 0.799F}, 2, 0.799F} /* a tenth of a point is not */};
    struct ei_dataset *test = open_test_set(4000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct levels levels = {.opened = 0};
        memcpy(levels.score, cases[i].score, sizeof levels.score);
        const struct ei_profile_opener opener = {open_level, &levels};
        struct ei_network *net = NULL;
        struct ei_cs_profile cs = {0}, kept = {0};
        struct einet_error err = {0};
        EI_REQUIRE(ei_profile_tune(&opener, EI_NETWORK_TUNE_BFLOAT16, test, NULL, &net, &cs, &err) == 0);
        EI_EQ(levels.opened, cases[i].opened);
        EI_TRUE(fabsf(cs.accuracy[1] - cases[i].kept) < 0.03F);
        EI_EQ(ei_profile_measure_cs(net, test, NULL, &kept, &err), 0);
        EI_TRUE(kept.accuracy[1] == cs.accuracy[1]);
        ei_cs_profile_fini(&cs);
        ei_cs_profile_fini(&kept);
        ei_network_destroy(net);
    }
    ei_dataset_destroy(test);
}

/* From measuring to the file and back into a network. */
EI_TEST(a_choice_of_kernels_survives_the_file)
{
    const struct ei_dnnl_api *api;
    struct einet_error err = {0};
    if (ei_dnnl_load(&api, &err) != 0) {
        ei_test_skip("%s", err.text);
    }
    char prefix[512], path[520];
    snprintf(prefix, sizeof prefix, "%s/tuned", ei_test_tmpdir());
    snprintf(path, sizeof path, "%s.et.csv", prefix);
    struct ei_profile_job job = {.weights_path = SHIPPED,
                                 .backend = EI_NETWORK_DNNL,
                                 .dataset = "generated",
                                 .out_prefix = prefix,
                                 .et = {.runs = 3, .threads = 1, .cpu = -1},
                                 .tune = EI_NETWORK_TUNE_WINOGRAD,
                                 .measure_et = true};
    EI_EQ(ei_profile_run(&job, NULL, &err), EINET_E_USAGE); /* nobody would see what it costs */
    EI_CONTAINS(err.text, "--only et");
    job.tune = EI_NETWORK_TUNE_EXACT;
    EI_TRUEF(ei_profile_run(&job, NULL, &err) == 0, "%s", err.text);
    static struct ei_et_profile et;
    struct ei_et_kernels kernels = {0}, again = {0};
    EI_REQUIRE(ei_et_profile_read_kernels(path, &et, &kernels, &err) == 0);
    struct ei_network_kernel *list = calloc((size_t)kernels.count + 1, sizeof *list);
    for (int32_t i = 0; list != NULL && i < kernels.count; i++) {
        list[i] = (struct ei_network_kernel){
            .block_idx = kernels.list[i].exit_idx, .branch = kernels.list[i].branch, .op_idx = kernels.list[i].op_idx};
        memcpy(list[i].name, kernels.list[i].name, sizeof list[i].name);
    }
    const struct ei_network_choice choice = {
        .kernels = list, .kernel_count = kernels.count, .weights_sha256 = et.weights_sha256};
    const struct ei_network_zoo_config open = {
        .zoo = "b-alexnet", .weights_path = SHIPPED, .threads = 1, .backend = EI_NETWORK_DNNL, .choice = &choice};
    struct ei_network *net = NULL;
    EI_TRUEF(ei_network_open_zoo(&open, &net, &err) == 0, "%s", err.text);
    EI_EQ(ei_profile_kernels(net, &again, &err), 0);
    EI_EQ(again.count, kernels.count);
    /* the clock may find none that is faster than the default */
    EI_TRUE(kernels.count == 0 || memcmp(again.list, kernels.list, (size_t)kernels.count * sizeof *kernels.list) == 0);
    ei_et_kernels_fini(&kernels);
    ei_et_kernels_fini(&again);
    ei_network_destroy(net);
    free(list);
}

EI_TEST(what_does_not_fit_is_refused)
{
    struct ei_dataset *test = open_test_set(10);
    struct ei_network *net = open_emulated();
    struct einet_error err = {0};
    static struct ei_et_profile et;
    struct ei_profile_et_config config = {.runs = 0, .threads = 1, .cpu = -1};
    EI_EQ(ei_profile_measure_et(net, test, &config, NULL, &et, &err), EINET_E_USAGE);
    config.runs = 5;
    config.priority = 99;
    EI_EQ(ei_profile_measure_et(net, test, &config, NULL, &et, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "1 to 98");
    config.priority = 0;
    config.cpu = 1023;
    EI_EQ(ei_profile_measure_et(net, test, &config, NULL, &et, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "CPU 1023");
    config.cpu = -1;
    volatile sig_atomic_t stop = 1;
    const struct ei_profile_progress progress = {.stop = &stop};
    EI_EQ(ei_profile_measure_et(net, test, &config, &progress, &et, &err), -EINTR);
    ei_network_destroy(net);
    const struct ei_network_emulate_config gray = {
        .exits = 1, .classes = 10, .channels = 1, .height_px = 32, .width_px = 32, .score = {0.5F}};
    EI_EQ(ei_network_open_emulate(&gray, &net, NULL), 0);
    struct ei_cs_profile cs = {0};
    EI_EQ(ei_profile_measure_cs(net, test, NULL, &cs, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "32x32x3");
    EI_TRUE(cs.label == NULL);
    ei_network_destroy(net);
    ei_dataset_destroy(test);
    EI_EQ(ei_profile_print("/nonexistent.cs", stdout, &err), -ENOENT);
    const struct ei_profile_job job = {
        .weights_path = "/nonexistent.safetensors", .dataset = "generated", .out_prefix = "x"};
    EI_EQ(ei_profile_run(&job, NULL, &err), EINET_E_FILE);
}

EI_MAIN()
