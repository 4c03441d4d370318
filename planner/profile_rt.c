/* Reading profiles in the hot path. Pure, real-time safe. */
#include "planner/profile.h"

#include <stddef.h>

static int64_t quantile_ns(const struct ei_time_stats *stats, enum ei_time_quantile quantile)
{
    switch (quantile) {
    case EI_TIME_P50:
        return stats->p50_ns;
    case EI_TIME_P99:
        return stats->p99_ns;
    case EI_TIME_MAX:
        return stats->max_ns;
    }
    return stats->max_ns;
}

EINET_RT void ei_et_profile_times(const struct ei_et_profile *profile, enum ei_time_quantile quantile,
                                  int64_t *out_conv_ns, int64_t *out_branch_ns)
{
    for (int32_t i = 0; i < profile->exits; i++) {
        out_conv_ns[i] = quantile_ns(&profile->conv[i], quantile);
        out_branch_ns[i] = quantile_ns(&profile->branch[i], quantile);
    }
}

EINET_RT int64_t ei_et_profile_total_ns(const struct ei_et_profile *profile, enum ei_time_quantile quantile)
{
    int64_t total_ns = 0;
    for (int32_t i = 0; i < profile->exits; i++) {
        total_ns += quantile_ns(&profile->conv[i], quantile) + quantile_ns(&profile->branch[i], quantile);
    }
    return total_ns;
}

EINET_RT float ei_cs_profile_score(const struct ei_cs_profile *profile, int32_t sample, int32_t exit)
{
    return (float)profile->confidence[(size_t)sample * (size_t)profile->exits + (size_t)exit] / EI_CS_CONFIDENCE_ONE;
}
