#include "tests/stages/nn/fixture.h"

#include "rt/random.h"
#include "stages/dnnl/loader.h"
#include "stages/nn/safetensors.h"
#include "stages/nn/zoo.h"
#include "stages/nn/zoo/writer.h"
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

const struct ei_dnnl_api *fixture_dnnl_or_skip(void)
{
    const struct ei_dnnl_api *api = NULL;
    struct einet_error err = {0};
    if (ei_dnnl_load(&api, &err) != 0) {
        ei_test_skip("%s", err.text);
    }
    EI_EQ(api->thread_enter(1), 0);
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

#define EVERYTHING_CLASSES 10

static void write_exit(struct ei_program *p, int32_t block, int32_t channels, int32_t side_px)
{
    struct ei_writer w = ei_writer_branch(p, block, channels, side_px);
    ei_write_relu(&w);
    ei_write_overlapping_max_pool(&w);
    ei_write_lrn(&w);
    ei_write_conv(&w, 20, 3, 1, true);
    ei_write_relu(&w);
    ei_write_global_avg_pool(&w);
    ei_write_flatten(&w);
    ei_write_linear(&w, 12);
    ei_write_batch_norm(&w);
    ei_write_relu(&w);
    ei_write_dropout(&w, 0.5F);
    ei_write_linear(&w, EVERYTHING_CLASSES);
}

/* Every operation, and every way to fuse it and not to: slots 0 and 1 are the trunk, 2 and 3 are temporary. */
static void write_everything(struct ei_program *p)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "everything");
    p->classes = EVERYTHING_CLASSES;
    p->trunk_slots = 2;
    p->input = (struct ei_shape){3, 12, 12};
    p->block_count = 4;
    struct ei_writer w = ei_writer_conv(p, 0, 3, 12);
    ei_write_conv(&w, 22, 3, 1, true); /* channels that fill no block of 16 */
    write_exit(p, 0, 22, 12);

    /* Residuals: in place; onto something that is needed later; of two pools; and the ReLU behind each. */
    w = ei_writer_conv(p, 1, 22, 12);
    ei_write_relu(&w);
    ei_writer_move(&w, 0, 2, 22, 12);
    ei_write_conv_bn_relu(&w, 24, 3, 1);
    ei_write_conv(&w, 22, 1, 1, false);
    ei_write_batch_norm(&w);
    ei_write_add(&w, 0);
    ei_write_relu(&w);
    ei_writer_move(&w, 2, 3, 22, 12); /* 3 = conv(conv(2)) + 2, while 2 lives on */
    ei_write_conv(&w, 22, 3, 1, true);
    ei_write_conv(&w, 22, 1, 1, true);
    ei_write_add(&w, 2);
    ei_writer_move(&w, 3, 3, 22, 12);
    ei_write_max_pool(&w, 2);
    ei_writer_move(&w, 2, 2, 22, 12);
    ei_write_avg_pool(&w, 2);
    ei_write_add(&w, 3);
    ei_write_relu(&w);
    ei_writer_move(&w, 2, 1, 22, 6);
    ei_write_conv(&w, 22, 5, 1, false);
    ei_writer_move(&w, 2, 0, 22, 6);
    ei_write_lrn(&w);
    write_exit(p, 1, 22, 6);

    /* Growth: in place twice, then once where both parts are needed later; batch norm that follows no convolution. */
    w = ei_writer_conv(p, 2, 22, 6);
    ei_writer_move(&w, 0, 2, 22, 6);
    ei_write_conv_bn_relu(&w, 7, 1, 1);
    ei_writer_move(&w, 0, 0, 22, 6);
    ei_write_concat(&w, 2, 7);
    ei_write_concat(&w, 1, 22);
    ei_writer_move(&w, 0, 1, 51, 6);
    ei_write_conv_bn_relu(&w, 32, 3, 1);
    ei_writer_move(&w, 1, 2, 32, 6);
    ei_write_concat(&w, 0, 51);
    ei_write_batch_norm(&w);
    ei_write_relu(&w);
    ei_writer_move(&w, 2, 0, 83, 6);
    ei_write_conv(&w, 16, 3, 1, true);
    ei_write_concat(&w, 1, 32);
    write_exit(p, 2, 48, 6);

    /* A flattened picture. */
    w = ei_writer_conv(p, 3, 48, 6);
    ei_write_relu(&w);
    ei_write_flatten(&w);
    ei_write_dropout(&w, 0.3F);
    ei_write_linear(&w, 33);
    ei_write_relu(&w);
    w = ei_writer_branch(p, 3, 33, 0); /* long enough for its memory to come round */
    for (int32_t i = 0; i < 4; i++) {
        ei_write_linear(&w, 33);
        ei_write_relu(&w);
    }
    ei_write_linear(&w, EVERYTHING_CLASSES);
}

void fixture_draw_everything(struct fixture_weights *w)
{
    struct einet_error err = {0};
    write_everything(&w->program);
    EI_TRUEF(ei_program_check(&w->program, &err) == 0, "%s", err.text);
    fixture_draw_program(w, 7);
}
