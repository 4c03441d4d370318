/* Several egresses of one pool: one is active, another takes its place, and what is heard stays whole: nothing twice,
 * nothing backward. What is checked must hold however slow the machine is; times are printed, and bench_pool counts
 * them. */
#include "tests/adapters/pool_stage.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define LIMIT_NS (20000 * MS)
#define REST_NS (5000 * MS)
#define BLOWS 3

#ifdef __SANITIZE_THREAD__
#define HAS_THREAD_SANITIZER 1
#else
#define HAS_THREAD_SANITIZER 0
#endif

static struct pool_play play; /* large */
static const char *const tasks[] = {"eye", NULL};

/* One node, two egresses, of which the first is active. */
static bool open_play(bool is_apart, const char *stopping)
{
    play = (struct pool_play){
        .is_apart = is_apart, .texts = {pool_play_one, pool_play_one}, .has_egresses = true, .stopping = stopping};
    return pool_stage_set(&play, tasks) && EI_TRUE(pool_play_start(&play, 1)) &&
           EI_TRUE(pool_play_start_egress(&play, 0)) && EI_TRUE(pool_play_roll(&play)) &&
           EI_TRUEF(pool_play_await_turn(&play, 0, true, LIMIT_NS), "an egress that is alone stands by") &&
           EI_TRUEF(pool_play_await_frames(&play, 5, LIMIT_NS), "nothing is heard") &&
           EI_TRUE(pool_play_start_egress(&play, 1));
}

/* Nothing twice, nothing backward. */
static void expect_order(void)
{
    const struct pool_heard *heard = &play.heard[0];
    EI_EQ(heard->repeated, 0);
    EI_EQ(heard->backward, 0);
    EI_TRUEF(heard->answers - heard->answered >= 0 && heard->answers - heard->answered <= 1,
             "%lld classifications for %lld statuses with an answer", (long long)heard->answers,
             (long long)heard->answered);
    fprintf(stdout, "%lld images, %lld statuses\n", (long long)atomic_load(&play.sent), (long long)heard->frames);
}

/* One that has joined finds the others within a second, and what they write. */
static void settle(void)
{
    pool_play_nap_ms(1500);
}

/* Strike the active one: the other one goes on. */
static void strike(int active, int signal, int blow)
{
    int32_t images = 0;
    const int64_t noise_ns = atomic_load(&play.noise_ns);
    (void)pool_play_gap(&play, 0, &images);
    EI_EQ(kill(play.egresses[active], signal), 0);
    EI_TRUEF(pool_play_await_turn(&play, 1 - active, true, LIMIT_NS), "nobody took over");
    EI_TRUEF(pool_play_await_frames(&play, 10, LIMIT_NS), "it is silent");
    const int64_t gap_ns = pool_play_gap(&play, 0, &images);
    fprintf(stdout, "%s %d: %.1f ms, %d images on\n", strsignal(signal), blow, (double)gap_ns / 1e6, images);
    /* what came meanwhile is passed on, as long as it is of use; where the machine took time it may be older */
    const int64_t taken_ns = atomic_load(&play.noise_ns) - noise_ns;
    const int64_t most = taken_ns > 0 ? (play.lease_ns + 2 * play.period_ns + 2 * taken_ns) / play.period_ns + 1 : 2;
    EI_TRUEF(images <= most, "%d images on, at most %lld were to be", images, (long long)most);
}

static void strike_all(bool is_apart)
{
    int active = 0;
    EI_REQUIRE(open_play(is_apart, NULL));
    for (int i = 0; i < BLOWS; i++) {
        settle();
        strike(active, SIGKILL, i);
        pool_play_kill_egress(&play, active);
        EI_REQUIRE(pool_play_start_egress(&play, active));
        active = 1 - active;
    }
    settle();
    for (int i = 0; i < BLOWS; i++) {
        pool_play_nap_ms(300); /* writers of the one that was stopped are new to their readers */
        strike(active, SIGSTOP, i);
        EI_TRUEF(pool_play_continue_egress(&play, active, REST_NS), "the one that was stopped goes on as before");
        active = 1 - active;
    }
    EI_TRUE(pool_play_await_frames(&play, 5, LIMIT_NS));
    expect_order();
    pool_play_close(&play);
}

EI_TEST(dds_egress_another_takes_over_on_one_machine)
{
    strike_all(false);
}

EI_TEST(dds_egress_another_takes_over_between_machines)
{
    strike_all(true);
}

/* While one is active the other is silent, and has nothing to say in the end; one that ends gives way at once. */
EI_TEST(dds_egress_one_of_two_writes)
{
    static char out[200000];
    EI_REQUIRE(open_play(false, NULL));
    settle();
    EI_TRUE(pool_play_await_frames(&play, 20, LIMIT_NS));
    EI_TRUE(pool_play_await_turn(&play, 0, true, 0));
    EI_TRUE(pool_play_await_turn(&play, 1, false, 0));
    EI_EQ(pool_play_end_egress(&play, 1, out, sizeof out), 0);
    EI_CONTAINS(out, "eye: 0 frames taken, 0 passed");
    EI_REQUIRE(pool_play_start_egress(&play, 1));
    settle();
    EI_EQ(pool_play_end_egress(&play, 0, out, sizeof out), 0);
    EI_CONTAINS(out, " passed, ");
    EI_TRUEF(strstr(out, "eye: 0 frames taken") == NULL, "%s", out);
    EI_TRUEF(pool_play_await_turn(&play, 1, true, LIMIT_NS), "nobody took over");
    EI_TRUE(pool_play_await_frames(&play, 10, LIMIT_NS));
    expect_order();
    pool_play_close(&play);
}

/* What einet-dds top shows of egress 0 or 1; "" = nothing. */
static const char *state_of(int egress, const char *page)
{
    char process[40];
    (void)snprintf(process, sizeof process, " %d  ", (int)play.egresses[egress]);
    const char *at = strstr(page, process);
    return at != NULL ? at + strlen(process) : "";
}

EI_TEST(dds_egress_all_are_shown)
{
    static char out[20000];
    char command[200], wanted[100];
    EI_REQUIRE(open_play(false, NULL));
    settle();
    (void)snprintf(command, sizeof command, "top --pool play --domain %d --once", play.domain);
    pool_stage_run("einet-dds", command, out, sizeof out);
    EI_TRUEF(strncmp(state_of(0, out), "active\n", 7) == 0, "%s", out);
    EI_TRUEF(strncmp(state_of(1, out), "standing by\n", 12) == 0, "%s", out);
    (void)snprintf(command, sizeof command, "top --pool play --domain %d --once --json", play.domain);
    pool_play_kill_egress(&play, 0);
    EI_TRUEF(pool_play_await_turn(&play, 1, true, LIMIT_NS), "nobody took over");
    pool_stage_run("einet-dds", command, out, sizeof out);
    (void)snprintf(wanted, sizeof wanted, "\"process\":%d,\"active\":true}", (int)play.egresses[1]);
    EI_CONTAINS(out, wanted);
    pool_play_close(&play);
}

/* Stopped for so long that DDS has forgotten it there, and all others here: it must not think that it is alone, but
 * ends, and is of use when it was started again. */
EI_TEST(dds_egress_that_was_away_for_long_ends)
{
    EI_REQUIRE(open_play(false, NULL));
    settle();
    strike(0, SIGSTOP, 0);
    pool_play_nap_ms(11500); /* participants are gone after 10 s */
    EI_TRUEF(pool_play_continue_egress(&play, 0, REST_NS), "the one that was stopped goes on as before");
    pool_play_nap_ms(2500);
    EI_TRUE(pool_play_await_turn(&play, 0, false, 0));
    EI_TRUE(pool_play_await_turn(&play, 1, true, 0));
    EI_TRUE(pool_play_await_frames(&play, 10, LIMIT_NS));
    strike(1, SIGKILL, 0); /* and it is of use */
    pool_play_kill_egress(&play, 1);
    expect_order();
    pool_play_close(&play);
}

/* Stopped between its look at the clock and the network: what it had in hand must not come out when it goes on. */
EI_TEST(dds_egress_that_was_stopped_while_it_wrote_writes_no_more)
{
    static char stopping[300];
    int status = 0;
    if (HAS_THREAD_SANITIZER) {
        ei_test_skip("ThreadSanitizer calls handlers of signals when it likes");
    }
    (void)snprintf(stopping, sizeof stopping, "%s/stopping_egress", ei_test_build_dir());
    EI_REQUIRE(open_play(false, stopping));
    settle();
    EI_EQ(kill(play.egresses[0], SIGUSR1), 0);
    EI_EQ(waitpid(play.egresses[0], &status, WUNTRACED), play.egresses[0]);
    EI_TRUEF(WIFSTOPPED(status), "it was not stopped: %x", status);
    EI_TRUEF(pool_play_await_turn(&play, 1, true, LIMIT_NS), "nobody took over");
    EI_TRUE(pool_play_await_frames(&play, 10, LIMIT_NS));
    EI_EQ(kill(play.egresses[0], SIGCONT), 0);
    EI_TRUE(pool_play_await_frames(&play, 10, LIMIT_NS));
    EI_TRUEF(waitpid(play.egresses[0], &status, WNOHANG) == play.egresses[0] && WIFEXITED(status) &&
                 WEXITSTATUS(status) == 5,
             "it did not end by itself: %x", status);
    play.egresses[0] = WIFEXITED(status) ? 0 : play.egresses[0];
    expect_order();
    pool_play_close(&play);
}

EI_MAIN()
