/* What a pool decides, without a network and without a clock: who comes before whom, which tasks a node gives away, and
 * which answers the egress lets through, and which of several egresses writes. See docs/pool.md.
 */
#ifndef ADAPTERS_DDS_POOL_DECIDE_H
#define ADAPTERS_DDS_POOL_DECIDE_H

#include <einet/pool.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- ranking ---- */

/* Whether a pool or a node may be called so: 1..63 letters, digits, '_', '-', '.', because DDS reads '*' and '?' in the
 * name of a partition as patterns. */
bool ei_pool_is_name(const char *name);

/* Whether a topic of ROS 2 may be called so, or "": '/' and 1..126 letters, digits, '_', '/'. */
bool ei_pool_is_topic(const char *name);

/* The order of nodes: the higher rank first, then by name. < 0: a before b; 0: the same. */
int ei_pool_compare(int32_t rank_a, const char *name_a, int32_t rank_b, const char *name_b);

/* Ownership strength of the results of one task: rank minus load, where load counts for a task that is given away, and
 * counts then for more than any rank. place: nodes of the same rank whose name comes first; it makes strengths of
 * different nodes different. */
int32_t ei_pool_strength(int32_t rank, int32_t load_permille, int32_t place, bool is_given);

/* ---- the gate of the egress: each stamp of a task once, and answers only forward ---- */

/* EI_POOL_PASS_STATUS: its answer is out already. */
enum ei_pool_pass { EI_POOL_PASS, EI_POOL_PASS_STATUS, EI_POOL_REPEATED, EI_POOL_BACKWARD };

/* A run drops a frame that waits while an older one is still computed, so that "dropped" is said before the answer of
 * the older: what has no answer passes without shutting the gate behind it. */
#define EI_POOL_GATE_STAMPS 32

struct ei_pool_gate {
    int64_t passed[EI_POOL_GATE_STAMPS]; /* the last ones, in ns */
    int32_t count, next;
    bool has_answer;
    int64_t answered; /* the last one */
    struct ei_pool_partial {
        int64_t stamp;
        int32_t exit_idx; /* of its last partial answer; INT32_MAX = there are no more */
    } partials[EI_POOL_GATE_STAMPS];
    int32_t partial_count, next_partial;
};

enum ei_pool_pass ei_pool_gate_pass(struct ei_pool_gate *gate, int32_t sec, uint32_t nanosec, bool is_answered);

/* Of a frame each exit once and none behind a later one, and nothing of a frame that is older than one with an answer.
 * What two nodes say of a frame may differ: the first that says an exit is believed. */
bool ei_pool_gate_pass_partial(struct ei_pool_gate *gate, int32_t sec, uint32_t nanosec, int32_t exit_idx,
                               bool is_final);

/* What another egress has passed: a status, or an answer. */
void ei_pool_gate_note_status(struct ei_pool_gate *gate, int32_t sec, uint32_t nanosec);
void ei_pool_gate_note_answer(struct ei_pool_gate *gate, int32_t sec, uint32_t nanosec);

/* ---- whose turn it is to write, of several egresses ---- */

/* Each has a claim, which DDS gives to one: the strongest that lives, and the one whose turn it is is stronger than
 * those that would have it. Nobody claims who hears another. */
enum ei_pool_turn_state {
    EI_POOL_LISTENING,   /* whether another is there: at first, and after an absence */
    EI_POOL_STANDING_BY, /* another is */
    EI_POOL_CLAIMING,    /* none is: ours is written, and not long enough ago that others would have said no */
    EI_POOL_ACTIVE,
    EI_POOL_LOST /* away for so long that DDS has forgotten it, or is about to: only one that begins anew is of use */
};

/* Whose claim is heard. */
enum ei_pool_owner { EI_POOL_NOBODY, EI_POOL_OURSELVES, EI_POOL_ANOTHER };

#define EI_POOL_ROUNDS_PER_LEASE 4
#define EI_POOL_ABSENT_NS INT64_C(1000000000) /* who was away for so long may be unknown to others */
#define EI_POOL_LOST_NS INT64_C(5000000000)   /* half of what CycloneDDS waits for a participant */
#define EI_POOL_JOIN_NS INT64_C(1000000000)   /* in which one finds the others */

struct ei_pool_turn {
    enum ei_pool_turn_state state;
    int64_t lease_ns; /* of claims: silence after which others may have the turn */
    int64_t since_ns; /* the state; of a claim: since it is the one that is heard */
    int64_t listen_until_ns;
    bool is_joining;    /* until then others may be unknown, also when some were heard */
    int64_t looked_ns;  /* when it was last looked */
    int64_t claimed_ns; /* before our last claim was written */
    bool is_due;        /* it is to be written at once */
};

void ei_pool_turn_init(struct ei_pool_turn *turn, int64_t lease_ns, int64_t now_ns);

/* Look who is heard. Often: who did not look for a lease begins anew, because others may have the turn by now. */
void ei_pool_turn_step(struct ei_pool_turn *turn, enum ei_pool_owner owner, int64_t now_ns);

/* Whether the claim is to be written (again): from now on it holds, when it was ours before. */
bool ei_pool_turn_claim(struct ei_pool_turn *turn, int64_t now_ns);

/* Whether what is written now is ours to write. Of two egresses it is true of one at a time as long as claims arrive
 * within half a lease: the lease of a claim begins when it is written here, and when it comes there; and who claims
 * waits for half a lease before it writes. */
bool ei_pool_turn_holds(const struct ei_pool_turn *turn, int64_t now_ns);

/* ---- shedding: which tasks to give away ---- */

#define EI_POOL_WINDOW_NS INT64_C(500000000)
#define EI_POOL_PATIENCE 2 /* overloaded windows in a row before a task is given away */
#define EI_POOL_CALM 4     /* calm ones in a row before a task that is tried is taken back */
#define EI_POOL_JOBS_MIN 8 /* a window with fewer says nothing */
#define EI_POOL_REST_NS INT64_C(5000000000)
#define EI_POOL_REST_MAX_NS INT64_C(60000000000)

/* What is known of a task. */
struct ei_pool_look {
    int32_t priority;
    int32_t head;          /* index of the task that has the images: the first of its chain, itself as a rule */
    bool is_shared;        /* of the pool; false: the node's own, such as a control loop, which is never given away */
    bool is_replaced;      /* another living node serves it, and is not overloaded */
    bool is_settled;       /* others were seen to answer since it yielded */
    int64_t jobs;          /* that ended, since the beginning */
    int64_t late;          /* of them: late, or without a result */
    int32_t load_permille; /* of a lane, were all its jobs computed to the last exit */
    int64_t cut;           /* of them: in time, at an earlier exit than planned */
};

struct ei_pool_shed_task {
    enum einet_dds_duty duty;
    int64_t since_ns, rest_ns; /* duty; how long it rests until it is tried */
    int64_t jobs, late, cut;   /* at the begin of the window */
};

struct ei_pool_shed {
    int32_t count;
    int64_t window_ns;        /* begin of the window, 0 = none yet */
    int32_t overloaded, calm; /* windows in a row */
    struct ei_pool_shed_task tasks[EINET_POOL_TASKS_MAX];
};

/* Serve all of count <= EINET_POOL_TASKS_MAX tasks. */
void ei_pool_shed_init(struct ei_pool_shed *shed, int32_t count);

/* Look at all tasks (count of them, in the order of the workload) and change duties, as often as wanted.
 *
 * Overload is a window in which a tenth of the jobs were late, or a quarter of them were cut while all tasks together
 * want more than a lane has. Jobs are cut first and by themselves, since the run lets them exit earlier; after two such
 * windows the task of lowest priority that another node can serve yields: its strength goes down at once, and it rests
 * when others are seen to answer. The task of highest priority is never given away. A task that no other node serves
 * any more is served again at once. After a rest it is computed on trial; four calm windows bring it back, overload
 * doubles its rest.
 *
 * A chain is one task here, of its highest priority, since the first of it alone has images to leave to others: it is
 * replaced when all of it is, settled when the first is, and all of it has the duty of the first. */
void ei_pool_shed_step(struct ei_pool_shed *shed, const struct ei_pool_look *looks, int64_t now_ns);

/* ---- whether the jobs of a task come to an end ---- */

/* Since the beginning. Of a task behind another in a chain the releases are those of the first, which has the images.
 */
struct ei_pool_counts {
    int64_t released;
    int64_t noted; /* of which the end was seen, however they ended; fewer than there were when some were not told of */
    int64_t ran;   /* of them: run to an end. Those that wait behind one that hangs are dropped: that is none */
};

struct ei_pool_pulse {
    int64_t ran, released; /* when a job was last seen to have run; released: before it was looked for */
    int64_t moved_ns;      /* 0 = never looked */
};

/* Whether released jobs are run to an end, patience_ns late at most. One that has nothing to do moves. */
bool ei_pool_is_moving(struct ei_pool_pulse *pulse, struct ei_pool_counts counts, int64_t patience_ns, int64_t now_ns);

#endif
