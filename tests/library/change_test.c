/* A run that is changed while it goes on, through libeinet.so alone. Nothing here asserts when a thread runs: what is
 * checked is the order of records and what they say of themselves.
 */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "version: 1\nname: changed\nrun: { duration: 300ms, start_delay: 10ms, seed: 1 }\n"
#define RESULTS_MAX 4096

/* The tasks of play_tasks, released so seldom that none is held back by the real-time load that all may ask for. */
static const char tasks[] =
    "lanes: { cpu0: { kind: cpu } }\n"
    "models:\n"
    "  quick: { emulate: { blocks: [ { conv: 200us, branch: 20us, score: 0.5 },\n"
    "                                { conv: 200us, branch: 20us, score: 0.7 } ] } }\n"
    "  long: { emulate: { blocks: [ { conv: 4ms, branch: 20us, score: 0.4 }, { conv: 4ms, branch: 20us, score: 0.6 },\n"
    "                               { conv: 4ms, branch: 20us, score: 0.8 } ] } }\n"
    "  steady: { emulate: { blocks: [ { conv: 1ms, branch: 20us, score: 0.4 },\n"
    "                                 { conv: 40ms, branch: 20us, score: 0.8 } ] } }\n"
    "tasks:\n"
    "  - { name: camera, arrival: { model: external, min_interarrival: 10ms }, deadline: 1s, priority: 60,\n"
    "      late_release: { queue: 8, drop: oldest }, stages: [ { name: n, kind: nn, model: quick, lane: cpu0 } ] }\n"
    "  - { name: slow, arrival: { model: external, min_interarrival: 100ms }, deadline: 1s, priority: 20,\n"
    "      on_preempt: resume, late_release: { queue: 4, drop: newest },\n"
    "      stages: [ { name: n, kind: nn, model: long, lane: cpu0 } ] }\n"
    "  - { name: behind, arrival: { model: after, task: camera }, deadline: 1s, class: other,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n"
    "  - { name: clock, arrival: { model: periodic, period: 20ms }, deadline: 20ms, priority: 70,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n"
    "  - { name: holder, arrival: { model: external, min_interarrival: 200ms }, deadline: 200ms, priority: 10,\n"
    "      on_preempt: none, on_deadline: finish, stages: [ { name: n, kind: nn, model: steady, lane: cpu0 } ] }\n";
enum { HOLDER = PLAY_TASKS };

static struct play play; /* large */
static char text[8192];

/* What was told, in its order; the callback thread's, up to `count` for the rest. */
static struct {
    struct einet_result result[RESULTS_MAX];
    atomic_int count, preemptions;
    atomic_int exits[8]; /* answers of the camera by exit */
} told;

static void on_result(void *context, const struct einet_result *result)
{
    const int n = atomic_load(&told.count);
    (void)context;
    if (n < RESULTS_MAX) {
        told.result[n] = *result;
        atomic_store(&told.count, n + 1);
    }
}

static void on_preempt(void *context, const struct einet_preemption *preemption)
{
    (void)context;
    (void)preemption;
    atomic_fetch_add(&told.preemptions, 1);
}

static void on_answer(void *context, const struct einet_answer *answer)
{
    (void)context;
    if (answer->task_idx == PLAY_CAMERA) {
        atomic_fetch_add(&told.exits[answer->exit_idx], 1);
    }
}

static bool begin(const char *workload)
{
    memset(&told, 0, sizeof told);
    play_init(&play, workload);
    play.callbacks.on_result = on_result;
    play.callbacks.on_miss = NULL;
    play.callbacks.on_preempt = on_preempt;
    play.callbacks.on_answer = on_answer;
    return play_start(&play);
}

static bool begin_tasks(void)
{
    snprintf(text, sizeof text, "%s%s", HEAD, tasks);
    return begin(text);
}

static struct einet_end end_run(void)
{
    EI_EQ(einet_run_drain(play.run), 0);
    return play_wait(&play);
}

static void set(int32_t task, struct einet_change change)
{
    struct einet_error err = {0};
    change.size_bytes = sizeof change;
    EI_TRUEF(einet_run_set(play.run, task, &change, &err) == 0, "%s", err.text);
}

static void refused(int32_t task, struct einet_change change, int code, const char *said)
{
    struct einet_error err = {0};
    change.size_bytes = sizeof change;
    EI_EQ(einet_run_set(play.run, task, &change, &err), code);
    EI_CONTAINS(err.text, said);
}

/* Wait for the result of the task's job with that tag; its place in the order. */
static int await_result(int32_t task, uint64_t tag)
{
    for (;;) {
        for (int i = 0; i < atomic_load(&told.count); i++) {
            if (told.result[i].task_idx == task && told.result[i].tag == tag) {
                return i;
            }
        }
        play_sleep_ms(1);
    }
}

static const struct einet_result *run_job(int32_t task, uint64_t tag)
{
    EI_EQ(einet_run_release(play.run, task, EINET_NOW, tag), 0);
    return &told.result[await_result(task, tag)];
}

/* ---- priority ---- */

/* Wait until the task has published an answer of its job with that tag: it is in its network. */
static void await_answer(int32_t task, uint64_t tag)
{
    struct einet_answer answer = {.size_bytes = sizeof answer};
    while (einet_run_answer(play.run, task, &answer) != 1 || answer.tag != tag) {
        sched_yield();
    }
}

/* Long before the job was over: by more than its last block and what a machine takes to wake a thread. A try of which
 * that is not so, since the machine did something else meanwhile, shows nothing. */
static bool is_long_before(int64_t at_ns, const struct einet_result *job, int64_t last_block_ns)
{
    return at_ns > 0 && at_ns < job->finish_ns - last_block_ns - 1000000;
}

/* Release the slow task's job, and the camera's while it runs. Returns whether the camera was done first; -1: the try
 * shows nothing. A camera of lower priority cannot even begin. */
static int camera_overtakes(uint64_t tag, bool is_camera_higher)
{
    EI_EQ(einet_run_release(play.run, PLAY_SLOW, EINET_NOW, tag), 0);
    await_answer(PLAY_SLOW, tag);
    EI_EQ(einet_run_release(play.run, PLAY_CAMERA, EINET_NOW, tag), 0);
    const int slow = await_result(PLAY_SLOW, tag), camera = await_result(PLAY_CAMERA, tag);
    const int64_t came_ns = is_camera_higher ? told.result[camera].start_ns : told.result[camera].release_ns;
    return !is_long_before(came_ns, &told.result[slow], 4000000) ? -1 : camera < slow;
}

/* How often the camera overtook in tries that show something: wanted ones of them, of a bounded number. */
static int overtakings(uint64_t first_tag, int wanted, bool is_camera_higher)
{
    int shown = 0, overtook = 0;
    for (int i = 0; i < 20 * wanted && shown < wanted; i++) {
        const int rc = camera_overtakes(first_tag + (uint64_t)i, is_camera_higher);
        shown += rc >= 0;
        overtook += rc == 1;
    }
    EI_EQ(shown, wanted);
    return overtook;
}

/* The SCHED_FIFO priority of the thread of that name, -1 = none, 0 = it is not FIFO. */
static int priority_of_thread(const char *name)
{
    DIR *folder = opendir("/proc/self/task");
    const struct dirent *entry;
    int priority = -1;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[300], comm[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        const bool is_read = file != NULL && fgets(comm, sizeof comm, file) != NULL;
        if (file != NULL) {
            fclose(file);
        }
        comm[strcspn(comm, "\n")] = '\0';
        struct sched_param param = {0};
        const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (is_read && strcmp(comm, name) == 0 && sched_getparam(tid, &param) == 0) {
            priority = param.sched_priority;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return priority;
}

EI_TEST(changed_priority_decides_who_goes_first)
{
    EI_REQUIRE(begin_tasks());
    EI_TRUE(overtakings(1, 3, true) == 3 && told.preemptions > 0);
    set(PLAY_SLOW, (struct einet_change){.what = EINET_SET_PRIORITY, .priority = 80});
    const int before = told.preemptions;
    const int fifo = priority_of_thread("clock");
    EI_TRUE(fifo == 70 || fifo == 0); /* without the right to real time */
    EI_EQ(priority_of_thread("slow"), fifo == 70 ? 80 : 0);
    EI_EQ(overtakings(1001, 3, false), 0);
    EI_EQ(told.preemptions, before);
    EI_EQ(priority_of_thread("slow"), fifo == 70 ? 80 : 0);
    set(PLAY_SLOW, (struct einet_change){.what = EINET_SET_PRIORITY, .priority = 25});
    EI_EQ(priority_of_thread("slow"), fifo == 70 ? 25 : 0);
    EI_EQ(overtakings(2001, 3, true), 3);
    EI_TRUE(told.preemptions > before);
    const struct einet_end end = end_run();
    for (int i = 0; i < told.count; i++) {
        const struct einet_result *result = &told.result[i];
        const int32_t of_slow = result->tag > 2000 ? 25 : result->tag > 1000 ? 80 : 20;
        EI_EQ(result->priority, result->task_idx == PLAY_SLOW     ? of_slow
                                : result->task_idx == PLAY_CAMERA ? 60
                                : result->task_idx == PLAY_CLOCK  ? 70
                                                                  : 0);
    }
    EI_CONTAINS(end.summary, "\"priority\": 80");
    EI_CONTAINS(end.summary, "\"priority\": 25");
    EI_CONTAINS(end.summary, "\"changes_lost\": 0");
    play_done(&play);
}

/* Release the holder's job, which keeps the lane for its long last block, the camera's, and when that waits (none lower
 * may begin on the holder's CPU then) the slow task's. Whether that is done first; -1: the try shows nothing. */
static int slow_is_served_first(uint64_t tag, bool is_slow_higher)
{
    EI_EQ(einet_run_release(play.run, HOLDER, EINET_NOW, tag), 0);
    await_answer(HOLDER, tag);
    EI_EQ(einet_run_release(play.run, PLAY_CAMERA, EINET_NOW, tag), 0);
    play_sleep_ms(5);
    EI_EQ(einet_run_release(play.run, PLAY_SLOW, EINET_NOW, tag), 0);
    const int slow = await_result(PLAY_SLOW, tag), camera = await_result(PLAY_CAMERA, tag);
    const struct einet_result *holder = &told.result[await_result(HOLDER, tag)];
    const int64_t came_ns = is_slow_higher ? told.result[slow].start_ns : told.result[slow].release_ns;
    const bool has_waited = is_long_before(told.result[camera].start_ns, holder, 0);
    return has_waited && is_long_before(came_ns, holder, 0) ? slow < camera : -1;
}

EI_TEST(changed_priority_decides_who_is_served_first)
{
    EI_REQUIRE(begin_tasks());
    /* It has its long block in any case, also where a machine was so busy that the planner would leave it out. */
    set(HOLDER, (struct einet_change){.what = EINET_SET_EXITS, .exits = 3});
    set(PLAY_SLOW, (struct einet_change){.what = EINET_SET_PRIORITY, .priority = 65});
    for (int round = 0; round < 2; round++) {
        int shown = 0, first = 0;
        for (uint64_t i = 0; i < 60 && shown < 3; i++) {
            const int rc = slow_is_served_first(100 * (uint64_t)round + i + 1, round == 0);
            shown += rc >= 0;
            first += rc == 1;
        }
        EI_EQ(shown, 3);
        EI_EQ(first, round == 0 ? 3 : 0);
        set(PLAY_SLOW, (struct einet_change){.what = EINET_SET_PRIORITY, .priority = 20});
    }
    (void)end_run();
    play_done(&play);
}

/* A job that has begun keeps what it had. */
EI_TEST(change_holds_for_the_next_job)
{
    EI_REQUIRE(begin_tasks());
    EI_EQ(einet_run_release(play.run, PLAY_SLOW, EINET_NOW, 1), 0);
    await_answer(PLAY_SLOW, 1);
    set(PLAY_SLOW, (struct einet_change){.what = EINET_SET_PRIORITY | EINET_SET_DEADLINE | EINET_SET_EXITS,
                                         .priority = 33,
                                         .deadline_ns = 777000000,
                                         .exits = 1});
    const struct einet_result *before = &told.result[await_result(PLAY_SLOW, 1)];
    EI_TRUE(before->priority == 20 && before->deadline_ns - before->release_ns == 1000000000);
    EI_EQ(before->planned_exit, 2);
    const struct einet_result *after = run_job(PLAY_SLOW, 2);
    EI_TRUE(after->priority == 33 && after->deadline_ns - after->release_ns == 777000000);
    EI_TRUE(after->answer.exit_idx == 0 && after->planned_exit == 0);
    (void)end_run();
    play_done(&play);
}

/* ---- deadline ---- */

EI_TEST(changed_deadline_shows_in_misses)
{
    EI_REQUIRE(begin_tasks());
    for (uint64_t tag = 1; tag <= 10; tag++) {
        set(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_DEADLINE, .deadline_ns = 1000});
        const struct einet_result *late = run_job(PLAY_CAMERA, tag);
        EI_TRUE((late->flags & EINET_RESULT_DEADLINE_MET) == 0 && late->deadline_ns - late->release_ns == 1000);
        set(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_DEADLINE, .deadline_ns = EINET_NO_DEADLINE});
        const struct einet_result *met = run_job(PLAY_CAMERA, tag + 1000);
        EI_TRUE((met->flags & EINET_RESULT_DEADLINE_MET) != 0 && met->deadline_ns == INT64_MAX);
    }
    const struct einet_end end = end_run();
    struct einet_figures figures = {.size_bytes = sizeof figures};
    EI_EQ(einet_run_figures(play.run, PLAY_CAMERA, &figures), 0);
    EI_TRUE(figures.completed == 20 && figures.misses == 10);
    EI_CONTAINS(end.summary, "\"deadline_ns\": 1000");
    play_done(&play);
}

/* ---- plan ---- */

EI_TEST(changed_plan_shows_in_exits)
{
    struct einet_settings settings = {.size_bytes = sizeof settings};
    EI_REQUIRE(begin_tasks());
    for (uint64_t round = 0; round < 5; round++) {
        const int none = told.exits[1];
        set(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_EXITS | EINET_SET_DEADLINE,
                                               .exits = 1,
                                               .deadline_ns = EINET_NO_DEADLINE});
        const struct einet_result *first = run_job(PLAY_CAMERA, 10 * round + 1);
        EI_TRUE(first->planned_exit == 0 && first->answer.exit_idx == 0);
        EI_EQ(told.exits[1], none);
        const int some = told.exits[0];
        set(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_EXITS, .exits = 2});
        const struct einet_result *last = run_job(PLAY_CAMERA, 10 * round + 2);
        EI_TRUE(last->planned_exit == 1 && last->answer.exit_idx == 1);
        EI_EQ(told.exits[0], some); /* the first was skipped */
        set(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_SEARCH, .search = "all"});
        const struct einet_result *both = run_job(PLAY_CAMERA, 10 * round + 3);
        EI_EQ(both->planned_exit, 1);
        EI_EQ(told.exits[0], some + 1); /* the real-time load of the machine may cut off the second */
    }
    EI_EQ(einet_run_settings(play.run, PLAY_CAMERA, &settings), 0);
    EI_TRUE(settings.exits == 0 && settings.changes == 15 && settings.deadline_ns == EINET_NO_DEADLINE);
    EI_STREQ(settings.search, "all");
    const struct einet_end end = end_run();
    EI_CONTAINS(end.summary, "\"search\": \"fixed:0x2\"");
    play_done(&play);
}

/* ---- pause ---- */

static int count_of(int32_t task)
{
    int count = 0;
    for (int i = 0; i < told.count; i++) {
        count += told.result[i].task_idx == task;
    }
    return count;
}

static int64_t withheld_of(int32_t task)
{
    struct einet_settings settings = {.size_bytes = sizeof settings};
    EI_EQ(einet_run_settings(play.run, task, &settings), 0);
    return settings.withheld;
}

static int64_t highest_job_of(int32_t task)
{
    int64_t highest = -1;
    for (int i = 0; i < told.count; i++) {
        highest =
            told.result[i].task_idx == task && told.result[i].job_idx > highest ? told.result[i].job_idx : highest;
    }
    return highest;
}

/* Every nominal release is told or counted, none twice, and later ones keep their times. */
EI_TEST(paused_releases_are_counted_exactly)
{
    struct einet_settings settings = {.size_bytes = sizeof settings};
    EI_REQUIRE(begin_tasks());
    for (int round = 0; round < 4; round++) {
        EI_EQ(einet_run_pause(play.run, PLAY_CLOCK, NULL), 0);
        EI_EQ(einet_run_pause(play.run, PLAY_CLOCK, NULL), 0); /* changes nothing */
        EI_EQ(einet_run_settings(play.run, PLAY_CLOCK, &settings), 0);
        EI_EQ(settings.is_paused, 1);
        while (withheld_of(PLAY_CLOCK) < 3 * (round + 1)) {
            play_sleep_ms(5);
        }
        EI_EQ(einet_run_resume(play.run, PLAY_CLOCK, NULL), 0);
        EI_EQ(einet_run_resume(play.run, PLAY_CLOCK, NULL), 0);
        const int before = count_of(PLAY_CLOCK);
        while (count_of(PLAY_CLOCK) < before + 3) {
            play_sleep_ms(5);
        }
    }
    const struct einet_end end = end_run();
    EI_EQ(count_of(PLAY_CLOCK) + withheld_of(PLAY_CLOCK), highest_job_of(PLAY_CLOCK) + 1);
    EI_EQ(einet_run_settings(play.run, PLAY_CLOCK, &settings), 0);
    EI_TRUE(settings.is_paused == 0 && settings.changes == 8 && settings.withheld >= 12);
    const struct einet_result *first = NULL;
    for (int i = 0; i < told.count; i++) {
        const struct einet_result *result = &told.result[i];
        if (result->task_idx == PLAY_CLOCK) {
            first = first == NULL ? result : first;
            EI_EQ(result->release_ns - first->release_ns, (result->job_idx - first->job_idx) * 20000000);
        }
    }
    EI_CONTAINS(end.summary, "\"paused\": true");
    EI_CONTAINS(end.summary, "\"paused\": false");
    play_done(&play);
}

EI_TEST(paused_task_refuses_releases_from_outside_and_its_chain_rests)
{
    EI_REQUIRE(begin_tasks());
    (void)run_job(PLAY_CAMERA, 1);
    (void)await_result(PLAY_BEHIND, 1);
    EI_EQ(einet_run_pause(play.run, PLAY_CAMERA, NULL), 0);
    for (int i = 0; i < 7; i++) {
        EI_EQ(einet_run_release(play.run, PLAY_CAMERA, EINET_NOW, 2), -ECANCELED);
    }
    EI_EQ(withheld_of(PLAY_CAMERA), 7);
    EI_EQ(einet_run_resume(play.run, PLAY_CAMERA, NULL), 0);
    EI_EQ(einet_run_pause(play.run, PLAY_BEHIND, NULL), 0);
    (void)run_job(PLAY_CAMERA, 3);
    while (withheld_of(PLAY_BEHIND) < 1) {
        play_sleep_ms(1);
    }
    EI_EQ(einet_run_resume(play.run, PLAY_BEHIND, NULL), 0);
    (void)run_job(PLAY_CAMERA, 4);
    (void)await_result(PLAY_BEHIND, 4);
    (void)end_run(); /* and every task is accounted for */
    EI_TRUE(count_of(PLAY_CAMERA) == 3 && count_of(PLAY_BEHIND) == 2);
    EI_TRUE(withheld_of(PLAY_CAMERA) == 7 && withheld_of(PLAY_BEHIND) == 1);
    play_done(&play);
}

/* What was released before runs; a run may end paused. */
EI_TEST(pause_lets_run_what_was_released)
{
    EI_REQUIRE(begin_tasks());
    for (uint64_t tag = 1; tag <= 3; tag++) {
        EI_EQ(einet_run_release(play.run, PLAY_SLOW, EINET_NOW, tag), 0);
    }
    EI_EQ(einet_run_pause(play.run, PLAY_SLOW, NULL), 0);
    EI_EQ(einet_run_pause(play.run, PLAY_CLOCK, NULL), 0);
    for (uint64_t tag = 1; tag <= 3; tag++) {
        EI_EQ(told.result[await_result(PLAY_SLOW, tag)].outcome, EINET_JOB_COMPLETED);
    }
    (void)end_run();
    EI_EQ(count_of(PLAY_SLOW), 3);
    play_done(&play);
}

/* ---- many at once ---- */

#define CHANGERS 4
#define CHANGES 150

static atomic_int changers_left;

/* Priority p goes with a deadline of p seconds and one of two plans, so that a job of two changes would show. */
static void *change_often(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < CHANGES; i++) {
        const int32_t task = rand_r(&seed) % 2 == 0 ? PLAY_CAMERA : PLAY_SLOW;
        const int32_t priority = 10 + rand_r(&seed) % 60;
        const struct einet_change change = {.size_bytes = sizeof change,
                                            .what = EINET_SET_PRIORITY | EINET_SET_DEADLINE | EINET_SET_EXITS,
                                            .priority = priority,
                                            .deadline_ns = (int64_t)priority * 1000000000,
                                            .exits = priority % 2 == 0 ? 1 : 2};
        struct einet_settings settings = {.size_bytes = sizeof settings};
        EI_EQ(einet_run_set(play.run, task, &change, NULL), 0);
        EI_EQ(einet_run_settings(play.run, task, &settings), 0);
        EI_EQ(settings.deadline_ns, (int64_t)settings.priority * 1000000000);
        EI_EQ(settings.exits, settings.priority % 2 == 0 ? 1 : 2);
        if (i % 16 == 0) {
            EI_EQ(einet_run_pause(play.run, PLAY_CLOCK, NULL), 0);
            EI_EQ(einet_run_resume(play.run, PLAY_CLOCK, NULL), 0);
        }
        play_sleep_ms(1);
    }
    atomic_fetch_sub(&changers_left, 1);
    return NULL;
}

EI_TEST(changes_of_several_threads_are_whole)
{
    pthread_t threads[CHANGERS];
    EI_REQUIRE(begin_tasks());
    const struct einet_change first = {.what = EINET_SET_PRIORITY | EINET_SET_DEADLINE | EINET_SET_EXITS,
                                       .priority = 40,
                                       .deadline_ns = 40 * INT64_C(1000000000),
                                       .exits = 1};
    set(PLAY_CAMERA, first);
    set(PLAY_SLOW, first);
    atomic_store(&changers_left, CHANGERS);
    for (uintptr_t i = 0; i < CHANGERS; i++) {
        EI_REQUIRE(pthread_create(&threads[i], NULL, change_often, (void *)(i + 1)) == 0);
    }
    uint64_t tag = 0;
    while (atomic_load(&changers_left) > 0 && tag < 1000) {
        tag++;
        (void)einet_run_release(play.run, tag % 4 == 0 ? PLAY_SLOW : PLAY_CAMERA, EINET_NOW, tag);
        play_sleep_ms(2);
    }
    for (int i = 0; i < CHANGERS; i++) {
        pthread_join(threads[i], NULL);
    }
    const struct einet_end end = end_run();
    int checked = 0;
    for (int i = 0; i < told.count; i++) {
        const struct einet_result *result = &told.result[i];
        if ((result->task_idx == PLAY_CAMERA || result->task_idx == PLAY_SLOW) &&
            result->outcome == EINET_JOB_COMPLETED) {
            EI_EQ(result->deadline_ns - result->release_ns, (int64_t)result->priority * 1000000000);
            EI_EQ(result->planned_exit, result->priority % 2 == 0 ? 0 : 1);
            checked++;
        }
    }
    EI_TRUE(checked > 10);
    EI_CONTAINS(end.summary, "\"changes_lost\": 0");
    play_done(&play);
}

/* ---- refusals ---- */

EI_TEST(changes_that_cannot_be_are_refused_and_change_nothing)
{
    struct einet_settings settings = {.size_bytes = sizeof settings};
    const struct einet_change priority = {.what = EINET_SET_PRIORITY, .priority = 50};
    snprintf(text, sizeof text, "%s%s", HEAD, tasks);
    play_init(&play, text);
    EI_REQUIRE(play_create(&play));
    refused(PLAY_CAMERA, priority, -EAGAIN, "not started");
    EI_EQ(einet_run_pause(play.run, PLAY_CAMERA, NULL), -EAGAIN);
    EI_EQ(einet_run_start(play.run, NULL), 0);
    refused(HOLDER + 1, priority, -EINVAL, "no task");
    refused(PLAY_CAMERA, (struct einet_change){.priority = 3}, -EINVAL, "EINET_SET_");
    refused(PLAY_CAMERA, (struct einet_change){.what = 1U << 20}, -EINVAL, "EINET_SET_");
    refused(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_PRIORITY, .priority = 99}, EINET_E_USAGE, "1..98");
    refused(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_PRIORITY}, EINET_E_USAGE, "1..98");
    refused(PLAY_BEHIND, priority, EINET_E_USAGE, "class other");
    refused(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_DEADLINE}, EINET_E_USAGE, "above 0");
    refused(PLAY_CLOCK, (struct einet_change){.what = EINET_SET_DEADLINE, .deadline_ns = 20000001}, EINET_E_USAGE,
            "longer than its period");
    refused(PLAY_CLOCK, (struct einet_change){.what = EINET_SET_EXITS, .exits = 1}, EINET_E_USAGE, "no network");
    refused(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_EXITS}, EINET_E_USAGE, "at least one exit");
    refused(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_EXITS, .exits = 4}, EINET_E_USAGE, "2 exits");
    refused(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_SEARCH, .search = "best"}, EINET_E_USAGE, "exact");
    refused(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_SEARCH, .search = "oracle"}, EINET_E_USAGE, "oracle");
    refused(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_SEARCH | EINET_SET_EXITS, .search = "all", .exits = 1},
            EINET_E_USAGE, "either");
    /* All or nothing. */
    refused(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_PRIORITY | EINET_SET_EXITS, .priority = 5, .exits = 4},
            EINET_E_USAGE, "2 exits");
    EI_EQ(einet_run_settings(play.run, PLAY_CAMERA, &settings), 0);
    EI_TRUE(settings.priority == 60 && settings.deadline_ns == 1000000000 && settings.changes == 0);
    EI_STREQ(settings.search, "exact");
    const struct einet_change sizeless = {.what = EINET_SET_PRIORITY, .priority = 50};
    EI_EQ(einet_run_set(play.run, PLAY_CAMERA, &sizeless, NULL), -EINVAL);
    const struct einet_end end = end_run();
    EI_CONTAINS(end.summary, "\"changes\": []");
    refused(PLAY_CAMERA, priority, -ESHUTDOWN, "ends");
    EI_EQ(einet_run_resume(play.run, PLAY_CAMERA, NULL), -ESHUTDOWN);
    play_done(&play);
}

/* ---- a whole workload ---- */

/* The text with another word in place of each, given in pairs up to NULL. */
static struct einet_workload *edited(const char *const *words)
{
    static char copy[8192], next[8192];
    struct einet_workload *workload = NULL;
    struct einet_error err = {0};
    snprintf(copy, sizeof copy, "%s%s", HEAD, tasks);
    for (; words[0] != NULL; words += 2) {
        const char *at = strstr(copy, words[0]);
        if (!EI_TRUEF(at != NULL, "%s", words[0])) {
            return NULL;
        }
        snprintf(next, sizeof next, "%.*s%s%s", (int)(at - copy), copy, words[1], at + strlen(words[0]));
        memcpy(copy, next, sizeof copy);
    }
    EI_TRUEF(einet_workload_parse(copy, strlen(copy), NULL, &workload, &err) == 0, "%s", err.text);
    return workload;
}

static int reload(const char *const *words, int32_t *out_changed, struct einet_error *err)
{
    struct einet_workload *workload = edited(words);
    const int rc = workload != NULL ? einet_run_reload(play.run, workload, out_changed, err) : -ENOENT;
    einet_workload_destroy(workload);
    return rc;
}

EI_TEST(reloaded_workload_changes_what_can_be_changed)
{
    struct einet_settings settings = {.size_bytes = sizeof settings};
    struct einet_error err = {0};
    int32_t changed = -1;
    EI_REQUIRE(begin_tasks());
    EI_EQ(reload((const char *[]){NULL}, &changed, &err), 0);
    EI_EQ(changed, 0);
    EI_EQ(reload((const char *[]){"priority: 20", "priority: 21", "deadline: 20ms", "deadline: 19ms", NULL}, &changed,
                 &err),
          0);
    EI_EQ(changed, 2);
    EI_EQ(run_job(PLAY_SLOW, 1)->priority, 21);
    EI_EQ(einet_run_settings(play.run, PLAY_CLOCK, &settings), 0);
    EI_EQ(settings.deadline_ns, 19000000);
    EI_EQ(reload((const char *[]){"priority: 60,", "priority: 60, planner: { search: static(50) },", NULL}, &changed,
                 &err),
          0);
    EI_EQ(changed, 3); /* and the other two as they were */
    EI_EQ(run_job(PLAY_SLOW, 2)->priority, 20);
    EI_EQ(einet_run_settings(play.run, PLAY_CAMERA, &settings), 0);
    EI_STREQ(settings.search, "static:50");
    set(PLAY_CAMERA, (struct einet_change){.what = EINET_SET_EXITS, .exits = 1});
    EI_EQ(reload((const char *[]){NULL}, &changed, &err), 0); /* takes back what was set, too */
    EI_EQ(changed, 1);
    EI_EQ(einet_run_settings(play.run, PLAY_CAMERA, &settings), 0);
    EI_STREQ(settings.search, "exact");
    const struct einet_end end = end_run();
    EI_CONTAINS(end.summary, "\"search\": \"static:50\"");
    EI_EQ(reload((const char *[]){NULL}, &changed, &err), -ESHUTDOWN);
    play_done(&play);
}

EI_TEST(reloaded_workload_that_cannot_be_changes_nothing)
{
    struct einet_settings settings = {.size_bytes = sizeof settings};
    struct einet_error err = {0};
    EI_REQUIRE(begin_tasks());
    EI_EQ(reload((const char *[]){"priority: 20", "priority: 21", "spin: 50us", "spin: 60us", NULL}, NULL, &err),
          EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "50us");
    EI_CONTAINS(err.text, "60us");
    EI_EQ(reload((const char *[]){"priority: 20", "priority: 21", "name: clock", "name: watch", NULL}, NULL, &err),
          EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "'name: clock' became 'name: watch'");
    EI_EQ(reload((const char *[]){"  - { name: holder",
                                  "  - { name: more, priority: 3, arrival: { model: periodic, period: 1s },\n"
                                  "      stages: [ { name: w, kind: cpu, work: { spin: 1us } } ] "
                                  "}\n  - { name: holder",
                                  NULL},
                 NULL, &err),
          EINET_E_MISMATCH);
    EI_EQ(einet_run_settings(play.run, PLAY_SLOW, &settings), 0);
    EI_TRUE(settings.priority == 20 && settings.changes == 0);
    const struct einet_end end = end_run();
    EI_CONTAINS(end.summary, "\"changes\": []");
    play_done(&play);
}

EI_TEST(policy_that_derives_priorities_keeps_them)
{
    static const struct {
        const char *policy;
        bool takes_deadline;
    } cases[] = {{"rate_monotonic", true}, {"deadline_monotonic", false}, {"edf", false}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        snprintf(text, sizeof text,
                 "version: 1\nname: derived\nrun: { start_delay: 1ms }\nscheduler: { policy: %s }\ntasks:\n"
                 "  - { name: a, arrival: { model: periodic, period: 20ms }, deadline: 10ms,\n"
                 "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n",
                 cases[c].policy);
        EI_REQUIRE(begin(text));
        refused(0, (struct einet_change){.what = EINET_SET_PRIORITY, .priority = 5}, EINET_E_USAGE, cases[c].policy);
        if (cases[c].takes_deadline) {
            set(0, (struct einet_change){.what = EINET_SET_DEADLINE, .deadline_ns = 7000000});
        } else {
            refused(0, (struct einet_change){.what = EINET_SET_DEADLINE, .deadline_ns = 7000000}, EINET_E_USAGE,
                    cases[c].policy);
        }
        (void)end_run();
        play_done(&play);
    }
}

EI_MAIN()
