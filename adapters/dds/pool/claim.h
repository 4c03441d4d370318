/* Which of several egresses writes: the one whose claim is heard on a topic of exclusive ownership, by what decide.h
 * says of turns; and a fence for one that was stopped in the middle of writing. See docs/pool.md. */
#ifndef ADAPTERS_DDS_POOL_CLAIM_H
#define ADAPTERS_DDS_POOL_CLAIM_H

#include "adapters/dds/pool/decide.h"
#include "adapters/dds/pool/roster.h"

#include <signal.h>
#include <time.h>

struct ei_pool_claim {
    dds_entity_t writer, reader, condition;
    dds_instance_handle_t ours; /* of the writer */
    struct ei_pool_turn turn;
    int32_t strength; /* that the writer has */
    bool is_told;     /* and not taken back */

    /* The fence. A thread that was stopped, or did not get its processor, between its look at the clock and the end of
     * a write goes on with that write, whatever happened meanwhile. A timer of the kernel sends it a signal when the
     * claim ends, and a signal is handled before the thread goes on: the handler can still prevent it. */
    void (*on_fence)(void); /* NULL = there is none */
    timer_t timer;
    bool has_timer;
    atomic_bool is_writing;
    atomic_int_least64_t ends_ns; /* the claim */
};

/* The lease of the claim is that of ends. Returns 0 or EINET_E_BACKEND. */
int ei_pool_claim_open(struct ei_pool_claim *claim, const struct ei_pool_ends *ends, dds_entity_t participant,
                       struct einet_error *err);

/* Call on_fence, in a handler of that signal, when the claim ends while a message is being written; NULL = never. The
 * signal is the claim's from now on. Thread: the one that writes, before all below. Returns 0 or -errno. */
int ei_pool_claim_fence(struct ei_pool_claim *claim, int signal_number, void (*on_fence)(void));
/* Thread: the same, at its end. */
void ei_pool_claim_unfence(struct ei_pool_claim *claim);

/* Look who is heard, and claim when it is due. Returns the state before. Thread: the same. */
enum ei_pool_turn_state ei_pool_claim_look(struct ei_pool_claim *claim);

/* Around each write: whether it is ours to write; end only then. Thread: the same. */
bool ei_pool_claim_begin(struct ei_pool_claim *claim);
void ei_pool_claim_end(struct ei_pool_claim *claim);

/* Let others have it at once. Thread: the same. */
void ei_pool_claim_leave(struct ei_pool_claim *claim);

#endif
