/* Real-time load of one CPU over the last second, against a cap of our own.
 *
 * Linux stops every FIFO thread of a CPU for 50 ms when they used 950 ms of a second (sched_rt_runtime_us), or hands
 * that time to starved ordinary threads through its fair server. Either stalls a control loop. So we count the time in
 * which at least one of our real-time jobs was active on the CPU (under FIFO that is the time the CPU ran them) and let
 * elastic jobs end early before the cap is reached.
 *
 * Ending at the cap is not enough: the load sinks only as fast as what was done a second ago leaves the window, and
 * after an idle stretch nothing does, while jobs that cannot be made shorter go on. What these may need is the reserve.
 *
 * The window slides in slots of EI_LOAD_SLOT_NS; the sum covers the last full second and never less. Pure: the engine
 * holds a priority-inheriting lock per CPU around the calls and gives the time, which must not go back.
 */
#ifndef SCHEDULER_LOAD_H
#define SCHEDULER_LOAD_H

#include <einet/attributes.h>
#include <stdbool.h>
#include <stdint.h>

#define EI_LOAD_WINDOW_NS INT64_C(1000000000)
#define EI_LOAD_SLOT_NS INT64_C(10000000)
#define EI_LOAD_SLOTS 101 /* one second and the slot in progress */

/* What jobs that nobody can make shorter need: at most burst_ns + rate * t in any time t. */
struct ei_load_reserve {
    int64_t burst_ns;
    double rate;
};

struct ei_load {
    int64_t busy_ns[EI_LOAD_SLOTS]; /* by slot number modulo EI_LOAD_SLOTS */
    int64_t sum_ns;                 /* of all slots */
    int64_t slot;                   /* number of the newest slot */
    int64_t counted_until_ns;
    int32_t active; /* jobs active on this CPU */
    struct ei_load_reserve reserve;
};

/* Start counting at now_ns with nothing active and nothing reserved. */
void ei_load_init(struct ei_load *load, int64_t now_ns);

/* A real-time job becomes active on this CPU, or stops being active (waits, sleeps, ends, moved away). */
EINET_RT void ei_load_enter(struct ei_load *load, int64_t now_ns);
EINET_RT void ei_load_leave(struct ei_load *load, int64_t now_ns);

/* Busy time within the last second, in ns. */
EINET_RT int64_t ei_load_used_ns(struct ei_load *load, int64_t now_ns);

/* Whether extra_ns more would pass cap (a share of one second, 0 < cap <= 1). */
EINET_RT bool ei_load_would_pass(struct ei_load *load, int64_t now_ns, int64_t extra_ns, double cap);

/* Whether extra_ns of work that could be left out would pass cap, or leave so little below hard_cap (both shares of one
 * second, cap <= hard_cap) that the reserve may pass it before the past has left the window. A hard cap of 1 is none.
 * O(EI_LOAD_SLOTS), O(1) while the load is low. */
EINET_RT bool ei_load_would_crowd(struct ei_load *load, int64_t now_ns, int64_t extra_ns, double cap, double hard_cap);

#endif
