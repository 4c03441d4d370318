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
    return rc;
}

int ei_network_run_conv(struct ei_network *net, int32_t block_idx)
{
    if (block_idx < 0 || block_idx != net->next_block || block_idx >= net->info.exits) {
        return -EINVAL;
    }
    const int rc = net->backend->run_conv(net, block_idx);
    if (rc == 0) {
        net->next_block++;
    }
    return rc;
}

int ei_network_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    if (block_idx < 0 || block_idx != net->next_block - 1) {
        return -EINVAL;
    }
    return net->backend->run_branch(net, block_idx, out_logits);
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
