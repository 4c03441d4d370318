/* libeinet_torch.so: the table of torch.h over libtorch, from Debian's 1.13 to PyTorch 2.11.
 *
 * Every entry catches everything, keeps the text for its thread and returns a code; nothing crosses as an exception.
 * libtorch's gradient mode and thread count are thread-local, so thread_enter sets both.
 */
#include "stages/torch/torch.h"

#include "stages/torch/blas_guard.h"
#include "stages/torch/channels_last.h"
#include "stages/torch/cuda.h"
#include "stages/torch/guarded.h"
#include "stages/torch/lrn.h"
#include "stages/torch/script.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>

thread_local std::string einet::last_error;

namespace
{

using einet::guarded;

thread_local std::unique_ptr<c10::InferenceMode> inference;
thread_local at::ScalarType op_type = at::kFloat;
thread_local at::DeviceType op_device = at::kCPU;

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
        out->value = t.to(op_device);
    });
}

int tensor_read_f32(ei_torch_in in, float *out_data, int64_t count) noexcept
{
    return guarded([&] {
        TORCH_CHECK(in->value.defined() && in->value.numel() == count, "reading ", count, " of ",
                    in->value.defined() ? in->value.numel() : 0, " numbers");
        const at::Tensor t = in->value.detach().to(at::kCPU, at::kFloat).contiguous();
        std::memcpy(out_data, t.data_ptr<float>(), static_cast<size_t>(count) * sizeof(float));
    });
}

int tensor_write_f32(ei_torch_out out, const float *data, int64_t count) noexcept
{
    return guarded([&] {
        TORCH_CHECK(out->value.defined() && out->value.numel() == count, "writing ", count, " numbers to ",
                    out->value.defined() ? out->value.numel() : 0);
        at::Tensor target = out->value.detach();
        if (target.is_contiguous() && target.scalar_type() == at::kFloat && target.is_cpu()) {
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

int tensor_bfloat16(ei_torch_out out) noexcept
{
    return guarded([&] { out->value = out->value.to(at::kBFloat16); });
}

/* ---- operations ---- */

at::Tensor defined_or_empty(ei_torch_in in)
{
    return in != nullptr ? in->value : at::Tensor();
}

/* In the type of the thread's operations. */
at::Tensor narrowed(const at::Tensor &t)
{
    return op_type == at::kFloat || !t.defined() ? t : t.to(op_type);
}

int conv2d(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, const ei_torch_conv *config, ei_torch_out out) noexcept
{
    return guarded([&] {
        out->value = at::conv2d(narrowed(x->value), narrowed(weight->value), narrowed(defined_or_empty(bias)),
                                {config->stride_px, config->stride_px}, {config->padding_px, config->padding_px});
    });
}

int linear(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, ei_torch_out out) noexcept
{
    return guarded([&] {
        const at::Tensor input = narrowed(x->value), w = narrowed(weight->value);
        out->value = bias != nullptr ? at::linear(input, w, narrowed(bias->value)) : at::linear(input, w);
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

/* The definition in whole-tensor operations, for devices that the hand-written loops do not reach. */
at::Tensor lrn_of_device(const at::Tensor &x, const ei_torch_lrn &config)
{
    const int64_t half = config.size / 2, channels = x.size(1);
    const at::Tensor squares = at::constant_pad_nd(at::mul(x, x), {0, 0, 0, 0, half, half});
    at::Tensor sum = squares.narrow(1, 0, channels);
    for (int64_t i = 1; i <= 2 * half; i++) {
        sum = at::add(sum, squares.narrow(1, i, channels));
    }
    const at::Tensor d = at::add(at::mul(sum, static_cast<double>(config.alpha)), static_cast<double>(config.k));
    return at::mul(x, at::pow(d, -static_cast<double>(config.beta)));
}

int lrn(ei_torch_in x, const ei_torch_lrn *config, ei_torch_out out) noexcept
{
    return guarded([&] {
        const at::Tensor wide = x->value.to(at::kFloat);
        out->value = wide.is_cpu() ? einet::lrn(wide, *config) : lrn_of_device(wide, *config);
    });
}

int batch_norm(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, ei_torch_in mean, ei_torch_in variance,
               float momentum, float eps, int32_t training, ei_torch_out out) noexcept
{
    return guarded([&] {
        if (training != 0 && einet::is_channels_last(x->value)) {
            out->value =
                einet::batch_norm_channels_last(x->value, weight->value, bias->value, mean->value, variance->value,
                                                static_cast<double>(momentum), static_cast<double>(eps));
            return;
        }
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
    return guarded([&] { out->value = at::add(narrowed(a->value), narrowed(b->value)); });
}

int concat(ei_torch_in a, ei_torch_in b, ei_torch_out out) noexcept
{
    return guarded([&] {
        const at::Tensor first = narrowed(a->value), second = narrowed(b->value);
        const bool is_fast = einet::is_channels_last(first) && einet::is_channels_last(second) &&
                             first.scalar_type() == second.scalar_type();
        out->value = is_fast ? einet::concat_channels_last(first, second) : at::cat({first, second}, 1);
    });
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
        out->value = at::cross_entropy_loss(logits->value.to(at::kFloat), target.to(logits->value.device()), {},
                                            at::Reduction::Mean, -100, static_cast<double>(smoothing));
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
        const at::Tensor t = grad.detach().to(at::kCPU, at::kFloat).contiguous();
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

int device(enum ei_torch_device wanted) noexcept
{
    return guarded([&] {
        if (wanted == EI_TORCH_CUDA) {
            /* A linker may have dropped what only registers itself. Never closed: libtorch keeps pointers into it. */
            static void *const registered = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
            (void)registered;
            TORCH_CHECK(at::hasCUDA(), "there is no CUDA device, or this libtorch (", TORCH_VERSION,
                        ") was built without CUDA");
        }
        op_device = wanted == EI_TORCH_CUDA ? at::kCUDA : at::kCPU;
    });
}

int distill(ei_torch_in logits, ei_torch_in teacher, float temperature, ei_torch_out out) noexcept
{
    return guarded([&] {
        const double t = static_cast<double>(temperature);
        TORCH_CHECK(t > 0.0, "a temperature is above 0");
        const at::Tensor student = at::log_softmax(at::div(logits->value.to(at::kFloat), t), 1);
        const at::Tensor target = at::log_softmax(at::div(teacher->value.detach().to(at::kFloat), t), 1);
        const at::Tensor divergence = at::sum(at::mul(at::exp(target), at::sub(target, student)));
        out->value = at::mul(divergence, t * t / static_cast<double>(student.size(0)));
    });
}

at::ScalarType half_type()
{
    return op_type == at::kBFloat16 ? at::kBFloat16 : at::kHalf;
}

at::MemoryFormat half_format(int64_t dims)
{
    return dims == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

int tensor_read_half(ei_torch_in in, uint16_t *out_data, int64_t count) noexcept
{
    return guarded([&] {
        TORCH_CHECK(in->value.defined() && in->value.numel() == count, "reading ", count, " of ",
                    in->value.defined() ? in->value.numel() : 0, " numbers");
        at::Tensor t = in->value.detach();
        if (half_type() == at::kHalf) {
            t = at::clamp(t, -65504.0, 65504.0);
        }
        t = t.to(at::kCPU, half_type()).contiguous(half_format(t.dim()));
        std::memcpy(out_data, t.data_ptr(), static_cast<size_t>(count) * sizeof *out_data);
    });
}

int tensor_from_half(ei_torch_out out, const uint16_t *data, const int64_t *shape, int32_t dims) noexcept
{
    return guarded([&] {
        const at::Tensor t =
            at::empty(shape_of(shape, dims), at::TensorOptions().dtype(half_type()), half_format(dims));
        std::memcpy(t.data_ptr(), data, static_cast<size_t>(t.numel()) * sizeof *data);
        out->value = t.to(op_device, op_type);
    });
}

int tensor_float32(ei_torch_out out) noexcept
{
    return guarded([&] { out->value = out->value.to(at::kFloat).contiguous(); });
}

int tensor_data(ei_torch_in in, void **out_data) noexcept
{
    return guarded([&] {
        TORCH_CHECK(in->value.defined() && in->value.scalar_type() == at::kFloat && in->value.is_contiguous(),
                    "only a float32 tensor in row-major order can be read where it lies");
        *out_data = in->value.data_ptr();
    });
}

int blas_safe() noexcept
{
    return einet::is_blas_safe() ? 1 : 0;
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
    tensor_bfloat16,
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
    device,
    distill,
    tensor_read_half,
    tensor_from_half,
    einet::script_load,
    einet::script_destroy,
    einet::script_save,
    einet::script_param_count,
    einet::script_forward,
    einet::script_chain,
    einet::chain_destroy,
    einet::chain_count,
    einet::chain_layer,
    einet::chain_tensor,
    einet::chain_script,
    einet::cuda_device_count,
    einet::cuda_enter,
    einet::cuda_synchronize,
    einet::cuda_pool_create,
    einet::cuda_pool_destroy,
    einet::capture_begin,
    einet::capture_end,
    einet::capture_destroy,
    tensor_float32,
    tensor_data,
    blas_safe,
};

} // namespace

extern "C" __attribute__((visibility("default"))) const struct ei_torch_api *ei_torch_api_get(void);

extern "C" const struct ei_torch_api *ei_torch_api_get(void)
{
    return &api;
}
