/*
 * The core alone, in memory. bench.py runs it: under valgrind, which counts instructions and allocations, and
 * by itself, when it tells its speed.
 *
 *   core data|pipelined|bdat COUNT     one session, with so many messages of 4 KiB for one recipient each: a
 * command at a time; MAIL, RCPT and DATA at once; or all at once, with BDAT core decode CORPUS OCTETS
 * dot-unstuffing of so much of base64, text or dots: octets a nanosecond (GB/s) core convert CORPUS OCTETS
 * the same with line ends turned to LF behind it
 */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/auto.h"
#include "base/random.h"
#include "message/lines.h"
#include "smtp/data.h"
#include "smtp/session.h"

enum {
    MESSAGE_SIZE = 4096,
    PIECE = 64 * 1024, /* what a connection reads at once */
    RUNS = 9,          /* the best counts: what else the machine does only ever makes a run slower */
};

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "core: %s\n", why);
    exit(1);
}

/* ---- transactions ---- */

static const char header[] = "Received: from out.example.net (out.example.net [192.0.2.17])\r\n"
                             "\tby relay.example.net with ESMTPS id 4bX7yq0kzpz3\r\n"
                             "\tfor <alice@example.org>; Mon, 3 Feb 2025 09:12:44 +0000\r\n"
                             "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.net; s=k1;\r\n"
                             "\th=date:from:to:subject; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=;\r\n"
                             "\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n"
                             "Date: Mon, 3 Feb 2025 10:12:43 +0100\r\n"
                             "From: Bob Example <bob@example.net>\r\n"
                             "To: Alice Example <alice@example.org>\r\n"
                             "Message-ID: <20250203101243.7f3a1c@out.example.net>\r\n"
                             "In-Reply-To: <20250202183010.11e9b2@mx.example.org>\r\n"
                             "Subject: Re: what is left to do before Thursday\r\n"
                             "MIME-Version: 1.0\r\n"
                             "Content-Type: text/plain; charset=utf-8\r\n"
                             "Content-Transfer-Encoding: 8bit\r\n"
                             "\r\n";

static GString *make_message(void)
{
    GString *message = g_string_new(header);
    g_string_append(message, ".profile is the file that I mean; the others can stay where they are.\r\n");
    while (message->len < MESSAGE_SIZE)
        g_string_append(message,
                        "It is a line of text as people write it, and about seventy octets long\r\n");
    g_string_truncate(message, MESSAGE_SIZE - 2);
    return g_string_append(message, "\r\n");
}

/* What a connection and a delivery are to a session, without doing anything. */
struct owner {
    struct smtp_session *session;
    size_t messages, octets;
};

static void perform(struct owner *o, const struct smtp_effect *e)
{
    switch (e->kind) {
    case SMTP_EFFECT_WRITE:
        if (e->bytes.data[0] > '3')
            die((const char *)e->bytes.data);
        break;
    case SMTP_EFFECT_RCPT:
        smtp_session_answer(o->session, e->ticket, (struct smtp_verdict){ .outcome = SMTP_RECIPIENT_OK }, 0);
        break;
    case SMTP_EFFECT_APPEND:
        o->octets += e->bytes.len;
        break;
    case SMTP_EFFECT_FINISH:
        o->messages++;
        smtp_session_answer(o->session, e->ticket, (struct smtp_verdict){ SMTP_DELIVERED, "7f3a1c.1" }, 0);
        break;
    default:
        break;
    }
}

static void pull(struct owner *o)
{
    struct smtp_effect effect;
    while (smtp_session_next(o->session, &effect))
        perform(o, &effect);
}

static void feed(struct owner *o, struct slice in)
{
    while (in.len > 0) {
        size_t taken = smtp_session_feed(o->session, in, 0);
        pull(o);
        if (taken == 0)
            die("the session takes nothing");
        in = slice_skip(in, taken);
    }
}

#define MAIL "MAIL FROM:<bob@example.net> SIZE=4096 BODY=8BITMIME\r\n"
#define RCPT "RCPT TO:<alice@example.org>\r\n"
#define DATA "DATA\r\n"
#define BDAT "BDAT 4096 LAST\r\n"

static void add_piece(GPtrArray *pieces, const char *text)
{
    g_ptr_array_add(pieces, g_string_new(text));
}

static void free_piece(void *piece)
{
    g_string_free(piece, TRUE);
}

/* What a client sends for each message, in the pieces in which it comes. */
static void transaction_pieces(const char *how, GPtrArray *pieces)
{
    g_autoptr(GString) message = make_message();
    if (strcmp(how, "bdat") == 0) {
        g_string_prepend(message, MAIL RCPT BDAT);
        add_piece(pieces, message->str);
        return;
    }
    if (strcmp(how, "pipelined") == 0) {
        add_piece(pieces, MAIL RCPT DATA);
    } else {
        add_piece(pieces, MAIL);
        add_piece(pieces, RCPT);
        add_piece(pieces, DATA);
    }
    g_string_replace(message, "\r\n.", "\r\n..", 0);
    g_string_append(message, ".\r\n");
    add_piece(pieces, message->str);
}

static void run_transactions(const char *how, size_t count)
{
    struct smtp_service service = { .protocol = SMTP_PROTOCOL_SMTP, .hostname = "mx.example.org" };
    option_set_defaults(smtp_limit_rows, smtp_limit_row_count, &service.limits);
    g_autoptr(GPtrArray) pieces = g_ptr_array_new_with_free_func(free_piece);
    transaction_pieces(how, pieces);
    struct owner o = { .session = smtp_session_new(&service, &(struct smtp_client){ 0 }, 0) };
    pull(&o);
    feed(&o, slice_str("EHLO out.example.net\r\n"));
    for (size_t i = 0; i < count; i++)
        for (guint n = 0; n < pieces->len; n++) {
            const GString *piece = pieces->pdata[n];
            feed(&o, slice_of(piece->str, piece->len));
        }
    if (o.messages != count || o.octets != count * MESSAGE_SIZE)
        die("messages were lost");
    smtp_session_free(o.session);
}

/* ---- large bodies ---- */

static void append_line(GString *body, const char *corpus, struct pst_random *random)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = 76;
    if (strcmp(corpus, "text") == 0) { /* short lines, one in 40 with a dot in front */
        len = (size_t)pst_random_below(random, 81);
        if (pst_random_below(random, 40) == 0)
            g_string_append(body, "..");
    } else if (strcmp(corpus, "dots") == 0) { /* nothing but dots: the worst that can be sent */
        g_string_append(body, "..");
        len = 0;
    }
    size_t from = (size_t)pst_random_below(random, 64);
    for (size_t i = 0; i < len; i++)
        g_string_append_c(body, letters[(from + i) % 64]);
    g_string_append(body, "\r\n");
}

static GString *make_body(const char *corpus, size_t size)
{
    struct pst_random random;
    pst_random_seed(&random, 1);
    GString *body = g_string_sized_new(size + 128);
    while (body->len < size)
        append_line(body, corpus, &random);
    return g_string_append(body, ".\r\n");
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* `converted` is NULL, or has room for a piece. */
static void decode(struct slice body, uint8_t *converted)
{
    struct smtp_data d = { 0 };
    struct line_ends ends = { 0 };
    enum smtp_data_found found;
    do {
        struct slice piece = slice_first(body, PIECE), run;
        size_t taken;
        while ((found = smtp_data_take(&d, piece, &run, &taken)) == SMTP_DATA_RUN) {
            if (converted != NULL)
                (void)line_ends_convert(&ends, run, converted);
            piece = slice_skip(piece, taken);
            body = slice_skip(body, taken);
        }
    } while (found != SMTP_DATA_END);
    if (d.bare_cr_lf || body.len != strlen(".\r\n"))
        die("the body was misread");
}

static void run_decoder(const char *corpus, size_t size, bool convert)
{
    g_autoptr(GString) body = make_body(corpus, size);
    g_autofree uint8_t *converted = convert ? g_malloc(PIECE + 1) : NULL;
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        double start = cpu_ns();
        decode(slice_of(body->str, body->len), converted);
        best = MAX(best, (double)body->len / (cpu_ns() - start));
    }
    printf("%.3f\n", best);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        run_transactions(argv[1], strtoul(argv[2], NULL, 10));
    else if (argc == 4)
        run_decoder(argv[2], strtoul(argv[3], NULL, 10), strcmp(argv[1], "convert") == 0);
    else
        die("the top of core.c tells what it can be told");
    return 0;
}
