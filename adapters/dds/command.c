/* einet-dds: run a workload whose pictures come from topics, alone or as a node of a pool, until it is stopped. See
 * docs/dds.md and docs/pool.md. */
#include "adapters/dds/command.h"

#include <einet/dds.h>
#include <einet/einet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: einet-dds [OPTIONS] FILE\n"
    "       einet-dds egress --pool NAME [OPTIONS]\n"
    "       einet-dds top --pool NAME [OPTIONS]\n"
    "\n"
    "Run the tasks of a workload file. Tasks with input: { kind: topic, topic: NAME } get the images of that topic of\n"
    "ROS 2 and answer on /einet/TASK/classification and /einet/TASK/status, or as their outputs: say; /diagnostics "
    "says each\n"
    "second how they do. SIGINT and SIGTERM drain and end it.\n"
    "\n"
    "  --domain N     as ROS_DOMAIN_ID, which is the default; 0..230\n"
    "  --priority N   of the threads that carry messages: 1..98 = SCHED_FIFO; 0, the default, = SCHED_OTHER\n"
    "  --out DIR      write the files of the run there\n"
    "  --config FILE  the same as FILE\n"
    "\n"
    "With --pool several machines run the same tasks and one answers for each: the strongest that lives. einet-dds\n"
    "egress writes their answers to the topics above, einet-dds top shows them; each explains itself with --help.\n"
    "\n"
    "  --pool NAME    be a node of this pool\n"
    "  --node NAME    what this node is called (default: the name of the machine)\n"
    "  --rank N       0..100 (default: 50): the highest is heard; of equal ones the first by name\n"
    "  --lease D      silence after which another node takes over, 20ms..10s (default: 100ms)\n"
    "\n"
    "  --help, --version\n"
    "\n"
    "CYCLONEDDS_URI adds settings of CycloneDDS. Exit status: 0 ok, 1 usage, 2 bad file, 3 privileges, 4 an objective\n"
    "was not met, 5 fault.\n";

struct wishes {
    const char *file, *out_dir;
    int32_t domain, priority;
    struct einet_dds_pool pool; /* name NULL = alone */
    char machine[EINET_POOL_NAME_MAX];
    bool is_of_pool; /* an option was given that only a node of a pool has */
};

int32_t einet_dds_to_number(const char *text, long most)
{
    char *end = NULL;
    errno = 0;
    const long value = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && value >= 0 && value <= most ? (int32_t)value : -1;
}

int64_t einet_dds_to_duration(const char *text)
{
    char *end = NULL;
    const double value = strtod(text, &end);
    const double unit_ns = strcmp(end, "ms") == 0 ? 1e6 : strcmp(end, "s") == 0 ? 1e9 : -1;
    return end != text && value >= 0 && value <= 1e6 && unit_ns > 0 ? (int64_t)(value * unit_ns) : -1;
}

int32_t einet_dds_default_domain(void)
{
    const char *domain = getenv("ROS_DOMAIN_ID");
    return einet_dds_to_number(domain != NULL && domain[0] != '\0' ? domain : "0", 230);
}

/* What is wrong, or NULL. */
static const char *take_pool_option(struct wishes *wishes, int option, const char *value)
{
    wishes->is_of_pool |= option != 'P';
    switch (option) {
    case 'P':
        wishes->pool.name = value;
        return NULL;
    case 'n':
        wishes->pool.node = value;
        return NULL;
    case 'r':
        wishes->pool.rank = einet_dds_to_number(value, EINET_POOL_RANK_MAX);
        return wishes->pool.rank < 0 ? "give a rank of 0..100" : NULL;
    default:
        wishes->pool.lease_ns = einet_dds_to_duration(value);
        return wishes->pool.lease_ns <= 0 ? "give a lease with its unit, such as 100ms" : NULL;
    }
}

/* What is wrong, or NULL. */
static const char *judge(const struct wishes *wishes, int arguments)
{
    return arguments != 1                                    ? "give one workload file"
           : wishes->domain < 0                              ? "give a domain of 0..230"
           : wishes->priority < 0                            ? "give a priority of 0..98"
           : wishes->is_of_pool && wishes->pool.name == NULL ? "--node, --rank and --lease want --pool NAME"
                                                             : NULL;
}

static int usage_error(const char *what)
{
    fprintf(stderr, "einet-dds: %s; einet-dds --help\n", what);
    return 1;
}

/* Returns -1 to go on, or the exit status. */
static int parse(int argc, char **argv, struct wishes *wishes)
{
    static const struct option options[] = {
        {"domain", required_argument, NULL, 'd'},
        {"priority", required_argument, NULL, 'p'},
        {"out", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {"config", required_argument, NULL, 'c'},
        {"pool", required_argument, NULL, 'P'},
        {"node", required_argument, NULL, 'n'},
        {"rank", required_argument, NULL, 'r'},
        {"lease", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    const char *wrong = NULL;
    wishes->domain = einet_dds_default_domain();
    wishes->pool = (struct einet_dds_pool){.size_bytes = sizeof wishes->pool, .node = wishes->machine, .rank = 50};
    (void)gethostname(wishes->machine, sizeof wishes->machine - 1);
    for (int c = getopt_long(argc, argv, "h", options, NULL); c != -1;
         c = getopt_long(argc, argv, "h", options, NULL)) {
        switch (c) {
        case 'd':
            wishes->domain = einet_dds_to_number(optarg, 230);
            break;
        case 'p':
            wishes->priority = einet_dds_to_number(optarg, 98);
            break;
        case 'o':
            wishes->out_dir = optarg;
            break;
        case 'c':
            wishes->file = optarg;
            break;
        case 'P':
        case 'n':
        case 'r':
        case 'l':
            wrong = take_pool_option(wishes, c, optarg);
            if (wrong != NULL) {
                return usage_error(wrong);
            }
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'V':
            fprintf(stdout, "einet-dds %s\n", einet_version());
            return 0;
        default:
            return 1;
        }
    }
    wrong = judge(wishes, argc - optind + (wishes->file != NULL));
    if (wrong != NULL) {
        return usage_error(wrong);
    }
    wishes->file = wishes->file != NULL ? wishes->file : argv[optind];
    return -1;
}

int einet_dds_say(int rc, const struct einet_error *err)
{
    if (err->file[0] != '\0' && err->line > 0) {
        fprintf(stderr, "%s:%d:%d: ", err->file, err->line, err->column);
    } else if (err->file[0] != '\0') {
        fprintf(stderr, "%s: ", err->file);
    }
    fprintf(stderr, "einet-dds: %s\n", err->text[0] != '\0' ? err->text : einet_error_text(rc));
    switch (rc) {
    case EINET_E_USAGE:
        return 1;
    case EINET_E_FILE:
    case EINET_E_MISMATCH:
    case EINET_E_LIMIT:
        return 2;
    case EINET_E_PRIVILEGE:
        return 3;
    default:
        return 5;
    }
}

static void print_figures(const struct einet_workload *workload, const struct einet_dds *dds)
{
    long long undecodable = 0; /* the same for each task */
    for (int32_t i = 0; i < einet_workload_task_count(workload); i++) {
        struct einet_task_info info = {.size_bytes = sizeof info};
        struct einet_dds_figures f = {.size_bytes = sizeof f};
        if (einet_workload_task_info(workload, i, &info) == 0 && einet_dds_figures(dds, i, &f) == 0) {
            undecodable = f.undecodable;
            fprintf(stdout,
                    "%s: %lld images, %lld refused, %lld turned away, %lld left to others, %lld released; %lld "
                    "classifications, %lld statuses%s%s\n",
                    info.name, (long long)f.received, (long long)f.refused, (long long)f.turned_away, (long long)f.left,
                    (long long)f.released, (long long)f.classifications, (long long)f.statuses,
                    f.refused > 0 ? "; last refusal: " : "", f.refused > 0 ? einet_dds_refusal(dds, i) : "");
        }
    }
    if (undecodable > 0) {
        fprintf(stdout, "%lld messages that could not be decoded\n", undecodable);
    }
}

/* From the first image to the signal. */
static int go(struct einet_run *run, struct einet_dds *dds, const struct einet_workload *workload, const sigset_t *ends)
{
    struct einet_error err = {0};
    struct einet_end end = {.size_bytes = sizeof end};
    int signal = 0;
    int rc = einet_run_start(run, &err);
    rc = rc < 0 ? rc : einet_dds_start(dds, run, &err);
    if (rc < 0) {
        return einet_dds_say(rc, &err);
    }
    fprintf(stdout, "running\n");
    fflush(stdout);
    (void)sigwait(ends, &signal);
    einet_dds_stop(dds);
    (void)einet_run_drain(run);
    rc = einet_run_wait(run, -1, &err);
    if (rc < 0) {
        return einet_dds_say(rc, &err);
    }
    print_figures(workload, dds);
    (void)einet_run_end(run, &end);
    return end.faulty_jobs > 0 ? 5 : end.slo_failures > 0 ? 4 : 0;
}

int main(int argc, char **argv)
{
    static char egress[] = "einet-dds egress", top[] = "einet-dds top"; /* getopt_long begins its errors with them */
    struct wishes wishes = {0};
    struct einet_error err = {0};
    struct einet_workload *workload = NULL;
    struct einet_dds *dds = NULL;
    struct einet_run *run = NULL;
    sigset_t ends;
    if (argc > 1 && strcmp(argv[1], "egress") == 0) {
        argv[1] = egress;
        return einet_dds_egress_command(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "top") == 0) {
        argv[1] = top;
        return einet_dds_top_command(argc - 1, argv + 1);
    }
    int status = parse(argc, argv, &wishes);
    if (status >= 0) {
        return status;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before any thread: they are this one's */
    const struct einet_dds_options bridge = {.size_bytes = sizeof bridge,
                                             .domain = wishes.domain,
                                             .priority = wishes.priority,
                                             .config = getenv("CYCLONEDDS_URI"),
                                             .pool = wishes.pool.name != NULL ? &wishes.pool : NULL};
    struct einet_run_options options = {
        .size_bytes = sizeof options, .duration_ns = EINET_UNTIL_STOPPED, .out_dir = wishes.out_dir};
    int rc = einet_workload_load(wishes.file, &workload, &err);
    rc = rc < 0 ? rc : einet_dds_create(workload, &bridge, &dds, &err);
    if (rc == 0) {
        options.callbacks = einet_dds_callbacks(dds);
        options.callback_priority = wishes.priority; /* results pass the callback thread on their way out */
        rc = einet_run_create(workload, &options, &run, &err);
    }
    status = rc < 0 ? einet_dds_say(rc, &err) : go(run, dds, workload, &ends);
    einet_run_destroy(run);
    einet_dds_destroy(dds);
    einet_workload_destroy(workload);
    return status;
}
