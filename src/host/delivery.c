#include "host/delivery.h"

#include <errno.h>
#include <string.h>

#include "handlers/verdict.h"
#include "host/functions.h"

struct target {
    bool is_said;         /* the handler that runs has spoken of this recipient */
    bool is_final;        /* no further handler sees it */
    GPtrArray *redirects; /* NULL: none */
};

#define FATE(d, i)      (&g_array_index((d)->fates, struct wire_fate, (i)))
#define TARGET(d, i)    (&g_array_index((d)->targets, struct target, (i)))
#define RECIPIENT(d, i) (&g_array_index((d)->recipients, postern_recipient, (i)))
#define NUMBER(d, i)    (g_array_index((d)->numbers, uint32_t, (i)))

static void target_clear(void *at)
{
    struct target *target = at;
    g_clear_pointer(&target->redirects, g_ptr_array_unref);
}

void delivery_init(struct delivery *d, struct handlers *handlers)
{
    d->face.functions = &host_functions;
    d->handlers = handlers;
    d->channel = handlers->channel;
    d->stage = handlers->stage;
    d->front = g_byte_array_new();
    d->fates = g_array_new(FALSE, TRUE, sizeof(struct wire_fate));
    d->targets = g_array_new(FALSE, TRUE, sizeof(struct target));
    g_array_set_clear_func(d->targets, target_clear);
    d->recipients = g_array_new(FALSE, TRUE, sizeof(postern_recipient));
    d->mailboxes = g_ptr_array_new();
    d->texts = g_string_chunk_new(1024);
    d->seen = g_array_new(FALSE, TRUE, sizeof(postern_recipient));
    d->numbers = g_array_new(FALSE, TRUE, sizeof(uint32_t));
}

/* ---- what handlers say ---- */

struct wire_fate delivery_fate(postern_verdict verdict)
{
    static const struct wire_fate fates[] = {
        [POSTERN_DELIVER] = { .decision = WIRE_DELIVER, .enhanced = "", .text = "" },
        [POSTERN_REJECT] = { WIRE_REJECT, .code = 550, .enhanced = "5.7.1", .text = "Message refused" },
        [POSTERN_DEFER] = { WIRE_DEFER, .code = 451, .enhanced = "4.7.1",
                            .text = "Not now, try again later" },
        [POSTERN_DISCARD] = { .decision = WIRE_DISCARD, .enhanced = "", .text = "" },
    };
    return fates[verdict];
}

static void say(struct delivery *d, struct wire_fate *to, const struct wire_fate *from)
{
    to->decision = from->decision;
    to->handler = from->decision == WIRE_DELIVER ? -1 : (int32_t)d->handler->index;
    to->code = from->code;
    to->enhanced = g_string_chunk_insert_const(d->texts, from->enhanced);
    to->text = g_string_chunk_insert_const(d->texts, from->text);
}

/* The first of those that are meant, and the one behind the last, among those that the handler sees. */
static int range(const struct delivery *d, size_t recipient, guint *ret_first, guint *ret_end,
                 const char **ret_why)
{
    *ret_first = recipient == POSTERN_ALL ? 0 : (guint)recipient;
    *ret_end = recipient == POSTERN_ALL ? d->numbers->len : (guint)recipient + 1;
    *ret_why = "the envelope has no recipient of that number";
    return recipient == POSTERN_ALL || recipient < d->numbers->len ? 0 : -EINVAL;
}

int delivery_set_verdict(struct delivery *d, size_t recipient, const struct wire_fate *fate,
                         const char **ret_why)
{
    guint i, end;
    if (recipient == POSTERN_ALL) {
        say(d, &d->for_all, fate);
        return 0;
    }
    int r = range(d, recipient, &i, &end, ret_why);
    if (r < 0)
        return r;
    say(d, FATE(d, NUMBER(d, i)), fate);
    TARGET(d, NUMBER(d, i))->is_said = true;
    return 0;
}

int delivery_set_folder(struct delivery *d, size_t recipient, const char *folder, const char **ret_why)
{
    guint i, end;
    int r = range(d, recipient, &i, &end, ret_why);
    for (; r == 0 && i < end; i++)
        FATE(d, NUMBER(d, i))->folder = g_string_chunk_insert_const(d->texts, folder);
    return r;
}

int delivery_set_flags(struct delivery *d, size_t recipient, const char *flags, const char **ret_why)
{
    guint i, end;
    int r = range(d, recipient, &i, &end, ret_why);
    for (; r == 0 && i < end; i++)
        FATE(d, NUMBER(d, i))->flags = g_string_chunk_insert_const(d->texts, flags);
    return r;
}

int delivery_redirect(struct delivery *d, size_t recipient, const char *address, const char **ret_why)
{
    guint i, end;
    int r = range(d, recipient, &i, &end, ret_why);
    for (guint k = i; r == 0 && k < end; k++) {
        const GPtrArray *redirects = TARGET(d, NUMBER(d, k))->redirects;
        if (redirects != NULL && redirects->len == HANDLER_REDIRECTS_MAX) {
            *ret_why = "that recipient is redirected to too many addresses";
            return -EINVAL;
        }
    }
    for (; r == 0 && i < end; i++) {
        struct target *target = TARGET(d, NUMBER(d, i));
        if (target->redirects == NULL)
            target->redirects = g_ptr_array_new();
        g_ptr_array_add(target->redirects, g_string_chunk_insert_const(d->texts, address));
    }
    return r;
}

/* ---- a handler's turn ---- */

/* Recipients that are to get the message still. */
static void choose(struct delivery *d, const struct wire_turn *turn)
{
    g_array_set_size(d->seen, 0);
    g_array_set_size(d->numbers, 0);
    uint32_t count = turn->recipient_count > 0 ? turn->recipient_count : d->recipients->len;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = turn->recipient_count > 0 ? turn->recipients[i] : i;
        TARGET(d, number)->is_said = false;
        if (TARGET(d, number)->is_final)
            continue;
        g_array_append_val(d->seen, *RECIPIENT(d, number));
        g_array_append_val(d->numbers, number);
    }
    d->envelope.recipients = (const postern_recipient *)(const void *)d->seen->data;
    d->envelope.recipient_count = d->seen->len;
}

/* The reply that was told for all is of another verdict when the handler changed its mind, or forgot to
 * return what postern_reject() returned: then somebody should read of it. */
static struct wire_fate reply_for_all(struct delivery *d, postern_verdict verdict)
{
    if (d->for_all.decision == verdict)
        return d->for_all;
    if (d->for_all.decision != WIRE_DELIVER)
        host_log(d->channel, (int32_t)d->handler->index, POSTERN_WARNING,
                 "the reply that was told for all recipients is void: on_message returned another verdict");
    return delivery_fate(verdict);
}

/* What it returned is for those of whom it did not speak. */
static void settle(struct delivery *d, postern_verdict verdict)
{
    if (verdict > POSTERN_DISCARD) {
        host_log(d->channel, (int32_t)d->handler->index, POSTERN_ERROR,
                 "what on_message returned is no verdict");
        verdict = POSTERN_DEFER;
    }
    struct wire_fate fate = reply_for_all(d, verdict);
    for (guint i = 0; i < d->numbers->len; i++) {
        struct target *target = TARGET(d, NUMBER(d, i));
        if (!target->is_said && verdict != POSTERN_DELIVER)
            say(d, FATE(d, NUMBER(d, i)), &fate);
        target->is_final = FATE(d, NUMBER(d, i))->decision != WIRE_DELIVER;
    }
}

static void take_turn(struct delivery *d, const struct wire_turn *turn)
{
    d->handler = &d->handlers->all[turn->handler];
    d->for_all = delivery_fate(POSTERN_DELIVER);
    choose(d, turn);
    if (d->numbers->len == 0)
        return;
    stage_enter(d->stage, WIRE_HANDLING, (int32_t)turn->handler);
    settle(d, d->handler->entry.on_message(&d->face, &d->envelope, d->message.mime));
    message_turned(&d->message);
}

/* ---- a message ---- */

static bool numbers_are_right(const struct delivery *d, const struct wire_message *message)
{
    for (uint32_t i = 0; i < message->turn_count; i++) {
        const struct wire_turn *turn = &message->turns[i];
        if (turn->handler >= d->handlers->count)
            return false;
        for (uint32_t n = 0; n < turn->recipient_count; n++)
            if (turn->recipients[n] >= message->recipient_count)
                return false;
    }
    return true;
}

static void take_recipients(struct delivery *d, const struct wire_message *message)
{
    guint count = message->recipient_count;
    g_array_set_size(d->fates, count);
    g_array_set_size(d->targets, count);
    g_array_set_size(d->recipients, count);
    guint lists = 0;
    for (guint i = 0; i < count; i++)
        lists += message->recipients[i].mailboxes.count + 1;
    g_ptr_array_set_size(d->mailboxes, (gint)lists);
    void **list = d->mailboxes->pdata;
    for (guint i = 0; i < count; i++) {
        const struct wire_recipient *from = &message->recipients[i];
        *FATE(d, i) = delivery_fate(POSTERN_DELIVER);
        FATE(d, i)->handler = -1;
        *RECIPIENT(d, i) = (postern_recipient){
            .address = from->address,
            .mailboxes = (const char *const *)(void *)list,
            .notify = from->notify,
            .original = from->original,
        };
        if (from->mailboxes.count > 0)
            memcpy(list, from->mailboxes.texts, from->mailboxes.count * sizeof *list);
        list[from->mailboxes.count] = NULL;
        list += from->mailboxes.count + 1;
    }
}

static void take_envelope(postern_envelope *e, const struct wire_message *m)
{
    *e = (postern_envelope){
        .session = m->session,
        .id = m->id,
        .listener = m->listener,
        .protocol = m->protocol,
        .client = m->client,
        .client_name = m->client_name,
        .helo = m->helo,
        .tls_version = m->tls_version,
        .tls_cipher = m->tls_cipher,
        .tls_server_name = m->tls_server_name,
        .tls_client = m->tls_client,
        .user = m->user,
        .reverse_path = m->reverse_path,
        .body = m->body,
        .utf8 = m->utf8,
        .ret = m->ret,
        .envelope_id = m->envelope_id,
        .declared_size = m->declared_size,
        .size = m->size,
        .arrived_us = m->arrived_us,
    };
}

static void tell_redirects(struct delivery *d)
{
    for (guint i = 0; i < d->targets->len; i++) {
        GPtrArray *redirects = TARGET(d, i)->redirects;
        if (redirects != NULL)
            FATE(d, i)->redirects =
                (struct wire_text_list){ (const char **)redirects->pdata, redirects->len };
    }
}

void delivery_fail(struct delivery *d, struct wire_verdict *verdict)
{
    *verdict = (struct wire_verdict){ .fates = verdict->fates, .fate_count = verdict->fate_count };
    for (guint i = 0; i < d->fates->len; i++)
        *FATE(d, i) = (struct wire_fate){
            .decision = WIRE_DEFER,
            .handler = -1,
            .code = 451,
            .enhanced = "4.3.0",
            .text = "Local error, try again later",
        };
}

int delivery_run(struct delivery *d, const struct wire_message *message, int take_fd,
                 struct wire_verdict *ret_verdict)
{
    int r = message_begin(&d->message, message, take_fd);
    if (r < 0 || !numbers_are_right(d, message))
        return -EBADMSG;
    take_recipients(d, message);
    take_envelope(&d->envelope, message);
    message_parse(&d->message);
    for (uint32_t i = 0; i < message->turn_count; i++)
        take_turn(d, &message->turns[i]);
    stage_enter(d->stage, WIRE_ENDING, -1);
    struct wire_verdict verdict = { .fate_count = d->fates->len };
    tell_redirects(d);
    verdict.fates = (struct wire_fate *)(void *)d->fates->data;
    r = message_result(&d->message, d->front, &verdict);
    if (r < 0) {
        g_autofree char *text = g_strdup_printf("the new message cannot be moved: %s", g_strerror(-r));
        host_log(d->channel, -1, POSTERN_ERROR, text);
        delivery_fail(d, &verdict);
    }
    *ret_verdict = verdict;
    return 0;
}

void delivery_end(struct delivery *d)
{
    message_end(&d->message);
    g_array_set_size(d->targets, 0);
    g_byte_array_set_size(d->front, 0);
    g_string_chunk_clear(d->texts);
}
