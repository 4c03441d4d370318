/* See shared_memory.h. */
#include "rt/shared_memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x314d485354454e49) /* "INETSHM1" */
#define FOLDER "/dev/shm"                  /* where glibc keeps them */
#define NAMES_PER_PID 8
#define LISTED_MAX 4096
/* Anybody may put anything into the folder, such as a pipe that nobody writes. */
#define LOOK (O_RDONLY | O_CLOEXEC | O_NONBLOCK)

_Static_assert(sizeof(struct ei_shared_header) == 64, "the payload begins on a cache line");

/* ---- processes ---- */

/* Field 22 of /proc/PID/stat. The command in field 2 may hold blanks and brackets, so it is skipped from behind.
 * Returns 0, or -ENOENT when there is no such process. */
static int read_start_ticks(int64_t pid, uint64_t *out_ticks)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -ENOENT;
    }
    const size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    /* A process that has ended and was not waited for yet is dead, too. */
    const char *state = strrchr(text, ')');
    if (at == NULL || state == NULL || strncmp(state, ") Z", 3) == 0 || strncmp(state, ") X", 3) == 0) {
        return -ENOENT;
    }
    *out_ticks = strtoull(at + 1, NULL, 10);
    return 0;
}

static uint64_t own_namespace(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

enum ei_shared_owner ei_shared_memory_owner(const struct ei_shared_header *header)
{
    uint64_t ticks = 0;
    if (header->pid_namespace != own_namespace()) {
        return EI_SHARED_OWNER_UNKNOWN;
    }
    return header->pid > 0 && read_start_ticks(header->pid, &ticks) == 0 && ticks == header->start_ticks
               ? EI_SHARED_OWNER_ALIVE
               : EI_SHARED_OWNER_DEAD;
}

/* ---- making ---- */

/* The header of a segment of this user without mapping it. False: it has none that says anything. */
static bool peek(const char *name, struct ei_shared_header *out)
{
    struct stat st;
    const int fd = shm_open(name, LOOK, 0);
    const bool is_read = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
                         pread(fd, out, sizeof *out, 0) == (ssize_t)sizeof *out;
    if (fd >= 0) {
        close(fd);
    }
    return is_read && atomic_load(&out->magic) == MAGIC && out->header_version == EI_SHARED_HEADER_VERSION;
}

/* Make a file of that name; one that a dead process left there is removed before. */
static int make(const char *name)
{
    struct ei_shared_header left;
    int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        if (!peek(name, &left) || ei_shared_memory_owner(&left) != EI_SHARED_OWNER_DEAD) {
            return -EEXIST;
        }
        (void)shm_unlink(name);
        fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    }
    return fd >= 0 ? fd : -errno;
}

int ei_shared_memory_create(struct ei_shared_memory *shm, const char *prefix, uint32_t layout_version,
                            size_t payload_bytes, struct einet_error *err)
{
    struct ei_shared_memory made = {.bytes = sizeof *made.header + payload_bytes, .fd = -1, .is_owner = true};
    int fd = -EEXIST;
    for (int i = 0; fd == -EEXIST && i < NAMES_PER_PID; i++) {
        char suffix[16] = "";
        if (i > 0) {
            snprintf(suffix, sizeof suffix, "-%d", i);
        }
        snprintf(made.name, sizeof made.name, "/%.30s-%d%s", prefix, (int)getpid(), suffix);
        fd = make(made.name);
    }
    if (fd < 0) {
        return einet_error_set(err, fd, "cannot make shared memory %s: %s", made.name, strerror(-fd));
    }
    /* Reserved now: a full file system is an error here, not a SIGBUS at some later store. */
    const int full = posix_fallocate(fd, 0, (off_t)made.bytes);
    void *base = full == 0 ? mmap(NULL, made.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    const int rc = full != 0 ? -full : base == MAP_FAILED ? -errno : 0;
    close(fd);
    if (rc < 0) {
        (void)shm_unlink(made.name);
        return einet_error_set(err, rc, "cannot reserve %zu bytes of shared memory for %s: %s", made.bytes, made.name,
                               strerror(-rc));
    }
    made.header = base;
    made.payload = made.header + 1;
    made.header->header_version = EI_SHARED_HEADER_VERSION;
    made.header->layout_version = layout_version;
    made.header->payload_bytes = payload_bytes;
    made.header->pid = getpid();
    made.header->pid_namespace = own_namespace();
    (void)read_start_ticks(made.header->pid, &made.header->start_ticks);
    *shm = made;
    return 0;
}

void ei_shared_memory_offer(struct ei_shared_memory *shm)
{
    atomic_store_explicit(&shm->header->magic, MAGIC, memory_order_release);
}

/* ---- reading ---- */

/* Is it ours, whole, and of our version? */
static int check(const struct ei_shared_header *header, const char *name, uint32_t layout_version, size_t payload_bytes,
                 struct einet_error *err)
{
    const uint64_t magic = atomic_load_explicit(&header->magic, memory_order_acquire);
    if (magic == 0) {
        return einet_error_set(err, -EAGAIN, "%s is still being made: try again", name);
    }
    if (magic != MAGIC) {
        return einet_error_set(err, EINET_E_FILE, "%s is no segment of einet: remove " FOLDER "%s", name, name);
    }
    if (header->header_version != EI_SHARED_HEADER_VERSION || header->layout_version != layout_version) {
        return einet_error_set(err, EINET_E_MISMATCH,
                               "%s was made by another version of einet (layout %u.%u, this one reads %u.%u): use the "
                               "einet that made it",
                               name, header->header_version, header->layout_version, EI_SHARED_HEADER_VERSION,
                               layout_version);
    }
    if (header->payload_bytes != payload_bytes) {
        return einet_error_set(err, EINET_E_MISMATCH,
                               "%s has %" PRIu64 " bytes, this einet reads %zu: use the einet that made it", name,
                               header->payload_bytes, payload_bytes);
    }
    return 0;
}

static int check_file(int fd, const char *name, size_t bytes, struct einet_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return einet_error_set(err, -errno, "cannot look at shared memory %s: %s", name, strerror(errno));
    }
    if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0) {
        return einet_error_set(err, -EACCES, "%s belongs to another user: look as that user", name);
    }
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct ei_shared_header)) {
        return S_ISREG(st.st_mode) && st.st_size == 0
                   ? einet_error_set(err, -EAGAIN, "%s is still being made: try again", name)
                   : einet_error_set(err, EINET_E_FILE, "%s is no segment of einet: remove " FOLDER "%s", name, name);
    }
    /* A header is there; what it says about versions comes before a wrong size. */
    struct ei_shared_header header;
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header) {
        return einet_error_set(err, -EIO, "cannot read shared memory %s", name);
    }
    const size_t payload_bytes = bytes - sizeof header;
    const int rc = check(&header, name, header.layout_version, payload_bytes, NULL);
    return rc == 0 && st.st_size < (off_t)bytes
               ? einet_error_set(err, EINET_E_FILE, "%s is cut short: remove " FOLDER "%s", name, name)
               : 0;
}

int ei_shared_memory_open(struct ei_shared_memory *shm, const char *name, uint32_t layout_version, size_t payload_bytes,
                          struct einet_error *err)
{
    struct ei_shared_memory seen = {.bytes = sizeof *seen.header + payload_bytes};
    struct stat st;
    snprintf(seen.name, sizeof seen.name, "%.60s", name);
    seen.fd = shm_open(seen.name, LOOK, 0);
    if (seen.fd < 0) {
        return errno == EACCES
                   ? einet_error_set(err, -EACCES, "%s belongs to another user: look as that user", seen.name)
                   : einet_error_set(err, -errno, "cannot open shared memory %s: %s", seen.name, strerror(errno));
    }
    int rc = check_file(seen.fd, seen.name, seen.bytes, err);
    if (rc == 0 && fstat(seen.fd, &st) == 0) {
        /* Of a foreign version only the header is sure to be there. */
        seen.bytes = st.st_size < (off_t)seen.bytes ? sizeof *seen.header : seen.bytes;
        void *base = mmap(NULL, seen.bytes, PROT_READ, MAP_SHARED, seen.fd, 0);
        rc = base == MAP_FAILED ? einet_error_set(err, -errno, "cannot map %s: %s", seen.name, strerror(errno)) : 0;
        seen.header = base == MAP_FAILED ? NULL : base;
    }
    if (rc == 0) {
        rc = check(seen.header, seen.name, layout_version, payload_bytes, err);
        seen.payload = seen.header + 1;
    }
    if (rc < 0) {
        ei_shared_memory_close(&seen);
        return rc;
    }
    *shm = seen;
    return 0;
}

bool ei_shared_memory_is_whole(const struct ei_shared_memory *shm)
{
    struct stat st;
    return shm->is_owner || (fstat(shm->fd, &st) == 0 && st.st_size >= (off_t)shm->bytes);
}

void ei_shared_memory_close(struct ei_shared_memory *shm)
{
    if (shm->name[0] == '\0') {
        return;
    }
    if (shm->is_owner) {
        (void)shm_unlink(shm->name);
    } else if (shm->fd >= 0) {
        close(shm->fd);
    }
    if (shm->header != NULL) {
        munmap(shm->header, shm->bytes);
    }
    *shm = (struct ei_shared_memory){.fd = -1};
}

/* ---- finding ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct ei_shared_name *)a)->name, ((const struct ei_shared_name *)b)->name);
}

int ei_shared_memory_list(const char *prefix, struct ei_shared_name *out, int max)
{
    DIR *folder = opendir(FOLDER);
    if (folder == NULL) {
        return errno == ENOENT ? 0 : -errno;
    }
    const size_t length = strlen(prefix);
    int count = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL && count < LISTED_MAX; entry = readdir(folder)) {
        const size_t name_length = strlen(entry->d_name);
        if (strncmp(entry->d_name, prefix, length) != 0 || entry->d_name[length] != '-' ||
            entry->d_name[length + 1] < '0' || entry->d_name[length + 1] > '9' ||
            name_length + 2 > EI_SHARED_NAME_MAX) {
            continue;
        }
        if (count < max) {
            snprintf(out[count].name, sizeof out[count].name, "/%.62s", entry->d_name);
        }
        count++;
    }
    closedir(folder);
    qsort(out, (size_t)(count < max ? count : max), sizeof *out, compare_names);
    return count;
}

int ei_shared_memory_remove_stale(const char *prefix)
{
    struct ei_shared_name names[64];
    struct ei_shared_header header;
    int removed = 0;
    const int found = ei_shared_memory_list(prefix, names, 64);
    for (int i = 0; i < found && i < 64; i++) {
        if (peek(names[i].name, &header) && ei_shared_memory_owner(&header) == EI_SHARED_OWNER_DEAD) {
            removed += shm_unlink(names[i].name) == 0;
        }
    }
    return removed;
}
