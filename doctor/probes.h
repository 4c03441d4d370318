/* The probes: each judges one thing from the inputs and says so in out, whose id and code are set already and whose
 * verdict is ok until the probe says otherwise. No probe changes anything. What each wants and why: docs/doctor.md.
 */
#ifndef DOCTOR_PROBES_H
#define DOCTOR_PROBES_H

#include "doctor/inputs.h"

typedef void (*ei_doctor_probe)(const struct ei_doctor_inputs *in, struct ei_finding *out);

/* rights.c */
void ei_probe_fifo(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_deadline(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_rtprio(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_cgroup(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_throttling(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_memory_lock(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_dma_latency(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_cpus(const struct ei_doctor_inputs *in, struct ei_finding *out);

/* files.c */
void ei_probe_output(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_data(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_weights(const struct ei_doctor_inputs *in, struct ei_finding *out);

/* libraries.c */
void ei_probe_gpu(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_libtorch(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_onednn(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_environment(const struct ei_doctor_inputs *in, struct ei_finding *out);

/* kernel.c */
void ei_probe_preemption(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_timers(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_clock_source(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_governor(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_smt(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_thp(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_swap(const struct ei_doctor_inputs *in, struct ei_finding *out);

/* noise.c */
void ei_probe_others(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_steal(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_gaps(const struct ei_doctor_inputs *in, struct ei_finding *out);
void ei_probe_release(const struct ei_doctor_inputs *in, struct ei_finding *out);

#endif
