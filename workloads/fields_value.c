/* Scalar values of the workload file: text to C and back. No locale, no rounding: what is printed reads back equal.
 * See fields.h. */
#include "workloads/fields.h"

#include "rt/quantity.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RATIO_DIGITS 9
#define RATIO_SCALE INT64_C(1000000000)

_Static_assert(sizeof(enum ei_spec_replan) == sizeof(int32_t), "enums are stored as int32_t");

static const struct ei_unit size_units[] = {
    {"KiB", 1024}, {"MiB", INT64_C(1024) * 1024}, {"GiB", INT64_C(1024) * 1024 * 1024}, {NULL, 0}};

/* The largest unit that leaves an integer. */
static void format_scaled(int64_t value, const struct ei_unit *units, char *out_text, size_t size_bytes)
{
    const struct ei_unit *chosen = units;
    for (const struct ei_unit *unit = units + 1; unit->text != NULL; unit++) {
        if (value % unit->scale == 0) {
            chosen = unit;
        }
    }
    snprintf(out_text, size_bytes, "%" PRId64 "%s", value / chosen->scale, chosen->text);
}

const char *ei_duration_format(int64_t duration_ns, char out_text[EI_DURATION_TEXT_MAX])
{
    format_scaled(duration_ns, ei_time_units, out_text, EI_DURATION_TEXT_MAX);
    return out_text;
}

/* ---- the ranges in words ---- */

static void format_number(const struct ei_field *field, int64_t value, char *out, size_t size_bytes)
{
    if (field->type == EI_FIELD_DURATION || field->type == EI_FIELD_TIME) {
        format_scaled(value, ei_time_units, out, size_bytes);
    } else if (field->type == EI_FIELD_SIZE) {
        format_scaled(value, size_units, out, size_bytes);
    } else if (field->type == EI_FIELD_RATIO) {
        const double ratio = (double)value / 100.0;
        ei_field_format(&(struct ei_field){.type = EI_FIELD_RATIO}, &ratio, out, size_bytes);
    } else {
        snprintf(out, size_bytes, "%" PRId64, value);
    }
}

static void list_words(const struct ei_word *words, char *out, size_t size_bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (const struct ei_word *word = words; word->text != NULL; word++) {
        if (word->value != EI_WORD_ABSENT && used < size_bytes) {
            used += (size_t)snprintf(out + used, size_bytes - used, "%s%s", used > 0 ? ", " : "", word->text);
        }
    }
}

static const struct ei_term_number *number_of(const struct ei_field *field, int32_t word)
{
    for (const struct ei_term_number *number = field->numbers; number->name != NULL; number++) {
        if (number->word == word) {
            return number;
        }
    }
    return NULL;
}

/* The words of a term with the ranges of their numbers: "hybrid(0..12)". */
static void list_terms(const struct ei_field *field, char *out, size_t size_bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (const struct ei_word *word = field->words; word->text != NULL; word++) {
        if (word->value == EI_WORD_ABSENT || used >= size_bytes) {
            continue;
        }
        const struct ei_term_number *number = number_of(field, word->value);
        used += (size_t)snprintf(out + used, size_bytes - used, "%s%s", used > 0 ? ", " : "", word->text);
        if (number != NULL && number->is_duration && used < size_bytes) {
            char lo[EI_DURATION_TEXT_MAX], hi[EI_DURATION_TEXT_MAX];
            used +=
                (size_t)snprintf(out + used, size_bytes - used, "(%s..%s)", ei_duration_format((int64_t)number->lo, lo),
                                 ei_duration_format((int64_t)number->hi, hi));
        } else if (number != NULL && used < size_bytes) {
            used += (size_t)snprintf(out + used, size_bytes - used, "(%.10g..%.10g)", number->lo, number->hi);
        }
    }
}

void ei_field_range(const struct ei_field *field, char *out_text, size_t size_bytes)
{
    char lo[48];
    char hi[48];
    out_text[0] = '\0';
    switch (field->type) {
    case EI_FIELD_WORD:
    case EI_FIELD_CHOICE:
    case EI_FIELD_OPS:
        list_words(field->words, out_text, size_bytes);
        break;
    case EI_FIELD_TERM:
        list_terms(field, out_text, size_bytes);
        break;
    case EI_FIELD_BOOL:
        snprintf(out_text, size_bytes, "true, false");
        break;
    case EI_FIELD_INT:
    case EI_FIELD_DURATION:
    case EI_FIELD_SIZE:
    case EI_FIELD_RATIO:
    case EI_FIELD_TIME:
        format_number(field, field->lo, lo, sizeof lo);
        format_number(field, field->hi, hi, sizeof hi);
        if (field->lo == field->hi) {
            snprintf(out_text, size_bytes, "%s", lo);
        } else {
            snprintf(out_text, size_bytes, "%s..%s", lo, hi);
        }
        break;
    case EI_FIELD_SEED:
        snprintf(out_text, size_bytes, "0..%" PRIu64, UINT64_MAX);
        break;
    case EI_FIELD_LIST:
    case EI_FIELD_NAMED:
        snprintf(out_text, size_bytes, "%" PRId64 "..%" PRId64 " entries", field->lo, field->hi);
        break;
    case EI_FIELD_MK:
        snprintf(out_text, size_bytes, "0 <= m < k <= %" PRId64, field->hi);
        break;
    case EI_FIELD_PATH:
        if (field->words != NULL) {
            list_words(field->words, out_text, size_bytes);
        }
        break;
    case EI_FIELD_NAME:
    case EI_FIELD_TEXT:
    case EI_FIELD_CPUS:
    case EI_FIELD_MAP:
    case EI_FIELD_LANE:
    case EI_FIELD_MODEL:
    case EI_FIELD_LATE:
    case EI_FIELD_TRACE:
        break;
    }
}

/* ---- parsing ---- */

static int refuse(char *out_text, const char *what)
{
    snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "%s", what);
    return -EINVAL;
}

static int hint_range(const struct ei_field *field, char *out_hint)
{
    char range[EI_DIAGNOSTIC_TEXT_MAX / 2];
    ei_field_range(field, range, sizeof range);
    snprintf(out_hint, EI_DIAGNOSTIC_TEXT_MAX, "'%s' is %s%s%s", field->key, range,
             field->none_text != NULL ? " or " : "", field->none_text != NULL ? field->none_text : "");
    return -EINVAL;
}

static bool is_absent_word(const struct ei_word *word, const char *text)
{
    const size_t length = strlen(word->text);
    return word->value == EI_WORD_ABSENT && strncmp(word->text, text, length) == 0 &&
           (text[length] == '\0' || text[length] == '(');
}

static int parse_word(const struct ei_field *field, const char *text, const struct ei_word **out_word, char *out_text,
                      char *out_hint)
{
    char words[EI_DIAGNOSTIC_TEXT_MAX / 2];
    struct ei_nearest nearest;
    if (field->type == EI_FIELD_TERM) {
        list_terms(field, words, sizeof words);
    } else {
        list_words(field->words, words, sizeof words);
    }
    ei_nearest_init(&nearest, text);
    for (const struct ei_word *word = field->words; word->text != NULL; word++) {
        if (word->value != EI_WORD_ABSENT && strcmp(word->text, text) == 0) {
            *out_word = word;
            return 0;
        }
        if (is_absent_word(word, text)) {
            snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "%s has no %s '%s'%s%s",
                     field->absent_why != NULL ? "a run" : "this version", field->key, text,
                     field->absent_why != NULL ? ": " : "", field->absent_why != NULL ? field->absent_why : "");
            snprintf(out_hint, EI_DIAGNOSTIC_TEXT_MAX, "it has: %s", words);
            return -EINVAL;
        }
        if (word->value != EI_WORD_ABSENT) {
            ei_nearest_offer(&nearest, word->text);
        }
    }
    const char *best = ei_nearest_result(&nearest);
    snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' is no value of '%s'%s%s%s", text, field->key,
             best != NULL ? " (did you mean '" : "", best != NULL ? best : "", best != NULL ? "'?)" : "");
    snprintf(out_hint, EI_DIAGNOSTIC_TEXT_MAX, "allowed: %s%s", words,
             field->type == EI_FIELD_LATE    ? " or { queue: 1, drop: oldest }"
             : field->type == EI_FIELD_TRACE ? " or { last: 30s, save_on: miss }"
                                             : "");
    return -EINVAL;
}

/* The number in parentheses. Up to 9 decimals, so that what is printed reads back equal. */
static int parse_term_number(const struct ei_field *field, const struct ei_term_number *number, const char *text,
                             double *out, char *out_text, char *out_hint)
{
    int64_t digits = 0, billionths = 0;
    int decimals = 0;
    const size_t used = ei_decimal_read(text, &digits, &decimals);
    hint_range(field, out_hint);
    if (used == 0 || text[used] != ')' || text[used + 1] != '\0') {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'(%.60s' is no number of '%s' in parentheses", text, field->key);
        return -EINVAL;
    }
    if (decimals > RATIO_DIGITS) {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%s': the number of %s has more than %d decimals", field->key,
                 number->name, RATIO_DIGITS);
        return -EINVAL;
    }
    if (!ei_decimal_scale(digits, decimals, RATIO_SCALE, &billionths)) {
        billionths = INT64_MAX;
    }
    const double value = (double)billionths / (double)RATIO_SCALE;
    if (!(value >= number->lo && value <= number->hi)) {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%s': the number of %s is out of range: %.*s", field->key,
                 number->name, (int)used, text);
        return -EINVAL;
    }
    if (number->is_whole && billionths % RATIO_SCALE != 0) {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%s': the number of %s is a whole one", field->key, number->name);
        return -EINVAL;
    }
    *out = value;
    return 0;
}

/* A duration in the same place. Whole nanoseconds, which a double holds exactly up to days. */
static int parse_term_duration(const struct ei_field *field, const struct ei_term_number *number, const char *text,
                               double *out, char *out_text, char *out_hint)
{
    char duration[EI_DURATION_TEXT_MAX];
    const size_t length = strcspn(text, ")");
    int64_t ns = 0;
    hint_range(field, out_hint);
    snprintf(duration, sizeof duration, "%.*s", (int)(length < sizeof duration ? length : sizeof duration - 1), text);
    if (length >= sizeof duration || strcmp(text + length, ")") != 0 || !ei_quantity_parse(duration, ei_time_units, &ns)) {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'(%.60s' is no duration of '%s' in parentheses", text, field->key);
        return -EINVAL;
    }
    if (!((double)ns >= number->lo && (double)ns <= number->hi)) {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%s': the %s is out of range: %s", field->key, number->name,
                 duration);
        return -EINVAL;
    }
    *out = (double)ns;
    return 0;
}

/* WORD or WORD(NUMBER). */
static int parse_term(const struct ei_field *field, const char *text, struct ei_term *slot, char *out_text,
                      char *out_hint)
{
    char name[EI_SPEC_NAME_MAX];
    const struct ei_word *word = NULL;
    const char *open = strchr(text, '(');
    const size_t length = open != NULL ? (size_t)(open - text) : strlen(text);
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), text);
    int rc = parse_word(field, name, &word, out_text, out_hint);
    if (rc != 0) {
        return rc;
    }
    const struct ei_term_number *number = number_of(field, word->value);
    double value = number != NULL ? number->absent : 0;
    if (open != NULL && number == NULL) {
        hint_range(field, out_hint);
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%s' takes no number: '%.80s'", name, text);
        return -EINVAL;
    }
    if (open == NULL && number != NULL && value < number->lo) {
        hint_range(field, out_hint);
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%s' needs its number of %s in parentheses", name, number->name);
        return -EINVAL;
    }
    if (open != NULL) {
        rc = (number->is_duration ? parse_term_duration : parse_term_number)(field, number, open + 1, &value, out_text,
                                                                             out_hint);
    }
    if (rc == 0) {
        *slot = (struct ei_term){.word = word->value, .number = value};
    }
    return rc;
}

/* Why a text is no duration or size, in one sentence. */
static void explain_scaled(const struct ei_field *field, const char *text, char *out_text, char *out_hint)
{
    const bool is_size = field->type == EI_FIELD_SIZE;
    const char *kind = is_size ? "size" : "duration";
    const char *units = is_size ? "KiB, MiB or GiB" : "ns, us, ms or s";
    int64_t digits = 0;
    int decimals = 0;
    const size_t used = ei_decimal_read(text, &digits, &decimals);
    snprintf(out_hint, EI_DIAGNOSTIC_TEXT_MAX, "write a number and a unit: %s", units);
    if (text[0] == '-') {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' is negative, which a %s cannot be", text, kind);
        hint_range(field, out_hint);
    } else if (used > 0 && text[used] == '\0') {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' has no unit", text);
    } else if (used > 0) {
        const struct ei_unit *unit = is_size ? size_units : ei_time_units;
        while (unit->text != NULL && strcmp(unit->text, text + used) != 0) {
            unit++;
        }
        if (unit->text == NULL) {
            snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.40s' in '%.80s' is no unit of a %s", text + used, text,
                     kind);
        } else {
            snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' is no whole number of %s, or too large", text,
                     is_size ? "bytes" : "nanoseconds");
            hint_range(field, out_hint);
        }
    } else {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' is no %s", text, kind);
    }
}

static int check_range(const struct ei_field *field, int64_t value, int64_t scale, const char *text, char *out_text,
                       char *out_hint)
{
    if (value >= field->lo * scale && value <= field->hi * scale) {
        return 0;
    }
    snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%s' is out of range: %.80s", field->key, text);
    return hint_range(field, out_hint);
}

static int parse_scaled_field(const struct ei_field *field, const char *text, int64_t *slot, char *out_text,
                              char *out_hint)
{
    int64_t value = 0;
    if (!ei_quantity_parse(text, field->type == EI_FIELD_SIZE ? size_units : ei_time_units, &value)) {
        explain_scaled(field, text, out_text, out_hint);
        return -EINVAL;
    }
    const int rc = check_range(field, value, 1, text, out_text, out_hint);
    if (rc == 0) {
        *slot = value;
    }
    return rc;
}

static int parse_int(const struct ei_field *field, const char *text, int32_t *slot, char *out_text, char *out_hint)
{
    const bool is_negative = text[0] == '-';
    const char *digits = text + (is_negative ? 1 : 0);
    int64_t value = 0;
    size_t i = 0;
    for (; digits[i] >= '0' && digits[i] <= '9'; i++) {
        value = value < INT64_C(1000000000000) ? value * 10 + (digits[i] - '0') : value;
    }
    if (i == 0 || digits[i] != '\0' || (digits[0] == '0' && i > 1)) {
        hint_range(field, out_hint);
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' is no whole number", text);
        return -EINVAL;
    }
    const int rc = check_range(field, is_negative ? -value : value, 1, text, out_text, out_hint);
    if (rc == 0) {
        *slot = (int32_t)(is_negative ? -value : value);
    }
    return rc;
}

static int parse_seed(const struct ei_field *field, const char *text, uint64_t *slot, char *out_text, char *out_hint)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        const uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            hint_range(field, out_hint);
            return refuse(out_text, "the seed is out of range");
        }
        value = value * 10 + digit;
    }
    if (i == 0 || text[i] != '\0') {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' is no seed", text);
        return hint_range(field, out_hint);
    }
    *slot = value;
    return 0;
}

static int parse_ratio(const struct ei_field *field, const char *text, double *slot, char *out_text, char *out_hint)
{
    int64_t digits = 0;
    int64_t billionths = 0;
    int decimals = 0;
    const bool is_negative = text[0] == '-';
    const char *number = text + (is_negative ? 1 : 0);
    const size_t used = ei_decimal_read(number, &digits, &decimals);
    hint_range(field, out_hint);
    if (used > 0 && strcmp(number + used, "%") == 0) {
        return refuse(out_text, "a ratio is a number from 0 to 1, not a percentage");
    }
    if (used == 0 || number[used] != '\0') {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' is no number", text);
        return -EINVAL;
    }
    if (decimals > RATIO_DIGITS) {
        return refuse(out_text, "a ratio has at most 9 decimals");
    }
    if (!ei_decimal_scale(digits, decimals, RATIO_SCALE, &billionths)) {
        billionths = INT64_MAX;
    }
    const int rc =
        check_range(field, is_negative ? -billionths : billionths, RATIO_SCALE / 100, text, out_text, out_hint);
    if (rc == 0) {
        *slot = (double)billionths / (double)RATIO_SCALE;
    }
    return rc;
}

static int parse_text(const struct ei_field *field, const char *text, char *slot, size_t size_bytes, char *out_text,
                      char *out_hint)
{
    const size_t length = strlen(text);
    if (length == 0) {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%s' is empty", field->key);
        return -EINVAL;
    }
    if (length >= size_bytes) {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%s' is too long: %zu bytes", field->key, length);
        snprintf(out_hint, EI_DIAGNOSTIC_TEXT_MAX, "at most %zu bytes", size_bytes - 1);
        return -EINVAL;
    }
    memset(slot, 0, size_bytes);
    memcpy(slot, text, length);
    return 0;
}

bool ei_name_is_legal(const char *text)
{
    size_t length = 0;
    for (; text[length] != '\0'; length++) {
        const char c = text[length];
        const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!is_word && (length == 0 || (c != '-' && c != '.'))) {
            return false;
        }
    }
    return length > 0 && length < EI_SPEC_NAME_MAX;
}

static int parse_name(const char *text, char *slot, char *out_text, char *out_hint)
{
    if (!ei_name_is_legal(text)) {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' is no legal name", text);
        snprintf(out_hint, EI_DIAGNOSTIC_TEXT_MAX,
                 "letters, digits, '_', and after the first also '-' and '.'; at most %d characters",
                 EI_SPEC_NAME_MAX - 1);
        return -EINVAL;
    }
    memset(slot, 0, EI_SPEC_NAME_MAX);
    memcpy(slot, text, strlen(text));
    return 0;
}

static int parse_cpus(const char *text, struct ei_cpuset *slot, char *out_text, char *out_hint)
{
    struct ei_cpuset set;
    const int rc = ei_cpuset_parse(text, &set);
    if (rc != 0 || ei_cpuset_is_empty(&set)) {
        snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX,
                 rc == EINET_E_LIMIT ? "a CPU number in '%.80s' is too large" : "'%.80s' is no list of CPUs", text);
        snprintf(out_hint, EI_DIAGNOSTIC_TEXT_MAX, "write \"0\" or \"1-3,5\"; numbers up to %d", EI_CPU_MAX - 1);
        return -EINVAL;
    }
    *slot = set;
    return 0;
}

int ei_field_parse(const struct ei_field *field, const char *text, void *slot, char *out_text, char *out_hint)
{
    const struct ei_word *word = NULL;
    int rc = 0;
    out_text[0] = out_hint[0] = '\0';
    if (field->none_text != NULL && strcmp(text, field->none_text) == 0) {
        ei_field_blank(field, slot);
        return 0;
    }
    switch (field->type) {
    case EI_FIELD_WORD:
    case EI_FIELD_CHOICE:
    case EI_FIELD_LATE:
    case EI_FIELD_TRACE:
        rc = parse_word(field, text, &word, out_text, out_hint);
        if (rc != 0) {
            return rc;
        }
        if (field->type == EI_FIELD_CHOICE) {
            return parse_text(field, text, slot, EI_SPEC_NAME_MAX, out_text, out_hint);
        }
        if (field->type == EI_FIELD_LATE) {
            *(struct ei_late_spec *)slot = (struct ei_late_spec){.policy = (enum ei_spec_late)word->value};
            return 0;
        }
        if (field->type == EI_FIELD_TRACE) {
            *(struct ei_trace_spec *)slot =
                (struct ei_trace_spec){.format = (enum ei_spec_trace)word->value, .last_ns = EI_NONE_NS};
            return 0;
        }
        memcpy(slot, &word->value, sizeof word->value);
        return 0;
    case EI_FIELD_TERM:
        return parse_term(field, text, slot, out_text, out_hint);
    case EI_FIELD_INT:
        return parse_int(field, text, slot, out_text, out_hint);
    case EI_FIELD_SEED:
        return parse_seed(field, text, slot, out_text, out_hint);
    case EI_FIELD_DURATION:
    case EI_FIELD_SIZE:
        return parse_scaled_field(field, text, slot, out_text, out_hint);
    case EI_FIELD_TIME: {
        struct ei_emulated_time *time = slot;
        int64_t ns = 0;
        rc = parse_scaled_field(field, text, &ns, out_text, out_hint);
        if (rc == 0) {
            *time = (struct ei_emulated_time){.kind = EI_EMULATED_CONSTANT, .median_ns = ns, .p99_ns = ns};
        }
        return rc;
    }
    case EI_FIELD_RATIO:
        return parse_ratio(field, text, slot, out_text, out_hint);
    case EI_FIELD_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
            hint_range(field, out_hint);
            snprintf(out_text, EI_DIAGNOSTIC_TEXT_MAX, "'%.80s' is neither true nor false", text);
            return -EINVAL;
        }
        *(bool *)slot = text[0] == 't';
        return 0;
    case EI_FIELD_NAME:
        return parse_name(text, slot, out_text, out_hint);
    case EI_FIELD_PATH:
    case EI_FIELD_TEXT:
        return parse_text(field, text, slot, EI_SPEC_PATH_MAX, out_text, out_hint);
    case EI_FIELD_CPUS:
        return parse_cpus(text, slot, out_text, out_hint);
    case EI_FIELD_MAP:
    case EI_FIELD_LIST:
    case EI_FIELD_NAMED:
    case EI_FIELD_LANE:
    case EI_FIELD_MODEL:
    case EI_FIELD_OPS:
    case EI_FIELD_MK:
        break;
    }
    return refuse(out_text, "not a single value");
}
