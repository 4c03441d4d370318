/* einet report and einet compare as users call them, on runs of einet simulate. */
#include "tests/harness/harness.h"
#include "tests/integration/command.h"

#include <stdlib.h>
#include <sys/stat.h>

static const char workload[] =
    "version: 1\n"
    "name: seen\n"
    "run: { duration: 4s, warmup: 100ms, seed: 9 }\n"
    "lanes: { acc: { kind: cpu, cpus: \"1\", preempt: block } }\n"
    "models:\n"
    "  net: { emulate: { blocks: [ { conv: { lognormal: { median: 1ms, p99: 2ms } }, branch: 0.2ms, score: 0.6 },\n"
    "                              { conv: 1ms, branch: 0.3ms, score: 0.8 }, { conv: 2ms, score: 0.9 } ] } }\n"
    "tasks:\n"
    "  - { name: alarm, arrival: { model: sporadic, min_interarrival: 20ms, mean: 40ms }, deadline: 10ms,\n"
    "      priority: 70, on_preempt: none, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
    "  - { name: camera, arrival: { model: periodic, period: 10ms }, priority: 50, on_preempt: %s, deadline: 6ms,\n"
    "      late_release: { queue: 1, drop: oldest }, stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n";

/* Simulate into the folder `name` and return its path, which stays. */
static const char *simulated(const char *name, const char *on_preempt, const char *seed)
{
    static char folders[4][512];
    static int next;
    char text[2048], *folder = folders[next++ % 4];
    snprintf(text, sizeof text, workload, on_preempt);
    snprintf(folder, sizeof folders[0], "%s", in_tmpdir(name));
    const struct finished *f =
        einet_run((const char *[]){"simulate", write_file("w.yaml", text), "--seed", seed, "--out", folder, NULL});
    EI_TRUEF(f->status == 0 || f->status == 4, "status %d: %s", f->status, f->output);
    return folder;
}

static void expect(int status, const char *text, const char *const *args)
{
    const struct finished *f = einet_run(args);
    EI_EQ(f->status, status);
    EI_CONTAINS(f->output, text);
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0' && (unsigned char)*text < 128; text++) {
    }
    return *text == '\0';
}

EI_TEST(a_report_is_written_where_it_is_wanted)
{
    struct stat st;
    char page[600];
    const char *folder = simulated("run", "exit", "1");
    snprintf(page, sizeof page, "%s/report.html", folder);
    expect(0, page, (const char *[]){"report", folder, NULL});
    EI_EQ(stat(page, &st), 0);
    EI_IN(st.st_size, 40000, 5000000);
    snprintf(page, sizeof page, "%s", in_tmpdir("elsewhere.html"));
    expect(0, page, (const char *[]){"report", folder, "--out", page, NULL});
    EI_EQ(stat(page, &st), 0);
}

EI_TEST(plots_are_unicode_or_plain_ascii)
{
    const char *folder = simulated("run", "exit", "1");
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("NO_COLOR");
    const struct finished *f = einet_run((const char *[]){"report", folder, "--plot", NULL});
    EI_EQ(f->status, 0);
    EI_CONTAINS(f->output, "\u2588");
    EI_CONTAINS(f->output, "D = 6 ms");
    EI_CONTAINS(f->output, "camera");
    EI_CONTAINS(f->output, "exit 3");
    setenv("NO_COLOR", "1", 1);
    f = einet_run((const char *[]){"report", folder, "--plot", NULL});
    EI_TRUE(f->status == 0 && is_ascii(f->output) && strchr(f->output, '#') != NULL);
    unsetenv("NO_COLOR");
    setenv("LC_ALL", "C", 1);
    f = einet_run((const char *[]){"compare", folder, folder, "--plot", NULL});
    EI_TRUE(f->status == 0 && is_ascii(f->output));
    EI_CONTAINS(f->output, "exit 3 B");
}

static json_t *figure(json_t *comparison, const char *task, const char *name)
{
    json_t *entry, *row;
    size_t i, k;
    json_array_foreach(json_object_get(comparison, "tasks"), i, entry)
    {
        json_array_foreach(json_object_get(entry, "figures"), k, row)
        {
            if (strcmp(json_string_value(json_object_get(entry, "name")), task) == 0 &&
                strcmp(json_string_value(json_object_get(row, "figure")), name) == 0) {
                return row;
            }
        }
    }
    EI_TRUEF(false, "no %s of %s", name, task);
    return NULL;
}

/* A run that ended before the first release. */
EI_TEST(a_run_without_a_job_says_so)
{
    char out[512];
    snprintf(out, sizeof out, "%s", in_tmpdir("none"));
    const char *file =
        write_file("none.yaml", "version: 1\nname: none\nrun: { duration: 100ms, warmup: 0s, seed: 1 }\ntasks:\n"
                                "  - name: late\n    arrival: { model: periodic, period: 10s, offset: 5s }\n"
                                "    priority: 20\n    stages: [ { name: s, kind: cpu, work: { spin: 1ms } } ]\n");
    expect(0, "late", (const char *[]){"simulate", file, "--out", out, NULL});
    expect(0, "none completed", (const char *[]){"report", out, "--plot", NULL});
    expect(0, "report.html", (const char *[]){"report", out, NULL});
    expect(0, "late   no job in A and none in B", (const char *[]){"compare", out, out, NULL});
}

/* A folder of somebody else: its texts do not steer the terminal. */
EI_TEST(control_characters_of_a_folder_do_not_reach_the_terminal)
{
    static const char *const outs[][5] = {
        {"report", "x", "--plot"}, {"compare", "x", "x"}, {"compare", "x", "x", "--plot"}};
    char folder[512], command[1200];
    setenv("NO_COLOR", "1", 1);
    snprintf(folder, sizeof folder, "%s", simulated("run", "exit", "1"));
    snprintf(command, sizeof command,
             "cd '%s' && sed -i 's/\"degraded\": \\[\\]/\"degraded\": [{\"reason\": \"a\\\\u001b[2Jb\\\\u009b2Jc\"}]/' "
             "summary.json && grep -q u009b summary.json",
             folder);
    EI_EQ(system(command), 0);
    for (size_t i = 0; i < sizeof outs / sizeof outs[0]; i++) {
        const char *args[6] = {outs[i][0]};
        for (size_t k = 1; k < 5 && outs[i][k] != NULL; k++) {
            args[k] = outs[i][k][0] == 'x' ? folder : outs[i][k];
        }
        const struct finished *f = einet_run(args);
        EI_EQ(f->status, 0);
        EI_CONTAINS(f->output, "a?[2Jb??2Jc");
        EI_TRUE(strchr(f->output, '\x1b') == NULL && strstr(f->output, "\xc2\x9b") == NULL);
    }
    snprintf(command, sizeof command, "sed -i '2s/^\\([^,]*\\),[0-9]*/\\1,\x1b]0;pwn\x07/' '%s/jobs.csv'", folder);
    EI_EQ(system(command), 0);
    const struct finished *f = einet_run((const char *[]){"report", folder, NULL});
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "'?]0;pwn?' is not a whole number");
    unsetenv("NO_COLOR");
}

EI_TEST(two_ways_to_be_preempted_are_told_apart)
{
    const char *leave = simulated("leave", "exit", "1"), *resume = simulated("resume", "resume", "1");
    const struct finished *f = einet_run((const char *[]){"compare", leave, resume, "--json", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *comparison = json_loads(f->output, 0, NULL);
    EI_REQUIRE(comparison != NULL);
    EI_STREQ(json_string_value(json_object_get(figure(comparison, "camera", "exit_0"), "larger")), "A");
    EI_TRUE(json_is_null(json_object_get(figure(comparison, "alarm", "miss_ratio"), "better")));
    json_t *exit = figure(comparison, "camera", "exit_2");
    EI_TRUE(json_is_null(json_object_get(exit, "better")));
    EI_STREQ(json_string_value(json_object_get(exit, "larger")), "B");
    EI_TRUE(json_is_true(json_object_get(exit, "is_difference_shown")));
    json_decref(comparison);
    expect(0, "no difference shown", (const char *[]){"compare", leave, resume, NULL});
}

EI_TEST(bad_calls_and_folders_are_named)
{
    char jobs[600];
    const char *folder = simulated("run", "exit", "1");
    expect(1, "the folder of which run?", (const char *[]){"report", NULL});
    expect(1, "one folder only", (const char *[]){"report", "a", "b", NULL});
    expect(1, "unknown option --what", (const char *[]){"report", "a", "--what", NULL});
    expect(1, "missing value of --out", (const char *[]){"report", "a", "--out", NULL});
    expect(1, "--plot writes no page", (const char *[]){"report", "a", "--plot", "--out", "b", NULL});
    expect(1, "folders of two runs", (const char *[]){"compare", "a", NULL});
    expect(1, "--json or --plot", (const char *[]){"compare", "a", "b", "--json", "--plot", NULL});
    expect(0, "usage: einet report", (const char *[]){"report", "--help", NULL});
    expect(0, "usage: einet compare", (const char *[]){"compare", "--help", NULL});
    expect(2, "has no summary.json", (const char *[]){"report", ei_test_tmpdir(), NULL});
    expect(5, "/nowhere/page.html", (const char *[]){"report", folder, "--out", "/nowhere/page.html", NULL});
    snprintf(jobs, sizeof jobs, "%s/jobs.csv", folder);
    FILE *out = fopen(jobs, "ae");
    EI_REQUIRE(out != NULL);
    fputs("camera,1,2\n", out);
    fclose(out);
    expect(2, "3 columns where the line of names has 41", (const char *[]){"report", folder, NULL});
    expect(2, "jobs.csv:", (const char *[]){"compare", folder, folder, NULL});
}

EI_MAIN()
