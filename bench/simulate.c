/* Cost of the virtual engine: simulated jobs a second for four tasks, and cost per event against the number of tasks.
 *
 * An event is a release or the end of a computation; a job of one CPU stage has two. All sizes share one total load of
 * 0.7 of one CPU, so queues are alike and what grows is the number of tasks. Time counts from the first record to the
 * end of the run, collector included, files not; medians of interleaved rounds. The cost of 4 tasks grown by
 * log n / log 4 is printed beside each size. Processor time of the one thread, so that others on the machine count
 * little. Usage: simulate [rounds [FILE.svg]].
 */
#include "engine/virtual.h"

#include "rt/clock.h"
#include "rt/random.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_DEFAULT 5
#define ROUNDS_MAX 101
#define JOBS 1000000
#define JOB_NS INT64_C(70000) /* of each 100 us of all tasks together */
#define TEXT_BYTES ((size_t)1 << 20)

static const int32_t sizes[] = {4, 16, 64, 256, 1024};
#define SIZES ((int)(sizeof sizes / sizeof sizes[0]))

struct text {
    char *bytes;
    size_t used;
};

static void say(struct text *text, const char *format, ...) EINET_PRINTF(2, 3);

static void say(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text->used += (size_t)vsnprintf(text->bytes + text->used, TEXT_BYTES - text->used, format, arguments);
    va_end(arguments);
}

/* n tasks, each with 1/n of the load; periods differ by up to a tenth, so that releases do not fall together. */
static void write_tasks(struct text *text, int32_t n)
{
    struct ei_random rng;
    ei_random_init(&rng, 6, (uint64_t)n);
    text->used = 0;
    say(text,
        "version: 1\nname: bench\nrun: { duration: %" PRId64 "us, warmup: 0s, seed: 1 }\n"
        "platform: { rt_load_cap: 1.0 }\ntasks:\n",
        (int64_t)JOBS * 100);
    for (int32_t i = 0; i < n; i++) {
        const int64_t period_ns = n * INT64_C(100000) + (int64_t)ei_random_below(&rng, (uint64_t)n * 10000);
        say(text,
            "  - { name: t%d, arrival: { model: periodic, period: %" PRId64 "ns, offset: %" PRId64
            "ns }, priority: %d, cpus: \"0\",\n"
            "      stages: [ { name: w, kind: cpu, work: { spin: %" PRId64 "ns } } ] }\n",
            (int)i, period_ns, (int64_t)ei_random_below(&rng, (uint64_t)period_ns), 1 + (int)ei_random_below(&rng, 98),
            JOB_NS * period_ns / (n * INT64_C(100000)));
    }
}

/* Four tasks as on a robot: two of CPU stages, two networks that share a lane. */
static void write_four(struct text *text)
{
    text->used = 0;
    say(text,
        "version: 1\nname: four\nrun: { duration: %" PRId64 "us, warmup: 0s, seed: 1 }\n"
        "platform: { rt_load_cap: 1.0 }\nlanes: { acc: { kind: cpu, cpus: \"1\", preempt: block } }\n"
        "models: { net: { emulate: { blocks: [ { conv: 100us, branch: 50us, score: 0.6 }, { conv: 100us, score: 0.8 } "
        "] } } }\ntasks:\n"
        "  - { name: a, arrival: { model: periodic, period: 1ms }, priority: 80, cpus: \"1\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n"
        "  - { name: b, arrival: { model: periodic, period: 1300us }, priority: 70, cpus: \"1\",\n"
        "      stages: [ { name: w, kind: cpu, work: { spin: 150us } } ] }\n"
        "  - { name: c, arrival: { model: periodic, period: 1700us }, priority: 60,\n"
        "      stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n"
        "  - { name: d, arrival: { model: periodic, period: 2100us }, priority: 50,\n"
        "      stages: [ { name: n, kind: nn, model: net, lane: acc } ] }\n",
        (int64_t)JOBS * 400);
}

static int64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * EI_NS_PER_S + ts.tv_nsec;
}

struct measure {
    int64_t first_ns, jobs;
};

static void on_record(void *context, const struct ei_record *record)
{
    struct measure *m = context;
    if (m->jobs == 0) {
        m->first_ns = cpu_ns();
    }
    m->jobs += record->kind == EI_RECORD_JOB;
}

/* ns a job; ends the program when the file is refused. */
static double simulate(const struct text *text, int64_t *out_jobs)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    struct ei_live_result result;
    struct einet_error err = {0};
    struct measure m = {0};
    const struct ei_virtual_options options = {.on_record = on_record, .context = &m};
    const int rc = ei_workload_parse(text->bytes, text->used, "bench.yaml", &wl, &diag);
    if (rc < 0) {
        ei_diagnostics_print(&diag, stderr);
    }
    ei_diagnostics_fini(&diag);
    if (rc < 0 || ei_virtual_run(wl, &options, &result, &err) < 0) {
        fprintf(stderr, "no run: %s\n", err.text);
        exit(1);
    }
    const int64_t taken_ns = cpu_ns() - m.first_ns;
    ei_collector_destroy(result.collector);
    ei_workload_destroy(wl);
    *out_jobs = m.jobs;
    return (double)taken_ns / (double)m.jobs;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

/* Cost over log n, and the log law through the first point. */
static void plot(const char *path, const double *event_ns)
{
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        fprintf(stderr, "cannot write %s\n", path);
        exit(1);
    }
    const double law = log((double)sizes[SIZES - 1]) / log((double)sizes[0]);
    const double top = event_ns[0] * law > event_ns[SIZES - 1] ? event_ns[0] * law : event_ns[SIZES - 1];
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"520\" height=\"300\" font-family=\"sans-serif\" "
                 "font-size=\"12\">\n<rect width=\"520\" height=\"300\" fill=\"white\"/>\n"
                 "<path d=\"M60 20V250H500\" fill=\"none\" stroke=\"black\"/>\n"
                 "<text x=\"280\" y=\"290\" text-anchor=\"middle\">tasks</text>\n"
                 "<text x=\"70\" y=\"16\">ns per event</text>\n");
    fprintf(out, "<path d=\"M80 %.1fL480 %.1f\" stroke=\"grey\" stroke-dasharray=\"5 4\"/>\n",
            250.0 - 210.0 * event_ns[0] / top, 250.0 - 210.0 * event_ns[0] * law / top);
    fprintf(out, "<text x=\"300\" y=\"%.1f\" fill=\"grey\">grows with log n</text>\n",
            250.0 - 210.0 * event_ns[0] * (1.0 + law) / 2.0 / top - 20.0);
    for (int s = 0; s < SIZES; s++) {
        const double x =
            80.0 + 400.0 * log((double)sizes[s] / (double)sizes[0]) / log((double)sizes[SIZES - 1] / (double)sizes[0]);
        const double y = 250.0 - 210.0 * event_ns[s] / top;
        fprintf(
            out,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.0f</text>"
            "<text x=\"%.1f\" y=\"268\" text-anchor=\"middle\">%d</text>\n",
            x, y, x, y - 8.0, event_ns[s], x, (int)sizes[s]);
    }
    fputs("</svg>\n", out);
    fclose(out);
}

int main(int argc, char **argv)
{
    static double event_ns[SIZES][ROUNDS_MAX], four_ns[ROUNDS_MAX];
    double middle_ns[SIZES];
    struct text texts[SIZES], four = {.bytes = malloc(TEXT_BYTES)};
    const int asked = argc > 1 ? atoi(argv[1]) : ROUNDS_DEFAULT;
    const int rounds = asked < 1 ? 1 : (asked > ROUNDS_MAX ? ROUNDS_MAX : asked);
    int64_t jobs;
    write_four(&four);
    for (int s = 0; s < SIZES; s++) {
        texts[s] = (struct text){.bytes = malloc(TEXT_BYTES)};
        write_tasks(&texts[s], sizes[s]);
    }
    for (int r = 0; r < rounds; r++) {
        four_ns[r] = simulate(&four, &jobs);
        for (int s = 0; s < SIZES; s++) {
            event_ns[s][r] = simulate(&texts[s], &jobs) / 2.0;
        }
    }
    const double job_ns = median(four_ns, rounds);
    printf("four tasks, two of them networks on one lane: %.0f ns a job, %.2f million jobs a second\n\n", job_ns,
           1e3 / job_ns);
    printf("%6s %14s %18s\n", "tasks", "ns per event", "by the log law");
    for (int s = 0; s < SIZES; s++) {
        middle_ns[s] = median(event_ns[s], rounds);
        printf("%6d %14.1f %18.1f\n", (int)sizes[s], middle_ns[s],
               middle_ns[0] * log((double)sizes[s]) / log((double)sizes[0]));
        free(texts[s].bytes);
    }
    free(four.bytes);
    if (argc > 2) {
        plot(argv[2], middle_ns);
    }
    return 0;
}
