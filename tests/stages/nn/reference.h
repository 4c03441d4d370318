/* A plain C interpreter of layer programs with naive loops: the oracle of the libtorch backend. Inference only. */
#ifndef TESTS_STAGES_NN_REFERENCE_H
#define TESTS_STAGES_NN_REFERENCE_H

#include "stages/nn/prepared.h"
#include "tests/stages/nn/fixture.h"

/* out_logits: [blocks * classes]. Every operation of program.h. */
void reference_forward(const struct fixture_weights *w, const float *input_chw, float *out_logits);

/* One part of it, from what goes in to what comes out. */
void reference_part(const struct fixture_weights *w, int32_t block_idx, bool branch,
                    const struct ei_prepared_exchange *exchange);

#endif
