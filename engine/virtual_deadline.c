/* See virtual_deadline.h. */
#include "engine/virtual_deadline.h"

/* The kernel compares and divides in these units. */
#define SCALE_BITS 10
#define SHARE_BITS 20

static void begin_period(struct ei_virtual_thread *t, int64_t now_ns)
{
    t->absolute_ns = now_ns + t->relative_ns;
    t->left_ns = t->runtime_ns;
}

static int64_t next_period_ns(const struct ei_virtual_thread *t)
{
    return t->absolute_ns - t->relative_ns + t->period_ns;
}

/* What is left until its deadline is more than its share. */
static bool passes_share(const struct ei_virtual_thread *t, int64_t now_ns)
{
    const uint64_t wanted = (uint64_t)(t->relative_ns >> SCALE_BITS) * (uint64_t)(t->left_ns >> SCALE_BITS);
    const uint64_t allowed =
        (uint64_t)((t->absolute_ns - now_ns) >> SCALE_BITS) * (uint64_t)(t->runtime_ns >> SCALE_BITS);
    return wanted > allowed;
}

bool ei_virtual_deadline_wake(struct ei_virtual_thread *t, int64_t now_ns)
{
    const bool is_past = t->absolute_ns < now_ns, is_constrained = t->relative_ns < t->period_ns;
    if (!t->has_period) {
        t->has_period = true;
        begin_period(t, now_ns);
        return true;
    }
    if (t->left_ns <= 0 || (is_constrained && is_past && now_ns < next_period_ns(t))) {
        t->left_ns = 0;
        return !ei_virtual_deadline_spent(t, now_ns);
    }
    if (is_past || (passes_share(t, now_ns) && !is_constrained)) {
        begin_period(t, now_ns);
    } else if (passes_share(t, now_ns)) {
        t->left_ns = (((t->runtime_ns << SHARE_BITS) / t->relative_ns) * (t->absolute_ns - now_ns)) >> SHARE_BITS;
    }
    return true;
}

bool ei_virtual_deadline_spent(struct ei_virtual_thread *t, int64_t now_ns)
{
    t->timer_ns = next_period_ns(t);
    if (t->timer_ns > now_ns) {
        return true;
    }
    ei_virtual_deadline_replenish(t, now_ns);
    return false;
}

void ei_virtual_deadline_replenish(struct ei_virtual_thread *t, int64_t now_ns)
{
    while (t->left_ns <= 0) {
        t->absolute_ns += t->period_ns;
        t->left_ns += t->runtime_ns;
    }
    if (t->absolute_ns < now_ns) {
        begin_period(t, now_ns);
    }
}

bool ei_virtual_deadline_is_before(const struct ei_virtual_thread *a, const struct ei_virtual_thread *b)
{
    return a->absolute_ns != b->absolute_ns ? a->absolute_ns < b->absolute_ns : a->turn < b->turn;
}
