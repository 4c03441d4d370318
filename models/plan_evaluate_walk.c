/* The course of one job, as the live engine would take it, and that of the baselines without a stepper. Pure. */
#include "models/plan_evaluate_parts.h"

static void add(struct ei_plan_walk *walk, int64_t t_ns, int32_t exit_idx)
{
    walk->t_ns[walk->count] = t_ns;
    walk->exit[walk->count] = (int8_t)exit_idx;
    walk->count++;
}

/* Fill the gaps of a plan: an empty one stays empty. */
static struct ei_step without_skipping(struct ei_elastic *job)
{
    if (job->plan.mask != 0) {
        job->plan.mask = ei_bits_below(job->config->exits);
    }
    return ei_elastic_next(job);
}

/* job: a fork of its own. */
static int walk(struct ei_elastic *job, struct ei_step step, bool has_skips, const float *confidence,
                struct ei_plan_walk *out)
{
    const struct ei_elastic_config *config = job->config;
    int64_t t_ns = 0;
    int status = 0;
    out->count = 0;
    while (status == 0 && step.kind != EI_STEP_FINISH) {
        const int32_t k = step.idx;
        if (step.kind == EI_STEP_CONV) {
            t_ns += config->conv_ns[k];
            status = ei_elastic_conv_done(job, k, &step);
        } else {
            t_ns += config->branch_ns[k];
            add(out, t_ns, k);
            status = ei_elastic_branch_done(job, k, confidence[k], t_ns, &step);
            step = has_skips ? step : without_skipping(job);
        }
    }
    return status;
}

int ei_plan_walk_search(const struct ei_elastic *begun, struct ei_step step, struct ei_plan_workspace *ws,
                        const float *confidence, struct ei_plan_walk *out)
{
    struct ei_elastic job;
    ei_elastic_fork(begun, ws, &job);
    return walk(&job, step, true, confidence, out);
}

int ei_plan_walk_no_skip(const struct ei_elastic *begun, struct ei_plan_workspace *ws, const float *confidence,
                         struct ei_plan_walk *out)
{
    struct ei_elastic job;
    ei_elastic_fork(begun, ws, &job);
    return walk(&job, without_skipping(&job), false, confidence, out);
}

void ei_plan_walk_oracle(const struct ei_elastic_config *config, const float *confidence, struct ei_plan_walk *out)
{
    int64_t ready_ns[EI_EXITS_MAX];
    int8_t order[EI_EXITS_MAX]; /* by ready time; of equal ones the earlier exit first */
    int64_t conv_end_ns = 0;
    for (int32_t i = 0; i < config->exits; i++) {
        conv_end_ns += config->conv_ns[i];
        ready_ns[i] = conv_end_ns + config->branch_ns[i];
        int32_t place = i;
        for (; place > 0 && ready_ns[order[place - 1]] > ready_ns[i]; place--) {
            order[place] = order[place - 1];
        }
        order[place] = (int8_t)i;
    }
    double held = config->no_output_score;
    out->count = 0;
    for (int32_t r = 0; r < config->exits; r++) {
        const double score = (double)confidence[order[r]];
        if (score > held) {
            held = score;
            add(out, ready_ns[order[r]], order[r]);
        }
    }
}

void ei_plan_walk_last(const struct ei_et_profile *et, struct ei_plan_walk *out)
{
    int64_t t_ns = et->branch[et->exits - 1].p50_ns;
    for (int32_t i = 0; i < et->exits; i++) {
        t_ns += et->conv[i].p50_ns;
    }
    out->count = 0;
    add(out, t_ns, et->exits - 1);
}
