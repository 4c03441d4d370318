/* The figures of a run, added up while jobs.csv is read, against each of them counted from the list of jobs. */
#include "report/run.h"
#include "tests/harness/harness.h"
#include "tests/report/sample_folder.h"

#include <stdlib.h>

static struct ei_report_job jobs[SAMPLE_JOBS_MAX];

static const char *folder_of(const struct sample_options *options)
{
    static char folder[1024];
    snprintf(folder, sizeof folder, "%s/run", ei_test_tmpdir());
    sample_write(folder, options, jobs);
    return folder;
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The response at rank ceil(q n) of the task's completed jobs. */
static int64_t quantile_ns(int32_t count, int32_t task, double q)
{
    static int64_t responses[SAMPLE_JOBS_MAX];
    int32_t n = 0;
    for (int32_t i = 0; i < count; i++) {
        if (jobs[i].task_idx == task && !jobs[i].is_warmup && jobs[i].outcome == EI_REPORT_COMPLETED) {
            responses[n++] = jobs[i].finish_ns;
        }
    }
    qsort(responses, (size_t)n, sizeof responses[0], compare);
    const int32_t rank = (int32_t)ceil(q * n - 1e-9);
    return n > 0 ? responses[(rank > 0 ? rank : 1) - 1] : 0;
}

static void check_windows(const struct ei_report_run *run, int32_t count, int32_t task)
{
    for (int32_t w = 0; w < run->window_count; w++) {
        struct ei_report_window sum = {0};
        for (int32_t i = 0; i < count; i++) {
            const struct ei_report_job *job = &jobs[i];
            if (job->task_idx != task || job->is_warmup || job->release_ns / run->window_ns != w) {
                continue;
            }
            const bool ran = job->outcome == EI_REPORT_COMPLETED;
            sum.met += ran && !job->is_missed;
            sum.late += ran && job->is_missed;
            sum.not_run += !ran;
            sum.explained += (!ran || job->is_missed) && job->is_explained;
        }
        const struct ei_report_window *got = &run->tasks[task].windows[w];
        EI_TRUEF(got->met == sum.met && got->late == sum.late && got->not_run == sum.not_run &&
                     got->explained == sum.explained,
                 "task %d window %d: %d %d %d %d, expected %d %d %d %d", task, w, (int)got->met, (int)got->late,
                 (int)got->not_run, (int)got->explained, (int)sum.met, (int)sum.late, (int)sum.not_run,
                 (int)sum.explained);
    }
}

static void check_network(const struct ei_report_run *run, int32_t count)
{
    const struct ei_report_task *task = &run->tasks[1];
    int64_t exits[SAMPLE_EXITS] = {0}, labelled = 0, right = 0, in_time = 0, stopped = 0, ran = 0, answers = 0;
    uint64_t right_by_6ms = 0;
    for (int32_t i = 0; i < count; i++) {
        const struct ei_report_job *job = &jobs[i];
        if (job->task_idx != 1 || job->is_warmup || job->finish_ns < 0) {
            continue;
        }
        ran++;
        labelled += job->is_labelled;
        stopped += strcmp(job->cause, "preempted") == 0;
        if (job->exit_idx >= 0) {
            exits[job->exit_idx]++;
            answers += job->is_labelled;
        }
        right += job->is_right;
        in_time += job->is_right && job->answer_ns <= job->deadline_ns;
        right_by_6ms += job->is_right && job->answer_ns <= 6 * SAMPLE_MS;
    }
    EI_EQ(task->exit_count, SAMPLE_EXITS);
    for (int32_t i = 0; i < SAMPLE_EXITS; i++) {
        EI_EQ(task->exits[i], exits[i]);
    }
    EI_EQ(task->labelled, labelled);
    EI_EQ(task->answers, answers);
    EI_EQ(task->right, right);
    EI_EQ(task->right_in_time, in_time);
    EI_TRUE(in_time < right && stopped > 0 && right > 0);
    EI_EQ(task->stopped->count, stopped);
    EI_EQ(task->unstopped->count, ran - stopped);
    EI_IN(task->right_at->count - ei_histogram_count_above(task->right_at, 6 * SAMPLE_MS), (double)right_by_6ms,
          (double)right_by_6ms + 3); /* a bucket is a thousandth wide */
}

EI_TEST(figures_are_those_of_the_jobs)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        const struct sample_options options = {.seed = seed, .jobs = 500 * (int32_t)seed};
        struct ei_report_run run;
        struct einet_error err = {0};
        EI_REQUIRE(EI_TRUEF(ei_report_run_load(&run, folder_of(&options), false, &err) == 0, "%s", err.text));
        EI_EQ(run.job_count, options.jobs);
        EI_TRUE(run.has_jobs && run.run == NULL);
        EI_TRUE(run.window_count <= EI_REPORT_WINDOWS_MAX);
        for (int32_t t = 0; t < SAMPLE_TASKS; t++) {
            int64_t misses, releases;
            for (size_t q = 0; q < 4; q++) {
                static const double qs[] = {0.1, 0.5, 0.9, 0.99};
                const int64_t true_ns = quantile_ns(options.jobs, t, qs[q]);
                EI_IN(ei_histogram_quantile_ns(run.tasks[t].response, qs[q]), (double)true_ns, (double)true_ns * 1.001);
            }
            check_windows(&run, options.jobs, t);
            EI_EQ(ei_report_missing_jobs(&run.tasks[t]), 0);
            /* jobs.csv and summary.json say the same. */
            ei_report_misses(&run.tasks[t], true, &misses, &releases);
            int64_t other_misses, other_releases;
            ei_report_misses(&run.tasks[t], false, &other_misses, &other_releases);
            EI_EQ(misses, other_misses);
            EI_EQ(releases, other_releases);
            EI_TRUE(misses > 0);
        }
        check_network(&run, options.jobs);
        ei_report_run_fini(&run);
    }
}

/* ---- the timeline ---- */

static double lateness(const struct ei_report_job *job)
{
    return (double)job->finish_ns / (double)job->deadline_ns;
}

EI_TEST(the_worst_job_and_all_around_it_are_found)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        const struct sample_options options = {.seed = seed, .jobs = 900};
        struct ei_report_run run;
        struct einet_error err = {0};
        EI_REQUIRE(EI_TRUEF(ei_report_run_load(&run, folder_of(&options), true, &err) == 0, "%s", err.text));
        const struct ei_report_job *worst = NULL;
        for (int32_t i = 0; i < options.jobs; i++) {
            if (jobs[i].is_missed && !jobs[i].is_warmup && (worst == NULL || lateness(&jobs[i]) > lateness(worst))) {
                worst = &jobs[i];
            }
        }
        EI_REQUIRE(worst != NULL && run.timeline.has_worst);
        EI_EQ(run.timeline.worst.task_idx, worst->task_idx);
        EI_EQ(run.timeline.worst.job_idx, worst->job_idx);
        int32_t around = 0;
        for (int32_t i = 0; i < options.jobs; i++) {
            const int64_t end_ns =
                jobs[i].release_ns + (int64_t)fmax(0, fmax((double)jobs[i].finish_ns, (double)jobs[i].deadline_ns));
            around += jobs[i].release_ns <= run.timeline.to_ns && end_ns >= run.timeline.from_ns;
        }
        EI_EQ(run.timeline.job_count, around);
        const bool is_long = worst->finish_ns > 3 * worst->deadline_ns;
        EI_EQ(run.timeline.from_ns, worst->release_ns - (is_long ? 3 * worst->deadline_ns : worst->finish_ns));
        EI_EQ(run.timeline.to_ns - worst->release_ns, worst->release_ns - run.timeline.from_ns + worst->finish_ns);
        EI_TRUE(!run.timeline.has_stages && !run.timeline.is_cut);
        ei_report_run_fini(&run);
    }
}

EI_TEST(without_a_miss_what_did_not_run_comes_before_the_slowest)
{
    struct ei_timeline timeline = {0};
    const struct ei_report_job
        slow = {.finish_ns = 9, .deadline_ns = 10, .release_ns = 1},
        slower = {.finish_ns = 19, .deadline_ns = 20, .release_ns = 2},
        endless = {.finish_ns = 100, .deadline_ns = -1, .release_ns = 3},
        dropped = {.outcome = EI_REPORT_DROPPED, .finish_ns = -1, .deadline_ns = 5, .release_ns = 4},
        aborted = {.outcome = EI_REPORT_ABORTED, .finish_ns = 3, .deadline_ns = 5, .release_ns = 5},
        late = {.is_missed = true, .finish_ns = 11, .deadline_ns = 10, .release_ns = 6},
        warmup = {.is_warmup = true, .is_missed = true, .finish_ns = 99, .deadline_ns = 1};
    const struct ei_report_job *order[] = {&endless, &slow, &slower, &dropped, &aborted, &late};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        ei_timeline_consider(&timeline, order[i]);
        ei_timeline_consider(&timeline, &warmup);
        ei_timeline_consider(&timeline, &endless);
        EI_EQ(timeline.worst.release_ns, order[i]->release_ns);
    }
}

static const char stages_head[] = "task,job_idx,release_ns,kind,stage_idx,stage,block_idx,lane,cpu,ready_ns,start_ns,"
                                  "end_ns,cpu_ns,confidence\n";

EI_TEST(stages_around_the_worst_job_are_read)
{
    const struct sample_options options = {.seed = 3, .jobs = 600};
    struct ei_report_run run;
    struct einet_error err = {0};
    const char *folder = folder_of(&options);
    EI_REQUIRE(ei_report_run_load(&run, folder, true, &err) == 0);
    const int64_t release_ns = run.timeline.worst.release_ns;
    ei_report_run_fini(&run);
    char text[2048];
    snprintf(text, sizeof text,
             "%s\"eye, left\",5,%lld,cpu,0,pre,,,1,0,1000,2000,900,\n\"eye, left\",5,%lld,branch,1,net,2,acc0,,,2000,"
             "3000,,0.75\ncontrol,0,%lld,cpu,0,law,,,1,0,0,1,1,\n",
             stages_head, (long long)release_ns, (long long)release_ns, (long long)release_ns + 1000000000);
    sample_write_file(folder, "stages.csv", text);
    EI_REQUIRE(EI_TRUEF(ei_report_run_load(&run, folder, true, &err) == 0, "%s", err.text));
    EI_TRUE(run.timeline.has_stages);
    EI_EQ(run.timeline.span_count, 2); /* the third is far away */
    const struct ei_span *pre = &run.timeline.spans[0], *branch = &run.timeline.spans[1];
    EI_EQ(pre->kind, EI_SPAN_CPU);
    EI_EQ(pre->ready_ns, release_ns);
    EI_EQ(pre->start_ns, release_ns + 1000);
    EI_EQ(pre->cpu_ns, 900);
    EI_EQ(pre->cpu, 1);
    EI_EQ(pre->block_idx, -1);
    EI_EQ(branch->kind, EI_SPAN_BRANCH);
    EI_EQ(branch->ready_ns, -1);
    EI_EQ(branch->block_idx, 2);
    EI_EQ(branch->task_idx, 1);
    EI_STREQ(branch->lane, "acc0");
    EI_NEAR(branch->confidence, 0.75, 1e-9);
    ei_report_run_fini(&run);
    snprintf(text, sizeof text, "%scontrol,0,%lld,gpu,0,law,,,1,0,0,1,1,\n", stages_head, (long long)release_ns);
    sample_write_file(folder, "stages.csv", text);
    EI_EQ(ei_report_run_load(&run, folder, true, &err), EINET_E_FILE);
    EI_EQ(err.line, 2);
    EI_CONTAINS(err.file, "stages.csv");
    EI_CONTAINS(err.text, "column kind: 'gpu' is not known");
}

/* ---- what is wrong with a folder ---- */

static void expect_bad(const char *folder, int code, const char *file, int line, const char *what)
{
    struct ei_report_run run;
    struct einet_error err = {0};
    EI_EQ(ei_report_run_load(&run, folder, true, &err), code);
    EI_CONTAINS(err.file, file);
    EI_EQ(err.line, line);
    EI_CONTAINS(err.text, what);
}

EI_TEST(missing_and_damaged_files_are_named)
{
    const struct sample_options options = {.seed = 1, .jobs = 30};
    const char *folder = ei_test_tmpdir();
    expect_bad(folder, EINET_E_FILE, "", 0, "no summary.json");
    expect_bad("/nowhere", EINET_E_FILE, "", 0, "/nowhere has no summary.json: there is no such folder");
    expect_bad("/etc/passwd", EINET_E_FILE, "", 0, "it is a file");
    sample_write_file(folder, "jobs.csv.partial", "");
    expect_bad(folder, EINET_E_FILE, "", 0, "its run goes on still (einet top shows it), or was killed");
    sample_write_file(folder, "summary.json", "{\"schema\": 1,\n \"tasks\": [}\n");
    expect_bad(folder, EINET_E_FILE, "summary.json", 2, "no JSON");
    sample_write_file(folder, "summary.json", "[]\n");
    expect_bad(folder, EINET_E_FILE, "summary.json", 1, "one JSON object");
    sample_write_file(folder, "summary.json", "{\"schema\": 2}\n");
    expect_bad(folder, EINET_E_FILE, "summary.json", 0, "\"schema\" is not 1");
    sample_write_file(folder, "summary.json", "{\"schema\": 1, \"tasks\": [], \"duration_ns\": 1, \"degraded\": []}\n");
    expect_bad(folder, EINET_E_FILE, "summary.json", 0, "missing");
    sample_write(folder, &options, jobs);
    sample_write_file(folder, "run.json", "{");
    expect_bad(folder, EINET_E_FILE, "run.json", 1, "no JSON");
    sample_write_file(folder, "run.json", "{}");
    sample_write_file(folder, "jobs.csv", "task,job_idx\ncontrol,1\n");
    expect_bad(folder, EINET_E_FILE, "jobs.csv", 1, "no 'release_ns'");
    static const char head[] = "task,job_idx,release_ns,outcome,cause,is_warmup,is_missed,start_ns,finish_ns,"
                               "deadline_ns,answer_ns,exit_idx,label,is_correct\n";
    char text[1024];
    snprintf(text, sizeof text, "%scontrol,0,0,completed,plan_done,0,0,0,1,,,,,\nother,0,0,completed,x,0,0,,,,,,,\n",
             head);
    sample_write_file(folder, "jobs.csv", text);
    expect_bad(folder, EINET_E_FILE, "jobs.csv", 3, "no task 'other'");
    snprintf(text, sizeof text, "%scontrol,0,0,done,plan_done,0,0,0,1,,,,,\n", head);
    sample_write_file(folder, "jobs.csv", text);
    expect_bad(folder, EINET_E_FILE, "jobs.csv", 2, "'done' is none of");
    snprintf(text, sizeof text, "%scontrol,0,0,completed,plan_done,0,0,0,1ms,,,,,\n", head);
    sample_write_file(folder, "jobs.csv", text);
    expect_bad(folder, EINET_E_FILE, "jobs.csv", 2, "column finish_ns: '1ms' is not a whole number");
}

EI_TEST(jobs_of_another_run_are_refused_and_lost_lines_are_counted)
{
    const struct sample_options options = {.seed = 1, .jobs = 300}, fewer = {.seed = 1, .jobs = 150};
    struct ei_report_run run;
    struct einet_error err = {0};
    const char *folder = folder_of(&options);
    char from[1100], to[1100];
    snprintf(from, sizeof from, "%s/jobs.csv", folder);
    snprintf(to, sizeof to, "%s/kept.csv", folder);
    EI_EQ(rename(from, to), 0);
    folder_of(&fewer);
    EI_EQ(rename(to, from), 0);
    expect_bad(folder, EINET_E_MISMATCH, "jobs.csv", 0, "not of one run");
    folder_of(&fewer);
    EI_EQ(rename(from, to), 0);
    folder_of(&options);
    EI_EQ(rename(to, from), 0);
    EI_REQUIRE(EI_TRUEF(ei_report_run_load(&run, folder, false, &err) == 0, "%s", err.text));
    EI_EQ(ei_report_missing_jobs(&run.tasks[0]), 50);
    ei_report_run_fini(&run);
}

EI_MAIN()
