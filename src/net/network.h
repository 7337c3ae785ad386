/*
 * net/network.h - lists of networks, to tell whether an address is among those that somebody trusts.
 * Ownership: who parsed a list frees it; it does not change, and looking something up allocates nothing.
 * Failure: a mistake in the text is told in words, and there is no list.
 */
#pragma once

#include <stdbool.h>

#include "base/auto.h"
#include "net/address.h"

struct net_networks;

/*
 * "127.0.0.0/8, ::1, 10.1.2.3, unix": networks, where an address alone is one host, and unix is whoever comes
 * over a unix socket. An IPv4 network that is written as mapped into IPv6 is that IPv4 network. Never empty.
 * -EINVAL: *ret_problem, which is g_free'd, says what is wrong with which of them.
 */
int net_networks_parse(const char *text, struct net_networks **ret_networks, char **ret_problem);
void net_networks_free(struct net_networks *n); /* NULL is welcome */
AUTO_PTR_DEFINE(net_networks);

/*
 * Whether one of the networks has the address, whose port does not matter. NULL is a list without any. An
 * IPv4 address that came through an IPv6 socket is in IPv4 networks only: ::/0 does not have it.
 */
bool net_networks_have(const struct net_networks *n, const struct net_address *a);

/* Whether one of them is of the address's family: IPv4, IPv6, unix. */
bool net_networks_have_family_of(const struct net_networks *n, const struct net_address *a);
