/* See doctor.h. The table of probes, and what is made of their findings. */
#include "doctor/doctor.h"

#include "doctor/measure.h"
#include "doctor/probes.h"
#include "rt/clock.h"

#include <string.h>

#define PROGRAM_DEFAULT "build/release/einet"

struct row {
    const char *id;
    ei_doctor_probe probe;
    int code;           /* of a failure */
    int needs;          /* EI_DOCTOR_NEEDS_* */
    bool is_quick;      /* part of a quick look */
    bool is_about_file; /* says nothing without a workload */
};

/* What decides whether there is real time at all comes first, what blurs it last: a failure of an upper line often
 * explains those of lower ones. environment looks at what the lines before it loaded. */
static const struct row rows[] = {
    {"fifo", ei_probe_fifo, EINET_E_PRIVILEGE, EI_DOCTOR_NEEDS_RIGHTS, true, false},
    {"sched_deadline", ei_probe_deadline, EINET_E_PRIVILEGE, EI_DOCTOR_NEEDS_RIGHTS, true, true},
    {"rtprio_limit", ei_probe_rtprio, EINET_E_PRIVILEGE, EI_DOCTOR_NEEDS_RIGHTS, true, false},
    {"cgroup_rt_runtime", ei_probe_cgroup, EINET_E_PRIVILEGE, EI_DOCTOR_NEEDS_RIGHTS, true, false},
    {"rt_throttling", ei_probe_throttling, EINET_E_PRIVILEGE, 0, true, false},
    {"memory_lock", ei_probe_memory_lock, EINET_E_PRIVILEGE, EI_DOCTOR_NEEDS_RIGHTS, true, false},
    {"cpu_dma_latency", ei_probe_dma_latency, EINET_E_PRIVILEGE, EI_DOCTOR_NEEDS_RIGHTS, true, false},
    {"cpus", ei_probe_cpus, EINET_E_FILE, EI_DOCTOR_NEEDS_RIGHTS, true, false},
    {"output", ei_probe_output, EINET_E_FILE, 0, false, true},
    {"data", ei_probe_data, EINET_E_FILE, 0, false, true},
    {"weights", ei_probe_weights, EINET_E_FILE, 0, false, true},
    {"gpu", ei_probe_gpu, EINET_E_BACKEND, 0, false, false},
    {"libtorch", ei_probe_libtorch, EINET_E_BACKEND, 0, false, false},
    {"onednn", ei_probe_onednn, EINET_E_BACKEND, 0, false, false},
    {"environment", ei_probe_environment, EINET_E_BACKEND, 0, false, false},
    {"fifo_load", ei_probe_others, EINET_E_FAULT, EI_DOCTOR_NEEDS_OTHERS, true, false},
    {"release", ei_probe_release, EINET_E_FAULT, EI_DOCTOR_NEEDS_RIGHTS | EI_DOCTOR_NEEDS_RELEASE, false, false},
    {"gaps", ei_probe_gaps, EINET_E_FAULT, EI_DOCTOR_NEEDS_RIGHTS | EI_DOCTOR_NEEDS_GAPS, false, false},
    {"steal", ei_probe_steal, EINET_E_FAULT, EI_DOCTOR_NEEDS_STEAL, false, false},
    {"clock_source", ei_probe_clock_source, EINET_E_FAULT, EI_DOCTOR_NEEDS_CLOCK, true, false},
    {"timers", ei_probe_timers, EINET_E_FAULT, EI_DOCTOR_NEEDS_CLOCK, true, false},
    {"preemption", ei_probe_preemption, EINET_E_FAULT, 0, true, false},
    {"governor", ei_probe_governor, EINET_E_FAULT, 0, true, false},
    {"smt", ei_probe_smt, EINET_E_FAULT, 0, true, false},
    {"thp", ei_probe_thp, EINET_E_FAULT, 0, true, false},
    {"swap", ei_probe_swap, EINET_E_FAULT, EI_DOCTOR_NEEDS_RIGHTS, true, false},
};

#define ROWS ((int32_t)(sizeof rows / sizeof rows[0]))

_Static_assert(sizeof rows / sizeof rows[0] <= EI_DOCTOR_PROBES_MAX, "a report has room for all");

/* Whether a list of names, separated by commas, has this one. */
static bool is_listed(const char *list, const char *id)
{
    const size_t length = strlen(id);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, id, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Every name of the list is a probe that can be made. */
static int check_list(const char *list, bool has_file, struct einet_error *err)
{
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        const size_t length = strcspn(at, ",");
        const struct row *found = NULL;
        for (int32_t i = 0; i < ROWS; i++) {
            found = strlen(rows[i].id) == length && strncmp(rows[i].id, at, length) == 0 ? &rows[i] : found;
        }
        if (found == NULL) {
            return einet_error_set(err, EINET_E_USAGE, "there is no probe '%.*s': einet help doctor lists them",
                                   (int)(length < 40 ? length : 40), at);
        }
        if (found->is_about_file && !has_file) {
            return einet_error_set(err, EINET_E_USAGE, "probe '%s' is about a workload file: name one", found->id);
        }
    }
    return 0;
}

static bool is_chosen(const struct row *row, const struct ei_doctor_options *options, bool has_file)
{
    return (options->only == NULL || is_listed(options->only, row->id)) && (has_file || !row->is_about_file) &&
           (!options->is_quick || row->is_quick);
}

int ei_doctor_examine(const struct ei_workload *wl, const struct ei_doctor_options *options,
                      struct ei_doctor_report *out, struct einet_error *err)
{
    const int64_t before_ns = ei_mono_now().ns;
    static struct ei_doctor_inputs in; /* large; the main thread's alone */
    int needs = 0;
    const int rc = check_list(options->only, wl != NULL, err);
    if (rc < 0) {
        return rc;
    }
    in = (struct ei_doctor_inputs){
        .wl = wl,
        .root = options->root != NULL ? options->root : "",
        .program = options->program != NULL ? options->program : PROGRAM_DEFAULT,
        .is_quick = options->is_quick,
        .on_progress = options->on_progress,
        .context = options->context,
    };
    int32_t chosen = 0;
    for (int32_t i = 0; i < ROWS; i++) {
        needs |= is_chosen(&rows[i], options, wl != NULL) ? rows[i].needs : 0;
        chosen += is_chosen(&rows[i], options, wl != NULL);
    }
    ei_doctor_measure(&in, needs);
    if (in.on_progress != NULL) {
        in.on_progress(in.context, "probes", 0.0, (double)chosen);
    }
    out->count = 0;
    for (int32_t i = 0; i < ROWS; i++) {
        if (is_chosen(&rows[i], options, wl != NULL)) {
            struct ei_finding *f = &out->findings[out->count++];
            *f = (struct ei_finding){.id = rows[i].id, .code = rows[i].code};
            rows[i].probe(&in, f);
            if (in.on_progress != NULL && !rows[i].is_quick) {
                in.on_progress(in.context, "probes", (double)out->count, (double)chosen);
            }
        }
    }
    out->took_ns = ei_mono_now().ns - before_ns;
    return 0;
}

const char *ei_doctor_probe_id(int32_t idx)
{
    return idx >= 0 && idx < ROWS ? rows[idx].id : NULL;
}

const char *ei_doctor_verdict_name(enum ei_doctor_verdict verdict)
{
    static const char *const names[] = {"ok", "warn", "fail"};
    return names[verdict];
}

enum ei_doctor_verdict ei_doctor_worst(const struct ei_doctor_report *report)
{
    enum ei_doctor_verdict worst = EI_DOCTOR_OK;
    for (int32_t i = 0; i < report->count; i++) {
        worst = report->findings[i].verdict > worst ? report->findings[i].verdict : worst;
    }
    return worst;
}

int32_t ei_doctor_complaints(const struct ei_doctor_report *report, const struct ei_finding **out, int32_t room)
{
    int32_t count = 0;
    for (int verdict = EI_DOCTOR_FAIL; verdict > EI_DOCTOR_OK; verdict--) {
        for (int32_t i = 0; i < report->count; i++) {
            if ((int)report->findings[i].verdict == verdict) {
                if (count < room) {
                    out[count] = &report->findings[i];
                }
                count++;
            }
        }
    }
    return count;
}
