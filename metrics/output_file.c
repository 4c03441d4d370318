/* See output_file.h. */
#include "metrics/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_error(struct einet_error *err, int errnum, const char *path)
{
    const char *hint = errnum == ENOSPC || errnum == EDQUOT ? "free some space or choose another folder with --out"
                                                            : "choose a folder that you may write to with --out";
    return einet_error_set(err, -errnum, "cannot write %s: %s; %s", path, strerror(errnum), hint);
}

int ei_output_folder_create(const char *path, struct einet_error *err)
{
    if (path[0] == '\0') {
        return einet_error_set(err, -EINVAL, "the output folder has an empty name: name one with --out");
    }
    char *prefix = strdup(path);
    int rc = prefix == NULL ? -ENOMEM : 0;
    for (char *end = prefix; rc == 0 && end != NULL;) {
        end = strchr(end + 1, '/');
        if (end != NULL) {
            *end = '\0';
        }
        if (mkdir(prefix, 0777) != 0 && errno != EEXIST) {
            rc = write_error(err, errno, path);
        }
        if (end != NULL) {
            *end = '/';
        }
    }
    free(prefix);
    struct stat st;
    if (rc == 0 && stat(path, &st) != 0) {
        rc = write_error(err, errno, path);
    } else if (rc == 0 && !S_ISDIR(st.st_mode)) {
        rc = einet_error_set(err, -ENOTDIR, "the output folder %s is a file: choose another one with --out", path);
    }
    if (rc == -ENOMEM) {
        rc = einet_error_set(err, -ENOMEM, "out of memory while making the output folder");
    }
    return rc;
}

int ei_output_folder_lock(const char *path, int *out_fd, struct einet_error *err)
{
    *out_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*out_fd < 0 || flock(*out_fd, LOCK_EX | LOCK_NB) == 0) {
        return 0;
    }
    const int errnum = errno;
    close(*out_fd);
    *out_fd = -1;
    return errnum != EWOULDBLOCK
               ? 0
               : einet_error_set(err, -EBUSY, "another run writes into %s: choose another folder with --out", path);
}

void ei_output_folder_unlock(int fd)
{
    if (fd >= 0) {
        (void)flock(fd, LOCK_UN); /* a child that the program forked has it open as well */
        close(fd);
    }
}

/* folder/name + suffix on the heap, or NULL. */
static char *join(const char *folder, const char *name, const char *suffix)
{
    const size_t size = strlen(folder) + strlen(name) + strlen(suffix) + 2;
    char *path = malloc(size);
    if (path != NULL) {
        snprintf(path, size, "%s/%s%s", folder, name, suffix);
    }
    return path;
}

int ei_output_file_open(struct ei_output_file *file, const char *folder, const char *name, struct einet_error *err)
{
    *file = (struct ei_output_file){.path = join(folder, name, ""), .partial_path = join(folder, name, ".partial")};
    if (file->path == NULL || file->partial_path == NULL) {
        ei_output_file_fini(file);
        return einet_error_set(err, -ENOMEM, "out of memory while opening %s", name);
    }
    file->stream = fopen(file->partial_path, "we");
    if (file->stream == NULL) {
        const int rc = write_error(err, errno, file->partial_path);
        ei_output_file_fini(file);
        return rc;
    }
    return 0;
}

int ei_output_file_reserve(struct ei_output_file *file, const char *folder, const char *name, size_t bytes,
                           struct einet_error *err)
{
    int rc = ei_output_file_open(file, folder, name, err);
    if (rc != 0) {
        return rc;
    }
    /* EOPNOTSUPP and the like: a file system that promises nothing. */
    int errnum;
    do {
        errnum = posix_fallocate(fileno(file->stream), 0, (off_t)bytes);
    } while (errnum == EINTR);
    if (errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG) {
        rc = write_error(err, errnum, file->partial_path);
        ei_output_file_discard(file);
        return rc;
    }
    (void)unlink(file->partial_path); /* the room is kept as long as it is open, and gone with a killed process */
    return 0;
}

int ei_output_file_close(struct ei_output_file *file, struct einet_error *err)
{
    /* stdio remembers that an earlier write failed, but not why: the writer may have noted that. */
    int errnum = file->write_errnum;
    if (errnum == 0 && ferror(file->stream) != 0) {
        errnum = EIO;
    }
    if (fflush(file->stream) != 0 && errnum == 0) {
        errnum = errno;
    }
    if (fclose(file->stream) != 0 && errnum == 0) {
        errnum = errno;
    }
    file->stream = NULL;
    return errnum == 0 ? 0 : write_error(err, errnum, file->partial_path);
}

int ei_output_file_publish(struct ei_output_file *file, struct einet_error *err)
{
    if (rename(file->partial_path, file->path) != 0) {
        return write_error(err, errno, file->path);
    }
    file->is_published = true;
    return 0;
}

void ei_output_file_discard(struct ei_output_file *file)
{
    if (file->stream != NULL) {
        fclose(file->stream);
        file->stream = NULL;
    }
    if (file->path != NULL) {
        unlink(file->is_published ? file->path : file->partial_path);
    }
    ei_output_file_fini(file);
}

void ei_output_file_fini(struct ei_output_file *file)
{
    free(file->path);
    free(file->partial_path);
    *file = (struct ei_output_file){0};
}
