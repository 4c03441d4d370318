/* The C face of libtorch: the only door between this project and C++.
 *
 * The implementation (plugin.cpp) is a plug-in, libeinet_torch.so, that loader.h opens with dlopen, so that everything
 * else builds and runs without libtorch. It exports one symbol, EI_TORCH_ENTRY, that returns a table of functions.
 *
 * A tensor handle is a slot: operations assign to their `out` slot whatever it held before, and `out` may be one of the
 * inputs. Every function returns 0 or a negative code, never throws and never aborts; error_text() then says why, for
 * the calling thread. Handles are not locked: one thread at a time per handle. All tensors live on the CPU in float32.
 * No call is real-time safe; calls from a job are submit sections (rt/section.h).
 */
#ifndef STAGES_TORCH_TORCH_H
#define STAGES_TORCH_TORCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EI_TORCH_ABI 2
#define EI_TORCH_ENTRY "ei_torch_api_get"
#define EI_TORCH_DIMS_MAX 8

struct ei_torch_tensor; /* opaque */

enum ei_torch_mode {
    EI_TORCH_INFERENCE, /* no gradients can be recorded */
    EI_TORCH_TRAINING
};

/* Precision inside convolutions; tensors stay float32 outside of them. */
enum ei_torch_precision { EI_TORCH_FLOAT32, EI_TORCH_BFLOAT16 };

struct ei_torch_conv {
    int32_t stride_px, padding_px; /* square */
};

struct ei_torch_pool {
    int32_t kernel_px, stride_px, padding_px; /* square */
    int32_t ceil_mode;                        /* 1: round the output size up */
};

/* y = x * (k + alpha * sum over the `size` channels around it of x^2)^-beta. alpha is NOT divided by size (AlexNet
 * paper, section 3.3; libtorch's own operation divides it). */
struct ei_torch_lrn {
    int32_t size; /* odd */
    float alpha, beta, k;
};

struct ei_torch_adam {
    float lr, beta1, beta2, eps;
    float weight_decay; /* decoupled: w -= lr * weight_decay * w (AdamW) */
    int64_t step;       /* from 1, for the bias correction */
};

struct ei_torch_sgd {
    float lr, momentum, weight_decay; /* weight decay is added to the gradient */
    int32_t nesterov;
};

typedef struct ei_torch_tensor *ei_torch_out;
typedef const struct ei_torch_tensor *ei_torch_in;

struct ei_torch_api {
    int32_t abi;         /* EI_TORCH_ABI of the plug-in's build */
    const char *version; /* of libtorch, static */

    /* Text of this thread's last error; "" when none. Valid until the thread's next call. */
    const char *(*error_text)(void);

    /* Set-up of the calling thread, before its other calls: gradient mode and intra-operation threads (>= 1), which
     * libtorch keeps per thread. May be called again to change them. */
    int (*thread_enter)(enum ei_torch_mode mode, int32_t threads);
    /* Seed this process' generator (dropout). */
    int (*seed)(uint64_t seed);

    /* ---- tensors ---- */
    int (*tensor_create)(struct ei_torch_tensor **out); /* an empty slot */
    void (*tensor_destroy)(struct ei_torch_tensor *);   /* NULL is fine */
    void (*tensor_clear)(ei_torch_out);                 /* back to the empty slot */
    int (*tensor_from_f32)(ei_torch_out, const float *data, const int64_t *shape, int32_t dims); /* copies */
    int (*tensor_read_f32)(ei_torch_in, float *out_data, int64_t count);     /* count must be the tensor's; row major */
    int (*tensor_write_f32)(ei_torch_out, const float *data, int64_t count); /* in place, shape kept */
    int (*tensor_shape)(ei_torch_in, int64_t *out_shape, int32_t *out_dims); /* out_shape: [EI_TORCH_DIMS_MAX] */
    int (*tensor_assign)(ei_torch_out, ei_torch_in);                         /* out refers to the same data */
    int (*tensor_channels_last)(ei_torch_out); /* memory order NHWC of a 4-d tensor; kept by the operations */

    /* ---- operations; x is [n, c, h, w] or [n, c]; bias may be NULL ---- */
    int (*conv2d)(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, const struct ei_torch_conv *, ei_torch_out);
    int (*linear)(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, ei_torch_out);
    int (*relu)(ei_torch_in x, ei_torch_out);
    int (*max_pool)(ei_torch_in x, const struct ei_torch_pool *, ei_torch_out);
    int (*avg_pool)(ei_torch_in x, const struct ei_torch_pool *, ei_torch_out);
    int (*global_avg_pool)(ei_torch_in x, ei_torch_out); /* [n, c, h, w] -> [n, c, 1, 1] */
    int (*lrn)(ei_torch_in x, const struct ei_torch_lrn *, ei_torch_out);
    /* training: statistics of the batch are used and folded into mean and variance with `momentum`. */
    int (*batch_norm)(ei_torch_in x, ei_torch_in weight, ei_torch_in bias, ei_torch_in mean, ei_torch_in variance,
                      float momentum, float eps, int32_t training, ei_torch_out);
    int (*dropout)(ei_torch_in x, float p, int32_t training, ei_torch_out);
    int (*flatten)(ei_torch_in x, ei_torch_out); /* [n, ...] -> [n, product] */
    int (*add)(ei_torch_in a, ei_torch_in b, ei_torch_out);
    int (*concat)(ei_torch_in a, ei_torch_in b, ei_torch_out); /* along the channels */

    /* ---- training ---- */
    int (*precision)(enum ei_torch_precision); /* of the calling thread's conv2d */
    int (*requires_grad)(ei_torch_out);
    /* Mean cross-entropy of logits [n, classes] against labels[n]. */
    int (*cross_entropy)(ei_torch_in logits, const int64_t *labels, int64_t n, float smoothing, ei_torch_out);
    int (*scaled_sum)(ei_torch_in acc, ei_torch_in x, float factor, ei_torch_out); /* acc + factor * x; empty acc = 0 */
    int (*backward)(ei_torch_in loss);
    int (*grad_read_f32)(ei_torch_in param, float *out_data, int64_t count);
    /* One step from param's gradient, which is then cleared. m, v: the optimiser's state, shaped like param. */
    int (*adam_step)(ei_torch_out param, ei_torch_out m, ei_torch_out v, const struct ei_torch_adam *);
    int (*sgd_step)(ei_torch_out param, ei_torch_out momentum, const struct ei_torch_sgd *);
    int (*scalar_read)(ei_torch_in, float *out_value); /* of a one-element tensor */
};

#ifdef __cplusplus
}
#endif
#endif
