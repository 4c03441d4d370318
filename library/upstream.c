/* Results of another run with which chains go on here: taken with a release, told to the stages. See einet/run.h. */
#include "library/run.h"

#include "library/sized.h"

#include <errno.h>
#include <string.h>

EINET_RT int einet_run_release_result(struct einet_run *run, int32_t task_idx, int64_t stamp_ns, uint64_t tag,
                                      const struct einet_result *upstream)
{
    const struct ei_workload *wl = run->workload->spec;
    struct einet_result taken;
    if (task_idx < 0 || task_idx >= wl->task_count || !ei_input_is_result(&wl->tasks[task_idx].input)) {
        return -EINVAL;
    }
    int rc = ei_sized_take(&taken, sizeof taken, upstream);
    if (rc < 0) {
        return rc;
    }
    taken.size_bytes = sizeof taken; /* what a newer caller has behind that does not come along */
    taken.answer.size_bytes = sizeof taken.answer;
    struct ei_frames *frames = &run->tap.frames[task_idx];
    const int32_t number = ei_frames_claim(frames);
    if (number == 0) {
        return -ENOBUFS;
    }
    memcpy(ei_frames_at(frames, number)->copy, &taken, sizeof taken);
    rc = ei_run_release(run, task_idx, stamp_ns, tag, number);
    if (rc < 0) {
        ei_frames_unclaim(frames, number);
    }
    return rc;
}

EINET_RT const struct einet_result *ei_upstream_of(const struct einet_run *run, const struct ei_job_record *record)
{
    const struct ei_frames *frames = &run->tap.frames[record->task_idx];
    return frames->is_result && record->frame > 0 ? (const void *)ei_frames_at(frames, record->frame)->copy : NULL;
}
