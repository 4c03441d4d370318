/* Settings from outside the file: values put into the tree before it is checked, so that defaults follow from them and
 * every check looks at them.
 */
#include "workloads/spec_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 128

static const char setting_hint[] = "a path names keys and list entries by name or number from 0: "
                                   "tasks.camera.deadline, models.m.emulate.blocks.0.conv";

/* A new last child of the map or list. Returns its index or -ENOMEM. */
static int32_t append_node(struct ei_yaml *yaml, int32_t parent, enum ei_yaml_kind kind, const char *text)
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
                                       .place = nodes[parent].place,
                                       .length = 1,
                                       .text = copy,
                                       .is_plain = true,
                                       .first = -1,
                                       .next = -1};
    int32_t *link = &nodes[parent].first;
    while (*link >= 0) {
        link = &nodes[*link].next;
    }
    *link = idx;
    return idx;
}

/* The value of a key; one that is not there is added: an empty map, or a scalar for the last word. */
static int32_t enter_map(struct ei_yaml *yaml, int32_t map, const char *word, bool is_last)
{
    const int32_t found = ei_yaml_find(yaml, map, word);
    if (found >= 0) {
        return found;
    }
    const int32_t key = append_node(yaml, map, EI_YAML_SCALAR, word);
    if (key < 0) {
        return key;
    }
    yaml->nodes[map].count++;
    return append_node(yaml, map, is_last ? EI_YAML_SCALAR : EI_YAML_MAP, is_last ? "" : NULL);
}

/* The entry of a list whose `name` is the word, else the one of that number; EINET_E_FILE = none. */
static int32_t enter_list(const struct ei_yaml *yaml, int32_t list, const char *word)
{
    char *end;
    const long wanted = strtol(word, &end, 10);
    long number = 0;
    for (int32_t i = yaml->nodes[list].first; i >= 0; i = yaml->nodes[i].next) {
        const int32_t name = ei_yaml_find(yaml, i, "name");
        if (name >= 0 && yaml->nodes[name].text != NULL && strcmp(yaml->nodes[name].text, word) == 0) {
            return i;
        }
    }
    for (int32_t i = yaml->nodes[list].first; *end == '\0' && i >= 0; i = yaml->nodes[i].next, number++) {
        if (number == wanted) {
            return i;
        }
    }
    return EINET_E_FILE;
}

static int refuse(struct ei_spec_reader *rd, const struct ei_setting *setting, int32_t node, const char *why)
{
    ei_spec_error(rd, node, setting_hint, "cannot set %s: %s", setting->path, why);
    return EINET_E_FILE;
}

static int apply(struct ei_spec_reader *rd, const struct ei_setting *setting)
{
    struct ei_yaml *yaml = &rd->yaml;
    int32_t node = yaml->root;
    for (const char *at = setting->path;;) {
        char word[WORD_MAX];
        const size_t length = strcspn(at, ".");
        const bool is_last = at[length] == '\0';
        if (length == 0 || length >= sizeof word) {
            return refuse(rd, setting, -1, "its path has an empty or overlong word");
        }
        memcpy(word, at, length);
        word[length] = '\0';
        int32_t next = EINET_E_FILE;
        if (node >= 0 && yaml->nodes[node].kind == EI_YAML_MAP) {
            next = enter_map(yaml, node, word, is_last);
        } else if (node >= 0 && yaml->nodes[node].kind == EI_YAML_LIST) {
            next = enter_list(yaml, node, word);
        }
        if (next == -ENOMEM) {
            return next;
        }
        if (next < 0) {
            char why[WORD_MAX + 64];
            snprintf(why, sizeof why, "there is no '%s' here", word);
            return refuse(rd, setting, node, why);
        }
        node = next;
        if (is_last) {
            break;
        }
        at += length + 1;
    }
    if (yaml->nodes[node].kind != EI_YAML_SCALAR) {
        return refuse(rd, setting, node, "this is no single value");
    }
    char *text = strdup(setting->value);
    if (text == NULL) {
        return -ENOMEM;
    }
    free(yaml->nodes[node].text);
    yaml->nodes[node].text = text;
    yaml->nodes[node].is_plain = true;
    return 0;
}

int ei_spec_apply_settings(struct ei_spec_reader *reader)
{
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < reader->setting_count; i++) {
        rc = apply(reader, &reader->settings[i]);
    }
    return rc;
}
