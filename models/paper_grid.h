/* A table of texts that prints aligned for a terminal or as Markdown. Cold; memory that runs out is remembered and
 * reported when the table is printed, so that filling it needs no checks.
 */
#ifndef MODELS_PAPER_GRID_H
#define MODELS_PAPER_GRID_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define EI_GRID_COLUMNS_MAX 12
#define EI_GRID_CELL_MAX 96

struct ei_grid {
    int32_t columns, rows; /* rows: the heading included */
    int32_t filled;        /* cells of the last row */
    bool is_out_of_memory;
    char (*cell)[EI_GRID_CELL_MAX]; /* owned */
};

/* Begin a row; the first is the heading and says how many columns there are. */
void ei_grid_row(struct ei_grid *grid);

/* Add a cell to the row; a text that is too long is cut. A | would end a Markdown cell and becomes a /. */
__attribute__((format(printf, 2, 3))) void ei_grid_add(struct ei_grid *grid, const char *fmt, ...);

/* The first column stands left, the others right. Returns 0 or -ENOMEM; frees the cells. */
int ei_grid_print(struct ei_grid *grid, bool is_markdown, FILE *out);

#endif
