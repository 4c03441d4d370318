/* A choice that does not hold here is no error: the network then runs with oneDNN's own choice, and the run says so. */
#include "engine/kernels.h"

#include "planner/profile_file.h"
#include "stages/dnnl/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int differs(const char *what, const char *there, const char *here, struct einet_error *err)
{
    return strcmp(there, here) == 0
               ? 0
               : einet_error_set(err, EINET_E_MISMATCH, "%s was `%.60s`, here it is `%.60s`", what, there, here);
}

/* The profile keeps texts without the blanks at their end. */
static void copy_trimmed(char *out, size_t size_bytes, const char *text)
{
    snprintf(out, size_bytes, "%s", text);
    for (size_t length = strlen(out); length > 0 && out[length - 1] == ' '; length--) {
        out[length - 1] = '\0';
    }
}

int ei_kernels_match(const struct ei_et_profile *profile, const struct ei_machine *machine, const char *onednn,
                     int32_t threads, struct einet_error *err)
{
    char model[EI_MACHINE_TEXT_MAX], kernel[EI_MACHINE_TEXT_MAX], backend[80], there[32], here[32];
    copy_trimmed(model, sizeof model, machine->cpu_model);
    copy_trimmed(kernel, sizeof kernel, machine->kernel);
    snprintf(backend, sizeof backend, "dnnl, oneDNN %.60s", onednn);
    snprintf(there, sizeof there, "%d", profile->threads);
    snprintf(here, sizeof here, "%d", threads);
    int rc = differs("the processor", profile->cpu_model, model, err);
    rc = rc == 0 ? differs("Linux", profile->kernel, kernel, err) : rc;
    rc = rc == 0 ? differs("the backend", profile->backend, backend, err) : rc;
    rc = rc == 0 ? differs("the number of threads", profile->threads != threads ? there : here, here, err) : rc;
    return rc == 0 ? differs("the precision", ei_profile_precision_name(profile->precision),
                             ei_profile_precision_name(EI_PROFILE_FLOAT32), err)
                   : rc;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void take(const struct ei_et_kernels *kernels, struct ei_kernels *out)
{
    out->list = calloc((size_t)kernels->count, sizeof *out->list);
    for (int32_t i = 0; out->list != NULL && i < kernels->count; i++) {
        const struct ei_et_kernel *k = &kernels->list[i];
        out->list[i] = (struct ei_network_kernel){.block_idx = k->exit_idx, .branch = k->branch, .op_idx = k->op_idx};
        snprintf(out->list[i].name, sizeof out->list[i].name, "%.47s", k->name);
    }
    out->choice = (struct ei_network_choice){.kernels = out->list,
                                             .kernel_count = out->list != NULL ? kernels->count : 0,
                                             .weights_sha256 = out->weights_sha256};
}

void ei_kernels_find(const char *path, const char *network, int32_t threads, struct ei_kernels *out)
{
    struct einet_error why = {0};
    struct ei_et_kernels kernels = {0};
    struct ei_machine machine;
    const struct ei_dnnl_api *api = NULL;
    *out = (struct ei_kernels){.list = NULL};
    struct ei_et_profile *profile = malloc(sizeof *profile);
    if (profile == NULL || path[0] == '\0' || access(path, R_OK) != 0) {
        free(profile);
        return;
    }
    int rc = ei_et_profile_read_kernels(path, profile, &kernels, &why);
    const bool is_meant = rc == 0 && kernels.count > 0 && (network == NULL || strcmp(profile->network, network) == 0);
    if (is_meant) {
        rc = ei_machine_describe(&machine, &why);
        rc = rc == 0
                 ? ei_kernels_match(profile, &machine, ei_dnnl_load(&api, NULL) == 0 ? api->version : "", threads, &why)
                 : rc;
    }
    if (rc != 0) {
        snprintf(out->note, sizeof out->note, "kernels of %.60s not taken: %.100s", file_name(path), why.text);
    } else if (is_meant) {
        snprintf(out->weights_sha256, sizeof out->weights_sha256, "%s", profile->weights_sha256);
        take(&kernels, out);
        snprintf(out->note, sizeof out->note, "%d kernels of %.60s", out->choice.kernel_count, file_name(path));
    }
    ei_et_kernels_fini(&kernels);
    free(profile);
}

void ei_kernels_fini(struct ei_kernels *kernels)
{
    free(kernels->list);
    *kernels = (struct ei_kernels){.list = NULL};
}
