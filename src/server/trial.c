#include "server/trial.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/assert.h"
#include "server/trial_login.h"
#include "server/trial_mail.h"
#include "server/typed_lines.h"
#include "worker/session_log.h"

enum {
    READ_SIZE = 32 * 1024,
    REPLIES_FLUSH = 8 * 1024, /* replies that gather before they are written */
    ID_SIZE = 13,             /* 12 hexadecimal digits */
};

struct session {
    const struct trial *trial;
    const struct pst_log *log;
    struct smtp_service service;
    struct smtp_session *smtp;
    struct trial_login *login; /* NULL: the listener has no AUTH */
    struct trial_mail mail;
    GByteArray *replies; /* not written yet */
    struct typed_lines lines;
    uint64_t ticket; /* of the message's end, while it is owed answers: from `answered` to `answers` */
    size_t answered, answers;
    bool ended; /* by the server */
    enum smtp_outcome why;
    int error;                     /* of `in` or `out` */
    char client[NET_ADDRESS_TEXT]; /* as XCLIENT has told it, perhaps */
    char id[ID_SIZE];
    size_t kept; /* octets in `input`, not taken yet */
    uint8_t input[SMTP_KEEP_MAX + 2 * READ_SIZE];
};

static msec_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
    return (msec_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- input and output ---- */

/* 1 when `fd` is ready for `event`, 0 when that was not so until `until`, or -errno. */
static int wait_for(int fd, short event, msec_t until)
{
    for (;;) {
        struct pollfd wait = { .fd = fd, .events = event };
        msec_t left = until == MSEC_NEVER ? 0 : until - now_ms(); /* once: CLAMP looks at it three times */
        int timeout = until == MSEC_NEVER ? -1 : (int)CLAMP(left, 0, INT_MAX);
        int r = poll(&wait, 1, timeout);
        if (r >= 0)
            return r;
        if (errno != EINTR)
            return -errno;
    }
}

/* A descriptor that we were given may be one that does not wait by itself. */
static int write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            int r = wait_for(fd, POLLOUT, MSEC_NEVER);
            if (r < 0)
                return r;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static void flush(struct session *s)
{
    if (s->error == 0)
        s->error = write_all(s->trial->out, s->replies->data, s->replies->len);
    g_byte_array_set_size(s->replies, 0);
}

static void write_reply(struct session *s, struct slice text)
{
    g_byte_array_append(s->replies, text.data, (guint)text.len);
    if (s->replies->len >= REPLIES_FLUSH)
        flush(s);
}

/* 1 when there is more in `input`, 0 when nothing came in time, -ENODATA at the end, or another -errno. */
static int read_more(struct session *s)
{
    uint8_t bytes[READ_SIZE];
    pst_assert(s->kept <= SMTP_KEEP_MAX); /* no question is open: the session takes all but part of a line */
    int r = wait_for(s->trial->in, POLLIN, smtp_session_deadline(s->smtp));
    if (r <= 0)
        return r;
    ssize_t n = read(s->trial->in, bytes, sizeof bytes);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    if (n == 0)
        return -ENODATA;
    s->kept += typed_lines_convert(&s->lines, slice_of(bytes, (size_t)n), s->input + s->kept);
    return 1;
}

/* ---- effects ---- */

static void answer(struct session *s, uint64_t ticket, enum smtp_outcome outcome)
{
    smtp_session_answer(s->smtp, ticket, (struct smtp_verdict){ .outcome = outcome }, now_ms());
}

static void finish(struct session *s, uint64_t ticket)
{
    s->ticket = ticket;
    s->answered = 0;
    s->answers = trial_mail_finish(&s->mail);
}

/* The message's end is answered once for each recipient in LMTP; the session takes one answer at a time. */
static bool answer_next(struct session *s)
{
    if (s->answered == s->answers)
        return false;
    answer(s, s->ticket, trial_mail_answer(&s->mail, s->answered++));
    if (s->answered == s->answers)
        trial_mail_reset(&s->mail);
    return true;
}

static void log_refusal(const struct session *s, const struct smtp_effect *e)
{
    if (s->mail.open && e->bytes.data == NULL)
        trial_mail_log_refusal(&s->mail, e->outcome);
    else
        session_log_command_refused(s->log, s->id, e);
}

/* TLS itself is left out: what follows counts as said inside it. */
static void log_tls_left_out(const struct session *s)
{
    pst_log(s->log, PST_LOG_INFO, "tls-left-out", PST_STR("session", s->id),
            PST_STR("advice", "the session goes on as inside TLS, without a handshake"));
}

static void perform(struct session *s, const struct smtp_effect *e)
{
    switch (e->kind) {
    case SMTP_EFFECT_WRITE:
        write_reply(s, e->bytes);
        break;
    case SMTP_EFFECT_STARTTLS:
        log_tls_left_out(s);
        smtp_session_secured(s->smtp, trial_login_mechanisms(s->login, true), now_ms());
        break;
    case SMTP_EFFECT_AUTH:
    case SMTP_EFFECT_AUTH_RESPONSE:
        flush(s); /* it may take its time */
        smtp_session_answer(s->smtp, e->ticket,
                            trial_login_step(s->login, e, smtp_session_is_secure(s->smtp)), now_ms());
        break;
    case SMTP_EFFECT_AUTH_CANCEL:
        trial_login_cancel(s->login);
        break;
    case SMTP_EFFECT_XCLIENT:
        smtp_facts_take_client(&e->facts, s->client, sizeof s->client);
        session_log_facts(s->log, s->id, e);
        break;
    case SMTP_EFFECT_XFORWARD:
        session_log_facts(s->log, s->id, e);
        break;
    case SMTP_EFFECT_MAIL:
        trial_mail_begin(&s->mail, e);
        break;
    case SMTP_EFFECT_RCPT:
        answer(s, e->ticket, trial_mail_add(&s->mail, &e->address));
        break;
    case SMTP_EFFECT_OPEN:
        trial_mail_open(&s->mail);
        break;
    case SMTP_EFFECT_APPEND:
        trial_mail_append(&s->mail, e->bytes);
        break;
    case SMTP_EFFECT_FINISH:
        finish(s, e->ticket);
        break;
    case SMTP_EFFECT_RESET:
        trial_mail_reset(&s->mail);
        break;
    case SMTP_EFFECT_REFUSED:
        log_refusal(s, e);
        break;
    case SMTP_EFFECT_END:
        s->ended = true;
        s->why = e->outcome;
        break;
    }
}

static void perform_all(struct session *s)
{
    do {
        struct smtp_effect effect;
        while (smtp_session_next(s->smtp, &effect))
            perform(s, &effect);
    } while (answer_next(s));
}

/* All that the session takes; every question is answered on the spot, so that what remains is part of a line.
 */
static void feed(struct session *s)
{
    size_t taken = 0;
    while (taken < s->kept && !s->ended) {
        size_t count = smtp_session_feed(s->smtp, slice_of(s->input + taken, s->kept - taken), now_ms());
        perform_all(s);
        if (count == 0)
            break;
        taken += count;
    }
    s->kept -= taken;
    memmove(s->input, s->input + taken, s->kept);
}

/* ---- the session ---- */

static void session_begin(struct session *s, const struct trial *trial, const struct pst_log *log)
{
    const struct worker_listener *listener = trial->listener;
    s->trial = trial;
    s->log = log;
    s->service = (struct smtp_service){ .protocol = listener->protocol,
                                        .hostname = trial->settings->worker.hostname,
                                        .limits = trial->settings->worker.smtp };
    s->replies = g_byte_array_new();
    s->lines.kind = isatty(trial->in) ? TYPED_LINES_TEXT : TYPED_LINES_UNKNOWN;
    net_address_host(&trial->client, s->client);
    (void)snprintf(s->id, sizeof s->id, "%08" PRIx32 "%04" PRIx32, g_random_int(), g_random_int() >> 16);
    trial_mail_init(&s->mail, log, trial->settings->router, s->id, listener->protocol);
    session_log_opened(log, s->id, s->client, listener->name);
    if (listener->proxy != NULL)
        pst_log(
            log, PST_LOG_INFO, "proxy-left-out", PST_STR("session", s->id),
            PST_STR("advice", "this is the session behind the PROXY header, and --client who that names"));
    if (listener->tls == WORKER_TLS_IMPLICIT)
        log_tls_left_out(s);
    if (listener->auth != WORKER_AUTH_OFF)
        s->login = trial_login_new(trial->settings, listener, log, s->id, s->client);
    /* No greeting is held back: input that is all there at once would always have spoken too early. */
    const struct smtp_client terms = {
        .may_xclient = net_networks_have(listener->xclient, &trial->client),
        .may_xforward = net_networks_have(listener->xforward, &trial->client),
        .tls = worker_tls_at_start(listener->tls),
        .auth_required = listener->auth == WORKER_AUTH_REQUIRED,
        .auth_in_tls = listener->auth != WORKER_AUTH_OFF && listener->tls != WORKER_TLS_OFF,
        .mechanisms = trial_login_mechanisms(s->login, listener->tls == WORKER_TLS_IMPLICIT),
    };
    s->smtp = smtp_session_new(&s->service, &terms, now_ms());
}

static void session_run(struct session *s)
{
    perform_all(s);
    flush(s);
    while (!s->ended && s->error == 0) {
        int r = read_more(s);
        if (r < 0) {
            s->error = r;
        } else if (r == 0) {
            smtp_session_tick(s->smtp, now_ms());
            perform_all(s);
        } else {
            feed(s);
        }
        flush(s);
    }
}

static int session_end(struct session *s)
{
    bool hung_up = s->error == -ENODATA;
    const char *reason = hung_up         ? "peer-ended"
                         : s->error == 0 ? smtp_outcome_name(s->why)
                                         : "connection-lost";
    session_log_closed(s->log, s->id, reason, smtp_session_phase(s->smtp), s->mail.messages);
    int error = hung_up ? 0 : s->error;
    trial_mail_clear(&s->mail);
    smtp_session_free(s->smtp);
    trial_login_free(s->login);
    g_byte_array_unref(s->replies);
    return error;
}

int trial_run(const struct trial *trial)
{
    /* The daemon's log is no place for a try; of panic's weight nothing is logged here. */
    struct log_options options = trial->settings->log;
    options.target = (struct log_target){ .kind = LOG_TO_STDERR };
    if (trial->quiet)
        options.level = PST_LOG_PANIC;
    auto_ptr(log_sink) sink = NULL;
    int r = log_sink_open(&options, &sink);
    if (r < 0)
        return r;
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail: it may be ignored */
    g_autofree struct session *s = g_new0(struct session, 1);
    session_begin(s, trial, log_sink_log(sink));
    session_run(s);
    return session_end(s);
}
