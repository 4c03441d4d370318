/* The check of a predictor. Cold. */
#include "planner/predictor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* row: -1 for a vector. The bound keeps every sum of the inference finite. */
static int weights_check(const char *field, int32_t row, const float *values, int32_t count, struct einet_error *err)
{
    for (int32_t i = 0; i < count; i++) {
        if (!(fabsf(values[i]) <= EI_PREDICTOR_WEIGHT_MAX)) {
            char place[32] = "";
            if (row >= 0) {
                snprintf(place, sizeof place, "[%d]", row);
            }
            return einet_error_set(err, EINET_E_USAGE, "predictor: %s%s[%d] is %g, must be within -%g..%g", field,
                                   place, i, (double)values[i], (double)EI_PREDICTOR_WEIGHT_MAX,
                                   (double)EI_PREDICTOR_WEIGHT_MAX);
        }
    }
    return 0;
}

static int texts_check(const struct ei_predictor *p, struct einet_error *err)
{
    const struct {
        const char *field, *text;
        size_t size;
    } texts[] = {{"network", p->network, sizeof p->network}, {"dataset", p->dataset, sizeof p->dataset}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const size_t length = strnlen(texts[i].text, texts[i].size);
        if (length == 0 || length == texts[i].size) {
            return einet_error_set(err, EINET_E_USAGE, "predictor: %s must be a text of 1..%zu bytes", texts[i].field,
                                   texts[i].size - 1);
        }
        for (size_t k = 0; k < length; k++) {
            if ((unsigned char)texts[i].text[k] < 0x20 || texts[i].text[k] == 0x7F) {
                return einet_error_set(err, EINET_E_USAGE, "predictor: %s holds a control character", texts[i].field);
            }
        }
    }
    const size_t digest = strnlen(p->weights_sha256, sizeof p->weights_sha256);
    if ((digest != 0 && digest != 64) || strspn(p->weights_sha256, "0123456789abcdef") != digest) {
        return einet_error_set(err, EINET_E_USAGE, "predictor: weights_sha256 must be 64 lower-case digits, or empty");
    }
    return 0;
}

static int shape_check(const struct ei_predictor *p, struct einet_error *err)
{
    if (p->exits < 1 || p->exits > EI_EXITS_MAX) {
        return einet_error_set(err, p->exits > EI_EXITS_MAX ? EINET_E_LIMIT : EINET_E_USAGE,
                               "predictor: exits is %d, must be within 1..%d", p->exits, EI_EXITS_MAX);
    }
    if (p->hidden < 16 || p->hidden > EI_PREDICTOR_HIDDEN_MAX || p->hidden % 16 != 0) {
        return einet_error_set(err, p->hidden > EI_PREDICTOR_HIDDEN_MAX ? EINET_E_LIMIT : EINET_E_USAGE,
                               "predictor: hidden is %d, must be a multiple of 16 within 16..%d", p->hidden,
                               EI_PREDICTOR_HIDDEN_MAX);
    }
    if (p->target != EI_SCORE_CONFIDENCE && p->target != EI_SCORE_CORRECT) {
        return einet_error_set(err, EINET_E_USAGE, "predictor: target is %d, which is no score", (int)p->target);
    }
    if (p->split_seed > INT64_MAX) {
        return einet_error_set(err, EINET_E_LIMIT, "predictor: split_seed is %" PRIu64 ", must be at most %" PRId64,
                               p->split_seed, INT64_MAX);
    }
    return 0;
}

int ei_predictor_check(const struct ei_predictor *p, struct einet_error *err)
{
    int status = shape_check(p, err);
    if (status == 0) {
        status = texts_check(p, err);
    }
    for (int32_t i = 0; status == 0 && i < p->exits; i++) {
        if (!(p->mean_score[i] >= 0 && p->mean_score[i] <= 1)) {
            return einet_error_set(err, EINET_E_USAGE, "predictor: mean_score[%d] is %g, must be within 0..1", i,
                                   (double)p->mean_score[i]);
        }
        if (!(p->temperature[i] > 0 && isfinite(p->temperature[i]))) {
            return einet_error_set(err, EINET_E_USAGE, "predictor: temperature[%d] is %g, must be above 0 and finite",
                                   i, (double)p->temperature[i]);
        }
        status = weights_check("w1", i, p->w1[i], p->hidden, err);
        status = status == 0 ? weights_check("w2", i, p->w2[i], p->hidden, err) : status;
        status = status == 0 ? weights_check("slope", i, p->slope[i], p->exits, err) : status;
        status = status == 0 ? weights_check("offset", i, p->offset[i], p->exits, err) : status;
    }
    if (status == 0) {
        status = weights_check("b1", -1, p->b1, p->hidden, err);
    }
    return status == 0 ? weights_check("b2", -1, p->b2, p->exits, err) : status;
}
