/* Sentences about one pair, made of its measured figures. Cold. */
#include "models/paper_evaluate.h"

#include <stdarg.h>
#include <string.h>

/* Below these a figure is named as a reason, else as a circumstance. */
#define CHEAP_BRANCHES 0.5 /* sum b / sum c */
#define SMALL_SLOPE 0.10   /* accuracy, first to last exit */
#define LATE_FIRST 0.3     /* t_1 / H */

__attribute__((format(printf, 2, 3))) static void append(char *out, const char *fmt, ...)
{
    const size_t length = strlen(out);
    va_list args;
    va_start(args, fmt);
    vsnprintf(out + length, EI_PAPER_SENTENCE_MAX - length, fmt, args);
    va_end(args);
}

static void append_interval(char *out, const struct ei_paper_estimate *gain)
{
    append(out, "%+.2f", 100 * gain->value);
    if (gain->low < gain->high) {
        append(out, " [%+.2f, %+.2f]", 100 * gain->low, 100 * gain->high);
    }
}

static void append_reasons(const struct ei_paper_result *result, char *out)
{
    const struct ei_paper_measured *measured = &result->measured;
    const double slope = measured->accuracy_last - measured->accuracy_first;
    append(out, " Measured: all branches together cost %.2f of the conv parts (sum b / sum c)%s;",
           measured->branch_share,
           measured->branch_share < CHEAP_BRANCHES ? ", so that leaving some out frees little time" : "");
    append(out, " accuracy changes by %+.1f points from the first exit to the last%s;", 100 * slope,
           slope < SMALL_SLOPE ? ", so that which exit answers matters little" : "");
    append(out, " the first answer takes %.2f of all block times (t_1 / H)%s;", measured->first_share,
           measured->first_share > LATE_FIRST ? ", so that little time is left to choose in" : "");
    append(out, " a job computes %.1f of %d exits.", result->method[result->einet_idx].exits_mean,
           result->pair->whole.item[0].profiles.cs->exits);
    if (result->pair->whole.count == 1) {
        append(out, " One training only.");
    }
}

const char *ei_paper_explain(const struct ei_paper_result *result, char out[EI_PAPER_SENTENCE_MAX])
{
    out[0] = '\0';
    if (!result->figure) {
        return out;
    }
    const struct ei_paper_method *best = &result->method[result->best_static_idx];
    const struct ei_paper_estimate *gain = &best->gain[EI_PAPER_CONDITIONAL];
    const double paper = (result->figure->einet_pct - result->figure->static_pct) / 100;
    append(out, "The gain over the best static plan (%s) is ", best->name);
    append_interval(out, gain);
    append(out, ", the paper's %+.2f", 100 * paper);
    if (gain->value >= paper) {
        append(out, ": not less.");
        return out;
    }
    append(out, gain->low < gain->high && paper <= gain->high ? ": less, but within the interval." : ": less.");
    append_reasons(result, out);
    return out;
}

/* Static plans, the best one of mean scores among them, and dynamic ones. */
static bool is_rival(const struct ei_paper_method *method)
{
    return strncmp(method->name, "static:", 7) == 0 || strcmp(method->name, "statistics") == 0 ||
           strncmp(method->name, "confidence:", 11) == 0;
}

const char *ei_paper_verdict(const struct ei_paper_result *result, bool has_interval, char out[EI_PAPER_SENTENCE_MAX])
{
    int behind = 0, unsure = 0;
    out[0] = '\0';
    for (int32_t m = 0; m < result->method_count; m++) {
        const struct ei_paper_method *method = &result->method[m];
        if (is_rival(method) && method->gain[EI_PAPER_CONDITIONAL].value <= 0) {
            append(out, behind++ == 0 ? "Does not beat %s (" : ", %s (", method->name);
            append_interval(out, &method->gain[EI_PAPER_CONDITIONAL]);
            append(out, ")");
        }
    }
    if (behind > 0) {
        append(out, ".");
        return out;
    }
    append(out, "Ahead of every static and dynamic plan");
    for (int32_t m = 0; has_interval && m < result->method_count; m++) {
        const struct ei_paper_method *method = &result->method[m];
        if (is_rival(method) && method->gain[EI_PAPER_CONDITIONAL].low <= 0) {
            append(out, unsure++ == 0 ? "; the interval holds 0 against %s" : ", %s", method->name);
        }
    }
    append(out, ".");
    return out;
}
