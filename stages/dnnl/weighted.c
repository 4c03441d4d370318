#include "stages/dnnl/weighted.h"

#include <stdio.h>
#include <string.h>

#define NAMES_MAX 16
#define IM2COL_NAME "im2col+" /* in front of the name of the product's implementation */
#define IM2COL_PIXELS_MAX 64  /* to be an option */
#define IM2COL_FEW_PIXELS 16  /* to be the first choice */
#define IM2COL_LARGE_BYTES (1 << 20)

/* A linear layer is DIRECT. */
enum algorithm { DIRECT, WINOGRAD, IM2COL };
#define ALGORITHM_COUNT 3

/* ---- what is asked of oneDNN ---- */

/* Everything that describes a convolution or linear layer but its algorithm. */
struct weighted {
    struct ei_dnnl_layout in, out, weight, bias;
    md_ref in_md, out_md, bias_md;
    dnnl_dims_t strides, pad_begin, pad_end;
};

static dnnl_status_t weighted_init(struct weighted *w, const struct ei_dnnl_step_config *config)
{
    const dnnl_dims_t channels = {config->out.channels};
    *w = (struct weighted){
        .strides = {config->stride_px, config->stride_px},
        .pad_begin = {config->padding_px, config->padding_px},
        .pad_end = {far_padding(config, config->in.height_px, config->out.height_px),
                    far_padding(config, config->in.width_px, config->out.width_px)},
    };
    dnnl_status_t rc = init_any(&w->in, &config->in, config->type);
    if (rc == dnnl_success) {
        rc = init_any(&w->out, &config->out, config->out_type);
    }
    if (rc == dnnl_success) {
        rc = init_weight(&w->weight, config, config->type, true);
    }
    if (rc == dnnl_success) {
        rc = md_init(&w->bias, 1, channels, dnnl_f32, dnnl_a);
    }
    w->in_md = config->in_layout != NULL ? ref_of(config->in_layout) : ref_of(&w->in);
    w->out_md = config->out_layout != NULL ? ref_of(config->out_layout) : ref_of(&w->out);
    w->bias_md = config->bias != NULL ? ref_of(&w->bias) : NULL;
    return rc;
}

static struct ei_im2col im2col_of(const struct ei_dnnl_step_config *config)
{
    return (struct ei_im2col){.channels = config->in.channels,
                              .height_px = config->in.height_px,
                              .width_px = config->in.width_px,
                              .out_height_px = config->out.height_px,
                              .out_width_px = config->out.width_px,
                              .kernel_px = config->kernel_px,
                              .stride_px = config->stride_px,
                              .padding_px = config->padding_px,
                              .element_bytes = config->type == EI_DNNL_BFLOAT16 ? 2 : 4};
}

/* The same for a convolution as one product. Its layouts are its own. */
static dnnl_status_t product_init(struct weighted *w, const struct ei_dnnl_step_config *config)
{
    const dnnl_dims_t channels = {config->out.channels};
    const int64_t pixels = (int64_t)config->out.height_px * config->out.width_px;
    const struct ei_im2col shape = im2col_of(config);
    const int64_t window = ei_im2col_window(&shape);
    *w = (struct weighted){.in_md = NULL};
    dnnl_status_t rc = init_matrix(&w->in, pixels, window, config->type, dnnl_ab);
    if (rc == dnnl_success) {
        rc = init_matrix(&w->out, pixels, config->out.channels, config->out_type, dnnl_ab);
    }
    if (rc == dnnl_success) {
        rc = init_matrix(&w->weight, config->out.channels, window, config->type, dnnl_format_tag_any);
    }
    if (rc == dnnl_success) {
        rc = md_init(&w->bias, 1, channels, dnnl_f32, dnnl_a);
    }
    w->in_md = ref_of(&w->in);
    w->out_md = ref_of(&w->out);
    w->bias_md = config->bias != NULL ? ref_of(&w->bias) : NULL;
    return rc;
}

static void weighted_fini(struct weighted *w)
{
    md_fini(&w->in);
    md_fini(&w->out);
    md_fini(&w->weight);
    md_fini(&w->bias);
}

/* The plan then stands at the first implementation of the algorithm. */
static dnnl_status_t describe(struct plan *plan, const struct ei_dnnl_step_config *config, enum algorithm algorithm)
{
    struct weighted w;
    dnnl_status_t rc = algorithm == IM2COL ? product_init(&w, config) : weighted_init(&w, config);
    plan_reset(plan);
    if (rc == dnnl_success && config->kind == EI_DNNL_CONV && algorithm != IM2COL) {
        rc = plan_conv(plan, algorithm == DIRECT ? dnnl_convolution_direct : dnnl_convolution_winograd, w.in_md,
                       ref_of(&w.weight), w.bias_md, w.out_md, w.strides, w.pad_begin, w.pad_end);
    } else if (rc == dnnl_success) {
        rc = plan_linear(plan, w.in_md, ref_of(&w.weight), w.bias_md, w.out_md);
    }
    weighted_fini(&w);
    return rc;
}

/* ---- the first choice ---- */

static void name_kernel(const struct plan *plan, enum algorithm algorithm, char out[EI_DNNL_KERNEL_MAX])
{
    const char *name = NULL;
    const bool is_known = dnnl_primitive_desc_query(plan->pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success;
    snprintf(out, EI_DNNL_KERNEL_MAX, "%s%s", algorithm == IM2COL ? IM2COL_NAME : "", is_known ? name : "");
}

/* Whether a convolution may be one product: the result lies with its channels last, and there are few windows. */
static bool may_be_product(const struct ei_dnnl_step_config *config)
{
    struct ei_dnnl_layout out = {0};
    bool may = config->kind == EI_DNNL_CONV && config->kernel_px > 1 &&
               config->out.height_px * config->out.width_px <= IM2COL_PIXELS_MAX;
    if (may && config->out_layout != NULL) {
        may = init_channels_last(&out, &config->out, config->out_type) == dnnl_success &&
              dnnl_memory_desc_equal(ref_of(&out), ref_of(config->out_layout)) != 0;
        md_fini(&out);
    }
    return may;
}

/* Unmeasured, the product is taken where weights are more than the first caches keep and pixels are few: oneDNN's
 * convolutions took 1.0 to 1.5 times as long there (docs/benchmarks.md). At fewer pixels most of a window is padding.
 */
static bool is_first_product(struct plan *plan, const struct ei_dnnl_step_config *config)
{
    const int32_t pixels = config->out.height_px * config->out.width_px;
    const struct ei_im2col shape = im2col_of(config);
    const int64_t weight_bytes = ei_im2col_window(&shape) * config->out.channels * shape.element_bytes;
    char name[EI_DNNL_KERNEL_MAX];
    if (!FETCHES_WEIGHTS_BY_ROW || pixels < (config->type == EI_DNNL_BFLOAT16 ? 9 : 4) || pixels > IM2COL_FEW_PIXELS ||
        weight_bytes < IM2COL_LARGE_BYTES || !may_be_product(config) ||
        describe(plan, config, IM2COL) != dnnl_success) {
        return false;
    }
    name_kernel(plan, IM2COL, name);
    return strstr(name, "brgemm") != NULL; /* of the others it was not always true */
}

/* ---- the others ---- */

/* Kernels that no measurement on a processor of today would choose need not be measured. */
static bool may_be_fast(const char *name, bool is_conv)
{
    return strncmp(name, "ref", 3) != 0 && strncmp(name, IM2COL_NAME "ref", sizeof IM2COL_NAME + 2) != 0 &&
           strstr(name, "sse41") == NULL && !(is_conv && strstr(name, "gemm:") != NULL);
}

/* Names of the implementations that were met. */
struct names {
    int32_t count;
    char list[NAMES_MAX][EI_DNNL_KERNEL_MAX];
};

/* False when it was met before, or there is no room left. */
static bool is_new(struct names *names, const char *name)
{
    for (int32_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i], name) == 0) {
            return false;
        }
    }
    if (names->count == NAMES_MAX) {
        return false;
    }
    snprintf(names->list[names->count++], EI_DNNL_KERNEL_MAX, "%s", name);
    return true;
}

struct search {
    const struct ei_dnnl_step_config *config;
    enum algorithm first; /* whose first implementation is the first choice */
    int32_t passed;       /* options so far */
};

/* Walk through the implementations of one algorithm to the wanted one. oneDNN 2 may show one several times: what its
 * cache holds does not move the iterator on. */
static bool find_kernel(struct plan *plan, struct search *search, enum algorithm algorithm)
{
    const struct ei_dnnl_step_config *config = search->config;
    const bool is_conv = config->kind == EI_DNNL_CONV;
    bool is_first = algorithm == search->first && is_conv; /* a linear layer's first depends on its input */
    struct names met = {0};
    char name[EI_DNNL_KERNEL_MAX];
    do {
        name_kernel(plan, algorithm, name);
        if (config->kernel != NULL) {
            if (strcmp(name, config->kernel) == 0) {
                return true;
            }
        } else if (is_new(&met, name) && !is_first && may_be_fast(name, is_conv && algorithm != IM2COL) &&
                   ++search->passed == config->option) {
            return true;
        }
        is_first = false;
    } while (plan_next(plan));
    return false;
}

static bool is_searched(const struct ei_dnnl_step_config *config, enum algorithm algorithm)
{
    switch (algorithm) {
    case WINOGRAD:
        return config->kind == EI_DNNL_CONV && (config->kernel != NULL || config->has_winograd != 0);
    case IM2COL:
        return may_be_product(config);
    case DIRECT:
        break;
    }
    return true;
}

static void choose(const struct plan *plan, const struct ei_dnnl_step_config *config, enum algorithm algorithm,
                   struct ei_dnnl_choice *out)
{
    *out = (struct ei_dnnl_choice){.is_im2col = algorithm == IM2COL, .im2col = im2col_of(config)};
    name_kernel(plan, algorithm, out->kernel);
}

dnnl_status_t ei_dnnl_plan_weighted(struct plan *plan, const struct ei_dnnl_step_config *config,
                                    struct ei_dnnl_choice *out)
{
    const bool is_any = config->kernel == NULL && config->option == 0;
    struct search search = {.config = config, .first = is_first_product(plan, config) ? IM2COL : DIRECT};
    if (is_any) {
        const dnnl_status_t rc = search.first == IM2COL ? dnnl_success : describe(plan, config, DIRECT);
        if (rc == dnnl_success) {
            choose(plan, config, search.first, out);
        }
        return rc;
    }
    for (int i = 0; i < ALGORITHM_COUNT; i++) {
        const enum algorithm algorithm = (enum algorithm)i;
        const dnnl_status_t rc = is_searched(config, algorithm) ? describe(plan, config, algorithm) : STATUS_NO_KERNEL;
        if (rc != dnnl_success && algorithm == DIRECT) {
            return rc;
        }
        if (rc == dnnl_success && find_kernel(plan, &search, algorithm)) {
            choose(plan, config, algorithm, out);
            return dnnl_success;
        }
    }
    return STATUS_NO_KERNEL;
}
