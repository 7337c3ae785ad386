/* Questions off the loop, on the simulated twins: how many at once, what is remembered, and tables that
 * change. */
#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "address.h"
#include "delivery/table.h"
#include "disk/disk.h"
#include "disk/disk_sim.h"
#include "reactor/reactor_sim.h"
#include "worker/lookup.h"

struct world {
    struct reactor *reactor;
    struct router *router;
    GPtrArray *tables;
    struct lookups *lookups;
    struct pst_log log;
    GString *told;  /* the log */
    size_t at_rest; /* what is open when nothing is asked */
    int64_t disk_us;
};

/* What came of one question. */
struct asked {
    unsigned answers;
    int result;
    char *mailboxes; /* names with a blank behind each */
    char *full, *why;
};

static int64_t wall_us(void *owner)
{
    return reactor_wall_us(((struct world *)owner)->reactor);
}

static void write_log(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    struct world *w = owner;
    assert_true(level < PST_LOG_FATAL);
    g_string_append_len(w->told, line, (gssize)len);
}

/* As an editor does it: another file of that name. And then some time passes. */
static void write_table(struct world *w, const char *text)
{
    auto_disk int dir = disk_open_root("/tables");
    int r = disk_unlink(dir, "aliases");
    assert_true(r == 0 || r == -ENOENT);
    w->disk_us += 10 * 1000 * 1000;
    disk_sim_set_time(w->disk_us);
    disk_sim_write_file("/tables/aliases", slice_str(text));
    w->disk_us += 10 * 1000 * 1000;
    disk_sim_set_time(w->disk_us);
}

static void free_table(void *table)
{
    table_free(table);
}

static bool is_unwanted; /* by whoever has not been answered yet */

static bool is_wanted(void *owner)
{
    (void)owner;
    return !is_unwanted;
}

static bool accepts(const void *owner, const char *value, char **ret_expected)
{
    (void)owner;
    if (strcmp(value, "wrong") != 0)
        return true;
    *ret_expected = g_strdup("anything else");
    return false;
}

static struct table *open_table(struct world *w)
{
    static const struct table_rules rules = { .accepts = accepts };
    auto_val(diag) problems = { 0 };
    struct table *t = table_open("/tables/aliases", &rules, (struct origin){ "test", 1 }, &problems);
    diag_print(&problems, stderr);
    assert_non_null(t);
    g_ptr_array_add(w->tables, t);
    return t;
}

/* `aliases`: NULL: there are none. */
static void world_init(struct world *w, const char *aliases)
{
    disk_sim_reset(1);
    static const char *const parts[] = { "/mail/alice/tmp", "/mail/alice/new", "/mail/alice/cur",
                                         "/mail/bob/tmp",   "/mail/bob/new",   "/mail/bob/cur" };
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        disk_sim_mkdir_all(parts[i]);
    disk_sim_mkdir_all("/tables");
    *w = (struct world){ .reactor = reactor_sim_new(1),
                         .router = router_new(),
                         .tables = g_ptr_array_new_with_free_func(free_table),
                         .told = g_string_new(NULL) };
    w->log = (struct pst_log){ .wall_us = wall_us, .write = write_log, .owner = w };
    struct domain_options options = { .maildirs = "/mail", .subaddress = "+" };
    assert_int_equal(router_add_domain(w->router, "example.org", &options), 0);
    options.quota = 1000;
    assert_int_equal(router_add_domain(w->router, "small.example", &options), 0);
    if (aliases != NULL) {
        write_table(w, aliases);
        router_find_domain(w->router, "example.org")->options.aliases = open_table(w);
    }
    w->lookups = lookups_new(w->reactor, w->router, w->tables, &w->log);
    w->at_rest = reactor_sim_open(w->reactor);
}

/* Nothing may be left to do. */
static void world_clear(struct world *w)
{
    lookups_free(w->lookups);
    reactor_run(w->reactor);
    assert_int_equal(disk_sim_open_descriptors(), 0);
    assert_int_equal(reactor_free(w->reactor), 0);
    router_free(w->router);
    g_ptr_array_unref(w->tables);
    g_string_free(w->told, TRUE);
}

static void run_for(struct world *w, msec_t time)
{
    reactor_sim_run_until(w->reactor, reactor_now(w->reactor) + time);
}

/* ---- questions ---- */

static void on_done(void *owner, const struct lookup_answer *answer)
{
    struct asked *a = owner;
    assert_int_equal(a->answers++, 0);
    a->result = answer->result;
    a->full = g_strdup(answer->full != NULL ? answer->full->name : "");
    a->why = g_strdup(answer->why != NULL ? answer->why : "");
    GString *names = g_string_new(NULL);
    for (guint i = 0; answer->result == 0 && i < answer->mailboxes->len; i++) {
        const struct mailbox *m = g_ptr_array_index(answer->mailboxes, i);
        g_string_append_printf(names, "%s ", m->name);
    }
    a->mailboxes = g_string_free(names, FALSE);
}

static void asked_clear(struct asked *a)
{
    g_free(a->mailboxes);
    g_free(a->full);
    g_free(a->why);
    *a = (struct asked){ 0 };
}
AUTO_VAL_DEFINE(asked);

static void ask(struct world *w, const char *path, uint64_t octets, struct asked *a)
{
    struct smtp_address address = address_of(path);
    struct route_start start;
    assert_true(router_start(w->router, &address, &start));
    static const struct lookup_events events = { .is_wanted = is_wanted, .on_done = on_done };
    lookups_ask(w->lookups, &start, octets, &events, a);
    memset(&start, 'x', sizeof start);
}

/* Asks, and waits for the answer. */
static void ask_and_wait(struct world *w, const char *path, uint64_t octets, struct asked *a)
{
    asked_clear(a);
    ask(w, path, octets, a);
    while (a->answers == 0)
        assert_true(reactor_sim_step(w->reactor));
}

static const struct row {
    const char *name, *path;
    uint64_t octets;
    int want;
    const char *mailboxes, *full, *why;
} rows[] = {
    { "a mailbox", "<alice@example.org>", 0, 0, "alice ", "", "" },
    { "an alias", "<info@example.org>", 0, 0, "alice bob ", "", "" },
    { "nobody", "<nobody@example.org>", 0, -ENOENT, "", "", "" },
    { "an alias that leads nowhere", "<astray@example.org>", 0, -ENOLINK, "", "",
      "astray@example.org leads to nobody, which is no mailbox" },
    { "a mailbox with room", "<alice@small.example>", 1000, 0, "alice ", "", "" },
    { "a mailbox without room", "<bob@small.example>", 1001, -EDQUOT, "", "bob", "" },
    { "one of an alias's mailboxes has no room", "<both@example.org>", 1001, -EDQUOT, "", "bob", "" },
};

static const char aliases[] = "info: alice, bob\nastray: nobody\nboth: alice, bob@small.example\n";

/* The first time off the loop; the second time, whatever was found is known. */
static void check_row(void **state)
{
    const struct row *row = *state;
    struct world w;
    world_init(&w, aliases);
    for (int i = 0; i < 2; i++) {
        auto_val(asked) a = { 0 };
        ask_and_wait(&w, row->path, row->octets, &a);
        assert_int_equal(a.result, row->want);
        assert_string_equal(a.mailboxes, row->mailboxes);
        assert_string_equal(a.full, row->full);
        assert_string_equal(a.why, row->why);
        assert_int_equal(reactor_sim_open(w.reactor), w.at_rest);
    }
    assert_string_equal(w.told->str, "");
    world_clear(&w);
}

static void the_disk_fails(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, NULL);
    disk_sim_fail((struct disk_sim_fault){ .nth = 1, .error = EIO });
    auto_val(asked) a = { 0 };
    ask_and_wait(&w, "<alice@example.org>", 0, &a);
    assert_int_equal(a.result, -EIO);
    assert_non_null(strstr(a.why, "alice"));
    ask_and_wait(&w, "<alice@example.org>", 0, &a); /* that was not remembered */
    assert_int_equal(a.result, 0);
    world_clear(&w);
}

static void what_is_known_is_answered_at_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, aliases);
    auto_val(asked) a = { 0 };
    ask(&w, "<info@example.org>", 0, &a);
    assert_int_equal(a.answers, 0);
    while (a.answers == 0)
        assert_true(reactor_sim_step(w.reactor));
    asked_clear(&a);
    uint64_t calls = disk_sim_calls();
    ask(&w, "<INFO@example.org>", 0, &a);
    assert_int_equal(a.answers, 1);
    assert_string_equal(a.mailboxes, "alice bob ");
    assert_int_equal(disk_sim_calls(), calls);
    world_clear(&w);
}

static void what_is_known_is_forgotten(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, NULL);
    auto_val(asked) a = { 0 };
    ask_and_wait(&w, "<alice@example.org>", 0, &a);
    run_for(&w, 1000);
    asked_clear(&a);
    ask(&w, "<alice@example.org>", 0, &a);
    assert_int_equal(a.answers, 0);
    while (reactor_sim_step(w.reactor))
        ;
    assert_int_equal(a.answers, 1);
    world_clear(&w);
}

/* Room is never remembered: it may be gone by now, and depends on what is declared. */
static void room_is_always_asked_for(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, NULL);
    auto_val(asked) a = { 0 };
    ask_and_wait(&w, "<alice@small.example>", 10, &a);
    assert_int_equal(a.result, 0);
    asked_clear(&a);
    ask(&w, "<alice@small.example>", 2000, &a);
    assert_int_equal(a.answers, 0);
    while (a.answers == 0)
        assert_true(reactor_sim_step(w.reactor));
    assert_int_equal(a.result, -EDQUOT);
    ask_and_wait(&w, "<alice@small.example>", 10, &a);
    assert_int_equal(a.result, 0);
    world_clear(&w);
}

/* ---- how many at once ---- */

/* A burst for one mailbox: who waits when the first answer comes is answered by it. */
static void one_answer_is_everybodys(void **state)
{
    (void)state;
    enum { MANY = 10 * LOOKUPS_AT_ONCE };
    struct world w;
    world_init(&w, NULL);
    auto_val(asked) one = { 0 };
    uint64_t before = disk_sim_calls();
    ask_and_wait(&w, "<bob@example.org>", 0, &one);
    uint64_t calls_each = disk_sim_calls() - before;
    struct asked asked[MANY] = { 0 };
    before = disk_sim_calls();
    for (unsigned i = 0; i < MANY; i++)
        ask(&w, "<alice@example.org>", 0, &asked[i]);
    while (reactor_sim_step(w.reactor))
        ;
    assert_int_equal(disk_sim_calls() - before, LOOKUPS_AT_ONCE * calls_each);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(asked[i].answers, 1);
        assert_string_equal(asked[i].mailboxes, "alice ");
        asked_clear(&asked[i]);
    }
    world_clear(&w);
}

static void so_many_are_asked_at_once(void **state)
{
    (void)state;
    enum { MANY = 3 * LOOKUPS_AT_ONCE + 1 };
    struct world w;
    world_init(&w, NULL);
    struct asked asked[MANY] = { 0 };
    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *path = g_strdup_printf("<%s+%u@example.org>", i % 2 == 0 ? "alice" : "bob", i);
        ask(&w, path, 0, &asked[i]);
        assert_int_equal(reactor_sim_open(w.reactor), w.at_rest + MIN(i + 1, LOOKUPS_AT_ONCE));
    }
    bool was_full = true;
    do {
        size_t answered = 0;
        for (unsigned i = 0; i < MANY; i++)
            answered += asked[i].answers;
        assert_int_equal(reactor_sim_open(w.reactor), w.at_rest + MIN(MANY - answered, LOOKUPS_AT_ONCE));
        was_full &= answered < MANY;
    } while (reactor_sim_step(w.reactor));
    assert_false(was_full);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(asked[i].answers, 1);
        assert_string_equal(asked[i].mailboxes, i % 2 == 0 ? "alice " : "bob ");
        asked_clear(&asked[i]);
    }
    world_clear(&w);
}

/* A table that does not answer keeps only those waiting who ask it. */
static void slow_tables_hold_up_nobody_else(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, aliases);
    struct domain_options options = { .maildirs = "/mail" };
    assert_int_equal(router_add_domain(w.router, "slow.example", &options), 0);
    auto_val(diag) problems = { 0 };
    struct table *slow = table_open("socket:/nowhere/to/be/found mailboxes", &(struct table_rules){ 0 },
                                    (struct origin){ "test", 1 }, &problems);
    assert_non_null(slow);
    g_ptr_array_add(w.tables, slow);
    router_find_domain(w.router, "slow.example")->options.mailboxes = slow;
    struct asked asked[2 * LOOKUPS_AT_ONCE] = { 0 }, quick[2] = { 0 };
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++)
        ask(&w, "<alice@slow.example>", 0, &asked[i]);
    assert_int_equal(reactor_sim_open(w.reactor), w.at_rest + LOOKUPS_AT_ONCE);
    ask(&w, "<info@example.org>", 0, &quick[0]);
    ask(&w, "<alice@small.example>", 0, &quick[1]);
    assert_int_equal(reactor_sim_open(w.reactor), w.at_rest + LOOKUPS_AT_ONCE + 2);
    run_for(&w, 100);
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++) {
        assert_int_equal(asked[i].result, -EHOSTDOWN);
        asked_clear(&asked[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(quick); i++) {
        assert_int_equal(quick[i].answers, 1);
        assert_int_equal(quick[i].result, 0);
        asked_clear(&quick[i]);
    }
    world_clear(&w);
}

static void nobody_is_asked_for_who_has_left(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, NULL);
    struct asked asked[2 * LOOKUPS_AT_ONCE] = { 0 };
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++)
        ask(&w, "<bob@example.org>", 0, &asked[i]);
    is_unwanted = true;
    while (reactor_sim_step(w.reactor))
        ;
    is_unwanted = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++) {
        assert_int_equal(asked[i].answers, 1);
        assert_int_equal(asked[i].result, i < LOOKUPS_AT_ONCE ? 0 : -ECANCELED);
        asked_clear(&asked[i]);
    }
    world_clear(&w);
}

/* Its client would not wait for the answer, and those behind it neither. */
static void whoever_waits_for_too_long_is_not_asked_for(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, NULL);
    struct reactor_sim_settings slow = reactor_sim_defaults;
    slow.job = (struct reactor_sim_span){ LOOKUPS_PATIENCE_MS * 1000LL, LOOKUPS_PATIENCE_MS * 1000LL };
    reactor_sim_configure(w.reactor, &slow);
    struct asked asked[3 * LOOKUPS_AT_ONCE] = { 0 };
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++)
        ask(&w, "<bob@example.org>", 0, &asked[i]);
    while (reactor_sim_step(w.reactor))
        ;
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++) {
        assert_int_equal(asked[i].answers, 1);
        assert_int_equal(asked[i].result, i < LOOKUPS_AT_ONCE ? 0 : -EHOSTDOWN);
        asked_clear(&asked[i]);
    }
    world_clear(&w);
}

/* What is known need not wait for those who do. */
static void what_is_known_overtakes(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, NULL);
    auto_val(asked) known = { 0 };
    ask_and_wait(&w, "<alice@example.org>", 0, &known);
    asked_clear(&known);
    struct asked asked[2 * LOOKUPS_AT_ONCE] = { 0 };
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++)
        ask(&w, "<bob@example.org>", 0, &asked[i]);
    ask(&w, "<alice@example.org>", 0, &known);
    assert_int_equal(known.answers, 1);
    while (reactor_sim_step(w.reactor))
        ;
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++) {
        assert_int_equal(asked[i].answers, 1);
        asked_clear(&asked[i]);
    }
    world_clear(&w);
}

/* Whoever is told may ask on, as a client does whose next command waits. */
struct chain {
    struct world *world;
    unsigned left;
};

static void ask_on(void *owner, const struct lookup_answer *answer)
{
    struct chain *c = owner;
    assert_int_equal(answer->result, 0);
    if (c->left-- == 0)
        return;
    g_autofree char *path = g_strdup_printf("<alice+%u@example.org>", c->left);
    struct smtp_address address = address_of(path);
    struct route_start start;
    assert_true(router_start(c->world->router, &address, &start));
    static const struct lookup_events events = { .is_wanted = is_wanted, .on_done = ask_on };
    lookups_ask(c->world->lookups, &start, 0, &events, c);
}

static void whoever_is_told_may_ask_on(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, NULL);
    struct chain chains[2 * LOOKUPS_AT_ONCE];
    for (unsigned i = 0; i < G_N_ELEMENTS(chains); i++) {
        chains[i] = (struct chain){ &w, 10 };
        ask_on(&chains[i], &(struct lookup_answer){ 0 });
    }
    while (reactor_sim_step(w.reactor))
        ;
    for (unsigned i = 0; i < G_N_ELEMENTS(chains); i++)
        assert_int_equal(chains[i].left, UINT_MAX);
    world_clear(&w);
}

/* ---- tables that change ---- */

static void assert_leads(struct world *w, const char *path, const char *mailboxes)
{
    auto_val(asked) a = { 0 };
    ask_and_wait(w, path, 0, &a);
    assert_string_equal(a.mailboxes, mailboxes);
}

static unsigned times_told(const struct world *w, const char *what)
{
    unsigned times = 0;
    for (const char *at = w->told->str; (at = strstr(at, what)) != NULL; at++)
        times++;
    return times;
}

static void a_table_that_changed_is_read_anew(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "info: alice\n");
    assert_leads(&w, "<info@example.org>", "alice ");
    run_for(&w, 5 * LOOKUPS_REFRESH_MS);
    assert_string_equal(w.told->str, "");
    assert_leads(&w, "<info@example.org>", "alice ");
    write_table(&w, "info: bob\n");
    assert_leads(&w, "<info@example.org>", "alice "); /* which is known */
    run_for(&w, LOOKUPS_REFRESH_MS + 100);
    assert_leads(&w, "<info@example.org>", "bob "); /* so that what was known is forgotten */
    assert_int_equal(times_told(&w, "event=table-loaded"), 1);
    run_for(&w, 5 * LOOKUPS_REFRESH_MS);
    assert_int_equal(times_told(&w, "event="), 1);
    world_clear(&w);
}

static void a_broken_table_keeps_the_old_one(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "info: alice\n");
    write_table(&w, "x: alice\ninfo: bob\n\nbob: wrong\n");
    run_for(&w, 5 * LOOKUPS_REFRESH_MS);
    assert_leads(&w, "<info@example.org>", "alice ");
    assert_int_equal(times_told(&w, "event=table-broken"), 1); /* once for all looks */
    assert_int_equal(times_told(&w, "level=error"), 1);
    assert_int_equal(times_told(&w, "/tables/aliases:4: "), 1);
    assert_int_equal(times_told(&w, "event=table-loaded"), 0);
    write_table(&w, "info: bob\n");
    run_for(&w, LOOKUPS_REFRESH_MS + 100);
    assert_leads(&w, "<info@example.org>", "bob ");
    assert_int_equal(times_told(&w, "event=table-loaded"), 1);
    world_clear(&w);
}

static void a_table_that_is_gone_keeps_the_old_one(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "info: alice\n");
    {
        auto_disk int dir = disk_open_root("/tables");
        assert_int_equal(disk_unlink(dir, "aliases"), 0);
    }
    run_for(&w, 5 * LOOKUPS_REFRESH_MS);
    assert_leads(&w, "<info@example.org>", "alice ");
    assert_int_equal(times_told(&w, "event=table-broken"), 1);
    world_clear(&w);
}

static void without_tables_nothing_is_looked_at(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, NULL);
    assert_int_equal(w.at_rest, 0);
    assert_false(reactor_sim_step(w.reactor));
    lookups_free(w.lookups);
    w.lookups = lookups_new(w.reactor, w.router, NULL, &w.log);
    assert_int_equal(reactor_sim_open(w.reactor), 0);
    world_clear(&w);
    lookups_free(NULL);
}

/* As a worker does it that has drained: at any moment of a look at the tables. */
static void it_may_be_freed_at_any_moment(void **state)
{
    (void)state;
    bool has_looked = false;
    for (unsigned steps = 0; steps < 12; steps++) {
        struct world w;
        world_init(&w, "info: alice\n");
        write_table(&w, "info: wrong\n");
        for (unsigned i = 0; i < steps; i++)
            assert_true(reactor_sim_step(w.reactor));
        lookups_free(g_steal_pointer(&w.lookups));
        size_t left = reactor_sim_open(w.reactor);
        assert_true(left <= 1); /* a look that is under way is waited for */
        has_looked |= left > 0;
        world_clear(&w);
    }
    assert_true(has_looked);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("lookup");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "the disk fails", the_disk_fails, NULL);
    suite_add(s, "what is known is answered at once", what_is_known_is_answered_at_once, NULL);
    suite_add(s, "what is known is forgotten", what_is_known_is_forgotten, NULL);
    suite_add(s, "room is always asked for", room_is_always_asked_for, NULL);
    suite_add(s, "one answer is everybody's", one_answer_is_everybodys, NULL);
    suite_add(s, "so many are asked at once", so_many_are_asked_at_once, NULL);
    suite_add(s, "slow tables hold up nobody else", slow_tables_hold_up_nobody_else, NULL);
    suite_add(s, "whoever waits for too long is not asked for", whoever_waits_for_too_long_is_not_asked_for,
              NULL);
    suite_add(s, "nobody is asked for who has left", nobody_is_asked_for_who_has_left, NULL);
    suite_add(s, "what is known overtakes", what_is_known_overtakes, NULL);
    suite_add(s, "whoever is told may ask on", whoever_is_told_may_ask_on, NULL);
    suite_add(s, "a table that changed is read anew", a_table_that_changed_is_read_anew, NULL);
    suite_add(s, "a broken table keeps the old one", a_broken_table_keeps_the_old_one, NULL);
    suite_add(s, "a table that is gone keeps the old one", a_table_that_is_gone_keeps_the_old_one, NULL);
    suite_add(s, "without tables nothing is looked at", without_tables_nothing_is_looked_at, NULL);
    suite_add(s, "it may be freed at any moment", it_may_be_freed_at_any_moment, NULL);
    return suite_run(s, argc, argv);
}
