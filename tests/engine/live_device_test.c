/* Live runs with a GPU lane, on the CUDA plug-in with a fake CUDA runtime (tests/fakes): devices that fail, hang or are
 * not there, with and without a fallback; work of others meanwhile; and the same file in virtual time. A case is a
 * process of its own, since a lost device stays lost.
 */
#include "engine/virtual.h"
#include "rt/clock.h"
#include "rt/thread.h"
#include "stages/nn/network.h"
#include "tests/engine/live_play.h"
#include "tests/fakes/fake_cudart.h"
#include "tests/harness/harness.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES 262144
#define RUNS_MAX 4 /* others on this machine may take the time that is left; not each time */

/* Two blocks, so four graphs a job: the conv parts are longer than any launch, so that none are merged. No load cap,
 * since what others on this machine add to the block times would be capped, too. */
#define LANES(more)                                                                                                    \
    "version: 1\nname: t\nrun: { duration: 800ms, start_delay: 20ms }\n"                                               \
    "platform: { privileges: degrade, lock_memory: none, rt_load_cap: 1.0 }\n"                                         \
    "lanes: { gpu: { kind: cuda, hang: 500ms" more " }, cpu0: { kind: cpu } }\nmodels:\n"                              \
    "  net: { emulate: { blocks: [ { conv: 4ms, branch: 200us, score: 0.5 }, { conv: 4ms, branch: 200us, score: 0.9 }" \
    " ] } }\n"                                                                                                         \
    "  fast: { emulate: { blocks: [ { conv: 500us, branch: 100us, score: 0.9 } ] } }\nplanner: { search: all "         \
    "}\ntasks:\n"

#define CAMERA                                                                                                         \
    "  - { name: camera, arrival: { model: periodic, period: 20ms }, priority: 20, on_preempt: none,\n"                \
    "      on_deadline: finish, late_release: { queue: 64, drop: oldest },\n"                                          \
    "      stages: [ { name: n, kind: nn, model: net, lane: gpu }, { name: post, kind: cpu, op: argmax } ] }\n"
#define RADAR                                                                                                          \
    "  - { name: radar, arrival: { model: periodic, period: 20ms, offset: 3ms }, priority: 30, on_preempt: none,\n"    \
    "      on_deadline: finish, late_release: { queue: 64, drop: oldest },\n"                                          \
    "      stages: [ { name: n, kind: nn, model: fast, lane: gpu } ] }\n"

static const struct fake_cuda_control *fake(void)
{
    const char *plugin = getenv("EINET_CUDA_PLUGIN");
    void *handle = plugin != NULL && plugin[0] != '\0' ? dlopen(plugin, RTLD_NOW | RTLD_LOCAL) : NULL;
    const struct fake_cuda_control *(*entry)(void);
    *(void **)&entry = handle != NULL ? dlsym(handle, FAKE_CUDA_ENTRY) : NULL;
    if (entry == NULL) {
        ei_test_skip("the CUDA plug-in on the fake runtime is not built: no CUDA headers here");
    }
    return entry();
}

struct outcome {
    int rc;
    struct einet_error err;
    struct ei_live_result result; /* without its collector */
    struct ei_metrics_progress tasks[2];
    char *summary, *jobs; /* the files */
};

static char *read_text(const char *name)
{
    char path[512];
    char *text = calloc(1, FILE_BYTES);
    snprintf(path, sizeof path, "%s/%s", ei_test_tmpdir(), name);
    FILE *file = fopen(path, "r");
    if (file != NULL && text != NULL) {
        (void)!fread(text, 1, FILE_BYTES - 1, file);
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

static void set_fake(void *context)
{
    if (context != NULL) { /* all threads are ready, and none is in a call */
        fake()->reset(context);
    }
}

static void run_text(const char *text, const struct fake_cuda_config *config, struct outcome *out)
{
    struct ei_workload *wl;
    struct fake_cuda_config later = config != NULL ? *config : (struct fake_cuda_config){0};
    const struct ei_live_options options = {.on_ready = set_fake, .context = config != NULL ? &later : NULL};
    *out = (struct outcome){0};
    out->rc = live_play(text, options, &wl, &out->result, &out->err);
    for (int32_t i = 0; out->rc == 0 && i < wl->task_count && i < 2; i++) {
        out->tasks[i] = ei_collector_progress(out->result.collector, i);
    }
    ei_collector_destroy(out->result.collector);
    out->result.collector = NULL;
    ei_workload_destroy(wl);
    out->summary = read_text("summary.json");
    out->jobs = read_text("jobs.csv");
    EI_REQUIRE(out->summary != NULL && out->jobs != NULL);
}

static void end(struct outcome *out)
{
    free(out->summary);
    free(out->jobs);
}

/* Lines of jobs.csv with this text. */
static int lines_with(const struct outcome *out, const char *text)
{
    int count = 0;
    for (const char *at = strstr(out->jobs, text); at != NULL; at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}

/* Sum of a column of jobs.csv over the lines of a task. */
static int64_t column_sum(const struct outcome *out, const char *task, const char *column)
{
    const char *line = strstr(out->jobs, "task,job_idx,"), *at = line != NULL ? strstr(line, column) : NULL;
    const size_t length = strlen(task);
    int32_t idx = 0;
    int64_t sum = 0;
    if (!EI_TRUE(at != NULL)) {
        return 0;
    }
    for (const char *c = line; c < at; c++) {
        idx += *c == ',';
    }
    while ((line = strchr(line, '\n')) != NULL && *++line != '\0') {
        const char *field = line;
        for (int32_t i = 0; i < idx && field != NULL; i++) {
            field = strchr(field, ',');
            field = field != NULL ? field + 1 : NULL;
        }
        if (strncmp(line, task, length) == 0 && line[length] == ',' && field != NULL) {
            sum += strtoll(field, NULL, 10);
        }
    }
    return sum;
}

/* ---- faults ---- */

/* Every job has its answers, and the run says what happened and when. */
static void expect_moved(const struct outcome *run, int32_t moved, const char *why)
{
    EI_TRUEF(run->rc == 0, "%s", run->err.text);
    EI_TRUE(run->result.is_identity_ok);
    EI_EQ(run->result.moved_tasks, moved);
    EI_EQ(run->result.faulty_jobs, 0);
    EI_EQ(run->tasks[0].released, 41);
    EI_EQ(lines_with(run, "camera,"), 41);
    EI_EQ(lines_with(run, ",completed,plan_done,"), moved == 2 ? 41 + 40 : 41);
    EI_CONTAINS(run->summary, "task 'camera' left lane 'gpu' for 'cpu0'");
    EI_CONTAINS(run->summary, why);
}

EI_TEST(live_device_error_moves_the_job_to_the_fallback)
{
    struct outcome run;
    (void)fake();
    const struct fake_cuda_config config = {.fault_graph = 4 * 10 + 3}; /* the second conv part of the eleventh job */
    run_text(LANES(", fallback: cpu") CAMERA, &config, &run);
    expect_moved(&run, 1, "with its job 10");
    end(&run);
}

EI_TEST(live_device_hang_moves_the_job_to_the_fallback)
{
    struct outcome run;
    const struct fake_cuda_config config = {.hang_graph = 4 * 12 + 2}; /* the first branch of the thirteenth job */
    (void)fake();
    run_text(LANES(", fallback: cpu0, wait: poll(20us)") CAMERA, &config, &run);
    expect_moved(&run, 1, "with its job 12");
    fake()->release();
    end(&run);
}

EI_TEST(live_device_that_is_lost_is_left_by_all_its_tasks)
{
    struct outcome run;
    const struct fake_cuda_config config = {.fault_graph = 100};
    (void)fake();
    run_text(LANES(", fallback: cpu, depth: 2") CAMERA RADAR, &config, &run);
    expect_moved(&run, 2, "task 'radar' left lane 'gpu' for 'cpu0'");
    end(&run);
}

EI_TEST(live_device_error_without_a_fallback_keeps_the_answer)
{
    struct outcome run;
    const struct fake_cuda_config config = {.fault_graph = 4 * 10 + 3};
    (void)fake();
    run_text(LANES("") CAMERA, &config, &run);
    EI_TRUEF(run.rc == 0, "%s", run.err.text);
    EI_EQ(run.result.faulty_jobs, 31);
    EI_EQ(run.result.moved_tasks, 0);
    EI_EQ(lines_with(&run, ",completed,plan_done,"), 10);
    EI_EQ(lines_with(&run, ",completed,fault,"), 1); /* its first exit was there */
    EI_EQ(lines_with(&run, ",aborted,fault,"), 30);
    EI_CONTAINS(run.result.fault_text, "task 'camera', job 10: the network failed: ");
    end(&run);
}

/* Blocks of 4 ms with max_blocking 1500us: three pieces each, so eight graphs a job; the other parts are whole. */
#define CUT_CAMERA                                                                                                     \
    "  - { name: camera, arrival: { model: periodic, period: 20ms }, priority: 20, on_preempt: resume,\n"              \
    "      on_deadline: finish, max_blocking: 1500us, late_release: { queue: 64, drop: oldest },\n"                    \
    "      stages: [ { name: n, kind: nn, model: net, lane: gpu }, { name: post, kind: cpu, op: argmax } ] }\n"

EI_TEST(live_device_error_between_pieces_moves_the_job_to_the_fallback)
{
    struct outcome run;
    const struct fake_cuda_config config = {.fault_graph = 8 * 10 + 6}; /* the second piece of the second conv part */
    (void)fake();
    run_text(LANES(", fallback: cpu") CUT_CAMERA, &config, &run);
    expect_moved(&run, 1, "with its job 10");
    end(&run);
}

EI_TEST(live_device_hang_between_pieces_without_a_fallback_keeps_the_answer)
{
    struct outcome run;
    const struct fake_cuda_config config = {.hang_graph = 8 * 10 + 6};
    (void)fake();
    run_text(LANES("") CUT_CAMERA, &config, &run);
    EI_TRUEF(run.rc == 0, "%s", run.err.text);
    EI_EQ(run.result.faulty_jobs, 31);
    EI_EQ(lines_with(&run, ",completed,plan_done,"), 10);
    EI_EQ(lines_with(&run, ",completed,fault,"), 1);
    EI_EQ(lines_with(&run, ",aborted,fault,"), 30);
    fake()->release();
    end(&run);
}

/* The linker calls this in place of ei_network_uncut: emulated networks have no layers. */
static int64_t uncut_ns;

int64_t __real_ei_network_uncut(const struct ei_network *net, struct ei_network_layer *out);
int64_t __wrap_ei_network_uncut(const struct ei_network *net, struct ei_network_layer *out);
int64_t __wrap_ei_network_uncut(const struct ei_network *net, struct ei_network_layer *out)
{
    if (uncut_ns == 0) {
        return __real_ei_network_uncut(net, out);
    }
    *out = (struct ei_network_layer){.block_idx = 1, .is_branch = true};
    snprintf(out->name, sizeof out->name, "operation 3 (linear)");
    return uncut_ns;
}

EI_TEST(live_device_layer_that_is_too_long_is_refused_by_name)
{
    struct outcome run;
    (void)fake();
    uncut_ns = 1812345;
    run_text(LANES("") CUT_CAMERA, NULL, &run);
    EI_EQ(run.rc, EINET_E_FILE);
    EI_EQ(run.err.line, 11);
    EI_CONTAINS(run.err.text, "operation 3 (linear) of the branch of block 2 of task 'camera' takes 1812 us on its "
                              "device, more than its max_blocking");
    EI_CONTAINS(run.err.text, "at least 1813us");
    end(&run);
}

/* ---- no device ---- */

EI_TEST(live_device_missing_at_start_runs_on_the_fallback)
{
    struct outcome run;
    setenv("EINET_CUDA_PLUGIN", "/nonexistent/libeinet_cuda.so", 1);
    run_text(LANES(", fallback: cpu") CAMERA, NULL, &run);
    EI_TRUEF(run.rc == 0, "%s", run.err.text);
    EI_EQ(run.result.moved_tasks, 0);
    EI_EQ(lines_with(&run, ",completed,plan_done,"), 41);
    EI_CONTAINS(run.summary, "asked for lane 'gpu' for task 'camera', got its fallback 'cpu0': ");
    EI_CONTAINS(run.jobs, "# DEGRADED: asked for lane 'gpu'");
    end(&run);
}

EI_TEST(live_device_missing_at_start_without_a_fallback_is_refused)
{
    struct outcome run;
    setenv("EINET_CUDA_PLUGIN", "/nonexistent/libeinet_cuda.so", 1);
    run_text(LANES("") CAMERA, NULL, &run);
    EI_EQ(run.rc, EINET_E_BACKEND);
    EI_EQ(run.err.line, 5);
    EI_CONTAINS(run.err.text, "lane 'gpu' cannot run task 'camera'");
    EI_CONTAINS(run.err.text, "give the lane a fallback: cpu");
    end(&run);
}

/* 2.4 ms of network, and 95 ms of a lower task that is due after 96 ms: only where the network is not on its CPU. */
EI_TEST(live_device_admission_judges_the_lane_that_it_runs_on)
{
    static const char *const text =
        "version: 1\nname: t\nrun: { duration: 50ms, start_delay: 20ms }\n"
        "platform: { lock_memory: none, rt_load_cap: 1.0 }\nscheduler: { admission: reject }\n"
        "lanes: { gpu: { kind: cuda, fallback: cpu }, cpu0: { kind: cpu, cpus: \"1\" } }\nmodels:\n"
        "  net: { emulate: { blocks: [ { conv: 1ms, branch: 200us, score: 0.5 }, { conv: 1ms, branch: 200us, score: "
        "0.9 }"
        " ] } }\nplanner: { search: all }\ntasks:\n"
        "  - { name: camera, arrival: { model: periodic, period: 200ms }, priority: 20, on_preempt: none,\n"
        "      on_deadline: finish, stages: [ { name: n, kind: nn, model: net, lane: gpu } ] }\n"
        "  - { name: busy, arrival: { model: periodic, period: 200ms }, deadline: 96ms, priority: 10, cpus: \"1\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 95ms } } ] }\n";
    const char *plugin = getenv("EINET_CUDA_PLUGIN");
    char there[512];
    struct outcome run;
    snprintf(there, sizeof there, "%s", plugin != NULL ? plugin : "");
    setenv("EINET_CUDA_PLUGIN", "/nonexistent/libeinet_cuda.so", 1);
    run_text(text, NULL, &run);
    EI_EQ(run.rc, EINET_E_FILE);
    EI_CONTAINS(run.err.text, "admission refuses the run: task 'busy' may finish late");
    end(&run);
    setenv("EINET_CUDA_PLUGIN", there, 1);
    (void)fake();
    run_text(text, NULL, &run);
    EI_TRUEF(run.rc == 0, "%s", run.err.text);
    end(&run);
}

/* ---- while a device computes ---- */

static void need_fifo(void)
{
    const struct sched_param ordinary = {.sched_priority = 0};
    if (ei_thread_become_fifo(1, NULL) != 0) {
        ei_test_skip("SCHED_FIFO is refused here: other programs would decide which job is skipped");
    }
    EI_EQ(sched_setscheduler(0, SCHED_OTHER, &ordinary), 0);
}

/* 90 ms of 150 on the device and 60 ms of 100 in a lower task of the same CPU, which has not so much time. The fake
 * device is a thread that the host may hold up, so some jobs may be missing. */
EI_TEST(live_device_leaves_the_cpu_to_others)
{
    static const char *const text =
        "version: 1\nname: t\nrun: { duration: 1800ms, start_delay: 20ms }\nplatform: { lock_memory: none }\n"
        "lanes: { gpu: { kind: cuda } }\n"
        "models: { net: { emulate: { blocks: [ { conv: 45ms, score: 0.5 }, { conv: 45ms, score: 0.9 } ] } } }\n"
        "planner: { search: all }\ntasks:\n"
        "  - { name: camera, arrival: { model: periodic, period: 150ms }, priority: 20, cpus: \"1\",\n"
        "      on_preempt: none, on_deadline: finish, stages: [ { name: n, kind: nn, model: net, lane: gpu } ] }\n"
        "  - { name: low, arrival: { model: periodic, period: 100ms, offset: 1ms }, priority: 10, cpus: \"1\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 60ms } } ] }\n";
    struct outcome run;
    bool is_ok = false;
    (void)fake();
    need_fifo();
    for (int i = 0; i < RUNS_MAX && !is_ok; i++) {
        run_text(text, NULL, &run);
        EI_TRUEF(run.rc == 0, "%s", run.err.text);
        const int64_t camera = run.tasks[0].released, low = run.tasks[1].released;
        is_ok = camera * 90 + low * 60 > 1800 + 60;
        EI_TRUEF(is_ok || i < RUNS_MAX - 1, "camera %lld, low %lld ran", (long long)camera, (long long)low);
        /* Time on the device is execution. */
        EI_TRUE(column_sum(&run, "camera", "execution_ns") >= camera * 90 * EI_NS_PER_MS);
        EI_TRUE(column_sum(&run, "camera", "lane_busy_ns") >= camera * 90 * EI_NS_PER_MS);
        end(&run);
    }
}

static void agree_on_preemptions(const char *text)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct ei_live_result result = {0};
    struct outcome run;
    bool is_ok = false;
    (void)fake();
    need_fifo();
    EI_REQUIRE(ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag) == 0);
    ei_diagnostics_fini(&diag);
    EI_EQ(ei_virtual_run(wl, &(struct ei_virtual_options){0}, &result, NULL), 0);
    const int64_t wanted = ei_collector_progress(result.collector, 0).preemptions;
    EI_TRUEF(wanted >= 20, "%lld preemptions in virtual time", (long long)wanted);
    for (int i = 0; i < RUNS_MAX && !is_ok; i++) {
        run_text(text, NULL, &run);
        EI_TRUEF(run.rc == 0, "%s", run.err.text);
        const int64_t seen = run.tasks[0].preemptions;
        is_ok = llabs(seen - wanted) <= 5 + wanted / 5;
        if (i == RUNS_MAX - 1) {
            EI_TRUEF(is_ok, "%lld preemptions, %lld in virtual time", (long long)seen, (long long)wanted);
        }
        end(&run);
    }
    ei_collector_destroy(result.collector);
    ei_workload_destroy(wl);
}

#define FAST_AND_SLOW(lane, slow, more)                                                                                \
    "version: 1\nname: t\nrun: { duration: 2500ms, start_delay: 20ms }\nplatform: { lock_memory: none }\n"             \
    "lanes: { gpu: { kind: cuda, wait: poll" lane " } }\nmodels:\n  slow: { emulate: { blocks: [ " slow                \
    " ] } }\n  fast: { emulate: { blocks: [ { conv: 2ms, score: 0.9 } ] } }\nplanner: { search: all }\ntasks:\n"       \
    "  - { name: low, arrival: { model: periodic, period: 36ms }, priority: 20, cpus: \"1\", on_preempt: resume,\n"    \
    "      on_deadline: finish" more ", stages: [ { name: n, kind: nn, model: slow, lane: gpu } ] }\n"                 \
    "  - { name: high, arrival: { model: periodic, period: 44ms }, priority: 30, cpus: \"1\", on_preempt: none,\n"     \
    "      on_deadline: finish, stages: [ { name: n, kind: nn, model: fast, lane: gpu } ] }\n"

/* A low network of 16 ms on the device that a high one interrupts at its boundaries: as often in virtual time. */
EI_TEST(live_device_preempts_as_in_virtual_time)
{
    agree_on_preemptions(FAST_AND_SLOW("",
                                       "{ conv: 4ms, score: 0.5 }, { conv: 4ms, score: 0.6 }, "
                                       "{ conv: 4ms, score: 0.7 }, { conv: 4ms, score: 0.8 }",
                                       ""));
}

/* The same as one block, which is interrupted between its pieces or not at all. */
EI_TEST(live_device_preempts_between_pieces_as_in_virtual_time)
{
    agree_on_preemptions(FAST_AND_SLOW("", "{ conv: 16ms, score: 0.8 }", ", max_blocking: 4ms"));
}

#define FIRST_BRANCH(depth)                                                                                            \
    "version: 1\nname: t\nrun: { duration: 400ms, start_delay: 20ms }\n"                                               \
    "platform: { privileges: degrade, lock_memory: none }\nlanes: { gpu: { kind: cuda, depth: " depth                  \
    " } }\nmodels:\n"                                                                                                  \
    "  net: { emulate: { blocks: [ { conv: 4ms, branch: 1ms, score: 0.5 }, { conv: 4ms, branch: 1ms, score: 0.9 } ] "  \
    "} }\nplanner: { search: all }\ntasks:\n"                                                                          \
    "  - { name: camera, arrival: { model: periodic, period: 40ms }, deadline: 7ms, priority: 20,\n"                   \
    "      late_release: { queue: 64, drop: oldest },\n"                                                               \
    "      on_deadline: exit, stages: [ { name: n, kind: nn, model: net, lane: gpu } ] }\n"

static void expect_misses_in_virtual_time(const char *text, int64_t misses)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct ei_live_result result = {0};
    EI_REQUIRE(ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag) == 0);
    ei_diagnostics_fini(&diag);
    EI_EQ(ei_virtual_run(wl, &(struct ei_virtual_options){0}, &result, NULL), 0);
    EI_EQ(ei_collector_progress(result.collector, 0).misses, misses);
    ei_collector_destroy(result.collector);
    ei_workload_destroy(wl);
}

/* With a queue the first branch comes behind the second conv part, 9 ms after the release at the soonest; without one
 * after 5. So its job is late however prompt the machine is. */
EI_TEST(live_device_queues_as_in_virtual_time)
{
    struct outcome run;
    (void)fake();
    expect_misses_in_virtual_time(FIRST_BRANCH("1"), 0);
    expect_misses_in_virtual_time(FIRST_BRANCH("2"), 11);
    run_text(FIRST_BRANCH("2"), NULL, &run);
    EI_TRUEF(run.rc == 0, "%s", run.err.text);
    EI_EQ(run.tasks[0].misses, 11);
    EI_EQ(lines_with(&run, "camera,"), 11);
    end(&run);
}

EI_MAIN()
