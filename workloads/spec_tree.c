/* See spec_tree.h. */
#include "workloads/spec_tree.h"

#include "workloads/spec_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WHAT_MAX 200

int ei_spec_tree_put(struct ei_yaml *tree, int32_t map, const char *key, const char *text)
{
    char *copy = strdup(text);
    const int32_t node = copy != NULL ? ei_yaml_enter(tree, map, key, EI_YAML_SCALAR) : -ENOMEM;
    if (node < 0) {
        free(copy);
        return node;
    }
    free(tree->nodes[node].text);
    tree->nodes[node].text = copy;
    tree->nodes[node].is_plain = false;
    return 0;
}

int ei_spec_tree_init(struct ei_yaml *out, const char *name)
{
    struct ei_yaml tree = {.root = -1};
    const int32_t root = ei_yaml_append(&tree, -1, EI_YAML_MAP, NULL, true);
    int rc = root < 0 ? root : ei_spec_tree_put(&tree, root, "version", "1");
    if (rc == 0) {
        rc = ei_spec_tree_put(&tree, root, "name", name);
    }
    if (rc < 0) {
        ei_yaml_fini(&tree);
        return rc;
    }
    *out = tree;
    return 0;
}

static int refuse(struct ei_diagnostics *diag, const char *what, const char *why)
{
    ei_diagnostics_add(diag, EI_SEVERITY_ERROR, (struct ei_place){0, 0}, 1, NULL, "%.*s: %s", WHAT_MAX, what, why);
    return EINET_E_FILE;
}

/* A value as a tree of its own. what: the path or the field that it is for. */
static int parse_value(const char *value, const char *what, struct ei_yaml *out, struct ei_diagnostics *diag)
{
    struct ei_diagnostics own;
    if (value[strspn(value, " \t\r\n")] == '\0') {
        return refuse(diag, what, "there is no value");
    }
    int rc = ei_diagnostics_init(&own, "");
    if (rc != 0) {
        return rc;
    }
    rc = ei_yaml_parse(value, strlen(value), out, &own);
    if (rc == 0 && own.errors > 0) {
        ei_yaml_fini(out);
        rc = EINET_E_FILE;
    }
    if (rc == EINET_E_FILE) {
        (void)refuse(diag, what, own.items[0].text);
    }
    ei_diagnostics_fini(&own);
    return rc;
}

int ei_spec_tree_set(struct ei_yaml *tree, const char *path, const char *value, struct ei_diagnostics *diag)
{
    const struct ei_setting setting = {path, value};
    struct ei_spec_reader rd = {.diag = diag, .yaml = *tree, .is_built = true};
    struct ei_yaml part;
    int rc = parse_value(value, path, &part, diag);
    if (rc == 0) {
        rc = ei_spec_set_part(&rd, &setting, &part);
        *tree = rd.yaml;
        ei_yaml_fini(&part);
    }
    return rc;
}

int ei_spec_tree_put_value(struct ei_yaml *tree, int32_t map, const char *key, const char *value,
                           struct ei_diagnostics *diag)
{
    struct ei_yaml part;
    int rc = parse_value(value, key, &part, diag);
    if (rc == 0) {
        const int32_t node = ei_yaml_enter(tree, map, key, EI_YAML_SCALAR);
        rc = node < 0 ? node : ei_yaml_graft(tree, node, &part, part.root);
        ei_yaml_fini(&part);
    }
    return rc;
}
