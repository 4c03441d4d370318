/* Measuring a network: how long its blocks take on this machine (ET-profile) and what each exit says to every sample of
 * a data set (CS-profile), both through the very backend that runs live, at batch 1. The files are
 * planner/profile_file.h's. Offline code; thread: the caller's, which becomes a thread of the network, and one more for
 * the times.
 *
 * The CS-profile of a shipped network is of the test split: it serves evaluation with known labels. What is fitted to
 * it must be judged on other samples.
 */
#ifndef MODELS_PROFILE_H
#define MODELS_PROFILE_H

#include "planner/profile.h"
#include "stages/nn/network.h"
#include "workloads/dataset.h"

#include <signal.h>
#include <stdio.h>

struct ei_profile_progress {
    void (*report)(void *context, const char *phase, int64_t done, int64_t total); /* NULL = none */
    void (*note)(void *context, const char *text); /* a privilege that was refused, one sentence; NULL = none */
    void *context;
    const volatile sig_atomic_t *stop; /* non-zero: return -EINTR; NULL = never */
};

struct ei_profile_et_config {
    enum ei_et_mode mode; /* cold: a buffer of twice the last-level cache is walked before every part */
    int32_t runs;         /* measured inferences, 1 .. EI_PROFILE_RUNS_MAX, after a tenth of them (>= 10) as warm-up */
    int32_t threads;      /* as the network was opened with; recorded */
    int32_t priority;     /* SCHED_FIFO 1 .. EI_PROFILE_PRIORITY_MAX with memory locked; 0 = SCHED_OTHER, not locked */
    int32_t cpu;          /* where it is pinned; -1 = the last allowed. With more threads, as many CPUs up to it */
    int32_t device_idx;   /* of a network on a CUDA device; recorded */
    int32_t sms;          /* multiprocessors there that it has alone, as it was opened with; 0 = all; recorded */
};

#define EI_PROFILE_RUNS_MAX 1000000
#define EI_PROFILE_PRIORITY_MAX 98 /* 99 is the noise probe's of a run */

/* Time every conv part and branch, branch i including its softmax and arg max, over the data set's samples in turn, on
 * a thread of its own that is pinned and, after the warm-up, scheduled as a live lane is. Every 50 ms of computing it
 * rests for a tenth of them, below the kernel's limit of real-time load. What the kernel refuses goes to progress->note
 * and into the profile (policy, memory), and the measurement goes on without it. Of a network on a CUDA device these
 * are the times until the thread goes on: launch, waiting and wake-up included. Returns 0; EINET_E_USAGE (runs,
 * priority or CPU out of range, cold times of a device); EINET_E_MISMATCH (pictures of another shape, or other
 * classes); EINET_E_BACKEND; -ENOMEM; -EINTR. */
int ei_profile_measure_et(struct ei_network *net, const struct ei_dataset *dataset,
                          const struct ei_profile_et_config *config, const struct ei_profile_progress *progress,
                          struct ei_et_profile *out, struct einet_error *err);

/* Confidence and answer of every exit for every sample. Ended by ei_cs_profile_fini. Returns likewise. */
int ei_profile_measure_cs(struct ei_network *net, const struct ei_dataset *dataset,
                          const struct ei_profile_progress *progress, struct ei_cs_profile *out,
                          struct einet_error *err);

/* "AMD EPYC, 2 CPUs, Linux 6.1.0": processor model, count and kernel. */
void ei_profile_machine(char *out, size_t size_bytes);

struct ei_profile_job {
    const char *weights_path, *zoo; /* zoo NULL = as the weights say */
    const char *bundle_dir;         /* a bundle in place of weights; NULL = none */
    enum ei_network_precision precision;
    enum ei_network_backend_kind backend;
    const char *dataset, *data_root; /* data_root NULL = environment EINET_DATA, else "data" */
    const char *out_prefix;          /* PREFIX.cs and PREFIX with ei_et_profile_ending are written */
    enum ei_cuda_wait wait;          /* backend CUDA: how the end of a part is waited for */
    struct ei_profile_et_config et;
    /* Kernels of dnnl by measuring; they go into the ET-profile. Those that round otherwise, where no exit's accuracy
     * is lower by more than EI_PROFILE_DROP_MAX for it; that is measured, so they need measure_cs. */
    enum ei_network_tune tune;
    bool measure_et, measure_cs;
};

#define EI_PROFILE_DROP_MAX 0.002F /* of all samples: 0.2 points */

/* Opens the network in question with a choice of kernels. */
struct ei_profile_opener {
    int (*open)(void *context, const struct ei_network_choice *choice, struct ei_network **out,
                struct einet_error *err);
    void *context;
};

/* The highest level up to `wanted` whose accuracy at every exit is no more than EI_PROFILE_DROP_MAX below that of
 * oneDNN's first kernels. *out_net, which the caller destroys, and *out_cs, its scores, are of that level. Returns like
 * opening and measuring. */
int ei_profile_tune(const struct ei_profile_opener *opener, enum ei_network_tune wanted,
                    const struct ei_dataset *dataset, const struct ei_profile_progress *progress,
                    struct ei_network **out_net, struct ei_cs_profile *out_cs, struct einet_error *err);

/* The kernels of a network as a profile's, in walking order; ended by ei_et_kernels_fini. Returns 0 or -ENOMEM. */
int ei_profile_kernels(const struct ei_network *net, struct ei_et_kernels *out, struct einet_error *err);

/* Open network and test split, measure, write the files. Returns also what opening and writing return. */
int ei_profile_run(const struct ei_profile_job *job, const struct ei_profile_progress *progress,
                   struct einet_error *err);

/* Print a profile file of either kind as a table. Returns what reading returns. */
int ei_profile_print(const char *path, FILE *out, struct einet_error *err);

#endif
