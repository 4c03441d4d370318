/* Reading of safetensors files. The header is untrusted: every length, offset, shape and type in it is checked against
 * the file's real size before a tensor is handed out.
 */
#include "stages/nn/safetensors.h"

#include "stages/nn/float16.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sha256.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (INT64_C(4) << 30)
#define LENGTH_BYTES 8

struct ei_safetensors {
    uint8_t *bytes;
    int64_t size_bytes;
    json_t *header; /* owns the names */
    int32_t count;
    struct ei_safetensors_tensor *tensors; /* in the order of their bytes */
    char sha256[SHA256_DIGEST_STRING_LENGTH];
};

static const struct {
    const char *name;
    int64_t size_bytes;
} dtypes[] = {
    [EI_DTYPE_F16] = {"F16", 2},
    [EI_DTYPE_BF16] = {"BF16", 2},
    [EI_DTYPE_F32] = {"F32", 4},
};

static int read_whole(const char *path, struct ei_safetensors *file, struct einet_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "cannot be opened: %s", strerror(errno));
    }
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "is no regular file; name a .safetensors file");
    } else if (st.st_size < LENGTH_BYTES + 2 || st.st_size > FILE_MAX_BYTES) {
        rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "has %lld bytes: no safetensors file has that size",
                                (long long)st.st_size);
    } else if ((file->bytes = malloc((size_t)st.st_size)) == NULL) {
        rc = einet_error_set(err, -ENOMEM, "no memory for %lld bytes of weights", (long long)st.st_size);
    }
    for (file->size_bytes = 0; rc == 0 && file->size_bytes < st.st_size;) {
        const ssize_t got = read(fd, file->bytes + file->size_bytes, (size_t)(st.st_size - file->size_bytes));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "reading stopped at byte %lld of %lld: %s",
                                    (long long)file->size_bytes, (long long)st.st_size,
                                    got < 0 ? strerror(errno) : "the file became shorter");
            break;
        }
        file->size_bytes += got;
    }
    close(fd);
    return rc;
}

static int parse_header(const char *path, struct ei_safetensors *file, int64_t *out_data_at, struct einet_error *err)
{
    uint64_t length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) {
        length = length << 8 | file->bytes[i];
    }
    if (length > EI_SAFETENSORS_HEADER_MAX_BYTES || (int64_t)length > file->size_bytes - LENGTH_BYTES) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                  "says that its header has %llu bytes, but the file has %lld: truncated, or no "
                                  "safetensors file",
                                  (unsigned long long)length, (long long)file->size_bytes);
    }
    json_error_t json_error;
    file->header =
        json_loadb((const char *)file->bytes + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &json_error);
    if (!json_is_object(file->header)) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "its header is no JSON object: %s (header byte %d)",
                                  file->header == NULL ? json_error.text : "another type",
                                  file->header == NULL ? json_error.position : 0);
    }
    *out_data_at = LENGTH_BYTES + (int64_t)length;
    return 0;
}

static bool is_metadata_ok(const json_t *metadata)
{
    if (metadata == NULL) {
        return true;
    }
    if (!json_is_object(metadata)) {
        return false;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)metadata, key, value)
    {
        if (!json_is_string(value)) {
            return false;
        }
    }
    return true;
}

/* Type, shape and element count; returns what is wrong or NULL. */
static const char *parse_shape(const json_t *entry, struct ei_safetensors_tensor *tensor)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape");
    if (dtype == NULL) {
        return "has no dtype";
    }
    size_t type = 0;
    while (type < sizeof dtypes / sizeof dtypes[0] && strcmp(dtypes[type].name, dtype) != 0) {
        type++;
    }
    if (type == sizeof dtypes / sizeof dtypes[0]) {
        return "has another dtype than F16, BF16 and F32";
    }
    tensor->dtype = (enum ei_safetensors_dtype)type;
    if (!json_is_array(shape) || json_array_size(shape) > EI_SAFETENSORS_DIMS_MAX) {
        return "has no shape, or more than 8 dimensions";
    }
    tensor->dims = (int32_t)json_array_size(shape);
    tensor->count = 1;
    for (int32_t i = 0; i < tensor->dims; i++) {
        const json_t *side = json_array_get(shape, (size_t)i);
        const int64_t value = json_is_integer(side) ? (int64_t)json_integer_value(side) : -1;
        if (value < 0 || value > FILE_MAX_BYTES || (value > 0 && tensor->count > FILE_MAX_BYTES / value)) {
            return "has a side that is no integer, negative or too large";
        }
        tensor->shape[i] = value;
        tensor->count *= value;
    }
    return NULL;
}

static const char *parse_tensor(const json_t *entry, const uint8_t *data, int64_t data_bytes,
                                struct ei_safetensors_tensor *tensor)
{
    if (!json_is_object(entry)) {
        return "is no object";
    }
    const char *fault = parse_shape(entry, tensor);
    if (fault != NULL) {
        return fault;
    }
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last)) {
        return "has no pair of data_offsets";
    }
    const int64_t begin = (int64_t)json_integer_value(first), end = (int64_t)json_integer_value(last);
    if (begin < 0 || end < begin || end > data_bytes) {
        return "has data_offsets outside the file: truncated or corrupt";
    }
    if (end - begin != tensor->count * dtypes[tensor->dtype].size_bytes) {
        return "has data_offsets that do not fit its shape";
    }
    tensor->data = data + begin;
    return NULL;
}

static int by_place(const void *a, const void *b)
{
    const struct ei_safetensors_tensor *x = a, *y = b;
    if (x->data != y->data) {
        return x->data < y->data ? -1 : 1;
    }
    return x->count < y->count ? -1 : x->count > y->count;
}

static int parse_tensors(const char *path, struct ei_safetensors *file, int64_t data_at, struct einet_error *err)
{
    file->tensors = calloc(json_object_size(file->header) + 1, sizeof *file->tensors);
    if (file->tensors == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a weight file's header");
    }
    const uint8_t *data = file->bytes + data_at, *end = file->bytes + file->size_bytes;
    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            continue;
        }
        struct ei_safetensors_tensor *tensor = &file->tensors[file->count++];
        tensor->name = name;
        const char *fault = parse_tensor(entry, data, end - data, tensor);
        if (fault != NULL) {
            return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "tensor '%.64s' %s", name, fault);
        }
    }
    qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_place);
    const uint8_t *next = data;
    for (int32_t i = 0; i < file->count; i++) {
        const struct ei_safetensors_tensor *tensor = &file->tensors[i];
        if (tensor->data != next) {
            return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                      "tensor '%.64s' overlaps another one or leaves a hole", tensor->name);
        }
        next += tensor->count * dtypes[tensor->dtype].size_bytes;
    }
    if (next != end) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "has %lld bytes behind its last tensor",
                                  (long long)(end - next));
    }
    return 0;
}

int ei_safetensors_open(const char *path, struct ei_safetensors **out, struct einet_error *err)
{
    struct ei_safetensors *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a weight file");
    }
    int64_t data_at = 0;
    int rc = read_whole(path, file, err);
    if (rc == 0) {
        rc = parse_header(path, file, &data_at, err);
    }
    if (rc == 0 && !is_metadata_ok(json_object_get(file->header, "__metadata__"))) {
        rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "its __metadata__ is no object of strings");
    }
    if (rc == 0) {
        rc = parse_tensors(path, file, data_at, err);
    }
    if (rc != 0) {
        ei_safetensors_close(file);
        return rc;
    }
    SHA256Data(file->bytes, (size_t)file->size_bytes, file->sha256);
    *out = file;
    return 0;
}

const char *ei_safetensors_metadata(const struct ei_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

int32_t ei_safetensors_count(const struct ei_safetensors *file)
{
    return file->count;
}

const struct ei_safetensors_tensor *ei_safetensors_at(const struct ei_safetensors *file, int32_t idx)
{
    return idx >= 0 && idx < file->count ? &file->tensors[idx] : NULL;
}

const struct ei_safetensors_tensor *ei_safetensors_find(const struct ei_safetensors *file, const char *name)
{
    for (int32_t i = 0; i < file->count; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) {
            return &file->tensors[i];
        }
    }
    return NULL;
}

const char *ei_safetensors_sha256(const struct ei_safetensors *file)
{
    return file->sha256;
}

void ei_safetensors_to_f32(const struct ei_safetensors_tensor *tensor, float *out)
{
    for (int64_t i = 0; i < tensor->count; i++) {
        const uint8_t *p = tensor->data + i * dtypes[tensor->dtype].size_bytes;
        const uint16_t half = (uint16_t)(p[0] | p[1] << 8);
        if (tensor->dtype == EI_DTYPE_F16) {
            out[i] = ei_float16_to_f32(half);
        } else if (tensor->dtype == EI_DTYPE_BF16) {
            out[i] = ei_bfloat16_to_f32(half);
        } else {
            const uint32_t bits = half | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
            memcpy(&out[i], &bits, sizeof bits);
        }
    }
}

void ei_safetensors_close(struct ei_safetensors *file)
{
    if (file != NULL) {
        json_decref(file->header);
        free(file->tensors);
        free(file->bytes);
        free(file);
    }
}
