/* What a backend of network.h implements. A backend's own struct begins with struct ei_network. */
#ifndef STAGES_NN_NETWORK_BACKEND_H
#define STAGES_NN_NETWORK_BACKEND_H

#include "stages/nn/network.h"

#define EI_NETWORK_FAULT_MAX 256

struct ei_network_backend {
    int (*thread_enter)(struct ei_network *net);
    int (*begin)(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label);
    int (*run_conv)(struct ei_network *net, int32_t block_idx);
    int (*run_branch)(struct ei_network *net, int32_t block_idx, float *out_logits);
    void (*end)(struct ei_network *net);
    int (*run_monolithic)(struct ei_network *net, const float *input_chw, float *out_logits);
    void (*destroy)(struct ei_network *net);
};

/* Of backends that can cut parts into pieces. */
struct ei_network_pieces {
    int32_t (*count)(const struct ei_network *net, int32_t block_idx, bool is_branch);
    int (*run)(struct ei_network *net, int32_t block_idx, bool is_branch, int32_t piece_idx, float *out_logits);
    int64_t (*uncut)(const struct ei_network *net, struct ei_network_layer *out);
};

struct ei_network {
    const struct ei_network_backend *backend;
    const struct ei_network_pieces *pieces; /* NULL: every part is one */
    struct ei_network_info info;
    int32_t next_block;   /* conv part that may run next; -1 = no job */
    int32_t conv_piece;   /* its piece that may run next */
    int32_t branch_piece; /* of the branch before it, likewise */
    /* NULL where there is no device. */
    bool (*is_lost)(const struct ei_network *net);
    int (*begin_device)(struct ei_network *net, const void *input, void *event);
    int64_t (*part_ns)(const struct ei_network *net, int32_t block_idx, bool is_branch);
    const struct ei_cuda_parts *cuda_parts;
    /* of the branch that ran last, where the backend has one of its own */
    bool has_confidence;
    float confidence;
    char fault[EI_NETWORK_FAULT_MAX];
};

#endif
