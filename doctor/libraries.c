/* Probes of the libraries that compute, through the loaders that a run uses: what cannot be loaded is a fact, and a
 * failure only for a file that cannot do without.
 */
#include "doctor/probes.h"

#include "stages/cuda/loader.h"
#include "stages/dnnl/loader.h"
#include "stages/environment.h"
#include "stages/torch/loader.h"

#include <stdio.h>
#include <string.h>

/* ---- GPU ---- */

/* Whether a network with weights runs on the lane: libtorch then records what the device computes. */
static bool has_weights(const struct ei_workload *wl, int32_t lane_idx)
{
    for (int32_t i = 0; i < wl->task_count; i++) {
        const struct ei_task_spec *task = &wl->tasks[i];
        const struct ei_stage_spec *nn = task->nn_stage_idx >= 0 ? &task->stages[task->nn_stage_idx] : NULL;
        if (nn != NULL && nn->lane_idx == lane_idx && wl->models[nn->model_idx].kind != EI_SPEC_MODEL_EMULATE) {
            return true;
        }
    }
    return false;
}

/* Whether the lane's device does what a run needs of it; why not. */
static bool can_use(const struct ei_workload *wl, int32_t lane_idx, char *out_name, char *out_why, size_t size_bytes)
{
    const struct ei_cuda_api *cuda = NULL;
    const struct ei_torch_api *torch = NULL;
    struct einet_error err = {0};
    int32_t count = 0;
    if (ei_cuda_load(&cuda, &err) < 0) {
        snprintf(out_why, size_bytes, "%.500s", err.text);
        return false;
    }
    if (cuda->device_name(wl->lanes[lane_idx].device_idx, out_name, size_bytes) < 0) {
        snprintf(out_why, size_bytes, "%s", cuda->error_text());
        return false;
    }
    if (!has_weights(wl, lane_idx)) {
        return true;
    }
    if (ei_torch_load(&torch, &err) < 0) {
        snprintf(out_why, size_bytes, "%.500s", err.text);
        return false;
    }
    if (torch->cuda_device_count(&count) < 0) {
        snprintf(out_why, size_bytes, "%s", torch->error_text());
        return false;
    }
    return true;
}

/* What is there when no lane asks for it. */
static void describe_gpu(struct ei_finding *out, const char *driver)
{
    const struct ei_cuda_api *cuda = NULL;
    struct einet_error err = {0};
    char name[128];
    ei_wanted(out, "nothing");
    if (ei_cuda_load(&cuda, &err) < 0) {
        ei_found(out, "no CUDA plug-in%s%s", driver[0] != '\0' ? ", though there is a driver: " : "", driver);
    } else if (cuda->device_name(0, name, sizeof name) < 0) {
        ei_found(out, "none: %s", cuda->error_text());
    } else {
        ei_found(out, "%s; driver %s", name, driver);
    }
}

void ei_probe_gpu(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    char driver[200], name[EINET_ERROR_TEXT_MAX] = "", why[EINET_ERROR_TEXT_MAX] = "";
    int used = 0;
    (void)ei_doctor_line(in, "/proc/driver/nvidia/version", driver, sizeof driver);
    for (int32_t i = 0; in->wl != NULL && i < in->wl->lane_count; i++) {
        const struct ei_lane_spec *lane = &in->wl->lanes[i];
        if (lane->kind != EI_SPEC_LANE_CUDA) {
            continue;
        }
        used++;
        ei_wanted(out, "CUDA device %d, which lane '%s' names", lane->device_idx, lane->name);
        if (can_use(in->wl, i, name, why, sizeof why)) {
            ei_found(out, "%s; driver %s", name, driver);
            continue;
        }
        ei_found(out, "%s", why);
        if (lane->fallback_idx < 0) {
            ei_fail(out, "nvidia-smi  # shows driver and devices; or give lane '%s' a fallback in %s", lane->name,
                    in->wl->file);
        } else {
            ei_warn(out, "nvidia-smi  # shows driver and devices; until then its jobs run on lane '%s'",
                    in->wl->lanes[lane->fallback_idx].name);
        }
        return;
    }
    if (used == 0) {
        describe_gpu(out, driver);
    }
}

/* ---- what computes on CPUs ---- */

static bool load_torch(char *out, size_t size_bytes)
{
    const struct ei_torch_api *torch = NULL;
    struct einet_error err = {0};
    const bool is_there = ei_torch_load(&torch, &err) == 0;
    snprintf(out, size_bytes, "%.511s", is_there ? torch->version : err.text);
    return is_there;
}

static bool load_dnnl(char *out, size_t size_bytes)
{
    const struct ei_dnnl_api *dnnl = NULL;
    struct einet_error err = {0};
    const bool is_there = ei_dnnl_load(&dnnl, &err) == 0;
    snprintf(out, size_bytes, "%.511s", is_there ? dnnl->version : err.text);
    return is_there;
}

static bool is_needed_at_all(const struct ei_doctor_inputs *in)
{
    return in->wl == NULL || in->wants.is_torch_wanted || in->wants.is_dnnl_wanted || in->wants.is_any_wanted;
}

void ei_probe_libtorch(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    char text[EINET_ERROR_TEXT_MAX], other[EINET_ERROR_TEXT_MAX];
    ei_wanted(out, in->wants.is_torch_wanted ? "libtorch" : "libtorch or oneDNN");
    if (!is_needed_at_all(in)) {
        ei_found(out, "not looked for: no network of the file has weights");
        ei_wanted(out, "nothing");
        return;
    }
    if (load_torch(text, sizeof text)) {
        ei_found(out, "libtorch %s", text);
        return;
    }
    ei_found(out, "%s", text);
    if (in->wants.is_torch_wanted || (in->wants.is_any_wanted && !load_dnnl(other, sizeof other))) {
        ei_fail(out, "sudo apt-get install libtorch-dev libopenblas0-serial  # then build again");
    } else if (in->wl == NULL) {
        ei_warn(out, "sudo apt-get install libtorch-dev libopenblas0-serial  # then build again");
    }
}

void ei_probe_onednn(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    char text[EINET_ERROR_TEXT_MAX];
    ei_wanted(out, in->wants.is_dnnl_wanted ? "oneDNN" : "oneDNN: networks of layers run faster on it");
    if (!is_needed_at_all(in) || (in->wl != NULL && !in->wants.is_dnnl_wanted && !in->wants.is_any_wanted)) {
        ei_found(out, "not looked for: no lane of the file computes on it");
        ei_wanted(out, "nothing");
        return;
    }
    if (load_dnnl(text, sizeof text)) {
        ei_found(out, "oneDNN %s", text);
        return;
    }
    ei_found(out, "%s", text);
    if (in->wants.is_dnnl_wanted) {
        ei_fail(out, "sudo apt-get install libdnnl-dev  # then build again");
    } else {
        ei_warn(out, "sudo apt-get install libdnnl-dev  # then build again");
    }
}

void ei_probe_environment(const struct ei_doctor_inputs *in, struct ei_finding *out)
{
    struct ei_environment_warning warnings[EI_ENVIRONMENT_WARNINGS_MAX];
    char settings[EI_DOCTOR_TEXT_MAX];
    const int32_t count = ei_environment_check(warnings);
    (void)in;
    ei_wanted(out, "one OpenMP runtime, and a BLAS for this processor");
    if (count > 0) {
        ei_found(out, "%.390s", warnings[0].text);
        ei_warn(out, "%s", warnings[0].remedy);
        return;
    }
    ei_environment_print(settings, sizeof settings);
    ei_found(out, "%s", settings[0] != '\0' ? settings : "nothing set");
}
