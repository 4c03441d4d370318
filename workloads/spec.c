/* Loading, freeing and comparing workloads. See spec.h. */
#include "workloads/spec.h"

#include "workloads/spec_read.h"
#include "workloads/spec_tree.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char built_name[] = "workload"; /* stands for the file of one that is made by calls */

static void set_folder(struct ei_spec_reader *rd, const char *name)
{
    const char *slash = strrchr(name, '/');
    const size_t length = slash != NULL ? (size_t)(slash - name) + 1 : 0;
    if (length < sizeof rd->folder) {
        memcpy(rd->folder, name, length);
        rd->folder[length] = '\0';
    }
}

static int read_tree(struct ei_spec_reader *rd)
{
    ei_spec_read(rd);
    ei_spec_check(rd);
    return rd->rc != 0 ? rd->rc : (rd->diag->errors > 0 ? EINET_E_FILE : 0);
}

static int parse_into(struct ei_spec_reader *rd, const char *text, size_t length_bytes)
{
    const struct ei_place nowhere = {0, 0};
    if (length_bytes > (size_t)EI_WORKLOAD_FILE_MAX) {
        ei_diagnostics_add(rd->diag, EI_SEVERITY_ERROR, nowhere, 1, NULL, "the text is too large: the limit is 1 MiB");
        return EINET_E_FILE;
    }
    int rc = ei_diagnostics_set_source(rd->diag, text, length_bytes);
    if (rc == 0) {
        rc = ei_yaml_parse(text, length_bytes, &rd->yaml, rd->diag);
    }
    if (rc != 0) {
        return rc;
    }
    rc = ei_spec_apply_settings(rd);
    if (rc != 0) {
        ei_yaml_fini(&rd->yaml);
        return rc;
    }
    rc = read_tree(rd);
    ei_yaml_fini(&rd->yaml);
    return rc;
}

/* The end of reading wl. */
static int hand_out(int rc, struct ei_workload *wl, struct ei_workload **out, struct ei_diagnostics *diag)
{
    ei_diagnostics_sort(diag);
    if (rc != 0) {
        ei_workload_destroy(wl);
        return rc;
    }
    *out = wl;
    return 0;
}

/* diag is initialised. */
static int parse_checked(const char *text, size_t length_bytes, const char *name, const struct ei_setting *settings,
                         int32_t setting_count, struct ei_workload **out, struct ei_diagnostics *diag)
{
    struct ei_workload *wl = calloc(1, sizeof *wl);
    if (wl == NULL) {
        return -ENOMEM;
    }
    struct ei_spec_reader rd = {.wl = wl, .diag = diag, .settings = settings, .setting_count = setting_count};
    set_folder(&rd, name);
    snprintf(wl->file, sizeof wl->file, "%s", name);
    return hand_out(parse_into(&rd, text, length_bytes), wl, out, diag);
}

int ei_workload_from_tree(const struct ei_yaml *tree, struct ei_workload **out, struct ei_diagnostics *diag)
{
    int rc = ei_diagnostics_init(diag, built_name);
    struct ei_workload *wl = rc == 0 ? calloc(1, sizeof *wl) : NULL;
    if (wl != NULL) {
        struct ei_spec_reader rd = {.wl = wl, .diag = diag, .yaml = *tree, .is_built = true};
        snprintf(wl->file, sizeof wl->file, "%s", built_name);
        rc = hand_out(read_tree(&rd), wl, out, diag);
    } else if (rc == 0) {
        rc = -ENOMEM;
    }
    if (rc == -ENOMEM) {
        ei_diagnostics_fini(diag);
    }
    return rc;
}

int ei_workload_parse(const char *text, size_t length_bytes, const char *name, struct ei_workload **out,
                      struct ei_diagnostics *diag)
{
    int rc = ei_diagnostics_init(diag, name);
    if (rc != 0) {
        return rc;
    }
    rc = parse_checked(text, length_bytes, name, NULL, 0, out, diag);
    if (rc == -ENOMEM) {
        ei_diagnostics_fini(diag);
    }
    return rc;
}

int ei_workload_load(const char *path, struct ei_workload **out, struct ei_diagnostics *diag)
{
    return ei_workload_load_with(path, NULL, 0, out, diag);
}

int ei_workload_load_with(const char *path, const struct ei_setting *settings, int32_t count, struct ei_workload **out,
                          struct ei_diagnostics *diag)
{
    const struct ei_place nowhere = {0, 0};
    char why[160] = "";
    char *text = NULL;
    size_t length_bytes = 0;
    int rc = ei_diagnostics_init(diag, path);
    if (rc != 0) {
        return rc;
    }
    rc = ei_spec_read_file(path, EI_WORKLOAD_FILE_MAX, &text, &length_bytes, why, sizeof why);
    if (rc == 0) {
        rc = parse_checked(text, length_bytes, path, settings, count, out, diag);
    } else if (rc != -ENOMEM) {
        const char *hint = rc == -EISDIR ? "name the workload file itself, e.g. configs/edge-server.yaml" : NULL;
        ei_diagnostics_add(diag, EI_SEVERITY_ERROR, nowhere, 1, hint, "%s", why);
        rc = EINET_E_FILE;
    }
    free(text);
    if (rc == -ENOMEM) {
        ei_diagnostics_fini(diag);
    }
    return rc;
}

int32_t ei_workload_chain_head(const struct ei_workload *wl, int32_t task_idx)
{
    while (wl->tasks[task_idx].arrival.model == EI_ARRIVAL_AFTER &&
           wl->tasks[task_idx].arrival.after_idx != EI_NONE_IDX) {
        task_idx = wl->tasks[task_idx].arrival.after_idx;
    }
    return task_idx;
}

void ei_workload_destroy(struct ei_workload *wl)
{
    if (wl == NULL) {
        return;
    }
    for (int32_t i = 0; i < EI_TASKS_MAX; i++) {
        free((void *)(uintptr_t)wl->tasks[i].arrival.trace_ns);
    }
    free(wl);
}

/* ---- comparing ---- */

static bool is_map_equal(enum ei_context context, const char *a, const char *b)
{
    for (int32_t i = ei_field_next(context, 0); i >= 0; i = ei_field_next(context, i + 1)) {
        const struct ei_field *field = &ei_fields[i];
        const char *x = a + field->offset;
        const char *y = b + field->offset;
        bool is_equal = true;
        if (field->type == EI_FIELD_MAP) {
            is_equal = is_map_equal(field->child, x, y);
        } else if (field->type == EI_FIELD_LIST || field->type == EI_FIELD_NAMED) {
            int32_t count = 0;
            memcpy(&count, a + field->count_offset, sizeof count);
            is_equal = memcmp(&count, b + field->count_offset, sizeof count) == 0;
            for (int32_t k = 0; is_equal && k < count; k++) {
                const size_t at = (size_t)k * field->element_bytes;
                is_equal = is_map_equal(field->child, x + at, y + at);
            }
        } else {
            is_equal = ei_field_is_equal(field, x, y);
        }
        if (!is_equal) {
            return false;
        }
    }
    return true;
}

bool ei_workload_is_equal(const struct ei_workload *a, const struct ei_workload *b)
{
    if (!is_map_equal(EI_CONTEXT_FILE, (const char *)a, (const char *)b)) {
        return false;
    }
    for (int32_t i = 0; i < a->lane_count; i++) {
        if (strcmp(a->lanes[i].name, b->lanes[i].name) != 0) {
            return false;
        }
    }
    for (int32_t i = 0; i < a->model_count; i++) {
        if (strcmp(a->models[i].name, b->models[i].name) != 0 || a->models[i].kind != b->models[i].kind) {
            return false;
        }
    }
    for (int32_t i = 0; i < a->task_count; i++) {
        const struct ei_arrival_spec *x = &a->tasks[i].arrival;
        const struct ei_arrival_spec *y = &b->tasks[i].arrival;
        if (x->trace_count != y->trace_count ||
            (x->trace_count > 0 &&
             memcmp(x->trace_ns, y->trace_ns, (size_t)x->trace_count * sizeof x->trace_ns[0]) != 0)) {
            return false;
        }
    }
    return true;
}
