/* Setting the stage for a play, in a case of a test. */
#ifndef TESTS_ADAPTERS_POOL_STAGE_H
#define TESTS_ADAPTERS_POOL_STAGE_H

#include "tests/adapters/pool_play.h"

#define POOL_STAGE_LEASE_NS INT64_C(100000000)
#define POOL_STAGE_PERIOD_NS INT64_C(20000000)
#define POOL_STAGE_PRIORITY 88 /* where the machine allows it */

/* Fill in what all cases have in common (leases, periods, priority, folders) and open the play. Skips the case where it
 * is_apart and this machine has no network namespaces; false: a check has failed. */
bool pool_stage_set(struct pool_play *play, const char *const *tasks);

/* What a program of the build prints with these arguments, on both streams, within three seconds. */
void pool_stage_run(const char *program, const char *arguments, char *out, size_t size_bytes);

#endif
