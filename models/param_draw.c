/* See param_draw.h. */
#include "models/param_draw.h"

#include <math.h>

void ei_param_draw(const struct ei_param *param, int32_t classes, struct ei_random *rng, float *out)
{
    const double gain = param->op == EI_OP_LINEAR && param->shape[0] == classes ? 0.5 : 2.0;
    const double sigma = param->fan_in > 0 ? sqrt(gain / (double)param->fan_in) : 0.0;
    const bool is_one =
        param->op == EI_OP_BATCH_NORM && (param->role == EI_PARAM_WEIGHT || param->role == EI_PARAM_RUNNING_VAR);
    for (int64_t i = 0; i < param->count; i++) {
        if (param->role == EI_PARAM_WEIGHT && param->fan_in > 0) {
            out[i] = (float)(sigma * ei_random_normal(rng));
        } else {
            out[i] = is_one ? 1.0F : 0.0F;
        }
    }
}
