/* The profiles of folders, told by their first bytes. Cold. */
#include "models/paper_library.h"
#include "planner/predictor_file.h"
#include "planner/profile_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLASSIC_SUFFIX "-classic"
#define BFLOAT16_SUFFIX "-bf16"

enum kind { KIND_OTHER, KIND_ET, KIND_CS, KIND_PREDICTOR };

static const struct {
    const char *begins, *name_ends;
} kinds[] = {
    [KIND_ET] = {"# einet et-profile ", ".et.csv"},
    [KIND_CS] = {"einet cs-profile ", ".cs"},
    [KIND_PREDICTOR] = {"einet cs-predictor ", ".predictor"},
};

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* By the first bytes. A file that is none, and is named like one, is handed to the reader, which says what is wrong. */
static int tell_kind(const char *path, enum kind *out, struct einet_error *err)
{
    char bytes[32] = {0};
    struct stat st;
    *out = KIND_OTHER;
    if (stat(path, &st) != 0) {
        return einet_error_set_at(err, -errno, path, 0, 0, "cannot look at it: %s", strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return 0;
    }
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t got = fd >= 0 ? read(fd, bytes, sizeof bytes - 1) : -1;
    const int errnum = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (got < 0) {
        return einet_error_set_at(err, -errnum, path, 0, 0, "cannot read it: %s", strerror(errnum));
    }
    for (int k = KIND_ET; k <= KIND_PREDICTOR; k++) {
        if (strncmp(bytes, kinds[k].begins, strlen(kinds[k].begins)) == 0) {
            *out = (enum kind)k;
        } else if (*out == KIND_OTHER && ends_with(path, kinds[k].name_ends)) {
            *out = (enum kind)k;
        }
    }
    return 0;
}

/* Part "msdnet-21-classic-bf16" into what the tables go by. */
static void set_name(struct ei_paper_file *file, const char *network, enum ei_profile_precision precision)
{
    snprintf(file->network, sizeof file->network, "%s", network);
    file->precision = precision;
    if (ends_with(file->network, BFLOAT16_SUFFIX)) {
        file->network[strlen(file->network) - strlen(BFLOAT16_SUFFIX)] = '\0';
        file->precision = EI_PROFILE_BFLOAT16;
    }
    if (ends_with(file->network, CLASSIC_SUFFIX)) {
        file->network[strlen(file->network) - strlen(CLASSIC_SUFFIX)] = '\0';
        file->is_classic = true;
    }
}

static void free_file(struct ei_paper_file *file)
{
    if (file->cs) {
        ei_cs_profile_fini(file->cs);
    }
    free(file->cs);
    free(file->et);
    free(file->predictor);
    free(file->path);
}

static int read_file(const char *path, enum kind kind, struct ei_paper_file *out, struct einet_error *err)
{
    struct ei_paper_file file = {.path = strdup(path)};
    int status = -ENOMEM;
    if (kind == KIND_ET && (file.et = calloc(1, sizeof *file.et)) != NULL) {
        status = ei_et_profile_read(path, file.et, err);
        set_name(&file, file.et->network, file.et->precision);
    } else if (kind == KIND_CS && (file.cs = calloc(1, sizeof *file.cs)) != NULL) {
        status = ei_cs_profile_read(path, file.cs, err);
        set_name(&file, file.cs->network, file.cs->precision);
    } else if (kind == KIND_PREDICTOR && (file.predictor = calloc(1, sizeof *file.predictor)) != NULL) {
        status = ei_predictor_read(path, file.predictor, err);
        set_name(&file, file.predictor->network, EI_PROFILE_FLOAT32);
    }
    if (status == -ENOMEM || !file.path) {
        status = einet_error_set_at(err, -ENOMEM, path, 0, 0, "no memory for this profile");
    }
    if (status != 0) {
        free_file(&file);
        return status;
    }
    *out = file;
    return 0;
}

static int add_file(const char *path, struct ei_paper_files *files, struct einet_error *err)
{
    enum kind kind;
    struct ei_paper_file file;
    int status = tell_kind(path, &kind, err);
    if (status != 0 || kind == KIND_OTHER) {
        return status;
    }
    status = read_file(path, kind, &file, err);
    if (status != 0) {
        return status;
    }
    struct ei_paper_file *grown = realloc(files->item, ((size_t)files->count + 1) * sizeof *grown);
    if (!grown) {
        free_file(&file);
        return einet_error_set_at(err, -ENOMEM, path, 0, 0, "no memory for this profile");
    }
    files->item = grown;
    files->item[files->count++] = file;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
    size_t count;
    char **item;
};

static int list_names(DIR *directory, const char *folder, struct names *names, struct einet_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory); /* the stream is ours alone, so this is thread-safe */
        if (!entry) {
            return errno == 0 ? 0
                              : einet_error_set_at(err, -errno, folder, 0, 0, "cannot list it: %s", strerror(errno));
        }
        if (entry->d_name[0] == '.') {
            continue;
        }
        char **grown = realloc(names->item, (names->count + 1) * sizeof *grown);
        char *name = strdup(entry->d_name);
        names->item = grown ? grown : names->item;
        if (!grown || !name) {
            free(name);
            return einet_error_set_at(err, -ENOMEM, folder, 0, 0, "no memory for the names of its files");
        }
        names->item[names->count++] = name;
    }
}

static int add_folder(const char *folder, struct ei_paper_files *files, struct einet_error *err)
{
    struct names names = {0};
    char path[4096];
    DIR *directory = opendir(folder);
    if (!directory) {
        return einet_error_set_at(err, -errno, folder, 0, 0,
                                  "cannot open this folder of profiles: %s; name one that einet profile has filled",
                                  strerror(errno));
    }
    int status = list_names(directory, folder, &names, err);
    closedir(directory);
    if (names.count > 0) {
        qsort(names.item, names.count, sizeof names.item[0], by_name);
    }
    for (size_t i = 0; status == 0 && i < names.count; i++) {
        const int length = snprintf(path, sizeof path, "%s/%s", folder, names.item[i]);
        status = length > 0 && (size_t)length < sizeof path
                     ? add_file(path, files, err)
                     : einet_error_set_at(err, -ENAMETOOLONG, folder, 0, 0, "the path of %.60s in it is too long",
                                          names.item[i]);
    }
    for (size_t i = 0; i < names.count; i++) {
        free(names.item[i]);
    }
    free(names.item);
    return status;
}

int ei_paper_files_read(const char *const *folders, int32_t count, struct ei_paper_files *out, struct einet_error *err)
{
    struct ei_paper_files files = {0};
    int status = 0;
    for (int32_t f = 0; status == 0 && f < count; f++) {
        status = add_folder(folders[f], &files, err);
    }
    if (status != 0) {
        ei_paper_files_fini(&files);
        return status;
    }
    *out = files;
    return 0;
}

void ei_paper_files_fini(struct ei_paper_files *files)
{
    for (int32_t f = 0; f < files->count; f++) {
        free_file(&files->item[f]);
    }
    free(files->item);
    *files = (struct ei_paper_files){0};
}
