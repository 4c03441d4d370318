/* See fifo.h. */
#include "tests/rt/fifo.h"

#include "rt/thread.h"
#include "rt/topology.h"
#include "tests/harness/harness.h"

struct attempt {
    int priority;
    int rc;
    struct einet_error err;
};

static void try_fifo(void *arg)
{
    struct attempt *attempt = arg;
    attempt->rc = ei_thread_become_fifo(attempt->priority, &attempt->err);
}

void fifo_or_skip(int priority)
{
    struct attempt attempt = {.priority = priority, .rc = -1};
    struct ei_thread thread;
    const struct ei_thread_attr attr = {.name = "fifo?"};
    if (ei_thread_create(&thread, &attr, try_fifo, &attempt, &attempt.err) == 0) {
        ei_thread_join(&thread);
    }
    if (attempt.rc != 0) {
        ei_test_skip("%s", attempt.err.text);
    }
}

struct ei_cpuset first_allowed_cpu(void)
{
    struct ei_cpuset allowed = {{0}}, one = {{0}};
    EI_EQ(ei_topology_allowed(&allowed, NULL), 0);
    ei_cpuset_add(&one, ei_cpuset_next(&allowed, 0));
    return one;
}
