/* See jobs_csv.h. */
#include "metrics/jobs_csv.h"

#include "metrics/collector.h"

const char ei_jobs_csv_head[] =
    "task,job_idx,release_ns,outcome,cause,is_warmup,is_missed,is_overrun,awake_ns,start_ns,finish_ns,deadline_ns,"
    "answer_ns,"
    "lane_wait_ns,lane_busy_ns,planned_exit_idx,exit_idx,exits_mask,confidence,sample_idx,label,answer_label,"
    "is_correct,preemptions,preempted_by,replans,late_replans,gap_ns,is_machine_explained,is_degraded,"
    "release_delay_ns,blocking_ns,interference_ns,execution_ns,lane_queue_ns,throttled_ns,unexplained_ns,profiled_ns,"
    "miss_cause,"
    "over_profile,priority\n";

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

/* The parts of the response, in the order of enum ei_part, and what follows from them. */
static void add_split(struct ei_csv_line *line, const struct ei_job_record *job,
                      const struct ei_jobs_csv_context *context)
{
    if (job->outcome != EI_JOB_COMPLETED && job->outcome != EI_JOB_ABORTED) {
        ei_csv_raw(line, ",,,,,,,,,,");
        return;
    }
    for (int i = 0; i < EI_PARTS; i++) {
        ei_csv_char(line, ',');
        ei_csv_integer(line, context->split->part_ns[i]);
    }
    ei_csv_index(line, job->profiled_ns > 0 ? job->profiled_ns : -1);
    ei_csv_char(line, ',');
    ei_csv_raw(line, ei_miss_cause_name(context->miss_cause));
    ei_csv_char(line, ',');
    ei_csv_raw(line, ei_over_profile_name((int)context->split->over_profile));
}

void ei_csv_degraded(struct ei_csv_line *line, const struct ei_metrics_degraded *degraded)
{
    line->length = 0;
    ei_csv_raw(line, "# DEGRADED: ");
    ei_csv_comment(line, degraded->reason);
    if (degraded->fix != NULL) {
        ei_csv_raw(line, " (fix: ");
        ei_csv_comment(line, degraded->fix);
        ei_csv_char(line, ')');
    }
    ei_csv_char(line, '\n');
}

void ei_csv_outranked(struct ei_csv_line *line)
{
    line->length = 0;
    ei_csv_raw(line, "# gaps: " EI_METRICS_OUTRANKED_TEXT "\n");
}

/* What the network did, and what it answered. */
static void add_network(struct ei_csv_line *line, const struct ei_job_record *job)
{
    const bool is_answered = (job->flags & EI_JOB_ANSWERED) != 0;
    const bool is_labelled = (job->flags & EI_JOB_LABELLED) != 0;
    if ((job->flags & EI_JOB_HAS_NN) != 0) {
        ei_csv_index(line, job->planned_exit);
        ei_csv_index(line, is_answered ? job->exit_idx : -1);
        ei_csv_char(line, ',');
        ei_csv_unsigned(line, job->exits_mask);
    } else {
        ei_csv_raw(line, ",,,");
    }
    ei_csv_char(line, ',');
    if (is_answered) {
        ei_csv_real(line, (double)job->confidence);
    }
    ei_csv_index(line, job->sample_idx);
    ei_csv_index(line, is_labelled ? job->label : -1);
    ei_csv_index(line, is_answered ? job->top_label : -1);
    ei_csv_index(line, is_answered && is_labelled ? job->top_label == job->label : -1);
}

void ei_jobs_csv_begin(struct ei_csv_line *line, const char *task, const struct ei_job_record *job, int64_t t0_ns)
{
    line->length = 0;
    ei_csv_field(line, task);
    ei_csv_char(line, ',');
    ei_csv_integer(line, job->job_idx);
    ei_csv_char(line, ',');
    ei_csv_integer(line, job->release_ns - t0_ns);
}

void ei_jobs_csv_line(struct ei_csv_line *line, const struct ei_job_record *job,
                      const struct ei_jobs_csv_context *context)
{
    const int64_t release_ns = job->release_ns;
    const bool has_network = (job->flags & EI_JOB_HAS_NN) != 0;
    ei_csv_char(line, ',');
    ei_csv_raw(line, ei_job_outcome_name(job->outcome));
    ei_csv_char(line, ',');
    ei_csv_raw(line, ei_job_cause_name(job->cause));
    ei_csv_index(line, (job->flags & EI_JOB_WARMUP) != 0);
    ei_csv_index(line, (job->flags & EI_JOB_MISSED) != 0);
    ei_csv_index(line, (job->flags & EI_JOB_OVERRUN) != 0);
    ei_csv_since(line, job->awake_ns, release_ns);
    ei_csv_since(line, job->start_ns, release_ns);
    ei_csv_since(line, job->finish_ns, release_ns);
    ei_csv_since(line, job->deadline_ns == INT64_MAX ? 0 : job->deadline_ns, release_ns);
    ei_csv_since(line, job->answer_ns, release_ns);
    ei_csv_char(line, ',');
    ei_csv_integer(line, job->lane_wait_ns);
    ei_csv_char(line, ',');
    ei_csv_integer(line, job->lane_busy_ns);
    add_network(line, job);
    ei_csv_index(line, job->preemptions);
    ei_csv_char(line, ',');
    ei_csv_field(line, context->preempted_by != NULL ? context->preempted_by : "");
    ei_csv_index(line, has_network ? job->replans : -1);
    ei_csv_index(line, has_network ? job->late_replans : -1);
    ei_csv_char(line, ',');
    ei_csv_integer(line, context->gap_ns);
    ei_csv_index(line, context->is_explained);
    ei_csv_index(line, context->is_degraded);
    add_split(line, job, context);
    ei_csv_index(line, job->priority);
    ei_csv_char(line, '\n');
}
