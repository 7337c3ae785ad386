/*
 * auth/turns.h - who waits for a job, the clients in turn: none has a second one before each that waits has
 * had its first. So whoever guesses passwords over hundreds of connections waits for itself alone. Who is one
 * client, auth/network.h says; those without an address are one.
 *
 * Ownership: a turn lies in who waits, which leaves before it goes. Nothing fails.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct turns;
struct turns_client;

struct turn {
    GList link;
    void *who;
    struct turns_client *client; /* NULL: it does not wait */
};

struct turns *turns_new(void);
void turns_free(struct turns *t); /* nobody waits; NULL is welcome */

/* `client`: its address as text, or NULL. */
void turns_join(struct turns *t, struct turn *turn, const char *client, void *who);
void turns_leave(struct turns *t, struct turn *turn); /* also of one that does not wait */
bool turn_is_waiting(const struct turn *turn);

/* Whose turn it is; it waits no more. NULL: nobody does. */
void *turns_next(struct turns *t);
