/*
 * handlers/wire.h - what a worker and its hosts say to each other, over a stream socket between two processes
 * of one build: frames of a length, a type and fields. Pure.
 *
 *     worker: CONFIG                       host: LOG..., READY
 *     worker: MESSAGE, again and again     host: LOG..., VERDICT, for each
 *     the host's guard, when the host has died: OBITUARY, and the end
 *
 * With MESSAGE comes a descriptor, if the message is not in the frame itself. A host is user code: what
 * it says is checked, and a bad frame is -EBADMSG. Ownership: decoding borrows texts and octets from the
 * frame, which must stay, and allocates the arrays, which wire_frame_clear frees; encoding only reads.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/slice.h"

enum wire_type { WIRE_CONFIG = 1, WIRE_READY, WIRE_MESSAGE, WIRE_LOG, WIRE_VERDICT, WIRE_OBITUARY };

enum {
    WIRE_HEAD = 8,             /* octets in front of a frame's fields: length of the fields, and type */
    WIRE_FRAME_MAX = 16 << 20, /* octets of its fields: a header section, or many recipients */
    WIRE_HANDLERS_MAX = 64,    /* in a configuration */
    WIRE_LOG_TEXT_MAX = 1000,  /* octets; what is longer was cut by the host */
    WIRE_ALL_RECIPIENTS = -1,
};

/* ---- worker to host ---- */

struct wire_option {
    const char *name, *value;
};

struct wire_handler {
    const char *name; /* of [handler NAME] */
    const char *file; /* the shared object */
    struct wire_option *options;
    uint32_t option_count;
};

struct wire_text_list {
    const char **texts;
    uint32_t count;
};

struct wire_config {
    struct wire_handler *handlers; /* in the order in which they get a message */
    uint32_t handler_count;
    struct wire_text_list paths;    /* may be read and executed, with all beneath */
    struct wire_text_list writable; /* may be written, too */
    bool network;
    uint64_t memory, stack; /* octets of address space and of the stack; 0: no limit */
    uint64_t file_size;     /* octets of a file that it writes, such as a message that is replaced */
    uint64_t cpu_seconds;   /* for one message; 0: no limit */
};

struct wire_ready {
    const char *problem; /* why it cannot serve, in a sentence; NULL: it can */
};

struct wire_recipient {
    const char *address;
    struct wire_text_list mailboxes; /* their addresses */
    const char *notify, *original;   /* or NULL */
};

/* One that shall see the message, and whose recipients: those numbers only, or, when there are none, all. */
struct wire_turn {
    uint32_t handler;
    uint32_t *recipients;
    uint32_t recipient_count;
};

struct wire_message {
    const char *session, *id, *listener, *protocol, *client, *helo, *reverse_path, *body;
    const char *client_name, *tls_version, *tls_cipher, *tls_server_name, *tls_client, *user, *ret,
        *envelope_id; /* or NULL */
    bool utf8;
    uint64_t declared_size;
    int64_t arrived_us;
    struct wire_recipient *recipients;
    uint32_t recipient_count;
    struct wire_turn *turns;
    uint32_t turn_count;
    uint64_t size; /* octets of the message */
    bool in_frame; /* it is `octets`; else it is in a descriptor, from `offset` to the file's end */
    struct slice octets;
    uint64_t offset;
};

/* ---- host to worker ---- */

struct wire_log {
    int32_t handler; /* or -1: the host itself */
    uint32_t level;  /* enum postern_level */
    const char *text;
};

/* As in postern/handler.h. */
enum wire_decision { WIRE_DELIVER, WIRE_REJECT, WIRE_DEFER, WIRE_DISCARD, WIRE_DECISIONS };

struct wire_fate { /* of one recipient */
    uint32_t decision;
    int32_t handler; /* whose it is; -1: nobody's but the last one's */
    uint32_t code;   /* REJECT and DEFER: of the reply, else 0 */
    const char *enhanced, *text;
    const char *folder;              /* "Lists/Announce", or NULL */
    const char *flags;               /* letters, or NULL */
    struct wire_text_list redirects; /* addresses; none: to the mailboxes that it had */
};

struct wire_verdict {
    struct wire_fate *fates; /* as many as the message has recipients, in their order */
    uint32_t fate_count;
    /*
     * What is stored behind the trace fields: `front`, and then, without its first `skip` octets, the message
     * as it came or, when it is `replaced`, what lies in the host's scratch file.
     */
    struct slice front;
    uint64_t skip;
    bool replaced;
    uint64_t replaced_size; /* octets in the scratch file */
};

/* ---- of a host that died: always the last octets on the wire, whatever lies in front of them ---- */

enum wire_stage {
    WIRE_LOADING,  /* before READY */
    WIRE_WAITING,  /* between two messages */
    WIRE_PARSING,  /* before any user code saw the message */
    WIRE_HANDLING, /* in a handler */
    WIRE_ENDING,   /* behind the last one, or in shutdown */
    WIRE_STAGES
};

struct wire_obituary {
    uint32_t stage;  /* enum wire_stage */
    int32_t handler; /* HANDLING and LOADING: which one; or -1 */
    int32_t signal;  /* that ended it, SIGTERM: which was told to its guard; or 0: it exited */
    int32_t status;  /* with this status */
};

/* ---- frames ---- */

/* What a frame can hold, by its type. */
struct wire_frame {
    enum wire_type type;
    union {
        struct wire_config config;
        struct wire_ready ready;
        struct wire_message message;
        struct wire_log log;
        struct wire_verdict verdict;
        struct wire_obituary obituary;
    };
    GPtrArray *memory; /* the arrays, once it was decoded */
};

/* Appends all of the frame. -EMSGSIZE, and nothing is appended, when it is too long to be one. */
int wire_encode(const struct wire_frame *frame, GByteArray *to);

/*
 * From the beginning of `in`: how many octets the frame takes, 0 when more must come first, or -EBADMSG.
 */
int64_t wire_decode(struct slice in, struct wire_frame *ret_frame);
/*
 * Of all that came before the end of the stream, the last octets: a host may have died within another frame.
 * False: they are no obituary.
 */
enum { WIRE_OBITUARY_LEN = WIRE_HEAD + 16 };
bool wire_find_obituary(struct slice last, struct wire_obituary *ret_obituary);
void wire_frame_clear(struct wire_frame *frame); /* the arrays; one that is all zero is welcome */
AUTO_VAL_DEFINE(wire_frame);
