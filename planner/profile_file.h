/* Profiles on disk. Cold code: allocates, reads and writes files.
 *
 * ET-profile, CSV:            CS-profile, text header and compressed columns:
 *     # einet et-profile 2        einet cs-profile 2
 *     # network: b-alexnet        network: b-alexnet
 *     # ...                       ...
 *     exit_idx,conv_p50_ns,...    end
 *     0,812000,...                (planner/profile_cs_columns.h)
 *
 * An ET-profile with chosen kernels is of version 3: one more key, `kernels`, and their rows behind the others.
 * All keys and the columns: docs/profiles.md. Readers accept exactly what the writers produce: each key once, no
 * unknown key, no missing or additional byte; the columns carry a checksum. Files of an older version are refused.
 * Writers fill a temporary file beside the target, fsync and rename it, so that a reader never meets a half-written
 * profile.
 */
#ifndef PLANNER_PROFILE_FILE_H
#define PLANNER_PROFILE_FILE_H

#include "planner/profile.h"

#include <stdio.h>

/* Read and check a file. *out is untouched on error. Returns 0; EINET_E_FILE (malformed; err names file, line where
 * there is one, and field); EINET_E_LIMIT (too many exits or samples); -errno (cannot be read); -ENOMEM.
 * A CS-profile owns memory: end it with ei_cs_profile_fini. */
int ei_et_profile_read(const char *path, struct ei_et_profile *out, struct einet_error *err);
/* The same, and the kernels that it was measured with: end them with ei_et_kernels_fini. */
int ei_et_profile_read_kernels(const char *path, struct ei_et_profile *out, struct ei_et_kernels *out_kernels,
                               struct einet_error *err);
int ei_cs_profile_read(const char *path, struct ei_cs_profile *out, struct einet_error *err);

#define EI_ET_ENDING_MAX 24

/* What the name of an ET-profile ends in: ".et.csv" of a CPU, ".cuda.et.csv" of a device, ".cuda-32.et.csv" of a lane
 * with `sms` 32 there. */
void ei_et_profile_ending(bool is_cuda, int32_t sms, char out[EI_ET_ENDING_MAX]);

/* Write the file anew. A CS-profile's mean_score and accuracy are computed from its arrays, whatever they hold.
 * Returns 0; EINET_E_USAGE or EINET_E_LIMIT (the profile does not pass its check); -errno (what was at path before is
 * kept). */
int ei_et_profile_write(const char *path, const struct ei_et_profile *profile, struct einet_error *err);
int ei_et_profile_write_kernels(const char *path, const struct ei_et_profile *profile,
                                const struct ei_et_kernels *kernels, struct einet_error *err);
int ei_cs_profile_write(const char *path, const struct ei_cs_profile *profile, struct einet_error *err);

/* A table for people. */
void ei_et_profile_print(const struct ei_et_profile *profile, FILE *out);
void ei_cs_profile_print(const struct ei_cs_profile *profile, FILE *out);

#endif
