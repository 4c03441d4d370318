/* Plan problems as JSON objects, and their answers (docs/plan.md).
 *
 * Strict: what is not understood to the letter is refused with the field that is to blame. Any thread that owns the
 * request; allocates while it reads (jansson), keeps nothing.
 */
#ifndef APP_PLAN_JSON_H
#define APP_PLAN_JSON_H

#include "planner/search.h"

#include <stddef.h>
#include <stdio.h>

/* A problem, the search asked for, and the memory of both; not to be copied, since problem points into it. */
struct ei_plan_request {
    struct ei_plan_problem problem;
    struct ei_search search;
    int64_t conv_ns[EI_EXITS_MAX], branch_ns[EI_EXITS_MAX];
    float score[EI_EXITS_MAX];        /* what the searches see */
    double given_score[EI_EXITS_MAX]; /* as written */
    struct ei_survival_table table[EI_SURVIVAL_FACTORS_MAX];
    struct ei_survival factor[EI_SURVIVAL_FACTORS_MAX];
};

#define EI_PLAN_FIELD_MAX 160
#define EI_PLAN_MESSAGE_MAX 640

/* Why a problem is refused: printable ASCII, whatever the input held. */
struct ei_plan_refusal {
    char field[EI_PLAN_FIELD_MAX];     /* "branch_ns[3]"; "" = the problem as a whole */
    char message[EI_PLAN_MESSAGE_MAX]; /* one sentence that names the field and says what it must be */
    int line, column;                  /* 1-based, of what is no JSON; 0 = the JSON is well-formed */
};

/* Read one problem from length bytes of text. Returns true, or false with *refusal filled and *out undefined. */
bool ei_plan_request_read(const char *text, size_t length, struct ei_plan_request *out,
                          struct ei_plan_refusal *refusal);

/* J of a mask with the scores as written: ei_plan_expectation rounds them to float, which a reader of the answer who
 * computes J from the same text would see in the eighth digit. */
double ei_plan_request_expectation(const struct ei_plan_request *request, uint64_t mask);

/* {"plan":[..],"expectation":x,"exact":b,"search_ns":t} and a line feed. */
void ei_plan_answer_write(const struct ei_plan_request *request, const struct ei_plan *plan, int64_t search_ns,
                          FILE *out);

/* {"error":{"line":N,"field":"..","message":".."}} and a line feed; field null = the line as a whole. */
void ei_plan_refusal_write(int64_t line, const struct ei_plan_refusal *refusal, FILE *out);

/* Fill refusal, without a place. field may be "". The message becomes "FIELD RULE". Returns false. */
bool ei_plan_refuse(struct ei_plan_refusal *refusal, const char *field, const char *format, ...) EINET_PRINTF(3, 4);

#endif
