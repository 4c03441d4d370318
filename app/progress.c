/* See progress.h. */
#include "app/progress.h"

#include "rt/clock.h"

#include <unistd.h>

#define SHOW_EVERY_NS (250 * EI_NS_PER_MS)

void einet_progress_begin(struct einet_progress *progress, bool is_quiet)
{
    const int64_t now_ns = ei_mono_now().ns;
    *progress = (struct einet_progress){.out = !is_quiet && isatty(STDERR_FILENO) == 1 ? stderr : NULL,
                                        .began_ns = now_ns,
                                        .shown_ns = now_ns - SHOW_EVERY_NS};
}

void einet_progress_begin_later(struct einet_progress *progress, bool is_quiet)
{
    einet_progress_begin(progress, is_quiet);
    progress->shown_ns += EI_NS_PER_S;
}

void einet_progress_restart(struct einet_progress *progress)
{
    progress->began_ns = ei_mono_now().ns;
}

void einet_progress_time(FILE *out, double seconds)
{
    if (seconds < 100.0) {
        fprintf(out, "%.0f s", seconds);
    } else if (seconds < 6000.0) {
        fprintf(out, "%.0f min", seconds / 60.0);
    } else {
        fprintf(out, "%.1f h", seconds / 3600.0);
    }
}

void einet_progress_show(struct einet_progress *progress, const char *what, double done, double whole)
{
    const int64_t now_ns = progress->out != NULL ? ei_mono_now().ns : 0;
    if (progress->out == NULL || now_ns - progress->shown_ns < SHOW_EVERY_NS || !(done > 0.0)) {
        return;
    }
    const double spent_s = (double)(now_ns - progress->began_ns) / 1e9;
    fprintf(progress->out, "\r\033[K%.0f of %.0f %s  %.0f %%  ", done, whole, what, 100.0 * done / whole);
    einet_progress_time(progress->out, done < whole ? spent_s * (whole - done) / done : 0.0);
    fprintf(progress->out, " left%s%s", progress->detail[0] != '\0' ? "  " : "", progress->detail);
    fflush(progress->out);
    progress->shown_ns = now_ns;
    progress->is_shown = true;
}

void einet_progress_end(struct einet_progress *progress)
{
    if (progress->is_shown) {
        fputs("\r\033[K", progress->out);
        fflush(progress->out);
        progress->is_shown = false;
    }
}
