/* Files of lines on disks that stall or are full: whoever adds lines goes on, lines are there whole or not at all, and
 * what is not there is counted to the line.
 */
#include "metrics/line_file.h"

#include "tests/harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEAD "number,text\n"
#define LINES 100000 /* more than the queue holds */

static const struct ei_cpuset any_cpus;

/* "n,xxx...": lines of many lengths. */
static void make_line(struct ei_csv_line *line, int64_t number)
{
    line->length = 0;
    ei_csv_integer(line, number);
    ei_csv_char(line, ',');
    for (int64_t i = 0; i < 20 + number * 7 % 100; i++) {
        ei_csv_char(line, 'x');
    }
    ei_csv_char(line, '\n');
}

/* What came out of a file or pipe. */
struct found {
    int64_t lines, last; /* whole lines; number of the last one */
    bool is_whole;       /* head first, numbers rise, every line as it was made, nothing behind the last */
};

static struct found read_back(FILE *file)
{
    struct found found = {.last = -1};
    char text[EI_CSV_LINE_BYTES];
    found.is_whole = fgets(text, sizeof text, file) != NULL && strcmp(text, HEAD) == 0;
    while (fgets(text, sizeof text, file) != NULL) {
        struct ei_csv_line made;
        const int64_t number = strtoll(text, NULL, 10);
        make_line(&made, number);
        found.is_whole = found.is_whole && number > found.last && strlen(text) == made.length &&
                         memcmp(text, made.text, made.length) == 0;
        found.last = number;
        found.lines++;
    }
    return found;
}

static void open_lines(struct ei_line_file *file, bool is_queued)
{
    struct einet_error err = {0};
    EI_TRUEF(ei_line_file_open(file, ei_test_tmpdir(), "lines.csv", &err) == 0, "%s", err.text);
    EI_TRUEF(ei_line_file_head(file, HEAD, strlen(HEAD), &err) == 0, "%s", err.text);
    if (is_queued) {
        EI_TRUEF(ei_line_file_queue(file, &any_cpus, &err) == 0, "%s", err.text);
    }
}

static void add_lines(struct ei_line_file *file, int64_t from, int64_t to)
{
    struct ei_csv_line line;
    for (int64_t i = from; i < to; i++) {
        make_line(&line, i);
        ei_line_file_add(file, &line);
    }
}

static struct found read_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", ei_test_tmpdir(), name);
    FILE *file = fopen(path, "re");
    struct found found = {0};
    if (EI_TRUEF(file != NULL, "no %s", path)) {
        found = read_back(file);
        fclose(file);
    }
    return found;
}

/* Nothing is lost as long as the queue has room. */
static void expect_all(bool is_queued)
{
    struct ei_line_file file;
    open_lines(&file, is_queued);
    add_lines(&file, 0, 20000);
    EI_EQ(ei_line_file_close(&file, NULL), 0);
    EI_EQ(file.added, 20000);
    EI_EQ(file.lost, 0);
    EI_EQ(ei_output_file_publish(&file.file, NULL), 0);
    const struct found found = read_file("lines.csv");
    EI_EQ(found.lines, 20000);
    EI_TRUE(found.is_whole);
    ei_line_file_discard(&file);
}

EI_TEST(all_lines_of_a_queue_arrive_in_order)
{
    expect_all(true);
}

EI_TEST(all_lines_without_a_queue_arrive_in_order)
{
    expect_all(false);
}

/* ---- a pipe that nobody reads for a while ---- */

struct reader {
    char path[512];
    atomic_bool may_read;
    struct found found;
};

static void *read_pipe(void *context)
{
    struct reader *reader = context;
    FILE *file = fopen(reader->path, "re");
    const struct timespec nap = {.tv_nsec = 1000000};
    while (!atomic_load(&reader->may_read)) {
        nanosleep(&nap, NULL);
    }
    if (file != NULL) {
        reader->found = read_back(file);
        fclose(file);
    }
    return NULL;
}

EI_TEST(a_stalled_disk_loses_lines_and_they_are_counted)
{
    struct reader reader = {0};
    struct ei_line_file file;
    pthread_t thread;
    snprintf(reader.path, sizeof reader.path, "%s/lines.csv.partial", ei_test_tmpdir());
    EI_REQUIRE(mkfifo(reader.path, 0600) == 0);
    EI_REQUIRE(pthread_create(&thread, NULL, read_pipe, &reader) == 0);
    open_lines(&file, true);
    add_lines(&file, 0, LINES); /* comes back, though nobody reads */
    EI_TRUEF(file.lost > 0, "the queue held all lines");
    const int64_t lost_before = file.lost;
    atomic_store(&reader.may_read, true);
    EI_EQ(ei_line_file_close(&file, NULL), 0);
    pthread_join(thread, NULL);
    EI_EQ(file.added, LINES);
    EI_EQ(file.lost, lost_before); /* what the queue held did arrive */
    EI_EQ(reader.found.lines, file.added - file.lost);
    EI_EQ(file.lost_errnum, 0);
    EI_TRUE(reader.found.is_whole);
    ei_line_file_discard(&file);
}

/* Lines so short that the queue is full before its bytes are. */
EI_TEST(the_queue_holds_so_many_lines_however_short)
{
    enum { ADDED = EI_LINE_QUEUE_LINES + 100000 };
    struct ei_line_file file;
    const struct timespec nap = {.tv_nsec = 1000000};
    char path[512];
    snprintf(path, sizeof path, "%s/lines.csv.partial", ei_test_tmpdir());
    EI_REQUIRE(mkfifo(path, 0600) == 0);
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    open_lines(&file, true);
    struct ei_csv_line line = {.length = 2, .text = "a\n"};
    for (int i = 0; i < ADDED; i++) {
        ei_line_file_add(&file, &line);
    }
    const int64_t lost = file.lost;
    EI_IN(lost, 100000 - 65536, 100000); /* a pipe took 64 KiB at most, of two bytes each, before it was full */
    int64_t lines = -1, bytes = 0;       /* the head is none */
    char text[65536];
    while (!ei_line_file_is_settled(&file)) {
        const ssize_t count = read(fd, text, sizeof text);
        for (ssize_t i = 0; i < count; i++) {
            lines += text[i] == '\n';
        }
        bytes += count > 0 ? count : 0;
        (void)nanosleep(&nap, NULL);
        ei_line_file_hurry(&file);
    }
    EI_EQ(ei_line_file_close(&file, NULL), 0);
    for (ssize_t count; (count = read(fd, text, sizeof text)) > 0; bytes += count) {
        for (ssize_t i = 0; i < count; i++) {
            lines += text[i] == '\n';
        }
    }
    close(fd);
    EI_EQ(file.lost, lost);
    EI_EQ(lines, ADDED - lost);
    EI_EQ(bytes, (int64_t)strlen(HEAD) + 2 * lines);
    ei_line_file_discard(&file);
}

EI_TEST(a_disk_that_stalls_to_the_end_is_given_up)
{
    struct reader reader = {0};
    struct ei_line_file file;
    pthread_t thread;
    snprintf(reader.path, sizeof reader.path, "%s/lines.csv.partial", ei_test_tmpdir());
    EI_REQUIRE(mkfifo(reader.path, 0600) == 0);
    EI_REQUIRE(pthread_create(&thread, NULL, read_pipe, &reader) == 0);
    open_lines(&file, true);
    file.patience_ns = 50000000;
    add_lines(&file, 0, 20000);
    EI_EQ(file.lost, 0); /* 1.5 MB: in the queue */
    EI_EQ(ei_line_file_close(&file, NULL), 0);
    EI_TRUE(file.lost > 0);
    atomic_store(&reader.may_read, true);
    pthread_join(thread, NULL);
    /* The pipe ends in a part of a line, unless it happened to be full at the end of one. */
    EI_IN(reader.found.lines, 20000 - file.lost, 20000 - file.lost + 1);
    ei_line_file_discard(&file);
}

EI_TEST(a_reader_that_goes_costs_lines_and_not_the_process)
{
    char path[512];
    struct ei_line_file file;
    snprintf(path, sizeof path, "%s/lines.csv.partial", ei_test_tmpdir());
    EI_REQUIRE(mkfifo(path, 0600) == 0);
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    open_lines(&file, true);
    close(fd);
    add_lines(&file, 0, 1000);
    EI_EQ(ei_line_file_close(&file, NULL), 0);
    EI_EQ(file.lost, 1000);
    EI_EQ(file.lost_errnum, EPIPE);
    ei_line_file_discard(&file);
}

/* ---- a file at its limit ---- */

/* Until the file was at its limit, and was cut behind its last whole line, however late the writer gets a processor. */
static void await_cut(const struct ei_line_file *file, int64_t limit_bytes)
{
    const struct timespec nap = {.tv_nsec = 10000000};
    const int64_t least = limit_bytes - 200;
    struct stat st = {0};
    for (int i = 0; i < 3000 && (st.st_size < least || st.st_size >= limit_bytes); i++) {
        nanosleep(&nap, NULL);
        (void)stat(file->file.partial_path, &st);
    }
    EI_IN(st.st_size, least, limit_bytes - 1);
}

EI_TEST(a_full_disk_keeps_whole_lines_and_goes_on_when_there_is_room)
{
    struct rlimit before, limit;
    struct ei_line_file file;
    EI_REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    limit = before;
    limit.rlim_cur = 1000003; /* within a line */
    open_lines(&file, true);
    EI_REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    add_lines(&file, 0, 30000); /* 2.1 MB: the writer is called */
    await_cut(&file, (int64_t)limit.rlim_cur);
    EI_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    add_lines(&file, 30000, 30100);
    EI_EQ(ei_line_file_close(&file, NULL), 0);
    EI_EQ(file.lost_errnum, EFBIG);
    const struct found found = read_file("lines.csv.partial");
    EI_EQ(found.lines, 30100 - file.lost);
    EI_TRUE(found.is_whole && file.lost > 0);
    EI_EQ(found.last, 30099);
    ei_line_file_discard(&file);
}

EI_TEST(without_a_queue_a_full_disk_is_an_error)
{
    char path[512];
    struct ei_line_file file;
    struct einet_error err = {0};
    snprintf(path, sizeof path, "%s/lines.csv.partial", ei_test_tmpdir());
    if (access("/dev/full", W_OK) != 0) {
        ei_test_skip("no /dev/full here");
    }
    EI_REQUIRE(ei_line_file_open(&file, ei_test_tmpdir(), "lines.csv", &err) == 0);
    EI_REQUIRE(freopen("/dev/full", "we", file.file.stream) != NULL);
    add_lines(&file, 0, 10000);
    EI_EQ(ei_line_file_close(&file, &err), -ENOSPC);
    EI_CONTAINS(err.text, "lines.csv");
    ei_line_file_discard(&file);
    EI_TRUE(access(path, F_OK) != 0);
}

EI_MAIN()
