/* ei_collector_clear_earlier: a folder holds the files of one run. */
#include "metrics/collector_state.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#define PARTIAL ".partial"

/* What runs and einet report write there. Not run.json, which is of the present run already, nor workload.yaml, which
 * somebody may have written by hand. */
static const char *const whole_names[] = {"jobs.csv",    "stages.csv",    "latency.hlog", "summary.json",
                                          "summary.txt", "trace.pftrace", "report.html"};

/* trace-N.pftrace */
static bool is_window(const char *name)
{
    static const char head[] = "trace-", tail[] = ".pftrace";
    if (strncmp(name, head, sizeof head - 1) != 0) {
        return false;
    }
    const char *digits = name + sizeof head - 1;
    const size_t length = strspn(digits, "0123456789");
    return length > 0 && strcmp(digits + length, tail) == 0;
}

static bool is_of_a_run(const char *name)
{
    for (size_t i = 0; i < sizeof whole_names / sizeof whole_names[0]; i++) {
        if (strcmp(name, whole_names[i]) == 0) {
            return true;
        }
    }
    return is_window(name);
}

/* Whether NAME.partial is one that the present run is writing. */
static bool is_being_written(const struct ei_collector *collector, const char *name)
{
    return (collector->has_jobs_csv && strcmp(name, "jobs.csv") == 0) ||
           (collector->has_stages_csv && strcmp(name, "stages.csv") == 0) ||
           (collector->trace != NULL && strstr(name, ".pftrace") != NULL);
}

static bool is_earlier(const struct ei_collector *collector, const char *entry)
{
    const size_t length = strlen(entry), tail = sizeof PARTIAL - 1;
    char name[64];
    if (length <= tail || strcmp(entry + length - tail, PARTIAL) != 0) {
        return is_of_a_run(entry);
    }
    if (length - tail >= sizeof name) {
        return false;
    }
    memcpy(name, entry, length - tail);
    name[length - tail] = '\0';
    return is_of_a_run(name) && !is_being_written(collector, name);
}

int32_t ei_collector_clear_earlier(const struct ei_collector *collector)
{
    DIR *folder = collector->out_dir != NULL ? opendir(collector->out_dir) : NULL;
    int32_t count = 0;
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (is_earlier(collector, entry->d_name)) {
            count += unlinkat(dirfd(folder), entry->d_name, 0) == 0;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}
