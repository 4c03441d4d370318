/* libeinet_torch.so: the table of torch.h over libtorch, from Debian's 1.13 to PyTorch 2.11.
 *
 * Every entry catches everything, keeps the text for its thread and returns a code; nothing crosses as an exception.
 * libtorch's gradient mode and thread count are thread-local, so thread_enter sets both.
 */
#include "stages/torch/torch.h"

#include "stages/torch/guarded.h"
#include "stages/torch/lrn.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <cmath>
#include <cstring>
#include <memory>
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>

thread_local std::string einet::last_error;

namespace
{

using einet::guarded;

thread_local std::unique_ptr<c10::InferenceMode> inference;
thread_local at::ScalarType op_type = at::kFloat;

const char *error_text() noexcept
{
    return einet::last_error.c_str();
}

at::IntArrayRef shape_of(const int64_t *shape, int32_t dims)
{
    TORCH_CHECK(dims >= 0 && dims <= EI_TORCH_DIMS_MAX, "a tensor has 0 to ", EI_TORCH_DIMS_MAX, " dimensions");
    return at::IntArrayRef(shape, static_cast<size_t>(dims));
}

int thread_enter(enum ei_torch_mode mode, int32_t threads) noexcept
{
    return guarded([&] {
        TORCH_CHECK(threads >= 1, "a thread count is at least 1");
        if (at::get_num_threads() != threads) {
            at::set_num_threads(threads);
        }
        if (mode == EI_TORCH_INFERENCE) {
            if (inference == nullptr) {
                inference = std::make_unique<c10::InferenceMode>(true);
            }
        } else {
            inference.reset();
        }
    });
}

int seed(uint64_t value) noexcept
{
    return guarded([&] { at::manual_seed(value); });
}

/* ---- tensors ---- */

int tensor_create(ei_torch_tensor **out) noexcept
{
    return guarded([&] { *out = new ei_torch_tensor(); });
}

void tensor_destroy(ei_torch_tensor *tensor) noexcept
{
    delete tensor;
}

void tensor_clear(ei_torch_out out) noexcept
{
    out->value.reset();
}

int tensor_from_f32(ei_torch_out out, const float *data, const int64_t *shape, int32_t dims) noexcept
{
    return guarded([&] {
        at::Tensor t = at::empty(shape_of(shape, dims), at::kFloat);
        std::memcpy(t.data_ptr<float>(), data, static_cast<size_t>(t.numel()) * sizeof(float));
        out->value = t;
    });
}

int tensor_read_f32(ei_torch_in in, float *out_data, int64_t count) noexcept
{
    return guarded([&] {
        TORCH_CHECK(in->value.defined() && in->value.numel() == count, "reading ", count, " of ",
                    in->value.defined() ? in->value.numel() : 0, " numbers");
        const at::Tensor t = in->value.detach().to(at::kFloat).contiguous();
        std::memcpy(out_data, t.data_ptr<float>(), static_cast<size_t>(count) * sizeof(float));
    });
}

int tensor_write_f32(ei_torch_out out, const float *data, int64_t count) noexcept
{
    return guarded([&] {
        TORCH_CHECK(out->value.defined() && out->value.numel() == count, "writing ", count, " numbers to ",
                    out->value.defined() ? out->value.numel() : 0);
        at::Tensor target = out->value.detach();
        if (target.is_contiguous() && target.scalar_type() == at::kFloat) {
            std::memcpy(target.data_ptr<float>(), data, static_cast<size_t>(count) * sizeof(float));
            return;
        }
        target.copy_(at::from_blob(const_cast<float *>(data), target.sizes(), at::kFloat));
    });
}

int tensor_shape(ei_torch_in in, int64_t *out_shape, int32_t *out_dims) noexcept
{
    return guarded([&] {
        TORCH_CHECK(in->value.defined() && in->value.dim() <= EI_TORCH_DIMS_MAX, "no tensor, or too many dimensions");
        for (int64_t i = 0; i < in->value.dim(); i++) {
            out_shape[i] = in->value.size(i);
        }
        *out_dims = static_cast<int32_t>(in->value.dim());
    });
}

int tensor_assign(ei_torch_out out, ei_torch_in in) noexcept
{
    return guarded([&] { out->value = in->value; });
}

int tensor_channels_last(ei_torch_out out) noexcept
{
    return guarded([&] { out->value = out->value.contiguous(at::MemoryFormat::ChannelsLast); });
}

/* ---- operations ---- */

at::Tensor defined_or_empty(ei_torch_in in)
{
    return in != nullptr ? in->value : at::Tensor();
}

/* To the type of the thread's heavy operations and, after them, back. */
at::Tensor narrowed(const at::Tensor &t)
{
    return op_type == at::kFloat || !t.defined() ? t : t.to(op_type);
}

int conv2d(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, const ei_torch_conv *config, ei_torch_out out) noexcept
{
    return guarded([&] {
        const at::Tensor y =
            at::conv2d(narrowed(x->value), narrowed(weight->value), narrowed(defined_or_empty(bias)),
                       {config->stride_px, config->stride_px}, {config->padding_px, config->padding_px});
        out->value = y.scalar_type() == at::kFloat ? y : y.to(at::kFloat);
    });
}

int linear(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, ei_torch_out out) noexcept
{
    return guarded([&] {
        out->value =
            bias != nullptr ? at::linear(x->value, weight->value, bias->value) : at::linear(x->value, weight->value);
    });
}

int relu(ei_torch_in x, ei_torch_out out) noexcept
{
    return guarded([&] { out->value = at::relu(x->value); });
}

int max_pool(ei_torch_in x, const ei_torch_pool *config, ei_torch_out out) noexcept
{
    return guarded([&] {
        out->value =
            at::max_pool2d(x->value, {config->kernel_px, config->kernel_px}, {config->stride_px, config->stride_px},
                           {config->padding_px, config->padding_px}, {1, 1}, config->ceil_mode != 0);
    });
}

int avg_pool(ei_torch_in x, const ei_torch_pool *config, ei_torch_out out) noexcept
{
    return guarded([&] {
        out->value =
            at::avg_pool2d(x->value, {config->kernel_px, config->kernel_px}, {config->stride_px, config->stride_px},
                           {config->padding_px, config->padding_px}, config->ceil_mode != 0);
    });
}

int global_avg_pool(ei_torch_in x, ei_torch_out out) noexcept
{
    return guarded([&] { out->value = at::adaptive_avg_pool2d(x->value, {1, 1}); });
}

int lrn(ei_torch_in x, const ei_torch_lrn *config, ei_torch_out out) noexcept
{
    return guarded([&] { out->value = einet::lrn(x->value, *config); });
}

int batch_norm(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, ei_torch_in mean, ei_torch_in variance,
               float momentum, float eps, int32_t training, ei_torch_out out) noexcept
{
    return guarded([&] {
        out->value = at::batch_norm(x->value, weight->value, bias->value, mean->value, variance->value, training != 0,
                                    static_cast<double>(momentum), static_cast<double>(eps), false);
    });
}

int dropout(ei_torch_in x, float p, int32_t training, ei_torch_out out) noexcept
{
    return guarded(
        [&] { out->value = training != 0 ? at::dropout(x->value, static_cast<double>(p), true) : x->value; });
}

int flatten(ei_torch_in x, ei_torch_out out) noexcept
{
    return guarded([&] { out->value = at::flatten(x->value, 1); });
}

int add(ei_torch_in a, ei_torch_in b, ei_torch_out out) noexcept
{
    return guarded([&] { out->value = at::add(a->value, b->value); });
}

int concat(ei_torch_in a, ei_torch_in b, ei_torch_out out) noexcept
{
    return guarded([&] { out->value = at::cat({a->value, b->value}, 1); });
}

/* ---- training ---- */

int precision(enum ei_torch_precision wanted) noexcept
{
    return guarded([&] { op_type = wanted == EI_TORCH_BFLOAT16 ? at::kBFloat16 : at::kFloat; });
}

int requires_grad(ei_torch_out out) noexcept
{
    return guarded([&] { out->value.requires_grad_(true); });
}

int cross_entropy(ei_torch_in logits, const int64_t *labels, int64_t n, float smoothing, ei_torch_out out) noexcept
{
    return guarded([&] {
        const at::Tensor target = at::from_blob(const_cast<int64_t *>(labels), {n}, at::kLong).clone();
        out->value = at::cross_entropy_loss(logits->value, target, {}, at::Reduction::Mean, -100,
                                            static_cast<double>(smoothing));
    });
}

int scaled_sum(ei_torch_in acc, ei_torch_in x, float factor, ei_torch_out out) noexcept
{
    return guarded([&] {
        const at::Tensor term = at::mul(x->value, static_cast<double>(factor));
        out->value = acc->value.defined() ? at::add(acc->value, term) : term;
    });
}

int backward(ei_torch_in loss) noexcept
{
    return guarded([&] { torch::autograd::backward({loss->value}, {}); });
}

int grad_read_f32(ei_torch_in param, float *out_data, int64_t count) noexcept
{
    return guarded([&] {
        const at::Tensor grad = param->value.grad();
        TORCH_CHECK(grad.defined() && grad.numel() == count, "no gradient, or not of ", count, " numbers");
        const at::Tensor t = grad.detach().contiguous();
        std::memcpy(out_data, t.data_ptr<float>(), static_cast<size_t>(count) * sizeof(float));
    });
}

int adam_step(ei_torch_out param, ei_torch_out m, ei_torch_out v, const ei_torch_adam *config) noexcept
{
    return guarded([&] {
        at::Tensor &grad = param->value.mutable_grad();
        if (!grad.defined()) {
            return;
        }
        at::NoGradGuard no_grad;
        at::Tensor w = param->value.detach();
        const double b1 = static_cast<double>(config->beta1), b2 = static_cast<double>(config->beta2);
        const double lr = static_cast<double>(config->lr), step = static_cast<double>(config->step);
        if (config->weight_decay != 0.0F) {
            w.mul_(1.0 - lr * static_cast<double>(config->weight_decay));
        }
        m->value.mul_(b1).add_(grad, 1.0 - b1);
        v->value.mul_(b2).addcmul_(grad, grad, 1.0 - b2);
        const double correction1 = 1.0 - std::pow(b1, step), correction2 = std::sqrt(1.0 - std::pow(b2, step));
        const at::Tensor denominator = v->value.sqrt().div_(correction2).add_(static_cast<double>(config->eps));
        w.addcdiv_(m->value, denominator, -lr / correction1);
        grad.reset();
    });
}

int sgd_step(ei_torch_out param, ei_torch_out momentum, const ei_torch_sgd *config) noexcept
{
    return guarded([&] {
        at::Tensor &grad = param->value.mutable_grad();
        if (!grad.defined()) {
            return;
        }
        at::NoGradGuard no_grad;
        at::Tensor w = param->value.detach();
        at::Tensor step = grad;
        const double mu = static_cast<double>(config->momentum);
        if (config->weight_decay != 0.0F) {
            step = step.add(w, static_cast<double>(config->weight_decay));
        }
        if (mu != 0.0) {
            momentum->value.mul_(mu).add_(step);
            step = config->nesterov != 0 ? step.add(momentum->value, mu) : momentum->value;
        }
        w.add_(step, -static_cast<double>(config->lr));
        grad.reset();
    });
}

int scalar_read(ei_torch_in in, float *out_value) noexcept
{
    return guarded([&] { *out_value = in->value.item<float>(); });
}

const struct ei_torch_api api = {
    EI_TORCH_ABI,
    TORCH_VERSION,
    error_text,
    thread_enter,
    seed,
    tensor_create,
    tensor_destroy,
    tensor_clear,
    tensor_from_f32,
    tensor_read_f32,
    tensor_write_f32,
    tensor_shape,
    tensor_assign,
    tensor_channels_last,
    conv2d,
    linear,
    relu,
    max_pool,
    avg_pool,
    global_avg_pool,
    lrn,
    batch_norm,
    dropout,
    flatten,
    add,
    concat,
    precision,
    requires_grad,
    cross_entropy,
    scaled_sum,
    backward,
    grad_read_f32,
    adam_step,
    sgd_step,
    scalar_read,
};

} // namespace

extern "C" __attribute__((visibility("default"))) const struct ei_torch_api *ei_torch_api_get(void);

extern "C" const struct ei_torch_api *ei_torch_api_get(void)
{
    return &api;
}
