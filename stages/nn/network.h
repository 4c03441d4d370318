/* A multi-exit network that runs block by block, for one job at a time.
 *
 *     begin --> run_conv(0) --> run_branch(0)? --> run_conv(1) --> run_branch(1)? --> ... --> end
 *
 * Conv parts run in order; a branch may run after its own conv part and before the next one, or be left out. `end` may
 * come at any point and drops the job's activations. A network on a CUDA device may be cut finer, into pieces of parts
 * (ei_network_run_piece). One instance serves one job at a time; calls of one instance are
 * serialised by its owner (the lane), but may come from several threads over time, each of which calls thread_enter
 * once first. Several instances run in parallel. Backends: `aten` (any network, on libtorch), `dnnl` (networks of
 * layers, prepared once on oneDNN: faster, and without libtorch), `cuda` (CUDA graphs on a GPU, during which the
 * calling thread sleeps), `emulate` (burns the profiled time and answers right with the profiled probability; no
 * library needed) and `own` (functions of the program that embeds the run).
 */
#ifndef STAGES_NN_NETWORK_H
#define STAGES_NN_NETWORK_H

#include "stages/cuda/cuda.h"

#include <einet/attributes.h>
#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_NETWORK_BLOCKS_MAX 64
#define EI_NETWORK_CLASSES_MAX 1024
#define EI_NETWORK_SIDE_MAX 16384 /* pixels, of the input of an own network */

struct ei_network; /* opaque */

/* Of weights and activations. In bfloat16, convolutions, linear layers and what follows them compute on 16-bit numbers
 * (8 bits of mantissa): half the memory, less time, another rounding. Logits are float32 in any case. */
enum ei_network_precision { EI_NETWORK_FLOAT32, EI_NETWORK_BFLOAT16 };

/* What computes a network of the zoo or a bundle. DNNL: oneDNN, and libtorch for the parts that oneDNN does not run.
 * AUTO: that where it can, else aten. info.backend says which it was. */
enum ei_network_backend_kind { EI_NETWORK_ATEN, EI_NETWORK_DNNL, EI_NETWORK_AUTO, EI_NETWORK_CUDA };

/* How a network runs on a CUDA device; see struct ei_cuda_parts_config. */
struct ei_network_cuda_settings {
    int32_t device_idx, priority, depth;
    enum ei_cuda_wait wait;
    int64_t poll_ns, hang_ns, merge_below_ns;
    int32_t sms, lane_idx;   /* SMs that belong to that lane alone; sms 0 = all, with others */
    int64_t split_above_ns;  /* parts that take longer there are cut into pieces that do not; 0 = none is */
    bool is_input_on_device; /* inputs come by begin_device; what begin is given is not looked at */
    enum ei_cuda_signal signal;
};

struct ei_network_block_info {
    int64_t conv_params, conv_macs;     /* of the conv part */
    int64_t branch_params, branch_macs; /* of the exit */
};

struct ei_network_info {
    char name[32];    /* "b-alexnet", or "emulate" */
    char backend[16]; /* "aten", "dnnl", "dnnl+aten" (parts on each), "cuda", "emulate", "emulate on cuda", "own" */
    char backend_note[400];  /* why AUTO took aten; which parts aten runs and why; which scripts became layers; or "" */
    char dataset[32];        /* it was trained on; "" unknown */
    char weights_sha256[65]; /* hexadecimal; "" for emulate */
    enum ei_network_precision precision;
    int32_t exits; /* blocks, 1 .. EI_NETWORK_BLOCKS_MAX */
    int32_t classes;
    int32_t channels, height_px, width_px;      /* of the input */
    float norm_mean[3], norm_std[3];            /* per channel on the 0..1 scale: what `normalize` has to apply */
    float exit_accuracy[EI_NETWORK_BLOCKS_MAX]; /* 0..1 on the test split, recorded at training; -1 unknown */
    struct ei_network_block_info block[EI_NETWORK_BLOCKS_MAX]; /* zeros for emulate */
};

/* Kernels of dnnl by measuring: which it may choose among, each level those of the former, too. EXACT multiply the
 * numbers as they are; WINOGRAD transforms tiles, which rounds otherwise; BFLOAT16 computes single layers on 16 bits.
 */
enum ei_network_tune {
    EI_NETWORK_TUNE_NONE,
    EI_NETWORK_TUNE_EXACT,
    EI_NETWORK_TUNE_WINOGRAD,
    EI_NETWORK_TUNE_BFLOAT16
};

#define EI_NETWORK_KERNEL_MAX 48

/* The kernel of one operation, where it is not the first choice (docs/backends.md). */
struct ei_network_kernel {
    int32_t block_idx, branch, op_idx; /* from 0; op_idx inside the conv part (branch 0) or branch (1) */
    char name[EI_NETWORK_KERNEL_MAX];  /* as step_kernel of dnnl.h says, or "bfloat16" */
};

/* How dnnl comes to its kernels: as listed, which is the same every time, or by measuring at load. */
struct ei_network_choice {
    enum ei_network_tune tune; /* not NONE: the list is not looked at */
    const struct ei_network_kernel *kernels;
    int32_t kernel_count;
    const char *weights_sha256; /* that they were chosen for; NULL or "" = any */
};

struct ei_network_zoo_config {
    const char *zoo;          /* "b-alexnet" (zoo.h) */
    const char *weights_path; /* safetensors file; of the network itself, or of one that has all of its parameters, as
                               * "b-alexnet" has those of "b-alexnet-classic" (weights_map.h) */
    const char *dataset;      /* the weights must have been trained on it; NULL = any */
    int32_t classes;          /* expected; 0 = as the weights say */
    int32_t channels;         /* expected, 1 or 3; 0 = as the weights say */
    int32_t threads;          /* inside an operation, >= 1; 1 unless the workers were placed on purpose */
    enum ei_network_precision precision; /* a thread runs networks of one precision: that of its last thread_enter */
    enum ei_network_backend_kind backend;
    const struct ei_network_choice *choice; /* NULL = first choices; aten has none */
    struct ei_network_cuda_settings cuda;   /* backend CUDA alone */
};

/* Load a network of the zoo. The weights become fp32 or bfloat16 and stay in memory; the first inference still warms
 * caches inside libtorch, so run one before real time starts. On dnnl the calling thread's OpenMP work is set to
 * `threads` from then on, since oneDNN fixes it when it prepares. Returns 0; EINET_E_USAGE (no such network);
 * EINET_E_FILE (weights unreadable or malformed, the error names the file); EINET_E_MISMATCH (weights of another
 * network, data set, class count or shape, or a choice for other weights or of a kernel that is not there, named);
 * EINET_E_BACKEND (libtorch, oneDNN or the plug-in missing: the error says which package to install); -ENOMEM. Thread:
 * any, not real-time safe. */
int ei_network_open_zoo(const struct ei_network_zoo_config *config, struct ei_network **out, struct einet_error *err);

struct ei_network_bundle_config {
    const char *dir;     /* folder with manifest.json (docs/bundles.md) */
    const char *dataset; /* the bundle must have been trained on it; NULL = any */
    int32_t classes;     /* expected; 0 = as the manifest says */
    int32_t channels;    /* expected; 0 = as the manifest says */
    int32_t threads;     /* inside an operation, >= 1; 1 unless the workers were placed on purpose */
    enum ei_network_backend_kind backend;
    const struct ei_network_choice *choice; /* as of zoo_config */
    struct ei_network_cuda_settings cuda;   /* backend CUDA alone */
};

/* Load a bundle: a network that a user brought, of layers, TorchScript parts or both. The parts are run once on zeros
 * to learn their shapes. Its info.weights_sha256 is one hash over the manifest and every file that it names. Returns 0;
 * EINET_E_USAGE (threads); EINET_E_FILE (manifest or a part missing or malformed: the error names file, block, part and
 * key); EINET_E_MISMATCH (parts that do not fit each other, or not what was expected); EINET_E_BACKEND (libtorch or the
 * plug-in missing); -ENOMEM. Thread: any, not real-time safe. */
int ei_network_open_bundle(const struct ei_network_bundle_config *config, struct ei_network **out,
                           struct einet_error *err);

struct ei_network_emulate_config {
    int32_t exits, classes;                     /* classes >= 2 */
    int32_t channels, height_px, width_px;      /* accepted input, not looked at */
    int64_t conv_ns[EI_NETWORK_BLOCKS_MAX];     /* median processor time of each conv part, >= 0 */
    int64_t conv_p99_ns[EI_NETWORK_BLOCKS_MAX]; /* lognormal when above the median; else every time is the median */
    int64_t branch_ns[EI_NETWORK_BLOCKS_MAX];   /* the same of each exit */
    int64_t branch_p99_ns[EI_NETWORK_BLOCKS_MAX];
    float score[EI_NETWORK_BLOCKS_MAX];   /* 0..1: probability of a right answer, and its confidence */
    uint64_t seed;                        /* which samples come out right is a function of seed and sample_idx */
    bool is_on_cuda;                      /* the times pass on a device, and the calling thread sleeps meanwhile */
    struct ei_network_cuda_settings cuda; /* is_on_cuda alone */
};

/* A stand-in that spins for the given times. Time in which the thread was preempted does not count as work. Exits agree
 * on what is easy: a sample that is right at one exit is right at every exit of higher score.
 * Returns 0, EINET_E_USAGE (a value out of range, named), -ENOMEM; on a device also EINET_E_BACKEND (no plug-in, no
 * device, or it refused). Thread: any. */
int ei_network_open_emulate(const struct ei_network_emulate_config *config, struct ei_network **out,
                            struct einet_error *err);

/* A network that functions compute. Each returns 0 or more, or a negative code, of which a call of this network returns
 * EINET_E_BACKEND and its fault text says what and where. All but open and close are called in submit sections. */
struct ei_network_own_config {
    const char *name; /* copied */
    int32_t exits, classes;
    int32_t channels, height_px, width_px; /* all 0: begin is given no input */
    float norm_mean[3], norm_std[3];       /* an std of 0 counts as 1 */
    const float *mean_score;               /* [exits] 0..1, copied; NULL = unknown */
    bool gives_probabilities;              /* else logits */
    void *context;                         /* of all functions */
    int (*open)(void *context);            /* NULL = nothing to do, as the next two and `end` */
    void (*close)(void *context);          /* when it is destroyed */
    int (*begin)(void *context, const float *input_chw);
    int (*run_block)(void *context, int32_t block_idx);
    int (*run_exit)(void *context, int32_t exit_idx, float *out_scores, float *out_confidence);
    void (*end)(void *context);
};

/* Whether its numbers are in their ranges and the functions that it needs are there. Returns 0 or EINET_E_USAGE, with
 * what is wrong. */
int ei_network_check_own(const struct ei_network_own_config *config, struct einet_error *err);

/* Returns 0, EINET_E_USAGE, EINET_E_BACKEND (its open failed) or -ENOMEM. Thread: any. */
int ei_network_open_own(const struct ei_network_own_config *config, struct ei_network **out, struct einet_error *err);

/* Facts about it, borrowed until destroy. Thread: any. */
EINET_RT const struct ei_network_info *ei_network_info(const struct ei_network *net);

/* The kernels that were chosen, up to `room` of them to out. Returns how many there are; 0 where all are first choices,
 * and for other backends. Thread: any. */
int32_t ei_network_kernels(const struct ei_network *net, struct ei_network_kernel *out, int32_t room);

/* Once in each thread that will run blocks, before its first begin (libtorch keeps its modes per thread).
 * Returns 0 or EINET_E_BACKEND. Not real-time safe. */
int ei_network_thread_enter(struct ei_network *net);

/* Start a job. input_chw: float [channels * height_px * width_px], normalized, copied. sample_idx, label: of the data
 * set, -1 unknown; only `emulate` looks at them. Drops what an unfinished job left. Returns 0 or EINET_E_BACKEND.
 * A submit section for aten, EINET_RT for emulate; the same holds for the calls below. */
EINET_RT_SUBMIT int ei_network_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label);

/* Start a job whose input lies on the network's device, which was opened for that: float [channels * height_px *
 * width_px], normalized, borrowed until end. event: a cudaEvent_t that has to come before it is read; NULL = none.
 * Returns 0, EINET_E_BACKEND, or -EINVAL: no network on a device. */
EINET_RT_SUBMIT int ei_network_begin_device(struct ei_network *net, const void *input, void *event);

/* Conv part block_idx (from 0, in order). Returns 0, -EINVAL (out of order), EINET_E_BACKEND. */
EINET_RT_SUBMIT int ei_network_run_conv(struct ei_network *net, int32_t block_idx);

/* The exit of the last conv part that ran. out_logits: float [classes]. Returns 0, -EINVAL, EINET_E_BACKEND. */
EINET_RT_SUBMIT int ei_network_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits);

/* How sure the exit that ran last is: what the network itself says, else the probability, as softmax has it. */
EINET_RT float ei_network_confidence(const struct ei_network *net, float probability);

/* Pieces into which the part was cut, in order; 1 = it was not. Fixed when the network is opened. Thread: any. */
EINET_RT int32_t ei_network_piece_count(const struct ei_network *net, int32_t block_idx, bool is_branch);

/* The next piece of the next conv part, or of the branch of the last conv part that is complete. Between two of them
 * anything may happen that may happen between parts: other instances run, the other of these two goes on first (the
 * branch of the last complete conv part does not need the one in progress), `end`, `begin`. run_conv and run_branch run
 * what is left of a part. out_logits: of the last piece of a branch alone. Returns like run_conv. */
EINET_RT_SUBMIT int ei_network_run_piece(struct ei_network *net, int32_t block_idx, bool is_branch, int32_t piece_idx,
                                         float *out_logits);

/* End the job. */
EINET_RT_SUBMIT void ei_network_end(struct ei_network *net);

/* The whole network with every exit as one submission: the reference of the block-by-block calls. out_logits: float
 * [exits * classes]. Returns like run_conv. */
EINET_RT_SUBMIT int ei_network_run_monolithic(struct ei_network *net, const float *input_chw, float *out_logits);

/* Whether its device is lost, hung or broken: every further call fails at once. Never for backends of the CPU.
 * Thread: any. */
EINET_RT bool ei_network_is_lost(const struct ei_network *net);

/* What a part takes on its device when nothing else runs there, measured when it was opened; -1 where only running it
 * tells. Thread: any. */
EINET_RT int64_t ei_network_part_ns(const struct ei_network *net, int32_t block_idx, bool is_branch);

/* A layer that cannot be cut. */
struct ei_network_layer {
    int32_t block_idx;
    bool is_branch;
    char name[EI_CUDA_LAYER_NAME_MAX]; /* "conv2d, operation 3"; "" = not known */
};

/* The layer that takes longest of those that alone are longer than split_above_ns. Returns its time on the device; 0 =
 * there is none, and *out is left as it is. Thread: any. */
int64_t ei_network_uncut(const struct ei_network *net, struct ei_network_layer *out);

/* What the last failed run call said; "" when none failed. Thread: the one that failed, or its owner after it. */
const char *ei_network_fault_text(const struct ei_network *net);

/* Free it; NULL is fine. No thread may be inside a call. */
void ei_network_destroy(struct ei_network *net);

#endif
