/* See fake_torch.h. Cells are taken lowest first from those of the pool that nobody refers to. */
#include "tests/stages/nn/fake_torch.h"

#include <einet/error.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS = 1 << 14, NODES = 512, ORDINARY = 0, KERNEL_NS = 10000 };

struct cell {
    uint64_t value; /* first: what tensor_data points to */
    float *numbers; /* [count]; NULL: the value stands for itself */
    int64_t count;
    int32_t references, pool; /* pool -1: never used */
};

struct ei_torch_tensor {
    struct cell *cell; /* NULL: empty */
};

struct ei_torch_cuda_pool {
    int32_t id;
};

struct node {
    uint64_t op;
    struct cell *in, *in2, *out;
};

struct graph {
    int32_t count;
    struct node nodes[NODES];
};

struct ei_torch_capture {
    struct graph graph;
    int32_t is_open;
};

struct fake_torch_state fake_torch;
static struct cell cells[CELLS];
static int32_t next_pool, open_pool;
static struct ei_torch_capture *open_capture;
static int64_t fail_at;
static uint64_t ran[NODES]; /* operations that have run outside captures */
static int32_t ran_count;
static const struct fake_cuda_control *runtime;
static enum ei_torch_precision wanted_precision;

static int fails(void)
{
    const int64_t call = fake_torch.calls++;
    return fail_at >= 0 && call >= fail_at ? EINET_E_BACKEND : 0;
}

static const char *fake_error_text(void)
{
    return fail_at >= 0 && fake_torch.calls > fail_at ? "the fake was told to fail" : "";
}

static uint64_t mixed(uint64_t op, uint64_t a, uint64_t b)
{
    uint64_t x =
        op * UINT64_C(0x9E3779B97F4A7C15) ^ a * UINT64_C(0xC2B2AE3D27D4EB4F) ^ b * UINT64_C(0x165667B19E3779F9);
    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return x ^ x >> 32;
}

static struct cell *take_cell(int32_t pool)
{
    for (int32_t i = 0; i < CELLS; i++) {
        if (cells[i].references == 0 && (cells[i].pool == pool || cells[i].pool < 0)) {
            free(cells[i].numbers);
            cells[i].numbers = NULL;
            cells[i].pool = pool;
            return &cells[i];
        }
    }
    return NULL;
}

static void refer(struct ei_torch_tensor *t, struct cell *cell)
{
    if (cell != NULL) {
        cell->references++;
    }
    if (t->cell != NULL) {
        t->cell->references--;
    }
    t->cell = cell;
}

uint64_t fake_torch_hash(const float *numbers, int64_t count)
{
    uint64_t hash = (uint64_t)count;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        hash = mixed(11, hash, bits);
    }
    return hash;
}

static uint64_t value_of(const struct cell *cell)
{
    if (cell == NULL) {
        return 0;
    }
    return cell->numbers != NULL ? fake_torch_hash(cell->numbers, cell->count) : cell->value;
}

static void run_node(void *context)
{
    const struct node *n = context;
    n->out->value = mixed(n->op, value_of(n->in), value_of(n->in2));
}

static bool has_run(uint64_t op)
{
    for (int32_t i = 0; i < ran_count; i++) {
        if (ran[i] == op) {
            return true;
        }
    }
    return false;
}

static int compute(uint64_t op, ei_torch_in x, ei_torch_in y, ei_torch_out out)
{
    if (fails() != 0) {
        return EINET_E_BACKEND;
    }
    struct cell *result = take_cell(open_capture != NULL ? open_pool : ORDINARY);
    struct cell *in2 = y != NULL ? y->cell : NULL;
    const int is_misplaced = fake_torch.device != EI_TORCH_CUDA || fake_torch.stream == NULL ||
                             fake_torch.precision != wanted_precision || result == NULL || x->cell == NULL ||
                             fake_torch.is_default_synchronized == 0;
    fake_torch.misplaced_ops += is_misplaced;
    if (result == NULL) {
        return -ENOMEM;
    }
    if (open_capture != NULL) {
        struct graph *graph = &open_capture->graph;
        if (graph->count == NODES) {
            return -ENOMEM;
        }
        struct node *node = &graph->nodes[graph->count++];
        *node = (struct node){op, x->cell, in2, result};
        if (runtime != NULL && runtime->kernel(fake_torch.stream, KERNEL_NS, run_node, node) != 0) {
            return EINET_E_BACKEND;
        }
        fake_torch.captured_ops++;
        fake_torch.cold_ops += !has_run(op);
    } else {
        result->value = mixed(op, value_of(x->cell), value_of(in2));
        if (!has_run(op) && ran_count < NODES) {
            ran[ran_count++] = op;
        }
        fake_torch.eager_ops++;
        fake_torch.eager_ops_after_capture += fake_torch.captured_ops > 0;
    }
    refer(out, result);
    return 0;
}

/* ---- the table ---- */

static int fake_tensor_create(struct ei_torch_tensor **out)
{
    *out = fails() == 0 ? calloc(1, sizeof **out) : NULL;
    fake_torch.tensors += *out != NULL;
    return *out != NULL ? 0 : EINET_E_BACKEND;
}

static void fake_tensor_destroy(struct ei_torch_tensor *t)
{
    if (t != NULL) {
        refer(t, NULL);
        free(t);
        fake_torch.tensors--;
    }
}

static void fake_tensor_clear(ei_torch_out t)
{
    refer(t, NULL);
}

static int fake_tensor_from_f32(ei_torch_out out, const float *data, const int64_t *shape, int32_t dims)
{
    if (fails() != 0) {
        return EINET_E_BACKEND;
    }
    refer(out, take_cell(ORDINARY));
    out->cell->value = 0;
    if (runtime != NULL) {
        out->cell->count = 1;
        for (int32_t i = 0; i < dims; i++) {
            out->cell->count *= shape[i];
        }
        out->cell->numbers = malloc((size_t)out->cell->count * sizeof *data);
        memcpy(out->cell->numbers, data, (size_t)out->cell->count * sizeof *data);
    }
    return 0;
}

static int fake_tensor_assign(ei_torch_out out, ei_torch_in in)
{
    if (fails() != 0) {
        return EINET_E_BACKEND;
    }
    refer(out, in->cell);
    return 0;
}

static int fake_conv2d(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, const struct ei_torch_conv *config,
                       ei_torch_out out)
{
    (void)bias;
    return compute(100 + (uint64_t)config->stride_px, x, weight, out);
}

static int fake_linear(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, ei_torch_out out)
{
    (void)bias;
    return compute(1, x, weight, out);
}

static int fake_relu(ei_torch_in x, ei_torch_out out)
{
    return compute(2, x, NULL, out);
}

static int fake_max_pool(ei_torch_in x, const struct ei_torch_pool *config, ei_torch_out out)
{
    return compute(200 + (uint64_t)config->kernel_px, x, NULL, out);
}

static int fake_avg_pool(ei_torch_in x, const struct ei_torch_pool *config, ei_torch_out out)
{
    return compute(300 + (uint64_t)config->kernel_px, x, NULL, out);
}

static int fake_global_avg_pool(ei_torch_in x, ei_torch_out out)
{
    return compute(3, x, NULL, out);
}

static int fake_lrn(ei_torch_in x, const struct ei_torch_lrn *config, ei_torch_out out)
{
    (void)config;
    return compute(4, x, NULL, out);
}

static int fake_batch_norm(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, ei_torch_in mean, ei_torch_in variance,
                           float momentum, float eps, int32_t training, ei_torch_out out)
{
    (void)bias;
    (void)mean;
    (void)variance;
    (void)momentum;
    (void)eps;
    return compute(training != 0 ? 5 : 6, x, weight, out);
}

static int fake_alias(ei_torch_in x, ei_torch_out out)
{
    return fake_tensor_assign(out, x);
}

static int fake_dropout(ei_torch_in x, float p, int32_t training, ei_torch_out out)
{
    (void)p;
    return training != 0 ? compute(7, x, NULL, out) : fake_alias(x, out);
}

static int fake_add(ei_torch_in a, ei_torch_in b, ei_torch_out out)
{
    return compute(8, a, b, out);
}

static int fake_concat(ei_torch_in a, ei_torch_in b, ei_torch_out out)
{
    return compute(9, a, b, out);
}

static int fake_precision(enum ei_torch_precision precision)
{
    fake_torch.precision = precision;
    return fails();
}

static int fake_device(enum ei_torch_device device)
{
    fake_torch.device = device;
    return fails();
}

static void fake_script_destroy(struct ei_torch_script *script)
{
    (void)script;
}

static int fake_cuda_enter(int32_t device_idx, void *stream)
{
    (void)device_idx;
    fake_torch.stream = stream;
    return fails();
}

static int fake_cuda_synchronize(void)
{
    *(fake_torch.stream == NULL ? &fake_torch.is_default_synchronized : &fake_torch.is_synchronized) = 1;
    return fails();
}

static int fake_pool_create(struct ei_torch_cuda_pool **out)
{
    *out = fails() == 0 ? calloc(1, sizeof **out) : NULL;
    if (*out == NULL) {
        return EINET_E_BACKEND;
    }
    (*out)->id = ++next_pool;
    fake_torch.pools++;
    return 0;
}

static void fake_pool_destroy(struct ei_torch_cuda_pool *pool)
{
    fake_torch.pools -= pool != NULL;
    free(pool);
}

static int fake_capture_begin(struct ei_torch_cuda_pool *pool, struct ei_torch_capture **out)
{
    if (fails() != 0 || open_capture != NULL || fake_torch.stream == NULL ||
        (runtime != NULL && runtime->capture_begin(fake_torch.stream) != 0)) {
        return EINET_E_BACKEND;
    }
    *out = open_capture = calloc(1, sizeof **out);
    open_capture->is_open = 1;
    open_pool = pool->id;
    fake_torch.captures++;
    return 0;
}

static int fake_capture_end(struct ei_torch_capture *capture, void **out_graph)
{
    if (fails() != 0 || capture != open_capture) {
        return EINET_E_BACKEND;
    }
    capture->is_open = 0;
    open_capture = NULL;
    fake_torch.empty_graphs += capture->graph.count == 0;
    if (runtime != NULL) {
        return runtime->capture_end(fake_torch.stream, out_graph) == 0 ? 0 : EINET_E_BACKEND;
    }
    struct graph *graph = malloc(sizeof *graph);
    *graph = capture->graph;
    *out_graph = graph;
    fake_torch.graphs++;
    return 0;
}

static void fake_capture_destroy(struct ei_torch_capture *capture)
{
    if (capture == NULL) {
        return;
    }
    if (capture->is_open) {
        open_capture = NULL;
        fake_torch.aborted_captures++;
    }
    free(capture);
    fake_torch.captures--;
}

static int fake_tensor_float32(ei_torch_out out)
{
    return wanted_precision == EI_TORCH_FLOAT32 ? fails() : compute(10, out, NULL, out);
}

static int fake_tensor_data(ei_torch_in in, void **out_data)
{
    if (fails() != 0 || in->cell == NULL) {
        return EINET_E_BACKEND;
    }
    *out_data = in->cell->numbers != NULL ? (void *)in->cell->numbers : in->cell;
    return 0;
}

static const struct ei_torch_api fake_api = {
    .abi = EI_TORCH_ABI,
    .version = "fake",
    .error_text = fake_error_text,
    .tensor_create = fake_tensor_create,
    .tensor_destroy = fake_tensor_destroy,
    .tensor_clear = fake_tensor_clear,
    .tensor_from_f32 = fake_tensor_from_f32,
    .tensor_assign = fake_tensor_assign,
    .conv2d = fake_conv2d,
    .linear = fake_linear,
    .relu = fake_relu,
    .max_pool = fake_max_pool,
    .avg_pool = fake_avg_pool,
    .global_avg_pool = fake_global_avg_pool,
    .lrn = fake_lrn,
    .batch_norm = fake_batch_norm,
    .dropout = fake_dropout,
    .flatten = fake_alias,
    .add = fake_add,
    .concat = fake_concat,
    .precision = fake_precision,
    .device = fake_device,
    .script_destroy = fake_script_destroy,
    .cuda_enter = fake_cuda_enter,
    .cuda_synchronize = fake_cuda_synchronize,
    .cuda_pool_create = fake_pool_create,
    .cuda_pool_destroy = fake_pool_destroy,
    .capture_begin = fake_capture_begin,
    .capture_end = fake_capture_end,
    .capture_destroy = fake_capture_destroy,
    .tensor_float32 = fake_tensor_float32,
    .tensor_data = fake_tensor_data,
};

const struct ei_torch_api *fake_torch_reset(int64_t first_failing_call, enum ei_torch_precision wanted)
{
    memset(&fake_torch, 0, sizeof fake_torch);
    for (int32_t i = 0; i < CELLS; i++) {
        free(cells[i].numbers);
        cells[i] = (struct cell){.pool = -1};
    }
    next_pool = ran_count = 0;
    runtime = NULL;
    open_capture = NULL;
    fail_at = first_failing_call;
    wanted_precision = wanted;
    return &fake_api;
}

void fake_torch_use_device(const struct fake_cuda_control *control)
{
    runtime = control;
}

uint64_t fake_torch_read(const void *data)
{
    return ((const struct cell *)data)->value;
}

void fake_torch_write(void *data, uint64_t value)
{
    ((struct cell *)data)->value = value;
}

void fake_torch_run(const void *graph)
{
    const struct graph *g = graph;
    for (int32_t i = 0; i < g->count; i++) {
        struct node node = g->nodes[i];
        run_node(&node);
    }
}

void fake_torch_graph_free(void *graph)
{
    fake_torch.graphs -= graph != NULL;
    free(graph);
}
