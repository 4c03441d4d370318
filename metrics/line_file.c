/* See line_file.h. The queue is a ring of bytes, the lines' texts, beside a ring of their lengths, between one producer
 * and one consumer. Indexes only grow. The writer writes straight out of the queue and then gives the room back.
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
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)64 * 1024) /* written at once, and after a refusal given up at once */
#define CALL_BYTES ((size_t)256 * 1024) /* so much is queued before the writer is called sooner than in a second */
#define POLL_MS 50

struct ei_line_writer {
    uint8_t *queue;    /* [EI_LINE_QUEUE_BYTES], owned */
    uint16_t *lengths; /* [EI_LINE_QUEUE_LINES] of the lines in it, owned */
    int fd;            /* borrowed of the file */
    struct ei_thread thread;
    sem_t call;
    atomic_bool is_called, is_closing, is_given_up, is_done;
    size_t head_bytes;        /* queued; the owner's */
    atomic_size_t head;       /* lines queued */
    atomic_size_t tail_bytes; /* taken out */
    atomic_size_t tail;       /* lines taken out */
    _Atomic int64_t written;  /* lines */
    _Atomic int64_t settled;  /* lines taken out and either written or refused */
    atomic_int errnum;        /* of the first refusal */
    /* the writer thread's own */
    off_t whole_bytes;         /* of the file, up to the end of its last whole line; -1 = cannot be cut */
    size_t begin_bytes, begin; /* of the chunk: bytes and lines before it */
    size_t chunk_bytes, lines; /* in the chunk */
};

/* ---- the writer thread ---- */

static size_t length_of(const struct ei_line_writer *writer, size_t line)
{
    return writer->lengths[line % EI_LINE_QUEUE_LINES];
}

/* The chunk is the next whole lines of the queue; false: there are none. */
static bool find_chunk(struct ei_line_writer *writer)
{
    const size_t head = atomic_load_explicit(&writer->head, memory_order_acquire);
    writer->begin = atomic_load_explicit(&writer->tail, memory_order_relaxed);
    writer->begin_bytes = atomic_load_explicit(&writer->tail_bytes, memory_order_relaxed);
    writer->chunk_bytes = writer->lines = 0;
    while (writer->begin + writer->lines != head) {
        const size_t length = length_of(writer, writer->begin + writer->lines);
        if (writer->chunk_bytes + length > CHUNK_BYTES) {
            break;
        }
        writer->chunk_bytes += length;
        writer->lines++;
    }
    return writer->lines > 0;
}

static void release_chunk(struct ei_line_writer *writer)
{
    atomic_store_explicit(&writer->tail_bytes, writer->begin_bytes + writer->chunk_bytes, memory_order_release);
    atomic_store_explicit(&writer->tail, writer->begin + writer->lines, memory_order_release);
    atomic_fetch_add_explicit(&writer->settled, (int64_t)writer->lines, memory_order_release);
}

/* One call of write for the chunk behind its first bytes, around the end of the queue where it lies there. */
static ssize_t write_out(const struct ei_line_writer *writer, size_t from)
{
    const size_t at = (writer->begin_bytes + from) % EI_LINE_QUEUE_BYTES, length = writer->chunk_bytes - from;
    const size_t first = length < EI_LINE_QUEUE_BYTES - at ? length : EI_LINE_QUEUE_BYTES - at;
    const struct iovec pieces[] = {{&writer->queue[at], first}, {writer->queue, length - first}};
    return writev(writer->fd, pieces, first < length ? 2 : 1);
}

/* Write from the chunk. Returns bytes written, or -errno; -ETIMEDOUT: given up. */
static ssize_t write_some(struct ei_line_writer *writer, size_t from)
{
    while (!atomic_load_explicit(&writer->is_given_up, memory_order_relaxed)) {
        const ssize_t count = write_out(writer, from);
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
    size_t done = 0, lines = 0, whole = 0; /* bytes written, lines that are whole in them, their bytes */
    ssize_t count = 0;
    while (done < writer->chunk_bytes && count >= 0) {
        count = write_some(writer, done);
        done += count > 0 ? (size_t)count : 0;
        const size_t before = lines;
        while (lines < writer->lines && whole + length_of(writer, writer->begin + lines) <= done) {
            whole += length_of(writer, writer->begin + lines++);
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
    cut(writer, whole);
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
        while (find_chunk(writer)) {
            write_chunk(writer);
            release_chunk(writer);
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

static void free_writer(struct ei_line_writer *writer)
{
    free(writer->queue);
    free(writer->lengths);
    free(writer);
}

/* Its memory is there before the run begins. NULL: there is none. */
static struct ei_line_writer *make_writer(void)
{
    struct ei_line_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return NULL;
    }
    writer->queue = malloc(EI_LINE_QUEUE_BYTES);
    writer->lengths = malloc(EI_LINE_QUEUE_LINES * sizeof *writer->lengths);
    if (writer->queue == NULL || writer->lengths == NULL || sem_init(&writer->call, 0, 0) != 0) {
        free_writer(writer);
        return NULL;
    }
    memset(writer->queue, 0, EI_LINE_QUEUE_BYTES);
    memset(writer->lengths, 0, EI_LINE_QUEUE_LINES * sizeof *writer->lengths);
    return writer;
}

int ei_line_file_queue(struct ei_line_file *file, const struct ei_cpuset *cpus, struct einet_error *err)
{
    struct ei_line_writer *writer = make_writer();
    if (writer == NULL) {
        return einet_error_set(err, -ENOMEM, "no memory for the lines of %s", file->file.path);
    }
    writer->fd = fileno(file->file.stream);
    writer->whole_bytes = lseek(writer->fd, 0, SEEK_CUR);
    const int flags = fcntl(writer->fd, F_GETFL);
    (void)fcntl(writer->fd, F_SETFL, flags | O_NONBLOCK); /* a pipe that nobody reads can be given up */
    const struct ei_thread_attr attr = {.name = "einet-writer", .policy = EI_THREAD_OTHER, .cpus = *cpus};
    const int rc = ei_thread_create(&writer->thread, &attr, writer_thread, writer, err);
    if (rc != 0) {
        sem_destroy(&writer->call);
        free_writer(writer);
        return rc;
    }
    file->writer = writer;
    return 0;
}

/* False: no room. */
static bool enqueue(struct ei_line_writer *writer, const struct ei_csv_line *line)
{
    const size_t length = line->length, head = atomic_load_explicit(&writer->head, memory_order_relaxed);
    const size_t used = writer->head_bytes - atomic_load_explicit(&writer->tail_bytes, memory_order_acquire);
    const bool fits = used + length <= EI_LINE_QUEUE_BYTES &&
                      head - atomic_load_explicit(&writer->tail, memory_order_acquire) < EI_LINE_QUEUE_LINES;
    if (fits) {
        const size_t at = writer->head_bytes % EI_LINE_QUEUE_BYTES;
        const size_t first = length < EI_LINE_QUEUE_BYTES - at ? length : EI_LINE_QUEUE_BYTES - at;
        memcpy(&writer->queue[at], line->text, first);
        if (first < length) { /* around the end */
            memcpy(writer->queue, &line->text[first], length - first);
        }
        writer->lengths[head % EI_LINE_QUEUE_LINES] = (uint16_t)length;
        writer->head_bytes += length;
        atomic_store_explicit(&writer->head, head + 1, memory_order_release);
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
    return EI_LINE_QUEUE_BYTES - (writer->head_bytes - atomic_load_explicit(&writer->tail_bytes, memory_order_acquire));
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
        free_writer(writer);
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
