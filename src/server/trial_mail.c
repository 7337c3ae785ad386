#include "server/trial_mail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "delivery/maildir.h"
#include "delivery/route.h"
#include "worker/session_log.h"
#include "worker/verdict.h"

enum { TRIAL_ID_SIZE = 32 };

void trial_mail_init(struct trial_mail *m, const struct pst_log *log, const struct router *router,
                     const char *session, enum smtp_protocol protocol)
{
    *m = (struct trial_mail){
        .log = log,
        .router = router,
        .session = session,
        .lmtp = protocol == SMTP_PROTOCOL_LMTP,
    };
    envelope_init(&m->envelope);
}

void trial_mail_clear(struct trial_mail *m)
{
    envelope_clear(&m->envelope);
    g_clear_pointer(&m->results, g_free);
}

void trial_mail_reset(struct trial_mail *m)
{
    trial_mail_clear(m);
    envelope_init(&m->envelope);
    m->open = false;
}

void trial_mail_begin(struct trial_mail *m, const struct smtp_effect *mail)
{
    trial_mail_reset(m);
    m->reverse_path = mail->address;
    m->declared = mail->mail.size;
}

/* ---- recipients ---- */

static enum smtp_outcome refuse(const struct trial_mail *m, const struct smtp_address *to,
                                enum smtp_outcome outcome)
{
    session_log_rcpt_refused(m->log, m->session, to, outcome);
    return outcome;
}

/* Where it was looked for: the daemon does not tell that, for strangers try many names. */
static void tell_step(void *owner, unsigned depth, const char *step, const char *result)
{
    const struct trial_mail *m = owner;
    pst_log(m->log, PST_LOG_INFO, "route", PST_STR("session", m->session), PST_UINT("depth", depth),
            PST_STR("step", step), PST_STR("result", result));
}

static void log_accepted(const struct trial_mail *m, const struct smtp_address *to,
                         const GPtrArray *mailboxes)
{
    char text[SMTP_ADDRESS_TEXT];
    smtp_address_format(to, text);
    for (guint i = 0; i < mailboxes->len; i++) {
        const struct mailbox *box = g_ptr_array_index(mailboxes, i);
        pst_log(m->log, PST_LOG_INFO, "rcpt-accepted", PST_STR("session", m->session), PST_STR("to", text),
                PST_STR("mailbox", box->name), PST_STR("maildirs", box->domain->options.maildirs));
    }
}

static enum smtp_outcome find(struct trial_mail *m, const struct smtp_address *to,
                              const struct route_start *start, struct route *ret_route)
{
    const struct route_observer observer = { tell_step, m };
    const struct mailbox *full = NULL;
    int r = route_find(m->router, start, &observer, ret_route);
    if (r < 0 && r != -ENOENT)
        session_log_lookup_failed(m->log, m->session, to, ret_route->why, r);
    for (guint i = 0; r == 0 && i < ret_route->mailboxes->len; i++) {
        full = g_ptr_array_index(ret_route->mailboxes, i);
        r = maildir_has_room(full, m->declared);
    }
    return verdict_of_lookup(r, full);
}

enum smtp_outcome trial_mail_add(struct trial_mail *m, const struct smtp_address *to)
{
    struct route_start start;
    if (!router_start(m->router, to, &start))
        return refuse(m, to, SMTP_NO_SUCH_DOMAIN);
    auto_val(route) route = { 0 };
    enum smtp_outcome outcome = find(m, to, &start, &route);
    if (outcome != SMTP_RECIPIENT_OK)
        return refuse(m, to, outcome);
    log_accepted(m, to, route.mailboxes);
    struct recipient *r = g_new0(struct recipient, 1);
    r->address = *to;
    envelope_add(&m->envelope, r, &start, route.mailboxes, m->lmtp);
    return outcome;
}

/* ---- the message ---- */

static const char *message_id(const struct trial_mail *m, char text[TRIAL_ID_SIZE])
{
    (void)snprintf(text, TRIAL_ID_SIZE, "%s.%u", m->session, m->messages);
    return text;
}

void trial_mail_open(struct trial_mail *m)
{
    m->messages++;
    m->open = true;
    m->octets = 0;
}

void trial_mail_append(struct trial_mail *m, struct slice bytes)
{
    m->octets += bytes.len;
}

void trial_mail_log_refusal(const struct trial_mail *m, enum smtp_outcome outcome)
{
    char id[TRIAL_ID_SIZE];
    const struct session_log_message message = { .id = message_id(m, id),
                                                 .from = &m->reverse_path,
                                                 .recipients = m->envelope.recipients->len,
                                                 .octets = m->octets };
    session_log_message_refused(m->log, m->session, &message, outcome);
}

static int may_write(int dir)
{
    return faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* Where a delivery would fail at its first step: a maildir without tmp/, of another user, or on a file system
 * that is read-only. To find out more, one would have to write. */
static int try_maildir(const struct mailbox *mailbox)
{
    struct maildir *dir;
    int r = mailbox->create ? 0 : maildir_open(mailbox, &dir);
    if (r < 0 || mailbox->create)
        return r;
    r = may_write(dir->tmp);
    if (r == 0)
        r = may_write(dir->new.dir);
    maildir_unref(dir);
    return r;
}

static void log_result(const struct trial_mail *m, const struct recipient *r, const struct mailbox *box,
                       int result)
{
    char id[TRIAL_ID_SIZE], from[SMTP_ADDRESS_TEXT], to[SMTP_ADDRESS_TEXT];
    message_id(m, id);
    smtp_address_format(&m->reverse_path, from);
    smtp_address_format(&r->address, to);
    if (result == 0)
        pst_log(m->log, PST_LOG_INFO, "would-be-delivered", PST_STR("session", m->session), PST_STR("id", id),
                PST_STR("from", from), PST_STR("to", to), PST_STR("mailbox", box->name),
                PST_STR("maildirs", box->domain->options.maildirs), PST_UINT("octets", m->octets));
    else
        pst_log(m->log, PST_LOG_ERROR, "delivery-failed", PST_STR("session", m->session), PST_STR("id", id),
                PST_STR("from", from), PST_STR("to", to), PST_STR("mailbox", box->name),
                PST_STR("maildirs", box->domain->options.maildirs),
                PST_UINT("code", smtp_outcome_code(verdict_of_delivery(result, box->domain))),
                PST_STR("error", g_strerror(-result)));
}

/* SMTP has one answer for all, so that what fails for one fails for all of them. */
static void share_first_failure(const struct trial_mail *m)
{
    int failure = 0;
    for (guint i = 0; i < m->envelope.targets->len && failure == 0; i++)
        failure = m->results[i];
    for (guint i = 0; i < m->envelope.targets->len; i++)
        m->results[i] = failure;
}

static void log_results(const struct trial_mail *m, const struct recipient *r)
{
    for (size_t i = 0; i < r->way_count; i++)
        log_result(m, r, envelope_target(&m->envelope, r->ways[i])->mailbox, m->results[r->ways[i]]);
}

size_t trial_mail_finish(struct trial_mail *m)
{
    guint targets = m->envelope.targets->len, recipients = m->envelope.recipients->len;
    pst_assert(m->open && recipients > 0);
    m->open = false;
    m->results = g_new(int, targets);
    for (guint i = 0; i < targets; i++)
        m->results[i] = try_maildir(envelope_target(&m->envelope, i)->mailbox);
    if (!m->lmtp)
        share_first_failure(m);
    for (guint i = 0; i < recipients; i++)
        log_results(m, envelope_recipient(&m->envelope, i));
    return m->lmtp ? recipients : 1;
}

enum smtp_outcome trial_mail_answer(const struct trial_mail *m, size_t index)
{
    pst_assert(index < m->envelope.recipients->len);
    const struct recipient *r = envelope_recipient(&m->envelope, index);
    for (size_t i = 0; i < r->way_count; i++) {
        int result = m->results[r->ways[i]];
        if (result < 0)
            return verdict_of_delivery(result, envelope_target(&m->envelope, r->ways[i])->mailbox->domain);
    }
    return SMTP_WOULD_BE_DELIVERED;
}
