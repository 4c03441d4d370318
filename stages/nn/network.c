/* Order of the calls, common to all backends. */
#include "stages/nn/network_backend.h"

#include <errno.h>
#include <stddef.h>

const struct ei_network_info *ei_network_info(const struct ei_network *net)
{
    return &net->info;
}

int ei_network_thread_enter(struct ei_network *net)
{
    return net->backend->thread_enter(net);
}

int ei_network_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label)
{
    const int rc = net->backend->begin(net, input_chw, sample_idx, label);
    net->next_block = rc == 0 ? 0 : -1;
    net->conv_piece = net->branch_piece = 0;
    return rc;
}

int ei_network_begin_device(struct ei_network *net, const void *input, void *event)
{
    const int rc = net->begin_device != NULL ? net->begin_device(net, input, event) : -EINVAL;
    net->next_block = rc == 0 ? 0 : -1;
    net->conv_piece = net->branch_piece = 0;
    return rc;
}

static bool is_next(const struct ei_network *net, int32_t block_idx, bool is_branch)
{
    return block_idx >= 0 && block_idx < net->info.exits &&
           block_idx == (is_branch ? net->next_block - 1 : net->next_block);
}

static void conv_done(struct ei_network *net)
{
    net->next_block++;
    net->conv_piece = net->branch_piece = 0;
}

int ei_network_run_conv(struct ei_network *net, int32_t block_idx)
{
    if (!is_next(net, block_idx, false)) {
        return -EINVAL;
    }
    const int rc = net->backend->run_conv(net, block_idx);
    if (rc == 0) {
        conv_done(net);
    }
    return rc;
}

int ei_network_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    if (!is_next(net, block_idx, true)) {
        return -EINVAL;
    }
    const int rc = net->backend->run_branch(net, block_idx, out_logits);
    net->branch_piece = 0;
    return rc;
}

float ei_network_confidence(const struct ei_network *net, float probability)
{
    return net->has_confidence ? net->confidence : probability;
}

int32_t ei_network_piece_count(const struct ei_network *net, int32_t block_idx, bool is_branch)
{
    return net->pieces != NULL ? net->pieces->count(net, block_idx, is_branch) : 1;
}

int ei_network_run_piece(struct ei_network *net, int32_t block_idx, bool is_branch, int32_t piece_idx,
                         float *out_logits)
{
    if (!is_next(net, block_idx, is_branch)) {
        return -EINVAL;
    }
    int32_t *next = is_branch ? &net->branch_piece : &net->conv_piece;
    const int32_t count = ei_network_piece_count(net, block_idx, is_branch);
    if (piece_idx != *next) {
        return -EINVAL;
    }
    if (count == 1) {
        return is_branch ? ei_network_run_branch(net, block_idx, out_logits) : ei_network_run_conv(net, block_idx);
    }
    const int rc = net->pieces->run(net, block_idx, is_branch, piece_idx, out_logits);
    if (rc == 0 && ++*next == count) {
        *next = 0;
        if (!is_branch) {
            conv_done(net);
        }
    }
    return rc;
}

int64_t ei_network_uncut(const struct ei_network *net, struct ei_network_layer *out)
{
    return net->pieces != NULL ? net->pieces->uncut(net, out) : 0;
}

void ei_network_end(struct ei_network *net)
{
    net->backend->end(net);
    net->next_block = -1;
}

int ei_network_run_monolithic(struct ei_network *net, const float *input_chw, float *out_logits)
{
    net->next_block = -1;
    return net->backend->run_monolithic(net, input_chw, out_logits);
}

bool ei_network_is_lost(const struct ei_network *net)
{
    return net->is_lost != NULL && net->is_lost(net);
}

int64_t ei_network_part_ns(const struct ei_network *net, int32_t block_idx, bool is_branch)
{
    const bool is_known = net->part_ns != NULL && block_idx >= 0 && block_idx < net->info.exits;
    return is_known ? net->part_ns(net, block_idx, is_branch) : -1;
}

const char *ei_network_fault_text(const struct ei_network *net)
{
    return net->fault;
}

void ei_network_destroy(struct ei_network *net)
{
    if (net != NULL) {
        net->backend->destroy(net);
    }
}
