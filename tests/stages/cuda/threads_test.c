/* Networks of several threads on shared devices that run beside them: answers, and what the sanitizers say. */
#include "tests/harness/harness.h"
#include "tests/stages/cuda/fixture.h"

#include <pthread.h>

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define S INT64_C(1000000000)

enum { THREADS = 5, EXITS = 3, JOBS = 60 };

struct worker {
    pthread_t thread;
    struct ei_network_cuda_settings settings;
    int32_t failed, opened;
    int32_t jobs; /* 0: until the device is lost */
};

static const int64_t durations[2 * EXITS] = {30 * US, 5 * US, 10 * US, 5 * US, 10 * US, 5 * US};

static void *worker_main(void *argument)
{
    struct worker *w = argument;
    struct ei_network *net = NULL;
    if (lane_open(EXITS, durations, &w->settings, NULL, &net, NULL, NULL) != 0) {
        return NULL;
    }
    w->opened = 1;
    for (int32_t job = 0; job < w->jobs || (w->jobs == 0 && !ei_network_is_lost(net)); job++) {
        float input[LANE_INPUT], logits[LANE_CLASSES];
        lane_input((uint64_t)job, input);
        int rc = ei_network_begin(net, input, -1, -1);
        for (int32_t b = 0; rc == 0 && b < EXITS - job % 2; b++) { /* every other job is cut */
            rc = ei_network_run_conv(net, b);
            if (rc == 0 && (b + job) % 3 != 0) {
                rc = ei_network_run_branch(net, b, logits);
                w->failed += rc == 0 && !lane_is_right(input, b, logits);
            }
        }
        w->failed += rc != 0;
        ei_network_end(net);
    }
    ei_network_destroy(net);
    return NULL;
}

static void run(struct worker *workers, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        EI_EQ(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
    }
    for (int32_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
    }
}

EI_TEST(threads_share_devices)
{
    struct worker workers[THREADS];
    lane_fake()->reset(&(struct fake_cuda_config){.devices = 2, .is_real_time = 1});
    memset(workers, 0, sizeof workers);
    for (int32_t i = 0; i < THREADS; i++) {
        workers[i].jobs = JOBS;
        workers[i].settings = (struct ei_network_cuda_settings){.device_idx = i == THREADS - 1,
                                                                .priority = 10 + 20 * i,
                                                                .depth = 1 + i % 2,
                                                                .wait = i % 3 == 0   ? EI_CUDA_WAIT_BLOCK
                                                                        : i % 3 == 1 ? EI_CUDA_WAIT_POLL
                                                                                     : EI_CUDA_WAIT_SPIN,
                                                                .poll_ns = 50 * US,
                                                                .hang_ns = 60 * S,
                                                                .merge_below_ns = i % 2 == 0 ? 1 : 25 * US};
    }
    run(workers, THREADS);
    for (int32_t i = 0; i < THREADS; i++) {
        EI_EQ(workers[i].opened, 1);
        EI_EQ(workers[i].failed, 0);
    }
    EI_EQ(lane_fake()->objects(), 0);
}

/* One graph hangs: every network of the device ends by itself, and the other device's do not notice. */
EI_TEST(hang_ends_all_networks_of_its_device)
{
    struct worker workers[3];
    lane_fake()->reset(&(struct fake_cuda_config){.devices = 2, .hang_graph = 2000, .fault_device = 1});
    memset(workers, 0, sizeof workers);
    for (int32_t i = 0; i < 3; i++) {
        workers[i].jobs = i == 2 ? JOBS : 0;
        workers[i].settings = (struct ei_network_cuda_settings){.device_idx = i == 2,
                                                                .priority = 50,
                                                                .depth = 1 + i % 2,
                                                                .wait = EI_CUDA_WAIT_BLOCK,
                                                                .hang_ns = i == 2 ? 60 * S : 300 * MS,
                                                                .merge_below_ns = 1};
    }
    run(workers, 3);
    EI_TRUE(lane_api()->device_is_lost(0) != 0);
    EI_TRUE(workers[0].failed <= 1 && workers[1].failed <= 1); /* at most the job in progress */
    EI_EQ(workers[2].failed, 0);
    EI_EQ(lane_api()->device_is_lost(1), 0);
}

EI_MAIN()
