/*
 * What the simulated disk holds is not the program's (memory.h): the calls of disk.h lead here, by the
 * linker's
 * --wrap, and from here on to the disk. And large blocks of messages come from mmap: these are the program's.
 */
#include <sys/mman.h>

#include "disk/disk.h"
#include "memory.h"
#include "memory_internal.h"
#include "reactor/reactor_sim.h"

/* ---- the system ---- */

extern void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
extern void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    void *bytes = __real_mmap(at, len, protection, flags, fd, offset);
    if (bytes != MAP_FAILED)
        memory_add(len);
    return bytes;
}

extern int __real_munmap(void *bytes, size_t len);
extern int __wrap_munmap(void *bytes, size_t len);
int __wrap_munmap(void *bytes, size_t len)
{
    memory_remove(len);
    return __real_munmap(bytes, len);
}

/* ---- the disk ---- */

static memory_on_result on_result;
static void *on_result_owner;

void memory_watch_disk(memory_on_result on_result_or_null, void *owner)
{
    on_result = on_result_or_null;
    on_result_owner = owner;
}

static int64_t tell(int64_t result)
{
    if (on_result != NULL)
        on_result(on_result_owner, result);
    return result;
}

#define WRAP(result, name, parameters, arguments)                                                            \
    extern result __real_##name parameters;                                                                  \
    extern result __wrap_##name parameters;                                                                  \
    result __wrap_##name parameters                                                                          \
    {                                                                                                        \
        REACTOR_SIM_AS(REACTOR_SIM_TEST);                                                                    \
        return (result)tell(__real_##name arguments);                                                        \
    }

WRAP(int, disk_open_root, (const char *path), (path))
WRAP(int, disk_open_path, (const char *path), (path))
WRAP(int, disk_open_beneath, (int dir, const char *path), (dir, path))
WRAP(int, disk_stat, (int dir, const char *name, struct disk_stat *ret_stat), (dir, name, ret_stat))
WRAP(int, disk_stat_open, (int fd, struct disk_stat *ret_stat), (fd, ret_stat))
WRAP(int, disk_create, (int dir, const char *name), (dir, name))
WRAP(int, disk_open_file, (int dir, const char *name), (dir, name))
WRAP(int, disk_open_append, (int dir, const char *name), (dir, name))
WRAP(int, disk_mkdir, (int dir, const char *name), (dir, name))
WRAP(int, disk_rmdir, (int dir, const char *name), (dir, name))
WRAP(int, disk_append, (int fd, const struct slice *parts, size_t count), (fd, parts, count))
WRAP(int64_t, disk_read, (int fd, uint64_t offset, void *ret_bytes, size_t len), (fd, offset, ret_bytes, len))
WRAP(int, disk_append_copy, (int to, int from, uint64_t offset), (to, from, offset))
WRAP(int, disk_scratch, (void), ())
WRAP(int, disk_truncate, (int fd), (fd))
WRAP(int, disk_write_out, (int fd, uint64_t from, uint64_t to), (fd, from, to))
WRAP(int, disk_sync, (int fd), (fd))
WRAP(int, disk_check, (int fd), (fd))
WRAP(int, disk_sync_dir, (int dir), (dir))
WRAP(int, disk_can_sync_all, (int dir, uint64_t *ret_file_system), (dir, ret_file_system))
WRAP(int, disk_sync_all, (int dir), (dir))
WRAP(int, disk_rename, (int from_dir, const char *from, int to_dir, const char *to),
     (from_dir, from, to_dir, to))
WRAP(int, disk_link, (int from_dir, const char *from, int to_dir, const char *to),
     (from_dir, from, to_dir, to))
WRAP(int, disk_replace, (int from_dir, const char *from, int to_dir, const char *to),
     (from_dir, from, to_dir, to))
WRAP(int, disk_unlink, (int dir, const char *name), (dir, name))

extern void __real_disk_close(int fd);
extern void __wrap_disk_close(int fd);
void __wrap_disk_close(int fd)
{
    REACTOR_SIM_AS(REACTOR_SIM_TEST);
    __real_disk_close(fd);
}

struct listing {
    int (*each)(void *owner, const char *name);
    void *owner;
    enum reactor_sim_party party;
};

static int list_each(void *owner, const char *name)
{
    const struct listing *l = owner;
    REACTOR_SIM_AS(l->party);
    return l->each(l->owner, name);
}

extern int __real_disk_list(int dir, int (*each)(void *owner, const char *name), void *owner);
extern int __wrap_disk_list(int dir, int (*each)(void *owner, const char *name), void *owner);
int __wrap_disk_list(int dir, int (*each)(void *owner, const char *name), void *owner)
{
    struct listing l = { each, owner, reactor_sim_party };
    REACTOR_SIM_AS(REACTOR_SIM_TEST);
    return (int)tell(__real_disk_list(dir, list_each, &l));
}
