/* Exits on a frozen trunk: what stays, what learns, that cached features are the trunk's, and exact resumption. */
#include "models/train_cache.h"
#include "stages/nn/float16.h"
#include "stages/nn/zoo.h"
#include "tests/models/train_fixture.h"

static char init_path[512];

static struct ei_train_config exits_config(const char *zoo, const char *name)
{
    char classic[64];
    struct ei_train_config c = small_config(zoo, name);
    snprintf(classic, sizeof classic, "%s" EI_ZOO_CLASSIC_SUFFIX, zoo);
    write_weights(classic, 3, ei_dataset_info(train_set)->classes, 21, init_path, sizeof init_path);
    c.train = EI_TRAIN_EXITS;
    c.init_path = init_path;
    return c;
}

/* Whether a tensor of the outcome is, in half precision, that of the initial file. */
static bool is_kept(const struct ei_safetensors *out, const char *out_name, const struct ei_safetensors *init,
                    const char *init_name)
{
    const struct ei_safetensors_tensor *a = ei_safetensors_find(out, out_name),
                                       *b = ei_safetensors_find(init, init_name);
    if (!EI_TRUEF(a != NULL && b != NULL && a->count == b->count, "%s, %s", out_name, init_name)) {
        return false;
    }
    float *numbers[2] = {malloc((size_t)a->count * sizeof(float)), malloc((size_t)a->count * sizeof(float))};
    if (!EI_TRUE(numbers[0] != NULL && numbers[1] != NULL)) {
        return false;
    }
    ei_safetensors_to_f32(a, numbers[0]);
    ei_safetensors_to_f32(b, numbers[1]);
    bool same = true;
    for (int64_t i = 0; same && i < a->count; i++) {
        same = ei_float16_from_f32(numbers[0][i]) == ei_float16_from_f32(numbers[1][i]);
    }
    free(numbers[0]);
    free(numbers[1]);
    return same;
}

EI_TEST(trunk_and_kept_exit_stay)
{
    struct ei_train_config c = exits_config("flexvgg-16", "kept");
    struct ei_train_result result;
    struct einet_error err;
    struct ei_safetensors *out = NULL, *init = NULL;
    c.keep_last = true;
    c.epochs = 1;
    c.passes = 1;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_REQUIRE(ei_safetensors_open(out_path, &out, NULL) == 0 && ei_safetensors_open(init_path, &init, NULL) == 0);
    /* The classic has all convolutions in one block: 13 of conv, batch norm, relu and 5 pools. */
    EI_TRUE(is_kept(out, "block1.conv.0.weight", init, "block1.conv.0.weight"));
    EI_TRUE(is_kept(out, "block2.conv.0.weight", init, "block1.conv.7.weight"));
    EI_TRUE(is_kept(out, "block2.conv.1.running_mean", init, "block1.conv.8.running_mean"));
    EI_TRUE(is_kept(out, "block5.conv.7.running_var", init, "block1.conv.41.running_var"));
    EI_TRUE(is_kept(out, "block5.branch.1.weight", init, "block1.branch.1.weight"));
    EI_TRUE(is_kept(out, "block5.branch.4.bias", init, "block1.branch.4.bias"));
    EI_CONTAINS(watch.note, "flexvgg-16-classic: the trunk; exits taken: 5; drawn: 1-4");
    EI_TRUE(watch.features_seen > 0);
    ei_safetensors_close(out);
    ei_safetensors_close(init);
}

EI_TEST(last_exit_learns_unless_it_is_kept)
{
    struct ei_train_config c = exits_config("b-alexnet", "learns");
    struct ei_train_result result;
    struct einet_error err;
    struct ei_safetensors *out = NULL, *init = NULL;
    c.epochs = 1;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text);
    EI_REQUIRE(ei_safetensors_open(out_path, &out, NULL) == 0 && ei_safetensors_open(init_path, &init, NULL) == 0);
    EI_TRUE(is_kept(out, "block2.conv.3.weight", init, "block1.conv.8.weight"));
    EI_TRUE(!is_kept(out, "block3.branch.0.weight", init, "block1.branch.0.weight"));
    ei_safetensors_close(out);
    ei_safetensors_close(init);
}

/* What was measured on the cache is what the whole network gives: the features, cut and order are right. */
static void check_cache_agrees(const char *zoo, bool bfloat16)
{
    struct ei_train_config c = exits_config(zoo, "agree");
    struct ei_train_result result = {0};
    struct einet_error err;
    c.epochs = zoo[0] == 'm' ? 4 : 10;
    c.lr = 0.05F;
    c.bfloat16 = bfloat16;
    c.crop_pad_px = 0;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s: %s", zoo, err.text);
    EI_TRUEF(watch.last_loss < 0.95F * watch.first_loss, "%s: loss went from %g to %g", zoo, (double)watch.first_loss,
             (double)watch.last_loss);
    double largest = 0.0;
    for (int32_t i = 0; i < result.exits; i++) {
        EI_NEAR(watch.accuracy[i], result.accuracy[i], bfloat16 ? 3.1 / TEST_SAMPLES : 1.1 / TEST_SAMPLES);
        largest = fmax(largest, (double)result.accuracy[i]);
    }
    EI_TRUEF(largest > 0.15, "%s: best exit %g", zoo, largest);
}

EI_TEST(cached_accuracy_is_the_networks)
{
    check_cache_agrees("b-alexnet", false);
    check_cache_agrees("b-alexnet", true); /* msdnet has three trunk slots and batch norm in its exits */
    check_cache_agrees("msdnet-21-light", false);
}

EI_TEST(groups_resume_with_the_same_bits)
{
    struct ei_train_config c = exits_config("b-alexnet", "whole");
    struct ei_train_result whole, part;
    struct einet_error err;
    char whole_path[512];
    c.keep_last = true;
    c.distill_weight = 0.5F;
    c.passes = 7;
    c.epochs = 3;
    c.optimizer = EI_TRAIN_ADAM;
    c.lr = 0.001F;
    c.cache_mb = 6; /* exit 1: (7 * 48 + 20) * 64 * 8 * 8 * 2 bytes = 2.8 MiB, exit 2: 1 MiB */
    EI_TRUEF(run(&c, &whole, &err) == 0, "%s", err.text);
    EI_EQ(watch.groups, 1);
    c.cache_mb = 3;
    EI_TRUEF(run(&c, &whole, &err) == 0, "%s", err.text);
    EI_EQ(watch.groups, 2);
    EI_EQ(whole.steps, 2 * 3 * (TRAIN_SAMPLES / 16));
    snprintf(whole_path, sizeof whole_path, "%s", out_path);
    c = (struct ei_train_config){0};
    struct ei_train_config again = exits_config("b-alexnet", "parts");
    again.keep_last = true;
    again.distill_weight = 0.5F;
    again.passes = 7;
    again.epochs = 3;
    again.optimizer = EI_TRAIN_ADAM;
    again.lr = 0.001F;
    again.cache_mb = 3;
    static const int64_t stops[] = {-1, 2, 9, 13}; /* in the features, in a group, between groups, in the second */
    for (int i = 0; i < 4; i++) {
        watch = (struct watch){.stop_after_step = stops[i], .stop_in_features = stops[i] < 0};
        again.resume = i > 0;
        EI_TRUEF(run(&again, &part, &err) == 0, "%s", err.text);
        EI_TRUE(!part.finished);
        EI_EQ(part.steps, stops[i] < 0 ? 0 : stops[i]);
    }
    watch = (struct watch){0};
    again.init_path = NULL; /* everything is in the checkpoint */
    EI_TRUEF(run(&again, &part, &err) == 0, "%s", err.text);
    EI_TRUE(part.finished);
    EI_TRUE(is_same_file(whole_path, out_path));
}

static void expect(const struct ei_train_config *c, int code, const char *text)
{
    struct ei_train_result result;
    struct einet_error err;
    EI_EQ(run(c, &result, &err), code);
    EI_CONTAINS(err.text, text);
}

EI_TEST(what_exits_mode_cannot_do_is_named)
{
    struct ei_train_config good = exits_config("b-alexnet", "bad"), c = good;
    c.init_path = NULL;
    expect(&c, EINET_E_USAGE, "--init");
    c = good;
    c.distill_weight = 1.0F;
    expect(&c, EINET_E_USAGE, "--keep-last");
    c = good;
    c.cache_mb = 1;
    c.passes = 7;
    expect(&c, EINET_E_LIMIT, "--cache-mb");
    c = good;
    c.size_count = 1;
    c.sizes[0] = (struct ei_train_size){16, 2};
    expect(&c, EINET_E_USAGE, "--sizes");
    c = good;
    c.train = EI_TRAIN_JOINT;
    c.keep_last = true;
    expect(&c, EINET_E_USAGE, "--keep-last");
    char other[512];
    write_weights("b-alexnet-classic", 3, 100, 1, other, sizeof other);
    c = good;
    c.init_path = other;
    c.keep_last = true;
    expect(&c, EINET_E_MISMATCH, "its last exit does not fit that of b-alexnet with 10 classes");
    c.keep_last = false;
    struct ei_train_result result;
    struct einet_error err;
    EI_TRUEF(run(&c, &result, &err) == 0, "%s", err.text); /* drawn afresh */
    EI_CONTAINS(watch.note, "exits taken: none; drawn: 1-3");
    c = good;
    c.zoo = "flexvgg-16";
    expect(&c, EINET_E_MISMATCH, "do not fit flexvgg-16");
}

EI_MAIN()
