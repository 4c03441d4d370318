/* Points over processes: worker w of n takes every n-th point of the shard from w on and writes their results into its
 * pipe; the parent reads the pipes in turn, so results come in the order of points whatever the number of workers.
 * Processes and not threads, because a virtual run may be one at a time in a process.
 */
#include "app/sweep.h"

#include "app/commands.h"
#include "app/progress.h"
#include "app/sweep_point.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MAX 1024

/* In front of the texts in a pipe. */
struct head {
    int64_t status, csv_bytes, json_bytes, error_bytes;
};

struct worker {
    pid_t pid;
    FILE *pipe;
};

struct outputs {
    FILE *csv, *json; /* NULL = not wanted */
    char csv_path[1024], json_path[1024];
};

/* The k-th point of the shard; beyond the grid when there are no more. */
static int64_t point_of(const struct einet_sweep *sweep, int64_t k)
{
    return sweep->shards > 0 ? sweep->shard - 1 + k * sweep->shards : k;
}

/* What it has to say of a point goes through its pipe, too: workers that fail together would say it into each other,
 * each the same. glibc lets a program set stderr. */
static _Noreturn void work(const struct einet_sweep *sweep, int64_t first, int64_t step, int fd)
{
    FILE *pipe = fdopen(fd, "wb");
    char *said = NULL;
    size_t said_bytes = 0;
    FILE *words = open_memstream(&said, &said_bytes);
    stderr = words != NULL ? words : stderr;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    for (int64_t k = first; pipe != NULL && point_of(sweep, k) < sweep->points; k += step) {
        struct einet_sweep_result result;
        struct head head = {.status = einet_sweep_simulate(sweep, point_of(sweep, k), &result)};
        if (head.status == 0) {
            head.csv_bytes = (int64_t)strlen(result.csv);
            head.json_bytes = (int64_t)strlen(result.json);
        }
        if (head.status != 0 && words != NULL && fflush(words) == 0) {
            head.error_bytes = (int64_t)said_bytes;
        }
        fwrite(&head, sizeof head, 1, pipe);
        if (head.error_bytes > 0) {
            fwrite(said, 1, (size_t)head.error_bytes, pipe);
        }
        if (head.status != 0) {
            break;
        }
        fwrite(result.csv, 1, (size_t)head.csv_bytes, pipe);
        fwrite(result.json, 1, (size_t)head.json_bytes, pipe);
        fflush(pipe);
        free(result.csv);
        free(result.json);
    }
    if (pipe != NULL) {
        fclose(pipe);
    }
    _exit(0);
}

static bool start_worker(const struct einet_sweep *sweep, struct worker *workers, int32_t index, int32_t count)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        for (int32_t i = 0; i < index; i++) { /* theirs must end with their readers */
            close(fileno(workers[i].pipe));
        }
        work(sweep, index, count, ends[1]);
    }
    close(ends[1]);
    workers[index] = (struct worker){.pid = pid, .pipe = pid > 0 ? fdopen(ends[0], "rb") : NULL};
    if (workers[index].pipe == NULL) {
        close(ends[0]);
    }
    return workers[index].pipe != NULL;
}

static void stop_workers(struct worker *workers, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (workers[i].pid > 0) {
            (void)kill(workers[i].pid, SIGTERM);
            while (waitpid(workers[i].pid, NULL, 0) < 0 && errno == EINTR) {
            }
        }
        if (workers[i].pipe != NULL) {
            fclose(workers[i].pipe);
        }
    }
}

static bool copy(FILE *from, FILE *to, int64_t bytes)
{
    char buffer[16384];
    while (bytes > 0) {
        const size_t wanted = bytes < (int64_t)sizeof buffer ? (size_t)bytes : sizeof buffer;
        const size_t got = fread(buffer, 1, wanted, from);
        if (got == 0 || (to != NULL && fwrite(buffer, 1, got, to) != got)) {
            return false;
        }
        bytes -= (int64_t)got;
    }
    return true;
}

/* The results in the order of points, of which there are so many. Returns 0 or the exit status. */
static int collect_all(const struct einet_sweep *sweep, struct worker *workers, int32_t count, int64_t points,
                       const struct outputs *out, struct einet_progress *progress)
{
    for (int64_t k = 0; point_of(sweep, k) < sweep->points; k++) {
        FILE *pipe = workers[k % count].pipe;
        struct head head;
        if (fread(&head, sizeof head, 1, pipe) != 1) {
            einet_progress_end(progress);
            fprintf(stderr, "einet simulate: the sweep was ended before point %" PRId64 "\n", point_of(sweep, k));
            return EINET_EXIT_FAULT;
        }
        if (head.status != 0) {
            einet_progress_end(progress);
            (void)copy(pipe, stderr, head.error_bytes);
            return (int)head.status;
        }
        if (!copy(pipe, out->csv, head.csv_bytes) || !copy(pipe, out->json, head.json_bytes)) {
            einet_progress_end(progress);
            fprintf(stderr, "einet simulate: cannot write the results: %s\n", strerror(errno));
            return EINET_EXIT_FAULT;
        }
        einet_progress_show(progress, "points", (double)(k + 1), (double)points);
    }
    return 0;
}

static int collect(const struct einet_sweep *sweep, struct worker *workers, int32_t count, int64_t points,
                   const struct outputs *out)
{
    struct einet_progress progress;
    /* Lines of results on the same terminal are progress enough. */
    einet_progress_begin(&progress, sweep->is_quiet || (sweep->options.out_dir == NULL && isatty(STDOUT_FILENO) == 1));
    const int status = collect_all(sweep, workers, count, points, out, &progress);
    einet_progress_end(&progress);
    return status;
}

/* ---- files ---- */

static FILE *open_partial(const char *dir, const char *name, char path[1024])
{
    char partial[1040];
    snprintf(path, 1024, "%s/%s", dir, name);
    snprintf(partial, sizeof partial, "%s.partial", path);
    FILE *file = fopen(partial, "we");
    if (file == NULL) {
        fprintf(stderr, "einet simulate: cannot write %s: %s (choose another folder with --out)\n", partial,
                strerror(errno));
    }
    return file;
}

static int open_outputs(const struct einet_sweep *sweep, struct outputs *out)
{
    const char *dir = sweep->options.out_dir;
    *out = (struct outputs){0};
    if (dir == NULL) {
        out->csv = sweep->is_json ? NULL : stdout;
        out->json = sweep->is_json ? stdout : NULL;
    } else {
        if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
            fprintf(stderr, "einet simulate: cannot make %s: %s\n", dir, strerror(errno));
            return EINET_EXIT_FAULT;
        }
        out->csv = open_partial(dir, "sweep.csv", out->csv_path);
        out->json = out->csv != NULL ? open_partial(dir, "sweep.jsonl", out->json_path) : NULL;
        if (out->json == NULL) {
            return EINET_EXIT_FAULT;
        }
    }
    char *head = out->csv != NULL ? einet_sweep_csv_head(sweep) : NULL;
    if (head != NULL) {
        fputs(head, out->csv);
        free(head);
    }
    return 0;
}

/* Complete a file, or remove what there is of it. */
static int close_output(FILE *file, const char *path, int status)
{
    char partial[1040];
    if (file == NULL || path[0] == '\0') {
        return file != NULL && fflush(file) != 0 ? EINET_EXIT_FAULT : status;
    }
    snprintf(partial, sizeof partial, "%s.partial", path);
    if (fclose(file) != 0 && status == 0) {
        fprintf(stderr, "einet simulate: cannot write %s: %s\n", partial, strerror(errno));
        status = EINET_EXIT_FAULT;
    }
    if (status != 0) {
        (void)unlink(partial);
    } else if (rename(partial, path) != 0) {
        fprintf(stderr, "einet simulate: cannot write %s: %s\n", path, strerror(errno));
        status = EINET_EXIT_FAULT;
    }
    return status;
}

/* ---- all ---- */

/* Every point, before the first one is computed. Returns their number, or -1 - the exit status. */
static int64_t check_points(const struct einet_sweep *sweep)
{
    int64_t k = 0;
    for (; point_of(sweep, k) < sweep->points; k++) {
        struct ei_workload *wl = NULL;
        const int status = einet_sweep_load(sweep, point_of(sweep, k), &wl);
        ei_workload_destroy(wl);
        if (status != 0) {
            return -1 - status;
        }
    }
    return k;
}

int einet_sweep_run(const struct einet_sweep *sweep)
{
    struct outputs out;
    const int64_t points = check_points(sweep);
    if (points < 0) {
        return (int)(-1 - points);
    }
    int64_t wanted = sweep->workers > 0 ? sweep->workers : sysconf(_SC_NPROCESSORS_ONLN);
    wanted = wanted > points ? points : wanted;
    const int32_t count = wanted < 1 ? 1 : (wanted > WORKERS_MAX ? WORKERS_MAX : (int32_t)wanted);
    struct worker *workers = calloc((size_t)count, sizeof *workers);
    int status = workers == NULL ? EINET_EXIT_FAULT : open_outputs(sweep, &out);
    if (status != 0) {
        free(workers);
        return status;
    }
    fflush(NULL); /* or each worker would have a copy of what is buffered */
    for (int32_t i = 0; status == 0 && i < count; i++) {
        if (!start_worker(sweep, workers, i, count)) {
            fprintf(stderr, "einet simulate: cannot start a worker: %s\n", strerror(errno));
            status = EINET_EXIT_FAULT;
        }
    }
    if (status == 0) {
        status = collect(sweep, workers, count, points, &out);
    }
    stop_workers(workers, count);
    free(workers);
    status = close_output(out.csv, out.csv_path, status);
    return close_output(out.json, out.json_path, status);
}
