/* The `cuda` backend: hands each part to the CUDA plug-in, which launches its graph and sleeps until it is done. The
 * plug-in enters the driver, so every entry that does is a submit section. Logits are on the host when run_branch
 * returns: what happens to the device later cannot take an answer back.
 */
#include "stages/nn/network_cuda.h"

#include "rt/section.h"
#include "stages/nn/network_backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct cuda {
    struct ei_network net;
    const struct ei_cuda_api *api;
    struct ei_cuda_parts *parts;
    int32_t device_idx;
};

/* Keep what the plug-in says about a failed call. */
static int faulted(struct cuda *c, int rc)
{
    if (rc != 0) {
        snprintf(c->net.fault, sizeof c->net.fault, "%.250s", c->api->error_text());
    }
    return rc;
}

static int cuda_thread_enter(struct ei_network *net)
{
    (void)net;
    return 0;
}

static int cuda_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label)
{
    (void)sample_idx;
    (void)label;
    struct cuda *c = (struct cuda *)net;
    ei_rt_submit_enter();
    const int rc = faulted(c, c->api->begin(c->parts, input_chw));
    ei_rt_submit_leave();
    return rc;
}

static int cuda_begin_device(struct ei_network *net, const void *input, void *event)
{
    struct cuda *c = (struct cuda *)net;
    ei_rt_submit_enter();
    const int rc = faulted(c, c->api->begin_device(c->parts, input, event));
    ei_rt_submit_leave();
    return rc;
}

static int cuda_run_conv(struct ei_network *net, int32_t block_idx)
{
    struct cuda *c = (struct cuda *)net;
    ei_rt_submit_enter();
    const int rc = faulted(c, c->api->run_conv(c->parts, block_idx));
    ei_rt_submit_leave();
    return rc;
}

static int cuda_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    struct cuda *c = (struct cuda *)net;
    ei_rt_submit_enter();
    const int rc = faulted(c, c->api->run_branch(c->parts, block_idx, out_logits));
    ei_rt_submit_leave();
    return rc;
}

static int cuda_run_piece(struct ei_network *net, int32_t block_idx, bool is_branch, int32_t piece_idx,
                          float *out_logits)
{
    struct cuda *c = (struct cuda *)net;
    ei_rt_submit_enter();
    const int rc = faulted(c, c->api->run_piece(c->parts, block_idx, is_branch ? 1 : 0, piece_idx, out_logits));
    ei_rt_submit_leave();
    return rc;
}

static void cuda_end(struct ei_network *net)
{
    struct cuda *c = (struct cuda *)net;
    ei_rt_submit_enter();
    (void)faulted(c, c->api->end(c->parts));
    ei_rt_submit_leave();
}

static int cuda_run_monolithic(struct ei_network *net, const float *input_chw, float *out_logits)
{
    struct cuda *c = (struct cuda *)net;
    ei_rt_submit_enter();
    const int rc = faulted(c, c->api->run_whole(c->parts, input_chw, out_logits));
    ei_rt_submit_leave();
    return rc;
}

static void cuda_destroy(struct ei_network *net)
{
    struct cuda *c = (struct cuda *)net;
    c->api->parts_destroy(c->parts);
    free(c);
}

static const struct ei_network_backend cuda_backend = {
    cuda_thread_enter, cuda_begin, cuda_run_conv, cuda_run_branch, cuda_end, cuda_run_monolithic, cuda_destroy,
};

static int32_t cuda_piece_count(const struct ei_network *net, int32_t block_idx, bool is_branch)
{
    const struct cuda *c = (const struct cuda *)net;
    return c->api->pieces(c->parts, block_idx, is_branch ? 1 : 0);
}

static int64_t cuda_uncut(const struct ei_network *net, struct ei_network_layer *out)
{
    const struct cuda *c = (const struct cuda *)net;
    int32_t block_idx = 0, is_branch = 0;
    char name[EI_CUDA_LAYER_NAME_MAX] = "";
    const int64_t ns = c->api->uncut(c->parts, &block_idx, &is_branch, name);
    if (ns > 0) {
        *out = (struct ei_network_layer){.block_idx = block_idx, .is_branch = is_branch != 0};
        snprintf(out->name, sizeof out->name, "%s", name);
    }
    return ns;
}

static const struct ei_network_pieces cuda_pieces = {cuda_piece_count, cuda_run_piece, cuda_uncut};

static bool cuda_is_lost(const struct ei_network *net)
{
    const struct cuda *c = (const struct cuda *)net;
    return c->api->device_is_lost(c->device_idx) != 0;
}

static int64_t cuda_part_ns(const struct ei_network *net, int32_t block_idx, bool is_branch)
{
    const struct cuda *c = (const struct cuda *)net;
    return c->api->part_ns(c->parts, block_idx, is_branch ? 1 : 0);
}

const struct ei_cuda_parts *ei_network_cuda_parts(const struct ei_network *net)
{
    return net->cuda_parts;
}

int ei_network_cuda_create(const struct ei_cuda_api *api, struct ei_cuda_recorder recorder,
                           const struct ei_network_info *info, const struct ei_network_cuda_settings *settings,
                           struct ei_network **out, struct einet_error *err)
{
    struct cuda *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    c->net.backend = &cuda_backend;
    c->net.pieces = &cuda_pieces;
    c->net.next_block = -1;
    c->net.info = *info;
    c->net.is_lost = cuda_is_lost;
    c->net.part_ns = cuda_part_ns;
    c->net.begin_device = settings->is_input_on_device ? cuda_begin_device : NULL;
    snprintf(c->net.info.backend, sizeof c->net.info.backend, "cuda");
    c->api = api;
    c->device_idx = settings->device_idx;
    const struct ei_cuda_parts_config config = {
        .device_idx = settings->device_idx,
        .priority = settings->priority,
        .wait = settings->wait,
        .signal = settings->signal,
        .poll_ns = settings->poll_ns,
        .depth = settings->depth,
        .hang_ns = settings->hang_ns,
        .merge_below_ns = settings->merge_below_ns,
        .split_above_ns = settings->split_above_ns,
        .sms = settings->sms,
        .lane_idx = settings->lane_idx,
        .exits = info->exits,
        .classes = info->classes,
        .input_count = (int64_t)info->channels * info->height_px * info->width_px,
        .is_input_on_device = settings->is_input_on_device ? 1 : 0,
        .recorder = recorder,
    };
    const int rc = api->parts_create(&config, &c->parts);
    if (rc != 0) {
        free(c);
        return einet_error_set(err, rc, "%.400s", api->error_text());
    }
    c->net.cuda_parts = c->parts;
    *out = &c->net;
    return 0;
}
