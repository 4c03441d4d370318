/* Memory and figures of the tap. See tap.h. */
#include "engine/tap.h"

#include "engine/change.h"
#include "engine/live_board.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int init_frames(struct ei_tap *tap, const struct ei_workload *wl, struct einet_error *err)
{
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < wl->task_count; i++) {
        rc = ei_frames_init(&tap->frames[i], wl, i, err);
    }
    return rc;
}

int ei_tap_init(struct ei_tap *tap, const struct ei_workload *wl, int32_t queue, struct einet_error *err)
{
    const int32_t task_count = wl->task_count;
    const size_t cells_bytes = (size_t)task_count * sizeof *tap->answers;
    const size_t event_bytes = queue > 0 ? ei_mpsc_ring_storage_bytes((size_t)queue, sizeof(struct ei_tap_event)) : 0;
    *tap = (struct ei_tap){.task_count = task_count};
    if (pthread_mutex_init(&tap->figures_lock, NULL) != 0) {
        *tap = (struct ei_tap){0};
        return einet_error_set(err, -ENOMEM, "no memory for the run");
    }
    tap->answers = aligned_alloc(_Alignof(struct ei_answer_cell), cells_bytes);
    tap->event_storage = event_bytes > 0 ? malloc(event_bytes) : NULL;
    if (tap->answers == NULL || (event_bytes > 0 && tap->event_storage == NULL)) {
        ei_tap_fini(tap);
        return einet_error_set(err, -ENOMEM, "no memory for the run");
    }
    const int rc = init_frames(tap, wl, err);
    if (rc < 0) {
        ei_tap_fini(tap);
        return rc;
    }
    for (int32_t i = 0; i < task_count; i++) {
        ei_answer_init(&tap->answers[i]);
        tap->settings[i].priority = wl->tasks[i].priority;
        tap->settings[i].deadline_ns = wl->tasks[i].deadline_ns;
        tap->settings[i].search = ei_task_search(wl, i);
    }
    ei_bell_init(&tap->bell);
    if (event_bytes > 0) {
        memset(tap->event_storage, 0, event_bytes); /* job threads shall not meet its first page faults */
        (void)ei_mpsc_ring_init(&tap->events, (size_t)queue, sizeof(struct ei_tap_event), tap->event_storage,
                                event_bytes);
    }
    return 0;
}

void ei_tap_fini(struct ei_tap *tap)
{
    if (tap->task_count > 0) {
        pthread_mutex_destroy(&tap->figures_lock);
    }
    for (int32_t i = 0; i < tap->task_count; i++) {
        ei_frames_fini(&tap->frames[i]);
    }
    free(tap->answers);
    free(tap->event_storage);
    *tap = (struct ei_tap){0};
}

void ei_tap_take_figures(struct ei_tap *tap, const struct ei_collector *collector, const struct ei_board_run *board)
{
    pthread_mutex_lock(&tap->figures_lock);
    for (int32_t i = 0; i < tap->task_count; i++) {
        ei_board_take_task(&tap->figures[i], collector, i);
    }
    tap->degraded_count = board->degraded_count;
    memcpy(tap->degraded_reason, board->degraded_reason, sizeof tap->degraded_reason);
    memcpy(tap->degraded_fix, board->degraded_fix, sizeof tap->degraded_fix);
    pthread_mutex_unlock(&tap->figures_lock);
}

void ei_tap_beat(struct ei_tap *tap, const struct ei_collector *collector, const struct ei_board_run *board,
                 int64_t now_ns)
{
    atomic_store_explicit(&tap->beat_ns, now_ns, memory_order_relaxed);
    if (now_ns >= tap->next_figures_ns) {
        tap->next_figures_ns = now_ns + EI_LIVE_BOARD_NS;
        ei_tap_take_figures(tap, collector, board);
    }
}

bool ei_tap_next(struct ei_tap *tap, struct ei_tap_event *out)
{
    return ei_mpsc_ring_pop(&tap->events, out);
}

void ei_tap_figures(struct ei_tap *tap, int32_t task_idx, struct ei_board_task *out)
{
    pthread_mutex_lock(&tap->figures_lock);
    *out = tap->figures[task_idx];
    pthread_mutex_unlock(&tap->figures_lock);
}

int32_t ei_tap_degraded(struct ei_tap *tap, char *out_text, size_t text_bytes)
{
    pthread_mutex_lock(&tap->figures_lock);
    const int32_t count = tap->degraded_count;
    const bool has_fix = tap->degraded_fix[0] != '\0';
    (void)snprintf(out_text, text_bytes, "%s%s%s%s", tap->degraded_reason, has_fix ? " (fix: " : "", tap->degraded_fix,
                   has_fix ? ")" : "");
    pthread_mutex_unlock(&tap->figures_lock);
    return count;
}

void ei_tap_settings(struct ei_tap *tap, int32_t task_idx, struct ei_tap_settings *out)
{
    struct ei_tap_settings *settings = &tap->settings[task_idx];
    pthread_mutex_lock(&tap->figures_lock);
    *out = (struct ei_tap_settings){.priority = settings->priority,
                                    .deadline_ns = settings->deadline_ns,
                                    .search = settings->search,
                                    .is_paused = settings->is_paused,
                                    .changes = settings->changes};
    pthread_mutex_unlock(&tap->figures_lock);
    atomic_init(&out->withheld, atomic_load_explicit(&settings->withheld, memory_order_relaxed));
}

void ei_tap_set_settings(struct ei_tap *tap, int32_t task_idx, const struct ei_tap_settings *settings)
{
    struct ei_tap_settings *out = &tap->settings[task_idx];
    pthread_mutex_lock(&tap->figures_lock);
    out->priority = settings->priority;
    out->deadline_ns = settings->deadline_ns;
    out->search = settings->search;
    out->is_paused = settings->is_paused;
    out->changes = settings->changes;
    pthread_mutex_unlock(&tap->figures_lock);
}
