/* The marks of the real-time section and their hook. */
#include "tests/harness/harness.h"

#include "rt/section.h"
#include "rt/thread.h"

static int changes;
static enum ei_rt_section seen[8][2];

static void remember(enum ei_rt_section previous, enum ei_rt_section state)
{
    if (changes < 8) {
        seen[changes][0] = previous;
        seen[changes][1] = state;
    }
    changes++;
    EI_EQ(ei_rt_section_state(), state);
}

EI_TEST(section_hook_sees_every_change)
{
    static const enum ei_rt_section expected[4][2] = {{EI_RT_OUTSIDE, EI_RT_SECTION},
                                                      {EI_RT_SECTION, EI_RT_SUBMIT},
                                                      {EI_RT_SUBMIT, EI_RT_SECTION},
                                                      {EI_RT_SECTION, EI_RT_OUTSIDE}};
    changes = 0;
    ei_rt_section_on_change = remember;
    ei_rt_section_enter();
    ei_rt_submit_enter();
    ei_rt_submit_leave();
    ei_rt_section_leave();
    ei_rt_section_on_change = NULL;
    EI_EQ(changes, 4);
    EI_TRUE(memcmp(seen, expected, sizeof expected) == 0);
    EI_EQ(ei_rt_section_state(), EI_RT_OUTSIDE);
}

/* A library call that is measured outside any job (profiling, warm-up) must not leave the thread inside a section. */
EI_TEST(submit_outside_a_section_returns_outside)
{
    ei_rt_submit_enter();
    EI_EQ(ei_rt_section_state(), EI_RT_SUBMIT);
    ei_rt_submit_leave();
    EI_EQ(ei_rt_section_state(), EI_RT_OUTSIDE);
}

static void look(void *arg)
{
    *(int *)arg = (int)ei_rt_section_state();
}

EI_TEST(section_state_is_per_thread)
{
    int other = -1;
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "looker"};
    ei_rt_section_enter();
    const int rc = ei_thread_create(&thread, &attr, look, &other, NULL);
    ei_rt_section_leave();
    EI_REQUIRE(rc == 0);
    ei_thread_join(&thread);
    EI_EQ(other, EI_RT_OUTSIDE);
}
