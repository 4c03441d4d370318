/* Writing of safetensors files: temporary name, fsync, rename. */
#include "stages/nn/float16.h"
#include "stages/nn/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t entry_count_of(const struct ei_safetensors_entry *entry)
{
    int64_t count = 1;
    for (int32_t i = 0; i < entry->dims; i++) {
        count *= entry->shape[i];
    }
    return count;
}

static int64_t entry_bytes(const struct ei_safetensors_entry *entry)
{
    return entry_count_of(entry) * (entry->dtype == EI_DTYPE_F16 ? 2 : 4);
}

/* The header as text, padded with blanks to 8 bytes so that the tensors are aligned; NULL when memory is short. */
static char *header_text(const struct ei_safetensors_entry *entries, int32_t entry_count,
                         const struct ei_safetensors_pair *metadata, int32_t pair_count)
{
    json_t *header = json_object(), *pairs = json_object();
    int failed = header == NULL || pairs == NULL;
    for (int32_t i = 0; !failed && i < pair_count; i++) {
        failed = json_object_set_new(pairs, metadata[i].key, json_string(metadata[i].value));
    }
    failed = failed || json_object_set(header, "__metadata__", pairs);
    int64_t at = 0;
    for (int32_t i = 0; !failed && i < entry_count; i++) {
        json_t *shape = json_array();
        for (int32_t d = 0; d < entries[i].dims; d++) {
            failed = failed || json_array_append_new(shape, json_integer(entries[i].shape[d]));
        }
        json_t *entry =
            json_pack("{s:s,s:o,s:[I,I]}", "dtype", entries[i].dtype == EI_DTYPE_F16 ? "F16" : "F32", "shape", shape,
                      "data_offsets", (json_int_t)at, (json_int_t)(at + entry_bytes(&entries[i])));
        failed = failed || entry == NULL || json_object_set_new(header, entries[i].name, entry);
        at += entry_bytes(&entries[i]);
    }
    char *text = failed ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(pairs);
    json_decref(header);
    if (text == NULL) {
        return NULL;
    }
    const size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    char *grown = realloc(text, padded + 1);
    if (grown == NULL) {
        free(text);
        return NULL;
    }
    memset(grown + length, ' ', padded - length);
    grown[padded] = '\0';
    return grown;
}

static void put_element(const struct ei_safetensors_entry *entry, int64_t idx, uint8_t *to)
{
    uint32_t bits;
    memcpy(&bits, &entry->data[idx], sizeof bits);
    const int width = entry->dtype == EI_DTYPE_F16 ? 2 : 4;
    if (width == 2) {
        bits = ei_float16_from_f32(entry->data[idx]);
    }
    for (int b = 0; b < width; b++) {
        to[b] = (uint8_t)(bits >> (8 * b));
    }
}

static int write_all(FILE *out, const char *header, const struct ei_safetensors_entry *entries, int32_t entry_count)
{
    uint8_t length_bytes[8];
    const uint64_t length = strlen(header);
    for (int i = 0; i < 8; i++) {
        length_bytes[i] = (uint8_t)(length >> (8 * i));
    }
    if (fwrite(length_bytes, 1, 8, out) != 8 || fwrite(header, 1, length, out) != length) {
        return -errno;
    }
    for (int32_t e = 0; e < entry_count; e++) {
        const int64_t count = entry_count_of(&entries[e]);
        const size_t width = entries[e].dtype == EI_DTYPE_F16 ? 2 : 4;
        for (int64_t i = 0; i < count; i++) {
            uint8_t element[4];
            put_element(&entries[e], i, element);
            if (fwrite(element, 1, width, out) != width) {
                return -errno;
            }
        }
    }
    return fflush(out) != 0 || fsync(fileno(out)) != 0 ? -errno : 0;
}

static int check_entries(const char *path, const struct ei_safetensors_entry *entries, int32_t entry_count,
                         struct einet_error *err)
{
    for (int32_t e = 0; e < entry_count; e++) {
        if (entries[e].dtype != EI_DTYPE_F16 && entries[e].dtype != EI_DTYPE_F32) {
            return einet_error_set(err, EINET_E_USAGE, "%s: only F16 and F32 are written", entries[e].name);
        }
        const int64_t count = entry_count_of(&entries[e]);
        for (int64_t i = 0; entries[e].dtype == EI_DTYPE_F16 && i < count; i++) {
            if (!isfinite(entries[e].data[i]) || fabsf(entries[e].data[i]) >= 65520.0F) {
                return einet_error_set(err, EINET_E_USAGE, "%s: %s has the value %g, which half precision cannot hold",
                                       path, entries[e].name, (double)entries[e].data[i]);
            }
        }
    }
    return 0;
}

int ei_safetensors_write(const char *path, const struct ei_safetensors_entry *entries, int32_t entry_count,
                         const struct ei_safetensors_pair *metadata, int32_t pair_count, struct einet_error *err)
{
    int rc = check_entries(path, entries, entry_count, err);
    if (rc != 0) {
        return rc;
    }
    char part[PATH_MAX];
    const int needed = snprintf(part, sizeof part, "%s.part", path);
    if (needed < 0 || (size_t)needed >= sizeof part) {
        return einet_error_set(err, -ENAMETOOLONG, "the path of the weight file is too long");
    }
    char *header = header_text(entries, entry_count, metadata, pair_count);
    if (header == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a weight file's header");
    }
    errno = 0;
    FILE *out = fopen(part, "wb");
    if (out == NULL) {
        rc = -errno;
        free(header);
        return einet_error_set_at(err, rc, path, 0, 0, "cannot be written: %s", strerror(-rc));
    }
    rc = write_all(out, header, entries, entry_count);
    if (fclose(out) != 0 && rc == 0) {
        rc = -errno;
    }
    free(header);
    if (rc == 0 && rename(part, path) != 0) {
        rc = -errno;
    }
    if (rc != 0) {
        (void)unlink(part);
        rc = rc < 0 ? rc : -EIO;
        return einet_error_set_at(err, rc, path, 0, 0, "cannot be written: %s; the earlier file, if any, is unchanged",
                                  strerror(-rc));
    }
    return 0;
}
