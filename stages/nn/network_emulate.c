/* The emulated backend: spins for profiled times, answers right with profiled probabilities. Real-time safe throughout.
 */
#include "stages/nn/emulate.h"
#include "stages/nn/network_backend.h"
#include "stages/nn/network_emulate_cuda.h"
#include "stages/spin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct emulated {
    struct ei_network net;
    struct ei_network_emulate_config config;
    double conv_sigma[EI_NETWORK_BLOCKS_MAX], branch_sigma[EI_NETWORK_BLOCKS_MAX];
    struct ei_emulated_sample sample; /* of the job */
    struct ei_random times;           /* of the blocks, in the order in which they run */
};

static int emulated_thread_enter(struct ei_network *net)
{
    (void)net;
    return 0;
}

static int emulated_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label)
{
    (void)input_chw;
    struct emulated *e = (struct emulated *)net;
    e->sample = ei_emulated_sample_draw(e->config.seed, sample_idx, label, net->info.classes);
    return 0;
}

static int emulated_run_conv(struct ei_network *net, int32_t block_idx)
{
    struct emulated *e = (struct emulated *)net;
    ei_spin(ei_emulated_time_ns(&e->times, e->config.conv_ns[block_idx], e->conv_sigma[block_idx]));
    return 0;
}

static int emulated_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    struct emulated *e = (struct emulated *)net;
    ei_spin(ei_emulated_time_ns(&e->times, e->config.branch_ns[block_idx], e->branch_sigma[block_idx]));
    ei_emulated_logits(&e->sample, (double)e->config.score[block_idx], net->info.classes, out_logits);
    return 0;
}

static void emulated_end(struct ei_network *net)
{
    (void)net;
}

static int emulated_run_monolithic(struct ei_network *net, const float *input_chw, float *out_logits)
{
    int rc = emulated_begin(net, input_chw, -1, -1);
    for (int32_t b = 0; rc == 0 && b < net->info.exits; b++) {
        (void)emulated_run_conv(net, b);
        rc = emulated_run_branch(net, b, out_logits + (size_t)b * (size_t)net->info.classes);
    }
    return rc;
}

static void emulated_destroy(struct ei_network *net)
{
    free(net);
}

static const struct ei_network_backend emulate_backend = {
    emulated_thread_enter, emulated_begin,          emulated_run_conv, emulated_run_branch,
    emulated_end,          emulated_run_monolithic, emulated_destroy,
};

static int check_emulate(const struct ei_network_emulate_config *c, struct einet_error *err)
{
    if (c->exits < 1 || c->exits > EI_NETWORK_BLOCKS_MAX || c->classes < 2 || c->classes > EI_NETWORK_CLASSES_MAX) {
        return einet_error_set(err, EINET_E_USAGE,
                               "an emulated network has 1 to %d exits and 2 to %d classes, not %d and %d",
                               EI_NETWORK_BLOCKS_MAX, EI_NETWORK_CLASSES_MAX, c->exits, c->classes);
    }
    if ((c->channels != 1 && c->channels != 3) || c->height_px < 1 || c->width_px < 1) {
        return einet_error_set(err, EINET_E_USAGE,
                               "an emulated network takes pictures of 1 or 3 channels, at least 1x1");
    }
    for (int32_t b = 0; b < c->exits; b++) {
        if (c->conv_ns[b] < 0 || c->conv_ns[b] > EI_EMULATED_BLOCK_MAX_NS || c->branch_ns[b] < 0 ||
            c->branch_ns[b] > EI_EMULATED_BLOCK_MAX_NS) {
            return einet_error_set(err, EINET_E_USAGE, "the times of emulated block %d are outside 0 to 60 s", b + 1);
        }
        if (!(c->score[b] >= 0.0F && c->score[b] <= 1.0F)) {
            return einet_error_set(err, EINET_E_USAGE, "the score of emulated block %d is outside 0 to 1", b + 1);
        }
    }
    return 0;
}

static void describe(const struct ei_network_emulate_config *config, struct ei_network_info *info)
{
    *info = (struct ei_network_info){
        .exits = config->exits,
        .classes = config->classes,
        .channels = config->channels,
        .height_px = config->height_px,
        .width_px = config->width_px,
        .norm_std = {1.0F, 1.0F, 1.0F},
    };
    snprintf(info->name, sizeof info->name, "emulate");
    snprintf(info->backend, sizeof info->backend, "emulate");
    for (int32_t b = 0; b < config->exits; b++) {
        info->exit_accuracy[b] = config->score[b];
    }
}

int ei_network_open_emulate(const struct ei_network_emulate_config *config, struct ei_network **out,
                            struct einet_error *err)
{
    const int rc = check_emulate(config, err);
    if (rc != 0) {
        return rc;
    }
    struct ei_network_info described;
    describe(config, &described);
    if (config->is_on_cuda) {
        return ei_network_emulate_cuda_create(config, &described, out, err);
    }
    struct emulated *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for an emulated network");
    }
    e->config = *config;
    e->net.backend = &emulate_backend;
    e->net.next_block = -1;
    e->net.info = described;
    ei_random_init(&e->times, config->seed, UINT64_MAX);
    for (int32_t b = 0; b < config->exits; b++) {
        e->conv_sigma[b] = ei_emulated_sigma(config->conv_ns[b], config->conv_p99_ns[b]);
        e->branch_sigma[b] = ei_emulated_sigma(config->branch_ns[b], config->branch_p99_ns[b]);
    }
    *out = &e->net;
    return 0;
}
