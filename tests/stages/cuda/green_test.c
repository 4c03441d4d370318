/* SMs that belong to one lane, on the fake CUDA runtime. What is reserved stays reserved in a process; each case is
 * one.
 */
#include "tests/harness/harness.h"
#include "tests/stages/cuda/fixture.h"

#define US INT64_C(1000)
#define S INT64_C(1000000000)

static const int64_t durations[] = {100 * US, 10 * US, 100 * US, 10 * US};

static int open_on(int32_t lane_idx, int32_t sms, struct ei_network **out, struct lane_recorder **out_recorder,
                   struct einet_error *err)
{
    const struct ei_network_cuda_settings settings = {.priority = 50,
                                                      .depth = 1,
                                                      .wait = EI_CUDA_WAIT_BLOCK,
                                                      .hang_ns = 20 * S,
                                                      .merge_below_ns = 1,
                                                      .sms = sms,
                                                      .lane_idx = lane_idx,
                                                      .signal = lane_idx % 2 == 0 ? EI_CUDA_SIGNAL_COPY
                                                                                  : EI_CUDA_SIGNAL_WRITE};
    *out = NULL;
    return lane_open(2, durations, &settings, NULL, out, out_recorder, err);
}

static void reset(int32_t sms, enum fake_green green)
{
    lane_fake()->reset(&(struct fake_cuda_config){.devices = 1, .is_stepped = 1, .sms = sms, .green = (int32_t)green});
}

EI_TEST(lanes_have_multiprocessors_of_their_own)
{
    struct ei_network *nets[4];
    struct lane_recorder *r[4];
    struct einet_error err = {0};
    reset(132, FAKE_GREEN_ALL_WELL);
    EI_REQUIRE(open_on(0, 64, &nets[0], &r[0], &err) == 0);
    EI_REQUIRE(open_on(1, 17, &nets[1], &r[1], &err) == 0); /* whole groups of 8 */
    EI_REQUIRE(open_on(0, 64, &nets[2], &r[2], &err) == 0); /* another task of the first lane */
    EI_REQUIRE(open_on(2, 0, &nets[3], &r[3], &err) == 0);
    EI_EQ(__builtin_popcountll(r[0]->groups), 8);
    EI_EQ(__builtin_popcountll(r[1]->groups), 3);
    EI_EQ(r[0]->groups & r[1]->groups, 0);
    EI_EQ(r[2]->groups, r[0]->groups);
    EI_EQ(r[3]->groups, 0);
    for (int32_t i = 0; i < 4; i++) {
        EI_EQ(lane_job(nets[i], (uint64_t)i), 0);
        ei_network_destroy(nets[i]);
    }
    EI_EQ(lane_fake()->objects(), 0);
    /* They stay the lane's when its networks are gone. */
    EI_REQUIRE(open_on(1, 17, &nets[0], &r[0], &err) == 0);
    EI_EQ(__builtin_popcountll(r[0]->groups), 3);
    EI_EQ(lane_job(nets[0], 9), 0);
    ei_network_destroy(nets[0]);
}

EI_TEST(more_multiprocessors_than_are_left_are_refused)
{
    struct ei_network *net, *other;
    struct einet_error err = {0};
    reset(30, FAKE_GREEN_ALL_WELL); /* three groups, and six SMs that belong to none */
    EI_REQUIRE(open_on(0, 16, &net, NULL, &err) == 0);
    EI_EQ(open_on(1, 9, &other, NULL, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "a lane asks for 9 SMs, and 8 of 30 are left, in groups of 8");
    EI_TRUE(other == NULL);
    EI_REQUIRE(open_on(1, 8, &other, NULL, &err) == 0);
    ei_network_destroy(net);
    ei_network_destroy(other);
    EI_EQ(lane_fake()->objects(), 0);
}

EI_TEST(older_driver_is_told_so)
{
    struct ei_network *net;
    struct einet_error err = {0};
    reset(0, FAKE_GREEN_NO_DRIVER);
    EI_EQ(open_on(0, 8, &net, NULL, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "its driver knows no cuDeviceGetDevResource: sms needs the driver of CUDA 12.5 or later");
    EI_REQUIRE(open_on(0, 0, &net, NULL, &err) == 0); /* without sms all is as ever */
    ei_network_destroy(net);
    EI_EQ(lane_fake()->objects(), 0);
}

EI_TEST(device_without_green_contexts_is_told_so)
{
    struct ei_network *net;
    struct einet_error err = {0};
    reset(0, FAKE_GREEN_NO_DEVICE);
    EI_EQ(open_on(0, 8, &net, NULL, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "asking for its SMs: error 801 (CUDA_ERROR_NOT_SUPPORTED)");
    EI_CONTAINS(err.text, "take it from the lane");
    EI_EQ(lane_fake()->objects(), 0);
}

EI_MAIN()
