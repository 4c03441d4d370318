/* Shared by the sources of models/convert.h. */
#ifndef MODELS_CONVERT_PARTS_H
#define MODELS_CONVERT_PARTS_H

#include "models/convert.h"
#include "stages/nn/safetensors.h"
#include "stages/torch/torch.h"

/* All parameters of a program, drawn from the seed: convolutions and linear layers after He et al. 2015, normalisation
 * as the identity. */
struct ei_convert_weights {
    int32_t count;
    struct ei_param *params; /* [count] */
    float **numbers;         /* [count][params[i].count] */
};

int ei_convert_weights_init(struct ei_convert_weights *weights, const struct ei_program *program, uint64_t seed,
                            struct einet_error *err);
void ei_convert_weights_fini(struct ei_convert_weights *weights);

/* Write them in float32 with metadata. */
int ei_convert_weights_write(const struct ei_convert_weights *weights, const char *path,
                             const struct ei_safetensors_pair *pairs, int32_t pair_count, struct einet_error *err);

/* The chain as a program of one block: all links in its conv part, a flatten as its branch. Identities are left out. */
struct ei_convert_flat {
    struct ei_program program;
    int32_t layer_of[EI_PROGRAM_OPS_MAX]; /* link of each operation */
    bool is_conv[EI_PROGRAM_OPS_MAX];     /* convolution, or a TorchScript part with weights that gives a picture */
    struct ei_shape shape[EI_PROGRAM_OPS_MAX];
};

/* Cut a flat program into blocks with heads and the last exit. layer_of: for each operation of out its link, -1 = new;
 * names: links for errors. Returns 0 or EINET_E_USAGE. */
int ei_convert_cut(const struct ei_convert_chain_config *config, const struct ei_convert_flat *flat,
                   struct ei_program *out, int32_t *layer_of, struct einet_error *err);

#endif
