/* TorchScript parts of a bundle that are nothing but a chain of known layers, as these layers, so that oneDNN can run
 * them. Set-up only; calls libtorch.
 */
#ifndef STAGES_NN_BUNDLE_LAYERS_H
#define STAGES_NN_BUNDLE_LAYERS_H

#include "stages/nn/bundle.h"
#include "stages/nn/network_params.h"

struct ei_bundle_layers {
    const struct ei_torch_api *api;
    struct ei_program
        program;              /* with layers for scripts, the scripts that are left renumbered; open, as the bundle's */
    struct ei_program source; /* the bundle's own: the weights file is named after it */
    struct ei_torch_chain *chains[EI_PROGRAM_SCRIPTS_MAX]; /* of the source's scripts; NULL = stays a script */
    int32_t source_op[EI_PROGRAM_OPS_MAX];                 /* of each operation of program; -1 = it came from a chain */
    int32_t chain_idx[EI_PROGRAM_OPS_MAX], layer_idx[EI_PROGRAM_OPS_MAX]; /* there; -1 = none */
    int32_t taken_count;                                                  /* scripts that became layers */
};

/* Take apart what can be. A script that cannot be read stays one: who loads it says why. Returns 0 (taken_count may be
 * 0), EINET_E_USAGE (the path) or -ENOMEM. Whoever uses the result checks that it gives what the scripts give: a chain
 * is read from what each call returns, and a module may do more than that. */
int ei_bundle_layers_create(const char *dir, const struct ei_torch_api *api, const struct ei_program *source,
                            struct ei_bundle_layers **out, struct einet_error *err);

/* Give every parameter of `program`, which has been resolved by now, to a sink: those of the source from `source`, the
 * others from the scripts. Returns 0, EINET_E_BACKEND, -ENOMEM, or what source or sink returned. */
int ei_bundle_layers_load(struct ei_bundle_layers *layers, const struct ei_program *resolved,
                          const struct ei_param_source *source, const struct ei_param_sink *sink,
                          struct einet_error *err);

void ei_bundle_layers_destroy(struct ei_bundle_layers *layers); /* NULL is fine */

#endif
