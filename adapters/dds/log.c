/* What CycloneDDS has to say. A message whose bytes are none of its type never reaches a reader: the receiving thread
 * throws it away and writes a line about it, and that line is all there is to count. It is not passed on, or whoever
 * sends nonsense would have a real-time thread write it to the terminal. See bridge.h. */
#include "adapters/dds/bridge.h"

#include <dds/ddsrt/log.h>
#include <stdio.h>
#include <string.h>

static void take_line(void *arg, const dds_log_data_t *line)
{
    struct einet_dds *dds = arg;
    if (strstr(line->message, "deserialization") != NULL) {
        atomic_fetch_add(&dds->undecodable, 1);
    } else {
        (void)fwrite(line->message - line->hdrsize, 1, line->hdrsize + line->size + 1, stderr); /* with the newline */
    }
}

static _Atomic(struct einet_dds *) owner; /* the log is one for the whole process */

void ei_dds_watch_log(struct einet_dds *dds)
{
    struct einet_dds *nobody = NULL;
    if (atomic_compare_exchange_strong(&owner, &nobody, dds)) {
        dds_set_log_sink(take_line, dds);
    }
}

void ei_dds_leave_log(struct einet_dds *dds)
{
    if (atomic_load(&owner) == dds) {
        dds_set_log_sink(NULL, NULL); /* returns when nobody is in take_line any longer */
        atomic_store(&owner, NULL);
    }
}
