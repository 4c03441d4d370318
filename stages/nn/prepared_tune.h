/* Choosing the kernel of each convolution and linear layer by measuring, in the course of whole inferences: so weights
 * are as cold as the rest of the network leaves them, and a reorder that a kernel needs counts as its own.
 */
#ifndef STAGES_NN_PREPARED_TUNE_H
#define STAGES_NN_PREPARED_TUNE_H

#include "stages/nn/prepared.h"

/* Measure on the calling thread, some seconds, and write each operation's kernel for struct ei_prepared_config, ""
 * where the first choice is not beaten; all "" when the choice as a whole is not faster. config says the network and
 * `allow`; kernels: [op_count]. Up to three times the network's memory is needed for that time. Returns like
 * ei_prepared_create. */
int ei_prepared_tune(const struct ei_dnnl_api *api, const struct ei_prepared_config *config,
                     char (*kernels)[EI_PREPARED_KERNEL_MAX], struct einet_error *err);

#endif
