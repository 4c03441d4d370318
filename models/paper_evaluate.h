/* The tables of the EINet paper from our own profiles: every method on every pair of network and data set, with paired
 * intervals, several trainings averaged, and what was measured that explains a gain.
 *
 * EINet is the method `exact` of models/plan_evaluate.h, with the pair's predictor where every training has one. A gain
 * is EINet minus the method, in shares (0.01 = one point of accuracy). Definitions and JSON: docs/evaluation.md.
 * Offline code, any thread.
 */
#ifndef MODELS_PAPER_EVALUATE_H
#define MODELS_PAPER_EVALUATE_H

#include "models/paper_figures.h"
#include "models/paper_library.h"

/* ---- configuration ---- */

struct ei_paper_config {
    int32_t resamples; /* as in struct ei_plan_evaluate_config, like the next two */
    uint64_t seed;
    int32_t threads;
    bool is_without_predictor;
    void (*on_pair)(void *context, const struct ei_paper_pair *pair, int32_t idx, int32_t count); /* NULL = none */
    void *context;
};

/* ---- results ---- */

enum ei_paper_column { EI_PAPER_CONDITIONAL, EI_PAPER_STRICT, EI_PAPER_COVERAGE, EI_PAPER_COLUMNS };

struct ei_paper_estimate {
    double value;     /* mean over samples and trainings */
    double low, high; /* interval over the test samples; both = value without bootstrap */
    double spread;    /* standard deviation between trainings; 0 for one */
};

struct ei_paper_method {
    char name[EI_SEARCH_NAME_MAX + 8];
    struct ei_paper_estimate column[EI_PAPER_COLUMNS];
    struct ei_paper_estimate gain[EI_PAPER_COLUMNS]; /* EINet minus this; 0 for EINet */
    double exits_mean;
    bool is_stand_in; /* classic without profiles of its own: the last exit of the multi-exit network */
};

/* Means over the trainings, from profiles alone. */
struct ei_paper_measured {
    double branch_share;                  /* sum b / sum c; 0 when all conv parts take no time */
    double accuracy_first, accuracy_last; /* of the first and the last exit, on all samples */
    double first_share;                   /* t_1 / H */
    double first_answer_ns, network_ns;   /* t_1, H */
};

struct ei_paper_result {
    const struct ei_paper_pair *pair;     /* borrowed */
    const struct ei_paper_figure *figure; /* NULL: not in the paper */
    int32_t samples;
    bool has_predictor; /* then only held-out samples count */
    struct ei_paper_measured measured;
    int32_t einet_idx, best_static_idx; /* by conditional accuracy */
    int32_t method_count;
    struct ei_paper_method method[EI_PLAN_METHODS_MAX];
};

/* A network with light branches beside the same trunk with full ones, on the same data set. */
struct ei_paper_light {
    int32_t full_idx, light_idx; /* results */
    bool has_predictor;          /* both plan with theirs */
    /* Accuracy of EINet with T uniform in [0, H of the full network] for both; and light minus full. */
    struct ei_paper_estimate full, light, gain;
};

struct ei_paper_results {
    int32_t count;
    struct ei_paper_result *item; /* owned; [count], in the order of the library's pairs */
    int32_t light_count;
    struct ei_paper_light *light; /* owned */
};

/* Returns 0; what ei_plan_evaluate returns; -ENOMEM. The library must outlive the results. On error there is nothing
 * to undo. */
int ei_paper_evaluate(const struct ei_paper_library *library, const struct ei_paper_config *config,
                      struct ei_paper_results *out, struct einet_error *err);

void ei_paper_results_fini(struct ei_paper_results *results);

/* NULL: not evaluated for this pair. */
const struct ei_paper_method *ei_paper_method_find(const struct ei_paper_result *result, const char *name);

/* ---- sentences ---- */

#define EI_PAPER_SENTENCE_MAX 1024

/* How our gain over the best static plan stands to the paper's, and where it is less, what was measured that explains
 * it. "" for a pair that the paper does not have. Returns out. */
const char *ei_paper_explain(const struct ei_paper_result *result, char out[EI_PAPER_SENTENCE_MAX]);

/* Whether EINet beats every static and dynamic plan, and which it does not. Returns out. */
const char *ei_paper_verdict(const struct ei_paper_result *result, bool has_interval, char out[EI_PAPER_SENTENCE_MAX]);

/* ---- printing ---- */

struct ei_paper_report {
    const struct ei_paper_library *library;
    const struct ei_paper_results *results;
    const struct ei_paper_config *config;
    const char *lane;
};

/* Tables for people, or for a Markdown document; one JSON object. Return 0, or -errno when writing failed (-ENOMEM
 * included). */
int ei_paper_print(const struct ei_paper_report *report, bool is_markdown, FILE *out);
int ei_paper_write_json(const struct ei_paper_report *report, FILE *out);

#endif
