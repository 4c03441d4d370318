/* Recorded stop times: what the estimate becomes, and how broken files are refused. */
#include "planner/survival_empirical.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <stdlib.h>

static char path[4096];

static const char *file_of(const char *text, size_t length)
{
    snprintf(path, sizeof path, "%s/trace.txt", ei_test_tmpdir());
    FILE *file = fopen(path, "w");
    if (file == NULL || fwrite(text, 1, length, file) != length || fclose(file) != 0) {
        abort();
    }
    return path;
}

static int read_text(const char *text, struct ei_survival_table *out, struct einet_error *err)
{
    return ei_survival_read_trace(file_of(text, strlen(text)), out, err);
}

static double at(const struct ei_survival_table *table, int64_t t_ns)
{
    const struct ei_survival s = ei_survival_of_table(table);
    const struct ei_fault fault = ei_survival_fault(&s);
    EI_TRUEF(!fault.field, "%s[%d] %s", fault.field ? fault.field : "", fault.element, fault.rule ? fault.rule : "");
    return ei_survival_at(&s, t_ns);
}

EI_TEST(survival_trace_of_few_jobs_is_exact)
{
    struct ei_survival_table table;
    struct einet_error err = {.code = 0};
    const int rc = read_text("# stops of the camera job\n"
                             "\n"
                             "  1.5ms\n"
                             "800us censored # its plan was done\n"
                             "1500us\t\r\n"
                             "2ms #late\n"
                             "0.003s  censored\n"
                             "90ns",
                             &table, &err);
    EI_TRUEF(rc == 0, "%s", err.text);
    EI_EQ(table.kind, EI_SURVIVAL_STEPS);
    EI_EQ(table.count, 3);
    EI_EQ(table.t_ns[0], 90);
    EI_EQ(table.t_ns[1], 1500000);
    EI_EQ(table.t_ns[2], 2000000);
    EI_NEAR(at(&table, 90), 1, 0);
    EI_NEAR(at(&table, 91), 5.0 / 6, 1e-15);
    EI_NEAR(at(&table, 1500000), 5.0 / 6, 1e-15);
    EI_NEAR(at(&table, 1500001), 5.0 / 6 * 0.5, 1e-15); /* two of the four at risk */
    EI_NEAR(at(&table, 2000001), 5.0 / 6 * 0.25, 1e-15);
    EI_NEAR(at(&table, INT64_MAX), 5.0 / 6 * 0.25, 1e-15); /* the job that outlived all */
}

EI_TEST(survival_trace_without_a_stop_is_one)
{
    struct ei_survival_table table;
    EI_EQ(read_text("3ms censored\n0s censored\n", &table, NULL), 0);
    EI_NEAR(at(&table, INT64_MAX), 1, 0);
}

/* As many jobs as given, uniform in 1..2 ms but for a share that all stop at 1.25 ms. */
static void check_long(int count)
{
    struct ei_random rng;
    struct ei_survival_table table;
    char *text = malloc((size_t)count * 16 + 1);
    size_t length = 0;
    ei_random_init(&rng, (uint64_t)count, 0);
    for (int i = 0; i < count && text; i++) {
        const int64_t t_ns = i % 4 == 0 ? 1250000 : 1000000 + (int64_t)ei_random_below(&rng, 1000000);
        length += (size_t)sprintf(text + length, "%" PRId64 "ns\n", t_ns);
    }
    EI_REQUIRE(text != NULL);
    EI_EQ(ei_survival_read_trace(file_of(text, length), &table, NULL), 0);
    free(text);
    EI_EQ(table.kind, EI_SURVIVAL_KNOTS);
    const double noise = 2 / sqrt(count) + 0.01;
    EI_NEAR(at(&table, 999999), 1, 0);
    EI_NEAR(at(&table, 1250000), 1 - 0.75 * 0.25, noise);
    EI_NEAR(at(&table, 1250000) - at(&table, 1250001), 0.25, 0.01); /* the jump is no slope */
    for (int64_t t_ns = 1250001; t_ns <= 2000000; t_ns += 50000) {
        EI_NEAR(at(&table, t_ns), 0.75 * (2 - (double)t_ns * 1e-6), noise);
    }
    EI_NEAR(at(&table, 2000001), 0, 1e-12);
}

EI_TEST(survival_trace_of_many_jobs_keeps_jumps)
{
    check_long(300);
    check_long(30000);
}

static void expect_refused(const char *text, int line, int column, const char *words)
{
    struct ei_survival_table table = {.count = 77};
    struct einet_error err = {.code = 0};
    EI_EQ(read_text(text, &table, &err), EINET_E_FILE);
    EI_EQ(table.count, 77);
    EI_EQ(err.line, line);
    EI_EQ(err.column, column);
    EI_CONTAINS(err.text, words);
    EI_CONTAINS(err.file, "trace.txt");
}

EI_TEST(survival_trace_refuses_malformed_lines)
{
    expect_refused("", 0, 0, "no job");
    expect_refused("# nothing\n\n", 0, 0, "no job");
    expect_refused("1ms\nabc\n", 2, 1, "expected a time");
    expect_refused("-1ms\n", 1, 1, "expected a time");
    expect_refused("+1ms\n", 1, 1, "expected a time");
    expect_refused(".5ms\n", 1, 1, "expected a time");
    expect_refused("5.ms\n", 1, 1, "expected a time");
    expect_refused("nan\n", 1, 1, "expected a time");
    expect_refused("1ms\n\n 12\n", 3, 4, "no unit");
    expect_refused("12 ms\n", 1, 3, "no unit");
    expect_refused("1e3ns\n", 1, 2, "no unit of a time");
    expect_refused("1.5.2ms\n", 1, 4, "no unit of a time");
    expect_refused("3min\n", 1, 2, "no unit of a time");
    expect_refused("3MS\n", 1, 2, "no unit of a time");
    expect_refused("0.5ns\n", 1, 1, "finer than a nanosecond");
    expect_refused("1.00000000005s\n", 1, 1, "finer than a nanosecond");
    expect_refused("1.0000000000005s\n", 1, 1, "finer than a nanosecond");
    expect_refused("99999999999999999999ns\n", 1, 1, "too long");
    expect_refused("2400000000s\n", 1, 1, "too long");
    expect_refused("1ms Censored\n", 1, 5, "censored");
    expect_refused("1ms censored twice\n", 1, 14, "one job a line");
    expect_refused("1ms 2ms\n", 1, 5, "censored");
    struct ei_survival_table table;
    EI_EQ(read_text("1.500000000000ms\n2300000000s\n", &table, NULL), 0);
    EI_EQ(table.t_ns[0], 1500000);
    EI_EQ(table.t_ns[1], INT64_C(2300000000000000000));
}

EI_TEST(survival_trace_refuses_what_is_no_text_file)
{
    struct ei_survival_table table;
    struct einet_error err = {.code = 0};
    EI_EQ(ei_survival_read_trace(file_of("1ms\n2ms\0\n", 9), &table, &err), EINET_E_FILE);
    EI_EQ(err.line, 2);
    EI_EQ(err.column, 4);
    EI_CONTAINS(err.text, "0 byte");
    EI_EQ(ei_survival_read_trace("/nowhere/trace.txt", &table, &err), -ENOENT);
    EI_CONTAINS(err.file, "nowhere");
    EI_EQ(ei_survival_read_trace(ei_test_tmpdir(), &table, &err), EINET_E_FILE);
    EI_EQ(ei_survival_read_trace("/nowhere/trace.txt", &table, NULL), -ENOENT);
}

EI_TEST(survival_trace_has_a_limit)
{
    struct ei_survival_table table = {.count = 77};
    struct einet_error err = {.code = 0};
    const size_t lines = EI_TRACE_JOBS_MAX + 1;
    char *text = malloc(4 * lines);
    EI_REQUIRE(text != NULL);
    for (size_t i = 0; i < lines; i++) {
        memcpy(text + 4 * i, "1ms\n", 4);
    }
    EI_EQ(ei_survival_read_trace(file_of(text, 4 * lines), &table, &err), EINET_E_LIMIT);
    EI_EQ(err.line, EI_TRACE_JOBS_MAX + 1);
    EI_EQ(table.count, 77);
    EI_EQ(ei_survival_read_trace(file_of(text, 4 * (lines - 1)), &table, &err), 0);
    free(text);
}
