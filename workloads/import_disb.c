/* DISB's JSON (github.com/SJTU-IPADS/disb): a list of clients that send inferences to one accelerator. The file names
 * models but not how long they take, so the caller says that; each becomes an emulated network of one block.
 * docs/import.md has the table. See import_draft.h.
 */
#include "workloads/import_draft.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LANE_NAME "acc0"
#define PRIORITY_TOP 80
#define LEVEL_MAX 1000000
#define MIN_INTERARRIVAL_NS (INT64_C(100) * 1000) /* the shortest that a sporadic task may have */

struct disb {
    struct ei_import_draft *draft;
    const struct ei_json *json;
    int64_t levels[EI_TASKS_MAX];       /* of each task, 0 is the highest */
    int64_t delay_ns[EI_TASKS_MAX];     /* launch delays taken so far, by task of the same frequency */
    int64_t frequency_hz[EI_TASKS_MAX]; /* of coordinated tasks, truncated as DISB does; -1 = not coordinated */
};

/* One client under way. */
struct client {
    const struct ei_json_node *node, *load, *client;
    struct ei_task_spec task;
    int64_t time_ns; /* of one inference */
    int64_t level;
    int64_t frequency_hz; /* -1 = not coordinated */
    bool is_closed_loop;
};

/* ---- models ---- */

/* The model of that name in the draft, made when it is new; -1 when it cannot be. */
static int32_t find_model(struct disb *disb, const struct ei_json_node *name, int64_t time_ns)
{
    struct ei_import_draft *draft = disb->draft;
    struct ei_workload *wl = draft->wl;
    char legal[EI_SPEC_NAME_MAX];
    ei_import_name(name->text, legal);
    for (int32_t i = 0; i < wl->model_count; i++) {
        if (strcmp(wl->models[i].name, legal) == 0 && wl->models[i].blocks[0].conv.median_ns == time_ns) {
            return i;
        }
        if (strcmp(wl->models[i].name, legal) == 0) {
            ei_import_refuse(draft, ei_import_at_value(name), "rename one of them",
                             "two models with different times are both '%s' here", legal);
            return -1;
        }
    }
    if (wl->model_count == EI_MODELS_MAX) {
        ei_import_lose(draft, ei_import_at_value(name), "split the file", "more than %d models", EI_MODELS_MAX);
        return -1;
    }
    struct ei_model_spec *model = &wl->models[wl->model_count];
    memcpy(model->name, legal, sizeof model->name);
    model->kind = EI_SPEC_MODEL_EMULATE;
    model->block_count = 1;
    model->blocks[0].conv = (struct ei_emulated_time){EI_EMULATED_CONSTANT, time_ns, time_ns};
    model->blocks[0].score = 1.0;
    return wl->model_count++;
}

static bool read_model(struct disb *disb, struct client *c)
{
    struct ei_import_draft *draft = disb->draft;
    const struct ei_json_node *name = ei_json_find(disb->json, c->client, "model_name");
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    if (name == NULL) {
        ei_import_lose(draft, ei_import_at_key(c->client), "write \"model_name\": \"resnet\"",
                       "the client of %s names no model", draft->label);
        return false;
    }
    if (!ei_import_is(draft, name, EI_JSON_STRING)) {
        return false;
    }
    for (int32_t i = 0; i < draft->options->time_count; i++) {
        if (strcmp(draft->options->times[i].model, name->text) == 0) {
            c->time_ns = draft->options->times[i].time_ns;
        }
    }
    if (c->time_ns == 0) {
        snprintf(hint, sizeof hint, "add --time %.64s=5ms, with what one inference takes on your device", name->text);
        ei_import_lose(draft, ei_import_at_value(name), hint, "a DISB file does not say how long '%s' takes",
                       name->text);
        return false;
    }
    if (!ei_import_is_in_range(draft, ei_import_at_value(name), EI_CONTEXT_BLOCK, "conv", c->time_ns)) {
        return false;
    }
    const int32_t model_idx = find_model(disb, name, c->time_ns);
    struct ei_stage_spec *stage = &c->task.stages[0];
    c->task.stage_count = 1;
    c->task.nn_stage_idx = 0;
    snprintf(stage->name, sizeof stage->name, "infer");
    stage->kind = EI_SPEC_STAGE_NN;
    stage->spin_ns = EI_NONE_NS;
    stage->budget_ns = EI_NONE_NS;
    stage->model_idx = model_idx;
    stage->lane_idx = 0;
    return model_idx >= 0;
}

/* ---- clients ---- */

static bool read_client(struct disb *disb, struct client *c)
{
    static const struct ei_import_key keys[] = {
        {"name", false},         {"model_name", false},      {"batch_size", false},    {"priority", false},
        {"tfs_grpc_addr", true}, {"triton_grpc_addr", true}, {"benchmarks_dir", true}, {"memory_limit", true},
        {"profile_idx", true},   {"profile_cnt", true},      {"use_cuda_graph", true}, {NULL, false}};
    struct ei_import_draft *draft = disb->draft;
    const struct ei_json_node *batch = ei_json_find(disb->json, c->client, "batch_size");
    const struct ei_json_node *priority = ei_json_find(disb->json, c->client, "priority");
    int64_t batch_size = 1;
    if (!ei_import_is(draft, c->client, EI_JSON_OBJECT)) {
        return false;
    }
    ei_import_check_keys(draft, disb->json, c->client, keys);
    bool is_ok = batch == NULL || ei_import_integer(draft, batch, 1, INT32_MAX, &batch_size);
    if (is_ok && batch_size > 1) {
        is_ok =
            ei_import_lose(draft, ei_import_at_value(batch), "write 1, or import with --lossy",
                           "%s infers batches of %" PRId64 ", and a job here is one picture", draft->label, batch_size);
    }
    if (priority != NULL) { /* what the server goes by; that of the load only spaces the clients */
        is_ok = ei_import_integer(draft, priority, 0, LEVEL_MAX, &c->level) && is_ok;
    }
    return read_model(disb, c) && is_ok;
}

/* ---- loads ---- */

static bool read_frequency(struct disb *disb, struct client *c, double *out_hz)
{
    struct ei_import_draft *draft = disb->draft;
    const struct ei_json_node *node = ei_json_find(disb->json, c->load, "frequency");
    if (node == NULL) {
        ei_import_refuse(draft, ei_import_at_key(c->load), "write \"frequency\": 20, in requests a second",
                         "the load of %s has no 'frequency'", draft->label);
        return false;
    }
    if (!ei_import_is(draft, node, EI_JSON_REAL)) {
        return false;
    }
    if (node->real <= 0) {
        ei_import_refuse(draft, ei_import_at_value(node), "remove the task", "%s never sends: its 'frequency' is %g",
                         draft->label, node->real);
        return false;
    }
    if (node->real < 1e-9 || node->real > 1e9) {
        ei_import_lose(draft, ei_import_at_value(node), "from one an hour to 10000 a second",
                       "the 'frequency' of %s is out of range", draft->label);
        return false;
    }
    *out_hz = node->real;
    return true;
}

static bool read_periodic(struct disb *disb, struct client *c)
{
    static const struct ei_import_key keys[] = {
        {"type", false}, {"priority", false}, {"frequency", false}, {NULL, false}};
    struct ei_import_draft *draft = disb->draft;
    const struct ei_json_node *priority = ei_json_find(disb->json, c->load, "priority");
    double hz = 0;
    int64_t level = 0;
    ei_import_check_keys(draft, disb->json, c->load, keys);
    const bool is_ok = priority == NULL || ei_import_integer(draft, priority, 0, LEVEL_MAX, &level);
    if (!read_frequency(disb, c, &hz) || !is_ok) {
        return false;
    }
    c->task.arrival.model = EI_ARRIVAL_PERIODIC;
    c->task.arrival.period_ns = (int64_t)(1e9 / hz);
    c->level = level;
    c->frequency_hz = level == 0 ? (int64_t)hz : -1;
    return true;
}

static bool read_poisson(struct disb *disb, struct client *c)
{
    static const struct ei_import_key keys[] = {{"type", false}, {"frequency", false}, {NULL, false}};
    double hz = 0;
    ei_import_check_keys(disb->draft, disb->json, c->load, keys);
    if (!read_frequency(disb, c, &hz)) {
        return false;
    }
    c->task.arrival.model = EI_ARRIVAL_SPORADIC;
    c->task.arrival.min_interarrival_ns = MIN_INTERARRIVAL_NS;
    c->task.arrival.mean_ns = (int64_t)(1e9 / hz);
    ei_import_note(disb->draft, ei_import_at_key(c->load),
                   "Poisson arrivals drawn from the run's seed, never two within 100us, the first after a draw too");
    return true;
}

static int compare_times(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* The sorted times as a trace file of the draft. */
static bool write_trace(struct disb *disb, struct client *c, int64_t *times_ms, int32_t count)
{
    struct ei_import_draft *draft = disb->draft;
    char *text = NULL;
    char stem[EI_SPEC_NAME_MAX];
    size_t length = 0;
    if (draft->side_count == EI_IMPORT_SIDES_MAX) {
        ei_import_lose(draft, ei_import_at_key(c->load), "split the file", "more than %d traces", EI_IMPORT_SIDES_MAX);
        return false;
    }
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        draft->rc = -ENOMEM;
        return false;
    }
    qsort(times_ms, (size_t)count, sizeof *times_ms, compare_times);
    fputs("release_ms\n", out);
    for (int32_t i = 0; i < count; i++) {
        fprintf(out, "%" PRId64 "\n", times_ms[i]);
    }
    if (fclose(out) != 0) {
        free(text);
        draft->rc = -ENOMEM;
        return false;
    }
    struct ei_import_side *side = &draft->sides[draft->side_count++];
    side->text = text;
    ei_import_name(draft->stem, stem);
    snprintf(side->name, sizeof side->name, "%s.%d.csv", stem, draft->side_count);
    c->task.arrival.model = EI_ARRIVAL_APERIODIC;
    snprintf(c->task.arrival.trace, sizeof c->task.arrival.trace, "%s", side->name);
    return true;
}

static bool read_trace(struct disb *disb, struct client *c)
{
    static const struct ei_import_key keys[] = {{"type", false}, {"trace", false}, {NULL, false}};
    struct ei_import_draft *draft = disb->draft;
    const struct ei_json_node *trace = ei_json_find(disb->json, c->load, "trace");
    int32_t count = 0;
    bool is_ok = true;
    ei_import_check_keys(draft, disb->json, c->load, keys);
    if (trace == NULL || (trace->kind == EI_JSON_ARRAY && trace->count == 0)) {
        ei_import_refuse(draft, ei_import_at_key(trace != NULL ? trace : c->load), "write \"trace\": [0, 50], in ms",
                         "%s never sends: its 'trace' is empty", draft->label);
        return false;
    }
    if (!ei_import_is(draft, trace, EI_JSON_ARRAY)) {
        return false;
    }
    int64_t *times_ms = calloc((size_t)trace->count, sizeof *times_ms);
    if (times_ms == NULL) {
        draft->rc = -ENOMEM;
        return false;
    }
    for (const struct ei_json_node *at = ei_json_first(disb->json, trace); at != NULL && is_ok;
         at = ei_json_next(disb->json, at)) {
        is_ok = ei_import_integer(draft, at, 0, INT32_MAX, &times_ms[count]);
        count++;
    }
    is_ok = is_ok && write_trace(disb, c, times_ms, count);
    free(times_ms);
    return is_ok;
}

/* The next request is sent when the last one is answered: a period of the pure inference time with one request in
 * waiting never lets the client be idle. */
static bool read_continuous(struct disb *disb, struct client *c)
{
    static const struct ei_import_key keys[] = {{"type", false}, {NULL, false}};
    ei_import_check_keys(disb->draft, disb->json, c->load, keys);
    c->is_closed_loop = true;
    c->level = LEVEL_MAX + 1;
    ei_import_note(disb->draft, ei_import_at_key(c->load),
                   "a closed loop, best effort: one job always waits, so its response times and drops mean nothing");
    return true;
}

static bool read_load(struct disb *disb, struct client *c)
{
    struct ei_import_draft *draft = disb->draft;
    const struct ei_json_node *type = ei_json_find(disb->json, c->load, "type");
    if (!ei_import_is(draft, c->load, EI_JSON_OBJECT)) {
        return false;
    }
    if (type == NULL) {
        ei_import_refuse(draft, ei_import_at_key(c->load), "periodic, poisson, trace or continuous",
                         "the load of %s has no 'type'", draft->label);
        return false;
    }
    if (!ei_import_is(draft, type, EI_JSON_STRING)) {
        return false;
    }
    if (strcmp(type->text, "periodic") == 0) {
        return read_periodic(disb, c);
    }
    if (strcmp(type->text, "poisson") == 0) {
        return read_poisson(disb, c);
    }
    if (strcmp(type->text, "trace") == 0) {
        return read_trace(disb, c);
    }
    if (strcmp(type->text, "continuous") == 0) {
        return read_continuous(disb, c);
    }
    if (strcmp(type->text, "dependent") == 0) {
        ei_import_lose(draft, ei_import_at_value(type), "give it a load of its own",
                       "%s starts when others have ended, and a task here has releases of its own", draft->label);
        return false;
    }
    ei_import_refuse(draft, ei_import_at_value(type), "periodic, poisson, trace, continuous or dependent",
                     "unknown type '%s' of the load of %s", type->text, draft->label);
    return false;
}

/* ---- tasks ---- */

/* DISB keeps clients of the same frequency and of the highest priority apart by the times of those before them. */
static int64_t launch_delay_ns(struct disb *disb, const struct client *c)
{
    int64_t delay_ns = 0;
    for (int32_t i = 0; i < disb->draft->wl->task_count && c->frequency_hz >= 0; i++) {
        delay_ns += disb->frequency_hz[i] == c->frequency_hz ? disb->delay_ns[i] : 0;
    }
    return delay_ns;
}

static const char *client_name(struct disb *disb, const struct client *c)
{
    const struct ei_json_node *id = ei_json_find(disb->json, c->node, "id");
    const struct ei_json_node *name = ei_json_find(disb->json, c->client, "name");
    const struct ei_json_node *model = ei_json_find(disb->json, c->client, "model_name");
    const struct ei_json_node *found = id != NULL ? id : name != NULL ? name : model;
    return found != NULL && found->kind == EI_JSON_STRING && found->text[0] != '\0' ? found->text : "client";
}

static bool add_task(struct disb *disb, struct client *c)
{
    struct ei_import_draft *draft = disb->draft;
    const int32_t task_idx = draft->wl->task_count;
    c->task.late_release.policy = EI_SPEC_LATE_DROP_OLDEST;
    if (c->is_closed_loop) {
        c->task.arrival.model = EI_ARRIVAL_PERIODIC;
        c->task.arrival.period_ns = c->time_ns;
    }
    c->task.arrival.offset_ns = launch_delay_ns(disb, c);
    if (c->task.arrival.offset_ns > 0) {
        ei_import_note(draft, ei_import_at_key(c->load),
                       "starts later than the clients of its frequency before it, as DISB's coordinator has it");
    }
    if (!ei_import_task_add(draft, &c->task, ei_import_at_value(c->node), client_name(disb, c))) {
        return false;
    }
    disb->levels[task_idx] = c->level;
    disb->frequency_hz[task_idx] = c->frequency_hz;
    disb->delay_ns[task_idx] = c->time_ns;
    ei_import_note(draft, ei_import_at_value(c->node), "%s", draft->label);
    return true;
}

static void read_task(struct disb *disb, const struct ei_json_node *node, int32_t number)
{
    static const struct ei_import_key keys[] = {
        {"id", false}, {"load", false}, {"strategy", false}, {"client", false}, {NULL, false}};
    struct ei_import_draft *draft = disb->draft;
    const int32_t first_remark = draft->remark_count;
    const int32_t first_side = draft->side_count;
    const int32_t first_model = draft->wl->model_count;
    struct client c = {.node = node, .frequency_hz = -1};
    snprintf(draft->label, sizeof draft->label, "task %d", number);
    draft->scope = draft->wl->task_count;
    if (!ei_import_is(draft, node, EI_JSON_OBJECT)) {
        return;
    }
    ei_import_task_blank(&c.task);
    c.client = ei_json_find(disb->json, node, "client");
    c.load = ei_json_find(disb->json, node, "load");
    c.load = c.load != NULL ? c.load : ei_json_find(disb->json, node, "strategy"); /* its name before version 1 */
    if (c.client != NULL) {
        snprintf(draft->label, sizeof draft->label, "task %d '%.64s'", number, client_name(disb, &c));
    }
    ei_import_check_keys(draft, disb->json, node, keys);
    if (c.client == NULL || c.load == NULL) {
        ei_import_refuse(draft, ei_import_at_value(node), "a task has id, load and client", "%s has no '%s'",
                         draft->label, c.client == NULL ? "client" : "load");
        return;
    }
    bool is_ok = read_load(disb, &c);
    is_ok = read_client(disb, &c) && is_ok;
    if (!is_ok || !add_task(disb, &c)) {
        draft->wl->model_count = first_model;
        while (draft->side_count > first_side) {
            free(draft->sides[--draft->side_count].text);
        }
        ei_import_task_leave_out(draft, ei_import_at_value(node), first_remark);
    }
}

/* Levels in the order of their numbers become priorities from 80 down; equal ones stay equal. */
static void rank_levels(struct disb *disb)
{
    struct ei_workload *wl = disb->draft->wl;
    int64_t last = -1;
    for (int32_t priority = PRIORITY_TOP;; priority--) {
        int64_t next = INT64_MAX;
        for (int32_t i = 0; i < wl->task_count; i++) {
            next = disb->levels[i] > last && disb->levels[i] < next ? disb->levels[i] : next;
        }
        if (next == INT64_MAX) {
            return;
        }
        for (int32_t i = 0; i < wl->task_count; i++) {
            wl->tasks[i].priority = disb->levels[i] == next ? priority : wl->tasks[i].priority;
        }
        last = next;
    }
}

void ei_import_disb(struct ei_import_draft *draft, const struct ei_json *json)
{
    static const struct ei_import_key keys[] = {{"time", false}, {"tasks", false}, {NULL, false}};
    struct disb disb = {.draft = draft, .json = json};
    const struct ei_json_node *root = &json->nodes[0];
    const struct ei_json_node *time = ei_json_find(json, root, "time");
    const struct ei_json_node *tasks = ei_json_find(json, root, "tasks");
    int64_t seconds = 0;
    int32_t number = 1;
    snprintf(draft->label, sizeof draft->label, "the file");
    if (!ei_import_is(draft, root, EI_JSON_OBJECT)) {
        return;
    }
    ei_import_check_keys(draft, json, root, keys);
    if (time == NULL) {
        ei_import_refuse(draft, ei_import_at_value(root), "write \"time\": 60, in seconds", "the file has no 'time'");
    } else if (ei_import_integer(draft, time, 1, INT32_MAX, &seconds)) {
        ei_import_set_duration(draft, ei_import_at_value(time), seconds);
    }
    if (tasks == NULL) {
        ei_import_refuse(draft, ei_import_at_value(root), "a DISB file has time and tasks", "the file has no 'tasks'");
        return;
    }
    if (!ei_import_is(draft, tasks, EI_JSON_ARRAY)) {
        return;
    }
    draft->wl->lane_count = 1;
    snprintf(draft->wl->lanes[0].name, sizeof draft->wl->lanes[0].name, LANE_NAME);
    for (const struct ei_json_node *at = ei_json_first(json, tasks); at != NULL; at = ei_json_next(json, at)) {
        read_task(&disb, at, number++);
    }
    rank_levels(&disb);
    draft->scope = EI_IMPORT_HEAD;
    ei_import_note(draft, ei_import_at_key(tasks),
                   "the accelerator is a lane of emulated networks: block times as given, "
                   "one exit each, and no deadlines, which DISB has not");
}
