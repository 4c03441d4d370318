/* Threads get what was asked for, as the kernel reports it, and nothing by inheritance. */
#include "tests/harness/harness.h"
#include "tests/rt/fifo.h"

#include "rt/memory.h"
#include "rt/thread.h"
#include "rt/topology.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct look {
    struct ei_thread_state state;
    char name[EI_THREAD_NAME_MAX];
    pid_t tid;
    int rc;
};

static void look_at_self(void *arg)
{
    struct look *look = arg;
    look->rc = ei_thread_read(0, &look->state);
    look->tid = ei_thread_self_tid();
    pthread_getname_np(pthread_self(), look->name, sizeof look->name);
}

static struct look run_thread(const struct ei_thread_attr *attr)
{
    struct look look = {.rc = -1};
    struct ei_thread thread;
    struct einet_error err = {0};
    if (EI_TRUEF(ei_thread_create(&thread, attr, look_at_self, &look, &err) == 0, "%s", err.text)) {
        EI_EQ(ei_thread_join(&thread), 0);
        EI_EQ(look.tid, thread.tid);
    }
    EI_EQ(look.rc, 0);
    return look;
}

EI_TEST(thread_is_bound_and_named_before_it_runs)
{
    const struct ei_thread_attr attr = {.name = "a-name-that-is-too-long", .cpus = first_allowed_cpu()};
    const struct look look = run_thread(&attr);
    EI_STREQ(look.name, "a-name-that-is-");
    EI_EQ(look.state.policy, EI_THREAD_OTHER);
    EI_TRUE(ei_cpuset_is_equal(&look.state.cpus, &attr.cpus));
}

EI_TEST(thread_without_cpus_inherits_them)
{
    struct ei_thread_state self;
    const struct ei_thread_attr attr = {.name = "heir"};
    EI_REQUIRE(ei_thread_read(0, &self) == 0);
    const struct look look = run_thread(&attr);
    EI_TRUE(ei_cpuset_is_equal(&look.state.cpus, &self.cpus));
}

EI_TEST(thread_refuses_senseless_attributes)
{
    struct ei_thread thread;
    struct look look;
    struct ei_thread_attr attr = {.name = "x", .policy = EI_THREAD_FIFO, .priority = 0};
    EI_EQ(ei_thread_create(&thread, &attr, look_at_self, &look, NULL), -EINVAL);
    attr.priority = 100;
    EI_EQ(ei_thread_create(&thread, &attr, look_at_self, &look, NULL), -EINVAL);
    attr = (struct ei_thread_attr){.name = "x", .policy = EI_THREAD_OTHER, .priority = 1};
    EI_EQ(ei_thread_create(&thread, &attr, look_at_self, &look, NULL), -EINVAL);
    attr = (struct ei_thread_attr){.name = "x", .stack_bytes = 0};
    ei_cpuset_add(&attr.cpus, EI_CPU_MAX - 1);
    EI_TRUE(ei_thread_create(&thread, &attr, look_at_self, &look, NULL) < 0);
    EI_EQ(ei_thread_become_fifo(0, NULL), -EINVAL);
    EI_EQ(ei_thread_become_fifo(100, NULL), -EINVAL);
    EI_TRUE(ei_thread_read(0x7ffffff, &look.state) < 0);
}

EI_TEST(fifo_thread_has_policy_and_priority_at_birth)
{
    fifo_or_skip(37);
    const struct ei_thread_attr attr = {
        .name = "fifo", .policy = EI_THREAD_FIFO, .priority = 37, .cpus = first_allowed_cpu()};
    const struct look look = run_thread(&attr);
    EI_EQ(look.state.policy, EI_THREAD_FIFO);
    EI_EQ(look.state.priority, 37);
    EI_TRUE(ei_cpuset_is_equal(&look.state.cpus, &attr.cpus));
}

static void become_and_create(void *arg)
{
    struct look *look = arg;
    EI_EQ(ei_thread_become_fifo(12, NULL), 0);
    look_at_self(look);
    const struct ei_thread_attr attr = {.name = "child"};
    look[1] = run_thread(&attr);
    EI_EQ(ei_thread_become_other(), 0);
    look_at_self(look + 2);
}

EI_TEST(thread_becomes_fifo_and_its_children_do_not_inherit_it)
{
    fifo_or_skip(12);
    struct look looks[3] = {0};
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "parent"};
    EI_REQUIRE(ei_thread_create(&thread, &attr, become_and_create, looks, NULL) == 0);
    ei_thread_join(&thread);
    EI_EQ(looks[0].state.policy, EI_THREAD_FIFO);
    EI_EQ(looks[0].state.priority, 12);
    EI_EQ(looks[1].state.policy, EI_THREAD_OTHER);
    EI_EQ(looks[1].state.priority, 0);
    EI_EQ(looks[2].state.policy, EI_THREAD_OTHER);
}

#ifdef EINET_SANITIZED
#define YIELDS_MAX 20000

static atomic_bool is_held, is_wanted, is_free;

static void hold(void *arg)
{
    (void)arg;
    atomic_store(&is_held, true);
    while (!atomic_load(&is_wanted)) { /* the other one comes in between here and below, as it is the higher one */
    }
    atomic_store(&is_free, true);
}

static void want(void *arg)
{
    int *yields = arg;
    atomic_store(&is_wanted, true);
    while (!atomic_load(&is_free) && *yields < YIELDS_MAX) {
        (void)syscall(SYS_sched_yield); /* as the locks of the sanitizers' runtimes do */
        ++*yields;
    }
}

#endif

/* rt/yield_trap.h: without it the lower thread gets its CPU back only when the higher one gives up. */
EI_TEST(fifo_thread_that_yields_lets_a_lower_one_go_on)
{
#ifdef EINET_SANITIZED
    fifo_or_skip(31);
    struct ei_thread low, high;
    int yields = 0;
    const struct ei_thread_attr lower = {
        .name = "low", .policy = EI_THREAD_FIFO, .priority = 30, .cpus = first_allowed_cpu()};
    const struct ei_thread_attr higher = {
        .name = "high", .policy = EI_THREAD_FIFO, .priority = 31, .cpus = first_allowed_cpu()};
    EI_REQUIRE(ei_thread_create(&low, &lower, hold, NULL, NULL) == 0);
    while (!atomic_load(&is_held)) {
        usleep(1000);
    }
    EI_REQUIRE(ei_thread_create(&high, &higher, want, &yields, NULL) == 0);
    EI_EQ(ei_thread_join(&high), 0);
    EI_EQ(ei_thread_join(&low), 0);
    EI_TRUEF(yields < YIELDS_MAX, "%d yields in vain", yields);
#else
    ei_test_skip("a build without sanitizers");
#endif
}

static int fifo_without_the_right(void)
{
    const struct rlimit none = {0, 0};
    struct einet_error err = {0};
    struct ei_thread thread;
    struct look look;
    const struct ei_thread_attr attr = {.name = "x", .policy = EI_THREAD_FIFO, .priority = 10};
    if (setrlimit(RLIMIT_RTPRIO, &none) != 0 || (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)) {
        return 2;
    }
    if (ei_thread_create(&thread, &attr, look_at_self, &look, &err) != EINET_E_PRIVILEGE ||
        strstr(err.text, "setcap") == NULL) {
        return 3;
    }
    if (ei_thread_become_fifo(10, &err) != EINET_E_PRIVILEGE || strstr(err.text, "setcap") == NULL) {
        return 4;
    }
    return 0;
}

EI_TEST(refused_fifo_names_the_fix)
{
    int status = -1;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        _exit(fifo_without_the_right());
    }
    EI_REQUIRE(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    EI_EQ(WEXITSTATUS(status), 0);
}
