/* What a service answers to the requests of einet ctl (docs/serve.md). Thread: main. */
#ifndef COMMAND_SERVICE_REQUESTS_H
#define COMMAND_SERVICE_REQUESTS_H

#include "command/control_socket.h"

#include <einet/einet.h>
#include <stdbool.h>

struct einet_service {
    struct einet_workload *workload;
    struct einet_run *run;
    struct einet_control *control; /* NULL = none */
    int64_t started_ns;
    /* Read the file again; the number of tasks that it changed, with what admission said of it in err, or a negative
     * code with err. With is_taking_over
     * nothing was changed: another run is being prepared. */
    int (*reload)(void *owner, struct einet_error *err);
    bool is_taking_over;
    void *owner;
    bool is_drain_asked, is_stop_asked; /* by a request; the main loop acts on it */
};

/* The reply to a request; context is the service. A new reference, NULL = no memory. */
json_t *einet_service_reply(void *context, const json_t *request);

/* What admission said of a start or a change that was made, a warning of the log for each line of the text; and as
 * `warnings` of a reply, unless that is NULL. */
void einet_service_warn(const struct einet_error *said, json_t *reply);

/* Figures of all tasks together. */
struct einet_figures einet_service_total(const struct einet_service *service);

#endif
