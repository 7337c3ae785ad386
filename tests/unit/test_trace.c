/* Trace header fields, whole: rows of what a message's way was, and the very text that stands in front of it.
 */
#include "suite.h"

#include <glib.h>
#include <locale.h>

#include "address.h"
#include "message/trace.h"

enum { ARRIVED = 1795296824 }; /* Sat, 21 Nov 2026 21:33:44 UTC */

static const struct row {
    const char *name;
    const char *helo, *client, *protocol;
    const char *from, *to; /* paths */
    bool only_recipient;
    const char *want;
} rows[] = {
    { "a message for one", "client.example.net", "192.0.2.1", "ESMTP", "<bob@example.net>",
      "<alice@example.org>", true,
      "Return-Path: <bob@example.net>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from client.example.net ([192.0.2.1])\n"
      "\tby mx.example.org with ESMTP id 4XyZ for <alice@example.org>;\n"
      "\tSat, 21 Nov 2026 21:33:44 +0000\n" },
    { "with more recipients, none is told", "client.example.net", "192.0.2.1", "ESMTP", "<bob@example.net>",
      "<alice@example.org>", false,
      "Return-Path: <bob@example.net>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from client.example.net ([192.0.2.1])\n"
      "\tby mx.example.org with ESMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "IPv6 and a literal in HELO", "[IPv6:2001:db8::1]", "IPv6:2001:db8::1", "SMTP", "<bob@example.net>",
      "<alice@example.org>", false,
      "Return-Path: <bob@example.net>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\n"
      "\tby mx.example.org with SMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "a bounce", "client.example.net", "192.0.2.1", "ESMTP", "<>", "<alice@example.org>", false,
      "Return-Path: <>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from client.example.net ([192.0.2.1])\n"
      "\tby mx.example.org with ESMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "who never said HELO is named by the address", "", "192.0.2.1", "SMTP", "<bob@example.net>",
      "<alice@example.org>", false,
      "Return-Path: <bob@example.net>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from [192.0.2.1] ([192.0.2.1])\n"
      "\tby mx.example.org with SMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "a unix socket has no address", "relay.example.net", "unix", "LMTP", "<bob@example.net>",
      "<alice@example.org>", true,
      "Return-Path: <bob@example.net>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from relay.example.net\n"
      "\tby mx.example.org with LMTP id 4XyZ for <alice@example.org>;\n"
      "\tSat, 21 Nov 2026 21:33:44 +0000\n" },
    { "a unix socket and a literal, which cannot stand alone", "[192.0.2.7]", "unix", "LMTP", "<>",
      "<alice@example.org>", false,
      "Return-Path: <>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from localhost\n"
      "\tby mx.example.org with LMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "a unix socket and no HELO", "", "unix", "LMTP", "<>", "<alice@example.org>", false,
      "Return-Path: <>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from localhost\n"
      "\tby mx.example.org with LMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "a client that nobody knows has no address", "client.example.net", "unknown", "ESMTP", "<>",
      "<alice@example.org>", false,
      "Return-Path: <>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from client.example.net\n"
      "\tby mx.example.org with ESMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "one that nobody knows, and a literal, which cannot stand alone", "[192.0.2.7]", "unknown", "ESMTP",
      "<>", "<alice@example.org>", false,
      "Return-Path: <>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from unknown\n"
      "\tby mx.example.org with ESMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "one that nobody knows, and no HELO", "", "unknown", "SMTP", "<>", "<alice@example.org>", false,
      "Return-Path: <>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from unknown\n"
      "\tby mx.example.org with SMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "postmaster alone is this host's", "client.example.net", "192.0.2.1", "ESMTP", "<>", "<Postmaster>",
      true,
      "Return-Path: <>\n"
      "Delivered-To: Postmaster@mx.example.org\n"
      "Received: from client.example.net ([192.0.2.1])\n"
      "\tby mx.example.org with ESMTP id 4XyZ for <Postmaster@mx.example.org>;\n"
      "\tSat, 21 Nov 2026 21:33:44 +0000\n" },
    { "what must be quoted is quoted, and not folded", "client.example.net", "192.0.2.1", "ESMTP",
      "<\"b  o\\\"b\"@example.net>",
      "<\"al ice\"@a-rather-long-label-of-a.name-that-goes-on.and-on.example.org>", true,
      "Return-Path: <\"b  o\\\"b\"@example.net>\n"
      "Delivered-To: \"al ice\"@a-rather-long-label-of-a.name-that-goes-on.and-on.example.org\n"
      "Received: from client.example.net ([192.0.2.1])\n"
      "\tby mx.example.org with ESMTP id 4XyZ\n"
      "\tfor <\"al ice\"@a-rather-long-label-of-a.name-that-goes-on.and-on.example.org>;\n"
      "\tSat, 21 Nov 2026 21:33:44 +0000\n" },
    { "a long HELO goes to its own line's end",
      "a-rather-long-label-of-a.name-that-goes-on.and-on.example.net",
      "IPv6:2001:db8:1111:2222:3333:4444:5555:6666", "ESMTP", "<>", "<alice@example.org>", false,
      "Return-Path: <>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from a-rather-long-label-of-a.name-that-goes-on.and-on.example.net\n"
      "\t([IPv6:2001:db8:1111:2222:3333:4444:5555:6666])\n"
      "\tby mx.example.org with ESMTP id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "UTF-8 stays as it came", "client.example.net", "192.0.2.1", "UTF8SMTPS",
      "<\u00fc@m\u00fcnchen.example>", "<\"pel\u00e9 \u7528\u6237\"@\u4f8b\u5b50.example>", true,
      "Return-Path: <\u00fc@m\u00fcnchen.example>\n"
      "Delivered-To: \"pel\u00e9 \u7528\u6237\"@\u4f8b\u5b50.example\n"
      "Received: from client.example.net ([192.0.2.1])\n"
      "\tby mx.example.org with UTF8SMTPS id 4XyZ\n"
      "\tfor <\"pel\u00e9 \u7528\u6237\"@\u4f8b\u5b50.example>; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "C1 controls, line separators and half characters in what a peer said", "a\xc2\x85z\u2028", "\xe2\x80",
      "\xed\xa0\x80", "<>", "<alice@example.org>", false,
      "Return-Path: <>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from a??z??? ([??])\n"
      "\tby mx.example.org with ??? id 4XyZ; Sat, 21 Nov 2026 21:33:44 +0000\n" },
    { "line ends in what a peer said stay in their line", "evil\r\nBcc: x", "192.0.2.1\n", "ESMTP\n\n", "<>",
      "<alice@example.org>", false,
      "Return-Path: <>\n"
      "Delivered-To: alice@example.org\n"
      "Received: from evil??Bcc: x ([192.0.2.1?])\n"
      "\tby mx.example.org with ESMTP?? id 4XyZ;\n"
      "\tSat, 21 Nov 2026 21:33:44 +0000\n" },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct smtp_address from = address_of(row->from), to = address_of(row->to);
    struct trace trace = {
        .id = "4XyZ",
        .hostname = "mx.example.org",
        .protocol = row->protocol,
        .helo = row->helo,
        .client = row->client,
        .reverse_path = &from,
        .arrived_us = INT64_C(1000000) * ARRIVED + 999999,
    };
    g_autoptr(GString) got = g_string_new("X-Before: 1\n");
    g_autofree char *want = g_strconcat("X-Before: 1\n", row->want, NULL);
    trace_append(got, &trace, &to, NULL, row->only_recipient ? &to : NULL);
    assert_string_equal(got->str, want);
}

static const struct name_row {
    const char *name;
    const char *helo, *client, *client_name;
    const char *want;
} name_rows[] = {
    { "a client's name stands in front of its address", "client.example.net", "192.0.2.1", "real.example.net",
      "Received: from client.example.net (real.example.net [192.0.2.1])\n\tby " },
    { "a client's name and an IPv6 address", "[IPv6:2001:db8::1]", "IPv6:2001:db8::1", "real.example.net",
      "Received: from [IPv6:2001:db8::1] (real.example.net [IPv6:2001:db8::1])\n\tby " },
    { "what does not fit goes to the next line", "a-rather-long-label-of-a.name.example.net",
      "IPv6:2001:db8::1", "real.example.net",
      "Received: from a-rather-long-label-of-a.name.example.net (real.example.net\n"
      "\t[IPv6:2001:db8::1])\n\tby " },
    { "a name of who never said HELO", "", "192.0.2.1", "real.example.net",
      "Received: from [192.0.2.1] (real.example.net [192.0.2.1])\n\tby " },
    { "a client's name that is none ends no line", "c", "192.0.2.1", "evil\r\nBcc: x",
      "Received: from c (evil??Bcc: x [192.0.2.1])\n\tby " },
    { "without an address there is no place for a name", "client.example.net", "unix", "real.example.net",
      "Received: from client.example.net\n\tby " },
    { "nor for one that nobody knows", "client.example.net", "unknown", "real.example.net",
      "Received: from client.example.net\n\tby " },
};

static void check_client_name(void **state)
{
    const struct name_row *row = *state;
    struct smtp_address from = address_of("<>"), to = address_of("<alice@example.org>");
    struct trace trace = {
        .id = "1",
        .hostname = "mx",
        .protocol = "SMTP",
        .helo = row->helo,
        .client = row->client,
        .client_name = row->client_name,
        .reverse_path = &from,
    };
    g_autoptr(GString) got = g_string_new(NULL);
    trace_append(got, &trace, &to, NULL, NULL);
    assert_true(g_str_has_prefix(strstr(got->str, "Received:"), row->want));
}

/* What a client or its certificate says stays in its comment, whatever it is. */
static const struct security_row {
    const char *name;
    const char *version, *cipher, *server_name, *client, *user;
    const char *want;
    bool is_verified; /* the client's certificate */
} security_rows[] = {
    { "TLS", "TLSv1.3", "TLS_AES_256_GCM_SHA384", NULL, NULL, NULL,
      "with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384)\n\tid 4XyZ; " },
    { "TLS without a name for its cipher", "TLSv1.3", NULL, NULL, NULL, NULL,
      "with ESMTPSA (TLSv1.3) id 4XyZ;\n" },
    { "all", "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", "mx.example.org", "CN=client.example.net,O=Example",
      "alice@example.org",
      "with ESMTPSA (TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256)\n"
      "\t(server name mx.example.org)\n"
      "\t(client certificate CN=client.example.net,O=Example)\n"
      "\t(authenticated as alice@example.org) id 4XyZ;\n",
      true },
    { "a certificate that anybody can have made", "TLSv1.3", "X", NULL, "CN=alice", NULL,
      "with ESMTPSA (TLSv1.3 X)\n\t(client certificate CN=alice, not verified) id 4XyZ;\n" },
    { "a user without TLS", NULL, NULL, NULL, NULL, "alice",
      "with ESMTPSA (authenticated as alice) id 4XyZ;\n" },
    { "a user who would be a header", NULL, NULL, NULL, NULL, "a\r\nBcc: b",
      "with ESMTPSA (authenticated as a??Bcc: b) id 4XyZ;\n" },
    { "a user who would end the comment", NULL, NULL, NULL, NULL, "a) by evil (",
      "with ESMTPSA (authenticated as a? by evil ?)\n\tid 4XyZ; " },
    { "a user who would quote its end", NULL, NULL, NULL, NULL, "a\\",
      "with ESMTPSA (authenticated as a?) id 4XyZ;\n" },
    { "a user who would be a recipient, and a date", NULL, NULL, NULL, NULL, "a for <b@c>; Thu",
      "with ESMTPSA (authenticated as a for ?b@c?? Thu)\n\tid 4XyZ; " },
    { "a user in UTF-8, which not every message may have in its header", NULL, NULL, NULL, NULL, "p\u00e9",
      "with ESMTPSA (authenticated as p?\?) id 4XyZ;\n" },
    { "a user of nothing", NULL, NULL, NULL, NULL, "", "with ESMTPSA (authenticated as ) id 4XyZ;\n" },
    { "a quoted subject", "TLSv1.3", "X", NULL, "CN=\"a b\"\x7f", NULL,
      "with ESMTPSA (TLSv1.3 X)\n\t(client certificate CN=?a b?\?) id 4XyZ;\n", true },
};

static void check_security(void **state)
{
    const struct security_row *row = *state;
    struct smtp_address from = address_of("<>"), to = address_of("<alice@example.org>");
    struct trace trace = {
        .id = "4XyZ",
        .hostname = "mx.example.org",
        .protocol = "ESMTPSA",
        .helo = "client.example.net",
        .client = "192.0.2.1",
        .reverse_path = &from,
        .tls_version = row->version,
        .tls_cipher = row->cipher,
        .tls_server_name = row->server_name,
        .tls_client = row->client,
        .tls_client_is_verified = row->is_verified,
        .user = row->user,
    };
    g_autoptr(GString) got = g_string_new(NULL);
    trace_append(got, &trace, &to, NULL, NULL);
    const char *with = strstr(got->str, "with ");
    if (!g_str_has_prefix(with, row->want))
        print_error("%s", got->str);
    assert_true(g_str_has_prefix(with, row->want));
}

static void what_is_long_is_cut(void **state)
{
    (void)state;
    g_autofree char *endless = g_strnfill(100000, 'x');
    struct smtp_address from = address_of("<>"), to = address_of("<alice@example.org>");
    struct trace trace = { .id = "1",
                           .hostname = "mx",
                           .protocol = "ESMTPS",
                           .helo = "c",
                           .client = "192.0.2.1",
                           .reverse_path = &from,
                           .tls_version = endless,
                           .tls_cipher = endless,
                           .tls_server_name = endless,
                           .tls_client = endless,
                           .user = endless };
    g_autoptr(GString) got = g_string_new(NULL);
    trace_append(got, &trace, &to, NULL, NULL);
    g_auto(GStrv) lines = g_strsplit(got->str, "\n", -1);
    for (char **line = lines; *line != NULL; line++)
        assert_true(strlen(*line) <= 998); /* RFC 5322 2.1.1 */
}

static const struct protocol_row {
    const char *name; /* what is wanted, too */
    bool lmtp, extended, utf8, secure, authenticated;
} protocol_rows[] = {
    { "SMTP", false, false, false, false, false },    { "SMTP", false, false, false, true, false },
    { "SMTP", false, false, false, false, true },     { "SMTP", false, false, false, true, true },
    { "ESMTP", false, true, false, false, false },    { "ESMTPS", false, true, false, true, false },
    { "ESMTPA", false, true, false, false, true },    { "ESMTPSA", false, true, false, true, true },
    { "UTF8SMTP", false, false, true, false, false }, { "UTF8SMTPS", false, false, true, true, false },
    { "UTF8SMTPA", false, false, true, false, true }, { "UTF8SMTPSA", false, false, true, true, true },
    { "UTF8SMTP", false, true, true, false, false },  { "UTF8SMTPS", false, true, true, true, false },
    { "UTF8SMTPA", false, true, true, false, true },  { "UTF8SMTPSA", false, true, true, true, true },
    { "LMTP", true, true, false, false, false },      { "LMTPS", true, true, false, true, false },
    { "LMTPA", true, true, false, false, true },      { "LMTPSA", true, true, false, true, true },
    { "UTF8LMTP", true, true, true, false, false },   { "UTF8LMTPS", true, true, true, true, false },
    { "UTF8LMTPA", true, true, true, false, true },   { "UTF8LMTPSA", true, true, true, true, true },
};

static void check_protocol(void **state)
{
    const struct protocol_row *row = *state;
    assert_string_equal(trace_protocol(row->lmtp, row->extended, row->utf8, row->secure, row->authenticated),
                        row->name);
}

static const struct date_row {
    const char *name; /* what is wanted, too */
    int64_t second;
} date_rows[] = {
    { "Thu, 1 Jan 1970 00:00:00 +0000", 0 },
    { "Tue, 29 Feb 2000 12:00:00 +0000", 951825600 },
    { "Tue, 31 Dec 2024 23:59:59 +0000", 1735689599 },
    { "Mon, 6 Jul 2026 05:04:03 +0000", 1783314243 },
    { "Tue, 19 Jan 2038 03:14:08 +0000", INT64_C(2147483648) },
    { "Sat, 1 Jan 10000 00:00:00 +0000", INT64_C(253402300800) },
    { "Wed, 31 Dec 1969 23:59:59 +0000", -1 },
};

static void check_date(void **state)
{
    const struct date_row *row = *state;
    struct smtp_address from = address_of("<>"), to = address_of("<alice@example.org>");
    struct trace trace = { "1", "mx", "SMTP", "c", "192.0.2.1", NULL, &from, row->second * 1000000 };
    g_autoptr(GString) got = g_string_new(NULL);
    trace_append(got, &trace, &to, NULL, NULL);
    g_autofree char *want = g_strconcat(" ", row->name, "\n", NULL);
    assert_true(g_str_has_suffix(got->str, want));
}

/* An address that could not have come from the grammar: the last line of defence, also where it is quoted. */
static void a_forged_address_ends_no_line(void **state)
{
    (void)state;
    struct smtp_address from = { .local_len = 7, .domain_len = 3, .local = "a\r\nX: b", .domain = "b\nc" };
    struct trace trace = { "1", "m\nx", "SMTP", "c", "192.0.2.1", NULL, &from, 0 };
    g_autoptr(GString) got = g_string_new(NULL);
    trace_append(got, &trace, &from, &from, &from);
    g_auto(GStrv) lines = g_strsplit(got->str, "\n", -1);
    for (size_t i = 0; lines[i] != NULL && *lines[i] != '\0'; i++) {
        static const char *const starts[] = {
            "Return-Path:", "Delivered-To:", "X-Original-To:", "Received:", "\t", "\t"
        };
        assert_true(i < G_N_ELEMENTS(starts));
        assert_true(g_str_has_prefix(lines[i], starts[i]));
        assert_null(strchr(lines[i], '\r'));
    }
}

/* The name of the mailbox, what the client called it, and for whom the message is: each in its own place. */
static const struct address_row {
    const char *name;
    const char *mailbox, *original, *only_recipient; /* paths; NULL: none */
    const char *want;                                /* behind Return-Path, up to the date */
} address_rows[] = {
    { "one that was renamed, alone", "<alice@example.org>", "<info@example.net>", "<info@example.net>",
      "Delivered-To: alice@example.org\n"
      "X-Original-To: info@example.net\n"
      "Received: from c ([192.0.2.1])\n\tby mx with SMTP id 1 for <info@example.net>;\n\t" },
    { "one that was renamed, with others", "<alice@example.org>", "<info@example.net>", NULL,
      "Delivered-To: alice@example.org\n"
      "X-Original-To: info@example.net\n"
      "Received: from c ([192.0.2.1])\n\tby mx with SMTP id 1; " },
    { "a copy for several mailboxes", NULL, NULL, NULL,
      "Received: from c ([192.0.2.1])\n\tby mx with SMTP id 1; " },
    { "a copy for several mailboxes of one recipient", NULL, NULL, "<all@example.org>",
      "Received: from c ([192.0.2.1])\n\tby mx with SMTP id 1 for <all@example.org>;\n\t" },
    { "a bare postmaster", "<postmaster@example.org>", "<postmaster>", "<postmaster>",
      "Delivered-To: postmaster@example.org\n"
      "X-Original-To: postmaster@mx\n"
      "Received: from c ([192.0.2.1])\n\tby mx with SMTP id 1 for <postmaster@mx>;\n\t" },
    { "an original that needs quotes", "<alice@example.org>", "<\"a b\"@example.org>", NULL,
      "Delivered-To: alice@example.org\n"
      "X-Original-To: \"a b\"@example.org\n"
      "Received: from c ([192.0.2.1])\n\tby mx with SMTP id 1; " },
};

static void check_addresses(void **state)
{
    const struct address_row *row = *state;
    struct smtp_address from = address_of("<>"), addresses[3];
    const char *const paths[] = { row->mailbox, row->original, row->only_recipient };
    for (size_t i = 0; i < 3; i++)
        addresses[i] = address_of(paths[i] != NULL ? paths[i] : "<>");
    struct trace trace = { "1", "mx", "SMTP", "c", "192.0.2.1", NULL, &from, 0 };
    g_autoptr(GString) got = g_string_new(NULL);
    trace_append(got, &trace, row->mailbox != NULL ? &addresses[0] : NULL,
                 row->original != NULL ? &addresses[1] : NULL,
                 row->only_recipient != NULL ? &addresses[2] : NULL);
    g_autofree char *want =
        g_strconcat("Return-Path: <>\n", row->want, "Thu, 1 Jan 1970 00:00:00 +0000\n", NULL);
    assert_string_equal(got->str, want);
}

/* Whatever the lengths, a line that reaches column 78 (a TAB being eight) holds nothing that could have gone
 * to the next. */
static void check_columns(const char *line)
{
    size_t columns = strlen(line) + (*line == '\t' ? 7 : 0);
    bool is_one_word = g_str_has_prefix(line, "Received: from ")
                           ? strchr(line, '(') == NULL
                           : g_str_has_prefix(line, "\tfor <") && g_str_has_suffix(line, ">;");
    assert_true(columns < 78 || is_one_word);
}

static void lines_are_short_where_they_can_be(void **state)
{
    (void)state;
    struct smtp_address from = address_of("<>");
    for (size_t helo_len = 1; helo_len < 200; helo_len++) {
        g_autofree char *helo = g_strnfill(helo_len, 'h');
        g_autofree char *to_text = g_strdup_printf("<a@%s>", helo);
        struct smtp_address to = address_of(to_text);
        struct trace trace = { "1", "mx.example.org", "ESMTP", helo, "192.0.2.1", NULL, &from, 0 };
        g_autoptr(GString) got = g_string_new(NULL);
        trace_append(got, &trace, &to, NULL, &to);
        g_auto(GStrv) lines = g_strsplit(strstr(got->str, "Received:"), "\n", -1);
        for (size_t i = 0; lines[i] != NULL; i++)
            check_columns(lines[i]);
    }
}

int main(int argc, char **argv)
{
    (void)setlocale(LC_ALL, "");
    struct suite *s = suite_new("trace");
    suite_add_rows(s, rows, check_row);
    suite_add_rows(s, name_rows, check_client_name);
    suite_add_rows(s, security_rows, check_security);
    suite_add(s, "what is long is cut", what_is_long_is_cut, NULL);
    suite_add_rows(s, protocol_rows, check_protocol);
    suite_add_rows(s, date_rows, check_date);
    suite_add_rows(s, address_rows, check_addresses);
    suite_add(s, "a forged address ends no line", a_forged_address_ends_no_line, NULL);
    suite_add(s, "lines are short where they can be", lines_are_short_where_they_can_be, NULL);
    return suite_run(s, argc, argv);
}
