/* What einet run shows of the doctor when it starts. */
#ifndef APP_DOCTOR_COMMAND_H
#define APP_DOCTOR_COMMAND_H

#include "doctor/doctor.h"

#include <stdio.h>

/* A quick look at the machine for this workload: the two worst findings to out, nothing when all is well. Call it
 * before other threads exist. */
void einet_doctor_glance(const struct ei_workload *wl, FILE *out);

#endif
