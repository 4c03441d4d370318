/* Chains that go on here with results of another run, through libeinet.so alone: what came with the release is what
 * stages and networks of the program are told, in all tasks of the chain. */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#include <errno.h>

#define RELEASES 3000 /* more than there are places */
#define FAILS_AT 7

static const char text[] =
    "version: 1\nname: follower\nrun: { start_delay: 0s, warmup: 0s }\nlanes: { acc: { kind: cpu } }\n"
    "models: { choice: { emulate: { blocks: [ { conv: 20us, branch: 10us, score: 0.5 } ] } } }\n"
    "tasks:\n"
    "  - { name: plan, arrival: { model: external, min_interarrival: 100us }, deadline: 1s,\n"
    "      late_release: { queue: 64, drop: newest }, input: { kind: topic, topic: /far/status, message: status },\n"
    "      stages: [ { name: path, kind: cpu, work: { spin: 10us } } ] }\n"
    "  - { name: act, arrival: { model: after, task: plan }, deadline: 1s,\n"
    "      late_release: { queue: 64, drop: newest },\n"
    "      stages: [ { name: law, kind: cpu, work: { spin: 10us } } ] }\n"
    "  - { name: choose, arrival: { model: external, min_interarrival: 100us }, deadline: 1s,\n"
    "      late_release: { queue: 64, drop: newest },\n"
    "      input: { kind: topic, topic: /far/class, message: classification },\n"
    "      stages: [ { name: net, kind: nn, model: choice, lane: acc },\n"
    "                { name: behind, kind: cpu, work: { spin: 10us } } ] }\n"
    "  - { name: alone, arrival: { model: external, min_interarrival: 100us }, deadline: 1s,\n"
    "      late_release: { queue: 8, drop: oldest },\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n";
enum { PLAN, ACT, CHOOSE, ALONE, TASKS };

static struct play play; /* large */

/* What the stages were told, by task; each by the one job thread of its task. */
static struct told {
    int32_t task_idx;
    atomic_int jobs, strange;
} told[TASKS];
static atomic_int begun;

/* Of a job of that tag. */
static struct einet_result result_of(uint64_t tag)
{
    struct einet_result result = {
        .size_bytes = sizeof result,
        .tag = tag,
        .job_idx = (int64_t)tag * 3,
        .finish_ns = (int64_t)tag * 5,
        .flags = EINET_RESULT_ANSWERED,
        .planned_exit = -1,
        .answer = {.size_bytes = sizeof result.answer, .label = (int32_t)(tag % 10), .confidence = 0.5F},
        .priority = 17,
    };
    return result;
}

static bool is_told(const struct einet_job *job)
{
    const struct einet_result want = result_of(job->tag);
    return job->upstream != NULL && memcmp(job->upstream, &want, sizeof want) == 0;
}

static int look(void *context, const struct einet_job *job)
{
    struct told *of = context;
    of->strange += !is_told(job) || job->task_idx != of->task_idx;
    of->jobs++;
    return of->task_idx == PLAN && job->tag == FAILS_AT ? -EIO : 0;
}

static int look_alone(void *context, const struct einet_job *job)
{
    struct told *of = context;
    of->strange += job->upstream != NULL || job->size_bytes != sizeof *job;
    of->jobs++;
    return 0;
}

/* A network that decides on what was found elsewhere. */
static int32_t found;

static int begin(void *instance, const struct einet_job *job, const float *input_chw)
{
    (void)instance;
    if (job == NULL) {
        return 0; /* before time zero */
    }
    told[CHOOSE].strange += !is_told(job) || input_chw != NULL;
    found = job->upstream != NULL ? job->upstream->answer.label : 0;
    begun++;
    return 0;
}

static int run_block(void *instance, int32_t block_idx)
{
    (void)instance;
    return block_idx;
}

static int run_exit(void *instance, int32_t exit_idx, float *out_scores, float *out_confidence)
{
    (void)instance;
    for (int32_t i = 0; i < 10; i++) {
        out_scores[i] = i == 9 - found ? 9.0F : 0.0F;
    }
    *out_confidence = 0.9F;
    return exit_idx;
}

static atomic_int wrong_choices, results[TASKS], completed[TASKS];

static void on_result(void *context, const struct einet_result *result)
{
    (void)context;
    results[result->task_idx]++;
    completed[result->task_idx] += result->outcome == EINET_JOB_COMPLETED;
    wrong_choices += result->task_idx == CHOOSE && result->outcome == EINET_JOB_COMPLETED &&
                     result->answer.label != 9 - (int32_t)(result->tag % 10);
}

static bool begin_play(void)
{
    const struct einet_network network = {.size_bytes = sizeof network,
                                          .exits = 1,
                                          .classes = 10,
                                          .scores = EINET_SCORES_LOGITS,
                                          .begin = begin,
                                          .run_block = run_block,
                                          .run_exit = run_exit};
    static const char *const stages[TASKS] = {"path", "law", "behind", "w"};
    struct einet_error err = {0};
    memset(told, 0, sizeof told);
    for (int i = 0; i < TASKS; i++) {
        results[i] = completed[i] = 0;
    }
    begun = wrong_choices = 0;
    play_init(&play, text);
    play.callbacks = (struct einet_callbacks){.size_bytes = sizeof play.callbacks, .on_result = on_result};
    if (!play_create(&play)) {
        return false;
    }
    for (int32_t i = 0; i < TASKS; i++) {
        const struct einet_stage stage = {
            .size_bytes = sizeof stage, .context = &told[i], .run = i == ALONE ? look_alone : look};
        told[i].task_idx = i;
        EI_EQ(einet_run_set_stage(play.run, i, stages[i], &stage, NULL), 0);
    }
    EI_TRUEF(einet_run_set_network(play.run, CHOOSE, &network, &err) == 0, "%s", err.text);
    return EI_TRUEF(einet_run_start(play.run, &err) == 0, "%s", err.text);
}

/* One release, as soon as there is a place for it in the queue; every other by a program of a newer header. */
static void release(int32_t task, uint64_t tag)
{
    struct {
        struct einet_result result;
        int64_t more;
    } newer = {.result = result_of(tag)};
    newer.result.size_bytes += tag % 2 == 0 ? sizeof newer.more : 0;
    while (results[PLAN] + 32 < (int)tag && task == PLAN) {
        play_sleep_ms(1);
    }
    EI_EQ(einet_run_release_result(play.run, task, EINET_NOW, tag, &newer.result), 0);
}

EI_TEST(upstream_is_told_in_all_tasks_of_the_chain)
{
    struct einet_settings settings = {.size_bytes = sizeof settings};
    struct einet_end end = {.size_bytes = sizeof end};
    EI_REQUIRE(begin_play());
    for (uint64_t tag = 1; tag <= RELEASES; tag++) {
        if (tag == RELEASES / 2) { /* what is withheld keeps no place */
            EI_EQ(einet_run_pause(play.run, ACT, NULL), 0);
        } else if (tag == RELEASES - 100) {
            while (results[PLAN] + 1 < (int)tag) {
                play_sleep_ms(1);
            }
            EI_EQ(einet_run_resume(play.run, ACT, NULL), 0);
        }
        release(PLAN, tag);
        if (tag % 10 == 0) {
            release(CHOOSE, tag);
            EI_EQ(einet_run_release(play.run, ALONE, EINET_NOW, tag), 0);
        }
    }
    EI_EQ(einet_run_drain(play.run), 0);
    EI_EQ(einet_run_wait(play.run, -1, NULL), 0);
    EI_EQ(einet_run_end(play.run, &end), 0);
    EI_EQ(einet_run_settings(play.run, ACT, &settings), 0);
    EI_TRUE(end.is_accounted);
    EI_EQ(results[PLAN], RELEASES);
    EI_EQ(results[ACT] + settings.withheld, RELEASES);
    EI_TRUE(settings.withheld > RELEASES / 3);
    EI_EQ(told[ACT].jobs, completed[ACT]);
    EI_TRUEF(completed[ACT] > RELEASES / 3, "only %d", completed[ACT]);
    EI_EQ(begun, completed[CHOOSE]);
    EI_EQ(told[CHOOSE].jobs, completed[CHOOSE]);
    EI_TRUE(completed[CHOOSE] > 0 && told[ALONE].jobs > 0);
    EI_EQ(wrong_choices, 0);
    for (int i = 0; i < TASKS; i++) {
        EI_EQ(told[i].strange, 0);
    }
    play_done(&play);
}

EI_TEST(upstream_is_refused_where_it_does_not_belong)
{
    struct {
        struct einet_result result;
        int64_t more;
    } newer = {.result = result_of(1), .more = 1};
    const struct einet_result right = result_of(1);
    struct einet_result none = result_of(1);
    const struct einet_frame frame = {.size_bytes = sizeof frame, .data = &right, .data_bytes = 100};
    none.size_bytes = 0;
    newer.result.size_bytes = sizeof newer;
    play_init(&play, text);
    EI_REQUIRE(play_create(&play));
    EI_EQ(einet_run_release_result(play.run, PLAN, EINET_NOW, 1, &right), -EAGAIN);
    EI_TRUE(einet_run_start(play.run, NULL) == 0);
    EI_EQ(einet_run_release(play.run, PLAN, EINET_NOW, 1), -EINVAL);
    EI_EQ(einet_run_release_frame(play.run, PLAN, EINET_NOW, 1, &frame), -EINVAL);
    EI_EQ(einet_run_release_result(play.run, ACT, EINET_NOW, 1, &right), -EINVAL);
    EI_EQ(einet_run_release_result(play.run, ALONE, EINET_NOW, 1, &right), -EINVAL);
    EI_EQ(einet_run_release_result(play.run, TASKS, EINET_NOW, 1, &right), -EINVAL);
    EI_EQ(einet_run_release_result(play.run, -1, EINET_NOW, 1, &right), -EINVAL);
    EI_EQ(einet_run_release_result(play.run, PLAN, EINET_NOW, 1, &none), -EINVAL);
    EI_EQ(einet_run_release_result(play.run, PLAN, EINET_NOW, 1, &newer.result), -E2BIG);
    EI_EQ(einet_run_release_result(play.run, PLAN, play_now_ns() + INT64_C(1000000000), 1, &right), -EINVAL);
    EI_EQ(einet_run_drain(play.run), 0);
    EI_EQ(einet_run_wait(play.run, -1, NULL), 0);
    EI_EQ(einet_run_release_result(play.run, PLAN, EINET_NOW, 1, &right), -ESHUTDOWN);
    play_done(&play);
}

EI_TEST(upstream_task_is_described)
{
    struct einet_task_info info = {.size_bytes = sizeof info};
    play_init(&play, text);
    EI_REQUIRE(play.workload != NULL);
    EI_EQ(einet_workload_task_info(play.workload, PLAN, &info), 0);
    EI_STREQ(info.topic, "/far/status");
    EI_EQ(info.message, EINET_MESSAGE_STATUS);
    EI_TRUE(info.is_external && !info.is_compressed && info.width_px == 0 && info.channels == 0);
    EI_STREQ(info.status_topic, "/einet/plan/status");
    EI_EQ(einet_workload_task_info(play.workload, CHOOSE, &info), 0);
    EI_EQ(info.message, EINET_MESSAGE_CLASSIFICATION);
    EI_STREQ(info.classification_topic, "/einet/choose/classification");
    EI_EQ(einet_workload_task_info(play.workload, ALONE, &info), 0);
    EI_STREQ(info.topic, "");
    play_done(&play);
}

EI_MAIN()
