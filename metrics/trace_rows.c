/* See trace_rows.h. */
#include "metrics/trace_rows.h"

#include <stdbool.h>

static bool is_free(const struct ei_trace_row *row, int64_t start_ns, int64_t end_ns)
{
    if (start_ns < row->forgotten_ns) {
        return false;
    }
    for (int32_t i = 0; i < row->kept; i++) {
        if (start_ns < row->end_ns[i] && end_ns >= row->start_ns[i]) {
            return false;
        }
    }
    return true;
}

static int64_t free_from_ns(const struct ei_trace_row *row)
{
    int64_t last_ns = row->forgotten_ns;
    for (int32_t i = 0; i < row->kept; i++) {
        last_ns = row->end_ns[i] > last_ns ? row->end_ns[i] : last_ns;
    }
    return last_ns;
}

static void take(struct ei_trace_row *row, int64_t start_ns, int64_t end_ns)
{
    if (row->kept == EI_TRACE_ROW_KEPT) {
        const int64_t oldest_ns = row->end_ns[row->next];
        row->forgotten_ns = oldest_ns > row->forgotten_ns ? oldest_ns : row->forgotten_ns;
    } else {
        row->kept++;
    }
    row->start_ns[row->next] = start_ns;
    row->end_ns[row->next] = end_ns;
    row->next = (row->next + 1) % EI_TRACE_ROW_KEPT;
}

int32_t ei_trace_rows_place(struct ei_trace_row *rows, int32_t count, int32_t *used_count, int64_t *start_ns,
                            int64_t *end_ns)
{
    int32_t first = 0;
    *end_ns = *end_ns < *start_ns ? *start_ns : *end_ns;
    for (int32_t i = 0; i < count; i++) {
        if (i == *used_count) {
            rows[i] = (struct ei_trace_row){.forgotten_ns = INT64_MIN};
            *used_count = i + 1;
        }
        if (is_free(&rows[i], *start_ns, *end_ns)) {
            take(&rows[i], *start_ns, *end_ns);
            return i;
        }
        first = free_from_ns(&rows[i]) < free_from_ns(&rows[first]) ? i : first;
    }
    *start_ns = free_from_ns(&rows[first]) > *start_ns ? free_from_ns(&rows[first]) : *start_ns;
    *end_ns = *end_ns < *start_ns ? *start_ns : *end_ns;
    take(&rows[first], *start_ns, *end_ns);
    return first;
}
