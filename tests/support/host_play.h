/*
 * tests/support/host_play.h - postern-host as a simulated world has it: a process that reads its wire, and
 * does to each message what its owner says: answer, hang, die, lie. On the simulated reactor and disk.
 */
#pragma once

#include "handlers/wire.h"
#include "reactor/reactor_sim.h"

#define HOST_PLAY_PROGRAM ((char *)"postern-host")

/* What it does, about its start (then it says READY) or a message (then it says a verdict that delivers). */
struct host_act {
    msec_t after_ms; /* MSEC_NEVER: it hangs */
    /* In place of what it would say, from then on; freed by the player. NULL: just that. */
    GByteArray *say;
    size_t cut;     /* it says only so many octets, and dies; 0: none, and it dies; SIZE_MAX: all of it */
    bool dies;      /* when it has said it */
    msec_t idle_ms; /* so long after; until then it reads nothing */
    bool untold;    /* its guard dies, too */
    bool stubborn;  /* its guard does not hear SIGTERM */
    struct wire_obituary how;
};
extern const struct host_act host_act_usual; /* at once, and nothing else */

struct host_play {
    struct reactor *r;
    struct host_act (*on_start)(void *owner, unsigned number); /* of the host, from 0; NULL: as usual */
    /* `fd`: that came along, or -1. `scratch` is the host's. */
    struct host_act (*on_message)(void *owner, unsigned number, const struct wire_message *m, int fd,
                                  int scratch);
    void *owner;
    bool lingers;     /* at the end of its wire */
    msec_t blind_ms;  /* 0, or: it reads no message, and says a verdict for one recipient each so many */
    unsigned started; /* hosts */
    unsigned running;
};

/* `p` outlives the reactor's children. */
void host_play_add(struct host_play *p);

/* What a host says, for `say`: appended to what there is. */
GByteArray *host_say(GByteArray *take_bytes, const struct wire_frame *frame);
/* A verdict that delivers, for so many recipients: the caller g_frees the fates. */
struct wire_frame host_verdict(uint32_t recipients);
