/* A bundle's files: scripts, shapes, identity. See bundle.h. */
#include "stages/nn/bundle.h"

#include <errno.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHAPE_BYTES 48
#define HEX_BYTES (SHA256_DIGEST_LENGTH * 2 + 1)

int ei_bundle_path(const char *dir, const char *file, char *out, struct einet_error *err)
{
    const size_t length = strlen(dir);
    const char *slash = length > 0 && dir[length - 1] != '/' ? "/" : "";
    const int needed = snprintf(out, EI_BUNDLE_PATH_MAX, "%s%s%s", dir, slash, file);
    if (length == 0 || needed < 0 || needed >= EI_BUNDLE_PATH_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "the path of the bundle is %s", length == 0 ? "empty" : "too long");
    }
    return 0;
}

static void shape_text(const int64_t *shape, int32_t dims, char *out)
{
    size_t used = 0;
    snprintf(out, SHAPE_BYTES, "a scalar");
    for (int32_t i = 0; i < dims && used < SHAPE_BYTES; i++) {
        const int more = snprintf(out + used, SHAPE_BYTES - used, "%s%lld", i > 0 ? "x" : "", (long long)shape[i]);
        used += more > 0 ? (size_t)more : 0;
    }
}

/* ---- what scripts give ---- */

struct probe {
    const char *path; /* of the manifest */
    const struct ei_torch_api *api;
    const struct ei_program *program;
    struct ei_torch_script **scripts;
    struct ei_torch_tensor *x, *y;
};

static int probe_shape(const struct probe *probe, const char *place, const char *file, struct ei_shape *out,
                       struct einet_error *err)
{
    int64_t shape[EI_TORCH_DIMS_MAX];
    char text[SHAPE_BYTES];
    int32_t dims = 0;
    const int rc = probe->api->tensor_shape(probe->y, shape, &dims);
    if (rc != 0) {
        return einet_error_set_at(err, EINET_E_MISMATCH, probe->path, 0, 0, "%s (%s) gives no tensor: %.200s", place,
                                  file, probe->api->error_text());
    }
    bool is_fit = (dims == 4 || dims == 2) && shape[0] == 1;
    for (int32_t i = 0; i < dims; i++) {
        is_fit = is_fit && shape[i] >= 1 && shape[i] <= INT32_MAX;
    }
    if (!is_fit) {
        shape_text(shape, dims, text);
        return einet_error_set_at(err, EINET_E_MISMATCH, probe->path, 0, 0,
                                  "%s (%s) gives a tensor of shape %s; 1xCxHxW or 1xN is needed", place, file, text);
    }
    *out = (struct ei_shape){.channels = (int32_t)shape[1]};
    if (dims == 4) {
        out->height_px = (int32_t)shape[2];
        out->width_px = (int32_t)shape[3];
    }
    return 0;
}

static int probe_script(void *context, int32_t block_idx, bool branch, int32_t script_idx, const struct ei_shape *in,
                        struct ei_shape *out, struct einet_error *err)
{
    const struct probe *probe = context;
    const int64_t shape[4] = {1, in->channels, in->height_px, in->width_px};
    const int32_t dims = in->height_px > 0 ? 4 : 2;
    const char *file = probe->program->scripts[script_idx];
    int64_t count = 1;
    for (int32_t i = 0; i < dims; i++) {
        count *= shape[i];
    }
    float *zeros = calloc((size_t)count, sizeof *zeros);
    if (zeros == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the input of %s", file);
    }
    char place[32], text[SHAPE_BYTES];
    snprintf(place, sizeof place, "block%d.%s", block_idx + 1, branch ? "branch" : "conv");
    int rc = probe->api->tensor_from_f32(probe->x, zeros, shape, dims);
    free(zeros);
    if (rc == 0) {
        rc = probe->api->script_forward(probe->scripts[script_idx], probe->x, probe->y);
    }
    if (rc != 0) {
        shape_text(shape + 1, dims - 1, text);
        return einet_error_set_at(err, rc == -ENOMEM ? rc : EINET_E_MISMATCH, probe->path, 0, 0,
                                  "%s (%s) does not accept %s: %.250s", place, file, text, probe->api->error_text());
    }
    return probe_shape(probe, place, file, out, err);
}

static int load_scripts(const char *dir, const struct ei_torch_api *api, const struct ei_program *program,
                        struct ei_torch_script **scripts, struct einet_error *err)
{
    for (int32_t i = 0; i < program->script_count; i++) {
        char path[EI_BUNDLE_PATH_MAX];
        int rc = ei_bundle_path(dir, program->scripts[i], path, err);
        if (rc != 0) {
            return rc;
        }
        if (access(path, R_OK) != 0) {
            return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                      "cannot be read: %s; the bundle's manifest names this part", strerror(errno));
        }
        rc = api->script_load(path, &scripts[i]);
        if (rc != 0) {
            return einet_error_set_at(err, rc == -ENOMEM ? rc : EINET_E_FILE, path, 0, 0,
                                      "is no TorchScript module of one tensor: %.250s", api->error_text());
        }
    }
    return 0;
}

static void destroy_scripts(const struct ei_torch_api *api, struct ei_torch_script **scripts)
{
    for (int32_t i = 0; i < EI_PROGRAM_SCRIPTS_MAX; i++) {
        api->script_destroy(scripts[i]);
    }
}

static int resolve(const char *manifest, const struct ei_torch_api *api, struct ei_program *program,
                   struct ei_torch_script **scripts, struct einet_error *err)
{
    struct probe probe = {.path = manifest, .api = api, .program = program, .scripts = scripts};
    struct einet_error why = {0};
    int rc = api->tensor_create(&probe.x);
    if (rc == 0) {
        rc = api->tensor_create(&probe.y);
    }
    if (rc != 0) {
        einet_error_set(&why, rc, "no memory for a bundle");
    } else {
        const struct ei_program_shapes shapes = {.script_out = probe_script, .context = &probe};
        rc = ei_program_resolve(program, &shapes, &why);
    }
    api->tensor_destroy(probe.x);
    api->tensor_destroy(probe.y);
    if (rc == 0) {
        return 0;
    }
    /* A program that contradicts itself is the manifest's fault. */
    const bool is_manifest = why.file[0] == '\0' && rc == EINET_E_USAGE;
    return is_manifest ? einet_error_set_at(err, EINET_E_MISMATCH, manifest, 0, 0, "%s", why.text)
                       : einet_error_set_at(err, rc, manifest, 0, 0, "%s", why.text);
}

int ei_bundle_load_scripts(const char *dir, const struct ei_torch_api *api, struct ei_exec *exec,
                           struct einet_error *err)
{
    struct ei_torch_script *scripts[EI_PROGRAM_SCRIPTS_MAX] = {NULL};
    const struct ei_program *program = ei_exec_program(exec);
    const int rc = load_scripts(dir, api, program, scripts, err);
    for (int32_t i = 0; rc == 0 && i < program->script_count; i++) {
        ei_exec_script_set(exec, i, scripts[i]);
        scripts[i] = NULL;
    }
    destroy_scripts(api, scripts);
    return rc;
}

int ei_bundle_exec(const char *dir, const struct ei_torch_api *api, struct ei_bundle *bundle, struct ei_exec **out,
                   struct einet_error *err)
{
    struct ei_torch_script *scripts[EI_PROGRAM_SCRIPTS_MAX] = {NULL};
    char manifest[EI_BUNDLE_PATH_MAX];
    struct ei_program *program = &bundle->program;
    struct ei_exec *exec = NULL;
    int rc = ei_bundle_path(dir, EI_BUNDLE_MANIFEST, manifest, err);
    if (rc == 0) {
        rc = load_scripts(dir, api, program, scripts, err);
    }
    if (rc == 0) {
        rc = resolve(manifest, api, program, scripts, err);
    }
    if (rc == 0) {
        rc = ei_exec_create(api, program, &exec, err);
    }
    for (int32_t i = 0; rc == 0 && i < program->script_count; i++) {
        ei_exec_script_set(exec, i, scripts[i]);
        scripts[i] = NULL;
    }
    destroy_scripts(api, scripts);
    if (rc == 0) {
        *out = exec;
    }
    return rc;
}

/* ---- identity ---- */

static int add_file(const char *dir, const char *file, SHA2_CTX *sha, struct einet_error *err)
{
    char path[EI_BUNDLE_PATH_MAX], hex[HEX_BYTES];
    const int rc = ei_bundle_path(dir, file, path, err);
    if (rc != 0) {
        return rc;
    }
    if (SHA256File(path, hex) == NULL) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "cannot be read: %s", strerror(errno));
    }
    SHA256Update(sha, (const uint8_t *)file, strlen(file) + 1);
    SHA256Update(sha, (const uint8_t *)hex, HEX_BYTES - 1);
    return 0;
}

int ei_bundle_sha256(const char *dir, const struct ei_program *program, char out_hex[65], struct einet_error *err)
{
    SHA2_CTX sha;
    SHA256Init(&sha);
    int rc = add_file(dir, EI_BUNDLE_MANIFEST, &sha, err);
    for (int32_t i = 0; rc == 0 && i < program->script_count; i++) {
        rc = add_file(dir, program->scripts[i], &sha, err);
    }
    if (rc == 0 && ei_program_param_count(program) > 0) {
        rc = add_file(dir, EI_BUNDLE_WEIGHTS, &sha, err);
    }
    if (rc == 0) {
        (void)SHA256End(&sha, out_hex);
    }
    return rc;
}
