/*
 * net/address.h - where one listens and who calls: internet addresses with a port, and unix sockets, as text
 * and as sockaddr. A value without resources. Text to address: -EINVAL for what is none. No name is ever
 * looked up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct net_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* "127.0.0.1:25", "[::]:25", "unix:/run/postern/lmtp.sock". Port 0 lets the kernel choose. */
int net_address_parse(const char *text, struct net_address *ret_address);

/* The same forms; a unix socket that has no name, as a client's, is "unix:". */
enum { NET_ADDRESS_TEXT = 128 };
const char *net_address_format(const struct net_address *a, char text[NET_ADDRESS_TEXT]);

/* Only the host: "127.0.0.1", "::1", or "unix". An IPv4 address that came through an IPv6 socket is told as
 * IPv4. */
const char *net_address_host(const struct net_address *a, char text[NET_ADDRESS_TEXT]);

bool net_address_is_unix(const struct net_address *a);

/* A client on this host, by its address: a unix socket, or loopback (also when it came through an IPv6
 * socket). */
bool net_address_is_local(const struct net_address *a);

bool net_address_equal(const struct net_address *a, const struct net_address *b);
