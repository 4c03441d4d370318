/* A program that was written for the installed library: C. Prints what it finds in a workload. */
#include <einet/einet.h>

#include <stdio.h>
#include <string.h>

static const char text[] = "version: 1\nname: consumer\ntasks:\n"
                           "  - { name: control, arrival: { model: periodic, period: 10ms }, deadline: 5ms,\n"
                           "      stages: [ { name: w, kind: cpu, work: { spin: 100us } } ] }\n";

int main(void)
{
    struct einet_error err;
    struct einet_workload *workload;
    struct einet_task_info info;
    memset(&err, 0, sizeof err);
    memset(&info, 0, sizeof info);
    info.size_bytes = sizeof info;
    if (einet_workload_parse(text, strlen(text), NULL, &workload, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const int32_t task = einet_workload_find_task(workload, "control");
    if (task < 0 || einet_workload_task_info(workload, task, &info) < 0) {
        return 1;
    }
    printf("einet %s: %s: %s has %lld ns\n", einet_version(), einet_workload_name(workload), info.name,
           (long long)info.deadline_ns);
    einet_workload_destroy(workload);
    return 0;
}
