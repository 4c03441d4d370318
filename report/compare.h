/* Two runs side by side: for every task that both have, each figure with its interval at 95 %, their difference with
 * its interval, and which of the two is better as far as the difference is not 0. Thread: any.
 */
#ifndef REPORT_COMPARE_H
#define REPORT_COMPARE_H

#include "report/interval.h"
#include "report/run.h"

enum ei_compare_unit { EI_COMPARE_RATIO, EI_COMPARE_NS };
enum ei_compare_sense { EI_COMPARE_LESS_IS_BETTER, EI_COMPARE_MORE_IS_BETTER, EI_COMPARE_NEUTRAL };
enum ei_compare_verdict { EI_COMPARE_NONE_SHOWN, EI_COMPARE_A, EI_COMPARE_B }; /* better; neutral figures: larger */

struct ei_compare_row {
    char figure[32]; /* such as "response_p99" or "exit_3" (from 0) */
    enum ei_compare_unit unit;
    enum ei_compare_sense sense;
    struct ei_interval a, b, difference; /* of A - B */
    enum ei_compare_verdict verdict;
};

#define EI_COMPARE_ROWS_MAX (8 + EI_REPORT_EXITS_MAX)

struct ei_compare_task {
    const char *name;                   /* borrowed from run A */
    const struct ei_report_task *a, *b; /* borrowed */
    struct ei_compare_row rows[EI_COMPARE_ROWS_MAX];
    int32_t row_count;
};

#define EI_COMPARE_WARNINGS_MAX 12

struct ei_comparison {
    const struct ei_report_run *a, *b; /* borrowed: must outlive the comparison */
    struct ei_compare_task *tasks;     /* owned */
    int32_t task_count;
    char warnings[EI_COMPARE_WARNINGS_MAX][256]; /* why the two may not be comparable */
    int32_t warning_count;
};

/* Both runs need their jobs.csv and at least one task of the same name: EINET_E_MISMATCH otherwise, and then nothing is
 * held. Workloads that differ are allowed, since to compare two planners is to compare two files, but are warned of. */
int ei_compare(const struct ei_report_run *a, const struct ei_report_run *b, struct ei_comparison *out,
               struct einet_error *err);
void ei_comparison_fini(struct ei_comparison *comparison);

/* A table for people. */
void ei_comparison_print(const struct ei_comparison *comparison, FILE *out, bool is_coloured);
/* One JSON object (docs/report.md); a bound that the sample is too small for is null. Returns 0 or -errno. */
int ei_comparison_print_json(const struct ei_comparison *comparison, FILE *out);

#endif
