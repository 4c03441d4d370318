/* No response of the reference schedule passes its bound, over random task sets on eight kinds of platform.
 *
 * By default over 10000 sets with lanes by priority and a fifth of them by deadline, with sanitizers a tenth.
 * EINET_TEST_SETS=N plays N sets of each platform.
 */
#include "scheduler/assign.h"
#include "scheduler/response_time.h"

#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/scheduler/reference_schedule.h"

#include <stdlib.h>
#include <string.h>

#define TASKS_MAX 10
#define SEGMENTS_MAX 6
#define PATTERNS 6

enum platform {
    ONE_CPU,     /* one segment on a CPU, preemption off in parts */
    ONE_LANE,    /* blocks on an accelerator */
    ACCELERATED, /* CPU, blocks on an accelerator, CPU */
    CPU_LANE,    /* the same, the lane on that same CPU; some tasks do without */
    CUT,   /* the same at a low load, with a lowest task that is longer than the rest leaves room for and is cut at
            * its deadline */
    WIDE,  /* two or three CPUs taken as one, with two lanes, and a CPU that shares one of the lanes */
    MIXED, /* two CPUs, a lane on one of them, an accelerator, a lane over both CPUs; anything goes */
    DRIVEN /* CPU, blocks on an accelerator that this CPU or another one launches, CPU; and a lane of the CPU */
};

#ifdef EINET_SANITIZED
#define SETS 150
#else
#define SETS 1500
#endif

struct set {
    int32_t count;
    struct ei_rta_task tasks[TASKS_MAX];
    struct ei_rta_segment segments[TASKS_MAX][SEGMENTS_MAX];
    struct ei_rta_state states[TASKS_MAX];
    struct ei_rta_bound bounds[TASKS_MAX];
    int32_t width; /* of CPU 0 */
    enum ei_rta_lane_order order;
};

static struct ei_rta rta; /* one thread; too large for the stack */

static int64_t below(struct ei_random *rng, int64_t n)
{
    return (int64_t)ei_random_below(rng, (uint64_t)(n < 1 ? 1 : n));
}

static bool chance(struct ei_random *rng, int64_t pct)
{
    return below(rng, 100) < pct;
}

/* UUniFast (Bini, Buttazzo 2005). */
static void draw_shares(struct ei_random *rng, int32_t n, double sum, double *out_shares)
{
    for (int32_t i = 0; i < n - 1; i++) {
        const double next = sum * pow(ei_random_unit(rng), 1.0 / (n - 1 - i));
        out_shares[i] = sum - next;
        sum = next;
    }
    out_shares[n - 1] = sum;
}

static void add(struct set *set, int32_t i, int32_t cpu, int32_t lane)
{
    set->segments[i][set->tasks[i].segment_count++] = (struct ei_rta_segment){.cpu = cpu, .lane = lane};
}

static void draw_driven(struct ei_random *rng, struct set *set, int32_t i)
{
    const int32_t cpu = chance(rng, 25) ? 1 : 0;
    add(set, i, cpu, -1);
    if (chance(rng, 25)) {
        add(set, i, 0, chance(rng, 50) ? 1 : -1);
    } else {
        add(set, i, cpu, 0);
        set->segments[i][1].is_driven = true;
        add(set, i, cpu, -1);
    }
}

static void draw_places(struct ei_random *rng, enum platform platform, struct set *set, int32_t i)
{
    static const struct {
        int32_t cpu, lane;
    } mixed[] = {{0, -1}, {1, -1}, {1, 0}, {-1, 1}, {0, 2}, {1, 2}};
    switch (platform) {
    case ONE_CPU:
        add(set, i, 0, -1);
        break;
    case ONE_LANE:
        add(set, i, -1, 0);
        if (chance(rng, 30)) {
            add(set, i, -1, 0);
        }
        break;
    case ACCELERATED:
    case CPU_LANE:
    case CUT:
        add(set, i, 0, -1);
        if (!chance(rng, 25)) {
            add(set, i, platform == ACCELERATED ? -1 : 0, 0);
            if (chance(rng, 70)) {
                add(set, i, 0, -1);
            }
        }
        break;
    case WIDE:
        for (int64_t s = 1 + below(rng, 3); s > 0; s--) {
            const int64_t place = below(rng, 8);
            add(set, i, place < 7 ? 0 : 1, place < 3 ? -1 : place < 5 ? 0 : 1);
        }
        break;
    case DRIVEN:
        draw_driven(rng, set, i);
        break;
    case MIXED:
        for (int64_t s = 1 + below(rng, 4); s > 0; s--) {
            const int64_t place = below(rng, chance(rng, 70) ? 4 : 6);
            add(set, i, mixed[place].cpu, mixed[place].lane);
        }
        break;
    }
}

static void draw_times(struct ei_random *rng, enum platform platform, struct set *set, int32_t i, int64_t wcet_ns)
{
    struct ei_rta_task *task = &set->tasks[i];
    for (int32_t s = 0; s < task->segment_count; s++) {
        struct ei_rta_segment *segment = &set->segments[i][s];
        const bool is_last = s == task->segment_count - 1;
        segment->wcet_ns = is_last ? wcet_ns : below(rng, wcet_ns);
        wcet_ns -= segment->wcet_ns;
        segment->bcet_ns = chance(rng, 40) ? below(rng, segment->wcet_ns + 1) : 0;
        segment->mandatory_ns = segment->bcet_ns + below(rng, segment->wcet_ns - segment->bcet_ns + 1);
        const bool can_block =
            segment->lane >= 0 || platform == ONE_CPU || (platform == ACCELERATED && chance(rng, 10));
        if (can_block && segment->wcet_ns > 0) {
            static const int64_t parts[] = {1, 1, 2, 3, 5, 8};
            segment->max_nonpreemptive_ns = (segment->wcet_ns + 7) / parts[below(rng, 6)];
        }
        if (platform == ONE_CPU && chance(rng, 25)) {
            segment->max_nonpreemptive_ns = 0;
        }
    }
    task->segments = set->segments[i];
}

/* Scale so that the busiest resource has the utilisation asked for; the rest follows. */
static void level(struct set *set, double utilisation)
{
    double busy[16] = {0}, most = 0.0;
    for (int32_t i = 0; i < set->count; i++) {
        for (int32_t s = 0; s < set->tasks[i].segment_count; s++) {
            const struct ei_rta_segment *segment = &set->segments[i][s];
            double *of = &busy[segment->cpu >= 0 && !segment->is_driven ? segment->cpu : 8 + segment->lane];
            *of += (double)segment->wcet_ns / (double)set->tasks[i].period_ns;
            most = *of > most ? *of : most;
        }
    }
    for (int32_t i = 0; i < set->count; i++) {
        for (int32_t s = 0; s < set->tasks[i].segment_count; s++) {
            struct ei_rta_segment *segment = &set->segments[i][s];
            const double scale = most > 0.0 ? utilisation / most : 1.0;
            segment->wcet_ns = (int64_t)((double)segment->wcet_ns * scale);
            segment->bcet_ns = (int64_t)((double)segment->bcet_ns * scale);
            segment->mandatory_ns = (int64_t)((double)segment->mandatory_ns * scale);
            segment->max_nonpreemptive_ns = (int64_t)((double)segment->max_nonpreemptive_ns * scale);
        }
    }
}

/* What is launched is seen to be done: on the CPU, where there is something left to do, if it is but a moment. */
static void end_on_cpu(struct set *set)
{
    for (int32_t i = 0; i < set->count; i++) {
        struct ei_rta_segment *last = &set->segments[i][set->tasks[i].segment_count - 1];
        last->wcet_ns = last->wcet_ns > 0 ? last->wcet_ns : 1;
        last->mandatory_ns = last->mandatory_ns > 0 ? last->mandatory_ns : 1;
    }
}

/* Make the lowest task one that is cut at its deadline and, mostly, longer than that. */
static void draw_cut(struct ei_random *rng, struct set *set)
{
    int32_t lowest = 0;
    for (int32_t i = 1; i < set->count; i++) {
        lowest = set->tasks[i].priority < set->tasks[lowest].priority ? i : lowest;
    }
    struct ei_rta_task *task = &set->tasks[lowest];
    task->is_cut_at_deadline = true;
    task->deadline_ns = task->period_ns - (chance(rng, 60) ? 0 : below(rng, task->period_ns / 2));
    for (int32_t s = 0; s < task->segment_count; s++) {
        struct ei_rta_segment *segment = &set->segments[lowest][s];
        if (segment->lane >= 0) {
            segment->mandatory_ns = segment->bcet_ns + (segment->mandatory_ns - segment->bcet_ns) / 4;
            segment->wcet_ns = segment->wcet_ns * (1 + below(rng, 12)) + below(rng, task->period_ns);
        }
    }
}

/* Mostly priorities by deadline, as in a file of policy edf; a few tasks without a deadline, and some whose deadlines
 * count from late arrivals. */
static void draw_deadlines(struct ei_random *rng, enum platform platform, struct set *set)
{
    const bool is_tight = chance(rng, 50);
    for (int32_t i = 0; i < set->count; i++) {
        struct ei_rta_task *task = &set->tasks[i];
        const bool is_first = task->after == EI_RTA_NO_TASK;
        task->deadline_ns = is_tight ? task->period_ns / 2 + below(rng, task->period_ns / 2) : task->deadline_ns;
        task->deadline_ns = platform != CUT && chance(rng, 5) ? INT64_MAX : task->deadline_ns;
        task->deadline_jitter_ns =
            is_first ? (chance(rng, 25) ? task->jitter_ns : 0) : set->tasks[task->after].deadline_jitter_ns;
    }
    if (!chance(rng, 20)) {
        ei_assign_deadline_monotonic(set->tasks, set->count, 80);
    }
}

static void draw_set(struct ei_random *rng, enum platform platform, enum ei_rta_lane_order order, struct set *set)
{
    double shares[TASKS_MAX];
    *set = (struct set){.count = 2 + (int32_t)below(rng, TASKS_MAX - 1), .order = order};
    const double utilisation = platform == CUT ? 0.2 + 0.4 * ei_random_unit(rng) : 0.5 + 0.45 * ei_random_unit(rng);
    draw_shares(rng, set->count, utilisation, shares);
    set->width = platform == WIDE ? 2 + (int32_t)below(rng, 2) : 1;
    const bool is_spread = chance(rng, 50), has_ties = chance(rng, 40), is_shuffled = chance(rng, 20);
    for (int32_t i = 0; i < set->count; i++) {
        struct ei_rta_task *task = &set->tasks[i];
        const double spread = is_spread ? 20.0 : 4.0;
        task->period_ns = (int64_t)(1000.0 * pow(spread, ei_random_unit(rng)));
        task->jitter_ns = chance(rng, 50) ? 0 : below(rng, chance(rng, 20) ? 2 * task->period_ns : task->period_ns / 2);
        task->after = EI_RTA_NO_TASK;
        if (i > 0 && chance(rng, 12)) {
            task->after = (int32_t)below(rng, i);
            task->period_ns = set->tasks[task->after].period_ns;
            task->jitter_ns /= 4;
        }
        task->deadline_ns = 1 + below(rng, 2 * task->period_ns);
        /* Rate-monotonic with few levels makes ties; shuffled ones make long busy periods. */
        task->priority = 40 - (int32_t)(task->period_ns / (has_ties ? 4000 : 500));
        if (is_shuffled) {
            task->priority = 1 + (int32_t)below(rng, has_ties ? 3 : 90);
        }
        draw_places(rng, platform, set, i);
        draw_times(rng, platform, set, i, 1 + (int64_t)(shares[i] * (double)task->period_ns));
    }
    level(set, utilisation);
    if (order == EI_RTA_LANES_BY_DEADLINE) {
        draw_deadlines(rng, platform, set);
    }
    if (platform == CUT) {
        draw_cut(rng, set);
    } else if (platform == DRIVEN) {
        end_on_cpu(set);
    }
}

/* Jobs of all tasks that are due at about the same time as one of the chosen task, or a moment before. */
static void meet_deadlines(struct ei_random *rng, const struct set *set, int32_t chosen, int64_t start_ns,
                           struct reference_pattern *out)
{
    const int64_t due_ns = set->tasks[chosen].deadline_ns;
    for (int32_t i = 0; i < set->count; i++) {
        const struct ei_rta_task *task = &set->tasks[i];
        if (i != chosen && task->deadline_ns != INT64_MAX && due_ns != INT64_MAX) {
            const int64_t at_ns = due_ns - task->deadline_ns - below(rng, 2) + (chance(rng, 30) ? start_ns : 0);
            out->first_ns[i] = task->deadline_ns >= due_ns || chance(rng, 30) ? at_ns : out->first_ns[i];
        }
    }
}

static void draw_pattern(struct ei_random *rng, const struct set *set, int32_t number, struct reference_pattern *out)
{
    int64_t longest_ns = 1;
    *out = (struct reference_pattern){.seed = ei_random_u64(rng), .is_low_first = !chance(rng, 15)};
    out->has_lanes_by_deadline = set->order == EI_RTA_LANES_BY_DEADLINE;
    out->cpu_width[0] = set->width;
    const int32_t chosen = (int32_t)below(rng, set->count);
    int64_t work_ns = 1;
    for (int32_t s = 0; s < set->tasks[chosen].segment_count; s++) {
        work_ns += set->segments[chosen][s].wcet_ns;
    }
    const int64_t start_ns = below(rng, work_ns); /* the chosen task's block has begun when the others come */
    for (int32_t i = 0; i < set->count; i++) {
        const struct ei_rta_task *task = &set->tasks[i];
        longest_ns = task->period_ns > longest_ns ? task->period_ns : longest_ns;
        switch (number % 3) {
        case 0:
            out->first_ns[i] = 0;
            break;
        case 1:
            out->first_ns[i] = task->priority < set->tasks[chosen].priority || i == chosen ? 0 : 1 + start_ns;
            break;
        default:
            out->first_ns[i] = below(rng, task->period_ns);
            break;
        }
    }
    if (out->has_lanes_by_deadline && chance(rng, 50)) {
        meet_deadlines(rng, set, chosen, start_ns, out);
    }
    out->jitter = number % 3 != 2 ? REFERENCE_JITTER_FIRST : (enum reference_jitter)below(rng, 3);
    out->gap_pct = number >= 3 ? (int32_t)below(rng, 30) : 0;
    out->short_pct = number >= 3 ? (int32_t)below(rng, 40) : 0;
    out->early_pct = number >= 3 ? (int32_t)below(rng, 40) : number == 1 ? 15 : 0;
    out->horizon_ns = 6 * longest_ns;
}

/* What was seen over many sets. */
struct tally {
    int64_t sets, tasks, bounded, violations, attained;
    int64_t cut;      /* tasks without a bound of the whole job, but of its mandatory part */
    double tightness; /* sum of longest response / bound over the bounded tasks */
    int64_t jobs;
};

static bool is_over(int64_t seen_ns, int64_t bound_ns)
{
    return bound_ns != EI_RTA_NO_BOUND && seen_ns > bound_ns;
}

static void play_set(struct ei_random *rng, const struct set *set, struct tally *tally, bool is_printing)
{
    int64_t worst_ns[TASKS_MAX] = {0};
    for (int32_t n = 0; n < PATTERNS; n++) {
        struct reference_pattern pattern;
        struct reference_result seen;
        draw_pattern(rng, set, n, &pattern);
        reference_play(set->tasks, set->count, &pattern, &seen);
        tally->jobs += seen.jobs;
        for (int32_t i = 0; i < set->count; i++) {
            const struct ei_rta_bound *bound = &set->bounds[i];
            worst_ns[i] = seen.response_ns[i] > worst_ns[i] ? seen.response_ns[i] : worst_ns[i];
            const bool is_violated = is_over(seen.response_ns[i], bound->response_ns) ||
                                     is_over(seen.own_response_ns[i], bound->own_response_ns) ||
                                     is_over(seen.early_ns[i], bound->mandatory_ns);
            if (is_violated && is_printing) {
                printf("set %lld pattern %d task %d of %d: response %lld (bound %lld), own %lld (%lld), early %lld "
                       "(%lld)\n",
                       (long long)tally->sets, n, i, set->count, (long long)seen.response_ns[i],
                       (long long)bound->response_ns, (long long)seen.own_response_ns[i],
                       (long long)bound->own_response_ns, (long long)seen.early_ns[i], (long long)bound->mandatory_ns);
            }
            tally->violations += is_violated;
        }
    }
    for (int32_t i = 0; i < set->count; i++) {
        const int64_t bound_ns = set->bounds[i].response_ns;
        tally->tasks++;
        tally->cut += bound_ns == EI_RTA_NO_BOUND && set->bounds[i].mandatory_ns != EI_RTA_NO_BOUND;
        if (bound_ns > 0) {
            tally->bounded++;
            tally->attained += worst_ns[i] == bound_ns;
            tally->tightness += (double)worst_ns[i] / (double)bound_ns;
        }
    }
    tally->sets++;
}

/* What a test leaves out of the analysis' input, to see that the schedule then passes the bounds. */
enum left_out { NOTHING, BLOCKING, JITTER, TIES, ORDER };

static void hide(const struct set *set, enum left_out left_out, struct set *out)
{
    *out = *set;
    for (int32_t i = 0; i < out->count; i++) {
        out->tasks[i].segments = out->segments[i];
        out->tasks[i].jitter_ns = left_out == JITTER ? 0 : out->tasks[i].jitter_ns;
        if (left_out == TIES) {
            out->tasks[i].priority = out->tasks[i].priority * 16 + i;
        }
        for (int32_t s = 0; left_out == BLOCKING && s < out->tasks[i].segment_count; s++) {
            out->segments[i][s].max_nonpreemptive_ns = out->segments[i][s].lane < 0 ? 0 : 1;
        }
    }
}

static struct tally play_sets(enum platform platform, enum ei_rta_lane_order order, int64_t sets, uint64_t seed,
                              enum left_out left_out)
{
    struct tally tally = {0};
    struct ei_random rng;
    ei_random_init(&rng, seed, (uint64_t)platform);
    while (tally.sets < sets) {
        static struct set set, known;
        struct einet_error err = {0};
        draw_set(&rng, platform, order, &set);
        for (int32_t i = 0; i < set.count; i++) {
            set.tasks[i].segments = set.segments[i];
        }
        hide(&set, left_out, &known);
        if (ei_rta_init(&rta, known.tasks, known.states, known.count, &err) < 0) {
            EI_TRUEF(false, "seed %llu set %lld: %s", (unsigned long long)seed, (long long)tally.sets, err.text);
            return tally;
        }
        rta.lane_order = left_out == ORDER ? EI_RTA_LANES_BY_PRIORITY : order;
        (void)ei_rta_solve(&rta, set.bounds);
        play_set(&rng, &set, &tally, left_out == NOTHING && tally.violations < 5);
    }
    return tally;
}

static void expect_sound(enum platform platform, enum ei_rta_lane_order order, const char *name, double least_tightness)
{
    const char *wanted = getenv("EINET_TEST_SETS");
    const bool is_by_deadline = order == EI_RTA_LANES_BY_DEADLINE;
    const int64_t sets = wanted != NULL ? strtoll(wanted, NULL, 10) : is_by_deadline ? SETS / 5 : SETS;
    const uint64_t seed = 20240501;
    const struct tally t = play_sets(platform, order, sets, seed, NOTHING);
    printf("%s: seed %llu, %lld sets, %lld jobs, %lld of %lld tasks bounded, %lld over the bound; longest response / "
           "bound %.3f on average, equal in %.1f %%; %lld with a mandatory bound only\n",
           name, (unsigned long long)seed, (long long)t.sets, (long long)t.jobs, (long long)t.bounded,
           (long long)t.tasks, (long long)t.violations, t.tightness / (double)t.bounded,
           100.0 * (double)t.attained / (double)t.bounded, (long long)t.cut);
    EI_EQ(t.violations, 0);
    EI_TRUE(t.sets == sets && t.bounded > t.tasks / (is_by_deadline ? 5 : 3));
    EI_IN(t.tightness / (double)t.bounded, least_tightness, 1.0);
    EI_TRUE(platform != CUT || is_by_deadline || t.cut > t.sets / 10);
}

EI_TEST(response_time_sound_on_one_cpu)
{
    expect_sound(ONE_CPU, EI_RTA_LANES_BY_PRIORITY, "one CPU", 0.65);
}

EI_TEST(response_time_sound_on_one_lane)
{
    expect_sound(ONE_LANE, EI_RTA_LANES_BY_PRIORITY, "one lane", 0.6);
}

EI_TEST(response_time_sound_on_cpu_and_accelerator)
{
    expect_sound(ACCELERATED, EI_RTA_LANES_BY_PRIORITY, "CPU and accelerator", 0.5);
}

EI_TEST(response_time_sound_on_lane_of_the_cpu)
{
    expect_sound(CPU_LANE, EI_RTA_LANES_BY_PRIORITY, "lane of the CPU", 0.5);
}

EI_TEST(response_time_sound_when_cut_at_deadlines)
{
    expect_sound(CUT, EI_RTA_LANES_BY_PRIORITY, "lane of the CPU, cut at deadlines", 0.5);
}

/* Bounds that take a group for one CPU are far from the truth where the others of the group help. */
EI_TEST(response_time_sound_on_a_group_of_cpus)
{
    expect_sound(WIDE, EI_RTA_LANES_BY_PRIORITY, "group of CPUs", 0.3);
}

EI_TEST(response_time_sound_on_mixed_platform)
{
    expect_sound(MIXED, EI_RTA_LANES_BY_PRIORITY, "mixed", 0.5);
}

EI_TEST(response_time_sound_on_driven_accelerator)
{
    expect_sound(DRIVEN, EI_RTA_LANES_BY_PRIORITY, "accelerator that CPUs launch", 0.4);
}

EI_TEST(response_time_sound_on_one_lane_by_deadline)
{
    expect_sound(ONE_LANE, EI_RTA_LANES_BY_DEADLINE, "one lane by deadline", 0.5);
}

EI_TEST(response_time_sound_on_cpu_and_accelerator_by_deadline)
{
    expect_sound(ACCELERATED, EI_RTA_LANES_BY_DEADLINE, "CPU and accelerator by deadline", 0.4);
}

EI_TEST(response_time_sound_on_lane_of_the_cpu_by_deadline)
{
    expect_sound(CPU_LANE, EI_RTA_LANES_BY_DEADLINE, "lane of the CPU by deadline", 0.4);
}

EI_TEST(response_time_sound_when_cut_at_deadlines_by_deadline)
{
    expect_sound(CUT, EI_RTA_LANES_BY_DEADLINE, "lane of the CPU by deadline, cut at deadlines", 0.4);
}

EI_TEST(response_time_sound_on_a_group_of_cpus_by_deadline)
{
    expect_sound(WIDE, EI_RTA_LANES_BY_DEADLINE, "group of CPUs, lanes by deadline", 0.2);
}

EI_TEST(response_time_sound_on_mixed_platform_by_deadline)
{
    expect_sound(MIXED, EI_RTA_LANES_BY_DEADLINE, "mixed, lanes by deadline", 0.4);
}

EI_TEST(response_time_sound_on_driven_accelerator_by_deadline)
{
    expect_sound(DRIVEN, EI_RTA_LANES_BY_DEADLINE, "accelerator that CPUs launch, by deadline", 0.4);
}

/* The oracle has teeth: bounds that do not know of blocks, jitter or ties are passed. */
EI_TEST(response_time_schedule_catches_what_is_left_out)
{
    EI_TRUE(play_sets(ONE_CPU, EI_RTA_LANES_BY_PRIORITY, 60, 3, BLOCKING).violations > 0);
    EI_TRUE(play_sets(ONE_LANE, EI_RTA_LANES_BY_PRIORITY, 60, 3, BLOCKING).violations > 0);
    EI_TRUE(play_sets(CPU_LANE, EI_RTA_LANES_BY_PRIORITY, 60, 3, BLOCKING).violations > 0);
    EI_TRUE(play_sets(ONE_CPU, EI_RTA_LANES_BY_PRIORITY, 60, 3, JITTER).violations > 0);
    EI_TRUE(play_sets(ACCELERATED, EI_RTA_LANES_BY_PRIORITY, 60, 3, JITTER).violations > 0);
    EI_TRUE(play_sets(ONE_CPU, EI_RTA_LANES_BY_PRIORITY, 60, 3, TIES).violations > 0);
    /* Lanes by deadline, bounds by priority. */
    EI_TRUE(play_sets(ONE_LANE, EI_RTA_LANES_BY_DEADLINE, 60, 3, ORDER).violations > 0);
    EI_TRUE(play_sets(CPU_LANE, EI_RTA_LANES_BY_DEADLINE, 60, 3, ORDER).violations > 0);
    EI_TRUE(play_sets(ACCELERATED, EI_RTA_LANES_BY_DEADLINE, 60, 3, JITTER).violations > 0);
    EI_TRUE(play_sets(ONE_LANE, EI_RTA_LANES_BY_DEADLINE, 60, 3, BLOCKING).violations > 0);
    EI_TRUE(play_sets(DRIVEN, EI_RTA_LANES_BY_DEADLINE, 60, 3, JITTER).violations > 0);
    EI_TRUE(play_sets(DRIVEN, EI_RTA_LANES_BY_DEADLINE, 60, 3, BLOCKING).violations > 0);
}
