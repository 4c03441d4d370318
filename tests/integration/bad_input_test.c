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

static void expect_said(const struct finished *f, int status, const char *text)
{
    EI_TRUEF(f->status == status, "status %d, expected %d: %s", f->status, status, f->output);
    EI_CONTAINS(f->output, text);
}

/* Of a command that was told to write to the folder `out` of the case: it left nothing, not even the folder. */
static void expect(const struct finished *f, int status, const char *text)
{
    expect_said(f, status, text);
    EI_TRUE(access(in_tmpdir("out"), F_OK) != 0);
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
    const char *out = in_tmpdir("out");
    expect(einet_run((const char *[]){"run", "configs", "--out", out, NULL}), 2, "directory");
    expect(einet_run((const char *[]){"run", "no-such.yaml", "--out", out, NULL}), 2, "no-such.yaml");
    expect_said(einet_run((const char *[]){"check", "no-such.yaml", NULL}), 2, "no-such.yaml");
    const char *path = in_tmpdir("large.yaml");
    FILE *file = fopen(path, "we");
    EI_REQUIRE(file != NULL);
    for (int i = 0; i < 10 * 1024; i++) {
        for (int k = 0; k < 16; k++) {
            fputs("# sixty-four bytes of comment, again and again, until it is 10 MB\n", file);
        }
    }
    fclose(file);
    expect_said(einet_run((const char *[]){"check", path, NULL}), 2, "MiB");
}

EI_TEST(bad_usage_is_status_1)
{
    expect_said(einet_run((const char *[]){"run", NULL}), 1, "einet help run");
    expect_said(einet_run((const char *[]){"run", "a.yaml", "b.yaml", NULL}), 1, "b.yaml");
    expect_said(einet_run((const char *[]){"run", "a.yaml", "--duration", "10", NULL}), 1, "unit");
    expect_said(einet_run((const char *[]){"run", "a.yaml", "--sideways", NULL}), 1, "--sideways");
    expect_said(einet_run((const char *[]){"fly", NULL}), 1, "fly");
    expect_said(einet_run((const char *[]){"check", NULL}), 1, "einet help check");
    expect_said(einet_run((const char *[]){NULL}), 1, "usage");
}

/* ---- the output folder ---- */

#define TINY                                                                                                           \
    "version: 1\n"                                                                                                     \
    "name: tiny\n"                                                                                                     \
    "run: { duration: 200ms, seed: 1 }\n"                                                                              \
    "lanes: { lane0: { kind: cpu, preempt: block } }\n"                                                                \
    "models: { net: { emulate: { blocks: [ { conv: 100us, branch: 20us, score: 0.9 } ] } } }\n"                        \
    "tasks:\n"                                                                                                         \
    "  - name: camera\n"                                                                                               \
    "    arrival: { model: periodic, period: 20ms }\n"                                                                 \
    "    priority: 50\n"                                                                                               \
    "    stages:\n"                                                                                                    \
    "      - { name: net, kind: nn, model: net, lane: lane0 }\n"

/* The tiny workload with one more stage, such as a log. */
static const char *write_tiny(const char *stage)
{
    char text[4096];
    snprintf(text, sizeof text, TINY "%soutputs: { dir: out }\n", stage);
    return write_file("tiny.yaml", text);
}

static void expect_text(const char *path, const char *text)
{
    char found[256] = "";
    FILE *file = fopen(path, "re");
    if (EI_TRUEF(file != NULL, "%s is gone", path)) {
        found[fread(found, 1, sizeof found - 1, file)] = '\0';
        fclose(file);
    }
    EI_STREQ(found, text);
}

/* The folder is looked at first: the missing weights of the same workload are not reached. */
EI_TEST(bad_output_folder_is_refused_before_the_run)
{
    const char *blocker = write_file("blocker", "a file where a folder should be");
    const char *file = write_file("lost.yaml", "version: 1\n"
                                               "name: lost\n"
                                               "lanes: { lane0: { kind: cpu, preempt: block } }\n"
                                               "models: { net: { zoo: b-alexnet, dataset: generated, "
                                               "weights: lost.safetensors } }\n"
                                               "tasks:\n"
                                               "  - name: camera\n"
                                               "    arrival: { model: periodic, period: 20ms }\n"
                                               "    input: " GENERATED "\n"
                                               "    stages:\n"
                                               "      - { name: pre, kind: cpu, op: normalize }\n"
                                               "      - { name: net, kind: nn, model: net, lane: lane0 }\n"
                                               "outputs: { dir: out }\n");
    char below[600], named[600];
    snprintf(below, sizeof below, "%s/out", blocker);
    snprintf(named, sizeof named, "%s", blocker);
    const char *const outs[] = {below, named};
    for (int i = 0; i < 2; i++) {
        const struct finished *f = einet_run((const char *[]){"run", file, "--out", outs[i], "--quiet", NULL});
        expect_said(f, 5, named);
        EI_CONTAINS(f->output, "as the output folder");
        EI_TRUEF(strstr(f->output, "lost.safetensors") == NULL, "the network was built first: %s", f->output);
    }
    expect_text(named, "a file where a folder should be");
}

EI_TEST(bad_output_path_that_is_too_long_is_refused)
{
    char out[1024], longest[16 * 40];
    int length = snprintf(out, sizeof out, "%s/out", ei_test_tmpdir());
    for (int i = 0; i < 8; i++) { /* no part is too long for a folder, the whole is too long for us */
        length += snprintf(&out[length], sizeof out - (size_t)length, "/%080d", i);
    }
    expect(einet_run((const char *[]){"run", write_tiny(""), "--out", out, "--quiet", NULL}), 1, "longer than");
    /* a pattern that is short, but not what it stands for */
    char text[4096];
    length = 0;
    for (int i = 0; i < 18; i++) {
        length += snprintf(&longest[length], sizeof longest - (size_t)length, "{name}");
    }
    snprintf(text, sizeof text,
             "version: 1\nname: a-name-of-thirty-one-characters\n"
             "tasks: [ { name: tick, arrival: { model: periodic, period: 20ms }, "
             "stages: [ { name: work, kind: cpu, work: { spin: 1ms } } ] } ]\n"
             "outputs: { dir: \"%s\" }\n",
             longest);
    const char *file = write_file("long.yaml", text);
    expect_said(einet_run((const char *[]){"run", file, "--quiet", NULL}), 2, "longer than");
}

EI_TEST(bad_output_folder_of_the_user_is_left_alone)
{
    const char *out = in_tmpdir("out");
    EI_EQ(mkdir(out, 0755), 0);
    const char *file = write_tiny("      - { name: log, kind: cpu, op: append_file, path: no/such/folder.log }\n");
    expect_said(einet_run((const char *[]){"run", file, "--out", out, "--quiet", NULL}), 2, "no/such/folder.log");
    EI_TRUE(access(out, F_OK) == 0);
    EI_EQ(rmdir(out), 0); /* and empty as it was */
}

EI_TEST(bad_start_removes_all_folders_that_it_made)
{
    const char *file = write_tiny("      - { name: log, kind: cpu, op: append_file, path: no/such/folder.log }\n");
    expect(einet_run((const char *[]){"run", file, "--out", in_tmpdir("out/of/many/"), "--quiet", NULL}), 2,
           "no/such/folder.log");
}

/* A start that fails as late as possible: jobs.csv cannot be made when all blocks have been measured. */
EI_TEST(bad_late_start_keeps_the_files_of_an_earlier_run)
{
    const char *out = in_tmpdir("earlier");
    EI_EQ(mkdir(out, 0755), 0);
    EI_EQ(mkdir(in_tmpdir("earlier/jobs.csv.partial"), 0755), 0);
    write_file("earlier/workload.yaml", "of an earlier run");
    write_file("earlier/kept.log", "logged before\n");
    const char *file = write_tiny("      - { name: log, kind: cpu, op: append_file, path: kept.log }\n"
                                  "      - { name: new, kind: cpu, op: append_file, path: new.log }\n");
    expect_said(einet_run((const char *[]){"run", file, "--out", out, "--quiet", NULL}), 5, "jobs.csv.partial");
    expect_text(in_tmpdir("earlier/workload.yaml"), "of an earlier run");
    expect_text(in_tmpdir("earlier/kept.log"), "logged before\n");
    EI_TRUE(access(in_tmpdir("earlier/new.log"), F_OK) != 0);
    EI_TRUE(access(in_tmpdir("earlier/workload.yaml.partial"), F_OK) != 0);
}

EI_TEST(bad_profile_leaves_no_log)
{
    require_weights();
    char text[4096];
    const char *profile = write_file("bad.cs", "this is no profile");
    snprintf(text, sizeof text,
             "version: 1\n"
             "name: logged\n"
             "run: { duration: 200ms, seed: 1 }\n"
             "lanes: { lane0: { kind: cpu, preempt: block } }\n"
             "models: { net: { zoo: b-alexnet, dataset: generated, weights: \"" WEIGHTS "\", profile: \"%s\" } }\n"
             "tasks:\n"
             "  - name: camera\n"
             "    arrival: { model: periodic, period: 20ms }\n"
             "    input: " GENERATED "\n"
             "    stages:\n"
             "      - { name: pre, kind: cpu, op: normalize }\n"
             "      - { name: net, kind: nn, model: net, lane: lane0 }\n"
             "      - { name: log, kind: cpu, op: append_file }\n"
             "outputs: { dir: out }\n",
             profile);
    const char *file = write_file("logged.yaml", text);
    expect(einet_run((const char *[]){"run", file, "--out", in_tmpdir("out"), "--quiet", NULL}), 2, "bad.cs");
}

EI_TEST(bad_log_that_is_no_regular_file_is_refused)
{
    char stage[700];
    const char *fifo = in_tmpdir("fifo");
    const char *const paths[] = {fifo, "/dev/null"};
    EI_EQ(mkfifo(fifo, 0600), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(stage, sizeof stage, "      - { name: log, kind: cpu, op: append_file, path: \"%s\" }\n", paths[i]);
        const struct finished *f =
            einet_run((const char *[]){"run", write_tiny(stage), "--out", in_tmpdir("out"), "--quiet", NULL});
        expect(f, 2, "regular file");
        EI_CONTAINS(f->output, "tiny.yaml:12");
    }
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

/* Each writes plain text, which stdio keeps to the end. */
EI_TEST(bad_output_that_cannot_be_written_is_a_fault)
{
    static const char *const commands[] = {"--help",
                                           "--version",
                                           "help run",
                                           "run --help",
                                           "models",
                                           "check --print configs/edge-server.yaml",
                                           "analyze configs/overload.yaml",
                                           "doctor --only timers",
                                           "profile --print models/pretrained/b-alexnet-cifar10.cs",
                                           "simulate configs/overload.yaml --duration 100ms --quiet"};
    if (access("/dev/full", W_OK) != 0) {
        ei_test_skip("no /dev/full here");
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char command[1200];
        snprintf(command, sizeof command, "%s/einet %s >/dev/full 2>%s", ei_test_build_dir(), commands[i],
                 in_tmpdir("said.txt"));
        const int status = system(command);
        EI_TRUEF(WEXITSTATUS(status) == 5, "einet %s: status %d", commands[i], WEXITSTATUS(status));
        EI_TRUEF(wait_for_text(in_tmpdir("said.txt"), "cannot write all of its output: No space left on device", 1000),
                 "einet %s does not say that its output is cut off", commands[i]);
    }
}

/* Root may rename a file onto /dev/null, which takes that away from the whole machine. A pipe stands for it. */
EI_TEST(bad_out_does_not_replace_a_device)
{
    char pipe[512];
    struct stat st;
    snprintf(pipe, sizeof pipe, "%s", in_tmpdir("pipe"));
    EI_EQ(mkfifo(pipe, 0600), 0);
    EI_EQ(einet_run((const char *[]){"simulate", "configs/overload.yaml", "--duration", "100ms", "--out",
                                     in_tmpdir("run"), NULL})
              ->status,
          0);
    expect(einet_run((const char *[]){"report", in_tmpdir("run"), "--out", pipe, NULL}), 1,
           "is no file: name another place");
    expect(einet_run((const char *[]){"train", "--model", "b-alexnet", "--dataset", "generated", "--out", pipe, NULL}),
           1, "is no file: name another place");
    expect(einet_run((const char *[]){"predictor", "train", "--cs", "models/pretrained/b-alexnet-cifar10.cs", "--out",
                                      pipe, NULL}),
           1, "is no file: name another place");
    expect(einet_run((const char *[]){"convert", "--weights", WEIGHTS, "--to", "b-alexnet", "--out", pipe, NULL}), 1,
           "is no file: name another place");
    EI_TRUE(stat(pipe, &st) == 0 && S_ISFIFO(st.st_mode));
}

EI_MAIN()
