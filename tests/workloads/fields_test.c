/* The field table itself: consistent rows, defaults that parse, suggestions, and a manual page that is true to it. */
#include "tests/workloads/texts.h"
#include "workloads/fields.h"

EI_TEST(fields_rows_are_consistent)
{
    for (int32_t i = 0; i < ei_field_count; i++) {
        const struct ei_field *field = &ei_fields[i];
        EI_TRUEF(field->key != NULL, "row %d has no key", i);
        EI_TRUEF(field->doc != NULL && field->doc[strlen(field->doc) - 1] == '.', "doc of '%s'", field->key);
        EI_TRUEF(field->default_text == NULL || field->computed == NULL, "'%s' has two defaults", field->key);
        EI_TRUEF(field->lo <= field->hi, "range of '%s'", field->key);
        EI_TRUEF((field->type == EI_FIELD_WORD || field->type == EI_FIELD_TERM || field->type == EI_FIELD_CHOICE) ==
                         (field->words != NULL) ||
                     field->type == EI_FIELD_OPS || field->type == EI_FIELD_LATE ||
                     field->type == EI_FIELD_TRACE || field->type == EI_FIELD_PATH,
                 "words of '%s'", field->key);
        EI_TRUEF((field->type == EI_FIELD_TERM) == (field->numbers != NULL), "numbers of '%s'", field->key);
        if (i > 0 && ei_fields[i - 1].context != field->context) {
            EI_EQ(ei_field_next(field->context, 0), i); /* rows of a context lie together */
        }
        for (int32_t j = 0; j < i; j++) {
            if (ei_fields[j].context == field->context && strcmp(ei_fields[j].key, field->key) == 0) {
                EI_TRUEF((ei_fields[j].only & field->only) == 0 && field->only != 0, "'%s' twice", field->key);
            }
        }
    }
}

EI_TEST(fields_defaults_parse_and_print_as_written)
{
    union {
        char bytes[EI_SPEC_PATH_MAX];
        struct ei_cpuset cpus;
        int64_t ns;
        double ratio;
    } slot;
    int checked = 0;
    for (int32_t i = 0; i < ei_field_count; i++) {
        const struct ei_field *field = &ei_fields[i];
        char text[EI_DIAGNOSTIC_TEXT_MAX] = "";
        char hint[EI_DIAGNOSTIC_TEXT_MAX] = "";
        char printed[5000];
        if (field->default_text == NULL) {
            continue;
        }
        memset(&slot, 0x5a, sizeof slot);
        ei_field_blank(field, &slot);
        EI_TRUEF(ei_field_parse(field, field->default_text, &slot, text, hint) == 0, "default of '%s': %s", field->key,
                 text);
        ei_field_format(field, &slot, printed, sizeof printed);
        const bool is_quoted = printed[0] == '"';
        printed[strlen(printed) - (is_quoted ? 1 : 0)] = '\0';
        const char *plain = printed + (is_quoted ? 1 : 0);
        EI_TRUEF(strcmp(plain, field->default_text) == 0 || strcmp(field->default_text, "0us") == 0,
                 "'%s' prints %s, its default is %s", field->key, plain, field->default_text);
        checked++;
    }
    EI_TRUEF(checked >= 25, "only %d defaults", checked);
}

static const char *nearest_of(const char *text)
{
    static const char *const keys[] = {"priority", "period", "deadline", "cpus", "seed"};
    struct ei_nearest nearest;
    ei_nearest_init(&nearest, text);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        ei_nearest_offer(&nearest, keys[i]);
    }
    const char *best = ei_nearest_result(&nearest);
    return best ? best : "(none)";
}

EI_TEST(fields_suggestions_are_near)
{
    EI_STREQ(nearest_of("prioriy"), "priority");
    EI_STREQ(nearest_of("proirity"), "priority"); /* a swap counts once */
    EI_STREQ(nearest_of("peroid"), "period");
    EI_STREQ(nearest_of("cpu"), "cpus");
    EI_STREQ(nearest_of("dedline"), "deadline");
    EI_STREQ(nearest_of("colour"), "(none)");
    EI_STREQ(nearest_of(""), "(none)");
    EI_STREQ(nearest_of("a-very-long-key-that-nobody-would-ever-have-meant"), "(none)");
}

EI_TEST(fields_quoting_keeps_words_texts)
{
    static const struct {
        const char *text, *quoted;
    } cases[] = {{"camera", "camera"}, {"on", "\"on\""},        {"No", "\"No\""},
                 {"true", "\"true\""}, {"a b", "\"a b\""},      {"a\"b\\", "\"a\\\"b\\\\\""},
                 {"none", "\"none\""}, {"x\ty", "\"x\\x09y\""}, {"-dash", "\"-dash\""},
                 {"auto", "\"auto\""}};
    char out[64];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ei_text_quote(cases[i].text, false, out, sizeof out);
        EI_STREQ(out, cases[i].quoted);
    }
}

/* The manual page holds the table between two markers. When this fails: workload_man > the part between them. */
EI_TEST(fields_manual_page_is_true_to_the_table)
{
    static const char *const begin = ".\\\" The field table begins: written by ei_fields_print_man.\n";
    static const char *const end = ".\\\" The field table ends.\n";
    size_t length = 0;
    char *page = text_read("man/einet-workload.5", &length);
    EI_REQUIRE(page != NULL);
    const char *from = strstr(page, begin);
    EI_REQUIRE(from != NULL);
    from += strlen(begin);
    char *to = strstr(page, end);
    EI_REQUIRE(to != NULL && to > from);
    *to = '\0';
    char *table = NULL;
    size_t table_length = 0;
    FILE *out = open_memstream(&table, &table_length);
    ei_fields_print_man(out);
    fclose(out);
    for (size_t i = 0, line = 1; from[i] != '\0' || table[i] != '\0'; i++) {
        line += table[i] == '\n' ? 1 : 0;
        if (from[i] != table[i]) {
            EI_TRUEF(false, "the page differs from the table in its line %zu, near: %.60s", line, table + i);
            break;
        }
    }
    EI_TRUE(table_length > 5000);
    free(table);
    free(page);
}

EI_MAIN()
