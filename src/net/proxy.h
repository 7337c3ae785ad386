/*
 * net/proxy.h - the PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt has it: what a proxy
 * says in front of a connection about the client that it serves. Only for peers that are trusted to say so.
 *
 *     int r = net_proxy_parse(in, &proxy, &taken);
 *
 * Hand over all that came since the connection began, again when there is more. Ownership: nothing is kept
 * and nothing allocated; the owner keeps up to NET_PROXY_MAX octets. Failure: a negative result is final,
 * and the connection must be closed.
 */
#pragma once

#include "base/slice.h"
#include "net/address.h"

enum {
    NET_PROXY_V1_MAX = 107,  /* with CR LF, as the specification has it */
    NET_PROXY_V2_HEAD = 16,  /* what tells how long the rest is */
    NET_PROXY_MAX = 4 * 1024 /* no header that is taken is longer */
};

struct net_proxy {
    bool is_local; /* nobody is proxied, or it is not known who: the peer is who connected */
    struct net_address source, destination; /* unless is_local */
};

/*
 * 1: the header is complete, *ret_taken octets long, and what follows is the client's. 0: more is needed, and
 * what is here can still become a header; a peer that speaks anything else is refused at its first octet that
 * no header has there. (Only the addresses of version 1 and what follows the addresses of version 2 are not
 * looked into before they are complete.) -EBADMSG: malformed. -E2BIG: longer than we take.
 */
int net_proxy_parse(struct slice in, struct net_proxy *ret_proxy, size_t *ret_taken);
