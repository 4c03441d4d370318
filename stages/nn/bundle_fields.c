/* See bundle_fields.h. Defaults are PyTorch's. */
#include "stages/nn/bundle_fields.h"

#include "stages/nn/bundle.h"

#include <ctype.h>
#include <string.h>

#define CHANNELS_HI 65536
#define PX_HI 16384
#define AT(member) offsetof(struct ei_op, member)

const struct ei_bundle_field ei_bundle_fields[] = {
    {EI_OP_CONV2D, "out_channels", EI_BUNDLE_INT, AT(out_channels), 1, CHANNELS_HI, EI_BUNDLE_REQUIRED, 0},
    {EI_OP_CONV2D, "kernel_px", EI_BUNDLE_INT, AT(kernel_px), 1, PX_HI, EI_BUNDLE_REQUIRED, 0},
    {EI_OP_CONV2D, "stride_px", EI_BUNDLE_INT, AT(stride_px), 1, PX_HI, EI_BUNDLE_VALUE, 1},
    {EI_OP_CONV2D, "padding_px", EI_BUNDLE_INT, AT(padding_px), 0, PX_HI, EI_BUNDLE_VALUE, 0},
    {EI_OP_CONV2D, "bias", EI_BUNDLE_BOOL, AT(bias), 0, 1, EI_BUNDLE_VALUE, 1},
    {EI_OP_BATCH_NORM, "eps", EI_BUNDLE_FLOAT, AT(eps), 1e-12, 1, EI_BUNDLE_VALUE, 1e-5},
    {EI_OP_BATCH_NORM, "momentum", EI_BUNDLE_FLOAT, AT(momentum), 0, 1, EI_BUNDLE_VALUE, 0.1},
    {EI_OP_MAX_POOL, "kernel_px", EI_BUNDLE_INT, AT(kernel_px), 1, PX_HI, EI_BUNDLE_REQUIRED, 0},
    {EI_OP_MAX_POOL, "stride_px", EI_BUNDLE_INT, AT(stride_px), 1, PX_HI, EI_BUNDLE_KERNEL, 0},
    {EI_OP_MAX_POOL, "padding_px", EI_BUNDLE_INT, AT(padding_px), 0, PX_HI, EI_BUNDLE_VALUE, 0},
    {EI_OP_MAX_POOL, "ceil_mode", EI_BUNDLE_BOOL, AT(ceil_mode), 0, 1, EI_BUNDLE_VALUE, 0},
    {EI_OP_AVG_POOL, "kernel_px", EI_BUNDLE_INT, AT(kernel_px), 1, PX_HI, EI_BUNDLE_REQUIRED, 0},
    {EI_OP_AVG_POOL, "stride_px", EI_BUNDLE_INT, AT(stride_px), 1, PX_HI, EI_BUNDLE_KERNEL, 0},
    {EI_OP_AVG_POOL, "padding_px", EI_BUNDLE_INT, AT(padding_px), 0, PX_HI, EI_BUNDLE_VALUE, 0},
    {EI_OP_AVG_POOL, "ceil_mode", EI_BUNDLE_BOOL, AT(ceil_mode), 0, 1, EI_BUNDLE_VALUE, 0},
    {EI_OP_LRN, "size", EI_BUNDLE_INT, AT(lrn_size), 1, 1023, EI_BUNDLE_REQUIRED, 0},
    {EI_OP_LRN, "alpha", EI_BUNDLE_FLOAT, AT(lrn_alpha), 0, 1e6, EI_BUNDLE_REQUIRED, 0},
    {EI_OP_LRN, "beta", EI_BUNDLE_FLOAT, AT(lrn_beta), 0, 1e6, EI_BUNDLE_REQUIRED, 0},
    {EI_OP_LRN, "k", EI_BUNDLE_FLOAT, AT(lrn_k), 0, 1e6, EI_BUNDLE_REQUIRED, 0},
    {EI_OP_LINEAR, "out_features", EI_BUNDLE_INT, AT(out_channels), 1, CHANNELS_HI, EI_BUNDLE_REQUIRED, 0},
    {EI_OP_LINEAR, "bias", EI_BUNDLE_BOOL, AT(bias), 0, 1, EI_BUNDLE_VALUE, 1},
    {EI_OP_DROPOUT, "p", EI_BUNDLE_FLOAT, AT(p), 0, 0.999999, EI_BUNDLE_VALUE, 0.5},
};

const int32_t ei_bundle_field_count = (int32_t)(sizeof ei_bundle_fields / sizeof ei_bundle_fields[0]);

double ei_bundle_field_get(const struct ei_bundle_field *field, const struct ei_op *op)
{
    const char *slot = (const char *)op + field->offset;
    switch (field->type) {
    case EI_BUNDLE_INT:
        return *(const int32_t *)(const void *)slot;
    case EI_BUNDLE_FLOAT:
        return (double)*(const float *)(const void *)slot;
    case EI_BUNDLE_BOOL:
        return *(const bool *)(const void *)slot ? 1.0 : 0.0;
    }
    return 0.0;
}

void ei_bundle_field_set(const struct ei_bundle_field *field, double value, struct ei_op *op)
{
    char *slot = (char *)op + field->offset;
    switch (field->type) {
    case EI_BUNDLE_INT:
        *(int32_t *)(void *)slot = (int32_t)value;
        return;
    case EI_BUNDLE_FLOAT:
        *(float *)(void *)slot = (float)value;
        return;
    case EI_BUNDLE_BOOL:
        *(bool *)(void *)slot = value != 0.0;
        return;
    }
}

double ei_bundle_field_default(const struct ei_bundle_field *field, const struct ei_op *op)
{
    return field->missing == EI_BUNDLE_KERNEL ? (double)op->kernel_px : field->value;
}

bool ei_bundle_is_binary(enum ei_op_kind kind)
{
    return kind == EI_OP_ADD || kind == EI_OP_CONCAT;
}

static bool is_plain(const char *text, size_t length_max)
{
    const size_t length = strlen(text);
    if (length < 1 || length > length_max || text[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c >= 128 || (!isalnum(c) && strchr("-_.", c) == NULL)) {
            return false;
        }
    }
    return true;
}

bool ei_bundle_is_name(const char *text)
{
    return is_plain(text, 31);
}

bool ei_bundle_is_script_name(const char *text)
{
    return is_plain(text, EI_PROGRAM_SCRIPT_FILE_MAX - 1) && strcmp(text, EI_BUNDLE_MANIFEST) != 0 &&
           strcmp(text, EI_BUNDLE_WEIGHTS) != 0;
}
