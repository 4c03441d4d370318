#include "models/profile.h"
#include "models/train.h"
#include "planner/profile_file.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <errno.h>
#include <stdlib.h>

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

static void check_times(enum ei_et_mode mode)
{
    struct ei_dataset *test = open_test_set(10);
    struct ei_network *net = open_emulated();
    const struct ei_profile_et_config config = {.mode = mode, .runs = 25, .threads = 1};
    struct einet_error err = {0};
    static struct ei_et_profile et;
    EI_TRUEF(ei_profile_measure_et(net, test, &config, NULL, &et, &err) == 0, "%s", err.text);
    EI_EQ(ei_et_profile_check(&et, &err), 0);
    EI_EQ(et.exits, 2);
    EI_EQ(et.samples, 25);
    EI_EQ(et.mode, mode);
    EI_TRUE(strlen(et.machine) > 10);
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
    check_times(EI_ET_SEQUENTIAL);
}

EI_TEST(times_with_cold_caches)
{
    check_times(EI_ET_COLD);
}

EI_TEST(what_does_not_fit_is_refused)
{
    struct ei_dataset *test = open_test_set(10);
    struct ei_network *net = open_emulated();
    struct einet_error err = {0};
    static struct ei_et_profile et;
    struct ei_profile_et_config config = {.runs = 0, .threads = 1};
    EI_EQ(ei_profile_measure_et(net, test, &config, NULL, &et, &err), EINET_E_USAGE);
    config.runs = 5;
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
