/* CS-profiles: text header, compressed columns. Cold. */
#include "planner/profile_file.h"

#include "planner/profile_cs_columns.h"
#include "planner/profile_text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "einet cs-profile"
#define VERSION 2
#define HEADER_BYTES_MAX 8192
#define LINE_BYTES_MAX 2048
#define KEYS 12
#define SHARE_TOLERANCE 1e-6F

static const char *const precisions[] = {[EI_PROFILE_FLOAT32] = "float32", [EI_PROFILE_BFLOAT16] = "bfloat16"};

struct header {
    struct ei_key keys[KEYS];
    int64_t exits, samples, classes, precision, columns_bytes;
    int32_t mean_count, accuracy_count;
    uint64_t checksum;
};

static void header_init(struct header *header, struct ei_cs_profile *profile)
{
    header->exits = profile->exits;
    header->samples = profile->samples;
    header->classes = profile->classes;
    header->mean_count = header->accuracy_count = profile->exits;
    header->precision = profile->precision;
    header->columns_bytes = 0;
    header->checksum = 0;
    const struct ei_key keys[KEYS] = {
        {.name = "network", .type = EI_KEY_TEXT, .value = profile->network},
        {.name = "weights_sha256", .type = EI_KEY_SHA256, .value = profile->weights_sha256},
        {.name = "precision", .type = EI_KEY_WORD, .value = &header->precision, .words = precisions},
        {.name = "dataset", .type = EI_KEY_TEXT, .value = profile->dataset},
        {.name = "split", .type = EI_KEY_TEXT, .value = profile->split},
        {.name = "exits", .type = EI_KEY_COUNT, .value = &header->exits, .max = EI_EXITS_MAX},
        {.name = "samples", .type = EI_KEY_COUNT, .value = &header->samples, .max = EI_CS_SAMPLES_MAX},
        {.name = "classes", .type = EI_KEY_COUNT, .value = &header->classes, .max = EI_CS_CLASSES_MAX},
        {.name = "mean_score", .type = EI_KEY_SHARES, .value = profile->mean_score, .count = &header->mean_count},
        {.name = "accuracy", .type = EI_KEY_SHARES, .value = profile->accuracy, .count = &header->accuracy_count},
        {.name = "columns_bytes", .type = EI_KEY_COUNT, .value = &header->columns_bytes, .max = INT64_MAX},
        {.name = "checksum_fnv1a64", .type = EI_KEY_HEX64, .value = &header->checksum},
    };
    memcpy(header->keys, keys, sizeof keys);
}

/* ---- reading ---- */

static int read_header(struct ei_lines *lines, struct header *header, struct einet_error *err)
{
    char text[LINE_BYTES_MAX];
    int status = ei_lines_take_magic(lines, FORMAT, VERSION, err);
    while (status == 0) {
        status = ei_lines_take(lines, text, sizeof text, err);
        if (status == 0 && strcmp(text, "end") == 0) {
            return ei_keys_complete(header->keys, KEYS, lines->path, err);
        }
        if (status == 0) {
            status = ei_keys_read(header->keys, KEYS, lines, text, err);
        }
    }
    return status;
}

/* The shares of the header are there for people; they must say what the columns say. */
static int shares_match(const char *path, const char *field, const float *stored, int32_t stored_count,
                        const float *computed, int32_t exits, struct einet_error *err)
{
    if (stored_count != exits) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "%s has %d values, but exits is %d", field,
                                  stored_count, exits);
    }
    for (int32_t e = 0; e < exits; e++) {
        if (fabsf(stored[e] - computed[e]) > SHARE_TOLERANCE) {
            return einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                      "%s of exit_idx %d is %g, but the columns yield %g", field, e, (double)stored[e],
                                      (double)computed[e]);
        }
    }
    return 0;
}

/* Before anything is allocated: a damaged count must not ask for gigabytes. */
static int columns_fit(const struct ei_lines *lines, const struct header *header, struct einet_error *err)
{
    const size_t left = (size_t)(lines->end - lines->at);
    if ((uint64_t)left != (uint64_t)header->columns_bytes) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, 0, 0,
                                  "%zu bytes follow the header, but columns_bytes is %lld: the file is %s", left,
                                  (long long)header->columns_bytes,
                                  (uint64_t)left < (uint64_t)header->columns_bytes ? "truncated" : "too long");
    }
    const size_t need = ei_cs_columns_bytes((int32_t)header->exits, (int32_t)header->samples, (int32_t)header->classes);
    if (!ei_cs_columns_plausible(need, left)) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, 0, 0,
                                  "%zu compressed bytes cannot hold the %zu that samples, exits and classes ask for: "
                                  "the file is damaged",
                                  left, need);
    }
    return 0;
}

static int read_columns(const struct ei_lines *lines, const struct header *header, struct ei_cs_profile *profile,
                        struct einet_error *err)
{
    const uint8_t *bytes = (const uint8_t *)lines->at;
    const size_t size = (size_t)(lines->end - lines->at);
    if (ei_file_checksum(bytes, size) != header->checksum) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, 0, 0,
                                  "checksum_fnv1a64 differs from that of the columns: the file is damaged");
    }
    const char *said = "no memory for the columns";
    const int status = ei_cs_columns_unpack(bytes, size, profile, &said);
    if (status != 0) {
        return einet_error_set_at(err, status, lines->path, 0, 0, "%s", said);
    }
    struct einet_error fault = {.code = 0};
    if (ei_cs_profile_check(profile, &fault) != 0) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, 0, 0, "%s", fault.text);
    }
    return 0;
}

static int parse(struct ei_lines *lines, struct ei_cs_profile *out, struct einet_error *err)
{
    struct ei_cs_profile read = {.exits = 0};
    struct header header;
    header_init(&header, &read);
    int status = read_header(lines, &header, err);
    if (status != 0) {
        return status;
    }
    struct einet_error fault = {.code = 0};
    struct ei_cs_profile profile;
    read.exits = (int32_t)header.exits;
    read.samples = (int32_t)header.samples;
    read.classes = (int32_t)header.classes;
    if (read.exits >= 1 && read.samples >= 1 && read.classes >= 2) {
        status = columns_fit(lines, &header, err);
        if (status != 0) {
            return status;
        }
    }
    const int code = ei_cs_profile_init(&profile, read.exits, read.samples, read.classes, &fault);
    if (code != 0) {
        return einet_error_set_at(err, code == EINET_E_USAGE ? EINET_E_FILE : code, lines->path, 0, 0, "%s",
                                  fault.text);
    }
    profile.precision = (enum ei_profile_precision)header.precision;
    memcpy(profile.network, read.network, sizeof profile.network);
    memcpy(profile.dataset, read.dataset, sizeof profile.dataset);
    memcpy(profile.split, read.split, sizeof profile.split);
    memcpy(profile.weights_sha256, read.weights_sha256, sizeof profile.weights_sha256);
    status = read_columns(lines, &header, &profile, err);
    if (status == 0) {
        ei_cs_profile_summarize(&profile);
        status = shares_match(lines->path, "mean_score", read.mean_score, header.mean_count, profile.mean_score,
                              profile.exits, err);
    }
    if (status == 0) {
        status = shares_match(lines->path, "accuracy", read.accuracy, header.accuracy_count, profile.accuracy,
                              profile.exits, err);
    }
    if (status != 0) {
        ei_cs_profile_fini(&profile);
        return status;
    }
    *out = profile;
    return 0;
}

int ei_cs_profile_read(const char *path, struct ei_cs_profile *out, struct einet_error *err)
{
    /* Incompressible columns grow by 5 bytes per 16 KiB. */
    const size_t columns_max = ei_cs_columns_bytes(EI_EXITS_MAX, EI_CS_SAMPLES_MAX, EI_CS_CLASSES_MAX);
    const size_t size_max = HEADER_BYTES_MAX + columns_max + columns_max / 1024;
    char *bytes;
    size_t size;
    int status = ei_file_load(path, size_max, &bytes, &size, err);
    if (status != 0) {
        return status;
    }
    struct ei_lines lines = {.path = path, .at = bytes, .end = bytes + size};
    status = parse(&lines, out, err);
    free(bytes);
    return status;
}

/* ---- writing ---- */

int ei_cs_profile_write(const char *path, const struct ei_cs_profile *profile, struct einet_error *err)
{
    int status = ei_cs_profile_check(profile, err);
    if (status != 0) {
        return status;
    }
    struct ei_cs_profile copy = *profile; /* shares the arrays; the header's figures are computed anew */
    ei_cs_profile_summarize(&copy);
    uint8_t *columns;
    size_t size;
    status = ei_cs_columns_pack(profile, &columns, &size);
    if (status != 0) {
        return einet_error_set_at(err, status, path, 0, 0, "no memory for %d samples of %d exits", profile->samples,
                                  profile->exits);
    }
    struct ei_file_draft draft;
    status = ei_file_draft_open(&draft, path, err);
    if (status == 0) {
        struct header header;
        header_init(&header, &copy);
        header.columns_bytes = (int64_t)size;
        header.checksum = ei_file_checksum(columns, size);
        fprintf(draft.stream, "%s %d\n", FORMAT, VERSION);
        ei_keys_write(header.keys, KEYS, "", draft.stream);
        fprintf(draft.stream, "end\n");
        fwrite(columns, 1, size, draft.stream); /* an error sticks to the stream; finish reports it */
        status = ei_file_draft_finish(&draft, err);
    }
    free(columns);
    return status;
}
