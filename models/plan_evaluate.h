/* How good are the ways to choose exits? Jobs are walked through the elastic stepper on recorded times and answers, one
 * per sample and method, and their accuracy is integrated over the forced exit time T exactly: with answers at t_1 < ..
 * < t_k and S(t) = P(T >= t),
 *
 *     accuracy = sum_j correct_j * (S(t_j) - S(t_{j+1})),      S(t_{k+1}) = 0
 *
 * Definitions, methods and the JSON schema: docs/evaluation.md. Offline, pure but for memory and the printing calls.
 */
#ifndef MODELS_PLAN_EVALUATE_H
#define MODELS_PLAN_EVALUATE_H

#include "planner/elastic.h"
#include "planner/survival_empirical.h"

#include <stdio.h>

/* ---- the exit time ---- */

enum ei_exit_time_kind {
    EI_EXIT_TIME_NETWORK,     /* uniform in [0, H], H = all block times of the network: the paper's */
    EI_EXIT_TIME_UNIFORM,     /* uniform in [0, time_ns] */
    EI_EXIT_TIME_EXPONENTIAL, /* at rate_per_s */
    EI_EXIT_TIME_STEP,        /* exactly at time_ns */
    EI_EXIT_TIME_TRACE        /* as recorded */
};

#define EI_EXIT_TIME_NAME_MAX 512

struct ei_exit_time {
    enum ei_exit_time_kind kind;
    int64_t time_ns;
    double rate_per_s;
    struct ei_survival_table trace;
    char name[EI_EXIT_TIME_NAME_MAX]; /* as given */
};

/* Read "uniform", "uniform:2ms", "exponential:500", "step:1.5ms" or "trace:FILE" (which is read). option: the name that
 * errors blame, "--exit-time". Returns 0; EINET_E_USAGE; what reading the trace returns. */
int ei_exit_time_parse(const char *option, const char *text, struct ei_exit_time *out, struct einet_error *err);

/* As a survival function, which borrows the exit time. network_ns: H. */
struct ei_survival ei_exit_time_survival(const struct ei_exit_time *exit_time, int64_t network_ns);

/* ---- the methods ---- */

enum ei_plan_method_kind {
    EI_METHOD_SEARCH,     /* a search of planner/search.h in the elastic stepper */
    EI_METHOD_NO_SKIP,    /* every exit in order for as long as the exact search plans any: EINet's stop, no skipping */
    EI_METHOD_ORACLE,     /* knows T and the sample's scores */
    EI_METHOD_CLASSIC,    /* a network with its last exit only */
    EI_METHOD_COMPRESSED, /* the last exit of another, smaller network */
};

struct ei_plan_method {
    enum ei_plan_method_kind kind;
    struct ei_search search; /* of EI_METHOD_SEARCH; exact of EI_METHOD_NO_SKIP */
    bool has_predictor;      /* guesses with the CS-predictor; false: with the means of the data set */
    char name[EI_SEARCH_NAME_MAX + 8];
};

#define EI_PLAN_METHODS_MAX 32

/* Read a comma-separated list: searches as ei_search_parse reads them (the oracle excepted), "noskip", "oracle",
 * "classic", "compressed". With a predictor those that replan by expected scores (exact, hybrid, greedy, random,
 * noskip) use it, unless "@means" follows. text NULL: every method that the inputs allow. seed: of random. Returns 0 or
 * EINET_E_USAGE (unknown, named twice, too many, compressed without its profiles, @means without effect). */
int ei_plan_methods_parse(const char *text, bool has_predictor, bool has_compressed, uint64_t seed,
                          struct ei_plan_method out[EI_PLAN_METHODS_MAX], int32_t *out_count, struct einet_error *err);

/* ---- the evaluation ---- */

/* A network: both of the same exits, or both NULL. */
struct ei_plan_profiles {
    const struct ei_et_profile *et;
    const struct ei_cs_profile *cs;
};

struct ei_plan_evaluate_config {
    struct ei_plan_profiles network, classic, compressed; /* borrowed; classic and compressed may be empty */
    const struct ei_predictor *predictor;                 /* borrowed; NULL = none. Only its held-out samples count */
    const struct ei_exit_time *truth, *belief;            /* how T is, and what the planner takes it for */
    double no_output_score;
    const struct ei_plan_method *methods;
    int32_t method_count; /* 1..EI_PLAN_METHODS_MAX */
    int32_t resamples;    /* of the bootstrap, 0..EI_PLAN_RESAMPLES_MAX; 0 = no intervals */
    uint64_t seed;        /* of the bootstrap */
    int32_t threads;      /* that share the samples, 0 = one per processor; the result does not depend on it */
    /* Jobs walked, one per sample and method, as the calling thread's share tells; on that thread. NULL = none. */
    void (*on_progress)(void *context, int64_t done, int64_t whole);
    void *context;
};

#define EI_PLAN_RESAMPLES_MAX 100000
#define EI_PLAN_INTERVAL_PCT 95.0

enum ei_plan_column {
    EI_COLUMN_CONDITIONAL, /* accuracy, T ~ U[t_1, H] */
    EI_COLUMN_STRICT,      /* accuracy, T ~ U[0, H] */
    EI_COLUMN_COVERAGE,    /* P(an answer exists), T ~ U[0, H] */
    EI_COLUMN_OVERALL,     /* accuracy, T as given */
    EI_COLUMN_OUTPUT,      /* P(an answer exists), T as given */
    EI_COLUMN_SCORE, /* mean confidence of what is delivered, "no output" counted as no_output_score, T as given */
    EI_COLUMNS
};

struct ei_plan_interval {
    double value;     /* share, 0..1; of the score and of differences any sign */
    double low, high; /* percentile interval; both = value without bootstrap */
};

struct ei_plan_method_result {
    struct ei_plan_method method;
    struct ei_plan_interval column[EI_COLUMNS];
    struct ei_plan_interval difference[EI_COLUMNS]; /* to the reference method, paired over samples */
    double exits_mean;                              /* exits computed per job when nothing stops it */
};

struct ei_plan_evaluation {
    int32_t samples;         /* evaluated */
    bool is_held_out;        /* only those that the predictor did not learn from */
    int64_t first_answer_ns; /* t_1 */
    int64_t network_ns;      /* H */
    int32_t reference_idx;   /* "exact", else the first method */
    int32_t method_count;
    int32_t *sample; /* owned; [samples], index in the CS-profile */
    double *value;   /* owned; [samples][method_count][EI_COLUMNS] */
    struct ei_plan_method_result method[EI_PLAN_METHODS_MAX];
};

/* Returns 0; EINET_E_MISMATCH (profiles, predictor or samples do not belong together); EINET_E_USAGE (a setting out of
 * range, or compressed without profiles); -ENOMEM. On error there is nothing to undo. Profiles must pass their checks,
 * as those that were read from files do. */
int ei_plan_evaluate(const struct ei_plan_evaluate_config *config, struct ei_plan_evaluation *out,
                     struct einet_error *err);

/* Free; a zeroed evaluation is fine. */
void ei_plan_evaluation_fini(struct ei_plan_evaluation *evaluation);

/* Fill low and high of a column's mean over the rows and of its mean difference to the reference column, by resampling
 * rows: value is [rows][columns]; reference: [columns], the column that each is compared with. seed decides the
 * resamples, which all columns share. resamples 0: low = high = value. Returns 0 or -ENOMEM. */
int ei_plan_bootstrap(const double *value, int32_t rows, int32_t columns, const int32_t *reference, int32_t resamples,
                      uint64_t seed, struct ei_plan_interval *out_mean, struct ei_plan_interval *out_difference);

/* ---- printing ---- */

/* A table for people; one JSON object. Return 0, or -errno when writing failed (-ENOMEM included). */
int ei_plan_evaluation_print(const struct ei_plan_evaluation *evaluation, const struct ei_plan_evaluate_config *config,
                             FILE *out);
int ei_plan_evaluation_write_json(const struct ei_plan_evaluation *evaluation,
                                  const struct ei_plan_evaluate_config *config, FILE *out);

#endif
