/* Profile files: round trips, every truncation, damage named by line and field, nothing half-written. */
#include "planner/profile_file.h"

#include "planner/profile_cs_columns.h"
#include "planner/profile_text.h"
#include "rt/random.h"
#include "tests/harness/harness.h"
#include "tests/planner/sample_profiles.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char path_buffer[4096];

static const char *path_of(const char *name)
{
    snprintf(path_buffer, sizeof path_buffer, "%s/%s", ei_test_tmpdir(), name);
    return path_buffer;
}

static void put_file(const char *path, const char *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    EI_REQUIRE(f != NULL);
    EI_EQ(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

/* The whole file, empty when it cannot be read. The caller frees. */
static char *get_file(const char *path, size_t *out_size)
{
    char *bytes = calloc(1, 1 << 20);
    FILE *f = fopen(path, "rb");
    *out_size = 0;
    if (f && bytes) {
        *out_size = fread(bytes, 1, (1 << 20) - 1, f);
        fclose(f);
    }
    EI_TRUEF(*out_size > 0, "%s cannot be read", path);
    return bytes;
}

/* Temporary files that a writer forgot. */
static int leftovers(void)
{
    DIR *dir = opendir(ei_test_tmpdir());
    int count = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        count += strstr(e->d_name, ".part") != NULL;
    }
    closedir(dir);
    return count;
}

EI_TEST(et_file_round_trip)
{
    for (int32_t exits = 1; exits <= EI_EXITS_MAX; exits += 21) {
        struct ei_et_profile et = sample_et_profile(exits), back;
        et.mode = exits == 1 ? EI_ET_COLD : EI_ET_SEQUENTIAL;
        if (exits == 1) {
            et.weights_sha256[0] = et.machine[0] = et.lane[0] = et.cpus[0] = et.governor[0] = 0;
            et.policy = EI_ET_OTHER;
            et.priority = 0;
            et.memory = EI_ET_PAGEABLE;
            et.precision = EI_PROFILE_BFLOAT16;
            et.conv[0] = (struct ei_time_stats){0, 0, EI_PROFILE_TIME_NS_MAX};
        }
        memset(&back, 0, sizeof back);
        struct einet_error err = {.code = 0};
        EI_EQ(ei_et_profile_write(path_of("et.csv"), &et, &err), 0);
        EI_EQ(ei_et_profile_read(path_of("et.csv"), &back, &err), 0);
        EI_STREQ(err.text, "");
        EI_EQ(back.exits, et.exits);
        EI_EQ(back.threads, et.threads);
        EI_EQ(back.samples, et.samples);
        EI_EQ(back.mode, et.mode);
        EI_STREQ(back.network, et.network);
        EI_STREQ(back.weights_sha256, et.weights_sha256);
        EI_STREQ(back.machine, et.machine);
        EI_STREQ(back.lane, et.lane);
        EI_STREQ(back.cpus, et.cpus);
        EI_STREQ(back.cpu_model, et.cpu_model);
        EI_STREQ(back.kernel, et.kernel);
        EI_STREQ(back.governor, et.governor);
        EI_STREQ(back.backend, et.backend);
        EI_EQ(back.policy, et.policy);
        EI_EQ(back.priority, et.priority);
        EI_EQ(back.memory, et.memory);
        EI_EQ(back.precision, et.precision);
        EI_TRUE(memcmp(back.conv, et.conv, sizeof et.conv) == 0);
        EI_TRUE(memcmp(back.branch, et.branch, sizeof et.branch) == 0);
    }
    EI_EQ(leftovers(), 0);
}

static struct ei_et_kernel sample_kernels[] = {{.exit_idx = 0, .branch = 0, .op_idx = 0, .name = "jit:avx512_core"},
                                               {.exit_idx = 0, .branch = 1, .op_idx = 3, .name = "bfloat16"},
                                               {.exit_idx = 2, .branch = 0, .op_idx = 1, .name = "jit_wino_4x3:x"}};

EI_TEST(et_file_keeps_kernels)
{
    const struct ei_et_profile et = sample_et_profile(3);
    const struct ei_et_kernels kernels = {.count = 3, .list = sample_kernels};
    struct ei_et_kernels back = {0};
    struct ei_et_profile et_back;
    struct einet_error err = {.code = 0};
    EI_EQ(ei_et_profile_write_kernels(path_of("et.csv"), &et, &kernels, &err), 0);
    EI_EQ(ei_et_profile_read_kernels(path_of("et.csv"), &et_back, &back, &err), 0);
    EI_STREQ(err.text, "");
    EI_REQUIRE(back.count == 3);
    EI_TRUE(memcmp(back.list, sample_kernels, sizeof sample_kernels) == 0);
    EI_EQ(et_back.branch[2].max_ns, et.branch[2].max_ns);
    ei_et_kernels_fini(&back);
    EI_EQ(ei_et_profile_read(path_of("et.csv"), &et_back, &err), 0);
    size_t size;
    char *bytes = get_file(path_of("et.csv"), &size);
    put_file(path_of("cut"), bytes, size);
    for (size_t cut = size; cut-- > 0;) {
        EI_EQ(truncate(path_of("cut"), (off_t)cut), 0);
        EI_TRUEF(ei_et_profile_read_kernels(path_of("cut"), &et_back, &back, NULL) == EINET_E_FILE, "cut to %zu", cut);
    }
    free(bytes);
    EI_EQ(ei_et_profile_write(path_of("et.csv"), &et, &err), 0);
    EI_EQ(ei_et_profile_read_kernels(path_of("et.csv"), &et_back, &back, &err), 0);
    EI_EQ(back.count, 0);
    ei_et_kernels_fini(&back);
}

EI_TEST(et_file_refuses_wrong_kernels)
{
    static const char *const rows[] = {"kernel,0,conv,0,",  "kernel,0,conv,0,a b",
                                       "kernel,3,conv,0,a", "kernel,0,trunk,0,a",
                                       "kernel,0,conv,x,a", "kernel,0,branch,4,a", /* behind which comes branch 3 */
                                       "conv,0,0,a"};
    const struct ei_et_profile et = sample_et_profile(3);
    struct ei_et_kernels kernels = {.count = 3, .list = sample_kernels}, back = {0};
    struct ei_et_profile et_back;
    struct einet_error err = {.code = 0};
    EI_EQ(ei_et_profile_write_kernels(path_of("et.csv"), &et, &kernels, &err), 0);
    size_t size;
    char *bytes = get_file(path_of("et.csv"), &size), *row = strstr(bytes, "kernel,0,conv,0,");
    EI_REQUIRE(row != NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[8192];
        const int length =
            snprintf(text, sizeof text, "%.*s%s%s", (int)(row - bytes), bytes, rows[i], strchr(row, '\n'));
        put_file(path_of("cut"), text, (size_t)length);
        EI_EQ(ei_et_profile_read_kernels(path_of("cut"), &et_back, &back, &err), EINET_E_FILE);
        EI_CONTAINS(err.text, "of 3 kernels");
    }
    free(bytes);
    kernels.list = (struct ei_et_kernel[]){{.name = "a"}, {.name = "a"}};
    kernels.count = 2;
    EI_EQ(ei_et_profile_write_kernels(path_of("et.csv"), &et, &kernels, &err), EINET_E_USAGE);
    kernels.list = (struct ei_et_kernel[]){{.exit_idx = 3, .name = "a"}};
    kernels.count = 1;
    EI_EQ(ei_et_profile_write_kernels(path_of("et.csv"), &et, &kernels, &err), EINET_E_USAGE);
}

EI_TEST(cs_file_round_trip)
{
    static const int32_t shapes[][3] = {{1, 1, 2}, {3, 100, 10}, {64, 9, 256}, {5, 50, 257}, {2, 33, 65536}};
    for (size_t c = 0; c < sizeof shapes / sizeof shapes[0]; c++) {
        struct ei_cs_profile cs, back = {.exits = 0};
        struct einet_error err = {.code = 0};
        EI_REQUIRE(sample_cs_profile(&cs, shapes[c][0], shapes[c][1], shapes[c][2]) == 0);
        cs.precision = c % 2 == 0 ? EI_PROFILE_BFLOAT16 : EI_PROFILE_FLOAT32;
        cs.mean_score[0] = NAN; /* the writer computes it anew */
        EI_EQ(ei_cs_profile_write(path_of("cs.bin"), &cs, &err), 0);
        EI_EQ(ei_cs_profile_read(path_of("cs.bin"), &back, &err), 0);
        EI_STREQ(err.text, "");
        EI_REQUIRE(back.exits == cs.exits && back.samples == cs.samples && back.classes == cs.classes);
        ei_cs_profile_summarize(&cs);
        const size_t samples = (size_t)cs.samples, answers = samples * (size_t)cs.exits;
        EI_TRUE(memcmp(back.label, cs.label, samples * 2) == 0);
        EI_TRUE(memcmp(back.confidence, cs.confidence, answers * 2) == 0);
        EI_TRUE(memcmp(back.top_label, cs.top_label, answers * 2) == 0);
        EI_TRUE(memcmp(back.mean_score, cs.mean_score, sizeof cs.mean_score) == 0);
        EI_TRUE(memcmp(back.accuracy, cs.accuracy, sizeof cs.accuracy) == 0);
        EI_EQ(back.precision, cs.precision);
        EI_STREQ(back.dataset, cs.dataset);
        EI_STREQ(back.split, cs.split);
        EI_STREQ(back.network, cs.network);
        EI_STREQ(back.weights_sha256, cs.weights_sha256);
        ei_cs_profile_fini(&cs);
        ei_cs_profile_fini(&back);
    }
}

EI_TEST(files_truncated_anywhere_are_refused)
{
    const struct ei_et_profile et = sample_et_profile(3);
    struct ei_cs_profile cs, cs_back = {.exits = 0};
    struct ei_et_profile et_back = {.exits = -7};
    EI_REQUIRE(sample_cs_profile(&cs, 3, 20, 10) == 0);
    EI_EQ(ei_et_profile_write(path_of("et.csv"), &et, NULL), 0);
    EI_EQ(ei_cs_profile_write(path_of("cs.bin"), &cs, NULL), 0);
    size_t size;
    char *bytes = get_file(path_of("et.csv"), &size);
    put_file(path_of("cut"), bytes, size);
    for (size_t cut = size; cut-- > 0;) {
        EI_EQ(truncate(path_of("cut"), (off_t)cut), 0);
        struct einet_error err = {.code = 0};
        const int status = ei_et_profile_read(path_of("cut"), &et_back, &err);
        EI_TRUEF(status == EINET_E_FILE && err.text[0] != 0, "ET-profile cut to %zu bytes: %d", cut, status);
    }
    EI_EQ(et_back.exits, -7);
    free(bytes);
    bytes = get_file(path_of("cs.bin"), &size);
    put_file(path_of("cut"), bytes, size);
    for (size_t cut = size; cut-- > 0;) {
        EI_EQ(truncate(path_of("cut"), (off_t)cut), 0);
        struct einet_error err = {.code = 0};
        const int status = ei_cs_profile_read(path_of("cut"), &cs_back, &err);
        EI_TRUEF(status == EINET_E_FILE && err.text[0] != 0, "CS-profile cut to %zu bytes: %d", cut, status);
    }
    bytes[size] = 0;
    put_file(path_of("cut"), bytes, size + 1);
    EI_EQ(ei_cs_profile_read(path_of("cut"), &cs_back, NULL), EINET_E_FILE);
    EI_TRUE(cs_back.label == NULL);
    free(bytes);
    ei_cs_profile_fini(&cs);
}

/* One edit of a text and what the reader has to say about it. */
struct damage {
    const char *from, *to;
    int code, line;
    const char *says;
};

/* Write `bytes` with the first `from` replaced; the caller frees nothing. */
static void put_damaged(const char *path, const char *bytes, size_t size, const struct damage *d)
{
    const size_t from = strlen(d->from), to = strlen(d->to);
    char *at = memmem(bytes, size, d->from, from);
    EI_TRUEF(at != NULL, "the file holds no \"%s\"", d->from);
    if (!at) {
        return;
    }
    const size_t before = (size_t)(at - bytes);
    char *changed = malloc(size + to + 1);
    memcpy(changed, bytes, before);
    memcpy(changed + before, d->to, to);
    memcpy(changed + before + to, at + from, size - before - from);
    put_file(path, changed, size - from + to);
    free(changed);
}

static void expect_damage(const struct damage *d, int status, const struct einet_error *err)
{
    EI_TRUEF(status == d->code && err->line == d->line, "\"%s\" -> \"%s\": code %d line %d, expected %d line %d: %s",
             d->from, d->to, status, err->line, d->code, d->line, err->text);
    EI_CONTAINS(err->text, d->says);
    EI_CONTAINS(err->file, "damaged");
}

EI_TEST(et_file_damage_is_named)
{
    static const struct damage damages[] = {
        {"et-profile 2", "at-profile 2", EINET_E_FILE, 1, "first line"},
        {"et-profile 2", "et-profile 1", EINET_E_FILE, 1, "version 1, written by an older einet"},
        {"et-profile 2", "et-profile 4", EINET_E_FILE, 1, "newer einet"},
        {"# network: b-alexnet\n", "", EINET_E_FILE, 0, "network"},
        {"# network: b-alexnet", "# network:", EINET_E_FILE, 0, "network is empty"},
        {"# network: b", "# network b", EINET_E_FILE, 2, "key: value"},
        {"# network: b", "# nutwork: b", EINET_E_FILE, 2, "nutwork"},
        {"# lane: cpu\n", "# lane: cpu\n# lane: cpu\n", EINET_E_FILE, 11, "lane"},
        {"0123456789abcdef0", "0123456789abcdex0", EINET_E_FILE, 0, "weights_sha256"},
        {"0123456789abcdef0", "0123456789abcdef00", EINET_E_FILE, 3, "weights_sha256"},
        {"0123456789abcdef0", "0123456789abcdef", EINET_E_FILE, 0, "weights_sha256"},
        {"precision: float32", "precision: float16", EINET_E_FILE, 4, "precision must be float32 or bfloat16"},
        {"policy: fifo", "policy: rr", EINET_E_FILE, 11, "policy must be other or fifo"},
        {"policy: fifo", "policy: other", EINET_E_FILE, 0, "priority is 50, must be 0"},
        {"priority: 50", "priority: 0", EINET_E_FILE, 0, "priority"},
        {"priority: 50", "priority: 100", EINET_E_FILE, 12, "priority"},
        {"memory: locked", "memory:", EINET_E_FILE, 14, "memory must be pageable or locked"},
        {"threads: 1", "threads: 0", EINET_E_FILE, 0, "threads"},
        {"threads: 1", "threads: -1", EINET_E_FILE, 15, "threads"},
        {"samples: 500", "samples: 99999999999999999999", EINET_E_FILE, 16, "samples"},
        {"samples: 500", "samples: nan", EINET_E_FILE, 16, "samples"},
        {"sequential", "warm", EINET_E_FILE, 17, "mode must be sequential or cold"},
        {"exits: 3", "exits: 65", EINET_E_LIMIT, 18, "exits"},
        {"exits: 3", "exits: 0", EINET_E_FILE, 18, "exits"},
        {"exits: 3", "exits: 2", EINET_E_FILE, 22, "more than"},
        {"exits: 3", "exits: 4", EINET_E_FILE, 23, "exit_idx 3 is missing"},
        {"conv_p50_ns,conv_p99_ns", "conv_p99_ns,conv_p50_ns", EINET_E_FILE, 19, "column"},
        {"\n1,1100,", "\n2,1100,", EINET_E_FILE, 21, "exit_idx must be 1"},
        {"\n1,1100,", "\n1,nan,", EINET_E_FILE, 21, "conv_p50_ns"},
        {"\n1,1100,", "\n1,-1100,", EINET_E_FILE, 21, "conv_p50_ns"},
        {"\n1,1100,", "\n1,1100.5,", EINET_E_FILE, 21, "conv_p50_ns"},
        {"\n1,1100,", "\n1, 1100,", EINET_E_FILE, 21, "conv_p50_ns"},
        {"\n1,1100,", "\n1,1000000000001,", EINET_E_FILE, 21, "conv_p50_ns"},
        {"\n1,1100,", "\n1,4000,", EINET_E_FILE, 0, "conv_p99_ns of exit_idx 1"},
        {",2002\n", ",902,1\n", EINET_E_FILE, 22, "branch_max_ns"},
        {",2002\n", "\n", EINET_E_FILE, 22, "branch_p99_ns"},
        {",2002\n", ",2002\n\n", EINET_E_FILE, 23, "more than"},
    };
    const struct ei_et_profile et = sample_et_profile(3);
    EI_EQ(ei_et_profile_write(path_of("et.csv"), &et, NULL), 0);
    size_t size;
    char *bytes = get_file(path_of("et.csv"), &size);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct ei_et_profile back;
        struct einet_error err = {.code = 0};
        put_damaged(path_of("damaged"), bytes, size, &damages[i]);
        expect_damage(&damages[i], ei_et_profile_read(path_of("damaged"), &back, &err), &err);
    }
    free(bytes);
}

EI_TEST(cs_file_damage_is_named)
{
    static const struct damage damages[] = {
        {"cs-profile 2", "et-profile 2", EINET_E_FILE, 1, "first line"},
        {"cs-profile 2", "cs-profile 1", EINET_E_FILE, 1, "written by an older einet"},
        {"cs-profile 2", "cs-profile 2x", EINET_E_FILE, 1, "first line"},
        {"dataset: generated\n", "", EINET_E_FILE, 0, "dataset"},
        {"split: test", "split: test\nsplit: test", EINET_E_FILE, 7, "split"},
        {"precision: float32", "precision: half", EINET_E_FILE, 4, "precision must be"},
        {"exits: 3", "exits: 65", EINET_E_LIMIT, 7, "exits"},
        {"exits: 3", "exits: 2", EINET_E_FILE, 0, "longer than samples"},
        {"exits: 3", "exits: 64", EINET_E_FILE, 0, "shorter than samples"},
        {"exits: 3", "exits: 0", EINET_E_FILE, 0, "exits"},
        {"samples: 20", "samples: 21", EINET_E_FILE, 0, "shorter than samples"},
        {"samples: 20", "samples: 10000000", EINET_E_FILE, 0, "cannot hold"},
        {"samples: 20", "samples: 10000001", EINET_E_FILE, 8, "samples"},
        {"samples: 20", "samples: 0", EINET_E_FILE, 0, "samples"},
        {"classes: 10", "classes: 1", EINET_E_FILE, 0, "classes"},
        {"classes: 10", "classes: 9", EINET_E_FILE, 0, "is 9"},
        {"classes: 10", "classes: 300", EINET_E_FILE, 0, "shorter than samples"},
        {"mean_score: 0.", "mean_score: 1.", EINET_E_FILE, 10, "mean_score"},
        {"mean_score: 0.", "mean_score: nan 0.", EINET_E_FILE, 10, "mean_score"},
        {"mean_score: 0.", "mean_score: 0.5 0.", EINET_E_FILE, 0, "mean_score has 4 values"},
        {"accuracy: 0.", "accuracy: 0.0", EINET_E_FILE, 0, "accuracy of exit_idx 0"},
        {"columns_bytes: ", "columns_bytes: 1", EINET_E_FILE, 0, "truncated"},
        {"columns_bytes: ", "columns_bytes: -", EINET_E_FILE, 12, "columns_bytes"},
        {"checksum_fnv1a64: ", "checksum_fnv1a64: 0", EINET_E_FILE, 13, "checksum_fnv1a64"},
        {"end\n", "End\n", EINET_E_FILE, 14, "key: value"},
    };
    struct ei_cs_profile cs;
    EI_REQUIRE(sample_cs_profile(&cs, 3, 20, 10) == 0);
    EI_EQ(ei_cs_profile_write(path_of("cs.bin"), &cs, NULL), 0);
    size_t size;
    char *bytes = get_file(path_of("cs.bin"), &size);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct ei_cs_profile back;
        struct einet_error err = {.code = 0};
        put_damaged(path_of("damaged"), bytes, size, &damages[i]);
        expect_damage(&damages[i], ei_cs_profile_read(path_of("damaged"), &back, &err), &err);
    }
    /* Every flipped bit of the columns is found. */
    const char *columns = (char *)memmem(bytes, size, "end\n", 4) + 4;
    for (size_t at = (size_t)(columns - bytes); at < size; at++) {
        struct ei_cs_profile back;
        struct einet_error err = {.code = 0};
        bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        put_file(path_of("damaged"), bytes, size);
        EI_EQ(ei_cs_profile_read(path_of("damaged"), &back, &err), EINET_E_FILE);
        EI_CONTAINS(err.text, "checksum");
        bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
    }
    free(bytes);
    ei_cs_profile_fini(&cs);
}

/* A CS-profile of 3 exits, 20 samples and 10 classes with other columns than its own, under a right checksum. */
static void put_columns(const uint8_t *columns, size_t size)
{
    struct ei_cs_profile cs;
    EI_REQUIRE(sample_cs_profile(&cs, 3, 20, 10) == 0);
    EI_EQ(ei_cs_profile_write(path_of("cs.bin"), &cs, NULL), 0);
    ei_cs_profile_fini(&cs);
    size_t good_size;
    char *good = get_file(path_of("cs.bin"), &good_size);
    char *at = strstr(good, "columns_bytes: ");
    FILE *f = fopen(path_of("damaged"), "wb");
    EI_REQUIRE(at != NULL && f != NULL);
    fwrite(good, 1, (size_t)(at - good), f);
    fprintf(f, "columns_bytes: %zu\nchecksum_fnv1a64: %016" PRIx64 "\nend\n", size, ei_file_checksum(columns, size));
    fwrite(columns, 1, size, f);
    fclose(f);
    free(good);
}

static void expect_columns(const uint8_t *columns, size_t size, const char *says)
{
    struct ei_cs_profile back = {.exits = -7};
    struct einet_error err = {.code = 0};
    put_columns(columns, size);
    EI_EQ(ei_cs_profile_read(path_of("damaged"), &back, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, says);
    EI_EQ(back.exits, -7);
}

/* Columns that were made wrong on purpose: their checksum is right, what they inflate to is not. */
EI_TEST(cs_columns_hold_exactly_what_the_counts_ask_for)
{
    enum { BOMB_BYTES = 32 * 1024 * 1024 };
    struct ei_cs_profile cs;
    uint8_t *columns;
    size_t size;
    EI_REQUIRE(sample_cs_profile(&cs, 3, 20, 10) == 0);
    EI_REQUIRE(ei_cs_columns_pack(&cs, &columns, &size) == 0);
    ei_cs_profile_fini(&cs);
    put_columns(columns, size);
    EI_EQ(ei_cs_profile_read(path_of("damaged"), &cs, NULL), 0); /* put_columns itself is right */
    ei_cs_profile_fini(&cs);
    expect_columns(columns, size - 5, "cut off");
    expect_columns(columns, 0, "cut off");
    uint8_t *more = calloc(1, BOMB_BYTES);
    EI_REQUIRE(more != NULL);
    memcpy(more, columns, size);
    expect_columns(more, size + 1, "bytes follow");
    memset(more, 0, size);
    expect_columns(more, size, "no zlib data");
    uLongf bomb_bytes = compressBound(BOMB_BYTES);
    uint8_t *bomb = malloc(bomb_bytes);
    EI_REQUIRE(bomb != NULL && compress2(bomb, &bomb_bytes, more, BOMB_BYTES, 9) == Z_OK);
    expect_columns(bomb, bomb_bytes, "longer than samples");
    free(bomb);
    free(more);
    free(columns);
}

/* 10 000 samples of 40 exits as a trained network answers them: most are sure, and sure early; a few keep wavering. */
EI_TEST(cs_file_is_compact)
{
    struct ei_cs_profile cs, back;
    struct ei_random rng;
    struct stat st;
    ei_random_init(&rng, 5, 0);
    EI_REQUIRE(ei_cs_profile_init(&cs, 40, 10000, 100, NULL) == 0);
    strcpy(cs.network, "msdnet-40");
    strcpy(cs.dataset, "cifar100");
    strcpy(cs.split, "test");
    for (int32_t s = 0; s < cs.samples; s++) {
        const double ease = ei_random_normal(&rng);
        int32_t top = (int32_t)ei_random_below(&rng, 100);
        cs.label[s] = (uint16_t)ei_random_below(&rng, 100);
        for (int32_t e = 0; e < cs.exits; e++) {
            const double z = 3.0 + 2.6 * ease + 0.06 * e + 0.35 * ei_random_normal(&rng);
            const double confidence = 0.01 + 0.99 / (1.0 + exp(-z));
            if (ei_random_below(&rng, 25) == 0) {
                top = ei_random_unit(&rng) < confidence ? cs.label[s] : (int32_t)ei_random_below(&rng, 100);
            }
            EI_REQUIRE(ei_cs_profile_set(&cs, s, e, (float)confidence, top) == 0);
        }
    }
    EI_EQ(ei_cs_profile_write(path_of("cs.bin"), &cs, NULL), 0);
    EI_EQ(stat(path_of("cs.bin"), &st), 0);
    EI_IN(st.st_size, 100000, 700000);
    EI_REQUIRE(ei_cs_profile_read(path_of("cs.bin"), &back, NULL) == 0);
    EI_TRUE(memcmp(back.confidence, cs.confidence, 400000 * sizeof *cs.confidence) == 0);
    EI_TRUE(memcmp(back.top_label, cs.top_label, 400000 * sizeof *cs.top_label) == 0);
    printf("%lld bytes\n", (long long)st.st_size);
    ei_cs_profile_fini(&cs);
    ei_cs_profile_fini(&back);
}

/* Any byte of either header changed at random: refused or accepted, never a crash or a leak (under the sanitizers). */
EI_TEST(files_survive_random_damage)
{
    const struct ei_et_profile et = sample_et_profile(5);
    struct ei_cs_profile cs;
    struct ei_random rng;
    ei_random_init(&rng, 77, 0);
    EI_REQUIRE(sample_cs_profile(&cs, 5, 10, 10) == 0);
    EI_EQ(ei_et_profile_write(path_of("et.csv"), &et, NULL), 0);
    EI_EQ(ei_cs_profile_write(path_of("cs.bin"), &cs, NULL), 0);
    ei_cs_profile_fini(&cs);
    size_t et_size, cs_size;
    char *et_bytes = get_file(path_of("et.csv"), &et_size), *cs_bytes = get_file(path_of("cs.bin"), &cs_size);
    int refused = 0;
    for (int round = 0; round < 800; round++) {
        char *bytes = round % 2 == 0 ? et_bytes : cs_bytes;
        const size_t size = round % 2 == 0 ? et_size : cs_size;
        const size_t at = ei_random_below(&rng, size);
        const char before = bytes[at];
        bytes[at] = (char)ei_random_below(&rng, 256);
        put_file(path_of("damaged"), bytes, size);
        struct ei_et_profile et_back;
        const int status = round % 2 == 0 ? ei_et_profile_read(path_of("damaged"), &et_back, NULL)
                                          : ei_cs_profile_read(path_of("damaged"), &cs, NULL);
        if (status == 0 && round % 2 == 1) {
            ei_cs_profile_fini(&cs);
        }
        refused += status != 0;
        bytes[at] = before;
    }
    EI_TRUEF(refused > 550, "%d of 800 refused", refused);
    free(et_bytes);
    free(cs_bytes);
}

EI_TEST(files_that_are_none_are_refused)
{
    struct ei_et_profile et;
    struct ei_cs_profile cs;
    struct einet_error err = {.code = 0};
    EI_EQ(ei_et_profile_read(path_of("missing"), &et, &err), -ENOENT);
    EI_EQ(ei_cs_profile_read(path_of("missing"), &cs, &err), -ENOENT);
    EI_CONTAINS(err.file, "missing");
    EI_EQ(ei_et_profile_read(ei_test_tmpdir(), &et, &err), EINET_E_FILE);
    EI_EQ(mkfifo(path_of("pipe"), 0600), 0);
    EI_EQ(ei_cs_profile_read(path_of("pipe"), &cs, &err), EINET_E_FILE);
    put_file(path_of("empty"), "", 0);
    EI_EQ(ei_et_profile_read(path_of("empty"), &et, &err), EINET_E_FILE);
    EI_EQ(ei_cs_profile_read(path_of("empty"), &cs, &err), EINET_E_FILE);
    char *zeros = calloc(1, 600000);
    put_file(path_of("large"), zeros, 600000);
    EI_EQ(ei_et_profile_read(path_of("large"), &et, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "larger");
    EI_EQ(ei_cs_profile_read(path_of("large"), &cs, &err), EINET_E_FILE);
    free(zeros);
}

EI_TEST(failed_writes_keep_what_was_there)
{
    struct ei_et_profile et = sample_et_profile(3), back;
    struct ei_cs_profile cs;
    struct einet_error err = {.code = 0};
    EI_EQ(ei_et_profile_write(path_of("et.csv"), &et, NULL), 0);
    et.conv[0].p50_ns = -5;
    EI_EQ(ei_et_profile_write(path_of("et.csv"), &et, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "conv_p50_ns");
    EI_EQ(ei_et_profile_read(path_of("et.csv"), &back, NULL), 0);
    et.conv[0].p50_ns = 5;
    EI_EQ(ei_et_profile_write(path_of("no/such/folder"), &et, &err), -ENOENT);
    /* The rename fails: the target is a folder. */
    EI_EQ(mkdir(path_of("folder"), 0700), 0);
    EI_EQ(ei_et_profile_write(path_of("folder"), &et, &err), -EISDIR);
    EI_REQUIRE(sample_cs_profile(&cs, 3, 20, 10) == 0);
    EI_EQ(ei_cs_profile_write(path_of("folder"), &cs, &err), -EISDIR);
    cs.label[0] = 10;
    EI_EQ(ei_cs_profile_write(path_of("cs.bin"), &cs, &err), EINET_E_USAGE);
    ei_cs_profile_fini(&cs);
    EI_EQ(leftovers(), 0);
    rmdir(path_of("folder"));
}

EI_TEST(profiles_print_for_people)
{
    const struct ei_et_profile et = sample_et_profile(3);
    struct ei_cs_profile cs;
    EI_REQUIRE(sample_cs_profile(&cs, 3, 20, 10) == 0);
    FILE *f = fopen(path_of("print"), "w");
    EI_REQUIRE(f != NULL);
    ei_et_profile_print(&et, f);
    ei_cs_profile_print(&cs, f);
    fclose(f);
    size_t size;
    char *text = get_file(path_of("print"), &size);
    EI_CONTAINS(text, "b-alexnet");
    EI_CONTAINS(text, "sequentially");
    EI_CONTAINS(text, "1.3"); /* ready_at_us of exit 1 */
    EI_CONTAINS(text, "20 samples of 10 classes");
    EI_CONTAINS(text, "accuracy_pct");
    free(text);
    ei_cs_profile_fini(&cs);
}
