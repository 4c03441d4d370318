/* See emulate.h. */
#include "stages/nn/emulate.h"

#include <math.h>

double ei_emulated_sigma(int64_t median_ns, int64_t p99_ns)
{
    return p99_ns <= median_ns || median_ns == 0 ? 0.0 : log((double)p99_ns / (double)median_ns) / 2.326347874;
}

int64_t ei_emulated_time_ns(struct ei_random *rng, int64_t median_ns, double sigma)
{
    if (sigma <= 0.0) {
        return median_ns;
    }
    const double ns = (double)median_ns * exp(sigma * ei_random_normal(rng));
    return ns < (double)EI_EMULATED_BLOCK_MAX_NS ? (int64_t)ns : EI_EMULATED_BLOCK_MAX_NS;
}

int32_t ei_emulated_pieces(int64_t median_ns, int64_t p99_ns, int64_t split_above_ns)
{
    const int64_t longest_ns = p99_ns > median_ns ? p99_ns : median_ns;
    if (split_above_ns <= 0 || longest_ns <= split_above_ns) {
        return 1;
    }
    const int64_t pieces = (longest_ns - 1) / split_above_ns + 1;
    return pieces < INT32_MAX ? (int32_t)pieces : INT32_MAX;
}

int64_t ei_emulated_piece_ns(int64_t part_ns, int32_t pieces, int32_t piece_idx)
{
    /* Whole ns, the longest first, so that none is longer than the share of the longest part. */
    return part_ns / pieces + (piece_idx < part_ns % pieces);
}

struct ei_emulated_sample ei_emulated_sample_draw(uint64_t seed, int32_t sample_idx, int32_t label, int32_t classes)
{
    struct ei_random rng;
    struct ei_emulated_sample sample;
    const uint64_t n = (uint64_t)classes;
    ei_random_init(&rng, seed, (uint64_t)(int64_t)sample_idx);
    sample.draw = ei_random_unit(&rng);
    sample.right_label = label >= 0 && label < classes ? label : (int32_t)ei_random_below(&rng, n);
    sample.wrong_label = (sample.right_label + 1 + (int32_t)ei_random_below(&rng, n - 1)) % classes;
    return sample;
}

void ei_emulated_logits(const struct ei_emulated_sample *sample, double score, int32_t classes, float *out_logits)
{
    const double floor_p = 1.0 / classes, highest = 1.0 - 1e-6;
    const double p = score < floor_p ? floor_p : (score > highest ? highest : score);
    for (int32_t i = 0; i < classes; i++) {
        out_logits[i] = 0.0F;
    }
    out_logits[sample->draw < score ? sample->right_label : sample->wrong_label] =
        (float)(log(p * (classes - 1) / (1.0 - p)) + 1e-6);
}
