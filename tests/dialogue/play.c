#include "play.h"

#include <errno.h>

#include "bytes.h"

static GByteArray *copy(struct slice bytes)
{
    GByteArray *array = g_byte_array_new();
    return g_byte_array_append(array, bytes.data, (guint)bytes.len);
}

struct message *message_new(struct slice bytes, struct slice octets, const char *reverse_path)
{
    struct message *m = g_new0(struct message, 1);
    m->bytes = copy(bytes);
    m->octets = copy(octets);
    m->sender = g_strdup_printf("<%s>", reverse_path);
    return m;
}

void message_free(void *message)
{
    struct message *m = message;
    g_byte_array_unref(m->bytes);
    g_byte_array_unref(m->octets);
    g_free(m->sender);
    g_free(m);
}

/* ---- replies ---- */

static struct slice received(const struct player *p)
{
    return slice_of(p->received->data, p->received->len);
}

/* The next reply, waited for. */
static bool next_reply(struct player *p, struct reply *ret, char **ret_problem)
{
    for (;;) {
        size_t len = 0;
        int r = reply_take(received(p), ret, &len, ret_problem);
        if (r < 0)
            return false;
        if (r > 0) {
            g_byte_array_remove_range(p->received, 0, (guint)len);
            return true;
        }
        if (p->closed) {
            *ret_problem = g_strdup("the connection was closed, without a reply");
            return false;
        }
        if (!p->ops->receive(p, ret_problem))
            return false;
    }
}

static bool want_replies(struct player *p, const struct step *step, char **ret_problem)
{
    for (unsigned i = 0; i < step->count; i++) {
        auto_val(reply) reply = { 0 };
        if (!next_reply(p, &reply, ret_problem))
            return false;
        if (!want_matches(step->want, &reply)) {
            g_autofree char *text = reply_text(&reply);
            *ret_problem =
                step->count > 1 ? g_strdup_printf("reply %u was: %s", i + 1, text) : g_steal_pointer(&text);
            return false;
        }
    }
    return true;
}

/* Nothing that was received is unread. */
static bool all_read(struct player *p, char **ret_problem)
{
    if (p->received->len == 0)
        return true;
    g_autofree char *bytes = bytes_quote(received(p));
    *ret_problem = g_strdup_printf("unread: %s", bytes);
    return false;
}

static bool want_close(struct player *p, char **ret_problem)
{
    while (!p->closed && p->received->len == 0)
        if (!p->ops->receive(p, ret_problem))
            return false;
    return all_read(p, ret_problem);
}

/* ---- mailboxes ---- */

static bool message_has(const struct message *m, const struct step *step)
{
    struct slice sought = slice_of(step->bytes->str, step->bytes->len);
    switch (step->kind) {
    case STEP_STORED_MESSAGE:
        return slice_equal(slice_of(m->bytes->data, m->bytes->len), sought);
    case STEP_STORED_OCTETS:
        return slice_equal(slice_of(m->octets->data, m->octets->len), sought);
    case STEP_STORED_SENDER:
        return slice_equal(slice_str(m->sender), sought);
    default:
        return memmem(m->bytes->data, m->bytes->len, sought.data, sought.len) != NULL;
    }
}

static char *describe_messages(GPtrArray *messages)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%u messages", messages->len);
    for (guint i = 0; i < messages->len; i++) {
        const struct message *m = g_ptr_array_index(messages, i);
        g_autofree char *bytes = bytes_quote(slice_of(m->octets->data, m->octets->len));
        g_string_append_printf(text, "; from %s: %s", m->sender, bytes);
    }
    return g_string_free(text, FALSE);
}

static bool check_stored(struct player *p, const struct step *step, char **ret_problem)
{
    g_autoptr(GPtrArray) messages = p->ops->messages(p, step->mailbox, ret_problem);
    if (messages == NULL)
        return false;
    bool any = false;
    for (guint i = 0; step->kind != STEP_STORED_COUNT && i < messages->len; i++)
        any |= message_has(g_ptr_array_index(messages, i), step);
    bool right = step->kind == STEP_STORED_COUNT ? messages->len == step->count
                                                 : any == (step->kind != STEP_STORED_LACKS);
    if (!right)
        *ret_problem = describe_messages(messages);
    return right;
}

/* ---- steps ---- */

static bool play_step(struct player *p, const struct step *step, char **ret_problem)
{
    switch (step->kind) {
    case STEP_WANT:
        return want_replies(p, step, ret_problem);
    case STEP_WANT_CLOSE:
        return want_close(p, ret_problem);
    case STEP_HANGUP:
        return all_read(p, ret_problem) && p->ops->hang_up(p, ret_problem) && all_read(p, ret_problem);
    case STEP_STORED_COUNT:
    case STEP_STORED_CONTAINS:
    case STEP_STORED_LACKS:
    case STEP_STORED_MESSAGE:
    case STEP_STORED_OCTETS:
    case STEP_STORED_SENDER:
        return check_stored(p, step, ret_problem);
    default:
        return p->ops->control(p, step, ret_problem);
    }
}

/* What was sent since the last answer goes out in one piece: that is how scripts pipeline. */
static bool flush(struct player *p, GByteArray *out, char **ret_problem)
{
    if (out->len == 0)
        return true;
    bool sent = p->ops->send(p, slice_of(out->data, out->len), ret_problem);
    g_byte_array_set_size(out, 0);
    return sent;
}

static bool play_steps(struct player *p, GByteArray *out, unsigned *line, char **ret_problem)
{
    GArray *steps = p->script->steps;
    for (guint i = 0; i < steps->len; i++) {
        const struct step *step = &g_array_index(steps, struct step, i);
        *line = step->line;
        if (step->kind == STEP_SEND)
            g_byte_array_append(out, (const guint8 *)step->bytes->str, (guint)step->bytes->len);
        else if (!flush(p, out, ret_problem) || !play_step(p, step, ret_problem))
            return false;
    }
    *line = 0;
    return flush(p, out, ret_problem) && all_read(p, ret_problem) && p->ops->finish(p, ret_problem) &&
           all_read(p, ret_problem);
}

bool play(struct player *p, struct failure *ret_failure)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    struct failure failure = { 0 };
    if (play_steps(p, out, &failure.line, &failure.got))
        return true;
    *ret_failure = failure;
    return false;
}

void player_free(struct player *p)
{
    if (p != NULL)
        p->ops->free(p);
}
