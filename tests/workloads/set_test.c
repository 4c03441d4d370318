/* Settings from outside a file are the file with these values written into it. */
#include "workloads/spec.h"

#include "tests/harness/harness.h"

#include <stdlib.h>

static const char text[] =
    "version: 1\nname: set\nrun: { duration: %s }\n%s"
    "lanes: { acc: { kind: cpu } }\n"
    "models: { net: { emulate: { blocks: [ { conv: 1ms, score: 0.5 }, { conv: %s, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: a, arrival: { model: periodic, period: 10ms }, stages: [ { name: w, kind: cpu, work: { spin: 1ms } } "
    "] }\n"
    "  - { name: b, arrival: { model: periodic, period: %s }, %s\n"
    "      stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n";

static const char *file(const char *duration, const char *platform, const char *conv, const char *period,
                        const char *more)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/set.yaml", ei_test_tmpdir());
    FILE *out = fopen(path, "we");
    if (EI_TRUE(out != NULL)) {
        fprintf(out, text, duration, platform, conv, period, more); /* NOLINT: a format of this file */
        fclose(out);
    }
    return path;
}

static struct ei_workload *load(const char *path, const struct ei_setting *settings, int32_t count, const char *error)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_load_with(path, settings, count, &wl, &diag);
    EI_EQ(rc, error == NULL ? 0 : EINET_E_FILE);
    if (error != NULL && EI_TRUE(diag.errors > 0)) {
        EI_CONTAINS(diag.items[0].text, error);
    }
    if ((rc == 0) != (error == NULL)) {
        ei_diagnostics_print(&diag, stderr);
    }
    ei_diagnostics_fini(&diag);
    return wl;
}

EI_TEST(settings_equal_the_written_file)
{
    static const struct ei_setting settings[] = {
        {"run.duration", "7s"},                      /* in place of a value */
        {"platform.rt_load_cap", "0.5"},             /* in a map that the file lacks */
        {"models.net.emulate.blocks.1.conv", "3ms"}, /* by number */
        {"tasks.b.arrival.period", "5ms"},           /* by name; the priorities follow */
        {"tasks.1.planner.search", "static(50)"},    /* a default */
    };
    struct ei_workload *set = load(file("5s", "", "2ms", "20ms", ""), settings, 5, NULL);
    struct ei_workload *written =
        load(file("7s", "platform: { rt_load_cap: 0.5 }\n", "3ms", "5ms", "planner: { search: static(50) },"), NULL, 0,
             NULL);
    EI_REQUIRE(set != NULL && written != NULL);
    EI_TRUE(ei_workload_is_equal(set, written));
    EI_TRUE(set->tasks[1].priority > set->tasks[0].priority);
    ei_workload_destroy(set);
    ei_workload_destroy(written);
}

EI_TEST(settings_that_lead_nowhere_are_errors)
{
    static const struct {
        struct ei_setting setting;
        const char *error;
    } cases[] = {
        {{"tasks.c.deadline", "5ms"}, "there is no 'c' here"},
        {{"tasks.2.deadline", "5ms"}, "there is no '2' here"},
        {{"tasks.b", "5ms"}, "this is no single value"},
        {{"tasks..deadline", "5ms"}, "empty or overlong word"},
        {{"", "5ms"}, "empty or overlong word"},
        {{"run.duration.long", "5ms"}, "there is no 'long' here"},
        {{"tasks.b.dedline", "5ms"}, "unknown key 'dedline'"},
        {{"tasks.b.deadline", "50ms"}, "deadline"},
        {{"run.duration", "x: [y"}, "duration"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EI_TRUE(load(file("5s", "", "2ms", "20ms", ""), &cases[i].setting, 1, cases[i].error) == NULL);
    }
}

EI_MAIN()
