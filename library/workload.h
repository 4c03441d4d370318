/* The handle of a workload: the checked spec and who holds it. */
#ifndef LIBRARY_WORKLOAD_H
#define LIBRARY_WORKLOAD_H

#include "workloads/spec.h"

#include <einet/workload.h>
#include <stdatomic.h>

struct einet_workload {
    struct ei_workload *spec; /* owned, immutable */
    atomic_int claims;        /* freed with the last one */
};

/* One claim more; einet_workload_destroy gives it up. */
void ei_workload_claim(struct einet_workload *workload);

#endif
