/* See external_rt.h, and ei_live_release in live.h. */
#include "engine/external_rt.h"

#include "engine/run_state.h"

#include <errno.h>

/* The way into a run without a tap, of which there is one at a time. Those with one have theirs in it. */
static struct ei_door plain_door;

static struct ei_door *door_of(struct ei_tap *tap)
{
    return tap != NULL ? &tap->door : &plain_door;
}

#define CALLER_NAP_NS (100 * EI_NS_PER_US)

void ei_external_init(struct ei_live_task *task)
{
    struct ei_external *external = &task->external;
    external->is_external = task->spec->arrival.model == EI_ARRIVAL_EXTERNAL;
    ei_bell_init(&external->bell);
    atomic_init(&external->is_closed, false);
    atomic_init(&external->accepted, 0);
    atomic_init(&external->refused, 0);
}

void ei_external_expect(struct ei_run *run)
{
    atomic_store(&door_of(run->tap)->is_over, false);
}

void ei_external_open(struct ei_run *run)
{
    atomic_store(&door_of(run->tap)->run, run);
}

bool ei_external_close(struct ei_run *run)
{
    struct ei_door *door = door_of(run->tap);
    atomic_store(&door->is_over, true);
    atomic_store(&door->run, NULL);
    if (atomic_load(&door->callers) > 0) {
        return false;
    }
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_external *external = &run->tasks[i].external;
        if (external->is_external && !atomic_load_explicit(&external->is_closed, memory_order_relaxed)) {
            atomic_store_explicit(&external->is_closed, true, memory_order_release);
            ei_bell_ring(&external->bell);
        }
    }
    return true;
}

void ei_external_shut(struct ei_run *run)
{
    struct ei_door *door = door_of(run->tap);
    while (atomic_load(&door->run) == run && !ei_external_close(run)) {
    }
    while (atomic_load(&door->callers) > 0) {
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), CALLER_NAP_NS));
    }
}

struct ei_run *ei_external_enter(struct ei_tap *tap, int *out_rc)
{
    struct ei_door *door = door_of(tap);
    atomic_fetch_add(&door->callers, 1);
    struct ei_run *run = atomic_load(&door->run);
    if (run == NULL) {
        *out_rc = atomic_load(&door->is_over) ? -ESHUTDOWN : -EAGAIN;
        ei_external_leave(tap);
    }
    return run;
}

void ei_external_leave(struct ei_tap *tap)
{
    atomic_fetch_sub(&door_of(tap)->callers, 1);
}

static int request(struct ei_run *run, int32_t task_idx, int64_t happened_ns, uint64_t tag, int32_t frame)
{
    if (task_idx < 0 || task_idx >= run->wl->task_count || !run->tasks[task_idx].external.is_external) {
        return -EINVAL;
    }
    if (ei_settings_is_paused(&run->tasks[task_idx])) {
        ei_settings_count_withheld(&run->tasks[task_idx]);
        return -ECANCELED;
    }
    struct ei_external *external = &run->tasks[task_idx].external;
    struct ei_external_request r = {
        .happened_ns = happened_ns, .asked_ns = ei_mono_now().ns, .tag = tag, .frame = frame};
    r.happened_ns = happened_ns == EI_NONE_NS ? r.asked_ns : happened_ns;
    if (r.happened_ns > r.asked_ns) {
        return -EINVAL;
    }
    if (r.asked_ns < run->t0_ns) {
        return -EAGAIN;
    }
    if (r.asked_ns > run->end_ns) {
        return -ESHUTDOWN;
    }
    if (!ei_mpsc_ring_push(&external->inbox, &r)) {
        atomic_fetch_add_explicit(&external->refused, 1, memory_order_relaxed);
        return -ENOBUFS;
    }
    atomic_fetch_add_explicit(&external->accepted, 1, memory_order_relaxed);
    ei_bell_ring(&external->bell);
    return 0;
}

EINET_RT int ei_live_release(int32_t task_idx, int64_t happened_ns)
{
    return ei_live_release_tagged(NULL, task_idx, happened_ns, 0, 0);
}

EINET_RT int ei_live_release_tagged(struct ei_tap *tap, int32_t task_idx, int64_t happened_ns, uint64_t tag,
                                    int32_t frame)
{
    int rc = 0;
    struct ei_run *run = ei_external_enter(tap, &rc);
    if (run != NULL) {
        rc = request(run, task_idx, happened_ns, tag, frame);
        ei_external_leave(tap);
    }
    return rc;
}

bool ei_external_look(struct ei_live_task *task)
{
    struct ei_external *external = &task->external;
    struct ei_arrival_release *next = &task->rt.next;
    struct ei_external_request r;
    if (!task->rt.has_next && external->is_external && ei_mpsc_ring_pop(&external->inbox, &r)) {
        const int64_t t0_ns = task->run->t0_ns;
        external->held_back += ei_arrival_admit(&task->rt.arrival, r.happened_ns - t0_ns, r.asked_ns - t0_ns, next);
        task->rt.next_tag = r.tag;
        task->rt.next_frame = r.frame;
        external->warmup += next->nominal_ns < task->run->wl->run.warmup_ns;
        task->rt.has_next = true;
    }
    return task->rt.has_next;
}

bool ei_external_await(struct ei_live_task *task)
{
    struct ei_external *external = &task->external;
    while (external->is_external) {
        const unsigned seen = ei_bell_count(&external->bell);
        const bool is_closed = atomic_load_explicit(&external->is_closed, memory_order_acquire);
        if (ei_external_look(task) || is_closed) { /* closed before the inbox was found empty */
            break;
        }
        ei_bell_wait(&external->bell, seen);
    }
    return task->rt.has_next;
}

int64_t ei_external_expected(const struct ei_external *external)
{
    return external->accepted - external->unreleased - external->warmup;
}

struct ei_metrics_external ei_external_count(const struct ei_external *external)
{
    return (struct ei_metrics_external){
        .is_external = external->is_external,
        .asked = external->accepted + external->refused,
        .held_back = external->held_back,
        .refused = external->refused,
        .unreleased = external->unreleased,
    };
}
