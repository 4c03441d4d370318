/* See recorded.h. Nothing here is real-time safe. */
#include "stages/nn/recorded.h"

#include "stages/cuda/loader.h"
#include "stages/nn/network_aten.h"
#include "stages/nn/network_cuda.h"
#include "stages/nn/recorder_aten.h"
#include "stages/torch/loader.h"

int ei_recorded_enter(int32_t device_idx, const struct ei_torch_api **out_api, struct einet_error *err)
{
    const struct ei_torch_api *api = NULL;
    const struct ei_cuda_api *cuda = NULL;
    int32_t count = 0;
    int rc = ei_torch_load(&api, err);
    if (rc != 0) {
        return rc;
    }
    /* libtorch first: it is what is more often of the wrong kind, and it knows why it finds no device. */
    if (api->cuda_device_count(&count) != 0) {
        return einet_error_set(err, EINET_E_BACKEND, "backend cuda: %.300s", api->error_text());
    }
    rc = ei_cuda_load(&cuda, err);
    if (rc != 0) {
        return rc;
    }
    if (api->cuda_enter(device_idx, NULL) != 0 || api->device(EI_TORCH_CUDA) != 0) {
        einet_error_set(err, EINET_E_BACKEND, "backend cuda: %.300s", api->error_text());
        (void)api->device(EI_TORCH_CPU);
        return EINET_E_BACKEND;
    }
    *out_api = api;
    return 0;
}

int ei_recorded_open(const struct ei_torch_api *api, struct ei_exec *exec, const struct ei_network_info *info,
                     const struct ei_network_cuda_settings *settings, struct ei_network **out, struct einet_error *err)
{
    const struct ei_cuda_api *cuda = NULL;
    struct ei_cuda_recorder recorder;
    int rc = ei_cuda_load(&cuda, err);
    if (rc == 0 && info->precision == EI_NETWORK_BFLOAT16) {
        rc = ei_network_aten_narrow(api, exec, err);
    }
    if (rc == 0) {
        rc = ei_recorder_aten_create(api, exec, info, settings->device_idx, &recorder, err);
    }
    if (rc != 0) {
        ei_exec_destroy(exec);
        return rc;
    }
    rc = ei_network_cuda_create(cuda, recorder, info, settings, out, err);
    /* Freeing on a device that is lost could wait for ever. */
    if (rc != 0 && cuda->device_is_lost(settings->device_idx) == 0) {
        recorder.destroy(recorder.context);
    }
    return rc;
}

void ei_recorded_leave(const struct ei_torch_api *api)
{
    (void)api->device(EI_TORCH_CPU);
}
