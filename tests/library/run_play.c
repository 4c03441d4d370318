/* See run_play.h. */
#include "tests/library/run_play.h"

#include "tests/harness/harness.h"

#include <signal.h>
#include <string.h>
#include <time.h>

const char play_tasks[] =
    "lanes: { cpu0: { kind: cpu } }\n"
    "models:\n"
    "  quick: { emulate: { blocks: [ { conv: 200us, branch: 20us, score: 0.5 },\n"
    "                                { conv: 200us, branch: 20us, score: 0.7 } ] } }\n"
    "  long: { emulate: { blocks: [ { conv: 3ms, branch: 20us, score: 0.4 }, { conv: 3ms, branch: 20us, score: 0.6 },\n"
    "                               { conv: 3ms, branch: 20us, score: 0.8 } ] } }\n"
    "tasks:\n"
    "  - { name: camera, arrival: { model: external, min_interarrival: 100us }, deadline: 50ms, priority: 60,\n"
    "      late_release: { queue: 8, drop: oldest }, stages: [ { name: n, kind: nn, model: quick, lane: cpu0 } ] }\n"
    "  - { name: slow, arrival: { model: external, min_interarrival: 100us }, deadline: 1s, priority: 20,\n"
    "      on_preempt: resume, late_release: { queue: 4, drop: newest },\n"
    "      stages: [ { name: n, kind: nn, model: long, lane: cpu0 } ] }\n"
    "  - { name: behind, arrival: { model: after, task: camera }, deadline: 60ms, class: other,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n"
    "  - { name: clock, arrival: { model: periodic, period: 20ms }, deadline: 20ms, priority: 70,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 50us } } ] }\n";

int64_t play_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void play_sleep_ms(int ms)
{
    const struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&nap, NULL);
}

/* Every callback: always on the same thread, which takes no signal. */
static void note_thread(struct play *play)
{
    sigset_t mask;
    if (!play->has_thread) {
        play->thread = pthread_self();
        play->has_thread = true;
    }
    play->strange += pthread_equal(play->thread, pthread_self()) == 0;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    play->was_signal_open =
        play->was_signal_open || sigismember(&mask, SIGINT) == 0 || sigismember(&mask, SIGSEGV) == 1;
    while (atomic_load(&play->is_held)) {
        play_sleep_ms(1);
    }
}

static void on_result(void *context, const struct einet_result *result)
{
    struct play *play = context;
    note_thread(play);
    if (result->size_bytes != sizeof *result || result->task_idx < 0 || result->task_idx >= PLAY_TASKS ||
        result->outcome < 0 || result->outcome > EINET_JOB_DROPPED || result->tag >= TAGS_MAX) {
        play->strange++;
        return;
    }
    play->results[result->task_idx]++;
    play->outcomes[result->outcome]++;
    play->seen[result->task_idx][result->tag]++;
    play->blocks[result->task_idx][result->job_idx % TAGS_MAX] = result->blocks_done;
    play->not_met += (result->flags & EINET_RESULT_DEADLINE_MET) == 0;
    if (result->task_idx == PLAY_CAMERA) {
        play->release_ns[result->tag] = result->release_ns;
        play->last = *result;
    }
    if (play->stops_at_first) {
        play->stops_at_first = false;
        play->waited_rc = einet_run_wait(play->run, 0, NULL);
        play->stopped_rc = einet_run_stop(play->run);
    }
}

static void on_miss(void *context, const struct einet_result *result)
{
    struct play *play = context;
    note_thread(play);
    play->misses++;
    play->strange += (result->flags & EINET_RESULT_DEADLINE_MET) != 0;
}

static void on_preempt(void *context, const struct einet_preemption *preemption)
{
    struct play *play = context;
    note_thread(play);
    play->preemptions++;
    play->strange += preemption->victim_task_idx != PLAY_SLOW || preemption->preemptor_task_idx != PLAY_CAMERA ||
                     preemption->request_ns > preemption->block_end_ns;
}

static void on_answer(void *context, const struct einet_answer *answer)
{
    struct play *play = context;
    note_thread(play);
    play->answers++;
    play->finals += answer->is_final;
    play->strange += answer->exit_idx < 0 || answer->exit_idx >= answer->exits_total || answer->top_count < 1;
}

void play_init(struct play *play, const char *text)
{
    struct einet_error err = {0};
    memset(play, 0, sizeof *play);
    EI_TRUEF(einet_workload_parse(text, strlen(text), NULL, &play->workload, &err) == 0, "%s", err.text);
    play->callbacks = (struct einet_callbacks){.size_bytes = sizeof play->callbacks,
                                               .context = play,
                                               .on_result = on_result,
                                               .on_miss = on_miss,
                                               .on_preempt = on_preempt,
                                               .on_answer = on_answer};
    play->options = (struct einet_run_options){
        .size_bytes = sizeof play->options, .duration_ns = EINET_UNTIL_STOPPED, .callbacks = &play->callbacks};
}

bool play_create(struct play *play)
{
    struct einet_error err = {0};
    return play->workload != NULL &&
           EI_TRUEF(einet_run_create(play->workload, &play->options, &play->run, &err) == 0, "%s", err.text);
}

bool play_start(struct play *play)
{
    struct einet_error err = {0};
    return play_create(play) && EI_TRUEF(einet_run_start(play->run, &err) == 0, "%s", err.text);
}

struct einet_end play_wait(struct play *play)
{
    struct einet_end end = {.size_bytes = sizeof end};
    struct einet_error err = {0};
    EI_TRUEF(einet_run_wait(play->run, -1, &err) == 0, "%s", err.text);
    EI_EQ(einet_run_phase(play->run), EINET_RUN_ENDED);
    EI_EQ(einet_run_end(play->run, &end), 0);
    EI_TRUE(end.is_accounted);
    EI_TRUEF(end.faulty_jobs == 0, "%s", end.fault_text != NULL ? end.fault_text : "?");
    EI_EQ(play->strange, 0);
    EI_EQ(play->misses, play->not_met);
    EI_TRUE(!play->was_signal_open);
    EI_TRUE(!play->has_thread || pthread_equal(play->thread, pthread_self()) == 0);
    return end;
}

void play_done(struct play *play)
{
    einet_run_destroy(play->run);
    einet_workload_destroy(play->workload);
}
