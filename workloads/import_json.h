/* JSON as a tree whose nodes and keys know their places, for naming the line of what is wrong in an imported file.
 *
 * All of RFC 8259, and what the tools accept whose files we read: comments of C, a comma behind the last entry, keys
 * that occur again (kept, in order) and keys without a value (null). Private to workloads/. One owner thread.
 */
#ifndef WORKLOADS_IMPORT_JSON_H
#define WORKLOADS_IMPORT_JSON_H

#include "workloads/diagnostics.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EI_JSON_DEPTH_MAX 64
#define EI_JSON_NODES_MAX 500000
#define EI_JSON_KEYS_MAX 1024 /* in one object */

enum ei_json_kind {
    EI_JSON_NULL,
    EI_JSON_BOOL,
    EI_JSON_INT,
    EI_JSON_REAL,
    EI_JSON_STRING,
    EI_JSON_ARRAY,
    EI_JSON_OBJECT
};

struct ei_json_node {
    enum ei_json_kind kind;
    struct ei_place place; /* of the value */
    int32_t length;        /* characters of the value, 1 of an array or object */
    char *key;             /* owned; NULL outside of objects */
    struct ei_place key_place;
    int32_t key_length;
    char *text;      /* string: its value, owned; else NULL */
    int64_t integer; /* int; bool: 0 or 1 */
    double real;     /* int and real */
    int32_t first;   /* array, object: first child, -1 = empty */
    int32_t next;    /* sibling, -1 = last */
    int32_t count;   /* children */
};

struct ei_json {
    struct ei_json_node *nodes; /* owned; the root is node 0 */
    int32_t count, capacity;
};

/* Read the text. Returns 0 with a tree (fini it), EINET_E_FILE (diag has the one error), -ENOMEM. */
int ei_json_parse(const char *text, size_t length_bytes, struct ei_json *out, struct ei_diagnostics *diag);

void ei_json_fini(struct ei_json *json);

/* First child of an array or object and the sibling of a node; NULL at the end. */
static inline const struct ei_json_node *ei_json_first(const struct ei_json *json, const struct ei_json_node *node)
{
    return node->first >= 0 ? &json->nodes[node->first] : NULL;
}

static inline const struct ei_json_node *ei_json_next(const struct ei_json *json, const struct ei_json_node *node)
{
    return node->next >= 0 ? &json->nodes[node->next] : NULL;
}

/* The first value of a key in an object; NULL when there is none, or when object is NULL or no object. */
const struct ei_json_node *ei_json_find(const struct ei_json *json, const struct ei_json_node *object, const char *key);

/* "a whole number", "an object": what a node is, for messages. */
const char *ei_json_kind_text(enum ei_json_kind kind);

#endif
