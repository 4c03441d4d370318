/* einet top: the figures of a run that goes on, from another terminal. */
#include "app/commands.h"
#include "app/pool_command.h"
#include "app/terminal.h"
#include "app/top_screen.h"
#include "app/top_view.h"
#include "command/options.h"
#include "rt/clock.h"
#include "rt/shared_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS_MAX 64
#define INTERVAL_MIN_NS (100 * EI_NS_PER_MS)
#define FIRST_TRIES 30 /* a run that is just being made has its figures soon */
#define FIRST_NAP_NS (100 * EI_NS_PER_MS)

struct arguments {
    const char *which; /* pid or name; NULL = the only one */
    int64_t interval_ns;
    bool is_once, is_json;
    bool is_quiet; /* of what is wrong with segments */
};

/* One segment that was found. */
struct found {
    struct ei_shared_memory shm;
    struct ei_board_run run;
    bool is_dead;
};

struct watch {
    const struct arguments *arguments;
    struct ei_shared_memory shm;
    struct ei_board_view view;
    struct einet_top_news news;
};

#define FIELD(field) EINET_FIELD(struct arguments, field)

static const struct einet_option rows[] = {
    {.name = "once", FIELD(is_once), .help = "show the figures of now and end"},
    {.name = "interval",
     .argument = "D",
     FIELD(interval_ns),
     .low = INTERVAL_MIN_NS,
     .expected = "a time of at least 100ms, such as 1s",
     .help = "between two looks, at least 100ms (default: 1s; a run publishes four times a second)"},
    {.name = "json", FIELD(is_json), .help = "one JSON object per look, each in a line of its own"},
    {.name = "pool",
     .argument = "NAME",
     .take = einet_take_pool,
     .help = "instead the nodes of a pool of machines and what each does about its tasks; einet-dds shows them "
             "(einet-dds top --help)"},
};

static const struct einet_usage usage = {
    .command = "top",
    .head =
        "usage: einet top [PID|NAME] [--once] [--interval D] [--json]\n"
        "       einet top --pool NAME [--once] [--interval D] [--json] [--domain N]\n\n"
        "Show what a run of einet run does, while it runs: per task releases, misses, responses, exits and accuracy, "
        "per\n"
        "lane who holds it and who waits, real-time load per CPU, the machine's noise. Without PID or NAME (of the\n"
        "workload) it is the only run of this user; several are listed. On a terminal the page is rewritten and q ends "
        "it;\n"
        "elsewhere, and with TERM=dumb, it prints plain lines. It ends with the run, after its last figures.\n",
    .tables = {EINET_OPTION_TABLE(rows, 0)},
    .foot = "exit status: 0 the run ended or goes on, 1 usage, no run or several, 2 figures of another version or "
            "malformed,\n"
            "             5 the run died or failed\n\n"
            "example: einet top --interval 500ms\n",
    .operands_max = 1,
    .too_many = "one run only, not also ",
};

/* ---- finding the run ---- */

static bool is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

static bool is_wanted(const struct arguments *arguments, const struct ei_board_run *run)
{
    if (arguments->which == NULL) {
        return true;
    }
    return is_number(arguments->which) ? run->pid == strtoll(arguments->which, NULL, 10)
                                       : strcmp(run->name, arguments->which) == 0;
}

/* Map a segment and read what its run is called, giving one that is being made a moment. */
static int look_at(const char *name, struct ei_shared_memory *shm, struct ei_board_view *view, struct einet_error *err)
{
    int rc = -EAGAIN;
    for (int i = 0; rc == -EAGAIN && i < FIRST_TRIES; i++) {
        if (i > 0) {
            ei_mono_sleep_until(ei_mono_add(ei_mono_now(), FIRST_NAP_NS));
        }
        rc = ei_shared_memory_open(shm, name, EI_BOARD_VERSION, sizeof(struct ei_board), err);
        if (rc < 0) {
            continue;
        }
        rc = ei_board_read(shm->payload, view, err);
        const bool is_dead = ei_shared_memory_owner(shm->header) == EI_SHARED_OWNER_DEAD;
        if (rc < 0) {
            ei_shared_memory_close(shm);
        }
        if (rc == -EAGAIN && is_dead) {
            return einet_error_set(err, -ENOENT, "%s was left by a run that died before it said anything", name);
        }
    }
    return rc;
}

/* All segments that can be read; *out_status is set by one that is refused. */
static int find_runs(const struct arguments *arguments, struct found *found, int *out_status)
{
    static struct ei_board_view view;
    static struct ei_shared_name names[RUNS_MAX];
    int count = 0;
    const int listed = ei_shared_memory_list(EI_BOARD_PREFIX, names, RUNS_MAX);
    for (int i = 0; i < listed && i < RUNS_MAX; i++) {
        struct found *f = &found[count];
        struct einet_error err = {0};
        const int rc = look_at(names[i].name, &f->shm, &view, &err);
        if (rc == -ENOENT || (rc == -EACCES && arguments->which == NULL)) {
            continue; /* it is over, or another user's */
        }
        if (rc < 0) {
            *out_status = rc == EINET_E_FILE || rc == EINET_E_MISMATCH ? EINET_EXIT_BAD_FILE : *out_status;
            if (!arguments->is_quiet) {
                fprintf(stderr, "einet top: %s\n", err.text);
            }
            continue;
        }
        f->run = view.run;
        f->is_dead = !ei_board_is_over(&view.run) && ei_shared_memory_owner(f->shm.header) == EI_SHARED_OWNER_DEAD;
        if (is_wanted(arguments, &f->run)) {
            count++;
        } else {
            ei_shared_memory_close(&f->shm);
        }
    }
    return count;
}

static void list_runs(const struct arguments *arguments, const struct found *found, int count)
{
    for (int i = 0; i < count; i++) {
        const struct ei_board_run *run = &found[i].run;
        const char *state = found[i].is_dead ? "died" : einet_top_phase(run);
        if (arguments->is_json) {
            printf("%s{\"pid\":%" PRId64 ",\"name\":\"%s\",\"state\":\"%s\",\"elapsed_ns\":%" PRId64
                   ",\"duration_ns\":",
                   i == 0 ? "{\"runs\":[" : "", run->pid, run->name, state, run->elapsed_ns);
            if (run->duration_ns == INT64_MAX) {
                fputs("null", stdout);
            } else {
                printf("%" PRId64, run->duration_ns);
            }
            fputs(run->degraded_count > 0 ? ",\"degraded\":true" : ",\"degraded\":false", stdout);
            fputs(i + 1 < count ? "}," : "}]}\n", stdout);
        } else {
            printf("%8" PRId64 "  %-*s  %-8s  ", run->pid, EI_BOARD_NAME_MAX - 1, run->name, state);
            einet_top_print_elapsed(stdout, run);
            puts(run->degraded_count > 0 ? "  DEGRADED" : "");
        }
    }
}

/* How much a run is the one of its process: while another takes over two are there. */
static int weight(const struct ei_board_run *run)
{
    return ei_board_is_over(run) ? 0 : run->is_ending ? 1 : run->phase == EI_BOARD_STARTING ? 2 : 3;
}

/* Whether it only ends, or is only made, beside the run of its process that goes on. */
static bool is_beside(const struct found *found, int count, int which)
{
    const struct ei_board_run *run = &found[which].run;
    for (int i = 0; i < count; i++) {
        const struct ei_board_run *other = &found[i].run;
        if (i != which && other->pid == run->pid && !found[i].is_dead &&
            (weight(other) > weight(run) || (weight(other) == weight(run) && other->elapsed_ns < run->elapsed_ns))) {
            return true;
        }
    }
    return false;
}

/* The one that is meant: the only one, or the only one that is alive. Returns its index, or -1 with *out_status. */
static int choose(const struct arguments *arguments, const struct found *found, int count, int *out_status)
{
    int alive = 0, chosen = -1;
    for (int i = 0; i < count; i++) {
        const bool is_alive = !found[i].is_dead && !is_beside(found, count, i);
        alive += is_alive;
        chosen = is_alive ? i : chosen;
    }
    if (alive == 1 || (alive == 0 && count == 1)) {
        return alive == 1 ? chosen : 0;
    }
    if (count > 0) {
        list_runs(arguments, found, count);
        fprintf(stderr, alive > 0 ? "einet top: several runs: say which, as einet top PID\n"
                                  : "einet top: these runs died; what they left is removed\n");
        *out_status = alive > 0 ? EINET_EXIT_USAGE : EINET_EXIT_FAULT;
    } else if (*out_status == EINET_EXIT_OK) {
        fprintf(stderr, "einet top: no run %s%s%sof this user goes on; start one with einet run FILE\n",
                arguments->which != NULL ? "'" : "", arguments->which != NULL ? arguments->which : "",
                arguments->which != NULL ? "' " : "");
        *out_status = EINET_EXIT_USAGE;
    }
    return -1;
}

/* ---- watching it ---- */

/* Read the figures again. A writer that stands still leaves those of before. */
static int look_again(struct watch *w, struct einet_error *err)
{
    static struct ei_board_view fresh;
    for (int i = 0; i < 2; i++) {
        const bool is_dead = ei_shared_memory_owner(w->shm.header) == EI_SHARED_OWNER_DEAD;
        if (!ei_shared_memory_is_whole(&w->shm)) {
            return einet_error_set(err, EINET_E_FILE, "%s was cut while it was read", w->shm.name);
        }
        const int rc = ei_board_read(w->shm.payload, &fresh, err);
        if (rc < 0 && rc != -EAGAIN) {
            return rc;
        }
        if (rc == 0) {
            w->view = fresh;
        }
        w->news.is_dead = is_dead && !ei_board_is_over(&w->view.run);
        if (!w->news.is_dead) {
            break;
        } /* else once more: it may have ended between the two looks */
    }
    const int64_t silent_ns = ei_mono_now().ns - w->view.run.published_ns;
    w->news.silent_ns = silent_ns > 0 ? silent_ns : 0;
    return 0;
}

/* The run that has taken over from the one that is watched, which ends, is watched from now on. Returns whether there
 * is one. */
static bool go_over(struct watch *w)
{
    static struct found found[RUNS_MAX];
    char pid[24];
    struct arguments same = {.which = pid, .is_quiet = true};
    int status = EINET_EXIT_OK, chosen = -1;
    snprintf(pid, sizeof pid, "%" PRId64, w->view.run.pid);
    const int count = find_runs(&same, found, &status);
    for (int i = 0; i < count; i++) {
        const bool is_it = chosen < 0 && !found[i].is_dead && weight(&found[i].run) > weight(&w->view.run);
        chosen = is_it ? i : chosen;
        if (!is_it) {
            ei_shared_memory_close(&found[i].shm);
        }
    }
    if (chosen >= 0) {
        ei_shared_memory_close(&w->shm);
        w->shm = found[chosen].shm;
    }
    return chosen >= 0;
}

static bool wants_page(const struct arguments *arguments)
{
    const char *term = getenv("TERM");
    return !arguments->is_once && !arguments->is_json && isatty(STDOUT_FILENO) != 0 && term != NULL &&
           strcmp(term, "dumb") != 0;
}

static int show(const struct watch *w, bool is_page)
{
    if (w->arguments->is_json) {
        return einet_top_print_json(stdout, &w->view, &w->news);
    }
    if (!is_page) {
        einet_top_print(stdout, einet_terminal_wants_colour(stdout), &w->view, &w->news);
        return fflush(stdout) == 0 ? 0 : -EIO;
    }
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL) {
        return -ENOMEM;
    }
    einet_top_print(out, einet_terminal_wants_colour(stdout), &w->view, &w->news);
    if (fclose(out) == 0) {
        einet_top_screen_show(text);
    }
    free(text);
    return 0;
}

static int follow(struct watch *w, bool is_page, struct einet_error *err)
{
    bool is_over = false;
    for (int looks = 0; !is_over; looks++) {
        int rc = look_again(w, err);
        if (rc == 0 && !w->arguments->is_once && !w->news.is_dead && weight(&w->view.run) <= 1 && go_over(w)) {
            rc = look_again(w, err);
        }
        if (rc == 0 && looks > 0 && !is_page && !w->arguments->is_json) {
            fputc('\n', stdout);
        }
        rc = rc == 0 ? show(w, is_page) : rc;
        if (rc < 0) {
            return rc == -EIO ? 0 : rc; /* nobody reads our output any more */
        }
        is_over = w->arguments->is_once || w->news.is_dead || ei_board_is_over(&w->view.run);
        enum einet_top_key key = EINET_TOP_NOTHING;
        while (!is_over && (key = einet_top_screen_wait(w->arguments->interval_ns)) == EINET_TOP_REDRAW) {
            rc = show(w, is_page);
        }
        is_over = is_over || key == EINET_TOP_QUIT;
    }
    return 0;
}

/* Watch until the run is over or the user has seen enough; the last figures stay on the terminal. */
static int watch_run(struct watch *w)
{
    struct einet_error err = {0};
    const bool is_page = wants_page(w->arguments);
    signal(SIGPIPE, SIG_IGN);
    einet_top_screen_open(is_page);
    const int rc = follow(w, is_page, &err);
    einet_top_screen_close();
    if (rc < 0) {
        return einet_report_error("top", &err);
    }
    if (is_page) {
        (void)show(w, false);
    }
    if (w->news.is_dead) {
        fprintf(stderr, "einet top: run '%s' (pid %" PRId64 ") died; its figures are those of %.1f s ago\n",
                w->view.run.name, w->view.run.pid, (double)w->news.silent_ns / 1e9);
        return EINET_EXIT_FAULT;
    }
    if (ei_board_is_over(&w->view.run)) {
        fprintf(stderr, "einet top: run '%s' (pid %" PRId64 ") %s\n", w->view.run.name, w->view.run.pid,
                einet_top_phase(&w->view.run));
    }
    return w->view.run.phase == EI_BOARD_FAILED ? EINET_EXIT_FAULT : EINET_EXIT_OK;
}

int einet_top_command(int argc, char **argv)
{
    struct arguments arguments = {.interval_ns = EI_NS_PER_S};
    static struct found found[RUNS_MAX];
    static struct watch w;
    struct einet_arguments given;
    if (einet_is_of_pool(argc, argv)) {
        return einet_become_dds(argc, argv, "top");
    }
    int status = einet_options_read(&usage, argc, argv, &arguments, &given);
    if (status >= 0) {
        return status;
    }
    status = EINET_EXIT_OK;
    arguments.which = given.operand_count > 0 ? given.operands[0] : NULL;
    const int count = find_runs(&arguments, found, &status);
    const int chosen = choose(&arguments, found, count, &status);
    if (chosen >= 0) {
        w = (struct watch){.arguments = &arguments, .shm = found[chosen].shm, .view.run = found[chosen].run};
        status = watch_run(&w);
        ei_shared_memory_close(&w.shm);
    }
    for (int i = 0; i < count; i++) {
        if (i != chosen) { /* which the watch had */
            ei_shared_memory_close(&found[i].shm);
        }
    }
    (void)ei_shared_memory_remove_stale(EI_BOARD_PREFIX);
    return status;
}
