/* The interpreter of layer programs. Where an operation's parameters begin is looked up once, at creation. */
#include "stages/nn/exec.h"

#include <errno.h>
#include <stdlib.h>

struct exec_param {
    struct ei_param param;
    struct ei_torch_tensor *tensor;
};

struct ei_exec {
    const struct ei_torch_api *api;
    struct ei_program program;
    struct ei_torch_tensor *slots[EI_PROGRAM_SLOTS_MAX];
    struct ei_torch_script *scripts[EI_PROGRAM_SCRIPTS_MAX];
    int32_t param_count;
    struct exec_param *params;
    int32_t first_param[EI_PROGRAM_OPS_MAX]; /* of each operation */
};

static int create_params(struct ei_exec *exec)
{
    struct ei_param of_op[EI_PROGRAM_PARAMS_PER_OP_MAX];
    int32_t next = 0;
    for (int32_t b = 0; b < exec->program.block_count; b++) {
        for (int part = 0; part < 2; part++) {
            const struct ei_program_part *ops = ei_program_part(&exec->program, b, part != 0);
            for (int32_t i = 0; i < ops->op_count; i++) {
                exec->first_param[ops->first_op + i] = next;
                const int32_t count = ei_program_op_params(&exec->program, b, part != 0, i, of_op);
                for (int32_t p = 0; p < count; p++) {
                    exec->params[next].param = of_op[p];
                    const int rc = exec->api->tensor_create(&exec->params[next].tensor);
                    if (rc != 0) {
                        return rc;
                    }
                    next++;
                }
            }
        }
    }
    return 0;
}

int ei_exec_create(const struct ei_torch_api *api, const struct ei_program *program, struct ei_exec **out,
                   struct einet_error *err)
{
    struct ei_exec *exec = calloc(1, sizeof *exec);
    if (exec == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    exec->api = api;
    exec->program = *program;
    exec->param_count = ei_program_param_count(program);
    exec->params = calloc((size_t)exec->param_count + 1, sizeof *exec->params);
    int rc = exec->params != NULL ? 0 : -ENOMEM;
    for (int32_t i = 0; rc == 0 && i < EI_PROGRAM_SLOTS_MAX; i++) {
        rc = api->tensor_create(&exec->slots[i]);
    }
    if (rc == 0) {
        rc = create_params(exec);
    }
    if (rc != 0) {
        ei_exec_destroy(exec);
        return einet_error_set(err, rc, "libtorch could not create the network: %s", api->error_text());
    }
    *out = exec;
    return 0;
}

const struct ei_program *ei_exec_program(const struct ei_exec *exec)
{
    return &exec->program;
}

int32_t ei_exec_param_count(const struct ei_exec *exec)
{
    return exec->param_count;
}

const struct ei_param *ei_exec_param(const struct ei_exec *exec, int32_t idx)
{
    return &exec->params[idx].param;
}

struct ei_torch_tensor *ei_exec_param_tensor(const struct ei_exec *exec, int32_t idx)
{
    return exec->params[idx].tensor;
}

int ei_exec_param_set(struct ei_exec *exec, int32_t idx, const float *data, struct einet_error *err)
{
    const struct exec_param *p = &exec->params[idx];
    const int rc = exec->api->tensor_from_f32(p->tensor, data, p->param.shape, p->param.dims);
    if (rc != 0) {
        return einet_error_set(err, rc, "libtorch could not hold %s: %s", p->param.name, exec->api->error_text());
    }
    return 0;
}

void ei_exec_script_set(struct ei_exec *exec, int32_t idx, struct ei_torch_script *script)
{
    exec->api->script_destroy(exec->scripts[idx]);
    exec->scripts[idx] = script;
}

int ei_exec_script_params(const struct ei_exec *exec, int32_t idx, int64_t *sum)
{
    int64_t count = 0;
    const int rc = exec->api->script_param_count(exec->scripts[idx], &count);
    *sum += count;
    return rc;
}

struct ei_torch_tensor *ei_exec_slot(const struct ei_exec *exec, int32_t slot)
{
    return exec->slots[slot];
}

static int run_op(struct ei_exec *exec, const struct ei_op *op, const struct exec_param *params, bool training)
{
    const struct ei_torch_api *api = exec->api;
    struct ei_torch_tensor *in = exec->slots[op->in_slot], *out = exec->slots[op->out_slot];
    const struct ei_torch_pool pool = {op->kernel_px, op->stride_px, op->padding_px, op->ceil_mode ? 1 : 0};
    switch (op->kind) {
    case EI_OP_CONV2D: {
        const struct ei_torch_conv conv = {op->stride_px, op->padding_px};
        return api->conv2d(in, params[0].tensor, op->bias ? params[1].tensor : NULL, &conv, out);
    }
    case EI_OP_LINEAR:
        return api->linear(in, params[0].tensor, op->bias ? params[1].tensor : NULL, out);
    case EI_OP_BATCH_NORM:
        return api->batch_norm(in, params[0].tensor, params[1].tensor, params[2].tensor, params[3].tensor, op->momentum,
                               op->eps, training ? 1 : 0, out);
    case EI_OP_RELU:
        return api->relu(in, out);
    case EI_OP_MAX_POOL:
        return api->max_pool(in, &pool, out);
    case EI_OP_AVG_POOL:
        return api->avg_pool(in, &pool, out);
    case EI_OP_GLOBAL_AVG_POOL:
        return api->global_avg_pool(in, out);
    case EI_OP_LRN: {
        const struct ei_torch_lrn lrn = {op->lrn_size, op->lrn_alpha, op->lrn_beta, op->lrn_k};
        return api->lrn(in, &lrn, out);
    }
    case EI_OP_DROPOUT:
        return api->dropout(in, op->p, training ? 1 : 0, out);
    case EI_OP_FLATTEN:
        return api->flatten(in, out);
    case EI_OP_ADD:
        return api->add(in, exec->slots[op->in2_slot], out);
    case EI_OP_CONCAT:
        return api->concat(in, exec->slots[op->in2_slot], out);
    case EI_OP_SCRIPT:
        return api->script_forward(exec->scripts[op->script_idx], in, out);
    }
    return EINET_E_BACKEND;
}

int ei_exec_run(struct ei_exec *exec, int32_t block_idx, bool branch, bool training)
{
    const struct ei_program_part *part = ei_program_part(&exec->program, block_idx, branch);
    return ei_exec_run_ops(exec, block_idx, branch, 0, part->op_count, training);
}

int ei_exec_run_ops(struct ei_exec *exec, int32_t block_idx, bool branch, int32_t first_op, int32_t op_count,
                    bool training)
{
    const int32_t first = ei_program_part(&exec->program, block_idx, branch)->first_op + first_op;
    for (int32_t i = first; i < first + op_count; i++) {
        const int rc = run_op(exec, &exec->program.ops[i], &exec->params[exec->first_param[i]], training);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int32_t ei_exec_logits_slot(const struct ei_exec *exec, int32_t block_idx)
{
    const struct ei_program_part *branch = ei_program_part(&exec->program, block_idx, true);
    return exec->program.ops[branch->first_op + branch->op_count - 1].out_slot;
}

void ei_exec_clear(struct ei_exec *exec)
{
    for (int32_t i = 0; i < EI_PROGRAM_SLOTS_MAX; i++) {
        exec->api->tensor_clear(exec->slots[i]);
    }
}

void ei_exec_destroy(struct ei_exec *exec)
{
    if (exec == NULL) {
        return;
    }
    for (int32_t i = 0; i < EI_PROGRAM_SLOTS_MAX; i++) {
        exec->api->tensor_destroy(exec->slots[i]);
    }
    for (int32_t i = 0; i < exec->program.script_count; i++) {
        exec->api->script_destroy(exec->scripts[i]);
    }
    for (int32_t i = 0; exec->params != NULL && i < exec->param_count; i++) {
        exec->api->tensor_destroy(exec->params[i].tensor);
    }
    free(exec->params);
    free(exec);
}
