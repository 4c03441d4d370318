/* Profiles in memory: filling, checking, summarising. Cold; the hot readers are in profile_rt.c. */
#include "planner/profile.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- checks shared by both profiles ---- */

static int exits_check(const char *what, int32_t exits, struct einet_error *err)
{
    if (exits > EI_EXITS_MAX) {
        return einet_error_set(err, EINET_E_LIMIT, "%s: exits is %d, at most %d are supported", what, exits,
                               EI_EXITS_MAX);
    }
    if (exits < 1) {
        return einet_error_set(err, EINET_E_USAGE, "%s: exits is %d, must be within 1..%d", what, exits, EI_EXITS_MAX);
    }
    return 0;
}

/* A metadata text ends within its array, holds no control characters and neither starts nor ends with a space, since
 * files keep it on a line of its own. */
static int text_check(const char *what, const char *field, const char *text, bool is_needed, struct einet_error *err)
{
    const size_t length = strnlen(text, EI_PROFILE_TEXT_MAX);
    if (length == EI_PROFILE_TEXT_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "%s: %s is longer than %d bytes", what, field,
                               EI_PROFILE_TEXT_MAX - 1);
    }
    if (length == 0) {
        return is_needed ? einet_error_set(err, EINET_E_USAGE, "%s: %s is empty", what, field) : 0;
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return einet_error_set(err, EINET_E_USAGE, "%s: %s holds a control character", what, field);
        }
    }
    if (text[0] == ' ' || text[length - 1] == ' ') {
        return einet_error_set(err, EINET_E_USAGE, "%s: %s starts or ends with a space", what, field);
    }
    return 0;
}

static int sha256_check(const char *what, const char *sha256, struct einet_error *err)
{
    const size_t length = strnlen(sha256, EI_SHA256_TEXT_MAX);
    if (length == 0 || (length == EI_SHA256_TEXT_MAX - 1 && strspn(sha256, "0123456789abcdef") == length)) {
        return 0;
    }
    return einet_error_set(err, EINET_E_USAGE, "%s: weights_sha256 is not 64 lower-case hexadecimal digits", what);
}

static int precision_check(const char *what, enum ei_profile_precision precision, struct einet_error *err)
{
    return ei_profile_precision_name(precision) != NULL
               ? 0
               : einet_error_set(err, EINET_E_USAGE, "%s: precision is neither float32 nor bfloat16", what);
}

const char *ei_profile_precision_name(enum ei_profile_precision precision)
{
    switch (precision) {
    case EI_PROFILE_FLOAT32:
        return "float32";
    case EI_PROFILE_BFLOAT16:
        return "bfloat16";
    }
    return NULL;
}

/* ---- ET-profile ---- */

static int policy_check(const struct ei_et_profile *profile, struct einet_error *err)
{
    static const char what[] = "ET-profile";
    if (profile->policy != EI_ET_OTHER && profile->policy != EI_ET_FIFO) {
        return einet_error_set(err, EINET_E_USAGE, "%s: policy is neither other nor fifo", what);
    }
    if (profile->memory != EI_ET_PAGEABLE && profile->memory != EI_ET_LOCKED) {
        return einet_error_set(err, EINET_E_USAGE, "%s: memory is neither pageable nor locked", what);
    }
    if (profile->policy == EI_ET_OTHER && profile->priority != 0) {
        return einet_error_set(err, EINET_E_USAGE, "%s: priority is %d, must be 0 under policy other", what,
                               profile->priority);
    }
    if (profile->policy == EI_ET_FIFO && (profile->priority < 1 || profile->priority > EI_ET_PRIORITY_MAX)) {
        return einet_error_set(err, EINET_E_USAGE, "%s: priority is %d, must be within 1..%d under policy fifo", what,
                               profile->priority, EI_ET_PRIORITY_MAX);
    }
    return 0;
}

static int et_texts_check(const struct ei_et_profile *profile, struct einet_error *err)
{
    const struct {
        const char *field, *text;
    } texts[] = {
        {"machine", profile->machine},   {"cpu_model", profile->cpu_model}, {"kernel", profile->kernel},
        {"governor", profile->governor}, {"backend", profile->backend},     {"lane", profile->lane},
        {"cpus", profile->cpus},
    };
    int status = text_check("ET-profile", "network", profile->network, true, err);
    for (size_t i = 0; status == 0 && i < sizeof texts / sizeof texts[0]; i++) {
        status = text_check("ET-profile", texts[i].field, texts[i].text, false, err);
    }
    return status;
}

static int times_check(const char *part, int32_t idx, const struct ei_time_stats *stats, struct einet_error *err)
{
    if (stats->p50_ns < 0) {
        return einet_error_set(err, EINET_E_USAGE, "ET-profile: %s_p50_ns of exit_idx %d is negative", part, idx);
    }
    if (stats->p99_ns < stats->p50_ns) {
        return einet_error_set(err, EINET_E_USAGE, "ET-profile: %s_p99_ns of exit_idx %d is less than its p50", part,
                               idx);
    }
    if (stats->max_ns < stats->p99_ns) {
        return einet_error_set(err, EINET_E_USAGE, "ET-profile: %s_max_ns of exit_idx %d is less than its p99", part,
                               idx);
    }
    if (stats->max_ns > EI_PROFILE_TIME_NS_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "ET-profile: %s_max_ns of exit_idx %d is more than 1000 s", part,
                               idx);
    }
    return 0;
}

int ei_et_profile_check(const struct ei_et_profile *profile, struct einet_error *err)
{
    static const char what[] = "ET-profile";
    int status = exits_check(what, profile->exits, err);
    if (status == 0 && profile->threads < 1) {
        status = einet_error_set(err, EINET_E_USAGE, "%s: threads is %d, must be 1 or more", what, profile->threads);
    }
    if (status == 0 && profile->samples < 1) {
        status = einet_error_set(err, EINET_E_USAGE, "%s: samples must be 1 or more", what);
    }
    if (status == 0 && profile->mode != EI_ET_SEQUENTIAL && profile->mode != EI_ET_COLD) {
        status = einet_error_set(err, EINET_E_USAGE, "%s: mode is neither sequential nor cold", what);
    }
    if (status == 0) {
        status = policy_check(profile, err);
    }
    if (status == 0) {
        status = precision_check(what, profile->precision, err);
    }
    if (status == 0) {
        status = et_texts_check(profile, err);
    }
    if (status == 0) {
        status = sha256_check(what, profile->weights_sha256, err);
    }
    for (int32_t i = 0; i < profile->exits && status == 0; i++) {
        status = times_check("conv", i, &profile->conv[i], err);
        if (status == 0) {
            status = times_check("branch", i, &profile->branch[i], err);
        }
    }
    return status;
}

/* ---- CS-profile ---- */

static int counts_check(int32_t exits, int32_t samples, int32_t classes, struct einet_error *err)
{
    static const char what[] = "CS-profile";
    const int status = exits_check(what, exits, err);
    if (status != 0) {
        return status;
    }
    if (samples < 1 || samples > EI_CS_SAMPLES_MAX) {
        return einet_error_set(err, samples < 1 ? EINET_E_USAGE : EINET_E_LIMIT,
                               "%s: samples is %d, must be within 1..%d", what, samples, EI_CS_SAMPLES_MAX);
    }
    if (classes < 2 || classes > EI_CS_CLASSES_MAX) {
        return einet_error_set(err, classes < 2 ? EINET_E_USAGE : EINET_E_LIMIT,
                               "%s: classes is %d, must be within 2..%d", what, classes, EI_CS_CLASSES_MAX);
    }
    return 0;
}

int ei_cs_profile_init(struct ei_cs_profile *profile, int32_t exits, int32_t samples, int32_t classes,
                       struct einet_error *err)
{
    const int status = counts_check(exits, samples, classes, err);
    if (status != 0) {
        return status;
    }
    const size_t answers = (size_t)samples * (size_t)exits;
    struct ei_cs_profile fresh = {.exits = exits, .samples = samples, .classes = classes};
    fresh.label = calloc((size_t)samples, sizeof *fresh.label);
    fresh.confidence = calloc(answers, sizeof *fresh.confidence);
    fresh.top_label = calloc(answers, sizeof *fresh.top_label);
    if (!fresh.label || !fresh.confidence || !fresh.top_label) {
        ei_cs_profile_fini(&fresh);
        return einet_error_set(err, -ENOMEM, "CS-profile: no memory for %d samples of %d exits", samples, exits);
    }
    *profile = fresh;
    return 0;
}

void ei_cs_profile_fini(struct ei_cs_profile *profile)
{
    free(profile->label);
    free(profile->confidence);
    free(profile->top_label);
    profile->label = profile->confidence = profile->top_label = NULL;
}

static size_t answer_at(const struct ei_cs_profile *profile, int32_t sample, int32_t exit)
{
    return (size_t)sample * (size_t)profile->exits + (size_t)exit;
}

int ei_cs_profile_set(struct ei_cs_profile *profile, int32_t sample, int32_t exit, float confidence, int32_t top_label)
{
    if (sample < 0 || sample >= profile->samples || exit < 0 || exit >= profile->exits || top_label < 0 ||
        top_label >= profile->classes || !(confidence >= 0 && confidence <= 1)) {
        return -EINVAL;
    }
    const size_t at = answer_at(profile, sample, exit);
    profile->confidence[at] = (uint16_t)lrintf(confidence * EI_CS_CONFIDENCE_ONE);
    profile->top_label[at] = (uint16_t)top_label;
    return 0;
}

void ei_cs_profile_summarize(struct ei_cs_profile *profile)
{
    for (int32_t e = 0; e < profile->exits; e++) {
        int64_t sum = 0, right = 0;
        for (int32_t s = 0; s < profile->samples; s++) {
            const size_t at = answer_at(profile, s, e);
            sum += profile->confidence[at];
            right += profile->top_label[at] == profile->label[s];
        }
        profile->mean_score[e] = (float)((double)sum / (double)EI_CS_CONFIDENCE_ONE / (double)profile->samples);
        profile->accuracy[e] = (float)((double)right / (double)profile->samples);
    }
}

int ei_cs_profile_check(const struct ei_cs_profile *profile, struct einet_error *err)
{
    static const char what[] = "CS-profile";
    int status = counts_check(profile->exits, profile->samples, profile->classes, err);
    if (status == 0 && (!profile->label || !profile->confidence || !profile->top_label)) {
        status = einet_error_set(err, EINET_E_USAGE, "%s: label, confidence or top_label is NULL", what);
    }
    if (status == 0) {
        status = text_check(what, "network", profile->network, true, err);
    }
    if (status == 0) {
        status = precision_check(what, profile->precision, err);
    }
    if (status == 0) {
        status = text_check(what, "dataset", profile->dataset, true, err);
    }
    if (status == 0) {
        status = text_check(what, "split", profile->split, true, err);
    }
    if (status == 0) {
        status = sha256_check(what, profile->weights_sha256, err);
    }
    if (status != 0) {
        return status;
    }
    for (int32_t s = 0; s < profile->samples; s++) {
        if (profile->label[s] >= profile->classes) {
            return einet_error_set(err, EINET_E_USAGE, "%s: label of sample %d is %d, but classes is %d", what, s,
                                   profile->label[s], profile->classes);
        }
        for (int32_t e = 0; e < profile->exits; e++) {
            const int32_t top = profile->top_label[answer_at(profile, s, e)];
            if (top >= profile->classes) {
                return einet_error_set(err, EINET_E_USAGE,
                                       "%s: top_label of sample %d at exit_idx %d is %d, but classes is %d", what, s, e,
                                       top, profile->classes);
            }
        }
    }
    return 0;
}

/* ---- belonging together ---- */

static bool is_other(const char *a, const char *b)
{
    return a && b && a[0] != 0 && b[0] != 0 && strcmp(a, b) != 0;
}

static int match(const char *what, const char *own_network, int32_t own_exits, const char *own_sha256,
                 const char *network, int32_t exits, const char *weights_sha256, struct einet_error *err)
{
    if (is_other(own_network, network)) {
        return einet_error_set(err, EINET_E_MISMATCH, "%s: network is %s, but the network to run is %s", what,
                               own_network, network);
    }
    if (own_exits != exits) {
        return einet_error_set(err, EINET_E_MISMATCH, "%s: exits is %d, but the network to run has %d", what, own_exits,
                               exits);
    }
    if (is_other(own_sha256, weights_sha256)) {
        return einet_error_set(err, EINET_E_MISMATCH,
                               "%s: weights_sha256 is %.12s.., but the weights to run are %.12s..; profile the network "
                               "again with these weights",
                               what, own_sha256, weights_sha256);
    }
    return 0;
}

int ei_et_profile_match(const struct ei_et_profile *profile, const char *network, int32_t exits,
                        const char *weights_sha256, struct einet_error *err)
{
    return match("ET-profile", profile->network, profile->exits, profile->weights_sha256, network, exits,
                 weights_sha256, err);
}

#define DEVICE "cuda:"
#define SMS " sms:"

void ei_et_profile_set_device(struct ei_et_profile *profile, int32_t device_idx, int32_t sms)
{
    char alone[24] = "";
    if (sms > 0) {
        snprintf(alone, sizeof alone, SMS "%d", sms);
    }
    snprintf(profile->lane, sizeof profile->lane, DEVICE "%d%s", device_idx, alone);
}

int ei_et_profile_match_lane(const struct ei_et_profile *profile, bool is_cuda, int32_t sms, struct einet_error *err)
{
    const bool was_cuda = strncmp(profile->lane, DEVICE, sizeof DEVICE - 1) == 0;
    const char *alone = strstr(profile->lane, SMS);
    const int64_t had = was_cuda && alone != NULL ? strtol(alone + sizeof SMS - 1, NULL, 10) : 0;
    if (was_cuda == is_cuda && had == (is_cuda ? sms : 0)) {
        return 0;
    }
    char here[40] = "a CPU";
    if (is_cuda) {
        snprintf(here, sizeof here, sms > 0 ? "a GPU with sms: %d" : "a GPU without sms", sms);
    }
    return einet_error_set(err, EINET_E_MISMATCH, "was measured on lane `%.32s`, and the lane in question is %s",
                           profile->lane, here);
}

int ei_cs_profile_match(const struct ei_cs_profile *profile, const char *network, int32_t exits,
                        const char *weights_sha256, struct einet_error *err)
{
    return match("CS-profile", profile->network, profile->exits, profile->weights_sha256, network, exits,
                 weights_sha256, err);
}
