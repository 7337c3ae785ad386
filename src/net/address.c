#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "base/number.h"

static const char unix_prefix[] = "unix:";

/* The storage seen as one family; memcpy-free access that all compilers grant for sockaddr types. */
static struct sockaddr_in *as_in(struct net_address *a)
{
    return (struct sockaddr_in *)&a->storage;
}

static struct sockaddr_in6 *as_in6(struct net_address *a)
{
    return (struct sockaddr_in6 *)&a->storage;
}

static int parse_unix(const char *path, struct net_address *ret_address)
{
    struct net_address a = { .len = sizeof(struct sockaddr_un) };
    struct sockaddr_un *to = (struct sockaddr_un *)&a.storage;
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof to->sun_path)
        return -EINVAL;
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, path, len + 1);
    *ret_address = a;
    return 0;
}

int net_address_parse(const char *text, struct net_address *ret_address)
{
    if (g_str_has_prefix(text, unix_prefix))
        return parse_unix(text + strlen(unix_prefix), ret_address);

    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || pst_parse_u64(slice_str(colon + 1), UINT16_MAX, &port) < 0)
        return -EINVAL;
    struct net_address a = { 0 };
    size_t host_len = (size_t)(colon - text);
    if (host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']') {
        g_autofree char *host = g_strndup(text + 1, host_len - 2);
        if (inet_pton(AF_INET6, host, &as_in6(&a)->sin6_addr) != 1)
            return -EINVAL;
        as_in6(&a)->sin6_family = AF_INET6;
        as_in6(&a)->sin6_port = htons((uint16_t)port);
        a.len = sizeof(struct sockaddr_in6);
    } else {
        g_autofree char *host = g_strndup(text, host_len);
        if (inet_pton(AF_INET, host, &as_in(&a)->sin_addr) != 1)
            return -EINVAL;
        as_in(&a)->sin_family = AF_INET;
        as_in(&a)->sin_port = htons((uint16_t)port);
        a.len = sizeof(struct sockaddr_in);
    }
    *ret_address = a;
    return 0;
}

/* A socket's address has no length of its own but for `len`: an unnamed client's ends before sun_path. */
static void unix_path(const struct net_address *a, char *to, size_t size)
{
    const struct sockaddr_un *from = (const struct sockaddr_un *)&a->storage;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t len = a->len > head ? strnlen(from->sun_path, a->len - head) : 0;
    if (len >= size)
        len = size - 1;
    memcpy(to, from->sun_path, len);
    to[len] = '\0';
}

const char *net_address_host(const struct net_address *a, char text[NET_ADDRESS_TEXT])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->storage;
    text[0] = '\0';
    if (a->storage.ss_family == AF_INET)
        (void)inet_ntop(AF_INET, &in->sin_addr, text, NET_ADDRESS_TEXT); /* there is room for every address */
    else if (a->storage.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        (void)inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, NET_ADDRESS_TEXT);
    else if (a->storage.ss_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, text, NET_ADDRESS_TEXT);
    else
        (void)g_strlcpy(text, "unix", NET_ADDRESS_TEXT);
    return text;
}

const char *net_address_format(const struct net_address *a, char text[NET_ADDRESS_TEXT])
{
    if (net_address_is_unix(a)) {
        memcpy(text, unix_prefix, sizeof unix_prefix);
        unix_path(a, text + strlen(unix_prefix), NET_ADDRESS_TEXT - strlen(unix_prefix));
        return text;
    }
    char host[NET_ADDRESS_TEXT];
    net_address_host(a, host);
    /* sin_port and sin6_port lie at the same place in both families. */
    unsigned port = ntohs(((const struct sockaddr_in *)&a->storage)->sin_port);
    (void)snprintf(text, NET_ADDRESS_TEXT, strchr(host, ':') != NULL ? "[%.100s]:%u" : "%.100s:%u", host,
                   port);
    return text;
}

bool net_address_is_unix(const struct net_address *a)
{
    return a->storage.ss_family == AF_UNIX;
}

bool net_address_is_local(const struct net_address *a)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a->storage;
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)&a->storage)->sin6_addr;
    switch (a->storage.ss_family) {
    case AF_UNIX:
        return true;
    case AF_INET: /* RFC 1122 3.2.1.3: all of 127.0.0.0/8 */
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == IN_LOOPBACKNET);
    default:
        return false; /* it is not known */
    }
}

bool net_address_equal(const struct net_address *a, const struct net_address *b)
{
    char left[NET_ADDRESS_TEXT], right[NET_ADDRESS_TEXT];
    return strcmp(net_address_format(a, left), net_address_format(b, right)) == 0;
}
