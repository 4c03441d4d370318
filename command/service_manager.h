/* What a service tells the manager that started it: datagrams of `NAME=VALUE` lines to the socket that NOTIFY_SOCKET
 * names (sd_notify(3) documents the protocol as stable, so no library is needed). Without that variable all calls do
 * nothing. Thread: main.
 */
#ifndef COMMAND_SERVICE_MANAGER_H
#define COMMAND_SERVICE_MANAGER_H

#include <einet/attributes.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct einet_manager {
    int fd; /* -1 = there is none */
    struct sockaddr_un address;
    socklen_t address_bytes;
    int64_t watchdog_ns; /* within which it wants to hear from us; 0 = it does not */
};

/* Look at NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
void einet_manager_open(struct einet_manager *manager);
void einet_manager_close(struct einet_manager *manager);

/* Send one message of one or several lines, which never waits: a manager that does not read loses it. */
void einet_manager_tell(const struct einet_manager *manager, const char *fmt, ...) EINET_PRINTF(2, 3);

#endif
