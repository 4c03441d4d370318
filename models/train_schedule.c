/* Settings as functions of the position in the run. Pure. */
#include "models/trainer.h"

#include <math.h>

#define LR_START_DIVISOR 25.0
#define LR_END_DIVISOR 1e4
#define PI 3.14159265358979323846
#define TEMPERATURE 3.0F
#define PASSES 2
#define CACHE_MB 4096

float ei_train_lr(const struct ei_train_config *config, int64_t step, int64_t steps)
{
    const double peak = (double)config->lr, low = peak / LR_START_DIVISOR, end = peak / LR_END_DIVISOR;
    const double rise = (double)config->warmup_fraction * (double)steps, at = (double)step;
    if (at < rise) {
        return (float)(low + (peak - low) * 0.5 * (1.0 - cos(PI * at / rise)));
    }
    if (config->schedule == EI_TRAIN_STEP) {
        double lr = peak;
        for (int32_t i = 0; i < config->milestones; i++) {
            lr *= at >= (double)config->milestone[i] * (double)steps ? (double)config->step_factor : 1.0;
        }
        return (float)lr;
    }
    const double rest = (double)steps - rise;
    return (float)(end + (peak - end) * 0.5 * (1.0 + cos(PI * (rest > 0.0 ? (at - rise) / rest : 1.0))));
}

int32_t ei_train_side_px(const struct ei_train_config *config, int32_t epoch, int32_t full_px)
{
    int32_t end = 0;
    for (int32_t i = 0; i < config->size_count; i++) {
        end += config->sizes[i].epochs;
        if (epoch < end) {
            return config->sizes[i].side_px;
        }
    }
    return full_px;
}

float ei_train_exit_weight(const struct ei_train_config *config, int32_t exits, int32_t exit_idx)
{
    for (int32_t i = 0; i < exits; i++) {
        if (config->exit_weight[i] > 0.0F) {
            return config->exit_weight[exit_idx];
        }
    }
    return 1.0F;
}

float ei_train_temperature(const struct ei_train_config *config)
{
    return config->distill_temperature > 0.0F ? config->distill_temperature : TEMPERATURE;
}

int32_t ei_train_passes(const struct ei_train_config *config)
{
    if (config->crop_pad_px == 0 && !config->flip) {
        return 1; /* every pass would be the same */
    }
    return config->passes > 0 ? config->passes : PASSES;
}

int64_t ei_train_cache_bytes(const struct ei_train_config *config)
{
    return (int64_t)(config->cache_mb > 0 ? config->cache_mb : CACHE_MB) * 1024 * 1024;
}
