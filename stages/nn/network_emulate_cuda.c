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
#include <string.h>

struct emulated {
    struct ei_network net;
    const struct ei_cuda_api *api;
    struct ei_cuda_parts *parts;
    struct ei_network_emulate_config config;
    double conv_sigma[EI_NETWORK_BLOCKS_MAX], branch_sigma[EI_NETWORK_BLOCKS_MAX];
    int32_t drawn; /* conv parts whose time is set */
    struct ei_emulated_sample sample;
    struct ei_random times;
    int32_t piece_at[2 * EI_NETWORK_BLOCKS_MAX + 1]; /* first piece of conv part 0, branch 0, conv part 1, ... */
    int64_t piece_ns[];                              /* of this job; the graphs read them */
};

static int32_t pieces_of(const struct emulated *e, int32_t part)
{
    return e->piece_at[part + 1] - e->piece_at[part];
}

static void set_part(struct emulated *e, int32_t part, int64_t part_ns)
{
    const int32_t pieces = pieces_of(e, part);
    for (int32_t i = 0; i < pieces; i++) {
        e->piece_ns[e->piece_at[part] + i] = ei_emulated_piece_ns(part_ns, pieces, i);
    }
}

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

/* The picture is not looked at, but waited for. */
static int emulated_begin_device(struct ei_network *net, const void *input, void *event)
{
    struct emulated *e = (struct emulated *)net;
    ei_rt_submit_enter();
    const int rc = faulted(e, e->api->begin_device(e->parts, input, event));
    ei_rt_submit_leave();
    e->drawn = 0;
    e->sample = ei_emulated_sample_draw(e->config.seed, -1, -1, net->info.classes);
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
        set_part(e, 2 * e->drawn, ei_emulated_time_ns(&e->times, e->config.conv_ns[e->drawn], e->conv_sigma[e->drawn]));
    }
}

static void draw_branch(struct emulated *e, int32_t block_idx)
{
    set_part(e, 2 * block_idx + 1,
             ei_emulated_time_ns(&e->times, e->config.branch_ns[block_idx], e->branch_sigma[block_idx]));
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
    if (net->branch_piece == 0) {
        draw_branch(e, block_idx);
    }
    ei_rt_submit_enter();
    const int rc = faulted(e, e->api->run_branch(e->parts, block_idx, out_logits));
    ei_rt_submit_leave();
    if (rc == 0) {
        ei_emulated_logits(&e->sample, (double)e->config.score[block_idx], net->info.classes, out_logits);
    }
    return rc;
}

static int emulated_run_piece(struct ei_network *net, int32_t block_idx, bool is_branch, int32_t piece_idx,
                              float *out_logits)
{
    struct emulated *e = (struct emulated *)net;
    if (!is_branch) {
        draw_conv(e, block_idx);
    } else if (piece_idx == 0) {
        draw_branch(e, block_idx);
    }
    ei_rt_submit_enter();
    const int rc = faulted(e, e->api->run_piece(e->parts, block_idx, is_branch ? 1 : 0, piece_idx, out_logits));
    ei_rt_submit_leave();
    if (rc == 0 && is_branch && piece_idx + 1 == pieces_of(e, 2 * block_idx + 1)) {
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

static int32_t emulated_piece_count(const struct ei_network *net, int32_t block_idx, bool is_branch)
{
    return pieces_of((const struct emulated *)net, 2 * block_idx + is_branch);
}

static int64_t emulated_uncut(const struct ei_network *net, struct ei_network_layer *out)
{
    (void)net;
    (void)out;
    return 0; /* a time can be cut anywhere */
}

static const struct ei_network_pieces emulated_pieces = {emulated_piece_count, emulated_run_piece, emulated_uncut};

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

static int capture(void *context, int32_t block_idx, int32_t is_branch, int32_t layer_idx, void *stream,
                   void **out_graph)
{
    (void)stream;
    struct emulated *e = context;
    const int32_t first = e->piece_at[2 * block_idx + is_branch];
    return e->api->graph_sleep(&e->piece_ns[first + (layer_idx == EI_CUDA_WHOLE ? 0 : layer_idx)], out_graph);
}

static int32_t layers(void *context, int32_t block_idx, int32_t is_branch)
{
    return pieces_of(context, 2 * block_idx + is_branch);
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
        .signal = c->cuda.signal,
        .poll_ns = c->cuda.poll_ns,
        .depth = c->cuda.depth,
        .hang_ns = c->cuda.hang_ns,
        .merge_below_ns = c->cuda.merge_below_ns,
        .split_above_ns = c->cuda.split_above_ns,
        .sms = c->cuda.sms,
        .lane_idx = c->cuda.lane_idx,
        .exits = c->exits,
        .classes = c->classes,
        .is_input_on_device = c->cuda.is_input_on_device ? 1 : 0,
        .recorder = {.context = e,
                     .capture = capture,
                     .fault_text = fault_text,
                     .destroy = free,
                     .layers = layers,
                     .is_cut_given = 1},
    };
    return e->api->parts_create(&config, &e->parts);
}

/* out_at: [2 * exits + 1], zeroed. */
static int count_pieces(const struct ei_network_emulate_config *c, int32_t *out_at, struct einet_error *err)
{
    for (int32_t part = 0; part < 2 * c->exits; part++) {
        const int32_t b = part / 2;
        const int32_t pieces = part % 2 == 0
                                   ? ei_emulated_pieces(c->conv_ns[b], c->conv_p99_ns[b], c->cuda.split_above_ns)
                                   : ei_emulated_pieces(c->branch_ns[b], c->branch_p99_ns[b], c->cuda.split_above_ns);
        if (pieces > EI_EMULATED_PIECES_MAX - out_at[part]) {
            return einet_error_set(err, EINET_E_USAGE, "an emulated network is cut into at most %d pieces",
                                   EI_EMULATED_PIECES_MAX);
        }
        out_at[part + 1] = out_at[part] + pieces;
    }
    return 0;
}

int ei_network_emulate_cuda_create(const struct ei_network_emulate_config *config, const struct ei_network_info *info,
                                   struct ei_network **out, struct einet_error *err)
{
    const struct ei_cuda_api *api = NULL;
    int rc = ei_cuda_load(&api, err);
    if (rc != 0) {
        return rc;
    }
    int32_t piece_at[2 * EI_NETWORK_BLOCKS_MAX + 1] = {0};
    rc = count_pieces(config, piece_at, err);
    if (rc != 0) {
        return rc;
    }
    struct emulated *e = calloc(1, sizeof *e + (size_t)piece_at[2 * config->exits] * sizeof e->piece_ns[0]);
    if (e == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for an emulated network");
    }
    memcpy(e->piece_at, piece_at, sizeof piece_at);
    e->net.backend = &emulate_backend;
    e->net.pieces = &emulated_pieces;
    e->net.next_block = -1;
    e->net.is_lost = emulated_is_lost;
    e->net.part_ns = emulated_part_ns;
    e->net.begin_device = config->cuda.is_input_on_device ? emulated_begin_device : NULL;
    e->net.info = *info;
    snprintf(e->net.info.backend, sizeof e->net.info.backend, "emulate on cuda");
    e->api = api;
    e->config = *config;
    ei_random_init(&e->times, config->seed, UINT64_MAX);
    for (int32_t b = 0; b < config->exits; b++) {
        e->conv_sigma[b] = ei_emulated_sigma(config->conv_ns[b], config->conv_p99_ns[b]);
        e->branch_sigma[b] = ei_emulated_sigma(config->branch_ns[b], config->branch_p99_ns[b]);
        set_part(e, 2 * b, config->conv_ns[b]); /* while it is measured */
        set_part(e, 2 * b + 1, config->branch_ns[b]);
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
