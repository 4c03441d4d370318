/* Plots of runs for a terminal of 80 columns: responses by duration with the deadline, deadlines not met by time,
 * exits, and right answers by time since the release. Thread: any.
 */
#ifndef REPORT_PLOT_H
#define REPORT_PLOT_H

#include "report/compare.h"

struct ei_plot_style {
    bool is_ascii, is_coloured;
};

/* All tasks of a run. */
void ei_plot_run(const struct ei_report_run *run, FILE *out, struct ei_plot_style style);

/* The tasks that both have, one run above the other on the same axes. */
void ei_plot_comparison(const struct ei_comparison *comparison, FILE *out, struct ei_plot_style style);

#endif
