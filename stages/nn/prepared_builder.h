/* What a network that is being prepared consists of so far: buffers, the places in them where values lie, and runs.
 * prepared_build.c decides what runs; here it gets its memory, and a reorder where a value lies otherwise. Set-up only.
 */
#ifndef STAGES_NN_PREPARED_BUILDER_H
#define STAGES_NN_PREPARED_BUILDER_H

#include "stages/nn/prepared_fold.h"
#include "stages/nn/prepared_parts.h"

struct ei_builder {
    struct ei_prepared *net;
    struct ei_program_numbers numbers;
    const struct ei_prepared_config *config;
    enum ei_dnnl_type type;
    int32_t own_place[EI_FUSED_VALUES_MAX]; /* of each value; -1 = not yet */
    int32_t part;                           /* being built */
    struct einet_error *err;
};

/* Both set the error and return its code. op_idx: of what oneDNN refused; -1 = something of the network as a whole. */
int ei_builder_no_memory(const struct ei_builder *b);
int ei_builder_refused(const struct ei_builder *b, int32_t op_idx, int rc);

/* A buffer that the next run writes. Returns its index or -ENOMEM. */
int32_t ei_builder_add_buffer(struct ei_builder *b, int32_t part, int64_t bytes);

/* A value lies in a buffer; the first of its places is its own. Returns its index or -ENOMEM. */
int32_t ei_builder_add_place(struct ei_builder *b, int32_t value, int32_t buffer, enum ei_dnnl_type type,
                             const struct ei_dnnl_layout *layout);

/* The run that is about to be added needs a buffer. */
void ei_builder_touch(struct ei_builder *b, int32_t buffer_idx);

/* Copied; its buffers are needed until then. The step of it is the network's then. Returns 0 or -ENOMEM. */
int ei_builder_add_run(struct ei_builder *b, const struct ei_prepared_item *run);

/* A layout that the network owns. block: as in dnnl.h. Returns 0 or a negative code. */
int ei_builder_make_layout(struct ei_builder *b, const struct ei_shape *picture, enum ei_dnnl_type type, int32_t block,
                           const struct ei_dnnl_layout **out);

/* Of a value; borrowed. */
const struct ei_shape *ei_builder_picture(const struct ei_builder *b, int32_t value);
struct ei_dnnl_shape ei_builder_shape(const struct ei_builder *b, int32_t value);
const struct ei_prepared_place *ei_builder_own_place(const struct ei_builder *b, int32_t value);

/* A run that copies a place into a buffer, in the order of `layout`. Returns 0 or a negative code. */
int ei_builder_add_reorder(struct ei_builder *b, const struct ei_prepared_place *from, int32_t to_buffer,
                           const struct ei_dnnl_layout *layout);

/* Buffer in which a value lies as `layout` says; a reorder is added when there is none. Copies that a branch made are
 * there in this branch only. Returns the buffer or a negative code. */
int32_t ei_builder_want(struct ei_builder *b, int32_t value, const struct ei_dnnl_layout *layout,
                        enum ei_dnnl_type type);

/* The same for kernels of ours: channels lie as `block` says, or with 0 as they lie. *out: the place. */
int ei_builder_want_known(struct ei_builder *b, int32_t value, enum ei_dnnl_type type, int32_t block,
                          struct ei_prepared_place *out);

/* Give a step's result its buffer: `reused`, that of another value that ends here, or with -1 a new one. Returns the
 * buffer or a negative code. */
int ei_builder_place_result(struct ei_builder *b, int32_t value, int32_t reused, enum ei_dnnl_type type,
                            const struct ei_dnnl_layout *layout);

#endif
