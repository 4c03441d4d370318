/* See run.h. */
#include "report/run.h"
#include "metrics/table_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- summary.json and run.json ---- */

/* *out stays NULL when there is no such file. */
static int read_json(const char *folder, const char *name, json_t **out, struct einet_error *err)
{
    char path[4096];
    json_error_t error;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : einet_error_set(err, -errno, "cannot open %s: %s", path, einet_error_text(-errno));
    }
    *out = json_loadf(in, 0, &error);
    fclose(in);
    if (*out == NULL) {
        return einet_error_set_at(err, EINET_E_FILE, path, error.line, error.column, "this is no JSON: %s", error.text);
    }
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return einet_error_set_at(err, EINET_E_FILE, path, 1, 1, "this must be one JSON object");
    }
    return 0;
}

static int64_t integer(json_t *object, const char *key, int64_t otherwise)
{
    json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static int refuse_summary(const struct ei_report_run *run, struct einet_error *err, const char *what)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/summary.json", run->folder);
    return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "%s: this is not what einet writes", what);
}

static int allocate_histogram(struct ei_histogram **out)
{
    *out = malloc(sizeof **out);
    if (*out == NULL) {
        return -ENOMEM;
    }
    ei_histogram_init(*out);
    return 0;
}

static int build_task(struct ei_report_run *run, struct ei_report_task *task, json_t *summary, struct einet_error *err)
{
    task->summary = summary;
    task->name = json_string_value(json_object_get(summary, "name"));
    if (task->name == NULL) {
        return refuse_summary(run, err, "a task has no name");
    }
    task->priority = (int32_t)integer(summary, "priority", 0);
    task->deadline_ns = integer(summary, "deadline_ns", -1);
    const size_t exits = json_array_size(json_object_get(summary, "exits"));
    if (exits > EI_REPORT_EXITS_MAX) {
        return refuse_summary(run, err, "a task has more than 64 exits");
    }
    task->exit_count = (int32_t)exits;
    task->windows = calloc((size_t)run->window_count, sizeof *task->windows);
    int rc = task->windows != NULL ? allocate_histogram(&task->response) : -ENOMEM;
    if (exits > 0) {
        struct ei_histogram **const more[] = {&task->right_at, &task->answer_at, &task->stopped, &task->unstopped};
        for (size_t i = 0; rc == 0 && i < sizeof more / sizeof more[0]; i++) {
            rc = allocate_histogram(more[i]);
        }
    }
    return rc < 0 ? einet_error_set(err, rc, "no memory for the figures of task %s", task->name) : 0;
}

/* At most EI_REPORT_WINDOWS_MAX windows, of 1, 2 or 5 times a power of ten. */
static void choose_windows(struct ei_report_run *run)
{
    static const int64_t steps[] = {1, 2, 5};
    run->window_ns = 1000000;
    for (int i = 1; run->duration_ns / run->window_ns >= EI_REPORT_WINDOWS_MAX; i++) {
        int64_t power = 1000000;
        for (int k = 0; k < i / 3; k++) {
            power *= 10;
        }
        run->window_ns = power * steps[i % 3];
    }
    run->window_count = (int32_t)(run->duration_ns / run->window_ns) + 1;
}

/* Of all texts of the value: names and reasons go to terminals. Returns 0 or -ENOMEM. */
static int make_texts_plain(json_t *value)
{
    int rc = 0;
    if (json_is_string(value)) {
        char *text = strdup(json_string_value(value));
        if (text != NULL) {
            ei_text_make_plain(text, false);
        }
        rc = text == NULL || json_string_set(value, text) != 0 ? -ENOMEM : 0;
        free(text);
    }
    const char *key;
    json_t *item;
    size_t i;
    json_array_foreach(value, i, item)
    {
        rc = rc == 0 ? make_texts_plain(item) : rc;
    }
    json_object_foreach(value, key, item)
    {
        rc = rc == 0 ? make_texts_plain(item) : rc;
    }
    return rc;
}

/* Why the folder has no summary.json, and what to do: as far as the folder tells. */
static int refuse_folder(const char *folder, struct einet_error *err)
{
    static const char *const begun[] = {"run.json", "jobs.csv.partial"};
    const char *why = "name the folder that einet run wrote";
    struct stat st;
    if (stat(folder, &st) != 0) {
        why = "there is no such folder; name the one that einet run wrote";
    } else if (!S_ISDIR(st.st_mode)) {
        why = "it is a file; name the folder that einet run wrote";
    }
    for (size_t i = 0; i < sizeof begun / sizeof begun[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, begun[i]);
        why = stat(path, &st) == 0
                  ? "its run goes on still (einet top shows it), or was killed before it wrote its figures"
                  : why;
    }
    return einet_error_set(err, EINET_E_FILE, "%s has no summary.json: %s", folder, why);
}

static int read_summary(struct ei_report_run *run, struct einet_error *err)
{
    int rc = read_json(run->folder, "summary.json", &run->summary, err);
    if (rc < 0) {
        return rc;
    }
    if (run->summary == NULL) {
        return refuse_folder(run->folder, err);
    }
    if (make_texts_plain(run->summary) < 0) {
        return einet_error_set(err, -ENOMEM, "no memory for the texts of %s/summary.json", run->folder);
    }
    json_t *tasks = json_object_get(run->summary, "tasks");
    run->duration_ns = integer(run->summary, "duration_ns", -1);
    if (integer(run->summary, "schema", -1) != 1) {
        return refuse_summary(run, err, "\"schema\" is not 1");
    }
    if (!json_is_array(tasks) || json_array_size(tasks) == 0 || run->duration_ns < 0 ||
        !json_is_array(json_object_get(run->summary, "degraded"))) {
        return refuse_summary(run, err, "\"tasks\", \"duration_ns\" or \"degraded\" is missing");
    }
    choose_windows(run);
    run->tasks = calloc(json_array_size(tasks), sizeof *run->tasks);
    run->task_names = calloc(json_array_size(tasks), sizeof *run->task_names);
    if (run->tasks == NULL || run->task_names == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the tasks of %s", run->folder);
    }
    run->task_count = (int32_t)json_array_size(tasks);
    for (int32_t i = 0; rc == 0 && i < run->task_count; i++) {
        rc = build_task(run, &run->tasks[i], json_array_get(tasks, (size_t)i), err);
        run->task_names[i] = run->tasks[i].name;
    }
    return rc;
}

/* ---- jobs.csv ---- */

static void add_network(struct ei_report_task *task, const struct ei_report_job *job)
{
    const bool ran = job->outcome == EI_REPORT_COMPLETED || job->outcome == EI_REPORT_ABORTED;
    if (task->exit_count == 0 || !ran) {
        return;
    }
    task->labelled += job->is_labelled;
    if (job->finish_ns >= 0) {
        ei_histogram_record(ei_report_is_forced(job) ? task->stopped : task->unstopped, job->finish_ns);
    }
    if (job->exit_idx < 0 || job->exit_idx >= task->exit_count) {
        return;
    }
    const int64_t answer_ns = job->answer_ns >= 0 ? job->answer_ns : 0;
    task->exits[job->exit_idx]++;
    if (job->is_labelled) {
        task->answers++;
        ei_histogram_record(task->answer_at, answer_ns);
    }
    if (job->is_right) {
        task->right++;
        task->right_in_time += job->deadline_ns < 0 || answer_ns <= job->deadline_ns;
        ei_histogram_record(task->right_at, answer_ns);
    }
}

static void add_job(struct ei_report_run *run, const struct ei_report_job *job)
{
    struct ei_report_task *task = &run->tasks[job->task_idx];
    run->job_count++;
    if (job->is_warmup) {
        return;
    }
    int64_t window = job->release_ns / run->window_ns;
    window = window < 0 ? 0 : window < run->window_count ? window : run->window_count - 1;
    struct ei_report_window *w = &task->windows[window];
    const bool is_completed = job->outcome == EI_REPORT_COMPLETED, is_late = is_completed && job->is_missed;
    task->outcomes[job->outcome]++;
    task->late += is_late;
    w->met += is_completed && !is_late;
    w->late += is_late;
    w->not_run += !is_completed;
    w->explained += (is_late || !is_completed) && job->is_explained;
    if (is_completed && job->finish_ns >= 0) {
        ei_histogram_record(task->response, job->finish_ns);
    }
    add_network(task, job);
    ei_timeline_consider(&run->timeline, job);
}

static int read_jobs(struct ei_report_run *run, struct einet_error *err)
{
    struct ei_report_jobs jobs;
    struct ei_report_job job;
    int rc = ei_report_jobs_open(&jobs, run->jobs_path, run->task_names, run->task_count, err);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    jobs.csv.watch = run->timeline.watch;
    while ((rc = ei_report_jobs_next(&jobs, &job, err)) > 0) {
        add_job(run, &job);
    }
    ei_report_jobs_close(&jobs);
    run->has_jobs = rc == 0;
    return rc;
}

int64_t ei_report_missing_jobs(const struct ei_report_task *task)
{
    int64_t missing = integer(task->summary, "released", 0) + integer(task->summary, "skipped", 0) +
                      integer(task->summary, "dropped", 0);
    for (int k = 0; k < EI_REPORT_OUTCOMES; k++) {
        missing -= task->outcomes[k];
    }
    return missing;
}

/* More lines than jobs cannot be of this run. Fewer can: lines are lost when the disk is full. */
static int check_counts(const struct ei_report_run *run, struct einet_error *err)
{
    for (int32_t i = 0; run->has_jobs && i < run->task_count; i++) {
        const int64_t missing = ei_report_missing_jobs(&run->tasks[i]);
        if (missing < 0) {
            return einet_error_set_at(err, EINET_E_MISMATCH, run->jobs_path, 0, 0,
                                      "task %s has %lld jobs more here than in summary.json: the two files are not of "
                                      "one run",
                                      run->tasks[i].name, (long long)-missing);
        }
    }
    return 0;
}

/* ---- latency.hlog ---- */

/* Its responses are those that summary.json counts, or it is of another run. */
static int check_hlog(const struct ei_report_run *run, struct einet_error *err)
{
    for (int32_t i = 0; i < run->task_count; i++) {
        char tag[EI_HLOG_TAG_MAX];
        const int64_t completed = integer(run->tasks[i].summary, "completed", -1);
        snprintf(tag, sizeof tag, "%.120s/response", run->tasks[i].name);
        const struct ei_histogram *responses = ei_hlog_find(&run->hlog, tag);
        if (responses != NULL && completed >= 0 && responses->count != (uint64_t)completed) {
            return einet_error_set_at(err, EINET_E_MISMATCH, run->hlog_path, 0, 0,
                                      "%s has %llu values, summary.json %lld completed jobs: the two files are not of "
                                      "one run",
                                      tag, (unsigned long long)responses->count, (long long)completed);
        }
    }
    return 0;
}

/* Runs with outputs.hist: none have no such file. */
static int read_hlog(struct ei_report_run *run, struct einet_error *err)
{
    const int rc = ei_hlog_read(run->hlog_path, &run->hlog, err);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    return check_hlog(run, err);
}

static int64_t file_bytes(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 ? (int64_t)file.st_size : 0;
}

int ei_report_run_load(struct ei_report_run *run, const char *folder, bool is_whole, struct einet_error *err)
{
    return ei_report_run_load_watched(run, folder, is_whole, NULL, err);
}

int ei_report_run_load_watched(struct ei_report_run *run, const char *folder, bool is_whole, struct ei_csv_watch *watch,
                               struct einet_error *err)
{
    *run = (struct ei_report_run){.folder = folder, .timeline.watch = watch};
    if (strlen(folder) + sizeof "/latency.hlog" > sizeof run->jobs_path) {
        return einet_error_set(err, EINET_E_USAGE, "the name of the folder is too long");
    }
    snprintf(run->jobs_path, sizeof run->jobs_path, "%s/jobs.csv", folder);
    snprintf(run->stages_path, sizeof run->stages_path, "%s/stages.csv", folder);
    snprintf(run->hlog_path, sizeof run->hlog_path, "%s/latency.hlog", folder);
    if (watch != NULL) {
        watch->done_bytes = 0;
        watch->whole_bytes =
            is_whole ? 2 * file_bytes(run->jobs_path) + file_bytes(run->stages_path) : file_bytes(run->jobs_path);
    }
    int rc = read_summary(run, err);
    rc = rc < 0 ? rc : read_json(folder, "run.json", &run->run, err);
    rc = rc < 0 ? rc : read_jobs(run, err);
    rc = rc < 0 ? rc : check_counts(run, err);
    if (rc == 0 && is_whole) {
        rc = read_hlog(run, err);
    }
    if (rc == 0 && is_whole) {
        rc = ei_timeline_read(&run->timeline, run->jobs_path, run->stages_path, run->task_names, run->task_count, err);
    }
    if (rc < 0) {
        ei_report_run_fini(run);
    }
    return rc;
}

void ei_report_run_fini(struct ei_report_run *run)
{
    for (int32_t i = 0; i < run->task_count; i++) {
        struct ei_report_task *task = &run->tasks[i];
        free(task->response);
        free(task->right_at);
        free(task->answer_at);
        free(task->stopped);
        free(task->unstopped);
        free(task->windows);
    }
    ei_timeline_fini(&run->timeline);
    ei_hlog_fini(&run->hlog);
    free(run->tasks);
    free(run->task_names);
    json_decref(run->summary);
    json_decref(run->run);
    *run = (struct ei_report_run){0};
}

json_t *ei_report_degraded(const struct ei_report_run *run)
{
    return json_object_get(run->summary, "degraded");
}

void ei_report_misses(const struct ei_report_task *task, bool has_jobs, int64_t *out_misses, int64_t *out_releases)
{
    const int64_t aborted = has_jobs ? task->outcomes[EI_REPORT_ABORTED] : integer(task->summary, "aborted", 0);
    const int64_t skipped = has_jobs ? task->outcomes[EI_REPORT_SKIPPED] : integer(task->summary, "skipped", 0);
    const int64_t dropped = has_jobs ? task->outcomes[EI_REPORT_DROPPED] : integer(task->summary, "dropped", 0);
    const int64_t completed = has_jobs ? task->outcomes[EI_REPORT_COMPLETED] : integer(task->summary, "completed", 0);
    *out_misses = (has_jobs ? task->late : integer(task->summary, "misses", 0)) + aborted + skipped + dropped;
    *out_releases = completed + aborted + skipped + dropped;
}
