/* Profiles in memory: quantiles, summaries, checks that name the field. */
#include "planner/profile.h"

#include "tests/harness/harness.h"
#include "tests/planner/sample_profiles.h"

#include <errno.h>

EI_TEST(et_profile_yields_quantiles)
{
    const struct ei_et_profile et = sample_et_profile(3);
    int64_t conv_ns[3], branch_ns[3];
    ei_et_profile_times(&et, EI_TIME_P50, conv_ns, branch_ns);
    EI_EQ(conv_ns[1], et.conv[1].p50_ns);
    EI_EQ(branch_ns[2], et.branch[2].p50_ns);
    ei_et_profile_times(&et, EI_TIME_P99, conv_ns, branch_ns);
    EI_EQ(conv_ns[0], et.conv[0].p99_ns);
    ei_et_profile_times(&et, EI_TIME_MAX, conv_ns, branch_ns);
    EI_EQ(branch_ns[0], et.branch[0].max_ns);
    int64_t total_ns = 0;
    for (int i = 0; i < 3; i++) {
        total_ns += et.conv[i].p99_ns + et.branch[i].p99_ns;
    }
    EI_EQ(ei_et_profile_total_ns(&et, EI_TIME_P99), total_ns);
}

static void refuse_et(struct ei_et_profile et, int code, const char *field)
{
    struct einet_error err = {.code = 0};
    EI_EQ(ei_et_profile_check(&et, &err), code);
    EI_CONTAINS(err.text, field);
}

EI_TEST(et_profile_check_names_the_field)
{
    const struct ei_et_profile good = sample_et_profile(3);
    EI_EQ(ei_et_profile_check(&good, NULL), 0);
    struct ei_et_profile et = good;
    et.exits = 65;
    refuse_et(et, EINET_E_LIMIT, "exits");
    et.exits = 0;
    refuse_et(et, EINET_E_USAGE, "exits");
    et = good;
    et.threads = 0;
    refuse_et(et, EINET_E_USAGE, "threads");
    et = good;
    et.samples = 0;
    refuse_et(et, EINET_E_USAGE, "samples");
    et = good;
    et.mode = (enum ei_et_mode)7;
    refuse_et(et, EINET_E_USAGE, "mode");
    et = good;
    et.policy = (enum ei_et_policy)2;
    refuse_et(et, EINET_E_USAGE, "policy");
    et = good;
    et.policy = EI_ET_OTHER;
    refuse_et(et, EINET_E_USAGE, "priority is 50, must be 0");
    et = good;
    et.priority = 0;
    refuse_et(et, EINET_E_USAGE, "priority is 0, must be within 1..99");
    et.priority = 100;
    refuse_et(et, EINET_E_USAGE, "priority is 100");
    et = good;
    et.memory = (enum ei_et_memory)9;
    refuse_et(et, EINET_E_USAGE, "memory");
    et = good;
    et.precision = (enum ei_profile_precision)3;
    refuse_et(et, EINET_E_USAGE, "precision");
    et = good;
    strcpy(et.governor, "fast ");
    refuse_et(et, EINET_E_USAGE, "governor");
    et = good;
    et.conv[1].p50_ns = -1;
    refuse_et(et, EINET_E_USAGE, "conv_p50_ns of exit_idx 1");
    et = good;
    et.branch[2].p99_ns = et.branch[2].p50_ns - 1;
    refuse_et(et, EINET_E_USAGE, "branch_p99_ns of exit_idx 2");
    et = good;
    et.branch[0].max_ns = 0;
    refuse_et(et, EINET_E_USAGE, "branch_max_ns of exit_idx 0");
    et = good;
    et.conv[2].max_ns = INT64_MAX;
    refuse_et(et, EINET_E_USAGE, "conv_max_ns of exit_idx 2");
    et = good;
    et.network[0] = 0;
    refuse_et(et, EINET_E_USAGE, "network");
    et = good;
    strcpy(et.machine, "two\nlines");
    refuse_et(et, EINET_E_USAGE, "machine");
    et = good;
    memset(et.lane, 'x', sizeof et.lane);
    refuse_et(et, EINET_E_USAGE, "lane");
    et = good;
    et.weights_sha256[63] = 'G';
    refuse_et(et, EINET_E_USAGE, "weights_sha256");
    et.weights_sha256[63] = 0;
    refuse_et(et, EINET_E_USAGE, "weights_sha256");
}

EI_TEST(cs_profile_init_checks_its_counts)
{
    struct ei_cs_profile cs;
    struct einet_error err = {.code = 0};
    EI_EQ(ei_cs_profile_init(&cs, 65, 10, 10, &err), EINET_E_LIMIT);
    EI_CONTAINS(err.text, "exits");
    EI_EQ(ei_cs_profile_init(&cs, 3, 0, 10, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "samples");
    EI_EQ(ei_cs_profile_init(&cs, 3, EI_CS_SAMPLES_MAX + 1, 10, &err), EINET_E_LIMIT);
    EI_EQ(ei_cs_profile_init(&cs, 3, 10, 1, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "classes");
    EI_EQ(ei_cs_profile_init(&cs, 3, 10, 65537, &err), EINET_E_LIMIT);
}

EI_TEST(cs_profile_set_and_summarize)
{
    struct ei_cs_profile cs;
    EI_REQUIRE(ei_cs_profile_init(&cs, 2, 4, 10, NULL) == 0);
    for (int32_t s = 0; s < 4; s++) {
        cs.label[s] = (uint16_t)s;
        EI_EQ(ei_cs_profile_set(&cs, s, 0, 0.25F * (float)s, 0), 0);
        EI_EQ(ei_cs_profile_set(&cs, s, 1, 1.0F, s == 3 ? 9 : s), 0);
    }
    ei_cs_profile_summarize(&cs);
    EI_NEAR(cs.mean_score[0], 0.375, 1e-5);
    EI_NEAR(cs.mean_score[1], 1, 0);
    EI_NEAR(cs.accuracy[0], 0.25, 0);
    EI_NEAR(cs.accuracy[1], 0.75, 0);
    EI_NEAR(ei_cs_profile_score(&cs, 3, 0), 0.75, 1e-5);
    EI_EQ(cs.top_label[3 * 2 + 1], 9);
    EI_EQ(ei_cs_profile_set(&cs, 0, 0, NAN, 0), -EINVAL);
    EI_EQ(ei_cs_profile_set(&cs, 0, 0, 1.01F, 0), -EINVAL);
    EI_EQ(ei_cs_profile_set(&cs, 0, 0, -0.01F, 0), -EINVAL);
    EI_EQ(ei_cs_profile_set(&cs, 4, 0, 0.5F, 0), -EINVAL);
    EI_EQ(ei_cs_profile_set(&cs, 0, 2, 0.5F, 0), -EINVAL);
    EI_EQ(ei_cs_profile_set(&cs, 0, 0, 0.5F, 10), -EINVAL);
    EI_EQ(ei_cs_profile_set(&cs, -1, 0, 0.5F, 0), -EINVAL);
    EI_EQ(cs.confidence[0], 0);
    ei_cs_profile_fini(&cs);
    ei_cs_profile_fini(&cs);
}

EI_TEST(cs_profile_check_names_the_field)
{
    struct ei_cs_profile cs;
    struct einet_error err = {.code = 0};
    EI_REQUIRE(sample_cs_profile(&cs, 3, 20, 10) == 0);
    EI_EQ(ei_cs_profile_check(&cs, &err), 0);
    cs.label[7] = 10;
    EI_EQ(ei_cs_profile_check(&cs, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "label of sample 7");
    cs.label[7] = 0;
    cs.top_label[5 * 3 + 2] = 10;
    EI_EQ(ei_cs_profile_check(&cs, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "top_label of sample 5 at exit_idx 2");
    cs.top_label[5 * 3 + 2] = 0;
    cs.dataset[0] = 0;
    EI_EQ(ei_cs_profile_check(&cs, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "dataset");
    strcpy(cs.dataset, "generated");
    cs.precision = (enum ei_profile_precision)2;
    EI_EQ(ei_cs_profile_check(&cs, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "precision");
    cs.precision = EI_PROFILE_BFLOAT16;
    strcpy(cs.split, " test");
    EI_EQ(ei_cs_profile_check(&cs, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "split");
    ei_cs_profile_fini(&cs);
}

EI_TEST(times_match_the_lane_that_they_are_of)
{
    struct ei_et_profile et = sample_et_profile(3);
    struct einet_error err = {.code = 0};
    EI_EQ(ei_et_profile_match_lane(&et, false, 0, &err), 0);
    EI_EQ(ei_et_profile_match_lane(&et, true, 0, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "the lane in question is a GPU without sms");
    ei_et_profile_set_device(&et, 2, 0);
    EI_STREQ(et.lane, "cuda:2");
    EI_EQ(ei_et_profile_match_lane(&et, true, 0, &err), 0);
    EI_EQ(ei_et_profile_match_lane(&et, true, 32, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "was measured on lane `cuda:2`, and the lane in question is a GPU with sms: 32");
    ei_et_profile_set_device(&et, 2, 32);
    EI_STREQ(et.lane, "cuda:2 sms:32");
    EI_EQ(ei_et_profile_match_lane(&et, true, 32, &err), 0);
    EI_EQ(ei_et_profile_match_lane(&et, true, 16, &err), EINET_E_MISMATCH);
    EI_EQ(ei_et_profile_match_lane(&et, true, 0, &err), EINET_E_MISMATCH);
    EI_EQ(ei_et_profile_match_lane(&et, false, 0, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "the lane in question is a CPU");
}

EI_TEST(profiles_match_network_exits_and_weights)
{
    struct ei_et_profile et = sample_et_profile(3);
    struct ei_cs_profile cs;
    struct einet_error err = {.code = 0};
    EI_REQUIRE(sample_cs_profile(&cs, 3, 20, 10) == 0);
    char other[EI_SHA256_TEXT_MAX];
    memcpy(other, et.weights_sha256, sizeof other);
    other[0] = other[0] == '0' ? '1' : '0';
    EI_EQ(ei_et_profile_match(&et, "b-alexnet", 3, et.weights_sha256, &err), 0);
    EI_EQ(ei_cs_profile_match(&cs, "b-alexnet", 3, et.weights_sha256, &err), 0);
    EI_EQ(ei_et_profile_match(&et, NULL, 3, NULL, &err), 0);
    EI_EQ(ei_et_profile_match(&et, "b-alexnet", 3, other, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "weights_sha256");
    EI_EQ(ei_cs_profile_match(&cs, "b-alexnet", 3, other, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "weights_sha256");
    EI_EQ(ei_cs_profile_match(&cs, "b-alexnet", 4, NULL, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "exits");
    EI_EQ(ei_et_profile_match(&et, "vgg-16", 3, NULL, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "network");
    et.weights_sha256[0] = 0; /* emulated: of no particular weights */
    EI_EQ(ei_et_profile_match(&et, "b-alexnet", 3, other, &err), 0);
    ei_cs_profile_fini(&cs);
}
