/* The C face of libtorch: the only door between this project and C++.
 *
 * The implementation (plugin.cpp) is a plug-in, libeinet_torch.so, that loader.h opens with dlopen, so that everything
 * else builds and runs without libtorch. It exports one symbol of its own, EI_TORCH_ENTRY, that returns a table of
 * functions, and two names of OpenBLAS (blas_guard.h).
 *
 * A tensor handle is a slot: operations assign to their `out` slot whatever it held before, and `out` may be one of the
 * inputs. Every function returns 0 or a negative code, never throws and never aborts; error_text() then says why, for
 * the calling thread. Handles are not locked: one thread at a time per handle. New tensors live on the thread's device
 * (the CPU unless device() said otherwise) in float32. No call is real-time safe; calls from a job are submit sections
 * (rt/section.h).
 */
#ifndef STAGES_TORCH_TORCH_H
#define STAGES_TORCH_TORCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EI_TORCH_ABI 5
#define EI_TORCH_ENTRY "ei_torch_api_get"
#define EI_TORCH_DIMS_MAX 8

struct ei_torch_tensor;    /* opaque */
struct ei_torch_script;    /* opaque: a TorchScript module in evaluation mode, its weights frozen */
struct ei_torch_chain;     /* opaque: a module taken apart */
struct ei_torch_cuda_pool; /* opaque: device memory that captures draw from */
struct ei_torch_capture;   /* opaque: what was recorded, and its hold on the pool's memory */

enum ei_torch_mode {
    EI_TORCH_INFERENCE, /* no gradients can be recorded */
    EI_TORCH_TRAINING
};

/* What the operations of a thread compute in. In bfloat16, convolutions and linear layers narrow what they are given
 * and what follows them stays narrow; parameters, statistics, normalisation across channels and losses are float32. */
enum ei_torch_precision { EI_TORCH_FLOAT32, EI_TORCH_BFLOAT16 };

enum ei_torch_device { EI_TORCH_CPU, EI_TORCH_CUDA };

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

/* One link of a module's chain. */
struct ei_torch_layer {
    char name[96]; /* path from the module, "features.0" */
    char type[48]; /* "Conv2d", or the function that is called */
    char op[24];   /* the same in stages/nn/program.h: "conv2d"; "identity"; "" = none: it stays a module */
    int32_t in_channels, out_channels; /* conv2d, batch_norm, linear */
    int32_t kernel_px, stride_px, padding_px;
    int32_t ceil_mode, bias;
    float p, eps, momentum;
};

/* A layer's tensors; batch_norm has all four. */
enum ei_torch_layer_tensor { EI_TORCH_WEIGHT, EI_TORCH_BIAS, EI_TORCH_RUNNING_MEAN, EI_TORCH_RUNNING_VAR };

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
    int (*tensor_bfloat16)(ei_torch_out);      /* to bfloat16, rounded to nearest even */

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
    int (*precision)(enum ei_torch_precision); /* of the calling thread's operations */
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
    /* Where the calling thread's new tensors are. A device that is not there is an error. */
    int (*device)(enum ei_torch_device);
    /* Distillation (Hinton, Vinyals, Dean 2015): temperature^2 * KL(softmax(teacher / temperature) ||
     * softmax(logits / temperature)), mean over the samples; no gradient reaches the teacher. */
    int (*distill)(ei_torch_in logits, ei_torch_in teacher, float temperature, ei_torch_out);
    /* A tensor as 16-bit numbers and back, for caches: bfloat16 under that precision (then nothing is lost), else IEEE
     * half precision, saturated. Memory order is NHWC where there are 4 dimensions; shape is [n, c, h, w] all the same.
     */
    int (*tensor_read_half)(ei_torch_in, uint16_t *out_data, int64_t count);
    int (*tensor_from_half)(ei_torch_out, const uint16_t *data, const int64_t *shape, int32_t dims);

    /* ---- TorchScript ---- */
    int (*script_load)(const char *path, struct ei_torch_script **out);
    void (*script_destroy)(struct ei_torch_script *); /* NULL is fine */
    int (*script_save)(const struct ei_torch_script *, const char *path);
    int (*script_param_count)(const struct ei_torch_script *, int64_t *out_count); /* numbers in its parameters */
    /* forward(x); x is left as it is even where the module works in place. NULL script: an error. */
    int (*script_forward)(struct ei_torch_script *, ei_torch_in x, ei_torch_out);
    /* Take a module apart whose forward calls one child or function after the other, each on the last one's result, at
     * any depth. Fails when its forward is no such chain. */
    int (*script_chain)(const struct ei_torch_script *, struct ei_torch_chain **out);
    void (*chain_destroy)(struct ei_torch_chain *); /* NULL is fine */
    int32_t (*chain_count)(const struct ei_torch_chain *);
    int (*chain_layer)(const struct ei_torch_chain *, int32_t idx, struct ei_torch_layer *out);
    int (*chain_tensor)(const struct ei_torch_chain *, int32_t idx, enum ei_torch_layer_tensor,
                        ei_torch_out);                                                             /* copy */
    int (*chain_script)(const struct ei_torch_chain *, int32_t idx, struct ei_torch_script **out); /* of op "" only */

    /* ---- CUDA; every call fails, saying why, where libtorch has none ---- */
    /* Devices that there are, at least 1; none, or no driver, is an error. */
    int (*cuda_device_count)(int32_t *out_count);
    /* Device and stream (a cudaStream_t of that device, borrowed; NULL = the default one) of the calling thread's
     * operations on CUDA tensors; new tensors are there after device(EI_TORCH_CUDA). For the whole process, float32
     * operations then compute in float32 (no TF32), and cuDNN measures its kernels when it first meets a shape. */
    int (*cuda_enter)(int32_t device_idx, void *stream);
    int (*cuda_synchronize)(void); /* wait for the calling thread's stream */
    int (*cuda_pool_create)(struct ei_torch_cuda_pool **out);
    void (*cuda_pool_destroy)(struct ei_torch_cuda_pool *); /* NULL is fine. Memory stays as long as captures hold it */
    /* From here to capture_end the calling thread's operations are recorded and not run; their tensors lie in the pool,
     * where later captures of the same pool may reuse what was freed. Not on the default stream. */
    int (*capture_begin)(struct ei_torch_cuda_pool *, struct ei_torch_capture **out);
    /* out_graph: a cudaGraph_t that the caller owns, valid as long as the capture and the tensors it used. */
    int (*capture_end)(struct ei_torch_capture *, void **out_graph);
    void (*capture_destroy)(struct ei_torch_capture *); /* NULL is fine; ends a capture that was not ended */
    int (*tensor_float32)(ei_torch_out);                /* to float32, row major */
    int (*tensor_data)(ei_torch_in, void **out_data);   /* where its numbers lie; float32 and row major only */
    int (*blas_safe)(void); /* 1: several threads may compute at once; 0: not with the BLAS of this process */
};

#ifdef __cplusplus
}
#endif
#endif
