/* The `cuda` backend and its plug-in, on the fake CUDA runtime: answers, order, merging, refusals. */
#include "tests/harness/harness.h"
#include "tests/stages/cuda/fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define US INT64_C(1000)
#define S INT64_C(1000000000)

static const struct ei_network_cuda_settings base = {.device_idx = 0,
                                                     .priority = 50,
                                                     .depth = 1,
                                                     .wait = EI_CUDA_WAIT_BLOCK,
                                                     .poll_ns = 50 * US,
                                                     .hang_ns = 20 * S,
                                                     .merge_below_ns = 1};
static const int64_t even[2 * LANE_BLOCKS_MAX] = {300 * US, 40 * US, 300 * US, 40 * US, 300 * US, 40 * US,
                                                  300 * US, 40 * US, 300 * US, 40 * US, 300 * US, 40 * US};

static void reset(int32_t devices, int32_t is_stepped)
{
    lane_fake()->reset(&(struct fake_cuda_config){.devices = devices, .is_stepped = is_stepped});
}

EI_TEST(answers_are_on_the_host_with_each_exit)
{
    static const enum ei_cuda_wait waits[] = {EI_CUDA_WAIT_BLOCK, EI_CUDA_WAIT_POLL, EI_CUDA_WAIT_SPIN};
    for (int32_t i = 0; i < 12; i++) {
        struct ei_network *net = NULL;
        struct einet_error err = {0};
        int32_t destroyed = 0;
        struct ei_network_cuda_settings settings = base;
        settings.wait = waits[i % 3];
        settings.depth = 1 + i / 3 % 2;
        settings.signal = i < 6 ? EI_CUDA_SIGNAL_COPY : EI_CUDA_SIGNAL_WRITE;
        reset(1, 0);
        if (!EI_TRUEF(lane_open(4, even, &settings, &destroyed, &net, NULL, &err) == 0, "%s", err.text)) {
            return;
        }
        EI_STREQ(ei_network_info(net)->backend, "cuda");
        for (uint64_t job = 0; job < 20; job++) {
            EI_EQ(lane_job(net, job), 0);
        }
        EI_TRUE(!ei_network_is_lost(net));
        ei_network_destroy(net);
        EI_EQ(destroyed, 1);
        EI_EQ(lane_fake()->objects(), 0);
    }
}

struct filling {
    float *memory;
    void *event;
    uint64_t seed;
};

/* Somebody else fills the picture and then lets its event come. */
static void *fill(void *arg)
{
    const struct filling *f = arg;
    const struct timespec nap = {.tv_nsec = 5000000};
    nanosleep(&nap, NULL);
    lane_input(f->seed, f->memory);
    lane_fake()->event_complete(f->event);
    return NULL;
}

EI_TEST(input_on_the_device_is_taken_from_there_when_its_event_has_come)
{
    struct ei_network_cuda_settings settings = base;
    settings.is_input_on_device = true;
    for (int32_t i = 0; i < 4; i++) {
        struct ei_network *net = NULL;
        float *memory = lane_fake()->memory_create(LANE_INPUT * sizeof *memory);
        float elsewhere[LANE_INPUT], wanted[LANE_INPUT], logits[LANE_CLASSES];
        settings.depth = 1 + i % 2;
        settings.merge_below_ns = i < 2 ? 1 : S;
        reset(1, 0);
        EI_REQUIRE(lane_open(3, even, &settings, NULL, &net, NULL, NULL) == 0);
        for (uint64_t job = 1; job <= 5; job++) {
            struct filling filling = {memory, lane_fake()->event_create(), job};
            pthread_t thread;
            lane_input(job, wanted);
            EI_EQ(ei_network_begin_device(net, memory, job % 2 != 0 ? filling.event : NULL), 0);
            if (job % 2 != 0) {
                EI_EQ(pthread_create(&thread, NULL, fill, &filling), 0);
            } else {
                lane_input(job, memory); /* nothing reads it before the first conv part */
            }
            for (int32_t b = 0; b < 3; b++) {
                EI_EQ(ei_network_run_conv(net, b), 0);
                EI_EQ(ei_network_run_branch(net, b, logits), 0);
                EI_TRUEF(lane_is_right(wanted, b, logits), "depth %d, job %d, exit %d", settings.depth, (int)job, b);
            }
            ei_network_end(net);
            if (job % 2 != 0) {
                EI_EQ(pthread_join(thread, NULL), 0);
            }
            lane_fake()->event_destroy(filling.event);
        }
        /* A job that ends before its first part has read nothing; one from the host is for other networks. */
        const int64_t graphs = lane_fake()->graphs();
        EI_EQ(ei_network_begin_device(net, memory, NULL), 0);
        ei_network_end(net);
        EI_EQ(ei_network_begin_device(net, elsewhere, NULL), 0);
        ei_network_end(net);
        EI_EQ(lane_fake()->graphs(), graphs);
        ei_network_destroy(net);
        lane_fake()->memory_destroy(memory);
        EI_EQ(lane_fake()->objects(), 0);
    }
    struct ei_network *host = NULL;
    EI_REQUIRE(lane_open(3, even, &base, NULL, &host, NULL, NULL) == 0);
    EI_EQ(ei_network_begin_device(host, &settings, NULL), -EINVAL);
    ei_network_destroy(host);
}

EI_TEST(parts_keep_their_order)
{
    struct ei_network *net = NULL;
    float input[LANE_INPUT], logits[LANE_CLASSES];
    reset(1, 0);
    EI_REQUIRE(lane_open(3, even, &base, NULL, &net, NULL, NULL) == 0);
    lane_input(1, input);
    EI_EQ(ei_network_run_conv(net, 0), -EINVAL); /* no job yet */
    EI_EQ(ei_network_begin(net, input, 0, 0), 0);
    EI_EQ(ei_network_run_branch(net, 0, logits), -EINVAL);
    EI_EQ(ei_network_run_conv(net, 1), -EINVAL);
    EI_EQ(ei_network_run_conv(net, 0), 0);
    EI_EQ(ei_network_run_conv(net, 1), 0); /* the branch of block 0 left out */
    EI_EQ(ei_network_run_branch(net, 1, logits), 0);
    EI_TRUE(lane_is_right(input, 1, logits));
    EI_EQ(ei_network_run_branch(net, 1, logits), 0); /* again */
    ei_network_end(net);                             /* cut */
    EI_EQ(ei_network_run_conv(net, 2), -EINVAL);
    EI_EQ(lane_job(net, 2), 0);
    EI_EQ(ei_network_begin(net, input, 0, 0), 0); /* an unfinished job is dropped */
    EI_EQ(lane_job(net, 3), 0);
    ei_network_destroy(net);
    ei_network_destroy(NULL);
}

EI_TEST(whole_network_answers_the_same)
{
    struct ei_network *net = NULL;
    float input[LANE_INPUT], all[4 * LANE_CLASSES];
    reset(1, 1);
    EI_REQUIRE(lane_open(4, even, &base, NULL, &net, NULL, NULL) == 0);
    lane_input(5, input);
    lane_fake()->log_clear();
    EI_EQ(ei_network_run_monolithic(net, input, all), 0);
    for (int32_t b = 0; b < 4; b++) {
        EI_TRUE(lane_is_right(input, b, all + b * LANE_CLASSES));
    }
    EI_EQ(lane_fake()->log_count(), 3); /* launched, started, ended: one graph */
    ei_network_destroy(net);
}

EI_TEST(parts_are_measured_on_the_device)
{
    const int64_t durations[] = {100 * US, 7 * US, 250 * US, 11 * US};
    struct ei_network *net = NULL;
    reset(1, 1);
    EI_REQUIRE(lane_open(2, durations, &base, NULL, &net, NULL, NULL) == 0);
    for (int32_t i = 0; i < 4; i++) {
        EI_NEAR((double)ei_network_part_ns(net, i / 2, i % 2 == 1), (double)durations[i], 20.0);
    }
    EI_EQ(ei_network_part_ns(net, 2, false), -1);
    ei_network_destroy(net);
}

/* Of the parts of 40, 40, 40, 300, 40, 40 us, those below 100 us go together until they are 100 us. */
EI_TEST(short_neighbours_are_one_launch)
{
    const int64_t durations[] = {40 * US, US, 40 * US, US, 40 * US, US, 300 * US, US, 40 * US, US, 40 * US, US};
    for (int32_t depth = 1; depth <= 2; depth++) {
        int64_t launches[2];
        for (int32_t is_merged = 0; is_merged < 2; is_merged++) {
            struct ei_network *net = NULL;
            struct ei_network_cuda_settings settings = base;
            settings.depth = depth;
            settings.merge_below_ns = is_merged != 0 ? 100 * US : 1;
            reset(1, 1);
            EI_REQUIRE(lane_open(6, durations, &settings, NULL, &net, NULL, NULL) == 0);
            const int64_t before = lane_fake()->graphs();
            EI_EQ(lane_job(net, 11), 0); /* the same logits in both */
            launches[is_merged] = lane_fake()->graphs() - before;
            ei_network_destroy(net);
            EI_EQ(lane_fake()->objects(), 0);
        }
        EI_EQ(launches[0], 12);
        EI_EQ(launches[1], 9); /* {0 1 2} {3} {4 5} and six branches */
    }
}

EI_TEST(long_parts_are_launched_alone)
{
    struct ei_network *net = NULL;
    reset(1, 1);
    struct ei_network_cuda_settings settings = base;
    settings.merge_below_ns = 0; /* what a launch costs: far less than a second */
    const int64_t slow[] = {S, US, S, US, S, US};
    EI_REQUIRE(lane_open(3, slow, &settings, NULL, &net, NULL, NULL) == 0);
    const int64_t before = lane_fake()->graphs();
    EI_EQ(lane_job(net, 1), 0);
    EI_EQ(lane_fake()->graphs() - before, 6);
    ei_network_destroy(net);
}

EI_TEST(settings_out_of_range_are_named)
{
    const struct {
        struct ei_network_cuda_settings settings;
        const char *words;
    } wrong[] = {
        {{0, 50, 0, EI_CUDA_WAIT_BLOCK, 0, S, 1, 0, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "depth"},
        {{0, 50, 3, EI_CUDA_WAIT_BLOCK, 0, S, 1, 0, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "depth"},
        {{0, 100, 1, EI_CUDA_WAIT_BLOCK, 0, S, 1, 0, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "priority"},
        {{0, -1, 1, EI_CUDA_WAIT_BLOCK, 0, S, 1, 0, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "priority"},
        {{0, 50, 1, EI_CUDA_WAIT_BLOCK, 0, 0, 1, 0, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "hang_ns"},
        {{0, 50, 1, EI_CUDA_WAIT_BLOCK, -1, S, 1, 0, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "poll_ns"},
        {{0, 50, 1, EI_CUDA_WAIT_BLOCK, 0, S, 1, 0, 0, 0, false, (enum ei_cuda_signal)7}, "signal"},
        {{0, 50, 1, (enum ei_cuda_wait)7, 0, S, 1, 0, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "wait"},
        {{2, 50, 1, EI_CUDA_WAIT_BLOCK, 0, S, 1, 0, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "no CUDA device 2"},
        {{0, 50, 1, EI_CUDA_WAIT_BLOCK, 0, S, 1, 0, 0, -1, false, EI_CUDA_SIGNAL_COPY}, "split_above_ns"},
        {{0, 50, 1, EI_CUDA_WAIT_BLOCK, 0, S, 1, -1, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "sms"},
        {{-1, 50, 1, EI_CUDA_WAIT_BLOCK, 0, S, 1, 0, 0, 0, false, EI_CUDA_SIGNAL_COPY}, "no CUDA device -1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ei_network *net = NULL;
        struct einet_error err = {0};
        reset(2, 1);
        EI_EQ(lane_open(2, even, &wrong[i].settings, NULL, &net, NULL, &err), EINET_E_USAGE);
        EI_CONTAINS(err.text, wrong[i].words);
        EI_TRUE(net == NULL);
    }
}

EI_TEST(driver_without_operations_on_memory_is_told_so)
{
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    struct ei_network_cuda_settings settings = base;
    settings.signal = EI_CUDA_SIGNAL_WRITE;
    lane_fake()->reset(&(struct fake_cuda_config){.is_stepped = 1, .green = FAKE_GREEN_NO_DRIVER});
    EI_EQ(lane_open(2, even, &settings, NULL, &net, NULL, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "adding a write to a graph (signal: copy needs none)");
    EI_EQ(lane_fake()->objects(), 0);
}

EI_TEST(recorder_that_refuses_is_quoted)
{
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    reset(1, 1);
    EI_EQ(lane_open(-3, even, &base, NULL, &net, NULL, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "conv part of block 3: the recorder of the test refused");
    EI_EQ(lane_fake()->objects(), 0);
}

EI_TEST(missing_devices_are_explained)
{
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    int32_t count = -1;
    lane_fake()->reset(&(struct fake_cuda_config){.count_error = 35});
    EI_EQ(lane_api()->device_count(&count), EINET_E_BACKEND);
    EI_CONTAINS(lane_api()->error_text(), "no CUDA device: CUDA driver version is insufficient");
    EI_CONTAINS(lane_api()->error_text(), "cudaErrorInsufficientDriver");
    EI_EQ(lane_open(2, even, &base, NULL, &net, NULL, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "install the NVIDIA driver");
    EI_EQ(count, -1);
}

EI_TEST(devices_do_not_wait_for_each_other)
{
    enum { DEVICES = 3 };
    struct ei_network *nets[DEVICES] = {NULL};
    char name[64];
    reset(DEVICES, 0);
    int32_t count = 0;
    EI_EQ(lane_api()->device_count(&count), 0);
    EI_EQ(count, DEVICES);
    for (int32_t i = 0; i < DEVICES; i++) {
        struct ei_network_cuda_settings settings = base;
        settings.device_idx = i;
        EI_REQUIRE(lane_open(2 + i, even, &settings, NULL, &nets[i], NULL, NULL) == 0);
    }
    EI_EQ(lane_api()->device_name(2, name, sizeof name), 0);
    EI_STREQ(name, "Fake device 2");
    for (uint64_t job = 0; job < 30; job++) {
        EI_EQ(lane_job(nets[job % DEVICES], job), 0);
    }
    for (int32_t i = 0; i < DEVICES; i++) {
        ei_network_destroy(nets[i]);
    }
    EI_EQ(lane_fake()->objects(), 0);
}

EI_TEST(emulated_times_pass_on_the_device)
{
    static const struct ei_network_emulate_config config = {.exits = 4,
                                                            .classes = 10,
                                                            .channels = 3,
                                                            .height_px = 32,
                                                            .width_px = 32,
                                                            .conv_ns = {900 * US, 20 * US, 20 * US, 400 * US},
                                                            .branch_ns = {30 * US, 30 * US, 30 * US, 30 * US},
                                                            .conv_p99_ns = {1500 * US},
                                                            .score = {0.3F, 0.5F, 0.7F, 0.9F},
                                                            .seed = 7};
    struct ei_network *nets[2] = {NULL, NULL};
    for (int32_t depth = 1; depth <= 2; depth++) {
        struct ei_network_emulate_config on_device = config;
        on_device.is_on_cuda = true;
        on_device.cuda = base;
        on_device.cuda.depth = depth;
        on_device.cuda.merge_below_ns = 0;
        reset(1, 0);
        EI_REQUIRE(ei_network_open_emulate(&config, &nets[0], NULL) == 0);
        EI_REQUIRE(ei_network_open_emulate(&on_device, &nets[1], NULL) == 0);
        EI_STREQ(ei_network_info(nets[1])->backend, "emulate on cuda");
        EI_TRUE(ei_network_part_ns(nets[1], 0, false) >= 900 * US);
        EI_TRUE(ei_network_part_ns(nets[1], 1, false) >= 20 * US);
        EI_EQ(ei_network_part_ns(nets[0], 0, false), -1);
        for (int32_t sample = 0; sample < 10; sample++) {
            float logits[2][10];
            for (int32_t n = 0; n < 2; n++) {
                EI_EQ(ei_network_begin(nets[n], NULL, sample, sample % 10), 0);
            }
            for (int32_t b = 0; b < 4; b++) {
                for (int32_t n = 0; n < 2; n++) {
                    EI_EQ(ei_network_run_conv(nets[n], b), 0);
                    EI_EQ(ei_network_run_branch(nets[n], b, logits[n]), 0);
                }
                EI_TRUE(memcmp(logits[0], logits[1], sizeof logits[0]) == 0);
            }
        }
        float all[40];
        EI_EQ(ei_network_run_monolithic(nets[1], NULL, all), 0);
        ei_network_destroy(nets[0]);
        ei_network_destroy(nets[1]);
        EI_EQ(lane_fake()->objects(), 0);
    }
}

EI_MAIN()
