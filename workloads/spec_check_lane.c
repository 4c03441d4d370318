/* Lanes of kind cuda: the lane on which their jobs go on without the GPU. See spec_read.h. */
#include "workloads/spec_read.h"

#include <string.h>

/* The first lane of kind cpu that is held for whole blocks. */
static int32_t first_cpu_lane(const struct ei_workload *wl)
{
    for (int32_t i = 0; i < wl->lane_count; i++) {
        if (wl->lanes[i].kind == EI_SPEC_LANE_CPU && wl->lanes[i].preempt == EI_SPEC_LANE_PREEMPT_BLOCK) {
            return i;
        }
    }
    return EI_NONE_IDX;
}

static int32_t find_lane(const struct ei_workload *wl, const char *name)
{
    for (int32_t i = 0; i < wl->lane_count; i++) {
        if (strcmp(wl->lanes[i].name, name) == 0) {
            return i;
        }
    }
    return EI_NONE_IDX;
}

static void blame_unknown(struct ei_spec_reader *rd, int32_t node, const struct ei_lane_spec *lane)
{
    const struct ei_workload *wl = rd->wl;
    char hint[EI_DIAGNOSTIC_TEXT_MAX];
    struct ei_nearest nearest;
    if (strcmp(lane->fallback, "cpu") == 0) {
        ei_spec_error(rd, node, "add one under lanes, such as cpu0: { kind: cpu }, or write fallback: none",
                      "lane '%s' falls back to a lane of kind cpu, and this file has none with preempt: block",
                      lane->name);
        return;
    }
    ei_nearest_init(&nearest, lane->fallback);
    for (int32_t i = 0; i < wl->lane_count; i++) {
        ei_nearest_offer(&nearest, wl->lanes[i].name);
    }
    const char *best = ei_nearest_result(&nearest);
    snprintf(hint, sizeof hint, "write the name of a lane of kind cpu, cpu for the first of them, or none");
    ei_spec_error(rd, node, hint, "unknown lane '%s' in fallback of lane '%s'%s%s%s", lane->fallback, lane->name,
                  best != NULL ? " (did you mean '" : "", best != NULL ? best : "", best != NULL ? "'?)" : "");
}

/* A job goes on there at a block boundary, so its new lane is one that is held for whole blocks. */
static void find_fallback(struct ei_spec_reader *rd, struct ei_lane_spec *lane)
{
    const struct ei_workload *wl = rd->wl;
    const int32_t lanes = ei_spec_node(rd, rd->yaml.root, "lanes", NULL);
    const int32_t node = ei_spec_node(rd, lanes, lane->name, "fallback");
    int32_t idx = find_lane(wl, lane->fallback);
    if (idx < 0 && strcmp(lane->fallback, "cpu") == 0) {
        idx = first_cpu_lane(wl);
    }
    if (idx < 0) {
        blame_unknown(rd, node, lane);
        return;
    }
    const struct ei_lane_spec *found = &wl->lanes[idx];
    if (found->kind != EI_SPEC_LANE_CPU) {
        ei_spec_error(rd, node, "name a lane of kind cpu, or write fallback: cpu for the first of them",
                      "lane '%s' falls back to '%s', which is no lane of kind cpu", lane->name, found->name);
        return;
    }
    if (found->preempt != EI_SPEC_LANE_PREEMPT_BLOCK) {
        ei_spec_error(rd, node, "a job goes on there at a block boundary: name a lane with preempt: block",
                      "lane '%s' falls back to '%s', which has preempt: kernel", lane->name, found->name);
        return;
    }
    lane->fallback_idx = idx;
    memset(lane->fallback, 0, sizeof lane->fallback);
    memcpy(lane->fallback, found->name, strlen(found->name));
}

/* Each lane hands out the device as if it were its own, which it is not, unless each has SMs of its own. */
static void check_same_device(struct ei_spec_reader *rd, int32_t lane_idx)
{
    const struct ei_lane_spec *lanes = rd->wl->lanes, *lane = &lanes[lane_idx];
    for (int32_t i = 0; i < lane_idx; i++) {
        const bool is_same = (int32_t)lanes[i].kind == EI_SPEC_LANE_CUDA && lanes[i].device_idx == lane->device_idx;
        if (is_same && (lanes[i].sms > 0) != (lane->sms > 0)) {
            ei_diagnostics_add(
                rd->diag, EI_SEVERITY_ERROR, lane->place, (int32_t)strlen(lane->name),
                "give all lanes of the GPU sms, or none",
                "lanes '%s' and '%s' are the same GPU, device %d, and only '%s' has sms, which the other "
                "would use, too",
                lanes[i].name, lane->name, lane->device_idx, lane->sms > 0 ? lane->name : lanes[i].name);
            return;
        }
        if (is_same && lane->sms == 0) {
            ei_diagnostics_add(rd->diag, EI_SEVERITY_WARNING, lane->place, (int32_t)strlen(lane->name),
                               "their blocks delay each other, which simulation and analysis do not know: use one lane",
                               "lanes '%s' and '%s' are the same GPU, device %d", lanes[i].name, lane->name,
                               lane->device_idx);
            return;
        }
    }
}

void ei_spec_check_lanes(struct ei_spec_reader *rd)
{
    for (int32_t i = 0; i < rd->wl->lane_count; i++) {
        struct ei_lane_spec *lane = &rd->wl->lanes[i];
        lane->fallback_idx = EI_NONE_IDX;
        if ((int32_t)lane->kind == EI_SPEC_LANE_CUDA) {
            check_same_device(rd, i);
        }
        if ((int32_t)lane->kind == EI_SPEC_LANE_CUDA && lane->fallback[0] != '\0') {
            find_fallback(rd, lane);
        }
    }
}
