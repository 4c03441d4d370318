/* See held_stages.h. */
#include "metrics/held_stages.h"

#include <errno.h>
#include <stdlib.h>

#define SPARE_RECORDS 32

int ei_held_stages_init(struct ei_held_stages *held, int32_t jobs, int32_t stages, int32_t exits)
{
    *held = (struct ei_held_stages){.capacity = jobs * 2 * (stages + 2 * exits) + SPARE_RECORDS};
    held->records = calloc((size_t)held->capacity, sizeof *held->records);
    return held->records != NULL ? 0 : -ENOMEM;
}

void ei_held_stages_fini(struct ei_held_stages *held)
{
    free(held->records);
    *held = (struct ei_held_stages){0};
}

static int64_t job_of(const struct ei_record *record)
{
    return record->kind == EI_RECORD_STAGE ? record->u.stage.job_idx : record->u.block.job_idx;
}

void ei_held_stages_add(struct ei_held_stages *held, const struct ei_record *record)
{
    if (held->count == held->capacity) {
        held->lost++;
        return;
    }
    ei_record_copy(&held->records[held->count++], record);
}

const struct ei_record *ei_held_stages_next(const struct ei_held_stages *held, int64_t job_idx, int32_t *index)
{
    while (*index < held->count) {
        const struct ei_record *record = &held->records[(*index)++];
        if (job_of(record) == job_idx) {
            return record;
        }
    }
    return NULL;
}

void ei_held_stages_end(struct ei_held_stages *held, int64_t job_idx)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < held->count; i++) {
        const int64_t job = job_of(&held->records[i]);
        held->lost += job < job_idx;
        if (job > job_idx) {
            ei_record_copy(&held->records[kept++], &held->records[i]);
        }
    }
    held->count = kept;
}
