/* Answers and refusals as lines of JSON, and J as a reader of the problem's text would compute it. */
#include "app/plan_json.h"

#include "planner/search.h"

#include <stdlib.h>

double ei_plan_request_expectation(const struct ei_plan_request *request, uint64_t mask)
{
    const struct ei_plan_problem *problem = &request->problem;
    double held = problem->held_score, expectation = problem->held_score;
    int64_t t_ns = problem->elapsed_ns;
    mask &= ei_undecided_mask(problem);
    for (int32_t i = 0; i < problem->exits; i++) {
        t_ns += i >= problem->convs_done ? problem->conv_ns[i] : 0;
        if ((mask >> i & 1U) != 0) {
            t_ns += problem->branch_ns[i];
            expectation += (request->given_score[i] - held) * ei_survival_at(&problem->survival, t_ns);
            held = request->given_score[i];
        }
    }
    return expectation;
}

/* The fewest digits that read back as the same number. */
static void write_number(double value, FILE *out)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    fputs(text, out);
}

void ei_plan_answer_write(const struct ei_plan_request *request, const struct ei_plan *plan, int64_t search_ns,
                          FILE *out)
{
    fputs("{\"plan\":[", out);
    for (int32_t i = 0; i < plan->count; i++) {
        fprintf(out, "%s%d", i > 0 ? "," : "", plan->exits[i]);
    }
    fputs("],\"expectation\":", out);
    write_number(ei_plan_request_expectation(request, plan->mask), out);
    fprintf(out, ",\"exact\":%s,\"search_ns\":%lld}\n", plan->is_exact ? "true" : "false", (long long)search_ns);
}

/* Printable ASCII as a JSON string. */
static void write_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', out);
        }
        fputc(*text, out);
    }
    fputc('"', out);
}

void ei_plan_refusal_write(int64_t line, const struct ei_plan_refusal *refusal, FILE *out)
{
    fprintf(out, "{\"error\":{\"line\":%lld,\"field\":", (long long)line);
    if (refusal->field[0] != '\0') {
        write_string(refusal->field, out);
    } else {
        fputs("null", out);
    }
    fputs(",\"message\":", out);
    write_string(refusal->message, out);
    fputs("}}\n", out);
}
