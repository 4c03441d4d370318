/* Tasks that are released from outside, as users drive them: lines through a named pipe or standard input, and a live
 * run played again in virtual time. */
#include "tests/integration/command.h"

#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char text[] = "version: 1\nname: outside\nrun: { duration: 2s, start_delay: 50ms, seed: 3 }\ntasks:\n"
                           "  - { name: door, arrival: { model: external, min_interarrival: 10ms }, late_release: { "
                           "queue: 64, drop: newest },\n"
                           "      stages: [ { name: w, kind: cpu, work: { spin: 200us } } ] }\n"
                           "  - { name: tick, arrival: { model: periodic, period: 20ms },\n"
                           "      stages: [ { name: w, kind: cpu, work: { spin: 200us } } ] }\n";

/* in_tmpdir and write_file lend their buffers for a few calls only. */
static const char *keep(const char *path)
{
    static char kept[16][256];
    static int next;
    char *out = kept[next++ % 16];
    snprintf(out, sizeof kept[0], "%s", path);
    return out;
}

struct door {
    int64_t count, last_ns, too_close, release_ns[256];
};

static void visit_door(const struct job_line *job, void *context)
{
    struct door *door = context;
    if (strcmp(job->task, "door") != 0 || door->count >= 256) {
        return;
    }
    door->too_close += door->count > 0 && job->release_ns < door->last_ns + 10000000;
    door->last_ns = job->release_ns;
    door->release_ns[door->count++] = job->release_ns;
}

static int64_t external_figure(json_t *summary, const char *task, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(summary_task(summary, task), "external"), key));
}

EI_TEST(lines_of_a_named_pipe_release_jobs_and_a_replay_has_the_same)
{
    const char *file = keep(write_file("outside.yaml", text)), *pipe = keep(in_tmpdir("pipe"));
    const char *out = keep(in_tmpdir("out")), *again = keep(in_tmpdir("again")),
               *jobs = keep(in_tmpdir("out/jobs.csv"));
    EI_REQUIRE(mkfifo(pipe, 0600) == 0);
    const pid_t pid = einet_start((const char *[]){"run", file, "--out", out, "--releases", pipe, "--quiet", NULL});
    EI_REQUIRE(wait_for_file(in_tmpdir("out/jobs.csv.partial"), 20000));
    for (int i = 0; i < 30; i++) { /* each line by a writer of its own, as `echo door > pipe` does */
        const int fd = open(pipe, O_WRONLY | O_NONBLOCK);
        const char *line = i == 7 ? "doors\n" : i == 9 ? "# note\n\ntick\n" : "door\n";
        EI_TRUE(fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line));
        close(fd);
        if (i % 3 == 0) {
            sleep_ms(15);
        }
    }
    const struct finished *f = einet_wait(pid);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, "pipe:8: there is no external task 'doors'");
    EI_CONTAINS(f->output, "pipe:12: there is no external task 'tick'");
    EI_CONTAINS(f->output, "2 lines of ");
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(external_figure(summary, "door", "asked"), 28);
    EI_EQ(external_figure(summary, "door", "refused"), 0);
    EI_TRUE(external_figure(summary, "door", "held_back") > 0);
    EI_EQ(task_integer(summary, "door", "expected") + external_figure(summary, "door", "unreleased"), 28);
    EI_TRUE(json_is_null(json_object_get(summary_task(summary, "tick"), "external")));
    struct door live = {0}, replay = {0};
    for_each_job(out, visit_door, &live);
    EI_EQ(live.count, task_integer(summary, "door", "expected"));
    EI_EQ(live.too_close, 0);
    json_decref(summary);

    f = einet_run((const char *[]){"simulate", file, "--releases", jobs, "--out", again, NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    for_each_job(again, visit_door, &replay);
    EI_EQ(replay.count, live.count);
    EI_TRUE(memcmp(replay.release_ns, live.release_ns, sizeof live.release_ns) == 0);
    summary = read_summary(again);
    EI_REQUIRE(summary != NULL);
    EI_EQ(external_figure(summary, "door", "held_back"), 0); /* the dates are those at which they were let in */
    json_decref(summary);
    f = einet_run((const char *[]){"simulate", file, "--releases", jobs, "--sweep",
                                   "tasks.door.arrival.min_interarrival=10ms,400ms", NULL});
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
}

EI_TEST(lines_of_standard_input_release_jobs)
{
    const char *file = keep(write_file("outside.yaml", text)), *out = keep(in_tmpdir("out"));
    int ends[2];
    EI_REQUIRE(pipe(ends) == 0);
    const int kept = dup(STDIN_FILENO);
    EI_REQUIRE(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    const char lines[] = "door\r\ndoor\ndoor"; /* the last one without its end */
    EI_TRUE(write(ends[1], lines, sizeof lines - 1) == (ssize_t)sizeof lines - 1);
    close(ends[1]);
    const struct finished *f =
        einet_run((const char *[]){"run", file, "--out", out, "--releases", "-", "--quiet", NULL});
    dup2(kept, STDIN_FILENO);
    close(kept);
    close(ends[0]);
    EI_TRUEF(f->status == 0, "status %d: %s", f->status, f->output);
    json_t *summary = read_summary(out);
    EI_REQUIRE(summary != NULL);
    check_identity(summary);
    EI_EQ(task_integer(summary, "door", "expected"), 3);
    json_decref(summary);
}

static void expect(int status, const char *fragment, const char *const *args)
{
    const struct finished *f = einet_run(args);
    EI_TRUEF(f->status == status, "status %d: %s", f->status, f->output);
    EI_CONTAINS(f->output, fragment);
}

EI_TEST(files_without_their_releases_are_refused_with_the_remedy)
{
    const char *file = keep(write_file("outside.yaml", text)), *out = keep(in_tmpdir("out"));
    const char *plain =
        keep(write_file("plain.yaml", "version: 1\nname: p\ntasks:\n"
                                      "  - { name: t, arrival: { model: periodic, period: 20ms },\n"
                                      "      stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ] }\n"));
    const char *csv = keep(write_file("bad.csv", "task,release_ms\ndoor,1\nwindow,2\n"));
    const char *good = keep(write_file("good.csv", "task,release_ms\ndoor,1\ndoor,2\ndoor,5000\n"));
    expect(1, "task 'door'", (const char *[]){"run", file, "--out", out, NULL});
    expect(1, "--releases FILE, or --releases - for standard input", (const char *[]){"run", file, "--out", out, NULL});
    expect(1, "cannot read releases from", (const char *[]){"run", file, "--out", out, "--releases", "no/file", NULL});
    expect(1, "it is a directory", (const char *[]){"run", file, "--out", out, "--releases", ".", NULL});
    expect(1, "has none", (const char *[]){"run", plain, "--out", out, "--releases", "-", NULL});
    expect(1, "say when, with --releases FILE", (const char *[]){"simulate", file, NULL});
    expect(1, "there is none in", (const char *[]){"simulate", plain, "--releases", good, NULL});
    expect(2, "bad.csv:3: ", (const char *[]){"simulate", file, "--releases", csv, NULL});
    expect(2, "no task 'window'", (const char *[]){"simulate", file, "--releases", csv, NULL});
    expect(0, "3 asked for from outside, 1 held back, 0 refused, 1 too late",
           (const char *[]){"simulate", file, "--releases", good, NULL});
    expect(0, "door", (const char *[]){"analyze", file, NULL}); /* as a sporadic task */
    EI_TRUE(access(out, F_OK) != 0);
}

EI_MAIN()
