#include "worker/transaction.h"

#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "message/trace.h"
#include "worker/session_log.h"

struct recipient {
    struct smtp_address address;
    unsigned notify;         /* SMTP_NOTIFY_, or 0 */
    char *orcpt;             /* as it was sent; NULL: none was */
    struct mailbox *mailbox; /* until the delivery takes it */
    const char *name;        /* then: the mailbox's, in the delivery */
};

struct transaction {
    struct conn *conn;
    struct smtp_address reverse_path;
    struct smtp_mail_parameters parameters; /* its slices are in `envid` */
    char *envid;                            /* NULL: none was given */
    GPtrArray *recipients;                  /* struct recipient, accepted; in the order of RCPT */
    struct delivery *delivery;
    uint64_t ticket; /* finishing */
    uint64_t octets;
    char id[CONN_ID_SIZE + 11]; /* SESSION.N */
};

static void recipient_free(void *data)
{
    struct recipient *r = data;
    mailbox_free(r->mailbox);
    g_free(r->orcpt);
    g_free(r);
}

static char *copy_if_given(struct slice s)
{
    return s.len > 0 ? slice_dup(s) : NULL;
}

struct transaction *transaction_new(struct conn *c, const struct smtp_effect *mail)
{
    struct transaction *t = g_new0(struct transaction, 1);
    t->conn = c;
    t->reverse_path = mail->address;
    t->parameters = mail->mail;
    t->envid = copy_if_given(mail->mail.envid);
    t->parameters.envid = slice_of(t->envid, mail->mail.envid.len);
    t->recipients = g_ptr_array_new_with_free_func(recipient_free);
    return t;
}

static void transaction_free(struct transaction *t)
{
    g_ptr_array_unref(t->recipients);
    g_free(t->envid);
    g_free(t);
}

/* ---- RCPT: from an address to a mailbox, on the pool ---- */

struct route_job {
    struct conn *conn;
    struct transaction
        *transaction; /* the session waits for the answer, so it is there while the connection is open */
    uint64_t ticket;
    const struct domain *domain;
    struct recipient *recipient;
    int result;
};

static void route_run(void *arg)
{
    struct route_job *job = arg;
    job->result = domain_find_mailbox(job->domain, &job->recipient->address, &job->recipient->mailbox);
}

static void refuse(struct conn *c, uint64_t ticket, const struct smtp_address *address,
                   enum smtp_outcome outcome)
{
    session_log_rcpt_refused(conn_host(c)->log, conn_id(c), address, outcome);
    conn_answer(c, ticket, (struct smtp_verdict){ .outcome = outcome }, false);
}

static bool is_addressed(const struct transaction *t, const struct mailbox *mailbox)
{
    for (guint i = 0; i < t->recipients->len; i++) {
        const struct recipient *r = g_ptr_array_index(t->recipients, i);
        if (mailbox_equal(r->mailbox, mailbox))
            return true;
    }
    return false;
}

/* A mailbox gets one copy, however often it is named; but LMTP owes an answer for each (RFC 2033 4.2). */
static void accept_recipient(struct transaction *t, uint64_t ticket, struct recipient *take_recipient)
{
    bool lmtp = conn_host(t->conn)->service.protocol == SMTP_PROTOCOL_LMTP;
    if (!lmtp && is_addressed(t, take_recipient->mailbox))
        recipient_free(take_recipient);
    else
        g_ptr_array_add(t->recipients, take_recipient);
    conn_answer(t->conn, ticket, (struct smtp_verdict){ .outcome = SMTP_RECIPIENT_OK }, false);
}

static void route_done(void *arg)
{
    struct route_job *job = arg;
    struct conn *c = job->conn;
    if (!conn_is_open(c)) {
        recipient_free(job->recipient);
    } else if (job->result == 0) {
        known_add(conn_host(c)->known, job->recipient->mailbox, reactor_now(conn_host(c)->reactor));
        accept_recipient(job->transaction, job->ticket, job->recipient);
    } else {
        if (job->result != -ENOENT)
            session_log_lookup_failed(conn_host(c)->log, conn_id(c), &job->recipient->address, job->domain,
                                      job->result);
        refuse(c, job->ticket, &job->recipient->address,
               job->result == -ENOENT ? SMTP_NO_SUCH_MAILBOX : SMTP_LOCAL_ERROR);
        recipient_free(job->recipient);
    }
    g_free(job);
    conn_release(c);
}

void transaction_route(struct transaction *t, const struct smtp_effect *rcpt)
{
    const struct conn_host *host = conn_host(t->conn);
    const struct domain *domain = router_domain(host->router, &rcpt->address);
    if (domain == NULL) {
        refuse(t->conn, rcpt->ticket, &rcpt->address, SMTP_NO_SUCH_DOMAIN);
        return;
    }
    struct recipient *recipient = g_new0(struct recipient, 1);
    recipient->address = rcpt->address;
    recipient->notify = rcpt->rcpt.notify;
    recipient->orcpt = copy_if_given(rcpt->rcpt.orcpt);
    recipient->mailbox = known_find(host->known, domain, &rcpt->address, reactor_now(host->reactor));
    if (recipient->mailbox != NULL) {
        accept_recipient(t, rcpt->ticket, recipient);
        return;
    }
    struct route_job *job = g_new0(struct route_job, 1);
    job->conn = t->conn;
    job->transaction = t;
    job->ticket = rcpt->ticket;
    job->domain = domain;
    job->recipient = recipient;
    conn_hold(t->conn);
    reactor_submit(host->reactor, route_run, route_done, job);
}

/* ---- the message ---- */

static enum smtp_outcome outcome_of(int result)
{
    switch (result) {
    case 0:
        return SMTP_DELIVERED;
    case -ENOSPC:
    case -EDQUOT:
        return SMTP_DISK_FULL;
    default:
        return SMTP_LOCAL_ERROR;
    }
}

enum { DSN_FIELDS = 4, NOTIFY_TEXT = 32 };

/*
 * What the client wants to be told about this recipient (RFC 3461), as it said it. Nobody else keeps it: we
 * are where the mail ends, and send no notifications. Returns how many fields that makes: mostly none.
 */
static size_t dsn_fields(const struct transaction *t, const struct recipient *r,
                         struct pst_field ret_fields[DSN_FIELDS], char notify[NOTIFY_TEXT])
{
    static const struct {
        unsigned bit;
        const char *name;
    } notifications[] = {
        { SMTP_NOTIFY_NEVER, ",never" },
        { SMTP_NOTIFY_SUCCESS, ",success" },
        { SMTP_NOTIFY_FAILURE, ",failure" },
        { SMTP_NOTIFY_DELAY, ",delay" },
    };
    size_t count = 0;
    if (t->envid != NULL)
        ret_fields[count++] = PST_STR("envid", t->envid);
    if (t->parameters.ret != SMTP_RET_NONE)
        ret_fields[count++] = PST_STR("ret", t->parameters.ret == SMTP_RET_FULL ? "full" : "hdrs");
    if (r->orcpt != NULL)
        ret_fields[count++] = PST_STR("orcpt", r->orcpt);
    if (r->notify != 0) {
        notify[0] = '\0';
        for (size_t i = 0; i < G_N_ELEMENTS(notifications); i++)
            if ((r->notify & notifications[i].bit) != 0)
                (void)g_strlcat(notify, notifications[i].name, NOTIFY_TEXT);
        ret_fields[count++] = PST_STR("notify", notify + strlen(","));
    }
    return count;
}

static void log_result(const struct transaction *t, const struct recipient *r, int result)
{
    const struct pst_log *log = conn_host(t->conn)->log;
    enum pst_log_level level = result == 0 ? PST_LOG_INFO : PST_LOG_ERROR;
    if (level < log->threshold)
        return;
    char from[SMTP_ADDRESS_TEXT], to[SMTP_ADDRESS_TEXT], notify[NOTIFY_TEXT];
    struct pst_field fields[7 + DSN_FIELDS] = {
        PST_STR("session", conn_id(t->conn)),
        PST_STR("id", t->id),
        PST_STR("from", smtp_address_format(&t->reverse_path, from)),
        PST_STR("to", smtp_address_format(&r->address, to)),
        PST_STR("mailbox", r->name),
    };
    size_t count = 5;
    if (result == 0) {
        fields[count++] = PST_UINT("octets", t->octets);
    } else {
        fields[count++] = PST_UINT("code", smtp_outcome_code(outcome_of(result)));
        fields[count++] = PST_STR("error", g_strerror(-result));
    }
    count += dsn_fields(t, r, fields + count, notify);
    pst_log_fields(log, level, result == 0 ? "delivered" : "delivery-failed", fields, count);
}

static void on_ready(void *owner)
{
    struct transaction *t = owner;
    conn_set_paused(t->conn, false);
}

static void on_done(void *owner, const int *results, size_t count)
{
    struct transaction *t = owner;
    struct conn *c = t->conn;
    pst_assert(count == t->recipients->len);
    for (size_t i = 0; i < count; i++)
        log_result(t, g_ptr_array_index(t->recipients, i), results[i]);
    /* SMTP has one answer for all, and the delivery saw to it that all results are alike. */
    size_t answers = conn_host(c)->service.protocol == SMTP_PROTOCOL_LMTP ? count : 1;
    for (size_t i = 0; i < answers; i++)
        conn_answer(c, t->ticket, (struct smtp_verdict){ .outcome = outcome_of(results[i]), .detail = t->id },
                    i + 1 < answers);
    transaction_free(t);
    conn_release(c);
}

/* RFC 3848, and for mail that asked for SMTPUTF8 RFC 6531 4.3. */
static const char *protocol_name(const struct transaction *t, const struct smtp_session *session)
{
    bool lmtp = conn_host(t->conn)->service.protocol == SMTP_PROTOCOL_LMTP;
    if (t->parameters.utf8)
        return lmtp ? "UTF8LMTP" : "UTF8SMTP";
    return lmtp ? "LMTP" : smtp_session_is_extended(session) ? "ESMTP" : "SMTP";
}

void transaction_open(struct transaction *t)
{
    static const struct delivery_events events = { .on_ready = on_ready, .on_done = on_done };
    const struct conn_host *host = conn_host(t->conn);
    const struct smtp_session *session = conn_session(t->conn);
    (void)snprintf(t->id, sizeof t->id, "%s.%u", conn_id(t->conn), conn_next_message(t->conn));

    const char *address = conn_client(t->conn);
    g_autofree char *client = g_strconcat(strchr(address, ':') != NULL ? "IPv6:" : "", address, NULL);
    struct trace trace = {
        .id = t->id,
        .hostname = host->service.hostname,
        .protocol = protocol_name(t, session),
        .helo = smtp_session_helo(session),
        .client = client,
        .client_name = conn_client_name(t->conn),
        .reverse_path = &t->reverse_path,
        .arrived_us = reactor_wall_us(host->reactor),
    };
    guint count = t->recipients->len;
    g_autofree struct delivery_target *targets = g_new(struct delivery_target, count);
    for (guint i = 0; i < count; i++) {
        struct recipient *r = g_ptr_array_index(t->recipients, i);
        GString *head = g_string_sized_new(512);
        trace_append(head, &trace, &r->address, count == 1);
        r->name = r->mailbox->name;
        targets[i] = (struct delivery_target){ .mailbox = g_steal_pointer(&r->mailbox),
                                               .head = g_string_free(head, FALSE) };
    }
    struct delivery_settings settings = host->delivery;
    settings.verbatim = t->parameters.body == SMTP_BODY_BINARYMIME; /* RFC 3030 3: no octet may change */
    t->delivery = delivery_new(host->reactor, &settings, targets, count, NULL, 0, &events, t);
}

bool transaction_is_open(const struct transaction *t)
{
    return t->delivery != NULL;
}

void transaction_log_refusal(const struct transaction *t, enum smtp_outcome outcome)
{
    const struct session_log_message message = { .id = t->id,
                                                 .from = &t->reverse_path,
                                                 .recipients = t->recipients->len,
                                                 .octets = delivery_octets(t->delivery) };
    session_log_message_refused(conn_host(t->conn)->log, conn_id(t->conn), &message, outcome);
}

void transaction_append(struct transaction *t, struct slice bytes)
{
    if (!delivery_append(t->delivery, bytes))
        conn_set_paused(t->conn, true);
}

void transaction_finish(struct transaction *t, uint64_t ticket)
{
    t->ticket = ticket;
    t->octets = delivery_octets(t->delivery);
    conn_hold(t->conn);
    delivery_finish(t->delivery, NULL);
}

void transaction_abandon(struct transaction *t)
{
    if (t == NULL)
        return;
    delivery_abort(t->delivery);
    transaction_free(t);
}
