/* Profiles as tables for people. Cold. */
#include "planner/profile_file.h"

#include <inttypes.h>

static double us(int64_t ns)
{
    return (double)ns / 1000;
}

static const char *or_unknown(const char *text)
{
    return text[0] != 0 ? text : "not known";
}

static void print_origin(const struct ei_et_profile *p, FILE *out)
{
    fprintf(out, "network  %s, weights %.12s, %s\n", p->network, p->weights_sha256[0] != 0 ? p->weights_sha256 : "none",
            ei_profile_precision_name(p->precision));
    fprintf(out, "machine  %s, lane %s, %d thread%s\n", p->machine, p->lane, p->threads, p->threads == 1 ? "" : "s");
    fprintf(out, "         kernel %s, governor %s, %s\n", or_unknown(p->kernel), or_unknown(p->governor),
            or_unknown(p->backend));
    fprintf(out, "measured %s, %" PRId64 " samples, ", p->mode == EI_ET_COLD ? "cold" : "sequentially", p->samples);
    if (p->policy == EI_ET_FIFO) {
        fprintf(out, "SCHED_FIFO %d", p->priority);
    } else {
        fprintf(out, "SCHED_OTHER");
    }
    fprintf(out, " on CPU %s, memory %s\n\n", p->cpus[0] != 0 ? p->cpus : "any",
            p->memory == EI_ET_LOCKED ? "locked" : "not locked");
}

void ei_et_profile_print(const struct ei_et_profile *profile, FILE *out)
{
    print_origin(profile, out);
    fprintf(out, "exit  %10s %10s %10s  %12s %10s %10s  %12s\n", "conv_us", "p99", "max", "branch_us", "p99", "max",
            "ready_at_us");
    int64_t trunk_ns = 0;
    for (int32_t i = 0; i < profile->exits; i++) {
        const struct ei_time_stats *c = &profile->conv[i], *b = &profile->branch[i];
        trunk_ns += c->p50_ns;
        fprintf(out, "%4d  %10.1f %10.1f %10.1f  %12.1f %10.1f %10.1f  %12.1f\n", i + 1, us(c->p50_ns), us(c->p99_ns),
                us(c->max_ns), us(b->p50_ns), us(b->p99_ns), us(b->max_ns), us(trunk_ns + b->p50_ns));
    }
    fprintf(out, " all  trunk %.1f us, branches %.1f us, together %.1f us at p50\n", us(trunk_ns),
            us(ei_et_profile_total_ns(profile, EI_TIME_P50) - trunk_ns),
            us(ei_et_profile_total_ns(profile, EI_TIME_P50)));
}

void ei_cs_profile_print(const struct ei_cs_profile *profile, FILE *out)
{
    fprintf(out, "network  %s, weights %.12s, %s\n", profile->network,
            profile->weights_sha256[0] != 0 ? profile->weights_sha256 : "none",
            ei_profile_precision_name(profile->precision));
    fprintf(out, "data set %s, split %s, %d samples of %d classes\n\n", profile->dataset, profile->split,
            profile->samples, profile->classes);
    fprintf(out, "exit  %12s  %12s\n", "accuracy_pct", "mean_score");
    for (int32_t e = 0; e < profile->exits; e++) {
        fprintf(out, "%4d  %12.2f  %12.4f\n", e + 1, 100 * (double)profile->accuracy[e],
                (double)profile->mean_score[e]);
    }
}
