/* Inference of the CS-predictor against plain double arithmetic, on every vector width, and the check of its fields. */
#include "planner/predictor.h"
#include "planner/vector.h"

#include "tests/harness/harness.h"
#include "tests/planner/predictor_widths.h"
#include "tests/planner/sample_predictor.h"

#include <stdlib.h>

#define UNTOUCHED (-7.0F)

static double bounded_log(double chance)
{
    return log(fmax(chance, 1.0 / 131072));
}

/* All inputs and outputs, as the header says it; exits not run have score 0. */
static void naive(const struct ei_predictor *p, const float *score, uint64_t mask, double *out)
{
    double hidden[EI_PREDICTOR_HIDDEN_MAX];
    int32_t last = 0;
    for (int32_t i = 0; i < p->exits; i++) {
        last = (mask >> i & 1U) != 0 ? i : last;
    }
    const double logit = bounded_log((double)score[last]) - bounded_log(1 - (double)score[last]);
    for (int32_t h = 0; h < p->hidden; h++) {
        hidden[h] = (double)p->b1[h];
        for (int32_t i = 0; i < p->exits; i++) {
            hidden[h] += (double)p->w1[i][h] * -bounded_log(1 - (double)score[i]) / 4;
        }
        hidden[h] = hidden[h] > 0 ? hidden[h] : 0;
    }
    for (int32_t k = 0; k < p->exits; k++) {
        double sum = (double)p->b2[k] + (double)p->slope[last][k] * logit + (double)p->offset[last][k];
        for (int32_t h = 0; h < p->hidden; h++) {
            sum += (double)p->w2[k][h] * hidden[h];
        }
        out[k] = 1 / (1 + exp(-sum));
    }
}

/* A random state: some exits were run, the others have score 0. Returns the mask. */
static uint64_t draw_scores(struct ei_random *rng, int32_t exits, float *out)
{
    uint64_t mask = 0;
    while (mask == 0) {
        const uint64_t density = ei_random_below(rng, 5);
        for (int32_t i = 0; i < exits; i++) {
            const bool is_run = ei_random_below(rng, 4) < density;
            mask |= is_run ? UINT64_C(1) << i : 0;
            out[i] = is_run ? (float)ei_random_below(rng, 1025) / 1024 : 0;
        }
    }
    return mask;
}

EI_TEST(predictor_equals_double_arithmetic)
{
    struct ei_random rng;
    ei_random_init(&rng, 11, 0);
    double worst = 0;
    for (int round = 0; round < 600; round++) {
        const int32_t exits = 1 + (int32_t)ei_random_below(&rng, EI_EXITS_MAX);
        const int32_t hidden = 16 * (1 + (int32_t)ei_random_below(&rng, EI_PREDICTOR_HIDDEN_MAX / 16));
        const struct ei_predictor p = sample_predictor(&rng, exits, hidden);
        float score[EI_EXITS_MAX], out[EI_EXITS_MAX];
        double expected[EI_EXITS_MAX];
        const uint64_t mask = draw_scores(&rng, exits, score);
        const int32_t first = (int32_t)ei_random_below(&rng, (uint64_t)exits + 1);
        for (int32_t i = 0; i < EI_EXITS_MAX; i++) {
            out[i] = UNTOUCHED;
        }
        naive(&p, score, mask, expected);
        ei_predictor_predict(&p, exits, score, mask, first, out);
        for (int32_t i = 0; i < EI_EXITS_MAX; i++) {
            if (i < first || i >= exits) {
                EI_TRUEF(out[i] == UNTOUCHED, "round %d: exit %d of %d, first %d, was written", round, i, exits, first);
            } else if ((mask >> i & 1U) != 0) {
                EI_TRUEF(out[i] == score[i], "round %d: exit %d was run and lost its score", round, i);
            } else {
                worst = fmax(worst, fabs((double)out[i] - expected[i]));
            }
        }
    }
    EI_IN(worst, 0, 5e-6);
}

/* A run exit's column only: what stands in the others does not matter. */
EI_TEST(predictor_reads_only_exits_that_were_run)
{
    struct ei_random rng;
    ei_random_init(&rng, 12, 0);
    struct ei_predictor p = sample_predictor(&rng, 14, 64);
    float score[EI_EXITS_MAX] = {0}, out[EI_EXITS_MAX], again[EI_EXITS_MAX];
    score[2] = 0.75F;
    score[5] = 0.5F;
    const uint64_t mask = 1U << 2 | 1U << 5;
    ei_predictor_predict(&p, 14, score, mask, 6, out);
    for (int32_t i = 0; i < 14; i++) {
        for (int32_t h = 0; h < 64 && (mask >> i & 1U) == 0; h++) {
            p.w1[i][h] = NAN;
        }
        for (int32_t later = 0; later < 14 && i != 5; later++) {
            p.slope[i][later] = p.offset[i][later] = NAN; /* of another last exit */
        }
        score[i] = (mask >> i & 1U) == 0 ? NAN : score[i];
    }
    ei_predictor_predict(&p, 14, score, mask, 6, again);
    EI_TRUE(memcmp(out + 6, again + 6, 8 * sizeof *out) == 0);
}

EI_TEST(predictor_before_any_exit_says_the_means)
{
    struct ei_random rng;
    ei_random_init(&rng, 13, 0);
    const struct ei_predictor p = sample_predictor(&rng, 40, 64);
    float score[EI_EXITS_MAX] = {0}, out[EI_EXITS_MAX] = {0};
    ei_predictor_predict(&p, 40, score, 0, 3, out);
    EI_TRUE(out[0] == 0 && out[2] == 0);
    EI_TRUE(memcmp(out + 3, p.mean_score + 3, 37 * sizeof *out) == 0);
}

EI_TEST(predictor_bits_are_those_of_every_vector_width)
{
    predict_fn widths[WIDTHS];
    const char *names[WIDTHS];
    const int count = predictor_widths(widths, names);
    struct ei_random rng;
    ei_random_init(&rng, 14, 0);
    for (int round = 0; round < 400; round++) {
        const int32_t exits = 1 + (int32_t)ei_random_below(&rng, EI_EXITS_MAX);
        const int32_t hidden = 16 * (1 + (int32_t)ei_random_below(&rng, EI_PREDICTOR_HIDDEN_MAX / 16));
        const struct ei_predictor p = sample_predictor(&rng, exits, hidden);
        float score[EI_EXITS_MAX], expected[EI_EXITS_MAX], out[EI_EXITS_MAX];
        const uint64_t mask = draw_scores(&rng, exits, score);
        ei_predictor_predict(&p, exits, score, mask, 0, expected);
        for (int w = 0; w < count; w++) {
            widths[w](&p, exits, score, mask, 0, out);
            EI_TRUEF(memcmp(out, expected, (size_t)exits * sizeof *out) == 0, "round %d: %s gives other bits", round,
                     names[w]);
        }
    }
}

/* What gcc at -O3 gave; any other compiler, option or processor must give the same. */
EI_TEST(predictor_bits_are_those_of_every_build)
{
    struct ei_random rng;
    ei_random_init(&rng, 15, 0);
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (int round = 0; round < 200; round++) {
        const struct ei_predictor p = sample_predictor(&rng, 40, 64);
        float score[EI_EXITS_MAX], out[EI_EXITS_MAX];
        const uint64_t mask = draw_scores(&rng, 40, score);
        ei_predictor_predict(&p, 40, score, mask, 0, out);
        for (int32_t i = 0; i < 40; i++) {
            uint32_t bits;
            memcpy(&bits, &out[i], sizeof bits);
            hash = (hash ^ bits) * UINT64_C(0x100000001b3);
        }
    }
    EI_TRUEF(hash == UINT64_C(0x32db97ebf3001436), "the bits of 200 guesses hash to %016" PRIx64, hash);
}

EI_TEST(predictor_sigmoid_is_that_of_libm)
{
    double worst = 0, before = 0;
    for (int i = -100 * 64; i < 100 * 64; i += EI_LANES_F) {
        ei_lanes_f x;
        for (int k = 0; k < EI_LANES_F; k++) {
            x[k] = (float)(i + k) / 64 + 0.003F;
        }
        ei_lanes_f y = x;
        ei_lanes_sigmoid(&y);
        for (int k = 0; k < EI_LANES_F; k++) {
            worst = fmax(worst, fabs((double)y[k] - 1 / (1 + exp(-(double)x[k]))));
            EI_TRUEF((double)y[k] >= before - 2e-7 && y[k] <= 1, "sigmoid(%g) is %.9g", (double)x[k], (double)y[k]);
            before = (double)y[k];
        }
    }
    EI_IN(worst, 0, 1e-6);
    ei_lanes_f far = {INFINITY, -INFINITY, 1e30F, -1e30F};
    ei_lanes_sigmoid(&far);
    EI_NEAR(far[0], 1, 1e-7);
    EI_NEAR(far[1], 0, 1e-7);
    EI_NEAR(far[2], 1, 1e-7);
    EI_NEAR(far[3], 0, 1e-7);
}

/* The largest weights that pass the check overflow nowhere. */
EI_TEST(predictor_guesses_are_finite_at_the_weights_limit)
{
    struct ei_predictor p = {.exits = 64, .hidden = 128, .network = "x", .dataset = "y"};
    float score[EI_EXITS_MAX], out[EI_EXITS_MAX];
    for (int32_t i = 0; i < 64; i++) {
        score[i] = 1;
        p.temperature[i] = 1;
        for (int32_t h = 0; h < 128; h++) {
            p.w1[i][h] = EI_PREDICTOR_WEIGHT_MAX;
            p.w2[i][h] = (h & 3) < 2 ? EI_PREDICTOR_WEIGHT_MAX : -EI_PREDICTOR_WEIGHT_MAX;
        }
        for (int32_t later = i + 1; later < 64; later++) {
            p.slope[i][later] = p.offset[i][later] = EI_PREDICTOR_WEIGHT_MAX;
        }
    }
    EI_EQ(ei_predictor_check(&p, NULL), 0);
    ei_predictor_predict(&p, 64, score, UINT64_MAX >> 1, 63, out);
    EI_IN(out[63], 0, 1);
}

EI_TEST(predictor_log_is_that_of_libm)
{
    double worst = 0;
    for (float from = 0x1p-20F; from < 4; from *= 2) {
        for (int i = 0; i < 1024; i += EI_LANES_F) {
            ei_lanes_f x;
            for (int k = 0; k < EI_LANES_F; k++) {
                x[k] = from * (1 + (float)(i + k) / 1024);
            }
            ei_lanes_f y = x;
            ei_lanes_log(&y);
            for (int k = 0; k < EI_LANES_F; k++) {
                worst = fmax(worst, fabs((double)y[k] - log((double)x[k])) / fmax(1, fabs(log((double)x[k]))));
            }
        }
    }
    EI_IN(worst, 0, 2e-7);
    ei_lanes_f one = {1, 1};
    ei_lanes_log(&one);
    EI_TRUE(one[0] == 0);
}

/* A slope of 1 alone hands the score on, near 0 and 1 too, up to the resolution of the logarithms. */
EI_TEST(predictor_hands_the_last_score_on)
{
    struct ei_predictor p = {.exits = 3, .hidden = 16};
    p.slope[0][2] = p.slope[1][2] = 1;
    for (int i = 0; i <= 1000; i++) {
        const float score[3] = {0.25F, (float)i / 1000, 0};
        float out[3];
        ei_predictor_predict(&p, 3, score, 1 + (i % 2 == 0 ? 2 : 0), 2, out);
        EI_NEAR(out[2], i % 2 == 0 ? score[1] : score[0], 1e-5);
    }
}

EI_TEST(predictor_score_scales_the_logit)
{
    struct ei_predictor p = {.exits = 2, .hidden = 16, .temperature = {1, 2}};
    for (int i = 0; i <= 1000; i++) {
        const float confidence = (float)i / 1000;
        EI_TRUE(ei_predictor_score(&p, 0, confidence) == confidence);
        const double c = (double)confidence, root = sqrt(c), other = sqrt(1 - c); /* logit / 2 = logit of roots */
        EI_NEAR(ei_predictor_score(&p, 1, confidence), i == 0 || i == 1000 ? c : root / (root + other), 1e-6);
    }
}

EI_TEST(predictor_check_names_the_field)
{
    struct ei_random rng;
    ei_random_init(&rng, 16, 0);
    const struct ei_predictor good = sample_predictor(&rng, 3, 32);
    EI_EQ(ei_predictor_check(&good, NULL), 0);
    struct ei_predictor *bad = malloc(sizeof *bad);
    struct einet_error err;
#define REFUSES(change, want, words)                                                                                   \
    do {                                                                                                               \
        *bad = good;                                                                                                   \
        change;                                                                                                        \
        EI_EQ(ei_predictor_check(bad, &err), want);                                                                    \
        EI_CONTAINS(err.text, words);                                                                                  \
    } while (0)
    REFUSES(bad->exits = 0, EINET_E_USAGE, "exits");
    REFUSES(bad->exits = 65, EINET_E_LIMIT, "exits");
    REFUSES(bad->hidden = 0, EINET_E_USAGE, "hidden");
    REFUSES(bad->hidden = 20, EINET_E_USAGE, "hidden");
    REFUSES(bad->hidden = 144, EINET_E_LIMIT, "hidden");
    REFUSES(bad->target = (enum ei_score_kind)2, EINET_E_USAGE, "target");
    REFUSES(bad->split_seed = UINT64_MAX, EINET_E_LIMIT, "split_seed");
    REFUSES(bad->network[0] = 0, EINET_E_USAGE, "network");
    REFUSES(memset(bad->dataset, 'x', sizeof bad->dataset), EINET_E_USAGE, "dataset");
    REFUSES(bad->dataset[1] = '\n', EINET_E_USAGE, "dataset");
    REFUSES(bad->weights_sha256[3] = 'G', EINET_E_USAGE, "weights_sha256");
    REFUSES(bad->weights_sha256[63] = 0, EINET_E_USAGE, "weights_sha256");
    REFUSES(bad->mean_score[2] = 1.5F, EINET_E_USAGE, "mean_score[2]");
    REFUSES(bad->mean_score[0] = NAN, EINET_E_USAGE, "mean_score[0]");
    REFUSES(bad->temperature[1] = 0, EINET_E_USAGE, "temperature[1]");
    REFUSES(bad->temperature[1] = INFINITY, EINET_E_USAGE, "temperature[1]");
    REFUSES(bad->w1[2][31] = NAN, EINET_E_USAGE, "w1[2][31]");
    REFUSES(bad->b1[30] = INFINITY, EINET_E_USAGE, "b1[30]");
    REFUSES(bad->w2[1][31] = -2e6F, EINET_E_USAGE, "w2[1][31]");
    REFUSES(bad->b2[0] = NAN, EINET_E_USAGE, "b2[0]");
    REFUSES(bad->slope[0][2] = INFINITY, EINET_E_USAGE, "slope[0][2]");
    REFUSES(bad->offset[1][2] = -2e6F, EINET_E_USAGE, "offset[1][2]");
    free(bad);
}
