/* The check of a plan problem in words. Cold: formats text. */
#include "planner/search_kinds.h"

int ei_plan_problem_check(const struct ei_plan_problem *problem, struct einet_error *err)
{
    const struct ei_fault fault = ei_plan_problem_fault(problem);
    if (!fault.field) {
        return 0;
    }
    const bool is_limit = problem->exits > EI_EXITS_MAX;
    const int code = is_limit ? EINET_E_LIMIT : EINET_E_USAGE;
    if (fault.element >= 0) {
        return einet_error_set(err, code, "plan problem: %s[%d] %s", fault.field, fault.element, fault.rule);
    }
    return einet_error_set(err, code, "plan problem: %s %s", fault.field, fault.rule);
}
