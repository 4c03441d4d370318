/* CS-predictors on disk, beside the profiles: a text header and little-endian float32 columns, as
 * planner/profile_file.h writes CS-profiles (same keys, same checksum, same atomic replacement). Cold code: allocates,
 * reads and writes files.
 */
#ifndef PLANNER_PREDICTOR_FILE_H
#define PLANNER_PREDICTOR_FILE_H

#include "planner/predictor.h"

#include <stdio.h>

/* Read and check. *out is untouched on error. Returns 0; EINET_E_FILE (malformed; file, line and field named);
 * EINET_E_LIMIT; -errno; -ENOMEM. */
int ei_predictor_read(const char *path, struct ei_predictor *out, struct einet_error *err);

/* Write anew. Returns 0; EINET_E_USAGE or EINET_E_LIMIT (fails its check); -errno (what was there before is kept). */
int ei_predictor_write(const char *path, const struct ei_predictor *predictor, struct einet_error *err);

/* Whether the predictor belongs to a network about to run; as ei_cs_profile_match. Returns 0 or EINET_E_MISMATCH. */
int ei_predictor_match(const struct ei_predictor *predictor, const char *network, int32_t exits,
                       const char *weights_sha256, struct einet_error *err);

/* A table for people. */
void ei_predictor_print(const struct ei_predictor *predictor, FILE *out);

#endif
