/* Files of the output folder, written as NAME.partial and renamed when complete, so that a file with its final name is
 * always whole. Thread: one owner; not real-time safe.
 *
 *     closed --open--> open --close--> written --publish--> published
 *                        |                |                     |
 *                        +---- discard ---+---- (removed) ------+
 */
#ifndef METRICS_OUTPUT_FILE_H
#define METRICS_OUTPUT_FILE_H

#include <einet/error.h>
#include <stdbool.h>
#include <stdio.h>

struct ei_output_file {
    char *path, *partial_path; /* owned */
    FILE *stream;              /* NULL when not open; write to it directly, close finds out whether a write failed */
    int write_errnum;          /* set by a writer that saw its write fail: why; 0 = none */
    bool is_published;
};

/* Make the folder and its missing parents. Returns 0 (also when it was there) or -errno. */
int ei_output_folder_create(const char *path, struct einet_error *err);

/* Keep the folder for one run: two that write into it at once would mix their lines. *out_fd goes to
 * ei_output_folder_unlock when the run has written its files, -1 where the file system has no locks or the folder may
 * not be read (then nothing is kept). Returns 0, or -EBUSY: a run of this or another process writes into it. */
int ei_output_folder_lock(const char *path, int *out_fd, struct einet_error *err);
void ei_output_folder_unlock(int fd);

/* Open folder/name.partial for writing, replacing an older one. Returns 0 or -errno; nothing to undo on failure. */
int ei_output_file_open(struct ei_output_file *file, const char *folder, const char *name, struct einet_error *err);

/* Take bytes of the disk, to be given back by ei_output_file_discard when other files need them. They belong to
 * folder/name.partial, which has no name any more on return, so that a killed process leaves nothing. Returns 0, also
 * where the file system cannot keep room (then it keeps none), -ENOMEM, or the -errno of a folder or disk that refuses;
 * nothing to undo on failure. */
int ei_output_file_reserve(struct ei_output_file *file, const char *folder, const char *name, size_t bytes,
                           struct einet_error *err);

/* Write out all that is buffered and close. Returns 0 or the -errno of the first write that failed. */
int ei_output_file_close(struct ei_output_file *file, struct einet_error *err);

/* Give the closed file its final name. Returns 0 or -errno. */
int ei_output_file_publish(struct ei_output_file *file, struct einet_error *err);

/* Remove the file under whichever name it has now, and free the names. Accepts a zeroed struct. */
void ei_output_file_discard(struct ei_output_file *file);

/* Free the names, leave the published file. Accepts a zeroed struct. */
void ei_output_file_fini(struct ei_output_file *file);

#endif
