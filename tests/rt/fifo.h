/* What the cases that need SCHED_FIFO share. */
#ifndef TESTS_RT_FIFO_H
#define TESTS_RT_FIFO_H

#include "rt/cpuset.h"

/* Skip the case, saying why, unless a thread may become SCHED_FIFO at this priority here. */
void fifo_or_skip(int priority);

/* One CPU of this process as a set. */
struct ei_cpuset first_allowed_cpu(void);

#endif
