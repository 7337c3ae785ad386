/* Lines of Dovecot's authentication protocol: what is asked, and what answers mean. */
#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "auth/dovecot_line.h"

static const struct row {
    const char *name, *line;
    int want;
    enum dovecot_verb verb;
    uint32_t id;
    const char *text; /* user, or challenge; NULL: none */
    enum auth_kind kind;
    const char *reason;
} rows[] = {
    { "VERSION", "VERSION\t1\t2", 0, DOVECOT_VERSION, 0, NULL, 0, NULL },
    { "VERSION without a number", "VERSION", -EBADMSG, 0, 0, NULL, 0, NULL },
    { "VERSION with no number", "VERSION\tx\t1", -EBADMSG, 0, 0, NULL, 0, NULL },
    { "MECH", "MECH\tPLAIN\tplaintext", 0, DOVECOT_MECH, 0, NULL, 0, NULL },
    { "MECH without name", "MECH", -EBADMSG, 0, 0, NULL, 0, NULL },
    { "DONE", "DONE", 0, DOVECOT_DONE, 0, NULL, 0, NULL },
    { "SPID", "SPID\t17", 0, DOVECOT_OTHER, 0, NULL, 0, NULL },
    { "something new", "NOVELTY\t1\tx", 0, DOVECOT_OTHER, 0, NULL, 0, NULL },
    { "an empty line", "", 0, DOVECOT_OTHER, 0, NULL, 0, NULL },
    { "lower case is another word", "ok\t1\tuser=alice", 0, DOVECOT_OTHER, 0, NULL, 0, NULL },
    { "OK", "OK\t7\tuser=alice", 0, DOVECOT_OK, 7, "alice", 0, NULL },
    { "OK with more", "OK\t7\tuid=1000\tuser=alice\tnologin", 0, DOVECOT_OK, 7, "alice", 0, NULL },
    { "OK, a quoted name", "OK\t7\tuser=\0011x", 0, DOVECOT_OK, 7, NULL, 0, NULL },
    { "OK, a name with a quoted tab", "OK\t7\tuser=a\001tb", 0, DOVECOT_OK, 7, NULL, 0, NULL },
    { "OK, a name with a quoted NUL", "OK\t7\tuser=a\0010b", 0, DOVECOT_OK, 7, NULL, 0, NULL },
    { "OK, a name with a needless quote", "OK\t7\tuser=a\001bc", 0, DOVECOT_OK, 7, "abc", 0, NULL },
    { "OK, a name that is no UTF-8", "OK\t7\tuser=\377", 0, DOVECOT_OK, 7, NULL, 0, NULL },
    { "OK, no name", "OK\t7", 0, DOVECOT_OK, 7, NULL, 0, NULL },
    { "OK, an empty name", "OK\t7\tuser=", 0, DOVECOT_OK, 7, NULL, 0, NULL },
    { "OK, the last name counts", "OK\t7\tuser=alice\tuser=bob", 0, DOVECOT_OK, 7, "bob", 0, NULL },
    { "OK without id", "OK", -EBADMSG, 0, 0, NULL, 0, NULL },
    { "OK with no number", "OK\t-1\tuser=alice", -EBADMSG, 0, 0, NULL, 0, NULL },
    { "OK with too large a number", "OK\t4294967296\tuser=alice", -EBADMSG, 0, 0, NULL, 0, NULL },
    { "FAIL", "FAIL\t7\tuser=alice", 0, DOVECOT_FAIL, 7, "alice", AUTH_FAILED, "wrong-credentials" },
    { "FAIL, alone", "FAIL\t7", 0, DOVECOT_FAIL, 7, NULL, AUTH_FAILED, "wrong-credentials" },
    { "FAIL for now", "FAIL\t7\tuser=alice\ttemp", 0, DOVECOT_FAIL, 7, "alice", AUTH_UNAVAILABLE,
      "dovecot-temporary" },
    { "FAIL for now, by a code", "FAIL\t7\tcode=temp_fail\treason=x", 0, DOVECOT_FAIL, 7, NULL,
      AUTH_UNAVAILABLE, "dovecot-temporary" },
    { "FAIL, not allowed", "FAIL\t7\tuser=alice\tauthz", 0, DOVECOT_FAIL, 7, "alice", AUTH_FAILED,
      "other-identity" },
    { "FAIL, disabled", "FAIL\t7\tuser=alice\tcode=user_disabled", 0, DOVECOT_FAIL, 7, "alice", AUTH_FAILED,
      "user-disabled" },
    { "FAIL, expired", "FAIL\t7\tuser=alice\tpass_expired", 0, DOVECOT_FAIL, 7, "alice", AUTH_FAILED,
      "password-expired" },
    { "CONT", "CONT\t7\tVXNlcm5hbWU6", 0, DOVECOT_CONT, 7, "VXNlcm5hbWU6", 0, NULL },
    { "CONT, empty", "CONT\t7\t", 0, DOVECOT_CONT, 7, "", 0, NULL },
    { "CONT, nothing", "CONT\t7", 0, DOVECOT_CONT, 7, "", 0, NULL },
    { "CONT, a line end for the client", "CONT\t7\tAAAA\r", -EBADMSG, 0, 0, NULL, 0, NULL },
    { "CONT, no base64", "CONT\t7\tAA AA", -EBADMSG, 0, 0, NULL, 0, NULL },
};

static void test_row(void **state)
{
    const struct row *row = *state;
    auto_val(dovecot_reply) r = { DOVECOT_OTHER };
    /* With nothing behind it that could be read by mistake. */
    g_autofree char *exact = g_memdup2(row->line, MAX(strlen(row->line), 1));
    assert_int_equal(dovecot_reply_parse(slice_of(exact, strlen(row->line)), &r), row->want);
    if (row->want < 0)
        return;
    assert_int_equal(r.verb, row->verb);
    assert_int_equal(r.id, row->id);
    const char *text = r.verb == DOVECOT_CONT ? r.challenge : r.user;
    if (row->text != NULL)
        assert_string_equal(text, row->text);
    else
        assert_null(text);
    if (row->reason != NULL) {
        assert_int_equal(r.kind, row->kind);
        assert_string_equal(r.reason, row->reason);
    }
}

/* Any octets: nothing is read beyond them, and no name or challenge comes out that is none. */
static void test_any_octets(void **state)
{
    (void)state;
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    static const char *const starts[] = {
        "OK\t1\tuser=", "FAIL\t1\t", "CONT\t1\t", "MECH\t", "VERSION\t", ""
    };
    for (int i = 0; i < 20000; i++) {
        g_autoptr(GByteArray) line = g_byte_array_new();
        const char *start = starts[(size_t)i % G_N_ELEMENTS(starts)];
        g_byte_array_append(line, (const guint8 *)start, (guint)strlen(start));
        for (int len = g_rand_int_range(random, 0, 12); len > 0; len--) {
            guint8 octet = (guint8)g_rand_int_range(random, 0, 256);
            g_byte_array_append(line, &octet, 1);
        }
        g_autofree uint8_t *exact = g_memdup2(line->data, MAX(line->len, 1));
        auto_val(dovecot_reply) r = { DOVECOT_OTHER };
        if (dovecot_reply_parse(slice_of(exact, line->len), &r) < 0)
            continue;
        for (const char *at = r.user; at != NULL && *at != '\0'; at++)
            assert_false(g_ascii_iscntrl(*at));
        for (const char *at = r.challenge; at != NULL && *at != '\0'; at++)
            assert_true(g_ascii_isalnum(*at) || strchr("+/=", *at) != NULL);
    }
}

static void check(char *take_line, const char *want)
{
    g_autofree char *line = take_line;
    assert_string_equal(line, want);
}

static void test_asked(void **state)
{
    (void)state;
    struct auth_facts facts = { .service = "smtp" };
    check(dovecot_hello(17), "VERSION\t1\t2\nCPID\t17\n");
    check(dovecot_line_auth(1, MECHANISM_PLAIN, &facts, NULL),
          "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tno-penalty\n");
    check(dovecot_line_auth(4294967295, MECHANISM_PLAIN, &facts, ""),
          "AUTH\t4294967295\tPLAIN\tservice=smtp\tnologin\tno-penalty\tresp=\n");
    check(dovecot_line_cont(2, "AAAA"), "CONT\t2\tAAAA\n");
    check(dovecot_line_cont(2, ""), "CONT\t2\t\n");
    check(dovecot_line_cancel(3), "CANCEL\t3\n");
    facts = (struct auth_facts){ .service = "lmtp",
                                 .session = "7f3a",
                                 .client = "192.0.2.1",
                                 .local = "192.0.2.25",
                                 .client_port = 40000,
                                 .local_port = 25,
                                 .is_secure = true,
                                 .certificate_identity = "re\tlay\n\001\r" };
    check(dovecot_line_auth(1, MECHANISM_EXTERNAL, &facts, "PQ=="),
          "AUTH\t1\tEXTERNAL\tservice=lmtp\tnologin\tno-penalty\tsession=7f3a\tlip=192.0.2.25\trip=192.0.2.1"
          "\tlport=25\trport=40000\tsecured\tvalid-client-cert\tcert_username=re\001tlay\001n\0011\001r"
          "\tresp=PQ==\n");
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("auth_dovecot_line");
    suite_add_rows(s, rows, test_row);
    suite_add(s, "any octets", test_any_octets, NULL);
    suite_add(s, "what is asked", test_asked, NULL);
    return suite_run(s, argc, argv);
}
