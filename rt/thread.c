/* See thread.h. The new thread binds and names itself, then tells its creator how that went before it runs. */
#include "rt/thread.h"

#include "rt/topology.h"
#include "rt/yield_trap.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIFO_FIX "sudo setcap cap_sys_nice,cap_ipc_lock+ep on the program, or an rtprio limit (ulimit -r 99)"

#define POLICY_DEADLINE 6 /* SCHED_DEADLINE, which the C library does not name */

struct birth {
    const struct ei_thread_attr *attr;
    ei_thread_fn fn;
    void *arg;
    sem_t done;
    pid_t tid;
    int rc;
    struct einet_error err;
};

pid_t ei_thread_self_tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static void *thread_main(void *arg)
{
    struct birth *birth = arg;
    const ei_thread_fn fn = birth->fn;
    void *const fn_arg = birth->arg;
    char name[EI_THREAD_NAME_MAX];
    birth->tid = ei_thread_self_tid();
    if (birth->attr->name != NULL) {
        snprintf(name, sizeof name, "%.*s", EI_THREAD_NAME_MAX - 1, birth->attr->name);
        (void)pthread_setname_np(pthread_self(), name);
    }
    if (!ei_cpuset_is_empty(&birth->attr->cpus)) {
        birth->rc = ei_topology_bind_self(&birth->attr->cpus, &birth->err);
    }
#ifdef EINET_SANITIZED
    if (birth->attr->policy == EI_THREAD_FIFO) {
        ei_yield_trap_set();
    }
#endif
    const bool is_born = birth->rc == 0;
    sem_post(&birth->done); /* from here on *birth may be gone */
    if (is_born) {
        fn(fn_arg);
    }
    return NULL;
}

static bool is_sensible(const struct ei_thread_attr *attr)
{
    return attr->policy == EI_THREAD_FIFO ? attr->priority >= 1 && attr->priority <= 99
                                          : attr->policy == EI_THREAD_OTHER && attr->priority == 0;
}

static int init_pthread_attr(pthread_attr_t *out, const struct ei_thread_attr *attr)
{
    const struct sched_param param = {.sched_priority = attr->priority};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t minimum = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    size_t stack_bytes = attr->stack_bytes > 0 ? attr->stack_bytes : EI_THREAD_STACK_DEFAULT_BYTES;
    stack_bytes = stack_bytes < minimum ? minimum : stack_bytes;
    int rc = pthread_attr_init(out);
    if (rc != 0) {
        return -rc;
    }
    rc = pthread_attr_setinheritsched(out, PTHREAD_EXPLICIT_SCHED);
    if (rc == 0) {
        rc = pthread_attr_setschedpolicy(out, attr->policy == EI_THREAD_FIFO ? SCHED_FIFO : SCHED_OTHER);
    }
    if (rc == 0) {
        rc = pthread_attr_setschedparam(out, &param);
    }
    if (rc == 0) {
        rc = pthread_attr_setstacksize(out, (stack_bytes + page - 1) / page * page);
    }
    if (rc != 0) {
        pthread_attr_destroy(out);
    }
    return -rc;
}

int ei_thread_create(struct ei_thread *thread, const struct ei_thread_attr *attr, ei_thread_fn fn, void *arg,
                     struct einet_error *err)
{
    if (!is_sensible(attr)) {
        return einet_error_set(err, -EINVAL, "a FIFO thread has priority 1 to 99, an ordinary one 0; not %d",
                               attr->priority);
    }
    pthread_attr_t pattr;
    int rc = init_pthread_attr(&pattr, attr);
    if (rc < 0) {
        return einet_error_set(err, rc, "cannot set up a thread: %s", einet_error_text(rc));
    }
    struct birth birth = {.attr = attr, .fn = fn, .arg = arg};
    sem_init(&birth.done, 0, 0);
    pthread_t handle;
    rc = -pthread_create(&handle, &pattr, thread_main, &birth);
    pthread_attr_destroy(&pattr);
    if (rc == 0) {
        while (sem_wait(&birth.done) != 0) {
        }
        rc = birth.rc;
        if (rc < 0) {
            pthread_join(handle, NULL);
            if (err != NULL) {
                *err = birth.err;
            }
        } else {
            *thread = (struct ei_thread){.handle = handle, .tid = birth.tid};
        }
    } else if (rc == -EPERM) {
        rc = einet_error_set(err, EINET_E_PRIVILEGE, "the kernel refused a SCHED_FIFO thread of priority %d (fix: %s)",
                             attr->priority, FIFO_FIX);
    } else {
        rc = einet_error_set(err, rc, "cannot create a thread: %s", einet_error_text(rc));
    }
    sem_destroy(&birth.done);
    return rc;
}

int ei_thread_join(struct ei_thread *thread)
{
    return -pthread_join(thread->handle, NULL);
}

int ei_thread_become_fifo(int priority, struct einet_error *err)
{
    if (priority < 1 || priority > 99) {
        return einet_error_set(err, -EINVAL, "SCHED_FIFO priorities are 1 to 99, not %d", priority);
    }
#ifdef EINET_SANITIZED
    ei_yield_trap_set();
#endif
    const struct sched_param param = {.sched_priority = priority};
    struct ei_thread_state state = {0};
    if (sched_setscheduler(0, SCHED_FIFO, &param) != 0) {
        const int code = errno;
        return einet_error_set(err, EINET_E_PRIVILEGE, "the kernel refused SCHED_FIFO %d: %s (fix: %s)", priority,
                               strerror(code), FIFO_FIX);
    }
    const int rc = ei_thread_read(0, &state);
    if (rc < 0 || state.policy != EI_THREAD_FIFO || state.priority != priority) {
        return einet_error_set(err, EINET_E_PRIVILEGE, "asked for SCHED_FIFO %d, the kernel gave priority %d (fix: %s)",
                               priority, state.priority, FIFO_FIX);
    }
    return 0;
}

int ei_thread_become_other(void)
{
    const struct sched_param param = {.sched_priority = 0};
    return sched_setscheduler(0, SCHED_OTHER, &param) == 0 ? 0 : -errno;
}

int ei_thread_read(pid_t tid, struct ei_thread_state *out_state)
{
    struct sched_param param = {0};
    cpu_set_t cpus;
    const int policy = sched_getscheduler(tid);
    if (policy < 0 || sched_getparam(tid, &param) != 0 || sched_getaffinity(tid, sizeof cpus, &cpus) != 0) {
        return -errno;
    }
    *out_state = (struct ei_thread_state){0};
    if ((policy & ~SCHED_RESET_ON_FORK) == SCHED_FIFO) {
        out_state->policy = EI_THREAD_FIFO;
        out_state->priority = param.sched_priority;
    } else if ((policy & ~SCHED_RESET_ON_FORK) == POLICY_DEADLINE) {
        out_state->policy = EI_THREAD_DEADLINE;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE && cpu < EI_CPU_MAX; cpu++) {
        if (CPU_ISSET((size_t)cpu, &cpus)) {
            ei_cpuset_add(&out_state->cpus, cpu);
        }
    }
    return 0;
}
