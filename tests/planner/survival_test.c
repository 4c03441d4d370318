/* The uniform survival function at and beyond its ends. */
#include "planner/survival.h"

#include "tests/harness/harness.h"

EI_TEST(survival_uniform_falls_from_one_to_zero)
{
    const struct ei_survival s = ei_survival_uniform(100, 300);
    EI_NEAR(ei_survival_at(&s, -5), 1, 0);
    EI_NEAR(ei_survival_at(&s, 0), 1, 0);
    EI_NEAR(ei_survival_at(&s, 100), 1, 0);
    EI_NEAR(ei_survival_at(&s, 150), 0.75, 1e-15);
    EI_NEAR(ei_survival_at(&s, 250), 0.25, 1e-15);
    EI_NEAR(ei_survival_at(&s, 300), 0, 0);
    EI_NEAR(ei_survival_at(&s, 301), 0, 0);
    EI_NEAR(ei_survival_at(&s, INT64_MAX), 0, 0);
}

EI_TEST(survival_uniform_of_no_width_is_a_step)
{
    const struct ei_survival s = ei_survival_uniform(200, 200);
    EI_NEAR(ei_survival_at(&s, 199), 1, 0);
    EI_NEAR(ei_survival_at(&s, 200), 1, 0);
    EI_NEAR(ei_survival_at(&s, 201), 0, 0);
}

EI_TEST(survival_uniform_takes_the_widest_bounds)
{
    const struct ei_survival s = ei_survival_uniform(INT64_MIN, INT64_MAX);
    EI_NEAR(ei_survival_at(&s, 0), 0.5, 1e-12);
    const struct ei_survival never = ei_survival_uniform(0, INT64_MAX);
    EI_NEAR(ei_survival_at(&never, 1000000000), 1, 1e-9);
}
