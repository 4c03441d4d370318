/* A tensor in NHWC order is `rows` pixels of `channels` numbers. Pixels are walked some at a time, so that the
 * innermost loops run over a span of `channels * pixels` consecutive numbers, each with its channel's constants laid
 * out likewise: loops without a stride, which compilers turn into the widest vectors.
 *
 *     y = (x - mu) / sqrt(var + eps) * w + b
 *     dL/dx = w / sqrt(var + eps) * (g - mean(g) - (x - mu) / (var + eps) * mean(g (x - mu)))     (Ioffe, Szegedy 2015)
 */
#include "stages/torch/channels_last.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <einet/attributes.h>
#include <torch/csrc/autograd/custom_function.h>
#include <vector>

namespace
{

constexpr int64_t SPAN_NUMBERS = 512;      /* of one walk of the inner loops, about */
constexpr int64_t FLUSH_SPANS = 64;        /* sums in float go to double after so many spans */
constexpr int64_t ROWS_OF_A_THREAD = 4096; /* at least */

struct Layout {
    int64_t rows, channels, pixels; /* pixels of one span */
    bool is_bfloat16;

    int64_t span() const
    {
        return channels * pixels;
    }
    int64_t spans() const
    {
        return (rows + pixels - 1) / pixels;
    }
    /* Numbers of span i; the last one may be shorter. */
    int64_t length(int64_t i) const
    {
        return std::min(span(), (rows - i * pixels) * channels);
    }
};

Layout layout_of(const at::Tensor &x)
{
    const int64_t channels = x.size(1);
    return {x.size(0) * x.size(2) * x.size(3), channels, std::max<int64_t>(1, SPAN_NUMBERS / channels),
            x.scalar_type() == at::kBFloat16};
}

/* ---- the loops ---- */

EINET_VECTOR_CLONES void widen(const uint16_t *from, float *to, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
        std::memcpy(&to[i], &bits, sizeof bits);
    }
}

/* Round to nearest, ties to even; a NaN stays one. */
EINET_VECTOR_CLONES void narrow(const float *from, uint16_t *to, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        std::memcpy(&bits, &from[i], sizeof bits);
        const uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
        to[i] = static_cast<uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? 0x7FC0U : rounded);
    }
}

EINET_VECTOR_CLONES void add_moments(const float *x, const float *origin, float *sum, float *square, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const float d = x[i] - origin[i];
        sum[i] += d;
        square[i] += d * d;
    }
}

EINET_VECTOR_CLONES void add_gradients(const float *g, const float *x, const float *mean, float *sum, float *product,
                                       int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        sum[i] += g[i];
        product[i] += g[i] * (x[i] - mean[i]);
    }
}

EINET_VECTOR_CLONES void scale_shift(const float *x, const float *scale, const float *shift, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = x[i] * scale[i] + shift[i];
    }
}

EINET_VECTOR_CLONES void combine(const float *g, const float *x, const float *of_g, const float *of_x,
                                 const float *shift, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = g[i] * of_g[i] + x[i] * of_x[i] + shift[i];
    }
}

/* ---- spans of a tensor as float ---- */

/* Reads and writes spans in whatever type the tensor has; one per thread. */
class Spans
{
  public:
    explicit Spans(const Layout &layout) : layout_(layout), in_(room()), in2_(room()), out_(room())
    {
    }

    const float *read(const at::Tensor &t, int64_t i)
    {
        return read(t, i, in_);
    }
    const float *read2(const at::Tensor &t, int64_t i)
    {
        return read(t, i, in2_);
    }

    float *target(const at::Tensor &t, int64_t i)
    {
        return layout_.is_bfloat16 ? out_.data() : static_cast<float *>(t.data_ptr()) + i * layout_.span();
    }
    void written(const at::Tensor &t, int64_t i)
    {
        if (layout_.is_bfloat16) {
            narrow(out_.data(), static_cast<uint16_t *>(t.data_ptr()) + i * layout_.span(), layout_.length(i));
        }
    }

  private:
    size_t room() const
    {
        return layout_.is_bfloat16 ? static_cast<size_t>(layout_.span()) : 0;
    }
    const float *read(const at::Tensor &t, int64_t i, std::vector<float> &buffer)
    {
        const int64_t at = i * layout_.span();
        if (!layout_.is_bfloat16) {
            return static_cast<const float *>(t.data_ptr()) + at;
        }
        widen(static_cast<const uint16_t *>(t.data_ptr()) + at, buffer.data(), layout_.length(i));
        return buffer.data();
    }

    Layout layout_;
    std::vector<float> in_, in2_, out_;
};

/* A channel's number for every place of a span. */
std::vector<float> spread(const Layout &layout, const std::vector<double> &of_channel)
{
    std::vector<float> out(static_cast<size_t>(layout.span()));
    for (size_t i = 0; i < out.size(); i++) {
        out[i] = static_cast<float>(of_channel[i % static_cast<size_t>(layout.channels)]);
    }
    return out;
}

/* Two sums per channel over all rows. add(spans, i, first, second) adds span i to two float arrays of a span's size.
 * Threads take consecutive ranges and are summed in order: the result depends on their number only. */
template <typename Add>
void sum_rows(const Layout &layout, std::vector<double> &first, std::vector<double> &second, Add add)
{
    const size_t span = static_cast<size_t>(layout.span()), channels = static_cast<size_t>(layout.channels);
    const int64_t parts =
        std::clamp<int64_t>(layout.rows / ROWS_OF_A_THREAD, 1, static_cast<int64_t>(at::get_num_threads()));
    std::vector<double> partial(static_cast<size_t>(parts) * channels * 2);
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
        Spans spans(layout);
        for (int64_t p = begin; p < end; p++) {
            std::vector<float> a(span), b(span);
            double *const to = &partial[static_cast<size_t>(p) * channels * 2];
            const int64_t from = layout.spans() * p / parts, until = layout.spans() * (p + 1) / parts;
            for (int64_t i = from; i < until; i++) {
                add(spans, i, a.data(), b.data());
                if ((i - from) % FLUSH_SPANS == FLUSH_SPANS - 1 || i + 1 == until) {
                    for (size_t j = 0; j < span; j++) {
                        to[j % channels] += static_cast<double>(a[j]);
                        to[channels + j % channels] += static_cast<double>(b[j]);
                    }
                    std::fill(a.begin(), a.end(), 0.0F);
                    std::fill(b.begin(), b.end(), 0.0F);
                }
            }
        }
    });
    first.assign(channels, 0.0);
    second.assign(channels, 0.0);
    for (size_t p = 0; p < static_cast<size_t>(parts); p++) {
        for (size_t c = 0; c < channels; c++) {
            first[c] += partial[p * channels * 2 + c];
            second[c] += partial[p * channels * 2 + channels + c];
        }
    }
}

template <typename Body> void for_spans(const Layout &layout, Body body)
{
    const int64_t grain = std::max<int64_t>(1, ROWS_OF_A_THREAD / layout.pixels);
    at::parallel_for(0, layout.spans(), grain, [&](int64_t begin, int64_t end) {
        Spans spans(layout);
        for (int64_t i = begin; i < end; i++) {
            body(spans, i);
        }
    });
}

std::vector<double> numbers_of(const at::Tensor &t)
{
    const float *from = t.data_ptr<float>();
    return std::vector<double>(from, from + t.numel());
}

/* ---- batch normalisation ---- */

struct Moments {
    std::vector<double> mean, variance; /* of the batch; the variance is divided by the count */
};

/* Around the first pixel, so that a large mean does not eat the variance's digits. */
Moments moments_of(const at::Tensor &x, const Layout &layout)
{
    const size_t channels = static_cast<size_t>(layout.channels);
    Spans first(layout);
    const float *pixel = first.read(x, 0);
    const std::vector<double> origin(pixel, pixel + channels);
    const std::vector<float> origin_span = spread(layout, origin);
    Moments m;
    sum_rows(layout, m.mean, m.variance, [&](Spans &spans, int64_t i, float *sum, float *square) {
        add_moments(spans.read(x, i), origin_span.data(), sum, square, layout.length(i));
    });
    const double rows = static_cast<double>(layout.rows);
    for (size_t c = 0; c < channels; c++) {
        const double shift = m.mean[c] / rows;
        m.variance[c] = std::max(0.0, m.variance[c] / rows - shift * shift);
        m.mean[c] = origin[c] + shift;
    }
    return m;
}

void fold(const at::Tensor &running, const std::vector<double> &now, double factor, double momentum)
{
    at::Tensor target = running.detach();
    float *to = target.data_ptr<float>();
    for (size_t c = 0; c < now.size(); c++) {
        to[c] = static_cast<float>((1.0 - momentum) * static_cast<double>(to[c]) + momentum * factor * now[c]);
    }
}

at::Tensor channel_tensor(const std::vector<double> &of_channel)
{
    at::Tensor t = at::empty({static_cast<int64_t>(of_channel.size())}, at::kDouble);
    std::copy(of_channel.begin(), of_channel.end(), t.data_ptr<double>());
    return t;
}

std::vector<double> channel_numbers(const at::Tensor &t)
{
    const double *from = t.data_ptr<double>();
    return std::vector<double>(from, from + t.numel());
}

struct BatchNorm : public torch::autograd::Function<BatchNorm> {
    static at::Tensor forward(torch::autograd::AutogradContext *ctx, const at::Tensor &x, const at::Tensor &weight,
                              const at::Tensor &bias, const at::Tensor &mean, const at::Tensor &variance,
                              double momentum, double eps)
    {
        const Layout layout = layout_of(x);
        const Moments m = moments_of(x, layout);
        const double rows = static_cast<double>(layout.rows);
        fold(mean, m.mean, 1.0, momentum);
        fold(variance, m.variance, rows > 1.0 ? rows / (rows - 1.0) : 1.0, momentum);

        std::vector<double> scale = numbers_of(weight), shift = numbers_of(bias), inverse(m.mean.size());
        for (size_t c = 0; c < inverse.size(); c++) {
            inverse[c] = 1.0 / std::sqrt(m.variance[c] + eps);
            scale[c] *= inverse[c];
            shift[c] -= m.mean[c] * scale[c];
        }
        const std::vector<float> scale_span = spread(layout, scale), shift_span = spread(layout, shift);
        at::Tensor y = at::empty_like(x);
        for_spans(layout, [&](Spans &spans, int64_t i) {
            scale_shift(spans.read(x, i), scale_span.data(), shift_span.data(), spans.target(y, i), layout.length(i));
            spans.written(y, i);
        });
        ctx->save_for_backward({x, weight, channel_tensor(m.mean), channel_tensor(inverse)});
        return y;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *ctx,
                                                   const torch::autograd::variable_list &grads)
    {
        const torch::autograd::variable_list saved = ctx->get_saved_variables();
        const at::Tensor &x = saved[0], &weight = saved[1];
        const std::vector<double> mean = channel_numbers(saved[2]), inverse = channel_numbers(saved[3]);
        const at::Tensor g = grads[0].to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
        const Layout layout = layout_of(x);
        const std::vector<float> mean_span = spread(layout, mean);
        std::vector<double> sum, product;
        sum_rows(layout, sum, product, [&](Spans &spans, int64_t i, float *a, float *b) {
            add_gradients(spans.read(g, i), spans.read2(x, i), mean_span.data(), a, b, layout.length(i));
        });

        const size_t channels = mean.size();
        const double rows = static_cast<double>(layout.rows);
        std::vector<double> of_g = numbers_of(weight), of_x(channels), shift(channels);
        at::Tensor weight_grad = at::empty_like(weight), bias_grad = at::empty_like(weight);
        for (size_t c = 0; c < channels; c++) {
            weight_grad.data_ptr<float>()[c] = static_cast<float>(product[c] * inverse[c]);
            bias_grad.data_ptr<float>()[c] = static_cast<float>(sum[c]);
            of_g[c] *= inverse[c];
            of_x[c] = -of_g[c] * inverse[c] * inverse[c] * product[c] / rows;
            shift[c] = -of_g[c] * sum[c] / rows - of_x[c] * mean[c];
        }
        const std::vector<float> of_g_span = spread(layout, of_g), of_x_span = spread(layout, of_x),
                                 shift_span = spread(layout, shift);
        at::Tensor out = at::empty_like(x);
        for_spans(layout, [&](Spans &spans, int64_t i) {
            combine(spans.read(g, i), spans.read2(x, i), of_g_span.data(), of_x_span.data(), shift_span.data(),
                    spans.target(out, i), layout.length(i));
            spans.written(out, i);
        });
        return {out, weight_grad, bias_grad, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
    }
};

/* ---- concatenation ---- */

/* Bytes of a and b, pixel by pixel, to or from the joined tensor. */
template <bool to_joined> void zip(const at::Tensor &a, const at::Tensor &b, const at::Tensor &joined)
{
    const int64_t rows = a.size(0) * a.size(2) * a.size(3);
    const size_t bytes_a = static_cast<size_t>(a.size(1)) * static_cast<size_t>(a.element_size()),
                 bytes_b = static_cast<size_t>(b.size(1)) * static_cast<size_t>(b.element_size());
    char *const pa = static_cast<char *>(a.data_ptr()), *const pb = static_cast<char *>(b.data_ptr()),
                *const pj = static_cast<char *>(joined.data_ptr());
    at::parallel_for(0, rows, ROWS_OF_A_THREAD, [&](int64_t begin, int64_t end) {
        for (size_t i = static_cast<size_t>(begin); i < static_cast<size_t>(end); i++) {
            char *const at = pj + i * (bytes_a + bytes_b);
            if (to_joined) {
                std::memcpy(at, pa + i * bytes_a, bytes_a);
                std::memcpy(at + bytes_a, pb + i * bytes_b, bytes_b);
            } else {
                std::memcpy(pa + i * bytes_a, at, bytes_a);
                std::memcpy(pb + i * bytes_b, at + bytes_a, bytes_b);
            }
        }
    });
}

at::Tensor empty_of(const at::Tensor &like, int64_t channels)
{
    return at::empty({like.size(0), channels, like.size(2), like.size(3)}, like.options(),
                     at::MemoryFormat::ChannelsLast);
}

struct Concat : public torch::autograd::Function<Concat> {
    static at::Tensor forward(torch::autograd::AutogradContext *ctx, const at::Tensor &a, const at::Tensor &b)
    {
        ctx->saved_data["a"] = a.size(1);
        ctx->saved_data["b"] = b.size(1);
        at::Tensor joined = empty_of(a, a.size(1) + b.size(1));
        zip<true>(a, b, joined);
        return joined;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext *ctx,
                                                   const torch::autograd::variable_list &grads)
    {
        const at::Tensor g = grads[0].contiguous(at::MemoryFormat::ChannelsLast);
        at::Tensor a = empty_of(g, ctx->saved_data["a"].toInt()), b = empty_of(g, ctx->saved_data["b"].toInt());
        zip<false>(a, b, g);
        return {a, b};
    }
};

} // namespace

bool einet::is_channels_last(const at::Tensor &x)
{
    return x.dim() == 4 && x.numel() > 0 && x.device().is_cpu() && x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
           !x.is_contiguous() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

at::Tensor einet::batch_norm_channels_last(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias,
                                           const at::Tensor &mean, const at::Tensor &variance, double momentum,
                                           double eps)
{
    return BatchNorm::apply(x, weight, bias, mean, variance, momentum, eps);
}

at::Tensor einet::concat_channels_last(const at::Tensor &a, const at::Tensor &b)
{
    return Concat::apply(a, b);
}
