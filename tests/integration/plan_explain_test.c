/* einet plan as people use it: reasons that can be checked by hand, files, and wrong use. */
#include "tests/harness/harness.h"
#include "tests/integration/command.h"
#include "tests/integration/plan_talk.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct finished *explain(const char *text)
{
    return einet_run((const char *[]){"plan", "--explain", write_file("problem.json", text), NULL});
}

static void check_columns(const char *text)
{
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        EI_TRUEF(length <= 80, "%zu columns: %.*s", length, (int)length, text);
        for (size_t i = 0; i < length; i++) {
            EI_TRUEF(text[i] >= ' ' && text[i] <= '~', "byte %d", text[i]);
        }
        text += length + (text[length] == '\n');
    }
}

EI_TEST(plan_explains_why_each_exit_is_taken_or_not)
{
    const struct finished *f = einet_run((const char *[]){"plan", "--explain", "examples/plan/deadline.json", NULL});
    EI_EQ(f->status, 0);
    check_columns(f->output);
    /* J = 0.5 * 980/1100 + 0.25 * 450/1100 + 0.05 * 10/1100 */
    EI_CONTAINS(f->output, "plan [0, 2, 3]\n3 of 5 exits, by search exact");
    EI_CONTAINS(f->output, "J of the plan      0.548182, no plan has a greater one");
    EI_CONTAINS(f->output, "J of all exits     0.519091");
    EI_CONTAINS(f->output, "J of static 50     0.302727");
    EI_CONTAINS(f->output, "   1      200.0       60.0      380.0       0.45   0.6545    -0.02909  skipped");
    EI_CONTAINS(f->output, "   3      400.0       40.0     1090.0        0.8   0.0091  +0.0004545  taken");
    EI_CONTAINS(f->output, "exit 0 taken: without it J 0.5482 -> 0.3218");
    EI_CONTAINS(f->output, "exit 1 skipped: no better than exit 0 (score 0.5, here 0.45)");
    EI_CONTAINS(f->output, "exit 2 taken: without it J 0.5482 -> 0.4564");
    EI_CONTAINS(f->output, "exit 4 skipped: is ready after the stop can have come (S = 0)");
    EI_CONTAINS(f->output, "\ntrunk    |======");
    EI_CONTAINS(f->output, "  S(t) 1 |****");

    f = einet_run((const char *[]){"plan", "--explain", "examples/plan/known-preemption.json", NULL});
    EI_EQ(f->status, 0);
    check_columns(f->output);
    EI_CONTAINS(f->output, "exit 2 skipped: taking it would delay exit 4 by 30.0 us: J 0.6497 -> 0.6134");

    f = einet_run((const char *[]){"plan", "--explain", "examples/plan/replan.json", NULL});
    EI_EQ(f->status, 0);
    check_columns(f->output);
    EI_CONTAINS(f->output, "on its way: 1 conv parts done, exits from 1 on open, 120.0 us elapsed,\nscore held 0.91");
    EI_CONTAINS(f->output, "past");
    EI_TRUEF(strstr(f->output, "exit 0 ") == NULL, "a reason for what is past:\n%s", f->output);
}

EI_TEST(plan_explains_searches_that_are_not_exact)
{
    const struct finished *f = explain("{" TWO TO_1000 ",\"search\":\"static:50\"}");
    EI_EQ(f->status, 0);
    EI_CONTAINS(f->output, "plan [1]\n1 of 2 exits, by search static:50");
    EI_TRUE(strstr(f->output, "no plan has a greater one") == NULL);
    EI_CONTAINS(f->output, "exit 0 skipped: static:50 does not see that J 0.68 -> 0.78 with it");
    f = explain("{" TWO TO_1000 ",\"search\":\"all\",\"no_output_score\":0.75}");
    EI_CONTAINS(f->output, "exit 0 taken: no better than no output (score 0.75, here 0.5); all takes it all the same");
    f = explain("{" TWO "\"exit_time\":{\"kind\":\"uniform\",\"horizon_ns\":50},\"search\":\"all\"}");
    EI_CONTAINS(f->output, "exit 1 taken: is ready after the stop can have come (S = 0); all takes it all the same");
    f = explain("{\"conv_ns\":[100,200],\"branch_ns\":[100,0],\"score\":[0.1,1]," TO_1000 ",\"search\":\"all\"}");
    /* 0.1 * 0.8 + 0.9 * 0.6 against 0.7 */
    EI_CONTAINS(f->output, "exit 0 taken: all does not see that J 0.62 -> 0.7 without it");
    f = explain("{\"conv_ns\":[0],\"branch_ns\":[0],\"score\":[0.5],\"exit_time\":{\"kind\":\"uniform\",\"horizon_ns\":"
                "0},\"first_exit\":1,\"convs_done\":1}");
    EI_EQ(f->status, 0);
    EI_CONTAINS(f->output, "no exit is open any more");
}

/* The extremes: 64 exits, no time at all, the longest times. */
EI_TEST(plan_explains_the_extremes)
{
    for (int kind = 0; kind < 3; kind++) {
        char conv[1024] = "", branch[1024] = "", score[1024] = "", text[8192];
        for (int i = 0; i < 64; i++) {
            const char *comma = i > 0 ? "," : "";
            const long long time_ns = kind == 0 ? 0 : kind == 1 ? 1000000 : 1000000000000;
            snprintf(conv + strlen(conv), sizeof conv - strlen(conv), "%s%lld", comma, time_ns);
            snprintf(branch + strlen(branch), sizeof branch - strlen(branch), "%s%lld", comma, time_ns / 50);
            snprintf(score + strlen(score), sizeof score - strlen(score), "%s%.4f", comma, (i + 1) / 65.0);
        }
        snprintf(text, sizeof text,
                 "{\"conv_ns\":[%s],\"branch_ns\":[%s],\"score\":[%s],\"exit_time\":{\"kind\":\"exponential\","
                 "\"rate_per_s\":%s}}",
                 conv, branch, score, kind == 2 ? "1e-5" : "5");
        const struct finished *f = explain(text);
        EI_EQ(f->status, 0);
        check_columns(f->output);
        EI_CONTAINS(f->output, "exit 63 ");
    }
}

EI_TEST(plan_reads_one_problem_from_a_file_or_standard_input)
{
    const struct finished *f = einet_run((const char *[]){"plan", "examples/plan/deadline.json", NULL});
    EI_EQ(f->status, 0);
    check_answer(f->output, "[0,2,3]", (0.5 * 980 + 0.25 * 450 + 0.05 * 10) / 1100, true);
    f = einet_run((const char *[]){"plan", "--batch", "examples/plan/batch.jsonl", NULL});
    EI_EQ(f->status, 0);
    EI_TRUE(strstr(f->output, "error") == NULL);

    struct talk t;
    EI_REQUIRE(talk_begin(&t, "-"));
    EI_REQUIRE(talk_say(&t, "\n{" TWO "\n" TO_1000, sizeof "\n{" TWO "\n" TO_1000 - 1) && talk_say(&t, "\n}\n", 3));
    close(t.to);
    check_answer(talk_hear(&t), "[0,1]", GOOD_J, true);
    t.to = open("/dev/null", O_WRONLY | O_CLOEXEC);
    EI_EQ(talk_end(&t, NULL), 0);
}

static void expect(const struct finished *f, int status, const char *said)
{
    EI_TRUEF(f->status == status, "status %d, expected %d: %s", f->status, status, f->output);
    EI_CONTAINS(f->output, said);
}

EI_TEST(plan_bad_use_and_bad_files_are_named)
{
    const char *path = write_file("bad.json", "{\n\"conv_ns\": [1,\n x]}");
    expect(einet_run((const char *[]){"plan", path, NULL}), 2, "bad.json:3:");
    expect(einet_run((const char *[]){"plan", path, NULL}), 2, "conv_ns[1] must be JSON");
    expect(einet_run((const char *[]){"plan", "--explain", path, NULL}), 2, "conv_ns[1] must be JSON");
    path = write_file("bad.json", "{" TWO "\"exit_time\":3}");
    expect(einet_run((const char *[]){"plan", path, NULL}), 2, "bad.json: exit_time must be an object");
    expect(einet_run((const char *[]){"plan", write_file("none.json", ""), NULL}), 2, "is empty");
    expect(einet_run((const char *[]){"plan", "/nowhere.json", NULL}), 2, "/nowhere.json: cannot be read");
    expect(einet_run((const char *[]){"plan", "--batch", "/", NULL}), 2, "/: cannot be read");
    expect(einet_run((const char *[]){"plan", "--batch", "--explain", "x", NULL}), 1, "--explain is for one problem");
    expect(einet_run((const char *[]){"plan", "a", "b", NULL}), 1, "one FILE is read");
    expect(einet_run((const char *[]){"plan", "--fast", NULL}), 1, "einet help plan");
    expect(einet_run((const char *[]){"plan", "--help", NULL}), 0, "usage: einet plan");
}

EI_TEST(plan_answers_that_cannot_be_written_are_a_fault)
{
    struct talk t;
    EI_REQUIRE(talk_begin(&t, "--batch"));
    close(t.from);
    t.from = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)talk_say(&t, GOOD "\n", sizeof GOOD);
    EI_EQ(talk_end(&t, NULL), 128 + SIGPIPE); /* as every filter ends */

    char command[1024];
    snprintf(command, sizeof command, "%s/einet plan examples/plan/deadline.json >/dev/full 2>%s", ei_test_build_dir(),
             in_tmpdir("said.txt"));
    const int status = system(command);
    EI_EQ(WEXITSTATUS(status), 5);
    EI_TRUE(wait_for_text(in_tmpdir("said.txt"), "the answers cannot be written", 1000));
}
