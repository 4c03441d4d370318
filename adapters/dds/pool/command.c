/* einet-dds egress and einet-dds top. See docs/pool.md. */
#include "adapters/dds/command.h"

#include <einet/pool.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_NS INT64_C(200000000)
#define FIND_NS INT64_C(50000000)
#define FINDS 20 /* for as long nodes are waited for at first */
#define INTERVAL_NS INT64_C(1000000000)
#define INTERVAL_MIN_NS INT64_C(100000000)
#define NS_PER_S INT64_C(1000000000)

static const char egress_usage[] =
    "usage: einet-dds egress --pool NAME [--domain N] [--priority N]\n"
    "\n"
    "Write the answers of a pool (einet-dds --pool NAME FILE) to the topics of ROS 2, /einet/TASK/classification and\n"
    "/einet/TASK/status: those of the strongest node that lives, each stamp once and none behind a later one. Run one\n"
    "for each pool. SIGINT and SIGTERM end it.\n"
    "\n"
    "  --pool NAME    the pool\n"
    "  --domain N     as ROS_DOMAIN_ID, which is the default; 0..230\n"
    "  --priority N   of the threads that carry messages: 1..98 = SCHED_FIFO; 0, the default, = SCHED_OTHER\n"
    "  --help\n"
    "\n"
    "Exit status: 0 ok, 1 usage, 3 privileges, 5 fault.\n";

static const char top_usage[] =
    "usage: einet-dds top --pool NAME [--once] [--json] [--interval D] [--domain N]\n"
    "\n"
    "Show the nodes of a pool that live, the first in rank first, and what each does about its tasks.\n"
    "\n"
    "  --pool NAME    the pool\n"
    "  --once         show it once and end\n"
    "  --json         one JSON object per look, each in a line of its own\n"
    "  --interval D   between two looks, at least 100ms (default: 1s)\n"
    "  --domain N     as ROS_DOMAIN_ID, which is the default; 0..230\n"
    "  --help\n"
    "\n"
    "Exit status: 0 ok, 1 usage or no node was found, 5 fault.\n";

struct wishes {
    struct einet_dds_egress_options side;
    bool is_once, is_json;
    int64_t interval_ns;
};

/* Returns -1 to go on, or the exit status. */
static int parse(int argc, char **argv, bool is_top, struct wishes *wishes)
{
    static const struct option options[] = {
        {"pool", required_argument, NULL, 'P'},     {"domain", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},           {"priority", required_argument, NULL, 'p'},
        {"once", no_argument, NULL, 'o'},           {"json", no_argument, NULL, 'j'},
        {"interval", required_argument, NULL, 'i'}, {NULL, 0, NULL, 0},
    };
    const char *wrong = NULL;
    *wishes = (struct wishes){.interval_ns = INTERVAL_NS};
    wishes->side = (struct einet_dds_egress_options){
        .size_bytes = sizeof wishes->side, .domain = einet_dds_default_domain(), .config = getenv("CYCLONEDDS_URI")};
    for (int c = getopt_long(argc, argv, "h", options, NULL); c != -1 && wrong == NULL;
         c = getopt_long(argc, argv, "h", options, NULL)) {
        switch (c) {
        case 'P':
            wishes->side.pool = optarg;
            break;
        case 'd':
            wishes->side.domain = einet_dds_to_number(optarg, 230);
            break;
        case 'p':
            wishes->side.priority = einet_dds_to_number(optarg, 98);
            wrong = is_top ? "there is no --priority here" : NULL;
            break;
        case 'o':
            wishes->is_once = true;
            wrong = is_top ? NULL : "there is no --once here";
            break;
        case 'j':
            wishes->is_json = true;
            wrong = is_top ? NULL : "there is no --json here";
            break;
        case 'i':
            wishes->interval_ns = einet_dds_to_duration(optarg);
            wrong = !is_top                                 ? "there is no --interval here"
                    : wishes->interval_ns < INTERVAL_MIN_NS ? "give an interval of at least 100ms, with its unit"
                                                            : NULL;
            break;
        case 'h':
            fputs(is_top ? top_usage : egress_usage, stdout);
            return 0;
        default:
            return 1;
        }
    }
    wrong = wrong != NULL               ? wrong
            : optind != argc            ? "there is an argument too many"
            : wishes->side.pool == NULL ? "which pool? Give --pool NAME"
            : wishes->side.domain < 0   ? "give a domain of 0..230"
            : wishes->side.priority < 0 ? "give a priority of 0..98"
                                        : NULL;
    if (wrong != NULL) {
        fprintf(stderr, "%s: %s; %s --help\n", argv[0], wrong, argv[0]);
    }
    return wrong != NULL ? 1 : -1;
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

int einet_dds_egress_command(int argc, char **argv)
{
    struct wishes wishes;
    struct einet_error err = {0};
    struct einet_dds_egress *egress = NULL;
    int64_t told[EINET_POOL_TASKS_MAX] = {0};
    const int status = parse(argc, argv, false, &wishes);
    if (status >= 0) {
        return status;
    }
    const sigset_t ends = hold_signals();
    const int rc = einet_dds_egress_create(&wishes.side, &egress, &err);
    if (rc < 0) {
        return einet_dds_say(rc, &err);
    }
    fprintf(stdout, "running\n");
    fflush(stdout);
    while (!is_ended(&ends, LOOK_NS)) {
        tell_switches(egress, told);
    }
    print_egress(egress);
    einet_dds_egress_destroy(egress);
    return 0;
}

/* ---- top ---- */

static const char *duty_name(int32_t duty)
{
    static const char *const names[] = {"serving", "yielding", "resting", "trying"};
    return duty >= 0 && duty <= EINET_DUTY_TRYING ? names[duty] : "?";
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

static void print_page(const char *pool, const struct einet_dds_node *nodes, int32_t count)
{
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
    fputs(has_differing ? "the nodes run different workloads\n" : "", stdout);
}

static void print_json(const char *pool, const struct einet_dds_node *nodes, int32_t count)
{
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
    fputs("]}\n", stdout);
}

int einet_dds_top_command(int argc, char **argv)
{
    static struct einet_dds_node nodes[EINET_POOL_NODES_MAX];
    struct wishes wishes;
    struct einet_error err = {0};
    struct einet_dds_watch *watch = NULL;
    const int status = parse(argc, argv, true, &wishes);
    if (status >= 0) {
        return status;
    }
    const sigset_t ends = hold_signals();
    const int rc = einet_dds_watch_create(&wishes.side, &watch, &err);
    if (rc < 0) {
        return einet_dds_say(rc, &err);
    }
    int32_t count = einet_dds_watch_nodes(watch, nodes, EINET_POOL_NODES_MAX);
    bool is_over = false;
    for (int i = 0; i < FINDS && !is_over && (count == 0 || wishes.is_once); i++) { /* a few of them may come late */
        is_over = is_ended(&ends, FIND_NS);
        count = einet_dds_watch_nodes(watch, nodes, EINET_POOL_NODES_MAX);
    }
    const bool is_found = count > 0;
    if (!is_found) {
        fprintf(stderr, "einet-dds top: no node of pool %s in domain %d; einet-dds --pool %s FILE makes one\n",
                wishes.side.pool, wishes.side.domain, wishes.side.pool);
    }
    while (is_found && !is_over) {
        (wishes.is_json ? print_json : print_page)(wishes.side.pool, nodes, count);
        fflush(stdout);
        is_over = wishes.is_once || is_ended(&ends, wishes.interval_ns);
        count = einet_dds_watch_nodes(watch, nodes, EINET_POOL_NODES_MAX);
    }
    einet_dds_watch_destroy(watch);
    return is_found ? 0 : 1;
}
