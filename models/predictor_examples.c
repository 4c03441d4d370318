/* Which samples a predictor learns from, and which exits an example has run. Pure. */
#include "models/predictor_parts.h"

enum ei_predictor_part ei_predictor_part(uint64_t split_seed, int32_t sample)
{
    struct ei_random rng;
    ei_random_init(&rng, split_seed, (uint64_t)sample);
    const uint64_t draw = ei_random_below(&rng, 10);
    return draw < 5 ? EI_PREDICTOR_PART_TRAIN : draw < 6 ? EI_PREDICTOR_PART_VALIDATION : EI_PREDICTOR_PART_HELD_OUT;
}

bool ei_predictor_is_correct(const struct ei_cs_profile *profile, int32_t sample, int32_t exit_idx)
{
    return profile->top_label[(size_t)sample * (size_t)profile->exits + (size_t)exit_idx] == profile->label[sample];
}

uint64_t ei_predictor_draw_pattern(struct ei_random *rng, int32_t exits, enum ei_predictor_examples examples)
{
    const int32_t last = (int32_t)ei_random_below(rng, (uint64_t)exits - 1); /* of those run */
    const uint64_t prefix = (UINT64_C(2) << last) - 1;
    if (examples == EI_PREDICTOR_PREFIXES || ei_random_below(rng, 2) == 0) {
        return prefix;
    }
    const double density = ei_random_unit(rng);
    uint64_t mask = UINT64_C(1) << last;
    for (int32_t e = 0; e < last; e++) {
        mask |= ei_random_unit(rng) < density ? UINT64_C(1) << e : 0;
    }
    return mask;
}
