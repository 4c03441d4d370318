/* What oneDNN 2 and 3 do differently: how memory descriptors are held and how a primitive is described. Only the
 * plug-in includes this, and asks nowhere else for the version.
 */
#ifndef STAGES_DNNL_VERSIONS_H
#define STAGES_DNNL_VERSIONS_H

#include "stages/dnnl/dnnl.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stdint.h>

/* A primitive before it is made. */
struct plan {
    dnnl_engine_t engine;
    dnnl_primitive_desc_t pd; /* of the implementation that is looked at */
    dnnl_primitive_attr_t attr;
#if DNNL_VERSION_MAJOR < 3
    dnnl_primitive_desc_iterator_t iterator; /* NULL = there is no further implementation */
    union {
        dnnl_convolution_desc_t conv;
        dnnl_inner_product_desc_t linear;
    } desc; /* the iterator reads it at every step, it keeps no copy */
#endif
};

/* Channels a block, when rows and columns of blocks follow, or all channels of a pixel are together. */
static inline int32_t block_of(int dims, const dnnl_dim_t *shape, const dnnl_dim_t *padded, const dnnl_dim_t *strides,
                               dnnl_dim_t block)
{
    if (dims == 2) {
        return block == 1 ? 1 : 0;
    }
    const dnnl_dim_t channels = shape[1], height = shape[2], width = shape[3];
    const bool is_dense = strides[3] == block && strides[2] == block * width &&
                          (padded[1] == block || strides[1] == block * width * height);
    const bool is_last = block == 1 && strides[1] == 1 && strides[3] == channels && strides[2] == channels * width;
    return is_dense ? (int32_t)block : is_last ? EI_DNNL_CHANNELS_LAST : 0;
}

static inline void plan_fini_pd(struct plan *plan)
{
    if (plan->pd != NULL) {
        (void)dnnl_primitive_desc_destroy(plan->pd);
        plan->pd = NULL;
    }
}

#if DNNL_VERSION_MAJOR >= 3

/* Drop the description, to make another one. */
static inline void plan_reset(struct plan *plan)
{
    plan_fini_pd(plan);
}

/* Go to the next implementation. False = that was the last one. */
static inline bool plan_next(struct plan *plan)
{
    return dnnl_primitive_desc_next_impl(plan->pd) == dnnl_success;
}

#define STATUS_NO_KERNEL dnnl_last_impl_reached
#define FETCHES_WEIGHTS_BY_ROW false /* a convolution, once for each row of the picture (measured: 3.2) */

typedef const_dnnl_memory_desc_t md_ref;

struct ei_dnnl_layout {
    dnnl_memory_desc_t md;
};

static inline md_ref ref_of(const struct ei_dnnl_layout *layout)
{
    return layout->md;
}

static inline dnnl_status_t md_init(struct ei_dnnl_layout *out, int dims, const dnnl_dims_t shape,
                                    dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(&out->md, dims, shape, type, tag);
}

static inline dnnl_status_t md_copy(struct ei_dnnl_layout *out, md_ref from)
{
    return dnnl_memory_desc_clone(&out->md, from);
}

static inline void md_fini(struct ei_dnnl_layout *layout)
{
    if (layout->md != NULL) {
        (void)dnnl_memory_desc_destroy(layout->md);
    }
}

static inline md_ref pd_md(const struct plan *plan, dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(plan->pd, what, index);
}

static inline dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0F, 0, dnnl_data_type_undef);
}

static inline dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0.0F, 0.0F);
}

/* How channels lie (layout_block of dnnl.h), when only they are blocked, once. */
static inline int32_t md_block(md_ref md)
{
    int dims = 0, blocks = 0;
    dnnl_dims_t *shape, *padded, *strides, *sizes, *indices; /* borrowed from md */
    dnnl_format_kind_t kind;
    if (dnnl_memory_desc_query(md, dnnl_query_format_kind, &kind) != dnnl_success || kind != dnnl_blocked ||
        dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &dims) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_dims, &shape) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_padded_dims, &padded) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_strides, &strides) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &blocks) != dnnl_success || blocks > 1 ||
        (blocks == 1 && (dnnl_memory_desc_query(md, dnnl_query_inner_blks, &sizes) != dnnl_success ||
                         dnnl_memory_desc_query(md, dnnl_query_inner_idxs, &indices) != dnnl_success))) {
        return 0;
    }
    if (blocks == 1 && (*indices)[0] != 1) {
        return 0;
    }
    return block_of(dims, *shape, *padded, *strides, blocks == 1 ? (*sizes)[0] : 1);
}

static inline dnnl_status_t plan_conv(struct plan *plan, dnnl_alg_kind_t kind, md_ref in, md_ref weight, md_ref bias,
                                      md_ref out, const dnnl_dims_t strides, const dnnl_dims_t pad_begin,
                                      const dnnl_dims_t pad_end)
{
    const dnnl_dims_t dilation = {0, 0};
    return dnnl_convolution_forward_primitive_desc_create(&plan->pd, plan->engine, dnnl_forward_inference, kind, in,
                                                          weight, bias, out, strides, dilation, pad_begin, pad_end,
                                                          plan->attr);
}

static inline dnnl_status_t plan_linear(struct plan *plan, md_ref in, md_ref weight, md_ref bias, md_ref out)
{
    return dnnl_inner_product_forward_primitive_desc_create(&plan->pd, plan->engine, dnnl_forward_inference, in, weight,
                                                            bias, out, plan->attr);
}

static inline dnnl_status_t plan_pool(struct plan *plan, dnnl_alg_kind_t kind, md_ref in, md_ref out,
                                      const dnnl_dims_t strides, const dnnl_dims_t kernel, const dnnl_dims_t pad_begin,
                                      const dnnl_dims_t pad_end)
{
    const dnnl_dims_t dilation = {0, 0};
    return dnnl_pooling_forward_primitive_desc_create(&plan->pd, plan->engine, dnnl_forward_inference, kind, in, out,
                                                      strides, kernel, dilation, pad_begin, pad_end, plan->attr);
}

static inline dnnl_status_t plan_relu(struct plan *plan, md_ref in)
{
    return dnnl_eltwise_forward_primitive_desc_create(&plan->pd, plan->engine, dnnl_forward_inference,
                                                      dnnl_eltwise_relu, in, in, 0.0F, 0.0F, plan->attr);
}

#else

static inline void plan_reset(struct plan *plan)
{
    plan_fini_pd(plan);
    if (plan->iterator != NULL) {
        (void)dnnl_primitive_desc_iterator_destroy(plan->iterator);
        plan->iterator = NULL;
    }
}

static inline bool plan_next(struct plan *plan)
{
    if (plan->iterator == NULL || dnnl_primitive_desc_iterator_next(plan->iterator) != dnnl_success) {
        return false;
    }
    plan_fini_pd(plan);
    plan->pd = dnnl_primitive_desc_iterator_fetch(plan->iterator);
    return plan->pd != NULL;
}

/* Describe an operation that may have several implementations; pd is the first of them. */
static inline dnnl_status_t plan_first(struct plan *plan, const_dnnl_op_desc_t desc)
{
    const dnnl_status_t rc = dnnl_primitive_desc_iterator_create(&plan->iterator, desc, plan->attr, plan->engine, NULL);
    if (rc != dnnl_success) {
        plan->iterator = NULL;
        return rc;
    }
    plan->pd = dnnl_primitive_desc_iterator_fetch(plan->iterator);
    return plan->pd != NULL ? dnnl_success : dnnl_unimplemented;
}

#define STATUS_NO_KERNEL dnnl_iterator_ends
#define FETCHES_WEIGHTS_BY_ROW true /* measured: 2.6 */

typedef const dnnl_memory_desc_t *md_ref;

struct ei_dnnl_layout {
    dnnl_memory_desc_t md;
};

static inline md_ref ref_of(const struct ei_dnnl_layout *layout)
{
    return &layout->md;
}

static inline dnnl_status_t md_init(struct ei_dnnl_layout *out, int dims, const dnnl_dims_t shape,
                                    dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(&out->md, dims, shape, type, tag);
}

static inline dnnl_status_t md_copy(struct ei_dnnl_layout *out, md_ref from)
{
    out->md = *from;
    return dnnl_success;
}

static inline void md_fini(struct ei_dnnl_layout *layout)
{
    (void)layout;
}

static inline md_ref pd_md(const struct plan *plan, dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(plan->pd, what, index);
}

static inline dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0F);
}

static inline dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0F, dnnl_eltwise_relu, 0.0F, 0.0F);
}

/* How channels lie (layout_block of dnnl.h), when only they are blocked, once. */
static inline int32_t md_block(md_ref md)
{
    const dnnl_blocking_desc_t *order = &md->format_desc.blocking;
    if (md->format_kind != dnnl_blocked || order->inner_nblks > 1 ||
        (order->inner_nblks == 1 && order->inner_idxs[0] != 1)) {
        return 0;
    }
    return block_of(md->ndims, md->dims, md->padded_dims, order->strides,
                    order->inner_nblks == 1 ? order->inner_blks[0] : 1);
}

static inline dnnl_status_t plan_conv(struct plan *plan, dnnl_alg_kind_t kind, md_ref in, md_ref weight, md_ref bias,
                                      md_ref out, const dnnl_dims_t strides, const dnnl_dims_t pad_begin,
                                      const dnnl_dims_t pad_end)
{
    const dnnl_status_t rc = dnnl_convolution_forward_desc_init(&plan->desc.conv, dnnl_forward_inference, kind, in,
                                                                weight, bias, out, strides, pad_begin, pad_end);
    return rc != dnnl_success ? rc : plan_first(plan, &plan->desc.conv);
}

static inline dnnl_status_t plan_linear(struct plan *plan, md_ref in, md_ref weight, md_ref bias, md_ref out)
{
    const dnnl_status_t rc =
        dnnl_inner_product_forward_desc_init(&plan->desc.linear, dnnl_forward_inference, in, weight, bias, out);
    return rc != dnnl_success ? rc : plan_first(plan, &plan->desc.linear);
}

static inline dnnl_status_t plan_pool(struct plan *plan, dnnl_alg_kind_t kind, md_ref in, md_ref out,
                                      const dnnl_dims_t strides, const dnnl_dims_t kernel, const dnnl_dims_t pad_begin,
                                      const dnnl_dims_t pad_end)
{
    dnnl_pooling_desc_t desc;
    const dnnl_status_t rc = dnnl_pooling_forward_desc_init(&desc, dnnl_forward_inference, kind, in, out, strides,
                                                            kernel, pad_begin, pad_end);
    return rc != dnnl_success ? rc : dnnl_primitive_desc_create(&plan->pd, &desc, plan->attr, plan->engine, NULL);
}

static inline dnnl_status_t plan_relu(struct plan *plan, md_ref in)
{
    dnnl_eltwise_desc_t desc;
    const dnnl_status_t rc =
        dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_inference, dnnl_eltwise_relu, in, 0.0F, 0.0F);
    return rc != dnnl_success ? rc : dnnl_primitive_desc_create(&plan->pd, &desc, plan->attr, plan->engine, NULL);
}

#endif

#endif
