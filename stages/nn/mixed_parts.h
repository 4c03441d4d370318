/* The parts of a dnnl network that oneDNN does not run, on libtorch.
 *
 * Each part takes its values from the seam (prepared.h), runs on an executor and gives its results back, so that
 * nothing of it stays in libtorch between parts: a branch may be left out, a job cut. One thread at a time.
 */
#ifndef STAGES_NN_MIXED_PARTS_H
#define STAGES_NN_MIXED_PARTS_H

#include "stages/nn/exec.h"
#include "stages/nn/network.h"
#include "stages/nn/prepared.h"

struct ei_mixed; /* opaque */

struct ei_mixed_config {
    const struct ei_program *program; /* checked */
    struct ei_exec *exec;             /* with the program's scripts; NULL = one is made, when there are none */
    const bool *is_foreign;           /* [EI_FUSED_PARTS_MAX]: the parts to run; only their parameters are held */
    const float *const *params;       /* numbers of each parameter in walking order; copied */
    enum ei_network_precision precision;
    int32_t threads;
};

/* exec is taken over, also on error. Returns 0, EINET_E_BACKEND (libtorch or its plug-in missing, or it refused) or
 * -ENOMEM. Not real-time safe. */
int ei_mixed_create(const struct ei_mixed_config *config, struct ei_mixed **out, struct einet_error *err);

/* Once in each thread that runs parts. Returns 0 or EINET_E_BACKEND. */
int ei_mixed_thread_enter(struct ei_mixed *mixed);

/* Run a part; context: the struct ei_mixed. As ei_prepared_foreign wants it. libtorch allocates. Returns 0 or
 * EINET_E_BACKEND. */
EINET_RT_SUBMIT int ei_mixed_run(void *context, int32_t block_idx, bool branch,
                                 const struct ei_prepared_exchange *exchange);

/* What libtorch said about this thread's last failed call. */
const char *ei_mixed_fault_text(const struct ei_mixed *mixed);

void ei_mixed_destroy(struct ei_mixed *mixed); /* NULL is fine */

#endif
