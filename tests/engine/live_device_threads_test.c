/* A job that moves from a lost GPU to a lane with two threads, on the CUDA plug-in with a fake CUDA runtime. The fake
 * computes no layers, so the network of the device is an emulated one; the linker puts a network of layers in the place
 * of the emulated one of the fallback. A case is a process of its own, since a lost device stays lost.
 */
#include "engine/analyze.h"
#include "engine/run_state.h"
#include "engine/virtual.h"
#include "rt/topology.h"
#include "stages/dnnl/loader.h"
#include "tests/engine/live_play.h"
#include "tests/fakes/fake_cudart.h"
#include "tests/harness/harness.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHTS "models/pretrained/b-alexnet-generated.safetensors"
#define TEXT                                                                                                           \
    "version: 1\nname: threads\nrun: { duration: 600ms, start_delay: 20ms }\n"                                         \
    "platform: { privileges: degrade, lock_memory: none, housekeeping_cpus: none, rt_load_cap: 1.0 }\n"                \
    "lanes:\n  gpu: { kind: cuda, hang: 500ms, fallback: cpu }\n"                                                      \
    "  cpu0: { kind: cpu, cpus: \"%s\", threads: 2, backend: dnnl }\n"                                                 \
    "models: { net: { emulate: { blocks: [ { conv: 2ms, branch: 200us, score: 0.5 }, "                                 \
    "{ conv: 2ms, branch: 200us, score: 0.7 }, { conv: 2ms, branch: 200us, score: 0.9 } ] } } }\n"                     \
    "planner: { search: all }\n"                                                                                       \
    "tasks:\n"                                                                                                         \
    "  - name: camera\n"                                                                                               \
    "    arrival: { model: periodic, period: 20ms }\n"                                                                 \
    "    priority: 41\n    on_deadline: finish\n    late_release: { queue: 64, drop: oldest }\n%s"                     \
    "    input: { kind: generated, seed: 1, count: 20, split: test }\n"                                                \
    "    stages: [ { name: pre, kind: cpu, op: normalize }, { name: net, kind: nn, model: net, lane: gpu } ]\n"
#define JOBS 31
#define GRAPHS_A_JOB 6

/* What was seen of the job thread; written by it alone. */
static struct {
    struct ei_job_slot *slot;            /* whose job is or was the last */
    int32_t jobs_before, jobs_after;     /* that ended on the device, and on the fallback */
    int32_t pinned_before, pinned_after; /* that left their thread on one CPU */
    int32_t blocks_after,
        counted_blocks; /* on the fallback; of these with as many counted as active as it has threads */
    int32_t left_over;  /* jobs that left somebody counted as active */
} seen;

/* Threads that count as active, on all CPUs. */
static int32_t active(const struct ei_job_slot *slot)
{
    const struct ei_cpu_loads *loads = &slot->task->run->loads;
    int32_t count = 0;
    for (int32_t i = 0; i < loads->count; i++) {
        count += loads->cpus[i].load.active;
    }
    return count;
}

void __real_ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns);
void __wrap_ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns);
void __wrap_ei_job_run(struct ei_job_slot *slot, struct ei_release release, int64_t awake_ns)
{
    seen.slot = slot;
    __real_ei_job_run(slot, release, awake_ns);
    seen.left_over += slot->task->slot_count == 1 && active(slot) != 0;
}

void __real_ei_task_settle_on_spare(struct ei_job_slot *slot);
void __wrap_ei_task_settle_on_spare(struct ei_job_slot *slot);
void __wrap_ei_task_settle_on_spare(struct ei_job_slot *slot)
{
    cpu_set_t cpus;
    __real_ei_task_settle_on_spare(slot);
    const bool is_pinned = sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1;
    if (ei_task_is_on_spare(slot->task)) {
        seen.jobs_after++;
        seen.pinned_after += is_pinned;
    } else {
        seen.jobs_before++;
        seen.pinned_before += is_pinned;
    }
}

int __real_ei_network_run_piece(struct ei_network *net, int32_t k, bool is_branch, int32_t piece, float *out_logits);
int __wrap_ei_network_run_piece(struct ei_network *net, int32_t k, bool is_branch, int32_t piece, float *out_logits);
int __wrap_ei_network_run_piece(struct ei_network *net, int32_t k, bool is_branch, int32_t piece, float *out_logits)
{
    const struct ei_job_slot *slot = seen.slot;
    if (slot != NULL && net == slot->task->nn.spare.net && ei_task_is_on_spare(slot->task)) {
        seen.blocks_after++;
        seen.counted_blocks += slot->cpu == EI_CPU_LOAD_NONE || active(slot) == 2; /* none: no privilege here */
    }
    return __real_ei_network_run_piece(net, k, is_branch, piece, out_logits);
}

int __real_ei_network_open_emulate(const struct ei_network_emulate_config *config, struct ei_network **out,
                                   struct einet_error *err);
int __wrap_ei_network_open_emulate(const struct ei_network_emulate_config *config, struct ei_network **out,
                                   struct einet_error *err);
int __wrap_ei_network_open_emulate(const struct ei_network_emulate_config *config, struct ei_network **out,
                                   struct einet_error *err)
{
    const struct ei_network_zoo_config zoo = {
        .zoo = "b-alexnet", .weights_path = WEIGHTS, .dataset = "generated", .threads = 2, .backend = EI_NETWORK_DNNL};
    return config->is_on_cuda ? __real_ei_network_open_emulate(config, out, err) : ei_network_open_zoo(&zoo, out, err);
}

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

static void set_fake(void *context)
{
    fake()->reset(context);
}

/* The first two CPUs of this process as "0,1", or skip. */
static const char *two_cpus(void)
{
    static char text[32];
    const struct ei_dnnl_api *api;
    struct ei_cpuset allowed;
    struct einet_error err = {0};
    if (ei_dnnl_load(&api, &err) != 0) {
        ei_test_skip("%s", err.text);
    }
    EI_EQ(ei_topology_allowed(&allowed, &err), 0);
    const int first = ei_cpuset_next(&allowed, 0), second = ei_cpuset_next(&allowed, first + 1);
    if (second < 0) {
        ei_test_skip("this process has one CPU");
    }
    snprintf(text, sizeof text, "%d,%d", first, second);
    return text;
}

static void expect_moved(const char *more, int32_t fault_graph, int32_t job)
{
    char text[2000], why[64];
    struct ei_workload *wl = NULL;
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    const char *cpus = two_cpus();
    (void)fake();
    struct fake_cuda_config config = {.fault_graph = fault_graph};
    snprintf(text, sizeof text, TEXT, cpus, more);
    const struct ei_live_options options = {.on_ready = set_fake, .context = &config};
    EI_TRUEF(live_play(text, options, &wl, &result, &err) == 0, "%s", err.text);
    const struct ei_metrics_progress camera = ei_collector_progress(result.collector, 0);
    EI_EQ(result.moved_tasks, 1);
    EI_EQ(result.faulty_jobs, 0);
    EI_TRUE(result.is_identity_ok);
    EI_EQ(camera.released, JOBS);
    EI_EQ(seen.jobs_before + seen.jobs_after, JOBS);
    snprintf(why, sizeof why, "%d jobs before", seen.jobs_before);
    EI_TRUEF(seen.jobs_before <= job, "%s", why);
    EI_EQ(seen.pinned_before, 0);
    EI_EQ(seen.pinned_after, seen.jobs_after);
    EI_TRUE(seen.blocks_after > 0);
    EI_EQ(seen.counted_blocks, seen.blocks_after);
    EI_EQ(seen.left_over, 0);
    ei_collector_destroy(result.collector);
    ei_workload_destroy(wl);
}

EI_TEST(live_device_error_moves_the_job_to_two_threads)
{
    expect_moved("", GRAPHS_A_JOB * 10 + 3, 10); /* in its second conv part: it goes on behind the first answer */
}

/* The other jobs' threads have counted themselves as active before their task had more threads. */
EI_TEST(live_device_error_moves_overlapping_jobs_to_two_threads)
{
    expect_moved("    overlap: 2\n", GRAPHS_A_JOB * 8, 10);
}

/* Neither knows of a lost device, so that threads of the fallback are nothing to them. */
EI_TEST(bounds_and_virtual_runs_leave_the_fallback_alone)
{
    char text[2000];
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct einet_error err = {0};
    struct ei_live_result result = {0};
    struct ei_analysis *analysis = NULL;
    snprintf(text, sizeof text, TEXT, "0,1", "");
    EI_EQ(ei_workload_parse(text, strlen(text), "threads.yaml", &wl, &diag), 0);
    EI_REQUIRE(wl != NULL);
    const struct ei_virtual_options options = {.cpus = 2, .out_dir = ei_test_tmpdir()};
    EI_TRUEF(ei_virtual_run(wl, &options, &result, &err) == 0, "%s", err.text);
    EI_EQ(ei_collector_progress(result.collector, 0).released, JOBS);
    ei_collector_destroy(result.collector);
    const struct ei_analysis_options analysis_options = {.cpus = 2, .ops_ns = 0};
    EI_EQ(ei_analyze(wl, &analysis_options, &analysis, &diag), 0);
    ei_analysis_destroy(analysis);
    ei_diagnostics_fini(&diag);
    ei_workload_destroy(wl);
}

EI_MAIN()
