/* latency.hlog of a finished collector: a line for each distribution that has values. */
#include "metrics/collector_state.h"
#include "metrics/hlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9

static int write_tag(const struct ei_collector *collector, FILE *out, const char *tag,
                     const struct ei_histogram *histogram)
{
    const double length_s = (double)collector->totals.duration_ns / NS_PER_S;
    return histogram->count > 0 ? ei_hlog_write(out, tag, 0.0, length_s, histogram) : 0;
}

/* Of the tasks' histograms one of all; `all` is room for it. */
static int write_preemptions(const struct ei_collector *collector, FILE *out, struct ei_histogram *all)
{
    ei_histogram_init(all);
    for (int32_t i = 0; i < collector->task_count; i++) {
        ei_histogram_merge(all, &collector->tasks[i].blocking);
    }
    int rc = write_tag(collector, out, "preemption/blocking", all);
    ei_histogram_init(all);
    for (int32_t i = 0; rc == 0 && i < collector->task_count; i++) {
        ei_histogram_merge(all, &collector->tasks[i].switching);
    }
    return rc == 0 ? write_tag(collector, out, "preemption/switch", all) : rc;
}

/* Comments, which every reader of such logs passes over. */
static int write_remarks(const struct ei_collector *collector, FILE *out)
{
    if (collector->is_probe_outranked && fputs("#[noise: " EI_METRICS_OUTRANKED_TEXT "]\n", out) < 0) {
        return -EIO;
    }
    for (size_t i = 0; i < json_array_size(collector->degraded); i++) {
        const json_t *entry = json_array_get(collector->degraded, i);
        const char *reason = json_string_value(json_object_get(entry, "reason"));
        const int length = reason != NULL ? (int)strcspn(reason, "\r\n") : 0;
        errno = 0;
        if (fprintf(out, "#[DEGRADED: %.*s]\n", length, reason != NULL ? reason : "") < 0) {
            return errno != 0 ? -errno : -EIO;
        }
    }
    return 0;
}

int ei_metrics_write_hlog(const struct ei_collector *collector, FILE *out)
{
    char tag[EI_HLOG_TAG_MAX];
    struct ei_histogram *all = malloc(sizeof *all);
    int rc = all != NULL ? ei_hlog_write_head(out, collector->started_s) : -ENOMEM;
    rc = rc == 0 ? write_remarks(collector, out) : rc;
    for (int32_t i = 0; rc == 0 && i < collector->task_count; i++) {
        const struct ei_metrics_task_state *task = &collector->tasks[i];
        snprintf(tag, sizeof tag, "%.120s/response", task->spec.name);
        rc = write_tag(collector, out, tag, &task->response);
        snprintf(tag, sizeof tag, "%.120s/jitter", task->spec.name);
        rc = rc == 0 ? write_tag(collector, out, tag, &task->jitter) : rc;
    }
    rc = rc == 0 ? write_preemptions(collector, out, all) : rc;
    for (int32_t i = 0; rc == 0 && i < collector->cpu_noise_count; i++) {
        snprintf(tag, sizeof tag, "noise/cpu%d", collector->cpu_noise[i].cpu);
        rc = write_tag(collector, out, tag, &collector->cpu_noise[i].lateness);
    }
    free(all);
    return rc;
}
