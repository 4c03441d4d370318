/* See exporter.h. libmicrohttpd makes its own thread, which inherits policy and CPUs from whoever starts it: a helper
 * thread that has those that are wanted. */
#include "metrics/exporter.h"

#include "metrics/prometheus.h"
#include "rt/loopback.h"
#include "rt/thread.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)256 * 1024)

_Static_assert(EI_BOARD_ADDRESS_MAX >= EI_LOOPBACK_TEXT_MAX, "an address fits");

struct ei_exporter {
    const struct ei_board *board;
    int fd;                    /* that it listens on; the daemon's once there is one */
    struct MHD_Daemon *daemon; /* NULL = it could not be started */
    struct ei_board_view view; /* the daemon's thread's */
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type, char *text,
                              size_t bytes, enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes, text, mode);
    if (response == NULL) {
        if (mode == MHD_RESPMEM_MUST_FREE) {
            free(text);
        }
        return MHD_NO;
    }
    enum MHD_Result rc = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (rc == MHD_YES && status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        rc = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    if (rc == MHD_YES) {
        rc = MHD_queue_response(connection, status, response);
    }
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    return answer(connection, status, "text/plain; charset=utf-8", (char *)text, strlen(text), MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result answer_metrics(struct ei_exporter *exporter, struct MHD_Connection *connection)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    const int rc = out != NULL ? ei_prometheus_print(&exporter->view, out) : -ENOMEM;
    if (out == NULL || fclose(out) != 0 || rc < 0) {
        free(text);
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    }
    return answer(connection, MHD_HTTP_OK, EI_PROMETHEUS_CONTENT_TYPE, text, bytes, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result answer_health(const struct ei_exporter *exporter, struct MHD_Connection *connection)
{
    const struct ei_board_run *run = &exporter->view.run;
    char text[2 * EI_BOARD_TEXT_MAX + 64];
    if (run->phase == EI_BOARD_ENDED || run->phase == EI_BOARD_FAILED) {
        return answer_text(connection, MHD_HTTP_GONE, "ended\n");
    }
    if (run->phase == EI_BOARD_STARTING) {
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "starting\n");
    }
    if (run->degraded_count > 0) {
        snprintf(text, sizeof text, "degraded\n%s%s%s%s\n", run->degraded_reason,
                 run->degraded_fix[0] != '\0' ? " (fix: " : "", run->degraded_fix,
                 run->degraded_fix[0] != '\0' ? ")" : "");
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text);
    }
    return answer_text(connection, MHD_HTTP_OK, "ok\n");
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_bytes, void **state)
{
    struct ei_exporter *exporter = context;
    static int seen; /* only its address counts */
    (void)version;
    (void)upload;
    /* The first call comes with the head alone; an answer given now would cut a client that still sends a body. */
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_bytes != 0) {
        *upload_bytes = 0; /* nobody's body interests us */
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    const bool is_metrics = strcmp(url, "/metrics") == 0, is_health = strcmp(url, "/healthz") == 0;
    if (!is_metrics && !is_health) {
        return answer_text(connection, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
    }
    if (ei_board_read(exporter->board, &exporter->view, NULL) < 0) {
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "starting\n");
    }
    return is_metrics ? answer_metrics(exporter, connection) : answer_health(exporter, connection);
}

/* What the library would print goes nowhere. */
static void keep_quiet(void *context, const char *fmt, va_list args)
{
    (void)context;
    (void)fmt;
    (void)args;
}

static void start_daemon(void *arg)
{
    struct ei_exporter *exporter = arg;
    exporter->daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, handle, exporter, MHD_OPTION_EXTERNAL_LOGGER,
        keep_quiet, NULL, MHD_OPTION_LISTEN_SOCKET, exporter->fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)EI_EXPORTER_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)EI_EXPORTER_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, EI_EXPORTER_CONNECTION_BYTES, MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES,
        MHD_OPTION_END);
}

int ei_exporter_start(const struct ei_board *board, const char *address, const struct ei_cpuset *cpus, char *out_text,
                      struct ei_exporter **out_exporter, struct einet_error *err)
{
    const int fd = ei_loopback_listen(address, out_text, err);
    if (fd < 0) {
        return fd;
    }
    struct ei_exporter *exporter = calloc(1, sizeof *exporter);
    struct ei_thread helper;
    const struct ei_thread_attr attr = {.name = "metrics", .cpus = *cpus};
    int rc = exporter != NULL ? 0 : einet_error_set(err, -ENOMEM, "no memory for the server of %.60s", address);
    if (rc == 0) {
        exporter->board = board;
        exporter->fd = fd;
        rc = ei_thread_create(&helper, &attr, start_daemon, exporter, err);
    }
    if (rc == 0) {
        (void)ei_thread_join(&helper);
        rc = exporter->daemon != NULL
                 ? 0
                 : einet_error_set(err, EINET_E_BACKEND, "libmicrohttpd cannot serve %.60s", address);
    }
    if (rc < 0) {
        close(fd);
        free(exporter);
        return rc;
    }
    *out_exporter = exporter;
    return 0;
}

void ei_exporter_stop(struct ei_exporter *exporter)
{
    if (exporter == NULL) {
        return;
    }
    MHD_stop_daemon(exporter->daemon);
    free(exporter);
}
