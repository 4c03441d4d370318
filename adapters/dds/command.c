/* einet-dds: a workload whose pictures come from topics as a service (command/service.h), alone or as a node of a pool.
 * See docs/dds.md and docs/pool.md. */
#include "adapters/dds/command.h"
#include "command/exit_status.h"
#include "command/service.h"

#include <einet/dds.h>
#include <einet/einet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct wishes {
    struct einet_service_wishes service;
    int32_t domain, priority;
    struct einet_dds_pool pool; /* name NULL = alone */
    char machine[EINET_POOL_NAME_MAX];
};

#define FIELD(field) EINET_FIELD(struct wishes, field)

static const struct einet_option topic_rows[] = {
    {.name = "config", .argument = "FILE", FIELD(service.file), .help = "the same as FILE"},
    {.name = "domain",
     .argument = "N",
     FIELD(domain),
     .high = EINET_DDS_DOMAIN_MAX,
     .help = "as ROS_DOMAIN_ID, which is the default; 0..230"},
    {.name = "priority",
     .argument = "N",
     FIELD(priority),
     .high = 98,
     .help = "of the threads that carry messages: 1..98 = SCHED_FIFO; 0, the default, = SCHED_OTHER"},
};

static const struct einet_option pool_rows[] = {
    {.help = "\nWith --pool several machines run the same tasks and one answers for each: the strongest that lives. "
             "einet-dds egress writes their answers to the topics above, einet-dds top shows them.\n"},
    {.name = "pool", .argument = "NAME", FIELD(pool.name), .help = "be a node of this pool"},
    {.name = "node",
     .argument = "NAME",
     FIELD(pool.node),
     .help = "what this node is called (default: the name of the machine)"},
    {.name = "rank",
     .argument = "N",
     FIELD(pool.rank),
     .high = EINET_POOL_RANK_MAX,
     .help = "0..100 (default: 50): the highest is heard; of equal ones the first by name"},
    {.name = "lease",
     .argument = "D",
     FIELD(pool.lease_ns),
     .low = 1,
     .expected = "a time with a unit, such as 100ms",
     .help = "silence after which another node takes over, 20ms..10s (default: 100ms)"},
};

static const struct einet_usage usage = {
    .program = "einet-dds",
    .head =
        "usage: einet-dds [OPTIONS] FILE\n"
        "       einet-dds egress --pool NAME [OPTIONS]\n"
        "       einet-dds top --pool NAME [OPTIONS]\n"
        "       einet-dds --help | --version\n"
        "\n"
        "Run the tasks of a workload file (einet-workload(5)). Tasks with input: { kind: topic, topic: NAME } get the "
        "images\n"
        "of that topic of ROS 2, or with message: status the results of another machine, with whose chains they go on. "
        "They\n"
        "answer on /einet/TASK/classification and /einet/TASK/status, or as their outputs: say; /diagnostics says each "
        "second\n"
        "how they do. CYCLONEDDS_URI adds settings of CycloneDDS.\n"
        "\n"
        "It is a service as einet serve is: SIGINT and SIGTERM drain and end it, SIGHUP reads the file again, einet "
        "ctl "
        "talks\n"
        "to it over its socket, and under systemd it says when it is ready and feeds the watchdog.\n",
    .tables = {EINET_OPTION_TABLE(topic_rows, 0),
               EINET_OPTION_TABLE(einet_service_rows, offsetof(struct wishes, service)),
               EINET_OPTION_TABLE(pool_rows, 0)},
    .foot = "exit status: 0 ok, 1 usage, 2 bad file, 3 privileges, 4 an SLO failed, 5 runtime fault\n\n"
            "example: einet-dds --domain 7 --priority 60 examples/ros2/robot.yaml\n",
    .operands_max = 1,
    .too_many = "one workload file, so not ",
};

int32_t einet_dds_default_domain(void)
{
    const char *text = getenv("ROS_DOMAIN_ID");
    char *end = NULL;
    if (text == NULL || text[0] == '\0') {
        return 0;
    }
    errno = 0;
    const long domain = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && domain >= 0 && domain <= EINET_DDS_DOMAIN_MAX ? (int32_t)domain
                                                                                                      : -1;
}

int einet_dds_refuse_domain(const struct einet_usage *of)
{
    return einet_options_refuse(of, "ROS_DOMAIN_ID wants a number from 0 to %d, not '%s'", EINET_DDS_DOMAIN_MAX,
                                getenv("ROS_DOMAIN_ID"));
}

/* Returns -1 to go on, or the exit status. */
static int parse(int argc, char **argv, struct wishes *wishes)
{
    struct einet_arguments given;
    einet_service_wish(&wishes->service);
    wishes->domain = einet_dds_default_domain();
    wishes->pool = (struct einet_dds_pool){.size_bytes = sizeof wishes->pool, .node = wishes->machine, .rank = 50};
    (void)gethostname(wishes->machine, sizeof wishes->machine - 1);
    const int status = einet_options_read(&usage, argc, argv, wishes, &given);
    if (status >= 0) {
        return status;
    }
    if (given.operand_count + (wishes->service.file != NULL) != 1) {
        return einet_options_refuse(&usage, "give one workload file");
    }
    if (wishes->domain < 0) {
        return einet_dds_refuse_domain(&usage);
    }
    if (wishes->pool.name == NULL && (einet_options_has(&given, "node") || einet_options_has(&given, "rank") ||
                                      einet_options_has(&given, "lease"))) {
        return einet_options_refuse(&usage, "--node, --rank and --lease want --pool NAME");
    }
    wishes->service.file = wishes->service.file != NULL ? wishes->service.file : given.operands[0];
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
    struct einet_error coded = *err;
    coded.code = rc;
    return einet_exit_of(&coded);
}

static void print_figures(const struct einet_workload *workload, const struct einet_dds *dds)
{
    long long undecodable = 0; /* the same for each task */
    for (int32_t i = 0; i < einet_workload_task_count(workload); i++) {
        struct einet_task_info info = {.size_bytes = sizeof info};
        struct einet_dds_figures f = {.size_bytes = sizeof f};
        if (einet_workload_task_info(workload, i, &info) == 0 && einet_dds_figures(dds, i, &f) == 0) {
            const bool is_follower =
                info.message == EINET_MESSAGE_STATUS || info.message == EINET_MESSAGE_CLASSIFICATION;
            undecodable = f.undecodable;
            fprintf(stdout, "%s: %lld %s, %lld refused, %lld turned away, %lld left to others, ", info.name,
                    (long long)f.received, is_follower ? "results" : "images", (long long)f.refused,
                    (long long)f.turned_away, (long long)f.left);
            if (is_follower) {
                fprintf(stdout, "%lld skipped, ", (long long)f.skipped);
            }
            fprintf(stdout, "%lld released; %lld classifications, %lld statuses%s%s\n", (long long)f.released,
                    (long long)f.classifications, (long long)f.statuses, f.refused > 0 ? "; last refusal: " : "",
                    f.refused > 0 ? einet_dds_refusal(dds, i) : "");
        }
    }
    if (undecodable > 0) {
        fprintf(stdout, "%lld messages that could not be decoded\n", undecodable);
    }
}

/* ---- its parts of the service ---- */

struct node {
    struct wishes wishes;
    struct einet_dds *dds;
};

static int prepare(void *owner, struct einet_workload *workload, struct einet_run_options *options,
                   struct einet_error *err)
{
    struct node *node = owner;
    const struct wishes *wishes = &node->wishes;
    const struct einet_dds_options bridge = {.size_bytes = sizeof bridge,
                                             .domain = wishes->domain,
                                             .priority = wishes->priority,
                                             .config = getenv("CYCLONEDDS_URI"),
                                             .pool = wishes->pool.name != NULL ? &wishes->pool : NULL};
    options->callback_priority = wishes->priority; /* results pass the callback thread on their way out */
    if (node->dds != NULL) {
        return einet_dds_prepare(node->dds, workload, &options->callbacks, err);
    }
    const int rc = einet_dds_create(workload, &bridge, &node->dds, err);
    if (rc == 0) {
        options->callbacks = einet_dds_callbacks(node->dds);
    }
    return rc;
}

static int started(void *owner, struct einet_run *run, struct einet_error *err)
{
    const struct node *node = owner;
    const int rc = einet_dds_start(node->dds, run, err);
    if (rc == 0) {
        fprintf(stdout, "running\n");
        fflush(stdout);
    }
    return rc;
}

static void expect(void *owner, struct einet_run *run)
{
    einet_dds_expect(((struct node *)owner)->dds, run);
}

static void taken_over(void *owner)
{
    einet_dds_taken_over(((struct node *)owner)->dds);
}

static void ending(void *owner)
{
    einet_dds_stop(((struct node *)owner)->dds);
}

static int report(void *owner, struct einet_workload *workload, const struct einet_end *end, const char *ended_by,
                  int status)
{
    (void)end;
    (void)ended_by;
    print_figures(workload, ((struct node *)owner)->dds);
    return status;
}

static void close_bridge(void *owner)
{
    einet_dds_destroy(((struct node *)owner)->dds);
}

int main(int argc, char **argv)
{
    static struct node node;
    if (argc > 1 && strcmp(argv[1], "egress") == 0) {
        return einet_dds_egress_command(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "top") == 0) {
        return einet_dds_top_command(argc - 1, argv + 1);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        fprintf(stdout, "einet-dds %s\n", einet_version());
        return EINET_EXIT_OK;
    }
    const int status = parse(argc, argv, &node.wishes);
    if (status >= 0) {
        return status;
    }
    const struct einet_service_hooks hooks = {
        .name = "einet-dds",
        .has_levels = getenv("JOURNAL_STREAM") != NULL,
        .owner = &node,
        .prepare = prepare,
        .started = started,
        .expect = expect,
        .taken_over = taken_over,
        .ending = ending,
        .report = report,
        .close = close_bridge,
    };
    return einet_service_run(&node.wishes.service, &hooks);
}
