/*
 * tests/model/act.h - what a client does next: octets, and apart from them what they mean. The generator
 * makes both; the server under test gets the octets and the model the meaning, so that neither can borrow the
 * other's reading of a line. Rows are static; an act owns its strings and is used again for the next one.
 */
#pragma once

#include <glib.h>

#include "smtp/session.h"

/* What a server is set up with. */
struct rules {
    const char *name;
    struct smtp_service service;
    struct smtp_client client;
    const char *inside;            /* mechanisms of AUTH inside TLS */
    const char *extensions;        /* what EHLO or LHLO lists below the name, in alphabetical order */
    const char *extensions_inside; /* the same inside TLS */
};
extern const struct rules rules[];
extern const size_t rules_count;

enum act_kind {
    ACT_CONNECT, /* early: it speaks before the greeting */
    ACT_LINE,    /* answered with `reply` wherever a command is read, and nothing changes */
    ACT_HELLO,   /* extended */
    ACT_MAIL,    /* envelope, binary, utf8 */
    ACT_RCPT,    /* envelope, recipient */
    ACT_DATA,
    ACT_MESSAGE, /* content: the whole message, and its end */
    ACT_BDAT,    /* content, last; a fault: nobody can tell how many octets come behind it */
    ACT_RSET,
    ACT_QUIT,
    ACT_STARTTLS,
    ACT_HANDSHAKE, /* behind STARTTLS; what it sends before is not read */
    ACT_AUTH,      /* credential */
    ACT_RESPONSE,  /* credential; a fault: it ends the exchange */
    ACT_XCLIENT,   /* greets */
    ACT_XFORWARD,
    ACT_FOREIGN, /* another protocol's first words; a fault: what they are as a command */
    ACT_SILENCE, /* the beginning of something, perhaps, and then nothing until the server's patience ends */
    ACT_DRIP,    /* the same, but octet after octet comes, too slowly */
    ACT_HANG_UP, /* the same, but the client goes */
    ACT_KINDS
};

/* A mailbox, or none: what the router says of it, and what becomes of a message that is for it. */
struct recipient {
    const char *path; /* as it stands in the command */
    const char *text; /* as it is understood */
    bool utf8;        /* only SMTPUTF8 allows it */
    enum smtp_outcome route, end;
    const char *route_reply, *end_reply;
};
extern const struct recipient recipients[];
extern const size_t recipient_count;

/* What AUTH is told, in Base64, and what the other side says to that. */
struct credential {
    const char *text;
    enum smtp_outcome outcome;
    const char *reply;
};
extern const struct credential credentials[];
extern const size_t credential_count;

/* What a client must have done before a command is read, where the server wants it. */
enum need { NEED_NOTHING, NEED_TLS, NEED_AUTH };

struct act {
    enum act_kind kind;
    enum need need;    /* LINE */
    const char *reply; /* LINE */
    const char *fault; /* the reply that the command's own form deserves; NULL: it is well formed */
    bool extended, early, last;
    bool begins_chunk; /* SILENCE, DRIP, HANG_UP: a whole BDAT, and not all of its octets */
    bool binary;       /* MAIL: BODY=BINARYMIME */
    bool utf8;         /* MAIL: with SMTPUTF8 */
    bool greets;       /* XCLIENT: as good as HELO */
    bool needs_utf8;   /* MAIL: an address that only it allows */
    const struct recipient *recipient;
    const struct credential *credential; /* NULL: nothing, which deserves a challenge */
    bool require_tls;                    /* MAIL: REQUIRETLS */
    GString *envelope; /* MAIL, RCPT: what must be known of it later, by note_mail() or note_rcpt() */
    GString *content;  /* octets of a message */
    GString *wire;     /* what is sent */
};

/* Both sides write down in the same words what is to be compared. */
void note_mail(GString *to, const char *address, uint64_t size, const char *body, bool utf8, bool require_tls,
               const char *ret, const char *envid);
void note_rcpt(GString *to, const char *address, const char *notify, const char *orcpt);
void note_stored(GString *to, const char *mail, const char *rcpt, const GString *content);
