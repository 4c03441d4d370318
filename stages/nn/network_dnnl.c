/* The `dnnl` backend: a layer program as prepared steps on oneDNN, around parts that only libtorch runs
 * (mixed_parts.h). Activations stay in the arena between blocks, so a preempted job loses nothing. oneDNN allocates a
 * little in every step, so every entry that runs steps is a submit section.
 */
#include "stages/nn/network_dnnl.h"

#include "rt/section.h"
#include "stages/dnnl/loader.h"
#include "stages/nn/fuse.h"
#include "stages/nn/mixed_parts.h"
#include "stages/nn/network_backend.h"
#include "stages/nn/prepared.h"
#include "stages/nn/prepared_tune.h"
#include "stages/nn/weights_map.h"
#include "stages/workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dnnl {
    struct ei_network net;
    const struct ei_dnnl_api *api;
    struct ei_prepared *prepared;
    bool is_foreign[EI_FUSED_PARTS_MAX];
    struct ei_mixed *mixed;    /* NULL = oneDNN runs every part */
    const char *foreign_fault; /* of the call that is being made; NULL = it is not libtorch that failed */
    size_t input_bytes;
    int32_t threads;
    int32_t kernel_count;
    struct ei_network_kernel *kernels; /* owned; chosen ones */
};

/* Keep what is said about a failed call. */
static int faulted(struct dnnl *d, int rc)
{
    if (rc != 0) {
        snprintf(d->net.fault, sizeof d->net.fault, "%.250s",
                 d->foreign_fault != NULL ? d->foreign_fault : d->api->error_text());
    }
    d->foreign_fault = NULL;
    return rc;
}

static int dnnl_thread_enter(struct ei_network *net)
{
    struct dnnl *d = (struct dnnl *)net;
    const int rc = d->mixed != NULL ? ei_mixed_thread_enter(d->mixed) : 0;
    d->foreign_fault = rc != 0 ? ei_mixed_fault_text(d->mixed) : NULL;
    return faulted(d, rc != 0 ? rc : d->api->thread_enter(d->threads));
}

/* A part of libtorch's, called back by the prepared network. */
static int run_foreign(void *context, int32_t block_idx, bool branch, const struct ei_prepared_exchange *exchange)
{
    struct dnnl *d = context;
    const int rc = ei_mixed_run(d->mixed, block_idx, branch, exchange);
    d->foreign_fault = rc != 0 ? ei_mixed_fault_text(d->mixed) : NULL;
    return rc;
}

static int dnnl_begin(struct ei_network *net, const float *input_chw, int32_t sample_idx, int32_t label)
{
    (void)sample_idx;
    (void)label;
    struct dnnl *d = (struct dnnl *)net;
    ei_workers_keep();
    memcpy(ei_prepared_input(d->prepared), input_chw, d->input_bytes);
    return 0;
}

static int dnnl_run_conv(struct ei_network *net, int32_t block_idx)
{
    struct dnnl *d = (struct dnnl *)net;
    ei_rt_submit_enter();
    const int rc = faulted(d, ei_prepared_run(d->prepared, block_idx, false));
    ei_rt_submit_leave();
    return rc;
}

static int run_branch(struct dnnl *d, int32_t block_idx, float *out_logits)
{
    const int rc = ei_prepared_run(d->prepared, block_idx, true);
    if (rc == 0) {
        memcpy(out_logits, ei_prepared_logits(d->prepared, block_idx),
               (size_t)d->net.info.classes * sizeof *out_logits);
    }
    return faulted(d, rc);
}

static int dnnl_run_branch(struct ei_network *net, int32_t block_idx, float *out_logits)
{
    ei_rt_submit_enter();
    const int rc = run_branch((struct dnnl *)net, block_idx, out_logits);
    ei_rt_submit_leave();
    return rc;
}

static void dnnl_end(struct ei_network *net)
{
    (void)net;
}

static int dnnl_run_monolithic(struct ei_network *net, const float *input_chw, float *out_logits)
{
    struct dnnl *d = (struct dnnl *)net;
    int rc = dnnl_begin(net, input_chw, -1, -1);
    ei_rt_submit_enter();
    for (int32_t b = 0; rc == 0 && b < net->info.exits; b++) {
        rc = faulted(d, ei_prepared_run(d->prepared, b, false));
        if (rc == 0) {
            rc = run_branch(d, b, out_logits + (size_t)b * (size_t)net->info.classes);
        }
    }
    ei_rt_submit_leave();
    return rc;
}

static void dnnl_destroy(struct ei_network *net)
{
    struct dnnl *d = (struct dnnl *)net;
    ei_prepared_destroy(d->prepared);
    free(d->kernels);
    ei_mixed_destroy(d->mixed);
    free(d);
}

static const struct ei_network_backend dnnl_backend = {
    dnnl_thread_enter, dnnl_begin, dnnl_run_conv, dnnl_run_branch, dnnl_end, dnnl_run_monolithic, dnnl_destroy,
};

/* ---- set-up ---- */

/* All parameters, until they are packed. */
struct weights {
    int32_t count;
    struct ei_param *params;
    float **numbers;
};

static void weights_fini(struct weights *w)
{
    for (int32_t i = 0; w->numbers != NULL && i < w->count; i++) {
        free(w->numbers[i]);
    }
    free(w->numbers);
    free(w->params);
}

static int weights_init(struct weights *w, const struct ei_program *program, struct einet_error *err)
{
    w->count = ei_program_param_count(program);
    w->params = malloc((size_t)(w->count + 1) * sizeof *w->params);
    w->numbers = calloc((size_t)w->count + 1, sizeof *w->numbers);
    if (w->params == NULL || w->numbers == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    ei_weights_params(program, w->params);
    return 0;
}

static int set_numbers(void *context, int32_t idx, const float *numbers, struct einet_error *err)
{
    struct weights *w = context;
    const size_t bytes = (size_t)w->params[idx].count * sizeof *numbers;
    w->numbers[idx] = malloc(bytes);
    if (w->numbers[idx] == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the weights of a network");
    }
    memcpy(w->numbers[idx], numbers, bytes);
    return 0;
}

/* ---- kernels ---- */

/* A choice as prepared.h takes it, kernels: [op_count]. */
static int list_kernels(const struct ei_program *program, const struct ei_network_choice *choice,
                        char (*kernels)[EI_PREPARED_KERNEL_MAX], struct einet_error *err)
{
    for (int32_t i = 0; i < choice->kernel_count; i++) {
        const struct ei_network_kernel *k = &choice->kernels[i];
        const bool is_block = k->block_idx >= 0 && k->block_idx < program->block_count;
        const struct ei_program_part *part =
            is_block ? ei_program_part(program, k->block_idx, k->branch != 0) : &(struct ei_program_part){0, 0};
        const enum ei_op_kind kind =
            k->op_idx >= 0 && k->op_idx < part->op_count ? program->ops[part->first_op + k->op_idx].kind : EI_OP_RELU;
        if (kind != EI_OP_CONV2D && kind != EI_OP_LINEAR) {
            return einet_error_set(err, EINET_E_MISMATCH,
                                   "a kernel is chosen for block%d.%s.%d, but %s has no convolution or linear layer "
                                   "there",
                                   k->block_idx + 1, k->branch != 0 ? "branch" : "conv", k->op_idx, program->name);
        }
        snprintf(kernels[part->first_op + k->op_idx], sizeof *kernels, "%s", k->name);
    }
    return 0;
}

/* Remember what is not the first choice. */
static int note_kernels(struct dnnl *d, const struct ei_program *program)
{
    d->kernels = calloc((size_t)program->op_count + 1, sizeof *d->kernels);
    for (int32_t part = 0; d->kernels != NULL && part < 2 * program->block_count; part++) {
        const struct ei_program_part *ops = ei_program_part(program, part / 2, part % 2 != 0);
        for (int32_t op = 0; op < ops->op_count; op++) {
            const char *name = ei_prepared_kernel(d->prepared, ops->first_op + op);
            struct ei_network_kernel *k = &d->kernels[d->kernel_count];
            if (name[0] != '\0') {
                *k = (struct ei_network_kernel){.block_idx = part / 2, .branch = part % 2, .op_idx = op};
                snprintf(k->name, sizeof k->name, "%s", name);
                d->kernel_count++;
            }
        }
    }
    return d->kernels != NULL ? 0 : -ENOMEM;
}

int32_t ei_network_kernels(const struct ei_network *net, struct ei_network_kernel *out, int32_t room)
{
    if (net->backend != &dnnl_backend) {
        return 0;
    }
    const struct dnnl *d = (const struct dnnl *)net;
    for (int32_t i = 0; i < d->kernel_count && i < room; i++) {
        out[i] = d->kernels[i];
    }
    return d->kernel_count;
}

/* Measure kernels. libtorch's parts run meanwhile, on this thread. */
static int tune_kernels(struct dnnl *d, const struct ei_prepared_config *config,
                        char (*kernels)[EI_PREPARED_KERNEL_MAX], struct einet_error *err)
{
    int rc = dnnl_thread_enter(&d->net);
    if (rc != 0) {
        return einet_error_set(err, rc, "%s cannot be measured: %s", config->program->name, d->net.fault);
    }
    rc = ei_prepared_tune(d->api, config, kernels, err);
    if (rc != 0 && d->foreign_fault != NULL) {
        (void)einet_error_set(err, rc, "%s cannot be measured: %s", config->program->name, d->foreign_fault);
    }
    d->foreign_fault = NULL;
    return rc;
}

/* Prepare anew with the kernels of a choice, measured now where it says so. config is of first kernels, and worked. */
static int prepare_chosen(struct dnnl *d, struct ei_prepared_config *config, const struct ei_network_choice *choice,
                          struct einet_error *err)
{
    static const enum ei_prepared_allow allow[] = {
        [EI_NETWORK_TUNE_NONE] = EI_PREPARED_EXACT,
        [EI_NETWORK_TUNE_EXACT] = EI_PREPARED_EXACT,
        [EI_NETWORK_TUNE_WINOGRAD] = EI_PREPARED_WINOGRAD,
        [EI_NETWORK_TUNE_BFLOAT16] = EI_PREPARED_BFLOAT16,
    };
    char(*kernels)[EI_PREPARED_KERNEL_MAX] = calloc((size_t)config->program->op_count + 1, sizeof *kernels);
    config->allow = allow[choice->tune];
    int rc = kernels == NULL                        ? einet_error_set(err, -ENOMEM, "no memory for a network")
             : choice->tune != EI_NETWORK_TUNE_NONE ? tune_kernels(d, config, kernels, err)
                                                    : list_kernels(config->program, choice, kernels, err);
    if (rc == 0) {
        ei_prepared_destroy(d->prepared);
        d->prepared = NULL;
        config->kernels = (const char(*)[EI_PREPARED_KERNEL_MAX])kernels;
        rc = ei_prepared_create(d->api, config, &d->prepared, err);
    }
    free(kernels);
    return rc;
}

/* Whether oneDNN is left with a convolution or a linear layer. */
static bool has_work(const struct dnnl *d, const struct ei_program *program)
{
    for (int32_t part = 0; part < 2 * program->block_count; part++) {
        const struct ei_program_part *ops = ei_program_part(program, part / 2, part % 2 != 0);
        for (int32_t i = ops->first_op; !d->is_foreign[part] && i < ops->first_op + ops->op_count; i++) {
            if (program->ops[i].kind == EI_OP_CONV2D || program->ops[i].kind == EI_OP_LINEAR) {
                return true;
            }
        }
    }
    return false;
}

/* Add why a part is libtorch's: "block2.conv.0 (script) of net: it is a TorchScript part". */
static void note_foreign(struct dnnl *d, const char *why)
{
    char *note = d->net.info.backend_note;
    const size_t size_bytes = sizeof d->net.info.backend_note;
    const char *named = strstr(why, "block");
    const size_t used = strlen(note);
    const int more = snprintf(note + used, size_bytes - used, "%s%s",
                              strstr(note, "aten runs ") == NULL ? used > 0 ? "; aten runs " : "aten runs " : "; ",
                              named != NULL ? named : why);
    if (more > 0 && used + (size_t)more >= size_bytes) {
        snprintf(note + size_bytes - 4, 4, "...");
    }
}

/* Prepare the network; each part that oneDNN refuses is given to libtorch, and the rest prepared anew. */
static int prepare_parts(struct dnnl *d, const struct ei_prepared_config *wanted, struct einet_error *err)
{
    int32_t refused_part = -1;
    struct ei_prepared_config config = *wanted;
    config.out_refused_part = &refused_part;
    for (;;) {
        struct einet_error why = {0};
        int rc = ei_prepared_create(d->api, &config, &d->prepared, &why);
        const bool is_refused = (rc == EINET_E_USAGE || rc == EINET_E_BACKEND) && refused_part >= 0;
        if (is_refused && !d->is_foreign[refused_part]) {
            d->is_foreign[refused_part] = true;
            note_foreign(d, why.text);
            if (has_work(d, config.program)) {
                continue;
            }
        }
        if (rc != 0 && err != NULL) {
            *err = why;
        }
        return rc;
    }
}

/* exec is taken over. */
static int prepare_mixed(struct dnnl *d, const struct ei_program *program, const float *const *params,
                         struct ei_exec *exec, struct einet_error *err)
{
    const struct ei_mixed_config config = {.program = program,
                                           .exec = exec,
                                           .is_foreign = d->is_foreign,
                                           .params = params,
                                           .precision = d->net.info.precision,
                                           .threads = d->threads};
    struct einet_error why = {0};
    const int rc = ei_mixed_create(&config, &d->mixed, &why);
    snprintf(d->net.info.backend, sizeof d->net.info.backend, "dnnl+aten");
    return rc == 0 ? 0
                   : einet_error_set(err, rc, "oneDNN does not run all of %s (%s): %s", program->name,
                                     d->net.info.backend_note, why.text);
}

/* exec: as of ei_network_dnnl_create. */
static int prepare(struct dnnl *d, const struct ei_program *program, const struct ei_param_source *source,
                   const struct ei_network_choice *choice, struct ei_exec *exec, struct einet_error *err)
{
    struct weights w = {0};
    const struct ei_param_sink sink = {set_numbers, &w};
    const struct ei_prepared_foreign foreign = {d->is_foreign, run_foreign, d};
    struct ei_prepared_config config = {.program = program,
                                        .type = d->net.info.precision == EI_NETWORK_BFLOAT16 ? EI_DNNL_BFLOAT16
                                                                                             : EI_DNNL_FLOAT32,
                                        .threads = d->threads,
                                        .foreign = &foreign};
    int rc = weights_init(&w, program, err);
    config.params = (const float *const *)w.numbers;
    if (rc == 0) {
        rc = source->load(source->context, &sink, err);
    }
    if (rc == 0 && d->api->thread_enter(d->threads) != 0) {
        rc = einet_error_set(err, EINET_E_BACKEND, "oneDNN: %s", d->api->error_text());
    }
    if (rc == 0) {
        rc = prepare_parts(d, &config, err);
    }
    bool is_mixed = false;
    for (int32_t part = 0; part < EI_FUSED_PARTS_MAX; part++) {
        is_mixed = is_mixed || d->is_foreign[part];
    }
    if (rc == 0 && is_mixed) {
        rc = prepare_mixed(d, program, config.params, exec, err);
    } else {
        ei_exec_destroy(exec);
    }
    if (rc == 0 && choice != NULL) {
        rc = prepare_chosen(d, &config, choice, err);
    }
    if (rc == 0 && note_kernels(d, program) != 0) {
        rc = einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    weights_fini(&w);
    return rc;
}

int ei_network_dnnl_create(const struct ei_program *program, const struct ei_network_info *info, int32_t threads,
                           const struct ei_param_source *source, const struct ei_network_choice *choice,
                           struct ei_exec *exec, struct ei_network **out, struct einet_error *err)
{
    const struct ei_dnnl_api *api;
    int rc = threads >= 1 && threads <= 1024
                 ? ei_dnnl_load(&api, err)
                 : einet_error_set(err, EINET_E_USAGE, "a network runs with 1 to 1024 threads, not %d", threads);
    if (rc == 0 && choice != NULL && choice->weights_sha256 != NULL && choice->weights_sha256[0] != '\0' &&
        strcmp(choice->weights_sha256, info->weights_sha256) != 0) {
        rc = einet_error_set(err, EINET_E_MISMATCH,
                             "the kernels were chosen for weights %.12s..., these are %.12s...: profile them again",
                             choice->weights_sha256, info->weights_sha256);
    }
    struct dnnl *d = rc == 0 ? calloc(1, sizeof *d) : NULL;
    if (d == NULL) {
        ei_exec_destroy(exec);
        return rc != 0 ? rc : einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    d->net.backend = &dnnl_backend;
    d->net.next_block = -1;
    d->net.info = *info;
    snprintf(d->net.info.backend, sizeof d->net.info.backend, "dnnl");
    d->api = api;
    d->threads = threads;
    d->input_bytes = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px * sizeof(float);
    rc = prepare(d, program, source, choice, exec, err);
    if (rc != 0) {
        dnnl_destroy(&d->net);
        return rc;
    }
    *out = &d->net;
    return 0;
}

bool ei_network_may_fall_back(enum ei_network_backend_kind wanted, int rc)
{
    return wanted == EI_NETWORK_AUTO && (rc == EINET_E_BACKEND || rc == EINET_E_USAGE);
}
