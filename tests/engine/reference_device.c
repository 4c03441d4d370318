/* Devices of the reference simulator that have a queue. See reference_world.h. A device does what was launched one
 * after the other, so that the launches of a task are told by the end of its last one.
 */
#include "tests/engine/reference_world.h"

bool ref_has_queue(const struct ref_task *task)
{
    return task->is_on_device && task->lanes[0] == REF_LANES_MAX + 1;
}

/* When the last launch of the tasks on thread t's device is over: of its own one, or of the others. */
static int64_t last_end(const struct world *w, const struct thread *t, bool is_own)
{
    int64_t end_ns = w->now_ns;
    for (int32_t i = 0; i < w->task_count; i++) {
        const bool is_there = ref_has_queue(&w->system->tasks[i]) && (i == t->task_idx) == is_own;
        end_ns = is_there && w->jobs[i].device_end_ns > end_ns ? w->jobs[i].device_end_ns : end_ns;
    }
    return end_ns;
}

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

static int64_t launch(struct world *w, const struct thread *t, int64_t block_ns)
{
    return w->jobs[t->task_idx].device_end_ns = later(last_end(w, t, true), last_end(w, t, false)) + block_ns;
}

/* The thread as it will be when it comes to the conv part, or piece, behind this one; false: there is none. */
static bool is_followed(const struct thread *t, struct thread *next)
{
    *next = *t;
    next->piece++;
    if (next->piece == ref_pieces(t)) {
        next->piece = 0;
        next->block++;
    }
    return next->block < t->task->blocks;
}

/* Blocks of others may run before its own: it is for the last of them that it waits. */
static void wait_behind(struct world *w, struct thread *t)
{
    const int64_t others_ns = last_end(w, t, false);
    for (int32_t i = 0; i < w->task_count; i++) {
        const struct ref_task *other = &w->system->tasks[i];
        const bool is_last = ref_has_queue(other) && i != t->task_idx && w->jobs[i].device_end_ns == others_ns;
        if (is_last && others_ns > w->now_ns) {
            t->behind_ns = others_ns;
            t->job.launches_behind++;
            t->behind_part = other->priority < t->task->priority ? REF_BLOCKED : REF_QUEUED;
        }
    }
}

int64_t ref_launch(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i], next;
    int64_t end_ns = t->ahead_ns;
    if (t->is_branch || t->ahead_ns < 0) {
        wait_behind(w, t);
        end_ns = launch(w, t, ref_block_ns(t));
    }
    if (!t->is_branch) {
        t->ahead_ns = is_followed(t, &next) ? launch(w, t, ref_block_ns(&next)) : -1;
    }
    return later(end_ns, w->now_ns);
}

bool ref_drain(struct world *w, int32_t i)
{
    struct thread *t = &w->threads[i];
    t->ahead_ns = -1;
    if (w->jobs[t->task_idx].device_end_ns <= w->now_ns) {
        return true;
    }
    t->back_ns = t->behind_ns = w->jobs[t->task_idx].device_end_ns;
    t->behind_part = REF_QUEUED;
    return false;
}
