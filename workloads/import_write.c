/* The workload file of a draft: only what differs from the defaults or what the reader should see, with the remarks as
 * comments above what they are about. See import_draft.h.
 */
#include "workloads/import_draft.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A file name as a comment and as a quoted text may hold it. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void write_harmless(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        fputc((unsigned char)*text < 0x20U || (unsigned char)*text >= 0x7fU ? '?' : *text, out);
    }
}

static void write_remarks(const struct ei_import_draft *draft, int32_t scope, const char *indent, FILE *out)
{
    for (int32_t i = 0; i < draft->remark_count; i++) {
        const struct ei_import_remark *remark = &draft->remarks[i];
        if (remark->task_idx == scope) {
            fprintf(out, "%s# %sline %d: %s\n", indent, remark->is_lost ? "LOST, " : "", remark->line, remark->text);
        }
    }
}

static const char *duration(int64_t value_ns)
{
    static _Thread_local char texts[8][EI_DURATION_TEXT_MAX];
    static _Thread_local unsigned next;
    return ei_duration_format(value_ns, texts[next++ % 8U]);
}

static void write_arrival(const struct ei_arrival_spec *a, FILE *out)
{
    fputs("    arrival: { model: ", out);
    switch (a->model) {
    case EI_ARRIVAL_PERIODIC:
        fprintf(out, "periodic, period: %s", duration(a->period_ns));
        break;
    case EI_ARRIVAL_SPORADIC:
        fprintf(out, "sporadic, min_interarrival: %s, mean: %s, dist: exponential", duration(a->min_interarrival_ns),
                duration(a->mean_ns));
        break;
    case EI_ARRIVAL_BURST:
        fprintf(out, "burst, count: %d, spacing: %s", a->count, duration(a->spacing_ns));
        if (a->period_ns != EI_NONE_NS) {
            fprintf(out, ", period: %s", duration(a->period_ns));
        }
        break;
    case EI_ARRIVAL_AFTER:
        fprintf(out, "after, task: %s", a->after);
        break;
    case EI_ARRIVAL_EXTERNAL:
        fprintf(out, "external, min_interarrival: %s", duration(a->min_interarrival_ns));
        break;
    case EI_ARRIVAL_APERIODIC:
        fprintf(out, "aperiodic, trace: \"%s\"", a->trace);
        break;
    }
    if (a->model != EI_ARRIVAL_APERIODIC && a->model != EI_ARRIVAL_AFTER && a->offset_ns != 0) {
        fprintf(out, ", offset: %s", duration(a->offset_ns));
    }
    fputs(" }\n", out);
}

static void write_stage(const struct ei_workload *wl, const struct ei_stage_spec *stage, FILE *out)
{
    char name[2 * EI_SPEC_NAME_MAX];
    char model[2 * EI_SPEC_NAME_MAX];
    ei_text_quote(stage->name, false, name, sizeof name);
    if (stage->kind == EI_SPEC_STAGE_NN) {
        ei_text_quote(wl->models[stage->model_idx].name, false, model, sizeof model);
        fprintf(out, "      - { name: %s, kind: nn, model: %s, lane: %s }\n", name, model,
                wl->lanes[stage->lane_idx].name);
        return;
    }
    fprintf(out, "      - { name: %s, kind: cpu, work: { spin: %s }", name, duration(stage->spin_ns));
    if (stage->budget_ns != EI_NONE_NS) {
        fprintf(out, ", budget: %s", duration(stage->budget_ns));
    }
    fputs(" }\n", out);
}

static void write_task(const struct ei_import_draft *draft, int32_t task_idx, FILE *out)
{
    const struct ei_task_spec *task = &draft->wl->tasks[task_idx];
    char text[8192];
    write_remarks(draft, task_idx, "  ", out);
    ei_text_quote(task->name, false, text, sizeof text);
    fprintf(out, "  - name: %s\n", text);
    write_arrival(&task->arrival, out);
    fprintf(out, "    deadline: %s\n", task->deadline_ns == EI_NONE_NS ? "none" : duration(task->deadline_ns));
    if (task->class_ == EI_SPEC_CLASS_OTHER) {
        fputs("    class: other\n", out);
    } else if (task->priority > 0) {
        fprintf(out, "    priority: %d\n", task->priority);
    }
    if (!ei_cpuset_is_empty(&task->cpus)) {
        ei_cpuset_format(&task->cpus, text, sizeof text);
        fprintf(out, "    cpus: \"%s\"\n", text);
    }
    fprintf(out, "    late_release: { queue: %d, drop: %s }\n", task->late_release.queue,
            task->late_release.policy == EI_SPEC_LATE_DROP_OLDEST ? "oldest" : "newest");
    if (task->nn_stage_idx >= 0) {
        fputs("    on_preempt: resume\n", out);
    }
    fputs("    on_deadline: finish\n    stages:\n", out);
    for (int32_t i = 0; i < task->stage_count; i++) {
        write_stage(draft->wl, &task->stages[i], out);
    }
}

static void write_networks(const struct ei_workload *wl, FILE *out)
{
    char name[2 * EI_SPEC_NAME_MAX];
    if (wl->lane_count == 0) {
        return;
    }
    fprintf(out, "lanes:\n  %s: { kind: cpu, preempt: block }\nmodels:\n", wl->lanes[0].name);
    for (int32_t i = 0; i < wl->model_count; i++) {
        ei_text_quote(wl->models[i].name, false, name, sizeof name);
        fprintf(out, "  %s: { emulate: { blocks: [ { conv: %s, score: 1 } ] } }\n", name,
                duration(wl->models[i].blocks[0].conv.median_ns));
    }
    fputs("planner: { search: all }\n", out);
}

char *ei_import_write(const struct ei_import_draft *draft, enum ei_import_format format)
{
    const struct ei_workload *wl = draft->wl;
    char *text = NULL;
    char name[2 * EI_SPEC_NAME_MAX];
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        return NULL;
    }
    fprintf(out, "# Made by einet import from the %s file ", ei_import_format_name(format));
    write_harmless(base_name(draft->file), out);
    fputs("; 'line' means a line of that file.\n", out);
    write_remarks(draft, EI_IMPORT_HEAD, "", out);
    if (draft->remarks_hidden > 0) {
        fprintf(out, "# and %d remarks more\n", draft->remarks_hidden);
    }
    ei_text_quote(wl->name, false, name, sizeof name);
    fprintf(out, "version: 1\nname: %s\nrun: { duration: %s }\n", name, duration(wl->run.duration_ns));
    fprintf(out, "platform: { lock_memory: %s, cpu_dma_latency: none, housekeeping_cpus: %s }\n",
            wl->platform.lock_memory == EI_SPEC_LOCK_ALL ? "all" : "none", wl->lane_count > 0 ? "\"0\"" : "none");
    write_networks(wl, out);
    fputs("tasks:\n", out);
    for (int32_t i = 0; i < wl->task_count; i++) {
        write_task(draft, i, out);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
