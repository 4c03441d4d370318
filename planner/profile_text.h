/* Reading and writing shared by the profile and predictor formats: whole files, atomic replacement, `key: value` lines.
 * Cold. */
#ifndef PLANNER_PROFILE_TEXT_H
#define PLANNER_PROFILE_TEXT_H

#include "planner/profile.h"

#include <stddef.h>
#include <stdio.h>

/* Read a whole regular file of at most size_max bytes; the caller frees *out_bytes, which ends with an additional 0.
 * Returns 0, EINET_E_FILE (not a regular file, too large), -errno or -ENOMEM. */
int ei_file_load(const char *path, size_t size_max, char **out_bytes, size_t *out_size, struct einet_error *err);

/* A file under construction beside its target. */
struct ei_file_draft {
    FILE *stream; /* write here */
    const char *path;
    char temporary[4096];
};

/* Returns 0 or -errno. On success either finish or discard must follow. */
int ei_file_draft_open(struct ei_file_draft *draft, const char *path, struct einet_error *err);
/* Flush, fsync, rename onto the target, fsync the folder. On error nothing is left behind. Returns 0 or -errno. */
int ei_file_draft_finish(struct ei_file_draft *draft, struct einet_error *err);

/* FNV-1a (Fowler, Noll, Vo) of binary columns: finds damage, not malice. */
uint64_t ei_file_checksum(const uint8_t *bytes, size_t size);

/* ---- keys of a header ---- */

enum ei_key_type { EI_KEY_TEXT, EI_KEY_SHA256, EI_KEY_COUNT, EI_KEY_WORD, EI_KEY_SHARES, EI_KEY_HEX64 };

/* One key: where its value goes. */
struct ei_key {
    const char *name;
    enum ei_key_type type;
    int64_t max; /* EI_KEY_COUNT: 0..max */
    void *value; /* char [EI_PROFILE_TEXT_MAX], char [EI_SHA256_TEXT_MAX], int64_t (also the index of a word),
                  * float [EI_EXITS_MAX], uint64_t */
    const char *const *words; /* EI_KEY_WORD: the two that may stand there */
    int32_t *count;           /* EI_KEY_SHARES: number of values read */
    int32_t line;             /* where it was read, 0 = not yet */
};

/* Cursor over a header. */
struct ei_lines {
    const char *path;
    const char *at, *end;
    int32_t line; /* number of the line last taken */
};

/* Take the next line, without its newline, into out[size]. Returns 0, or EINET_E_FILE: no complete line is left
 * (truncated), it is too long, or it holds a 0 byte. */
int ei_lines_take(struct ei_lines *lines, char *out, size_t size, struct einet_error *err);

/* Read `key: value` into the table. Returns 0 or EINET_E_FILE (unknown, repeated, malformed). */
int ei_keys_read(struct ei_key *keys, size_t count, const struct ei_lines *lines, char *text, struct einet_error *err);

/* Take the first line, which must be `format N`, format and version as given. Returns 0 or EINET_E_FILE; an older
 * version is named with the remedy. */
int ei_lines_take_magic(struct ei_lines *lines, const char *format, int32_t version, struct einet_error *err);

/* EINET_E_FILE naming the first key that was not read. */
int ei_keys_complete(const struct ei_key *keys, size_t count, const char *path, struct einet_error *err);

/* Write all keys, each line starting with `prefix`. */
void ei_keys_write(const struct ei_key *keys, size_t count, const char *prefix, FILE *out);

/* A decimal integer 0..max and nothing else; advances *text past it and past `end` (0 = end of text).
 * Returns false when it is not that. */
bool ei_take_count(char **text, char end, int64_t max, int64_t *out);

#endif
