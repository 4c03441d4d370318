/* Values of the workload file: none, equality, C to text; names of ops; the nearest word. See fields.h. */
#include "workloads/fields.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define RATIO_SCALE INT64_C(1000000000)
#define NEAREST_LENGTH_MAX 40

static size_t slot_bytes(const struct ei_field *field)
{
    switch (field->type) {
    case EI_FIELD_WORD:
    case EI_FIELD_INT:
    case EI_FIELD_MODEL:
        return sizeof(int32_t);
    case EI_FIELD_CHOICE:
    case EI_FIELD_NAME:
        return EI_SPEC_NAME_MAX;
    case EI_FIELD_PATH:
    case EI_FIELD_TEXT:
        return EI_SPEC_PATH_MAX;
    case EI_FIELD_SEED:
    case EI_FIELD_DURATION:
    case EI_FIELD_SIZE:
        return sizeof(int64_t);
    case EI_FIELD_RATIO:
        return sizeof(double);
    case EI_FIELD_TERM:
        return sizeof(struct ei_term);
    case EI_FIELD_BOOL:
        return sizeof(bool);
    case EI_FIELD_CPUS:
        return sizeof(struct ei_cpuset);
    case EI_FIELD_TIME:
    case EI_FIELD_LATE:
    case EI_FIELD_TRACE:
    case EI_FIELD_LANE:
    case EI_FIELD_OPS:
    case EI_FIELD_MK:
    case EI_FIELD_MAP:
    case EI_FIELD_LIST:
    case EI_FIELD_NAMED:
        break;
    }
    return 0;
}

void ei_field_blank(const struct ei_field *field, void *slot)
{
    memset(slot, 0, slot_bytes(field));
    if (field->type == EI_FIELD_DURATION && field->none_text != NULL) {
        *(int64_t *)slot = EI_NONE_NS;
    } else if (field->type == EI_FIELD_RATIO && field->none_text != NULL) {
        *(double *)slot = EI_NONE_RATIO;
    } else if (field->type == EI_FIELD_MODEL) {
        *(int32_t *)slot = EI_NONE_IDX;
    } else if (field->type == EI_FIELD_LANE) {
        struct ei_stage_spec *stage = slot;
        stage->lane_idx = EI_NONE_IDX;
        stage->more_lane_count = 0;
    } else if (field->type == EI_FIELD_OPS) {
        struct ei_stage_spec *stage = slot;
        stage->op_count = 0;
        memset(stage->ops, 0, sizeof stage->ops);
    } else if (field->type == EI_FIELD_MK) {
        struct ei_slo_spec *slo = slot;
        slo->mk_m = slo->mk_k = 0;
    } else if (field->type == EI_FIELD_TIME) {
        *(struct ei_emulated_time *)slot = (struct ei_emulated_time){.kind = EI_EMULATED_CONSTANT};
    } else if (field->type == EI_FIELD_LATE) {
        *(struct ei_late_spec *)slot = (struct ei_late_spec){.policy = EI_SPEC_LATE_SKIP};
    } else if (field->type == EI_FIELD_TRACE) {
        *(struct ei_trace_spec *)slot = (struct ei_trace_spec){.last_ns = EI_NONE_NS};
    }
}

bool ei_field_is_none(const struct ei_field *field, const void *slot)
{
    switch (field->type) {
    case EI_FIELD_DURATION:
        return *(const int64_t *)slot == EI_NONE_NS;
    case EI_FIELD_RATIO:
        return *(const double *)slot < 0.0;
    case EI_FIELD_PATH:
    case EI_FIELD_TEXT:
    case EI_FIELD_NAME:
    case EI_FIELD_CHOICE:
        return ((const char *)slot)[0] == '\0';
    case EI_FIELD_CPUS:
        return ei_cpuset_is_empty(slot);
    case EI_FIELD_LANE:
        return ((const struct ei_stage_spec *)slot)->lane_idx < 0;
    case EI_FIELD_MODEL:
        return *(const int32_t *)slot < 0;
    case EI_FIELD_OPS:
        return ((const struct ei_stage_spec *)slot)->op_count == 0;
    case EI_FIELD_MK:
        return ((const struct ei_slo_spec *)slot)->mk_k == 0;
    case EI_FIELD_MAP:
        if (field->child == EI_CONTEXT_INPUT) {
            return ((const struct ei_input_spec *)slot)->kind == EI_SPEC_INPUT_NONE;
        }
        return field->child == EI_CONTEXT_WORK && ((const struct ei_stage_spec *)slot)->spin_ns == EI_NONE_NS;
    case EI_FIELD_WORD:
    case EI_FIELD_TERM:
    case EI_FIELD_INT:
    case EI_FIELD_SEED:
    case EI_FIELD_SIZE:
    case EI_FIELD_BOOL:
    case EI_FIELD_LIST:
    case EI_FIELD_NAMED:
    case EI_FIELD_TIME:
    case EI_FIELD_LATE:
    case EI_FIELD_TRACE:
        break;
    }
    return false;
}

bool ei_field_is_equal(const struct ei_field *field, const void *a, const void *b)
{
    if (field->type == EI_FIELD_TIME) {
        const struct ei_emulated_time *x = a;
        const struct ei_emulated_time *y = b;
        return x->kind == y->kind && x->median_ns == y->median_ns && x->p99_ns == y->p99_ns;
    }
    if (field->type == EI_FIELD_TERM) { /* not byte by byte: there is padding */
        const struct ei_term *x = a;
        const struct ei_term *y = b;
        return x->word == y->word && !(x->number < y->number) && !(x->number > y->number);
    }
    if (field->type == EI_FIELD_LATE) {
        const struct ei_late_spec *x = a;
        const struct ei_late_spec *y = b;
        return x->policy == y->policy && x->queue == y->queue;
    }
    if (field->type == EI_FIELD_TRACE) { /* not byte by byte: there is padding */
        const struct ei_trace_spec *x = a;
        const struct ei_trace_spec *y = b;
        return x->format == y->format && x->last_ns == y->last_ns && x->save_on == y->save_on;
    }
    if (field->type == EI_FIELD_MK) {
        const struct ei_slo_spec *x = a;
        const struct ei_slo_spec *y = b;
        return x->mk_m == y->mk_m && x->mk_k == y->mk_k;
    }
    if (field->type == EI_FIELD_LANE) {
        const struct ei_stage_spec *x = a;
        const struct ei_stage_spec *y = b;
        return x->lane_idx == y->lane_idx && x->more_lane_count == y->more_lane_count &&
               memcmp(x->more_lanes, y->more_lanes, (size_t)x->more_lane_count * sizeof x->more_lanes[0]) == 0;
    }
    if (field->type == EI_FIELD_OPS) {
        const struct ei_stage_spec *x = a;
        const struct ei_stage_spec *y = b;
        bool is_equal = x->op_count == y->op_count;
        for (int32_t i = 0; is_equal && i < x->op_count; i++) {
            is_equal = x->ops[i].kind == y->ops[i].kind && x->ops[i].width_px == y->ops[i].width_px &&
                       x->ops[i].height_px == y->ops[i].height_px;
        }
        return is_equal;
    }
    return memcmp(a, b, slot_bytes(field)) == 0;
}

/* ---- C to text ---- */

bool ei_text_is_switch_word(const char *text)
{
    static const char *const words[] = {"yes", "no", "on", "off"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* Words that YAML gives another type, or our reader another meaning, unless they are quoted. */
static bool is_reserved(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "none", "auto", "y", "n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i], text) == 0) {
            return true;
        }
    }
    return ei_text_is_switch_word(text);
}

void ei_text_quote(const char *text, bool is_always, char *out_text, size_t size_bytes)
{
    size_t used = 0;
    if (!is_always && ei_name_is_legal(text) && !is_reserved(text)) {
        snprintf(out_text, size_bytes, "%s", text);
        return;
    }
    out_text[0] = '\0';
    for (size_t i = 0; used + 8 < size_bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (i == 0) {
            out_text[used++] = '"';
        }
        if (c == '\0') {
            out_text[used++] = '"';
            break;
        }
        if (c == '"' || c == '\\') {
            out_text[used++] = '\\';
            out_text[used++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            used += (size_t)snprintf(out_text + used, size_bytes - used, "\\x%02x", c);
        } else {
            out_text[used++] = (char)c;
        }
    }
    out_text[used] = '\0';
}

/* Decimal without trailing zeros and without the locale's point: exact, since ratios are read as billionths. */
static void format_ratio(double ratio, char *out_text, size_t size_bytes)
{
    const int64_t billionths = (int64_t)(ratio * (double)RATIO_SCALE + 0.5);
    int64_t rest = billionths % RATIO_SCALE;
    int width = 9;
    while (width > 1 && rest % 10 == 0) {
        rest /= 10;
        width--;
    }
    if (rest == 0) {
        snprintf(out_text, size_bytes, "%" PRId64, billionths / RATIO_SCALE);
    } else {
        snprintf(out_text, size_bytes, "%" PRId64 ".%0*" PRId64, billionths / RATIO_SCALE, width, rest);
    }
}

static void format_size(int64_t bytes, char *out_text, size_t size_bytes)
{
    const int64_t kib = bytes / 1024;
    if (kib % (INT64_C(1024) * 1024) == 0) {
        snprintf(out_text, size_bytes, "%" PRId64 "GiB", kib / (INT64_C(1024) * 1024));
    } else if (kib % 1024 == 0) {
        snprintf(out_text, size_bytes, "%" PRId64 "MiB", kib / 1024);
    } else {
        snprintf(out_text, size_bytes, "%" PRId64 "KiB", kib);
    }
}

static const char *word_of(const struct ei_word *words, int32_t value)
{
    for (const struct ei_word *word = words; word->text != NULL; word++) {
        if (word->value == value) {
            return word->text;
        }
    }
    return "";
}

static void format_time(const struct ei_emulated_time *time, char *out_text, size_t size_bytes)
{
    char median[EI_DURATION_TEXT_MAX];
    char p99[EI_DURATION_TEXT_MAX];
    ei_duration_format(time->median_ns, median);
    if (time->kind == EI_EMULATED_CONSTANT) {
        snprintf(out_text, size_bytes, "%s", median);
    } else {
        snprintf(out_text, size_bytes, "{ lognormal: { median: %s, p99: %s } }", median,
                 ei_duration_format(time->p99_ns, p99));
    }
}

static void format_cpus(const struct ei_cpuset *set, char *out_text, size_t size_bytes)
{
    char list[4096];
    ei_cpuset_format(set, list, sizeof list);
    snprintf(out_text, size_bytes, "\"%s\"", list);
}

static void format_trace(const struct ei_trace_spec *trace, char *out_text, size_t size_bytes)
{
    char last[EI_DURATION_TEXT_MAX];
    if (trace->format == EI_SPEC_TRACE_NONE || trace->last_ns == EI_NONE_NS) {
        snprintf(out_text, size_bytes, trace->format == EI_SPEC_TRACE_NONE ? "none" : "perfetto");
    } else {
        snprintf(out_text, size_bytes, "{ format: perfetto, last: %s, save_on: %s }",
                 ei_duration_format(trace->last_ns, last), trace->save_on == EI_SPEC_SAVE_MISS ? "miss" : "always");
    }
}

void ei_field_format(const struct ei_field *field, const void *slot, char *out_text, size_t size_bytes)
{
    char duration[EI_DURATION_TEXT_MAX];
    int32_t value = 0;
    if (field->none_text != NULL && ei_field_is_none(field, slot)) {
        snprintf(out_text, size_bytes, "%s", field->none_text);
        return;
    }
    out_text[0] = '\0';
    switch (field->type) {
    case EI_FIELD_WORD:
        memcpy(&value, slot, sizeof value);
        snprintf(out_text, size_bytes, "%s", word_of(field->words, value));
        break;
    case EI_FIELD_TERM: {
        const struct ei_term *term = slot;
        const size_t used = (size_t)snprintf(out_text, size_bytes, "%s", word_of(field->words, term->word));
        for (const struct ei_term_number *number = field->numbers; number->name != NULL; number++) {
            if (number->word == term->word && used + 2 < size_bytes) {
                char digits[48];
                if (number->is_duration) {
                    (void)ei_duration_format((int64_t)term->number, digits);
                } else {
                    format_ratio(term->number, digits, sizeof digits);
                }
                snprintf(out_text + used, size_bytes - used, "(%s)", digits);
            }
        }
        break;
    }
    case EI_FIELD_LATE: {
        const struct ei_late_spec *late = slot;
        if (late->policy == EI_SPEC_LATE_SKIP) {
            snprintf(out_text, size_bytes, "skip");
        } else {
            snprintf(out_text, size_bytes, "{ queue: %d, drop: %s }", late->queue,
                     late->policy == EI_SPEC_LATE_DROP_OLDEST ? "oldest" : "newest");
        }
        break;
    }
    case EI_FIELD_TRACE:
        format_trace(slot, out_text, size_bytes);
        break;
    case EI_FIELD_INT:
        memcpy(&value, slot, sizeof value);
        snprintf(out_text, size_bytes, "%d", value);
        break;
    case EI_FIELD_SEED:
        snprintf(out_text, size_bytes, "%" PRIu64, *(const uint64_t *)slot);
        break;
    case EI_FIELD_DURATION:
        snprintf(out_text, size_bytes, "%s", ei_duration_format(*(const int64_t *)slot, duration));
        break;
    case EI_FIELD_SIZE:
        format_size(*(const int64_t *)slot, out_text, size_bytes);
        break;
    case EI_FIELD_RATIO:
        format_ratio(*(const double *)slot, out_text, size_bytes);
        break;
    case EI_FIELD_BOOL:
        snprintf(out_text, size_bytes, "%s", *(const bool *)slot ? "true" : "false");
        break;
    case EI_FIELD_NAME:
    case EI_FIELD_CHOICE:
        ei_text_quote(slot, false, out_text, size_bytes);
        break;
    case EI_FIELD_PATH:
    case EI_FIELD_TEXT:
        ei_text_quote(slot, true, out_text, size_bytes);
        break;
    case EI_FIELD_CPUS:
        format_cpus(slot, out_text, size_bytes);
        break;
    case EI_FIELD_TIME:
        format_time(slot, out_text, size_bytes);
        break;
    case EI_FIELD_MAP:
    case EI_FIELD_LIST:
    case EI_FIELD_NAMED:
    case EI_FIELD_LANE:
    case EI_FIELD_MODEL:
    case EI_FIELD_OPS:
    case EI_FIELD_MK:
        break;
    }
}

/* ---- ops ---- */

int32_t ei_op_find(const char *text)
{
    for (const struct ei_word *word = ei_op_words; word->text != NULL; word++) {
        if (strcmp(word->text, text) == 0) {
            return word->value;
        }
    }
    return -1;
}

const char *ei_op_name(enum ei_spec_op_kind kind)
{
    return word_of(ei_op_words, (int32_t)kind);
}

/* ---- suggestions ---- */

/* Optimal string alignment distance, or NEAREST_LENGTH_MAX when either text is long. */
static int32_t edit_distance(const char *a, const char *b)
{
    int32_t rows[3][NEAREST_LENGTH_MAX + 1];
    const int32_t a_length = (int32_t)strnlen(a, NEAREST_LENGTH_MAX);
    const int32_t b_length = (int32_t)strnlen(b, NEAREST_LENGTH_MAX);
    if (a_length == NEAREST_LENGTH_MAX || b_length == NEAREST_LENGTH_MAX) {
        return NEAREST_LENGTH_MAX;
    }
    for (int32_t j = 0; j <= b_length; j++) {
        rows[0][j] = j;
        rows[2][j] = 0;
    }
    for (int32_t i = 1; i <= a_length; i++) {
        int32_t *row = rows[i % 3];
        const int32_t *above = rows[(i + 2) % 3];
        const int32_t *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (int32_t j = 1; j <= b_length; j++) {
            int32_t best = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best) {
                best = above2[j - 2] + 1;
            }
            row[j] = best;
        }
    }
    return rows[a_length % 3][b_length];
}

void ei_nearest_init(struct ei_nearest *nearest, const char *text)
{
    *nearest = (struct ei_nearest){.text = text, .best = NULL, .best_distance = NEAREST_LENGTH_MAX};
}

void ei_nearest_offer(struct ei_nearest *nearest, const char *candidate)
{
    const int32_t distance = edit_distance(nearest->text, candidate);
    if (distance < nearest->best_distance) {
        nearest->best = candidate;
        nearest->best_distance = distance;
    }
}

const char *ei_nearest_result(const struct ei_nearest *nearest)
{
    /* A third of the letters may differ, at least one and at most three. */
    const int32_t length = (int32_t)strnlen(nearest->text, NEAREST_LENGTH_MAX);
    const int32_t third = length / 3;
    const int32_t allowed = third < 1 ? 1 : (third > 3 ? 3 : third);
    return nearest->best_distance <= allowed ? nearest->best : NULL;
}
