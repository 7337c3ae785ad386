/* Which table a spec names, what is wrong with one, and a file on the real disk. */
#include "table_rig.h"

#include <glib.h>
#include <glib/gstdio.h>

#include "delivery/table_internal.h"

/* ---- specs that are none ---- */

#define NO_TABLE " is no table; expected the path of a file, passwd:, sqlite:PATH QUERY or socket:PATH NAME"
#define LONG     "/a-path-that-is-longer-than-an-address-of-a-unix-socket-can-be"

static const struct refused_row {
    const char *name, *spec, *want;
} refused_rows[] = {
    { "nothing", "", "\"\"" NO_TABLE },
    { "another server's kind", "hash:/etc/aliases", "\"hash:/etc/aliases\"" NO_TABLE },
    { "a misspelt kind", "sqlite3:/x q", "\"sqlite3:/x q\"" NO_TABLE },
    { "a file that is not there", "/nowhere/aliases",
      "/nowhere/aliases: No such file or directory; expected a file of lines NAME: VALUE" },
    { "a file with a colon in its name", "./hash:/x",
      "./hash:/x: No such file or directory; expected a file of lines NAME: VALUE" },
    { "a directory", "/", "/: it is no regular file; expected a file of lines NAME: VALUE" },
    { "passwd with something behind it", "passwd:/etc/passwd",
      "passwd:/etc/passwd: expected nothing behind passwd:" },
    { "sqlite alone", "sqlite:", "sqlite:: expected sqlite:PATH QUERY" },
    { "sqlite without a query", "sqlite:/x.db  ", "sqlite:/x.db  : expected sqlite:PATH QUERY" },
    { "sqlite without a path", "sqlite: SELECT 1", "sqlite: SELECT 1: expected sqlite:PATH QUERY" },
    { "sqlite with a database that is not there", "sqlite:/nowhere/x.db SELECT 1",
      "sqlite:/nowhere/x.db SELECT 1: unable to open database file; expected a query that this database can "
      "answer" },
    { "socket alone", "socket:", "socket:: expected socket:PATH NAME" },
    { "socket without a name", "socket:/run/x", "socket:/run/x: expected socket:PATH NAME" },
    { "socket without a path", "socket: x", "socket: x: expected socket:PATH NAME" },
    { "socket with two names", "socket:/run/x a b", "socket:/run/x a b: expected socket:PATH NAME" },
    { "socket with too long a path", "socket:" LONG LONG " x",
      "socket:" LONG LONG " x: expected a path of at most 107 octets" },
};

static void check_refused(void **state)
{
    const struct refused_row *row = *state;
    g_autofree char *got = rig_refusal(row->spec, &rig_aliases);
    g_autofree char *want = g_strconcat("postern.conf:7: ", row->want, NULL);
    assert_string_equal(got, want);
}

/* ---- lists of values: the same in files and in what servers answer ---- */

static const struct list_row {
    const char *name, *list, *want; /* each value in brackets; "!" where a quote is not closed */
} list_rows[] = {
    { "list: one", "a", "[a]" },
    { "list: several", "a,b , c", "[a][b][c]" },
    { "list: blanks inside", " a b ,\tc", "[a b][c]" },
    { "list: nothing", "", "" },
    { "list: only commas and blanks", ", ,,", "" },
    { "list: commas in quotes", "\"a,b\",c", "[\"a,b\"][c]" },
    { "list: quotes inside", "a\"b,\"c,d", "[a\"b,\"c][d]" },
    { "list: two quotes", "\"a,\"\",b\",c", "[\"a,\"\",b\"][c]" },
    { "list: a quoted quote", "\"\\\",\",c", "[\"\\\",\"][c]" },
    { "list: an open quote", "a,\"b,c", "[a]!" },
    { "list: an open quote with a backslash at the end", "\"b\\", "!" },
    { "list: only a quote", "\"", "!" },
};

static void check_list(void **state)
{
    const struct list_row *row = *state;
    g_autofree char *copy = g_memdup2(row->list, strlen(row->list)); /* nothing is read behind it */
    struct slice rest = slice_of(copy, strlen(row->list)), value;
    g_autoptr(GString) got = g_string_new(NULL);
    int r;
    while ((r = table_next_value(&rest, &value)) > 0)
        g_string_append_printf(got, "[%.*s]", (int)value.len, (const char *)value.data);
    if (r < 0)
        g_string_append_c(got, '!');
    assert_string_equal(got->str, row->want);
}

/* ---- on the real disk ---- */

static void write_text(const char *path, const char *text)
{
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* Until it is refreshed, which takes as long as the file must be left alone; at most until the harness ends
 * it. */
static char *refresh_until_new(struct table *t)
{
    for (;;) {
        g_autofree char *got = rig_refresh(t);
        if (strcmp(got, "0") != 0)
            return g_steal_pointer(&got);
        g_thread_yield();
    }
}

static void a_real_file(void **state)
{
    (void)state;
    g_autofree char *dir = g_dir_make_tmp("postern-table-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "aliases", NULL);
    write_text(path, "alice: bob\n");
    {
        auto_ptr(table) t = rig_open(path, &rig_aliases);
        rig_check(t, "alice", "bob");
        write_text(path, "alice: carol\n");
        g_autofree char *got = refresh_until_new(t);
        assert_string_equal(got, "1");
        rig_check(t, "alice", "carol");
        write_text(path, "alice\n");
        g_autofree char *problems = refresh_until_new(t);
        g_autofree char *want = g_strdup_printf("-74\n%s:1: alice: expected NAME: TARGET, TARGET", path);
        assert_string_equal(problems, want);
        rig_check(t, "alice", "carol");
    }
    assert_int_equal(g_unlink(path), 0);
    assert_int_equal(g_rmdir(dir), 0);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("delivery/table");
    suite_add_rows(s, refused_rows, check_refused);
    suite_add_rows(s, list_rows, check_list);
    suite_add(s, "a real file", a_real_file, NULL);
    return suite_run(s, argc, argv);
}
