/*
 * smtp/facts.h - what XCLIENT and XFORWARD tell about a client, as Postfix documents them in XCLIENT_README
 * and XFORWARD_README: "ATTRIBUTE=xtext" and more of them behind blanks. Whoever sends them is trusted to
 * name another client, not to write well: each value is printable ASCII, and checked by its kind where
 * more than the log makes use of it. Without allocation: values live in the caller's text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* In the order in which EHLO names them. */
enum smtp_fact {
    SMTP_FACT_NAME, /* the client's host name, a Domain; of XFORWARD any text */
    SMTP_FACT_ADDR, /* its address: "192.0.2.1", "2001:db8::1", as inet_ntop() writes it; of XFORWARD any text
                     */
    SMTP_FACT_PORT, /* "1" to "65535" */
    SMTP_FACT_PROTO,    /* "SMTP" or "ESMTP"; of XFORWARD any text */
    SMTP_FACT_HELO,     /* what it said in HELO: any text */
    SMTP_FACT_LOGIN,    /* the name it authenticated with */
    SMTP_FACT_DESTADDR, /* the address and port it connected to */
    SMTP_FACT_DESTPORT,
    SMTP_FACT_IDENT,  /* the message's queue id at the host before us */
    SMTP_FACT_SOURCE, /* "LOCAL" or "REMOTE" */
    SMTP_FACTS        /* how many there are */
};

#define SMTP_FACT_BIT(fact) (1U << (fact))

/* The attributes that a command has. */
#define SMTP_COMMON_FACTS                                                                                    \
    (SMTP_FACT_BIT(SMTP_FACT_NAME) | SMTP_FACT_BIT(SMTP_FACT_ADDR) | SMTP_FACT_BIT(SMTP_FACT_PORT) |         \
     SMTP_FACT_BIT(SMTP_FACT_PROTO) | SMTP_FACT_BIT(SMTP_FACT_HELO))
#define SMTP_XCLIENT_FACTS                                                                                   \
    (SMTP_COMMON_FACTS | SMTP_FACT_BIT(SMTP_FACT_LOGIN) | SMTP_FACT_BIT(SMTP_FACT_DESTADDR) |                \
     SMTP_FACT_BIT(SMTP_FACT_DESTPORT))
#define SMTP_XFORWARD_FACTS                                                                                  \
    (SMTP_COMMON_FACTS | SMTP_FACT_BIT(SMTP_FACT_IDENT) | SMTP_FACT_BIT(SMTP_FACT_SOURCE))

struct smtp_facts {
    unsigned given;                 /* a bit for each attribute that was there */
    unsigned unavailable;           /* those of them that said [UNAVAILABLE] or [TEMPUNAVAIL] */
    struct slice value[SMTP_FACTS]; /* of those given and not unavailable; len 0 for all others */
};

/* Room for the values of any good command: of XFORWARD four may be any text, and the others are short. */
enum { SMTP_FACT_MAX = 255, SMTP_FACTS_TEXT = 5 * SMTP_FACT_MAX };

/*
 * `allowed` is one of the two sets. The values go to `text`, whose `size` is SMTP_FACTS_TEXT or more. 0, or
 * -EBADMSG when there is no attribute, one that is unknown, not allowed or repeated, or a value that is
 * malformed; *ret is then untouched.
 */
int smtp_facts_parse(struct slice argument, unsigned allowed, char *text, size_t size,
                     struct smtp_facts *ret);

/* "NAME ADDR PORT ..." for EHLO. */
enum { SMTP_FACTS_NAMES = 80 };
const char *smtp_facts_names(unsigned allowed, char text[SMTP_FACTS_NAMES]);

/* The client's address, as XCLIENT has told it, into `client`, of `size` octets: "unknown" where it says that
 * nobody knows; and what was there stays where it says nothing. */
void smtp_facts_take_client(const struct smtp_facts *f, char *client, size_t size);
