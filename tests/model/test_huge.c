/*
 * Messages of more than 4 GiB, which 32 bits cannot count: the octets of a message and of a chunk, the limit,
 * and what SIZE declares. (qmail's counters, CVE-2005-1513 to 1515, wrapped there.) The octets come from one
 * buffer, again and again, and go nowhere.
 */
#include "suite.h"

#include <glib.h>

#include "talk.h"

#define GIB   (UINT64_C(1) << 30)
#define FOUR  (4 * GIB)
#define LIMIT (FOUR + 3 * UINT64_C(1048576))

enum { LINE = 1024, BLOCK = 1024 * LINE };

/* Lines that make a block, each with CR LF. */
static char *new_block(void)
{
    char *block = g_malloc(BLOCK);
    memset(block, 'x', BLOCK);
    for (size_t end = LINE; end <= BLOCK; end += LINE)
        memcpy(block + end - 2, "\r\n", 2);
    return block;
}

static void begin(struct talk *t, enum smtp_protocol protocol)
{
    static struct smtp_service services[2];
    services[protocol] = (struct smtp_service){ .protocol = protocol,
                                                .hostname = "mx.example.org",
                                                .limits = { .message_size = LIMIT,
                                                            .header_size = UINT64_MAX,
                                                            .header_fields = UINT64_MAX,
                                                            .recipients = 100,
                                                            .errors = 100,
                                                            .command_length = 2048,
                                                            .commands = 1000,
                                                            .messages = 1000,
                                                            .strangers = 1000,
                                                            .command_timeout = 300000,
                                                            .data_timeout = 600000 } };
    talk_begin(t, &services[protocol], false);
}

static void send_octets(struct talk *t, const char *block, uint64_t octets)
{
    for (uint64_t left = octets; left > 0; left -= MIN(left, BLOCK))
        talk_send(t, block, (size_t)MIN(left, BLOCK));
}

#define assert_codes(t, want) (assert_string_equal((t)->codes->str, want), talk_clear(t))

static void envelope(struct talk *t)
{
    talk_say(t, "MAIL FROM:<carol@example.net>\r\nRCPT TO:<ann@example.org>\r\n");
    assert_codes(t, "250 250 ");
}

static void bdat(struct talk *t, const char *block, uint64_t octets, const char *last)
{
    g_autofree char *command = g_strdup_printf("BDAT %" G_GUINT64_FORMAT "%s\r\n", octets, last);
    talk_say(t, command);
    send_octets(t, block, octets);
}

/* ---- DATA ---- */

static void data_at_the_limit(void **state)
{
    (void)state;
    struct talk t;
    g_autofree char *block = new_block();
    begin(&t, SMTP_PROTOCOL_SMTP);
    envelope(&t);
    talk_say(&t, "DATA\r\n");
    send_octets(&t, block, LIMIT);
    talk_say(&t, ".\r\n");
    assert_codes(&t, "354 250 ");
    assert_true(t.octets == LIMIT);
    talk_end(&t);
}

static void data_beyond_the_limit(void **state)
{
    (void)state;
    struct talk t;
    g_autofree char *block = new_block();
    begin(&t, SMTP_PROTOCOL_LMTP);
    envelope(&t);
    talk_say(&t, "RCPT TO:<bob@example.org>\r\nDATA\r\n");
    send_octets(&t, block, LIMIT);
    talk_say(&t, "\r\n");
    send_octets(&t, block, GIB); /* 4 GiB and this much are within it again, to whom 32 bits are enough */
    talk_say(&t, ".\r\nNOOP\r\n");
    assert_codes(&t, "250 354 552 552 250 ");
    assert_int_equal(t.messages, 0);
    talk_end(&t);
}

/* ---- BDAT ---- */

static void chunk_at_the_limit(void **state)
{
    (void)state;
    struct talk t;
    g_autofree char *block = new_block();
    begin(&t, SMTP_PROTOCOL_SMTP);
    envelope(&t);
    bdat(&t, block, LIMIT, " LAST");
    talk_say(&t, "NOOP\r\n");
    assert_codes(&t, "250 250 ");
    assert_true(t.octets == LIMIT);
    assert_int_equal(t.messages, 1);
    talk_end(&t);
}

static void chunks_at_the_limit(void **state)
{
    (void)state;
    struct talk t;
    g_autofree char *block = new_block();
    begin(&t, SMTP_PROTOCOL_SMTP);
    envelope(&t);
    bdat(&t, block, FOUR - 1, "");
    bdat(&t, block, 2, "");
    bdat(&t, block, LIMIT - FOUR - 1, "");
    bdat(&t, block, 0, " LAST");
    assert_codes(&t, "250 250 250 250 ");
    assert_true(t.octets == LIMIT);
    talk_end(&t);
}

static void chunks_beyond_the_limit(void **state)
{
    (void)state;
    struct talk t;
    g_autofree char *block = new_block();
    begin(&t, SMTP_PROTOCOL_SMTP);
    envelope(&t);
    bdat(&t, block, LIMIT, "");
    bdat(&t, block, 1, "");
    bdat(&t, block, FOUR + 1, " LAST");
    talk_say(&t, "RSET\r\n");
    assert_codes(&t, "250 552 503 250 ");
    assert_int_equal(t.messages, 0);
    talk_end(&t);
}

/* A refused chunk is read to its end, and its length is what it says, not that modulo 2^32. */
static void chunk_beyond_the_limit(void **state)
{
    (void)state;
    struct talk t;
    g_autofree char *block = new_block();
    begin(&t, SMTP_PROTOCOL_SMTP);
    envelope(&t);
    bdat(&t, block, LIMIT + 1, " LAST");
    talk_say(&t, "NOOP\r\n");
    assert_codes(&t, "552 250 ");
    assert_int_equal(t.messages, 0);
    talk_end(&t);
}

static void chunk_without_a_transaction(void **state)
{
    (void)state;
    struct talk t;
    g_autofree char *block = new_block();
    begin(&t, SMTP_PROTOCOL_SMTP);
    bdat(&t, block, FOUR + 1, " LAST");
    assert_codes(&t, "503 ");
    talk_say(&t, "NOOP\r\n");
    assert_codes(&t, "250 ");
    talk_end(&t);
}

/* ---- SIZE ---- */

static void declared_size(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        const char *code;
    } rows[] = {
        { FOUR - 1, "250 " },  { FOUR, "250 " },     { FOUR + 1, "250 " },     { LIMIT, "250 " },
        { LIMIT + 1, "552 " }, { 2 * FOUR, "552 " }, { 2 * FOUR + 1, "552 " }, { UINT64_MAX, "552 " }
    };
    struct talk t;
    begin(&t, SMTP_PROTOCOL_SMTP);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *mail = g_strdup_printf("MAIL FROM:<> SIZE=%" G_GUINT64_FORMAT "\r\n", rows[i].size);
        talk_say(&t, mail);
        assert_codes(&t, rows[i].code);
        if (rows[i].size <= LIMIT)
            assert_true(t.declared == rows[i].size);
        talk_say(&t, "RSET\r\n");
        talk_clear(&t);
    }
    talk_end(&t);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("huge");
    if (!WITH_SANITIZERS) { /* which look at each octet */
        suite_add(s, "DATA: more than 4 GiB, just within the limit", data_at_the_limit, NULL);
        suite_add(s, "DATA: more than 4 GiB, and beyond the limit", data_beyond_the_limit, NULL);
    }
    suite_add(s, "BDAT: one chunk of more than 4 GiB, just within the limit", chunk_at_the_limit, NULL);
    suite_add(s, "BDAT: chunks of more than 4 GiB together, just within the limit", chunks_at_the_limit,
              NULL);
    suite_add(s, "BDAT: chunks beyond the limit", chunks_beyond_the_limit, NULL);
    suite_add(s, "BDAT: a chunk beyond the limit is read to its end", chunk_beyond_the_limit, NULL);
    suite_add(s, "BDAT: a chunk of 4 GiB without a transaction is read to its end",
              chunk_without_a_transaction, NULL);
    suite_add(s, "SIZE beyond 32 bits", declared_size, NULL);
    return suite_run(s, argc, argv);
}
