/* A workload as a workload file with every default filled in, by the field table. See spec.h. */
#include "workloads/fields.h"

#include <string.h>

static void print_map(const struct ei_workload *wl, enum ei_context context, const char *base, int indent,
                      bool is_first_inline, FILE *out);

static int32_t discriminator_value(enum ei_context context, const char *base)
{
    const struct ei_field *field = ei_field_discriminator(context);
    int32_t value = -1;
    if (context == EI_CONTEXT_MODEL) {
        return (int32_t)((const struct ei_model_spec *)(const void *)base)->kind;
    }
    if (field != NULL) {
        memcpy(&value, base + field->offset, sizeof value);
    }
    return value;
}

static void print_indent(int indent, FILE *out)
{
    for (int i = 0; i < indent; i++) {
        fputc(' ', out);
    }
}

static void print_ops(const struct ei_stage_spec *stage, FILE *out)
{
    fputs("[", out);
    for (int32_t i = 0; i < stage->op_count; i++) {
        const struct ei_op_spec *op = &stage->ops[i];
        fprintf(out, "%s%s", i > 0 ? ", " : "", ei_op_name(op->kind));
        if (op->kind == EI_SPEC_OP_RESIZE) {
            fprintf(out, ": %dx%d", op->width_px, op->height_px);
        }
    }
    fputs("]", out);
}

static void print_lanes(const struct ei_workload *wl, const struct ei_stage_spec *stage, FILE *out)
{
    char text[2 * EI_SPEC_NAME_MAX];
    ei_text_quote(wl->lanes[stage->lane_idx].name, false, text, sizeof text);
    fprintf(out, "%s%s", stage->more_lane_count > 0 ? "[" : "", text);
    for (int32_t i = 0; i < stage->more_lane_count; i++) {
        ei_text_quote(wl->lanes[stage->more_lanes[i]].name, false, text, sizeof text);
        fprintf(out, ", %s%s", text, i + 1 == stage->more_lane_count ? "]" : "");
    }
}

static void print_list(const struct ei_workload *wl, const struct ei_field *field, const char *base, int indent,
                       FILE *out)
{
    int32_t count = 0;
    memcpy(&count, base + field->count_offset, sizeof count);
    fprintf(out, "%s:%s\n", field->key, count == 0 ? (field->type == EI_FIELD_LIST ? " []" : " {}") : "");
    for (int32_t i = 0; i < count; i++) {
        const char *element = base + field->offset + (size_t)i * field->element_bytes;
        print_indent(indent + 2, out);
        if (field->type == EI_FIELD_LIST) {
            fputs("- ", out);
            print_map(wl, field->child, element, indent + 4, true, out);
            continue;
        }
        char name[2 * EI_SPEC_NAME_MAX];
        ei_text_quote(field->child == EI_CONTEXT_LANE ? ((const struct ei_lane_spec *)(const void *)element)->name
                                                      : ((const struct ei_model_spec *)(const void *)element)->name,
                      false, name, sizeof name);
        fprintf(out, "%s:\n", name);
        print_map(wl, field->child, element, indent + 4, false, out);
    }
}

static void print_field(const struct ei_workload *wl, const struct ei_field *field, const char *base, int indent,
                        FILE *out)
{
    const void *slot = base + field->offset;
    char text[8192];
    switch (field->type) {
    case EI_FIELD_MAP:
        fprintf(out, "%s:\n", field->key);
        print_map(wl, field->child, slot, indent + 2, false, out);
        return;
    case EI_FIELD_LIST:
    case EI_FIELD_NAMED:
        print_list(wl, field, base, indent, out);
        return;
    case EI_FIELD_LANE:
        fprintf(out, "%s: ", field->key);
        print_lanes(wl, slot, out);
        fputs("\n", out);
        return;
    case EI_FIELD_MODEL:
        ei_text_quote(wl->models[*(const int32_t *)slot].name, false, text, sizeof text);
        fprintf(out, "%s: %s\n", field->key, text);
        return;
    case EI_FIELD_OPS:
        fprintf(out, "%s: ", field->key);
        print_ops(slot, out);
        fputs("\n", out);
        return;
    case EI_FIELD_MK: {
        const struct ei_slo_spec *slo = slot;
        if (slo->mk_k == 0) {
            fprintf(out, "%s: none\n", field->key);
        } else {
            fprintf(out, "%s: [%d, %d]\n", field->key, slo->mk_m, slo->mk_k);
        }
        return;
    }
    case EI_FIELD_WORD:
    case EI_FIELD_TERM:
    case EI_FIELD_CHOICE:
    case EI_FIELD_INT:
    case EI_FIELD_SEED:
    case EI_FIELD_DURATION:
    case EI_FIELD_SIZE:
    case EI_FIELD_RATIO:
    case EI_FIELD_BOOL:
    case EI_FIELD_NAME:
    case EI_FIELD_PATH:
    case EI_FIELD_TEXT:
    case EI_FIELD_CPUS:
    case EI_FIELD_TIME:
    case EI_FIELD_LATE:
    case EI_FIELD_TRACE:
        ei_field_format(field, slot, text, sizeof text);
        fprintf(out, "%s: %s\n", field->key, text);
        return;
    }
}

/* Keys that do not apply: those of another discriminator value, the priority of a task of class other or that the
 * policy assigns, what decides about networks in a task without one, about preemption where the kernel preempts. */
static bool is_left_out(const struct ei_workload *wl, const struct ei_field *field, const char *base, int32_t value)
{
    if (ei_field_find(field->context, field->key, value) != field) {
        return true;
    }
    if (field->context == EI_CONTEXT_INPUT && ei_input_is_result((const struct ei_input_spec *)(const void *)base) &&
        ei_field_is_of_pictures(field)) {
        return true;
    }
    if (field->context == EI_CONTEXT_TASK) {
        const struct ei_task_spec *task = (const struct ei_task_spec *)(const void *)base;
        const bool is_about_preemption = strcmp(field->key, "on_preempt") == 0 ||
                                         strcmp(field->key, "max_preemptions") == 0 ||
                                         strcmp(field->key, "max_blocking") == 0;
        const bool is_about_nn =
            is_about_preemption || strcmp(field->key, "planner") == 0 || strcmp(field->key, "rehearse") == 0;
        const bool is_given =
            task->class_ == EI_SPEC_CLASS_FIFO && wl->scheduler.policy == EI_SPEC_POLICY_FIXED_PRIORITY;
        const int32_t lane_idx = task->nn_stage_idx >= 0 ? task->stages[task->nn_stage_idx].lane_idx : EI_NONE_IDX;
        const bool is_kernel = lane_idx >= 0 && wl->lanes[lane_idx].preempt == EI_SPEC_LANE_PREEMPT_KERNEL;
        const bool has_topics =
            wl->tasks[ei_workload_chain_head(wl, (int32_t)(task - wl->tasks))].input.kind == EI_SPEC_INPUT_TOPIC;
        if ((field->child == EI_CONTEXT_TOPICS && !has_topics) || (is_kernel && is_about_preemption) ||
            (strcmp(field->key, "priority") == 0 && !is_given) || (is_about_nn && task->nn_stage_idx == EI_NONE_IDX)) {
            return true;
        }
    }
    return field->none_text == NULL && ei_field_is_none(field, base + field->offset);
}

static void print_map(const struct ei_workload *wl, enum ei_context context, const char *base, int indent,
                      bool is_first_inline, FILE *out)
{
    const int32_t value = discriminator_value(context, base);
    bool is_inline = is_first_inline;
    for (int32_t i = ei_field_next(context, 0); i >= 0; i = ei_field_next(context, i + 1)) {
        const struct ei_field *field = &ei_fields[i];
        if (is_left_out(wl, field, base, value)) {
            continue;
        }
        if (!is_inline) {
            print_indent(indent, out);
        }
        is_inline = false;
        print_field(wl, field, base, indent, out);
    }
}

void ei_workload_print(const struct ei_workload *wl, FILE *out)
{
    print_map(wl, EI_CONTEXT_FILE, (const char *)wl, 0, false, out);
}
