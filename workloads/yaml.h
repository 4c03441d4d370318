/* The strict subset of YAML 1.2 that workload files are written in, read into a tree whose nodes know their places.
 *
 * Refused, each with its place: text that is not UTF-8, syntax errors, more than one document, anchors, aliases, tags,
 * merge keys, directives, duplicate keys, keys that are no plain words, and anything beyond the limits below. All but
 * syntax errors leave a tree, so that checking goes on and one pass finds all errors. One owner thread.
 */
#ifndef WORKLOADS_YAML_H
#define WORKLOADS_YAML_H

#include "workloads/diagnostics.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EI_YAML_DEPTH_MAX 16
#define EI_YAML_NODES_MAX 50000
#define EI_YAML_KEYS_MAX 256 /* in one mapping */

enum ei_yaml_kind {
    EI_YAML_SCALAR,
    EI_YAML_LIST,
    EI_YAML_MAP,
    EI_YAML_BROKEN /* an alias: its error is already reported */
};

struct ei_yaml_node {
    enum ei_yaml_kind kind;
    struct ei_place place;
    int32_t length; /* characters on its first line, for underlining */
    char *text;     /* scalar: its value, owned; else NULL */
    bool is_plain;  /* scalar without quotes */
    int32_t first;  /* list: first entry; map: first key, whose next is its value; -1 = empty */
    int32_t next;   /* sibling, -1 = last */
    int32_t count;  /* entries, or pairs */
};

struct ei_yaml {
    struct ei_yaml_node *nodes; /* owned */
    int32_t count, capacity;
    int32_t root; /* -1 = none */
};

/* Read the text. Returns 0 with a tree (fini it; diag may hold errors all the same), EINET_E_FILE without one (diag
 * says why), -ENOMEM. */
int ei_yaml_parse(const char *text, size_t length_bytes, struct ei_yaml *out, struct ei_diagnostics *diag);

void ei_yaml_fini(struct ei_yaml *yaml);

/* The node of that index; idx must be valid. */
static inline const struct ei_yaml_node *ei_yaml_node(const struct ei_yaml *yaml, int32_t idx)
{
    return &yaml->nodes[idx];
}

/* Index of the value of a key in a mapping (its first one), or -1; -1 as well when map is -1 or no mapping. */
int32_t ei_yaml_find(const struct ei_yaml *yaml, int32_t map, const char *key);

/* ---- changing a tree (yaml_edit.c); indices of nodes stay what they are ---- */

/* A new entry of a list, or with parent -1 the root of an empty tree. text: of a scalar, copied, else NULL; is_plain:
 * as if written without quotes. It has the place of its parent. Returns its index or -ENOMEM. */
int32_t ei_yaml_append(struct ei_yaml *yaml, int32_t parent, enum ei_yaml_kind kind, const char *text, bool is_plain);

/* The value of a key of a map; one that is not there is added: empty, of that kind. Returns its index or -ENOMEM. */
int32_t ei_yaml_enter(struct ei_yaml *yaml, int32_t map, const char *key, enum ei_yaml_kind kind);

/* Make node what from_node of another tree is, with all below it. Returns 0 or -ENOMEM. */
int ei_yaml_graft(struct ei_yaml *yaml, int32_t node, const struct ei_yaml *from, int32_t from_node);

/* The keys that lead to a node from the root, joined by dots, entries of lists by their `name` or number:
 * "tasks.camera. deadline". "" of the root. Cut where there is no more room. */
void ei_yaml_path(const struct ei_yaml *yaml, int32_t node, char *out_text, size_t size_bytes);

#endif
