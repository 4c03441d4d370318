/* einet-dds egress and einet-dds top. See docs/pool.md. */
#include "adapters/dds/command.h"
#include "command/service_manager.h"

#include <einet/pool.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS INT64_C(50000000)
#define STATUS_LOOKS 100 /* between two lines of status */
#define FIND_NS INT64_C(50000000)
#define FINDS 20 /* for as long nodes are waited for at first */
#define INTERVAL_NS INT64_C(1000000000)
#define INTERVAL_MIN_NS INT64_C(100000000)
#define NS_PER_S INT64_C(1000000000)

struct wishes {
    struct einet_dds_egress_options side;
    bool is_once, is_json;
    int64_t interval_ns;
};

#define FIELD(field) EINET_FIELD(struct wishes, field)

static const struct einet_option pool_rows[] = {
    {.name = "pool", .argument = "NAME", FIELD(side.pool), .help = "the pool"},
    {.name = "domain",
     .argument = "N",
     FIELD(side.domain),
     .high = EINET_DDS_DOMAIN_MAX,
     .help = "as ROS_DOMAIN_ID, which is the default; 0..230"},
};

static const struct einet_option egress_rows[] = {
    {.name = "priority",
     .argument = "N",
     FIELD(side.priority),
     .high = 98,
     .help = "of the threads that carry messages: 1..98 = SCHED_FIFO; 0, the default, = SCHED_OTHER"},
    {.name = "lease",
     .argument = "D",
     FIELD(side.lease_ns),
     .low = 1,
     .expected = "a time with a unit, such as 100ms",
     .help = "silence after which another egress goes on, 20ms..10s (default: 100ms); the same for all"},
};

static const struct einet_option top_rows[] = {
    {.name = "once", FIELD(is_once), .help = "show it once and end"},
    {.name = "json", FIELD(is_json), .help = "one JSON object per look, each in a line of its own"},
    {.name = "interval",
     .argument = "D",
     FIELD(interval_ns),
     .low = INTERVAL_MIN_NS,
     .expected = "a time of at least 100ms, with a unit",
     .help = "between two looks, at least 100ms (default: 1s)"},
};

static const struct einet_usage egress_usage = {
    .program = "einet-dds",
    .command = "egress",
    .head =
        "usage: einet-dds egress --pool NAME [--lease D] [--domain N] [--priority N]\n"
        "\n"
        "Write the answers of a pool (einet-dds --pool NAME FILE) to the topics of ROS 2, /einet/TASK/classification\n"
        "and /einet/TASK/status, or as outputs: of the tasks say: those of the strongest node that lives, each stamp\n"
        "once and none behind a later one. Of several egresses for one pool the first is active; the others stand by,\n"
        "and one of them goes on when it is silent. SIGINT and SIGTERM end it.\n",
    .tables = {EINET_OPTION_TABLE(pool_rows, 0), EINET_OPTION_TABLE(egress_rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, 3 privileges, 5 runtime fault\n\n"
            "example: einet-dds egress --pool left-arm --priority 60\n",
};

static const struct einet_usage top_usage = {
    .program = "einet-dds",
    .command = "top",
    .head = "usage: einet-dds top --pool NAME [--once] [--json] [--interval D] [--domain N]\n"
            "\n"
            "Show the nodes of a pool that live, the first in rank first, what each does about its tasks,\n"
            "and the egresses, of which one is active.\n",
    .tables = {EINET_OPTION_TABLE(pool_rows, 0), EINET_OPTION_TABLE(top_rows, 0)},
    .foot = "exit status: 0 ok, 1 usage or no node was found, 5 runtime fault\n\n"
            "example: einet-dds top --pool left-arm --once\n",
};

/* Returns -1 to go on, or the exit status. */
static int parse(const struct einet_usage *usage, int argc, char **argv, struct wishes *wishes)
{
    struct einet_arguments given;
    *wishes = (struct wishes){.interval_ns = INTERVAL_NS};
    wishes->side = (struct einet_dds_egress_options){
        .size_bytes = sizeof wishes->side, .domain = einet_dds_default_domain(), .config = getenv("CYCLONEDDS_URI")};
    const int status = einet_options_read(usage, argc, argv, wishes, &given);
    if (status >= 0) {
        return status;
    }
    if (wishes->side.pool == NULL) {
        return einet_options_refuse(usage, "which pool? Give --pool NAME");
    }
    return wishes->side.domain < 0 ? einet_dds_refuse_domain(usage) : -1;
}

/* Before any thread is made: the signals are the caller's. */
static sigset_t hold_signals(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    return ends;
}

/* Whether a signal came within that time. */
static bool is_ended(const sigset_t *ends, int64_t ns)
{
    const struct timespec wait = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    int rc;
    do {
        rc = sigtimedwait(ends, NULL, &wait);
    } while (rc < 0 && errno == EINTR);
    return rc >= 0;
}

/* ---- egress ---- */

struct told {
    int64_t switches[EINET_POOL_TASKS_MAX];
    int64_t beat_ns, looks;
};

static void tell_switches(struct einet_dds_egress *egress, int64_t told[EINET_POOL_TASKS_MAX])
{
    struct einet_dds_egress_figures f = {.size_bytes = sizeof f};
    for (int32_t i = 0; einet_dds_egress_figures(egress, i, &f) == 0; i++) {
        if (f.switches > told[i]) {
            fprintf(stdout, "%s: node %s answers now, %.1f ms behind the frame before\n", f.task, f.node,
                    (double)f.switch_gap_ns / 1e6);
            fflush(stdout);
        }
        told[i] = f.switches;
    }
}

static void tell_turn(struct einet_dds_egress *egress, bool *is_told)
{
    const bool is_active = einet_dds_egress_is_active(egress) > 0;
    if (is_active != *is_told) {
        fputs(is_active ? "active\n" : "standing by\n", stdout);
        fflush(stdout);
    }
    *is_told = is_active;
}

/* Stopped in the middle of a message, and another is active: it cannot be called back but by an end. In a handler. */
static void end_unwritten(void)
{
    static const char why[] = "einet-dds egress: it was stopped while it wrote, and its lease is over: it ends\n";
    (void)!write(STDERR_FILENO, why, sizeof why - 1);
    _exit(5);
}

static void print_egress(struct einet_dds_egress *egress)
{
    struct einet_dds_egress_figures f = {.size_bytes = sizeof f};
    for (int32_t i = 0; einet_dds_egress_figures(egress, i, &f) == 0; i++) {
        fprintf(stdout,
                "%s: %" PRId64 " frames taken, %" PRId64 " passed, %" PRId64 " answered; %" PRId64 " repeated, %" PRId64
                " backward, %" PRId64 " failed; %" PRId64 " switches, the longest %.1f ms\n",
                f.task, f.taken, f.passed, f.answered, f.repeated, f.backward, f.failed, f.switches,
                (double)f.longest_switch_ns / 1e6);
    }
}

/* What the manager hears each while, and that the watchdog is fed while the thread of the egress goes round. */
static void tell_manager(struct einet_dds_egress *egress, const struct einet_manager *manager, struct told *told)
{
    struct einet_dds_egress_figures f = {.size_bytes = sizeof f};
    const int64_t beat_ns = einet_dds_egress_beat(egress);
    int64_t passed = 0, answered = 0;
    if (beat_ns != told->beat_ns && manager->watchdog_ns > 0) {
        einet_manager_tell(manager, "WATCHDOG=1\n");
    }
    told->beat_ns = beat_ns;
    if (told->looks++ % STATUS_LOOKS == 0) {
        int32_t i = 0;
        for (; einet_dds_egress_figures(egress, i, &f) == 0; i++) {
            passed += f.passed;
            answered += f.answered;
        }
        einet_manager_tell(manager, "STATUS=%d tasks, %" PRId64 " frames passed, %" PRId64 " answered, %s\n", i, passed,
                           answered, einet_dds_egress_is_active(egress) > 0 ? "active" : "standing by");
    }
}

int einet_dds_egress_command(int argc, char **argv)
{
    struct wishes wishes;
    struct einet_error err = {0};
    struct einet_dds_egress *egress = NULL;
    struct einet_manager manager;
    struct told told = {0};
    const int status = parse(&egress_usage, argc, argv, &wishes);
    if (status >= 0) {
        return status;
    }
    bool is_told = false;
    wishes.side.fence_signal = SIGRTMIN;
    wishes.side.on_fence = end_unwritten;
    const sigset_t ends = hold_signals();
    const int rc = einet_dds_egress_create(&wishes.side, &egress, &err);
    einet_manager_open(&manager);
    if (rc < 0) {
        einet_manager_tell(&manager, "STATUS=%s\n", err.text);
        einet_manager_close(&manager);
        return einet_dds_say(rc, &err);
    }
    einet_manager_tell(&manager, "READY=1\n");
    fprintf(stdout, "running\nstanding by\n");
    fflush(stdout);
    const bool is_hurried = manager.watchdog_ns > 0 && manager.watchdog_ns / 4 < LOOK_NS;
    bool is_lost = false;
    while (!is_lost && !is_ended(&ends, is_hurried ? manager.watchdog_ns / 4 : LOOK_NS)) {
        is_lost = einet_dds_egress_is_active(egress) == -ESTALE;
        if (!is_lost) {
            tell_turn(egress, &is_told);
            tell_switches(egress, told.switches);
        }
        tell_manager(egress, &manager, &told);
    }
    if (is_lost) {
        fputs("einet-dds egress: it was stopped for so long that DDS forgets it: it ends; start it again\n", stderr);
    }
    einet_manager_tell(&manager, "STOPPING=1\n");
    print_egress(egress);
    einet_dds_egress_destroy(egress);
    einet_manager_close(&manager);
    return is_lost ? 5 : 0;
}

/* ---- top ---- */

static const char *duty_name(int32_t duty)
{
    static const char *const names[] = {"serving", "yielding", "resting", "trying", "hanging"};
    return duty >= 0 && duty <= EINET_DUTY_HANGING ? names[duty] : "?";
}

static const char *state_name(int32_t state)
{
    static const char *const names[] = {"starting", "running", "overloaded", "leaving"};
    return state >= 0 && state <= EINET_NODE_LEAVING ? names[state] : "?";
}

/* Whether no other node has a stronger one. */
static bool is_heard(const struct einet_dds_node *nodes, int32_t count, const struct einet_dds_node_task *task)
{
    for (int32_t n = 0; n < count; n++) {
        for (int32_t t = 0; t < nodes[n].task_count; t++) {
            const struct einet_dds_node_task *other = &nodes[n].tasks[t];
            if (strcmp(other->name, task->name) == 0 && other->strength > task->strength) {
                return false;
            }
        }
    }
    return true;
}

/* What is seen at once. */
struct sight {
    int32_t count, egress_count;
    struct einet_dds_node nodes[EINET_POOL_NODES_MAX];
    struct einet_dds_egress_seen egresses[EINET_POOL_EGRESSES_MAX];
};

static void look(struct einet_dds_watch *watch, struct sight *out)
{
    out->count = einet_dds_watch_nodes(watch, out->nodes, EINET_POOL_NODES_MAX);
    out->egress_count = einet_dds_watch_egresses(watch, out->egresses, EINET_POOL_EGRESSES_MAX);
}

static void print_page(const char *pool, const struct sight *sight)
{
    const struct einet_dds_node *nodes = sight->nodes;
    const int32_t count = sight->count;
    bool has_differing = false;
    fprintf(stdout, "pool %s: %d node%s\n%-16s %4s  %-10s %6s  %-16s\n", pool, count, count == 1 ? "" : "s", "node",
            "rank", "state", "load", "workload");
    for (int32_t n = 0; n < count; n++) {
        const struct einet_dds_node *node = &nodes[n];
        fprintf(stdout, "%-16s %4d  %-10s %6.2f  %-16s\n", node->name, node->rank, state_name(node->state),
                node->load_permille / 1e3, node->workload);
        has_differing |= node->workload_hash != nodes[0].workload_hash;
        for (int32_t t = 0; t < node->task_count; t++) {
            const struct einet_dds_node_task *task = &node->tasks[t];
            fprintf(stdout, "  %c %-12s %4d  %-10s %6.2f  strength %d, %" PRId64 " answered, %" PRId64 " late\n",
                    is_heard(nodes, count, task) ? '*' : ' ', task->name, task->priority, duty_name(task->duty),
                    task->load_permille / 1e3, task->strength, task->answered, task->late);
        }
    }
    fputs(sight->egress_count > 0 ? "egress           process  state\n"
                                  : "no egress: nobody writes to the topics of ROS 2\n",
          stdout);
    for (int32_t i = 0; i < sight->egress_count; i++) {
        const struct einet_dds_egress_seen *egress = &sight->egresses[i];
        fprintf(stdout, "%-16s %7d  %s\n", egress->machine, egress->process,
                egress->is_active ? "active" : "standing by");
    }
    fputs(has_differing ? "the nodes run different workloads\n" : "", stdout);
}

static void print_json(const char *pool, const struct sight *sight)
{
    const struct einet_dds_node *nodes = sight->nodes;
    const int32_t count = sight->count;
    fprintf(stdout, "{\"pool\":\"%s\",\"nodes\":[", pool);
    for (int32_t n = 0; n < count; n++) {
        const struct einet_dds_node *node = &nodes[n];
        fprintf(stdout,
                "%s{\"node\":\"%s\",\"rank\":%d,\"state\":\"%s\",\"load\":%.3f,\"incarnation_ns\":%" PRId64
                ",\"workload\":\"%s\",\"workload_hash\":\"%016" PRIx64 "\",\"tasks\":[",
                n > 0 ? "," : "", node->name, node->rank, state_name(node->state), node->load_permille / 1e3,
                node->incarnation, node->workload, node->workload_hash);
        for (int32_t t = 0; t < node->task_count; t++) {
            const struct einet_dds_node_task *task = &node->tasks[t];
            fprintf(stdout,
                    "%s{\"task\":\"%s\",\"priority\":%d,\"duty\":\"%s\",\"heard\":%s,\"load\":%.3f,\"strength\":%d"
                    ",\"answered\":%" PRId64 ",\"late\":%" PRId64 "}",
                    t > 0 ? "," : "", task->name, task->priority, duty_name(task->duty),
                    is_heard(nodes, count, task) ? "true" : "false", task->load_permille / 1e3, task->strength,
                    task->answered, task->late);
        }
        fputs("]}", stdout);
    }
    fputs("],\"egresses\":[", stdout);
    for (int32_t i = 0; i < sight->egress_count; i++) {
        const struct einet_dds_egress_seen *egress = &sight->egresses[i];
        fprintf(stdout, "%s{\"machine\":\"%s\",\"process\":%d,\"active\":%s}", i > 0 ? "," : "", egress->machine,
                egress->process, egress->is_active ? "true" : "false");
    }
    fputs("]}\n", stdout);
}

int einet_dds_top_command(int argc, char **argv)
{
    static struct sight sight;
    struct wishes wishes;
    struct einet_error err = {0};
    struct einet_dds_watch *watch = NULL;
    const int status = parse(&top_usage, argc, argv, &wishes);
    if (status >= 0) {
        return status;
    }
    const sigset_t ends = hold_signals();
    const int rc = einet_dds_watch_create(&wishes.side, &watch, &err);
    if (rc < 0) {
        return einet_dds_say(rc, &err);
    }
    look(watch, &sight);
    bool is_over = false;
    for (int i = 0; i < FINDS && !is_over && (sight.count == 0 || wishes.is_once);
         i++) { /* a few of them may come late */
        is_over = is_ended(&ends, FIND_NS);
        look(watch, &sight);
    }
    const bool is_found = sight.count > 0;
    if (!is_found) {
        fprintf(stderr, "einet-dds top: no node of pool %s in domain %d; einet-dds --pool %s FILE makes one\n",
                wishes.side.pool, wishes.side.domain, wishes.side.pool);
    }
    while (is_found && !is_over) {
        (wishes.is_json ? print_json : print_page)(wishes.side.pool, &sight);
        fflush(stdout);
        is_over = wishes.is_once || is_ended(&ends, wishes.interval_ns);
        look(watch, &sight);
    }
    einet_dds_watch_destroy(watch);
    return is_found ? 0 : 1;
}
