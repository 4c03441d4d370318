/* Networks on the fake CUDA runtime: a recorder whose kernels compute something that the host can compute, too. */
#ifndef TESTS_STAGES_CUDA_FIXTURE_H
#define TESTS_STAGES_CUDA_FIXTURE_H

#include "stages/cuda/loader.h"
#include "stages/nn/network_cuda.h"
#include "tests/fakes/fake_cudart.h"

#define LANE_BLOCKS_MAX 8
#define LANE_CLASSES 3
#define LANE_INPUT 12 /* 3 x 2 x 2 */

struct lane_recorder;

#define LANE_LAYERS_MAX 6 /* of a part */

/* One kernel of a part: one of its layers. */
struct lane_kernel {
    struct lane_recorder *recorder;
    int32_t block_idx, layer_idx, layers, is_branch;
};

/* What layers of a part leave for the next one; all conv parts share one, and all branches, as they share memory. */
struct lane_between {
    int32_t block_idx, layer_idx; /* that has run */
    float value;
};

struct lane_recorder {
    int32_t exits;
    int64_t conv_ns[LANE_BLOCKS_MAX], branch_ns[LANE_BLOCKS_MAX];
    int32_t fail_block_idx; /* whose conv part cannot be recorded; -1 = none */
    int32_t *destroyed;     /* counts */
    int32_t stream_id;      /* of the network, known after it was recorded */
    uint64_t groups;        /* of SMs, likewise: those of its stream */
    float *input, *state, *logits;
    int32_t layers; /* of every part; its time is that of each, in the order 1 : 2 : ... : layers */
    struct lane_between conv_between, branch_between;
    struct lane_kernel kernel[LANE_BLOCKS_MAX][2][LANE_LAYERS_MAX];
    struct lane_recorder *next_kept;
};

/* The plug-in on the fake, and the fake's table; ends the case as skipped where it was not built. */
const struct ei_cuda_api *lane_api(void);
const struct fake_cuda_control *lane_fake(void);

/* A network of `exits` blocks; durations[2 * b] of conv part b, [2 * b + 1] of its branch. Returns what creation
 * returned. The recorder that out_recorder is given belongs to the network. */
int lane_open(int32_t exits, const int64_t *durations_ns, const struct ei_network_cuda_settings *settings,
              int32_t *destroyed, struct ei_network **out, struct lane_recorder **out_recorder,
              struct einet_error *err);

/* The same; every part has so many layers. */
int lane_open_layers(int32_t exits, int32_t layers, const int64_t *durations_ns,
                     const struct ei_network_cuda_settings *settings, int32_t *destroyed, struct ei_network **out,
                     struct lane_recorder **out_recorder, struct einet_error *err);

/* What layer layer_idx takes of a part. */
int64_t lane_layer_ns(int64_t part_ns, int32_t layers, int32_t layer_idx);

/* What exit block_idx has to answer for this input. */
void lane_reference(const float *input, int32_t block_idx, float *out_logits);
void lane_input(uint64_t seed, float *out_input);
/* Whether the logits are those of the exit. */
int lane_is_right(const float *input, int32_t block_idx, const float *logits);

/* A job with all exits; checks what it answers. Returns the first code that was not 0. */
int lane_job(struct ei_network *net, uint64_t seed);

#endif
