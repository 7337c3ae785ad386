/*
 * handlers/host_internal.h - what the files of a host share: host.c its life, host_says.c what comes over the
 * wire, host_death.c what is made of its end. Nobody else includes it.
 */
#pragma once

#include "base/assert.h"
#include "handlers/host.h"

enum { HOST_MAGIC = 0x686f7374 };

enum host_state {
    HOST_STARTING, /* until READY */
    HOST_READY,
    HOST_BUSY,     /* until VERDICT */
    HOST_LENT,     /* an answer has the scratch file */
    HOST_EMPTYING, /* which is being emptied */
    HOST_DYING,    /* nothing is believed any more; until the end of the stream, which tells the rest */
    HOST_DEAD,     /* that is over; until the process has ended */
    HOST_ENDING,   /* in good order; the same */
};

struct question {
    const struct wire_message *message; /* NULL: none */
    handler_on_answer on_answer;
    void *owner;
};

struct answer {
    struct handler_answer shown;
    struct wire_frame frame; /* of the verdict, which borrows from */
    GByteArray *bytes;
    struct handler_host *lender; /* of the scratch file; NULL: it is the answer's */
};

struct handler_host {
    uint32_t magic;
    enum host_state state;
    unsigned step; /* of what is done about one who does not end */
    bool exited;
    unsigned asked_times; /* ever */
    bool emptying;        /* a job has the scratch file */
    struct reactor *r;
    const struct handler_settings *settings;
    const struct pst_log *log;
    const struct host_events *events;
    void *owner;
    struct child *child;
    struct stream *stream;
    struct timer *timer;
    int pid, exit_status, exit_signal;
    int scratch;
    int emptied;            /* what the job came to */
    GByteArray *in;         /* what was not understood yet; DYING: the last of it */
    size_t said;            /* octets, since it was last asked */
    unsigned lines;         /* logged since then */
    struct question asked;  /* BUSY, or DYING since then */
    struct answer *decided; /* to be handed out once what came with it was looked at */
    struct answer *lent;
    const char *doom;           /* why it is to fail as soon as the timer fires; or NULL */
    bool is_caused;             /* DYING: by us, */
    enum handler_failure cause; /* because of that, */
    const char *why;            /* in a few words, for the log; or NULL */
};

static inline struct handler_host *host_of(void *owner)
{
    struct handler_host *h = owner;
    pst_assert(h->magic == HOST_MAGIC);
    return h;
}

/* ---- host.c ---- */

struct answer *answer_new(enum handler_outcome outcome);
void host_answer(struct handler_host *h, struct answer *take_answer); /* to what it was asked */
void host_rest(struct handler_host *h);                               /* there is no time limit now */
void host_set_ready(struct handler_host *h);
void host_await_end(struct handler_host *h); /* from now on its end is all that is waited for, */
void host_fail(struct handler_host *h, enum handler_failure cause, const char *why); /* and brought about */

/* ---- host_says.c ---- */

void host_on_read(void *owner, struct slice bytes);

/* ---- host_death.c ---- */

/* By the last that it said, which is logged: the answer to what it was asked, if it was. */
struct answer *host_answer_of_death(const struct handler_host *h);
void host_log_said(const struct handler_host *h, enum pst_log_level level, int handler, const char *text);
