/* What an emulated network draws: block times and answers, as functions of seeds. The `emulate` backend burns these
 * times; the virtual engine lets them pass. Both see the same numbers in the same order.
 */
#ifndef STAGES_NN_EMULATE_H
#define STAGES_NN_EMULATE_H

#include "rt/random.h"
#include <einet/attributes.h>
#include <stdint.h>

#define EI_EMULATED_BLOCK_MAX_NS INT64_C(60000000000)
#define EI_EMULATED_PIECES_MAX 512 /* of a network */

/* Spread of a lognormal time with the given median and 99th percentile (2.3263 standard deviations above); 0 = every
 * time is the median. */
double ei_emulated_sigma(int64_t median_ns, int64_t p99_ns);

/* One time. Draws from rng only when sigma > 0. */
EINET_RT int64_t ei_emulated_time_ns(struct ei_random *rng, int64_t median_ns, double sigma);

/* Pieces of a part where none may be longer than split_above_ns at the 99th percentile: even ones. 1 = it stays whole,
 * as with split_above_ns 0. */
EINET_RT int32_t ei_emulated_pieces(int64_t median_ns, int64_t p99_ns, int64_t split_above_ns);

/* What piece piece_idx of `pieces` takes of a part's time. */
EINET_RT int64_t ei_emulated_piece_ns(int64_t part_ns, int32_t pieces, int32_t piece_idx);

/* Answers to one sample: right at every exit whose score is above the draw. */
struct ei_emulated_sample {
    double draw;
    int32_t right_label, wrong_label;
};

/* label: the true class, -1 = unknown (one is drawn). sample_idx -1: no input. */
EINET_RT struct ei_emulated_sample ei_emulated_sample_draw(uint64_t seed, int32_t sample_idx, int32_t label,
                                                           int32_t classes);

/* Logits whose softmax gives the answer the score's probability. out_logits: float [classes]. */
EINET_RT void ei_emulated_logits(const struct ei_emulated_sample *sample, double score, int32_t classes,
                                 float *out_logits);

#endif
