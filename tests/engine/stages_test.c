/* stages.csv of both engines: of virtual runs against lines worked out by hand, of live ones against what must hold
 * however late the machine is.
 */
#include "engine/virtual.h"
#include "tests/engine/live_play.h"
#include "tests/harness/harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)1 << 20)

/* Two exits that take what they say; the higher task takes the lane at the first boundary. */
#define HEAD(length)                                                                                                   \
    "version: 1\nname: t\nrun: { duration: " length ", warmup: 0s, start_delay: 20ms, seed: 1 }\n"                     \
    "platform: { privileges: degrade, rt_load_cap: 1.0 }\n"                                                            \
    "lanes: { acc: { kind: cpu, cpus: \"0-1\", preempt: block } }\n"                                                   \
    "models: { m: { emulate: { blocks: [ { conv: 2ms, branch: 1ms, score: 0.5 },\n"                                    \
    "    { conv: 2ms, branch: 1ms, score: 0.9 } ] } } }\n"                                                             \
    "planner: { search: all, replan: inline }\n"
#define CAMERA                                                                                                         \
    "  - { name: camera, arrival: { model: periodic, period: 20ms }, deadline: none, priority: 50, cpus: \"1\",\n"     \
    "      on_preempt: resume,\n"                                                                                      \
    "      stages: [ { name: pre, kind: cpu, work: { spin: 1ms } }, { name: net, kind: nn, model: m, lane: acc },\n"   \
    "        { name: post, kind: cpu, work: { spin: 500us } } ] }\n"

static struct ei_workload *parse(const char *text)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    if (ei_workload_parse(text, strlen(text), "test.yaml", &wl, &diag) != 0) {
        ei_diagnostics_print(&diag, stderr);
    }
    ei_diagnostics_fini(&diag);
    return wl;
}

static void simulate(const char *text)
{
    struct ei_workload *wl = parse(text);
    EI_REQUIRE(wl != NULL);
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    const struct ei_virtual_options options = {.out_dir = ei_test_tmpdir(), .cpus = 2};
    EI_TRUEF(ei_virtual_run(wl, &options, &result, &err) == 0, "%s", err.text);
    ei_collector_destroy(result.collector);
    ei_workload_destroy(wl);
}

/* A file of the output folder, on the heap; NULL = there is none. */
static char *read_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", ei_test_tmpdir(), name);
    FILE *file = fopen(path, "re");
    char *text = file != NULL ? calloc(1, FILE_BYTES) : NULL;
    if (text != NULL) {
        EI_TRUE(fread(text, 1, FILE_BYTES, file) < FILE_BYTES);
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

#define COLUMNS                                                                                                        \
    "task,job_idx,release_ns,kind,stage_idx,stage,block_idx,lane,cpu,ready_ns,start_ns,end_ns,cpu_ns,confidence\n"

EI_TEST(virtual_stages_and_blocks_of_a_job)
{
    simulate(HEAD("19ms") "tasks:\n" CAMERA);
    char *text = read_file("stages.csv");
    EI_REQUIRE(text != NULL);
    EI_STREQ(text, COLUMNS "camera,0,0,cpu,0,pre,,,1,0,0,1000000,1000000,\n"
                           "camera,0,0,conv,1,net,0,acc,,,1000000,3000000,,\n"
                           "camera,0,0,branch,1,net,0,acc,,,3000000,4000000,,0.5\n"
                           "camera,0,0,conv,1,net,1,acc,,,4000000,6000000,,\n"
                           "camera,0,0,branch,1,net,1,acc,,,6000000,7000000,,0.9\n"
                           "camera,0,0,nn,1,net,,,1,1000000,1000000,7000000,6000000,\n"
                           "camera,0,0,cpu,2,post,,,1,7000000,7000000,7500000,500000,\n");
    free(text);
}

/* The other is released in the camera's first conv part, and takes the lane at its end. */
EI_TEST(virtual_waits_for_a_lane_and_a_processor_are_before_the_start)
{
    simulate(
        HEAD("19ms") "tasks:\n" CAMERA
                     "  - { name: high, arrival: { model: periodic, period: 20ms, offset: 2ms }, deadline: none,\n"
                     "      priority: 60, cpus: \"0\", stages: [ { name: look, kind: nn, model: m, lane: acc } ] }\n");
    char *text = read_file("stages.csv");
    EI_REQUIRE(text != NULL);
    EI_CONTAINS(text, "high,0,2000000,nn,0,look,,,0,0,1000000,7000000,6000000,\n"); /* asked at 2 ms, had it at 3 */
    EI_CONTAINS(text, "camera,0,0,branch,1,net,0,acc,,,9000000,10000000,,0.5\n");   /* the lane was away from 3 to 9 */
    EI_CONTAINS(text, "camera,0,0,nn,1,net,,,1,1000000,1000000,13000000,6000000,\n");
    free(text);
}

/* On a device that cuts above 1 ms: a line for each piece, and the confidence in the last one of a branch. */
EI_TEST(virtual_pieces_have_lines_of_their_own)
{
    simulate("version: 1\nname: t\nrun: { duration: 19ms, start_delay: 20ms }\nlanes: { gpu: { kind: cuda } }\n"
             "models: { m: { emulate: { blocks: [ { conv: 2ms, branch: 1500us, score: 0.5 } ] } } }\n"
             "planner: { search: all, replan: inline }\ntasks:\n"
             "  - { name: t, arrival: { model: periodic, period: 20ms }, max_blocking: 1ms, cpus: \"1\", priority: 9,\n"
             "      on_preempt: resume, stages: [ { name: net, kind: nn, model: m, lane: gpu } ] }\n");
    char *text = read_file("stages.csv");
    EI_REQUIRE(text != NULL);
    EI_STREQ(text, COLUMNS "t,0,0,conv,0,net,0,gpu,,,0,1000000,,\n"
                           "t,0,0,conv,0,net,0,gpu,,,1000000,2000000,,\n"
                           "t,0,0,branch,0,net,0,gpu,,,2000000,2750000,,\n"
                           "t,0,0,branch,0,net,0,gpu,,,2750000,3500000,,0.5\n"
                           "t,0,0,nn,0,net,,,1,0,0,3500000,0,\n");
    free(text);
}

EI_TEST(without_the_output_there_are_no_records)
{
    simulate(HEAD("19ms") "outputs: { stages: none }\ntasks:\n" CAMERA);
    char *text = read_file("stages.csv"), *jobs = read_file("jobs.csv");
    EI_TRUE(text == NULL && jobs != NULL);
    free(text);
    free(jobs);
}

/* ---- live ---- */

struct line {
    char task[64], kind[16];
    long long job, release_ns, stage, block, ready_ns, start_ns, end_ns, cpu_ns;
};

/* The next line, its empty fields as -1. */
static bool next_line(char **text, struct line *out)
{
    char *line = strsep(text, "\n"), *fields[14];
    if (line == NULL || line[0] == '\0') {
        return false;
    }
    for (int i = 0; i < 14; i++) {
        fields[i] = strsep(&line, ",");
        if (!EI_TRUEF(fields[i] != NULL, "a line of %d fields", i)) {
            return false;
        }
    }
    long long *const numbers[] = {&out->job,      &out->release_ns, NULL,         NULL,
                                  NULL,           &out->block,      NULL,         NULL,
                                  &out->ready_ns, &out->start_ns,   &out->end_ns, &out->cpu_ns};
    out->stage = strtoll(fields[4], NULL, 10);
    for (int i = 1; i <= 12; i++) {
        if (numbers[i - 1] != NULL) {
            *numbers[i - 1] = fields[i][0] != '\0' ? strtoll(fields[i], NULL, 10) : -1;
        }
    }
    snprintf(out->task, sizeof out->task, "%.63s", fields[0]);
    snprintf(out->kind, sizeof out->kind, "%.15s", fields[3]);
    return true;
}

/* What holds between the lines of each job: its stages follow each other, its blocks lie within their stage. Returns
 * the number of jobs whose last stage, of stage_count, has a line. */
static int64_t expect_order(char *text, long long stage_count)
{
    struct line line;
    int64_t jobs = 0;
    long long job = -1, stage = 0, stage_end_ns = 0, block_end_ns = -1, first_block_ns = -1;
    while (next_line(&text, &line)) {
        if (line.job != job) {
            job = line.job;
            stage = 0;
            stage_end_ns = block_end_ns = first_block_ns = -1;
        }
        EI_TRUEF(line.stage == stage, "job %lld: stage %lld, %lld is due", job, line.stage, stage);
        EI_TRUE(line.start_ns >= 0 && line.end_ns >= line.start_ns);
        if (strcmp(line.kind, "conv") == 0 || strcmp(line.kind, "branch") == 0) {
            EI_TRUEF(line.start_ns >= block_end_ns, "job %lld: a block starts before the one before it ends", job);
            block_end_ns = line.end_ns;
            first_block_ns = first_block_ns < 0 ? line.start_ns : first_block_ns;
            continue;
        }
        EI_TRUEF(stage == 0 || line.ready_ns == stage_end_ns, "job %lld: stage %lld is ready at %lld, not %lld", job,
                 stage, line.ready_ns, stage_end_ns);
        EI_TRUE(line.ready_ns >= 0 && line.start_ns >= line.ready_ns);
        EI_IN(line.cpu_ns, 0, line.end_ns - line.ready_ns);
        if (strcmp(line.kind, "nn") == 0) {
            EI_TRUE(first_block_ns >= line.start_ns && block_end_ns >= 0 && line.end_ns >= block_end_ns);
        }
        stage_end_ns = line.end_ns;
        stage++;
        jobs += stage == stage_count;
    }
    return jobs;
}

static int64_t count(const char *text, const char *what)
{
    int64_t found = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what)) {
        found++;
    }
    return found;
}

/* post: the text of a third stage. */
static void expect_live(const char *overlap, const char *post)
{
    char text[4096];
    struct ei_workload *wl;
    struct ei_live_result result = {0};
    struct einet_error err = {0};
    snprintf(text, sizeof text,
             "version: 1\nname: t\nrun: { duration: 600ms, warmup: 0s, start_delay: 20ms, seed: 1 }\n"
             "platform: { privileges: degrade, rt_load_cap: 1.0 }\nlanes: { acc: { kind: cpu, preempt: block } }\n"
             "models: { m: { emulate: { blocks: [ { conv: 1ms, branch: 500us, score: 0.5 },\n"
             "    { conv: 1ms, branch: 500us, score: 0.9 } ] } } }\nplanner: { search: all, replan: inline }\n"
             "tasks:\n  - { name: camera, arrival: { model: periodic, period: 10ms }, deadline: none, priority: 50,\n"
             "      overlap: %s, stages: [ { name: pre, kind: cpu, work: { spin: 500us } },\n"
             "        { name: net, kind: nn, model: m, lane: acc }%s ] }\n",
             overlap, post);
    EI_EQ(live_play(text, (struct ei_live_options){0}, &wl, &result, &err), 0);
    EI_REQUIRE(result.collector != NULL);
    const struct ei_metrics_progress progress = ei_collector_progress(result.collector, 0);
    ei_collector_destroy(result.collector);
    ei_workload_destroy(wl);
    char *csv = read_file("stages.csv");
    EI_REQUIRE(csv != NULL);
    char *body = strstr(csv, COLUMNS); /* behind what may be degraded here */
    EI_REQUIRE(body != NULL);
    EI_EQ(count(body, ",conv,1,net,"), 2 * progress.completed);
    EI_EQ(count(body, ",branch,1,net,1,acc,"), progress.completed);
    EI_EQ(expect_order(body + strlen(COLUMNS), post[0] != '\0' ? 3 : 2), progress.completed);
    free(csv);
}

EI_TEST(live_stages_follow_each_other)
{
    expect_live("1", ", { name: post, kind: cpu, work: { spin: 100us } }");
}

EI_TEST(live_stages_of_jobs_in_flight_together_stay_apart)
{
    expect_live("2", ", { name: post, kind: cpu, work: { spin: 100us } }");
}

/* Nobody waits for its lane, so the network's record comes with the end of the job. */
EI_TEST(live_network_that_is_the_last_stage_has_its_record)
{
    expect_live("1", "");
}

EI_MAIN()
