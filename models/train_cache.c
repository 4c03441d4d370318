/* The cache of features: planning, filling, and the exits' step and evaluation on it.
 *
 * Two programs are derived from the network's: `source` ends each branch where its parameters begin, `tail` has no
 * trunk and begins there. Their executors refer to the parameters of the trained one.
 */
#include "models/train_cache.h"

#include "stages/post/class_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where a branch is cut: the operations before it, and the one tensor that those behind it read. */
struct cut {
    int32_t ops, slot;
    int32_t dims;
    int64_t shape[4]; /* of one sample */
    int64_t numbers;
    bool has_params; /* false: nothing to train */
};

struct ei_train_cache {
    struct cut cuts[EI_PROGRAM_BLOCKS_MAX];
    struct ei_exec *source, *tail;
    int32_t passes, train_count, test_count, group_idx;
    uint16_t *features[EI_PROGRAM_BLOCKS_MAX]; /* [passes * train_count + test_count][numbers] */
    float *teacher;                            /* [passes * train_count][classes]; NULL = no distillation */
    bool is_teacher_full;
    uint16_t *gathered;      /* [batch][numbers of the largest cut] */
    float *gathered_teacher; /* [batch][classes] */
};

static bool reads_two(enum ei_op_kind kind)
{
    return kind == EI_OP_ADD || kind == EI_OP_CONCAT;
}

/* The slot that the operations from `from` on read and do not write first; -1 when they are several. */
static int32_t live_slot(const struct ei_program *program, const struct ei_program_part *part, int32_t from)
{
    bool is_written[EI_PROGRAM_SLOTS_MAX] = {false};
    int32_t live = -1;
    for (int32_t i = from; i < part->op_count; i++) {
        const struct ei_op *op = &program->ops[part->first_op + i];
        const int32_t reads[2] = {op->in_slot, reads_two(op->kind) ? op->in2_slot : op->in_slot};
        for (int r = 0; r < 2; r++) {
            if (!is_written[reads[r]] && live >= 0 && live != reads[r]) {
                return -1;
            }
            live = is_written[reads[r]] ? live : reads[r];
        }
        is_written[op->out_slot] = true;
    }
    return live;
}

/* The latest place before the first parameter or dropout at which one tensor carries the branch on. */
static int find_cut(const struct ei_program *program, int32_t block_idx, struct cut *out, struct einet_error *err)
{
    const struct ei_program_part *part = ei_program_part(program, block_idx, true);
    struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
    int32_t end = 0;
    while (end + 1 < part->op_count && ei_program_op_params(program, block_idx, true, end, params) == 0 &&
           program->ops[part->first_op + end].kind != EI_OP_DROPOUT) {
        end++;
    }
    for (int32_t i = 0; i < part->op_count; i++) {
        out->has_params = out->has_params || ei_program_op_params(program, block_idx, true, i, params) > 0;
    }
    for (out->ops = end; out->ops >= 0; out->ops--) {
        out->slot = live_slot(program, part, out->ops);
        if (out->slot >= 0) {
            return 0;
        }
    }
    return einet_error_set(err, EINET_E_USAGE,
                           "exit %d of %s reads several tensors at once, which are not cached: use --train joint",
                           block_idx + 1, program->name);
}

/* An executor of a derived program whose parameters are those of the trunk, or of the branches. */
static int create_exec(const struct ei_trainer *t, const struct ei_program *program, bool branches,
                       struct ei_exec **out, struct einet_error *err)
{
    int rc = ei_train_exec_create(t, program, out, err);
    int32_t next = 0;
    for (int32_t i = 0; rc == 0 && i < t->param_count; i++) {
        if (t->params[i].branch == branches) {
            rc = t->api->tensor_assign(ei_exec_param_tensor(*out, next++), ei_exec_param_tensor(t->exec, i));
        }
    }
    return rc;
}

static int create_execs(struct ei_trainer *t, struct einet_error *err)
{
    struct ei_train_cache *cache = t->cache;
    struct ei_program *derived = malloc(sizeof *derived);
    if (derived == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a network");
    }
    *derived = t->program;
    for (int32_t b = 0; b < derived->block_count; b++) {
        derived->blocks[b].branch.op_count = cache->cuts[b].ops;
    }
    int rc = create_exec(t, derived, false, &cache->source, err);
    *derived = t->program;
    for (int32_t b = 0; b < derived->block_count; b++) {
        derived->blocks[b].conv.op_count = 0;
        derived->blocks[b].branch.first_op += cache->cuts[b].ops;
        derived->blocks[b].branch.op_count -= cache->cuts[b].ops;
    }
    if (rc == 0) {
        rc = create_exec(t, derived, true, &cache->tail, err);
    }
    free(derived);
    return rc;
}

/* Run one black picture to learn the shapes. */
static int measure_shapes(struct ei_trainer *t)
{
    const struct ei_shape *in = &t->program.input;
    const int64_t shape[4] = {1, in->channels, in->height_px, in->width_px};
    struct ei_exec *source = t->cache->source;
    memset(t->input, 0, (size_t)(shape[1] * shape[2] * shape[3]) * sizeof *t->input);
    int rc = t->api->tensor_from_f32(ei_exec_slot(source, 0), t->input, shape, 4);
    for (int32_t b = 0; rc == 0 && b < t->program.block_count; b++) {
        struct cut *cut = &t->cache->cuts[b];
        int64_t measured[EI_TORCH_DIMS_MAX] = {0};
        rc = ei_exec_run(source, b, false, false);
        if (rc == 0) {
            rc = ei_exec_run(source, b, true, false);
        }
        if (rc == 0) {
            rc = t->api->tensor_shape(ei_exec_slot(source, cut->slot), measured, &cut->dims);
        }
        if (rc == 0 && cut->dims > 4) {
            return EINET_E_BACKEND;
        }
        cut->numbers = 1;
        for (int32_t d = 1; rc == 0 && d < cut->dims; d++) {
            cut->shape[d] = measured[d];
            cut->numbers *= measured[d];
        }
    }
    return rc;
}

static bool is_exit_trained(const struct ei_trainer *t, int32_t block_idx)
{
    return t->cache->cuts[block_idx].has_params && !(t->config->keep_last && block_idx == t->program.block_count - 1);
}

static int64_t exit_bytes(const struct ei_train_cache *cache, int32_t block_idx)
{
    const int64_t samples = (int64_t)cache->passes * cache->train_count + cache->test_count;
    return samples * cache->cuts[block_idx].numbers * (int64_t)sizeof(uint16_t);
}

/* Consecutive exits as long as they fit. */
static int make_groups(struct ei_trainer *t, struct einet_error *err)
{
    const int64_t limit = ei_train_cache_bytes(t->config);
    int64_t used = 0, largest = 0;
    t->group_count = 0;
    for (int32_t b = 0; b < t->program.block_count; b++) {
        if (!is_exit_trained(t, b)) {
            continue;
        }
        const int64_t needs = exit_bytes(t->cache, b);
        if (needs > limit) {
            return einet_error_set(
                err, EINET_E_LIMIT,
                "the features of exit %d need %lld MiB (%d passes of %d samples) and --cache-mb allows "
                "%lld: raise it, or lower --passes",
                b + 1, (long long)(needs >> 20) + 1, t->cache->passes, t->cache->train_count, (long long)(limit >> 20));
        }
        if (t->group_count == 0 || used + needs > limit) {
            t->groups[t->group_count++].first_block = b;
            used = 0;
        }
        used += needs;
        t->groups[t->group_count - 1].end_block = b + 1;
        largest = t->cache->cuts[b].numbers > largest ? t->cache->cuts[b].numbers : largest;
    }
    if (t->group_count == 0) {
        return einet_error_set(err, EINET_E_USAGE, "no exit of %s has anything to train", t->program.name);
    }
    t->cache->gathered = malloc((size_t)t->config->batch * (size_t)largest * sizeof *t->cache->gathered);
    return t->cache->gathered != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for a batch of features");
}

int ei_train_cache_create(struct ei_trainer *t, struct einet_error *err)
{
    struct ei_train_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a cache of features");
    }
    t->cache = cache;
    cache->passes = ei_train_passes(t->config);
    cache->train_count = ei_dataset_info(t->train)->count;
    cache->test_count = ei_dataset_info(t->test)->count;
    cache->group_idx = -1;
    int rc = 0;
    for (int32_t b = 0; rc == 0 && b < t->program.block_count; b++) {
        rc = find_cut(&t->program, b, &cache->cuts[b], err);
    }
    if (rc == 0) {
        rc = create_execs(t, err);
    }
    if (rc != 0) {
        return rc;
    }
    rc = t->api->thread_enter(EI_TORCH_INFERENCE, t->config->threads);
    if (rc == 0) {
        rc = measure_shapes(t);
    }
    ei_exec_clear(cache->source);
    const int back = t->api->thread_enter(EI_TORCH_TRAINING, t->config->threads);
    if (rc != 0 || back != 0) {
        return ei_train_fault(t, rc != 0 ? rc : back, "the features could not be measured", err);
    }
    if (t->config->distill_weight > 0.0F) {
        const size_t classes = (size_t)t->program.classes;
        cache->teacher = malloc((size_t)cache->passes * (size_t)cache->train_count * classes * sizeof *cache->teacher);
        cache->gathered_teacher = malloc((size_t)t->config->batch * classes * sizeof *cache->gathered_teacher);
        if (cache->teacher == NULL || cache->gathered_teacher == NULL) {
            return einet_error_set(err, -ENOMEM, "no memory for the last exit's answers");
        }
    }
    return make_groups(t, err);
}

static void drop_features(struct ei_train_cache *cache)
{
    for (int32_t b = 0; b < EI_PROGRAM_BLOCKS_MAX; b++) {
        free(cache->features[b]);
        cache->features[b] = NULL;
    }
    cache->group_idx = -1;
}

void ei_train_cache_destroy(struct ei_trainer *t)
{
    struct ei_train_cache *cache = t->cache;
    if (cache == NULL) {
        return;
    }
    drop_features(cache);
    ei_exec_destroy(cache->source);
    ei_exec_destroy(cache->tail);
    free(cache->teacher);
    free(cache->gathered);
    free(cache->gathered_teacher);
    free(cache);
    t->cache = NULL;
}

int32_t ei_train_cache_group(const struct ei_trainer *t)
{
    return t->cache->group_idx;
}

static int allocate(struct ei_trainer *t, const struct ei_train_group *group, struct einet_error *err)
{
    const int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    int64_t needs = 0;
    for (int32_t b = group->first_block; b < group->end_block; b++) {
        needs += exit_bytes(t->cache, b);
        t->cache->features[b] = malloc((size_t)exit_bytes(t->cache, b));
        /* More than there is would be granted, and the process killed when it is used. */
        if (t->cache->features[b] == NULL || (pages > 0 && page_bytes > 0 && needs / page_bytes >= pages)) {
            drop_features(t->cache);
            return einet_error_set(err, -ENOMEM,
                                   "no memory for %lld MiB of features: lower --cache-mb or --passes; the last "
                                   "checkpoint is kept",
                                   (long long)(needs >> 20) + 1);
        }
    }
    return 0;
}

/* The trunk on the batch in t->input; what the group's exits get goes to the cache from row `at` on. */
static int fill_batch(struct ei_trainer *t, const struct ei_train_group *group, int64_t at, int32_t count, bool teach)
{
    struct ei_train_cache *cache = t->cache;
    const struct ei_shape *in = &t->program.input;
    const int64_t shape[4] = {count, in->channels, in->height_px, in->width_px};
    const int32_t last = t->program.block_count - 1, end = teach ? last + 1 : group->end_block;
    int rc = t->api->tensor_from_f32(ei_exec_slot(cache->source, 0), t->input, shape, 4);
    if (rc == 0) {
        rc = t->api->tensor_channels_last(ei_exec_slot(cache->source, 0));
    }
    for (int32_t b = 0; rc == 0 && b < end; b++) {
        const struct cut *cut = &cache->cuts[b];
        rc = ei_exec_run(cache->source, b, false, false);
        if (rc == 0 && (cache->features[b] != NULL || (teach && b == last))) {
            rc = ei_exec_run(cache->source, b, true, false);
        }
        if (rc == 0 && cache->features[b] != NULL) {
            rc = t->api->tensor_read_half(ei_exec_slot(cache->source, cut->slot),
                                          cache->features[b] + at * cut->numbers, count * cut->numbers);
        }
    }
    if (rc != 0 || !teach) {
        return rc;
    }
    rc = t->api->tensor_assign(ei_exec_slot(cache->tail, cache->cuts[last].slot),
                               ei_exec_slot(cache->source, cache->cuts[last].slot));
    if (rc == 0) {
        rc = ei_exec_run(cache->tail, last, true, false);
    }
    return rc != 0
               ? rc
               : t->api->tensor_read_f32(ei_exec_slot(cache->tail, ei_exec_logits_slot(cache->tail, last)),
                                         cache->teacher + at * t->program.classes, (int64_t)count * t->program.classes);
}

/* One augmented copy of the training split, or the test split (pass = passes). */
static int fill_pass(struct ei_trainer *t, const struct ei_train_group *group, int32_t pass)
{
    const struct ei_train_config *c = t->config;
    struct ei_train_cache *cache = t->cache;
    const bool is_test = pass == cache->passes;
    const int32_t count = is_test ? cache->test_count : cache->train_count;
    const struct ei_shape *in = &t->program.input;
    const size_t pixels = (size_t)in->channels * (size_t)in->height_px * (size_t)in->width_px;
    const struct ei_batch_augment augment = {.crop_pad_px = c->crop_pad_px,
                                             .flip = c->flip,
                                             .enabled = !is_test && (c->crop_pad_px > 0 || c->flip),
                                             .seed = c->seed,
                                             .epoch = pass};
    const int64_t rows = (int64_t)cache->passes * cache->train_count + cache->test_count;
    for (int32_t begin = 0; begin < count; begin += c->batch) {
        const int32_t of_batch = count - begin < c->batch ? count - begin : c->batch;
        const int64_t at = (int64_t)pass * cache->train_count + begin;
        if (c->stop != NULL && *c->stop != 0) {
            return 1;
        }
        int rc = 0;
        for (int32_t i = 0; rc == 0 && i < of_batch; i++) {
            int64_t label;
            rc = ei_batch_sample(is_test ? t->test : t->train, &t->stats, &augment, begin + i,
                                 t->input + (size_t)i * pixels, &label);
        }
        if (rc == 0) {
            rc = fill_batch(t, group, at, of_batch, cache->teacher != NULL && !cache->is_teacher_full && !is_test);
        }
        if (rc != 0) {
            return rc;
        }
        if (c->on_progress != NULL) {
            struct ei_train_progress p;
            ei_train_progress_fill(t, t->step, &p);
            p.phase = "features";
            p.features_done = (float)((double)(at + of_batch) / (double)rows);
            c->on_progress(c->context, &p);
        }
    }
    return 0;
}

int ei_train_cache_fill(struct ei_trainer *t, int32_t group_idx, struct einet_error *err)
{
    const struct ei_mono began = ei_mono_now();
    drop_features(t->cache);
    int rc = allocate(t, &t->groups[group_idx], err);
    if (rc != 0) {
        return rc;
    }
    rc = t->api->thread_enter(EI_TORCH_INFERENCE, t->config->threads);
    for (int32_t pass = 0; rc == 0 && pass <= t->cache->passes; pass++) {
        rc = fill_pass(t, &t->groups[group_idx], pass);
    }
    ei_exec_clear(t->cache->source);
    ei_exec_clear(t->cache->tail);
    const int back = t->api->thread_enter(EI_TORCH_TRAINING, t->config->threads);
    t->features_s += (double)ei_mono_diff_ns(ei_mono_now(), began) / 1e9;
    if (rc == 0 && back == 0) {
        t->cache->group_idx = group_idx;
        t->cache->is_teacher_full = true;
        t->groups_filled++;
        return 0;
    }
    drop_features(t->cache);
    return rc == 1 ? 1 : ei_train_fault(t, rc != 0 ? rc : back, "the trunk's features could not be computed", err);
}

/* Rows of the cache as the input of an exit's tail. */
static int set_input(struct ei_trainer *t, int32_t block_idx, const uint16_t *rows, int32_t count)
{
    const struct cut *cut = &t->cache->cuts[block_idx];
    const int64_t shape[4] = {count, cut->shape[1], cut->shape[2], cut->shape[3]};
    return t->api->tensor_from_half(ei_exec_slot(t->cache->tail, cut->slot), rows, shape, cut->dims);
}

int ei_train_cache_loss(struct ei_trainer *t, int32_t pass, const int32_t *samples, struct einet_error *err)
{
    struct ei_train_cache *cache = t->cache;
    const struct ei_train_group *group = &t->groups[cache->group_idx];
    const int32_t batch = t->config->batch, classes = t->program.classes;
    int rc = 0;
    t->api->tensor_clear(t->loss);
    for (int32_t i = 0; cache->teacher != NULL && i < batch; i++) {
        const size_t row = (size_t)pass * (size_t)cache->train_count + (size_t)samples[i];
        memcpy(cache->gathered_teacher + (size_t)i * (size_t)classes, cache->teacher + row * (size_t)classes,
               (size_t)classes * sizeof *cache->teacher);
    }
    if (cache->teacher != NULL) {
        rc = t->api->tensor_from_f32(t->teacher, cache->gathered_teacher, (const int64_t[]){batch, classes}, 2);
    }
    for (int32_t b = group->first_block; rc == 0 && b < group->end_block; b++) {
        const size_t numbers = (size_t)cache->cuts[b].numbers;
        if (!is_exit_trained(t, b)) {
            continue;
        }
        for (int32_t i = 0; i < batch; i++) {
            const size_t row = (size_t)pass * (size_t)cache->train_count + (size_t)samples[i];
            memcpy(cache->gathered + (size_t)i * numbers, cache->features[b] + row * numbers,
                   numbers * sizeof *cache->gathered);
        }
        rc = set_input(t, b, cache->gathered, batch);
        if (rc == 0) {
            rc = ei_exec_run(cache->tail, b, true, true);
        }
        if (rc == 0) {
            rc = ei_train_add_loss(t, b, ei_exec_slot(cache->tail, ei_exec_logits_slot(cache->tail, b)),
                                   cache->teacher != NULL ? t->teacher : NULL);
        }
    }
    return rc == 0 ? 0 : ei_train_fault(t, rc, "a step of the exits failed", err);
}

/* Right answers of one exit for test samples begin .. begin + count - 1. */
static int count_right(struct ei_trainer *t, int32_t block_idx, int32_t begin, int32_t count, float *logits,
                       int64_t *io_right)
{
    const struct ei_train_cache *cache = t->cache;
    const int64_t row = (int64_t)cache->passes * cache->train_count + begin;
    const int32_t classes = t->program.classes;
    int rc = set_input(t, block_idx, cache->features[block_idx] + row * cache->cuts[block_idx].numbers, count);
    if (rc == 0) {
        rc = ei_exec_run(cache->tail, block_idx, true, false);
    }
    if (rc == 0) {
        rc = t->api->tensor_read_f32(ei_exec_slot(cache->tail, ei_exec_logits_slot(cache->tail, block_idx)), logits,
                                     (int64_t)count * classes);
    }
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        struct einet_image image;
        int32_t label = -1;
        rc = ei_dataset_sample(t->test, begin + i, &image, &label);
        *io_right += ei_class_argmax(logits + (size_t)i * (size_t)classes, classes) == label;
    }
    return rc;
}

int ei_train_cache_evaluate(struct ei_trainer *t, float *accuracy, struct einet_error *err)
{
    struct ei_train_cache *cache = t->cache;
    const struct ei_train_group *group = &t->groups[cache->group_idx];
    const int32_t batch = EI_TRAIN_EVAL_BATCH_MAX;
    float *logits = malloc((size_t)batch * (size_t)t->program.classes * sizeof *logits);
    int rc = logits != NULL ? 0 : -ENOMEM;
    for (int32_t b = group->first_block; rc == 0 && b < group->end_block; b++) {
        int64_t right = 0;
        for (int32_t begin = 0; rc == 0 && is_exit_trained(t, b) && begin < cache->test_count; begin += batch) {
            const int32_t left = cache->test_count - begin;
            rc = count_right(t, b, begin, left < batch ? left : batch, logits, &right);
        }
        if (rc == 0 && is_exit_trained(t, b)) {
            accuracy[b] = (float)((double)right / (double)cache->test_count);
        }
    }
    ei_exec_clear(cache->tail);
    free(logits);
    return rc == 0 ? 0 : ei_train_fault(t, rc, "the evaluation failed", err);
}
