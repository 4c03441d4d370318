/* See bundle_layers.h. */
#include "stages/nn/bundle_layers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what can be taken apart ---- */

static bool is_identity(const struct ei_torch_layer *layer)
{
    return strcmp(layer->op, "identity") == 0;
}

static bool is_whole(const struct ei_torch_api *api, const struct ei_torch_chain *chain)
{
    struct ei_torch_layer layer;
    const int32_t count = api->chain_count(chain);
    for (int32_t i = 0; i < count; i++) {
        if (api->chain_layer(chain, i, &layer) != 0 || (!is_identity(&layer) && ei_op_kind_find(layer.op) < 0)) {
            return false;
        }
    }
    return true;
}

/* The chain of a script, or NULL. */
static struct ei_torch_chain *read_chain(const struct ei_torch_api *api, const char *path)
{
    struct ei_torch_script *script = NULL;
    struct ei_torch_chain *chain = NULL;
    if (api->script_load(path, &script) != 0) {
        return NULL;
    }
    if (api->script_chain(script, &chain) != 0) {
        chain = NULL;
    }
    api->script_destroy(script);
    if (chain != NULL && !is_whole(api, chain)) {
        api->chain_destroy(chain);
        return NULL;
    }
    return chain;
}

/* ---- the program with layers ---- */

static bool append(struct ei_bundle_layers *l, const struct ei_op *op, int32_t source_op, int32_t chain_idx,
                   int32_t layer_idx)
{
    const int32_t next = l->program.op_count;
    if (next == EI_PROGRAM_OPS_MAX) {
        return false;
    }
    l->program.ops[next] = *op;
    l->source_op[next] = source_op;
    l->chain_idx[next] = chain_idx;
    l->layer_idx[next] = layer_idx;
    l->program.op_count++;
    return true;
}

/* The layers of a script; one that does nothing leaves a dropout of nothing, which copies. */
static bool append_chain(struct ei_bundle_layers *l, const struct ei_op *script)
{
    const struct ei_torch_chain *chain = l->chains[script->script_idx];
    const int32_t count = l->api->chain_count(chain);
    int32_t in_slot = script->in_slot;
    struct ei_torch_layer layer;
    bool has_room = true;
    for (int32_t i = 0; has_room && i < count; i++) {
        if (l->api->chain_layer(chain, i, &layer) != 0 || is_identity(&layer)) {
            continue;
        }
        const struct ei_op op = {.kind = (enum ei_op_kind)ei_op_kind_find(layer.op),
                                 .in_slot = in_slot,
                                 .out_slot = script->out_slot,
                                 .in_channels = layer.in_channels,
                                 .out_channels = layer.out_channels,
                                 .kernel_px = layer.kernel_px,
                                 .stride_px = layer.stride_px,
                                 .padding_px = layer.padding_px,
                                 .bias = layer.bias != 0,
                                 .ceil_mode = layer.ceil_mode != 0,
                                 .p = layer.p,
                                 .eps = layer.eps,
                                 .momentum = layer.momentum};
        has_room = append(l, &op, -1, script->script_idx, i);
        in_slot = script->out_slot;
    }
    if (has_room && in_slot == script->in_slot && in_slot != script->out_slot) {
        const struct ei_op copy = {.kind = EI_OP_DROPOUT, .in_slot = in_slot, .out_slot = script->out_slot};
        has_room = append(l, &copy, -1, -1, -1);
    }
    return has_room;
}

/* Number of a script that is left, in the order of first use. */
static int32_t script_left(struct ei_bundle_layers *l, int32_t source_idx)
{
    const char *file = l->source.scripts[source_idx];
    for (int32_t i = 0; i < l->program.script_count; i++) {
        if (strcmp(l->program.scripts[i], file) == 0) {
            return i;
        }
    }
    memcpy(l->program.scripts[l->program.script_count], file, EI_PROGRAM_SCRIPT_FILE_MAX);
    return l->program.script_count++;
}

static bool append_part(struct ei_bundle_layers *l, int32_t part)
{
    struct ei_program_block *block = &l->program.blocks[part / 2];
    struct ei_program_part *out = part % 2 != 0 ? &block->branch : &block->conv;
    const struct ei_program_part ops = *ei_program_part(&l->source, part / 2, part % 2 != 0);
    out->first_op = l->program.op_count;
    for (int32_t i = ops.first_op; i < ops.first_op + ops.op_count; i++) {
        struct ei_op op = l->source.ops[i];
        bool has_room;
        if (op.kind == EI_OP_SCRIPT && l->chains[op.script_idx] != NULL) {
            has_room = append_chain(l, &op);
        } else {
            op.script_idx = op.kind == EI_OP_SCRIPT ? script_left(l, op.script_idx) : 0;
            has_room = append(l, &op, i, -1, -1);
        }
        if (!has_room) {
            return false;
        }
    }
    out->op_count = l->program.op_count - out->first_op;
    return true;
}

int ei_bundle_layers_create(const char *dir, const struct ei_torch_api *api, const struct ei_program *source,
                            struct ei_bundle_layers **out, struct einet_error *err)
{
    struct ei_bundle_layers *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a bundle");
    }
    l->api = api;
    l->source = *source;
    l->program = *source;
    l->program.op_count = l->program.script_count = 0;
    for (int32_t i = 0; i < source->script_count; i++) {
        char path[EI_BUNDLE_PATH_MAX];
        const int rc = ei_bundle_path(dir, source->scripts[i], path, err);
        if (rc != 0) {
            ei_bundle_layers_destroy(l);
            return rc;
        }
        l->chains[i] = read_chain(api, path);
        l->taken_count += l->chains[i] != NULL ? 1 : 0;
    }
    bool has_room = true;
    for (int32_t part = 0; has_room && part < 2 * source->block_count; part++) {
        has_room = append_part(l, part);
    }
    l->taken_count = has_room ? l->taken_count : 0;
    *out = l;
    return 0;
}

/* ---- parameters ---- */

struct renumbering {
    const struct ei_param_sink *sink;
    int32_t *to; /* of each parameter of the source */
};

static int set_renumbered(void *context, int32_t idx, const float *numbers, struct einet_error *err)
{
    const struct renumbering *r = context;
    return r->sink->set(r->sink->context, r->to[idx], numbers, err);
}

/* First parameter of each operation; first: [op_count]. */
static void number_params(const struct ei_program *program, int32_t *first)
{
    struct ei_param of_op[EI_PROGRAM_PARAMS_PER_OP_MAX];
    int32_t next = 0;
    for (int32_t part = 0; part < 2 * program->block_count; part++) {
        const struct ei_program_part *ops = ei_program_part(program, part / 2, part % 2 != 0);
        for (int32_t i = 0; i < ops->op_count; i++) {
            first[ops->first_op + i] = next;
            next += ei_program_op_params(program, part / 2, part % 2 != 0, i, of_op);
        }
    }
}

static int load_source(struct ei_bundle_layers *l, const struct ei_program *resolved, const int32_t *first,
                       const struct ei_param_source *source, const struct ei_param_sink *sink, struct einet_error *err)
{
    const int32_t count = ei_program_param_count(&l->source), params = ei_program_param_count(resolved);
    int32_t *source_first = calloc(EI_PROGRAM_OPS_MAX, sizeof *source_first);
    int32_t *to = calloc((size_t)count + 1, sizeof *to);
    int rc = source_first != NULL && to != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for a bundle");
    if (rc == 0) {
        number_params(&l->source, source_first);
        for (int32_t i = 0; i < resolved->op_count; i++) {
            const int32_t op = l->source_op[i];
            const int32_t of_op = i + 1 < resolved->op_count ? first[i + 1] - first[i] : params - first[i];
            for (int32_t p = 0; op >= 0 && p < of_op; p++) {
                to[source_first[op] + p] = first[i] + p;
            }
        }
        struct renumbering renumbering = {sink, to};
        const struct ei_param_sink renumbered = {set_renumbered, &renumbering};
        rc = source->load(source->context, &renumbered, err);
    }
    free(source_first);
    free(to);
    return rc;
}

static int load_layer(const struct ei_bundle_layers *l, int32_t op_idx, int32_t param_idx, const struct ei_param *param,
                      struct ei_torch_tensor *tensor, const struct ei_param_sink *sink, struct einet_error *err)
{
    static const enum ei_torch_layer_tensor tensors[] = {
        [EI_PARAM_WEIGHT] = EI_TORCH_WEIGHT,
        [EI_PARAM_BIAS] = EI_TORCH_BIAS,
        [EI_PARAM_RUNNING_MEAN] = EI_TORCH_RUNNING_MEAN,
        [EI_PARAM_RUNNING_VAR] = EI_TORCH_RUNNING_VAR,
    };
    float *numbers = malloc((size_t)param->count * sizeof *numbers);
    if (numbers == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the weights of %s", l->source.name);
    }
    int rc = l->api->chain_tensor(l->chains[l->chain_idx[op_idx]], l->layer_idx[op_idx], tensors[param->role], tensor);
    rc = rc != 0 ? rc : l->api->tensor_read_f32(tensor, numbers, param->count);
    rc = rc != 0 ? einet_error_set(err, rc, "%s of %s could not be read: %.200s", param->name, l->source.name,
                                   l->api->error_text())
                 : sink->set(sink->context, param_idx, numbers, err);
    free(numbers);
    return rc;
}

static int load_chains(const struct ei_bundle_layers *l, const struct ei_program *resolved, const int32_t *first,
                       const struct ei_param_sink *sink, struct einet_error *err)
{
    struct ei_param of_op[EI_PROGRAM_PARAMS_PER_OP_MAX];
    struct ei_torch_tensor *tensor = NULL;
    int rc = l->api->tensor_create(&tensor);
    if (rc != 0) {
        return einet_error_set(err, rc, "no memory for a bundle");
    }
    for (int32_t part = 0; part < 2 * resolved->block_count; part++) {
        const struct ei_program_part *ops = ei_program_part(resolved, part / 2, part % 2 != 0);
        for (int32_t i = 0; rc == 0 && i < ops->op_count; i++) {
            const int32_t op_idx = ops->first_op + i;
            const int32_t count =
                l->chain_idx[op_idx] >= 0 ? ei_program_op_params(resolved, part / 2, part % 2 != 0, i, of_op) : 0;
            for (int32_t p = 0; rc == 0 && p < count; p++) {
                rc = load_layer(l, op_idx, first[op_idx] + p, &of_op[p], tensor, sink, err);
            }
        }
    }
    l->api->tensor_destroy(tensor);
    return rc;
}

int ei_bundle_layers_load(struct ei_bundle_layers *l, const struct ei_program *resolved,
                          const struct ei_param_source *source, const struct ei_param_sink *sink,
                          struct einet_error *err)
{
    int32_t *first = calloc(EI_PROGRAM_OPS_MAX, sizeof *first);
    if (first == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a bundle");
    }
    number_params(resolved, first);
    for (int32_t i = 0; i < resolved->op_count; i++) {
        if (l->source_op[i] >= 0) {
            l->source.ops[l->source_op[i]].in_channels = resolved->ops[i].in_channels;
        }
    }
    int rc = ei_program_param_count(&l->source) > 0 ? load_source(l, resolved, first, source, sink, err) : 0;
    rc = rc != 0 ? rc : load_chains(l, resolved, first, sink, err);
    free(first);
    return rc;
}

void ei_bundle_layers_destroy(struct ei_bundle_layers *l)
{
    if (l == NULL) {
        return;
    }
    for (int32_t i = 0; i < EI_PROGRAM_SCRIPTS_MAX; i++) {
        l->api->chain_destroy(l->chains[i]);
    }
    free(l);
}
