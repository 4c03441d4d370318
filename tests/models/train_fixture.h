/* What the tests of training share: tiny splits of the generated set, a configuration, a watch on the progress. */
#ifndef TESTS_MODELS_TRAIN_FIXTURE_H
#define TESTS_MODELS_TRAIN_FIXTURE_H

#include "models/train.h"
#include "stages/nn/safetensors.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <stdlib.h>
#include <unistd.h>

enum { TRAIN_SAMPLES = 48, TEST_SAMPLES = 20 };

static struct ei_dataset *train_set, *test_set;
static char out_path[512], checkpoint_path[544];

/* What the callbacks saw, and when they stop the run. */
static struct watch {
    volatile sig_atomic_t stop;
    int64_t stop_after_step;
    bool stop_in_features;
    float first_loss, last_loss;
    int epochs_done, evaluations, features_seen, groups;
    float accuracy[EI_TRAIN_EXITS_MAX];
    char note[256];
} watch;

static void on_progress(void *context, const struct ei_train_progress *p)
{
    struct watch *w = context;
    w->groups = p->groups;
    if (p->features_done > 0.0F) {
        w->features_seen++;
        w->stop = w->stop || w->stop_in_features;
        return;
    }
    w->first_loss = p->step == 1 ? p->loss : w->first_loss;
    w->last_loss = p->loss;
    w->epochs_done += p->epoch_done;
    w->evaluations += p->evaluated;
    memcpy(w->accuracy, p->accuracy, sizeof w->accuracy);
    if (p->step == w->stop_after_step) {
        w->stop = 1;
    }
}

static void on_note(void *context, const char *text)
{
    snprintf(((struct watch *)context)->note, sizeof watch.note, "%s", text);
}

/* Also begins a new watch and sets the paths. */
static struct ei_train_config small_config(const char *zoo, const char *name)
{
    fixture_torch_or_skip();
    watch = (struct watch){0};
    if (train_set == NULL) {
        EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TRAIN, TRAIN_SAMPLES, &train_set, NULL), 0);
        EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TEST, TEST_SAMPLES, &test_set, NULL), 0);
    }
    snprintf(out_path, sizeof out_path, "%s/%s.safetensors", ei_test_tmpdir(), name);
    snprintf(checkpoint_path, sizeof checkpoint_path, "%s.checkpoint", out_path);
    return (struct ei_train_config){.zoo = zoo,
                                    .out_path = out_path,
                                    .command = "einet train test",
                                    .optimizer = EI_TRAIN_SGD,
                                    .epochs = 2,
                                    .batch = 16,
                                    .threads = 1,
                                    .lr = 0.01F,
                                    .warmup_fraction = 0.2F,
                                    .momentum = 0.9F,
                                    .crop_pad_px = 2,
                                    .eval_batch = 64,
                                    .seed = 11,
                                    .stop = &watch.stop,
                                    .on_progress = on_progress,
                                    .on_note = on_note,
                                    .context = &watch};
}

static int run(const struct ei_train_config *config, struct ei_train_result *result, struct einet_error *err)
{
    *err = (struct einet_error){0};
    return ei_train_run(config, train_set, test_set, result, err);
}

/* Random weights of a network of the zoo for the generated set, in place of a training. */
static inline void write_weights(const char *zoo, int32_t channels, int32_t classes, uint64_t seed, char *path,
                                 size_t size)
{
    static struct fixture_weights w;
    char class_text[16], channel_text[16];
    snprintf(class_text, sizeof class_text, "%d", classes);
    snprintf(channel_text, sizeof channel_text, "%d", channels);
    const struct fixture_metadata metadata = {.zoo = zoo,
                                              .dataset = "generated",
                                              .classes = class_text,
                                              .channels = channel_text,
                                              .norm_mean = "0.5,0.4,0.3",
                                              .norm_std = "0.25,0.2,0.3"};
    snprintf(path, size, "%s/%s-%d-%d.safetensors", ei_test_tmpdir(), zoo, channels, classes);
    fixture_draw_zoo(&w, zoo, channels, classes, seed);
    fixture_write(&w, path, &metadata, -1);
    fixture_free(&w);
}

static inline bool is_same_file(const char *a, const char *b)
{
    FILE *files[2] = {fopen(a, "rb"), fopen(b, "rb")};
    bool same = files[0] != NULL && files[1] != NULL;
    long bytes = 0;
    for (int got = 0; same && got != EOF; bytes++) {
        got = getc(files[0]);
        same = got == getc(files[1]);
    }
    for (int i = 0; i < 2; i++) {
        if (files[i] != NULL) {
            fclose(files[i]);
        }
    }
    return same && bytes > 1000;
}

#endif
