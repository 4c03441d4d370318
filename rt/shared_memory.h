/* Named segments of POSIX shared memory: one process makes a segment and writes, others of the same user find it and
 * read, and what a dead process left behind is recognised and removed.
 *
 *     /dev/shm/einet-1234:  | header: magic, versions, size, pid, start time, pid namespace | payload |
 *
 * The magic is written last, so a segment without it is still being made. A process is told from a later one with the
 * same id by its start time, and nobody judges a process of another pid namespace, which he cannot see.
 * Threads: any, not real-time safe; a struct belongs to one thread. Readers map read-only.
 */
#ifndef RT_SHARED_MEMORY_H
#define RT_SHARED_MEMORY_H

#include <einet/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EI_SHARED_NAME_MAX 64
#define EI_SHARED_HEADER_VERSION 1

/* As it lies in memory, 64 bytes. Everything but the magic is constant once the magic is there. */
struct ei_shared_header {
    _Atomic uint64_t magic;
    uint32_t header_version;
    uint32_t layout_version; /* of the payload */
    uint64_t payload_bytes;
    int64_t pid;
    uint64_t start_ticks;   /* of the process, in clock ticks since boot */
    uint64_t pid_namespace; /* inode of its pid namespace, 0 = unknown */
    uint64_t reserved[2];
};

struct ei_shared_memory {
    char name[EI_SHARED_NAME_MAX]; /* with the leading slash */
    struct ei_shared_header *header;
    void *payload; /* 64-byte aligned; zero when made */
    size_t bytes;  /* of both */
    int fd;        /* of readers, to see that the segment keeps its size; else -1 */
    bool is_owner;
};

enum ei_shared_owner {
    EI_SHARED_OWNER_ALIVE,
    EI_SHARED_OWNER_DEAD,
    EI_SHARED_OWNER_UNKNOWN /* it belongs to another pid namespace */
};

/* Make segment PREFIX-PID (PREFIX-PID-N where that name is taken: by another run of this process, which may go on while
 * this one takes over from it, or in another pid namespace), readable and writable by this user alone, with all of its
 * memory reserved. It is not offered yet. Returns 0 or -errno (no /dev/shm, no space in it). */
int ei_shared_memory_create(struct ei_shared_memory *shm, const char *prefix, uint32_t layout_version,
                            size_t payload_bytes, struct einet_error *err);
/* From now on readers take it for whole. */
void ei_shared_memory_offer(struct ei_shared_memory *shm);

/* Map a segment read-only. Returns 0; -ENOENT; -EACCES (another user's); -EAGAIN (still being made); EINET_E_FILE (not
 * one of ours, or cut); EINET_E_MISMATCH (another version's). The text says which and what to do. */
int ei_shared_memory_open(struct ei_shared_memory *shm, const char *name, uint32_t layout_version, size_t payload_bytes,
                          struct einet_error *err);
/* Whether the mapped segment still has its whole size: look before each reading, for memory beyond the end of a cut
 * segment cannot be touched. */
bool ei_shared_memory_is_whole(const struct ei_shared_memory *shm);

/* Unmap; the owner's segment is removed, too. Readers that have it mapped keep the memory. Accepts a zeroed struct. */
void ei_shared_memory_close(struct ei_shared_memory *shm);

/* Whether the process that made it is there. */
enum ei_shared_owner ei_shared_memory_owner(const struct ei_shared_header *header);

struct ei_shared_name {
    char name[EI_SHARED_NAME_MAX];
};

/* Names of the segments PREFIX-*, in the order of their names, at most max. Returns how many there are (it may be more
 * than max) or -errno. */
int ei_shared_memory_list(const char *prefix, struct ei_shared_name *out, int max);

/* Remove the segments PREFIX-* of this user whose process is dead. Returns how many. */
int ei_shared_memory_remove_stale(const char *prefix);

#endif
