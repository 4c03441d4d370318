/* See pieces.h. Set-up only. */
#include "engine/pieces.h"

#include "stages/nn/emulate.h"

#include <errno.h>

_Static_assert(EI_PIECES_MAX >= 2 * EI_EXITS_MAX && EI_PIECES_MAX <= EI_EMULATED_PIECES_MAX,
               "parts that are whole fit, and emulated networks cut whatever is cut here");

int64_t ei_pieces_limit_ns(const struct ei_task_spec *task, const struct ei_lane_spec *lane)
{
    const bool may_cut = lane->kind == EI_SPEC_LANE_CUDA && task->max_blocking_ns != EI_NONE_NS &&
                         task->on_preempt != EI_SPEC_ON_PREEMPT_NONE;
    return may_cut ? task->max_blocking_ns : 0;
}

static const struct ei_time_stats *part_stats(const struct ei_et_profile *et, int32_t part)
{
    return part % 2 == 0 ? &et->conv[part / 2] : &et->branch[part / 2];
}

/* Room for the part's pieces, behind those before it. */
static int add_part(struct ei_pieces *pieces, int32_t part, int32_t count, struct einet_error *err)
{
    if (count > EI_PIECES_MAX - pieces->at[part]) {
        return einet_error_set(err, EINET_E_LIMIT,
                               "the network would be cut into more than %d pieces: give its task a longer max_blocking",
                               EI_PIECES_MAX);
    }
    pieces->at[part + 1] = pieces->at[part] + count;
    pieces->is_cut = pieces->is_cut || count > 1;
    return 0;
}

int ei_pieces_even(const struct ei_et_profile *et, int64_t limit_ns, struct ei_pieces *out, struct einet_error *err)
{
    *out = (struct ei_pieces){.is_cut = false};
    for (int32_t part = 0; limit_ns > 0 && part < 2 * et->exits; part++) {
        const struct ei_time_stats *whole = part_stats(et, part);
        const int32_t count = ei_emulated_pieces(whole->p50_ns, whole->p99_ns, limit_ns);
        const int rc = add_part(out, part, count, err);
        if (rc < 0) {
            return rc;
        }
        for (int32_t i = 0; i < count; i++) {
            out->time[out->at[part] + i] = (struct ei_time_stats){
                .p50_ns = ei_emulated_piece_ns(whole->p50_ns, count, i),
                .p99_ns = ei_emulated_piece_ns(whole->p99_ns, count, i),
                .max_ns = ei_emulated_piece_ns(whole->max_ns, count, i),
            };
        }
    }
    return 0;
}

int ei_pieces_list(const struct ei_network *net, struct ei_pieces *out, struct einet_error *err)
{
    *out = (struct ei_pieces){.is_cut = false};
    int rc = 0;
    for (int32_t part = 0; rc == 0 && part < 2 * ei_network_info(net)->exits; part++) {
        rc = add_part(out, part, ei_network_piece_count(net, part / 2, part % 2 != 0), err);
    }
    return rc;
}

/* ---- the longest ---- */

static int64_t at_quantile(const struct ei_time_stats *stats, enum ei_time_quantile quantile)
{
    return quantile == EI_TIME_P50 ? stats->p50_ns : quantile == EI_TIME_P99 ? stats->p99_ns : stats->max_ns;
}

static int64_t longest_ns(const struct ei_pieces *pieces, const struct ei_et_profile *et,
                          enum ei_time_quantile quantile, bool is_queued)
{
    int64_t most_ns = 0;
    for (int32_t part = 0; part < 2 * et->exits; part += is_queued ? 2 : 1) {
        const int32_t first = pieces->is_cut ? pieces->at[part] : 0;
        const int32_t count = pieces->is_cut ? pieces->at[part + 1] - first : 1;
        for (int32_t i = is_queued && part == 0 ? 1 : 0; i < count; i++) {
            const struct ei_time_stats *stats = pieces->is_cut ? &pieces->time[first + i] : part_stats(et, part);
            const int64_t ns = at_quantile(stats, quantile);
            most_ns = ns > most_ns ? ns : most_ns;
        }
    }
    return most_ns;
}

int64_t ei_pieces_longest_ns(const struct ei_pieces *pieces, const struct ei_et_profile *et,
                             enum ei_time_quantile quantile)
{
    return longest_ns(pieces, et, quantile, false);
}

int64_t ei_pieces_longest_queued_ns(const struct ei_pieces *pieces, const struct ei_et_profile *et,
                                    enum ei_time_quantile quantile)
{
    return longest_ns(pieces, et, quantile, true);
}
