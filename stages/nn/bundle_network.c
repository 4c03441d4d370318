/* A bundle as a network on the backend asked for; see network.h. */
#include "rt/random.h"
#include "stages/dnnl/loader.h"
#include "stages/nn/bundle.h"
#include "stages/nn/bundle_layers.h"
#include "stages/nn/network_aten.h"
#include "stages/nn/network_dnnl.h"
#include "stages/nn/recorded.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPARE_SEED 9
#define COMPARE_MAX 1e-4 /* of the largest logit: as einet convert compares a module with its chain */

static int check_expected(const struct ei_network_bundle_config *config, const struct ei_bundle *bundle,
                          struct einet_error *err)
{
    const struct ei_program *program = &bundle->program;
    char path[EI_BUNDLE_PATH_MAX];
    const int rc = ei_bundle_path(config->dir, EI_BUNDLE_MANIFEST, path, err);
    if (rc != 0) {
        return rc;
    }
    if (config->threads < 1 || config->threads > 1024) {
        return einet_error_set(err, EINET_E_USAGE, "a network runs with 1 to 1024 threads, not %d", config->threads);
    }
    if (config->dataset != NULL && strcmp(bundle->dataset, config->dataset) != 0) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "was trained on %s, not on %.64s", bundle->dataset,
                                  config->dataset);
    }
    if (config->classes != 0 && config->classes != program->classes) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "has %d classes, not %d", program->classes,
                                  config->classes);
    }
    if (config->channels != 0 && config->channels != program->input.channels) {
        return einet_error_set_at(err, EINET_E_MISMATCH, path, 0, 0, "takes %d channels, not %d",
                                  program->input.channels, config->channels);
    }
    return 0;
}

struct bundle_source {
    const char *dir;
    const struct ei_program *program;
};

static int load_weights(void *context, const struct ei_param_sink *sink, struct einet_error *err)
{
    const struct bundle_source *b = context;
    char path[EI_BUNDLE_PATH_MAX];
    struct ei_safetensors *file;
    if (ei_program_param_count(b->program) == 0) {
        return 0;
    }
    int rc = ei_bundle_path(b->dir, EI_BUNDLE_WEIGHTS, path, err);
    if (rc == 0) {
        rc = ei_safetensors_open(path, &file, err);
    }
    if (rc != 0) {
        return rc;
    }
    rc = ei_network_load_params(b->program, sink, file, path, err);
    ei_safetensors_close(file);
    return rc;
}

/* Scripts count for the parameters they hold; their operations are not counted. */
static int add_script_params(const struct ei_exec *exec, struct ei_network_info *info)
{
    const struct ei_program *program = ei_exec_program(exec);
    for (int32_t b = 0; b < program->block_count; b++) {
        for (int part = 0; part < 2; part++) {
            const struct ei_program_part *ops = ei_program_part(program, b, part != 0);
            for (int32_t i = ops->first_op; i < ops->first_op + ops->op_count; i++) {
                int64_t *sum = part != 0 ? &info->block[b].branch_params : &info->block[b].conv_params;
                const int rc = program->ops[i].kind == EI_OP_SCRIPT
                                   ? ei_exec_script_params(exec, program->ops[i].script_idx, sum)
                                   : 0;
                if (rc != 0) {
                    return rc;
                }
            }
        }
    }
    return 0;
}

static void fill_info(const struct ei_bundle *bundle, struct ei_network_info *out)
{
    ei_network_describe(&bundle->program, out);
    snprintf(out->dataset, sizeof out->dataset, "%s", bundle->dataset);
    memcpy(out->norm_mean, bundle->norm_mean, sizeof out->norm_mean);
    memcpy(out->norm_std, bundle->norm_std, sizeof out->norm_std);
    memcpy(out->exit_accuracy, bundle->exit_accuracy, sizeof bundle->exit_accuracy);
}

/* On the thread's device. */
static int make_exec(const struct ei_torch_api *api, const char *dir, struct ei_bundle *bundle, struct ei_exec **out,
                     struct ei_network_info *out_info, struct einet_error *err)
{
    struct bundle_source bundled = {dir, &bundle->program};
    const struct ei_param_source source = {load_weights, &bundled};
    int rc = ei_bundle_exec(dir, api, bundle, out, err);
    if (rc != 0) {
        return rc;
    }
    rc = ei_network_aten_load(*out, &source, err);
    if (rc == 0) {
        fill_info(bundle, out_info);
        rc = ei_bundle_sha256(dir, &bundle->program, out_info->weights_sha256, err);
    }
    if (rc == 0) {
        rc = add_script_params(*out, out_info);
        if (rc != 0) {
            einet_error_set(err, rc, "libtorch: %s", api->error_text());
        }
    }
    if (rc != 0) {
        ei_exec_destroy(*out);
    }
    return rc;
}

static int open_aten(const struct ei_network_bundle_config *config, struct ei_bundle *bundle, const char *note,
                     struct ei_network **out, struct einet_error *err)
{
    const struct ei_torch_api *api = NULL;
    struct ei_exec *exec = NULL;
    struct ei_network_info info;
    int rc = ei_torch_load(&api, err);
    if (rc == 0) {
        rc = make_exec(api, config->dir, bundle, &exec, &info, err);
    }
    if (rc != 0) {
        return rc;
    }
    snprintf(info.backend_note, sizeof info.backend_note, "%.199s", note);
    return ei_network_aten_create(api, exec, &info, config->threads, out, err);
}

static int open_cuda(const struct ei_network_bundle_config *config, struct ei_bundle *bundle, struct ei_network **out,
                     struct einet_error *err)
{
    const struct ei_torch_api *api = NULL;
    struct ei_exec *exec = NULL;
    struct ei_network_info info;
    int rc = ei_recorded_enter(config->cuda.device_idx, &api, err);
    if (rc != 0) {
        return rc;
    }
    rc = make_exec(api, config->dir, bundle, &exec, &info, err);
    if (rc == 0) {
        rc = ei_recorded_open(api, exec, &info, &config->cuda, out, err);
    }
    ei_recorded_leave(api);
    return rc;
}

/* ---- on oneDNN ---- */

static int open_layers_only(const struct ei_network_bundle_config *config, struct ei_bundle *bundle,
                            struct ei_network **out, struct einet_error *err)
{
    struct ei_network_info info;
    struct bundle_source bundled = {config->dir, &bundle->program};
    const struct ei_param_source source = {load_weights, &bundled};
    char manifest[EI_BUNDLE_PATH_MAX];
    struct einet_error why = {0};
    int rc = ei_bundle_path(config->dir, EI_BUNDLE_MANIFEST, manifest, err);
    if (rc == 0 && ei_program_resolve(&bundle->program, NULL, &why) != 0) {
        rc = einet_error_set_at(err, EINET_E_MISMATCH, manifest, 0, 0, "%s", why.text);
    }
    if (rc != 0) {
        return rc;
    }
    fill_info(bundle, &info);
    rc = ei_bundle_sha256(config->dir, &bundle->program, info.weights_sha256, err);
    return rc != 0 ? rc
                   : ei_network_dnnl_create(&bundle->program, &info, config->threads, &source, config->choice, NULL,
                                            out, err);
}

struct layers_source {
    struct ei_bundle_layers *layers;
    const struct ei_program *resolved;
    const struct ei_param_source *source;
};

static int load_layers(void *context, const struct ei_param_sink *sink, struct einet_error *err)
{
    const struct layers_source *l = context;
    return ei_bundle_layers_load(l->layers, l->resolved, l->source, sink, err);
}

/* "as layers: a.pt, b.pt" */
static void note_layers(const struct ei_bundle_layers *layers, char *out, size_t size_bytes)
{
    size_t used = 0;
    for (int32_t i = 0, named = 0; i < layers->source.script_count && used < size_bytes; i++) {
        if (layers->chains[i] != NULL) {
            const int more = snprintf(out + used, size_bytes - used, "%s%s",
                                      named++ > 0 ? ", " : "as layers: ", layers->source.scripts[i]);
            used += more > 0 ? (size_t)more : 0;
        }
    }
}

/* The bundle on oneDNN and, where it must, on libtorch. bundle: the one on disc, resolved or not; layers: scripts to
 * take for their layers, NULL = none. */
static int open_mixed(const struct ei_network_bundle_config *config, const struct ei_torch_api *api,
                      const struct ei_bundle *bundle, struct ei_bundle_layers *layers, struct ei_network **out,
                      struct einet_error *err)
{
    struct ei_exec *exec = NULL;
    struct ei_network_info info;
    struct ei_bundle *open = malloc(sizeof *open);
    if (open == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a bundle");
    }
    *open = *bundle;
    open->program = layers != NULL ? layers->program : bundle->program;
    struct bundle_source bundled = {config->dir, layers != NULL ? &layers->source : &open->program};
    const struct ei_param_source plain = {load_weights, &bundled};
    struct layers_source taken = {layers, &open->program, &plain};
    const struct ei_param_source source = layers != NULL ? (struct ei_param_source){load_layers, &taken} : plain;
    int rc = ei_bundle_exec(config->dir, api, open, &exec, err);
    if (rc == 0) {
        fill_info(open, &info);
        rc = ei_bundle_sha256(config->dir, &bundle->program, info.weights_sha256, err);
    }
    if (rc == 0) {
        rc = add_script_params(exec, &info);
        if (rc != 0) {
            einet_error_set(err, rc, "libtorch: %s", api->error_text());
        }
    }
    if (rc != 0) {
        ei_exec_destroy(exec);
        free(open);
        return rc;
    }
    if (layers != NULL) {
        note_layers(layers, info.backend_note, sizeof info.backend_note);
    }
    rc = ei_network_dnnl_create(&open->program, &info, config->threads, &source, config->choice, exec, out, err);
    free(open);
    return rc;
}

/* Largest difference between two networks' logits on one random picture, relative to the largest logit; negative when
 * one does not run. */
static double difference_of(struct ei_network *a, struct ei_network *b)
{
    const struct ei_network_info *info = ei_network_info(a);
    const size_t pixels = (size_t)info->channels * (size_t)info->height_px * (size_t)info->width_px;
    const size_t count = (size_t)info->exits * (size_t)info->classes;
    float *input = malloc(pixels * sizeof *input), *logits = calloc(2 * count, sizeof *logits);
    double largest = 0.0, apart = -1.0;
    struct ei_random rng;
    ei_random_init(&rng, COMPARE_SEED, 0);
    for (size_t i = 0; input != NULL && i < pixels; i++) {
        input[i] = (float)ei_random_normal(&rng);
    }
    if (input != NULL && logits != NULL && ei_network_thread_enter(a) == 0 &&
        ei_network_run_monolithic(a, input, logits) == 0 && ei_network_thread_enter(b) == 0 &&
        ei_network_run_monolithic(b, input, logits + count) == 0) {
        apart = 0.0;
        for (size_t i = 0; i < count; i++) {
            const double difference = fabs((double)logits[i] - (double)logits[count + i]);
            largest = fmax(largest, fabs((double)logits[i]));
            apart = difference >= 0.0 ? fmax(apart, difference) : INFINITY;
        }
        apart = largest > 0.0 ? apart / largest : apart;
    }
    free(input);
    free(logits);
    return apart;
}

/* Scripts as layers, if that gives what the scripts give. Returns 0, or any error: then they stay scripts. */
static int open_as_layers(const struct ei_network_bundle_config *config, const struct ei_torch_api *api,
                          const struct ei_bundle *bundle, struct ei_network **out)
{
    struct ei_bundle_layers *layers = NULL;
    struct ei_bundle *whole = malloc(sizeof *whole);
    struct ei_network *net = NULL, *reference = NULL;
    int rc = whole != NULL ? ei_bundle_layers_create(config->dir, api, &bundle->program, &layers, NULL) : -ENOMEM;
    if (rc == 0) {
        rc = layers->taken_count > 0 ? open_mixed(config, api, bundle, layers, &net, NULL) : -ENOENT;
    }
    if (rc == 0) {
        *whole = *bundle;
        rc = open_aten(config, whole, "", &reference, NULL);
    }
    if (rc == 0) {
        const double apart = difference_of(reference, net);
        rc = apart >= 0.0 && apart <= COMPARE_MAX ? 0 : EINET_E_MISMATCH;
    }
    ei_network_destroy(reference);
    ei_bundle_layers_destroy(layers);
    free(whole);
    if (rc != 0) {
        ei_network_destroy(net);
        return rc;
    }
    *out = net;
    return 0;
}

static int open_dnnl(const struct ei_network_bundle_config *config, struct ei_bundle *bundle, struct ei_network **out,
                     struct einet_error *err)
{
    const struct ei_torch_api *api = NULL;
    const struct ei_dnnl_api *dnnl = NULL;
    struct einet_error why = {0};
    if (bundle->program.script_count == 0) {
        return open_layers_only(config, bundle, out, err);
    }
    int rc = ei_dnnl_load(&dnnl, err);
    if (rc != 0) {
        return rc;
    }
    rc = ei_torch_load(&api, &why);
    if (rc != 0) {
        return einet_error_set(err, rc, "oneDNN does not run %s: %.64s is a TorchScript part, and %s",
                               bundle->program.name, bundle->program.scripts[0], why.text);
    }
    return open_as_layers(config, api, bundle, out) == 0 ? 0 : open_mixed(config, api, bundle, NULL, out, err);
}

static int open_bundle(const struct ei_network_bundle_config *config, struct ei_bundle *bundle, struct ei_network **out,
                       struct einet_error *err)
{
    int rc = ei_bundle_read(config->dir, bundle, err);
    if (rc == 0) {
        rc = check_expected(config, bundle, err);
    }
    if (rc != 0 || config->backend == EI_NETWORK_ATEN) {
        return rc != 0 ? rc : open_aten(config, bundle, "", out, err);
    }
    if (config->backend == EI_NETWORK_CUDA) {
        return open_cuda(config, bundle, out, err);
    }
    struct einet_error why = {0};
    rc = open_dnnl(config, bundle, out, &why);
    if (ei_network_may_fall_back(config->backend, rc)) {
        return open_aten(config, bundle, why.text, out, err);
    }
    if (rc != 0 && err != NULL) {
        *err = why;
    }
    return rc;
}

int ei_network_open_bundle(const struct ei_network_bundle_config *config, struct ei_network **out,
                           struct einet_error *err)
{
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    if (bundle == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a bundle");
    }
    const int rc = open_bundle(config, bundle, out, err);
    free(bundle);
    return rc;
}
