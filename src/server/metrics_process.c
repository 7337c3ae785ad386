#include "server/metrics_process.h"

#include <errno.h>
#include <glib.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/metrics_text.h"

enum {
    CALLERS = 32, /* at once: for one more, the oldest gives way, so that nobody keeps others out */
    CALLERS_LEAVING = 32,
    SILENCE_SECONDS = 10,
    CALLER_MEMORY = 8 * 1024, /* for a request's lines */
};

struct process {
    const struct worker_share *shares;
    size_t count;
    GQueue callers; /* descriptors of connections, the oldest first */
};

/* ---- answers ---- */

/* The fields are the same for all: who is told 405 must get Allow, and others may (RFC 9110 10.2.1). */
static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, const char *type,
                               const char *text, size_t len)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO; /* and the connection is closed */
    bool whole = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
                 MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES &&
                 MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    enum MHD_Result result = whole ? MHD_queue_response(connection, status, response) : MHD_NO;
    MHD_destroy_response(response); /* our reference to it */
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
    return respond(connection, status, "text/plain", text, strlen(text));
}

/* Called once a request's header is there; what follows it is not looked at. */
static enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    const struct process *p = owner;
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)request;
    if (strcmp(url, "/metrics") != 0)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "there is only /metrics\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "there is only GET\n");
    GString *text = g_string_sized_new(8 * 1024);
    metrics_text_append(text, p->shares, p->count);
    enum MHD_Result result =
        respond(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text->str, text->len);
    g_string_free(text, TRUE);
    return result;
}

/* ---- callers ---- */

/* Each newcomer beyond CALLERS hangs up for another one, although libmicrohttpd sees that only later. */
static void on_caller(void *owner, struct MHD_Connection *connection, void **caller,
                      enum MHD_ConnectionNotificationCode code)
{
    struct process *p = owner;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        g_queue_delete_link(&p->callers, *caller);
        return;
    }
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    g_queue_push_tail(&p->callers, GINT_TO_POINTER(fd));
    *caller = p->callers.tail;
    guint count = g_queue_get_length(&p->callers);
    if (count > CALLERS) /* it may have gone by itself */
        (void)shutdown(GPOINTER_TO_INT(g_queue_peek_nth(&p->callers, count - CALLERS - 1)), SHUT_RDWR);
}

/* ---- the process ---- */

static struct MHD_Daemon *listen_at(int listener, struct process *p)
{
    return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, p, MHD_OPTION_LISTEN_SOCKET, listener,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)(CALLERS + CALLERS_LEAVING),
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_SECONDS,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CALLER_MEMORY,
                            MHD_OPTION_NOTIFY_CONNECTION, on_caller, p, MHD_OPTION_END);
}

int metrics_process_run(int listener, struct worker_share *shares, size_t count, struct log_sink *take_sink,
                        pid_t master)
{
    auto_ptr(log_sink) sink = take_sink;
    struct process p = { .shares = shares, .count = count };
    (void)prctl(PR_SET_NAME, "postern-metrics"); /* for ps; cannot fail */
    /* Without a master nobody would end us. It may have died before this call. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != master)
        return EXIT_FAILURE;
    g_queue_init(&p.callers);
    struct MHD_Daemon *http = NULL;
    if (mprotect(shares, count * sizeof *shares, PROT_READ) == 0)
        http = listen_at(listener, &p);
    if (http == NULL) {
        pst_log(log_sink_log(sink), PST_LOG_ERROR, "metrics-cannot-start",
                PST_STR("error", g_strerror(errno)));
        return EXIT_FAILURE;
    }
    log_sink_free(g_steal_pointer(&sink)); /* it would keep a file that has been rotated */
    while (MHD_run_wait(http, -1) == MHD_YES)
        ;
    return EXIT_FAILURE;
}
