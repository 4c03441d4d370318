/* The life of a run: created, started, ended, destroyed. See einet/run.h. */
#include "library/run.h"

#include "library/sized.h"
#include "rt/clock.h"
#include "rt/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALLBACK_QUEUE 4096
#define HOUSEKEEPER_STACK_BYTES ((size_t)4 * 1024 * 1024)

/* Runs of this process that go on: one, whose load of CPUs and watchdog are the whole process's, or two while the
 * second takes over from the first. */
static atomic_int runs_going_on;

/* ---- creating ---- */

static int take_options(const struct einet_run_options *options, struct einet_run_options *out,
                        struct einet_callbacks *callbacks, struct einet_error *err)
{
    *out = (struct einet_run_options){.size_bytes = sizeof *out};
    *callbacks = (struct einet_callbacks){.size_bytes = sizeof *callbacks};
    int rc = options != NULL ? ei_sized_take(out, sizeof *out, options) : 0;
    if (rc == 0 && out->callbacks != NULL) {
        rc = ei_sized_take(callbacks, sizeof *callbacks, out->callbacks);
    }
    if (rc == -EINVAL) {
        return einet_error_set(err, rc, "options or callbacks without their size: set size_bytes to sizeof the struct");
    }
    if (rc < 0) {
        return einet_error_set(err, rc, "options or callbacks of a newer einet than this library, %s: install that one",
                               EINET_VERSION);
    }
    if (out->duration_ns < 0 && out->duration_ns != EINET_UNTIL_STOPPED) {
        return einet_error_set(err, EINET_E_USAGE,
                               "duration_ns is %lld: give 0, EINET_UNTIL_STOPPED or a time "
                               "above 0",
                               (long long)out->duration_ns);
    }
    if (out->callback_priority < 0 || out->callback_priority > 98) {
        return einet_error_set(err, EINET_E_USAGE, "callback_priority is %d: give 0 or 1..98", out->callback_priority);
    }
    if (out->callback_queue < 0 || out->callback_queue > EI_TAP_QUEUE_MAX) {
        return einet_error_set(err, EINET_E_USAGE, "callback_queue is %d: give 0 or 1..%d", out->callback_queue,
                               EI_TAP_QUEUE_MAX);
    }
    return 0;
}

static int copy_text(const char *from, char **out)
{
    *out = from != NULL ? strdup(from) : NULL;
    return from != NULL && *out == NULL ? -ENOMEM : 0;
}

static int init_lock(struct einet_run *run)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) {
        return -ENOMEM;
    }
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    const bool is_ok = pthread_mutex_init(&run->lock, NULL) == 0 && pthread_cond_init(&run->changed, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return is_ok ? 0 : -ENOMEM;
}

static void on_go(void *context, int64_t t0_ns, const struct ei_cpuset *housekeeping_cpus);

static bool has_frames(const struct ei_workload *wl)
{
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (ei_input_is_handed_in(&wl->tasks[i].input)) {
            return true;
        }
    }
    return false;
}

static int fill(struct einet_run *run, struct einet_workload *workload, const struct einet_run_options *options,
                struct einet_error *err)
{
    const struct einet_callbacks *on = &run->callbacks;
    run->has_listeners = on->on_result != NULL || on->on_miss != NULL || on->on_preempt != NULL ||
                         on->on_answer != NULL || has_frames(workload->spec);
    const int32_t queue = options->callback_queue > 0 ? options->callback_queue : CALLBACK_QUEUE;
    const int rc = ei_tap_init(&run->tap, workload->spec, run->has_listeners ? queue : 0, err);
    if (rc < 0) {
        return rc;
    }
    if (copy_text(options->out_dir, &run->out_dir) < 0 || copy_text(options->metrics, &run->metrics) < 0) {
        return einet_error_set(err, -ENOMEM, "no memory for the run");
    }
    run->tap.wants_jobs = on->on_result != NULL || on->on_miss != NULL;
    run->tap.wants_answers = on->on_answer != NULL;
    run->tap.wants_preemptions = on->on_preempt != NULL;
    run->tap.on_go = on_go;
    run->tap.context = run;
    run->callback_priority = options->callback_priority;
    run->takes_over = options->takes_over;
    run->duration_ns = options->duration_ns == EINET_UNTIL_STOPPED ? EI_LIVE_ENDLESS_NS : options->duration_ns;
    const ssize_t length = readlink("/proc/self/exe", run->program, sizeof run->program - 1);
    run->program[length > 0 ? length : 0] = '\0';
    return 0;
}

static void free_memory(struct einet_run *run)
{
    einet_workload_destroy(run->workload);
    ei_own_networks_free(run);
    ei_tap_fini(&run->tap);
    free(run->out_dir);
    free(run->metrics);
    free(run->summary);
    free(run);
}

int einet_run_create(struct einet_workload *workload, const struct einet_run_options *options,
                     struct einet_run **out_run, struct einet_error *err)
{
    struct einet_run_options taken;
    struct einet_callbacks callbacks;
    int rc = take_options(options, &taken, &callbacks, err);
    if (rc < 0) {
        return rc;
    }
    struct einet_run *run = calloc(1, sizeof *run);
    if (run == NULL || init_lock(run) < 0) {
        free(run);
        return einet_error_set(err, -ENOMEM, "no memory for the run");
    }
    ei_workload_claim(workload);
    run->workload = workload;
    run->callbacks = callbacks;
    atomic_init(&run->phase, EINET_RUN_CREATED);
    rc = fill(run, workload, &taken, err);
    if (rc < 0) {
        einet_run_destroy(run);
        return rc;
    }
    *out_run = run;
    return 0;
}

/* ---- running ---- */

/* Change the phase and wake who waits for it. */
static void enter_phase(struct einet_run *run, enum einet_run_phase phase)
{
    pthread_mutex_lock(&run->lock);
    atomic_store(&run->phase, (int)phase);
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
}

static void on_go(void *context, int64_t t0_ns, const struct ei_cpuset *housekeeping_cpus)
{
    struct einet_run *run = context;
    pthread_mutex_lock(&run->lock);
    run->t0_ns = t0_ns;
    run->warned = run->error; /* which nobody else writes before the end */
    run->listener_cpus = *housekeeping_cpus;
    const bool is_ending = atomic_load(&run->tap.request) != EI_TAP_GO_ON;
    atomic_store(&run->phase, is_ending ? EINET_RUN_ENDING : EINET_RUN_RUNNING);
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->lock);
}

static char *text_of_summary(const struct ei_collector *collector)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream != NULL) {
        const int rc = ei_collector_print_json(collector, stream);
        if (fclose(stream) != 0 || rc < 0) {
            free(text);
            text = NULL;
        }
    }
    return text;
}

static void keep_house(void *arg)
{
    struct einet_run *run = arg;
    const struct ei_live_options options = {
        .out_dir = run->out_dir != NULL && run->out_dir[0] != '\0' ? run->out_dir : NULL,
        .duration_ns = run->duration_ns,
        .program = run->program,
        .metrics = run->metrics == NULL ? "" : (run->metrics[0] != '\0' ? run->metrics : NULL),
        .tap = &run->tap,
        .predecessor = run->takes_over != NULL ? &run->takes_over->tap : NULL,
        .is_fileless = run->out_dir == NULL,
    };
    run->failure = ei_live_run(run->workload->spec, &options, &run->result, &run->error);
    if (run->result.collector != NULL) { /* also when its files could not be written */
        run->summary = text_of_summary(run->result.collector);
        ei_collector_destroy(run->result.collector);
        run->result.collector = NULL;
    }
    ei_listener_end(run);
    atomic_fetch_sub(&runs_going_on, 1);
    enter_phase(run, run->failure == 0 ? EINET_RUN_ENDED : EINET_RUN_FAILED);
}

/* All signals but those that a thread brings upon itself, which the kernel ends the process for when they are blocked.
 */
static void fill_with_foreign_signals(sigset_t *out)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigfillset(out);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        sigdelset(out, own[i]);
    }
}

/* No signal of others is taken by a thread that this one makes, or that those make. */
static int start_threads(struct einet_run *run, struct einet_error *err)
{
    const struct ei_thread_attr attr = {.name = "einet", .stack_bytes = HOUSEKEEPER_STACK_BYTES};
    sigset_t foreign, kept;
    fill_with_foreign_signals(&foreign);
    (void)pthread_sigmask(SIG_SETMASK, &foreign, &kept);
    int rc = ei_listener_start(run, err);
    if (rc == 0) {
        rc = ei_thread_create(&run->housekeeper, &attr, keep_house, run, err);
        run->has_housekeeper = rc == 0;
        if (rc < 0) {
            ei_listener_end(run);
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &kept, NULL);
    return rc;
}

/* Count the run in; false: another one is in its way. */
static bool may_go_on(const struct einet_run *run)
{
    int going_on = 0;
    if (atomic_compare_exchange_strong(&runs_going_on, &going_on, 1)) {
        return true;
    }
    return run->takes_over != NULL && atomic_load(&run->takes_over->phase) == EINET_RUN_RUNNING && going_on == 1 &&
           atomic_compare_exchange_strong(&runs_going_on, &going_on, 2);
}

/* CREATED -> STARTING, for one caller alone. */
static int claim_start(struct einet_run *run, struct einet_error *err)
{
    int rc = 0;
    pthread_mutex_lock(&run->lock);
    if (atomic_load(&run->phase) != EINET_RUN_CREATED) {
        rc = einet_error_set(err, -EALREADY, "the run was started before: create another one");
    } else if (!may_go_on(run)) {
        rc = einet_error_set(err, -EBUSY,
                             "another run of this process goes on: stop it first, or put the tasks of "
                             "both into one workload");
    } else {
        atomic_store(&run->phase, EINET_RUN_STARTING);
    }
    pthread_mutex_unlock(&run->lock);
    return rc;
}

/* The engine has settled its end, which is now. */
static void note_taken_over(struct einet_run *old)
{
    if (old != NULL) {
        pthread_mutex_lock(&old->lock);
        if (atomic_load(&old->phase) == EINET_RUN_RUNNING) {
            atomic_store(&old->phase, EINET_RUN_ENDING);
        }
        pthread_mutex_unlock(&old->lock);
    }
}

int einet_run_start(struct einet_run *run, struct einet_error *err)
{
    struct einet_error why = {0};
    int rc = claim_start(run, err);
    if (rc < 0) {
        return rc;
    }
    rc = start_threads(run, &why);
    if (rc < 0) {
        run->failure = rc;
        run->error = why;
        atomic_fetch_sub(&runs_going_on, 1);
        enter_phase(run, EINET_RUN_FAILED);
    }
    pthread_mutex_lock(&run->lock);
    while (atomic_load(&run->phase) == EINET_RUN_STARTING) {
        pthread_cond_wait(&run->changed, &run->lock);
    }
    const bool is_failed = atomic_load(&run->phase) == EINET_RUN_FAILED;
    const int64_t t0_ns = run->t0_ns;
    rc = is_failed ? run->failure : 0;
    if (err != NULL) {
        *err = is_failed ? run->error : run->warned;
    }
    pthread_mutex_unlock(&run->lock);
    if (rc == 0) {
        ei_mono_sleep_until((struct ei_mono){t0_ns});
        note_taken_over(run->takes_over);
    }
    return rc;
}

EINET_RT int einet_run_phase(const struct einet_run *run)
{
    return atomic_load(&run->phase);
}

EINET_RT int ei_run_release(struct einet_run *run, int32_t task_idx, int64_t stamp_ns, uint64_t tag, int32_t frame)
{
    switch ((enum einet_run_phase)atomic_load(&run->phase)) {
    case EINET_RUN_CREATED:
    case EINET_RUN_STARTING:
        return -EAGAIN;
    case EINET_RUN_RUNNING:
        return ei_live_release_tagged(&run->tap, task_idx, stamp_ns == EINET_NOW ? EI_NONE_NS : stamp_ns, tag, frame);
    case EINET_RUN_ENDING:
    case EINET_RUN_ENDED:
    case EINET_RUN_FAILED:
        break;
    }
    return -ESHUTDOWN;
}

EINET_RT int einet_run_release(struct einet_run *run, int32_t task_idx, int64_t stamp_ns, uint64_t tag)
{
    const struct ei_workload *wl = run->workload->spec;
    if (task_idx < 0 || task_idx >= wl->task_count || wl->tasks[task_idx].arrival.model != EI_ARRIVAL_EXTERNAL ||
        ei_input_is_handed_in(&wl->tasks[task_idx].input) || ei_input_is_result(&wl->tasks[task_idx].input)) {
        return -EINVAL;
    }
    return ei_run_release(run, task_idx, stamp_ns, tag, 0);
}

/* ---- ending ---- */

static int ask_for_end(struct einet_run *run, enum ei_tap_request request)
{
    int rc = 0;
    pthread_mutex_lock(&run->lock);
    const enum einet_run_phase phase = (enum einet_run_phase)atomic_load(&run->phase);
    if (phase == EINET_RUN_CREATED) {
        rc = -EINVAL;
    } else if (phase == EINET_RUN_ENDED || phase == EINET_RUN_FAILED) {
        rc = -EALREADY;
    } else {
        if (atomic_load(&run->tap.request) < (int)request) {
            atomic_store(&run->tap.request, (int)request);
        }
        if (phase == EINET_RUN_RUNNING) {
            atomic_store(&run->phase, EINET_RUN_ENDING);
        }
    }
    pthread_mutex_unlock(&run->lock);
    return rc;
}

int einet_run_drain(struct einet_run *run)
{
    return ask_for_end(run, EI_TAP_DRAIN);
}

int einet_run_stop(struct einet_run *run)
{
    return ask_for_end(run, EI_TAP_STOP);
}

static bool is_over(const struct einet_run *run)
{
    const int phase = atomic_load(&run->phase);
    return phase == EINET_RUN_ENDED || phase == EINET_RUN_FAILED;
}

int einet_run_wait(struct einet_run *run, int64_t timeout_ns, struct einet_error *err)
{
    const int64_t until_ns = timeout_ns < 0 ? INT64_MAX : ei_mono_add(ei_mono_now(), timeout_ns).ns;
    const struct timespec until = {.tv_sec = until_ns / EI_NS_PER_S, .tv_nsec = until_ns % EI_NS_PER_S};
    int waited = 0, rc = 0;
    if (atomic_load(&run->phase) == EINET_RUN_CREATED) {
        return einet_error_set(err, -EINVAL, "the run was never started, so it has no end");
    }
    if (ei_listener_is_calling(run)) {
        return einet_error_set(err, -EDEADLK, "a callback cannot wait for the end of its run: ask for it and return");
    }
    pthread_mutex_lock(&run->lock);
    while (!is_over(run) && waited == 0) {
        waited = timeout_ns < 0 ? pthread_cond_wait(&run->changed, &run->lock)
                                : pthread_cond_timedwait(&run->changed, &run->lock, &until);
    }
    if (!is_over(run)) {
        rc = -ETIMEDOUT;
    } else if (atomic_load(&run->phase) == EINET_RUN_FAILED) {
        rc = run->failure;
        if (err != NULL) {
            *err = run->error;
        }
    }
    pthread_mutex_unlock(&run->lock);
    return rc == -ETIMEDOUT ? einet_error_set(err, rc, "the run goes on") : rc;
}

void einet_run_destroy(struct einet_run *run)
{
    if (run == NULL) {
        return;
    }
    if (run->has_housekeeper) {
        (void)einet_run_stop(run);
        (void)ei_thread_join(&run->housekeeper);
    }
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->lock);
    free_memory(run);
}
