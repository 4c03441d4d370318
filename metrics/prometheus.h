/* A board as text for Prometheus (exposition format 0.0.4): counters, gauges and a histogram of responses, times in
 * seconds. What each means: docs/live-view.md. Any thread, not real-time safe.
 */
#ifndef METRICS_PROMETHEUS_H
#define METRICS_PROMETHEUS_H

#include "metrics/board.h"

#include <stdio.h>

#define EI_PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Write the text. Returns 0 or the -errno of writing to out. */
int ei_prometheus_print(const struct ei_board_view *view, FILE *out);

#endif
