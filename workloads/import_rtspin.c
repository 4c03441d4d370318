/* Scripts that start LITMUS^RT's rtspin (liblitmus, bin/rtspin.c): `rtspin OPTIONS WCET PERIOD DURATION`, one periodic
 * task each; setsched and release_ts are understood. docs/import.md has the table. See import_rtspin.h.
 */
#include "workloads/import_rtspin.h"

#include "workloads/spec_read.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPINS_MAX EI_TASKS_MAX
#define GROUPS_MAX 32 /* of equal execution times in a row */
#define PRIORITY_TOP 80
#define LITMUS_LOWEST 511
#define SCALE_DEFAULT 0.95
#define SCALE_MAX 1000.0

/* One rtspin command. */
struct spin {
    struct ei_import_at at;
    char command[EI_DIAGNOSTIC_TEXT_MAX - 32];
    int64_t wcet_ns, period_ns, duration_ns;
    int64_t deadline_ns, offset_ns; /* 0 = not given */
    double scale;
    int64_t cpu;      /* -1 = any */
    int64_t priority; /* LITMUS's, 1 is the highest; 0 = not given */
    bool is_enforced;
    struct ei_import_at times_at; /* of -C */
    char times_file[EI_SHELL_WORD_MAX];
    int64_t column;
    int64_t *times_ns; /* owned; NULL = WCET always */
    int64_t time_count;
    bool is_ok; /* false: reported */
};

struct script {
    struct ei_import_draft *draft;
    int32_t count;
    struct spin *spins; /* SPINS_MAX of them */
    bool is_edf;
};

/* ---- options ---- */

static bool want_ms(struct script *sc, const struct ei_shell_word *word, const char *text, const char *what,
                    int64_t lo_ns, int64_t *out_ns)
{
    if (ei_rtspin_ms(text, out_ns) && *out_ns >= lo_ns) {
        return true;
    }
    ei_import_refuse(sc->draft, word->at, "a number such as 12.5", "%s of %s is '%s', which is no time in ms%s", what,
                     sc->draft->label, text, lo_ns > 0 ? " above 0, of an hour at most" : " of an hour at most");
    return false;
}

static bool want_integer(struct script *sc, const struct ei_shell_word *word, const char *text, const char *what,
                         int64_t lo, int64_t hi, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && *out >= lo && *out <= hi) {
        return true;
    }
    ei_import_refuse(sc->draft, word->at, NULL, "%s of %s is '%s', and must be from %" PRId64 " to %" PRId64, what,
                     sc->draft->label, text, lo, hi);
    return false;
}

static bool read_scale(struct script *sc, struct spin *spin, const struct ei_shell_word *word, const char *text)
{
    char *end = NULL;
    spin->scale = strtod(text, &end);
    if (end != text && *end == '\0' && isfinite(spin->scale) && spin->scale > 0 && spin->scale <= SCALE_MAX) {
        return true;
    }
    ei_import_refuse(sc->draft, word->at, "a share of the WCET such as 0.95", "-s of %s is '%s', which is no scale",
                     sc->draft->label, text);
    return false;
}

static bool read_class(struct script *sc, const struct ei_shell_word *word, const char *text)
{
    if (strcmp(text, "hrt") == 0 || strcmp(text, "srt") == 0) {
        return true;
    }
    if (strcmp(text, "be") == 0) {
        return ei_import_lose(sc->draft, word->at, "hrt or srt", "%s is of the best-effort class, which is not here",
                              sc->draft->label);
    }
    ei_import_refuse(sc->draft, word->at, "be, srt or hrt", "-c of %s is '%s', which is no class", sc->draft->label,
                     text);
    return false;
}

/* FILE or FILE:COLUMN. */
static bool read_times_option(struct script *sc, struct spin *spin, const struct ei_shell_word *word, const char *text)
{
    const char *colon = strrchr(text, ':');
    spin->times_at = word->at;
    spin->column = 1;
    snprintf(spin->times_file, sizeof spin->times_file, "%.*s", colon != NULL ? (int)(colon - text) : (int)strlen(text),
             text);
    return colon == NULL || want_integer(sc, word, colon + 1, "the column of -C", 1, 1000, &spin->column);
}

static const char *why_foreign(int letter)
{
    static const struct {
        int letter;
        const char *why;
    } foreign[] = {{'B', "it is a background loop, not a task"},
                   {'l', "it is a calibration, not a task"},
                   {'h', "it prints a help text"},
                   {'m', "work here is processor time only"},
                   {'r', "there are no reservations here"},
                   {'R', "there are no reservations here"},
                   {'u', "execution times here are fixed: nothing under-runs at random"},
                   {'U', "execution times here are fixed: nothing under-runs at random"},
                   {'X', "tasks share no locks here"},
                   {'L', "tasks share no locks here"},
                   {'Q', "tasks share no locks here"},
                   {'S', "releases here come by the clock, not from a file"},
                   {'O', "a job here sends nothing to others"},
                   {'D', "for distances drawn uniformly write arrival: { model: sporadic, dist: uniform } by hand"},
                   {'E', "for distances drawn uniformly write arrival: { model: sporadic, dist: uniform } by hand"}};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (foreign[i].letter == letter) {
            return foreign[i].why;
        }
    }
    return NULL;
}

/* One option with its argument ("" when it takes none). */
static bool read_option(struct script *sc, struct spin *spin, const struct ei_shell_word *word, int letter,
                        const char *text)
{
    const char *why = why_foreign(letter);
    switch (letter) {
    case 'w':
    case 'v':
    case 'i':
    case 'T':
        return true;
    case 'e':
        spin->is_enforced = true;
        return true;
    case 'p':
        return want_integer(sc, word, text, "-p", 0, EI_CPU_MAX - 1, &spin->cpu);
    case 'q':
        return want_integer(sc, word, text, "-q", 1, LITMUS_LOWEST, &spin->priority);
    case 'd':
        return want_ms(sc, word, text, "-d", 0, &spin->deadline_ns);
    case 'o':
        return want_ms(sc, word, text, "-o", 0, &spin->offset_ns);
    case 's':
        return read_scale(sc, spin, word, text);
    case 'c':
        return read_class(sc, word, text);
    case 'C':
        return read_times_option(sc, spin, word, text);
    default:
        break;
    }
    if (why == NULL) {
        ei_import_refuse(sc->draft, word->at, "rtspin -h lists the options", "%s has an unknown option -%c",
                         sc->draft->label, letter);
        return false;
    }
    const bool is_lost = ei_import_lose(sc->draft, word->at, "remove it, or import with --lossy", "-%c of %s: %s",
                                        letter, sc->draft->label, why);
    return is_lost && strchr("Blh", letter) == NULL; /* those three make it no task at all */
}

/* A word of options, "-wv" or "-p1"; the argument may be the next word. Moves *i to the last word taken. */
static bool read_options(struct script *sc, struct spin *spin, const struct ei_shell_command *command, int32_t *i)
{
    const struct ei_shell_word *word = &command->words[*i];
    bool is_ok = true;
    for (const char *at = word->text + 1; *at != '\0'; at++) {
        const bool has_argument = strchr("pcosmqrXLQuUdCDE", *at) != NULL;
        if (*at == 'S' || *at == 'O') { /* its argument can only be attached */
            return read_option(sc, spin, word, *at, at + 1) && is_ok;
        }
        if (!has_argument) {
            is_ok = read_option(sc, spin, word, *at, "") && is_ok;
            continue;
        }
        if (at[1] != '\0') {
            return read_option(sc, spin, word, *at, at + 1) && is_ok;
        }
        if (*i + 1 == command->count) {
            ei_import_refuse(sc->draft, word->at, NULL, "-%c of %s has no argument", *at, sc->draft->label);
            return false;
        }
        *i += 1;
        return read_option(sc, spin, &command->words[*i], *at, command->words[*i].text) && is_ok;
    }
    return is_ok;
}

/* ---- one command ---- */

static bool read_times(struct script *sc, struct spin *spin)
{
    struct ei_import_draft *draft = sc->draft;
    char path[EI_SPEC_PATH_MAX + EI_SHELL_WORD_MAX];
    char why[EI_DIAGNOSTIC_TEXT_MAX - 128];
    char *text = NULL;
    size_t length_bytes = 0;
    snprintf(path, sizeof path, "%s%s", spin->times_file[0] == '/' ? "" : draft->folder, spin->times_file);
    if (access(path, F_OK) != 0) {
        snprintf(path, sizeof path, "%s", spin->times_file);
    }
    int rc = ei_spec_read_file(path, EI_IMPORT_FILE_MAX, &text, &length_bytes, why, sizeof why);
    if (rc == 0) {
        spin->time_count = ei_rtspin_times(text, length_bytes, spin->column, &spin->times_ns, why, sizeof why);
        rc = spin->time_count < 0 ? (int)spin->time_count : 0;
        free(text);
    }
    if (rc == -ENOMEM) {
        draft->rc = rc;
    } else if (rc != 0) {
        ei_import_refuse(draft, spin->times_at, "beside the script, or from the working directory",
                         "the execution times '%.120s' of %s: %s", path, draft->label, why);
    }
    return rc == 0;
}

/* WCET PERIOD [DURATION] */
static bool read_numbers(struct script *sc, struct spin *spin, const struct ei_shell_word **words, int32_t count)
{
    static const char usage[] = "rtspin [OPTIONS] WCET PERIOD DURATION, in ms, ms and s";
    struct ei_import_draft *draft = sc->draft;
    const bool has_times = spin->times_file[0] != '\0';
    if (count > 3 || count < (has_times ? 2 : 3)) {
        ei_import_refuse(draft, spin->at, usage, "%s has %d numbers", draft->label, count);
        return false;
    }
    if (!want_ms(sc, words[0], words[0]->text, "WCET", 1, &spin->wcet_ns) ||
        !want_ms(sc, words[1], words[1]->text, "PERIOD", 1, &spin->period_ns)) {
        return false;
    }
    if (!has_times && spin->wcet_ns > spin->period_ns) {
        ei_import_refuse(draft, words[0]->at, "WCET comes before PERIOD", "the WCET of %s exceeds its period",
                         draft->label);
        return false;
    }
    if (has_times && !read_times(sc, spin)) {
        return false;
    }
    if (count == 2) {
        spin->duration_ns =
            spin->period_ns < INT64_MAX / spin->time_count ? spin->time_count * spin->period_ns : INT64_MAX;
    } else {
        char text[EI_SHELL_WORD_MAX + 4];
        snprintf(text, sizeof text, "%ss", words[2]->text);
        if (ei_duration_parse(text, &spin->duration_ns) != 0 || spin->duration_ns <= 0) {
            ei_import_refuse(draft, words[2]->at, usage, "DURATION of %s is '%s', which is no time in s", draft->label,
                             words[2]->text);
            return false;
        }
    }
    return ei_import_is_in_range(draft, words[count - 1]->at, EI_CONTEXT_RUN, "duration", spin->duration_ns);
}

static void read_rtspin(struct script *sc, const struct ei_shell_command *command, int32_t first)
{
    const struct ei_shell_word *numbers[4] = {NULL};
    int32_t number_count = 0;
    size_t used = 0;
    if (sc->count == SPINS_MAX) {
        ei_import_lose(sc->draft, command->words[first].at, "split the script", "more than %d rtspin commands",
                       SPINS_MAX);
        return;
    }
    struct spin *spin = &sc->spins[sc->count++];
    *spin = (struct spin){.at = command->words[first].at, .scale = SCALE_DEFAULT, .cpu = -1, .is_ok = true};
    snprintf(sc->draft->label, sizeof sc->draft->label, "rtspin %d", sc->count);
    for (int32_t i = first; i < command->count && used < sizeof spin->command; i++) {
        used += (size_t)snprintf(spin->command + used, sizeof spin->command - used, "%s%s", i > first ? " " : "",
                                 command->words[i].text);
    }
    bool has_options = true;
    for (int32_t i = first + 1; i < command->count; i++) {
        const char *text = command->words[i].text;
        if (has_options && strcmp(text, "--") == 0) {
            has_options = false;
        } else if (has_options && text[0] == '-' && text[1] != '\0') {
            spin->is_ok = read_options(sc, spin, command, &i) && spin->is_ok;
        } else if (number_count < 4) {
            numbers[number_count++] = &command->words[i];
        }
    }
    spin->is_ok = spin->is_ok && read_numbers(sc, spin, numbers, number_count);
}

static void read_plugin(struct script *sc, const struct ei_shell_command *command, int32_t first)
{
    const struct ei_shell_word *plugin = &command->words[command->count - 1];
    if (command->count - first != 2) {
        ei_import_refuse(sc->draft, command->words[first].at, "setsched P-FP", "setsched takes one plugin");
    } else if (strcmp(plugin->text, "P-FP") != 0) {
        sc->is_edf = true;
        ei_import_lose(sc->draft, plugin->at, "use P-FP with -q, or import with --lossy",
                       "plugin '%s' does not schedule by fixed priorities, and here is nothing else", plugin->text);
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void read_command(struct script *sc, const struct ei_shell_command *command)
{
    static const char *const idle[] = {"release_ts", "wait", "echo", "sleep", "set", "exit", NULL};
    int32_t first = 0;
    while (first + 1 < command->count && strcmp(command->words[first].text, "sudo") == 0) {
        first++;
    }
    const char *name = base_name(command->words[first].text);
    if (strcmp(name, "rtspin") == 0) {
        read_rtspin(sc, command, first);
        return;
    }
    if (strcmp(name, "setsched") == 0) {
        read_plugin(sc, command, first);
        return;
    }
    for (int i = 0; idle[i] != NULL; i++) {
        if (strcmp(name, idle[i]) == 0) {
            sc->draft->scope = EI_IMPORT_HEAD;
            ei_import_note(sc->draft, command->words[first].at,
                           "'%s' is left out: all tasks start together here, and the run ends by itself", name);
            return;
        }
    }
    ei_import_lose(sc->draft, command->words[first].at, "only rtspin, setsched, release_ts and the like are understood",
                   "unknown command '%s'", name);
}

/* ---- tasks ---- */

/* A run of equal execution times: jobs from, from + 1, ... of a cycle. */
struct group {
    int64_t from, count, spin_ns;
};

/* The groups of the first `jobs` times. Returns their number, GROUPS_MAX + 1 when there are more. */
static int32_t find_groups(const struct spin *spin, int64_t jobs, struct group groups[GROUPS_MAX])
{
    int32_t count = 0;
    for (int64_t i = 0; i < jobs; i++) {
        const int64_t spin_ns = llround((double)spin->times_ns[i] * spin->scale);
        if (count > 0 && groups[count - 1].spin_ns == spin_ns) {
            groups[count - 1].count++;
        } else if (count == GROUPS_MAX) {
            return GROUPS_MAX + 1;
        } else {
            groups[count++] = (struct group){i, 1, spin_ns};
        }
    }
    return count;
}

static int64_t longest_ns(const struct spin *spin)
{
    int64_t longest = spin->wcet_ns;
    for (int64_t i = 0; i < spin->time_count; i++) {
        longest = i == 0 || spin->times_ns[i] > longest ? spin->times_ns[i] : longest;
    }
    return llround((double)longest * spin->scale);
}

/* cycle: jobs until the group comes again; 0 = never. */
static bool add_group(struct script *sc, const struct spin *spin, const struct group *group, int64_t cycle,
                      bool is_whole, const char *name)
{
    struct ei_import_draft *draft = sc->draft;
    struct ei_task_spec task;
    struct ei_arrival_spec *a = &task.arrival;
    ei_import_task_blank(&task);
    a->offset_ns = spin->offset_ns + group->from * spin->period_ns;
    if (is_whole && cycle > 0) {
        a->model = EI_ARRIVAL_PERIODIC;
        a->period_ns = spin->period_ns;
    } else if (cycle > 0 && group->count == 1) {
        a->model = EI_ARRIVAL_PERIODIC;
        a->period_ns = cycle * spin->period_ns;
    } else {
        a->model = EI_ARRIVAL_BURST;
        a->count = group->count < INT32_MAX ? (int32_t)group->count : INT32_MAX;
        a->spacing_ns = group->count > 1 ? spin->period_ns : 0;
        a->period_ns = cycle > 0 ? cycle * spin->period_ns : EI_NONE_NS;
    }
    task.deadline_ns = spin->deadline_ns > 0 ? spin->deadline_ns : spin->period_ns;
    task.late_release.queue = EI_SPEC_QUEUE_MAX;
    if (spin->cpu >= 0) {
        ei_cpuset_add(&task.cpus, (int)spin->cpu);
    }
    task.priority = (int32_t)spin->priority; /* still LITMUS's: rank_priorities makes them ours */
    ei_import_task_spin(&task, "spin", group->spin_ns);
    if (spin->wcet_ns <= task.deadline_ns && spin->wcet_ns >= group->spin_ns) {
        task.stages[0].budget_ns = spin->wcet_ns;
    }
    draft->scope = draft->wl->task_count;
    if (!ei_import_task_add(draft, &task, spin->at, name)) {
        return false;
    }
    ei_import_note(draft, spin->at, "%s", spin->command);
    return true;
}

/* The groups of one command: its execution times, and how its releases end. */
static bool plan_groups(struct script *sc, const struct spin *spin, struct group groups[GROUPS_MAX], int32_t *out_count,
                        int64_t *out_cycle)
{
    struct ei_import_draft *draft = sc->draft;
    /* rtspin ends at the first job that starts DURATION or later. */
    const int64_t jobs = (spin->duration_ns - 1) / spin->period_ns + 1;
    const bool is_short = spin->duration_ns < draft->wl->run.duration_ns;
    *out_count = 1;
    *out_cycle = is_short ? 0 : 1;
    groups[0] = (struct group){0, jobs, llround((double)spin->wcet_ns * spin->scale)};
    if (spin->times_ns != NULL) {
        const int64_t rows = spin->time_count < jobs ? spin->time_count : jobs;
        *out_count = find_groups(spin, rows, groups);
        if (*out_count > GROUPS_MAX) {
            if (!ei_import_lose(draft, spin->times_at,
                                "use a shorter file, or import with --lossy for the longest time",
                                "the execution times of %s change more than %d times, and a task here has one",
                                draft->label, GROUPS_MAX)) {
                return false;
            }
            *out_count = 1;
            groups[0] = (struct group){0, jobs, longest_ns(spin)};
        } else if (*out_count == 1) {
            groups[0].count = jobs;
        } else if (jobs > rows) {
            *out_cycle = rows;
            return !is_short || ei_import_lose(draft, spin->at, "give all commands the same DURATION",
                                               "%s ends before others while its execution times repeat", draft->label);
        } else {
            *out_cycle = 0;
        }
    }
    return true;
}

static void add_spin(struct script *sc, const struct spin *spin, int32_t number)
{
    struct ei_import_draft *draft = sc->draft;
    const int32_t first_remark = draft->remark_count;
    const int32_t first_task = draft->wl->task_count;
    struct group groups[GROUPS_MAX];
    int32_t count = 0;
    int64_t cycle = 0;
    char name[EI_SPEC_NAME_MAX];
    snprintf(draft->label, sizeof draft->label, "rtspin %d", number);
    draft->scope = first_task;
    bool is_ok = spin->is_ok;
    if (is_ok && spin->is_enforced && longest_ns(spin) > spin->wcet_ns) {
        is_ok = ei_import_lose(draft, spin->at, "raise the WCET, or drop -e",
                               "%s runs longer than the budget that -e enforces, and budgets here are not enforced",
                               draft->label);
    }
    is_ok = is_ok && plan_groups(sc, spin, groups, &count, &cycle);
    for (int32_t i = 0; is_ok && i < count; i++) {
        snprintf(name, sizeof name, count > 1 ? "rtspin-%d.%d" : "rtspin-%d", number, i + 1);
        is_ok = add_group(sc, spin, &groups[i], cycle, count == 1, name);
    }
    if (!is_ok) {
        draft->wl->task_count = first_task;
        ei_import_task_leave_out(draft, spin->at, first_remark);
    }
}

/* LITMUS's numbers, 1 the highest, become priorities from 80 down; none at all leaves them to the deadlines. */
static void rank_priorities(struct script *sc)
{
    struct ei_workload *wl = sc->draft->wl;
    bool has_any = false;
    int32_t priority = PRIORITY_TOP;
    for (int32_t i = 0; i < wl->task_count; i++) {
        has_any |= wl->tasks[i].priority > 0;
    }
    if (!has_any || sc->is_edf) {
        for (int32_t i = 0; i < wl->task_count; i++) {
            wl->tasks[i].priority = 0;
        }
        sc->draft->scope = EI_IMPORT_HEAD;
        ei_import_note(sc->draft, sc->spins[0].at,
                       "no fixed priorities (-q) are given: the shorter the deadline, the higher the priority");
        return;
    }
    bool is_ranked[EI_TASKS_MAX] = {false};
    for (int32_t level = 1; level <= LITMUS_LOWEST; level++) {
        bool is_used = false;
        for (int32_t i = 0; i < wl->task_count; i++) {
            const int32_t own = wl->tasks[i].priority > 0 ? wl->tasks[i].priority : LITMUS_LOWEST;
            if (!is_ranked[i] && own == level) {
                wl->tasks[i].priority = priority;
                is_ranked[i] = true;
                is_used = true;
            }
        }
        priority -= is_used ? 1 : 0;
    }
}

void ei_import_rtspin(struct ei_import_draft *draft, const char *text, size_t length_bytes)
{
    struct ei_shell_reader reader = {
        .draft = draft, .at = text, .end = text + length_bytes, .place = {.line = 1, .column = 1}};
    struct script sc = {.draft = draft, .spins = calloc(SPINS_MAX, sizeof *sc.spins)};
    struct ei_shell_command *command = malloc(sizeof *command);
    if (sc.spins == NULL || command == NULL) {
        draft->rc = -ENOMEM;
        free(sc.spins);
        free(command);
        return;
    }
    while (ei_shell_next(&reader, command)) {
        read_command(&sc, command);
    }
    for (int32_t i = 0; i < sc.count; i++) {
        const bool is_longer = sc.spins[i].is_ok && sc.spins[i].duration_ns > draft->wl->run.duration_ns;
        draft->wl->run.duration_ns = is_longer ? sc.spins[i].duration_ns : draft->wl->run.duration_ns;
    }
    for (int32_t i = 0; i < sc.count; i++) {
        add_spin(&sc, &sc.spins[i], i + 1);
    }
    if (draft->wl->task_count > 0) {
        rank_priorities(&sc);
    } else if (sc.count == 0 && draft->diag->errors == 0) {
        ei_import_refuse(draft, (struct ei_import_at){{0, 0}, 1}, "rtspin WCET PERIOD DURATION",
                         "the script starts no rtspin");
    }
    for (int32_t i = 0; i < sc.count; i++) {
        free(sc.spins[i].times_ns);
    }
    free(sc.spins);
    free(command);
}
