/*
 * tests/model/owner.h - carries out what a session asks, as a connection does, with mailboxes in memory. It
 * hands the octets over in pieces and answers the questions at once or later; both by chance, from a seed.
 * Ownership: the caller frees it; rules and `seen` are borrowed. Failure: `owner_broken` says how the session
 * broke its contract.
 */
#pragma once

#include "act.h"

/* Which outcomes the session told. */
struct outcomes_seen {
    bool at[SMTP_OUTCOMES];
};

struct owner *owner_new(const struct rules *r, uint64_t seed, struct outcomes_seen *seen);
void owner_free(struct owner *o);

/* Lets the greeting come, or speaks before it. */
void owner_connect(struct owner *o, bool early);
void owner_send(struct owner *o, const GString *wire);
/* TLS begins; what was not taken until now is gone. */
void owner_secure(struct owner *o);
/* Lets time pass until the session's deadline. */
void owner_wait(struct owner *o);
/* Lets it pass too, while a message comes octet after octet. */
void owner_drip(struct owner *o);

bool owner_has_ended(const struct owner *o);
const GString *owner_said(const struct owner *o);   /* all replies */
const GString *owner_stored(const struct owner *o); /* by note_stored() */
const char *owner_broken(const struct owner *o);    /* NULL: it is not */
