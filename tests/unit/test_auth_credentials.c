/* The passwords file in memory: what changes of it, and when. */
#include "auth_rig.h"

#include <errno.h>
#include <glib.h>

#include "auth/credentials.h"
#include "disk/disk.h"
#include "disk/disk_sim.h"

static const struct origin at = { "postern.conf", 7 };

struct world {
    struct credentials *credentials;
    struct diag problems;
    char *alice, *bob;
};

static void open_world(struct world *w, const char *text)
{
    disk_sim_reset(1);
    *w = (struct world){ .alice = rig_line("alice", "x", true), .bob = rig_line("bob", "y", false) };
    if (text != NULL)
        rig_write_passwords(text);
    else
        rig_write_passwords(w->alice);
    w->credentials = credentials_new(RIG_PASSWORDS, at, &w->problems);
}

static void close_world(struct world *w)
{
    credentials_free(w->credentials);
    diag_clear(&w->problems);
    g_free(w->alice);
    g_free(w->bob);
    assert_int_equal(disk_sim_open_descriptors(), 0);
}

/* "yes": may log in; "no": is not there; "none": there is no file. */
static const char *ask(struct world *w, const char *user)
{
    auto_val(credential) c = { NULL };
    int r = credentials_find(w->credentials, user, &c);
    if (r < 0) {
        assert_int_equal(r, -EHOSTDOWN);
        return "none";
    }
    assert_non_null(c.hash);
    assert_non_null(c.scram.salt);
    assert_in_range(c.scram.iterations, PASSWORD_ITERATIONS_MIN, PASSWORD_ITERATIONS_MAX);
    return c.may_log_in ? "yes" : "no";
}

static const char *look_and_ask(struct world *w, const char *user)
{
    credentials_look(w->credentials, &w->problems);
    return ask(w, user);
}

static bool told(const struct world *w, const char *words)
{
    for (unsigned i = 0; i < diag_count(&w->problems); i++)
        if (strstr(g_ptr_array_index(w->problems.problems, i), words) != NULL)
            return true;
    return false;
}

static void test_file(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, NULL);
    assert_string_equal(ask(&w, "alice"), "yes");
    assert_string_equal(ask(&w, "bob"), "no");
    assert_string_equal(ask(&w, NULL), "no");
    assert_true(credentials_have_scram(w.credentials));
    assert_int_equal(diag_count(&w.problems), 0);
    close_world(&w);
}

static void test_layout(void **state)
{
    (void)state;
    struct world w;
    g_autofree char *line = rig_line("alice", "x", false);
    g_strchomp(line);
    g_autofree char *text = g_strconcat("# a comment: x\r\n\r\n   \n\t\n", line, "  \r\n#", NULL);
    open_world(&w, text);
    assert_int_equal(diag_count(&w.problems), 0);
    assert_string_equal(ask(&w, "alice"), "yes");
    assert_int_equal(credentials_count(w.credentials), 1);
    close_world(&w);
    open_world(&w, line); /* without an end of the last line */
    assert_string_equal(ask(&w, "alice"), "yes");
    close_world(&w);
    open_world(&w, "");
    assert_int_equal(diag_count(&w.problems), 0);
    assert_string_equal(ask(&w, "alice"), "no");
    close_world(&w);
}

static void test_changed(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, NULL);
    assert_string_equal(ask(&w, "alice"), "yes");
    rig_change_passwords(w.bob);
    assert_string_equal(ask(&w, "bob"), "no"); /* nobody has looked yet */
    assert_string_equal(look_and_ask(&w, "bob"), "yes");
    assert_string_equal(ask(&w, "alice"), "no");
    assert_false(credentials_have_scram(w.credentials));
    assert_int_equal(diag_count(&w.problems), 0);
    close_world(&w);
}

static void test_asking(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, NULL);
    uint64_t before = disk_sim_calls();
    for (int i = 0; i < 100; i++)
        (void)ask(&w, "alice");
    assert_int_equal(disk_sim_calls(), before);
    (void)look_and_ask(&w, "alice");
    assert_in_range(disk_sim_calls() - before, 1, 2); /* opened and looked at, but not read */
    close_world(&w);
}

/* Each is told, and would be logged, one after the other, by a loop. */
static void test_another_kind_of_file(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, NULL);
    g_autoptr(GString) text = g_string_new(NULL);
    for (int i = 0; i < 100 * 1000; i++)
        g_string_append(text, "x\n");
    rig_change_passwords(text->str);
    assert_string_equal(look_and_ask(&w, "alice"), "yes");
    assert_int_equal(diag_count(&w.problems), 101);
    assert_true(told(&w, "behind these 100 lines"));
    close_world(&w);
}

/* Half a file is none: whoever is in the other half could not log in. */
static void test_broken_later(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, NULL);
    g_autofree char *text = g_strconcat(w.bob, "carol:plain\n", w.bob, NULL);
    rig_change_passwords(text);
    assert_string_equal(look_and_ask(&w, "alice"), "yes");
    assert_string_equal(ask(&w, "bob"), "no");
    assert_true(told(&w, RIG_PASSWORDS ":2: "));
    assert_true(told(&w, RIG_PASSWORDS ":3: the user \"bob\" has another line above"));
    assert_false(told(&w, "plain")); /* what stands there may be a password */
    assert_int_equal(diag_count(&w.problems), 2);
    (void)look_and_ask(&w, "alice");
    (void)look_and_ask(&w, "alice");
    assert_int_equal(diag_count(&w.problems), 2); /* once */
    rig_change_passwords(w.bob);
    assert_string_equal(look_and_ask(&w, "bob"), "yes");
    close_world(&w);
}

static void test_gone_later(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, NULL);
    int dir = disk_open_root("/");
    assert_int_equal(disk_unlink(dir, &RIG_PASSWORDS[1]), 0);
    disk_close(dir);
    assert_string_equal(look_and_ask(&w, "alice"), "yes");
    assert_true(told(&w, "stays in use"));
    (void)look_and_ask(&w, "alice");
    assert_int_equal(diag_count(&w.problems), 1);
    rig_write_passwords(w.bob);
    assert_string_equal(look_and_ask(&w, "bob"), "yes");
    close_world(&w);
}

static void test_half_written(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, NULL);
    int dir = disk_open_root("/");
    assert_int_equal(disk_unlink(dir, &RIG_PASSWORDS[1]), 0);
    int fd = disk_create(dir, &RIG_PASSWORDS[1]);
    struct slice part = slice_str(w.bob);
    assert_int_equal(disk_append(fd, &part, 1), 0);
    assert_string_equal(look_and_ask(&w, "bob"), "no"); /* it may change again, unseen */
    assert_string_equal(ask(&w, "alice"), "yes");
    disk_sim_set_time(disk_now_us() + 2 * DISK_SETTLED_US);
    assert_string_equal(look_and_ask(&w, "bob"), "yes");
    disk_close(fd);
    disk_close(dir);
    assert_int_equal(diag_count(&w.problems), 0);
    close_world(&w);
}

static void test_never_there(void **state)
{
    (void)state;
    struct world w = { 0 };
    disk_sim_reset(1);
    w.credentials = credentials_new(RIG_PASSWORDS, at, &w.problems);
    w.bob = rig_line("bob", "y", false);
    assert_true(told(&w, "postern.conf:7: " RIG_PASSWORDS ": "));
    assert_string_equal(ask(&w, "bob"), "none");
    assert_false(credentials_have_scram(w.credentials));
    rig_write_passwords(w.bob);
    assert_string_equal(look_and_ask(&w, "bob"), "yes");
    assert_int_equal(diag_count(&w.problems), 1);
    close_world(&w);
}

/* Each call of a look fails once: what was there is still in use, and the next look finds the new one. */
static void test_faults(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct world w;
        open_world(&w, NULL);
        rig_change_passwords(w.bob);
        disk_sim_fail((struct disk_sim_fault){ .kind = DISK_SIM_ANY, .nth = nth, .error = EIO });
        const char *now = look_and_ask(&w, "alice");
        bool failed = disk_sim_failures() > 0;
        assert_string_equal(now, failed ? "yes" : "no");
        assert_int_equal(diag_count(&w.problems), failed);
        disk_sim_heal();
        assert_string_equal(look_and_ask(&w, "bob"), "yes");
        close_world(&w);
        if (!failed)
            break;
        assert_true(nth < 20);
    }
}

/* Who has found somebody keeps what was found, whatever the file says by now. */
static void test_kept(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, NULL);
    auto_val(credential) c = { NULL };
    assert_int_equal(credentials_find(w.credentials, "alice", &c), 0);
    rig_change_passwords(w.bob);
    assert_string_equal(look_and_ask(&w, "alice"), "no");
    assert_true(password_verify(c.hash, "x"));
    close_world(&w);
}

/* They are of the first line that has them, and locked ones are none. */
static void test_decoys(void **state)
{
    (void)state;
    struct world w;
    g_autofree char *alice = rig_line("alice", "x", true);
    g_autofree char *text = g_strconcat("carol:!", strchr(alice, ':') + 1, "dave:*\n", alice, NULL);
    open_world(&w, text);
    static const char *const users[] = { "eve", "carol", "dave" };
    for (size_t i = 0; i < G_N_ELEMENTS(users); i++) {
        auto_val(credential) c = { NULL };
        assert_int_equal(credentials_find(w.credentials, users[i], &c), 0);
        assert_true(g_str_has_prefix(c.hash, "$5$"));
        assert_int_equal(c.scram.iterations, 4096);
        assert_false(c.may_log_in);
        assert_false(c.has_scram);
        assert_null(strstr(alice, c.scram.stored_key));
    }
    close_world(&w);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("auth_credentials");
    suite_add(s, "a file", test_file, NULL);
    suite_add(s, "comments, blank lines, ends of lines", test_layout, NULL);
    suite_add(s, "a file that changes", test_changed, NULL);
    suite_add(s, "asking reads nothing", test_asking, NULL);
    suite_add(s, "a wrong line, later", test_broken_later, NULL);
    suite_add(s, "a file of another kind, later", test_another_kind_of_file, NULL);
    suite_add(s, "a file that goes and comes again", test_gone_later, NULL);
    suite_add(s, "a file that is being written", test_half_written, NULL);
    suite_add(s, "a file that is not there", test_never_there, NULL);
    suite_add(s, "each call fails", test_faults, NULL);
    suite_add(s, "what was found is kept", test_kept, NULL);
    suite_add(s, "decoys are like others", test_decoys, NULL);
    return suite_run(s, argc, argv);
}
