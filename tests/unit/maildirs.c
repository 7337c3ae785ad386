#include "maildirs.h"

#include "suite.h"

#include <errno.h>

#include "disk/disk.h"

/* All have been there long before: nothing stays unsynced. */
void maildirs_add_part(const char *root, const char *name, const char *sub)
{
    g_autofree char *path = g_build_filename(name, sub, NULL);
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    int at = disk_open_root(root);
    for (char **next = names; *next != NULL; next++) {
        assert_true(at >= 0);
        if (strcmp(*next, ".") == 0)
            continue;
        int r = disk_mkdir(at, *next);
        assert_true(r == 0 || r == -EEXIST);
        assert_int_equal(disk_sync_dir(at), 0);
        int beneath = disk_open_beneath(at, *next);
        disk_close(at);
        at = beneath;
    }
    assert_true(at >= 0);
    disk_close(at);
}

void maildirs_add(const char *root, const char *name)
{
    maildirs_add_part(root, name, "tmp");
    maildirs_add_part(root, name, "new");
    maildirs_add_part(root, name, "cur");
}

static int open_sub(const char *root, const char *name, const char *sub)
{
    g_autofree char *path = g_build_filename(name, sub, NULL);
    auto_disk int top = disk_open_root(root);
    assert_true(top >= 0);
    return disk_open_beneath(top, path);
}

static int keep_name(void *owner, const char *name)
{
    g_ptr_array_add(owner, g_strdup(name));
    return 0;
}

GPtrArray *maildirs_names(const char *root, const char *name, const char *sub)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    auto_disk int dir = open_sub(root, name, sub);
    if (dir >= 0)
        assert_int_equal(disk_list(dir, keep_name, names), 0);
    return names;
}

size_t maildirs_count(const char *root, const char *name, const char *sub)
{
    g_autoptr(GPtrArray) names = maildirs_names(root, name, sub);
    return names->len;
}

GString *maildirs_read(const char *root, const char *name, const char *sub, const char *file)
{
    auto_disk int dir = open_sub(root, name, sub);
    auto_disk int fd = dir >= 0 ? disk_open_file(dir, file) : -1;
    if (fd < 0)
        return NULL;
    GString *content = g_string_new(NULL);
    char buffer[64 * 1024];
    int64_t len;
    while ((len = disk_read(fd, content->len, buffer, sizeof buffer)) > 0)
        g_string_append_len(content, buffer, len);
    assert_int_equal(len, 0);
    return content;
}
