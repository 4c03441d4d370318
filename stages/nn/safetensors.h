/* Weight files in the safetensors format (https://github.com/huggingface/safetensors, format 0.4): 8 bytes of header
 * length, little endian; a JSON header; the tensors' bytes without holes. Reading checks everything before anything is
 * used; writing goes to a temporary name, is synced and renamed, so that a reader never sees half a file. Not real-time
 * safe; an opened file is immutable and any thread may read it.
 */
#ifndef STAGES_NN_SAFETENSORS_H
#define STAGES_NN_SAFETENSORS_H

#include <einet/error.h>
#include <stddef.h>
#include <stdint.h>

#define EI_SAFETENSORS_HEADER_MAX_BYTES (16 * 1024 * 1024)
#define EI_SAFETENSORS_DIMS_MAX 8

struct ei_safetensors; /* opaque: the whole file in memory */

enum ei_safetensors_dtype { EI_DTYPE_F16, EI_DTYPE_BF16, EI_DTYPE_F32 };

struct ei_safetensors_tensor {
    const char *name;
    enum ei_safetensors_dtype dtype;
    int32_t dims;
    int64_t shape[EI_SAFETENSORS_DIMS_MAX];
    int64_t count;       /* product of shape */
    const uint8_t *data; /* count elements, little endian, unaligned */
};

/* Read and check a file. Returns 0; EINET_E_FILE (not there, no regular file, truncated, malformed, other types than
 * the three: the error names file and place) or -ENOMEM. */
int ei_safetensors_open(const char *path, struct ei_safetensors **out, struct einet_error *err);

/* Value of a metadata key, NULL when absent. Borrowed until close, like all below. */
const char *ei_safetensors_metadata(const struct ei_safetensors *file, const char *key);

int32_t ei_safetensors_count(const struct ei_safetensors *file);
const struct ei_safetensors_tensor *ei_safetensors_at(const struct ei_safetensors *file, int32_t idx);
const struct ei_safetensors_tensor *ei_safetensors_find(const struct ei_safetensors *file, const char *name);

/* SHA-256 of the file's bytes, 64 hexadecimal digits. */
const char *ei_safetensors_sha256(const struct ei_safetensors *file);

/* Convert a tensor to float32; out: [tensor->count]. */
void ei_safetensors_to_f32(const struct ei_safetensors_tensor *tensor, float *out);

void ei_safetensors_close(struct ei_safetensors *file); /* NULL is fine */

struct ei_safetensors_entry {
    const char *name;
    enum ei_safetensors_dtype dtype; /* as stored: F16 or F32 */
    int32_t dims;
    int64_t shape[EI_SAFETENSORS_DIMS_MAX];
    const float *data; /* product of shape */
};

struct ei_safetensors_pair {
    const char *key, *value;
};

/* Write entries and metadata to path. Returns 0, -errno (named file; path is as it was), EINET_E_USAGE (a float that
 * has no finite F16, a bad dtype) or -ENOMEM. */
int ei_safetensors_write(const char *path, const struct ei_safetensors_entry *entries, int32_t entry_count,
                         const struct ei_safetensors_pair *metadata, int32_t pair_count, struct einet_error *err);

#endif
