#include "maildirs.h"

#include "suite.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

char *maildirs_new(void)
{
    char *root = g_build_filename(g_get_tmp_dir(), "postern-test-XXXXXX", NULL);
    assert_non_null(mkdtemp(root));
    return root;
}

static void remove_tree(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        if (g_file_test(child, G_FILE_TEST_IS_DIR) && !g_file_test(child, G_FILE_TEST_IS_SYMLINK))
            remove_tree(child);
        else
            assert_int_equal(g_unlink(child), 0);
    }
    g_clear_pointer(&dir, g_dir_close);
    assert_int_equal(g_rmdir(path), 0);
}

void maildirs_free(char *take_root)
{
    remove_tree(take_root);
    g_free(take_root);
}

size_t maildirs_open_descriptors(void)
{
    enum { MORE_THAN_A_TEST_OPENS = 512 };
    size_t count = 0;
    for (int fd = 0; fd < MORE_THAN_A_TEST_OPENS; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

void maildirs_link(const char *root, const char *name, const char *target)
{
    g_autofree char *path = g_build_filename(root, name, NULL);
    assert_int_equal(symlink(target, path), 0);
}
