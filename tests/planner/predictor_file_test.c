/* Predictor files: round trips, every truncation, every damaged byte, errors that name file, line and field. */
#include "planner/predictor_file.h"

#include "tests/harness/harness.h"
#include "tests/planner/sample_predictor.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1 << 20)

static char path_buffer[4096];

static const char *path_of(const char *name)
{
    snprintf(path_buffer, sizeof path_buffer, "%s/%s", ei_test_tmpdir(), name);
    return path_buffer;
}

static struct ei_predictor sample(int32_t exits, int32_t hidden)
{
    struct ei_random rng;
    ei_random_init(&rng, 21, 0);
    return sample_predictor(&rng, exits, hidden);
}

static void put_file(const char *bytes, size_t size)
{
    FILE *f = fopen(path_of("damaged"), "wb");
    EI_REQUIRE(f != NULL);
    EI_EQ(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

/* The bytes of a small predictor's file; static. */
static char *sample_bytes(size_t *out_size)
{
    static char bytes[FILE_BYTES_MAX + 1];
    const struct ei_predictor p = sample(3, 16);
    EI_EQ(ei_predictor_write(path_of("sample"), &p, NULL), 0);
    FILE *f = fopen(path_of("sample"), "rb");
    *out_size = f ? fread(bytes, 1, FILE_BYTES_MAX, f) : 0;
    if (f) {
        fclose(f);
    }
    EI_TRUE(*out_size > 0);
    bytes[*out_size] = 0;
    return bytes;
}

EI_TEST(predictor_file_round_trip)
{
    for (int32_t exits = 1; exits <= EI_EXITS_MAX; exits += 21) {
        struct ei_predictor p = sample(exits, exits == 1 ? 16 : 128), back;
        struct einet_error err = {.code = 0};
        memset(&back, 0x55, sizeof back);
        p.target = exits == 1 ? EI_SCORE_CORRECT : EI_SCORE_CONFIDENCE;
        p.split_seed = exits == 1 ? INT64_MAX : 1;
        p.weights_sha256[0] = exits == 1 ? 0 : 'a';
        EI_EQ(ei_predictor_write(path_of("p"), &p, &err), 0);
        EI_EQ(ei_predictor_read(path_of("p"), &back, &err), 0);
        EI_STREQ(err.text, "");
        EI_EQ(back.exits, p.exits);
        EI_EQ(back.hidden, p.hidden);
        EI_EQ(back.target, p.target);
        EI_TRUE(back.split_seed == p.split_seed);
        EI_STREQ(back.network, p.network);
        EI_STREQ(back.dataset, p.dataset);
        EI_STREQ(back.weights_sha256, p.weights_sha256);
        EI_TRUE(memcmp(back.mean_score, p.mean_score, sizeof p.mean_score) == 0);
        EI_TRUE(memcmp(back.temperature, p.temperature, sizeof p.temperature) == 0);
        EI_TRUE(memcmp(back.w1, p.w1, sizeof p.w1) == 0);
        EI_TRUE(memcmp(back.b1, p.b1, sizeof p.b1) == 0);
        EI_TRUE(memcmp(back.w2, p.w2, sizeof p.w2) == 0);
        EI_TRUE(memcmp(back.b2, p.b2, sizeof p.b2) == 0);
        EI_TRUE(memcmp(back.slope, p.slope, sizeof p.slope) == 0);
        EI_TRUE(memcmp(back.offset, p.offset, sizeof p.offset) == 0);
    }
}

/* No prefix of a file is a file, none with an additional byte, and no flipped bit stays unseen. */
EI_TEST(predictor_file_damage_is_an_error)
{
    size_t size;
    char *bytes = sample_bytes(&size);
    const struct ei_predictor untouched = sample(5, 32);
    struct ei_predictor p = untouched;
    for (size_t cut = 0; cut < size; cut += cut < 512 ? 1 : 13) {
        struct einet_error err = {.code = 0};
        put_file(bytes, cut);
        EI_EQ(ei_predictor_read(path_of("damaged"), &p, &err), EINET_E_FILE);
        EI_STREQ(err.file, path_of("damaged"));
        EI_TRUEF(err.text[0] != 0, "cut at %zu: no sentence", cut);
    }
    put_file(bytes, size + 1);
    EI_EQ(ei_predictor_read(path_of("damaged"), &p, NULL), EINET_E_FILE);
    for (size_t at = (size_t)(strstr(bytes, "\nend\n") - bytes) + 5; at < size; at++) {
        bytes[at] = (char)(bytes[at] ^ 1 << at % 8);
        struct einet_error err = {.code = 0};
        put_file(bytes, size);
        EI_EQ(ei_predictor_read(path_of("damaged"), &p, &err), EINET_E_FILE);
        EI_CONTAINS(err.text, "checksum");
        bytes[at] = (char)(bytes[at] ^ 1 << at % 8);
    }
    EI_TRUE(memcmp(&p, &untouched, sizeof p) == 0);
}

/* Replace the first `old` in the sample file by `new`, read it, and expect code, line and words. */
static void refuse(const char *old, const char *new, int code, int line, const char *words)
{
    size_t size;
    const char *bytes = sample_bytes(&size);
    const char *at = strstr(bytes, old);
    EI_REQUIRE(at != NULL);
    char *changed = malloc(size + strlen(new));
    const size_t before = (size_t)(at - bytes), after = size - before - strlen(old);
    memcpy(changed, bytes, before);
    memcpy(changed + before, new, strlen(new));
    memcpy(changed + before + strlen(new), at + strlen(old), after);
    put_file(changed, before + strlen(new) + after);
    free(changed);
    struct ei_predictor p;
    struct einet_error err = {.code = 0};
    const int rc = ei_predictor_read(path_of("damaged"), &p, &err);
    EI_TRUEF(rc == code && err.line == line, "'%s' for '%s': %d, line %d: %s", new, old, rc, err.line, err.text);
    EI_STREQ(err.file, path_of("damaged"));
    EI_CONTAINS(err.text, words);
}

EI_TEST(predictor_file_errors_name_line_and_field)
{
    refuse("einet cs-predictor 2", "einet cs-predictor 3", EINET_E_FILE, 1, "first line");
    refuse("einet cs-predictor 2", "einet cs-predictor 1", EINET_E_FILE, 1, "make it anew with einet predictor train");
    refuse("network: b-alexnet", "network:", EINET_E_FILE, 0, "network");
    refuse("network: b-alexnet\n", "", EINET_E_FILE, 0, "lacks network");
    refuse("weights_sha256: aa", "weights_sha256: a", EINET_E_FILE, 0, "weights_sha256");
    refuse("dataset: cifar10", "network: cifar10", EINET_E_FILE, 4, "network stands here again");
    refuse("target: confidence", "target: certainty", EINET_E_FILE, 5, "target");
    refuse("exits: 3", "exits: 65", EINET_E_LIMIT, 6, "exits");
    refuse("exits: 3", "exits: 0", EINET_E_FILE, 6, "exits");
    refuse("exits: 3", "exits: 4", EINET_E_FILE, 9, "mean_score has 3 values");
    refuse("exits: 3", "exits: three", EINET_E_FILE, 6, "exits");
    refuse("hidden: 16", "hidden: 0", EINET_E_FILE, 7, "hidden");
    refuse("hidden: 16", "hidden: 17", EINET_E_FILE, 7, "hidden");
    refuse("hidden: 16", "hidden: 144", EINET_E_FILE, 7, "hidden");
    refuse("hidden: 16", "hidden: 32", EINET_E_FILE, 0, "truncated");
    refuse("split_seed: 7", "split_seed: -7", EINET_E_FILE, 8, "split_seed");
    refuse("mean_score: 0.5", "mean_score: nan", EINET_E_FILE, 9, "mean_score");
    refuse("mean_score: 0.5", "mean_score: 1.5", EINET_E_FILE, 9, "mean_score");
    refuse("checksum_fnv1a64: ", "checksum_fnv1a64: 0", EINET_E_FILE, 10, "checksum_fnv1a64");
    refuse("end\n", "other: 1\nend\n", EINET_E_FILE, 11, "unknown key other");
    refuse("end\n", "no colon\nend\n", EINET_E_FILE, 11, "key: value");
}

/* Columns that are no predictor although their checksum is right. */
EI_TEST(predictor_file_refuses_bad_weights)
{
    struct ei_predictor good = sample(3, 16), bad = good;
    struct einet_error err = {.code = 0};
    bad.w1[1][2] = NAN;
    EI_EQ(ei_predictor_write(path_of("bad"), &bad, &err), EINET_E_USAGE);
    EI_CONTAINS(err.text, "w1[1][2]");
    EI_TRUE(access(path_of("bad"), F_OK) != 0);

    /* Temperatures stand first: the sign of the last one's float, and the checksum to match. */
    size_t size;
    char *bytes = sample_bytes(&size);
    char *columns = strstr(bytes, "\nend\n") + 5;
    columns[11] = (char)(columns[11] ^ 0x80);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (char *at = columns; at < bytes + size; at++) {
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    }
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    memcpy(columns - 5 - 16, text, 16);
    put_file(bytes, size);
    EI_EQ(ei_predictor_read(path_of("damaged"), &good, &err), EINET_E_FILE);
    EI_CONTAINS(err.text, "temperature[2]");
    EI_STREQ(err.file, path_of("damaged"));
}

EI_TEST(predictor_file_system_errors)
{
    struct ei_predictor p = sample(3, 16);
    struct einet_error err = {.code = 0};
    EI_EQ(ei_predictor_read(path_of("none"), &p, &err), -ENOENT);
    EI_CONTAINS(err.file, "none");
    EI_EQ(ei_predictor_read(ei_test_tmpdir(), &p, &err), EINET_E_FILE);
    EI_EQ(ei_predictor_write(path_of("no/such/folder"), &p, &err), -ENOENT);
}

EI_TEST(predictor_match_names_both_sides)
{
    const struct ei_predictor p = sample(3, 16);
    struct einet_error err = {.code = 0};
    EI_EQ(ei_predictor_match(&p, "b-alexnet", 3, p.weights_sha256, &err), 0);
    EI_EQ(ei_predictor_match(&p, NULL, 3, NULL, &err), 0);
    EI_EQ(ei_predictor_match(&p, "", 3, "", &err), 0);
    EI_EQ(ei_predictor_match(&p, "vgg16", 3, NULL, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "vgg16");
    EI_EQ(ei_predictor_match(&p, "b-alexnet", 4, NULL, &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "exits");
    EI_EQ(ei_predictor_match(&p, "b-alexnet", 3, "bbbb", &err), EINET_E_MISMATCH);
    EI_CONTAINS(err.text, "weights_sha256");
}
