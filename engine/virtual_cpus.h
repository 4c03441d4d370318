/* CPUs of a virtual run: Linux' run queues for SCHED_FIFO, with affinity, on virtual time.
 *
 * Per CPU one queue per priority. A thread that wakes takes an allowed CPU that runs the lowest priority below its own,
 * else it queues; a preempted thread goes to the head of its queue, a woken one to the tail; a CPU whose thread left
 * takes the highest it may run from any queue (Linux' push and pull). A raised thread queues at the tail of its new
 * priority, a lowered one at the head (sched_setscheduler). Priority 0 stands for ordinary threads: they run, in
 * order, when no FIFO thread wants the CPU. Decisions and switches take no time.
 *
 *     IDLE --wake--> READY <--> RUNNING --block--> IDLE        THROTTLED: class deadline, until its next period
 *
 * Threads of class deadline (ei_virtual_set_deadline) run above all: virtual_deadline.h.
 *
 * A thread has a rest of processor time to compute; it is due when that is used up. Pure, no allocation after init; one
 * owner. All times in ns on the virtual clock.
 */
#ifndef ENGINE_VIRTUAL_CPUS_H
#define ENGINE_VIRTUAL_CPUS_H

#include <stdbool.h>
#include <stdint.h>

#define EI_VIRTUAL_CPUS_MAX 64
#define EI_VIRTUAL_PRIORITIES 100
#define EI_VIRTUAL_NOBODY (-1)

#define EI_VIRTUAL_DEADLINE_PRIORITY 100 /* of every thread of class deadline, above all queues */

enum ei_virtual_state { EI_VIRTUAL_IDLE, EI_VIRTUAL_READY, EI_VIRTUAL_RUNNING, EI_VIRTUAL_THROTTLED };

struct ei_virtual_thread {
    uint64_t cpus;    /* where it may run: bit c = CPU c */
    int32_t priority; /* effective, 0..99 */
    enum ei_virtual_state state;
    int32_t cpu;           /* that it runs or queues on */
    int32_t before, after; /* in its queue; EI_VIRTUAL_NOBODY = end */
    int64_t rest_ns;       /* of its present computation, as of since_ns when it runs */
    int64_t since_ns;
    /* where its time went since ei_virtual_count_begin */
    int32_t base;      /* priority of its own; filled in by the caller */
    int64_t ran_ns;    /* on a CPU */
    int64_t waited_ns; /* in a queue */
    int64_t below_ns;  /* of waited_ns: while its CPU ran a thread of a lower base */
    int64_t mark_ns, below_mark_ns;
    int64_t used_ns; /* processor time, as of since_ns when it runs */
    bool is_demoted; /* to priority 0 for good */
    /* class deadline */
    bool is_deadline;
    bool has_period;                            /* it has woken before */
    int64_t runtime_ns, relative_ns, period_ns; /* relative_ns: its deadline from the begin of a period */
    int64_t left_ns;                            /* of the runtime of its present period, as of since_ns when it runs */
    int64_t absolute_ns;                        /* deadline of its present period */
    int64_t timer_ns;                           /* throttled until then */
    int64_t turn;                               /* its place among equal deadlines */
    int64_t throttled_ns;                       /* since ei_virtual_count_begin */
};

struct ei_virtual_cpu {
    int32_t running;     /* thread, EI_VIRTUAL_NOBODY = idle */
    uint64_t waiting[2]; /* bit p: queue p is not empty */
    int32_t head[EI_VIRTUAL_PRIORITIES], tail[EI_VIRTUAL_PRIORITIES];
    int64_t raised_ns; /* that threads ran above their base, and of each base */
    int64_t raised_base_ns[EI_VIRTUAL_PRIORITIES];
};

struct ei_virtual_cpus {
    struct ei_virtual_cpu *cpus;
    struct ei_virtual_thread *threads;
    int32_t cpu_count, thread_count;
    int64_t now_ns;
    int32_t *deadline_threads; /* [deadline_count], by number; owned */
    int32_t deadline_count;
    int64_t last_turn;
};

/* cpu_count: 1..EI_VIRTUAL_CPUS_MAX. Threads are idle, of priority 0 and without CPUs until the caller fills in
 * priority, base and cpus. Returns 0 or -ENOMEM.
 */
int ei_virtual_cpus_init(struct ei_virtual_cpus *v, int32_t cpu_count, int32_t thread_count);
void ei_virtual_cpus_fini(struct ei_virtual_cpus *v);

/* Make an idle thread one of class deadline, threads in the order of their numbers, before it first wakes. */
void ei_virtual_set_deadline(struct ei_virtual_cpus *v, int32_t thread, int64_t runtime_ns, int64_t deadline_ns,
                             int64_t period_ns);

/* An idle thread wants to compute rest_ns (>= 0; with 0 it is due as soon as it runs). */
void ei_virtual_wake(struct ei_virtual_cpus *v, int32_t thread, int64_t rest_ns);

/* The running thread has rest_ns more to compute. */
void ei_virtual_compute(struct ei_virtual_cpus *v, int32_t thread, int64_t rest_ns);

/* The running thread sleeps or waits; or one that lost its CPU at this very instant, to whom it woke. */
void ei_virtual_block(struct ei_virtual_cpus *v, int32_t thread);

/* Change a thread's priority. */
void ei_virtual_set_priority(struct ei_virtual_cpus *v, int32_t thread, int32_t priority);

/* Begin to count where the thread's time goes; bring the counts up to now. */
void ei_virtual_count_begin(struct ei_virtual_cpus *v, int32_t thread);
void ei_virtual_count(struct ei_virtual_cpus *v, int32_t thread);
/* Priority 0 for good, its own too: later changes have no effect. */
void ei_virtual_demote(struct ei_virtual_cpus *v, int32_t thread);

/* Processor time that the thread has used until now. */
int64_t ei_virtual_used_ns(const struct ei_virtual_cpus *v, int32_t thread);

/* When a thread of class deadline next has used up its runtime or gets a new one; false = none does. */
bool ei_virtual_next_timer(const struct ei_virtual_cpus *v, int64_t *out_ns);
/* That happens now: of those that used up theirs the one on the lowest CPU, else of those that get one the lowest. */
void ei_virtual_timer(struct ei_virtual_cpus *v);

/* The thread that is due next and when (>= now); EI_VIRTUAL_NOBODY when nobody runs. Ties go to the lower CPU. */
int32_t ei_virtual_next_due(const struct ei_virtual_cpus *v, int64_t *out_ns);

#endif
