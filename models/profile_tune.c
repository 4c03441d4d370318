/* Kernels that round otherwise only where the test split does not notice: scores of oneDNN's first kernels against
 * those of the tuned network, level by level downwards.
 */
#include "models/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"none", "exact", "winograd", "bf16"};

/* Exit with the largest drop of accuracy. */
static int32_t worst_exit(const struct ei_cs_profile *first, const struct ei_cs_profile *tuned, float *out_drop)
{
    int32_t worst = 0;
    for (int32_t e = 1; e < first->exits; e++) {
        if (first->accuracy[e] - tuned->accuracy[e] > first->accuracy[worst] - tuned->accuracy[worst]) {
            worst = e;
        }
    }
    *out_drop = first->accuracy[worst] - tuned->accuracy[worst];
    return worst;
}

static void note_drop(const struct ei_profile_progress *progress, int level, int32_t exit_idx, float drop)
{
    char text[200];
    if (progress != NULL && progress->note != NULL) {
        snprintf(text, sizeof text,
                 "kernels of level %s cost %.2f points of accuracy at exit %d, more than %.2f: trying level %s",
                 names[level], 100.0 * (double)drop, exit_idx + 1, 100.0 * (double)EI_PROFILE_DROP_MAX,
                 names[level - 1]);
        progress->note(progress->context, text);
    }
}

static int measure_level(const struct ei_profile_opener *opener, int level, const struct ei_dataset *dataset,
                         const struct ei_profile_progress *progress, struct ei_network **out_net,
                         struct ei_cs_profile *out_cs, struct einet_error *err)
{
    const struct ei_network_choice choice = {.tune = (enum ei_network_tune)level};
    int rc = opener->open(opener->context, level > 0 ? &choice : NULL, out_net, err);
    if (rc == 0) {
        rc = ei_profile_measure_cs(*out_net, dataset, progress, out_cs, err);
        if (rc != 0) {
            ei_network_destroy(*out_net);
            *out_net = NULL;
        }
    }
    return rc;
}

int ei_profile_tune(const struct ei_profile_opener *opener, enum ei_network_tune wanted,
                    const struct ei_dataset *dataset, const struct ei_profile_progress *progress,
                    struct ei_network **out_net, struct ei_cs_profile *out_cs, struct einet_error *err)
{
    struct ei_cs_profile first = {0};
    int rc = measure_level(opener, EI_NETWORK_TUNE_NONE, dataset, progress, out_net, &first, err);
    bool is_found = wanted == EI_NETWORK_TUNE_NONE;
    for (int level = (int)wanted; rc == 0 && !is_found; level--) {
        float drop = 0.0F;
        ei_network_destroy(*out_net);
        *out_net = NULL;
        rc = measure_level(opener, level, dataset, progress, out_net, out_cs, err);
        if (rc != 0) {
            break;
        }
        const int32_t exit_idx = worst_exit(&first, out_cs, &drop);
        is_found = level <= (int)EI_NETWORK_TUNE_EXACT || drop <= EI_PROFILE_DROP_MAX;
        if (!is_found) {
            note_drop(progress, level, exit_idx, drop);
            ei_cs_profile_fini(out_cs);
        }
    }
    if (rc == 0 && wanted == EI_NETWORK_TUNE_NONE) {
        *out_cs = first;
    } else {
        ei_cs_profile_fini(&first);
    }
    return rc;
}

int ei_profile_kernels(const struct ei_network *net, struct ei_et_kernels *out, struct einet_error *err)
{
    const int32_t count = ei_network_kernels(net, NULL, 0);
    struct ei_network_kernel *kernels = calloc((size_t)count + 1, sizeof *kernels);
    *out = (struct ei_et_kernels){.list = calloc((size_t)count + 1, sizeof *out->list)};
    if (kernels == NULL || out->list == NULL) {
        free(kernels);
        ei_et_kernels_fini(out);
        return einet_error_set(err, -ENOMEM, "no memory for a profile");
    }
    (void)ei_network_kernels(net, kernels, count);
    for (int32_t i = 0; i < count; i++) {
        struct ei_et_kernel *k = &out->list[i];
        *k = (struct ei_et_kernel){
            .exit_idx = kernels[i].block_idx, .branch = kernels[i].branch, .op_idx = kernels[i].op_idx};
        snprintf(k->name, sizeof k->name, "%.47s", kernels[i].name);
    }
    out->count = count;
    free(kernels);
    return 0;
}
