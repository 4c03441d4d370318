/* The job thread of a task: start, then release after release until the run ends. Releases come by the clock, from
 * outside (engine/external_rt.h), or from the predecessor in a chain (engine/chain_rt.h).
 *
 * Sleeps are absolute, so the phase never drifts. A long sleep is cut into naps, so that a run which is ended early
 * ends soon. Releases that pass while a job runs are accounted when it has finished, in order.
 */
#include "engine/run_state.h"

#include "rt/memory.h"
#include "rt/section.h"

#define NAP_NS (50 * EI_NS_PER_MS)
/* Releases that passed leave a record each. Above the first mark their thread waits until the housekeeper has taken the
 * ring below the second; what is left above the first is for the records of jobs, which never wait. */
#define RING_FULL_RECORDS (EI_JOB_RING_RECORDS / 4 * 3)
#define RING_LOW_RECORDS (EI_JOB_RING_RECORDS / 4)
#define RING_NAP_NS (2 * EI_NS_PER_MS)
#define STACK_MARGIN_BYTES ((size_t)32 * 1024)

bool ei_run_is_cancelled(struct ei_run *run, int64_t now_ns)
{
    return atomic_load_explicit(&run->is_cancelled, memory_order_acquire) &&
           now_ns > atomic_load_explicit(&run->end_ns, memory_order_acquire);
}

/* A signal may move the end back behind a release that was accounted; others of the same time then belong to the run
 * too, since the expected number is counted by time. */
static bool is_within_run(const struct ei_live_task *task, const struct ei_arrival_release *release)
{
    return release->nominal_ns <= task->rt.last_nominal_ns ||
           task->run->t0_ns + release->nominal_ns <= atomic_load_explicit(&task->run->end_ns, memory_order_acquire);
}

/* Take the release that is due; *has_next and *next move on. */
static struct ei_release take_release(struct ei_live_task *task, bool *has_next, struct ei_arrival_release *next)
{
    const struct ei_release release = {.job_idx = next->job_idx, .nominal_ns = task->run->t0_ns + next->nominal_ns};
    task->rt.last_nominal_ns = next->nominal_ns;
    *has_next = ei_arrival_next(&task->rt.arrival, next);
    return release;
}

/* Sleep until the release; false when the run ended before it. */
static bool sleep_until_release(const struct ei_live_task *task, const struct ei_arrival_release *release)
{
    const int64_t at_ns = task->run->t0_ns + release->release_ns;
    int64_t now_ns = ei_mono_now().ns;
    while (is_within_run(task, release) && now_ns < at_ns && !ei_run_is_cancelled(task->run, now_ns)) {
        ei_mono_sleep_until((struct ei_mono){at_ns - now_ns > NAP_NS ? now_ns + NAP_NS : at_ns});
        now_ns = ei_mono_now().ns;
    }
    return is_within_run(task, release);
}

/* After a long stall thousands of releases have passed. Returns true when it waited; it was outside the real-time
 * section meanwhile. */
static bool await_ring_room(struct ei_live_task *task)
{
    if (ei_spsc_ring_count(&task->ring) < RING_FULL_RECORDS) {
        return false;
    }
    ei_chain_announce(task); /* the successors have time for theirs meanwhile */
    const bool is_in_section = ei_rt_section_state() == EI_RT_SECTION;
    if (is_in_section) {
        ei_rt_section_leave();
    }
    while (ei_spsc_ring_count(&task->ring) > RING_LOW_RECORDS) {
        ei_mono_sleep_until(ei_mono_add(ei_mono_now(), RING_NAP_NS));
    }
    if (is_in_section) {
        ei_rt_section_enter();
    }
    return true;
}

/* Account one release that found the task active. */
static void account_late(struct ei_live_task *task, struct ei_release release)
{
    struct ei_release displaced;
    bool has_displaced = false;
    switch (ei_release_on_release(&task->rt.releases, release, &displaced, &has_displaced)) {
    case EI_RELEASE_SKIPPED:
        ei_job_record_unrun(task, release, EI_JOB_SKIPPED, EI_CAUSE_LATE);
        break;
    case EI_RELEASE_DROPPED:
        ei_job_record_unrun(task, release, EI_JOB_DROPPED, EI_CAUSE_QUEUE);
        break;
    case EI_RELEASE_QUEUED:
        if (has_displaced) {
            ei_job_record_unrun(task, displaced, EI_JOB_DROPPED, EI_CAUSE_QUEUE);
        }
        break;
    case EI_RELEASE_START: /* cannot happen while active */
        break;
    }
}

/* The predecessor's job brought nothing, so this one has nothing to begin with. */
static void account_absent(struct ei_live_task *task, struct ei_release release)
{
    ei_release_absent(&task->rt.releases);
    ei_job_record_unrun(task, release, EI_JOB_SKIPPED, EI_CAUSE_UPSTREAM);
}

/* Account all releases up to now; *has_next and *next move on. */
static void account_passed(struct ei_live_task *task, bool *has_next, struct ei_arrival_release *next)
{
    struct ei_chain_event event;
    while (task->chain.is_successor && ei_chain_take(&task->chain, &event)) {
        if (event.is_completed) {
            account_late(task, event.release);
        } else {
            account_absent(task, event.release);
        }
        (void)await_ring_room(task);
    }
    int64_t now_ns = ei_mono_now().ns;
    while (ei_external_look(task, has_next, next) && is_within_run(task, next) &&
           task->run->t0_ns + next->release_ns <= now_ns) {
        account_late(task, take_release(task, has_next, next));
        if (await_ring_room(task)) {
            now_ns = ei_mono_now().ns;
        }
    }
}

/* What is still asked for from outside: nothing of it runs, and what is behind the end of the run is no release. */
static void drop_external(struct ei_live_task *task, bool has_next, struct ei_arrival_release next)
{
    while (ei_external_await(task, &has_next, &next)) {
        if (is_within_run(task, &next)) {
            ei_release_refuse(&task->rt.releases);
            ei_job_record_unrun(task, take_release(task, &has_next, &next), EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
            (void)await_ring_room(task);
            ei_chain_announce(task);
        } else {
            task->external.unreleased++;
            has_next = false;
        }
    }
}

/* The run was ended by a signal: what waits, and what is nominally released before the end, is dropped by name. */
static void drop_rest(struct ei_live_task *task, bool has_next, struct ei_arrival_release next)
{
    struct ei_release waiting;
    while (ei_release_drop_waiting(&task->rt.releases, &waiting)) {
        ei_job_record_unrun(task, waiting, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
    }
    if (task->external.is_external) {
        drop_external(task, has_next, next);
        return;
    }
    while (has_next && is_within_run(task, &next)) {
        ei_release_refuse(&task->rt.releases);
        ei_job_record_unrun(task, take_release(task, &has_next, &next), EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
        (void)await_ring_room(task);
    }
    struct ei_chain_event event;
    while (task->chain.is_successor && ei_chain_await(&task->chain, &event)) {
        if (event.is_completed) {
            ei_release_refuse(&task->rt.releases);
            ei_job_record_unrun(task, event.release, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
        } else {
            account_absent(task, event.release);
        }
        (void)await_ring_room(task);
        ei_chain_announce(task);
    }
}

/* The job that is due and all that queue up behind it, each from its release to its finish. False when the run was
 * cancelled. */
static bool run_jobs(struct ei_live_task *task, struct ei_release job, bool *has_next, struct ei_arrival_release *next)
{
    int64_t awake_ns = ei_mono_now().ns;
    struct ei_release displaced;
    bool has_displaced = false, has_job = true;
    task->rt.woken_used_ns = task->deadline.is_on ? ei_thread_used_ns() : 0;
    (void)ei_release_on_release(&task->rt.releases, job, &displaced, &has_displaced);
    while (has_job && !ei_run_is_cancelled(task->run, awake_ns)) {
        ei_job_run(task, job, awake_ns);
        account_passed(task, has_next, next);
        has_job = ei_release_on_finish(&task->rt.releases, &job);
        ei_chain_announce(task); /* only now: a higher successor runs at once and would delay the accounting */
        awake_ns = task->rt.ready_ns = ei_mono_now().ns;
    }
    if (has_job) { /* cancelled between two jobs: the one that was due never ran */
        ei_release_unstart(&task->rt.releases);
        ei_job_record_unrun(task, job, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
    }
    return !has_job;
}

static void enter_section(const struct ei_live_task *task)
{
    if (task->spec->class_ != EI_SPEC_CLASS_OTHER) {
        ei_rt_section_enter();
    }
}

static void leave_section(const struct ei_live_task *task)
{
    if (task->spec->class_ != EI_SPEC_CLASS_OTHER) {
        ei_rt_section_leave();
    }
}

/* Release after release, by the clock or as the predecessor's jobs finish. */
static void run_releases(struct ei_live_task *task)
{
    struct ei_arrival_release next = {0};
    struct ei_chain_event event;
    bool has_next = ei_arrival_next(&task->rt.arrival, &next), goes_on = true;
    while (goes_on && ei_external_await(task, &has_next, &next) && sleep_until_release(task, &next)) {
        enter_section(task);
        task->rt.ready_ns = task->run->t0_ns + next.release_ns;
        const struct ei_release job = take_release(task, &has_next, &next);
        goes_on = run_jobs(task, job, &has_next, &next);
        leave_section(task);
    }
    while (goes_on && task->chain.is_successor && ei_chain_await(&task->chain, &event)) {
        enter_section(task);
        if (event.is_completed) {
            task->rt.ready_ns = event.at_ns;
            goes_on = run_jobs(task, event.release, &has_next, &next);
        } else {
            account_absent(task, event.release);
            (void)await_ring_room(task);
            ei_chain_announce(task);
        }
        leave_section(task);
    }
    drop_rest(task, has_next, next);
    ei_chain_close(task);
}

/* Everything before real time. */
static int set_up(struct ei_live_task *task, struct einet_error *err)
{
    const int rc = ei_topology_bind_self(&task->cpus, err);
    if (rc < 0 && rc != EINET_E_PRIVILEGE) {
        return rc;
    }
    const size_t stack_bytes = (size_t)task->run->wl->platform.stack_bytes;
    if (stack_bytes > STACK_MARGIN_BYTES) {
        (void)ei_memory_prefault_stack(stack_bytes - STACK_MARGIN_BYTES);
    }
    return task->nn.net != NULL ? ei_task_warm_up(task, err) : 0;
}

/* Become real-time and measure the blocks under that priority. */
static int become_real_time(struct ei_live_task *task, struct einet_error *err)
{
    if (task->spec->class_ == EI_SPEC_CLASS_DEADLINE) {
        ei_task_become_deadline(task);
    }
    if (task->is_fifo) {
        const int rc = ei_thread_become_fifo(ei_course_priority(task), err);
        if (rc < 0) {
            return rc;
        }
    }
    if (task->nn.net == NULL) {
        return 0;
    }
    ei_boost_init_self(&task->nn.seat.boost);
    struct ei_start *start = &task->run->start;
    pthread_mutex_lock(&start->turn);
    const int rc = ei_start_is_failed(start) ? 0 : ei_task_measure(task, err); /* a lost start is not waited for */
    if (rc < 0) {
        ei_start_fail(start, rc, err);
    }
    pthread_mutex_unlock(&start->turn);
    return rc;
}

void ei_task_thread(void *arg)
{
    struct ei_live_task *task = arg;
    struct ei_start *start = &task->run->start;
    struct einet_error err = {0};
    int rc = set_up(task, &err);
    if (ei_start_arrive(start, rc, &err) == 0) {
        rc = become_real_time(task, &err);
        if (ei_start_arrive(start, rc, &err) == 0) {
            ei_thread_usage_read(&task->rt.usage_before);
            run_releases(task);
            ei_thread_usage_read(&task->rt.usage_after);
        }
    }
    atomic_fetch_sub_explicit(&task->run->running, 1, memory_order_release);
}
