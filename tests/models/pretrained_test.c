/* The shipped weights and profiles: they belong together, reach what is promised, and answer today as they did when
 * they were profiled.
 */
#include "models/profile.h"
#include "planner/profile_file.h"
#include "stages/nn/network.h"
#include "stages/nn/safetensors.h"
#include "stages/post/class_ops.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"
#include "workloads/dataset.h"

#include <stdlib.h>

#define FOLDER "models/pretrained/"
#define CLASSES_MAX 100

static const struct shipped {
    const char *network, *dataset;
    int32_t exits, classes, samples;
    double least, most; /* accuracy of the last exit */
    double gap;         /* by which the last exit beats the first one, at least */
} shipped[] = {
    {"b-alexnet", "generated", 3, 10, 4000, 0.5, 0.99, 0.02},
    {"b-alexnet", "mnist", 3, 10, 10000, 0.99, 1.0, 0.0},
    {"b-alexnet", "cifar10", 3, 10, 10000, 0.82, 1.0, 0.0},
    {"b-alexnet", "cifar100", 3, 100, 10000, 0.45, 1.0, -0.05},
    {"msdnet-21-light", "generated", 21, 10, 4000, 0.94, 0.99, 0.02},
    {"msdnet-21-light", "cifar10", 21, 10, 10000, 0.85, 1.0, 0.05},
};

enum { SETS = sizeof shipped / sizeof shipped[0] };

static void path_of(const struct shipped *s, const char *ending, char *out, size_t size)
{
    snprintf(out, size, FOLDER "%s-%s%s", s->network, s->dataset, ending);
}

static bool read_cs(const struct shipped *s, struct ei_cs_profile *out)
{
    char path[256];
    struct einet_error err = {0};
    path_of(s, ".cs", path, sizeof path);
    return EI_TRUEF(ei_cs_profile_read(path, out, &err) == 0, "%s: %s", path, err.text);
}

EI_TEST(accuracies_are_as_promised)
{
    for (int i = 0; i < SETS; i++) {
        const struct shipped *s = &shipped[i];
        struct ei_cs_profile cs;
        EI_REQUIRE(read_cs(s, &cs));
        EI_STREQ(cs.dataset, s->dataset);
        EI_STREQ(cs.split, "test");
        EI_EQ(cs.samples, s->samples);
        EI_EQ(cs.exits, s->exits);
        const double first = (double)cs.accuracy[0], last = (double)cs.accuracy[cs.exits - 1];
        EI_TRUEF(last >= s->least && last <= s->most, "%s/%s: last exit %g", s->network, s->dataset, last);
        EI_TRUEF(last - first >= s->gap, "%s/%s: exits %g and %g", s->network, s->dataset, first, last);
        ei_cs_profile_fini(&cs);
    }
}

EI_TEST(weights_and_profiles_belong_together)
{
    for (int i = 0; i < SETS; i++) {
        const struct shipped *s = &shipped[i];
        char path[256], accuracy[1024];
        struct einet_error err = {0};
        struct ei_safetensors *file = NULL;
        static struct ei_et_profile et;
        struct ei_cs_profile cs;
        path_of(s, ".safetensors", path, sizeof path);
        EI_TRUEF(ei_safetensors_open(path, &file, &err) == 0, "%s", err.text);
        EI_REQUIRE(file != NULL && read_cs(s, &cs));
        EI_STREQ(ei_safetensors_metadata(file, "dataset"), s->dataset);
        EI_CONTAINS(ei_safetensors_metadata(file, "command"), "einet train");
        EI_EQ(ei_cs_profile_match(&cs, s->network, s->exits, ei_safetensors_sha256(file), &err), 0);
        size_t used = 0;
        for (int32_t e = 0; e < cs.exits; e++) {
            used += (size_t)snprintf(accuracy + used, sizeof accuracy - used, "%s%.9g", e > 0 ? "," : "",
                                     (double)cs.accuracy[e]);
        }
        EI_STREQ(ei_safetensors_metadata(file, "exit_accuracy"), accuracy);
        path_of(s, ".et.csv", path, sizeof path);
        EI_TRUEF(ei_et_profile_read(path, &et, &err) == 0, "%s", err.text);
        EI_EQ(ei_et_profile_match(&et, s->network, s->exits, ei_safetensors_sha256(file), &err), 0);
        ei_cs_profile_fini(&cs);
        ei_safetensors_close(file);
    }
}

/* Another machine's libtorch may round otherwise: an answer may flip where two classes are all but equal. */
static void check_answers(const struct shipped *s, const char *data_root)
{
    enum { SAMPLES = 300 };
    fixture_torch_or_skip();
    char path[256];
    struct einet_error err = {0};
    struct ei_network *net = NULL;
    struct ei_dataset *dataset = NULL;
    struct ei_cs_profile cs;
    path_of(s, ".safetensors", path, sizeof path);
    const struct ei_network_zoo_config config = {
        .zoo = s->network, .weights_path = path, .dataset = s->dataset, .classes = s->classes, .threads = 1};
    EI_TRUEF(ei_network_open_zoo(&config, &net, &err) == 0, "%s", err.text);
    EI_TRUEF(ei_dataset_open(s->dataset, EI_SPLIT_TEST, data_root, &dataset, &err) == 0, "%s", err.text);
    EI_REQUIRE(net != NULL && dataset != NULL && read_cs(s, &cs));
    EI_EQ(ei_network_thread_enter(net), 0);
    const struct ei_network_info *info = ei_network_info(net);
    const size_t pixels = (size_t)info->channels * 32 * 32;
    float *input = malloc(pixels * sizeof *input);
    int flips = 0;
    for (int32_t i = 0; input != NULL && i < SAMPLES; i++) {
        struct einet_image image;
        int32_t label;
        EI_EQ(ei_dataset_sample(dataset, i, &image, &label), 0);
        EI_EQ(image.format, EINET_PIXELS_CHW_U8);
        EI_EQ(label, cs.label[i]);
        for (size_t p = 0; p < pixels; p++) {
            const size_t c = p / (32 * 32);
            input[p] = ((float)image.data[p] / 255.0F - info->norm_mean[c]) / info->norm_std[c];
        }
        EI_EQ(ei_network_begin(net, input, i, label), 0);
        for (int32_t b = 0; b < s->exits; b++) {
            float logits[CLASSES_MAX], confidence;
            int32_t answer;
            EI_EQ(ei_network_run_conv(net, b), 0);
            EI_EQ(ei_network_run_branch(net, b, logits), 0);
            ei_class_top_softmax(logits, s->classes, 1, &answer, &confidence);
            EI_NEAR(confidence, ei_cs_profile_score(&cs, i, b), 1e-3);
            flips += answer != cs.top_label[i * s->exits + b];
        }
        ei_network_end(net);
    }
    EI_IN(flips, 0, s->exits);
    free(input);
    ei_cs_profile_fini(&cs);
    ei_dataset_destroy(dataset);
    ei_network_destroy(net);
}

EI_TEST(generated_answers_as_profiled)
{
    check_answers(&shipped[0], NULL);
    check_answers(&shipped[4], NULL);
}

EI_TEST(mnist_answers_as_profiled)
{
    check_answers(&shipped[1], ei_test_data_or_skip("mnist/t10k-images-idx3-ubyte"));
}

EI_TEST(cifar10_answers_as_profiled)
{
    const char *root = ei_test_data_or_skip("cifar-10-batches-bin/test_batch.bin");
    check_answers(&shipped[2], root);
    check_answers(&shipped[5], root);
}

EI_TEST(cifar100_answers_as_profiled)
{
    check_answers(&shipped[3], ei_test_data_or_skip("cifar-100-binary/test.bin"));
}

EI_MAIN()
