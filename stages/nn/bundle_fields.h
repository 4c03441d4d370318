/* The keys of an operation in a manifest, once for reading and writing. Constant data. */
#ifndef STAGES_NN_BUNDLE_FIELDS_H
#define STAGES_NN_BUNDLE_FIELDS_H

#include "stages/nn/program.h"

#include <stddef.h>

enum ei_bundle_type { EI_BUNDLE_INT, EI_BUNDLE_FLOAT, EI_BUNDLE_BOOL };

/* What a missing key means. */
enum ei_bundle_default {
    EI_BUNDLE_REQUIRED,
    EI_BUNDLE_VALUE, /* `value` */
    EI_BUNDLE_KERNEL /* as kernel_px */
};

struct ei_bundle_field {
    enum ei_op_kind kind;
    const char *key;
    enum ei_bundle_type type;
    size_t offset; /* in struct ei_op */
    double lo, hi; /* both inclusive */
    enum ei_bundle_default missing;
    double value;
};

extern const struct ei_bundle_field ei_bundle_fields[];
extern const int32_t ei_bundle_field_count;

/* A number of an operation as a double, and back. */
double ei_bundle_field_get(const struct ei_bundle_field *field, const struct ei_op *op);
void ei_bundle_field_set(const struct ei_bundle_field *field, double value, struct ei_op *op);

/* What the field is when its key is missing and not required. */
double ei_bundle_field_default(const struct ei_bundle_field *field, const struct ei_op *op);

/* Whether an operation reads two slots. */
bool ei_bundle_is_binary(enum ei_op_kind kind);

/* Whether text may be a network's or data set's name: 1 to 31 letters, digits, '-', '_', '.', the first no '.'. */
bool ei_bundle_is_name(const char *text);

/* Whether text may be a script's file name: a plain name inside the folder that is none of the bundle's own. */
bool ei_bundle_is_script_name(const char *text);

#endif
