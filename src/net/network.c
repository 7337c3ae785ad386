#include "net/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netinet/in.h>

#include "base/number.h"

enum { MAPPED_BITS = 96 }; /* ::ffff:0:0/96, RFC 4291 2.5.5.2 */

/* Also a single host, all of whose bits count. */
struct network {
    sa_family_t family; /* AF_INET, AF_INET6, AF_UNIX; what is mapped into IPv6 is AF_INET */
    uint8_t bits;       /* how many count */
    uint8_t octets[sizeof(struct in6_addr)];
};

struct net_networks {
    size_t count;
    struct network list[];
};

static void unmap(struct network *n)
{
    struct in6_addr in6;
    memcpy(&in6, n->octets, sizeof in6);
    if (n->family != AF_INET6 || n->bits < MAPPED_BITS || !IN6_IS_ADDR_V4MAPPED(&in6))
        return;
    *n = (struct network){ .family = AF_INET, .bits = (uint8_t)(n->bits - MAPPED_BITS) };
    memcpy(n->octets, &in6.s6_addr[MAPPED_BITS / 8], sizeof(struct in_addr));
}

/* The bits that count of an octet. */
static uint8_t mask(const struct network *n, size_t octet)
{
    size_t before = octet * 8;
    size_t bits = n->bits > before ? n->bits - before : 0;
    return bits < 8 ? (uint8_t)(0xff00U >> bits) : 0xff;
}

/* ---- from text ---- */

static bool parse_host(const char *text, struct network *ret_network)
{
    struct network n = { 0 };
    if (inet_pton(AF_INET, text, n.octets) == 1) {
        n.family = AF_INET;
        n.bits = 32;
    } else if (inet_pton(AF_INET6, text, n.octets) == 1) {
        n.family = AF_INET6;
        n.bits = 128;
    } else {
        return false;
    }
    *ret_network = n;
    return true;
}

/* Bits behind the prefix say that somebody meant another network, or a host. */
static int check_tail(const char *text, const struct network *n, char **ret_problem)
{
    struct network meant = *n;
    for (size_t i = 0; i < sizeof meant.octets; i++)
        meant.octets[i] &= mask(n, i);
    if (memcmp(meant.octets, n->octets, sizeof meant.octets) == 0)
        return 0;
    char name[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(meant.family, meant.octets, name, sizeof name); /* there is room for every address */
    *ret_problem = g_strdup_printf("\"%s\" has bits set behind its prefix, perhaps %s/%u is meant", text,
                                   name, (unsigned)meant.bits);
    return -EINVAL;
}

static int parse_network(const char *text, struct network *ret_network, char **ret_problem)
{
    if (strcmp(text, "unix") == 0) {
        *ret_network = (struct network){ .family = AF_UNIX };
        return 0;
    }
    const char *slash = strchrnul(text, '/');
    g_autofree char *host = g_strndup(text, (size_t)(slash - text));
    struct network n;
    if (!parse_host(host, &n)) {
        *ret_problem = g_strdup_printf("\"%s\" is no network", text);
        return -EINVAL;
    }
    uint64_t bits = n.bits;
    if (*slash != '\0' && pst_parse_u64(slice_str(slash + 1), n.bits, &bits) < 0) {
        *ret_problem =
            g_strdup_printf("the prefix of \"%s\" is no number from 0 to %u", text, (unsigned)n.bits);
        return -EINVAL;
    }
    n.bits = (uint8_t)bits;
    unmap(&n);
    int r = check_tail(text, &n, ret_problem);
    if (r == 0)
        *ret_network = n;
    return r;
}

int net_networks_parse(const char *text, struct net_networks **ret_networks, char **ret_problem)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    size_t count = g_strv_length(words);
    auto_ptr(net_networks) n = g_malloc0(sizeof *n + count * sizeof n->list[0]);
    for (; n->count < count; n->count++) {
        int r = parse_network(g_strstrip(words[n->count]), &n->list[n->count], ret_problem);
        if (r < 0)
            return r;
    }
    if (count == 0) {
        *ret_problem = g_strdup("there is no network");
        return -EINVAL;
    }
    *ret_networks = g_steal_pointer(&n);
    return 0;
}

void net_networks_free(struct net_networks *n)
{
    g_free(n);
}

/* ---- looking up ---- */

static struct network host_of(const struct net_address *a)
{
    struct network host = { .family = a->storage.ss_family };
    if (host.family == AF_INET) {
        host.bits = 32;
        memcpy(host.octets, &((const struct sockaddr_in *)&a->storage)->sin_addr, sizeof(struct in_addr));
    } else if (host.family == AF_INET6) {
        host.bits = 128;
        memcpy(host.octets, &((const struct sockaddr_in6 *)&a->storage)->sin6_addr, sizeof(struct in6_addr));
        unmap(&host);
    }
    return host;
}

static bool network_has(const struct network *n, const struct network *host)
{
    if (n->family != host->family)
        return false;
    for (size_t i = 0; i < sizeof n->octets; i++)
        if (((n->octets[i] ^ host->octets[i]) & mask(n, i)) != 0)
            return false;
    return true;
}

bool net_networks_have(const struct net_networks *n, const struct net_address *a)
{
    struct network host = host_of(a);
    for (size_t i = 0; n != NULL && i < n->count; i++)
        if (network_has(&n->list[i], &host))
            return true;
    return false;
}

bool net_networks_have_family_of(const struct net_networks *n, const struct net_address *a)
{
    struct network host = host_of(a);
    for (size_t i = 0; n != NULL && i < n->count; i++)
        if (n->list[i].family == host.family)
            return true;
    return false;
}
