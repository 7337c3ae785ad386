#include "worker/handling.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "delivery/maildir.h"
#include "handlers/pool.h"
#include "handlers/verdict.h"
#include "worker/lookup.h"
#include "worker/verdict.h"

enum { MAILBOXES_MAX = 10000 }; /* of a recipient that was redirected */

/* What a handler made of a recipient that shall have the message. */
struct change {
    GPtrArray *mailboxes; /* struct mailbox: where the redirects lead to; NULL: to where it led before */
    char *folder;         /* ".Lists.Announce", "" the mailbox itself; NULL: as it was */
    char flags[DELIVERY_FLAGS_SIZE];
    bool is_redirected;
    bool lacks_folder; /* in one of them */
};

/*
 *    handling_begin: message comes, is counted
 *    handling_go:    sealed --> asked --> verdict --> redirects are looked up --> folders --> changed,
 * committed |          `-> nobody shall have it: ended without
 *                                 `-> no verdict: as `on-failure` says
 */
struct handling {
    struct transaction *transaction;
    struct guard *guard;
    struct trace trace; /* for heads that are made later than the first ones: the session may be further */
    GArray *turns;      /* struct wire_turn */
    struct wire_message message;
    GPtrArray *memory;      /* what they point to */
    struct change *changes; /* one for each recipient, once there is a verdict that changes something */
    struct handler_answer *answer; /* while it, or the host's scratch file, is read; or NULL */
    unsigned open_questions;
    int lookup_error; /* of the first redirect that led nowhere */
};

static const struct conn_host *host_of(const struct transaction *t)
{
    return conn_host(t->conn);
}

/* ---- who is asked ---- */

static const char *keep(struct handling *h, char *take_text)
{
    if (take_text != NULL)
        g_ptr_array_add(h->memory, take_text);
    return take_text;
}

static struct trace keep_trace(struct handling *h, const struct trace *trace)
{
    struct trace kept = *trace;
    const char **texts[] = { &kept.helo,       &kept.client,          &kept.client_name, &kept.tls_version,
                             &kept.tls_cipher, &kept.tls_server_name, &kept.tls_client,  &kept.user };
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        *texts[i] = keep(h, g_strdup(*texts[i]));
    return kept;
}

/* The recipients whose domain is the handler's: all (then none are listed), some, or false: none. */
static bool find_recipients(struct handling *h, const struct handler_scope *scope, struct wire_turn *turn)
{
    const struct envelope *e = &h->transaction->envelope;
    if (scope->domains == NULL)
        return true;
    uint32_t *some = g_new(uint32_t, e->recipients->len);
    g_ptr_array_add(h->memory, some);
    for (guint i = 0; i < e->recipients->len; i++)
        if (handler_scope_has_domain(scope, envelope_recipient(e, i)->domain->name))
            some[turn->recipient_count++] = i;
    turn->recipients = some;
    bool found = turn->recipient_count > 0;
    if (turn->recipient_count == e->recipients->len)
        turn->recipient_count = 0;
    return found;
}

static void find_turns(struct handling *h)
{
    const struct conn_host *host = host_of(h->transaction);
    for (uint32_t i = 0; i < host->handlers->config.handler_count; i++) {
        const struct handler_scope *scope = &host->handlers->scopes[i];
        struct wire_turn turn = { .handler = i };
        if (handler_scope_has_listener(scope, host->listener) && find_recipients(h, scope, &turn))
            g_array_append_val(h->turns, turn);
    }
}

void handling_begin(struct transaction *t, const struct trace *trace)
{
    const struct conn_host *host = host_of(t);
    if (host->pool == NULL)
        return;
    struct handling *h = g_new0(struct handling, 1);
    h->transaction = t;
    h->turns = g_array_new(FALSE, FALSE, sizeof(struct wire_turn));
    h->memory = g_ptr_array_new_with_free_func(g_free);
    find_turns(h);
    if (h->turns->len == 0) {
        handling_free(h);
        return;
    }
    h->guard = guard_new(host->guard, t->parameters.body == SMTP_BODY_BINARYMIME);
    h->trace = keep_trace(h, trace);
    t->handling = h;
}

static void free_changes(struct handling *h)
{
    for (guint i = 0; h->changes != NULL && i < h->transaction->envelope.recipients->len; i++) {
        g_clear_pointer(&h->changes[i].mailboxes, g_ptr_array_unref);
        g_free(h->changes[i].folder);
    }
    g_clear_pointer(&h->changes, g_free);
}

void handling_free(struct handling *h)
{
    if (h == NULL)
        return;
    free_changes(h);
    guard_free(h->guard);
    handler_answer_free(h->answer);
    g_array_unref(h->turns);
    g_ptr_array_unref(h->memory);
    g_free(h);
}

void handling_take(struct handling *h, struct slice bytes)
{
    guard_take(h->guard, bytes);
}

/* ---- what they are told ---- */

static const char *keep_address(struct handling *h, const struct smtp_address *a)
{
    char text[SMTP_ADDRESS_TEXT];
    return keep(h, g_strdup(smtp_address_format(a, text)));
}

static const char *notify_text(struct handling *h, unsigned notify)
{
    char text[NOTIFY_TEXT];
    transaction_notify_text(notify, text);
    return keep(h, g_strdup(text));
}

static struct wire_recipient tell_recipient(struct handling *h, const struct recipient *r)
{
    const char **mailboxes = g_new(const char *, r->way_count);
    g_ptr_array_add(h->memory, mailboxes);
    for (size_t i = 0; i < r->way_count; i++) {
        struct smtp_address address;
        mailbox_address(envelope_target(&h->transaction->envelope, r->ways[i])->mailbox, &address);
        mailboxes[i] = keep_address(h, &address);
    }
    return (struct wire_recipient){
        .address = keep_address(h, &r->address),
        .mailboxes = { mailboxes, (uint32_t)r->way_count },
        .notify = r->notify != 0 ? notify_text(h, r->notify) : NULL,
        .original = r->orcpt,
    };
}

static const char *body_name(const struct transaction *t)
{
    switch (t->parameters.body) {
    case SMTP_BODY_8BITMIME:
        return "8BITMIME";
    case SMTP_BODY_BINARYMIME:
        return "BINARYMIME";
    default:
        return "7BIT";
    }
}

static const char *ret_name(const struct transaction *t)
{
    return t->parameters.ret == SMTP_RET_NONE ? NULL : t->parameters.ret == SMTP_RET_FULL ? "FULL" : "HDRS";
}

static struct wire_message tell(struct handling *h, const struct delivery_body *body)
{
    const struct transaction *t = h->transaction;
    guint count = t->envelope.recipients->len;
    struct wire_recipient *recipients = g_new(struct wire_recipient, count);
    g_ptr_array_add(h->memory, recipients);
    for (guint i = 0; i < count; i++)
        recipients[i] = tell_recipient(h, envelope_recipient(&t->envelope, i));
    return (struct wire_message){
        .session = conn_id(t->conn),
        .id = t->id,
        .listener = host_of(t)->listener,
        .protocol = h->trace.protocol,
        .client = conn_client(t->conn),
        .client_name = h->trace.client_name,
        .helo = h->trace.helo,
        .tls_version = h->trace.tls_version,
        .tls_cipher = h->trace.tls_cipher,
        .tls_server_name = h->trace.tls_server_name,
        .tls_client = h->trace.tls_client_is_verified ? h->trace.tls_client : NULL,
        .user = h->trace.user,
        .reverse_path = keep_address(h, &t->reverse_path),
        .body = body_name(t),
        .utf8 = t->parameters.utf8,
        .ret = ret_name(t),
        .envelope_id = t->envid,
        .declared_size = t->parameters.size,
        .arrived_us = h->trace.arrived_us,
        .recipients = recipients,
        .recipient_count = count,
        .turns = (struct wire_turn *)(void *)h->turns->data,
        .turn_count = h->turns->len,
        .size = body->size,
        .in_frame = body->file < 0,
        .octets = body->octets,
        .offset = body->offset,
    };
}

static void on_answer(void *owner, struct handler_answer *take_answer);

static void ask(struct handling *h)
{
    struct transaction *t = h->transaction;
    struct delivery_body body;
    if (delivery_body(t->delivery, &body) < 0) {
        transaction_commit(t); /* which tells why it cannot be */
        return;
    }
    h->message = tell(h, &body);
    handler_pool_ask(host_of(t)->pool, &h->message, body.file, on_answer, h);
}

void handling_go(struct transaction *t)
{
    const char *limit = guard_exceeded(t->handling->guard);
    if (limit != NULL) {
        pst_log(host_of(t)->log, PST_LOG_INFO, "structure-refused", PST_STR("session", conn_id(t->conn)),
                PST_STR("id", t->id), PST_STR("limit", limit));
        transaction_end_without(t, SMTP_BAD_STRUCTURE);
    } else if (delivery_seal(t->delivery)) {
        ask(t->handling);
    }
}

void handling_on_sealed(struct transaction *t)
{
    ask(t->handling);
}

/* ---- what they decided ---- */

/* The pool has looked that these make a reply. */
static char *reply_of(const struct wire_fate *fate)
{
    const char *silent = fate->decision == WIRE_REJECT ? "Message refused" : "Not now, try again later";
    return g_strdup_printf("%u %s %s", handler_reply_code(fate->code), fate->enhanced,
                           *fate->text != '\0' ? fate->text : silent);
}

static void log_fate(const struct handling *h, const struct recipient *r, const struct wire_fate *fate)
{
    static const char *const names[] = { "deliver", "reject", "defer", "discard" };
    const struct transaction *t = h->transaction;
    const struct wire_config *config = &host_of(t)->handlers->config;
    char to[SMTP_ADDRESS_TEXT];
    bool is_known = fate->handler >= 0 && (uint32_t)fate->handler < config->handler_count;
    pst_log(host_of(t)->log, PST_LOG_INFO, "handler-verdict", PST_STR("session", conn_id(t->conn)),
            PST_STR("id", t->id), PST_STR("to", smtp_address_format(&r->address, to)),
            PST_STR("verdict", names[fate->decision]),
            PST_STR("handler", is_known ? config->handlers[fate->handler].name : ""),
            PST_STR("reply", r->reply != NULL ? r->reply : ""));
}

static void warn(const struct handling *h, const char *event, const char *value)
{
    const struct transaction *t = h->transaction;
    pst_log(host_of(t)->log, PST_LOG_WARNING, event, PST_STR("session", conn_id(t->conn)),
            PST_STR("id", t->id), PST_STR("value", value));
}

static void take_refusal(struct handling *h, struct recipient *r, const struct wire_fate *fate)
{
    if (fate->decision == WIRE_REJECT || fate->decision == WIRE_DEFER) {
        r->refusal = fate->decision == WIRE_REJECT ? SMTP_HANDLER_REJECTED : SMTP_HANDLER_DEFERRED;
        r->reply = reply_of(fate);
    }
    if (fate->decision != WIRE_DELIVER)
        log_fate(h, r, fate);
}

static bool is_changed(const struct wire_fate *f)
{
    return f->decision != WIRE_DELIVER || f->folder != NULL || f->flags != NULL || f->redirects.count > 0;
}

static bool any_is_changed(const struct wire_verdict *v)
{
    for (uint32_t i = 0; i < v->fate_count; i++)
        if (is_changed(&v->fates[i]))
            return true;
    return false;
}

static void take_change(struct handling *h, struct change *c, const struct wire_fate *fate)
{
    char folder[FOLDER_MAX + 1];
    if (fate->decision != WIRE_DELIVER) {
        c->mailboxes = g_ptr_array_new(); /* of none */
        return;
    }
    if (fate->folder != NULL && mailbox_folder(fate->folder, folder) == 0)
        c->folder = g_strdup(folder);
    else if (fate->folder != NULL)
        warn(h, "handler-folder-ignored", fate->folder);
    if (fate->flags != NULL && delivery_flags(fate->flags, c->flags) < 0)
        warn(h, "handler-flags-ignored", fate->flags);
}

static void free_mailbox(void *mailbox)
{
    mailbox_free(mailbox);
}

/* ---- where they want it to go ---- */

static void apply(struct handling *h);

static GPtrArray *former_mailboxes(const struct handling *h, const struct recipient *r)
{
    GPtrArray *mailboxes = g_ptr_array_new_with_free_func(free_mailbox);
    for (size_t i = 0; i < r->way_count; i++)
        g_ptr_array_add(mailboxes,
                        mailbox_copy(envelope_target(&h->transaction->envelope, r->ways[i])->mailbox));
    return mailboxes;
}

static bool needs_folders(const struct handling *h)
{
    for (guint i = 0; i < h->transaction->envelope.recipients->len; i++)
        if (h->changes[i].folder != NULL)
            return true;
    return false;
}

/* A job: whether the folders are there. Those that are not are the mailbox itself. */
static void run_choose(void *arg)
{
    struct handling *h = arg;
    for (guint i = 0; i < h->transaction->envelope.recipients->len; i++) {
        struct change *c = &h->changes[i];
        for (guint k = 0; c->folder != NULL && k < c->mailboxes->len; k++)
            if (maildir_choose_folder(g_ptr_array_index(c->mailboxes, k), c->folder) == 0 &&
                *c->folder != '\0')
                c->lacks_folder = true;
    }
}

static void on_chosen(void *arg)
{
    struct handling *h = arg;
    for (guint i = 0; i < h->transaction->envelope.recipients->len; i++)
        if (h->changes[i].lacks_folder)
            warn(h, "handler-folder-missing", h->changes[i].folder);
    apply(h);
}

static void choose_folders(struct handling *h)
{
    for (guint i = 0; i < h->transaction->envelope.recipients->len; i++)
        if (h->changes[i].mailboxes == NULL)
            h->changes[i].mailboxes = former_mailboxes(h, envelope_recipient(&h->transaction->envelope, i));
    if (needs_folders(h))
        reactor_submit(host_of(h->transaction)->reactor, run_choose, on_chosen, h);
    else
        apply(h);
}

struct question {
    struct handling *handling;
    struct change *change;
    const char *address; /* of the answer, which is kept */
};

static void on_question_done(struct handling *h)
{
    if (--h->open_questions > 0)
        return;
    if (h->lookup_error < 0)
        transaction_end_without(h->transaction, SMTP_LOCAL_ERROR);
    else
        choose_folders(h);
}

static bool is_wanted(void *owner)
{
    (void)owner;
    return true; /* the message is whole: it will be delivered, whether or not its sender waits */
}

static void on_found(void *owner, const struct lookup_answer *answer)
{
    struct question *q = owner;
    struct handling *h = q->handling;
    GPtrArray *to = q->change->mailboxes;
    bool is_too_many = answer->result == 0 && answer->mailboxes->len > MAILBOXES_MAX - to->len;
    if (answer->result < 0 || is_too_many) {
        h->lookup_error = is_too_many ? -E2BIG : answer->result;
        warn(h, "handler-redirect-refused", q->address);
    }
    for (guint i = 0; answer->result == 0 && !is_too_many && i < answer->mailboxes->len; i++)
        g_ptr_array_add(to, mailbox_copy(g_ptr_array_index(answer->mailboxes, i)));
    g_free(q);
    on_question_done(h);
}

static void ask_where(struct handling *h, struct change *c, const char *address)
{
    static const struct lookup_events events = { .is_wanted = is_wanted, .on_done = on_found };
    const struct conn_host *host = host_of(h->transaction);
    struct smtp_address parsed;
    struct route_start start;
    if (smtp_address_parse(slice_str(address), &parsed) < 0 || !router_start(host->router, &parsed, &start)) {
        h->lookup_error = -ENOENT;
        warn(h, "handler-redirect-refused", address);
        return;
    }
    struct question *q = g_new(struct question, 1);
    *q = (struct question){ .handling = h, .change = c, .address = address };
    h->open_questions++;
    lookups_ask(host->lookups, &start, h->transaction->octets, &events, q);
}

static void follow_redirects(struct handling *h, const struct wire_verdict *v)
{
    h->open_questions = 1; /* ours, so that none that is answered at once is the last one */
    for (uint32_t i = 0; i < v->fate_count; i++) {
        const struct wire_fate *fate = &v->fates[i];
        if (fate->decision != WIRE_DELIVER || fate->redirects.count == 0)
            continue;
        h->changes[i].mailboxes = g_ptr_array_new_with_free_func(free_mailbox);
        h->changes[i].is_redirected = true;
        for (uint32_t k = 0; k < fate->redirects.count; k++)
            ask_where(h, &h->changes[i], fate->redirects.texts[k]);
    }
    on_question_done(h);
}

/* ---- the end ---- */

static void retarget(struct handling *h)
{
    struct transaction *t = h->transaction;
    guint count = t->envelope.targets->len;
    g_autofree struct delivery_target *targets = g_new0(struct delivery_target, count);
    for (guint i = 0; i < count; i++) {
        const struct target *target = envelope_target(&t->envelope, i);
        targets[i].mailbox = target->mailbox;
        targets[i].head = transaction_head(t, &h->trace, target);
        (void)g_strlcpy(targets[i].flags, target->flags, sizeof targets[i].flags);
    }
    g_autofree struct delivery_way *ways = envelope_ways(&t->envelope);
    delivery_retarget(t->delivery, targets, count, ways, t->envelope.ways);
    envelope_give(&t->envelope);
}

/* The same recipients, who lead to other mailboxes now. */
static void apply(struct handling *h)
{
    struct transaction *t = h->transaction;
    struct envelope next;
    envelope_init(&next);
    g_ptr_array_set_free_func(t->envelope.recipients, NULL); /* they move */
    for (guint i = 0; i < t->envelope.recipients->len; i++) {
        struct recipient *r = g_ptr_array_index(t->envelope.recipients, i);
        const struct change *c = &h->changes[i];
        struct route_start start;
        bool is_same = !c->is_redirected && router_start(host_of(t)->router, &r->address, &start);
        envelope_add_changed(&next, r, is_same ? &start : NULL, c->mailboxes, c->flags);
    }
    free_changes(h);
    envelope_clear(&t->envelope);
    t->envelope = next;
    retarget(h);
    transaction_commit(t);
}

static bool nobody_gets_it(const struct transaction *t, const struct wire_verdict *v)
{
    bool any_refused = false, any_delivered = false;
    for (uint32_t i = 0; i < v->fate_count; i++) {
        any_refused |= v->fates[i].decision == WIRE_REJECT || v->fates[i].decision == WIRE_DEFER;
        any_delivered |= v->fates[i].decision == WIRE_DELIVER;
    }
    return !any_delivered || (any_refused && !transaction_is_lmtp(t));
}

/* The scratch file of the host is read until the message is delivered; and the answer is ours until then. */
static int take_content(const struct handling *h)
{
    struct delivery *d = h->transaction->delivery;
    const struct wire_verdict *v = h->answer->verdict;
    if (v->replaced)
        return delivery_replace(d, h->answer->scratch, v->replaced_size, v->front, v->skip);
    return v->front.len > 0 || v->skip > 0 ? delivery_set_content(d, v->front, v->skip) : 0;
}

static void take_verdict(struct handling *h)
{
    struct transaction *t = h->transaction;
    const struct wire_verdict *v = h->answer->verdict;
    pst_assert(v->fate_count == t->envelope.recipients->len); /* the pool has looked */
    for (uint32_t i = 0; i < v->fate_count; i++)
        take_refusal(h, g_ptr_array_index(t->envelope.recipients, i), &v->fates[i]);
    if (nobody_gets_it(t, v)) {
        transaction_end_without(t, SMTP_DELIVERED);
        return;
    }
    if (take_content(h) < 0) {
        warn(h, "handler-content-unusable", "");
        transaction_end_without(t, SMTP_LOCAL_ERROR);
        return;
    }
    if (!any_is_changed(v)) {
        transaction_commit(t);
        return;
    }
    h->changes = g_new0(struct change, v->fate_count);
    for (uint32_t i = 0; i < v->fate_count; i++)
        take_change(h, &h->changes[i], &v->fates[i]);
    follow_redirects(h, v);
}

static void on_answer(void *owner, struct handler_answer *take_answer)
{
    struct handling *h = owner;
    struct transaction *t = h->transaction;
    h->answer = take_answer;
    if (h->answer->outcome == HANDLER_DECIDED)
        take_verdict(h);
    else if (h->answer->outcome == HANDLER_CHOKED)
        transaction_end_without(t, SMTP_BAD_STRUCTURE);
    else if (host_of(t)->handlers->deliver_on_failure)
        transaction_commit(t);
    else
        transaction_end_without(t, SMTP_LOCAL_ERROR);
}
