/* How parameters get from a weight file into whatever runs the network. */
#ifndef STAGES_NN_NETWORK_PARAMS_H
#define STAGES_NN_NETWORK_PARAMS_H

#include "stages/nn/program.h"
#include "stages/nn/safetensors.h"

#include <einet/error.h>

/* Takes the numbers of parameter idx, in walking order (program.h), one by one. numbers: [count], to be copied. */
struct ei_param_sink {
    int (*set)(void *context, int32_t idx, const float *numbers, struct einet_error *err);
    void *context;
};

/* Gives every parameter to a sink. */
struct ei_param_source {
    int (*load)(void *context, const struct ei_param_sink *sink, struct einet_error *err);
    void *context;
};

/* Give every parameter of a program its numbers from file, whose path is for errors. Returns 0, EINET_E_MISMATCH (a
 * tensor is missing, too many or of another shape, named), EINET_E_FILE (a value that is no number), what the sink
 * returned, -ENOMEM. */
int ei_network_load_params(const struct ei_program *program, const struct ei_param_sink *sink,
                           const struct ei_safetensors *file, const char *path, struct einet_error *err);

#endif
