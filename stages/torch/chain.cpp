/* Taking a TorchScript module apart into a chain of layers.
 *
 * This reads graphs, not class names, so that traced and scripted modules are alike: a child is frozen into a graph of
 * its own, whose operations then say which layers it is. What is not known stays a module.
 */
#include "stages/torch/script.h"
#include "stages/torch/script_module.h"

#include <cstdio>
#include <memory>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <vector>

namespace einet
{

struct chain_link {
    ei_torch_layer layer = {};
    at::Tensor tensor[4];
    torch::jit::Module module;
};

} // namespace einet

struct ei_torch_chain {
    std::vector<einet::chain_link> links;
};

namespace einet
{
namespace
{

using torch::jit::Module;
using torch::jit::Node;
using torch::jit::Value;

/* ---- recognising layers ---- */

/* A constant of the graph, also one in a list of constants. */
c10::optional<torch::jit::IValue> constant_of(const Value *value)
{
    return torch::jit::toIValue(value);
}

/* One number for both directions: [3, 3] or 3; -1 = something else. */
int32_t square_of(const Value *value)
{
    std::vector<int64_t> numbers;
    if (value->node()->kind() == c10::prim::ListConstruct) {
        for (const Value *element : value->node()->inputs()) {
            const auto constant = constant_of(element);
            if (!constant.has_value() || !constant->isInt()) {
                return -1;
            }
            numbers.push_back(constant->toInt());
        }
    } else {
        const auto constant = constant_of(value);
        if (constant.has_value() && constant->isIntList()) {
            numbers = constant->toIntVector();
        }
    }
    const bool is_square = !numbers.empty() && numbers.size() <= 2 && numbers.front() == numbers.back();
    return is_square && numbers[0] >= 0 && numbers[0] < 65536 ? static_cast<int32_t>(numbers[0]) : -1;
}

bool is_empty_list(const Value *value)
{
    const auto constant = constant_of(value);
    return constant.has_value() ? constant->isIntList() && constant->toIntVector().empty()
                                : value->node()->kind() == c10::prim::ListConstruct && value->node()->inputs().empty();
}

bool is_bool(const Value *value, bool wanted)
{
    const auto constant = constant_of(value);
    return constant.has_value() && constant->isBool() && constant->toBool() == wanted;
}

bool is_int(const Value *value, int64_t wanted)
{
    const auto constant = constant_of(value);
    return constant.has_value() && constant->isInt() && constant->toInt() == wanted;
}

float float_of(const Value *value)
{
    const auto constant = constant_of(value);
    return constant.has_value() && constant->isDouble() ? static_cast<float>(constant->toDouble()) : -1.0F;
}

/* A float tensor of the graph; undefined when it is none. */
at::Tensor tensor_of(const Value *value)
{
    const auto constant = constant_of(value);
    const bool is_tensor = constant.has_value() && constant->isTensor() && constant->toTensor().defined();
    return is_tensor && constant->toTensor().scalar_type() == at::kFloat ? constant->toTensor() : at::Tensor();
}

bool is_none(const Value *value)
{
    const auto constant = constant_of(value);
    return constant.has_value() && (constant->isNone() || (constant->isTensor() && !constant->toTensor().defined()));
}

void set_op(chain_link &out, const char *op)
{
    std::snprintf(out.layer.op, sizeof out.layer.op, "%s", op);
}

/* Weight and bias of a convolution or linear layer. */
bool take_weight(const Node *node, chain_link &out)
{
    out.tensor[EI_TORCH_WEIGHT] = tensor_of(node->input(1));
    out.tensor[EI_TORCH_BIAS] = tensor_of(node->input(2));
    out.layer.bias = out.tensor[EI_TORCH_BIAS].defined() ? 1 : 0;
    const at::Tensor &weight = out.tensor[EI_TORCH_WEIGHT];
    if (!weight.defined() || (out.layer.bias == 0 && !is_none(node->input(2)))) {
        return false;
    }
    out.layer.out_channels = static_cast<int32_t>(weight.size(0));
    out.layer.in_channels = static_cast<int32_t>(weight.size(1));
    return true;
}

bool take_conv(const Node *node, bool is_general, chain_link &out)
{
    set_op(out, "conv2d");
    if (!take_weight(node, out) || out.tensor[EI_TORCH_WEIGHT].dim() != 4) {
        return false;
    }
    const at::Tensor &weight = out.tensor[EI_TORCH_WEIGHT];
    out.layer.kernel_px = static_cast<int32_t>(weight.size(2));
    out.layer.stride_px = square_of(node->input(3));
    out.layer.padding_px = square_of(node->input(4));
    return weight.size(2) == weight.size(3) && out.layer.stride_px >= 1 && out.layer.padding_px >= 0 &&
           square_of(node->input(5)) == 1 && is_int(node->input(is_general ? 8 : 6), 1) &&
           (!is_general || is_bool(node->input(6), false));
}

bool take_batch_norm(const Node *node, chain_link &out)
{
    set_op(out, "batch_norm");
    out.tensor[EI_TORCH_RUNNING_MEAN] = tensor_of(node->input(3));
    out.tensor[EI_TORCH_RUNNING_VAR] = tensor_of(node->input(4));
    const at::Tensor &mean = out.tensor[EI_TORCH_RUNNING_MEAN];
    if (!mean.defined() || !out.tensor[EI_TORCH_RUNNING_VAR].defined() || !is_bool(node->input(5), false)) {
        return false;
    }
    out.tensor[EI_TORCH_WEIGHT] = is_none(node->input(1)) ? at::ones_like(mean) : tensor_of(node->input(1));
    out.tensor[EI_TORCH_BIAS] = is_none(node->input(2)) ? at::zeros_like(mean) : tensor_of(node->input(2));
    out.layer.in_channels = out.layer.out_channels = static_cast<int32_t>(mean.numel());
    out.layer.momentum = float_of(node->input(6));
    out.layer.eps = float_of(node->input(7));
    return out.tensor[EI_TORCH_WEIGHT].defined() && out.tensor[EI_TORCH_BIAS].defined() && out.layer.momentum >= 0.0F &&
           out.layer.eps > 0.0F;
}

bool take_pool(const Node *node, bool is_max, chain_link &out)
{
    set_op(out, is_max ? "max_pool" : "avg_pool");
    const Value *ceil_mode = node->input(is_max ? 5 : 4);
    out.layer.kernel_px = square_of(node->input(1));
    out.layer.stride_px = is_empty_list(node->input(2)) ? out.layer.kernel_px : square_of(node->input(2));
    out.layer.padding_px = square_of(node->input(3));
    out.layer.ceil_mode = is_bool(ceil_mode, true) ? 1 : 0;
    if (out.layer.kernel_px < 1 || out.layer.stride_px < 1 || out.layer.padding_px < 0 ||
        (out.layer.ceil_mode == 0 && !is_bool(ceil_mode, false))) {
        return false;
    }
    return is_max ? square_of(node->input(4)) == 1 : is_bool(node->input(5), true) && is_none(node->input(6));
}

/* x.view(x.size(0), -1), the flatten of older code. */
bool is_flattening_view(const Node *node)
{
    const Node *list = node->input(1)->node();
    if (list->kind() != c10::prim::ListConstruct || list->inputs().size() != 2 || !is_int(list->input(1), -1)) {
        return false;
    }
    const Node *size = list->input(0)->node();
    while (size->kind() == c10::Symbol::fromQualString("prim::NumToTensor") ||
           size->kind() == c10::Symbol::fromQualString("aten::Int")) {
        size = size->input(0)->node();
    }
    return size->kind() == c10::aten::size && size->input(0) == node->input(0) && size->inputs().size() == 2 &&
           is_int(size->input(1), 0);
}

/* What an operation on one tensor, its first input, is. */
bool recognise(const Node *node, chain_link &out)
{
    const std::string kind = node->kind().toQualString();
    const size_t inputs = node->inputs().size();
    if (kind == "aten::conv2d" && inputs == 7) {
        return take_conv(node, false, out);
    }
    if (kind == "aten::_convolution" && inputs >= 12) {
        return take_conv(node, true, out);
    }
    if (kind == "aten::batch_norm" && inputs == 9) {
        return take_batch_norm(node, out);
    }
    if (kind == "aten::linear" && inputs == 3) {
        set_op(out, "linear");
        return take_weight(node, out) && out.tensor[EI_TORCH_WEIGHT].dim() == 2;
    }
    if (kind == "aten::max_pool2d" && inputs == 6) {
        return take_pool(node, true, out);
    }
    if (kind == "aten::avg_pool2d" && inputs == 7) {
        return take_pool(node, false, out);
    }
    if (kind == "aten::adaptive_avg_pool2d" && inputs == 2) {
        set_op(out, "global_avg_pool");
        return square_of(node->input(1)) == 1;
    }
    if (kind == "aten::relu" || kind == "aten::relu_") {
        set_op(out, "relu");
        return true;
    }
    if ((kind == "aten::dropout" || kind == "aten::dropout_") && inputs == 3) {
        set_op(out, "dropout");
        out.layer.p = float_of(node->input(1));
        return out.layer.p >= 0.0F && out.layer.p < 1.0F && is_bool(node->input(2), false);
    }
    if (kind == "aten::flatten" && inputs == 3) {
        set_op(out, "flatten");
        return is_int(node->input(1), 1) && is_int(node->input(2), -1);
    }
    if ((kind == "aten::view" || kind == "aten::reshape") && inputs == 2) {
        set_op(out, "flatten");
        return is_flattening_view(node);
    }
    return false;
}

/* ---- taking apart ---- */

void set_names(chain_link &out, const std::string &path, const std::string &type)
{
    std::snprintf(out.layer.name, sizeof out.layer.name, "%s", path.c_str());
    std::snprintf(out.layer.type, sizeof out.layer.type, "%s", type.c_str());
}

std::string type_of(const Module &module)
{
    const auto name = module.type()->name();
    return name.has_value() ? name->name() : "module";
}

/* A module as known operations only, read backwards from the result of its frozen graph; empty when it is more. */
bool read_frozen(const Module &module, const std::string &path, std::vector<chain_link> &out)
{
    const Module frozen = torch::jit::freeze_module(module);
    const auto graph = torch::jit::toGraphFunction(frozen.get_method("forward").function()).graph();
    std::vector<chain_link> found;
    const Value *value = graph->outputs().size() == 1 ? graph->outputs()[0] : nullptr;
    while (value != nullptr && value != graph->inputs()[1]) {
        chain_link next;
        const Node *node = value->node();
        if (node->inputs().empty() || !recognise(node, next)) {
            return false;
        }
        set_names(next, path, type_of(module));
        found.push_back(next);
        value = node->input(0);
    }
    if (value == nullptr) {
        return false;
    }
    if (found.empty()) {
        chain_link nothing;
        set_op(nothing, "identity");
        set_names(nothing, path, type_of(module));
        found.push_back(nothing);
    }
    out.insert(out.end(), found.rbegin(), found.rend());
    return true;
}

/* The module that a value of the graph stands for: self, or an attribute of one. */
Module module_of(const Value *value, const Value *self, const Module &root, std::string &path)
{
    if (value == self) {
        return root;
    }
    const Node *node = value->node();
    TORCH_CHECK(node->kind() == c10::prim::GetAttr, "a module of its forward is computed");
    const Module parent = module_of(node->input(0), self, root, path);
    path += (path.empty() ? "" : ".") + node->s(c10::attr::name);
    return parent.attr(node->s(c10::attr::name)).toModule();
}

void take_apart(const Module &module, const std::string &path, std::vector<chain_link> &out);

/* A module's forward as calls of its children and known functions; false = it is no such chain. */
bool read_calls(const Module &module, const std::string &path, std::vector<chain_link> &out)
{
    const auto graph = torch::jit::toGraphFunction(module.get_method("forward").function()).graph();
    std::vector<const Node *> calls;
    const Value *value = graph->outputs().size() == 1 ? graph->outputs()[0] : nullptr;
    while (value != nullptr && value != graph->inputs()[1]) {
        const Node *node = value->node();
        const bool is_call = node->kind() == c10::prim::CallMethod && node->inputs().size() == 2 &&
                             node->s(c10::attr::name) == "forward";
        chain_link ignored;
        if (!is_call && (node->inputs().empty() || !recognise(node, ignored))) {
            return false;
        }
        calls.push_back(node);
        value = node->input(is_call ? 1 : 0);
    }
    if (value == nullptr || calls.empty()) {
        return false;
    }
    for (auto call = calls.rbegin(); call != calls.rend(); ++call) {
        std::string child_path = path;
        if ((*call)->kind() == c10::prim::CallMethod) {
            const Module child = module_of((*call)->input(0), graph->inputs()[0], module, child_path);
            take_apart(child, child_path, out);
        } else {
            chain_link next;
            recognise(*call, next);
            set_names(next, path, (*call)->kind().toQualString());
            out.push_back(next);
        }
    }
    return true;
}

void take_apart(const Module &module, const std::string &path, std::vector<chain_link> &out)
{
    const bool has_children = module.children().size() > 0;
    if ((has_children && read_calls(module, path, out)) || read_frozen(module, path, out)) {
        return;
    }
    TORCH_CHECK(!path.empty(), "its forward calls more than one child or function on the result of the last");
    chain_link opaque;
    set_names(opaque, path, type_of(module));
    opaque.module = module;
    out.push_back(opaque);
}

const chain_link &link_at(const ei_torch_chain *chain, int32_t idx)
{
    return chain->links.at(static_cast<size_t>(idx));
}

} // namespace

int script_chain(const ei_torch_script *script, ei_torch_chain **out) noexcept
{
    return guarded_script([&] {
        const c10::InferenceMode off(false);
        auto chain = std::make_unique<ei_torch_chain>();
        take_apart(script->module, "", chain->links);
        *out = chain.release();
    });
}

void chain_destroy(ei_torch_chain *chain) noexcept
{
    delete chain;
}

int32_t chain_count(const ei_torch_chain *chain) noexcept
{
    return static_cast<int32_t>(chain->links.size());
}

int chain_layer(const ei_torch_chain *chain, int32_t idx, ei_torch_layer *out) noexcept
{
    return guarded_script([&] { *out = link_at(chain, idx).layer; });
}

int chain_tensor(const ei_torch_chain *chain, int32_t idx, enum ei_torch_layer_tensor which, ei_torch_out out) noexcept
{
    return guarded_script([&] {
        const at::Tensor &tensor = link_at(chain, idx).tensor[which];
        TORCH_CHECK(tensor.defined(), "layer ", idx, " has no such tensor");
        out->value = tensor.detach().clone().contiguous();
    });
}

int chain_script(const ei_torch_chain *chain, int32_t idx, ei_torch_script **out) noexcept
{
    return guarded_script([&] {
        const chain_link &found = link_at(chain, idx);
        TORCH_CHECK(found.layer.op[0] == '\0', "layer ", idx, " is no module of its own");
        const c10::InferenceMode off(false);
        *out = make_script(found.module);
    });
}

} // namespace einet
