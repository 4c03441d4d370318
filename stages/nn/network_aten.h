/* The `aten` backend's parts, shared by the ways to load a network: network_aten.c (running), network_load.c (zoo),
 * bundle_network.c (bundles) and recorded.c (either, on a CUDA device).
 */
#ifndef STAGES_NN_NETWORK_ATEN_H
#define STAGES_NN_NETWORK_ATEN_H

#include "stages/nn/exec.h"
#include "stages/nn/network.h"
#include "stages/nn/network_params.h"

/* A network around an executor whose parameters and scripts are set. exec is taken over, also on error; info is copied.
 * Returns 0, EINET_E_USAGE (threads), EINET_E_BACKEND or -ENOMEM. */
int ei_network_aten_create(const struct ei_torch_api *api, struct ei_exec *exec, const struct ei_network_info *info,
                           int32_t threads, struct ei_network **out, struct einet_error *err);

/* Give every parameter of exec its numbers. Returns what source returned. */
int ei_network_aten_load(struct ei_exec *exec, const struct ei_param_source *source, struct einet_error *err);

/* What convolutions and linear layers multiply with becomes bfloat16 once, so that no call converts it; batch norms
 * keep float32, of which they have little. Returns 0 or EINET_E_BACKEND. */
int ei_network_aten_narrow(const struct ei_torch_api *api, struct ei_exec *exec, struct einet_error *err);

/* Name, shape and cost of a program as a network's facts; data set, hash, normalisation and accuracies are left. */
void ei_network_describe(const struct ei_program *program, struct ei_network_info *out);

#endif
