/* CS-predictors: text header, little-endian float32 columns. Cold. */
#include "planner/predictor_file.h"

#include "planner/profile_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "einet cs-predictor 2"
#define MAGIC_BEFORE "einet cs-predictor 1" /* without slope and offset */
#define LINE_BYTES_MAX 2048
#define FLOATS_MAX (EI_EXITS_MAX * (2 * EI_PREDICTOR_HIDDEN_MAX + 1 + EI_EXITS_MAX) + EI_PREDICTOR_HIDDEN_MAX)
#define FILE_BYTES_MAX (16384 + 4 * (size_t)FLOATS_MAX)

enum key { NETWORK, WEIGHTS_SHA256, DATASET, TARGET, EXITS, HIDDEN, SPLIT_SEED, MEAN_SCORE, CHECKSUM, KEYS };

struct header {
    struct ei_key keys[KEYS];
    int64_t exits, hidden, split_seed;
    int32_t mean_count;
    char target[EI_PROFILE_TEXT_MAX];
    uint64_t checksum;
};

static const char *const targets[] = {[EI_SCORE_CONFIDENCE] = "confidence", [EI_SCORE_CORRECT] = "correct"};

static void header_init(struct header *header, struct ei_predictor *p)
{
    header->exits = p->exits;
    header->hidden = p->hidden;
    header->split_seed = (int64_t)p->split_seed;
    header->mean_count = p->exits;
    header->checksum = 0;
    snprintf(header->target, sizeof header->target, "%s", targets[p->target]);
    const struct ei_key keys[KEYS] = {
        [NETWORK] = {.name = "network", .type = EI_KEY_TEXT, .value = p->network},
        [WEIGHTS_SHA256] = {.name = "weights_sha256", .type = EI_KEY_SHA256, .value = p->weights_sha256},
        [DATASET] = {.name = "dataset", .type = EI_KEY_TEXT, .value = p->dataset},
        [TARGET] = {.name = "target", .type = EI_KEY_TEXT, .value = header->target},
        [EXITS] = {.name = "exits", .type = EI_KEY_COUNT, .value = &header->exits, .max = EI_EXITS_MAX},
        [HIDDEN] = {.name = "hidden", .type = EI_KEY_COUNT, .value = &header->hidden, .max = EI_PREDICTOR_HIDDEN_MAX},
        [SPLIT_SEED] = {.name = "split_seed", .type = EI_KEY_COUNT, .value = &header->split_seed, .max = INT64_MAX},
        [MEAN_SCORE] = {.name = "mean_score",
                        .type = EI_KEY_SHARES,
                        .value = p->mean_score,
                        .count = &header->mean_count},
        [CHECKSUM] = {.name = "checksum_fnv1a64", .type = EI_KEY_HEX64, .value = &header->checksum},
    };
    memcpy(header->keys, keys, sizeof keys);
}

/* ---- columns: temperature, w1, b1, w2, b2, then slope and offset of every pair of a last exit and a later one ---- */

static size_t float_count(const struct ei_predictor *p)
{
    const size_t n = (size_t)p->exits, h = (size_t)p->hidden;
    return n + 2 * n * h + h + n + n * (n - 1);
}

/* Call visit for each float of the columns, in their order. */
static void each_float(struct ei_predictor *p, void (*visit)(float *value, void *context), void *context)
{
    for (int32_t i = 0; i < p->exits; i++) {
        visit(&p->temperature[i], context);
    }
    for (int32_t i = 0; i < p->exits; i++) {
        for (int32_t h = 0; h < p->hidden; h++) {
            visit(&p->w1[i][h], context);
        }
    }
    for (int32_t h = 0; h < p->hidden; h++) {
        visit(&p->b1[h], context);
    }
    for (int32_t h = 0; h < p->hidden; h++) {
        for (int32_t i = 0; i < p->exits; i++) {
            visit(&p->w2[i][h], context);
        }
    }
    for (int32_t i = 0; i < p->exits; i++) {
        visit(&p->b2[i], context);
    }
    for (int32_t last = 0; last < p->exits; last++) {
        for (int32_t i = last + 1; i < p->exits; i++) {
            visit(&p->slope[last][i], context);
            visit(&p->offset[last][i], context);
        }
    }
}

static void put_float(float *value, void *context)
{
    uint8_t **at = context;
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    for (int shift = 0; shift < 32; shift += 8) {
        *(*at)++ = (uint8_t)(bits >> shift);
    }
}

static void take_float(float *value, void *context)
{
    const uint8_t **at = context;
    uint32_t bits = 0;
    for (int shift = 0; shift < 32; shift += 8) {
        bits |= (uint32_t) * (*at)++ << shift;
    }
    memcpy(value, &bits, sizeof bits);
}

/* ---- reading ---- */

static int read_header(struct ei_lines *lines, struct header *header, struct einet_error *err)
{
    char text[LINE_BYTES_MAX];
    int status = ei_lines_take(lines, text, sizeof text, err);
    if (status == 0 && strcmp(text, MAGIC_BEFORE) == 0) {
        return einet_error_set_at(
            err, EINET_E_FILE, lines->path, 1, 0,
            "`%s` is of an earlier version, whose guesses made plans stop too early; make it anew "
            "with einet predictor train",
            MAGIC_BEFORE);
    }
    if (status == 0 && strcmp(text, MAGIC) != 0) {
        status = einet_error_set_at(err, EINET_E_FILE, lines->path, 1, 0, "the first line is not `%s`", MAGIC);
    }
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

/* What the keys' types cannot say, before the columns are read. */
static int header_fits(const struct ei_lines *lines, const struct header *header, struct einet_error *err)
{
    const struct ei_key *keys = header->keys;
    if (strcmp(header->target, "confidence") != 0 && strcmp(header->target, "correct") != 0) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, keys[TARGET].line, 0,
                                  "target is '%.40s', must be confidence or correct", header->target);
    }
    if (header->exits == 0) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, keys[EXITS].line, 0, "exits is 0, must be 1..%d",
                                  EI_EXITS_MAX);
    }
    if (header->hidden == 0 || header->hidden % 16 != 0) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, keys[HIDDEN].line, 0,
                                  "hidden is %d, must be a multiple of 16 within 16..%d", (int)header->hidden,
                                  EI_PREDICTOR_HIDDEN_MAX);
    }
    if (header->mean_count != header->exits) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, keys[MEAN_SCORE].line, 0,
                                  "mean_score has %d values, but exits is %d", header->mean_count, (int)header->exits);
    }
    return 0;
}

static int columns_fit(const struct ei_lines *lines, const struct header *header, const struct ei_predictor *p,
                       struct einet_error *err)
{
    const size_t left = (size_t)(lines->end - lines->at), need = 4 * float_count(p);
    if (left != need) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, 0, 0,
                                  "%zu bytes follow the header, but exits and hidden ask for %zu: the file is %s", left,
                                  need, left < need ? "truncated" : "too long");
    }
    if (ei_file_checksum((const uint8_t *)lines->at, need) != header->checksum) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, header->keys[CHECKSUM].line, 0,
                                  "checksum_fnv1a64 differs from that of the columns: the file is damaged");
    }
    return 0;
}

static int parse(struct ei_lines *lines, struct ei_predictor *out, struct einet_error *err)
{
    struct header header;
    struct einet_error fault = {.code = 0};
    header_init(&header, out);
    int status = read_header(lines, &header, err);
    if (status == 0) {
        status = header_fits(lines, &header, err);
    }
    if (status == 0) {
        out->exits = (int32_t)header.exits;
        out->hidden = (int32_t)header.hidden;
        out->split_seed = (uint64_t)header.split_seed;
        out->target = strcmp(header.target, "correct") == 0 ? EI_SCORE_CORRECT : EI_SCORE_CONFIDENCE;
        status = columns_fit(lines, &header, out, err);
    }
    if (status != 0) {
        return status;
    }
    const uint8_t *at = (const uint8_t *)lines->at;
    each_float(out, take_float, &at);
    const int code = ei_predictor_check(out, &fault);
    if (code != 0) {
        return einet_error_set_at(err, code == EINET_E_USAGE ? EINET_E_FILE : code, lines->path, 0, 0, "%s",
                                  fault.text);
    }
    return 0;
}

int ei_predictor_read(const char *path, struct ei_predictor *out, struct einet_error *err)
{
    char *bytes;
    size_t size;
    int status = ei_file_load(path, FILE_BYTES_MAX, &bytes, &size, err);
    if (status != 0) {
        return status;
    }
    struct ei_predictor *read = calloc(1, sizeof *read);
    if (!read) {
        free(bytes);
        return einet_error_set_at(err, -ENOMEM, path, 0, 0, "no memory for a predictor");
    }
    struct ei_lines lines = {.path = path, .at = bytes, .end = bytes + size};
    status = parse(&lines, read, err);
    if (status == 0) {
        *out = *read;
    }
    free(read);
    free(bytes);
    return status;
}

/* ---- writing ---- */

int ei_predictor_write(const char *path, const struct ei_predictor *predictor, struct einet_error *err)
{
    int status = ei_predictor_check(predictor, err);
    if (status != 0) {
        return status;
    }
    const size_t size = 4 * float_count(predictor);
    struct ei_predictor *copy = malloc(sizeof *copy);
    uint8_t *columns = malloc(size);
    if (!copy || !columns) {
        free(copy);
        free(columns);
        return einet_error_set_at(err, -ENOMEM, path, 0, 0, "no memory for %zu bytes", size);
    }
    *copy = *predictor;
    uint8_t *at = columns;
    each_float(copy, put_float, &at);
    struct ei_file_draft draft;
    status = ei_file_draft_open(&draft, path, err);
    if (status == 0) {
        struct header header;
        header_init(&header, copy);
        header.checksum = ei_file_checksum(columns, size);
        fprintf(draft.stream, "%s\n", MAGIC);
        ei_keys_write(header.keys, KEYS, "", draft.stream);
        fprintf(draft.stream, "end\n");
        fwrite(columns, 1, size, draft.stream); /* an error sticks to the stream; finish reports it */
        status = ei_file_draft_finish(&draft, err);
    }
    free(copy);
    free(columns);
    return status;
}

int ei_predictor_match(const struct ei_predictor *predictor, const char *network, int32_t exits,
                       const char *weights_sha256, struct einet_error *err)
{
    if (network && network[0] != '\0' && strcmp(predictor->network, network) != 0) {
        return einet_error_set(err, EINET_E_MISMATCH, "network: the predictor is of %s, the network is %s",
                               predictor->network, network);
    }
    if (predictor->exits != exits) {
        return einet_error_set(err, EINET_E_MISMATCH, "exits: the predictor has %d, network %s has %d",
                               predictor->exits, predictor->network, exits);
    }
    if (weights_sha256 && weights_sha256[0] != '\0' && predictor->weights_sha256[0] != '\0' &&
        strcmp(predictor->weights_sha256, weights_sha256) != 0) {
        return einet_error_set(err, EINET_E_MISMATCH,
                               "weights_sha256: the predictor learnt from weights %.12s, the network has %.12s; train "
                               "it anew with einet predictor train",
                               predictor->weights_sha256, weights_sha256);
    }
    return 0;
}

void ei_predictor_print(const struct ei_predictor *predictor, FILE *out)
{
    fprintf(out, "network  %s, weights %.12s, data set %s\n", predictor->network,
            predictor->weights_sha256[0] != 0 ? predictor->weights_sha256 : "none", predictor->dataset);
    fprintf(out, "predicts %s, %d exits, %d hidden units, split seed %llu\n\n", targets[predictor->target],
            predictor->exits, predictor->hidden, (unsigned long long)predictor->split_seed);
    fprintf(out, "exit  %10s  %11s\n", "mean_score", "temperature");
    for (int32_t i = 0; i < predictor->exits; i++) {
        fprintf(out, "%4d  %10.4f  %11.3f\n", i + 1, (double)predictor->mean_score[i],
                (double)predictor->temperature[i]);
    }
}
