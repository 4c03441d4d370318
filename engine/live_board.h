/* The live engine's side of the board (metrics/board.h): offers it in shared memory and, when asked, over HTTP, and
 * publishes the run's figures a few times a second. Thread: the housekeeper's, all of it.
 */
#ifndef ENGINE_LIVE_BOARD_H
#define ENGINE_LIVE_BOARD_H

#include "metrics/board.h"
#include "metrics/drain.h"
#include "metrics/exporter.h"
#include "rt/shared_memory.h"

struct ei_run;

#define EI_LIVE_BOARD_NS INT64_C(250000000) /* between two publications */
#define EI_LIVE_BOARD_SPAN 4                /* publications over which a lane's busy share is taken */

struct ei_live_board {
    struct ei_board *board; /* in shm, else on the heap; NULL = not open */
    struct ei_shared_memory shm;
    struct ei_exporter *exporter; /* NULL = none */
    struct ei_board_run run;      /* as published last */
    int64_t next_ns;              /* the next publication is due */
    int64_t publications;
    int64_t at_ns[EI_LIVE_BOARD_SPAN]; /* of the newest ones, by number modulo; and what the lanes had held then */
    int64_t busy_ns[EI_LIVE_BOARD_SPAN][EI_BOARD_LANES_MAX];
};

/* Offer the figures of a run that is about to start, and serve them where the options or the workload say. Without
 * shared memory the run goes on and `messages` says why nobody can look on. Returns 0, -ENOMEM, or what
 * ei_exporter_start returns. */
int ei_live_board_open(struct ei_live_board *live, struct ei_run *run, const struct ei_drain *drain,
                       struct einet_error *err);

/* Publish when it is time to. */
void ei_live_board_beat(struct ei_live_board *live, struct ei_run *run, const struct ei_drain *drain, int64_t now_ns);

/* Publish the last figures: the run ended, by a signal (0 = by itself), or failed. */
void ei_live_board_end(struct ei_live_board *live, struct ei_run *run, const struct ei_drain *drain,
                       enum ei_board_phase phase, int ended_by);

/* Take it away; who looks on keeps the last figures. Accepts one that is not open. */
void ei_live_board_close(struct ei_live_board *live);

#endif
