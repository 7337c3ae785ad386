#include "handlers/lone_host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/stand_back.h"

enum {
    WIRE_FD = 3,
    SCRATCH_FD = 4,
    FREE_FD = 10,  /* and above: none of those that the host gets */
    END_MS = 5000, /* a host that was told to go, with all that it has begun */
    READ_SIZE = 65536,
};

static msec_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
    return (msec_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- beginning ---- */

/* In the child. Never returns. */
static void become_host(const struct handler_settings *settings, int wire, int scratch)
{
    stand_back(settings->spare_processors);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int wire_above = fcntl(wire, F_DUPFD_CLOEXEC, FREE_FD);
    int scratch_above = fcntl(scratch, F_DUPFD_CLOEXEC, FREE_FD);
    /* Standard output is for what a command has to say, and not for handlers. */
    bool done = dup2(null, STDIN_FILENO) >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 &&
                dup2(wire_above, WIRE_FD) >= 0 && dup2(scratch_above, SCRATCH_FD) >= 0;
    if (!done)
        _exit(127);
    (void)close_range(SCRATCH_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC); /* the host closes them, too */
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGXFSZ, SIG_DFL);
    (void)execl(settings->program, settings->program, (char *)NULL);
    _exit(127);
}

static int spawn(struct lone_host *h)
{
    int ends[2];
    if (access(h->settings->program, X_OK) < 0)
        return -errno;
    h->scratch = memfd_create("postern-scratch", MFD_CLOEXEC);
    if (h->scratch < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    h->wire = ends[0];
    h->pid = fork();
    if (h->pid == 0)
        become_host(h->settings, ends[1], h->scratch);
    int r = h->pid < 0 ? -errno : 0;
    (void)close(ends[1]);
    if (r < 0)
        h->pid = 0;
    return r;
}

int lone_host_start(struct lone_host *h, const struct handler_settings *settings)
{
    *h = LONE_HOST_NONE;
    h->settings = settings;
    h->in = g_byte_array_new();
    int r = spawn(h);
    if (r < 0)
        return r;
    /* A host that does not read what it is told shall not hold us up. */
    struct timeval patience = { .tv_sec = (time_t)(settings->timeout / 1000) + 1 };
    (void)setsockopt(h->wire, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    struct wire_frame frame = { .type = WIRE_CONFIG, .config = settings->config };
    return lone_host_say(h, &frame, -1);
}

/* ---- talking ---- */

/* With the first octets goes the descriptor. */
static ssize_t send_some(int wire, const uint8_t *octets, size_t len, int fd)
{
    struct iovec io = { .iov_base = (void *)octets, .iov_len = len };
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))] = { 0 };
    struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
    if (fd >= 0) {
        message.msg_control = room;
        message.msg_controllen = sizeof room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS,
                               .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(wire, &message, MSG_NOSIGNAL);
}

int lone_host_say(struct lone_host *h, const struct wire_frame *frame, int fd)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    int r = wire_encode(frame, out);
    if (r < 0)
        return r;
    for (size_t sent = 0; sent < out->len;) {
        ssize_t n = send_some(h->wire, out->data + sent, out->len - sent, sent == 0 ? fd : -1);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EPIPE || errno == ECONNRESET)
            return 0;
        else if (errno != EINTR)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
    }
    return 0;
}

/* 1 when there is more in `in`, 0 at the end of the wire, or -errno. */
static int read_more(struct lone_host *h, msec_t until)
{
    struct pollfd wait = { .fd = h->wire, .events = POLLIN };
    msec_t left = MAX(until - now_ms(), 0);
    int r = poll(&wait, 1, (int)MIN(left, INT32_MAX));
    if (r == 0)
        return -ETIMEDOUT;
    if (r < 0)
        return errno == EINTR ? 1 : -errno;
    uint8_t octets[READ_SIZE];
    ssize_t n = recv(h->wire, octets, sizeof octets, 0);
    if (n < 0)
        return errno == EINTR ? 1 : errno == ECONNRESET ? 0 : -errno;
    g_byte_array_append(h->in, octets, (guint)n);
    return n > 0;
}

/* ---- the end ---- */

/* It is what comes last, whatever was before it. */
static void look_for_obituary(struct lone_host *h)
{
    h->is_told = wire_find_obituary(slice_of(h->in->data, h->in->len), &h->obituary);
}

/* All that is on the wire until its end. 0, or -ETIMEDOUT. */
static int read_to_end(struct lone_host *h, msec_t until)
{
    int r = 1;
    while (r > 0) {
        r = read_more(h, until);
        if (h->in->len > 2 * READ_SIZE) /* of interest is what comes last */
            g_byte_array_remove_range(h->in, 0, h->in->len - READ_SIZE);
    }
    return r;
}

static void reap(struct lone_host *h)
{
    while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    h->pid = 0;
}

/* By force: its guard ends all that is below it, and says what was going on. */
static void put_down(struct lone_host *h)
{
    (void)kill(h->pid, SIGTERM);
    if (read_to_end(h, now_ms() + END_MS) < 0)
        (void)kill(h->pid, SIGKILL);
    look_for_obituary(h);
    reap(h);
}

int lone_host_end(struct lone_host *h)
{
    (void)shutdown(h->wire, SHUT_WR);
    h->heard = h->in;
    h->in = g_byte_array_new();
    if (h->taken < h->heard->len)
        g_byte_array_append(h->in, h->heard->data + h->taken, h->heard->len - (guint)h->taken);
    msec_t patience = MIN(h->settings->timeout, END_MS);
    if (read_to_end(h, now_ms() + patience) < 0) {
        put_down(h);
        return -ETIMEDOUT;
    }
    look_for_obituary(h);
    reap(h);
    return h->is_told ? -ENODATA : 0;
}

void lone_host_clear(struct lone_host *h)
{
    if (h->pid > 0)
        put_down(h);
    if (h->wire >= 0)
        (void)close(h->wire);
    if (h->scratch >= 0)
        (void)close(h->scratch);
    g_clear_pointer(&h->in, g_byte_array_unref);
    g_clear_pointer(&h->heard, g_byte_array_unref);
    *h = LONE_HOST_NONE;
}

/* ---- listening ---- */

static bool may_say(enum wire_type type)
{
    return type == WIRE_READY || type == WIRE_LOG || type == WIRE_VERDICT;
}

/* 1 when there is a frame, 0 when more must come first, -ENODATA or -EBADMSG when none will. */
static int take_frame(struct lone_host *h, struct wire_frame *ret_frame)
{
    if (h->taken == h->in->len)
        return 0;
    auto_val(wire_frame) frame = { 0 };
    int64_t n = wire_decode(slice_of(h->in->data + h->taken, h->in->len - h->taken), &frame);
    if (n <= 0)
        return (int)n;
    if (!may_say(frame.type))
        return frame.type == WIRE_OBITUARY ? -ENODATA : -EBADMSG;
    h->taken += (size_t)n;
    *ret_frame = frame;
    frame.memory = NULL;
    return 1;
}

int lone_host_hear(struct lone_host *h, struct wire_frame *ret_frame)
{
    g_byte_array_remove_range(h->in, 0, (guint)h->taken);
    h->taken = 0;
    msec_t until = now_ms() + h->settings->timeout;
    int r;
    while ((r = take_frame(h, ret_frame)) == 0) {
        int more = read_more(h, until);
        if (more <= 0) {
            r = more == 0 ? -ENODATA : more;
            break;
        }
    }
    if (r > 0)
        return 0;
    put_down(h);
    return r;
}

/* ---- words ---- */

static const char *const stage_texts[] = {
    [WIRE_LOADING] = "while it was loaded",
    [WIRE_WAITING] = "between messages",
    [WIRE_PARSING] = "while it parsed the message",
    [WIRE_HANDLING] = "while it had the message",
    [WIRE_ENDING] = "at its end",
};

static char *how_it_ended(const struct wire_obituary *o)
{
    return o->signal != 0 ? g_strdup_printf("died of signal %d (%s)", o->signal, strsignal(o->signal))
                          : g_strdup_printf("ended with status %d", o->status);
}

static char *what_happened(const struct lone_host *h, int error)
{
    switch (error) {
    case -ETIMEDOUT:
        return g_strdup_printf("took longer than %g s", (double)h->settings->timeout / 1000);
    case -EBADMSG:
        return g_strdup("said what makes no sense: a handler wrote on its wire");
    case -ENODATA:
        return h->is_told ? how_it_ended(&h->obituary) : g_strdup("ended without a word");
    default:
        return g_strdup_printf("cannot be reached: %s", g_strerror(-error));
    }
}

char *lone_host_why(const struct lone_host *h, int error)
{
    const struct wire_config *config = &h->settings->config;
    const struct wire_obituary *o = &h->obituary;
    if (h->in->len == 0 && h->wire < 0)
        return g_strdup_printf("%s cannot be started: %s", h->settings->program, g_strerror(-error));
    g_autofree char *what = what_happened(h, error);
    if (!h->is_told || error == -EBADMSG) /* that was before */
        return g_strdup_printf("the host %s", what);
    bool is_known = o->handler >= 0 && (uint32_t)o->handler < config->handler_count;
    return g_strdup_printf("%s%s %s %s", is_known ? "handler " : "the host",
                           is_known ? config->handlers[o->handler].name : "", what, stage_texts[o->stage]);
}
