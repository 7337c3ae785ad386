#include "server/trial_mail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "delivery/maildir.h"
#include "worker/session_log.h"

enum { TRIAL_ID_SIZE = 32 };

struct recipient {
    struct smtp_address address;
    struct mailbox *mailbox;
    int result; /* once the message is complete: 0, or -errno of what would go wrong */
};

static void recipient_free(void *data)
{
    struct recipient *r = data;
    mailbox_free(r->mailbox);
    g_free(r);
}

void trial_mail_init(struct trial_mail *m, const struct pst_log *log, const struct router *router,
                     const char *session, enum smtp_protocol protocol)
{
    *m = (struct trial_mail){
        .log = log,
        .router = router,
        .session = session,
        .lmtp = protocol == SMTP_PROTOCOL_LMTP,
        .recipients = g_ptr_array_new_with_free_func(recipient_free),
    };
}

void trial_mail_clear(struct trial_mail *m)
{
    g_clear_pointer(&m->recipients, g_ptr_array_unref);
}

void trial_mail_reset(struct trial_mail *m)
{
    g_ptr_array_set_size(m->recipients, 0);
    m->open = false;
}

void trial_mail_begin(struct trial_mail *m, const struct smtp_address *reverse_path)
{
    trial_mail_reset(m);
    m->reverse_path = *reverse_path;
}

/* ---- recipients ---- */

static enum smtp_outcome refuse(const struct trial_mail *m, const struct smtp_address *to,
                                enum smtp_outcome outcome)
{
    session_log_rcpt_refused(m->log, m->session, to, outcome);
    return outcome;
}

/* Where it was looked for: the daemon does not tell that, for strangers try many names. */
static void log_not_found(const struct trial_mail *m, const struct smtp_address *to,
                          const struct domain *domain)
{
    char text[SMTP_ADDRESS_TEXT], name[MAILBOX_NAME_MAX + 1];
    bool possible = mailbox_name(slice_of(to->local, to->local_len), name) == 0;
    pst_log(m->log, PST_LOG_INFO, "mailbox-not-found", PST_STR("session", m->session),
            PST_STR("to", smtp_address_format(to, text)), PST_STR("mailbox", possible ? name : ""),
            PST_STR("maildirs", domain_maildirs(domain)),
            PST_STR("error", possible ? "no such maildir" : "this can be no mailbox's name"));
}

/* SMTP delivers one copy into a mailbox that was named twice, LMTP answers for each (RFC 2033 4.2). */
static bool is_addressed(const struct trial_mail *m, const struct mailbox *mailbox)
{
    for (guint i = 0; i < m->recipients->len; i++) {
        const struct recipient *r = g_ptr_array_index(m->recipients, i);
        if (mailbox_equal(r->mailbox, mailbox))
            return true;
    }
    return false;
}

static void take_recipient(struct trial_mail *m, const struct smtp_address *to, struct mailbox *take_mailbox)
{
    char text[SMTP_ADDRESS_TEXT];
    pst_log(m->log, PST_LOG_INFO, "rcpt-accepted", PST_STR("session", m->session),
            PST_STR("to", smtp_address_format(to, text)), PST_STR("mailbox", take_mailbox->name),
            PST_STR("maildirs", domain_maildirs(take_mailbox->domain)));
    if (!m->lmtp && is_addressed(m, take_mailbox)) {
        mailbox_free(take_mailbox);
        return;
    }
    struct recipient *r = g_new0(struct recipient, 1);
    r->address = *to;
    r->mailbox = take_mailbox;
    g_ptr_array_add(m->recipients, r);
}

enum smtp_outcome trial_mail_add(struct trial_mail *m, const struct smtp_address *to)
{
    const struct domain *domain = router_domain(m->router, to);
    if (domain == NULL)
        return refuse(m, to, SMTP_NO_SUCH_DOMAIN);
    struct mailbox *mailbox;
    int r = domain_find_mailbox(domain, to, &mailbox);
    if (r == -ENOENT) {
        log_not_found(m, to, domain);
        return refuse(m, to, SMTP_NO_SUCH_MAILBOX);
    }
    if (r < 0) {
        session_log_lookup_failed(m->log, m->session, to, domain, r);
        return refuse(m, to, SMTP_LOCAL_ERROR);
    }
    take_recipient(m, to, mailbox);
    return SMTP_RECIPIENT_OK;
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
                                                 .recipients = m->recipients->len,
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
    int r = maildir_open(mailbox, &dir);
    if (r < 0)
        return r;
    r = may_write(dir->tmp);
    if (r == 0)
        r = may_write(dir->new);
    maildir_unref(dir);
    return r;
}

static void log_result(const struct trial_mail *m, const struct recipient *r)
{
    char id[TRIAL_ID_SIZE], from[SMTP_ADDRESS_TEXT], to[SMTP_ADDRESS_TEXT];
    message_id(m, id);
    smtp_address_format(&m->reverse_path, from);
    smtp_address_format(&r->address, to);
    if (r->result == 0)
        pst_log(m->log, PST_LOG_INFO, "would-be-delivered", PST_STR("session", m->session), PST_STR("id", id),
                PST_STR("from", from), PST_STR("to", to), PST_STR("mailbox", r->mailbox->name),
                PST_STR("maildirs", domain_maildirs(r->mailbox->domain)), PST_UINT("octets", m->octets));
    else
        pst_log(m->log, PST_LOG_ERROR, "delivery-failed", PST_STR("session", m->session), PST_STR("id", id),
                PST_STR("from", from), PST_STR("to", to), PST_STR("mailbox", r->mailbox->name),
                PST_STR("maildirs", domain_maildirs(r->mailbox->domain)),
                PST_UINT("code", smtp_outcome_code(SMTP_LOCAL_ERROR)),
                PST_STR("error", g_strerror(-r->result)));
}

/* SMTP has one answer for all, so that what fails for one fails for all of them. */
static void share_first_failure(const struct trial_mail *m)
{
    int failure = 0;
    for (guint i = 0; i < m->recipients->len && failure == 0; i++)
        failure = ((const struct recipient *)g_ptr_array_index(m->recipients, i))->result;
    for (guint i = 0; i < m->recipients->len; i++)
        ((struct recipient *)g_ptr_array_index(m->recipients, i))->result = failure;
}

size_t trial_mail_finish(struct trial_mail *m)
{
    pst_assert(m->open && m->recipients->len > 0);
    m->open = false;
    for (guint i = 0; i < m->recipients->len; i++) {
        struct recipient *r = g_ptr_array_index(m->recipients, i);
        r->result = try_maildir(r->mailbox);
    }
    if (!m->lmtp)
        share_first_failure(m);
    for (guint i = 0; i < m->recipients->len; i++)
        log_result(m, g_ptr_array_index(m->recipients, i));
    return m->lmtp ? m->recipients->len : 1;
}

enum smtp_outcome trial_mail_answer(const struct trial_mail *m, size_t index)
{
    pst_assert(index < m->recipients->len);
    const struct recipient *r = g_ptr_array_index(m->recipients, index);
    return r->result == 0 ? SMTP_WOULD_BE_DELIVERED : SMTP_LOCAL_ERROR;
}
