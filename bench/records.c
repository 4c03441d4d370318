/* What recording costs: a push of one record in the thread that runs the job, and the processor time that draining,
 * counting and writing take at a given rate of events.
 *
 * Pushes are timed in batches that fit the ring, with and without the clock readings that a stage or block takes; the
 * ring is emptied in between, so that its memory comes from another's cache as in a run. For the rate a thread pushes
 * jobs of nine records each (an activity, three stages, four blocks, the job) in even portions, and the main thread
 * looks every 80 ms whether it is time to drain into a collector that writes jobs.csv and stages.csv, as the
 * housekeeper of a run does.
 *
 * usage: bench_records [SECONDS [EVENTS_PER_SECOND [FOLDER]]]      default 10 s of 20000, into bench-records.out
 */
#include "metrics/drain.h"
#include "rt/clock.h"
#include "rt/histogram.h"
#include "rt/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RING_RECORDS 8192
#define BATCH 2048
#define BATCHES 400
#define ROUND_NS (80 * EI_NS_PER_MS)
#define PORTION_NS (2 * EI_NS_PER_MS)
#define RECORDS_PER_JOB 9
#define PERIOD_NS (10 * EI_NS_PER_MS)

static struct ei_spsc_ring ring;
static struct ei_histogram pushes, timed_pushes;

/* ---- one push ---- */

static struct ei_record block_record(int64_t start_ns, int64_t end_ns)
{
    return (struct ei_record){.kind = EI_RECORD_BLOCK, .u.block = {.start_ns = start_ns, .end_ns = end_ns}};
}

static void time_batch(bool has_clock, struct ei_histogram *out)
{
    static struct ei_record drained[BATCH];
    int64_t before_ns = ei_mono_now().ns;
    const int64_t start_ns = before_ns;
    for (int i = 0; i < BATCH; i++) {
        const int64_t now_ns = has_clock ? ei_mono_now().ns : start_ns + i;
        const struct ei_record record = block_record(before_ns, now_ns);
        (void)ei_spsc_ring_push(&ring, &record);
        before_ns = now_ns;
    }
    ei_histogram_record(out, (ei_mono_now().ns - start_ns) * 1000 / BATCH); /* ps */
    while (ei_spsc_ring_pop_batch(&ring, drained, BATCH) > 0) {
    }
}

static void show(const char *what, const struct ei_histogram *picoseconds)
{
    printf("%-34s p50 %6.1f ns   p99 %6.1f ns an event\n", what,
           (double)ei_histogram_quantile_ns(picoseconds, 0.5) / 1000,
           (double)ei_histogram_quantile_ns(picoseconds, 0.99) / 1000);
}

static void bench_pushes(void)
{
    ei_histogram_init(&pushes);
    ei_histogram_init(&timed_pushes);
    for (int i = 0; i < BATCHES; i++) { /* in turn */
        time_batch(false, &pushes);
        time_batch(true, &timed_pushes);
    }
    show("push", &pushes);
    show("push and a clock reading", &timed_pushes);
}

/* ---- at a rate ---- */

struct producer {
    atomic_bool is_over;
    int64_t jobs_per_portion_1000; /* thousandths of jobs */
    int64_t jobs;
    int64_t used_ns; /* processor time, when it is over */
};

static void push_job(int64_t job_idx, int64_t now_ns)
{
    struct ei_record record = {.kind = EI_RECORD_ACTIVITY,
                               .u.activity = {.job_idx = job_idx, .start_ns = now_ns, .end_ns = now_ns + 900}};
    (void)ei_spsc_ring_push(&ring, &record);
    for (int32_t stage = 0; stage < 3; stage++) {
        for (int32_t block = 0; stage == 1 && block < 4; block++) {
            record = block_record(now_ns + 300 + 100 * block, now_ns + 400 + 100 * block);
            record.u.block.job_idx = job_idx;
            record.u.block.stage_idx = 1;
            record.u.block.block_idx = block / 2;
            record.u.block.is_branch = block % 2;
            record.u.block.confidence = block % 2 != 0 ? 0.8125f : 0.0f;
            (void)ei_spsc_ring_push(&ring, &record);
        }
        record = (struct ei_record){.kind = EI_RECORD_STAGE,
                                    .u.stage = {.stage_idx = stage,
                                                .job_idx = job_idx,
                                                .cpu = 1,
                                                .ready_ns = now_ns + 300 * stage,
                                                .start_ns = now_ns + 300 * stage,
                                                .end_ns = now_ns + 300 * (stage + 1),
                                                .cpu_ns = 300}};
        (void)ei_spsc_ring_push(&ring, &record);
    }
    record = (struct ei_record){.kind = EI_RECORD_JOB,
                                .u.job = {.flags = EI_JOB_HAS_NN | EI_JOB_ANSWERED,
                                          .job_idx = job_idx,
                                          .release_ns = now_ns,
                                          .awake_ns = now_ns,
                                          .start_ns = now_ns,
                                          .finish_ns = now_ns + 900,
                                          .deadline_ns = now_ns + PERIOD_NS,
                                          .answer_ns = now_ns + 800,
                                          .lane_busy_ns = 400,
                                          .exits_mask = 3,
                                          .sample_idx = -1,
                                          .label = -1,
                                          .confidence = 0.8125f,
                                          .planned_exit = 1,
                                          .exit_idx = 1,
                                          .preempted_by = -1,
                                          .ready_ns = now_ns}};
    (void)ei_spsc_ring_push(&ring, &record);
}

static void produce(void *arg)
{
    struct producer *producer = arg;
    int64_t next_ns = ei_mono_now().ns, owed_1000 = 0;
    while (!atomic_load(&producer->is_over)) {
        next_ns += PORTION_NS;
        ei_mono_sleep_until((struct ei_mono){next_ns});
        owed_1000 += producer->jobs_per_portion_1000;
        const int64_t now_ns = ei_mono_now().ns;
        for (; owed_1000 >= 1000; owed_1000 -= 1000) {
            push_job(producer->jobs, now_ns + producer->jobs % 1000);
            producer->jobs++;
        }
    }
    producer->used_ns = ei_thread_used_ns();
}

static int64_t process_used_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * EI_NS_PER_S + used.tv_nsec;
}

/* Rounds for so long. Returns the processor time that they took. */
static int64_t keep_house(struct ei_drain *drain, int64_t length_ns, int64_t *out_records)
{
    const int64_t used_ns = ei_thread_used_ns(), start_ns = ei_mono_now().ns;
    *out_records = 0;
    for (int64_t at_ns = start_ns; at_ns < start_ns + length_ns; at_ns += ROUND_NS) {
        ei_mono_sleep_until((struct ei_mono){at_ns});
        *out_records += ei_drain_round(drain, ei_mono_now().ns);
    }
    return ei_thread_used_ns() - used_ns;
}

/* Drain for so long. Returns 0 or the collector's code. */
static int bench_rate(struct ei_collector *collector, int64_t seconds, int64_t events_per_s, struct einet_error *err)
{
    static struct ei_drain drain;
    struct producer producer = {.jobs_per_portion_1000 =
                                    events_per_s * 1000 / RECORDS_PER_JOB * PORTION_NS / EI_NS_PER_S};
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "jobs", .policy = EI_THREAD_OTHER};
    int rc = ei_drain_init(&drain, collector);
    rc = rc == 0 ? ei_drain_add_job_ring(&drain, &ring) : rc;
    int64_t records = 0;
    const int64_t idle_ns = rc == 0 ? keep_house(&drain, seconds * EI_NS_PER_S / 2, &records) : 0;
    const int64_t process_ns = process_used_ns(), own_ns = ei_thread_used_ns(), start_ns = ei_mono_now().ns;
    rc = rc == 0 ? ei_thread_create(&thread, &attr, produce, &producer, err) : rc;
    if (rc != 0) {
        ei_drain_fini(&drain);
        return rc;
    }
    const int64_t drain_ns = keep_house(&drain, seconds * EI_NS_PER_S, &records);
    const int64_t wall_ns = ei_mono_now().ns - start_ns;
    atomic_store(&producer.is_over, true);
    (void)ei_thread_join(&thread);
    const int64_t writers_ns = process_used_ns() - process_ns - (ei_thread_used_ns() - own_ns) - producer.used_ns;
    ei_drain_finish(&drain);
    printf("%lld events in %.2f s: %.0f a second; lost %llu\n", (long long)records, (double)wall_ns / 1e9,
           (double)records * 1e9 / (double)wall_ns, (unsigned long long)ei_spsc_ring_dropped(&ring));
    printf("%-34s %6.3f %% of a CPU, %6.1f ns an event\n", "drain, count, make lines",
           100.0 * (double)drain_ns / (double)wall_ns, (double)drain_ns / (double)records);
    printf("%-34s %6.3f %% of a CPU\n", "of it the rounds without an event",
           100.0 * 2 * (double)idle_ns / (double)wall_ns);
    printf("%-34s %6.3f %% of a CPU, %6.1f ns an event\n", "writers of jobs.csv, stages.csv",
           100.0 * (double)writers_ns / (double)wall_ns, (double)writers_ns / (double)records);
    const int64_t expected[] = {producer.jobs};
    const struct ei_metrics_totals totals = {.expected = expected, .duration_ns = wall_ns};
    rc = ei_collector_finish(collector, &totals, err);
    if (rc == 0 && !ei_collector_is_identity_ok(collector)) {
        rc = einet_error_set(err, EINET_E_FAULT, "records were lost: the figures are not of the rate asked for");
    }
    ei_drain_fini(&drain);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct ei_metrics_stage stages[] = {{"pre", false}, {"net", true}, {"post", false}};
    static const struct ei_metrics_task task = {
        .name = "camera", .priority = 50, .deadline_ns = PERIOD_NS, .exits = 2, .stages = stages, .stage_count = 3};
    static const char *const lanes[] = {"acc0"};
    const int64_t seconds = argc > 1 ? strtoll(argv[1], NULL, 10) : 10;
    const int64_t events_per_s = argc > 2 ? strtoll(argv[2], NULL, 10) : 20000;
    const struct ei_metrics_run run = {.name = "bench",
                                       .version = "0",
                                       .t0_ns = ei_mono_now().ns,
                                       .has_activities = true,
                                       .lanes = lanes,
                                       .lane_count = 1,
                                       .has_stages_csv = true,
                                       .has_hlog = true,
                                       .has_writers = true};
    const size_t bytes = ei_spsc_ring_storage_bytes(RING_RECORDS, sizeof(struct ei_record));
    void *storage = aligned_alloc(EI_CACHE_LINE_BYTES, bytes);
    struct ei_collector *collector = NULL;
    struct einet_error err = {0};
    if (storage == NULL || seconds <= 0 || events_per_s <= 0 ||
        ei_spsc_ring_init(&ring, RING_RECORDS, sizeof(struct ei_record), storage, bytes) != 0) {
        fprintf(stderr, "usage: bench_records [SECONDS [EVENTS_PER_SECOND [FOLDER]]]\n");
        return 1;
    }
    bench_pushes();
    int rc = ei_collector_create(&run, &task, 1, argc > 3 ? argv[3] : "bench-records.out", true, &collector, &err);
    rc = rc == 0 ? bench_rate(collector, seconds, events_per_s, &err) : rc;
    if (rc != 0) {
        fprintf(stderr, "bench_records: %s\n", err.text);
    }
    ei_collector_destroy(collector);
    free(storage);
    return rc == 0 ? 0 : 1;
}
