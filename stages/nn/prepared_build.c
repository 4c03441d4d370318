/* From fused steps to runs: asks oneDNN for each step, or takes a kernel of ours. Set-up only. */
#include "stages/nn/prepared_builder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_logits(const struct ei_builder *b, int32_t value)
{
    return b->part % 2 != 0 && b->net->fused.logits[b->part / 2] == value;
}

/* A linear layer reads its input as it lies where oneDNN has a fast kernel for that; else it says how it wants it.
 * A kernel of another's choice always says so, so that its name means the same whatever lies before it. */
static int create_weighted(struct ei_builder *b, struct ei_dnnl_step_config *config, struct ei_dnnl_step **out)
{
    const struct ei_dnnl_api *api = b->net->api;
    if (config->kind == EI_DNNL_LINEAR && config->in_layout != NULL && config->option == 0 && config->kernel == NULL &&
        api->step_create(config, out) == 0) {
        if (strncmp(api->step_kernel(*out), "ref", 3) != 0) {
            return 0;
        }
        api->step_destroy(*out);
    }
    config->in_layout = NULL;
    return api->step_create(config, out);
}

/* What a step is asked to be. */
struct wish {
    enum ei_dnnl_type type;
    const char *kernel;
    int32_t option;
};

/* The step of a convolution or linear layer with its weights. in: where its input lies. */
static int prepare_weighted(struct ei_builder *b, const struct ei_fused_step *step, const struct ei_prepared_place *in,
                            const struct wish *wish, enum ei_dnnl_type *out_type, struct ei_dnnl_step **out)
{
    const struct ei_op *op = &b->net->program.ops[step->op_idx];
    const bool is_conv = op->kind == EI_OP_CONV2D;
    struct ei_folded folded;
    if (ei_fold(&b->numbers, step, &folded) != 0) {
        return ei_builder_no_memory(b);
    }
    struct ei_dnnl_step_config config = {
        .kind = is_conv ? EI_DNNL_CONV : EI_DNNL_LINEAR,
        .in = ei_builder_shape(b, step->in),
        .out = ei_builder_shape(b, step->out),
        .type = wish->type,
        .out_type = is_logits(b, step->out) ? EI_DNNL_FLOAT32 : wish->type,
        .in_layout = is_conv || in->type != wish->type ? NULL : in->layout,
        .kernel_px = op->kernel_px,
        .stride_px = op->stride_px,
        .padding_px = op->padding_px,
        .weight = folded.weight,
        .bias = folded.bias,
        .store = &b->net->store,
        .kernel = wish->kernel,
        .option = wish->option,
        .has_winograd = b->config->allow >= EI_PREPARED_WINOGRAD ? 1 : 0,
        .has_relu = step->has_relu ? 1 : 0,
        .has_sum = step->has_sum ? 1 : 0,
    };
    if (step->has_sum) {
        config.out_layout = ei_builder_own_place(b, step->in2)->layout;
        config.out_type = ei_builder_own_place(b, step->in2)->type;
    }
    *out_type = config.out_type;
    const int rc = create_weighted(b, &config, out);
    ei_folded_fini(&folded);
    return rc;
}

#define SMALL_FROM_BYTES (1 << 20)

/* Whether a convolution is one of prepared_small.h, where no other kernel is asked for. */
static bool may_be_small(const struct ei_builder *b, const struct ei_fused_step *step, struct ei_small_conv *out)
{
    const struct ei_op *op = &b->net->program.ops[step->op_idx];
    const struct ei_shape *in = ei_builder_picture(b, step->in), *to = ei_builder_picture(b, step->out);
    const int64_t from_bytes = b->config->small_from_bytes > 0 ? b->config->small_from_bytes : SMALL_FROM_BYTES;
    *out = (struct ei_small_conv){.in_channels = in->channels,
                                  .in_height_px = in->height_px,
                                  .in_width_px = in->width_px,
                                  .out_channels = to->channels,
                                  .out_height_px = to->height_px,
                                  .out_width_px = to->width_px,
                                  .kernel_px = op->kernel_px,
                                  .stride_px = op->stride_px,
                                  .padding_px = op->padding_px,
                                  .has_relu = step->has_relu};
    return op->kind == EI_OP_CONV2D && !step->has_sum && b->type == EI_DNNL_FLOAT32 && b->config->threads <= 1 &&
           ei_small_conv_is_fit(out) && ei_small_conv_floats(out) * (int64_t)sizeof(float) >= from_bytes;
}

/* As the configuration says. What is only tried may be refused; then it is the first choice. Where that is ours, 1 is
 * returned with *small set, and oneDNN's first one is an option itself. */
static int choose_weighted(struct ei_builder *b, const struct ei_fused_step *step, const struct ei_prepared_place *in,
                           struct wish *wish, enum ei_dnnl_type *out_type, struct ei_prepared_item *run,
                           struct ei_small_conv *small)
{
    const int32_t option = b->config->option;
    const bool is_ours = may_be_small(b, step, small);
    const char *named = b->config->kernels != NULL && option == 0 ? b->config->kernels[step->op_idx] : "";
    const bool is_narrow = option == EI_PREPARED_OPTION_BFLOAT16 || strcmp(named, EI_PREPARED_KERNEL_BFLOAT16) == 0;
    if (is_ours && option == 0 && named[0] == '\0') {
        return 1;
    }
    *wish = (struct wish){.type = is_narrow ? EI_DNNL_BFLOAT16 : b->type,
                          .kernel = named[0] == '\0' || is_narrow ? NULL : named,
                          .option = option > 0 ? option - (is_ours ? 1 : 0) : 0};
    int rc = prepare_weighted(b, step, in, wish, out_type, &run->step);
    if (rc == 0 && (wish->kernel != NULL || option > 0 || is_narrow)) {
        snprintf(run->kernel, sizeof run->kernel, "%s",
                 is_narrow ? EI_PREPARED_KERNEL_BFLOAT16 : b->net->api->step_kernel(run->step));
    }
    if (rc != 0 && option != 0) {
        if (is_ours) {
            return 1;
        }
        *wish = (struct wish){.type = b->type};
        rc = prepare_weighted(b, step, in, wish, out_type, &run->step);
    }
    return rc != 0 ? ei_builder_refused(b, step->op_idx, rc) : 0;
}

/* Buffer onto whose numbers a sum is added: that of in2, or a copy of it where somebody needs in2 later. */
static int32_t place_sum(struct ei_builder *b, const struct ei_fused_step *step)
{
    const struct ei_prepared_place added = *ei_builder_own_place(b, step->in2);
    if (step->may_overwrite) {
        return added.buffer;
    }
    const int32_t copy = ei_builder_add_buffer(b, b->part, b->net->api->layout_bytes(added.layout));
    const int rc = copy < 0 ? copy : ei_builder_add_reorder(b, &added, copy, added.layout);
    return rc < 0 ? rc : copy;
}

static int build_small(struct ei_builder *b, const struct ei_fused_step *step, const struct ei_small_conv *conv)
{
    struct ei_folded folded;
    const struct ei_dnnl_layout *in_layout = NULL, *out_layout = NULL;
    const int64_t bytes = ei_small_conv_floats(conv) * (int64_t)sizeof(float);
    struct ei_prepared_item run = {.kind = EI_RUN_SMALL,
                                   .op_idx = step->op_idx,
                                   .norm_idx = step->norm_idx,
                                   .has_relu = step->has_relu,
                                   .small = *conv,
                                   .in2_buffer = -1};
    float *packed = ei_pages_take(&b->net->pages, bytes);
    if (packed == NULL || ei_fold(&b->numbers, step, &folded) != 0) {
        return ei_builder_no_memory(b);
    }
    ei_small_conv_pack(conv, folded.weight, folded.bias, packed);
    ei_folded_fini(&folded);
    run.small.packed = packed;
    b->net->weight_bytes += bytes;
    int rc =
        ei_builder_make_layout(b, ei_builder_picture(b, step->in), EI_DNNL_FLOAT32, EI_DNNL_CHANNELS_LAST, &in_layout);
    rc = rc != 0 ? rc
                 : ei_builder_make_layout(b, ei_builder_picture(b, step->out), EI_DNNL_FLOAT32, EI_DNNL_CHANNELS_LAST,
                                          &out_layout);
    if (rc == 0) {
        run.in_buffer = ei_builder_want(b, step->in, in_layout, EI_DNNL_FLOAT32);
        rc = run.in_buffer < 0 ? run.in_buffer : 0;
    }
    if (rc == 0) {
        run.out_buffer = ei_builder_place_result(b, step->out, -1, EI_DNNL_FLOAT32, out_layout);
        rc = run.out_buffer < 0 ? run.out_buffer : ei_builder_add_run(b, &run);
    }
    return rc;
}

static int build_weighted(struct ei_builder *b, const struct ei_fused_step *step)
{
    const struct ei_dnnl_api *api = b->net->api;
    const struct ei_prepared_place in = *ei_builder_own_place(b, step->in);
    struct ei_prepared_item run = {.op_idx = step->op_idx,
                                   .norm_idx = step->norm_idx,
                                   .has_relu = step->has_relu,
                                   .has_sum = step->has_sum,
                                   .in2_buffer = -1};
    enum ei_dnnl_type out_type = b->type;
    struct wish wish;
    struct ei_small_conv small;
    int rc = choose_weighted(b, step, &in, &wish, &out_type, &run, &small);
    if (rc != 0) {
        return rc > 0 ? build_small(b, step, &small) : rc;
    }
    run.in_buffer = ei_builder_want(b, step->in, api->step_layout(run.step, EI_DNNL_IN), wish.type);
    const int32_t reused = run.in_buffer >= 0 && step->has_sum ? place_sum(b, step) : -1;
    rc = run.in_buffer < 0 ? run.in_buffer : step->has_sum && reused < 0 ? reused : 0;
    if (rc == 0) {
        run.out_buffer =
            ei_builder_place_result(b, step->out, reused, out_type, api->step_layout(run.step, EI_DNNL_OUT));
        rc = run.out_buffer < 0 ? run.out_buffer : ei_builder_add_run(b, &run);
    }
    if (rc != 0) {
        api->step_destroy(run.step);
    }
    return rc;
}

static int build_simple(struct ei_builder *b, const struct ei_fused_step *step, enum ei_dnnl_kind kind)
{
    const struct ei_dnnl_api *api = b->net->api;
    const struct ei_op *op = &b->net->program.ops[step->op_idx];
    const struct ei_prepared_place in = *ei_builder_own_place(b, step->in);
    const bool is_global = op->kind == EI_OP_GLOBAL_AVG_POOL;
    struct ei_dnnl_step_config config = {
        .kind = kind,
        .in = ei_builder_shape(b, step->in),
        .out = ei_builder_shape(b, step->out),
        .type = in.type,
        .out_type = in.type,
        .in_layout = in.layout,
        .kernel_px = is_global ? 0 : op->kernel_px,
        .stride_px = is_global ? 1 : op->stride_px,
        .padding_px = is_global ? 0 : op->padding_px,
    };
    struct ei_prepared_item run = {.op_idx = step->op_idx, .norm_idx = -1, .in_buffer = in.buffer, .in2_buffer = -1};
    int rc = api->step_create(&config, &run.step);
    if (rc != 0) {
        return ei_builder_refused(b, step->op_idx, rc);
    }
    run.out_buffer = ei_builder_place_result(b, step->out, -1, in.type, api->step_layout(run.step, EI_DNNL_OUT));
    rc = run.out_buffer < 0 ? run.out_buffer : ei_builder_add_run(b, &run);
    if (rc != 0) {
        api->step_destroy(run.step);
    }
    return rc;
}

/* Both in the order of the first: padding is added to padding. oneDNN's own is not asked: version 2.6 adds wrong
 * numbers where channels do not fill their blocks of 8 and the processor's vectors hold 16. */
static int build_add(struct ei_builder *b, const struct ei_fused_step *step)
{
    const struct ei_prepared_place in = *ei_builder_own_place(b, step->in);
    const int32_t element_bytes = in.type == EI_DNNL_BFLOAT16 ? 2 : 4;
    struct ei_prepared_item run = {.kind = EI_RUN_ADD,
                                   .op_idx = step->op_idx,
                                   .norm_idx = -1,
                                   .has_relu = step->has_relu,
                                   .element_bytes = element_bytes,
                                   .count = b->net->api->layout_bytes(in.layout) / element_bytes,
                                   .in_buffer = in.buffer};
    run.in2_buffer = ei_builder_want(b, step->in2, in.layout, in.type);
    if (run.in2_buffer < 0) {
        return run.in2_buffer;
    }
    run.out_buffer = ei_builder_place_result(b, step->out, -1, in.type, in.layout);
    return run.out_buffer < 0 ? run.out_buffer : ei_builder_add_run(b, &run);
}

static int32_t area_of(const struct ei_shape *picture)
{
    return picture->height_px > 0 ? picture->height_px * picture->width_px : 1;
}

static struct ei_kernel_picture kernel_picture(const struct ei_builder *b, int32_t value,
                                               const struct ei_prepared_place *place)
{
    const struct ei_shape *picture = ei_builder_picture(b, value);
    const int32_t block = b->net->api->layout_block(place->layout);
    return (struct ei_kernel_picture){picture->channels, area_of(picture),
                                      block == EI_DNNL_CHANNELS_LAST ? picture->channels : block};
}

/* Features may be a flattened picture, which lies plain then: each of its numbers is a channel. */
static int build_concat(struct ei_builder *b, const struct ei_fused_step *step)
{
    struct ei_prepared_place in, in2;
    const enum ei_dnnl_type type = ei_builder_own_place(b, step->in)->type;
    const int32_t own_buffer = ei_builder_own_place(b, step->in)->buffer;
    const struct ei_shape *picture2 = ei_builder_picture(b, step->in2);
    const struct ei_dnnl_layout *out_layout = NULL;
    const bool is_features = ei_builder_picture(b, step->out)->height_px == 0;
    int rc = ei_builder_want_known(b, step->in, type, is_features ? 1 : 0, &in);
    if (rc != 0) {
        return rc;
    }
    struct ei_prepared_item run = {.kind = EI_RUN_CONCAT,
                                   .op_idx = step->op_idx,
                                   .norm_idx = -1,
                                   .picture = kernel_picture(b, step->in, &in),
                                   .b_channels = picture2->channels * (is_features ? area_of(picture2) : 1),
                                   .element_bytes = type == EI_DNNL_BFLOAT16 ? 2 : 4,
                                   .in_buffer = in.buffer};
    if (is_features) {
        run.picture = (struct ei_kernel_picture){run.picture.channels * run.picture.area_px, 1, 1};
    }
    const int32_t block = is_features ? 1 : b->net->api->layout_block(in.layout);
    run.is_channels_last = block == EI_DNNL_CHANNELS_LAST;
    rc = ei_builder_want_known(b, step->in2, type, block, &in2);
    run.in2_buffer = in2.buffer;
    if (rc == 0) {
        rc = ei_builder_make_layout(b, ei_builder_picture(b, step->out), type, block, &out_layout);
    }
    if (rc == 0) {
        const bool is_grown = step->may_overwrite && in.buffer == own_buffer;
        run.out_buffer = ei_builder_place_result(b, step->out, is_grown ? own_buffer : -1, type, out_layout);
        rc = run.out_buffer < 0 ? run.out_buffer : ei_builder_add_run(b, &run);
    }
    return rc;
}

/* lrn and batch norm compute in float32, as libtorch does in either precision. */
static int build_kernel(struct ei_builder *b, const struct ei_fused_step *step, enum ei_run_kind kind)
{
    const struct ei_op *op = &b->net->program.ops[step->op_idx];
    struct ei_prepared_place in;
    const bool is_wide = kind == EI_RUN_LRN && ei_builder_picture(b, step->in)->channels > EI_KERNEL_CHANNELS_MAX;
    int rc = ei_builder_want_known(b, step->in, EI_DNNL_FLOAT32, is_wide ? 1 : 0, &in);
    if (rc != 0) {
        return rc;
    }
    struct ei_prepared_item run = {.kind = kind,
                                   .op_idx = step->op_idx,
                                   .norm_idx = -1,
                                   .has_relu = step->has_relu,
                                   .picture = kernel_picture(b, step->in, &in),
                                   .lrn = {op->lrn_size, op->lrn_alpha, op->lrn_beta, op->lrn_k},
                                   .in_buffer = in.buffer,
                                   .in2_buffer = -1};
    if (kind == EI_RUN_SCALE) {
        const int32_t channels = run.picture.channels;
        run.scale = malloc((size_t)channels * sizeof *run.scale);
        run.shift = malloc((size_t)channels * sizeof *run.shift);
        for (int32_t c = 0; run.scale != NULL && run.shift != NULL && c < channels; c++) {
            double scale, shift;
            ei_norm_of_channel(&b->numbers, step->op_idx, c, &scale, &shift);
            run.scale[c] = (float)scale;
            run.shift[c] = (float)shift;
        }
        rc = run.scale != NULL && run.shift != NULL ? 0 : ei_builder_no_memory(b);
    }
    if (rc == 0) {
        run.out_buffer = ei_builder_place_result(b, step->out, -1, EI_DNNL_FLOAT32, in.layout);
        rc = run.out_buffer < 0 ? run.out_buffer : ei_builder_add_run(b, &run);
    }
    if (rc != 0) {
        free(run.scale);
        free(run.shift);
    }
    return rc;
}

/* Buffer of a value as plain float32: one that is there, or a new one for what a foreign part writes. */
static int32_t plain_buffer(struct ei_builder *b, int32_t value, bool is_new)
{
    const struct ei_dnnl_layout *plain = NULL;
    const int rc = ei_builder_make_layout(b, ei_builder_picture(b, value), EI_DNNL_FLOAT32, 1, &plain);
    return rc != 0  ? rc
           : is_new ? ei_builder_place_result(b, value, -1, EI_DNNL_FLOAT32, plain)
                    : ei_builder_want(b, value, plain, EI_DNNL_FLOAT32);
}

static struct ei_prepared_crossing crossing_of(int32_t slot, const struct ei_shape *shape)
{
    return (struct ei_prepared_crossing){
        .slot = slot, .shape = *shape, .count = (int64_t)shape->channels * area_of(shape)};
}

/* What goes in is put in order first, so that all of it is there when the part runs. */
static int build_foreign(struct ei_builder *b, const struct ei_fused_step *step)
{
    const struct ei_fused_foreign *foreign = &b->net->fused.foreign[step->part];
    struct ei_prepared_exchange *exchange = &b->net->exchanges[step->part];
    struct ei_prepared_seam *seam = &b->net->seams[step->part];
    *exchange = (struct ei_prepared_exchange){.in_count = foreign->in_count, .out_count = foreign->out_count};
    for (int32_t i = 0; i < foreign->in_count; i++) {
        seam->in_buffers[i] = plain_buffer(b, foreign->ins[i], false);
        if (seam->in_buffers[i] < 0) {
            return seam->in_buffers[i];
        }
        exchange->ins[i] = crossing_of(foreign->in_slots[i], &foreign->in_shapes[i]);
    }
    for (int32_t i = 0; i < foreign->out_count; i++) {
        seam->out_buffers[i] = plain_buffer(b, foreign->outs[i], true);
        if (seam->out_buffers[i] < 0) {
            return seam->out_buffers[i];
        }
        exchange->outs[i] = crossing_of(foreign->out_slots[i], ei_builder_picture(b, foreign->outs[i]));
        ei_builder_touch(b, seam->out_buffers[i]);
    }
    for (int32_t i = 0; i < foreign->in_count; i++) {
        ei_builder_touch(b, seam->in_buffers[i]);
    }
    const struct ei_prepared_item run = {.kind = EI_RUN_FOREIGN,
                                         .op_idx = step->op_idx,
                                         .norm_idx = -1,
                                         .in_buffer = seam->in_buffers[0],
                                         .in2_buffer = -1,
                                         .out_buffer =
                                             foreign->out_count > 0 ? seam->out_buffers[0] : seam->in_buffers[0]};
    return ei_builder_add_run(b, &run);
}

static int build_step(struct ei_builder *b, const struct ei_fused_step *step)
{
    if (step->is_foreign) {
        return build_foreign(b, step);
    }
    switch (b->net->program.ops[step->op_idx].kind) {
    case EI_OP_CONV2D:
    case EI_OP_LINEAR:
        return build_weighted(b, step);
    case EI_OP_MAX_POOL:
        return build_simple(b, step, EI_DNNL_MAX_POOL);
    case EI_OP_AVG_POOL:
    case EI_OP_GLOBAL_AVG_POOL:
        return build_simple(b, step, EI_DNNL_AVG_POOL);
    case EI_OP_RELU:
        return build_simple(b, step, EI_DNNL_RELU);
    case EI_OP_ADD:
        return build_add(b, step);
    case EI_OP_LRN:
        return build_kernel(b, step, EI_RUN_LRN);
    case EI_OP_BATCH_NORM:
        return build_kernel(b, step, EI_RUN_SCALE);
    case EI_OP_CONCAT:
        return build_concat(b, step);
    case EI_OP_DROPOUT:
    case EI_OP_FLATTEN:
    case EI_OP_SCRIPT:
        break;
    }
    return ei_builder_refused(b, step->op_idx, EINET_E_BACKEND);
}

/* Logits leave as float32, one after the other, and stay until the branch's end: the trunk may have written them. */
static int build_logits(struct ei_builder *b)
{
    const int32_t buffer = plain_buffer(b, b->net->fused.logits[b->part / 2], false);
    b->net->logits_buffer[b->part / 2] = buffer;
    if (buffer >= 0) {
        ei_builder_touch(b, buffer);
    }
    return buffer < 0 ? buffer : 0;
}

static int build_input(struct ei_builder *b)
{
    const struct ei_dnnl_layout *plain = NULL;
    int rc = ei_builder_make_layout(b, &b->net->program.input, EI_DNNL_FLOAT32, 1, &plain);
    if (rc == 0) {
        rc = ei_builder_add_buffer(b, -1, b->net->api->layout_bytes(plain));
    }
    if (rc == 0) {
        rc = ei_builder_add_place(b, 0, 0, EI_DNNL_FLOAT32, plain);
    }
    return rc;
}

int ei_prepared_build(struct ei_prepared *net, const struct ei_prepared_config *config, struct einet_error *err)
{
    struct ei_builder *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    *b = (struct ei_builder){.net = net, .config = config, .type = config->type, .part = -1, .err = err};
    ei_program_numbers_find(&net->program, config->params, &b->numbers);
    for (int32_t v = 0; v < EI_FUSED_VALUES_MAX; v++) {
        b->own_place[v] = -1;
    }
    int rc = build_input(b);
    for (int32_t part = 0; rc == 0 && part < 2 * net->program.block_count; part++) {
        const struct ei_program_part *steps = &net->fused.parts[part];
        b->part = part;
        net->parts[part].first_op = net->run_count;
        for (int32_t s = steps->first_op; rc == 0 && s < steps->first_op + steps->op_count; s++) {
            rc = build_step(b, &net->fused.steps[s]);
        }
        if (rc == 0 && part % 2 != 0) {
            rc = build_logits(b);
        }
        net->parts[part].op_count = net->run_count - net->parts[part].first_op;
    }
    free(b);
    return rc;
}
