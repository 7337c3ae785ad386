#include "server/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"

enum { READ_SIZE = 65536 };

/* On disk, if there is a place; else in memory. */
static int open_file(void)
{
    int fd = open(g_get_tmp_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        fd = memfd_create("postern-message", MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const uint8_t *octets, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, octets, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        octets += MAX(n, 0);
        len -= (size_t)MAX(n, 0);
    }
    return 0;
}

/* Into `to`, which has room for one octet more than there are: a CR stays behind until the next octet tells.
 */
static size_t convert(const uint8_t *octets, size_t len, bool *after_cr, uint8_t *to)
{
    size_t written = 0;
    for (size_t i = 0; i < len; i++) {
        if (*after_cr && octets[i] != '\n')
            to[written++] = '\r';
        *after_cr = octets[i] == '\r';
        if (!*after_cr)
            to[written++] = octets[i];
    }
    return written;
}

static int copy(int from, int to)
{
    bool after_cr = false;
    for (;;) {
        uint8_t octets[READ_SIZE], converted[READ_SIZE + 1];
        ssize_t n = read(from, octets, sizeof octets);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return after_cr ? write_all(to, (const uint8_t *)"\r", 1) : 0;
        int r = write_all(to, converted, convert(octets, (size_t)MAX(n, 0), &after_cr, converted));
        if (r < 0)
            return r;
    }
}

int spool_message(int from, int *ret_fd, uint64_t *ret_size)
{
    auto_fd int file = open_file();
    if (file < 0)
        return file;
    int r = copy(from, file);
    struct stat st;
    if (r == 0 && fstat(file, &st) < 0)
        r = -errno;
    if (r < 0)
        return r;
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    *ret_size = (uint64_t)st.st_size;
    return 0;
}
