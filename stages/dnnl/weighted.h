/* Which implementation computes a convolution or a linear layer: oneDNN's, or the product that im2col.h makes of one.
 */
#ifndef STAGES_DNNL_WEIGHTED_H
#define STAGES_DNNL_WEIGHTED_H

#include "stages/dnnl/im2col.h"
#include "stages/dnnl/shapes.h"

#define EI_DNNL_KERNEL_MAX 48

struct ei_dnnl_choice {
    char kernel[EI_DNNL_KERNEL_MAX]; /* its name */
    bool is_im2col;                  /* the plan is a product of im2col's windows */
    struct ei_im2col im2col;         /* then: their shape */
};

/* Bring `plan`, whose engine and attributes are set, to the implementation that the configuration wants. Returns
 * oneDNN's refusal; STATUS_NO_KERNEL (versions.h) when there is none of that name, or no further option. */
dnnl_status_t ei_dnnl_plan_weighted(struct plan *plan, const struct ei_dnnl_step_config *config,
                                    struct ei_dnnl_choice *out);

#endif
