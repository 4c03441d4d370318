/* Recorded parts become graphs that can be launched:
 *
 *     [input to the device] -> part -> [next part ...] -> [logits to the host] -> completion word to the host
 *
 * All nodes are in a row, so when the word is there, the logits are. The word is copied from a device word that holds
 * 1: a copy between two places of the host could be made by a thread of the driver. Set-up only.
 */
#include "stages/cuda/parts.h"

#include <einet/error.h>

/* A graph while nodes are put behind each other. */
struct row {
    struct ei_cuda_parts *parts;
    cudaGraph_t graph;
    cudaGraphNode_t last; /* NULL: empty */
};

static int row_copy(struct row *r, void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    cudaGraphNode_t node;
    const cudaError_t e =
        cudaGraphAddMemcpyNode1D(&node, r->graph, &r->last, r->last != NULL ? 1 : 0, to, from, bytes, kind);
    if (e != cudaSuccess) {
        return ei_cuda_launch_failed(r->parts, e, "adding a copy to a graph");
    }
    r->last = node;
    return 0;
}

static int row_part(struct row *r, cudaGraph_t part)
{
    cudaGraphNode_t node;
    const cudaError_t e = cudaGraphAddChildGraphNode(&node, r->graph, &r->last, r->last != NULL ? 1 : 0, part);
    if (e != cudaSuccess) {
        return ei_cuda_launch_failed(r->parts, e, "adding a part to a graph");
    }
    r->last = node;
    return 0;
}

static int row_branch(struct row *r, int32_t block_idx)
{
    const struct ei_cuda_parts_config *c = &r->parts->config;
    const void *from = c->recorder.logits != NULL ? c->recorder.logits(c->recorder.context, block_idx) : NULL;
    const int rc = row_part(r, r->parts->branch_graph[block_idx]);
    if (rc != 0 || from == NULL) {
        return rc;
    }
    return row_copy(r, r->parts->logits + (size_t)block_idx * (size_t)c->classes, from,
                    (size_t)c->classes * sizeof(float), cudaMemcpyDeviceToHost);
}

static int row_input(struct row *r)
{
    const struct ei_cuda_parts_config *c = &r->parts->config;
    void *to = c->recorder.input != NULL ? c->recorder.input(c->recorder.context) : NULL;
    return to == NULL
               ? 0
               : row_copy(r, to, r->parts->input, (size_t)c->input_count * sizeof(float), cudaMemcpyHostToDevice);
}

enum what { CONVS, BRANCH, WHOLE };

static int row_fill(struct row *r, enum what what, int32_t first, int32_t last, uint32_t *done)
{
    int rc = what != BRANCH && first == 0 ? row_input(r) : 0;
    for (int32_t b = first; rc == 0 && b <= last; b++) {
        rc = what != BRANCH ? row_part(r, r->parts->conv_graph[b]) : 0;
        if (rc == 0 && what != CONVS) {
            rc = row_branch(r, b);
        }
    }
    return rc != 0 ? rc : row_copy(r, done, r->parts->device->one, sizeof *done, cudaMemcpyDeviceToHost);
}

/* word_idx: its completion word. */
static int build(struct ei_cuda_parts *parts, struct ei_cuda_launch *launch, enum what what, int32_t first,
                 int32_t last, int32_t word_idx)
{
    struct row row = {parts, NULL, NULL};
    *launch = (struct ei_cuda_launch){.first_block_idx = first, .last_block_idx = last};
    launch->done = (uint32_t *)(void *)(parts->words + (size_t)word_idx * EI_CUDA_LINE_BYTES);
    launch->hang_ns = parts->config.hang_ns * (last - first + 1) * (what == WHOLE ? 2 : 1);
    for (int32_t b = first; b <= last; b++) {
        launch->expected_ns += (what != BRANCH ? parts->conv_ns[b] : 0) + (what != CONVS ? parts->branch_ns[b] : 0);
    }
    cudaError_t e = cudaEventCreateWithFlags(&launch->ended, cudaEventBlockingSync | cudaEventDisableTiming);
    if (e != cudaSuccess) {
        return ei_cuda_launch_failed(parts, e, "creating an event");
    }
    e = cudaGraphCreate(&row.graph, 0);
    if (e != cudaSuccess) {
        return ei_cuda_launch_failed(parts, e, "creating a graph");
    }
    int rc = row_fill(&row, what, first, last, launch->done);
    if (rc == 0) {
        e = cudaGraphInstantiate(&launch->exec, row.graph, 0);
        rc = e == cudaSuccess ? 0 : ei_cuda_launch_failed(parts, e, "instantiating a graph");
    }
    if (rc == 0) {
        e = cudaGraphUpload(launch->exec, parts->stream);
        rc = e == cudaSuccess ? 0 : ei_cuda_launch_failed(parts, e, "uploading a graph");
    }
    (void)cudaGraphDestroy(row.graph);
    return rc;
}

void ei_cuda_launch_fini(struct ei_cuda_launch *launch)
{
    if (launch->exec != NULL) {
        (void)cudaGraphExecDestroy(launch->exec);
    }
    if (launch->ended != NULL) {
        (void)cudaEventDestroy(launch->ended);
    }
    launch->exec = NULL;
    launch->ended = NULL;
}

static int record(struct ei_cuda_parts *parts, int32_t block_idx, int32_t is_branch, cudaGraph_t *out)
{
    const struct ei_cuda_recorder *r = &parts->config.recorder;
    void *graph = NULL;
    const int rc = r->capture(r->context, block_idx, is_branch, parts->stream, &graph);
    if (rc != 0) {
        return ei_cuda_fail(rc, "%s of block %d: %s", is_branch != 0 ? "branch" : "conv part", block_idx + 1,
                            r->fault_text != NULL ? r->fault_text(r->context) : "could not be recorded");
    }
    *out = graph;
    return 0;
}

int ei_cuda_graphs_record(struct ei_cuda_parts *parts)
{
    const int32_t exits = parts->config.exits;
    int rc = 0;
    for (int32_t b = 0; rc == 0 && b < exits; b++) {
        rc = record(parts, b, 0, &parts->conv_graph[b]);
        if (rc == 0) {
            rc = record(parts, b, 1, &parts->branch_graph[b]);
        }
    }
    for (int32_t b = 0; rc == 0 && b < exits; b++) {
        rc = build(parts, &parts->conv[b], CONVS, b, b, b);
        if (rc == 0) {
            rc = build(parts, &parts->branch[b], BRANCH, b, b, exits + b);
        }
    }
    return rc;
}

int ei_cuda_graphs_merge(struct ei_cuda_parts *parts)
{
    const int32_t exits = parts->config.exits;
    int rc = build(parts, &parts->whole, WHOLE, 0, exits - 1, 2 * exits);
    for (int32_t b = 0; rc == 0 && b < exits; b = parts->merged_until[b] + 1) {
        const int32_t last = parts->merged_until[b];
        for (int32_t m = b; last > b && m <= last; m++) {
            ei_cuda_launch_fini(&parts->conv[m]);
        }
        rc = last > b ? build(parts, &parts->conv[b], CONVS, b, last, b) : 0;
    }
    return rc;
}

void ei_cuda_graphs_drop(struct ei_cuda_parts *parts)
{
    for (int32_t b = 0; b < parts->config.exits; b++) {
        if (parts->conv_graph[b] != NULL) {
            (void)cudaGraphDestroy(parts->conv_graph[b]);
        }
        if (parts->branch_graph[b] != NULL) {
            (void)cudaGraphDestroy(parts->branch_graph[b]);
        }
        parts->conv_graph[b] = parts->branch_graph[b] = NULL;
    }
}
