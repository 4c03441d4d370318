/* The tree of a workload that is made by calls instead of a file: filled key by key, then read and checked by what
 * reads files. One owner thread.
 */
#ifndef WORKLOADS_SPEC_TREE_H
#define WORKLOADS_SPEC_TREE_H

#include "workloads/spec.h"
#include "workloads/yaml.h"

/* A tree of a file that says its version and its name. Returns 0 or -ENOMEM; ei_yaml_fini it. */
int ei_spec_tree_init(struct ei_yaml *out, const char *name);

/* Give a key of a mapping a text, as a file has it in quotes. Returns 0 or -ENOMEM. */
int ei_spec_tree_put(struct ei_yaml *tree, int32_t map, const char *key, const char *text);

/* Give it a value of any kind, written as in a file. diag is initialised and holds what is wrong. Returns 0,
 * EINET_E_FILE or -ENOMEM. */
int ei_spec_tree_put_value(struct ei_yaml *tree, int32_t map, const char *key, const char *value,
                           struct ei_diagnostics *diag);

/* The same where a path leads (struct ei_setting). */
int ei_spec_tree_set(struct ei_yaml *tree, const char *path, const char *value, struct ei_diagnostics *diag);

/* ei_workload_parse for a tree, which stays the caller's. Relative paths are taken from the working directory. */
int ei_workload_from_tree(const struct ei_yaml *tree, struct ei_workload **out, struct ei_diagnostics *diag);

#endif
