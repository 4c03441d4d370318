/* The options that services share, and what they are without them. See service.h. */
#include "command/service.h"

#include "rt/clock.h"
#include "rt/loopback.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_LIMIT_NS (10 * EI_NS_PER_S)

static int take_socket(void *request, const char *value, struct einet_error *err)
{
    (void)err;
    ((struct einet_service_wishes *)request)->socket.path = strcmp(value, "none") == 0 ? NULL : value;
    return 0;
}

static int take_socket_mode(void *request, const char *value, struct einet_error *err)
{
    char *end = NULL;
    (void)err;
    const unsigned long mode = strtoul(value, &end, 8);
    if (value[0] < '0' || value[0] > '7' || *end != '\0' || mode > 0777) {
        return -EINVAL;
    }
    ((struct einet_service_wishes *)request)->socket.mode = (mode_t)mode;
    return 0;
}

static int take_socket_group(void *request, const char *value, struct einet_error *err)
{
    struct einet_service_wishes *wishes = request;
    const struct group *group = getgrnam(value);
    if (group == NULL) {
        return einet_error_set(err, EINET_E_USAGE, "there is no group %s", value);
    }
    wishes->socket.has_group = true;
    wishes->socket.group = group->gr_gid;
    return 0;
}

static int take_metrics(void *request, const char *value, struct einet_error *err)
{
    struct einet_service_wishes *wishes = request;
    wishes->options.metrics = strcmp(value, "none") == 0 ? NULL : value;
    return wishes->options.metrics != NULL ? ei_loopback_check(value, err) : 0;
}

#define FIELD(field) EINET_FIELD(struct einet_service_wishes, field)

const struct einet_option einet_service_rows[EINET_SERVICE_ROWS] = {
    {.name = "socket",
     .argument = "PATH",
     .take = take_socket,
     .help = "where einet ctl reaches it (default: control in $RUNTIME_DIRECTORY, which systemd sets; without that "
             "none); none = no socket"},
    {.name = "socket-mode",
     .argument = "MODE",
     .take = take_socket_mode,
     .expected = "octal permissions, such as 660",
     .help = "permissions of the socket, octal (default: 600, with --socket-group 660)"},
    {.name = "socket-group",
     .argument = "GROUP",
     .take = take_socket_group,
     .help = "group of the socket, whose members may use it besides root and the user of the service"},
    {.name = "drain-limit",
     .argument = "D",
     FIELD(drain_limit_ns),
     .help = "how long draining may take before the rest is stopped, with a unit (default: 10s)"},
    {.name = "out",
     .argument = "DIR",
     FIELD(options.out_dir),
     .help = "write the files of einet run into this folder; they grow as long as the service runs"},
    {.name = "metrics",
     .argument = "ADDR",
     .take = take_metrics,
     .help = "serve live figures at this address and port of this machine (default: outputs.metrics of the file); "
             "none = not"},
};

void einet_service_wish(struct einet_service_wishes *wishes)
{
    const char *folder = getenv("RUNTIME_DIRECTORY");
    *wishes = (struct einet_service_wishes){
        .options = {.size_bytes = sizeof wishes->options, .duration_ns = EINET_UNTIL_STOPPED, .metrics = ""},
        .drain_limit_ns = DRAIN_LIMIT_NS,
    };
    if (folder != NULL && folder[0] == '/' && strchr(folder, ':') == NULL && strlen(folder) < 200) {
        snprintf(wishes->default_path, sizeof wishes->default_path, "%s/control", folder);
        wishes->socket.path = wishes->default_path;
    }
}
