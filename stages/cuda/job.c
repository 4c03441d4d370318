/* A job on its network: conv parts in order, branches of those that have run. With depth 2 the next conv part is in the
 * queue while one is waited for. Nothing that a job leaves behind is waited for at its end, but before the next one.
 * Runs in submit sections; allocates nothing.
 */
#include "stages/cuda/parts.h"

#include <errno.h>
#include <string.h>

/* The device of the calling thread is the network's, and not lost. */
static int enter(struct ei_cuda_parts *parts)
{
    if (ei_cuda_device_is_lost(parts->device)) {
        return ei_cuda_device_refuse(parts->device);
    }
    const cudaError_t e = cudaSetDevice(parts->config.device_idx);
    return e == cudaSuccess ? 0 : ei_cuda_launch_failed(parts, e, "choosing it");
}

int ei_cuda_job_begin(struct ei_cuda_parts *parts, const float *input)
{
    parts->next_block = -1;
    int rc = enter(parts);
    if (rc == 0) {
        rc = ei_cuda_launch_drain(parts);
    }
    if (rc == 0) {
        if (input != NULL) {
            memcpy(parts->input, input, (size_t)parts->config.input_count * sizeof *input);
        }
        parts->conv_launched = parts->conv_done = -1;
        parts->next_block = 0;
    }
    return rc;
}

static int submit_conv(struct ei_cuda_parts *parts, int32_t block_idx)
{
    const int rc = ei_cuda_launch_submit(parts, &parts->conv[block_idx]);
    if (rc == 0) {
        parts->conv_launched = parts->conv[block_idx].last_block_idx;
    }
    return rc;
}

/* Keep the device busy. A launch that fails here is tried again when it is asked for. */
static void submit_ahead(struct ei_cuda_parts *parts)
{
    if (parts->queued < parts->config.depth && parts->config.depth > 1 &&
        parts->conv_launched + 1 < parts->config.exits) {
        (void)submit_conv(parts, parts->conv_launched + 1);
    }
}

int ei_cuda_job_conv(struct ei_cuda_parts *parts, int32_t block_idx)
{
    if (block_idx != parts->next_block || block_idx < 0 || block_idx >= parts->config.exits) {
        return ei_cuda_fail(-EINVAL, "conv part %d is not the next one of the job", block_idx + 1);
    }
    int rc = enter(parts);
    if (rc == 0 && parts->conv_launched < block_idx) {
        rc = submit_conv(parts, block_idx);
    }
    if (rc == 0) {
        submit_ahead(parts);
    }
    while (rc == 0 && parts->conv_done < block_idx) {
        rc = ei_cuda_launch_wait(parts);
    }
    if (rc == 0) {
        parts->next_block++;
    }
    return rc;
}

int ei_cuda_job_branch(struct ei_cuda_parts *parts, int32_t block_idx, float *out_logits)
{
    const struct ei_cuda_parts_config *c = &parts->config;
    if (block_idx < 0 || block_idx >= parts->next_block) {
        return ei_cuda_fail(-EINVAL, "the conv part of branch %d has not run in this job", block_idx + 1);
    }
    struct ei_cuda_launch *launch = &parts->branch[block_idx];
    int rc = enter(parts);
    if (rc == 0) {
        rc = ei_cuda_launch_submit(parts, launch);
    }
    while (rc == 0 && launch->is_queued) {
        rc = ei_cuda_launch_wait(parts);
    }
    if (rc == 0 && c->recorder.logits != NULL && c->recorder.logits(c->recorder.context, block_idx) != NULL) {
        memcpy(out_logits, parts->logits + (size_t)block_idx * (size_t)c->classes,
               (size_t)c->classes * sizeof *out_logits);
    }
    return rc;
}

int ei_cuda_job_whole(struct ei_cuda_parts *parts, const float *input, float *out_logits)
{
    const struct ei_cuda_parts_config *c = &parts->config;
    int rc = ei_cuda_job_begin(parts, input);
    parts->next_block = -1;
    if (rc == 0) {
        rc = ei_cuda_launch_submit(parts, &parts->whole);
    }
    if (rc == 0) {
        rc = ei_cuda_launch_drain(parts);
    }
    for (int32_t b = 0; rc == 0 && c->recorder.logits != NULL && b < c->exits; b++) {
        const size_t at = (size_t)b * (size_t)c->classes;
        if (c->recorder.logits(c->recorder.context, b) != NULL) {
            memcpy(out_logits + at, parts->logits + at, (size_t)c->classes * sizeof *out_logits);
        }
    }
    return rc;
}

int ei_cuda_job_end(struct ei_cuda_parts *parts)
{
    parts->next_block = -1;
    return 0;
}
