/* What a virtual run tells the collector: the run, and where a job's time went, which it knows exactly. */
#ifndef ENGINE_VIRTUAL_REPORT_H
#define ENGINE_VIRTUAL_REPORT_H

#include "engine/run_state.h"
#include "engine/virtual_cpus.h"

/* A collector for the run on a modelled machine of cpu_count CPUs; out_dir as in ei_collector_create. */
int ei_virtual_create_collector(const struct ei_run *run, int32_t cpu_count, const char *out_dir,
                                struct ei_collector **out, struct einet_error *err);

/* What the kernel would refuse of class deadline: CPUs that are not all, or more bandwidth than 95 % of them. Returns 0
 * or EINET_E_FILE. */
int ei_virtual_admit_deadline_class(const struct ei_run *run, struct einet_error *err);

/* The job becomes ready now: its thread is woken, or goes on with it. */
void ei_virtual_parts_begin(struct ei_virtual_cpus *cpus, struct ei_job_slot *slot);
/* The job ends now: complete the parts of its response. */
void ei_virtual_parts_end(struct ei_virtual_cpus *cpus, struct ei_job_slot *slot);

/* Make the output folder and keep other runs out of it until ei_output_folder_unlock. */
int ei_virtual_open_folder(const char *out_dir, int *out_fd, struct einet_error *err);

#endif
