/* See line_file.h. The queue is a ring of bytes between one producer and one consumer: each line is its length, four
 * bytes, and its text. Indexes only grow; the writer gives room back as soon as it has copied lines out.
 */
#include "metrics/line_file.h"

#include "rt/clock.h"
#include "rt/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)64 * 1024)
#define CHUNK_LINES 4096
#define CALL_BYTES ((size_t)256 * 1024) /* so much is queued before the writer is called sooner than in a second */
#define POLL_MS 50

struct ei_line_writer {
    uint8_t *queue; /* [EI_LINE_QUEUE_BYTES], owned */
    int fd;         /* borrowed of the file */
    struct ei_thread thread;
    sem_t call;
    atomic_bool is_called, is_closing, is_given_up, is_done;
    atomic_size_t head, tail; /* bytes queued, bytes taken out */
    _Atomic int64_t written;  /* lines */
    _Atomic int64_t settled;  /* lines taken out and either written or refused */
    atomic_int errnum;        /* of the first refusal */
    /* the writer thread's own */
    off_t whole_bytes; /* of the file, up to the end of its last whole line; -1 = cannot be cut */
    size_t length, lines;
    char chunk[CHUNK_BYTES];
    uint32_t ends[CHUNK_LINES]; /* of the chunk's lines */
};

/* ---- the writer thread ---- */

static void copy_out(const struct ei_line_writer *writer, size_t at, void *out, size_t length)
{
    const size_t from = at % EI_LINE_QUEUE_BYTES;
    const size_t first = length < EI_LINE_QUEUE_BYTES - from ? length : EI_LINE_QUEUE_BYTES - from;
    memcpy(out, &writer->queue[from], first);
    memcpy((char *)out + first, writer->queue, length - first);
}

/* Lines from the queue into the chunk; false: there are none. */
static bool take_chunk(struct ei_line_writer *writer)
{
    const size_t head = atomic_load_explicit(&writer->head, memory_order_acquire);
    size_t tail = atomic_load_explicit(&writer->tail, memory_order_relaxed);
    writer->length = writer->lines = 0;
    while (tail != head && writer->lines < CHUNK_LINES) {
        uint32_t length;
        copy_out(writer, tail, &length, sizeof length);
        if (writer->length + length > CHUNK_BYTES) {
            break;
        }
        copy_out(writer, tail + sizeof length, &writer->chunk[writer->length], length);
        writer->length += length;
        writer->ends[writer->lines++] = (uint32_t)writer->length;
        tail += sizeof length + length;
    }
    atomic_store_explicit(&writer->tail, tail, memory_order_release);
    return writer->lines > 0;
}

/* Write from the chunk. Returns bytes written, or -errno; -ETIMEDOUT: given up. */
static ssize_t write_some(struct ei_line_writer *writer, size_t from)
{
    while (!atomic_load_explicit(&writer->is_given_up, memory_order_relaxed)) {
        const ssize_t count = write(writer->fd, &writer->chunk[from], writer->length - from);
        if (count >= 0) {
            return count > 0 ? count : -EIO;
        }
        if (errno == EAGAIN) {
            struct pollfd pipe = {.fd = writer->fd, .events = POLLOUT};
            (void)poll(&pipe, 1, POLL_MS);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return -ETIMEDOUT;
}

/* What is there of a line that did not fit whole is taken back. */
static void cut(struct ei_line_writer *writer, size_t whole)
{
    if (writer->whole_bytes >= 0) {
        writer->whole_bytes += (off_t)whole;
        if (ftruncate(writer->fd, writer->whole_bytes) != 0 ||
            lseek(writer->fd, writer->whole_bytes, SEEK_SET) != writer->whole_bytes) {
            writer->whole_bytes = -1;
        }
    }
}

static void write_chunk(struct ei_line_writer *writer)
{
    size_t done = 0, lines = 0;
    ssize_t count = 0;
    while (done < writer->length && count >= 0) {
        count = write_some(writer, done);
        done += count > 0 ? (size_t)count : 0;
        const size_t before = lines;
        while (lines < writer->lines && writer->ends[lines] <= done) {
            lines++;
        }
        atomic_fetch_add_explicit(&writer->written, (int64_t)(lines - before), memory_order_relaxed);
    }
    if (count >= 0) {
        writer->whole_bytes += writer->whole_bytes >= 0 ? (off_t)done : 0;
        return;
    }
    int none = 0;
    if (count != -ETIMEDOUT) {
        (void)atomic_compare_exchange_strong(&writer->errnum, &none, (int)-count);
    }
    cut(writer, lines > 0 ? writer->ends[lines - 1] : 0);
}

static void writer_thread(void *arg)
{
    struct ei_line_writer *writer = arg;
    sigset_t all;
    sigfillset(&all); /* a pipe without a reader, or a file at its limit, is an error of write here */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    bool is_closing = false;
    while (!is_closing) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        (void)sem_clockwait(&writer->call, CLOCK_MONOTONIC, &until);
        is_closing = atomic_load_explicit(&writer->is_closing, memory_order_acquire);
        atomic_store_explicit(&writer->is_called, false, memory_order_relaxed);
        while (take_chunk(writer)) {
            write_chunk(writer);
            atomic_fetch_add_explicit(&writer->settled, (int64_t)writer->lines, memory_order_release);
        }
    }
    atomic_store_explicit(&writer->is_done, true, memory_order_release);
}

/* ---- the owner ---- */

int ei_line_file_open(struct ei_line_file *file, const char *folder, const char *name, struct einet_error *err)
{
    *file = (struct ei_line_file){.patience_ns = EI_LINE_PATIENCE_NS};
    const int rc = ei_output_file_open(&file->file, folder, name, err);
    file->is_open = rc == 0;
    return rc;
}

int ei_line_file_head(struct ei_line_file *file, const char *text, size_t length, struct einet_error *err)
{
    errno = 0;
    if (fwrite(text, 1, length, file->file.stream) == length && fflush(file->file.stream) == 0) {
        return 0;
    }
    file->file.write_errnum = errno != 0 ? errno : EIO;
    file->is_open = false;
    return ei_output_file_close(&file->file, err);
}

int ei_line_file_queue(struct ei_line_file *file, const struct ei_cpuset *cpus, struct einet_error *err)
{
    struct ei_line_writer *writer = calloc(1, sizeof *writer);
    uint8_t *queue = writer != NULL ? malloc(EI_LINE_QUEUE_BYTES) : NULL;
    if (queue == NULL || sem_init(&writer->call, 0, 0) != 0) {
        free(queue);
        free(writer);
        return einet_error_set(err, -ENOMEM, "no memory for the lines of %s", file->file.path);
    }
    memset(queue, 0, EI_LINE_QUEUE_BYTES); /* there before the run begins */
    writer->queue = queue;
    writer->fd = fileno(file->file.stream);
    writer->whole_bytes = lseek(writer->fd, 0, SEEK_CUR);
    const int flags = fcntl(writer->fd, F_GETFL);
    (void)fcntl(writer->fd, F_SETFL, flags | O_NONBLOCK); /* a pipe that nobody reads can be given up */
    const struct ei_thread_attr attr = {.name = "einet-writer", .policy = EI_THREAD_OTHER, .cpus = *cpus};
    const int rc = ei_thread_create(&writer->thread, &attr, writer_thread, writer, err);
    if (rc != 0) {
        sem_destroy(&writer->call);
        free(queue);
        free(writer);
        return rc;
    }
    file->writer = writer;
    return 0;
}

static void copy_in(struct ei_line_writer *writer, size_t at, const void *from, size_t length)
{
    const size_t to = at % EI_LINE_QUEUE_BYTES;
    const size_t first = length < EI_LINE_QUEUE_BYTES - to ? length : EI_LINE_QUEUE_BYTES - to;
    memcpy(&writer->queue[to], from, first);
    memcpy(writer->queue, (const char *)from + first, length - first);
}

/* False: no room. */
static bool enqueue(struct ei_line_writer *writer, const struct ei_csv_line *line)
{
    const uint32_t length = (uint32_t)line->length;
    const size_t head = atomic_load_explicit(&writer->head, memory_order_relaxed);
    const size_t used = head - atomic_load_explicit(&writer->tail, memory_order_acquire);
    const bool fits = used + sizeof length + length <= EI_LINE_QUEUE_BYTES;
    if (fits) {
        const size_t to = head % EI_LINE_QUEUE_BYTES;
        if (to + sizeof length + length <= EI_LINE_QUEUE_BYTES) {
            memcpy(&writer->queue[to], &length, sizeof length);
            memcpy(&writer->queue[to + sizeof length], line->text, length);
        } else { /* around the end */
            copy_in(writer, head, &length, sizeof length);
            copy_in(writer, head + sizeof length, line->text, length);
        }
        atomic_store_explicit(&writer->head, head + sizeof length + length, memory_order_release);
    }
    if (used >= CALL_BYTES && !atomic_exchange_explicit(&writer->is_called, true, memory_order_relaxed)) {
        (void)sem_post(&writer->call);
    }
    return fits;
}

void ei_line_file_add(struct ei_line_file *file, const struct ei_csv_line *line)
{
    file->added++;
    if (file->writer != NULL) {
        file->lost += !enqueue(file->writer, line);
        return;
    }
    errno = 0;
    if (file->file.write_errnum == 0 && fwrite(line->text, 1, line->length, file->file.stream) != line->length) {
        file->file.write_errnum = errno != 0 ? errno : EIO;
    }
    file->lost += file->file.write_errnum != 0;
}

void ei_line_file_hurry(struct ei_line_file *file)
{
    if (file->writer != NULL && !atomic_exchange_explicit(&file->writer->is_called, true, memory_order_relaxed)) {
        (void)sem_post(&file->writer->call);
    }
}

size_t ei_line_file_room(const struct ei_line_file *file)
{
    const struct ei_line_writer *writer = file->writer;
    if (writer == NULL) {
        return SIZE_MAX;
    }
    return EI_LINE_QUEUE_BYTES - (atomic_load_explicit(&writer->head, memory_order_relaxed) -
                                  atomic_load_explicit(&writer->tail, memory_order_acquire));
}

bool ei_line_file_is_settled(const struct ei_line_file *file)
{
    return file->writer == NULL ||
           atomic_load_explicit(&file->writer->settled, memory_order_acquire) == file->added - file->lost;
}

/* Wait for the writer while it gets on. False: it hangs inside the system. */
static bool await_writer(struct ei_line_writer *writer, int64_t patience_ns)
{
    int64_t written = -1, since_ns = 0;
    const struct timespec nap = {.tv_nsec = EI_NS_PER_MS};
    atomic_store_explicit(&writer->is_closing, true, memory_order_release);
    (void)sem_post(&writer->call);
    while (!atomic_load_explicit(&writer->is_done, memory_order_acquire)) {
        const int64_t now_ns = ei_mono_now().ns;
        const int64_t now_written = atomic_load_explicit(&writer->written, memory_order_relaxed);
        if (now_written != written) {
            written = now_written;
            since_ns = now_ns;
        }
        if (now_ns - since_ns > 2 * patience_ns + EI_NS_PER_S) {
            return false;
        }
        if (now_ns - since_ns > patience_ns) {
            atomic_store_explicit(&writer->is_given_up, true, memory_order_relaxed);
        }
        (void)nanosleep(&nap, NULL);
    }
    return true;
}

/* Returns whether the file may be closed. A writer that hangs keeps what it uses until the process ends. */
static bool end_writer(struct ei_line_file *file)
{
    struct ei_line_writer *writer = file->writer;
    const bool is_done = await_writer(writer, file->patience_ns);
    file->writer = NULL;
    file->lost = file->added - atomic_load(&writer->written);
    file->lost_errnum = atomic_load(&writer->errnum);
    if (is_done) {
        (void)ei_thread_join(&writer->thread);
        sem_destroy(&writer->call);
        free(writer->queue);
        free(writer);
    }
    return is_done;
}

int ei_line_file_close(struct ei_line_file *file, struct einet_error *err)
{
    if (file->writer != NULL && !end_writer(file)) {
        file->file.stream = NULL;
    }
    file->is_open = false;
    return file->file.stream != NULL ? ei_output_file_close(&file->file, err) : 0;
}

void ei_line_file_discard(struct ei_line_file *file)
{
    if (file->writer != NULL) {
        file->patience_ns = 0;
        (void)ei_line_file_close(file, NULL);
    }
    file->is_open = false;
    ei_output_file_discard(&file->file);
}
