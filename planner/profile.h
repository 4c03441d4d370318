/* What the planner knows of a network: block times on one machine (ET-profile) and scores on one data set (CS-profile).
 *
 * Value types; the source is EINet (Huang, Gao, Dong; ICDCS 2023), sections on ET- and CS-profiles. Exits, conv parts
 * and branches count from 0 here, in files and in exit masks (bit i = branch i); texts for people count from exit 1.
 * Profiles are immutable once filled and may then be read by any thread. Files: planner/profile_file.h.
 */
#ifndef PLANNER_PROFILE_H
#define PLANNER_PROFILE_H

#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_EXITS_MAX 64
#define EI_EXIT_NONE (-1)

#define EI_PROFILE_TEXT_MAX 128                       /* bytes of a metadata text with its 0 */
#define EI_SHA256_TEXT_MAX 65                         /* 64 lower-case hexadecimal digits and 0 */
#define EI_PROFILE_TIME_NS_MAX INT64_C(1000000000000) /* 1000 s: the longest conv part or branch */
#define EI_CS_SAMPLES_MAX 10000000                    /* samples of one CS-profile */
#define EI_CS_CLASSES_MAX 65536                       /* labels are u16 */
#define EI_CS_CONFIDENCE_ONE 65535.0F                 /* stored confidence that stands for 1 */

/* Of weights and activations while it was measured; logits are float32 always. */
enum ei_profile_precision { EI_PROFILE_FLOAT32, EI_PROFILE_BFLOAT16 };

/* "float32", "bfloat16", NULL for none. */
const char *ei_profile_precision_name(enum ei_profile_precision precision);

/* ---- times ---- */

struct ei_time_stats {
    int64_t p50_ns, p99_ns, max_ns; /* 0 <= p50 <= p99 <= max <= EI_PROFILE_TIME_NS_MAX */
};

enum ei_et_mode {
    EI_ET_SEQUENTIAL, /* blocks measured one after the other, caches warm from the block before */
    EI_ET_COLD        /* caches and branch predictors emptied before each block: what a job meets after a preemption */
};

enum ei_et_policy { EI_ET_OTHER, EI_ET_FIFO };      /* SCHED_OTHER; SCHED_FIFO as a live lane */
enum ei_et_memory { EI_ET_PAGEABLE, EI_ET_LOCKED }; /* whether mlockall was granted */

#define EI_ET_PRIORITY_MAX 99

/* ET-profile: per network, machine, lane, thread count and scheduling. */
struct ei_et_profile {
    int32_t exits;   /* 1..EI_EXITS_MAX */
    int32_t threads; /* >= 1, that computed one block */
    int64_t samples; /* >= 1, measured runs behind each figure */
    enum ei_et_mode mode;
    enum ei_et_policy policy;
    int32_t priority; /* 1..EI_ET_PRIORITY_MAX with FIFO, 0 with OTHER */
    enum ei_et_memory memory;
    enum ei_profile_precision precision;
    char network[EI_PROFILE_TEXT_MAX];         /* zoo name, "b-alexnet"; no control characters, not empty */
    char weights_sha256[EI_SHA256_TEXT_MAX];   /* "" = the times are of no particular weights (emulated) */
    char machine[EI_PROFILE_TEXT_MAX];         /* fingerprint of the machine, free text */
    char cpu_model[EI_PROFILE_TEXT_MAX];       /* this and the next three: "" = not known */
    char kernel[EI_PROFILE_TEXT_MAX];          /* release, version and machine */
    char governor[EI_PROFILE_TEXT_MAX];        /* of the CPU's frequency, "performance" */
    char backend[EI_PROFILE_TEXT_MAX];         /* "aten, libtorch 1.13.0" */
    char lane[EI_PROFILE_TEXT_MAX];            /* "cpu", "cuda:0", "cuda:0 sms:32" */
    char cpus[EI_PROFILE_TEXT_MAX];            /* pinned to, in the kernel's list form, "1"; "" = not pinned */
    struct ei_time_stats conv[EI_EXITS_MAX];   /* conv part i */
    struct ei_time_stats branch[EI_EXITS_MAX]; /* branch i, publishing included */
};

#define EI_ET_KERNEL_MAX 48
#define EI_ET_KERNELS_MAX 4096

/* How one operation of a network was computed, where its library's first choice was not the fastest. */
struct ei_et_kernel {
    int32_t exit_idx, branch, op_idx; /* from 0; op_idx within conv part (branch 0) or branch (1) */
    char name[EI_ET_KERNEL_MAX];      /* letters, digits and _:.+- */
};

/* Those of one profile, in walking order. */
struct ei_et_kernels {
    int32_t count;             /* 0..EI_ET_KERNELS_MAX */
    struct ei_et_kernel *list; /* owned */
};

void ei_et_kernels_fini(struct ei_et_kernels *kernels); /* zeroed is fine */

enum ei_time_quantile { EI_TIME_P50, EI_TIME_P99, EI_TIME_MAX };

/* Copy one quantile to out_conv_ns[exits] and out_branch_ns[exits]. Real-time safe, any thread. */
EINET_RT void ei_et_profile_times(const struct ei_et_profile *profile, enum ei_time_quantile quantile,
                                  int64_t *out_conv_ns, int64_t *out_branch_ns);

/* sum conv + sum branch at a quantile: the H of the paper. Real-time safe, any thread. */
EINET_RT int64_t ei_et_profile_total_ns(const struct ei_et_profile *profile, enum ei_time_quantile quantile);

/* Write profile->lane: "cuda:0", or "cuda:0 sms:32" where 32 multiprocessors of the device were asked for; sms 0 = all
 * of them. */
void ei_et_profile_set_device(struct ei_et_profile *profile, int32_t device_idx, int32_t sms);

/* Whether the times are of such a lane: of a CPU, or of a device and as many multiprocessors, whatever its number.
 * Returns 0 or EINET_E_MISMATCH, both sides named. */
int ei_et_profile_match_lane(const struct ei_et_profile *profile, bool is_cuda, int32_t sms, struct einet_error *err);

/* Check every field. Returns 0, EINET_E_LIMIT (too many exits) or EINET_E_USAGE with the field named in err. */
int ei_et_profile_check(const struct ei_et_profile *profile, struct einet_error *err);

/* ---- scores ---- */

/* CS-profile: what each exit answered for each sample of a split. Arrays are sample-major: [sample * exits + exit]. */
struct ei_cs_profile {
    int32_t exits;   /* 1..EI_EXITS_MAX */
    int32_t samples; /* 1..EI_CS_SAMPLES_MAX */
    int32_t classes; /* 2..EI_CS_CLASSES_MAX */
    enum ei_profile_precision precision;
    char network[EI_PROFILE_TEXT_MAX];
    char dataset[EI_PROFILE_TEXT_MAX]; /* "cifar10" */
    char split[EI_PROFILE_TEXT_MAX];   /* "test" */
    char weights_sha256[EI_SHA256_TEXT_MAX];
    float mean_score[EI_EXITS_MAX]; /* mean confidence, 0..1; set by ei_cs_profile_summarize */
    float accuracy[EI_EXITS_MAX];   /* share of samples whose top label is the label; likewise */
    uint16_t *label;                /* owned; [samples], true class < classes */
    uint16_t *confidence;           /* owned; [samples * exits], max softmax in 1/65535 */
    uint16_t *top_label;            /* owned; [samples * exits], answered class < classes */
};

/* Allocate the arrays, all zero; texts are empty. Returns 0; EINET_E_LIMIT or EINET_E_USAGE (a count out of range,
 * named); -ENOMEM. On error there is nothing to undo. Not real-time safe. */
int ei_cs_profile_init(struct ei_cs_profile *profile, int32_t exits, int32_t samples, int32_t classes,
                       struct einet_error *err);

/* Free the arrays; a zeroed profile is fine. */
void ei_cs_profile_fini(struct ei_cs_profile *profile);

/* Record one answer. Returns 0, or -EINVAL (index, class, or confidence not within 0..1; NaN is not). */
int ei_cs_profile_set(struct ei_cs_profile *profile, int32_t sample, int32_t exit, float confidence, int32_t top_label);

/* Compute mean_score and accuracy from the arrays. */
void ei_cs_profile_summarize(struct ei_cs_profile *profile);

/* Check every field and array element. Returns 0, EINET_E_LIMIT or EINET_E_USAGE with the field named in err. */
int ei_cs_profile_check(const struct ei_cs_profile *profile, struct einet_error *err);

/* Confidence 0..1 of one answer. Real-time safe, any thread. */
EINET_RT float ei_cs_profile_score(const struct ei_cs_profile *profile, int32_t sample, int32_t exit);

/* ---- belonging together ---- */

/* Whether profiles and weights belong together: network names, exits and, where both sides name it, weights_sha256.
 * network and weights_sha256 are those of the network about to run; exits is its number of exits. NULL and "" match
 * anything. Returns 0 or EINET_E_MISMATCH with the field and both values in err. */
int ei_et_profile_match(const struct ei_et_profile *profile, const char *network, int32_t exits,
                        const char *weights_sha256, struct einet_error *err);
int ei_cs_profile_match(const struct ei_cs_profile *profile, const char *network, int32_t exits,
                        const char *weights_sha256, struct einet_error *err);

#endif
