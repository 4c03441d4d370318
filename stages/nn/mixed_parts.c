/* See mixed_parts.h. The tensors that carry values in are made at load and written in place by each job. */
#include "stages/nn/mixed_parts.h"

#include "stages/nn/fuse.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <stdlib.h>

struct ei_mixed {
    const struct ei_torch_api *api;
    struct ei_exec *exec;
    struct ei_torch_tensor *ins[EI_FUSED_PARTS_MAX][EI_PROGRAM_SLOTS_MAX]; /* NULL until the part's first run */
    enum ei_network_precision precision;
    int32_t threads;
};

/* Multipliers are narrowed once, as the aten backend does; batch norms stay float32. */
static int set_param(const struct ei_mixed *mixed, int32_t idx, const float *numbers, struct einet_error *err)
{
    const struct ei_param *param = ei_exec_param(mixed->exec, idx);
    int rc = ei_exec_param_set(mixed->exec, idx, numbers, err);
    if (rc != 0 || mixed->precision == EI_NETWORK_FLOAT32 || (param->op != EI_OP_CONV2D && param->op != EI_OP_LINEAR)) {
        return rc;
    }
    rc = mixed->api->tensor_bfloat16(ei_exec_param_tensor(mixed->exec, idx));
    return rc == 0 ? 0
                   : einet_error_set(err, rc, "%s cannot be narrowed to bfloat16: %s", param->name,
                                     mixed->api->error_text());
}

static int set_params(const struct ei_mixed *mixed, const struct ei_mixed_config *config, struct einet_error *err)
{
    struct ei_param of_op[EI_PROGRAM_PARAMS_PER_OP_MAX];
    int32_t next = 0;
    int rc = 0;
    for (int32_t part = 0; rc == 0 && part < 2 * config->program->block_count; part++) {
        const bool branch = part % 2 != 0;
        const struct ei_program_part *ops = ei_program_part(config->program, part / 2, branch);
        for (int32_t i = 0; rc == 0 && i < ops->op_count; i++) {
            const int32_t count = ei_program_op_params(config->program, part / 2, branch, i, of_op);
            for (int32_t p = 0; rc == 0 && p < count; p++, next++) {
                rc = config->is_foreign[part] ? set_param(mixed, next, config->params[next], err) : 0;
            }
        }
    }
    return rc;
}

int ei_mixed_create(const struct ei_mixed_config *config, struct ei_mixed **out, struct einet_error *err)
{
    const struct ei_torch_api *api = NULL;
    int rc = ei_torch_load(&api, err);
    struct ei_mixed *mixed = rc == 0 ? calloc(1, sizeof *mixed) : NULL;
    if (mixed == NULL) {
        ei_exec_destroy(config->exec);
        return rc != 0 ? rc : einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    mixed->api = api;
    mixed->exec = config->exec;
    mixed->precision = config->precision;
    mixed->threads = config->threads;
    if (mixed->exec == NULL) {
        rc = ei_exec_create(api, config->program, &mixed->exec, err);
    }
    if (rc == 0) {
        rc = set_params(mixed, config, err);
    }
    if (rc != 0) {
        ei_mixed_destroy(mixed);
        return rc;
    }
    *out = mixed;
    return 0;
}

int ei_mixed_thread_enter(struct ei_mixed *mixed)
{
    const int rc =
        mixed->api->precision(mixed->precision == EI_NETWORK_BFLOAT16 ? EI_TORCH_BFLOAT16 : EI_TORCH_FLOAT32);
    return rc != 0 ? rc : mixed->api->thread_enter(EI_TORCH_INFERENCE, mixed->threads);
}

/* A value into the executor. Its tensor is made when the part runs first, which every network does before real time. */
static int carry_in(struct ei_mixed *mixed, int32_t part, int32_t idx, const struct ei_prepared_crossing *value)
{
    struct ei_torch_tensor **tensor = &mixed->ins[part][idx];
    const int64_t shape[4] = {1, value->shape.channels, value->shape.height_px, value->shape.width_px};
    int rc = 0;
    if (*tensor == NULL) {
        rc = mixed->api->tensor_create(tensor);
        rc = rc != 0 ? rc
                     : mixed->api->tensor_from_f32(*tensor, value->numbers, shape, value->shape.height_px > 0 ? 4 : 2);
    } else {
        rc = mixed->api->tensor_write_f32(*tensor, value->numbers, value->count);
    }
    return rc != 0 ? rc : mixed->api->tensor_assign(ei_exec_slot(mixed->exec, value->slot), *tensor);
}

int ei_mixed_run(void *context, int32_t block_idx, bool branch, const struct ei_prepared_exchange *exchange)
{
    struct ei_mixed *mixed = context;
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < exchange->in_count; i++) {
        rc = carry_in(mixed, ei_fused_part(block_idx, branch), i, &exchange->ins[i]);
    }
    if (rc == 0) {
        rc = ei_exec_run(mixed->exec, block_idx, branch, false);
    }
    for (int32_t i = 0; rc == 0 && i < exchange->out_count; i++) {
        const struct ei_prepared_crossing *value = &exchange->outs[i];
        rc = mixed->api->tensor_read_f32(ei_exec_slot(mixed->exec, value->slot), value->numbers, value->count);
    }
    return rc;
}

const char *ei_mixed_fault_text(const struct ei_mixed *mixed)
{
    return mixed->api->error_text();
}

void ei_mixed_destroy(struct ei_mixed *mixed)
{
    if (mixed == NULL) {
        return;
    }
    for (int32_t part = 0; part < EI_FUSED_PARTS_MAX; part++) {
        for (int32_t i = 0; i < EI_PROGRAM_SLOTS_MAX; i++) {
            mixed->api->tensor_destroy(mixed->ins[part][i]);
        }
    }
    ei_exec_destroy(mixed->exec);
    free(mixed);
}
