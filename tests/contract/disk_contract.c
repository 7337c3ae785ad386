#include "disk_contract.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

void contract_run_row(void (*run)(int root, const void *row), const void *row)
{
    shim_make_root();
    size_t before = shim_open_descriptors();
    int root = disk_open_root(shim_root());
    assert_true(root >= 0);
    run(root, row);
    disk_close(root);
    assert_int_equal(shim_open_descriptors(), before);
}

static void run_case(int root, const void *row)
{
    const struct contract_case *c = row;
    c->run(root);
}

void contract_run(void **state)
{
    contract_run_row(run_case, *state);
}

int make_open_file(int dir, const char *name, const char *content)
{
    int fd = disk_create(dir, name);
    assert_true(fd >= 0);
    struct slice part = slice_str(content);
    assert_int_equal(disk_append(fd, &part, 1), 0);
    return fd;
}

void make_file(int dir, const char *name, const char *content)
{
    disk_close(make_open_file(dir, name, content));
}

int make_directory(int dir, const char *name)
{
    assert_int_equal(disk_mkdir(dir, name), 0);
    int fd = disk_open_beneath(dir, name);
    assert_true(fd >= 0);
    return fd;
}

void assert_file(int fd, const void *want, size_t len)
{
    g_autofree uint8_t *got = g_malloc(len + 1); /* room for one octet too many */
    uint64_t at = 0;
    int64_t r;
    while ((r = disk_read(fd, at, got + at, len + 1 - at)) > 0)
        at += (uint64_t)r;
    assert_int_equal(r, 0);
    assert_int_equal(at, len);
    assert_memory_equal(got, want, len);
}

void assert_content(int dir, const char *name, const char *want)
{
    auto_disk int fd = disk_open_file(dir, name);
    assert_true(fd >= 0);
    assert_file(fd, want, strlen(want));
}

void assert_missing(int dir, const char *name)
{
    struct disk_stat st;
    assert_int_equal(disk_stat(dir, name, &st), -ENOENT);
}

static int count_one(void *owner, const char *name)
{
    (void)name;
    ++*(unsigned *)owner;
    return 0;
}

unsigned count_names(int dir)
{
    unsigned count = 0;
    assert_int_equal(disk_list(dir, count_one, &count), 0);
    return count;
}

int main(int argc, char **argv)
{
    const char *obstacle = shim_start();
    if (obstacle != NULL) {
        printf("1..0 # SKIP %s\n", obstacle);
        return 0; /* as TAP wants it: a plan without cases says it all */
    }
    struct suite *s = suite_new("disk contract");
    contract_add_paths(s);
    contract_add_names(s);
    contract_add_content(s);
    contract_add_arguments(s);
    shim_add(s);
    return suite_run(s, argc, argv);
}
