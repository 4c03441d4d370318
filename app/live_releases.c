/* See live_releases.h. */
#include "app/live_releases.h"

#include "engine/live.h"
#include "rt/clock.h"
#include "workloads/releases.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 20 /* how soon the reader sees that it shall end */
#define EARLY_NAP_NS EI_NS_PER_MS
#define BAD_LINES_SAID 20

int einet_live_releases_open(struct einet_live_releases *releases, const char *path, const struct ei_workload *wl,
                             struct einet_error *err)
{
    struct stat st;
    *releases = (struct einet_live_releases){.path = path, .wl = wl, .fd = STDIN_FILENO};
    if (ei_releases_first_task(wl) == EI_NONE_IDX) {
        return einet_error_set(err, EINET_E_USAGE, "--releases is for tasks with arrival external, and %.200s has none",
                               wl->file);
    }
    if (strcmp(path, "-") == 0) {
        return 0;
    }
    /* A named pipe is opened for writing, too: then it has no end when its writers come and go. */
    const bool is_there = stat(path, &st) == 0, is_pipe = is_there && S_ISFIFO(st.st_mode);
    if (is_there && S_ISDIR(st.st_mode)) {
        return einet_error_set(err, EINET_E_USAGE, "cannot read releases from %.200s: it is a directory", path);
    }
    releases->fd = open(path, (is_pipe ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    return releases->fd >= 0 ? 0
                             : einet_error_set(err, EINET_E_USAGE, "cannot read releases from %.200s: %s", path,
                                               einet_error_text(-errno));
}

static void complain(struct einet_live_releases *r, const char *what)
{
    if (r->bad++ < BAD_LINES_SAID) {
        fprintf(stderr, "einet run: %s:%lld: %s\n", r->path, (long long)r->number, what);
    }
}

static int32_t find_external(const struct ei_workload *wl, const char *name)
{
    for (int32_t i = 0; i < wl->task_count; i++) {
        if (wl->tasks[i].arrival.model == EI_ARRIVAL_EXTERNAL && strcmp(wl->tasks[i].name, name) == 0) {
            return i;
        }
    }
    return EI_NONE_IDX;
}

/* One line; a refused release is counted by the engine. */
static void take_line(struct einet_live_releases *r)
{
    char text[EINET_RELEASE_LINE_MAX + 64];
    r->number++;
    r->line[strcspn(r->line, "\r")] = '\0';
    if (r->line[0] == '#' || (r->line[0] == '\0' && !r->is_long)) {
        return;
    }
    const int32_t task = r->is_long ? EI_NONE_IDX : find_external(r->wl, r->line);
    if (task == EI_NONE_IDX) {
        snprintf(text, sizeof text, "there is no external task '%.60s'%s", r->line, r->is_long ? "..." : "");
        complain(r, text);
        return;
    }
    while (ei_live_release(task, EI_NONE_NS) == -EAGAIN && !atomic_load(&r->is_ending)) {
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), EARLY_NAP_NS));
    }
}

static void take_bytes(struct einet_live_releases *r, const char *bytes, ssize_t count)
{
    for (ssize_t i = 0; i < count && !atomic_load(&r->is_ending); i++) {
        if (bytes[i] == '\n') {
            r->line[r->length] = '\0';
            take_line(r);
            r->length = 0;
            r->is_long = false;
        } else if (r->length < EINET_RELEASE_LINE_MAX - 1) {
            r->line[r->length++] = bytes[i];
        } else {
            r->is_long = true;
        }
    }
}

static void read_releases(void *arg)
{
    struct einet_live_releases *r = arg;
    char bytes[4096];
    while (!atomic_load(&r->is_ending)) {
        struct pollfd wait = {.fd = r->fd, .events = POLLIN};
        if (poll(&wait, 1, LOOK_MS) <= 0) {
            continue;
        }
        const ssize_t count = read(r->fd, bytes, sizeof bytes);
        if (count > 0) {
            take_bytes(r, bytes, count);
        } else if (count == 0) {
            break;
        } else if (errno != EINTR && errno != EAGAIN) {
            r->number++;
            complain(r, strerror(errno));
            break;
        }
    }
    if (r->length > 0) { /* a last line without an end */
        take_bytes(r, "\n", 1);
    }
}

void einet_live_releases_start(void *context)
{
    struct einet_live_releases *r = context;
    const struct ei_thread_attr attr = {.name = "releases"};
    struct einet_error err = {0};
    if (ei_thread_create(&r->thread, &attr, read_releases, r, &err) == 0) {
        r->has_thread = true;
    } else {
        fprintf(stderr, "einet run: nobody reads %s: %s\n", r->path, err.text);
    }
}

void einet_live_releases_close(struct einet_live_releases *r)
{
    atomic_store(&r->is_ending, true);
    if (r->has_thread) {
        (void)ei_thread_join(&r->thread);
    }
    if (r->fd != STDIN_FILENO) {
        close(r->fd);
    }
    if (r->bad > 0) {
        fprintf(stderr, "einet run: %lld lines of %s released nothing\n", (long long)r->bad, r->path);
    }
}
