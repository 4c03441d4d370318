/* What a run leaves behind beside its figures: run.json, also of a run that was killed, and what is said of a disk that
 * does not keep up.
 */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKLOADS "tests/integration/workloads/"

static json_t *read_json(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    EI_TRUEF(root != NULL, "%s: %s", path, error.text);
    return root;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "(none)";
}

/* The whole of a file; NULL with a failed check. */
static char *read_text(const char *path)
{
    struct stat st;
    FILE *file = fopen(path, "re");
    char *text = NULL;
    if (EI_TRUEF(file != NULL && fstat(fileno(file), &st) == 0, "no %s", path)) {
        text = calloc(1, (size_t)st.st_size + 1);
        EI_TRUE(text != NULL && fread(text, 1, (size_t)st.st_size, file) == (size_t)st.st_size);
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

/* What sha256sum says of a file. */
static void sha256_of(const char *path, char out[65])
{
    char command[600];
    snprintf(command, sizeof command, "sha256sum '%s'", path);
    FILE *pipe = popen(command, "re");
    out[0] = '\0';
    if (pipe != NULL) {
        EI_EQ(fscanf(pipe, "%64s", out), 1);
        pclose(pipe);
    }
}

/* ---- run.json ---- */

static void check_manifest(const json_t *run)
{
    const json_t *task = json_array_get(json_object_get(run, "tasks"), 0);
    const json_t *stage = json_array_get(json_object_get(task, "stages"), 0);
    EI_EQ(json_integer_value(json_object_get(run, "schema")), 1);
    EI_STREQ(text_of(run, "name"), "phase");
    EI_STREQ(text_of(json_object_get(run, "workload"), "file"), WORKLOADS "phase.yaml");
    EI_EQ(strlen(text_of(run, "started_at")), 20);
    EI_STREQ(text_of(task, "name"), "tick");
    EI_STREQ(text_of(stage, "name"), "work");
    EI_STREQ(text_of(stage, "kind"), "cpu");
    EI_EQ(json_integer_value(json_object_get(task, "period_ns")), 20000000);
    const json_t *command = json_object_get(run, "command");
    EI_EQ(json_array_size(command), 8);
    EI_STREQ(json_string_value(json_array_get(command, 1)), "run");
    EI_STREQ(json_string_value(json_array_get(command, 2)), WORKLOADS "phase.yaml");
    EI_TRUE(json_is_string(json_object_get(json_object_get(run, "host"), "kernel")));
    EI_TRUE(json_is_array(json_object_get(run, "degraded")));
}

EI_TEST(a_run_says_what_it_was)
{
    const char *out = in_tmpdir("out");
    char sha256[65];
    setenv("OPENBLAS_NUM_THREADS", "3", 1);
    unsetenv("GOMP_SPINCOUNT");
    unsetenv("EINET_ENVIRONMENT");
    const struct finished *f = einet_run(
        (const char *[]){"run", WORKLOADS "phase.yaml", "--quiet", "--out", out, "--duration", "200ms", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *run = read_json(in_tmpdir("out/run.json"));
    EI_REQUIRE(run != NULL);
    check_manifest(run);
    const json_t *workload = json_object_get(run, "workload"), *environment = json_object_get(run, "environment");
    char *yaml = read_text(in_tmpdir("out/workload.yaml"));
    sha256_of(in_tmpdir("out/workload.yaml"), sha256);
    EI_STREQ(text_of(workload, "sha256"), sha256);
    EI_TRUE(yaml != NULL && strcmp(text_of(workload, "text"), yaml) == 0);
    free(yaml);
    EI_STREQ(text_of(json_object_get(environment, "OPENBLAS_NUM_THREADS"), "by"), "user");
    EI_STREQ(text_of(json_object_get(environment, "OPENBLAS_NUM_THREADS"), "value"), "3");
    EI_STREQ(text_of(json_object_get(environment, "GOMP_SPINCOUNT"), "by"), "einet");
    EI_STREQ(text_of(json_object_get(environment, "GOMP_SPINCOUNT"), "value"), "0");
    const json_t *end = json_object_get(run, "end");
    EI_TRUE(json_is_true(json_object_get(end, "identity_ok")));
    EI_EQ(json_integer_value(json_object_get(end, "duration_ns")), 200000000);
    EI_EQ(strlen(text_of(end, "ended_at")), 20);
    json_decref(run);
}

EI_TEST(a_killed_run_has_its_run_json_too)
{
    const char *out = in_tmpdir("out");
    const pid_t pid = einet_start(
        (const char *[]){"run", WORKLOADS "phase.yaml", "--quiet", "--out", out, "--duration", "60s", NULL});
    EI_TRUE(wait_for_file(in_tmpdir("out/run.json"), 20000));
    EI_EQ(kill(pid, SIGKILL), 0);
    EI_EQ(einet_wait(pid)->status, 128 + SIGKILL);
    json_t *run = read_json(in_tmpdir("out/run.json"));
    EI_REQUIRE(run != NULL);
    check_manifest(run);
    EI_TRUE(json_object_get(run, "end") == NULL);
    json_decref(run);
}

EI_TEST(a_run_that_does_not_start_leaves_none)
{
    EI_EQ(mkdir(in_tmpdir("earlier"), 0755), 0);
    EI_EQ(mkdir(in_tmpdir("earlier/jobs.csv.partial"), 0755), 0);
    EI_EQ(einet_run((const char *[]){"run", WORKLOADS "phase.yaml", "--out", in_tmpdir("earlier"), NULL})->status, 5);
    EI_TRUE(access(in_tmpdir("earlier/run.json"), F_OK) != 0);
}

EI_TEST(a_simulation_says_what_it_was)
{
    const struct finished *f = einet_run((const char *[]){"simulate", WORKLOADS "phase.yaml", "--out", in_tmpdir("out"),
                                                          "--duration", "200ms", "--json", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *run = read_json(in_tmpdir("out/run.json"));
    EI_REQUIRE(run != NULL);
    EI_STREQ(text_of(json_object_get(run, "host"), "engine"), "virtual");
    EI_EQ(json_object_size(json_object_get(json_object_get(run, "privileges"), "asked")), 0);
    EI_TRUE(json_is_object(json_object_get(run, "end")));
    json_decref(run);
}

/* ---- a folder that is not new ---- */

static void make_file(const char *path)
{
    const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EI_TRUEF(fd >= 0, "cannot make %s", path);
    if (fd >= 0) {
        close(fd);
    }
}

/* Whether the folder `out` of this test has the file. */
static bool is_there(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "out/%s", name);
    return access(in_tmpdir(path), F_OK) == 0;
}

EI_TEST(a_killed_run_has_no_file_of_an_earlier_one)
{
    static const char *const earlier[] = {"jobs.csv",      "stages.csv",       "latency.hlog",
                                          "summary.json",  "summary.txt",      "report.html",
                                          "trace.pftrace", "trace-12.pftrace", "trace.pftrace.partial"};
    /* a workload.yaml may be somebody's own, so it is replaced at the end only */
    static const char *const others[] = {"notes.txt", "trace-mine.pftrace", "summary.json.bak", "jobs.csv.partial",
                                         "workload.yaml"};
    char out[512];
    snprintf(out, sizeof out, "%s", in_tmpdir("out")); /* the folder of many names below */
    EI_EQ(mkdir(out, 0755), 0);
    for (size_t i = 0; i < sizeof earlier / sizeof earlier[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "out/%s", earlier[i]);
        make_file(in_tmpdir(path));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "out/%s", others[i]);
        make_file(in_tmpdir(path));
    }
    const pid_t pid =
        einet_start((const char *[]){"run", WORKLOADS "phase.yaml", "--out", out, "--duration", "60s", NULL});
    EI_TRUE(wait_for_file(in_tmpdir("out/run.json"), 20000));
    for (int i = 0; i < 2000 && is_there("jobs.csv"); i++) { /* they go right behind run.json */
        sleep_ms(10);
    }
    for (int i = 0; i < 2000 && is_there("trace.pftrace.partial"); i++) {
        sleep_ms(10);
    }
    EI_EQ(kill(pid, SIGKILL), 0);
    const struct finished *f = einet_wait(pid);
    EI_CONTAINS(f->output, "held files of an earlier run: they are replaced");
    for (size_t i = 0; i < sizeof earlier / sizeof earlier[0]; i++) {
        EI_TRUEF(!is_there(earlier[i]), "%s of an earlier run is still there", earlier[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        EI_TRUEF(is_there(others[i]), "%s is gone", others[i]);
    }
}

/* What is run is never lost to what is written about it. */
EI_TEST(the_workload_file_outlives_a_run_in_its_folder)
{
    char out[512], own[512];
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    snprintf(own, sizeof own, "%s", in_tmpdir("out/workload.yaml"));
    EI_EQ(mkdir(out, 0755), 0);
    FILE *from = fopen(WORKLOADS "phase.yaml", "r"), *to = fopen(own, "w");
    EI_REQUIRE(from != NULL && to != NULL);
    for (int c = fgetc(from); c != EOF; c = fgetc(from)) {
        fputc(c, to);
    }
    fclose(from);
    fclose(to);
    struct stat was, is;
    EI_EQ(stat(own, &was), 0);
    const struct finished *f = einet_run((const char *[]){"simulate", own, "--out", out, NULL});
    EI_EQ(f->status, 0);
    EI_TRUE(is_there("summary.json"));
    EI_EQ(stat(own, &is), 0);
    EI_TRUE(is.st_ino == was.st_ino && is.st_size == was.st_size);
    f = einet_run((const char *[]){"run", own, "--out", out, "--duration", "100ms", NULL});
    EI_EQ(f->status, 1);
    EI_CONTAINS(f->output, "out/workload.yaml is the workload file");
    EI_CONTAINS(f->output, "--out");
    EI_EQ(stat(own, &is), 0);
    EI_TRUE(is.st_ino == was.st_ino && is.st_size == was.st_size);
    EI_TRUE(is_there("summary.json")); /* refused before anything is changed */
}

/* The second one is refused before it changes anything, and the first one's files are whole. */
EI_TEST(two_runs_do_not_write_into_one_folder)
{
    char out[512];
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    const pid_t pid = einet_start(
        (const char *[]){"run", WORKLOADS "phase.yaml", "--quiet", "--out", out, "--duration", "60s", NULL});
    EI_TRUE(wait_for_file(in_tmpdir("out/run.json"), 20000));
    const struct finished *f = einet_run(
        (const char *[]){"run", WORKLOADS "phase.yaml", "--quiet", "--out", out, "--duration", "100ms", NULL});
    EI_EQ(f->status, 5);
    EI_CONTAINS(f->output, "another run writes into");
    f = einet_run((const char *[]){"simulate", WORKLOADS "phase.yaml", "--out", out, NULL});
    EI_EQ(f->status, 5);
    EI_CONTAINS(f->output, "another run writes into");
    EI_EQ(kill(pid, SIGINT), 0);
    EI_EQ(einet_wait(pid)->status, 0);
    EI_TRUE(is_there("summary.json") && is_there("jobs.csv") && is_there("workload.yaml"));
    EI_EQ(einet_run((const char *[]){"simulate", WORKLOADS "phase.yaml", "--out", out, NULL})->status, 0);
}

EI_TEST(a_virtual_run_leaves_no_file_of_an_earlier_one)
{
    const char *out = in_tmpdir("out");
    EI_EQ(mkdir(out, 0755), 0);
    make_file(in_tmpdir("out/report.html"));
    make_file(in_tmpdir("out/trace-1.pftrace"));
    EI_EQ(einet_run((const char *[]){"simulate", WORKLOADS "phase.yaml", "--out", out, NULL})->status, 0);
    EI_TRUE(is_there("summary.json") && is_there("jobs.csv"));
    EI_TRUE(!is_there("report.html") && !is_there("trace-1.pftrace"));
}

/* ---- a disk that does not keep up ---- */

/* Whether the process has a thread of this name, which a job thread has from its task. */
static bool has_thread(pid_t pid, const char *name)
{
    char path[600], comm[32] = "";
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (const struct dirent *entry; tasks != NULL && !found && (entry = readdir(tasks)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/comm", (int)pid, entry->d_name);
        FILE *file = fopen(path, "re");
        if (file != NULL) {
            found = fscanf(file, "%31s", comm) == 1 && strcmp(comm, name) == 0;
            fclose(file);
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return found;
}

/* Lines of jobs that come out of the pipe until it is closed. */
static int64_t count_lines(FILE *pipe)
{
    char line[4096];
    int64_t count = 0;
    while (fgets(line, sizeof line, pipe) != NULL) {
        const bool is_job = strncmp(line, "drip,", 5) == 0 || strncmp(line, "drop,", 5) == 0;
        EI_TRUEF(!is_job || line[strlen(line) - 1] == '\n', "a part of a line: %s", line);
        count += is_job;
    }
    return count;
}

static int64_t lines_lost(const json_t *object)
{
    return json_integer_value(json_object_get(json_object_get(object, "lines_lost"), "jobs.csv"));
}

/* Nobody reads jobs.csv until the last job is over: no job is lost for that, and every line is either there or counted.
 */
EI_TEST(a_stalled_disk_costs_lines_and_no_job)
{
    const char *out = in_tmpdir("out");
    EI_EQ(mkdir(out, 0755), 0);
    EI_EQ(mkfifo(in_tmpdir("out/jobs.csv.partial"), 0600), 0);
    const pid_t pid = einet_start((const char *[]){"run", WORKLOADS "flood.yaml", "--quiet", "--out", out, NULL});
    FILE *pipe = fopen(in_tmpdir("out/jobs.csv.partial"), "re");
    EI_REQUIRE(pipe != NULL);
    EI_TRUE(wait_for_file(in_tmpdir("out/run.json"), 20000));
    for (int i = 0; i < 6000 && (has_thread(pid, "drip") || has_thread(pid, "drop")); i++) {
        sleep_ms(10);
    }
    const int64_t lines = count_lines(pipe);
    fclose(pipe);
    const struct finished *f = einet_wait(pid);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "jobs.csv lacks");
    json_t *summary = read_summary(out), *run = read_json(in_tmpdir("out/run.json"));
    EI_REQUIRE(summary != NULL && run != NULL);
    check_identity(summary);
    const int64_t jobs = task_integer(summary, "drip", "expected") + task_integer(summary, "drop", "expected");
    EI_EQ(jobs, 60002);
    EI_TRUE(lines_lost(summary) > 0);
    EI_EQ(lines + lines_lost(summary), jobs);
    EI_EQ(lines_lost(json_object_get(run, "end")), lines_lost(summary));
    json_decref(summary);
    json_decref(run);
}

/* Lines fill the disk to the last byte: the figures and run.json are written all the same, with the lines counted. */
EI_TEST(a_full_disk_costs_lines_and_no_figure)
{
    const char *disk = in_tmpdir("disk");
    EI_EQ(mkdir(disk, 0755), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", disk, "tmpfs", 0, "size=2m") != 0) {
        ei_test_skip("no right to mount a small disk");
    }
    const struct finished *f =
        einet_run((const char *[]){"run", WORKLOADS "flood.yaml", "--quiet", "--out", in_tmpdir("disk/out"), NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "jobs.csv lacks");
    json_t *summary = read_summary(in_tmpdir("disk/out")), *run = read_json(in_tmpdir("disk/out/run.json"));
    EI_REQUIRE(summary != NULL && run != NULL);
    check_identity(summary);
    EI_TRUE(lines_lost(summary) > 0);
    EI_EQ(lines_lost(json_object_get(run, "end")), lines_lost(summary));
    FILE *jobs = fopen(in_tmpdir("disk/out/jobs.csv"), "re");
    EI_REQUIRE(jobs != NULL);
    EI_EQ(count_lines(jobs) + lines_lost(summary), 60002);
    fclose(jobs);
    json_decref(summary);
    json_decref(run);
}

/* A summary.json that cannot be written: the run says so, and its figures are on the terminal. */
EI_TEST(a_run_whose_files_are_refused_prints_its_figures)
{
    const char *out = in_tmpdir("out");
    EI_EQ(mkdir(out, 0755), 0);
    EI_EQ(mkdir(in_tmpdir("out/summary.json.partial"), 0755), 0);
    const struct finished *f = einet_run(
        (const char *[]){"run", WORKLOADS "phase.yaml", "--quiet", "--out", out, "--duration", "200ms", NULL});
    EI_EQ(f->status, 5);
    EI_CONTAINS(f->output, "summary.json.partial: Is a directory");
    EI_CONTAINS(f->output, "tick ");
    EI_CONTAINS(f->output, "machine noise");
    EI_TRUE(strstr(f->output, "files in") == NULL);
}

EI_MAIN()
