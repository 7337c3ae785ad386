/* Addresses to domains and mailboxes: the closed grammar of names, and what the disk may answer. On the
 * simulated disk. */
#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "delivery/router.h"
#include "disk/disk_sim.h"

/* ---- names ---- */

#define REPEAT_200(c) REPEAT_50(c) REPEAT_50(c) REPEAT_50(c) REPEAT_50(c)
#define REPEAT_50(c)  REPEAT_10(c) REPEAT_10(c) REPEAT_10(c) REPEAT_10(c) REPEAT_10(c)
#define REPEAT_10(c)  c c c c c c c c c c

#define BYTES(text)                                                                                          \
    {                                                                                                        \
        (const uint8_t *)(text), sizeof(text) - 1                                                            \
    }

static const struct name_row {
    const char *name;
    struct slice local;
    const char *want; /* NULL: none */
} name_rows[] = {
    { "a name", BYTES("alice"), "alice" },
    { "upper case is stored lower", BYTES("Alice.EXAMPLE"), "alice.example" },
    { "all that a dot-string may hold but the slash", BYTES("a!#$%&'*+-=?^_`{|}~9"), "a!#$%&'*+-=?^_`{|}~9" },
    { "a subaddress is part of the name", BYTES("alice+list"), "alice+list" },
    { "a folder of maildirs is a name like others", BYTES("cur"), "cur" },
    { "200 octets", BYTES(REPEAT_200("a")), REPEAT_200("a") },
    { "201 octets", BYTES(REPEAT_200("a") "a"), NULL },
    { "nothing", BYTES(""), NULL },
    { "this directory", BYTES("."), NULL },
    { "the directory above", BYTES(".."), NULL },
    { "a way up", BYTES("../x"), NULL },
    { "a way up from inside", BYTES("alice/../../x"), NULL },
    { "an absolute path", BYTES("/etc/passwd"), NULL },
    { "a path", BYTES("a/b"), NULL },
    { "a trailing slash", BYTES("a/"), NULL },
    { "a hidden name", BYTES(".hidden"), NULL },
    { "dots inside lead nowhere", BYTES("a..b"), "a..b" },
    { "a NUL", BYTES("alice\0x"), NULL },
    { "only a NUL", BYTES("\0"), NULL },
    { "a blank", BYTES("a b"), NULL },
    { "a line's end", BYTES("a\nb"), NULL },
    { "a colon, which maildir readers give a meaning", BYTES("a:2,S"), NULL },
    { "a comma", BYTES("a,b"), NULL },
    { "a backslash", BYTES("a\\b"), NULL },
    { "a quote", BYTES("a\"b"), NULL },
    { "an at", BYTES("a@b"), NULL },
    { "DEL", BYTES("a\x7f"), NULL },

    /* UTF-8 */
    { "a letter above ASCII", BYTES("pel\u00e9"), "pel\u00e9" },
    { "its capital", BYTES("PEL\u00c9"), "pel\u00e9" },
    { "a capital I with a dot is not i", BYTES("\u0130"), "i\u0307" },
    { "a letter and a mark are composed", BYTES("pele\u0301"), "pel\u00e9" },
    { "a capital and a mark", BYTES("PELE\u0301"), "pel\u00e9" },
    { "marks in another order", BYTES("a\u0302\u0323"), "\u1ead" },
    { "greek", BYTES("\u039f\u0394\u039f\u03a3"), "\u03bf\u03b4\u03bf\u03c3" },
    { "cyrillic", BYTES("\u0418\u0432\u0430\u043d.9"), "\u0438\u0432\u0430\u043d.9" },
    { "chinese", BYTES("\u7528\u6237"), "\u7528\u6237" },
    { "hindi, with its marks", BYTES("\u0939\u093f\u0928\u094d\u0926\u0940"),
      "\u0939\u093f\u0928\u094d\u0926\u0940" },
    { "digits of other scripts", BYTES("\u0661\u0662"), "\u0661\u0662" },
    { "hangul is composed", BYTES("\u1112\u1161\u11ab"), "\ud55c" },
    { "outside of the first plane", BYTES("\U00010400"), "\U00010428" },
    { "a sharp s is no ss", BYTES("gro\u00df"), "gro\u00df" },
    { "a capital sharp s is a sharp s", BYTES("GRO\u1e9e"), "gro\u00df" },
    { "the sign of Kelvin is a letter k", BYTES("\u212aelvin"), "kelvin" },
    { "the sign of Angstrom is a letter", BYTES("\u212b"), "\u00e5" },
    { "ASCII beside UTF-8 keeps its rules", BYTES("\u00e4!+.~"), "\u00e4!+.~" },
    { "a slash beside UTF-8", BYTES("\u00e4/b"), NULL },
    { "a hidden name in UTF-8", BYTES(".\u00e4"), NULL },
    { "a way up in UTF-8", BYTES("../\u00e4"), NULL },
    { "a NUL beside UTF-8", BYTES("\u00e4\0"), NULL },
    { "a Greek question mark is a semicolon", BYTES("a\u037e"), NULL },
    { "a fullwidth slash", BYTES("a\uff0fb"), NULL },
    { "a division slash", BYTES("a\u2215b"), NULL },
    { "a fraction slash", BYTES("a\u2044b"), NULL },
    { "a fullwidth dot in front", BYTES("\uff0ea"), NULL },
    { "a one dot leader in front", BYTES("\u2024a"), NULL },
    { "a mark that would stand on the path's slash", BYTES("\u0301a"), NULL },
    { "a blank above ASCII", BYTES("a\u00a0b"), NULL },
    { "an ideographic space", BYTES("a\u3000b"), NULL },
    { "a line separator", BYTES("a\u2028b"), NULL },
    { "a C1 control", BYTES("a\xc2\x85"), NULL },
    { "text turned around", BYTES("a\u202eb"), NULL },
    { "an isolate of direction", BYTES("a\u2067b"), NULL },
    { "a zero width space", BYTES("a\u200bb"), NULL },
    { "a zero width joiner", BYTES("a\u200db"), NULL },
    { "a byte order mark", BYTES("\ufeffa"), NULL },
    { "a soft hyphen", BYTES("a\u00adb"), NULL },
    { "a tag", BYTES("a\U000e0041"), NULL },
    { "private use", BYTES("a\ue000"), NULL },
    { "a noncharacter", BYTES("a\uffff"), NULL },
    { "nothing that Unicode knows", BYTES("a\u0378"), NULL },
    { "a symbol", BYTES("\U0001f4ec"), NULL },
    { "a vulgar fraction", BYTES("\u00bd"), NULL },
    { "a roman numeral", BYTES("\u2167"), NULL },
    { "malformed UTF-8", BYTES("a\xff"), NULL },
    { "half a character at the end", BYTES("a\xc3"), NULL },
    { "an overlong slash", BYTES("a\xc0\xaf"), NULL },
    { "a surrogate", BYTES("a\xed\xa0\x80"), NULL },
    { "200 octets in UTF-8", BYTES(REPEAT_50("\u00e4\u00e4")), REPEAT_50("\u00e4\u00e4") },
    { "202 octets in UTF-8", BYTES(REPEAT_50("\u00e4\u00e4") "\u00e4"), NULL },
    { "300 octets that are 200 when composed", BYTES(REPEAT_50("ae\u0302\u0301")), REPEAT_50("a\u1ebf") },
    { "200 octets that are 350 when composed", BYTES(REPEAT_50("\u0958") REPEAT_50("a")), NULL },
};

static void check_name(void **state)
{
    const struct name_row *row = *state;
    char name[MAILBOX_NAME_MAX + 1] = "untouched";
    int r = mailbox_name(row->local, name);
    assert_int_equal(r, row->want != NULL ? 0 : -ENOENT);
    assert_string_equal(name, row->want != NULL ? row->want : "untouched");
}

/* Nothing but these reaches a path, whatever the table above forgot. */
static void the_grammar_is_closed(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        uint8_t local[] = { 'a', (uint8_t)byte };
        char name[MAILBOX_NAME_MAX + 1];
        bool wanted = byte != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                          "!#$%&'*+-=?^_`{|}~.",
                                          byte) != NULL;
        assert_int_equal(mailbox_name(slice_of(local, 2), name), wanted ? 0 : -ENOENT);
    }
}

/* What delivery looks up must be what the operator made: no name has another as its own. */
static void a_name_is_its_own_name(void **state)
{
    (void)state;
    static const char *const tails[] = { "", "\u0301", "\u0307", "\u0345", "\u0323\u0302", "\u03c3" };
    for (gunichar c = 0x80; c < 0x20000; c++) {
        if (!g_unichar_isdefined(c) || (c >= 0xd800 && c < 0xe000))
            continue;
        for (size_t i = 0; i < G_N_ELEMENTS(tails); i++) {
            char local[16];
            size_t len = (size_t)g_unichar_to_utf8(c, local);
            strcpy(local + len, tails[i]);
            char name[MAILBOX_NAME_MAX + 1], again[MAILBOX_NAME_MAX + 1];
            if (mailbox_name(slice_str(local), name) < 0)
                break;
            assert_int_equal(mailbox_name(slice_str(name), again), 0);
            assert_string_equal(again, name);
        }
    }
}

/* ---- domains ---- */

static struct smtp_address address(const char *local, const char *domain)
{
    struct smtp_address a = { .local_len = (uint8_t)strlen(local), .domain_len = (uint8_t)strlen(domain) };
    memcpy(a.local, local, a.local_len);
    memcpy(a.domain, domain, a.domain_len);
    return a;
}

static struct router *some_domains(void)
{
    struct router *r = router_new();
    assert_int_equal(router_add_domain(r, "Example.ORG", "/mail/org"), 0);
    assert_int_equal(router_add_domain(r, "example.net", "/mail/net"), 0);
    assert_int_equal(router_add_domain(r, "m\u00fcnchen.example", "/mail/muc"), 0);
    assert_int_equal(router_add_domain(r, "xn--fsqu00a.xn--0zwm56d", "/mail/test"), 0);
    return r;
}

static const struct domain_row {
    const char *name, *local, *domain;
    const char *want; /* its maildirs, or NULL */
} domain_rows[] = {
    { "a domain of ours", "alice", "example.org", "/mail/org" },
    { "its case does not matter", "alice", "EXAMPLE.net", "/mail/net" },
    { "another's domain", "alice", "example.com", NULL },
    { "the end of a name is not the name", "alice", "mail.example.org", NULL },
    { "the start of a name is not the name", "alice", "example.or", NULL },
    { "a U-label given by U-label", "alice", "m\u00fcnchen.example", "/mail/muc" },
    { "a U-label given by A-label", "alice", "XN--mnchen-3ya.example", "/mail/muc" },
    { "a U-label in capitals", "alice", "M\u00dcNCHEN.example", "/mail/muc" },
    { "A-labels given by U-labels", "alice", "\u4f8b\u5b50.\u6d4b\u8bd5", "/mail/test" },
    { "a U-label without its dots", "alice", "munchen.example", NULL },
    { "a look-alike of a domain", "alice", "ex\u0430mple.org", NULL },
    { "postmaster alone belongs to the first", "postmaster", "", "/mail/org" },
    { "the null path belongs to nobody", "", "", NULL },
    { "a quoted empty local part has a domain", "", "example.org", "/mail/org" },
};

static void check_domain(void **state)
{
    const struct domain_row *row = *state;
    auto_ptr(router) r = some_domains();
    struct smtp_address a = address(row->local, row->domain);
    const struct domain *d = router_domain(r, &a);
    assert_int_equal(d != NULL, row->want != NULL);
    if (d != NULL)
        assert_string_equal(domain_maildirs(d), row->want);
}

static void a_domain_is_added_once(void **state)
{
    (void)state;
    auto_ptr(router) r = some_domains();
    assert_int_equal(router_add_domain(r, "EXAMPLE.org", "/mail/other"), -EEXIST);
    assert_int_equal(router_add_domain(r, "xn--mnchen-3ya.example", "/mail/other"), -EEXIST);
    assert_int_equal(router_add_domain(r, "\u4f8b\u5b50.\u6d4b\u8bd5", "/mail/other"), -EEXIST);
    struct smtp_address a = address("alice", "example.org");
    assert_string_equal(domain_maildirs(router_domain(r, &a)), "/mail/org");
}

static void what_is_no_domain_is_not_added(void **state)
{
    (void)state;
    auto_ptr(router) r = router_new();
    assert_int_equal(router_add_domain(r, "a..b", "/mail/org"), -EBADMSG);
    assert_int_equal(router_add_domain(r, "m\xfcnchen.example", "/mail/org"), -EBADMSG);
    g_autofree char *name = g_strnfill(SMTP_DOMAIN_MAX + 1, 'd');
    assert_int_equal(router_add_domain(r, name, "/mail/org"), -E2BIG);
}

static void a_router_may_be_empty(void **state)
{
    (void)state;
    auto_ptr(router) r = router_new();
    struct smtp_address a = address("postmaster", "");
    assert_null(router_domain(r, &a));
    router_free(NULL);
    mailbox_free(NULL);
}

static void the_longest_domain(void **state)
{
    (void)state;
    g_autofree char *name = g_strnfill(SMTP_DOMAIN_MAX, 'D');
    auto_ptr(router) r = router_new();
    assert_int_equal(router_add_domain(r, name, "/mail/org"), 0);
    struct smtp_address a = address("alice", name);
    assert_non_null(router_domain(r, &a));
}

/* ---- mailboxes ---- */

static void make_maildirs(void)
{
    disk_sim_reset(1);
    disk_sim_mkdir_all("/mail/org/alice/new");
    disk_sim_mkdir_all("/mail/org/pel\u00e9/new");
    disk_sim_mkdir_all("/mail/muc/pel\u00e9/new");
    disk_sim_mkdir_all("/mail/org/no-new/tmp");
    disk_sim_mkdir_all("/mail/other/eve/new");
    disk_sim_write_file("/mail/org/file", slice_str("x"));
    disk_sim_mkdir_all("/mail/org/new-is-file");
    disk_sim_write_file("/mail/org/new-is-file/new", slice_str("x"));
    disk_sim_symlink("/mail/org/inside", "alice");
    disk_sim_symlink("/mail/org/outside", "../other/eve");
    disk_sim_symlink("/mail/org/absolute", "/mail/other/eve");
    disk_sim_mkdir_all("/mail/org/linked-new");
    disk_sim_symlink("/mail/org/linked-new/new", "../../other/eve/new");
}

static const struct mailbox_row {
    const char *name, *local, *domain;
    int want;
    const char *mailbox;
} mailbox_rows[] = {
    { "a mailbox", "alice", "example.org", 0, "alice" },
    { "its case does not matter", "ALICE", "example.org", 0, "alice" },
    { "in UTF-8", "pel\u00e9", "example.org", 0, "pel\u00e9" },
    { "in UTF-8, in capitals", "PEL\u00c9", "m\u00fcnchen.example", 0, "pel\u00e9" },
    { "in UTF-8, decomposed", "Pele\u0301", "xn--mnchen-3ya.example", 0, "pel\u00e9" },
    { "without its accent", "pele", "example.org", -ENOENT, NULL },
    { "a link within the domain", "inside", "example.org", 0, "inside" },
    { "nobody", "nobody", "example.org", -ENOENT, NULL },
    { "a directory without new/ is half a maildir", "no-new", "example.org", -ENODEV, NULL },
    { "a file is no maildir", "file", "example.org", -ENOENT, NULL },
    { "new is a file", "new-is-file", "example.org", -ENODEV, NULL },
    { "a local part that cannot be a name", "../other/eve", "example.org", -ENOENT, NULL },
    { "a link out of the domain", "outside", "example.org", -EXDEV, NULL },
    { "an absolute link", "absolute", "example.org", -EXDEV, NULL },
    { "a link out of the domain behind the mailbox", "linked-new", "example.org", -EXDEV, NULL },
    { "a domain whose directory is missing has not lost its mailboxes", "alice", "example.net", -ENODEV,
      NULL },
};

static void check_mailbox(void **state)
{
    const struct mailbox_row *row = *state;
    make_maildirs();
    auto_ptr(router) r = some_domains();
    struct smtp_address a = address(row->local, row->domain);
    const struct domain *d = router_domain(r, &a);
    auto_ptr(mailbox) m = NULL;
    assert_int_equal(domain_find_mailbox(d, &a, &m), row->want);
    assert_int_equal(m != NULL, row->mailbox != NULL);
    if (m != NULL) {
        assert_string_equal(m->name, row->mailbox);
        assert_ptr_equal(m->domain, d);
    }
    assert_int_equal(disk_sim_open_descriptors(), 0);
}

/* A disk that cannot tell must not be taken for a mailbox that is not there. */
static void a_failing_disk_is_no_answer(void **state)
{
    (void)state;
    auto_ptr(router) r = some_domains();
    struct smtp_address a = address("alice", "example.org");
    const struct domain *d = router_domain(r, &a);
    for (uint64_t nth = 1;; nth++) {
        make_maildirs();
        disk_sim_fail((struct disk_sim_fault){ .nth = nth, .error = EACCES });
        auto_ptr(mailbox) m = NULL;
        int result = domain_find_mailbox(d, &a, &m);
        assert_int_equal(disk_sim_open_descriptors(), 0);
        if (disk_sim_failures() == 0) {
            assert_int_equal(result, 0);
            break;
        }
        assert_int_equal(result, -EACCES);
        assert_null(m);
    }
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("router");
    suite_add_rows(s, name_rows, check_name);
    suite_add(s, "the grammar is closed", the_grammar_is_closed, NULL);
    suite_add(s, "a name is its own name", a_name_is_its_own_name, NULL);
    suite_add_rows(s, domain_rows, check_domain);
    suite_add(s, "a domain is added once", a_domain_is_added_once, NULL);
    suite_add(s, "what is no domain is not added", what_is_no_domain_is_not_added, NULL);
    suite_add(s, "a router may be empty", a_router_may_be_empty, NULL);
    suite_add(s, "the longest domain", the_longest_domain, NULL);
    suite_add_rows(s, mailbox_rows, check_mailbox);
    suite_add(s, "a failing disk is no answer", a_failing_disk_is_no_answer, NULL);
    return suite_run(s, argc, argv);
}
