/* See load.h. */
#include "scheduler/load.h"

void ei_load_init(struct ei_load *load, int64_t now_ns)
{
    *load = (struct ei_load){.slot = now_ns / EI_LOAD_SLOT_NS, .counted_until_ns = now_ns};
}

/* Open the next slot; what it held a window ago leaves the sum. */
static void open_next_slot(struct ei_load *load)
{
    load->slot++;
    int64_t *slot = &load->busy_ns[load->slot % EI_LOAD_SLOTS];
    load->sum_ns -= *slot;
    *slot = 0;
}

/* Count up to now_ns with the present number of active jobs. Bounded: more than a window of slots is never walked. */
static void advance(struct ei_load *load, int64_t now_ns)
{
    const int64_t slot = now_ns / EI_LOAD_SLOT_NS;
    if (slot - load->slot > EI_LOAD_SLOTS) {
        const int64_t first_kept = slot - EI_LOAD_SLOTS;
        load->slot = first_kept;
        load->counted_until_ns = first_kept * EI_LOAD_SLOT_NS;
        load->sum_ns = 0;
        for (int i = 0; i < EI_LOAD_SLOTS; i++) {
            load->busy_ns[i] = 0;
        }
    }
    while (load->counted_until_ns < now_ns) {
        const int64_t slot_end_ns = (load->slot + 1) * EI_LOAD_SLOT_NS;
        const int64_t until_ns = slot_end_ns < now_ns ? slot_end_ns : now_ns;
        if (load->active > 0) {
            load->busy_ns[load->slot % EI_LOAD_SLOTS] += until_ns - load->counted_until_ns;
            load->sum_ns += until_ns - load->counted_until_ns;
        }
        load->counted_until_ns = until_ns;
        if (until_ns == slot_end_ns) {
            open_next_slot(load);
        }
    }
}

void ei_load_enter(struct ei_load *load, int64_t now_ns)
{
    advance(load, now_ns);
    load->active++;
}

void ei_load_leave(struct ei_load *load, int64_t now_ns)
{
    advance(load, now_ns);
    load->active--;
}

int64_t ei_load_used_ns(struct ei_load *load, int64_t now_ns)
{
    advance(load, now_ns);
    return load->sum_ns;
}

bool ei_load_would_pass(struct ei_load *load, int64_t now_ns, int64_t extra_ns, double cap)
{
    return (double)(ei_load_used_ns(load, now_ns) + extra_ns) > cap * (double)EI_LOAD_WINDOW_NS;
}

/* The reserve's demand within t_ns; a CPU does no more than t_ns of it meanwhile. */
static double reserved_ns(const struct ei_load_reserve *reserve, double t_ns)
{
    const double asked_ns = (double)reserve->burst_ns + reserve->rate * t_ns;
    return asked_ns < t_ns ? asked_ns : t_ns;
}

bool ei_load_would_crowd(struct ei_load *load, int64_t now_ns, int64_t extra_ns, double cap, double hard_cap)
{
    const double used_ns = (double)(ei_load_used_ns(load, now_ns) + extra_ns);
    const double window_ns = (double)EI_LOAD_WINDOW_NS;
    if (used_ns > cap * window_ns || hard_cap >= 1) {
        return used_ns > cap * window_ns;
    }
    /* Mostly the whole window fits even beside all that it holds now: no sum below is larger than this one. */
    if (used_ns + reserved_ns(&load->reserve, (double)((EI_LOAD_SLOTS - 1) * EI_LOAD_SLOT_NS)) <=
        hard_cap * window_ns) {
        return false;
    }
    /* k slots from now at least the k oldest have left, and work of up to k + 1 slots has come. */
    double left_ns = used_ns;
    int64_t oldest = (load->slot + 1) % EI_LOAD_SLOTS;
    for (int64_t k = 0; k < EI_LOAD_SLOTS - 1 && left_ns > 0; k++) {
        if (left_ns + reserved_ns(&load->reserve, (double)((k + 1) * EI_LOAD_SLOT_NS)) > hard_cap * window_ns) {
            return true;
        }
        left_ns -= (double)load->busy_ns[oldest];
        oldest = oldest + 1 < EI_LOAD_SLOTS ? oldest + 1 : 0;
    }
    return false;
}
