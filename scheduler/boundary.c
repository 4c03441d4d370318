/* See boundary.h; the order of the rules is the order of the code. */
#include "scheduler/boundary.h"

static struct ei_boundary_verdict verdict(enum ei_boundary_action action, enum ei_boundary_reason reason)
{
    return (struct ei_boundary_verdict){.action = action, .reason = reason};
}

bool ei_boundary_is_point(const struct ei_boundary_policy *policy, const struct ei_boundary *boundary)
{
    return policy->max_blocking_ns == 0 || boundary->since_point_ns + boundary->next_block_ns > policy->max_blocking_ns;
}

/* Somebody waits to whom this job gives the lane. */
static bool gives_lane(const struct ei_boundary_policy *policy, const struct ei_boundary *boundary)
{
    const bool is_spent = policy->max_preemptions > 0 && boundary->preemptions >= policy->max_preemptions;
    return boundary->is_higher_waiting && policy->on_preempt != EI_PREEMPT_NONE && !is_spent &&
           ei_boundary_is_point(policy, boundary);
}

/* A stop that must still compute the first answer leaves the lane to a waiting higher job first. */
static struct ei_boundary_verdict stop(const struct ei_boundary_policy *policy, const struct ei_boundary *boundary,
                                       enum ei_boundary_reason reason)
{
    const bool owes_answer = !boundary->has_answer && policy->is_first_exit_mandatory;
    const bool gives_way = gives_lane(policy, boundary);
    if (owes_answer && gives_way) {
        struct ei_boundary_verdict v = verdict(EI_BOUNDARY_YIELD, reason);
        v.is_stop_after_yield = true;
        return v;
    }
    struct ei_boundary_verdict v = verdict(EI_BOUNDARY_STOP, reason);
    v.is_lane_passed_on = gives_way;
    return v;
}

static struct ei_boundary_verdict give_way(const struct ei_boundary_policy *policy, const struct ei_boundary *boundary)
{
    switch (policy->on_preempt) {
    case EI_PREEMPT_NONE:
        return verdict(EI_BOUNDARY_GO_ON, EI_REASON_NONE);
    case EI_PREEMPT_RESUME:
    case EI_PREEMPT_RESTART:
        return verdict(EI_BOUNDARY_YIELD, EI_REASON_PREEMPTED);
    case EI_PREEMPT_ELASTIC:
        if (boundary->deadline_ns == INT64_MAX ||
            boundary->resumed_finish_ns <= boundary->deadline_ns - boundary->now_ns) {
            return verdict(EI_BOUNDARY_YIELD, EI_REASON_PREEMPTED);
        }
        break;
    case EI_PREEMPT_EXIT:
        break;
    }
    return stop(policy, boundary, EI_REASON_PREEMPTED);
}

struct ei_boundary_verdict ei_boundary_decide(const struct ei_boundary_policy *policy,
                                              const struct ei_boundary *boundary)
{
    if (boundary->is_cancelled) {
        return stop(policy, boundary, EI_REASON_CANCELLED);
    }
    if (boundary->now_ns >= boundary->deadline_ns) {
        if (policy->on_deadline == EI_DEADLINE_ABORT) {
            return verdict(EI_BOUNDARY_ABORT, EI_REASON_DEADLINE);
        }
        if (policy->on_deadline == EI_DEADLINE_EXIT) {
            return stop(policy, boundary, EI_REASON_DEADLINE);
        }
    }
    if (boundary->budget_left_ns < 0) {
        if (policy->on_overrun == EI_OVERRUN_ABORT) {
            return verdict(EI_BOUNDARY_ABORT, EI_REASON_OVERRUN);
        }
        if (policy->on_overrun == EI_OVERRUN_EXIT) {
            return stop(policy, boundary, EI_REASON_OVERRUN);
        }
    }
    if (boundary->has_answer && boundary->next_answer_ns > 0) {
        const bool has_deadline = boundary->deadline_ns != INT64_MAX;
        const int64_t left_ns =
            has_deadline ? boundary->deadline_ns - boundary->now_ns - boundary->after_ns : INT64_MAX;
        if (policy->on_deadline == EI_DEADLINE_EXIT && boundary->next_answer_ns > left_ns) {
            return stop(policy, boundary, EI_REASON_DEADLINE);
        }
        if (policy->on_overrun == EI_OVERRUN_EXIT && boundary->next_answer_ns > boundary->budget_left_ns) {
            return stop(policy, boundary, EI_REASON_OVERRUN);
        }
        if (boundary->is_load_capped) {
            return stop(policy, boundary, EI_REASON_LOAD);
        }
    }
    if (gives_lane(policy, boundary)) {
        return give_way(policy, boundary);
    }
    return verdict(EI_BOUNDARY_GO_ON, EI_REASON_NONE);
}
