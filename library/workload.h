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

/* The handle of what was read. rc: of reading, with spec when it is 0; diag: what it found, whose memory is freed,
 * unless rc is -ENOMEM. Returns rc or -ENOMEM. */
int ei_workload_make_handle(int rc, struct ei_workload *spec, struct ei_diagnostics *diag, struct einet_workload **out,
                            struct einet_error *err);
/* One claim more; einet_workload_destroy gives it up. */
void ei_workload_claim(struct einet_workload *workload);

#endif
