/* Recorded stop times from a text file as a survival function. Cold: reads a file and allocates. */
#include "planner/survival_empirical.h"

#include "planner/survival_thin.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define TIME_MAX_NS (INT64_MAX / 4)

struct job {
    int64_t t_ns;
    bool is_censored;
};

struct jobs {
    struct job *job; /* owned */
    int32_t count, room;
};

/* ---- one line ---- */

/* Where a line is, for messages. */
struct place {
    const char *path;
    int line;
    const char *text;
};

static int refuse(const struct place *place, const char *at, const char *what, struct einet_error *err)
{
    return einet_error_set_at(err, EINET_E_FILE, place->path, place->line, (int)(at - place->text) + 1, "%s", what);
}

/* Nanoseconds of the unit that is the word [text, text + length), 0 = it is none. */
static int64_t unit_scale(const char *text, size_t length)
{
    static const struct {
        const char *name;
        int64_t scale;
    } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strlen(units[i].name) == length && memcmp(units[i].name, text, length) == 0) {
            return units[i].scale;
        }
    }
    return 0;
}

/* Read a time at *at and step past it. Exact: digits behind the point divide the unit or are refused. */
static int take_time(const struct place *place, const char **at, int64_t *out_ns, struct einet_error *err)
{
    const char *const begin = *at;
    const char *digits = begin + strspn(begin, "0123456789");
    const char *const point = *digits == '.' ? digits : NULL;
    const char *const unit = point ? point + 1 + strspn(point + 1, "0123456789") : digits;
    if (digits == begin || (point && unit == point + 1)) {
        return refuse(place, begin, "expected a time such as 12.5ms, then optionally the word censored", err);
    }
    const size_t unit_length = strcspn(unit, " \t\r#");
    int64_t scale = unit_scale(unit, unit_length);
    if (scale == 0) {
        return refuse(place, unit,
                      unit_length == 0 ? "the time has no unit; give ns, us, ms or s"
                                       : "this is no unit of a time; give ns, us, ms or s",
                      err);
    }
    int64_t t_ns = 0;
    for (const char *c = begin; c < unit; c++) {
        if (c == point) {
            continue;
        }
        const int64_t digit = *c - '0';
        if (point && c > point) { /* the fraction: each digit is worth a tenth of the one before */
            if (scale < 10 && digit != 0) {
                return refuse(place, begin, "the time is finer than a nanosecond; give whole ns", err);
            }
            scale /= 10;
            t_ns += digit * scale;
        } else if (t_ns > (TIME_MAX_NS / scale - digit) / 10) {
            return refuse(place, begin, "the time is too long; give less than 73 years", err);
        } else {
            t_ns = t_ns * 10 + digit;
        }
        if (c + 1 == (point ? point : unit)) {
            t_ns *= scale;
        }
    }
    *out_ns = t_ns;
    *at = unit + unit_length;
    return 0;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r");
}

/* Returns 1 with a job, 0 for a line without one, or an error. */
static int read_line(const struct place *place, struct job *out, struct einet_error *err)
{
    const char *at = skip_blanks(place->text);
    *out = (struct job){0, false};
    if (*at == '\0' || *at == '#') {
        return 0;
    }
    const int rc = take_time(place, &at, &out->t_ns, err);
    if (rc != 0) {
        return rc;
    }
    at = skip_blanks(at);
    const size_t word_length = strcspn(at, " \t\r#");
    out->is_censored = word_length > 0;
    if (word_length > 0 && (word_length != strlen("censored") || memcmp(at, "censored", word_length) != 0)) {
        return refuse(place, at, "only the word censored may follow the time", err);
    }
    at = skip_blanks(at + word_length);
    if (*at != '\0' && *at != '#') {
        return refuse(place, at, "there is more than a time and the word censored; give one job a line", err);
    }
    return 1;
}

/* ---- the file ---- */

static int add_job(struct jobs *jobs, struct job job, const struct place *place, struct einet_error *err)
{
    if (jobs->count == jobs->room) {
        if (jobs->room >= EI_TRACE_JOBS_MAX) {
            return einet_error_set_at(err, EINET_E_LIMIT, place->path, place->line, 0,
                                      "a trace holds at most %d jobs; leave out the oldest", EI_TRACE_JOBS_MAX);
        }
        const int32_t grown = jobs->room == 0 ? 1024 : 2 * jobs->room;
        const int32_t room = grown < EI_TRACE_JOBS_MAX ? grown : EI_TRACE_JOBS_MAX;
        struct job *more = realloc(jobs->job, (size_t)room * sizeof *more);
        if (!more) {
            return einet_error_set_at(err, -ENOMEM, place->path, place->line, 0, "no memory for %d jobs", room);
        }
        jobs->job = more;
        jobs->room = room;
    }
    jobs->job[jobs->count++] = job;
    return 0;
}

static int read_jobs(FILE *file, const char *path, struct jobs *jobs, struct einet_error *err)
{
    char *text = NULL;
    size_t size = 0;
    int rc = 0;
    struct place place = {.path = path, .line = 0};
    while (rc == 0) {
        errno = 0;
        const ssize_t length = getline(&text, &size, file);
        if (length < 0) {
            rc = errno != 0
                     ? einet_error_set_at(err, -errno, path, place.line, 0, "cannot read it: %s", strerror(errno))
                     : 0;
            break;
        }
        if (length > 0 && text[length - 1] == '\n') {
            text[length - 1] = '\0';
        }
        place.line++;
        place.text = text;
        const size_t visible = strlen(text);
        if (visible + 1 < (size_t)length) {
            rc = refuse(&place, text + visible, "there is a 0 byte; give a text file", err);
            break;
        }
        struct job job;
        rc = read_line(&place, &job, err);
        if (rc == 1) {
            rc = add_job(jobs, job, &place, err);
        }
    }
    free(text);
    return rc;
}

static int load_jobs(const char *path, struct jobs *jobs, struct einet_error *err)
{
    /* Non-blocking, so that a named pipe is refused instead of waited for. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return einet_error_set_at(err, -errno, path, 0, 0, "cannot open it: %s", strerror(errno));
    }
    struct stat st;
    FILE *file = NULL;
    int rc = 0;
    if (fstat(fd, &st) != 0) {
        rc = einet_error_set_at(err, -errno, path, 0, 0, "cannot read it: %s", strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        rc =
            einet_error_set_at(err, EINET_E_FILE, path, 0, 0, "this is not a regular file; give a trace of stop times");
    } else if (!(file = fdopen(fd, "r"))) {
        rc = einet_error_set_at(err, -errno, path, 0, 0, "cannot read it: %s", strerror(errno));
    }
    if (rc != 0) {
        close(fd);
        return rc;
    }
    rc = read_jobs(file, path, jobs, err);
    fclose(file);
    if (rc == 0 && jobs->count == 0) {
        rc = einet_error_set_at(err, EINET_E_FILE, path, 0, 0,
                                "there is no job in it; give one time a line, such as 12.5ms");
    }
    return rc;
}

/* ---- the estimate ---- */

static int by_time(const void *a, const void *b)
{
    const int64_t x_ns = ((const struct job *)a)->t_ns, y_ns = ((const struct job *)b)->t_ns;
    return (x_ns > y_ns) - (x_ns < y_ns);
}

/* Kaplan-Meier of sorted jobs: out_after[k] = S right after the k-th different stop time out_ns[k]. Returns how many.
 */
static int32_t estimate(const struct jobs *jobs, int64_t *out_ns, double *out_after)
{
    int32_t stops = 0;
    double survival = 1;
    for (int32_t i = 0; i < jobs->count;) {
        const int32_t at_risk = jobs->count - i;
        const int64_t t_ns = jobs->job[i].t_ns;
        int32_t stopped = 0;
        for (; i < jobs->count && jobs->job[i].t_ns == t_ns; i++) {
            stopped += jobs->job[i].is_censored ? 0 : 1;
        }
        if (stopped > 0) {
            survival *= 1 - (double)stopped / at_risk;
            out_ns[stops] = t_ns;
            out_after[stops++] = survival;
        }
    }
    return stops;
}

/* The staircase as a polyline: two points at each stop time, before and after its fall. Back to front, in place. */
static void staircase(int32_t stops, int64_t *t_ns, double *survival)
{
    for (int32_t k = stops - 1; k >= 0; k--) {
        const double after = survival[k], before = k > 0 ? survival[k - 1] : 1;
        t_ns[2 * k] = t_ns[2 * k + 1] = t_ns[k];
        survival[2 * k + 1] = after;
        survival[2 * k] = before;
    }
}

static void fill_table(int32_t stops, int64_t *t_ns, double *survival, struct ei_survival_table *out)
{
    if (stops == 0) {
        *out = (struct ei_survival_table){.kind = EI_SURVIVAL_STEPS, .count = 1, .t_ns = {0}, .survival = {1}};
        return;
    }
    if (stops > EI_SURVIVAL_KNOTS_MAX) {
        staircase(stops, t_ns, survival);
        ei_survival_thin(2 * stops, t_ns, survival, EI_SURVIVAL_KNOTS_MAX, out);
        return;
    }
    out->kind = EI_SURVIVAL_STEPS;
    out->count = stops;
    memcpy(out->t_ns, t_ns, (size_t)stops * sizeof *t_ns);
    memcpy(out->survival, survival, (size_t)stops * sizeof *survival);
}

int ei_survival_read_trace(const char *path, struct ei_survival_table *out, struct einet_error *err)
{
    struct jobs jobs = {NULL, 0, 0};
    int rc = load_jobs(path, &jobs, err);
    if (rc == 0) {
        qsort(jobs.job, (size_t)jobs.count, sizeof *jobs.job, by_time);
        int64_t *t_ns = malloc(2 * (size_t)jobs.count * sizeof *t_ns);
        double *survival = malloc(2 * (size_t)jobs.count * sizeof *survival);
        if (t_ns && survival) {
            fill_table(estimate(&jobs, t_ns, survival), t_ns, survival, out);
        } else {
            rc = einet_error_set_at(err, -ENOMEM, path, 0, 0, "no memory for %d jobs", jobs.count);
        }
        free(t_ns);
        free(survival);
    }
    free(jobs.job);
    return rc;
}
