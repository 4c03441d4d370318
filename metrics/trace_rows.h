/* Rows of a trace: slices of one row must nest or follow each other, so that slices which overlap in time need rows of
 * their own. Pure; one owner.
 *
 * Slices come in the order in which they are written. A viewer sorts by time and keeps the written order of what is at
 * one time, so a later slice may begin where an earlier one ends, but must not end where an earlier one begins.
 */
#ifndef METRICS_TRACE_ROWS_H
#define METRICS_TRACE_ROWS_H

#include <stdint.h>

#define EI_TRACE_ROW_KEPT 8 /* slices remembered per row: how far records of several threads may be out of order */

struct ei_trace_row {
    int64_t start_ns[EI_TRACE_ROW_KEPT], end_ns[EI_TRACE_ROW_KEPT];
    int32_t kept, next;
    int64_t forgotten_ns; /* the last end of those that are not remembered any more */
};

/* Find a row of rows[count] for [*start_ns, *end_ns], in use from the first on, and take the time there. When each row
 * has something in the way, the slice goes to the row that is free first, cut at its start. An end before its start is
 * put at the start. Returns the row; *used_count grows when it is a new one. */
int32_t ei_trace_rows_place(struct ei_trace_row *rows, int32_t count, int32_t *used_count, int64_t *start_ns,
                            int64_t *end_ns);

#endif
