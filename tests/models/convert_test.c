/* Conversion of single-exit networks. The TorchScript cases need Debian's python3-torch, which writes the modules. */
#include "models/convert.h"

#include "rt/random.h"
#include "stages/nn/bundle.h"
#include "stages/nn/network.h"
#include "stages/nn/zoo.h"
#include "tests/harness/harness.h"
#include "tests/stages/nn/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIXELS = 3 * 32 * 32, CLASSES = 10 };

#define PYTHON "/usr/bin/python3"

static const char *in_dir(const char *name)
{
    static char path[8][600];
    static int next;
    char *out = path[next++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", ei_test_tmpdir(), name);
    return out;
}

/* Folder of the modules that PyTorch wrote; write_modules sets it. */
static char modules[640];

/* Run modules.py into `folder`, or skip the case. */
static void run_python(const char *folder)
{
    char command[1400];
    snprintf(command, sizeof command, PYTHON " tests/models/modules.py '%s' >/dev/null", folder);
    const int status = system(command);
    if (status == -1 || WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 77) {
        ei_test_skip("no PyTorch for " PYTHON ": apt-get install python3-torch");
    }
    EI_EQ(status, 0);
}

/* Let PyTorch write modules.py's modules, once for all cases where the build folder can keep them. */
static void write_modules(void)
{
    struct stat source = {0};
    char fresh[660];
    fixture_torch_or_skip();
    EI_EQ(stat("tests/models/modules.py", &source), 0);
    snprintf(modules, sizeof modules, "%.500s/test-modules-%lld", ei_test_build_dir(), (long long)source.st_mtime);
    if (access(modules, R_OK) == 0) {
        return;
    }
    snprintf(fresh, sizeof fresh, "%s.XXXXXX", modules);
    if (mkdtemp(fresh) == NULL) { /* no build folder */
        snprintf(modules, sizeof modules, "%s", ei_test_tmpdir());
        run_python(modules);
        return;
    }
    run_python(fresh);
    if (rename(fresh, modules) != 0) { /* another case was faster */
        snprintf(modules, sizeof modules, "%.639s", fresh);
    }
}

static const char *module_path(const char *name)
{
    static char path[4][700];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", modules, name);
    return out;
}

static struct ei_convert_chain_config config_for(const char *script, const char *out)
{
    return (struct ei_convert_chain_config){.script_path = module_path(script),
                                            .out_dir = in_dir(out),
                                            .name = "converted",
                                            .dataset = "generated",
                                            .input = {3, 32, 32},
                                            .classes = CLASSES,
                                            .cut = EI_CONVERT_CUT_CONV,
                                            .head = ei_head_default,
                                            .norm_mean = {0.5F, 0.5F, 0.5F},
                                            .norm_std = {0.25F, 0.25F, 0.25F},
                                            .seed = 5,
                                            .threads = 1};
}

static struct ei_network *open_bundle(const char *dir)
{
    const struct ei_network_bundle_config config = {.dir = dir, .threads = 1};
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    EI_TRUEF(ei_network_open_bundle(&config, &net, &err) == 0, "%s: %s", err.file, err.text);
    return net;
}

/* The last exit's logits, of a run through every block. */
static void run_last(struct ei_network *net, const float *input, float *out_logits)
{
    EI_EQ(ei_network_thread_enter(net), 0);
    EI_EQ(ei_network_begin(net, input, 0, -1), 0);
    for (int32_t b = 0; b < ei_network_info(net)->exits; b++) {
        EI_EQ(ei_network_run_conv(net, b), 0);
        EI_EQ(ei_network_run_branch(net, b, out_logits), 0);
    }
    ei_network_end(net);
}

/* The numbers of a list in NAME.json. */
static void read_numbers(const char *name, const char *key, float *out, size_t count)
{
    json_t *root = json_load_file(module_path(name), 0, NULL);
    const json_t *list = json_object_get(root, key);
    EI_EQ(json_array_size(list), count);
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)json_number_value(json_array_get(list, i));
    }
    json_decref(root);
}

/* What PyTorch answered is what the bundle's last exit answers. */
static void check_answers(const char *json, const char *dir)
{
    float input[PIXELS], expected[CLASSES], logits[CLASSES] = {0};
    struct ei_network *net = open_bundle(in_dir(dir));
    EI_REQUIRE(net != NULL);
    read_numbers(json, "input", input, PIXELS);
    read_numbers(json, "logits", expected, CLASSES);
    run_last(net, input, logits);
    for (int i = 0; i < CLASSES; i++) {
        EI_NEAR(logits[i], expected[i], 1e-4 * fmax(1.0, fabs((double)expected[i])));
    }
    ei_network_destroy(net);
}

EI_TEST(scripted_and_traced_chains_become_bundles)
{
    static const struct {
        const char *script, *json, *dir;
        int32_t exits, scripts;
    } cases[] = {
        {"plain.pt", "plain.json", "a", 2, 0},
        {"plain-traced.pt", "plain-traced.json", "b", 2, 0},
        /* SiLU goes with the convolution before it, the residual block has weights and so is a cut. */
        {"mixed.pt", "mixed.json", "c", 3, 2},
        {"mixed-traced.pt", "mixed-traced.json", "d", 3, 2},
    };
    write_modules();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ei_convert_chain_config config = config_for(cases[i].script, cases[i].dir);
        struct ei_convert_report report = {0};
        struct einet_error err = {0};
        EI_TRUEF(ei_convert_chain(&config, &report, &err) == 0, "%s: %s", err.file, err.text);
        EI_EQ(report.exits, cases[i].exits);
        EI_EQ(report.scripts, cases[i].scripts);
        EI_IN(report.difference, 0, 1e-4);
        EI_EQ(report.layer_count, 10);
        EI_REQUIRE(report.layer_count == 10);
        EI_STREQ(report.layers[0].name, "stem.0.0");
        EI_STREQ(report.layers[0].type, "Conv2d");
        EI_STREQ(report.layers[0].op, "conv2d");
        EI_EQ(report.layers[2].block, 1);
        EI_EQ(report.layers[3].block, 2);
        EI_EQ(report.layers[4].shape.channels, 12);
        EI_EQ(report.layers[4].shape.height_px, 16);
        EI_STREQ(report.layers[4].op, cases[i].scripts > 0 ? "" : "relu");
        EI_STREQ(report.layers[6].name, "body.3");
        EI_STREQ(report.layers[6].op, cases[i].scripts > 0 ? "" : "dropout");
        EI_STREQ(report.layers[7].op, "flatten");
        EI_TRUE(report.layers[7].is_last_exit && report.layers[9].is_last_exit && !report.layers[6].is_last_exit);
        EI_STREQ(report.layers[9].op, "linear");
        ei_convert_report_fini(&report);
        check_answers(cases[i].json, cases[i].dir);
    }
    struct ei_convert_chain_config idle = config_for("idle.pt", "e");
    struct ei_convert_report report = {0};
    EI_EQ(ei_convert_chain(&idle, &report, NULL), 0);
    EI_REQUIRE(report.layer_count == 4);
    EI_STREQ(report.layers[1].op, "identity");
    EI_EQ(report.exits, 1);
    ei_convert_report_fini(&report);
    check_answers("idle.json", "e");
    EI_EQ(ei_convert_chain(&idle, NULL, NULL), -EEXIST);
}

static int32_t exits_of(struct ei_convert_chain_config config, const char *dir)
{
    struct ei_convert_report report = {0};
    struct einet_error err = {0};
    config.out_dir = in_dir(dir);
    EI_TRUEF(ei_convert_chain(&config, &report, &err) == 0, "%s: %s", err.file, err.text);
    const int32_t exits = report.exits;
    ei_convert_report_fini(&report);
    check_answers("mixed.json", dir);
    return exits;
}

EI_TEST(cuts_are_where_they_are_asked_for)
{
    write_modules();
    struct ei_convert_chain_config config = config_for("mixed.pt", "");
    config.cut = EI_CONVERT_CUT_POOL;
    EI_EQ(exits_of(config, "pool"), 2);
    config.cut = EI_CONVERT_CUT_LIST;
    config.cuts[0] = 2;
    config.cuts[1] = 4;
    config.cut_count = 2;
    config.head.channels = 8;
    config.head.hidden = 16;
    EI_EQ(exits_of(config, "list"), 3);
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    EI_REQUIRE(bundle != NULL);
    EI_EQ(ei_bundle_read(in_dir("list"), bundle, NULL), 0);
    EI_EQ(bundle->program.blocks[0].conv.op_count, 3);
    EI_EQ(bundle->program.blocks[1].conv.op_count, 2);
    const struct ei_op *head = &bundle->program.ops[bundle->program.blocks[0].branch.first_op];
    EI_EQ(head[1].kind, EI_OP_CONV2D);
    EI_EQ(head[1].out_channels, 8);
    EI_EQ(head[6].out_channels, 16);
    free(bundle);
}

static void expect_refused(const struct ei_convert_chain_config *config, int code, const char *text)
{
    struct einet_error err = {0};
    EI_TRUEF(ei_convert_chain(config, NULL, &err) == code, "%d, expected %d for: %s", err.code, code, text);
    EI_CONTAINS(err.text, text);
    EI_TRUE(access(config->out_dir, F_OK) != 0);
}

/* No folder of a failed conversion is left. */
static int folders_left(void)
{
    int count = 0;
    DIR *dir = opendir(ei_test_tmpdir());
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        count += strncmp(entry->d_name, "out", 3) == 0;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

EI_TEST(what_is_no_chain_is_refused)
{
    static const struct {
        const char *script;
        int code;
        const char *text;
    } cases[] = {
        {"skip.pt", EINET_E_MISMATCH, "its forward is not the chain of its children: "},
        {"sly.pt", EINET_E_MISMATCH, "its forward is not the chain of its children: on random pictures they differ"},
        {"two.pt", EINET_E_FILE, "is no TorchScript module of one tensor: its forward takes 2 arguments"},
        {"plain.json", EINET_E_FILE, "is no TorchScript module of one tensor: "},
        {"nothing.pt", EINET_E_FILE, "cannot be read: No such file"},
        {"flat.pt", EINET_E_USAGE, "it has no convolution to cut after"},
        {"bare.pt", EINET_E_USAGE, "nothing turns its last picture into classes"},
    };
    write_modules();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ei_convert_chain_config config = config_for(cases[i].script, "out");
        expect_refused(&config, cases[i].code, cases[i].text);
    }
    struct ei_convert_chain_config config = config_for("mixed.pt", "out");
    config.input.height_px = config.input.width_px = 28;
    expect_refused(&config, EINET_E_MISMATCH, "its children do not turn pictures of 3x28x28 into 10 classes: ");
    config = config_for("mixed.pt", "out");
    config.classes = 7;
    expect_refused(&config, EINET_E_MISMATCH, "ends with 10 numbers, not 7 logits");
    config.input.channels = 1;
    expect_refused(&config, EINET_E_MISMATCH, "(conv2d): its input channels differ");
    config.input.channels = 2;
    expect_refused(&config, EINET_E_USAGE, "not 2x32x32");
    config = config_for("mixed.pt", "out");
    config.head.channels = 0;
    expect_refused(&config, EINET_E_USAGE, "a head has 1 to 4096 channels");
    config = config_for("mixed.pt", "out");
    config.name = "no/name";
    expect_refused(&config, EINET_E_USAGE, "a manifest cannot hold this name");
    config = config_for("mixed.pt", "out");
    config.cut = EI_CONVERT_CUT_LIST;
    static const int32_t bad_cuts[][2] = {{3, 2}, {7, 8}, {4, 4}, {9, 11}};
    for (size_t i = 0; i < sizeof bad_cuts / sizeof bad_cuts[0]; i++) {
        memcpy(config.cuts, bad_cuts[i], sizeof bad_cuts[i]);
        config.cut_count = 2;
        expect_refused(&config, EINET_E_USAGE, "is no place to cut after");
    }
    EI_EQ(folders_left(), 0);
}

/* ---- parts from PyTorch that do not fit ---- */

static void expect_bundle(const char *conv, const char *branch, int32_t side_px, const char *text)
{
    const struct ei_network_bundle_config config = {.dir = ei_test_tmpdir(), .threads = 1};
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    FILE *file = fopen(in_dir("manifest.json"), "we");
    EI_REQUIRE(file != NULL);
    fprintf(file,
            "{\"schema\":1,\"name\":\"n\",\"dataset\":\"d\",\"classes\":10,\"input\":{\"channels\":3,\"height_px\":%d,"
            "\"width_px\":%d},\"norm_mean\":[0,0,0],\"norm_std\":[1,1,1],\"blocks\":[{\"conv\":%s,\"branch\":%s}]}",
            side_px, side_px, conv, branch);
    EI_EQ(fclose(file), 0);
    EI_EQ(ei_network_open_bundle(&config, &net, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, text);
    EI_CONTAINS(err.file, "manifest.json");
}

EI_TEST(parts_that_do_not_fit_are_named)
{
    static const char *const parts[] = {"flat.pt", "plain.pt", "bare.pt"};
    write_modules();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *target = realpath(module_path(parts[i]), NULL);
        EI_REQUIRE(target != NULL);
        (void)symlink(target, in_dir(parts[i]));
        free(target);
    }
    expect_bundle("{\"layers\":[]}", "{\"script\":\"flat.pt\"}", 30,
                  "mat1 and mat2 shapes cannot be multiplied (1x2700 and 3072x10)");
    expect_bundle("{\"layers\":[]}", "{\"script\":\"flat.pt\"}", 30,
                  "block1.branch (flat.pt) does not accept 3x30x30: ");
    expect_bundle("{\"script\":\"plain.pt\"}", "{\"script\":\"flat.pt\"}", 32,
                  "block1.branch (flat.pt) does not accept 10: ");
    expect_bundle("{\"layers\":[{\"op\":\"flatten\"}]}", "{\"script\":\"bare.pt\"}", 32,
                  "block1.branch (bare.pt) does not accept 3072: ");
    expect_bundle("{\"layers\":[]}", "{\"script\":\"bare.pt\"}", 32,
                  "block1.branch ends with 10 numbers, not 10 logits");
}

/* ---- training ---- */

/* Outputs of the first and of the last exit for one drawn picture. */
static void answer(const char *dir, float *out_first, float *out)
{
    float input[PIXELS];
    struct ei_random rng;
    ei_random_init(&rng, 8, 1);
    for (int i = 0; i < PIXELS; i++) {
        input[i] = (float)ei_random_normal(&rng);
    }
    struct ei_network *net = open_bundle(in_dir(dir));
    EI_REQUIRE(net != NULL);
    run_last(net, input, out);
    EI_EQ(ei_network_begin(net, input, 0, -1), 0);
    EI_EQ(ei_network_run_conv(net, 0), 0);
    EI_EQ(ei_network_run_branch(net, 0, out_first), 0);
    ei_network_end(net);
    ei_network_destroy(net);
}

EI_TEST(exits_of_a_bundle_are_trained_and_nothing_else)
{
    write_modules();
    struct ei_dataset *train = NULL, *test = NULL;
    struct ei_train_result result = {0};
    struct einet_error err = {0};
    struct ei_convert_chain_config config = config_for("mixed.pt", "out");
    EI_EQ(ei_convert_chain(&config, NULL, NULL), 0);
    EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TRAIN, 160, &train, NULL), 0);
    EI_EQ(ei_dataset_open_generated(1, EI_SPLIT_TEST, 40, &test, NULL), 0);
    float before[CLASSES] = {0}, after[CLASSES] = {0}, first[CLASSES] = {0}, trained[CLASSES] = {0};
    answer("out", first, before);
    const struct ei_train_config how = {.train = EI_TRAIN_EXITS,
                                        .optimizer = EI_TRAIN_ADAM,
                                        .epochs = 2,
                                        .batch = 32,
                                        .threads = 1,
                                        .lr = 0.002F,
                                        .warmup_fraction = 0.2F,
                                        .seed = 3};
    EI_TRUEF(ei_convert_train_bundle(in_dir("out"), &how, train, test, &result, &err) == 0, "%s", err.text);
    EI_TRUE(result.finished);
    EI_EQ(result.exits, 3);
    answer("out", trained, after);
    for (int i = 0; i < CLASSES; i++) { /* written in half precision */
        EI_NEAR(after[i], before[i], 0.01 * fmax(1.0, fabs((double)before[i])));
    }
    struct ei_bundle *bundle = calloc(1, sizeof *bundle);
    EI_REQUIRE(bundle != NULL);
    EI_EQ(ei_bundle_read(in_dir("out"), bundle, NULL), 0);
    for (int i = 0; i < 3; i++) {
        EI_NEAR(bundle->exit_accuracy[i], result.accuracy[i], 1e-6);
    }
    EI_NEAR(bundle->norm_mean[0], 0.5, 0.0);
    EI_TRUE(fabs((double)trained[0] - (double)first[0]) > 0.02);

    struct ei_train_config joint = how;
    joint.train = EI_TRAIN_JOINT;
    EI_EQ(ei_convert_train_bundle(in_dir("out"), &joint, train, test, &result, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "block2.conv holds layer4.pt, a TorchScript part, which cannot be trained");
    config = config_for("plain.pt", "layers");
    EI_EQ(ei_convert_chain(&config, NULL, NULL), 0);
    joint.epochs = 1;
    EI_TRUEF(ei_convert_train_bundle(in_dir("layers"), &joint, train, test, &result, &err) == 0, "%s", err.text);
    answer("layers", first, trained);
    config = config_for("plain.pt", "again");
    EI_EQ(ei_convert_chain(&config, NULL, NULL), 0);
    answer("again", first, before);
    EI_TRUE(fabs((double)trained[0] - (double)before[0]) > 1e-3);
    free(bundle);
    ei_dataset_destroy(train);
    ei_dataset_destroy(test);
}

/* ---- zoo ---- */

static struct ei_network *open_zoo(const char *zoo, const char *path)
{
    const struct ei_network_zoo_config config = {.zoo = zoo, .weights_path = path, .threads = 1};
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    EI_TRUEF(ei_network_open_zoo(&config, &net, &err) == 0, "%s: %s", err.file, err.text);
    return net;
}

EI_TEST(classic_weights_give_the_same_last_exit)
{
    fixture_torch_or_skip();
    struct fixture_weights w;
    const char *from = in_dir("classic.safetensors"), *to = in_dir("multi.safetensors");
    struct einet_error err = {0};
    fixture_draw_zoo(&w, "b-alexnet-classic", 3, 10, 6);
    struct fixture_metadata metadata = fixture_metadata_cifar;
    metadata.zoo = "b-alexnet-classic";
    fixture_write(&w, from, &metadata, -1);
    struct ei_convert_zoo_config config = {.weights_path = from, .to = "b-alexnet", .out_path = to, .seed = 1};
    EI_TRUEF(ei_convert_zoo(&config, &err) == 0, "%s: %s", err.file, err.text);
    struct ei_network *classic = open_zoo("b-alexnet-classic", from), *multi = open_zoo("b-alexnet", to);
    EI_REQUIRE(classic != NULL && multi != NULL);
    float input[PIXELS], a[CLASSES], b[CLASSES];
    struct ei_random rng;
    ei_random_init(&rng, 2, 1);
    for (int i = 0; i < PIXELS; i++) {
        input[i] = (float)ei_random_normal(&rng);
    }
    run_last(classic, input, a);
    run_last(multi, input, b);
    EI_TRUE(memcmp(a, b, sizeof a) == 0);
    EI_STREQ(ei_network_info(multi)->dataset, "cifar10");
    EI_NEAR(ei_network_info(multi)->norm_mean[1], 0.4F, 0.0);
    ei_network_destroy(classic);
    ei_network_destroy(multi);

    config.to = "flexvgg-16";
    EI_EQ(ei_convert_zoo(&config, &err), EINET_E_MISMATCH);
    config.to = "b-alxnet";
    EI_EQ(ei_convert_zoo(&config, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "unknown network 'b-alxnet'");
    fixture_write(&w, from, &metadata, 4);
    config.to = "b-alexnet";
    EI_EQ(ei_convert_zoo(&config, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "has no tensor block1.conv.");
    metadata.zoo = NULL;
    fixture_write(&w, from, &metadata, -1);
    EI_EQ(ei_convert_zoo(&config, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "has no metadata zoo");
    fixture_free(&w);
}

EI_MAIN()
