/* See service_manager.h. */
#include "command/service_manager.h"

#include "rt/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The variable as a whole number above 0, else 0. */
static int64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end = NULL;
    const long long number = text != NULL ? strtoll(text, &end, 10) : 0;
    return text != NULL && text[0] != '\0' && *end == '\0' && number > 0 ? number : 0;
}

void einet_manager_open(struct einet_manager *manager)
{
    *manager = (struct einet_manager){.fd = -1};
    const char *path = getenv("NOTIFY_SOCKET");
    const size_t length = path != NULL ? strlen(path) : 0;
    if (length < 2 || length >= sizeof manager->address.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    manager->address.sun_family = AF_UNIX;
    memcpy(manager->address.sun_path, path, length);
    if (path[0] == '@') {
        manager->address.sun_path[0] = '\0'; /* the abstract name space */
    }
    manager->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int64_t usec = number_of("WATCHDOG_USEC"), pid = number_of("WATCHDOG_PID");
    if (usec < INT64_MAX / EI_NS_PER_US && (getenv("WATCHDOG_PID") == NULL || pid == getpid())) {
        manager->watchdog_ns = usec * EI_NS_PER_US;
    }
}

void einet_manager_close(struct einet_manager *manager)
{
    if (manager->fd >= 0) {
        close(manager->fd);
    }
    manager->fd = -1;
}

void einet_manager_tell(const struct einet_manager *manager, const char *fmt, ...)
{
    char text[512];
    va_list args;
    if (manager->fd < 0) {
        return;
    }
    va_start(args, fmt);
    const int length = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (length > 0 && length < (int)sizeof text) {
        (void)sendto(manager->fd, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL,
                     (const struct sockaddr *)&manager->address, manager->address_bytes);
    }
}
