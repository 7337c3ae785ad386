#include "worker/transaction.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/number.h"
#include "worker/handling.h"
#include "worker/lookup.h"
#include "worker/session_log.h"
#include "worker/verdict.h"

enum {
    WAYS_MAX = 10000
}; /* from a message's recipients to its mailboxes: each is a line in the log, at once */

static char *copy_if_given(struct slice s)
{
    return s.len > 0 ? slice_dup(s) : NULL;
}

struct transaction *transaction_new(struct conn *c, const struct smtp_effect *mail)
{
    struct transaction *t = g_new(struct transaction, 1);
    *t = (struct transaction){ .conn = c,
                               .reverse_path = mail->address,
                               .parameters = mail->mail,
                               .envid = copy_if_given(mail->mail.envid) };
    t->parameters.envid = slice_of(t->envid, mail->mail.envid.len);
    envelope_init(&t->envelope);
    return t;
}

static void transaction_free(struct transaction *t)
{
    handling_free(t->handling);
    envelope_clear(&t->envelope);
    hops_clear(&t->hops);
    g_free(t->envid);
    g_free(t);
}

bool transaction_is_lmtp(const struct transaction *t)
{
    return conn_host(t->conn)->service.protocol == SMTP_PROTOCOL_LMTP;
}

/* ---- RCPT: from an address to mailboxes ---- */

struct question {
    struct conn *conn;
    struct transaction
        *transaction; /* the session waits for the answer, so it is there while the connection is open */
    uint64_t ticket;
    struct route_start start;
    struct recipient *recipient;
};

static void refuse(struct conn *c, uint64_t ticket, const struct smtp_address *address,
                   enum smtp_outcome outcome)
{
    session_log_rcpt_refused(conn_host(c)->log, conn_id(c), address, outcome);
    conn_answer(c, ticket, (struct smtp_verdict){ .outcome = outcome }, false);
}

static void refuse_recipient(struct conn *c, const struct question *q, const struct lookup_answer *answer)
{
    enum smtp_outcome outcome =
        answer->result == 0 ? SMTP_TOO_MANY_RECIPIENTS : verdict_of_lookup(answer->result, answer->full);
    if (answer->result != 0 && answer->result != -ENOENT && answer->result != -EDQUOT)
        session_log_lookup_failed(conn_host(c)->log, conn_id(c), &q->recipient->address, answer->why,
                                  answer->result);
    refuse(c, q->ticket, &q->recipient->address, outcome);
    recipient_free(q->recipient);
}

static bool has_room_for(const struct transaction *t, const GPtrArray *mailboxes)
{
    return t->envelope.ways == 0 || t->envelope.ways + mailboxes->len <= WAYS_MAX;
}

/* Over SMTP one that leads to nothing new is no news; but LMTP owes an answer for each (RFC 2033 4.2). */
static void accept_recipient(const struct question *q, const GPtrArray *mailboxes)
{
    struct transaction *t = q->transaction;
    envelope_add(&t->envelope, q->recipient, &q->start, mailboxes, transaction_is_lmtp(t));
    conn_answer(q->conn, q->ticket, (struct smtp_verdict){ .outcome = SMTP_RECIPIENT_OK }, false);
}

static bool is_wanted(void *owner)
{
    return conn_is_open(((const struct question *)owner)->conn);
}

static void on_found(void *owner, const struct lookup_answer *answer)
{
    struct question *q = owner;
    struct conn *c = q->conn;
    if (!conn_is_open(c))
        recipient_free(q->recipient);
    else if (answer->result == 0 && has_room_for(q->transaction, answer->mailboxes))
        accept_recipient(q, answer->mailboxes);
    else
        refuse_recipient(c, q, answer);
    g_free(q);
    conn_release(c);
}

void transaction_route(struct transaction *t, const struct smtp_effect *rcpt)
{
    const struct conn_host *host = conn_host(t->conn);
    struct route_start start;
    if (!router_start(host->router, &rcpt->address, &start)) {
        refuse(t->conn, rcpt->ticket, &rcpt->address, SMTP_NO_SUCH_DOMAIN);
        return;
    }
    struct recipient *recipient = g_new(struct recipient, 1);
    *recipient = (struct recipient){ .address = rcpt->address,
                                     .refusal = SMTP_DELIVERED,
                                     .notify = rcpt->rcpt.notify,
                                     .orcpt = copy_if_given(rcpt->rcpt.orcpt) };
    struct question *q = g_new(struct question, 1);
    *q = (struct question){ t->conn, t, rcpt->ticket, start, recipient };
    conn_hold(t->conn);
    static const struct lookup_events events = { .is_wanted = is_wanted, .on_done = on_found };
    lookups_ask(host->lookups, &q->start, t->parameters.size, &events, q);
}

/* ---- the message ---- */

enum { DSN_FIELDS = 4 };

void transaction_notify_text(unsigned notify, char text[NOTIFY_TEXT])
{
    static const struct {
        unsigned bit;
        const char *name;
    } notifications[] = {
        { SMTP_NOTIFY_NEVER, "never" },
        { SMTP_NOTIFY_SUCCESS, "success" },
        { SMTP_NOTIFY_FAILURE, "failure" },
        { SMTP_NOTIFY_DELAY, "delay" },
    };
    text[0] = '\0';
    for (size_t i = 0; i < G_N_ELEMENTS(notifications); i++) {
        if ((notify & notifications[i].bit) == 0)
            continue;
        (void)g_strlcat(text, text[0] != '\0' ? "," : "", NOTIFY_TEXT);
        (void)g_strlcat(text, notifications[i].name, NOTIFY_TEXT);
    }
}

/*
 * What the client wants to be told about this recipient (RFC 3461), as it said it. Nobody else keeps it: we
 * are where the mail ends, and send no notifications. Returns how many fields that makes: mostly none.
 */
static size_t dsn_fields(const struct transaction *t, const struct recipient *r,
                         struct pst_field ret_fields[DSN_FIELDS], char notify[NOTIFY_TEXT])
{
    size_t count = 0;
    if (t->envid != NULL)
        ret_fields[count++] = PST_STR("envid", t->envid);
    if (t->parameters.ret != SMTP_RET_NONE)
        ret_fields[count++] = PST_STR("ret", t->parameters.ret == SMTP_RET_FULL ? "full" : "hdrs");
    if (r->orcpt != NULL)
        ret_fields[count++] = PST_STR("orcpt", r->orcpt);
    if (r->notify != 0) {
        transaction_notify_text(r->notify, notify);
        ret_fields[count++] = PST_STR("notify", notify);
    }
    return count;
}

static bool goes_round(const struct transaction *t)
{
    return t->hops.received > conn_host(t->conn)->received_max;
}

static const char *reason_of(const struct transaction *t, int result)
{
    if (result == -ECANCELED)
        return "given up, as another mailbox of its recipient failed";
    if (result == -EMULTIHOP)
        return goes_round(t) ? "too many Received fields" : "it was there before, by its Delivered-To";
    return g_strerror(-result);
}

static void log_result(const struct transaction *t, const struct recipient *r, const struct mailbox *m,
                       int result)
{
    const struct pst_log *log = conn_host(t->conn)->log;
    enum pst_log_level level = result == 0 ? PST_LOG_INFO : PST_LOG_ERROR;
    if (level < log->threshold)
        return;
    char from[SMTP_ADDRESS_TEXT], to[SMTP_ADDRESS_TEXT], notify[NOTIFY_TEXT];
    struct pst_field fields[8 + DSN_FIELDS] = {
        PST_STR("session", conn_id(t->conn)),
        PST_STR("id", t->id),
        PST_STR("from", smtp_address_format(&t->reverse_path, from)),
        PST_STR("to", smtp_address_format(&r->address, to)),
        PST_STR("mailbox", m->name),
    };
    size_t count = 5;
    if (m->folder != NULL)
        fields[count++] = PST_STR("folder", m->folder);
    if (result == 0) {
        fields[count++] = PST_UINT("octets", t->octets);
    } else {
        fields[count++] = PST_UINT("code", smtp_outcome_code(verdict_of_delivery(result, m->domain)));
        fields[count++] = PST_STR("error", reason_of(t, result));
    }
    count += dsn_fields(t, r, fields + count, notify);
    pst_log_fields(log, level, result == 0 ? "delivered" : "delivery-failed", fields, count);
}

static void on_sealed(void *owner)
{
    handling_on_sealed(owner);
}

static void on_ready(void *owner)
{
    struct transaction *t = owner;
    conn_set_paused(t->conn, false);
}

/* Of two failures: one that may pass keeps the message from bouncing. */
static enum smtp_outcome milder(enum smtp_outcome a, enum smtp_outcome b)
{
    return a == SMTP_DELIVERED || smtp_outcome_code(b) < smtp_outcome_code(a) ? b : a;
}

/* Of a recipient, all of whose mailboxes have the message, or none does: what was given up because of another
 * mailbox does not say why. */
static enum smtp_outcome outcome_of(const struct transaction *t, const struct recipient *r,
                                    const int *results)
{
    enum smtp_outcome outcome = r->refusal;
    bool is_given_up = false;
    for (size_t i = 0; i < r->way_count; i++) {
        int result = results[r->ways[i]];
        const struct domain *domain = envelope_target(&t->envelope, r->ways[i])->mailbox->domain;
        if (result == -ECANCELED)
            is_given_up = true;
        else if (result < 0)
            outcome = milder(outcome, verdict_of_delivery(result, domain));
    }
    return outcome == SMTP_DELIVERED && is_given_up ? SMTP_LOCAL_ERROR : outcome;
}

/* SMTP has one answer for all. The delivery saw to it that all results are alike; but domains differ in what
 * a full mailbox means, and handlers in what they say. Returns whose answer it is. */
static const struct recipient *speaker(const struct transaction *t, const int *results)
{
    const struct recipient *found = envelope_recipient(&t->envelope, 0);
    enum smtp_outcome outcome = outcome_of(t, found, results);
    for (guint i = 1; i < t->envelope.recipients->len; i++) {
        const struct recipient *r = envelope_recipient(&t->envelope, i);
        enum smtp_outcome other = outcome_of(t, r, results);
        if (other != SMTP_DELIVERED && milder(outcome, other) != outcome) {
            found = r;
            outcome = other;
        }
    }
    return found;
}

static void answer(const struct transaction *t, const struct recipient *r, enum smtp_outcome outcome,
                   bool more)
{
    const char *detail = r->reply != NULL ? r->reply : t->id;
    conn_answer(t->conn, t->ticket, (struct smtp_verdict){ .outcome = outcome, .detail = detail }, more);
}

static void count_accepted(const struct transaction *t, guint recipients)
{
    struct counters *counters = conn_host(t->conn)->counters;
    counters_add(counters, COUNTER_MESSAGES, recipients > 0);
    counters_add(counters, COUNTER_RECIPIENTS, recipients);
}

static guint delivered(const struct transaction *t, const int *results)
{
    guint count = 0;
    for (guint i = 0; i < t->envelope.recipients->len; i++)
        count += outcome_of(t, envelope_recipient(&t->envelope, i), results) == SMTP_DELIVERED;
    return count;
}

/* LMTP has one for each recipient (RFC 2033 4.2). What a client has been told of was counted. */
static void answer_all(const struct transaction *t, const int *results)
{
    guint count = t->envelope.recipients->len;
    if (!transaction_is_lmtp(t)) {
        const struct recipient *r = speaker(t, results);
        enum smtp_outcome outcome = outcome_of(t, r, results);
        count_accepted(t, outcome == SMTP_DELIVERED ? count : 0);
        answer(t, r, outcome, false);
        return;
    }
    count_accepted(t, delivered(t, results));
    for (guint i = 0; i < count; i++) {
        const struct recipient *r = envelope_recipient(&t->envelope, i);
        answer(t, r, outcome_of(t, r, results), i + 1 < count);
    }
}

static void on_done(void *owner, const int *results, size_t count)
{
    struct transaction *t = owner;
    struct conn *c = t->conn;
    pst_assert(count == t->envelope.targets->len);
    for (guint i = 0; i < t->envelope.recipients->len; i++) {
        const struct recipient *r = envelope_recipient(&t->envelope, i);
        for (size_t k = 0; k < r->way_count; k++)
            log_result(t, r, envelope_target(&t->envelope, r->ways[k])->mailbox, results[r->ways[k]]);
    }
    answer_all(t, results);
    transaction_free(t);
    conn_release(c);
}

/* With one file for all, what it says is the same for all. */
char *transaction_head(const struct transaction *t, const struct trace *trace, const struct target *target)
{
    const struct recipient *first = envelope_recipient(&t->envelope, target->first);
    const bool is_shared = conn_host(t->conn)->delivery.single_instance && t->envelope.targets->len > 1;
    struct smtp_address address;
    mailbox_address(target->mailbox, &address);
    GString *head = g_string_sized_new(512);
    trace_append(head, trace, is_shared ? NULL : &address,
                 !is_shared && target->is_renamed ? &first->address : NULL,
                 t->envelope.recipients->len == 1 ? &first->address : NULL);
    return g_string_free(head, FALSE);
}

void transaction_open(struct transaction *t)
{
    static const struct delivery_events events = { .on_ready = on_ready,
                                                   .on_sealed = on_sealed,
                                                   .on_done = on_done };
    const struct conn_host *host = conn_host(t->conn);
    const struct smtp_session *session = conn_session(t->conn);
    char *end = pst_put_u64(stpcpy(stpcpy(t->id, conn_id(t->conn)), "."), conn_next_message(t->conn));
    *end = '\0';

    const struct tls_facts *tls = conn_tls(t->conn);
    char client[sizeof "IPv6:" + CONN_CLIENT_SIZE];
    const char *address = conn_client(t->conn);
    (void)stpcpy(stpcpy(client, strchr(address, ':') != NULL ? "IPv6:" : ""), address);
    struct trace trace = {
        .id = t->id,
        .hostname = host->service.hostname,
        .protocol = trace_protocol(transaction_is_lmtp(t), smtp_session_is_extended(session),
                                   t->parameters.utf8, tls != NULL, conn_user(t->conn) != NULL),
        .helo = smtp_session_helo(session),
        .client = client,
        .client_name = conn_client_name(t->conn),
        .reverse_path = &t->reverse_path,
        .arrived_us = reactor_wall_us(host->reactor),
        .tls_version = tls != NULL ? tls->version : NULL,
        .tls_cipher = tls != NULL ? tls->cipher : NULL,
        .tls_server_name = tls != NULL ? tls->server_name : NULL,
        .tls_client = tls != NULL && !conn_is_spoken_for(t->conn) ? tls->client_subject : NULL,
        .tls_client_is_verified = tls != NULL && tls->client_is_verified,
        .user = conn_user(t->conn),
    };
    guint count = t->envelope.targets->len;
    g_autofree struct delivery_target *targets = g_new(struct delivery_target, count);
    for (guint i = 0; i < count; i++)
        targets[i] =
            (struct delivery_target){ .mailbox = envelope_target(&t->envelope, i)->mailbox,
                                      .head = transaction_head(t, &trace, envelope_target(&t->envelope, i)) };
    struct delivery_settings settings = host->delivery;
    settings.verbatim = t->parameters.body == SMTP_BODY_BINARYMIME; /* RFC 3030 3: no octet may change */
    g_autofree struct delivery_way *ways = envelope_ways(&t->envelope);
    t->delivery = delivery_new(host->reactor, &settings, targets, count, ways, t->envelope.ways, &events, t);
    envelope_give(&t->envelope);
    handling_begin(t, &trace);
}

bool transaction_is_open(const struct transaction *t)
{
    return t->delivery != NULL;
}

void transaction_log_refusal(const struct transaction *t, enum smtp_outcome outcome)
{
    const struct session_log_message message = { .id = t->id,
                                                 .from = &t->reverse_path,
                                                 .recipients = t->envelope.recipients->len,
                                                 .octets = delivery_octets(t->delivery) };
    session_log_message_refused(conn_host(t->conn)->log, conn_id(t->conn), &message, outcome);
}

static void take(struct transaction *t, struct slice bytes)
{
    hops_take(&t->hops, bytes);
    if (t->handling != NULL)
        handling_take(t->handling, bytes);
    if (!delivery_append(t->delivery, bytes))
        conn_set_paused(t->conn, true);
}

/*
 * A first line that begins with a blank would be read as more of our Received (RFC 5322 2.2.3), in which
 * nobody else has a say. It is no field, so that there is no header section: an empty line tells that.
 */
static bool would_continue(const struct transaction *t, struct slice bytes)
{
    return delivery_octets(t->delivery) == 0 && bytes.len > 0 &&
           (bytes.data[0] == ' ' || bytes.data[0] == '\t');
}

void transaction_append(struct transaction *t, struct slice bytes)
{
    if (would_continue(t, bytes))
        take(t, slice_str("\n"));
    take(t, bytes);
}

/* Whether the message was in that mailbox before, by one of its Delivered-To fields. */
static void refuse_loops(const struct transaction *t, int *refusals)
{
    const struct router *router = conn_host(t->conn)->router;
    for (guint i = 0; t->hops.delivered != NULL && i < t->hops.delivered->len; i++) {
        struct route_start start;
        unsigned target;
        if (!router_start(router, &g_array_index(t->hops.delivered, struct smtp_address, i), &start))
            continue;
        const struct mailbox was = { .domain = start.domain, .name = start.name };
        bool there = envelope_find(&t->envelope, &was, &target);
        start.name[strcspn(start.name, start.domain->options.subaddress)] = '\0';
        if (there || envelope_find(&t->envelope, &was, &target))
            refusals[target] = -EMULTIHOP;
    }
}

/* For each target, why it shall not have the message; NULL when all shall. */
static int *find_loops(const struct transaction *t)
{
    bool too_many = goes_round(t);
    if (!too_many && t->hops.delivered == NULL)
        return NULL;
    int *refusals = g_new0(int, t->envelope.targets->len);
    for (guint i = 0; i < t->envelope.targets->len && too_many; i++)
        refusals[i] = -EMULTIHOP;
    refuse_loops(t, refusals);
    return refusals;
}

void transaction_commit(struct transaction *t)
{
    g_autofree int *refusals = find_loops(t);
    delivery_finish(t->delivery, refusals);
}

void transaction_end_without(struct transaction *t, enum smtp_outcome outcome)
{
    struct conn *c = t->conn;
    for (guint i = 0; i < t->envelope.recipients->len; i++) {
        struct recipient *r = g_ptr_array_index(t->envelope.recipients, i);
        if (r->refusal == SMTP_DELIVERED)
            r->refusal = outcome;
        r->way_count = 0;
    }
    if (outcome != SMTP_DELIVERED)
        transaction_log_refusal(t, outcome);
    delivery_abort(g_steal_pointer(&t->delivery));
    answer_all(t, NULL);
    transaction_free(t);
    conn_release(c);
}

void transaction_finish(struct transaction *t, uint64_t ticket)
{
    t->ticket = ticket;
    t->octets = delivery_octets(t->delivery);
    conn_hold(t->conn);
    if (t->handling != NULL && !goes_round(t))
        handling_go(t);
    else
        transaction_commit(t);
}

void transaction_abandon(struct transaction *t)
{
    if (t == NULL)
        return;
    delivery_abort(t->delivery);
    transaction_free(t);
}
