/* Every file of tests/workloads/broken says in its first lines what must be found in it, and nothing else may be:
 *
 *     # expect: LINE:COLUMN: error: TEXT
 */
#include "tests/workloads/texts.h"

#define EXPECT "# expect: "

static void check_file(const char *path)
{
    size_t length = 0;
    char *text = text_read(path, &length);
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    int expected = 0;
    EI_REQUIRE(text != NULL);
    EI_EQ(ei_workload_load(path, &wl, &diag), EINET_E_FILE);
    EI_TRUE(wl == NULL);
    for (const char *line = text; strncmp(line, EXPECT, strlen(EXPECT)) == 0; line = strchr(line, '\n') + 1) {
        const char *want = line + strlen(EXPECT);
        char found[512] = "nothing";
        if (expected < diag.count) {
            const struct ei_diagnostic *item = &diag.items[expected];
            snprintf(found, sizeof found, "%d:%d: %s: %s", item->place.line, item->place.column,
                     item->severity == EI_SEVERITY_ERROR ? "error" : "warning", item->text);
        }
        const size_t want_length = strcspn(want, "\n");
        EI_TRUEF(strlen(found) == want_length && strncmp(found, want, want_length) == 0,
                 "%s\n  expected %.*s\n  found    %s", path, (int)want_length, want, found);
        expected++;
    }
    EI_TRUEF(expected > 0, "%s expects nothing", path);
    EI_TRUEF(diag.count == expected, "%s: %d found, %d expected", path, diag.count, expected);
    ei_diagnostics_fini(&diag);
    free(text);
}

EI_TEST(broken_files_are_refused_with_their_places)
{
    static struct text_paths paths;
    text_paths_add(&paths, "tests/workloads/broken");
    EI_TRUEF(paths.count >= 100, "only %d broken files found", paths.count);
    for (int i = 0; i < paths.count; i++) {
        check_file(paths.path[i]);
    }
}

EI_TEST(broken_file_with_ten_errors_prints_them_like_a_compiler)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct einet_error err = {0};
    EI_EQ(ei_workload_load("tests/workloads/broken/many_at_once.yaml", &wl, &diag), EINET_E_FILE);
    char *said = text_diagnose(&diag);
    EI_CONTAINS(said, "tests/workloads/broken/many_at_once.yaml:19:5: error: unknown key 'prioriy' in task 'control' "
                      "(did you mean 'priority'?)\n"
                      "   19 |     prioriy: 50\n"
                      "      |     ^~~~~~~\n"
                      "      = hint: task has: name, arrival,");
    EI_CONTAINS(said, "      = hint: 'priority' is 1..98\n");
    EI_CONTAINS(said, "10 errors, 0 warnings in tests/workloads/broken/many_at_once.yaml\n");
    EI_TRUE(strchr(said, '\033') == NULL);
    EI_EQ(ei_diagnostics_to_error(&diag, &err), EINET_E_FILE);
    EI_EQ(err.line, 13);
    EI_EQ(err.column, 18);
    EI_CONTAINS(err.text, "'30' has no unit");
    EI_STREQ(err.file, "tests/workloads/broken/many_at_once.yaml");
    free(said);
    ei_diagnostics_fini(&diag);
}

static void check_unreadable(const char *path, const char *fragment)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    EI_EQ(ei_workload_load(path, &wl, &diag), EINET_E_FILE);
    EI_EQ(diag.count, 1);
    EI_EQ(diag.items[0].place.line, 0);
    EI_CONTAINS(diag.items[0].text, fragment);
    EI_TRUE(wl == NULL);
    ei_diagnostics_fini(&diag);
}

EI_TEST(broken_what_is_no_workload_file_at_all)
{
    char path[512];
    check_unreadable("tests/workloads/broken", "it is a directory");
    check_unreadable("tests/workloads/nowhere.yaml", "No such file");
    check_unreadable("/dev/null", "no regular file");
    snprintf(path, sizeof path, "%s/big.yaml", ei_test_tmpdir());
    FILE *big = fopen(path, "w");
    EI_REQUIRE(big != NULL);
    for (int i = 0; i < 10000; i++) {
        fprintf(big, "%01000d\n", 0);
    }
    fclose(big);
    check_unreadable(path, "too large: 9.5 MiB, the limit is 1 MiB");
}

EI_TEST(broken_empty_text_and_cut_text)
{
    const char *const texts[] = {"",   "\n\n", "# only a comment\n", "---\n", "version: 1", "version: 1\nname: [",
                                 "\"", "{"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ei_workload *wl = NULL;
        struct ei_diagnostics diag;
        EI_EQ(ei_workload_parse(texts[i], strlen(texts[i]), "text", &wl, &diag), EINET_E_FILE);
        EI_TRUEF(diag.errors > 0, "text %zu", i);
        ei_diagnostics_fini(&diag);
    }
}

EI_TEST(broken_more_errors_than_are_kept)
{
    char text[16384] = "version: 1\nname: many\n";
    size_t used = strlen(text);
    for (int i = 0; i < 200; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "wrong%d: %d\n", i, i);
    }
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    EI_EQ(ei_workload_parse(text, used, "text", &wl, &diag), EINET_E_FILE);
    EI_EQ(diag.count, EI_DIAGNOSTICS_MAX);
    EI_EQ(diag.errors, 201); /* and no tasks */
    char *said = text_diagnose(&diag);
    EI_CONTAINS(said, "201 errors, 0 warnings in text (101 more not shown)\n");
    free(said);
    ei_diagnostics_fini(&diag);
}

EI_TEST(broken_caret_counts_characters_and_keeps_tabs)
{
    const char *text = "version: 1\nname: x\nrun: { seed: \"\xc3\xa4\xc3\xb6\",\tduratio: 1s }\n";
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    EI_EQ(ei_workload_parse(text, strlen(text), "text", &wl, &diag), EINET_E_FILE);
    char *said = text_diagnose(&diag);
    EI_CONTAINS(said, "text:3:20: error: unknown key 'duratio'");
    EI_CONTAINS(said, "\n      |                   \t^~~~~~~\n");
    free(said);
    ei_diagnostics_fini(&diag);
}

EI_MAIN()
