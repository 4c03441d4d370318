/* The TorchScript section of the table in torch.h. */
#ifndef STAGES_TORCH_SCRIPT_H
#define STAGES_TORCH_SCRIPT_H

#include "stages/torch/torch.h"

namespace einet
{

int script_load(const char *path, ei_torch_script **out) noexcept;
void script_destroy(ei_torch_script *script) noexcept;
int script_save(const ei_torch_script *script, const char *path) noexcept;
int script_param_count(const ei_torch_script *script, int64_t *out_count) noexcept;
int script_forward(ei_torch_script *script, ei_torch_in x, ei_torch_out out) noexcept;
int script_chain(const ei_torch_script *script, ei_torch_chain **out) noexcept;
void chain_destroy(ei_torch_chain *chain) noexcept;
int32_t chain_count(const ei_torch_chain *chain) noexcept;
int chain_layer(const ei_torch_chain *chain, int32_t idx, ei_torch_layer *out) noexcept;
int chain_tensor(const ei_torch_chain *chain, int32_t idx, enum ei_torch_layer_tensor which, ei_torch_out out) noexcept;
int chain_script(const ei_torch_chain *chain, int32_t idx, ei_torch_script **out) noexcept;

} // namespace einet

#endif
