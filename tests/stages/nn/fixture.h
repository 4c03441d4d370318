/* Small random weight files, so that the network backends can be tested without training. */
#ifndef TESTS_STAGES_NN_FIXTURE_H
#define TESTS_STAGES_NN_FIXTURE_H

#include "stages/dnnl/dnnl.h"
#include "stages/nn/network.h"
#include "stages/nn/program.h"
#include "stages/torch/torch.h"

#include <stdint.h>

struct fixture_weights {
    struct ei_program program;
    int32_t count;
    struct ei_param *params; /* [count] */
    float **numbers;         /* [count] */
};

/* The libtorch table, or skip the case. */
const struct ei_torch_api *fixture_torch_or_skip(void);

/* The oneDNN table, the calling thread set to one thread, or skip the case. */
const struct ei_dnnl_api *fixture_dnnl_or_skip(void);

/* Draw weights from the seed: of a b-alexnet, or of any network of the zoo. Freed by fixture_free. */
void fixture_draw(struct fixture_weights *w, int32_t channels, int32_t classes, uint64_t seed);
void fixture_draw_zoo(struct fixture_weights *w, const char *zoo, int32_t channels, int32_t classes, uint64_t seed);
void fixture_draw_program(struct fixture_weights *w, uint64_t seed); /* of w->program, checked */
/* A program of 4 blocks and 10 classes with every operation, and every way to fuse it and not to: slots 0 and 1 are the
 * trunk, 2 and 3 are temporary. */
void fixture_draw_everything(struct fixture_weights *w);
void fixture_free(struct fixture_weights *w);

/* Metadata that the file gets; NULL fields are left out. */
struct fixture_metadata {
    const char *zoo, *dataset, *classes, *channels, *norm_mean, *norm_std;
};
extern const struct fixture_metadata fixture_metadata_cifar;

/* Write them as float32 to path. skip_idx: a parameter to leave out, -1 = none. Returns 0 or fails the case. */
int fixture_write(const struct fixture_weights *w, const char *path, const struct fixture_metadata *metadata,
                  int32_t skip_idx);

#endif
