/* The paper's tables beside ours, for people. Cold. */
#include "models/paper_evaluate.h"
#include "models/paper_grid.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* ---- cells ---- */

struct page {
    const struct ei_paper_report *report;
    bool is_markdown;
    FILE *out;
    int status;
};

static void add_pair(struct ei_grid *grid, const struct ei_paper_result *result)
{
    ei_grid_row(grid);
    ei_grid_add(grid, "%s/%s", result->pair->network, result->pair->dataset);
}

/* An accuracy, with the deviation between trainings where there are several. */
static void add_accuracy(struct ei_grid *grid, const struct ei_paper_result *result,
                         const struct ei_paper_method *method, const char *mark)
{
    if (!method) {
        ei_grid_add(grid, "-");
    } else if (result->pair->whole.count > 1) {
        ei_grid_add(grid, "%.2f (sd %.2f)%s", 100 * method->column[EI_PAPER_CONDITIONAL].value,
                    100 * method->column[EI_PAPER_CONDITIONAL].spread, mark);
    } else {
        ei_grid_add(grid, "%.2f%s", 100 * method->column[EI_PAPER_CONDITIONAL].value, mark);
    }
}

static void add_estimate(struct ei_grid *grid, const struct ei_paper_report *report,
                         const struct ei_paper_estimate *gain, int32_t trainings, const char *mark)
{
    char interval[48] = "", deviation[24] = "";
    if (report->config->resamples > 0) {
        snprintf(interval, sizeof interval, " [%+.2f, %+.2f]", 100 * gain->low, 100 * gain->high);
    }
    if (trainings > 1) {
        snprintf(deviation, sizeof deviation, " (sd %.2f)", 100 * gain->spread);
    }
    ei_grid_add(grid, "%+.2f%s%s%s", 100 * gain->value, interval, deviation, mark);
}

static void add_gain(struct ei_grid *grid, const struct ei_paper_report *report, const struct ei_paper_result *result,
                     const char *name)
{
    const struct ei_paper_method *method = ei_paper_method_find(result, name);
    if (!method) {
        ei_grid_add(grid, "-");
        return;
    }
    add_estimate(grid, report, &method->gain[EI_PAPER_CONDITIONAL], result->pair->whole.count,
                 method->is_stand_in ? " *" : "");
}

static void add_claim(struct ei_grid *grid, enum ei_paper_claim claim)
{
    const struct ei_paper_range range = ei_paper_claim(claim);
    ei_grid_add(grid, "%+.2f .. %+.2f", range.low, range.high);
}

/* A row of the paper's own ranges begins; columns that it says nothing of are filled by add_blanks. */
static void begin_claims(struct ei_grid *grid)
{
    ei_grid_row(grid);
    ei_grid_add(grid, "the paper, over its pairs");
}

static void add_blanks(struct ei_grid *grid, int count)
{
    for (int i = 0; i < count; i++) {
        ei_grid_add(grid, "-");
    }
}

static void head(struct ei_grid *grid, const char *const *names)
{
    *grid = (struct ei_grid){.columns = 0};
    ei_grid_row(grid);
    for (; *names; names++) {
        ei_grid_add(grid, "%s", *names);
    }
}

static void title(const struct page *page, const char *text)
{
    fprintf(page->out, page->is_markdown ? "\n### %s\n\n" : "\n%s\n\n", text);
}

static void finish(struct page *page, struct ei_grid *grid, const char *note)
{
    const int status = ei_grid_print(grid, page->is_markdown, page->out);
    page->status = page->status == 0 ? status : page->status;
    if (note) {
        fprintf(page->out, "\n%s\n", note);
    }
}

static const struct ei_paper_method *einet_of(const struct ei_paper_result *result)
{
    return &result->method[result->einet_idx];
}

/* ---- the tables ---- */

static void print_static(struct page *page)
{
    struct ei_grid grid;
    title(page, "1. Against static plans");
    head(&grid, (const char *[]){"pair", "paper: static", "paper: EINet", "paper: gain", "trainings", "samples",
                                 "static:25", "static:50", "static:100", "EINet", "gain over the best static", NULL});
    for (int32_t p = 0; p < page->report->results->count; p++) {
        const struct ei_paper_result *result = &page->report->results->item[p];
        add_pair(&grid, result);
        if (result->figure) {
            ei_grid_add(&grid, "%.2f", result->figure->static_pct);
            ei_grid_add(&grid, "%.2f", result->figure->einet_pct);
            ei_grid_add(&grid, "%+.2f", result->figure->einet_pct - result->figure->static_pct);
        } else {
            add_blanks(&grid, 3);
        }
        ei_grid_add(&grid, "%d", result->pair->whole.count);
        ei_grid_add(&grid, "%d", result->samples);
        add_accuracy(&grid, result, ei_paper_method_find(result, "static:25"), "");
        add_accuracy(&grid, result, ei_paper_method_find(result, "static:50"), "");
        add_accuracy(&grid, result, ei_paper_method_find(result, "static:100"), "");
        add_accuracy(&grid, result, einet_of(result), "");
        add_gain(&grid, page->report, result, result->method[result->best_static_idx].name);
    }
    begin_claims(&grid);
    add_blanks(&grid, 2);
    add_claim(&grid, EI_PAPER_CLAIM_STATIC);
    add_blanks(&grid, 7);
    finish(page, &grid,
           "The paper's figures do not say of which static plan they are; our gain is over the best of the three. A "
           "pair with one\ntraining has no deviation between trainings.");
}

static void print_dynamic(struct page *page)
{
    static const char *const rivals[] = {"confidence:0.9", "confidence:0.95", "confidence:0.99", "statistics",
                                         "random:64",      "greedy",          "hybrid:6"};
    struct ei_grid grid;
    title(page, "2. Gain over dynamic plans and over other searches");
    head(&grid, (const char *[]){"pair", "EINet", "confidence:0.9", "confidence:0.95", "confidence:0.99", "statistics",
                                 "random:64", "greedy", "hybrid:6", NULL});
    for (int32_t p = 0; p < page->report->results->count; p++) {
        const struct ei_paper_result *result = &page->report->results->item[p];
        add_pair(&grid, result);
        add_accuracy(&grid, result, einet_of(result), "");
        for (size_t r = 0; r < sizeof rivals / sizeof rivals[0]; r++) {
            add_gain(&grid, page->report, result, rivals[r]);
        }
    }
    begin_claims(&grid);
    add_blanks(&grid, 1);
    for (int i = 0; i < 3; i++) {
        add_claim(&grid, EI_PAPER_CLAIM_DYNAMIC);
    }
    add_blanks(&grid, 4);
    finish(page, &grid,
           "The paper claims one range over all of its dynamic plans. hybrid:6 is the paper's search, random:64 tries "
           "as many plans.");
}

static void print_single(struct page *page)
{
    struct ei_grid grid;
    bool has_stand_in = false;
    title(page, "3. Against networks with one exit");
    head(&grid, (const char *[]){"pair", "EINet", "classic", "gain", "compressed", "gain", NULL});
    for (int32_t p = 0; p < page->report->results->count; p++) {
        const struct ei_paper_result *result = &page->report->results->item[p];
        const struct ei_paper_method *classic = ei_paper_method_find(result, "classic");
        add_pair(&grid, result);
        add_accuracy(&grid, result, einet_of(result), "");
        add_accuracy(&grid, result, classic, classic && classic->is_stand_in ? " *" : "");
        add_gain(&grid, page->report, result, "classic");
        add_accuracy(&grid, result, ei_paper_method_find(result, "compressed"), "");
        add_gain(&grid, page->report, result, "compressed");
        has_stand_in = has_stand_in || (classic && classic->is_stand_in);
    }
    begin_claims(&grid);
    add_blanks(&grid, 2);
    add_claim(&grid, EI_PAPER_CLAIM_CLASSIC);
    add_blanks(&grid, 1);
    add_claim(&grid, EI_PAPER_CLAIM_COMPRESSED);
    finish(page, &grid,
           has_stand_in ? "Where a * stands there are no profiles of a single-exit network: the last exit of the "
                          "multi-exit network stands in\nfor it (conv parts and last branch)."
                        : NULL);
}

static void print_skipping(struct page *page)
{
    struct ei_grid grid;
    title(page, "4. What skipping brings");
    head(&grid, (const char *[]){"pair", "sum b / sum c", "EINet", "without skipping", "gain", "every exit", "gain",
                                 "exits a job", "without skipping", NULL});
    for (int32_t p = 0; p < page->report->results->count; p++) {
        const struct ei_paper_result *result = &page->report->results->item[p];
        const struct ei_paper_method *no_skip = ei_paper_method_find(result, "noskip");
        add_pair(&grid, result);
        ei_grid_add(&grid, "%.2f", result->measured.branch_share);
        add_accuracy(&grid, result, einet_of(result), "");
        add_accuracy(&grid, result, no_skip, "");
        add_gain(&grid, page->report, result, "noskip");
        add_accuracy(&grid, result, ei_paper_method_find(result, "all"), "");
        add_gain(&grid, page->report, result, "all");
        ei_grid_add(&grid, "%.2f of %d", einet_of(result)->exits_mean, result->pair->whole.item[0].profiles.cs->exits);
        ei_grid_add(&grid, "%.2f", no_skip ? no_skip->exits_mean : NAN);
    }
    begin_claims(&grid);
    add_blanks(&grid, 3);
    add_claim(&grid, EI_PAPER_CLAIM_NO_SKIP);
    add_blanks(&grid, 4);
    finish(page, &grid, "Without skipping: every exit in order for as long as EINet's plan holds any.");
}

static void print_light(struct page *page)
{
    const struct ei_paper_results *results = page->report->results;
    struct ei_grid grid;
    if (results->light_count == 0) {
        return;
    }
    title(page, "4b. What cheaper branches bring");
    head(&grid, (const char *[]){"trunk", "sum b / sum c: full", "light", "gain over the best static: full", "light",
                                 "EINet by T in [0, H of full]: full", "light", "light minus full", NULL});
    for (int32_t l = 0; l < results->light_count; l++) {
        const struct ei_paper_light *light = &results->light[l];
        const struct ei_paper_result *full = &results->item[light->full_idx], *thin = &results->item[light->light_idx];
        add_pair(&grid, full);
        ei_grid_add(&grid, "%.2f", full->measured.branch_share);
        ei_grid_add(&grid, "%.2f", thin->measured.branch_share);
        add_gain(&grid, page->report, full, full->method[full->best_static_idx].name);
        add_gain(&grid, page->report, thin, thin->method[thin->best_static_idx].name);
        ei_grid_add(&grid, "%.2f", 100 * light->full.value);
        ei_grid_add(&grid, "%.2f", 100 * light->light.value);
        add_estimate(&grid, page->report, &light->gain, 1, "");
    }
    finish(page, &grid,
           "The last three columns are strict accuracies (no answer is wrong) at the same forced exit times for both "
           "networks, so\nthat the time saved counts.");
}

static void print_predictor(struct page *page)
{
    struct ei_grid grid;
    title(page, "5. What the predictor brings");
    head(&grid, (const char *[]){"pair", "held-out samples", "EINet with it", "with mean scores", "gain", NULL});
    for (int32_t p = 0; p < page->report->results->count; p++) {
        const struct ei_paper_result *result = &page->report->results->item[p];
        add_pair(&grid, result);
        if (!result->has_predictor) {
            add_blanks(&grid, 4);
            continue;
        }
        ei_grid_add(&grid, "%d", result->samples);
        add_accuracy(&grid, result, einet_of(result), "");
        add_accuracy(&grid, result, ei_paper_method_find(result, "exact@means"), "");
        add_gain(&grid, page->report, result, "exact@means");
    }
    finish(page, &grid,
           "A pair with a predictor is judged on the samples that the predictor did not learn from, in all tables.");
}

/* ---- around them ---- */

/* Machines, each with the pairs that were measured on it. */
static void print_machines(const struct page *page)
{
    const struct ei_paper_results *results = page->report->results;
    for (int32_t p = 0; p < results->count; p++) {
        const char *machine = results->item[p].pair->whole.item[0].profiles.et->machine;
        bool is_new = true;
        for (int32_t q = 0; is_new && q < p; q++) {
            is_new = strcmp(results->item[q].pair->whole.item[0].profiles.et->machine, machine) != 0;
        }
        if (!is_new) {
            continue;
        }
        fprintf(page->out, "%sblock times (p50, lane %s) of %s:", page->is_markdown ? "- " : "", page->report->lane,
                machine);
        for (int32_t q = p; q < results->count; q++) {
            const struct ei_paper_pair *pair = results->item[q].pair;
            if (strcmp(pair->whole.item[0].profiles.et->machine, machine) == 0) {
                fprintf(page->out, " %s/%s", pair->network, pair->dataset);
            }
        }
        fputc('\n', page->out);
    }
}

static void print_head(const struct page *page)
{
    const struct ei_paper_config *config = page->report->config;
    fprintf(page->out,
            "Figures of %s beside ours: accuracy in %%, conditional (forced exit time uniform in [t_1, H], no answer\n"
            "counts as wrong); a gain is EINet minus the other, in points. EINet: the exact search, replanned after "
            "each exit.\n",
            EI_PAPER_SOURCE);
    if (config->resamples > 0) {
        fprintf(page->out, "[..]: %g %% intervals, %d paired resamples of the test samples, seed %llu.\n",
                EI_PLAN_INTERVAL_PCT, config->resamples, (unsigned long long)config->seed);
    }
    fputs(page->is_markdown ? "\n" : "", page->out);
    print_machines(page);
}

static void print_analysis(const struct page *page)
{
    const struct ei_paper_results *results = page->report->results;
    char sentence[EI_PAPER_SENTENCE_MAX];
    title(page, "Pair by pair");
    for (int32_t p = 0; p < results->count; p++) {
        const struct ei_paper_result *result = &results->item[p];
        fprintf(page->out, "- %s/%s: %s", result->pair->network, result->pair->dataset,
                ei_paper_verdict(result, page->report->config->resamples > 0, sentence));
        (void)ei_paper_explain(result, sentence);
        fprintf(page->out, "%s%s\n", sentence[0] ? " " : "", sentence);
    }
    if (results->count == 0) {
        fputs("There are no profiles of any pair in these folders.\n", page->out);
    }
}

static void print_missing(const struct page *page)
{
    const struct ei_paper_library *library = page->report->library;
    if (library->missing_count > 0) {
        title(page, "Not trained here");
    }
    for (int32_t m = 0; m < library->missing_count; m++) {
        const struct ei_paper_missing *missing = &library->missing[m];
        const char *quote = page->is_markdown ? "`" : "";
        fprintf(page->out, "- %s/%s (%s): %s%s%s\n", missing->network, missing->dataset, missing->what, quote,
                missing->command, quote);
    }
    bool is_first = true;
    for (int32_t f = 0; f < library->files.count; f++) {
        if (!library->files.item[f].is_used) {
            fprintf(page->out, "%s %s", is_first ? "\nProfiles that belong to none of these tables:" : ",",
                    library->files.item[f].path);
            is_first = false;
        }
    }
    fputs(is_first ? "" : "\n", page->out);
}

int ei_paper_print(const struct ei_paper_report *report, bool is_markdown, FILE *out)
{
    struct page page = {.report = report, .is_markdown = is_markdown, .out = out};
    errno = 0;
    print_head(&page);
    if (report->results->count > 0) {
        print_static(&page);
        print_dynamic(&page);
        print_single(&page);
        print_skipping(&page);
        print_light(&page);
        print_predictor(&page);
    }
    print_analysis(&page);
    print_missing(&page);
    if (page.status != 0) {
        return page.status;
    }
    return fflush(out) == 0 && ferror(out) == 0 ? 0 : -(errno != 0 ? errno : EIO);
}
