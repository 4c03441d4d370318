/* Which parameters of one layer program another one can take over: a single-exit network from its multi-exit one and
 * the other way round, a network cut elsewhere, or one with other exits or classes. The only place that knows. Pure;
 * any thread.
 */
#ifndef STAGES_NN_WEIGHTS_MAP_H
#define STAGES_NN_WEIGHTS_MAP_H

#include "stages/nn/program.h"

#define EI_WEIGHTS_NONE (-1)

/* All parameters of a program in walking order; out: [ei_program_param_count(program)]. */
void ei_weights_params(const struct ei_program *program, struct ei_param *out);

/* For each parameter of `to` in walking order, the index (walking order, too) of the parameter of `from` that belongs
 * to the same layer, or EI_WEIGHTS_NONE; out_from: [ei_program_param_count(to)].
 *
 * Trunks, all conv parts in a row, must have the same parameters; where they are cut into blocks does not matter.
 * Branch i takes from branch i when both programs have as many blocks, else only the last branch takes from the last. A
 * branch takes its leading parameters up to the first of another shape, so that with other classes all but the last
 * layer is taken.
 *
 * Returns how many are not EI_WEIGHTS_NONE; EINET_E_MISMATCH (trunks differ: the error names the first parameter that
 * does, and both shapes); -ENOMEM. */
int ei_weights_map(const struct ei_program *from, const struct ei_program *to, int32_t *out_from,
                   struct einet_error *err);

#endif
