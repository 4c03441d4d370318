/* The Unix socket by which a service is asked: one JSON object a line, one JSON object a line in reply.
 *
 *   connection: accepted -> peer checked (SO_PEERCRED) -> lines of at most 4 KiB -> replies
 *                              \-> refused: one line that says so, counted, closed
 *
 * Thread: main, which does nothing else that a run waits for. Nothing a peer sends or leaves unread makes a call here
 * wait: sockets do not block, a connection with an unread reply is not read from, one that is silent for too long or
 * too slow is closed, and what comes faster than it may is left in the kernel's buffer.
 */
#ifndef COMMAND_CONTROL_SOCKET_H
#define COMMAND_CONTROL_SOCKET_H

#include <einet/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define EINET_CONTROL_LINE_MAX_BYTES 4096
#define EINET_CONTROL_CONNECTIONS_MAX 16

struct einet_control;

struct einet_control_options {
    const char *path;
    mode_t mode;    /* permissions of the socket */
    bool has_group; /* it belongs to this group, and its members are let in */
    gid_t group;
    /* The reply to a request, a new reference; NULL = no memory, and the connection is closed. */
    json_t *(*reply)(void *context, const json_t *request);
    void *context;
};

/* Make the socket; a left-over one of a service that is gone is replaced. Returns 0 with *out, EINET_E_USAGE (the path
 * is too long, is no socket or belongs to a service that runs), or -errno. */
int einet_control_open(const struct einet_control_options *options, struct einet_control **out,
                       struct einet_error *err);

/* Serve the connections until other_fd can be read or timeout_ms have passed. other_fd: -1 = none.
 * control NULL: only wait. */
void einet_control_serve(struct einet_control *control, int other_fd, int timeout_ms);

/* Connections of users who may not, and lines that were no request. */
int64_t einet_control_refused(const struct einet_control *control);
int64_t einet_control_malformed(const struct einet_control *control);

/* Send what can be sent at once, close all, remove the socket. NULL is fine. */
void einet_control_close(struct einet_control *control);

#endif
