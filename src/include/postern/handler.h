/*
 * postern/handler.h - what a handler is: user code that gets each incoming message, parsed, before the client
 * is told 250. A handler is a shared object that defines one of these, and needs not be linked with postern:
 *
 *     #include <postern/handler.h>
 *
 *     static postern_verdict
 *     on_message(postern_delivery *delivery, const postern_envelope *envelope, GMimeMessage *message)
 *     {
 *         if (g_strcmp0(g_mime_message_get_subject(message), "unsubscribe") == 0)
 *             return postern_reject(delivery, 550, "5.7.1", "use the web form, please");
 *         postern_add_header(delivery, "X-Seen-By", "example");
 *         return POSTERN_DELIVER;
 *     }
 *
 *     POSTERN_HANDLER(.name = "example", .on_message = on_message)
 *
 * It runs in a host, a process of its own that has one message at a time: plain code of one thread, which may
 * block, sleep or fail. It has a limit on time and memory, no privilege, no network unless it was given it,
 * and reads no files but those that it was given. When it crashes or takes too long, the sender is told to
 * come again, and a new host takes its place.
 *
 * Text is UTF-8 and ends in NUL. What a handler is handed belongs to the host and is valid until the handler
 * returns; what functions return is the caller's only where they say so. Nothing here is for other threads.
 */
#ifndef POSTERN_HANDLER_H
#define POSTERN_HANDLER_H

#include <gmime/gmime.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Counts changes that a handler must be compiled anew for. What is only appended to a struct is no such
 * change: each tells its size. */
#define POSTERN_HANDLER_ABI 1u

/* ---- the envelope ---- */

typedef struct postern_recipient {
    const char *address;          /* as RCPT named it: "alice+lists@example.org" */
    const char *const *mailboxes; /* what it led to: "alice@example.org", ..., NULL */
    const char *notify;           /* RFC 3461 NOTIFY, "success,failure", or NULL */
    const char *original;         /* RFC 3461 ORCPT as it was sent, or NULL */
} postern_recipient;

typedef struct postern_envelope {
    const char *session;     /* its id, as in the log */
    const char *id;          /* the message's, as in the log, the Received field, and the reply */
    const char *listener;    /* the NAME of [listen NAME] */
    const char *protocol;    /* as in Received (RFC 3848): "ESMTP", "LMTP", "UTF8SMTPSA", ... */
    const char *client;      /* "192.0.2.1", "2001:db8::1", "unix" */
    const char *client_name; /* what a proxy calls it, or NULL */
    const char *helo;
    const char *tls_version; /* "TLSv1.3", or NULL: without TLS; so are the next three */
    const char *tls_cipher;
    const char *tls_server_name; /* SNI, or NULL */
    const char *tls_client;      /* the subject of the client's certificate, verified; or NULL */
    const char *user;            /* who the client is by AUTH, or NULL */
    const char *reverse_path;    /* "": the null reverse-path of bounces */
    const char *body;            /* RFC 1652, 3030: "7BIT", "8BITMIME" or "BINARYMIME" */
    int utf8;                    /* RFC 6531: MAIL had SMTPUTF8 */
    const char *ret;             /* RFC 3461: "FULL", "HDRS" or NULL */
    const char *envelope_id;     /* RFC 3461 ENVID as it was sent, or NULL */
    uint64_t declared_size;      /* RFC 1870 SIZE in octets, or 0 */
    uint64_t size;               /* octets of the message as it is stored, without trace fields */
    int64_t arrived_us;          /* microseconds since 1970 UTC */
    size_t recipient_count; /* of those that this handler decides about: of its domains, and not decided */
    const postern_recipient *recipients;
} postern_envelope;

/* ---- verdicts ---- */

/*
 * What becomes of the message, for all recipients that have no verdict of their own. DELIVER hands it on to
 * the next handler, and from the last one to the mailboxes. A recipient with any other is decided: no further
 * handler sees it, and where none is left, none is called. DISCARD: the sender is told 250, and nothing is
 * stored. REJECT and DEFER without a reply of their own are "550 5.7.1" and "451 4.7.1".
 *
 * SMTP has one reply for all recipients. There, when one is rejected or deferred, nobody gets the message,
 * and the sender is told so (defer goes before reject). LMTP has a reply for each.
 */
typedef enum postern_verdict {
    POSTERN_DELIVER,
    POSTERN_REJECT,
    POSTERN_DEFER,
    POSTERN_DISCARD
} postern_verdict;

/* In place of a recipient's index: every recipient. */
#define POSTERN_ALL ((size_t)-1)

typedef enum postern_level { POSTERN_DEBUG, POSTERN_INFO, POSTERN_WARNING, POSTERN_ERROR } postern_level;

typedef struct postern_setup postern_setup;       /* during init */
typedef struct postern_delivery postern_delivery; /* during on_message */
typedef struct postern_parts postern_parts;

/* One leaf of the tree of parts: neither multipart nor an embedded message, whose leaves come by themselves,
 * unless it has none; a multipart without parts has its text as content. */
typedef struct postern_part {
    GMimeObject *object; /* a GMimePart, mostly */
    const char *name;    /* file name, decoded (RFC 2231, RFC 2047), or NULL */
    const char *type;    /* "image/png", lower case */
    unsigned depth;      /* in how many multiparts and embedded messages it lies */
} postern_part;

/*
 * The host's functions. Handlers call the inline functions below. Those that return int: 0, or a negative
 * errno value (-EINVAL: what was asked for cannot be; the log says why).
 */
typedef struct postern_functions {
    uint32_t size;
    uint32_t abi;
    const char *(*setup_option)(postern_setup *setup, const char *name);
    void (*setup_set_data)(postern_setup *setup, void *data);
    void (*setup_log)(postern_setup *setup, postern_level level, const char *text);
    int (*setup_fail)(postern_setup *setup, const char *reason);
    const char *(*option)(postern_delivery *delivery, const char *name);
    void *(*data)(postern_delivery *delivery);
    void (*log)(postern_delivery *delivery, postern_level level, const char *text);
    int (*set_verdict)(postern_delivery *delivery, size_t recipient, postern_verdict verdict, int code,
                       const char *enhanced, const char *text);
    int (*add_header)(postern_delivery *delivery, const char *name, const char *value);
    int (*remove_header)(postern_delivery *delivery, const char *name);
    int (*replace_header)(postern_delivery *delivery, const char *name, const char *value);
    int (*set_folder)(postern_delivery *delivery, size_t recipient, const char *folder);
    int (*set_flags)(postern_delivery *delivery, size_t recipient, const char *flags);
    int (*redirect)(postern_delivery *delivery, size_t recipient, const char *address);
    int (*replace_message)(postern_delivery *delivery, GMimeMessage *message);
    int (*replace_raw)(postern_delivery *delivery, int fd);
    int (*raw)(postern_delivery *delivery, uint64_t *ret_offset);
    char *(*header_text)(GMimeObject *object, const char *name);
    postern_parts *(*parts_new)(GMimeMessage *message);
    int (*parts_next)(postern_parts *parts, postern_part *ret_part);
    void (*parts_free)(postern_parts *parts);
    GMimeStream *(*part_open)(const postern_part *part);
    int64_t (*part_size)(const postern_part *part);
} postern_functions;

struct postern_setup { /* the host has more behind it */
    const postern_functions *functions;
};

struct postern_delivery {
    const postern_functions *functions;
};

struct postern_parts {
    const postern_functions *functions;
};

/* ---- a handler ---- */

typedef struct postern_handler {
    uint32_t abi, size, functions_size, envelope_size; /* POSTERN_HANDLER fills them in */
    const char *name;                                  /* for the log and for people */
    /*
     * Once in each host, before its first message: 0, or what postern_fail() returned; then nothing is
     * served. NULL: nothing to do.
     */
    int (*init)(postern_setup *setup);
    postern_verdict (*on_message)(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message);
    void (*shutdown)(void *data); /* before the host ends in good order; NULL: nothing to do */
} postern_handler;

/* Once in a handler, outside of functions and namespaces: the fields from `name` on, in C++ in their order.
 */
#define POSTERN_HANDLER_SYMBOL "postern_handler_entry"
#define POSTERN_HANDLER(...)                                                                                 \
    __attribute__((visibility("default"))) extern const postern_handler postern_handler_entry;               \
    const postern_handler postern_handler_entry = { .abi = POSTERN_HANDLER_ABI,                              \
                                                    .size = sizeof(postern_handler),                         \
                                                    .functions_size = sizeof(postern_functions),             \
                                                    .envelope_size = sizeof(postern_envelope),               \
                                                    __VA_ARGS__ };

/* ---- in init ---- */

/* The value of option.NAME in the [handler] section, or NULL. Valid as long as the host. */
static inline const char *postern_setup_option(postern_setup *setup, const char *name)
{
    return setup->functions->setup_option(setup, name);
}

/* What postern_data() and shutdown get. */
static inline void postern_set_data(postern_setup *setup, void *data)
{
    setup->functions->setup_set_data(setup, data);
}

static inline void postern_setup_log(postern_setup *setup, postern_level level, const char *text)
{
    setup->functions->setup_log(setup, level, text);
}

/* `return postern_fail(setup, "option.queue is missing");` */
static inline int postern_fail(postern_setup *setup, const char *reason)
{
    return setup->functions->setup_fail(setup, reason);
}

/* ---- in on_message ---- */

static inline const char *postern_option(postern_delivery *delivery, const char *name)
{
    return delivery->functions->option(delivery, name);
}

static inline void *postern_data(postern_delivery *delivery)
{
    return delivery->functions->data(delivery);
}

/* One line of postern's log, with the handler's name and the message's id. */
static inline void postern_log(postern_delivery *delivery, postern_level level, const char *text)
{
    delivery->functions->log(delivery, level, text);
}

/*
 * `return postern_reject(delivery, 550, "5.7.1", "not here");` The code is 5NN, the enhanced code (RFC 3463)
 * 5.N.N, the text one line of 1 to 400 octets of printable ASCII; what is wrong becomes "550 5.7.1", and the
 * log says so. It counts when the same verdict is returned.
 */
static inline postern_verdict postern_reject(postern_delivery *delivery, int code, const char *enhanced,
                                             const char *text)
{
    (void)delivery->functions->set_verdict(delivery, POSTERN_ALL, POSTERN_REJECT, code, enhanced, text);
    return POSTERN_REJECT;
}

/* The same with 4NN and 4.N.N: the sender shall come again. */
static inline postern_verdict postern_defer(postern_delivery *delivery, int code, const char *enhanced,
                                            const char *text)
{
    (void)delivery->functions->set_verdict(delivery, POSTERN_ALL, POSTERN_DEFER, code, enhanced, text);
    return POSTERN_DEFER;
}

/* For one recipient of the envelope, from 0; the others go on. A verdict for all is what on_message returns.
 */
static inline int postern_reject_recipient(postern_delivery *delivery, size_t recipient, int code,
                                           const char *enhanced, const char *text)
{
    return delivery->functions->set_verdict(delivery, recipient, POSTERN_REJECT, code, enhanced, text);
}

static inline int postern_defer_recipient(postern_delivery *delivery, size_t recipient, int code,
                                          const char *enhanced, const char *text)
{
    return delivery->functions->set_verdict(delivery, recipient, POSTERN_DEFER, code, enhanced, text);
}

static inline int postern_discard_recipient(postern_delivery *delivery, size_t recipient)
{
    return delivery->functions->set_verdict(delivery, recipient, POSTERN_DISCARD, 0, NULL, NULL);
}

/*
 * Edits, which the next handlers see, too, and at once whoever looks into the GMimeMessage: so no header list
 * of it may be walked through meanwhile. A new field goes in front of all others. The value is text: what
 * is beyond ASCII is encoded (RFC 2047), and long lines are folded. An edit of a message is for all
 * its recipients.
 */
static inline int postern_add_header(postern_delivery *delivery, const char *name, const char *value)
{
    return delivery->functions->add_header(delivery, name, value);
}

/* All fields of that name; how many there were. */
static inline int postern_remove_header(postern_delivery *delivery, const char *name)
{
    return delivery->functions->remove_header(delivery, name);
}

/* The first field of that name gets the value, and others of that name go; where there is none, it is added.
 */
static inline int postern_replace_header(postern_delivery *delivery, const char *name, const char *value)
{
    return delivery->functions->replace_header(delivery, name, value);
}

/* The Maildir++ folder of the mailbox, "Lists" or "Lists/Announce"; where it does not exist, the message goes
 * to the mailbox itself, and the log says so. */
static inline int postern_set_folder(postern_delivery *delivery, size_t recipient, const char *folder)
{
    return delivery->functions->set_folder(delivery, recipient, folder);
}

/* Maildir flags, letters of "DFPRST": the message is stored in cur/ with them, as one that was seen by a
 * reader. */
static inline int postern_set_flags(postern_delivery *delivery, size_t recipient, const char *flags)
{
    return delivery->functions->set_flags(delivery, recipient, flags);
}

/*
 * In place of the mailboxes that the recipient led to, what this address leads to, by the same routing as for
 * RCPT; again: that, too. An address that is not taken here: the sender is told to come again.
 */
static inline int postern_redirect(postern_delivery *delivery, size_t recipient, const char *address)
{
    return delivery->functions->redirect(delivery, recipient, address);
}

/* All of the message but its trace fields. The caller keeps `message`, which is written out at once. Former
 * edits of header fields are void; the next handlers see the new message, this one goes on with the old. */
static inline int postern_replace_message(postern_delivery *delivery, GMimeMessage *message)
{
    return delivery->functions->replace_message(delivery, message);
}

/* The same from a file, from its beginning to its end; lines end in LF or CR LF. The caller keeps `fd`. */
static inline int postern_replace_raw(postern_delivery *delivery, int fd)
{
    return delivery->functions->replace_raw(delivery, fd);
}

/*
 * The message as it came, for reading, as a descriptor that the host keeps; -errno. It begins at *ret_offset,
 * where the file position is, too, and ends where the file does. Lines end in LF. `ret_offset` may be NULL.
 */
static inline int postern_raw(postern_delivery *delivery, uint64_t *ret_offset)
{
    return delivery->functions->raw(delivery, ret_offset);
}

/*
 * A header field's text of a message or a part, unfolded and decoded (RFC 2047), also where GMime leaves
 * some of it out; g_free it. NULL when there is no such field.
 */
static inline char *postern_header_text(postern_delivery *delivery, GMimeObject *object, const char *name)
{
    return delivery->functions->header_text(object, name);
}

/*
 * All leaf parts, in their order, those of embedded messages, too:
 *
 *     postern_parts *parts = postern_parts_new(delivery, message);
 *     for (postern_part part; postern_parts_next(parts, &part);)
 *         ...
 *     postern_parts_free(parts);
 *
 * A part is valid until the next call.
 */
static inline postern_parts *postern_parts_new(postern_delivery *delivery, GMimeMessage *message)
{
    return delivery->functions->parts_new(message);
}

static inline int postern_parts_next(postern_parts *parts, postern_part *ret_part)
{
    return parts->functions->parts_next(parts, ret_part);
}

static inline void postern_parts_free(postern_parts *parts)
{
    if (parts != NULL)
        parts->functions->parts_free(parts);
}

/* A part's content, decoded, as a stream to be read once; g_object_unref it. NULL: it has none. */
static inline GMimeStream *postern_part_open(postern_delivery *delivery, const postern_part *part)
{
    return delivery->functions->part_open(part);
}

/* How many octets that is, or -EIO; all of it is decoded to tell. */
static inline int64_t postern_part_size(postern_delivery *delivery, const postern_part *part)
{
    return delivery->functions->part_size(part);
}

#ifdef __cplusplus
}
#endif
#endif
