/* A message on its way into a file: line ends, wherever what is read was cut. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/slice.h"
#include "server/spool.h"
#include "suite.h"

static const struct row {
    const char *name, *input, *want;
} rows[] = {
    { "nothing", "", "" },
    { "lines that end in LF", "a\n\nb\n", "a\n\nb\n" },
    { "lines that end in CR LF", "a\r\n\r\nb\r\n", "a\n\nb\n" },
    { "CR alone stays", "a\rb\r\rc\n\r", "a\rb\r\rc\n\r" },
    { "CR CR LF", "a\r\r\nb", "a\r\nb" },
    { "LF CR", "a\n\rb", "a\n\rb" },
    { "only CR LF", "\r\n", "\n" },
    { "no line end", "abc", "abc" },
};

/* In pieces that end before the octets `first` and `second`, each of which is read by itself. */
static void check_cut(const struct row *row, size_t first, size_t second)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    size_t borders[] = { 0, first, second, strlen(row->input) };
    for (size_t i = 0; i + 1 < G_N_ELEMENTS(borders); i++) {
        size_t len = borders[i + 1] - borders[i];
        if (len > 0)
            assert_int_equal(write(ends[0], row->input + borders[i], len), len);
    }
    (void)close(ends[0]);
    auto_fd int from = ends[1], fd = -1;
    uint64_t size = 0;
    assert_int_equal(spool_message(from, &fd, &size), 0);
    char got[64];
    assert_int_equal(size, strlen(row->want));
    assert_int_equal(pread(fd, got, sizeof got, 0), size);
    assert_memory_equal(got, row->want, size);
    assert_int_equal(write(fd, "x", 1), -1); /* it is for reading */
}

static void check_row(void **state)
{
    const struct row *row = *state;
    size_t len = strlen(row->input);
    for (size_t first = 0; first <= len; first++)
        for (size_t second = first; second <= len; second++)
            check_cut(row, first, second);
}

static void check_what_cannot_be_read(void **state)
{
    (void)state;
    auto_fd int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = -1;
    uint64_t size = 0;
    assert_int_equal(spool_message(folder, &fd, &size), -EISDIR);
    assert_int_equal(fd, -1);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("spool");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "what cannot be read", check_what_cannot_be_read, NULL);
    return suite_run(s, argc, argv);
}
