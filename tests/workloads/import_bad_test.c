/* What cannot be imported: each mistake is named with its line, and what can be left out is a comment with losses
 * allowed. See import_test.c.
 */
#include "tests/workloads/texts.h"
#include "workloads/import.h"

struct bad {
    const char *text;
    int line;
    const char *part; /* of an error's sentence or hint */
    bool is_lossable; /* then the import with losses works */
};

static bool has_error(const struct ei_diagnostics *diag, int line, const char *part)
{
    for (int32_t i = 0; i < diag->count; i++) {
        const struct ei_diagnostic *item = &diag->items[i];
        if (item->severity == EI_SEVERITY_ERROR && item->place.line == line &&
            (strstr(item->text, part) != NULL || strstr(item->hint, part) != NULL)) {
            return true;
        }
    }
    return false;
}

static void expect_comment(const struct bad *bad, const struct ei_imported *imported)
{
    char comment[64];
    snprintf(comment, sizeof comment, "# LOST, line %d: ", bad->line);
    EI_CONTAINS(imported->yaml, comment);
    ei_workload_destroy(text_parse(imported->yaml, "lossy.yaml"));
}

/* format EI_IMPORT_AUTO finds out by itself. */
static void expect_bad(const struct bad *bad, enum ei_import_format format)
{
    struct ei_import_options options = {.format = format, .time_count = 1, .times = {{"net", 5000000}}};
    struct ei_imported imported;
    struct ei_diagnostics diag;
    int rc = ei_import_text(bad->text, strlen(bad->text), "tests/workloads/import/bad.txt", "bad", &options, &imported,
                            &diag);
    char *said = text_diagnose(&diag);
    EI_TRUEF(rc == EINET_E_FILE && has_error(&diag, bad->line, bad->part), "rc %d, wanted line %d: '%s', got\n%s\n%s",
             rc, bad->line, bad->part, said, bad->text);
    free(said);
    ei_diagnostics_fini(&diag);
    options.is_lossy = true;
    rc = ei_import_text(bad->text, strlen(bad->text), "tests/workloads/import/bad.txt", "bad", &options, &imported,
                        &diag);
    said = text_diagnose(&diag);
    EI_TRUEF((rc == 0) == bad->is_lossable, "with losses: rc %d\n%s\n%s", rc, said, bad->text);
    free(said);
    ei_diagnostics_fini(&diag);
    if (rc == 0) {
        expect_comment(bad, &imported);
        ei_imported_fini(&imported);
    }
}

#define EXPECT_ALL(table, format)                                                                                      \
    for (size_t i = 0; i < sizeof(table) / sizeof(table)[0]; i++) {                                                    \
        expect_bad(&(table)[i], (format));                                                                             \
    }

/* ---- rt-app ---- */

/* A file whose line 3 holds the thread's keys and whose line 5 holds another, right, thread. */
#define RT_APP(keys)                                                                                                   \
    "{ \"global\": { \"duration\": 2 },\n"                                                                             \
    "\"tasks\": { \"a\": {\n" keys "\n},\n"                                                                            \
    "\"z\": { \"run\": 10, \"timer\": { \"ref\": \"unique\", \"period\": 5000 } } } }"
#define TIMER "\"timer\": { \"ref\": \"unique\", \"period\": 5000 }"

EI_TEST(bad_rt_app_events_and_parameters)
{
    static const struct bad table[] = {
        {RT_APP("\"run\": 2000, \"sleep\": 8000"), 3, "\"period\": 10000", true},
        {RT_APP("\"run\": 10, \"lock\": \"m\", " TIMER), 3, "event 'lock' of task 'a'", true},
        {RT_APP("\"run\": 10, \"resume\": \"z\", " TIMER), 3, "do not wake each other", true},
        {RT_APP("\"run\": 10, \"mem\": 4096, " TIMER), 3, "processor time only", true},
        {RT_APP("\"run\": 10, \"barrier\": \"b\", " TIMER), 3, "'barrier'", true},
        {RT_APP("\"run\": 10, \"fork\": \"z\", " TIMER), 3, "'fork'", true},
        {RT_APP("\"run\": 10, \"sleep\": 5, " TIMER), 3, "runs through", true},
        {RT_APP("\"run\": 10"), 2, "never waits", true},
        {RT_APP("\"run\": 10, \"util_min\": 500, " TIMER), 3, "'util_min'", true},
        {RT_APP("\"run\": 10, \"membind_nodes\": [1], " TIMER), 3, "not bound to nodes", true},
        {RT_APP("\"run\": 10, \"taskgroup\": \"/g\", " TIMER), 3, "no task groups", true},
        {RT_APP("\"run\": 10, \"polcy\": \"SCHED_FIFO\", " TIMER), 3, "unknown key 'polcy'", true},
        {RT_APP("\"policy\": \"SCHED_DEADLINE\", \"run\": 10, " TIMER), 3, "SCHED_DEADLINE", true},
        {RT_APP("\"policy\": \"SCHED_IDLE\", \"run\": 10, " TIMER), 3, "SCHED_IDLE", true},
        {RT_APP("\"priority\": -19, \"run\": 10, " TIMER), 3, "nice value", true},
        {RT_APP("\"policy\": \"SCHED_FIFO\", \"priority\": 99, \"run\": 10, " TIMER), 3, "98", true},
        {RT_APP("\"run\": 10, \"timer\": { \"ref\": \"unique\", \"period\": 60 }"), 3, "100us", true},
        {RT_APP("\"run\": 10, " TIMER ",\n\"timer2\": { \"ref\": \"uniqueB\", \"period\": 5000 }"), 4, "second timer",
         true},
        {RT_APP("\"instance\": 2, \"run\": 10, \"timer\": { \"ref\": \"tick\", \"period\": 5000 }"), 3, "shared", true},
        {RT_APP("\"run\": 10, " TIMER ", \"run2\": 10"), 2, "released at once", true},
        {RT_APP("\"instance\": 100, \"run\": 10, " TIMER), 3, "64 tasks", true},
        {RT_APP("\"loop\": 20000, \"run\": 10, " TIMER), 3, "needs count: 20000", true},
        {RT_APP("\"policy\": \"SCHED_NORMAL\", \"run\": 10, " TIMER), 3, "SCHED_NORMAL", false},
        {RT_APP("\"policy\": \"SCHED_FIFO\", \"priority\": 100, \"run\": 10, " TIMER), 3, "from 0 to 99", false},
        {RT_APP("\"run\": \"10\", " TIMER), 3, "a whole number, and this is a string", false},
        {RT_APP("\"run\": -10, " TIMER), 3, "this is -10", false},
        {RT_APP("\"run\": 10, \"timer\": 5000"), 3, "an object", false},
        {RT_APP("\"run\": 10, \"timer\": { \"period\": 5000 }"), 3, "no 'ref'", false},
        {RT_APP("\"run\": 10, \"timer\": { \"ref\": \"unique\" }"), 3, "no 'period'", false},
        {RT_APP("\"run\": 10, \"timer\": { \"ref\": \"unique\", \"period\": 1, \"mode\": \"x\" }"), 3, "absolute",
         false},
        {RT_APP("\"cpus\": [], \"run\": 10, " TIMER), 3, "'cpus' of task 'a' is empty", false},
        {RT_APP("\"cpus\": [1,\n4000], \"run\": 10, " TIMER), 4, "1023", false},
        {RT_APP("\"loop\": 0, \"run\": 10, " TIMER), 3, "runs nothing", false},
        {RT_APP("\"delay\": 1, \"delay\": 2, \"run\": 10, " TIMER), 3, "'delay' twice", false},
        {RT_APP(TIMER), 2, "no work", false},
        {RT_APP("\"instance\": -1, \"run\": 10, " TIMER), 3, "'instance'", false}};
    EXPECT_ALL(table, EI_IMPORT_AUTO);
}

EI_TEST(bad_rt_app_phases)
{
    static const struct bad table[] = {
        {RT_APP("\"phases\": { \"p\": { \"loop\": -1, \"run\": 10, " TIMER " },\n\"q\": { \"run\": 10, " TIMER " } }"),
         3, "never ends", false},
        {RT_APP("\"phases\": { \"p\": { \"run\": 10, " TIMER " },\n\"q\": { \"priority\": 5, \"run\": 10, " TIMER
                " } }"),
         4, "changes the priority", true},
        {RT_APP("\"loop\": 4, \"phases\": { \"p\": { \"run\": 10, " TIMER " }, \"q\": { \"run\": 10, " TIMER " } }"), 2,
         "4 times", true},
        {RT_APP("\"phases\": { \"p\": { \"run\": 10, " TIMER " },\n\"p\": { \"run\": 10, " TIMER " } }"), 4,
         "two phases", false},
        {RT_APP("\"run\": 10,\n\"phases\": { \"p\": { \"run\": 10, " TIMER " } }"), 3, "beside its phases", true},
        {RT_APP("\"phases\": { }"), 3, "no phase", false},
        {RT_APP("\"phases\": [ ]"), 3, "'phases' of task 'a' must be an object", false},
        {RT_APP("\"phases\": { \"p\":\n { \"instance\": 2, \"run\": 10, " TIMER " } }"), 4, "unknown key 'instance'",
         true}};
    EXPECT_ALL(table, EI_IMPORT_AUTO);
}

EI_TEST(bad_rt_app_files)
{
    static const struct bad table[] = {
        {"{ \"tasks\": { \"a\": { \"run\": 10, " TIMER " } },\n\"global\": { \"duration\": -1 } }", 2, "no end", true},
        {"{ \"tasks\": { \"a\": { \"run\": 10, " TIMER " } } }", 1, "no 'duration'", true},
        {"{ \"tasks\": { \"a\": { \"run\": 10, " TIMER
         " } },\n\"global\": { \"duration\": 9,\n\"calibration\": 250 } }",
         3, "ns per loop", true},
        {"{ \"tasks\": { \"a\": { \"run\": 10, " TIMER " } },\n\"global\": { \"duration\": 9,\n\"logdri\": \"\" } }", 3,
         "did you mean 'logdir'?", true},
        {"{ \"tasks\": { \"a\": { \"run\": 10, " TIMER " } },\n\"globl\": 1, \"global\": { \"duration\": 9 } }", 2,
         "did you mean 'global'?", true},
        {"{ \"tasks\": { \"a\": { \"run\": 10, " TIMER " } },\n\"global\": { \"duration\": 9, \"duration\": 8 } }", 2,
         "'duration' twice", false},
        {"{ \"tasks\": { \"a\": { \"run\": 10, " TIMER " },\n\"a\": { \"run\": 10, " TIMER " } },\n"
         "\"global\": { \"duration\": 9 } }",
         2, "two tasks are named 'a'", false},
        {"{ \"tasks\": { }, \"global\": { \"duration\": 9 } }", 0, "no task", false},
        {"{ \"tasks\": { \"a\": 7 }, \"global\": { \"duration\": 9 } }", 1, "must be an object", false},
        {"{ \"tasks\": 7, \"global\": { \"duration\": 9 } }", 1, "'tasks' of the file", false},
        {"{ \"global\": { \"duration\": 9 } }", 1, "no 'tasks'", false},
        {RT_APP("\"policy\": \"SCHED_RR\", \"run\": 10, " TIMER
                "},\n\"b\": { \"policy\": \"SCHED_FIFO\", \"run\": 10, " TIMER),
         3, "take turns at priority 10", true}};
    EXPECT_ALL(table, EI_IMPORT_RT_APP);
}

EI_TEST(bad_json_syntax)
{
    static const struct bad table[] = {{"{ \"tasks\": {\n  \"a\": { \"run\" 5 } } }", 2, "':' is expected", false},
                                       {"{ \"tasks\": {\n\n  \"a\": 01 } }", 3, "begins with a digit", false},
                                       {"{ \"tasks\": {\n \"a\": \"x\n\" } }", 2, "does not end", false},
                                       {"{ \"tasks\": { \"a\": \"\\q\" } }", 1, "unknown escape", false},
                                       {"{ \"tasks\": {\n/* \"a\": 5 } }", 2, "comment does not end", false},
                                       {"{ \"tasks\": {\n\"a\": 5 }\n} x", 3, "goes on behind its end", false},
                                       {"{ \"tasks\":\n [ 1 2 ] }", 2, "',' or ']'", false},
                                       {"{ \"tasks\":\n { a: 2 } }", 2, "double quotes", false},
                                       {"{ \"tasks\":\n [ 99999999999999999999 ] }", 2, "too large", false},
                                       {"{ \"tasks\":\n [ \"\\ud800\" ] }", 2, "surrogate", false},
                                       {"{ \"tasks\":\n [ tru ] }", 2, "no JSON value", false},
                                       {"{ \"tasks\":\n { \"a\": 1,\n", 2, "does not end", false},
                                       {"[ ]", 0, "neither rt-app nor DISB", false},
                                       {"hello", 0, "cannot tell", false},
                                       {"", 0, "cannot tell", false}};
    EXPECT_ALL(table, EI_IMPORT_AUTO);
}

/* The column, too, in characters. */
EI_TEST(bad_columns_count_characters)
{
    static const char text[] = "{ \"global\": { \"duration\": 1 }, \"tasks\": {\n"
                               "  \"\xc3\xa4\xc3\xb6\": { \"run\": true } } }";
    struct ei_import_options options = {.format = EI_IMPORT_AUTO};
    struct ei_imported imported;
    struct ei_diagnostics diag;
    EI_EQ(ei_import_text(text, strlen(text), "x", "x", &options, &imported, &diag), EINET_E_FILE);
    EI_EQ(diag.items[0].place.line, 2);
    EI_EQ(diag.items[0].place.column, 18);
    EI_EQ(diag.items[0].length, 4);
    ei_diagnostics_fini(&diag);
}

EI_TEST(bad_deep_and_large_json_is_refused)
{
    char text[512];
    memset(text, '[', sizeof text);
    expect_bad(&(struct bad){(text[300] = '\0', text), 1, "too deep", false}, EI_IMPORT_DISB);
}

/* ---- DISB ---- */

/* Line 3: the load, line 4: the client; line 6 is a right task. */
#define DISB(load, client)                                                                                             \
    "{ \"time\": 5, \"tasks\": [\n"                                                                                    \
    "{ \"id\": \"a\", \"load\":\n" load ",\n\"client\": " client " },\n\n"                                             \
    "{ \"load\": { \"type\": \"continuous\" }, \"client\": { \"model_name\": \"net\" } } ] }"
#define PERIODIC "{ \"type\": \"periodic\", \"priority\": 1, \"frequency\": 10 }"
#define CLIENT "{ \"model_name\": \"net\" }"

EI_TEST(bad_disb_tasks)
{
    static const struct bad table[] = {
        {DISB(PERIODIC, "{ \"model_name\": \"vgg\" }"), 3 + 1, "--time vgg=5ms", true},
        {DISB(PERIODIC, "{ \"name\": \"x\" }"), 4, "names no model", true},
        {DISB(PERIODIC, "{ \"model_name\": \"net\", \"batch_size\": 8 }"), 4, "batches of 8", true},
        {DISB(PERIODIC, "{ \"model_name\": \"net\", \"preprocess_time\": 8 }"), 4, "'preprocess_time'", true},
        {DISB("{ \"type\": \"dependent\", \"prev_task_ids\": [\"b\"] }", CLIENT), 3, "when others have ended", true},
        {DISB("{ \"type\": \"periodic\", \"frequency\": 20000 }", CLIENT), 2, "period: 50us", true},
        {DISB("{ \"type\": \"poisson\", \"frequency\": 20000 }", CLIENT), 2, "mean: 50us", true},
        {DISB("{ \"type\": \"periodic\", \"frequency\": 1e-12 }", CLIENT), 3, "out of range", true},
        {DISB("{ \"type\": \"periodic\", \"frequency\": 5, \"burst\": 2 }", CLIENT), 3, "'burst'", true},
        {DISB("{ \"type\": \"periodic\", \"frequency\": 0 }", CLIENT), 3, "never sends", false},
        {DISB("{ \"type\": \"periodic\" }", CLIENT), 2, "no 'frequency'", false},
        {DISB("{ \"type\": \"poisson\", \"frequency\": \"20\" }", CLIENT), 3, "a number", false},
        {DISB("{ \"type\": \"pareto\" }", CLIENT), 3, "unknown type 'pareto'", false},
        {DISB("{ \"frequency\": 5 }", CLIENT), 2, "no 'type'", false},
        {DISB("{ \"type\": \"trace\", \"trace\": [] }", CLIENT), 3, "'trace' is empty", false},
        {DISB("{ \"type\": \"trace\", \"trace\": [0, -4] }", CLIENT), 3, "this is -4", false},
        {DISB("{ \"type\": \"trace\", \"trace\": [0, 1.5] }", CLIENT), 3, "a whole number", false},
        {DISB("[]", CLIENT), 3, "'load' of task 1", false},
        {DISB(PERIODIC, "7"), 4, "'client' of task 1", false},
        {DISB(PERIODIC, "{ \"model_name\": 7 }"), 4, "'model_name'", false},
        {DISB(PERIODIC, "{ \"model_name\": \"net\", \"priority\": -1 }"), 4, "'priority'", false},
        {DISB(PERIODIC, "{ \"model_name\": \"net\",\n\"model_name\": \"net\" }"), 5, "twice", false}};
    EXPECT_ALL(table, EI_IMPORT_AUTO);
}

EI_TEST(bad_disb_files)
{
    static const struct bad table[] = {
        {"{ \"tasks\": [\n{ \"load\": " PERIODIC ", \"client\": " CLIENT " } ] }", 1, "no 'time'", false},
        {"{ \"time\": 0, \"tasks\": [\n{ \"load\": " PERIODIC ", \"client\": " CLIENT " } ] }", 1, "'time'", false},
        {"{ \"time\": 5, \"tasks\": [\n{ \"load\": " PERIODIC " } ] }", 2, "no 'client'", false},
        {"{ \"time\": 5, \"tasks\": [\n{ \"client\": " CLIENT " } ] }", 2, "no 'load'", false},
        {"{ \"time\": 5, \"tasks\": [\n7 ] }", 2, "must be an object", false},
        {"{ \"time\": 5, \"tasks\": [ ] }", 0, "no task is left", false},
        {"{ \"time\": 5 }", 1, "no 'tasks'", false},
        {"{ \"time\": 5, \"tasks\": [\n{ \"load\": " PERIODIC ", \"client\": " CLIENT " } ],\n\"tsks\": 1 }", 3,
         "did you mean 'tasks'?", true},
        {"{ \"time\": 5000000, \"tasks\": [\n{ \"load\": " PERIODIC ", \"client\": " CLIENT " } ] }", 1, "604800s",
         true}};
    EXPECT_ALL(table, EI_IMPORT_DISB);
}

/* ---- rtspin ---- */

/* Line 2 is the command, line 3 a right one. */
#define SPIN(command) "# comment\n" command "\nrtspin 1 10 5\n"

EI_TEST(bad_rtspin_scripts)
{
    static const struct bad table[] = {{SPIN("rtspin -u 1 2 10 5"), 2, "-u of rtspin 1", true},
                                       {SPIN("rtspin -S/tmp/fifo 2 10 5"), 2, "not from a file", true},
                                       {SPIN("rtspin -X PIP -L 1 2 10 5"), 2, "-L of rtspin 1", true},
                                       {SPIN("rtspin -m 30 2 10 5"), 2, "processor time only", true},
                                       {SPIN("rtspin -R 2 10 5"), 2, "no reservations", true},
                                       {SPIN("rtspin -D 20 -E 5 2 10 5"), 2, "uniformly", true},
                                       {SPIN("rtspin -c be 2 10 5"), 2, "best-effort", true},
                                       {SPIN("rtspin -e -s 1.5 2 10 5"), 2, "budget that -e enforces", true},
                                       {SPIN("rtspin -l"), 2, "-l of rtspin 1", true},
                                       {SPIN("setsched GSN-EDF"), 2, "plugin 'GSN-EDF'", true},
                                       {SPIN("./configure --all"), 2, "unknown command 'configure'", true},
                                       {SPIN("rtspin 0.00005 0.05 5"), 2, "period: 50us", true},
                                       {SPIN("rtspin -w 2 10"), 2, "has 2 numbers", false},
                                       {SPIN("rtspin 2 10 5 7"), 2, "has 4 numbers", false},
                                       {SPIN("rtspin 20 10 5"), 2, "exceeds its period", false},
                                       {SPIN("rtspin two 10 5"), 2, "WCET of rtspin 1 is 'two'", false},
                                       {SPIN("rtspin 2 0 5"), 2, "above 0", false},
                                       {SPIN("rtspin 2 10 0"), 2, "DURATION of rtspin 1", false},
                                       {SPIN("rtspin 2 10 900000"), 2, "604800s", true},
                                       {SPIN("rtspin -q 0 2 10 5"), 2, "from 1 to 511", false},
                                       {SPIN("rtspin -p x 2 10 5"), 2, "-p of rtspin 1", false},
                                       {SPIN("rtspin -s -1 2 10 5"), 2, "no scale", false},
                                       {SPIN("rtspin -c fast 2 10 5"), 2, "no class", false},
                                       {SPIN("rtspin -z 2 10 5"), 2, "unknown option -z", false},
                                       {SPIN("rtspin 2 10 5 -q"), 2, "-q of rtspin 1 has no argument", false},
                                       {SPIN("rtspin -C nowhere.csv 2 10"), 2, "nowhere.csv", false},
                                       {SPIN("rtspin -C times.csv:9 2 10"), 2, "its line 2 has no time", false},
                                       {SPIN("rtspin -C times.csv:0 2 10"), 2, "column of -C", false},
                                       {SPIN("rtspin $WCET 10 5"), 2, "needs a shell", false},
                                       {SPIN("for i in 1 2; do rtspin 1 10 5 | cat"), 2, "needs a shell", false},
                                       {SPIN("rtspin \\\n 2 \\\n ten 5"), 4, "PERIOD of rtspin 1 is 'ten'", false},
                                       {SPIN("rtspin \"2 10 5"), 2, "quote does not end", false},
                                       {SPIN("setsched"), 2, "one plugin", false},
                                       {"# rtspin only in a comment\n", 0, "starts no rtspin", false}};
    EXPECT_ALL(table, EI_IMPORT_AUTO);
}

/* A recording with more changes than tasks make sense for: named at its option, and with losses the longest time. */
EI_TEST(bad_rtspin_long_recordings)
{
    char path[512];
    char text[700];
    snprintf(path, sizeof path, "%s/long.csv", ei_test_tmpdir());
    FILE *file = fopen(path, "we");
    EI_REQUIRE(file != NULL);
    for (int i = 0; i < 200; i++) {
        fprintf(file, "%d.25\n", 1 + i % 7);
    }
    fclose(file);
    snprintf(text, sizeof text, "rtspin -w -s 1 \\\n  -C %s 8 10\n", path);
    expect_bad(&(struct bad){text, 2, "change more than 32 times", true}, EI_IMPORT_AUTO);
    struct ei_imported imported;
    struct ei_diagnostics diag;
    const struct ei_import_options options = {.is_lossy = true};
    EI_REQUIRE(ei_import_text(text, strlen(text), "x", "x", &options, &imported, &diag) == 0);
    EI_CONTAINS(imported.yaml, "spin: 7250us");
    ei_imported_fini(&imported);
    ei_diagnostics_fini(&diag);
}

/* One pass finds all mistakes, in order of their lines. */
EI_TEST(bad_all_mistakes_in_one_pass)
{
    static const char text[] = "rtspin 2 1 5\nrtspin -z 1 10 5\nfoo\nrtspin 1 10\n";
    const struct ei_import_options options = {.format = EI_IMPORT_RTSPIN};
    struct ei_imported imported;
    struct ei_diagnostics diag;
    EI_EQ(ei_import_text(text, strlen(text), "x", "x", &options, &imported, &diag), EINET_E_FILE);
    EI_EQ(diag.errors, 4);
    for (int32_t i = 0; i < diag.count; i++) {
        EI_EQ(diag.items[i].place.line, i + 1);
    }
    ei_diagnostics_fini(&diag);
}

EI_MAIN()
