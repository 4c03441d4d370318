/* The virtual engine against an independent simulator, job for job, and against itself.
 *
 * EINET_TEST_SETS=N plays N task sets, EINET_TEST_SEED=S others. EINET_TEST_FIRST_SET=K begins with set K and, where
 * the two differ, prints the workload and both lists of jobs.
 */
#include "rt/random.h"
#include "tests/engine/reference_schedule.h"
#include "tests/engine/virtual_play.h"
#include "tests/harness/harness.h"

#include <stdarg.h>
#include <stdlib.h>

#define SETS 600
#define TEXT_BYTES 16384

/* ---- against the reference ---- */

static void say(char *text, size_t *used, const char *format, ...) EINET_PRINTF(3, 4);

static void say(char *text, size_t *used, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    *used += (size_t)vsnprintf(text + *used, TEXT_BYTES - *used, format, arguments);
    va_end(arguments);
}

static const char *const preempt_words[] = {"exit", "resume", "none", "elastic", "restart"};
static const char *const deadline_words[] = {"exit", "finish", "abort"};
static const char *const overrun_words[] = {"finish", "exit", "abort"};

static void say_limit(char *text, size_t *used, struct ref_limit limit)
{
    if (limit.budget_ns >= 0) {
        say(text, used, ", budget: %lldns", (long long)limit.budget_ns);
    }
    if (limit.timeout_ns >= 0) {
        say(text, used, ", timeout: %lldns", (long long)limit.timeout_ns);
    }
    say(text, used, " }\n");
}

static void write_task(char *text, size_t *used, const struct ref_system *system, int32_t idx)
{
    const struct ref_task *const t = &system->tasks[idx];
    say(text, used, "  - name: t%d\n", (int)idx);
    if (t->is_external) {
        say(text, used, "    arrival: { model: external, min_interarrival: %lldns }\n", (long long)t->period_ns);
    } else if (t->after == REF_FIRST) {
        say(text, used, "    arrival: { model: periodic, period: %lldns, offset: %lldns }\n", (long long)t->period_ns,
            (long long)t->offset_ns);
    } else {
        say(text, used, "    arrival: { model: after, task: t%d }\n", (int)t->after);
    }
    say(text, used,
        "    deadline: %lldns\n    on_preempt: %s\n    max_preemptions: %d\n    on_deadline: %s\n"
        "    on_overrun: %s\n"
        "    planner: { search: all, first_exit: %s }\n",
        (long long)t->deadline_ns, preempt_words[t->on_preempt], (int)t->max_preemptions,
        deadline_words[t->on_deadline], overrun_words[t->on_overrun],
        t->is_first_exit_mandatory ? "mandatory" : "optional");
    if (t->is_deadline) {
        say(text, used, "    class: deadline\n");
    } else {
        say(text, used, "    cpus: \"%d\"\n", (int)t->cpu);
    }
    if (t->max_blocking_ns > 0) {
        say(text, used, "    max_blocking: %lldns\n", (long long)t->max_blocking_ns);
    }
    if (system->policy == REF_FIXED && !t->is_deadline) {
        say(text, used, "    priority: %d\n", (int)t->priority);
    }
    if (t->late == REF_SKIP) {
        say(text, used, "    late_release: skip\n");
    } else {
        say(text, used, "    late_release: { queue: %d, drop: %s }\n", (int)t->queue,
            t->late == REF_OLDEST ? "oldest" : "newest");
    }
    say(text, used, "    overlap: %d\n    stages:\n", (int)t->overlap);
    if (t->pre_ns > 0 || t->blocks == 0) {
        say(text, used, "      - { name: pre, kind: cpu, work: { spin: %lldns }", (long long)t->pre_ns);
        say_limit(text, used, t->pre);
    }
    if (t->blocks > 0) {
        say(text, used, "      - { name: net, kind: nn, model: m%d, lane: [", (int)idx);
        for (int32_t k = 0; k < t->lane_count; k++) {
            const int number = t->is_on_device     ? (int)t->lanes[k] - REF_LANES_MAX
                               : t->is_kernel_lane ? REF_LANES_MAX
                                                   : (int)t->lanes[k];
            say(text, used, "%s%s%d", k > 0 ? ", " : "", t->is_on_device ? "gpu" : "acc", number);
        }
        say(text, used, "]");
        say_limit(text, used, t->net);
        if (t->post_ns > 0) {
            say(text, used, "      - { name: post, kind: cpu, work: { spin: %lldns }", (long long)t->post_ns);
            say_limit(text, used, t->post);
        }
    }
}

static const char *const policy_words[] = {"fixed_priority", "rate_monotonic", "deadline_monotonic", "edf"};

static void write_workload(char *text, const struct ref_system *system)
{
    const struct ref_task *const tasks = system->tasks;
    const int32_t count = system->task_count;
    size_t used = 0;
    say(text, &used,
        "version: 1\nname: random\nrun: { duration: 600ms, warmup: 0s, start_delay: 0s }\n"
        "platform: { privileges: degrade, rt_load_cap: 1.0, watchdog: %d }\nscheduler: { policy: %s }\n"
        "lanes:\n  acc0: { kind: cpu, cpus: \"0-1\" }\n  acc1: { kind: cpu, cpus: \"0-1\" }\n"
        "  acc2: { kind: cpu, cpus: \"0-1\" }\n  acc3: { kind: cpu, cpus: \"0-1\", preempt: kernel }\n"
        "  gpu0: { kind: cuda }\n  gpu1: { kind: cuda, device: 1, wait: poll, depth: 2, fallback: cpu }\nmodels:\n"
        "  unused: { emulate: { blocks: [ { conv: 1ms, score: 0.5 } ] } }\n",
        (int)system->watchdog, policy_words[system->policy]);
    for (int32_t i = 0; i < count; i++) {
        if (tasks[i].blocks == 0) {
            continue;
        }
        say(text, &used, "  m%d: { emulate: { blocks: [", (int)i);
        for (int32_t k = 0; k < tasks[i].blocks; k++) {
            say(text, &used, "%s { conv: %lldns, branch: %lldns, score: 0.5 }", k > 0 ? "," : "",
                (long long)tasks[i].conv_ns[k], (long long)tasks[i].branch_ns[k]);
        }
        say(text, &used, " ] } }\n");
    }
    say(text, &used, "tasks:\n");
    for (int32_t i = 0; i < count; i++) {
        write_task(text, &used, system, i);
    }
}

/* Times on a coarse grid, so that events often fall together. */
static int64_t draw_ns(struct ei_random *rng, int64_t low_steps, int64_t high_steps)
{
    return (low_steps + (int64_t)ei_random_below(rng, (uint64_t)(high_steps - low_steps + 1))) * 100000;
}

/* Budgets of all stages stay within the deadline, as the file's check wants it. */
static struct ref_limit draw_limit(struct ei_random *rng, int64_t need_ns, int64_t *left_ns)
{
    struct ref_limit limit = {-1, -1};
    const int64_t most = ei_random_below(rng, 3) == 0 ? 2 : need_ns / 100000 + 2; /* a tenth of what it takes, or all */
    const int64_t budget_ns = 100000 + (int64_t)ei_random_below(rng, (uint64_t)most) * 100000;
    if (ei_random_below(rng, 4) > 0 && budget_ns <= *left_ns) {
        limit.budget_ns = budget_ns;
        *left_ns -= budget_ns;
    }
    if (ei_random_below(rng, 2) == 0) {
        limit.timeout_ns = 100000 + (int64_t)ei_random_below(rng, (uint64_t)(2 * need_ns / 100000 + 2)) * 100000;
    }
    return limit;
}

static void draw_limits(struct ei_random *rng, struct ref_task *tasks, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        struct ref_task *t = &tasks[i];
        int64_t net_ns = 0, left_ns = t->deadline_ns;
        for (int32_t k = 0; k < t->blocks; k++) {
            net_ns += t->conv_ns[k] + t->branch_ns[k];
        }
        t->on_overrun = (enum ref_overrun)ei_random_below(rng, 3);
        t->pre = t->pre_ns > 0 ? draw_limit(rng, t->pre_ns, &left_ns) : t->pre;
        t->net = t->blocks > 0 ? draw_limit(rng, net_ns, &left_ns) : t->net;
        t->post = t->post_ns > 0 ? draw_limit(rng, t->post_ns, &left_ns) : t->post;
    }
}

/* Some tasks come after others, before or behind them in the file, in no circle. */
static void draw_chains(struct ei_random *rng, struct ref_task *tasks, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        int32_t at = (int32_t)ei_random_below(rng, (uint64_t)count);
        const int32_t after = at;
        if (ei_random_below(rng, 3) > 0) {
            continue;
        }
        while (at != i && at != REF_FIRST) {
            at = tasks[at].after;
        }
        if (at == REF_FIRST) {
            tasks[i].after = after;
            tasks[i].deadline_ns += tasks[after].deadline_ns;
        }
    }
}

/* Mostly the first lane, so that there is a crowd; else some lanes in some order. */
static void draw_lanes(struct ei_random *rng, struct ref_task *t)
{
    const int32_t first = (int32_t)ei_random_below(rng, REF_LANES_MAX);
    const bool is_downward = ei_random_below(rng, 2) == 0;
    t->lane_count = ei_random_below(rng, 2) == 0 ? 1 : 1 + (int32_t)ei_random_below(rng, REF_LANES_MAX);
    for (int32_t k = 0; k < t->lane_count; k++) {
        const int32_t step = is_downward ? REF_LANES_MAX - k : k;
        t->lanes[k] = t->lane_count == 1 ? 0 : (first + step) % REF_LANES_MAX;
    }
    t->is_kernel_lane = t->lane_count == 1 && ei_random_below(rng, 4) == 0;
}

/* In every other system networks run on devices, mostly on the first or, in a third of them, on the second, which has a
 * queue; one that stays on CPUs makes it a mixture. */
static void draw_devices(struct ei_random *rng, struct ref_system *system)
{
    const bool is_queued = ei_random_below(rng, 3) == 0;
    for (int32_t i = 0; i < system->task_count; i++) {
        struct ref_task *t = &system->tasks[i];
        if (t->blocks > 0 && ei_random_below(rng, 3) > 0) {
            t->is_on_device = true;
            t->is_kernel_lane = false;
            t->lane_count = 1;
            t->lanes[0] = REF_LANES_MAX + (is_queued || ei_random_below(rng, 4) == 0 ? 1 : 0);
            if (ei_random_below(rng, 2) == 0) { /* parts of up to 2 ms are cut */
                t->max_blocking_ns = 20000 + (int64_t)ei_random_below(rng, 1500000);
            }
        }
    }
}

/* Some tasks without a network are of class deadline, with more or less runtime than they take, as long as the kernel
 * admits them. */
static void draw_deadline(struct ei_random *rng, struct ref_system *system)
{
    int64_t used_ppm = 0;
    for (int32_t i = 0; i < system->task_count; i++) {
        struct ref_task *t = &system->tasks[i];
        const int64_t steps = 2 * t->pre_ns / 100000 + 1;
        const int64_t runtime_ns = 100000 + (int64_t)ei_random_below(rng, (uint64_t)steps) * 100000;
        const int64_t ppm = runtime_ns * 1000000 / t->period_ns;
        if (ei_random_below(rng, 3) == 0 || t->blocks > 0 || t->after != REF_FIRST || runtime_ns > t->deadline_ns ||
            runtime_ns > t->period_ns || used_ppm + ppm > 1800000) {
            continue;
        }
        used_ppm += ppm;
        t->is_deadline = true;
        t->overlap = 1;
        t->pre.budget_ns = runtime_ns;
        t->deadline_ns = ei_random_below(rng, 2) == 0 || t->deadline_ns > t->period_ns ? t->period_ns : t->deadline_ns;
    }
}

/* Some tasks are released from outside: at random, in bursts, too early or after the end. */
static void draw_external(struct ei_random *rng, struct ref_task *t)
{
    int64_t at_ns = draw_ns(rng, 0, 50);
    t->is_external = true;
    t->offset_ns = 0;
    t->asked_count = (int32_t)ei_random_below(rng, REF_ASKED_MAX);
    for (int32_t k = 0; k < t->asked_count; k++) {
        t->asked_ns[k] = at_ns;
        at_ns += ei_random_below(rng, 3) == 0 ? 0 : draw_ns(rng, 0, t->period_ns / 50000);
    }
}

static struct ei_releases releases_of(const struct ref_system *system)
{
    struct ei_releases releases = {0};
    for (int32_t i = 0; i < system->task_count; i++) {
        const struct ref_task *t = &system->tasks[i];
        if (t->is_external && t->asked_count > 0) {
            releases.asked_ns[i] = malloc((size_t)t->asked_count * sizeof *t->asked_ns);
            releases.count[i] = releases.asked_ns[i] != NULL ? t->asked_count : 0;
            for (int64_t k = 0; k < releases.count[i]; k++) {
                releases.asked_ns[i][k] = t->asked_ns[k];
            }
        }
    }
    return releases;
}

static bool play_system(const char *text, int64_t stop_after, const struct ref_system *system)
{
    struct ei_releases releases = releases_of(system);
    const bool is_ok = play_with(text, stop_after, &releases);
    ei_releases_fini(&releases);
    return is_ok;
}

static void draw_system(struct ei_random *rng, struct ref_system *system)
{
    *system = (struct ref_system){.policy = (enum ref_policy)ei_random_below(rng, 4), .end_ns = 600 * MS};
    const bool has_deadline = ei_random_below(rng, 3) == 0;
    const bool has_external = ei_random_below(rng, 3) == 0;
    const bool has_devices = ei_random_below(rng, 2) == 0;
    system->watchdog = (int32_t)ei_random_below(rng, 4);
    system->task_count = 2 + (int32_t)ei_random_below(rng, REF_TASKS_MAX - 1);
    for (int32_t i = 0; i < system->task_count; i++) {
        struct ref_task *t = &system->tasks[i];
        *t = (struct ref_task){
            .period_ns = draw_ns(rng, 20, 300),
            .after = REF_FIRST,
            .pre = {-1, -1},
            .net = {-1, -1},
            .post = {-1, -1},
            .offset_ns = draw_ns(rng, 0, 50),
            .priority = 1 + (int32_t)ei_random_below(rng, 12),
            .cpu = (int32_t)ei_random_below(rng, 2),
            .pre_ns = draw_ns(rng, 0, 30),
            .post_ns = draw_ns(rng, 0, ei_random_below(rng, 3) == 0 ? 40 : 5),
            .blocks =
                has_deadline && ei_random_below(rng, 2) == 0 ? 0 : (int32_t)ei_random_below(rng, REF_BLOCKS_MAX + 1),
            .on_preempt = (enum ref_preempt)ei_random_below(rng, 5),
            .on_deadline = (enum ref_deadline)ei_random_below(rng, 3),
            .is_first_exit_mandatory = ei_random_below(rng, 2) == 0,
            .late = (enum ref_late)ei_random_below(rng, 3),
            .overlap = ei_random_below(rng, 2) == 0 ? 1 : 1 + (int32_t)ei_random_below(rng, REF_OVERLAP_MAX),
        };
        draw_lanes(rng, t);
        t->max_preemptions = ei_random_below(rng, 2) == 0 ? 0 : 1 + (int32_t)ei_random_below(rng, 3);
        const int64_t latest_ns = t->overlap > 1 ? 2 * t->period_ns : t->period_ns;
        t->deadline_ns = 100000 * (1 + (int64_t)ei_random_below(rng, (uint64_t)(latest_ns / 100000)));
        t->queue = t->late == REF_SKIP ? 0 : 1 + (int32_t)ei_random_below(rng, 3);
        t->pre_ns += t->blocks == 0 && t->pre_ns == 0 ? 100000 : 0;
        t->post_ns = t->blocks > 0 ? t->post_ns : 0;
        int64_t longest_ns = 0;
        for (int32_t k = 0; k < t->blocks; k++) {
            t->conv_ns[k] = draw_ns(rng, 0, 20);
            t->branch_ns[k] = draw_ns(rng, 0, 10);
            longest_ns = t->conv_ns[k] > longest_ns ? t->conv_ns[k] : longest_ns;
            longest_ns = t->branch_ns[k] > longest_ns ? t->branch_ns[k] : longest_ns;
        }
        t->max_blocking_ns = ei_random_below(rng, 2) == 0 ? 0 : longest_ns + draw_ns(rng, 0, 30);
    }
    if (has_devices) {
        draw_devices(rng, system);
    }
    if (ei_random_below(rng, 2) == 0) {
        draw_chains(rng, system->tasks, system->task_count);
    }
    for (int32_t i = 0; i < system->task_count && has_external; i++) {
        if (system->tasks[i].after == REF_FIRST && ei_random_below(rng, 2) == 0) {
            draw_external(rng, &system->tasks[i]);
        }
    }
    if (ei_random_below(rng, 2) == 0) {
        draw_limits(rng, system->tasks, system->task_count);
    }
    if (has_deadline) {
        draw_deadline(rng, system);
    }
    ref_assign_priorities(system);
}

static enum ref_outcome outcome_of(const struct ei_job_record *job)
{
    static const enum ref_outcome outcomes[] = {[EI_JOB_COMPLETED] = REF_COMPLETED,
                                                [EI_JOB_ABORTED] = REF_ABORTED,
                                                [EI_JOB_SKIPPED] = REF_SKIPPED,
                                                [EI_JOB_DROPPED] = REF_DROPPED};
    return outcomes[job->outcome];
}

static bool is_same_job(const struct ei_job_record *a, const struct ref_job *b)
{
    if (a->task_idx != b->task_idx || a->job_idx != b->job_idx || outcome_of(a) != b->outcome) {
        return false;
    }
    if (b->outcome == REF_SKIPPED || b->outcome == REF_DROPPED) {
        return true;
    }
    static const enum ei_part parts[REF_PARTS] = {
        [REF_DELAYED] = EI_PART_RELEASE_DELAY,   [REF_BLOCKED] = EI_PART_BLOCKING,
        [REF_INTERFERED] = EI_PART_INTERFERENCE, [REF_RAN] = EI_PART_EXECUTION,
        [REF_QUEUED] = EI_PART_LANE_QUEUE,       [REF_THROTTLED] = EI_PART_THROTTLED};
    bool is_same = a->part_ns[EI_PART_UNEXPLAINED] == 0;
    for (int i = 0; i < REF_PARTS; i++) {
        is_same = is_same && a->part_ns[parts[i]] == b->part_ns[i];
    }
    return is_same && a->start_ns == b->start_ns && a->finish_ns == b->finish_ns &&
           a->lane_wait_ns == b->lane_wait_ns && a->exits_mask == b->exits_mask && a->preemptions == b->preemptions &&
           ((a->flags & EI_JOB_OVERRUN) != 0) == b->is_overrun;
}

static const char *parts_text(const int64_t *part_ns, int count)
{
    static char texts[2][160];
    static int next;
    char *text = texts[next++ % 2];
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        length += (size_t)snprintf(text + length, sizeof texts[0] - length, " %lld", (long long)part_ns[i]);
    }
    return text;
}

/* Jobs that ran beside the one before them; a failed test when jobs of a task do not end in order. */
static int64_t count_pipelined(const struct ref_system *system)
{
    int64_t finish_ns[REF_TASKS_MAX] = {0}, last[REF_TASKS_MAX], count = 0;
    for (int32_t i = 0; i < REF_TASKS_MAX; i++) {
        last[i] = -1;
    }
    for (int32_t i = 0; i < seen.count; i++) {
        const struct ei_job_record *job = &seen.jobs[i];
        if (job->outcome != EI_JOB_COMPLETED && job->outcome != EI_JOB_ABORTED) {
            continue;
        }
        EI_TRUEF(job->job_idx > last[job->task_idx] && job->finish_ns >= finish_ns[job->task_idx],
                 "t%d.%lld ends before an earlier job", (int)job->task_idx, (long long)job->job_idx);
        if (job->start_ns < finish_ns[job->task_idx]) {
            EI_TRUE(system->tasks[job->task_idx].overlap > 1);
            count++;
        }
        last[job->task_idx] = job->job_idx;
        finish_ns[job->task_idx] = job->finish_ns;
    }
    return count;
}

static void print_jobs(const char *text, const struct ref_job *expected, int32_t wanted)
{
    static const char *const words[] = {"completed", "aborted", "skipped", "dropped"};
    printf("%s", text);
    for (int32_t i = 0; i < seen.count; i++) {
        const struct ei_job_record *a = &seen.jobs[i];
        printf("engine    %4d t%d.%lld %s %lld..%lld wait %lld exits %llx preempted %d parts%s\n", (int)i,
               (int)a->task_idx, (long long)a->job_idx, words[outcome_of(a)], (long long)a->start_ns,
               (long long)a->finish_ns, (long long)a->lane_wait_ns, (unsigned long long)a->exits_mask,
               (int)a->preemptions, parts_text(a->part_ns, EI_PARTS));
    }
    for (int32_t i = 0; i < wanted; i++) {
        const struct ref_job *b = &expected[i];
        printf("reference %4d t%d.%lld %s %lld..%lld wait %lld exits %llx preempted %d parts%s\n", (int)i,
               (int)b->task_idx, (long long)b->job_idx, words[b->outcome], (long long)b->start_ns,
               (long long)b->finish_ns, (long long)b->lane_wait_ns, (unsigned long long)b->exits_mask,
               (int)b->preemptions, parts_text(b->part_ns, REF_PARTS));
    }
}

EI_TEST(random_task_sets_agree_with_the_reference_job_for_job)
{
    static struct ref_job expected[JOBS_MAX];
    static char text[TEXT_BYTES];
    const char *const asked = getenv("EINET_TEST_SETS"), *const seeded = getenv("EINET_TEST_SEED");
    const char *const from = getenv("EINET_TEST_FIRST_SET");
    const int64_t first = from != NULL ? strtoll(from, NULL, 10) : 0;
    const int64_t sets = asked != NULL ? strtoll(asked, NULL, 10) : SETS;
    const uint64_t seed = seeded != NULL ? strtoull(seeded, NULL, 10) : 77;
    int64_t jobs = 0, preemptions = 0, unrun = 0, blocked_ns = 0, queued_ns = 0;
    int64_t chained = 0, pipelined = 0, upstream = 0, overruns = 0, ended_by_overrun = 0, demotions = 0;
    int64_t external = 0, held_back = 0, of_deadline = 0, throttled = 0, on_devices = 0, overlapped = 0, cuts = 0;
    int64_t behind = 0;
    for (int64_t set = first; set < first + sets; set++) {
        struct ref_system system;
        struct ei_random rng;
        ei_random_init(&rng, seed, (uint64_t)set);
        int32_t demoted;
        draw_system(&rng, &system);
        write_workload(text, &system);
        const int32_t wanted = ref_simulate(&system, expected, JOBS_MAX, &demoted);
        EI_TRUEF(play_system(text, 0, &system), "set %lld loses releases", (long long)set);
        EI_TRUEF(seen.demoted == demoted, "set %lld: %d demoted, the reference has %d", (long long)set,
                 (int)seen.demoted, (int)demoted);
        demotions += demoted;
        bool is_same = wanted == seen.count;
        for (int32_t i = 0; i < wanted && i < seen.count; i++) {
            if (!is_same_job(&seen.jobs[i], &expected[i])) {
                const struct ei_job_record *a = &seen.jobs[i];
                const struct ref_job *b = &expected[i];
                if (from != NULL) {
                    print_jobs(text, expected, wanted);
                }
                EI_TRUEF(false,
                         "set %lld: record %d is t%d.%lld outcome %d %lld..%lld wait %lld exits %llx preempted %d "
                         "parts%s, the "
                         "reference has t%d.%lld outcome %d %lld..%lld wait %lld exits %llx preempted %d parts%s\n%s",
                         (long long)set, (int)i, (int)a->task_idx, (long long)a->job_idx, (int)outcome_of(a),
                         (long long)a->start_ns, (long long)a->finish_ns, (long long)a->lane_wait_ns,
                         (unsigned long long)a->exits_mask, (int)a->preemptions, parts_text(a->part_ns, EI_PARTS),
                         (int)b->task_idx, (long long)b->job_idx, (int)b->outcome, (long long)b->start_ns,
                         (long long)b->finish_ns, (long long)b->lane_wait_ns, (unsigned long long)b->exits_mask,
                         (int)b->preemptions, parts_text(b->part_ns, REF_PARTS), text);
                return;
            }
            preemptions += expected[i].preemptions;
            blocked_ns += expected[i].part_ns[REF_BLOCKED];
            queued_ns += expected[i].part_ns[REF_QUEUED];
            of_deadline += system.tasks[expected[i].task_idx].is_deadline;
            throttled += expected[i].part_ns[REF_THROTTLED] > 0;
            on_devices += system.tasks[expected[i].task_idx].is_on_device && expected[i].exits_mask != 0;
            overlapped += system.tasks[expected[i].task_idx].is_on_device && expected[i].part_ns[REF_INTERFERED] > 0 &&
                          expected[i].part_ns[REF_QUEUED] > 0;
            cuts += expected[i].cuts;
            behind += expected[i].launches_behind;
            external += system.tasks[expected[i].task_idx].is_external;
            held_back += system.tasks[expected[i].task_idx].is_external && expected[i].job_idx > 0 &&
                         seen.jobs[i].release_ns > system.tasks[expected[i].task_idx].asked_ns[expected[i].job_idx];
            chained += system.tasks[expected[i].task_idx].after != REF_FIRST && expected[i].outcome == REF_COMPLETED;
            upstream += seen.jobs[i].cause == EI_CAUSE_UPSTREAM;
            overruns += expected[i].is_overrun;
            ended_by_overrun += seen.jobs[i].cause == EI_CAUSE_OVERRUN;
            unrun += expected[i].outcome == REF_SKIPPED || expected[i].outcome == REF_DROPPED;
        }
        pipelined += count_pipelined(&system);
        EI_TRUEF(is_same, "set %lld: %d records, the reference has %d", (long long)set, (int)seen.count, (int)wanted);
        jobs += wanted;
    }
    if (from != NULL) {
        return; /* any few sets */
    }
    /* The sets do exercise what they are there for. */
    EI_TRUE(jobs > sets * 50 && preemptions > sets && unrun > sets && blocked_ns > sets * MS && queued_ns > sets * MS);
    EI_TRUEF(pipelined > sets, "only %lld jobs ran beside the one before them", (long long)pipelined);
    EI_TRUEF(external > sets * 10 && held_back > sets * 5, "of external tasks %lld jobs, %lld held back",
             (long long)external, (long long)held_back);
    EI_TRUEF(of_deadline > sets * 10 && throttled > sets * 2, "of class deadline %lld jobs, %lld throttled",
             (long long)of_deadline, (long long)throttled);
    EI_TRUEF(on_devices > sets * 10 && overlapped > sets, "%lld jobs on devices, %lld in want of both CPU and device",
             (long long)on_devices, (long long)overlapped);
    EI_TRUEF(behind > sets, "only %lld times a block ran behind another task's", (long long)behind);
    EI_TRUEF(cuts > sets, "only %lld times a job left its lane in the midst of a part", (long long)cuts);
    EI_TRUEF(chained > sets && upstream > sets && overruns > sets && ended_by_overrun > sets && demotions > sets / 40,
             "of chains %lld, for want of a predecessor %lld, overruns %lld, ended by them %lld, demotions %lld",
             (long long)chained, (long long)upstream, (long long)overruns, (long long)ended_by_overrun,
             (long long)demotions);
}

/* A job of one block, pinned, that keeps its lane. */
static struct ref_task one_block(int32_t cpu, int32_t priority, int32_t lane, int64_t offset_ns, int64_t conv_ns)
{
    return (struct ref_task){.period_ns = 1000 * MS,
                             .offset_ns = offset_ns,
                             .deadline_ns = 1000 * MS,
                             .after = REF_FIRST,
                             .priority = priority,
                             .cpu = cpu,
                             .blocks = 1,
                             .lanes = {lane},
                             .lane_count = 1,
                             .conv_ns = {conv_ns},
                             .on_preempt = REF_NONE,
                             .on_deadline = REF_DEADLINE_FINISH,
                             .pre = {-1, -1},
                             .net = {-1, -1},
                             .post = {-1, -1},
                             .overlap = 1};
}

/* At 3 ms t2 queues for the lane of t0 and then, at that same instant, t3 for the lane of t1. The first loan takes CPU
 * 1 from t1 before the second one raises it, so t1 is no longer the one that runs and goes behind t0. */
EI_TEST(of_two_loans_at_one_instant_the_first_takes_the_cpu)
{
    static struct ref_job expected[JOBS_MAX];
    static char text[TEXT_BYTES];
    const int64_t finish_ns[] = {6 * MS, 6 * MS, 5 * MS, 7 * MS};
    struct ref_system system = {.policy = REF_FIXED, .task_count = 4, .end_ns = 600 * MS};
    int32_t demoted;
    system.tasks[0] = one_block(1, 4, 0, 0, 2 * MS);
    system.tasks[1] = one_block(1, 7, 1, MS, 4 * MS);
    system.tasks[2] = one_block(0, 10, 0, 2 * MS, MS);
    system.tasks[2].pre_ns = MS;
    system.tasks[3] = one_block(0, 10, 1, 2 * MS + MS / 2, MS);
    write_workload(text, &system);
    const int32_t wanted = ref_simulate(&system, expected, JOBS_MAX, &demoted);
    EI_TRUE(play_system(text, 0, &system));
    EI_TRUEF(wanted == 4 && seen.count == 4, "%d jobs, the reference has %d", (int)seen.count, (int)wanted);
    for (int32_t i = 0; i < wanted && i < seen.count; i++) {
        const struct ei_job_record *job = &seen.jobs[i];
        EI_TRUEF(job->finish_ns == finish_ns[job->task_idx], "t%d ends at %lld", (int)job->task_idx,
                 (long long)job->finish_ns);
        EI_TRUEF(is_same_job(job, &expected[i]), "record %d is t%d to %lld, the reference has t%d to %lld", (int)i,
                 (int)job->task_idx, (long long)job->finish_ns, (int)expected[i].task_idx,
                 (long long)expected[i].finish_ns);
    }
}

/* ---- against itself ---- */

EI_TEST(an_ended_run_keeps_the_identity)
{
    static char text[TEXT_BYTES];
    for (int64_t set = 0; set < 40; set++) {
        struct ref_system system;
        struct ei_random rng;
        ei_random_init(&rng, 78, (uint64_t)set);
        draw_system(&rng, &system);
        write_workload(text, &system);
        EI_TRUEF(play_system(text, 5 + set, &system), "set %lld", (long long)set);
        EI_TRUE(seen.count >= 5 + set);
    }
}
