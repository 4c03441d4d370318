/* Folding batch norms into the layer before them. Set-up only, no library. */
#ifndef STAGES_NN_PREPARED_FOLD_H
#define STAGES_NN_PREPARED_FOLD_H

#include "stages/nn/fuse.h"

/* A program's parameters by operation. Borrows program and params. */
struct ei_program_numbers {
    const struct ei_program *program;
    const float *const *params; /* in walking order */
    int32_t first_param[EI_PROGRAM_OPS_MAX];
};

void ei_program_numbers_find(const struct ei_program *program, const float *const *params,
                             struct ei_program_numbers *out);

/* y = x * scale + shift of a batch norm. */
void ei_norm_of_channel(const struct ei_program_numbers *numbers, int32_t norm_idx, int32_t channel, double *scale,
                        double *shift);

/* Weights and bias (or NULL) of a convolution or linear layer with its batch norm folded in; the program's own where
 * there is none. */
struct ei_folded {
    const float *weight, *bias;
    float *scaled, *shifted; /* owned */
};

/* Returns 0 or -ENOMEM. */
int ei_fold(const struct ei_program_numbers *numbers, const struct ei_fused_step *step, struct ei_folded *out);

void ei_folded_fini(struct ei_folded *folded);

#endif
