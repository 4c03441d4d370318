/* What script.cpp and chain.cpp share: the module behind a handle, and the wall that makes its faults readable. */
#ifndef STAGES_TORCH_SCRIPT_MODULE_H
#define STAGES_TORCH_SCRIPT_MODULE_H

#include "stages/torch/guarded.h"
#include "stages/torch/torch.h"

#include <stdexcept>
#include <torch/script.h>

struct ei_torch_script {
    torch::jit::Module module;
    at::Device device = at::kCPU;
    bool works_in_place = false;
};

namespace einet
{

/* The interpreter wraps a fault into a trace of the module's source; the last line that names an error is the fault. */
std::string essence(const std::string &text);

template <typename Body> int guarded_script(Body body) noexcept
{
    return guarded([&] {
        try {
            body();
        } catch (const c10::Error &e) {
            throw std::runtime_error(essence(e.what_without_backtrace()));
        } catch (const std::bad_alloc &) {
            throw;
        } catch (const std::exception &e) {
            throw std::runtime_error(essence(e.what()));
        }
    });
}

/* Take a module over: evaluation mode, nothing to train. Throws when its forward is not of one tensor. */
ei_torch_script *make_script(const torch::jit::Module &module);

} // namespace einet

#endif
