/* A grid of simulations: every combination of values put into one workload file, over all CPUs, in shards that merge
 * exactly. Used by einet simulate.
 */
#ifndef APP_SWEEP_H
#define APP_SWEEP_H

#include "engine/virtual.h"

#include <einet/error.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define EINET_SWEEP_AXES_MAX 8
#define EINET_SWEEP_POINTS_MAX 1000000

struct einet_sweep_axis {
    char *path;    /* owned, as are the next two */
    char **values; /* [count] */
    int32_t count;
};

struct einet_sweep {
    const char *file;
    struct ei_virtual_options
        options;          /* of each point; out_dir: of sweep.csv and sweep.jsonl, NULL = standard output */
    const char *releases; /* file of the releases of external tasks, read for each point; NULL = none */
    bool is_json;         /* JSON lines on standard output in place of CSV */
    bool is_quiet;        /* no progress */
    bool has_seed;
    uint64_t seed;
    int32_t workers;       /* processes; 0 = one per CPU */
    int32_t shard, shards; /* the points p with p mod shards = shard - 1; 0, 0 = all */
    struct einet_sweep_axis axes[EINET_SWEEP_AXES_MAX];
    int32_t axis_count;
    int64_t points; /* of the whole grid */
};

/* Add "PATH=10ms..40ms/2ms", "PATH=0.1..0.9/0.2" or "PATH=word,word". Returns 0, EINET_E_USAGE or -ENOMEM. */
int einet_sweep_add_axis(struct einet_sweep *sweep, const char *text, struct einet_error *err);
void einet_sweep_fini(struct einet_sweep *sweep);

/* The value of an axis at a point; the last axis changes fastest. */
const char *einet_sweep_value(const struct einet_sweep *sweep, int64_t point, int32_t axis);

/* Simulate the points of the shard. Returns the exit status; says itself what is wrong. */
int einet_sweep_run(const struct einet_sweep *sweep);

/* Put the results of all shards of one sweep together on standard output: byte for byte what the sweep without shards
 * writes. All CSV or all JSON lines. Returns the exit status; says itself what is wrong. */
int einet_sweep_merge(char *const *files, int count);

#endif
