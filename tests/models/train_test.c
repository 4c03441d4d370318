#include "models/train.h"
#include "stages/nn/network.h"
#include "stages/nn/safetensors.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static struct ei_dataset *train_set, *test_set;
static char out_path[512], checkpoint_path[544];

/* What the progress callback saw, and when it stops the run. */
static struct watch {
    volatile sig_atomic_t stop;
    int64_t stop_after_step;
    float first_loss, last_loss;
    int epochs_done;
} watch;

static void on_progress(void *context, const struct ei_train_progress *p)
{
    struct watch *w = context;
    if (p->step == 1) {
        w->first_loss = p->loss;
    }
    w->last_loss = p->loss;
    w->epochs_done += p->epoch_done;
    if (p->step == w->stop_after_step) {
        w->stop = 1;
    }
}

static struct ei_train_config small_config(const char *name)
{
    fixture_torch_or_skip();
    watch = (struct watch){0};
    if (train_set == NULL) {
        EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TRAIN, 160, &train_set, NULL), 0);
        EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TEST, 60, &test_set, NULL), 0);
    }
    snprintf(out_path, sizeof out_path, "%s/%s.safetensors", ei_test_tmpdir(), name);
    snprintf(checkpoint_path, sizeof checkpoint_path, "%s.checkpoint", out_path);
    return (struct ei_train_config){.zoo = "b-alexnet",
                                    .out_path = out_path,
                                    .command = "einet train test",
                                    .optimizer = EI_TRAIN_ADAM,
                                    .epochs = 3,
                                    .batch = 32,
                                    .threads = 1,
                                    .lr = 0.001F,
                                    .warmup_fraction = 0.2F,
                                    .momentum = 0.9F,
                                    .weight_decay = 0.01F,
                                    .crop_pad_px = 2,
                                    .seed = 11,
                                    .stop = &watch.stop,
                                    .on_progress = on_progress,
                                    .context = &watch};
}

static int run(const struct ei_train_config *config, struct ei_train_result *result, struct einet_error *err)
{
    *err = (struct einet_error){0};
    return ei_train_run(config, train_set, test_set, result, err);
}

static char *read_all(const char *path, size_t *out_size)
{
    FILE *in = fopen(path, "rb");
    char *bytes = malloc(16 << 20);
    *out_size = in != NULL && bytes != NULL ? fread(bytes, 1, 16 << 20, in) : 0;
    if (in != NULL) {
        fclose(in);
    }
    return bytes;
}

static bool is_same_file(const char *a, const char *b)
{
    size_t size_a, size_b;
    char *bytes_a = read_all(a, &size_a), *bytes_b = read_all(b, &size_b);
    const bool same = size_a > 0 && size_a == size_b && memcmp(bytes_a, bytes_b, size_a) == 0;
    free(bytes_a);
    free(bytes_b);
    return same;
}

EI_TEST(rate_rises_and_falls_once)
{
    const struct ei_train_config c = {.lr = 0.01F, .warmup_fraction = 0.25F};
    EI_NEAR(ei_train_lr(&c, 0, 100), 0.0004, 1e-8);
    EI_NEAR(ei_train_lr(&c, 25, 100), 0.01, 1e-8);
    EI_NEAR(ei_train_lr(&c, 100, 100), 1e-6, 1e-8);
    for (int i = 1; i < 100; i++) {
        EI_TRUE((ei_train_lr(&c, i, 100) > ei_train_lr(&c, i - 1, 100)) == (i <= 25));
    }
}

EI_TEST(loss_falls_and_weights_load)
{
    struct ei_train_config c = small_config("fall");
    struct ei_train_result result;
    struct einet_error err;
    char log_path[600];
    snprintf(log_path, sizeof log_path, "%s.log", out_path);
    c.log_path = log_path;
    c.epochs = 12;
    c.crop_pad_px = 0;
    const int rc = run(&c, &result, &err);
    EI_TRUEF(rc == 0, "%s", err.text);
    EI_REQUIRE(rc == 0);
    EI_TRUE(result.finished);
    EI_EQ(result.steps, 60);
    EI_EQ(watch.epochs_done, 12);
    EI_TRUEF(watch.last_loss < 0.85F * watch.first_loss, "loss went from %g to %g", (double)watch.first_loss,
             (double)watch.last_loss);
    EI_TRUE(access(checkpoint_path, F_OK) != 0);
    struct ei_network *net = NULL;
    const struct ei_network_zoo_config open = {
        .zoo = "b-alexnet", .weights_path = out_path, .dataset = "generated", .threads = 1};
    EI_TRUEF(ei_network_open_zoo(&open, &net, &err) == 0, "%s", err.text);
    EI_REQUIRE(net != NULL);
    for (int b = 0; b < 3; b++) {
        EI_NEAR(ei_network_info(net)->exit_accuracy[b], result.accuracy[b], 0.0);
    }
    ei_network_destroy(net);
    struct ei_safetensors *file = NULL;
    EI_REQUIRE(ei_safetensors_open(out_path, &file, NULL) == 0);
    EI_STREQ(ei_safetensors_metadata(file, "seed"), "11");
    EI_STREQ(ei_safetensors_metadata(file, "command"), "einet train test");
    EI_EQ(ei_safetensors_at(file, 0)->dtype, EI_DTYPE_F16);
    ei_safetensors_close(file);
    size_t size;
    char *log = read_all(log_path, &size), record_path[600];
    int lines = 0;
    for (size_t i = 0; i < size; i++) {
        lines += log[i] == '\n';
    }
    EI_EQ(lines, 12);
    free(log);
    snprintf(record_path, sizeof record_path, "%s/fall.json", ei_test_tmpdir());
    EI_EQ(access(record_path, F_OK), 0);
}

EI_TEST(sgd_and_bfloat16_learn)
{
    struct ei_train_config c = small_config("sgd");
    struct ei_train_result result;
    struct einet_error err;
    c.optimizer = EI_TRAIN_SGD;
    c.lr = 0.02F;
    c.epochs = 12;
    c.crop_pad_px = 0;
    c.label_smoothing = 0.05F;
    c.exit_weight[0] = 0.5F;
    c.exit_weight[1] = 0.5F;
    c.exit_weight[2] = 1.0F;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_TRUE(watch.last_loss < 0.95F * watch.first_loss);
    c = small_config("bf16");
    c.bfloat16 = true;
    c.flip = true;
    c.epochs = 8;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_TRUE(watch.last_loss < 0.95F * watch.first_loss);
}

EI_TEST(resumed_run_ends_with_the_same_bits)
{
    struct ei_train_config c = small_config("whole");
    struct ei_train_result whole, part;
    struct einet_error err;
    char whole_path[512];
    EI_TRUEF(run(&c, &whole, &err) == 0, "%s", err.text);
    snprintf(whole_path, sizeof whole_path, "%s", out_path);
    static const int64_t stops[] = {2, 5, 8}; /* in mid-epoch, at an epoch's end, in mid-epoch again */
    c = small_config("parts");
    for (int i = 0; i < 3; i++) {
        watch = (struct watch){.stop_after_step = stops[i]};
        c.resume = i > 0;
        EI_TRUEF(run(&c, &part, &err) == 0, "%s", err.text);
        EI_TRUE(!part.finished);
        EI_EQ(part.steps, stops[i]);
        EI_TRUE(access(out_path, F_OK) != 0);
    }
    watch = (struct watch){0};
    EI_TRUEF(run(&c, &part, &err) == 0, "%s", err.text);
    EI_TRUE(part.finished);
    EI_TRUE(is_same_file(whole_path, out_path));
    c = small_config("seed"); /* and the comparison can fail */
    c.seed = 12;
    EI_TRUEF(run(&c, &part, &err) == 0, "%s", err.text);
    EI_TRUE(!is_same_file(whole_path, out_path));
}

/* The time of earlier calls, which the checkpoint carries, is in the record. */
EI_TEST(record_tells_the_time_of_all_calls)
{
    struct ei_train_config c = small_config("calls");
    struct ei_train_result result;
    struct ei_safetensors *checkpoint = NULL;
    struct einet_error err;
    char record_path[600];
    size_t size = 0;
    watch.stop_after_step = 14; /* all but one */
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_REQUIRE(ei_safetensors_open(checkpoint_path, &checkpoint, &err) == 0);
    const char *text = ei_safetensors_metadata(checkpoint, "spent_s");
    const double spent_s = text != NULL ? strtod(text, NULL) : 0;
    EI_TRUE(spent_s > 0);
    ei_safetensors_close(checkpoint);
    watch = (struct watch){0};
    c.resume = true;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_EQ(result.steps, 15);
    snprintf(record_path, sizeof record_path, "%s/calls.json", ei_test_tmpdir());
    char *record = read_all(record_path, &size);
    const char *at = record != NULL ? strstr(record, "\"elapsed_s\": ") : NULL;
    EI_TRUE(at != NULL && strtod(at + strlen("\"elapsed_s\": "), NULL) >= spent_s);
    free(record);
}

EI_TEST(checkpoint_of_another_run_is_refused)
{
    struct ei_train_config c = small_config("other");
    struct ei_train_result result;
    struct einet_error err;
    c.resume = true;
    EI_EQ(run(&c, &result, &err), EINET_E_FILE); /* none there */
    c.resume = false;
    watch.stop_after_step = 1;
    EI_EQ(run(&c, &result, &err), 0);
    watch = (struct watch){0};
    c.resume = true;
    c.lr = 0.002F;
    EI_EQ(run(&c, &result, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "is of another run");
    EI_STREQ(err.file, checkpoint_path);
    FILE *damaged = fopen(checkpoint_path, "r+b");
    EI_REQUIRE(damaged != NULL);
    EI_EQ(ftruncate(fileno(damaged), 5000), 0);
    fclose(damaged);
    EI_EQ(run(&c, &result, &err), EINET_E_FILE);
}

EI_TEST(divergence_keeps_the_checkpoint)
{
    struct ei_train_config c = small_config("nan");
    struct ei_train_result result;
    struct einet_error err;
    char kept[600];
    watch.stop_after_step = 3;
    EI_EQ(run(&c, &result, &err), 0);
    snprintf(kept, sizeof kept, "%s.kept", checkpoint_path);
    EI_EQ(link(checkpoint_path, kept), 0);
    watch = (struct watch){0};
    c.optimizer = EI_TRAIN_SGD;
    c.lr = 100.0F;
    c.warmup_fraction = 0.0F;
    EI_EQ(run(&c, &result, &err), EINET_E_FAULT);
    EI_CONTAINS(err.text, "lower --lr");
    EI_TRUE(is_same_file(checkpoint_path, kept));
    EI_TRUE(access(out_path, F_OK) != 0);
}

EI_TEST(full_disk_is_told)
{
    struct ei_train_config c = small_config("full");
    struct ei_train_result result;
    struct einet_error err;
    char part[600];
    snprintf(part, sizeof part, "%s.part", checkpoint_path);
    EI_EQ(symlink("/dev/full", part), 0);
    EI_EQ(run(&c, &result, &err), -ENOSPC);
    EI_CONTAINS(err.text, "No space left");
    EI_STREQ(err.file, checkpoint_path);
    EI_TRUE(access(checkpoint_path, F_OK) != 0);
}

EI_TEST(missing_folder_is_told_at_once)
{
    struct ei_train_config c = small_config("x");
    struct ei_train_result result;
    struct einet_error err;
    char path[600];
    snprintf(path, sizeof path, "%s/none/x.safetensors", ei_test_tmpdir());
    c.out_path = path;
    EI_EQ(run(&c, &result, &err), -ENOENT);
    EI_CONTAINS(err.text, "make the folder first");
    EI_EQ(watch.epochs_done, 0);
    EI_NEAR(watch.first_loss, 0.0, 0.0);
}

static void expect_usage(const struct ei_train_config *c, const char *text)
{
    struct ei_train_result result;
    struct einet_error err;
    EI_EQ(run(c, &result, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, text);
}

EI_TEST(bad_settings_are_named)
{
    struct ei_train_config c = small_config("bad"), good = c;
    c.epochs = 0;
    expect_usage(&c, "epochs is 0");
    c = good;
    c.batch = 161;
    expect_usage(&c, "1 to 160");
    c = good;
    c.lr = NAN;
    expect_usage(&c, "lr");
    c = good;
    c.exit_weight[2] = -1.0F;
    expect_usage(&c, "exit 3");
    c = good;
    c.threads = 0;
    expect_usage(&c, "threads");
    c = good;
    c.zoo = "resnet";
    expect_usage(&c, "resnet");
}

EI_MAIN()
