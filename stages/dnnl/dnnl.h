/* The C face of oneDNN: layouts and prepared steps, versions 2 and 3 (versions.h) alike.
 *
 * The implementation (plugin.c) is a plug-in, libeinet_dnnl.so, that loader.h opens at run time, so that everything
 * else builds and runs without oneDNN. A step is made once: it packs its weights, chooses the layouts that it likes,
 * and says how much scratch memory it wants; then it is bound to memory and run any number of times. Functions return 0
 * or a negative code; error_text() then says why, for the calling thread. Handles are not locked: one thread at a time
 * per handle. step_run allocates inside oneDNN; calls from a job are submit sections (rt/section.h).
 */
#ifndef STAGES_DNNL_DNNL_H
#define STAGES_DNNL_DNNL_H

#include <stdint.h>

#define EI_DNNL_ABI 3
#define EI_DNNL_ENTRY "ei_dnnl_api_get"
#define EI_DNNL_ALIGN_BYTES 64     /* of all memory that steps are bound to */
#define EI_DNNL_CHANNELS_LAST (-1) /* in the place of a block: all channels of a pixel, then those of the next one */

struct ei_dnnl_layout; /* opaque: shape, number type and order in memory */
struct ei_dnnl_step;   /* opaque: a primitive with its weights */

enum ei_dnnl_type { EI_DNNL_FLOAT32, EI_DNNL_BFLOAT16 };

/* One sample. */
struct ei_dnnl_shape {
    int32_t channels, height_px, width_px; /* features: height and width 1 */
};

enum ei_dnnl_kind {
    EI_DNNL_CONV,
    EI_DNNL_LINEAR,   /* of the whole picture */
    EI_DNNL_MAX_POOL, /* pools and relu keep the layout of `in` */
    EI_DNNL_AVG_POOL, /* the padding counts */
    EI_DNNL_RELU,
    EI_DNNL_REORDER /* from one layout to another */
};

/* Where packed weights go: memory aligned to EI_DNNL_ALIGN_BYTES that outlives the step; NULL = none left. */
struct ei_dnnl_store {
    void *(*take)(void *context, int64_t bytes);
    void *context;
};

struct ei_dnnl_step_config {
    enum ei_dnnl_kind kind;
    struct ei_dnnl_shape in, out;
    enum ei_dnnl_type type, out_type; /* of `in` and the weights; of `out` */
    /* What is there; for conv and linear NULL = the step chooses. */
    const struct ei_dnnl_layout *in_layout, *out_layout;
    /* Square; the far padding follows from the sizes. kernel_px 0: a pool over the whole picture. */
    int32_t kernel_px, stride_px, padding_px;
    const float *weight, *bias; /* packed by step_create; bias may be NULL */
    /* Which implementation, conv and linear: by its name (step_kernel); NULL = the first choice (oneDNN's, or one
     * product: im2col.h), or, with option n > 0, the n-th of the others that may be faster, so that they can be tried.
     * Not there: EINET_E_MISMATCH. */
    const char *kernel;
    int32_t option;
    int32_t has_winograd;              /* options: also those that multiply transformed tiles, which round otherwise */
    const struct ei_dnnl_store *store; /* NULL = the step holds its weights itself */
    int32_t has_relu;                  /* conv, linear */
    int32_t has_sum;                   /* conv: the result is added to what `out` holds, then the ReLU */
};

enum ei_dnnl_memory { EI_DNNL_IN, EI_DNNL_OUT };

struct ei_dnnl_api {
    int32_t abi;         /* EI_DNNL_ABI of the plug-in's build */
    const char *version; /* of oneDNN, static */

    /* Text of this thread's last error; "" when none. Valid until the thread's next call. */
    const char *(*error_text)(void);
    /* Threads inside a step, of the calling thread's steps: for step_create, which fixes them, and for step_run. */
    int (*thread_enter)(int32_t threads);

    /* Channels in blocks of `block`; 1 = one after the other; or EI_DNNL_CHANNELS_LAST. */
    int (*layout_create)(const struct ei_dnnl_shape *, enum ei_dnnl_type, int32_t block, struct ei_dnnl_layout **out);
    void (*layout_destroy)(struct ei_dnnl_layout *); /* NULL is fine */
    int (*layout_is_equal)(const struct ei_dnnl_layout *, const struct ei_dnnl_layout *);
    int64_t (*layout_bytes)(const struct ei_dnnl_layout *);
    int32_t (*layout_block)(const struct ei_dnnl_layout *); /* the same; 0 = another order */

    int (*step_create)(const struct ei_dnnl_step_config *, struct ei_dnnl_step **out);
    void (*step_destroy)(struct ei_dnnl_step *);                                                   /* NULL is fine */
    const struct ei_dnnl_layout *(*step_layout)(const struct ei_dnnl_step *, enum ei_dnnl_memory); /* borrowed */
    int64_t (*step_scratch_bytes)(const struct ei_dnnl_step *);
    int64_t (*step_weight_bytes)(const struct ei_dnnl_step *); /* packed weights that it holds */
    /* Name of the implementation, borrowed: oneDNN's, behind "im2col+" where a convolution is one product. */
    const char *(*step_kernel)(const struct ei_dnnl_step *);
    /* scratch may be NULL where there is none. Memory must be writable now. */
    int (*step_bind)(struct ei_dnnl_step *, void *in, void *out, void *scratch);
    int (*step_run)(const struct ei_dnnl_step *);
};

#endif
