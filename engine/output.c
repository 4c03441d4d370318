/* Where results go and what the report is told about the run. */
#include "engine/run_state.h"
#include "metrics/output_file.h"
#include "stages/dnnl/loader.h"
#include "stages/environment.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEGRADED_TEXT_MAX (3 * EI_PRIVILEGE_TEXT_MAX + 32) /* "asked for X, got Y: why" */
#define BACKENDS_TEXT_MAX 4096
#define ENVIRONMENT_TEXT_MAX 2048
#define WARNINGS_TEXT_MAX 2600
#define DEGRADED_MAX (EI_PRIVILEGE_COUNT + 2 + EI_TASKS_MAX)
#define WORKLOAD_FILE "workload.yaml"
#define PARTIAL ".partial"

/* ---- the folder ---- */

/* Returns the new length, which is size when the text did not fit. */
static size_t append(char *out, size_t size, size_t at, const char *text, size_t length)
{
    if (at + length >= size) {
        return size;
    }
    memcpy(&out[at], text, length);
    out[at + length] = '\0';
    return at + length;
}

static int settle_out_dir(struct ei_run *run, struct einet_error *err)
{
    const bool is_option = run->options->out_dir != NULL;
    const char *pattern = run->options->out_dir != NULL ? run->options->out_dir : run->wl->outputs.dir;
    char stamp[32];
    struct tm local;
    const time_t now = time(NULL);
    localtime_r(&now, &local);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
    size_t at = 0;
    run->out_dir[0] = '\0';
    while (*pattern != '\0') {
        if (strncmp(pattern, "{name}", 6) == 0) {
            at = append(run->out_dir, sizeof run->out_dir, at, run->wl->name, strlen(run->wl->name));
            pattern += 6;
        } else if (strncmp(pattern, "{time}", 6) == 0) {
            at = append(run->out_dir, sizeof run->out_dir, at, stamp, strlen(stamp));
            pattern += 6;
        } else {
            at = append(run->out_dir, sizeof run->out_dir, at, pattern++, 1);
        }
    }
    const size_t longest = sizeof run->out_dir - 1;
    if (at > longest && is_option) {
        run->out_dir[0] = '\0';
        return einet_error_set(err, EINET_E_USAGE,
                               "the path of the output folder is longer than %zu bytes: give a "
                               "shorter one with --out",
                               longest);
    }
    if (at > longest) {
        run->out_dir[0] = '\0';
        return einet_error_set_at(err, EINET_E_FILE, run->wl->file, 0, 0,
                                  "outputs.dir is longer than %zu bytes once "
                                  "{name} and {time} are filled in: shorten it",
                                  longest);
    }
    return at > 0 ? 0 : einet_error_set(err, EINET_E_USAGE, "the output folder has no name: give one with --out");
}

/* The run saves its workload in the folder, as a file that must not be the one it was read from. */
static int spare_own_file(const struct ei_run *run, struct einet_error *err)
{
    char path[EI_RUN_DIR_MAX + sizeof WORKLOAD_FILE + 1];
    struct stat own, saved;
    snprintf(path, sizeof path, "%s/%s", run->out_dir, WORKLOAD_FILE);
    if (stat(run->wl->file, &own) != 0 || stat(path, &saved) != 0 || own.st_dev != saved.st_dev ||
        own.st_ino != saved.st_ino) {
        return 0;
    }
    return einet_error_set(err, EINET_E_USAGE,
                           "%s is the workload file, and a run saves what it ran under that name: choose another "
                           "folder with --out",
                           path);
}

int ei_run_make_out_dir(struct ei_run *run, struct einet_error *err)
{
    char path[EI_RUN_DIR_MAX];
    struct stat st;
    int rc = settle_out_dir(run, err);
    snprintf(path, sizeof path, "%s", run->out_dir);
    for (char *at = path + 1; rc == 0; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }
        const char kept = *at;
        *at = '\0';
        if (mkdir(path, 0755) == 0) {
            run->made_dir_length = run->made_dir_length == 0 ? strlen(path) : run->made_dir_length;
        } else if (errno != EEXIST) {
            rc = -errno;
        }
        *at = kept;
        if (kept == '\0') {
            break;
        }
    }
    if (rc == 0 && stat(path, &st) != 0) {
        rc = -errno;
    } else if (rc == 0 && !S_ISDIR(st.st_mode)) {
        rc = -ENOTDIR;
    } else if (rc == EINET_E_USAGE || rc == EINET_E_FILE) {
        return rc;
    }
    if (rc == 0 && spare_own_file(run, err) != 0) {
        return EINET_E_USAGE;
    }
    if (rc == 0) {
        rc = ei_output_folder_lock(run->out_dir, &run->lock_fd, err);
        run->has_locked_dir = rc == 0;
        return rc;
    }
    return einet_error_set(err, rc, "cannot use %s as the output folder: %s (choose another with --out)", run->out_dir,
                           strerror(-rc));
}

/* The folders that this run made, the deepest first, as long as they are empty. */
static void remove_folders(const struct ei_run *run)
{
    char path[EI_RUN_DIR_MAX];
    snprintf(path, sizeof path, "%s", run->out_dir);
    size_t length = strlen(path);
    while (run->made_dir_length > 0 && length >= run->made_dir_length) {
        while (length > 1 && path[length - 1] == '/') {
            length--;
        }
        path[length] = '\0';
        if (rmdir(path) != 0) {
            return;
        }
        while (length > 0 && path[length - 1] != '/') {
            length--;
        }
    }
}

void ei_run_log_path(const struct ei_run *run, const struct ei_task_log *log, char *out, size_t size)
{
    const bool is_absolute = log->path[0] == '/';
    snprintf(out, size, "%s%s%s", is_absolute ? "" : run->out_dir, is_absolute ? "" : "/", log->path);
}

void ei_run_remove_files(struct ei_run *run)
{
    char path[EI_RUN_DIR_MAX + EI_SPEC_PATH_MAX];
    for (int32_t i = 0; run->tasks != NULL && !run->is_started && i < run->wl->task_count; i++) {
        for (int32_t k = 0; k < run->tasks[i].log_count; k++) {
            if (run->tasks[i].logs[k].is_made) {
                ei_run_log_path(run, &run->tasks[i].logs[k], path, sizeof path);
                (void)unlink(path);
            }
        }
    }
    if (run->has_workload_file) {
        snprintf(path, sizeof path, "%s/" WORKLOAD_FILE PARTIAL, run->out_dir);
        (void)unlink(path);
    }
    remove_folders(run);
}

/* ---- what the report is told ---- */

static struct ei_metrics_slo metrics_slo(const struct ei_slo_spec *slo)
{
    return (struct ei_metrics_slo){
        .has_max_miss_ratio = slo->max_miss_ratio >= 0.0,
        .max_miss_ratio = slo->max_miss_ratio,
        .has_min_accuracy = slo->min_accuracy >= 0.0,
        .min_accuracy = slo->min_accuracy,
        .has_min_coverage = slo->min_coverage >= 0.0,
        .min_coverage = slo->min_coverage,
        .mk_m = slo->mk_m,
        .mk_k = slo->mk_k,
        .p50_response_ns = slo->p50_response_ns > 0 ? slo->p50_response_ns : 0,
        .p99_response_ns = slo->p99_response_ns > 0 ? slo->p99_response_ns : 0,
        .p999_response_ns = slo->p999_response_ns > 0 ? slo->p999_response_ns : 0,
    };
}

int64_t ei_task_least_distance_ns(const struct ei_live_task *task)
{
    const struct ei_workload *wl = task->run->wl;
    return ei_arrival_least_distance_ns(&wl->tasks[ei_workload_chain_head(wl, task->idx)].arrival);
}

struct ei_metrics_task ei_task_describe(const struct ei_live_task *task)
{
    const struct ei_task_spec *spec = task->spec;
    struct ei_metrics_task out = {
        .name = spec->name,
        .priority = ei_course_priority(task),
        .is_fifo = task->is_fifo,
        .class_name = task->deadline.is_on ? "deadline"
                      : task->is_fifo      ? "fifo"
                                           : "other",
        .deadline_ns = spec->deadline_ns == EI_NONE_NS ? INT64_MAX : spec->deadline_ns,
        .period_ns = ei_task_least_distance_ns(task),
        .exits = task->nn.et.exits,
        .stages = task->stage_names,
        .stage_count = spec->stage_count,
        .slots = task->slot_count,
        .cpus = task->cpus,
        .slo = metrics_slo(&spec->slo),
    };
    _Static_assert(sizeof out.plan == sizeof task->planning.text, "one text, as long here as there");
    memcpy(out.plan, task->planning.text, sizeof out.plan);
    return out;
}

/* Everything that was asked for and not got. Returns the count. */
static int32_t list_degraded(struct ei_run *run, struct ei_metrics_degraded *out, char texts[][DEGRADED_TEXT_MAX])
{
    int32_t count = 0;
    for (int i = 0; i < EI_PRIVILEGE_COUNT; i++) {
        const struct ei_privilege_result *result = &run->privileges.results[i];
        if (!result->asked || result->got) {
            continue;
        }
        snprintf(texts[count], DEGRADED_TEXT_MAX, "asked for %s, got %s: %s", result->asked_text, result->got_text,
                 result->reason);
        out[count] = (struct ei_metrics_degraded){.reason = texts[count], .fix = result->fix_command};
        count++;
    }
    if (run->is_housekeeping_shared && !ei_cpuset_is_empty(&run->wl->platform.housekeeping_cpus)) {
        out[count++] = (struct ei_metrics_degraded){
            .reason = "housekeeping and tasks share the only CPU of this process",
            .fix = "run on a machine, or in a CPU set, of two or more CPUs",
        };
    }
    return count + ei_run_list_replaced(run, &out[count], run->spare_texts);
}

/* Version of libtorch when a network of this run computes with it, else NULL. */
static const char *libtorch_version(const struct ei_run *run)
{
    const struct ei_torch_api *api = NULL;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_network *net = run->tasks[i].nn.net;
        if (net != NULL && strstr(ei_network_info(net)->backend, "aten") != NULL) {
            return ei_torch_load(&api, NULL) == 0 ? api->version : NULL;
        }
    }
    return NULL;
}

/* Version of oneDNN when a network of this run computes with it, else NULL. */
static const char *dnnl_version(const struct ei_run *run)
{
    const struct ei_dnnl_api *api = NULL;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_network *net = run->tasks[i].nn.net;
        if (net != NULL && strstr(ei_network_info(net)->backend, "dnnl") != NULL) {
            return ei_dnnl_load(&api, NULL) == 0 ? api->version : NULL;
        }
    }
    return NULL;
}

/* "camera: dnnl; driver: aten (why not dnnl)": what computes the networks that have weights. */
static void list_backends(const struct ei_run *run, char *out, size_t size_bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (int32_t i = 0; i < run->wl->task_count && used < size_bytes; i++) {
        const struct ei_network *net = run->tasks[i].nn.net;
        if (net == NULL || strncmp(ei_network_info(net)->backend, "emulate", 7) == 0) {
            continue;
        }
        const char *why = ei_network_info(net)->backend_note;
        const char *note = why[0] != '\0' ? why : run->tasks[i].nn.kernels_note;
        const int more =
            snprintf(out + used, size_bytes - used, "%s%s: %s%s%s%s", used > 0 ? "; " : "", run->wl->tasks[i].name,
                     ei_network_info(net)->backend, note[0] != '\0' ? " (" : "", note, note[0] != '\0' ? ")" : "");
        used += more > 0 ? (size_t)more : 0;
    }
}

/* "TEXT (remedy: TEXT); TEXT (remedy: TEXT)" */
static void list_warnings(char *out, size_t size_bytes)
{
    struct ei_environment_warning warnings[EI_ENVIRONMENT_WARNINGS_MAX];
    const int32_t count = ei_environment_check(warnings);
    size_t used = 0;
    out[0] = '\0';
    for (int32_t i = 0; i < count && used < size_bytes; i++) {
        const int more = snprintf(out + used, size_bytes - used, "%s%s (remedy: %s)", i > 0 ? "; " : "",
                                  warnings[i].text, warnings[i].remedy);
        used += more > 0 ? (size_t)more : 0;
    }
}

void ei_run_name_lanes(const struct ei_workload *wl, const char *out[EI_LANES_MAX])
{
    for (int32_t i = 0; i < wl->lane_count; i++) {
        out[i] = wl->lanes[i].name;
    }
}

int ei_run_create_collector(struct ei_run *run, struct ei_collector **out, struct einet_error *err)
{
    struct ei_metrics_task tasks[EI_TASKS_MAX];
    struct ei_metrics_degraded degraded[DEGRADED_MAX];
    char texts[EI_PRIVILEGE_COUNT][DEGRADED_TEXT_MAX], host[128] = "";
    char asked_throttle[64];
    const char *lanes[EI_LANES_MAX];
    ei_run_name_lanes(run->wl, lanes);
    run->started_at_s = (int64_t)time(NULL);
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        tasks[i] = ei_task_describe(&run->tasks[i]);
    }
    (void)gethostname(host, sizeof host - 1);
    snprintf(asked_throttle, sizeof asked_throttle, "%lld of %lld us", (long long)run->machine.rt_runtime_us,
             (long long)run->machine.rt_period_us);
    char backends[BACKENDS_TEXT_MAX], environment[ENVIRONMENT_TEXT_MAX], warnings[WARNINGS_TEXT_MAX];
    list_backends(run, backends, sizeof backends);
    ei_environment_print(environment, sizeof environment);
    list_warnings(warnings, sizeof warnings);
    const struct ei_metrics_pair more[] = {{"onednn", dnnl_version(run)},
                                           {"backends", backends[0] != '\0' ? backends : NULL},
                                           {"environment", environment[0] != '\0' ? environment : NULL},
                                           {"warnings", warnings[0] != '\0' ? warnings : NULL},
                                           {"preemption", run->machine.preemption},
                                           {"hypervisor", run->machine.hypervisor},
                                           {"rt_throttling", asked_throttle}};
    const struct ei_metrics_run description = {
        .name = run->wl->name,
        .version = EINET_VERSION,
        .seed = run->wl->run.seed,
        .t0_ns = run->t0_ns,
        .duration_ns = run->is_endless ? INT64_MAX : run->wl->run.warmup_ns + run->duration_ns,
        .warmup_ns = run->wl->run.warmup_ns,
        .has_activities = true,
        .degraded = degraded,
        .degraded_count = list_degraded(run, degraded, texts),
        .is_probe_outranked = ei_run_is_probe_outranked(run),
        .machine =
            {
                .hostname = host,
                .cpu_model = run->machine.cpu_model,
                .kernel = run->machine.kernel,
                .libtorch = libtorch_version(run),
                .cpus = run->machine.cpu_count,
                .more = more,
                .more_count = (int32_t)(sizeof more / sizeof more[0]),
            },
        .lanes = lanes,
        .lane_count = run->wl->lane_count,
        .started_s = (double)run->started_at_s,
        .has_hlog = run->wl->outputs.hist == EI_SPEC_HIST_HLOG,
        .has_stages_csv = !run->is_fileless && run->wl->outputs.stages == EI_SPEC_STAGES_CSV,
        .has_writers = true,
        .writer_cpus = run->housekeeping_cpus,
    };
    return ei_collector_create(&description, tasks, run->wl->task_count, run->is_fileless ? NULL : run->out_dir,
                               run->wl->outputs.jobs == EI_SPEC_JOBS_CSV, out, err);
}

/* ---- workload.yaml ---- */

int ei_run_write_workload(struct ei_run *run, struct einet_error *err)
{
    char path[EI_RUN_DIR_MAX + 32];
    snprintf(path, sizeof path, "%s/" WORKLOAD_FILE PARTIAL, run->out_dir);
    FILE *file = fopen(path, "we");
    run->has_workload_file = file != NULL;
    bool is_ok = file != NULL;
    if (is_ok) {
        ei_workload_print(run->wl, file);
        is_ok = !ferror(file);
        is_ok = fclose(file) == 0 && is_ok;
    }
    if (!is_ok) {
        const int code = errno > 0 ? -errno : -EIO;
        return einet_error_set(err, code, "cannot write %s: %s (choose another folder with --out)", path,
                               strerror(-code));
    }
    return 0;
}

int ei_run_publish_workload(struct ei_run *run, struct einet_error *err)
{
    char path[EI_RUN_DIR_MAX + 32], partial[EI_RUN_DIR_MAX + 32];
    snprintf(path, sizeof path, "%s/" WORKLOAD_FILE, run->out_dir);
    snprintf(partial, sizeof partial, "%s/" WORKLOAD_FILE PARTIAL, run->out_dir);
    if (rename(partial, path) != 0) {
        const int code = -errno;
        return einet_error_set(err, code, "cannot write %s: %s", path, strerror(-code));
    }
    run->has_workload_file = false;
    return 0;
}
