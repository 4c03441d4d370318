/* What prepared.c (running), prepared_build.c (deciding) and prepared_builder.c (its memory) share. Not for others. */
#ifndef STAGES_NN_PREPARED_PARTS_H
#define STAGES_NN_PREPARED_PARTS_H

#include "rt/pages.h"
#include "stages/nn/fuse.h"
#include "stages/nn/prepared.h"
#include "stages/nn/prepared_kernels.h"
#include "stages/nn/prepared_memory.h"
#include "stages/nn/prepared_small.h"

enum ei_run_kind { EI_RUN_DNNL, EI_RUN_ADD, EI_RUN_CONCAT, EI_RUN_LRN, EI_RUN_SCALE, EI_RUN_SMALL, EI_RUN_FOREIGN };

/* One thing to execute. Memory is set when the arena is placed. */
struct ei_prepared_item {
    enum ei_run_kind kind;
    struct ei_dnnl_step *step;           /* owned; of EI_RUN_DNNL */
    char kernel[EI_PREPARED_KERNEL_MAX]; /* "" = the first choice */
    int32_t op_idx;                      /* of the program; -1 = a reorder */
    int32_t norm_idx;
    bool has_relu, has_sum;
    struct ei_kernel_picture picture; /* of `in`; the other kinds */
    int32_t b_channels, element_bytes;
    bool is_channels_last; /* concat */
    int64_t count;         /* of EI_RUN_ADD: numbers, the padding's among them */
    struct ei_kernel_lrn lrn;
    float *scale, *shift;                      /* owned */
    struct ei_small_conv small;                /* its weights lie in the network's pages */
    int32_t in_buffer, in2_buffer, out_buffer; /* in2: -1 = none */
    void *in, *in2, *out;
};

/* Memory of one value, or of the values that took it over. */
struct ei_prepared_buffer {
    struct ei_arena_buffer arena;
    int32_t part;      /* that writes it first; -1 = the input */
    int32_t keep_part; /* it is needed until the end of this part; -1 = until arena.last */
};

/* A value as it lies in some buffer. */
struct ei_prepared_place {
    int32_t value, buffer;
    int32_t part; /* that wrote it: what a branch wrote may be missing in other parts */
    enum ei_dnnl_type type;
    const struct ei_dnnl_layout *layout;
};

/* Where a foreign part's values lie. */
struct ei_prepared_seam {
    int32_t in_buffers[EI_PROGRAM_SLOTS_MAX], out_buffers[EI_PROGRAM_SLOTS_MAX];
};

struct ei_prepared {
    const struct ei_dnnl_api *api;
    struct ei_program program;
    struct ei_fused fused;
    int32_t run_count, run_room;
    struct ei_prepared_item *runs;
    struct ei_program_part parts[EI_FUSED_PARTS_MAX]; /* of runs */
    int32_t buffer_count, buffer_room;
    struct ei_prepared_buffer *buffers;
    int32_t place_count, place_room; /* the first one of a value is its own, the others are copies */
    struct ei_prepared_place *places;
    int32_t layout_count, layout_room;
    struct ei_dnnl_layout **layouts; /* owned */
    int32_t logits_buffer[EI_PROGRAM_BLOCKS_MAX];
    struct ei_pages pages; /* of weights, activations and scratch */
    struct ei_dnnl_store store;
    struct ei_prepared_foreign foreign;     /* its is_foreign is not kept */
    struct ei_prepared_exchange *exchanges; /* [parts]; NULL = no part is foreign */
    struct ei_prepared_seam *seams;
    int32_t refused_part;
    char *arena, *scratch;
    int64_t arena_bytes, scratch_bytes, weight_bytes;
};

/* Turn net->fused into runs, buffers and places. params as in struct ei_prepared_config. Returns like
 * ei_prepared_create. */
int ei_prepared_build(struct ei_prepared *net, const struct ei_prepared_config *config, struct einet_error *err);

#endif
