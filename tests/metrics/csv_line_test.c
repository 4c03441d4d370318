/* Numbers and fields of CSV lines against printf and RFC 4180. */
#include "metrics/csv_line.h"

#include "rt/random.h"
#include "tests/harness/harness.h"

#include <math.h>
#include <string.h>

static struct ei_csv_line line;

static const char *text(void)
{
    static char copy[EI_CSV_LINE_BYTES + 1];
    memcpy(copy, line.text, line.length);
    copy[line.length] = '\0';
    line.length = 0;
    return copy;
}

static void expect_real(double value)
{
    char expected[64];
    snprintf(expected, sizeof expected, "%.6g", value);
    ei_csv_real(&line, value);
    EI_STREQ(text(), expected);
}

EI_TEST(reals_are_those_of_printf)
{
    static const double corners[] = {0,         1,         0.1,     0.5,      0.099999994,      0.100001,
                                     0.25,      0.9999994, 0.99999, 0.999999, 0.99999952316284, 1e-5,
                                     12345.678, -0.5,      1e300};
    struct ei_random random;
    line.length = 0;
    for (size_t i = 0; i < sizeof corners / sizeof corners[0]; i++) {
        expect_real(corners[i]);
        expect_real((double)(float)corners[i]);
    }
    ei_random_init(&random, 1, 0);
    for (int i = 0; i < 20000; i++) {
        expect_real((double)(float)ei_random_unit(&random));
        expect_real((double)ldexpf((float)ei_random_below(&random, 1 << 20), -20)); /* often halfway between two */
    }
}

EI_TEST(integers_of_all_lengths)
{
    char expected[64];
    line.length = 0;
    for (uint64_t value = 1; value < UINT64_C(1) << 62; value *= 3) {
        snprintf(expected, sizeof expected, "%lld %lld %llu", (long long)value, -(long long)value,
                 (unsigned long long)(value * 2));
        ei_csv_integer(&line, (int64_t)value);
        ei_csv_char(&line, ' ');
        ei_csv_integer(&line, -(int64_t)value);
        ei_csv_char(&line, ' ');
        ei_csv_unsigned(&line, value * 2);
        EI_STREQ(text(), expected);
    }
    for (uint64_t power = 1; power <= UINT64_C(1000000000000000000); power *= 10) { /* where one more digit begins */
        snprintf(expected, sizeof expected, "%llu %llu", (unsigned long long)(power - 1), (unsigned long long)power);
        ei_csv_unsigned(&line, power - 1);
        ei_csv_char(&line, ' ');
        ei_csv_unsigned(&line, power);
        EI_STREQ(text(), expected);
    }
    ei_csv_integer(&line, INT64_MIN);
    EI_STREQ(text(), "-9223372036854775808");
    ei_csv_unsigned(&line, UINT64_MAX);
    EI_STREQ(text(), "18446744073709551615");
    ei_csv_index(&line, 0);
    ei_csv_index(&line, -1);
    ei_csv_since(&line, 7, 9);
    ei_csv_since(&line, 0, 9);
    EI_STREQ(text(), ",0,,-2,");
}

EI_TEST(integers_by_chance)
{
    struct ei_random random;
    char expected[64];
    line.length = 0;
    ei_random_init(&random, 2, 0);
    for (int i = 0; i < 200000; i++) {
        const uint64_t value = ei_random_u64(&random) >> ei_random_below(&random, 64);
        snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
        ei_csv_unsigned(&line, value);
        EI_STREQ(text(), expected);
    }
    for (uint64_t value = 0; value < 100000; value++) {
        snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
        ei_csv_unsigned(&line, value);
        EI_STREQ(text(), expected);
    }
}

EI_TEST(pieces_are_added_whole_or_cut)
{
    struct ei_csv_piece pieces[3] = {0};
    static const size_t lengths[] = {0, EI_CSV_PIECE_BYTES, EI_CSV_PIECE_BYTES + 9};
    for (int i = 0; i < 3; i++) {
        line.length = 0;
        for (size_t k = 0; k < lengths[i]; k++) {
            ei_csv_char(&line, (char)('a' + k % 26));
        }
        EI_EQ(ei_csv_piece_init(&pieces[i], &line), 0);
    }
    line.length = 0;
    for (int i = 2; i >= 0; i--) {
        ei_csv_piece(&line, &pieces[i]);
        ei_csv_char(&line, '.');
    }
    EI_STREQ(text(), "abcdefghijklmnopqrstuvwxyzabcdefghijklmno.abcdefghijklmnopqrstuvwxyzabcdef..");
    for (int i = 1; i < 3; i++) {
        memset(line.text, '-', sizeof line.text);
        line.length = EI_CSV_LINE_BYTES - 3;
        ei_csv_piece(&line, &pieces[i]);
        EI_EQ(line.length, EI_CSV_LINE_BYTES);
        EI_EQ(memcmp(&line.text[EI_CSV_LINE_BYTES - 4], "-abc", 4), 0);
    }
    for (int i = 0; i < 3; i++) {
        ei_csv_piece_fini(&pieces[i]);
    }
}

EI_TEST(fields_are_quoted_when_they_need_it)
{
    line.length = 0;
    ei_csv_field(&line, "plain");
    ei_csv_char(&line, ',');
    ei_csv_field(&line, "a,\"b\"\n");
    ei_csv_char(&line, ',');
    ei_csv_field(&line, "");
    ei_csv_comment(&line, "two\nlines");
    EI_STREQ(text(), "plain,\"a,\"\"b\"\"\n\",two lines");
}

EI_TEST(what_does_not_fit_is_cut)
{
    line.length = 0;
    for (int i = 0; i < EI_CSV_LINE_BYTES; i++) {
        ei_csv_raw(&line, "xy");
        ei_csv_integer(&line, INT64_MIN);
    }
    EI_EQ(line.length, EI_CSV_LINE_BYTES);
    line.length = EI_CSV_LINE_BYTES - 3;
    ei_csv_unsigned(&line, 98765);
    ei_csv_field(&line, "more");
    EI_EQ(line.length, EI_CSV_LINE_BYTES);
    EI_EQ(memcmp(&line.text[EI_CSV_LINE_BYTES - 3], "987", 3), 0);
    line.length = EI_CSV_LINE_BYTES - 2;
    ei_csv_field(&line, "plain");
    EI_EQ(line.length, EI_CSV_LINE_BYTES);
    EI_EQ(memcmp(&line.text[EI_CSV_LINE_BYTES - 2], "pl", 2), 0);
}

EI_MAIN()
