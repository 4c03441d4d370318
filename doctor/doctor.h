/* Is this machine, as this process has it, fit for a run? Probes that try what a run will do, each with what was found,
 * what is wanted and the one command that fixes it (docs/doctor.md).
 *
 * A look in two steps: doctor/measure.h does what takes a thread or time and writes down what came of it; the probes
 * then judge, as pure functions over that and over files. Nothing stays changed. Thread: main, with no other thread of
 * the process at work; not real-time safe.
 */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include "workloads/spec.h"
#include <einet/error.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_DOCTOR_PROBES_MAX 32
#define EI_DOCTOR_TEXT_MAX 400

enum ei_doctor_verdict {
    EI_DOCTOR_OK,
    EI_DOCTOR_WARN, /* a run does what its file says, but later, or with figures that say less */
    EI_DOCTOR_FAIL  /* a run is refused, is DEGRADED, or cannot meet its shortest deadline */
};

struct ei_finding {
    const char *id; /* of the probe, static */
    enum ei_doctor_verdict verdict;
    int code; /* EINET_E_PRIVILEGE, EINET_E_FILE, EINET_E_BACKEND or EINET_E_FAULT: what kind of failure it is */
    char found[EI_DOCTOR_TEXT_MAX];
    char wanted[EI_DOCTOR_TEXT_MAX];
    char fix[EI_DOCTOR_TEXT_MAX]; /* a command for a shell, with a remark behind #; "" when ok */
};

struct ei_doctor_options {
    const char *program; /* path of the executable, for the commands; NULL = "build/release/einet" */
    const char *root;    /* /proc, /sys and /dev are read below this folder; NULL = "", the machine itself */
    const char *only;    /* ids, separated by commas; NULL = all */
    bool is_quick;       /* only what takes no time to speak of: no scans, no libraries, no data sets */
    /* Told now and then while it takes time, on the caller's thread: done of whole, first in ms that are measured, then
     * in probes, from 0. NULL = nobody is. */
    void (*on_progress)(void *context, const char *unit, double done, double whole);
    void *context;
};

struct ei_doctor_report {
    int32_t count;
    struct ei_finding findings[EI_DOCTOR_PROBES_MAX]; /* in the order of docs/doctor.md */
    int64_t took_ns;
};

/* Look at the machine for this workload; wl NULL = for any, without the probes that need a file. Returns 0, or
 * EINET_E_USAGE when `only` names a probe that does not exist, or one that needs a file without one. What a probe
 * cannot find out is a warning. */
int ei_doctor_examine(const struct ei_workload *wl, const struct ei_doctor_options *options,
                      struct ei_doctor_report *out, struct einet_error *err);

/* The id of a probe by its place, from 0; NULL behind the last one. Static. */
const char *ei_doctor_probe_id(int32_t idx);

/* "ok", "warn", "fail". */
const char *ei_doctor_verdict_name(enum ei_doctor_verdict verdict);

/* The worst verdict of a report. */
enum ei_doctor_verdict ei_doctor_worst(const struct ei_doctor_report *report);

/* The findings that are not ok, failures first, else in their order; at most `room`. Returns how many there are. */
int32_t ei_doctor_complaints(const struct ei_doctor_report *report, const struct ei_finding **out, int32_t room);

#endif
