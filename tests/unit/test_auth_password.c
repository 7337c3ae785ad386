/* Lines of a passwords file: what they say, and what is wrong with them; and how they are made. */
#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <gsasl.h>

#include "auth/auth.h"
#include "auth/password.h"
#include "auth/user.h"

#define HASH "$5$saltsalt$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
#define KEY  "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define KEYS "{SCRAM-SHA-256}4096,c2FsdA==," KEY "," KEY

static const struct row {
    const char *name, *line;
    int want;
    const char *user;
    uint64_t iterations;
} rows[] = {
    { "a hash", "alice:" HASH, 0, "alice", 0 },
    { "a hash and keys", "alice:" HASH ":" KEYS, 0, "alice", 4096 },
    { "an address", "alice@example.org:" HASH, 0, "alice@example.org", 0 },
    { "blanks inside a name", "alice liddell:" HASH, 0, "alice liddell", 0 },
    { "a name that is prepared", "jo\314\210rg:" HASH, 0, "j\303\266rg", 0 },
    { "locked with !", "alice:!" HASH, 0, "alice", 0 },
    { "locked with *", "alice:*", 0, "alice", 0 },
    { "an old hash", "alice:$1$saltsalt$abcdefghijklmnopqrstuv", 0, "alice", 0 },
    { "a password in clear", "alice:wonderland", -EBADMSG, NULL, 0 },
    { "an unknown method", "alice:$zz$x$y", -EBADMSG, NULL, 0 },
    { "no hash", "alice:", -EBADMSG, NULL, 0 },
    { "no colon", "alice", -EBADMSG, NULL, 0 },
    { "no name", ":" HASH, -EBADMSG, NULL, 0 },
    { "a control character in the name", "al\tice:" HASH, -EBADMSG, NULL, 0 },
    { "a name that is no UTF-8", "al\377ice:" HASH, -EBADMSG, NULL, 0 },
    { "no keys behind the colon", "alice:" HASH ":", -EBADMSG, NULL, 0 },
    { "keys of another kind", "alice:" HASH ":{SCRAM-SHA-1}4096,c2FsdA==," KEY "," KEY, -EBADMSG, NULL, 0 },
    { "too few iterations", "alice:" HASH ":{SCRAM-SHA-256}4095,c2FsdA==," KEY "," KEY, -EBADMSG, NULL, 0 },
    { "too many iterations", "alice:" HASH ":{SCRAM-SHA-256}1000001,c2FsdA==," KEY "," KEY, -EBADMSG, NULL,
      0 },
    { "no number of iterations", "alice:" HASH ":{SCRAM-SHA-256}x,c2FsdA==," KEY "," KEY, -EBADMSG, NULL, 0 },
    { "no salt", "alice:" HASH ":{SCRAM-SHA-256}4096,," KEY "," KEY, -EBADMSG, NULL, 0 },
    { "a salt that is no base64", "alice:" HASH ":{SCRAM-SHA-256}4096,%%%%," KEY "," KEY, -EBADMSG, NULL, 0 },
    { "a key too short", "alice:" HASH ":{SCRAM-SHA-256}4096,c2FsdA==,c2FsdA==," KEY, -EBADMSG, NULL, 0 },
    { "one key", "alice:" HASH ":{SCRAM-SHA-256}4096,c2FsdA==," KEY, -EBADMSG, NULL, 0 },
    { "three keys", "alice:" HASH ":" KEYS "," KEY, -EBADMSG, NULL, 0 },
    { "something behind the keys", "alice:" HASH ":" KEYS ":x", -EBADMSG, NULL, 0 },
};

static void test_row(void **state)
{
    const struct row *row = *state;
    auto_val(password) p = { NULL };
    const char *problem = NULL;
    assert_int_equal(password_parse(slice_str(row->line), &p, &problem), row->want);
    if (row->want < 0) {
        assert_non_null(problem);
        assert_null(p.user);
        return;
    }
    assert_string_equal(p.user, row->user);
    assert_int_equal(p.scram.iterations, row->iterations);
    assert_int_equal(password_is_locked(&p), p.hash[0] == '!' || p.hash[0] == '*');
}

/* No prefix of a line is read beyond its end, nor taken for more than it is. */
static void test_every_cut(void **state)
{
    (void)state;
    static const char line[] = "alice:" HASH ":" KEYS;
    for (size_t len = 0; len < sizeof line - 1; len++) {
        auto_val(password) p = { NULL };
        const char *problem;
        g_autofree char *exact = g_memdup2(line, len + 1);
        int r = password_parse(slice_of(exact, len), &p, &problem);
        assert_int_equal(r == 0 && p.scram.iterations > 0, false);
    }
}

static void test_nul(void **state)
{
    (void)state;
    static const char line[] = "alice\0x:" HASH;
    auto_val(password) p = { NULL };
    const char *problem;
    assert_int_equal(password_parse(slice_of(line, sizeof line - 1), &p, &problem), -EBADMSG);
}

static void test_made(void **state)
{
    (void)state;
    g_autofree char *line = NULL, *again = NULL;
    const char *problem = NULL;
    auto_val(password) p = { NULL };
    assert_int_equal(password_make("alice", "pa\303\237 w\302\240d", 5000, &line, &problem), 0);
    assert_int_equal(password_make("alice", "pa\303\237 w\302\240d", 5000, &again, &problem), 0);
    assert_string_not_equal(line, again); /* for salts are new each time */
    assert_int_equal(password_parse(slice_str(line), &p, &problem), 0);
    assert_int_equal(p.scram.iterations, 5000);
    assert_true(g_str_has_prefix(p.hash, "$y$"));
    assert_true(password_verify(p.hash, "pa\303\237 w d")); /* prepared */
    assert_false(password_verify(p.hash, "pa\303\237 w"));
    assert_false(password_verify(p.hash, ""));
}

/* RFC 7677 3: the example's keys, whatever made them. */
static void test_rfc_example(void **state)
{
    (void)state;
    gsize salt_len;
    g_autofree guchar *salt = g_base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==", &salt_len);
    char salted[32], client[32], server[32], stored[32];
    assert_int_equal(gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, "pencil", 4096, (char *)salt,
                                                       salt_len, salted, client, server, stored),
                     GSASL_OK);
    g_autofree char *stored64 = g_base64_encode((guchar *)stored, sizeof stored);
    g_autofree char *server64 = g_base64_encode((guchar *)server, sizeof server);
    assert_string_equal(stored64, "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
    assert_string_equal(server64, "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

static const struct refusal {
    const char *name, *user, *password;
    uint64_t iterations;
    const char *want;
} refusals[] = {
    { "a name with a colon", "a:b", "x", 4096, "':'" },
    { "a name with a line end", "a\nb", "x", 4096, "control characters" },
    { "a name with DEL", "a\177b", "x", 4096, "control characters" },
    { "an empty name", "", "x", 4096, "from 1 to 255" },
    { "a name that would be a comment", "#a", "x", 4096, "'#'" },
    { "a name with a blank in front", " a", "x", 4096, "blank" },
    { "a name with a blank behind", "a ", "x", 4096, "blank" },
    { "an empty password", "a", "", 4096, "password" },
    { "a password with ^C", "a", "x\003", 4096, "control characters" },
    { "a password that is no UTF-8", "a", "x\377", 4096, "UTF-8" },
    { "too few iterations", "a", "x", 4095, "iterations" },
    { "too many iterations", "a", "x", 1000001, "iterations" },
};

static void test_refusal(void **state)
{
    const struct refusal *row = *state;
    char *line = NULL;
    const char *problem = NULL;
    assert_int_equal(password_make(row->user, row->password, row->iterations, &line, &problem), -EINVAL);
    assert_null(line);
    assert_non_null(problem);
    assert_non_null(strstr(problem, row->want));
}

static void test_lengths(void **state)
{
    (void)state;
    g_autofree char *most = g_strnfill(AUTH_USER_MAX, 'a'), *more = g_strnfill(AUTH_USER_MAX + 1, 'a');
    g_autofree char *longest = g_strnfill(511, 'a'), *longer = g_strnfill(512, 'a');
    g_autofree char *name = user_prepare(most, USER_ASKED);
    auto_password char *password = password_prepare(longest, USER_ASKED);
    assert_string_equal(name, most);
    assert_string_equal(password, longest);
    assert_null(user_prepare(more, USER_ASKED));
    assert_null(password_prepare(longer, USER_ASKED));
    assert_true(user_is_presentable(most));
    assert_false(user_is_presentable(more));
    assert_false(user_is_presentable(""));
    assert_false(user_is_presentable("a\302\205b")); /* NEL, a control character beyond ASCII */
    assert_true(user_is_presentable("j\303\266rg"));
}

static void test_decoy(void **state)
{
    (void)state;
    g_autofree char *hash = password_decoy_hash();
    assert_false(password_verify(hash, ""));
    assert_false(password_verify(hash, "x"));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("auth_password");
    suite_add_rows(s, rows, test_row);
    suite_add(s, "a line that is cut anywhere", test_every_cut, NULL);
    suite_add(s, "a NUL", test_nul, NULL);
    suite_add(s, "a line that is made", test_made, NULL);
    suite_add(s, "the keys of RFC 7677", test_rfc_example, NULL);
    suite_add_rows(s, refusals, test_refusal);
    suite_add(s, "how long names and passwords may be", test_lengths, NULL);
    suite_add(s, "a decoy fits nothing", test_decoy, NULL);
    return suite_run(s, argc, argv);
}
