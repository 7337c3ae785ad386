#include "delivery/table.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "delivery/table_internal.h"

/*
 * The first column of the rows that a query answers. A connection with its prepared query belongs to one
 * question at a time and then waits in `idle` for the next; there are never more than questions at one time.
 * None crosses a fork, which SQLite forbids: the one that shows at the start that all is well is closed
 * again.
 */

enum {
    STEPS_BETWEEN_LOOKS = 1000, /* of SQLite's machine, between two looks at the clock */
    LOCKED_MS = 5,              /* between two looks whether who writes has ended */
};

struct sqlite_table {
    struct table base;
    char *path, *query;
    msec_t timeout;
    GAsyncQueue *idle; /* struct connection * */

    /* When another file has taken the database's name, those who have the old one open must not be asked. */
    atomic_uint generation;
    GMutex looking; /* of: */
    dev_t device;
    ino_t inode;
};

struct connection {
    sqlite3 *db;
    sqlite3_stmt *query;
    unsigned generation;
    gint64 deadline_us; /* of the question that is being answered */
};

static void connection_free(struct connection *c)
{
    if (c == NULL)
        return;
    (void)sqlite3_finalize(c->query); /* tells only what came of the last question */
    (void)sqlite3_close(c->db);       /* with no query open it cannot fail */
    g_free(c);
}
AUTO_PTR_DEFINE(connection);

static void free_idle(void *connection)
{
    connection_free(connection);
}

static int is_too_late(void *connection)
{
    const struct connection *c = connection;
    return g_get_monotonic_time() > c->deadline_us;
}

static int wait_for_lock(void *connection, int times)
{
    (void)times;
    if (is_too_late(connection))
        return 0;
    (void)sqlite3_sleep(LOCKED_MS); /* it tells how long it slept */
    return 1;
}

/* What SQLite says, in one line. */
static char *reason(sqlite3 *db, int r)
{
    if (r == SQLITE_INTERRUPT)
        return g_strdup("it took too long");
    return g_strdup(db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(r));
}

/* SQLite would open a FIFO, and wait for who writes into it. What is not there it tells itself. */
static bool is_no_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* `ret_tail`: what is behind the first of several queries. */
static int connect_to(const struct sqlite_table *s, struct connection **ret_connection, const char **ret_tail,
                      char **ret_why)
{
    if (is_no_file(s->path)) {
        *ret_why = g_strdup("it is no regular file");
        return -EIO;
    }
    auto_ptr(connection) c = g_new0(struct connection, 1);
    c->generation = atomic_load(&s->generation); /* before the file is opened, which may be the next one */
    c->deadline_us = g_get_monotonic_time() + s->timeout * 1000;
    /* NOMUTEX: one thread at a time has it. */
    int r = sqlite3_open_v2(s->path, &c->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_busy_handler(c->db, wait_for_lock, c);
    if (r == SQLITE_OK) {
        sqlite3_progress_handler(c->db, STEPS_BETWEEN_LOOKS, is_too_late, c);
        r = sqlite3_prepare_v3(c->db, s->query, -1, SQLITE_PREPARE_PERSISTENT, &c->query, ret_tail);
    }
    if (r != SQLITE_OK) {
        *ret_why = reason(c->db, r);
        return -EIO;
    }
    *ret_connection = g_steal_pointer(&c);
    return 0;
}

/* ---- opening: all that can be wrong is wrong now ---- */

static const char *const parameters[] = { ":name", ":domain", ":address" };

static const char *unknown_parameter(sqlite3_stmt *query)
{
    for (int i = 1; i <= sqlite3_bind_parameter_count(query); i++) {
        const char *name = sqlite3_bind_parameter_name(query, i);
        bool known = false;
        for (size_t k = 0; k < G_N_ELEMENTS(parameters); k++)
            known = known || g_strcmp0(name, parameters[k]) == 0;
        if (!known)
            return name != NULL ? name : "?";
    }
    return NULL;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n;")] == '\0';
}

static void check_query(const struct sqlite_table *s, struct origin at, struct diag *problems)
{
    g_autofree char *why = NULL;
    auto_ptr(connection) c = NULL;
    const char *tail = "", *unknown;
    if (connect_to(s, &c, &tail, &why) < 0)
        diag_add(problems, at, "sqlite:%s %s: %s; expected a query that this database can answer", s->path,
                 s->query, why);
    else if (c->query == NULL || sqlite3_column_count(c->query) == 0 || !sqlite3_stmt_readonly(c->query))
        diag_add(problems, at, "%s: expected a query that answers rows and changes nothing", s->query);
    else if (!is_blank(tail))
        diag_add(problems, at, "%s: expected one query", s->query);
    else if ((unknown = unknown_parameter(c->query)) != NULL)
        diag_add(problems, at, "%s: there is no parameter %s; expected :name, :domain or :address", s->query,
                 unknown);
}

/* Told apart by name, never by opening: to close a database's file, anywhere in the process, would drop the
 * locks of all connections to it. */
static bool note_file(struct sqlite_table *s)
{
    struct stat st;
    if (stat(s->path, &st) < 0)
        return false; /* in a moment it will be there again; those who connect meanwhile are told */
    bool is_new = st.st_dev != s->device || st.st_ino != s->inode;
    s->device = st.st_dev;
    s->inode = st.st_ino;
    return is_new;
}

static void sqlite_free(struct table *t)
{
    struct sqlite_table *s = (struct sqlite_table *)t;
    g_async_queue_unref(s->idle);
    g_mutex_clear(&s->looking);
    g_free(s->path);
    g_free(s->query);
    g_free(s);
}

static struct table *sqlite_open(const char *rest, const struct table_rules *rules, struct origin at,
                                 struct diag *problems)
{
    struct sqlite_table *s = g_new0(struct sqlite_table, 1);
    auto_ptr(table) t = &s->base;
    s->base.kind = &table_sqlite_kind;
    s->timeout = table_timeout(rules);
    s->idle = g_async_queue_new_full(free_idle);
    g_mutex_init(&s->looking);
    if (!table_split_spec(rest, &s->path, &s->query)) {
        diag_add(problems, at, "sqlite:%s: expected sqlite:PATH QUERY", rest);
        return NULL;
    }
    unsigned before = diag_count(problems);
    check_query(s, at, problems);
    if (diag_count(problems) > before)
        return NULL;
    (void)note_file(s); /* it is new, as they all are */
    return g_steal_pointer(&t);
}

/* ---- asking ---- */

static struct connection *take_idle(struct sqlite_table *s)
{
    for (;;) {
        auto_ptr(connection) c = g_async_queue_try_pop(s->idle);
        if (c == NULL)
            return NULL;
        c->deadline_us = g_get_monotonic_time() + s->timeout * 1000;
        if (c->generation == atomic_load(&s->generation))
            return g_steal_pointer(&c);
    }
}

/* Not every query has every parameter. The text stays where it is until the query is reset. */
static int bind(const struct connection *c, const char *parameter, const char *text)
{
    int i = sqlite3_bind_parameter_index(c->query, parameter);
    return i > 0 ? sqlite3_bind_text(c->query, i, text, -1, SQLITE_STATIC) : SQLITE_OK;
}

static int take_value(const struct connection *c, GPtrArray *values, size_t *octets)
{
    if (sqlite3_column_type(c->query, 0) == SQLITE_NULL)
        return SQLITE_ROW;
    const char *text = (const char *)sqlite3_column_text(c->query, 0);
    if (text == NULL)
        return SQLITE_NOMEM;
    size_t len = (size_t)sqlite3_column_bytes(c->query, 0);
    if (strlen(text) != len)
        return SQLITE_MISMATCH; /* a NUL: what is in front of it is not what is meant */
    if (len > TABLE_ANSWER_MAX - *octets)
        return SQLITE_TOOBIG;
    *octets += len;
    if (len > 0)
        g_ptr_array_add(values, g_strndup(text, len));
    return SQLITE_ROW;
}

static int take_rows(const struct connection *c, GPtrArray *values)
{
    size_t octets = 0;
    int r;
    do
        r = sqlite3_step(c->query);
    while (r == SQLITE_ROW && (r = take_value(c, values, &octets)) == SQLITE_ROW);
    return r;
}

static int ask(struct connection *c, const char *name, const char *domain, GPtrArray *values, char **ret_why)
{
    g_autofree char *address = g_strconcat(name, "@", domain, NULL);
    int r = bind(c, ":name", name);
    if (r == SQLITE_OK)
        r = bind(c, ":domain", domain);
    if (r == SQLITE_OK)
        r = bind(c, ":address", address);
    if (r == SQLITE_OK)
        r = take_rows(c, values);
    if (r == SQLITE_DONE) {
        (void)sqlite3_reset(c->query); /* it ended well; and now holds no lock any more */
        (void)sqlite3_clear_bindings(c->query);
        return 0;
    }
    *ret_why = r == SQLITE_TOOBIG || r == SQLITE_MISMATCH ? g_strdup(sqlite3_errstr(r)) : reason(c->db, r);
    return -EIO;
}

static int sqlite_find(struct table *t, const char *name, const char *domain, GPtrArray *values,
                       char **ret_why)
{
    struct sqlite_table *s = (struct sqlite_table *)t;
    const char *tail;
    auto_ptr(connection) c = take_idle(s);
    int r = c != NULL ? 0 : connect_to(s, &c, &tail, ret_why);
    if (r < 0)
        return r;
    r = ask(c, name, domain, values, ret_why);
    if (r == 0)
        g_async_queue_push(s->idle,
                           g_steal_pointer(&c)); /* behind the others: old ones are found and closed */
    return r;
}

static int sqlite_look(struct table *t, struct diag *problems)
{
    (void)problems;
    struct sqlite_table *s = (struct sqlite_table *)t;
    g_mutex_lock(&s->looking);
    if (note_file(s))
        atomic_fetch_add(&s->generation, 1);
    g_mutex_unlock(&s->looking);
    return 0;
}

const struct table_kind table_sqlite_kind = {
    .prefix = "sqlite:",
    .open = sqlite_open,
    .free = sqlite_free,
    .find = sqlite_find,
    .look = sqlite_look,
};
