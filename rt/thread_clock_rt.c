/* See thread_clock.h. */
#include "rt/thread_clock.h"

#include "rt/clock.h"
#include "rt/thread_mark.h"

#define CONFIRMED_SHARE 16 /* all of a stretch but a sixteenth was the thread's */

int64_t ei_thread_clock_read(struct ei_thread_clock *clock)
{
    ei_thread_mark_set(); /* first: a switch between the clocks is one since at_ns */
    *clock = (struct ei_thread_clock){.used_ns = ei_thread_used_ns(), .at_ns = ei_mono_now().ns};
    return clock->used_ns;
}

void ei_thread_clock_go(struct ei_thread_clock *clock, int64_t now_ns)
{
    ei_thread_mark_set();
    clock->at_ns = now_ns;
}

int64_t ei_thread_clock_used(struct ei_thread_clock *clock, int64_t now_ns, int64_t *longest_ns)
{
    const int64_t passed_ns = now_ns - clock->at_ns;
    const bool is_marked = ei_thread_mark_stands();
    if (is_marked && passed_ns <= *longest_ns) {
        clock->is_guessed = true;
        return clock->used_ns + passed_ns;
    }
    const int64_t before_ns = clock->used_ns;
    (void)ei_thread_clock_read(clock);
    if (is_marked && clock->used_ns - before_ns >= passed_ns - passed_ns / CONFIRMED_SHARE) {
        *longest_ns = passed_ns;
    }
    return clock->used_ns;
}
