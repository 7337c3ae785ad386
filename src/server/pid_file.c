#include "server/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

/* A lock of this kind is the process's own: the workers that it forks do not share it. */
static int lock(int fd)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_SETLK, &whole) < 0)
        return errno == EACCES || errno == EAGAIN ? -EWOULDBLOCK : -errno;
    return 0;
}

int pid_file_write(struct pid_file *f, const char *path)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    int r = lock(fd);
    if (r < 0)
        return r;
    char text[24];
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)len) != len)
        return errno != 0 ? -errno : -EIO;
    f->fd = steal_fd(&fd);
    f->path = g_strdup(path);
    return 0;
}

void pid_file_clear(struct pid_file *f)
{
    if (f->fd < 0)
        return;
    if (unlink(f->path) < 0)
        (void)!ftruncate(f->fd, 0); /* the second best, and there is no third */
    (void)close(f->fd);             /* it was written long ago */
    f->fd = -1;
    g_clear_pointer(&f->path, g_free);
}
