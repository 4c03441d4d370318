/* A program's parameters in memory: drawn, written. See convert_parts.h. */
#include "models/convert_parts.h"
#include "models/param_draw.h"
#include "rt/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_op(struct ei_convert_weights *weights, const struct ei_program *program, int32_t block_idx, bool branch,
                  int32_t op_idx, uint64_t seed)
{
    struct ei_param of_op[EI_PROGRAM_PARAMS_PER_OP_MAX];
    const int32_t count = ei_program_op_params(program, block_idx, branch, op_idx, of_op);
    for (int32_t p = 0; p < count; p++) {
        float *numbers = malloc((size_t)of_op[p].count * sizeof *numbers);
        if (numbers == NULL) {
            return -ENOMEM;
        }
        struct ei_random rng;
        ei_random_init(&rng, seed, (uint64_t)weights->count);
        ei_param_draw(&of_op[p], program->classes, &rng, numbers);
        weights->params[weights->count] = of_op[p];
        weights->numbers[weights->count++] = numbers;
    }
    return 0;
}

int ei_convert_weights_init(struct ei_convert_weights *weights, const struct ei_program *program, uint64_t seed,
                            struct einet_error *err)
{
    const size_t count = (size_t)ei_program_param_count(program);
    *weights = (struct ei_convert_weights){0};
    weights->params = calloc(count + 1, sizeof *weights->params);
    weights->numbers = calloc(count + 1, sizeof *weights->numbers);
    int rc = weights->params != NULL && weights->numbers != NULL ? 0 : -ENOMEM;
    for (int32_t b = 0; rc == 0 && b < program->block_count; b++) {
        for (int part = 0; rc == 0 && part < 2; part++) {
            const int32_t ops = ei_program_part(program, b, part != 0)->op_count;
            for (int32_t i = 0; rc == 0 && i < ops; i++) {
                rc = add_op(weights, program, b, part != 0, i, seed);
            }
        }
    }
    if (rc != 0) {
        ei_convert_weights_fini(weights);
        return einet_error_set(err, rc, "no memory for the weights of %s", program->name);
    }
    return 0;
}

void ei_convert_weights_fini(struct ei_convert_weights *weights)
{
    for (int32_t i = 0; i < weights->count; i++) {
        free(weights->numbers[i]);
    }
    free(weights->numbers);
    free(weights->params);
    *weights = (struct ei_convert_weights){0};
}

int ei_convert_weights_write(const struct ei_convert_weights *weights, const char *path,
                             const struct ei_safetensors_pair *pairs, int32_t pair_count, struct einet_error *err)
{
    struct ei_safetensors_entry *entries = calloc((size_t)weights->count + 1, sizeof *entries);
    if (entries == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the weights in %s", path);
    }
    for (int32_t i = 0; i < weights->count; i++) {
        const struct ei_param *param = &weights->params[i];
        entries[i] = (struct ei_safetensors_entry){
            .name = param->name, .dtype = EI_DTYPE_F32, .dims = param->dims, .data = weights->numbers[i]};
        memcpy(entries[i].shape, param->shape, sizeof param->shape);
    }
    const int rc = ei_safetensors_write(path, entries, weights->count, pairs, pair_count, err);
    free(entries);
    return rc;
}
