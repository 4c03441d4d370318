/* The field table in roff, for einet-workload(5). See fields.h. */
#include "workloads/fields.h"

#include <string.h>

/* Escape what roff would interpret. */
static void put_text(const char *text, FILE *out)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\') {
            fputs("\\e", out);
        } else if (*at == '-') {
            fputs("\\-", out);
        } else if ((*at == '.' || *at == '\'') && at == text) {
            fprintf(out, "\\&%c", *at);
        } else {
            fputc(*at, out);
        }
    }
}

static const char *title_of(enum ei_context context)
{
    static const char *const titles[EI_CONTEXT_COUNT] = {
        [EI_CONTEXT_FILE] = "The file",
        [EI_CONTEXT_RUN] = "run",
        [EI_CONTEXT_PLATFORM] = "platform",
        [EI_CONTEXT_LANE] = "lanes: NAME",
        [EI_CONTEXT_MODEL] = "models: NAME",
        [EI_CONTEXT_EMULATE] = "models: NAME: emulate",
        [EI_CONTEXT_BLOCK] = "models: NAME: emulate: blocks: each",
        [EI_CONTEXT_LOGNORMAL] = "lognormal, of conv and branch",
        [EI_CONTEXT_SCHEDULER] = "scheduler",
        [EI_CONTEXT_PLANNER] = "planner, of the file and of a task",
        [EI_CONTEXT_TASK] = "tasks: each",
        [EI_CONTEXT_ARRIVAL] = "tasks: each: arrival",
        [EI_CONTEXT_LATE] = "tasks: each: late_release",
        [EI_CONTEXT_INPUT] = "tasks: each: input",
        [EI_CONTEXT_TOPICS] = "tasks: each: outputs",
        [EI_CONTEXT_STAGE] = "tasks: each: stages: each",
        [EI_CONTEXT_WORK] = "tasks: each: stages: each: work",
        [EI_CONTEXT_SLO] = "tasks: each: slo",
        [EI_CONTEXT_OUTPUTS] = "outputs",
        [EI_CONTEXT_TRACE] = "outputs: trace",
    };
    return titles[context];
}

static const char *type_of(const struct ei_field *field)
{
    switch (field->type) {
    case EI_FIELD_WORD:
    case EI_FIELD_TERM:
    case EI_FIELD_CHOICE:
    case EI_FIELD_BOOL:
        return "one of";
    case EI_FIELD_INT:
    case EI_FIELD_SEED:
        return "number";
    case EI_FIELD_DURATION:
        return "duration";
    case EI_FIELD_TIME:
        return "duration or lognormal";
    case EI_FIELD_SIZE:
        return "size";
    case EI_FIELD_RATIO:
        return "ratio";
    case EI_FIELD_NAME:
        return "name";
    case EI_FIELD_PATH:
        return field->words != NULL ? "path that is read, or one of" : "path that is read";
    case EI_FIELD_TEXT:
        return "text";
    case EI_FIELD_CPUS:
        return "CPU list";
    case EI_FIELD_MAP:
        return "mapping";
    case EI_FIELD_LIST:
        return "list";
    case EI_FIELD_NAMED:
        return "mapping of names";
    case EI_FIELD_LANE:
        return "name of a lane, list of names, or any";
    case EI_FIELD_MODEL:
        return "name of a model";
    case EI_FIELD_LATE:
        return "skip or mapping";
    case EI_FIELD_TRACE:
        return "none, perfetto or mapping";
    case EI_FIELD_OPS:
        return "one or a list of";
    case EI_FIELD_MK:
        return "[m, k] with";
    }
    return "";
}

/* "for periodic, burst" of a row that only some discriminator values have. */
static void put_only(const struct ei_field *field, FILE *out)
{
    const struct ei_field *discriminator = ei_field_discriminator(field->context);
    if (field->only == 0) {
        return;
    }
    if (discriminator == NULL) {
        static const char *const kinds[] = {
            [EI_SPEC_MODEL_ZOO] = "zoo", [EI_SPEC_MODEL_EMULATE] = "emulate", [EI_SPEC_MODEL_BUNDLE] = "bundle"};
        const char *lead = "; with ";
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            if (ei_field_is_for(field, (int32_t)i)) {
                fprintf(out, "%s%s", lead, kinds[i]);
                lead = ", ";
            }
        }
        return;
    }
    const char *before = "; with ";
    for (const struct ei_word *word = discriminator->words; word->text != NULL; word++) {
        if (word->value != EI_WORD_ABSENT && ei_field_is_for(field, word->value)) {
            fprintf(out, "%s%s", before, word->text);
            before = ", ";
        }
    }
}

static void put_row(const struct ei_field *field, FILE *out)
{
    char range[512];
    ei_field_range(field, range, sizeof range);
    fputs(".TP\n.B ", out);
    put_text(field->key, out);
    fputs("\n", out);
    fprintf(out, "(%s", type_of(field));
    if (range[0] != '\0') {
        fputc(' ', out);
        put_text(range, out);
    }
    if (field->none_text != NULL) {
        fprintf(out, " or %s", field->none_text);
    }
    put_only(field, out);
    fputs("; ", out);
    if (field->default_text != NULL) {
        fputs("default ", out);
        put_text(field->default_text, out);
    } else if (field->computed != NULL) {
        fputs("default: ", out);
        put_text(field->computed, out);
    } else {
        fputs("required", out);
    }
    fputs(")\n", out);
    put_text(field->doc, out);
    fputs("\n", out);
}

static void put_absent_words(const struct ei_field *field, FILE *out)
{
    const char *before = "";
    for (const struct ei_word *word = field->words; word != NULL && word->text != NULL; word++) {
        if (word->value != EI_WORD_ABSENT) {
            continue;
        }
        if (before[0] == '\0') {
            fputs(".TP\n.B ", out);
            put_text(field->key, out);
            fprintf(out, "\n(%s) values: ", title_of(field->context));
        }
        fputs(before, out);
        put_text(word->text, out);
        before = ", ";
    }
    if (before[0] != '\0') {
        fputs(field->absent_why != NULL ? ": " : "", out);
        put_text(field->absent_why != NULL ? field->absent_why : "", out);
        fputs("\n", out);
    }
}

void ei_fields_print_man(FILE *out)
{
    for (int32_t context = 0; context < EI_CONTEXT_COUNT; context++) {
        fputs(".SS \"", out);
        put_text(title_of((enum ei_context)context), out);
        fputs("\"\n", out);
        for (int32_t i = ei_field_next((enum ei_context)context, 0); i >= 0;
             i = ei_field_next((enum ei_context)context, i + 1)) {
            put_row(&ei_fields[i], out);
        }
    }
    fputs(".SS \"Not in this version\"\nThese belong to the grammar, and are refused by name.\n", out);
    for (int32_t i = 0; i < ei_field_count; i++) {
        put_absent_words(&ei_fields[i], out);
    }
}
