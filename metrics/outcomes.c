/* See outcomes.h. */
#include "metrics/outcomes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int ei_mk_window_init(struct ei_mk_window *window, int32_t k)
{
    *window = (struct ei_mk_window){.k = k};
    if (k > 0) {
        window->ring = calloc((size_t)k, 1);
    }
    return k > 0 && window->ring == NULL ? -ENOMEM : 0;
}

void ei_mk_window_fini(struct ei_mk_window *window)
{
    free(window->ring);
    *window = (struct ei_mk_window){0};
}

void ei_mk_window_add(struct ei_mk_window *window, int is_missed)
{
    if (window->k == 0) {
        return;
    }
    if (window->filled == window->k) {
        window->missed -= window->ring[window->head];
    } else {
        window->filled++;
    }
    window->ring[window->head] = is_missed ? 1 : 0;
    window->missed += is_missed ? 1 : 0;
    window->head = (window->head + 1) % window->k;
    if (window->missed > window->worst) {
        window->worst = window->missed;
    }
}

int ei_outcome_sequence_init(struct ei_outcome_sequence *sequence, int32_t reorder_max, int32_t mk_k)
{
    *sequence = (struct ei_outcome_sequence){.reorder_max = reorder_max};
    sequence->pending = calloc((size_t)reorder_max, 1);
    if (sequence->pending == NULL || ei_mk_window_init(&sequence->mk, mk_k) != 0 ||
        ei_mk_window_init(&sequence->mk_unexplained, mk_k) != 0) {
        ei_outcome_sequence_fini(sequence);
        return -ENOMEM;
    }
    return 0;
}

void ei_outcome_sequence_fini(struct ei_outcome_sequence *sequence)
{
    free(sequence->pending);
    ei_mk_window_fini(&sequence->mk);
    ei_mk_window_fini(&sequence->mk_unexplained);
    *sequence = (struct ei_outcome_sequence){0};
}

/* Count the outcome at next_idx and move on. */
static void take_next(struct ei_outcome_sequence *sequence)
{
    uint8_t *slot = &sequence->pending[sequence->next_idx % sequence->reorder_max];
    const enum ei_outcome outcome = (enum ei_outcome) * slot;
    *slot = EI_OUTCOME_UNKNOWN;
    sequence->next_idx++;
    if (outcome == EI_OUTCOME_UNKNOWN || outcome == EI_OUTCOME_UNCOUNTED) {
        return;
    }
    sequence->run = outcome == EI_OUTCOME_MET ? 0 : sequence->run + 1;
    if (sequence->run > sequence->longest_run) {
        sequence->longest_run = sequence->run;
    }
    ei_mk_window_add(&sequence->mk, outcome != EI_OUTCOME_MET);
    ei_mk_window_add(&sequence->mk_unexplained, outcome == EI_OUTCOME_UNEXPLAINED);
}

void ei_outcome_sequence_add(struct ei_outcome_sequence *sequence, int64_t job_idx, enum ei_outcome outcome)
{
    if (job_idx < sequence->next_idx) {
        return;
    }
    if (job_idx - sequence->next_idx >= 2 * (int64_t)sequence->reorder_max) {
        ei_outcome_sequence_flush(sequence); /* a far jump: what waits has no more to wait for */
        sequence->next_idx = job_idx;
    }
    while (job_idx - sequence->next_idx >= sequence->reorder_max) {
        take_next(sequence);
    }
    sequence->pending[job_idx % sequence->reorder_max] = (uint8_t)outcome;
    while (sequence->pending[sequence->next_idx % sequence->reorder_max] != EI_OUTCOME_UNKNOWN) {
        take_next(sequence);
    }
}

void ei_outcome_sequence_flush(struct ei_outcome_sequence *sequence)
{
    for (int32_t i = 0; i < sequence->reorder_max; i++) {
        take_next(sequence);
    }
}

void ei_wilson95(int64_t successes, int64_t n, double *out_low, double *out_high)
{
    const double z = 1.959963984540054;
    const double count = (double)n;
    const double p = (double)successes / count;
    const double scale = 1.0 / (1.0 + z * z / count);
    const double centre = p + z * z / (2.0 * count);
    const double half = z * sqrt(p * (1.0 - p) / count + z * z / (4.0 * count * count));
    *out_low = successes == 0 ? 0.0 : scale * (centre - half);
    *out_high = successes == n ? 1.0 : scale * (centre + half);
}
