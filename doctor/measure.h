/* The part of the doctor that does something: threads at real-time priorities, locked memory, scans of time. */
#ifndef DOCTOR_MEASURE_H
#define DOCTOR_MEASURE_H

#include "doctor/inputs.h"

/* Try what `needs` (EI_DOCTOR_NEEDS_*) names and write it to in->measured; settles in->wants on the way. Leaves nothing
 * changed. With NEEDS_GAPS a thread spins for at most 250 ms on one task CPU after the other, 2 s in all, above all
 * else; with NEEDS_RELEASE one thread per task CPU wakes each ms for a second. Thread: main. */
void ei_doctor_measure(struct ei_doctor_inputs *in, int needs);

/* The parts. */
void ei_doctor_try_deadline(struct ei_doctor_inputs *in);
void ei_doctor_measure_times(struct ei_doctor_inputs *in, int needs);
/* Threads of other processes that run before our lowest real-time task on a CPU of ours. */
void ei_doctor_list_others(struct ei_doctor_inputs *in);
/* What share of a CPU each of them used in the elapsed_ns since the list was made. */
void ei_doctor_update_others(struct ei_doctor_inputs *in, int64_t elapsed_ns);

#endif
