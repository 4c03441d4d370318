/* See look.h. */
#include "tests/doctor/look.h"

#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char program[512]; /* what is executed */

const char *in_tmpdir(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", ei_test_tmpdir(), name);
    return path;
}

void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (EI_TRUEF(file != NULL, "cannot write %s", path)) {
        fputs(text, file);
        fclose(file);
    }
}

static void child(ei_fault before, const char *file, const char *only)
{
    char sanitizer[256];
    const char *before_options = getenv("ASAN_OPTIONS");
    const int fd = open(in_tmpdir("findings.json"), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
        _exit(126);
    }
    /* who has capabilities by a file cannot be traced, which the search for leaks wants */
    snprintf(sanitizer, sizeof sanitizer, "%.200s:detect_leaks=0", before_options != NULL ? before_options : "");
    setenv("ASAN_OPTIONS", sanitizer, 1);
    if (before != NULL && before() != 0) {
        _exit(77);
    }
    if (file == NULL) {
        execl(program, "einet", "doctor", "--json", "--only", only, (char *)NULL);
    } else {
        execl(program, "einet", "doctor", "--json", "--only", only, file, (char *)NULL);
    }
    _exit(127);
}

struct seen look(ei_fault before, const char *file, const char *id)
{
    struct seen seen = {.status = -1};
    json_error_t error;
    int status = 0;
    if (program[0] == '\0') {
        snprintf(program, sizeof program, "%s/einet", ei_test_build_dir());
    }
    unlink(in_tmpdir("findings.json"));
    (void)chmod(ei_test_tmpdir(), 0777);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        child(before, file, id);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    seen.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (seen.status == 77) {
        ei_test_skip("this machine does not let the fault be made");
    }
    json_t *report = json_load_file(in_tmpdir("findings.json"), JSON_REJECT_DUPLICATES, &error);
    if (!EI_TRUEF(report != NULL, "exit status %d, no JSON: %s", seen.status, error.text)) {
        return seen;
    }
    json_t *probes = json_object_get(report, "probes"), *probe = json_array_get(probes, 0);
    EI_EQ(json_integer_value(json_object_get(report, "schema")), 1);
    EI_EQ(json_array_size(probes), 1);
    EI_STREQ(json_string_value(json_object_get(probe, "id")), id);
    snprintf(seen.verdict, sizeof seen.verdict, "%s", json_string_value(json_object_get(probe, "verdict")));
    snprintf(seen.found, sizeof seen.found, "%s", json_string_value(json_object_get(probe, "found")));
    snprintf(seen.wanted, sizeof seen.wanted, "%s", json_string_value(json_object_get(probe, "wanted")));
    snprintf(seen.fix, sizeof seen.fix, "%s", json_string_value(json_object_get(probe, "fix")));
    printf("%s %s: %s (wanted: %s; fix: %s)\n", seen.verdict, id, seen.found, seen.wanted, seen.fix);
    json_decref(report);
    return seen;
}

void expect_ok(const struct seen *seen)
{
    EI_STREQ(seen->verdict, "ok");
    EI_STREQ(seen->fix, "");
    EI_EQ(seen->status, 0);
}

void expect_fail(const struct seen *seen, int status, const char *found)
{
    EI_STREQ(seen->verdict, "fail");
    EI_CONTAINS(seen->found, found);
    EI_TRUE(seen->wanted[0] != '\0' && seen->fix[0] != '\0');
    EI_EQ(seen->status, status);
}

void need_root(void)
{
    if (geteuid() != 0) {
        ei_test_skip("making this fault needs root");
    }
}

const char *workload(const char *extra)
{
    static char text[2048];
    snprintf(text, sizeof text,
             "version: 1\nname: ill\nrun: { duration: 1s }\n%s"
             "tasks:\n  - name: t\n    arrival: { model: periodic, period: 10ms }\n    priority: 40\n"
             "    stages: [ { name: s, kind: cpu, work: { spin: 100us } } ]\n",
             extra);
    write_text(in_tmpdir("ill.yaml"), text);
    return in_tmpdir("ill.yaml");
}

int become_nobody(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_RTPRIO, &none) != 0 ||
           (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0));
}
