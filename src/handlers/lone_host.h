/*
 * handlers/lone_host.h - one host that is waited for: how commands run handlers outside of a worker, on the
 * same program that a worker's hosts are. What handlers write to standard output and standard error goes to
 * our standard error. Blocks, up to the times that it is given.
 *
 * Ownership: a value; whoever started it ends it, after a failure, too. Failure: -errno; lone_host_why makes
 * a sentence of it.
 */
#pragma once

#include <sys/types.h>

#include "base/auto.h"
#include "handlers/handlers.h"

struct lone_host {
    const struct handler_settings *settings;
    pid_t pid;   /* 0: there is none */
    int wire;    /* to the host */
    int scratch; /* a message that is replaced; it stays until the host is cleared */
    GByteArray *in;
    GByteArray *heard; /* once it is told to end: what the last frame lies in */
    size_t taken;      /* octets of `in`, by frames that were told */
    bool is_told;      /* how it ended, which is the obituary's */
    struct wire_obituary obituary;
};
#define LONE_HOST_NONE ((struct lone_host){ .wire = -1, .scratch = -1 })

/* As whoever we are. Tells it the configuration. */
int lone_host_start(struct lone_host *h, const struct handler_settings *settings);

/* `fd` goes with it, if it is not -1. A host that has died is no failure: what it says next will tell. */
int lone_host_say(struct lone_host *h, const struct wire_frame *frame, int fd);

/*
 * The next frame that the host says, for a READY, LOG or VERDICT; it is valid until it says the next.
 * -ETIMEDOUT: it took longer than the settings allow; -ENODATA: it has died; -EBADMSG: it said rubbish. After
 * a failure the host is gone.
 */
int lone_host_hear(struct lone_host *h, struct wire_frame *ret_frame);

/* Lets it end in good order, or ends it. 0, or -ENODATA or -ETIMEDOUT: that was no good order. */
int lone_host_end(struct lone_host *h);

/* "handler h died of signal 11 (Segmentation fault) while it was loaded"; g_free it. */
char *lone_host_why(const struct lone_host *h, int error);

void lone_host_clear(struct lone_host *h);
AUTO_VAL_DEFINE(lone_host);
