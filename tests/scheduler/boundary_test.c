/* The boundary rules, each alone and in their order of precedence. */
#include "scheduler/boundary.h"

#include "tests/harness/harness.h"

static const struct ei_boundary_policy exit_policy = {
    .on_preempt = EI_PREEMPT_EXIT, .on_deadline = EI_DEADLINE_EXIT, .is_first_exit_mandatory = true};

/* A boundary at which nothing happens: an answer is there, the next one is reachable. */
static struct ei_boundary calm(void)
{
    return (struct ei_boundary){
        .now_ns = 1000, .deadline_ns = 10000, .next_answer_ns = 2000, .after_ns = 100, .has_answer = true};
}

static struct ei_boundary_verdict decide(struct ei_boundary_policy policy, struct ei_boundary b)
{
    return ei_boundary_decide(&policy, &b);
}

EI_TEST(boundary_calm_goes_on)
{
    EI_EQ(decide(exit_policy, calm()).action, EI_BOUNDARY_GO_ON);
}

EI_TEST(boundary_exit_stops_with_an_answer)
{
    struct ei_boundary b = calm();
    b.is_higher_waiting = true;
    const struct ei_boundary_verdict v = decide(exit_policy, b);
    EI_EQ(v.action, EI_BOUNDARY_STOP);
    EI_EQ(v.reason, EI_REASON_PREEMPTED);
    EI_TRUE(v.is_lane_passed_on);
}

EI_TEST(boundary_exit_without_answer_yields_and_owes_the_first)
{
    struct ei_boundary b = calm();
    b.is_higher_waiting = true;
    b.has_answer = false;
    const struct ei_boundary_verdict v = decide(exit_policy, b);
    EI_EQ(v.action, EI_BOUNDARY_YIELD);
    EI_EQ(v.reason, EI_REASON_PREEMPTED);
    EI_TRUE(v.is_stop_after_yield);
    struct ei_boundary_policy optional = exit_policy;
    optional.is_first_exit_mandatory = false;
    EI_EQ(decide(optional, b).action, EI_BOUNDARY_STOP);
}

EI_TEST(boundary_resume_yields_and_comes_back)
{
    struct ei_boundary_policy p = exit_policy;
    p.on_preempt = EI_PREEMPT_RESUME;
    struct ei_boundary b = calm();
    b.is_higher_waiting = true;
    const struct ei_boundary_verdict v = decide(p, b);
    EI_EQ(v.action, EI_BOUNDARY_YIELD);
    EI_TRUE(!v.is_stop_after_yield);
}

EI_TEST(boundary_none_keeps_the_lane)
{
    struct ei_boundary_policy p = exit_policy;
    p.on_preempt = EI_PREEMPT_NONE;
    struct ei_boundary b = calm();
    b.is_higher_waiting = true;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_GO_ON);
}

EI_TEST(boundary_elastic_resumes_when_it_would_be_in_time)
{
    struct ei_boundary_policy p = exit_policy;
    p.on_preempt = EI_PREEMPT_ELASTIC;
    struct ei_boundary b = calm();
    b.is_higher_waiting = true;
    b.resumed_finish_ns = b.deadline_ns - b.now_ns;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_YIELD);
    EI_TRUE(!decide(p, b).is_stop_after_yield);
    b.resumed_finish_ns++;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_STOP);
    EI_EQ(decide(p, b).reason, EI_REASON_PREEMPTED);
    EI_TRUE(decide(p, b).is_lane_passed_on);
    b.has_answer = false; /* it owes the first answer */
    EI_EQ(decide(p, b).action, EI_BOUNDARY_YIELD);
    EI_TRUE(decide(p, b).is_stop_after_yield);
    b.deadline_ns = INT64_MAX;
    EI_TRUE(!decide(p, b).is_stop_after_yield);
}

EI_TEST(boundary_restart_yields_and_comes_back)
{
    struct ei_boundary_policy p = exit_policy;
    p.on_preempt = EI_PREEMPT_RESTART;
    struct ei_boundary b = calm();
    b.is_higher_waiting = true;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_YIELD);
    EI_TRUE(!decide(p, b).is_stop_after_yield);
}

EI_TEST(boundary_keeps_the_lane_after_max_preemptions)
{
    struct ei_boundary_policy p = exit_policy;
    struct ei_boundary b = calm();
    b.is_higher_waiting = true;
    for (int kind = EI_PREEMPT_EXIT; kind < EI_PREEMPT_NONE; kind++) {
        p.on_preempt = (enum ei_on_preempt)kind;
        p.max_preemptions = 2;
        b.preemptions = 1;
        EI_TRUE(decide(p, b).action != EI_BOUNDARY_GO_ON);
        b.preemptions = 2;
        EI_EQ(decide(p, b).action, EI_BOUNDARY_GO_ON);
        p.max_preemptions = 0;
        EI_TRUE(decide(p, b).action != EI_BOUNDARY_GO_ON);
    }
    b.is_cancelled = true; /* stops all the same, and passes nothing on */
    p.max_preemptions = 2;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_STOP);
    EI_TRUE(!decide(p, b).is_lane_passed_on);
}

EI_TEST(boundary_is_a_point_when_the_next_block_would_block_too_long)
{
    struct ei_boundary_policy p = exit_policy;
    struct ei_boundary b = calm();
    b.is_higher_waiting = true;
    b.since_point_ns = 300;
    b.next_block_ns = 200;
    p.max_blocking_ns = 500;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_GO_ON);
    p.max_blocking_ns = 499;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_STOP);
    p.max_blocking_ns = 500;
    b.is_cancelled = true; /* the other rules hold everywhere */
    EI_EQ(decide(p, b).action, EI_BOUNDARY_STOP);
    EI_TRUE(!decide(p, b).is_lane_passed_on);
}

EI_TEST(boundary_overrun_policies)
{
    struct ei_boundary b = calm();
    struct ei_boundary_policy p = exit_policy;
    b.budget_left_ns = -1;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_GO_ON); /* finish */
    p.on_overrun = EI_OVERRUN_EXIT;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_STOP);
    EI_EQ(decide(p, b).reason, EI_REASON_OVERRUN);
    b.has_answer = false;
    b.is_higher_waiting = true;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_YIELD); /* the first answer is owed */
    EI_TRUE(decide(p, b).is_stop_after_yield);
    p.on_overrun = EI_OVERRUN_ABORT;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_ABORT);
    b.now_ns = b.deadline_ns;
    EI_EQ(decide(p, b).reason, EI_REASON_DEADLINE); /* goes before */
}

EI_TEST(boundary_answer_beyond_the_budget_is_not_begun)
{
    struct ei_boundary b = calm();
    struct ei_boundary_policy p = exit_policy;
    p.on_overrun = EI_OVERRUN_EXIT;
    b.budget_left_ns = 2000;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_GO_ON);
    b.budget_left_ns = 1999;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_STOP);
    EI_EQ(decide(p, b).reason, EI_REASON_OVERRUN);
    b.has_answer = false;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_GO_ON);
    b.has_answer = true;
    p.on_overrun = EI_OVERRUN_ABORT;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_GO_ON); /* it is not over yet */
}

EI_TEST(boundary_deadline_policies)
{
    struct ei_boundary b = calm();
    b.now_ns = b.deadline_ns;
    struct ei_boundary_policy p = exit_policy;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_STOP);
    EI_EQ(decide(p, b).reason, EI_REASON_DEADLINE);
    p.on_deadline = EI_DEADLINE_FINISH;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_GO_ON);
    p.on_deadline = EI_DEADLINE_ABORT;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_ABORT);
}

EI_TEST(boundary_unreachable_exit_stops_before_the_deadline)
{
    struct ei_boundary b = calm();
    b.next_answer_ns = b.deadline_ns - b.now_ns - b.after_ns;
    EI_EQ(decide(exit_policy, b).action, EI_BOUNDARY_GO_ON);
    b.next_answer_ns += 1;
    EI_EQ(decide(exit_policy, b).action, EI_BOUNDARY_STOP);
    b.has_answer = false;
    EI_EQ(decide(exit_policy, b).action, EI_BOUNDARY_GO_ON);
    b.has_answer = true;
    b.deadline_ns = INT64_MAX;
    EI_EQ(decide(exit_policy, b).action, EI_BOUNDARY_GO_ON);
}

EI_TEST(boundary_load_cap_stops_with_an_answer_only)
{
    struct ei_boundary b = calm();
    b.is_load_capped = true;
    EI_EQ(decide(exit_policy, b).reason, EI_REASON_LOAD);
    EI_EQ(decide(exit_policy, b).action, EI_BOUNDARY_STOP);
    b.has_answer = false;
    EI_EQ(decide(exit_policy, b).action, EI_BOUNDARY_GO_ON);
    b.has_answer = true;
    b.next_answer_ns = 0;
    EI_EQ(decide(exit_policy, b).action, EI_BOUNDARY_GO_ON);
}

EI_TEST(boundary_cancel_comes_first)
{
    struct ei_boundary b = calm();
    b.is_cancelled = true;
    b.is_load_capped = true;
    b.now_ns = b.deadline_ns;
    EI_EQ(decide(exit_policy, b).reason, EI_REASON_CANCELLED);
    struct ei_boundary_policy p = exit_policy;
    p.on_deadline = EI_DEADLINE_ABORT;
    EI_EQ(decide(p, b).action, EI_BOUNDARY_STOP);
}

EI_TEST(boundary_stop_that_owes_an_answer_gives_way_first)
{
    struct ei_boundary b = calm();
    b.is_cancelled = true;
    b.has_answer = false;
    b.is_higher_waiting = true;
    struct ei_boundary_verdict v = decide(exit_policy, b);
    EI_EQ(v.action, EI_BOUNDARY_YIELD);
    EI_EQ(v.reason, EI_REASON_CANCELLED);
    EI_TRUE(v.is_stop_after_yield);
    b.is_higher_waiting = false;
    EI_EQ(decide(exit_policy, b).action, EI_BOUNDARY_STOP);
}
