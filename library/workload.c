/* See einet/workload.h. */
#include "library/workload.h"

#include "library/sized.h"
#include "workloads/arrival.h"
#include <einet/einet.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *einet_version(void)
{
    return EINET_VERSION;
}

int ei_workload_make_handle(int rc, struct ei_workload *spec, struct ei_diagnostics *diag, struct einet_workload **out,
                            struct einet_error *err)
{
    if (rc == -ENOMEM) {
        return einet_error_set(err, rc, "no memory for the workload");
    }
    if (rc < 0) {
        (void)ei_diagnostics_to_error(diag, err);
    }
    ei_diagnostics_fini(diag);
    if (rc < 0) {
        return rc;
    }
    struct einet_workload *workload = calloc(1, sizeof *workload);
    if (workload == NULL) {
        ei_workload_destroy(spec);
        return einet_error_set(err, -ENOMEM, "no memory for the workload");
    }
    workload->spec = spec;
    atomic_init(&workload->claims, 1);
    *out = workload;
    return 0;
}

int einet_workload_load(const char *path, struct einet_workload **out_workload, struct einet_error *err)
{
    struct ei_workload *spec = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_load(path, &spec, &diag);
    return ei_workload_make_handle(rc, spec, &diag, out_workload, err);
}

int einet_workload_parse(const char *text, size_t length_bytes, const char *name, struct einet_workload **out_workload,
                         struct einet_error *err)
{
    struct ei_workload *spec = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_parse(text, length_bytes, name != NULL ? name : "workload", &spec, &diag);
    return ei_workload_make_handle(rc, spec, &diag, out_workload, err);
}

int64_t einet_workload_text(const struct einet_workload *workload, char *out_text, size_t size_bytes)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL) {
        return -ENOMEM;
    }
    ei_workload_print(workload->spec, stream);
    const bool is_whole = ferror(stream) == 0;
    if (fclose(stream) != 0 || !is_whole) {
        free(text);
        return -ENOMEM;
    }
    if (size_bytes > 0) {
        snprintf(out_text, size_bytes, "%s", text);
    }
    free(text);
    return (int64_t)length;
}

void ei_workload_claim(struct einet_workload *workload)
{
    atomic_fetch_add(&workload->claims, 1);
}

void einet_workload_destroy(struct einet_workload *workload)
{
    if (workload != NULL && atomic_fetch_sub(&workload->claims, 1) == 1) {
        ei_workload_destroy(workload->spec);
        free(workload);
    }
}

const char *einet_workload_name(const struct einet_workload *workload)
{
    return workload->spec->name;
}

int32_t einet_workload_task_count(const struct einet_workload *workload)
{
    return workload->spec->task_count;
}

int32_t einet_workload_find_task(const struct einet_workload *workload, const char *name)
{
    for (int32_t i = 0; i < workload->spec->task_count; i++) {
        if (strcmp(workload->spec->tasks[i].name, name) == 0) {
            return i;
        }
    }
    return -ENOENT;
}

static int32_t class_of(enum ei_spec_class class_)
{
    switch (class_) {
    case EI_SPEC_CLASS_FIFO:
        return EINET_CLASS_FIFO;
    case EI_SPEC_CLASS_DEADLINE:
        return EINET_CLASS_DEADLINE;
    case EI_SPEC_CLASS_OTHER:
        break;
    }
    return EINET_CLASS_OTHER;
}

static int32_t message_of(enum ei_spec_message message)
{
    switch (message) {
    case EI_SPEC_MESSAGE_COMPRESSED_IMAGE:
        return EINET_MESSAGE_COMPRESSED_IMAGE;
    case EI_SPEC_MESSAGE_CLASSIFICATION:
        return EINET_MESSAGE_CLASSIFICATION;
    case EI_SPEC_MESSAGE_STATUS:
        return EINET_MESSAGE_STATUS;
    case EI_SPEC_MESSAGE_IMAGE:
        break;
    }
    return EINET_MESSAGE_IMAGE;
}

int einet_workload_task_info(const struct einet_workload *workload, int32_t task_idx, struct einet_task_info *out_info)
{
    if (task_idx < 0 || task_idx >= workload->spec->task_count) {
        return -EINVAL;
    }
    const struct ei_task_spec *task = &workload->spec->tasks[task_idx];
    const int32_t head = ei_workload_chain_head(workload->spec, task_idx);
    const bool is_handed_in = ei_input_is_handed_in(&task->input);
    const struct einet_task_info info = {
        .name = task->name,
        .scheduling_class = class_of(task->class_),
        .priority = task->priority,
        .is_external = task->arrival.model == EI_ARRIVAL_EXTERNAL,
        .has_network = task->nn_stage_idx != EI_NONE_IDX,
        .deadline_ns = task->deadline_ns == EI_NONE_NS ? 0 : task->deadline_ns,
        .least_interval_ns = ei_arrival_least_distance_ns(&workload->spec->tasks[head].arrival),
        .overlap = task->overlap,
        .queue = task->late_release.queue,
        .topic = task->input.topic,
        .is_compressed = task->input.message == EI_SPEC_MESSAGE_COMPRESSED_IMAGE,
        .width_px = is_handed_in ? task->input.width_px : 0,
        .height_px = is_handed_in ? task->input.height_px : 0,
        .channels = is_handed_in ? task->input.channels : 0,
        .chain_head_idx = head,
        .classification_topic = task->topics.classification,
        .status_topic = task->topics.status,
        .partial_topic = task->topics.partial,
        .message = message_of(task->input.message),
    };
    return ei_sized_give(&info, sizeof info, out_info);
}
