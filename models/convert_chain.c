/* From a TorchScript file to a bundle: take the module apart, check that the parts give what the whole gives, cut,
 * write. The bundle is made in a folder beside its place and moved there when it is complete.
 */
#include "models/convert_parts.h"
#include "rt/random.h"
#include "stages/nn/bundle.h"
#include "stages/torch/loader.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIFFERENCE_MAX 1e-4
#define PROBE_BATCH 2
#define STREAM_PROBE (UINT64_C(5) << 60)

struct conversion {
    const struct ei_convert_chain_config *config;
    const struct ei_torch_api *api;
    struct ei_torch_script *whole;
    struct ei_torch_chain *chain;
    struct ei_torch_tensor *tensor;
    int32_t layer_count;
    struct ei_torch_layer *layers;
    struct ei_convert_flat *flat;
    struct ei_bundle *bundle; /* first of the flat program, then of the cut one */
    int32_t layer_of[EI_PROGRAM_OPS_MAX];
    char dir[EI_BUNDLE_PATH_MAX]; /* where it is made; "" = not yet */
    float difference;
};

static int torch_fault(const struct conversion *c, int rc, const char *what, struct einet_error *err)
{
    return einet_error_set_at(err, rc, c->config->script_path, 0, 0, "%s: %.300s", what, c->api->error_text());
}

/* ---- the module as a flat program ---- */

static int open_module(struct conversion *c, struct einet_error *err)
{
    const char *path = c->config->script_path;
    int rc = ei_torch_load(&c->api, err);
    if (rc != 0) {
        return rc;
    }
    rc = c->api->thread_enter(EI_TORCH_INFERENCE, c->config->threads);
    if (rc == 0) {
        rc = c->api->tensor_create(&c->tensor);
    }
    if (rc != 0) {
        return torch_fault(c, rc, "libtorch", err);
    }
    if (access(path, R_OK) != 0) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "cannot be read: %s", strerror(errno));
    }
    if (c->api->script_load(path, &c->whole) != 0) {
        return torch_fault(c, EINET_E_FILE, "is no TorchScript module of one tensor", err);
    }
    if (c->api->script_chain(c->whole, &c->chain) != 0) {
        return torch_fault(c, EINET_E_MISMATCH, "its forward is not the chain of its children", err);
    }
    c->layer_count = c->api->chain_count(c->chain);
    c->layers = calloc((size_t)c->layer_count + 1, sizeof *c->layers);
    for (int32_t i = 0; c->layers != NULL && i < c->layer_count && rc == 0; i++) {
        rc = c->api->chain_layer(c->chain, i, &c->layers[i]);
    }
    return c->layers != NULL && rc == 0 ? 0 : einet_error_set(err, -ENOMEM, "no memory for the layers of %s", path);
}

/* The program's operation of a link; the parts that stay TorchScript are written into the folder. */
static int make_op(struct conversion *c, int32_t layer_idx, struct ei_op *op, struct einet_error *err)
{
    const struct ei_torch_layer *layer = &c->layers[layer_idx];
    struct ei_program *program = &c->flat->program;
    const int32_t kind = layer->op[0] != '\0' ? ei_op_kind_find(layer->op) : (int32_t)EI_OP_SCRIPT;
    if (kind < 0) {
        return einet_error_set(err, EINET_E_BACKEND, "libtorch's plug-in names a layer %s, which there is not",
                               layer->op);
    }
    *op = (struct ei_op){.kind = (enum ei_op_kind)kind,
                         .in_channels = layer->in_channels,
                         .out_channels = layer->out_channels,
                         .kernel_px = layer->kernel_px,
                         .stride_px = layer->stride_px,
                         .padding_px = layer->padding_px,
                         .bias = layer->bias != 0,
                         .ceil_mode = layer->ceil_mode != 0,
                         .p = layer->p,
                         .eps = layer->eps,
                         .momentum = layer->momentum};
    if (op->kind != EI_OP_SCRIPT) {
        return 0;
    }
    if (program->script_count == EI_PROGRAM_SCRIPTS_MAX) {
        return einet_error_set_at(err, EINET_E_USAGE, c->config->script_path, 0, 0,
                                  "more than %d of its children are unknown here", EI_PROGRAM_SCRIPTS_MAX);
    }
    char path[EI_BUNDLE_PATH_MAX];
    struct ei_torch_script *part = NULL;
    op->script_idx = program->script_count++;
    char *file = program->scripts[op->script_idx];
    snprintf(file, EI_PROGRAM_SCRIPT_FILE_MAX, "layer%d.pt", layer_idx);
    int rc = ei_bundle_path(c->dir, file, path, err);
    if (rc != 0) {
        return rc;
    }
    rc = c->api->chain_script(c->chain, layer_idx, &part);
    if (rc == 0) {
        rc = c->api->script_save(part, path);
    }
    c->api->script_destroy(part);
    return rc == 0 ? 0 : torch_fault(c, rc, "a part of it could not be saved", err);
}

/* Until the heads are there, the chain's result is the only answer: a flatten makes it a branch. */
static int make_flat(struct conversion *c, struct einet_error *err)
{
    struct ei_program *program = &c->flat->program;
    snprintf(program->name, sizeof program->name, "%s", c->config->name);
    program->classes = c->config->classes;
    program->input = c->config->input;
    program->trunk_slots = 1;
    program->block_count = 1;
    for (int32_t i = 0; i < c->layer_count; i++) {
        if (strcmp(c->layers[i].op, "identity") == 0) {
            continue;
        }
        if (program->op_count + 1 == EI_PROGRAM_OPS_MAX) {
            return einet_error_set_at(err, EINET_E_USAGE, c->config->script_path, 0, 0, "has more than %d layers",
                                      EI_PROGRAM_OPS_MAX - 1);
        }
        const int rc = make_op(c, i, &program->ops[program->op_count], err);
        if (rc != 0) {
            return rc;
        }
        c->flat->layer_of[program->op_count++] = i;
    }
    program->blocks[0].conv.op_count = program->op_count;
    program->blocks[0].branch = (struct ei_program_part){.first_op = program->op_count, .op_count = 1};
    program->ops[program->op_count++] = (struct ei_op){.kind = EI_OP_FLATTEN, .out_slot = 1};
    return 0;
}

/* The numbers of parameter `of` of the operation that came from a link. */
static int read_param(const struct conversion *c, int32_t layer_idx, const struct ei_param *of, float *out)
{
    static const enum ei_torch_layer_tensor tensors[] = {
        [EI_PARAM_WEIGHT] = EI_TORCH_WEIGHT,
        [EI_PARAM_BIAS] = EI_TORCH_BIAS,
        [EI_PARAM_RUNNING_MEAN] = EI_TORCH_RUNNING_MEAN,
        [EI_PARAM_RUNNING_VAR] = EI_TORCH_RUNNING_VAR,
    };
    const int rc = c->api->chain_tensor(c->chain, layer_idx, tensors[of->role], c->tensor);
    return rc == 0 ? c->api->tensor_read_f32(c->tensor, out, of->count) : rc;
}

/* Overwrite what came from the module; layer_of: of each operation, -1 = new. */
static int copy_weights(const struct conversion *c, const struct ei_program *program, const int32_t *layer_of,
                        struct ei_convert_weights *weights, struct einet_error *err)
{
    struct ei_param of_op[EI_PROGRAM_PARAMS_PER_OP_MAX];
    int32_t next = 0;
    int rc = 0;
    for (int32_t b = 0; b < program->block_count; b++) {
        for (int part = 0; part < 2; part++) {
            const struct ei_program_part *ops = ei_program_part(program, b, part != 0);
            for (int32_t i = 0; rc == 0 && i < ops->op_count; i++) {
                const int32_t count = ei_program_op_params(program, b, part != 0, i, of_op);
                const int32_t layer_idx = layer_of[ops->first_op + i];
                for (int32_t p = 0; rc == 0 && p < count; p++, next++) {
                    rc = layer_idx >= 0 ? read_param(c, layer_idx, &of_op[p], weights->numbers[next]) : 0;
                }
            }
        }
    }
    return rc == 0 ? 0 : torch_fault(c, rc, "its weights could not be read", err);
}

/* ---- whole against chain ---- */

static int run_chain(const struct conversion *c, struct ei_exec *exec, float *out, int64_t count)
{
    int rc = c->api->tensor_assign(ei_exec_slot(exec, 0), c->tensor);
    if (rc == 0) {
        rc = ei_exec_run(exec, 0, false, false);
    }
    if (rc == 0) {
        rc = ei_exec_run(exec, 0, true, false);
    }
    return rc == 0 ? c->api->tensor_read_f32(ei_exec_slot(exec, ei_exec_logits_slot(exec, 0)), out, count) : rc;
}

static int run_both(const struct conversion *c, struct ei_exec *exec, float *out_whole, float *out_chain,
                    struct einet_error *err)
{
    const struct ei_shape *in = &c->config->input;
    const int64_t shape[4] = {PROBE_BATCH, in->channels, in->height_px, in->width_px};
    const int64_t pixels = shape[0] * shape[1] * shape[2] * shape[3], count = (int64_t)PROBE_BATCH * c->config->classes;
    float *input = malloc((size_t)pixels * sizeof *input);
    struct ei_torch_tensor *result = NULL;
    struct ei_random rng;
    ei_random_init(&rng, c->config->seed, STREAM_PROBE);
    for (int64_t i = 0; input != NULL && i < pixels; i++) {
        input[i] = (float)ei_random_normal(&rng);
    }
    int rc = input != NULL ? c->api->tensor_create(&result) : -ENOMEM;
    if (rc == 0) {
        rc = c->api->tensor_from_f32(c->tensor, input, shape, 4);
    }
    if (rc == 0) {
        rc = c->api->script_forward(c->whole, c->tensor, result);
    }
    if (rc == 0) {
        rc = c->api->tensor_read_f32(result, out_whole, count);
    }
    if (rc == 0) {
        rc = run_chain(c, exec, out_chain, count);
    }
    c->api->tensor_destroy(result);
    free(input);
    return rc == 0 ? 0 : torch_fault(c, rc == -ENOMEM ? rc : EINET_E_MISMATCH, "it does not run on two pictures", err);
}

static int compare(struct conversion *c, struct ei_exec *exec, struct einet_error *err)
{
    const int32_t count = PROBE_BATCH * c->config->classes;
    float *whole = calloc((size_t)count * 2, sizeof *whole);
    if (whole == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a conversion");
    }
    int rc = run_both(c, exec, whole, whole + count, err);
    double largest = 0.0, apart = 0.0;
    bool is_finite = true;
    for (int32_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)whole[i]));
        apart = fmax(apart, fabs((double)whole[i] - (double)whole[count + i]));
        is_finite = is_finite && isfinite(whole[i]) && isfinite(whole[count + i]);
    }
    free(whole);
    c->difference = (float)(largest > 0.0 ? apart / largest : apart);
    if (rc == 0 && (!is_finite || !((double)c->difference <= DIFFERENCE_MAX))) {
        rc = einet_error_set_at(
            err, EINET_E_MISMATCH, c->config->script_path, 0, 0,
            "its forward is not the chain of its children: on random pictures they differ by %.2g of "
            "the largest output",
            (double)c->difference);
    }
    return rc;
}

/* Find the shapes, then run the chain beside the whole. */
static int check_chain(struct conversion *c, struct einet_error *err)
{
    const struct ei_shape *in = &c->config->input;
    struct ei_exec *exec = NULL;
    struct ei_convert_weights weights = {0};
    struct einet_error why = {0};
    c->bundle->program = c->flat->program;
    int rc = ei_bundle_exec(c->dir, c->api, c->bundle, &exec, &why);
    if (rc != 0) {
        return einet_error_set_at(err, rc == EINET_E_USAGE ? EINET_E_MISMATCH : rc, c->config->script_path, 0, 0,
                                  "its children do not turn pictures of %dx%dx%d into %d classes: %s", in->channels,
                                  in->height_px, in->width_px, c->config->classes, why.text);
    }
    c->flat->program = c->bundle->program;
    rc = ei_convert_weights_init(&weights, &c->flat->program, c->config->seed, err);
    if (rc == 0) {
        rc = copy_weights(c, &c->flat->program, c->flat->layer_of, &weights, err);
    }
    for (int32_t i = 0; rc == 0 && i < weights.count; i++) {
        rc = ei_exec_param_set(exec, i, weights.numbers[i], err);
    }
    if (rc == 0) {
        rc = compare(c, exec, err);
    }
    ei_convert_weights_fini(&weights);
    ei_exec_destroy(exec);
    return rc;
}

/* ---- the bundle ---- */

static int classify(struct conversion *c, struct einet_error *err)
{
    struct ei_convert_flat *flat = c->flat;
    ei_program_outputs(&flat->program, flat->shape);
    for (int32_t i = 0; i < flat->program.op_count - 1; i++) {
        const struct ei_op *op = &flat->program.ops[i];
        flat->is_conv[i] = op->kind == EI_OP_CONV2D;
        if (op->kind != EI_OP_SCRIPT || flat->shape[i].height_px == 0) {
            continue;
        }
        struct ei_torch_script *part = NULL;
        int64_t params = 0;
        int rc = c->api->chain_script(c->chain, flat->layer_of[i], &part);
        if (rc == 0) {
            rc = c->api->script_param_count(part, &params);
        }
        c->api->script_destroy(part);
        if (rc != 0) {
            return torch_fault(c, rc, "a part of it could not be looked at", err);
        }
        flat->is_conv[i] = params > 0;
    }
    return 0;
}

static int write_bundle(struct conversion *c, struct einet_error *err)
{
    struct ei_convert_weights weights = {0};
    char path[EI_BUNDLE_PATH_MAX];
    const struct ei_safetensors_pair pairs[] = {
        {"format", "einet weights 1"}, {"zoo", c->config->name}, {"dataset", c->config->dataset}};
    int rc = ei_convert_weights_init(&weights, &c->bundle->program, c->config->seed, err);
    if (rc == 0) {
        rc = copy_weights(c, &c->bundle->program, c->layer_of, &weights, err);
    }
    if (rc == 0) {
        rc = ei_bundle_path(c->dir, EI_BUNDLE_WEIGHTS, path, err);
    }
    if (rc == 0 && weights.count > 0) {
        rc = ei_convert_weights_write(&weights, path, pairs, 3, err);
    }
    if (rc == 0) {
        rc = ei_bundle_write(c->dir, c->bundle, err);
    }
    ei_convert_weights_fini(&weights);
    if (rc == 0 && rename(c->dir, c->config->out_dir) != 0) {
        rc = einet_error_set_at(err, -errno, c->config->out_dir, 0, 0, "cannot be made: %s", strerror(errno));
    }
    return rc;
}

static int make_report(const struct conversion *c, struct ei_convert_report *out, struct einet_error *err)
{
    const struct ei_program *program = &c->bundle->program;
    out->layers = calloc((size_t)c->layer_count + 1, sizeof *out->layers);
    if (out->layers == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a report");
    }
    out->layer_count = c->layer_count;
    out->exits = program->block_count;
    out->scripts = program->script_count;
    out->difference = c->difference;
    for (int32_t i = 0; i < c->layer_count; i++) {
        memcpy(out->layers[i].name, c->layers[i].name, sizeof out->layers[i].name);
        memcpy(out->layers[i].type, c->layers[i].type, sizeof out->layers[i].type);
        memcpy(out->layers[i].op, c->layers[i].op, sizeof out->layers[i].op);
    }
    for (int32_t i = 0; i < c->flat->program.op_count - 1; i++) {
        out->layers[c->flat->layer_of[i]].shape = c->flat->shape[i];
    }
    for (int32_t b = 0; b < program->block_count; b++) {
        for (int part = 0; part < 2; part++) {
            const struct ei_program_part *ops = ei_program_part(program, b, part != 0);
            for (int32_t i = ops->first_op; i < ops->first_op + ops->op_count; i++) {
                if (c->layer_of[i] >= 0) {
                    out->layers[c->layer_of[i]].block = b + 1;
                    out->layers[c->layer_of[i]].is_last_exit = part != 0;
                }
            }
        }
    }
    return 0;
}

/* A folder beside the bundle's place, so that it can be moved there. */
static int make_folder(struct conversion *c, struct einet_error *err)
{
    char path[EI_BUNDLE_PATH_MAX];
    struct stat status;
    size_t length = strlen(c->config->out_dir);
    while (length > 1 && c->config->out_dir[length - 1] == '/') {
        length--;
    }
    if (lstat(c->config->out_dir, &status) == 0) {
        return einet_error_set_at(err, -EEXIST, c->config->out_dir, 0, 0,
                                  "is there already; name another folder, or --resume its training");
    }
    const int needed = snprintf(path, sizeof path, "%.*s.XXXXXX", (int)length, c->config->out_dir);
    if (length == 0 || needed < 0 || (size_t)needed >= sizeof path) {
        return einet_error_set(err, EINET_E_USAGE, "the path of the bundle is empty or too long");
    }
    if (mkdtemp(path) == NULL || chmod(path, 0755) != 0) {
        return einet_error_set_at(err, -errno, c->config->out_dir, 0, 0, "cannot be made: %s", strerror(errno));
    }
    memcpy(c->dir, path, sizeof c->dir);
    return 0;
}

static void remove_folder(const char *dir)
{
    DIR *folder = opendir(dir);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder != NULL) {
        closedir(folder);
    }
    (void)rmdir(dir);
}

static int convert(struct conversion *c, struct ei_convert_report *report, struct einet_error *err)
{
    int rc = open_module(c, err);
    if (rc == 0) {
        rc = make_folder(c, err);
    }
    if (rc == 0) {
        rc = make_flat(c, err);
    }
    if (rc == 0) {
        rc = check_chain(c, err);
    }
    if (rc == 0) {
        rc = classify(c, err);
    }
    if (rc == 0) {
        struct einet_error why = {0};
        rc = ei_convert_cut(c->config, c->flat, &c->bundle->program, c->layer_of, &why);
        if (rc != 0) {
            einet_error_set_at(err, rc, c->config->script_path, 0, 0, "%s", why.text);
        }
    }
    if (rc == 0 && report != NULL) {
        rc = make_report(c, report, err);
    }
    return rc == 0 ? write_bundle(c, err) : rc;
}

static int check_config(const struct ei_convert_chain_config *config, struct einet_error *err)
{
    const struct ei_shape *in = &config->input;
    const struct ei_head *head = &config->head;
    if ((in->channels != 1 && in->channels != 3) || in->height_px < 1 || in->width_px < 1 ||
        in->height_px > EI_BUNDLE_SIDE_MAX_PX || in->width_px > EI_BUNDLE_SIDE_MAX_PX || config->classes < 2 ||
        config->classes > 1024) {
        return einet_error_set(err, EINET_E_USAGE,
                               "an input has 1 or 3 channels of up to %dx%d and 2 to 1024 classes, not %dx%dx%d and %d",
                               EI_BUNDLE_SIDE_MAX_PX, EI_BUNDLE_SIDE_MAX_PX, in->channels, in->height_px, in->width_px,
                               config->classes);
    }
    if (head->channels < 1 || head->channels > 4096 || head->hidden < 1 || head->hidden > 65536 ||
        head->pooled_px < 1 || head->averaged_px < 1) {
        return einet_error_set(err, EINET_E_USAGE,
                               "a head has 1 to 4096 channels and 1 to 65536 hidden features, not "
                               "%d and %d",
                               head->channels, head->hidden);
    }
    return 0;
}

int ei_convert_chain(const struct ei_convert_chain_config *config, struct ei_convert_report *report,
                     struct einet_error *err)
{
    int rc = check_config(config, err);
    if (rc != 0) {
        return rc;
    }
    struct conversion *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->config = config;
        c->flat = calloc(1, sizeof *c->flat);
        c->bundle = calloc(1, sizeof *c->bundle);
    }
    if (c == NULL || c->flat == NULL || c->bundle == NULL) {
        rc = einet_error_set(err, -ENOMEM, "no memory for a conversion");
    } else {
        snprintf(c->bundle->dataset, sizeof c->bundle->dataset, "%s", config->dataset);
        memcpy(c->bundle->norm_mean, config->norm_mean, sizeof c->bundle->norm_mean);
        memcpy(c->bundle->norm_std, config->norm_std, sizeof c->bundle->norm_std);
        for (int32_t b = 0; b < EI_PROGRAM_BLOCKS_MAX; b++) {
            c->bundle->exit_accuracy[b] = -1.0F;
        }
        if (report != NULL) {
            *report = (struct ei_convert_report){0};
        }
        rc = convert(c, report, err);
    }
    if (c != NULL) {
        if (rc != 0 && c->dir[0] != '\0') {
            remove_folder(c->dir);
        }
        if (rc != 0 && report != NULL) {
            ei_convert_report_fini(report);
        }
        if (c->api != NULL) {
            c->api->script_destroy(c->whole);
            c->api->chain_destroy(c->chain);
            c->api->tensor_destroy(c->tensor);
        }
        free(c->layers);
        free(c->flat);
        free(c->bundle);
        free(c);
    }
    return rc;
}

void ei_convert_report_fini(struct ei_convert_report *report)
{
    free(report->layers);
    *report = (struct ei_convert_report){0};
}
