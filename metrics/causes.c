/* See causes.h. */
#include "metrics/causes.h"

#include <stddef.h>

/* Above its profile by less than this a job is not called over it: the profile was measured under other caches, and
 * shorter gaps of the machine than this one leave no trace. */
#define PROFILE_SLACK_SHARE 10
#define PROFILE_SLACK_MIN_NS INT64_C(100000)

const char *ei_miss_cause_name(int cause)
{
    static const char *const names[EI_MISS_CAUSES] = {"release_delay", "blocking",  "interference", "execution",
                                                      "lane_queue",    "throttled", "unexplained",  "machine"};
    return cause >= 0 && cause < EI_MISS_CAUSES ? names[cause] : "";
}

const char *ei_over_profile_name(int verdict)
{
    static const char *const names[EI_PROFILE_VERDICTS] = {"", "profile_violation", "machine_noise"};
    return verdict >= 0 && verdict < EI_PROFILE_VERDICTS ? names[verdict] : "";
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t not_below_zero(int64_t value)
{
    return value > 0 ? value : 0;
}

/* What is known about the time in which the thread wanted the processor. */
struct search {
    const struct ei_activity_history *activities;
    struct ei_gap_history *gaps;
    int64_t *part_ns;
    int64_t gap_run_ns; /* gaps that no waiting accounts for: they hit the job while its clock ran */
};

static int64_t gaps_ns(const struct search *s, int32_t cpu, int64_t from_ns, int64_t to_ns)
{
    struct ei_cpuset cpus = {0};
    if (cpu < 0 || to_ns <= from_ns) {
        return 0;
    }
    ei_cpuset_add(&cpus, cpu);
    return ei_gap_history_covered_ns(s->gaps, &cpus, from_ns, to_ns);
}

/* Of wait_ns in [from, to) without the processor, count what others used of it. Returns the rest. */
static int64_t count_others(const struct search *s, const struct ei_activity_record *own, int64_t from_ns,
                            int64_t to_ns, int64_t wait_ns)
{
    if (wait_ns <= 0) {
        return 0;
    }
    const struct ei_activity_use use = ei_activity_history_use(s->activities, own, from_ns, to_ns);
    const int64_t interference_ns = least(wait_ns, use.higher_ns);
    const int64_t blocking_ns = least(wait_ns - interference_ns, use.lower_ns);
    s->part_ns[EI_PART_INTERFERENCE] += interference_ns;
    s->part_ns[EI_PART_BLOCKING] += blocking_ns;
    return wait_ns - interference_ns - blocking_ns;
}

/* Before the thread was awake nothing ran of it: what neither tasks nor gaps explain is a late wake-up. */
static void count_before_awake(const struct search *s, const struct ei_activity_record *own, int64_t awake_ns)
{
    const int64_t rest_ns = count_others(s, own, own->start_ns, awake_ns, awake_ns - own->start_ns);
    s->part_ns[EI_PART_RELEASE_DELAY] += rest_ns - least(rest_ns, gaps_ns(s, own->cpu, own->start_ns, awake_ns));
}

static void count_stretch(struct search *s, const struct ei_activity_record *own, int64_t from_ns)
{
    const int64_t wait_ns = not_below_zero(own->end_ns - from_ns - own->cpu_ns);
    const int64_t rest_ns = count_others(s, own, from_ns, own->end_ns, wait_ns);
    if (own->is_after_device != 0) {
        s->part_ns[EI_PART_EXECUTION] += rest_ns - least(rest_ns, gaps_ns(s, own->cpu, from_ns, own->end_ns));
        return;
    }
    s->gap_run_ns += not_below_zero(gaps_ns(s, own->cpu, from_ns, own->end_ns) - rest_ns);
}

/* When the kernel stops a thread that has used up its runtime, nobody writes that down: what neither others nor gaps
 * account for is that. */
static void count_throttled(const struct search *s, const struct ei_job_record *job)
{
    const struct ei_activity_record *own = ei_activity_history_of_job(s->activities, job, 0);
    int64_t rest_ns = job->finish_ns - job->release_ns;
    for (int i = 0; i < EI_PARTS; i++) {
        rest_ns -= s->part_ns[i];
    }
    if (own != NULL && rest_ns > 0) {
        s->part_ns[EI_PART_THROTTLED] = rest_ns - least(rest_ns, gaps_ns(s, own->cpu, job->release_ns, job->finish_ns));
    }
}

static void complete(struct search *s, const struct ei_job_record *job)
{
    const struct ei_activity_record *own;
    s->part_ns[EI_PART_RELEASE_DELAY] += not_below_zero(job->ready_ns - job->release_ns);
    for (int32_t n = 0; (own = ei_activity_history_of_job(s->activities, job, n)) != NULL; n++) {
        int64_t from_ns = own->start_ns;
        if (from_ns < job->ready_ns) { /* its rehearsal; where that passed the release, the job was awake the later */
            continue;
        }
        if (from_ns == job->ready_ns && job->awake_ns > from_ns) {
            count_before_awake(s, own, job->awake_ns);
            from_ns = job->awake_ns;
        }
        count_stretch(s, own, from_ns);
    }
    if ((job->flags & EI_JOB_THROTTLED) != 0) {
        count_throttled(s, job);
    }
}

/* Keep the sum: what is known beyond the response, by a clock that was read a moment later, goes; the rest of the
 * response is unexplained. */
static void balance(int64_t *part_ns, int64_t response_ns)
{
    int64_t rest_ns = response_ns;
    for (int i = 0; i < EI_PARTS; i++) {
        if (i != EI_PART_UNEXPLAINED) {
            part_ns[i] = least(not_below_zero(part_ns[i]), rest_ns);
            rest_ns -= part_ns[i];
        }
    }
    part_ns[EI_PART_UNEXPLAINED] = rest_ns;
}

/* Processor time beyond the profile that gaps make up for was nobody's: a hypervisor that does not report what it takes
 * away lets the thread's clock run on. */
static enum ei_over_profile judge_profile(int64_t *part_ns, int64_t profiled_ns, int64_t gap_run_ns)
{
    const int64_t over_ns = part_ns[EI_PART_EXECUTION] - profiled_ns;
    const int64_t share_ns = profiled_ns / PROFILE_SLACK_SHARE;
    const int64_t slack_ns = share_ns > PROFILE_SLACK_MIN_NS ? share_ns : PROFILE_SLACK_MIN_NS;
    if (profiled_ns == 0 || over_ns <= 0) {
        return EI_PROFILE_KEPT;
    }
    const int64_t taken_ns = least(over_ns, gap_run_ns);
    part_ns[EI_PART_EXECUTION] -= taken_ns;
    part_ns[EI_PART_UNEXPLAINED] += taken_ns;
    if (over_ns <= slack_ns) {
        return EI_PROFILE_KEPT;
    }
    return over_ns - taken_ns <= slack_ns ? EI_PROFILE_NOISE : EI_PROFILE_VIOLATED;
}

struct ei_job_split ei_job_split(const struct ei_job_record *job, const struct ei_activity_history *activities,
                                 struct ei_gap_history *gaps)
{
    struct ei_job_split split = {0};
    struct search s = {.activities = activities, .gaps = gaps, .part_ns = split.part_ns};
    for (int i = 0; i < EI_PARTS; i++) {
        split.part_ns[i] = job->part_ns[i];
    }
    if ((job->flags & EI_JOB_SPLIT) == 0) {
        complete(&s, job);
    }
    balance(split.part_ns, job->finish_ns - job->release_ns);
    split.over_profile = judge_profile(split.part_ns, job->profiled_ns, s.gap_run_ns);
    return split;
}

int ei_job_miss_cause(const struct ei_job_record *job, const struct ei_job_split *split, int64_t gap_ns)
{
    const int64_t *part_ns = split->part_ns;
    if (part_ns[EI_PART_EXECUTION] > job->deadline_ns - job->release_ns) {
        return EI_PART_EXECUTION; /* it would have missed alone */
    }
    int cause = EI_PART_EXECUTION;
    int64_t most_ns = job->profiled_ns > 0 ? not_below_zero(part_ns[EI_PART_EXECUTION] - job->profiled_ns) : 0;
    for (int i = 0; i < EI_PARTS; i++) {
        if (i != EI_PART_EXECUTION && part_ns[i] > most_ns) {
            cause = i;
            most_ns = part_ns[i];
        }
    }
    return cause == EI_PART_UNEXPLAINED && gap_ns >= most_ns / 2 ? EI_MISS_MACHINE : cause;
}
