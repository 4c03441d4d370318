/* Tasks of class deadline: a SCHED_DEADLINE thread for each (they have one job in flight), all at the same time, since
 * the kernel admits their sum.
 */
#include "doctor/measure.h"
#include "rt/clock.h"
#include "rt/deadline.h"
#include "rt/thread.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct attempt {
    struct ei_thread thread;
    struct ei_deadline_bandwidth bandwidth;
    const char *task;
    bool is_refused;
    struct ei_deadline_refusal refusal;
    atomic_int *tried, *expected; /* threads; expected is set last */
};

/* Hold what was got until everybody has tried. */
static void try_deadline(void *arg)
{
    struct attempt *attempt = arg;
    attempt->is_refused = ei_thread_become_deadline(&attempt->bandwidth, &attempt->refusal) != 0;
    atomic_fetch_add(attempt->tried, 1);
    while (atomic_load(attempt->tried) < atomic_load(attempt->expected)) {
        ei_mono_sleep_until((struct ei_mono){ei_mono_now().ns + EI_NS_PER_MS});
    }
}

static struct ei_deadline_bandwidth bandwidth_of(const struct ei_task_spec *task)
{
    const struct ei_bandwidth spec = ei_task_bandwidth(task);
    return (struct ei_deadline_bandwidth){
        .runtime_ns = spec.runtime_ns > EI_DEADLINE_RUNTIME_MIN_NS ? spec.runtime_ns : EI_DEADLINE_RUNTIME_MIN_NS,
        .deadline_ns = spec.deadline_ns,
        .period_ns = spec.period_ns,
    };
}

static void note(struct ei_doctor_measured *m, const struct attempt *attempt)
{
    if (attempt->is_refused && !m->deadline.is_refused) {
        m->deadline.is_refused = true;
        snprintf(m->deadline.reason, sizeof m->deadline.reason, "task '%s': %s", attempt->task,
                 attempt->refusal.reason);
        snprintf(m->deadline.fix, sizeof m->deadline.fix, "%s", attempt->refusal.fix);
    }
}

void ei_doctor_try_deadline(struct ei_doctor_inputs *in)
{
    const struct ei_thread_attr attr = {.name = "doctor", .policy = EI_THREAD_OTHER};
    struct attempt *attempts = in->wl != NULL ? calloc(EI_TASKS_MAX, sizeof *attempts) : NULL;
    atomic_int tried = 0, expected = INT_MAX;
    int count = 0;
    for (int32_t i = 0; attempts != NULL && i < in->wl->task_count; i++) {
        const struct ei_task_spec *task = &in->wl->tasks[i];
        if (task->class_ != EI_SPEC_CLASS_DEADLINE) {
            continue;
        }
        attempts[count] = (struct attempt){
            .bandwidth = bandwidth_of(task), .task = task->name, .tried = &tried, .expected = &expected};
        count += ei_thread_create(&attempts[count].thread, &attr, try_deadline, &attempts[count], NULL) == 0;
    }
    atomic_store(&expected, count);
    for (int i = 0; i < count; i++) {
        (void)ei_thread_join(&attempts[i].thread);
        note(&in->measured, &attempts[i]);
    }
    in->measured.deadline.threads = count;
    free(attempts);
}
