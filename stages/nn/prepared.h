/* A layer program as prepared steps on oneDNN: everything is decided and allocated once, a run only executes.
 *
 * The steps of fuse.h become primitives with packed weights, in the layouts they like; a reorder stands where two
 * layouts differ. All activations lie in one arena: what is not needed at the same time shares memory, what a later
 * part or a repeated branch reads is kept. One thread at a time.
 */
#ifndef STAGES_NN_PREPARED_H
#define STAGES_NN_PREPARED_H

#include "stages/dnnl/dnnl.h"
#include "stages/nn/program.h"

#include <einet/attributes.h>
#include <einet/error.h>
#include <stdbool.h>
#include <stddef.h>

struct ei_prepared; /* opaque */

#define EI_PREPARED_KERNEL_MAX 48
#define EI_PREPARED_KERNEL_BFLOAT16 "bfloat16" /* oneDNN's first kernel on 16-bit numbers, in a network of float32 */

#define EI_PREPARED_OPTION_BFLOAT16 (-1)

/* Which kernels a measurement may try. Each allows the former, too. */
enum ei_prepared_allow {
    EI_PREPARED_EXACT,    /* those that multiply the numbers as they are */
    EI_PREPARED_WINOGRAD, /* transformed tiles: fewer products, other rounding */
    EI_PREPARED_BFLOAT16  /* 16-bit numbers */
};

/* One value at the seam: plain float32, channels first. */
struct ei_prepared_crossing {
    int32_t slot;          /* of the program */
    struct ei_shape shape; /* height and width 0: features */
    int64_t count;         /* numbers */
    float *numbers;        /* in the arena */
};

/* What goes into a part that somebody else runs, and what comes out of it. */
struct ei_prepared_exchange {
    int32_t in_count, out_count;
    struct ei_prepared_crossing ins[EI_PROGRAM_SLOTS_MAX], outs[EI_PROGRAM_SLOTS_MAX];
};

/* Parts that somebody else runs. run returns 0 or a negative code, which ei_prepared_run passes on. */
struct ei_prepared_foreign {
    const bool *is_foreign; /* [2 * block + (branch ? 1 : 0)] */
    int (*run)(void *context, int32_t block_idx, bool branch, const struct ei_prepared_exchange *exchange);
    void *context;
};

struct ei_prepared_config {
    const struct ei_program *program; /* checked; copied */
    const float *const *params;       /* numbers of each parameter in walking order; copied */
    enum ei_dnnl_type type;           /* of weights and activations; input and logits are float32 */
    /* Kernel of each operation of the program, [op_count], as ei_prepared_kernel says; "" = first choice, which is
     * oneDNN's first one or prepared_small.h. NULL = "" for all. */
    const char (*kernels)[EI_PREPARED_KERNEL_MAX];
    /* n > 0: instead, the n-th of the other kernels wherever there are that many, to be measured; or
     * EI_PREPARED_OPTION_BFLOAT16. */
    int32_t option;
    enum ei_prepared_allow allow;
    int32_t threads; /* of the calling thread's thread_enter; 0 = 1 */
    /* From how many bytes of weights on convolutions of small pictures are our own (prepared_small.h); 0 = 1 MiB. */
    int64_t small_from_bytes;
    const struct ei_prepared_foreign *foreign; /* copied; NULL = all parts are run here */
    int32_t *out_refused_part; /* may be NULL; after an error the part that it is about, as in is_foreign; -1 = none */
};

struct ei_prepared_stats {
    int64_t arena_bytes, scratch_bytes, weight_bytes;
    int32_t steps, reorders; /* of the whole network */
};

/* Prepare a network, for the threads of the calling thread's thread_enter. Returns 0; EINET_E_USAGE (an operation that
 * steps cannot express, named); EINET_E_BACKEND (oneDNN refused, the operation named); EINET_E_MISMATCH (there is no
 * such kernel, operation and kernel named); -ENOMEM. */
int ei_prepared_create(const struct ei_dnnl_api *api, const struct ei_prepared_config *config, struct ei_prepared **out,
                       struct einet_error *err);

/* Where the input goes before block 1, float [channels * height * width], channels first. */
EINET_RT float *ei_prepared_input(struct ei_prepared *net);

/* Run a part. Returns 0 or EINET_E_BACKEND; the api's error_text says why. oneDNN allocates. */
EINET_RT_SUBMIT int ei_prepared_run(struct ei_prepared *net, int32_t block_idx, bool branch);

/* The same, adding each operation's time to op_ns [op_count of the program]; what a reorder before it took is its. */
int ei_prepared_run_timed(struct ei_prepared *net, int32_t block_idx, bool branch, int64_t *op_ns);

/* The kernel that was chosen for an operation, to be asked for again; "" where it is the first choice. */
const char *ei_prepared_kernel(const struct ei_prepared *net, int32_t op_idx);

/* Logits of the branch that ran last, float [classes]. */
EINET_RT const float *ei_prepared_logits(const struct ei_prepared *net, int32_t block_idx);

void ei_prepared_stats(const struct ei_prepared *net, struct ei_prepared_stats *out);

/* What each step of a part is, one line each, "conv2d+norm+relu 64x32x32 jit:avx512_core"; for reports. idx from 0;
 * returns false behind the last. */
bool ei_prepared_describe(const struct ei_prepared *net, int32_t idx, char *out, size_t size_bytes);

void ei_prepared_destroy(struct ei_prepared *net); /* NULL is fine */

#endif
