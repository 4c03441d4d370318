/* The command meets faults that are made for it: a child process loses a right, a limit, a CPU, gets a control group
 * without runtime or a load beside it; the finding must name it, and where this process may apply the fix, it must be
 * gone then.
 */
#include "tests/doctor/look.h"
#include "tests/doctor/shell.h"
#include "tests/harness/harness.h"

#include "rt/clock.h"
#include "rt/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAP_SYS_NICE_BIT 23

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

/* ---- rights ---- */

/* A copy of einet, which may then be given capabilities of its own, where a path is long and has a blank. */
static void use_own_copy(void)
{
    char command[1600];
    snprintf(program, sizeof program, "%s/a %0100d/einet", ei_test_tmpdir(), 0);
    snprintf(command, sizeof command, "mkdir '%.*s' && cp '%s/einet' '%s' && chmod 755 '%s'",
             (int)(strrchr(program, '/') - program), program, ei_test_build_dir(), program, program);
    EI_EQ(run_fix(command), 0);
    if (run_fix("command -v setcap >/dev/null") != 0) {
        ei_test_skip("no setcap here");
    }
}

EI_TEST(no_right_to_fifo_is_found_and_setcap_mends_it)
{
    need_root();
    const struct seen as_root = look(NULL, NULL, "fifo");
    if (strcmp(as_root.verdict, "ok") != 0) {
        ei_test_skip("not even root gets SCHED_FIFO here: %s", as_root.found);
    }
    use_own_copy();
    struct seen seen = look(become_nobody, NULL, "fifo");
    expect_fail(&seen, 3, "SCHED_FIFO 98 refused");
    EI_CONTAINS(seen.fix, "sudo setcap cap_sys_nice,cap_ipc_lock+ep");
    EI_EQ(run_fix(seen.fix), 0);
    seen = look(become_nobody, NULL, "fifo");
    expect_ok(&seen);
}

/* As in a container that was not given the capability: no file can bring it back. */
static int lose_sys_nice(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_RTPRIO, &none) != 0 || prctl(PR_CAPBSET_DROP, CAP_SYS_NICE_BIT, 0, 0, 0) != 0;
}

EI_TEST(root_without_the_capability_is_sent_to_its_container)
{
    need_root();
    const struct seen seen = look(lose_sys_nice, NULL, "fifo");
    expect_fail(&seen, 3, "no capability cap_sys_nice");
    EI_CONTAINS(seen.fix, "--cap-add sys_nice");
}

EI_TEST(rtprio_limit_of_zero_is_found)
{
    const struct seen seen = look(become_nobody, NULL, "rtprio_limit");
    expect_fail(&seen, 3, "limit 0 (hard 0)");
    EI_CONTAINS(seen.fix, "limits.d");
}

static const char *workload_of_deadlines(int count)
{
    static char text[4096];
    size_t at = (size_t)snprintf(text, sizeof text, "version: 1\nname: ill\nrun: { duration: 1s }\ntasks:\n");
    for (int i = 0; i < count; i++) {
        at += (size_t)snprintf(
            text + at, sizeof text - at,
            "  - { name: d%d, class: deadline, arrival: { model: periodic, period: 100ms }, deadline: 50ms,\n"
            "      stages: [ { name: s, kind: cpu, work: { spin: 1ms }, budget: 40ms } ] }\n",
            i);
    }
    write_text(in_tmpdir("ill.yaml"), text);
    return in_tmpdir("ill.yaml");
}

/* 40 % of a CPU each. */
EI_TEST(more_deadline_threads_than_the_kernel_admits_are_found)
{
    const struct seen alone = look(NULL, workload_of_deadlines(1), "sched_deadline");
    if (strcmp(alone.verdict, "ok") != 0) {
        ei_test_skip("SCHED_DEADLINE is refused here: %s", alone.found);
    }
    EI_CONTAINS(alone.found, "granted to all 1 ");
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (cpus > 4) {
        ei_test_skip("this many CPUs admit all that a file of this test can ask");
    }
    const struct seen seen = look(NULL, workload_of_deadlines((int)(3 * cpus)), "sched_deadline");
    expect_fail(&seen, 3, "pass the bandwidth");
    EI_CONTAINS(seen.wanted, "threads at the same time");
}

static int soft_limit_zero(void)
{
    const struct rlimit soft = {0, 99};
    return setrlimit(RLIMIT_RTPRIO, &soft) != 0 || setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 ||
           setuid(NOBODY) != 0;
}

/* The same with the limit raised as the finding says. */
static int soft_limit_mended(void)
{
    const struct rlimit raised = {99, 99};
    return soft_limit_zero() != 0 || setrlimit(RLIMIT_RTPRIO, &raised) != 0;
}

EI_TEST(rtprio_limit_is_mended_by_raising_it)
{
    need_root();
    struct seen seen = look(soft_limit_zero, NULL, "rtprio_limit");
    expect_fail(&seen, 3, "limit 0 (hard 99)");
    EI_STREQ(seen.fix, "ulimit -r 99");
    seen = look(soft_limit_mended, NULL, "rtprio_limit");
    expect_ok(&seen);
}

static int little_memory(void)
{
    const struct rlimit little = {64 * 1024, 64 * 1024};
    return setrlimit(RLIMIT_MEMLOCK, &little) != 0 || become_nobody() != 0;
}

EI_TEST(memlock_of_64_kib_is_found_and_setcap_mends_it)
{
    need_root();
    if (HAS_SANITIZER) {
        ei_test_skip("sanitizers swallow mlock");
    }
    use_own_copy();
    struct seen seen = look(little_memory, NULL, "memory_lock");
    expect_fail(&seen, 3, "the memlock limit is 64 KiB");
    EI_EQ(run_fix(seen.fix), 0);
    seen = look(little_memory, NULL, "memory_lock");
    expect_ok(&seen);
}

/* ---- the control group ---- */

static char group[256];

static int enter_group(void)
{
    char path[300], pid[16];
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    const int length = snprintf(pid, sizeof pid, "%d", (int)getpid());
    const int fd = open(path, O_WRONLY);
    return fd < 0 || write(fd, pid, (size_t)length) != length || close(fd) != 0;
}

EI_TEST(group_without_runtime_is_found_and_its_fix_works)
{
    need_root();
    if (access("/sys/fs/cgroup/cpu/cpu.rt_runtime_us", W_OK) != 0) {
        ei_test_skip("no control groups of version 1 with real-time runtime");
    }
    snprintf(group, sizeof group, "/sys/fs/cgroup/cpu/einet-doctor-%d", (int)getpid());
    if (mkdir(group, 0755) != 0) {
        ei_test_skip("cannot make a control group: %s", strerror(errno));
    }
    struct seen seen = look(enter_group, NULL, "cgroup_rt_runtime");
    expect_fail(&seen, 3, "0 of 1000000 us in /sys/fs/cgroup/cpu/einet-doctor-");
    const struct seen fifo = look(enter_group, NULL, "fifo");
    expect_fail(&fifo, 3, "the control group grants no real-time runtime");
    EI_EQ(run_fix(seen.fix), 0);
    seen = look(enter_group, NULL, "cgroup_rt_runtime");
    expect_ok(&seen);
    (void)rmdir(group);
}

/* ---- other load ---- */

/* Half of a CPU above the tasks, until it is killed. The first process of a space of its own, so that nobody else's
 * threads are seen, or mended. */
static void be_load(void)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || mount("proc", "/proc", "proc", 0, NULL) != 0 ||
        ei_thread_become_fifo(60, NULL) < 0) {
        _exit(77);
    }
    for (;;) {
        const int64_t until_ns = ei_mono_now().ns + 5 * EI_NS_PER_MS;
        while (ei_mono_now().ns < until_ns) {
        }
        ei_mono_sleep_until((struct ei_mono){until_ns + 5 * EI_NS_PER_MS});
    }
}

/* Its process; skips the case where it cannot be. */
static pid_t start_load(void)
{
    int status = 0;
    if (unshare(CLONE_NEWNS | CLONE_NEWPID) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        ei_test_skip("no process space of our own: %s", strerror(errno));
    }
    fflush(NULL);
    const pid_t load = fork();
    if (load == 0) {
        be_load();
    }
    while (sched_getscheduler(load) != SCHED_FIFO) {
        ei_mono_sleep_until((struct ei_mono){ei_mono_now().ns + EI_NS_PER_MS});
        if (waitpid(load, &status, WNOHANG) == load) {
            ei_test_skip("a load gets no SCHED_FIFO or no /proc of its own here");
        }
    }
    return load;
}

EI_TEST(another_fifo_load_is_found_and_its_fix_works)
{
    int status = 0;
    const char *file = workload("");
    const int own_space = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    const pid_t load = start_load();
    struct seen seen = look(NULL, file, "fifo_load");
    expect_fail(&seen, 5, "(process 1, thread 1, priority 60, ");
    EI_STREQ(seen.fix, "sudo chrt --all-tasks --other --pid 0 1");
    EI_EQ(run_fix(seen.fix), 0);
    EI_EQ(sched_getscheduler(load), SCHED_OTHER);
    seen = look(NULL, file, "fifo_load");
    expect_ok(&seen);
    /* sanitizers read /proc when they end, and look at this process from another one */
    EI_EQ(umount("/proc"), 0);
    EI_EQ(setns(own_space, CLONE_NEWPID), 0);
    close(own_space);
    (void)kill(load, SIGKILL);
    (void)waitpid(load, &status, 0);
}

/* ---- CPUs ---- */

static int only_cpu_0(void)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    return sched_setaffinity(0, sizeof cpus, &cpus);
}

/* The CPUs that the fix names to taskset. */
static char mended_list[64];

static int mend_cpus(void)
{
    char command[128];
    snprintf(command, sizeof command, "taskset -cp %s %d >/dev/null", mended_list, (int)getpid());
    return only_cpu_0() != 0 || run_fix(command) != 0;
}

EI_TEST(wrong_cpu_set_is_found_and_its_fix_works)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0 || !CPU_ISSET(0, &cpus) || !CPU_ISSET(1, &cpus)) {
        ei_test_skip("CPUs 0 and 1 are not both ours");
    }
    const char *file = workload("lanes: { l: { kind: cpu, cpus: \"1\" } }\n");
    struct seen seen = look(NULL, file, "cpus");
    expect_ok(&seen);
    seen = look(only_cpu_0, file, "cpus");
    expect_fail(&seen, 2, "this process may use CPUs 0");
    EI_TRUEF(sscanf(seen.fix, "taskset -c %63s einet run", mended_list) == 1, "fix is %s", seen.fix);
    seen = look(mend_cpus, file, "cpus");
    expect_ok(&seen);
}
