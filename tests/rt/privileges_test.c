/* Privileges: what is asked is probed and read back; what is refused is named with its fix. */
#include "tests/harness/harness.h"
#include "tests/rt/fifo.h"

#include "rt/privileges.h"
#include "rt/thread.h"
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

EI_TEST(asking_for_nothing_is_never_degraded)
{
    struct ei_privileges p;
    const struct ei_privilege_ask ask = {
        .mode = EI_PRIVILEGES_REQUIRE, .lock_memory = EI_MEMORY_LOCK_NONE, .cpu_dma_latency_us = -1};
    EI_EQ(ei_privileges_acquire(&ask, &p, NULL), 0);
    EI_EQ(p.degraded_count, 0);
    EI_EQ(p.dma_latency_fd, -1);
    for (int i = 0; i < EI_PRIVILEGE_COUNT; i++) {
        EI_TRUE(!p.results[i].asked);
    }
    ei_privileges_release(&p);
    ei_privileges_release(&p);
}

EI_TEST(senseless_priority_is_refused)
{
    struct ei_privileges p;
    EI_EQ(ei_privileges_acquire(&(struct ei_privilege_ask){.top_priority = 100, .cpu_dma_latency_us = -1}, &p, NULL),
          -EINVAL);
    EI_EQ(ei_privileges_acquire(&(struct ei_privilege_ask){.top_priority = -1, .cpu_dma_latency_us = -1}, &p, NULL),
          -EINVAL);
}

EI_TEST(granted_privileges_are_read_back_and_leave_the_caller_alone)
{
    fifo_or_skip(60);
    struct ei_privileges p;
    struct einet_error err = {0};
    struct ei_thread_state before, after;
    const struct ei_privilege_ask ask = {.mode = EI_PRIVILEGES_REQUIRE,
                                         .top_priority = 60,
                                         .lock_memory = EI_MEMORY_LOCK_NONE,
                                         .cpus = first_allowed_cpu(),
                                         .cpu_dma_latency_us = -1};
    EI_EQ(ei_thread_read(0, &before), 0);
    EI_TRUEF(ei_privileges_acquire(&ask, &p, &err) == 0, "%s", err.text);
    EI_EQ(ei_thread_read(0, &after), 0);
    EI_TRUE(memcmp(&before, &after, sizeof before) == 0);
    EI_TRUE(p.results[EI_PRIVILEGE_FIFO].got && p.results[EI_PRIVILEGE_AFFINITY].got);
    EI_CONTAINS(p.results[EI_PRIVILEGE_FIFO].asked_text, "60");
    EI_STREQ(p.results[EI_PRIVILEGE_FIFO].fix_command, "");
    ei_privileges_release(&p);
}

EI_TEST(cpu_dma_latency_is_held_until_release)
{
    if (access("/dev/cpu_dma_latency", R_OK | W_OK) != 0) {
        ei_test_skip("/dev/cpu_dma_latency is missing or not ours to write");
    }
    struct ei_privileges p;
    const struct ei_privilege_ask ask = {
        .mode = EI_PRIVILEGES_REQUIRE, .lock_memory = EI_MEMORY_LOCK_NONE, .cpu_dma_latency_us = 7};
    int32_t held_us = -1;
    EI_EQ(ei_privileges_acquire(&ask, &p, NULL), 0);
    EI_REQUIRE(p.dma_latency_fd >= 0);
    EI_EQ(pread(p.dma_latency_fd, &held_us, sizeof held_us, 0), sizeof held_us);
    EI_IN(held_us, 0, 7); /* the least of all holders */
    ei_privileges_release(&p);
    EI_EQ(p.dma_latency_fd, -1);
}

EI_TEST(foreign_cpu_degrades_with_the_set_it_may_use)
{
    struct ei_privileges p;
    struct einet_error err = {0};
    struct ei_privilege_ask ask = {.lock_memory = EI_MEMORY_LOCK_NONE, .cpu_dma_latency_us = -1};
    ei_cpuset_add(&ask.cpus, EI_CPU_MAX - 1);
    EI_EQ(ei_privileges_acquire(&ask, &p, &err), 0);
    EI_EQ(p.degraded_count, 1);
    EI_CONTAINS(p.degraded[0], "1023");
    ask.mode = EI_PRIVILEGES_REQUIRE;
    EI_EQ(ei_privileges_acquire(&ask, &p, &err), EINET_E_PRIVILEGE);
    EI_CONTAINS(err.text, "1023");
}

/* Exit status 0 = as it should be; other numbers say where not. */
static int without_rights(void)
{
    const struct rlimit none = {0, 0};
    struct ei_privileges p;
    struct einet_error err = {0};
    struct ei_privilege_ask ask = {.mode = EI_PRIVILEGES_DEGRADE,
                                   .top_priority = 80,
                                   .lock_memory = EI_MEMORY_LOCK_ALL,
                                   .cpu_dma_latency_us = -1,
                                   .program = "some/program"};
    if (setrlimit(RLIMIT_RTPRIO, &none) != 0 || setrlimit(RLIMIT_MEMLOCK, &none) != 0 ||
        (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)) {
        return 2;
    }
    if (ei_privileges_acquire(&ask, &p, &err) != 0 || p.degraded_count != 2 || p.results[EI_PRIVILEGE_FIFO].got ||
        p.results[EI_PRIVILEGE_MEMORY].got) {
        return 3;
    }
    for (int i = 0; i < p.degraded_count; i++) {
        /* the second where not even root could be given the capabilities: in a container without them */
        if (strstr(p.degraded[i], "setcap cap_sys_nice,cap_ipc_lock+ep some/program") == NULL &&
            strstr(p.degraded[i], "--cap-add sys_nice --cap-add ipc_lock") == NULL) {
            return 4;
        }
    }
    if (strstr(p.degraded[0], "SCHED_FIFO") == NULL || strstr(p.degraded[0], "80") == NULL) {
        return 5;
    }
    ask.mode = EI_PRIVILEGES_REQUIRE;
    if (ei_privileges_acquire(&ask, &p, &err) != EINET_E_PRIVILEGE || strstr(err.text, "fix: ") == NULL) {
        return 6;
    }
    ask.top_priority = 0;
    ask.lock_memory = EI_MEMORY_LOCK_NONE;
    ask.cpu_dma_latency_us = 0; /* an ordinary user may not hold it */
    if (access("/dev/cpu_dma_latency", W_OK) == 0) {
        return 0;
    }
    if (ei_privileges_acquire(&ask, &p, &err) != EINET_E_PRIVILEGE || p.dma_latency_fd != -1) {
        return 7;
    }
    return 0;
}

EI_TEST(refused_privileges_degrade_or_fail_with_their_fix)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    ei_test_skip("sanitizers swallow mlock");
#endif
    int status = -1;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        _exit(without_rights());
    }
    EI_REQUIRE(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    EI_EQ(WEXITSTATUS(status), 0);
}

EI_TEST(later_refusal_is_recorded)
{
    struct ei_privileges p = {.mode = EI_PRIVILEGES_DEGRADE, .dma_latency_fd = -1};
    struct einet_error err = {0};
    p.results[EI_PRIVILEGE_MEMORY] = (struct ei_privilege_result){.asked = true, .got = true, .asked_text = "all"};
    EI_EQ(ei_privileges_refused(&p, EI_PRIVILEGE_MEMORY, "none", "limit reached", "ulimit -l unlimited", &err), 0);
    EI_EQ(p.degraded_count, 1);
    EI_CONTAINS(p.degraded[0], "ulimit -l unlimited");
    p.mode = EI_PRIVILEGES_REQUIRE;
    EI_EQ(ei_privileges_refused(&p, EI_PRIVILEGE_MEMORY, "none", "limit reached", "ulimit -l unlimited", &err),
          EINET_E_PRIVILEGE);
    EI_CONTAINS(err.text, "limit reached");
}
