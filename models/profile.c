/* From a request to files: open network and data set, measure, write. */
#include "models/profile.h"

#include "planner/profile_file.h"
#include "stages/nn/safetensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POLL_NS 50000
#define HANG_NS INT64_C(1000000000)

static int write_times(const struct ei_profile_job *job, struct ei_network *net, const struct ei_dataset *dataset,
                       const struct ei_profile_progress *progress, struct einet_error *err)
{
    char path[4096], ending[EI_ET_ENDING_MAX];
    struct ei_et_kernels kernels = {0};
    struct ei_et_profile *et = malloc(sizeof *et);
    int rc = et == NULL ? einet_error_set(err, -ENOMEM, "no memory for a profile")
                        : ei_profile_measure_et(net, dataset, &job->et, progress, et, err);
    if (rc == 0) {
        rc = ei_profile_kernels(net, &kernels, err);
    }
    if (rc == 0) {
        ei_et_profile_ending(job->backend == EI_NETWORK_CUDA, job->et.sms, ending);
        snprintf(path, sizeof path, "%.4070s%s", job->out_prefix, ending);
        rc = ei_et_profile_write_kernels(path, et, &kernels, err);
    }
    ei_et_kernels_fini(&kernels);
    free(et);
    return rc;
}

static int write_scores(const struct ei_profile_job *job, const struct ei_cs_profile *cs, struct einet_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%.4080s.cs", job->out_prefix);
    return ei_cs_profile_write(path, cs, err);
}

static int measure_and_write(const struct ei_profile_job *job, struct ei_network *net, const struct ei_dataset *dataset,
                             const struct ei_profile_progress *progress, struct einet_error *err)
{
    int rc = job->measure_et ? write_times(job, net, dataset, progress, err) : 0;
    if (rc == 0 && job->measure_cs) {
        struct ei_cs_profile cs = {0};
        rc = ei_profile_measure_cs(net, dataset, progress, &cs, err);
        if (rc == 0) {
            rc = write_scores(job, &cs, err);
            ei_cs_profile_fini(&cs);
        }
    }
    return rc;
}

/* The network's name as the weights say, when the caller did not. */
static int zoo_name(const struct ei_profile_job *job, char *out, size_t size_bytes, struct einet_error *err)
{
    if (job->zoo != NULL) {
        snprintf(out, size_bytes, "%s", job->zoo);
        return 0;
    }
    struct ei_safetensors *file;
    const int rc = ei_safetensors_open(job->weights_path, &file, err);
    if (rc != 0) {
        return rc;
    }
    const char *name = ei_safetensors_metadata(file, "zoo");
    snprintf(out, size_bytes, "%s", name != NULL ? name : "");
    ei_safetensors_close(file);
    return name != NULL ? 0
                        : einet_error_set_at(err, EINET_E_FILE, job->weights_path, 0, 0,
                                             "does not say of which network it is; name it with --model");
}

/* As a lane has it, but for merging: a profile is of single blocks. */
static struct ei_network_cuda_settings cuda_settings(const struct ei_profile_job *job)
{
    return (struct ei_network_cuda_settings){.device_idx = job->et.device_idx,
                                             .priority = job->et.priority,
                                             .depth = 1,
                                             .wait = job->wait,
                                             .poll_ns = POLL_NS,
                                             .hang_ns = HANG_NS,
                                             .merge_below_ns = 1,
                                             .sms = job->et.sms};
}

static int open_network(void *context, const struct ei_network_choice *choice, struct ei_network **out,
                        struct einet_error *err)
{
    const struct ei_profile_job *job = context;
    if (job->bundle_dir != NULL) {
        const struct ei_network_bundle_config config = {.dir = job->bundle_dir,
                                                        .dataset = job->dataset,
                                                        .threads = job->et.threads,
                                                        .backend = job->backend,
                                                        .choice = choice,
                                                        .cuda = cuda_settings(job)};
        return job->precision == EI_NETWORK_FLOAT32
                   ? ei_network_open_bundle(&config, out, err)
                   : einet_error_set(err, EINET_E_USAGE,
                                     "a bundle runs in the precision that it was made in; leave out --precision");
    }
    char zoo[64];
    const int rc = zoo_name(job, zoo, sizeof zoo, err);
    const struct ei_network_zoo_config config = {.zoo = zoo,
                                                 .weights_path = job->weights_path,
                                                 .dataset = job->dataset,
                                                 .threads = job->et.threads,
                                                 .precision = job->precision,
                                                 .backend = job->backend,
                                                 .choice = choice,
                                                 .cuda = cuda_settings(job)};
    return rc == 0 ? ei_network_open_zoo(&config, out, err) : rc;
}

/* Tuned, then measured. The scores that decided are those that are written. */
static int tune_and_write(struct ei_profile_job *job, const struct ei_dataset *dataset,
                          const struct ei_profile_progress *progress, struct einet_error *err)
{
    const struct ei_profile_opener opener = {open_network, job};
    const struct ei_network_choice exact = {.tune = job->tune};
    struct ei_network *net = NULL;
    struct ei_cs_profile cs = {0};
    int rc = 0;
    const bool is_other = job->backend == EI_NETWORK_ATEN || job->backend == EI_NETWORK_CUDA;
    if (is_other || (!job->measure_cs && job->tune != EI_NETWORK_TUNE_EXACT)) {
        rc = einet_error_set(err, EINET_E_USAGE,
                             is_other
                                 ? "--tune chooses kernels of oneDNN: leave out --backend aten or cuda"
                                 : "kernels that round otherwise are kept only where the scores say that it does no "
                                   "harm: leave out --only et, or give --tune exact");
    }
    if (rc == 0) {
        rc = job->tune == EI_NETWORK_TUNE_EXACT
                 ? open_network(job, &exact, &net, err)
                 : ei_profile_tune(&opener, job->tune, dataset, progress, &net, &cs, err);
    }
    if (rc == 0 && job->tune == EI_NETWORK_TUNE_EXACT) {
        rc = measure_and_write(job, net, dataset, progress, err);
    } else if (rc == 0) {
        rc = job->measure_et ? write_times(job, net, dataset, progress, err) : 0;
        rc = rc == 0 ? write_scores(job, &cs, err) : rc;
    }
    ei_cs_profile_fini(&cs);
    ei_network_destroy(net);
    return rc;
}

int ei_profile_run(const struct ei_profile_job *job, const struct ei_profile_progress *progress,
                   struct einet_error *err)
{
    struct ei_dataset *dataset = NULL;
    struct ei_network *net = NULL;
    struct ei_profile_job copy = *job; /* a context is not const */
    if (job->et.sms != 0 && job->backend != EI_NETWORK_CUDA) {
        return einet_error_set(err, EINET_E_USAGE, "--sms is of multiprocessors of a GPU: add --backend cuda");
    }
    int rc = ei_dataset_open(job->dataset, EI_SPLIT_TEST, job->data_root, &dataset, err);
    if (rc == 0 && job->tune != EI_NETWORK_TUNE_NONE) {
        rc = tune_and_write(&copy, dataset, progress, err);
    } else if (rc == 0) {
        rc = open_network(&copy, NULL, &net, err);
        rc = rc == 0 ? measure_and_write(job, net, dataset, progress, err) : rc;
    }
    ei_network_destroy(net);
    ei_dataset_destroy(dataset);
    return rc;
}
