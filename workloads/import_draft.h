/* A workload under way while a foreign file is read: the spec as it will be written, and what must be said about it.
 * Shared by the three readers (import_rt_app.c, import_disb.c, import_rtspin.c) and the writer. Private to workloads/.
 *
 * Three ways to speak: ei_import_refuse (the file is wrong: always an error), ei_import_lose (right, but our grammar
 * has no word for it: an error, or with is_lossy a warning and a comment) and ei_import_note (true as it stands, with
 * a remark: a comment). One owner thread.
 */
#ifndef WORKLOADS_IMPORT_DRAFT_H
#define WORKLOADS_IMPORT_DRAFT_H

#include "workloads/fields.h"
#include "workloads/import.h"
#include "workloads/import_json.h"
#include "workloads/spec.h"

#define EI_IMPORT_NOTES_MAX 400
#define EI_IMPORT_HEAD (-1) /* scope of a remark on the file as a whole */

struct ei_import_remark {
    int32_t task_idx; /* EI_IMPORT_HEAD, or the task that it stands above */
    int32_t line;     /* of the imported file */
    bool is_lost;
    char text[EI_DIAGNOSTIC_TEXT_MAX];
};

struct ei_import_draft {
    const struct ei_import_options *options;
    const char *file;   /* name of the imported file */
    const char *folder; /* of it, with the final '/'; "" = working directory */
    const char *stem;   /* of side files */
    struct ei_diagnostics *diag;
    struct ei_workload *wl; /* only what the writer prints is set */
    int32_t scope;          /* of the next remarks: EI_IMPORT_HEAD or a task index */
    char label[96];         /* what is being read, for messages: "task 'camera'" */
    int32_t remark_count;
    int32_t remarks_hidden; /* beyond the limit */
    struct ei_import_remark *remarks;
    int32_t side_count;
    struct ei_import_side sides[EI_IMPORT_SIDES_MAX];
    int rc; /* -ENOMEM when memory ran out, else 0 */
};

/* A place to speak about. */
struct ei_import_at {
    struct ei_place place;
    int32_t length;
};

static inline struct ei_import_at ei_import_at_key(const struct ei_json_node *node)
{
    return node->key != NULL ? (struct ei_import_at){node->key_place, node->key_length}
                             : (struct ei_import_at){node->place, node->length};
}

static inline struct ei_import_at ei_import_at_value(const struct ei_json_node *node)
{
    return (struct ei_import_at){node->place, node->length};
}

/* ---- speaking ---- */

void ei_import_refuse(struct ei_import_draft *draft, struct ei_import_at at, const char *hint, const char *fmt, ...)
    EINET_PRINTF(4, 5);

/* Returns is_lossy: whether to go on without it. */
bool ei_import_lose(struct ei_import_draft *draft, struct ei_import_at at, const char *hint, const char *fmt, ...)
    EINET_PRINTF(4, 5);

void ei_import_note(struct ei_import_draft *draft, struct ei_import_at at, const char *fmt, ...) EINET_PRINTF(3, 4);

/* ---- values ---- */

/* The integer of a node, refused with the draft's label unless it is one in [lo, hi]. */
bool ei_import_integer(struct ei_import_draft *draft, const struct ei_json_node *node, int64_t lo, int64_t hi,
                       int64_t *out);

/* True when the node is of that kind; else it is refused. A real is taken where EI_JSON_REAL is wanted, an integer
 * too. */
bool ei_import_is(struct ei_import_draft *draft, const struct ei_json_node *node, enum ei_json_kind kind);

/* Whether the value is inside the range of a field of our grammar; if not, it is lost. */
bool ei_import_is_in_range(struct ei_import_draft *draft, struct ei_import_at at, enum ei_context context,
                           const char *key, int64_t value);

/* The length of the run, 1..INT32_MAX seconds. With losses one that is too long becomes the longest. */
void ei_import_set_duration(struct ei_import_draft *draft, struct ei_import_at at, int64_t seconds);

/* A set of CPUs from an array of numbers. */
bool ei_import_cpus(struct ei_import_draft *draft, const struct ei_json *json, const struct ei_json_node *node,
                    struct ei_cpuset *out);

struct ei_import_key {
    const char *name;
    bool is_idle; /* not of the workload: left out with a note */
};

/* Refuse keys that occur twice, lose unknown ones, note idle ones. keys ends with a NULL name. */
void ei_import_check_keys(struct ei_import_draft *draft, const struct ei_json *json, const struct ei_json_node *object,
                          const struct ei_import_key *keys);

/* ---- tasks ---- */

/* A task with the right blanks, not yet in the draft. */
void ei_import_task_blank(struct ei_task_spec *task);

/* A plain-work stage of that name behind the others, or more time for the last one when there is no room. */
void ei_import_task_spin(struct ei_task_spec *task, const char *name, int64_t spin_ns);

/* Check every number of the task against our grammar and append it under a free legal name made from `name`. False when
 * that is impossible; then it has been reported. */
bool ei_import_task_add(struct ei_import_draft *draft, struct ei_task_spec *task, struct ei_import_at at,
                        const char *name);

/* A legal name made from any text: other characters become '_', and it is cut at the limit. */
void ei_import_name(const char *wanted, char out[EI_SPEC_NAME_MAX]);

/* The remarks of the scope from first on are about a task that is left out: they move to the head, and one more says
 * so. */
void ei_import_task_leave_out(struct ei_import_draft *draft, struct ei_import_at at, int32_t first_remark);

/* ---- the readers and the writer ---- */

void ei_import_rt_app(struct ei_import_draft *draft, const struct ei_json *json);
void ei_import_disb(struct ei_import_draft *draft, const struct ei_json *json);
void ei_import_rtspin(struct ei_import_draft *draft, const char *text, size_t length_bytes);

/* The workload file; free it. NULL when memory ran out. */
char *ei_import_write(const struct ei_import_draft *draft, enum ei_import_format format);

#endif
