/* einet serve: a workload as a service. The main thread starts a run of the library and from then on only looks: at
 * signals, at the control socket, at what the run shows of itself. It is SCHED_OTHER, and no job waits for it.
 *
 *   start -> READY=1 -> serve: WATCHDOG=1 whenever the run has gone round its housekeeping -> ends by itself: fault
 *                         | SIGHUP, `reload`: RELOADING=1, the file is read again, READY=1 -> serve
 *                         | SIGTERM, SIGINT, `drain`: STOPPING=1, drain   -> ended
 *                         | the drain limit, a second signal, `stop`: stop -> ended
 */
#include "app/commands.h"
#include "app/control_socket.h"
#include "app/doctor_command.h"
#include "app/json_output.h"
#include "app/options.h"
#include "app/outcome.h"
#include "app/pool_command.h"
#include "app/serve_log.h"
#include "app/serve_requests.h"
#include "app/service_manager.h"
#include "metrics/run_json.h"
#include "rt/clock.h"
#include "rt/loopback.h"
#include "rt/memory.h"

#include <errno.h>
#include <grp.h>
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
#define DRAIN_LIMIT_NS (10 * EI_NS_PER_S)
#define STOPPED (INT64_MAX - 1) /* for stop_at_ns: it was, which is said once */

struct serve {
    const char *file;
    struct einet_run_options options;
    struct einet_control_options socket; /* path NULL = none */
    char default_path[256];
    int64_t drain_limit_ns;
    struct einet_manager manager;
    struct einet_service service;
    int signal_fd;
    int64_t beat_ns, stop_at_ns; /* the last one that was passed on; INT64_MAX = no limit runs */
    int64_t next_status_ns, next_losses_ns;
    struct einet_figures told; /* of the last line about lost jobs */
    const char *ended_by;      /* what made it drain or stop first; NULL = nothing yet */
    bool is_json;
    /* The run that is prepared to take over, by a thread of its own; and the one from which one has taken over. */
    struct einet_workload *next_workload, *old_workload;
    struct einet_run *next, *old;
    pthread_t starter;
    atomic_bool is_started;
    int start_rc; /* once is_started */
    struct einet_error start_error;
    int64_t old_stop_at_ns; /* when the old one has drained for too long */
};

/* ---- options ---- */

static int take_socket(void *request, const char *value, struct einet_error *err)
{
    (void)err;
    ((struct serve *)request)->socket.path = strcmp(value, "none") == 0 ? NULL : value;
    return 0;
}

static int take_socket_mode(void *request, const char *value, struct einet_error *err)
{
    char *end = NULL;
    (void)err;
    const unsigned long mode = strtoul(value, &end, 8);
    if (value[0] < '0' || value[0] > '7' || *end != '\0' || mode > 0777) {
        return -EINVAL;
    }
    ((struct serve *)request)->socket.mode = (mode_t)mode;
    return 0;
}

static int take_socket_group(void *request, const char *value, struct einet_error *err)
{
    struct serve *serve = request;
    const struct group *group = getgrnam(value);
    if (group == NULL) {
        return einet_error_set(err, EINET_E_USAGE, "there is no group %s", value);
    }
    serve->socket.has_group = true;
    serve->socket.group = group->gr_gid;
    return 0;
}

static int take_metrics(void *request, const char *value, struct einet_error *err)
{
    struct serve *serve = request;
    serve->options.metrics = strcmp(value, "none") == 0 ? NULL : value;
    return serve->options.metrics != NULL ? ei_loopback_check(value, err) : 0;
}

#define FIELD(field) EINET_FIELD(struct serve, field)

static const struct einet_option rows[] = {
    {.name = "config", .argument = "FILE", FIELD(file), .help = "the workload file"},
    {.name = "socket",
     .argument = "PATH",
     .take = take_socket,
     .help = "where einet ctl reaches it (default: control in $RUNTIME_DIRECTORY, which systemd sets; without that "
             "none); none = no socket"},
    {.name = "socket-mode",
     .argument = "MODE",
     .take = take_socket_mode,
     .expected = "octal permissions, such as 660",
     .help = "permissions of the socket, octal (default: 600, with --socket-group 660)"},
    {.name = "socket-group",
     .argument = "GROUP",
     .take = take_socket_group,
     .help = "group of the socket, whose members may use it besides root and the user of the service"},
    {.name = "drain-limit",
     .argument = "D",
     FIELD(drain_limit_ns),
     .help = "how long draining may take before the rest is stopped, with a unit (default: 10s)"},
    {.name = "out",
     .argument = "DIR",
     FIELD(options.out_dir),
     .help = "write the files of einet run into this folder; they grow as long as the service runs"},
    {.name = "metrics",
     .argument = "ADDR",
     .take = take_metrics,
     .help = "serve live figures at this address and port of this machine (default: outputs.metrics of the file); "
             "none = not"},
    {.name = "json",
     FIELD(is_json),
     .help = "print how it ended, with summary.json, as one JSON object when it has ended (docs/command-json.md)"},
    {.name = "pool",
     .argument = "NAME",
     .take = einet_take_pool,
     .help = "be a node of this pool of machines: einet-dds does it, whose options these are then (einet-dds --help)"},
};

static const struct einet_usage usage = {
    .command = "serve",
    .head =
        "usage: einet serve --config FILE [--socket PATH] [--socket-mode MODE] [--socket-group GROUP]\n"
        "                   [--drain-limit D] [--out DIR] [--metrics ADDR] [--json]\n"
        "       einet serve --config FILE --pool NAME [OPTIONS of einet-dds]\n\n"
        "Run the tasks of a workload file (einet-workload(5)) as a service: without an end, until SIGTERM, SIGINT or "
        "einet\n"
        "ctl ends it. It drains then: what was released runs to its end, until the drain limit; a second signal ends "
        "jobs at\n"
        "their next block boundary. SIGHUP reads the file again: priorities, deadlines and planner.search of tasks "
        "change\n"
        "while the tasks go on; for other changes a new run is prepared, which takes over without losing a release of\n"
        "tasks by the clock; a file with faults is refused, and nothing changes. Under systemd it says when it is ready "
        "and\n"
        "what it does, and feeds the watchdog only while the scheduler goes its rounds; lines for the journal bear "
        "their\n"
        "level. No files are written but with --out.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, 2 bad file, 3 privileges, 4 an SLO failed, 5 runtime fault\n\n"
            "example: einet serve --config configs/edge-server.yaml --socket /run/einet/control\n",
    .too_many = "an argument too many: ",
};

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, struct serve *serve)
{
    struct einet_arguments given;
    const char *folder = getenv("RUNTIME_DIRECTORY");
    if (folder != NULL && folder[0] == '/' && strchr(folder, ':') == NULL && strlen(folder) < 200) {
        snprintf(serve->default_path, sizeof serve->default_path, "%s/control", folder);
        serve->socket.path = serve->default_path;
    }
    const int status = einet_options_read(&usage, argc, argv, serve, &given);
    if (status >= 0) {
        return status;
    }
    if (serve->file == NULL) {
        return einet_options_refuse(&usage, "which workload file? Give --config FILE");
    }
    if (serve->socket.mode == 0) {
        serve->socket.mode = serve->socket.has_group ? 0660 : 0600;
    }
    return -1;
}

/* ---- starting ---- */

/* The remarks of the loader and of the doctor, as lines of the log. */
static int look_at_file(const char *path, struct einet_error *err)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    char *text = NULL;
    size_t bytes = 0;
    int rc = ei_workload_load(path, &wl, &diag);
    if (rc == -ENOMEM) {
        return einet_error_set(err, rc, "no memory to read %s", path);
    }
    FILE *stream = open_memstream(&text, &bytes);
    if (stream != NULL) {
        ei_diagnostics_print(&diag, stream);
        if (rc == 0) {
            einet_doctor_glance(wl, stream);
        }
        fclose(stream);
        einet_serve_log_text(rc < 0 ? EINET_LOG_ERROR : EINET_LOG_WARNING, text);
        free(text);
    }
    ei_diagnostics_fini(&diag);
    if (rc < 0) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                  "the workload file has faults: mend it and start again");
    }
    for (int32_t i = 0; rc == 0 && i < wl->task_count; i++) {
        if (wl->tasks[i].input.kind == EI_SPEC_INPUT_CALLER) {
            rc = einet_error_set(err, EINET_E_USAGE,
                                 "task '%s' gets its pictures from a program (input: caller), which a service has not: "
                                 "embed the library, or give the task another input",
                                 wl->tasks[i].name);
        }
    }
    ei_workload_destroy(wl);
    return rc;
}

static int start_run(struct serve *serve, struct einet_error *err)
{
    struct einet_service *service = &serve->service;
    int rc = look_at_file(serve->file, err);
    rc = rc == 0 ? einet_workload_load(serve->file, &service->workload, err) : rc;
    if (rc == 0 && serve->socket.path != NULL) {
        rc = einet_control_open(&serve->socket, &service->control, err);
    }
    rc = rc == 0 ? einet_run_create(service->workload, &serve->options, &service->run, err) : rc;
    if (rc < 0) {
        return rc;
    }
    einet_manager_tell(&serve->manager, "STATUS=starting %s\n", einet_workload_name(service->workload));
    einet_serve_log(EINET_LOG_INFO, "starting %s with %d tasks of %s", einet_workload_name(service->workload),
                    einet_workload_task_count(service->workload), serve->file);
    rc = einet_run_start(service->run, err);
    service->started_ns = ei_mono_now().ns;
    return rc;
}

/* ---- reloading ---- */

static void tell_reloaded(struct serve *serve)
{
    einet_manager_tell(&serve->manager, "READY=1\nSTATUS=running\n");
    serve->next_status_ns = 0;
}

static int refuse_reload(struct serve *serve, int rc, const struct einet_error *err)
{
    einet_serve_log(EINET_LOG_ERROR, "reload refused, all goes on as before");
    (void)einet_serve_log_error(err);
    tell_reloaded(serve);
    return rc;
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
    rc = rc == 0 ? look_at_file(serve->file, err) : rc;
    rc = rc == 0 ? einet_run_create(workload, &options, &serve->next, err) : rc;
    if (rc == 0) {
        atomic_store(&serve->is_started, false);
        serve->start_error = (struct einet_error){0};
        if (pthread_create(&serve->starter, NULL, start_next, serve) != 0) {
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
    einet_serve_log(EINET_LOG_NOTICE, "%s differs in more than what can change: preparing a run that takes over",
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
        rc = prepare_next(serve, workload, err);
        return rc < 0 ? refuse_reload(serve, rc, err) : 0;
    }
    einet_workload_destroy(workload);
    if (rc < 0) {
        return refuse_reload(serve, rc, err);
    }
    einet_serve_log(EINET_LOG_NOTICE, "reloaded %s: %d tasks changed", serve->file, changed);
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
        einet_run_destroy(serve->next);
        einet_workload_destroy(serve->next_workload);
    } else {
        serve->old = serve->service.run;
        serve->old_workload = serve->service.workload;
        serve->old_stop_at_ns = ei_mono_add(ei_mono_now(), serve->drain_limit_ns).ns;
        serve->service.run = serve->next;
        serve->service.workload = serve->next_workload;
        serve->told = (struct einet_figures){.size_bytes = sizeof serve->told};
        einet_serve_log(EINET_LOG_NOTICE, "reloaded %s: another run has taken over, the old one drains", serve->file);
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
        einet_serve_log(EINET_LOG_INFO, "the old run ended: %lld jobs completed, %lld late, %lld skipped, %lld dropped",
                        (long long)total.completed, (long long)total.misses, (long long)total.skipped,
                        (long long)total.dropped);
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
    einet_serve_log(EINET_LOG_WARNING,
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

static void begin_drain(struct serve *serve, const char *why)
{
    serve->ended_by = serve->ended_by != NULL ? serve->ended_by : why;
    if (einet_run_drain(serve->service.run) == 0 && serve->stop_at_ns == INT64_MAX) {
        einet_manager_tell(&serve->manager, "STOPPING=1\nSTATUS=draining\n");
        einet_serve_log(EINET_LOG_NOTICE, "%s: draining, for %.3g s at most", why, (double)serve->drain_limit_ns / 1e9);
        serve->stop_at_ns = ei_mono_add(ei_mono_now(), serve->drain_limit_ns).ns;
    }
}

static void begin_stop(struct serve *serve, const char *why)
{
    serve->ended_by = serve->ended_by != NULL ? serve->ended_by : why;
    const bool is_old_told = serve->old != NULL && einet_run_stop(serve->old) == 0;
    if (einet_run_stop(serve->service.run) == 0 || is_old_told) {
        einet_manager_tell(&serve->manager, "STOPPING=1\nSTATUS=stopping\n");
        einet_serve_log(EINET_LOG_NOTICE, "%s: stopping, jobs end at their next boundary", why);
        serve->stop_at_ns = STOPPED;
    }
}

static void take_signals(struct serve *serve)
{
    struct signalfd_siginfo info;
    while (read(serve->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            struct einet_error err = {0};
            (void)reload(serve, &err);
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
        if (phase >= EINET_RUN_ENDED && serve->next == NULL && serve->old == NULL) { /* an old one drains within its limit */
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

static int print_json(const struct serve *serve, const struct einet_end *end, int status)
{
    json_t *answer = einet_json_begin("serve");
    json_t *summary = end->summary != NULL ? json_loads(end->summary, 0, NULL) : NULL;
    einet_json_set(&answer, "name", ei_json_text(einet_workload_name(serve->service.workload)));
    einet_json_set(&answer, "ended_by", ei_json_text(serve->ended_by));
    einet_json_set(&answer, "demoted_tasks", json_integer(end->demoted_tasks));
    einet_json_set(&answer, "moved_tasks", json_integer(end->moved_tasks));
    einet_json_set(&answer, "faulty_jobs", json_integer(end->faulty_jobs));
    einet_json_set(&answer, "fault", end->faulty_jobs > 0 ? ei_json_text(end->fault_text) : json_null());
    einet_json_set(&answer, "out", end->out_dir[0] != '\0' ? ei_json_text(end->out_dir) : json_null());
    einet_json_set(&answer, "summary", summary != NULL ? summary : json_null());
    return einet_json_print("serve", answer, status);
}

static int finish(struct serve *serve, struct einet_error *err)
{
    struct einet_end end = {.size_bytes = sizeof end};
    const bool was_asked = serve->stop_at_ns != INT64_MAX;
    const int rc = einet_run_wait(serve->service.run, -1, err);
    if (rc < 0 || einet_run_end(serve->service.run, &end) < 0) {
        return einet_serve_log_error(err);
    }
    int status = end.slo_failures > 0 ? EINET_EXIT_SLO : EINET_EXIT_OK;
    const struct einet_figures total = einet_service_total(&serve->service);
    if (end.slo_failures > 0) {
        einet_serve_log(EINET_LOG_WARNING, "%d objectives (slo) were not met", end.slo_failures);
    }
    if (end.demoted_tasks > 0) {
        einet_serve_log(EINET_LOG_WARNING, "the watchdog took %d tasks out of real time", end.demoted_tasks);
    }
    if (end.moved_tasks > 0) {
        einet_serve_log(EINET_LOG_WARNING, "%d tasks left a lost device", end.moved_tasks);
    }
    if (end.faulty_jobs > 0) {
        einet_serve_log(EINET_LOG_ERROR, "%d faulty jobs; the first: %s", end.faulty_jobs, end.fault_text);
        status = EINET_EXIT_FAULT;
    }
    if (!end.is_accounted || !was_asked) {
        einet_serve_log(EINET_LOG_ERROR, "%s",
                        !was_asked ? "the run ended though nobody asked for it"
                                   : "released + skipped + dropped is not the expected number of "
                                     "releases: the engine is at fault");
        status = EINET_EXIT_FAULT;
    }
    einet_serve_log(
        EINET_LOG_INFO, "ended: %lld jobs completed, %lld late, %lld aborted, %lld skipped, %lld dropped%s%s",
        (long long)total.completed, (long long)total.misses, (long long)total.aborted, (long long)total.skipped,
        (long long)total.dropped, end.out_dir[0] != '\0' ? "; files in " : "", end.out_dir);
    return serve->is_json ? print_json(serve, &end, status) : status;
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

int einet_serve_command(int argc, char **argv)
{
    struct serve serve = {
        .options = {.size_bytes = sizeof serve.options, .duration_ns = EINET_UNTIL_STOPPED, .metrics = ""},
        .socket = {.reply = einet_service_reply, .context = &serve.service},
        .drain_limit_ns = DRAIN_LIMIT_NS,
        .stop_at_ns = INT64_MAX,
    };
    if (einet_is_of_pool(argc, argv)) {
        return einet_become_dds(argc, argv, NULL);
    }
    int status = parse_arguments(argc, argv, &serve);
    if (status >= 0) {
        return status;
    }
    serve.service.reload = reload;
    serve.service.owner = &serve;
    einet_serve_log_init();
    serve.signal_fd = open_signals();
    (void)ei_memory_tune_malloc();
    einet_manager_open(&serve.manager);
    struct einet_error err = {0};
    if (start_run(&serve, &err) < 0) {
        status = einet_serve_log_error(&err);
        einet_manager_tell(&serve.manager, "STATUS=%s\n", err.text);
    } else {
        einet_manager_tell(&serve.manager, "READY=1\nSTATUS=running\n");
        einet_serve_log(EINET_LOG_INFO, "running%s%s", serve.socket.path != NULL ? "; control socket " : "",
                        serve.socket.path != NULL ? serve.socket.path : "");
        serve_until_ended(&serve);
        status = finish(&serve, &err);
    }
    einet_control_close(serve.service.control);
    einet_run_destroy(serve.old);
    einet_workload_destroy(serve.old_workload);
    einet_run_destroy(serve.service.run);
    einet_workload_destroy(serve.service.workload);
    einet_manager_close(&serve.manager);
    close(serve.signal_fd);
    return status;
}
