/* See serve_play.h. */
#include "tests/integration/serve_play.h"

#include "tests/harness/harness.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

const char serve_text[] =
    "version: 1\nname: robot\nrun: { duration: 1s, start_delay: 10ms, seed: 1 }\n"
    "platform: { watchdog: 0 }\n"
    "lanes: { cpu0: { kind: cpu } }\n"
    "models: { m: { emulate: { blocks: [ { conv: 1ms, branch: 200us, score: 0.5 },\n"
    "                                    { conv: 1ms, branch: 200us, score: 0.9 } ] } } }\n"
    "tasks:\n"
    "  - { name: clock, arrival: { model: periodic, period: 20ms }, priority: 60,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n"
    "  - { name: camera, arrival: { model: external, min_interarrival: 5ms }, deadline: 10s, priority: 40,\n"
    "      late_release: { queue: 64, drop: oldest }, stages: [ { name: n, kind: nn, model: m, lane: cpu0 } ] }\n"
    "  - { name: behind, arrival: { model: after, task: camera }, priority: 30,\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n";

bool service_listen(struct service *service)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = in_tmpdir("notify");
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    (void)unlink(path);
    service->manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setenv("NOTIFY_SOCKET", path, 1);
    setenv("WATCHDOG_USEC", "400000", 1);
    return service->manager_fd >= 0 && bind(service->manager_fd, (struct sockaddr *)&address, sizeof address) == 0;
}

bool service_start(struct service *service, const char *text, const char *const *more, bool has_manager)
{
    return service_start_of(service, "einet", text, more, has_manager);
}

bool service_start_of(struct service *service, const char *program, const char *text, const char *const *more,
                      bool has_manager)
{
    *service = (struct service){.manager_fd = -1};
    snprintf(service->file, sizeof service->file, "%s", write_file("service.yaml", text));
    snprintf(service->socket, sizeof service->socket, "%s", in_tmpdir("control"));
    const char *args[ARGS_MAX] = {"serve", "--config", service->file, "--socket", service->socket};
    const bool is_einet = strcmp(program, "einet") == 0;
    for (int i = 0; more != NULL && more[i] != NULL && i + 6 < ARGS_MAX; i++) {
        args[i + 5] = more[i];
    }
    return service_launch(service, program, is_einet ? args : args + 1, "running; control socket", has_manager);
}

bool service_launch(struct service *service, const char *program, const char *const *args, const char *awaited,
                    bool has_manager)
{
    service->manager_fd = -1;
    if (has_manager && !EI_TRUE(service_listen(service))) {
        return false;
    }
    (void)unlink(in_tmpdir("output.txt")); /* of an earlier one */
    service->pid = program_start(program, args);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    const bool is_running = wait_for_text(in_tmpdir("output.txt"), awaited, 60000);
    if (!is_running) {
        (void)kill(service->pid, SIGKILL);
    }
    return EI_TRUEF(is_running, "%s", is_running ? "" : service_wait(service)->output);
}

int service_told(struct service *service, const char *line)
{
    char message[1024], wanted[128];
    int count = 0;
    ssize_t got;
    snprintf(wanted, sizeof wanted, "%s\n", line);
    while ((got = recv(service->manager_fd, message, sizeof message - 1, MSG_DONTWAIT)) > 0) {
        message[got] = '\0';
        count += strstr(message, wanted) != NULL;
        const char *status = strstr(message, "STATUS=");
        if (status != NULL) {
            snprintf(service->last_status, sizeof service->last_status, "%s", status);
        }
    }
    return count;
}

void service_await_told(struct service *service, const char *line)
{
    int told = 0;
    for (int i = 0; i < 1000 && told == 0; i++) {
        sleep_ms(20);
        told = service_told(service, line);
    }
    EI_TRUEF(told > 0, "the manager was never told %s", line);
}

/* The thread of the service with this name that is not the main one; or 0. */
static pid_t thread_of(const struct service *service, const char *wanted)
{
    char path[256], name[64] = "";
    pid_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)service->pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/comm", (int)service->pid, entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "re") : NULL;
        if (file != NULL) {
            const bool is_read = fgets(name, sizeof name, file) != NULL;
            name[strcspn(name, "\n")] = '\0';
            const bool is_it = is_read && strcmp(name, wanted) == 0 && atoi(entry->d_name) != service->pid;
            found = is_it ? (pid_t)atoi(entry->d_name) : found;
            fclose(file);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return found;
}

/* Let its main thread go round, several times. */
static void let_turn(const struct service *service)
{
    for (int i = 0; i < 3 && service->socket[0] != '\0'; i++) { /* each request is a turn at least */
        json_decref(service_ask(service, "{\"command\":\"list\"}"));
    }
    sleep_ms(service->socket[0] != '\0' ? 0 : 1000);
}

void service_check_watchdog(struct service *service, const char *thread)
{
    int status;
    service_await_told(service, "WATCHDOG=1");
    service_await_told(service, "WATCHDOG=1");
    const pid_t tid = thread_of(service, thread);
    EI_TRUEF(tid > 0, "no thread %s", thread);
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0) {
        (void)service_end(service);
        ei_test_skip("no thread can be held here");
    }
    EI_EQ(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
    EI_EQ(waitpid(tid, &status, __WALL), tid);
    let_turn(service); /* its last round is passed on by now */
    (void)service_told(service, "WATCHDOG=1");
    let_turn(service);
    sleep_ms(300);
    let_turn(service);
    EI_EQ(service_told(service, "WATCHDOG=1"), 0);
    EI_EQ(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
    service_await_told(service, "WATCHDOG=1");
}

const struct finished *service_wait(struct service *service)
{
    const struct finished *finished = einet_wait(service->pid);
    if (service->manager_fd >= 0) {
        close(service->manager_fd);
    }
    EI_TRUEF(service->socket[0] == '\0' || access(service->socket, F_OK) != 0 || finished->status > 128,
             "the socket was left");
    return finished;
}

const struct finished *service_end(struct service *service)
{
    EI_EQ(kill(service->pid, SIGTERM), 0);
    return service_wait(service);
}

const struct finished *service_end_told(struct service *service)
{
    const int manager_fd = service->manager_fd;
    service->manager_fd = -1; /* it stays open beyond the end */
    const struct finished *f = service_end(service);
    service->manager_fd = manager_fd;
    EI_EQ(service_told(service, "STOPPING=1"), 1);
    close(manager_fd);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    return f;
}

int service_connect(const struct service *service)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = 20};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", service->socket);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                              setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
    if (!EI_TRUEF(is_connected, "connect: %s", strerror(errno))) {
        close(fd);
        return -1;
    }
    return fd;
}

bool service_send(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

const char *service_line(int fd)
{
    static char line[64 * 1024];
    size_t length = 0;
    while (length < sizeof line - 1) {
        if (recv(fd, line + length, 1, 0) != 1) {
            return NULL;
        }
        if (line[length] == '\n') {
            line[length] = '\0';
            return line;
        }
        length++;
    }
    return NULL;
}

json_t *service_ask(const struct service *service, const char *request)
{
    json_error_t why;
    const int fd = service_connect(service);
    if (fd < 0) {
        return NULL;
    }
    EI_TRUE(service_send(fd, request, strlen(request)) && service_send(fd, "\n", 1));
    const char *line = service_line(fd);
    json_t *reply = line != NULL ? json_loads(line, JSON_REJECT_DUPLICATES, &why) : NULL;
    EI_TRUEF(reply != NULL, "%s: no reply, or none in JSON: %s", request, line != NULL ? line : "");
    close(fd);
    return reply;
}

json_t *service_task(const struct service *service, const char *task)
{
    size_t i;
    json_t *entry, *found = NULL, *reply = service_ask(service, "{\"command\":\"list\"}");
    json_array_foreach(json_object_get(reply, "tasks"), i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "task")), task) == 0) {
            found = json_incref(entry);
        }
    }
    json_decref(reply);
    EI_TRUEF(found != NULL, "no task %s", task);
    return found;
}

void check_unit(const char *name, const char *program)
{
    char command[1024], said[8192], at[64];
    if (system("command -v systemd-analyze >/dev/null") != 0) {
        ei_test_skip("no systemd-analyze");
    }
    /* a copy whose program exists: the one that was built */
    snprintf(command, sizeof command,
             "sed 's|^ExecStart=[^ ]*|ExecStart=%s/%s|' '%s/%s@.service' > '%s/%s@.service' && "
             "systemd-analyze verify --man=no '%s/%s@one.service' 2>&1; echo status $?",
             ei_test_build_dir(), program, ei_test_build_dir(), name, ei_test_tmpdir(), name, ei_test_tmpdir(), name);
    FILE *pipe = popen(command, "r");
    EI_REQUIRE(pipe != NULL);
    said[fread(said, 1, sizeof said - 1, pipe)] = '\0';
    pclose(pipe);
    EI_CONTAINS(said, "status 0");
    snprintf(at, sizeof at, "%s@", name);
    EI_TRUEF(strstr(said, at) == NULL, "%s", said);
}
