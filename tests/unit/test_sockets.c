/* Listening sockets: a port for all workers, ports and files that others have, and what is left behind. */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/sockets.h"
#include "suite.h"

/* ---- a log that remembers ---- */

static int64_t no_time(void *owner)
{
    (void)owner;
    return 0;
}

static void remember(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    (void)level;
    g_string_append_len(owner, line, (gssize)len);
}

static struct pst_log log_into(GString *text)
{
    return (struct pst_log){ .timeless = true, .wall_us = no_time, .write = remember, .owner = text };
}

/* ---- settings made by hand ---- */

static struct settings_listener listener(const char *address)
{
    struct settings_listener l = { .listener = { .name = "test", .fd = -1 }, .socket_mode = 0620 };
    assert_int_equal(net_address_parse(address, &l.listener.address), 0);
    return l;
}

static int open_at(struct settings_listener *l, unsigned workers, GString *log, struct sockets **ret_sockets)
{
    struct pst_log to = log_into(log);
    struct settings s = { .listeners = l, .listener_count = 1, .workers = workers };
    return sockets_open(&s, NULL, &to, ret_sockets);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    return ntohs(at.sin_port);
}

/* ---- internet ---- */

static void check_port_zero(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new(NULL);
    struct settings_listener l = listener("127.0.0.1:0");
    auto_ptr(sockets) s = NULL;
    assert_int_equal(open_at(&l, 3, text, &s), 0);
    struct pst_log log = log_into(text);
    sockets_log(s, &log);
    size_t count;
    const struct worker_listener *mine = sockets_take(s, 1, &count);
    assert_int_equal(count, 1);
    assert_string_equal(mine[0].name, "test");
    auto_fd int fd = mine[0].fd;
    uint16_t port = port_of(fd);
    assert_int_not_equal(port, 0);
    char address[NET_ADDRESS_TEXT];
    g_autofree char *wanted = g_strdup_printf("127.0.0.1:%u", port);
    assert_string_equal(net_address_format(&mine[0].address, address), wanted);
    g_autofree char *line = g_strdup_printf(
        "level=info event=listening listener=test protocol=smtp address=127.0.0.1:%u\n", port);
    assert_string_equal(text->str, line);
}

/* Each worker has a socket of its own, on the same port, and keeps none of the others'. */
static void check_shares(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new(NULL);
    struct settings_listener l = listener("127.0.0.1:0");
    auto_ptr(sockets) s = NULL;
    assert_int_equal(open_at(&l, 2, text, &s), 0);
    size_t count;
    const struct worker_listener *mine = sockets_take(s, 0, &count);
    auto_fd int fd = mine[0].fd;
    /* It listens already, before the worker is up; and only this worker's socket is open here, so that all
     * come to it. */
    for (unsigned i = 0; i < 20; i++) {
        auto_fd int client = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(
            connect(client, (const struct sockaddr *)&mine[0].address.storage, mine[0].address.len), 0);
        auto_fd int server = accept(fd, NULL, NULL);
        assert_true(server >= 0);
    }
}

/* What a machine says that has no IPv6; 0 when it has. */
static int ipv6_error(const struct net_address *a)
{
    auto_fd int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a->storage, a->len) < 0)
        return -errno;
    return 0;
}

static void check_ipv6(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new(NULL);
    struct settings_listener l = listener("[::1]:0");
    int error = ipv6_error(&l.listener.address);
    auto_ptr(sockets) s = NULL;
    assert_int_equal(open_at(&l, 1, text, &s), error);
    if (error < 0) {
        assert_non_null(strstr(text->str, "event=cannot-listen"));
        return;
    }
    size_t count;
    auto_fd int fd = sockets_take(s, 0, &count)[0].fd;
    int v6only = 0;
    socklen_t len = sizeof v6only;
    assert_int_equal(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len), 0);
    assert_int_equal(v6only, 1);
}

static void check_port_in_use(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new(NULL);
    struct settings_listener l = listener("127.0.0.1:0");
    auto_ptr(sockets) first = NULL;
    assert_int_equal(open_at(&l, 1, text, &first), 0);
    size_t count;
    const struct worker_listener *taken = sockets_take(first, 0, &count);
    auto_fd int fd = taken[0].fd;

    /* Another server of the same user, whose sockets also have SO_REUSEPORT: the kernel alone would let both.
     */
    l.listener.address = taken[0].address;
    auto_ptr(sockets) second = NULL;
    assert_int_equal(open_at(&l, 1, text, &second), -EADDRINUSE);
    g_autofree char *line =
        g_strdup_printf("level=fatal event=cannot-listen listener=test address=127.0.0.1:%u "
                        "error=\"Address already in use\"\n",
                        port_of(fd));
    assert_string_equal(text->str, line);
}

/* ---- unix ---- */

struct folder {
    char *path, *socket;
};

static void folder_make(struct folder *f)
{
    f->path = g_build_filename(g_get_tmp_dir(), "postern-XXXXXX", NULL);
    assert_non_null(g_mkdtemp(f->path));
    f->socket = g_build_filename(f->path, "s", NULL);
}

static void folder_clear(struct folder *f)
{
    (void)g_unlink(f->socket);
    (void)g_rmdir(f->path);
    g_free(f->socket);
    g_free(f->path);
}
AUTO_VAL_DEFINE(folder);

static struct settings_listener unix_listener(const struct folder *f)
{
    g_autofree char *address = g_strdup_printf("unix:%s", f->socket);
    return listener(address);
}

static int bound_socket(const struct settings_listener *l)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    const struct net_address *a = &l->listener.address;
    assert_int_equal(bind(fd, (const struct sockaddr *)&a->storage, a->len), 0);
    return fd;
}

static void check_unix(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    g_autoptr(GString) text = g_string_new(NULL);
    struct pst_log log = log_into(text);
    struct settings_listener l = unix_listener(&f);
    auto_ptr(sockets) s = NULL;
    assert_int_equal(open_at(&l, 2, text, &s), 0);
    struct stat st;
    assert_int_equal(lstat(f.socket, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0620);
    sockets_close(s, &log);
    assert_int_equal(lstat(f.socket, &st), -1);
    assert_string_equal(text->str, "");
}

static void check_unix_is_shared(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    g_autoptr(GString) text = g_string_new(NULL);
    struct settings_listener l = unix_listener(&f);
    auto_ptr(sockets) s = NULL;
    assert_int_equal(open_at(&l, 2, text, &s), 0);
    size_t count;
    auto_fd int fd = sockets_take(s, 1, &count)[0].fd;
    auto_fd int client = socket(AF_UNIX, SOCK_STREAM, 0);
    const struct net_address *a = &l.listener.address;
    assert_int_equal(connect(client, (const struct sockaddr *)&a->storage, a->len), 0);
    auto_fd int server = accept(fd, NULL, NULL);
    assert_true(server >= 0);
}

static void check_stale_socket(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    struct settings_listener l = unix_listener(&f);
    assert_int_equal(close(bound_socket(&l)), 0);
    g_autoptr(GString) text = g_string_new(NULL);
    auto_ptr(sockets) s = NULL;
    assert_int_equal(open_at(&l, 1, text, &s), 0);
    assert_string_equal(text->str, "");
}

static void check_live_socket(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    struct settings_listener l = unix_listener(&f);
    auto_fd int other = bound_socket(&l);
    assert_int_equal(listen(other, 1), 0);
    g_autoptr(GString) text = g_string_new(NULL);
    auto_ptr(sockets) s = NULL;
    assert_int_equal(open_at(&l, 1, text, &s), -EADDRINUSE);
    assert_null(s);
    assert_int_equal(access(f.socket, F_OK), 0);
    assert_non_null(strstr(text->str, "event=cannot-listen"));
}

static void check_other_file(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    struct settings_listener l = unix_listener(&f);
    assert_true(g_file_set_contents(f.socket, "precious", -1, NULL));
    g_autoptr(GString) text = g_string_new(NULL);
    auto_ptr(sockets) s = NULL;
    assert_int_equal(open_at(&l, 1, text, &s), -EEXIST);
    g_autofree char *content = NULL;
    assert_true(g_file_get_contents(f.socket, &content, NULL, NULL));
    assert_string_equal(content, "precious");
}

/* One that cannot be had takes nothing away, and leaves nothing of the others behind. */
static void check_all_or_none(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    struct settings_listener l[] = { unix_listener(&f), listener("unix:/nonexistent/s"),
                                     listener("unix:/nonexistent/t") };
    struct settings s = { .listeners = l, .listener_count = G_N_ELEMENTS(l), .workers = 1 };
    g_autoptr(GString) text = g_string_new(NULL);
    struct pst_log log = log_into(text);
    auto_ptr(sockets) sockets = NULL;
    assert_int_equal(sockets_open(&s, NULL, &log, &sockets), -ENOENT);
    assert_null(sockets);
    assert_int_equal(access(f.socket, F_OK), -1);
    assert_non_null(strstr(text->str, "unix:/nonexistent/s"));
    assert_non_null(strstr(text->str, "unix:/nonexistent/t"));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("sockets");
    suite_add(s, "port 0 is one port for all workers", check_port_zero, NULL);
    suite_add(s, "a worker keeps its own socket only", check_shares, NULL);
    suite_add(s, "IPv6 takes no IPv4", check_ipv6, NULL);
    suite_add(s, "a port in use, even if it were shared", check_port_in_use, NULL);
    suite_add(s, "a unix socket comes and goes", check_unix, NULL);
    suite_add(s, "a unix socket is one for all", check_unix_is_shared, NULL);
    suite_add(s, "a stale unix socket is replaced", check_stale_socket, NULL);
    suite_add(s, "a unix socket in use is not", check_live_socket, NULL);
    suite_add(s, "a file that is no socket is not", check_other_file, NULL);
    suite_add(s, "all sockets or none", check_all_or_none, NULL);
    return suite_run(s, argc, argv);
}
