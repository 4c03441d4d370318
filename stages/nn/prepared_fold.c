/* w' = w * scale and b' = b * scale + shift, in double before they are rounded. */
#include "stages/nn/prepared_fold.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

void ei_program_numbers_find(const struct ei_program *program, const float *const *params,
                             struct ei_program_numbers *out)
{
    struct ei_param of_op[EI_PROGRAM_PARAMS_PER_OP_MAX];
    int32_t next = 0;
    out->program = program;
    out->params = params;
    for (int32_t part = 0; part < 2 * program->block_count; part++) {
        const struct ei_program_part *ops = ei_program_part(program, part / 2, part % 2 != 0);
        for (int32_t i = 0; i < ops->op_count; i++) {
            out->first_param[ops->first_op + i] = next;
            next += ei_program_op_params(program, part / 2, part % 2 != 0, i, of_op);
        }
    }
}

void ei_norm_of_channel(const struct ei_program_numbers *numbers, int32_t norm_idx, int32_t channel, double *scale,
                        double *shift)
{
    const struct ei_op *op = &numbers->program->ops[norm_idx];
    const float *const *p = &numbers->params[numbers->first_param[norm_idx]]; /* weight, bias, mean, variance */
    *scale = (double)p[0][channel] / sqrt((double)p[3][channel] + (double)op->eps);
    *shift = (double)p[1][channel] - (double)p[2][channel] * *scale;
}

int ei_fold(const struct ei_program_numbers *numbers, const struct ei_fused_step *step, struct ei_folded *out)
{
    const struct ei_op *op = &numbers->program->ops[step->op_idx];
    const float *const *p = &numbers->params[numbers->first_param[step->op_idx]];
    *out = (struct ei_folded){.weight = p[0], .bias = op->bias ? p[1] : NULL};
    if (step->norm_idx < 0) {
        return 0;
    }
    const size_t window = op->kind == EI_OP_CONV2D ? (size_t)op->kernel_px * (size_t)op->kernel_px : 1;
    const size_t row = (size_t)op->in_channels * window;
    out->scaled = malloc((size_t)op->out_channels * row * sizeof *out->scaled);
    out->shifted = malloc((size_t)op->out_channels * sizeof *out->shifted);
    if (out->scaled == NULL || out->shifted == NULL) {
        ei_folded_fini(out);
        return -ENOMEM;
    }
    for (int32_t c = 0; c < op->out_channels; c++) {
        double scale, shift;
        ei_norm_of_channel(numbers, step->norm_idx, c, &scale, &shift);
        for (size_t i = 0; i < row; i++) {
            out->scaled[(size_t)c * row + i] = (float)((double)p[0][(size_t)c * row + i] * scale);
        }
        out->shifted[c] = (float)((op->bias ? (double)p[1][c] : 0.0) * scale + shift);
    }
    out->weight = out->scaled;
    out->bias = out->shifted;
    return 0;
}

void ei_folded_fini(struct ei_folded *folded)
{
    free(folded->scaled);
    free(folded->shifted);
    *folded = (struct ei_folded){0};
}
