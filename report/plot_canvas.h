/* Bars of characters: eighths of a block in Unicode, or plain ASCII where the terminal cannot show them. Thread: any.
 */
#ifndef REPORT_PLOT_CANVAS_H
#define REPORT_PLOT_CANVAS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One character per value, as high as value / highest; 0 is empty, and what is more than 0 can be seen. */
void ei_plot_columns(FILE *out, bool is_ascii, const double *values, int count, double highest);

/* A bar to the right of at most width characters. */
void ei_plot_bar(FILE *out, bool is_ascii, double value, double highest, int width);

/* Text cut or filled up to width characters of the terminal (UTF-8). */
void ei_plot_label(FILE *out, const char *text, int width);

#endif
