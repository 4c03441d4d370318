/* CS-Predictor: guesses the scores of the exits not run from the scores so far (EINet, ICDCS 2023, CS-Predictor).
 *
 * Per (network, data set), with l the last exit run and s its score: exit j > l is guessed as
 *
 *     y_j = sigmoid(slope_lj * logit(s_l) + offset_lj + (W2 relu(W1 x + b1) + b2)_j),    x_i = -ln(1 - s_i) / 4
 *
 * so that the one hidden layer learns only what the score held does not say (docs/adr/0008). Not run: x_i = 0. An exit
 * that was run keeps its own score. Logarithms are of EI_PREDICTOR_CHANCE_MIN at least. Weights are immutable once
 * filled; inference is pure, allocates nothing and may run in any thread. Files: planner/predictor_file.h; training:
 * models/predictor_train.h.
 */
#ifndef PLANNER_PREDICTOR_H
#define PLANNER_PREDICTOR_H

#include "planner/profile.h"

#define EI_PREDICTOR_HIDDEN_MAX 128
#define EI_PREDICTOR_CHANCE_MIN 0x1p-17F /* half of a CS-profile's resolution: s and 1 - s count as this at least */
#define EI_PREDICTOR_WEIGHT_MAX 1e6F     /* absolute; beyond it a sum might overflow */

/* What a score is, for planning. */
enum ei_score_kind {
    EI_SCORE_CONFIDENCE, /* the largest softmax probability of the exit, as it is or with its temperature */
    EI_SCORE_CORRECT     /* probability that the exit's answer is right */
};

struct ei_predictor {
    int32_t exits;  /* n, 1..EI_EXITS_MAX */
    int32_t hidden; /* h, 1..EI_PREDICTOR_HIDDEN_MAX; a multiple of 16 */
    enum ei_score_kind target;
    char network[EI_PROFILE_TEXT_MAX], dataset[EI_PROFILE_TEXT_MAX];
    char weights_sha256[EI_SHA256_TEXT_MAX]; /* of the network's weights */
    uint64_t split_seed;                     /* <= INT64_MAX; which samples it learnt from: models/predictor_train.h */
    float mean_score[EI_EXITS_MAX];          /* of the training samples: the guess before any exit */
    float temperature[EI_EXITS_MAX];         /* > 0; 1 = confidences are used as they are */
    float w1[EI_EXITS_MAX][EI_PREDICTOR_HIDDEN_MAX]; /* [exit][hidden]: one column of W1 per exit, read for run exits */
    float b1[EI_PREDICTOR_HIDDEN_MAX];
    float w2[EI_EXITS_MAX][EI_PREDICTOR_HIDDEN_MAX]; /* [exit][hidden]: one row of W2 per exit, read for guesses */
    float b2[EI_EXITS_MAX];
    float slope[EI_EXITS_MAX][EI_EXITS_MAX], offset[EI_EXITS_MAX][EI_EXITS_MAX]; /* [last run][later]; else unused, 0 */
};

/* Check every field: counts, texts, weights, temperatures. Returns 0, EINET_E_LIMIT or EINET_E_USAGE, field named. */
int ei_predictor_check(const struct ei_predictor *predictor, struct einet_error *err);

/* The planning score of a confidence that exit exit_idx gave: sigmoid(logit(confidence) / temperature); the confidence
 * itself, bit for bit, when the temperature is 1. confidence: 0..1. Real-time safe. */
EINET_RT float ei_predictor_score(const struct ei_predictor *predictor, int32_t exit_idx, float confidence);

/* Guess. score: [exits], planning scores so far, 0 = not run; bit i of run_mask: exit i was run; out_score: [exits],
 * entries from first_exit on are filled (those of run exits with their own score), others left alone; guesses are meant
 * for exits behind the last one run. With run_mask 0 the guess is mean_score. Same bits on every processor. predictor:
 * a struct ei_predictor of the same exits (an ei_predict_fn of planner/elastic.h). Real-time safe. */
EINET_RT void ei_predictor_predict(const void *predictor, int32_t exits, const float *score, uint64_t run_mask,
                                   int32_t first_exit, float *out_score);

#endif
