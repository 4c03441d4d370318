/* The files and the table: exact text of a known run, nothing half-written when the disk fails, early end.
 *
 * EINET_UPDATE_GOLDEN=1 rewrites tests/metrics/golden instead of comparing; look at the difference before you keep it.
 */
#include "metrics/collector.h"
#include "metrics/output_file.h"
#include "tests/harness/harness.h"
#include "tests/metrics/sample_run.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The whole file as a string for free(), or NULL. */
static char *read_file(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    if (file != NULL) {
        if (getdelim(&text, &size, '\0', file) < 0) {
            free(text);
            text = NULL;
        }
        fclose(file);
    }
    return text;
}

static bool has_file(const char *folder, const char *name)
{
    char path[1024];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return lstat(path, &st) == 0;
}

static void check_golden(const char *folder, const char *name, const char *golden)
{
    char *actual = read_file(folder, name);
    EI_REQUIRE(actual != NULL);
    if (getenv("EINET_UPDATE_GOLDEN") != NULL) {
        char path[1024];
        snprintf(path, sizeof path, "tests/metrics/golden/%s", golden);
        FILE *file = fopen(path, "we");
        EI_REQUIRE(file != NULL);
        fputs(actual, file);
        fclose(file);
    }
    char *expected = read_file("tests/metrics/golden", golden);
    EI_REQUIRE(expected != NULL);
    EI_TRUEF(strcmp(actual, expected) == 0, "%s differs from tests/metrics/golden/%s:\n%s", name, golden, actual);
    free(expected);
    free(actual);
}

/* The collector of the sample run with all its records, writing into folder; NULL when create failed. */
static struct ei_collector *sample_collector(const char *folder, bool is_degraded)
{
    const struct ei_metrics_run run = sample_run(is_degraded);
    struct ei_collector *collector = NULL;
    struct einet_error err = {0};
    const int rc = ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, folder, true, &collector, &err);
    EI_TRUEF(rc == 0, "create: %s", err.text);
    if (rc == 0) {
        sample_add_all(collector);
    }
    return collector;
}

EI_TEST(golden_files_of_a_known_run)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/new/deep", ei_test_tmpdir()); /* parents are made */
    struct ei_collector *collector = sample_collector(folder, false);
    EI_REQUIRE(collector != NULL);
    EI_TRUE(has_file(folder, "jobs.csv.partial") && !has_file(folder, "jobs.csv"));
    const struct ei_metrics_totals totals = sample_totals();
    struct einet_error err = {0};
    EI_EQ(ei_collector_finish(collector, &totals, &err), 0);
    EI_EQ(ei_collector_finish(collector, &totals, &err), -EINVAL);
    ei_collector_destroy(collector);
    check_golden(folder, "jobs.csv", "jobs.csv");
    check_golden(folder, "summary.json", "summary.json");
    check_golden(folder, "summary.txt", "summary.txt");
    EI_TRUE(!has_file(folder, "jobs.csv.partial"));
    EI_TRUE(!has_file(folder, "summary.json.partial"));
    EI_TRUE(!has_file(folder, "summary.txt.partial"));
}

EI_TEST(degraded_is_said_in_every_output)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/degraded", ei_test_tmpdir());
    struct ei_collector *collector = sample_collector(folder, true);
    EI_REQUIRE(collector != NULL);
    const struct ei_metrics_totals totals = sample_totals();
    EI_EQ(ei_collector_finish(collector, &totals, NULL), 0);
    ei_collector_destroy(collector);
    char *csv = read_file(folder, "jobs.csv");
    char *json = read_file(folder, "summary.json");
    char *text = read_file(folder, "summary.txt");
    EI_REQUIRE(csv != NULL && json != NULL && text != NULL);
    EI_TRUE(strncmp(csv,
                    "# DEGRADED: SCHED_FIFO refused: tasks run under SCHED_OTHER (fix: sudo setcap cap_sys_nice+ep "
                    "einet)\n# DEGRADED: memory is not locked\ntask,",
                    strlen("# DEGRADED: SCHED_FIFO refused")) == 0);
    EI_CONTAINS(csv, "\n# DEGRADED: memory is not locked\ntask,job_idx,");
    EI_CONTAINS(
        csv, "control,0,0,completed,plan_done,1,0,0,15,20,900,2000000,,0,0,,,,,,,,,0,,,,0,0,1,0,0,0,0,0,0,900,,,,80\n");
    EI_CONTAINS(json, "\"reason\": \"SCHED_FIFO refused: tasks run under SCHED_OTHER\"");
    EI_CONTAINS(json, "\"fix\": null");
    EI_CONTAINS(text, "\nDEGRADED: SCHED_FIFO refused: tasks run under SCHED_OTHER   fix: sudo setcap");
    EI_CONTAINS(text, "\nDEGRADED: memory is not locked\n");
    EI_TRUE(strstr(text, "NOT DEGRADED") == NULL);
    free(csv);
    free(json);
    free(text);
}

/* The widest line of the text, without colour sequences. */
static int widest_line(const char *text)
{
    int widest = 0, width = 0;
    for (; *text != '\0'; text++) {
        if (*text == '\033') {
            text = strchr(text, 'm');
            continue;
        }
        width = *text == '\n' ? 0 : width + 1;
        widest = width > widest ? width : widest;
    }
    return widest;
}

/* Records of a long run of realistic figures. */
static void add_long_run(struct ei_collector *collector)
{
    for (int64_t i = 0; i < 6000; i++) {
        struct ei_record record = sample_job(SAMPLE_CONTROL, i, 10 + 5 * i, 340000 + i * 200);
        record.u.job.awake_ns = record.u.job.release_ns + 15000 + i * 4;
        ei_collector_add(collector, &record);
    }
    for (int64_t i = 0; i < 900; i++) {
        struct ei_record record = sample_job(SAMPLE_CAMERA, i, 10 + 33 * i, 21234567 + i * 16000);
        struct ei_job_record *job = &record.u.job;
        job->flags |= EI_JOB_HAS_NN | EI_JOB_LABELLED | EI_JOB_ANSWERED;
        job->awake_ns = job->release_ns + 17000 + i * 40;
        job->exit_idx = (int16_t)(i % 8 < 1 ? 0 : i % 8 < 3 ? 1 : 2);
        job->label = 1;
        job->top_label = i % 3 == 0 ? 2 : 1;
        job->preemptions = i % 4 == 0;
        ei_collector_add(collector, &record);
        struct ei_record preemption = {.kind = EI_RECORD_PREEMPTION,
                                       .u.preemption = {.victim_task_idx = SAMPLE_CAMERA,
                                                        .preemptor_task_idx = SAMPLE_CONTROL,
                                                        .request_ns = job->release_ns + 1,
                                                        .block_end_ns = job->release_ns + 900001,
                                                        .first_block_ns = job->release_ns + 931001}};
        ei_collector_add(collector, &preemption);
    }
}

EI_TEST(table_fits_120_columns_with_four_tasks)
{
    struct ei_metrics_task tasks[4];
    memcpy(tasks, sample_tasks, sizeof sample_tasks);
    tasks[3] = sample_tasks[SAMPLE_CAMERA];
    tasks[3].name = "a-task-with-a-rather-long-name";
    const struct ei_metrics_run run = sample_run(false);
    struct ei_collector *collector = NULL;
    EI_REQUIRE(ei_collector_create(&run, tasks, 4, NULL, false, &collector, NULL) == 0);
    add_long_run(collector);
    static const int64_t expected[] = {6000, 900, 0, 0};
    struct ei_metrics_totals totals = sample_totals();
    totals.expected = expected;
    EI_EQ(ei_collector_finish(collector, &totals, NULL), 0);
    for (int colour = 0; colour < 2; colour++) {
        char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);
        EI_EQ(ei_collector_print_table(collector, stream, colour != 0), 0);
        fclose(stream);
        EI_TRUEF(widest_line(text) <= 120, "a line is %d wide:\n%s", widest_line(text), text);
        EI_TRUE((strchr(text, '\033') != NULL) == (colour != 0));
        EI_CONTAINS(text, "13%/25%/62%");
        EI_CONTAINS(text, "of 33.3 ms");
        EI_CONTAINS(text, "225 (0.9 ms/31 us)");
        EI_CONTAINS(text, "a-task-with~");
        EI_CONTAINS(text, "NOT DEGRADED");
        free(text);
    }
    ei_collector_destroy(collector);
}

EI_TEST(an_early_end_completes_all_files)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/early", ei_test_tmpdir());
    struct ei_collector *collector = sample_collector(folder, false);
    EI_REQUIRE(collector != NULL);
    struct ei_metrics_totals totals = sample_totals();
    totals.is_ended_early = true;
    totals.end_signal = 2;
    totals.duration_ns = 25 * SAMPLE_MS;
    EI_EQ(ei_collector_finish(collector, &totals, NULL), 0);
    ei_collector_destroy(collector);
    char *json = read_file(folder, "summary.json");
    char *text = read_file(folder, "summary.txt");
    EI_REQUIRE(json != NULL && text != NULL);
    EI_CONTAINS(json, "\"duration_ns\": 25000000,");
    EI_CONTAINS(json, "\"ended_early\": true,");
    EI_CONTAINS(json, "\"end_signal\": 2,");
    EI_CONTAINS(text, "sample: 25 ms, seed 42, einet 0.1.0; ended early of 40 ms planned by signal 2\n");
    EI_TRUE(has_file(folder, "jobs.csv"));
    free(json);
    free(text);
}

/* What somebody changed while the run went on, so that no figure is taken for one of the file's. */
EI_TEST(changes_are_listed)
{
    static const struct ei_metrics_change changes[] = {
        {.at_ns = 5, .task_idx = SAMPLE_CAMERA, .has_priority = true, .priority = 70, .search = "static:50"},
        {.at_ns = 7, .task_idx = SAMPLE_CONTROL, .has_deadline = true, .deadline_ns = INT64_MAX, .is_paused = true},
        {.at_ns = 9, .task_idx = SAMPLE_CONTROL, .is_resumed = true},
    };
    int64_t withheld[SAMPLE_TASKS] = {[SAMPLE_CONTROL] = 3};
    char folder[512];
    snprintf(folder, sizeof folder, "%s/changed", ei_test_tmpdir());
    struct ei_collector *collector = sample_collector(folder, false);
    EI_REQUIRE(collector != NULL);
    struct ei_metrics_totals totals = sample_totals();
    totals.changes = changes;
    totals.change_count = 3;
    totals.changes_lost = 2;
    totals.withheld = withheld;
    EI_EQ(ei_collector_finish(collector, &totals, NULL), 0);
    ei_collector_destroy(collector);
    char *json = read_file(folder, "summary.json");
    char *text = read_file(folder, "summary.txt");
    EI_REQUIRE(json != NULL && text != NULL);
    EI_CONTAINS(json, "{\n      \"at_ns\": 5,\n      \"task\": \"camera\",\n      \"priority\": 70,\n      \"search\": "
                      "\"static:50\"\n    }");
    EI_CONTAINS(json, "{\n      \"at_ns\": 7,\n      \"task\": \"control\",\n      \"deadline_ns\": null,\n      "
                      "\"paused\": true\n    }");
    EI_CONTAINS(json, "{\n      \"at_ns\": 9,\n      \"task\": \"control\",\n      \"paused\": false\n    }");
    EI_CONTAINS(json, "\"changes_lost\": 2,");
    EI_CONTAINS(json, "\"withheld\": 3,");
    EI_CONTAINS(text, "5 changes of tasks while the run went on, the first of 'camera': summary.json has them\n");
    free(json);
    free(text);
}

EI_TEST(a_run_without_finish_leaves_no_file)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/unfinished", ei_test_tmpdir());
    struct ei_collector *collector = sample_collector(folder, false);
    EI_REQUIRE(collector != NULL);
    EI_TRUE(has_file(folder, "jobs.csv.partial"));
    ei_collector_destroy(collector);
    EI_TRUE(!has_file(folder, "jobs.csv.partial"));
    EI_TRUE(!has_file(folder, "jobs.csv"));
}

EI_TEST(an_impossible_folder_is_refused_before_the_run)
{
    const struct ei_metrics_run run = sample_run(false);
    struct ei_collector *collector = NULL;
    struct einet_error err = {0};
    char path[512], under[1024];
    snprintf(path, sizeof path, "%s/file", ei_test_tmpdir());
    FILE *file = fopen(path, "we");
    EI_REQUIRE(file != NULL);
    fclose(file);
    EI_EQ(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, path, true, &collector, &err), -ENOTDIR);
    EI_CONTAINS(err.text, path);
    snprintf(under, sizeof under, "%s/below", path);
    EI_EQ(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, under, true, &collector, &err), -ENOTDIR);
    EI_CONTAINS(err.text, "--out");
    EI_TRUE(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, "/proc/nowhere", true, &collector, &err) < 0);
    EI_CONTAINS(err.text, "/proc/nowhere");
    EI_EQ(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, "", true, &collector, &err), -EINVAL);
    EI_TRUE(collector == NULL);
}

/* Make folder/name a way to a device that is always full. */
static bool make_full(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access("/dev/full", W_OK) == 0 && symlink("/dev/full", path) == 0;
}

EI_TEST(a_full_disk_at_the_start_is_refused)
{
    const char *folder = ei_test_tmpdir();
    if (!make_full(folder, "jobs.csv.partial")) {
        ei_test_skip("no /dev/full here");
    }
    const struct ei_metrics_run run = sample_run(false);
    struct ei_collector *collector = NULL;
    struct einet_error err = {0};
    EI_EQ(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, folder, true, &collector, &err), -ENOSPC);
    EI_CONTAINS(err.text, "free some space");
    EI_TRUE(!has_file(folder, "jobs.csv.partial"));
}

EI_TEST(room_is_taken_without_a_name_and_given_back)
{
    const char *folder = ei_test_tmpdir();
    struct ei_output_file reserve;
    struct einet_error err = {0};
    struct stat st;
    EI_EQ(ei_output_file_reserve(&reserve, folder, "reserve", 1 << 20, &err), 0);
    EI_EQ(fstat(fileno(reserve.stream), &st), 0);
    EI_TRUE(st.st_size == 1 << 20 && st.st_nlink == 0);
    EI_TRUE(!has_file(folder, "reserve") && !has_file(folder, "reserve.partial"));
    ei_output_file_discard(&reserve);
    EI_TRUE(reserve.stream == NULL);
    EI_EQ(ei_output_file_reserve(&reserve, "/nowhere", "reserve", 1 << 20, &err), -ENOENT);
    EI_TRUE(reserve.stream == NULL);
}

EI_TEST(a_full_disk_at_the_end_leaves_no_file)
{
    static const char *const names[] = {"summary.json.partial", "summary.txt.partial"};
    for (size_t i = 0; i < 2; i++) {
        char folder[512];
        snprintf(folder, sizeof folder, "%s/%zu", ei_test_tmpdir(), i);
        struct ei_collector *collector = sample_collector(folder, false);
        EI_REQUIRE(collector != NULL);
        if (!make_full(folder, names[i])) {
            ei_collector_destroy(collector);
            ei_test_skip("no /dev/full here");
        }
        const struct ei_metrics_totals totals = sample_totals();
        struct einet_error err = {0};
        EI_EQ(ei_collector_finish(collector, &totals, &err), -ENOSPC);
        EI_CONTAINS(err.text, names[i]);
        char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);
        EI_EQ(ei_collector_print_table(collector, stream, false), 0); /* the figures are not lost */
        fclose(stream);
        EI_CONTAINS(text, "control");
        free(text);
        ei_collector_destroy(collector);
        static const char *const finals[] = {"jobs.csv", "summary.json", "summary.txt"};
        for (size_t k = 0; k < 3; k++) {
            char partial[64];
            snprintf(partial, sizeof partial, "%s.partial", finals[k]);
            EI_TRUE(!has_file(folder, finals[k]));
            EI_TRUE(!has_file(folder, partial));
        }
    }
}

EI_TEST(printing_to_a_full_device_is_an_error)
{
    struct ei_collector *collector = sample_collector(NULL, false);
    EI_REQUIRE(collector != NULL);
    const struct ei_metrics_totals totals = sample_totals();
    EI_EQ(ei_collector_finish(collector, &totals, NULL), 0);
    FILE *full = fopen("/dev/full", "we");
    if (full == NULL) {
        ei_collector_destroy(collector);
        ei_test_skip("no /dev/full here");
    }
    setvbuf(full, NULL, _IONBF, 0);
    EI_EQ(ei_collector_print_json(collector, full), -ENOSPC);
    EI_EQ(ei_collector_print_table(collector, full, true), -ENOSPC);
    fclose(full);
    ei_collector_destroy(collector);
}

EI_MAIN()
