/* A folder of PNG and JPEG files as a data set: lists it in a fixed order, checks every header and keeps the compressed
 * bytes of all files in one buffer. Set-up only; decoding is the job's work (stages/pre). */
#include "workloads/images.h"
#include "workloads/dataset_storage.h"
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char remedy[] = "give a folder of .png, .jpg or .jpeg files, or one sub-folder of such files per class";

/* ---- headers ---- */

static uint32_t big_endian_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int32_t big_endian_u16(const uint8_t *bytes)
{
    return (int32_t)(bytes[0] << 8 | bytes[1]);
}

/* PNG specification, 11.2.2: signature, then the IHDR chunk of 13 bytes. */
static int64_t parse_png(const uint8_t *data, size_t size_bytes, struct einet_image *image)
{
    enum { IHDR_END_BYTES = 33, COLOUR_BYTE = 25 };
    if (size_bytes < IHDR_END_BYTES) {
        return -(int64_t)size_bytes - 1;
    }
    if (memcmp(data + 8, "\0\0\0\rIHDR", 8) != 0) {
        return -8 - 1;
    }
    const uint32_t width = big_endian_u32(data + 16), height = big_endian_u32(data + 20);
    if (width < 1 || width > INT32_MAX || height < 1 || height > INT32_MAX) {
        return -16 - 1;
    }
    const uint8_t colour = data[COLOUR_BYTE]; /* 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGB + alpha */
    if (colour > 6 || colour == 1 || colour == 5) {
        return -COLOUR_BYTE - 1;
    }
    image->format = EINET_PIXELS_PNG;
    image->width_px = (int32_t)width;
    image->height_px = (int32_t)height;
    image->channels = colour == 0 || colour == 4 ? 1 : 3;
    return 0;
}

/* ITU-T T.81, B.1.1.4: SOF0 .. SOF15 without DHT (C4), JPG (C8) and DAC (CC). */
static bool is_start_of_frame(uint8_t marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/* Walk the marker segments up to the frame header. */
static int64_t parse_jpeg(const uint8_t *data, size_t size_bytes, struct einet_image *image)
{
    size_t at = 2; /* behind SOI */
    while (at + 4 <= size_bytes) {
        if (data[at] != 0xFF) {
            return -(int64_t)at - 1;
        }
        const uint8_t marker = data[at + 1];
        if (marker == 0xFF) { /* fill byte */
            at++;
            continue;
        }
        const int32_t length = big_endian_u16(data + at + 2);
        if (marker == 0xD9 || marker == 0xDA || length < 2) { /* the end or the scan, without a frame header */
            return -(int64_t)at - 1;
        }
        if (is_start_of_frame(marker)) {
            if (at + 10 > size_bytes) {
                break;
            }
            image->format = EINET_PIXELS_JPEG;
            image->height_px = big_endian_u16(data + at + 5);
            image->width_px = big_endian_u16(data + at + 7);
            image->channels = data[at + 9];
            const bool fits =
                image->height_px > 0 && image->width_px > 0 && (image->channels == 1 || image->channels == 3);
            return fits ? 0 : -(int64_t)at - 1;
        }
        at += 2 + (size_t)length;
    }
    return -(int64_t)size_bytes - 1;
}

int64_t ei_image_header_parse(const uint8_t *data, size_t size_bytes, struct einet_image *out_image)
{
    *out_image = (struct einet_image){.data = data, .size_bytes = size_bytes};
    if (size_bytes >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) {
        return parse_png(data, size_bytes, out_image);
    }
    if (size_bytes >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF) {
        return parse_jpeg(data, size_bytes, out_image);
    }
    return -1;
}

/* ---- listing ---- */

struct found_file {
    char *path; /* owned */
    size_t size_bytes;
    int32_t label;
};

struct listing {
    struct found_file *files; /* owned */
    int32_t count, capacity;
    char **classes; /* names of sub-folders, owned */
    int32_t class_count, class_capacity;
    size_t total_bytes;
};

static void listing_fini(struct listing *listing)
{
    for (int32_t i = 0; i < listing->count; i++) {
        free(listing->files[i].path);
    }
    free(listing->files);
    for (int32_t i = 0; i < listing->class_count; i++) {
        free(listing->classes[i]);
    }
    free(listing->classes);
}

static int no_memory(struct einet_error *err)
{
    return einet_error_set(err, -ENOMEM, "no memory to list an image folder");
}

static bool is_image_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
}

static int add_file(struct listing *listing, char *path, size_t size_bytes, int32_t label, struct einet_error *err)
{
    if (size_bytes > EI_IMAGES_FILE_BYTES_MAX || listing->count == EI_IMAGES_COUNT_MAX) {
        return einet_error_set_at(err, EINET_E_LIMIT, path, 0, 0,
                                  "more than %d files or a file of more than %u bytes; use smaller pictures or fewer",
                                  EI_IMAGES_COUNT_MAX, EI_IMAGES_FILE_BYTES_MAX);
    }
    if (listing->count == listing->capacity) {
        const int32_t capacity = listing->capacity ? 2 * listing->capacity : 64;
        struct found_file *files = realloc(listing->files, (size_t)capacity * sizeof *files);
        if (!files) {
            return no_memory(err);
        }
        listing->files = files;
        listing->capacity = capacity;
    }
    listing->files[listing->count++] = (struct found_file){path, size_bytes, label};
    listing->total_bytes += size_bytes;
    return 0;
}

static int add_class(struct listing *listing, const char *name, struct einet_error *err)
{
    if (listing->class_count == EI_IMAGES_CLASSES_MAX) {
        return einet_error_set(err, EINET_E_LIMIT, "more than %d sub-folders; each one is a class",
                               EI_IMAGES_CLASSES_MAX);
    }
    if (listing->class_count == listing->class_capacity) {
        const int32_t capacity = listing->class_capacity ? 2 * listing->class_capacity : 16;
        char **classes = realloc(listing->classes, (size_t)capacity * sizeof *classes);
        if (!classes) {
            return no_memory(err);
        }
        listing->classes = classes;
        listing->class_capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy) {
        return no_memory(err);
    }
    listing->classes[listing->class_count++] = copy;
    return 0;
}

/* Byte order, not the locale's, so that labels are the same everywhere. */
static int compare_entries(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* List one folder. label -1: the top folder, whose sub-folders are collected as classes. */
static int list_folder(const char *dir, int32_t label, struct listing *listing, struct einet_error *err)
{
    struct dirent **entries;
    const int count = scandir(dir, &entries, NULL, compare_entries);
    if (count < 0) {
        return einet_error_set_at(err, EINET_E_FILE, dir, 0, 0, "cannot list the folder: %s; %s",
                                  einet_error_text(-errno), remedy);
    }
    int rc = 0;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char *path = NULL;
        struct stat status;
        if (rc == 0 && name[0] != '.') {
            if (asprintf(&path, "%s/%s", dir, name) < 0) {
                path = NULL;
                rc = no_memory(err);
            } else if (stat(path, &status) != 0) {
                rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "cannot inspect: %s; %s",
                                        einet_error_text(-errno), remedy);
            } else if (S_ISDIR(status.st_mode) && label < 0) {
                rc = add_class(listing, name, err);
            } else if (S_ISREG(status.st_mode) && is_image_name(name)) {
                rc = add_file(listing, path, (size_t)status.st_size, label, err);
                path = rc == 0 ? NULL : path; /* the listing owns it now */
            }
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int list_all(const char *dir, struct listing *listing, struct einet_error *err)
{
    int rc = list_folder(dir, -1, listing, err);
    if (rc < 0) {
        return rc;
    }
    if (listing->class_count > 0 && listing->count > 0) {
        return einet_error_set_at(err, EINET_E_FILE, dir, 0, 0,
                                  "holds both pictures and sub-folders, so its labels are unclear; %s", remedy);
    }
    for (int32_t label = 0; label < listing->class_count; label++) {
        char *path;
        if (asprintf(&path, "%s/%s", dir, listing->classes[label]) < 0) {
            return no_memory(err);
        }
        const int32_t before = listing->count;
        rc = list_folder(path, label, listing, err);
        if (rc == 0 && listing->count == before) {
            rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "holds no picture; %s", remedy);
        }
        free(path);
        if (rc < 0) {
            return rc;
        }
    }
    if (listing->count == 0) {
        return einet_error_set_at(err, EINET_E_FILE, dir, 0, 0, "holds no picture; %s", remedy);
    }
    return 0;
}

/* ---- the data set ---- */

/* Read every file and check its header; the largest size goes into the info. */
static int load(const struct listing *listing, struct ei_dataset *dataset, struct einet_error *err)
{
    size_t offset_bytes = 0;
    for (int32_t i = 0; i < listing->count; i++) {
        const struct found_file *found = &listing->files[i];
        uint8_t *bytes = dataset->buffer + offset_bytes;
        struct einet_image image;
        const int rc = ei_dataset_read_file(found->path, bytes, found->size_bytes, remedy, err);
        if (rc < 0) {
            return rc;
        }
        const int64_t bad = ei_image_header_parse(bytes, found->size_bytes, &image);
        if (bad < 0) {
            return einet_error_set_at(err, EINET_E_FILE, found->path, 0, 0,
                                      "byte %lld: not the header of a PNG or a gray or RGB JPEG picture; remove or "
                                      "convert the file",
                                      (long long)(-bad - 1));
        }
        dataset->files[i] = (struct ei_dataset_file){.offset_bytes = offset_bytes,
                                                     .size_bytes = found->size_bytes,
                                                     .format = image.format,
                                                     .width_px = image.width_px,
                                                     .height_px = image.height_px,
                                                     .channels = image.channels};
        dataset->labels[i] = found->label;
        struct ei_dataset_info *info = &dataset->info;
        info->width_px = image.width_px > info->width_px ? image.width_px : info->width_px;
        info->height_px = image.height_px > info->height_px ? image.height_px : info->height_px;
        info->channels = image.channels > info->channels ? image.channels : info->channels;
        offset_bytes += found->size_bytes;
    }
    return 0;
}

int ei_dataset_open_images(const char *dir, struct ei_dataset **out, struct einet_error *err)
{
    struct listing listing = {0};
    struct ei_dataset *dataset = NULL;
    int rc = list_all(dir, &listing, err);
    if (rc < 0) {
        goto out_listing;
    }
    const struct ei_dataset_info info = {
        .name = "images", .split = "all", .count = listing.count, .classes = listing.class_count};
    rc = ei_dataset_storage_create(&info, listing.total_bytes, &dataset, err);
    if (rc < 0) {
        goto out_listing;
    }
    dataset->files = calloc((size_t)listing.count, sizeof *dataset->files);
    if (!dataset->files) {
        rc = no_memory(err);
        goto out_listing;
    }
    rc = load(&listing, dataset, err);
    if (rc == 0 && listing.class_count > 0) { /* the names change hands */
        dataset->owned_names = listing.classes;
        dataset->info.class_names = (const char *const *)listing.classes;
        listing.classes = NULL;
        listing.class_count = 0;
    }
out_listing:
    if (rc < 0) {
        ei_dataset_destroy(dataset);
    } else {
        *out = dataset;
    }
    listing_fini(&listing);
    return rc;
}
