/* A layer program with its parameters on libtorch: runs one part at a time over the program's slots. Shared by the live
 * `aten` backend and by training. One thread at a time.
 */
#ifndef STAGES_NN_EXEC_H
#define STAGES_NN_EXEC_H

#include "stages/nn/program.h"
#include "stages/torch/torch.h"

#include <einet/error.h>

struct ei_exec; /* opaque */

/* Make an executor for a checked program, which is copied. The parameters are empty tensors until they are set.
 * Returns 0, EINET_E_BACKEND or -ENOMEM. */
int ei_exec_create(const struct ei_torch_api *api, const struct ei_program *program, struct ei_exec **out,
                   struct einet_error *err);

/* The executor's program. Borrowed until destroy. */
const struct ei_program *ei_exec_program(const struct ei_exec *exec);

/* Parameters in walking order (program.h). Borrowed until destroy. */
int32_t ei_exec_param_count(const struct ei_exec *exec);
const struct ei_param *ei_exec_param(const struct ei_exec *exec, int32_t idx);
struct ei_torch_tensor *ei_exec_param_tensor(const struct ei_exec *exec, int32_t idx);

/* Give parameter idx its numbers, float [count], copied. Returns 0 or EINET_E_BACKEND. */
int ei_exec_param_set(struct ei_exec *exec, int32_t idx, const float *data, struct einet_error *err);

/* Give the program's script idx its module, which the executor owns from then on. Until then, operations of that script
 * fail. */
void ei_exec_script_set(struct ei_exec *exec, int32_t idx, struct ei_torch_script *script);

/* Add the number of parameters inside script idx to *sum. Returns 0 or EINET_E_BACKEND. */
int ei_exec_script_params(const struct ei_exec *exec, int32_t idx, int64_t *sum);

/* A slot's tensor, to put the input in (slot 0) and to take results out. */
struct ei_torch_tensor *ei_exec_slot(const struct ei_exec *exec, int32_t slot);

/* Run one part. training: dropout drops, batch norm uses and updates batch statistics. Returns 0 or EINET_E_BACKEND;
 * the api's error_text says why. No allocation of ours. */
int ei_exec_run(struct ei_exec *exec, int32_t block_idx, bool branch, bool training);

/* The same for op_count operations of the part, from its operation first_op on. */
int ei_exec_run_ops(struct ei_exec *exec, int32_t block_idx, bool branch, int32_t first_op, int32_t op_count,
                    bool training);

/* The slot in which block_idx's branch leaves its logits. */
int32_t ei_exec_logits_slot(const struct ei_exec *exec, int32_t block_idx);

/* Drop every slot's tensor. */
void ei_exec_clear(struct ei_exec *exec);

void ei_exec_destroy(struct ei_exec *exec); /* NULL is fine */

#endif
