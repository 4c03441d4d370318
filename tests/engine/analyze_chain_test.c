/* Chains, budgets and the watchdog in the analysis: bounds with pencil and paper, and where there are none. */
#include "engine/analyze.h"

#include "tests/harness/harness.h"

#include <string.h>

#define US INT64_C(1000)
#define NO EI_ANALYSIS_NO_BOUND

/* Analyses the text; out_ns: response bounds of its tasks, out_exits: sure exits. */
static void bound(const char *text, int64_t *out_ns, int32_t *out_exits)
{
    const struct ei_analysis_options options = {.quantile = EI_TIME_P99, .ops_ns = EI_NONE_NS};
    struct ei_workload *wl = NULL;
    struct ei_analysis *analysis = NULL;
    struct ei_diagnostics diag;
    int rc = ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag);
    if (rc == 0) {
        rc = ei_analyze(wl, &options, &analysis, &diag);
    }
    EI_TRUEF(rc == 0, "refused: %s", diag.count > 0 ? diag.items[0].text : "");
    for (int32_t i = 0; rc == 0 && i < analysis->task_count; i++) {
        out_ns[i] = analysis->tasks[i].response_ns;
        out_exits[i] = analysis->tasks[i].guaranteed_exits;
    }
    ei_analysis_destroy(analysis);
    ei_workload_destroy(wl);
    ei_diagnostics_fini(&diag);
}

#define HEAD(platform) "version: 1\nname: test\nplatform: { " platform " }\n"
#define TASK(name, arrival, rest, us)                                                                                  \
    "  - { name: " name ", arrival: { " arrival " }, cpus: \"0\", " rest ",\n"                                         \
    "      stages: [ { name: w, kind: cpu, work: { spin: " us "us } } ] }\n"
#define EVERY(ms) "model: periodic, period: " ms "ms"
#define AFTER(task) "model: after, task: " task

/* first: 1 ms. second: ready 1 ms after that release at the latest, then 2 ms of its own and, the phases of a chain
 * not being used, 1 ms of another job of first; low: all three. When second goes before first, first can meet a job of
 * it that comes late. */
EI_TEST(a_chain_is_bounded_from_its_first_release)
{
    int64_t ns[4] = {0};
    int32_t exits[4];
    bound(HEAD("watchdog: 0") "tasks:\n" TASK("second", AFTER("first"), "priority: 40", "2000")
              TASK("first", EVERY("10"), "priority: 50", "1000") TASK("low", EVERY("10"), "priority: 30", "500"),
          ns, exits);
    EI_EQ(ns[1], 1000 * US);
    EI_EQ(ns[0], 4000 * US);
    EI_EQ(ns[2], 3500 * US);
    bound(HEAD("watchdog: 0") "tasks:\n" TASK("second", AFTER("first"), "priority: 60", "2000")
              TASK("first", EVERY("10"), "priority: 50", "1000") TASK("low", EVERY("10"), "priority: 30", "500"),
          ns, exits);
    EI_TRUE(ns[1] >= 1000 * US && ns[0] >= 3000 * US && ns[0] < 10000 * US);
}

#define OVERLAP(n, period)                                                                                             \
    HEAD("watchdog: 0")                                                                                                \
    "tasks:\n" TASK("top", EVERY("14"), "priority: 60", "6000")                                                        \
        TASK("pipe", EVERY(period), "priority: 50, deadline: none, overlap: " n, "5000")                               \
            TASK("low", EVERY("40"), "priority: 30", "100")

/* Alone and after top: 11 ms. */
EI_TEST(overlap_is_bounded_when_no_two_jobs_can_be_in_flight)
{
    int64_t ns[3] = {0};
    int32_t exits[3];
    bound(OVERLAP("1", "10"), ns, exits);
    EI_TRUE(ns[1] >= 11000 * US && ns[2] > ns[1]);
    bound(OVERLAP("2", "10"), ns, exits);
    EI_EQ(ns[0], 6000 * US);
    EI_EQ(ns[1], NO);
    EI_EQ(ns[2], NO);
    bound(OVERLAP("2", "11"), ns, exits);
    EI_EQ(ns[1], 11000 * US);
    EI_TRUE(ns[2] > ns[1]);
}

EI_TEST(nothing_is_known_behind_a_task_outside_real_time)
{
    int64_t ns[5] = {0};
    int32_t exits[5];
    bound(HEAD("watchdog: 0") "tasks:\n" TASK("other", EVERY("10"), "class: other", "100")
              TASK("behind", AFTER("other"), "priority: 50", "100") TASK("top", EVERY("10"), "priority: 60", "1000")
                  TASK("low", EVERY("10"), "priority: 30", "500") TASK("last", AFTER("behind"), "priority: 55", "100"),
          ns, exits);
    EI_EQ(ns[1], NO);
    EI_EQ(ns[2], 1000 * US);
    EI_EQ(ns[3], NO); /* any number of its jobs may come in a row */
    EI_EQ(ns[4], NO);
}

#define NET(rest)                                                                                                      \
    "lanes: { acc: { kind: cpu, cpus: \"0\", preempt: block } }\n"                                                     \
    "models: { m: { emulate: { blocks: [ { conv: 1ms, score: 0.5 }, { conv: 1ms, score: 0.9 } ] } } }\n"               \
    "tasks:\n"                                                                                                         \
    "  - { name: net, arrival: { model: periodic, period: 10ms }, priority: 40, on_preempt: none,\n"                   \
    "      stages: [ { name: n, kind: nn, model: m, lane: acc" rest " } ] }\n"

#define SHARER                                                                                                         \
    "  - { name: sharer, arrival: { model: periodic, period: 10ms }, priority: 50, on_preempt: none,\n"                \
    "      stages: [ { name: n, kind: nn, model: m, lane: acc } ] }\n"

EI_TEST(whom_the_watchdog_may_demote_has_no_bound)
{
    int64_t ns[5] = {0};
    int32_t exits[5];
    const char *const end = TASK("top", EVERY("10"), "priority: 60", "1000");
    char text[2048];
    snprintf(text, sizeof text, "%s%s%s%s", HEAD("watchdog: 2"), NET(", budget: 1ms"), SHARER, end);
    bound(text, ns, exits); /* 2 ms are not more than 2 * 1 */
    EI_TRUE(ns[0] > 0 && ns[1] > 0);
    EI_EQ(ns[2], 1000 * US);
    snprintf(text, sizeof text, "%s%s%s%s", HEAD("watchdog: 2"), NET(", budget: 999us"), SHARER, end);
    bound(text, ns, exits);
    EI_EQ(ns[0], NO);
    EI_EQ(ns[1], NO); /* the lane may be held for as long as others run */
    EI_EQ(ns[2], 1000 * US);
    snprintf(text, sizeof text, "%s%s%s", HEAD("watchdog: 2"), NET(", budget: 999us"), end);
    bound(text, ns, exits);
    EI_EQ(ns[0], NO);
    EI_EQ(ns[1], 1000 * US);
    snprintf(text, sizeof text, "%s%s%s%s", HEAD("watchdog: 2"), NET(", budget: 999us"), end,
             TASK("behind", AFTER("net"), "priority: 70", "100"));
    bound(text, ns, exits);
    EI_EQ(ns[1], NO); /* who comes after the demoted one may come in a row, above all others */
    EI_EQ(ns[2], NO);
}

EI_TEST(limits_take_sure_exits_away)
{
    int64_t ns[1] = {0};
    int32_t exits[1];
    static const struct {
        const char *limit;
        int32_t exits;
    } cases[] = {
        {" } ], on_overrun: exit }\n", 2},
        {", budget: 2ms } ], on_overrun: exit }\n", 2},
        {", budget: 1999us } ], on_overrun: finish }\n", 2},
        {", budget: 1999us } ], on_overrun: exit }\n", 1},
        {", timeout: 9ms } ], on_overrun: exit }\n", 1},
        {", budget: 2ms } ], on_overrun: abort }\n", 2},
        {", budget: 1999us } ], on_overrun: abort }\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2048];
        snprintf(text, sizeof text,
                 HEAD("watchdog: 0") "lanes: { acc: { kind: cpu, cpus: \"0\", preempt: block } }\n"
                                     "models: { m: { emulate: { blocks: [ { conv: 1ms, score: 0.5 },\n"
                                     "  { conv: 1ms, score: 0.9 } ] } } }\n"
                                     "tasks:\n  - { name: net, arrival: { model: periodic, period: 10ms },\n"
                                     "      stages: [ { name: n, kind: nn, model: m, lane: acc%s",
                 cases[i].limit);
        bound(text, ns, exits);
        EI_EQ(ns[0], 2000 * US);
        EI_TRUEF(exits[0] == cases[i].exits, "%s: %d sure exits", cases[i].limit, (int)exits[0]);
    }
}
