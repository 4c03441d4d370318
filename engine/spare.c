/* What a lost or missing device means for a run, outside of real time: the planner's configuration for the other lane,
 * and the words for table, summary.json and messages. */
#include "engine/run_state.h"

#include "metrics/table_text.h"

#include <stdio.h>
#include <string.h>

void ei_task_configure_spare(struct ei_live_task *task)
{
    struct ei_task_spare *spare = &task->nn.spare;
    spare->elastic = task->nn.elastic; /* scores, search and predictor are those of the network */
    for (int32_t k = 0; k < spare->et.exits; k++) {
        spare->elastic.conv_ns[k] = spare->et.conv[k].p50_ns;
        spare->elastic.branch_ns[k] = spare->et.branch[k].p50_ns;
        spare->elastic.conv_bound_ns[k] = spare->et.conv[k].p99_ns;
        spare->elastic.branch_bound_ns[k] = spare->et.branch[k].p99_ns;
    }
    (void)ei_elastic_config_settle(&spare->elastic, &task->nn.ws);
    spare->first_answer_ns = spare->et.conv[0].p99_ns + spare->et.branch[0].p99_ns;
}

static const char *file_lane(const struct ei_live_task *task)
{
    return task->run->wl->lanes[task->spec->stages[task->spec->nn_stage_idx].lane_idx].name;
}

static void describe_move(const struct ei_live_task *task, char *out, size_t size_bytes)
{
    const struct ei_task_spare *spare = &task->nn.spare;
    const char *why = ei_network_fault_text(task->nn.net);
    char at[32];
    ei_text_duration(at, sizeof at, spare->taken_ns);
    snprintf(out, size_bytes, "task '%s' left lane '%s' for '%s' %s after the start, with its job %lld: %.300s",
             task->spec->name, file_lane(task), task->run->wl->lanes[spare->lane_idx].name, at,
             (long long)spare->taken_job_idx, why[0] != '\0' ? why : "its device was lost in a block of another task");
}

static bool has_moved(const struct ei_live_task *task)
{
    return task->nn.spare.net != NULL && ei_task_is_on_spare(task);
}

void ei_run_say_moves(struct ei_run *run, FILE *messages)
{
    char text[EI_SPARE_TEXT_MAX];
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        struct ei_live_task *task = &run->tasks[i];
        if (task->nn.spare.is_reported || !has_moved(task)) {
            continue;
        }
        task->nn.spare.is_reported = true;
        if (messages != NULL) {
            describe_move(task, text, sizeof text);
            fprintf(messages, "%seinet run: %s\n", run->options->is_progress_live ? "\r\033[K" : "", text);
            fflush(messages);
        }
    }
}

int32_t ei_run_list_replaced(const struct ei_run *run, struct ei_metrics_degraded *out,
                             char (*texts)[EI_SPARE_TEXT_MAX])
{
    int32_t count = 0;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        const struct ei_live_task *task = &run->tasks[i];
        if (task->nn.not_on_lane[0] != '\0') {
            snprintf(texts[count], sizeof texts[count], "asked for lane '%s' for task '%s', got its fallback '%s': %s",
                     file_lane(task), task->spec->name, run->wl->lanes[task->nn.lane_idx].name, task->nn.not_on_lane);
            out[count] = (struct ei_metrics_degraded){.reason = texts[count]};
            count++;
        }
    }
    return count;
}

int32_t ei_run_list_moves(const struct ei_run *run, struct ei_metrics_degraded *out, char (*texts)[EI_SPARE_TEXT_MAX])
{
    int32_t count = 0;
    for (int32_t i = 0; i < run->wl->task_count; i++) {
        if (has_moved(&run->tasks[i])) {
            describe_move(&run->tasks[i], texts[count], sizeof texts[count]);
            out[count] = (struct ei_metrics_degraded){
                .reason = texts[count],
                .fix = "find out why the device failed: dmesg, nvidia-smi -q, or raise hang of its lane"};
            count++;
        }
    }
    return count;
}
