/* See assumed.h. */
#include "report/assumed.h"

#include "workloads/spec.h"

#include <errno.h>
#include <string.h>

static double rate_of(const struct ei_workload *wl, const char *task)
{
    for (int32_t i = 0; i < wl->task_count; i++) {
        const struct ei_term *source = &wl->tasks[i].planner.exit_time;
        if (strcmp(wl->tasks[i].name, task) == 0 && source->word == EI_SPEC_EXIT_TIME_EXPONENTIAL) {
            return source->number;
        }
    }
    return 0;
}

double ei_report_assumed_rate_hz(json_t *run, const char *task)
{
    const char *text = json_string_value(json_object_get(json_object_get(run, "workload"), "text"));
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    if (text == NULL || strstr(text, "exponential") == NULL) {
        return 0; /* do not check a whole workload for nothing */
    }
    const int rc = ei_workload_parse(text, strlen(text), "run.json", &wl, &diag);
    if (rc == -ENOMEM) {
        return 0;
    }
    ei_diagnostics_fini(&diag);
    if (rc < 0) {
        return 0;
    }
    const double rate_hz = rate_of(wl, task);
    ei_workload_destroy(wl);
    return rate_hz;
}
