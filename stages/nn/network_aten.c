/* The `aten` backend: a layer program on libtorch in fp32 or bfloat16. Activations stay in the executor's slots between
 * blocks, so a preempted job loses nothing. Every entry into libtorch is a submit section.
 */
#include "stages/nn/network_aten.h"

#include "rt/section.h"
#include "stages/nn/network_backend.h"
#include "stages/workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct aten {
    struct ei_network net;
    const struct ei_torch_api *api;
    struct ei_exec *exec;
    struct ei_torch_tensor *input; /* [1, c, h, w], rewritten by every job */
    int64_t input_count;
    int32_t threads;
};

/* Keep what libtorch says about a failed call. */
static int faulted(struct aten *a, int rc)
{
    if (rc != 0) {
        snprintf(a->net.fault, sizeof a->net.fault, "%.250s", a->api->error_text());
    }
    return rc;
}

static int aten_thread_enter(struct ei_network *net)
{
    struct aten *a = (struct aten *)net;
    const int rc = a->api->precision(net->info.precision == EI_NETWORK_BFLOAT16 ? EI_TORCH_BFLOAT16 : EI_TORCH_FLOAT32);
    return faulted(a, rc != 0 ? rc : a->api->thread_enter(EI_TORCH_INFERENCE, a->threads));
}

static int set_input(struct aten *a, const float *input_chw)
{
    const int rc = a->api->tensor_write_f32(a->input, input_chw, a->input_count);
    return rc != 0 ? rc : a->api->tensor_assign(ei_exec_slot(a->exec, 0), a->input);
}

static int run_branch(struct aten *a, int32_t block_idx, float *out_logits)
{
    const int rc = ei_exec_run(a->exec, block_idx, true, false);
    if (rc != 0) {
        return rc;
    }
    const struct ei_torch_tensor *logits = ei_exec_slot(a->exec, ei_exec_logits_slot(a->exec, block_idx));
    return a->api->tensor_read_f32(logits, out_logits, a->net.info.classes);
}

static int aten_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label)
{
    (void)sample_idx;
    (void)label;
    struct aten *a = (struct aten *)net;
    ei_workers_keep();
    ei_rt_submit_enter();
    const int rc = faulted(a, set_input(a, input_chw));
    ei_rt_submit_leave();
    return rc;
}

static int aten_run_conv(struct ei_network *net, int32_t block_idx)
{
    struct aten *a = (struct aten *)net;
    ei_rt_submit_enter();
    const int rc = faulted(a, ei_exec_run(a->exec, block_idx, false, false));
    ei_rt_submit_leave();
    return rc;
}

static int aten_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    struct aten *a = (struct aten *)net;
    ei_rt_submit_enter();
    const int rc = faulted(a, run_branch(a, block_idx, out_logits));
    ei_rt_submit_leave();
    return rc;
}

static void aten_end(struct ei_network *net)
{
    ei_rt_submit_enter();
    ei_exec_clear(((struct aten *)net)->exec);
    ei_rt_submit_leave();
}

static int aten_run_monolithic(struct ei_network *net, const float *input_chw, float *out_logits)
{
    struct aten *a = (struct aten *)net;
    ei_rt_submit_enter();
    int rc = set_input(a, input_chw);
    for (int32_t b = 0; rc == 0 && b < net->info.exits; b++) {
        rc = ei_exec_run(a->exec, b, false, false);
        if (rc == 0) {
            rc = run_branch(a, b, out_logits + (size_t)b * (size_t)net->info.classes);
        }
    }
    rc = faulted(a, rc);
    ei_exec_clear(a->exec);
    ei_rt_submit_leave();
    return rc;
}

static void aten_destroy(struct ei_network *net)
{
    struct aten *a = (struct aten *)net;
    ei_exec_destroy(a->exec);
    a->api->tensor_destroy(a->input);
    free(a);
}

static const struct ei_network_backend aten_backend = {
    aten_thread_enter, aten_begin, aten_run_conv, aten_run_branch, aten_end, aten_run_monolithic, aten_destroy,
};

static int create_input(struct aten *a, struct einet_error *err)
{
    const int64_t shape[4] = {1, a->net.info.channels, a->net.info.height_px, a->net.info.width_px};
    a->input_count = shape[1] * shape[2] * shape[3];
    float *zeros = calloc((size_t)a->input_count, sizeof *zeros);
    int rc = zeros != NULL ? a->api->tensor_create(&a->input) : -ENOMEM;
    if (rc == 0) {
        rc = a->api->tensor_from_f32(a->input, zeros, shape, 4);
    }
    free(zeros);
    return rc == 0 ? 0 : einet_error_set(err, rc, "no memory for the input of %s", a->net.info.name);
}

int ei_network_aten_narrow(const struct ei_torch_api *api, struct ei_exec *exec, struct einet_error *err)
{
    for (int32_t i = 0; i < ei_exec_param_count(exec); i++) {
        const struct ei_param *param = ei_exec_param(exec, i);
        if (param->op != EI_OP_CONV2D && param->op != EI_OP_LINEAR) {
            continue;
        }
        const int rc = api->tensor_bfloat16(ei_exec_param_tensor(exec, i));
        if (rc != 0) {
            return einet_error_set(err, rc, "%s cannot be narrowed to bfloat16: %s", param->name, api->error_text());
        }
    }
    return 0;
}

static int set_param(void *context, int32_t idx, const float *numbers, struct einet_error *err)
{
    return ei_exec_param_set(context, idx, numbers, err);
}

int ei_network_aten_load(struct ei_exec *exec, const struct ei_param_source *source, struct einet_error *err)
{
    const struct ei_param_sink sink = {set_param, exec};
    return source->load(source->context, &sink, err);
}

int ei_network_aten_create(const struct ei_torch_api *api, struct ei_exec *exec, const struct ei_network_info *info,
                           int32_t threads, struct ei_network **out, struct einet_error *err)
{
    struct aten *a = threads >= 1 && threads <= 1024 ? calloc(1, sizeof *a) : NULL;
    if (a == NULL) {
        ei_exec_destroy(exec);
        return threads >= 1 && threads <= 1024
                   ? einet_error_set(err, -ENOMEM, "no memory for a network")
                   : einet_error_set(err, EINET_E_USAGE, "a network runs with 1 to 1024 threads, not %d", threads);
    }
    a->net.backend = &aten_backend;
    a->net.next_block = -1;
    a->net.info = *info;
    a->api = api;
    a->exec = exec;
    a->threads = threads;
    int rc = create_input(a, err);
    if (rc == 0 && info->precision == EI_NETWORK_BFLOAT16) {
        rc = ei_network_aten_narrow(api, exec, err);
    }
    if (rc != 0) {
        aten_destroy(&a->net);
        return rc;
    }
    *out = &a->net;
    return 0;
}
