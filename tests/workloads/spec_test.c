/* Right workload files: what the spec holds, defaults, priorities, warnings, and printing that reads back equal. */
#include "rt/clock.h"
#include "tests/workloads/texts.h"
#include <errno.h>

#define HEAD "version: 1\nname: t\n"
#define LAW "stages: [ { name: law, kind: cpu, work: { spin: 100us } } ]"
#define EVERYTHING "tests/workloads/valid/everything.yaml"

static struct ei_workload *load(const char *path)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_load(path, &wl, &diag);
    char *said = text_diagnose(&diag);
    EI_TRUEF(rc == 0, "%s:\n%s", path, said);
    free(said);
    ei_diagnostics_fini(&diag);
    return wl;
}

EI_TEST(spec_defaults_of_the_smallest_file)
{
    struct ei_workload *wl = load("tests/workloads/valid/minimal.yaml");
    EI_REQUIRE(wl != NULL);
    const struct ei_task_spec *task = &wl->tasks[0];
    EI_EQ(wl->run.duration_ns, 30 * EI_NS_PER_S);
    EI_EQ(wl->run.warmup_ns, 0);
    EI_EQ(wl->run.seed, 1);
    EI_EQ(wl->run.start_delay_ns, 100 * EI_NS_PER_MS);
    EI_EQ(wl->platform.privileges, EI_SPEC_PRIVILEGES_DEGRADE);
    EI_EQ(wl->platform.lock_memory, EI_SPEC_LOCK_ALL);
    EI_EQ(wl->platform.stack_bytes, 256 * 1024);
    EI_EQ(wl->platform.cpu_dma_latency_ns, 0);
    EI_NEAR(wl->platform.rt_load_cap, 0.9, 0);
    EI_EQ(ei_cpuset_count(&wl->platform.housekeeping_cpus), 1);
    EI_TRUE(ei_cpuset_has(&wl->platform.housekeeping_cpus, 0));
    EI_EQ(wl->lane_count, 0);
    EI_EQ(wl->model_count, 0);
    EI_EQ(wl->planner.search.word, EI_SPEC_SEARCH_EXACT);
    EI_EQ(wl->planner.exit_time.word, EI_SPEC_EXIT_TIME_SCHEDULE);
    EI_EQ(wl->planner.replan, EI_SPEC_REPLAN_AUTO);
    EI_STREQ(wl->planner.predictor, "auto");
    EI_EQ(wl->planner.first_exit, EI_SPEC_FIRST_EXIT_MANDATORY);
    EI_EQ(wl->task_count, 1);
    EI_STREQ(task->name, "only");
    EI_EQ(task->deadline_ns, 10 * EI_NS_PER_MS);
    EI_EQ(task->priority, 80);
    EI_TRUE(ei_cpuset_is_empty(&task->cpus));
    EI_EQ(task->class_, EI_SPEC_CLASS_FIFO);
    EI_EQ(task->late_release.policy, EI_SPEC_LATE_SKIP);
    EI_EQ(task->late_release.queue, 0);
    EI_EQ(task->input.kind, EI_SPEC_INPUT_NONE);
    EI_EQ(task->nn_stage_idx, EI_NONE_IDX);
    EI_EQ(task->stages[0].spin_ns, 100 * EI_NS_PER_US);
    EI_EQ(task->stages[0].budget_ns, EI_NONE_NS);
    EI_EQ(task->stages[0].model_idx, EI_NONE_IDX);
    EI_TRUE(task->slo.max_miss_ratio < 0 && task->slo.min_accuracy < 0 && task->slo.min_coverage < 0);
    EI_EQ(task->slo.p99_response_ns, EI_NONE_NS);
    EI_EQ(task->slo.mk_k, 0);
    EI_STREQ(wl->outputs.dir, "out/{name}-{time}");
    EI_EQ(wl->outputs.jobs, EI_SPEC_JOBS_CSV);
    EI_EQ(wl->outputs.trace.format, EI_SPEC_TRACE_NONE);
    EI_EQ(wl->outputs.stages, EI_SPEC_STAGES_CSV);
    EI_STREQ(wl->outputs.metrics, "");
    EI_EQ(wl->outputs.hist, EI_SPEC_HIST_HLOG);
    ei_workload_destroy(wl);
}

static struct ei_workload *parse_lanes(const char *lanes, const char *task)
{
    char text[1024];
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    snprintf(text, sizeof text,
             HEAD "lanes: { %s }\nmodels: { net: { emulate: { blocks: [ { conv: 1ms, score: 0.8 } ] } } }\ntasks:\n"
                  "  - { name: a, arrival: { model: periodic, period: 10ms }, %s"
                  "stages: [ { name: net, kind: nn, model: net, lane: gpu } ] }\n",
             lanes, task);
    const int rc = ei_workload_parse(text, strlen(text), "text", &wl, &diag);
    char *said = text_diagnose(&diag);
    EI_TRUEF(rc == 0, "%s:\n%s", lanes, said);
    free(said);
    ei_diagnostics_fini(&diag);
    return wl;
}

EI_TEST(spec_gpu_lanes_and_their_fallbacks)
{
    struct ei_workload *wl = parse_lanes("gpu: { kind: cuda }", "");
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->lanes[0].wait.word, EI_SPEC_WAIT_BLOCK);
    EI_EQ(wl->lanes[0].depth, 1);
    EI_EQ(wl->lanes[0].hang_ns, EI_NS_PER_S);
    EI_EQ(wl->lanes[0].fallback_idx, EI_NONE_IDX);
    EI_TRUE(ei_lane_is_off_cpu(&wl->lanes[0]) && ei_cpuset_is_empty(&wl->tasks[0].cpus));
    ei_workload_destroy(wl);
    wl =
        parse_lanes("gpu: { kind: cuda, wait: poll, fallback: cpu }, k: { preempt: kernel }, c: { cpus: \"1-2\" }", "");
    EI_REQUIRE(wl != NULL);
    EI_NEAR(wl->lanes[0].wait.number, 50000, 0);
    EI_STREQ(wl->lanes[0].fallback, "c"); /* the first that is held for whole blocks */
    EI_EQ(wl->lanes[0].fallback_idx, 2);
    EI_EQ(ei_cpuset_count(&wl->tasks[0].cpus), 2);
    ei_workload_destroy(wl);
    wl = parse_lanes("gpu: { kind: cuda, wait: spin, fallback: c }, c: { cpus: \"1-2\" }", "cpus: \"2\", ");
    EI_REQUIRE(wl != NULL);
    EI_TRUE(!ei_lane_is_off_cpu(&wl->lanes[0]));
    EI_EQ(ei_cpuset_count(&wl->tasks[0].cpus), 1);
    ei_workload_destroy(wl);
}

/* Two lanes on device 1, with these multiprocessors each, and one on device 0. */
static struct ei_workload *parse_gpus(const char *sms, struct ei_diagnostics *diag)
{
    char text[2048];
    struct ei_workload *wl = NULL;
    snprintf(text, sizeof text,
             HEAD
             "lanes: { a: { kind: cuda, device: 1%s }, b: { kind: cuda }, c: { kind: cuda, device: 1%s } }\n"
             "models: { net: { emulate: { blocks: [ { conv: 1ms, score: 0.8 } ] } } }\ntasks:\n"
             "  - { name: x, arrival: { model: periodic, period: 10ms }, stages: [ { name: n, kind: nn, model: net, "
             "lane: a } ] }\n"
             "  - { name: y, arrival: { model: periodic, period: 10ms }, stages: [ { name: n, kind: nn, model: net, "
             "lane: b } ] }\n"
             "  - { name: z, arrival: { model: periodic, period: 10ms }, stages: [ { name: n, kind: nn, model: net, "
             "lane: c } ] }\n",
             sms, sms);
    EI_EQ(ei_workload_parse(text, strlen(text), "text", &wl, diag), 0);
    return wl;
}

EI_TEST(spec_lanes_with_multiprocessors_of_their_own_may_share_a_gpu)
{
    struct ei_diagnostics diag;
    struct ei_workload *wl = parse_gpus(", sms: 16", &diag);
    EI_EQ(diag.count, 0);
    EI_TRUE(wl != NULL && wl->lanes[0].sms == 16 && wl->lanes[1].sms == 0);
    ei_diagnostics_fini(&diag);
    ei_workload_destroy(wl);
}

EI_TEST(spec_warns_of_two_lanes_on_one_gpu)
{
    struct ei_diagnostics diag;
    struct ei_workload *wl = parse_gpus("", &diag);
    EI_EQ(diag.count, 1);
    EI_STREQ(diag.items[0].text, "lanes 'a' and 'c' are the same GPU, device 1");
    EI_EQ(diag.items[0].place.line, 3);
    ei_diagnostics_fini(&diag);
    ei_workload_destroy(wl);
}

EI_TEST(spec_holds_every_value_of_the_fullest_file)
{
    struct ei_workload *wl = load(EVERYTHING);
    EI_REQUIRE(wl != NULL);
    EI_STREQ(wl->name, "every.thing_1");
    EI_EQ(wl->run.duration_ns, 1500 * EI_NS_PER_MS);
    EI_EQ(wl->run.warmup_ns, 250 * EI_NS_PER_US);
    EI_TRUE(wl->run.seed == UINT64_MAX);
    EI_EQ(wl->platform.privileges, EI_SPEC_PRIVILEGES_REQUIRE);
    EI_EQ(wl->platform.stack_bytes, 1024 * 1024);
    EI_EQ(wl->platform.cpu_dma_latency_ns, EI_NONE_NS);
    EI_NEAR(wl->platform.rt_load_cap, 0.123456789, 0);
    EI_EQ(ei_cpuset_count(&wl->platform.housekeeping_cpus), 3);
    EI_EQ(wl->platform.watchdog, 7);
    EI_EQ(wl->lane_count, 4);
    EI_STREQ(wl->lanes[1].name, "on");
    const struct ei_lane_spec *gpu = &wl->lanes[3];
    EI_EQ(gpu->kind, EI_SPEC_LANE_CUDA);
    EI_EQ(gpu->device_idx, 3);
    EI_EQ(gpu->wait.word, EI_SPEC_WAIT_POLL);
    EI_NEAR(gpu->wait.number, 125000, 0);
    EI_EQ(gpu->depth, 2);
    EI_EQ(gpu->sms, 24);
    EI_EQ(wl->tasks[0].rehearse_ns, EI_NONE_NS);
    EI_EQ(wl->tasks[1].rehearse_ns, 80 * EI_NS_PER_US);
    EI_EQ(gpu->hang_ns, 250 * EI_NS_PER_MS);
    EI_STREQ(gpu->fallback, "single");
    EI_EQ(gpu->fallback_idx, 2);
    EI_EQ(gpu->preempt, EI_SPEC_LANE_PREEMPT_BLOCK);
    EI_EQ(wl->lanes[0].threads, 1);
    EI_EQ(wl->lanes[1].threads, 2);
    EI_EQ(wl->lanes[0].place.line, 14);
    EI_EQ(wl->lanes[0].place.column, 3);
    EI_STREQ(wl->models[0].weights, "w \"x\".safetensors");
    EI_STREQ(wl->models[0].profile, "p.profile");
    EI_STREQ(wl->models[1].profile, "");
    EI_STREQ(wl->models[1].dataset, "generated");
    EI_EQ(wl->models[2].kind, EI_SPEC_MODEL_BUNDLE);
    EI_STREQ(wl->models[2].bundle, "bundles/mine/");
    EI_STREQ(wl->models[2].zoo, "");
    EI_STREQ(wl->models[2].profile, "");
    const struct ei_model_spec *emulated = &wl->models[3];
    EI_EQ(emulated->kind, EI_SPEC_MODEL_EMULATE);
    EI_EQ(emulated->block_count, 3);
    EI_EQ(emulated->blocks[0].conv.median_ns, 800 * EI_NS_PER_US);
    EI_EQ(emulated->blocks[0].branch.median_ns, 0);
    EI_EQ(emulated->blocks[1].conv.kind, EI_EMULATED_LOGNORMAL);
    EI_EQ(emulated->blocks[1].conv.p99_ns, 1600 * EI_NS_PER_US);
    EI_NEAR(emulated->blocks[0].score, 0.25, 0);
    const struct ei_task_spec *task = &wl->tasks[0];
    EI_EQ(task->arrival.jitter_ns, EI_NS_PER_MS);
    EI_EQ(task->arrival.offset_ns, 1);
    EI_EQ(task->late_release.policy, EI_SPEC_LATE_DROP_NEWEST);
    EI_EQ(task->late_release.queue, 64);
    EI_EQ(task->on_preempt, EI_SPEC_ON_PREEMPT_RESUME);
    EI_EQ(task->on_deadline, EI_SPEC_ON_DEADLINE_ABORT);
    EI_EQ(task->on_overrun, EI_SPEC_ON_OVERRUN_EXIT);
    EI_EQ(task->stages[1].budget_ns, 20 * EI_NS_PER_MS);
    EI_EQ(task->stages[1].timeout_ns, 30 * EI_NS_PER_MS);
    EI_EQ(task->planner.search.word, EI_SPEC_SEARCH_STATIC);
    EI_NEAR(task->planner.search.number, 25, 0);
    EI_EQ(task->planner.first_exit, EI_SPEC_FIRST_EXIT_OPTIONAL); /* inherited */
    EI_EQ(task->input.split, EI_SPLIT_TRAIN);
    EI_TRUE(!task->input.is_loop);
    EI_STREQ(task->input.root, "sets");
    EI_EQ(task->nn_stage_idx, 1);
    EI_EQ(task->stages[0].op_count, 3);
    EI_EQ(task->stages[0].ops[1].kind, EI_SPEC_OP_RESIZE);
    EI_EQ(task->stages[0].ops[1].width_px, 32);
    EI_EQ(task->stages[0].ops[1].height_px, 48);
    EI_EQ(task->slo.mk_m, 2);
    EI_EQ(task->slo.mk_k, 10);
    EI_NEAR(task->slo.min_coverage, 1e-9, 0);
    EI_EQ(wl->tasks[1].stages[1].lane_idx, 1);
    EI_EQ(wl->tasks[1].deadline_ns, 20 * EI_NS_PER_MS);
    EI_EQ(wl->tasks[2].arrival.count, 5);
    EI_EQ(wl->tasks[3].arrival.period_ns, EI_NONE_NS);
    EI_EQ(wl->tasks[4].deadline_ns, EI_NONE_NS);
    EI_EQ(wl->tasks[4].priority, 0);
    EI_EQ(wl->tasks[4].arrival.trace_count, 4);
    EI_EQ(wl->tasks[4].arrival.trace_ns[1], 1500500);
    EI_STREQ(wl->tasks[4].stages[0].path, "log.log");
    EI_STREQ(wl->tasks[6].name, "behind"); /* behind, ahead and evenly are a chain, from the last to the first */
    EI_EQ(wl->tasks[6].arrival.after_idx, 7);
    EI_EQ(ei_workload_chain_head(wl, 6), 8);
    EI_EQ(wl->tasks[6].deadline_ns, 20 * EI_NS_PER_MS); /* of the chain's first task */
    EI_EQ(wl->tasks[7].deadline_ns, 45 * EI_NS_PER_MS);
    EI_EQ(wl->tasks[8].arrival.dist, EI_ARRIVAL_UNIFORM);
    EI_EQ(wl->tasks[9].arrival.dist, EI_ARRIVAL_LOGNORMAL);
    EI_EQ(wl->tasks[9].arrival.median_ns, 22 * EI_NS_PER_MS);
    EI_EQ(wl->outputs.jobs, EI_SPEC_JOBS_NONE);
    EI_EQ(wl->outputs.trace.format, EI_SPEC_TRACE_PERFETTO);
    EI_EQ(wl->outputs.trace.last_ns, 30 * EI_NS_PER_S);
    EI_EQ(wl->outputs.trace.save_on, EI_SPEC_SAVE_MISS);
    EI_EQ(wl->outputs.stages, EI_SPEC_STAGES_NONE);
    EI_STREQ(wl->outputs.metrics, "127.0.0.1:9464");
    EI_EQ(wl->outputs.hist, EI_SPEC_HIST_NONE);
    ei_workload_destroy(wl);
}

EI_TEST(spec_printed_file_reads_back_equal)
{
    static struct text_paths paths;
    text_paths_add(&paths, "configs");
    text_paths_add(&paths, "examples/ros2");
    text_paths_add(&paths, "tests/workloads/valid");
    EI_TRUEF(paths.count >= 8, "only %d files found", paths.count);
    for (int i = 0; i < paths.count; i++) {
        struct ei_workload *wl = load(paths.path[i]);
        EI_REQUIRE(wl != NULL);
        char *printed = text_print(wl);
        struct ei_workload *again = text_parse(printed, "printed.yaml");
        EI_REQUIRE(again != NULL);
        char *printed_again = text_print(again);
        EI_TRUEF(ei_workload_is_equal(wl, again), "%s does not read back equal:\n%s", paths.path[i], printed);
        EI_STREQ(printed_again, printed);
        free(printed);
        free(printed_again);
        ei_workload_destroy(wl);
        ei_workload_destroy(again);
    }
}

/* A change in any line of the printed file that still parses must be seen by is_equal: nothing is left out of it. */
EI_TEST(spec_equality_sees_every_printed_value)
{
    struct ei_workload *wl = load(EVERYTHING);
    EI_REQUIRE(wl != NULL);
    char *printed = text_print(wl);
    const size_t length = strlen(printed);
    char *changed = malloc(length + 1);
    int seen = 0;
    for (size_t i = 0; i < length; i++) {
        if (printed[i] < '0' || printed[i] > '9') {
            continue;
        }
        memcpy(changed, printed, length + 1);
        changed[i] = printed[i] == '3' ? '4' : '3';
        struct ei_workload *other = NULL;
        struct ei_diagnostics diag;
        if (ei_workload_parse(changed, length, "changed.yaml", &other, &diag) == 0) {
            const char *line = changed + i;
            while (line > changed && line[-1] != '\n') {
                line--;
            }
            EI_TRUEF(!ei_workload_is_equal(wl, other), "not seen: %.*s", (int)strcspn(line, "\n"), line);
            seen++;
        }
        ei_workload_destroy(other);
        ei_diagnostics_fini(&diag);
    }
    EI_TRUEF(seen >= 80, "only %d changes were legal", seen);
    free(changed);
    free(printed);
    ei_workload_destroy(wl);
}

EI_TEST(spec_priorities_follow_deadlines_when_none_is_given)
{
    struct ei_workload *wl =
        text_parse(HEAD "tasks:\n"
                        "  - { name: slow, arrival: { model: periodic, period: 50ms }, " LAW " }\n"
                        "  - { name: fast, arrival: { model: periodic, period: 5ms }, " LAW " }\n"
                        "  - { name: free, arrival: { model: periodic, period: 1ms }, deadline: none, " LAW " }\n"
                        "  - { name: other, arrival: { model: periodic, period: 1ms }, class: other, " LAW " }\n"
                        "  - { name: tight, arrival: { model: periodic, period: 50ms }, deadline: 1ms, " LAW " }\n"
                        "  - { name: same, arrival: { model: periodic, period: 5ms }, " LAW " }\n",
                   "t");
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->tasks[4].priority, 80);
    EI_EQ(wl->tasks[1].priority, 79);
    EI_EQ(wl->tasks[5].priority, 78);
    EI_EQ(wl->tasks[0].priority, 77);
    EI_EQ(wl->tasks[2].priority, 76);
    EI_EQ(wl->tasks[3].priority, 0);
    ei_workload_destroy(wl);
}

EI_TEST(spec_policies_assign_priorities)
{
    static const char tasks[] =
        "tasks:\n"
        "  - { name: slow, arrival: { model: periodic, period: 50ms }, deadline: 1ms, " LAW " }\n"
        "  - { name: fast, arrival: { model: sporadic, min_interarrival: 5ms, mean: 90ms }, " LAW " }\n"
        "  - { name: free, arrival: { model: burst, count: 2, spacing: 1ms }, deadline: 2ms, " LAW " }\n"
        "  - { name: other, arrival: { model: periodic, period: 1ms }, class: other, " LAW " }\n"
        "  - { name: same, arrival: { model: periodic, period: 5ms }, " LAW " }\n";
    static const struct {
        const char *word;
        int priority[5];
    } policies[] = {{"rate_monotonic", {78, 80, 77, 0, 79}},
                    {"deadline_monotonic", {80, 78, 79, 0, 77}},
                    {"edf", {80, 78, 79, 0, 77}}};
    for (size_t p = 0; p < sizeof policies / sizeof policies[0]; p++) {
        char text[2048];
        snprintf(text, sizeof text, HEAD "scheduler: { policy: %s }\n%s", policies[p].word, tasks);
        struct ei_workload *wl = text_parse(text, "t");
        EI_REQUIRE(wl != NULL);
        for (int i = 0; i < 5; i++) {
            EI_TRUEF(wl->tasks[i].priority == policies[p].priority[i], "%s: task %d has %d", policies[p].word, i,
                     wl->tasks[i].priority);
        }
        ei_workload_destroy(wl);
    }
}

EI_TEST(spec_lanes_of_a_list_and_a_kernel_lane)
{
    struct ei_workload *wl = load("tests/workloads/valid/edf.yaml");
    EI_REQUIRE(wl != NULL);
    const struct ei_stage_spec *listed = &wl->tasks[1].stages[0];
    EI_EQ(listed->lane_idx, 1);
    EI_EQ(listed->more_lane_count, 1);
    EI_EQ(listed->more_lanes[0], 0);
    EI_EQ(wl->tasks[0].on_preempt, EI_SPEC_ON_PREEMPT_ELASTIC);
    EI_EQ(wl->tasks[0].max_blocking_ns, EI_NONE_NS);
    EI_EQ(wl->tasks[3].on_preempt, EI_SPEC_ON_PREEMPT_NONE); /* nobody waits at its boundaries */
    ei_workload_destroy(wl);
}

EI_TEST(spec_network_task_takes_the_cpus_of_its_lane)
{
    struct ei_workload *wl =
        text_parse(HEAD "lanes: { a: { cpus: \"2-3\" } }\n"
                        "models: { m: { emulate: { blocks: [ { conv: 1ms, score: 1 } ] } } }\n"
                        "tasks:\n"
                        "  - name: whole\n    arrival: { model: periodic, period: 50ms }\n"
                        "    stages: [ { name: n, kind: nn, model: m, lane: a } ]\n"
                        "  - name: part\n    arrival: { model: periodic, period: 50ms }\n    cpus: \"3\"\n"
                        "    stages: [ { name: n, kind: nn, model: m, lane: a } ]\n",
                   "t");
    EI_REQUIRE(wl != NULL);
    EI_TRUE(ei_cpuset_is_equal(&wl->tasks[0].cpus, &wl->lanes[0].cpus));
    EI_EQ(wl->tasks[0].cpus_place.line, 0);
    EI_EQ(ei_cpuset_count(&wl->tasks[1].cpus), 1);
    EI_TRUE(ei_cpuset_has(&wl->tasks[1].cpus, 3));
    EI_EQ(wl->tasks[1].cpus_place.line, 11);
    EI_EQ(wl->tasks[1].cpus_place.column, 11);
    ei_workload_destroy(wl);
}

static void check_warning(const char *text, int line, int column, const char *fragment)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    EI_EQ(ei_workload_parse(text, strlen(text), "t", &wl, &diag), 0);
    EI_EQ(diag.errors, 0);
    EI_EQ(diag.warnings, 1);
    EI_EQ(diag.count, 1);
    EI_EQ(diag.items[0].severity, EI_SEVERITY_WARNING);
    EI_EQ(diag.items[0].place.line, line);
    EI_EQ(diag.items[0].place.column, column);
    EI_CONTAINS(diag.items[0].text, fragment);
    ei_workload_destroy(wl);
    ei_diagnostics_fini(&diag);
}

EI_TEST(spec_warnings_do_not_stop_a_file)
{
    check_warning(HEAD "tasks:\n"
                       "  - { name: a, arrival: { model: periodic, period: 5ms }, priority: 9, " LAW " }\n"
                       "  - { name: b, arrival: { model: periodic, period: 5ms }, priority: 9, " LAW " }\n",
                  5, 69, "tasks 'a' and 'b' have the same priority 9");
    check_warning(HEAD "lanes: { a: { kind: cpu, preempt: kernel } }\n"
                       "models: { m: { emulate: { blocks: [ { conv: 1ms, score: 1 } ] } } }\n"
                       "tasks:\n  - name: a\n    arrival: { model: periodic, period: 5ms }\n    on_preempt: resume\n"
                       "    stages: [ { name: n, kind: nn, model: m, lane: a } ]\n",
                  8, 17, "'on_preempt' has no effect: lane 'a' of task 'a' has preempt: kernel");
    check_warning(HEAD "lanes: { a: { kind: cpu } }\n"
                       "models: { m: { emulate: { blocks: [ { conv: 1ms, score: 1 } ] } } }\n"
                       "tasks:\n  - name: a\n    arrival: { model: periodic, period: 5ms }\n    on_preempt: restart\n"
                       "    on_deadline: finish\n    stages: [ { name: n, kind: nn, model: m, lane: a } ]\n",
                  8, 17, "a job of task 'a' may restart for ever");
    check_warning(HEAD "lanes:\n  a: { kind: cpu }\ntasks:\n"
                       "  - { name: a, arrival: { model: periodic, period: 5ms }, " LAW " }\n",
                  4, 3, "no task uses lane 'a'");
    check_warning(HEAD "tasks:\n  - name: a\n    arrival: { model: periodic, period: 5ms }\n    on_preempt: resume\n"
                       "    " LAW "\n",
                  6, 17, "'on_preempt' has no effect");
    check_warning(HEAD "tasks:\n  - name: a\n    arrival: { model: periodic, period: 5ms }\n"
                       "    stages: [ { name: law, kind: cpu, work: { spin: 6ms } } ]\n",
                  5, 14, "task 'a' alone asks for 120 % of a CPU's time");
    check_warning(HEAD "tasks:\n  - name: a\n    arrival: { model: periodic, period: 5ms }\n    overlap: 2\n"
                       "    " LAW "\n",
                  6, 14, "nothing of task 'a' can overlap");
    check_warning(HEAD "tasks:\n  - name: a\n    arrival: { model: periodic, period: 5ms }\n    deadline: 20ms\n"
                       "    overlap: 2\n    stages: [ { name: x, kind: cpu, work: { spin: 6ms } },\n"
                       "      { name: y, kind: cpu, work: { spin: 6ms } } ]\n",
                  5, 14, "task 'a' alone asks for 240 % of a CPU's time");
    check_warning(HEAD "tasks:\n"
                       "  - { name: a, arrival: { model: periodic, period: 200us }, cpus: \"1\", " LAW " }\n"
                       "  - { name: b, arrival: { model: periodic, period: 200us }, cpus: \"1\", " LAW " }\n",
                  4, 67, "the tasks of CPU 1 ask for 100 % of its time, the cap is 90 %");
    check_warning(HEAD "tasks:\n  - name: a\n    arrival: { model: periodic, period: 5ms }\n    deadline: 50us\n"
                       "    " LAW "\n",
                  6, 15, "longer than its deadline");
}

/* A rehearsal would take of the runtime that the kernel gives the job. */
EI_TEST(spec_task_of_class_deadline_never_rehearses)
{
    static const char text[] = HEAD "tasks:\n  - name: a\n    arrival: { model: periodic, period: 5ms }\n"
                                    "    class: deadline\n    rehearse: 100us\n"
                                    "    stages: [ { name: x, kind: cpu, work: { spin: 100us }, budget: 1ms } ]\n";
    check_warning(text, 7, 15, "'rehearse' has no effect: task 'a' has no nn stage");
    struct ei_workload *wl = text_parse(text, "text");
    EI_REQUIRE(wl != NULL);
    EI_EQ(wl->tasks[0].rehearse_ns, EI_NONE_NS);
    ei_workload_destroy(wl);
}

EI_TEST(spec_paths_are_found_beside_the_file_first)
{
    char folder[256];
    char path[400];
    snprintf(folder, sizeof folder, "%s", ei_test_tmpdir());
    snprintf(path, sizeof path, "%s/here.csv", folder);
    FILE *file = fopen(path, "w");
    EI_REQUIRE(file != NULL);
    fputs("release_s\n1\n", file);
    fclose(file);
    const char *text = HEAD "tasks:\n  - name: a\n    arrival: { model: aperiodic, trace: here.csv }\n    " LAW "\n"
                            "  - name: b\n    arrival: { model: aperiodic, trace: "
                            "tests/workloads/valid/traces/three.csv }\n    " LAW "\n";
    char name[400];
    snprintf(name, sizeof name, "%s/t.yaml", folder);
    struct ei_workload *wl = text_parse(text, name);
    EI_REQUIRE(wl != NULL);
    EI_STREQ(wl->tasks[0].arrival.trace, path);
    EI_EQ(wl->tasks[0].arrival.trace_ns[0], EI_NS_PER_S);
    EI_STREQ(wl->tasks[1].arrival.trace, "tests/workloads/valid/traces/three.csv");
    ei_workload_destroy(wl);
}

EI_TEST(spec_durations_are_exact)
{
    static const struct {
        const char *text;
        int64_t ns;
        const char *shortest;
    } good[] = {
        {"0ns", 0, "0s"},
        {"1ns", 1, "1ns"},
        {"0.5ms", 500000, "500us"},
        {"1.000000001s", 1000000001, "1000000001ns"},
        {"33333us", 33333000, "33333us"},
        {"90s", 90 * EI_NS_PER_S, "90s"},
        {"1.50us", 1500, "1500ns"},
        {"9223372036854775807ns", INT64_MAX, "9223372036854775807ns"},
        {"1.5min", INT64_C(90000000000), "90s"},
        {"1h", INT64_C(3600000000000), "3600s"},
    };
    static const char *const bad[] = {"",
                                      "5",
                                      "ms",
                                      "-1s",
                                      "1 s",
                                      "1.s",
                                      ".5s",
                                      "0.1ns",
                                      "1e3s",
                                      "1d",
                                      "1S",
                                      "0x1s",
                                      "9223372036854775808ns",
                                      "9223372037s",
                                      "1..5s",
                                      "1.5.5s",
                                      "5ms "};
    char text[EI_DURATION_TEXT_MAX];
    int64_t ns = -7;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        EI_TRUEF(ei_duration_parse(good[i].text, &ns) == 0 && ns == good[i].ns, "%s is %" PRId64, good[i].text, ns);
        EI_STREQ(ei_duration_format(good[i].ns, text), good[i].shortest);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ns = -7;
        EI_TRUEF(ei_duration_parse(bad[i], &ns) == -EINVAL && ns == -7, "'%s' was taken", bad[i]);
    }
}

EI_MAIN()
