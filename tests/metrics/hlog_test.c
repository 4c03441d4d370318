/* latency.hlog: what was recorded comes back bucket by bucket, merged logs are one long log, an independent decoder
 * agrees where there is one, and text that is no log is refused.
 */
#include "metrics/hlog.h"

#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/metrics/sample_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char text_of_max[64];
static struct ei_histogram first, second, both, back; /* large */

static const char *in_tmpdir(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", ei_test_tmpdir(), name);
    return path;
}

/* From 1 ns to 10 s, each power of ten as often as the other. */
static int64_t draw_ns(struct ei_random *random)
{
    int64_t limit_ns = 10;
    for (uint64_t power = ei_random_below(random, 10); power > 0; power--) {
        limit_ns *= 10;
    }
    return 1 + (int64_t)ei_random_below(random, (uint64_t)limit_ns);
}

static void fill(struct ei_histogram *histogram, struct ei_random *random, int count)
{
    for (int i = 0; i < count; i++) {
        const int64_t value_ns = draw_ns(random);
        ei_histogram_record(histogram, value_ns);
        ei_histogram_record(&both, value_ns);
    }
}

static void start(uint64_t seed, int count)
{
    struct ei_random random;
    ei_random_init(&random, seed, 0);
    ei_histogram_init(&first);
    ei_histogram_init(&second);
    ei_histogram_init(&both);
    fill(&first, &random, count);
    fill(&second, &random, count / 3);
}

static bool has_same_buckets(const struct ei_histogram *a, const struct ei_histogram *b)
{
    return a->count == b->count && memcmp(a->buckets, b->buckets, sizeof a->buckets) == 0;
}

EI_TEST(a_histogram_comes_back_bucket_by_bucket)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct einet_error err = {0};
        start(seed, (int)(seed * seed * 10));
        char *code = ei_hlog_encode(&first);
        EI_REQUIRE(code != NULL);
        EI_TRUE(strncmp(code, "HISTFA", 6) == 0); /* what all of encoding V2 begin with */
        EI_TRUEF(ei_hlog_decode(code, &back, &err) == 0, "seed %d: %s", (int)seed, err.text);
        EI_TRUEF(has_same_buckets(&first, &back), "seed %d", (int)seed);
        EI_TRUE(back.max_ns >= first.max_ns && back.max_ns - first.max_ns <= first.max_ns / 1024);
        EI_NEAR(ei_histogram_mean_ns(&back), ei_histogram_mean_ns(&first), ei_histogram_mean_ns(&first) / 1000 + 1);
        free(code);
    }
}

EI_TEST(the_corners_come_back)
{
    static const int64_t corners[] = {0, 1, 2047, 2048, 4095, 4096, EI_HISTOGRAM_MAX_NS};
    for (size_t i = 0; i < sizeof corners / sizeof corners[0]; i++) {
        ei_histogram_init(&first);
        ei_histogram_record(&first, corners[i]);
        char *code = ei_hlog_encode(&first);
        EI_REQUIRE(code != NULL);
        EI_EQ(ei_hlog_decode(code, &back, NULL), 0);
        EI_TRUEF(has_same_buckets(&first, &back), "%lld ns", (long long)corners[i]);
        free(code);
    }
    ei_histogram_init(&first); /* and nothing at all; and a count that takes nine bytes */
    char *code = ei_hlog_encode(&first);
    EI_REQUIRE(code != NULL);
    EI_EQ(ei_hlog_decode(code, &back, NULL), 0);
    EI_EQ(back.count, 0);
    free(code);
    ei_histogram_record_many(&first, 5, UINT64_C(1) << 61);
    code = ei_hlog_encode(&first);
    EI_REQUIRE(code != NULL);
    EI_EQ(ei_hlog_decode(code, &back, NULL), 0);
    EI_TRUE(back.buckets[5] == UINT64_C(1) << 61);
    free(code);
}

static void write_log(const char *path)
{
    FILE *out = fopen(path, "we");
    EI_REQUIRE(out != NULL);
    EI_EQ(ei_hlog_write_head(out, 1700000000.25), 0);
    EI_EQ(ei_hlog_write(out, "camera/response", 0.0, 1.5, &first), 0);
    EI_EQ(ei_hlog_write(out, "camera/jitter", 0.0, 1.5, &first), 0);
    EI_EQ(ei_hlog_write(out, "camera/response", 1.5, 0.5, &second), 0);
    EI_EQ(ei_hlog_write(out, "no blank", 0.0, 1.0, &first), -EINVAL);
    EI_EQ(ei_hlog_write(out, "no,comma", 0.0, 1.0, &first), -EINVAL);
    fclose(out);
}

EI_TEST(merged_logs_equal_one_long_log)
{
    struct ei_hlog log;
    struct einet_error err = {0};
    start(7, 5000);
    write_log(in_tmpdir("latency.hlog"));
    EI_TRUEF(ei_hlog_read(in_tmpdir("latency.hlog"), &log, &err) == 0, "%s", err.text);
    EI_EQ(log.count, 2);
    EI_STREQ(log.entries[0]->tag, "camera/response");
    const struct ei_histogram *merged = ei_hlog_find(&log, "camera/response");
    const struct ei_histogram *alone = ei_hlog_find(&log, "camera/jitter");
    EI_REQUIRE(merged != NULL && alone != NULL);
    EI_TRUE(ei_hlog_find(&log, "camera/none") == NULL);
    EI_TRUE(has_same_buckets(merged, &both));
    EI_EQ(merged->max_ns, both.max_ns); /* to the ns: the lines know it */
    EI_TRUE(has_same_buckets(alone, &first));
    char *code_of_merged = ei_hlog_encode(merged), *code_of_both = ei_hlog_encode(&both);
    EI_REQUIRE(code_of_merged != NULL && code_of_both != NULL);
    EI_STREQ(code_of_merged, code_of_both);
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < 4; i++) {
        EI_EQ(ei_histogram_quantile_ns(merged, quantiles[i]), ei_histogram_quantile_ns(&both, quantiles[i]));
    }
    free(code_of_merged);
    free(code_of_both);
    ei_hlog_fini(&log);
}

/* PyPI's hdrhistogram decodes what we wrote and prints each bucket that is not empty. */
EI_TEST(an_independent_decoder_agrees)
{
    static const char script[] = "import sys\n"
                                 "from hdrh.histogram import HdrHistogram\n"
                                 "for line in open(sys.argv[1]):\n"
                                 "    if line[0] in '#\"': continue\n"
                                 "    tag, start, length, top, code = line.strip().split(',')\n"
                                 "    h = HdrHistogram.decode(code)\n"
                                 "    print(tag[4:], h.get_total_count())\n"
                                 "    for step in h.get_recorded_iterator():\n"
                                 "        print(step.value_iterated_to, step.count_added_in_this_iter_step)\n";
    if (system("python3 -c 'import hdrh' 2>/dev/null") != 0) {
        ei_test_skip("python3 has no hdrhistogram here (pip install hdrhistogram)");
    }
    char command[1200], tag[64];
    start(11, 20000);
    write_log(in_tmpdir("latency.hlog"));
    FILE *file = fopen(in_tmpdir("decode.py"), "we");
    EI_REQUIRE(file != NULL);
    fputs(script, file);
    fclose(file);
    snprintf(command, sizeof command, "python3 %s/decode.py %s/latency.hlog", ei_test_tmpdir(), ei_test_tmpdir());
    FILE *pipe = popen(command, "re");
    EI_REQUIRE(pipe != NULL);
    const struct ei_histogram *const ours[] = {&first, &first, &second};
    for (int i = 0; i < 3; i++) {
        int64_t low_ns, high_ns;
        uint64_t own_count;
        long long value, count = 0;
        int bucket = 0;
        EI_EQ(fscanf(pipe, "%63s %lld", tag, &count), 2);
        EI_EQ(count, ours[i]->count);
        while (ei_histogram_next(ours[i], &bucket, &low_ns, &high_ns, &own_count)) {
            value = count = -1;
            EI_EQ(fscanf(pipe, "%lld %lld", &value, &count), 2);
            EI_IN(value, low_ns, high_ns);
            EI_EQ(count, own_count);
        }
    }
    EI_EQ(pclose(pipe), 0);
}

EI_TEST(a_run_writes_its_distributions)
{
    struct ei_hlog log;
    struct einet_error err = {0};
    struct ei_collector *collector = NULL;
    struct ei_metrics_run run = sample_run(false);
    run.has_hlog = true;
    EI_REQUIRE(ei_collector_create(&run, sample_tasks, SAMPLE_TASKS, ei_test_tmpdir(), false, &collector, &err) == 0);
    sample_add_all(collector);
    const struct ei_metrics_progress camera = ei_collector_progress(collector, 1);
    const struct ei_metrics_totals totals = sample_totals();
    EI_EQ(ei_collector_finish(collector, &totals, &err), 0);
    char *json = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&json, &size);
    EI_EQ(ei_collector_print_json(collector, stream), 0);
    fclose(stream);
    ei_collector_destroy(collector);
    EI_REQUIRE(ei_hlog_read(in_tmpdir("latency.hlog"), &log, &err) == 0);
    const struct ei_histogram *response = ei_hlog_find(&log, "camera/response"),
                              *noise = ei_hlog_find(&log, "noise/cpu1");
    EI_REQUIRE(response != NULL && noise != NULL);
    EI_EQ(response->count, camera.completed);
    EI_TRUE(ei_hlog_find(&log, "preemption/blocking") != NULL && ei_hlog_find(&log, "control/jitter") != NULL);
    snprintf(text_of_max, sizeof text_of_max, "\"max\": %lld", (long long)ei_histogram_max_ns(noise));
    EI_CONTAINS(json, text_of_max);
    free(json);
    ei_hlog_fini(&log);
}

static void expect_refused(const char *text, int line)
{
    struct ei_hlog log;
    struct einet_error err = {0};
    FILE *file = fopen(in_tmpdir("bad.hlog"), "we");
    EI_REQUIRE(file != NULL);
    fputs(text, file);
    fclose(file);
    EI_EQ(ei_hlog_read(in_tmpdir("bad.hlog"), &log, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "HdrHistogram");
    EI_EQ(err.line, line);
}

EI_TEST(what_is_no_log_is_refused_with_its_line)
{
    char text[400];
    struct ei_hlog log;
    struct einet_error err = {0};
    expect_refused("0,1,2\n", 1);
    expect_refused("# fine\n\"a\",\"b\"\n0,1,2,HISTFAAA\n", 3);
    expect_refused("0,1,2,not!base64\n", 1);
    expect_refused("0,1,2,AAAAAAAAAAAAAAAAAAAA\n", 1);
    start(3, 100);
    char *code = ei_hlog_encode(&first);
    EI_REQUIRE(code != NULL);
    for (size_t cut = 12; cut < strlen(code) && cut < 200; cut += 9) {
        snprintf(text, sizeof text, "0,1,2,%.*s\n", (int)cut, code);
        expect_refused(text, 1);
    }
    free(code);
    EI_EQ(ei_hlog_read(in_tmpdir("nowhere.hlog"), &log, &err), -ENOENT);
}

/* Bytes at random never crash the decoder, whatever it says of them. */
EI_TEST(damaged_codes_do_no_harm)
{
    struct ei_random random;
    ei_random_init(&random, 5, 0);
    start(5, 200);
    char *code = ei_hlog_encode(&first);
    EI_REQUIRE(code != NULL);
    const size_t length = strlen(code);
    int refused = 0;
    for (int i = 0; i < 300; i++) {
        char *damaged = strdup(code);
        EI_REQUIRE(damaged != NULL);
        for (int k = 0; k < 3; k++) {
            damaged[ei_random_below(&random, length)] = "ABCDwxyz0189+/"[ei_random_below(&random, 14)];
        }
        refused += ei_hlog_decode(damaged, &back, NULL) < 0;
        free(damaged);
    }
    EI_TRUEF(refused > 200, "only %d of 300 were refused", refused); /* zlib has a checksum */
    free(code);
}

EI_MAIN()
