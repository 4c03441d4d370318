/* Settings from outside the file: values put into the tree before it is checked, so that defaults follow from them and
 * every check looks at them. A tree that is made by calls takes whole parts in the same way.
 */
#include "workloads/spec_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 128

static const char setting_hint[] = "a path names keys and list entries by name or number from 0: "
                                   "tasks.camera.deadline, models.m.emulate.blocks.0.conv";

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

/* Whether a path has no empty or overlong word and is no deeper than a tree. */
static bool is_path(const char *path)
{
    for (int32_t depth = 1; depth < EI_YAML_DEPTH_MAX; depth++) {
        const size_t length = strcspn(path, ".");
        if (length == 0 || length >= WORD_MAX) {
            return false;
        }
        if (path[length] == '\0') {
            return true;
        }
        path += length + 1;
    }
    return false;
}

/* The node that the path leads to. Returns 0, -ENOMEM, or EINET_E_FILE with the error reported and the tree as it was.
 */
static int find_place(struct ei_spec_reader *rd, const struct ei_setting *setting, int32_t *out_node)
{
    struct ei_yaml *yaml = &rd->yaml;
    int32_t node = yaml->root;
    if (!is_path(setting->path)) {
        return refuse(rd, setting, -1, "its path has an empty or overlong word, or too many");
    }
    for (const char *at = setting->path;;) {
        char word[WORD_MAX];
        const size_t length = strcspn(at, ".");
        const bool is_last = at[length] == '\0';
        memcpy(word, at, length);
        word[length] = '\0';
        int32_t next = EINET_E_FILE;
        if (yaml->nodes[node].kind == EI_YAML_MAP) {
            next = ei_yaml_enter(yaml, node, word, is_last ? EI_YAML_SCALAR : EI_YAML_MAP);
        } else if (yaml->nodes[node].kind == EI_YAML_LIST) {
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
            *out_node = node;
            return 0;
        }
        at += length + 1;
    }
}

static int apply(struct ei_spec_reader *rd, const struct ei_setting *setting)
{
    int32_t node = -1;
    const int rc = find_place(rd, setting, &node);
    if (rc != 0) {
        return rc;
    }
    struct ei_yaml_node *found = &rd->yaml.nodes[node];
    if (found->kind != EI_YAML_SCALAR) {
        return refuse(rd, setting, node, "this is no single value");
    }
    char *text = strdup(setting->value);
    if (text == NULL) {
        return -ENOMEM;
    }
    free(found->text);
    found->text = text;
    found->is_plain = true;
    return 0;
}

int ei_spec_set_part(struct ei_spec_reader *reader, const struct ei_setting *setting, const struct ei_yaml *part)
{
    int32_t node = -1;
    const int rc = find_place(reader, setting, &node);
    return rc == 0 ? ei_yaml_graft(&reader->yaml, node, part, part->root) : rc;
}

int ei_spec_apply_settings(struct ei_spec_reader *reader)
{
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < reader->setting_count; i++) {
        rc = apply(reader, &reader->settings[i]);
    }
    return rc;
}
