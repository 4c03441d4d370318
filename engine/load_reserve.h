/* What the jobs of a run that nobody can make shorter need of a CPU: the reserve of scheduler/load.h.
 *
 * Of an elastic task (engine/analysis_model.h) that is the first exit, of others everything, at p99 of the blocks;
 * stages of operations count with their budgets. A task that may run on several CPUs counts an equal part on each, so
 * what the reserve promises holds for tasks that are bound to one. Any thread, before the run.
 */
#ifndef ENGINE_LOAD_RESERVE_H
#define ENGINE_LOAD_RESERVE_H

#include "engine/run_state.h"

/* With block times known and CPUs settled. */
struct ei_load_reserve ei_run_load_reserve(const struct ei_run *run, int32_t cpu);

#endif
