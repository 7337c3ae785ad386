#include "talk.h"

#include "base/assert.h"

static void answer(struct talk *t, enum smtp_outcome outcome)
{
    smtp_session_answer(t->session, t->effect->ticket, (struct smtp_verdict){ outcome, "id" }, 0);
}

static void finish(struct talk *t)
{
    t->messages++;
    if (t->stored != NULL) {
        g_ptr_array_add(t->stored, t->open);
        t->open = g_string_new(NULL);
    }
    answer(t, SMTP_DELIVERED);
}

static void perform(struct talk *t)
{
    const struct smtp_effect *e = t->effect;
    switch (e->kind) {
    case SMTP_EFFECT_WRITE:
        g_string_append_len(t->codes, (const char *)e->bytes.data, 3);
        g_string_append_c(t->codes, ' ');
        break;
    case SMTP_EFFECT_MAIL:
        t->declared = e->mail.size;
        break;
    case SMTP_EFFECT_RCPT:
        answer(t, SMTP_RECIPIENT_OK);
        break;
    case SMTP_EFFECT_OPEN:
        t->octets = 0;
        g_string_truncate(t->open, 0);
        break;
    case SMTP_EFFECT_APPEND:
        t->octets += e->bytes.len;
        if (t->stored != NULL)
            g_string_append_len(t->open, (const char *)e->bytes.data, (gssize)e->bytes.len);
        break;
    case SMTP_EFFECT_FINISH:
        finish(t);
        break;
    default:
        break;
    }
}

static void pull(struct talk *t)
{
    while (smtp_session_next(t->session, t->effect))
        perform(t);
}

/* Takes what it can of `in`; the octets. */
static size_t feed(struct talk *t, struct slice in)
{
    size_t at = 0, taken;
    do {
        taken = smtp_session_feed(t->session, slice_skip(in, at), 0);
        pull(t);
        at += taken;
    } while (taken > 0 && at < in.len);
    return at;
}

void talk_send(struct talk *t, const void *bytes, size_t len)
{
    if (t->kept->len == 0) {
        size_t taken = feed(t, slice_of(bytes, len));
        g_string_append_len(t->kept, (const char *)bytes + taken, (gssize)(len - taken));
        return;
    }
    g_string_append_len(t->kept, bytes, (gssize)len);
    g_autofree char *copy = g_memdup2(t->kept->str, t->kept->len);
    g_string_erase(t->kept, 0, (gssize)feed(t, slice_of(copy, t->kept->len)));
}

void talk_say(struct talk *t, const char *text)
{
    talk_send(t, text, strlen(text));
}

void talk_drip(struct talk *t, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        talk_send(t, (const char *)bytes + i, 1);
}

void talk_clear(struct talk *t)
{
    g_string_truncate(t->codes, 0);
    if (t->stored != NULL)
        g_ptr_array_set_size(t->stored, 0);
}

static void free_message(void *message)
{
    g_string_free(message, TRUE);
}

void talk_begin(struct talk *t, const struct smtp_service *service, bool stores)
{
    static const struct smtp_client anybody = { 0 };
    *t = (struct talk){ .session = smtp_session_new(service, &anybody, 0),
                        .effect = g_new(struct smtp_effect, 1),
                        .kept = g_string_new(NULL),
                        .codes = g_string_new(NULL),
                        .stored = stores ? g_ptr_array_new_with_free_func(free_message) : NULL,
                        .open = g_string_new(NULL) };
    pull(t);
    talk_say(t, service->protocol == SMTP_PROTOCOL_LMTP ? "LHLO c\r\n" : "EHLO c\r\n");
    talk_clear(t);
}

void talk_end(struct talk *t)
{
    smtp_session_free(t->session);
    g_free(t->effect);
    g_string_free(t->kept, TRUE);
    g_string_free(t->codes, TRUE);
    g_clear_pointer(&t->stored, g_ptr_array_unref);
    g_string_free(t->open, TRUE);
}
