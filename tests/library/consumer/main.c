/* A program that was written for the installed library: C. Runs the workload file that it is given, or one of its own,
 * for a moment, and prints what came of it.
 */
#include <einet/einet.h>

#include <stdio.h>
#include <string.h>

static const char text[] = "version: 1\nname: consumer\ntasks:\n"
                           "  - { name: control, arrival: { model: periodic, period: 10ms }, deadline: 5ms,\n"
                           "      stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n";

static void count(void *context, const struct einet_result *result)
{
    int *results = context;
    (void)result;
    (*results)++;
}

/* The run from its start to its end; negative = it failed, with err. */
static int play(struct einet_run *run, struct einet_end *end, struct einet_error *err)
{
    int rc = einet_run_start(run, err);
    if (rc == 0) {
        rc = einet_run_wait(run, -1, err);
    }
    return rc == 0 ? einet_run_end(run, end) : rc;
}

int main(int argc, char **argv)
{
    int results = 0;
    struct einet_error err = {0};
    struct einet_end end = {0};
    struct einet_callbacks callbacks = {0};
    struct einet_run_options options = {0};
    struct einet_workload *workload = NULL;
    struct einet_run *run = NULL;
    end.size_bytes = sizeof end;
    callbacks.size_bytes = sizeof callbacks;
    callbacks.context = &results;
    callbacks.on_result = count;
    options.size_bytes = sizeof options;
    options.duration_ns = 200000000;
    options.callbacks = &callbacks;
    int rc = argc > 1 ? einet_workload_load(argv[1], &workload, &err)
                      : einet_workload_parse(text, strlen(text), NULL, &workload, &err);
    if (rc == 0) {
        rc = einet_run_create(workload, &options, &run, &err);
    }
    if (rc == 0) {
        rc = play(run, &end, &err);
    }
    if (rc == 0) {
        printf("einet %s: %s: %s, %s\n", einet_version(), einet_workload_name(workload),
               results > 0 && end.is_accounted ? "runs" : "does nothing",
               strstr(end.summary, "dnnl") != NULL ? "with oneDNN" : "without oneDNN");
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    einet_run_destroy(run);
    einet_workload_destroy(workload);
    return rc == 0 ? 0 : 1;
}
