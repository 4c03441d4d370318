/* The HTTP server by itself: what it answers, and that nothing that a client sends or leaves out takes it down.
 */
#include "tests/harness/harness.h"

#include "metrics/exporter.h"
#include "rt/random.h"
#include "rt/thread.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct ei_board board;
static char address[EI_BOARD_ADDRESS_MAX];

static void set_run(enum ei_board_phase phase, int32_t degraded)
{
    struct ei_board_run run = {.name = "sample", .phase = (int32_t)phase, .degraded_count = degraded};
    if (degraded > 0) {
        snprintf(run.degraded_reason, sizeof run.degraded_reason, "SCHED_FIFO refused");
    }
    ei_board_set_run(&board, &run);
}

static struct ei_exporter *start(void)
{
    struct ei_exporter *exporter = NULL;
    struct einet_error err = {0};
    const struct ei_cpuset any = {0};
    const int rc = ei_exporter_start(&board, "127.0.0.1:0", &any, address, &exporter, &err);
    if (rc == EINET_E_BACKEND) {
        ei_test_skip("%s", err.text);
    }
    EI_TRUEF(rc == 0, "%s", err.text);
    return exporter;
}

static int connect_to_it(void)
{
    const struct timeval patience = {.tv_sec = 30};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EI_TRUE(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0);
    EI_TRUE(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* Send a request and read until the server closes. The answer is static; "" = closed without one. */
static const char *ask(const char *request, size_t length)
{
    static char text[64 * 1024];
    size_t used = 0;
    ssize_t got = 1;
    const int fd = connect_to_it();
    size_t sent = 0;
    while (sent < length) { /* the server may refuse before it has read all of it */
        const ssize_t more = send(fd, request + sent, length - sent, MSG_NOSIGNAL);
        if (more <= 0) {
            break;
        }
        sent += (size_t)more;
    }
    while (got > 0 && used < sizeof text - 1) {
        got = recv(fd, text + used, sizeof text - 1 - used, 0);
        used += got > 0 ? (size_t)got : 0;
    }
    EI_TRUEF(got >= 0 || errno == ECONNRESET, "no end of the answer: %s", strerror(errno));
    text[used] = '\0';
    close(fd);
    return text;
}

/* Send it and leave without reading. */
static void throw_at_it(const char *bytes, size_t length)
{
    const int fd = connect_to_it();
    (void)send(fd, bytes, length, MSG_NOSIGNAL);
    close(fd);
}

static const char *get(const char *path)
{
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    return ask(request, strlen(request));
}

EI_TEST(exporter_answers_with_states_and_figures)
{
    struct ei_exporter *exporter = start();
    EI_REQUIRE(exporter != NULL);
    EI_CONTAINS(get("/healthz"), "503"); /* nothing is published yet */
    set_run(EI_BOARD_STARTING, 0);
    EI_CONTAINS(get("/healthz"), "\r\n\r\nstarting\n");
    set_run(EI_BOARD_RUNNING, 0);
    EI_CONTAINS(get("/healthz"), "HTTP/1.1 200 OK\r\n");
    EI_CONTAINS(get("/healthz"), "\r\n\r\nok\n");
    set_run(EI_BOARD_RUNNING, 2);
    EI_CONTAINS(get("/healthz"), "HTTP/1.1 503");
    EI_CONTAINS(get("/healthz"), "\r\n\r\ndegraded\nSCHED_FIFO refused\n");
    EI_CONTAINS(get("/metrics"), "\neinet_degraded 1\n");
    EI_CONTAINS(get("/metrics"), "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    set_run(EI_BOARD_ENDED, 0);
    EI_CONTAINS(get("/healthz"), "HTTP/1.1 410");
    EI_CONTAINS(get("/healthz"), "\r\n\r\nended\n");
    EI_CONTAINS(get("/"), "HTTP/1.1 404");
    EI_CONTAINS(get("/metrics/../healthz"), "HTTP/1.1 404");
    const char post[] = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    EI_CONTAINS(ask(post, sizeof post - 1), "HTTP/1.1 405");
    const char head[] = "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const char *answer = ask(head, sizeof head - 1);
    EI_CONTAINS(answer, "HTTP/1.1 200 OK\r\n");
    EI_TRUE(strstr(answer, "einet_") == NULL);
    ei_exporter_stop(exporter);
    ei_exporter_stop(NULL);
}

/* It serves on the CPUs that it was given, outside real time, whatever the thread that started it has. */
EI_TEST(exporter_stays_on_its_cpus)
{
    struct ei_exporter *exporter = NULL;
    struct ei_thread_state self = {0}, other = {0};
    struct ei_cpuset one = {0};
    struct einet_error err = {0};
    int found = 0;
    EI_REQUIRE(ei_thread_read(0, &self) == 0);
    if (ei_cpuset_count(&self.cpus) < 2) {
        ei_test_skip("this process has one CPU only");
    }
    ei_cpuset_add(&one, ei_cpuset_next(&self.cpus, ei_cpuset_next(&self.cpus, 0) + 1));
    const int rc = ei_exporter_start(&board, "127.0.0.1:0", &one, address, &exporter, &err);
    if (rc == EINET_E_BACKEND) {
        ei_test_skip("%s", err.text);
    }
    EI_REQUIRE(rc == 0);
    DIR *tasks = opendir("/proc/self/task");
    EI_REQUIRE(tasks != NULL);
    for (const struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks)) {
        const pid_t tid = (pid_t)atoi(entry->d_name);
        if (tid > 0 && ei_thread_read(tid, &other) == 0 && ei_cpuset_is_equal(&other.cpus, &one)) {
            found++;
            EI_EQ(other.policy, EI_THREAD_OTHER);
        }
    }
    closedir(tasks);
    EI_EQ(found, 1);
    ei_exporter_stop(exporter);
}

EI_TEST(exporter_refuses_a_port_in_use_and_foreign_addresses)
{
    struct ei_exporter *exporter = start(), *second = NULL;
    struct einet_error err = {0};
    const struct ei_cpuset any = {0};
    char text[EI_BOARD_ADDRESS_MAX];
    EI_REQUIRE(exporter != NULL);
    EI_EQ(ei_exporter_start(&board, address, &any, text, &second, &err), -EADDRINUSE);
    EI_CONTAINS(err.text, "port 0 takes any");
    EI_EQ(ei_exporter_start(&board, "0.0.0.0:0", &any, text, &second, &err), -EINVAL);
    ei_exporter_stop(exporter);
}

EI_TEST(exporter_survives_hostile_clients)
{
    static char large[100 * 1024];
    struct ei_random random;
    struct ei_exporter *exporter = start();
    EI_REQUIRE(exporter != NULL);
    set_run(EI_BOARD_RUNNING, 0);
    ei_random_init(&random, 4242, 0);
    /* A path and a header without end. */
    memset(large, 'a', sizeof large);
    memcpy(large, "GET /", 5);
    const char *answer = ask(large, sizeof large);
    EI_TRUEF(answer[0] == '\0' || strncmp(answer, "HTTP/1.1 4", 10) == 0, "%.80s", answer);
    memcpy(large, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", 35);
    answer = ask(large, sizeof large);
    EI_TRUEF(answer[0] == '\0' || strncmp(answer, "HTTP/1.1 4", 10) == 0, "%.80s", answer);
    /* Garbage, and half requests. */
    for (int i = 0; i < 50; i++) {
        const size_t length = 5 + ei_random_below(&random, 2000);
        for (size_t k = 0; k < length; k++) {
            large[k] = (char)ei_random_u64(&random);
        }
        throw_at_it(large, length);
        throw_at_it("GET /metrics HTT", 1 + ei_random_below(&random, 16));
    }
    static const char *const bad[] = {"GET\r\n\r\n", "GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
                                      "GET /metrics HTTP/1.1\r\nno header at all\r\n\r\n",
                                      "GET /metrics HTTP/1.1\r\n\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EI_CONTAINS(get("/healthz"), "\r\n\r\nok\n");
        throw_at_it(bad[i], strlen(bad[i]));
    }
    /* A body that never comes, and a length beyond reason. */
    const char endless[] = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n";
    throw_at_it(endless, sizeof endless - 1);
    EI_CONTAINS(get("/healthz"), "\r\n\r\nok\n");
    ei_exporter_stop(exporter);
}

/* More silent connections than it takes: it serves again when they are gone, and keeps its memory bounded meanwhile. */
EI_TEST(exporter_outlives_a_crowd_of_silent_connections)
{
    enum { CROWD = 4 * EI_EXPORTER_CONNECTIONS_MAX };
    int fds[CROWD];
    struct ei_exporter *exporter = start();
    EI_REQUIRE(exporter != NULL);
    set_run(EI_BOARD_RUNNING, 0);
    for (int i = 0; i < CROWD; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strchr(address, ':') + 1))};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)connect(fds[i], (const struct sockaddr *)&to, sizeof to); /* beyond the backlog it just waits */
        (void)send(fds[i], "GET /m", 6, MSG_NOSIGNAL);
    }
    for (int i = 0; i < CROWD; i++) {
        close(fds[i]);
    }
    const char *answer = "";
    for (int i = 0; i < 200 && strstr(answer, "\r\n\r\nok\n") == NULL; i++) { /* until it has noticed that they left */
        answer = get("/healthz");
    }
    EI_CONTAINS(answer, "\r\n\r\nok\n");
    ei_exporter_stop(exporter);
}

EI_MAIN()
