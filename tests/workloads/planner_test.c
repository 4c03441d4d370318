/* Planner settings: words with numbers, words in place of paths, and what a task inherits; all of it prints and reads
 * back equal. What is refused stands in tests/workloads/broken.
 */
#include "rt/random.h"
#include "tests/workloads/texts.h"
#include "workloads/fields.h"

/* Two network tasks; the second says nothing about planning. */
static struct ei_workload *plan(const char *of_file, const char *of_task, const char *name)
{
    char text[2048];
    snprintf(text, sizeof text,
             "version: 1\nname: x\nlanes: { acc0: { cpus: \"0-1\" } }\n"
             "models: { net: { emulate: { blocks: [ { conv: 1ms, score: 0.8 } ] } } }\n"
             "planner: %s\n"
             "tasks:\n"
             "  - name: own\n    arrival: { model: periodic, period: 5ms }\n    planner: %s\n"
             "    stages: [ { name: net, kind: nn, model: net, lane: acc0 } ]\n"
             "  - name: heir\n    arrival: { model: periodic, period: 5ms }\n"
             "    stages: [ { name: net, kind: nn, model: net, lane: acc0 } ]\n",
             of_file, of_task);
    struct ei_workload *wl = text_parse(text, name);
    if (wl != NULL) {
        char *printed = text_print(wl);
        struct ei_workload *again = text_parse(printed, "printed.yaml");
        EI_TRUEF(again != NULL && ei_workload_is_equal(wl, again), "does not read back equal:\n%s", printed);
        ei_workload_destroy(again);
        free(printed);
    }
    return wl;
}

static void check_term(const char *key, const char *text, int32_t word, double number)
{
    const struct ei_field *field = ei_field_find(EI_CONTEXT_PLANNER, key, -1);
    char said[EI_DIAGNOSTIC_TEXT_MAX] = "", hint[EI_DIAGNOSTIC_TEXT_MAX] = "";
    struct ei_term term = {-1, -1};
    EI_TRUEF(ei_field_parse(field, text, &term, said, hint) == 0, "%s: %s", text, said);
    EI_EQ(term.word, word);
    EI_NEAR(term.number, number, 0.0);
}

EI_TEST(planner_terms_hold_word_and_number)
{
    check_term("search", "exact", EI_SPEC_SEARCH_EXACT, 0);
    check_term("search", "all", EI_SPEC_SEARCH_ALL, 0);
    check_term("search", "static(1)", EI_SPEC_SEARCH_STATIC, 1);
    check_term("search", "static(100)", EI_SPEC_SEARCH_STATIC, 100);
    check_term("search", "hybrid(0)", EI_SPEC_SEARCH_HYBRID, 0);
    check_term("search", "hybrid(12)", EI_SPEC_SEARCH_HYBRID, 12);
    check_term("search", "greedy", EI_SPEC_SEARCH_GREEDY, 0);
    check_term("search", "random(1)", EI_SPEC_SEARCH_RANDOM, 1);
    check_term("search", "random(10000)", EI_SPEC_SEARCH_RANDOM, 10000);
    check_term("search", "confidence(0)", EI_SPEC_SEARCH_CONFIDENCE, 0);
    check_term("search", "confidence(0.125)", EI_SPEC_SEARCH_CONFIDENCE, 0.125);
    check_term("search", "confidence(1)", EI_SPEC_SEARCH_CONFIDENCE, 1);
    check_term("search", "statistics", EI_SPEC_SEARCH_STATISTICS, 0);
    check_term("exit_time", "uniform", EI_SPEC_EXIT_TIME_UNIFORM, 0);
    check_term("exit_time", "exponential(0.5)", EI_SPEC_EXIT_TIME_EXPONENTIAL, 0.5);
    check_term("exit_time", "exponential(1000000)", EI_SPEC_EXIT_TIME_EXPONENTIAL, 1e6);
    check_term("exit_time", "schedule", EI_SPEC_EXIT_TIME_SCHEDULE, 0);
    check_term("exit_time", "empirical(0)", EI_SPEC_EXIT_TIME_EMPIRICAL, 0);
    check_term("exit_time", "empirical(1000000)", EI_SPEC_EXIT_TIME_EMPIRICAL, 1e6);
    check_term("exit_time", "trace", EI_SPEC_EXIT_TIME_TRACE, 0);
}

/* The number that stands for a bare `empirical` is the one that the manual names. */
EI_TEST(planner_bare_empirical_is_as_documented)
{
    const struct ei_field *field = ei_field_find(EI_CONTEXT_PLANNER, "exit_time", -1);
    check_term("exit_time", "empirical", EI_SPEC_EXIT_TIME_EMPIRICAL, 300);
    EI_CONTAINS(field->doc, "(300 when left out, 0: all)");
}

static void check_refused(const char *key, const char *text, const char *fragment)
{
    const struct ei_field *field = ei_field_find(EI_CONTEXT_PLANNER, key, -1);
    char said[EI_DIAGNOSTIC_TEXT_MAX] = "", hint[EI_DIAGNOSTIC_TEXT_MAX] = "";
    struct ei_term term = {-7, -7};
    EI_TRUEF(ei_field_parse(field, text, &term, said, hint) < 0, "'%s' is taken", text);
    EI_TRUEF(strstr(said, fragment) != NULL, "'%s': %s", text, said);
    EI_TRUEF(strstr(hint, "exact") != NULL || strstr(hint, "uniform") != NULL, "'%s': hint %s", text, hint);
    EI_EQ(term.word, -7); /* untouched */
}

EI_TEST(planner_terms_refuse_what_they_are_not)
{
    static const char *const no_numbers[] = {"static()",        "static(",          "static(50",    "static(50))",
                                             "static( 50)",     "static(50) ",      "random(-1)",   "random(inf)",
                                             "confidence(nan)", "confidence(1e-3)", "random(0x10)", "hybrid(+3)",
                                             "confidence(.5)",  "confidence(1.)"};
    for (size_t i = 0; i < sizeof no_numbers / sizeof no_numbers[0]; i++) {
        check_refused("search", no_numbers[i], "in parentheses");
    }
    static const char *const out_of_range[] = {"static(0)",
                                               "static(101)",
                                               "random(0)",
                                               "random(10001)",
                                               "hybrid(13)",
                                               "confidence(1.000000001)",
                                               "random(9000000000000000000)"};
    for (size_t i = 0; i < sizeof out_of_range / sizeof out_of_range[0]; i++) {
        check_refused("search", out_of_range[i], "out of range");
    }
    static const char *const bare[] = {"static", "hybrid", "random", "confidence"};
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        check_refused("search", bare[i], "needs its number");
    }
    check_refused("search", "exact()", "takes no number");
    check_refused("search", "static(2.5)", "whole");
    check_refused("search", "", "no value");
    check_refused("search", "(5)", "no value");
    check_refused("search", "oracle", "to know the future");
    check_refused("search", "oracle(3)", "to know the future");
    check_refused("exit_time", "exponential", "needs its number");
    check_refused("exit_time", "exponential(0)", "out of range");
    check_refused("exit_time", "exponential(1000000.000000001)", "out of range");
    check_refused("exit_time", "empirical(0.5)", "whole");
    check_refused("exit_time", "trace(1)", "takes no number");
}

/* Every number that a term takes prints and reads back to the bit. */
EI_TEST(planner_numbers_read_back_equal)
{
    const struct ei_field *field = ei_field_find(EI_CONTEXT_PLANNER, "exit_time", -1);
    struct ei_random rng;
    ei_random_init(&rng, 5, 0);
    for (int round = 0; round < 20000; round++) {
        char text[64], printed[64], said[EI_DIAGNOSTIC_TEXT_MAX], hint[EI_DIAGNOSTIC_TEXT_MAX];
        struct ei_term once = {0, 0}, twice = {0, 0};
        const uint64_t whole = ei_random_below(&rng, round % 2 == 0 ? 10 : 1000000);
        snprintf(text, sizeof text, "exponential(%" PRIu64 ".%09" PRIu64 ")", whole,
                 UINT64_C(1000000) + ei_random_below(&rng, UINT64_C(998000000)));
        EI_TRUEF(ei_field_parse(field, text, &once, said, hint) == 0, "%s: %s", text, said);
        ei_field_format(field, &once, printed, sizeof printed);
        EI_TRUEF(ei_field_parse(field, printed, &twice, said, hint) == 0, "%s: %s", printed, said);
        EI_TRUEF(ei_field_is_equal(field, &once, &twice), "%s prints as %s", text, printed);
    }
}

EI_TEST(planner_every_setting_is_inherited_one_by_one)
{
    static const char file[] = "{ search: hybrid(6), exit_time: empirical(9), predictor: p.predictor, replan: inline, "
                               "first_exit: optional }";
    static const char *const own[] = {"{ search: greedy }", "{ exit_time: uniform }", "{ predictor: none }",
                                      "{ replan: overlapped }", "{ first_exit: mandatory }"};
    for (int i = 0; i < 5; i++) {
        struct ei_workload *wl = plan(file, own[i], "t.yaml");
        EI_REQUIRE(wl != NULL);
        const struct ei_planner_spec *p = &wl->tasks[0].planner, *heir = &wl->tasks[1].planner;
        EI_EQ(p->search.word, i == 0 ? EI_SPEC_SEARCH_GREEDY : EI_SPEC_SEARCH_HYBRID);
        EI_NEAR(p->search.number, i == 0 ? 0 : 6, 0.0);
        EI_EQ(p->exit_time.word, i == 1 ? EI_SPEC_EXIT_TIME_UNIFORM : EI_SPEC_EXIT_TIME_EMPIRICAL);
        EI_NEAR(p->exit_time.number, i == 1 ? 0 : 9, 0.0);
        EI_STREQ(p->predictor, i == 2 ? "none" : "p.predictor");
        EI_EQ(p->replan, i == 3 ? EI_SPEC_REPLAN_OVERLAPPED : EI_SPEC_REPLAN_INLINE);
        EI_EQ(p->first_exit, i == 4 ? EI_SPEC_FIRST_EXIT_MANDATORY : EI_SPEC_FIRST_EXIT_OPTIONAL);
        EI_EQ(heir->search.word, EI_SPEC_SEARCH_HYBRID);
        EI_STREQ(heir->predictor, "p.predictor");
        ei_workload_destroy(wl);
    }
}

static void check_exit_times(const char *file, const char *task, const char *own, const char *heir)
{
    struct ei_workload *wl = plan(file, task, "t.yaml");
    EI_REQUIRE(wl != NULL);
    EI_STREQ(wl->tasks[0].planner.exit_times, own);
    EI_STREQ(wl->tasks[1].planner.exit_times, heir);
    ei_workload_destroy(wl);
}

/* Word and file of exit_time: trace may come from the task or from the file, and a task may go another way. */
EI_TEST(planner_recorded_exit_times_are_inherited_and_left)
{
    check_exit_times("{ exit_time: trace, exit_times: s.txt }", "{ search: greedy }", "s.txt", "s.txt");
    check_exit_times("{ exit_time: trace, exit_times: s.txt }", "{ exit_times: own.txt }", "own.txt", "s.txt");
    check_exit_times("{ exit_time: trace, exit_times: s.txt }", "{ exit_time: uniform }", "", "s.txt");
    check_exit_times("{ exit_times: s.txt }", "{ exit_time: trace }", "s.txt", "");
    check_exit_times("{ search: all }", "{ exit_time: trace, exit_times: own.txt }", "own.txt", "");
}

/* Words stay words even where a file of that name lies beside the workload file; other texts are found there. */
EI_TEST(planner_words_are_no_paths)
{
    static const char *const files[] = {"auto", "none", "p.predictor", "stops.txt"};
    char path[4][400], name[400];
    for (int i = 0; i < 4; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", ei_test_tmpdir(), files[i]);
        FILE *file = fopen(path[i], "w");
        EI_REQUIRE(file != NULL);
        fclose(file);
    }
    snprintf(name, sizeof name, "%s/t.yaml", ei_test_tmpdir());
    struct ei_workload *wl = plan("{ predictor: auto }", "{ predictor: none }", name);
    EI_REQUIRE(wl != NULL);
    EI_STREQ(wl->tasks[0].planner.predictor, "none");
    EI_STREQ(wl->tasks[1].planner.predictor, "auto");
    ei_workload_destroy(wl);
    wl = plan("{ predictor: p.predictor, exit_time: trace, exit_times: stops.txt }", "{ predictor: ./none }", name);
    EI_REQUIRE(wl != NULL);
    EI_STREQ(wl->tasks[1].planner.predictor, path[2]);
    EI_STREQ(wl->tasks[1].planner.exit_times, path[3]);
    EI_TRUE(strcmp(wl->tasks[0].planner.predictor, "none") != 0);
    ei_workload_destroy(wl);
}

EI_MAIN()
