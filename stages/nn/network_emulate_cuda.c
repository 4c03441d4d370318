/* The emulated backend on a CUDA device: each part is a graph that sleeps on the device's queue, and the job's thread
 * waits for it as for any other. Answers are drawn as on the CPU, times too: before a part is launched, so in the same
 * order unless parts are merged or launched ahead. The graphs read the times from here, so a network whose device is
 * lost is kept for ever.
 */
#include "stages/nn/network_emulate_cuda.h"

#include "rt/section.h"
#include "stages/cuda/loader.h"
#include "stages/nn/emulate.h"
#include "stages/nn/network_backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct emulated {
    struct ei_network net;
    const struct ei_cuda_api *api;
    struct ei_cuda_parts *parts;
    struct ei_network_emulate_config config;
    double conv_sigma[EI_NETWORK_BLOCKS_MAX], branch_sigma[EI_NETWORK_BLOCKS_MAX];
    int64_t conv_ns[EI_NETWORK_BLOCKS_MAX], branch_ns[EI_NETWORK_BLOCKS_MAX]; /* of this job; the graphs read them */
    int32_t drawn;                                                            /* conv parts whose time is set */
    struct ei_emulated_sample sample;
    struct ei_random times;
};

static int faulted(struct emulated *e, int rc)
{
    if (rc != 0) {
        snprintf(e->net.fault, sizeof e->net.fault, "%.250s", e->api->error_text());
    }
    return rc;
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
    ei_rt_submit_enter();
    const int rc = faulted(e, e->api->begin(e->parts, NULL));
    ei_rt_submit_leave();
    e->drawn = 0;
    e->sample = ei_emulated_sample_draw(e->config.seed, sample_idx, label, net->info.classes);
    return rc;
}

/* Times of all that this call may launch. */
static void draw_conv(struct emulated *e, int32_t block_idx)
{
    int32_t last = e->api->merged_until(e->parts, block_idx);
    if (e->config.cuda.depth > 1 && last + 1 < e->config.exits) {
        last = e->api->merged_until(e->parts, last + 1);
    }
    for (; e->drawn <= last; e->drawn++) {
        e->conv_ns[e->drawn] = ei_emulated_time_ns(&e->times, e->config.conv_ns[e->drawn], e->conv_sigma[e->drawn]);
    }
}

static int emulated_run_conv(struct ei_network *net, int32_t block_idx)
{
    struct emulated *e = (struct emulated *)net;
    draw_conv(e, block_idx);
    ei_rt_submit_enter();
    const int rc = faulted(e, e->api->run_conv(e->parts, block_idx));
    ei_rt_submit_leave();
    return rc;
}

static int emulated_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    struct emulated *e = (struct emulated *)net;
    e->branch_ns[block_idx] =
        ei_emulated_time_ns(&e->times, e->config.branch_ns[block_idx], e->branch_sigma[block_idx]);
    ei_rt_submit_enter();
    const int rc = faulted(e, e->api->run_branch(e->parts, block_idx, out_logits));
    ei_rt_submit_leave();
    if (rc == 0) {
        ei_emulated_logits(&e->sample, (double)e->config.score[block_idx], net->info.classes, out_logits);
    }
    return rc;
}

static void emulated_end(struct ei_network *net)
{
    struct emulated *e = (struct emulated *)net;
    ei_rt_submit_enter();
    (void)faulted(e, e->api->end(e->parts));
    ei_rt_submit_leave();
}

static int emulated_run_monolithic(struct ei_network *net, const float *input_chw, float *out_logits)
{
    struct emulated *e = (struct emulated *)net;
    int rc = emulated_begin(net, input_chw, -1, -1);
    ei_rt_submit_enter();
    rc = rc == 0 ? faulted(e, e->api->run_whole(e->parts, NULL, out_logits)) : rc;
    ei_rt_submit_leave();
    for (int32_t b = 0; rc == 0 && b < net->info.exits; b++) {
        ei_emulated_logits(&e->sample, (double)e->config.score[b], net->info.classes,
                           out_logits + (size_t)b * (size_t)net->info.classes);
    }
    return rc;
}

static void emulated_destroy(struct ei_network *net)
{
    struct emulated *e = (struct emulated *)net;
    e->api->parts_destroy(e->parts); /* frees e, unless the device is lost */
}

static const struct ei_network_backend emulate_backend = {
    emulated_thread_enter, emulated_begin,          emulated_run_conv, emulated_run_branch,
    emulated_end,          emulated_run_monolithic, emulated_destroy,
};

static bool emulated_is_lost(const struct ei_network *net)
{
    const struct emulated *e = (const struct emulated *)net;
    return e->api->device_is_lost(e->config.cuda.device_idx) != 0;
}

static int64_t emulated_part_ns(const struct ei_network *net, int32_t block_idx, bool is_branch)
{
    const struct emulated *e = (const struct emulated *)net;
    return e->api->part_ns(e->parts, block_idx, is_branch ? 1 : 0);
}

/* ---- recording ---- */

static int capture(void *context, int32_t block_idx, int32_t is_branch, void *stream, void **out_graph)
{
    (void)stream;
    struct emulated *e = context;
    return e->api->graph_sleep(is_branch != 0 ? &e->branch_ns[block_idx] : &e->conv_ns[block_idx], out_graph);
}

static const char *fault_text(void *context)
{
    return ((struct emulated *)context)->api->error_text();
}

static int create_parts(struct emulated *e)
{
    const struct ei_network_emulate_config *c = &e->config;
    const struct ei_cuda_parts_config config = {
        .device_idx = c->cuda.device_idx,
        .priority = c->cuda.priority,
        .wait = c->cuda.wait,
        .poll_ns = c->cuda.poll_ns,
        .depth = c->cuda.depth,
        .hang_ns = c->cuda.hang_ns,
        .merge_below_ns = c->cuda.merge_below_ns,
        .exits = c->exits,
        .classes = c->classes,
        .recorder = {.context = e, .capture = capture, .fault_text = fault_text, .destroy = free},
    };
    return e->api->parts_create(&config, &e->parts);
}

int ei_network_emulate_cuda_create(const struct ei_network_emulate_config *config, const struct ei_network_info *info,
                                   struct ei_network **out, struct einet_error *err)
{
    const struct ei_cuda_api *api = NULL;
    int rc = ei_cuda_load(&api, err);
    if (rc != 0) {
        return rc;
    }
    struct emulated *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for an emulated network");
    }
    e->net.backend = &emulate_backend;
    e->net.next_block = -1;
    e->net.is_lost = emulated_is_lost;
    e->net.part_ns = emulated_part_ns;
    e->net.info = *info;
    snprintf(e->net.info.backend, sizeof e->net.info.backend, "emulate on cuda");
    e->api = api;
    e->config = *config;
    ei_random_init(&e->times, config->seed, UINT64_MAX);
    for (int32_t b = 0; b < config->exits; b++) {
        e->conv_sigma[b] = ei_emulated_sigma(config->conv_ns[b], config->conv_p99_ns[b]);
        e->branch_sigma[b] = ei_emulated_sigma(config->branch_ns[b], config->branch_p99_ns[b]);
        e->conv_ns[b] = config->conv_ns[b]; /* while it is measured */
        e->branch_ns[b] = config->branch_ns[b];
    }
    rc = create_parts(e);
    if (rc == 0) {
        e->net.cuda_parts = e->parts;
        *out = &e->net;
        return 0;
    }
    rc = einet_error_set(err, rc, "%.400s", api->error_text());
    if (api->device_is_lost(config->cuda.device_idx) == 0) {
        free(e);
    }
    return rc;
}
