/* See virtual_play.h. */
#include "tests/engine/virtual_play.h"

#include "tests/harness/harness.h"

#include <string.h>

struct log seen;

static void on_record(void *context, const struct ei_record *record)
{
    struct log *log = context;
    if (record->kind == EI_RECORD_JOB && log->count < JOBS_MAX) {
        log->jobs[log->count++] = record->u.job;
        log->stop = log->stop_after > 0 && log->count >= log->stop_after;
    } else if (record->kind == EI_RECORD_PREEMPTION && log->preemption_count < JOBS_MAX) {
        log->preemptions[log->preemption_count++] = record->u.preemption;
    }
}

static struct ei_workload *parse(const char *text)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag);
    if (rc != 0) {
        ei_diagnostics_print(&diag, stderr);
    }
    ei_diagnostics_fini(&diag);
    EI_EQ(rc, 0);
    return wl;
}

bool play(const char *text, int64_t stop_after)
{
    return play_with(text, stop_after, NULL);
}

bool play_with(const char *text, int64_t stop_after, const struct ei_releases *releases)
{
    seen = (struct log){.stop_after = stop_after};
    struct ei_workload *wl = parse(text);
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    const struct ei_virtual_options options = {
        .on_record = on_record, .context = &seen, .stop = &seen.stop, .releases = releases};
    const bool is_ok = wl != NULL && EI_TRUEF(ei_virtual_run(wl, &options, &result, &err) == 0, "%s", err.text);
    const bool is_identity_ok = is_ok && result.is_identity_ok;
    seen.demoted = result.demoted_tasks;
    ei_collector_destroy(result.collector);
    ei_workload_destroy(wl);
    return is_identity_ok;
}

const struct ei_job_record *job_of(int32_t task, int64_t job)
{
    for (int32_t i = 0; i < seen.count; i++) {
        if (seen.jobs[i].task_idx == task && seen.jobs[i].job_idx == job) {
            return &seen.jobs[i];
        }
    }
    EI_TRUEF(false, "no job %lld of task %d", (long long)job, (int)task);
    return &seen.jobs[0];
}
