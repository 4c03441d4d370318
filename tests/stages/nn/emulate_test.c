#include "stages/nn/network.h"
#include "stages/post/class_ops.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static const struct ei_network_emulate_config base = {
    .exits = 3, .classes = 10, .channels = 3, .height_px = 32, .width_px = 32, .score = {0.5F, 0.7F, 0.9F}, .seed = 7};

EI_TEST(calls_keep_their_order)
{
    struct ei_network *net = NULL;
    float logits[30];
    EI_REQUIRE(ei_network_open_emulate(&base, &net, NULL) == 0);
    EI_EQ(ei_network_thread_enter(net), 0);
    EI_EQ(ei_network_run_conv(net, 0), -EINVAL); /* no job yet */
    EI_EQ(ei_network_begin(net, NULL, 0, 3), 0);
    EI_EQ(ei_network_run_branch(net, 0, logits), -EINVAL);
    EI_EQ(ei_network_run_conv(net, 1), -EINVAL);
    EI_EQ(ei_network_run_conv(net, 0), 0);
    EI_EQ(ei_network_run_branch(net, 1, logits), -EINVAL);
    EI_EQ(ei_network_run_branch(net, 0, logits), 0);
    EI_EQ(ei_network_run_conv(net, 0), -EINVAL);
    EI_EQ(ei_network_run_conv(net, 1), 0);
    EI_EQ(ei_network_run_branch(net, 0, logits), -EINVAL); /* its time has passed */
    EI_EQ(ei_network_run_conv(net, 2), 0);
    EI_EQ(ei_network_run_branch(net, 2, logits), 0);
    EI_EQ(ei_network_run_conv(net, 3), -EINVAL);
    ei_network_end(net);
    EI_EQ(ei_network_run_branch(net, 2, logits), -EINVAL);
    EI_EQ(ei_network_begin(net, NULL, 1, 3), 0); /* a new job after one that was cut */
    EI_EQ(ei_network_run_conv(net, 0), 0);
    EI_EQ(ei_network_begin(net, NULL, 2, 3), 0);
    EI_EQ(ei_network_run_conv(net, 0), 0);
    EI_EQ(ei_network_run_monolithic(net, NULL, logits), 0);
    ei_network_destroy(net);
    ei_network_destroy(NULL);
}

EI_TEST(answers_follow_the_scores)
{
    enum { SAMPLES = 20000 };
    struct ei_network *net = NULL;
    EI_REQUIRE(ei_network_open_emulate(&base, &net, NULL) == 0);
    EI_EQ(ei_network_info(net)->exits, 3);
    EI_STREQ(ei_network_info(net)->backend, "emulate");
    int64_t right[3] = {0}, nested = 0;
    double confidence[3] = {0};
    for (int32_t s = 0; s < SAMPLES; s++) {
        const int32_t label = s % 10;
        bool before = false, is_nested = true;
        ei_network_begin(net, NULL, s, label);
        for (int32_t b = 0; b < 3; b++) {
            float logits[10], p;
            int32_t answer;
            ei_network_run_conv(net, b);
            ei_network_run_branch(net, b, logits);
            ei_class_top_softmax(logits, 10, 1, &answer, &p);
            right[b] += answer == label;
            confidence[b] = (double)p;
            is_nested = is_nested && (!before || answer == label);
            before = answer == label;
        }
        nested += is_nested;
    }
    for (int b = 0; b < 3; b++) {
        EI_NEAR((double)right[b] / SAMPLES, base.score[b], 0.015);
        EI_NEAR(confidence[b], base.score[b], 1e-4);
    }
    EI_EQ(nested, SAMPLES);
    ei_network_destroy(net);
}

EI_TEST(seed_decides)
{
    struct ei_network *nets[3];
    struct ei_network_emulate_config other = base;
    other.seed = 8;
    EI_REQUIRE(ei_network_open_emulate(&base, &nets[0], NULL) == 0);
    EI_REQUIRE(ei_network_open_emulate(&base, &nets[1], NULL) == 0);
    EI_REQUIRE(ei_network_open_emulate(&other, &nets[2], NULL) == 0);
    int same = 0, differ = 0;
    for (int32_t s = 0; s < 500; s++) {
        int32_t answer[3];
        for (int n = 0; n < 3; n++) {
            float logits[10];
            ei_network_begin(nets[n], NULL, s, 4);
            ei_network_run_conv(nets[n], 0);
            ei_network_run_branch(nets[n], 0, logits);
            answer[n] = ei_class_argmax(logits, 10);
        }
        same += answer[0] == answer[1];
        differ += answer[0] != answer[2];
    }
    EI_EQ(same, 500);
    EI_TRUE(differ > 100);
    for (int n = 0; n < 3; n++) {
        ei_network_destroy(nets[n]);
    }
}

/* Work takes at least its processor time, also when the thread is preempted in between. */
EI_TEST(work_takes_processor_time)
{
    struct ei_network_emulate_config config = base;
    config.conv_ns[0] = 20000000;
    struct ei_network *net = NULL;
    EI_REQUIRE(ei_network_open_emulate(&config, &net, NULL) == 0);
    struct timespec from, to;
    ei_network_begin(net, NULL, 0, 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    EI_EQ(ei_network_run_conv(net, 0), 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    const int64_t used_ns = (to.tv_sec - from.tv_sec) * INT64_C(1000000000) + to.tv_nsec - from.tv_nsec;
    EI_TRUEF(used_ns >= 19000000, "20 ms of work took %lld ns of processor time", (long long)used_ns);
    ei_network_destroy(net);
}

static void expect_refused(const struct ei_network_emulate_config *config, const char *text)
{
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    EI_EQ(ei_network_open_emulate(config, &net, &err), EINET_E_USAGE);
    EI_TRUE(net == NULL);
    EI_CONTAINS(err.text, text);
}

EI_TEST(bad_configurations_are_refused)
{
    struct ei_network_emulate_config c = base;
    c.exits = 0;
    expect_refused(&c, "1 to 64 exits");
    c = base;
    c.exits = EI_NETWORK_BLOCKS_MAX + 1;
    expect_refused(&c, "1 to 64 exits");
    c = base;
    c.classes = 1;
    expect_refused(&c, "classes");
    c = base;
    c.channels = 2;
    expect_refused(&c, "channels");
    c = base;
    c.conv_ns[1] = -1;
    expect_refused(&c, "block 2");
    c = base;
    c.branch_ns[2] = INT64_C(61000000000);
    expect_refused(&c, "block 3");
    c = base;
    c.score[0] = 1.5F;
    expect_refused(&c, "score of emulated block 1");
}

EI_MAIN()
