/* The `dnnl` backend's parts, shared by the ways to load a network: network_dnnl.c (running), network_load.c (zoo) and
 * bundle_network.c (bundles).
 */
#ifndef STAGES_NN_NETWORK_DNNL_H
#define STAGES_NN_NETWORK_DNNL_H

#include "stages/nn/exec.h"
#include "stages/nn/network.h"
#include "stages/nn/network_params.h"
#include "stages/nn/program.h"

/* A network of a checked program. source gives its parameters, which are packed and not kept. info is copied, its
 * backend set. Parts with an operation that oneDNN does not run are libtorch's (mixed_parts.h); backend_note names them
 * behind what it says already. choice: of kernels, may be NULL. exec: executor of the program with its scripts, for
 * parts of libtorch, taken over also on error; NULL when the program has no scripts. Returns 0, EINET_E_USAGE (threads,
 * or an operation that oneDNN does not run, named, when nothing worth its while is left), EINET_E_BACKEND (no oneDNN
 * here, or it refused, or a part is libtorch's and that is missing), EINET_E_MISMATCH (a choice of other weights, or of
 * a kernel or operation that there is not), what source returned, or -ENOMEM. */
int ei_network_dnnl_create(const struct ei_program *program, const struct ei_network_info *info, int32_t threads,
                           const struct ei_param_source *source, const struct ei_network_choice *choice,
                           struct ei_exec *exec, struct ei_network **out, struct einet_error *err);

/* Whether AUTO may go on with aten after dnnl returned rc: weights that are wrong are wrong for both. */
bool ei_network_may_fall_back(enum ei_network_backend_kind wanted, int rc);

#endif
