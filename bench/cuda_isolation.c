/* A task of high priority beside one that saturates the device, in six ways:
 *
 *     lane          blocks of the low task, which stops at a boundary while a job of the high one is there
 *     lane, 2       the same with two graphs in the queue
 *     lane, pieces  the same with one, and blocks above 50 us cut
 *     priorities    both as monolithic graphs, on streams of different priority
 *     plain         both as monolithic graphs, on streams of the same priority
 *     sms           both as monolithic graphs, each on multiprocessors of its own
 *
 * The gate stands for the engine's lane: who wants it and who has it, under one lock.
 */
#include "bench/cuda_lane.h"
#include "rt/clock.h"
#include "rt/random.h"
#include "rt/thread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOW_PRIORITY 10
#define HIGH_PRIORITY 90
#define PAUSE_MIN_NS 500000
#define PAUSE_SPREAD_NS 3000000
#define PHASES 6
#define SHORT_PIECE_NS 50000
#define SMS 48              /* of each task */
#define SOLO_SHARE_MAX 1.05 /* what is asked of a lane: response at p99 within this share of solo, and one block */
#define PROMPT_US 20.0      /* ... and the wait for the running block within the longest one and this */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_wanted, is_held;
};

struct phase {
    const char *name;
    int32_t depth;
    bool is_gated, has_priorities;
    int64_t split_above_ns;
    int32_t sms; /* 0 = all */
};

struct low_task {
    struct ei_network *net;
    struct ei_bench_job job;
    struct gate *gate; /* NULL: none, and its jobs are monolithic */
    bool is_over;      /* guarded by stop_lock */
    pthread_mutex_t stop_lock;
    int64_t jobs;
    int rc;
};

static void gate_enter_low(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->is_wanted) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    gate->is_held = true;
    pthread_mutex_unlock(&gate->lock);
}

static void gate_leave_low(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_held = false;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_enter_high(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_wanted = true;
    while (gate->is_held) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void gate_leave_high(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_wanted = false;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static bool is_over(struct low_task *low)
{
    pthread_mutex_lock(&low->stop_lock);
    const bool over = low->is_over;
    pthread_mutex_unlock(&low->stop_lock);
    return over;
}

static int run_gated(struct low_task *low)
{
    const struct ei_network_info *info = ei_network_info(low->net);
    int rc = ei_network_begin(low->net, low->job.input, 0, 0);
    for (int32_t part = 0; rc == 0 && part < 2 * info->exits; part++) {
        const int32_t b = part / 2, pieces = ei_network_piece_count(low->net, b, part % 2 != 0);
        float *logits = low->job.logits + (size_t)b * (size_t)info->classes;
        for (int32_t i = 0; rc == 0 && i < pieces; i++) {
            gate_enter_low(low->gate);
            rc = ei_network_run_piece(low->net, b, part % 2 != 0, i, logits);
            gate_leave_low(low->gate);
        }
    }
    ei_network_end(low->net);
    return rc;
}

static void *saturate(void *context)
{
    struct low_task *low = context;
    (void)ei_thread_become_fifo(LOW_PRIORITY, NULL);
    low->rc = ei_network_thread_enter(low->net);
    while (low->rc == 0 && !is_over(low)) {
        low->rc = low->gate != NULL ? run_gated(low) : ei_bench_run_whole(low->net, &low->job);
        low->jobs += low->rc == 0;
    }
    return NULL;
}

static void pause_ns(int64_t ns)
{
    const struct timespec t = {ns / 1000000000, ns % 1000000000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* Jobs of the high task at random times. response_ns, gate_ns: [turns]. */
static int run_high(const struct ei_bench_cuda *bench, struct ei_network *net, struct gate *gate, int64_t *response_ns,
                    int64_t *gate_ns)
{
    struct ei_bench_job job = {0};
    struct ei_random rng;
    ei_random_init(&rng, 7, 0);
    int rc = ei_bench_job_init(&job, net) ? ei_network_thread_enter(net) : -1;
    for (int32_t t = 0; rc == 0 && t < bench->turns; t++) {
        pause_ns(PAUSE_MIN_NS + (int64_t)ei_random_below(&rng, PAUSE_SPREAD_NS));
        const int64_t from_ns = ei_mono_now().ns;
        if (gate != NULL) {
            gate_enter_high(gate);
        }
        gate_ns[t] = ei_mono_now().ns - from_ns;
        rc = gate != NULL ? ei_bench_run_blocks(net, &job, NULL) : ei_bench_run_whole(net, &job);
        response_ns[t] = ei_mono_now().ns - from_ns;
        if (gate != NULL) {
            gate_leave_high(gate);
        }
    }
    ei_bench_job_fini(&job);
    return rc;
}

struct outcome {
    struct ei_bench_figures solo, beside, wait;
    double longest_us, low_jobs_per_s;
};

static int run_beside(const struct ei_bench_cuda *bench, const struct phase *phase, struct ei_network *high,
                      struct low_task *low, struct outcome *out, int64_t *ns)
{
    pthread_t thread;
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    low->gate = phase->is_gated ? &gate : NULL;
    int rc = run_high(bench, high, low->gate, ns, ns + bench->turns);
    out->solo = rc == 0 ? ei_bench_figures(ns, bench->turns) : out->solo;
    const int64_t from_ns = ei_mono_now().ns;
    if (rc != 0 || pthread_create(&thread, NULL, saturate, low) != 0) {
        return -1;
    }
    rc = run_high(bench, high, low->gate, ns, ns + bench->turns);
    pthread_mutex_lock(&low->stop_lock);
    low->is_over = true;
    pthread_mutex_unlock(&low->stop_lock);
    (void)pthread_join(thread, NULL);
    out->low_jobs_per_s = (double)low->jobs * 1e9 / (double)(ei_mono_now().ns - from_ns);
    if (rc == 0) {
        out->beside = ei_bench_figures(ns, bench->turns);
        out->wait = ei_bench_figures(ns + bench->turns, bench->turns);
    }
    return rc != 0 ? rc : low->rc;
}

static int run_phase(const struct ei_bench_cuda *bench, const struct phase *phase, const char *high_name,
                     const char *low_name, struct outcome *out)
{
    struct low_task low = {.stop_lock = PTHREAD_MUTEX_INITIALIZER};
    struct ei_network_cuda_settings settings = ei_bench_cuda_settings(bench);
    settings.priority = phase->has_priorities ? HIGH_PRIORITY : LOW_PRIORITY;
    settings.sms = phase->sms;
    struct ei_network *high = ei_bench_cuda_open(bench, high_name, &settings);
    settings.priority = LOW_PRIORITY;
    settings.depth = phase->depth;
    settings.split_above_ns = phase->split_above_ns;
    settings.lane_idx = 1;
    low.net = high != NULL ? ei_bench_cuda_open(bench, low_name, &settings) : NULL;
    int64_t *ns = calloc(2 * (size_t)bench->turns, sizeof *ns);
    int rc = -1;
    if (low.net != NULL && ns != NULL && ei_bench_job_init(&low.job, low.net)) {
        out->longest_us = (double)ei_bench_longest_ns(bench, low.net) / 1e3;
        rc = run_beside(bench, phase, high, &low, out, ns);
    }
    free(ns);
    ei_bench_job_fini(&low.job);
    ei_network_destroy(high);
    ei_network_destroy(low.net);
    return rc;
}

static json_t *report(const struct phase *phase, const struct outcome *o)
{
    const double bound_us = SOLO_SHARE_MAX * o->solo.p99_us + o->longest_us;
    const bool is_isolated = o->beside.p99_us <= bound_us, is_prompt = o->wait.p99_us <= o->longest_us + PROMPT_US;
    printf("  %-12s solo p99 %8.1f us   beside p50 %8.1f us  p99 %8.1f us, %s 1.05 x solo + one block = %8.1f us   "
           "low task %7.1f jobs/s\n",
           phase->name, o->solo.p99_us, o->beside.p50_us, o->beside.p99_us, is_isolated ? "within" : "beyond", bound_us,
           o->low_jobs_per_s);
    if (phase->is_gated) {
        printf("  %-12s   waits for the running block p50 %7.1f us  p99 %7.1f us, %s the longest block + 20 us = "
               "%7.1f us\n",
               "", o->wait.p50_us, o->wait.p99_us, is_prompt ? "within" : "beyond", o->longest_us + PROMPT_US);
    }
    json_t *row =
        json_pack("{s:s,s:o,s:o,s:f,s:b,s:f,s:f}", "way", phase->name, "solo", ei_bench_figures_json(o->solo), "beside",
                  ei_bench_figures_json(o->beside), "bound_us", bound_us, "is_isolated", is_isolated ? 1 : 0,
                  "longest_block_us", o->longest_us, "low_jobs_per_s", o->low_jobs_per_s);
    if (phase->is_gated && row != NULL) {
        (void)json_object_set_new(row, "preemption", ei_bench_figures_json(o->wait));
        (void)json_object_set_new(row, "is_prompt", json_boolean(is_prompt));
    }
    return row;
}

json_t *ei_bench_isolation(const struct ei_bench_cuda *bench, const char *high, const char *low)
{
    static const struct phase phases[PHASES] = {{"lane", 1, true, true, 0, 0},
                                                {"lane, 2", 2, true, true, 0, 0},
                                                {"lane, pieces", 1, true, true, SHORT_PIECE_NS, 0},
                                                {"priorities", 1, false, true, 0, 0},
                                                {"plain", 1, false, false, 0, 0},
                                                {"sms", 1, false, true, 0, SMS}};
    json_t *rows = json_array();
    bool is_done = true;
    printf("%s, urgent, beside %s without a pause\n", high, low);
    for (int32_t i = 0; i < PHASES; i++) {
        struct outcome outcome = {0};
        if (run_phase(bench, &phases[i], high, low, &outcome) != 0) {
            if (phases[i].sms > 0 && outcome.longest_us == 0.0) { /* refused: no green contexts here */
                printf("  %-12s none: %s\n", phases[i].name, bench->api->error_text());
                (void)json_array_append_new(
                    rows, json_pack("{s:s,s:s}", "way", phases[i].name, "refused", bench->api->error_text()));
                continue;
            }
            fprintf(stderr, "bench_cuda: %s beside %s failed (%s)\n", high, low, phases[i].name);
            (void)json_array_append_new(rows, json_pack("{s:s,s:b}", "way", phases[i].name, "failed", 1));
            is_done = false;
            continue;
        }
        (void)json_array_append_new(rows, report(&phases[i], &outcome));
    }
    return json_pack("{s:s,s:s,s:b,s:o}", "high", high, "low", low, "complete", is_done ? 1 : 0, "ways", rows);
}
