/* The own backend: blocks and exits are functions of the program that embeds the run. Foreign code, of which nothing is
 * known but what it returns, so every call of it is a submit section.
 */
#include "stages/nn/network_backend.h"

#include "rt/section.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_PROBABILITY 1e-30F /* whose logarithm is a number */

struct own {
    struct ei_network net;
    struct ei_network_own_config config;
};

static int failed(struct own *o, const char *what, int32_t idx, const char *why)
{
    snprintf(o->net.fault, sizeof o->net.fault, "%s %d of %s: %s", what, idx + 1, o->net.info.name, why);
    return EINET_E_BACKEND;
}

static int own_thread_enter(struct ei_network *net)
{
    (void)net;
    return 0;
}

static int own_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label)
{
    (void)sample_idx;
    (void)label;
    struct own *o = (struct own *)net;
    if (o->config.begin == NULL) {
        return 0;
    }
    ei_rt_submit_enter();
    const int rc = o->config.begin(o->config.context, o->config.channels > 0 ? input_chw : NULL);
    if (rc < 0) {
        snprintf(net->fault, sizeof net->fault, "the beginning of %s: %s", net->info.name, einet_error_text(rc));
    }
    ei_rt_submit_leave();
    return rc < 0 ? EINET_E_BACKEND : 0;
}

static int own_run_conv(struct ei_network *net, int32_t block_idx)
{
    struct own *o = (struct own *)net;
    ei_rt_submit_enter();
    int rc = o->config.run_block(o->config.context, block_idx);
    rc = rc < 0 ? failed(o, "block", block_idx, einet_error_text(rc)) : 0;
    ei_rt_submit_leave();
    return rc;
}

/* The scores as logits. What is no number would go through softmax into plans and answers. */
static int take_scores(struct own *o, int32_t exit_idx, float *scores)
{
    const bool are_probabilities = o->config.gives_probabilities;
    float sum = 0.0F;
    for (int32_t i = 0; i < o->net.info.classes; i++) {
        if (!isfinite(scores[i]) || (are_probabilities && (scores[i] < 0.0F || scores[i] > 1.0F))) {
            return failed(o, "exit", exit_idx,
                          are_probabilities ? "a probability outside 0 to 1" : "a score that is no number");
        }
        sum += scores[i];
    }
    if (are_probabilities && !(sum > 0.0F)) {
        return failed(o, "exit", exit_idx, "probabilities that are all 0");
    }
    for (int32_t i = 0; are_probabilities && i < o->net.info.classes; i++) {
        scores[i] = logf(scores[i] > LEAST_PROBABILITY ? scores[i] : LEAST_PROBABILITY);
    }
    return 0;
}

static int run_exit(struct own *o, int32_t exit_idx, float *out_logits)
{
    float confidence = -1.0F; /* left alone */
    const int rc = o->config.run_exit(o->config.context, exit_idx, out_logits, &confidence);
    if (rc < 0) {
        return failed(o, "exit", exit_idx, einet_error_text(rc));
    }
    if (!(confidence <= 1.0F)) {
        return failed(o, "exit", exit_idx, "a confidence above 1");
    }
    o->net.has_confidence = confidence >= 0.0F;
    o->net.confidence = confidence;
    return take_scores(o, exit_idx, out_logits);
}

static int own_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    ei_rt_submit_enter();
    const int rc = run_exit((struct own *)net, block_idx, out_logits);
    ei_rt_submit_leave();
    return rc;
}

static void own_end(struct ei_network *net)
{
    const struct own *o = (const struct own *)net;
    if (o->config.end != NULL) {
        ei_rt_submit_enter();
        o->config.end(o->config.context);
        ei_rt_submit_leave();
    }
}

static int own_run_monolithic(struct ei_network *net, const float *input_chw, float *out_logits)
{
    int rc = own_begin(net, input_chw, -1, -1);
    for (int32_t b = 0; rc == 0 && b < net->info.exits; b++) {
        rc = own_run_conv(net, b);
        if (rc == 0) {
            rc = own_run_branch(net, b, out_logits + (size_t)b * (size_t)net->info.classes);
        }
    }
    own_end(net);
    return rc;
}

static void own_destroy(struct ei_network *net)
{
    struct own *o = (struct own *)net;
    if (o->config.close != NULL) {
        o->config.close(o->config.context);
    }
    free(o);
}

static const struct ei_network_backend own_backend = {
    own_thread_enter, own_begin, own_run_conv, own_run_branch, own_end, own_run_monolithic, own_destroy,
};

int ei_network_check_own(const struct ei_network_own_config *c, struct einet_error *err)
{
    const bool has_input = c->channels != 0 || c->height_px != 0 || c->width_px != 0;
    if (c->run_block == NULL || c->run_exit == NULL) {
        return einet_error_set(err, EINET_E_USAGE,
                               "a network needs functions for its blocks and its exits: run_block "
                               "and run_exit");
    }
    if (c->exits < 1 || c->exits > EI_NETWORK_BLOCKS_MAX || c->classes < 2 || c->classes > EI_NETWORK_CLASSES_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "a network has 1 to %d exits and 2 to %d classes, not %d and %d",
                               EI_NETWORK_BLOCKS_MAX, EI_NETWORK_CLASSES_MAX, c->exits, c->classes);
    }
    if (has_input && ((c->channels != 1 && c->channels != 3) || c->height_px < 1 ||
                      c->height_px > EI_NETWORK_SIDE_MAX || c->width_px < 1 || c->width_px > EI_NETWORK_SIDE_MAX)) {
        return einet_error_set(
            err, EINET_E_USAGE,
            "a network takes pictures of 1 or 3 channels, 1x1 to %dx%d, not %d of %dx%d; all 0: none",
            EI_NETWORK_SIDE_MAX, EI_NETWORK_SIDE_MAX, c->channels, c->width_px, c->height_px);
    }
    for (int i = 0; i < 3; i++) {
        if (!isfinite(c->norm_mean[i]) || !isfinite(c->norm_std[i]) || c->norm_std[i] < 0.0F) {
            return einet_error_set(err, EINET_E_USAGE, "mean and std of a network are numbers, and no std is below 0");
        }
    }
    for (int32_t b = 0; c->mean_score != NULL && b < c->exits; b++) {
        if (!(c->mean_score[b] >= 0.0F && c->mean_score[b] <= 1.0F)) {
            return einet_error_set(err, EINET_E_USAGE, "the mean score of exit %d is outside 0 to 1", b + 1);
        }
    }
    return 0;
}

static void describe(const struct ei_network_own_config *config, struct ei_network_info *info)
{
    const bool has_input = config->channels > 0;
    *info = (struct ei_network_info){
        .exits = config->exits,
        .classes = config->classes,
        .channels = has_input ? config->channels : 1,
        .height_px = has_input ? config->height_px : 1,
        .width_px = has_input ? config->width_px : 1,
    };
    snprintf(info->name, sizeof info->name, "%s", config->name);
    snprintf(info->backend, sizeof info->backend, "own");
    for (int i = 0; i < 3; i++) {
        info->norm_mean[i] = config->norm_mean[i];
        info->norm_std[i] = config->norm_std[i] > 0.0F ? config->norm_std[i] : 1.0F;
    }
    for (int32_t b = 0; b < config->exits; b++) {
        info->exit_accuracy[b] = config->mean_score != NULL ? config->mean_score[b] : -1.0F;
    }
}

int ei_network_open_own(const struct ei_network_own_config *config, struct ei_network **out, struct einet_error *err)
{
    int rc = ei_network_check_own(config, err);
    if (rc != 0) {
        return rc;
    }
    struct own *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    o->config = *config;
    o->net.backend = &own_backend;
    o->net.next_block = -1;
    describe(config, &o->net.info);
    rc = config->open != NULL ? config->open(config->context) : 0;
    if (rc < 0) {
        (void)einet_error_set(err, EINET_E_BACKEND, "network %s could not be opened: %s", o->net.info.name,
                              einet_error_text(rc));
        free(o);
        return EINET_E_BACKEND;
    }
    *out = &o->net;
    return 0;
}
