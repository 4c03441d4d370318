/* A scanner that follows brackets, keys and commas of possibly broken JSON. */
#include "app/plan_place.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 8 /* levels that are named; a plan problem has four */
#define KEY_MAX 64

struct level {
    bool is_array;
    bool has_key; /* of an object: the key of the value at hand is known */
    int element;
    char key[KEY_MAX];
};

struct scan {
    int depth; /* open brackets, also beyond DEPTH_MAX */
    struct level level[DEPTH_MAX];
};

char *ei_plan_printable(const char *bytes, size_t length, char *out, size_t out_size)
{
    size_t i = 0;
    for (; i < length && i + 1 < out_size; i++) {
        out[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
    }
    out[i] = '\0';
    return out;
}

static struct level *innermost(struct scan *scan)
{
    return scan->depth > 0 && scan->depth <= DEPTH_MAX ? &scan->level[scan->depth - 1] : NULL;
}

static void open_level(struct scan *scan, bool is_array)
{
    scan->depth++;
    struct level *level = innermost(scan);
    if (level) {
        *level = (struct level){.is_array = is_array};
    }
}

/* Index behind the string that begins at `at`, or position when it does not end before. */
static size_t string_end(const char *text, size_t at, size_t position)
{
    for (size_t i = at + 1; i < position; i++) {
        if (text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            return i + 1;
        }
    }
    return position;
}

static void take_string(struct scan *scan, const char *bytes, size_t length)
{
    struct level *level = innermost(scan);
    const bool is_whole = length >= 2 && bytes[length - 1] == '"';
    if (level && !level->is_array && !level->has_key && is_whole) {
        level->has_key = true;
        ei_plan_printable(bytes + 1, length - 2, level->key, sizeof level->key);
    }
}

static void next_value(struct scan *scan)
{
    struct level *level = innermost(scan);
    if (level) {
        level->has_key = false;
        level->element++;
    }
}

static void write_path(const struct scan *scan, char *out, size_t out_size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int d = 0; d < scan->depth && d < DEPTH_MAX; d++) {
        const struct level *level = &scan->level[d];
        int length = 0;
        if (level->is_array) {
            length = snprintf(out + used, out_size - used, "[%d]", level->element);
        } else if (level->has_key) {
            length = snprintf(out + used, out_size - used, "%s%s", used > 0 ? "." : "", level->key);
        }
        used += (size_t)length;
        if (used >= out_size) {
            return;
        }
    }
}

void ei_plan_place(const char *text, size_t position, char *out, size_t out_size)
{
    struct scan scan = {.depth = 0};
    for (size_t i = 0; i < position;) {
        const char c = text[i];
        if (c == '"') {
            const size_t end = string_end(text, i, position);
            take_string(&scan, text + i, end - i);
            i = end;
            continue;
        }
        if (c == '{' || c == '[') {
            open_level(&scan, c == '[');
        } else if ((c == '}' || c == ']') && scan.depth > 0) {
            scan.depth--;
        } else if (c == ',') {
            next_value(&scan);
        }
        i++;
    }
    write_path(&scan, out, out_size);
}
