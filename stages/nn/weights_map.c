/* Pairs parameters by their order within the trunk and within a branch, and checks shapes. */
#include "stages/nn/weights_map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A parameter and where it stands. */
struct entry {
    struct ei_param param;
    int32_t idx; /* in walking order */
};

/* A program's parameters: those of the trunk, then those of branch 0, 1, ... */
struct listing {
    struct entry *entries;
    int32_t trunk_count;
    int32_t branch_begin[EI_PROGRAM_BLOCKS_MAX + 1]; /* branch b is branch_begin[b] .. branch_begin[b + 1] */
};

/* Parameters of one part, appended at `at` when entries is not NULL; *walked counts in walking order. Returns how many.
 */
static int32_t list_part(const struct ei_program *program, int32_t block_idx, bool branch, struct entry *entries,
                         int32_t at, int32_t *walked)
{
    struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
    int32_t count = 0;
    for (int32_t i = 0; i < ei_program_part(program, block_idx, branch)->op_count; i++) {
        const int32_t of_op = ei_program_op_params(program, block_idx, branch, i, params);
        for (int32_t p = 0; p < of_op; p++, count++) {
            if (entries != NULL) {
                entries[at + count] = (struct entry){params[p], *walked + count};
            }
        }
    }
    *walked += count;
    return count;
}

void ei_weights_params(const struct ei_program *program, struct ei_param *out)
{
    for (int32_t b = 0; b < program->block_count; b++) {
        for (int part = 0; part < 2; part++) {
            for (int32_t i = 0; i < ei_program_part(program, b, part != 0)->op_count; i++) {
                struct ei_param params[EI_PROGRAM_PARAMS_PER_OP_MAX];
                const int32_t count = ei_program_op_params(program, b, part != 0, i, params);
                memcpy(out, params, (size_t)count * sizeof *out);
                out += count;
            }
        }
    }
}

static int list(const struct ei_program *program, struct listing *out)
{
    *out = (struct listing){.entries = calloc((size_t)ei_program_param_count(program) + 1, sizeof *out->entries)};
    if (out->entries == NULL) {
        return -ENOMEM;
    }
    int32_t unused = 0, walked = 0;
    for (int32_t b = 0; b < program->block_count; b++) {
        out->trunk_count += list_part(program, b, false, NULL, 0, &unused);
    }
    int32_t trunk_at = 0, branch_at = out->trunk_count;
    for (int32_t b = 0; b < program->block_count; b++) {
        trunk_at += list_part(program, b, false, out->entries, trunk_at, &walked);
        out->branch_begin[b] = branch_at;
        branch_at += list_part(program, b, true, out->entries, branch_at, &walked);
    }
    out->branch_begin[program->block_count] = branch_at;
    return 0;
}

static bool is_same(const struct ei_param *a, const struct ei_param *b)
{
    return a->op == b->op && a->role == b->role && a->dims == b->dims &&
           memcmp(a->shape, b->shape, (size_t)a->dims * sizeof a->shape[0]) == 0;
}

static void describe(const struct ei_param *param, char *out, size_t size_bytes)
{
    size_t used = (size_t)snprintf(out, size_bytes, "%s ", param->name);
    for (int32_t i = 0; i < param->dims && used < size_bytes; i++) {
        used += (size_t)snprintf(out + used, size_bytes - used, "%s%lld", i > 0 ? "x" : "", (long long)param->shape[i]);
    }
}

static int map_trunk(const struct ei_program *from, const struct ei_program *to, const struct listing *f,
                     const struct listing *t, int32_t *out_from, struct einet_error *err)
{
    if (f->trunk_count != t->trunk_count) {
        return einet_error_set(err, EINET_E_MISMATCH,
                               "weights of %s do not fit %s: its conv parts have %d parameters, not %d", from->name,
                               to->name, f->trunk_count, t->trunk_count);
    }
    for (int32_t i = 0; i < t->trunk_count; i++) {
        if (!is_same(&f->entries[i].param, &t->entries[i].param)) {
            char has[96], wanted[96];
            describe(&f->entries[i].param, has, sizeof has);
            describe(&t->entries[i].param, wanted, sizeof wanted);
            return einet_error_set(err, EINET_E_MISMATCH, "weights of %s do not fit %s: they have %s where it has %s",
                                   from->name, to->name, has, wanted);
        }
        out_from[t->entries[i].idx] = f->entries[i].idx;
    }
    return t->trunk_count;
}

static int32_t map_branch(const struct listing *f, int32_t from_branch, const struct listing *t, int32_t to_branch,
                          int32_t *out_from)
{
    int32_t taken = 0;
    const int32_t f_begin = f->branch_begin[from_branch], t_begin = t->branch_begin[to_branch];
    const int32_t f_count = f->branch_begin[from_branch + 1] - f_begin;
    const int32_t t_count = t->branch_begin[to_branch + 1] - t_begin;
    while (taken < f_count && taken < t_count &&
           is_same(&f->entries[f_begin + taken].param, &t->entries[t_begin + taken].param)) {
        out_from[t->entries[t_begin + taken].idx] = f->entries[f_begin + taken].idx;
        taken++;
    }
    return taken;
}

int ei_weights_map(const struct ei_program *from, const struct ei_program *to, int32_t *out_from,
                   struct einet_error *err)
{
    struct listing f = {0}, t = {0};
    int rc = list(from, &f);
    if (rc == 0) {
        rc = list(to, &t);
    }
    if (rc != 0) {
        einet_error_set(err, rc, "no memory to compare %s with %s", from->name, to->name);
    } else {
        const int32_t count = t.branch_begin[to->block_count];
        for (int32_t i = 0; i < count; i++) {
            out_from[i] = EI_WEIGHTS_NONE;
        }
        rc = map_trunk(from, to, &f, &t, out_from, err);
    }
    for (int32_t b = 0; rc >= 0 && b < to->block_count; b++) {
        const bool is_last = b + 1 == to->block_count;
        if (from->block_count == to->block_count) {
            rc += map_branch(&f, b, &t, b, out_from);
        } else if (is_last) {
            rc += map_branch(&f, from->block_count - 1, &t, b, out_from);
        }
    }
    free(f.entries);
    free(t.entries);
    return rc;
}
