/* A service inside this process: its hooks hold the main thread at the instants that count. */
#include "command/exit_status.h"
#include "command/service.h"
#include "tests/harness/harness.h"
#include "tests/integration/serve_play.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 30000
#define DURATION_NS INT64_C(100000000)

static const char text[] = "version: 1\nname: held\nrun: { start_delay: 0s }\nplatform: { watchdog: 0 }\ntasks:\n"
                           "  - { name: eye, arrival: { model: external, min_interarrival: 1ms }, class: other,\n"
                           "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n";
static const char other_text[] = "version: 1\nname: held\nrun: { start_delay: 0s }\nplatform: { watchdog: 0 }\ntasks:\n"
                                 "  - { name: eye, arrival: { model: external, min_interarrival: 2ms }, class: other,\n"
                                 "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n";

/* What the hooks were told, all by the main thread but the flag. */
static struct {
    struct service service; /* of this process: its files, and this case as its manager */
    struct einet_run *first;
    int request_fd; /* of a client; -1 = signals */
    int takeovers, endings, endings_at_report;
    char ended_by[64];
    pthread_t guard;
    atomic_bool has_returned;
} held;

/* A service that does not end fails the case. Signals are blocked here, as the thread is made
 * by that of the service. */
static void *guard_case(void *arg)
{
    (void)arg;
    for (int waited = 0; waited < PATIENCE_MS && !atomic_load(&held.has_returned); waited++) {
        sleep_ms(1);
    }
    while (!atomic_load(&held.has_returned)) {
        EI_TRUEF(false, "the service goes on");
        (void)kill(getpid(), SIGTERM);
        sleep_ms(1000);
    }
    return NULL;
}

static int note_start(void *owner, struct einet_run *run, struct einet_error *err)
{
    (void)owner;
    (void)err;
    held.first = run;
    EI_EQ(pthread_create(&held.guard, NULL, guard_case, NULL), 0);
    return 0;
}

static int start_and_reload(void *owner, struct einet_run *run, struct einet_error *err)
{
    static const char requests[] = "{\"command\":\"reload\"}\n{\"command\":\"stop\"}\n"; /* taken in one turn */
    (void)write_file("service.yaml", other_text);
    if (held.service.socket[0] == '\0') {
        EI_EQ(kill(getpid(), SIGHUP), 0);
    } else {
        held.request_fd = service_connect(&held.service);
        EI_TRUE(service_send(held.request_fd, requests, strlen(requests)));
    }
    return note_start(owner, run, err);
}

/* Before the next run starts: the main thread reads the signal in the same turn. */
static void signal_end(void *owner, struct einet_run *next)
{
    (void)owner;
    if (next != NULL && held.service.socket[0] == '\0') {
        EI_EQ(kill(getpid(), SIGTERM), 0);
    }
}

/* It is heeded only when the first run is over: the next one has taken over, and nobody has seen it. */
static void await_first(void *owner)
{
    (void)owner;
    if (held.endings++ == 0) {
        for (int waited = 0; waited < PATIENCE_MS && einet_run_phase(held.first) < EINET_RUN_ENDED; waited++) {
            sleep_ms(1);
        }
        EI_EQ(einet_run_phase(held.first), EINET_RUN_ENDED);
        EI_EQ(held.takeovers, 0);
        EI_EQ(service_told(&held.service, "READY=1"), 1);
    }
}

static void note_takeover(void *owner)
{
    (void)owner;
    held.takeovers++;
}

static int note_report(void *owner, struct einet_workload *workload, const struct einet_end *end, const char *ended_by,
                       int status)
{
    (void)owner;
    (void)workload;
    (void)end;
    held.endings_at_report = held.endings;
    snprintf(held.ended_by, sizeof held.ended_by, "%s", ended_by != NULL ? ended_by : "nobody");
    return status;
}

/* Its exit status. */
static int serve(const struct einet_service_hooks *hooks, int64_t duration_ns, bool has_socket)
{
    struct einet_service_wishes wishes;
    memset(&held, 0, sizeof held);
    EI_TRUE(service_listen(&held.service));
    snprintf(held.service.file, sizeof held.service.file, "%s", write_file("service.yaml", text));
    einet_service_wish(&wishes);
    wishes.file = held.service.file;
    wishes.options.duration_ns = duration_ns;
    wishes.options.metrics = NULL;
    if (has_socket) {
        snprintf(held.service.socket, sizeof held.service.socket, "%s", in_tmpdir("control"));
    }
    wishes.socket.path = has_socket ? held.service.socket : NULL;
    held.request_fd = -1;
    const int status = einet_service_run(&wishes, hooks);
    atomic_store(&held.has_returned, true);
    if (EI_TRUE(held.first != NULL)) {
        EI_EQ(pthread_join(held.guard, NULL), 0);
    }
    return status;
}

static void end_in_takeover(bool has_socket, const char *ended_by)
{
    const struct einet_service_hooks hooks = {.name = "held",
                                              .started = start_and_reload,
                                              .expect = signal_end,
                                              .taken_over = note_takeover,
                                              .ending = await_first,
                                              .report = note_report};
    EI_EQ(serve(&hooks, EINET_UNTIL_STOPPED, has_socket), EINET_EXIT_OK);
    EI_EQ(held.takeovers, 1);
    EI_STREQ(held.ended_by, ended_by);
    EI_EQ(service_told(&held.service, "READY=1"), 0); /* once it ends it is not ready again */
    close(held.service.manager_fd);
}

EI_TEST(service_drains_when_told_between_a_takeover_and_its_notice)
{
    end_in_takeover(false, strsignal(SIGTERM));
}

EI_TEST(service_stops_when_asked_between_a_takeover_and_its_notice)
{
    end_in_takeover(true, "asked by einet ctl");
    close(held.request_fd);
}

static void note_ending(void *owner)
{
    (void)owner;
    EI_EQ(einet_run_phase(held.first), EINET_RUN_ENDED);
    held.endings++;
}

/* Whoever hands it pictures must leave it alone before it goes, also when nobody has asked for its end. */
EI_TEST(service_that_ends_unasked_takes_nothing_more)
{
    const struct einet_service_hooks hooks = {
        .name = "held", .started = note_start, .ending = note_ending, .report = note_report};
    EI_EQ(serve(&hooks, DURATION_NS, false), EINET_EXIT_FAULT);
    EI_STREQ(held.ended_by, "nobody");
    EI_EQ(held.endings_at_report, 1);
    close(held.service.manager_fd);
}

EI_MAIN()
