/* Recorded releases: what a file may look like, and what is said about one that is wrong. */
#include "tests/workloads/texts.h"
#include "workloads/arrival.h"
#include "workloads/releases.h"

#include "rt/clock.h"

#define MS EI_NS_PER_MS

static const char workload[] = "version: 1\nname: t\ntasks:\n"
                               "  - name: door\n    arrival: { model: external, min_interarrival: 10ms }\n"
                               "    stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ]\n"
                               "  - name: tick\n    arrival: { model: periodic, period: 10ms }\n"
                               "    stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ]\n"
                               "  - name: 0bell\n    arrival: { model: external, min_interarrival: 1ms }\n"
                               "    stages: [ { name: w, kind: cpu, work: { spin: 1ms } } ]\n";

static int read_text(const char *text, struct ei_releases *out, struct einet_error *err)
{
    char path[512];
    snprintf(path, sizeof path, "%s/releases.csv", ei_test_tmpdir());
    FILE *file = fopen(path, "w");
    EI_TRUE(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    struct ei_workload *wl = text_parse(workload, "test.yaml");
    *err = (struct einet_error){0};
    const int rc = wl != NULL ? ei_releases_read(path, wl, out, err) : -1;
    ei_workload_destroy(wl);
    return rc;
}

EI_TEST(releases_are_taken_by_column_and_sorted)
{
    struct ei_releases releases;
    struct einet_error err;
    EI_EQ(read_text("# DEGRADED: why\nother,release_us,\"task\",release_delay_ns\n1,2000,door,9\n\n,7,tick,\n"
                    "x,1000.5,\"door\",\r\n\"a,\"\"b\",0,0bell,\n",
                    &releases, &err),
          0);
    EI_REQUIRE(releases.count[0] == 2 && releases.count[1] == 0 && releases.count[2] == 1);
    EI_EQ(releases.asked_ns[0][0], 1000500);
    EI_EQ(releases.asked_ns[0][1], 2 * MS);
    EI_EQ(releases.asked_ns[2][0], 0);
    ei_releases_fini(&releases);
    EI_EQ(read_text("task,release_s", &releases, &err), 0);
    EI_EQ(releases.count[0], 0);
    ei_releases_fini(&releases);
}

EI_TEST(releases_errors_name_file_and_line)
{
    static const struct {
        const char *text, *fragment;
        int line;
    } cases[] = {
        {"", "the file is empty", 0},
        {"door,5\n", "no 'task'", 1},
        {"#\ntask,time\ndoor,5\n", "no 'release_ns'", 2},
        {"task,release_hours\n", "no 'release_ns'", 1},
        {"task,release_ms\ndoor\n", "ends before its column of release times", 2},
        {"release_ms,task\n3\n", "ends before its column task", 2},
        {"task,release_ms\ndoor,1\ndoors,1\n", "no task 'doors'", 3},
        {"task,release_ms\ndoor,\n", "'' is no release time", 2},
        {"task,release_ms\ndoor,-1\n", "'-1' is no release time", 2},
        {"task,release_ms\ndoor,1ms\n", "'1ms' is no release time", 2},
        {"task,release_ms\ndoor,1e99\n", "is no release time", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ei_releases releases;
        struct einet_error err;
        EI_EQ(read_text(cases[i].text, &releases, &err), EINET_E_FILE);
        EI_EQ(err.line, cases[i].line);
        EI_CONTAINS(err.file, "releases.csv");
        EI_CONTAINS(err.text, cases[i].fragment);
    }
    struct ei_releases releases;
    struct einet_error err = {0};
    struct ei_workload *wl = text_parse(workload, "test.yaml");
    EI_EQ(ei_releases_read("nowhere.csv", wl, &releases, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "cannot open");
    ei_workload_destroy(wl);
}

/* ---- holding back ---- */

EI_TEST(external_releases_keep_their_distance)
{
    const struct ei_arrival_spec spec = {.model = EI_ARRIVAL_EXTERNAL, .min_interarrival_ns = 10 * MS};
    struct ei_arrival arrival;
    struct ei_arrival_release r;
    ei_arrival_init(&arrival, &spec, 1, 0);
    EI_TRUE(!ei_arrival_next(&arrival, &r)); /* nobody asked */
    EI_TRUE(!ei_arrival_admit(&arrival, 3 * MS, 3 * MS, &r));
    EI_TRUE(r.job_idx == 0 && r.nominal_ns == 3 * MS && r.release_ns == 3 * MS);
    EI_TRUE(ei_arrival_admit(&arrival, 4 * MS, 4 * MS, &r)); /* too soon */
    EI_TRUE(r.job_idx == 1 && r.nominal_ns == 13 * MS && r.release_ns == 13 * MS);
    EI_TRUE(ei_arrival_admit(&arrival, 22 * MS, 22 * MS, &r)); /* behind one that was held back */
    EI_EQ(r.nominal_ns, 23 * MS);
    EI_TRUE(!ei_arrival_admit(&arrival, 33 * MS, 33 * MS, &r)); /* just in time */
    EI_EQ(r.nominal_ns, 33 * MS);
    EI_TRUE(!ei_arrival_admit(&arrival, 45 * MS, 52 * MS, &r)); /* said late: dated from when it happened */
    EI_TRUE(r.nominal_ns == 45 * MS && r.release_ns == 52 * MS);
    EI_TRUE(ei_arrival_admit(&arrival, 55 * MS, 55 * MS, &r)); /* neither dates nor releases come closer */
    EI_TRUE(r.nominal_ns == 55 * MS && r.release_ns == 62 * MS);
    EI_TRUE(ei_arrival_admit(&arrival, INT64_MAX - 1, INT64_MAX - 1, &r) == false);
    EI_TRUE(ei_arrival_admit(&arrival, INT64_MAX - 1, INT64_MAX - 1, &r));
    EI_EQ(r.nominal_ns, INT64_MAX);
    ei_arrival_init(&arrival, &spec, 1, 0);
    EI_TRUE(!ei_arrival_admit(&arrival, -5 * MS, 0, &r)); /* before time zero */
    EI_EQ(r.nominal_ns, 0);
}

EI_TEST(external_releases_are_tallied)
{
    const struct ei_arrival_spec spec = {.model = EI_ARRIVAL_EXTERNAL, .min_interarrival_ns = 10 * MS};
    const int64_t asked_ns[] = {0, 1 * MS, 1 * MS, 50 * MS, 95 * MS, 96 * MS, 120 * MS};
    /* released at 0, 10, 20, 50, 95, 105 and 120 ms */
    const struct ei_arrival_tally tally = ei_arrival_tally(&spec, asked_ns, 7, 20 * MS, 100 * MS);
    EI_EQ(tally.held_back, 3);
    EI_EQ(tally.warmup, 2);
    EI_EQ(tally.unreleased, 2);
    struct ei_arrival arrival;
    struct ei_arrival_release r;
    ei_arrival_init(&arrival, &spec, 1, 0);
    ei_arrival_ask(&arrival, asked_ns, 7);
    const int64_t want_ns[] = {0, 10 * MS, 20 * MS, 50 * MS, 95 * MS, 105 * MS, 120 * MS};
    for (int k = 0; k < 7; k++) {
        EI_TRUE(ei_arrival_next(&arrival, &r) && r.job_idx == k && r.nominal_ns == want_ns[k]);
    }
    EI_TRUE(!ei_arrival_next(&arrival, &r));
    EI_EQ(ei_arrival_expected(&spec, 1, 0, 0, 100 * MS), 11); /* the most */
}

EI_MAIN()
