/* See arrival.h. */
#include "workloads/arrival.h"

#include <math.h>

/* Streams of one seed: task t's arrivals are stream ARRIVAL_STREAM + t, apart from all other draws of a run. */
#define ARRIVAL_STREAM UINT64_C(0x617272697661)

/* a + b, or -1 when that passes the end of time. */
static int64_t add_ns(int64_t a_ns, int64_t b_ns)
{
    return a_ns > INT64_MAX - b_ns ? -1 : a_ns + b_ns;
}

static int64_t multiply_ns(int64_t count, int64_t each_ns)
{
    return each_ns > 0 && count > INT64_MAX / each_ns ? -1 : count * each_ns;
}

void ei_arrival_init(struct ei_arrival *arrival, const struct ei_arrival_spec *spec, uint64_t seed, int32_t task_idx)
{
    *arrival = (struct ei_arrival){.spec = spec};
    ei_random_init(&arrival->rng, seed, ARRIVAL_STREAM + (uint64_t)task_idx);
    if (spec->model == EI_ARRIVAL_SPORADIC && spec->dist == EI_ARRIVAL_LOGNORMAL) {
        /* The mean of a lognormal is its median times exp(sigma^2 / 2). */
        arrival->sigma = sqrt(2.0 * log((double)(spec->mean_ns - spec->min_interarrival_ns) /
                                        (double)(spec->median_ns - spec->min_interarrival_ns)));
    }
}

/* offset + k * period, or -1 beyond the end of time. */
static int64_t periodic_nominal_ns(const struct ei_arrival_spec *spec, int64_t k)
{
    const int64_t elapsed_ns = multiply_ns(k, spec->period_ns);
    return elapsed_ns < 0 ? -1 : add_ns(elapsed_ns, spec->offset_ns);
}

/* What the next distance exceeds min_interarrival by. */
static int64_t draw_excess_ns(struct ei_arrival *arrival)
{
    const struct ei_arrival_spec *spec = arrival->spec;
    const int64_t mean_ns = spec->mean_ns - spec->min_interarrival_ns;
    if (mean_ns == 0) {
        return 0;
    }
    switch (spec->dist) {
    case EI_ARRIVAL_EXPONENTIAL:
        /* At most 2^53 draws bound the value to about 37 means, far inside an int64. */
        return (int64_t)ei_random_exponential(&arrival->rng, (double)mean_ns);
    case EI_ARRIVAL_UNIFORM:
        return (int64_t)ei_random_below(&arrival->rng, 2 * (uint64_t)mean_ns + 1);
    case EI_ARRIVAL_LOGNORMAL:
        break;
    }
    const double median_ns = (double)(spec->median_ns - spec->min_interarrival_ns);
    const double draw_ns = median_ns * exp(arrival->sigma * ei_random_normal(&arrival->rng));
    return draw_ns < 0x1p62 ? (int64_t)draw_ns : INT64_MAX; /* past the end of time */
}

static int64_t sporadic_nominal_ns(struct ei_arrival *arrival)
{
    const struct ei_arrival_spec *spec = arrival->spec;
    const int64_t excess_ns = draw_excess_ns(arrival);
    if (arrival->next_job_idx == 0) {
        return add_ns(spec->offset_ns, excess_ns);
    }
    const int64_t earliest_ns = add_ns(arrival->last_nominal_ns, spec->min_interarrival_ns);
    return earliest_ns < 0 ? -1 : add_ns(earliest_ns, excess_ns);
}

static int64_t burst_nominal_ns(const struct ei_arrival_spec *spec, int64_t k)
{
    const int64_t burst = k / spec->count;
    const int64_t start_ns = burst == 0 ? spec->offset_ns : spec->period_ns > 0 ? periodic_nominal_ns(spec, burst) : -1;
    return start_ns < 0 ? -1 : add_ns(start_ns, (k % spec->count) * spec->spacing_ns);
}

EINET_RT bool ei_arrival_next(struct ei_arrival *arrival, struct ei_arrival_release *out)
{
    const struct ei_arrival_spec *spec = arrival->spec;
    const int64_t k = arrival->next_job_idx;
    int64_t nominal_ns = -1;
    switch (spec->model) {
    case EI_ARRIVAL_PERIODIC:
        nominal_ns = periodic_nominal_ns(spec, k);
        break;
    case EI_ARRIVAL_SPORADIC:
        nominal_ns = sporadic_nominal_ns(arrival);
        break;
    case EI_ARRIVAL_APERIODIC:
        nominal_ns = k < spec->trace_count ? spec->trace_ns[k] : -1;
        break;
    case EI_ARRIVAL_BURST:
        nominal_ns = burst_nominal_ns(spec, k);
        break;
    case EI_ARRIVAL_EXTERNAL:
        if (k < arrival->asked_count) {
            (void)ei_arrival_admit(arrival, arrival->asked_ns[k], arrival->asked_ns[k], out);
        }
        return k < arrival->asked_count;
    case EI_ARRIVAL_AFTER:
        break;
    }
    if (nominal_ns < 0) {
        return false;
    }
    int64_t release_ns = nominal_ns;
    if (spec->model == EI_ARRIVAL_PERIODIC && spec->jitter_ns > 0) {
        release_ns = add_ns(nominal_ns, (int64_t)ei_random_below(&arrival->rng, (uint64_t)spec->jitter_ns + 1));
        release_ns = release_ns < 0 ? INT64_MAX : release_ns;
    }
    arrival->next_job_idx = k + 1;
    arrival->last_nominal_ns = nominal_ns;
    *out = (struct ei_arrival_release){.job_idx = k, .nominal_ns = nominal_ns, .release_ns = release_ns};
    return true;
}

/* ---- what somebody outside asks for ---- */

static int64_t later_ns(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

/* At least min_interarrival behind `last`; INT64_MAX beyond the end of time. */
static int64_t keep_distance_ns(const struct ei_arrival *arrival, int64_t at_ns, int64_t last_ns)
{
    if (arrival->next_job_idx == 0) {
        return at_ns;
    }
    const int64_t earliest_ns = add_ns(last_ns, arrival->spec->min_interarrival_ns);
    return earliest_ns < 0 ? INT64_MAX : later_ns(at_ns, earliest_ns);
}

EINET_RT bool ei_arrival_admit(struct ei_arrival *arrival, int64_t happened_ns, int64_t asked_ns,
                               struct ei_arrival_release *out)
{
    const int64_t nominal_ns = keep_distance_ns(arrival, later_ns(happened_ns, 0), arrival->last_nominal_ns);
    const int64_t release_ns = keep_distance_ns(arrival, later_ns(asked_ns, nominal_ns), arrival->last_release_ns);
    *out = (struct ei_arrival_release){
        .job_idx = arrival->next_job_idx, .nominal_ns = nominal_ns, .release_ns = release_ns};
    arrival->next_job_idx++;
    arrival->last_nominal_ns = nominal_ns;
    arrival->last_release_ns = release_ns;
    return release_ns > asked_ns;
}

void ei_arrival_ask(struct ei_arrival *arrival, const int64_t *asked_ns, int64_t asked_count)
{
    arrival->asked_ns = asked_ns;
    arrival->asked_count = asked_count;
}

struct ei_arrival_tally ei_arrival_tally(const struct ei_arrival_spec *spec, const int64_t *asked_ns,
                                         int64_t asked_count, int64_t warmup_ns, int64_t end_ns)
{
    struct ei_arrival arrival = {.spec = spec};
    struct ei_arrival_tally tally = {0};
    struct ei_arrival_release release;
    for (int64_t k = 0; k < asked_count; k++) {
        tally.held_back += ei_arrival_admit(&arrival, asked_ns[k], asked_ns[k], &release);
        tally.unreleased += release.nominal_ns > end_ns;
        tally.warmup += release.nominal_ns <= end_ns && release.nominal_ns < warmup_ns;
    }
    return tally;
}

/* ---- counting: releases with nominal <= to_ns, then the difference of two such counts ---- */

static int64_t trace_until(const struct ei_arrival_spec *spec, int64_t to_ns)
{
    int64_t lo = 0;
    int64_t hi = spec->trace_count;
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (spec->trace_ns[middle] <= to_ns) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo;
}

static int64_t burst_until(const struct ei_arrival_spec *spec, int64_t to_ns)
{
    if (to_ns < spec->offset_ns) {
        return 0;
    }
    const int64_t elapsed_ns = to_ns - spec->offset_ns;
    const int64_t bursts = spec->period_ns > 0 ? elapsed_ns / spec->period_ns : 0;
    const int64_t into_ns = elapsed_ns - (spec->period_ns > 0 ? bursts * spec->period_ns : 0);
    const int64_t in_last = spec->spacing_ns > 0 ? into_ns / spec->spacing_ns + 1 : spec->count;
    return bursts * spec->count + (in_last < spec->count ? in_last : spec->count);
}

static int64_t sporadic_until(const struct ei_arrival_spec *spec, uint64_t seed, int32_t task_idx, int64_t to_ns)
{
    struct ei_arrival arrival;
    struct ei_arrival_release release;
    ei_arrival_init(&arrival, spec, seed, task_idx);
    int64_t count = 0;
    while (ei_arrival_next(&arrival, &release) && release.nominal_ns <= to_ns) {
        count++;
    }
    return count;
}

static int64_t releases_until(const struct ei_arrival_spec *spec, uint64_t seed, int32_t task_idx, int64_t to_ns)
{
    if (to_ns < 0) {
        return 0;
    }
    switch (spec->model) {
    case EI_ARRIVAL_PERIODIC:
        return to_ns < spec->offset_ns ? 0 : (to_ns - spec->offset_ns) / spec->period_ns + 1;
    case EI_ARRIVAL_SPORADIC:
        return sporadic_until(spec, seed, task_idx, to_ns);
    case EI_ARRIVAL_APERIODIC:
        return trace_until(spec, to_ns);
    case EI_ARRIVAL_BURST:
        return burst_until(spec, to_ns);
    case EI_ARRIVAL_EXTERNAL:
        return to_ns / spec->min_interarrival_ns + 1;
    case EI_ARRIVAL_AFTER:
        break;
    }
    return 0;
}

int64_t ei_arrival_expected(const struct ei_arrival_spec *spec, uint64_t seed, int32_t task_idx, int64_t from_ns,
                            int64_t to_ns)
{
    if (to_ns < from_ns) {
        return 0;
    }
    const int64_t before = from_ns <= 0 ? 0 : releases_until(spec, seed, task_idx, from_ns - 1);
    return releases_until(spec, seed, task_idx, to_ns) - before;
}

int64_t ei_arrival_least_distance_ns(const struct ei_arrival_spec *spec)
{
    switch (spec->model) {
    case EI_ARRIVAL_PERIODIC:
        return spec->period_ns;
    case EI_ARRIVAL_SPORADIC:
    case EI_ARRIVAL_EXTERNAL:
        return spec->min_interarrival_ns;
    case EI_ARRIVAL_BURST:
        return spec->spacing_ns;
    case EI_ARRIVAL_APERIODIC:
    case EI_ARRIVAL_AFTER:
        break;
    }
    return 0;
}
