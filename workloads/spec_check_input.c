/* What an input asks of its task: pictures that are handed in, results of another run. See spec_read.h. */
#include "workloads/fields.h"
#include "workloads/spec_read.h"

/* Only a network on that device can read them. */
static void check_device_memory(struct ei_spec_subject *s)
{
    const struct ei_task_spec *task = s->task;
    const int32_t node = ei_spec_subject_node(s, "input", "memory");
    const int32_t lane_idx =
        task->nn_stage_idx != EI_NONE_IDX ? task->stages[task->nn_stage_idx].lane_idx : EI_NONE_IDX;
    if (task->nn_stage_idx == EI_NONE_IDX) {
        ei_spec_error(s->rd, node, "write memory: host, or add an nn stage",
                      "task '%s' has no network that could read pictures in memory of a device", task->name);
    } else if (lane_idx != EI_NONE_IDX && s->rd->wl->lanes[lane_idx].kind == EI_SPEC_LANE_CPU) {
        ei_spec_error(s->rd, node, "write memory: host, or take a lane of kind cuda",
                      "lane '%s' of task '%s' is of kind cpu, which cannot read memory of a device",
                      s->rd->wl->lanes[lane_idx].name, task->name);
    } else if (lane_idx != EI_NONE_IDX && s->rd->wl->lanes[lane_idx].fallback[0] != '\0') {
        ei_spec_error(s->rd, node, "leave the fallback out, or write memory: host",
                      "the fallback of lane '%s' cannot read pictures of task '%s' in memory of a device",
                      s->rd->wl->lanes[lane_idx].name, task->name);
    }
    if (ei_task_has_picture_op(task)) {
        ei_spec_error(s->rd, node, "take decode, resize and normalize out: the pictures come as the network takes them",
                      "stages of task '%s' work on pictures, but not on those in memory of a device", task->name);
    }
}

/* What releases its jobs is a result: nothing that pictures have. */
static void check_result_input(struct ei_spec_subject *s)
{
    for (int32_t i = ei_field_next(EI_CONTEXT_INPUT, 0); i >= 0; i = ei_field_next(EI_CONTEXT_INPUT, i + 1)) {
        const struct ei_field *field = &ei_fields[i];
        const int32_t node = ei_spec_subject_node(s, "input", field->key);
        if (node >= 0 && ei_field_is_of_pictures(field) && ei_field_is_for(field, EI_SPEC_INPUT_TOPIC)) {
            ei_spec_error(s->rd, node, "take it out, or write message: image",
                          "'%s' is of pictures, and the input of task '%s' brings results", field->key, s->task->name);
        }
    }
    if (s->task->arrival.model != EI_ARRIVAL_EXTERNAL) {
        ei_spec_error(s->rd, ei_spec_subject_node(s, "input", NULL),
                      "write arrival: { model: external, min_interarrival: ... }",
                      "jobs of task '%s' begin with results of another run, but its releases do not come from outside",
                      s->task->name);
    }
}

/* Whether the input says a message that there is none of, which was reported. */
static bool is_message_unknown(const struct ei_spec_subject *s)
{
    const int32_t node = ei_spec_subject_node(s, "input", "message");
    const struct ei_field *field = ei_field_find(EI_CONTEXT_INPUT, "message", EI_SPEC_INPUT_TOPIC);
    char text[EI_DIAGNOSTIC_TEXT_MAX], hint[EI_DIAGNOSTIC_TEXT_MAX];
    enum ei_spec_message message;
    return node >= 0 && (ei_yaml_node(&s->rd->yaml, node)->kind != EI_YAML_SCALAR ||
                         ei_field_parse(field, ei_yaml_node(&s->rd->yaml, node)->text, &message, text, hint) < 0);
}

/* Of kind topic whose messages are pictures. */
static void complete_picture_topic(struct ei_spec_subject *s)
{
    static const char *const sides[] = {"width", "height"};
    struct ei_input_spec *input = &s->task->input;
    for (size_t i = 0; i < sizeof sides / sizeof sides[0] && !is_message_unknown(s); i++) {
        if (ei_spec_subject_node(s, "input", sides[i]) < 0) {
            ei_spec_error(s->rd, ei_spec_subject_node(s, "input", NULL),
                          "write the size of the camera's pictures, in pixels", "input of task '%s' has no '%s'",
                          s->task->name, sides[i]);
        }
    }
    input->channels = input->channels == 0 ? 3 : input->channels;
}

void ei_spec_check_input(struct ei_spec_reader *rd, int32_t task_idx)
{
    struct ei_spec_subject subject = {.rd = rd, .task = &rd->wl->tasks[task_idx], .node = rd->task_nodes[task_idx]};
    struct ei_spec_subject *s = &subject;
    const struct ei_task_spec *task = s->task;
    const int32_t node = ei_spec_subject_node(s, "input", NULL);
    if (ei_input_is_result(&task->input)) {
        check_result_input(s);
        return;
    }
    if (!ei_input_is_handed_in(&task->input)) {
        return;
    }
    if (task->input.kind == EI_SPEC_INPUT_TOPIC) {
        complete_picture_topic(s);
    }
    if (task->input.message == EI_SPEC_MESSAGE_COMPRESSED_IMAGE && !ei_task_has_op(task, EI_SPEC_OP_DECODE)) {
        ei_spec_error(s->rd, ei_spec_subject_node(s, "input", "message"),
                      "add it: op: [decode, resize: 32x32, normalize]",
                      "compressed pictures need op decode in task '%s'", task->name);
    }
    if (task->arrival.model != EI_ARRIVAL_EXTERNAL) {
        ei_spec_error(s->rd, node, "write arrival: { model: external, min_interarrival: ... }",
                      "pictures of task '%s' come with its releases, but those do not come from outside", task->name);
    }
    if (task->input.memory == EI_SPEC_MEMORY_DEVICE) {
        check_device_memory(s);
    }
    if (task->input.channels == 2) {
        ei_spec_error(s->rd, ei_spec_subject_node(s, "input", "channels"), "write 1 or 3",
                      "a picture has no 2 channels");
    }
}
