/* Burn processor time, for emulated networks and for `work: {spin: ...}` stages. */
#ifndef STAGES_SPIN_H
#define STAGES_SPIN_H

#include <einet/attributes.h>
#include <stdint.h>

/* Run for work_ns of processor time. Work is counted by adding up the distances of successive clock readings, each
 * capped: a longer one is time in which the thread did not run (or a hypervisor took the processor) and must not count,
 * or a preempted stretch would be no longer than an undisturbed one. No system call; thread: any. */
EINET_RT void ei_spin(int64_t work_ns);

#endif
