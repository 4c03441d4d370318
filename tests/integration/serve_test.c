/* einet serve as a manager of services has it: ready, watchdog, drain, stop, lines for the journal. */
#include "tests/harness/harness.h"
#include "tests/integration/serve_play.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct service service;

/* Every line of the log begins with a level, and nothing else is there. */
static void check_levels(const char *output)
{
    int lines = 0;
    for (const char *at = output; *at != '\0'; lines++) {
        const char *end = strchr(at, '\n');
        EI_REQUIRE(end != NULL);
        EI_TRUEF(at[0] == '<' && at[1] >= '3' && at[1] <= '6' && at[2] == '>' &&
                     memchr(at, '\r', (size_t)(end - at)) == NULL,
                 "%.*s", (int)(end - at), at);
        at = end + 1;
    }
    EI_TRUE(lines >= 4);
}

EI_TEST(serve_says_ready_and_stopping_and_drains_at_sigterm)
{
    EI_REQUIRE(service_start(&service, serve_text, NULL, true));
    EI_EQ(service_told(&service, "READY=1"), 1); /* it is said before the line that was waited for */
    for (int i = 0; i < 20; i++) {
        json_t *reply = service_ask(&service, "{\"command\":\"release\",\"task\":\"camera\"}");
        EI_TRUE(json_is_true(json_object_get(reply, "ok")));
        json_decref(reply);
    }
    const struct finished *f = service_end_told(&service);
    check_levels(f->output);
    EI_CONTAINS(f->output, "<6>starting robot with 3 tasks");
    EI_CONTAINS(f->output, "<5>Terminated: draining, for 10 s at most");
    EI_CONTAINS(f->output, " 0 aborted, 0 skipped, 0 dropped");
    EI_TRUE(strstr(f->output, "stopping") == NULL);
}

/* One thread alone is held: the main thread goes on and replies, and yet nothing feeds the watchdog. */
EI_TEST(serve_watchdog_is_fed_by_the_scheduler_alone)
{
    EI_REQUIRE(service_start(&service, serve_text, NULL, true));
    service_check_watchdog(&service, "einet");
    const struct finished *f = service_end(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
}

/* Sixty jobs of 200 ms wait: draining would take 12 s. */
static const char slow_text[] =
    "version: 1\nname: slow\nrun: { duration: 1s, start_delay: 10ms, seed: 1 }\n"
    "platform: { watchdog: 0 }\ntasks:\n"
    "  - { name: slow, arrival: { model: external, min_interarrival: 100us }, class: other,\n"
    "      late_release: { queue: 64, drop: newest },\n"
    "      stages: [ { name: w, kind: cpu, work: { spin: 200ms } } ] }\n";

static bool start_slow_jobs(const char *const *more)
{
    if (!service_start(&service, slow_text, more, false)) {
        return false;
    }
    for (int i = 0; i < 60; i++) {
        json_t *reply = service_ask(&service, "{\"command\":\"release\",\"task\":\"slow\"}");
        EI_TRUE(json_is_true(json_object_get(reply, "ok")));
        json_decref(reply);
    }
    return true;
}

EI_TEST(serve_stops_what_the_drain_limit_cuts_off)
{
    EI_REQUIRE(start_slow_jobs((const char *[]){"--drain-limit", "100ms", NULL}));
    const struct finished *f = service_end(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "draining, for 0.1 s at most");
    EI_CONTAINS(f->output, "the drain limit has passed: stopping");
    EI_TRUEF(strstr(f->output, " 0 dropped") == NULL, "%s", f->output);
}

EI_TEST(serve_stops_at_a_second_signal)
{
    EI_REQUIRE(start_slow_jobs((const char *[]){"--drain-limit", "1000s", NULL}));
    EI_EQ(kill(service.pid, SIGTERM), 0);
    EI_TRUE(wait_for_text(in_tmpdir("output.txt"), "draining", 20000));
    EI_EQ(kill(service.pid, SIGINT), 0);
    const struct finished *f = service_wait(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "a second signal: stopping");
    EI_TRUEF(strstr(f->output, " 0 dropped") == NULL, "%s", f->output);
}

EI_TEST(serve_needs_no_socket_and_writes_files_when_asked)
{
    char file[256], out[256];
    snprintf(file, sizeof file, "%s", write_file("service.yaml", serve_text));
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    const pid_t pid = einet_start((const char *[]){"serve", "--config", file, "--out", out, NULL});
    EI_TRUE(wait_for_text(in_tmpdir("output.txt"), ">running\n", 60000));
    EI_EQ(kill(pid, SIGTERM), 0);
    const struct finished *f = einet_wait(pid);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    json_decref(summary);
}

static void expect(int status, const char *fragment, const char *const *args)
{
    const struct finished *f = einet_run(args);
    EI_TRUEF(f->status == status, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, fragment);
}

EI_TEST(serve_that_cannot_start_says_why)
{
    char file[256], plain[256], broken[256], frames[256];
    snprintf(file, sizeof file, "%s", write_file("service.yaml", serve_text));
    snprintf(plain, sizeof plain, "%s", write_file("plain", "no socket"));
    snprintf(broken, sizeof broken, "%s", write_file("broken.yaml", "version: 1\nname: x\ntask: []\n"));
    snprintf(frames, sizeof frames, "%s",
             write_file("frames.yaml", "version: 1\nname: x\ntasks:\n  - { name: eye, arrival: { model: external, "
                                       "min_interarrival: 1s }, input: { kind: caller, width: 8, height: 8 },\n"
                                       "      stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n"));
    expect(1, "which workload file?", (const char *[]){"serve", NULL});
    expect(1, "octal permissions", (const char *[]){"serve", "--config", file, "--socket-mode", "rw", NULL});
    expect(1, "there is no group",
           (const char *[]){"serve", "--config", file, "--socket-group", "no-such-group", NULL});
    expect(1, "--drain-limit wants a time", (const char *[]){"serve", "--config", file, "--drain-limit", "10", NULL});
    expect(2, "broken.yaml:3:", (const char *[]){"serve", "--config", broken, NULL});
    expect(1, "task 'eye' gets its pictures from a program", (const char *[]){"serve", "--config", frames, NULL});
    expect(1, "is there and is no socket", (const char *[]){"serve", "--config", file, "--socket", plain, NULL});
    expect(5, "cannot make the socket", (const char *[]){"serve", "--config", file, "--socket", "/none/such/c", NULL});
}

/* The service's file with other words in it; false when it has them not. */
static bool edit_text(const char *from_text, const char *from, const char *to)
{
    static char text[8192];
    const char *at = strstr(from_text, from);
    if (!EI_TRUEF(at != NULL, "no %s", from)) {
        return false;
    }
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - from_text), from_text, to, at + strlen(from));
    (void)write_file("service.yaml", text);
    return true;
}

static bool edit_file(const char *from, const char *to)
{
    return edit_text(serve_text, from, to);
}

static json_t *reload(bool is_ok)
{
    json_t *reply = service_ask(&service, "{\"command\":\"reload\"}");
    EI_TRUE(json_is_true(json_object_get(reply, "ok")) == is_ok);
    return reply;
}

static int64_t of_camera(const char *key)
{
    json_t *entry = service_task(&service, "camera");
    const int64_t value = json_integer_value(json_object_get(entry, key));
    json_decref(entry);
    return value;
}

EI_TEST(serve_reloads_its_file)
{
    EI_REQUIRE(service_start(&service, serve_text, NULL, true));
    EI_EQ(service_told(&service, "READY=1"), 1);
    EI_REQUIRE(edit_file("priority: 40", "priority: 44"));
    json_t *reply = reload(true);
    EI_EQ(json_integer_value(json_object_get(reply, "changed")), 1);
    json_decref(reply);
    EI_EQ(of_camera("priority"), 44);
    /* A file with a fault: refused with the reason, and all goes on. */
    EI_REQUIRE(edit_file("watchdog: 0", "watchdgo: 0"));
    reply = reload(false);
    EI_CONTAINS(json_string_value(json_object_get(reply, "error")), "service.yaml:4: unknown key 'watchdgo'");
    json_decref(reply);
    EI_EQ(of_camera("priority"), 44);
    EI_EQ(of_camera("changes"), 1);
    /* SIGHUP does the same. */
    EI_REQUIRE(edit_file("deadline: 10s", "deadline: 9s"));
    (void)service_told(&service, "READY=1");
    EI_EQ(kill(service.pid, SIGHUP), 0);
    service_await_told(&service, "READY=1");
    EI_TRUE(of_camera("deadline_ns") == 9000000000 && of_camera("priority") == 40);
    const struct finished *f = service_end(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "reload refused, all goes on as before");
    EI_CONTAINS(f->output, "unknown key 'watchdgo'");
    EI_CONTAINS(f->output, ": 1 tasks changed");
    EI_CONTAINS(f->output, " 0 aborted, ");
}

/* What cannot change while the tasks go on: another run takes over. One that cannot start leaves all as it is. */
EI_TEST(serve_hands_over_to_a_run_with_the_new_file)
{
    EI_REQUIRE(service_start(&service, serve_text, NULL, true));
    EI_EQ(service_told(&service, "READY=1"), 1);
    EI_REQUIRE(edit_file("priority: 60,", "priority: 60, cpus: \"900\","));
    json_t *reply = reload(true);
    EI_TRUE(json_is_true(json_object_get(reply, "takes_over")));
    json_decref(reply);
    service_await_told(&service, "READY=1");
    EI_EQ(of_camera("priority"), 40);
    EI_REQUIRE(edit_file("min_interarrival: 5ms }, deadline: 10s, priority: 40",
                         "min_interarrival: 6ms }, deadline: 10s, priority: 43"));
    reply = reload(true);
    EI_TRUE(json_is_true(json_object_get(reply, "takes_over")));
    json_decref(reply);
    service_await_told(&service, "READY=1");
    EI_EQ(of_camera("priority"), 43);
    reply = service_ask(&service, "{\"command\":\"release\",\"task\":\"camera\"}");
    EI_TRUE(json_is_true(json_object_get(reply, "ok")));
    json_decref(reply);
    const struct finished *f = service_end(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "reload refused, all goes on as before");
    EI_CONTAINS(f->output, "another run has taken over, the old one drains");
    EI_CONTAINS(f->output, " 0 aborted, ");
}

/* What `einet top` says of the service: the state of its run, and of one task. */
static void expect_top(const char *state, const char *task, const char *task_state)
{
    char pid[16];
    size_t i;
    json_t *entry;
    snprintf(pid, sizeof pid, "%d", (int)service.pid);
    for (int tries = 0;; tries++) { /* figures come four times a second */
        const struct finished *f = einet_run((const char *[]){"top", pid, "--once", "--json", NULL});
        json_t *view = json_loads(f->output, 0, NULL);
        bool is_so =
            f->status == 0 && view != NULL && strcmp(json_string_value(json_object_get(view, "state")), state) == 0;
        json_array_foreach(json_object_get(view, "tasks"), i, entry)
        {
            is_so = is_so && (strcmp(json_string_value(json_object_get(entry, "name")), task) != 0 ||
                              strcmp(json_string_value(json_object_get(entry, "state")), task_state) == 0);
        }
        json_decref(view);
        if (is_so || tries == 100) {
            EI_TRUEF(is_so, "not %s with %s %s: status %d, %s", state, task, task_state, f->status, f->output);
            return;
        }
        sleep_ms(50);
    }
}

EI_TEST(top_shows_a_paused_task_and_of_two_runs_the_one_that_goes_on)
{
    EI_REQUIRE(start_slow_jobs((const char *[]){"--drain-limit", "1000s", NULL}));
    expect_top("running", "slow", "active");
    EI_REQUIRE(edit_text(slow_text, "100us", "200us"));
    json_decref(reload(true));
    sleep_ms(100);
    expect_top("running", "slow", "idle"); /* the new run, which has no job; the old one drains for seconds */
    json_decref(service_ask(&service, "{\"command\":\"pause\",\"task\":\"slow\"}"));
    expect_top("running", "slow", "paused");
    json_decref(service_ask(&service, "{\"command\":\"resume\",\"task\":\"slow\"}"));
    expect_top("running", "slow", "idle");
    for (int i = 0; i < 20; i++) {
        json_decref(service_ask(&service, "{\"command\":\"release\",\"task\":\"slow\"}"));
    }
    EI_EQ(kill(service.pid, SIGTERM), 0);
    expect_top("ending", "slow", "active");
    EI_EQ(kill(service.pid, SIGTERM), 0); /* the rest is dropped */
    (void)service_wait(&service);
}

/* Who watches sees the new run go on where the old one ends, and the end of the service. */
EI_TEST(top_goes_over_to_the_run_that_takes_over)
{
    char command[600];
    static char line[65536];
    bool has_gone_over = false;
    int64_t before_ns = INT64_MIN;
    EI_REQUIRE(service_start(&service, serve_text, NULL, false));
    snprintf(command, sizeof command, "%s/einet top %d --json --interval 100ms 2>/dev/null", ei_test_build_dir(),
             (int)service.pid);
    FILE *top = popen(command, "r");
    EI_REQUIRE(top != NULL);
    for (int looks = 0; fgets(line, sizeof line, top) != NULL; looks++) {
        json_t *view = json_loads(line, 0, NULL);
        const int64_t elapsed_ns = json_integer_value(json_object_get(view, "elapsed_ns"));
        if (looks == 3) {
            (void)edit_file("min_interarrival: 5ms", "min_interarrival: 6ms");
            json_decref(reload(true));
        }
        if (elapsed_ns < before_ns && !has_gone_over) {
            has_gone_over = true;
            EI_EQ(kill(service.pid, SIGTERM), 0);
        }
        before_ns = elapsed_ns;
        json_decref(view);
        if (looks == 600 && !has_gone_over) {
            break;
        }
    }
    if (!EI_TRUE(has_gone_over)) {
        EI_EQ(kill(service.pid, SIGKILL), 0);
    }
    EI_EQ(pclose(top), 0);
    (void)service_wait(&service);
}

/* The jobs of the old run have their drain limit, also when the new one has nothing to do and ends first. */
EI_TEST(serve_that_is_told_to_end_lets_the_old_run_drain)
{
    EI_REQUIRE(start_slow_jobs((const char *[]){"--drain-limit", "1000s", NULL}));
    EI_REQUIRE(edit_text(slow_text, "100us", "200us"));
    json_t *reply = reload(true);
    EI_TRUE(json_is_true(json_object_get(reply, "takes_over")));
    json_decref(reply);
    reply = service_ask(&service, "{\"command\":\"reload\"}"); /* until the old run has ended */
    EI_STREQ(json_string_value(json_object_get(reply, "code")), "busy");
    json_decref(reply);
    EI_TRUE(wait_for_text(in_tmpdir("output.txt"), "another run has taken over", 60000));
    const struct finished *f = service_end(&service);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "the old run ended: 60 jobs completed");
}

EI_TEST(unit_of_systemd_is_sound)
{
    check_unit("einet", "einet");
}

EI_MAIN()
