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
    struct picture out =
        picture_make(op->out_channels, (in->h + 2 * op->padding_px - op->kernel_px) / op->stride_px + 1,
                     (in->w + 2 * op->padding_px - op->kernel_px) / op->stride_px + 1);
    double *to = out.at;
    for (int32_t o = 0; o < out.c; o++) {
        for (int32_t y = 0; y < out.h; y++) {
            for (int32_t x = 0; x < out.w; x++) {
                double sum = bias != NULL ? (double)bias[o] : 0.0;
                const float *w = weight + (size_t)o * (size_t)in->c * (size_t)(op->kernel_px * op->kernel_px);
                for (int32_t i = 0; i < in->c; i++) {
                    for (int32_t ky = 0; ky < op->kernel_px; ky++) {
                        for (int32_t kx = 0; kx < op->kernel_px; kx++) {
                            sum += (double)*w++ * pixel(in, i, y * op->stride_px + ky - op->padding_px,
                                                        x * op->stride_px + kx - op->padding_px);
                        }
                    }
                }
                *to++ = sum;
            }
        }
    }
    return out;
}

/* Windows along one side: in ceil mode the last one may hang over, but begins in the picture or its left padding. */
static int32_t windows_of(const struct ei_op *op, int32_t side)
{
    const int32_t more = op->ceil_mode ? op->stride_px - 1 : 0;
    const int32_t count = (side + 2 * op->padding_px - op->kernel_px + more) / op->stride_px + 1;
    return op->ceil_mode && (count - 1) * op->stride_px >= side + op->padding_px ? count - 1 : count;
}

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* A mean counts the padding, but not what hangs over it. */
static struct picture pool(const struct ei_op *op, const struct picture *in)
{
    struct picture out = picture_make(in->c, windows_of(op, in->h), windows_of(op, in->w));
    double *to = out.at;
    for (int32_t c = 0; c < out.c; c++) {
        for (int32_t y = 0; y < out.h; y++) {
            for (int32_t x = 0; x < out.w; x++) {
                const int32_t top = y * op->stride_px - op->padding_px, left = x * op->stride_px - op->padding_px;
                const int32_t bottom = least(top + op->kernel_px, in->h + op->padding_px);
                const int32_t right = least(left + op->kernel_px, in->w + op->padding_px);
                double best = -INFINITY, sum = 0.0;
                for (int32_t py = top < 0 ? 0 : top; py < least(bottom, in->h); py++) {
                    for (int32_t px = left < 0 ? 0 : left; px < least(right, in->w); px++) {
                        const double v = pixel(in, c, py, px);
                        best = fmax(best, v);
                        sum += v;
                    }
                }
                *to++ = op->kind == EI_OP_MAX_POOL ? best : sum / (double)((bottom - top) * (right - left));
            }
        }
    }
    return out;
}

static struct picture global_avg_pool(const struct picture *in)
{
    struct picture out = picture_make(in->c, 1, 1);
    const size_t area = (size_t)in->h * (size_t)in->w;
    for (size_t i = 0; i < (size_t)in->c * area; i++) {
        out.at[i / area] += in->at[i] / (double)area;
    }
    return out;
}

static struct picture batch_norm(const struct ei_op *op, const struct picture *in, float *const *numbers)
{
    struct picture out = picture_make(in->c, in->h, in->w);
    const size_t area = (size_t)in->h * (size_t)in->w;
    for (size_t i = 0; i < (size_t)in->c * area; i++) {
        const size_t c = i / area;
        const double scale = (double)numbers[0][c] / sqrt((double)numbers[3][c] + (double)op->eps);
        out.at[i] = (in->at[i] - (double)numbers[2][c]) * scale + (double)numbers[1][c];
    }
    return out;
}

/* Sum, or one behind the other along the channels. */
static struct picture join(const struct ei_op *op, const struct picture *a, const struct picture *b)
{
    const bool is_add = op->kind == EI_OP_ADD;
    struct picture out = picture_make(is_add ? a->c : a->c + b->c, a->h, a->w);
    const size_t first = (size_t)a->c * (size_t)a->h * (size_t)a->w,
                 second = (size_t)b->c * (size_t)b->h * (size_t)b->w;
    for (size_t i = 0; i < first; i++) {
        out.at[i] = a->at[i];
    }
    for (size_t i = 0; i < second; i++) {
        out.at[is_add ? i : first + i] += b->at[i];
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
        out.at[o] = bias != NULL ? (double)bias[o] : 0.0;
        for (int32_t i = 0; i < op->in_channels; i++) {
            out.at[o] += (double)weight[(size_t)o * (size_t)op->in_channels + (size_t)i] * in->at[i];
        }
    }
    return out;
}

static struct picture copy(const struct ei_op *op, const struct picture *in)
{
    const size_t count = (size_t)in->c * (size_t)in->h * (size_t)in->w;
    struct picture out =
        op->kind == EI_OP_FLATTEN ? picture_make((int32_t)count, 1, 1) : picture_make(in->c, in->h, in->w);
    for (size_t i = 0; i < count; i++) {
        out.at[i] = op->kind == EI_OP_RELU ? fmax(in->at[i], 0.0) : in->at[i];
    }
    return out;
}

static struct picture run_op(const struct ei_op *op, const struct picture *in, const struct picture *in2,
                             float *const *numbers)
{
    switch (op->kind) {
    case EI_OP_CONV2D:
        return conv2d(op, in, numbers[0], op->bias ? numbers[1] : NULL);
    case EI_OP_LINEAR:
        return linear(op, in, numbers[0], op->bias ? numbers[1] : NULL);
    case EI_OP_MAX_POOL:
    case EI_OP_AVG_POOL:
        return pool(op, in);
    case EI_OP_GLOBAL_AVG_POOL:
        return global_avg_pool(in);
    case EI_OP_LRN:
        return lrn(op, in);
    case EI_OP_BATCH_NORM:
        return batch_norm(op, in, numbers);
    case EI_OP_ADD:
    case EI_OP_CONCAT:
        return join(op, in, in2);
    case EI_OP_RELU:
    case EI_OP_FLATTEN:
    case EI_OP_DROPOUT:
        return copy(op, in);
    case EI_OP_SCRIPT:
    default:
        EI_TRUEF(false, "the reference has no operation %d", (int)op->kind);
        return picture_make(1, 1, 1);
    }
}

/* Returns the slot that the part's last operation wrote. */
static int32_t run_part(const struct fixture_weights *w, int32_t block, bool branch, struct picture *slots,
                        float *const **next)
{
    const struct ei_program_part *part = ei_program_part(&w->program, block, branch);
    int32_t slot = 0;
    for (int32_t i = 0; i < part->op_count; i++) {
        struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
        const struct ei_op *op = &w->program.ops[part->first_op + i];
        const struct picture out = run_op(op, &slots[op->in_slot], &slots[op->in2_slot], *next);
        *next += ei_program_op_params(&w->program, block, branch, i, params);
        slot = op->out_slot;
        free(slots[slot].at);
        slots[slot] = out;
    }
    return slot;
}

void reference_forward(const struct fixture_weights *w, const float *input_chw, float *out_logits)
{
    const struct ei_program *program = &w->program;
    float *const *next = w->numbers;
    struct picture slots[EI_PROGRAM_SLOTS_MAX] = {0};
    slots[0] = picture_make(program->input.channels, program->input.height_px, program->input.width_px);
    for (int32_t i = 0; i < slots[0].c * slots[0].h * slots[0].w; i++) {
        slots[0].at[i] = (double)input_chw[i];
    }
    for (int32_t b = 0; b < program->block_count; b++) {
        (void)run_part(w, b, false, slots, &next);
        const struct picture *logits = &slots[run_part(w, b, true, slots, &next)];
        for (int32_t i = 0; i < program->classes; i++) {
            out_logits[b * program->classes + i] = (float)logits->at[i];
        }
    }
    for (int32_t i = 0; i < EI_PROGRAM_SLOTS_MAX; i++) {
        free(slots[i].at);
    }
}

/* Where a part's parameters begin. */
static float *const *numbers_of(const struct fixture_weights *w, int32_t block_idx, bool branch)
{
    struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
    float *const *next = w->numbers;
    for (int32_t part = 0; part < 2 * block_idx + (branch ? 1 : 0); part++) {
        const struct ei_program_part *ops = ei_program_part(&w->program, part / 2, part % 2 != 0);
        for (int32_t i = 0; i < ops->op_count; i++) {
            next += ei_program_op_params(&w->program, part / 2, part % 2 != 0, i, params);
        }
    }
    return next;
}

void reference_part(const struct fixture_weights *w, int32_t block_idx, bool branch,
                    const struct ei_prepared_exchange *exchange)
{
    struct picture slots[EI_PROGRAM_SLOTS_MAX] = {0};
    float *const *next = numbers_of(w, block_idx, branch);
    for (int32_t i = 0; i < exchange->in_count; i++) {
        const struct ei_prepared_crossing *in = &exchange->ins[i];
        const bool is_picture = in->shape.height_px > 0;
        slots[in->slot] =
            picture_make(in->shape.channels, is_picture ? in->shape.height_px : 1, is_picture ? in->shape.width_px : 1);
        for (int64_t n = 0; n < in->count; n++) {
            slots[in->slot].at[n] = (double)in->numbers[n];
        }
    }
    (void)run_part(w, block_idx, branch, slots, &next);
    for (int32_t i = 0; i < exchange->out_count; i++) {
        const struct ei_prepared_crossing *out = &exchange->outs[i];
        const struct picture *from = &slots[out->slot];
        EI_EQ((int64_t)from->c * from->h * from->w, out->count);
        for (int64_t n = 0; n < out->count; n++) {
            out->numbers[n] = (float)from->at[n];
        }
    }
    for (int32_t i = 0; i < EI_PROGRAM_SLOTS_MAX; i++) {
        free(slots[i].at);
    }
}
