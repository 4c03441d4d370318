/* scheduler.admission of a run that is changed while it goes on, through libeinet.so alone. */
#include "tests/harness/harness.h"
#include "tests/library/run_play.h"

#include <stdio.h>
#include <string.h>

enum { LOW, HIGH };

static struct play play; /* large */

/* Two tasks of 10 ms on one CPU: high has its deadline at first, low is never in doubt. */
static bool begin(const char *admission, const char *deadline, struct einet_error *err)
{
    static char text[1024];
    snprintf(
        text, sizeof text,
        "version: 1\nname: admitted\nrun: { start_delay: 1ms }\nscheduler: { admission: %s }\ntasks:\n"
        "  - { name: low, arrival: { model: periodic, period: 100ms }, deadline: 100ms, priority: 20, cpus: \"0\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 10ms } } ] }\n"
        "  - { name: high, arrival: { model: periodic, period: 100ms }, deadline: %s, priority: 40, cpus: \"0\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 10ms } } ] }\n",
        admission, deadline);
    play_init(&play, text);
    return play_create(&play) && EI_TRUEF(einet_run_start(play.run, err) == 0, "%s", err->text);
}

static void end_run(void)
{
    EI_EQ(einet_run_drain(play.run), 0);
    (void)play_wait(&play);
    play_done(&play);
}

static struct einet_change deadline_of(int64_t deadline_ns)
{
    return (struct einet_change){
        .size_bytes = sizeof(struct einet_change), .what = EINET_SET_DEADLINE, .deadline_ns = deadline_ns};
}

static struct einet_change priority_of(int32_t priority)
{
    return (struct einet_change){
        .size_bytes = sizeof(struct einet_change), .what = EINET_SET_PRIORITY, .priority = priority};
}

/* Change `high`: the code, and what is said then; NULL = nothing. */
static void expect(struct einet_change change, int code, const char *says)
{
    struct einet_error err = {.text = "of before"};
    EI_EQ(einet_run_set(play.run, HIGH, &change, &err), code);
    EI_EQ(err.code, code);
    if (says != NULL) {
        EI_CONTAINS(err.text, says);
    } else {
        EI_STREQ(err.text, "");
    }
}

/* What was admitted stays what it is. */
EI_TEST(admission_refuses_a_change_that_breaks_a_guarantee)
{
    struct einet_error err = {0};
    EI_REQUIRE(begin("reject", "15ms", &err));
    EI_STREQ(err.text, "");
    expect(priority_of(10), EINET_E_FILE, "high");
    expect(deadline_of(5000000), EINET_E_FILE, "high");
    expect(deadline_of(60000000), 0, NULL);
    expect(priority_of(10), 0, NULL); /* now it has the time */
    expect(deadline_of(19000000), EINET_E_FILE, "high");
    end_run();
}

/* Whoever changes something hears what has no guarantee then, and it is done. */
EI_TEST(admission_warns_who_starts_and_who_changes)
{
    struct einet_error err = {0};
    struct einet_settings settings = {.size_bytes = sizeof settings};
    EI_REQUIRE(begin("warn", "5ms", &err));
    EI_EQ(err.code, 0);
    EI_CONTAINS(err.text, "high");
    expect(deadline_of(60000000), 0, NULL);
    expect(deadline_of(6000000), 0, "high");
    EI_EQ(einet_run_settings(play.run, HIGH, &settings), 0);
    EI_EQ(settings.deadline_ns, 6000000);
    expect(deadline_of(60000000), 0, NULL);
    EI_EQ(einet_run_pause(play.run, LOW, &err), 0);
    EI_STREQ(err.text, "");
    end_run();
}

EI_MAIN()
