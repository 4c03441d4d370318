/* Scores: what every exit says to every sample. */
#include "models/profile_bench.h"
#include "stages/post/class_ops.h"

#include <stdio.h>

static int measure_sample(struct ei_profile_bench *b, int32_t sample, struct ei_cs_profile *out)
{
    int32_t label = -1;
    int rc = ei_profile_bench_begin(b, sample, &label);
    if (rc == 0) {
        out->label[sample] = (uint16_t)label;
    }
    for (int32_t i = 0; rc == 0 && i < b->info->exits; i++) {
        int32_t answer = 0;
        float confidence = 0.0F;
        rc = ei_network_run_conv(b->net, i);
        if (rc == 0) {
            rc = ei_network_run_branch(b->net, i, b->logits);
        }
        if (rc == 0) {
            (void)ei_class_top_softmax(b->logits, b->info->classes, 1, &answer, &confidence);
            rc = ei_cs_profile_set(out, sample, i, confidence, answer);
        }
    }
    ei_network_end(b->net);
    return rc;
}

int ei_profile_measure_cs(struct ei_network *net, const struct ei_dataset *dataset,
                          const struct ei_profile_progress *progress, struct ei_cs_profile *out,
                          struct einet_error *err)
{
    struct ei_profile_bench b;
    int rc = ei_profile_bench_open(&b, net, dataset, err);
    if (rc != 0) {
        return rc;
    }
    const struct ei_dataset_info *info = ei_dataset_info(dataset);
    struct ei_cs_profile profile;
    rc = ei_cs_profile_init(&profile, b.info->exits, info->count, info->classes, err);
    if (rc != 0) {
        ei_profile_bench_close(&b);
        return rc;
    }
    for (int32_t s = 0; rc == 0 && s < info->count; s++) {
        rc = measure_sample(&b, s, &profile);
        rc = rc != 0 ? ei_profile_bench_fault(&b, rc, err)
                     : ei_profile_report(progress, "scores", s + 1, info->count, err);
    }
    if (rc == 0) {
        snprintf(profile.network, sizeof profile.network, "%s", b.info->name);
        snprintf(profile.dataset, sizeof profile.dataset, "%s", info->name);
        snprintf(profile.split, sizeof profile.split, "%s", info->split);
        snprintf(profile.weights_sha256, sizeof profile.weights_sha256, "%s", b.info->weights_sha256);
        profile.precision = b.info->precision == EI_NETWORK_BFLOAT16 ? EI_PROFILE_BFLOAT16 : EI_PROFILE_FLOAT32;
        ei_cs_profile_summarize(&profile);
        *out = profile;
    } else {
        ei_cs_profile_fini(&profile);
    }
    ei_profile_bench_close(&b);
    return rc;
}
