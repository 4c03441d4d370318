/* Whole files, atomic replacement and `key: value` lines for the profile formats. Cold. */
#include "planner/profile_file.h"

#include "planner/profile_text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ---- */

static int load_open(int fd, const char *path, size_t size_max, char **out_bytes, size_t *out_size,
                     struct einet_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return einet_error_set_at(err, -errno, path, 0, 0, "cannot read it: %s", strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "this is not a regular file; give a profile");
    }
    if (st.st_size < 0 || (uintmax_t)st.st_size > size_max) {
        return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "the file is larger than any profile (%zu bytes)",
                                  size_max);
    }
    const size_t size = (size_t)st.st_size;
    char *bytes = malloc(size + 1);
    if (!bytes) {
        return einet_error_set_at(err, -ENOMEM, path, 0, 0, "no memory for %zu bytes", size);
    }
    size_t got = 0;
    while (got < size) {
        const ssize_t n = read(fd, bytes + got, size - got);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            const int code = -errno;
            free(bytes);
            return einet_error_set_at(err, code, path, 0, 0, "cannot read it: %s", strerror(-code));
        }
        got += n > 0 ? (size_t)n : 0;
    }
    bytes[got] = 0;
    *out_bytes = bytes;
    *out_size = got;
    return 0;
}

int ei_file_load(const char *path, size_t size_max, char **out_bytes, size_t *out_size, struct einet_error *err)
{
    /* Non-blocking, so that a named pipe is refused instead of waited for. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return einet_error_set_at(err, -errno, path, 0, 0, "cannot open it: %s", strerror(errno));
    }
    const int status = load_open(fd, path, size_max, out_bytes, out_size, err);
    close(fd);
    return status;
}

int ei_file_draft_open(struct ei_file_draft *draft, const char *path, struct einet_error *err)
{
    const int length = snprintf(draft->temporary, sizeof draft->temporary, "%s.%ld.part", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof draft->temporary) {
        return einet_error_set_at(err, -ENAMETOOLONG, path, 0, 0, "the path is too long");
    }
    draft->path = path;
    const int fd = open(draft->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return einet_error_set_at(err, -errno, path, 0, 0, "cannot write beside it: %s", strerror(errno));
    }
    draft->stream = fdopen(fd, "w");
    if (!draft->stream) {
        const int code = -errno;
        close(fd);
        unlink(draft->temporary);
        return einet_error_set_at(err, code, path, 0, 0, "cannot write it: %s", strerror(-code));
    }
    return 0;
}

/* The rename is durable once the folder is; a file system that cannot sync a folder is no reason to fail. */
static void sync_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

int ei_file_draft_finish(struct ei_file_draft *draft, struct einet_error *err)
{
    int code = 0;
    errno = 0;
    if (fflush(draft->stream) != 0 || ferror(draft->stream) || fsync(fileno(draft->stream)) != 0) {
        code = errno != 0 ? -errno : -EIO;
    }
    if (fclose(draft->stream) != 0 && code == 0) {
        code = -errno;
    }
    if (code == 0 && rename(draft->temporary, draft->path) != 0) {
        code = -errno;
    }
    if (code != 0) {
        unlink(draft->temporary);
        return einet_error_set_at(err, code, draft->path, 0, 0, "cannot write it: %s; what was there is kept",
                                  strerror(-code));
    }
    sync_folder(draft->path);
    return 0;
}

/* ---- lines and keys ---- */

int ei_lines_take(struct ei_lines *lines, char *out, size_t size, struct einet_error *err)
{
    const char *newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    lines->line++;
    if (!newline) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0,
                                  "the file ends in mid-header: it is truncated, or no profile");
    }
    const size_t length = (size_t)(newline - lines->at);
    if (length >= size || memchr(lines->at, 0, length)) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0, "this line is none of a profile");
    }
    memcpy(out, lines->at, length);
    out[length] = 0;
    lines->at = newline + 1;
    return 0;
}

int ei_lines_take_magic(struct ei_lines *lines, const char *format, int32_t version, struct einet_error *err)
{
    char text[64];
    const int status = ei_lines_take(lines, text, sizeof text, err);
    if (status != 0) {
        return status;
    }
    const size_t length = strlen(format);
    char *number = text + length + 1;
    int64_t written = 0;
    if (strncmp(text, format, length) == 0 && text[length] == ' ' && ei_take_count(&number, 0, 1000000, &written)) {
        if (written == version) {
            return 0;
        }
        return einet_error_set_at(err, EINET_E_FILE, lines->path, 1, 0,
                                  written < version ? "this is version %d, written by an older einet, of %d: make the "
                                                      "file again with einet profile"
                                                    : "this is version %d, written by a newer einet; this one reads %d",
                                  (int)written, version);
    }
    return einet_error_set_at(err, EINET_E_FILE, lines->path, 1, 0, "the first line is not `%s %d`", format, version);
}

bool ei_take_count(char **text, char end, int64_t max, int64_t *out)
{
    char *at = *text;
    int64_t value = 0;
    if (*at < '0' || *at > '9') {
        return false;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        const int64_t digit = *at - '0';
        if (value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (*at != end) {
        return false;
    }
    *text = end != 0 ? at + 1 : at;
    *out = value;
    return true;
}

static bool take_shares(const char *text, float *out, int32_t *out_count)
{
    int32_t count = 0;
    for (;;) {
        char *end;
        const float value = strtof(text, &end);
        /* strtof skips leading space and reads nan and inf; a share is plain and within 0..1. */
        if (end == text || *text == ' ' || count == EI_EXITS_MAX || !(value >= 0 && value <= 1)) {
            return false;
        }
        out[count++] = value;
        if (*end == 0) {
            *out_count = count;
            return true;
        }
        if (*end != ' ') {
            return false;
        }
        text = end + 1;
    }
}

static bool take_hex64(const char *text, uint64_t *out)
{
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) {
        return false;
    }
    *out = strtoull(text, NULL, 16);
    return true;
}

static bool take_value(struct ei_key *key, char *text)
{
    switch (key->type) {
    case EI_KEY_TEXT:
        if (strlen(text) >= EI_PROFILE_TEXT_MAX) {
            return false;
        }
        memcpy(key->value, text, strlen(text) + 1);
        return true;
    case EI_KEY_SHA256:
        if (strlen(text) >= EI_SHA256_TEXT_MAX) {
            return false;
        }
        memcpy(key->value, text, strlen(text) + 1);
        return true;
    case EI_KEY_COUNT:
        return ei_take_count(&text, 0, key->max, key->value);
    case EI_KEY_WORD:
        *(int64_t *)key->value = strcmp(text, key->words[1]) == 0;
        return strcmp(text, key->words[0]) == 0 || strcmp(text, key->words[1]) == 0;
    case EI_KEY_SHARES:
        return take_shares(text, key->value, key->count);
    case EI_KEY_HEX64:
        return take_hex64(text, key->value);
    }
    return false;
}

static const char *value_rule(const struct ei_key *key)
{
    switch (key->type) {
    case EI_KEY_TEXT:
        return "a text of at most 127 bytes";
    case EI_KEY_SHA256:
        return "64 lower-case hexadecimal digits, or nothing";
    case EI_KEY_COUNT:
        return "a whole number";
    case EI_KEY_WORD:
        return "one of its two words";
    case EI_KEY_SHARES:
        return "numbers within 0..1, one for each exit (at most 64), with one space between";
    case EI_KEY_HEX64:
        return "16 lower-case hexadecimal digits";
    }
    return "";
}

int ei_keys_read(struct ei_key *keys, size_t count, const struct ei_lines *lines, char *text, struct einet_error *err)
{
    char *colon = strchr(text, ':');
    if (!colon || (colon[1] != ' ' && colon[1] != 0)) {
        return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0, "expected `key: value`");
    }
    *colon = 0;
    char *value = colon[1] == 0 ? colon + 1 : colon + 2;
    for (size_t i = 0; i < count; i++) {
        struct ei_key *key = &keys[i];
        if (strcmp(key->name, text) != 0) {
            continue;
        }
        if (key->line != 0) {
            return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0,
                                      "%s stands here again, first on line %d", key->name, key->line);
        }
        const bool is_taken = take_value(key, value);
        if (!is_taken && key->type == EI_KEY_WORD) {
            return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0, "%s must be %s or %s", key->name,
                                      key->words[0], key->words[1]);
        }
        if (!is_taken) {
            const bool is_limit = strcmp(key->name, "exits") == 0 && strspn(value, "0123456789") == strlen(value);
            return einet_error_set_at(err, is_limit ? EINET_E_LIMIT : EINET_E_FILE, lines->path, lines->line, 0,
                                      "%s must be %s%s", key->name, value_rule(key), is_limit ? " within 1..64" : "");
        }
        key->line = lines->line;
        return 0;
    }
    return einet_error_set_at(err, EINET_E_FILE, lines->path, lines->line, 0, "unknown key %.60s", text);
}

int ei_keys_complete(const struct ei_key *keys, size_t count, const char *path, struct einet_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (keys[i].line == 0) {
            return einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "the header lacks %s", keys[i].name);
        }
    }
    return 0;
}

void ei_keys_write(const struct ei_key *keys, size_t count, const char *prefix, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct ei_key *key = &keys[i];
        fprintf(out, "%s%s:", prefix, key->name);
        switch (key->type) {
        case EI_KEY_TEXT:
        case EI_KEY_SHA256:
            /* No space behind the colon of an empty value. */
            fprintf(out, "%s%s", *(const char *)key->value != 0 ? " " : "", (const char *)key->value);
            break;
        case EI_KEY_COUNT:
            fprintf(out, " %" PRId64, *(const int64_t *)key->value);
            break;
        case EI_KEY_WORD:
            fprintf(out, " %s", key->words[*(const int64_t *)key->value != 0]);
            break;
        case EI_KEY_SHARES:
            for (int32_t e = 0; e < *key->count; e++) {
                fprintf(out, " %.9g", (double)((const float *)key->value)[e]);
            }
            break;
        case EI_KEY_HEX64:
            fprintf(out, " %016" PRIx64, *(const uint64_t *)key->value);
            break;
        }
        fputc('\n', out);
    }
}

uint64_t ei_file_checksum(const uint8_t *bytes, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}
