/*
 * server/sockets.h - the listening sockets of all workers, which the master binds once and keeps.
 * An internet address has a socket for each worker (SO_REUSEPORT): the kernel shares connections out among
 * them, no worker wakes in vain, and what waits in a dead worker's queue waits for its successor. A unix
 * socket is one for all. They listen from the start: whoever connects before the workers are up is only kept
 * waiting. The process that tells figures has a socket among them, if it is wanted.
 *
 * Ownership: the sockets own their descriptors, and the files of unix sockets. Failure: what is wrong is
 * logged, for each address.
 */
#pragma once

#include "base/log.h"
#include "server/settings.h"

struct sockets;

/*
 * -errno when one of them cannot be had; then there is none. `former`: those of an earlier configuration with
 * as many workers, or NULL: a place that both have stays open all the while, and nobody who waits there is
 * lost. They are still the former ones' until sockets_succeed().
 */
int sockets_open(const struct settings *s, const struct sockets *former, const struct pst_log *log,
                 struct sockets **ret_sockets);

/* The former ones give up what they have in common, and are closed and freed. */
void sockets_succeed(struct sockets *s, struct sockets *take_former, const struct pst_log *log);

void sockets_log(const struct sockets *s,
                 const struct pst_log *log); /* `listening`, with the real port, for each address */

/* In a worker: closes those of others. The rest is an array of listeners with their descriptors; it lives as
 * long as the sockets. */
const struct worker_listener *sockets_take(struct sockets *s, unsigned worker, size_t *ret_count);

/* In the process that tells figures: closes all others, and is the process's then. */
int sockets_take_metrics(struct sockets *s);

/* In the master: that socket; -1: there is none. It stays the same as long as the place does. */
int sockets_metrics(const struct sockets *s);

/* In the master: nobody gets in any more once the workers have closed theirs. Removes unix sockets' files; a
 * failure is logged. */
void sockets_close(struct sockets *s, const struct pst_log *log);

void sockets_free(struct sockets *s); /* closes what is open; files stay. NULL is welcome */
AUTO_PTR_DEFINE(sockets);
