/* Runs embedded in this program, through libeinet.so alone. Nothing here asserts when a thread runs. */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAD "version: 1\nname: embedded\nrun: { duration: 300ms, start_delay: 10ms, seed: 1 }\n"

static struct play play; /* large */
static char text[8192];

static const char *with_tasks(const char *head)
{
    snprintf(text, sizeof text, "%s%s", head, play_tasks);
    return text;
}

/* Releases until wanted ones were taken; tags from 1 on, stamps of the camera into stamps. */
static int release_some(int32_t task, int wanted, int64_t *stamps)
{
    int taken = 0;
    for (int i = 0; i < wanted; i++) {
        const int64_t now_ns = play_now_ns();
        const int rc = einet_run_release(play.run, task, now_ns, (uint64_t)(taken + 1));
        if (EI_TRUEF(rc == 0, "release %d: %d", i, rc) && ++taken < TAGS_MAX && stamps != NULL) {
            stamps[taken] = now_ns;
        }
        play_sleep_ms(2);
    }
    return taken;
}

static void check_figures(int32_t task)
{
    struct einet_figures figures = {.size_bytes = sizeof figures};
    EI_EQ(einet_run_figures(play.run, task, &figures), 0);
    EI_EQ(figures.completed + figures.aborted + figures.skipped + figures.dropped, play.results[task]);
}

EI_TEST(run_every_release_has_one_result_with_its_tag_and_stamp)
{
    static int64_t stamps[TAGS_MAX];
    play_init(&play, with_tasks(HEAD));
    EI_REQUIRE(play_start(&play));
    EI_EQ(einet_run_phase(play.run), EINET_RUN_RUNNING);
    const int taken = release_some(PLAY_CAMERA, 60, stamps);
    EI_EQ(einet_run_drain(play.run), 0);
    EI_EQ(einet_run_phase(play.run), EINET_RUN_ENDING);
    EI_EQ(einet_run_release(play.run, PLAY_CAMERA, EINET_NOW, 1), -ESHUTDOWN);
    const struct einet_end end = play_wait(&play);
    EI_TRUE(!end.is_ended_early && end.events_lost == 0);
    EI_STREQ(end.out_dir, "");
    EI_CONTAINS(end.summary, "\"camera\"");
    EI_EQ(play.results[PLAY_CAMERA], taken);
    EI_EQ(play.results[PLAY_BEHIND], taken);
    for (int i = 1; i <= taken; i++) {
        EI_EQ(play.seen[PLAY_CAMERA][i], 1);
        EI_EQ(play.seen[PLAY_BEHIND][i], 1); /* of a chain with the tag of its head */
        EI_EQ(play.release_ns[i], stamps[i]);
    }
    EI_TRUE(play.results[PLAY_CLOCK] > 0 && play.seen[PLAY_CLOCK][0] == play.results[PLAY_CLOCK]);
    for (int32_t i = 0; i < PLAY_TASKS; i++) {
        check_figures(i);
    }
    EI_EQ(einet_run_release(play.run, PLAY_CAMERA, EINET_NOW, 1), -ESHUTDOWN);
    play_done(&play);
}

/* What is held back until after the end has a result as well. */
EI_TEST(run_release_behind_the_end_is_told_as_dropped)
{
    play_init(&play, "version: 1\nname: late\nrun: { start_delay: 0s }\ntasks:\n"
                     "  - { name: a, arrival: { model: external, min_interarrival: 100s },\n"
                     "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n");
    EI_REQUIRE(play_start(&play));
    for (int i = 1; i <= 3; i++) {
        EI_EQ(einet_run_release(play.run, 0, EINET_NOW, (uint64_t)i), 0);
    }
    EI_EQ(einet_run_drain(play.run), 0);
    (void)play_wait(&play);
    EI_EQ(play.results[0], 3);
    EI_TRUE(play.seen[0][1] == 1 && play.seen[0][2] == 1 && play.seen[0][3] == 1);
    EI_TRUE(play.outcomes[EINET_JOB_DROPPED] >= 2);
    EI_EQ(play.last.cause, EINET_CAUSE_CANCELLED);
    play_done(&play);
}

/* What each task of a chain was told of a release. */
static int32_t chain_told[3][4], chain_outcomes[3][4], chain_causes[3][4];

static void note_chain(void *context, const struct einet_result *result)
{
    (void)context;
    if (EI_TRUE(result->task_idx < 3 && result->tag < 4)) {
        chain_told[result->task_idx][result->tag]++;
        chain_outcomes[result->task_idx][result->tag] = result->outcome;
        chain_causes[result->task_idx][result->tag] = result->cause;
    }
}

/* And in each task behind. */
EI_TEST(run_release_behind_the_end_is_told_as_skipped_in_the_chain)
{
    play_init(&play, "version: 1\nname: late\nrun: { start_delay: 0s }\ntasks:\n"
                     "  - { name: a, arrival: { model: external, min_interarrival: 100s },\n"
                     "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n"
                     "  - { name: b, arrival: { model: after, task: a },\n"
                     "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n"
                     "  - { name: c, arrival: { model: after, task: b },\n"
                     "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n");
    play.callbacks = (struct einet_callbacks){.size_bytes = sizeof play.callbacks, .on_result = note_chain};
    EI_REQUIRE(play_start(&play));
    for (uint64_t tag = 1; tag <= 3; tag++) {
        EI_EQ(einet_run_release(play.run, 0, EINET_NOW, tag), 0);
    }
    EI_EQ(einet_run_drain(play.run), 0);
    (void)play_wait(&play);
    for (int task = 0; task < 3; task++) {
        EI_EQ(chain_told[task][1], 1);
        for (int tag = 2; tag <= 3; tag++) {
            EI_EQ(chain_told[task][tag], 1);
            EI_EQ(chain_outcomes[task][tag], task == 0 ? EINET_JOB_DROPPED : EINET_JOB_SKIPPED);
            EI_EQ(chain_causes[task][tag], task == 0 ? EINET_CAUSE_CANCELLED : EINET_CAUSE_UPSTREAM);
        }
    }
    play_done(&play);
}

static struct {
    atomic_bool is_over;
    int64_t reads, backwards, none, torn;
    struct einet_answer last;
} reader;

static void *read_answers(void *arg)
{
    (void)arg;
    while (!atomic_load(&reader.is_over)) {
        struct einet_answer answer = {.size_bytes = sizeof answer};
        const int rc = einet_run_answer(play.run, PLAY_SLOW, &answer);
        reader.none += rc == 0;
        reader.torn += rc == -EAGAIN;
        if (rc == 1) {
            const bool is_older = answer.job_idx < reader.last.job_idx ||
                                  (answer.job_idx == reader.last.job_idx && answer.exit_idx < reader.last.exit_idx);
            reader.backwards += reader.reads > 0 && is_older;
            reader.backwards += answer.tag != (uint64_t)answer.job_idx + 1;
            reader.reads++;
            reader.last = answer;
        }
        play_sleep_ms(1);
    }
    return NULL;
}

EI_TEST(run_answer_is_read_from_another_thread_at_any_time)
{
    struct einet_answer answer = {.size_bytes = sizeof answer};
    pthread_t thread;
    memset(&reader, 0, sizeof reader);
    play_init(&play, with_tasks(HEAD));
    EI_REQUIRE(play_create(&play));
    EI_EQ(einet_run_answer(play.run, PLAY_SLOW, &answer), 0);
    EI_REQUIRE(pthread_create(&thread, NULL, read_answers, NULL) == 0);
    EI_EQ(einet_run_start(play.run, NULL), 0);
    const int taken = release_some(PLAY_SLOW, 4, NULL);
    while (play.results[PLAY_SLOW] < taken) {
        play_sleep_ms(1);
    }
    EI_EQ(einet_run_answer(play.run, PLAY_SLOW, &answer), 1);
    EI_TRUE(answer.exits_total == 3 && answer.is_final == 1 && answer.tag == (uint64_t)answer.job_idx + 1);
    EI_EQ(einet_run_stop(play.run), 0);
    (void)play_wait(&play);
    EI_EQ(einet_run_answer(play.run, PLAY_SLOW, &answer), 1); /* also behind the end */
    atomic_store(&reader.is_over, true);
    pthread_join(thread, NULL);
    EI_TRUE(reader.none > 0);
    EI_EQ(reader.backwards, 0);
    EI_EQ(einet_run_answer(play.run, PLAY_TASKS, &answer), -EINVAL);
    EI_EQ(einet_run_answer(play.run, -1, &answer), -EINVAL);
    answer.size_bytes = 0;
    EI_EQ(einet_run_answer(play.run, PLAY_SLOW, &answer), -EINVAL);
    EI_TRUE(play.answers >= play.results[PLAY_SLOW] - play.outcomes[EINET_JOB_DROPPED]);
    play_done(&play);
}

EI_TEST(run_preemptions_are_told_as_counted)
{
    play_init(&play, with_tasks(HEAD));
    EI_REQUIRE(play_start(&play));
    for (int i = 0; i < 8 || (i < 200 && play.preemptions == 0); i++) {
        (void)release_some(PLAY_SLOW, 1, NULL);
        (void)release_some(PLAY_CAMERA, 6, NULL);
    }
    EI_EQ(einet_run_drain(play.run), 0);
    const struct einet_end end = play_wait(&play);
    struct einet_figures figures = {.size_bytes = sizeof figures};
    EI_EQ(einet_run_figures(play.run, PLAY_SLOW, &figures), 0);
    EI_EQ(end.events_lost, 0);
    EI_EQ(play.preemptions, figures.preemptions);
    EI_TRUEF(play.preemptions > 0, "the camera never took the lane from the slow task");
    play_done(&play);
}

/* Lines of stages.csv that are blocks, by task and job, taken from what the results said of them. */
static int64_t take_blocks_of_file(const char *path)
{
    char line[512], task[32], kind[16];
    int64_t blocks = 0, job_idx = 0;
    FILE *file = fopen(path, "r");
    if (!EI_TRUE(file != NULL)) {
        return 0;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%31[^,],%" SCNd64 ",%*[^,],%15[^,]", task, &job_idx, kind) != 3 ||
            (strcmp(kind, "conv") != 0 && strcmp(kind, "branch") != 0)) {
            continue;
        }
        play.blocks[einet_workload_find_task(play.workload, task)][job_idx % TAGS_MAX]--;
        blocks++;
    }
    fclose(file);
    return blocks;
}

/* Also of jobs that were preempted, and of those that began again then. */
EI_TEST(run_results_count_the_blocks_that_were_computed)
{
    static const char resume[] = "on_preempt: resume";
    const char *tasks = with_tasks(HEAD), *at = strstr(tasks, resume);
    char changed[4096], path[512];
    EI_REQUIRE(at != NULL);
    for (int is_restart = 0; is_restart < 2; is_restart++) {
        (void)snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - tasks), tasks,
                       is_restart ? "on_preempt: restart, max_preemptions: 1" : resume, at + strlen(resume));
        (void)snprintf(path, sizeof path, "%s/blocks%d", ei_test_tmpdir(), is_restart);
        play_init(&play, changed);
        play.options.out_dir = path;
        EI_REQUIRE(play_start(&play));
        for (int i = 0; i < 8 || (i < 200 && play.preemptions == 0); i++) {
            (void)release_some(PLAY_SLOW, 1, NULL);
            (void)release_some(PLAY_CAMERA, 6, NULL);
        }
        EI_EQ(einet_run_drain(play.run), 0);
        EI_EQ(play_wait(&play).events_lost, 0);
        (void)snprintf(path, sizeof path, "%s/blocks%d/stages.csv", ei_test_tmpdir(), is_restart);
        EI_TRUE(take_blocks_of_file(path) > 0);
        for (int32_t task = 0; task < PLAY_TASKS; task++) {
            for (int job = 0; job < TAGS_MAX; job++) {
                EI_EQ(play.blocks[task][job], 0);
            }
        }
        EI_TRUEF(play.preemptions > 0, "the camera never took the lane from the slow task");
        play_done(&play);
    }
}

/* One after the other as often as wanted, and no two at once. */
EI_TEST(run_follows_run_in_one_process)
{
    sigset_t before, after;
    sigemptyset(&before);
    sigemptyset(&after);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    for (int round = 0; round < 3; round++) {
        struct einet_run *other = NULL;
        struct einet_error err = {0};
        play_init(&play, with_tasks(HEAD));
        play.options.duration_ns = round == 0 ? 0 : EINET_UNTIL_STOPPED;
        EI_REQUIRE(play_start(&play));
        EI_EQ(einet_run_create(play.workload, NULL, &other, NULL), 0);
        const int rc = einet_run_start(other, &err); /* the first round ends by itself, perhaps by now */
        EI_TRUE(rc == -EBUSY || (rc == 0 && round == 0));
        EI_EQ(einet_run_start(play.run, &err), -EALREADY);
        EI_EQ(einet_run_release(play.run, PLAY_CLOCK, EINET_NOW, 0), -EINVAL);
        EI_EQ(einet_run_release(play.run, -1, EINET_NOW, 0), -EINVAL);
        if (round > 0) {
            EI_EQ(einet_run_release(play.run, PLAY_CAMERA, play_now_ns() + 1000000000, 0), -EINVAL);
            EI_EQ(einet_run_wait(play.run, 0, NULL), -ETIMEDOUT);
            EI_EQ(einet_run_release(other, PLAY_CAMERA, EINET_NOW, 0), -EAGAIN);
            EI_EQ(einet_run_stop(play.run), 0);
        }
        const struct einet_end end = play_wait(&play);
        EI_TRUE(!end.is_ended_early);
        EI_EQ(einet_run_stop(play.run), -EALREADY);
        einet_run_destroy(other);
        play_done(&play);
    }
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int i = 1; i < SIGRTMAX; i++) {
        EI_EQ(sigismember(&before, i), sigismember(&after, i));
    }
}

EI_TEST(run_says_whether_it_is_degraded)
{
    char reason[EINET_DEGRADED_TEXT_MAX] = "before", few[4];
    play_init(&play, with_tasks(HEAD));
    EI_REQUIRE(play_create(&play));
    EI_EQ(einet_run_degraded(play.run, reason, sizeof reason), -EAGAIN);
    EI_EQ(einet_run_start(play.run, NULL), 0);
    EI_EQ(einet_run_degraded(play.run, reason, 0), -EINVAL);
    const int reasons = einet_run_degraded(play.run, reason, sizeof reason);
    EI_TRUEF((reasons > 0) == (reason[0] != '\0'), "%d reasons, the first: %s", reasons, reason);
    EI_EQ(einet_run_degraded(play.run, few, sizeof few), reasons);
    EI_TRUE(memchr(few, '\0', sizeof few) != NULL && strncmp(few, reason, sizeof few - 1) == 0);
    EI_EQ(einet_run_drain(play.run), 0);
    const struct einet_end end = play_wait(&play);
    const char *list = strstr(end.summary, "\"degraded\": [");
    EI_TRUEF(list != NULL && (strncmp(list, "\"degraded\": []", 14) != 0) == (reasons > 0),
             "%d reasons, summary.json: %.60s", reasons, list != NULL ? list : "none");
    play_done(&play);
}

EI_TEST(run_shows_its_rounds)
{
    play_init(&play, with_tasks(HEAD));
    EI_REQUIRE(play_create(&play));
    EI_EQ(einet_run_beat(play.run), 0);
    const int64_t before_ns = play_now_ns();
    EI_EQ(einet_run_start(play.run, NULL), 0);
    EI_EQ(einet_run_drain(play.run), 0); /* which it takes up in one of its rounds */
    (void)play_wait(&play);
    const int64_t beat_ns = einet_run_beat(play.run);
    EI_TRUE(beat_ns > before_ns && beat_ns <= play_now_ns());
    play_done(&play);
}

EI_TEST(run_that_cannot_start_says_why_and_leaves_the_next_alone)
{
    struct einet_error err = {0};
    struct einet_end end = {.size_bytes = sizeof end};
    play_init(
        &play,
        "version: 1\nname: bad\nlanes: { cpu0: { kind: cpu } }\n"
        "models: { m: { zoo: b-alexnet, dataset: cifar10, weights: /nonexistent.safetensors } }\n"
        "tasks:\n"
        "  - { name: a, arrival: { model: periodic, period: 1s }, input: { kind: dataset, name: cifar10, root: /none "
        "},\n"
        "      stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: m, lane: cpu0 } ] }\n");
    EI_REQUIRE(play_create(&play));
    const int rc = einet_run_start(play.run, &err);
    EI_TRUEF(rc < 0 && err.code == rc && err.text[0] != '\0', "%d, %d: %s", rc, err.code, err.text);
    EI_EQ(einet_run_phase(play.run), EINET_RUN_FAILED);
    EI_EQ(einet_run_wait(play.run, -1, &err), rc);
    EI_EQ(einet_run_end(play.run, &end), -EAGAIN);
    EI_EQ(einet_run_release(play.run, 0, EINET_NOW, 0), -EINVAL);
    EI_EQ(play.has_thread, 0);
    play_done(&play);
    play_init(&play, with_tasks(HEAD));
    EI_REQUIRE(play_start(&play));
    play_done(&play); /* ends it, too */
}

EI_TEST(run_callback_may_stop_its_run_but_not_wait_for_it)
{
    play_init(&play, with_tasks(HEAD));
    play.stops_at_first = true;
    EI_REQUIRE(play_start(&play));
    (void)play_wait(&play);
    EI_EQ(play.waited_rc, -EDEADLK);
    EI_EQ(play.stopped_rc, 0);
    play_done(&play);
}

EI_TEST(run_events_that_are_not_taken_in_time_are_counted)
{
    play_init(&play, with_tasks(HEAD));
    play.options.callback_queue = 2;
    play.callbacks.on_answer = NULL;
    play.callbacks.on_preempt = NULL;
    atomic_store(&play.is_held, true);
    EI_REQUIRE(play_start(&play));
    (void)release_some(PLAY_CAMERA, 40, NULL);
    EI_EQ(einet_run_drain(play.run), 0);
    while (einet_run_wait(play.run, 0, NULL) != -ETIMEDOUT) {
        EI_TRUEF(false, "the run is over while a callback goes on");
        break;
    }
    play_sleep_ms(100);
    atomic_store(&play.is_held, false);
    const struct einet_end end = play_wait(&play);
    int64_t told = 0, ended = 0;
    for (int32_t i = 0; i < PLAY_TASKS; i++) {
        struct einet_figures figures = {.size_bytes = sizeof figures};
        EI_EQ(einet_run_figures(play.run, i, &figures), 0);
        told += play.results[i];
        ended += figures.completed + figures.aborted + figures.skipped + figures.dropped;
    }
    EI_EQ(told + end.events_lost, ended);
    EI_TRUE(end.events_lost > 0);
    play_done(&play);
}

/* A run without an end of its own has no planned duration, in no file. */
EI_TEST(run_without_end_plans_no_duration)
{
    static const char *const says[][2] = {{"run.json", "\n  \"duration_ns\": null,"},
                                          {"summary.json", "\n  \"planned_duration_ns\": null,"}};
    static char said[65536];
    for (int round = 0; round < 2; round++) {
        char path[512];
        play_init(&play, with_tasks(HEAD));
        snprintf(path, sizeof path, "%s/out%d", ei_test_tmpdir(), round);
        play.options.out_dir = path;
        play.options.duration_ns = round == 0 ? EINET_UNTIL_STOPPED : 100000000;
        EI_REQUIRE(play_start(&play));
        if (round == 0) {
            EI_EQ(einet_run_stop(play.run), 0);
        }
        (void)play_wait(&play);
        play_done(&play);
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/out%d/%s", ei_test_tmpdir(), round, says[i][0]);
            FILE *file = fopen(path, "r");
            EI_REQUIRE(file != NULL);
            said[fread(said, 1, sizeof said - 1, file)] = '\0';
            fclose(file);
            EI_TRUEF((strstr(said, says[i][1]) != NULL) == (round == 0), "%s", said);
        }
    }
}

EI_TEST(run_writes_files_only_where_it_is_told)
{
    char path[512], from_file[64] = "";
    struct einet_end end;
    play_init(&play, with_tasks(HEAD));
    snprintf(path, sizeof path, "%s/out", ei_test_tmpdir());
    play.options.out_dir = path;
    play.options.duration_ns = 100000000;
    EI_REQUIRE(play_start(&play));
    end = play_wait(&play);
    EI_STREQ(end.out_dir, path);
    EI_TRUE(!end.is_ended_early);
    for (const char *const *name = (const char *const[]){"summary.json", "jobs.csv", "run.json", "workload.yaml", NULL};
         *name != NULL; name++) {
        snprintf(path, sizeof path, "%s/out/%s", ei_test_tmpdir(), *name);
        EI_TRUEF(access(path, R_OK) == 0, "%s is missing", path);
    }
    snprintf(path, sizeof path, "%s/out/summary.json", ei_test_tmpdir());
    FILE *file = fopen(path, "r");
    EI_REQUIRE(file != NULL);
    EI_TRUE(fread(from_file, 1, sizeof from_file - 1, file) == sizeof from_file - 1);
    fclose(file);
    EI_EQ(strncmp(end.summary, from_file, sizeof from_file - 1), 0);
    play_done(&play);
    /* with a file of its own to append to, a run without a folder is refused */
    play_init(&play, "version: 1\nname: log\ntasks:\n"
                     "  - { name: a, arrival: { model: periodic, period: 1s }, class: other,\n"
                     "      stages: [ { name: w, kind: cpu, op: append_file, path: log.txt } ] }\n");
    struct einet_error err = {0};
    EI_REQUIRE(play_create(&play));
    EI_EQ(einet_run_start(play.run, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "no output folder");
    play_done(&play);
}

EI_TEST(run_options_that_make_no_sense_are_refused)
{
    struct {
        struct einet_run_options options;
        int64_t newer;
    } wide = {.options = {.size_bytes = sizeof wide}};
    struct einet_error err = {0};
    struct einet_run *run = NULL;
    play_init(&play, with_tasks(HEAD));
    EI_REQUIRE(play_create(&play)); /* the callbacks' struct is good */
    EI_EQ(einet_run_create(play.workload, &wide.options, &run, &err), 0);
    EI_EQ(einet_run_stop(run), -EINVAL);
    EI_EQ(einet_run_wait(run, -1, NULL), -EINVAL);
    EI_EQ(einet_run_figures(run, 0, &(struct einet_figures){.size_bytes = sizeof(struct einet_figures)}), -EAGAIN);
    einet_run_destroy(run);
    run = NULL;
    wide.newer = 1;
    EI_EQ(einet_run_create(play.workload, &wide.options, &run, &err), -E2BIG);
    wide.options.size_bytes = 0;
    EI_EQ(einet_run_create(play.workload, &wide.options, &run, &err), -EINVAL);
    EI_CONTAINS(err.text, "size_bytes");
    wide.options.size_bytes = sizeof wide.options;
    wide.options.duration_ns = -2;
    EI_EQ(einet_run_create(play.workload, &wide.options, &run, &err), EINET_E_USAGE);
    wide.options.duration_ns = 0;
    wide.options.callback_priority = 99;
    EI_EQ(einet_run_create(play.workload, &wide.options, &run, &err), EINET_E_USAGE);
    wide.options.callback_priority = 0;
    wide.options.callback_queue = -1;
    EI_EQ(einet_run_create(play.workload, &wide.options, &run, &err), EINET_E_USAGE);
    EI_TRUE(run == NULL);
    einet_run_destroy(NULL);
    play_done(&play);
}

EI_MAIN()
