/* Inside of reading a workload file: the tree under way, shared by spec_read.c (by the field table, one mapping at a
 * time), spec_check.c (what needs several fields) and spec_trace.c. Private to workloads/.
 *
 * Broken values leave a mark that later checks step over, so that one mistake is reported once: a duration of 0, an
 * index of EI_NONE_IDX, a discriminator of EI_SPEC_UNKNOWN.
 */
#ifndef WORKLOADS_SPEC_READ_H
#define WORKLOADS_SPEC_READ_H

#include "workloads/fields.h"
#include "workloads/yaml.h"

#define EI_SPEC_UNKNOWN (-1) /* value of a discriminator that could not be read */
#define EI_SPEC_LABEL_MAX 160

struct ei_spec_reader {
    struct ei_workload *wl;
    struct ei_diagnostics *diag;
    struct ei_yaml yaml;
    char folder[EI_SPEC_PATH_MAX]; /* of the workload file, with the final '/'; "" = working directory */
    int32_t task_nodes[EI_TASKS_MAX];
    const struct ei_setting *settings; /* [setting_count] */
    int32_t setting_count;
    bool is_built; /* by calls: there are no places, and errors name the path of a node instead */
    int rc;        /* -ENOMEM when memory ran out, else 0 */
};

/* Put the settings into the tree (spec_set.c). Returns 0, -ENOMEM, or EINET_E_FILE with the error reported. */
int ei_spec_apply_settings(struct ei_spec_reader *reader);

/* The same for one part of any kind, in place of what its path leads to; its value is not looked at. */
int ei_spec_set_part(struct ei_spec_reader *reader, const struct ei_setting *setting, const struct ei_yaml *part);

/* Fill wl from the tree. */
void ei_spec_read(struct ei_spec_reader *reader);

/* Fill base, of the context's struct, from a mapping; node -1 fills in the defaults. label names it in messages. */
void ei_spec_read_map(struct ei_spec_reader *reader, enum ei_context context, int32_t node, void *base,
                      const char *label);

/* Values of keys (spec_read_value.c). Each reports what is wrong with its node and then leaves the mark of a broken
 * value. */
void ei_spec_read_scalar(struct ei_spec_reader *reader, const struct ei_field *field, int32_t node, void *slot);
void ei_spec_read_lanes(struct ei_spec_reader *reader, const struct ei_field *field, int32_t node,
                        struct ei_stage_spec *stage, const char *label);
void ei_spec_read_reference(struct ei_spec_reader *reader, const struct ei_field *field, int32_t node, void *slot,
                            const char *label);
void ei_spec_read_ops(struct ei_spec_reader *reader, const struct ei_field *field, int32_t node,
                      struct ei_stage_spec *stage);
void ei_spec_read_mk(struct ei_spec_reader *reader, const struct ei_field *field, int32_t node,
                     struct ei_slo_spec *slo);
void ei_spec_read_time(struct ei_spec_reader *reader, const struct ei_field *field, int32_t node,
                       struct ei_emulated_time *time, const char *label);
void ei_spec_read_word_or_map(struct ei_spec_reader *reader, const struct ei_field *field, int32_t node, void *slot,
                              const char *label);

/* "arrival of task 'camera'": the label of a mapping inside the one that parent names. */
void ei_spec_join_label(enum ei_context child, const char *parent, char out[EI_SPEC_LABEL_MAX]);

/* Derived values and whole-file checks. */
void ei_spec_check(struct ei_spec_reader *reader);
void ei_spec_check_task(struct ei_spec_reader *reader, int32_t task_idx);           /* spec_check_task.c */
void ei_spec_check_input(struct ei_spec_reader *reader, int32_t task_idx);          /* spec_check_input.c */
void ei_spec_check_deadline_class(struct ei_spec_reader *reader, int32_t task_idx); /* spec_check_deadline.c */
void ei_spec_check_topics(struct ei_spec_reader *reader); /* spec_check_topic.c; after the tasks */
void ei_spec_check_lanes(struct ei_spec_reader *reader);  /* spec_check_lane.c: find fallbacks; before the tasks */
void ei_spec_check_chains(struct ei_spec_reader *reader); /* spec_check_chain.c: find predecessors; before the tasks */

/* The distance after which the next release may come; 0 when unknown or none (spec_check_task.c). */
int64_t ei_spec_interarrival_ns(const struct ei_arrival_spec *arrival);

/* Read the trace file of an aperiodic task; node is the value of its `trace`. */
void ei_spec_read_trace(struct ei_spec_reader *reader, struct ei_arrival_spec *arrival, int32_t node);

/* Node of the value at up to three nested keys below map (the later ones may be NULL), or -1. */
int32_t ei_spec_node(const struct ei_spec_reader *reader, int32_t map, const char *key, const char *key2);

/* A task that is checked. */
struct ei_spec_subject {
    struct ei_spec_reader *rd;
    struct ei_task_spec *task;
    int32_t node; /* its mapping */
};

static inline int32_t ei_spec_subject_node(const struct ei_spec_subject *s, const char *key, const char *key2)
{
    return ei_spec_node(s->rd, s->node, key, key2);
}

/* Report at a node; node -1 reports on the file as a whole. */
void ei_spec_error(struct ei_spec_reader *reader, int32_t node, const char *hint, const char *fmt, ...)
    EINET_PRINTF(4, 5);
void ei_spec_warn(struct ei_spec_reader *reader, int32_t node, const char *hint, const char *fmt, ...)
    EINET_PRINTF(4, 5);

/* A whole regular file of at most max_bytes in memory, with a 0 behind it. Returns 0 with *out_text (free it), or a
 * negative error with a sentence in out_why. */
int ei_spec_read_file(const char *path, int64_t max_bytes, char **out_text, size_t *out_length_bytes, char *out_why,
                      size_t why_bytes);

#endif
