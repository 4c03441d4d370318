/* See paper_grid.h. */
#include "models/paper_grid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void ei_grid_row(struct ei_grid *grid)
{
    const size_t cells = (size_t)(grid->rows + 1) * EI_GRID_COLUMNS_MAX;
    char(*grown)[EI_GRID_CELL_MAX] = realloc(grid->cell, cells * sizeof *grown);
    grid->filled = 0;
    if (!grown) {
        grid->is_out_of_memory = true;
        return;
    }
    grid->cell = grown;
    memset(grid->cell + (size_t)grid->rows * EI_GRID_COLUMNS_MAX, 0, EI_GRID_COLUMNS_MAX * sizeof *grown);
    grid->rows++;
}

void ei_grid_add(struct ei_grid *grid, const char *fmt, ...)
{
    if (grid->is_out_of_memory || grid->filled == EI_GRID_COLUMNS_MAX) {
        return;
    }
    char *cell = grid->cell[(size_t)(grid->rows - 1) * EI_GRID_COLUMNS_MAX + (size_t)grid->filled++];
    va_list args;
    va_start(args, fmt);
    vsnprintf(cell, EI_GRID_CELL_MAX, fmt, args);
    va_end(args);
    for (char *at = strchr(cell, '|'); at; at = strchr(at, '|')) {
        *at = '/';
    }
    grid->columns = grid->rows == 1 ? grid->filled : grid->columns;
}

static void print_row(const struct ei_grid *grid, int32_t row, const int *width, bool is_markdown, FILE *out)
{
    for (int32_t c = 0; c < grid->columns; c++) {
        const char *cell = grid->cell[(size_t)row * EI_GRID_COLUMNS_MAX + (size_t)c];
        if (is_markdown) {
            fprintf(out, "%s%s |", c == 0 ? "| " : " ", cell);
        } else {
            fprintf(out, c == 0 ? "%-*s" : "  %*s", width[c], cell);
        }
    }
    fputc('\n', out);
}

int ei_grid_print(struct ei_grid *grid, bool is_markdown, FILE *out)
{
    const bool is_whole = !grid->is_out_of_memory;
    int width[EI_GRID_COLUMNS_MAX] = {0};
    for (int32_t i = 0; is_whole && i < grid->rows * EI_GRID_COLUMNS_MAX; i++) {
        const int length = (int)strlen(grid->cell[i]);
        width[i % EI_GRID_COLUMNS_MAX] =
            length > width[i % EI_GRID_COLUMNS_MAX] ? length : width[i % EI_GRID_COLUMNS_MAX];
    }
    for (int32_t row = 0; is_whole && row < grid->rows; row++) {
        print_row(grid, row, width, is_markdown, out);
        for (int32_t c = 0; is_markdown && row == 0 && c < grid->columns; c++) {
            fputs(c == 0 ? "|---|" : "---:|", out);
        }
        if (is_markdown && row == 0) {
            fputc('\n', out);
        }
    }
    free(grid->cell);
    *grid = (struct ei_grid){.columns = 0};
    return is_whole ? 0 : -ENOMEM;
}
