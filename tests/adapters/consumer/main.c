/* A program that was written for the installed library: a run with a bridge to topics, for a moment, in the domain that
 * it is given. Prints what came of it.
 */
#include <einet/dds.h>
#include <einet/einet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] =
    "version: 1\nname: consumer\ntasks:\n"
    "  - { name: eye, arrival: { model: external, min_interarrival: 10ms }, class: other,\n"
    "      input: { kind: topic, topic: /camera/image_raw, width: 8, height: 8 },\n"
    "      stages: [ { name: p, kind: cpu, op: normalize } ] }\n";

int main(int argc, char **argv)
{
    struct einet_error err = {0};
    struct einet_dds_options bridge = {0};
    struct einet_run_options options = {0};
    struct einet_dds_figures figures = {0};
    struct einet_workload *workload = NULL;
    struct einet_dds *dds = NULL;
    struct einet_run *run = NULL;
    bridge.size_bytes = sizeof bridge;
    bridge.domain = argc > 1 ? atoi(argv[1]) : 0;
    options.size_bytes = sizeof options;
    options.duration_ns = 100000000;
    figures.size_bytes = sizeof figures;
    int rc = einet_workload_parse(text, strlen(text), NULL, &workload, &err);
    rc = rc == 0 ? einet_dds_create(workload, &bridge, &dds, &err) : rc;
    if (rc == 0) {
        options.callbacks = einet_dds_callbacks(dds);
        rc = einet_run_create(workload, &options, &run, &err);
    }
    rc = rc == 0 ? einet_run_start(run, &err) : rc;
    rc = rc == 0 ? einet_dds_start(dds, run, &err) : rc;
    rc = rc == 0 ? einet_run_wait(run, -1, &err) : rc;
    if (rc == 0) {
        einet_dds_stop(dds);
        rc = einet_dds_figures(dds, 0, &figures);
    }
    if (rc == 0) {
        printf("einet %s: with topics, %lld images\n", einet_version(), (long long)figures.received);
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    einet_run_destroy(run);
    einet_dds_destroy(dds);
    einet_workload_destroy(workload);
    return rc == 0 ? 0 : 1;
}
