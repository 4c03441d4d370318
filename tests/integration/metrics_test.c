/* Live figures over HTTP: read by Prometheus's own parser, under attack, and refused when they cannot be served.
 */
#include "tests/integration/command.h"
#include "tests/integration/live_run.h"

#include "rt/loopback.h"
#include "tests/harness/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Start a run and tell where it serves. */
static pid_t start(const char *out, char *address, size_t size_bytes)
{
    char kept[512];
    snprintf(kept, sizeof kept, "%s", out); /* in_tmpdir's texts do not last */
    const pid_t pid = live_start((const char *[]){"run", LIVE_VIEW, "--out", kept, NULL}, "run.txt");
    json_t *figures = live_await(pid);
    const char *served = json_string_value(json_object_get(figures, "metrics"));
    snprintf(address, size_bytes, "%s", served != NULL ? served : "nowhere");
    EI_TRUEF(served != NULL, "the run serves nowhere");
    json_decref(figures);
    return pid;
}

/* Debian's own, which is where python3-prometheus-client goes, before any other. */
static const char *python(void)
{
    return access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
}

/* Run the client and return its exit status; its words in out_text. */
static int client(const char *what, const char *address, char out_text[8192])
{
    char command[512];
    snprintf(command, sizeof command, "exec %s tests/integration/metrics_client.py %s %s 2>&1", python(), what,
             address);
    FILE *pipe = popen(command, "re");
    EI_TRUE(pipe != NULL);
    out_text[pipe != NULL ? fread(out_text, 1, 8191, pipe) : 0] = '\0';
    const int status = pipe != NULL ? pclose(pipe) : -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void need_python(void)
{
    char command[128];
    snprintf(command, sizeof command, "%s -c pass >/dev/null 2>&1", python());
    if (system(command) != 0) {
        ei_test_skip("no python3 here");
    }
}

EI_TEST(metrics_are_what_prometheus_takes_also_under_attack)
{
    char address[128], out[512], said[8192];
    need_python();
    snprintf(out, sizeof out, "%s", in_tmpdir("out"));
    const pid_t pid = start(out, address, sizeof address);
    EI_TRUE(wait_for_text(in_tmpdir("run.txt"), "metrics on http://127.0.0.1:", 1000));
    int status = client("check", address, said);
    EI_TRUEF(status == 0, "%s", said);
    const bool has_parser = strstr(said, "whole") != NULL;
    status = client("attack", address, said);
    EI_TRUEF(status == 0, "%s", said);
    EI_EQ(live_end(pid), 0);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    json_decref(summary);
    if (!has_parser && ei_test_failures() == 0) {
        ei_test_skip("python3-prometheus-client is not installed");
    }
}

EI_TEST(metrics_that_cannot_be_served_stop_the_run_before_it_starts)
{
    char address[EI_LOOPBACK_TEXT_MAX];
    const int taken = ei_loopback_listen("127.0.0.1:0", address, NULL);
    EI_REQUIRE(taken >= 0);
    const struct finished *f =
        einet_run((const char *[]){"run", LIVE_VIEW, "--out", in_tmpdir("out"), "--metrics", address, "--quiet", NULL});
    EI_EQ(f->status, 5);
    EI_CONTAINS(f->output, "cannot listen on");
    EI_EQ(access(in_tmpdir("out"), F_OK), -1);
    close(taken);
    f = einet_run((const char *[]){"run", LIVE_VIEW, "--metrics", "0.0.0.0:9464", NULL});
    EI_EQ(f->status, 1);
    EI_CONTAINS(f->output, "not of this machine alone");
}

EI_MAIN()
