/* The closed grammar of mailboxes' names, and from an address to the domain that its route begins in. */
#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "address.h"
#include "delivery/router.h"

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

/* A domain's maildirs are named as the domain was when it was added. */
static struct router *router_of(const char *const *names)
{
    struct router *r = router_new();
    for (; *names != NULL; names++)
        assert_int_equal(router_add_domain(r, *names, &(struct domain_options){ .maildirs = *names }), 0);
    return r;
}

static const char *const exact[] = { "Example.ORG",          "example.net",
                                     "m\u00fcnchen.example", "xn--fsqu00a.xn--0zwm56d",
                                     "[192.0.2.1]",          NULL };
static const char *const patterns[] = { "example.org", "*.example.org", "*.a.example.org", "b.a.example.org",
                                        NULL };
static const char *const unicode[] = { "*.M\u00fcnchen.example", "*.xn--fsqu00a.xn--0zwm56d", NULL };
static const char *const everything[] = { "*.example.org", "example.net", "*", NULL };
static const char *const nothing_else[] = { "*", "example.net", NULL };

static const struct start_row {
    const char *name;
    const char *const *domains;
    const char *path;
    const char *want;        /* the domain as it was added; NULL: none */
    const char *domain_name; /* of the address, canonical */
    const char *local;
} start_rows[] = {
    { "a domain of ours", exact, "<alice@example.org>", "Example.ORG", "example.org", "alice" },
    { "case does not matter", exact, "<Alice@EXAMPLE.net>", "example.net", "example.net", "alice" },
    { "another's domain", exact, "<alice@example.com>", NULL, NULL, NULL },
    { "the end of a name is not the name", exact, "<alice@mail.example.org>", NULL, NULL, NULL },
    { "the start of a name is not the name", exact, "<alice@example.or>", NULL, NULL, NULL },
    { "a U-label given by U-label", exact, "<a@m\u00fcnchen.example>", "m\u00fcnchen.example",
      "xn--mnchen-3ya.example", "a" },
    { "a U-label given by A-label", exact, "<a@XN--mnchen-3ya.example>", "m\u00fcnchen.example",
      "xn--mnchen-3ya.example", "a" },
    { "a U-label in capitals", exact, "<a@M\u00dcNCHEN.example>", "m\u00fcnchen.example",
      "xn--mnchen-3ya.example", "a" },
    { "A-labels given by U-labels", exact, "<a@\u4f8b\u5b50.\u6d4b\u8bd5>", "xn--fsqu00a.xn--0zwm56d",
      "xn--fsqu00a.xn--0zwm56d", "a" },
    { "a U-label without its dots", exact, "<a@munchen.example>", NULL, NULL, NULL },
    { "a look-alike of a domain", exact, "<a@ex\u0430mple.org>", NULL, NULL, NULL },
    { "an address literal", exact, "<a@[192.0.2.1]>", "[192.0.2.1]", "[192.0.2.1]", "a" },
    { "postmaster alone belongs to the first", exact, "<PostMaster>", "Example.ORG", "example.org",
      "postmaster" },
    { "the null path belongs to nobody", exact, "<>", NULL, NULL, NULL },
    { "what cannot be a mailbox's name has none", exact, "<\"../x\"@example.org>", "Example.ORG",
      "example.org", "" },
    { "an empty local part has none, but a domain", exact, "<\"\"@example.org>", "Example.ORG", "example.org",
      "" },

    { "a pattern takes what is beneath", patterns, "<a@mail.example.org>", "*.example.org",
      "mail.example.org", "a" },
    { "a pattern takes what is far beneath", patterns, "<a@x.y.z.EXAMPLE.org>", "*.example.org",
      "x.y.z.example.org", "a" },
    { "a domain goes before the pattern", patterns, "<a@example.org>", "example.org", "example.org", "a" },
    { "a domain beneath a pattern goes before it", patterns, "<a@b.a.example.org>", "b.a.example.org",
      "b.a.example.org", "a" },
    { "the nearest pattern is taken", patterns, "<a@c.a.example.org>", "*.a.example.org", "c.a.example.org",
      "a" },
    { "the nearest pattern is taken from far beneath", patterns, "<a@c.b.a.example.org>", "*.a.example.org",
      "c.b.a.example.org", "a" },
    { "a pattern does not take its own name, but one above does", patterns, "<a@a.example.org>",
      "*.example.org", "a.example.org", "a" },
    { "a pattern takes no name that only ends like it", patterns, "<a@notexample.org>", NULL, NULL, NULL },
    { "a pattern takes nothing above it", patterns, "<a@org>", NULL, NULL, NULL },
    { "a pattern takes no literal", patterns, "<a@[192.0.2.1]>", NULL, NULL, NULL },
    { "a pattern of U-labels takes A-labels", unicode, "<a@mail.xn--mnchen-3ya.example>",
      "*.M\u00fcnchen.example", "mail.xn--mnchen-3ya.example", "a" },
    { "a pattern of A-labels takes U-labels", unicode, "<a@mail.\u4f8b\u5b50.\u6d4b\u8bd5>",
      "*.xn--fsqu00a.xn--0zwm56d", "mail.xn--fsqu00a.xn--0zwm56d", "a" },
    { "the first is a pattern: postmaster alone belongs to what it is named by", everything, "<postmaster>",
      "*.example.org", "example.org", "postmaster" },
    { "the default takes all others", everything, "<a@example.com>", "*", "example.com", "a" },
    { "the default takes a literal", everything, "<a@[IPv6:2001:db8::1]>", "*", "[ipv6:2001:db8::1]", "a" },
    { "the default takes a name without a dot", everything, "<a@localhost>", "*", "localhost", "a" },
    { "the default takes what a pattern is named by", everything, "<a@example.org>", "*", "example.org",
      "a" },
    { "the default takes nothing that a pattern takes", everything, "<a@b.example.org>", "*.example.org",
      "b.example.org", "a" },
    { "the default takes nothing that has its section", everything, "<a@example.net>", "example.net",
      "example.net", "a" },
    { "the first is the default: postmaster alone is at localhost", nothing_else, "<postmaster>", "*",
      "localhost", "postmaster" },
    { "the default takes no null path", everything, "<>", NULL, NULL, NULL },
};

static void check_start(void **state)
{
    const struct start_row *row = *state;
    auto_ptr(router) r = router_of(row->domains);
    struct smtp_address a = address_of(row->path);
    struct route_start start;
    assert_int_equal(router_start(r, &a, &start), row->want != NULL);
    if (row->want == NULL)
        return;
    assert_string_equal(start.domain->options.maildirs, row->want);
    assert_string_equal(start.domain_name, row->domain_name);
    assert_string_equal(start.name, row->local);
}

static int add(struct router *r, const char *name)
{
    return router_add_domain(r, name, &(struct domain_options){ .maildirs = "/mail/other" });
}

static void a_domain_is_added_once(void **state)
{
    (void)state;
    auto_ptr(router) r = router_of(exact);
    assert_int_equal(add(r, "EXAMPLE.org"), -EEXIST);
    assert_int_equal(add(r, "xn--mnchen-3ya.example"), -EEXIST);
    assert_int_equal(add(r, "\u4f8b\u5b50.\u6d4b\u8bd5"), -EEXIST);
    assert_string_equal(router_find_domain(r, "example.org")->options.maildirs, "Example.ORG");
    assert_int_equal(add(r, "*.example.org"), 0);
    assert_int_equal(add(r, "*.EXAMPLE.org"), -EEXIST);
    assert_int_equal(add(r, "*"), 0);
    assert_int_equal(add(r, "*"), -EEXIST);
}

static void a_domain_is_found_by_all_its_spellings(void **state)
{
    (void)state;
    auto_ptr(router) r = router_of(unicode);
    assert_string_equal(router_find_domain(r, "*.m\u00fcnchen.EXAMPLE")->name, "*.xn--mnchen-3ya.example");
    assert_string_equal(router_find_domain(r, "*.\u4f8b\u5b50.\u6d4b\u8bd5")->options.maildirs, unicode[1]);
    assert_null(router_find_domain(r, "m\u00fcnchen.example"));
    assert_null(router_find_domain(r, "a.m\u00fcnchen.example")); /* which the pattern would take */
    assert_null(router_find_domain(r, "*"));
    assert_null(router_find_domain(r, "a..b"));
}

static const struct no_domain_row {
    const char *name, *domain;
} no_domain_rows[] = {
    { "an empty label", "a..b" },
    { "malformed UTF-8", "m\xfcnchen.example" },
    { "nothing", "" },
    { "a star in a label", "*mail.example.org" },
    { "a star in the middle", "mail.*.example.org" },
    { "two stars", "*.*.example.org" },
    { "a pattern of nothing", "*." },
    { "a pattern of an empty label", "*..example.org" },
    { "a dot in front", ".example.org" },
};

static void check_no_domain(void **state)
{
    const struct no_domain_row *row = *state;
    auto_ptr(router) r = router_new();
    assert_int_equal(add(r, row->domain), -EBADMSG);
    struct smtp_address a = address_of("<postmaster>");
    struct route_start start;
    assert_false(router_start(r, &a, &start)); /* nothing was added */
}

static void options_are_copied(void **state)
{
    (void)state;
    auto_ptr(router) r = router_new();
    char maildirs[] = "/mail", catch_all[] = "alice", subaddress[] = "+-";
    struct domain_options options = { .maildirs = maildirs,
                                      .catch_all = catch_all,
                                      .subaddress = subaddress,
                                      .quota = 7,
                                      .refuse_over_quota = true,
                                      .create = true };
    assert_int_equal(router_add_domain(r, "example.org", &options), 0);
    *maildirs = *catch_all = *subaddress = 'X';
    const struct domain_options *kept = &router_find_domain(r, "example.org")->options;
    assert_string_equal(kept->maildirs, "/mail");
    assert_string_equal(kept->catch_all, "alice");
    assert_string_equal(kept->subaddress, "+-");
    assert_int_equal(kept->quota, 7);
    assert_true(kept->refuse_over_quota);
    assert_true(kept->create);
    assert_int_equal(router_add_domain(r, "example.net", &(struct domain_options){ .maildirs = "/m" }), 0);
    assert_string_equal(router_find_domain(r, "example.net")->options.subaddress, "");
}

static void a_router_may_be_empty(void **state)
{
    (void)state;
    auto_ptr(router) r = router_new();
    struct smtp_address a = address_of("<postmaster>");
    struct route_start start;
    assert_false(router_start(r, &a, &start));
    assert_null(router_find_domain(r, "example.org"));
    router_free(NULL);
}

/* Longer than what fits into a path with its local part, as a mailbox's own address may be. */
static void the_longest_domain(void **state)
{
    (void)state;
    char label[] = "ddddddddddddddddddddddddddddddd"; /* 31 octets and a dot, eight times: 255 */
    g_autofree char *name = g_strjoin(".", label, label, label, label, label, label, label, label, NULL);
    assert_int_equal(strlen(name), SMTP_DOMAIN_MAX);
    g_autofree char *beneath = g_strconcat("*.", name, NULL), *longer = g_strconcat("d", name, NULL);
    auto_ptr(router) r = router_new();
    assert_int_equal(add(r, longer), -E2BIG);
    assert_int_equal(add(r, name), 0);
    assert_int_equal(add(r, beneath), 0);
    assert_int_equal(add(r, name), -EEXIST);
    assert_int_equal(add(r, beneath), -EEXIST);
    struct smtp_address a = { .local_len = 1, .domain_len = SMTP_DOMAIN_MAX, .local = "a" };
    memcpy(a.domain, name, SMTP_DOMAIN_MAX);
    struct route_start start;
    assert_true(router_start(r, &a, &start));
    assert_string_equal(start.domain_name, name);
}

/* ---- mailboxes ---- */

static void a_mailbox_is_its_name_in_its_domain(void **state)
{
    (void)state;
    auto_ptr(router) r = router_of(exact);
    struct domain *org = router_find_domain(r, "example.org"), *net = router_find_domain(r, "example.net");
    char alice[] = "alice", again[] = "alice", bob[] = "bob", lists[] = ".lists";
    const struct mailbox one = { .domain = org, .name = alice };
    const struct mailbox same = { .domain = org, .name = again, .folder = lists, .quota = 7, .create = true };
    const struct mailbox other = { .domain = org, .name = bob }, elsewhere = { .domain = net, .name = alice };
    assert_true(mailbox_equal(&one, &same));
    assert_int_equal(mailbox_hash(&one), mailbox_hash(&same));
    assert_false(mailbox_equal(&one, &other));
    assert_false(mailbox_equal(&one, &elsewhere));
}

static void a_mailbox_has_an_address(void **state)
{
    (void)state;
    auto_ptr(router) r = router_of(patterns);
    char text[SMTP_ADDRESS_TEXT], name[] = "alice", subdomain[] = "b.example.org", lists[] = ".lists";
    struct mailbox m = { .domain = router_find_domain(r, "example.org"), .name = name, .folder = lists };
    struct smtp_address a;
    mailbox_address(&m, &a);
    assert_string_equal(smtp_address_format(&a, text), "alice@example.org");
    m = (struct mailbox){ .domain = router_find_domain(r, "*.example.org"),
                          .name = name,
                          .subdomain = subdomain };
    mailbox_address(&m, &a);
    assert_string_equal(smtp_address_format(&a, text), "alice@b.example.org");
}

static void a_copy_is_whole(void **state)
{
    (void)state;
    auto_ptr(router) r = router_of(exact);
    char name[] = "alice", folder[] = ".lists", subdomain[] = "b.example.org";
    const struct mailbox m = { .domain = router_find_domain(r, "example.org"),
                               .name = name,
                               .folder = folder,
                               .subdomain = subdomain,
                               .file_system = 7,
                               .quota = 1000,
                               .create = true };
    auto_ptr(mailbox) copy = mailbox_copy(&m);
    *name = *folder = *subdomain = 'X';
    assert_ptr_equal(copy->domain, m.domain);
    assert_string_equal(copy->name, "alice");
    assert_string_equal(copy->folder, ".lists");
    assert_string_equal(copy->subdomain, "b.example.org");
    assert_int_equal(copy->file_system, 7);
    assert_int_equal(copy->quota, 1000);
    assert_true(copy->create);
    const struct mailbox bare = { .domain = m.domain, .name = name };
    auto_ptr(mailbox) bare_copy = mailbox_copy(&bare);
    assert_null(bare_copy->folder);
    assert_null(bare_copy->subdomain);
    mailbox_free(NULL);
}

/* Where mailboxes are the same, however the operator has spelt it. */
static const struct place_row {
    const char *name, *maildirs, *want;
} place_rows[] = {
    { "place: a path", "/var/mail/a", "/var/mail/a" },
    { "place: a slash at the end", "/var/mail/a/", "/var/mail/a" },
    { "place: more slashes", "//var///mail/a//", "/var/mail/a" },
    { "place: dots", "/./var/mail/./a/.", "/var/mail/a" },
    { "place: the root", "/", "/" },
    { "place: a relative path", "mail//a/", "mail/a" },
    { "place: here", "./", "." },
    { "place: above, which is not for us to know", "/var/mail/../a/", "/var/mail/../a" },
    { "place: hidden", "/var/.mail/..a", "/var/.mail/..a" },
};

static void check_place(void **state)
{
    const struct place_row *row = *state;
    auto_ptr(router) r = router_new();
    assert_int_equal(
        router_add_domain(r, "example.org", &(struct domain_options){ .maildirs = row->maildirs }), 0);
    assert_string_equal(router_find_domain(r, "example.org")->options.maildirs, row->want);
}

/* ---- folders' names ---- */

static const struct folder_row {
    const char *name, *text;
    const char *want; /* NULL: none */
} folder_rows[] = {
    { "folder: a name", "Lists", ".Lists" },
    { "folder: one in another", "Lists/Announce", ".Lists.Announce" },
    { "folder: the inbox", "Inbox", "" },
    { "folder: one in the inbox", "INBOX/a", ".INBOX.a" },
    { "folder: with a blank, and UTF-8", "\xc3\x84rzte heute", ".\xc3\x84rzte heute" },
    { "folder: nothing", "", NULL },
    { "folder: a slash", "/", NULL },
    { "folder: a slash in front", "/Lists", NULL },
    { "folder: a slash at the end", "Lists/", NULL },
    { "folder: two slashes", "Lists//a", NULL },
    { "folder: a dot", "Lists.Announce", NULL },
    { "folder: a way up", "../bob", NULL },
    { "folder: a control character", "a\nb", NULL },
    { "folder: no UTF-8", "\xc3", NULL },
};

static void check_folder(void **state)
{
    const struct folder_row *row = *state;
    char folder[FOLDER_MAX + 1] = "untouched";
    assert_int_equal(mailbox_folder(row->text, folder), row->want != NULL ? 0 : -EINVAL);
    assert_string_equal(folder, row->want != NULL ? row->want : "untouched");
}

static void the_longest_folder_s_name(void **state)
{
    (void)state;
    char folder[FOLDER_MAX + 1];
    g_autofree char *longest = g_strnfill(FOLDER_MAX - 1, 'x'), *longer = g_strnfill(FOLDER_MAX, 'x');
    assert_int_equal(mailbox_folder(longest, folder), 0);
    assert_int_equal(strlen(folder), FOLDER_MAX);
    assert_int_equal(mailbox_folder(longer, folder), -EINVAL);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("router");
    suite_add_rows(s, name_rows, check_name);
    suite_add(s, "the grammar is closed", the_grammar_is_closed, NULL);
    suite_add(s, "a name is its own name", a_name_is_its_own_name, NULL);
    suite_add_rows(s, start_rows, check_start);
    suite_add(s, "a domain is added once", a_domain_is_added_once, NULL);
    suite_add(s, "a domain is found by all its spellings", a_domain_is_found_by_all_its_spellings, NULL);
    suite_add_rows(s, no_domain_rows, check_no_domain);
    suite_add(s, "options are copied", options_are_copied, NULL);
    suite_add(s, "a router may be empty", a_router_may_be_empty, NULL);
    suite_add(s, "the longest domain", the_longest_domain, NULL);
    suite_add(s, "a mailbox is its name in its domain", a_mailbox_is_its_name_in_its_domain, NULL);
    suite_add(s, "a mailbox has an address", a_mailbox_has_an_address, NULL);
    suite_add(s, "a copy is whole", a_copy_is_whole, NULL);
    suite_add_rows(s, place_rows, check_place);
    suite_add_rows(s, folder_rows, check_folder);
    suite_add(s, "the longest folder's name", the_longest_folder_s_name, NULL);
    return suite_run(s, argc, argv);
}
