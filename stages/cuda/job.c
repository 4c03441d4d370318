/* A job on its network: conv parts in order, piece by piece, and branches of those that have run. With depth 2 the next
 * piece of a conv part is in the queue while one is waited for. Nothing that a job leaves behind is waited for at its
 * end, but before the next one. Runs in submit sections; allocates nothing.
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
    parts->next_pos = parts->open_branch = -1;
    parts->device_input = NULL;
    int rc = enter(parts);
    if (rc == 0) {
        rc = ei_cuda_launch_drain(parts);
    }
    if (rc == 0) {
        if (input != NULL) {
            memcpy(parts->input, input, (size_t)parts->config.input_count * sizeof *input);
        }
        parts->conv_launched = parts->conv_done = -1;
        parts->next_pos = 0;
    }
    return rc;
}

int ei_cuda_job_begin_device(struct ei_cuda_parts *parts, const void *input, void *event)
{
    const int rc = ei_cuda_job_begin(parts, NULL);
    if (rc == 0) {
        parts->device_input = input;
        parts->device_event = event;
    }
    return rc;
}

/* Into the stream, before the graph that reads it: a job that ends before that has read nothing of its caller's. */
static int take_device_input(struct ei_cuda_parts *parts)
{
    const struct ei_cuda_parts_config *c = &parts->config;
    void *to = c->recorder.input != NULL ? c->recorder.input(c->recorder.context) : NULL;
    cudaError_t e = cudaSuccess;
    if (parts->device_event != NULL) {
        e = cudaStreamWaitEvent(parts->stream, parts->device_event, 0);
    }
    if (e == cudaSuccess && to != NULL) {
        e = cudaMemcpyAsync(to, parts->device_input, (size_t)c->input_count * sizeof(float), cudaMemcpyDeviceToDevice,
                            parts->stream);
    }
    if (e != cudaSuccess) {
        return ei_cuda_launch_failed(parts, e, "taking a picture that lies on it");
    }
    parts->device_input = NULL;
    return 0;
}

static int submit_conv(struct ei_cuda_parts *parts, int32_t pos)
{
    const int rc = ei_cuda_launch_submit(parts, &parts->conv.piece[pos]);
    if (rc == 0) {
        parts->conv_launched = parts->conv.piece[pos].last_pos;
    }
    return rc;
}

/* Keep the device busy. A launch that fails here is tried again when it is asked for. */
static void submit_ahead(struct ei_cuda_parts *parts)
{
    if (parts->queued < parts->config.depth && parts->config.depth > 1 &&
        parts->conv_launched + 1 < ei_cuda_piece_count(parts, &parts->conv)) {
        (void)submit_conv(parts, parts->conv_launched + 1);
    }
}

/* The next piece of conv part block_idx. */
static int run_conv_piece(struct ei_cuda_parts *parts, int32_t block_idx)
{
    const int32_t pos = parts->next_pos;
    int rc = enter(parts);
    if (rc == 0 && parts->device_input != NULL) {
        rc = take_device_input(parts);
    }
    if (rc == 0 && parts->conv_launched < pos) {
        rc = submit_conv(parts, pos);
    }
    if (rc == 0) {
        submit_ahead(parts);
    }
    while (rc == 0 && parts->conv_done < pos) {
        rc = ei_cuda_launch_wait(parts);
    }
    if (rc == 0) {
        parts->next_pos++;
        if (parts->next_pos == parts->conv.piece_at[block_idx + 1]) {
            parts->open_branch = -1; /* it has had its time */
        }
    }
    return rc;
}

static int run_branch_piece(struct ei_cuda_parts *parts, int32_t block_idx, int32_t piece_idx, float *out_logits)
{
    const struct ei_cuda_parts_config *c = &parts->config;
    const int32_t pos = parts->branch.piece_at[block_idx] + piece_idx;
    const bool is_last = pos + 1 == parts->branch.piece_at[block_idx + 1];
    struct ei_cuda_launch *launch = &parts->branch.piece[pos];
    int rc = enter(parts);
    if (rc == 0) {
        rc = ei_cuda_launch_submit(parts, launch);
    }
    while (rc == 0 && launch->is_queued) {
        rc = ei_cuda_launch_wait(parts);
    }
    if (rc != 0) {
        return rc;
    }
    parts->open_branch = is_last ? -1 : block_idx;
    parts->open_piece = piece_idx + 1;
    if (is_last && c->recorder.logits != NULL && c->recorder.logits(c->recorder.context, block_idx) != NULL) {
        memcpy(out_logits, parts->logits + (size_t)block_idx * (size_t)c->classes,
               (size_t)c->classes * sizeof *out_logits);
    }
    return 0;
}

/* The piece of the part that may run next; -1 = the part may not. */
static int32_t next_piece(const struct ei_cuda_parts *parts, int32_t block_idx, int32_t is_branch)
{
    if (block_idx < 0 || block_idx >= parts->config.exits || parts->next_pos < 0) {
        return -1;
    }
    const int32_t first = parts->conv.piece_at[block_idx], end = parts->conv.piece_at[block_idx + 1];
    if (is_branch == 0) {
        return parts->next_pos >= first && parts->next_pos < end ? parts->next_pos - first : -1;
    }
    return parts->next_pos < end ? -1 : parts->open_branch == block_idx ? parts->open_piece : 0;
}

static int refuse(int32_t block_idx, int32_t is_branch)
{
    return is_branch != 0 ? ei_cuda_fail(-EINVAL, "the conv part of branch %d has not run in this job", block_idx + 1)
                          : ei_cuda_fail(-EINVAL, "conv part %d is not the next one of the job", block_idx + 1);
}

int ei_cuda_job_piece(struct ei_cuda_parts *parts, int32_t block_idx, int32_t is_branch, int32_t piece_idx,
                      float *out_logits)
{
    const int32_t next = next_piece(parts, block_idx, is_branch);
    if (next < 0) {
        return refuse(block_idx, is_branch);
    }
    if (piece_idx != next && !(is_branch != 0 && piece_idx == 0)) {
        return ei_cuda_fail(-EINVAL, "piece %d of block %d is not the next one", piece_idx + 1, block_idx + 1);
    }
    return is_branch != 0 ? run_branch_piece(parts, block_idx, piece_idx, out_logits)
                          : run_conv_piece(parts, block_idx);
}

int ei_cuda_job_conv(struct ei_cuda_parts *parts, int32_t block_idx)
{
    int32_t next = next_piece(parts, block_idx, 0);
    int rc = next < 0 ? refuse(block_idx, 0) : 0;
    for (; rc == 0 && next >= 0; next = next_piece(parts, block_idx, 0)) {
        rc = run_conv_piece(parts, block_idx);
    }
    return rc;
}

int ei_cuda_job_branch(struct ei_cuda_parts *parts, int32_t block_idx, float *out_logits)
{
    const int32_t next = next_piece(parts, block_idx, 1);
    int rc = next < 0 ? refuse(block_idx, 1) : 0;
    for (int32_t i = next; rc == 0 && i < parts->branch.piece_at[block_idx + 1] - parts->branch.piece_at[block_idx];
         i++) {
        rc = run_branch_piece(parts, block_idx, i, out_logits);
    }
    return rc;
}

int ei_cuda_job_whole(struct ei_cuda_parts *parts, const float *input, float *out_logits)
{
    const struct ei_cuda_parts_config *c = &parts->config;
    int rc = ei_cuda_job_begin(parts, input);
    parts->next_pos = -1;
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
    parts->device_input = NULL;
    parts->next_pos = -1;
    return 0;
}
