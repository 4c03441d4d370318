/* A stored choice of kernels is taken where it was measured, and nowhere else. */
#include "engine/kernels.h"
#include "planner/profile_file.h"
#include "rt/topology.h"
#include "stages/dnnl/loader.h"
#include "tests/harness/harness.h"

#include <stdio.h>
#include <string.h>

static void describe(struct ei_et_profile *et, struct ei_machine *machine, const char *version)
{
    *et = (struct ei_et_profile){.exits = 1, .threads = 1, .samples = 1};
    *machine = (struct ei_machine){.cpu_count = 2};
    snprintf(machine->cpu_model, sizeof machine->cpu_model, "test processor  "); /* as the kernel pads it */
    snprintf(machine->kernel, sizeof machine->kernel, "6.1.0 x86_64");
    snprintf(et->cpu_model, sizeof et->cpu_model, "test processor");
    snprintf(et->kernel, sizeof et->kernel, "6.1.0 x86_64");
    snprintf(et->backend, sizeof et->backend, "dnnl, oneDNN %s", version);
}

static void refuse(const struct ei_et_profile *et, const struct ei_machine *machine, const char *version,
                   int32_t threads, const char *text)
{
    struct einet_error err = {0};
    EI_EQ(ei_kernels_match(et, machine, version, threads, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, text);
}

EI_TEST(another_machines_choice_is_refused)
{
    struct ei_et_profile et, other;
    struct ei_machine machine;
    struct einet_error err = {0};
    describe(&et, &machine, "2.6.3");
    EI_TRUEF(ei_kernels_match(&et, &machine, "2.6.3", 1, &err) == 0, "%s", err.text);
    refuse(&et, &machine, "3.1.0", 1, "3.1.0");
    refuse(&et, &machine, "", 1, "the backend");
    refuse(&et, &machine, "2.6.3", 2, "threads was `1`, here it is `2`");
    other = et;
    snprintf(other.cpu_model, sizeof other.cpu_model, "another one");
    refuse(&other, &machine, "2.6.3", 1, "the processor was `another one`, here it is `test processor`");
    other = et;
    snprintf(other.kernel, sizeof other.kernel, "6.1.1 x86_64");
    refuse(&other, &machine, "2.6.3", 1, "Linux was");
    other = et;
    other.precision = EI_PROFILE_BFLOAT16;
    refuse(&other, &machine, "2.6.3", 1, "precision was `bfloat16`");
}

static void write_choice(const char *path, const char *version, bool is_here)
{
    struct ei_et_kernel kernel = {.exit_idx = 0, .branch = 1, .op_idx = 2, .name = "jit:avx2"};
    struct ei_et_profile et;
    struct ei_machine machine;
    struct einet_error err = {0};
    describe(&et, &machine, version);
    snprintf(et.network, sizeof et.network, "b-alexnet");
    snprintf(et.machine, sizeof et.machine, "test");
    snprintf(et.lane, sizeof et.lane, "cpu");
    if (is_here) {
        EI_EQ(ei_machine_describe(&machine, &err), 0);
        snprintf(et.cpu_model, sizeof et.cpu_model, "%s", machine.cpu_model);
        snprintf(et.kernel, sizeof et.kernel, "%s", machine.kernel);
        for (size_t i = strlen(et.kernel); i > 0 && et.kernel[i - 1] == ' '; i--) {
            et.kernel[i - 1] = '\0';
        }
        for (size_t i = strlen(et.cpu_model); i > 0 && et.cpu_model[i - 1] == ' '; i--) {
            et.cpu_model[i - 1] = '\0';
        }
    }
    const struct ei_et_kernels kernels = {.count = 1, .list = &kernel};
    EI_TRUEF(ei_et_profile_write_kernels(path, &et, &kernels, &err) == 0, "%s", err.text);
}

EI_TEST(a_choice_beside_the_weights_is_found)
{
    char path[512];
    struct ei_kernels kernels;
    const struct ei_dnnl_api *api = NULL;
    struct einet_error err = {0};
    snprintf(path, sizeof path, "%s/w.et.csv", ei_test_tmpdir());
    ei_kernels_find(path, "b-alexnet", 1, &kernels); /* no file: nothing to say */
    EI_EQ(kernels.choice.kernel_count, 0);
    EI_STREQ(kernels.note, "");
    write_choice(path, "0.0.0", false);
    ei_kernels_find(path, "b-alexnet", 1, &kernels);
    EI_EQ(kernels.choice.kernel_count, 0);
    EI_CONTAINS(kernels.note, "kernels of w.et.csv not taken: the processor was");
    ei_kernels_find(path, "vgg-16", 1, &kernels); /* of another network on the same weights */
    EI_EQ(kernels.choice.kernel_count, 0);
    EI_STREQ(kernels.note, "");
    if (ei_dnnl_load(&api, &err) != 0) {
        ei_test_skip("%s", err.text);
    }
    write_choice(path, api->version, true);
    ei_kernels_find(path, "b-alexnet", 1, &kernels);
    EI_STREQ(kernels.note, "1 kernels of w.et.csv");
    ei_kernels_fini(&kernels);
    ei_kernels_find(path, "b-alexnet", 2, &kernels); /* on a lane with workers */
    EI_EQ(kernels.choice.kernel_count, 0);
    EI_CONTAINS(kernels.note, "threads was `1`, here it is `2`");
    ei_kernels_find(path, "b-alexnet", 1, &kernels);
    EI_REQUIRE(kernels.choice.kernel_count == 1);
    EI_EQ(kernels.choice.kernels[0].branch, 1);
    EI_EQ(kernels.choice.kernels[0].op_idx, 2);
    EI_STREQ(kernels.choice.kernels[0].name, "jit:avx2");
    ei_kernels_fini(&kernels);
}

EI_MAIN()
