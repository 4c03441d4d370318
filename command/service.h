/* A workload as a service: one run of libeinet without an end, and a main thread that takes signals, tells the service
 * manager, feeds its watchdog while the scheduler goes its rounds, and answers on the control socket (docs/serve.md).
 * Commands are services by a call of einet_service_run with the options that they share and hooks for what differs.
 */
#ifndef COMMAND_SERVICE_H
#define COMMAND_SERVICE_H

#include "command/control_socket.h"
#include "command/options.h"

#include <einet/einet.h>
#include <stdbool.h>
#include <stdint.h>

struct einet_service_wishes {
    const char *file;
    struct einet_run_options options;
    struct einet_control_options socket; /* path NULL = none, mode 0 = by its group; without reply and context */
    char default_path[256];              /* of the socket: the struct stays where it is */
    int64_t drain_limit_ns;
};

/* The defaults, for the rows to be read over; file stays NULL. */
void einet_service_wish(struct einet_service_wishes *wishes);

/* --socket, --socket-mode, --socket-group, --drain-limit, --out, --metrics: of struct einet_service_wishes. */
#define EINET_SERVICE_ROWS 6
extern const struct einet_option einet_service_rows[EINET_SERVICE_ROWS];

/* What a command adds. Each is called by the main thread; NULL = nothing. */
struct einet_service_hooks {
    const char *name; /* before each line of the log */
    bool has_levels;  /* or, in its place, the level for the journal */
    void *owner;      /* handed to the others */
    /* At a file before a run is made of it, also when it is read again. Negative with err: it is refused. */
    int (*look)(void *owner, const char *file, struct einet_error *err);
    /* Before a run is made of a workload, also of one that is to take over from the run that goes on: callbacks and the
     * like into options. Negative with err: it is refused. */
    int (*prepare)(void *owner, struct einet_workload *workload, struct einet_run_options *options,
                   struct einet_error *err);
    /* The first run has started. Negative with err: the service ends. */
    int (*started)(void *owner, struct einet_run *run, struct einet_error *err);
    /* A run that is to take over was made, and is started by another thread next; NULL: it came to nothing. */
    void (*expect)(void *owner, struct einet_run *run);
    /* It has taken over; the one before drains. */
    void (*taken_over)(void *owner);
    /* Before it drains or stops, and when it has ended whatever the reason: nothing more is to come in. Perhaps several
     * times; the run is still there. */
    void (*ending)(void *owner);
    /* When all is over, what there is to say of it; ended_by: what made it end. Returns the exit status, as a rule the
     * one it gets. */
    int (*report)(void *owner, struct einet_workload *workload, const struct einet_end *end, const char *ended_by,
                  int status);
    /* Between the end of the last run and that of its workload; also when nothing was started. */
    void (*close)(void *owner);
};

/* Serve until it has ended: the exit status, everything said. Before other threads exist: it blocks signals. */
int einet_service_run(const struct einet_service_wishes *wishes, const struct einet_service_hooks *hooks);

#endif
