/* The drain: gaps come before the jobs they explain, nothing is lost or doubled, full rings are counted. */
#include "metrics/drain.h"
#include "tests/harness/harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define MS INT64_C(1000000)
#define T0_NS INT64_C(1000000000000)
#define TASKS 2

static const struct ei_metrics_task tasks[TASKS] = {
    {.name = "a", .priority = 2, .is_fifo = true, .deadline_ns = 2 * MS, .period_ns = 5 * MS, .cpus = {{1}}},
    {.name = "b", .priority = 1, .is_fifo = true, .deadline_ns = 2 * MS, .period_ns = 5 * MS, .cpus = {{1}}}};

struct fixture {
    struct ei_collector *collector;
    struct ei_drain drain;
    struct ei_spsc_ring jobs[TASKS], gaps;
    void *storage[TASKS + 1];
};

static void init_ring(struct ei_spsc_ring *ring, size_t capacity, size_t record_bytes, void **storage)
{
    const size_t size_bytes = ei_spsc_ring_storage_bytes(capacity, record_bytes);
    *storage = calloc(1, size_bytes);
    EI_TRUE(*storage != NULL && ei_spsc_ring_init(ring, capacity, record_bytes, *storage, size_bytes) == 0);
}

static void set_up(struct fixture *f, size_t capacity)
{
    const struct ei_metrics_run run = {.name = "drain", .version = "0", .t0_ns = T0_NS, .has_activities = true};
    struct einet_error err = {0};
    EI_TRUEF(ei_collector_create(&run, tasks, TASKS, NULL, false, &f->collector, &err) == 0, "%s", err.text);
    EI_EQ(ei_drain_init(&f->drain, f->collector), 0);
    for (int i = 0; i < TASKS; i++) {
        init_ring(&f->jobs[i], capacity, sizeof(struct ei_record), &f->storage[i]);
        EI_EQ(ei_drain_add_job_ring(&f->drain, &f->jobs[i]), 0);
    }
    init_ring(&f->gaps, capacity, sizeof(struct ei_record), &f->storage[TASKS]);
    EI_EQ(ei_drain_add_gap_ring(&f->drain, &f->gaps), 0);
}

static void tear_down(struct fixture *f)
{
    ei_drain_fini(&f->drain);
    ei_collector_destroy(f->collector);
    for (int i = 0; i <= TASKS; i++) {
        free(f->storage[i]);
    }
}

/* A job that missed its deadline of 2 ms by 1 ms. */
static struct ei_record late_job(int32_t task_idx, int64_t job_idx)
{
    const int64_t release_ns = T0_NS + job_idx * 5 * MS;
    return (struct ei_record){.kind = EI_RECORD_JOB,
                              .u.job = {.task_idx = task_idx,
                                        .flags = EI_JOB_MISSED,
                                        .job_idx = job_idx,
                                        .release_ns = release_ns,
                                        .finish_ns = release_ns + 3 * MS,
                                        .deadline_ns = release_ns + 2 * MS}};
}

static struct ei_record gap_in_job(int64_t job_idx)
{
    const int64_t start_ns = T0_NS + job_idx * 5 * MS;
    return (struct ei_record){.kind = EI_RECORD_GAP, .u.gap = {.expected_ns = start_ns, .actual_ns = start_ns + MS}};
}

/* Finish and say how many misses the summary calls explained. */
static int64_t explained_misses(struct ei_collector *collector)
{
    static const int64_t expected[TASKS] = {0};
    const struct ei_metrics_totals totals = {.expected = expected};
    char *text = NULL;
    size_t size = 0;
    EI_EQ(ei_collector_finish(collector, &totals, NULL), 0);
    FILE *stream = open_memstream(&text, &size);
    EI_EQ(ei_collector_print_json(collector, stream), 0);
    fclose(stream);
    int64_t sum = 0;
    for (const char *at = text; (at = strstr(at, "\"misses_machine_explained\": ")) != NULL; at++) {
        sum += strtoll(at + strlen("\"misses_machine_explained\": "), NULL, 10);
    }
    free(text);
    return sum;
}

EI_TEST(gaps_of_the_same_and_the_next_cycle_explain_a_job)
{
    struct fixture f = {0};
    set_up(&f, 64);
    struct ei_record record = late_job(0, 0);
    EI_TRUE(ei_spsc_ring_push(&f.jobs[0], &record));
    record = gap_in_job(0);
    EI_TRUE(ei_spsc_ring_push(&f.gaps, &record));
    record = late_job(0, 1);
    EI_TRUE(ei_spsc_ring_push(&f.jobs[0], &record));
    EI_EQ(ei_drain_cycle(&f.drain), 3);
    EI_EQ(ei_collector_released(f.collector), 0); /* held back for one cycle */
    record = gap_in_job(1);                       /* this probe ran a moment after the job */
    EI_TRUE(ei_spsc_ring_push(&f.gaps, &record));
    record = late_job(0, 2);
    EI_TRUE(ei_spsc_ring_push(&f.jobs[0], &record));
    EI_EQ(ei_drain_cycle(&f.drain), 2);
    EI_EQ(ei_collector_released(f.collector), 2);
    EI_EQ(ei_drain_cycle(&f.drain), 0);
    EI_EQ(ei_collector_released(f.collector), 3);
    record = gap_in_job(2); /* two cycles late: this job is already judged */
    EI_TRUE(ei_spsc_ring_push(&f.gaps, &record));
    ei_drain_finish(&f.drain);
    EI_EQ(explained_misses(f.collector), 2);
    tear_down(&f);
}

static void push_jobs(struct fixture *f, int ring, int64_t first, int64_t count)
{
    for (int64_t i = first; i < first + count; i++) {
        const struct ei_record record = late_job(ring, i);
        EI_TRUE(ei_spsc_ring_push(&f->jobs[ring], &record));
    }
}

EI_TEST(rounds_drain_after_a_period_or_when_much_has_come)
{
    struct fixture f = {0};
    set_up(&f, 8192);
    push_jobs(&f, 0, 0, 3);
    EI_EQ(ei_drain_round(&f.drain, T0_NS), 3); /* the first one */
    push_jobs(&f, 0, 3, 5);
    EI_EQ(ei_drain_round(&f.drain, T0_NS + EI_DRAIN_PERIOD_NS - 1), 0);
    EI_EQ(ei_drain_round(&f.drain, T0_NS + EI_DRAIN_PERIOD_NS), 5);
    push_jobs(&f, 0, 8, EI_DRAIN_DUE / 2);
    push_jobs(&f, 1, 0, EI_DRAIN_DUE / 2 - 1);
    EI_EQ(ei_drain_round(&f.drain, T0_NS + EI_DRAIN_PERIOD_NS + 1), 0);
    push_jobs(&f, 1, EI_DRAIN_DUE / 2 - 1, 1); /* of all rings together */
    EI_EQ(ei_drain_round(&f.drain, T0_NS + EI_DRAIN_PERIOD_NS + 2), EI_DRAIN_DUE);
    EI_EQ(ei_drain_round(&f.drain, T0_NS + 2 * EI_DRAIN_PERIOD_NS + 1), 0);
    tear_down(&f);
}

EI_TEST(finish_empties_rings_and_what_is_held_back)
{
    struct fixture f = {0};
    set_up(&f, 32768);
    const int64_t count = 3 * EI_DRAIN_BATCH_MAX + 17; /* more than one batch */
    for (int64_t i = 0; i < count; i++) {
        const struct ei_record record = late_job(1, i);
        EI_TRUE(ei_spsc_ring_push(&f.jobs[1], &record));
    }
    ei_drain_finish(&f.drain);
    EI_EQ(ei_collector_progress(f.collector, 1).completed, count);
    EI_EQ(ei_collector_progress(f.collector, 0).completed, 0);
    tear_down(&f);
}

EI_TEST(full_rings_are_counted)
{
    struct fixture f = {0};
    set_up(&f, 16);
    for (int64_t i = 0; i < 20; i++) {
        struct ei_record record = late_job(0, i);
        ei_spsc_ring_push(&f.jobs[0], &record);
        record = gap_in_job(i);
        if (i < 18) {
            ei_spsc_ring_push(&f.gaps, &record);
        }
    }
    ei_drain_finish(&f.drain);
    int64_t jobs = 0, gaps = 0;
    ei_drain_lost(&f.drain, &jobs, &gaps);
    EI_EQ(jobs, 4);
    EI_EQ(gaps, 2);
    EI_EQ(ei_collector_released(f.collector), 16);
    tear_down(&f);
}

EI_TEST(rings_of_other_records_are_refused)
{
    struct fixture f = {0};
    set_up(&f, 16);
    struct ei_spsc_ring ring;
    void *storage;
    init_ring(&ring, 16, sizeof(struct ei_record) - 8, &storage);
    EI_EQ(ei_drain_add_job_ring(&f.drain, &ring), -EINVAL);
    EI_EQ(ei_drain_add_gap_ring(&f.drain, &ring), -EINVAL);
    free(storage);
    for (int i = TASKS; i < EI_DRAIN_RINGS_MAX; i++) {
        EI_EQ(ei_drain_add_job_ring(&f.drain, &f.jobs[0]), 0);
    }
    EI_EQ(ei_drain_add_job_ring(&f.drain, &f.jobs[0]), EINET_E_LIMIT);
    tear_down(&f);
}

#define THREAD_JOBS 20000

struct producer {
    struct ei_spsc_ring *ring;
    int32_t task_idx;
    int64_t pushed;
    atomic_bool is_done;
};

static void *produce(void *argument)
{
    struct producer *producer = argument;
    for (int64_t i = 0; i < THREAD_JOBS; i++) {
        const struct ei_record record = late_job(producer->task_idx, i);
        producer->pushed += ei_spsc_ring_push(producer->ring, &record);
    }
    atomic_store(&producer->is_done, true);
    return NULL;
}

EI_TEST(threads_push_while_the_drain_runs)
{
    struct fixture f = {0};
    set_up(&f, 1024);
    struct producer producers[TASKS];
    pthread_t threads[TASKS];
    for (int i = 0; i < TASKS; i++) {
        producers[i] = (struct producer){.ring = &f.jobs[i], .task_idx = i};
        EI_REQUIRE(pthread_create(&threads[i], NULL, produce, &producers[i]) == 0);
    }
    while (!atomic_load(&producers[0].is_done) || !atomic_load(&producers[1].is_done)) {
        ei_drain_cycle(&f.drain);
    }
    for (int i = 0; i < TASKS; i++) {
        pthread_join(threads[i], NULL);
    }
    ei_drain_finish(&f.drain);
    int64_t jobs = 0, gaps = 0;
    ei_drain_lost(&f.drain, &jobs, &gaps);
    EI_EQ(jobs, 2 * THREAD_JOBS - producers[0].pushed - producers[1].pushed);
    EI_EQ(gaps, 0);
    for (int i = 0; i < TASKS; i++) {
        EI_EQ(ei_collector_progress(f.collector, i).completed, producers[i].pushed);
    }
    tear_down(&f);
}

/* The job that delayed another one may have written its records after the cycle that took the other's. */
EI_TEST(activities_of_the_next_cycle_split_a_held_job)
{
    char *text = NULL;
    size_t size = 0;
    struct fixture f;
    const int64_t expected[TASKS] = {0, 1};
    set_up(&f, 64);
    struct ei_record job = late_job(1, 0);
    job.u.job.ready_ns = job.u.job.awake_ns = T0_NS;
    const struct ei_record own = {.kind = EI_RECORD_ACTIVITY,
                                  .u.activity = {.task_idx = 1,
                                                 .priority = 1,
                                                 .top_priority = 1,
                                                 .start_ns = T0_NS,
                                                 .end_ns = T0_NS + 3 * MS,
                                                 .cpu_ns = MS}};
    const struct ei_record other = {.kind = EI_RECORD_ACTIVITY,
                                    .u.activity = {.task_idx = 0,
                                                   .priority = 2,
                                                   .top_priority = 2,
                                                   .start_ns = T0_NS + MS,
                                                   .end_ns = T0_NS + 3 * MS,
                                                   .cpu_ns = 2 * MS}};
    EI_TRUE(ei_spsc_ring_push(&f.jobs[1], &own) && ei_spsc_ring_push(&f.jobs[1], &job));
    EI_EQ(ei_drain_cycle(&f.drain), 2);
    EI_TRUE(ei_spsc_ring_push(&f.jobs[0], &other));
    EI_EQ(ei_drain_cycle(&f.drain), 1);
    ei_drain_finish(&f.drain);
    const struct ei_metrics_totals totals = {.expected = expected, .duration_ns = 5 * MS};
    EI_EQ(ei_collector_finish(f.collector, &totals, NULL), 0);
    FILE *stream = open_memstream(&text, &size);
    EI_EQ(ei_collector_print_json(f.collector, stream), 0);
    fclose(stream);
    EI_CONTAINS(text, "\"interference\": 2000000,");
    EI_CONTAINS(text, "\"interference\": 1,"); /* the cause of the miss */
    free(text);
    tear_down(&f);
}

EI_MAIN()
