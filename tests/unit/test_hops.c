/*
 * Where a message was before: rows of header sections, each with LF and with CR LF, and each whole, cut in
 * two at every octet, and octet by octet.
 */
#include "suite.h"

#include <glib.h>

#include "message/hops.h"

#define REPEAT_10(text)  text text text text text text text text text text
#define REPEAT_100(text) REPEAT_10(REPEAT_10(text))

static const struct row {
    const char *name;
    const char *message; /* with LF */
    unsigned received;
    const char *delivered; /* addresses, with a blank behind each */
} rows[] = {
    { "no message", "", 0, "" },
    { "no header section", "\nReceived: 1\n", 0, "" },
    { "fields of other names", "From: a@b\nTo: alice@example.org\nX-Received: 1\nReceived-SPF: none\n\n", 0,
      "" },
    { "one server", "Received: from a by b\nSubject: x\n\nhello\n", 1, "" },
    { "three servers", "Received: 1\nReceived: 2\nSubject: x\nReceived: 3\n\n", 3, "" },
    { "case does not count", "RECEIVED: 1\nreceived: 2\nDELIVERED-to: alice@example.org\n\n", 2,
      "alice@example.org " },
    { "what stands in the body is none", "Received: 1\n\nReceived: 2\nDelivered-To: alice@example.org\n", 1,
      "" },
    { "a name that goes on is another", "Receiveds: 1\nDelivered-Tos: alice@example.org\n\n", 0, "" },
    { "a name that is cut is another", "Receive: 1\nDelivered-T: alice@example.org\n\n", 0, "" },
    { "a name alone is none", "Received\nDelivered-To\n\n", 0, "" },
    { "blanks before the colon are none of ours", "Received : 1\nDelivered-To : alice@example.org\n\n", 0,
      "" },
    { "a blank in front is a folded line", "Subject: x\n Received: 1\n\tDelivered-To: alice@example.org\n\n",
      0, "" },
    { "a folded field counts once", "Received: from a\n\tby b with ESMTP\n\t; Received: 3\n\n", 1, "" },
    { "a line of blanks ends nothing", "Received: 1\n \nReceived: 2\n\n", 2, "" },
    { "without a body", "Received: 1\n", 1, "" },
    { "an empty field", "Received:\nDelivered-To:\n\n", 1, "" },
    { "101 servers", REPEAT_100("Received: x\n") "Received: y\n\n", 101, "" },

    { "one mailbox", "Delivered-To: alice@example.org\n\n", 0, "alice@example.org " },
    { "several, in their order", "Delivered-To: a@example.org\nReceived: 1\nDelivered-To: b@example.net\n\n",
      1, "a@example.org b@example.net " },
    { "without a blank, and with many", "Delivered-To:a@example.org\nDelivered-To: \t b@example.org \t\n\n",
      0, "a@example.org b@example.org " },
    { "a quoted one", "Delivered-To: \"a b\"@example.org\n\n", 0, "\"a b\"@example.org " },
    { "in UTF-8", "Delivered-To: pel\u00e9@m\u00fcnchen.example\n\n", 0, "pel\u00e9@m\u00fcnchen.example " },
    { "at an address literal", "Delivered-To: alice@[192.0.2.1]\n\n", 0, "alice@[192.0.2.1] " },
    { "what is no address is none",
      "Delivered-To: alice\nDelivered-To: @example.org\nDelivered-To: a@b@c\nDelivered-To: a b@example.org\n"
      "Delivered-To: alice@example.org, bob@example.org\nDelivered-To: alice@example.org (comment\n"
      "Delivered-To: Alice <alice@example.org>\nDelivered-To: <alice@example.org\nDelivered-To: <>\n"
      "Delivered-To: alice@example.org) \nDelivered-To: alice(c)bob@example.org bob\n"
      "Delivered-To: a@.org\nDelivered-To: alice@example.org>\nDelivered-To: \xff@example.org\n"
      "Delivered-To: bob@example.org\n\n",
      0, "bob@example.org " },
    { "in angle brackets", "Delivered-To: <alice@example.org>\nDelivered-To:\t< bob@example.org > \n\n", 0,
      "alice@example.org bob@example.org " },
    { "a comment in front and behind", "Delivered-To: (for) alice@example.org (by \\) us (too))\n\n", 0,
      "alice@example.org " },
    { "a comment beside angle brackets", "Delivered-To: (a)<alice@example.org>(\"b)\n\n", 0,
      "alice@example.org " },
    { "what is in quotes is no comment", "Delivered-To: \"a\\\"(b)\"@example.org\n\n", 0,
      "\"a\\\"(b)\"@example.org " },
    { "a folded one", "Delivered-To:\n alice@example.org\nDelivered-To: <bob@example.org>\n \t\n\n", 0,
      "alice@example.org bob@example.org " },
    { "a folded comment", "Delivered-To: alice@example.org\n (not (Received:\n 1) really)\nReceived: 1\n\n",
      1, "alice@example.org " },
    { "one that goes on is no address any more",
      "Delivered-To: bob@example.org\nDelivered-To: alice@example.org\n .example.com\n\n", 0,
      "bob@example.org " },
    { "a folded one at the end of a message without a body", "Delivered-To:\n alice@example.org\n", 0,
      "alice@example.org " },
    { "a folded one that is too long", "Delivered-To: alice@example.org\n" REPEAT_100("  \t ") "\n x\n\n", 0,
      "" },
    { "what is folded behind another field is that one's",
      "Delivered-To: alice@example.org\nSubject:\n bob@example.org\n\n", 0, "alice@example.org " },
    { "a byte order mark in front", "\xef\xbb\xbfReceived: 1\nDelivered-To: alice@example.org\n\n", 1,
      "alice@example.org " },
    { "a byte order mark later", "Received: 1\n\xef\xbb\xbfReceived: 2\n\n", 1, "" },
    { "a byte order mark and no header section", "\xef\xbb\xbf\nReceived: 1\n", 0, "" },
    { "a long line that is none of them", "Subject: " REPEAT_100("Received: ") "\nReceived: 1\n\n", 1, "" },
    { "a long line of a server", "Received: " REPEAT_100("from here ") "\nReceived: 2\n\n", 2, "" },
    { "a longer one than addresses are",
      "Delivered-To: alice@example.org" REPEAT_100("  ") "x\n"
                                                         "Delivered-To: bob@example.org\n\n",
      0, "bob@example.org " },
    { "one that would be another's if it were cut",
      "Delivered-To: " REPEAT_100("  ") REPEAT_10("          ") "alice@example.org.example.com\n\n", 0, "" },
    { "long lines behind one another", REPEAT_100("X: " REPEAT_10("0123456789") "\n") "Received: 1\n\n", 1,
      "" },
};

static struct slice slice_of_string(const GString *s)
{
    return slice_of(s->str, s->len);
}

/* In an own copy, so that nothing can be read behind it nor later. */
static void take(struct hops *h, struct slice bytes)
{
    g_autofree uint8_t *copy = g_memdup2(bytes.data, bytes.len);
    hops_take(h, slice_of(copy, bytes.len));
}

static void check(const struct row *row, const struct hops *h)
{
    g_autoptr(GString) delivered = g_string_new(NULL);
    for (guint i = 0; h->delivered != NULL && i < h->delivered->len; i++) {
        char text[SMTP_ADDRESS_TEXT];
        g_string_append(delivered,
                        smtp_address_format(&g_array_index(h->delivered, struct smtp_address, i), text));
        g_string_append_c(delivered, ' ');
    }
    assert_int_equal(h->received, row->received);
    assert_string_equal(delivered->str, row->delivered);
}

static void check_whole(const struct row *row, struct slice message)
{
    auto_val(hops) h = { 0 };
    take(&h, message);
    check(row, &h);
}

static void check_cut(const struct row *row, struct slice message)
{
    for (size_t cut = 0; cut <= message.len; cut++) {
        auto_val(hops) h = { 0 };
        take(&h, slice_first(message, cut));
        take(&h, slice_skip(message, cut));
        check(row, &h);
    }
}

static void check_by_octets(const struct row *row, struct slice message)
{
    auto_val(hops) h = { 0 };
    for (size_t i = 0; i < message.len; i++)
        take(&h, slice_first(slice_skip(message, i), 1));
    check(row, &h);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    for (int with_cr = 0; with_cr < 2; with_cr++) {
        g_autoptr(GString) message = g_string_new(row->message);
        if (with_cr)
            g_string_replace(message, "\n", "\r\n", 0);
        check_whole(row, slice_of_string(message));
        check_cut(row, slice_of_string(message));
        check_by_octets(row, slice_of_string(message));
    }
}

/* Whatever is sent, no more is kept than so many, and all servers are counted. */
static void what_is_kept_is_bounded(void **state)
{
    (void)state;
    auto_val(hops) h = { 0 };
    for (unsigned i = 0; i < 3 * HOPS_DELIVERED; i++) {
        g_autofree char *line = g_strdup_printf("Delivered-To: box%u@example.org\nReceived: %u\n", i, i);
        take(&h, slice_str(line));
    }
    assert_int_equal(h.received, 3 * HOPS_DELIVERED);
    assert_int_equal(h.delivered->len, HOPS_DELIVERED);
    char text[SMTP_ADDRESS_TEXT];
    for (unsigned i = 0; i < HOPS_DELIVERED; i++) {
        g_autofree char *want = g_strdup_printf("box%u@example.org", i);
        assert_string_equal(smtp_address_format(&g_array_index(h.delivered, struct smtp_address, i), text),
                            want);
    }
}

/* The longest address that a client can name is one that Delivered-To may tell. */
static void the_longest_address(void **state)
{
    (void)state;
    g_autofree char *local = g_strnfill(200, 'a');
    g_autofree char *domain = g_strnfill(SMTP_PATH_MAX - strlen("<@>") - 200, 'd');
    g_autofree char *message = g_strdup_printf("Delivered-To: %s@%s\n\n", local, domain);
    g_autofree char *want = g_strdup_printf("%s@%s ", local, domain);
    const struct row row = { "", message, 0, want };
    check_cut(&row, slice_str(message));
}

static void what_ended_stays_at_its_end(void **state)
{
    (void)state;
    auto_val(hops) h = { 0 };
    take(&h, slice_str("Received: 1\n\n"));
    assert_true(h.ended);
    take(&h, slice_str("Received: 2\nDelivered-To: alice@example.org\n"));
    assert_int_equal(h.received, 1);
    assert_null(h.delivered);
    hops_clear(&h);
    hops_clear(&h);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("hops");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "what is kept is bounded", what_is_kept_is_bounded, NULL);
    suite_add(s, "the longest address", the_longest_address, NULL);
    suite_add(s, "what ended stays at its end", what_ended_stays_at_its_end, NULL);
    return suite_run(s, argc, argv);
}
