#include "play_core.h"

#include "base/random.h"
#include "bytes.h"
#include "smtp/session.h"

const char *const core_cut_names[] = { "whole", "bytes", "random", NULL };

enum { START_MS = 86400000 }; /* the clock's, so that a deadline reckoned from 0 is seen */

/* A question that was not answered yet. Only one can be open. */
struct question {
    enum { QUESTION_NONE, QUESTION_RCPT, QUESTION_FINISH, QUESTION_AUTH } kind;
    uint64_t ticket;
    char *mailbox;             /* RCPT: the one meant, or NULL */
    enum smtp_outcome refusal; /* RCPT: when mailbox is NULL */
    guint answered;            /* FINISH in LMTP: so many recipients were answered for */
};

/* AUTH from its first question to its last answer. */
struct exchange {
    bool open;
    char *mechanism;
    GPtrArray *heard; /* GByteArray *: the responses, decoded */
};

struct core {
    struct player base;
    struct smtp_service service;
    struct smtp_client client;
    struct smtp_session *session;
    enum core_cut cut;
    struct pst_random random;
    msec_t now;
    bool ended;       /* the session has said so */
    bool held;        /* questions wait for `release` */
    GByteArray *kept; /* what the session did not take */
    uint8_t *fed;     /* what it was handed last, for as long as effects may point into it */
    size_t fed_len;
    struct question question;
    bool securing, authenticated;
    struct exchange exchange;
    /* the transaction */
    bool in_mail, open;
    char *reverse_path;
    GPtrArray *recipients; /* char *: accepted mailboxes */
    GByteArray *message;
    /* what the script says */
    enum smtp_outcome auth_answer; /* with `answers_auth`: to AUTH's next question */
    bool answers_auth;
    GHashTable *refusals; /* mailbox -> outcome + 1 */
    GHashTable *failures; /* mailbox, or "" for all -> outcome + 1 */
    GHashTable *stored;   /* mailbox -> GPtrArray of struct message */
    GPtrArray
        *details; /* char *: what answers were given, until the effects that may point there were pulled */
    unsigned delivered;
    char *broken; /* how the core broke its promises */
};

G_STATIC_ASSERT(G_N_ELEMENTS(core_cut_names) == CORE_CUTS + 1);

static void broke(struct core *c, const char *how)
{
    if (c->broken == NULL)
        c->broken = g_strdup_printf("the core broke its contract: %s (phase %s)", how,
                                    smtp_session_phase(c->session));
}

static bool keeps_promises(const struct core *c, char **ret_problem)
{
    if (c->broken == NULL)
        return true;
    *ret_problem = g_strdup(c->broken);
    return false;
}

/* ---- answers ---- */

static const enum smtp_outcome *lookup_outcome(GHashTable *table, const char *mailbox)
{
    return g_hash_table_lookup(table, mailbox);
}

static void answer(struct core *c, uint64_t ticket, enum smtp_outcome outcome, const char *detail)
{
    char *borrowed = g_strdup(detail);
    g_ptr_array_add(c->details, borrowed);
    smtp_session_answer(c->session, ticket, (struct smtp_verdict){ outcome, borrowed }, c->now);
}

static void close_question(struct core *c)
{
    g_free(c->question.mailbox);
    c->question = (struct question){ 0 };
}

static void answer_rcpt(struct core *c)
{
    struct question q = c->question;
    const enum smtp_outcome *refused =
        q.mailbox != NULL ? lookup_outcome(c->refusals, q.mailbox) : &q.refusal;
    if (refused == NULL)
        g_ptr_array_add(c->recipients, g_strdup(q.mailbox));
    answer(c, q.ticket, refused != NULL ? *refused : SMTP_RECIPIENT_OK, NULL);
    close_question(c);
}

static void store(struct core *c, const char *mailbox)
{
    GPtrArray *messages = g_hash_table_lookup(c->stored, mailbox);
    struct slice bytes = slice_of(c->message->data, c->message->len);
    g_ptr_array_add(messages, message_new(bytes, bytes, c->reverse_path));
}

/* The end of the message's transaction, so far as its owner is concerned. */
static void close_message(struct core *c)
{
    c->in_mail = c->open = false;
    close_question(c);
}

/* SMTP: one answer, for all recipients or none. */
static void answer_finish(struct core *c)
{
    const enum smtp_outcome *failed = lookup_outcome(c->failures, "");
    for (guint i = 0; failed == NULL && i < c->recipients->len; i++)
        failed = lookup_outcome(c->failures, g_ptr_array_index(c->recipients, i));
    for (guint i = 0; failed == NULL && i < c->recipients->len; i++)
        store(c, g_ptr_array_index(c->recipients, i));
    g_autofree char *id = g_strdup_printf("id%u", ++c->delivered);
    answer(c, c->question.ticket, failed != NULL ? *failed : SMTP_DELIVERED, id);
    close_message(c);
}

/* LMTP: one for each recipient, in the order of their acceptance. */
static void answer_finish_next(struct core *c)
{
    const char *mailbox = g_ptr_array_index(c->recipients, c->question.answered);
    const enum smtp_outcome *failed = lookup_outcome(c->failures, "");
    if (failed == NULL)
        failed = lookup_outcome(c->failures, mailbox);
    if (failed == NULL)
        store(c, mailbox);
    g_autofree char *id = g_strdup_printf("id%u", ++c->delivered);
    answer(c, c->question.ticket, failed != NULL ? *failed : SMTP_DELIVERED, id);
    if (++c->question.answered == c->recipients->len)
        close_message(c);
}

/* ---- AUTH ---- */

static void close_exchange(struct core *c)
{
    g_clear_pointer(&c->exchange.mechanism, g_free);
    g_clear_pointer(&c->exchange.heard, g_ptr_array_unref);
    c->exchange.open = false;
}

static void hear(struct core *c, struct slice base64)
{
    gsize len = 0;
    g_autofree char *text = slice_dup(base64);
    guchar *bytes = *text != '\0' ? g_base64_decode(text, &len) : NULL;
    g_ptr_array_add(c->exchange.heard, g_byte_array_new_take(bytes, len));
}

static bool heard(const struct core *c, guint index, const char *text, size_t len)
{
    const GByteArray *bytes = g_ptr_array_index(c->exchange.heard, index);
    return slice_equal(slice_of(bytes->data, bytes->len), slice_of(text, len));
}

/* A name or a password, which LOGIN wants by itself and PLAIN between NULs. */
static bool is_well_formed(const GByteArray *response, bool is_login)
{
    bool has_nul = response->len > 0 && memchr(response->data, '\0', response->len) != NULL;
    return response->len > 0 && has_nul != is_login;
}

/* One user, one password, two mechanisms: what is wanted next, or how it went. As a daemon's authenticator
 * would, which answers the same scripts. */
static enum smtp_outcome judge(const struct core *c, const char **ret_challenge)
{
    static const char plain[] = "\0alice\0secret";
    bool is_login = strcmp(c->exchange.mechanism, "LOGIN") == 0;
    guint count = c->exchange.heard->len;
    if (count > 0 && !is_well_formed(g_ptr_array_index(c->exchange.heard, count - 1), is_login))
        return SMTP_AUTH_MALFORMED;
    if (count < (is_login ? 2 : 1)) {
        *ret_challenge = !is_login ? "" : count == 0 ? "VXNlcm5hbWU6" : "UGFzc3dvcmQ6";
        return SMTP_AUTH_CHALLENGE;
    }
    bool right =
        is_login ? heard(c, 0, "alice", 5) && heard(c, 1, "secret", 6) : heard(c, 0, plain, sizeof plain - 1);
    return right ? SMTP_AUTHENTICATED : SMTP_AUTH_FAILED;
}

static void answer_auth(struct core *c)
{
    const char *challenge = NULL;
    enum smtp_outcome outcome = c->answers_auth ? c->auth_answer : judge(c, &challenge);
    uint64_t ticket = c->question.ticket;
    c->answers_auth = false;
    close_question(c);
    c->authenticated = outcome == SMTP_AUTHENTICATED;
    if (outcome != SMTP_AUTH_CHALLENGE)
        close_exchange(c);
    answer(c, ticket, outcome, challenge);
}

/* Gives one answer to the question that is open. */
static void answer_question(struct core *c)
{
    if (!smtp_session_is_waiting(c->session))
        broke(c, "it asked, but does not wait for the answer");
    if (smtp_session_deadline(c->session) != MSEC_NEVER)
        broke(c, "it has a deadline although a question is open");
    if (c->cut == CORE_RANDOM)
        answer(c, c->question.ticket + 1000, SMTP_LOCAL_ERROR, "of a ticket that was never given");
    if (c->question.kind == QUESTION_RCPT)
        answer_rcpt(c);
    else if (c->question.kind == QUESTION_AUTH)
        answer_auth(c);
    else
        (c->service.protocol == SMTP_PROTOCOL_LMTP ? answer_finish_next : answer_finish)(c);
    if (smtp_session_is_waiting(c->session) != (c->question.kind != QUESTION_NONE))
        broke(c, "it waits although all was answered, or does not wait although an answer is owed");
}

static void ask(struct core *c, struct question q)
{
    if (c->question.kind != QUESTION_NONE)
        broke(c, "it asked a question while another was open");
    close_question(c);
    c->question = q;
}

/* ---- effects ---- */

static bool is_ours(const struct core *c, struct slice domain)
{
    char name[SMTP_DOMAIN_MAX + 1], other[SMTP_DOMAIN_MAX + 1] = "";
    if (smtp_domain_canonical(domain, name) < 0)
        return false;
    if (c->base.script->domain != NULL)
        (void)smtp_domain_canonical(slice_str(c->base.script->domain), other);
    return strcmp(name, "example.org") == 0 || strcmp(name, other) == 0;
}

/* What a router does: the mailbox of an address, or the refusal. */
static void do_rcpt(struct core *c, const struct smtp_effect *e)
{
    struct question q = { .kind = QUESTION_RCPT, .ticket = e->ticket };
    const struct smtp_address *a = &e->address;
    if (!c->in_mail)
        broke(c, "RCPT outside a transaction");
    bool bare = a->domain_len == 0;
    if (bare && !slice_equal_nocase(slice_of(a->local, a->local_len), "postmaster"))
        broke(c, "it let through a recipient without a domain who is not postmaster");
    if (!bare && !is_ours(c, slice_of(a->domain, a->domain_len))) {
        q.refusal = SMTP_NO_SUCH_DOMAIN;
    } else {
        g_autofree char *local = g_ascii_strdown(a->local, a->local_len);
        q.mailbox = g_hash_table_contains(c->stored, local) ? g_steal_pointer(&local) : NULL;
        q.refusal = SMTP_NO_SUCH_MAILBOX;
    }
    ask(c, q);
}

static void do_auth(struct core *c, const struct smtp_effect *e)
{
    if (c->exchange.open || c->in_mail || c->authenticated)
        broke(c, "AUTH inside an exchange or a transaction, or a second time");
    g_autofree char *name = slice_dup(e->bytes);
    close_exchange(c);
    c->exchange = (struct exchange){
        .open = true,
        .mechanism = g_ascii_strup(name, -1),
        .heard = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref),
    };
    if (!g_str_equal(c->exchange.mechanism, "PLAIN") && !g_str_equal(c->exchange.mechanism, "LOGIN"))
        broke(c, "AUTH by a mechanism that is not offered");
    if (e->has_initial)
        hear(c, e->initial);
    ask(c, (struct question){ .kind = QUESTION_AUTH, .ticket = e->ticket });
}

static void do_auth_response(struct core *c, const struct smtp_effect *e)
{
    if (!c->exchange.open) {
        broke(c, "a response outside an exchange");
        return;
    }
    hear(c, e->bytes);
    ask(c, (struct question){ .kind = QUESTION_AUTH, .ticket = e->ticket });
}

static void do_auth_cancel(struct core *c)
{
    if (!c->exchange.open || c->question.kind != QUESTION_NONE)
        broke(c, "CANCEL outside an exchange, or of one whose answer is awaited");
    close_exchange(c);
}

static bool holds(struct slice bytes, const char *text)
{
    return bytes.len > 0 && memmem(bytes.data, bytes.len, text, strlen(text)) != NULL;
}

/* The ends of "\0alice\0secret" and "secret" in Base64, where the scripts have them. */
static void do_refused(struct core *c, const struct smtp_effect *e)
{
    if (smtp_outcome_code(e->outcome) < 400)
        broke(c, "REFUSED with what is no refusal");
    if (holds(e->bytes, "AHNlY3Jl") || holds(e->bytes, "c2VjcmV0"))
        broke(c, "a password for the log");
}

static void do_mail(struct core *c, const struct smtp_effect *e)
{
    char text[SMTP_ADDRESS_TEXT];
    if (c->in_mail)
        broke(c, "MAIL inside a transaction");
    c->in_mail = true;
    g_free(c->reverse_path);
    c->reverse_path = g_strdup(smtp_address_format(&e->address, text));
    g_ptr_array_set_size(c->recipients, 0);
}

static void do_open(struct core *c)
{
    if (!c->in_mail || c->open || c->recipients->len == 0)
        broke(c, "OPEN without recipients, or twice");
    c->open = true;
    g_byte_array_set_size(c->message, 0);
}

static void do_append(struct core *c, const struct smtp_effect *e)
{
    if (!c->open || c->question.kind != QUESTION_NONE)
        broke(c, "APPEND without an open message");
    if (e->bytes.len == 0)
        broke(c, "APPEND of nothing");
    g_byte_array_append(c->message, e->bytes.data, (guint)e->bytes.len);
    if (c->message->len > c->service.limits.message_size)
        broke(c, "APPEND of more than the size limit");
}

static void do_finish(struct core *c, const struct smtp_effect *e)
{
    if (!c->open)
        broke(c, "FINISH without an open message");
    ask(c, (struct question){ .kind = QUESTION_FINISH, .ticket = e->ticket });
}

static void do_reset(struct core *c)
{
    if (c->question.kind == QUESTION_FINISH)
        broke(c, "RESET although the message is complete and its answer is awaited");
    close_message(c);
}

static void do_end(struct core *c)
{
    if (c->in_mail)
        broke(c, "END inside a transaction, without RESET");
    if (c->exchange.open)
        broke(c, "END inside an exchange, without CANCEL");
    c->ended = c->base.closed = true;
}

static void do_write(struct core *c, const struct smtp_effect *e)
{
    if (e->bytes.len == 0)
        broke(c, "WRITE of nothing");
    g_byte_array_append(c->base.received, e->bytes.data, (guint)e->bytes.len);
}

static bool lies_within(struct slice bytes, const void *start, size_t len)
{
    uintptr_t from = (uintptr_t)start, data = (uintptr_t)bytes.data;
    return data >= from && data - from <= len && bytes.len <= len - (data - from);
}

static void perform(struct core *c, const struct smtp_effect *e)
{
    if (c->base.closed)
        broke(c, "an effect after the end");
    if (e->bytes.len > 0 && !lies_within(e->bytes, e->text, sizeof e->text) &&
        !lies_within(e->bytes, c->fed, c->fed_len))
        broke(c, "an effect's bytes lie neither in it nor in what was fed");
    switch (e->kind) {
    case SMTP_EFFECT_WRITE:
        do_write(c, e);
        break;
    case SMTP_EFFECT_STARTTLS:
        if (c->in_mail || c->exchange.open || c->securing)
            broke(c, "STARTTLS inside a transaction or an exchange, or twice");
        c->securing = true;
        break;
    case SMTP_EFFECT_AUTH:
        do_auth(c, e);
        break;
    case SMTP_EFFECT_AUTH_RESPONSE:
        do_auth_response(c, e);
        break;
    case SMTP_EFFECT_AUTH_CANCEL:
        do_auth_cancel(c);
        break;
    case SMTP_EFFECT_XCLIENT:
    case SMTP_EFFECT_XFORWARD:
        c->authenticated &= e->kind != SMTP_EFFECT_XCLIENT; /* it is another client now */
        if (c->in_mail)
            broke(c, "XCLIENT or XFORWARD inside a transaction");
        break;
    case SMTP_EFFECT_MAIL:
        do_mail(c, e);
        break;
    case SMTP_EFFECT_RCPT:
        do_rcpt(c, e);
        break;
    case SMTP_EFFECT_OPEN:
        do_open(c);
        break;
    case SMTP_EFFECT_APPEND:
        do_append(c, e);
        break;
    case SMTP_EFFECT_FINISH:
        do_finish(c, e);
        break;
    case SMTP_EFFECT_RESET:
        do_reset(c);
        break;
    case SMTP_EFFECT_REFUSED:
        do_refused(c, e);
        break;
    case SMTP_EFFECT_END:
        do_end(c);
        break;
    }
}

static bool coin(struct core *c)
{
    return c->cut == CORE_RANDOM && pst_random_below(&c->random, 2) == 0;
}

/* Pulls until the session is dry; true if there was anything. */
static bool pull(struct core *c)
{
    struct smtp_effect *effect =
        g_new(struct smtp_effect, 1); /* on the heap: a sanitizer sees every step beyond it */
    bool any = false;
    while (smtp_session_next(c->session, effect)) {
        any = true;
        bool asked = c->question.kind != QUESTION_NONE;
        perform(c, effect);
        if (!asked && c->question.kind != QUESTION_NONE && !c->held && (c->cut == CORE_WHOLE || coin(c)))
            answer_question(c);
    }
    g_free(effect);
    g_ptr_array_set_size(c->details, 0);
    if (c->question.kind != QUESTION_NONE && !smtp_session_is_waiting(c->session))
        broke(c, "it asked, but does not wait for the answer");
    return any;
}

/* Hands over all that is kept, and forgets what was taken. True if that led anywhere. */
static bool feed(struct core *c)
{
    c->fed_len = c->kept->len;
    c->fed = g_memdup2(c->kept->data, c->fed_len);
    bool securing = c->securing;
    size_t taken = smtp_session_feed(c->session, slice_of(c->fed, c->fed_len), c->now);
    if (securing && taken > 0)
        broke(c, "it took what came behind STARTTLS and before TLS");
    if (taken > c->fed_len) {
        broke(c, "it took more than it was fed");
        taken = c->fed_len;
    }
    bool any = pull(c);
    g_clear_pointer(&c->fed, g_free);
    c->fed_len = 0;
    g_byte_array_remove_range(c->kept, 0, (guint)taken);
    return any || taken > 0;
}

/* As a connection does: feeds what there is, answers what is asked, until nothing moves. */
static void pump(struct core *c)
{
    bool moved = true;
    while (moved && !c->base.closed && c->broken == NULL) {
        moved = c->kept->len > 0 && feed(c);
        if (coin(c) && !c->base.closed) {
            smtp_session_tick(c->session, c->now);
            moved |= pull(c);
        }
        if (c->question.kind != QUESTION_NONE && !c->held && !c->base.closed) {
            answer_question(c);
            (void)pull(c);
            moved = true;
        }
    }
    if (c->securing != (strcmp(smtp_session_phase(c->session), "securing") == 0) ||
        c->authenticated != smtp_session_is_authenticated(c->session))
        broke(c, "it is not where it told us");
    uint64_t most = c->base.script->mechanisms != NULL ? SMTP_KEEP_MAX : c->service.limits.command_length;
    if (!c->base.closed && c->question.kind == QUESTION_NONE && !c->securing && c->kept->len >= most)
        broke(c, "it leaves more than it may to be fed again");
    if (c->base.closed)
        g_byte_array_set_size(c->kept, 0);
}

static size_t piece(struct core *c, size_t left)
{
    switch (c->cut) {
    case CORE_BYTES:
        return 1;
    case CORE_RANDOM: /* mostly short, sometimes all */
        return 1 + (size_t)pst_random_below(&c->random,
                                            pst_random_below(&c->random, 4) == 0 ? left : MIN(left, 16));
    default:
        return left;
    }
}

/* ---- the player ---- */

static bool core_send(struct player *p, struct slice bytes, char **ret_problem)
{
    struct core *c = (struct core *)p;
    while (bytes.len > 0 && !p->closed && c->broken == NULL) {
        size_t len = piece(c, bytes.len);
        g_byte_array_append(c->kept, bytes.data, (guint)len);
        bytes = slice_skip(bytes, len);
        pump(c);
    }
    return keeps_promises(c, ret_problem);
}

static bool core_hang_up(struct player *p, char **ret_problem)
{
    struct core *c = (struct core *)p;
    p->closed = true;
    return keeps_promises(c, ret_problem);
}

static GPtrArray *core_messages(struct player *p, const char *mailbox, char **ret_problem)
{
    (void)ret_problem;
    return g_ptr_array_ref(g_hash_table_lookup(((struct core *)p)->stored, mailbox));
}

/* Ticks at each deadline on the way, and where none is due. */
static void let_pass(struct core *c, msec_t duration)
{
    msec_t until = c->now + duration;
    while (!c->base.closed && c->broken == NULL) {
        msec_t deadline = smtp_session_deadline(c->session);
        bool due = deadline <= until;
        c->now = due ? MAX(deadline, c->now) : until;
        smtp_session_tick(c->session, c->now);
        (void)pull(c);
        pump(c);
        if (!due)
            return;
        if (!c->base.closed && smtp_session_deadline(c->session) <= c->now)
            broke(c, "its deadline has come, it was told so, and nothing happened");
    }
}

/* Whatever was to come has come already, but a greeting that is held back. */
static bool core_receive(struct player *p, char **ret_problem)
{
    struct core *c = (struct core *)p;
    if (strcmp(smtp_session_phase(c->session), "silent") == 0) {
        let_pass(c, c->client.greeting_delay);
        return keeps_promises(c, ret_problem);
    }
    *ret_problem = g_strdup("no reply");
    return false;
}

/* RFC 3207 4.2: what was said before TLS is none of what is said inside. */
static void handshake(struct core *c, char **ret_problem)
{
    if (!c->securing) {
        *ret_problem = g_strdup_printf("no STARTTLS (phase %s)", smtp_session_phase(c->session));
        return;
    }
    if (!smtp_session_is_waiting(c->session) || smtp_session_deadline(c->session) != MSEC_NEVER)
        broke(c, "it does not wait for TLS, or not for as long as that takes");
    g_byte_array_set_size(c->kept, 0);
    c->securing = c->authenticated = false;
    smtp_session_secured(c->session, c->base.script->mechanisms, c->now);
    if (!smtp_session_is_secure(c->session) || *smtp_session_helo(c->session) != '\0')
        broke(c, "TLS is not active, or the client is still known by name");
    (void)pull(c);
    pump(c);
}

static void set_outcome(GHashTable *table, const char *mailbox, enum smtp_outcome outcome)
{
    g_hash_table_insert(table, g_strdup(mailbox), g_memdup2(&outcome, sizeof outcome));
}

static bool core_control(struct player *p, const struct step *step, char **ret_problem)
{
    struct core *c = (struct core *)p;
    if (step->kind == STEP_NOTHING && p->received->len > 0) {
        *ret_problem = bytes_quote(slice_of(p->received->data, p->received->len));
        return false;
    } else if (step->kind == STEP_HANDSHAKE) {
        handshake(c, ret_problem);
        if (*ret_problem != NULL)
            return false;
    } else if (step->kind == STEP_ANSWER_AUTH) {
        c->auth_answer = step->outcome;
        c->answers_auth = true;
    } else if (step->kind == STEP_WAIT) {
        let_pass(c, step->wait_ms);
    } else if (step->kind == STEP_REFUSE) {
        set_outcome(c->refusals, step->mailbox, step->outcome);
    } else if (step->kind == STEP_FAIL) {
        set_outcome(c->failures, step->mailbox != NULL ? step->mailbox : "", step->outcome);
    } else if (step->kind == STEP_HOLD || step->kind == STEP_RELEASE) {
        c->held = step->kind == STEP_HOLD;
        pump(c);
    } else if (step->kind == STEP_SHUT) {
        smtp_session_shut(c->session, SMTP_SHUTTING_DOWN, c->now);
        (void)pull(c);
        pump(c);
    }
    return keeps_promises(c, ret_problem);
}

/* An owner may still call a session that has ended, while it waits for the last bytes to be sent. */
static void prod_after_end(struct core *c)
{
    static const char more[] = "NOOP\r\n";
    struct smtp_effect *effect = g_new(struct smtp_effect, 1);
    if (smtp_session_deadline(c->session) != MSEC_NEVER)
        broke(c, "it has a deadline although it has ended");
    else
        smtp_session_tick(c->session, c->now + 86400000);
    if (smtp_session_feed(c->session, slice_str(more), c->now) != strlen(more))
        broke(c, "it has ended, but leaves bytes to be fed again");
    if (smtp_session_next(c->session, effect))
        broke(c, "an effect after the end");
    g_free(effect);
}

static bool core_finish(struct player *p, char **ret_problem)
{
    struct core *c = (struct core *)p;
    if (c->ended)
        prod_after_end(c);
    return keeps_promises(c, ret_problem);
}

static void core_free(struct player *p)
{
    struct core *c = (struct core *)p;
    smtp_session_free(c->session);
    g_byte_array_unref(p->received);
    g_byte_array_unref(c->kept);
    g_byte_array_unref(c->message);
    g_ptr_array_unref(c->recipients);
    g_ptr_array_unref(c->details);
    g_hash_table_unref(c->refusals);
    g_hash_table_unref(c->failures);
    g_hash_table_unref(c->stored);
    close_exchange(c);
    g_free(c->question.mailbox);
    g_free(c->reverse_path);
    g_free(c->broken);
    g_free(c);
}

static const struct player_ops core_ops = {
    .send = core_send,
    .receive = core_receive,
    .hang_up = core_hang_up,
    .messages = core_messages,
    .control = core_control,
    .finish = core_finish,
    .free = core_free,
};

struct player *player_core_new(const struct script *script, enum core_cut cut, uint64_t seed)
{
    struct core *c = g_new0(struct core, 1);
    c->base = (struct player){ .ops = &core_ops, .script = script, .received = g_byte_array_new() };
    c->service = (struct smtp_service){ .protocol = script->protocol,
                                        .hostname = "mx.example.org",
                                        .limits = script->limits };
    c->client = script->client;
    c->cut = cut;
    pst_random_seed(&c->random, seed ^ g_str_hash(script->name));
    c->now = START_MS;
    c->kept = g_byte_array_new();
    c->message = g_byte_array_new();
    c->recipients = g_ptr_array_new_with_free_func(g_free);
    c->details = g_ptr_array_new_with_free_func(g_free);
    c->refusals = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    c->failures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    c->stored = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    for (guint i = 0; i < script->mailboxes->len; i++)
        g_hash_table_insert(c->stored, g_strdup(g_ptr_array_index(script->mailboxes, i)),
                            g_ptr_array_new_with_free_func(message_free));
    c->session = smtp_session_new(&c->service, &c->client, c->now);
    (void)pull(c);
    return &c->base;
}
