/* A service as users have it: started, watched as its manager would, asked over its socket. */
#ifndef TESTS_INTEGRATION_SERVE_PLAY_H
#define TESTS_INTEGRATION_SERVE_PLAY_H

#include "tests/integration/command.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* A task by the clock, one with a network that is released from outside, one behind it. */
extern const char serve_text[];

struct service {
    pid_t pid;
    char file[256], socket[256]; /* paths */
    int manager_fd;              /* its manager's socket, -1 = none */
    char last_status[256];       /* of the manager's STATUS= lines */
};

/* Start it with a workload and further options (NULL-terminated, may be NULL) and wait until it runs. False with a
 * failed check. has_manager: with NOTIFY_SOCKET and WATCHDOG_USEC. */
bool service_start(struct service *service, const char *text, const char *const *more, bool has_manager);
/* The same of another program, whose own options stand in more alone. */
bool service_start_of(struct service *service, const char *program, const char *text, const char *const *more,
                      bool has_manager);
/* Be the manager of what is started next, or of this process: manager_fd, NOTIFY_SOCKET and WATCHDOG_USEC. */
bool service_listen(struct service *service);
/* Messages of the manager's socket that came so far and hold this line. */
int service_told(struct service *service, const char *line);
/* Start any program, with NOTIFY_SOCKET and WATCHDOG_USEC when has_manager, and wait until its output has this. */
bool service_launch(struct service *service, const char *program, const char *const *args, const char *awaited,
                    bool has_manager);
/* Wait until the manager has been told this line. */
void service_await_told(struct service *service, const char *line);
/* That the watchdog of a service that was started with a manager is fed, and not while its thread of this name is held,
 * though the main thread goes on (and replies, if it has a socket). Skips the case where no thread can be held; the
 * service has ended then. */
void service_check_watchdog(struct service *service, const char *thread);
/* SIGTERM, and how it ended. */
const struct finished *service_end(struct service *service);
/* The same of one that has a manager, which is to be told once that it stops, and of which nothing is heard after. */
const struct finished *service_end_told(struct service *service);
/* Whatever it does: how it ended. */
const struct finished *service_wait(struct service *service);

/* A connection; -1 with a failed check. */
int service_connect(const struct service *service);
/* Send bytes; false when the service has closed. Waits while it does not read. */
bool service_send(int fd, const char *bytes, size_t count);
/* The next line, without its end, or NULL: closed, or 20 s passed. Static. */
const char *service_line(int fd);
/* One request over a connection of its own; json_decref the reply. NULL with a failed check. */
json_t *service_ask(const struct service *service, const char *request);
/* An entry of `list`; json_decref it. */
json_t *service_task(const struct service *service, const char *task);

/* That systemd finds no fault in the unit NAME@.service of the build folder, which starts this program. Skips the case
 * where there is no systemd-analyze. */
void check_unit(const char *name, const char *program);

#endif
