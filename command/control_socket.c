/* See control_socket.h. */
#include "command/control_socket.h"

#include "command/service_log.h"
#include "rt/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 8 /* connections, and lines of one connection, ... */
#define LINES_PER_TURN 8
#define REST_NS (10 * EI_NS_PER_MS)  /* ... before it has to wait this long */
#define SILENT_NS (60 * EI_NS_PER_S) /* a connection without a request */
#define UNREAD_NS (5 * EI_NS_PER_S)  /* a reply of which nothing more is taken */
#define TELL_NS (10 * EI_NS_PER_S)   /* between two lines of the log about refused users */
#define GROUPS_MAX 256

struct connection {
    int fd; /* -1 = free */
    char in[EINET_CONTROL_LINE_MAX_BYTES];
    size_t in_bytes;
    char *out; /* owned; NULL = no reply under way */
    size_t out_bytes, out_sent;
    int64_t heard_ns, sent_ns; /* of the last request; of the last progress of a reply */
    int64_t rests_until_ns;
    bool is_closing; /* when the reply is gone */
    bool has_ended;  /* the peer sends no more */
};

struct einet_control {
    struct einet_control_options options;
    struct sockaddr_un address;
    int fd;
    struct connection connections[EINET_CONTROL_CONNECTIONS_MAX];
    int64_t refused, malformed;
    int64_t rests_until_ns;
    int64_t told_ns;
};

/* ---- the socket ---- */

/* A socket of that name that nobody listens to is removed. */
static int remove_left_over(const struct sockaddr_un *address, struct einet_error *err)
{
    struct stat found;
    if (lstat(address->sun_path, &found) < 0) {
        return 0;
    }
    if (!S_ISSOCK(found.st_mode)) {
        return einet_error_set(err, EINET_E_USAGE,
                               "%s is there and is no socket: remove it, or name another with --socket",
                               address->sun_path);
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool is_alive =
        fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    if (is_alive) {
        return einet_error_set(err, EINET_E_USAGE, "a service listens at %s already: name another with --socket",
                               address->sun_path);
    }
    return unlink(address->sun_path) == 0 || errno == ENOENT
               ? 0
               : einet_error_set(err, -errno, "cannot remove the old socket %s: %s", address->sun_path,
                                 strerror(errno));
}

static int listen_at(struct einet_control *control, struct einet_error *err)
{
    const struct einet_control_options *options = &control->options;
    const char *path = control->address.sun_path;
    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t kept = umask(0177); /* nobody else before its owner and mode are set */
    const bool is_bound =
        control->fd >= 0 && bind(control->fd, (const struct sockaddr *)&control->address, sizeof control->address) == 0;
    int failure = is_bound ? 0 : errno;
    (void)umask(kept);
    if (is_bound && ((options->has_group && lchown(path, (uid_t)-1, options->group) < 0) ||
                     chmod(path, options->mode) < 0 || listen(control->fd, EINET_CONTROL_CONNECTIONS_MAX) < 0)) {
        failure = errno;
        (void)unlink(path);
    }
    if (failure == 0) {
        return 0;
    }
    if (control->fd >= 0) {
        close(control->fd);
    }
    return einet_error_set(err, -failure, "cannot make the socket %s: %s", path, strerror(failure));
}

int einet_control_open(const struct einet_control_options *options, struct einet_control **out, struct einet_error *err)
{
    struct einet_control *control = calloc(1, sizeof *control);
    if (control == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the control socket");
    }
    control->options = *options;
    control->address.sun_family = AF_UNIX;
    for (int i = 0; i < EINET_CONTROL_CONNECTIONS_MAX; i++) {
        control->connections[i].fd = -1;
    }
    int rc = 0;
    if (strlen(options->path) >= sizeof control->address.sun_path || options->path[0] == '\0') {
        rc = einet_error_set(err, EINET_E_USAGE, "the path of a socket has 1 to %zu bytes: %s",
                             sizeof control->address.sun_path - 1, options->path);
    } else {
        memcpy(control->address.sun_path, options->path, strlen(options->path));
        rc = remove_left_over(&control->address, err);
    }
    rc = rc == 0 ? listen_at(control, err) : rc;
    if (rc < 0) {
        free(control);
        return rc;
    }
    *out = control;
    return 0;
}

/* ---- connections ---- */

static void drop(struct connection *c)
{
    close(c->fd);
    free(c->out);
    c->out = NULL;
    c->fd = -1;
}

static void send_more(struct connection *c, int64_t now_ns)
{
    while (c->out != NULL) {
        const ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_bytes - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (sent < 0) {
            drop(c);
            return;
        }
        c->sent_ns = now_ns;
        c->out_sent += (size_t)sent;
        if (c->out_sent == c->out_bytes) {
            free(c->out);
            c->out = NULL;
        }
    }
    if (c->is_closing) {
        drop(c);
    }
}

/* Takes the reference; NULL closes the connection. */
static void answer(struct connection *c, json_t *reply, int64_t now_ns)
{
    char *text = reply != NULL ? json_dumps(reply, JSON_COMPACT) : NULL;
    json_decref(reply);
    const size_t length = text != NULL ? strlen(text) : 0;
    char *line = text != NULL ? realloc(text, length + 1) : NULL; /* the final 0 becomes the end of the line */
    if (line == NULL) {
        free(text);
        drop(c);
        return;
    }
    line[length] = '\n';
    c->out = line;
    c->out_bytes = length + 1;
    c->out_sent = 0;
    c->sent_ns = now_ns;
    send_more(c, now_ns);
}

static json_t *refusal(const char *code, const char *text)
{
    return json_pack("{s:b, s:s, s:s}", "ok", 0, "code", code, "error", text);
}

static void take_line(struct einet_control *control, struct connection *c, size_t bytes, int64_t now_ns)
{
    json_error_t why;
    json_t *request = json_loadb(c->in, bytes, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(request)) {
        answer(c, control->options.reply(control->options.context, request), now_ns);
    } else {
        control->malformed++;
        answer(c, refusal("malformed", "a request is one JSON object on one line: {\"command\": \"list\"}"), now_ns);
    }
    json_decref(request);
}

/* The complete lines that lie there, as far as their replies are taken. */
static void take_lines(struct einet_control *control, struct connection *c, int64_t now_ns)
{
    for (int i = 0; i < LINES_PER_TURN && c->fd >= 0 && c->out == NULL; i++) {
        const char *end = memchr(c->in, '\n', c->in_bytes);
        if (end == NULL && c->in_bytes == sizeof c->in) {
            control->malformed++;
            c->is_closing = true;
            answer(c, refusal("malformed", "the line is longer than 4096 bytes"), now_ns);
            return;
        }
        if (end == NULL) {
            if (c->has_ended) {
                drop(c);
            }
            return;
        }
        const size_t bytes = (size_t)(end - c->in);
        c->heard_ns = now_ns;
        take_line(control, c, bytes, now_ns);
        c->in_bytes -= bytes + 1;
        memmove(c->in, end + 1, c->in_bytes);
    }
    c->rests_until_ns = now_ns + REST_NS; /* it has more than its share */
}

static void receive(struct einet_control *control, struct connection *c, int64_t now_ns)
{
    const size_t room = sizeof c->in - c->in_bytes;
    const ssize_t got = room > 0 && !c->has_ended ? recv(c->fd, c->in + c->in_bytes, room, MSG_DONTWAIT) : 0;
    if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        drop(c);
        return;
    }
    c->has_ended |= got == 0 && room > 0;
    c->in_bytes += got > 0 ? (size_t)got : 0;
    take_lines(control, c, now_ns);
}

/* ---- who may ---- */

static bool is_member(int fd, gid_t group, gid_t primary)
{
    gid_t groups[GROUPS_MAX];
    socklen_t bytes = sizeof groups;
    if (primary == group) {
        return true;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0) {
        return false;
    }
    for (size_t i = 0; i < bytes / sizeof groups[0]; i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

/* Root, the service's own user, and who is in its group. */
static bool may_enter(const struct einet_control *control, int fd, uid_t *out_uid)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    *out_uid = (uid_t)-1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0) {
        return false;
    }
    *out_uid = peer.uid;
    return peer.uid == 0 || peer.uid == geteuid() ||
           (control->options.has_group && is_member(fd, control->options.group, peer.gid));
}

static void refuse(struct einet_control *control, int fd, uid_t uid, int64_t now_ns)
{
    static const char line[] =
        "{\"ok\":false,\"code\":\"forbidden\",\"error\":\"this user may not control the service: ask "
        "as its user, as root, or as a member of its --socket-group\"}\n";
    (void)send(fd, line, sizeof line - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
    control->refused++;
    if (control->told_ns == 0 || now_ns >= control->told_ns + TELL_NS) {
        einet_service_log(EINET_LOG_WARNING, "control: refused user %lld (%lld connections refused so far)",
                          (long long)uid, (long long)control->refused);
        control->told_ns = now_ns;
    }
}

/* A free place, or that of the connection that has asked nothing for longest. */
static struct connection *make_room(struct einet_control *control)
{
    struct connection *quietest = &control->connections[0];
    for (int i = 0; i < EINET_CONTROL_CONNECTIONS_MAX; i++) {
        struct connection *c = &control->connections[i];
        if (c->fd < 0) {
            return c;
        }
        quietest = c->heard_ns < quietest->heard_ns ? c : quietest;
    }
    drop(quietest);
    return quietest;
}

static void welcome(struct einet_control *control, int64_t now_ns)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        uid_t uid;
        const int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                break; /* it would be tried for ever: rest */
            }
            return;
        }
        if (!may_enter(control, fd, &uid)) {
            refuse(control, fd, uid, now_ns);
            continue;
        }
        struct connection *c = make_room(control);
        *c = (struct connection){.fd = fd, .heard_ns = now_ns, .sent_ns = now_ns};
    }
    control->rests_until_ns = now_ns + REST_NS;
}

/* ---- a turn ---- */

static bool is_overdue(const struct connection *c, int64_t now_ns)
{
    return c->out != NULL ? now_ns > c->sent_ns + UNREAD_NS : now_ns > c->heard_ns + SILENT_NS;
}

static int soonest_ms(int timeout_ms, int64_t until_ns, int64_t now_ns)
{
    const int64_t ms = (until_ns - now_ns) / EI_NS_PER_MS + 1;
    return ms < timeout_ms ? (int)ms : timeout_ms;
}

void einet_control_serve(struct einet_control *control, int other_fd, int timeout_ms)
{
    struct pollfd fds[EINET_CONTROL_CONNECTIONS_MAX + 2];
    int64_t now_ns = ei_mono_now().ns;
    if (control == NULL) {
        (void)poll(&(struct pollfd){.fd = other_fd, .events = POLLIN}, 1, timeout_ms);
        return;
    }
    const bool is_resting = now_ns < control->rests_until_ns;
    fds[0] = (struct pollfd){.fd = other_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = is_resting ? -1 : control->fd, .events = POLLIN};
    timeout_ms = is_resting ? soonest_ms(timeout_ms, control->rests_until_ns, now_ns) : timeout_ms;
    for (int i = 0; i < EINET_CONTROL_CONNECTIONS_MAX; i++) {
        const struct connection *c = &control->connections[i];
        const bool rests = c->fd >= 0 && c->out == NULL && now_ns < c->rests_until_ns;
        fds[i + 2] = (struct pollfd){.fd = rests ? -1 : c->fd, .events = c->out != NULL ? POLLOUT : POLLIN};
        timeout_ms = rests ? soonest_ms(timeout_ms, c->rests_until_ns, now_ns) : timeout_ms;
    }
    const int ready = poll(fds, EINET_CONTROL_CONNECTIONS_MAX + 2, timeout_ms);
    now_ns = ei_mono_now().ns;
    for (int i = 0; i < EINET_CONTROL_CONNECTIONS_MAX; i++) {
        struct connection *c = &control->connections[i];
        const bool was_resting = c->rests_until_ns != 0 && now_ns >= c->rests_until_ns;
        c->rests_until_ns = was_resting ? 0 : c->rests_until_ns;
        if (c->fd >= 0 && c->out != NULL && ready > 0 && fds[i + 2].revents != 0) {
            send_more(c, now_ns);
        }
        if (c->fd >= 0 && c->out == NULL && (was_resting || (ready > 0 && fds[i + 2].revents != 0))) {
            receive(control, c, now_ns);
        }
        if (c->fd >= 0 && is_overdue(c, now_ns)) {
            drop(c);
        }
    }
    if (ready > 0 && fds[1].revents != 0) {
        welcome(control, now_ns);
    }
}

int64_t einet_control_refused(const struct einet_control *control)
{
    return control->refused;
}

int64_t einet_control_malformed(const struct einet_control *control)
{
    return control->malformed;
}

void einet_control_close(struct einet_control *control)
{
    if (control == NULL) {
        return;
    }
    for (int i = 0; i < EINET_CONTROL_CONNECTIONS_MAX; i++) {
        struct connection *c = &control->connections[i];
        if (c->fd >= 0) {
            send_more(c, 0);
        }
        if (c->fd >= 0) {
            drop(c);
        }
    }
    close(control->fd);
    (void)unlink(control->address.sun_path);
    free(control);
}
