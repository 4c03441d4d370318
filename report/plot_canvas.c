/* See plot_canvas.h. */
#include "report/plot_canvas.h"

#include <math.h>

#define STEPS 8

static const char *const heights[2][STEPS + 1] = {
    {" ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"},
    {" ", ".", ":", "-", "=", "+", "*", "#", "@"},
};
static const char *const widths[STEPS + 1] = {"",       "\u258f", "\u258e", "\u258d", "\u258c",
                                              "\u258b", "\u258a", "\u2589", "\u2588"};

/* Of `steps` equal steps, the one that value / highest is on; 1 at least when it is more than 0. */
static int step_of(double value, double highest, int steps)
{
    if (!(value > 0) || !(highest > 0)) {
        return 0;
    }
    const int step = (int)lround(value / highest * steps);
    return step < 1 ? 1 : step > steps ? steps : step;
}

void ei_plot_columns(FILE *out, bool is_ascii, const double *values, int count, double highest)
{
    for (int i = 0; i < count; i++) {
        fputs(heights[is_ascii][step_of(values[i], highest, STEPS)], out);
    }
}

void ei_plot_bar(FILE *out, bool is_ascii, double value, double highest, int width)
{
    const int step = step_of(value, highest, is_ascii ? width : width * STEPS);
    if (is_ascii) {
        for (int i = 0; i < step; i++) {
            fputc('#', out);
        }
        return;
    }
    for (int i = 0; i < step / STEPS; i++) {
        fputs(widths[STEPS], out);
    }
    fputs(widths[step % STEPS], out);
}

void ei_plot_label(FILE *out, const char *text, int width)
{
    int used = 0;
    for (const char *p = text; *p != '\0'; p++) {
        const bool begins = ((unsigned char)*p & 0xc0) != 0x80;
        if (begins && used == width) {
            break;
        }
        used += begins;
        fputc(*p, out);
    }
    fprintf(out, "%*s", width - used, "");
}
