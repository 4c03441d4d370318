/* Changing a tree, and finding one's way in it. See yaml.h. */
#include "workloads/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A new node behind the last child of parent, whose count stays. */
static int32_t link_node(struct ei_yaml *yaml, int32_t parent, enum ei_yaml_kind kind, const char *text, bool is_plain)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    struct ei_yaml_node *nodes = realloc(yaml->nodes, (size_t)(yaml->count + 1) * sizeof *nodes);
    if (nodes == NULL || (text != NULL && copy == NULL)) {
        yaml->nodes = nodes != NULL ? nodes : yaml->nodes;
        free(copy);
        return -ENOMEM;
    }
    const int32_t idx = yaml->count++;
    yaml->nodes = nodes;
    yaml->capacity = yaml->count;
    nodes[idx] = (struct ei_yaml_node){.kind = kind,
                                       .place = parent >= 0 ? nodes[parent].place : (struct ei_place){0, 0},
                                       .length = 1,
                                       .text = copy,
                                       .is_plain = is_plain,
                                       .first = -1,
                                       .next = -1};
    int32_t *link = parent >= 0 ? &nodes[parent].first : &yaml->root;
    while (*link >= 0) {
        link = &nodes[*link].next;
    }
    *link = idx;
    return idx;
}

int32_t ei_yaml_append(struct ei_yaml *yaml, int32_t parent, enum ei_yaml_kind kind, const char *text, bool is_plain)
{
    const int32_t idx = link_node(yaml, parent, kind, text, is_plain);
    if (idx >= 0 && parent >= 0) {
        yaml->nodes[parent].count++;
    }
    return idx;
}

int32_t ei_yaml_enter(struct ei_yaml *yaml, int32_t map, const char *key, enum ei_yaml_kind kind)
{
    const int32_t found = ei_yaml_find(yaml, map, key);
    if (found >= 0) {
        return found;
    }
    const int32_t idx = link_node(yaml, map, EI_YAML_SCALAR, key, false);
    if (idx < 0) {
        return idx;
    }
    const int32_t value = link_node(yaml, map, kind, kind == EI_YAML_SCALAR ? "" : NULL, true);
    if (value < 0) { /* the key goes again: it is the last node */
        int32_t *link = &yaml->nodes[map].first;
        while (*link != idx) {
            link = &yaml->nodes[*link].next;
        }
        *link = -1;
        free(yaml->nodes[idx].text);
        yaml->count--;
        return value;
    }
    yaml->nodes[map].count++;
    return value;
}

int ei_yaml_graft(struct ei_yaml *yaml, int32_t node, const struct ei_yaml *from, int32_t from_node)
{
    const struct ei_yaml_node *source = &from->nodes[from_node];
    char *text = source->text != NULL ? strdup(source->text) : NULL;
    if (source->text != NULL && text == NULL) {
        return -ENOMEM;
    }
    free(yaml->nodes[node].text);
    yaml->nodes[node].text = text;
    yaml->nodes[node].kind = source->kind;
    yaml->nodes[node].is_plain = source->is_plain;
    yaml->nodes[node].count = source->count;
    yaml->nodes[node].first = -1; /* what hung there stays in the table, unseen, until it is freed */
    int rc = 0;
    for (int32_t child = source->first; rc == 0 && child >= 0; child = from->nodes[child].next) {
        const int32_t idx = link_node(yaml, node, EI_YAML_SCALAR, NULL, true);
        rc = idx < 0 ? idx : ei_yaml_graft(yaml, idx, from, child);
    }
    return rc;
}

/* Write the word of a child behind the path so far. Returns its length. */
static size_t add_word(const struct ei_yaml *yaml, int32_t key, int32_t child, int32_t number, char *out_text,
                       size_t size_bytes, bool is_first)
{
    const char *dot = is_first ? "" : ".";
    const int32_t name = key < 0 ? ei_yaml_find(yaml, child, "name") : key;
    const char *word = name >= 0 ? yaml->nodes[name].text : NULL;
    const int length = word != NULL ? snprintf(out_text, size_bytes, "%s%s", dot, word)
                                    : snprintf(out_text, size_bytes, "%s%d", dot, number);
    return length > 0 ? ((size_t)length < size_bytes ? (size_t)length : size_bytes - 1) : 0;
}

/* Whether node lies at or below `at`, whose own path is the first `used` bytes; then out_text has the whole path. */
static bool find_path(const struct ei_yaml *yaml, int32_t at, int32_t node, size_t used, char *out_text,
                      size_t size_bytes)
{
    const struct ei_yaml_node *found = &yaml->nodes[at];
    const bool is_map = found->kind == EI_YAML_MAP;
    bool is_here = at == node;
    int32_t number = 0;
    out_text[used] = '\0';
    for (int32_t i = found->first; !is_here && i >= 0 && found->kind != EI_YAML_SCALAR; number++) {
        const int32_t child = is_map ? yaml->nodes[i].next : i;
        const size_t word =
            add_word(yaml, is_map ? i : -1, child, number, out_text + used, size_bytes - used, used == 0);
        is_here = i == node || find_path(yaml, child, node, used + word, out_text, size_bytes);
        i = yaml->nodes[child].next;
    }
    return is_here;
}

void ei_yaml_path(const struct ei_yaml *yaml, int32_t node, char *out_text, size_t size_bytes)
{
    out_text[0] = '\0';
    if (yaml->root >= 0 && !find_path(yaml, yaml->root, node, 0, out_text, size_bytes)) {
        out_text[0] = '\0';
    }
}
