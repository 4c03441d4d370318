/* What every loader fills: the inside of a data set, private to workloads/dataset*.c, generated.c and images.c.
 *
 * Either all samples have one size and lie at a fixed stride in one buffer (stride_bytes > 0), or `files` gives each
 * one its place. One buffer holds everything, so that it can be prefaulted in one go.
 */
#ifndef WORKLOADS_DATASET_STORAGE_H
#define WORKLOADS_DATASET_STORAGE_H

#include "workloads/dataset.h"
#include <stddef.h>

struct ei_dataset_file {
    size_t offset_bytes;
    size_t size_bytes;
    enum einet_pixel_format format;
    int32_t width_px, height_px, channels;
};

struct ei_dataset {
    struct ei_dataset_info info;
    uint8_t *buffer; /* owned */
    size_t buffer_bytes;
    size_t first_bytes;  /* of sample 0's pixels */
    size_t stride_bytes; /* from one sample's pixels to the next; 0: see files */
    size_t sample_bytes;
    int32_t *labels;               /* [count], owned; NULL = unlabelled */
    struct ei_dataset_file *files; /* [count], owned; NULL with a fixed stride */
    char **owned_names;            /* [classes], owned with their texts; NULL when the names are constants */
};

/* Allocate the set with a zeroed buffer and labels (-1); info.count must be >= 1 and final.
 * Returns 0 or -ENOMEM with err. */
int ei_dataset_storage_create(const struct ei_dataset_info *info, size_t buffer_bytes, struct ei_dataset **out,
                              struct einet_error *err);

/* Read a whole regular file of exactly size_bytes into dst; a wrong size is EINET_E_FILE with the byte position where
 * the file ends or should have ended. remedy: a sentence for the reader of the message. */
int ei_dataset_read_file(const char *path, uint8_t *dst, size_t size_bytes, const char *remedy,
                         struct einet_error *err);

/* The loaders behind ei_dataset_open; root is resolved. */
int ei_dataset_open_mnist(enum ei_dataset_split split, const char *root, struct ei_dataset **out,
                          struct einet_error *err);
int ei_dataset_open_cifar(int classes, enum ei_dataset_split split, const char *root, struct ei_dataset **out,
                          struct einet_error *err);

#endif
