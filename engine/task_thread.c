/* A job thread of a task: start, then release after release until the run ends. Releases come by the clock, from
 * outside (engine/external_rt.h), or from the predecessor in a chain (engine/chain_rt.h). One thread of the task waits
 * for them (engine/slots_rt.h).
 *
 * Sleeps are absolute, so the phase never drifts. A long sleep is cut into naps, so that a run which is ended early
 * ends soon. Releases that pass while every thread has a job are accounted when one has finished, in order.
 */
#include "engine/rehearsal_rt.h"
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

/* Take the release that is due; rt.next moves on. */
static struct ei_release take_release(struct ei_live_task *task)
{
    struct ei_arrival_release *next = &task->rt.next;
    const struct ei_release release = {.job_idx = next->job_idx,
                                       .nominal_ns = task->run->t0_ns + next->nominal_ns,
                                       .tag = task->rt.next_tag,
                                       .frame = task->rt.next_frame};
    task->rt.last_nominal_ns = next->nominal_ns;
    task->rt.has_next = ei_arrival_next(&task->rt.arrival, next);
    return release;
}

/* The task is paused, so the release does not happen: it has no record, and the accounting does not expect it, here or
 * in the tasks that come after this one. Guard held. */
static bool withhold(struct ei_live_task *task, int64_t nominal_ns, int64_t at_ns)
{
    if (!ei_settings_is_withheld(task, at_ns)) {
        return false;
    }
    ei_settings_count_withheld(task);
    task->changes.unexpected += nominal_ns >= task->run->t0_ns + task->run->wl->run.warmup_ns;
    return true;
}

/* The same for an event of the predecessor; of a job that did not run, which has no finish, it comes now. */
static bool withhold_event(struct ei_live_task *task, const struct ei_chain_event *event)
{
    if (!withhold(task, event->release.nominal_ns, event->at_ns > 0 ? event->at_ns : ei_mono_now().ns)) {
        return false;
    }
    if (event->release.frame > 0) {
        ei_frames_unclaim(&task->run->tap->frames[task->idx], event->release.frame);
    }
    return true;
}

/* What the leader waits for. */
enum wish { WISH_HAS_JOB, WISH_RELEASE, WISH_NOTHING };

/* The slot was given a job, or there is a next release at a known time, *out_ns, or there is none in the run. */
static enum wish look(struct ei_job_slot *slot, int64_t *out_ns)
{
    struct ei_live_task *task = slot->task;
    ei_slots_lock(task);
    const bool has_next = ei_external_look(task) && is_within_run(task, &task->rt.next);
    const enum wish wish = slot->turn.has_job ? WISH_HAS_JOB : has_next ? WISH_RELEASE : WISH_NOTHING;
    *out_ns = task->run->t0_ns + task->rt.next.release_ns;
    ei_slots_unlock(task);
    return wish;
}

/* Sleep until there is a job for the slot or an event of the predecessor; false: nothing more will come. */
static bool await_event(struct ei_job_slot *slot)
{
    struct ei_chain *chain = &slot->task->chain;
    for (;;) {
        int64_t at_ns;
        const unsigned seen = ei_bell_count(&chain->bell);
        const bool is_closed = atomic_load_explicit(&chain->is_closed, memory_order_acquire);
        /* In this order: another slot that empties the inbox gives this one its job before it lets the guard go. */
        if (ei_spsc_ring_count(&chain->inbox) > 0 || look(slot, &at_ns) == WISH_HAS_JOB) {
            return true;
        }
        if (is_closed) { /* before the inbox was found empty, so it stays empty */
            return false;
        }
        ei_activity_rest(slot);
        ei_bell_wait(&chain->bell, seen);
    }
}

/* Sleep until there is a job for the slot, or a release that somebody outside asked for; false: nothing more will come.
 */
static bool await_request(struct ei_job_slot *slot)
{
    struct ei_external *external = &slot->task->external;
    for (;;) {
        int64_t at_ns;
        const unsigned seen = ei_bell_count(&external->bell);
        const bool is_closed = atomic_load_explicit(&external->is_closed, memory_order_acquire);
        if (look(slot, &at_ns) != WISH_NOTHING) {
            return true;
        }
        if (is_closed) { /* before the inbox was found empty, or with a release behind the end */
            return false;
        }
        ei_activity_rest(slot);
        ei_bell_wait(&external->bell, seen);
    }
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

/* A thread that was woken late has no time for it any more, and of a paused task there will be no job. */
static void rehearse(struct ei_job_slot *slot, int64_t release_ns)
{
    const struct ei_live_task *task = slot->task;
    if (release_ns - ei_mono_now().ns > task->spec->rehearse_ns / 2 && !ei_settings_is_withheld(task, release_ns)) {
        enter_section(task);
        ei_rehearse(slot, release_ns);
        leave_section(task);
    }
}

/* Sleep until the leader may have a job; false when there is none any more, or the run ended before it. */
static bool await_release(struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    int64_t at_ns, ahead_ns = task->spec->rehearse_ns != EI_NONE_NS ? task->spec->rehearse_ns : 0;
    for (;;) {
        const enum wish wish = look(slot, &at_ns);
        const int64_t now_ns = ei_mono_now().ns;
        if (wish == WISH_HAS_JOB || (wish == WISH_RELEASE && now_ns >= at_ns)) {
            return true;
        }
        if (wish == WISH_NOTHING && task->external.is_external && await_request(slot)) {
            continue;
        }
        if (wish == WISH_NOTHING || ei_run_is_cancelled(task->run, now_ns)) {
            return task->chain.is_successor && await_event(slot);
        }
        if (at_ns - now_ns <= ahead_ns) {
            ahead_ns = 0; /* once before each release */
            rehearse(slot, at_ns);
        }
        ei_activity_rest(slot);
        ei_mono_sleep_until((struct ei_mono){at_ns - now_ns > NAP_NS ? now_ns + NAP_NS : at_ns - ahead_ns});
    }
}

/* After a long stall thousands of releases have passed. Returns true when it waited; it was outside the real-time
 * section meanwhile. Guard held, for all that: who leads must not change between two releases of one account. */
static bool await_ring_room(struct ei_live_task *task)
{
    if (ei_spsc_ring_count(&task->ring) < RING_FULL_RECORDS) {
        return false;
    }
    ei_chain_announce(task); /* the successors have time for theirs meanwhile, and the listener for its own */
    if (ei_tap_take_news(task)) {
        ei_tap_ring(task);
    }
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

/* Account one release, of a job that could run since ready_ns. */
static void account(struct ei_live_task *task, struct ei_release release, int64_t ready_ns)
{
    struct ei_release displaced;
    bool has_displaced = false;
    switch (ei_release_on_release(&task->rt.releases, release, &displaced, &has_displaced)) {
    case EI_RELEASE_START:
        ei_slots_begin(task, release, ready_ns);
        break;
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
    }
}

/* The predecessor's job brought nothing, so this one has nothing to begin with. */
static void account_absent(struct ei_live_task *task, struct ei_release release)
{
    ei_release_absent(&task->rt.releases);
    ei_job_record_unrun(task, release, EI_JOB_SKIPPED, EI_CAUSE_UPSTREAM);
}

/* What finds a slot without a job starts. Else it is late, and accounted at the end of the job in its way. */
static bool may_account(const struct ei_live_task *task, bool is_job_ending)
{
    const struct ei_release_state *releases = &task->rt.releases;
    return !task->flight.is_closing && (is_job_ending || releases->active < releases->active_max);
}

/* Account the releases up to now, those that start a job or all of them. Guard held. */
static void account_passed(struct ei_live_task *task, bool is_job_ending)
{
    struct ei_chain_event event;
    while (task->chain.is_successor && may_account(task, is_job_ending) && ei_chain_take(&task->chain, &event)) {
        if (withhold_event(task, &event)) {
            continue;
        }
        if (event.is_completed) {
            account(task, event.release, event.at_ns);
        } else {
            account_absent(task, event.release);
        }
        (void)await_ring_room(task);
    }
    int64_t now_ns = ei_mono_now().ns;
    while (may_account(task, is_job_ending) && ei_external_look(task) && is_within_run(task, &task->rt.next) &&
           task->run->t0_ns + task->rt.next.release_ns <= now_ns) {
        const int64_t ready_ns = task->run->t0_ns + task->rt.next.release_ns;
        const struct ei_release release = take_release(task);
        if (!task->external.is_external && withhold(task, release.nominal_ns, ready_ns)) {
            continue;
        }
        account(task, release, ready_ns);
        if (await_ring_room(task)) {
            now_ns = ei_mono_now().ns;
        }
    }
}

/* What is still asked for from outside: nothing of it runs, and what is behind the end of the run is no release. */
static void drop_external(struct ei_live_task *task)
{
    while (ei_external_await(task)) {
        if (is_within_run(task, &task->rt.next)) {
            ei_release_refuse(&task->rt.releases);
            ei_job_record_unrun(task, take_release(task), EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
            (void)await_ring_room(task);
            ei_chain_announce(task);
        } else {
            const struct ei_arrival_release *next = &task->rt.next;
            ei_tap_unreleased(task, (struct ei_release){.job_idx = next->job_idx,
                                                        .nominal_ns = task->run->t0_ns + next->nominal_ns,
                                                        .tag = task->rt.next_tag,
                                                        .frame = task->rt.next_frame});
            task->external.unreleased++;
            task->rt.has_next = false;
        }
    }
}

/* The run was ended by a signal: what is nominally released before the end is dropped by name. */
static void drop_rest(struct ei_live_task *task)
{
    struct ei_release waiting;
    while (ei_release_drop_waiting(&task->rt.releases, &waiting)) {
        ei_job_record_unrun(task, waiting, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
    }
    if (task->external.is_external) {
        drop_external(task);
        return;
    }
    while (task->rt.has_next && is_within_run(task, &task->rt.next)) {
        const int64_t ready_ns = task->run->t0_ns + task->rt.next.release_ns;
        const struct ei_release release = take_release(task);
        if (withhold(task, release.nominal_ns, ready_ns)) {
            continue;
        }
        ei_release_refuse(&task->rt.releases);
        ei_job_record_unrun(task, release, EI_JOB_DROPPED, EI_CAUSE_CANCELLED);
        (void)await_ring_room(task);
    }
    struct ei_chain_event event;
    while (task->chain.is_successor && ei_chain_await(&task->chain, &event)) {
        if (withhold_event(task, &event)) {
            continue;
        }
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

/* The job of this slot is over and its thread has none: the next one that waits, or the end. What was released until
 * now is accounted first, unless the run was cancelled before the job. */
static bool take_next(struct ei_job_slot *slot, bool was_run, struct ei_release *job)
{
    struct ei_live_task *task = slot->task;
    ei_slots_lock(task);
    if (was_run) {
        account_passed(task, true);
    }
    const bool has_job = ei_release_on_finish(&task->rt.releases, job);
    if (has_job) {
        ei_slots_join(slot);
    } else {
        ei_slots_end(slot, task->rt.releases.active == 0);
    }
    const bool has_news = ei_chain_take_news(task);
    ei_slots_unlock(task);
    if (has_news) { /* only now: a higher successor runs at once and would delay the accounting */
        ei_chain_ring(task);
    }
    return has_job;
}

/* The job that is due and all that queue up behind it, each from its release to its finish. */
static void run_jobs(struct ei_job_slot *slot, struct ei_release job)
{
    bool has_job = true;
    slot->woken_used_ns = slot->task->deadline.is_on ? ei_thread_used_ns() : 0;
    while (has_job) {
        const bool has_waited = ei_slots_await_first_stage(slot);
        const int64_t awake_ns = ei_mono_now().ns;
        const bool is_cancelled = ei_run_is_cancelled(slot->task->run, awake_ns);
        slot->ready_ns = has_waited ? slot->turn.stage_ns : slot->ready_ns;
        if (is_cancelled) {
            ei_job_refuse(slot, job, EI_CAUSE_CANCELLED);
        } else {
            ei_job_run(slot, job, awake_ns);
        }
        has_job = take_next(slot, !is_cancelled, &job);
        if (has_job) { /* else the slot may lead by now, and have been given the next one */
            slot->ready_ns = ei_mono_now().ns;
        }
    }
    ei_settings_leave(slot);
}

/* Lead until a release is this slot's job, by the clock or as the predecessor's jobs finish; the thread is inside the
 * real-time section then. False: no more releases. */
static bool lead(struct ei_job_slot *slot, struct ei_release *job)
{
    struct ei_live_task *task = slot->task;
    while (await_release(slot)) {
        enter_section(task);
        ei_slots_lock(task);
        account_passed(task, false);
        const bool has_job = ei_slots_take(slot, job);
        const bool has_news = ei_chain_take_news(task);
        ei_slots_unlock(task);
        if (has_news) {
            ei_chain_ring(task);
        }
        if (has_job) {
            return true;
        }
        leave_section(task);
    }
    enter_section(task);
    ei_slots_lock(task);
    const bool has_job = ei_slots_take(slot, job); /* another slot was faster */
    task->flight.is_closing = !has_job;
    ei_slots_unlock(task);
    if (!has_job) {
        leave_section(task);
    }
    return has_job;
}

/* Release after release, as far as they are this slot's. */
static void run_releases(struct ei_job_slot *slot)
{
    struct ei_live_task *task = slot->task;
    struct ei_release job;
    ei_activity_rest(slot);
    while (ei_slots_await_lead(slot)) {
        if (lead(slot, &job)) {
            run_jobs(slot, job);
            leave_section(task);
            ei_task_settle_on_spare(slot);
            continue;
        }
        ei_slots_lock(task);
        ei_slots_await_last(slot, task->rt.releases.active == 0);
        drop_rest(task);
        ei_chain_close(task);
        ei_slots_unlock(task);
        ei_slots_close(task);
    }
}

/* The first slot of a task measures for all of them; the others only have to know the network, one after the other. */
static bool is_first(const struct ei_job_slot *slot)
{
    return slot == slot->task->slots;
}

/* Everything before real time. */
static int set_up(struct ei_job_slot *slot, struct einet_error *err)
{
    const struct ei_live_task *task = slot->task;
    const int rc = ei_topology_bind_self(&task->cpus, err);
    if (rc < 0 && rc != EINET_E_PRIVILEGE) {
        return rc;
    }
    const size_t stack_bytes = (size_t)task->run->wl->platform.stack_bytes;
    if (stack_bytes > STACK_MARGIN_BYTES) {
        (void)ei_memory_prefault_stack(stack_bytes - STACK_MARGIN_BYTES);
    }
    return task->nn.net != NULL && is_first(slot) ? ei_task_warm_up(slot, err) : 0;
}

/* Measure the blocks, or come to know the network. One thread at a time: the slots of a task share a network. */
static int know_blocks(struct ei_job_slot *slot, struct einet_error *err)
{
    struct ei_start *start = &slot->task->run->start;
    pthread_mutex_lock(&start->turn);
    int rc = 0;
    if (!ei_start_is_failed(start)) { /* a lost start is not waited for */
        rc = is_first(slot) ? ei_task_measure(slot, err) : ei_task_warm_up(slot, err);
    }
    if (rc < 0) {
        ei_start_fail(start, rc, err);
    }
    pthread_mutex_unlock(&start->turn);
    return rc;
}

/* Become real-time and measure the blocks under that priority; beside a run from which this one takes over before that.
 */
static int become_real_time(struct ei_job_slot *slot, struct einet_error *err)
{
    struct ei_live_task *task = slot->task;
    const bool is_beside = task->run->options->predecessor != NULL;
    int rc = is_beside && task->nn.net != NULL ? know_blocks(slot, err) : 0;
    if (rc < 0) {
        return rc;
    }
    if (task->spec->class_ == EI_SPEC_CLASS_DEADLINE) {
        ei_task_become_deadline(task);
    }
    if (task->is_fifo) {
        rc = ei_thread_become_fifo(ei_course_priority(task), err);
        if (rc < 0) {
            return rc;
        }
    }
    if (task->nn.net == NULL) {
        return 0;
    }
    ei_boost_init_self(&slot->seat.boost);
    rc = ei_task_place_workers(slot, err);
    return rc < 0 || is_beside ? rc : know_blocks(slot, err);
}

void ei_task_thread(void *arg)
{
    struct ei_job_slot *slot = arg;
    struct ei_live_task *task = slot->task;
    struct ei_start *start = &task->run->start;
    struct einet_error err = {0};
    int rc = set_up(slot, &err);
    if (ei_start_arrive(start, rc, &err) == 0) {
        rc = become_real_time(slot, &err);
        if (ei_start_arrive(start, rc, &err) == 0) {
            ei_thread_usage_read(&slot->usage_before);
            run_releases(slot);
            ei_thread_usage_read(&slot->usage_after);
        }
    }
    atomic_fetch_sub_explicit(&task->run->running, 1, memory_order_release);
}
