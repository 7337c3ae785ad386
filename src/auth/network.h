/*
 * auth/network.h - who counts as one client, by its address: an IPv4 address, or the 64 bits of an IPv6 one
 * that its network has, for who has one of those has them all.
 */
#pragma once

#include <glib.h>
#include <netinet/in.h>
#include <stdbool.h>

/* IPv4 as IPv4-mapped. False, and all zeros: NULL, or no address. */
bool network_parse(const char *address, struct in6_addr *ret_network);

/* For hash tables, of structs that begin with one. */
guint network_hash(gconstpointer key);
gboolean network_equal(gconstpointer a, gconstpointer b);
