/* See exporter.h: what a build without libmicrohttpd has in its place. */
#include "metrics/exporter.h"

int ei_exporter_start(const struct ei_board *board, const char *address, const struct ei_cpuset *cpus, char *out_text,
                      struct ei_exporter **out_exporter, struct einet_error *err)
{
    (void)board;
    (void)cpus;
    (void)out_text;
    (void)out_exporter;
    return einet_error_set(err, EINET_E_BACKEND,
                           "this einet cannot serve metrics on %.60s: it was built without libmicrohttpd; install "
                           "libmicrohttpd-dev and build again, or leave out outputs.metrics",
                           address);
}

void ei_exporter_stop(struct ei_exporter *exporter)
{
    (void)exporter;
}
