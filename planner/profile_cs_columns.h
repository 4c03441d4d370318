/* The columns of a CS-profile as one compressed block of bytes. Lossless. Cold.
 *
 *     label planes | top-label planes | confidence planes         -> zlib
 *
 * A plane holds one byte of every value, the high bytes first, then the low ones; values of at most 256 classes have
 * only the low plane. A top label is stored as its difference, modulo 65536 or 256, to the answer of the exit before it
 * (at the first exit to the label): answers seldom change, so that nearly all of them are 0. High bytes of confidences
 * are mostly 255; only their low bytes keep noise that no compression removes.
 */
#ifndef PLANNER_PROFILE_CS_COLUMNS_H
#define PLANNER_PROFILE_CS_COLUMNS_H

#include "planner/profile.h"

#include <stddef.h>

/* Bytes of the planes before compression. */
size_t ei_cs_columns_bytes(int32_t exits, int32_t samples, int32_t classes);

/* Whether compressed bytes of this size can hold that many: zlib never shrinks to less than 1/1032. Asked before memory
 * is allocated, so that a small file cannot ask for gigabytes. */
bool ei_cs_columns_plausible(size_t columns_bytes, size_t compressed_bytes);

/* Compress profile's arrays; the caller frees *out_bytes. Returns 0 or -ENOMEM. */
int ei_cs_columns_pack(const struct ei_cs_profile *profile, uint8_t **out_bytes, size_t *out_size);

/* Fill the allocated arrays. All of bytes must be used and must yield exactly as many as the counts ask for; values are
 * not checked. Returns 0, EINET_E_FILE (out_fault: what is wrong, static) or -ENOMEM. */
int ei_cs_columns_unpack(const uint8_t *bytes, size_t size, struct ei_cs_profile *profile, const char **out_fault);

#endif
