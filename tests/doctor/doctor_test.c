/* Probes on a folder that stands for a machine, and on measurements that are made up. */
#include "doctor/doctor.h"

#include "doctor/probes.h"
#include "tests/doctor/shell.h"
#include "tests/harness/harness.h"

#include <stdlib.h>
#include <sys/stat.h>

/* ---- a machine ---- */

#define CLOCKS "/sys/devices/system/clocksource/clocksource0"

static char machine[512];

/* Write a file of the machine, and the folders above it. */
static void machine_has(const char *path, const char *text)
{
    char whole[1024];
    snprintf(whole, sizeof whole, "%s%s", machine, path);
    for (char *at = whole + strlen(machine) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(whole, 0755);
        *at = '/';
    }
    FILE *file = fopen(whole, "we");
    if (EI_TRUEF(file != NULL, "cannot write %s", whole)) {
        fputs(text, file);
        fclose(file);
    }
}

static void new_machine(void)
{
    snprintf(machine, sizeof machine, "%s/machine", ei_test_tmpdir());
    (void)mkdir(machine, 0755);
}

static struct ei_doctor_report report;

static const struct ei_finding *look(const char *id)
{
    const struct ei_doctor_options options = {.root = machine, .only = id};
    struct einet_error err = {0};
    EI_TRUEF(ei_doctor_examine(NULL, &options, &report, &err) == 0, "%s", err.text);
    EI_EQ(report.count, 1);
    EI_STREQ(report.findings[0].id, id);
    return &report.findings[0];
}

static void expect(const char *id, enum ei_doctor_verdict verdict, const char *found)
{
    const struct ei_finding *f = look(id);
    EI_TRUEF(f->verdict == verdict, "%s: %s (%s; fix: %s)", id, ei_doctor_verdict_name(f->verdict), f->found, f->fix);
    EI_CONTAINS(f->found, found);
    EI_TRUEF(f->wanted[0] != '\0', "%s says what it wants", id);
    EI_TRUEF((f->fix[0] == '\0') == (verdict == EI_DOCTOR_OK), "%s: fix \"%s\"", id, f->fix);
}

/* The finding is there, its fix is applied to the machine, and it is gone. */
static void expect_mended(const char *id, enum ei_doctor_verdict verdict, const char *found)
{
    expect(id, verdict, found);
    EI_EQ(run_fix(look(id)->fix), 0);
    const struct ei_finding *f = look(id);
    EI_TRUEF(f->verdict == EI_DOCTOR_OK, "%s: still %s after its fix", id, f->found);
}

/* ---- the kernel ---- */

EI_TEST(slow_clock_source_is_found_and_its_fix_works)
{
    new_machine();
    machine_has(CLOCKS "/available_clocksource", "kvm-clock hpet tsc acpi_pm\n");
    machine_has(CLOCKS "/current_clocksource", "hpet\n");
    expect_mended("clock_source", EI_DOCTOR_WARN, "hpet");
    EI_CONTAINS(look("clock_source")->found, "tsc");
    machine_has(CLOCKS "/available_clocksource", "hpet acpi_pm\n");
    machine_has(CLOCKS "/current_clocksource", "acpi_pm\n");
    expect("clock_source", EI_DOCTOR_WARN, "acpi_pm");
    EI_CONTAINS(look("clock_source")->fix, "dmesg");
}

EI_TEST(preemption_is_read_where_the_kernel_says_it)
{
    new_machine();
    expect("preemption", EI_DOCTOR_WARN, "cannot be read");
    machine_has("/proc/version", "Linux version 6.1.0-18-rt-amd64 (x) #1 SMP PREEMPT_RT Debian 6.1.76-1\n");
    expect("preemption", EI_DOCTOR_OK, "PREEMPT_RT");
    machine_has("/proc/version", "Linux version 5.4.0 (x) #1 SMP PREEMPT Mon\n");
    expect("preemption", EI_DOCTOR_OK, "full");
    machine_has("/proc/version", "Linux version 5.4.0 (x) #1 SMP Mon\n");
    expect("preemption", EI_DOCTOR_WARN, "not preempted");
    machine_has("/proc/version", "Linux version 6.1.0 (x) #1 SMP PREEMPT_DYNAMIC Debian\n");
    expect("preemption", EI_DOCTOR_WARN, "unknown");
    machine_has("/proc/sys/kernel/osrelease", "6.1.0\n");
    machine_has("/boot/config-6.1.0", "CONFIG_HZ=250\n# CONFIG_PREEMPT_NONE is not set\nCONFIG_PREEMPT_VOLUNTARY=y\n");
    expect("preemption", EI_DOCTOR_WARN, "mode voluntary");
    machine_has("/proc/cmdline", "root=/dev/vda preempt=full quiet\n");
    expect("preemption", EI_DOCTOR_OK, "mode full");
    machine_has("/sys/kernel/debug/sched/preempt", "(none) voluntary full\n");
    expect("preemption", EI_DOCTOR_WARN, "mode none");
    machine_has("/sys/kernel/debug/sched/preempt", "none voluntary (full)\n");
    expect("preemption", EI_DOCTOR_OK, "mode full");
}

EI_TEST(throttling_below_the_cap_is_found_and_its_fix_works)
{
    new_machine();
    expect("rt_throttling", EI_DOCTOR_WARN, "cannot be read");
    machine_has("/proc/sys/kernel/sched_rt_period_us", "1000000\n");
    machine_has("/proc/sys/kernel/sched_rt_runtime_us", "950000\n");
    expect("rt_throttling", EI_DOCTOR_OK, "950000 of each 1000000 us");
    machine_has("/proc/sys/kernel/sched_rt_runtime_us", "-1\n");
    expect("rt_throttling", EI_DOCTOR_OK, "off");
    machine_has("/proc/sys/kernel/sched_rt_runtime_us", "500000\n");
    expect_mended("rt_throttling", EI_DOCTOR_FAIL, "500000");
}

EI_TEST(a_group_without_runtime_is_found_and_its_fix_works)
{
    new_machine();
    machine_has("/proc/self/cgroup", "9:name=systemd:/\n4:cpuset:/\n1:cpu,cpuacct:/user/me\n0::/\n");
    machine_has("/sys/fs/cgroup/cpu/user/me/cpu.rt_period_us", "1000000\n");
    machine_has("/sys/fs/cgroup/cpu/user/me/cpu.rt_runtime_us", "0\n");
    expect_mended("cgroup_rt_runtime", EI_DOCTOR_FAIL, "0 of 1000000 us in /sys/fs/cgroup/cpu/user/me/");
    /* in a container the path of the group is that of the host, and its files are at the top */
    machine_has("/proc/self/cgroup", "1:cpu,cpuacct:/docker/4711\n");
    machine_has("/sys/fs/cgroup/cpu/cpu.rt_period_us", "1000000\n");
    machine_has("/sys/fs/cgroup/cpu/cpu.rt_runtime_us", "0\n");
    expect_mended("cgroup_rt_runtime", EI_DOCTOR_FAIL, "0 of 1000000 us in /sys/fs/cgroup/cpu/cpu.");
    machine_has("/proc/self/cgroup", "0::/user.slice\n");
    expect("cgroup_rt_runtime", EI_DOCTOR_OK, "version 2");
}

EI_TEST(settings_that_make_runs_late_are_found_and_their_fixes_work)
{
    new_machine();
    for (int cpu = 0; cpu < 64; cpu++) { /* whichever this process may use */
        char path[128];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu);
        machine_has(path, "powersave\n");
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        machine_has(path, cpu % 2 == 0 ? "0-1\n" : "0,1\n");
    }
    expect("governor", EI_DOCTOR_WARN, "powersave");
    EI_EQ(run_fix(look("governor")->fix), 0);
    expect("governor", EI_DOCTOR_OK, "performance");
    expect("smt", EI_DOCTOR_WARN, "share a core");
    machine_has("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    expect("thp", EI_DOCTOR_WARN, "always");
    EI_CONTAINS(look("thp")->fix, "echo madvise | sudo tee");
    machine_has("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    expect("thp", EI_DOCTOR_OK, "madvise");
    machine_has("/proc/swaps", "Filename Type Size Used Priority\n");
    expect("swap", EI_DOCTOR_OK, "no swap");
}

EI_TEST(swap_counts_only_while_memory_is_not_locked)
{
    struct ei_finding f = {.id = "swap"};
    static struct ei_doctor_inputs in;
    new_machine();
    machine_has("/proc/swaps", "Filename Type Size Used Priority\n/dev/vdb partition 2097152 0 -2\n");
    in.root = machine;
    in.wants.is_memory_locked = true;
    in.measured.privileges.results[EI_PRIVILEGE_MEMORY].got = true;
    ei_probe_swap(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_OK);
    EI_CONTAINS(f.found, "2048 MiB");
    in.measured.privileges.results[EI_PRIVILEGE_MEMORY].got = false;
    ei_probe_swap(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_WARN);
}

EI_TEST(steal_is_the_share_of_the_cpus_of_tasks)
{
    new_machine();
    char stat[64 * 80];
    size_t at = 0;
    for (int cpu = 0; cpu < 64; cpu++) {
        at += (size_t)snprintf(stat + at, sizeof stat - at, "cpu%d 50 0 20 9 1 0 0 20 0 0\n", cpu);
    }
    machine_has("/proc/stat", stat);
    expect("steal", EI_DOCTOR_WARN, "20.0 % since the start");
    expect("steal", EI_DOCTOR_WARN, "0.0 % now");
    machine_has("/proc/stat", "cpu 1 2 3\n");
    expect("steal", EI_DOCTOR_WARN, "does not tell");
}

/* ---- measurements that are made up ---- */

static struct ei_doctor_inputs made_up(int64_t deadline_ns)
{
    return (struct ei_doctor_inputs){
        .root = "",
        .program = "einet",
        .wants =
            {.top_priority = 80, .low_priority = 20, .load_cap = 0.9, .deadline_ns = deadline_ns, .deadline_task = "t"},
    };
}

static enum ei_doctor_verdict release_verdict(int64_t deadline_ns, int64_t p99_ns, int64_t max_ns)
{
    struct ei_doctor_inputs in = made_up(deadline_ns);
    struct ei_finding f = {.id = "release"};
    in.measured.release = (struct ei_doctor_times){.count = 1000, .p99_ns = p99_ns, .max_ns = max_ns};
    ei_probe_release(&in, &f);
    return f.verdict;
}

EI_TEST(late_wake_ups_are_judged_by_the_shortest_deadline)
{
    EI_EQ(release_verdict(2000000, 100000, 900000), EI_DOCTOR_OK);
    EI_EQ(release_verdict(2000000, 200000, 900000), EI_DOCTOR_WARN);
    EI_EQ(release_verdict(2000000, 100000, 1000000), EI_DOCTOR_WARN);
    EI_EQ(release_verdict(2000000, 1999999, 1999999), EI_DOCTOR_WARN);
    EI_EQ(release_verdict(2000000, 2000000, 2000000), EI_DOCTOR_FAIL);
    EI_EQ(release_verdict(20000000, 200000, 900000), EI_DOCTOR_OK);
    EI_EQ(release_verdict(0, 50000000, 50000000), EI_DOCTOR_WARN); /* nobody has a deadline: nothing fails */
}

EI_TEST(gaps_are_judged_by_the_shortest_deadline)
{
    struct ei_doctor_inputs in = made_up(2000000);
    struct ei_finding f = {.id = "gaps"};
    in.measured.gap_scan_ns = 250000000;
    in.measured.gaps = (struct ei_doctor_times){.count = 3, .max_ns = 1000000, .max_cpu = 1};
    ei_probe_gaps(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_OK);
    EI_CONTAINS(f.found, "3 above 20 us in 250.0 ms per CPU, as an ordinary thread, the longest 1.0 ms on CPU 1");
    in.measured.gaps.max_ns = 1000001;
    ei_probe_gaps(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_WARN);
}

EI_TEST(others_fail_when_they_run_and_warn_when_they_may)
{
    struct ei_doctor_inputs in = made_up(0);
    struct ei_finding f = {.id = "fifo_load"};
    in.measured.other_count = 2;
    in.measured.others[0] = (struct ei_doctor_other){.pid = 11, .tid = 12, .policy = 1, .priority = 90, .name = "idle"};
    in.measured.others[1] =
        (struct ei_doctor_other){.pid = 21, .tid = 22, .policy = 1, .priority = 40, .name = "busy", .share = 0.3};
    ei_probe_others(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_FAIL);
    EI_CONTAINS(f.found, "busy (process 21, thread 22, priority 40, 30 % of a CPU) and 1 more");
    EI_STREQ(f.fix, "sudo chrt --all-tasks --other --pid 0 21");
    in.measured.others[1].share = 0.001;
    ei_probe_others(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_WARN);
}

EI_TEST(coarse_timers_fail)
{
    struct ei_doctor_inputs in = made_up(0);
    struct ei_finding f = {.id = "timers"};
    in.measured.tick_ns = 4000000;
    in.measured.timer_ns = 1;
    ei_probe_timers(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_OK);
    EI_CONTAINS(f.found, "250 Hz");
    in.measured.timer_ns = 4000000;
    ei_probe_timers(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_FAIL);
}

static struct ei_cpuset cpus_of(const char *list)
{
    struct ei_cpuset set = {{0}};
    EI_EQ(ei_cpuset_parse(list, &set), 0);
    return set;
}

static const struct ei_finding *judge_cpus(const char *named, const char *allowed, const char *reachable)
{
    static struct ei_finding f;
    struct ei_doctor_inputs in = made_up(0);
    f = (struct ei_finding){.id = "cpus"};
    in.root = machine;
    in.wants.named_cpus = cpus_of(named);
    in.measured.allowed_cpus = cpus_of(allowed);
    in.measured.reachable_cpus = cpus_of(reachable);
    ei_probe_cpus(&in, &f);
    return &f;
}

EI_TEST(a_missing_cpu_is_told_by_why_it_is_missing)
{
    new_machine();
    machine_has("/proc/self/cgroup", "3:cpuset:/box\n0::/\n");
    machine_has("/sys/devices/system/cpu/cpu2/online", "0\n");
    machine_has("/sys/devices/system/cpu/cpu3/online", "1\n");
    EI_EQ(judge_cpus("0-1", "0-1", "0-3")->verdict, EI_DOCTOR_OK);
    EI_STREQ(judge_cpus("1", "0", "0-1")->fix, "taskset -c 0-1 einet run FILE");
    EI_CONTAINS(judge_cpus("2", "0-1", "0-1")->fix, "/sys/devices/system/cpu/cpu2/online");
    EI_CONTAINS(judge_cpus("3", "0-1", "0-1")->fix, "/sys/fs/cgroup/cpuset/box/cpuset.cpus");
    EI_CONTAINS(judge_cpus("7", "0-1", "0-1")->fix, "# name CPUs inside 0-1");
    EI_EQ(judge_cpus("7", "0-1", "0-1")->verdict, EI_DOCTOR_FAIL);
    EI_EQ(judge_cpus("0", "0", "0")->verdict, EI_DOCTOR_WARN); /* tasks and housekeeping on one */
}

EI_TEST(the_rtprio_limit_is_told_with_the_way_to_raise_it)
{
    struct ei_doctor_inputs in = made_up(0);
    struct ei_finding f = {.id = "rtprio_limit"};
    new_machine();
    in.root = machine;
    in.measured.rtprio_soft = 0;
    in.measured.rtprio_hard = 99;
    ei_probe_rtprio(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_FAIL);
    EI_STREQ(f.fix, "ulimit -r 99");
    in.measured.rtprio_hard = 0;
    ei_probe_rtprio(&in, &f);
    EI_CONTAINS(f.fix, "limits.d/einet.conf");
    f = (struct ei_finding){.id = "rtprio_limit"};
    in.measured.privileges.results[EI_PRIVILEGE_FIFO].got = true; /* by a right that asks no limit */
    ei_probe_rtprio(&in, &f);
    EI_EQ(f.verdict, EI_DOCTOR_OK);
}

/* ---- the report ---- */

EI_TEST(complaints_come_worst_first)
{
    const struct ei_finding *worst[3] = {NULL};
    static struct ei_doctor_report r;
    r.count = 4;
    r.findings[0] = (struct ei_finding){.id = "a", .verdict = EI_DOCTOR_WARN};
    r.findings[1] = (struct ei_finding){.id = "b"};
    r.findings[2] = (struct ei_finding){.id = "c", .verdict = EI_DOCTOR_FAIL};
    r.findings[3] = (struct ei_finding){.id = "d", .verdict = EI_DOCTOR_FAIL};
    EI_EQ(ei_doctor_complaints(&r, worst, 2), 3);
    EI_STREQ(worst[0]->id, "c");
    EI_STREQ(worst[1]->id, "d");
    EI_TRUE(worst[2] == NULL);
    EI_EQ(ei_doctor_worst(&r), EI_DOCTOR_FAIL);
}

EI_TEST(names_of_probes_are_checked)
{
    struct einet_error err = {0};
    struct ei_doctor_options options = {.only = "thp,preemptio"};
    EI_EQ(ei_doctor_examine(NULL, &options, &report, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "'preemptio'");
    options.only = "thp,output";
    EI_EQ(ei_doctor_examine(NULL, &options, &report, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "'output' is about a workload file");
    options.only = "thp,swap";
    EI_EQ(ei_doctor_examine(NULL, &options, &report, &err), 0);
    EI_EQ(report.count, 2);
    options.only = "";
    EI_EQ(ei_doctor_examine(NULL, &options, &report, &err), EINET_E_USAGE);
}

EI_TEST(a_quick_look_leaves_out_what_takes_time)
{
    const struct ei_doctor_options options = {.is_quick = true};
    EI_EQ(ei_doctor_examine(NULL, &options, &report, NULL), 0);
    EI_TRUE(report.count > 10);
    for (int32_t i = 0; i < report.count; i++) {
        const char *id = report.findings[i].id;
        EI_TRUEF(strcmp(id, "release") != 0 && strcmp(id, "gaps") != 0 && strcmp(id, "libtorch") != 0 &&
                     strcmp(id, "gpu") != 0,
                 "%s takes time", id);
    }
    EI_EQ(ei_doctor_examine(NULL, &options, &report, NULL), 0); /* the topology is loaded by now */
    printf("a quick look took %.1f ms\n", (double)report.took_ns / 1e6);
}

EI_TEST(every_probe_is_documented)
{
    static char text[64 * 1024];
    FILE *file = fopen("docs/doctor.md", "re");
    EI_REQUIRE(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    for (int32_t i = 0; ei_doctor_probe_id(i) != NULL; i++) {
        char heading[64];
        snprintf(heading, sizeof heading, "| `%s` |", ei_doctor_probe_id(i));
        EI_CONTAINS(text, heading);
    }
}

EI_MAIN()
