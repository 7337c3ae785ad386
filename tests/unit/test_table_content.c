/* The format of a table's file: what it says, and every problem with its line. */
#include "suite.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>

#include "delivery/router.h"
#include "delivery/table_content.h"
#include "table_rig.h"

static bool accepts_size(const void *owner, const char *value, char **ret_expected)
{
    uint64_t size;
    (void)owner;
    if (pst_parse_size(slice_str(value), UINT64_MAX, &size) == 0)
        return true;
    *ret_expected = g_strdup("a size such as 2G");
    return false;
}

static const struct table_rules sizes = { .accepts = accepts_size };
static const struct table_rules anything = { 0 };

/* Twenty lines of problems, and more. */
#define BAD5 "bad\nbad\nbad\nbad\nbad\n"
#define TOLD5(a, b, c, d, e)                                                                                 \
    "f:" #a ": bad: expected NAME: VALUE\nf:" #b ": bad: expected NAME: VALUE\nf:" #c                        \
    ": bad: expected NAME: VALUE\nf:" #d ": bad: expected NAME: VALUE\nf:" #e                                \
    ": bad: expected NAME: VALUE\n"

static const struct row {
    const char *name;
    const char *text;
    const char *find;                /* a name; NULL: it cannot be loaded */
    const char *want;                /* its values, each in brackets; or the problems */
    const struct table_rules *rules; /* NULL: of aliases */
} rows[] = {
    /* what it can say */
    { "one target", "alice: bob\n", "alice", "[bob]" },
    { "several targets", "alice: bob, carol,dave , erin\n", "alice", "[bob][carol][dave][erin]" },
    { "addresses as targets", "all: alice@example.org, Bob@EXAMPLE.org\n", "all",
      "[alice@example.org][Bob@EXAMPLE.org]" },
    { "another name", "alice: bob\n", "bob", "none" },
    { "nothing in it", "", "alice", "none" },
    { "only comments and empty lines", "# one\n\n  \t\n   # two\n#three: four\n", "three", "none" },
    { "no line end at the end", "alice: bob", "alice", "[bob]" },
    { "CR LF ends lines", "# c\r\n\r\nalice: bob,\r\n\tcarol\r\n", "alice", "[bob][carol]" },
    { "no blank behind the colon", "alice:bob\n", "alice", "[bob]" },
    { "blanks around the colon", "alice \t: \t bob \t \n", "alice", "[bob]" },
    { "names are in lower case", "ALICE.Smith: bob\n", "alice.smith", "[bob]" },
    { "targets are kept as they are", "alice: BOB\n", "alice", "[BOB]" },
    { "names in UTF-8 are composed, and in lower case", "PELE\u0301: bob\n", "pel\u00e9", "[bob]" },
    { "a quoted name", "\"alice\" : bob\n", "alice", "[bob]" },
    { "a quoted name that would be a comment", "\"#alice\": bob\n", "#alice", "[bob]" },
    { "a quoted name with a backslash", "\"a\\lice\": bob\n", "alice", "[bob]" },
    { "a name with a plus sign", "alice+lists: bob\n", "alice+lists", "[bob]" },
    { "a line goes on", "alice: bob,\n  carol,\n\tdave\n", "alice", "[bob][carol][dave]" },
    { "a line goes on without a comma", "alice: bob\n carol\n", "alice", "[bob][carol]" },
    { "all targets in lines behind", "alice:\n bob\n carol\n", "alice", "[bob][carol]" },
    { "comments and empty lines in between", "alice: bob\n# dave\n\n   # erin\n carol\n", "alice",
      "[bob][carol]" },
    { "superfluous commas", "alice: ,bob,, ,carol,\n", "alice", "[bob][carol]" },
    { "a comma in quotes", "alice: \"a,b\"@x , bob\n", "alice", "[\"a,b\"@x][bob]", &anything },
    { "a quote and a comma in quotes", "alice: \"a\\\",b\"@x, bob\n", "alice", "[\"a\\\",b\"@x][bob]",
      &anything },
    { "a backslash at the end of quotes", "alice: \"a\\\\\", bob\n", "alice", "[\"a\\\\\"][bob]", &anything },
    { "the same target twice", "alice: bob, bob\n", "alice", "[bob][bob]" },
    { "an alias to the mailbox of its name", "alice: alice, bob\n", "alice", "[alice][bob]" },
    { "an alias to only the mailbox of its name", "alice: ALICE\n", "alice", "[ALICE]" },
    { "aliases of aliases", "a: b, c\nb: c, d\nc: d, e\n", "a", "[b][c]" },
    { "where they lead together is not looked at here", "a: b\nb: a\n", "b", "[a]" },
    { "sizes as values", "alice: 2G\nbob: 100M\n", "bob", "[100M]", &sizes },
    { "values that are no targets may be names", "a: b\nb: a\n", "b", "[a]", &anything },
    { "where values are no targets, they may be commands", "a: |b, /c, :include:d\n", "a",
      "[|b][/c][:include:d]", &anything },
    { "a comment's sign inside of a target", "alice: bob#1\n", "alice", "[bob#1]" },

    /* lines that are none */
    { "no colon", "alice bob\n", NULL, "f:1: alice bob: expected NAME: TARGET, TARGET" },
    { "no colon in a table of values", "alice 2G\n", NULL, "f:1: alice 2G: expected NAME: VALUE", &sizes },
    { "a colon only in quotes", "\"alice:bob\"\n", NULL,
      "f:1: \"alice:bob\": expected NAME: TARGET, TARGET" },
    { "a name that is not closed", "\"alice: bob\n", NULL,
      "f:1: \"alice: bob: expected NAME: TARGET, TARGET" },
    { "a name that ends in a backslash", "\"alice\\", NULL, "f:1: \"alice\\: expected NAME: TARGET, TARGET" },
    { "going on with nothing", "# c\n  bob\nalice: bob\n", NULL,
      "f:2: bob: there is no name above that this could belong to; expected NAME: TARGET, TARGET" },
    { "no target", "# c\nalice:\nbob: carol\n", NULL,
      "f:2: alice: nothing is behind it; expected NAME: TARGET, TARGET" },
    { "no target at the end", "alice: ,\n", NULL,
      "f:1: alice: nothing is behind it; expected NAME: TARGET, TARGET" },
    { "no value", "alice:\n", NULL, "f:1: alice: nothing is behind it; expected NAME: VALUE", &sizes },

    /* names */
    { "no name", ": bob\n", NULL, "f:1: : expected a name that a mailbox can have" },
    { "an address as a name", "alice@example.org: bob\n", NULL,
      "f:1: alice@example.org: expected a name without a domain; the domain's section says which file is "
      "its" },
    { "a whole domain as a name", "@example.org: bob\n", NULL,
      "f:1: @example.org: expected a name without a domain; the domain's section says which file is its" },
    { "a name that no mailbox can have", "alice/bob: carol\n", NULL,
      "f:1: alice/bob: expected a name that a mailbox can have" },
    { "a name with a blank", "alice bob: carol\n", NULL,
      "f:1: alice bob: expected a name that a mailbox can have" },
    { "a quoted name with a blank", "\"alice bob\": carol\n", NULL,
      "f:1: \"alice bob\": expected a name that a mailbox can have" },
    { "something behind a quoted name", "\"alice\"bob: carol\n", NULL,
      "f:1: \"alice\"bob: expected a name that a mailbox can have" },
    { "a hidden name", ".alice: bob\n", NULL, "f:1: .alice: expected a name that a mailbox can have" },
    { "a name in malformed UTF-8", "alic\xc3: bob\n", NULL,
      "f:1: alic\xc3: expected a name that a mailbox can have" },
    { "a name twice", "alice: bob\n\ncarol: dave\nAlice: erin\n", NULL,
      "f:4: alice: it is there already, in line 1; expected each name once" },
    { "a name twice, and what belongs to the second", "alice: bob\nalice: |x\n /y\n", NULL,
      "f:2: alice: it is there already, in line 1; expected each name once\n"
      "f:2: |x: postern runs no commands, a handler does; expected a mailbox or an address\n"
      "f:3: /y: postern writes to no files but those of maildirs; expected a mailbox or an address" },

    /* targets */
    { "a command", "alice: bob, |/usr/bin/vacation\n", NULL,
      "f:1: |/usr/bin/vacation: postern runs no commands, a handler does; expected a mailbox or an address" },
    { "a quoted command", "alice: \"|/usr/bin/vacation -a b, c\"\n", NULL,
      "f:1: \"|/usr/bin/vacation -a b, c\": postern runs no commands, a handler does; expected a mailbox or "
      "an "
      "address" },
    { "a file", "alice: bob,\n /dev/null\n", NULL,
      "f:2: /dev/null: postern writes to no files but those of maildirs; expected a mailbox or an address" },
    { "a quoted file", "alice: \"/dev/null\"\n", NULL,
      "f:1: \"/dev/null\": postern writes to no files but those of maildirs; expected a mailbox or an "
      "address" },
    { "a list elsewhere", "alice: :Include:/etc/list\n", NULL,
      "f:1: :Include:/etc/list: postern reads no lists from elsewhere; expected a mailbox or an address" },
    { "a target that is none of ours", "alice: bob@example.net\n", NULL,
      "f:1: bob@example.net: expected an address of ours" },
    { "a target in a line behind", "alice: bob,\n# c\n  carol@, dave\n", NULL,
      "f:3: carol@: expected an address of ours" },
    { "several bad targets", "alice: a@b, c, d@e\n", NULL,
      "f:1: a@b: expected an address of ours\nf:1: d@e: expected an address of ours" },
    { "no comma", "alice: bob carol\n", NULL, "f:1: bob carol: expected an address of ours" },
    { "a comment behind a target", "alice: bob # my brother\n", NULL,
      "f:1: bob # my brother: expected a comment in a line of its own" },
    { "a comment behind a target and a tab", "alice: bob\t# my brother\n", NULL,
      "f:1: bob\t# my brother: expected a comment in a line of its own" },
    { "a comment behind a comma", "alice: bob, # my brother\n", NULL,
      "f:1: # my brother: expected a comment in a line of its own" },
    { "a quote that is not closed", "alice: bob, \"carol\n dave\n", NULL,
      "f:1: \"carol: expected one more double quote" },
    { "a quote that is not closed, alone", "alice: \"bob, carol\n", NULL,
      "f:1: \"bob, carol: expected one more double quote" },
    { "a quote that ends in a backslash", "alice: \"bob\\\n", NULL,
      "f:1: \"bob\\: expected one more double quote" },
    { "a value that is no size", "alice: 2G\nbob: much\n", NULL, "f:2: much: expected a size such as 2G",
      &sizes },

    /* how many */
    { "twenty problems", BAD5 BAD5 BAD5 "ok: 1\n" BAD5, NULL,
      TOLD5(1, 2, 3, 4, 5) TOLD5(6, 7, 8, 9, 10)
          TOLD5(11, 12, 13, 14, 15) "f:17: bad: expected NAME: VALUE\nf:18: bad: expected NAME: VALUE\nf:19: "
                                    "bad: expected NAME: VALUE\n"
                                    "f:20: bad: expected NAME: VALUE\nf:21: bad: expected NAME: VALUE",
      &anything },
    { "more than twenty problems", BAD5 BAD5 BAD5 BAD5 "bad\nok: 1\nbad\n", NULL,
      TOLD5(1, 2, 3, 4, 5) TOLD5(6, 7, 8, 9, 10) TOLD5(11, 12, 13, 14, 15)
          TOLD5(16, 17, 18, 19, 20) "f: and 2 more problems",
      &anything },
};

static char *values_of(const struct table_content *c, const char *name)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *value = table_content_find(c, name);
    if (value == NULL)
        return g_strdup("none");
    for (; *value != '\0'; value += strlen(value) + 1)
        g_string_append_printf(text, "[%s]", value);
    return g_strdup(text->str);
}

static struct table_content *load(const char *text, size_t len, const struct table_rules *rules,
                                  struct diag *problems)
{
    /* A copy of just this size, so that who reads behind it is caught. */
    g_autofree char *copy = g_memdup2(text, len);
    return table_content_load(slice_of(copy, len), "f", rules, problems);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    const struct table_rules *rules = row->rules != NULL ? row->rules : &rig_aliases;
    auto_val(diag) problems = { NULL };
    struct table_content *c = load(row->text, strlen(row->text), rules, &problems);
    g_autofree char *got =
        c != NULL ? values_of(c, row->find != NULL ? row->find : "") : rig_problems(&problems);
    assert_string_equal(got, row->want);
    assert_int_equal(c != NULL, row->find != NULL);
    assert_int_equal(diag_count(&problems) == 0, c != NULL);
    table_content_unref(c);
}

/* ---- what does not fit in a row ---- */

static void check_refused(const char *text, size_t len, const char *want)
{
    auto_val(diag) problems = { NULL };
    assert_null(load(text, len, &rig_aliases, &problems));
    g_autofree char *got = rig_problems(&problems);
    assert_string_equal(got, want);
}

static void nul_octets(void **state)
{
    (void)state;
    static const char in_a_target[] = "alice: bob\nbob: c\0d\n";
    static const char in_a_name[] = "al\0ice: bob\n";
    static const char going_on[] = "alice: bob\n c\0d\n";
    check_refused(in_a_target, sizeof in_a_target - 1, "f:2: there is a NUL in it; expected text");
    check_refused(in_a_name, sizeof in_a_name - 1, "f:1: there is a NUL in it; expected text");
    check_refused(going_on, sizeof going_on - 1, "f:2: there is a NUL in it; expected text");
}

static void long_lines_are_cut_in_problems(void **state)
{
    (void)state;
    g_autofree char *line = g_strnfill(100000, 'x');
    g_autofree char *shown = g_strndup(line, 200);
    g_autofree char *want = g_strdup_printf("f:1: %s: expected NAME: TARGET, TARGET", shown);
    check_refused(line, strlen(line), want);
    g_autofree char *target = g_strconcat("a: ", line, NULL);
    g_autofree char *want_target = g_strdup_printf("f:1: %s: expected an address of ours", shown);
    check_refused(target, strlen(target), want_target);
    g_autofree char *name = g_strconcat(line, ": a", NULL);
    g_autofree char *want_name = g_strdup_printf("f:1: %s: expected a name that a mailbox can have", shown);
    check_refused(name, strlen(name), want_name);
}

/* Cut off anywhere, a file is another file or a bad one, and is read within its bounds. */
static void cut_anywhere(void **state)
{
    (void)state;
    static const char text[] =
        "# c\nalice: \"bo\\b\", carol,\n dave@example.org\n\"e\\\"\\rin\": |x\nalice: :include:y\n"
        "a: b\nb: a\n";
    for (size_t len = 0; len <= sizeof text - 1; len++) {
        auto_val(diag) problems = { NULL };
        struct table_content *c = load(text, len, &rig_aliases, &problems);
        assert_int_equal(c == NULL, diag_count(&problems) > 0);
        table_content_unref(c);
    }
}

enum { MANY = 50000 };

static void many_names(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < MANY; i++)
        g_string_append_printf(text, "Name%u: target%u\n", i, i);
    auto_val(diag) problems = { NULL };
    struct table_content *c = load(text->str, text->len, &rig_aliases, &problems);
    assert_non_null(c);
    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *name = g_strdup_printf("name%u", i);
        g_autofree char *want = g_strdup_printf("[target%u]", i);
        g_autofree char *got = values_of(c, name);
        assert_string_equal(got, want);
    }
    assert_null(table_content_find(c, "name50000"));
    table_content_unref(c);
}

static void one_name_with_many_targets(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new("all: t");
    for (unsigned i = 1; i < MANY; i++)
        g_string_append(text, i % 100 == 0 ? ",\n t" : ",t");
    auto_val(diag) problems = { NULL };
    struct table_content *c = load(text->str, text->len, &rig_aliases, &problems);
    assert_non_null(c);
    unsigned count = 0;
    for (const char *value = table_content_find(c, "all"); *value != '\0'; value += strlen(value) + 1)
        count++;
    assert_int_equal(count, MANY);
    table_content_unref(c);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("delivery/table_content");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "NUL octets", nul_octets, NULL);
    suite_add(s, "long lines are cut in problems", long_lines_are_cut_in_problems, NULL);
    suite_add(s, "cut off anywhere", cut_anywhere, NULL);
    suite_add(s, "many names", many_names, NULL);
    suite_add(s, "one name with many targets", one_name_with_many_targets, NULL);
    return suite_run(s, argc, argv);
}
