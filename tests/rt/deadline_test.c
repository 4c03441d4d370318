/* SCHED_DEADLINE is got as asked for, or its refusal is explained. */
#include "tests/harness/harness.h"
#include "tests/rt/fifo.h"

#include "rt/deadline.h"
#include "rt/thread.h"
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#define MS INT64_C(1000000)

struct attempt {
    struct ei_deadline_bandwidth bandwidth;
    int rc;
    struct ei_deadline_refusal refusal;
    struct ei_thread_state state;
};

static void become(void *arg)
{
    struct attempt *attempt = arg;
    attempt->rc = ei_thread_become_deadline(&attempt->bandwidth, &attempt->refusal);
    (void)ei_thread_read(0, &attempt->state);
}

static struct attempt attempt_with(int64_t runtime_ns, int64_t deadline_ns, int64_t period_ns,
                                   const struct ei_cpuset *cpus)
{
    struct attempt attempt = {.bandwidth = {runtime_ns, deadline_ns, period_ns}, .rc = 1};
    struct ei_thread_attr attr = {.name = "deadline"};
    struct ei_thread thread;
    if (cpus != NULL) {
        attr.cpus = *cpus;
    }
    if (EI_TRUE(ei_thread_create(&thread, &attr, become, &attempt, NULL) == 0)) {
        (void)ei_thread_join(&thread);
    }
    return attempt;
}

static void deadline_or_skip(void)
{
    const struct attempt attempt = attempt_with(MS, 5 * MS, 10 * MS, NULL);
    if (attempt.rc != 0) {
        ei_test_skip("SCHED_DEADLINE is refused here: %s (%s)", attempt.refusal.reason, attempt.refusal.fix);
    }
}

EI_TEST(deadline_thread_reads_back)
{
    deadline_or_skip();
    const struct attempt attempt = attempt_with(MS, 5 * MS, 10 * MS, NULL);
    EI_EQ(attempt.rc, 0);
    EI_EQ((int)attempt.state.policy, EI_THREAD_DEADLINE);
    EI_EQ(attempt.state.priority, 0);
    EI_STREQ(attempt.refusal.reason, "");
}

EI_TEST(deadline_refusals_say_what_helps)
{
    deadline_or_skip();
    struct attempt attempt = attempt_with(100, 5 * MS, 10 * MS, NULL); /* less runtime than the kernel takes */
    EI_EQ(attempt.rc, -EINVAL);
    EI_CONTAINS(attempt.refusal.reason, "limits of this kernel");
    EI_CONTAINS(attempt.refusal.fix, "sched_deadline_period_");
    EI_EQ((int)attempt.state.policy, EI_THREAD_OTHER);
    attempt = attempt_with(MS, 20 * MS, 10 * MS, NULL); /* a deadline behind the period */
    EI_EQ(attempt.rc, -EINVAL);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1) {
        const struct ei_cpuset one = first_allowed_cpu();
        attempt = attempt_with(MS, 5 * MS, 10 * MS, &one);
        EI_EQ(attempt.rc, -EPERM);
        EI_CONTAINS(attempt.refusal.reason, "it may use 1 of ");
        EI_CONTAINS(attempt.refusal.fix, "leave the task's cpus out");
    }
}

struct crowd {
    struct ei_thread threads[64];
    struct attempt attempts[64];
    int count;
};

static atomic_int is_over;

static void become_and_wait(void *arg)
{
    struct attempt *attempt = arg;
    become(attempt);
    while (atomic_load(&is_over) == 0) {
        usleep(2000);
    }
}

/* Each asks for 0.9 of a CPU: sooner or later there is no more. */
EI_TEST(deadline_bandwidth_is_admitted_up_to_a_limit)
{
    deadline_or_skip();
    static struct crowd crowd;
    const struct ei_thread_attr attr = {.name = "deadline"};
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (cpus > 60) {
        ei_test_skip("more CPUs than this case fills");
    }
    atomic_store(&is_over, 0);
    for (int i = 0; i <= cpus; i++) {
        crowd.attempts[i].bandwidth = (struct ei_deadline_bandwidth){900 * MS, 1000 * MS, 1000 * MS};
        EI_REQUIRE(ei_thread_create(&crowd.threads[i], &attr, become_and_wait, &crowd.attempts[i], NULL) == 0);
        crowd.count++;
    }
    usleep(100000);
    atomic_store(&is_over, 1);
    int busy = 0;
    for (int i = 0; i < crowd.count; i++) {
        (void)ei_thread_join(&crowd.threads[i]);
        if (crowd.attempts[i].rc == -EBUSY) {
            busy++;
            EI_CONTAINS(crowd.attempts[i].refusal.reason, "bandwidth");
            EI_CONTAINS(crowd.attempts[i].refusal.fix, "sched_rt_runtime_us");
        }
    }
    EI_TRUEF(busy >= 1, "%d threads of 0.9 CPUs each were admitted on %ld CPUs", crowd.count, cpus);
}
