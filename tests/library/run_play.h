/* Runs of workload texts through the library's interface, and what their callbacks were told. */
#ifndef TESTS_LIBRARY_RUN_PLAY_H
#define TESTS_LIBRARY_RUN_PLAY_H

#include <einet/einet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define TAGS_MAX 4096

/* Two tasks with networks that somebody releases, a task behind the first, one by the clock; all on one lane. */
extern const char play_tasks[];
enum { PLAY_CAMERA, PLAY_SLOW, PLAY_BEHIND, PLAY_CLOCK, PLAY_TASKS };

struct play {
    struct einet_workload *workload;
    struct einet_run *run;
    struct einet_callbacks callbacks;
    struct einet_run_options options;
    /* what the callbacks were told; the callback thread's, atomic for the rest */
    atomic_int results[PLAY_TASKS], outcomes[4], misses, not_met, preemptions, answers, finals, strange;
    atomic_int seen[PLAY_TASKS][TAGS_MAX]; /* results by task and tag */
    int64_t release_ns[TAGS_MAX];          /* of the camera's, as told */
    int32_t blocks[PLAY_TASKS][TAGS_MAX];  /* that were computed, by task and number of the job */
    struct einet_result last;              /* of the camera */
    pthread_t thread;
    bool has_thread, was_signal_open;
    int waited_rc, stopped_rc; /* of calls inside a callback */
    bool stops_at_first;
    atomic_bool is_held; /* callbacks wait until it is false */
};

/* Parse text and fill options with all callbacks; the caller may change them, then play_create. */
void play_init(struct play *play, const char *text);
/* Make the run; false with a failed check. */
bool play_create(struct play *play);
/* The same, and start it. */
bool play_start(struct play *play);
/* Wait for the end, check it is sound, and give it. */
struct einet_end play_wait(struct play *play);
void play_done(struct play *play);

int64_t play_now_ns(void);
void play_sleep_ms(int ms);

#endif
