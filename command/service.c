/* A workload as a service. The main thread starts a run of the library and from then on only looks: at
 * signals, at the control socket, at what the run shows of itself. It is SCHED_OTHER, and no job waits for it.
 *
 *   start -> READY=1 -> serve: WATCHDOG=1 whenever the run has gone round its housekeeping -> ends by itself: fault
 *                         | SIGHUP, `reload`: RELOADING=1, the file is read again, READY=1 -> serve
 *                         | SIGTERM, SIGINT, `drain`: STOPPING=1, drain   -> ended
 *                         | the drain limit, a second signal, `stop`: stop -> ended
 *
 * See service.h. */
#include "command/service.h"

#include "command/exit_status.h"
#include "command/service_log.h"
#include "command/service_manager.h"
#include "command/service_requests.h"
#include "rt/clock.h"
#include "rt/memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TURN_MS 250
#define ENDING_TURN_MS 20
#define STATUS_NS (5 * EI_NS_PER_S)
#define LOSSES_NS (10 * EI_NS_PER_S) /* between two lines about lost jobs */
#define STOPPED (INT64_MAX - 1)      /* for stop_at_ns: it was, which is said once */

struct serve {
    const struct einet_service_hooks *hooks;
    const char *file;
    struct einet_run_options options;
    struct einet_control_options socket; /* path NULL = none */
    int64_t drain_limit_ns;
    struct einet_manager manager;
    struct einet_service service;
    int signal_fd;
    int64_t beat_ns, stop_at_ns; /* the last one that was passed on; INT64_MAX = no limit runs */
    int64_t next_status_ns, next_losses_ns;
    struct einet_figures told; /* of the last line about lost jobs */
    const char *ended_by;      /* what made it drain or stop first; NULL = nothing yet */
    /* The run that is prepared to take over, by a thread of its own; and the one from which one has taken over. */
    struct einet_workload *next_workload, *old_workload;
    struct einet_run *next, *old;
    pthread_t starter;
    atomic_bool is_started;
    int start_rc; /* once is_started */
    struct einet_error start_error;
    int64_t old_stop_at_ns; /* when the old one has drained for too long */
};

/* ---- starting ---- */

static int look_at_file(const struct serve *serve, struct einet_error *err)
{
    return serve->hooks->look != NULL ? serve->hooks->look(serve->hooks->owner, serve->file, err) : 0;
}

static int prepare(const struct serve *serve, struct einet_workload *workload, struct einet_run_options *options,
                   struct einet_error *err)
{
    const struct einet_service_hooks *hooks = serve->hooks;
    return hooks->prepare != NULL ? hooks->prepare(hooks->owner, workload, options, err) : 0;
}

static int start_run(struct serve *serve, struct einet_error *err)
{
    struct einet_service *service = &serve->service;
    struct einet_run_options options = serve->options;
    int rc = look_at_file(serve, err);
    rc = rc == 0 ? einet_workload_load(serve->file, &service->workload, err) : rc;
    if (rc == 0 && serve->socket.path != NULL) {
        rc = einet_control_open(&serve->socket, &service->control, err);
    }
    rc = rc == 0 ? prepare(serve, service->workload, &options, err) : rc;
    rc = rc == 0 ? einet_run_create(service->workload, &options, &service->run, err) : rc;
    if (rc < 0) {
        return rc;
    }
    einet_manager_tell(&serve->manager, "STATUS=starting %s\n", einet_workload_name(service->workload));
    einet_service_log(EINET_LOG_INFO, "starting %s with %d tasks of %s", einet_workload_name(service->workload),
                      einet_workload_task_count(service->workload), serve->file);
    rc = einet_run_start(service->run, err);
    service->started_ns = ei_mono_now().ns;
    if (rc == 0) {
        einet_service_warn(err, NULL);
    }
    return rc == 0 && serve->hooks->started != NULL ? serve->hooks->started(serve->hooks->owner, service->run, err)
                                                    : rc;
}

/* ---- reloading ---- */

static void tell_reloaded(struct serve *serve)
{
    if (serve->stop_at_ns != INT64_MAX) {
        return; /* STOPPING=1 holds, whatever comes of the reload */
    }
    einet_manager_tell(&serve->manager, "READY=1\nSTATUS=running\n");
    serve->next_status_ns = 0;
}

static int refuse_reload(struct serve *serve, int rc, const struct einet_error *err)
{
    einet_service_log(EINET_LOG_ERROR, "reload refused, all goes on as before");
    (void)einet_service_log_error(err);
    tell_reloaded(serve);
    return rc;
}

static void expect(const struct serve *serve, struct einet_run *run)
{
    if (serve->hooks->expect != NULL) {
        serve->hooks->expect(serve->hooks->owner, run);
    }
}

static void *start_next(void *arg)
{
    struct serve *serve = arg;
    serve->start_rc = einet_run_start(serve->next, &serve->start_error);
    atomic_store(&serve->is_started, true);
    return NULL;
}

/* Prepare a run with the new file beside the one that goes on. The workload is the service's from now on. */
static int prepare_next(struct serve *serve, struct einet_workload *workload, struct einet_error *err)
{
    struct einet_run_options options = serve->options;
    int rc = 0;
    options.takes_over = serve->service.run;
    serve->next_workload = workload;
    if (serve->options.out_dir != NULL) {
        rc = einet_error_set(
            err, EINET_E_USAGE,
            "priorities, deadlines and searches change beside --out, but a new run would write into the "
            "same folder: restart the service for this file");
    }
    rc = rc == 0 ? look_at_file(serve, err) : rc;
    rc = rc == 0 ? prepare(serve, workload, &options, err) : rc;
    rc = rc == 0 ? einet_run_create(workload, &options, &serve->next, err) : rc;
    if (rc == 0) {
        expect(serve, serve->next);
        atomic_store(&serve->is_started, false);
        serve->start_error = (struct einet_error){0};
        if (pthread_create(&serve->starter, NULL, start_next, serve) != 0) {
            expect(serve, NULL);
            rc = einet_error_set(err, -ENOMEM, "no thread to prepare a run with the new file");
        }
    }
    if (rc < 0) {
        einet_run_destroy(serve->next);
        einet_workload_destroy(serve->next_workload);
        serve->next = NULL;
        serve->next_workload = NULL;
        return rc;
    }
    serve->service.is_taking_over = true;
    einet_service_log(EINET_LOG_NOTICE, "%s differs in more than what can change: preparing a run that takes over",
                      serve->file);
    return 0;
}

/* Read the file again, for SIGHUP and einet ctl: change what can be changed in the run that goes on, or prepare another
 * one that takes over. A file with faults leaves everything as it is. */
static int reload(void *owner, struct einet_error *err)
{
    struct serve *serve = owner;
    struct einet_workload *workload = NULL;
    int32_t changed = 0;
    if (serve->stop_at_ns != INT64_MAX) {
        return einet_error_set(err, -ESHUTDOWN, "the service ends: nothing of it can change any more");
    }
    if (serve->next != NULL || serve->old != NULL) {
        return einet_error_set(err, -EBUSY,
                               "a run takes over already: reload again when the log says that it has, and "
                               "that the old one has ended");
    }
    einet_manager_tell(&serve->manager, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reading %s again\n",
                       (long long)(ei_mono_now().ns / EI_NS_PER_US), serve->file);
    int rc = einet_workload_load(serve->file, &workload, err);
    rc = rc == 0 ? einet_run_reload(serve->service.run, workload, &changed, err) : rc;
    if (rc == EINET_E_MISMATCH && workload != NULL) {
        *err = (struct einet_error){0}; /* it said what differs */
        rc = prepare_next(serve, workload, err);
        return rc < 0 ? refuse_reload(serve, rc, err) : 0;
    }
    einet_workload_destroy(workload);
    if (rc < 0) {
        return refuse_reload(serve, rc, err);
    }
    einet_service_log(EINET_LOG_NOTICE, "reloaded %s: %d tasks changed", serve->file, changed);
    tell_reloaded(serve);
    return changed;
}

/* The start of the next run is over: it has taken over, or it failed and nothing has changed. */
static void take_over(struct serve *serve)
{
    (void)pthread_join(serve->starter, NULL);
    serve->service.is_taking_over = false;
    if (serve->start_rc < 0) {
        (void)refuse_reload(serve, serve->start_rc, &serve->start_error);
        expect(serve, NULL);
        einet_run_destroy(serve->next);
        einet_workload_destroy(serve->next_workload);
    } else {
        if (serve->hooks->taken_over != NULL) {
            serve->hooks->taken_over(serve->hooks->owner);
        }
        serve->old = serve->service.run;
        serve->old_workload = serve->service.workload;
        serve->old_stop_at_ns = ei_mono_add(ei_mono_now(), serve->drain_limit_ns).ns;
        serve->service.run = serve->next;
        serve->service.workload = serve->next_workload;
        serve->told = (struct einet_figures){.size_bytes = sizeof serve->told};
        einet_service_warn(&serve->start_error, NULL);
        einet_service_log(EINET_LOG_NOTICE, "reloaded %s: another run has taken over, the old one drains", serve->file);
        tell_reloaded(serve);
    }
    serve->next = NULL;
    serve->next_workload = NULL;
    /* The service was told to end meanwhile. */
    if (serve->stop_at_ns == STOPPED) {
        (void)einet_run_stop(serve->service.run);
    } else if (serve->stop_at_ns != INT64_MAX) {
        (void)einet_run_drain(serve->service.run);
    }
}

static void end_old(struct serve *serve)
{
    const int phase = einet_run_phase(serve->old);
    if (phase == EINET_RUN_ENDED || phase == EINET_RUN_FAILED) {
        const struct einet_service old = {.workload = serve->old_workload, .run = serve->old};
        const struct einet_figures total = einet_service_total(&old);
        einet_service_log(
            EINET_LOG_INFO, "the old run ended: %lld jobs completed, %lld late, %lld skipped, %lld dropped",
            (long long)total.completed, (long long)total.misses, (long long)total.skipped, (long long)total.dropped);
        einet_run_destroy(serve->old);
        einet_workload_destroy(serve->old_workload);
        serve->old = NULL;
        serve->old_workload = NULL;
    } else if (ei_mono_now().ns >= serve->old_stop_at_ns) {
        (void)einet_run_stop(serve->old);
    }
}

/* ---- serving ---- */

static void tell_status(struct serve *serve, int64_t now_ns)
{
    if (now_ns < serve->next_status_ns) {
        return;
    }
    const struct einet_figures total = einet_service_total(&serve->service);
    serve->next_status_ns = now_ns + STATUS_NS;
    einet_manager_tell(&serve->manager, "STATUS=%d tasks, %lld jobs, %lld late, %lld skipped or dropped\n",
                       einet_workload_task_count(serve->service.workload), (long long)(total.completed + total.aborted),
                       (long long)total.misses, (long long)(total.skipped + total.dropped));
}

/* At most a line per task each while, and none when all went well. */
static void tell_losses(struct serve *serve, int64_t now_ns)
{
    const struct einet_figures total = einet_service_total(&serve->service);
    const int64_t misses = total.misses - serve->told.misses, aborted = total.aborted - serve->told.aborted;
    const int64_t lost = total.skipped + total.dropped - serve->told.skipped - serve->told.dropped;
    if (now_ns < serve->next_losses_ns || misses + aborted + lost == 0) {
        return;
    }
    serve->told = total;
    serve->next_losses_ns = now_ns + LOSSES_NS;
    einet_service_log(EINET_LOG_WARNING,
                      "since the last such line: %lld jobs late, %lld aborted, %lld skipped or dropped",
                      (long long)misses, (long long)aborted, (long long)lost);
}

/* The manager hears of us whenever the run has gone round, and never else. */
static void pass_beat_on(struct serve *serve)
{
    const bool is_over = einet_run_phase(serve->service.run) >= EINET_RUN_ENDED && serve->old != NULL;
    const int64_t beat_ns = einet_run_beat(is_over ? serve->old : serve->service.run);
    if (beat_ns != serve->beat_ns && serve->manager.watchdog_ns > 0) {
        einet_manager_tell(&serve->manager, "WATCHDOG=1\n");
    }
    serve->beat_ns = beat_ns;
}

static void take_nothing_more(const struct serve *serve)
{
    if (serve->hooks->ending != NULL) {
        serve->hooks->ending(serve->hooks->owner);
    }
}

/* Whether the service ends now that its run was told to. That may be over already while the one that has taken over
 * from it is not the service's yet: take_over passes it on. */
static bool is_end_begun(const struct serve *serve, int rc)
{
    return rc == 0 || serve->next != NULL;
}

static void begin_drain(struct serve *serve, const char *why)
{
    take_nothing_more(serve);
    serve->ended_by = serve->ended_by != NULL ? serve->ended_by : why;
    if (is_end_begun(serve, einet_run_drain(serve->service.run)) && serve->stop_at_ns == INT64_MAX) {
        einet_manager_tell(&serve->manager, "STOPPING=1\nSTATUS=draining\n");
        einet_service_log(EINET_LOG_NOTICE, "%s: draining, for %.3g s at most", why,
                          (double)serve->drain_limit_ns / 1e9);
        serve->stop_at_ns = ei_mono_add(ei_mono_now(), serve->drain_limit_ns).ns;
    }
}

static void begin_stop(struct serve *serve, const char *why)
{
    take_nothing_more(serve);
    serve->ended_by = serve->ended_by != NULL ? serve->ended_by : why;
    const bool is_old_told = serve->old != NULL && einet_run_stop(serve->old) == 0;
    if (is_end_begun(serve, einet_run_stop(serve->service.run)) || is_old_told) {
        einet_manager_tell(&serve->manager, "STOPPING=1\nSTATUS=stopping\n");
        einet_service_log(EINET_LOG_NOTICE, "%s: stopping, jobs end at their next boundary", why);
        serve->stop_at_ns = STOPPED;
    }
}

static void take_signals(struct serve *serve)
{
    struct signalfd_siginfo info;
    while (read(serve->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            struct einet_error err = {0};
            if (reload(serve, &err) >= 0) {
                einet_service_warn(&err, NULL);
            }
        } else if (serve->stop_at_ns == INT64_MAX) {
            begin_drain(serve, strsignal((int)info.ssi_signo));
        } else {
            begin_stop(serve, "a second signal");
        }
    }
}

static void take_wishes(struct serve *serve)
{
    struct einet_service *service = &serve->service;
    if (service->is_drain_asked) {
        service->is_drain_asked = false;
        begin_drain(serve, "asked by einet ctl");
    }
    if (service->is_stop_asked) {
        service->is_stop_asked = false;
        begin_stop(serve, "asked by einet ctl");
    }
}

static int turn_ms(const struct serve *serve)
{
    const int64_t quarter_ms = serve->manager.watchdog_ns / 4 / EI_NS_PER_MS;
    const bool is_soon = einet_run_phase(serve->service.run) >= EINET_RUN_ENDING || serve->next != NULL;
    const int ms = is_soon ? ENDING_TURN_MS : TURN_MS;
    return serve->manager.watchdog_ns > 0 && quarter_ms < ms ? (int)quarter_ms + 1 : ms;
}

static void serve_until_ended(struct serve *serve)
{
    for (;;) {
        if (serve->next != NULL && atomic_load(&serve->is_started)) {
            take_over(serve);
        }
        if (serve->old != NULL) {
            end_old(serve);
        }
        const int phase = einet_run_phase(serve->service.run);
        if (phase >= EINET_RUN_ENDED && serve->next == NULL &&
            serve->old == NULL) { /* an old one drains within its limit */
            return;
        }
        const int64_t now_ns = ei_mono_now().ns;
        pass_beat_on(serve);
        if (phase == EINET_RUN_RUNNING) {
            tell_status(serve, now_ns);
        }
        tell_losses(serve, now_ns);
        if (now_ns >= serve->stop_at_ns) {
            begin_stop(serve, "the drain limit has passed");
        }
        einet_control_serve(serve->service.control, serve->signal_fd, turn_ms(serve));
        take_signals(serve);
        take_wishes(serve);
    }
}

/* ---- ending ---- */

static int finish(struct serve *serve, struct einet_error *err)
{
    struct einet_end end = {.size_bytes = sizeof end};
    const bool was_asked = serve->stop_at_ns != INT64_MAX;
    const int rc = einet_run_wait(serve->service.run, -1, err);
    if (rc < 0 || einet_run_end(serve->service.run, &end) < 0) {
        return einet_service_log_error(err);
    }
    int status = end.slo_failures > 0 ? EINET_EXIT_SLO : EINET_EXIT_OK;
    const struct einet_figures total = einet_service_total(&serve->service);
    if (end.slo_failures > 0) {
        einet_service_log(EINET_LOG_WARNING, "%d objectives (slo) were not met", end.slo_failures);
    }
    if (end.demoted_tasks > 0) {
        einet_service_log(EINET_LOG_WARNING, "the watchdog took %d tasks out of real time", end.demoted_tasks);
    }
    if (end.moved_tasks > 0) {
        einet_service_log(EINET_LOG_WARNING, "%d tasks left a lost device", end.moved_tasks);
    }
    if (end.faulty_jobs > 0) {
        einet_service_log(EINET_LOG_ERROR, "%d faulty jobs; the first: %s", end.faulty_jobs, end.fault_text);
        status = EINET_EXIT_FAULT;
    }
    if (!end.is_accounted || !was_asked) {
        einet_service_log(EINET_LOG_ERROR, "%s",
                          !was_asked ? "the run ended though nobody asked for it"
                                     : "released + skipped + dropped is not the expected number of "
                                       "releases: the engine is at fault");
        status = EINET_EXIT_FAULT;
    }
    einet_service_log(
        EINET_LOG_INFO, "ended: %lld jobs completed, %lld late, %lld aborted, %lld skipped, %lld dropped%s%s",
        (long long)total.completed, (long long)total.misses, (long long)total.aborted, (long long)total.skipped,
        (long long)total.dropped, end.out_dir[0] != '\0' ? "; files in " : "", end.out_dir);
    return serve->hooks->report != NULL
               ? serve->hooks->report(serve->hooks->owner, serve->service.workload, &end, serve->ended_by, status)
               : status;
}

/* Signals wait from here on until they are read, also in threads that are made later. */
static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

int einet_service_run(const struct einet_service_wishes *wishes, const struct einet_service_hooks *hooks)
{
    struct serve serve = {
        .hooks = hooks,
        .file = wishes->file,
        .options = wishes->options,
        .socket = wishes->socket,
        .drain_limit_ns = wishes->drain_limit_ns,
        .stop_at_ns = INT64_MAX,
    };
    struct einet_error err = {0};
    int status;
    serve.socket.mode = serve.socket.mode != 0 ? serve.socket.mode : serve.socket.has_group ? 0660 : 0600;
    serve.socket.reply = einet_service_reply;
    serve.socket.context = &serve.service;
    serve.service.reload = reload;
    serve.service.owner = &serve;
    einet_service_log_init(hooks->name, hooks->has_levels);
    serve.signal_fd = open_signals();
    (void)ei_memory_tune_malloc();
    einet_manager_open(&serve.manager);
    if (start_run(&serve, &err) < 0) {
        status = einet_service_log_error(&err);
        einet_manager_tell(&serve.manager, "STATUS=%s\n", err.text);
    } else {
        einet_manager_tell(&serve.manager, "READY=1\nSTATUS=running\n");
        einet_service_log(EINET_LOG_INFO, "running%s%s", serve.socket.path != NULL ? "; control socket " : "",
                          serve.socket.path != NULL ? serve.socket.path : "");
        serve_until_ended(&serve);
        take_nothing_more(&serve); /* also of a run that ended unasked, which goes before the hooks close */
        status = finish(&serve, &err);
    }
    einet_control_close(serve.service.control);
    einet_run_destroy(serve.old);
    einet_workload_destroy(serve.old_workload);
    einet_run_destroy(serve.service.run);
    if (hooks->close != NULL) {
        hooks->close(hooks->owner);
    }
    einet_workload_destroy(serve.service.workload);
    einet_manager_close(&serve.manager);
    close(serve.signal_fd);
    return status;
}
