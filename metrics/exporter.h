/* The HTTP server of a run: GET /metrics (metrics/prometheus.h) and GET /healthz, on an address of this machine alone.
 *
 * One thread under SCHED_OTHER on the CPUs that it is given reads the board as any outsider would, so nothing that a
 * client does reaches further than this thread. Requests, connections and their memory and time are limited.
 * Built on libmicrohttpd; a build without it refuses to start one and says so.
 */
#ifndef METRICS_EXPORTER_H
#define METRICS_EXPORTER_H

#include "metrics/board.h"
#include "rt/cpuset.h"

#include <einet/error.h>

#define EI_EXPORTER_CONNECTIONS_MAX 16
#define EI_EXPORTER_CONNECTION_BYTES ((size_t)16 * 1024) /* of a request's head; a larger one is refused with 431 */
#define EI_EXPORTER_IDLE_S 5                             /* a silent connection is closed */

struct ei_exporter;

/* Serve board (borrowed until stop) at ADDRESS:PORT (rt/loopback.h); out_text (EI_BOARD_ADDRESS_MAX bytes) receives the
 * address in use. Returns 0; -EINVAL; the -errno of listening, such as -EADDRINUSE; EINET_E_BACKEND: built without
 * libmicrohttpd; -ENOMEM. Thread: any that is not real-time. */
int ei_exporter_start(const struct ei_board *board, const char *address, const struct ei_cpuset *cpus, char *out_text,
                      struct ei_exporter **out_exporter, struct einet_error *err);

/* Close it. Accepts NULL. Thread: as start. */
void ei_exporter_stop(struct ei_exporter *exporter);

#endif
