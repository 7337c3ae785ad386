#include "handlers/wire.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

/*
 * One description of each frame serves both directions: the codec either appends what a field holds, or fills
 * it in from what is left of a frame. A text is its length, its octets, and a NUL, so that it can be
 * borrowed; a length of NO_TEXT is NULL. Numbers are the machine's own: both ends are.
 */
enum { NO_TEXT = UINT32_MAX };

struct codec {
    GByteArray *out;   /* encoding; else NULL */
    struct slice in;   /* decoding: what is left */
    GPtrArray *memory; /* decoding */
    bool is_bad;
};

static void raw(struct codec *c, void *octets, size_t len)
{
    if (c->out != NULL) {
        g_byte_array_append(c->out, octets, (guint)len);
    } else if (c->is_bad || c->in.len < len) {
        c->is_bad = true;
        memset(octets, 0, len);
    } else {
        memcpy(octets, c->in.data, len);
        c->in = slice_skip(c->in, len);
    }
}

static void u32(struct codec *c, uint32_t *value)
{
    raw(c, value, sizeof *value);
}

static void i32(struct codec *c, int32_t *value)
{
    raw(c, value, sizeof *value);
}

static void u64(struct codec *c, uint64_t *value)
{
    raw(c, value, sizeof *value);
}

static void i64(struct codec *c, int64_t *value)
{
    raw(c, value, sizeof *value);
}

static void flag(struct codec *c, bool *value)
{
    uint8_t octet = *value;
    raw(c, &octet, 1);
    c->is_bad |= octet > 1;
    *value = octet == 1;
}

static void octets(struct codec *c, struct slice *value)
{
    uint32_t len = (uint32_t)value->len;
    u32(c, &len);
    if (c->out != NULL) {
        g_byte_array_append(c->out, value->data, len);
    } else if (c->is_bad || c->in.len < len) {
        c->is_bad = true;
        *value = slice_of(NULL, 0);
    } else {
        *value = slice_of(c->in.data, len);
        c->in = slice_skip(c->in, len);
    }
}

static void decode_text(struct codec *c, const char **value, bool may_lack)
{
    uint32_t len = 0;
    u32(c, &len);
    *value = may_lack ? NULL : "";
    if (c->is_bad || (may_lack && len == NO_TEXT))
        return;
    if (c->in.len <= len || memchr(c->in.data, '\0', (size_t)len + 1) != c->in.data + len) {
        c->is_bad = true;
        return;
    }
    *value = (const char *)c->in.data;
    c->in = slice_skip(c->in, (size_t)len + 1);
}

static void encode_text(struct codec *c, const char *value)
{
    uint32_t len = value != NULL ? (uint32_t)strlen(value) : NO_TEXT;
    u32(c, &len);
    if (value != NULL)
        g_byte_array_append(c->out, (const void *)value, len + 1);
}

static void text(struct codec *c, const char **value)
{
    pst_assert(c->out == NULL || *value != NULL);
    if (c->out != NULL)
        encode_text(c, *value);
    else
        decode_text(c, value, false);
}

static void text_or_null(struct codec *c, const char **value)
{
    if (c->out != NULL)
        encode_text(c, *value);
    else
        decode_text(c, value, true);
}

/*
 * So many elements follow, each of `least` octets or more: a count that the frame has no room for is bad,
 * before memory is asked for. So a frame's arrays are never much larger than the frame.
 */
static void *array(struct codec *c, uint32_t *count, void *elements, size_t size, size_t least)
{
    u32(c, count);
    if (c->out != NULL)
        return elements;
    c->is_bad |= *count > c->in.len / least;
    if (c->is_bad)
        *count = 0;
    if (*count == 0)
        return NULL;
    void *zeroed = g_malloc0_n(*count, size);
    g_ptr_array_add(c->memory, zeroed);
    return zeroed;
}

#define ARRAY(codec, elements, count, element_fields, least)                                                 \
    do {                                                                                                     \
        (elements) = array((codec), &(count), (elements), sizeof *(elements), (least));                      \
        for (uint32_t array_index = 0; array_index < (count); array_index++)                                 \
            element_fields((codec), &(elements)[array_index]);                                               \
    } while (0)

/* ---- the frames' fields; how many octets an element has at least ---- */

enum {
    TEXT_LEAST = 4 + 1,
    OPTION_LEAST = 2 * TEXT_LEAST,
    HANDLER_LEAST = 2 * TEXT_LEAST + 4,
    RECIPIENT_LEAST = TEXT_LEAST + 3 * 4,
    TURN_LEAST = 2 * 4,
    FATE_LEAST = 3 * 4 + 2 * TEXT_LEAST + 3 * 4,
};

static void text_list(struct codec *c, struct wire_text_list *list)
{
    ARRAY(c, list->texts, list->count, text, TEXT_LEAST);
}

static void option_fields(struct codec *c, struct wire_option *o)
{
    text(c, &o->name);
    text(c, &o->value);
}

static void handler_fields(struct codec *c, struct wire_handler *h)
{
    text(c, &h->name);
    text(c, &h->file);
    ARRAY(c, h->options, h->option_count, option_fields, OPTION_LEAST);
}

static void config_fields(struct codec *c, struct wire_config *f)
{
    ARRAY(c, f->handlers, f->handler_count, handler_fields, HANDLER_LEAST);
    text_list(c, &f->paths);
    text_list(c, &f->writable);
    flag(c, &f->network);
    u64(c, &f->memory);
    u64(c, &f->stack);
    u64(c, &f->file_size);
    u64(c, &f->cpu_seconds);
}

static void recipient_fields(struct codec *c, struct wire_recipient *r)
{
    text(c, &r->address);
    text_list(c, &r->mailboxes);
    text_or_null(c, &r->notify);
    text_or_null(c, &r->original);
}

static void turn_fields(struct codec *c, struct wire_turn *t)
{
    u32(c, &t->handler);
    ARRAY(c, t->recipients, t->recipient_count, u32, sizeof(uint32_t));
}

static void message_texts(struct codec *c, struct wire_message *f)
{
    const char **needed[] = { &f->session, &f->id,   &f->listener,     &f->protocol,
                              &f->client,  &f->helo, &f->reverse_path, &f->body };
    const char **optional[] = { &f->client_name, &f->tls_version, &f->tls_cipher, &f->tls_server_name,
                                &f->tls_client,  &f->user,        &f->ret,        &f->envelope_id };
    for (size_t i = 0; i < G_N_ELEMENTS(needed); i++)
        text(c, needed[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(optional); i++)
        text_or_null(c, optional[i]);
}

static void message_fields(struct codec *c, struct wire_message *f)
{
    message_texts(c, f);
    flag(c, &f->utf8);
    u64(c, &f->declared_size);
    i64(c, &f->arrived_us);
    ARRAY(c, f->recipients, f->recipient_count, recipient_fields, RECIPIENT_LEAST);
    ARRAY(c, f->turns, f->turn_count, turn_fields, TURN_LEAST);
    u64(c, &f->size);
    flag(c, &f->in_frame);
    octets(c, &f->octets);
    u64(c, &f->offset);
}

static void fate_fields(struct codec *c, struct wire_fate *f)
{
    u32(c, &f->decision);
    c->is_bad |= f->decision >= WIRE_DECISIONS;
    i32(c, &f->handler);
    u32(c, &f->code);
    text(c, &f->enhanced);
    text(c, &f->text);
    text_or_null(c, &f->folder);
    text_or_null(c, &f->flags);
    text_list(c, &f->redirects);
}

static void verdict_fields(struct codec *c, struct wire_verdict *f)
{
    ARRAY(c, f->fates, f->fate_count, fate_fields, FATE_LEAST);
    octets(c, &f->front);
    u64(c, &f->skip);
    flag(c, &f->replaced);
    u64(c, &f->replaced_size);
}

static void log_fields(struct codec *c, struct wire_log *f)
{
    i32(c, &f->handler);
    u32(c, &f->level);
    text(c, &f->text);
}

static void obituary_fields(struct codec *c, struct wire_obituary *f)
{
    u32(c, &f->stage);
    c->is_bad |= f->stage >= WIRE_STAGES;
    i32(c, &f->handler);
    i32(c, &f->signal);
    i32(c, &f->status);
}

static void fields(struct codec *c, struct wire_frame *f)
{
    switch (f->type) {
    case WIRE_CONFIG:
        config_fields(c, &f->config);
        break;
    case WIRE_READY:
        text_or_null(c, &f->ready.problem);
        break;
    case WIRE_MESSAGE:
        message_fields(c, &f->message);
        break;
    case WIRE_LOG:
        log_fields(c, &f->log);
        break;
    case WIRE_VERDICT:
        verdict_fields(c, &f->verdict);
        break;
    case WIRE_OBITUARY:
        obituary_fields(c, &f->obituary);
        break;
    default:
        c->is_bad = true;
    }
}

/* ---- frames ---- */

int wire_encode(const struct wire_frame *frame, GByteArray *to)
{
    guint start = to->len;
    uint32_t head[2] = { 0, frame->type };
    g_byte_array_append(to, (const void *)head, WIRE_HEAD);
    struct codec c = { .out = to };
    struct wire_frame unchanged = *frame; /* encoding does not write; but the fields serve decoding, too */
    fields(&c, &unchanged);
    pst_assert(!c.is_bad);
    size_t len = to->len - start - WIRE_HEAD;
    if (len > WIRE_FRAME_MAX) {
        g_byte_array_set_size(to, start);
        return -EMSGSIZE;
    }
    head[0] = (uint32_t)len;
    memcpy(to->data + start, head, WIRE_HEAD);
    return 0;
}

int64_t wire_decode(struct slice in, struct wire_frame *ret_frame)
{
    uint32_t head[2];
    if (in.len < WIRE_HEAD)
        return 0;
    memcpy(head, in.data, WIRE_HEAD);
    if (head[0] > WIRE_FRAME_MAX || head[1] < WIRE_CONFIG || head[1] > WIRE_OBITUARY)
        return -EBADMSG;
    if (in.len - WIRE_HEAD < head[0])
        return 0;
    auto_val(wire_frame) f = { .type = head[1], .memory = g_ptr_array_new_with_free_func(g_free) };
    struct codec c = { .in = slice_of(in.data + WIRE_HEAD, head[0]), .memory = f.memory };
    fields(&c, &f);
    if (c.is_bad || c.in.len > 0)
        return -EBADMSG;
    *ret_frame = f;
    f.memory = NULL;
    return WIRE_HEAD + (int64_t)head[0];
}

bool wire_find_obituary(struct slice last, struct wire_obituary *ret_obituary)
{
    if (last.len < WIRE_OBITUARY_LEN)
        return false;
    auto_val(wire_frame) f = { .memory = NULL };
    last = slice_skip(last, last.len - WIRE_OBITUARY_LEN);
    if (wire_decode(last, &f) != WIRE_OBITUARY_LEN || f.type != WIRE_OBITUARY)
        return false;
    *ret_obituary = f.obituary;
    return true;
}

void wire_frame_clear(struct wire_frame *frame)
{
    g_clear_pointer(&frame->memory, g_ptr_array_unref);
}
