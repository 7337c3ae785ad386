#include "auth/network.h"

#include <arpa/inet.h>
#include <string.h>

enum { NETWORK_SIZE = 8 }; /* octets of an IPv6 address */

bool network_parse(const char *address, struct in6_addr *ret_network)
{
    struct in_addr v4;
    *ret_network = (struct in6_addr){ 0 };
    if (address == NULL)
        return false;
    if (inet_pton(AF_INET, address, &v4) == 1) {
        ret_network->s6_addr[10] = ret_network->s6_addr[11] = 0xff;
        memcpy(ret_network->s6_addr + 12, &v4, sizeof v4);
        return true;
    }
    if (inet_pton(AF_INET6, address, ret_network) != 1)
        return false;
    if (!IN6_IS_ADDR_V4MAPPED(ret_network))
        memset(ret_network->s6_addr + NETWORK_SIZE, 0, sizeof *ret_network - NETWORK_SIZE);
    return true;
}

/* Addresses are spread well enough by what differs in them; who chooses them gains nothing but a slow lookup
 * among a few thousand. */
guint network_hash(gconstpointer key)
{
    guint32 words[4];
    memcpy(words, key, sizeof words);
    return ((words[0] * 31 + words[1]) * 31 + words[2]) * 31 + words[3];
}

gboolean network_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(struct in6_addr)) == 0;
}
