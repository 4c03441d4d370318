/* What measuring times and measuring scores share: a network with its data set, preprocessed sample by sample. Offline
 * code; a bench is used by one thread, which becomes a thread of the network.
 */
#ifndef MODELS_PROFILE_BENCH_H
#define MODELS_PROFILE_BENCH_H

#include "models/profile.h"
#include "stages/pre/image_ops.h"

struct ei_profile_bench {
    struct ei_network *net;
    const struct ei_network_info *info;
    const struct ei_dataset *dataset;
    struct ei_pre *pre;
    float *input, *logits;
};

/* Returns 0; EINET_E_MISMATCH (pictures or classes of another kind, both named); EINET_E_BACKEND; -ENOMEM. On error
 * there is nothing to close. */
int ei_profile_bench_open(struct ei_profile_bench *b, struct ei_network *net, const struct ei_dataset *dataset,
                          struct einet_error *err);
void ei_profile_bench_close(struct ei_profile_bench *b);

/* Preprocess sample idx and begin a job with it. */
int ei_profile_bench_begin(struct ei_profile_bench *b, int32_t idx, int32_t *out_label);

/* Turn a code of begin or of a run call into an error. */
int ei_profile_bench_fault(const struct ei_profile_bench *b, int rc, struct einet_error *err);

/* Report progress; -EINTR when it was told to stop. */
int ei_profile_report(const struct ei_profile_progress *progress, const char *phase, int64_t done, int64_t total,
                      struct einet_error *err);

#endif
