/* The test harness: CUnit underneath, one case per process, values printed on failure.
 *
 *     EI_TEST(ring_keeps_order) { EI_EQ(pop(), 1); }
 *     EI_MAIN()
 *
 * `program CASE` runs one case (this is what CTest does), `program` runs all, `program --list` names them. Exit status:
 * 0 passed, 1 failed, 77 skipped. EI_TEST must start its line: CMake reads the names from the source.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef void (*ei_test_fn)(void);

void ei_test_register(const char *name, ei_test_fn fn);
int ei_test_main(int argc, char **argv);

/* Record one check with CUnit; a failed one prints the message. Thread: any. Returns ok. */
bool ei_test_check(bool ok, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* End the case now as skipped (exit status 77), saying why. Does not return. */
void ei_test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Number of failed checks so far in this case. */
int ei_test_failures(void);

/* EINET_BUILD_DIR of the environment, or "build/release". */
const char *ei_test_build_dir(void);

/* The folder with the unpacked real data sets (EINET_DATA, else "data"), or skip the case when `file` is not in it. */
const char *ei_test_data_or_skip(const char *file);

/* A fresh empty directory under TMPDIR for this case, removed when the case ends. Never NULL. */
const char *ei_test_tmpdir(void);

#define EI_TEST(name)                                                                                                  \
    static void name(void);                                                                                            \
    __attribute__((constructor)) static void register_##name(void)                                                     \
    {                                                                                                                  \
        ei_test_register(#name, name);                                                                                 \
    }                                                                                                                  \
    static void name(void)

#define EI_MAIN()                                                                                                      \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return ei_test_main(argc, argv);                                                                               \
    }

#define EI_TRUE(cond) ei_test_check(!!(cond), __FILE__, __LINE__, "%s", #cond)
#define EI_TRUEF(cond, ...) ei_test_check(!!(cond), __FILE__, __LINE__, __VA_ARGS__)
#define EI_EQ(a, b)                                                                                                    \
    do {                                                                                                               \
        const int64_t ei_a_ = (int64_t)(a), ei_b_ = (int64_t)(b);                                                      \
        ei_test_check(ei_a_ == ei_b_, __FILE__, __LINE__, "%s is %" PRId64 ", expected %s = %" PRId64, #a, ei_a_, #b,  \
                      ei_b_);                                                                                          \
    } while (0)
#define EI_IN(a, lo, hi)                                                                                               \
    do {                                                                                                               \
        const double ei_a_ = (double)(a), ei_lo_ = (double)(lo), ei_hi_ = (double)(hi);                                \
        ei_test_check(ei_a_ >= ei_lo_ && ei_a_ <= ei_hi_, __FILE__, __LINE__, "%s is %g, expected in [%g, %g]", #a,    \
                      ei_a_, ei_lo_, ei_hi_);                                                                          \
    } while (0)
#define EI_NEAR(a, b, tol)                                                                                             \
    do {                                                                                                               \
        const double ei_a_ = (double)(a), ei_b_ = (double)(b);                                                         \
        ei_test_check(fabs(ei_a_ - ei_b_) <= (tol), __FILE__, __LINE__, "%s is %.12g, expected %s = %.12g", #a, ei_a_, \
                      #b, ei_b_);                                                                                      \
    } while (0)
#define EI_STREQ(a, b)                                                                                                 \
    do {                                                                                                               \
        const char *ei_a_ = (a), *ei_b_ = (b);                                                                         \
        ei_test_check(ei_a_ &&ei_b_ &&strcmp(ei_a_, ei_b_) == 0, __FILE__, __LINE__, "%s is \"%s\", expected \"%s\"",  \
                      #a, ei_a_ ? ei_a_ : "(null)", ei_b_ ? ei_b_ : "(null)");                                         \
    } while (0)
#define EI_CONTAINS(haystack, needle)                                                                                  \
    do {                                                                                                               \
        const char *ei_h_ = (haystack), *ei_n_ = (needle);                                                             \
        ei_test_check(ei_h_ &&strstr(ei_h_, ei_n_) != NULL, __FILE__, __LINE__, "%s does not contain \"%s\":\n%s",     \
                      #haystack, ei_n_, ei_h_ ? ei_h_ : "(null)");                                                     \
    } while (0)
/* Check and leave the case when it fails, for what later lines depend on. */
#define EI_REQUIRE(cond)                                                                                               \
    do {                                                                                                               \
        if (!EI_TRUE(cond)) {                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

#endif
