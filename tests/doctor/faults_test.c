/* The command meets faults that are made for it: a child process loses a right, a limit, a folder, a CPU; the finding
 * must name it, and where this process may apply the fix, the finding must be gone after it.
 */
#include "tests/doctor/shell.h"
#include "tests/harness/harness.h"

#include "rt/clock.h"
#include "rt/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
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

/* ---- a child that looks ---- */

/* What becomes of the child before it executes einet; nonzero = cannot be done here. */
typedef int (*fault)(void);

static char program[512]; /* what is executed */

static const char *in_tmpdir(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", ei_test_tmpdir(), name);
    return path;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (EI_TRUEF(file != NULL, "cannot write %s", path)) {
        fputs(text, file);
        fclose(file);
    }
}

static void child(fault before, const char *file, const char *only)
{
    char sanitizer[256];
    const char *before_options = getenv("ASAN_OPTIONS");
    const int fd = open(in_tmpdir("findings.json"), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
        _exit(126);
    }
    /* who has capabilities by a file cannot be traced, which the search for leaks wants */
    snprintf(sanitizer, sizeof sanitizer, "%.200s:detect_leaks=0", before_options != NULL ? before_options : "");
    setenv("ASAN_OPTIONS", sanitizer, 1);
    if (before != NULL && before() != 0) {
        _exit(77);
    }
    if (file == NULL) {
        execl(program, "einet", "doctor", "--json", "--only", only, (char *)NULL);
    } else {
        execl(program, "einet", "doctor", "--json", "--only", only, file, (char *)NULL);
    }
    _exit(127);
}

struct seen {
    int status; /* exit status of einet */
    char verdict[8], found[512], wanted[512], fix[512];
};

/* What einet doctor says of one probe after a fault. Skips the case when the fault cannot be made here. */
static struct seen look(fault before, const char *file, const char *id)
{
    struct seen seen = {.status = -1};
    json_error_t error;
    int status = 0;
    if (program[0] == '\0') {
        snprintf(program, sizeof program, "%s/einet", ei_test_build_dir());
    }
    unlink(in_tmpdir("findings.json"));
    (void)chmod(ei_test_tmpdir(), 0777);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        child(before, file, id);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    seen.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (seen.status == 77) {
        ei_test_skip("this machine does not let the fault be made");
    }
    json_t *report = json_load_file(in_tmpdir("findings.json"), JSON_REJECT_DUPLICATES, &error);
    if (!EI_TRUEF(report != NULL, "exit status %d, no JSON: %s", seen.status, error.text)) {
        return seen;
    }
    json_t *probes = json_object_get(report, "probes"), *probe = json_array_get(probes, 0);
    EI_EQ(json_integer_value(json_object_get(report, "schema")), 1);
    EI_EQ(json_array_size(probes), 1);
    EI_STREQ(json_string_value(json_object_get(probe, "id")), id);
    snprintf(seen.verdict, sizeof seen.verdict, "%s", json_string_value(json_object_get(probe, "verdict")));
    snprintf(seen.found, sizeof seen.found, "%s", json_string_value(json_object_get(probe, "found")));
    snprintf(seen.wanted, sizeof seen.wanted, "%s", json_string_value(json_object_get(probe, "wanted")));
    snprintf(seen.fix, sizeof seen.fix, "%s", json_string_value(json_object_get(probe, "fix")));
    printf("%s %s: %s (wanted: %s; fix: %s)\n", seen.verdict, id, seen.found, seen.wanted, seen.fix);
    json_decref(report);
    return seen;
}

static void expect_ok(const struct seen *seen)
{
    EI_STREQ(seen->verdict, "ok");
    EI_STREQ(seen->fix, "");
    EI_EQ(seen->status, 0);
}

static void expect_fail(const struct seen *seen, int status, const char *found)
{
    EI_STREQ(seen->verdict, "fail");
    EI_CONTAINS(seen->found, found);
    EI_TRUE(seen->wanted[0] != '\0' && seen->fix[0] != '\0');
    EI_EQ(seen->status, status);
}

static void need_root(void)
{
    if (geteuid() != 0) {
        ei_test_skip("making this fault needs root");
    }
}

/* A file with one real-time task, and more of what `extra` says. */
static const char *workload(const char *extra)
{
    static char text[2048];
    snprintf(text, sizeof text,
             "version: 1\nname: ill\nrun: { duration: 1s }\n%s"
             "tasks:\n  - name: t\n    arrival: { model: periodic, period: 10ms }\n    priority: 40\n"
             "    stages: [ { name: s, kind: cpu, work: { spin: 100us } } ]\n",
             extra);
    write_text(in_tmpdir("ill.yaml"), text);
    return in_tmpdir("ill.yaml");
}

/* ---- rights ---- */

static int become_nobody(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_RTPRIO, &none) != 0 ||
           (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0));
}

/* A copy of einet, which may then be given capabilities of its own. */
static void use_own_copy(void)
{
    char command[1200];
    snprintf(command, sizeof command, "cp '%s/einet' '%s' && chmod 755 '%s'", ei_test_build_dir(), in_tmpdir("einet"),
             in_tmpdir("einet"));
    EI_EQ(run_fix(command), 0);
    snprintf(program, sizeof program, "%s", in_tmpdir("einet"));
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

/* ---- files ---- */

static const char *workload_into(const char *folder)
{
    static char text[600];
    snprintf(text, sizeof text, "outputs: { dir: \"%s/{name}-{time}\" }\n", folder);
    return workload(text);
}

EI_TEST(read_only_output_is_found_and_its_fix_works)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in_tmpdir("out"));
    EI_EQ(mkdir(folder, 0755), 0);
    EI_TRUE(geteuid() != 0 || chown(folder, NOBODY, NOBODY) == 0);
    EI_EQ(chmod(folder, 0555), 0);
    const char *file = workload_into(folder);
    struct seen seen = look(become_nobody, file, "output");
    expect_fail(&seen, 2, "Permission denied");
    EI_CONTAINS(seen.fix, folder);
    EI_EQ(run_fix(seen.fix), 0);
    seen = look(become_nobody, file, "output");
    expect_ok(&seen);
    EI_EQ(rmdir(folder), 0); /* the probe left nothing in it */
}

EI_TEST(read_only_disk_is_found_and_its_fix_works)
{
    char folder[512];
    need_root();
    snprintf(folder, sizeof folder, "%s", in_tmpdir("disk"));
    EI_EQ(mkdir(folder, 0755), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", MS_RDONLY, "size=200m") != 0) {
        ei_test_skip("no mount namespace of our own: %s", strerror(errno));
    }
    const char *file = workload_into(folder);
    struct seen seen = look(NULL, file, "output");
    expect_fail(&seen, 2, "Read-only file system");
    EI_EQ(run_fix(seen.fix), 0);
    seen = look(NULL, file, "output");
    expect_ok(&seen);
    EI_EQ(umount(folder), 0);
}

static const char *workload_on(const char *input)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "version: 1\nname: ill\nrun: { duration: 1s }\nlanes: { l: { kind: cpu } }\n"
             "models: { m: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.5 } ] } } }\n"
             "tasks:\n  - name: t\n    arrival: { model: periodic, period: 10ms }\n    priority: 40\n    input: %s\n"
             "    stages: [ { name: n, kind: nn, model: m, lane: l } ]\n",
             input);
    write_text(in_tmpdir("ill.yaml"), text);
    return in_tmpdir("ill.yaml");
}

EI_TEST(missing_pictures_are_found_until_they_are_there)
{
    /* one pixel */
    static const unsigned char png[] = {
        0x89, 'P',  'N',  'G',  0x0d, 0x0a, 0x1a, 0x0a, 0,    0,    0,    0x0d, 'I',  'H',  'D',  'R',  0,
        0,    0,    1,    0,    0,    0,    1,    8,    0,    0,    0,    0,    0x3a, 0x7e, 0x9b, 0x55, 0,
        0,    0,    0x0a, 'I',  'D',  'A',  'T',  0x78, 0x9c, 0x63, 0x60, 0,    0,    0,    2,    0,    1,
        0x48, 0xaf, 0xa4, 0x71, 0,    0,    0,    0,    'I',  'E',  'N',  'D',  0xae, 0x42, 0x60, 0x82};
    char input[600], path[600], fix[1200];
    snprintf(path, sizeof path, "%s", in_tmpdir("one.png"));
    snprintf(input, sizeof input, "{ kind: images, dir: \"%s\" }", in_tmpdir("pictures"));
    const char *file = workload_on(input);
    struct seen seen = look(NULL, file, "data");
    expect_fail(&seen, 2, "pictures");
    FILE *picture = fopen(path, "we");
    EI_REQUIRE(picture != NULL);
    EI_EQ(fwrite(png, 1, sizeof png, picture), sizeof png);
    fclose(picture);
    snprintf(fix, sizeof fix, "%.500s", seen.fix);
    char *word = strstr(fix, "cp PICTURES");
    EI_REQUIRE(word != NULL);
    char mended[1400];
    snprintf(mended, sizeof mended, "%.*scp '%s'%s", (int)(word - fix), fix, path, word + strlen("cp PICTURES"));
    EI_EQ(run_fix(mended), 0);
    seen = look(NULL, file, "data");
    expect_ok(&seen);
}

EI_TEST(missing_data_set_is_found_and_the_variable_mends_it)
{
    char before[512];
    const char *there = ei_test_data_or_skip("cifar-10-batches-bin");
    snprintf(before, sizeof before, "%s", there);
    const char *file = workload_on("{ kind: dataset, name: cifar10, split: test }");
    setenv("EINET_DATA", in_tmpdir("nothing"), 1);
    struct seen seen = look(NULL, file, "data");
    expect_fail(&seen, 2, "cifar-10-batches-bin");
    EI_CONTAINS(seen.fix, "export EINET_DATA=");
    setenv("EINET_DATA", before, 1);
    seen = look(NULL, file, "data");
    expect_ok(&seen);
}

EI_TEST(missing_weights_are_found)
{
    char text[1200];
    snprintf(text, sizeof text,
             "version: 1\nname: ill\nrun: { duration: 1s }\nlanes: { l: { kind: cpu } }\n"
             "models: { m: { zoo: b-alexnet, dataset: generated, weights: \"%s\" } }\n"
             "tasks:\n  - name: t\n    arrival: { model: periodic, period: 10ms }\n    priority: 40\n"
             "    input: { kind: generated, seed: 1, count: 10, split: test }\n"
             "    stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: m, lane: l } ]\n",
             in_tmpdir("none.safetensors"));
    write_text(in_tmpdir("ill.yaml"), text);
    const struct seen seen = look(NULL, in_tmpdir("ill.yaml"), "weights");
    expect_fail(&seen, 2, "none.safetensors");
    EI_CONTAINS(seen.fix, "einet train --model b-alexnet --dataset generated --out '");
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

/* ---- GPU ---- */

static const char *workload_on_gpu(const char *fallback)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "version: 1\nname: ill\nrun: { duration: 1s }\n"
             "lanes: { gpu: { kind: cuda, device: 0%s }, spare: { kind: cpu } }\n"
             "models: { m: { emulate: { blocks: [ { conv: 1ms, branch: 1ms, score: 0.5 } ] } } }\n"
             "tasks:\n  - name: t\n    arrival: { model: periodic, period: 10ms }\n    priority: 40\n"
             "    stages: [ { name: n, kind: nn, model: m, lane: gpu } ]\n",
             fallback);
    write_text(in_tmpdir("ill.yaml"), text);
    return in_tmpdir("ill.yaml");
}

EI_TEST(missing_gpu_is_found_and_a_fallback_mends_it)
{
    setenv("EINET_CUDA_PLUGIN", in_tmpdir("nowhere.so"), 1);
    struct seen seen = look(NULL, workload_on_gpu(""), "gpu");
    expect_fail(&seen, 5, "nowhere.so");
    EI_CONTAINS(seen.fix, "give lane 'gpu' a fallback");
    seen = look(NULL, workload_on_gpu(", fallback: spare"), "gpu");
    EI_STREQ(seen.verdict, "warn");
    EI_EQ(seen.status, 0);
    seen = look(NULL, workload(""), "gpu"); /* nobody asks for one */
    expect_ok(&seen);
    if (EINET_CUDA_FAKE[0] != '\0') {
        setenv("EINET_CUDA_PLUGIN", EINET_CUDA_FAKE, 1);
        seen = look(NULL, workload_on_gpu(""), "gpu");
        expect_ok(&seen);
    }
}

/* ---- the command ---- */

/* Exit status of einet doctor with these arguments; its standard output goes to a file. */
static int doctor(const char *arguments, const char *output)
{
    char command[1600];
    snprintf(command, sizeof command, "'%s/einet' doctor %s >'%s' 2>&1", ei_test_build_dir(), arguments, output);
    return run_fix(command);
}

static void read_text(const char *path, char *out, size_t size_bytes)
{
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    if (EI_TRUEF(file != NULL, "cannot read %s", path)) {
        out[fread(out, 1, size_bytes - 1, file)] = '\0';
        fclose(file);
    }
}

EI_TEST(all_probes_are_made_in_one_go)
{
    static const char *const ids[] = {"fifo",
                                      "sched_deadline",
                                      "rtprio_limit",
                                      "cgroup_rt_runtime",
                                      "rt_throttling",
                                      "memory_lock",
                                      "cpu_dma_latency",
                                      "cpus",
                                      "output",
                                      "data",
                                      "weights",
                                      "gpu",
                                      "libtorch",
                                      "onednn",
                                      "environment",
                                      "fifo_load",
                                      "release",
                                      "gaps",
                                      "steal",
                                      "clock_source",
                                      "timers",
                                      "preemption",
                                      "governor",
                                      "smt",
                                      "thp",
                                      "swap"};
    const size_t count = sizeof ids / sizeof ids[0];
    static char text[32 * 1024];
    char arguments[600], output[512];
    snprintf(output, sizeof output, "%s", in_tmpdir("all.json"));
    snprintf(arguments, sizeof arguments, "--json '%s'", workload(""));
    const int status = doctor(arguments, output);
    EI_TRUEF(status == 0 || status == 2 || status == 3 || status == 5, "exit status %d", status);
    json_t *report = json_load_file(output, JSON_REJECT_DUPLICATES, NULL);
    json_t *probes = json_object_get(report, "probes");
    EI_EQ(json_array_size(probes), count);
    for (size_t i = 0; i < count; i++) {
        EI_STREQ(json_string_value(json_object_get(json_array_get(probes, i), "id")), ids[i]);
    }
    EI_EQ(strcmp(json_string_value(json_object_get(report, "verdict")), "fail") == 0, status != 0);
    printf("took %.1f s\n", (double)json_integer_value(json_object_get(report, "took_ns")) / 1e9);
    json_decref(report);
    (void)doctor("--only thp,swap", output);
    read_text(output, text, sizeof text);
    EI_CONTAINS(text, "  thp                ");
    EI_CONTAINS(text, "  swap               ");
    EI_CONTAINS(text, " fail, in ");
}

EI_TEST(wrong_uses_are_refused)
{
    static char text[32 * 1024];
    char output[512];
    snprintf(output, sizeof output, "%s", in_tmpdir("said.txt"));
    EI_EQ(doctor("--only nonsense", output), 1);
    read_text(output, text, sizeof text);
    EI_CONTAINS(text, "there is no probe 'nonsense'");
    EI_EQ(doctor("--only output", output), 1);
    EI_EQ(doctor("--only", output), 1);
    EI_EQ(doctor("--fast", output), 1);
    EI_EQ(doctor("a.yaml b.yaml", output), 1);
    EI_EQ(doctor("nowhere.yaml", output), 2);
    EI_EQ(doctor("--help", output), 0);
    read_text(output, text, sizeof text);
    EI_CONTAINS(text, "example: einet doctor");
}

EI_TEST(a_run_says_the_two_worst_when_it_starts)
{
    char text[4096], command[1600];
    int lines = 0;
    need_root();
    if (program[0] == '\0') {
        snprintf(program, sizeof program, "%s/einet", ei_test_build_dir());
    }
    /* an unprivileged run has at least the two: no SCHED_FIFO, and the limit that forbids it */
    (void)chmod(ei_test_tmpdir(), 0777);
    const char *file = workload("outputs: { dir: \"out\", jobs: none }\n");
    snprintf(command, sizeof command,
             "setpriv --reuid %d --regid %d --clear-groups '%s' run %s --duration 20ms --out '%s' 2>'%s' >/dev/null",
             NOBODY, NOBODY, program, file, in_tmpdir("o1"), in_tmpdir("messages.txt"));
    EI_EQ(run_fix(command), 0);
    read_text(in_tmpdir("messages.txt"), text, sizeof text);
    for (const char *at = text; (at = strstr(at, "(fix: ")) != NULL; at++) {
        lines++;
    }
    EI_CONTAINS(text, "einet run: fail fifo: SCHED_FIFO 40 refused");
    EI_EQ(lines, 2);
    EI_CONTAINS(text, "see einet doctor");
    snprintf(
        command, sizeof command,
        "setpriv --reuid %d --regid %d --clear-groups '%s' run %s --quiet --duration 20ms --out '%s' 2>&1 >/dev/null | "
        "grep doctor",
        NOBODY, NOBODY, program, file, in_tmpdir("o2"));
    EI_EQ(run_fix(command), 1);
}

EI_MAIN()
