/* Which samples a predictor learns from, and which exits an example has run. Pure. */
#include "models/predictor_parts.h"

#include <math.h>

#define STREAM_PLANS 4

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

/* The exits of one plan, for drawn block times. */
static uint64_t draw_plan(struct ei_random *rng, int32_t exits, const float *mean_score, struct ei_plan_workspace *ws)
{
    int64_t conv_ns[EI_EXITS_MAX], branch_ns[EI_EXITS_MAX], total_ns = 0;
    const double branch_share = 0.1 * exp(ei_random_unit(rng) * log(20));
    for (int32_t e = 0; e < exits; e++) {
        conv_ns[e] = (int64_t)(1e6 * (0.5 + ei_random_unit(rng)));
        branch_ns[e] = (int64_t)(1e6 * branch_share * (0.5 + ei_random_unit(rng)));
        total_ns += conv_ns[e] + branch_ns[e];
    }
    const struct ei_plan_problem problem = {.exits = exits,
                                            .conv_ns = conv_ns,
                                            .branch_ns = branch_ns,
                                            .score = mean_score,
                                            .survival = ei_survival_uniform(0, total_ns)};
    struct ei_plan plan;
    const int status = ei_plan_search(&problem, (struct ei_search){.kind = EI_SEARCH_EXACT}, ws, &plan);
    return status == 0 ? plan.mask : 0; /* means are 0..1 and times positive: the search takes them */
}

void ei_predictor_patterns_init(struct ei_predictor_patterns *out, enum ei_predictor_examples examples, int32_t exits,
                                const float *mean_score, uint64_t seed, struct ei_plan_workspace *ws)
{
    out->examples = examples;
    out->exits = exits;
    struct ei_random rng;
    ei_random_init(&rng, seed, STREAM_PLANS);
    for (int32_t i = 0; examples == EI_PREDICTOR_PLANNED && i < EI_PREDICTOR_PLANS; i++) {
        out->plan[i] = draw_plan(&rng, exits, mean_score, ws) & ~(UINT64_C(1) << (exits - 1));
    }
}

/* The first exits of a plan, as many as a job may have run of it; 0 when the plan holds none but the last. */
static uint64_t draw_plan_start(struct ei_random *rng, const struct ei_predictor_patterns *patterns)
{
    uint64_t rest = patterns->plan[ei_random_below(rng, EI_PREDICTOR_PLANS)], mask = 0;
    const int count = __builtin_popcountll(rest);
    for (uint64_t left = count > 0 ? 1 + ei_random_below(rng, (uint64_t)count) : 0; left > 0; left--) {
        mask |= rest & -rest;
        rest &= rest - 1;
    }
    return mask;
}

uint64_t ei_predictor_draw_pattern(struct ei_random *rng, const struct ei_predictor_patterns *patterns)
{
    if (patterns->examples == EI_PREDICTOR_PLANNED && ei_random_below(rng, 3) != 0) {
        const uint64_t start = draw_plan_start(rng, patterns);
        if (start != 0) {
            return start;
        }
    }
    const int32_t exits = patterns->exits;
    const int32_t last = (int32_t)ei_random_below(rng, (uint64_t)exits - 1); /* of those run */
    const uint64_t prefix = (UINT64_C(2) << last) - 1;
    if (patterns->examples == EI_PREDICTOR_PREFIXES || ei_random_below(rng, 2) == 0) {
        return prefix;
    }
    const double density = ei_random_unit(rng);
    uint64_t mask = UINT64_C(1) << last;
    for (int32_t e = 0; e < last; e++) {
        mask |= ei_random_unit(rng) < density ? UINT64_C(1) << e : 0;
    }
    return mask;
}
