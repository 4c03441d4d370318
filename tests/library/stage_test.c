/* Stages of the program's own, through libeinet.so alone. */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#include <errno.h>

static struct play play; /* large */

static const char text[] = "version: 1\nname: own\nrun: { start_delay: 0s }\nlanes: { acc: { kind: cpu } }\n"
                           "models: { net: { emulate: { blocks: [ { conv: 100us, branch: 10us, score: 0.5 },\n"
                           "                                      { conv: 100us, branch: 10us, score: 0.9 } ] } } }\n"
                           "tasks:\n"
                           "  - { name: see, arrival: { model: external, min_interarrival: 100us }, deadline: 1s,\n"
                           "      late_release: { queue: 32, drop: newest }, planner: { search: all },\n"
                           "      stages: [ { name: before, kind: cpu, work: { spin: 10us } },\n"
                           "                { name: net, kind: nn, model: net, lane: acc },\n"
                           "                { name: act, kind: cpu, work: { spin: 10us } } ] }\n"
                           "  - { name: plain, arrival: { model: external, min_interarrival: 100us }, class: other,\n"
                           "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n";

/* What the two stages of a job saw; each by the one job thread of the task. */
static struct seen {
    int before, act, strange;
    uint64_t tags[64];
    int32_t labels[64];
    pthread_t thread;
} seen;

static int look_before(void *context, const struct einet_job *job)
{
    struct seen *s = context;
    s->strange += job->size_bytes != sizeof *job || job->task_idx != 0 || job->stage_idx != 0 || job->answer != NULL ||
                  job->deadline_ns != job->release_ns + 1000000000;
    s->thread = pthread_self();
    s->before++;
    return job->tag == 3 ? -EIO : 0; /* one of them fails */
}

static int act(void *context, const struct einet_job *job)
{
    struct seen *s = context;
    const bool is_right = job->answer != NULL && job->answer->tag == job->tag && job->answer->job_idx == job->job_idx &&
                          job->answer->exit_idx >= 0 && job->stage_idx == 2;
    s->strange += !is_right || pthread_equal(s->thread, pthread_self()) == 0;
    if (is_right && s->act < 64) {
        s->tags[s->act] = job->tag;
        s->labels[s->act] = job->answer->label;
    }
    s->act++;
    return 7; /* no fault */
}

static int32_t told_labels[64];

static void note_label(void *context, const struct einet_result *result)
{
    struct play *p = context;
    p->results[result->task_idx]++;
    p->outcomes[result->outcome]++;
    if (result->task_idx == 0) {
        told_labels[result->tag % 64] = result->answer.label;
    }
}

EI_TEST(stage_of_the_program_runs_in_its_place)
{
    const struct einet_stage first = {.size_bytes = sizeof first, .context = &seen, .run = look_before};
    const struct einet_stage last = {.size_bytes = sizeof last, .context = &seen, .run = act};
    struct einet_end end = {.size_bytes = sizeof end};
    struct einet_error err = {0};
    play_init(&play, text);
    play.callbacks.on_result = note_label;
    play.callbacks.on_miss = NULL;
    EI_REQUIRE(play_create(&play));
    EI_EQ(einet_run_set_stage(play.run, 0, "before", &first, NULL), 0);
    EI_EQ(einet_run_set_stage(play.run, 0, "act", &last, NULL), 0);
    EI_EQ(einet_run_start(play.run, &err), 0);
    for (uint64_t tag = 1; tag <= 10; tag++) {
        EI_EQ(einet_run_release(play.run, 0, EINET_NOW, tag), 0);
        EI_EQ(einet_run_release(play.run, 1, EINET_NOW, tag), 0);
        play_sleep_ms(1);
    }
    EI_EQ(einet_run_set_stage(play.run, 0, "act", &last, &err), -EALREADY);
    EI_EQ(einet_run_drain(play.run), 0);
    EI_EQ(einet_run_wait(play.run, -1, &err), 0);
    EI_EQ(einet_run_end(play.run, &end), 0);
    EI_EQ(play.results[0], 10);
    EI_EQ(seen.strange, 0);
    EI_EQ(seen.before, 10 - play.outcomes[EINET_JOB_DROPPED]);
    EI_EQ(seen.act, seen.before - 1);
    EI_EQ(play.outcomes[EINET_JOB_ABORTED], 1);
    EI_EQ(end.faulty_jobs, 1);
    EI_CONTAINS(end.fault_text, "before failed: Input/output error");
    for (int i = 0; i < seen.act; i++) {
        EI_TRUE(seen.tags[i] != 3);
        EI_EQ(told_labels[seen.tags[i] % 64], seen.labels[i]);
    }
    EI_TRUE(pthread_equal(seen.thread, pthread_self()) == 0);
    play_done(&play);
}

EI_TEST(stage_that_has_no_place_is_refused)
{
    struct einet_stage stage = {.size_bytes = sizeof stage, .context = &seen, .run = act};
    struct einet_error err = {0};
    play_init(&play, text);
    EI_REQUIRE(play_create(&play));
    EI_EQ(einet_run_set_stage(play.run, 0, "none", &stage, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "no stage 'none'");
    EI_EQ(einet_run_set_stage(play.run, 0, "net", &stage, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "work: { spin: D }");
    EI_EQ(einet_run_set_stage(play.run, 2, "w", &stage, &err), EINET_E_USAGE);
    EI_EQ(einet_run_set_stage(play.run, -1, "w", &stage, &err), EINET_E_USAGE);
    stage.run = NULL;
    EI_EQ(einet_run_set_stage(play.run, 1, "w", &stage, &err), -EINVAL);
    stage.size_bytes = 0;
    EI_EQ(einet_run_set_stage(play.run, 1, "w", &stage, &err), -EINVAL);
    play_done(&play);
}

EI_MAIN()
