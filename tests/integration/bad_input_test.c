/* What goes wrong at a user's desk: each must end with a clear sentence and the documented exit status, leave no file
 * half-written, and never crash. Broken workload files by the dozen: tests/workloads/broken.
 */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WEIGHTS "models/pretrained/b-alexnet-generated.safetensors"

/* Write the standard camera with the given weights, input and duration, and run it. */
static const struct finished *run_camera(const char *weights, const char *dataset, const char *input)
{
    char text[4096];
    snprintf(text, sizeof text,
             "version: 1\n"
             "name: camera\n"
             "run: { duration: 200ms, seed: 1 }\n"
             "lanes: { lane0: { kind: cpu, preempt: block } }\n"
             "models: { net: { zoo: b-alexnet, dataset: %s, weights: \"%s\" } }\n"
             "tasks:\n"
             "  - name: camera\n"
             "    arrival: { model: periodic, period: 20ms }\n"
             "    deadline: 20ms\n"
             "    priority: 50\n"
             "    input: %s\n"
             "    stages:\n"
             "      - { name: pre, kind: cpu, op: normalize }\n"
             "      - { name: net, kind: nn, model: net, lane: lane0 }\n"
             "outputs: { dir: out }\n",
             dataset, weights, input);
    const char *file = write_file("camera.yaml", text);
    return einet_run((const char *[]){"run", file, "--out", in_tmpdir("out"), "--quiet", NULL});
}

#define GENERATED "{ kind: generated, seed: 1, count: 20, split: test }"

static void expect(const struct finished *f, int status, const char *text)
{
    EI_TRUEF(f->status == status, "status %d, expected %d: %s", f->status, status, f->output);
    EI_CONTAINS(f->output, text);
    EI_TRUE(access(in_tmpdir("out/summary.json"), F_OK) != 0);
    EI_TRUE(access(in_tmpdir("out/jobs.csv"), F_OK) != 0);
    EI_TRUE(access(in_tmpdir("out"), F_OK) != 0); /* not even an empty folder */
}

static void require_weights(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/libeinet_torch.so", ei_test_build_dir());
    if (access(path, R_OK) != 0 || access(WEIGHTS, R_OK) != 0) {
        ei_test_skip("no libtorch plug-in in %s or no shipped weights", ei_test_build_dir());
    }
}

EI_TEST(bad_missing_weights_are_named)
{
    require_weights();
    expect(run_camera("nowhere.safetensors", "generated", GENERATED), 2, "nowhere.safetensors");
}

EI_TEST(bad_corrupt_weights_are_named)
{
    require_weights();
    const char *path = write_file("corrupt.safetensors", "this is no safetensors file at all");
    expect(run_camera(path, "generated", GENERATED), 2, "corrupt.safetensors");
}

EI_TEST(bad_truncated_weights_are_named)
{
    require_weights();
    static char bytes[65536];
    FILE *in = fopen(WEIGHTS, "re");
    EI_REQUIRE(in != NULL);
    const size_t count = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    const char *path = in_tmpdir("short.safetensors");
    FILE *out = fopen(path, "we");
    EI_REQUIRE(out != NULL);
    fwrite(bytes, 1, count, out);
    fclose(out);
    expect(run_camera(path, "generated", GENERATED), 2, "short.safetensors");
}

EI_TEST(bad_weights_of_another_data_set_are_refused)
{
    require_weights();
    expect(run_camera("models/pretrained/b-alexnet-mnist.safetensors", "generated", GENERATED), 2, "mnist");
}

EI_TEST(bad_missing_data_set_says_where_it_looked)
{
    require_weights();
    expect(run_camera(WEIGHTS, "generated", "{ kind: dataset, name: cifar10, split: test, root: no/such/folder }"), 2,
           "no/such/folder");
}

EI_TEST(bad_truncated_data_set_is_named)
{
    require_weights();
    const char *root = in_tmpdir("data");
    EI_EQ(mkdir(root, 0755), 0);
    EI_EQ(mkdir(in_tmpdir("data/cifar-10-batches-bin"), 0755), 0);
    write_file("data/cifar-10-batches-bin/test_batch.bin", "much too short");
    char input[600];
    snprintf(input, sizeof input, "{ kind: dataset, name: cifar10, split: test, root: \"%s\" }", root);
    expect(run_camera(WEIGHTS, "generated", input), 2, "test_batch.bin");
}

EI_TEST(bad_input_shorter_than_the_run_is_refused)
{
    require_weights();
    expect(run_camera(WEIGHTS, "generated", "{ kind: generated, seed: 1, count: 3, split: test, loop: false }"), 2,
           "samples");
}

EI_TEST(bad_files_that_are_no_workload)
{
    expect(einet_run((const char *[]){"run", "configs", NULL}), 2, "directory");
    expect(einet_run((const char *[]){"run", "no-such.yaml", NULL}), 2, "no-such.yaml");
    expect(einet_run((const char *[]){"check", "no-such.yaml", NULL}), 2, "no-such.yaml");
    const char *path = in_tmpdir("large.yaml");
    FILE *file = fopen(path, "we");
    EI_REQUIRE(file != NULL);
    for (int i = 0; i < 10 * 1024; i++) {
        for (int k = 0; k < 16; k++) {
            fputs("# sixty-four bytes of comment, again and again, until it is 10 MB\n", file);
        }
    }
    fclose(file);
    expect(einet_run((const char *[]){"check", path, NULL}), 2, "MiB");
}

EI_TEST(bad_usage_is_status_1)
{
    expect(einet_run((const char *[]){"run", NULL}), 1, "--help");
    expect(einet_run((const char *[]){"run", "a.yaml", "b.yaml", NULL}), 1, "b.yaml");
    expect(einet_run((const char *[]){"run", "a.yaml", "--duration", "10", NULL}), 1, "unit");
    expect(einet_run((const char *[]){"run", "a.yaml", "--sideways", NULL}), 1, "--sideways");
    expect(einet_run((const char *[]){"fly", NULL}), 1, "fly");
    expect(einet_run((const char *[]){"check", NULL}), 1, "--help");
    expect(einet_run((const char *[]){NULL}), 1, "usage");
}

EI_TEST(bad_output_folder_is_refused_before_the_run)
{
    const char *blocker = write_file("blocker", "a file where a folder should be");
    char out[600];
    snprintf(out, sizeof out, "%s/out", blocker);
    const struct finished *f =
        einet_run((const char *[]){"run", "tests/integration/workloads/phase.yaml", "--out", out, "--quiet", NULL});
    EI_TRUEF(f->status == 5, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "blocker");
}

EI_TEST(bad_privileges_required_and_refused_are_status_3)
{
    const char *file = write_file("require.yaml", "version: 1\n"
                                                  "name: strict\n"
                                                  "run: { duration: 200ms }\n"
                                                  "platform: { privileges: require }\n"
                                                  "tasks:\n"
                                                  "  - name: tick\n"
                                                  "    arrival: { model: periodic, period: 20ms }\n"
                                                  "    priority: 60\n"
                                                  "    stages: [ { name: work, kind: cpu, work: { spin: 1ms } } ]\n"
                                                  "outputs: { dir: out }\n");
    const struct finished *f =
        einet_run_unprivileged((const char *[]){"run", file, "--out", in_tmpdir("out"), "--quiet", NULL});
    if (f->status == 126 || f->status == 127) {
        ei_test_skip("user nobody cannot execute %s/einet", ei_test_build_dir());
    }
    expect(f, 3, "SCHED_FIFO");
    EI_CONTAINS(f->output, "setcap");
}

EI_TEST(check_prints_every_default)
{
    const struct finished *f = einet_run((const char *[]){"check", "configs/edge-server.yaml", "--print", NULL});
    EI_EQ(f->status, 0);
    EI_CONTAINS(f->output, "rt_load_cap");
    EI_CONTAINS(f->output, "on_preempt");
}

EI_MAIN()
