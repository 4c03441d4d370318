/* Recording with libtorch: the whole network runs a few times on zeros, so that cuDNN and cuBLAS choose their kernels
 * and allocate what they keep, and CUDA loads each kernel, which it does at the first launch and which may wait for the
 * device; then each part once more between capture_begin and capture_end.
 *
 * A graph keeps the addresses it was recorded with. What a conv part leaves in the trunk's slots is held until destroy,
 * so no later part can be given that memory: any branch may run after later conv parts. Branches draw from a pool of
 * their own, so that running one late overwrites nothing of a conv part. One thread at a time.
 */
#include "stages/nn/recorder_aten.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WARM_UP_ROUNDS 3

struct recorder {
    const struct ei_torch_api *api;
    struct ei_exec *exec;
    int32_t device_idx;
    enum ei_network_precision precision;
    struct ei_torch_tensor *input;  /* [1, c, h, w] */
    struct ei_torch_tensor *unread; /* see run_part */
    /* What conv part b leaves in the slots that carry the trunk: trunk[b * trunk_slots + slot]. */
    struct ei_torch_tensor *trunk[EI_NETWORK_BLOCKS_MAX * EI_PROGRAM_SLOTS_MAX];
    struct ei_torch_tensor *logits[EI_NETWORK_BLOCKS_MAX];
    void *logits_data[EI_NETWORK_BLOCKS_MAX];
    struct ei_torch_cuda_pool *conv_pool, *branch_pool;
    struct ei_torch_capture *capture[EI_PROGRAM_OPS_MAX]; /* in the order of recording */
    int32_t captures;
    int32_t next, next_layer; /* the part, and layer of it, that is to be recorded next */
    char fault[256];
};

/* Keep why libtorch refused, with what was being done; later errors are consequences of the first. */
__attribute__((format(printf, 3, 4))) static int faulted(struct recorder *r, int rc, const char *doing, ...)
{
    if (rc != 0 && r->fault[0] == '\0') {
        char what[96];
        va_list args;
        va_start(args, doing);
        vsnprintf(what, sizeof what, doing, args);
        va_end(args);
        snprintf(r->fault, sizeof r->fault, "libtorch could not %s on CUDA device %d: %.120s", what, r->device_idx,
                 r->api->error_text());
    }
    return rc;
}

static const char *part_name(int32_t is_branch)
{
    return is_branch != 0 ? "branch" : "conv part";
}

static int enter(struct recorder *r, void *stream)
{
    int rc = r->api->cuda_enter(r->device_idx, stream);
    if (rc == 0) {
        rc = r->api->device(EI_TORCH_CUDA);
    }
    if (rc == 0) {
        rc = r->api->precision(r->precision == EI_NETWORK_BFLOAT16 ? EI_TORCH_BFLOAT16 : EI_TORCH_FLOAT32);
    }
    return faulted(r, rc, "use the lane's stream");
}

/* The stream is the caller's and may be gone when libtorch is next called. */
static int leave(struct recorder *r)
{
    const int stream_rc = r->api->cuda_enter(r->device_idx, NULL);
    const int device_rc = r->api->device(EI_TORCH_CPU);
    const int rc = r->api->precision(EI_TORCH_FLOAT32);
    return faulted(r, stream_rc != 0 ? stream_rc : device_rc != 0 ? device_rc : rc, "leave the lane's stream");
}

static int set_input(struct recorder *r)
{
    ei_exec_clear(r->exec);
    return r->api->tensor_assign(ei_exec_slot(r->exec, 0), r->input);
}

static int hold_trunk(struct recorder *r, int32_t block_idx)
{
    const int32_t slots = ei_exec_program(r->exec)->trunk_slots;
    int rc = 0;
    for (int32_t s = 0; rc == 0 && s < slots; s++) {
        rc = r->api->tensor_assign(r->trunk[block_idx * slots + s], ei_exec_slot(r->exec, s));
    }
    return rc;
}

static int hold_logits(struct recorder *r, int32_t block_idx)
{
    struct ei_torch_tensor *logits = r->logits[block_idx];
    int rc = r->api->tensor_assign(logits, ei_exec_slot(r->exec, ei_exec_logits_slot(r->exec, block_idx)));
    if (rc == 0) {
        rc = r->api->tensor_float32(logits);
    }
    return rc == 0 ? r->api->tensor_data(logits, &r->logits_data[block_idx]) : rc;
}

static int warm_up(struct recorder *r)
{
    const int32_t parts = 2 * ei_exec_program(r->exec)->block_count;
    int rc = faulted(r, r->api->relu(r->input, r->unread), "run an operation"); /* of run_ops */
    for (int32_t round = 0; rc == 0 && round < WARM_UP_ROUNDS; round++) {
        rc = faulted(r, set_input(r), "take the input");
        for (int32_t i = 0; rc == 0 && i < parts; i++) {
            rc = ei_exec_run(r->exec, i / 2, i % 2 != 0, false);
            rc = rc == 0 && i % 2 != 0 ? hold_logits(r, i / 2) : rc;
            rc = faulted(r, rc, "run the %s of block %d", part_name(i % 2), i / 2 + 1);
        }
    }
    if (rc == 0) {
        rc = faulted(r, r->api->cuda_synchronize(), "finish the network");
    }
    return rc == 0 ? faulted(r, set_input(r), "take the input") : rc;
}

/* ---- layers ---- */

static bool has_kernel(const struct ei_op *op)
{
    return op->kind != EI_OP_DROPOUT && op->kind != EI_OP_FLATTEN;
}

/* A layer is an operation that computes, with those behind it that do not; the first one has those before it, too. */
static int32_t layer_count(const struct ei_program *program, const struct ei_program_part *part)
{
    int32_t kernels = 0;
    for (int32_t i = part->first_op; i < part->first_op + part->op_count; i++) {
        kernels += has_kernel(&program->ops[i]);
    }
    return kernels > 1 ? kernels : 1;
}

/* Operations of the part that make up layer layer_idx. */
static struct ei_program_part layer_ops(const struct ei_program *program, const struct ei_program_part *part,
                                        int32_t layer_idx)
{
    const int32_t layers = layer_count(program, part);
    int32_t first = 0, end = part->op_count, kernels = -1;
    for (int32_t i = 0; i < part->op_count; i++) {
        kernels += has_kernel(&program->ops[part->first_op + i]);
        if (kernels < layer_idx) {
            first = layer_idx > 0 ? i + 1 : 0;
        }
        if (kernels > layer_idx && layer_idx + 1 < layers) {
            end = i;
            break;
        }
    }
    return (struct ei_program_part){first, end - first};
}

static int32_t recorder_layers(void *context, int32_t block_idx, int32_t is_branch)
{
    const struct ei_program *program = ei_exec_program(((struct recorder *)context)->exec);
    return layer_count(program, ei_program_part(program, block_idx, is_branch != 0));
}

static void recorder_layer_name(void *context, int32_t block_idx, int32_t is_branch, int32_t layer_idx,
                                char out[EI_CUDA_LAYER_NAME_MAX])
{
    const struct ei_program *program = ei_exec_program(((struct recorder *)context)->exec);
    const struct ei_program_part *part = ei_program_part(program, block_idx, is_branch != 0);
    const struct ei_program_part ops = layer_ops(program, part, layer_idx);
    for (int32_t i = ops.first_op; i < ops.first_op + ops.op_count; i++) {
        const struct ei_op *op = &program->ops[part->first_op + i];
        if (op->kind == EI_OP_SCRIPT) {
            snprintf(out, EI_CUDA_LAYER_NAME_MAX, "script %.50s", program->scripts[op->script_idx]);
        } else if (has_kernel(op)) {
            snprintf(out, EI_CUDA_LAYER_NAME_MAX, "operation %d (%s)", i + 1, ei_op_kind_name(op->kind));
        }
    }
}

/* Parts that only rename their input, such as a flatten, launch no kernel. A graph of nothing is one that libtorch
 * warns of and that CUDA has no use for, so such a part gets a kernel whose result nobody reads. */
static int run_ops(struct recorder *r, int32_t block_idx, int32_t is_branch, struct ei_program_part ops)
{
    const struct ei_program *program = ei_exec_program(r->exec);
    const struct ei_program_part *part = ei_program_part(program, block_idx, is_branch != 0);
    bool is_computing = false;
    for (int32_t i = 0; i < ops.op_count; i++) {
        is_computing = is_computing || has_kernel(&program->ops[part->first_op + ops.first_op + i]);
    }
    const int rc = is_computing ? 0 : r->api->relu(r->input, r->unread);
    return rc == 0 ? ei_exec_run_ops(r->exec, block_idx, is_branch != 0, ops.first_op, ops.op_count, false) : rc;
}

/* is_last: the part is complete then. */
static int record_ops(struct recorder *r, int32_t block_idx, int32_t is_branch, struct ei_program_part ops,
                      bool is_last, void **out_graph)
{
    struct ei_torch_capture **capture = &r->capture[r->captures];
    int rc = r->api->capture_begin(is_branch != 0 ? r->branch_pool : r->conv_pool, capture);
    if (rc == 0) {
        rc = run_ops(r, block_idx, is_branch, ops);
    }
    if (rc == 0 && is_last) {
        rc = is_branch != 0 ? hold_logits(r, block_idx) : hold_trunk(r, block_idx);
    }
    if (rc == 0) {
        rc = r->api->capture_end(*capture, out_graph);
    }
    rc = faulted(r, rc, "record the %s of block %d", part_name(is_branch), block_idx + 1);
    if (rc != 0) {
        r->api->capture_destroy(*capture);
        *capture = NULL;
    }
    return rc;
}

static int recorder_capture(void *context, int32_t block_idx, int32_t is_branch, int32_t layer_idx, void *stream,
                            void **out_graph)
{
    struct recorder *r = context;
    const struct ei_program *program = ei_exec_program(r->exec);
    r->fault[0] = '\0';
    if (2 * block_idx + (is_branch != 0) != r->next || block_idx >= program->block_count ||
        (layer_idx == EI_CUDA_WHOLE ? 0 : layer_idx) != r->next_layer) {
        snprintf(r->fault, sizeof r->fault, "the %s of block %d is not what is to be recorded next",
                 part_name(is_branch), block_idx + 1);
        return -EINVAL;
    }
    const struct ei_program_part *part = ei_program_part(program, block_idx, is_branch != 0);
    const bool is_last = layer_idx == EI_CUDA_WHOLE || layer_idx + 1 == layer_count(program, part);
    const struct ei_program_part ops =
        layer_idx == EI_CUDA_WHOLE ? (struct ei_program_part){0, part->op_count} : layer_ops(program, part, layer_idx);
    /* Parameters were put on the device, and narrowed there, on the default stream, for which the lane's does not wait.
     */
    int rc = r->captures == 0 ? faulted(r, r->api->cuda_synchronize(), "finish the parameters") : 0;
    if (rc == 0) {
        rc = enter(r, stream);
    }
    if (rc == 0 && r->captures == 0) {
        rc = warm_up(r);
    }
    if (rc == 0) {
        rc = record_ops(r, block_idx, is_branch, ops, is_last, out_graph);
    }
    const int leave_rc = leave(r);
    if (rc == 0) {
        r->captures++;
        r->next += is_last;
        r->next_layer = is_last ? 0 : r->next_layer + 1;
    }
    return rc != 0 ? rc : leave_rc;
}

static void *recorder_input(void *context)
{
    struct recorder *r = context;
    void *data = NULL;
    return r->api->tensor_data(r->input, &data) == 0 ? data : NULL;
}

static void *recorder_logits(void *context, int32_t block_idx)
{
    return ((struct recorder *)context)->logits_data[block_idx];
}

static const char *recorder_fault_text(void *context)
{
    return ((struct recorder *)context)->fault;
}

/* Without the executor, which a failed creation leaves to its owner. */
static void free_recorder(struct recorder *r)
{
    for (size_t i = 0; i < sizeof r->trunk / sizeof r->trunk[0]; i++) {
        r->api->tensor_destroy(r->trunk[i]);
    }
    for (size_t i = 0; i < EI_NETWORK_BLOCKS_MAX; i++) {
        r->api->tensor_destroy(r->logits[i]);
    }
    r->api->tensor_destroy(r->input);
    r->api->tensor_destroy(r->unread);
    for (size_t i = 0; i < sizeof r->capture / sizeof r->capture[0]; i++) {
        r->api->capture_destroy(r->capture[i]);
    }
    r->api->cuda_pool_destroy(r->conv_pool);
    r->api->cuda_pool_destroy(r->branch_pool);
    free(r);
}

static void recorder_destroy(void *context)
{
    struct recorder *r = context;
    ei_exec_destroy(r->exec);
    free_recorder(r);
}

static int create_input(struct recorder *r, const struct ei_network_info *info)
{
    const int64_t shape[4] = {1, info->channels, info->height_px, info->width_px};
    float *zeros = calloc((size_t)(shape[1] * shape[2] * shape[3]), sizeof *zeros);
    int rc = zeros != NULL ? r->api->tensor_create(&r->input) : -ENOMEM;
    if (rc == 0) {
        rc = r->api->tensor_from_f32(r->input, zeros, shape, 4);
    }
    free(zeros);
    return rc;
}

static int create_tensors(struct recorder *r, const struct ei_network_info *info)
{
    const struct ei_program *program = ei_exec_program(r->exec);
    int rc = create_input(r, info);
    if (rc == 0) {
        rc = r->api->tensor_create(&r->unread);
    }
    for (int32_t i = 0; rc == 0 && i < program->block_count * program->trunk_slots; i++) {
        rc = r->api->tensor_create(&r->trunk[i]);
    }
    for (int32_t b = 0; rc == 0 && b < program->block_count; b++) {
        rc = r->api->tensor_create(&r->logits[b]);
    }
    if (rc == 0) {
        rc = r->api->cuda_pool_create(&r->conv_pool);
    }
    return rc == 0 ? r->api->cuda_pool_create(&r->branch_pool) : rc;
}

int ei_recorder_aten_create(const struct ei_torch_api *api, struct ei_exec *exec, const struct ei_network_info *info,
                            int32_t device_idx, struct ei_cuda_recorder *out, struct einet_error *err)
{
    struct recorder *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for recording a network");
    }
    r->api = api;
    r->exec = exec;
    r->device_idx = device_idx;
    r->precision = info->precision;
    const int rc = create_tensors(r, info);
    if (rc != 0) {
        einet_error_set(err, rc, "no memory for %s on CUDA device %d: %s", info->name, device_idx, api->error_text());
        free_recorder(r);
        return rc;
    }
    *out = (struct ei_cuda_recorder){
        .context = r,
        .capture = recorder_capture,
        .input = recorder_input,
        .logits = recorder_logits,
        .fault_text = recorder_fault_text,
        .destroy = recorder_destroy,
        .layers = recorder_layers,
        .layer_name = recorder_layer_name,
    };
    return 0;
}
