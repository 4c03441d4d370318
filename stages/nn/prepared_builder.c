#include "stages/nn/prepared_builder.h"

#include <errno.h>
#include <stdlib.h>

/* ---- lists ---- */

/* Room for one more element; *at: the list. */
static int grow(void **at, int32_t count, int32_t *room, size_t element_bytes)
{
    if (count < *room) {
        return 0;
    }
    const int32_t more = *room > 0 ? 2 * *room : 64;
    void *larger = realloc(*at, (size_t)more * element_bytes);
    if (larger == NULL) {
        return -ENOMEM;
    }
    *at = larger;
    *room = more;
    return 0;
}

int ei_builder_no_memory(const struct ei_builder *b)
{
    return einet_error_set(b->err, -ENOMEM, "no memory for a network");
}

int ei_builder_refused(const struct ei_builder *b, int32_t op_idx, int rc)
{
    const struct ei_program *program = &b->net->program;
    const char *text = b->net->api->error_text();
    if (op_idx < 0) {
        return einet_error_set(b->err, rc, "oneDNN cannot prepare %s: %s", program->name, text);
    }
    const int32_t first = ei_program_part(program, b->part / 2, b->part % 2 != 0)->first_op;
    b->net->refused_part = b->part;
    return einet_error_set(b->err, rc, "oneDNN cannot prepare block%d.%s.%d (%s) of %s: %s", b->part / 2 + 1,
                           b->part % 2 != 0 ? "branch" : "conv", op_idx - first,
                           ei_op_kind_name(program->ops[op_idx].kind), program->name, text);
}

int32_t ei_builder_add_buffer(struct ei_builder *b, int32_t part, int64_t bytes)
{
    struct ei_prepared *net = b->net;
    if (grow((void **)&net->buffers, net->buffer_count, &net->buffer_room, sizeof *net->buffers) != 0) {
        return ei_builder_no_memory(b);
    }
    net->buffers[net->buffer_count] = (struct ei_prepared_buffer){
        .arena = {.bytes = bytes, .first = part < 0 ? -1 : net->run_count, .last = part < 0 ? -1 : net->run_count},
        .part = part,
        .keep_part = -1};
    return net->buffer_count++;
}

int32_t ei_builder_add_place(struct ei_builder *b, int32_t value, int32_t buffer, enum ei_dnnl_type type,
                             const struct ei_dnnl_layout *layout)
{
    struct ei_prepared *net = b->net;
    if (grow((void **)&net->places, net->place_count, &net->place_room, sizeof *net->places) != 0) {
        return ei_builder_no_memory(b);
    }
    net->places[net->place_count] =
        (struct ei_prepared_place){.value = value, .buffer = buffer, .part = b->part, .type = type, .layout = layout};
    if (b->own_place[value] < 0) {
        b->own_place[value] = net->place_count;
    }
    return net->place_count++;
}

void ei_builder_touch(struct ei_builder *b, int32_t buffer_idx)
{
    struct ei_prepared_buffer *buffer = &b->net->buffers[buffer_idx];
    buffer->arena.last = b->net->run_count > buffer->arena.last ? b->net->run_count : buffer->arena.last;
    if (b->part % 2 != 0 && buffer->part != b->part) {
        buffer->keep_part = b->part;
    }
}

int ei_builder_add_run(struct ei_builder *b, const struct ei_prepared_item *run)
{
    struct ei_prepared *net = b->net;
    if (grow((void **)&net->runs, net->run_count, &net->run_room, sizeof *net->runs) != 0) {
        return ei_builder_no_memory(b);
    }
    ei_builder_touch(b, run->in_buffer);
    ei_builder_touch(b, run->out_buffer);
    if (run->in2_buffer >= 0) {
        ei_builder_touch(b, run->in2_buffer);
    }
    if (run->step != NULL) {
        const int64_t scratch = net->api->step_scratch_bytes(run->step);
        net->scratch_bytes = scratch > net->scratch_bytes ? scratch : net->scratch_bytes;
        net->weight_bytes += net->api->step_weight_bytes(run->step);
    }
    net->runs[net->run_count++] = *run;
    return 0;
}

int ei_builder_make_layout(struct ei_builder *b, const struct ei_shape *picture, enum ei_dnnl_type type, int32_t block,
                           const struct ei_dnnl_layout **out)
{
    struct ei_prepared *net = b->net;
    const struct ei_dnnl_shape shape = {picture->channels, picture->height_px, picture->width_px};
    struct ei_dnnl_layout *layout;
    if (grow((void **)&net->layouts, net->layout_count, &net->layout_room, sizeof(struct ei_dnnl_layout *)) != 0) {
        return ei_builder_no_memory(b);
    }
    const int rc = net->api->layout_create(&shape, type, block, &layout);
    if (rc != 0) {
        return ei_builder_refused(b, -1, rc);
    }
    net->layouts[net->layout_count++] = layout;
    *out = layout;
    return 0;
}

/* ---- values where they are wanted ---- */

const struct ei_shape *ei_builder_picture(const struct ei_builder *b, int32_t value)
{
    return &b->net->fused.values[value].picture;
}

struct ei_dnnl_shape ei_builder_shape(const struct ei_builder *b, int32_t value)
{
    const struct ei_shape *picture = ei_builder_picture(b, value);
    return (struct ei_dnnl_shape){picture->channels, picture->height_px, picture->width_px};
}

const struct ei_prepared_place *ei_builder_own_place(const struct ei_builder *b, int32_t value)
{
    return &b->net->places[b->own_place[value]];
}

int ei_builder_add_reorder(struct ei_builder *b, const struct ei_prepared_place *from, int32_t to_buffer,
                           const struct ei_dnnl_layout *layout)
{
    const struct ei_dnnl_step_config config = {
        .kind = EI_DNNL_REORDER, .in_layout = from->layout, .out_layout = layout};
    struct ei_prepared_item run = {
        .op_idx = -1, .norm_idx = -1, .in_buffer = from->buffer, .in2_buffer = -1, .out_buffer = to_buffer};
    int rc = b->net->api->step_create(&config, &run.step);
    if (rc != 0) {
        return ei_builder_refused(b, -1, rc);
    }
    rc = ei_builder_add_run(b, &run);
    if (rc != 0) {
        b->net->api->step_destroy(run.step);
    }
    return rc;
}

int32_t ei_builder_want(struct ei_builder *b, int32_t value, const struct ei_dnnl_layout *layout,
                        enum ei_dnnl_type type)
{
    struct ei_prepared *net = b->net;
    for (int32_t i = 0; i < net->place_count; i++) {
        const struct ei_prepared_place *place = &net->places[i];
        if (place->value == value && (place->part % 2 == 0 || place->part < 0 || place->part == b->part) &&
            net->api->layout_is_equal(place->layout, layout)) {
            return place->buffer;
        }
    }
    const struct ei_prepared_place from = *ei_builder_own_place(b, value);
    const int32_t buffer = ei_builder_add_buffer(b, b->part, net->api->layout_bytes(layout));
    int rc = buffer < 0 ? buffer : ei_builder_add_reorder(b, &from, buffer, layout);
    if (rc == 0) {
        rc = ei_builder_add_place(b, value, buffer, type, layout);
    }
    return rc < 0 ? rc : buffer;
}

int ei_builder_want_known(struct ei_builder *b, int32_t value, enum ei_dnnl_type type, int32_t block,
                          struct ei_prepared_place *out)
{
    *out = *ei_builder_own_place(b, value);
    const int32_t own_block = b->net->api->layout_block(out->layout);
    if (own_block != 0 && out->type == type && (block == 0 || block == own_block)) {
        return 0;
    }
    const struct ei_dnnl_layout *layout = NULL;
    const int32_t wanted = block != 0 ? block : own_block != 0 ? own_block : 1;
    int32_t rc = ei_builder_make_layout(b, ei_builder_picture(b, value), type, wanted, &layout);
    rc = rc != 0 ? rc : ei_builder_want(b, value, layout, type);
    out->buffer = rc;
    out->layout = layout;
    out->type = type;
    return rc < 0 ? rc : 0;
}

int ei_builder_place_result(struct ei_builder *b, int32_t value, int32_t reused, enum ei_dnnl_type type,
                            const struct ei_dnnl_layout *layout)
{
    const int64_t bytes = b->net->api->layout_bytes(layout);
    const int32_t buffer = reused >= 0 ? reused : ei_builder_add_buffer(b, b->part, bytes);
    if (buffer < 0) {
        return buffer;
    }
    struct ei_arena_buffer *arena = &b->net->buffers[buffer].arena;
    arena->bytes = bytes > arena->bytes ? bytes : arena->bytes;
    const int32_t place = ei_builder_add_place(b, value, buffer, type, layout);
    return place < 0 ? place : buffer;
}
