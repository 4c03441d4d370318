/* Survival functions by hand, at and beyond their ends, and what their check refuses. */
#include "planner/survival.h"

#include "tests/harness/harness.h"

#include <math.h>

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

/* ---- the other kinds ---- */

EI_TEST(survival_exponential_has_no_memory)
{
    const struct ei_survival s = ei_survival_exponential(1000); /* mean 1 ms */
    EI_NEAR(ei_survival_at(&s, -1), 1, 0);
    EI_NEAR(ei_survival_at(&s, 0), 1, 0);
    EI_NEAR(ei_survival_at(&s, 1000000), exp(-1), 1e-12);
    EI_NEAR(ei_survival_at(&s, 2000000), exp(-2), 1e-12);
    EI_NEAR(ei_survival_at(&s, INT64_MAX), 0, 0);
}

EI_TEST(survival_knots_are_joined_by_lines_and_jumps)
{
    const int64_t t_ns[5] = {10, 20, 20, 40, 60};
    const double value[5] = {1, 0.8, 0.5, 0.3, 0.1};
    const struct ei_survival s = {.kind = EI_SURVIVAL_KNOTS, .u.knots = {5, t_ns, value}};
    EI_NEAR(ei_survival_at(&s, -100), 1, 0);
    EI_NEAR(ei_survival_at(&s, 10), 1, 0);
    EI_NEAR(ei_survival_at(&s, 15), 0.9, 1e-15);
    EI_NEAR(ei_survival_at(&s, 20), 0.8, 0); /* an answer ready at the jump still counts as before it */
    EI_NEAR(ei_survival_at(&s, 21), 0.49, 1e-15);
    EI_NEAR(ei_survival_at(&s, 40), 0.3, 1e-15);
    EI_NEAR(ei_survival_at(&s, 50), 0.2, 1e-15);
    EI_NEAR(ei_survival_at(&s, 61), 0.1, 0);
}

EI_TEST(survival_steps_hold_between_knots)
{
    const int64_t t_ns[3] = {10, 20, 40};
    const double value[3] = {0.7, 0.4, 0};
    const struct ei_survival s = {.kind = EI_SURVIVAL_STEPS, .u.knots = {3, t_ns, value}};
    EI_NEAR(ei_survival_at(&s, 10), 1, 0);
    EI_NEAR(ei_survival_at(&s, 11), 0.7, 0);
    EI_NEAR(ei_survival_at(&s, 20), 0.7, 0);
    EI_NEAR(ei_survival_at(&s, 40), 0.4, 0);
    EI_NEAR(ei_survival_at(&s, 41), 0, 0);
}

EI_TEST(survival_product_is_the_first_of_several_stops)
{
    const struct ei_survival factors[2] = {ei_survival_uniform(0, 1000), ei_survival_exponential(1e6)};
    const struct ei_survival s = {.kind = EI_SURVIVAL_PRODUCT, .u.product = {2, factors}};
    EI_NEAR(ei_survival_at(&s, 500), 0.5 * exp(-0.5), 1e-15);
    EI_NEAR(ei_survival_at(&s, 1001), 0, 0);
}

/* The fault of s names field and element; NULL = there is none. */
static void expect_fault(struct ei_survival s, const char *field, int32_t element)
{
    const struct ei_fault fault = ei_survival_fault(&s);
    if (field == NULL) {
        EI_TRUEF(fault.field == NULL, "unexpected fault in %s", fault.field);
        return;
    }
    EI_REQUIRE(fault.field != NULL);
    EI_STREQ(fault.field, field);
    EI_EQ(fault.element, element);
}

EI_TEST(survival_fault_names_the_field)
{
    int64_t t_ns[3] = {1, 2, 3};
    double value[3] = {1, 0.5, 0.25};
    struct ei_survival s = {.kind = EI_SURVIVAL_KNOTS, .u.knots = {3, t_ns, value}};
    expect_fault(s, NULL, 0);
    s.u.knots.count = 0;
    expect_fault(s, "survival.knots", -1);
    s.u.knots.count = 65;
    expect_fault(s, "survival.knots", -1);
    s.u.knots.count = 3;
    value[1] = NAN;
    expect_fault(s, "survival.survival", 1);
    value[1] = 1.01;
    expect_fault(s, "survival.survival", 1);
    value[1] = 0.1;
    expect_fault(s, "survival.survival", 2); /* 0.25 after 0.1 */
    value[1] = 0.5;
    t_ns[2] = 1;
    s.kind = EI_SURVIVAL_STEPS;
    expect_fault(s, "survival.t_ns", 2);
    s.u.knots.t_ns = NULL;
    expect_fault(s, "survival.t_ns", -1);
    expect_fault(ei_survival_exponential(-1), "survival.exponential.rate_per_s", -1);
    expect_fault(ei_survival_exponential(NAN), "survival.exponential.rate_per_s", -1);
    expect_fault(ei_survival_exponential(INFINITY), "survival.exponential.rate_per_s", -1);
    const struct ei_survival nested[1] = {{.kind = EI_SURVIVAL_PRODUCT}};
    expect_fault((struct ei_survival){.kind = EI_SURVIVAL_PRODUCT, .u.product = {1, nested}},
                 "survival.product.factors", -1);
    expect_fault((struct ei_survival){.kind = EI_SURVIVAL_PRODUCT, .u.product = {9, nested}},
                 "survival.product.factors", -1);
    const struct ei_survival wrong[2] = {ei_survival_uniform(0, 1), ei_survival_uniform(2, 1)};
    expect_fault((struct ei_survival){.kind = EI_SURVIVAL_PRODUCT, .u.product = {2, wrong}}, "survival.uniform.end_ns",
                 -1);
}
