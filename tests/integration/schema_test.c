/* The JSON Schema of the workload file, judged by an independent validator: it takes every right file, and refuses
 * those whose fault can be said of one value. */
#include "tests/harness/harness.h"
#include "tests/integration/command.h"
#include "tests/workloads/texts.h"

#define PYTHON "/usr/bin/python3"
#define COMMAND_MAX_BYTES 65536
#define SAID_MAX_BYTES (128 * 1024)

/* What the validator says of the files, one line each; skips the case where it is not installed. */
static void judge(const struct text_paths *paths, char said[SAID_MAX_BYTES])
{
    static char command[COMMAND_MAX_BYTES];
    if (system(PYTHON " -c 'import jsonschema, yaml' >/dev/null 2>&1") != 0) {
        ei_test_skip("no validator for " PYTHON ": apt-get install python3-jsonschema python3-yaml");
    }
    const struct finished *printed = einet_run((const char *[]){"check", "--schema", NULL});
    EI_EQ(printed->status, 0);
    const char *schema = write_file("workload.schema.json", printed->output);
    size_t used = (size_t)snprintf(command, sizeof command, PYTHON " tests/workloads/validate_schema.py '%s'", schema);
    for (int i = 0; i < paths->count && used < sizeof command; i++) {
        used += (size_t)snprintf(command + used, sizeof command - used, " '%s'", paths->path[i]);
    }
    EI_REQUIRE(used < sizeof command);
    FILE *pipe = popen(command, "r");
    EI_REQUIRE(pipe != NULL);
    said[fread(said, 1, SAID_MAX_BYTES - 1, pipe)] = '\0';
    EI_EQ(pclose(pipe), 0);
}

EI_TEST(schema_takes_every_right_file)
{
    static struct text_paths paths;
    static char said[SAID_MAX_BYTES];
    text_paths_add(&paths, "tests/workloads/valid");
    text_paths_add(&paths, "configs");
    text_paths_add(&paths, "examples/ros2");
    EI_TRUE(paths.count >= 11);
    judge(&paths, said);
    for (int i = 0; i < paths.count; i++) {
        char line[300];
        snprintf(line, sizeof line, "ok %s\n", paths.path[i]);
        EI_CONTAINS(said, line);
    }
}

EI_TEST(schema_refuses_what_one_value_tells)
{
    /* Unknown keys, words and ops, values of another kind, out of range, without unit, missing, of another variant. */
    static const char *const refused[] = {
        "unknown_key_top", "unknown_key_task",   "arrival_unknown_model", "arrival_missing_model", "arrival_wrong_key",
        "missing_stages",  "missing_version",    "wrong_version",         "duration_no_unit",      "duration_bad_unit",
        "size_no_unit",    "priority_100",       "priority_word",         "score_range",           "load_cap_percent",
        "lane_cpu_device", "lane_cuda_cpus",     "lane_cuda_depth",       "lane_cuda_wait_unit",   "search_junk",
        "search_oracle",   "search_static_bare", "exit_time_word",        "resize_without_size",   "unknown_op",
        "model_both",      "model_neither",      "bundle_weights",        "empty_tasks",           "tasks_is_map",
        "illegal_name",    "zoo_typo",           "mk_one_number",         "lognormal_form",        "list_for_value",
        "result_with_width", "topic_without_height"};
    static struct text_paths paths;
    static char said[SAID_MAX_BYTES];
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        snprintf(paths.path[paths.count++], sizeof paths.path[0], "tests/workloads/broken/%s.yaml", refused[i]);
    }
    judge(&paths, said);
    for (int i = 0; i < paths.count; i++) {
        char line[300];
        snprintf(line, sizeof line, "refused %s: ", paths.path[i]);
        EI_CONTAINS(said, line);
    }
}

EI_MAIN()
