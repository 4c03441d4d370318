/* ET-profiles as CSV. Cold. */
#include "planner/profile_file.h"

#include "planner/profile_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "# einet et-profile"
#define VERSION 2
#define COLUMNS "exit_idx,conv_p50_ns,conv_p99_ns,conv_max_ns,branch_p50_ns,branch_p99_ns,branch_max_ns"
#define FILE_BYTES_MAX 65536
#define LINE_BYTES_MAX 512
#define KEYS 17

static const char *const modes[] = {[EI_ET_SEQUENTIAL] = "sequential", [EI_ET_COLD] = "cold"};
static const char *const policies[] = {[EI_ET_OTHER] = "other", [EI_ET_FIFO] = "fifo"};
static const char *const memories[] = {[EI_ET_PAGEABLE] = "pageable", [EI_ET_LOCKED] = "locked"};
static const char *const precisions[] = {[EI_PROFILE_FLOAT32] = "float32", [EI_PROFILE_BFLOAT16] = "bfloat16"};

/* The keys of the header; counts and words go through int64_t. */
struct header {
    struct ei_key keys[KEYS];
    int64_t threads, samples, mode, policy, priority, memory, precision, exits;
};

static void header_init(struct header *header, struct ei_et_profile *profile)
{
    header->threads = profile->threads;
    header->samples = profile->samples;
    header->mode = profile->mode;
    header->policy = profile->policy;
    header->priority = profile->priority;
    header->memory = profile->memory;
    header->precision = profile->precision;
    header->exits = profile->exits;
    const struct ei_key keys[KEYS] = {
        {.name = "network", .type = EI_KEY_TEXT, .value = profile->network},
        {.name = "weights_sha256", .type = EI_KEY_SHA256, .value = profile->weights_sha256},
        {.name = "precision", .type = EI_KEY_WORD, .value = &header->precision, .words = precisions},
        {.name = "machine", .type = EI_KEY_TEXT, .value = profile->machine},
        {.name = "cpu_model", .type = EI_KEY_TEXT, .value = profile->cpu_model},
        {.name = "kernel", .type = EI_KEY_TEXT, .value = profile->kernel},
        {.name = "governor", .type = EI_KEY_TEXT, .value = profile->governor},
        {.name = "backend", .type = EI_KEY_TEXT, .value = profile->backend},
        {.name = "lane", .type = EI_KEY_TEXT, .value = profile->lane},
        {.name = "policy", .type = EI_KEY_WORD, .value = &header->policy, .words = policies},
        {.name = "priority", .type = EI_KEY_COUNT, .value = &header->priority, .max = EI_ET_PRIORITY_MAX},
        {.name = "cpus", .type = EI_KEY_TEXT, .value = profile->cpus},
        {.name = "memory", .type = EI_KEY_WORD, .value = &header->memory, .words = memories},
        {.name = "threads", .type = EI_KEY_COUNT, .value = &header->threads, .max = 65536},
        {.name = "samples", .type = EI_KEY_COUNT, .value = &header->samples, .max = INT64_MAX},
        {.name = "mode", .type = EI_KEY_WORD, .value = &header->mode, .words = modes},
        {.name = "exits", .type = EI_KEY_COUNT, .value = &header->exits, .max = EI_EXITS_MAX},
    };
    memcpy(header->keys, keys, sizeof keys);
}

static void header_store(const struct header *header, struct ei_et_profile *out)
{
    out->threads = (int32_t)header->threads;
    out->samples = header->samples;
    out->mode = (enum ei_et_mode)header->mode;
    out->policy = (enum ei_et_policy)header->policy;
    out->priority = (int32_t)header->priority;
    out->memory = (enum ei_et_memory)header->memory;
    out->precision = (enum ei_profile_precision)header->precision;
    out->exits = (int32_t)header->exits;
}

static int read_row(const struct ei_lines *lines, char *text, int32_t idx, struct ei_et_profile *profile,
                    struct einet_error *err)
{
    static const char *const names[] = {"conv_p50_ns",   "conv_p99_ns",   "conv_max_ns",
                                        "branch_p50_ns", "branch_p99_ns", "branch_max_ns"};
    int64_t *const values[] = {&profile->conv[idx].p50_ns,   &profile->conv[idx].p99_ns,
                               &profile->conv[idx].max_ns,   &profile->branch[idx].p50_ns,
                               &profile->branch[idx].p99_ns, &profile->branch[idx].max_ns};
    int64_t exit_idx;
    if (!ei_take_count(&text, ',', EI_EXITS_MAX, &exit_idx) || exit_idx != idx) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0, "exit_idx must be %d here", idx);
    }
    for (int32_t c = 0; c < 6; c++) {
        if (!ei_take_count(&text, c < 5 ? ',' : 0, EI_PROFILE_TIME_NS_MAX, values[c])) {
            return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0,
                                      "%s must be a whole number of ns, 0..1000 s, in a row of seven columns",
                                      names[c]);
        }
    }
    return 0;
}

static int read_rows(struct ei_lines *lines, struct ei_et_profile *profile, struct einet_error *err)
{
    char text[LINE_BYTES_MAX];
    for (int32_t i = 0; i < profile->exits; i++) {
        if (lines->at == lines->end) {
            return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line + 1, 0,
                                      "the row of exit_idx %d is missing: exits is %d", i, profile->exits);
        }
        int status = ei_lines_take(lines, text, sizeof text, err);
        if (status == 0) {
            status = read_row(lines, text, i, profile, err);
        }
        if (status != 0) {
            return status;
        }
    }
    if (lines->at != lines->end) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line + 1, 0,
                                  "there is more than the rows of %d exits", profile->exits);
    }
    return 0;
}

static int parse(struct ei_lines *lines, struct ei_et_profile *profile, struct einet_error *err)
{
    char text[LINE_BYTES_MAX];
    struct header header;
    header_init(&header, profile);
    int status = ei_lines_take_magic(lines, FORMAT, VERSION, err);
    while (status == 0) {
        status = ei_lines_take(lines, text, sizeof text, err);
        if (status == 0 && strncmp(text, "# ", 2) != 0) {
            break;
        }
        if (status == 0) {
            status = ei_keys_read(header.keys, KEYS, lines, text + 2, err);
        }
    }
    if (status == 0) {
        status = ei_keys_complete(header.keys, KEYS, lines->path, err);
    }
    if (status == 0 && header.exits < 1) {
        status = einet_error_set_at(err, EINET_E_FILE, lines->path, header.keys[KEYS - 1].line, 0,
                                    "exits must be within 1..%d", EI_EXITS_MAX);
    }
    if (status == 0 && strcmp(text, COLUMNS) != 0) {
        status = einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0, "expected the column names `%s`",
                                    COLUMNS);
    }
    if (status == 0) {
        header_store(&header, profile);
        status = read_rows(lines, profile, err);
    }
    return status;
}

int ei_et_profile_read(const char *path, struct ei_et_profile *out, struct einet_error *err)
{
    char *bytes;
    size_t size;
    int status = ei_file_load(path, FILE_BYTES_MAX, &bytes, &size, err);
    if (status != 0) {
        return status;
    }
    struct ei_et_profile profile = {.exits = 0};
    struct ei_lines lines = {.path = path, .at = bytes, .end = bytes + size};
    status = parse(&lines, &profile, err);
    free(bytes);
    if (status == 0) {
        struct einet_error fault = {.code = 0};
        const int code = ei_et_profile_check(&profile, &fault);
        if (code != 0) {
            status = einet_error_set_at(err, code == EINET_E_LIMIT ? code : EINET_E_FILE, path, 0, 0, "%s", fault.text);
        }
    }
    if (status == 0) {
        *out = profile;
    }
    return status;
}

int ei_et_profile_write(const char *path, const struct ei_et_profile *profile, struct einet_error *err)
{
    struct ei_file_draft draft;
    int status = ei_et_profile_check(profile, err);
    if (status == 0) {
        status = ei_file_draft_open(&draft, path, err);
    }
    if (status != 0) {
        return status;
    }
    struct ei_et_profile copy = *profile; /* the key table points to mutable fields */
    struct header header;
    header_init(&header, &copy);
    fprintf(draft.stream, "%s %d\n", FORMAT, VERSION);
    ei_keys_write(header.keys, KEYS, "# ", draft.stream);
    fprintf(draft.stream, "%s\n", COLUMNS);
    for (int32_t i = 0; i < profile->exits; i++) {
        const struct ei_time_stats *c = &profile->conv[i], *b = &profile->branch[i];
        fprintf(draft.stream, "%d,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "\n", i,
                c->p50_ns, c->p99_ns, c->max_ns, b->p50_ns, b->p99_ns, b->max_ns);
    }
    return ei_file_draft_finish(&draft, err);
}
