/* Live runs whose lane has two threads: where they are is read back from the kernel while the run goes on. */
#include "engine/analyze.h"
#include "engine/live.h"
#include "engine/virtual.h"
#include "rt/topology.h"
#include "stages/dnnl/loader.h"
#include "tests/engine/live_play.h"
#include "tests/harness/harness.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define TEXT                                                                                                           \
    "version: 1\n"                                                                                                     \
    "name: threads\n"                                                                                                  \
    "run: { duration: 300ms }\n"                                                                                       \
    "platform: { privileges: degrade, lock_memory: none, housekeeping_cpus: none }\n"                                  \
    "lanes: { acc: { kind: cpu, cpus: \"%s\", backend: %s, threads: 2 } }\n"                                           \
    "models: { net: { zoo: b-alexnet, dataset: generated, "                                                            \
    "weights: models/pretrained/b-alexnet-generated.safetensors } }\n"                                                 \
    "tasks:\n"                                                                                                         \
    "  - name: camera\n"                                                                                               \
    "    arrival: { model: periodic, period: 30ms }\n"                                                                 \
    "    priority: 41\n"                                                                                               \
    "    input: { kind: generated, seed: 1, count: 20, split: test }\n"                                                \
    "    stages: [ { name: pre, kind: cpu, op: normalize }, { name: net, kind: nn, model: net, lane: acc } ]\n"

/* What was seen of the threads that are named after the task; workers take their job thread's name. */
struct seen {
    int32_t threads, fifo;
    cpu_set_t cpus; /* of those with one CPU */
    int32_t pinned;
};

static void look(void *context)
{
    struct seen *seen = context;
    DIR *dir = opendir("/proc/self/task");
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char path[64], name[32] = "";
        cpu_set_t cpus;
        struct sched_param param = {0};
        snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "re") : NULL;
        if (file == NULL || fgets(name, sizeof name, file) == NULL || strcmp(name, "camera\n") != 0) {
            if (file != NULL) {
                fclose(file);
            }
            continue;
        }
        fclose(file);
        const int tid = (int)strtol(entry->d_name, NULL, 10);
        if (sched_getaffinity(tid, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1) {
            CPU_OR(&seen->cpus, &seen->cpus, &cpus);
            seen->pinned++;
        }
        seen->threads++;
        seen->fifo +=
            sched_getscheduler(tid) == SCHED_FIFO && sched_getparam(tid, &param) == 0 && param.sched_priority == 41;
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static void dnnl_or_skip(void)
{
    const struct ei_dnnl_api *api;
    struct einet_error err = {0};
    if (ei_dnnl_load(&api, &err) != 0) {
        ei_test_skip("%s", err.text);
    }
}

/* The first two CPUs of this process as "0,1", or skip. */
static const char *two_cpus(void)
{
    static char text[32];
    struct ei_cpuset allowed;
    struct einet_error err = {0};
    dnnl_or_skip();
    EI_EQ(ei_topology_allowed(&allowed, &err), 0);
    const int first = ei_cpuset_next(&allowed, 0), second = ei_cpuset_next(&allowed, first + 1);
    if (second < 0) {
        ei_test_skip("this process has one CPU");
    }
    snprintf(text, sizeof text, "%d,%d", first, second);
    return text;
}

static int run(const char *cpus, const char *backend, struct seen *seen, struct ei_live_result *result,
               struct einet_error *err)
{
    char text[2000];
    struct ei_workload *wl = NULL;
    *seen = (struct seen){0};
    snprintf(text, sizeof text, TEXT, cpus, backend);
    const int rc = live_play(text, (struct ei_live_options){.on_ready = look, .context = seen}, &wl, result, err);
    ei_collector_destroy(result->collector);
    ei_workload_destroy(wl);
    return rc;
}

EI_TEST(each_thread_of_a_block_has_a_cpu_of_its_own)
{
    struct seen seen;
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    EI_TRUEF(run(two_cpus(), "dnnl", &seen, &result, &err) == 0, "%s", err.text);
    EI_EQ(seen.threads, 2);
    EI_EQ(seen.pinned, 2);
    EI_EQ(CPU_COUNT(&seen.cpus), 2);
    EI_TRUEF(seen.fifo == 2 || seen.fifo == 0, "%d of 2 are real-time", seen.fifo); /* 0: no privilege here */
    EI_TRUE(result.is_identity_ok);
    EI_EQ(result.faulty_jobs, 0);
}

EI_TEST(workers_that_would_spin_are_refused)
{
    struct seen seen;
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    const char *cpus = two_cpus();
    EI_EQ(setenv("OMP_WAIT_POLICY", "active", 1), 0);
    EI_EQ(run(cpus, "dnnl", &seen, &result, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "task 'camera': OpenMP workers would spin while they wait");
}

/* With `auto` only the machine tells how many CPUs the lane has. */
EI_TEST(too_few_cpus_are_refused)
{
    struct seen seen;
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    cpu_set_t one;
    dnnl_or_skip();
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    EI_EQ(sched_setaffinity(0, sizeof one, &one), 0); /* before anybody asks what this process may use */
    EI_EQ(run("auto", "dnnl", &seen, &result, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "lane 'acc' has 2 threads, and here its CPUs are ");
}

/* Neither bounds nor virtual time know of the CPUs that a block's other threads take. */
EI_TEST(bounds_and_virtual_runs_refuse_threads)
{
    char text[2000];
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct einet_error err = {0};
    struct ei_live_result result = {0};
    struct ei_analysis *analysis = NULL;
    snprintf(text, sizeof text, TEXT, "0,1", "auto");
    EI_EQ(ei_workload_parse(text, strlen(text), "threads.yaml", &wl, &diag), 0);
    EI_REQUIRE(wl != NULL);
    const struct ei_virtual_options options = {.cpus = 2, .out_dir = ei_test_tmpdir()};
    EI_EQ(ei_virtual_run(wl, &options, &result, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "lane 'acc' has 2 threads, and virtual ones have one");
    const struct ei_analysis_options analysis_options = {.cpus = 2};
    EI_TRUE(ei_analyze(wl, &analysis_options, &analysis, &diag) < 0);
    EI_EQ(diag.errors, 1);
    EI_CONTAINS(diag.items[0].text, "lane 'acc' has 2 threads, and bounds are known for one");
    ei_diagnostics_fini(&diag);
    ei_workload_destroy(wl);
}

EI_MAIN()
