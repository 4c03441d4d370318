/* Into which pieces the parts of a network are cut, so that a job passes a boundary at least every max_blocking on a
 * device. Between two pieces of a part a job decides as between parts; what differs is that no exit comes of it.
 *
 *     measured   at the start of a live run, of the pieces that the device runs (timing.c)
 *     even       emulated networks, and times from a profile, which knows no layers
 *
 * A plain value, made before the run and only read during it, by any thread.
 */
#ifndef ENGINE_PIECES_H
#define ENGINE_PIECES_H

#include "planner/elastic.h"
#include "stages/nn/network.h"
#include "workloads/spec.h"

#define EI_PIECES_MAX EI_SPEC_PIECES_MAX

struct ei_pieces {
    bool is_cut;                      /* a part has more than one; else the rest is not looked at */
    int32_t at[2 * EI_EXITS_MAX + 1]; /* first piece of conv part 0, branch 0, conv part 1, ..., and behind the last */
    struct ei_time_stats time[EI_PIECES_MAX];
};

/* What a task allows its parts on such a lane; 0 = they stay whole: on a CPU, and where no job gives its lane away. */
int64_t ei_pieces_limit_ns(const struct ei_task_spec *task, const struct ei_lane_spec *lane);

/* Even pieces, none longer than limit_ns at the 99th percentile. Returns 0, or EINET_E_LIMIT: more than EI_PIECES_MAX.
 */
int ei_pieces_even(const struct ei_et_profile *et, int64_t limit_ns, struct ei_pieces *out, struct einet_error *err);

/* Those of an open network, whose times are not known yet. Returns like ei_pieces_even. */
int ei_pieces_list(const struct ei_network *net, struct ei_pieces *out, struct einet_error *err);

/* The longest one; cut or not. */
int64_t ei_pieces_longest_ns(const struct ei_pieces *pieces, const struct ei_et_profile *et,
                             enum ei_time_quantile quantile);
/* The longest of conv parts that may be in a device's queue behind another piece: all but the first. */
int64_t ei_pieces_longest_queued_ns(const struct ei_pieces *pieces, const struct ei_et_profile *et,
                                    enum ei_time_quantile quantile);

/* ---- one part: that of a step ---- */

static inline int32_t ei_pieces_part(struct ei_step step)
{
    return 2 * step.idx + (step.kind == EI_STEP_BRANCH);
}

static inline int32_t ei_pieces_count(const struct ei_pieces *pieces, struct ei_step step)
{
    const int32_t part = ei_pieces_part(step);
    return pieces->is_cut && step.kind != EI_STEP_FINISH ? pieces->at[part + 1] - pieces->at[part] : 1;
}

/* Of a network that is cut. */
static inline const struct ei_time_stats *ei_pieces_time(const struct ei_pieces *pieces, struct ei_step step,
                                                         int32_t piece_idx)
{
    return &pieces->time[pieces->at[ei_pieces_part(step)] + piece_idx];
}

#endif
