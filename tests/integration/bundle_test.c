/* The examples of examples/bundle, as a user runs them: PyTorch writes a bundle, EINet-RT profiles and runs it. */
#include "tests/integration/command.h"

#include "stages/nn/network.h"
#include "tests/harness/harness.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIXELS = 3 * 32 * 32, CLASSES = 10, EXITS = 3 };

#define PYTHON "/usr/bin/python3"

/* Run one of the examples with arguments inside the case's folder, or skip the case. */
static void run_example(const char *name, const char *arguments)
{
    char command[2048], plugin[600];
    snprintf(plugin, sizeof plugin, "%s/libeinet_torch.so", ei_test_build_dir());
    if (access(plugin, R_OK) != 0) {
        ei_test_skip("no libtorch plug-in in %s", ei_test_build_dir());
    }
    if (system(PYTHON " -c 'import torch' >/dev/null 2>&1") != 0) {
        ei_test_skip("no PyTorch for " PYTHON ": apt-get install python3-torch");
    }
    snprintf(command, sizeof command, PYTHON " examples/bundle/%s '%s'/%s", name, ei_test_tmpdir(), arguments);
    EI_EQ(system(command), 0);
}

static const struct finished *run_workload(const char *bundle)
{
    char text[2048];
    snprintf(text, sizeof text,
             "version: 1\n"
             "name: camera\n"
             "run: { duration: 300ms, seed: 1 }\n"
             "lanes: { lane0: { kind: cpu, preempt: block } }\n"
             "models: { net: { bundle: %s } }\n"
             "tasks:\n"
             "  - name: camera\n"
             "    arrival: { model: periodic, period: 20ms }\n"
             "    input: { kind: generated, seed: 1, count: 20, split: test }\n"
             "    stages:\n"
             "      - { name: pre, kind: cpu, op: normalize }\n"
             "      - { name: net, kind: nn, model: net, lane: lane0 }\n"
             "outputs: { dir: out }\n",
             bundle);
    const char *file = write_file("camera.yaml", text);
    return einet_run((const char *[]){"run", file, "--out", in_tmpdir("out"), "--quiet", NULL});
}

static void read_expected(const char *path, float *out_input, float (*out_logits)[CLASSES])
{
    json_t *root = json_load_file(path, 0, NULL);
    const json_t *input = json_object_get(root, "input"), *logits = json_object_get(root, "logits");
    EI_EQ(json_array_size(input), PIXELS);
    EI_EQ(json_array_size(logits), EXITS);
    for (size_t i = 0; i < PIXELS; i++) {
        out_input[i] = (float)json_number_value(json_array_get(input, i));
    }
    for (size_t i = 0; i < EXITS * CLASSES; i++) {
        out_logits[i / CLASSES][i % CLASSES] =
            (float)json_number_value(json_array_get(json_array_get(logits, i / CLASSES), i % CLASSES));
    }
    json_decref(root);
}

/* A branch that works in place must not change what the next block reads, so every exit is compared with every branch
 * run, and the last one without the others. */
static void check_blocks(const char *dir)
{
    float input[PIXELS], expected[EXITS][CLASSES] = {{0}}, logits[CLASSES];
    char path[700];
    const struct ei_network_bundle_config config = {.dir = dir, .dataset = "generated", .threads = 1};
    struct ei_network *net = NULL;
    struct einet_error err = {0};
    snprintf(path, sizeof path, "%s/expected.json", dir);
    read_expected(path, input, expected);
    EI_TRUEF(ei_network_open_bundle(&config, &net, &err) == 0, "%s: %s", err.file, err.text);
    EI_REQUIRE(net != NULL);
    EI_EQ(ei_network_info(net)->exits, EXITS);
    EI_EQ(ei_network_info(net)->block[0].conv_params, 3 * 16 * 9 + 16 + 32);
    EI_EQ(ei_network_thread_enter(net), 0);
    for (int skip = 0; skip < 2; skip++) {
        EI_EQ(ei_network_begin(net, input, 0, -1), 0);
        for (int32_t b = 0; b < EXITS; b++) {
            EI_EQ(ei_network_run_conv(net, b), 0);
            if (skip != 0 && b + 1 < EXITS) {
                continue;
            }
            EI_EQ(ei_network_run_branch(net, b, logits), 0);
            for (int i = 0; i < CLASSES; i++) {
                EI_NEAR(logits[i], expected[b][i], 1e-5 * fmax(1.0, fabs((double)expected[b][i])));
            }
        }
        ei_network_end(net);
    }
    ei_network_destroy(net);
}

EI_TEST(bundle_from_pytorch_is_profiled_and_run)
{
    run_example("make_bundle.py", "mine");
    check_blocks(in_tmpdir("mine"));
    const struct finished *f =
        einet_run((const char *[]){"profile", "--bundle", in_tmpdir("mine"), "--dataset", "generated", "--only", "et",
                                   "--runs", "5", "--out", in_tmpdir("mine"), NULL});
    EI_TRUEF(f->status == 0, "%s", f->output);
    EI_TRUE(access(in_tmpdir("mine.et.csv"), R_OK) == 0);
    f = run_workload("mine/");
    EI_TRUEF(f->status == 0, "%s", f->output);
    json_t *summary = read_summary(in_tmpdir("out"));
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_TRUE(task_integer(summary, "camera", "released") >= 15);
    json_decref(summary);

    EI_EQ(unlink(in_tmpdir("mine/block2_conv.pt")), 0);
    f = run_workload("mine/");
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "mine/block2_conv.pt: cannot be read: No such file");
}

EI_TEST(chain_from_pytorch_is_converted_and_run)
{
    run_example("make_chain.py", "net.pt --trace --swish");
    char script[600], bundle[600]; /* in_tmpdir's texts do not live long */
    snprintf(script, sizeof script, "%s", in_tmpdir("net.pt"));
    snprintf(bundle, sizeof bundle, "%s", in_tmpdir("bundle"));
    const char *const args[] = {"convert",   "--script",  script,   "--input",  "3x32x32", "--classes", "10",
                                "--dataset", "generated", "--mean", ".5,.5,.5", "--std",   ".2,.2,.2",  "--untrained",
                                "--threads", "1",         "--out",  bundle,     NULL};
    const struct finished *f = einet_run(args);
    EI_TRUEF(f->status == 0, "%s", f->output);
    EI_CONTAINS(f->output, "3 exits; 1 of 14 layers stay TorchScript");
    f = run_workload("bundle");
    EI_TRUEF(f->status == 0, "%s", f->output);
    f = einet_run(args);
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "bundle: is there already");
}

EI_TEST(convert_says_what_it_needs)
{
    static const struct {
        const char *args[8];
        const char *text;
    } cases[] = {
        {{"convert", NULL}, "--weights, --to and --out are needed, or --script"},
        {{"convert", "--weights", "w", "--to", "vgg-16", NULL}, "--weights, --to and --out are needed"},
        {{"convert", "--weights", "w", "--script", "s", "--out", "o", NULL}, "--weights, --to and --out are needed"},
        {{"convert", "--script", "s", "--out", "o", NULL}, "--script needs --input, --classes and --dataset"},
        {{"convert", "--script", "s", "--out", "o", "--to", "x", NULL}, "--to goes with --weights only"},
        {{"convert", "--weights=w", "--to=x", "--out=o", "--cut=pool", NULL}, "--cut goes with --script only"},
        {{"convert", "--out", NULL}, "missing value of --out, which wants PATH"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct finished *f = einet_run(cases[i].args);
        EI_EQ(f->status, 1);
        EI_CONTAINS(f->output, cases[i].text);
    }
    static const struct {
        const char *option, *value, *text;
    } values[] = {
        {"--input", "32x32", "--input wants CHANNELSxHEIGHTxWIDTH"},
        {"--classes", "ten", "--classes wants a whole number"},
        {"--cut", "relu", "--cut wants conv, pool or numbers"},
        {"--head", "64", "--head wants CHANNELS,HIDDEN"},
        {"--mean", "1,2,3", "--mean and --std go together"},
        {"--epochs", "many", "--epochs wants a whole number of at least 0, not 'many'"},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const struct finished *f =
            einet_run((const char *[]){"convert", "--script", "s", "--out", "o", "--input", "3x32x32", "--classes",
                                       "10", "--dataset", "generated", values[i].option, values[i].value, NULL});
        EI_EQ(f->status, 1);
        EI_CONTAINS(f->output, values[i].text);
    }
}

EI_MAIN()
