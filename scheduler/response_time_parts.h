/* What the files of the response-time analysis share; nobody else includes this. */
#ifndef SCHEDULER_RESPONSE_TIME_PARTS_H
#define SCHEDULER_RESPONSE_TIME_PARTS_H

#include "scheduler/response_time.h"

#define EI_RTA_INFINITE (INT64_MAX / 4) /* inside the analysis: no bound */

/* a + b and a * b for values >= 0, at most EI_RTA_INFINITE. Here, because the searches do little else. */
static inline int64_t ei_rta_add(int64_t a, int64_t b)
{
    return a >= EI_RTA_INFINITE - b ? EI_RTA_INFINITE : a + b;
}

static inline int64_t ei_rta_multiply(int64_t a, int64_t b)
{
    int64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) || product > EI_RTA_INFINITE ? EI_RTA_INFINITE : product;
}

/* A question to the window analysis: when do legs from..to of task task_idx finish? */
struct ei_rta_query {
    int32_t task_idx;
    int32_t from, to;
    /* False: jobs may still wait for earlier jobs of the task, so those count in full; from is 0.
     * True: every job is known to finish before the next is ready. */
    bool is_alone;
    bool is_mandatory;           /* the job in question does its mandatory part only */
    int64_t arrival_ns;          /* latest arrival at leg from, after the nominal arrival; of any job */
    int64_t arrival_of_first_ns; /* the same of the job in question itself */
    int64_t best_arrival_ns;     /* earliest */
    /* At least 0: the window begins when the job in question is ready, with at most this much work of the task itself
     * still to do, and with work of others carried in at every resource. -1: the window begins as said in
     * response_time_window.c. */
    int64_t carried_ns;
};

struct ei_rta_window {
    int64_t finish_ns;   /* from the nominal arrival, or EI_RTA_INFINITE */
    int64_t own_ns;      /* from the earliest moment the job in question can have been ready */
    int64_t blocking_ns; /* of one job */
};

struct ei_rta_window ei_rta_window_bound(struct ei_rta *rta, const struct ei_rta_query *query);

/* Does task i keep its deadline when every other task is only known to keep its own? The answer does not depend on the
 * order among the higher-priority tasks, which is what Audsley's assignment needs. Overwrites what solve has found. */
bool ei_rta_holds_if_others_do(struct ei_rta *rta, int32_t i);

/* ---- response_time_streams.c ---- */

/* Where a stretch of legs can be delayed, and the resource at which the window begins. */
struct ei_rta_reach {
    uint64_t cpus, lanes;
    int32_t first_cpu, first_lane;
};

struct ei_rta_reach ei_rta_reach_of(const struct ei_rta *rta, const struct ei_rta_state *state, int32_t from,
                                    int32_t to);

uint64_t ei_rta_lanes_of(const struct ei_rta_state *state);

/* Longest block that a task below `priority` runs on this lane, on any of these CPUs (or on any at all). */
int64_t ei_rta_lower_block(const struct ei_rta *rta, int32_t priority, int32_t lane, bool is_any_cpu, uint64_t cpus);

/* Longest time that a task below `priority` keeps preemption of this CPU off outside of lanes. */
int64_t ei_rta_lower_cpu_chunk(const struct ei_rta *rta, int32_t priority, int32_t cpu);

/* Is a job on these legs always ready on one and the same CPU? Waiting for a lane counts when the lane's holder keeps
 * that CPU busy meanwhile. */
bool ei_rta_is_one_cpu(const struct ei_rta *rta, const struct ei_rta_state *state, int32_t from, int32_t to);

/* Latest arrival of a job at its first leg. A job that finds the one before it unfinished begins when that is done,
 * unseen by the first resource until then; on one CPU the thread is ready there all the time, so nothing is unseen. */
int64_t ei_rta_latest_start(const struct ei_rta *rta, const struct ei_rta_state *state);

/* Lanes by deadline: work of task b on these lanes that can go before a job with this relative deadline. At the release
 * of that one, b's jobs due no later are as old as the deadlines differ, or older, and not done: of the youngest no
 * more can be left than the time to its bound, of those before it, a period apart, all. EI_RTA_INFINITE: no bound. */
int64_t ei_rta_work_before(const struct ei_rta *rta, int32_t b, uint64_t lanes, int64_t due_ns);

/* All that can delay task i there into rta. False: a task that can has no bound, so its work has none. */
bool ei_rta_collect_streams(struct ei_rta *rta, int32_t i, const struct ei_rta_reach *reach);

/* Work of others in a window of this length; rta->own_waits jobs of the task ask for lanes in it. */
int64_t ei_rta_interference(const struct ei_rta *rta, int64_t window_ns);

/* Most arrivals, a period apart, in a half-open interval. */
static inline int64_t ei_rta_jobs_within(int64_t span_ns, int64_t period_ns)
{
    return span_ns <= 0 ? 0 : (span_ns - 1) / period_ns + 1;
}

/* ---- response_time_bases.c ---- */

/* A window of lanes by deadline that begins at t0, and what is asked of the places that the job in question can have in
 * it. Its base is the release from which its deadline counts, after t0: the later, the more is due before it. */
struct ei_rta_bases {
    void *inquiry;              /* handed to both functions */
    int64_t first_ns, last_ns;  /* all bases there are */
    int64_t shift_ns, least_ns; /* of one its response counts from max(base + shift_ns, least_ns) */
    /* Its finish after t0 when its base is one of first_ns..last_ns, at most; EI_RTA_INFINITE: no bound. */
    int64_t (*finish)(void *inquiry, int64_t first_ns, int64_t last_ns);
    /* The least base after this one at which more can be due before it; INT64_MAX: none. */
    int64_t (*next)(const void *inquiry, int64_t after_ns);
};

/* The longest response of all bases. */
int64_t ei_rta_longest_response(const struct ei_rta_bases *bases);

/* Least value after `after_ns` of point_ns and all that are whole periods away from it, before or after. */
int64_t ei_rta_next_point(int64_t after_ns, int64_t point_ns, int64_t period_ns);

/* ---- response_time_deadline.c ---- */

/* The same question, answered for lanes by deadline from all work that is due before: for legs 0..to of a task whose
 * whole CPU is analysed as one, with its lanes; EI_RTA_INFINITE where it is not. */
struct ei_rta_window ei_rta_deadline_bound(struct ei_rta *rta, int32_t i, int32_t to, bool is_mandatory,
                                           bool is_own_asked);

/* ---- response_time_lane.c ---- */

/* The finish of leg `to` from the nominal arrival, from the requests that are due before the job's: of a leg on a lane
 * by deadline that no CPU works for, or of one behind that on the CPUs that launch its blocks. EI_RTA_INFINITE where
 * that gives none, or the leg is neither. */
int64_t ei_rta_lane_bound(const struct ei_rta *rta, int32_t i, int32_t to, bool is_mandatory);

#endif
