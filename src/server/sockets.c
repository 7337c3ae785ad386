#include "server/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"

enum { BACKLOG = 4096 }; /* the kernel lowers it to net.core.somaxconn */

struct place {
    const struct settings_listener *settings;
    struct net_address address; /* with the real port */
    int *fds;                   /* one for each worker, or -1; of a unix socket only the first */
    bool made_file;
    bool is_metrics;      /* not the workers'; the last place, with one descriptor */
    struct place *former; /* whose descriptors these are, until it has been succeeded; or NULL */
};

struct sockets {
    struct place *places;
    size_t count;
    unsigned workers;
    struct worker_listener *taken;
};

static int new_socket(const struct net_address *a)
{
    auto_fd int fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (a->storage.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        return -errno;
    /* What a former process left in TIME_WAIT is no obstacle. (For a unix socket it says nothing.) */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int bind_to(int fd, const struct net_address *a)
{
    return bind(fd, (const struct sockaddr *)&a->storage, a->len) < 0 ? -errno : 0;
}

/* ---- internet ---- */

/* With SO_REUSEPORT we would share the port silently with another server of the same user; without it, the
 * kernel tells. */
static int probe(const struct net_address *a)
{
    auto_fd int fd = new_socket(a);
    return fd < 0 ? fd : bind_to(fd, a);
}

static int open_shared(struct net_address *a)
{
    auto_fd int fd = new_socket(a);
    if (fd < 0)
        return fd;
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
        return -errno;
    int r = bind_to(fd, a);
    if (r < 0)
        return r;
    /* The port that the first socket got is that of all. */
    if (getsockname(fd, (struct sockaddr *)&a->storage, &a->len) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int open_internet(struct place *p, unsigned workers)
{
    int r = probe(&p->address);
    for (unsigned i = 0; r >= 0 && i < workers; i++) {
        p->fds[i] = r = open_shared(&p->address);
        if (r >= 0 && listen(r, BACKLOG) < 0)
            r = -errno;
    }
    return r < 0 ? r : 0;
}

/* ---- unix ---- */

static const char *unix_path(const struct net_address *a)
{
    return ((const struct sockaddr_un *)&a->storage)->sun_path;
}

/* A socket that a killed server left behind is removed; one where somebody listens, or another kind of file,
 * is not. */
static int remove_stale(const struct net_address *a)
{
    struct stat st;
    if (lstat(unix_path(a), &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    auto_fd int fd = new_socket(a);
    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)&a->storage, a->len) >= 0 || errno != ECONNREFUSED)
        return -EADDRINUSE; /* EAGAIN is somebody with a full queue; EACCES, somebody else's */
    return unlink(unix_path(a)) < 0 ? -errno : 0;
}

/* It cannot be connected to before it listens, so that its mode and owner are right from the start. */
static int open_unix(struct place *p, const struct identity *owner)
{
    const char *path = unix_path(&p->address);
    int r = remove_stale(&p->address);
    if (r < 0)
        return r;
    int fd = p->fds[0] = new_socket(&p->address);
    if (fd < 0)
        return fd;
    /* Linux gives the file the socket's own mode: a chmod by path could hit what somebody put there since. */
    if (fchmod(fd, p->settings->socket_mode) < 0)
        return -errno;
    mode_t mask = umask(0);
    r = bind_to(fd, &p->address);
    (void)umask(mask);
    if (r < 0)
        return r;
    p->made_file = true;
    if (owner != NULL && lchown(path, owner->uid, owner->gid) < 0)
        return -errno;
    if (listen(fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

/* ---- all ---- */

static void place_close(struct place *p, unsigned workers, unsigned but)
{
    for (unsigned i = 0; i < workers; i++) {
        if (i != but && p->fds[i] >= 0) {
            (void)close(p->fds[i]); /* a socket without data */
            p->fds[i] = -1;
        }
    }
}

static void place_remove_file(struct place *p, const struct pst_log *log)
{
    if (!p->made_file)
        return;
    p->made_file = false;
    if (unlink(unix_path(&p->address)) < 0 && errno != ENOENT)
        pst_log(log, PST_LOG_WARNING, "socket-file-stays", PST_STR("path", unix_path(&p->address)),
                PST_STR("error", g_strerror(errno)));
}

static int place_open(struct place *p, const struct settings *s)
{
    bool is_unix = net_address_is_unix(&p->address);
    bool drops = s->identity.user != NULL && geteuid() == 0;
    return is_unix ? open_unix(p, drops ? &s->identity : NULL)
                   : open_internet(p, p->is_metrics ? 1 : s->workers);
}

/* Also where the system chose the port: then the listener's name tells which one. */
static bool is_same_place(const struct settings_listener *a, const struct settings_listener *b)
{
    char text[NET_ADDRESS_TEXT];
    bool is_named = g_str_has_suffix(net_address_format(&a->listener.address, text), ":0");
    return net_address_equal(&a->listener.address, &b->listener.address) &&
           a->socket_mode == b->socket_mode && (!is_named || strcmp(a->listener.name, b->listener.name) == 0);
}

static struct place *find_former(const struct sockets *former, const struct sockets *s,
                                 const struct settings_listener *l, bool is_metrics)
{
    for (size_t i = 0; former != NULL && i < former->count; i++) {
        struct place *p = &former->places[i];
        bool is_taken = false;
        for (size_t k = 0; k < s->count; k++)
            is_taken |= s->places[k].former == p;
        if (!is_taken && p->is_metrics == is_metrics && is_same_place(p->settings, l))
            return p;
    }
    return NULL;
}

static void place_adopt(struct place *p, struct place *former, unsigned workers)
{
    p->former = former;
    p->address = former->address;
    memcpy(p->fds, former->fds, workers * sizeof *p->fds);
}

static int add_place(struct sockets *made, const struct settings *s, const struct settings_listener *l,
                     const struct sockets *former)
{
    bool is_metrics = l == s->metrics;
    struct place *earlier = find_former(former, made, l, is_metrics);
    struct place *p = &made->places[made->count++];
    p->settings = l;
    p->is_metrics = is_metrics;
    p->address = l->listener.address;
    p->fds = g_new(int, s->workers);
    for (unsigned w = 0; w < s->workers; w++)
        p->fds[w] = -1;
    if (earlier == NULL)
        return place_open(p, s);
    place_adopt(p, earlier, s->workers);
    return 0;
}

/* What is the former ones' stays theirs. */
static void disown(struct sockets *s)
{
    for (size_t i = 0; i < s->count; i++)
        for (unsigned w = 0; s->places[i].former != NULL && w < s->workers; w++)
            s->places[i].fds[w] = -1;
}

int sockets_open(const struct settings *s, const struct sockets *former, const struct pst_log *log,
                 struct sockets **ret_sockets)
{
    pst_assert(former == NULL || former->workers == s->workers);
    auto_ptr(sockets) made = g_new0(struct sockets, 1);
    size_t count = s->listener_count + (s->metrics != NULL);
    made->places = g_new0(struct place, count);
    made->taken = g_new0(struct worker_listener, s->listener_count);
    made->workers = s->workers;
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        const struct settings_listener *l = i < s->listener_count ? &s->listeners[i] : s->metrics;
        int r = add_place(made, s, l, former);
        if (r < 0) {
            char text[NET_ADDRESS_TEXT];
            pst_log(log, former == NULL ? PST_LOG_FATAL : PST_LOG_ERROR, "cannot-listen",
                    PST_STR("listener", l->listener.name),
                    PST_STR("address", net_address_format(&l->listener.address, text)),
                    PST_STR("error", g_strerror(-r)));
            result = r;
        }
    }
    if (result < 0) {
        disown(made);
        sockets_close(made, log);
        return result;
    }
    *ret_sockets = g_steal_pointer(&made);
    return 0;
}

void sockets_succeed(struct sockets *s, struct sockets *take_former, const struct pst_log *log)
{
    for (size_t i = 0; i < s->count; i++) {
        struct place *p = &s->places[i];
        if (p->former == NULL)
            continue;
        p->made_file = p->former->made_file;
        p->former->made_file = false;
        for (unsigned w = 0; w < s->workers; w++)
            p->former->fds[w] = -1;
        p->former = NULL;
    }
    sockets_close(take_former, log);
    sockets_free(take_former);
}

void sockets_log(const struct sockets *s, const struct pst_log *log)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct worker_listener *l = &s->places[i].settings->listener;
        char text[NET_ADDRESS_TEXT];
        net_address_format(&s->places[i].address, text);
        if (s->places[i].is_metrics)
            pst_log(log, PST_LOG_INFO, "metrics", PST_STR("address", text));
        else
            pst_log(log, PST_LOG_INFO, "listening", PST_STR("listener", l->name),
                    PST_STR("protocol", smtp_protocol_names[l->protocol]), PST_STR("address", text));
    }
}

const struct worker_listener *sockets_take(struct sockets *s, unsigned worker, size_t *ret_count)
{
    pst_assert(worker < s->workers);
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct place *p = &s->places[i];
        if (p->is_metrics) {
            place_close(p, s->workers, s->workers);
            continue;
        }
        unsigned mine = net_address_is_unix(&p->address) ? 0 : worker;
        place_close(p, s->workers, mine);
        s->taken[count] = p->settings->listener;
        s->taken[count].address = p->address;
        s->taken[count++].fd = steal_fd(&p->fds[mine]);
    }
    *ret_count = count;
    return s->taken;
}

int sockets_metrics(const struct sockets *s)
{
    const struct place *last = s->count > 0 ? &s->places[s->count - 1] : NULL;
    return last != NULL && last->is_metrics ? last->fds[0] : -1;
}

int sockets_take_metrics(struct sockets *s)
{
    int fd = sockets_metrics(s);
    pst_assert(fd >= 0);
    s->places[s->count - 1].fds[0] = -1;
    for (size_t i = 0; i < s->count; i++)
        place_close(&s->places[i], s->workers, s->workers);
    return fd;
}

void sockets_close(struct sockets *s, const struct pst_log *log)
{
    for (size_t i = 0; i < s->count; i++) {
        place_remove_file(&s->places[i], log);
        place_close(&s->places[i], s->workers, s->workers);
    }
}

void sockets_free(struct sockets *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++) {
        place_close(&s->places[i], s->workers, s->workers);
        g_free(s->places[i].fds);
    }
    g_free(s->places);
    g_free(s->taken);
    g_free(s);
}
