/* The CSV reader: what RFC 4180 allows, and what a damaged file is told. */
#include "report/csv_reader.h"
#include "tests/harness/harness.h"
#include "tests/report/sample_folder.h"

static const char *path_of(const char *text)
{
    static char path[1024];
    sample_write_file(ei_test_tmpdir(), "a.csv", text);
    snprintf(path, sizeof path, "%s/a.csv", ei_test_tmpdir());
    return path;
}

EI_TEST(quotes_commas_and_line_ends_in_cells)
{
    struct ei_csv_reader csv;
    struct einet_error err = {0};
    const char *path = path_of(
        "# DEGRADED: a, \"b\n\na,b,c\r\n\"x, y\",\"say \"\"hi\"\"\",\r\n# between\n\"two\nlines\",,\"\"\n1,-2,3\n");
    EI_REQUIRE(ei_csv_reader_open(&csv, path, &err) == 0);
    EI_EQ(csv.column_count, 3);
    EI_EQ(ei_csv_reader_find(&csv, "c"), 2);
    EI_EQ(ei_csv_reader_find(&csv, "d"), -1);
    EI_EQ(ei_csv_reader_next(&csv, &err), 1);
    EI_STREQ(csv.cell[0], "x, y");
    EI_STREQ(csv.cell[1], "say \"hi\"");
    EI_STREQ(csv.cell[2], "");
    EI_EQ(csv.line, 4);
    EI_EQ(ei_csv_reader_next(&csv, &err), 1);
    EI_STREQ(csv.cell[0], "two\nlines");
    EI_STREQ(csv.cell[2], "");
    EI_EQ(csv.line, 6);
    EI_EQ(ei_csv_reader_next(&csv, &err), 1);
    EI_EQ(csv.line, 8); /* the record before took two lines */
    int64_t value = 0;
    EI_EQ(ei_csv_reader_integer(&csv, 1, &value, &err), 1);
    EI_EQ(value, -2);
    EI_EQ(ei_csv_reader_integer(&csv, -1, &value, &err), 0);
    EI_EQ(ei_csv_reader_next(&csv, &err), 0);
    ei_csv_reader_close(&csv);
}

/* Opening or reading must fail at that line with that text. */
static void expect(const char *text, int line, const char *what)
{
    struct ei_csv_reader csv;
    struct einet_error err = {0};
    const char *path = path_of(text);
    int64_t value;
    int rc = ei_csv_reader_open(&csv, path, &err);
    if (rc == 0) {
        while ((rc = ei_csv_reader_next(&csv, &err)) > 0 && (rc = ei_csv_reader_integer(&csv, 0, &value, &err)) >= 0) {
        }
        ei_csv_reader_close(&csv);
    }
    EI_EQ(rc, EINET_E_FILE);
    EI_EQ(err.line, line);
    EI_STREQ(err.file, path);
    EI_CONTAINS(err.text, what);
}

EI_TEST(damage_is_named_with_its_line)
{
    expect("", 0, "empty");
    expect("# only a comment\n", 0, "empty");
    expect("a,b\n1,2\n1\n", 3, "1 columns where the line of names has 2");
    expect("a,b\n1,2,3\n", 2, "3 columns");
    expect("a,b\n1,2\n1,", 3, "cut off");
    expect("a,b\n1,2\n\n#\n1,\"2\n3\n", 5, "not closed");
    expect("a,b\n1,\"2\"3\n", 2, "must end with its quote");
    expect("a,b\n1,2\nx,2\n", 3, "column a: 'x' is not a whole number");
    expect("a,b\n99999999999999999999,2\n", 2, "not a whole number");
}

EI_TEST(a_zero_byte_and_an_endless_line_are_no_csv)
{
    char path[1024];
    struct ei_csv_reader csv;
    struct einet_error err = {0};
    snprintf(path, sizeof path, "%s/b.csv", ei_test_tmpdir());
    FILE *out = fopen(path, "we");
    EI_REQUIRE(out != NULL);
    fwrite("a\n1\n\0\n", 1, 6, out);
    fclose(out);
    EI_REQUIRE(ei_csv_reader_open(&csv, path, &err) == 0);
    EI_EQ(ei_csv_reader_next(&csv, &err), 1);
    EI_EQ(ei_csv_reader_next(&csv, &err), EINET_E_FILE);
    EI_EQ(err.line, 3);
    EI_CONTAINS(err.text, "zero byte");
    ei_csv_reader_close(&csv);
    out = fopen(path, "we");
    EI_REQUIRE(out != NULL);
    fputs("a\n\"", out);
    for (int64_t i = 0; i <= EI_CSV_LINE_BYTES_MAX; i++) {
        fputs(i % 80 == 79 ? "\n" : "x", out);
    }
    fclose(out);
    EI_REQUIRE(ei_csv_reader_open(&csv, path, &err) == 0);
    EI_EQ(ei_csv_reader_next(&csv, &err), EINET_E_FILE);
    EI_EQ(err.line, 2);
    EI_CONTAINS(err.text, "longer than 1 MiB");
    ei_csv_reader_close(&csv);
}

EI_TEST(a_missing_file_and_a_missing_column_are_named)
{
    struct ei_csv_reader csv;
    struct einet_error err = {0};
    int column;
    EI_EQ(ei_csv_reader_open(&csv, "/nowhere/a.csv", &err), -2);
    EI_CONTAINS(err.text, "/nowhere/a.csv");
    EI_REQUIRE(ei_csv_reader_open(&csv, path_of("a,b\n"), &err) == 0);
    EI_EQ(ei_csv_reader_need(&csv, "b", &column, &err), 0);
    EI_EQ(column, 1);
    EI_EQ(ei_csv_reader_need(&csv, "finish_ns", &column, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "no 'finish_ns'");
    ei_csv_reader_close(&csv);
}

EI_MAIN()
