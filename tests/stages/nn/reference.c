#include "tests/stages/nn/reference.h"

#include "tests/harness/harness.h"

#include <math.h>
#include <stdlib.h>

struct picture {
    int32_t c, h, w; /* h = w = 1 for features */
    double *at;
};

static struct picture picture_make(int32_t c, int32_t h, int32_t w)
{
    return (struct picture){c, h, w, calloc((size_t)c * (size_t)h * (size_t)w, sizeof(double))};
}

static double pixel(const struct picture *p, int32_t c, int32_t y, int32_t x)
{
    return y < 0 || y >= p->h || x < 0 || x >= p->w
               ? 0.0
               : p->at[((size_t)c * (size_t)p->h + (size_t)y) * (size_t)p->w + (size_t)x];
}

static struct picture conv2d(const struct ei_op *op, const struct picture *in, const float *weight, const float *bias)
{
    struct picture out = picture_make(op->out_channels, in->h + 2 * op->padding_px - op->kernel_px + 1,
                                      in->w + 2 * op->padding_px - op->kernel_px + 1);
    double *to = out.at;
    for (int32_t o = 0; o < out.c; o++) {
        for (int32_t y = 0; y < out.h; y++) {
            for (int32_t x = 0; x < out.w; x++) {
                double sum = (double)bias[o];
                const float *w = weight + (size_t)o * (size_t)in->c * (size_t)(op->kernel_px * op->kernel_px);
                for (int32_t i = 0; i < in->c; i++) {
                    for (int32_t ky = 0; ky < op->kernel_px; ky++) {
                        for (int32_t kx = 0; kx < op->kernel_px; kx++) {
                            sum += (double)*w++ * pixel(in, i, y + ky - op->padding_px, x + kx - op->padding_px);
                        }
                    }
                }
                *to++ = sum;
            }
        }
    }
    return out;
}

/* 3x3, stride 2, windows may hang over the right and lower edge. */
static struct picture max_pool(const struct picture *in)
{
    struct picture out = picture_make(in->c, in->h / 2, in->w / 2);
    double *to = out.at;
    for (int32_t c = 0; c < out.c; c++) {
        for (int32_t y = 0; y < out.h; y++) {
            for (int32_t x = 0; x < out.w; x++) {
                double best = -INFINITY;
                for (int32_t dy = 0; dy < 3 && 2 * y + dy < in->h; dy++) {
                    for (int32_t dx = 0; dx < 3 && 2 * x + dx < in->w; dx++) {
                        best = fmax(best, pixel(in, c, 2 * y + dy, 2 * x + dx));
                    }
                }
                *to++ = best;
            }
        }
    }
    return out;
}

static struct picture lrn(const struct ei_op *op, const struct picture *in)
{
    struct picture out = picture_make(in->c, in->h, in->w);
    const size_t area = (size_t)in->h * (size_t)in->w;
    for (int32_t c = 0; c < in->c; c++) {
        for (size_t i = 0; i < area; i++) {
            double sum = 0.0;
            for (int32_t j = c - op->lrn_size / 2; j <= c + op->lrn_size / 2; j++) {
                const double v = j < 0 || j >= in->c ? 0.0 : in->at[(size_t)j * area + i];
                sum += v * v;
            }
            out.at[(size_t)c * area + i] = in->at[(size_t)c * area + i] *
                                           pow((double)op->lrn_k + (double)op->lrn_alpha * sum, -(double)op->lrn_beta);
        }
    }
    return out;
}

static struct picture linear(const struct ei_op *op, const struct picture *in, const float *weight, const float *bias)
{
    struct picture out = picture_make(op->out_channels, 1, 1);
    for (int32_t o = 0; o < op->out_channels; o++) {
        out.at[o] = (double)bias[o];
        for (int32_t i = 0; i < op->in_channels; i++) {
            out.at[o] += (double)weight[(size_t)o * (size_t)op->in_channels + (size_t)i] * in->at[i];
        }
    }
    return out;
}

static struct picture run_op(const struct ei_op *op, const struct picture *in, float *const *numbers)
{
    const size_t count = (size_t)in->c * (size_t)in->h * (size_t)in->w;
    switch (op->kind) {
    case EI_OP_CONV2D:
        return conv2d(op, in, numbers[0], numbers[1]);
    case EI_OP_LINEAR:
        return linear(op, in, numbers[0], numbers[1]);
    case EI_OP_MAX_POOL:
        return max_pool(in);
    case EI_OP_LRN:
        return lrn(op, in);
    case EI_OP_RELU:
    case EI_OP_FLATTEN:
    case EI_OP_DROPOUT: {
        struct picture out =
            op->kind == EI_OP_FLATTEN ? picture_make((int32_t)count, 1, 1) : picture_make(in->c, in->h, in->w);
        for (size_t i = 0; i < count; i++) {
            out.at[i] = op->kind == EI_OP_RELU ? fmax(in->at[i], 0.0) : in->at[i];
        }
        return out;
    }
    case EI_OP_BATCH_NORM:
    case EI_OP_AVG_POOL:
    case EI_OP_ADD:
    case EI_OP_CONCAT:
        break;
    }
    EI_TRUEF(false, "the reference has no operation %d", (int)op->kind);
    return picture_make(1, 1, 1);
}

static struct picture run_part(const struct ei_program_part *part, struct picture in, float *const **next,
                               bool keep_input)
{
    struct picture now = in;
    for (int32_t i = 0; i < part->op_count; i++) {
        const struct picture out = run_op(&part->ops[i], &now, *next);
        if (part->ops[i].kind == EI_OP_CONV2D || part->ops[i].kind == EI_OP_LINEAR) {
            *next += 2;
        }
        if (i > 0 || !keep_input) {
            free(now.at);
        }
        now = out;
    }
    return now;
}

void reference_forward(const struct fixture_weights *w, const float *input_chw, float *out_logits)
{
    const struct ei_program *program = &w->program;
    float *const *next = w->numbers;
    struct picture trunk = picture_make(program->input.channels, program->input.height_px, program->input.width_px);
    for (int32_t i = 0; i < trunk.c * trunk.h * trunk.w; i++) {
        trunk.at[i] = (double)input_chw[i];
    }
    for (int32_t b = 0; b < program->block_count; b++) {
        trunk = run_part(&program->blocks[b].conv, trunk, &next, false);
        struct picture logits = run_part(&program->blocks[b].branch, trunk, &next, true);
        for (int32_t i = 0; i < program->classes; i++) {
            out_logits[b * program->classes + i] = (float)logits.at[i];
        }
        free(logits.at);
    }
    free(trunk.at);
}
