/* See rehearsal_rt.h. */
#include "engine/rehearsal_rt.h"

#include "engine/run_state.h"

#include "stages/post/class_ops.h"

#include <sched.h>

#define STEPS_MAX 6    /* two exits: later steps are the same code, and hardly other data */
#define RING_RECORDS 8 /* of a job with two exits, stages and blocks among them */

/* What the linker says of EI_JOB_CODE. */
extern const char __start_einet_job[] __attribute__((visibility("hidden")));
extern const char __stop_einet_job[] __attribute__((visibility("hidden")));

static void fetch(const void *at, size_t bytes)
{
    const char *line = at;
    for (size_t i = 0; i < bytes; i += EI_CACHE_LINE_BYTES) {
        __builtin_prefetch(line + i);
    }
}

static void fetch_all(const struct ei_job_slot *slot)
{
    const struct ei_live_task *task = slot->task;
    const struct ei_run *run = task->run;
    fetch(__start_einet_job, (size_t)(__stop_einet_job - __start_einet_job));
    fetch(slot, sizeof *slot);
    fetch(task->answer, sizeof *task->answer);
    for (int32_t i = 0; i < task->nn.gate_count; i++) {
        fetch(task->nn.gates[i], sizeof *task->nn.gates[i]);
    }
    fetch(&task->chain, sizeof task->chain);
    fetch(&task->changes, sizeof task->changes);
    fetch(&task->progress, sizeof task->progress);
    fetch(&task->rt, sizeof task->rt);
    fetch(&run->t0_ns, sizeof *run - offsetof(struct ei_run, t0_ns));
    ei_spsc_ring_prefetch(&task->ring, RING_RECORDS);
}

/* Block k as if it had just ended, with the answer of a branch from whatever logits there are. */
static int end_block(struct ei_job_slot *slot, struct ei_course *course, int64_t end_ns)
{
    struct ei_live_task *task = slot->task;
    const int32_t k = course->step.idx;
    (void)ei_block_record_make(slot, course->step, course->block_start_ns, end_ns, 0.0F);
    if (course->step.kind == EI_STEP_CONV) {
        return ei_course_conv_done(slot, course, k);
    }
    struct ei_answer answer = {.exit_idx = k, .published_ns = end_ns};
    answer.top_count = ei_class_top_softmax(slot->logits, ei_network_info(task->nn.net)->classes, EI_ANSWER_TOP,
                                            answer.top_class, answer.top_p);
    ei_course_note_answer(&slot->record, &answer);
    return ei_course_branch_done(slot, course, k, ei_task_elastic(task)->mean_score[k], end_ns);
}

static void go_through(struct ei_job_slot *slot, int64_t begin_ns)
{
    const struct ei_et_profile *times = ei_task_times(slot->task);
    struct ei_course course = {0};
    int64_t now_ns = begin_ns;
    int rc = ei_course_begin(slot, &course, now_ns);
    for (int32_t i = 0; rc == 0 && i < STEPS_MAX && course.step.kind != EI_STEP_FINISH; i++) {
        const struct ei_step step = course.step;
        course.block_start_ns = now_ns;
        now_ns += (step.kind == EI_STEP_CONV ? &times->conv[step.idx] : &times->branch[step.idx])->p50_ns;
        rc = end_block(slot, &course, now_ns);
        if (rc == 0 && course.step.kind != EI_STEP_FINISH) {
            struct ei_boundary b = ei_course_look(slot, &course, now_ns);
            b.is_load_capped = b.has_answer && ei_slot_would_crowd(slot, b.next_answer_ns);
            (void)ei_course_pass(slot, &course, &b);
        }
    }
}

void ei_rehearse(struct ei_job_slot *slot, int64_t release_ns)
{
    struct ei_live_task *task = slot->task;
    const struct ei_release release = {.job_idx = task->rt.next.job_idx, .nominal_ns = release_ns};
    ei_activity_begin(slot, ei_mono_now().ns);
    ei_slot_activate(slot);
    fetch_all(slot);
    slot->record = ei_job_record_blank(task, release);
    ei_job_record_begin(&slot->record, ei_slot_settings(slot));
    slot->record.flags |= EI_JOB_WARMUP; /* what is told of S is of jobs */
    slot->mark = (struct ei_stage_mark){.ready_ns = release_ns, .start_ns = release_ns};
    ei_course_stage_begin(slot, task->spec->nn_stage_idx, release_ns);
    if (task->nn.is_gated) {
        (void)ei_gate_ahead(task->nn.gates[0], &slot->seat, slot->record.deadline_ns);
    }
    (void)ei_slot_would_pass(slot, ei_task_first_answer_ns(task), task->run->loads.hard_cap);
    go_through(slot, release_ns);
    (void)ei_stage_record_make(slot, slot->stage.stage_idx, (struct ei_stage_end){.end_ns = release_ns});
    ei_activity_cut(slot, ei_mono_now().ns);
    ei_slot_deactivate(slot);
}
