/* First values of the parameters: drawn from the seed, or taken from a file of weights.
 *
 * A file of the same network is matched by name. A file of another network of the zoo is matched layer by layer
 * (stages/nn/weights_map.h): the trunk must agree, an exit is taken when all of it agrees.
 */
#include "models/trainer.h"

#include "models/param_draw.h"
#include "rt/random.h"
#include "stages/nn/safetensors.h"
#include "stages/nn/weights_map.h"
#include "stages/nn/zoo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the file is of, and where each parameter's numbers are in it. */
struct source {
    const char *path;
    struct ei_safetensors *file;
    const char *zoo;
    int32_t classes;                            /* 0 = not said */
    const struct ei_safetensors_tensor **found; /* [param_count], NULL = draw */
};

static bool is_shape_equal(const struct ei_param *param, const struct ei_safetensors_tensor *tensor)
{
    bool equal = param->dims == tensor->dims;
    for (int32_t d = 0; equal && d < param->dims; d++) {
        equal = param->shape[d] == tensor->shape[d];
    }
    return equal;
}

static const char *shape_text(int32_t dims, const int64_t *shape, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int32_t d = 0; d < dims && used < size; d++) {
        const int more = snprintf(out + used, size - used, "%s%lld", d > 0 ? "x" : "", (long long)shape[d]);
        used += more > 0 ? (size_t)more : 0;
    }
    return out;
}

static int refuse_shape(const struct ei_trainer *t, const struct source *s, const struct ei_param *param,
                        const struct ei_safetensors_tensor *tensor, struct einet_error *err)
{
    char have[64], want[64];
    return einet_error_set_at(err, EINET_E_MISMATCH, s->path, 0, 0,
                              "does not fit %s: %s of %.31s is %s, but %s needs %s", t->program.name, tensor->name,
                              s->zoo, shape_text(tensor->dims, tensor->shape, have, sizeof have), param->name,
                              shape_text(param->dims, param->shape, want, sizeof want));
}

static int match_by_name(struct ei_trainer *t, struct source *s, struct einet_error *err)
{
    if (s->classes > 0 && s->classes != t->program.classes) {
        return einet_error_set_at(err, EINET_E_MISMATCH, s->path, 0, 0,
                                  "its exits tell %d classes apart, the data set has %d; only the exits of another "
                                  "network (NAME-classic for NAME) may differ",
                                  s->classes, t->program.classes);
    }
    for (int32_t n = 0; n < ei_safetensors_count(s->file); n++) {
        const struct ei_safetensors_tensor *tensor = ei_safetensors_at(s->file, n);
        int32_t i = 0;
        while (i < t->param_count && strcmp(ei_exec_param(t->exec, i)->name, tensor->name) != 0) {
            i++;
        }
        if (i == t->param_count) {
            return einet_error_set_at(err, EINET_E_MISMATCH, s->path, 0, 0, "its %s is not in %s", tensor->name,
                                      t->program.name);
        }
        if (!is_shape_equal(ei_exec_param(t->exec, i), tensor)) {
            return refuse_shape(t, s, ei_exec_param(t->exec, i), tensor, err);
        }
        s->found[i] = tensor;
    }
    return 0;
}

/* An exit is taken whole or not at all: half of one that was trained is no better than a fresh one. */
static void drop_torn_exits(const struct ei_trainer *t, int32_t *from)
{
    for (int32_t b = 0; b < t->program.block_count; b++) {
        bool is_torn = false;
        for (int32_t i = 0; i < t->param_count; i++) {
            is_torn = is_torn || (t->params[i].branch && t->params[i].block_idx == b && from[i] == EI_WEIGHTS_NONE);
        }
        for (int32_t i = 0; is_torn && i < t->param_count; i++) {
            from[i] = t->params[i].branch && t->params[i].block_idx == b ? EI_WEIGHTS_NONE : from[i];
        }
    }
}

static int find_mapped(const struct ei_trainer *t, struct source *s, const struct ei_param *of_file,
                       const int32_t *from, struct einet_error *err)
{
    for (int32_t i = 0; i < t->param_count; i++) {
        if (from[i] == EI_WEIGHTS_NONE) {
            continue;
        }
        const struct ei_param *param = &of_file[from[i]];
        s->found[i] = ei_safetensors_find(s->file, param->name);
        if (s->found[i] == NULL || !is_shape_equal(param, s->found[i])) {
            return einet_error_set_at(err, EINET_E_MISMATCH, s->path, 0, 0,
                                      "is said to be of %s, but has no tensor %s of its shape", s->zoo, param->name);
        }
    }
    return 0;
}

static int match_by_order(struct ei_trainer *t, struct source *s, struct einet_error *err)
{
    struct ei_program *of_file = malloc(sizeof *of_file);
    struct ei_param *params = NULL;
    int32_t *from = calloc((size_t)t->param_count, sizeof *from);
    int rc = of_file != NULL && from != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for initial weights");
    if (rc == 0) {
        rc = ei_zoo_program(s->zoo, t->program.input.channels, s->classes > 0 ? s->classes : t->program.classes,
                            of_file, err);
    }
    if (rc == 0) {
        params = calloc((size_t)ei_program_param_count(of_file), sizeof *params);
        rc = params != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for initial weights");
    }
    if (rc == 0) {
        struct einet_error why = {0};
        ei_weights_params(of_file, params);
        rc = ei_weights_map(of_file, &t->program, from, &why);
        if (rc < 0) {
            einet_error_set_at(err, rc, s->path, 0, 0, "%s", why.text);
        }
    }
    if (rc >= 0) {
        drop_torn_exits(t, from);
        rc = find_mapped(t, s, params, from, err);
    }
    free(params);
    free(from);
    free(of_file);
    return rc;
}

/* Whether every parameter of a part was found; a part without parameters was. */
static bool is_found(const struct ei_trainer *t, const struct source *s, int32_t block_idx, bool branch)
{
    for (int32_t i = 0; i < t->param_count; i++) {
        if (t->params[i].block_idx == block_idx && t->params[i].branch == branch && s->found[i] == NULL) {
            return false;
        }
    }
    return true;
}

/* "took the trunk and exits 14; drawn: exits 1-13" */
static void describe(struct ei_trainer *t, const struct source *s)
{
    char lists[2][96] = {"", ""};
    size_t used[2] = {0, 0};
    bool is_trunk_whole = true;
    for (int32_t b = 0; b < t->program.block_count; b++) {
        is_trunk_whole = is_trunk_whole && is_found(t, s, b, false);
    }
    for (int32_t b = 0; b < t->program.block_count;) {
        const bool found = is_found(t, s, b, true);
        int32_t end = b + 1;
        while (end < t->program.block_count && is_found(t, s, end, true) == found) {
            end++;
        }
        char *list = lists[found ? 1 : 0];
        size_t *at = &used[found ? 1 : 0];
        if (*at < sizeof lists[0]) {
            const int more = end - b > 1 ? snprintf(list + *at, sizeof lists[0] - *at, " %d-%d", b + 1, end)
                                         : snprintf(list + *at, sizeof lists[0] - *at, " %d", b + 1);
            *at += more > 0 ? (size_t)more : 0;
        }
        b = end;
    }
    snprintf(t->init_text, sizeof t->init_text, "from weights of %.31s: %s; exits taken:%s; drawn:%s", s->zoo,
             is_trunk_whole ? "the trunk" : "a part of the trunk", used[1] > 0 ? lists[1] : " none",
             used[0] > 0 ? lists[0] : " none");
}

/* With a frozen trunk, what is frozen must have come from the file. */
static int check_frozen(const struct ei_trainer *t, const struct source *s, struct einet_error *err)
{
    for (int32_t i = 0; t->config->train == EI_TRAIN_EXITS && i < t->param_count; i++) {
        if (s->found[i] != NULL || t->params[i].is_trained) {
            continue;
        }
        const bool is_last_exit = t->params[i].branch && t->params[i].block_idx == t->program.block_count - 1;
        if (is_last_exit && t->config->keep_last) {
            return einet_error_set_at(
                err, EINET_E_MISMATCH, s->path, 0, 0,
                "its last exit does not fit that of %s with %d classes: leave --keep-last away to "
                "train it afresh",
                t->program.name, t->program.classes);
        }
        if (!t->params[i].branch) {
            return einet_error_set_at(err, EINET_E_MISMATCH, s->path, 0, 0,
                                      "has no %s, and --train exits keeps the trunk as it is",
                                      ei_exec_param(t->exec, i)->name);
        }
    }
    return 0;
}

static int open_source(struct ei_trainer *t, struct source *s, struct einet_error *err)
{
    s->path = t->config->init_path;
    s->found = calloc((size_t)t->param_count + 1, sizeof(struct ei_safetensors_tensor *));
    if (s->found == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for initial weights");
    }
    int rc = ei_safetensors_open(s->path, &s->file, err);
    if (rc != 0) {
        return rc;
    }
    const char *zoo = ei_safetensors_metadata(s->file, "zoo"), *classes = ei_safetensors_metadata(s->file, "classes");
    const char *channels = ei_safetensors_metadata(s->file, "channels");
    s->zoo = zoo != NULL ? zoo : t->program.name;
    s->classes = classes != NULL ? (int32_t)strtol(classes, NULL, 10) : 0;
    if (channels != NULL && strtol(channels, NULL, 10) != t->program.input.channels) {
        return einet_error_set_at(err, EINET_E_MISMATCH, s->path, 0, 0,
                                  "takes pictures of %.8s channels, the data set's have %d", channels,
                                  t->program.input.channels);
    }
    if (t->config->program != NULL || strcmp(s->zoo, t->program.name) == 0) {
        rc = match_by_name(t, s, err);
    } else {
        rc = match_by_order(t, s, err);
    }
    if (rc == 0) {
        rc = check_frozen(t, s, err);
    }
    if (rc == 0) {
        snprintf(t->init_sha256, sizeof t->init_sha256, "%s", ei_safetensors_sha256(s->file));
        describe(t, s);
    }
    return rc;
}

static int init_param(struct ei_trainer *t, const struct source *s, int32_t i, float *numbers)
{
    const struct ei_param *param = ei_exec_param(t->exec, i);
    const struct ei_torch_api *api = t->api;
    int rc = 0;
    memset(numbers, 0, (size_t)param->count * sizeof *numbers);
    if (t->params[i].is_trained) {
        rc = api->tensor_create(&t->first[i]);
        if (rc == 0) {
            rc = api->tensor_from_f32(t->first[i], numbers, param->shape, param->dims);
        }
    }
    if (rc == 0 && t->params[i].is_trained && t->config->optimizer == EI_TRAIN_ADAM) {
        rc = api->tensor_create(&t->second[i]);
        if (rc == 0) {
            rc = api->tensor_from_f32(t->second[i], numbers, param->shape, param->dims);
        }
    }
    if (s->found != NULL && s->found[i] != NULL) {
        ei_safetensors_to_f32(s->found[i], numbers);
    } else {
        struct ei_random rng;
        ei_random_init(&rng, t->config->seed, EI_TRAIN_STREAM_INIT | (uint32_t)i);
        ei_param_draw(param, t->program.classes, &rng, numbers);
    }
    if (rc == 0) {
        rc = ei_exec_param_set(t->exec, i, numbers, NULL);
    }
    if (rc == 0 && t->params[i].is_trained) {
        rc = api->requires_grad(ei_exec_param_tensor(t->exec, i));
    }
    return rc;
}

int ei_train_init(struct ei_trainer *t, struct einet_error *err)
{
    struct source source = {0};
    int64_t largest = 1;
    int rc = 0;
    for (int32_t i = 0; i < t->param_count; i++) {
        const int64_t count = ei_exec_param(t->exec, i)->count;
        largest = count > largest ? count : largest;
    }
    float *numbers = malloc((size_t)largest * sizeof *numbers);
    if (numbers == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the weights");
    }
    if (t->config->init_path != NULL && !t->config->resume) {
        rc = open_source(t, &source, err);
    }
    if (rc == 0) {
        for (int32_t i = 0; rc == 0 && i < t->param_count; i++) {
            rc = init_param(t, &source, i, numbers);
        }
        if (rc != 0) {
            ei_train_fault(t, rc, "the weights could not be set up", err);
        }
    }
    ei_safetensors_close(source.file);
    free(source.found);
    free(numbers);
    return rc;
}
