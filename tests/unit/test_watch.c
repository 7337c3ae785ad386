/* Files that change: when that counts, and that it counts once. */
#include <glib.h>
#include <glib/gstdio.h>

#include "server/watch.h"
#include "suite.h"

struct scene {
    char *folder, *a, *b;
    struct watch *watch;
};

static void write_file(const char *path, const char *text)
{
    assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void scene_make(struct scene *s)
{
    s->folder = g_build_filename(g_get_tmp_dir(), "postern-XXXXXX", NULL);
    assert_non_null(g_mkdtemp(s->folder));
    s->a = g_build_filename(s->folder, "a", NULL);
    s->b = g_build_filename(s->folder, "b", NULL);
    write_file(s->a, "a");
    write_file(s->b, "b");
    s->watch = watch_new((const char *const[]){ s->a, s->b, NULL });
}

static void scene_clear(struct scene *s)
{
    watch_free(s->watch);
    (void)g_unlink(s->a);
    (void)g_unlink(s->b);
    (void)g_rmdir(s->folder);
    g_free(s->folder);
    g_free(s->a);
    g_free(s->b);
}
AUTO_VAL_DEFINE(scene);

/* What is seen from now on while nothing changes any more: the change, at the second look, and that is it. */
static void assert_one_change(struct scene *s)
{
    assert_false(watch_has_changed(s->watch));
    assert_true(watch_has_changed(s->watch));
    assert_false(watch_has_changed(s->watch));
    assert_false(watch_has_changed(s->watch));
}

static void check_nothing(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s);
    for (int i = 0; i < 4; i++)
        assert_false(watch_has_changed(s.watch));
}

/* ---- one change ---- */

static void rewrite(struct scene *s)
{
    write_file(s->a, "longer");
}
static void rename_over(struct scene *s)
{
    g_autofree char *other = g_build_filename(s->folder, "other", NULL);
    write_file(other, "a"); /* the same size */
    assert_int_equal(g_rename(other, s->b), 0);
}
static void open_up(struct scene *s)
{
    /* Until the clock of the file system is another one. */
    GStatBuf before, after;
    assert_int_equal(g_stat(s->b, &before), 0);
    do {
        assert_int_equal(g_chmod(s->b, 0644), 0);
        assert_int_equal(g_stat(s->b, &after), 0);
    } while (before.st_ctim.tv_sec == after.st_ctim.tv_sec &&
             before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
}
static void remove_one(struct scene *s)
{
    assert_int_equal(g_unlink(s->a), 0);
}

static const struct change_row {
    const char *name;
    void (*change)(struct scene *s);
} change_rows[] = {
    { "another content", rewrite },
    { "another file of that name", rename_over },
    { "another mode", open_up },
    { "no file any more", remove_one },
};

static void check_change(void **state)
{
    const struct change_row *row = *state;
    auto_val(scene) s;
    scene_make(&s);
    assert_false(watch_has_changed(s.watch));
    row->change(&s);
    assert_one_change(&s);
}

/* ---- several ---- */

static void check_settling(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s);
    write_file(s.a, "12");
    assert_false(watch_has_changed(s.watch));
    write_file(s.b, "12"); /* the key, a moment behind its certificate */
    assert_false(watch_has_changed(s.watch));
    write_file(s.b, "123");
    assert_one_change(&s);
}

static void check_gone_for_a_moment(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s);
    assert_int_equal(g_unlink(s.a), 0);
    assert_false(watch_has_changed(s.watch));
    write_file(s.a, "again");
    assert_one_change(&s);
}

static void check_missing_at_first(void **state)
{
    (void)state;
    auto_val(scene) s;
    scene_make(&s);
    assert_int_equal(g_unlink(s.a), 0);
    watch_free(s.watch);
    s.watch = watch_new((const char *const[]){ s.a, NULL });
    assert_false(watch_has_changed(s.watch));
    assert_false(watch_has_changed(s.watch));
    write_file(s.a, "here");
    assert_one_change(&s);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("watch");
    suite_add(s, "nothing changes", check_nothing, NULL);
    suite_add_rows(s, change_rows, check_change);
    suite_add(s, "what goes on changing is not there yet", check_settling, NULL);
    suite_add(s, "a file that is gone for a moment", check_gone_for_a_moment, NULL);
    suite_add(s, "a file that was not there", check_missing_at_first, NULL);
    return suite_run(s, argc, argv);
}
