/* Descriptions of memory: what a step's configuration says, in oneDNN's terms. */
#ifndef STAGES_DNNL_SHAPES_H
#define STAGES_DNNL_SHAPES_H

#include "stages/dnnl/dnnl.h"
#include "stages/dnnl/versions.h"

static inline dnnl_data_type_t type_of(enum ei_dnnl_type type)
{
    return type == EI_DNNL_BFLOAT16 ? dnnl_bf16 : dnnl_f32;
}

/* Dimensions of a picture or of features. */
static inline int dims_of(const struct ei_dnnl_shape *shape, dnnl_dims_t out)
{
    out[0] = 1;
    out[1] = shape->channels;
    out[2] = shape->height_px;
    out[3] = shape->width_px;
    return shape->height_px > 0 ? 4 : 2;
}

static inline dnnl_status_t init_any(struct ei_dnnl_layout *out, const struct ei_dnnl_shape *shape,
                                     enum ei_dnnl_type type)
{
    dnnl_dims_t dims;
    const int count = dims_of(shape, dims);
    return md_init(out, count, dims, type_of(type), dnnl_format_tag_any);
}

/* The weights as the program has them, in float32. */
static inline dnnl_status_t init_weight(struct ei_dnnl_layout *out, const struct ei_dnnl_step_config *config,
                                        enum ei_dnnl_type type, bool is_any)
{
    const bool is_conv = config->kind == EI_DNNL_CONV;
    const dnnl_dims_t dims = {config->out.channels, config->in.channels,
                              is_conv ? config->kernel_px : config->in.height_px,
                              is_conv ? config->kernel_px : config->in.width_px};
    const int count = is_conv || config->in.height_px > 0 ? 4 : 2;
    return md_init(out, count, dims, type_of(type), is_any ? dnnl_format_tag_any : count == 4 ? dnnl_abcd : dnnl_ab);
}

static inline dnnl_status_t init_channels_last(struct ei_dnnl_layout *out, const struct ei_dnnl_shape *shape,
                                               enum ei_dnnl_type type)
{
    dnnl_dims_t dims;
    return md_init(out, dims_of(shape, dims), dims, type_of(type), dnnl_acdb);
}

static inline dnnl_status_t init_matrix(struct ei_dnnl_layout *out, int64_t rows, int64_t columns,
                                        enum ei_dnnl_type type, dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {rows, columns};
    return md_init(out, 2, dims, type_of(type), tag);
}

/* Padding behind the picture that gives the wanted size. */
static inline dnnl_dim_t far_padding(const struct ei_dnnl_step_config *config, int32_t in_px, int32_t out_px)
{
    const int32_t wanted = (out_px - 1) * config->stride_px + config->kernel_px - in_px - config->padding_px;
    return wanted > config->padding_px ? wanted : config->padding_px;
}

#endif
