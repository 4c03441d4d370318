/* ET-profiles as CSV. Cold. */
#include "planner/profile_file.h"

#include "planner/profile_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "# einet et-profile"
#define VERSION 2         /* without chosen kernels */
#define VERSION_KERNELS 3 /* with them */
#define COLUMNS "exit_idx,conv_p50_ns,conv_p99_ns,conv_max_ns,branch_p50_ns,branch_p99_ns,branch_max_ns"
#define FILE_BYTES_MAX 524288
#define LINE_BYTES_MAX 512
#define KEYS 18 /* the last one in version 3 only */

static const char *const modes[] = {[EI_ET_SEQUENTIAL] = "sequential", [EI_ET_COLD] = "cold"};
static const char *const policies[] = {[EI_ET_OTHER] = "other", [EI_ET_FIFO] = "fifo"};
static const char *const memories[] = {[EI_ET_PAGEABLE] = "pageable", [EI_ET_LOCKED] = "locked"};
static const char *const precisions[] = {[EI_PROFILE_FLOAT32] = "float32", [EI_PROFILE_BFLOAT16] = "bfloat16"};

/* The keys of the header; counts and words go through int64_t. */
struct header {
    struct ei_key keys[KEYS];
    size_t count;
    int64_t threads, samples, mode, policy, priority, memory, precision, exits, kernels;
};

static void header_init(struct header *header, struct ei_et_profile *profile, int64_t kernels)
{
    header->count = kernels > 0 ? KEYS : KEYS - 1;
    header->kernels = kernels;
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
        {.name = "kernels", .type = EI_KEY_COUNT, .value = &header->kernels, .max = EI_ET_KERNELS_MAX},
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
    return 0;
}

/* ---- kernels ---- */

static bool is_kernel_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:.+-";
    const size_t length = strlen(name);
    return length > 0 && length < EI_ET_KERNEL_MAX && strspn(name, allowed) == length;
}

/* Where it stands in walking order; each place comes once. */
static int64_t place_of(const struct ei_et_kernel *kernel)
{
    return ((int64_t)kernel->exit_idx * 2 + kernel->branch) * EI_ET_KERNELS_MAX + kernel->op_idx;
}

/* kernel,EXIT_IDX,conv|branch,OP_IDX,NAME */
static bool take_kernel(char *text, struct ei_et_kernel *out)
{
    int64_t exit_idx, op_idx;
    if (strncmp(text, "kernel,", 7) != 0) {
        return false;
    }
    text += 7;
    if (!ei_take_count(&text, ',', EI_EXITS_MAX - 1, &exit_idx)) {
        return false;
    }
    const bool is_conv = strncmp(text, "conv,", 5) == 0;
    if (!is_conv && strncmp(text, "branch,", 7) != 0) {
        return false;
    }
    text += is_conv ? 5 : 7;
    if (!ei_take_count(&text, ',', EI_ET_KERNELS_MAX - 1, &op_idx) || !is_kernel_name(text)) {
        return false;
    }
    *out = (struct ei_et_kernel){.exit_idx = (int32_t)exit_idx, .branch = is_conv ? 0 : 1, .op_idx = (int32_t)op_idx};
    memcpy(out->name, text, strlen(text));
    return true;
}

static int read_kernels(struct ei_lines *lines, int64_t count, int32_t exits, struct ei_et_kernels *out,
                        struct einet_error *err)
{
    char text[LINE_BYTES_MAX];
    out->list = calloc((size_t)count + 1, sizeof *out->list);
    if (out->list == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for a profile");
    }
    for (int64_t i = 0; i < count; i++) {
        struct ei_et_kernel *kernel = &out->list[i];
        const int status = ei_lines_take(lines, text, sizeof text, err);
        if (status != 0) {
            return status;
        }
        if (!take_kernel(text, kernel) || kernel->exit_idx >= exits ||
            (i > 0 && place_of(kernel) <= place_of(kernel - 1))) {
            return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0,
                                      "expected row %d of %d kernels, `kernel,EXIT_IDX,conv|branch,OP_IDX,NAME`, in "
                                      "the network's order",
                                      (int)i + 1, (int)count);
        }
        out->count = (int32_t)i + 1;
    }
    return 0;
}

void ei_et_kernels_fini(struct ei_et_kernels *kernels)
{
    free(kernels->list);
    *kernels = (struct ei_et_kernels){0};
}

static int parse(struct ei_lines *lines, struct ei_et_profile *profile, struct ei_et_kernels *kernels,
                 struct einet_error *err)
{
    static const char with_kernels[] = FORMAT " 3\n";
    const bool has_kernels = strncmp(lines->at, with_kernels, sizeof with_kernels - 1) == 0;
    char text[LINE_BYTES_MAX];
    struct header header;
    header_init(&header, profile, has_kernels ? 1 : 0);
    int status = ei_lines_take_magic(lines, FORMAT, has_kernels ? VERSION_KERNELS : VERSION, err);
    while (status == 0) {
        status = ei_lines_take(lines, text, sizeof text, err);
        if (status == 0 && strncmp(text, "# ", 2) != 0) {
            break;
        }
        if (status == 0) {
            status = ei_keys_read(header.keys, header.count, lines, text + 2, err);
        }
    }
    if (status == 0) {
        status = ei_keys_complete(header.keys, header.count, lines->path, err);
    }
    if (status == 0 && header.exits < 1) {
        status = einet_error_set_at(err, EINET_E_FILE, lines->path, header.keys[KEYS - 2].line, 0,
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
    if (status == 0 && has_kernels && header.kernels < 1) {
        status = einet_error_set_at(err, EINET_E_FILE, lines->path, header.keys[KEYS - 1].line, 0,
                                    "kernels must be within 1..%d", EI_ET_KERNELS_MAX);
    }
    if (status == 0 && has_kernels) {
        status = read_kernels(lines, header.kernels, profile->exits, kernels, err);
    }
    if (status == 0 && lines->at != lines->end) {
        status = einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line + 1, 0,
                                    "there is more than the rows of %d exits", profile->exits);
    }
    return status;
}

int ei_et_profile_read(const char *path, struct ei_et_profile *out, struct einet_error *err)
{
    struct ei_et_kernels kernels;
    const int status = ei_et_profile_read_kernels(path, out, &kernels, err);
    if (status == 0) {
        ei_et_kernels_fini(&kernels);
    }
    return status;
}

int ei_et_profile_read_kernels(const char *path, struct ei_et_profile *out, struct ei_et_kernels *out_kernels,
                               struct einet_error *err)
{
    struct ei_et_kernels kernels = {0};
    char *bytes;
    size_t size;
    int status = ei_file_load(path, FILE_BYTES_MAX, &bytes, &size, err);
    if (status != 0) {
        return status;
    }
    struct ei_et_profile profile = {.exits = 0};
    struct ei_lines lines = {.path = path, .at = bytes, .end = bytes + size};
    status = parse(&lines, &profile, &kernels, err);
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
        *out_kernels = kernels;
    } else {
        ei_et_kernels_fini(&kernels);
    }
    return status;
}

void ei_et_profile_ending(bool is_cuda, int32_t sms, char out[EI_ET_ENDING_MAX])
{
    if (is_cuda && sms > 0) {
        snprintf(out, EI_ET_ENDING_MAX, ".cuda-%d.et.csv", sms);
    } else {
        snprintf(out, EI_ET_ENDING_MAX, "%s", is_cuda ? ".cuda.et.csv" : ".et.csv");
    }
}

static int check_kernels(const struct ei_et_profile *profile, const struct ei_et_kernels *kernels,
                         struct einet_error *err)
{
    bool is_ok = kernels->count >= 0 && kernels->count <= EI_ET_KERNELS_MAX;
    for (int32_t i = 0; is_ok && i < kernels->count; i++) {
        const struct ei_et_kernel *k = &kernels->list[i];
        is_ok = k->exit_idx >= 0 && k->exit_idx < profile->exits && (k->branch == 0 || k->branch == 1) &&
                k->op_idx >= 0 && k->op_idx < EI_ET_KERNELS_MAX && is_kernel_name(k->name) &&
                (i == 0 || place_of(k) > place_of(k - 1));
    }
    return is_ok ? 0
                 : einet_error_set(err, EINET_E_USAGE,
                                   "kernels must be those of the profile's exits, in the network's order, named in "
                                   "letters, digits and _:.+-");
}

int ei_et_profile_write(const char *path, const struct ei_et_profile *profile, struct einet_error *err)
{
    return ei_et_profile_write_kernels(path, profile, &(struct ei_et_kernels){0}, err);
}

int ei_et_profile_write_kernels(const char *path, const struct ei_et_profile *profile,
                                const struct ei_et_kernels *kernels, struct einet_error *err)
{
    struct ei_file_draft draft;
    int status = ei_et_profile_check(profile, err);
    if (status == 0) {
        status = check_kernels(profile, kernels, err);
    }
    if (status == 0) {
        status = ei_file_draft_open(&draft, path, err);
    }
    if (status != 0) {
        return status;
    }
    struct ei_et_profile copy = *profile; /* the key table points to mutable fields */
    struct header header;
    header_init(&header, &copy, kernels->count);
    fprintf(draft.stream, "%s %d\n", FORMAT, kernels->count > 0 ? VERSION_KERNELS : VERSION);
    ei_keys_write(header.keys, header.count, "# ", draft.stream);
    fprintf(draft.stream, "%s\n", COLUMNS);
    for (int32_t i = 0; i < profile->exits; i++) {
        const struct ei_time_stats *c = &profile->conv[i], *b = &profile->branch[i];
        fprintf(draft.stream, "%d,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "\n", i,
                c->p50_ns, c->p99_ns, c->max_ns, b->p50_ns, b->p99_ns, b->max_ns);
    }
    for (int32_t i = 0; i < kernels->count; i++) {
        const struct ei_et_kernel *k = &kernels->list[i];
        fprintf(draft.stream, "kernel,%d,%s,%d,%s\n", k->exit_idx, k->branch != 0 ? "branch" : "conv", k->op_idx,
                k->name);
    }
    return ei_file_draft_finish(&draft, err);
}
