#include "host/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for most messages that come in a frame of their own, so that each is one read. */
enum { CAPACITY_FIRST = 128 << 10 };

void channel_init(struct channel *c, int fd)
{
    *c = (struct channel){
        .fd = fd,
        .in = g_malloc(CAPACITY_FIRST),
        .capacity = CAPACITY_FIRST,
        .out = g_byte_array_new(),
    };
}

static void make_room(struct channel *c)
{
    if (c->begin > 0) {
        memmove(c->in, c->in + c->begin, c->end - c->begin);
        c->end -= c->begin;
        c->begin = 0;
    } else if (c->end == c->capacity) {
        c->capacity *= 2; /* wire_decode bounds it: what is longer than a frame may be is bad */
        c->in = g_realloc(c->in, c->capacity);
    }
}

/* One descriptor comes with a message; others are closed. */
static void take_descriptors(struct msghdr *header, int *fd)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
            int got;
            memcpy(&got, (const uint8_t *)c + at, sizeof got);
            if (*fd < 0)
                *fd = got;
            else
                (void)close(got);
        }
    }
}

/* How many octets more: 0 at the end, or -errno. */
static ssize_t receive(struct channel *c, int *fd)
{
    make_room(c);
    union {
        struct cmsghdr aligned;
        char octets[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec room = { .iov_base = c->in + c->end, .iov_len = c->capacity - c->end };
    struct msghdr header = {
        .msg_iov = &room,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    ssize_t len;
    do
        len = recvmsg(c->fd, &header, MSG_CMSG_CLOEXEC);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return -errno;
    take_descriptors(&header, fd);
    c->end += (size_t)len;
    return len;
}

int channel_read(struct channel *c, struct wire_frame *ret_frame, int *ret_fd)
{
    auto_fd int fd = -1;
    for (;;) {
        int64_t taken = wire_decode(slice_of(c->in + c->begin, c->end - c->begin), ret_frame);
        if (taken < 0)
            return (int)taken;
        if (taken > 0) {
            c->begin += (size_t)taken;
            *ret_fd = steal_fd(&fd);
            return 1;
        }
        ssize_t r = receive(c, &fd);
        if (r < 0)
            return (int)r;
        if (r == 0)
            return c->begin == c->end ? 0 : -EBADMSG;
    }
}

uint8_t *channel_keep(struct channel *c)
{
    uint8_t *kept = c->in;
    c->in = g_malloc(c->capacity);
    c->end -= c->begin;
    memcpy(c->in, kept + c->begin, c->end);
    c->begin = 0;
    return kept;
}

int channel_write(struct channel *c, const struct wire_frame *frame)
{
    g_byte_array_set_size(c->out, 0);
    int r = wire_encode(frame, c->out);
    if (r < 0)
        return r;
    for (size_t done = 0; done < c->out->len;) {
        ssize_t n = send(c->fd, c->out->data + done, c->out->len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}
