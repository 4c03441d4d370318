/* See yaml.h. Built from libyaml's events, since its document interface resolves aliases before we can refuse them. */
#include "workloads/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct builder {
    struct ei_yaml *yaml;
    struct ei_diagnostics *diag;
    int32_t stack[EI_YAML_DEPTH_MAX]; /* open lists and maps */
    int32_t last[EI_YAML_DEPTH_MAX];  /* their last child, -1 = none */
    int32_t depth;
    int32_t documents;
};

static struct ei_place place_of(yaml_mark_t mark)
{
    return (struct ei_place){.line = (int32_t)mark.line + 1, .column = (int32_t)mark.column + 1};
}

static void blame(struct builder *b, const yaml_event_t *event, const char *hint, const char *what)
{
    const int32_t length = event->start_mark.line == event->end_mark.line
                               ? (int32_t)(event->end_mark.column - event->start_mark.column)
                               : 1;
    ei_diagnostics_add(b->diag, EI_SEVERITY_ERROR, place_of(event->start_mark), length, hint, "%s", what);
}

/* ---- UTF-8 ---- */

/* Length of the well-formed UTF-8 character at s (RFC 3629), 0 when there is none. */
static size_t character_bytes(const unsigned char *s, size_t left)
{
    static const struct {
        unsigned char lo, hi, second_lo, second_hi;
        size_t bytes;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
        if (s[0] < forms[f].lo || s[0] > forms[f].hi) {
            continue;
        }
        if (forms[f].bytes > left || (forms[f].bytes > 1 && (s[1] < forms[f].second_lo || s[1] > forms[f].second_hi))) {
            return 0;
        }
        for (size_t i = 2; i < forms[f].bytes; i++) {
            if ((s[i] & 0xc0U) != 0x80U) {
                return 0;
            }
        }
        return forms[f].bytes;
    }
    return 0;
}

/* The place of a byte, counting characters as far as they are well formed. */
static struct ei_place place_at(const char *text, size_t at_byte)
{
    struct ei_place place = {.line = 1, .column = 1};
    for (size_t i = 0; i < at_byte;) {
        const size_t bytes = character_bytes((const unsigned char *)text + i, at_byte - i);
        if (text[i] == '\n') {
            place.line++;
            place.column = 1;
        } else {
            place.column++;
        }
        i += bytes > 0 ? bytes : 1;
    }
    return place;
}

/* The first byte that is not UTF-8 or a control character that YAML does not allow; length_bytes when all is well. */
static size_t first_bad_byte(const char *text, size_t length_bytes)
{
    for (size_t i = 0; i < length_bytes;) {
        const unsigned char c = (unsigned char)text[i];
        const size_t bytes = character_bytes((const unsigned char *)text + i, length_bytes - i);
        const bool is_control = (c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f;
        if (bytes == 0 || is_control) {
            return i;
        }
        i += bytes;
    }
    return length_bytes;
}

static int check_encoding(const char *text, size_t length_bytes, struct ei_diagnostics *diag)
{
    const size_t bad = first_bad_byte(text, length_bytes);
    if (bad == length_bytes) {
        return 0;
    }
    const unsigned byte = (unsigned char)text[bad];
    if (byte < 0x80) {
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, place_at(text, bad), 1, "workload files are plain text",
                           "control character 0x%02x", byte);
    } else {
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, place_at(text, bad), 1, "save the file as UTF-8",
                           "not UTF-8: byte 0x%02x", byte);
    }
    return EINET_E_FILE;
}

/* ---- building the tree ---- */

/* A new node as the next child of the innermost open one. Returns its index, or a negative error. */
static int32_t add_node(struct builder *b, const yaml_event_t *event, enum ei_yaml_kind kind)
{
    struct ei_yaml *yaml = b->yaml;
    if (yaml->count == yaml->capacity) {
        const int32_t capacity = yaml->capacity > 0 ? yaml->capacity * 2 : 256;
        struct ei_yaml_node *nodes = realloc(yaml->nodes, (size_t)capacity * sizeof *nodes);
        if (nodes == NULL) {
            return -ENOMEM;
        }
        yaml->nodes = nodes;
        yaml->capacity = capacity;
    }
    const int32_t idx = yaml->count++;
    const bool is_one_line = event->start_mark.line == event->end_mark.line;
    const size_t width = is_one_line ? event->end_mark.column - event->start_mark.column : 1;
    yaml->nodes[idx] = (struct ei_yaml_node){.kind = kind,
                                             .place = place_of(event->start_mark),
                                             .length = width > 0 ? (int32_t)width : 1,
                                             .first = -1,
                                             .next = -1};
    if (b->depth == 0) {
        yaml->root = idx;
        return idx;
    }
    const int32_t last = b->last[b->depth - 1];
    struct ei_yaml_node *parent = &yaml->nodes[b->stack[b->depth - 1]];
    if (last < 0) {
        parent->first = idx;
    } else {
        yaml->nodes[last].next = idx;
    }
    b->last[b->depth - 1] = idx;
    parent->count++;
    return idx;
}

static void refuse_properties(struct builder *b, const yaml_event_t *event, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    if (anchor != NULL) {
        blame(b, event, "write the value out where it is used", "anchors (&name) are not allowed");
    }
    if (tag != NULL) {
        blame(b, event, "the key decides how its value is read", "tags (!name) are not allowed");
    }
}

static int add_scalar(struct builder *b, const yaml_event_t *event)
{
    refuse_properties(b, event, event->data.scalar.anchor, event->data.scalar.tag);
    const int32_t idx = add_node(b, event, EI_YAML_SCALAR);
    if (idx < 0) {
        return idx;
    }
    const size_t length = event->data.scalar.length;
    char *text = malloc(length + 1);
    if (text == NULL) {
        return -ENOMEM;
    }
    memcpy(text, event->data.scalar.value, length);
    text[length] = '\0';
    if (strlen(text) != length) {
        blame(b, event, NULL, "a text cannot hold the character 0");
    }
    b->yaml->nodes[idx].text = text;
    b->yaml->nodes[idx].is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return 0;
}

static int open_node(struct builder *b, const yaml_event_t *event, enum ei_yaml_kind kind)
{
    if (b->depth == EI_YAML_DEPTH_MAX) {
        blame(b, event, NULL, "nested too deeply");
        return EINET_E_FILE;
    }
    const int32_t idx = add_node(b, event, kind);
    if (idx < 0) {
        return idx;
    }
    b->stack[b->depth] = idx;
    b->last[b->depth++] = -1;
    return 0;
}

/* A mapping is complete: count pairs, check its keys. */
static void close_map(struct builder *b, struct ei_yaml_node *map)
{
    struct ei_yaml_node *nodes = b->yaml->nodes;
    const struct ei_yaml_node *keys[EI_YAML_KEYS_MAX];
    int32_t count = 0;
    map->count /= 2;
    for (int32_t k = map->first; k >= 0; k = nodes[nodes[k].next].next) {
        const struct ei_yaml_node *key = &nodes[k];
        if (key->kind != EI_YAML_SCALAR) {
            if (key->kind != EI_YAML_BROKEN) {
                ei_diagnostics_add(b->diag, EI_SEVERITY_ERROR, key->place, 1, NULL, "a key must be a plain word");
            }
            continue;
        }
        if (strcmp(key->text, "<<") == 0) {
            ei_diagnostics_add(b->diag, EI_SEVERITY_ERROR, key->place, key->length,
                               "write the keys out where they are used", "merge keys (<<) are not allowed");
            continue;
        }
        if (count == EI_YAML_KEYS_MAX) {
            ei_diagnostics_add(b->diag, EI_SEVERITY_ERROR, key->place, key->length, NULL,
                               "more than %d keys in one mapping", EI_YAML_KEYS_MAX);
            break;
        }
        for (int32_t i = 0; i < count; i++) {
            if (strcmp(keys[i]->text, key->text) == 0) {
                ei_diagnostics_add(b->diag, EI_SEVERITY_ERROR, key->place, key->length, "remove one of the two",
                                   "key '%.80s' is given twice, first in line %d", key->text, keys[i]->place.line);
                break;
            }
        }
        keys[count++] = key;
    }
}

static int add_event(struct builder *b, const yaml_event_t *event)
{
    if (b->yaml->count >= EI_YAML_NODES_MAX) {
        blame(b, event, NULL, "too many entries for a workload file");
        return EINET_E_FILE;
    }
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents++ > 0) {
            blame(b, event, "keep one document per file", "a second document begins here");
            return EINET_E_FILE;
        }
        if (event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end) {
            blame(b, event, NULL, "tag directives are not allowed");
        }
        return 0;
    case YAML_SCALAR_EVENT:
        return add_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        refuse_properties(b, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        return open_node(b, event, EI_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        refuse_properties(b, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        return open_node(b, event, EI_YAML_MAP);
    case YAML_ALIAS_EVENT: {
        blame(b, event, "write the value out where it is used", "aliases (*name) are not allowed");
        const int32_t idx = add_node(b, event, EI_YAML_BROKEN);
        return idx < 0 ? idx : 0;
    }
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return 0;
    case YAML_MAPPING_END_EVENT:
        close_map(b, &b->yaml->nodes[b->stack[--b->depth]]);
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return 0;
}

static void blame_syntax(const yaml_parser_t *parser, const char *text, size_t length_bytes,
                         struct ei_diagnostics *diag)
{
    const char *problem = parser->problem != NULL ? parser->problem : "unreadable";
    struct ei_place place = place_of(parser->problem_mark);
    const char *hint = NULL;
    if (parser->error == YAML_READER_ERROR) {
        place = place_at(text, parser->problem_offset < length_bytes ? parser->problem_offset : length_bytes);
    } else if (parser->problem_mark.index < length_bytes && memchr(text, '\t', length_bytes) != NULL) {
        hint = "YAML indents with spaces, never with tabs";
    }
    if (parser->context != NULL && parser->context_mark.line != parser->problem_mark.line) {
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, place, 1, hint, "YAML: %s, %s that begins in line %zu", problem,
                           parser->context, parser->context_mark.line + 1);
    } else {
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, place, 1, hint, "YAML: %s%s%s", problem,
                           parser->context != NULL ? ", " : "", parser->context != NULL ? parser->context : "");
    }
}

static int read_events(yaml_parser_t *parser, struct builder *b, const char *text, size_t length_bytes)
{
    for (bool is_done = false; !is_done;) {
        yaml_event_t event;
        if (yaml_parser_parse(parser, &event) == 0) {
            if (parser->error == YAML_MEMORY_ERROR) {
                return -ENOMEM;
            }
            blame_syntax(parser, text, length_bytes, b->diag);
            return EINET_E_FILE;
        }
        is_done = event.type == YAML_STREAM_END_EVENT;
        const int rc = add_event(b, &event);
        yaml_event_delete(&event);
        if (rc < 0) {
            return rc;
        }
    }
    if (b->yaml->root < 0) {
        ei_diagnostics_add(b->diag, EI_SEVERITY_ERROR, (struct ei_place){1, 1}, 1,
                           "a workload file begins with: version: 1", "the file is empty");
        return EINET_E_FILE;
    }
    return 0;
}

int ei_yaml_parse(const char *text, size_t length_bytes, struct ei_yaml *out, struct ei_diagnostics *diag)
{
    struct ei_yaml yaml = {.root = -1};
    struct builder b = {.yaml = &yaml, .diag = diag};
    yaml_parser_t parser;
    int rc = check_encoding(text, length_bytes, diag);
    if (rc != 0) {
        return rc;
    }
    if (yaml_parser_initialize(&parser) == 0) {
        return -ENOMEM;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length_bytes);
    rc = read_events(&parser, &b, text, length_bytes);
    yaml_parser_delete(&parser);
    if (rc < 0) {
        ei_yaml_fini(&yaml);
        return rc;
    }
    *out = yaml;
    return 0;
}

void ei_yaml_fini(struct ei_yaml *yaml)
{
    for (int32_t i = 0; i < yaml->count; i++) {
        free(yaml->nodes[i].text);
    }
    free(yaml->nodes);
    *yaml = (struct ei_yaml){.root = -1};
}

int32_t ei_yaml_find(const struct ei_yaml *yaml, int32_t map, const char *key)
{
    if (map < 0 || yaml->nodes[map].kind != EI_YAML_MAP) {
        return -1;
    }
    for (int32_t k = yaml->nodes[map].first; k >= 0; k = yaml->nodes[yaml->nodes[k].next].next) {
        if (yaml->nodes[k].kind == EI_YAML_SCALAR && strcmp(yaml->nodes[k].text, key) == 0) {
            return yaml->nodes[k].next;
        }
    }
    return -1;
}
