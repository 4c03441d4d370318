/* Live runs whose jobs are released from outside, by calls of threads of this process. */
#include "rt/clock.h"
#include "rt/thread.h"
#include "tests/engine/live_play.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CALLERS 3

/* What the callers of one task were told. */
struct told {
    atomic_llong accepted, full, early, over, other;
};

static struct {
    struct ei_thread threads[CALLERS];
    struct told told[2];
    int64_t pause_ns;
    bool is_in_past; /* events happened some time before they are said */
    atomic_int next_caller;
} outside;

static void note(struct told *told, int rc)
{
    atomic_fetch_add(rc == 0            ? &told->accepted
                     : rc == -ENOBUFS   ? &told->full
                     : rc == -EAGAIN    ? &told->early
                     : rc == -ESHUTDOWN ? &told->over
                                        : &told->other,
                     1);
}

/* Release tasks 0 and 1 until the run is over. */
static void call_until_over(void *arg)
{
    (void)arg;
    const int caller = atomic_fetch_add(&outside.next_caller, 1);
    for (int rc = 0, k = caller; rc != -ESHUTDOWN; k++) {
        const int64_t now_ns = ei_mono_now().ns;
        rc = ei_live_release(k % 2, outside.is_in_past ? now_ns - k % 5 * EI_NS_PER_MS : EI_NONE_NS);
        note(&outside.told[k % 2], rc);
        if (outside.pause_ns > 0) {
            ei_mono_sleep_until((struct ei_mono){now_ns + outside.pause_ns});
        }
    }
}

static void start_callers(void *context)
{
    const struct ei_thread_attr attr = {.name = "caller"};
    (void)context;
    for (int i = 0; i < CALLERS; i++) {
        EI_REQUIRE(ei_thread_create(&outside.threads[i], &attr, call_until_over, NULL, NULL) == 0);
    }
}

struct outcome {
    int rc;
    struct ei_live_result result;
    char *json, *table;
    struct ei_metrics_progress progress[3];
};

static char *text_of(int (*print)(const struct ei_collector *, FILE *), const struct ei_collector *collector)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    EI_EQ(print(collector, out), 0);
    fclose(out);
    return text;
}

static int print_table(const struct ei_collector *collector, FILE *out)
{
    return ei_collector_print_table(collector, out, false);
}

static void run_text(const char *text, void (*on_ready)(void *context), struct outcome *out)
{
    struct ei_workload *wl;
    struct einet_error err = {0};
    const struct ei_live_options options = {.on_ready = on_ready};
    *out = (struct outcome){0};
    out->rc = live_play(text, options, &wl, &out->result, &err);
    EI_TRUEF(out->rc == 0, "%s", err.text);
    if (out->rc == 0) {
        out->json = text_of(ei_collector_print_json, out->result.collector);
        out->table = text_of(print_table, out->result.collector);
        for (int32_t i = 0; i < wl->task_count && i < 3; i++) {
            out->progress[i] = ei_collector_progress(out->result.collector, i);
        }
        ei_collector_destroy(out->result.collector);
    }
    ei_workload_destroy(wl);
}

static void done(struct outcome *out)
{
    free(out->json);
    free(out->table);
}

/* The number behind "key": in the n-th "external" object of the summary; -1 = none. */
static int64_t external_figure(const struct outcome *out, int n, const char *key)
{
    char name[64];
    const char *at = out->json;
    for (int i = 0; at != NULL && i <= n; i++) {
        at = strstr(at + 1, "\"external\": {");
    }
    snprintf(name, sizeof name, "\"%s\": ", key);
    at = at != NULL ? strstr(at, name) : NULL;
    return at != NULL ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static void check_account(const struct outcome *out, int task)
{
    const struct told *told = &outside.told[task];
    const struct ei_metrics_progress *p = &out->progress[task];
    EI_EQ(external_figure(out, task, "asked"), told->accepted + told->full);
    EI_EQ(external_figure(out, task, "refused"), told->full);
    EI_EQ(told->other, 0);
    /* each accepted request is one release of the run, or too late for it */
    EI_EQ(p->released + p->skipped + p->dropped, told->accepted - external_figure(out, task, "unreleased"));
}

#define TWO_TASKS                                                                                                      \
    "tasks:\n"                                                                                                         \
    "  - { name: often, arrival: { model: external, min_interarrival: 3ms }, deadline: 3ms,\n"                         \
    "      late_release: { queue: 2, drop: oldest }, stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n"    \
    "  - { name: seldom, arrival: { model: external, min_interarrival: 40ms },\n"                                      \
    "      stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n"                                              \
    "  - { name: behind, arrival: { model: after, task: often }, class: other,\n"                                      \
    "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n"                                               \
    "outputs: { dir: out }\n"

static void call_in(const char *text, int64_t pause_ns, struct outcome *out)
{
    memset(&outside, 0, sizeof outside);
    outside.pause_ns = pause_ns;
    run_text(text, start_callers, out);
    for (int i = 0; i < CALLERS; i++) {
        (void)ei_thread_join(&outside.threads[i]);
    }
}

EI_TEST(external_calls_of_several_threads_are_all_accounted)
{
    struct outcome run;
    call_in("version: 1\nname: calls\nrun: { duration: 600ms, start_delay: 20ms, seed: 1 }\n" TWO_TASKS,
            2 * EI_NS_PER_MS, &run);
    EI_TRUE(run.result.is_identity_ok);
    check_account(&run, 0);
    check_account(&run, 1);
    EI_TRUE(outside.told[0].accepted > 0 && outside.told[0].early + outside.told[1].early > 0 &&
            outside.told[0].over + outside.told[1].over == CALLERS);
    EI_TRUE(external_figure(&run, 1, "held_back") > 0 && external_figure(&run, 1, "unreleased") > 0);
    EI_TRUE(run.progress[1].released <= 600 / 40 + 1);
    /* the task behind it in a chain has exactly its releases */
    EI_EQ(run.progress[2].released + run.progress[2].skipped + run.progress[2].dropped,
          run.progress[0].released + run.progress[0].skipped + run.progress[0].dropped);
    EI_CONTAINS(run.table, "asked for from outside");
    done(&run);
}

EI_TEST(external_events_of_the_past_keep_their_dates)
{
    struct outcome run;
    memset(&outside, 0, sizeof outside);
    outside.is_in_past = true;
    outside.pause_ns = 5 * EI_NS_PER_MS;
    run_text("version: 1\nname: past\nrun: { duration: 600ms, warmup: 100ms, seed: 1 }\n" TWO_TASKS, start_callers,
             &run);
    for (int i = 0; i < CALLERS; i++) {
        (void)ei_thread_join(&outside.threads[i]);
    }
    EI_TRUE(run.result.is_identity_ok);
    EI_TRUEF((run.progress[0].released > 0 || outside.told[0].accepted < 40) && outside.told[0].other == 0,
             "%lld released, %lld taken, %lld odd", (long long)run.progress[0].released,
             (long long)outside.told[0].accepted, (long long)outside.told[0].other);
    done(&run);
}

EI_TEST(external_requests_beyond_the_inbox_are_refused_and_counted)
{
    struct outcome run;
    call_in("version: 1\nname: full\nrun: { duration: 1s, seed: 1 }\n" TWO_TASKS, 0, &run);
    EI_TRUE(run.result.is_identity_ok);
    check_account(&run, 0);
    check_account(&run, 1);
    EI_TRUEF(outside.told[1].full > 0, "no request was refused; %lld were taken", (long long)outside.told[1].accepted);
    done(&run);
}

static void end_soon(void *context)
{
    start_callers(context);
    EI_EQ(kill(getpid(), SIGINT), 0);
}

EI_TEST(external_run_that_is_ended_by_a_signal_accounts_all)
{
    struct outcome run;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    memset(&outside, 0, sizeof outside);
    outside.pause_ns = EI_NS_PER_MS;
    run_text("version: 1\nname: ended\nrun: { duration: 60s, start_delay: 0s, seed: 1 }\n" TWO_TASKS, end_soon, &run);
    for (int i = 0; i < CALLERS; i++) {
        (void)ei_thread_join(&outside.threads[i]);
    }
    EI_TRUE(run.result.is_ended_early && run.result.is_identity_ok);
    check_account(&run, 0);
    check_account(&run, 1);
    done(&run);
}

static void call_wrongly(void *context)
{
    (void)context;
    EI_EQ(ei_live_release(0, EI_NONE_NS), -EAGAIN); /* no time zero yet */
}

EI_TEST(external_calls_outside_a_run_are_refused)
{
    struct outcome run;
    const int before = ei_live_release(0, EI_NONE_NS);
    EI_TRUE(before == -EAGAIN || before == -ESHUTDOWN); /* the latter behind another run of this process */
    run_text("version: 1\nname: silent\nrun: { duration: 50ms, start_delay: 50ms, seed: 1 }\n" TWO_TASKS, call_wrongly,
             &run);
    EI_EQ(ei_live_release(0, EI_NONE_NS), -ESHUTDOWN);
    EI_TRUE(run.result.is_identity_ok);
    EI_EQ(external_figure(&run, 0, "asked"), 0);
    EI_EQ(run.progress[0].released, 0);
    done(&run);
}

/* einet run has nobody who hands in pictures. */
EI_TEST(external_pictures_need_a_program_that_embeds_the_run)
{
    struct ei_workload *wl = NULL;
    struct ei_live_result result;
    struct einet_error err = {0};
    const int rc = live_play("version: 1\nname: pictures\ntasks:\n"
                             "  - { name: a, arrival: { model: external, min_interarrival: 1ms },\n"
                             "      input: { kind: caller, width: 32, height: 32 },\n"
                             "      stages: [ { name: w, kind: cpu, work: { spin: 10us } } ] }\n",
                             (struct ei_live_options){0}, &wl, &result, &err);
    EI_EQ(rc, EINET_E_USAGE);
    EI_EQ(err.line, 5);
    EI_CONTAINS(err.text, "embeds the run");
    ei_workload_destroy(wl);
}

static struct ei_thread wrong_caller;
static int wrong_index, wrong_task, wrong_time;

static void call_with_nonsense(void *arg)
{
    (void)arg;
    int rc;
    while ((rc = ei_live_release(0, EI_NONE_NS)) == -EAGAIN) {
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), EI_NS_PER_MS));
    }
    wrong_index = ei_live_release(3, EI_NONE_NS);
    wrong_task = ei_live_release(2, EI_NONE_NS);
    wrong_time = ei_live_release(0, ei_mono_now().ns + EI_NS_PER_S);
}

static void start_wrong_caller(void *context)
{
    const struct ei_thread_attr attr = {.name = "caller"};
    (void)context;
    EI_REQUIRE(ei_thread_create(&wrong_caller, &attr, call_with_nonsense, NULL, NULL) == 0);
}

EI_TEST(external_calls_that_make_no_sense_are_refused)
{
    struct outcome run;
    run_text("version: 1\nname: wrong\nrun: { duration: 200ms, start_delay: 0s, seed: 1 }\n" TWO_TASKS,
             start_wrong_caller, &run);
    (void)ei_thread_join(&wrong_caller);
    EI_EQ(wrong_index, -EINVAL);
    EI_EQ(wrong_task, -EINVAL);
    EI_EQ(wrong_time, -EINVAL);
    EI_EQ(external_figure(&run, 0, "asked"), 1);
    EI_TRUE(run.result.is_identity_ok);
    done(&run);
}

EI_MAIN()
