/* CPU sets: parsing and printing of the kernel's list form, and set arithmetic. */
#include "tests/harness/harness.h"

#include "rt/cpuset.h"
#include "rt/random.h"
#include <errno.h>

static struct ei_cpuset parsed(const char *text)
{
    struct ei_cpuset set = {{0}};
    EI_TRUEF(ei_cpuset_parse(text, &set) == 0, "cannot parse \"%s\"", text);
    return set;
}

EI_TEST(cpuset_parses_lists)
{
    const struct ei_cpuset set = parsed("0-2,5,1023");
    EI_EQ(ei_cpuset_count(&set), 5);
    EI_TRUE(ei_cpuset_has(&set, 0) && ei_cpuset_has(&set, 2) && ei_cpuset_has(&set, 5) && ei_cpuset_has(&set, 1023));
    EI_TRUE(!ei_cpuset_has(&set, 3) && !ei_cpuset_has(&set, -1) && !ei_cpuset_has(&set, 1024));
    EI_EQ(ei_cpuset_next(&set, 3), 5);
    EI_EQ(ei_cpuset_next(&set, 6), 1023);
    EI_EQ(ei_cpuset_next(&set, 1024), -1);
}

EI_TEST(cpuset_refuses_malformed_lists)
{
    static const char *const malformed[] = {"",    "a",  "1-",  "-1",   "1,",  ",1",
                                            "3-1", "1 ", "1;2", "1--2", "0x1", "1-2-3"};
    struct ei_cpuset set = parsed("7");
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        EI_TRUEF(ei_cpuset_parse(malformed[i], &set) == -EINVAL, "\"%s\" was not refused", malformed[i]);
    }
    EI_EQ(ei_cpuset_parse("1024", &set), EINET_E_LIMIT);
    EI_EQ(ei_cpuset_parse("99999999999999999999", &set), EINET_E_LIMIT);
    EI_EQ(ei_cpuset_parse("5-2000", &set), EINET_E_LIMIT);
    /* unchanged on error */
    EI_EQ(ei_cpuset_count(&set), 1);
    EI_TRUE(ei_cpuset_has(&set, 7));
}

EI_TEST(cpuset_formats_and_reports_the_needed_length)
{
    const struct ei_cpuset set = parsed("10-12,3,4,64");
    char text[32];
    EI_EQ(ei_cpuset_format(&set, text, sizeof text), 12);
    EI_STREQ(text, "3-4,10-12,64");
    char small[6];
    EI_EQ(ei_cpuset_format(&set, small, sizeof small), 12);
    EI_EQ(small[5], 0);
    const struct ei_cpuset none = {{0}};
    EI_EQ(ei_cpuset_format(&none, text, sizeof text), 0);
    EI_STREQ(text, "");
}

EI_TEST(cpuset_random_sets_survive_the_text_form)
{
    struct ei_random rng;
    ei_random_init(&rng, 11, 0);
    for (int round = 0; round < 500; round++) {
        struct ei_cpuset set = {{0}}, back = {{0}};
        char text[8192];
        const int members = 1 + (int)ei_random_below(&rng, 200);
        for (int i = 0; i < members; i++) {
            ei_cpuset_add(&set, (int)ei_random_below(&rng, EI_CPU_MAX));
        }
        ei_cpuset_format(&set, text, sizeof text);
        EI_EQ(ei_cpuset_parse(text, &back), 0);
        EI_TRUEF(ei_cpuset_is_equal(&set, &back), "seed 11, round %d: %s", round, text);
    }
}

EI_TEST(cpuset_minus_and_inside)
{
    const struct ei_cpuset all = parsed("0-3"), some = parsed("1,2"), other = parsed("2,8"), none = {{0}};
    const struct ei_cpuset rest = ei_cpuset_minus(&all, &some);
    char text[16];
    ei_cpuset_format(&rest, text, sizeof text);
    EI_STREQ(text, "0,3");
    EI_TRUE(ei_cpuset_is_inside(&some, &all));
    EI_TRUE(!ei_cpuset_is_inside(&other, &all));
    EI_TRUE(ei_cpuset_is_inside(&none, &all));
    EI_TRUE(ei_cpuset_is_empty(&none) && !ei_cpuset_is_empty(&other));
}
