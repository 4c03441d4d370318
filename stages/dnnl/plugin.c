/* Prepared steps on oneDNN's C API, versions 2 and 3 (versions.h).
 *
 * The plug-in's only state is oneDNN's CPU engine, made once by the entry, which the loader calls under its lock.
 */
#include "stages/dnnl/dnnl.h"
#include "stages/dnnl/weighted.h"

#include <einet/error.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_TEXT_MAX 160
#define ARGS_MAX 6

/* Of the OpenMP runtime that oneDNN brought along, if it did. */
extern void omp_set_num_threads(int) __attribute__((weak));

static dnnl_engine_t engine;
static _Thread_local char last_error[ERROR_TEXT_MAX];

/* Keep what was being done when oneDNN refused. Returns 0, EINET_E_BACKEND or -ENOMEM. */
static int check(dnnl_status_t status, const char *doing)
{
    static const char *const texts[] = {"success",      "out of memory", "invalid arguments", "unimplemented",
                                        "nothing left", "runtime error", "not required"};
    if (status == dnnl_success) {
        return 0;
    }
    const char *text = (unsigned)status < sizeof texts / sizeof texts[0] ? texts[(unsigned)status] : "failed";
    snprintf(last_error, sizeof last_error, "%s: %s", doing, text);
    return status == dnnl_out_of_memory ? -ENOMEM : EINET_E_BACKEND;
}

/* ---- layouts ---- */

static int layout_create(const struct ei_dnnl_shape *shape, enum ei_dnnl_type type, int32_t block,
                         struct ei_dnnl_layout **out)
{
    dnnl_dims_t dims;
    const int count = dims_of(shape, dims);
    const dnnl_format_tag_t tag = count == 2                       ? dnnl_ab
                                  : block == 16                    ? dnnl_aBcd16b
                                  : block == 8                     ? dnnl_aBcd8b
                                  : block == 4                     ? dnnl_aBcd4b
                                  : block == EI_DNNL_CHANNELS_LAST ? dnnl_acdb
                                                                   : dnnl_abcd;
    struct ei_dnnl_layout *layout = calloc(1, sizeof *layout);
    if (layout == NULL) {
        return -ENOMEM;
    }
    const int rc = check(md_init(layout, count, dims, type_of(type), tag), "describing a layout");
    if (rc != 0) {
        free(layout);
        return rc;
    }
    *out = layout;
    return 0;
}

static void layout_destroy(struct ei_dnnl_layout *layout)
{
    if (layout != NULL) {
        md_fini(layout);
        free(layout);
    }
}

static int layout_is_equal(const struct ei_dnnl_layout *a, const struct ei_dnnl_layout *b)
{
    return dnnl_memory_desc_equal(ref_of(a), ref_of(b));
}

static int64_t layout_bytes(const struct ei_dnnl_layout *layout)
{
    return (int64_t)dnnl_memory_desc_get_size(ref_of(layout));
}

static int32_t layout_block(const struct ei_dnnl_layout *layout)
{
    return md_block(ref_of(layout));
}

/* ---- steps ---- */

enum { LAYOUTS = 2, MEMORY_WEIGHT = LAYOUTS, MEMORY_BIAS, MEMORY_SCRATCH, MEMORY_COUNT };

struct ei_dnnl_step {
    struct plan plan;
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    struct ei_dnnl_layout layouts[LAYOUTS]; /* in, out */
    dnnl_memory_t memory[MEMORY_COUNT];
    int64_t scratch_bytes, weight_bytes;
    int32_t arg_count;
    dnnl_exec_arg_t args[ARGS_MAX];
    struct ei_dnnl_choice choice; /* of convolutions and linear layers */
    const void *picture; /* im2col, bound: windows are gathered from it into the beginning of the scratch memory */
    void *windows;
};

static void step_destroy(struct ei_dnnl_step *step)
{
    if (step == NULL) {
        return;
    }
    for (int i = 0; i < MEMORY_COUNT; i++) {
        if (step->memory[i] != NULL) {
            (void)dnnl_memory_destroy(step->memory[i]);
        }
    }
    for (int i = 0; i < LAYOUTS; i++) {
        md_fini(&step->layouts[i]);
    }
    if (step->primitive != NULL) {
        (void)dnnl_primitive_destroy(step->primitive);
    }
    plan_reset(&step->plan);
    if (step->plan.attr != NULL) {
        (void)dnnl_primitive_attr_destroy(step->plan.attr);
    }
    if (step->stream != NULL) {
        (void)dnnl_stream_destroy(step->stream);
    }
    free(step);
}

static int set_attributes(struct ei_dnnl_step *step, const struct ei_dnnl_step_config *config)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t rc = dnnl_primitive_attr_create(&step->plan.attr);
    if (rc == dnnl_success) {
        rc = dnnl_primitive_attr_set_scratchpad_mode(step->plan.attr, dnnl_scratchpad_mode_user);
    }
    if (rc == dnnl_success) {
        rc = dnnl_post_ops_create(&ops);
    }
    if (rc == dnnl_success && config->has_sum != 0) {
        rc = append_sum(ops);
    }
    if (rc == dnnl_success && config->has_relu != 0) {
        rc = append_relu(ops);
    }
    if (rc == dnnl_success) {
        rc = dnnl_primitive_attr_set_post_ops(step->plan.attr, ops);
    }
    if (ops != NULL) {
        (void)dnnl_post_ops_destroy(ops);
    }
    return check(rc, "setting a step's attributes");
}

static int plan_weighted(struct ei_dnnl_step *step, const struct ei_dnnl_step_config *config)
{
    const dnnl_status_t rc = ei_dnnl_plan_weighted(&step->plan, config, &step->choice);
    if (rc == STATUS_NO_KERNEL) {
        snprintf(last_error, sizeof last_error, "there is no kernel %s for it",
                 config->kernel != NULL ? config->kernel : "left");
        return EINET_E_MISMATCH;
    }
    return check(rc, config->kind == EI_DNNL_CONV ? "preparing a convolution" : "preparing a linear layer");
}

static int plan_pooled(struct ei_dnnl_step *step, const struct ei_dnnl_step_config *config)
{
    struct ei_dnnl_layout out = {0};
    const dnnl_dims_t strides = {config->stride_px, config->stride_px};
    const bool is_whole = config->kernel_px == 0;
    const dnnl_dims_t kernel = {is_whole ? config->in.height_px : config->kernel_px,
                                is_whole ? config->in.width_px : config->kernel_px};
    const dnnl_dims_t pad_begin = {config->padding_px, config->padding_px};
    const dnnl_dims_t pad_end = {far_padding(config, config->in.height_px, config->out.height_px),
                                 far_padding(config, config->in.width_px, config->out.width_px)};
    const bool is_max = config->kind == EI_DNNL_MAX_POOL;
    dnnl_status_t rc = init_any(&out, &config->out, config->out_type);
    if (rc == dnnl_success) {
        rc = plan_pool(&step->plan, is_max ? dnnl_pooling_max : dnnl_pooling_avg_include_padding,
                       ref_of(config->in_layout), ref_of(&out), strides, kernel, pad_begin, pad_end);
    }
    md_fini(&out);
    return check(rc, "preparing a pool");
}

static int plan_step(struct ei_dnnl_step *step, const struct ei_dnnl_step_config *config)
{
    switch (config->kind) {
    case EI_DNNL_CONV:
    case EI_DNNL_LINEAR:
        return plan_weighted(step, config);
    case EI_DNNL_MAX_POOL:
    case EI_DNNL_AVG_POOL:
        return plan_pooled(step, config);
    case EI_DNNL_RELU:
        return check(plan_relu(&step->plan, ref_of(config->in_layout)), "preparing a ReLU");
    case EI_DNNL_REORDER:
        return check(dnnl_reorder_primitive_desc_create(&step->plan.pd, ref_of(config->in_layout), engine,
                                                        ref_of(config->out_layout), engine, step->plan.attr),
                     "preparing a reorder");
    }
    return EINET_E_BACKEND;
}

static dnnl_status_t add_memory(struct ei_dnnl_step *step, int which, md_ref md, int arg, void *handle)
{
    const dnnl_status_t rc = dnnl_memory_create(&step->memory[which], md, engine, handle);
    if (rc == dnnl_success) {
        step->args[step->arg_count++] = (dnnl_exec_arg_t){arg, step->memory[which]};
    }
    return rc;
}

/* The weights in the order of windows. *out: the caller frees it. */
static dnnl_status_t order_weight(const struct ei_dnnl_step *step, const struct ei_dnnl_step_config *config,
                                  struct ei_dnnl_layout *layout, float **out)
{
    const int64_t window = ei_im2col_window(&step->choice.im2col);
    *out = malloc((size_t)window * (size_t)config->out.channels * sizeof **out);
    if (*out == NULL) {
        return dnnl_out_of_memory;
    }
    ei_im2col_weights(&step->choice.im2col, config->out.channels, config->weight, *out);
    return init_matrix(layout, config->out.channels, window, EI_DNNL_FLOAT32, dnnl_ab);
}

/* Bring the program's weights into the order that the primitive wants. */
static dnnl_status_t pack_weight(struct ei_dnnl_step *step, const struct ei_dnnl_step_config *config)
{
    struct ei_dnnl_layout plain = {0};
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    const md_ref packed = pd_md(&step->plan, dnnl_query_weights_md, 0);
    float *windowed = NULL;
    dnnl_status_t rc = step->choice.is_im2col ? order_weight(step, config, &plain, &windowed)
                                              : init_weight(&plain, config, EI_DNNL_FLOAT32, false);
    step->weight_bytes = (int64_t)dnnl_memory_desc_get_size(packed);
    void *held = DNNL_MEMORY_ALLOCATE;
    if (rc == dnnl_success && config->store != NULL) {
        held = config->store->take(config->store->context, step->weight_bytes);
        rc = held != NULL ? rc : dnnl_out_of_memory;
    }
    if (rc == dnnl_success) {
        rc = add_memory(step, MEMORY_WEIGHT, packed, DNNL_ARG_WEIGHTS, held);
    }
    if (rc == dnnl_success) {
        void *weight = windowed;
        if (weight == NULL) {
            memcpy(&weight, &config->weight, sizeof weight); /* only read */
        }
        rc = dnnl_memory_create(&from, ref_of(&plain), engine, weight);
    }
    if (rc == dnnl_success) {
        rc = dnnl_reorder_primitive_desc_create(&pd, ref_of(&plain), engine, packed, engine, NULL);
    }
    if (rc == dnnl_success) {
        rc = dnnl_primitive_create(&reorder, pd);
    }
    if (rc == dnnl_success) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, step->memory[MEMORY_WEIGHT]}};
        rc = dnnl_primitive_execute(reorder, step->stream, 2, args);
    }
    if (rc == dnnl_success) {
        rc = dnnl_stream_wait(step->stream);
    }
    if (reorder != NULL) {
        (void)dnnl_primitive_destroy(reorder);
    }
    if (pd != NULL) {
        (void)dnnl_primitive_desc_destroy(pd);
    }
    if (from != NULL) {
        (void)dnnl_memory_destroy(from);
    }
    md_fini(&plain);
    free(windowed);
    return rc;
}

static dnnl_status_t copy_bias(struct ei_dnnl_step *step, const struct ei_dnnl_step_config *config)
{
    void *handle = NULL;
    dnnl_status_t rc = add_memory(step, MEMORY_BIAS, pd_md(&step->plan, dnnl_query_weights_md, 1), DNNL_ARG_BIAS,
                                  DNNL_MEMORY_ALLOCATE);
    if (rc == dnnl_success) {
        rc = dnnl_memory_get_data_handle(step->memory[MEMORY_BIAS], &handle);
    }
    if (rc == dnnl_success) {
        memcpy(handle, config->bias, (size_t)config->out.channels * sizeof *config->bias);
    }
    return rc;
}

/* Of scratch memory, before what the primitive wants. */
static int64_t windows_bytes(const struct ei_dnnl_step *step)
{
    const int64_t bytes = step->choice.is_im2col ? ei_im2col_bytes(&step->choice.im2col) : 0;
    return (bytes + EI_DNNL_ALIGN_BYTES - 1) / EI_DNNL_ALIGN_BYTES * EI_DNNL_ALIGN_BYTES;
}

static int make_step(struct ei_dnnl_step *step, const struct ei_dnnl_step_config *config)
{
    const md_ref in = pd_md(&step->plan, dnnl_query_src_md, 0), out = pd_md(&step->plan, dnnl_query_dst_md, 0);
    const md_ref scratch = pd_md(&step->plan, dnnl_query_scratchpad_md, 0);
    dnnl_status_t rc = dnnl_primitive_create(&step->primitive, step->plan.pd);
    if (rc == dnnl_success) {
        rc = dnnl_stream_create(&step->stream, engine, dnnl_stream_default_flags);
    }
    if (rc == dnnl_success) {
        rc = step->choice.is_im2col ? init_channels_last(&step->layouts[EI_DNNL_IN], &config->in, config->type)
                                    : md_copy(&step->layouts[EI_DNNL_IN], in);
    }
    if (rc == dnnl_success) {
        rc = step->choice.is_im2col ? init_channels_last(&step->layouts[EI_DNNL_OUT], &config->out, config->out_type)
                                    : md_copy(&step->layouts[EI_DNNL_OUT], out);
    }
    if (rc == dnnl_success) {
        rc = add_memory(step, EI_DNNL_IN, in, DNNL_ARG_SRC, DNNL_MEMORY_NONE);
    }
    if (rc == dnnl_success) {
        rc = add_memory(step, EI_DNNL_OUT, out, DNNL_ARG_DST, DNNL_MEMORY_NONE);
    }
    step->scratch_bytes = scratch != NULL ? (int64_t)dnnl_memory_desc_get_size(scratch) : 0;
    if (rc == dnnl_success && step->scratch_bytes > 0) {
        rc = add_memory(step, MEMORY_SCRATCH, scratch, DNNL_ARG_SCRATCHPAD, DNNL_MEMORY_NONE);
    }
    step->scratch_bytes += windows_bytes(step);
    if (rc == dnnl_success && config->weight != NULL) {
        rc = pack_weight(step, config);
    }
    if (rc == dnnl_success && config->bias != NULL) {
        rc = copy_bias(step, config);
    }
    return check(rc, "making a step");
}

static int step_create(const struct ei_dnnl_step_config *config, struct ei_dnnl_step **out)
{
    last_error[0] = '\0';
    struct ei_dnnl_step *step = calloc(1, sizeof *step);
    int rc = -ENOMEM;
    if (step != NULL) {
        step->plan.engine = engine;
        rc = set_attributes(step, config);
    }
    if (rc == 0) {
        rc = plan_step(step, config);
    }
    if (rc == 0) {
        rc = make_step(step, config);
    }
    if (rc != 0) {
        step_destroy(step);
        return rc;
    }
    *out = step;
    return 0;
}

static const struct ei_dnnl_layout *step_layout(const struct ei_dnnl_step *step, enum ei_dnnl_memory which)
{
    return &step->layouts[which];
}

static int64_t step_scratch_bytes(const struct ei_dnnl_step *step)
{
    return step->scratch_bytes;
}

static int64_t step_weight_bytes(const struct ei_dnnl_step *step)
{
    return step->weight_bytes;
}

static const char *step_kernel(const struct ei_dnnl_step *step)
{
    return step->choice.kernel;
}

static int step_bind(struct ei_dnnl_step *step, void *in, void *out, void *scratch)
{
    char *const rest = scratch != NULL ? (char *)scratch + windows_bytes(step) : NULL;
    void *const handles[] = {
        [EI_DNNL_IN] = step->choice.is_im2col ? scratch : in, [EI_DNNL_OUT] = out, [MEMORY_SCRATCH] = rest};
    step->picture = in;
    step->windows = scratch;
    dnnl_status_t rc = dnnl_success;
    for (int i = 0; rc == dnnl_success && i < MEMORY_COUNT; i++) {
        if (i != MEMORY_WEIGHT && i != MEMORY_BIAS && step->memory[i] != NULL) {
            rc = dnnl_memory_set_data_handle(step->memory[i], handles[i]);
        }
    }
    return check(rc, "binding a step to memory");
}

static int step_run(const struct ei_dnnl_step *step)
{
    if (step->choice.is_im2col) {
        ei_im2col_gather(&step->choice.im2col, step->picture, step->windows);
    }
    return check(dnnl_primitive_execute(step->primitive, step->stream, step->arg_count, step->args), "running a step");
}

static const char *error_text(void)
{
    return last_error;
}

static int thread_enter(int32_t threads)
{
    if (omp_set_num_threads != NULL) {
        omp_set_num_threads(threads);
    }
    return 0;
}

static char version[32];

static const struct ei_dnnl_api api = {
    EI_DNNL_ABI,        version,           error_text,   thread_enter, layout_create, layout_destroy,
    layout_is_equal,    layout_bytes,      layout_block, step_create,  step_destroy,  step_layout,
    step_scratch_bytes, step_weight_bytes, step_kernel,  step_bind,    step_run,
};

/* The plug-in's only exported symbol. NULL when oneDNN has no CPU engine. */
const struct ei_dnnl_api *ei_dnnl_api_get(void);

__attribute__((visibility("default"))) const struct ei_dnnl_api *ei_dnnl_api_get(void)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(version, sizeof version, "%d.%d.%d", v->major, v->minor, v->patch);
    if (engine == NULL && dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) {
        return NULL;
    }
    return &api;
}
