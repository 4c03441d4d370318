/* TorchScript modules: load, run, save.
 *
 * A module is always in evaluation mode and its weights are frozen. To be used in training as in inference it is loaded
 * outside of inference mode, whatever the calling thread is in. libtorch's profiling executor compiles anew in the
 * second and third call, which no deadline survives, so modules run on the executor without it.
 */
#include "stages/torch/script.h"

#include "stages/torch/script_module.h"

#include <memory>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

namespace einet
{
namespace
{

bool has_in_place(const torch::jit::Block *block)
{
    for (const torch::jit::Node *node : block->nodes()) {
        const auto *schema = node->maybeSchema();
        if (schema != nullptr && schema->is_mutable()) {
            return true;
        }
        for (const auto *inner : node->blocks()) {
            if (has_in_place(inner)) {
                return true;
            }
        }
    }
    return false;
}

} // namespace

std::string essence(const std::string &text)
{
    static const char mark[] = "RuntimeError: ";
    const size_t at = text.rfind(mark);
    const size_t begin = at == std::string::npos ? 0 : at + sizeof mark - 1;
    return text.substr(begin, text.find('\n', begin) - begin);
}

ei_torch_script *make_script(const torch::jit::Module &module)
{
    auto script = std::make_unique<ei_torch_script>();
    script->module = module;
    script->module.eval();
    for (const at::Tensor &parameter : script->module.parameters()) {
        parameter.requires_grad_(false);
    }
    const auto forward = script->module.find_method("forward");
    TORCH_CHECK(forward.has_value(), "it has no forward");
    const auto &schema = forward->function().getSchema();
    TORCH_CHECK(schema.arguments().size() == 2, "its forward takes ", schema.arguments().size() - 1,
                " arguments, not one tensor");
    const auto graph = torch::jit::toGraphFunction(forward->function()).graph()->copy();
    torch::jit::Inline(*graph);
    script->works_in_place = has_in_place(graph->block());
    return script.release();
}

int script_load(const char *path, ei_torch_script **out) noexcept
{
    return guarded_script([&] {
        torch::jit::getProfilingMode() = false;
        const c10::InferenceMode off(false);
        *out = make_script(torch::jit::load(path, at::kCPU));
    });
}

void script_destroy(ei_torch_script *script) noexcept
{
    delete script;
}

int script_save(const ei_torch_script *script, const char *path) noexcept
{
    return guarded_script([&] { script->module.save(path); });
}

int script_param_count(const ei_torch_script *script, int64_t *out_count) noexcept
{
    return guarded_script([&] {
        int64_t count = 0;
        for (const at::Tensor &parameter : script->module.parameters()) {
            count += parameter.numel();
        }
        *out_count = count;
    });
}

int script_forward(ei_torch_script *script, ei_torch_in x, ei_torch_out out) noexcept
{
    return guarded_script([&] {
        TORCH_CHECK(script != nullptr, "the TorchScript part was not loaded");
        TORCH_CHECK(x->value.defined(), "it has no input");
        if (x->value.device() != script->device) {
            script->module.to(x->value.device());
            script->device = x->value.device();
        }
        /* In bfloat16 activations arrive narrow; the module's weights are float32. */
        at::Tensor input = x->value.to(at::kFloat);
        if (script->works_in_place && input.is_same(x->value)) {
            input = input.clone();
        }
        const torch::jit::IValue y = script->module.forward({input});
        TORCH_CHECK(y.isTensor(), "it returns ", y.tagKind(), ", not one tensor");
        out->value = y.toTensor();
    });
}

} // namespace einet
