#include "owner.h"

#include "base/random.h"

enum { START_MS = 86400000 };

struct owner {
    const struct rules *rules;
    struct smtp_session *session;
    struct outcomes_seen *seen;
    struct pst_random random;
    msec_t now;
    bool ended;
    const char *broken;
    GString *said;
    enum smtp_outcome last; /* that was said */
    GString *stored;
    GByteArray *kept; /* what the session did not take */
    struct smtp_effect *effect;
    /* the question that is open */
    enum { ASKED_NOTHING, ASKED_RCPT, ASKED_FINISH, ASKED_AUTH } asked;
    uint64_t ticket;
    uint64_t previous; /* ticket */
    guint answered;    /* LMTP's FINISH: so many recipients */
    const struct recipient *candidate;
    /* AUTH */
    bool securing, in_exchange;
    char *credential; /* what it says; NULL: nothing */
    /* the transaction */
    bool in_mail, open;
    GString *mail;
    GPtrArray *to;    /* const struct recipient *: accepted */
    GPtrArray *notes; /* char *, of each of them */
    GString *rcpt;    /* the candidate's */
    GString *content;
};

static void broke(struct owner *o, const char *how)
{
    if (o->broken == NULL)
        o->broken = how;
}

static bool one_in(struct owner *o, uint64_t n)
{
    return pst_random_below(&o->random, n) == 0;
}

/* ---- answers ---- */

static void forget(struct owner *o)
{
    o->in_mail = o->open = false;
    o->asked = ASKED_NOTHING;
    g_ptr_array_set_size(o->to, 0);
    g_ptr_array_set_size(o->notes, 0);
}

static void answer(struct owner *o, enum smtp_outcome outcome)
{
    smtp_session_answer(o->session, o->ticket, (struct smtp_verdict){ outcome, "id" }, o->now);
}

static void answer_rcpt(struct owner *o)
{
    o->asked = ASKED_NOTHING;
    if (o->candidate->route == SMTP_RECIPIENT_OK) {
        g_ptr_array_add(o->to, (void *)o->candidate);
        g_ptr_array_add(o->notes, g_strdup(o->rcpt->str));
    }
    answer(o, o->candidate->route);
}

static enum smtp_outcome end_of(const struct owner *o, guint i)
{
    return ((const struct recipient *)g_ptr_array_index(o->to, i))->end;
}

static void store(struct owner *o, guint i)
{
    note_stored(o->stored, o->mail->str, g_ptr_array_index(o->notes, i), o->content);
}

static void answer_finish_for_all(struct owner *o)
{
    enum smtp_outcome outcome = SMTP_DELIVERED;
    for (guint i = 0; i < o->to->len && outcome == SMTP_DELIVERED; i++)
        outcome = end_of(o, i);
    for (guint i = 0; i < o->to->len && outcome == SMTP_DELIVERED; i++)
        store(o, i);
    forget(o);
    answer(o, outcome);
}

static void answer_finish_for_one(struct owner *o)
{
    guint i = o->answered++;
    enum smtp_outcome outcome = end_of(o, i);
    if (outcome == SMTP_DELIVERED)
        store(o, i);
    if (o->answered == o->to->len)
        forget(o);
    answer(o, outcome);
}

static const struct credential *find_credential(const char *text)
{
    for (size_t i = 0; i < credential_count; i++)
        if (g_str_equal(credentials[i].text, text))
            return &credentials[i];
    return NULL;
}

static void answer_auth(struct owner *o)
{
    enum smtp_outcome outcome = SMTP_AUTH_CHALLENGE;
    if (o->credential != NULL) {
        const struct credential *credential = find_credential(o->credential);
        if (credential == NULL)
            broke(o, "credentials that nobody sent");
        else
            outcome = credential->outcome;
    }
    o->asked = ASKED_NOTHING;
    o->in_exchange = outcome == SMTP_AUTH_CHALLENGE;
    answer(o, outcome);
}

static void answer_question(struct owner *o)
{
    if (!smtp_session_is_waiting(o->session))
        broke(o, "it asked, but does not wait for the answer");
    if (smtp_session_deadline(o->session) != MSEC_NEVER)
        broke(o, "it has a deadline although it waits for an answer");
    if (one_in(o, 8)) /* an answer to what was asked before, or never */
        smtp_session_answer(o->session, one_in(o, 2) ? o->previous : o->ticket + 1,
                            (struct smtp_verdict){ SMTP_LOCAL_ERROR, NULL }, o->now);
    if (o->asked == ASKED_RCPT)
        answer_rcpt(o);
    else if (o->asked == ASKED_AUTH)
        answer_auth(o);
    else if (o->rules->service.protocol == SMTP_PROTOCOL_LMTP)
        answer_finish_for_one(o);
    else
        answer_finish_for_all(o);
}

/* ---- effects ---- */

static void on_mail(struct owner *o, const struct smtp_effect *e)
{
    static const char *const bodies[] = { "7bit", "8bitmime", "binarymime" };
    static const char *const rets[] = { "-", "full", "hdrs" };
    char text[SMTP_ADDRESS_TEXT];
    if (o->in_mail)
        broke(o, "MAIL inside a transaction");
    o->in_mail = true;
    g_autofree char *envid = slice_dup(e->mail.envid);
    g_string_truncate(o->mail, 0);
    note_mail(o->mail, smtp_address_format(&e->address, text), e->mail.size, bodies[e->mail.body],
              e->mail.utf8, e->mail.require_tls, rets[e->mail.ret], *envid != '\0' ? envid : "-");
}

static char *notify_text(unsigned notify)
{
    static const char *const words[] = { "never", "success", "failure", "delay" };
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if ((notify & 1U << i) != 0)
            g_string_append_printf(text, "%s%s", text->len > 0 ? " " : "", words[i]);
    return g_string_free(g_string_append(text, text->len > 0 ? "" : "-"), FALSE);
}

static const struct recipient *find_recipient(const char *text)
{
    for (size_t i = 0; i < recipient_count; i++)
        if (g_str_equal(recipients[i].text, text))
            return &recipients[i];
    return NULL;
}

static void on_rcpt(struct owner *o, const struct smtp_effect *e)
{
    char text[SMTP_ADDRESS_TEXT];
    if (!o->in_mail || o->open || o->asked != ASKED_NOTHING)
        broke(o, "RCPT outside an envelope");
    g_autofree char *notify = notify_text(e->rcpt.notify);
    g_autofree char *orcpt = slice_dup(e->rcpt.orcpt);
    g_string_truncate(o->rcpt, 0);
    note_rcpt(o->rcpt, smtp_address_format(&e->address, text), notify, *orcpt != '\0' ? orcpt : "-");
    o->candidate = find_recipient(text);
    if (o->candidate == NULL)
        broke(o, "RCPT of an address that nobody sent");
    o->asked = ASKED_RCPT;
    o->previous = o->ticket;
    o->ticket = e->ticket;
}

static void on_open(struct owner *o)
{
    if (!o->in_mail || o->open || o->to->len == 0)
        broke(o, "OPEN without recipients, or twice");
    o->open = true;
    g_string_truncate(o->content, 0);
}

static void on_append(struct owner *o, const struct smtp_effect *e)
{
    if (!o->open || o->asked != ASKED_NOTHING || e->bytes.len == 0)
        broke(o, "APPEND of nothing, or without an open message");
    g_string_append_len(o->content, (const char *)e->bytes.data, (gssize)e->bytes.len);
    if (o->content->len > o->rules->service.limits.message_size)
        broke(o, "APPEND beyond the size limit");
}

static void on_finish(struct owner *o, const struct smtp_effect *e)
{
    if (!o->open || o->asked != ASKED_NOTHING)
        broke(o, "FINISH without an open message");
    o->asked = ASKED_FINISH;
    o->previous = o->ticket;
    o->ticket = e->ticket;
    o->answered = 0;
}

static void on_reset(struct owner *o)
{
    if (!o->in_mail || o->asked == ASKED_FINISH)
        broke(o, "RESET without a transaction, or of one that is complete");
    forget(o);
}

static void on_write(struct owner *o, const struct smtp_effect *e)
{
    o->seen->at[e->outcome] = true;
    o->last = e->outcome;
    g_string_append_len(o->said, (const char *)e->bytes.data, (gssize)e->bytes.len);
}

static void on_end(struct owner *o, const struct smtp_effect *e)
{
    if (o->in_mail || o->in_exchange)
        broke(o, "END inside a transaction or an exchange, without RESET or CANCEL");
    if (e->outcome != o->last)
        broke(o, "END for another reason than was told");
    if (g_str_equal(smtp_session_phase(o->session), "ended"))
        broke(o, "END hides the phase before it");
    o->ended = true;
}

static void on_auth(struct owner *o, const struct smtp_effect *e)
{
    bool is_first = e->kind == SMTP_EFFECT_AUTH;
    if (o->in_mail || o->asked != ASKED_NOTHING || o->in_exchange == is_first ||
        smtp_session_is_authenticated(o->session))
        broke(o, "AUTH or its response out of place");
    if (is_first && !slice_equal_nocase(e->bytes, "PLAIN") && !slice_equal_nocase(e->bytes, "X-CHAT"))
        broke(o, "AUTH by a mechanism that nobody offered");
    g_free(o->credential);
    o->credential = is_first && !e->has_initial ? NULL : slice_dup(is_first ? e->initial : e->bytes);
    o->in_exchange = true;
    o->asked = ASKED_AUTH;
    o->previous = o->ticket;
    o->ticket = e->ticket;
}

static void on_auth_cancel(struct owner *o)
{
    if (!o->in_exchange || o->asked != ASKED_NOTHING)
        broke(o, "CANCEL outside an exchange, or although its answer is awaited");
    o->in_exchange = false;
}

static void on_starttls(struct owner *o)
{
    if (o->in_mail || o->in_exchange || o->securing || smtp_session_is_secure(o->session))
        broke(o, "STARTTLS out of place");
    o->securing = true;
}

static void on_facts(struct owner *o, const struct smtp_effect *e)
{
    bool may = e->kind == SMTP_EFFECT_XCLIENT ? o->rules->client.may_xclient : o->rules->client.may_xforward;
    if (!may || o->in_mail)
        broke(o, "XCLIENT or XFORWARD of a client that may not, or inside a transaction");
}

static void perform(struct owner *o, const struct smtp_effect *e)
{
    if (o->ended)
        broke(o, "an effect behind END");
    switch (e->kind) {
    case SMTP_EFFECT_WRITE:
        on_write(o, e);
        break;
    case SMTP_EFFECT_MAIL:
        on_mail(o, e);
        break;
    case SMTP_EFFECT_RCPT:
        on_rcpt(o, e);
        break;
    case SMTP_EFFECT_OPEN:
        on_open(o);
        break;
    case SMTP_EFFECT_APPEND:
        on_append(o, e);
        break;
    case SMTP_EFFECT_FINISH:
        on_finish(o, e);
        break;
    case SMTP_EFFECT_RESET:
        on_reset(o);
        break;
    case SMTP_EFFECT_REFUSED:
        o->seen->at[e->outcome] = true;
        break;
    case SMTP_EFFECT_END:
        on_end(o, e);
        break;
    case SMTP_EFFECT_STARTTLS:
        on_starttls(o);
        break;
    case SMTP_EFFECT_AUTH:
    case SMTP_EFFECT_AUTH_RESPONSE:
        on_auth(o, e);
        break;
    case SMTP_EFFECT_AUTH_CANCEL:
        on_auth_cancel(o);
        break;
    case SMTP_EFFECT_XCLIENT:
    case SMTP_EFFECT_XFORWARD:
        on_facts(o, e);
        break;
    }
}

/* Pulls until the session is dry. True if there was anything. */
static bool pull(struct owner *o)
{
    bool any = false;
    while (o->broken == NULL && smtp_session_next(o->session, o->effect)) {
        any = true;
        perform(o, o->effect);
        if (o->asked != ASKED_NOTHING && o->broken == NULL && one_in(o, 2))
            answer_question(o);
    }
    return any;
}

/* ---- octets ---- */

/* What is kept, in memory of its own size, so that a sanitizer sees every step beyond it. */
static bool feed(struct owner *o)
{
    g_autofree uint8_t *copy = g_memdup2(o->kept->data, o->kept->len);
    bool securing = o->securing;
    size_t taken = smtp_session_feed(o->session, slice_of(copy, o->kept->len), o->now);
    if (securing && taken > 0)
        broke(o, "it took what came before TLS");
    if (taken > o->kept->len) {
        broke(o, "it took more than it was fed");
        return false;
    }
    bool any = pull(o);
    if (taken > 0)
        g_byte_array_remove_range(o->kept, 0, (guint)taken);
    return any || taken > 0;
}

/* Feeds what there is and answers what is asked, until nothing moves. */
static void pump(struct owner *o)
{
    bool moved = true;
    while (moved && !o->ended && o->broken == NULL) {
        moved = o->kept->len > 0 && feed(o);
        if (one_in(o, 16) && !o->ended && o->broken == NULL) { /* a timer that rings early */
            smtp_session_tick(o->session, o->now);
            moved |= pull(o);
        }
        if (o->asked != ASKED_NOTHING && o->broken == NULL) {
            answer_question(o);
            (void)pull(o);
            moved = true;
        }
    }
    if (o->ended)
        g_byte_array_set_size(o->kept, 0);
    else if (!o->securing && o->kept->len > SMTP_KEEP_MAX)
        broke(o, "it leaves more than SMTP_KEEP_MAX octets to be fed again");
}

static size_t piece(struct owner *o, uint64_t style, size_t left)
{
    if (style < 4)
        return left;
    if (style == 4)
        return 1;
    return 1 + (size_t)pst_random_below(&o->random, style < 8 ? MIN(left, 32) : left);
}

void owner_send(struct owner *o, const GString *wire)
{
    enum { LATER_MS = 20000 }; /* well within any patience */
    uint64_t style = pst_random_below(&o->random, 10);
    o->now += (msec_t)pst_random_below(&o->random, LATER_MS);
    for (size_t at = 0; at < wire->len && !o->ended && o->broken == NULL;) {
        size_t len = piece(o, style, wire->len - at);
        g_byte_array_append(o->kept, (const guint8 *)wire->str + at, (guint)len);
        at += len;
        pump(o);
    }
}

void owner_secure(struct owner *o)
{
    if (!o->securing || !smtp_session_is_waiting(o->session) ||
        smtp_session_deadline(o->session) != MSEC_NEVER) {
        broke(o, "it does not wait for TLS");
        return;
    }
    g_byte_array_set_size(o->kept, 0);
    o->securing = false;
    smtp_session_secured(o->session, o->rules->inside, o->now);
    (void)pull(o);
}

/* ---- time ---- */

void owner_wait(struct owner *o)
{
    msec_t deadline = smtp_session_deadline(o->session);
    if (deadline == MSEC_NEVER) {
        broke(o, "it would wait for ever");
        return;
    }
    smtp_session_tick(o->session, deadline - 1);
    if (pull(o))
        broke(o, "it was impatient");
    o->now = deadline;
    smtp_session_tick(o->session, o->now);
    (void)pull(o);
}

void owner_drip(struct owner *o)
{
    static const GString octet = { .str = (char *)"x", .len = 1 };
    enum { OFTEN_MS = 60000, STEPS = 1000 };
    for (int i = 0; i < STEPS && !o->ended; i++) {
        o->now += OFTEN_MS;
        smtp_session_tick(o->session, o->now);
        (void)pull(o);
        owner_send(o, &octet);
    }
}

void owner_connect(struct owner *o, bool early)
{
    static const GString word = { .str = (char *)"EHLO client.example.com\r\n", .len = 25 };
    (void)pull(o);
    if (early)
        owner_send(o, &word);
    else if (o->said->len == 0)
        owner_wait(o);
}

/* ---- */

bool owner_has_ended(const struct owner *o)
{
    return o->ended;
}

const GString *owner_said(const struct owner *o)
{
    return o->said;
}

const GString *owner_stored(const struct owner *o)
{
    return o->stored;
}

const char *owner_broken(const struct owner *o)
{
    return o->broken;
}

struct owner *owner_new(const struct rules *r, uint64_t seed, struct outcomes_seen *seen)
{
    struct owner *o = g_new0(struct owner, 1);
    o->rules = r;
    o->seen = seen;
    o->now = START_MS;
    pst_random_seed(&o->random, seed);
    o->said = g_string_new(NULL);
    o->stored = g_string_new(NULL);
    o->kept = g_byte_array_new();
    o->effect = g_new(struct smtp_effect, 1);
    o->mail = g_string_new(NULL);
    o->to = g_ptr_array_new();
    o->notes = g_ptr_array_new_with_free_func(g_free);
    o->rcpt = g_string_new(NULL);
    o->content = g_string_new(NULL);
    o->session = smtp_session_new(&r->service, &r->client, o->now);
    return o;
}

void owner_free(struct owner *o)
{
    if (o == NULL)
        return;
    smtp_session_free(o->session);
    g_free(o->credential);
    g_string_free(o->said, TRUE);
    g_string_free(o->stored, TRUE);
    g_byte_array_unref(o->kept);
    g_free(o->effect);
    g_string_free(o->mail, TRUE);
    g_ptr_array_unref(o->to);
    g_ptr_array_unref(o->notes);
    g_string_free(o->rcpt, TRUE);
    g_string_free(o->content, TRUE);
    g_free(o);
}
