/* See manifest.h. Keys keep the order in which they are set. */
#include "engine/manifest.h"

#include "engine/run_state.h"
#include "metrics/run_json.h"
#include "stages/cuda/loader.h"
#include "stages/environment.h"

#include <einet_git.h>
#include <errno.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMAND_BYTES ((size_t)64 * 1024)

/* jansson's set_new takes a reference even when it fails, and refuses NULL, so failures are summed up in rc. */
static void set(json_t *object, const char *key, json_t *value, int *rc)
{
    *rc |= json_object_set_new(object, key, value);
}

static json_t *known_ns(int64_t value_ns, int64_t unknown)
{
    return value_ns != unknown ? json_integer(value_ns) : json_null();
}

static json_t *utc(int64_t at_s)
{
    char text[32];
    struct tm parts;
    const time_t at = (time_t)at_s;
    gmtime_r(&at, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return json_string(text);
}

/* The arguments of this process, as they were given. */
static json_t *command_json(int *rc)
{
    json_t *array = json_array();
    char *text = malloc(COMMAND_BYTES);
    FILE *file = fopen("/proc/self/cmdline", "re");
    const size_t length = text != NULL && file != NULL ? fread(text, 1, COMMAND_BYTES - 1, file) : 0;
    *rc |= text == NULL;
    for (size_t at = 0; at < length; at += strlen(&text[at]) + 1) {
        text[length] = '\0';
        *rc |= json_array_append_new(array, ei_json_text(&text[at]));
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
    return array;
}

/* The workload with every default filled in, which says more than the file, and its hash. */
static json_t *workload_json(const struct ei_workload *wl, int *rc)
{
    char *text = NULL, sha256[SHA256_DIGEST_STRING_LENGTH];
    size_t size = 0;
    json_t *object = json_object();
    FILE *stream = open_memstream(&text, &size);
    if (stream != NULL) {
        ei_workload_print(wl, stream);
        *rc |= fclose(stream);
    }
    *rc |= text == NULL || SHA256Data((const uint8_t *)text, size, sha256) == NULL;
    set(object, "file", ei_json_text(wl->file), rc);
    set(object, "sha256", *rc == 0 ? json_string(sha256) : NULL, rc);
    set(object, "text", ei_json_text(text), rc);
    free(text);
    return object;
}

/* Name of the first device that a lane of the workload names, null without one. */
static json_t *gpu_json(const struct ei_run *run)
{
    const struct ei_cuda_api *api = NULL;
    char name[128] = "";
    for (int32_t i = 0; run->has_privileges && i < run->wl->lane_count && name[0] == '\0'; i++) {
        const struct ei_lane_spec *lane = &run->wl->lanes[i];
        if (lane->kind == EI_SPEC_LANE_CUDA &&
            (ei_cuda_load(&api, NULL) != 0 || api->device_name(lane->device_idx, name, sizeof name) != 0)) {
            name[0] = '\0';
        }
    }
    return name[0] != '\0' ? ei_json_text(name) : json_null();
}

static json_t *privileges_json(const struct ei_run *run, int *rc)
{
    json_t *object = json_object(), *asked = json_object(), *got = json_object();
    for (int i = 0; run->has_privileges && i < EI_PRIVILEGE_COUNT; i++) {
        const struct ei_privilege_result *result = &run->privileges.results[i];
        if (result->asked) {
            const char *name = ei_privilege_name((enum ei_privilege)i);
            set(asked, name, ei_json_text(result->asked_text), rc);
            set(got, name, ei_json_text(result->got_text), rc);
        }
    }
    set(object, "asked", asked, rc);
    set(object, "got", got, rc);
    return object;
}

/* {"OPENBLAS_NUM_THREADS": {"value": "1", "by": "einet"}}; by einet: set when the program executed itself again. */
static json_t *environment_json(int *rc)
{
    struct ei_environment_setting settings[EI_ENVIRONMENT_SETTINGS_MAX];
    const int32_t count = ei_environment_settings(settings);
    json_t *object = json_object();
    for (int32_t i = 0; i < count; i++) {
        json_t *setting = json_object();
        set(setting, "value", ei_json_text(settings[i].value), rc);
        set(setting, "by", json_string(settings[i].is_ours ? "einet" : "user"), rc);
        set(object, settings[i].name, setting, rc);
    }
    return object;
}

/* The lanes that its network may use. */
static json_t *task_lanes_json(const struct ei_live_task *task, int *rc)
{
    const struct ei_workload *wl = task->run->wl;
    json_t *array = json_array();
    if (task->spec->nn_stage_idx != EI_NONE_IDX) {
        const struct ei_stage_spec *stage = &task->spec->stages[task->spec->nn_stage_idx];
        *rc |= json_array_append_new(array, ei_json_text(wl->lanes[stage->lane_idx].name));
        for (int32_t i = 0; i < stage->more_lane_count; i++) {
            *rc |= json_array_append_new(array, ei_json_text(wl->lanes[stage->more_lanes[i]].name));
        }
    }
    return array;
}

static json_t *task_json(const struct ei_live_task *task, int *rc)
{
    const struct ei_metrics_task described = ei_task_describe(task);
    json_t *object = json_object(), *stages = json_array();
    set(object, "name", ei_json_text(described.name), rc);
    set(object, "priority", json_integer(described.priority), rc);
    set(object, "class", json_string(described.class_name), rc);
    set(object, "deadline_ns", known_ns(described.deadline_ns, INT64_MAX), rc);
    set(object, "period_ns", known_ns(described.period_ns, 0), rc);
    set(object, "exits", json_integer(described.exits), rc);
    set(object, "lanes", task_lanes_json(task, rc), rc);
    for (int32_t i = 0; i < described.stage_count; i++) {
        json_t *stage = json_object();
        set(stage, "name", ei_json_text(described.stages[i].name), rc);
        set(stage, "kind", json_string(described.stages[i].is_network ? "nn" : "cpu"), rc);
        *rc |= json_array_append_new(stages, stage);
    }
    set(object, "stages", stages, rc);
    return object;
}

/* A lane without CPUs of its own in the file takes those of the tasks; a device has none. */
static json_t *lane_json(const struct ei_run *run, const struct ei_lane_spec *lane, int *rc)
{
    char cpus[256];
    const bool is_cpu = lane->kind == EI_SPEC_LANE_CPU;
    json_t *object = json_object();
    (void)ei_cpuset_format(ei_cpuset_is_empty(&lane->cpus) ? &run->task_cpus : &lane->cpus, cpus, sizeof cpus);
    set(object, "name", ei_json_text(lane->name), rc);
    set(object, "kind", json_string(is_cpu ? "cpu" : "cuda"), rc);
    set(object, "cpus", is_cpu ? json_string(cpus) : json_null(), rc);
    return object;
}

static json_t *end_json(const struct ei_collector *collector, const struct ei_live_result *end, int *rc)
{
    json_t *object = ei_collector_end_json(collector);
    set(object, "ended_at", utc((int64_t)time(NULL)), rc);
    set(object, "faulty_jobs", json_integer(end->faulty_jobs), rc);
    set(object, "demoted_tasks", json_integer(end->demoted_tasks), rc);
    set(object, "moved_tasks", json_integer(end->moved_tasks), rc);
    return object;
}

static json_t *seed_json(uint64_t seed)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    return seed <= INT64_MAX ? json_integer((json_int_t)seed) : json_string(text);
}

int ei_run_write_manifest(struct ei_run *run, const struct ei_collector *collector, const char *out_dir,
                          const struct ei_live_result *end, struct einet_error *err)
{
    const struct ei_workload *wl = run->wl;
    json_t *root = json_object(), *tasks = json_array(), *lanes = json_array();
    json_t *machine = ei_collector_machine_json(collector);
    int rc = root == NULL ? -1 : 0;
    run->started_at_s = run->started_at_s != 0 ? run->started_at_s : (int64_t)time(NULL);
    set(root, "schema", json_integer(1), &rc);
    set(root, "version", json_string(EINET_VERSION), &rc);
    set(root, "git", EINET_GIT[0] != '\0' ? json_string(EINET_GIT) : json_null(), &rc);
    set(root, "started_at", utc(run->started_at_s), &rc);
    set(root, "command", command_json(&rc), &rc);
    set(root, "name", ei_json_text(wl->name), &rc);
    set(root, "workload", workload_json(wl, &rc), &rc);
    set(root, "seed", seed_json(wl->run.seed), &rc);
    set(root, "duration_ns", run->is_endless ? json_null() : json_integer(wl->run.warmup_ns + run->duration_ns), &rc);
    set(root, "warmup_ns", json_integer(wl->run.warmup_ns), &rc);
    set(root, "host", json_incref(machine), &rc);
    set(root, "gpu", gpu_json(run), &rc);
    set(root, "libtorch", json_incref(json_object_get(machine, "libtorch")), &rc);
    set(root, "privileges", privileges_json(run, &rc), &rc);
    set(root, "degraded", json_incref(ei_collector_degraded_json(collector)), &rc);
    set(root, "environment", environment_json(&rc), &rc);
    for (int32_t i = 0; i < wl->task_count; i++) {
        rc |= json_array_append_new(tasks, task_json(&run->tasks[i], &rc));
    }
    set(root, "tasks", tasks, &rc);
    for (int32_t i = 0; i < wl->lane_count; i++) {
        rc |= json_array_append_new(lanes, lane_json(run, &wl->lanes[i], &rc));
    }
    set(root, "lanes", lanes, &rc);
    if (end != NULL) {
        set(root, "end", end_json(collector, end, &rc), &rc);
    }
    rc = rc == 0 ? ei_json_publish(root, out_dir, "run.json", err)
                 : einet_error_set(err, -ENOMEM, "out of memory for run.json");
    json_decref(root);
    return rc;
}
