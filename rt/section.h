/* Marks of the real-time section: what a job thread does between a job's release and its finish.
 *
 * Production code pays one thread-local store and one predictable branch per mark. The guard of tests/realtime installs
 * hooks and proves that, inside the section and outside submit sections, nothing allocates, locks without priority
 * inheritance, faults a page or makes a system call but sleep, wake, priority change, the yield of a hand-off and
 * reading its own processor time.
 *
 *     outside --enter--> section --submit_enter--> submit --submit_leave--> section --leave--> outside
 */
#ifndef RT_SECTION_H
#define RT_SECTION_H

#include <einet/attributes.h>

enum ei_rt_section { EI_RT_OUTSIDE = 0, EI_RT_SECTION = 1, EI_RT_SUBMIT = 2 };

/* Called in the thread that changes its state, after `state` became the thread's state. NULL in production.
 * Install before threads start. */
typedef void (*ei_rt_section_hook)(enum ei_rt_section previous, enum ei_rt_section state);
EINET_API extern ei_rt_section_hook ei_rt_section_on_change;

EINET_RT void ei_rt_section_enter(void);
EINET_RT void ei_rt_section_leave(void);
EINET_RT void ei_rt_submit_enter(void);
EINET_RT void ei_rt_submit_leave(void);

/* The calling thread's state. */
EINET_RT enum ei_rt_section ei_rt_section_state(void);

#endif
