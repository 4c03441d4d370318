/* Opening by name, access to samples, and the storage that the loaders share. See dataset.h. */
#include "workloads/dataset.h"
#include "workloads/dataset_storage.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GENERATED_TRAIN_COUNT = 40000, GENERATED_TEST_COUNT = 4000, GENERATED_SEED = 1 };

static const char *resolve_root(const char *root)
{
    if (root) {
        return root;
    }
    const char *env = getenv("EINET_DATA");
    return env && env[0] ? env : "data";
}

int ei_dataset_open(const char *name, enum ei_dataset_split split, const char *root, struct ei_dataset **out,
                    struct einet_error *err)
{
    if (split != EI_SPLIT_TRAIN && split != EI_SPLIT_TEST) {
        return einet_error_set(err, EINET_E_USAGE, "data set split %d is neither train nor test", (int)split);
    }
    const char *folder = resolve_root(root);
    if (strcmp(name, "mnist") == 0) {
        return ei_dataset_open_mnist(split, folder, out, err);
    }
    if (strcmp(name, "cifar10") == 0) {
        return ei_dataset_open_cifar(10, split, folder, out, err);
    }
    if (strcmp(name, "cifar100") == 0) {
        return ei_dataset_open_cifar(100, split, folder, out, err);
    }
    if (strcmp(name, "generated") == 0) {
        const int32_t count = split == EI_SPLIT_TRAIN ? GENERATED_TRAIN_COUNT : GENERATED_TEST_COUNT;
        return ei_dataset_open_generated(GENERATED_SEED, split, count, out, err);
    }
    return einet_error_set(err, EINET_E_USAGE,
                           "unknown data set '%s': choose mnist, cifar10, cifar100 or generated, or give a folder of "
                           "images",
                           name);
}

const struct ei_dataset_info *ei_dataset_info(const struct ei_dataset *dataset)
{
    return &dataset->info;
}

EINET_RT int ei_dataset_sample(const struct ei_dataset *dataset, int32_t idx, struct einet_image *out_image,
                               int32_t *out_label)
{
    if (idx < 0 || idx >= dataset->info.count) {
        return -EINVAL;
    }
    if (out_label) {
        *out_label = dataset->labels ? dataset->labels[idx] : -1;
    }
    if (dataset->files) {
        const struct ei_dataset_file *file = &dataset->files[idx];
        *out_image = (struct einet_image){.data = dataset->buffer + file->offset_bytes,
                                          .size_bytes = file->size_bytes,
                                          .format = file->format,
                                          .width_px = file->width_px,
                                          .height_px = file->height_px,
                                          .channels = file->channels};
        return 0;
    }
    *out_image =
        (struct einet_image){.data = dataset->buffer + dataset->first_bytes + (size_t)idx * dataset->stride_bytes,
                             .size_bytes = dataset->sample_bytes,
                             .format = EINET_PIXELS_CHW_U8,
                             .width_px = dataset->info.width_px,
                             .height_px = dataset->info.height_px,
                             .channels = dataset->info.channels};
    return 0;
}

void ei_dataset_destroy(struct ei_dataset *dataset)
{
    if (!dataset) {
        return;
    }
    if (dataset->owned_names) {
        for (int32_t i = 0; i < dataset->info.classes; i++) {
            free(dataset->owned_names[i]);
        }
        free(dataset->owned_names);
    }
    free(dataset->files);
    free(dataset->labels);
    free(dataset->buffer);
    free(dataset);
}

int ei_dataset_storage_create(const struct ei_dataset_info *info, size_t buffer_bytes, struct ei_dataset **out,
                              struct einet_error *err)
{
    struct ei_dataset *dataset = calloc(1, sizeof *dataset);
    if (dataset) {
        dataset->info = *info;
        dataset->buffer_bytes = buffer_bytes;
        dataset->buffer = calloc(buffer_bytes ? buffer_bytes : 1, 1);
        dataset->labels = malloc((size_t)info->count * sizeof *dataset->labels);
    }
    if (!dataset || !dataset->buffer || !dataset->labels) {
        if (dataset) {
            free(dataset->buffer);
            free(dataset->labels);
            free(dataset);
        }
        return einet_error_set(err, -ENOMEM, "no memory for the %s data set: %zu bytes are needed", info->name,
                               buffer_bytes);
    }
    for (int32_t i = 0; i < info->count; i++) {
        dataset->labels[i] = -1;
    }
    *out = dataset;
    return 0;
}

/* A size that differs from what the format prescribes, with the byte where the difference begins. */
static int size_error(const char *path, uint64_t actual_bytes, size_t expected_bytes, const char *remedy,
                      struct einet_error *err)
{
    if (actual_bytes < expected_bytes) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "truncated: ends at byte %" PRIu64 " of %zu; %s",
                                  actual_bytes, expected_bytes, remedy);
    }
    return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                              "trailing data: should end at byte %zu but has %" PRIu64 " bytes; %s", expected_bytes,
                              actual_bytes, remedy);
}

int ei_dataset_read_file(const char *path, uint8_t *dst, size_t size_bytes, const char *remedy, struct einet_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "cannot open: %s; %s", einet_error_text(-errno),
                                  remedy);
    }
    int rc = 0;
    struct stat status;
    size_t done_bytes = 0;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "is not a regular file; %s", remedy);
        goto out_close;
    }
    if ((uint64_t)status.st_size != size_bytes) {
        rc = size_error(path, (uint64_t)status.st_size, size_bytes, remedy, err);
        goto out_close;
    }
    while (done_bytes < size_bytes) {
        const ssize_t got = read(fd, dst + done_bytes, size_bytes - done_bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "cannot read at byte %zu: %s; %s", done_bytes,
                                    einet_error_text(-errno), remedy);
            goto out_close;
        }
        if (got == 0) { /* it shrank while being read */
            rc = size_error(path, done_bytes, size_bytes, remedy, err);
            goto out_close;
        }
        done_bytes += (size_t)got;
    }
out_close:
    close(fd);
    return rc;
}
