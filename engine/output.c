/* Where results go and what the report is told about the run. */
#include "engine/run_state.h"
#include "stages/torch/loader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEGRADED_MAX (EI_PRIVILEGE_COUNT + 2)

static size_t append(char *out, size_t size, size_t at, const char *text, size_t length)
{
    for (size_t i = 0; i < length && at + 1 < size; i++) {
        out[at++] = text[i];
    }
    out[at] = '\0';
    return at;
}

void ei_run_settle_out_dir(struct ei_run *run)
{
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
}

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

static int64_t least_distance_ns(const struct ei_arrival_spec *arrival)
{
    switch (arrival->model) {
    case EI_ARRIVAL_PERIODIC:
        return arrival->period_ns;
    case EI_ARRIVAL_SPORADIC:
        return arrival->min_interarrival_ns;
    case EI_ARRIVAL_BURST:
        return arrival->spacing_ns;
    case EI_ARRIVAL_APERIODIC:
        break;
    }
    return 0;
}

static struct ei_metrics_task metrics_task(const struct ei_live_task *task)
{
    const struct ei_task_spec *spec = task->spec;
    return (struct ei_metrics_task){
        .name = spec->name,
        .priority = spec->priority,
        .is_fifo = task->is_fifo,
        .deadline_ns = spec->deadline_ns == EI_NONE_NS ? INT64_MAX : spec->deadline_ns,
        .period_ns = least_distance_ns(&spec->arrival),
        .exits = task->nn.net != NULL ? ei_network_info(task->nn.net)->exits : 0,
        .cpus = task->cpus,
        .slo = metrics_slo(&spec->slo),
    };
}

/* Everything that was asked for and not got. Returns the count. */
static int32_t list_degraded(const struct ei_run *run, struct ei_metrics_degraded *out,
                             char texts[][EI_DEGRADED_TEXT_MAX])
{
    int32_t count = 0;
    for (int i = 0; i < EI_PRIVILEGE_COUNT; i++) {
        const struct ei_privilege_result *result = &run->privileges.results[i];
        if (!result->asked || result->got) {
            continue;
        }
        snprintf(texts[count], EI_DEGRADED_TEXT_MAX, "asked for %s, got %s: %s", result->asked_text, result->got_text,
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
    return count;
}

/* Version of libtorch when a network of this run computes with it, else NULL. */
static const char *libtorch_version(const struct ei_run *run)
{
    const struct ei_torch_api *api = NULL;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_network *net = run->tasks[i].nn.net;
        if (net != NULL && strcmp(ei_network_info(net)->backend, "aten") == 0) {
            return ei_torch_load(&api, NULL) == 0 ? api->version : NULL;
        }
    }
    return NULL;
}

int ei_run_create_collector(struct ei_run *run, struct ei_collector **out, struct einet_error *err)
{
    struct ei_metrics_task tasks[EI_TASKS_MAX];
    struct ei_metrics_degraded degraded[DEGRADED_MAX];
    char texts[DEGRADED_MAX][EI_DEGRADED_TEXT_MAX], host[128] = "";
    char asked_throttle[64];
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        tasks[i] = metrics_task(&run->tasks[i]);
    }
    (void)gethostname(host, sizeof host - 1);
    snprintf(asked_throttle, sizeof asked_throttle, "%lld of %lld us", (long long)run->machine.rt_runtime_us,
             (long long)run->machine.rt_period_us);
    const struct ei_metrics_pair more[] = {{"preemption", run->machine.preemption},
                                           {"hypervisor", run->machine.hypervisor},
                                           {"rt_throttling", asked_throttle}};
    const struct ei_metrics_run description = {
        .name = run->wl->name,
        .version = EINET_VERSION,
        .seed = run->wl->run.seed,
        .t0_ns = run->t0_ns,
        .duration_ns = run->wl->run.warmup_ns + run->duration_ns,
        .warmup_ns = run->wl->run.warmup_ns,
        .degraded = degraded,
        .degraded_count = list_degraded(run, degraded, texts),
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
    };
    return ei_collector_create(&description, tasks, run->wl->task_count, run->out_dir,
                               run->wl->outputs.jobs == EI_SPEC_JOBS_CSV, out, err);
}

int ei_run_write_workload(const struct ei_run *run, struct einet_error *err)
{
    char path[EI_RUN_DIR_MAX + 32], partial[EI_RUN_DIR_MAX + 48];
    snprintf(path, sizeof path, "%s/workload.yaml", run->out_dir);
    snprintf(partial, sizeof partial, "%s.partial", path);
    FILE *file = fopen(partial, "we");
    bool is_ok = file != NULL;
    if (is_ok) {
        ei_workload_print(run->wl, file);
        is_ok = !ferror(file);
        is_ok = fclose(file) == 0 && is_ok;
    }
    if (!is_ok || rename(partial, path) != 0) {
        const int code = errno > 0 ? -errno : -EIO;
        (void)unlink(partial);
        return einet_error_set(err, code, "cannot write %s: %s", path, strerror(-code));
    }
    return 0;
}
