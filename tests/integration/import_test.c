/* einet import as users run it: what is printed, what is written, which exit status, and that the result runs. */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "tests/workloads/import/"

static const struct finished *expect(const struct finished *f, int status, const char *text)
{
    EI_TRUEF(f->status == status, "status %d, expected %d: %s", f->status, status, f->output);
    EI_CONTAINS(f->output, text);
    return f;
}

static void read_text(const char *path, char *out, size_t size_bytes)
{
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    EI_REQUIRE(file != NULL);
    out[fread(out, 1, size_bytes - 1, file)] = '\0';
    fclose(file);
}

static void import_and_check(const char *file, const char *summary)
{
    const char *out = in_tmpdir("out.yaml");
    expect(einet_run((const char *[]){"import", file, "--out", out, "--time", "vgg19-imagenet=5ms", "--time",
                                      "mobilenetv1-imagenet=1500us", "--time", "resnet152-imagenet=8ms", "--time",
                                      "distilbert=3ms", "--time", "densenet=4ms", "--time", "inception=3ms", NULL}),
           0, summary);
    expect(einet_run((const char *[]){"check", out, NULL}), 0, "ok");
}

EI_TEST(import_examples_pass_the_check)
{
    import_and_check(FOLDER "audio.rt-app.json", "4 tasks, from " FOLDER "audio.rt-app.json (rt-app)");
    import_and_check(FOLDER "phases.rt-app.json", "7 tasks");
    import_and_check(FOLDER "robot.rt-app.json", "3 tasks");
    import_and_check(FOLDER "driving.disb.json", "3 tasks, from " FOLDER "driving.disb.json (disb)");
    import_and_check(FOLDER "speech.disb.json", "3 tasks");
    import_and_check(FOLDER "preempt.disb.json", "3 tasks");
    import_and_check(FOLDER "fixed.rtspin.sh", "3 tasks, from " FOLDER "fixed.rtspin.sh (rtspin)");
    import_and_check(FOLDER "recorded.rtspin.sh", "5 tasks");
    import_and_check(FOLDER "mixed.rtspin.sh", "3 tasks");
}

EI_TEST(import_prints_what_it_would_write)
{
    static char printed[OUTPUT_MAX_BYTES];
    static char written[OUTPUT_MAX_BYTES];
    const char *out = in_tmpdir("audio.yaml");
    const struct finished *f = einet_run((const char *[]){"import", FOLDER "audio.rt-app.json", NULL});
    EI_EQ(f->status, 0);
    snprintf(printed, sizeof printed, "%s", f->output);
    expect(einet_run((const char *[]){"import", FOLDER "audio.rt-app.json", "--from", "rt-app", "--out", out, NULL}), 0,
           "4 tasks");
    read_text(out, written, sizeof written);
    EI_STREQ(printed, written);
    EI_CONTAINS(written, "# Made by einet import from the rt-app file audio.rt-app.json");
}

EI_TEST(import_writes_traces_beside_the_file)
{
    char text[256];
    expect(einet_run((const char *[]){"import", FOLDER "speech.disb.json", "--time", "distilbert=3ms", "--out",
                                      in_tmpdir("speech.yaml"), NULL}),
           0, "3 tasks");
    read_text(in_tmpdir("speech.1.csv"), text, sizeof text);
    EI_STREQ(text, "release_ms\n0\n250\n1000\n1000\n4521\n");
    EI_EQ(access(in_tmpdir("speech.2.csv"), R_OK), 0);
    EI_TRUE(access(in_tmpdir("speech.3.csv"), F_OK) != 0);
    expect(einet_run((const char *[]){"import", FOLDER "speech.disb.json", "--time", "distilbert=3ms", NULL}), 1,
           "--out FILE.yaml");
}

EI_TEST(import_names_file_line_and_column)
{
    const char *file = write_file("bad.json", "{ \"tasks\": {\n"
                                              "  \"spinner\": {\n"
                                              "    \"run\": 2000,\n"
                                              "    \"sleep\": 8000 } },\n"
                                              "  \"global\": { \"duration\": 2 } }\n");
    const char *out = in_tmpdir("bad.yaml");
    const struct finished *f = expect(einet_run((const char *[]){"import", file, "--out", out, NULL}), 2,
                                      "bad.json:4:5: error: 'sleep' of task 'spinner' counts from the end of the work");
    EI_CONTAINS(f->output, "\"period\": 10000 }");
    EI_TRUE(access(out, F_OK) != 0);
    f = expect(einet_run((const char *[]){"import", file, "--out", out, "--lossy", NULL}), 0,
               "bad.json:4:5: warning: 'sleep'");
    EI_EQ(access(out, R_OK), 0);
    expect(einet_run((const char *[]){"import", FOLDER "driving.disb.json", NULL}), 2, "--time vgg19-imagenet=5ms");
}

EI_TEST(import_bad_files_and_usage)
{
    expect(einet_run((const char *[]){"import", NULL}), 1, "einet help import");
    expect(einet_run((const char *[]){"import", "a", "b", NULL}), 1, "b");
    expect(einet_run((const char *[]){"import", "a", "--from", "xml", NULL}), 1, "xml");
    expect(einet_run((const char *[]){"import", "a", "--from", NULL}), 1, "--from");
    expect(einet_run((const char *[]){"import", "a", "--time", "x=5", NULL}), 1, "unit");
    expect(einet_run((const char *[]){"import", "a", "--frm", NULL}), 1, "--frm");
    expect(einet_run((const char *[]){"import", "no-such.json", NULL}), 2, "no-such.json");
    expect(einet_run((const char *[]){"import", "configs", NULL}), 2, "directory");
    expect(einet_run((const char *[]){"import", "configs/overload.yaml", NULL}), 2, "cannot tell what this is");
    expect(einet_run((const char *[]){"import", FOLDER "audio.rt-app.json", "--from", "disb", NULL}), 2,
           "must be an array");
    expect(
        einet_run((const char *[]){"import", FOLDER "audio.rt-app.json", "--out", in_tmpdir("no/such/x.yaml"), NULL}),
        5, "cannot write");
    const char *file = write_file("own.sh", "rtspin 1 10 5\n");
    expect(einet_run((const char *[]){"import", file, "--out", file, NULL}), 1, "overwrite");
    expect(einet_run((const char *[]){"import", "--help", NULL}), 0, "--lossy");
}

/* An imported script runs: as many jobs as rtspin would have released. */
EI_TEST(import_result_runs)
{
    const char *script = write_file("run.sh", "rtspin -w -p 0 -q 1 0.1 20 0.4 &\nrtspin -w -p 0 -q 2 0.1 50 0.2\n");
    const char *yaml = in_tmpdir("run.yaml");
    const char *out = in_tmpdir("run");
    expect(einet_run((const char *[]){"import", script, "--out", yaml, NULL}), 0, "2 tasks");
    EI_EQ(einet_run((const char *[]){"run", yaml, "--out", out, "--quiet", NULL})->status, 0);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(task_integer(summary, "rtspin-1", "expected"), 21); /* a run counts the release at its very end */
    EI_EQ(task_integer(summary, "rtspin-2", "expected"), 4);  /* and rtspin does not */
    json_decref(summary);
}

EI_MAIN()
