/* The emulated backend: spins for profiled times, answers right with profiled probabilities. Real-time safe throughout.
 */
#include "rt/clock.h"
#include "rt/random.h"
#include "stages/nn/network_backend.h"
#include "stages/spin.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MAX_NS (INT64_C(60) * EI_NS_PER_S)

struct emulated {
    struct ei_network net;
    struct ei_network_emulate_config config;
    double draw; /* of the job's sample: below the score = right */
    int32_t right_label, wrong_label;
    struct ei_random times; /* of the blocks, in the order in which they run */
};

/* One draw of a time: lognormal with the given median and 99th percentile (2.3263 standard deviations above). */
static int64_t draw_ns(struct emulated *e, int64_t median_ns, int64_t p99_ns)
{
    if (p99_ns <= median_ns || median_ns == 0) {
        return median_ns;
    }
    const double sigma = log((double)p99_ns / (double)median_ns) / 2.326347874;
    const double ns = (double)median_ns * exp(sigma * ei_random_normal(&e->times));
    return ns < (double)BLOCK_MAX_NS ? (int64_t)ns : BLOCK_MAX_NS;
}

static int emulated_thread_enter(struct ei_network *net)
{
    (void)net;
    return 0;
}

static int emulated_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label)
{
    (void)input_chw;
    struct emulated *e = (struct emulated *)net;
    struct ei_random rng;
    ei_random_init(&rng, e->config.seed, (uint64_t)(int64_t)sample_idx);
    const uint64_t classes = (uint64_t)net->info.classes;
    e->draw = ei_random_unit(&rng);
    e->right_label = label >= 0 && label < net->info.classes ? label : (int32_t)ei_random_below(&rng, classes);
    e->wrong_label = (e->right_label + 1 + (int32_t)ei_random_below(&rng, classes - 1)) % net->info.classes;
    return 0;
}

static int emulated_run_conv(struct ei_network *net, int32_t block_idx)
{
    struct emulated *e = (struct emulated *)net;
    ei_spin(draw_ns(e, e->config.conv_ns[block_idx], e->config.conv_p99_ns[block_idx]));
    return 0;
}

/* Logits whose softmax gives the answer exactly the score's probability. */
static void write_logits(const struct emulated *e, int32_t block_idx, float *out_logits)
{
    const int32_t classes = e->net.info.classes;
    const double score = (double)e->config.score[block_idx];
    const double floor_p = 1.0 / classes, highest = 1.0 - 1e-6;
    const double p = score < floor_p ? floor_p : (score > highest ? highest : score);
    for (int32_t i = 0; i < classes; i++) {
        out_logits[i] = 0.0F;
    }
    out_logits[e->draw < score ? e->right_label : e->wrong_label] = (float)(log(p * (classes - 1) / (1.0 - p)) + 1e-6);
}

static int emulated_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    struct emulated *e = (struct emulated *)net;
    ei_spin(draw_ns(e, e->config.branch_ns[block_idx], e->config.branch_p99_ns[block_idx]));
    write_logits(e, block_idx, out_logits);
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
        if (c->conv_ns[b] < 0 || c->conv_ns[b] > BLOCK_MAX_NS || c->branch_ns[b] < 0 ||
            c->branch_ns[b] > BLOCK_MAX_NS) {
            return einet_error_set(err, EINET_E_USAGE, "the times of emulated block %d are outside 0 to 60 s", b + 1);
        }
        if (!(c->score[b] >= 0.0F && c->score[b] <= 1.0F)) {
            return einet_error_set(err, EINET_E_USAGE, "the score of emulated block %d is outside 0 to 1", b + 1);
        }
    }
    return 0;
}

int ei_network_open_emulate(const struct ei_network_emulate_config *config, struct ei_network **out,
                            struct einet_error *err)
{
    const int rc = check_emulate(config, err);
    if (rc != 0) {
        return rc;
    }
    struct emulated *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for an emulated network");
    }
    struct ei_network_info *info = &e->net.info;
    e->config = *config;
    e->net.backend = &emulate_backend;
    e->net.next_block = -1;
    ei_random_init(&e->times, config->seed, UINT64_MAX);
    snprintf(info->name, sizeof info->name, "emulate");
    snprintf(info->backend, sizeof info->backend, "emulate");
    info->exits = config->exits;
    info->classes = config->classes;
    info->channels = config->channels;
    info->height_px = config->height_px;
    info->width_px = config->width_px;
    for (int32_t c = 0; c < 3; c++) {
        info->norm_std[c] = 1.0F;
    }
    for (int32_t b = 0; b < config->exits; b++) {
        info->exit_accuracy[b] = config->score[b];
    }
    *out = &e->net;
    return 0;
}
