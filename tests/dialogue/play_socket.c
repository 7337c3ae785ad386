#include "play_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tls_peer.h"

const char *const record_cut_names[] = { "whole", "lines", "bytes", NULL };
G_STATIC_ASSERT(G_N_ELEMENTS(record_cut_names) == RECORD_CUTS + 1);

/* Only so that a server that will never answer fails the script: nothing is expected to take any of it. */
enum { PATIENCE_MS = 60000 };

struct wire {
    struct player base;
    const char *maildirs;
    int fd;
    struct tls_peer *tls; /* NULL: outside TLS */
    enum record_cut cut;
};

static bool failed(char **ret_problem, const char *what, int error)
{
    *ret_problem = g_strdup_printf("%s: %s", what, g_strerror(error));
    return false;
}

/* ---- the connection ---- */

static int connect_to(const struct sockaddr *address, socklen_t len)
{
    auto_fd int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, address, len) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect_to((const struct sockaddr *)(const void *)&address, sizeof address);
}

static int connect_tcp(const char *place)
{
    const char *colon = strrchr(place, ':');
    uint64_t port = 0;
    if (colon == NULL || pst_parse_u64(slice_str(colon + 1), UINT16_MAX, &port) < 0)
        return -EINVAL;
    g_autofree char *host = g_strndup(place, (gsize)(colon - place));
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return -EINVAL;
    return connect_to((const struct sockaddr *)(const void *)&address, sizeof address);
}

static bool take(struct wire *w, struct slice bytes, char **ret_problem)
{
    GByteArray *plain = w->base.received;
    if (w->tls == NULL) {
        g_byte_array_append(plain, bytes.data, (guint)bytes.len);
        return true;
    }
    tls_peer_feed(w->tls, bytes);
    g_byte_array_append(plain, w->tls->got->data, w->tls->got->len);
    g_byte_array_set_size(w->tls->got, 0);
    if (w->tls->has_failed)
        *ret_problem = g_strdup("what came is not what TLS has now");
    return !w->tls->has_failed;
}

/* Takes in what has arrived; `closed` once the server has ended the connection. */
static bool read_some(struct wire *w, char **ret_problem)
{
    uint8_t bytes[65536];
    ssize_t n = read(w->fd, bytes, sizeof bytes);
    if (n > 0)
        return take(w, slice_of(bytes, (size_t)n), ret_problem);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    /* ECONNRESET: it closed with bytes of ours unread; TCP then tells no more than that. */
    if (n < 0 && errno != ECONNRESET)
        return failed(ret_problem, "read", errno);
    w->base.closed = true;
    if (n < 0 || w->tls == NULL || w->tls->is_ended)
        return true;
    *ret_problem = g_strdup("the connection was closed without close_notify (RFC 8446 6.1)");
    return false;
}

static bool wait_for(struct wire *w, short events, short *ret_events, char **ret_problem)
{
    struct pollfd ready = { .fd = w->fd, .events = events };
    int r;
    do
        r = poll(&ready, 1, PATIENCE_MS);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return failed(ret_problem, "poll", errno);
    if (r == 0) {
        *ret_problem = g_strdup("no reply within a minute");
        return false;
    }
    *ret_events = ready.revents;
    return true;
}

/* Reads while it writes: a server may stop reading until its replies are taken. */
static bool send_wire(struct wire *w, struct slice bytes, char **ret_problem)
{
    while (bytes.len > 0 && !w->base.closed) {
        short events = 0;
        if (!wait_for(w, POLLIN | POLLOUT, &events, ret_problem))
            return false;
        if ((events & POLLIN) && !read_some(w, ret_problem))
            return false;
        if (!(events & ~POLLIN) || w->base.closed)
            continue;
        ssize_t n = send(w->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n > 0)
            bytes = slice_skip(bytes, (size_t)n);
        else if (errno == EPIPE || errno == ECONNRESET)
            break; /* what it said before is still to be read */
        else if (errno != EAGAIN && errno != EINTR)
            return failed(ret_problem, "send", errno);
    }
    return true;
}

/* What TLS has for the wire. */
static bool send_records(struct wire *w, char **ret_problem)
{
    gsize len = 0;
    g_autofree uint8_t *records = g_byte_array_steal(w->tls->out, &len);
    return send_wire(w, slice_of(records, len), ret_problem);
}

static size_t record_len(enum record_cut cut, struct slice bytes)
{
    const uint8_t *lf = cut == RECORD_LINES ? memchr(bytes.data, '\n', bytes.len) : NULL;
    if (lf != NULL)
        return (size_t)(lf - bytes.data) + 1;
    return cut == RECORD_BYTES ? 1 : bytes.len;
}

static bool wire_send(struct player *p, struct slice bytes, char **ret_problem)
{
    struct wire *w = (struct wire *)p;
    if (w->tls == NULL)
        return send_wire(w, bytes, ret_problem);
    while (bytes.len > 0 && !p->closed) {
        size_t len = record_len(w->cut, bytes);
        tls_peer_write(w->tls, slice_of(bytes.data, len));
        bytes = slice_skip(bytes, len);
        if (!send_records(w, ret_problem))
            return false;
    }
    return true;
}

static bool wire_receive(struct player *p, char **ret_problem)
{
    struct wire *w = (struct wire *)p;
    short events = 0;
    return wait_for(w, POLLIN, &events, ret_problem) && read_some(w, ret_problem);
}

/* Nothing that was said outside TLS may be unread: it would be taken for what is said inside. */
static bool shake_hands(struct wire *w, char **ret_problem)
{
    if (w->base.received->len > 0 || w->tls != NULL) {
        *ret_problem = g_strdup("replies are unread, or TLS is active already");
        return false;
    }
    w->tls = tls_peer_new(&(struct tls_peer_wish){ .server_name = "mx.example.org" });
    tls_peer_feed(w->tls, (struct slice){ 0 });
    bool sent;
    while ((sent = send_records(w, ret_problem)) && !w->tls->is_open)
        if (!wire_receive(&w->base, ret_problem))
            return false;
    return sent;
}

/* Half of the connection is closed, so that the server's end of it says when it has seen that. */
static bool wire_hang_up(struct player *p, char **ret_problem)
{
    struct wire *w = (struct wire *)p;
    if (!p->closed && w->tls != NULL) {
        tls_peer_close(w->tls);
        if (!send_records(w, ret_problem))
            return false;
    }
    if (!p->closed && shutdown(w->fd, SHUT_WR) < 0 && errno != ENOTCONN)
        return failed(ret_problem, "shutdown", errno);
    while (!p->closed)
        if (!wire_receive(p, ret_problem))
            return false;
    return true;
}

/* ---- the maildirs ---- */

static const char *const maildir_folders[] = { "tmp", "new", "cur", NULL };

/* The names in a folder, but those that begin with a dot; NULL if it cannot be read. */
static GPtrArray *list(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    if (dir == NULL)
        return NULL;
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
        if (name[0] != '.')
            g_ptr_array_add(names, g_strdup(name));
    g_dir_close(dir);
    return names;
}

static void wipe_folder(const char *path)
{
    g_autoptr(GPtrArray) names = list(path);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        g_autofree char *file = g_build_filename(path, g_ptr_array_index(names, i), NULL);
        (void)g_unlink(file); /* if it stays, removing its folder fails, and then making it again */
    }
    (void)g_rmdir(path);
}

static void wipe_maildir(const char *path)
{
    for (const char *const *folder = maildir_folders; *folder != NULL; folder++) {
        g_autofree char *inner = g_build_filename(path, *folder, NULL);
        wipe_folder(inner);
    }
    (void)g_rmdir(path);
}

/* A folder that belongs to whom the domain's belongs: the daemon's workers may have another identity than
 * ours. */
static int make_folder(const char *path, const struct stat *like)
{
    if (g_mkdir(path, 0700) < 0 || (geteuid() == 0 && chown(path, like->st_uid, like->st_gid) < 0))
        return -errno;
    return 0;
}

static int make_maildir(const char *path, const struct stat *like)
{
    int r = make_folder(path, like);
    for (const char *const *folder = maildir_folders; r == 0 && *folder != NULL; folder++) {
        g_autofree char *inner = g_build_filename(path, *folder, NULL);
        r = make_folder(inner, like);
    }
    return r;
}

static bool prepare_maildirs(const struct script *script, const char *maildirs, char **ret_problem)
{
    g_autofree char *mark = g_build_filename(maildirs, SCRATCH_MARK, NULL);
    struct stat like;
    if (stat(maildirs, &like) < 0 || access(mark, F_OK) < 0)
        return failed(ret_problem, mark, errno);
    g_autoptr(GPtrArray) names = list(maildirs);
    for (guint i = 0; names != NULL && i < names->len; i++) {
        g_autofree char *path = g_build_filename(maildirs, g_ptr_array_index(names, i), NULL);
        if (g_file_test(path, G_FILE_TEST_IS_DIR))
            wipe_maildir(path);
    }
    for (guint i = 0; i < script->mailboxes->len; i++) {
        g_autofree char *path = g_build_filename(maildirs, g_ptr_array_index(script->mailboxes, i), NULL);
        int r = make_maildir(path, &like);
        if (r < 0)
            return failed(ret_problem, path, -r);
    }
    return true;
}

/* The fields that a delivery puts in front, each once and in this order, taken away; NULL if they are not
 * there. */
static const char *behind_trace(const char *content, char **ret_reverse_path)
{
    static const char pattern[] = "\\AReturn-Path: <([^\\r\\n]*)>\\r?\\nDelivered-To: [^\\n]*\\nReceived: "
                                  "[^\\n]*\\n(?:[ \\t][^\\n]*\\n)*";
    g_autoptr(GRegex) trace = g_regex_new(pattern, G_REGEX_RAW, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    int end = 0;
    if (!g_regex_match(trace, content, 0, &match) || !g_match_info_fetch_pos(match, 0, NULL, &end))
        return NULL;
    *ret_reverse_path = g_match_info_fetch(match, 1);
    return content + end;
}

static struct message *message_of_file(const char *path, char **ret_problem)
{
    g_autofree char *content = NULL;
    gsize len = 0;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &content, &len, &error)) {
        *ret_problem = g_strdup(error->message);
        return NULL;
    }
    g_autofree char *reverse_path = NULL;
    const char *body = behind_trace(content, &reverse_path);
    if (body == NULL) {
        *ret_problem = g_strdup_printf("%s does not begin with its trace fields: %.400s", path, content);
        return NULL;
    }
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    struct slice octets = slice_of(body, (size_t)(content + len - body));
    for (size_t i = 0; i < octets.len;
         i++) { /* no message that DATA took has a CR or LF alone: this undoes it all */
        if (octets.data[i] == '\n')
            g_byte_array_append(bytes, (const guint8 *)"\r", 1);
        g_byte_array_append(bytes, octets.data + i, 1);
    }
    return message_new(slice_of(bytes->data, bytes->len), octets, reverse_path);
}

static GPtrArray *wire_messages(struct player *p, const char *mailbox, char **ret_problem)
{
    g_autofree char *folder = g_build_filename(((struct wire *)p)->maildirs, mailbox, "new", NULL);
    g_autoptr(GPtrArray) names = list(folder);
    if (names == NULL) {
        *ret_problem = g_strdup_printf("%s cannot be read", folder);
        return NULL;
    }
    g_autoptr(GPtrArray) messages = g_ptr_array_new_with_free_func(message_free);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, g_ptr_array_index(names, i), NULL);
        struct message *m = message_of_file(path, ret_problem);
        if (m == NULL)
            return NULL;
        g_ptr_array_add(messages, m);
    }
    return g_steal_pointer(&messages);
}

static guint staged_count(const struct wire *w)
{
    guint count = 0;
    for (guint i = 0; i < w->base.script->mailboxes->len; i++) {
        const char *mailbox = g_ptr_array_index(w->base.script->mailboxes, i);
        g_autofree char *folder = g_build_filename(w->maildirs, mailbox, "tmp", NULL);
        g_autoptr(GPtrArray) names = list(folder);
        count += names != NULL ? names->len : 0;
    }
    return count;
}

/* What was staged for a message that did not come is gone; that may be a moment after the connection. */
static bool nothing_staged(const struct wire *w, char **ret_problem)
{
    gint64 end = g_get_monotonic_time() + PATIENCE_MS * G_TIME_SPAN_MILLISECOND;
    while (staged_count(w) > 0) {
        if (g_get_monotonic_time() > end) {
            *ret_problem = g_strdup_printf("%u files were left in tmp/", staged_count(w));
            return false;
        }
        g_usleep(1000);
    }
    return true;
}

/* ---- the player ---- */

static bool wire_control(struct player *p, const struct step *step, char **ret_problem)
{
    if (step->kind == STEP_HANDSHAKE)
        return shake_hands((struct wire *)p, ret_problem);
    if (step->kind == STEP_NOTHING)
        return true; /* that a server will say nothing cannot be seen by waiting */
    *ret_problem = g_strdup("a daemon cannot be told that");
    return false;
}

static bool wire_finish(struct player *p, char **ret_problem)
{
    return wire_hang_up(p, ret_problem) && nothing_staged((struct wire *)p, ret_problem);
}

static void wire_free(struct player *p)
{
    struct wire *w = (struct wire *)p;
    (void)close(w->fd);
    tls_peer_free(w->tls);
    g_byte_array_unref(p->received);
    g_free(p);
}

static const struct player_ops wire_ops = {
    .send = wire_send,
    .receive = wire_receive,
    .hang_up = wire_hang_up,
    .messages = wire_messages,
    .control = wire_control,
    .finish = wire_finish,
    .free = wire_free,
};

struct player *player_socket_new(const struct script *script, const struct socket_place *place,
                                 enum record_cut cut, char **ret_problem)
{
    const char *at = script->protocol == SMTP_PROTOCOL_LMTP ? place->lmtp : place->smtp;
    if (at == NULL) {
        *ret_problem = g_strdup_printf("no place for %s was given", smtp_protocol_names[script->protocol]);
        return NULL;
    }
    if (!prepare_maildirs(script, place->maildirs, ret_problem))
        return NULL;
    int fd = g_str_has_prefix(at, "unix:") ? connect_unix(at + strlen("unix:")) : connect_tcp(at);
    if (fd < 0) {
        (void)failed(ret_problem, at, -fd);
        return NULL;
    }
    struct wire *w = g_new0(struct wire, 1);
    auto_ptr(player) player = &w->base;
    w->base = (struct player){ .ops = &wire_ops, .script = script, .received = g_byte_array_new() };
    w->maildirs = place->maildirs;
    w->fd = fd;
    w->cut = cut;
    if (script->client.tls == SMTP_TLS_ACTIVE && !shake_hands(w, ret_problem))
        return NULL;
    return g_steal_pointer(&player);
}
