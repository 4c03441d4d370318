/* See admission.h. */
#include "engine/admission.h"

#include "engine/analyze.h"
#include "engine/run_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the analysis takes from the run. */
struct measured {
    struct ei_workload wl; /* as it runs: tasks whose device is not there are on its fallback */
    struct ei_cpuset cpus[EI_TASKS_MAX];
    struct ei_et_profile profiles[EI_TASKS_MAX];
    const struct ei_pieces *pieces[EI_TASKS_MAX];
};

static void say(const struct ei_run *run, const char *text)
{
    if (run->options->messages != NULL) {
        fprintf(run->options->messages, "%s%s: admission: %s\n", run->options->is_progress_live ? "\r\033[K" : "",
                run->wl->file, text);
    }
}

/* A line more for who asked; what does not fit is told by dots. */
static void tell(struct einet_error *said, const char *text)
{
    static const char more[] = "\n...";
    if (said == NULL) {
        return;
    }
    const size_t used = strlen(said->text), room = sizeof said->text - used;
    if (used > 0 && strlen(text) + sizeof more + 1 > room) {
        const bool is_told = used >= sizeof more - 1 && strcmp(said->text + used - (sizeof more - 1), more) == 0;
        snprintf(said->text + used, room, "%s", is_told ? "" : more);
    } else {
        snprintf(said->text + used, room, "%s%s", used > 0 ? "\n" : "", text);
    }
}

/* Say or refuse; the sentence is about a place of the workload file. */
static int object(const struct ei_run *run, struct ei_place place, const char *text, struct einet_error *err)
{
    if (run->wl->scheduler.admission == EI_SPEC_ADMISSION_WARN) {
        say(run, text);
        tell(err, text);
        return 0;
    }
    return einet_error_set_at(err, EINET_E_FILE, run->wl->file, place.line, place.column,
                              "admission refuses the run: %s", text);
}

static int judge(const struct ei_run *run, const struct ei_analysis *analysis, struct einet_error *err)
{
    char text[EINET_ERROR_TEXT_MAX / 2];
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < analysis->task_count; i++) {
        ei_analysis_explain(analysis, i, text, sizeof text);
        if (text[0] != '\0') {
            rc = object(run, run->wl->tasks[i].place, text, err);
        }
    }
    for (int32_t i = 0; rc == 0 && i < analysis->cpus_count; i++) {
        const struct ei_analysis_cpus *cpus = &analysis->cpus[i];
        if (cpus->mandatory_ppm > cpus->cap_ppm) {
            char list[64];
            ei_cpuset_format(&cpus->cpus, list, sizeof list);
            snprintf(text, sizeof text, "CPUs %s: real-time jobs may ask for %.3f of the cap of %.3f CPUs", list,
                     (double)cpus->mandatory_ppm / 1e6, (double)cpus->cap_ppm / 1e6);
            rc = object(run, (struct ei_place){0, 0}, text, err);
        }
    }
    return rc;
}

int ei_run_admit(const struct ei_run *run, const struct ei_workload *wl, struct einet_error *err)
{
    if (wl->scheduler.admission == EI_SPEC_ADMISSION_NONE) {
        return 0;
    }
    struct measured *measured = calloc(1, sizeof *measured);
    struct ei_diagnostics diag = {0};
    struct ei_analysis *analysis = NULL;
    int rc = measured == NULL ? -ENOMEM : ei_diagnostics_init(&diag, run->wl->file);
    if (rc == 0) {
        measured->wl = *wl;
    }
    for (int32_t i = 0; rc == 0 && i < run->wl->task_count; i++) {
        measured->cpus[i] = run->tasks[i].cpus;
        measured->profiles[i] = run->tasks[i].nn.et;
        measured->pieces[i] = &run->tasks[i].nn.pieces;
        struct ei_task_spec *spec = &measured->wl.tasks[i];
        if (spec->nn_stage_idx != EI_NONE_IDX) {
            spec->stages[spec->nn_stage_idx].lane_idx = run->tasks[i].nn.lane_idx;
        }
    }
    if (rc == 0) {
        const struct ei_analysis_options options = {
            .quantile = EI_TIME_P99,
            .ops_ns = EI_NONE_NS,
            .task_cpus = measured->cpus,
            .profiles = measured->profiles,
            .pieces = measured->pieces,
        };
        rc = ei_analyze(&measured->wl, &options, &analysis, &diag);
    }
    if (rc == EINET_E_FILE) {
        ei_diagnostics_sort(&diag);
        rc = object(run, diag.items[0].place, diag.items[0].text, err);
    } else if (rc == 0) {
        rc = judge(run, analysis, err);
    } else {
        einet_error_set(err, rc, "no memory to analyse %d tasks", (int)run->wl->task_count);
    }
    ei_analysis_destroy(analysis);
    ei_diagnostics_fini(&diag);
    free(measured);
    return rc;
}
