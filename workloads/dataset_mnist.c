/* MNIST from its four IDX files (LeCun, Cortes, Burges): big-endian header, then bytes. The 28x28 digits are delivered
 * in 32x32 with a border of two zero pixels, as LeNet-5 took them, so that every network of the zoo sees 32x32. */
#include "workloads/dataset_storage.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    IDX_IMAGES_MAGIC = 0x803,
    IDX_LABELS_MAGIC = 0x801,
    IDX_IMAGES_HEADER_BYTES = 16,
    IDX_LABELS_HEADER_BYTES = 8,
    COUNT_MAX = 1000000,
    DIGIT_SIDE_PX = 28,
    SIDE_PX = 32,
    BORDER_PX = (SIDE_PX - DIGIT_SIDE_PX) / 2,
    DIGIT_BYTES = DIGIT_SIDE_PX * DIGIT_SIDE_PX,
    SAMPLE_BYTES = SIDE_PX * SIDE_PX
};

static const char *const digit_names[10] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

static uint32_t big_endian_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The header alone, so that the file's size can be checked before anything is allocated for it. */
static int read_header(const char *path, uint8_t *dst, size_t size_bytes, const char *remedy, struct einet_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "cannot open: %s; %s", einet_error_text(-errno),
                                  remedy);
    }
    ssize_t got;
    do {
        got = read(fd, dst, size_bytes);
    } while (got < 0 && errno == EINTR);
    close(fd);
    if (got != (ssize_t)size_bytes) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                  "truncated: ends at byte %zd inside the %zu byte "
                                  "header; %s",
                                  got < 0 ? 0 : got, size_bytes, remedy);
    }
    return 0;
}

/* Check the images' header. Returns the number of images or an error. */
static int64_t check_images_header(const char *path, const uint8_t *header, const char *remedy, struct einet_error *err)
{
    const uint32_t magic = big_endian_u32(header), count = big_endian_u32(header + 4);
    const uint32_t rows = big_endian_u32(header + 8), columns = big_endian_u32(header + 12);
    if (magic != IDX_IMAGES_MAGIC) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                  "byte 0: magic number 0x%08x is not 0x%08x of IDX images (still compressed?); %s",
                                  magic, IDX_IMAGES_MAGIC, remedy);
    }
    if (count < 1 || count > COUNT_MAX) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "byte 4: %u images, expected 1 .. %d; %s", count,
                                  COUNT_MAX, remedy);
    }
    if (rows != DIGIT_SIDE_PX || columns != DIGIT_SIDE_PX) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "byte 8: %ux%u pixels, expected %dx%d; %s", rows,
                                  columns, DIGIT_SIDE_PX, DIGIT_SIDE_PX, remedy);
    }
    return count;
}

static int check_labels_header(const char *path, const uint8_t *header, int64_t images, const char *remedy,
                               struct einet_error *err)
{
    const uint32_t magic = big_endian_u32(header), count = big_endian_u32(header + 4);
    if (magic != IDX_LABELS_MAGIC) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                  "byte 0: magic number 0x%08x is not 0x%08x of IDX labels (still compressed?); %s",
                                  magic, IDX_LABELS_MAGIC, remedy);
    }
    if (count != images) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "byte 4: %u labels for %lld images; %s", count,
                                  (long long)images, remedy);
    }
    return 0;
}

static int fill_labels(const char *path, const uint8_t *bytes, struct ei_dataset *dataset, const char *remedy,
                       struct einet_error *err)
{
    for (int32_t i = 0; i < dataset->info.count; i++) {
        const uint8_t label = bytes[IDX_LABELS_HEADER_BYTES + i];
        if (label > 9) {
            return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "byte %d: label %u is outside 0 .. 9; %s",
                                      IDX_LABELS_HEADER_BYTES + i, label, remedy);
        }
        dataset->labels[i] = label;
    }
    return 0;
}

static void fill_pixels(const uint8_t *bytes, struct ei_dataset *dataset)
{
    for (int32_t i = 0; i < dataset->info.count; i++) {
        const uint8_t *digit = bytes + IDX_IMAGES_HEADER_BYTES + (size_t)i * DIGIT_BYTES;
        uint8_t *sample = dataset->buffer + (size_t)i * SAMPLE_BYTES;
        for (size_t y = 0; y < DIGIT_SIDE_PX; y++) {
            memcpy(sample + (y + BORDER_PX) * SIDE_PX + BORDER_PX, digit + y * DIGIT_SIDE_PX, DIGIT_SIDE_PX);
        }
    }
}

int ei_dataset_open_mnist(enum ei_dataset_split split, const char *root, struct ei_dataset **out,
                          struct einet_error *err)
{
    const char *stem = split == EI_SPLIT_TRAIN ? "train" : "t10k";
    char images_path[EINET_ERROR_FILE_MAX], labels_path[EINET_ERROR_FILE_MAX], remedy[256];
    uint8_t images_header[IDX_IMAGES_HEADER_BYTES], labels_header[IDX_LABELS_HEADER_BYTES];
    const int length = snprintf(images_path, sizeof images_path, "%s/mnist/%s-images-idx3-ubyte", root, stem);
    snprintf(labels_path, sizeof labels_path, "%s/mnist/%s-labels-idx1-ubyte", root, stem);
    if (length >= (int)sizeof images_path) {
        return einet_error_set(err, EINET_E_LIMIT, "the data folder's path is longer than %zu bytes",
                               sizeof images_path);
    }
    snprintf(remedy, sizeof remedy,
             "unpack MNIST's IDX files into mnist/ of the data folder '%.120s', or set "
             "EINET_DATA to the folder that holds mnist/",
             root);

    int rc = read_header(images_path, images_header, sizeof images_header, remedy, err);
    if (rc < 0) {
        return rc;
    }
    const int64_t count = check_images_header(images_path, images_header, remedy, err);
    if (count < 0) {
        return (int)count;
    }
    rc = read_header(labels_path, labels_header, sizeof labels_header, remedy, err);
    if (rc == 0) {
        rc = check_labels_header(labels_path, labels_header, count, remedy, err);
    }
    if (rc < 0) {
        return rc;
    }

    struct ei_dataset_info info = {.name = "mnist",
                                   .count = (int32_t)count,
                                   .classes = 10,
                                   .width_px = SIDE_PX,
                                   .height_px = SIDE_PX,
                                   .channels = 1,
                                   .class_names = digit_names};
    snprintf(info.split, sizeof info.split, "%s", split == EI_SPLIT_TRAIN ? "train" : "test");
    struct ei_dataset *dataset;
    rc = ei_dataset_storage_create(&info, (size_t)count * SAMPLE_BYTES, &dataset, err);
    if (rc < 0) {
        return rc;
    }
    dataset->sample_bytes = dataset->stride_bytes = SAMPLE_BYTES;
    const size_t images_bytes = IDX_IMAGES_HEADER_BYTES + (size_t)count * DIGIT_BYTES;
    const size_t labels_bytes = IDX_LABELS_HEADER_BYTES + (size_t)count;
    uint8_t *raw = malloc(images_bytes); /* holds the images' file, then the labels' */
    if (!raw) {
        rc = einet_error_set(err, -ENOMEM, "no memory to read MNIST: %zu bytes are needed", images_bytes);
        goto out_destroy;
    }
    rc = ei_dataset_read_file(images_path, raw, images_bytes, remedy, err);
    if (rc < 0) {
        goto out_free;
    }
    fill_pixels(raw, dataset);
    rc = ei_dataset_read_file(labels_path, raw, labels_bytes, remedy, err);
    if (rc == 0) {
        rc = fill_labels(labels_path, raw, dataset, remedy, err);
    }
out_free:
    free(raw);
out_destroy:
    if (rc < 0) {
        ei_dataset_destroy(dataset);
        return rc;
    }
    *out = dataset;
    return 0;
}
