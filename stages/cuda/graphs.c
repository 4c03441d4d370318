/* Recorded layers become graphs that can be launched, one for each piece of a part:
 *
 *     [input to the device] -> layers -> [next part ...] -> [logits to the host] -> completion word to the host
 *
 * All nodes are in a row, so when the word is there, the logits are. Set-up only.
 */
#include "stages/cuda/parts.h"

#include <einet/error.h>
#include <errno.h>
#include <stdlib.h>

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

/* Layers from first to before end, one after the other. */
static int row_layers(struct row *r, const struct ei_cuda_side *side, int32_t first, int32_t end)
{
    int rc = 0;
    for (int32_t i = first; rc == 0 && i < end; i++) {
        rc = row_part(r, side->graph[i]);
    }
    return rc;
}

static int row_logits(struct row *r, int32_t block_idx)
{
    const struct ei_cuda_parts_config *c = &r->parts->config;
    const void *from = c->recorder.logits != NULL ? c->recorder.logits(c->recorder.context, block_idx) : NULL;
    if (from == NULL) {
        return 0;
    }
    return row_copy(r, r->parts->logits + (size_t)block_idx * (size_t)c->classes, from,
                    (size_t)c->classes * sizeof(float), cudaMemcpyDeviceToHost);
}

static int row_input(struct row *r)
{
    const struct ei_cuda_parts_config *c = &r->parts->config;
    void *to = c->recorder.input != NULL ? c->recorder.input(c->recorder.context) : NULL;
    return to == NULL || c->is_input_on_device != 0
               ? 0
               : row_copy(r, to, r->parts->input, (size_t)c->input_count * sizeof(float), cudaMemcpyHostToDevice);
}

/* What a graph does: layers of the conv parts, or of a branch, or all there is. */
struct what {
    const struct ei_cuda_side *side; /* NULL: the whole network */
    int32_t first_layer, end_layer;
    int32_t logits_of; /* block whose logits are complete then; -1 = none */
    int32_t parts;     /* that it may take the time of */
};

static int row_whole(struct row *r)
{
    const struct ei_cuda_parts *p = r->parts;
    int rc = row_input(r);
    for (int32_t b = 0; rc == 0 && b < p->config.exits; b++) {
        rc = row_layers(r, &p->conv, p->conv.layer_at[b], p->conv.layer_at[b + 1]);
        if (rc == 0) {
            rc = row_layers(r, &p->branch, p->branch.layer_at[b], p->branch.layer_at[b + 1]);
        }
        if (rc == 0) {
            rc = row_logits(r, b);
        }
    }
    return rc;
}

static int row_fill(struct row *r, const struct what *what, uint32_t *done)
{
    int rc = 0;
    if (what->side == NULL) {
        rc = row_whole(r);
    } else {
        if (what->side == &r->parts->conv && what->first_layer == 0) {
            rc = row_input(r);
        }
        if (rc == 0) {
            rc = row_layers(r, what->side, what->first_layer, what->end_layer);
        }
        if (rc == 0 && what->logits_of >= 0) {
            rc = row_logits(r, what->logits_of);
        }
    }
    return rc != 0 ? rc : ei_cuda_signal_add(r->parts, r->graph, &r->last, done);
}

/* word_idx: its completion word. */
static int build(struct ei_cuda_parts *parts, struct ei_cuda_launch *launch, const struct what *what, int32_t word_idx)
{
    struct row row = {parts, NULL, NULL};
    *launch = (struct ei_cuda_launch){.is_conv = what->side == &parts->conv};
    launch->done = (uint32_t *)(void *)(parts->words + (size_t)word_idx * EI_CUDA_LINE_BYTES);
    launch->hang_ns = parts->config.hang_ns * what->parts;
    cudaError_t e =
        ei_cuda_event_create(parts->context, cudaEventBlockingSync | cudaEventDisableTiming, &launch->ended);
    if (e != cudaSuccess) {
        return ei_cuda_launch_failed(parts, e, "creating an event");
    }
    e = cudaGraphCreate(&row.graph, 0);
    if (e != cudaSuccess) {
        return ei_cuda_launch_failed(parts, e, "creating a graph");
    }
    int rc = row_fill(&row, what, launch->done);
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

/* ---- layers ---- */

static int side_count(struct ei_cuda_parts *parts, struct ei_cuda_side *side)
{
    const struct ei_cuda_recorder *r = &parts->config.recorder;
    const bool has_layers = parts->config.split_above_ns > 0 && r->layers != NULL;
    for (int32_t b = 0; b < parts->config.exits; b++) {
        const int32_t layers = has_layers ? r->layers(r->context, b, side == &parts->branch) : 1;
        side->layer_at[b + 1] = side->layer_at[b] + (layers > 1 ? layers : 1);
    }
    const size_t count = (size_t)ei_cuda_layer_count(parts, side);
    side->graph = calloc(count, sizeof *side->graph);
    side->layer_ns = calloc(count, sizeof *side->layer_ns);
    side->is_cut = calloc(count, sizeof *side->is_cut);
    side->piece_layer = calloc(count + 1, sizeof *side->piece_layer);
    side->piece = calloc(count, sizeof *side->piece);
    const bool has_all = side->graph != NULL && side->layer_ns != NULL && side->is_cut != NULL &&
                         side->piece_layer != NULL && side->piece != NULL;
    return has_all ? 0 : ei_cuda_fail(-ENOMEM, "no memory for a network on a CUDA device");
}

int ei_cuda_graphs_count(struct ei_cuda_parts *parts)
{
    const int rc = side_count(parts, &parts->conv);
    return rc == 0 ? side_count(parts, &parts->branch) : rc;
}

static void side_free(struct ei_cuda_side *side)
{
    free(side->graph);
    free(side->layer_ns);
    free(side->is_cut);
    free(side->piece_layer);
    free(side->piece);
}

void ei_cuda_graphs_free(struct ei_cuda_parts *parts)
{
    side_free(&parts->conv);
    side_free(&parts->branch);
}

static int record(struct ei_cuda_parts *parts, struct ei_cuda_side *side, int32_t block_idx)
{
    const struct ei_cuda_recorder *r = &parts->config.recorder;
    const int32_t is_branch = side == &parts->branch;
    const int32_t first = side->layer_at[block_idx], layers = side->layer_at[block_idx + 1] - first;
    for (int32_t i = 0; i < layers; i++) {
        void *graph = NULL;
        const int rc =
            r->capture(r->context, block_idx, is_branch, layers > 1 ? i : EI_CUDA_WHOLE, parts->stream, &graph);
        if (rc != 0) {
            return ei_cuda_fail(rc, "%s of block %d: %s", is_branch != 0 ? "branch" : "conv part", block_idx + 1,
                                r->fault_text != NULL ? r->fault_text(r->context) : "could not be recorded");
        }
        side->graph[first + i] = graph;
    }
    side->is_cut[first] = true;
    return 0;
}

int ei_cuda_graphs_record(struct ei_cuda_parts *parts)
{
    int rc = 0;
    for (int32_t b = 0; rc == 0 && b < parts->config.exits; b++) {
        rc = record(parts, &parts->conv, b);
        if (rc == 0) {
            rc = record(parts, &parts->branch, b);
        }
    }
    return rc == 0 ? ei_cuda_graphs_cut(parts) : rc;
}

/* ---- pieces ---- */

static void side_drop(struct ei_cuda_parts *parts, struct ei_cuda_side *side)
{
    for (int32_t i = 0; i < ei_cuda_piece_count(parts, side); i++) {
        ei_cuda_launch_fini(&side->piece[i]);
    }
}

static int side_cut(struct ei_cuda_parts *parts, struct ei_cuda_side *side)
{
    const int32_t first_word = side == &parts->conv ? 0 : ei_cuda_layer_count(parts, &parts->conv);
    int32_t count = 0;
    for (int32_t b = 0; b < parts->config.exits; b++) {
        for (int32_t i = side->layer_at[b]; i < side->layer_at[b + 1]; i++) {
            if (side->is_cut[i]) {
                side->piece_layer[count++] = i;
            }
        }
        side->piece_at[b + 1] = count;
    }
    side->piece_layer[count] = ei_cuda_layer_count(parts, side);
    for (int32_t i = 0; i < count; i++) { /* all are valid to destroy, whichever fails */
        side->piece[i] = (struct ei_cuda_launch){.exec = NULL};
    }
    int rc = 0;
    for (int32_t b = 0; rc == 0 && b < parts->config.exits; b++) {
        for (int32_t i = side->piece_at[b]; rc == 0 && i < side->piece_at[b + 1]; i++) {
            const bool is_last = i + 1 == side->piece_at[b + 1];
            const struct what what = {side, side->piece_layer[i], side->piece_layer[i + 1],
                                      side == &parts->branch && is_last ? b : -1, 1};
            rc = build(parts, &side->piece[i], &what, first_word + i);
            side->piece[i].last_pos = i;
        }
    }
    return rc;
}

int ei_cuda_graphs_cut(struct ei_cuda_parts *parts)
{
    side_drop(parts, &parts->conv);
    side_drop(parts, &parts->branch);
    const int rc = side_cut(parts, &parts->conv);
    return rc == 0 ? side_cut(parts, &parts->branch) : rc;
}

static int merge(struct ei_cuda_parts *parts, int32_t first_block, int32_t last_block)
{
    struct ei_cuda_side *side = &parts->conv;
    struct ei_cuda_launch *launch = &side->piece[side->piece_at[first_block]];
    const int32_t last_pos = side->piece_at[last_block];
    const struct what what = {side, side->layer_at[first_block], side->layer_at[last_block + 1], -1,
                              last_block - first_block + 1};
    int64_t sum_ns = 0;
    for (int32_t i = side->piece_at[first_block]; i <= last_pos; i++) {
        sum_ns += side->piece[i].expected_ns;
        ei_cuda_launch_fini(&side->piece[i]);
    }
    const int64_t own_ns = launch->expected_ns;
    const int rc = build(parts, launch, &what, side->piece_at[first_block]);
    launch->expected_ns = own_ns;
    launch->more_ns = sum_ns - own_ns;
    launch->last_pos = last_pos;
    return rc;
}

int ei_cuda_graphs_merge(struct ei_cuda_parts *parts)
{
    const int32_t exits = parts->config.exits;
    const struct what all = {NULL, 0, 0, -1, 2 * exits};
    int rc = build(parts, &parts->whole, &all,
                   ei_cuda_layer_count(parts, &parts->conv) + ei_cuda_layer_count(parts, &parts->branch));
    for (int32_t b = 0; b < exits; b++) {
        parts->whole.expected_ns += ei_cuda_part_ns(&parts->conv, b) + ei_cuda_part_ns(&parts->branch, b);
    }
    for (int32_t b = 0; rc == 0 && b < exits; b = parts->merged_until[b] + 1) {
        rc = parts->merged_until[b] > b ? merge(parts, b, parts->merged_until[b]) : 0;
    }
    return rc;
}

static void side_drop_graphs(struct ei_cuda_parts *parts, struct ei_cuda_side *side)
{
    for (int32_t i = 0; side->graph != NULL && i < ei_cuda_layer_count(parts, side); i++) {
        if (side->graph[i] != NULL) {
            (void)cudaGraphDestroy(side->graph[i]);
        }
        side->graph[i] = NULL;
    }
}

void ei_cuda_graphs_drop(struct ei_cuda_parts *parts)
{
    side_drop_graphs(parts, &parts->conv);
    side_drop_graphs(parts, &parts->branch);
}
