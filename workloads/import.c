/* See import.h. */
#include "workloads/import.h"

#include "workloads/import_draft.h"
#include "workloads/spec_read.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const format_names[] = {
    [EI_IMPORT_AUTO] = "auto", [EI_IMPORT_RT_APP] = "rt-app", [EI_IMPORT_DISB] = "disb", [EI_IMPORT_RTSPIN] = "rtspin"};

const char *ei_import_format_name(enum ei_import_format format)
{
    return format_names[format];
}

/* ---- which format? ---- */

/* Whether the first thing behind blanks and comments of C is a brace or bracket. */
static bool is_json(const char *text, size_t length)
{
    size_t at = length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < length) {
        if (strchr(" \t\r\n", text[at]) != NULL && text[at] != '\0') {
            at++;
        } else if (text[at] == '/' && at + 1 < length && (text[at + 1] == '/' || text[at + 1] == '*')) {
            const char *closing = text[at + 1] == '/' ? "\n" : "*/";
            const char *found = memmem(text + at + 2, length - at - 2, closing, strlen(closing));
            at = found != NULL ? (size_t)(found - text) + strlen(closing) : length;
        } else {
            return text[at] == '{' || text[at] == '[';
        }
    }
    return false;
}

/* What a JSON text is, by the kind of its `tasks`. */
static enum ei_import_format json_format(const struct ei_json *json)
{
    const struct ei_json_node *tasks = ei_json_find(json, &json->nodes[0], "tasks");
    if (tasks == NULL) {
        return EI_IMPORT_AUTO;
    }
    return tasks->kind == EI_JSON_ARRAY ? EI_IMPORT_DISB : EI_IMPORT_RT_APP;
}

static const struct ei_import_at nowhere = {{0, 0}, 1};

static void read_json(struct ei_import_draft *draft, const char *text, size_t length_bytes,
                      enum ei_import_format *format)
{
    struct ei_json json;
    const int rc = ei_json_parse(text, length_bytes, &json, draft->diag);
    if (rc != 0) {
        draft->rc = rc == -ENOMEM ? rc : 0;
        return;
    }
    if (*format == EI_IMPORT_AUTO) {
        *format = json_format(&json);
    }
    if (*format == EI_IMPORT_RT_APP) {
        ei_import_rt_app(draft, &json);
    } else if (*format == EI_IMPORT_DISB) {
        ei_import_disb(draft, &json);
    } else {
        ei_import_refuse(draft, nowhere, "say --from rt-app or --from disb",
                         "this JSON has no 'tasks', so it is of neither rt-app nor DISB");
    }
    ei_json_fini(&json);
}

static void read_text(struct ei_import_draft *draft, const char *text, size_t length_bytes,
                      enum ei_import_format *format)
{
    if (memchr(text, '\0', length_bytes) != NULL) {
        ei_import_refuse(draft, nowhere, NULL, "this is no text: it holds a zero byte");
    } else if (*format == EI_IMPORT_RT_APP || *format == EI_IMPORT_DISB ||
               (*format == EI_IMPORT_AUTO && is_json(text, length_bytes))) {
        read_json(draft, text, length_bytes, format);
    } else if (*format == EI_IMPORT_RTSPIN || memmem(text, length_bytes, "rtspin", 6) != NULL) {
        *format = EI_IMPORT_RTSPIN;
        ei_import_rtspin(draft, text, length_bytes);
    } else {
        ei_import_refuse(draft, nowhere, "say --from rt-app, --from disb or --from rtspin",
                         "cannot tell what this is: it is no JSON and names no rtspin");
    }
}

/* ---- one import ---- */

static void fini_sides(struct ei_import_side *sides, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        free(sides[i].text);
    }
}

static void name_workload(struct ei_import_draft *draft)
{
    char stem[EI_SPEC_PATH_MAX];
    const char *slash = strrchr(draft->file, '/');
    snprintf(stem, sizeof stem, "%s", slash != NULL ? slash + 1 : draft->file);
    if (stem[0] != '.') {
        stem[strcspn(stem, ".")] = '\0'; /* "audio.rt-app.json" is "audio" */
    }
    ei_import_name(stem, draft->wl->name);
}

/* Fill *out from a draft without errors. Returns 0 or -ENOMEM. */
static int finish(struct ei_import_draft *draft, enum ei_import_format format, struct ei_imported *out)
{
    char *yaml = ei_import_write(draft, format);
    if (yaml == NULL) {
        return -ENOMEM;
    }
    memset(out, 0, sizeof *out);
    out->format = format;
    out->yaml = yaml;
    out->task_count = draft->wl->task_count;
    out->side_count = draft->side_count;
    memcpy(out->sides, draft->sides, sizeof out->sides);
    draft->side_count = 0; /* they are the caller's now */
    return 0;
}

int ei_import_text(const char *text, size_t length_bytes, const char *name, const char *stem,
                   const struct ei_import_options *options, struct ei_imported *out, struct ei_diagnostics *diag)
{
    char folder[EI_SPEC_PATH_MAX];
    const char *slash = strrchr(name, '/');
    enum ei_import_format format = options->format;
    struct ei_import_draft *draft = calloc(1, sizeof *draft);
    int rc = draft != NULL ? ei_diagnostics_init(diag, name) : -ENOMEM;
    if (rc != 0) {
        free(draft);
        return rc;
    }
    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - name) + 1 : 0, name);
    draft->options = options;
    draft->file = name;
    draft->folder = folder;
    draft->stem = stem;
    draft->diag = diag;
    draft->scope = EI_IMPORT_HEAD;
    draft->wl = calloc(1, sizeof *draft->wl);
    draft->remarks = calloc(EI_IMPORT_NOTES_MAX, sizeof *draft->remarks);
    rc = draft->wl == NULL || draft->remarks == NULL ? -ENOMEM : ei_diagnostics_set_source(diag, text, length_bytes);
    if (rc == 0) {
        name_workload(draft);
        read_text(draft, text, length_bytes, &format);
        if (draft->rc == 0 && diag->errors == 0 && draft->wl->task_count == 0) {
            ei_import_refuse(draft, nowhere, NULL, "no task is left");
        }
        ei_diagnostics_sort(diag);
        rc = draft->rc != 0 ? draft->rc : diag->errors > 0 ? EINET_E_FILE : finish(draft, format, out);
    }
    if (rc == -ENOMEM) {
        ei_diagnostics_fini(diag);
    }
    fini_sides(draft->sides, draft->side_count);
    free(draft->remarks);
    free(draft->wl);
    free(draft);
    return rc;
}

int ei_import_load(const char *path, const char *stem, const struct ei_import_options *options, struct ei_imported *out,
                   struct ei_diagnostics *diag)
{
    char *text = NULL;
    size_t length_bytes = 0;
    char why[EI_DIAGNOSTIC_TEXT_MAX - 16];
    int rc = ei_spec_read_file(path, EI_IMPORT_FILE_MAX, &text, &length_bytes, why, sizeof why);
    if (rc == 0) {
        rc = ei_import_text(text, length_bytes, path, stem, options, out, diag);
        free(text);
        return rc;
    }
    if (rc == -ENOMEM || ei_diagnostics_init(diag, path) != 0) {
        return -ENOMEM;
    }
    ei_diagnostics_add(diag, EI_SEVERITY_ERROR, nowhere.place, 1, NULL, "%s", why);
    return EINET_E_FILE;
}

void ei_imported_fini(struct ei_imported *imported)
{
    fini_sides(imported->sides, imported->side_count);
    free(imported->yaml);
    memset(imported, 0, sizeof *imported);
}
