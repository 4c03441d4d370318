/* See sample_folder.h. */
#include "tests/report/sample_folder.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <stdlib.h>
#include <sys/stat.h>

const char *const sample_names[SAMPLE_TASKS] = {"control", "eye, left", "log"};

static const int64_t deadlines_ns[SAMPLE_TASKS] = {2 * SAMPLE_MS, 10 * SAMPLE_MS, -1};

static FILE *create(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)mkdir(folder, 0755);
    FILE *out = fopen(path, "we");
    EI_TRUEF(out != NULL, "cannot write %s", path);
    return out;
}

void sample_write_file(const char *folder, const char *name, const char *text)
{
    FILE *out = create(folder, name);
    if (out != NULL) {
        fputs(text, out);
        fclose(out);
    }
}

static struct ei_report_job draw_job(struct ei_random *random, const struct sample_options *options, int32_t i)
{
    const int32_t task = i % SAMPLE_TASKS;
    struct ei_report_job job = {.task_idx = task,
                                .job_idx = i / SAMPLE_TASKS,
                                .release_ns = i / SAMPLE_TASKS * 5 * SAMPLE_MS,
                                .start_ns = -1,
                                .finish_ns = -1,
                                .deadline_ns = deadlines_ns[task],
                                .answer_ns = -1,
                                .exit_idx = -1,
                                .cause = "plan_done"};
    const double u = ei_random_unit(random);
    job.is_warmup = job.release_ns < 20 * SAMPLE_MS;
    job.outcome = u < 0.04   ? EI_REPORT_SKIPPED
                  : u < 0.06 ? EI_REPORT_DROPPED
                  : u < 0.1  ? EI_REPORT_ABORTED
                             : EI_REPORT_COMPLETED;
    if (job.outcome == EI_REPORT_SKIPPED || job.outcome == EI_REPORT_DROPPED) {
        snprintf(job.cause, sizeof job.cause, "%s", job.outcome == EI_REPORT_SKIPPED ? "late" : "queue");
        job.is_explained = ei_random_unit(random) < 0.5;
        return job;
    }
    const int64_t scale_ns = task == 1 ? 8 * SAMPLE_MS : SAMPLE_MS;
    job.start_ns = (int64_t)(ei_random_unit(random) * 50000);
    job.finish_ns =
        job.start_ns + 1000 + (int64_t)(-log(1 - ei_random_unit(random)) * 0.4 * (double)scale_ns) + options->slower_ns;
    job.is_missed = job.deadline_ns > 0 && job.finish_ns > job.deadline_ns; /* of aborted ones, too */
    if (task == 1) {
        job.is_labelled = ei_random_unit(random) < 0.9;
        job.exit_idx = (int64_t)(ei_random_unit(random) * (SAMPLE_EXITS + 1)) - 1;
        if (job.exit_idx >= 0) {
            job.answer_ns = job.start_ns + (job.finish_ns - job.start_ns) * 3 / 4;
            job.is_right = job.is_labelled && ei_random_unit(random) < 0.7;
        }
        if (ei_random_unit(random) < 0.2) {
            snprintf(job.cause, sizeof job.cause, "preempted");
            snprintf(job.preempted_by, sizeof job.preempted_by, "control");
            job.preemptions = 1;
        }
    }
    return job;
}

static void write_since(FILE *out, int64_t value)
{
    if (value >= 0) {
        fprintf(out, ",%" PRId64, value);
    } else {
        fputc(',', out);
    }
}

static void write_job(FILE *out, const struct ei_report_job *job)
{
    fprintf(out, job->task_idx == 1 ? "\"%s\"" : "%s", sample_names[job->task_idx]);
    fprintf(out, ",%" PRId64 ",%" PRId64 ",%s,%s,%d,%d", job->job_idx, job->release_ns,
            ei_report_outcome_name(job->outcome), job->cause, job->is_warmup, job->is_missed);
    write_since(out, job->start_ns);
    write_since(out, job->finish_ns);
    write_since(out, job->deadline_ns);
    write_since(out, job->answer_ns);
    write_since(out, job->exit_idx);
    write_since(out, job->is_labelled ? 7 : -1);
    write_since(out, job->is_labelled && job->exit_idx >= 0 ? job->is_right : -1);
    fprintf(out, ",%" PRId64 ",%s,%d\n", job->preemptions, job->preempted_by, job->is_explained);
}

static void write_summary(const char *folder, const struct sample_options *options, const struct ei_report_job *jobs)
{
    FILE *out = create(folder, "summary.json");
    if (out == NULL) {
        return;
    }
    fprintf(out, "{\"schema\": 1, \"name\": \"sample\", \"duration_ns\": %" PRId64 ", \"seed\": 1, \"degraded\": [",
            (options->jobs / SAMPLE_TASKS + 1) * 5 * SAMPLE_MS);
    if (options->degraded != NULL) {
        fprintf(out, "{\"reason\": \"%s\", \"fix\": null}", options->degraded);
    }
    fputs("], \"tasks\": [", out);
    for (int32_t t = 0; t < SAMPLE_TASKS; t++) {
        int64_t outcomes[EI_REPORT_OUTCOMES] = {0}, late = 0;
        for (int32_t i = 0; i < options->jobs; i++) {
            if (jobs[i].task_idx == t && !jobs[i].is_warmup) {
                outcomes[jobs[i].outcome]++;
                late += jobs[i].is_missed && jobs[i].outcome == EI_REPORT_COMPLETED;
            }
        }
        fprintf(
            out,
            "%s\n{\"name\": \"%s\", \"priority\": %d, \"deadline_ns\": %s, \"period_ns\": 5000000, \"released\": "
            "%" PRId64 ", \"skipped\": %" PRId64 ", \"dropped\": %" PRId64 ", \"completed\": %" PRId64
            ", \"aborted\": %" PRId64 ", \"misses\": %" PRId64 ", \"exits\": %s, \"assumed_stop\": %s, \"slo\": []}",
            t > 0 ? "," : "", sample_names[t], 80 - t,
            t == 0   ? "2000000"
            : t == 1 ? "10000000"
                     : "null",
            outcomes[EI_REPORT_COMPLETED] + outcomes[EI_REPORT_ABORTED], outcomes[EI_REPORT_SKIPPED],
            outcomes[EI_REPORT_DROPPED], outcomes[EI_REPORT_COMPLETED], outcomes[EI_REPORT_ABORTED], late,
            t == 1 ? "[1, 1, 1, 1]" : "null", t == 1 && options->assumed_stop != NULL ? options->assumed_stop : "null");
    }
    fputs("]}\n", out);
    fclose(out);
}

void sample_write(const char *folder, const struct sample_options *options, struct ei_report_job *jobs)
{
    struct ei_random random;
    ei_random_init(&random, options->seed, 0);
    FILE *out = options->has_no_jobs_csv ? NULL : create(folder, "jobs.csv");
    if (out != NULL) {
        fputs("# DEGRADED: a comment, with a comma\n"
              "task,job_idx,release_ns,outcome,cause,is_warmup,is_missed,start_ns,finish_ns,deadline_ns,answer_ns,"
              "exit_idx,label,is_correct,preemptions,preempted_by,is_machine_explained\n",
              out);
    }
    for (int32_t i = 0; i < options->jobs; i++) {
        jobs[i] = draw_job(&random, options, i);
        if (out != NULL) {
            write_job(out, &jobs[i]);
        }
    }
    if (out != NULL) {
        fclose(out);
    }
    write_summary(folder, options, jobs);
    if (options->sha256 != NULL) {
        char text[256];
        snprintf(text, sizeof text, "{\"schema\": 1, \"workload\": {\"sha256\": \"%s\"}}\n", options->sha256);
        sample_write_file(folder, "run.json", text);
    }
}
