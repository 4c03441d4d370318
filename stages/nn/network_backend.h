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

struct ei_network {
    const struct ei_network_backend *backend;
    struct ei_network_info info;
    int32_t next_block; /* conv part that may run next; -1 = no job */
    /* NULL where there is no device. */
    bool (*is_lost)(const struct ei_network *net);
    int64_t (*part_ns)(const struct ei_network *net, int32_t block_idx, bool is_branch);
    const struct ei_cuda_parts *cuda_parts;
    char fault[EI_NETWORK_FAULT_MAX];
};

#endif
