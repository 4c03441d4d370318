/* Workload texts for the tests of workloads/: reading files, parsing, printing, and the folders of examples. */
#ifndef TESTS_WORKLOADS_TEXTS_H
#define TESTS_WORKLOADS_TEXTS_H

#include "tests/harness/harness.h"
#include "workloads/spec.h"
#include <dirent.h>
#include <stdlib.h>

#define TEXT_PATHS_MAX 256

struct text_paths {
    char path[TEXT_PATHS_MAX][256];
    int count;
};

static inline int text_compare_paths(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Add every *.yaml of a folder, in order of their names. */
static inline void text_paths_add(struct text_paths *paths, const char *folder)
{
    DIR *dir = opendir(folder);
    const int first = paths->count;
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        const char *suffix = strrchr(entry->d_name, '.');
        if (suffix && strcmp(suffix, ".yaml") == 0 && paths->count < TEXT_PATHS_MAX) {
            snprintf(paths->path[paths->count++], sizeof paths->path[0], "%s/%.200s", folder, entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    qsort(paths->path[first], (size_t)(paths->count - first), sizeof paths->path[0], text_compare_paths);
}

/* A whole file with a 0 behind it; free it. NULL when unreadable. */
static inline char *text_read(const char *path, size_t *out_length)
{
    FILE *file = fopen(path, "rb");
    char *text = file ? malloc((1U << 21U) + 1) : NULL;
    if (text) {
        *out_length = fread(text, 1, 1U << 21U, file);
        text[*out_length] = '\0';
    }
    if (file) {
        fclose(file);
    }
    return text;
}

/* What ei_workload_print writes; free it. */
static inline char *text_print(const struct ei_workload *wl)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    ei_workload_print(wl, out);
    fclose(out);
    return text;
}

/* What ei_diagnostics_print writes; free it. */
static inline char *text_diagnose(const struct ei_diagnostics *diag)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    ei_diagnostics_print(diag, out);
    fclose(out);
    return text;
}

/* Parse a text that must be right, else fail the case with its errors. Destroy the result (may be NULL). */
static inline struct ei_workload *text_parse(const char *text, const char *name)
{
    struct ei_workload *wl = NULL;
    struct ei_diagnostics diag;
    const int rc = ei_workload_parse(text, strlen(text), name, &wl, &diag);
    char *said = text_diagnose(&diag);
    EI_TRUEF(rc == 0, "%s:\n%s", name, said);
    free(said);
    ei_diagnostics_fini(&diag);
    return wl;
}

#endif
