/* The servers under test: small limits, so that they are met often. And their mailboxes, also for both sides.
 */
#include "act.h"

/* clang-format off */
#define LIMITS(ERRORS, COMMANDS, MESSAGES, STRANGERS, HEADER_SIZE, HEADER_FIELDS, FOREIGN)                    \
    .limits = { .message_size = 2000, .recipients = 3, .errors = (ERRORS), .command_length = 2048,           \
                .commands = (COMMANDS), .messages = (MESSAGES), .header_size = (HEADER_SIZE),                \
                .header_fields = (HEADER_FIELDS), .strangers = (STRANGERS), .foreign = (FOREIGN),             \
                .auth_failures = 2,                                                                          \
                .data_rate = 100, .command_timeout = 300000, .data_timeout = 600000 }
#define GENEROUS LIMITS(1000000, 1000000, 999999, 1000000, 1000000, 1000000, SMTP_FOREIGN_REFUSE)
#define SMTP(...)  { .protocol = SMTP_PROTOCOL_SMTP, .hostname = "mx.example.org", __VA_ARGS__ }
#define LMTP(...)  { .protocol = SMTP_PROTOCOL_LMTP, .hostname = "mx.example.org", __VA_ARGS__ }
#define EXTENSIONS_WITH(auth, limits, requiretls, more)                                                      \
    "8BITMIME\r\n" auth "BINARYMIME\r\nCHUNKING\r\nDSN\r\nENHANCEDSTATUSCODES\r\n" limits                      \
    "PIPELINING\r\n" requiretls "SIZE 2000\r\nSMTPUTF8\r\n" more
#define EXTENSIONS(limits, more) EXTENSIONS_WITH("", limits, "", more)
#define GENEROUS_LIMITS "LIMITS RCPTMAX=3 MAILMAX=999999\r\n"
#define MECHANISMS "PLAIN X-CHAT"
#define AUTH       "AUTH " MECHANISMS "\r\n"
#define XCLIENT "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"

const struct rules rules[] = {
    { "SMTP", .service = SMTP(GENEROUS),
      .extensions = EXTENSIONS("LIMITS RCPTMAX=3 MAILMAX=999999\r\n", "") },
    { "LMTP", .service = LMTP(GENEROUS),
      .extensions = EXTENSIONS("LIMITS RCPTMAX=3 MAILMAX=999999\r\n", "") },
    { "SMTP with little time",
      .service = SMTP(LIMITS(1000000, 60, 999999, 1000000, 60, 1000000, SMTP_FOREIGN_REFUSE)),
      .extensions = EXTENSIONS("LIMITS RCPTMAX=3 MAILMAX=999999\r\n", "") },
    { "LMTP, small headers and few strangers",
      .service = LMTP(LIMITS(1000000, 1000000, 4, 2, 300, 2, SMTP_FOREIGN_REFUSE)),
      .client = { .may_xclient = true },
      .extensions = EXTENSIONS("LIMITS RCPTMAX=3 MAILMAX=4\r\n", XCLIENT) },
    { "SMTP with little patience",
      .service = SMTP(LIMITS(5, 60, 4, 1, 300, 6, SMTP_FOREIGN_ANSWER)),
      .client = { .greeting_delay = 5000 },
      .extensions = EXTENSIONS("LIMITS RCPTMAX=3 MAILMAX=4\r\n", "") },
    { "LMTP with little patience",
      .service = LMTP(LIMITS(3, 60, 4, 3, 300, 6, SMTP_FOREIGN_REFUSE)),
      .extensions = EXTENSIONS("LIMITS RCPTMAX=3 MAILMAX=4\r\n", "") },
    { "SMTP from a trusted client", .service = SMTP(GENEROUS),
      .client = { .may_xclient = true, .may_xforward = true },
      .extensions = EXTENSIONS("LIMITS RCPTMAX=3 MAILMAX=999999\r\n",
                               XCLIENT "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n") },
    { "SMTP with TLS and AUTH inside", .service = SMTP(GENEROUS),
      .client = { .tls = SMTP_TLS_OFFERED, .auth_in_tls = true }, .inside = MECHANISMS,
      .extensions = EXTENSIONS(GENEROUS_LIMITS, "STARTTLS\r\n"),
      .extensions_inside = EXTENSIONS_WITH(AUTH, GENEROUS_LIMITS, "REQUIRETLS\r\n", "") },
    { "LMTP that wants TLS and AUTH",
      .service = LMTP(LIMITS(30, 1000000, 4, 2, 1000000, 1000000, SMTP_FOREIGN_REFUSE)),
      .client = { .tls = SMTP_TLS_REQUIRED, .auth_in_tls = true, .auth_required = true }, .inside = MECHANISMS,
      .extensions = EXTENSIONS("LIMITS RCPTMAX=3 MAILMAX=4\r\n", "STARTTLS\r\n"),
      .extensions_inside = EXTENSIONS_WITH(AUTH, "LIMITS RCPTMAX=3 MAILMAX=4\r\n", "REQUIRETLS\r\n", "") },
    { "SMTP that wants AUTH, from a trusted client, without TLS",
      .service = SMTP(LIMITS(1000000, 1000000, 999999, 1, 1000000, 1000000, SMTP_FOREIGN_REFUSE)),
      .client = { .may_xclient = true, .auth_required = true, .mechanisms = MECHANISMS },
      .extensions = EXTENSIONS_WITH(AUTH, GENEROUS_LIMITS, "", XCLIENT) },
};
const size_t rules_count = G_N_ELEMENTS(rules);

#define GOOD  SMTP_RECIPIENT_OK
#define ADDED "250 2.1.5"
const struct recipient recipients[] = {
    { "<ann@example.org>", "ann@example.org", false, GOOD, SMTP_DELIVERED, ADDED, "250 2.0.0" },
    { "<bob@example.org>", "bob@example.org", false, GOOD, SMTP_DELIVERED, ADDED, "250 2.0.0" },
    { "<@relay.example:eve@example.org>", "eve@example.org", false, GOOD, SMTP_DELIVERED, ADDED, "250 2.0.0" },
    { "<\"ann lee\"@example.org>", "\"ann lee\"@example.org", false, GOOD, SMTP_DELIVERED, ADDED, "250 2.0.0" },
    { "<\"\\d\\a\\n\"@[192.0.2.1]>", "dan@[192.0.2.1]", false, GOOD, SMTP_DELIVERED, ADDED, "250 2.0.0" },
    { "<Postmaster>", "Postmaster", false, GOOD, SMTP_DELIVERED, ADDED, "250 2.0.0" },
    { "<p\xc3\xa8re@example.org>", "p\xc3\xa8re@example.org", true, GOOD, SMTP_DELIVERED, ADDED, "250 2.0.0" },
    { "<full@example.org>", "full@example.org", false, GOOD, SMTP_DISK_FULL, ADDED, "452 4.3.1" },
    { "<broken@example.org>", "broken@example.org", false, GOOD, SMTP_LOCAL_ERROR, ADDED, "451 4.3.0" },
    { "<nobody@example.org>", "nobody@example.org", false, SMTP_NO_SUCH_MAILBOX, 0, "550 5.1.1", NULL },
    { "<ann@elsewhere.example>", "ann@elsewhere.example", false, SMTP_NO_SUCH_DOMAIN, 0, "550 5.7.1", NULL },
    { "<slow@example.org>", "slow@example.org", false, SMTP_LOCAL_ERROR, 0, "451 4.3.0", NULL },
    { "<packed@example.org>", "packed@example.org", false, SMTP_DISK_FULL, 0, "452 4.3.1", NULL },
    { "<over@example.org>", "over@example.org", false, GOOD, SMTP_MAILBOX_FULL, ADDED, "452 4.2.2" },
    { "<closed@example.org>", "closed@example.org", false, SMTP_MAILBOX_FULL_REFUSED, 0, "552 5.2.2", NULL },
    { "<round@example.org>", "round@example.org", false, GOOD, SMTP_MAIL_LOOP, ADDED, "554 5.4.6" },
    { "<circle@example.org>", "circle@example.org", false, SMTP_ALIAS_LOOP, 0, "451 4.4.6", NULL },
    { "<unasked@example.org>", "unasked@example.org", false, SMTP_LOOKUP_FAILED, 0, "451 4.4.3", NULL },
    { "<niemand@b\xc3\xbc" "cher.example>", "niemand@b\xc3\xbc" "cher.example", true, SMTP_NO_SUCH_DOMAIN, 0,
      "550 5.7.1", NULL },
};
const size_t recipient_count = G_N_ELEMENTS(recipients);

const struct credential credentials[] = {
    { "AGFubgBzZWNyZXQ=", SMTP_AUTHENTICATED, "235 2.7.0" },
    { "AGFubgB3cm9uZw==", SMTP_AUTH_FAILED, "535 5.7.8" },
    { "YW5u", SMTP_AUTH_CHALLENGE, "334" },
    { "", SMTP_AUTH_CHALLENGE, "334" },
    { "eHh4", SMTP_AUTH_MALFORMED, "501 5.5.2" },
    { "QUIT", SMTP_AUTH_MALFORMED, "501 5.5.2" },
    { "NOOP", SMTP_AUTH_CHALLENGE, "334" },
    { "Zm9v", SMTP_AUTH_UNAVAILABLE, "454 4.7.0" },
    { "bGF0ZXI=", SMTP_AUTH_UNKNOWN_MECHANISM, "504 5.5.4" },
};
const size_t credential_count = G_N_ELEMENTS(credentials);
/* clang-format on */

void note_mail(GString *to, const char *address, uint64_t size, const char *body, bool utf8, bool require_tls,
               const char *ret, const char *envid)
{
    g_string_append_printf(to, "from <%s> size %" G_GUINT64_FORMAT " body %s%s%s ret %s envid %s", address,
                           size, body, utf8 ? " utf8" : "", require_tls ? " requiretls" : "", ret, envid);
}

void note_rcpt(GString *to, const char *address, const char *notify, const char *orcpt)
{
    g_string_append_printf(to, "to <%s> notify %s orcpt %s", address, notify, orcpt);
}

void note_stored(GString *to, const char *mail, const char *rcpt, const GString *content)
{
    g_string_append_printf(to, "%s, %s, %" G_GSIZE_FORMAT " octets\n", mail, rcpt, content->len);
    g_string_append_len(to, content->str, (gssize)content->len);
    g_string_append_c(to, '\n');
}
