/* Accuracy of every exit over a data set, in batches. */
#ifndef MODELS_EVALUATE_H
#define MODELS_EVALUATE_H

#include "models/batch.h"
#include "stages/nn/exec.h"

#define EI_EVALUATE_BATCH_MAX 128

/* batch: samples at once, 1 .. EI_EVALUATE_BATCH_MAX; 1 gives the very numbers of live inference, since sums may be
 * ordered otherwise in larger batches. out_accuracy: [exits], 0..1. The thread must be in the api's inference mode.
 * Returns 0, EINET_E_BACKEND or -ENOMEM. */
int ei_evaluate_exits(const struct ei_torch_api *api, struct ei_exec *exec, const struct ei_dataset *dataset,
                      const struct ei_batch_norm_stats *stats, int32_t batch, float *out_accuracy,
                      struct einet_error *err);

#endif
