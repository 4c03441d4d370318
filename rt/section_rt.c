/* See section.h. */
#include "rt/section.h"

#include <stddef.h>

ei_rt_section_hook ei_rt_section_on_change = NULL;

static _Thread_local enum ei_rt_section current = EI_RT_OUTSIDE;
static _Thread_local enum ei_rt_section before_submit = EI_RT_OUTSIDE;

static void change_to(enum ei_rt_section state)
{
    const enum ei_rt_section previous = current;
    current = state;
    if (ei_rt_section_on_change != NULL) {
        ei_rt_section_on_change(previous, state);
    }
}

void ei_rt_section_enter(void)
{
    change_to(EI_RT_SECTION);
}

void ei_rt_section_leave(void)
{
    change_to(EI_RT_OUTSIDE);
}

void ei_rt_submit_enter(void)
{
    before_submit = current;
    change_to(EI_RT_SUBMIT);
}

void ei_rt_submit_leave(void)
{
    change_to(before_submit);
}

enum ei_rt_section ei_rt_section_state(void)
{
    return current;
}
