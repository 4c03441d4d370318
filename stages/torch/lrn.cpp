/* y_i = x_i * d_i^-beta with d_i = k + alpha * sum_{j near i} x_j^2 (Krizhevsky et al. 2012, section 3.3), and
 * dL/dx_i = g_i d_i^-beta - 2 alpha beta x_i * sum_{j near i} g_j x_j d_j^(-beta-1).
 *
 * A picture is walked as `outer` groups of `channels` rows of `inner` numbers: NCHW has inner = h*w and one group,
 * NHWC has inner = 1 and h*w groups.
 */
#include "stages/torch/lrn.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>
#include <torch/csrc/autograd/custom_function.h>

namespace
{

struct Walk {
    int64_t groups, channels, inner;
};

Walk walk_of(const at::Tensor &x)
{
    const int64_t n = x.size(0), c = x.size(1), hw = x.size(2) * x.size(3);
    if (x.is_contiguous(at::MemoryFormat::ChannelsLast) && !x.is_contiguous()) {
        return {n * hw, c, 1};
    }
    return {n, c, hw};
}

/* out[c] = offset + factor * sum over the window around c of v[c], for one group. */
void window_sum(const float *v, float *out, const Walk &walk, int64_t half, float offset, float factor)
{
    const int64_t inner = walk.inner, channels = walk.channels;
    if (inner == 1) {
        for (int64_t c = 0; c < channels; c++) {
            out[c] = v[c];
        }
        for (int64_t j = 1; j <= half; j++) {
            for (int64_t c = j; c < channels; c++) {
                out[c] += v[c - j];
            }
            for (int64_t c = 0; c + j < channels; c++) {
                out[c] += v[c + j];
            }
        }
        for (int64_t c = 0; c < channels; c++) {
            out[c] = offset + factor * out[c];
        }
        return;
    }
    for (int64_t c = 0; c < channels; c++) {
        float *row = out + c * inner;
        std::fill(row, row + inner, 0.0F);
        const int64_t last = std::min(c + half, channels - 1);
        for (int64_t j = std::max<int64_t>(c - half, 0); j <= last; j++) {
            const float *from = v + j * inner;
            for (int64_t i = 0; i < inner; i++) {
                row[i] += from[i];
            }
        }
        for (int64_t i = 0; i < inner; i++) {
            row[i] = offset + factor * row[i];
        }
    }
}

/* out = d^-beta; the usual 0.75 without powf. */
void negative_power(const float *d, float *out, int64_t count, float beta)
{
    if (beta == 0.75F) {
        for (int64_t i = 0; i < count; i++) {
            const float root = std::sqrt(d[i]);
            out[i] = 1.0F / (root * std::sqrt(root));
        }
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        out[i] = std::pow(d[i], -beta);
    }
}

/* Groups are handed out in chunks that are worth a thread. */
int64_t grain_of(const Walk &walk)
{
    return std::max<int64_t>(1, 16384 / (walk.channels * walk.inner));
}

void forward_pass(const at::Tensor &x, const ei_torch_lrn &config, at::Tensor &y, at::Tensor *d_out)
{
    const Walk walk = walk_of(x);
    const int64_t size = walk.channels * walk.inner;
    const float *px = x.data_ptr<float>();
    float *py = y.data_ptr<float>();
    float *pd = d_out != nullptr ? d_out->data_ptr<float>() : nullptr;
    at::parallel_for(0, walk.groups, grain_of(walk), [&](int64_t begin, int64_t end) {
        std::vector<float> square(static_cast<size_t>(size)), scratch(static_cast<size_t>(pd != nullptr ? 0 : size));
        for (int64_t g = begin; g < end; g++) {
            const float *from = px + g * size;
            float *to = py + g * size;
            float *d = pd != nullptr ? pd + g * size : scratch.data();
            for (int64_t i = 0; i < size; i++) {
                square[static_cast<size_t>(i)] = from[i] * from[i];
            }
            window_sum(square.data(), d, walk, config.size / 2, config.k, config.alpha);
            negative_power(d, to, size, config.beta);
            for (int64_t i = 0; i < size; i++) {
                to[i] *= from[i];
            }
        }
    });
}

void backward_pass(const at::Tensor &x, const at::Tensor &d, const at::Tensor &grad, const ei_torch_lrn &config,
                   at::Tensor &out)
{
    const Walk walk = walk_of(x);
    const int64_t size = walk.channels * walk.inner;
    const float *px = x.data_ptr<float>(), *pd = d.data_ptr<float>(), *pg = grad.data_ptr<float>();
    float *po = out.data_ptr<float>();
    const float factor = -2.0F * config.alpha * config.beta;
    at::parallel_for(0, walk.groups, grain_of(walk), [&](int64_t begin, int64_t end) {
        std::vector<float> term(static_cast<size_t>(size)), sum(static_cast<size_t>(size));
        for (int64_t g = begin; g < end; g++) {
            const float *gx = px + g * size, *gd = pd + g * size, *gg = pg + g * size;
            float *to = po + g * size;
            negative_power(gd, to, size, config.beta);
            for (int64_t i = 0; i < size; i++) {
                to[i] *= gg[i]; /* g d^-beta */
                term[static_cast<size_t>(i)] = to[i] * gx[i] / gd[i];
            }
            window_sum(term.data(), sum.data(), walk, config.size / 2, 0.0F, factor);
            for (int64_t i = 0; i < size; i++) {
                to[i] += gx[i] * sum[static_cast<size_t>(i)];
            }
        }
    });
}

at::MemoryFormat format_of(const at::Tensor &x)
{
    return x.is_contiguous(at::MemoryFormat::ChannelsLast) && !x.is_contiguous() ? at::MemoryFormat::ChannelsLast
                                                                                 : at::MemoryFormat::Contiguous;
}

struct Lrn : public torch::autograd::Function<Lrn> {
    static at::Tensor forward(torch::autograd::AutogradContext *ctx, const at::Tensor &x, int64_t size, double alpha,
                              double beta, double k)
    {
        const ei_torch_lrn config = {static_cast<int32_t>(size), static_cast<float>(alpha), static_cast<float>(beta),
                                     static_cast<float>(k)};
        at::Tensor y = at::empty_like(x), d = at::empty_like(x);
        forward_pass(x, config, y, &d);
        ctx->save_for_backward({x, d});
        ctx->saved_data["size"] = size;
        ctx->saved_data["alpha"] = alpha;
        ctx->saved_data["beta"] = beta;
        ctx->saved_data["k"] = k;
        return y;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *ctx,
                                                   const torch::autograd::variable_list &grads)
    {
        const torch::autograd::variable_list saved = ctx->get_saved_variables();
        const at::Tensor &x = saved[0], &d = saved[1];
        const ei_torch_lrn config = {static_cast<int32_t>(ctx->saved_data["size"].toInt()),
                                     static_cast<float>(ctx->saved_data["alpha"].toDouble()),
                                     static_cast<float>(ctx->saved_data["beta"].toDouble()),
                                     static_cast<float>(ctx->saved_data["k"].toDouble())};
        const at::Tensor grad = grads[0].contiguous(format_of(x));
        at::Tensor out = at::empty_like(x);
        backward_pass(x, d, grad, config, out);
        return {out, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

} // namespace

at::Tensor einet::lrn(const at::Tensor &input, const ei_torch_lrn &config)
{
    TORCH_CHECK(input.dim() == 4 && input.scalar_type() == at::kFloat, "lrn takes a float32 tensor [n, c, h, w]");
    TORCH_CHECK(config.size >= 1 && config.size % 2 == 1, "lrn takes an odd size");
    const at::Tensor x = input.contiguous(format_of(input));
    if (x.requires_grad() && at::GradMode::is_enabled()) {
        return Lrn::apply(x, static_cast<int64_t>(config.size), static_cast<double>(config.alpha),
                          static_cast<double>(config.beta), static_cast<double>(config.k));
    }
    at::Tensor y = at::empty_like(x);
    forward_pass(x, config, y, nullptr);
    return y;
}
