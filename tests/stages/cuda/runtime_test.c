/* The plug-in on the real CUDA runtime: it loads anywhere, and says what is missing. */
#include "stages/cuda/loader.h"
#include "stages/nn/network_cuda.h"
#include "tests/harness/harness.h"

#include <stdlib.h>

static const struct ei_cuda_api *open_plugin(void)
{
    const struct ei_cuda_api *api = NULL;
    struct einet_error err = {0};
    if (ei_cuda_load(&api, &err) != 0) {
        EI_CONTAINS(err.text, "CUDA plug-in is missing");
        EI_CONTAINS(err.text, "use a lane of kind cpu");
        ei_test_skip("%s", err.text);
    }
    return api;
}

EI_TEST(machine_without_a_device_is_told_so)
{
    const struct ei_cuda_api *api = open_plugin();
    int32_t count = -1;
    const int rc = api->device_count(&count);
    if (rc == 0) {
        EI_IN(count, 1, EI_CUDA_DEVICES_MAX);
        return;
    }
    EI_EQ(rc, EINET_E_BACKEND);
    EI_CONTAINS(api->error_text(), "no CUDA device: ");
    EI_CONTAINS(api->error_text(), "install the NVIDIA driver");
    char name[16];
    EI_EQ(api->device_name(0, name, sizeof name), EINET_E_BACKEND);
    EI_EQ(api->device_is_lost(0), 0);
}

EI_TEST(wrong_plugin_is_refused)
{
    const struct ei_cuda_api *api = NULL;
    struct einet_error err = {0};
    setenv("EINET_CUDA_PLUGIN", "/no/such/plugin.so", 1);
    EI_EQ(ei_cuda_load(&api, &err), EINET_E_BACKEND);
    EI_CONTAINS(err.text, "/no/such/plugin.so");
    EI_CONTAINS(err.text, "EINET_CUDA=ON");
}

EI_MAIN()
