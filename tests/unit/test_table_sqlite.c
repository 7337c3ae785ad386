/* Queries to real databases in a temporary folder. */
#include "table_rig.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delivery/table_internal.h"

static char *folder, *path;

static sqlite3 *open_database(const char *at)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(at, &db), SQLITE_OK);
    return db;
}

static void run_sql(const char *at, const char *sql)
{
    sqlite3 *db = open_database(at);
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static const char schema[] = "CREATE TABLE alias (name TEXT, domain TEXT, target);"
                             "INSERT INTO alias VALUES"
                             " ('alice', 'example.org', 'bob'),"
                             " ('all', 'example.org', 'alice'),"
                             " ('all', 'example.org', 'bob'),"
                             " ('all', 'example.net', 'eve'),"
                             " ('null', 'example.org', NULL),"
                             " ('some', 'example.org', NULL),"
                             " ('some', 'example.org', ''),"
                             " ('some', 'example.org', 'carol'),"
                             " ('number', 'example.org', 4711),"
                             " ('nul', 'example.org', 'a' || char(0) || 'b'),"
                             " ('o''brien', 'example.org', 'quoted'),"
                             " ('pel\u00e9', 'example.org', 'utf8');";

static void remove_all(void)
{
    static const char *const suffixes[] = { "", "-journal", "-wal", "-shm", ".next" };
    for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *name = g_strconcat(path, suffixes[i], NULL);
        (void)g_unlink(name); /* most are not there */
    }
}

static int set_up(void **state)
{
    (void)state;
    remove_all();
    run_sql(path, schema);
    return 0;
}

static char *spec_of(const char *query)
{
    return g_strdup_printf("sqlite:%s %s", path, query);
}

#define BY_NAME "SELECT target FROM alias WHERE name = :name AND domain = :domain ORDER BY rowid"

static struct table *open_query(const char *query, const struct table_rules *rules)
{
    g_autofree char *spec = spec_of(query);
    return rig_open(spec, rules);
}

/* ---- what queries answer ---- */

static const struct row {
    const char *name, *query, *key, *want;
} rows[] = {
    { "one row", BY_NAME, "alice", "bob" },
    { "several rows, in their order", BY_NAME, "all", "alice, bob" },
    { "no row", BY_NAME, "carol", "none" },
    { "only NULL", BY_NAME, "null", "none" },
    { "NULL and empty values are none", BY_NAME, "some", "carol" },
    { "a number", BY_NAME, "number", "4711" },
    { "a name with a quote", BY_NAME, "o'brien", "quoted" },
    { "a name that looks like SQL", BY_NAME, "x' OR '1'='1", "none" },
    { "a name in UTF-8", BY_NAME, "pel\u00e9", "utf8" },
    { "the address", "SELECT 'x-' || :address", "alice", "x-alice@example.org" },
    { "all parameters, some twice", "SELECT :name || :name || :domain || :address", "a",
      "aaexample.orga@example.org" },
    { "no parameter", "SELECT 'postmaster'", "alice", "postmaster" },
    { "only the first column", "SELECT target, name FROM alias WHERE name = :name", "alice", "bob" },
    { "a semicolon at the end", "SELECT :name ; ", "alice", "alice" },
    { "a value with a NUL", BY_NAME, "nul", "unknown: datatype mismatch" },
    { "too many octets", "SELECT hex(zeroblob(51201))", "alice", "unknown: string or blob too big" },
    { "too many octets in several rows", "SELECT hex(zeroblob(20000)) UNION ALL SELECT hex(zeroblob(31201))",
      "alice", "unknown: string or blob too big" },
    { "an error at the first row", "SELECT abs(-9223372036854775808) FROM alias WHERE name = :name", "alice",
      "unknown: integer overflow" },
    { "an error at the second row",
      "SELECT CASE rowid WHEN 1 THEN 'x' ELSE abs(-9223372036854775808) END FROM alias", "alice",
      "unknown: integer overflow" },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    (void)set_up(NULL);
    auto_ptr(table) t = open_query(row->query, &rig_aliases);
    assert_false(table_is_in_memory(t));
    rig_check(t, row->key, row->want);
    rig_check(t, row->key, row->want); /* the same on the connection that was kept, or on a new one */
}

static void up_to_the_limit(void **state)
{
    (void)set_up(state);
    auto_ptr(table) t = open_query("SELECT hex(zeroblob(51200))", &rig_aliases);
    g_autofree char *got = rig_find(t, "alice");
    assert_int_equal(strlen(got), TABLE_ANSWER_MAX);
}

/* ---- queries that are none ---- */

static const struct refused_row {
    const char *name, *query;
    const char *want; /* with the spec or the query in front */
} refused_rows[] = {
    { "refused: no SQL", "hello",
      ": near \"hello\": syntax error; expected a query that this database can answer" },
    { "refused: half a query", "SELECT",
      ": incomplete input; expected a query that this database can answer" },
    { "refused: no such table", "SELECT a FROM missing",
      ": no such table: missing; expected a query that this database can answer" },
    { "refused: no such column", "SELECT a FROM alias",
      ": no such column: a; expected a query that this database can answer" },
    { "refused: only a comment", "-- nothing", NULL },
    { "refused: an update", "DELETE FROM alias", NULL },
    { "refused: an update that answers rows", "DELETE FROM alias RETURNING target", NULL },
    { "refused: two queries", "SELECT 1; SELECT 2", ": expected one query" },
    { "refused: an unknown parameter", "SELECT :user",
      ": there is no parameter :user; expected :name, :domain or :address" },
    { "refused: a parameter without a name", "SELECT ?",
      ": there is no parameter ?; expected :name, :domain or :address" },
    { "refused: another kind of parameter", "SELECT @name",
      ": there is no parameter @name; expected :name, :domain or :address" },
};

static void check_refused(void **state)
{
    const struct refused_row *row = *state;
    (void)set_up(NULL);
    g_autofree char *spec = spec_of(row->query);
    g_autofree char *got = rig_refusal(spec, &rig_aliases);
    const char *want =
        row->want != NULL ? row->want : ": expected a query that answers rows and changes nothing";
    bool whole = strstr(want, "this database") != NULL;
    g_autofree char *line = g_strconcat("postern.conf:7: ", whole ? spec : row->query, want, NULL);
    assert_string_equal(got, line);
}

static void no_database(void **state)
{
    (void)set_up(state);
    assert_true(
        g_file_set_contents(path, "this is text, and has been for a while; it is no database\n", -1, NULL));
    g_autofree char *spec = spec_of("SELECT target FROM alias");
    g_autofree char *got = rig_refusal(spec, &rig_aliases);
    assert_non_null(strstr(got, ": file is not a database; expected a query that this database can answer"));
}

/* Whose other end nobody opens. */
static void a_fifo_is_not_waited_for(void **state)
{
    enum { PATIENCE_S = 20 };
    (void)set_up(state);
    auto_ptr(table) t = open_query(BY_NAME, &rig_aliases);
    assert_int_equal(g_unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)alarm(PATIENCE_S); /* it would be for ever */
    rig_check_refresh(t, "0");
    rig_check(t, "alice", "unknown: it is no regular file");
    g_autofree char *spec = spec_of(BY_NAME);
    g_autofree char *got = rig_refusal(spec, &rig_aliases);
    (void)alarm(0);
    assert_non_null(strstr(got, ": it is no regular file; expected a query that this database can answer"));
}

/* ---- databases that change ---- */

static void rows_change(void **state)
{
    (void)set_up(state);
    auto_ptr(table) t = open_query(BY_NAME, &rig_aliases);
    rig_check(t, "alice", "bob");
    run_sql(path, "UPDATE alias SET target = 'carol' WHERE name = 'alice'");
    rig_check(t, "alice", "carol");
    run_sql(path, "ALTER TABLE alias ADD COLUMN note; VACUUM");
    rig_check(t, "alice", "carol");
}

static void the_table_goes_and_comes(void **state)
{
    (void)set_up(state);
    auto_ptr(table) t = open_query(BY_NAME, &rig_aliases);
    rig_check(t, "alice", "bob");
    run_sql(path, "ALTER TABLE alias RENAME TO other");
    rig_check(t, "alice", "unknown: no such table: alias");
    run_sql(path, "ALTER TABLE other RENAME TO alias");
    rig_check(t, "alice", "bob");
}

static void another_database_takes_the_name(void **state)
{
    (void)set_up(state);
    g_autofree char *next = g_strconcat(path, ".next", NULL);
    auto_ptr(table) t = open_query(BY_NAME, &rig_aliases);
    rig_check(t, "alice", "bob");
    run_sql(next, schema);
    run_sql(next, "UPDATE alias SET target = 'carol' WHERE name = 'alice'");
    assert_int_equal(g_rename(next, path), 0);
    rig_check_refresh(t, "0");
    rig_check(t, "alice", "carol");
    rig_check_refresh(t, "0");
    rig_check(t, "alice", "carol");
}

static void the_database_goes_and_comes(void **state)
{
    (void)set_up(state);
    auto_ptr(table) t = open_query(BY_NAME, &rig_aliases);
    g_autofree char *next = g_strconcat(path, ".next", NULL);
    assert_int_equal(g_rename(path, next), 0);
    rig_check_refresh(t, "0");
    rig_check(t, "alice", "unknown: unable to open database file"); /* none was open yet */
    assert_int_equal(g_rename(next, path), 0);
    rig_check(t, "alice", "bob");
}

/* Another program may write while we read, and the other way round. */
static void a_database_in_wal_mode(void **state)
{
    (void)set_up(state);
    run_sql(path, "PRAGMA journal_mode = WAL");
    sqlite3 *writer = open_database(path);
    assert_int_equal(
        sqlite3_exec(writer, "BEGIN IMMEDIATE; UPDATE alias SET target = 'carol'", NULL, NULL, NULL),
        SQLITE_OK);
    auto_ptr(table) t = open_query(BY_NAME, &rig_aliases);
    rig_check(t, "alice", "bob");
    assert_int_equal(sqlite3_exec(writer, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    rig_check(t, "alice", "carol");
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
}

/* ---- time ---- */

static const struct table_rules hasty = { .timeout = 50 };

static void an_endless_query_is_ended(void **state)
{
    (void)set_up(state);
    auto_ptr(table) t = open_query(
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT 'x' FROM n WHERE i < 0",
        &hasty);
    rig_check(t, "alice", "unknown: it took too long");
}

static void one_who_writes_is_not_waited_for_too_long(void **state)
{
    (void)set_up(state);
    auto_ptr(table) t = open_query(BY_NAME, &hasty);
    rig_check(t, "alice", "bob");
    sqlite3 *writer = open_database(path);
    assert_int_equal(sqlite3_exec(writer, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    rig_check(t, "alice", "unknown: database is locked");
    assert_int_equal(sqlite3_exec(writer, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    rig_check(t, "alice", "bob");
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
}

/* Whether the question has begun by then or not, it is answered. */
static void *end_writing(void *writer)
{
    return GINT_TO_POINTER(sqlite3_exec(writer, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
}

static void one_who_writes_is_waited_for(void **state)
{
    (void)set_up(state);
    auto_ptr(table) t = open_query(BY_NAME, &rig_aliases);
    sqlite3 *writer = open_database(path);
    assert_int_equal(
        sqlite3_exec(writer, "BEGIN EXCLUSIVE; UPDATE alias SET target = 'carol'", NULL, NULL, NULL),
        SQLITE_OK);
    GThread *thread = g_thread_new("write", end_writing, writer);
    rig_check(t, "alice", "carol");
    assert_true(GPOINTER_TO_INT(g_thread_join(thread)));
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
}

/* ---- threads and processes ---- */

enum { THREADS = 8, QUESTIONS = 200 };

static void *ask(void *table)
{
    for (unsigned i = 0; i < QUESTIONS; i++) {
        g_autofree char *one = rig_find(table, "alice");
        g_autofree char *two = rig_find(table, "all");
        if (strcmp(one, "bob") != 0 || strcmp(two, "alice, bob") != 0)
            return table;
        (void)table_look(table, &(struct diag){ NULL }); /* in some of them, all the time */
    }
    return NULL;
}

static void many_ask(void **state)
{
    (void)set_up(state);
    GThread *threads[THREADS];
    auto_ptr(table) t = open_query(BY_NAME, &rig_aliases);
    for (unsigned i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("ask", ask, t);
    for (unsigned i = 0; i < THREADS; i++)
        assert_null(g_thread_join(threads[i]));
}

/* Opened before, asked behind a fork; and nothing of the database is open in between. */
static void a_fork_in_between(void **state)
{
    (void)set_up(state);
    auto_ptr(table) t = open_query(BY_NAME, &rig_aliases);
    for (unsigned i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            g_autofree char *got = rig_find(t, "alice");
            _exit(strcmp(got, "bob") == 0 ? 0 : 1);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    run_sql(path, "BEGIN EXCLUSIVE; COMMIT");
}

int main(int argc, char **argv)
{
    folder = g_dir_make_tmp("postern-sqlite-XXXXXX", NULL);
    path = g_build_filename(folder, "aliases.db", NULL);
    struct suite *s = suite_new("delivery/table_sqlite");
    suite_add_rows(s, rows, check_row);
    suite_add_rows(s, refused_rows, check_refused);
    suite_add(s, "as much as may be", up_to_the_limit, NULL);
    suite_add(s, "a FIFO is not waited for", a_fifo_is_not_waited_for, NULL);
    suite_add(s, "no database", no_database, NULL);
    suite_add(s, "rows change", rows_change, NULL);
    suite_add(s, "the table goes and comes", the_table_goes_and_comes, NULL);
    suite_add(s, "another database takes the name", another_database_takes_the_name, NULL);
    suite_add(s, "the database goes and comes", the_database_goes_and_comes, NULL);
    suite_add(s, "a database in WAL mode", a_database_in_wal_mode, NULL);
    suite_add(s, "an endless query is ended", an_endless_query_is_ended, NULL);
    suite_add(s, "one who writes is not waited for too long", one_who_writes_is_not_waited_for_too_long,
              NULL);
    suite_add(s, "one who writes is waited for", one_who_writes_is_waited_for, NULL);
    suite_add(s, "many ask", many_ask, NULL);
    suite_add(s, "a fork in between", a_fork_in_between, NULL);
    int r = suite_run(s, argc, argv);
    remove_all();
    (void)g_rmdir(folder); /* what is left in it, a person has to look at */
    g_free(path);
    g_free(folder);
    return r;
}
