#include "bench/random_weights.h"

#include "rt/random.h"
#include "stages/nn/safetensors.h"
#include "stages/nn/weights_map.h"
#include "stages/nn/zoo.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int bench_write_random_weights(const char *zoo, const char *path)
{
    static const struct ei_safetensors_pair facts[] = {
        {"dataset", "cifar10"}, {"classes", "10"}, {"channels", "3"}, {"norm_mean", "0,0,0"}, {"norm_std", "1,1,1"}};
    struct ei_safetensors_pair pairs[6] = {{"zoo", zoo}};
    struct einet_error err = {0};
    struct ei_random rng;
    struct ei_program *program = calloc(1, sizeof *program);
    int rc = program != NULL ? ei_zoo_program(zoo, 3, 10, program, &err) : -1;
    const int32_t count = rc == 0 ? ei_program_param_count(program) : 0;
    struct ei_param *params = calloc((size_t)count + 1, sizeof *params);
    struct ei_safetensors_entry *entries = calloc((size_t)count + 1, sizeof *entries);
    rc = rc == 0 && (params == NULL || entries == NULL) ? -1 : rc;
    ei_random_init(&rng, 1, 1);
    if (rc == 0) {
        ei_weights_params(program, params);
    }
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        const bool is_scale =
            params[i].role == EI_PARAM_RUNNING_VAR || (params[i].role == EI_PARAM_WEIGHT && params[i].fan_in == 0);
        const double spread = params[i].fan_in > 0 ? sqrt(2.0 / (double)params[i].fan_in) : 0.1;
        float *numbers = malloc((size_t)params[i].count * sizeof *numbers);
        for (int64_t n = 0; numbers != NULL && n < params[i].count; n++) {
            numbers[n] = (float)((is_scale ? 1.0 : 0.0) + (is_scale ? 0.02 : spread) * ei_random_normal(&rng));
        }
        entries[i] = (struct ei_safetensors_entry){
            .name = params[i].name, .dtype = EI_DTYPE_F32, .dims = params[i].dims, .data = numbers};
        memcpy(entries[i].shape, params[i].shape, sizeof params[i].shape);
        rc = numbers != NULL ? 0 : -1;
    }
    memcpy(pairs + 1, facts, sizeof facts);
    rc = rc == 0 ? ei_safetensors_write(path, entries, count, pairs, 6, &err) : rc;
    for (int32_t i = 0; entries != NULL && i < count; i++) {
        free((void *)(uintptr_t)entries[i].data);
    }
    if (rc != 0) {
        fprintf(stderr, "benchmark: %s\n", err.text);
    }
    free(entries);
    free(params);
    free(program);
    return rc;
}

bool bench_is_of_zoo(const char *name)
{
    for (int32_t i = 0; ei_zoo_name(i) != NULL; i++) {
        if (strncmp(name, ei_zoo_name(i), strlen(ei_zoo_name(i))) == 0) {
            return true;
        }
    }
    return false;
}
