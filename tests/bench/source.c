/*
 * Sends messages over SMTP or LMTP, with TLS 1.3 or without, and tells how long that took.
 *
 *   source [-t plain|starttls|implicit|raw] [-d] [-L] [-s SESSIONS] [-m MESSAGES] [-l OCTETS] [-c CIPHER]
 *          [-f SENDER] [-r RECIPIENT] ADDRESS PORT
 *
 * SESSIONS threads each take a message after the other, until MESSAGES were taken, with a connection and a
 * full handshake for each; -d: with one for all of a thread's. To a server that offers PIPELINING (RFC 2920),
 * commands go in groups, as MTAs send them: MAIL, RCPT and DATA; content and QUIT. To others they go one at a
 * time. -L: LMTP. `raw` is for `openssl s_server`: the octets in TLS without SMTP, which are taken when the
 * server has closed, too.
 *
 * TLS is GnuTLS's, in which a client's full handshake costs two thirds of what it costs in OpenSSL 3.0;
 * CIPHER is a name of its own, such as AES-256-GCM.
 *
 * Prints the seconds from when content was asked for until it was taken, of all messages. A reply that is not
 * the wanted one is told, and the status is 1.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SESSIONS_MAX = 1000, LINE = 64, REPLY_SIZE = 8192, ENVELOPE_LINES = 3 };

static const struct way {
    const char *name;
    bool speaks_smtp, starttls, tls_first;
} ways[] = {
    { "plain", true, false, false },
    { "starttls", true, true, false },
    { "implicit", true, false, true },
    { "raw", false, false, true },
};

struct connection {
    int fd;
    gnutls_session_t tls; /* NULL: not yet, or never */
    bool pipelines;       /* as the server has offered */
    size_t len;           /* of what was read and belongs to no reply yet */
    char input[REPLY_SIZE];
};

static const struct way *way = &ways[0];
static bool is_reused;
static const char *hello = "EHLO client.example.net\r\n";
static const char *sender = "bob@example.net", *recipient = "alice@example.org";
static struct sockaddr_in server;
static gnutls_certificate_credentials_t credentials; /* nobody is trusted, as nobody is asked about */
static gnutls_priority_t priorities;
static char *envelope[ENVELOPE_LINES], *envelope_group; /* the lines, and all in one */
static const char quit[] = "QUIT\r\n";
static char *message; /* with the dot at its end, and QUIT behind it */
static size_t message_len, content_len;
static long total;
static atomic_long taken;

/* Other threads are in the middle of something: nothing is tidied up. */
__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "source: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    _exit(1);
}

static void need(bool good, const char *what)
{
    if (!good)
        fail("%s: %m", what);
}

static void need_tls(int result, const char *what)
{
    if (result < 0)
        fail("%s: %s", what, gnutls_strerror(result));
}

static double now_s(void)
{
    struct timespec t;
    need(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "clock_gettime");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a connection ---- */

static void dial(struct connection *c)
{
    c->tls = NULL;
    c->pipelines = false;
    c->len = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(c->fd >= 0, "socket");
    need(connect(c->fd, (struct sockaddr *)&server, sizeof server) == 0, "connect");
    /* Else the first command waits until what ended the handshake is acknowledged. */
    need(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == 0, "TCP_NODELAY");
}

static void secure(struct connection *c)
{
    int result;
    need_tls(gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NO_TICKETS), "gnutls_init");
    need_tls(gnutls_priority_set(c->tls, priorities), "gnutls_priority_set");
    need_tls(gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, credentials), "gnutls_credentials_set");
    gnutls_transport_set_int(c->tls, c->fd);
    do
        result = gnutls_handshake(c->tls);
    while (result < 0 && gnutls_error_is_fatal(result) == 0);
    need_tls(result, "the handshake");
    if (gnutls_session_is_resumed(c->tls) != 0)
        fail("this handshake was to be a full one");
}

/* 0: it has ended, in one way or another. */
static size_t receive(struct connection *c, void *to, size_t size)
{
    ssize_t n;
    do
        n = c->tls != NULL ? gnutls_record_recv(c->tls, to, size) : recv(c->fd, to, size, 0);
    while (c->tls != NULL && n < 0 && gnutls_error_is_fatal((int)n) == 0); /* a ticket, for one */
    return n > 0 ? (size_t)n : 0;
}

static void transmit(struct connection *c, const char *octets, size_t len)
{
    size_t sent;
    for (; len > 0; octets += sent, len -= sent) {
        ssize_t n = c->tls != NULL ? gnutls_record_send(c->tls, octets, len) : send(c->fd, octets, len, 0);
        if (n < 0)
            fail("the server took no more");
        sent = (size_t)n;
    }
}

/* The server reads our end, and we read its: nobody is answered with a reset. */
static void hang_up(struct connection *c)
{
    if (c->tls != NULL)
        (void)gnutls_bye(c->tls, GNUTLS_SHUT_WR); /* what it still has to say comes now */
    (void)shutdown(c->fd, SHUT_WR);               /* or it was faster, and is gone */
    while (receive(c, c->input, sizeof c->input) > 0)
        ;
    if (c->tls != NULL)
        gnutls_deinit(c->tls);
    close(c->fd);
}

/* ---- SMTP ---- */

/* The next line of a reply, without its end, moves to `line`. */
static void read_line(struct connection *c, char line[static REPLY_SIZE])
{
    char *end;
    while ((end = memchr(c->input, '\n', c->len)) == NULL) {
        size_t n = receive(c, c->input + c->len, sizeof c->input - c->len);
        if (n == 0)
            fail("the server hung up, or its line has no end");
        c->len += n;
    }
    size_t len = (size_t)(end - c->input) + 1;
    memcpy(line, c->input, len);
    line[len - (len > 1 && end[-1] == '\r' ? 2 : 1)] = '\0';
    c->len -= len;
    memmove(c->input, end + 1, c->len);
}

static void expect(struct connection *c, const char *code, const char *after)
{
    char line[REPLY_SIZE];
    do {
        read_line(c, line);
        if (strncmp(line, code, strlen(code)) != 0)
            fail("%s: that was the answer to %s", line, after);
        if (line[strlen(code)] != '\0' && strcasecmp(line + strlen(code) + 1, "PIPELINING") == 0)
            c->pipelines = true;
    } while (line[strlen(code)] == '-');
}

static void command(struct connection *c, const char *code, const char *line)
{
    transmit(c, line, strlen(line));
    expect(c, code, line);
}

static void greet(struct connection *c)
{
    expect(c, "220", "the connection");
    command(c, "250", hello);
    if (!way->starttls)
        return;
    command(c, "220", "STARTTLS\r\n");
    if (c->len > 0)
        fail("something came behind the reply to STARTTLS");
    secure(c);
    command(c, "250", hello);
}

/* Until content is asked for. */
static void begin(struct connection *c)
{
    static const char *const codes[] = { "250", "250", "354" };
    for (size_t i = 0; i < ENVELOPE_LINES; i++)
        if (!c->pipelines)
            command(c, codes[i], envelope[i]);
    if (!c->pipelines)
        return;
    transmit(c, envelope_group, strlen(envelope_group));
    for (size_t i = 0; i < ENVELOPE_LINES; i++)
        expect(c, codes[i], envelope[i]);
}

static void enter(struct connection *c)
{
    dial(c);
    if (way->tls_first)
        secure(c);
    if (way->speaks_smtp)
        greet(c);
}

/* The seconds that the content took. */
static double deliver(struct connection *c)
{
    bool with_quit = !is_reused && c->pipelines;
    begin(c);
    double start = now_s();
    transmit(c, message, message_len + (with_quit ? strlen(quit) : 0));
    expect(c, "250", "the message");
    double took = now_s() - start;
    if (with_quit)
        expect(c, "221", quit);
    return took;
}

static void leave(struct connection *c)
{
    if (is_reused || !c->pipelines)
        command(c, "221", quit);
    hang_up(c);
}

static double deliver_raw(struct connection *c)
{
    double start = now_s();
    transmit(c, message, content_len);
    hang_up(c); /* the server closes when it has read all */
    return now_s() - start;
}

static void *run(void *ret_took)
{
    double *took = ret_took;
    struct connection *c = malloc(sizeof *c);
    need(c != NULL, "malloc");
    bool is_there = false;
    while (atomic_fetch_add(&taken, 1) < total) {
        if (!is_there)
            enter(c);
        *took += way->speaks_smtp ? deliver(c) : deliver_raw(c);
        is_there = is_reused;
        if (way->speaks_smtp && !is_reused)
            leave(c);
    }
    if (is_there)
        leave(c);
    free(c);
    return NULL;
}

/* ---- before it starts ---- */

__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
    char *made;
    va_list args;
    va_start(args, format);
    need(vasprintf(&made, format, args) >= 0, "vasprintf");
    va_end(args);
    return made;
}

static void make_envelope(void)
{
    envelope[0] = text("MAIL FROM:<%s>\r\n", sender);
    envelope[1] = text("RCPT TO:<%s>\r\n", recipient);
    envelope[2] = text("DATA\r\n");
    envelope_group = text("%s%s%s", envelope[0], envelope[1], envelope[2]);
}

/* Of lines, none of which begins with a dot; the size is rounded up. */
static void make_message(size_t size)
{
    static const char header[] = "Subject: 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO\r\n\r\n";
    static const char line[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n";
    static const char end[] = ".\r\n";
    static_assert(sizeof header == LINE + 1 && sizeof line == LINE + 1, "each is a line");
    content_len = (size + LINE - 1) / LINE * LINE;
    message_len = content_len + sizeof end - 1;
    message = malloc(message_len + strlen(quit));
    need(message != NULL, "malloc");
    for (size_t at = 0; at < content_len; at += LINE)
        memcpy(message + at, at == 0 ? header : line, LINE);
    memcpy(message + content_len, end, sizeof end - 1);
    memcpy(message + message_len, quit, strlen(quit));
}

/* TLS 1.3, with one share of a key, as most clients send it. Signatures count, and whose they are does not.
 */
static void make_tls(const char *cipher)
{
    char *wanted = text("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519%s%s",
                        cipher != NULL ? ":-CIPHER-ALL:+" : "", cipher != NULL ? cipher : "");
    need_tls(gnutls_priority_init(&priorities, wanted, NULL), wanted);
    need_tls(gnutls_certificate_allocate_credentials(&credentials),
             "gnutls_certificate_allocate_credentials");
    free(wanted);
}

static long number(const char *text, long max)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (*end != '\0' || n < 1 || n > max)
        fail("%s is no number from 1 to %ld", text, max);
    return n;
}

static const struct way *find_way(const char *name)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].name, name) == 0)
            return &ways[i];
    fail("%s is no way to send", name);
}

int main(int argc, char **argv)
{
    long sessions = 1, size = 4096;
    const char *cipher = NULL;
    total = 1;
    for (int option; (option = getopt(argc, argv, "t:dLs:m:l:c:f:r:")) != -1;)
        switch (option) {
        case 't':
            way = find_way(optarg);
            break;
        case 'd':
            is_reused = true;
            break;
        case 'L':
            hello = "LHLO client.example.net\r\n";
            break;
        case 's':
            sessions = number(optarg, SESSIONS_MAX);
            break;
        case 'm':
            total = number(optarg, 1000000000);
            break;
        case 'l':
            size = number(optarg, 1L << 32);
            break;
        case 'c':
            cipher = optarg;
            break;
        case 'f':
            sender = optarg;
            break;
        case 'r':
            recipient = optarg;
            break;
        default:
            return 2;
        }
    if (argc - optind != 2)
        fail("an address and a port are wanted");
    if (is_reused && !way->speaks_smtp)
        fail("%s ends with the message", way->name);
    server.sin_family = AF_INET;
    if (inet_pton(AF_INET, argv[optind], &server.sin_addr) != 1)
        fail("%s is no IPv4 address", argv[optind]);
    server.sin_port = htons((uint16_t)number(argv[optind + 1], 65535));
    need(signal(SIGPIPE, SIG_IGN) != SIG_ERR, "signal");
    make_envelope();
    make_message((size_t)size);
    make_tls(cipher);

    double took[SESSIONS_MAX] = { 0 }, sum = 0;
    pthread_t ids[SESSIONS_MAX];
    for (long i = 0; i < sessions; i++)
        need(pthread_create(&ids[i], NULL, run, &took[i]) == 0, "pthread_create");
    for (long i = 0; i < sessions; i++) {
        need(pthread_join(ids[i], NULL) == 0, "pthread_join");
        sum += took[i];
    }
    printf("%.6f\n", sum);
    gnutls_priority_deinit(priorities);
    gnutls_certificate_free_credentials(credentials);
    free(message);
    free(envelope_group);
    for (size_t i = 0; i < ENVELOPE_LINES; i++)
        free(envelope[i]);
    return 0;
}
