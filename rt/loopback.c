/* See loopback.h. */
#include "rt/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The text before the last colon and the number after it. */
static bool split(const char *text, char *host, size_t size_bytes, long *out_port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= size_bytes || colon[1] == '\0' || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
        return false;
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    *out_port = strtol(colon + 1, NULL, 10);
    return *out_port <= 65535;
}

static int parse(const char *text, union address *out, socklen_t *out_bytes, struct einet_error *err)
{
    char host[EI_LOOPBACK_TEXT_MAX];
    long port = 0;
    if (!split(text, host, sizeof host, &port)) {
        return einet_error_set(err, -EINVAL, "'%.60s' is no address and port: write one such as 127.0.0.1:9464", text);
    }
    *out = (union address){0};
    if (strcmp(host, "[::1]") == 0) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_addr = in6addr_loopback;
        out->v6.sin6_port = htons((uint16_t)port);
        *out_bytes = sizeof out->v6;
        return 0;
    }
    const char *number = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons((uint16_t)port);
    *out_bytes = sizeof out->v4;
    if (inet_pton(AF_INET, number, &out->v4.sin_addr) != 1 || ntohl(out->v4.sin_addr.s_addr) >> 24 != 127) {
        return einet_error_set(err, -EINVAL,
                               "'%.60s' is not of this machine alone: only 127.0.0.0/8, [::1] and localhost are "
                               "served; let a proxy or an SSH tunnel pass it on",
                               text);
    }
    return 0;
}

int ei_loopback_check(const char *text, struct einet_error *err)
{
    union address address;
    socklen_t bytes;
    return parse(text, &address, &bytes, err);
}

static void print(const union address *address, char *out_text)
{
    char host[INET6_ADDRSTRLEN] = "::1";
    if (address->any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        snprintf(out_text, EI_LOOPBACK_TEXT_MAX, "%s:%d", host, ntohs(address->v4.sin_port));
    } else {
        snprintf(out_text, EI_LOOPBACK_TEXT_MAX, "[%s]:%d", host, ntohs(address->v6.sin6_port));
    }
}

int ei_loopback_listen(const char *text, char *out_text, struct einet_error *err)
{
    union address address;
    socklen_t bytes;
    const int on = 1;
    const int rc = parse(text, &address, &bytes, err);
    if (rc < 0) {
        return rc;
    }
    const int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(fd, &address.any, bytes) != 0 ||
        listen(fd, BACKLOG) != 0 || getsockname(fd, &address.any, &bytes) != 0) {
        const int code = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return einet_error_set(err, code, "cannot listen on %.60s: %s; port 0 takes any that is free", text,
                               strerror(-code));
    }
    print(&address, out_text);
    return fd;
}
