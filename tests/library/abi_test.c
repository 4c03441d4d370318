/* The interface as it was given out: sizes of its structs, and what becomes of structs of other versions. Linked with
 * libeinet.so alone.
 */
#include "tests/harness/harness.h"

#include <einet/einet.h>
#include <errno.h>
#include <stddef.h>

static const char text[] =
    "version: 1\nname: abi\nlanes: { cpu0: { kind: cpu } }\n"
    "models: { m: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.5 } ] } } }\n"
    "tasks:\n"
    "  - { name: often, arrival: { model: periodic, period: 10ms }, deadline: 5ms, class: other,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n"
    "  - { name: seen, arrival: { model: external, min_interarrival: 3ms }, priority: 30,\n"
    "      late_release: { queue: 2, drop: oldest },\n"
    "      stages: [ { name: n, kind: nn, model: m, lane: cpu0 } ] }\n";

static struct einet_workload *parsed(void)
{
    struct einet_workload *workload = NULL;
    struct einet_error err = {0};
    EI_TRUEF(einet_workload_parse(text, strlen(text), NULL, &workload, &err) == 0, "%s", err.text);
    return workload;
}

/* A change here is a change of the interface: fields are added at the end, and a number grows. */
EI_TEST(abi_structs_have_their_sizes)
{
    EI_EQ(sizeof(struct einet_error), 12 + EINET_ERROR_FILE_MAX + EINET_ERROR_TEXT_MAX);
    EI_EQ(sizeof(struct einet_task_info), 120);
    EI_EQ(offsetof(struct einet_task_info, chain_head_idx), 80);
    EI_EQ(offsetof(struct einet_task_info, message), 112);
    EI_EQ(offsetof(struct einet_job, upstream), 56);
    EI_EQ(offsetof(struct einet_task_info, deadline_ns), 32);
    EI_EQ(sizeof(struct einet_answer), 112);
    EI_EQ(sizeof(struct einet_result), 208);
    EI_EQ(offsetof(struct einet_result, blocks_done), 200);
    EI_EQ(offsetof(struct einet_result, priority), 204);
    EI_EQ(sizeof(struct einet_preemption), 56);
    EI_EQ(sizeof(struct einet_callbacks), 48);
    EI_EQ(sizeof(struct einet_run_options), 56);
    EI_EQ(sizeof(struct einet_figures), 96);
    EI_EQ(sizeof(struct einet_end), 64);
    EI_EQ(sizeof(struct einet_frame), 80);
    EI_EQ(sizeof(struct einet_job), 64);
    EI_EQ(sizeof(struct einet_stage), 24);
    EI_EQ(sizeof(struct einet_network), 128);
    EI_EQ(sizeof(struct einet_draft_lane), 88);
    EI_EQ(sizeof(struct einet_draft_model), 56);
    EI_EQ(sizeof(struct einet_draft_block), 48);
    EI_EQ(sizeof(struct einet_draft_task), 256);
    EI_EQ(sizeof(struct einet_draft_stage), 72);
    EI_EQ(sizeof(struct einet_change), 40);
    EI_EQ(sizeof(struct einet_settings), 80);
}

EI_TEST(abi_version_is_that_of_the_header)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", EINET_VERSION_MAJOR, EINET_VERSION_MINOR, EINET_VERSION_PATCH);
    EI_STREQ(einet_version(), version);
}

EI_TEST(workload_is_described)
{
    struct einet_workload *workload = parsed();
    struct einet_task_info info = {.size_bytes = sizeof info};
    EI_REQUIRE(workload != NULL);
    EI_STREQ(einet_workload_name(workload), "abi");
    EI_EQ(einet_workload_task_count(workload), 2);
    EI_EQ(einet_workload_find_task(workload, "seen"), 1);
    EI_EQ(einet_workload_find_task(workload, "see"), -ENOENT);
    EI_EQ(einet_workload_task_info(workload, 0, &info), 0);
    EI_STREQ(info.name, "often");
    EI_TRUE(info.scheduling_class == EINET_CLASS_OTHER && !info.is_external && !info.has_network);
    EI_TRUE(info.deadline_ns == 5000000 && info.least_interval_ns == 10000000);
    EI_EQ(einet_workload_task_info(workload, 1, &info), 0);
    EI_TRUE(info.scheduling_class == EINET_CLASS_FIFO && info.priority == 30 && info.is_external && info.has_network);
    EI_TRUE(info.deadline_ns == 3000000 && info.least_interval_ns == 3000000 && info.overlap == 1 && info.queue == 2);
    EI_EQ(einet_workload_task_info(workload, 2, &info), -EINVAL);
    EI_EQ(einet_workload_task_info(workload, -1, &info), -EINVAL);
    einet_workload_destroy(workload);
}

/* A program of an older header gets what it knows, one of a newer header 0 for what the library does not know. */
EI_TEST(structs_of_other_versions_are_filled_as_far_as_they_go)
{
    struct einet_workload *workload = parsed();
    struct {
        struct einet_task_info info;
        int64_t newer[2];
    } wide;
    EI_REQUIRE(workload != NULL);
    memset(&wide, 0x55, sizeof wide);
    wide.info.size_bytes = sizeof wide - sizeof(int64_t);
    EI_EQ(einet_workload_task_info(workload, 0, &wide.info), 0);
    EI_EQ(wide.info.size_bytes, sizeof wide - sizeof(int64_t));
    EI_EQ(wide.info.deadline_ns, 5000000);
    EI_EQ(wide.newer[0], 0);
    EI_EQ(wide.newer[1], 0x5555555555555555);
    memset(&wide, 0x55, sizeof wide);
    wide.info.size_bytes = offsetof(struct einet_task_info, deadline_ns);
    EI_EQ(einet_workload_task_info(workload, 0, &wide.info), 0);
    EI_STREQ(wide.info.name, "often");
    EI_EQ(wide.info.deadline_ns, 0x5555555555555555);
    wide.info.size_bytes = 0;
    EI_EQ(einet_workload_task_info(workload, 0, &wide.info), -EINVAL);
    einet_workload_destroy(workload);
}

EI_TEST(workload_that_is_wrong_names_the_place)
{
    static const char wrong[] = "version: 1\nname: x\ntasks:\n  - { name: a, arrival: { model: external, "
                                "min_interarrival: 1s }, prioriy: 3, stages: [] }\n";
    struct einet_workload *workload = NULL;
    struct einet_error err = {0};
    EI_EQ(einet_workload_parse(wrong, strlen(wrong), "folder/mine.yaml", &workload, &err), EINET_E_FILE);
    EI_TRUE(workload == NULL && err.code == EINET_E_FILE && err.line == 4 && err.column > 0);
    EI_STREQ(err.file, "folder/mine.yaml");
    EI_CONTAINS(err.text, "prioriy");
    EI_EQ(einet_workload_load("/nonexistent/x.yaml", &workload, &err), EINET_E_FILE);
    EI_CONTAINS(err.file, "/nonexistent/x.yaml");
    EI_EQ(einet_workload_load("configs/edge-server.yaml", &workload, NULL), 0);
    EI_EQ(einet_workload_find_task(workload, "no such task"), -ENOENT);
    einet_workload_destroy(workload);
    einet_workload_destroy(NULL);
}

EI_MAIN()
