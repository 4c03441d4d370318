/* The board: what the collector counted arrives at a reader whole, and what no run wrote is refused.
 */
#include "tests/harness/harness.h"
#include "tests/metrics/sample_run.h"

#include "metrics/board.h"
#include "metrics/prometheus.h"
#include "rt/random.h"
#include "rt/thread.h"
#include <errno.h>
#include <stdlib.h>

static struct ei_board board;
static struct ei_board_view view;

/* A board of n tasks, one lane and one CPU whose task i counted base + i. */
static void publish(int32_t tasks, int64_t base)
{
    const struct ei_board_lane lane = {.name = "lane0", .is_gated = 1, .holder_idx = tasks - 1, .busy = 0.5};
    const struct ei_board_cpu cpu = {.cpu = 1, .is_counted = 1, .load = 0.25, .cap = 0.9};
    const struct ei_board_run run = {
        .name = "sample", .phase = EI_BOARD_RUNNING, .task_count = tasks, .lane_count = 1, .cpu_count = 1};
    for (int32_t i = 0; i < tasks; i++) {
        struct ei_board_task task = {.exits = 3, .deadline_ns = INT64_MAX, .completed = base + i, .misses = base + i};
        snprintf(task.name, sizeof task.name, "task%d", (int)i);
        task.response_below[EI_BOARD_BOUNDS] = base + i;
        task.exit_count[EI_METRICS_EXITS_MAX - 1] = base + i;
        ei_board_set_task(&board, i, &task);
    }
    ei_board_set_lane(&board, 0, &lane);
    ei_board_set_cpu(&board, 0, &cpu);
    ei_board_set_run(&board, &run);
}

EI_TEST(board_gives_back_what_was_published)
{
    struct einet_error err = {0};
    EI_EQ(ei_board_read(&board, &view, &err), -EAGAIN); /* nothing yet */
    publish(EI_BOARD_TASKS_MAX, 100);
    const struct ei_board_task beyond = {.name = "beyond"};
    ei_board_set_task(&board, EI_BOARD_TASKS_MAX, &beyond);
    ei_board_set_task(&board, -1, &beyond);
    EI_REQUIRE(ei_board_read(&board, &view, &err) == 0);
    EI_EQ(view.run.task_count, EI_BOARD_TASKS_MAX);
    EI_STREQ(view.tasks[63].name, "task63");
    EI_EQ(view.tasks[63].completed, 163);
    EI_STREQ(view.lanes[0].name, "lane0");
    EI_EQ(view.lanes[0].holder_idx, 63);
    EI_NEAR(view.cpus[0].load, 0.25, 0.0);
}

EI_TEST(board_shows_the_collector_s_figures)
{
    struct ei_collector *collector = NULL;
    const struct ei_metrics_run run = sample_run(true);
    struct ei_board_run shown_run = {0};
    EI_REQUIRE(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, NULL, false, &collector, NULL) == 0);
    sample_add_all(collector);
    for (int32_t i = 0; i < SAMPLE_TASKS; i++) {
        struct ei_board_task shown = {0};
        int64_t counted = 0;
        ei_board_take_task(&shown, collector, i);
        const struct ei_metrics_progress expected = ei_collector_progress(collector, i);
        EI_EQ(shown.completed, expected.completed);
        EI_EQ(shown.skipped, expected.skipped);
        EI_EQ(shown.misses, expected.misses);
        EI_EQ(shown.preemptions, expected.preemptions);
        EI_EQ(shown.last_ns, expected.last_response_ns);
        EI_TRUE(shown.p50_ns <= shown.p99_ns && shown.p99_ns <= shown.max_ns);
        for (int k = 0; k <= EI_BOARD_BOUNDS; k++) {
            counted += shown.response_below[k];
        }
        EI_EQ(counted, shown.completed);
        EI_EQ(shown.response_count, shown.completed);
    }
    /* Control, after the warm-up: 1.0, 1.1, 1.2, 1.3 us, then 3 and 6 ms. */
    struct ei_board_task control = {0}, camera = {0};
    ei_board_take_task(&control, collector, SAMPLE_CONTROL);
    EI_EQ(control.response_below[0], 4); /* up to 50 us */
    EI_EQ(control.response_below[6], 1); /* up to 5 ms */
    EI_EQ(control.response_below[7], 1); /* up to 10 ms */
    EI_EQ(control.max_ns, 6 * SAMPLE_MS);
    EI_EQ(control.p50_ns, 1200);
    ei_board_take_task(&camera, collector, SAMPLE_CAMERA);
    EI_EQ(camera.answered, 3);
    EI_EQ(camera.labelled_answered, 3);
    EI_EQ(camera.correct, 2);
    EI_EQ(camera.exit_count[0] + camera.exit_count[1] + camera.exit_count[2], 3);
    ei_board_take_run(&shown_run, collector);
    EI_EQ(shown_run.degraded_count, 2);
    EI_STREQ(shown_run.degraded_reason, "SCHED_FIFO refused: tasks run under SCHED_OTHER");
    EI_EQ(shown_run.noise_max_ns, 5 * SAMPLE_MS);
    ei_collector_destroy(collector);
}

/* A response at a bound counts below it, one ns more above. */
EI_TEST(board_buckets_include_their_bounds)
{
    struct ei_collector *collector = NULL;
    const struct ei_metrics_run run = sample_run(false);
    struct ei_board_task shown = {0};
    EI_REQUIRE(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, NULL, false, &collector, NULL) == 0);
    for (int i = 0; i < EI_METRICS_BOUNDS; i++) {
        const struct ei_record at = sample_job(SAMPLE_LOGGER, 2 * i, 20 + i, ei_metrics_bounds_ns[i]);
        const struct ei_record above = sample_job(SAMPLE_LOGGER, 2 * i + 1, 20 + i, ei_metrics_bounds_ns[i] + 1);
        ei_collector_add(collector, &at);
        ei_collector_add(collector, &above);
    }
    ei_board_take_task(&shown, collector, SAMPLE_LOGGER);
    EI_EQ(shown.response_below[0], 1);
    for (int i = 1; i < EI_METRICS_BOUNDS; i++) {
        EI_EQ(shown.response_below[i], 2);
    }
    EI_EQ(shown.response_below[EI_METRICS_BOUNDS], 1);
    ei_collector_destroy(collector);
}

/* ---- torn ---- */

#define READS 5000
#define PUBLICATIONS_MAX 50000 /* even when the reader hardly runs */

static atomic_bool is_over, is_enough;
static int64_t published;

static void publish_many(void *arg)
{
    (void)arg;
    while (published < PUBLICATIONS_MAX && !atomic_load_explicit(&is_enough, memory_order_relaxed)) {
        publish(4, ++published);
    }
    atomic_store(&is_over, true);
}

EI_TEST(board_sections_are_never_torn)
{
    struct ei_thread writer;
    const struct ei_thread_attr attr = {.name = "writer"};
    int64_t wrong = 0, backwards = 0, reads = 0, last = 0;
    publish(4, 0);
    EI_REQUIRE(ei_thread_create(&writer, &attr, publish_many, NULL, NULL) == 0);
    for (bool is_last = false; !is_last;) {
        is_last = atomic_load(&is_over);
        if (ei_board_read(&board, &view, NULL) != 0) {
            continue; /* the writer was stopped in mid-write */
        }
        if (++reads == READS) {
            atomic_store_explicit(&is_enough, true, memory_order_relaxed);
        }
        for (int32_t i = 0; i < 4; i++) {
            const struct ei_board_task *task = &view.tasks[i];
            wrong += task->completed != task->misses || task->response_below[EI_BOARD_BOUNDS] != task->completed ||
                     task->exit_count[EI_METRICS_EXITS_MAX - 1] != task->completed;
        }
        backwards += view.tasks[0].completed < last;
        last = view.tasks[0].completed;
    }
    EI_EQ(ei_thread_join(&writer), 0);
    EI_EQ(wrong, 0);
    EI_EQ(backwards, 0);
    EI_EQ(last, published);
    EI_TRUE(reads > 0);
}

/* ---- malformed ---- */

EI_TEST(board_refuses_what_no_run_writes)
{
    struct einet_error err = {0};
    struct ei_board_run run = {.name = "sample", .task_count = 1};
    struct ei_board_task task = {.name = "task"};
    publish(1, 1);
    run.task_count = EI_BOARD_TASKS_MAX + 1;
    ei_board_set_run(&board, &run);
    EI_EQ(ei_board_read(&board, &view, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "malformed");
    run.task_count = 1;
    run.phase = EI_BOARD_PHASES;
    ei_board_set_run(&board, &run);
    EI_EQ(ei_board_read(&board, &view, &err), EINET_E_FILE);
    run.phase = EI_BOARD_ENDED;
    memset(run.name, 'n', sizeof run.name); /* never ends */
    ei_board_set_run(&board, &run);
    EI_EQ(ei_board_read(&board, &view, &err), EINET_E_FILE);
    snprintf(run.name, sizeof run.name, "\033[2J"); /* would clear a terminal */
    ei_board_set_run(&board, &run);
    EI_EQ(ei_board_read(&board, &view, &err), EINET_E_FILE);
    snprintf(run.name, sizeof run.name, "sample");
    ei_board_set_run(&board, &run);
    EI_EQ(ei_board_read(&board, &view, &err), 0);
    task.exits = EI_METRICS_EXITS_MAX + 1;
    ei_board_set_task(&board, 0, &task);
    EI_EQ(ei_board_read(&board, &view, &err), EINET_E_FILE);
    task.exits = 0;
    task.dropped = -1;
    ei_board_set_task(&board, 0, &task);
    EI_EQ(ei_board_read(&board, &view, &err), EINET_E_FILE);
}

/* Random words in place of one: refused or shown, never a crash (the sanitizers look on). */
EI_TEST(board_of_random_words_is_refused_or_shown)
{
    struct ei_random random;
    char *text = NULL;
    size_t bytes = 0;
    int refused = 0, shown = 0;
    ei_random_init(&random, 20261121, 0);
    for (int i = 0; i < 400; i++) {
        publish(4, i);
        _Atomic uint64_t *words = (_Atomic uint64_t *)&board;
        const int changes = 1 + (int)ei_random_below(&random, 4);
        for (int k = 0; k < changes; k++) {
            /* Most hits in the parts that are used. */
            const uint64_t limit = k % 2 == 0 ? EI_BOARD_SECTION(struct ei_board_run) : sizeof board / sizeof(uint64_t);
            atomic_store(&words[ei_random_below(&random, limit)],
                         ei_random_u64(&random) >> (ei_random_below(&random, 64)));
        }
        const int rc = ei_board_read(&board, &view, NULL);
        EI_TRUE(rc == 0 || rc == -EAGAIN || rc == EINET_E_FILE);
        refused += rc != 0;
        if (rc == 0) {
            FILE *out = open_memstream(&text, &bytes);
            EI_EQ(ei_prometheus_print(&view, out), 0);
            fclose(out);
            free(text);
            shown++;
        }
        memset((void *)&board, 0, sizeof board);
    }
    EI_TRUE(refused > 0 && shown > 0);
}

/* ---- Prometheus ---- */

static char *print_view(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    EI_EQ(ei_prometheus_print(&view, out), 0);
    fclose(out);
    return text;
}

/* NAME{labels} VALUE, with NAME announced by # HELP and # TYPE before. */
static bool is_good_line(const char *line, size_t length, const char *announced)
{
    char name[128];
    const size_t name_length = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");
    if (name_length == 0 || name_length >= sizeof name || strncmp(line, announced, strlen(announced)) != 0) {
        return false;
    }
    const char *rest = line + name_length;
    if (*rest == '{') {
        rest = memchr(rest, '}', length - name_length);
        rest = rest == NULL ? "" : rest + 1;
    }
    char *end = NULL;
    (void)strtod(rest, &end);
    return *rest == ' ' && end == line + length;
}

EI_TEST(prometheus_lines_are_well_formed_and_buckets_cumulative)
{
    char announced[128] = "";
    int samples = 0, types = 0;
    publish(3, 5);
    EI_REQUIRE(ei_board_read(&board, &view, NULL) == 0);
    memcpy(view.tasks[0].response_below, (int64_t[EI_BOARD_BOUNDS + 1]){1, 2, 0, 4},
           sizeof view.tasks[0].response_below);
    view.run.lines_lost = 17;
    char *text = print_view();
    EI_CONTAINS(text, "einet_lines_lost_total 17\n");
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const size_t length = strcspn(line, "\n");
        EI_REQUIRE(line[length] == '\n');
        if (sscanf(line, "# TYPE %127s", announced) == 1) {
            types++;
        } else if (line[0] != '#') {
            EI_TRUEF(is_good_line(line, length, announced), "bad line under %s: %.*s", announced, (int)length, line);
            samples++;
        }
    }
    EI_TRUE(types >= 15 && samples >= 60);
    EI_CONTAINS(text, "einet_response_seconds_bucket{task=\"task0\",le=\"0.0001\"} 3\n");
    EI_CONTAINS(text, "einet_response_seconds_bucket{task=\"task0\",le=\"0.0005\"} 7\n");
    EI_CONTAINS(text, "einet_response_seconds_bucket{task=\"task0\",le=\"+Inf\"} 7\n");
    EI_CONTAINS(text, "einet_response_seconds_count{task=\"task0\"} 7\n");
    EI_CONTAINS(text, "einet_jobs_total{task=\"task1\",outcome=\"missed\"} 6\n");
    EI_CONTAINS(text, "einet_degraded 0\n");
    EI_CONTAINS(text, "einet_noise_probe_fifo 1\n");
    free(text);
    view.run.is_probe_outranked = 1;
    text = print_view();
    EI_CONTAINS(text, "einet_noise_probe_fifo 0\n");
    free(text);
}

EI_TEST(prometheus_has_no_duration_of_a_run_without_end)
{
    for (int i = 0; i < 2; i++) {
        publish(1, 0);
        EI_REQUIRE(ei_board_read(&board, &view, NULL) == 0);
        view.run.duration_ns = i == 0 ? 7000000000 : INT64_MAX;
        char *text = print_view();
        EI_EQ(strstr(text, "einet_run_duration_seconds 7.000000000\n") != NULL, i == 0);
        EI_EQ(strstr(text, "einet_run_duration_seconds") != NULL, i == 0);
        free(text);
    }
}

EI_MAIN()
