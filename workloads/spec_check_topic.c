/* Topics of ROS 2: their names, and which a task writes to. See spec_read.h. */
#include "workloads/spec_read.h"

#include <string.h>

/* Names as ROS 2 has them: tokens of letters, digits and _ behind a /, none of which begins with a digit. */
static bool is_topic(const char *name)
{
    bool is_ok = name[0] == '/';
    for (const char *at = name; is_ok && *at != '\0'; at++) {
        const bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
        const bool is_digit = *at >= '0' && *at <= '9';
        is_ok = *at == '/' ? at[1] != '\0' && at[1] != '/' && !(at[1] >= '0' && at[1] <= '9') : is_letter || is_digit;
    }
    return is_ok && strlen(name) <= EI_SPEC_TOPIC_MAX;
}

static void check_name(struct ei_spec_reader *rd, int32_t node, const char *name, const char *hint)
{
    if (!is_topic(name)) {
        ei_spec_error(rd, node, hint,
                      "a topic is /, then letters, digits and _ in parts divided by /, at most %d bytes",
                      EI_SPEC_TOPIC_MAX);
    }
}

/* The outputs of a task, by their keys. */
#define OUTPUTS 3
static const char *const keys[OUTPUTS] = {"classification", "status", "partial"};

static char *output_of(struct ei_task_spec *task, int32_t output)
{
    char *const names[OUTPUTS] = {task->topics.classification, task->topics.status, task->topics.partial};
    return names[output];
}

/* "/einet/TASK/WHAT", what is no letter or digit of the task's name being _ there. */
static void print_default(const char *task_name, const char *what, char out_name[EI_SPEC_PATH_MAX])
{
    char name[EI_SPEC_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s", task_name);
    for (char *at = name; *at != '\0'; at++) {
        const bool is_plain =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') || *at == '_';
        *at = is_plain ? *at : '_';
    }
    (void)snprintf(out_name, EI_SPEC_PATH_MAX, "/einet/%s%s/%s", name[0] >= '0' && name[0] <= '9' ? "_" : "", name,
                   what);
}

static int32_t output_node(const struct ei_spec_reader *rd, int32_t task_idx, int32_t output)
{
    return ei_spec_node(rd, rd->task_nodes[task_idx], "outputs", keys[output]);
}

/* A stage whose kind could not be read was reported already; it may be the network. */
static bool has_whole_stages(const struct ei_task_spec *task)
{
    bool is_whole = task->stage_count > 0;
    for (int32_t i = 0; i < task->stage_count; i++) {
        is_whole = is_whole && (int)task->stages[i].kind != EI_SPEC_UNKNOWN;
    }
    return is_whole;
}

/* Fill in what is auto; an answer is there only where there is a network. */
static void resolve(struct ei_spec_reader *rd, int32_t task_idx)
{
    struct ei_task_spec *task = &rd->wl->tasks[task_idx];
    for (int32_t i = 0; i < OUTPUTS; i++) {
        char *name = output_of(task, i);
        const int32_t node = output_node(rd, task_idx, i);
        const bool is_default = strcmp(name, "auto") == 0;
        const bool has_answers = task->nn_stage_idx >= 0 || strcmp(keys[i], "status") == 0;
        if (name[0] != '\0' && !has_answers) {
            if (node >= 0 && !is_default && has_whole_stages(task)) {
                ei_spec_error(rd, node, "remove it", "%s of task '%s' needs an nn stage", keys[i], task->name);
            }
            memset(name, 0, EI_SPEC_PATH_MAX);
        } else if (is_default) {
            print_default(task->name, keys[i], name);
        } else if (name[0] != '\0') {
            check_name(rd, node, name, "write a name such as /camera/class, auto, or none");
        }
    }
}

static void refuse_same(struct ei_spec_reader *rd, int32_t task_idx, int32_t output, const char *owner)
{
    const int32_t node = output_node(rd, task_idx, output);
    struct ei_task_spec *task = &rd->wl->tasks[task_idx];
    ei_spec_error(rd, node >= 0 ? node : rd->task_nodes[task_idx], "give it another name under outputs",
                  "%s of task '%s' is topic %s, which is one of task '%s' already", keys[output], task->name,
                  output_of(task, output), owner);
}

/* A task of this run needs no message to follow another one. */
static void refuse_follower(struct ei_spec_reader *rd, int32_t task_idx, int32_t owner_idx)
{
    const struct ei_task_spec *task = &rd->wl->tasks[task_idx], *owner = &rd->wl->tasks[owner_idx];
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    (void)snprintf(hint, sizeof hint, "write arrival: { model: after, task: %s } and no input", owner->name);
    ei_spec_error(rd, ei_spec_node(rd, rd->task_nodes[task_idx], "input", "topic"), hint,
                  "the input of task '%s' is topic %s, which is an output of task '%s' of this very file", task->name,
                  task->input.topic, owner->name);
}

/* Two writers of one topic would be told apart by nobody, and an output that is an input goes round for ever. */
static void check_unique(struct ei_spec_reader *rd, int32_t task_idx, int32_t output)
{
    struct ei_workload *wl = rd->wl;
    const char *name = output_of(&wl->tasks[task_idx], output);
    for (int32_t t = 0; t < wl->task_count; t++) {
        if (wl->tasks[t].input.kind == EI_SPEC_INPUT_TOPIC && strcmp(wl->tasks[t].input.topic, name) == 0) {
            if (ei_input_is_result(&wl->tasks[t].input) && t != task_idx) {
                refuse_follower(rd, t, task_idx);
            } else {
                refuse_same(rd, task_idx, output, wl->tasks[t].name);
            }
            return;
        }
        for (int32_t i = 0; i < OUTPUTS && t <= task_idx; i++) {
            if ((t < task_idx || i < output) && strcmp(output_of(&wl->tasks[t], i), name) == 0) {
                refuse_same(rd, task_idx, output, wl->tasks[t].name);
                return;
            }
        }
    }
}

void ei_spec_check_topics(struct ei_spec_reader *rd)
{
    struct ei_workload *wl = rd->wl;
    for (int32_t i = 0; i < wl->task_count; i++) {
        struct ei_task_spec *task = &wl->tasks[i];
        const bool is_read = ei_yaml_node(&rd->yaml, rd->task_nodes[i])->kind == EI_YAML_MAP;
        const int32_t node = is_read ? ei_spec_node(rd, rd->task_nodes[i], "outputs", NULL) : -1;
        if (task->input.kind == EI_SPEC_INPUT_TOPIC && task->input.topic[0] != '\0') {
            check_name(rd, ei_spec_node(rd, rd->task_nodes[i], "input", "topic"), task->input.topic,
                       "write a name such as /camera/image_raw");
        }
        if (wl->tasks[ei_workload_chain_head(wl, i)].input.kind == EI_SPEC_INPUT_TOPIC) {
            resolve(rd, i);
            continue;
        }
        if (node >= 0) {
            ei_spec_error(rd, node, "give the first task of its chain input: { kind: topic, ... }, or remove it",
                          "outputs of task '%s' speak of the messages of a topic, and it gets none", task->name);
        }
        memset(&task->topics, 0, sizeof task->topics);
    }
    for (int32_t i = 0; i < wl->task_count; i++) {
        for (int32_t k = 0; k < OUTPUTS; k++) {
            if (output_of(&wl->tasks[i], k)[0] != '\0') {
                check_unique(rd, i, k);
            }
        }
    }
}
