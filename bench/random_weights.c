/* See random_weights.h. Seeded: every run has the same weights. */
#include "bench/random_weights.h"

#include "rt/random.h"
#include "stages/nn/safetensors.h"
#include "stages/nn/weights_map.h"
#include "stages/nn/zoo.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static float draw(const struct ei_param *param, struct ei_random *rng)
{
    const double x = ei_random_normal(rng);
    if (param->role == EI_PARAM_RUNNING_VAR || (param->role == EI_PARAM_WEIGHT && param->fan_in == 0)) {
        return (float)(1.0 + 0.02 * x);
    }
    return (float)(param->fan_in > 0 ? sqrt(2.0 / (double)param->fan_in) * x : 0.1 * x);
}

static int fill(const struct ei_param *params, int32_t count, struct ei_safetensors_entry *entries)
{
    struct ei_random rng;
    ei_random_init(&rng, 1, 1);
    for (int32_t i = 0; i < count; i++) {
        float *numbers = malloc((size_t)params[i].count * sizeof *numbers);
        if (numbers == NULL) {
            return -ENOMEM;
        }
        for (int64_t n = 0; n < params[i].count; n++) {
            numbers[n] = draw(&params[i], &rng);
        }
        entries[i] = (struct ei_safetensors_entry){
            .name = params[i].name, .dtype = EI_DTYPE_F32, .dims = params[i].dims, .data = numbers};
        for (int32_t d = 0; d < params[i].dims; d++) {
            entries[i].shape[d] = params[i].shape[d];
        }
    }
    return 0;
}

static int write_program(const struct ei_program *program, const char *zoo, const char *path, struct einet_error *err)
{
    const struct ei_safetensors_pair pairs[] = {{"zoo", zoo},      {"dataset", "cifar10"}, {"classes", "10"},
                                                {"channels", "3"}, {"norm_mean", "0,0,0"}, {"norm_std", "1,1,1"}};
    const int32_t count = ei_program_param_count(program);
    struct ei_param *params = calloc((size_t)count + 1, sizeof *params);
    struct ei_safetensors_entry *entries = calloc((size_t)count + 1, sizeof *entries);
    int rc = params != NULL && entries != NULL ? 0 : -ENOMEM;
    if (rc == 0) {
        ei_weights_params(program, params);
        rc = fill(params, count, entries);
    }
    rc = rc == 0 ? ei_safetensors_write(path, entries, count, pairs, 6, err)
                 : einet_error_set(err, rc, "no memory for the weights of %s", zoo);
    for (int32_t i = 0; entries != NULL && i < count; i++) {
        free((void *)(uintptr_t)entries[i].data);
    }
    free(entries);
    free(params);
    return rc;
}

int ei_bench_random_weights(const char *zoo, const char *path, struct einet_error *err)
{
    struct ei_program *program = calloc(1, sizeof *program);
    int rc = program != NULL ? ei_zoo_program(zoo, 3, 10, program, err) : -ENOMEM;
    if (rc == 0) {
        rc = write_program(program, zoo, path, err);
    }
    free(program);
    return rc;
}
