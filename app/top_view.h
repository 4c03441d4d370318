/* What `einet top` shows of a board: a table for people, an object for programs. */
#ifndef APP_TOP_VIEW_H
#define APP_TOP_VIEW_H

#include "metrics/board.h"

#include <stdbool.h>
#include <stdio.h>

/* What the reader found out beside the board's own figures. */
struct einet_top_news {
    bool is_dead;      /* the process is gone without having said that the run ended */
    int64_t silent_ns; /* since the last publication */
};

/* "starting", "running", "ending", "ended", "failed". */
const char *einet_top_phase(const struct ei_board_run *run);

/* The same, or "died". */
const char *einet_top_state(const struct ei_board_view *view, const struct einet_top_news *news);

/* "3.9 / 7.0 s", or "3.9 s" of a run that has no end of its own. */
void einet_top_print_elapsed(FILE *out, const struct ei_board_run *run);

/* Lines of text, the last one ended, with ANSI colours when coloured. */
void einet_top_print(FILE *out, bool is_coloured, const struct ei_board_view *view, const struct einet_top_news *news);

/* One JSON object in one line. Returns 0, or -ENOMEM or -EIO. */
int einet_top_print_json(FILE *out, const struct ei_board_view *view, const struct einet_top_news *news);

#endif
