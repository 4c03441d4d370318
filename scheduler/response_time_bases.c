/* See response_time_parts.h: the worst place of a job in a window by deadline.
 *
 * A job that is released later after t0 is due later, so more goes before it, but it has not been there for so long:
 * neither end is the worst. All bases are looked at, in cells: the cell with the longest response is cut until that is
 * exact, and what is left of one when cuts run out counts with its upper bound.
 */
#include "scheduler/response_time_parts.h"

#define CELLS_MAX 24

/* Bases first_ns..last_ns, none of which lets the job finish later than finish_ns after t0. */
struct cell {
    int64_t first_ns, last_ns, finish_ns;
    int64_t first_finish_ns; /* of the first base alone; -1 = was not asked for */
};

static int64_t response_of(const struct ei_rta_bases *bases, const struct cell *cell)
{
    if (cell->finish_ns >= EI_RTA_INFINITE) {
        return EI_RTA_INFINITE;
    }
    const int64_t since_ns = cell->first_ns + bases->shift_ns;
    return cell->finish_ns - (since_ns > bases->least_ns ? since_ns : bases->least_ns);
}

/* Where a cell is cut: at a base, if there is one in its later half or else its earlier, with which work begins to be
 * due; else in the middle. */
static int64_t cut_of(const struct ei_rta_bases *bases, const struct cell *cell)
{
    const int64_t middle_ns = cell->first_ns + (cell->last_ns - cell->first_ns) / 2;
    const int64_t from_ns[] = {middle_ns, cell->first_ns};
    for (int32_t half = 0; half < 2; half++) {
        const int64_t cut_ns = bases->next(bases->inquiry, from_ns[half]);
        if (cut_ns <= cell->last_ns) {
            return cut_ns;
        }
    }
    return middle_ns + 1;
}

static struct cell cell_of(const struct ei_rta_bases *bases, int64_t first_ns, int64_t last_ns)
{
    return (struct cell){.first_ns = first_ns,
                         .last_ns = last_ns,
                         .finish_ns = bases->finish(bases->inquiry, first_ns, last_ns),
                         .first_finish_ns = -1};
}

int64_t ei_rta_next_point(int64_t after_ns, int64_t point_ns, int64_t period_ns)
{
    int64_t rest_ns = (point_ns - after_ns - 1) % period_ns;
    rest_ns += rest_ns < 0 ? period_ns : 0;
    return after_ns + 1 + rest_ns;
}

int64_t ei_rta_longest_response(const struct ei_rta_bases *bases)
{
    struct cell cells[CELLS_MAX] = {cell_of(bases, bases->first_ns, bases->last_ns)};
    for (int32_t count = 1;; count++) {
        int32_t worst = 0;
        for (int32_t c = 1; c < count; c++) {
            worst = response_of(bases, &cells[c]) > response_of(bases, &cells[worst]) ? c : worst;
        }
        struct cell cell = cells[worst];
        if (cell.first_ns == cell.last_ns || count == CELLS_MAX) {
            return response_of(bases, &cell);
        }
        if (cell.first_finish_ns < 0) {
            cell.first_finish_ns = bases->finish(bases->inquiry, cell.first_ns, cell.first_ns);
        }
        if (cell.first_finish_ns == cell.finish_ns) {
            return response_of(bases, &cell);
        }
        const int64_t cut_ns = cut_of(bases, &cell);
        if (cut_ns - 1 == cell.first_ns) {
            cells[worst] = (struct cell){cell.first_ns, cell.first_ns, cell.first_finish_ns, cell.first_finish_ns};
        } else {
            cells[worst] = cell_of(bases, cell.first_ns, cut_ns - 1);
            cells[worst].first_finish_ns = cell.first_finish_ns;
        }
        cells[count] = cell_of(bases, cut_ns, cell.last_ns);
    }
}
