/* einet top beside runs: while they go on, after their end, after their death, and on a terminal.
 */
#include "tests/integration/command.h"
#include "tests/integration/live_run.h"

#include "metrics/board.h"
#include "rt/shared_memory.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *text_of(pid_t pid)
{
    static char texts[4][32];
    static int next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof texts[0], "%d", (int)pid);
    return text;
}

static int64_t number(const json_t *object, const char *key)
{
    EI_TRUEF(json_is_integer(json_object_get(object, key)), "no number '%s'", key);
    return json_integer_value(json_object_get(object, key));
}

/* The last line of a file of JSON lines. */
static json_t *last_object(const char *name)
{
    static char text[1024 * 1024];
    FILE *file = fopen(in_tmpdir(name), "re");
    json_t *last = NULL;
    if (!EI_TRUEF(file != NULL, "no %s", name)) {
        return NULL;
    }
    while (fgets(text, sizeof text, file) != NULL) {
        json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        if (object != NULL) { /* the closing words on standard error are none */
            json_decref(last);
            last = object;
        }
    }
    fclose(file);
    return last;
}

/* ---- on a terminal ---- */

static char page[256 * 1024];

/* Run einet top in a terminal of rows x 40, press q after the first whole page, and keep all that it wrote. */
static int on_terminal(pid_t pid, bool has_colour)
{
    const struct winsize size = {.ws_row = 6, .ws_col = 40};
    char program[512];
    int terminal, status = -1;
    size_t used = 0;
    bool is_typed = false;
    snprintf(program, sizeof program, "%s/einet", ei_test_build_dir());
    fflush(NULL);
    const pid_t top = forkpty(&terminal, NULL, NULL, &size);
    if (top == 0) {
        setenv("TERM", "xterm", 1);
        if (has_colour) {
            unsetenv("NO_COLOR");
        } else {
            setenv("NO_COLOR", "1", 1);
        }
        execl(program, program, "top", text_of(pid), (char *)NULL);
        _exit(127);
    }
    for (ssize_t got = 1; got > 0 && used<sizeof page - 1; used += got> 0 ? (size_t)got : 0) {
        page[used] = '\0';
        if (!is_typed && strstr(page, "\033[J") != NULL) {
            is_typed = write(terminal, "xq", 2) == 2;
        }
        got = read(terminal, page + used, sizeof page - 1 - used); /* EIO when the other side is closed */
    }
    page[used] = '\0';
    close(terminal);
    EI_EQ(waitpid(top, &status, 0), top);
    EI_TRUE(is_typed);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Longest line of the first page, without the sequences that colour it. */
static int page_width(void)
{
    int longest = 0, column = 0;
    const char *end = strstr(page, "\033[J");
    for (const char *at = strstr(page, "\033[H"); at != NULL && at < end; at++) {
        if (*at == '\033') {
            at += strcspn(at + 2, "mKHhlJ") + 2;
        } else if (*at == '\n' || *at == '\r') {
            column = 0;
        } else {
            longest = ++column > longest ? column : longest;
        }
    }
    return longest;
}

static void check_terminal(pid_t pid)
{
    EI_EQ(on_terminal(pid, true), 0);
    const char *first = strstr(page, "\033[?1049h"), *last = strstr(page, "\033[?1049l");
    EI_REQUIRE(first != NULL && last != NULL);
    EI_TRUE(first < last);
    EI_CONTAINS(page, "\033[?25h"); /* the cursor is back */
    EI_CONTAINS(last, "camera");    /* the last figures stay */
    EI_CONTAINS(page, "\033[32mrunning");
    EI_IN(page_width(), 30, 40);
    EI_EQ(on_terminal(pid, false), 0);
    EI_TRUE(strstr(page, "\033[32m") == NULL && strstr(page, "\033[1m") == NULL);
    EI_CONTAINS(page, "running");
}

/* ---- beside a run ---- */

EI_TEST(top_follows_a_run_to_its_end)
{
    static const char *const keys[][2] = {{"released", "released"},
                                          {"misses", "misses"},
                                          {"skipped", "skipped"},
                                          {"dropped", "dropped"},
                                          {"aborted", "aborted"}};
    char out[512];
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    const pid_t pid =
        live_start((const char *[]){"run", LIVE_VIEW, "--out", out, "--metrics", "none", NULL}, "run.txt");
    json_t *figures = live_await(pid);
    EI_REQUIRE(figures != NULL);
    EI_STREQ(json_string_value(json_object_get(figures, "name")), "live-view");
    EI_EQ(number(figures, "pid"), pid);
    EI_EQ(json_array_size(json_object_get(live_task(figures, "camera"), "exits")), 2);
    EI_EQ(number(live_task(figures, "late"), "misses"), number(live_task(figures, "late"), "completed"));
    EI_TRUE(number(live_task(figures, "late"), "p50_response_ns") >= 300000);
    EI_STREQ(json_string_value(json_object_get(json_array_get(json_object_get(figures, "lanes"), 0), "name")), "lane0");
    const struct finished *f = einet_run((const char *[]){"top", text_of(pid), "--once", NULL});
    EI_EQ(f->status, 0);
    EI_CONTAINS(f->output, "live-view  pid ");
    EI_CONTAINS(f->output, "lane0");
    EI_CONTAINS(f->output, "machine noise");
    EI_TRUE(strchr(f->output, '\033') == NULL);
    check_terminal(pid);
    const pid_t follower =
        live_start((const char *[]){"top", text_of(pid), "--json", "--interval", "100ms", NULL}, "top.txt");
    EI_TRUE(wait_for_text(in_tmpdir("top.txt"), "\"state\":\"running\"", 60000));
    EI_EQ(live_end(pid), 0);
    f = einet_wait(follower);
    EI_EQ(f->status, 0);
    json_t *last = last_object("top.txt");
    json_t *summary = read_summary(out);
    EI_REQUIRE(last != NULL && summary != NULL);
    EI_STREQ(json_string_value(json_object_get(last, "state")), "ended");
    EI_EQ(number(last, "end_signal"), SIGINT);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"control", "late", "camera"};
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            EI_TRUEF(number(live_task(last, names[i]), keys[k][0]) == task_integer(summary, names[i], keys[k][1]),
                     "%s of %s differ", keys[k][0], names[i]);
        }
    }
    EI_EQ(einet_run((const char *[]){"top", text_of(pid), "--once", NULL})->status, 1); /* it left nothing */
    json_decref(figures);
    json_decref(last);
    json_decref(summary);
}

/* The workload under a name of this process alone. */
static const char *write_named(const char *name)
{
    char workload[8192] = "", line[64];
    FILE *file = fopen(LIVE_VIEW, "re");
    if (!EI_TRUE(file != NULL)) {
        return "";
    }
    workload[fread(workload, 1, sizeof workload - 1, file)] = '\0';
    fclose(file);
    char *at = strstr(workload, "name: live-view");
    snprintf(line, sizeof line, "name: %-9s", name); /* as long as before */
    memcpy(at, line, strlen("name: live-view"));
    return write_file("named.yaml", workload);
}

static void kill_run(pid_t pid)
{
    int status;
    EI_EQ(kill(pid, SIGKILL), 0);
    EI_EQ(waitpid(pid, &status, 0), pid);
}

static bool has_segment(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/einet-%d", (int)pid);
    return access(path, R_OK) == 0;
}

EI_TEST(top_tells_several_runs_and_dead_ones_apart)
{
    char name[32], path[512];
    snprintf(name, sizeof name, "t%d", (int)getpid() % 10000000);
    snprintf(path, sizeof path, "%s", write_named(name));
    const pid_t first =
        live_start((const char *[]){"run", path, "--out", in_tmpdir("a"), "--metrics", "none", NULL}, "a.txt");
    const pid_t second =
        live_start((const char *[]){"run", path, "--out", in_tmpdir("b"), "--metrics", "none", NULL}, "b.txt");
    json_t *a = live_await(first), *b = live_await(second);
    EI_REQUIRE(a != NULL && b != NULL);
    EI_TRUE(has_segment(first) && has_segment(second));
    const struct finished *f = einet_run((const char *[]){"top", name, NULL});
    EI_EQ(f->status, 1);
    EI_CONTAINS(f->output, text_of(first));
    EI_CONTAINS(f->output, text_of(second));
    EI_CONTAINS(f->output, "several runs");
    f = einet_run((const char *[]){"top", name, "--json", NULL});
    EI_CONTAINS(f->output, "{\"runs\":[{\"pid\":");
    /* One is killed while somebody looks on. */
    const pid_t follower = live_start((const char *[]){"top", text_of(first), "--interval", "100ms", NULL}, "top.txt");
    EI_TRUE(wait_for_text(in_tmpdir("top.txt"), name, 60000));
    kill_run(first);
    EI_EQ(einet_wait(follower)->status, 5);
    EI_TRUE(wait_for_text(in_tmpdir("top.txt"), "died; its figures are", 100));
    EI_TRUE(wait_for_text(in_tmpdir("top.txt"), "camera", 100));
    EI_TRUE(!has_segment(first));
    f = einet_run((const char *[]){"top", name, "--once", NULL}); /* the only one now */
    EI_EQ(f->status, 0);
    EI_CONTAINS(f->output, text_of(second));
    /* What the other one leaves is shown to who comes later, and removed. */
    kill_run(second);
    f = einet_run((const char *[]){"top", name, NULL});
    EI_TRUE(!has_segment(second));
    if (f->status != 1) { /* else somebody else's command on this machine has removed it before us */
        EI_EQ(f->status, 5);
        EI_CONTAINS(f->output, "died");
        EI_CONTAINS(f->output, "camera");
    }
    f = einet_run((const char *[]){"top", name, NULL});
    EI_EQ(f->status, 1);
    EI_CONTAINS(f->output, "no run");
    json_decref(a);
    json_decref(b);
}

EI_TEST(top_refuses_wrong_arguments)
{
    static const struct {
        const char *args[5];
        const char *says;
    } cases[] = {{{"top", "999999999", NULL}, "no run '999999999'"},
                 {{"top", "no-such-workload", NULL}, "no run 'no-such-workload'"},
                 {{"top", "--interval", "1ms", NULL}, "at least 100ms"},
                 {{"top", "--interval", "1", NULL}, "at least 100ms"},
                 {{"top", "--fast", NULL}, "unknown option"},
                 {{"top", "1", "2", NULL}, "one run only"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct finished *f = einet_run(cases[i].args);
        EI_EQ(f->status, 1);
        EI_CONTAINS(f->output, cases[i].says);
    }
    EI_EQ(einet_run((const char *[]){"top", "--help", NULL})->status, 0);
}

EI_TEST(top_refuses_foreign_and_malformed_segments)
{
    struct ei_shared_memory shm;
    struct einet_error err = {0};
    const char *self = text_of(getpid());
    /* another version */
    EI_REQUIRE(ei_shared_memory_create(&shm, EI_BOARD_PREFIX, EI_BOARD_VERSION + 1, sizeof(struct ei_board), &err) ==
               0);
    ei_shared_memory_offer(&shm);
    const struct finished *f = einet_run((const char *[]){"top", self, NULL});
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "another version of einet");
    ei_shared_memory_close(&shm);
    /* our version, and figures that nobody can have */
    EI_REQUIRE(ei_shared_memory_create(&shm, EI_BOARD_PREFIX, EI_BOARD_VERSION, sizeof(struct ei_board), &err) == 0);
    const struct ei_board_run run = {.name = "\033[2Jevil", .pid = getpid(), .task_count = 1000000};
    ei_board_set_run(shm.payload, &run);
    ei_shared_memory_offer(&shm);
    f = einet_run((const char *[]){"top", self, NULL});
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "malformed");
    EI_TRUE(strchr(f->output, '\033') == NULL);
    ei_shared_memory_close(&shm);
    /* no segment at all, and a cut one */
    char name[64], bytes[200];
    memset(bytes, 0x5a, sizeof bytes);
    snprintf(name, sizeof name, "/einet-%d", (int)getpid());
    const int fd = shm_open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    EI_EQ(write(fd, bytes, sizeof bytes), sizeof bytes);
    close(fd);
    f = einet_run((const char *[]){"top", self, NULL});
    EI_EQ(f->status, 2);
    EI_CONTAINS(f->output, "no segment of einet");
    shm_unlink(name);
}

/* A run of the library that goes on until its program ends it: no planned duration is shown, in any form. */
/* Two runs of one name, of which one is degraded: their list says which. */
EI_TEST(top_lists_which_runs_are_degraded)
{
    struct ei_shared_memory shm[2];
    struct einet_error err = {0};
    char name[32];
    snprintf(name, sizeof name, "pair%d", (int)getpid());
    for (int i = 0; i < 2; i++) {
        EI_REQUIRE(ei_shared_memory_create(&shm[i], EI_BOARD_PREFIX, EI_BOARD_VERSION, sizeof(struct ei_board), &err) ==
                   0);
        struct ei_board_run run = {
            .pid = getpid(), .phase = EI_BOARD_RUNNING, .duration_ns = 9000000000, .degraded_count = i};
        snprintf(run.name, sizeof run.name, "%s", name);
        snprintf(run.degraded_reason, sizeof run.degraded_reason, "%s", i == 1 ? "no right" : "");
        /* so that neither is the other's successor */
        run.elapsed_ns = 1000000000;
        ei_board_set_run(shm[i].payload, &run);
        ei_shared_memory_offer(&shm[i]);
    }
    const struct finished *f = einet_run((const char *[]){"top", name, "--once", NULL});
    const char *flag = strstr(f->output, "  DEGRADED\n");
    EI_TRUEF(flag != NULL && strstr(flag + 4, "DEGRADED") == NULL, "one of two is degraded: %s", f->output);
    f = einet_run((const char *[]){"top", name, "--json", NULL});
    EI_CONTAINS(f->output, "\"degraded\":true}");
    EI_CONTAINS(f->output, "\"degraded\":false}");
    ei_shared_memory_close(&shm[0]);
    ei_shared_memory_close(&shm[1]);
}

EI_TEST(top_shows_no_duration_where_there_is_none)
{
    struct ei_shared_memory shm;
    struct einet_error err = {0};
    EI_REQUIRE(ei_shared_memory_create(&shm, EI_BOARD_PREFIX, EI_BOARD_VERSION, sizeof(struct ei_board), &err) == 0);
    struct ei_board_run run = {.name = "endless", .pid = getpid(), .phase = EI_BOARD_RUNNING};
    for (int i = 0; i < 2; i++) {
        run.duration_ns = i == 0 ? INT64_MAX : 7000000000;
        run.wakeups = i; /* of a probe, from which on its figures are figures */
        run.elapsed_ns = 2500000000;
        ei_board_set_run(shm.payload, &run);
        ei_shared_memory_offer(&shm);
        const struct finished *f = einet_run((const char *[]){"top", text_of(getpid()), "--once", NULL});
        EI_CONTAINS(f->output, i == 0 ? "running  2.5 s  " : "running  2.5 / 7.0 s  ");
        EI_CONTAINS(f->output, i == 0 ? "machine noise  not measured yet" : "machine noise  p99 0 ns  max 0 ns");
        f = einet_run((const char *[]){"top", text_of(getpid()), "--once", "--json", NULL});
        EI_CONTAINS(f->output, i == 0 ? "\"duration_ns\":null," : "\"duration_ns\":7000000000,");
    }
    ei_shared_memory_close(&shm);
}

EI_TEST(top_shows_that_a_run_is_degraded)
{
    if (getuid() != 0) {
        ei_test_skip("only root may become another user");
    }
    const pid_t pid = live_start_unprivileged(
        (const char *[]){"run", LIVE_VIEW, "--out", in_tmpdir("out"), "--metrics", "none", NULL}, "run.txt");
    int status;
    sleep_ms(200);
    if (waitpid(pid, &status, WNOHANG) == pid) {
        ei_test_skip("user nobody cannot execute %s/einet", ei_test_build_dir());
    }
    json_t *figures = live_await(pid);
    EI_REQUIRE(figures != NULL);
    EI_TRUE(json_is_object(json_object_get(figures, "degraded")));
    const struct finished *f = einet_run((const char *[]){"top", text_of(pid), "--once", NULL});
    EI_CONTAINS(f->output, "DEGRADED: asked for SCHED_FIFO");
    EI_CONTAINS(f->output, "the probe is no real-time thread");
    EI_TRUE(json_is_false(json_object_get(json_object_get(figures, "noise"), "is_probe_fifo")));
    (void)live_end(pid);
    json_decref(figures);
}

EI_MAIN()
