/* See jobs_csv.h. */
#include "metrics/jobs_csv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char head[] =
    "task,job_idx,release_ns,outcome,cause,is_warmup,is_missed,is_overrun,awake_ns,start_ns,finish_ns,deadline_ns,"
    "answer_ns,"
    "lane_wait_ns,lane_busy_ns,planned_exit_idx,exit_idx,exits_mask,confidence,sample_idx,label,answer_label,"
    "is_correct,preemptions,preempted_by,replans,late_replans,gap_ns,is_machine_explained,is_degraded,"
    "release_delay_ns,blocking_ns,interference_ns,execution_ns,lane_queue_ns,throttled_ns,unexplained_ns,profiled_ns,miss_cause,"
    "over_profile\n";

const char *ei_job_outcome_name(int outcome)
{
    static const char *const names[] = {"completed", "aborted", "skipped", "dropped"};
    return outcome >= 0 && outcome <= EI_JOB_DROPPED ? names[outcome] : "unknown";
}

const char *ei_job_cause_name(int cause)
{
    static const char *const names[EI_JOB_CAUSES] = {"plan_done", "preempted", "deadline", "load_cap", "cancelled",
                                                     "late",      "queue",     "fault",    "upstream", "overrun"};
    return cause >= 0 && cause < EI_JOB_CAUSES ? names[cause] : "unknown";
}

/* A field, quoted when it needs to be (RFC 4180). */
static void write_text(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', out);
        }
        fputc(*text, out);
    }
    fputc('"', out);
}

/* A comment is one line whatever the text holds. */
static void write_comment_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        fputc(*text == '\n' || *text == '\r' ? ' ' : *text, out);
    }
}

/* ",time - release", or "," for what did not happen. */
static void write_since(FILE *out, int64_t time_ns, int64_t release_ns)
{
    if (time_ns == 0) {
        fputc(',', out);
    } else {
        fprintf(out, ",%" PRId64, time_ns - release_ns);
    }
}

/* ",value", or "," for a negative one, which stands for none. */
static void write_index(FILE *out, int32_t value)
{
    if (value < 0) {
        fputc(',', out);
    } else {
        fprintf(out, ",%" PRId32, value);
    }
}

/* The parts of the response, in the order of enum ei_part, and what follows from them. */
static void write_split(FILE *out, const struct ei_job_record *job, const struct ei_jobs_csv_context *context)
{
    if (job->outcome != EI_JOB_COMPLETED && job->outcome != EI_JOB_ABORTED) {
        fputs(",,,,,,,,,,", out);
        return;
    }
    for (int i = 0; i < EI_PARTS; i++) {
        fprintf(out, ",%" PRId64, context->split->part_ns[i]);
    }
    if (job->profiled_ns > 0) {
        fprintf(out, ",%" PRId64, job->profiled_ns);
    } else {
        fputc(',', out);
    }
    fprintf(out, ",%s,%s", ei_miss_cause_name(context->miss_cause),
            ei_over_profile_name((int)context->split->over_profile));
}

int ei_jobs_csv_write_head(FILE *out, const struct ei_metrics_degraded *degraded, int32_t degraded_count)
{
    errno = 0;
    for (int32_t i = 0; i < degraded_count; i++) {
        fputs("# DEGRADED: ", out);
        write_comment_text(out, degraded[i].reason);
        if (degraded[i].fix != NULL) {
            fputs(" (fix: ", out);
            write_comment_text(out, degraded[i].fix);
            fputc(')', out);
        }
        fputc('\n', out);
    }
    if (fputs(head, out) < 0 || ferror(out)) {
        return errno != 0 ? -errno : -EIO;
    }
    return 0;
}

int ei_jobs_csv_write_job(FILE *out, const struct ei_job_record *job, const struct ei_jobs_csv_context *context)
{
    errno = 0;
    write_text(out, context->task);
    fprintf(out, ",%" PRId64 ",%" PRId64 ",%s,%s,%d,%d,%d", job->job_idx, job->release_ns - context->t0_ns,
            ei_job_outcome_name(job->outcome), ei_job_cause_name(job->cause), (job->flags & EI_JOB_WARMUP) != 0,
            (job->flags & EI_JOB_MISSED) != 0, (job->flags & EI_JOB_OVERRUN) != 0);
    write_since(out, job->awake_ns, job->release_ns);
    write_since(out, job->start_ns, job->release_ns);
    write_since(out, job->finish_ns, job->release_ns);
    write_since(out, job->deadline_ns == INT64_MAX ? 0 : job->deadline_ns, job->release_ns);
    write_since(out, job->answer_ns, job->release_ns);
    fprintf(out, ",%" PRId64 ",%" PRId64, job->lane_wait_ns, job->lane_busy_ns);
    const bool is_answered = (job->flags & EI_JOB_ANSWERED) != 0;
    const bool is_labelled = (job->flags & EI_JOB_LABELLED) != 0;
    if ((job->flags & EI_JOB_HAS_NN) != 0) {
        write_index(out, job->planned_exit);
        write_index(out, is_answered ? job->exit_idx : -1);
        fprintf(out, ",%" PRIu64, job->exits_mask);
    } else {
        fputs(",,,", out);
    }
    if (is_answered) {
        fprintf(out, ",%.6g", (double)job->confidence);
    } else {
        fputc(',', out);
    }
    write_index(out, job->sample_idx);
    write_index(out, is_labelled ? job->label : -1);
    write_index(out, is_answered ? job->top_label : -1);
    if (is_answered && is_labelled) {
        fprintf(out, ",%d", job->top_label == job->label);
    } else {
        fputc(',', out);
    }
    fprintf(out, ",%d,", job->preemptions);
    if (context->preempted_by != NULL) {
        write_text(out, context->preempted_by);
    }
    char replans[32] = ",";
    if ((job->flags & EI_JOB_HAS_NN) != 0) {
        snprintf(replans, sizeof replans, "%d,%d", job->replans, job->late_replans);
    }
    fprintf(out, ",%s,%" PRId64 ",%d,%d", replans, context->gap_ns, context->is_explained, context->is_degraded);
    write_split(out, job, context);
    if (fputc('\n', out) == EOF || ferror(out)) {
        return errno != 0 ? -errno : -EIO;
    }
    return 0;
}
