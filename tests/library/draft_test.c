/* Workloads made by calls: the same as the file that says the same, and wrong for the same reasons. */
#include "tests/harness/harness.h"

#include "workloads/spec.h"
#include "workloads/yaml.h"

#include <einet/einet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- from a file to calls: keys that the structs have go there, all others through einet_draft_set ---- */

enum kind { TEXT, VALUE, COUNT, TIME };

struct entry {
    const char *key; /* "arrival.period" */
    size_t offset;
    enum kind kind;
};

#define LANE(key, member, kind)                                                                                        \
    {                                                                                                                  \
        key, offsetof(struct einet_draft_lane, member), kind                                                           \
    }
#define MODEL(key)                                                                                                     \
    {                                                                                                                  \
#key, offsetof(struct einet_draft_model, key), TEXT                                                            \
    }
#define TASK(key, member, kind)                                                                                        \
    {                                                                                                                  \
        key, offsetof(struct einet_draft_task, member), kind                                                           \
    }
#define STAGE(key, member, kind)                                                                                       \
    {                                                                                                                  \
        key, offsetof(struct einet_draft_stage, member), kind                                                          \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, 0, TEXT                                                                                                  \
    }

static const struct entry lane_entries[] = {
    LANE("kind", kind, TEXT),       LANE("cpus", cpus, TEXT),        LANE("preempt", preempt, TEXT),
    LANE("backend", backend, TEXT), LANE("wait", wait, TEXT),        LANE("fallback", fallback, TEXT),
    LANE("hang", hang_ns, TIME),    LANE("threads", threads, COUNT), LANE("device", device_idx, COUNT),
    LANE("depth", depth, COUNT),    LANE("sms", sms, COUNT),         END};
static const struct entry model_entries[] = {MODEL(zoo),    MODEL(dataset), MODEL(weights),
                                             MODEL(bundle), MODEL(profile), END};
static const struct entry task_entries[] = {TASK("name", name, TEXT),
                                            TASK("class", scheduling_class, TEXT),
                                            TASK("cpus", cpus, TEXT),
                                            TASK("priority", priority, COUNT),
                                            TASK("overlap", overlap, COUNT),
                                            TASK("arrival.model", arrival, TEXT),
                                            TASK("arrival.period", period_ns, TIME),
                                            TASK("arrival.offset", offset_ns, TIME),
                                            TASK("arrival.jitter", jitter_ns, TIME),
                                            TASK("arrival.min_interarrival", min_interarrival_ns, TIME),
                                            TASK("arrival.mean", mean_ns, TIME),
                                            TASK("arrival.median", median_ns, TIME),
                                            TASK("arrival.dist", dist, TEXT),
                                            TASK("arrival.spacing", spacing_ns, TIME),
                                            TASK("arrival.count", count, COUNT),
                                            TASK("arrival.trace", trace, TEXT),
                                            TASK("arrival.task", after, TEXT),
                                            TASK("late_release.queue", queue, COUNT),
                                            TASK("late_release.drop", drop, TEXT),
                                            TASK("deadline", deadline_ns, TIME),
                                            TASK("max_blocking", max_blocking_ns, TIME),
                                            TASK("on_preempt", on_preempt, TEXT),
                                            TASK("on_deadline", on_deadline, TEXT),
                                            TASK("on_overrun", on_overrun, TEXT),
                                            TASK("max_preemptions", max_preemptions, COUNT),
                                            TASK("input.kind", input, TEXT),
                                            TASK("input.width", width_px, COUNT),
                                            TASK("input.height", height_px, COUNT),
                                            TASK("input.channels", channels, COUNT),
                                            TASK("input.name", dataset, TEXT),
                                            TASK("input.split", split, TEXT),
                                            TASK("input.dir", dir, TEXT),
                                            TASK("input.memory", memory, TEXT),
                                            TASK("input.topic", topic, TEXT),
                                            TASK("input.message", message, TEXT),
                                            END};
static const struct entry stage_entries[] = {STAGE("name", name, TEXT),
                                             STAGE("op", op, VALUE),
                                             STAGE("work.spin", work_ns, TIME),
                                             STAGE("path", path, TEXT),
                                             STAGE("model", model, TEXT),
                                             STAGE("lane", lane, VALUE),
                                             STAGE("budget", budget_ns, TIME),
                                             STAGE("timeout", timeout_ns, TIME),
                                             END};

#define STORE_MAX 65536

static struct {
    struct ei_yaml yaml;
    struct einet_draft *draft;
    char store[STORE_MAX]; /* texts of values */
    size_t used;
    int typed, by_path;
} w;

static const struct ei_yaml_node *at(int32_t node)
{
    return ei_yaml_node(&w.yaml, node);
}

static void append(const char *text)
{
    const size_t length = strlen(text);
    if (EI_TRUE(w.used + length + 1 < STORE_MAX)) {
        memcpy(w.store + w.used, text, length + 1);
        w.used += length;
    }
}

/* A node as a value of a file, all in one line; behind what is in the store. */
static void write_value(int32_t node)
{
    const struct ei_yaml_node *value = at(node);
    int32_t n = 0;
    if (value->kind == EI_YAML_SCALAR) {
        append(value->is_plain ? "" : "\"");
        append(value->text);
        append(value->is_plain ? "" : "\"");
        return;
    }
    append(value->kind == EI_YAML_LIST ? "[" : "{");
    for (int32_t i = value->first; i >= 0; i = at(i)->next, n++) {
        append(n == 0 ? "" : value->kind == EI_YAML_MAP && n % 2 != 0 ? ": " : ", ");
        write_value(i);
    }
    append(value->kind == EI_YAML_LIST ? "]" : "}");
}

static const char *value_of(int32_t node)
{
    const size_t from = w.used;
    write_value(node);
    w.used++;
    return w.store + from;
}

static int64_t time_of(int32_t node)
{
    int64_t ns = EINET_NONE;
    if (strcmp(at(node)->text, "none") != 0) {
        EI_EQ(ei_duration_parse(at(node)->text, &ns), 0);
    }
    return ns;
}

static void fill(const struct entry *entry, int32_t node, char *base)
{
    const int64_t ns = entry->kind == TIME ? time_of(node) : 0;
    const int32_t count = entry->kind == COUNT ? atoi(at(node)->text) : 0;
    const char *text = entry->kind == VALUE ? value_of(node) : at(node)->text;
    memcpy(base + entry->offset,
           entry->kind == TIME    ? (const void *)&ns
           : entry->kind == COUNT ? (const void *)&count
                                  : &text,
           entry->kind == TIME    ? sizeof ns
           : entry->kind == COUNT ? sizeof count
                                  : sizeof text);
    w.typed++;
}

#define LEFT_MAX 2048

/* What a mapping says and the struct does not have, for later; each of [LEFT_MAX]. */
static struct {
    char path[200];
    const char *value;
} left[LEFT_MAX];
static int left_count;

static const struct entry *find(const struct entry *entries, const char *key)
{
    for (const struct entry *e = entries; e->key != NULL; e++) {
        if (strcmp(e->key, key) == 0) {
            return e;
        }
    }
    return NULL;
}

static bool has_inside(const struct entry *entries, const char *key)
{
    const size_t length = strlen(key);
    bool has = false;
    for (const struct entry *e = entries; e->key != NULL; e++) {
        has |= strncmp(e->key, key, length) == 0 && e->key[length] == '.';
    }
    return has;
}

/* path: of the mapping in the file; skip: a key that is not looked at. */
static void take(const struct entry *entries, int32_t map, const char *path, const char *inside, const char *skip,
                 void *base)
{
    for (int32_t k = at(map)->first; k >= 0; k = at(at(k)->next)->next) {
        char key[100], inner[200];
        const int32_t value = at(k)->next;
        snprintf(key, sizeof key, "%s%s%s", inside, inside[0] != '\0' ? "." : "", at(k)->text);
        snprintf(inner, sizeof inner, "%s.%s", path, at(k)->text);
        const struct entry *entry = find(entries, key);
        if (strcmp(at(k)->text, skip) == 0) {
            continue;
        }
        if (entry != NULL && (entry->kind == VALUE || at(value)->kind == EI_YAML_SCALAR)) {
            fill(entry, value, base);
        } else if (at(value)->kind == EI_YAML_MAP && has_inside(entries, key)) {
            take(entries, value, inner, key, skip, base);
        } else if (EI_TRUE(left_count < LEFT_MAX)) {
            snprintf(left[left_count].path, sizeof left[0].path, "%s", inner);
            left[left_count++].value = value_of(value);
        }
    }
}

static void ok(int rc, const struct einet_error *err)
{
    EI_TRUEF(rc == 0, "%s", err->text);
}

static void set_left(void)
{
    struct einet_error err = {0};
    for (int i = 0; i < left_count; i++) {
        ok(einet_draft_set(w.draft, left[i].path, left[i].value, &err), &err);
        w.by_path++;
    }
    left_count = 0;
}

/* Median and p99 of a time. */
static void take_block_time(int32_t node, int64_t *out_ns, int64_t *out_p99_ns)
{
    const int32_t lognormal = ei_yaml_find(&w.yaml, node, "lognormal");
    *out_ns = time_of(lognormal >= 0 ? ei_yaml_find(&w.yaml, lognormal, "median") : node);
    *out_p99_ns = lognormal >= 0 ? time_of(ei_yaml_find(&w.yaml, lognormal, "p99")) : 0;
}

static void add_model(int32_t key)
{
    struct einet_error err = {0};
    struct einet_draft_model model = {.size_bytes = sizeof model, .name = at(key)->text};
    const int32_t blocks = ei_yaml_find(&w.yaml, ei_yaml_find(&w.yaml, at(key)->next, "emulate"), "blocks");
    char path[100];
    snprintf(path, sizeof path, "models.%s", model.name);
    take(model_entries, at(key)->next, path, "", "emulate", &model);
    ok(einet_draft_add_model(w.draft, &model, &err), &err);
    for (int32_t i = blocks >= 0 ? at(blocks)->first : -1; i >= 0; i = at(i)->next) {
        struct einet_draft_block block = {.size_bytes = sizeof block};
        take_block_time(ei_yaml_find(&w.yaml, i, "conv"), &block.block_ns, &block.block_p99_ns);
        take_block_time(ei_yaml_find(&w.yaml, i, "branch"), &block.exit_ns, &block.exit_p99_ns);
        block.score = strtod(at(ei_yaml_find(&w.yaml, i, "score"))->text, NULL);
        ok(einet_draft_add_block(w.draft, model.name, &block, &err), &err);
        w.typed++;
    }
}

static void add_task(int32_t map, int32_t idx)
{
    struct einet_error err = {0};
    struct einet_draft_task task = {.size_bytes = sizeof task};
    const int32_t stages = ei_yaml_find(&w.yaml, map, "stages");
    char path[100];
    int32_t n = 0;
    snprintf(path, sizeof path, "tasks.%d", idx);
    take(task_entries, map, path, "", "stages", &task);
    ok(einet_draft_add_task(w.draft, &task, &err), &err);
    for (int32_t i = at(stages)->first; i >= 0; i = at(i)->next, n++) {
        struct einet_draft_stage stage = {.size_bytes = sizeof stage};
        snprintf(path, sizeof path, "tasks.%d.stages.%d", idx, n);
        take(stage_entries, i, path, "", "kind", &stage);
        ok(einet_draft_add_stage(w.draft, task.name, &stage, &err), &err);
    }
}

static void add_all(void)
{
    struct einet_error err = {0};
    int32_t n = 0;
    for (int32_t k = at(w.yaml.root)->first; k >= 0; k = at(at(k)->next)->next) {
        const char *key = at(k)->text;
        const int32_t value = at(k)->next;
        if (strcmp(key, "lanes") == 0) {
            for (int32_t i = at(value)->first; i >= 0; i = at(at(i)->next)->next) {
                struct einet_draft_lane lane = {.size_bytes = sizeof lane, .name = at(i)->text};
                char path[100];
                snprintf(path, sizeof path, "lanes.%s", lane.name);
                take(lane_entries, at(i)->next, path, "", "", &lane);
                ok(einet_draft_add_lane(w.draft, &lane, &err), &err);
            }
        } else if (strcmp(key, "models") == 0) {
            for (int32_t i = at(value)->first; i >= 0; i = at(at(i)->next)->next) {
                add_model(i);
            }
        } else if (strcmp(key, "tasks") == 0) {
            for (int32_t i = at(value)->first; i >= 0; i = at(i)->next) {
                add_task(i, n++);
            }
        } else if (strcmp(key, "version") != 0 && strcmp(key, "name") != 0) {
            snprintf(left[left_count].path, sizeof left[0].path, "%s", key);
            left[left_count++].value = value_of(value);
        }
    }
    set_left();
}

static char *text_of(const struct einet_workload *workload)
{
    const int64_t length = einet_workload_text(workload, NULL, 0);
    char *text = length > 0 ? malloc((size_t)length + 1) : NULL;
    if (EI_TRUE(text != NULL)) {
        EI_EQ(einet_workload_text(workload, text, (size_t)length + 1), length);
        EI_EQ((int64_t)strlen(text), length);
    }
    return text;
}

/* Where two texts begin to differ. */
static const char *difference(const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] != '\0' && a[i] == b[i]) {
        i++;
    }
    while (i > 0 && a[i - 1] != '\n') {
        i--;
    }
    return a + i;
}

static void check_file(const char *path)
{
    struct einet_workload *read = NULL, *made = NULL;
    struct einet_error err = {0};
    struct ei_diagnostics diag;
    memset(&w, 0, sizeof w);
    if (!EI_TRUEF(einet_workload_load(path, &read, &err) == 0, "%s: %s", path, err.text)) {
        return;
    }
    char *file = text_of(read);
    EI_EQ(ei_diagnostics_init(&diag, path), 0);
    EI_EQ(ei_yaml_parse(file, strlen(file), &w.yaml, &diag), 0);
    EI_EQ(diag.errors, 0);
    EI_EQ(einet_draft_create(einet_workload_name(read), &w.draft, &err), 0);
    add_all();
    if (EI_TRUEF(einet_draft_finish(w.draft, &made, &err) == 0, "%s: %s", path, err.text)) {
        char *calls = text_of(made);
        EI_TRUEF(strcmp(file, calls) == 0, "%s differs from what the calls made, from here on:\n%.300s\n----\n%.300s",
                 path, difference(file, calls), difference(calls, file));
        EI_TRUEF(w.typed > 5, "%s: %d values through structs, %d through paths", path, w.typed, w.by_path);
        free(calls);
    }
    free(file);
    ei_diagnostics_fini(&diag);
    ei_yaml_fini(&w.yaml);
    einet_draft_destroy(w.draft);
    einet_workload_destroy(read);
    einet_workload_destroy(made);
}

EI_TEST(calls_make_what_the_file_makes)
{
    static const char *const files[] = {
        "configs/edge-server.yaml",
        "configs/cifar10.yaml",
        "configs/exit-times.yaml",
        "configs/gpu-networks.yaml",
        "configs/gpu.yaml",
        "configs/overload.yaml",
        "tests/workloads/valid/caller.yaml",
        "tests/workloads/valid/edf.yaml",
        "tests/workloads/valid/everything.yaml",
        "tests/workloads/valid/minimal.yaml",
        "tests/workloads/valid/topic.yaml",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        check_file(files[i]);
    }
}

/* ---- by hand ---- */

static struct einet_draft *robot(void)
{
    struct einet_draft *draft = NULL;
    struct einet_error err = {0};
    const struct einet_draft_lane lane = {.size_bytes = sizeof lane, .name = "cpu0", .kind = "cpu"};
    const struct einet_draft_model model = {.size_bytes = sizeof model, .name = "ear"};
    const struct einet_draft_block block = {
        .size_bytes = sizeof block, .block_ns = 1500000, .block_p99_ns = 2000000, .exit_ns = 100000, .score = 0.7};
    const struct einet_draft_task task = {.size_bytes = sizeof task,
                                          .name = "hear",
                                          .arrival = "external",
                                          .min_interarrival_ns = 20000000,
                                          .deadline_ns = 30000000,
                                          .queue = 2,
                                          .drop = "newest",
                                          .priority = 60};
    const struct einet_draft_stage net = {.size_bytes = sizeof net, .name = "net", .model = "ear", .lane = "[cpu0]"};
    const struct einet_draft_stage act = {
        .size_bytes = sizeof act, .name = "act", .work_ns = 50000, .budget_ns = 1000000};
    EI_EQ(einet_draft_create("robot", &draft, &err), 0);
    ok(einet_draft_add_lane(draft, &lane, &err), &err);
    ok(einet_draft_add_model(draft, &model, &err), &err);
    ok(einet_draft_add_block(draft, "ear", &block, &err), &err);
    ok(einet_draft_add_task(draft, &task, &err), &err);
    ok(einet_draft_add_stage(draft, "hear", &net, &err), &err);
    ok(einet_draft_add_stage(draft, "hear", &act, &err), &err);
    ok(einet_draft_set(draft, "tasks.hear.slo", "{ max_miss_ratio: 0, mk: [1, 10] }", &err), &err);
    ok(einet_draft_set(draft, "run.seed", "42", &err), &err);
    return draft;
}

static const char robot_text[] =
    "version: 1\nname: robot\nrun: { seed: 42 }\nlanes: { cpu0: { kind: cpu } }\n"
    "models: { ear: { emulate: { blocks: [ { conv: { lognormal: { median: 1500us, p99: 2ms } }, branch: 100us,\n"
    "                                        score: 0.7 } ] } } }\n"
    "tasks:\n"
    "  - { name: hear, arrival: { model: external, min_interarrival: 20ms }, deadline: 30ms, priority: 60,\n"
    "      late_release: { queue: 2, drop: newest }, slo: { max_miss_ratio: 0, mk: [1, 10] },\n"
    "      stages: [ { name: net, kind: nn, model: ear, lane: cpu0 },\n"
    "                { name: act, kind: cpu, work: { spin: 50us }, budget: 1ms } ] }\n";

EI_TEST(draft_by_hand_is_its_file_and_runs)
{
    struct einet_draft *draft = robot();
    struct einet_workload *made = NULL, *read = NULL;
    struct einet_run *run = NULL;
    struct einet_run_options options = {.size_bytes = sizeof options, .duration_ns = 50000000};
    struct einet_end end = {.size_bytes = sizeof end};
    struct einet_error err = {0};
    EI_EQ(einet_draft_finish(draft, &made, &err), 0);
    einet_draft_destroy(draft);
    EI_EQ(einet_workload_parse(robot_text, strlen(robot_text), NULL, &read, &err), 0);
    EI_REQUIRE(made != NULL && read != NULL);
    char *calls = text_of(made), *file = text_of(read);
    EI_STREQ(calls, file);
    EI_STREQ(einet_workload_name(made), "robot");
    EI_EQ(einet_run_create(made, &options, &run, &err), 0);
    EI_TRUEF(einet_run_start(run, &err) == 0, "%s", err.text);
    EI_EQ(einet_run_release(run, einet_workload_find_task(made, "hear"), EINET_NOW, 1), 0);
    EI_EQ(einet_run_wait(run, -1, &err), 0);
    EI_EQ(einet_run_end(run, &end), 0);
    EI_TRUE(end.is_accounted);
    EI_CONTAINS(end.summary, "\"completed\": 1");
    einet_run_destroy(run);
    einet_workload_destroy(made);
    einet_workload_destroy(read);
    free(calls);
    free(file);
}

/* What finish says after one more setting. */
static void check_wrong(const char *path, const char *value, const char *text)
{
    struct einet_draft *draft = robot();
    struct einet_workload *made = NULL;
    struct einet_error err = {0};
    EI_EQ(einet_draft_set(draft, path, value, NULL), 0);
    EI_EQ(einet_draft_finish(draft, &made, &err), EINET_E_FILE);
    EI_TRUE(made == NULL);
    EI_CONTAINS(err.text, text);
    EI_EQ(err.line, 0);
    EI_EQ(einet_draft_set(draft, path, "[", &err), EINET_E_FILE);
    EI_CONTAINS(err.text, path);
    einet_draft_destroy(draft);
}

EI_TEST(errors_name_task_and_field)
{
    check_wrong("tasks.hear.priority", "200", "tasks.hear.priority: ");
    check_wrong("tasks.hear.prioriy", "20", "tasks.hear.prioriy: unknown key 'prioriy' in task 'hear' (did you mean");
    check_wrong("tasks.hear.stages.net.lane", "cpu1", "tasks.hear.stages.net.lane: unknown lane 'cpu1'");
    check_wrong("tasks.hear.stages.1.work.spin", "5", "tasks.hear.stages.act.work.spin: ");
    check_wrong("models.ear.emulate.blocks.0.score", "1.5", "models.ear.emulate.blocks.0.score: ");
    check_wrong("tasks.hear.arrival", "{ model: periodic }",
                "tasks.hear.arrival: arrival of task 'hear' has no 'period'");
    check_wrong("lanes.cpu0.kind", "gpu", "lanes.cpu0.kind: ");
}

/* What was set before may be anything that a file can say. */
EI_TEST(what_was_set_in_the_place_of_a_list_or_mapping_stays)
{
    static const struct {
        const char *path, *value;
    } set[] = {{"tasks.camera.deadline", "5ms"},
               {"tasks", "{ a: 1 }"},
               {"tasks", "7"},
               {"lanes", "[ 1 ]"},
               {"models", "x"},
               {"models.eye", "3"},
               {"models.eye", "{ emulate: [ 1 ] }"}};
    const struct einet_draft_lane lane = {.size_bytes = sizeof lane, .name = "cpu9"};
    const struct einet_draft_task task = {.size_bytes = sizeof task, .name = "door"};
    const struct einet_draft_block block = {.size_bytes = sizeof block};
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        struct einet_draft *draft = NULL;
        struct einet_workload *made = NULL;
        struct einet_error err = {0};
        EI_REQUIRE(einet_draft_create("odd", &draft, &err) == 0);
        EI_EQ(einet_draft_set(draft, set[i].path, set[i].value, &err), 0);
        const int lane_rc = einet_draft_add_lane(draft, &lane, &err);
        const int task_rc = einet_draft_add_task(draft, &task, &err);
        const int block_rc = einet_draft_add_block(draft, "eye", &block, &err);
        EI_EQ(lane_rc, strncmp(set[i].path, "lanes", 5) == 0 ? EINET_E_USAGE : 0);
        EI_EQ(task_rc, strncmp(set[i].path, "tasks", 5) == 0 ? EINET_E_USAGE : 0);
        EI_EQ(block_rc, EINET_E_USAGE);
        EI_TRUE(einet_draft_set(draft, "tasks.door.priority", "300", &err) <= 0);
        EI_TRUE(einet_draft_finish(draft, &made, &err) < 0);
        einet_draft_destroy(draft);
    }
    struct einet_draft *draft = robot();
    struct einet_error err = {0};
    const struct einet_draft_stage stage = {.size_bytes = sizeof stage, .name = "more"};
    EI_EQ(einet_draft_set(draft, "tasks.hear.stages", "{ a: 1 }", &err), 0);
    EI_EQ(einet_draft_add_stage(draft, "hear", &stage, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "set it after this call");
    einet_draft_destroy(draft);
}

EI_TEST(struct_that_does_not_fit_is_refused_and_leaves_the_draft)
{
    struct einet_draft *draft = robot();
    struct einet_workload *made = NULL;
    struct einet_error err = {0};
    struct einet_draft_lane lane = {.size_bytes = sizeof lane, .name = "cpu0"};
    struct einet_draft_stage stage = {.size_bytes = sizeof stage, .name = "more", .op = "[normalize"};
    struct {
        struct einet_draft_task task;
        int64_t newer;
    } wide = {.task = {.size_bytes = sizeof wide, .name = "late"}, .newer = 1};
    struct einet_draft_block block = {.size_bytes = sizeof block};
    struct einet_draft_model model = {.size_bytes = 0, .name = "m"};
    EI_EQ(einet_draft_add_lane(draft, &lane, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "a lane 'cpu0' already");
    lane.name = NULL;
    EI_EQ(einet_draft_add_lane(draft, &lane, &err), EINET_E_USAGE);
    EI_EQ(einet_draft_add_stage(draft, "hear", &stage, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "op: YAML");
    stage.op = "normalize";
    EI_EQ(einet_draft_add_stage(draft, "listen", &stage, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "no task 'listen'");
    EI_EQ(einet_draft_add_task(draft, &wide.task, &err), -E2BIG);
    EI_EQ(einet_draft_add_block(draft, "eye", &block, &err), EINET_E_USAGE);
    EI_EQ(einet_draft_add_model(draft, &model, &err), -EINVAL);
    EI_EQ(einet_draft_set(draft, "tasks.none.priority", "3", &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "there is no 'none' here");
    EI_EQ(einet_draft_set(draft, "tasks..priority", "3", &err), EINET_E_FILE);
    EI_EQ(einet_draft_set(draft, "run.seed", " ", &err), EINET_E_FILE);
    EI_EQ(einet_draft_set(draft, "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r", "1", &err), EINET_E_FILE);
    EI_EQ(einet_draft_finish(draft, &made, &err), 0);
    EI_REQUIRE(made != NULL);
    char *text = text_of(made);
    struct einet_workload *read = NULL;
    EI_EQ(einet_workload_parse(robot_text, strlen(robot_text), NULL, &read, &err), 0);
    char *file = text_of(read);
    EI_STREQ(text, file);
    free(text);
    free(file);
    einet_workload_destroy(made);
    einet_workload_destroy(read);
    einet_draft_destroy(draft);
    made = NULL;

    draft = robot();
    EI_EQ(einet_draft_add_stage(draft, "hear", &stage, &err), 0); /* of a picture, behind the network */
    EI_EQ(einet_draft_finish(draft, &made, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "tasks.hear.stages.more");
    einet_draft_destroy(draft);
    einet_draft_destroy(NULL);
}

EI_MAIN()
