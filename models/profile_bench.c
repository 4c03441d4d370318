/* Opening, feeding and closing; see profile_bench.h. */
#include "models/profile_bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ei_profile_bench_close(struct ei_profile_bench *b)
{
    ei_pre_destroy(b->pre);
    free(b->input);
    free(b->logits);
}

int ei_profile_bench_open(struct ei_profile_bench *b, struct ei_network *net, const struct ei_dataset *dataset,
                          struct einet_error *err)
{
    const struct ei_network_info *n = ei_network_info(net);
    const struct ei_dataset_info *d = ei_dataset_info(dataset);
    *b = (struct ei_profile_bench){.net = net, .info = n, .dataset = dataset};
    if (d->width_px != n->width_px || d->height_px != n->height_px || d->channels != n->channels ||
        d->classes != n->classes) {
        return einet_error_set(err, EINET_E_MISMATCH, "%s has %dx%dx%d pictures in %d classes, %s takes %dx%dx%d in %d",
                               d->name, d->width_px, d->height_px, d->channels, d->classes, n->name, n->width_px,
                               n->height_px, n->channels, n->classes);
    }
    struct ei_pre_config config = {.ops = {EI_PRE_DECODE, EI_PRE_NORMALIZE},
                                   .op_count = 2,
                                   .input_width_max_px = d->width_px,
                                   .input_height_max_px = d->height_px,
                                   .width_px = n->width_px,
                                   .height_px = n->height_px,
                                   .channels = n->channels};
    memcpy(config.mean, n->norm_mean, sizeof config.mean);
    for (int c = 0; c < 3; c++) {
        config.std[c] = c < n->channels ? n->norm_std[c] : 1.0F;
    }
    b->input = malloc((size_t)n->channels * (size_t)n->height_px * (size_t)n->width_px * sizeof *b->input);
    b->logits = malloc((size_t)n->classes * sizeof *b->logits);
    if (b->input == NULL || b->logits == NULL) {
        ei_profile_bench_close(b);
        return einet_error_set(err, -ENOMEM, "no memory for a profile");
    }
    int rc = ei_pre_create(&config, &b->pre, err);
    if (rc == 0) {
        rc = ei_network_thread_enter(net);
        if (rc != 0) {
            einet_error_set(err, rc, "the network could not enter its thread: %s", ei_network_fault_text(net));
        }
    }
    if (rc != 0) {
        ei_profile_bench_close(b);
    }
    return rc;
}

int ei_profile_bench_begin(struct ei_profile_bench *b, int32_t idx, int32_t *out_label)
{
    struct einet_image image;
    int rc = ei_dataset_sample(b->dataset, idx, &image, out_label);
    if (rc == 0) {
        rc = ei_pre_run(b->pre, &image, b->input);
    }
    return rc == 0 ? ei_network_begin(b->net, b->input, idx, *out_label) : rc;
}

int ei_profile_bench_fault(const struct ei_profile_bench *b, int rc, struct einet_error *err)
{
    return einet_error_set(err, rc, "the network failed while it was measured: %s", ei_network_fault_text(b->net));
}

int ei_profile_report(const struct ei_profile_progress *progress, const char *phase, int64_t done, int64_t total,
                      struct einet_error *err)
{
    if (progress != NULL && progress->stop != NULL && *progress->stop != 0) {
        return einet_error_set(err, -EINTR, "stopped; nothing was written");
    }
    if (progress != NULL && progress->report != NULL) {
        progress->report(progress->context, phase, done, total);
    }
    return 0;
}
