/* Where parts are cut into pieces, so that none takes longer than split_above_ns, and which conv parts are so short
 * that they are launched as one. Layers are measured only of parts that are too long: a layer that is launched alone
 * costs a launch and an idle moment of the device, so what layers take in a row is their share of what the part takes.
 * Set-up only.
 */
#include "stages/cuda/parts.h"

#define ROUNDS_MAX 3 /* of cutting finer, where a piece turns out longer than its layers promised */

int64_t ei_cuda_cut_limit_ns(const struct ei_cuda_parts *parts)
{
    const int64_t limit_ns = parts->config.split_above_ns - parts->launch_ns;
    return limit_ns > 0 ? limit_ns : 1;
}

/* Fill up to limit_ns. Returns the pieces. */
static int32_t fill(const int64_t *layer_ns, int32_t layers, int64_t limit_ns, bool *out_is_cut)
{
    int64_t sum_ns = 0;
    int32_t pieces = 0;
    for (int32_t i = 0; i < layers; i++) {
        out_is_cut[i] = i == 0 || sum_ns + layer_ns[i] > limit_ns;
        sum_ns = out_is_cut[i] ? layer_ns[i] : sum_ns + layer_ns[i];
        pieces += out_is_cut[i];
    }
    return pieces;
}

void ei_cuda_cut_plan(const int64_t *layer_ns, int32_t layers, int64_t limit_ns, bool *out_is_cut)
{
    int64_t low_ns = 0, high_ns = limit_ns; /* high_ns: is enough for so few pieces */
    const int32_t pieces = fill(layer_ns, layers, limit_ns, out_is_cut);
    while (high_ns - low_ns > 1) {
        const int64_t mid_ns = low_ns + (high_ns - low_ns) / 2;
        if (fill(layer_ns, layers, mid_ns, out_is_cut) <= pieces) {
            high_ns = mid_ns;
        } else {
            low_ns = mid_ns;
        }
    }
    (void)fill(layer_ns, layers, high_ns, out_is_cut);
}

/* ---- parts ---- */

static bool is_longer(const struct ei_cuda_side *side, int32_t block_idx, int64_t limit_ns)
{
    for (int32_t i = side->piece_at[block_idx]; i < side->piece_at[block_idx + 1]; i++) {
        if (side->piece[i].expected_ns > limit_ns && side->piece_layer[i + 1] - side->piece_layer[i] > 1) {
            return true;
        }
    }
    return false;
}

static void cut_everywhere(struct ei_cuda_side *side, int32_t block_idx)
{
    for (int32_t i = side->layer_at[block_idx]; i < side->layer_at[block_idx + 1]; i++) {
        side->is_cut[i] = true;
    }
}

/* Keep what the layers of the block take: each is a piece now. part_ns: what they take in a row. */
static void keep_layers(struct ei_cuda_side *side, int32_t block_idx, int64_t part_ns)
{
    const int32_t first = side->layer_at[block_idx], end = side->layer_at[block_idx + 1];
    const int64_t sum_ns = ei_cuda_part_ns(side, block_idx);
    const double share = sum_ns > part_ns ? (double)part_ns / (double)sum_ns : 1.0;
    for (int32_t i = first; i < end; i++) {
        side->layer_ns[i] = (int64_t)((double)side->piece[side->piece_at[block_idx] + i - first].expected_ns * share);
    }
}

struct cutting {
    struct ei_cuda_parts *parts;
    int64_t part_ns[2][EI_CUDA_BLOCKS_MAX];  /* uncut: conv parts, branches */
    int64_t limit_ns[2][EI_CUDA_BLOCKS_MAX]; /* of its pieces; 0 = it stays whole */
};

static struct ei_cuda_side *side_of(const struct cutting *c, int32_t is_branch)
{
    return is_branch != 0 ? &c->parts->branch : &c->parts->conv;
}

static int measure_layers(struct cutting *c)
{
    for (int32_t i = 0; i < 2 * c->parts->config.exits; i++) {
        if (c->limit_ns[i % 2][i / 2] > 0) {
            cut_everywhere(side_of(c, i % 2), i / 2);
        }
    }
    int rc = ei_cuda_graphs_cut(c->parts);
    if (rc == 0) {
        rc = ei_cuda_measure(c->parts);
    }
    for (int32_t i = 0; rc == 0 && i < 2 * c->parts->config.exits; i++) {
        if (c->limit_ns[i % 2][i / 2] > 0) {
            keep_layers(side_of(c, i % 2), i / 2, c->part_ns[i % 2][i / 2]);
        }
    }
    return rc;
}

static int cut_once(struct cutting *c)
{
    for (int32_t i = 0; i < 2 * c->parts->config.exits; i++) {
        struct ei_cuda_side *side = side_of(c, i % 2);
        const int32_t first = side->layer_at[i / 2];
        if (c->limit_ns[i % 2][i / 2] > 0) {
            ei_cuda_cut_plan(side->layer_ns + first, side->layer_at[i / 2 + 1] - first, c->limit_ns[i % 2][i / 2],
                             side->is_cut + first);
        }
    }
    const int rc = ei_cuda_graphs_cut(c->parts);
    return rc == 0 ? ei_cuda_measure(c->parts) : rc;
}

/* Whether a piece of more than one layer is still too long; its part has to keep to less then, at last layer by layer.
 */
static bool tighten(struct cutting *c, bool is_last)
{
    const int64_t limit_ns = ei_cuda_cut_limit_ns(c->parts);
    bool is_any = false;
    for (int32_t i = 0; i < 2 * c->parts->config.exits; i++) {
        int64_t *own_ns = &c->limit_ns[i % 2][i / 2];
        if (*own_ns > 1 && is_longer(side_of(c, i % 2), i / 2, limit_ns)) {
            *own_ns = is_last || *own_ns < 5 ? 1 : *own_ns * 4 / 5;
            is_any = true;
        }
    }
    return is_any;
}

int ei_cuda_cut(struct ei_cuda_parts *parts)
{
    struct cutting c = {.parts = parts};
    const int64_t limit_ns = ei_cuda_cut_limit_ns(parts);
    bool is_any = false;
    for (int32_t i = 0; parts->config.split_above_ns > 0 && i < 2 * parts->config.exits; i++) {
        const struct ei_cuda_side *side = side_of(&c, i % 2);
        const bool is_cut = parts->config.recorder.is_cut_given != 0
                                ? side->layer_at[i / 2 + 1] - side->layer_at[i / 2] > 1
                                : is_longer(side, i / 2, limit_ns);
        c.part_ns[i % 2][i / 2] = ei_cuda_part_ns(side, i / 2);
        c.limit_ns[i % 2][i / 2] = is_cut ? limit_ns : 0;
        is_any = is_any || is_cut;
    }
    if (!is_any) {
        return 0;
    }
    int rc = measure_layers(&c);
    if (rc != 0 || parts->config.recorder.is_cut_given != 0) {
        return rc;
    }
    for (int32_t round = 0; rc == 0 && round < ROUNDS_MAX && (round == 0 || tighten(&c, round + 1 == ROUNDS_MAX));
         round++) {
        rc = cut_once(&c);
    }
    return rc;
}

int64_t ei_cuda_uncut(const struct ei_cuda_parts *parts, int32_t *out_block_idx, int32_t *out_is_branch,
                      char out_name[EI_CUDA_LAYER_NAME_MAX])
{
    const struct ei_cuda_recorder *r = &parts->config.recorder;
    int64_t longest_ns = 0;
    for (int32_t i = 0; parts->config.split_above_ns > 0 && r->is_cut_given == 0 && i < 2 * parts->config.exits; i++) {
        const struct ei_cuda_side *side = i % 2 != 0 ? &parts->branch : &parts->conv;
        for (int32_t p = side->piece_at[i / 2]; p < side->piece_at[i / 2 + 1]; p++) {
            const int64_t ns = side->piece[p].expected_ns;
            if (ns <= parts->config.split_above_ns || ns <= longest_ns) {
                continue;
            }
            longest_ns = ns;
            *out_block_idx = i / 2;
            *out_is_branch = i % 2;
            out_name[0] = '\0';
            if (r->layer_name != NULL) {
                r->layer_name(r->context, i / 2, i % 2, side->piece_layer[p] - side->layer_at[i / 2], out_name);
            }
        }
    }
    return longest_ns;
}

/* ---- merging ---- */

void ei_cuda_merge_plan(const int64_t *conv_ns, int32_t exits, int64_t below_ns, int64_t most_ns,
                        int32_t *out_merged_until)
{
    for (int32_t first = 0; first < exits;) {
        int32_t last = first;
        int64_t sum_ns = conv_ns[first];
        while (conv_ns[first] < below_ns && sum_ns < below_ns && last + 1 < exits && conv_ns[last + 1] < below_ns &&
               (most_ns == 0 || sum_ns + conv_ns[last + 1] <= most_ns)) {
            sum_ns += conv_ns[++last];
        }
        for (int32_t b = first; b <= last; b++) {
            out_merged_until[b] = last;
        }
        first = last + 1;
    }
}

void ei_cuda_merge(struct ei_cuda_parts *parts)
{
    const int64_t asked_ns = parts->config.merge_below_ns, below_ns = asked_ns != 0 ? asked_ns : parts->launch_ns;
    int64_t conv_ns[EI_CUDA_BLOCKS_MAX];
    for (int32_t b = 0; b < parts->config.exits; b++) {
        const bool is_cut = parts->conv.piece_at[b + 1] - parts->conv.piece_at[b] > 1;
        conv_ns[b] = is_cut ? INT64_MAX : ei_cuda_part_ns(&parts->conv, b);
    }
    ei_cuda_merge_plan(conv_ns, parts->config.exits, below_ns, parts->config.split_above_ns, parts->merged_until);
}
