/* Errors of the CS-predictor's guesses on held-out samples. */
#include "models/predictor_parts.h"

#include <math.h>

#define GAP_PATTERNS 64
#define PATTERNS_MAX (EI_EXITS_MAX + GAP_PATTERNS)
#define ENUMERATED_EXITS_MAX 6

static bool has_gap(uint64_t mask)
{
    return (mask & (mask + 1)) != 0;
}

/* Patterns to judge by, the last exit never run; returns their number. */
static int32_t fill_patterns(int32_t exits, uint64_t *out)
{
    int32_t count = 0;
    if (exits <= ENUMERATED_EXITS_MAX) {
        for (uint64_t mask = 1; mask < UINT64_C(1) << (exits - 1); mask++) {
            out[count++] = mask;
        }
        return count;
    }
    for (int32_t last = 0; last < exits - 1; last++) {
        out[count++] = (UINT64_C(2) << last) - 1;
    }
    struct ei_random rng;
    ei_random_init(&rng, 1, 0);
    const struct ei_predictor_patterns patterns = {.examples = EI_PREDICTOR_SKIPS, .exits = exits};
    while (count < exits - 1 + GAP_PATTERNS) {
        const uint64_t mask = ei_predictor_draw_pattern(&rng, &patterns);
        out[count] = mask;
        count += has_gap(mask);
    }
    return count;
}

struct sums {
    double square, absolute;
    int64_t count;
};

static void judge_sample(const struct ei_predictor *p, enum ei_predictor_guess guess_by,
                         const struct ei_cs_profile *profile, int32_t sample, uint64_t mask, struct sums *sums)
{
    float score[EI_EXITS_MAX], seen[EI_EXITS_MAX], guess[EI_EXITS_MAX];
    for (int32_t e = 0; e < p->exits; e++) {
        score[e] = ei_predictor_score(p, e, ei_cs_profile_score(profile, sample, e));
        seen[e] = (mask >> e & 1U) != 0 ? score[e] : 0;
    }
    const int32_t from = ei_predictor_first_left(mask);
    ei_predictor_predict(p, p->exits, seen, guess_by == EI_PREDICTOR_GUESS_MEANS ? 0 : mask, from, guess);
    for (int32_t e = from; e < p->exits; e++) {
        const bool is_correct = ei_predictor_is_correct(profile, sample, e);
        const double truth = p->target == EI_SCORE_CORRECT ? (is_correct ? 1 : 0) : (double)score[e];
        const double difference = (double)guess[e] - truth;
        sums->square += difference * difference;
        sums->absolute += fabs(difference);
        sums->count++;
    }
}

static double root_mean(const struct sums *sums)
{
    return sums->count > 0 ? sqrt(sums->square / (double)sums->count) : 0;
}

static double mean(const struct sums *sums)
{
    return sums->count > 0 ? sums->absolute / (double)sums->count : 0;
}

int ei_predictor_judge(const struct ei_predictor *predictor, enum ei_predictor_guess guess,
                       const struct ei_cs_profile *profile, struct ei_predictor_error *out, struct einet_error *err)
{
    if (predictor->exits != profile->exits) {
        return einet_error_set(err, EINET_E_MISMATCH, "exits: the predictor has %d, the CS-profile %d",
                               predictor->exits, profile->exits);
    }
    if (profile->exits < 2) {
        return einet_error_set(err, EINET_E_USAGE, "a network of one exit has nothing to predict");
    }
    uint64_t patterns[PATTERNS_MAX];
    const int32_t pattern_count = fill_patterns(profile->exits, patterns);
    struct sums prefix = {0}, gap = {0};
    struct ei_predictor_error error = {.samples = 0};
    for (int32_t s = 0; s < profile->samples; s++) {
        if (ei_predictor_part(predictor->split_seed, s) != EI_PREDICTOR_PART_HELD_OUT) {
            continue;
        }
        error.samples++;
        for (int32_t k = 0; k < pattern_count; k++) {
            judge_sample(predictor, guess, profile, s, patterns[k], has_gap(patterns[k]) ? &gap : &prefix);
        }
    }
    if (error.samples == 0) {
        return einet_error_set(err, EINET_E_USAGE, "no sample of the CS-profile is held out; use one of more samples");
    }
    error.prefix_patterns = profile->exits - 1;
    error.gap_patterns = pattern_count - error.prefix_patterns;
    error.prefix_rms = root_mean(&prefix);
    error.prefix_abs = mean(&prefix);
    error.gap_rms = root_mean(&gap);
    error.gap_abs = mean(&gap);
    *out = error;
    return 0;
}
