/* Workloads made by calls: structs become the tree that a file would be read into. See einet/draft.h. */
#include "library/sized.h"
#include "library/workload.h"
#include "workloads/fields.h"
#include "workloads/spec_tree.h"
#include <einet/draft.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct einet_draft {
    struct ei_yaml tree;
    bool is_broken; /* memory ran out in the midst of something */
};

/* ---- fields of the structs and keys of the file ---- */

enum kind {
    TEXT,  /* const char *: taken as it is */
    VALUE, /* const char *: written as in a file */
    COUNT, /* int32_t */
    TIME   /* int64_t ns; EINET_NONE */
};

struct entry {
    const char *map; /* the mapping inside which the key stands; NULL = that of the whole */
    const char *key;
    size_t offset;
    enum kind kind;
};

#define LANE(member) offsetof(struct einet_draft_lane, member)
#define MODEL(member) offsetof(struct einet_draft_model, member)
#define TASK(member) offsetof(struct einet_draft_task, member)
#define STAGE(member) offsetof(struct einet_draft_stage, member)
#define COUNT_OF(table) ((int32_t)(sizeof(table) / sizeof *(table)))

static const struct entry lane_entries[] = {
    {NULL, "kind", LANE(kind), TEXT},          {NULL, "cpus", LANE(cpus), TEXT},
    {NULL, "preempt", LANE(preempt), TEXT},    {NULL, "backend", LANE(backend), TEXT},
    {NULL, "wait", LANE(wait), TEXT},          {NULL, "fallback", LANE(fallback), TEXT},
    {NULL, "hang", LANE(hang_ns), TIME},       {NULL, "threads", LANE(threads), COUNT},
    {NULL, "device", LANE(device_idx), COUNT}, {NULL, "depth", LANE(depth), COUNT},
    {NULL, "sms", LANE(sms), COUNT},
};

static const struct entry model_entries[] = {
    {NULL, "zoo", MODEL(zoo), TEXT},         {NULL, "dataset", MODEL(dataset), TEXT},
    {NULL, "weights", MODEL(weights), TEXT}, {NULL, "bundle", MODEL(bundle), TEXT},
    {NULL, "profile", MODEL(profile), TEXT},
};

static const struct entry task_entries[] = {
    {NULL, "name", TASK(name), TEXT},
    {NULL, "class", TASK(scheduling_class), TEXT},
    {NULL, "cpus", TASK(cpus), TEXT},
    {NULL, "priority", TASK(priority), COUNT},
    {NULL, "overlap", TASK(overlap), COUNT},
    {"arrival", "model", TASK(arrival), TEXT},
    {"arrival", "period", TASK(period_ns), TIME},
    {"arrival", "offset", TASK(offset_ns), TIME},
    {"arrival", "jitter", TASK(jitter_ns), TIME},
    {"arrival", "min_interarrival", TASK(min_interarrival_ns), TIME},
    {"arrival", "mean", TASK(mean_ns), TIME},
    {"arrival", "median", TASK(median_ns), TIME},
    {"arrival", "dist", TASK(dist), TEXT},
    {"arrival", "spacing", TASK(spacing_ns), TIME},
    {"arrival", "count", TASK(count), COUNT},
    {"arrival", "trace", TASK(trace), TEXT},
    {"arrival", "task", TASK(after), TEXT},
    {"late_release", "queue", TASK(queue), COUNT},
    {"late_release", "drop", TASK(drop), TEXT},
    {NULL, "deadline", TASK(deadline_ns), TIME},
    {NULL, "max_blocking", TASK(max_blocking_ns), TIME},
    {NULL, "on_preempt", TASK(on_preempt), TEXT},
    {NULL, "on_deadline", TASK(on_deadline), TEXT},
    {NULL, "on_overrun", TASK(on_overrun), TEXT},
    {NULL, "max_preemptions", TASK(max_preemptions), COUNT},
    {"input", "kind", TASK(input), TEXT},
    {"input", "width", TASK(width_px), COUNT},
    {"input", "height", TASK(height_px), COUNT},
    {"input", "channels", TASK(channels), COUNT},
    {"input", "name", TASK(dataset), TEXT},
    {"input", "split", TASK(split), TEXT},
    {"input", "dir", TASK(dir), TEXT},
    {"input", "memory", TASK(memory), TEXT},
    {"input", "topic", TASK(topic), TEXT},
    {"input", "message", TASK(message), TEXT},
};

static const struct entry stage_entries[] = {
    {NULL, "name", STAGE(name), TEXT},        {NULL, "op", STAGE(op), VALUE},
    {"work", "spin", STAGE(work_ns), TIME},   {NULL, "path", STAGE(path), TEXT},
    {NULL, "model", STAGE(model), TEXT},      {NULL, "lane", STAGE(lane), VALUE},
    {NULL, "budget", STAGE(budget_ns), TIME}, {NULL, "timeout", STAGE(timeout_ns), TIME},
};

/* ---- writing ---- */

/* What is added, as a tree of its own, so that a draft takes it as a whole or not at all. */
struct part {
    struct ei_yaml tree;
    struct ei_diagnostics diag;
    int rc; /* of the first failure; nothing is done after it */
};

static void part_init(struct part *part)
{
    *part = (struct part){.tree = {.root = -1}};
    part->rc = ei_diagnostics_init(&part->diag, "");
    if (part->rc == 0) {
        const int32_t root = ei_yaml_append(&part->tree, -1, EI_YAML_MAP, NULL, true);
        part->rc = root < 0 ? root : 0;
    }
}

static void part_fini(struct part *part)
{
    ei_yaml_fini(&part->tree);
    ei_diagnostics_fini(&part->diag);
}

static void put(struct part *part, int32_t map, const char *key, const char *text)
{
    if (part->rc == 0) {
        part->rc = ei_spec_tree_put(&part->tree, map, key, text);
    }
}

static void put_time(struct part *part, int32_t map, const char *key, int64_t ns)
{
    char text[EI_DURATION_TEXT_MAX] = "none";
    if (ns >= 0) {
        ei_duration_format(ns, text);
    } else if (ns != EINET_NONE) { /* which the check refuses */
        snprintf(text, sizeof text, "%lldns", (long long)ns);
    }
    put(part, map, key, text);
}

static int32_t enter(struct part *part, int32_t map, const char *key, enum ei_yaml_kind kind)
{
    const int32_t node = part->rc == 0 ? ei_yaml_enter(&part->tree, map, key, kind) : -ENOMEM;
    part->rc = part->rc == 0 && node < 0 ? node : part->rc;
    return node;
}

/* The mapping of an entry. */
static int32_t map_of(struct part *part, const struct entry *entry)
{
    return entry->map != NULL ? enter(part, part->tree.root, entry->map, EI_YAML_MAP) : part->tree.root;
}

static void put_text(struct part *part, const struct entry *entry, const char *text)
{
    if (text == NULL) {
        return;
    }
    const int32_t map = map_of(part, entry);
    if (entry->kind == TEXT) {
        put(part, map, entry->key, text);
    } else if (part->rc == 0) {
        part->rc = ei_spec_tree_put_value(&part->tree, map, entry->key, text, &part->diag);
    }
}

static void put_entry(struct part *part, const struct entry *entry, const char *base)
{
    const char *text = NULL;
    int32_t count = 0;
    int64_t ns = 0;
    char digits[16];
    switch (entry->kind) {
    case TEXT:
    case VALUE:
        memcpy(&text, base + entry->offset, sizeof text);
        put_text(part, entry, text);
        break;
    case COUNT:
        memcpy(&count, base + entry->offset, sizeof count);
        if (count != 0) {
            snprintf(digits, sizeof digits, "%d", count);
            put(part, map_of(part, entry), entry->key, digits);
        }
        break;
    case TIME:
        memcpy(&ns, base + entry->offset, sizeof ns);
        if (ns != 0) {
            put_time(part, map_of(part, entry), entry->key, ns);
        }
        break;
    }
}

static void put_entries(struct part *part, const struct entry *entries, int32_t count, const void *base)
{
    for (int32_t i = 0; i < count; i++) {
        put_entry(part, &entries[i], base);
    }
}

/* ---- adding ---- */

static int take(void *ours, size_t our_bytes, const void *theirs, const char *const *name, const char *what,
                struct einet_error *err)
{
    const int rc = ei_sized_take(ours, our_bytes, theirs);
    if (rc < 0) {
        return einet_error_set(err, rc,
                               "a %s without a size, or of a newer einet than this library: set size_bytes to sizeof "
                               "the struct",
                               what);
    }
    return *name != NULL ? 0 : einet_error_set(err, EINET_E_USAGE, "a %s without a name: give it one", what);
}

static int no_memory(struct einet_draft *draft, struct einet_error *err)
{
    draft->is_broken = true;
    return einet_error_set(err, -ENOMEM, "no memory for the draft");
}

/* The mapping or list behind the key of a mapping, made when there is none. map negative: returned; -EINVAL: something
 * else was set there. */
static int32_t enter_kind(struct ei_yaml *tree, int32_t map, const char *key, enum ei_yaml_kind kind)
{
    if (map < 0) {
        return map;
    }
    const int32_t node = tree->nodes[map].kind == EI_YAML_MAP ? ei_yaml_enter(tree, map, key, kind) : -EINVAL;
    return node >= 0 && tree->nodes[node].kind != kind ? -EINVAL : node;
}

/* The part becomes an entry behind those of a list, or the value of a key that a mapping does not have. */
static int add_part(struct einet_draft *draft, struct part *part, int32_t parent, const char *key,
                    struct einet_error *err)
{
    int rc = part->rc;
    if (rc == 0) {
        const int32_t node = parent < 0    ? parent
                             : key != NULL ? ei_yaml_enter(&draft->tree, parent, key, EI_YAML_MAP)
                                           : ei_yaml_append(&draft->tree, parent, EI_YAML_MAP, NULL, true);
        rc = node < 0 ? node : ei_yaml_graft(&draft->tree, node, &part->tree, part->tree.root);
    } else if (rc != -ENOMEM) {
        (void)ei_diagnostics_to_error(&part->diag, err);
    }
    part_fini(part);
    if (rc == -EINVAL) {
        return einet_error_set(err, EINET_E_USAGE, "something else was set where this belongs: set it after this call");
    }
    return rc == -ENOMEM ? no_memory(draft, err) : rc;
}

/* An entry of lanes or models, which are there no more than once. */
static int add_named(struct einet_draft *draft, struct part *part, const char *list, const char *what, const char *name,
                     struct einet_error *err)
{
    if (ei_yaml_find(&draft->tree, ei_yaml_find(&draft->tree, draft->tree.root, list), name) >= 0) {
        part_fini(part);
        return einet_error_set(err, EINET_E_USAGE, "there is a %s '%.60s' already: give one of them another name", what,
                               name);
    }
    return add_part(draft, part, enter_kind(&draft->tree, draft->tree.root, list, EI_YAML_MAP), name, err);
}

/* The task of that name, -1 = none. */
static int32_t find_task(const struct einet_draft *draft, const char *name)
{
    const struct ei_yaml *tree = &draft->tree;
    const int32_t tasks = ei_yaml_find(tree, tree->root, "tasks");
    const bool is_list = tasks >= 0 && tree->nodes[tasks].kind == EI_YAML_LIST;
    for (int32_t i = is_list ? tree->nodes[tasks].first : -1; i >= 0; i = tree->nodes[i].next) {
        const int32_t node = ei_yaml_find(tree, i, "name");
        if (node >= 0 && tree->nodes[node].text != NULL && strcmp(tree->nodes[node].text, name) == 0) {
            return i;
        }
    }
    return -1;
}

int einet_draft_create(const char *name, struct einet_draft **out_draft, struct einet_error *err)
{
    struct einet_draft *draft = calloc(1, sizeof *draft);
    if (draft == NULL || ei_spec_tree_init(&draft->tree, name) < 0) {
        free(draft);
        return einet_error_set(err, -ENOMEM, "no memory for the draft");
    }
    *out_draft = draft;
    return 0;
}

void einet_draft_destroy(struct einet_draft *draft)
{
    if (draft != NULL) {
        ei_yaml_fini(&draft->tree);
        free(draft);
    }
}

int einet_draft_add_lane(struct einet_draft *draft, const struct einet_draft_lane *lane, struct einet_error *err)
{
    struct einet_draft_lane ours = {0};
    struct part part;
    const int rc = take(&ours, sizeof ours, lane, &ours.name, "lane", err);
    if (rc < 0) {
        return rc;
    }
    part_init(&part);
    put_entries(&part, lane_entries, COUNT_OF(lane_entries), &ours);
    return add_named(draft, &part, "lanes", "lane", ours.name, err);
}

int einet_draft_add_model(struct einet_draft *draft, const struct einet_draft_model *model, struct einet_error *err)
{
    struct einet_draft_model ours = {0};
    struct part part;
    const int rc = take(&ours, sizeof ours, model, &ours.name, "model", err);
    if (rc < 0) {
        return rc;
    }
    part_init(&part);
    put_entries(&part, model_entries, COUNT_OF(model_entries), &ours);
    return add_named(draft, &part, "models", "model", ours.name, err);
}

static void put_part_time(struct part *part, const char *key, int64_t ns, int64_t p99_ns)
{
    if (p99_ns == 0) {
        put_time(part, part->tree.root, key, ns);
        return;
    }
    const int32_t lognormal = enter(part, enter(part, part->tree.root, key, EI_YAML_MAP), "lognormal", EI_YAML_MAP);
    put_time(part, lognormal, "median", ns);
    put_time(part, lognormal, "p99", p99_ns);
}

int einet_draft_add_block(struct einet_draft *draft, const char *model_name, const struct einet_draft_block *block,
                          struct einet_error *err)
{
    struct einet_draft_block ours = {0};
    struct part part;
    char score[64];
    const int rc = take(&ours, sizeof ours, block, &model_name, "block", err);
    if (rc < 0) {
        return rc;
    }
    struct ei_yaml *tree = &draft->tree;
    const int32_t model = ei_yaml_find(tree, ei_yaml_find(tree, tree->root, "models"), model_name);
    if (model < 0) {
        return einet_error_set(err, EINET_E_USAGE, "there is no model '%.60s': add it before its blocks", model_name);
    }
    part_init(&part);
    put_part_time(&part, "conv", ours.block_ns, ours.block_p99_ns);
    put_part_time(&part, "branch", ours.exit_ns, ours.exit_p99_ns);
    ei_field_format(ei_field_find(EI_CONTEXT_BLOCK, "score", -1), &ours.score, score, sizeof score);
    put(&part, part.tree.root, "score", score);
    const int32_t emulate = enter_kind(tree, model, "emulate", EI_YAML_MAP);
    return add_part(draft, &part, enter_kind(tree, emulate, "blocks", EI_YAML_LIST), NULL, err);
}

int einet_draft_add_task(struct einet_draft *draft, const struct einet_draft_task *task, struct einet_error *err)
{
    struct einet_draft_task ours = {0};
    struct part part;
    const int rc = take(&ours, sizeof ours, task, &ours.name, "task", err);
    if (rc < 0) {
        return rc;
    }
    part_init(&part);
    put_entries(&part, task_entries, COUNT_OF(task_entries), &ours);
    if (ours.arrival != NULL && strcmp(ours.arrival, "burst") == 0) { /* where 0 is a distance, and has no default */
        put_time(&part, enter(&part, part.tree.root, "arrival", EI_YAML_MAP), "spacing", ours.spacing_ns);
    }
    return add_part(draft, &part, enter_kind(&draft->tree, draft->tree.root, "tasks", EI_YAML_LIST), NULL, err);
}

int einet_draft_add_stage(struct einet_draft *draft, const char *task_name, const struct einet_draft_stage *stage,
                          struct einet_error *err)
{
    struct einet_draft_stage ours = {0};
    struct part part;
    const int rc = take(&ours, sizeof ours, stage, &ours.name, "stage", err);
    if (rc < 0) {
        return rc;
    }
    const int32_t task = find_task(draft, task_name);
    if (task < 0) {
        return einet_error_set(err, EINET_E_USAGE, "there is no task '%.60s': add it before its stages", task_name);
    }
    part_init(&part);
    put(&part, part.tree.root, "kind", ours.model != NULL ? "nn" : "cpu");
    put_entries(&part, stage_entries, COUNT_OF(stage_entries), &ours);
    const int32_t stages = part.rc == 0 ? enter_kind(&draft->tree, task, "stages", EI_YAML_LIST) : -1;
    return add_part(draft, &part, stages, NULL, err);
}

/* ---- the rest, and the end ---- */

int einet_draft_set(struct einet_draft *draft, const char *path, const char *value, struct einet_error *err)
{
    struct ei_diagnostics diag;
    int rc = ei_diagnostics_init(&diag, "");
    if (rc == 0) {
        rc = ei_spec_tree_set(&draft->tree, path, value, &diag);
        (void)ei_diagnostics_to_error(&diag, err);
        ei_diagnostics_fini(&diag);
    }
    return rc == -ENOMEM ? no_memory(draft, err) : rc;
}

int einet_draft_finish(const struct einet_draft *draft, struct einet_workload **out_workload, struct einet_error *err)
{
    struct ei_workload *spec = NULL;
    struct ei_diagnostics diag;
    if (draft->is_broken) {
        return einet_error_set(err, -ENOMEM, "no memory for the draft");
    }
    const int rc = ei_workload_from_tree(&draft->tree, &spec, &diag);
    return ei_workload_make_handle(rc, spec, &diag, out_workload, err);
}
