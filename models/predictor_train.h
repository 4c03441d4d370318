/* Training of the CS-predictor from a CS-profile: relative entropy on the exits not yet run, which unlike a squared
 * error does not fade where scores are near 1; Adam, averaged weights, early stopping. The source (EINet, ICDCS 2023)
 * trains on prefixes; plans skip exits, so starts of plans and random skip masks are added (docs/adr/0008).
 *
 * The samples of the profile are parted once for all by (split_seed, sample): half train, a tenth decides when to stop,
 * the rest is held out for judging predictors and plans. A training is a function of configuration and profile: the
 * same seed gives the same bytes. Offline code, any thread, nothing printed.
 */
#ifndef MODELS_PREDICTOR_TRAIN_H
#define MODELS_PREDICTOR_TRAIN_H

#include "planner/predictor.h"

#include <stdbool.h>

enum ei_predictor_part { EI_PREDICTOR_PART_TRAIN, EI_PREDICTOR_PART_VALIDATION, EI_PREDICTOR_PART_HELD_OUT };

/* The part to which a sample belongs. */
enum ei_predictor_part ei_predictor_part(uint64_t split_seed, int32_t sample);

enum ei_predictor_examples {
    EI_PREDICTOR_PREFIXES, /* exits 0..k-1 run, for random k: the paper's */
    EI_PREDICTOR_SKIPS,    /* prefixes, and as many random masks of any density */
    EI_PREDICTOR_PLANNED   /* two thirds starts of plans for random block times, the rest as EI_PREDICTOR_SKIPS */
};

struct ei_predictor_train_config {
    enum ei_predictor_examples examples;
    enum ei_score_kind target;
    bool fit_temperature; /* per exit; false: 1 */
    int32_t hidden;       /* multiple of 16 */
    int32_t epochs_max;   /* >= 1 */
    int32_t patience;     /* epochs without a better validation error after which training ends */
    uint64_t seed;        /* of weights and examples */
    uint64_t split_seed;
    void (*on_epoch)(void *context, int32_t epoch, double train_error, double validation_error); /* NULL = none */
    void *context;
};

/* 64 hidden units, planned, confidence, no temperature, at most 300 epochs, patience 20, seeds 1. */
struct ei_predictor_train_config ei_predictor_train_defaults(void);

struct ei_predictor_train_result {
    int32_t epochs, best_epoch; /* trained; whose weights were kept */
    double validation_error;    /* mean relative entropy in nats, of the best epoch */
};

/* Train. out and out_result are untouched on error. Returns 0; EINET_E_USAGE (a setting out of range, named; a network
 * of one exit; fewer than 100 samples); -ENOMEM. */
int ei_predictor_train(const struct ei_predictor_train_config *config, const struct ei_cs_profile *profile,
                       struct ei_predictor *out, struct ei_predictor_train_result *out_result, struct einet_error *err);

/* ---- judging ---- */

/* How wrong guesses are on the exits behind the last one run, over samples and patterns of exits run. */
struct ei_predictor_error {
    double prefix_rms, prefix_abs; /* root mean square and mean absolute; all exits up to the last run were run */
    double gap_rms, gap_abs;       /* at least one was skipped; 0 when there are fewer than 3 exits */
    int32_t samples;               /* held out */
    int32_t prefix_patterns, gap_patterns;
};

enum ei_predictor_guess {
    EI_PREDICTOR_GUESS,      /* what the predictor says */
    EI_PREDICTOR_GUESS_MEANS /* its mean_score, whatever was run: what planning without it would know */
};

/* Judge on the samples that the predictor has not seen in training. Patterns: every prefix; every pattern with a gap up
 * to 6 exits, else 64 that are drawn from seed 1. Truth is what the predictor's target says. Returns 0,
 * EINET_E_MISMATCH (another number of exits) or EINET_E_USAGE (one exit; no sample held out). */
int ei_predictor_judge(const struct ei_predictor *predictor, enum ei_predictor_guess guess,
                       const struct ei_cs_profile *profile, struct ei_predictor_error *out, struct einet_error *err);

#endif
