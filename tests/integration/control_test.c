/* The control socket of einet serve, and einet ctl: what it is for, and what others may throw at it. Whatever comes,
 * the run goes on and the next honest request is answered. */
#include "tests/harness/harness.h"
#include "tests/integration/serve_play.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define CAP_SYS_NICE_BIT 23

static struct service service;

static int64_t figure(const char *task, const char *key)
{
    json_t *entry = service_task(&service, task);
    const int64_t value = json_integer_value(json_object_get(entry, key));
    json_decref(entry);
    return value;
}

/* einet ctl as a user types it, beside the service, whose output goes to the same file otherwise. */
static int ctl(const char *words, char *out, size_t size)
{
    char command[1024];
    snprintf(command, sizeof command, "'%s/einet' ctl --socket '%s' %s 2>&1", ei_test_build_dir(), service.socket,
             words);
    FILE *pipe = popen(command, "r");
    out[0] = '\0';
    if (pipe == NULL) {
        return -1;
    }
    out[fread(out, 1, size - 1, pipe)] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static void expect(const char *words, int status, const char *fragment)
{
    static char said[16384];
    const int got = ctl(words, said, sizeof said);
    EI_TRUEF(got == status, "einet ctl %s: status %d: %s", words, got, said);
    EI_CONTAINS(said, fragment);
}

/* Until the figures, which are a quarter of a second old, have the jobs. */
static void wait_for_jobs(const char *task, int64_t count)
{
    for (int i = 0; i < 400 && figure(task, "completed") < count; i++) {
        sleep_ms(50);
    }
    EI_EQ(figure(task, "completed"), count);
}

EI_TEST(ctl_lists_releases_reads_answers_and_drains)
{
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    expect("list", 0, "robot: running");
    expect("list", 0, "camera               fifo       40 10000.000         0");
    expect("answer camera", 0, "camera: no answer yet");
    expect("--json answer camera", 0, "\"answer\":null");
    expect("release camera --tag 77", 0, "");
    wait_for_jobs("behind", 1);
    expect("answer camera", 0, "camera: class ");
    expect("answer camera", 0, "job 0, exit 2 of 2, ");
    expect("--json answer camera", 0, "\"tag\":77");
    EI_EQ(figure("camera", "answered"), 1);
    EI_EQ(figure("camera", "misses"), 0);
    EI_EQ(figure("camera", "deadline_ns"), 10000000000);
    expect("answer clock", 1, "task 'clock' has no network");
    expect("answer nobody", 1, "there is no task 'nobody'");
    expect("release clock", 1, "task 'clock' is not released from outside");
    expect("answer", 1, "which task?");
    expect("frobnicate", 1, "there is no command frobnicate");
    expect("--tag -3 release camera", 1, "--tag wants a whole number");
    expect("drain", 0, "");
    const struct finished *f = service_wait(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "asked by einet ctl: draining");
    expect("list", 5, "is it running (einet serve)");
}

EI_TEST(ctl_tells_that_a_run_is_degraded)
{
    const struct rlimit none = {0, 0};
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    json_t *reply = service_ask(&service, "{\"command\": \"list\"}");
    const bool has_rights = json_is_null(json_object_get(reply, "degraded"));
    json_decref(reply);
    expect("drain", 0, "");
    (void)service_wait(&service);
    /* who has no right to real time, root or not */
    EI_REQUIRE(setrlimit(RLIMIT_RTPRIO, &none) == 0);
    EI_REQUIRE(geteuid() != 0 || prctl(PR_CAPBSET_DROP, CAP_SYS_NICE_BIT, 0, 0, 0) == 0);
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    expect("list", 0, "DEGRADED: asked for SCHED_FIFO");
    reply = service_ask(&service, "{\"command\": \"list\"}");
    const json_t *degraded = json_object_get(reply, "degraded");
    EI_TRUE(json_integer_value(json_object_get(degraded, "reasons")) >= 1);
    const char *first = json_string_value(json_object_get(degraded, "first"));
    EI_CONTAINS(first != NULL ? first : "nothing", "got SCHED_OTHER");
    EI_CONTAINS(first != NULL ? first : "nothing", "(fix: ");
    json_decref(reply);
    expect("drain", 0, "");
    const struct finished *f = service_wait(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    if (!has_rights) {
        ei_test_skip("no right to real time here, so that each run is degraded");
    }
}

static int64_t settled(const char *task, const char *key)
{
    json_t *entry = service_task(&service, task);
    const json_t *value = json_object_get(entry, key);
    const int64_t number = json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);
    json_decref(entry);
    return number;
}

EI_TEST(ctl_sets_pauses_and_resumes)
{
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    expect("set camera priority=41 deadline=5s exits=1", 0, "");
    EI_TRUE(settled("camera", "priority") == 41 && settled("camera", "deadline_ns") == 5000000000);
    expect("--json list", 0, "\"search\":\"fixed:0x1\"");
    expect("release camera", 0, "");
    wait_for_jobs("behind", 1);
    expect("answer camera", 0, "job 0, exit 1 of 2, ");
    expect("set camera exits=all deadline=none", 0, "");
    expect("list", 0, "camera               fifo       41         -         1");
    expect("release camera", 0, "");
    wait_for_jobs("behind", 2);
    expect("answer camera", 0, "job 1, exit 2 of 2, ");
    expect("pause camera", 0, "");
    expect("list", 0, "  paused\n");
    expect("release camera", 1, "task 'camera' is paused");
    EI_TRUE(settled("camera", "paused") == 1 && settled("camera", "withheld") == 1 &&
            settled("camera", "changes") == 3);
    expect("resume camera", 0, "");
    expect("release camera", 0, "");
    wait_for_jobs("behind", 3);
    expect("pause clock", 0, "");
    for (int i = 0; i < 400 && settled("clock", "withheld") < 3; i++) {
        sleep_ms(20);
    }
    EI_TRUE(settled("clock", "withheld") >= 3);
    expect("set camera priority=99", 1, "priority wants a number from 1 to 98");
    expect("set camera exits=1,3", 1, "2 exits");
    expect("set camera exits=0", 1, "exits wants numbers from 1 to 64");
    expect("set camera exits=1,", 1, "exits wants numbers from 1 to 64");
    expect("set camera exits=best", 1, "search \"best\" is not known");
    expect("set camera deadline=5", 1, "deadline wants a time with a unit");
    expect("set camera speed=5", 1, "set knows priority=N");
    expect("set camera", 1, "set what?");
    expect("set nobody priority=3", 1, "there is no task 'nobody'");
    expect("set clock exits=1", 1, "has no network");
    EI_TRUE(settled("camera", "priority") == 41 && settled("camera", "changes") == 4);
    const struct finished *f = service_end(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "asked by einet ctl and done: {\"command\":\"set\",\"task\":\"camera\",\"priority\":41");
}

EI_TEST(ctl_stops)
{
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    expect("stop", 0, "");
    const struct finished *f = service_wait(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "asked by einet ctl: stopping");
}

static void expect_code(const char *request, const char *code)
{
    json_t *reply = service_ask(&service, request);
    EI_TRUE(json_is_false(json_object_get(reply, "ok")));
    EI_STREQ(json_string_value(json_object_get(reply, "code")), code);
    EI_TRUE(json_string_length(json_object_get(reply, "error")) > 10);
    json_decref(reply);
}

/* After each attack: an honest request is answered, no job was late, skipped or dropped, and it drains in order. */
static void check_unhurt(void)
{
    json_t *reply = service_ask(&service, "{\"command\":\"release\",\"task\":\"camera\"}");
    EI_TRUE(json_is_true(json_object_get(reply, "ok")));
    json_decref(reply);
    const struct finished *f = service_end(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, " 0 aborted, ");
}

EI_TEST(control_refuses_what_is_no_request)
{
    static const char *const garbage[] = {"",
                                          "hello",
                                          "{",
                                          "[]",
                                          "7",
                                          "null",
                                          "\"list\"",
                                          "{\"command\":\"list\"}}",
                                          "{\"command\":\"list\",\"command\":\"stop\"}",
                                          "\xff\xfe\x80"};
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    const int fd = service_connect(&service);
    const int count = (int)(sizeof garbage / sizeof garbage[0]);
    for (int i = 0; i < count; i++) { /* one connection for all: it stays open */
        EI_TRUE(service_send(fd, garbage[i], strlen(garbage[i])) && service_send(fd, "\n", 1));
        const char *line = service_line(fd);
        EI_REQUIRE(line != NULL);
        EI_CONTAINS(line, "\"code\":\"malformed\"");
    }
    EI_TRUE(service_send(fd, "{\"command\":\"l\0ist\"}\n", 20)); /* a byte 0 in the middle */
    EI_CONTAINS(service_line(fd), "\"code\":\"malformed\"");
    close(fd);
    expect_code("{}", "usage");
    expect_code("{\"command\":7}", "usage");
    expect_code("{\"command\":\"nothing\"}", "usage");
    expect_code("{\"command\":\"answer\"}", "usage");
    expect_code("{\"command\":\"answer\",\"task\":\"\\u0007%s%n\"}", "no_task");
    expect_code("{\"command\":\"release\",\"task\":\"camera\",\"tag\":-1}", "usage");
    expect_code("{\"command\":\"release\",\"task\":\"camera\",\"tag\":\"x\"}", "usage");
    json_t *reply = service_ask(&service, "{\"command\":\"list\"}");
    EI_EQ(json_integer_value(json_object_get(reply, "malformed_requests")), count + 1);
    json_decref(reply);
    check_unhurt();
}

EI_TEST(control_closes_a_line_without_an_end_and_a_deep_one_is_no_request)
{
    static char line[1 << 20];
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    memset(line, 'x', sizeof line);
    int fd = service_connect(&service);
    EI_TRUE(!service_send(fd, line, sizeof line)); /* it is closed long before all is sent */
    close(fd);
    fd = service_connect(&service);
    EI_TRUE(service_send(fd, line, 4096)); /* as long as a line may be, with its end still to come */
    EI_CONTAINS(service_line(fd), "longer than 4096 bytes");
    EI_TRUE(service_line(fd) == NULL);
    close(fd);
    memset(line, '[', 4095);
    line[4095] = '\n';
    fd = service_connect(&service);
    EI_TRUE(service_send(fd, line, 4096));
    EI_CONTAINS(service_line(fd), "\"code\":\"malformed\"");
    close(fd);
    fd = service_connect(&service); /* a request in pieces, and one whose sender has gone */
    EI_TRUE(service_send(fd, "{\"comm", 6));
    sleep_ms(30);
    EI_TRUE(service_send(fd, "and\":\"list\"}\n{\"command\":\"dr", 27));
    EI_CONTAINS(service_line(fd), "\"ok\":true");
    close(fd);
    check_unhurt();
}

/* Requests without end, and no reply is read: the service stops reading, and does not keep what it owes. */
EI_TEST(control_does_not_wait_for_a_slow_reader)
{
    static const char request[] = "{\"command\":\"list\"}\n";
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    const int fd = service_connect(&service);
    int64_t sent = 0;
    for (int quiet = 0; quiet < 20;) {
        const ssize_t n = send(fd, request, sizeof request - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            sent += n;
            quiet = 0;
        } else {
            EI_REQUIRE(errno == EAGAIN);
            quiet++;
            sleep_ms(20);
        }
    }
    EI_TRUE(sent > 0);
    json_t *reply = service_ask(&service, "{\"command\":\"list\"}"); /* another one is answered meanwhile */
    EI_TRUE(json_is_true(json_object_get(reply, "ok")));
    json_decref(reply);
    while (service_line(fd) != NULL && recv(fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) != 0) {
        if (--sent < 0) { /* many fewer replies than bytes were sent */
            break;
        }
        if (recv(fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
            break; /* what was owed has come */
        }
    }
    close(fd);
    check_unhurt();
}

EI_TEST(control_takes_many_connections)
{
    int fds[200];
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    for (int i = 0; i < 200; i++) {
        fds[i] = service_connect(&service);
        if (i % 3 == 0) {
            (void)service_send(fds[i], "{\"command\":\"list\"", 17);
        }
    }
    json_t *reply = service_ask(&service, "{\"command\":\"list\"}");
    EI_TRUE(json_is_true(json_object_get(reply, "ok")));
    json_decref(reply);
    int open = 0;
    for (int i = 0; i < 200; i++) {
        open += recv(fds[i], &(char){0}, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
        close(fds[i]);
    }
    EI_TRUEF(open < 16, "%d of 200 connections are still held", open);
    check_unhurt();
}

/* ---- who may ---- */

/* What another user gets: a line of the service into out, or "" when the connection is refused by the kernel. */
static bool ask_as(uid_t uid, gid_t gid, const gid_t *more, size_t more_count, char *out, size_t size)
{
    int ends[2];
    if (pipe(ends) != 0 || chmod(ei_test_tmpdir(), 0755) != 0) {
        return false;
    }
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        static const char request[] = "{\"command\":\"list\"}\n";
        if (setgroups(more_count, more) != 0 || setgid(gid) != 0 || setuid(uid) != 0) {
            _exit(1);
        }
        const int fd = service_connect(&service);
        (void)service_send(fd, request, sizeof request - 1);
        const char *line = fd >= 0 ? service_line(fd) : NULL;
        line = line != NULL ? line : "";
        _exit(write(ends[1], line, strlen(line)) == (ssize_t)strlen(line) ? 0 : 2);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t n; length < size - 1 && (n = read(ends[0], out + length, size - 1 - length)) > 0;) {
        length += (size_t)n;
    }
    out[length] = '\0';
    close(ends[0]);
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

EI_TEST(control_refuses_another_user_and_counts)
{
    static char said[65536];
    struct stat found;
    if (getuid() != 0) {
        ei_test_skip("this process may not change its user");
    }
    /* the permissions let everybody in: the service still looks who it is */
    EI_REQUIRE(service_start(&service, serve_text, (const char *[]){"--socket-mode", "666", NULL}, false));
    EI_TRUE(stat(service.socket, &found) == 0 && (found.st_mode & 0777) == 0666);
    for (int i = 0; i < 12; i++) {
        EI_TRUE(ask_as(NOBODY, NOBODY, NULL, 0, said, sizeof said));
        EI_CONTAINS(said, "\"code\":\"forbidden\"");
    }
    json_t *reply = service_ask(&service, "{\"command\":\"list\"}");
    EI_EQ(json_integer_value(json_object_get(reply, "refused_connections")), 12);
    json_decref(reply);
    check_unhurt();
    EI_TRUE(wait_for_text(in_tmpdir("output.txt"), "<4>control: refused user 65534", 1000));
}

EI_TEST(control_lets_the_group_in)
{
    static char said[65536];
    struct stat found;
    const struct group *group = getgrnam("daemon");
    if (getuid() != 0 || group == NULL) {
        ei_test_skip("this process may not change its user, or there is no group daemon");
    }
    const gid_t gid = group->gr_gid;
    EI_REQUIRE(service_start(&service, serve_text, (const char *[]){"--socket-group", "daemon", NULL}, false));
    EI_TRUE(stat(service.socket, &found) == 0 && (found.st_mode & 0777) == 0660 && found.st_gid == gid);
    EI_TRUE(ask_as(NOBODY, gid, NULL, 0, said, sizeof said));
    EI_CONTAINS(said, "\"ok\":true");
    EI_TRUE(ask_as(NOBODY, NOBODY, &gid, 1, said, sizeof said));
    EI_CONTAINS(said, "\"ok\":true");
    check_unhurt();
}

EI_TEST(control_socket_of_a_dead_service_is_replaced_and_of_a_live_one_is_not)
{
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    char second[1024];
    snprintf(second, sizeof second, "'%s/einet' serve --config '%s' --socket '%s' 2>&1", ei_test_build_dir(),
             service.file, service.socket);
    static char said[8192];
    FILE *pipe = popen(second, "r");
    EI_REQUIRE(pipe != NULL);
    said[fread(said, 1, sizeof said - 1, pipe)] = '\0';
    EI_EQ(WEXITSTATUS(pclose(pipe)), 1);
    EI_CONTAINS(said, "a service listens at");
    expect("list", 0, "robot: running");
    EI_EQ(kill(service.pid, SIGKILL), 0);
    EI_EQ(service_wait(&service)->status, 128 + SIGKILL);
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    check_unhurt();
}

/* What a change leaves without a guarantee reaches who asked for it, and the log. */
EI_TEST(control_passes_on_what_admission_warns_of)
{
    static char edited[1024];
    static const char text[] =
        "version: 1\nname: warned\nrun: { duration: 1s, start_delay: 10ms, seed: 1 }\n"
        "platform: { watchdog: 0 }\nscheduler: { admission: warn }\ntasks:\n"
        "  - { name: law, arrival: { model: periodic, period: 100ms }, deadline: 60ms, priority: 40, cpus: \"0\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 10ms } } ] }\n";
    EI_REQUIRE(service_start(&service, text, NULL, false));
    json_t *reply = service_ask(&service, "{\"command\":\"set\",\"task\":\"law\",\"deadline_ns\":50000000}");
    EI_TRUE(json_is_true(json_object_get(reply, "ok")) && json_object_get(reply, "warnings") == NULL);
    json_decref(reply);
    reply = service_ask(&service, "{\"command\":\"set\",\"task\":\"law\",\"deadline_ns\":5000000}");
    EI_TRUE(json_is_true(json_object_get(reply, "ok")));
    EI_CONTAINS(json_string_value(json_array_get(json_object_get(reply, "warnings"), 0)), "'law'");
    json_decref(reply);
    reply = service_ask(&service, "{\"command\":\"reload\"}");
    EI_TRUE(json_is_true(json_object_get(reply, "ok")) && json_object_get(reply, "warnings") == NULL);
    json_decref(reply);
    char *shorter = strstr(strcpy(edited, text), "deadline: 60ms");
    memcpy(shorter, "deadline: 06ms", strlen("deadline: 06ms"));
    (void)write_file("service.yaml", edited);
    reply = service_ask(&service, "{\"command\":\"reload\"}");
    EI_CONTAINS(json_string_value(json_array_get(json_object_get(reply, "warnings"), 0)), "'law'");
    json_decref(reply);
    char command[700], said[1024]; /* not over a file that the service's output is in */
    snprintf(command, sizeof command, "%s/einet ctl --socket %s set law deadline=7ms 2>&1", ei_test_build_dir(),
             service.socket);
    FILE *ctl = popen(command, "r");
    EI_REQUIRE(ctl != NULL);
    said[fread(said, 1, sizeof said - 1, ctl)] = '\0';
    EI_EQ(pclose(ctl), 0);
    EI_CONTAINS(said, "einet ctl: done, but admission warns: ");
    const struct finished *f = service_end(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    const char *first = strstr(f->output, "<4>admission: ");
    EI_TRUEF(first != NULL && strstr(first + 1, "<4>admission: ") != NULL, "%s", f->output);
}

EI_MAIN()
