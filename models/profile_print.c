/* A profile file of either kind as a table. */
#include "models/profile.h"

#include "planner/profile_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ei_profile_print(const char *path, FILE *out, struct einet_error *err)
{
    struct ei_cs_profile cs;
    const size_t length = strlen(path);
    if (length >= 3 && strcmp(path + length - 3, ".cs") == 0) {
        const int rc = ei_cs_profile_read(path, &cs, err);
        if (rc == 0) {
            ei_cs_profile_print(&cs, out);
            ei_cs_profile_fini(&cs);
        }
        return rc;
    }
    struct ei_et_profile *et = malloc(sizeof *et);
    struct ei_et_kernels kernels = {0};
    const int rc = et == NULL ? einet_error_set(err, -ENOMEM, "no memory for a profile")
                              : ei_et_profile_read_kernels(path, et, &kernels, err);
    if (rc == 0) {
        ei_et_profile_print(et, out);
    }
    for (int32_t i = 0; rc == 0 && i < kernels.count; i++) {
        const struct ei_et_kernel *k = &kernels.list[i];
        fprintf(out, "%sblock%d.%s.%d  %s\n", i == 0 ? "\nkernels that were chosen by measuring\n" : "",
                k->exit_idx + 1, k->branch != 0 ? "branch" : "conv", k->op_idx, k->name);
    }
    ei_et_kernels_fini(&kernels);
    free(et);
    return rc;
}
