/* See import_json.h. */
#include "workloads/import_json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define END_OF_TEXT (-1)

struct reader {
    const char *at, *end;
    struct ei_place place; /* of *at */
    struct ei_json *json;
    struct ei_diagnostics *diag;
    int rc;
};

static int32_t read_value(struct reader *rd, int depth);

/* ---- characters ---- */

static int peek(const struct reader *rd)
{
    return rd->at < rd->end ? (unsigned char)*rd->at : END_OF_TEXT;
}

static void skip(struct reader *rd)
{
    if (*rd->at == '\n') {
        rd->place.line++;
        rd->place.column = 0;
    }
    rd->at++;
    /* The bytes that continue a character take no column. */
    if (rd->at >= rd->end || ((unsigned char)*rd->at & 0xc0U) != 0x80U) {
        rd->place.column++;
    }
}

/* Report and give up; always -1, for `return fail(...)`. */
static int32_t fail(struct reader *rd, struct ei_place place, const char *hint, const char *text)
{
    if (rd->rc == 0) {
        ei_diagnostics_add(rd->diag, EI_SEVERITY_ERROR, place, 1, hint, "%s", text);
        rd->rc = EINET_E_FILE;
    }
    return -1;
}

/* White space and comments. False after an error. */
static bool skip_blank(struct reader *rd)
{
    for (;;) {
        const int c = peek(rd);
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            skip(rd);
        } else if (c == '/' && rd->at + 1 < rd->end && rd->at[1] == '/') {
            while (peek(rd) != END_OF_TEXT && peek(rd) != '\n') {
                skip(rd);
            }
        } else if (c == '/' && rd->at + 1 < rd->end && rd->at[1] == '*') {
            const struct ei_place start = rd->place;
            skip(rd);
            skip(rd);
            while (rd->end - rd->at >= 2 && !(rd->at[0] == '*' && rd->at[1] == '/')) {
                skip(rd);
            }
            if (rd->end - rd->at < 2) {
                fail(rd, start, "close it with */", "the comment does not end");
                return false;
            }
            skip(rd);
            skip(rd);
        } else {
            return true;
        }
    }
}

/* ---- nodes ---- */

static int32_t new_node(struct reader *rd, enum ei_json_kind kind)
{
    struct ei_json *json = rd->json;
    if (json->count == EI_JSON_NODES_MAX) {
        return fail(rd, rd->place, "split it", "the file holds more than 500000 values");
    }
    if (json->count == json->capacity) {
        const int32_t capacity = json->capacity > 0 ? json->capacity * 2 : 256;
        struct ei_json_node *nodes = realloc(json->nodes, (size_t)capacity * sizeof *nodes);
        if (nodes == NULL) {
            rd->rc = -ENOMEM;
            return -1;
        }
        json->nodes = nodes;
        json->capacity = capacity;
    }
    struct ei_json_node *node = &json->nodes[json->count];
    memset(node, 0, sizeof *node);
    node->kind = kind;
    node->place = rd->place;
    node->length = 1;
    node->first = -1;
    node->next = -1;
    return json->count++;
}

/* ---- strings ---- */

/* Four hexadecimal digits, or -1. */
static int32_t read_hex(struct reader *rd)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const int c = peek(rd);
        int digit = -1;
        if (c >= '0' && c <= '9') {
            digit = c - '0';
        } else if (c >= 'a' && c <= 'f') {
            digit = c - 'a' + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = c - 'A' + 10;
        }
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
        skip(rd);
    }
    return value;
}

static size_t put_utf8(char *out, int32_t code)
{
    const uint32_t c = (uint32_t)code;
    if (c < 0x80U) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800U) {
        out[0] = (char)(0xc0U | c >> 6U);
        out[1] = (char)(0x80U | (c & 0x3fU));
        return 2;
    }
    if (c < 0x10000U) {
        out[0] = (char)(0xe0U | c >> 12U);
        out[1] = (char)(0x80U | (c >> 6U & 0x3fU));
        out[2] = (char)(0x80U | (c & 0x3fU));
        return 3;
    }
    out[0] = (char)(0xf0U | c >> 18U);
    out[1] = (char)(0x80U | (c >> 12U & 0x3fU));
    out[2] = (char)(0x80U | (c >> 6U & 0x3fU));
    out[3] = (char)(0x80U | (c & 0x3fU));
    return 4;
}

/* What follows "\u", with the second half of a pair. Returns the code point, or -1 after an error. */
static int32_t read_unicode(struct reader *rd, struct ei_place start)
{
    const int32_t high = read_hex(rd);
    if (high < 0xd800 || high > 0xdfff) {
        return high > 0 ? high : fail(rd, start, NULL, "\\u needs four hexadecimal digits, and not 0000");
    }
    if (high <= 0xdbff && rd->end - rd->at >= 2 && rd->at[0] == '\\' && rd->at[1] == 'u') {
        skip(rd);
        skip(rd);
        const int32_t low = read_hex(rd);
        if (low >= 0xdc00 && low <= 0xdfff) {
            return 0x10000 + (high - 0xd800) * 0x400 + (low - 0xdc00);
        }
    }
    return fail(rd, start, NULL, "half a surrogate pair");
}

/* One escape behind the backslash into out (room for 4 bytes). Returns its bytes, 0 after an error. */
static size_t read_escape(struct reader *rd, struct ei_place start, char *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const int c = peek(rd);
    if (c == 'u') {
        skip(rd);
        const int32_t code = read_unicode(rd, start);
        return code > 0 ? put_utf8(out, code) : 0;
    }
    const char *found = c > 0 ? strchr(from, c) : NULL;
    if (found == NULL) {
        fail(rd, start, "use \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u0041", "unknown escape in a string");
        return 0;
    }
    skip(rd);
    *out = to[found - from];
    return 1;
}

/* A string at its opening quote. Returns its value (free it) or NULL after an error. */
static char *read_string(struct reader *rd, int32_t *out_length)
{
    const struct ei_place start = rd->place;
    const char *raw = rd->at + 1;
    size_t limit = 0;
    while (raw + limit < rd->end && raw[limit] != '"' && raw[limit] != '\n') {
        limit += raw[limit] == '\\' && raw + limit + 1 < rd->end ? 2 : 1;
    }
    char *text = malloc(limit + 8);
    size_t length = 0;
    if (text == NULL) {
        rd->rc = -ENOMEM;
        return NULL;
    }
    skip(rd);
    for (int c = peek(rd); c != '"'; c = peek(rd)) {
        if (c == END_OF_TEXT || c == '\n' || c == '\r') {
            fail(rd, start, "close it with \" on its line", "the string does not end");
            break;
        }
        if (c < 0x20) {
            fail(rd, rd->place, "write it as \\t or \\u0009", "control character in a string");
            break;
        }
        if (c == '\\') {
            const struct ei_place escape = rd->place;
            skip(rd);
            const size_t bytes = read_escape(rd, escape, text + length);
            if (bytes == 0) {
                break;
            }
            length += bytes;
        } else {
            text[length++] = (char)c;
            skip(rd);
        }
    }
    if (rd->rc != 0) {
        free(text);
        return NULL;
    }
    skip(rd);
    text[length] = '\0';
    *out_length = rd->place.column - start.column;
    return text;
}

/* ---- values ---- */

/* Digits from *text on; returns their number. */
static size_t count_digits(const char *text, const char *end)
{
    size_t n = 0;
    while (text + n < end && text[n] >= '0' && text[n] <= '9') {
        n++;
    }
    return n;
}

static int32_t read_number(struct reader *rd)
{
    char text[64];
    const struct ei_place start = rd->place;
    const char *at = rd->at + (*rd->at == '-' ? 1 : 0);
    bool is_real = false;
    const size_t whole = count_digits(at, rd->end);
    if (whole == 0 || (whole > 1 && *at == '0')) {
        return fail(rd, start, NULL, "a number begins with a digit, and not with 0 when others follow");
    }
    at += whole;
    if (at < rd->end && *at == '.') {
        const size_t digits = count_digits(at + 1, rd->end);
        if (digits == 0) {
            return fail(rd, start, NULL, "digits must follow the point of a number");
        }
        is_real = true;
        at += 1 + digits;
    }
    if (at < rd->end && (*at == 'e' || *at == 'E')) {
        const char *digits = at + 1 < rd->end && (at[1] == '+' || at[1] == '-') ? at + 2 : at + 1;
        const size_t count = count_digits(digits, rd->end);
        if (count == 0) {
            return fail(rd, start, NULL, "digits must follow the e of a number");
        }
        is_real = true;
        at = digits + count;
    }
    const size_t length = (size_t)(at - rd->at);
    if (length >= sizeof text) {
        return fail(rd, start, NULL, "the number has more than 63 characters");
    }
    const int32_t idx = new_node(rd, is_real ? EI_JSON_REAL : EI_JSON_INT);
    if (idx < 0) {
        return -1;
    }
    struct ei_json_node *node = &rd->json->nodes[idx];
    memcpy(text, rd->at, length);
    text[length] = '\0';
    errno = 0;
    node->integer = is_real ? 0 : strtoll(text, NULL, 10);
    node->real = strtod(text, NULL);
    if ((!is_real && errno == ERANGE) || !isfinite(node->real)) {
        return fail(rd, start, NULL, "the number is too large");
    }
    node->length = (int32_t)length;
    rd->at = at;
    rd->place.column += (int32_t)length;
    return idx;
}

static int32_t read_word(struct reader *rd)
{
    static const struct {
        const char *text;
        enum ei_json_kind kind;
        int64_t value;
    } words[] = {{"true", EI_JSON_BOOL, 1}, {"false", EI_JSON_BOOL, 0}, {"null", EI_JSON_NULL, 0}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const size_t length = strlen(words[i].text);
        if ((size_t)(rd->end - rd->at) >= length && memcmp(rd->at, words[i].text, length) == 0) {
            const int32_t idx = new_node(rd, words[i].kind);
            if (idx >= 0) {
                rd->json->nodes[idx].integer = words[i].value;
                rd->json->nodes[idx].length = (int32_t)length;
                rd->at += length;
                rd->place.column += (int32_t)length;
            }
            return idx;
        }
    }
    return fail(rd, rd->place, NULL,
                peek(rd) == END_OF_TEXT ? "the file ends where a value is expected" : "this is no JSON value");
}

/* One entry of an array, or a key with its value. Returns its node, -1 after an error. */
static int32_t read_child(struct reader *rd, bool is_object, int depth)
{
    if (!is_object) {
        return read_value(rd, depth + 1);
    }
    const struct ei_place place = rd->place;
    int32_t length = 0;
    if (peek(rd) != '"') {
        return fail(rd, place, "\"key\": value", "a key in double quotes is expected");
    }
    char *key = read_string(rd, &length);
    int32_t idx = -1;
    if (key == NULL || !skip_blank(rd)) {
        free(key);
        return -1;
    }
    if (peek(rd) == ':') {
        skip(rd);
        idx = skip_blank(rd) ? read_value(rd, depth + 1) : -1;
    } else if (peek(rd) == ',' || peek(rd) == '}') {
        idx = new_node(rd, EI_JSON_NULL);
    } else {
        fail(rd, rd->place, "\"key\": value", "':' is expected behind the key");
    }
    if (idx < 0) {
        free(key);
        return -1;
    }
    rd->json->nodes[idx].key = key;
    rd->json->nodes[idx].key_place = place;
    rd->json->nodes[idx].key_length = length;
    return idx;
}

static int32_t read_container(struct reader *rd, bool is_object, int depth)
{
    const struct ei_place start = rd->place;
    const char closing = is_object ? '}' : ']';
    const int32_t idx = new_node(rd, is_object ? EI_JSON_OBJECT : EI_JSON_ARRAY);
    int32_t last = -1;
    if (idx < 0) {
        return -1;
    }
    if (depth == EI_JSON_DEPTH_MAX) {
        return fail(rd, start, NULL, "objects and arrays lie too deep in each other");
    }
    skip(rd);
    for (;;) {
        if (!skip_blank(rd)) {
            return -1;
        }
        if (peek(rd) == closing) {
            skip(rd);
            return idx;
        }
        if (peek(rd) == END_OF_TEXT) {
            return fail(rd, start, NULL, is_object ? "the object does not end" : "the array does not end");
        }
        if (is_object && rd->json->nodes[idx].count == EI_JSON_KEYS_MAX) {
            return fail(rd, rd->place, NULL, "more than 1024 keys in one object");
        }
        const int32_t child = read_child(rd, is_object, depth);
        if (child < 0 || !skip_blank(rd)) {
            return -1;
        }
        *(last < 0 ? &rd->json->nodes[idx].first : &rd->json->nodes[last].next) = child;
        last = child;
        rd->json->nodes[idx].count++;
        if (peek(rd) == ',') {
            skip(rd);
        } else if (peek(rd) != closing && peek(rd) != END_OF_TEXT) {
            return fail(rd, rd->place, "separate entries by commas",
                        is_object ? "',' or '}' is expected" : "',' or ']' is expected");
        }
    }
}

static int32_t read_value(struct reader *rd, int depth)
{
    const int c = peek(rd);
    if (c == '{' || c == '[') {
        return read_container(rd, c == '{', depth);
    }
    if (c == '"') {
        const int32_t idx = new_node(rd, EI_JSON_STRING);
        int32_t length = 0;
        char *text = idx >= 0 ? read_string(rd, &length) : NULL;
        if (text == NULL) {
            return -1;
        }
        rd->json->nodes[idx].text = text;
        rd->json->nodes[idx].length = length;
        return idx;
    }
    return c == '-' || (c >= '0' && c <= '9') ? read_number(rd) : read_word(rd);
}

int ei_json_parse(const char *text, size_t length_bytes, struct ei_json *out, struct ei_diagnostics *diag)
{
    struct ei_json json = {.nodes = NULL};
    struct reader rd = {
        .at = text, .end = text + length_bytes, .place = {.line = 1, .column = 1}, .json = &json, .diag = diag};
    if (length_bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        rd.at += 3; /* a byte order mark */
    }
    if (skip_blank(&rd) && read_value(&rd, 0) >= 0 && skip_blank(&rd) && peek(&rd) != END_OF_TEXT) {
        fail(&rd, rd.place, "one JSON value only", "the file goes on behind its end");
    }
    if (rd.rc != 0) {
        ei_json_fini(&json);
        return rd.rc;
    }
    *out = json;
    return 0;
}

void ei_json_fini(struct ei_json *json)
{
    for (int32_t i = 0; i < json->count; i++) {
        free(json->nodes[i].key);
        free(json->nodes[i].text);
    }
    free(json->nodes);
    memset(json, 0, sizeof *json);
}

const struct ei_json_node *ei_json_find(const struct ei_json *json, const struct ei_json_node *object, const char *key)
{
    if (object == NULL || object->kind != EI_JSON_OBJECT) {
        return NULL;
    }
    for (const struct ei_json_node *node = ei_json_first(json, object); node != NULL; node = ei_json_next(json, node)) {
        if (strcmp(node->key, key) == 0) {
            return node;
        }
    }
    return NULL;
}

const char *ei_json_kind_text(enum ei_json_kind kind)
{
    static const char *const texts[] = {
        [EI_JSON_NULL] = "null",       [EI_JSON_BOOL] = "true or false", [EI_JSON_INT] = "a whole number",
        [EI_JSON_REAL] = "a number",   [EI_JSON_STRING] = "a string",    [EI_JSON_ARRAY] = "an array",
        [EI_JSON_OBJECT] = "an object"};
    return texts[kind];
}
