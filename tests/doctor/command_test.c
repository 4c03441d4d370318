/* The command as a whole, and what einet run shows of it. */
#include "tests/doctor/look.h"
#include "tests/doctor/shell.h"
#include "tests/harness/harness.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Exit status of einet doctor with these arguments; its standard output goes to a file. */
static int doctor(const char *arguments, const char *output)
{
    char command[1600];
    snprintf(command, sizeof command, "'%s/einet' doctor %s >'%s' 2>&1", ei_test_build_dir(), arguments, output);
    return run_fix(command);
}

static void read_text(const char *path, char *out, size_t size_bytes)
{
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    if (EI_TRUEF(file != NULL, "cannot read %s", path)) {
        out[fread(out, 1, size_bytes - 1, file)] = '\0';
        fclose(file);
    }
}

static const char *const ids[] = {"fifo",
                                  "sched_deadline",
                                  "rtprio_limit",
                                  "cgroup_rt_runtime",
                                  "rt_throttling",
                                  "memory_lock",
                                  "cpu_dma_latency",
                                  "cpus",
                                  "output",
                                  "data",
                                  "weights",
                                  "gpu",
                                  "libtorch",
                                  "onednn",
                                  "environment",
                                  "fifo_load",
                                  "release",
                                  "gaps",
                                  "steal",
                                  "clock_source",
                                  "timers",
                                  "preemption",
                                  "governor",
                                  "smt",
                                  "thp",
                                  "swap"};

/* What --only takes; completions read it there. */
EI_TEST(help_names_every_probe_and_no_other)
{
    static char text[16 * 1024];
    size_t named = 0;
    EI_EQ(doctor("--help", in_tmpdir("help.txt")), 0);
    read_text(in_tmpdir("help.txt"), text, sizeof text);
    char *at = strstr(text, "They are "), *end = strstr(text, "  --json");
    EI_REQUIRE(at != NULL && end != NULL && at < end);
    *end = '\0';
    for (char *word = strtok(at + strlen("They are "), " \n"); word != NULL; word = strtok(NULL, " \n")) {
        EI_REQUIRE(named < sizeof ids / sizeof ids[0]);
        EI_STREQ(word, ids[named]);
        named++;
    }
    EI_EQ(named, sizeof ids / sizeof ids[0]);
}

EI_TEST(all_probes_are_made_in_one_go)
{
    const size_t count = sizeof ids / sizeof ids[0];
    static char text[32 * 1024];
    char arguments[600], output[512];
    snprintf(output, sizeof output, "%s", in_tmpdir("all.json"));
    snprintf(arguments, sizeof arguments, "--json '%s'", workload(""));
    const int status = doctor(arguments, output);
    EI_TRUEF(status == 0 || status == 2 || status == 3 || status == 5, "exit status %d", status);
    json_t *report = json_load_file(output, JSON_REJECT_DUPLICATES, NULL);
    json_t *probes = json_object_get(report, "probes");
    EI_EQ(json_array_size(probes), count);
    for (size_t i = 0; i < count; i++) {
        EI_STREQ(json_string_value(json_object_get(json_array_get(probes, i), "id")), ids[i]);
    }
    EI_EQ(strcmp(json_string_value(json_object_get(report, "verdict")), "fail") == 0, status != 0);
    printf("took %.1f s\n", (double)json_integer_value(json_object_get(report, "took_ns")) / 1e9);
    json_decref(report);
    (void)doctor("--only thp,swap", output);
    read_text(output, text, sizeof text);
    EI_CONTAINS(text, "  thp                ");
    EI_CONTAINS(text, "  swap               ");
    EI_CONTAINS(text, " fail, in ");
}

EI_TEST(wrong_uses_are_refused)
{
    static char text[32 * 1024];
    char output[512], arguments[600];
    snprintf(output, sizeof output, "%s", in_tmpdir("said.txt"));
    EI_EQ(doctor("--only nonsense", output), 1);
    read_text(output, text, sizeof text);
    EI_CONTAINS(text, "there is no probe 'nonsense': einet help doctor lists them");
    EI_EQ(doctor("--only output", output), 1);
    EI_EQ(doctor("--only", output), 1);
    EI_EQ(doctor("--fast", output), 1);
    EI_EQ(doctor("a.yaml b.yaml", output), 1);
    EI_EQ(doctor("nowhere.yaml", output), 2);
    /* a name of another encoding is told, too */
    write_text(in_tmpdir("caf\xe9.yaml"),
               "version: 1\nname: n\ntasks:\n  - { name: t, arrival: { model: periodic, period: 1s }, "
               "stages: [ { name: s, kind: cpu, work: { spin: 1ms } } ] }\n");
    snprintf(arguments, sizeof arguments, "--json --only thp '%.550s'", in_tmpdir("caf\xe9.yaml"));
    EI_EQ(doctor(arguments, output), 0);
    json_t *report = json_load_file(output, JSON_REJECT_DUPLICATES, NULL);
    EI_CONTAINS(json_string_value(json_object_get(report, "file")), "caf?.yaml");
    json_decref(report);
    EI_EQ(doctor("--help", output), 0);
    read_text(output, text, sizeof text);
    EI_CONTAINS(text, "example: einet doctor");
}

EI_TEST(a_run_says_the_two_worst_when_it_starts)
{
    char text[4096], command[1600];
    int lines = 0;
    need_root();
    if (program[0] == '\0') {
        snprintf(program, sizeof program, "%s/einet", ei_test_build_dir());
    }
    /* an unprivileged run has at least the two: no SCHED_FIFO, and the limit that forbids it */
    (void)chmod(ei_test_tmpdir(), 0777);
    const char *file = workload("outputs: { dir: \"out\", jobs: none }\n");
    snprintf(command, sizeof command,
             "setpriv --reuid %d --regid %d --clear-groups '%s' run %s --duration 20ms --out '%s' 2>'%s' >/dev/null",
             NOBODY, NOBODY, program, file, in_tmpdir("o1"), in_tmpdir("messages.txt"));
    EI_EQ(run_fix(command), 0);
    read_text(in_tmpdir("messages.txt"), text, sizeof text);
    for (const char *at = text; (at = strstr(at, "(fix: ")) != NULL; at++) {
        lines++;
    }
    EI_CONTAINS(text, "einet run: fail fifo: SCHED_FIFO 40 refused");
    EI_EQ(lines, 2);
    EI_CONTAINS(text, "see einet doctor");
    snprintf(
        command, sizeof command,
        "setpriv --reuid %d --regid %d --clear-groups '%s' run %s --quiet --duration 20ms --out '%s' 2>&1 >/dev/null | "
        "grep doctor",
        NOBODY, NOBODY, program, file, in_tmpdir("o2"));
    EI_EQ(run_fix(command), 1);
}

EI_MAIN()
