/* Set-up and running; which runs there are is decided in prepared_build.c. */
#include "stages/nn/prepared.h"

#include "rt/clock.h"
#include "stages/nn/prepared_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A buffer that a branch reads but did not write is needed until the branch's end, since branches may be repeated. */
static int place_buffers(struct ei_prepared *net, struct einet_error *err)
{
    struct ei_arena_buffer *plan = calloc((size_t)net->buffer_count + 1, sizeof *plan);
    if (plan == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    for (int32_t i = 0; i < net->buffer_count; i++) {
        plan[i] = net->buffers[i].arena;
        if (net->buffers[i].keep_part >= 0) {
            const struct ei_program_part *part = &net->parts[net->buffers[i].keep_part];
            const int32_t end = part->first_op + part->op_count;
            plan[i].last = end > plan[i].last ? end : plan[i].last;
        }
    }
    const int64_t bytes = ei_arena_place(plan, net->buffer_count, EI_DNNL_ALIGN_BYTES);
    for (int32_t i = 0; i < net->buffer_count; i++) {
        net->buffers[i].arena = plan[i];
    }
    free(plan);
    if (bytes < 0) {
        return einet_error_set(err, (int)bytes, "no memory for a network");
    }
    net->arena_bytes = bytes;
    return 0;
}

static void *take_pages(void *context, int64_t bytes)
{
    return ei_pages_take(context, bytes);
}

/* In memory before the first job. */
static char *take_zeros(struct ei_prepared *net, int64_t bytes)
{
    char *memory = ei_pages_take(&net->pages, bytes);
    if (memory != NULL) {
        memset(memory, 0, (size_t)bytes);
    }
    return memory;
}

static void bind_exchanges(struct ei_prepared *net)
{
    for (int32_t part = 0; net->exchanges != NULL && part < EI_FUSED_PARTS_MAX; part++) {
        struct ei_prepared_exchange *exchange = &net->exchanges[part];
        const struct ei_prepared_seam *seam = &net->seams[part];
        for (int32_t i = 0; i < exchange->in_count; i++) {
            exchange->ins[i].numbers = (float *)(void *)(net->arena + net->buffers[seam->in_buffers[i]].arena.offset);
        }
        for (int32_t i = 0; i < exchange->out_count; i++) {
            exchange->outs[i].numbers = (float *)(void *)(net->arena + net->buffers[seam->out_buffers[i]].arena.offset);
        }
    }
}

static int bind_runs(struct ei_prepared *net, struct einet_error *err)
{
    net->arena = take_zeros(net, net->arena_bytes);
    net->scratch = take_zeros(net, net->scratch_bytes);
    if (net->arena == NULL || net->scratch == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the activations of %s", net->program.name);
    }
    for (int32_t i = 0; i < net->run_count; i++) {
        struct ei_prepared_item *run = &net->runs[i];
        run->in = net->arena + net->buffers[run->in_buffer].arena.offset;
        run->in2 = run->in2_buffer >= 0 ? net->arena + net->buffers[run->in2_buffer].arena.offset : NULL;
        run->out = net->arena + net->buffers[run->out_buffer].arena.offset;
        if (run->kind == EI_RUN_DNNL) {
            const int rc = net->api->step_bind(run->step, run->in, run->out, net->scratch);
            if (rc != 0) {
                return einet_error_set(err, rc, "oneDNN: %s", net->api->error_text());
            }
        }
    }
    bind_exchanges(net);
    return 0;
}

static int take_foreign(struct ei_prepared *net, const struct ei_prepared_foreign *foreign, struct einet_error *err)
{
    net->refused_part = -1;
    if (foreign == NULL) {
        return 0;
    }
    net->foreign = *foreign;
    net->exchanges = calloc(EI_FUSED_PARTS_MAX, sizeof *net->exchanges);
    net->seams = calloc(EI_FUSED_PARTS_MAX, sizeof *net->seams);
    return net->exchanges != NULL && net->seams != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for a network");
}

int ei_prepared_create(const struct ei_dnnl_api *api, const struct ei_prepared_config *config, struct ei_prepared **out,
                       struct einet_error *err)
{
    struct ei_prepared *net = calloc(1, sizeof *net);
    if (net == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    net->api = api;
    net->store = (struct ei_dnnl_store){take_pages, &net->pages};
    net->program = *config->program;
    int rc = take_foreign(net, config->foreign, err);
    if (rc == 0) {
        rc = ei_fuse_around(&net->program, config->foreign != NULL ? config->foreign->is_foreign : NULL, &net->fused,
                            err);
        net->refused_part = net->fused.refused_part;
    }
    if (rc == 0) {
        rc = ei_prepared_build(net, config, err);
    }
    if (config->out_refused_part != NULL) {
        *config->out_refused_part = net->refused_part;
    }
    if (rc == 0) {
        rc = place_buffers(net, err);
    }
    if (rc == 0) {
        rc = bind_runs(net, err);
    }
    if (rc != 0) {
        ei_prepared_destroy(net);
        return rc;
    }
    *out = net;
    return 0;
}

float *ei_prepared_input(struct ei_prepared *net)
{
    return (float *)(void *)(net->arena + net->buffers[0].arena.offset);
}

static int execute(const struct ei_prepared *net, const struct ei_prepared_item *run, int32_t block_idx, bool branch)
{
    switch (run->kind) {
    case EI_RUN_DNNL:
        return net->api->step_run(run->step);
    case EI_RUN_CONCAT:
        (run->is_channels_last ? ei_kernel_concat_last : ei_kernel_concat)(&run->picture, run->in, run->b_channels,
                                                                           run->in2, run->element_bytes, run->out);
        return 0;
    case EI_RUN_ADD:
        ei_kernel_add(run->in, run->in2, run->count, run->element_bytes, run->has_relu, run->out);
        return 0;
    case EI_RUN_LRN:
        ei_kernel_lrn(&run->picture, run->in, &run->lrn, run->out);
        return 0;
    case EI_RUN_SCALE:
        ei_kernel_scale(&run->picture, run->in, run->scale, run->shift, run->has_relu, run->out);
        return 0;
    case EI_RUN_SMALL:
        ei_small_conv_run(&run->small, run->in, run->out);
        return 0;
    case EI_RUN_FOREIGN:
        return net->foreign.run(net->foreign.context, block_idx, branch,
                                &net->exchanges[ei_fused_part(block_idx, branch)]);
    }
    return EINET_E_BACKEND;
}

int ei_prepared_run(struct ei_prepared *net, int32_t block_idx, bool branch)
{
    const struct ei_program_part *part = &net->parts[ei_fused_part(block_idx, branch)];
    int rc = 0;
    for (int32_t i = part->first_op; rc == 0 && i < part->first_op + part->op_count; i++) {
        rc = execute(net, &net->runs[i], block_idx, branch);
    }
    return rc;
}

int ei_prepared_run_timed(struct ei_prepared *net, int32_t block_idx, bool branch, int64_t *op_ns)
{
    const struct ei_program_part *part = &net->parts[ei_fused_part(block_idx, branch)];
    int64_t last_ns = ei_mono_now().ns;
    int rc = 0;
    for (int32_t i = part->first_op; rc == 0 && i < part->first_op + part->op_count; i++) {
        rc = execute(net, &net->runs[i], block_idx, branch);
        if (net->runs[i].op_idx >= 0) {
            const int64_t now_ns = ei_mono_now().ns;
            op_ns[net->runs[i].op_idx] += now_ns - last_ns;
            last_ns = now_ns;
        }
    }
    return rc;
}

const char *ei_prepared_kernel(const struct ei_prepared *net, int32_t op_idx)
{
    for (int32_t i = 0; i < net->run_count; i++) {
        if (net->runs[i].op_idx == op_idx) {
            return net->runs[i].kernel;
        }
    }
    return "";
}

const float *ei_prepared_logits(const struct ei_prepared *net, int32_t block_idx)
{
    return (const float *)(const void *)(net->arena + net->buffers[net->logits_buffer[block_idx]].arena.offset);
}

void ei_prepared_stats(const struct ei_prepared *net, struct ei_prepared_stats *out)
{
    *out = (struct ei_prepared_stats){.arena_bytes = net->arena_bytes,
                                      .scratch_bytes = net->scratch_bytes,
                                      .weight_bytes = net->weight_bytes,
                                      .steps = net->run_count};
    for (int32_t i = 0; i < net->run_count; i++) {
        out->reorders += net->runs[i].op_idx < 0 ? 1 : 0;
    }
}

bool ei_prepared_describe(const struct ei_prepared *net, int32_t idx, char *out, size_t size_bytes)
{
    if (idx < 0 || idx >= net->run_count) {
        return false;
    }
    const struct ei_prepared_item *run = &net->runs[idx];
    int32_t part = 0;
    while (idx >= net->parts[part].first_op + net->parts[part].op_count) {
        part++;
    }
    snprintf(out, size_bytes, "block%d.%s %s%s%s%s %s", part / 2 + 1, part % 2 != 0 ? "branch" : "conv",
             run->op_idx < 0 ? "reorder" : ei_op_kind_name(net->program.ops[run->op_idx].kind),
             run->norm_idx >= 0 ? "+norm" : "", run->has_sum ? "+add" : "", run->has_relu ? "+relu" : "",
             run->kind == EI_RUN_DNNL      ? net->api->step_kernel(run->step)
             : run->kind == EI_RUN_FOREIGN ? "elsewhere"
             : run->kind == EI_RUN_SMALL   ? "own:small"
                                           : "own");
    return true;
}

void ei_prepared_destroy(struct ei_prepared *net)
{
    if (net == NULL) {
        return;
    }
    for (int32_t i = 0; i < net->run_count; i++) {
        net->api->step_destroy(net->runs[i].step);
        free(net->runs[i].scale);
        free(net->runs[i].shift);
    }
    for (int32_t i = 0; i < net->layout_count; i++) {
        net->api->layout_destroy(net->layouts[i]);
    }
    free(net->runs);
    free(net->buffers);
    free(net->places);
    free(net->layouts);
    free(net->exchanges);
    free(net->seams);
    ei_pages_fini(&net->pages);
    free(net);
}
