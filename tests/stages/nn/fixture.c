#include "tests/stages/nn/fixture.h"

#include "rt/random.h"
#include "stages/nn/safetensors.h"
#include "stages/nn/zoo.h"
#include "stages/torch/loader.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

const struct fixture_metadata fixture_metadata_cifar = {.zoo = "b-alexnet",
                                                        .dataset = "cifar10",
                                                        .classes = "10",
                                                        .channels = "3",
                                                        .norm_mean = "0.5,0.4,0.3",
                                                        .norm_std = "0.25,0.2,0.3"};

const struct ei_torch_api *fixture_torch_or_skip(void)
{
    const struct ei_torch_api *api = NULL;
    struct einet_error err = {0};
    if (ei_torch_load(&api, &err) != 0) {
        ei_test_skip("%s", err.text);
    }
    return api;
}

/* He et al. for weights, so that signals neither fade nor explode; normalisation close to the identity. */
static float draw_number(const struct ei_param *param, struct ei_random *rng)
{
    const double x = ei_random_normal(rng);
    if (param->op == EI_OP_BATCH_NORM && (param->role == EI_PARAM_WEIGHT || param->role == EI_PARAM_RUNNING_VAR)) {
        return (float)exp(0.1 * x);
    }
    return (float)(param->role == EI_PARAM_WEIGHT ? sqrt(2.0 / (double)param->fan_in) * x : 0.1 * x);
}

static void draw_part(struct fixture_weights *w, int32_t block, bool branch, struct ei_random *rng)
{
    const int32_t ops = ei_program_part(&w->program, block, branch)->op_count;
    for (int32_t i = 0; i < ops; i++) {
        const int32_t count = ei_program_op_params(&w->program, block, branch, i, &w->params[w->count]);
        for (int32_t p = 0; p < count; p++) {
            const struct ei_param *param = &w->params[w->count];
            float *numbers = malloc((size_t)param->count * sizeof *numbers);
            for (int64_t n = 0; numbers != NULL && n < param->count; n++) {
                numbers[n] = draw_number(param, rng);
            }
            w->numbers[w->count++] = numbers;
        }
    }
}

void fixture_draw_zoo(struct fixture_weights *w, const char *zoo, int32_t channels, int32_t classes, uint64_t seed)
{
    EI_EQ(ei_zoo_program(zoo, channels, classes, &w->program, NULL), 0);
    fixture_draw_program(w, seed);
}

void fixture_draw_program(struct fixture_weights *w, uint64_t seed)
{
    struct ei_random rng;
    ei_random_init(&rng, seed, 0);
    w->count = 0;
    const size_t params = (size_t)ei_program_param_count(&w->program);
    w->params = calloc(params + EI_PROGRAM_PARAMS_PER_OP_MAX, sizeof *w->params);
    w->numbers = calloc(params + EI_PROGRAM_PARAMS_PER_OP_MAX, sizeof(float *));
    EI_REQUIRE(w->params != NULL && w->numbers != NULL);
    for (int32_t b = 0; b < w->program.block_count; b++) {
        draw_part(w, b, false, &rng);
        draw_part(w, b, true, &rng);
    }
}

void fixture_draw(struct fixture_weights *w, int32_t channels, int32_t classes, uint64_t seed)
{
    fixture_draw_zoo(w, "b-alexnet", channels, classes, seed);
}

void fixture_free(struct fixture_weights *w)
{
    for (int32_t i = 0; i < w->count; i++) {
        free(w->numbers[i]);
    }
    free(w->numbers);
    free(w->params);
    w->count = 0;
    w->numbers = NULL;
    w->params = NULL;
}

int fixture_write(const struct fixture_weights *w, const char *path, const struct fixture_metadata *m, int32_t skip_idx)
{
    struct ei_safetensors_entry *entries = calloc((size_t)w->count + 1, sizeof *entries);
    int32_t entry_count = 0, pair_count = 0;
    if (entries == NULL) {
        EI_TRUE(false);
        return -ENOMEM;
    }
    for (int32_t i = 0; i < w->count; i++) {
        if (i == skip_idx) {
            continue;
        }
        struct ei_safetensors_entry *entry = &entries[entry_count++];
        *entry = (struct ei_safetensors_entry){
            .name = w->params[i].name, .dtype = EI_DTYPE_F32, .dims = w->params[i].dims, .data = w->numbers[i]};
        memcpy(entry->shape, w->params[i].shape, sizeof w->params[i].shape);
    }
    const struct ei_safetensors_pair all[] = {
        {"zoo", m->zoo},           {"dataset", m->dataset},     {"classes", m->classes},
        {"channels", m->channels}, {"norm_mean", m->norm_mean}, {"norm_std", m->norm_std}};
    struct ei_safetensors_pair pairs[6];
    for (int i = 0; i < 6; i++) {
        if (all[i].value != NULL) {
            pairs[pair_count++] = all[i];
        }
    }
    struct einet_error err = {0};
    const int rc = ei_safetensors_write(path, entries, entry_count, pairs, pair_count, &err);
    EI_TRUEF(rc == 0, "%s", err.text);
    free(entries);
    return rc;
}
