/* A plan in words, figures and a drawing, for a person. Plain ASCII, 80 columns. */
#ifndef APP_PLAN_EXPLAIN_H
#define APP_PLAN_EXPLAIN_H

#include "app/plan_json.h"

/* Print why each exit of request is in plan or is not: each is put in or taken out and J is computed anew. */
void ei_plan_explain(const struct ei_plan_request *request, const struct ei_plan *plan, int64_t search_ns, FILE *out);

#endif
