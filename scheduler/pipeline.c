/* See pipeline.h. */
#include "scheduler/pipeline.h"

#define NOTHING (-1)

void ei_pipeline_init(struct ei_pipeline *pipeline, int32_t stage_count)
{
    *pipeline = (struct ei_pipeline){.stage_count = stage_count};
    for (int32_t i = 0; i < EI_PIPELINE_JOBS_MAX; i++) {
        pipeline->awaited[i] = NOTHING;
    }
}

static int32_t *awaited_by(struct ei_pipeline *pipeline, int64_t place)
{
    return &pipeline->awaited[place % EI_PIPELINE_JOBS_MAX];
}

int64_t ei_pipeline_join(struct ei_pipeline *pipeline)
{
    return pipeline->joined++;
}

bool ei_pipeline_enter(struct ei_pipeline *pipeline, int64_t place, int32_t stage)
{
    if (pipeline->passed[stage] == place) {
        return true;
    }
    *awaited_by(pipeline, place) = stage;
    return false;
}

bool ei_pipeline_pass(struct ei_pipeline *pipeline, int64_t place, int32_t stage)
{
    int32_t *awaited = awaited_by(pipeline, place + 1);
    pipeline->passed[stage] = place + 1;
    const bool is_awaited = place + 1 < pipeline->joined && *awaited == stage;
    *awaited = is_awaited ? NOTHING : *awaited;
    return is_awaited;
}

bool ei_pipeline_leave(struct ei_pipeline *pipeline, int64_t place)
{
    int32_t *awaited = awaited_by(pipeline, place + 1);
    for (int32_t stage = 0; stage <= pipeline->stage_count; stage++) {
        if (pipeline->passed[stage] <= place) { /* else jobs behind this one are past it already */
            pipeline->passed[stage] = place + 1;
        }
    }
    const bool is_awaited = place + 1 < pipeline->joined && *awaited != NOTHING;
    *awaited = NOTHING;
    return is_awaited;
}
