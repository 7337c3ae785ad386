#include "handlers/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

/* ---- one of each frame, with all in it, and with as little as there can be ---- */

static struct wire_option options[] = { { "queue", "support" }, { "empty", "" } };
static struct wire_handler handlers[] = {
    { "first", "/usr/lib/postern/first.so", options, 2 },
    { "second", "./second.so", NULL, 0 },
};
static const char *paths[] = { "/etc/one", "/etc/two" };
static const char *writable[] = { "/var/spool" };
static const char *mailboxes[] = { "alice@example.org", "bob@example.org" };
static struct wire_recipient recipients[] = {
    { "team@example.org", { mailboxes, 2 }, "success,failure", "rfc822;team@example.org" },
    { "J\303\274rgen@example.org", { mailboxes, 1 }, NULL, NULL },
    { "nobody", { NULL, 0 }, "", NULL },
};
static uint32_t numbers[] = { 0, 2 };
static struct wire_turn turns[] = { { 0, numbers, 2 }, { 1, NULL, 0 } };
static struct wire_fate fates[] = {
    { WIRE_DELIVER, -1, 0, "", "", "Lists/Announce", "FS", { mailboxes, 2 } },
    { WIRE_REJECT, 1, 550, "5.7.1", "not here", NULL, NULL, { NULL, 0 } },
    { WIRE_DEFER, 0, 451, "4.7.1", "not now", "", "", { NULL, 0 } },
};

static const struct sample {
    const char *name;
    struct wire_frame frame;
} samples[] = {
    { "config",
      { WIRE_CONFIG, .config = { handlers,
                                 2,
                                 { paths, 2 },
                                 { writable, 1 },
                                 true,
                                 512 << 20,
                                 8 << 20,
                                 UINT64_MAX,
                                 30 } } },
    { "config: empty", { WIRE_CONFIG } },
    { "ready", { WIRE_READY } },
    { "ready: a problem", { WIRE_READY, .ready = { "first: no such file" } } },
    { "message: in a descriptor",
      { WIRE_MESSAGE, .message = { .session = "1f",
                                   .id = "1f.1",
                                   .listener = "in",
                                   .protocol = "ESMTP",
                                   .client = "192.0.2.1",
                                   .helo = "mx.example.net",
                                   .reverse_path = "",
                                   .body = "8BITMIME",
                                   .client_name = "name",
                                   .tls_version = "TLSv1.3",
                                   .tls_cipher = "c",
                                   .tls_server_name = "s",
                                   .tls_client = "CN=c",
                                   .user = "u",
                                   .ret = "HDRS",
                                   .envelope_id = "e",
                                   .utf8 = true,
                                   .declared_size = 1 << 30,
                                   .arrived_us = INT64_C(1767225600000000),
                                   .recipients = recipients,
                                   .recipient_count = 3,
                                   .turns = turns,
                                   .turn_count = 2,
                                   .size = 1 << 30,
                                   .offset = 321 } } },
    { "message: in the frame",
      { WIRE_MESSAGE, .message = { .session = "",
                                   .id = "",
                                   .listener = "",
                                   .protocol = "",
                                   .client = "",
                                   .helo = "",
                                   .reverse_path = "",
                                   .body = "",
                                   .arrived_us = -1,
                                   .size = 5,
                                   .in_frame = true,
                                   .octets = { (const uint8_t *)"a\0b\n", 5 } } } },
    { "log", { WIRE_LOG, .log = { 1, 2, "what it says" } } },
    { "log: of the host itself", { WIRE_LOG, .log = { -1, 0, "" } } },
    { "verdict",
      { WIRE_VERDICT,
        .verdict = { fates, 3, { (const uint8_t *)"X-Seen: yes\n", 12 }, 100, true, UINT64_MAX } } },
    { "verdict: empty", { WIRE_VERDICT } },
    { "obituary", { WIRE_OBITUARY, .obituary = { WIRE_HANDLING, 1, 11, 0 } } },
    { "obituary: at the start", { WIRE_OBITUARY, .obituary = { WIRE_LOADING, -1, 0, 78 } } },
};

static GByteArray *encode(const struct wire_frame *f)
{
    GByteArray *bytes = g_byte_array_new();
    assert_int_equal(wire_encode(f, bytes), 0);
    return bytes;
}

/* In memory that ends where the octets do. */
static int64_t decode(const uint8_t *octets, size_t len, struct wire_frame *ret_frame, uint8_t **ret_copy)
{
    *ret_copy = malloc(MAX(len, 1));
    memcpy(*ret_copy, octets, len);
    uint8_t *start = *ret_copy;
    if (len == 0) {
        free(*ret_copy);
        *ret_copy = NULL;
        start = NULL;
    }
    return wire_decode(slice_of(start, len), ret_frame);
}

/* What was understood says the same when it is said again. */
static void check_understood(const struct wire_frame *f, const uint8_t *octets, int64_t len)
{
    g_autoptr(GByteArray) again = encode(f);
    assert_int_equal(again->len, len);
    assert_memory_equal(again->data, octets, (size_t)len);
}

/* Never a crash, never more than there is. */
static int64_t check_decoded(const uint8_t *octets, size_t len)
{
    auto_val(wire_frame) f = { .memory = NULL };
    uint8_t *copy;
    int64_t taken = decode(octets, len, &f, &copy);
    if (taken > 0) {
        assert_true((size_t)taken <= len);
        check_understood(&f, octets, taken);
    } else {
        assert_null(f.memory);
        assert_true(taken == 0 || taken == -EBADMSG);
    }
    free(copy);
    return taken;
}

static void comes_back(void **state)
{
    const struct sample *s = *state;
    g_autoptr(GByteArray) bytes = encode(&s->frame);
    assert_int_equal(check_decoded(bytes->data, bytes->len), bytes->len);
    auto_val(wire_frame) f = { .memory = NULL };
    assert_int_equal(wire_decode(slice_of(bytes->data, bytes->len), &f), bytes->len);
    assert_int_equal(f.type, s->frame.type);
}

/* Whole once all is there, with what follows left alone. */
static void is_cut(void **state)
{
    const struct sample *s = *state;
    g_autoptr(GByteArray) bytes = encode(&s->frame);
    for (size_t len = 0; len < bytes->len; len++)
        assert_int_equal(check_decoded(bytes->data, len), 0);
    guint len = bytes->len;
    g_autoptr(GByteArray) next = encode(&s->frame);
    g_byte_array_append(bytes, next->data, next->len - 1);
    assert_int_equal(check_decoded(bytes->data, bytes->len), len);
}

static void octets_change(void **state)
{
    const struct sample *s = *state;
    g_autoptr(GByteArray) bytes = encode(&s->frame);
    for (size_t at = 0; at < bytes->len; at++) {
        uint8_t was = bytes->data[at];
        for (unsigned change = 1; change < 256; change++) {
            bytes->data[at] = (uint8_t)(was ^ change);
            (void)check_decoded(bytes->data, bytes->len);
        }
        bytes->data[at] = was;
    }
}

/* A frame that tells another length than its fields have: too short or too long for them. */
static void length_is_wrong(void **state)
{
    const struct sample *s = *state;
    g_autoptr(GByteArray) bytes = encode(&s->frame);
    uint32_t right = bytes->len - WIRE_HEAD;
    g_byte_array_append(bytes, (const uint8_t *)"\0\0\0\0\0\0\0\0", 8);
    for (uint32_t len = 0; len <= right + 8; len++) {
        memcpy(bytes->data, &len, sizeof len);
        int64_t taken = check_decoded(bytes->data, bytes->len);
        assert_int_equal(taken, len == right ? (int64_t)right + WIRE_HEAD : -EBADMSG);
    }
}

/* ---- more of it ---- */

static void fields_are_right(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bytes = encode(&samples[4].frame);
    auto_val(wire_frame) f = { .memory = NULL };
    assert_true(wire_decode(slice_of(bytes->data, bytes->len), &f) > 0);
    const struct wire_message *m = &f.message;
    assert_string_equal(m->id, "1f.1");
    assert_string_equal(m->reverse_path, "");
    assert_string_equal(m->envelope_id, "e");
    assert_true(m->utf8);
    assert_false(m->in_frame);
    assert_int_equal(m->offset, 321);
    assert_int_equal(m->recipient_count, 3);
    assert_string_equal(m->recipients[0].mailboxes.texts[1], "bob@example.org");
    assert_string_equal(m->recipients[1].address, "J\303\274rgen@example.org");
    assert_null(m->recipients[1].notify);
    assert_string_equal(m->recipients[2].notify, "");
    assert_int_equal(m->turns[0].recipients[1], 2);
    assert_int_equal(m->turns[1].recipient_count, 0);
}

static const struct bad {
    const char *name;
    uint32_t head[2];
} bad_rows[] = {
    { "head: too long", { WIRE_FRAME_MAX + 1, WIRE_LOG } },
    { "head: far too long", { UINT32_MAX, WIRE_LOG } },
    { "head: no type", { 0, 0 } },
    { "head: behind the last type", { 0, WIRE_OBITUARY + 1 } },
    { "head: far behind the last type", { 0, UINT32_MAX } },
};

static void head_is_bad(void **state)
{
    const struct bad *row = *state;
    assert_int_equal(check_decoded((const uint8_t *)row->head, WIRE_HEAD), -EBADMSG);
}

/* Told by its head: nobody waits for the rest. */
static void longest_head(void **state)
{
    (void)state;
    const uint32_t head[2] = { WIRE_FRAME_MAX, WIRE_LOG };
    assert_int_equal(check_decoded((const uint8_t *)head, WIRE_HEAD), 0);
}

static void is_too_long(void **state)
{
    (void)state;
    g_autofree char *text = g_strnfill(WIRE_FRAME_MAX, 'x');
    struct wire_frame f = { WIRE_LOG, .log = { -1, 0, text } };
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const uint8_t *)"before", 6);
    assert_int_equal(wire_encode(&f, bytes), -EMSGSIZE);
    assert_int_equal(bytes->len, 6);
    text[WIRE_FRAME_MAX - 13] = '\0'; /* with its length, its NUL, and two numbers */
    assert_int_equal(wire_encode(&f, bytes), 0);
    assert_int_equal(bytes->len, 6 + WIRE_HEAD + WIRE_FRAME_MAX);
    assert_int_equal(check_decoded(bytes->data + 6, bytes->len - 6), WIRE_HEAD + WIRE_FRAME_MAX);
}

/* A count as large as the frame, of elements that it has no room for: no memory is asked for. */
static void counts_are_bounded(void **state)
{
    (void)state;
    enum { LEN = WIRE_FRAME_MAX };
    g_autofree uint8_t *frame = g_malloc0(WIRE_HEAD + LEN);
    const uint32_t head[] = { LEN, WIRE_VERDICT, LEN / 34 + 1 };
    memcpy(frame, head, sizeof head);
    assert_int_equal(check_decoded(frame, WIRE_HEAD + LEN), -EBADMSG);
}

/* ---- obituaries ---- */

static bool find(const GByteArray *bytes, struct wire_obituary *ret_obituary)
{
    return wire_find_obituary(slice_of(bytes->data, bytes->len), ret_obituary);
}

static void obituary_is_found(void **state)
{
    const struct sample *s = *state;
    const struct wire_frame obituary = { WIRE_OBITUARY, .obituary = { WIRE_PARSING, -1, 11, 0 } };
    g_autoptr(GByteArray) last = encode(&obituary);
    assert_int_equal(last->len, WIRE_OBITUARY_LEN);
    g_autoptr(GByteArray) before = encode(&s->frame);
    for (guint cut = 0; cut <= before->len; cut++) {
        struct wire_obituary o = { .handler = 5 };
        g_autoptr(GByteArray) all = g_byte_array_new();
        g_byte_array_append(all, before->data, cut);
        g_byte_array_append(all, last->data, last->len);
        assert_true(find(all, &o));
        assert_int_equal(o.stage, WIRE_PARSING);
        assert_int_equal(o.handler, -1);
        assert_int_equal(o.signal, 11);
        g_byte_array_set_size(all, all->len - 1);
        assert_false(find(all, &o)); /* it was cut itself */
    }
}

static void no_obituary(void **state)
{
    (void)state;
    struct wire_obituary o;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    assert_false(find(bytes, &o));
    static const uint8_t zeros[100];
    g_byte_array_append(bytes, zeros, sizeof zeros);
    assert_false(find(bytes, &o));
    const struct wire_frame bad = { WIRE_OBITUARY, .obituary = { WIRE_HANDLING, 0, 0, 0 } };
    g_autoptr(GByteArray) last = encode(&bad);
    last->data[WIRE_HEAD] = WIRE_STAGES;
    assert_false(find(last, &o));
    g_autoptr(GByteArray) log = encode(&samples[6].frame);
    assert_false(find(log, &o));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *what;
        CMUnitTestFunction run;
    } each[] = {
        { "comes back", comes_back },
        { "is cut", is_cut },
        { "octets change", octets_change },
        { "its length is wrong", length_is_wrong },
        { "before an obituary", obituary_is_found },
    };
    struct suite *suite = suite_new("wire");
    for (size_t i = 0; i < G_N_ELEMENTS(samples); i++)
        for (size_t k = 0; k < G_N_ELEMENTS(each); k++) {
            g_autofree char *name = g_strdup_printf("%s: %s", samples[i].name, each[k].what);
            suite_add(suite, name, each[k].run, (void *)&samples[i]);
        }
    suite_add_rows(suite, bad_rows, head_is_bad);
    suite_add(suite, "fields are right", fields_are_right, NULL);
    suite_add(suite, "the longest head", longest_head, NULL);
    suite_add(suite, "a frame is too long", is_too_long, NULL);
    suite_add(suite, "counts are bounded by the frame", counts_are_bounded, NULL);
    suite_add(suite, "no obituary", no_obituary, NULL);
    return suite_run(suite, argc, argv);
}
