/* Small valid profiles for tests. */
#ifndef TESTS_PLANNER_SAMPLE_PROFILES_H
#define TESTS_PLANNER_SAMPLE_PROFILES_H

#include "planner/profile.h"

#include "rt/random.h"

#include <string.h>

#define SAMPLE_SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static inline struct ei_et_profile sample_et_profile(int32_t exits)
{
    struct ei_et_profile et = {.exits = exits, .threads = 1, .samples = 500, .mode = EI_ET_SEQUENTIAL};
    strcpy(et.network, "b-alexnet");
    strcpy(et.weights_sha256, SAMPLE_SHA256);
    strcpy(et.machine, "test machine, 2 x 3.0 GHz");
    strcpy(et.cpu_model, "test processor");
    strcpy(et.kernel, "6.1.0 x86_64");
    strcpy(et.governor, "performance");
    strcpy(et.backend, "aten, libtorch 1.13.0");
    strcpy(et.lane, "cpu");
    strcpy(et.cpus, "1");
    et.policy = EI_ET_FIFO;
    et.priority = 50;
    et.memory = EI_ET_LOCKED;
    for (int32_t i = 0; i < exits; i++) {
        et.conv[i] = (struct ei_time_stats){1000 + 100 * i, 1200 + 110 * i, 9000 + 7 * i};
        et.branch[i] = (struct ei_time_stats){300 + 10 * i, 333 + 11 * i, 2000 + i};
    }
    return et;
}

/* Random answers from a fixed seed. Returns what ei_cs_profile_init returns. */
static inline int sample_cs_profile(struct ei_cs_profile *out, int32_t exits, int32_t samples, int32_t classes)
{
    const int status = ei_cs_profile_init(out, exits, samples, classes, NULL);
    if (status != 0) {
        return status;
    }
    struct ei_random rng;
    ei_random_init(&rng, 11, 0);
    strcpy(out->network, "b-alexnet");
    strcpy(out->dataset, "generated");
    strcpy(out->split, "test");
    strcpy(out->weights_sha256, SAMPLE_SHA256);
    for (int32_t s = 0; s < samples; s++) {
        out->label[s] = (uint16_t)ei_random_below(&rng, (uint64_t)classes);
        for (int32_t e = 0; e < exits; e++) {
            const int32_t top =
                ei_random_below(&rng, 2) == 0 ? out->label[s] : (int32_t)ei_random_below(&rng, (uint64_t)classes);
            ei_cs_profile_set(out, s, e, (float)ei_random_unit(&rng), top);
        }
    }
    ei_cs_profile_summarize(out);
    return 0;
}

#endif
